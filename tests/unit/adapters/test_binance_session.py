"""Life of Binance's websocket sessions: silence, loss, and the change of places after a day."""

from math import isnan

import pytest

from fakes.binance_lab import (
    CALL,
    FAR_CALL,
    NOW_MS,
    NOW_NS,
    PUT,
    RIPPLE,
    bodies,
    connection,
    indices,
    listed,
    mark,
    marks,
    option_row,
    running,
    sent,
    settle,
    top,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.adapters.binance.endpoints import HANDOVER_NS, REQUEST_TIMEOUT_NS
from volgauge.domain.events import Coverage, FeedDown, FeedUp, ForwardMark, Gap
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.errors import FeedStale

TEN_SECONDS = 10 * NANOS_PER_SECOND


def after(seconds: float) -> int:
    """An instant of the test."""
    return NOW_NS + round(seconds * NANOS_PER_SECOND)


def open_both(sink: Sink, **settings: float) -> BinanceAdapter:
    """Near and far options; both routes live, the near call streamed."""
    adapter = listed(sink, [option_row(), option_row(PUT), option_row(FAR_CALL)], **settings)
    running(connection(adapter, "market"), marks([mark(CALL), mark(PUT), mark(FAR_CALL)]))
    running(connection(adapter, "hot-1"), top())
    return adapter


def show(adapter: BinanceAdapter, second: float, **prices: str) -> None:
    """A chain, at a second of the test; `prices` are the bids of the call and the put."""
    stamp = NOW_MS + round(second * 1e3)
    rows = [
        mark(CALL, E=stamp, bo=prices.get("call", "3000")),
        mark(PUT, E=stamp, bo=prices.get("put", "3000")),
        mark(FAR_CALL, E=stamp),
    ]
    connection(adapter, "market").receive(marks(rows), after(second))


def test_first_chain_makes_the_feed_live() -> None:
    """An answer is no data, and neither are indices."""
    sink = Sink()
    market = connection(listed(sink, [option_row()]), "market")
    market.start(NOW_NS)
    settle(market, NOW_NS)
    market.receive(indices(), NOW_NS)
    assert market.state is State.SUBSCRIBING
    market.receive(marks([mark()]), NOW_NS + 5)
    market.receive(marks([mark(E=NOW_MS + 1000)]), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("market", NOW_NS + 5)]


def test_wrong_route_is_left_after_ten_seconds() -> None:
    """Everything is answered, and silent."""
    market = connection(listed(Sink(), [option_row()]), "market")
    market.start(NOW_NS)
    settle(market, NOW_NS)
    market.receive(indices(), after(9))
    assert market.next_timeout_ns == NOW_NS + TEN_SECONDS

    with pytest.raises(FeedStale, match="no data"):
        market.on_timeout(NOW_NS + TEN_SECONDS)


def test_request_without_an_answer_ends_the_session() -> None:
    """The other end is gone."""
    hot = connection(listed(Sink(), [option_row()]), "hot-1")
    hot.start(NOW_NS)

    with pytest.raises(FeedStale, match="not answered"):
        hot.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)


def test_quiet_hot_connection_is_left_alone() -> None:
    """Nothing moved, as the chain shows."""
    adapter = open_both(Sink())
    for second in range(1, 60):
        show(adapter, second)
        connection(adapter, "hot-1").on_timeout(after(second))

    assert connection(adapter, "hot-1").state is State.LIVE


def test_hot_connection_that_misses_a_move_is_left() -> None:
    """The wrong route again: silent while prices move."""
    adapter = open_both(Sink())
    hot = connection(adapter, "hot-1")
    for second in range(3, 10):
        show(adapter, second, call="2900")
        hot.on_timeout(after(second))
    assert hot.counts["streams_silent"] == 1

    with pytest.raises(FeedStale, match="no data"):
        hot.on_timeout(NOW_NS + TEN_SECONDS)


def test_one_silent_stream_is_asked_for_again() -> None:
    """While its neighbour speaks; silent still, it does not count as covered."""
    sink = Sink()
    adapter = open_both(sink)
    hot = connection(adapter, "hot-1")
    hot.frames_to_send()
    asked = []
    for second in range(3, 60):
        # A new price every six seconds, told by the chain alone.
        show(adapter, second, put=str(2000 + second // 6))
        stamp = NOW_MS + second * 1000
        hot.receive(top(T=stamp, u=second), after(second))
        hot.on_timeout(after(second))
        asked += [r for r in sent(hot) if r["method"] == "UNSUBSCRIBE"]
        settle_one(adapter, second)

    assert [r["params"] for r in asked][:2] == [["btc-260731-60000-p@bookTicker"]] * 2
    told = [e for e in sink.of(Coverage) if e.connection == "hot-1"]
    assert [(e.requested, e.accepted) for e in told] == [(2, 2), (2, 1)]


def settle_one(adapter: BinanceAdapter, second: float) -> None:
    """Answer what the hot connection has asked for."""
    hot = connection(adapter, "hot-1")
    for number in list(hot._requests.open):
        hot.receive(b'{"result":null,"id":%d}' % number, after(second))
    hot.on_timeout(after(second) + NANOS_PER_SECOND // 3)
    settle(hot, after(second) + NANOS_PER_SECOND // 3)


def test_one_silent_chain_is_asked_for_again_and_withdrawn() -> None:
    """The other underlying is not disturbed."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(RIPPLE)])
    market = running(connection(adapter, "market"), marks([mark(), mark(RIPPLE)]))
    market.frames_to_send()
    sink.events.clear()
    for second in range(1, 11):
        market.receive(marks([mark(E=NOW_MS + second * 1000)]), after(second))
    market.on_timeout(NOW_NS + TEN_SECONDS)

    assert [(e.slots, e.reason) for e in sink.of(Gap)] == [((1,), "silent")]
    withdrawn = [e.asset for e in sink.of(ForwardMark) if isnan(e.price)]
    assert withdrawn == ["XRP"]
    assert market.counts["chains_silent"] == 1
    (request,) = sent(market)
    assert (request["method"], request["params"]) == ("UNSUBSCRIBE", ["xrpusdt@optionMarkPrice"])


def test_lost_market_takes_what_only_chains_quote() -> None:
    """The streamed option is quoted still; no forward is."""
    sink = Sink()
    adapter = open_both(sink)
    connection(adapter, "market").disconnected(after(5), "lost")

    (event,) = sink.of(FeedDown)
    assert (event.connection, event.slots, event.reason) == ("market", (1, 2), "lost")
    assert event.feeds_forwards
    assert connection(adapter, "market").state is State.IDLE


def test_lost_hot_connection_loses_nothing_while_chains_come() -> None:
    """The next chain quotes its options."""
    sink = Sink()
    adapter = open_both(sink)
    connection(adapter, "hot-1").disconnected(after(0.5), "lost")
    assert sink.of(FeedDown) == []
    assert sink.of(Gap) == []
    sink.quotes.clear()
    show(adapter, 1)

    assert [quote[0] for quote in sink.quotes] == [0, 1, 2]


def test_last_connection_takes_its_quotes_along() -> None:
    """Nobody quotes its options then."""
    sink = Sink()
    adapter = open_both(sink)
    connection(adapter, "market").disconnected(after(1), "lost")
    connection(adapter, "hot-1").disconnected(after(2), "lost")

    assert [(e.slots, e.reason) for e in sink.of(Gap)] == [((0,), "feed_lost")]


def test_new_binance_session_subscribes_everything_again() -> None:
    """The venue remembers nothing of the one before."""
    adapter = open_both(Sink())
    hot = connection(adapter, "hot-1")
    hot.disconnected(after(1), "lost")
    assert (hot.state, hot.next_timeout_ns) == (State.IDLE, None)
    hot.start(after(2))

    assert len(sent(hot)[0]["params"]) == 2


@pytest.mark.parametrize("name", ["market", "hot-1"])
def test_spare_is_called_before_the_day_is_over(name: str) -> None:
    """Opened, subscribed, delivering: only then the old one goes, and the engine hears nothing."""
    sink = Sink()
    adapter = open_both(sink, reconnect_after_seconds=1e6)
    first, spare = connection(adapter, name), connection(adapter, f"{name}-spare")
    late_ns = NOW_NS + HANDOVER_NS
    first.on_timeout(late_ns)
    assert [p.state for p in (first, spare)] == [State.LIVE, State.IDLE]
    assert first.counts["handover_begun"] == 1
    spare.start(late_ns)
    settle(spare, late_ns)
    assert sink.of(FeedUp)[1:] == []
    stamp = late_ns // NANOS_PER_MILLI
    spare.receive(marks([mark(E=stamp)]) if name == "market" else top(T=stamp, u=99), late_ns)

    assert [p.state for p in (first, spare)] == [State.SPARE, State.LIVE]
    first.receive(marks([mark()]), late_ns)
    assert first.counts["ignored.superseded"] == 1
    first.disconnected(late_ns, "handed_over")
    assert first.state is State.SPARE
    assert sink.of(FeedDown) == []
    assert sink.of(Gap) == []
    assert [event.connection for event in sink.of(FeedUp)] == ["market"]


def test_lead_that_ends_too_early_leaves_the_heir() -> None:
    """Told as a loss, and as a gain when the heir delivers."""
    sink = Sink()
    adapter = open_both(sink, reconnect_after_seconds=1e6)
    first, spare = connection(adapter, "market"), connection(adapter, "market-spare")
    late_ns = NOW_NS + HANDOVER_NS
    first.on_timeout(late_ns)
    spare.start(late_ns)
    first.disconnected(late_ns + 1, "closed")
    assert len(sink.of(FeedDown)) == 1
    settle(spare, late_ns)
    spare.receive(marks([mark(E=late_ns // NANOS_PER_MILLI)]), late_ns + 2)

    assert (first.state, spare.state) == (State.SPARE, State.LIVE)
    assert len(sink.of(FeedUp)) == 2


def test_lost_heir_leaves_the_lead() -> None:
    """It comes again by itself."""
    sink = Sink()
    adapter = open_both(sink, reconnect_after_seconds=1e6)
    first, spare = connection(adapter, "market"), connection(adapter, "market-spare")
    late_ns = NOW_NS + HANDOVER_NS
    first.on_timeout(late_ns)
    spare.start(late_ns)
    spare.disconnected(late_ns, "lost")

    assert (first.state, spare.state) == (State.LIVE, State.IDLE)
    assert sink.of(FeedDown) == []


def test_connection_without_options_closes_and_may_open_again() -> None:
    """Both of its sessions; after that a hand-over is possible as ever."""
    sink = Sink()
    adapter = open_both(sink, reconnect_after_seconds=1e7)
    first, spare = connection(adapter, "hot-1"), connection(adapter, "hot-1-spare")
    late_ns = NOW_NS + HANDOVER_NS
    first.on_timeout(late_ns)
    spare.start(late_ns)
    expiry_ns = parse_instant("2026-07-31T08:00:00Z")
    connection(adapter, "market").on_timeout(expiry_ns)
    assert [p.state for p in (first, spare)] == [State.SPARE, State.SPARE]
    for protocol in (first, spare):
        protocol.disconnected(expiry_ns, "handed_over")
    adapter.on_catalog(bodies([option_row("BTC-260828-60000-C")]), expiry_ns)
    assert [p.state for p in (first, spare)] == [State.IDLE, State.SPARE]
    running(first, top("BTC-260828-60000-C"), expiry_ns)
    first.on_timeout(expiry_ns + HANDOVER_NS)

    assert spare.state is State.IDLE
