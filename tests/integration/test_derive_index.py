"""From the simulated Derive's frames to an index: what is discounted comes out undiscounted."""

from urllib.parse import parse_qsl

import pytest

from volgauge.domain.index import IndexValue, Source
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.pipeline import build_pipeline
from volgauge.settings import load
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-07-01T12:00:00Z")
STEP_NS = 5 * NANOS_PER_MILLI
STEPS = 800
Records = dict[tuple[str, float], IndexValue]


@pytest.fixture(scope="module")
def run() -> tuple[Market, Records]:
    """Four seconds of a market, without sockets: the venue, the adapter, the engine."""
    market = Market(
        MarketOptions(
            seed=3, currencies=("BTC", "ETH"), start_ns=START_NS, rate=1_500.0, step_ns=STEP_NS
        )
    )
    host = DeriveVenue(market, 3)
    enabled = {"venues.deribit.enabled": False, "venues.derive.enabled": True}
    engine, adapters = build_pipeline(load(None, {}, enabled), Source.SIMULATED)
    (adapter,) = adapters.values()
    while adapter.catalog_due_ns <= market.now_ns:
        bodies = {}
        for request in adapter.catalog_requests():
            path, _, query = request.path.partition("?")
            bodies[request.name] = host.answer(path, dict(parse_qsl(query)))[1]
        adapter.on_catalog(bodies, market.now_ns)
    protocols = adapter.connections()
    sessions = [host.open(0.0, number) for number in range(len(protocols))]
    for protocol in protocols:
        protocol.start(market.now_ns)
    for _ in range(STEPS):
        for protocol, session in zip(protocols, sessions, strict=True):
            if protocol.next_timeout_ns is not None and protocol.next_timeout_ns <= market.now_ns:
                protocol.on_timeout(market.now_ns)
            for request_frame in protocol.frames_to_send():
                session.receive(request_frame, (market.now_ns - START_NS) / NANOS_PER_SECOND)
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
@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_index_of_discounted_slim_tickers_is_the_truth(
    run: tuple[Market, Records], asset: str, tenor: float
) -> None:
    """At three per cent a year; half a digit of the factor is a hundredth of a point."""
    market, records = run
    truth = market.constant_tenor(asset, tenor)

    value = records[asset, tenor].value
    assert value == pytest.approx(truth.corridor, abs=0.15)
