"""08:00 UTC at all venues but one at once, in simulated time: the composite does not notice.

Every simulated venue takes its expired options off and lists new ones, each on its own wire; the
adapters ask for the new listings and channels as they would on real sockets. Delta's options end
at noon: `test_noon_roll.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from msgspec import Struct

from golden.venue_wires import FIRST, STEP_MS, STEP_NS, Wires, most_in
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.kernels import layout as col
from volgauge.simulator.aevo_venue import AevoVenue
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.listing import LISTING_DELAY_NS
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.server import SimulatorOptions

OTHERS = ("okx", "bybit", "binance", "derive", "aevo")
VENUES = (FIRST, *OTHERS)
AFTER_SECONDS = 27.0
"""New options come after 13 s; some venues do not tell, and are asked after 20 s at the latest."""
WARM_SECONDS = 4.0
"""From the first frame to a value of every venue."""
RATE = 250.0
BEFORE_SECONDS = 7.0
GONE_BEFORE = frozenset({"derive"})
"""Venues that trade an option no more in the minute before its expiry, so do not list it."""
Tell = Callable[[str, object], None]


class Rolled(Struct, frozen=True):
    """What was seen around one roll."""

    roll_ns: int
    wires: Wires
    records: list[IndexValue]
    outlived: list[str]
    """Expiries that stood in some venue's books after their end."""
    before: dict[str, set[str]]
    """Options that each venue had on its books just before."""


@pytest.fixture(
    scope="module",
    params=[
        "2026-06-26T08:00:00Z",
        pytest.param("2026-05-08T08:00:00Z", marks=pytest.mark.slow),
        pytest.param("2026-03-04T08:00:00Z", marks=pytest.mark.slow),
    ],
    ids=["quarter", "week", "day"],
)
def rolled(request: pytest.FixtureRequest) -> Rolled:
    """Seven seconds before to 27 after one kind of roll, BTC, every tenor."""
    roll_ns = parse_instant(request.param)
    wires = make_wires(roll_ns - round(BEFORE_SECONDS * NANOS_PER_SECOND))
    outlived: list[str] = []
    records = list(watch(wires, roll_ns - STEP_NS, outlived))
    records += wires.recompute(roll_ns - NANOS_PER_MILLI)
    before = {venue: names_of(wires, venue) for venue in VENUES}
    # The instant itself, before a venue can have told anything of it.
    records += wires.recompute(roll_ns)
    end_ns = roll_ns + round(AFTER_SECONDS * NANOS_PER_SECOND)
    records += watch(wires, end_ns, outlived)
    return Rolled(roll_ns, wires, records, outlived, before)


def make_wires(start_ns: int) -> Wires:
    """All venues on one market of BTC."""
    options = SimulatorOptions(
        currencies=("BTC",),
        rate=RATE,
        seed=5,
        start_ns=start_ns,
        step_ms=STEP_MS,
        venues=OTHERS,
    )
    return Wires(options, ("BTC",))


def watch(wires: Wires, until_ns: int, outlived: list[str]) -> Iterator[IndexValue]:
    """Run to an instant, and look for what should be gone from the books."""
    while wires.now_ns < until_ns:
        found = wires.step()
        yield from found
        if found:
            outlived += [
                f"{venue} {expiry_ns} at {wires.now_ns}"
                for venue in VENUES
                for book in wires.engine.sink(Venue(venue)).books.values()
                for expiry_ns in book.expiries
                if expiry_ns <= wires.now_ns
            ]


def names_of(wires: Wires, venue: str) -> set[str]:
    """Names of the options on a venue's books, as the engine has them."""
    books = wires.engine.sink(Venue(venue)).books.values()
    return {instrument.name for book in books for instrument in book.slots.values()}


def listed_at(wires: Wires, venue: str) -> set[str]:
    """Names of the options that a venue lists, by itself."""
    if venue == FIRST:
        contracts = wires.simulator.venue.contracts
        return {name for name, contract in contracts.items() if contract.is_option}
    return set(host_of(wires, venue).contracts)


Host = OkxVenue | BybitVenue | BinanceVenue | DeriveVenue | AevoVenue


def host_of(wires: Wires, venue: str) -> Host:
    """A venue of the simulator."""
    host = wires.simulator.dialects[venue]
    assert isinstance(host, Host)
    return host


def warm(records: list[IndexValue], begin_ns: int) -> list[IndexValue]:
    """Those after the start."""
    return [r for r in records if r.computed_ns > begin_ns + WARM_SECONDS * NANOS_PER_SECOND]


def test_every_venue_stays_in_across_the_roll(rolled: Rolled) -> None:
    """A value of every tenor at all times, status OK, and no venue goes out or down."""
    records = warm(rolled.records, rolled.wires.simulator.start_ns)
    headline = [record for record in records if record.tenor_days == 30.0]
    near = [r.computed_ns - rolled.roll_ns for r in headline]

    assert {-NANOS_PER_MILLI, 0} <= set(near)
    assert {record.tenor_days for record in records} == {7.0, 14.0, 30.0, 60.0, 90.0, 180.0}
    assert all(record.value is not None for record in records)
    assert {record.status for record in headline} == {Status.OK}
    for record in headline:
        assert {name.partition(":")[0] for name in record.venues} == set(VENUES)
        assert {part.state for part in record.venues.values()} == {"in"}


def test_no_venue_gives_a_value_from_an_expired_option(rolled: Rolled) -> None:
    """At 08:00:00.000 sharp an expiry is out of every record, and of every venue's books."""
    assert rolled.outlived == []
    for record in rolled.records:
        for expiry in record.expiries:
            assert parse_instant(expiry.expiry) > record.computed_ns
            assert expiry.t_years > 0.0


def test_composite_stays_inside_its_band(rolled: Rolled, record_property: Tell) -> None:
    """No step above u at the roll and at the listings, no series beyond 2u in the half minute."""
    series: defaultdict[float, list[IndexValue]] = defaultdict(list)
    for record in warm(rolled.records, rolled.wires.simulator.start_ns):
        series[record.tenor_days].append(record)
    whole = {days: largest_step(records) for days, records in series.items()}
    instants = (rolled.roll_ns, rolled.roll_ns + LISTING_DELAY_NS)
    at_roll = max(largest_step(around(r, at)) for r in series.values() for at in instants)
    record_property(
        "measured",
        f"venues roll: largest step {at_roll:.2f} u at the roll and the listing, "
        f"headline {whole[30.0]:.2f} u and any of 6 tenors {max(whole.values()):.2f} u in all",
    )

    assert at_roll <= 1.0
    assert whole[30.0] <= 1.0
    assert max(whole.values()) <= 2.0


def test_new_listings_are_taken_whole(rolled: Rolled, record_property: Tell) -> None:
    """Half a minute later every venue's books hold what it lists, subscribed and quoted."""
    told = []
    for venue in VENUES:
        sink = rolled.wires.engine.sink(Venue(venue))
        listed, held = listed_at(rolled.wires, venue), names_of(rolled.wires, venue)
        assert held == listed
        gone, new = rolled.before[venue] - held, held - rolled.before[venue]
        assert bool(gone) is (venue not in GONE_BEFORE)
        assert new
        assert sink.is_covered()
        sink.table.settle()
        slots = np.array([s for book in sink.books.values() for s in book.slots], np.int64)
        quoted = float((sink.table.stamps[slots, col.RECEIVED_NS] > 0).mean())
        assert quoted >= 0.98
        told.append(f"{venue} -{len(gone)} +{len(new)}")
    record_property("measured", f"venues roll: {', '.join(told)} options")


def test_no_limit_of_a_venue_is_broken(rolled: Rolled, record_property: Tell) -> None:
    """No session ends, no request is refused, nothing is asked twice for want of an answer."""
    wires = rolled.wires
    refused = {
        f"{venue}/{protocol.connection} {name}": count
        for venue, adapter in wires.adapters.items()
        for protocol in adapter.connections()
        for name, count in protocol.counts.items()
        if name.startswith(("request_refused", "request_timeout", "reconnects"))
    }
    busiest = wires.sent.most_common(1)[0]
    asked = ", ".join(
        f"{venue} {len(at)} ({most_in(at, NANOS_PER_SECOND)} in 1 s)"
        for venue, at in wires.asked.items()
    )
    record_property("measured", f"venues roll: GETs {asked}; most frames on one socket {busiest}")

    assert wires.troubles == []
    assert refused == {}


@pytest.mark.slow
def test_liar_on_its_wire_is_out_and_back_once(record_property: Tell) -> None:
    """20 % too high for ten seconds: out, and in again after half a minute of truth, once."""
    wires = make_wires(parse_instant("2026-06-23T12:00:00Z"))
    headline = [r for r in wires.run(8.0) if r.tenor_days == 30.0]
    before = headline[-1]
    assert before.value is not None
    assert before.u is not None
    liar = host_of(wires, "bybit")
    liar.lies = Lies(vol_ratio=1.2)
    found = [r for r in wires.run(10.0) if r.tenor_days == 30.0]
    liar.lies = Lies()
    found += [r for r in wires.run(60.0) if r.tenor_days == 30.0]
    states = [record.venues[Venue("bybit")].state for record in found]
    changes = [after for now, after in pairwise(states) if now != after]
    moved = max(abs((record.value or 0.0) - before.value) for record in found)
    record_property("measured", f"+20 % on the wire: {changes}, the value moved by {moved:.3f}")

    assert changes == ["out", "in"]
    assert moved <= 2.0 * before.u
    assert {record.status for record in found} == {Status.OK}


def around(records: list[IndexValue], at_ns: int) -> list[IndexValue]:
    """From just before an instant to two seconds after it."""
    return [
        record
        for record in records
        if -NANOS_PER_SECOND // 5 <= record.computed_ns - at_ns <= 2 * NANOS_PER_SECOND
    ]


def largest_step(records: list[IndexValue]) -> float:
    """Largest change from one value to the next, in units of the band."""
    steps = [0.0]
    for before, after in pairwise(records):
        assert before.value is not None
        assert before.u is not None
        assert after.value is not None
        steps.append(abs(after.value - before.value) / before.u)
    return max(steps)
