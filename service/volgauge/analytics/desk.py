"""The desk of the analytics: which part of which asset is due, and what goes out.

    take(record)              newest index and surface records; a dictionary store, on the hot path
    next_job(now_ns) -> job   the work that waits longest, a few hundred microseconds of it
    job.run() -> records      AnalyticsValue, CouplingValue, AlertEvent
    pause_ns(now_ns)          until the next look for work

The service runs one job every `JOB_NS`, so that no tick of the index waits for more than one.
Nothing here waits, and time only comes as an argument: a replay that runs the jobs at the recorded
instants makes the same records.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from volgauge.analytics.asset import AssetReader, Past, VenueFacts
from volgauge.analytics.coupling import Coupling
from volgauge.analytics.rules import judged_value
from volgauge.analytics.spillover import SpilloverJob
from volgauge.analytics.watch import Watch
from volgauge.domain.analytics import (
    MARKET,
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    SpilloverReading,
)
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings

JOB_NS = 5 * NANOS_PER_MILLI
"""Between two jobs, at least: eight assets have 80 surfaces a second and 36 other jobs."""
IDLE_NS = 20 * NANOS_PER_MILLI
"""Between two looks for work while there is none, at most: to wake costs, too."""
LATE_NS = 3 * NANOS_PER_MILLI
"""A look that comes so much later than asked for finds ticks that wait; they go first."""
PUT_OFF_NS = 15 * NANOS_PER_MILLI
"""No longer than this; nor does a look that is even later wait: there are always ticks then."""
MOST_AT_ONCE = 4
"""Jobs of a look that is so late: one a turn of a loop that is far behind would be too few."""
PRICE_NS = 100 * NANOS_PER_MILLI
"""Between two looks at the price, all assets together."""
ALERT_NS = NANOS_PER_SECOND
SPILLOVER_SECONDS = 5
"""A decomposition is told so long after its inputs were frozen: its thread is done by then, and a
replay, which has none, tells it at the same instant."""
SPILLOVER_RETRY_SECONDS = 10
"""While there is too little history to begin."""

Reading: TypeAlias = AnalyticsValue | CouplingValue | AlertEvent


class Part(enum.Enum):
    """What a job works on; the unit of measurement of its cost."""

    PRICE = "price"
    INTEREST = "interest"
    REALIZED = "realized"
    SURFACE = "surface"
    COUPLING = "coupling"
    ALERTS = "alerts"
    SPILLOVER = "spillover"
    """In a thread."""


class Job(NamedTuple):
    """One short piece of work."""

    part: Part
    run: Callable[[], Sequence[Reading]]


class Desk:
    """The analytics of all assets of the process."""

    def __init__(
        self,
        analytics: AnalyticsSettings,
        alerts: AlertSettings,
        index: IndexSettings,
        source: Source,
        venues: Mapping[Venue, VenueFacts],
    ) -> None:
        """Prepare; assets appear with their first record.

        Args:
            analytics: Paces and limits; disabled, only alerts on the index are left.
            alerts: Rules.
            index: Tenors and heartbeat.
            source: Written into every record.
            venues: The engine's sinks.
        """
        self.watch = Watch(alerts, source)
        """Active alerts and counts, for the metrics."""
        self._analytics = analytics
        self._watches = alerts.enabled
        self._index = index
        self._source = source
        self._venues = venues
        self._pasts: Mapping[Asset, Past] = {}
        self._assets: dict[Asset, AssetReader] = {}
        self._decoupling = alerts.rules.decoupling
        self._coupling = Coupling(self._decoupling)
        self._coupled: CouplingValue | None = None
        self._spillover_ns = 0
        self._frozen: SpilloverJob | None = None
        self._spilled: SpilloverReading | None = None
        self._jumped: dict[Asset, int] = {}
        self._admitted: dict[Asset, None] = {}
        self._due: dict[tuple[Part, Asset], int] = {}
        """When each work is due; `ALL` for what is one for the whole market."""
        self._put_off_ns = 0
        """The first look in a row that came late; 0 without one."""
        self._read_ns: dict[Asset, int] = {}
        """When the surface of each was read."""
        self._works: dict[Part, Callable[[Asset, int], Sequence[Reading]]] = {
            Part.PRICE: self._tick,
            Part.INTEREST: self._read_interest,
            Part.REALIZED: self._read_realized,
            Part.SURFACE: self._read,
            Part.COUPLING: self._couple,
            Part.ALERTS: self._look,
        }
        self._intervals = {
            Part.PRICE: PRICE_NS,
            Part.INTEREST: _nanos(analytics.interest_seconds),
            Part.REALIZED: _nanos(analytics.realized_seconds),
            Part.SURFACE: index.heartbeat_ms * NANOS_PER_MILLI,
            Part.COUPLING: _nanos(analytics.coupling_seconds),
            Part.ALERTS: ALERT_NS,
        }

    def seed(self, pasts: Mapping[Asset, Past]) -> None:
        """Begin all states anew, from history; alerts go on as they are."""
        self._pasts = pasts
        for asset, reader in self._assets.items():
            reader.start(pasts.get(asset, Past()))
        self._coupling = Coupling(self._decoupling)
        self._coupling.seed({asset: past.index_closes for asset, past in pasts.items()})
        self._spillover_ns = 0
        self._frozen = self._spilled = None
        # What has begun anew is read before the next record.
        for part, asset in self._due:
            if part in {Part.INTEREST, Part.REALIZED}:
                self._due[part, asset] = 0

    def take(self, record: IndexValue | SurfaceValue) -> None:
        """Note one record on its way to the sinks."""
        reader = self._assets.get(record.asset)
        if reader is None:
            reader = self._assets[record.asset] = AssetReader(
                record.asset,
                self._analytics,
                self._index.tenors_days,
                self._index.headline_tenor_days,
                self._venues,
                self._pasts.get(record.asset, Past()),
            )
        if isinstance(record, SurfaceValue):
            reader.take_surface(record)
            self._hasten(record.asset, record.computed_ns)
            return
        reader.take(record)
        if record.tenor_days == self._index.headline_tenor_days:
            self._admit(record.asset, record.computed_ns)
            if self._analytics.enabled:
                self._coupling.observe(record.asset, judged_value(record), record.computed_ns)

    def next_job(self, now_ns: int, *, late_ns: int = 0) -> Job | None:
        """Take the work that waits longest, to be run at once.

        Args:
            now_ns: The instant.
            late_ns: How much later than asked for (`pause_ns`) the look comes.

        Returns:
            None when nothing is due, or when ticks of the index go first.
        """
        if LATE_NS < late_ns < PUT_OFF_NS:
            self._put_off_ns = self._put_off_ns or now_ns
            if now_ns - self._put_off_ns < PUT_OFF_NS:
                return None
        self._put_off_ns = 0
        if not self._due:
            return None
        chosen, due_ns = min(self._due.items(), key=itemgetter(1))
        if due_ns > now_ns:
            return None
        part, asset = chosen
        self._due[chosen] = now_ns + self._intervals[part]
        return Job(part, partial(self._works[part], asset, now_ns))

    def pause_ns(self, now_ns: int) -> int:
        """How long to wait before the next look for work, JOB_NS to IDLE_NS."""
        due_ns = min(self._due.values(), default=now_ns + IDLE_NS)
        return min(max(due_ns - now_ns, JOB_NS), IDLE_NS)

    def jobs(self, now_ns: int) -> Iterator[Job]:
        """Everything that is due, for who is told the time rarely; run each before the next."""
        while (job := self.next_job(now_ns)) is not None:
            yield job

    def take_frozen(self) -> SpilloverJob | None:
        """Inputs of a decomposition that is due, once; give its result to `spilled`."""
        frozen, self._frozen = self._frozen, None
        return frozen

    def spilled(self, reading: SpilloverReading) -> None:
        """Take a decomposition; it is told when its time has come."""
        self._spilled = reading

    def _admit(self, asset: Asset, now_ns: int) -> None:
        """Let an asset take part from now on."""
        if asset in self._admitted:
            return
        self._admitted[asset] = None
        if self._analytics.enabled:
            for part in (Part.INTEREST, Part.REALIZED):
                self._due[part, asset] = now_ns
            for part in (Part.PRICE, Part.COUPLING):
                self._due.setdefault((part, MARKET), now_ns)
        if self._watches:
            self._due[Part.ALERTS, asset] = now_ns
            self._due.setdefault((Part.ALERTS, MARKET), now_ns)

    def _hasten(self, asset: Asset, at_ns: int) -> None:
        """Have the surface of an asset read from `at_ns` on, if it can be read at all."""
        if self._assets[asset].is_ready:
            work = Part.SURFACE, asset
            self._due[work] = min(self._due.get(work, at_ns), at_ns)

    def _renewed(self, asset: Asset) -> None:
        """Have what is new in a record told, but not faster than surfaces are published."""
        pause_ns = self._index.term_interval_ms * NANOS_PER_MILLI
        self._hasten(asset, self._read_ns.get(asset, 0) + pause_ns)

    def _tick(self, _market: Asset, now_ns: int) -> Sequence[Reading]:
        for asset in self._admitted:
            self._assets[asset].tick(now_ns)
        return ()

    def _read_interest(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        self._assets[asset].read_interest(now_ns)
        self._renewed(asset)
        return ()

    def _read_realized(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        jump = self._assets[asset].read_realized(now_ns)
        if jump is not None and jump.ended_ns > self._jumped.get(asset, 0):
            self._jumped[asset] = jump.ended_ns
            self._coupling.jump(asset, jump.size, jump.ended_ns)
        self._renewed(asset)
        return ()

    def _read(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        self._read_ns[asset] = now_ns
        reader = self._assets[asset]
        if reader.headline is None:
            return ()
        return (reader.read(reader.headline, self._source, now_ns),)

    def _couple(self, _market: Asset, now_ns: int) -> Sequence[Reading]:
        if now_ns >= self._spillover_ns:
            self._frozen = self._coupling.spillover_job(now_ns)
            has_begun = self._frozen is not None
            self._spillover_ns = now_ns + _nanos(
                self._analytics.spillover_seconds if has_begun else SPILLOVER_RETRY_SECONDS
            )
        spilled = self._spilled
        if spilled is not None and now_ns - spilled.at_ns >= _nanos(SPILLOVER_SECONDS):
            self._coupling.take_spillover(spilled)
            self._spilled = None
        reading = self._coupling.reading(now_ns)
        self._coupled = CouplingValue(
            seq=1 if self._coupled is None else self._coupled.seq + 1,
            computed_ns=now_ns,
            source=self._source,
            assets=reading.assets,
            pairs=reading.pairs,
            spillover=reading.spillover,
            systemic=reading.systemic,
            missing=reading.missing,
        )
        return (self._coupled,)

    def _look(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        """Judge what concerns one asset, or all: pairs, spillovers, subscriptions."""
        if asset == MARKET:
            coverage = self._coverage()
            return self.watch.observe(None, None, self._coupled, coverage, now_ns, term=None)
        reader = self._assets[asset]
        return self.watch.observe(reader.headline, reader.value, None, {}, now_ns, term=reader.term)

    def _coverage(self) -> dict[str, float]:
        """Accepted over requested subscriptions of each venue that answered."""
        shares = {}
        for venue in self._venues.values():
            requested = sum(told.requested for told in venue.coverage.values())
            if requested:
                accepted = sum(told.accepted for told in venue.coverage.values())
                shares[str(venue.venue)] = accepted / requested
        return shares


def _nanos(seconds: float) -> int:
    return round(seconds * NANOS_PER_SECOND)
