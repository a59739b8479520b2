"""Which of Delta's channels go where, and what becomes of the requests for them."""

import pytest

from fakes.delta_lab import (
    CALL,
    FAR,
    FAR_CALL,
    INDEX,
    NEAR,
    NOW_NS,
    Row,
    bodies,
    chain,
    frame,
    listed,
    option_row,
    requests,
    running,
    sent,
    settle,
    subscribed,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.delta.endpoints import (
    DROP_TIMEOUT_NS,
    REQUEST_SYMBOLS,
    REQUEST_TIMEOUT_NS,
)
from volgauge.adapters.delta.protocol import DeltaProtocol
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation

ETH_CALL = f"C-ETH-3000-{FAR}"


def asked(protocol: DeltaProtocol) -> list[tuple[str, str, list[str]]]:
    """All that a session asks for, answered one by one."""
    protocol.start(NOW_NS)
    return settle(protocol, NOW_NS)


def test_delta_channels_of_each_connection() -> None:
    """Tops near and far, tickers of all; each with the price of an index as its pulse."""
    rows = [option_row(), option_row(FAR_CALL), option_row(ETH_CALL)]
    hot, wings, market = listed(Sink(), rows, hot_days=45.0).connections()

    subscribe = "subscribe"
    assert asked(hot) == [
        (subscribe, "v2/spot_price", [".DEETHUSDT"]),
        (subscribe, "l1_orderbook", [CALL]),
    ]
    assert asked(wings) == [
        (subscribe, "v2/spot_price", [".DEETHUSDT"]),
        (subscribe, "l1_orderbook", [FAR_CALL, ETH_CALL]),
    ]
    assert asked(market) == [
        (subscribe, "v2/spot_price", [".DEETHUSDT", INDEX]),
        (subscribe, "announcements", []),
        (subscribe, "product_updates", []),
        (subscribe, "v2/ticker", [CALL, FAR_CALL, ETH_CALL]),
    ]


def test_heartbeat_is_enabled_before_anything_else() -> None:
    """As the venue recommends; a request has one channel."""
    hot, _, _ = listed(Sink(), [option_row()]).connections()
    hot.start(NOW_NS)

    assert sent(hot) == [
        {"type": "enable_heartbeat"},
        {
            "type": "subscribe",
            "payload": {"channels": [{"name": "v2/spot_price", "symbols": [INDEX]}]},
        },
    ]


def test_channel_without_symbols_names_none() -> None:
    """An empty list would ask for nothing."""
    market = listed(Sink(), [option_row()]).connections()[2]
    market.start(NOW_NS)
    sent(market)
    market.receive(subscribed({"name": "v2/spot_price", "symbols": [INDEX]}), NOW_NS)
    (request,) = sent(market)

    assert request["payload"] == {"channels": [{"name": "announcements"}]}


def test_delta_requests_are_of_so_many_symbols() -> None:
    """One at a time, cut at the limit."""
    rows = chain(range(50_000, 65_000, 100), [NEAR])
    hot, _, _ = listed(Sink(), rows).connections()

    counts = [len(symbols) for _, _, symbols in asked(hot)]
    assert counts == [1, REQUEST_SYMBOLS, len(rows) - REQUEST_SYMBOLS]


def test_delta_symbol_left_out_of_the_answer_is_asked_for_once_more() -> None:
    """Then it is counted, and told."""
    sink = Sink()
    hot, _, _ = listed(sink, chain([60_000], [NEAR])).connections()
    hot.start(NOW_NS)
    settle(hot, NOW_NS, refuse=[CALL])

    assert hot.counts["channels_refused"] == 2
    assert hot.counts["channels_uncovered"] == 1
    (told,) = sink.of(Coverage)
    assert (told.connection, told.requested, told.accepted) == ("hot", 2, 1)


def test_delta_channel_refused_as_a_whole() -> None:
    """It has an error in the place of its symbols."""
    sink = Sink()
    hot, _, _ = listed(sink, [option_row()]).connections()
    hot.start(NOW_NS)
    settle(hot, NOW_NS, refuse=[CALL, INDEX])

    assert hot.counts["channels_uncovered"] == 2
    assert sink.of(Coverage)[0].accepted == 0


def test_answer_of_another_channel_answers_nothing() -> None:
    """What is told may be of a request before."""
    hot, _, _ = listed(Sink(), [option_row()]).connections()
    hot.start(NOW_NS)
    sent(hot)
    hot.receive(subscribed({"name": "l1_orderbook", "symbols": [CALL]}), NOW_NS)
    assert hot.counts == {"ignored.answer": 1}
    hot.receive(subscribed({"name": "v2/spot_price", "symbols": [INDEX]}), NOW_NS)

    assert requests(hot) == [("subscribe", "l1_orderbook", [CALL])]


def test_unanswered_delta_subscribe_ends_the_session() -> None:
    """What is subscribed then is unknown."""
    hot, _, _ = listed(Sink(), [option_row()]).connections()
    hot.start(NOW_NS)
    assert hot.next_timeout_ns == NOW_NS + REQUEST_TIMEOUT_NS

    with pytest.raises(FeedStale, match="subscribe is not answered"):
        hot.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)


@pytest.mark.parametrize("answer", ["none", "subscriptions", "unsubscribed"])
def test_unsubscribe_is_done_however_it_is_answered(answer: str) -> None:
    """The documents do not say; meanwhile nothing else is asked."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(FAR_CALL)])
    hot = running(adapter.connections()[0])
    put = option_row("P-BTC-60000-310726")
    rows: list[Row] = [put, option_row(FAR_CALL)]
    adapter.on_catalog(bodies(rows), NOW_NS)
    assert requests(hot) == [("unsubscribe", "l1_orderbook", [CALL])]
    now_ns = NOW_NS + NANOS_PER_SECOND
    hot.on_timeout(now_ns)
    assert requests(hot) == []
    if answer == "none":
        now_ns = NOW_NS + DROP_TIMEOUT_NS
        hot.on_timeout(now_ns)
    else:
        hot.receive(frame(answer, channels=[]), now_ns)

    assert requests(hot) == [("subscribe", "l1_orderbook", ["P-BTC-60000-310726"])]


def test_refused_request_ends_the_session() -> None:
    """Such as the names of one format at the host of the other."""
    hot, _, _ = listed(Sink(), [option_row()]).connections()
    hot.start(NOW_NS)

    with pytest.raises(ProtocolViolation, match="Invalid channel array"):
        hot.receive(frame("error", message="Subscription forbidden: Invalid channel array"), NOW_NS)


def test_far_option_comes_near() -> None:
    """When its time has come it changes the connection."""
    adapter = listed(Sink(), [option_row(FAR_CALL)], hot_days=45.0)
    hot, wings, _ = adapter.connections()
    for protocol in (hot, wings):
        running(protocol)
    later_ns = NOW_NS + 140 * NANOS_PER_DAY
    adapter._plan(later_ns)

    assert requests(wings) == [("unsubscribe", "l1_orderbook", [FAR_CALL])]
    assert requests(hot) == [("subscribe", "l1_orderbook", [FAR_CALL])]
