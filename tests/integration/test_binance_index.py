"""From the simulated Binance's frames to an index: what is discounted comes out undiscounted."""

import pytest

from volgauge.adapters.base import State
from volgauge.adapters.binance.endpoints import WS_URL
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.pipeline import build_pipeline
from volgauge.settings import load
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-07-01T12:00:00Z")
STEP_NS = 5 * NANOS_PER_MILLI
STEPS = 800


@pytest.fixture(scope="module")
def run() -> tuple[Market, dict[tuple[str, float], IndexValue]]:
    """Four seconds of a market, without sockets: the venue, the adapter, the engine."""
    market = Market(
        MarketOptions(
            seed=3, currencies=("BTC", "XRP_USDC"), start_ns=START_NS, rate=1_500.0, step_ns=STEP_NS
        )
    )
    host = BinanceVenue(market, 3)
    enabled = {"venues.deribit.enabled": False, "venues.binance.enabled": True}
    engine, adapters = build_pipeline(load(None, {}, enabled), Source.SIMULATED)
    (adapter,) = adapters.values()
    bodies = {r.name: host.answer(r.path, {})[1] for r in adapter.catalog_requests()}
    adapter.on_catalog(bodies, market.now_ns)
    protocols = [p for p in adapter.connections() if p.state is State.IDLE]
    sessions = [host.open_route(p.url.removeprefix(WS_URL), {}, 0.0, 1) for p in protocols]
    for protocol in protocols:
        protocol.start(market.now_ns)
    for _ in range(STEPS):
        for protocol, session in zip(protocols, sessions, strict=True):
            if protocol.next_timeout_ns is not None and protocol.next_timeout_ns <= market.now_ns:
                protocol.on_timeout(market.now_ns)
            for request in protocol.frames_to_send():
                session.receive(request, (market.now_ns - START_NS) / NANOS_PER_SECOND)
        host.advance(market.advance())
        for protocol, session in zip(protocols, sessions, strict=True):
            frames, session.out = session.out, []
            for frame in frames:
                protocol.receive(frame, market.now_ns)
            assert session.closing is None
            assert sum(protocol.counts.values()) == 0
    engine.timer(market.now_ns)
    records = engine.recompute(market.now_ns)
    return market, {(str(r.asset), r.tenor_days): r for r in records if isinstance(r, IndexValue)}


@pytest.mark.parametrize("tenor", [30.0, 180.0])
@pytest.mark.parametrize(("asset", "board"), [("BTC", "BTC"), ("XRP", "XRP_USDC")])
def test_index_of_discounted_premia_is_the_truth(
    run: tuple[Market, dict[tuple[str, float], IndexValue]], asset: str, board: str, tenor: float
) -> None:
    """Carry is six in a hundred: undiscounted by mistake, half a year would be a point off."""
    market, records = run
    truth = market.constant_tenor(board, tenor)

    value = records[asset, tenor].value
    assert value == pytest.approx(truth.corridor, abs=0.15)
