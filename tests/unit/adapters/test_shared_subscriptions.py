"""What a session is subscribed to, whatever the venue: audit, renewal, coverage."""

from collections.abc import Iterable

from volgauge.adapters.subscriptions import Subscriptions

IN, OUT = "in", "out"


def whole(queue: Iterable[str]) -> list[str]:
    """No limit to a request."""
    return list(queue)


def following(*channels: str) -> Subscriptions[str, bool]:
    """With all of them subscribed."""
    subscriptions = Subscriptions[str, bool](IN, OUT)
    subscriptions.follow(dict.fromkeys(channels, True))
    batch = subscriptions.next_batch(whole)
    subscriptions.settle(batch.channels, batch.channels)
    return subscriptions


def test_a_refused_channel_is_asked_for_once_more_then_counted() -> None:
    """A new plan gives it another chance."""
    subscriptions = Subscriptions[str, bool](IN, OUT)
    subscriptions.follow({"a": True, "b": True})
    first = subscriptions.next_batch(whole)
    subscriptions.settle(first.channels, {"a"})
    again = subscriptions.next_batch(whole)
    subscriptions.settle(again.channels, ())

    assert (first.method, first.channels, again.channels) == (IN, ("a", "b"), ("b",))
    assert (subscriptions.uncovered_count, subscriptions.is_settled) == (1, True)
    assert subscriptions.take_coverage(("a", "b")) == (2, 1)

    subscriptions.follow({"a": True, "b": True})

    assert subscriptions.next_batch(whole).channels == ("b",)


def test_renewal_is_unsubscribe_its_answer_subscribe() -> None:
    """Whether the unsubscribe is accepted or refused."""
    subscriptions = following("a", "b")
    subscriptions.renew("a")
    drop = subscriptions.next_batch(whole)
    assert subscriptions.is_idle
    subscriptions.refuse("a")
    back = subscriptions.next_batch(whole)

    assert (drop.method, drop.channels) == (OUT, ("a",))
    assert (back.method, back.channels) == (IN, ("a",))
    assert subscriptions.active == {"b"}


def test_what_left_the_plan_in_flight_is_dropped_when_it_is_accepted() -> None:
    """And not counted when it is refused."""
    subscriptions = Subscriptions[str, bool](IN, OUT)
    subscriptions.follow({"a": True, "b": True})
    batch = subscriptions.next_batch(whole)
    subscriptions.follow({})
    subscriptions.settle(batch.channels, {"a"})
    drop = subscriptions.next_batch(whole)

    assert (drop.method, drop.channels) == (OUT, ("a",))
    assert subscriptions.uncovered_count == 0


def test_a_repeated_channel_was_not_refused() -> None:
    """It waits again and keeps its second chance."""
    subscriptions = Subscriptions[str, bool](IN, OUT)
    subscriptions.follow({"a": True})
    subscriptions.next_batch(whole)
    subscriptions.repeat("a")

    assert (subscriptions.is_idle, subscriptions.retried) == (False, set())


def test_coverage_is_told_when_it_changes() -> None:
    """Not while a request is open; a silent channel does not count."""
    subscriptions = following("a", "b")
    told = [subscriptions.take_coverage(("a", "b")) for _ in range(2)]
    silent = subscriptions.take_coverage(("a", "b"), {"b"})
    subscriptions.renew("a")
    subscriptions.next_batch(whole)

    assert (told, silent) == ([(2, 2), None], (2, 1))
    assert subscriptions.take_coverage(("a", "b")) is None
