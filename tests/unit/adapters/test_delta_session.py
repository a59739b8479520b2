"""Life of Delta's websocket sessions: heartbeats, silence, loss."""

import pytest

from fakes.delta_lab import (
    CALL,
    FAR_CALL,
    NOW_NS,
    chain,
    frame,
    heartbeat,
    index,
    listed,
    option_row,
    running,
    settle,
    ticker,
    top,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.delta.endpoints import HEARTBEAT_LIMIT_NS
from volgauge.domain.events import FeedDown, FeedUp
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale


def test_first_delta_data_make_the_feed_live_once() -> None:
    """An answer is no data, nor is a heartbeat, nor news."""
    sink = Sink()
    hot, _, _ = listed(sink, [option_row()]).connections()
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    hot.receive(heartbeat(), NOW_NS)
    hot.receive(frame("announcements", event="new_contract"), NOW_NS)
    assert sink.of(FeedUp) == []
    assert hot.state is State.SUBSCRIBING

    hot.receive(top(), NOW_NS + 5)
    hot.receive(top(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("hot", NOW_NS + 5)]
    assert [quote[-1] for quote in sink.quotes] == [NOW_NS + 5, NOW_NS + 6]


def test_heartbeats_do_not_count_as_data() -> None:
    """Silent venue, living socket."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=30.0).connections()[0])
    for second in range(5, 30, 5):
        hot.receive(heartbeat(), NOW_NS + second * NANOS_PER_SECOND)
        hot.on_timeout(NOW_NS + second * NANOS_PER_SECOND)

    with pytest.raises(FeedStale, match="no data for 30"):
        hot.on_timeout(NOW_NS + 30 * NANOS_PER_SECOND)


def test_delta_without_heartbeats_is_dead() -> None:
    """35 s, as the venue says, whatever else comes."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    for second in range(1, 35):
        hot.receive(index(), NOW_NS + second * NANOS_PER_SECOND)
        hot.on_timeout(NOW_NS + second * NANOS_PER_SECOND)
    assert hot.next_timeout_ns == NOW_NS + HEARTBEAT_LIMIT_NS

    with pytest.raises(FeedStale, match="no heartbeat"):
        hot.on_timeout(NOW_NS + HEARTBEAT_LIMIT_NS)


def test_delta_pulse_keeps_a_quiet_socket_alive() -> None:
    """Far options at night: nobody quotes, the index moves."""
    _, wings, _ = listed(Sink(), chain([60_000])).connections()
    running(wings)
    for second in range(1, 120):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        wings.receive(index(), now_ns)
        if second % 30 == 0:
            wings.receive(heartbeat(), now_ns)
        wings.on_timeout(now_ns)

    assert wings.state is State.LIVE


def test_lost_tops_are_what_the_connection_fed() -> None:
    """Near options with `hot`; one that had no top yet is the tickers'."""
    sink = Sink()
    hot, wings, market = listed(sink, chain([60_000])).connections()
    for protocol in (hot, wings, market):
        running(protocol)
    hot.receive(top(), NOW_NS + 1)
    wings.receive(top(FAR_CALL), NOW_NS + 1)
    hot.disconnected(NOW_NS + 9, "lost")

    assert [(e.connection, e.slots) for e in sink.of(FeedDown)] == [("hot", (0,))]
    assert (hot.state, hot.next_timeout_ns) == (State.IDLE, None)
    hot.disconnected(NOW_NS + 10, "again")
    assert len(sink.of(FeedDown)) == 1


def test_tickers_quote_where_tops_do_not_come() -> None:
    """Before the first, and after the connection is lost; their own loss takes only those."""
    sink = Sink()
    hot, _, market = listed(sink, chain([60_000])).connections()
    for protocol in (hot, market):
        running(protocol)
    market.receive(ticker(), NOW_NS + 1)
    hot.receive(top(), NOW_NS + 2)
    market.receive(ticker(), NOW_NS + 3)
    hot.disconnected(NOW_NS + 4, "lost")
    market.receive(ticker(), NOW_NS + 5)

    bids = [(quote[1], quote[-1] - NOW_NS) for quote in sink.quotes]
    assert bids == [(2_490.0, 1), (2_500.0, 2), (2_490.0, 5)]
    running(hot, NOW_NS + 6)
    hot.receive(top(), NOW_NS + 7)
    market.disconnected(NOW_NS + 8, "lost")
    assert sink.of(FeedDown)[-1].slots == (1, 2, 3)


def test_delta_session_begins_anew() -> None:
    """Everything is asked for again, one request at a time."""
    sink = Sink()
    hot, _, _ = listed(sink, [option_row()]).connections()
    running(hot)
    hot.disconnected(NOW_NS + 1, "lost")
    running(hot, NOW_NS + 2)
    hot.receive(top(CALL), NOW_NS + 3)

    assert len(sink.of(FeedUp)) == 2
    assert len(sink.quotes) == 1
