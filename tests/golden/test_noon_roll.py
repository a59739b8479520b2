"""Two hours of expiry at once: Delta's options end at 12:00 UTC, those of all others at 08:00.

In simulated time on the venues' wires. Expiries four hours apart stand beside each other in the
composite's term structure; each venue is interpolated on its own instants.
"""

from collections import defaultdict
from itertools import pairwise

import pytest
from msgspec import Struct

from golden.venue_wires import FIRST, STEP_MS, STEP_NS, Wires
from volgauge.analytics.markers import markers
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
    parse_instant,
)
from volgauge.index.bundle import build_facts
from volgauge.index.evidence import EvidenceKeeper, Excerpt
from volgauge.offline.verify import verify
from volgauge.simulator.delta_board import LISTING_DELAY_NS
from volgauge.simulator.market import Market
from volgauge.simulator.server import SimulatorOptions

DELTA = "delta"
OTHERS = ("okx", "bybit", DELTA)
VENUES = (FIRST, *OTHERS)
NOON_NS, EIGHT_NS = 12 * NANOS_PER_HOUR, 8 * NANOS_PER_HOUR
BEFORE_SECONDS = 6.0
WARM_SECONDS = 4.0
AFTER_SECONDS = 24.0
"""New options come after 9 s, and are asked for after 5 and 20 s."""


class Rolled(Struct, frozen=True):
    """What was seen around one roll."""

    roll_ns: int
    wires: Wires
    keeper: EvidenceKeeper
    records: list[IndexValue]
    outlived: list[str]
    before: dict[str, set[str]]
    """Options that each venue had on its books just before."""
    truth: tuple[float, float]
    """Of the market at the end: strip and corridor of 30 days, points."""


def rolled_at(at: str, after_seconds: float) -> Rolled:
    """Seconds before to seconds after an instant, BTC, every tenor."""
    roll_ns = parse_instant(at)
    options = SimulatorOptions(
        currencies=("BTC",), rate=200.0, seed=5, step_ms=STEP_MS, venues=OTHERS,
        start_ns=roll_ns - round(BEFORE_SECONDS * NANOS_PER_SECOND),
    )  # fmt: skip
    keeper = EvidenceKeeper(max_bytes=1 << 27, keep_ns=60 * NANOS_PER_SECOND, engine="test")
    wires = Wires(options, ("BTC",), evidence=keeper)
    outlived: list[str] = []
    records: list[IndexValue] = []

    def watch(until_ns: int) -> None:
        while wires.now_ns < until_ns:
            records.extend(found := wires.step())
            for name, expiry_ns in expiries_of(wires) if found else ():
                if expiry_ns <= wires.now_ns:
                    outlived.append(f"{name} {expiry_ns} at {wires.now_ns}")

    watch(roll_ns - STEP_NS)
    records.extend(wires.recompute(roll_ns - NANOS_PER_MILLI))
    before = {venue: names_of(wires, venue) for venue in VENUES}
    records.extend(wires.recompute(roll_ns))
    watch(roll_ns + round(after_seconds * NANOS_PER_SECOND))
    market = wires.simulator.venue.source
    assert isinstance(market, Market)
    strip, corridor, _ = market.headline("BTC")
    return Rolled(roll_ns, wires, keeper, records, outlived, before, (strip, corridor))


def expiries_of(wires: Wires) -> list[tuple[str, int]]:
    """Of every venue's books."""
    return [
        (venue, expiry_ns)
        for venue in VENUES
        for book in wires.engine.sink(Venue(venue)).books.values()
        for expiry_ns in book.expiries
    ]


def names_of(wires: Wires, venue: str) -> set[str]:
    """Names of the options on a venue's books, as the engine has them."""
    books = wires.engine.sink(Venue(venue)).books.values()
    return {instrument.name for book in books for instrument in book.slots.values()}


@pytest.fixture(scope="module")
def noon() -> Rolled:
    """The last Friday of a quarter: at noon, when only Delta's options end."""
    return rolled_at("2026-06-26T12:00:00Z", AFTER_SECONDS)


@pytest.fixture(scope="module")
def eight() -> Rolled:
    """The same day at eight, when all others do."""
    return rolled_at("2026-06-26T08:00:00Z", 4.0)


def of_tenors(rolled: Rolled) -> dict[float, list[IndexValue]]:
    """The warm values by tenor."""
    begin_ns = rolled.wires.simulator.start_ns + round(WARM_SECONDS * NANOS_PER_SECOND)
    series: defaultdict[float, list[IndexValue]] = defaultdict(list)
    for record in rolled.records:
        if record.computed_ns > begin_ns:
            series[record.tenor_days].append(record)
    return series


def test_books_of_two_hours_stand_side_by_side(noon: Rolled) -> None:
    """Delta's every expiry at noon, the others' at eight."""
    assert expiries_of(noon.wires)
    for venue, expiry_ns in expiries_of(noon.wires):
        assert expiry_ns % NANOS_PER_DAY == (NOON_NS if venue == DELTA else EIGHT_NS)


def test_only_delta_rolls_at_noon(noon: Rolled) -> None:
    """Its options of the day are gone at that instant; what others list only grows."""
    assert noon.outlived == []
    assert noon.wires.troubles == []
    for venue in VENUES:
        gone = noon.before[venue] - names_of(noon.wires, venue)
        assert bool(gone) is (venue == DELTA)
    gone = noon.before[DELTA] - names_of(noon.wires, DELTA)
    assert {name.rpartition("-")[2] for name in gone} == {"260626"}


def test_only_delta_stays_at_eight(eight: Rolled) -> None:
    """Its options of the day have four hours left."""
    assert eight.outlived == []
    for venue in VENUES:
        gone = eight.before[venue] - names_of(eight.wires, venue)
        assert bool(gone) is (venue != DELTA)
    assert any(name.endswith("-260626") for name in names_of(eight.wires, DELTA))


def test_new_noon_options_are_taken_whole(noon: Rolled) -> None:
    """No channel tells of them: a catalog some seconds later does, and they are quoted."""
    host = noon.wires.simulator.dialects[DELTA]
    held = names_of(noon.wires, DELTA)
    assert held == set(getattr(host, "contracts"))  # noqa: B009 - of one dialect
    assert held - noon.before[DELTA]
    assert AFTER_SECONDS * NANOS_PER_SECOND > LISTING_DELAY_NS
    assert noon.wires.engine.sink(Venue(DELTA)).is_covered()


@pytest.mark.parametrize("name", ["noon", "eight"])
def test_composite_does_not_notice_either_roll(name: str, request: pytest.FixtureRequest) -> None:
    """Every tenor has a value, every venue of the headline is in, and no step exceeds the band."""
    rolled: Rolled = request.getfixturevalue(name)
    series = of_tenors(rolled)
    assert set(series) == {7.0, 14.0, 30.0, 60.0, 90.0, 180.0}
    for days, records in series.items():
        assert all(record.value is not None for record in records)
        steps = [
            abs((after.value or 0.0) - (now.value or 0.0)) / (now.u or 1.0)
            for now, after in pairwise(records)
        ]
        assert max(steps) <= (1.0 if days == 30.0 else 2.0)
    for record in series[30.0]:
        assert record.status is Status.OK
        assert {label.partition(":")[0] for label in record.venues} == set(VENUES)
        assert {part.state for part in record.venues.values()} == {"in"}


def test_each_venue_is_interpolated_on_its_own_instants(noon: Rolled) -> None:
    """Delta agrees with the truth as the others do; four hours of error would be 0.3 % of it."""
    record = of_tenors(noon)[30.0][-1]
    strip, corridor = noon.truth
    values = {label: part.value for label, part in record.venues.items()}
    assert record.value is not None
    assert record.u is not None
    assert abs(record.value - corridor) <= 2.0 * record.u
    for label, value in values.items():
        assert value is not None, label
        assert value == pytest.approx(corridor, abs=0.35), (label, strip)
    spread = max(v for v in values.values() if v is not None) - min(
        v for v in values.values() if v is not None
    )
    assert spread < 0.5


def test_value_of_two_hours_of_expiry_verifies(noon: Rolled) -> None:
    """Every bit again from the evidence, in which each expiry has its own instant."""
    record = of_tenors(noon)[30.0][-1]
    found = noon.keeper.find(Asset("BTC"), 30.0, record.seq)
    assert isinstance(found, Excerpt)
    bundle = found.bundle(record.epoch)
    assert isinstance(bundle, EvidenceBundle)
    verdict = verify(bundle, build_facts("test"))

    assert [check for check in verdict.checks if not check.ok] == []
    assert {book.venue for book in bundle.books} == set(VENUES)


def test_markers_know_both_hours(noon: Rolled) -> None:
    """By the books, not by a constant."""
    expiries = [expiry_ns for _, expiry_ns in expiries_of(noon.wires)]
    without = [expiry_ns for venue, expiry_ns in expiries_of(noon.wires) if venue != DELTA]

    assert markers(noon.roll_ns, expiries).roll
    assert not markers(noon.roll_ns, without).roll
    assert markers(noon.roll_ns - 4 * NANOS_PER_HOUR, expiries).roll
