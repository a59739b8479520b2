"""Life of Aevo's websocket session: pings, silence, loss."""

from math import isnan, nan

import pytest

from fakes.aevo_lab import (
    CALL,
    NOW_NS,
    PUT,
    STAMP,
    books,
    chain,
    index,
    listed,
    option_row,
    pong,
    push,
    refusal,
    row,
    running,
    sent,
    settle,
    tickers,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.endpoints import PING_NS, REQUEST_TIMEOUT_NS
from volgauge.adapters.base import State
from volgauge.domain.events import FeedDown, FeedUp, ForwardMark
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation


def test_first_aevo_data_make_the_feed_live_once() -> None:
    """An acknowledgement is no data."""
    sink = Sink()
    (protocol,) = listed(sink, [option_row()]).connections()
    protocol.start(NOW_NS)
    settle(protocol, NOW_NS)
    assert sink.of(FeedUp) == []
    assert protocol.state is State.SUBSCRIBING

    protocol.receive(books(), NOW_NS + 5)
    protocol.receive(books(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("chain", NOW_NS + 5)]
    assert [quote[-1] for quote in sink.quotes] == [NOW_NS + 5, NOW_NS + 6]


def test_ping_is_an_operation_well_inside_the_limit() -> None:
    """Every five minutes of the fifteen; its answer is awaited."""
    protocol = running(listed(Sink(), [option_row()], reconnect_after_seconds=3_600.0))
    assert 2 * PING_NS < 15 * NANOS_PER_MINUTE
    for count in (1, 2):
        due_ns = NOW_NS + count * PING_NS
        assert protocol.next_timeout_ns == due_ns
        protocol.on_timeout(due_ns)
        (request,) = sent(protocol)
        assert request == {"op": "ping", "id": request["id"]}
        protocol.receive(pong(request), due_ns + 1)
        protocol.on_timeout(due_ns + 2)


def test_aevo_ping_without_an_answer_ends_the_session() -> None:
    """The other end is gone, whatever the socket says."""
    protocol = running(listed(Sink(), [option_row()], reconnect_after_seconds=3_600.0))
    protocol.on_timeout(NOW_NS + PING_NS)

    with pytest.raises(FeedStale, match="ping is not answered"):
        protocol.on_timeout(NOW_NS + PING_NS + REQUEST_TIMEOUT_NS)


def test_refused_aevo_ping_is_an_answer() -> None:
    """Who refuses lives."""
    protocol = running(listed(Sink(), [option_row()], reconnect_after_seconds=3_600.0))
    protocol.on_timeout(NOW_NS + PING_NS)
    (request,) = sent(protocol)
    protocol.receive(refusal(request, "BAD_REQUEST"), NOW_NS + PING_NS)
    protocol.on_timeout(NOW_NS + PING_NS + REQUEST_TIMEOUT_NS)

    assert protocol.counts == {"request_refused": 1}


def test_aevo_answers_do_not_count_as_data() -> None:
    """Silent venue, living answers."""
    protocol = running(listed(Sink(), [option_row()], reconnect_after_seconds=301.0))
    protocol.on_timeout(NOW_NS + PING_NS)
    (request,) = sent(protocol)
    protocol.receive(pong(request), NOW_NS + PING_NS)

    with pytest.raises(FeedStale, match="no data for 301"):
        protocol.on_timeout(NOW_NS + 301 * NANOS_PER_SECOND)


def test_aevo_pulse_keeps_a_quiet_socket_alive() -> None:
    """Nobody quotes, the index moves."""
    protocol = running(listed(Sink(), chain([60_000])))
    for second in range(1, 120):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        protocol.receive(index(), now_ns)
        protocol.on_timeout(now_ns)

    assert protocol.state is State.LIVE


def test_lost_aevo_connection_takes_everything_along() -> None:
    """Quotes and forwards of the whole venue; it has no other connection."""
    sink = Sink()
    protocol = running(listed(sink, chain([60_000])))
    protocol.receive(books(row(CALL), row(PUT)), NOW_NS + 1)
    protocol.disconnected(NOW_NS + 9, "lost")

    (down,) = sink.of(FeedDown)
    assert (down.connection, down.slots, down.reason) == ("chain", (0, 1, 2, 3), "lost")
    assert down.feeds_forwards
    assert protocol.next_timeout_ns is None
    protocol.disconnected(NOW_NS + 10, "twice")
    assert len(sink.of(FeedDown)) == 1


def test_session_that_never_began_is_not_lost() -> None:
    """Nothing was told."""
    sink = Sink()
    (protocol,) = listed(sink, [option_row()]).connections()
    protocol.disconnected(NOW_NS, "refused")

    assert sink.of(FeedDown) == []


def test_next_session_tells_the_same_top_again() -> None:
    """Its stamp may be the one that was told before, or older: it is news all the same."""
    sink = Sink()
    protocol = running(listed(sink, [option_row()]))
    protocol.receive(books(), NOW_NS)
    protocol.receive(index(), NOW_NS)
    protocol.disconnected(NOW_NS + 1, "lost")
    protocol.start(NOW_NS + 2)
    protocol.receive(books(stamp=STAMP - NANOS_PER_SECOND), NOW_NS + 3)
    protocol.receive(index(), NOW_NS + 4)

    assert len(sink.quotes) == 2
    assert [event.received_ns for event in sink.of(ForwardMark)] == [NOW_NS, NOW_NS + 4]
    assert not any(isnan(event.price) for event in sink.of(ForwardMark))


def test_dead_book_ticker_is_contradicted_by_the_throttled_one() -> None:
    """A top that it has not told for two seconds: the other quotes, and it is asked for anew."""
    sink = Sink()
    protocol = running(listed(sink, [option_row()]))
    protocol.receive(books(), NOW_NS)
    fresh = STAMP + 1_999_999_999
    protocol.receive(tickers(row(bid=("2600", "1")), stamp=fresh), NOW_NS)
    assert len(sink.quotes) == 1
    protocol.receive(tickers(row(bid=("2600", "1")), stamp=fresh + 1), NOW_NS)
    protocol.on_timeout(NOW_NS)

    assert [quote[1:3] for quote in sink.quotes] == [(2500.0, 2510.0), (2600.0, 2510.0)]
    assert protocol.counts["books_contradicted"] == 1
    (drop,) = sent(protocol)
    assert (drop["op"], drop["data"]) == ("unsubscribe", ["book-ticker:BTC:OPTION"])
    protocol.receive(b'{"id":%d,"data":[]}' % drop["id"], NOW_NS)
    (again,) = sent(protocol)
    assert (again["op"], again["data"]) == ("subscribe", ["book-ticker:BTC:OPTION"])


def test_contradicted_channel_is_asked_for_four_times_a_minute_at_most() -> None:
    """The throttled ticker quotes meanwhile, and the book ticker again when it speaks."""
    sink = Sink()
    protocol = running(listed(sink, [option_row()]))
    asked = 0
    for second in range(60):
        now_ns, stamp = NOW_NS + second * NANOS_PER_SECOND, STAMP + second * NANOS_PER_SECOND
        protocol.receive(index(), now_ns)
        if second % 6 == 0:
            protocol.receive(books(stamp=stamp), now_ns)
        seen = row(bid=(str(3000 + second), "1"))
        protocol.receive(tickers(seen, stamp=stamp), now_ns)
        protocol.on_timeout(now_ns)
        for request in sent(protocol):
            asked += request["op"] == "unsubscribe"
            protocol.receive(b'{"id":%d,"data":["book-ticker:BTC:OPTION"]}' % request["id"], now_ns)

    assert asked == 4
    assert sink.quotes[-1][1] == 3059.0


def test_same_top_without_a_side_is_no_contradiction() -> None:
    """Absent is absent in both."""
    sink = Sink()
    protocol = running(listed(sink, [option_row()]))
    protocol.receive(books(row(bid=None)), NOW_NS)
    protocol.receive(tickers(row(bid=None), stamp=STAMP + 10**10), NOW_NS)

    assert sink.quotes == [pytest.approx((0, nan, 2510.0, nan, 4.5, STAMP, NOW_NS), nan_ok=True)]
    assert protocol.counts == {}


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (push("trades:BTC-PERP", {"trade_id": "1"}), "ignored.channel"),
        (b'{"status":"hello"}', "ignored.frame"),
        (b"{}", "ignored.frame"),
    ],
)
def test_unknown_aevo_frame_is_counted(frame: bytes, reason: str) -> None:
    """And the session goes on."""
    protocol = running(listed(Sink(), [option_row()]))
    protocol.receive(frame, NOW_NS)

    assert protocol.counts == {reason: 1}


@pytest.mark.parametrize(
    "frame",
    [b"", b"pong", b"[]", b'{"channel":"index:BTC","data":{"price":"x","timestamp":"1"}}',
     push("book-ticker:BTC:OPTION", {"timestamp": "1"}), push("index:BTC", {"price": "1"}),
     push("book-ticker:BTC:OPTION", {"timestamp": "-1", "tickers": []})],
)  # fmt: skip
def test_frame_outside_the_schema_ends_the_session(frame: bytes) -> None:
    """The venue is not what we take it for."""
    protocol = running(listed(Sink(), [option_row()]))
    with pytest.raises(ProtocolViolation):
        protocol.receive(frame, NOW_NS)
