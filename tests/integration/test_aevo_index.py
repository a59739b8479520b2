"""From the simulated Aevo's frames to an index: a whole chain by one channel, and the truth."""

from urllib.parse import parse_qsl

import pytest

from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.kernels import layout as col
from volgauge.pipeline import build_pipeline
from volgauge.settings import load
from volgauge.simulator.aevo_venue import AevoVenue
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-07-01T12:00:00Z")
STEP_NS = 5 * NANOS_PER_MILLI
STEPS = 800
Records = dict[tuple[str, float], IndexValue]


@pytest.fixture(scope="module")
def run() -> tuple[Market, Records, float]:
    """Four seconds of a market, without sockets: the venue, the adapter, the engine."""
    market = Market(
        MarketOptions(
            seed=3, currencies=("BTC", "ETH"), start_ns=START_NS, rate=1_500.0, step_ns=STEP_NS
        )
    )
    host = AevoVenue(market, 3)
    enabled = {"venues.deribit.enabled": False, "venues.aevo.enabled": True}
    engine, adapters = build_pipeline(load(None, {}, enabled), Source.SIMULATED)
    (adapter,) = adapters.values()
    bodies = {}
    for request in adapter.catalog_requests():
        path, _, query = request.path.partition("?")
        bodies[request.name] = host.answer(path, dict(parse_qsl(query)))[1]
    adapter.on_catalog(bodies, market.now_ns)
    (protocol,) = adapter.connections()
    session = host.open(0.0, 1)
    protocol.start(market.now_ns)
    for _ in range(STEPS):
        if protocol.next_timeout_ns is not None and protocol.next_timeout_ns <= market.now_ns:
            protocol.on_timeout(market.now_ns)
        for request_frame in protocol.frames_to_send():
            session.receive(request_frame, (market.now_ns - START_NS) / NANOS_PER_SECOND)
        host.advance(market.advance())
        frames, session.out = session.out, []
        for frame in frames:
            protocol.receive(frame, market.now_ns)
        assert session.closing is None
        assert sum(protocol.counts.values()) == 0
    engine.timer(market.now_ns)
    records = engine.recompute(market.now_ns)
    found = {(str(r.asset), r.tenor_days): r for r in records if isinstance(r, IndexValue)}
    gap = max(
        abs(1.0 - book.inputs[row, col.FUTURE] / book.values[col.NATIVE, row, col.FORWARD])
        for book in engine.sink(Venue("aevo")).books.values()
        for row in range(len(book.expiries))
    )
    return market, found, float(gap)


@pytest.mark.parametrize("tenor", [30.0, 180.0])
@pytest.mark.parametrize("asset", ["BTC", "ETH"])
def test_index_of_tops_of_half_the_strikes_is_the_truth(
    run: tuple[Market, Records, float], asset: str, tenor: float
) -> None:
    """Of one venue alone, with wide quotes; a quarter of a point."""
    market, records, _ = run
    truth = market.constant_tenor(asset, tenor)

    assert records[asset, tenor].value == pytest.approx(truth.corridor, abs=0.25)


def test_stated_forward_agrees_with_the_options(run: tuple[Market, Records, float]) -> None:
    """A ratio of four seconds ago times the index: far inside the 0.3 % that would be flagged."""
    assert run[2] < 1e-3
