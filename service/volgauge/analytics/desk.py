"""The desk of the analytics: which part of which asset is due, and what goes out.

    take(record)            newest index and surface records; a dictionary store, on the hot path
    jobs(now_ns) -> jobs    what is due at a tick of the timer; each a few hundred microseconds
    job.run() -> records    AnalyticsValue, CouplingValue, AlertEvent

Nothing here waits, and time only comes as an argument: a replay that calls `take` and `jobs` at the
recorded instants makes the same records. Assets take turns, so that no tick is long.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from volgauge.analytics.asset import AssetReader, Past, VenueFacts
from volgauge.analytics.coupling import Coupling
from volgauge.analytics.rules import judged_value
from volgauge.analytics.spillover import SpilloverJob
from volgauge.analytics.turns import Turns
from volgauge.analytics.watch import Watch
from volgauge.domain.analytics import (
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    SpilloverReading,
)
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings

READS_PER_TICK = 3
"""Assets whose record is made at one tick, about half a millisecond each for six books. With ten
ticks a second three assets have ten records a second, eight of them three or four."""
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
        self._coupling = Coupling(analytics)
        self._coupled: CouplingValue | None = None
        self._coupling_ns = 0
        self._market_ns = 0
        self._spillover_ns = 0
        self._frozen: SpilloverJob | None = None
        self._spilled: SpilloverReading | None = None
        self._jumped: dict[Asset, int] = {}
        self._tick_ns: int | None = None
        self._interest_turns = Turns(_nanos(analytics.interest_seconds))
        self._realized_turns = Turns(_nanos(analytics.realized_seconds))
        self._surface_turns = Turns(index.term_interval_ms * NANOS_PER_MILLI)
        self._alert_turns = Turns(ALERT_NS)

    def seed(self, pasts: Mapping[Asset, Past]) -> None:
        """Begin all states anew, from history; alerts go on as they are."""
        self._pasts = pasts
        for asset, reader in self._assets.items():
            reader.start(pasts.get(asset, Past()))
        self._coupling = Coupling(self._analytics)
        self._coupling.seed({asset: past.index_closes for asset, past in pasts.items()})
        self._spillover_ns = 0
        self._frozen = self._spilled = None
        # What has begun anew is read before the next record.
        self._interest_turns.forget()
        self._realized_turns.forget()

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
            return
        reader.take(record)
        if record.tenor_days == self._index.headline_tenor_days and self._analytics.enabled:
            self._coupling.observe(record.asset, judged_value(record), record.computed_ns)

    def jobs(self, now_ns: int) -> list[Job]:
        """List what is due, to be run at once and in this order; about ten times a second."""
        told = [asset for asset, reader in self._assets.items() if reader.headline is not None]
        if not told:
            return []
        elapsed_ns = 0 if self._tick_ns is None else now_ns - self._tick_ns
        self._tick_ns = now_ns
        jobs: list[Job] = []
        if self._analytics.enabled:
            jobs.append(Job(Part.PRICE, partial(self._tick, told, now_ns)))
            turn = self._interest_turns.spread(told, now_ns, elapsed_ns)
            jobs += _each(Part.INTEREST, self._read_interest, turn, now_ns)
            turn = self._realized_turns.spread(told, now_ns, elapsed_ns)
            jobs += _each(Part.REALIZED, self._read_realized, turn, now_ns)
            readable = [asset for asset in told if self._is_readable(asset, now_ns)]
            turn = self._surface_turns.next(readable, now_ns, READS_PER_TICK)
            jobs += _each(Part.SURFACE, self._read, turn, now_ns)
            if now_ns - self._coupling_ns >= _nanos(self._analytics.coupling_seconds):
                self._coupling_ns = now_ns
                jobs.append(Job(Part.COUPLING, partial(self._couple, now_ns)))
        if self._watches:
            turn = self._alert_turns.spread(told, now_ns, elapsed_ns)
            jobs += _each(Part.ALERTS, self._look, turn, now_ns)
            if now_ns - self._market_ns >= ALERT_NS:
                self._market_ns = now_ns
                jobs.append(Job(Part.ALERTS, partial(self._look_at_market, now_ns)))
        return jobs

    def take_frozen(self) -> SpilloverJob | None:
        """Inputs of a decomposition that is due, once; give its result to `spilled`."""
        frozen, self._frozen = self._frozen, None
        return frozen

    def spilled(self, reading: SpilloverReading) -> None:
        """Take a decomposition; it is told when its time has come."""
        self._spilled = reading

    def _is_readable(self, asset: Asset, now_ns: int) -> bool:
        reader = self._assets[asset]
        if not reader.is_ready:
            return False
        last = reader.value
        heartbeat_ns = self._index.heartbeat_ms * NANOS_PER_MILLI
        return last is None or reader.is_changed or now_ns - last.computed_ns >= heartbeat_ns

    def _tick(self, told: Iterable[Asset], now_ns: int) -> Sequence[Reading]:
        for asset in told:
            self._assets[asset].tick(now_ns)
        return ()

    def _read_interest(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        self._assets[asset].read_interest(now_ns)
        return ()

    def _read_realized(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        jump = self._assets[asset].read_realized(now_ns)
        if jump is not None and jump.ended_ns > self._jumped.get(asset, 0):
            self._jumped[asset] = jump.ended_ns
            self._coupling.jump(asset, jump.size, jump.ended_ns)
        return ()

    def _read(self, asset: Asset, now_ns: int) -> Sequence[Reading]:
        reader = self._assets[asset]
        if reader.headline is None:
            return ()
        return (reader.read(reader.headline, self._source, now_ns),)

    def _couple(self, now_ns: int) -> Sequence[Reading]:
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
        """Judge what concerns one asset."""
        reader = self._assets[asset]
        return self.watch.observe(reader.headline, reader.value, None, {}, now_ns, term=reader.term)

    def _look_at_market(self, now_ns: int) -> Sequence[Reading]:
        """Judge what concerns all: pairs, spillovers, subscriptions."""
        return self.watch.observe(None, None, self._coupled, self._coverage(), now_ns, term=None)

    def _coverage(self) -> dict[str, float]:
        """Accepted over requested subscriptions of each venue that answered."""
        shares = {}
        for venue in self._venues.values():
            requested = sum(told.requested for told in venue.coverage.values())
            if requested:
                accepted = sum(told.accepted for told in venue.coverage.values())
                shares[str(venue.venue)] = accepted / requested
        return shares


def _each(
    part: Part,
    work: Callable[[Asset, int], Sequence[Reading]],
    assets: Iterable[Asset],
    now_ns: int,
) -> list[Job]:
    return [Job(part, partial(work, asset, now_ns)) for asset in assets]


def _nanos(seconds: float) -> int:
    return round(seconds * NANOS_PER_SECOND)
