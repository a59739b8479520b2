"""Which of Binance's streams go on which connection, and how they are asked for."""

import pytest

from fakes.binance_lab import (
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
    PUT,
    RIPPLE,
    answer,
    bodies,
    chain,
    connection,
    listed,
    make,
    option_row,
    refusal,
    rest_mark,
    sent,
    settle,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.binance.endpoints import MAX_STREAMS, REQUEST_SPACING_NS
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation, RateLimited


def streams_of(adapter_rows: list[dict[str, object]], name: str, **settings: int) -> list[str]:
    """What a connection subscribes to."""
    session = connection(listed(Sink(), adapter_rows, **settings), name)
    session.start(NOW_NS)
    return settle(session, NOW_NS)


def test_market_has_every_chain() -> None:
    """Chains of all underlyings, indices, new symbols, open interest by expiry."""
    rows = [option_row(), option_row(FAR_CALL), option_row(RIPPLE)]

    assert streams_of(rows, "market") == [
        "btcusdt@optionMarkPrice", "xrpusdt@optionMarkPrice", "!index@arr", "!optionSymbol",
        "btcusdt@optionOpenInterest@260731", "xrpusdt@optionOpenInterest@260731",
        "btcusdt@optionOpenInterest@261225",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("levels", "suffix"),
    [(0, "bookTicker"), (1, "depth5@100ms"), (6, "depth10@100ms"), (20, "depth20@100ms")],
)
def test_near_options_have_a_stream_of_their_own(levels: int, suffix: str) -> None:
    """Lower-case names."""
    rows = [option_row(), option_row(PUT), option_row(FAR_CALL)]

    assert streams_of(rows, "hot-1", depth_levels=levels) == [
        f"btc-260731-60000-c@{suffix}", f"btc-260731-60000-p@{suffix}",
    ]  # fmt: skip


def test_routes_are_apart() -> None:
    """A stream on the other one is silent."""
    adapter = make(Sink(), ws_url="ws://127.0.0.1:9/")

    assert connection(adapter, "market").url == "ws://127.0.0.1:9/market/stream"
    assert connection(adapter, "hot-1").url == "ws://127.0.0.1:9/public/stream"
    assert connection(make(Sink()), "hot-6").url == "wss://fstream.binance.com/public/stream"


def test_connections_that_nothing_needs_stay_closed() -> None:
    """201 streams need a second one, and share both."""
    sink = Sink()
    adapter = listed(sink, chain(range(1_000, 1_100), (NEAR,)))
    states = {p.connection: p.state for p in adapter.connections()}
    assert [n for n, state in states.items() if state is State.IDLE] == ["market", "hot-1"]

    adapter.on_catalog(bodies(chain(range(1_000, 1_101), (NEAR,))), NOW_NS)

    plans = {p.connection: len(p.subscriptions.plan) for p in adapter.connections()}
    assert (plans["hot-1"], plans["hot-2"], plans["hot-3"]) == (200, 2, 0)
    assert connection(adapter, "hot-2").state is State.IDLE


def test_newcomers_share_the_connections_evenly() -> None:
    """One is not full of the liveliest options while another sleeps."""
    adapter = listed(Sink(), chain(range(1_000, 1_150), (NEAR,)))

    plans = [len(connection(adapter, f"hot-{n}").subscriptions.plan) for n in (1, 2, 3)]
    assert plans == [150, 150, 0]


def test_options_near_the_money_go_first_when_not_all_fit() -> None:
    """By the delta of the venue's marks; the others are quoted by the chain."""
    rows = chain(range(1_000, 1_700), (NEAR,))
    near = {f"BTC-{NEAR}-{strike}-{right}" for strike in range(1_300, 1_350) for right in "CP"}
    told = [
        rest_mark(row["symbol"], delta="-0.49" if row["symbol"] in near else "0.01") for row in rows
    ]
    adapter = make(Sink())
    adapter.on_catalog(bodies(rows, told), NOW_NS)

    streamed = {about for p in adapter.connections() for about in p.subscriptions.plan.values()}
    assert near <= streamed
    hot = [connection(adapter, f"hot-{n}").subscriptions.plan for n in range(1, 7)]
    assert [len(plan) for plan in hot] == [MAX_STREAMS] * 6


def test_option_keeps_its_connection() -> None:
    """Others come and go."""
    adapter = listed(Sink(), chain(range(1_000, 1_150), (NEAR,)))
    before = dict(connection(adapter, "hot-2").subscriptions.plan)
    adapter.on_catalog(bodies(chain(range(1_000, 1_160), (NEAR,))), NOW_NS)

    assert before.items() <= dict(connection(adapter, "hot-2").subscriptions.plan).items()


def test_requests_are_cut_and_paced() -> None:
    """A hundred streams each, four a second."""
    hot = connection(listed(Sink(), chain(range(1_000, 1_100), (NEAR,))), "hot-1")
    hot.start(NOW_NS)
    (first,) = sent(hot)
    assert (first["method"], first["id"], len(first["params"])) == ("SUBSCRIBE", 1, 100)
    hot.on_timeout(NOW_NS + 1)
    assert sent(hot) == []
    assert hot.next_timeout_ns == NOW_NS + REQUEST_SPACING_NS
    hot.on_timeout(NOW_NS + REQUEST_SPACING_NS)

    (second,) = sent(hot)
    assert (second["id"], len(second["params"])) == (2, 100)


def test_coverage_is_told_once() -> None:
    """When everything is answered; indices and interest are no prices."""
    sink = Sink()
    market = connection(listed(sink, [option_row()]), "market")
    market.start(NOW_NS)
    settle(market, NOW_NS)
    market.on_timeout(NOW_NS + NANOS_PER_SECOND)

    assert [(e.connection, e.requested, e.accepted) for e in sink.of(Coverage)] == [
        ("market", 1, 1)
    ]


def test_refused_streams_are_asked_for_once_more_in_small_requests() -> None:
    """What the request was refused for is not told."""
    sink = Sink()
    hot = connection(listed(sink, chain(range(1_000, 1_006), (NEAR,))), "hot-1")
    hot.start(NOW_NS)
    sent(hot)
    hot.receive(refusal(1, 2, "Invalid request"), NOW_NS)
    later_ns = NOW_NS + NANOS_PER_SECOND
    hot.on_timeout(later_ns)
    (first,) = sent(hot)
    assert len(first["params"]) == 10
    hot.receive(answer(first["id"]), later_ns)
    hot.on_timeout(later_ns + NANOS_PER_SECOND)
    (second,) = sent(hot)
    hot.receive(refusal(second["id"], 2, "Invalid request"), later_ns)

    assert sink.of(Coverage)[-1].requested == 12
    assert sink.of(Coverage)[-1].accepted == 10
    assert hot.counts["request_refused.2"] == 2
    assert hot.counts["streams_uncovered"] == 2


def test_refusal_of_no_request_ends_the_session() -> None:
    """The venue cannot read us."""
    market = connection(listed(Sink(), [option_row()]), "market")
    market.start(NOW_NS)

    with pytest.raises(ProtocolViolation, match="request ID"):
        market.receive(
            refusal(None, 2, "Invalid request: request ID must be an unsigned integer"), NOW_NS
        )


def test_refusal_for_speed_ends_the_session() -> None:
    """And makes us wait."""
    market = connection(listed(Sink(), [option_row()]), "market")
    market.start(NOW_NS)

    with pytest.raises(RateLimited):
        market.receive(refusal(1, -1003, "Too many requests"), NOW_NS)


def test_streams_that_are_no_longer_wanted_are_dropped() -> None:
    """Dropped first, so that the newcomers fit."""
    adapter = listed(Sink(), chain(range(1_000, 1_100), (NEAR, FAR)))
    hot = connection(adapter, "hot-1")
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    assert len(hot.subscriptions.active) == MAX_STREAMS
    later_ns = NOW_NS + 60 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(chain(range(1_001, 1_101), (NEAR, FAR))), later_ns)
    (request,) = sent(hot)
    assert request["method"] == "UNSUBSCRIBE"
    assert sorted(request["params"]) == [
        "btc-260731-1000-c@bookTicker",
        "btc-260731-1000-p@bookTicker",
    ]

    hot.receive(answer(request["id"]), later_ns)
    assert sorted(settle(hot, later_ns)) == [
        "btc-260731-1100-c@bookTicker", "btc-260731-1100-p@bookTicker",
    ]  # fmt: skip
    assert len(hot.subscriptions.active) == MAX_STREAMS
