"""What the command line does with a recording: play it again, compare it with the venue's index.

Verification and evidence, which play recordings too, are in audit.py.
"""

import sys
from pathlib import Path

import msgspec
import structlog
from msgspec.structs import replace as with_changes

from volgauge import __version__
from volgauge.analytics.desk import Desk, Job, Reading
from volgauge.analytics.spillover import compute_spillover
from volgauge.domain.analytics import MARKET, AlertEvent
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset
from volgauge.errors import VenueError
from volgauge.index.engine import Engine
from volgauge.offline.compare import RecordingComparison, as_table
from volgauge.pipeline import build_desk, build_pipeline
from volgauge.publish.record import encode, series_of, stamp
from volgauge.settings import Settings
from volgauge.telemetry import logs
from volgauge.wire import replay as recordings

log = structlog.get_logger("volgauge")


def replay(
    settings: Settings,
    folder: Path,
    *,
    asset: str | None,
    tenor_days: float | None,
    analytics: bool = False,
) -> int:
    """Recompute a recording; one JSON record a line on stdout.

    Args:
        settings: Analytics and alerts are by these; index and venues as they were recorded.
        folder: The recording.
        asset: Only this underlying, and what concerns the whole market.
        tenor_days: Only index values of this tenor.
        analytics: Print what is read off the index, and the alerts, too.
    """
    logs.configure(settings.log)
    settings = as_recorded(settings, folder)
    engine, adapters = build_pipeline(
        settings, Source.REPLAY, has_connections=recordings.is_ours(folder)
    )
    desk = build_desk(settings, Source.REPLAY, engine) if analytics else None
    has_jobs = analytics and recordings.is_ours(folder) and recordings.has_jobs(folder)
    player = _Player(engine, desk, asset, tenor_days, has_jobs=has_jobs)
    recordings.replay(folder, adapters, player, player.refused, player.job)
    sys.stdout.flush()
    log.info("replay.finished", records=player.records, refused=player.refused_count)
    return 0


def as_recorded(settings: Settings, folder: Path) -> Settings:
    """The settings with the sections that a recording was made with, where it says so."""
    recorded = recordings.read_settings(folder)
    if recorded is None:
        return settings
    # The frames that were asked for follow from these: any other would give other records.
    return with_changes(
        settings,
        index=msgspec.convert(recorded["index"], type(settings.index), strict=False),
        venues=msgspec.convert(recorded["venues"], type(settings.venues), strict=False),
    )


def compare(settings: Settings, folder: Path, *, asset: str | None, as_text: bool) -> bool:
    """Compare our headline with the venue's own index over a recording; False without figures."""
    logs.configure(settings.log)
    settings = as_recorded(settings, folder)
    engine, adapters = build_pipeline(
        settings, Source.REPLAY, has_connections=recordings.is_ours(folder)
    )
    comparison = RecordingComparison(
        engine,
        [engine.sink(venue) for venue in adapters],
        tenor_days=settings.index.headline_tenor_days,
        asset=asset,
    )
    refused = 0

    def count(error: VenueError) -> None:
        nonlocal refused
        refused += 1
        log.warning("replay.frame_refused", error=str(error))

    recordings.replay(folder, adapters, comparison, count)
    report = comparison.report(engine=__version__, mode=settings.index.method.value)
    if as_text:
        sys.stdout.write(as_table(report))
    else:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.flush()
    log.info("compare.finished", comparisons=len(report.comparisons), refused=refused)
    return report.has_figures


class _Player:
    """The engine as a replay drives it, with standard output for a sink."""

    def __init__(
        self,
        engine: Engine,
        desk: Desk | None,
        asset: str | None,
        tenor_days: float | None,
        *,
        has_jobs: bool,
    ) -> None:
        self._engine = engine
        self._desk = desk
        self._has_jobs = has_jobs
        self._asset = asset
        self._tenor_days = tenor_days
        self._told: dict[tuple[object, ...], int] = {}
        self.records = 0
        self.refused_count = 0

    def timer(self, now_ns: int) -> None:
        """Time passed; where a recording does not say when jobs were done, they are done now."""
        self._engine.timer(now_ns)
        if self._desk is not None and not self._has_jobs:
            for job in self._desk.jobs(now_ns):
                self._work(self._desk, job)

    def job(self, now_ns: int) -> None:
        """The service did one job here."""
        job = self._desk.next_job(now_ns) if self._desk is not None else None
        if self._desk is not None and job is not None:
            self._work(self._desk, job)

    def _work(self, desk: Desk, job: Job) -> None:
        for record in job.run():
            asset = getattr(record, "asset", MARKET)
            if self._asset is None or asset in {self._asset, MARKET}:
                self._print(record)
        frozen = desk.take_frozen()
        if frozen is not None:
            desk.spilled(compute_spillover(frozen))

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """Recompute and print."""
        for record in self._engine.recompute(now_ns, only):
            if self._desk is not None and isinstance(record, IndexValue | SurfaceValue):
                self._desk.take(record)
            if (
                isinstance(record, IndexValue)
                and self._asset in {None, record.asset}
                and self._tenor_days in {None, record.tenor_days}
            ):
                self._print(record)

    def _print(self, record: IndexValue | Reading) -> None:
        """One line, with the stamps that a sink would set."""
        series = series_of(record)
        before = self._told.get(series, 0)
        seq = before + 1 if isinstance(record, AlertEvent) else record.seq
        self._told[series] = seq
        self.records += 1
        line = encode(
            stamp(record, seq=seq, prev_seq=before, epoch=0, published_ns=record.computed_ns)
        )
        sys.stdout.buffer.write(line + b"\n")

    def refused(self, error: VenueError) -> None:
        """A frame was refused, as it was live."""
        self.refused_count += 1
        log.warning("replay.frame_refused", error=str(error))
