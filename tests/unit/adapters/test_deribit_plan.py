"""Which channels go where, within the venue's limits on requests."""

import itertools
import json

import pytest

from fakes.deribit_lab import (
    FAR,
    NEAR,
    NOW_NS,
    Sink,
    answer,
    bodies,
    chain,
    future_row,
    listed,
    option_row,
    refusal,
    sent,
    settle,
)
from volgauge.adapters.deribit.endpoints import (
    MAX_CHANNELS,
    MAX_REQUEST_BYTES,
    REQUEST_BURST,
    REQUEST_SPACING_NS,
)
from volgauge.adapters.deribit.plan import cut_request
from volgauge.adapters.deribit.protocol import DeribitProtocol
from volgauge.adapters.pacing import Pacer
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation

BIG = chain(range(20_000, 20_000 + 500 * 212, 500))  # 848 options


def channels_of(protocol: DeribitProtocol) -> list[str]:
    """What a willing venue is asked for from a fresh start."""
    protocol.start(NOW_NS)
    asked: list[str] = []
    now_ns = NOW_NS
    for _ in range(50):
        for request in sent(protocol, "public/subscribe"):
            asked += request["params"]["channels"]
            protocol.receive(answer(request, request["params"]["channels"]), now_ns)
        now_ns += NANOS_PER_SECOND // 2
        if protocol.next_timeout_ns is None or protocol.next_timeout_ns > now_ns:
            break
        protocol.on_timeout(now_ns)
    return asked


def test_expiries_are_split_by_distance() -> None:
    """Up to `hot_days` on their own socket; the rest on another."""
    hot, wings, _ = listed(Sink(), chain([50_000]), hot_days=45.0).connections()

    assert channels_of(hot) == [
        "deribit_price_index.btc_usd",
        "quote.BTC-31JUL26-50000-C",
        "quote.BTC-31JUL26-50000-P",
    ]
    assert channels_of(wings) == [
        "deribit_price_index.btc_usd",
        "quote.BTC-25DEC26-50000-C",
        "quote.BTC-25DEC26-50000-P",
    ]


def test_market_carries_everything_that_is_no_option_quote() -> None:
    """Futures of listed expiries, indices, marks, announcements; a forward where no future is."""
    rows = [
        *chain([40_000, 50_000, 60_000]),
        future_row("BTC-31JUL26", NEAR),
        future_row("BTC-30OCT26", "2026-10-30T08:00:00Z"),
        *chain([150], [NEAR], "SOL", "SOL_USDC"),
    ]
    _, _, market = listed(Sink(), rows, assets=()).connections()

    assert set(channels_of(market)) == {
        "deribit_price_index.btc_usd",
        "deribit_price_index.sol_usdc",
        "quote.BTC-31JUL26",
        "ticker.BTC-25DEC26-50000-P.100ms",
        "ticker.SOL_USDC-31JUL26-150-P.100ms",
        "deribit_volatility_index.btc_usd",
        "markprice.options.btc_usd",
        "instrument.state.option.BTC",
        "instrument.creation.option.BTC",
        "instrument.state.option.USDC",
        "instrument.creation.option.USDC",
        "platform_state",
        "platform_state.public_methods_state",
    }


def test_depth_is_asked_for_on_hot_expiries_instead_of_quotes() -> None:
    """One source a leg; far expiries stay with the best bid and offer."""
    hot, wings, _ = listed(Sink(), chain([50_000]), depth_levels=5).connections()

    assert channels_of(hot)[1:] == [
        "book.BTC-31JUL26-50000-C.100ms",
        "book.BTC-31JUL26-50000-P.100ms",
    ]
    assert all(not channel.startswith("book.") for channel in channels_of(wings))


def test_no_request_breaks_the_limits_for_a_whole_chain() -> None:
    """848 options: at most 500 channels and 32,768 bytes a request, each channel once."""
    asked: list[str] = []
    for protocol in listed(Sink(), BIG).connections():
        protocol.start(NOW_NS)
        now_ns = NOW_NS
        for _ in range(20):
            for frame in protocol.frames_to_send():
                request = json.loads(frame)
                assert len(frame) <= MAX_REQUEST_BYTES
                channels = request["params"].get("channels", [])
                assert len(channels) <= MAX_CHANNELS
                asked += channels
                if channels:
                    protocol.receive(answer(request, channels), now_ns)
            now_ns += NANOS_PER_SECOND // 3
            protocol.on_timeout(now_ns)

    quotes = [channel for channel in asked if channel.startswith("quote.")]
    assert len(quotes) == len(set(quotes)) == 848


def test_long_names_are_cut_by_bytes() -> None:
    """Bytes bind before the count does."""
    names = [f"quote.{'X' * 100}-{number}" for number in range(500)]

    taken = cut_request(names)

    assert len(json.dumps({"id": 1, "params": {"channels": taken}})) < MAX_REQUEST_BYTES
    assert len(taken) < 400
    assert taken == names[: len(taken)]


def test_requests_of_all_connections_share_one_pace() -> None:
    """A burst within the pool of budget, then one in 0.31 s: 3.3 a second."""
    pacer = Pacer(REQUEST_BURST, REQUEST_SPACING_NS)
    now_ns, turns = NOW_NS, []
    for _ in range(1_000):
        now_ns += 10_000_000
        if pacer.take(now_ns):
            turns.append(now_ns)

    in_first_tenth = [turn for turn in turns if turn <= NOW_NS + 100_000_000]
    assert len(in_first_tenth) == REQUEST_BURST
    later = turns[REQUEST_BURST:]
    assert min(b - a for a, b in itertools.pairwise(later)) >= 300_000_000
    # The venue's pool: 10 at once, 10,000 credits a second, 3,000 each.
    budget = 30_000.0
    for before, turn in zip([turns[0], *turns], turns, strict=False):
        budget = min(30_000.0, budget + (turn - before) / NANOS_PER_SECOND * 10_000) - 3_000
        assert budget >= 0.0


def test_shuffled_whole_acknowledgement_covers_the_plan() -> None:
    """The order of the answer means nothing."""
    sink = Sink()
    hot = listed(sink, chain([50_000])).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)

    assert [(c.connection, c.requested, c.accepted) for c in sink.of(Coverage)] == [("hot", 3, 3)]


def test_dropped_channel_is_asked_for_once_more_then_counted() -> None:
    """The venue drops silently; the engine is told what is missing."""
    sink = Sink()
    hot = listed(sink, chain([50_000])).connections()[0]
    hot.start(NOW_NS)
    lost = "quote.BTC-31JUL26-50000-P"
    asked = []
    now_ns = NOW_NS
    for _ in range(6):
        for request in sent(hot, "public/subscribe"):
            channels = request["params"]["channels"]
            asked.append(channels)
            hot.receive(answer(request, [c for c in channels if c != lost]), now_ns)
        now_ns += NANOS_PER_SECOND
        hot.on_timeout(now_ns)

    assert len(asked[0]) == 3
    assert asked[1:] == [[lost]]
    assert [(c.requested, c.accepted) for c in sink.of(Coverage)] == [(3, 2)]
    assert hot.counts["channels_uncovered"] == 1


def test_lost_comparison_channels_are_no_hole_in_the_coverage() -> None:
    """No price comes from the venue's own volatility index."""
    sink = Sink()
    market = listed(sink, [option_row(), future_row("BTC-31JUL26", NEAR)]).connections()[2]
    market.start(NOW_NS)
    now_ns = NOW_NS
    for _ in range(6):
        for request in sent(market, "public/subscribe"):
            channels = [c for c in request["params"]["channels"] if "volatility" not in c]
            market.receive(answer(request, channels), now_ns)
        now_ns += NANOS_PER_SECOND
        market.on_timeout(now_ns)

    assert [(c.requested, c.accepted) for c in sink.of(Coverage)] == [(2, 2)]


@pytest.mark.parametrize("code", [13778, -32602, 13020])
def test_refused_subscribe_is_an_acknowledgement_of_nothing(code: int) -> None:
    """The session lives; the coverage says the rest."""
    sink = Sink()
    hot = listed(sink, chain([50_000])).connections()[0]
    hot.start(NOW_NS)
    now_ns = NOW_NS
    for _ in range(6):
        for request in sent(hot, "public/subscribe"):
            hot.receive(refusal(code, "refused", request), now_ns)
        now_ns += NANOS_PER_SECOND
        hot.on_timeout(now_ns)

    assert [(c.requested, c.accepted) for c in sink.of(Coverage)] == [(3, 0)]
    assert hot.counts[f"request_refused.{code}"] == 2


def test_acknowledgement_that_is_no_list_of_names_ends_the_session() -> None:
    """Nothing can be audited against it."""
    hot = listed(Sink(), chain([50_000])).connections()[0]
    hot.start(NOW_NS)
    (request,) = sent(hot, "public/subscribe")

    with pytest.raises(ProtocolViolation):
        hot.receive(answer(request, {"accepted": 3}), NOW_NS)


def test_plan_follows_the_listing_within_a_session() -> None:
    """New options are subscribed, gone ones unsubscribed, the others left alone."""
    sink = Sink()
    adapter = listed(sink, chain([50_000, 60_000], [NEAR]))
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    now_ns = settle(hot, NOW_NS)
    adapter.on_catalog(bodies(adapter, chain([60_000, 70_000], [NEAR])), now_ns)
    requests = []
    for _ in range(4):
        for request in sent(hot):
            requests.append((request["method"], sorted(request["params"]["channels"])))
            hot.receive(answer(request, request["params"]["channels"]), now_ns)
        now_ns += NANOS_PER_SECOND
        hot.on_timeout(now_ns)

    assert requests == [
        ("public/unsubscribe", ["quote.BTC-31JUL26-50000-C", "quote.BTC-31JUL26-50000-P"]),
        ("public/subscribe", ["quote.BTC-31JUL26-70000-C", "quote.BTC-31JUL26-70000-P"]),
    ]
    assert sink.of(Coverage)[-1].accepted == 5


def test_expiry_that_comes_nearer_moves_to_the_hot_socket() -> None:
    """At the next listing after it has crossed `hot_days`."""
    adapter = listed(Sink(), chain([50_000]), hot_days=45.0)
    hot, wings, _ = adapter.connections()
    nearer_ns = NOW_NS + 150 * 24 * 3600 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([50_000], [FAR])), nearer_ns)

    assert "quote.BTC-25DEC26-50000-C" in channels_of(hot)
    assert "quote.BTC-25DEC26-50000-C" not in channels_of(wings)
