"""Composition root: builds every object, owns the one TaskGroup, the signals and the shutdown.

Nothing else in the package knows more than its own neighbours; all state is reachable from here.
"""

import asyncio
import gc
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace as with_changes
from prometheus_client import CollectorRegistry

from volgauge import __version__, kernels
from volgauge.adapters.base import VenueAdapter
from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.adapters.deribit.endpoints import is_official
from volgauge.clock import Clock, SystemClock
from volgauge.domain.events import EventSink
from volgauge.domain.index import (
    METHODOLOGY_VERSION,
    IndexValue,
    Source,
    StatusEvent,
    SurfaceValue,
    tenor_label,
)
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import ConfigError, VenueError, VolgaugeError
from volgauge.history.candles import PRICE, Candle
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.store import HistoryStore, MixedSources, NoHistory, RangeTooLong
from volgauge.index.asset import Record
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.http import ApiError, HistoryQuery, HttpServer
from volgauge.publish.hub import Hub
from volgauge.publish.record import encode
from volgauge.publish.redis import RedisPublisher
from volgauge.settings import Settings, VenueSettings, mask_url
from volgauge.simulator.history import Candles, make_history
from volgauge.simulator.market import HEADLINE_DAYS, Market, MarketOptions
from volgauge.telemetry import logs
from volgauge.telemetry.latency import Stage
from volgauge.telemetry.metrics import Metrics
from volgauge.wire import replay as recordings
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection
from volgauge.wire.recorder import Recorder

ADAPTERS: Mapping[Venue, Callable[[VenueSettings, EventSink], VenueAdapter]] = {
    Venue("deribit"): DeribitAdapter,
}
"""Every venue we can speak to; the names are those of `settings.venues`."""
TIMER_SECONDS = 0.1
"""How often the engine is told the time; also how late a heartbeat can be."""
CHILD_READY_SECONDS = 30.0
"""A simulator that has not said its address by then has failed."""

_SERIES = {"index": tenor_label(HEADLINE_DAYS), "price": PRICE}
"""The simulator's names of series, and the store's."""

log = structlog.get_logger("volgauge")


class Service:
    """One process: feeds, engine and sinks, built from the settings."""

    def __init__(self, settings: Settings, *, source: Source, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.registry = CollectorRegistry(auto_describe=True)
        self.metrics = Metrics(
            self.registry,
            version=__version__,
            headline_tenor_days=settings.index.headline_tenor_days,
        )
        self.engine, self.adapters = build_pipeline(settings, source)
        self.recorder = Recorder(Path(settings.recorder.path)) if settings.recorder.path else None
        self.hub = Hub(clock)
        self.history = (
            HistoryKeeper(HistoryStore(settings.history.path), source)
            if settings.history.path
            else None
        )
        self.publisher: RedisPublisher | None = None
        self.http: HttpServer | None = None
        self.redis_url = settings.redis.url
        self.stopping = asyncio.Event()
        self._warm = False
        self._recompute_time = self.metrics.histogram(Stage.RECOMPUTE)
        self._publish_time = self.metrics.histogram(Stage.PUBLISH)

    async def run(self, announce: Callable[["Service"], None], past: "Past | None" = None) -> None:
        """Serve until `stopping` is set; `past` is simulated history to begin with."""
        bundled = BundledRedis() if self.settings.redis.enabled and not self.redis_url else None
        if bundled is not None:
            self.redis_url = bundled.start()
        if self.history is not None:
            await self.history.open()
        if self.settings.http.enabled:
            await self._listen()
        try:
            async with asyncio.TaskGroup() as tasks:
                owned = [tasks.create_task(part, name=name) for name, part in self._parts()]
                await self._warm_up()
                announce(self)
                if self.history is not None and past is not None:
                    owned.append(tasks.create_task(_fill(self.history, past), name="past"))
                await self.stopping.wait()
                log.info("service.stopping")
                # The feeds end now because we end them: that is no news of the market.
                self._warm = False
                for task in owned:
                    task.cancel()
        finally:
            if self.http is not None:
                await self.http.stop()
            if bundled is not None:
                bundled.stop()

    def flush(self) -> None:
        """Recompute what was touched and hand it to the sinks; called once a loop iteration."""
        if not self._warm:
            return
        now_ns = self.clock.wall_ns()
        first_ns = self.engine.first_pending_ns
        records = self.engine.recompute(now_ns)
        if self.recorder is not None:
            self.recorder.flushed(now_ns)
        computed_ns = self.clock.wall_ns()
        self._recompute_time.observe_ns(computed_ns - now_ns)
        if not records:
            return
        for record in records:
            self._hand_over(record)
        handed_ns = self.clock.wall_ns()
        self._publish_time.observe_ns(handed_ns - computed_ns)
        if first_ns:
            self.metrics.tick_to_publish.observe_ns(handed_ns - first_ns)

    def reasons_not_ready(self) -> list[str]:
        """Why /readyz is red; empty when it is green."""
        if not self._warm:
            return ["kernels are being compiled"]
        return self.engine.reasons_not_ready()

    async def _listen(self) -> None:
        """Open the HTTP side before anything is ready: /readyz says why it is not."""
        settings = self.settings
        self.http = HttpServer(
            settings.http,
            self.hub,
            self.registry,
            self.clock,
            reasons_not_ready=self.reasons_not_ready,
            history=None if self.history is None else _history_reader(self.history),
            about={
                "version": __version__,
                "methodology": METHODOLOGY_VERSION,
                "mode": settings.index.method.value,
                "source": source_of(settings).value,
            },
        )
        try:
            await self.http.start()
        except OSError as error:
            raise ConfigError(
                f"http.port: cannot listen on {settings.http.host}:{settings.http.port}, "
                f"{error.strerror or error}"
            ) from error

    def _hand_over(self, record: Record) -> None:
        if isinstance(record, IndexValue):
            self.metrics.record(record)
        elif isinstance(record, SurfaceValue):
            self.metrics.surface(record)
        else:
            log.info(
                "index.status_changed",
                asset=record.asset,
                tenor_days=record.tenor_days,
                before=record.before.value,
                after=record.after.value,
                flags=record.flags,
                reason=record.reason.value if record.reason else None,
            )
        if self.publisher is not None:
            self.publisher.offer(record)
        self.hub.offer(record)
        if self.history is not None and not isinstance(record, StatusEvent):
            self.history.take(record)

    def _parts(self) -> list[tuple[str, Any]]:
        """Every task of the service, by name."""
        parts: list[tuple[str, Any]] = [("timer", self._tell_the_time())]
        settings = self.settings
        if self.recorder is not None:
            parts.append(("recorder", self.recorder.run()))
        if self.history is not None:
            parts.append(("history", self.history.run()))
        if settings.redis.enabled:
            self.publisher = RedisPublisher(
                settings.redis,
                self.clock,
                self.redis_url,
                headline_tenor=tenor_label(settings.index.headline_tenor_days),
                on_epoch=self.hub.set_epoch,
            )
            self.metrics.watch_publisher(self.publisher.stats)
            parts.append(("redis", self.publisher.run()))
        for adapter in self.adapters.values():
            self.metrics.watch_venue(self.engine.sink(adapter.venue))
            parts.append(
                (
                    f"catalog {adapter.venue}",
                    run_catalog(adapter, self.clock, self.flush, self.recorder),
                )
            )
            for protocol in adapter.connections():
                self.metrics.watch_connection(protocol)
                parts.append(
                    (
                        f"feed {protocol.venue}/{protocol.connection}",
                        run_connection(protocol, self.clock, self.flush, self.recorder),
                    )
                )
        return parts

    async def _warm_up(self) -> None:
        """Compile or load every kernel off the loop, then freeze what will never be garbage."""
        compiled = await asyncio.to_thread(kernels.warm)
        log.info("kernels.warmed", signatures=compiled)
        gc.collect()
        gc.freeze()
        self._warm = True
        self.flush()

    async def _tell_the_time(self) -> None:
        while True:
            await asyncio.sleep(TIMER_SECONDS)
            now_ns = self.clock.wall_ns()
            self.engine.timer(now_ns)
            if self.recorder is not None:
                self.recorder.timer(now_ns)
            self.flush()
            self.metrics.set_ready(not self.reasons_not_ready())


def _history_reader(keeper: HistoryKeeper) -> Callable[[HistoryQuery], Awaitable[dict[str, Any]]]:
    """Let the API read candles; what the store refuses becomes a typed answer."""

    async def read(query: HistoryQuery) -> dict[str, Any]:
        try:
            found = await keeper.query(
                query.asset,
                query.series,
                start_s=query.start_s,
                end_s=query.end_s,
                resolution_seconds=query.resolution_seconds,
            )
        except NoHistory as error:
            raise ApiError(404, "no_history", str(error)) from error
        except (RangeTooLong, ValueError) as error:
            raise ApiError(400, "bad_range", str(error)) from error
        except MixedSources as error:
            raise ApiError(409, "mixed_sources", str(error)) from error
        answer: dict[str, Any] = msgspec.to_builtins(found)
        return answer

    return read


class Past(Struct, frozen=True, kw_only=True):
    """Which simulated past the demo's history begins with: the market's own seed and start."""

    seed: int
    start_ns: int


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `volgauge demo` simulates."""

    chain: Path | None
    asset: str | None
    rate: float
    seed: int


def build_pipeline(
    settings: Settings, source: Source, *, has_connections: bool = True
) -> tuple[Engine, dict[Venue, VenueAdapter]]:
    """The engine and one adapter for each enabled venue, pushing into it.

    Args:
        settings: The whole tree.
        source: Written into every record.
        has_connections: The input says when a connection came up, so the engine can wait for all
            of them; a foreign recording does not.

    Raises:
        ConfigError: No venue is enabled.
    """
    rules = {
        name: VenueRules(stale_after_ns=round(venue.stale_after_seconds * NANOS_PER_SECOND))
        for name, venue in _enabled(settings).items()
    }
    if not rules:
        raise ConfigError("venues: expected at least one enabled venue")
    engine = Engine(settings.index, source=source, version=__version__, venues=rules)
    adapters: dict[Venue, VenueAdapter] = {}
    for name, venue in _enabled(settings).items():
        sink = engine.sink(name)
        adapter = ADAPTERS[name](venue, sink)
        adapters[name] = adapter
        if has_connections:
            sink.expected = frozenset(protocol.connection for protocol in adapter.connections())
    return engine, adapters


def source_of(settings: Settings) -> Source:
    """`live` only when every endpoint is an official host; there is no silent mixture."""
    official = all(
        is_official(venue.ws_url, venue.rest_url) for venue in _enabled(settings).values()
    )
    return Source.LIVE if official else Source.SIMULATED


def _enabled(settings: Settings) -> dict[Venue, VenueSettings]:
    venues = {Venue(name): getattr(settings.venues, name) for name in ADAPTERS}
    return {name: venue for name, venue in venues.items() if venue.enabled}


def serve(
    settings: Settings,
    *,
    stop_after_seconds: float | None = None,
    announce: Callable[[Service], None] | None = None,
) -> int:
    """Run the service until SIGINT or SIGTERM; the exit code.

    Args:
        settings: The whole tree.
        stop_after_seconds: End by itself after this long.
        announce: Told once the kernels are warm; default says on stdout where to look.
    """
    lines = logs.configure(settings.log)
    return _run_loop(_serve(settings, lines, stop_after_seconds, announce=announce or _announce))


async def _serve(
    settings: Settings,
    log_lines: Mapping[str, int],
    stop_after_seconds: float | None = None,
    *,
    announce: Callable[[Service], None],
    past: Past | None = None,
) -> int:
    service = Service(settings, source=source_of(settings), clock=SystemClock())
    service.metrics.watch_logs(log_lines)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, service.stopping.set)
    if stop_after_seconds is not None:
        loop.call_later(stop_after_seconds, service.stopping.set)
    failures: list[VolgaugeError] = []
    try:
        await service.run(announce, past)
    except* VolgaugeError as group:
        failures += _leaves(group)
    for failure in failures:
        log.error("service.failed", error=str(failure))
    return 1 if failures else 0


def _leaves(group: BaseExceptionGroup[VolgaugeError]) -> list[VolgaugeError]:
    found: list[VolgaugeError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


async def _fill(history: HistoryKeeper, past: Past) -> None:
    """Give the demo a past: 400 simulated days of index and price, joined to the market's start."""

    def simulate() -> list[Candles]:
        market = Market(MarketOptions(seed=past.seed, start_ns=past.start_ns))
        return make_history(market)

    made = await asyncio.to_thread(simulate)
    await history.fill(
        {
            (series.asset, _SERIES[series.series], series.resolution_seconds): [
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


def _announce(service: Service) -> None:
    """Say on stdout where to look; copyable lines."""
    settings = service.settings
    lines = [f"volgauge {__version__}, source: {source_of(settings).value}"]
    if settings.redis.enabled:
        channel = (
            f"{settings.redis.prefix}:index:{'{BTC}' if settings.redis.cluster else 'BTC'}:30d"
        )
        lines.append(f"  redis    redis-cli -u {mask_url(service.redis_url)} SUBSCRIBE {channel}")
    if service.http is not None:
        lines.append(f"  page     {service.http.url}/")
        lines.append(f"  metrics  {service.http.url}/metrics")
    if service.recorder is not None:
        lines.append(f"  recording into {settings.recorder.path}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def demo(settings: Settings, options: DemoOptions) -> int:
    """The whole pipeline on one machine: a simulated venue in a child process, and the service."""
    lines = logs.configure(settings.log)
    start_ns = time.time_ns() // NANOS_PER_MILLI * NANOS_PER_MILLI
    arguments = ["--rate", str(options.rate), "--seed", str(options.seed), "--exit-with-stdin"]
    arguments += ["--start", str(start_ns)]
    if options.chain is not None:
        arguments += ["--chain", str(options.chain), "--asset", str(options.asset)]
    with tempfile.TemporaryDirectory(prefix="volgauge-demo-") as folder, _child(arguments) as child:
        address = _address_of(child)
        venue = with_changes(
            settings.venues.deribit,
            enabled=True,
            ws_url=address["ws_url"],
            rest_url=address["rest_url"],
            assets=tuple(address["assets"]),
        )
        simulated = with_changes(
            settings,
            venues=with_changes(settings.venues, deribit=venue),
            history=with_changes(settings.history, path=str(Path(folder) / "simulated.sqlite")),
        )
        past = None if options.chain else Past(seed=options.seed, start_ns=start_ns)
        try:
            return _run_loop(_serve(simulated, lines, announce=_announce, past=past))
        finally:
            # The end of its standard input ends the child.
            child.communicate(timeout=CHILD_READY_SECONDS)


def _child(arguments: list[str]) -> subprocess.Popen[bytes]:
    """The simulator on the other core; it ends when our end of its standard input closes."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "volgauge", "simulate", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def replay(settings: Settings, folder: Path, *, asset: str | None, tenor_days: float | None) -> int:
    """Recompute a recording; one JSON record a line on stdout."""
    logs.configure(settings.log)
    kernels.warm()
    engine, adapters = build_pipeline(
        settings, Source.REPLAY, has_connections=recordings.is_ours(folder)
    )
    player = _Player(engine, asset, tenor_days)
    recordings.replay(folder, adapters, player, player.refused)
    sys.stdout.flush()
    log.info("replay.finished", records=player.records, refused=player.refused_count)
    return 0


class _Player:
    """The engine as a replay drives it, with standard output for a sink."""

    def __init__(self, engine: Engine, asset: str | None, tenor_days: float | None) -> None:
        self._engine = engine
        self._asset = asset
        self._tenor_days = tenor_days
        self._previous: dict[tuple[str, float], int] = {}
        self.records = 0
        self.refused_count = 0

    def timer(self, now_ns: int) -> None:
        """Time passed."""
        self._engine.timer(now_ns)

    def flush(self, now_ns: int) -> None:
        """Recompute and print."""
        for record in self._engine.recompute(now_ns):
            if not isinstance(record, IndexValue):
                continue
            if self._asset is not None and record.asset != self._asset:
                continue
            if self._tenor_days is not None and record.tenor_days != self._tenor_days:
                continue
            key = (record.asset, record.tenor_days)
            stamped = with_changes(
                record, prev_seq=self._previous.get(key, 0), published_ns=record.computed_ns
            )
            self._previous[key] = record.seq
            self.records += 1
            sys.stdout.buffer.write(encode(stamped) + b"\n")

    def refused(self, error: VenueError) -> None:
        """A frame was refused, as it was live."""
        self.refused_count += 1
        log.warning("replay.frame_refused", error=str(error))


def warm() -> int:
    """Compile every kernel into the cache."""
    sys.stdout.write(msgspec.json.encode({"signatures": kernels.warm()}).decode() + "\n")
    return 0


def _run_loop(main: Awaitable[int]) -> int:
    """Run on uvloop where there is one; it saves a third of the cost of single messages."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):  # absent on Windows
        factory = import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_awaited(main))


async def _awaited(main: Awaitable[int]) -> int:
    return await main


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
