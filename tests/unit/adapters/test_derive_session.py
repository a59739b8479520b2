"""Life of Derive's websocket sessions: pings, silence, loss."""

import json
from math import isnan

import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import (
    CALL,
    FAR_CALL,
    NOW_NS,
    PUT,
    chain,
    listed,
    option_row,
    refusal,
    running,
    sent,
    settle,
    spot,
    ticker,
    told_time,
)
from volgauge.adapters.base import State
from volgauge.adapters.derive.endpoints import PING_NS, REQUEST_TIMEOUT_NS
from volgauge.domain.events import FeedDown, FeedUp, ForwardMark
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, RateLimited


def test_first_derive_data_make_the_feed_live_once() -> None:
    """An acknowledgement is no data."""
    sink = Sink()
    hot, _ = listed(sink, [option_row()]).connections()
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    assert sink.of(FeedUp) == []
    assert hot.state is State.SUBSCRIBING

    hot.receive(ticker(), NOW_NS + 5)
    hot.receive(ticker(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("hot", NOW_NS + 5)]
    assert [quote[-1] for quote in sink.quotes] == [NOW_NS + 5, NOW_NS + 6]


def test_ping_is_a_question_for_the_time() -> None:
    """Every 25 s; its answer is awaited."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    for count in (1, 2):
        due_ns = NOW_NS + count * PING_NS
        assert hot.next_timeout_ns == due_ns
        hot.on_timeout(due_ns)
        (request,) = sent(hot)
        assert (request["method"], request["params"]) == ("public/get_time", {})
        hot.receive(told_time(request), due_ns + 1)
        hot.receive(spot(), due_ns + 1)
        hot.on_timeout(due_ns + 2)


def test_derive_ping_without_an_answer_ends_the_session() -> None:
    """The other end is gone, whatever the socket says."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    hot.on_timeout(NOW_NS + PING_NS)

    with pytest.raises(FeedStale, match="get_time is not answered"):
        hot.on_timeout(NOW_NS + PING_NS + REQUEST_TIMEOUT_NS)


def test_refused_ping_is_an_answer() -> None:
    """Who refuses lives; but not when it refuses for speed."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    hot.on_timeout(NOW_NS + PING_NS)
    (request,) = sent(hot)
    hot.receive(refusal(request, -32601), NOW_NS + PING_NS)
    assert hot.counts["request_refused.-32601"] == 1
    hot.receive(spot(), NOW_NS + 2 * PING_NS)
    hot.on_timeout(NOW_NS + 2 * PING_NS)
    (request,) = sent(hot)

    with pytest.raises(RateLimited):
        hot.receive(refusal(request, -32000), NOW_NS + 2 * PING_NS)


def test_answers_do_not_count_as_data() -> None:
    """Silent venue, living answers."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=30.0).connections()[0])
    hot.on_timeout(NOW_NS + PING_NS)
    (request,) = sent(hot)
    hot.receive(told_time(request), NOW_NS + 29 * NANOS_PER_SECOND)

    with pytest.raises(FeedStale, match="no data for 30"):
        hot.on_timeout(NOW_NS + 30 * NANOS_PER_SECOND)


def test_derive_pulse_keeps_a_quiet_socket_alive() -> None:
    """Far options at night: nobody quotes, the spot price moves."""
    _, wings = listed(Sink(), chain([60_000])).connections()
    running(wings)
    for second in range(1, 120):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        wings.receive(spot(), now_ns)
        wings.on_timeout(now_ns)
        for request in sent(wings):
            wings.receive(told_time(request), now_ns)

    assert wings.state is State.LIVE


def test_lost_derive_connection_takes_its_quotes_and_forwards_along() -> None:
    """Near options with `hot`, far ones with `wings`; nothing looks like news."""
    sink = Sink()
    hot, wings = listed(sink, chain([60_000])).connections()
    for protocol in (hot, wings):
        running(protocol)
    hot.receive(ticker(), NOW_NS + 1)
    wings.receive(ticker(FAR_CALL, interval="1000"), NOW_NS + 1)
    hot.disconnected(NOW_NS + 9, "lost")

    assert [(e.connection, e.slots) for e in sink.of(FeedDown)] == [("hot", (0, 1))]
    (near, far, gone) = sink.of(ForwardMark)
    assert gone.expiry_ns == near.expiry_ns != far.expiry_ns
    assert isnan(gone.price)
    assert (gone.received_ns, gone.exchange_ns) == (NOW_NS + 1, 0)
    assert hot.state is State.IDLE
    assert hot.next_timeout_ns is None
    hot.disconnected(NOW_NS + 10, "again")
    assert len(sink.of(FeedDown)) == 1


def test_forward_is_told_at_once_after_a_loss() -> None:
    """Its spacing begins anew."""
    sink = Sink()
    hot, _ = listed(sink, [option_row()]).connections()
    running(hot)
    hot.receive(ticker(), NOW_NS + 1)
    hot.disconnected(NOW_NS + 2, "lost")
    running(hot, NOW_NS + 3)
    hot.receive(ticker(), NOW_NS + 4)

    assert [e.received_ns for e in sink.of(ForwardMark)] == [NOW_NS + 1, NOW_NS + 1, NOW_NS + 4]


def test_new_derive_session_subscribes_everything_again() -> None:
    """The venue remembers nothing of the one before, and late answers are nobody's."""
    hot = running(listed(Sink(), chain([60_000])).connections()[0])
    hot.disconnected(NOW_NS + 1, "lost")
    assert hot.frames_to_send() == []
    hot.start(NOW_NS + 2)
    (request,) = sent(hot)

    assert request["params"]["channels"] == [
        "spot_feed.BTC", f"ticker_slim.{CALL}.100", f"ticker_slim.{PUT}.100",
    ]  # fmt: skip
    assert request["id"] > 1
    hot.receive(json.dumps({"id": 1, "result": {"status": {}}}).encode(), NOW_NS + 3)
    assert hot.counts["ignored.answer"] == 1


def test_session_without_a_listing_waits() -> None:
    """There is nothing to subscribe and nothing to be silent."""
    hot, _ = listed(Sink(), []).connections()
    hot.start(NOW_NS)
    hot.on_timeout(NOW_NS + 20 * NANOS_PER_SECOND)

    assert hot.frames_to_send() == []
    assert hot.next_timeout_ns == NOW_NS + PING_NS
