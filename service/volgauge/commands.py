"""What the command line does beside serving: the demo, the replay, the warm-up."""

import select
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace as with_changes

from volgauge import __version__, kernels
from volgauge.analytics.desk import Desk, Job, Reading
from volgauge.analytics.spillover import compute_spillover
from volgauge.app import run_beside, serve
from volgauge.domain.analytics import MARKET, AlertEvent
from volgauge.domain.history import Candle
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import VenueError, VolgaugeError
from volgauge.history.keeper import HistoryKeeper
from volgauge.index.engine import Engine
from volgauge.offline.accuracy import report as reports
from volgauge.offline.accuracy.run import run as measure
from volgauge.offline.compare import RecordingComparison, as_table
from volgauge.pipeline import build_desk, build_pipeline
from volgauge.publish.record import encode, series_of, stamp
from volgauge.settings import Settings
from volgauge.simulator.history import Candles, make_history
from volgauge.simulator.market import Market, MarketOptions
from volgauge.telemetry import logs
from volgauge.wire import replay as recordings

Result = TypeVar("Result")

EVIDENCE_MEGABYTES = 320.0
"""Of the demo: seven venues and four assets write a megabyte a second; it keeps five minutes."""
CHILD_READY_SECONDS = 30.0
"""A simulator that has not said its address by then has failed."""


log = structlog.get_logger("volgauge")


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `volgauge demo` simulates."""

    chain: Path | None
    asset: str | None
    rate: float
    seed: int
    venues: tuple[str, ...]
    """Beside the first; `all`, or `none`. A chain is served by the first alone."""


def demo(settings: Settings, options: DemoOptions) -> int:
    """The whole pipeline on one machine: a simulated venue in a child process, and the service."""
    logs.configure(settings.log)
    arguments = ["--rate", str(options.rate), "--seed", str(options.seed), "--exit-with-stdin"]
    if options.chain is not None:
        arguments += ["--chain", str(options.chain), "--asset", str(options.asset)]
    elif options.venues != ("none",):
        arguments += [word for name in options.venues for word in ("--venue", name)]
    with tempfile.TemporaryDirectory(prefix="volgauge-demo-") as folder, _child(arguments) as child:
        address = _address_of(child)
        venue = with_changes(
            settings.venues.deribit,
            enabled=True,
            ws_url=address["ws_url"],
            rest_url=address["rest_url"],
            assets=tuple(address["assets"]),
        )
        others = {
            name: with_changes(getattr(settings.venues, name), enabled=True, **urls)
            for name, urls in address["venues"].items()
        }
        simulated = with_changes(
            settings,
            venues=with_changes(settings.venues, deribit=venue, **others),
            history=with_changes(settings.history, path=str(Path(folder) / "simulated.sqlite")),
            evidence=with_changes(
                settings.evidence,
                max_megabytes=max(settings.evidence.max_megabytes, EVIDENCE_MEGABYTES),
            ),
        )
        fill = (
            None
            if options.chain
            else partial(_fill, seed=options.seed, start_ns=address["start_ns"])
        )
        try:
            return serve(simulated, fill=fill)
        finally:
            # It holds nothing that is worth an orderly end of all its sessions.
            child.kill()
            child.communicate(timeout=CHILD_READY_SECONDS)


def _child(arguments: list[str]) -> subprocess.Popen[bytes]:
    """The simulator on the other core; it ends when our end of its standard input closes."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "volgauge", "simulate", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _address_of(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The one line that a simulator prints once it listens.

    Raises:
        VolgaugeError: It ended or stayed silent instead.
    """
    if child.stdout is None:
        raise RuntimeError("the simulator was started without a pipe")
    readable, _, _ = select.select([child.stdout], [], [], CHILD_READY_SECONDS)
    line = child.stdout.readline() if readable else b""
    if not line:
        child.kill()
        raise VolgaugeError("the simulated venue did not start; its messages stand above")
    address: dict[str, Any] = msgspec.json.decode(line)
    return address


class _Unwanted(Exception):
    """Nobody waits for this any more."""


async def _fill(history: HistoryKeeper, *, seed: int, start_ns: int) -> None:
    """Give the demo a past: 400 simulated days of index and price, joined to the market's start."""
    is_wanted = True

    def go_on() -> None:
        if not is_wanted:
            raise _Unwanted

    def simulate() -> list[Candles]:
        market = Market(MarketOptions(seed=seed, start_ns=start_ns))
        return make_history(market, go_on=go_on)

    try:
        made = await run_beside(simulate)
    finally:
        # A thread that computes on would take half of the time in which the service ends.
        is_wanted = False
    await history.fill(
        {
            (series.asset, series.series, series.resolution_seconds): [
                Candle(*row)
                for row in zip(
                    (series.open_ns // NANOS_PER_SECOND).tolist(),
                    series.open.tolist(),
                    series.high.tolist(),
                    series.low.tolist(),
                    series.close.tolist(),
                    strict=True,
                )
            ]
            for series in made
        }
    )


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
    kernels.warm()
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
    kernels.warm()
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


def bench_accuracy(folder: Path | None, *, quick: bool, as_json: bool, picture: Path | None) -> int:
    """Tables and gates on stdout, what is being done on stderr; 1 when a gate fails."""

    def tell(step: str) -> None:
        sys.stderr.write(f"volgauge: measuring {step}\n")
        sys.stderr.flush()

    report = measure(folder, quick=quick, picture=picture, progress=tell)
    if as_json:
        sys.stdout.write(reports.as_json(report).decode() + "\n")
    else:
        sys.stdout.write(reports.as_text(report))
    return 0 if report.passed else 1


def warm() -> int:
    """Compile every kernel into the cache."""
    sys.stdout.write(msgspec.json.encode({"signatures": kernels.warm()}).decode() + "\n")
    return 0
