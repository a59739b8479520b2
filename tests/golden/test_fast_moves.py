"""All volatilities move at once, faster than a venue renews its quotes: no silent wrong number.

One venue with two assets renews each of its quotes about every four seconds. Meanwhile a chain is a
mixture of old and new: strikes refuse one another, some expiry's curve rests on its extrapolation,
and expiries contradict each other. What the quotes say lies between the truths of that time; what
lies outside is made by the index, and must be covered by its own error.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec
import pytest

from golden.venue_wires import Wires
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.index.bundle import build_facts
from volgauge.index.evidence import EvidenceKeeper, Missing
from volgauge.offline.verify import read_bundle, verify
from volgauge.settings import IndexSettings
from volgauge.simulator.scenario import Scenario, Switch
from volgauge.simulator.server import SimulatorOptions

START_NS = parse_instant("2026-03-02T10:00:00Z")
ASSETS = ("BTC", "ETH")
ENGINE = "fast"
FALL_SECONDS, RISE_SECONDS, END_SECONDS = 12, 27, 42
STEPS = 8
RENEWED_SECONDS = 5.0
"""Within this nearly every quote is a new one, at 600 a second."""
POINTS = 2.0
"""Volatility points."""
ERRORS = 3.0

Tell = Callable[[str, object], None]


class Seen(NamedTuple):
    """One record of the headline."""

    seconds: float
    record: IndexValue
    truth: float
    low: float
    """Smallest truth of the last seconds, in which quotes were renewed."""
    high: float

    @property
    def room(self) -> float:
        """How far off it may be."""
        return max(ERRORS * (self.record.u or 0.0), POINTS)


class Moved(NamedTuple):
    """One run of a scenario."""

    seen: list[Seen]
    bundles: list[EvidenceBundle]
    """Of records whose expiries contradicted each other."""


SCENARIOS = {
    "6-9 % a second": Scenario(
        switches=tuple(
            Switch(at_seconds=first + step, level=level ** (1.0 / STEPS))
            for first, level in ((FALL_SECONDS, 0.6), (RISE_SECONDS, 2.0))
            for step in range(STEPS)
        )
    ),
    "at once": Scenario(
        switches=(
            Switch(at_seconds=FALL_SECONDS, level=0.6),
            Switch(at_seconds=RISE_SECONDS, level=2.0),
        )
    ),
}
LAST_MOVE = {"6-9 % a second": RISE_SECONDS + STEPS - 1, "at once": RISE_SECONDS}


@pytest.fixture(scope="module", params=SCENARIOS)
def moved(request: pytest.FixtureRequest) -> tuple[str, Moved]:
    """A minute or so of the market."""
    return request.param, watch(SCENARIOS[request.param])


def test_no_silent_wrong_number(moved: tuple[str, Moved], record_property: Tell) -> None:
    """Every headline lies between the truths that its quotes are of, or its error says so."""
    _, run = moved
    off = [max(s.low - value_of(s), value_of(s) - s.high, 0.0) for s in run.seen]
    record_property("records", len(run.seen))
    record_property("largest distance from the truths of the quotes, points", max(off))

    assert len(run.seen) > 0.95 * 2 * len(ASSETS) * END_SECONDS
    for seen, distance in zip(run.seen, off, strict=True):
        assert distance <= seen.room, seen


def test_what_is_far_out_is_openly_doubtful(moved: tuple[str, Moved]) -> None:
    """A single venue's value without a doubt lies between those truths by two points."""
    _, run = moved

    for seen in run.seen:
        if seen.record.status is Status.SINGLE_VENUE:
            assert seen.low - POINTS <= value_of(seen) <= seen.high + POINTS, seen


def test_the_truth_is_found_again(moved: tuple[str, Moved]) -> None:
    """Some seconds after the last move, to half a point."""
    name, run = moved
    settled = [s for s in run.seen if s.seconds > LAST_MOVE[name] + RENEWED_SECONDS]

    assert len(settled) > len(ASSETS)
    for seen in settled:
        assert abs(value_of(seen) - seen.truth) <= 0.5, seen


def test_contradictions_are_verified_to_the_last_bit(moved: tuple[str, Moved]) -> None:
    """Votes stand in the shares and weights, what was pooled in the record, both in u."""
    _, run = moved

    assert len(run.bundles) > 3
    for bundle in run.bundles:
        verdict = verify(read_bundle(msgspec.json.encode(bundle)), build_facts(ENGINE))

        assert verdict.verified, [check for check in verdict.checks if not check.ok]
        assert verdict.exact


def value_of(seen: Seen) -> float:
    """Of a record that has one."""
    assert seen.record.value is not None
    return seen.record.value


def watch(scenario: Scenario) -> Moved:
    """Every headline of a scenario, and some evidence."""
    keeper = EvidenceKeeper(max_bytes=256_000_000, keep_ns=60 * NANOS_PER_SECOND, engine=ENGINE)
    wires = Wires(
        SimulatorOptions(
            currencies=ASSETS, rate=600.0, seed=7, start_ns=START_NS, step_ms=100, scenario=scenario
        ),
        ASSETS,
        IndexSettings(),
        keeper,
    )
    seen = list(headlines(wires))
    doubtful = [s.record for s in seen if "calendar" in s.record.flags]
    return Moved(seen, [bundle_of(keeper, record) for record in doubtful])


def headlines(wires: Wires) -> Iterator[Seen]:
    """The records of 30 days with what is true."""
    market = wires.simulator.market
    assert market is not None
    past: list[tuple[str, float, float]] = []
    for record in wires.run(END_SECONDS):
        if record.tenor_days != 30.0 or record.value is None:
            continue
        seconds = (wires.now_ns - START_NS) / NANOS_PER_SECOND
        truth = market.exact(record.asset)[0]
        past.append((record.asset, seconds, truth))
        recent = [
            level
            for asset, then, level in past
            if asset == record.asset and then >= seconds - RENEWED_SECONDS
        ]
        yield Seen(seconds, record, truth, min(recent), max(recent))


def bundle_of(keeper: EvidenceKeeper, record: IndexValue) -> EvidenceBundle:
    """The evidence of a record that must have some."""
    excerpt = keeper.find(record.asset, record.tenor_days, record.seq)
    assert not isinstance(excerpt, Missing), excerpt
    bundle = excerpt.bundle()
    assert isinstance(bundle, EvidenceBundle), bundle
    return bundle
