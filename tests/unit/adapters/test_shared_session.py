"""What a session holds, whatever the venue: frames, numbers, silence, payloads, gatherings."""

import msgspec
import pytest
from msgspec import Struct

from fakes.deribit_lab import Sink
from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.gathered import Gathered
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.payload import SHOWN_BYTES, decode
from volgauge.adapters.requests import Requests
from volgauge.adapters.silence import Silence
from volgauge.domain.events import MarkQuote, OpenInterest, TradedVolume
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation

VENUE = Venue("okx")


class Option(Struct, frozen=True):
    """As much of an option as is asked for here."""

    slot: int
    instrument: Instrument


def an_option(slot: int, strike: float) -> Option:
    """A call of its own name."""
    return Option(
        slot,
        Instrument(
            venue=VENUE, name=f"BTC-{strike:.0f}-C", asset=Asset("BTC"), expiry_ns=9,
            strike=strike, kind=OptionKind.CALL, premium=Premium.COIN, quote_currency="USD",
            tick_size=0.0001,
        ),
    )  # fmt: skip


def test_frames_are_taken_once_in_their_order() -> None:
    """As they are, or as JSON; what was taken is not changed by what comes later."""
    outbox = Outbox()
    outbox.put(b"ping")
    outbox.put_json(messages := Option(1, an_option(1, 2.0).instrument))
    first = outbox.take()
    outbox.put(b"later")

    assert first == [b"ping", msgspec.json.encode(messages)]
    assert (outbox.take(), outbox.take()) == ([b"later"], [])

    outbox.put(b"lost")
    outbox.restart()

    assert outbox.take() == []


def test_a_request_is_closed_by_its_number_and_only_once() -> None:
    """An answer may have any number, or none that is one."""
    requests = Requests[str]()
    number = requests.add("subscribe", "a", deadline_ns=5)

    assert requests.close(number + 1) is None
    assert requests.close(str(number)) is None
    closed = requests.close(number)
    assert closed is not None
    assert (closed.method, closed.batch) == ("subscribe", "a")
    assert requests.close(number) is None


def test_numbers_go_on_after_a_restart() -> None:
    """A late answer to the session before finds nothing to close."""
    requests = Requests[None]()
    before = requests.add("a", None, deadline_ns=5)
    requests.restart()
    after = requests.add("a", None, deadline_ns=5)

    assert after > before
    assert requests.close(before) is None


def test_late_requests_are_taken_oldest_first() -> None:
    """One at a time, at their deadline and not before it."""
    requests = Requests[None]()
    assert requests.deadline_ns == NEVER_NS
    requests.add("second", None, deadline_ns=20)
    requests.add("first", None, deadline_ns=10)

    assert requests.deadline_ns == 10
    assert requests.take_late(9) is None
    late = [requests.take_late(20), requests.take_late(20), requests.take_late(20)]
    assert [asked and asked.method for asked in late] == ["second", "first", None]


def test_silence_is_told_at_its_limit() -> None:
    """With how long it has lasted; what is heard puts it off."""
    silence = Silence(VENUE, "hot", 2.5, expected={"a"})
    silence.heard_ns = 10 * NANOS_PER_SECOND
    due_ns = silence.due_ns
    silence.check(due_ns - 1)

    assert due_ns == 12_500_000_000
    with pytest.raises(FeedStale, match=r"hot: no data for 2\.5 s"):
        silence.check(due_ns)
    silence.heard_ns = due_ns
    silence.check(due_ns)


def test_nothing_is_silent_while_nothing_is_expected() -> None:
    """What is expected may change at any time."""
    expected: set[str] = set()
    silence = Silence(VENUE, "hot", 1.0, expected)
    silence.check(NEVER_NS - 1)

    assert silence.due_ns == NEVER_NS
    expected.add("a")
    assert silence.due_ns == NANOS_PER_SECOND


@pytest.mark.parametrize(
    "data", [b'{"a":', b'["\xff"]', b"[" * 100_000, b'{"a":1}'],
    ids=["cut", "no_utf8", "bottomless", "another_type"],
)  # fmt: skip
def test_what_cannot_be_read_is_shown(data: bytes) -> None:
    """Its beginning, in the error that ends the session."""
    with pytest.raises(ProtocolViolation) as caught:
        decode(VENUE, msgspec.json.Decoder(list[str]).decode, data)

    assert str(caught.value).endswith(f"received {data[:SHOWN_BYTES]!r}")


def test_what_is_gathered_is_handed_on_together() -> None:
    """By slot, once in the spacing, the newest of each option and of the venue's time."""
    sink, options = Sink(), [an_option(7, 100.0), an_option(2, 110.0)]
    listed = {option.instrument.name: option for option in options}
    gathered = Gathered(VENUE, sink, listed, spacing_ns=100)
    gathered.take(options[0], (0.1, 0.5), None, None, exchange_ns=3, received_ns=0)
    gathered.take(options[0], (0.2, 0.6), 4.0, None, exchange_ns=9, received_ns=50)
    gathered.take(options[1], (0.3, 0.7), None, 5.0, exchange_ns=8, received_ns=99)
    before = list(sink.events)
    gathered.take(options[0], None, None, None, exchange_ns=1, received_ns=100)

    first = MarkQuote(
        venue=VENUE, received_ns=0, slots=(7,), prices=(0.1,), implied_vols=(0.5,), exchange_ns=3
    )
    assert before == [first]
    assert sink.events[1:] == [
        MarkQuote(
            venue=VENUE, received_ns=100, slots=(2, 7), prices=(0.3, 0.2),
            implied_vols=(0.7, 0.6), exchange_ns=9,
        ),
        OpenInterest(venue=VENUE, received_ns=100, slots=(7,), amounts=(4.0,)),
        TradedVolume(venue=VENUE, received_ns=100, slots=(2,), amounts=(5.0,)),
    ]  # fmt: skip


def test_what_is_not_listed_any_more_is_not_handed_on() -> None:
    """Nor what has the slot or the name of something listed; nor what was forgotten."""
    sink, old = Sink(), an_option(1, 100.0)
    listed = {old.instrument.name: old}
    gathered = Gathered(VENUE, sink, listed, spacing_ns=100)
    gathered.take(old, None, None, None, exchange_ns=0, received_ns=0)
    gathered.take(old, (0.1, 0.5), 4.0, 5.0, exchange_ns=3, received_ns=1)
    listed[old.instrument.name] = new = an_option(1, 100.0)
    gathered.take(new, None, None, None, exchange_ns=3, received_ns=100)
    gathered.take(new, (0.1, 0.5), 4.0, 5.0, exchange_ns=3, received_ns=101)
    gathered.forget()
    gathered.take(new, None, None, None, exchange_ns=3, received_ns=200)

    assert sink.events == []
