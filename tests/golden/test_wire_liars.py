"""One of five simulated venues lies on its wire: the composite moves by 0.05 points at most.

Held against the same market, to the draw, without the lie. All five speak their own protocols; the
market's volatility rises by 0.15 % a second meanwhile, so that a venue that stands still falls
behind.
"""

from collections.abc import Iterator

import pytest

from golden.venue_wires import FIRST, STEP_MS, Wires
from volgauge.domain.index import IndexValue
from volgauge.domain.instrument import Venue
from volgauge.domain.units import parse_instant
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.scenario import Scenario, Shock
from volgauge.simulator.server import SimulatorOptions

OTHERS = ("okx", "bybit", "binance", "derive")
START_NS = parse_instant("2026-06-23T12:00:00Z")
WARM_SECONDS, LIE_SECONDS = 7.0, 10.0
STEPS_A_SECOND = 10
DRIFT = 0.0015
"""Of the volatility in a second: nearly half a point in six."""
MOST = 0.05
LIES = {
    "+5 %": Lies(vol_ratio=1.05),
    "+20 %": Lies(vol_ratio=1.2),
    "-20 %": Lies(vol_ratio=0.8),
    "frozen": Lies(frozen=True),
    "crossed": Lies(crossed=True),
    "silent": Lies(silent=True),
}
Told = dict[int, IndexValue]


def run(seed: int, liar: str = "", lies: Lies | None = None) -> Told:
    """The headline by its instant, from when the lie begins."""
    steps = range(round(STEPS_A_SECOND * LIE_SECONDS))
    size = DRIFT / STEPS_A_SECOND
    ramp = tuple(
        Shock(at_seconds=WARM_SECONDS + i / STEPS_A_SECOND, asset="BTC", size=size) for i in steps
    )
    options = SimulatorOptions(
        currencies=("BTC",),
        rate=250.0,
        seed=seed,
        start_ns=START_NS,
        step_ms=STEP_MS,
        venues=OTHERS,
        scenario=Scenario(shocks=ramp),
    )
    wires = Wires(options, ("BTC",))
    list(wires.run(WARM_SECONDS))
    if lies is not None:
        tell(wires, liar, lies)
    return {r.computed_ns: r for r in wires.run(LIE_SECONDS) if r.tenor_days == 30.0}


def tell(wires: Wires, liar: str, lies: Lies) -> None:
    """From now on one venue lies."""
    if liar == FIRST:
        market = wires.simulator.venue.source
        assert isinstance(market, Market)
        market.lies = lies
        wires.simulator.venue.silent = lies.silent
    else:
        host = wires.simulator.dialects[liar]
        assert isinstance(host, OkxVenue | BybitVenue | BinanceVenue | DeriveVenue)
        host.lies = lies


def moves(honest: Told, lied: Told) -> Iterator[float]:
    """Distances of the two at the instants of either; each has a value there."""
    instants = honest.keys() & lied.keys()
    assert len(instants) >= 0.9 * len(honest)
    for at in instants:
        value, usual = lied[at].value, honest[at].value
        assert value is not None
        assert usual is not None
        yield abs(value - usual)


def test_the_heaviest_venue_stands_still_and_does_not_move_the_value() -> None:
    """Nearly half of the weight falls behind, and is without any at the end."""
    honest = run(5)
    lied = run(5, FIRST, LIES["frozen"])
    usual, last = list(honest.values())[-1], list(lied.values())[-1]
    weights = {venue: told.weight for venue, told in usual.venues.items()}
    assert max(weights, key=weights.__getitem__) == FIRST
    assert last.venues[Venue(FIRST)].weight < 0.01
    assert max(moves(honest, lied)) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("seed", [6, 7, 8])
def test_no_venue_moves_the_value_by_any_lie(seed: int) -> None:
    """Each of the five, every lie."""
    usual = run(seed)
    found = {
        (liar, name): max(moves(usual, run(seed, liar, lies)))
        for liar in (FIRST, *OTHERS)
        for name, lies in LIES.items()
    }
    assert {key: move for key, move in found.items() if not move <= MOST} == {}
