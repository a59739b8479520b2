"""Composition root: builds every object, owns the one TaskGroup and the shutdown.

Nothing else in the package knows more than its own neighbours; all state is reachable from here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import structlog
from aiohttp import web
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from volgauge import __version__, kernels
from volgauge.analytics.desk import JOB_NS, Part
from volgauge.beside import run_beside
from volgauge.clock import Clock
from volgauge.domain.analytics import AlertEvent
from volgauge.domain.history import CandleSeries
from volgauge.domain.index import (
    METHODOLOGY_VERSION,
    FixingValue,
    IndexValue,
    Source,
    SurfaceValue,
    tenor_label,
)
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import ConfigError, PublishError
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.past import read_pasts
from volgauge.history.store import (
    HistoryStore,
    HistoryUnreadable,
    MixedSources,
    NoHistory,
    RangeTooLong,
)
from volgauge.index.asset import Record
from volgauge.index.bundle import build_facts
from volgauge.index.evidence import EvidenceKeeper
from volgauge.offline.explain import explain
from volgauge.pipeline import build_desk, build_pipeline, source_of
from volgauge.publish.answers import ApiError
from volgauge.publish.api import HistoryQuery
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.dropin import DropIn
from volgauge.publish.evidence import EvidenceDesk
from volgauge.publish.holdings import HoldingsDesk
from volgauge.publish.http import HttpServer
from volgauge.publish.hub import Hub
from volgauge.publish.readings import Readings
from volgauge.publish.record import Record as Published
from volgauge.publish.record import encode
from volgauge.publish.redis import RedisPublisher
from volgauge.publish.smile_desk import SmileDesk
from volgauge.publish.udf import Udf
from volgauge.publish.venues import VenueReporter, VenueSide
from volgauge.publish.webhook import Webhook
from volgauge.settings import Settings, describe
from volgauge.surface.label import book_label
from volgauge.surface.surface import Surface
from volgauge.telemetry.analytics import AnalyticsMetrics
from volgauge.telemetry.latency import LagMeter, Stage
from volgauge.telemetry.metrics import Metrics
from volgauge.telemetry.serving import ServingMetrics
from volgauge.wire import garbage
from volgauge.wire.catalog import run_catalog
from volgauge.wire.connects import ConnectPacer
from volgauge.wire.feed import run_connection
from volgauge.wire.recorder import Recorder

TIMER_SECONDS = 0.1
"""How often the engine is told the time; also how late a heartbeat can be."""

log = structlog.get_logger("volgauge")

Fill: TypeAlias = Callable[[HistoryKeeper], Coroutine[Any, Any, None]]


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
        self.evidence = (
            EvidenceKeeper(
                max_bytes=round(settings.evidence.max_megabytes * 1e6),
                keep_ns=round(settings.evidence.keep_seconds * NANOS_PER_SECOND),
                engine=__version__,
            )
            if settings.evidence.enabled and settings.http.enabled
            else None
        )
        self.engine, self.adapters = build_pipeline(settings, source, evidence=self.evidence)
        self.recorder = Recorder(Path(settings.recorder.path)) if settings.recorder.path else None
        if self.recorder is not None:
            described = describe(settings)
            tree = {name: described[name] for name in ("index", "venues")}
            self.recorder.settings({**tree, "build": msgspec.to_builtins(build_facts(__version__))})
        self.hub = Hub(clock)
        self.lags = {venue: LagMeter(self.engine.sink(venue).table) for venue in self.adapters}
        self.venue_reporter = VenueReporter(
            settings.index.headline_tenor_days,
            {venue: VenueSide(self.engine.sink(venue), lag) for venue, lag in self.lags.items()},
        )
        self.desk = (
            EvidenceDesk(self.evidence, epoch=lambda: self.hub.epoch, explain=explain)
            if self.evidence is not None
            else None
        )
        self.history = (
            HistoryKeeper(
                HistoryStore(settings.history.path),
                source,
                settings=settings.history,
                headline=tenor_label(settings.index.headline_tenor_days),
            )
            if settings.history.path
            else None
        )
        self._candles = None if self.history is None else history_reader(self.history)
        self.analytics = build_desk(settings, source, self.engine)
        self.readings: Readings | None = None
        self.webhook = (
            Webhook(settings.alerts, clock)
            if settings.alerts.enabled and settings.alerts.webhook_url
            else None
        )
        self.publisher: RedisPublisher | None = None
        self.http: HttpServer | None = None
        self.redis_url = settings.redis.url
        self.stopping = asyncio.Event()
        self.is_ending = False
        """Set the instant we are told to end: whatever was received since is not worth reading."""
        if self.evidence is not None:
            self.metrics.watch_evidence(self.evidence.stats)
        self.serving_metrics = ServingMetrics(self.registry)
        self.serving_metrics.watch_stream(self.hub.stats)
        if self.history is not None:
            self.serving_metrics.watch_history(self.history.stats)
        self.reading_metrics = AnalyticsMetrics(self.registry, [part.value for part in Part])
        if self.analytics is not None:
            self.readings = Readings(
                self.analytics,
                self.reading_metrics,
                clock,
                hand_over=self._offer,
                on_job=self._note_job,
                beside=run_beside,
            )
            if self.webhook is not None:
                self.reading_metrics.watch_webhook(self.webhook.stats)
        self._warm = False
        self._may_connect = asyncio.Event()
        self._flush_waits = False
        self._recompute_time = self.metrics.histogram(Stage.RECOMPUTE)
        self._publish_time = self.metrics.histogram(Stage.PUBLISH)

    async def run(self, announce: Callable[["Service"], None], fill: "Fill | None" = None) -> None:
        """Serve until `stopping` is set.

        Args:
            announce: Told once the kernels are warm.
            fill: Puts a past into the history, beside the running service.
        """
        bundled = BundledRedis() if self.settings.redis.enabled and not self.redis_url else None
        if bundled is not None:
            self.redis_url = bundled.start()
        if self.history is not None:
            await self.history.open()
            await self._seed(self.history)
        if self.settings.http.enabled:
            await self._listen()
        try:
            async with asyncio.TaskGroup() as tasks:
                owned = {name: tasks.create_task(part, name=name) for name, part in self._parts()}
                if bundled is not None:
                    owned["valkey"] = tasks.create_task(bundled.watch(), name="valkey")
                ready = self._get_ready(announce, fill)
                owned["warm-up"] = tasks.create_task(ready, name="warm-up")
                await self.stopping.wait()
                log.info("service.stopping")
                for task in owned.values():
                    task.cancel()
                # Beside the good-byes of the feeds.
                tasks.create_task(self._hang_up(), name="end of http")
                if bundled is not None:
                    tasks.create_task(_end_server(bundled, owned["redis"]), name="end of valkey")
        finally:
            await self._hang_up()
            if bundled is not None:
                bundled.stop()

    def end(self) -> None:
        """Let `run` return; only from the loop's own callbacks."""
        self.is_ending = True
        self.stopping.set()

    def flush(self) -> None:
        """Recompute the asset that waits longest and hand it to the sinks.

        The others have their turns in the next iterations of the loop: between two of them
        everybody else has one, too.
        """
        # The feeds end because we end them: that is no news of the market.
        if not self._warm or self.is_ending:
            return
        asset = self.engine.longest_waiting()
        if asset is None:
            return
        now_ns = self.clock.wall_ns()
        first_ns = self.engine.first_pending_ns
        records = self.engine.recompute(now_ns, asset)
        if self.recorder is not None:
            self.recorder.flushed(now_ns, asset)
        if not self._flush_waits and self.engine.longest_waiting() is not None:
            self._flush_waits = True
            asyncio.get_running_loop().call_soon(self._flush_next)
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

    def _flush_next(self) -> None:
        self._flush_waits = False
        self.flush()

    def reasons_not_ready(self) -> list[str]:
        """Why /readyz is red; empty when it is green."""
        if self.is_ending:
            return ["the service ends"]
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
            history=self._candles,
            evidence=self.desk,
            headline_tenor_days=settings.index.headline_tenor_days,
            about={
                "version": __version__,
                "methodology": METHODOLOGY_VERSION,
                "mode": settings.index.method.value,
                "source": source_of(settings).value,
                "history": self.history is not None,
                "evidence": self.desk is not None,
                "absolute_bands": settings.analytics.absolute_bands,
            },
            routes=[
                *SmileDesk(self._books_of, self.clock).routes(),
                *([] if self.history is None else HoldingsDesk(self.history.held).routes()),
                *self._drop_ins(),
            ],
        )
        try:
            await self.http.start()
        except OSError as error:
            raise ConfigError(
                f"http.port: cannot listen on {settings.http.host}:{settings.http.port}, "
                f"{error.strerror or error}"
            ) from error

    async def _hang_up(self) -> None:
        http, self.http = self.http, None
        if http is not None:
            await http.stop()

    def _drop_ins(self) -> list[web.RouteDef]:
        """What speaks to the clients of others."""
        settings = self.settings
        enabled = (getattr(settings.venues, venue) for venue in settings.venues.__struct_fields__)
        drop_in = DropIn(
            self.hub,
            self.clock,
            candles=self._candles,
            headline=tenor_label(settings.index.headline_tenor_days),
            configured=[name for venue in enabled if venue.enabled for name in venue.assets],
            source=source_of(settings),
            any_origin=settings.http.any_origin,
        )
        self.serving_metrics.watch_drop_in(drop_in.stats)
        udf = Udf(
            self.hub,
            self.clock,
            candles=self._candles,
            catalogue=None if self.history is None else self.history.catalogue,
            headline=tenor_label(settings.index.headline_tenor_days),
            any_origin=settings.http.any_origin,
        )
        return [*drop_in.routes(), *udf.routes()]

    def _books_of(self, asset: str) -> list[tuple[str, Surface]]:
        """The option books of an asset with their labels, venue by venue."""
        sinks = (self.engine.sink(venue) for venue in self.adapters)
        return [
            (book_label(sink.venue, book, sink.books), book)
            for sink in sinks
            for key, book in sink.books.items()
            if key.asset == asset
        ]

    def _hand_over(self, record: Record) -> None:
        if isinstance(record, IndexValue):
            self.metrics.record(record)
            if record.tenor_days == self.settings.index.headline_tenor_days:
                self.reading_metrics.headline(record)
            self.venue_reporter.take(record)
            self._keep(record)
        elif isinstance(record, SurfaceValue):
            self.metrics.surface(record)
        elif isinstance(record, FixingValue):
            self.metrics.fixing(record)
            log.info(
                "index.fixed",
                asset=record.asset,
                tenor_days=record.tenor_days,
                name=record.name.value,
                value=record.value,
                n_values=record.n_values,
                reason=record.reason.value if record.reason else None,
            )
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
        self._offer(record)
        if isinstance(record, IndexValue | SurfaceValue):
            if self.analytics is not None:
                self.analytics.take(record)
            if self.history is not None:
                self.history.take(record)

    def _offer(self, record: Published) -> None:
        """Give a record to every sink."""
        if self.publisher is not None:
            self.publisher.offer(record)
        self.hub.offer(record)
        if self.webhook is not None and isinstance(record, AlertEvent):
            self.webhook.offer(record)

    def _keep(self, record: IndexValue) -> None:
        """Put an index value into the recording, as the sinks will publish it."""
        if self.recorder is None:
            return
        stamped = replace(record, epoch=self.hub.epoch, published_ns=self.clock.wall_ns())
        try:
            line = encode(stamped)
        except PublishError:
            # The sinks refuse it, too, and count it: what was not published is not kept.
            return
        self.recorder.published(record.asset, record.computed_ns, line)

    def _parts(self) -> list[tuple[str, Any]]:
        """Every task of the service, by name."""
        parts: list[tuple[str, Any]] = [("timer", self._tell_the_time())]
        settings = self.settings
        if self.recorder is not None:
            parts.append(("recorder", self.recorder.run()))
        if self.history is not None:
            parts.append(("history", self.history.run()))
        if self.desk is not None:
            parts.append(("evidence", self.desk.run()))
        if self.readings is not None:
            parts.append(("analytics", self._read_off(self.readings)))
            parts.append(("spillovers", self.readings.run()))
        if self.webhook is not None:
            parts.append(("webhook", self.webhook.run()))
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
            self.metrics.watch_lag(adapter.venue, self.lags[adapter.venue])
            parts.append(
                (
                    f"catalog {adapter.venue}",
                    self._connect(run_catalog(adapter, self.clock, self.flush, self.recorder)),
                )
            )
            pacer = None if adapter.connects is None else ConnectPacer(adapter.connects)
            for protocol in adapter.connections():
                self.metrics.watch_connection(protocol)
                parts.append(
                    (
                        f"feed {protocol.venue}/{protocol.connection}",
                        self._connect(
                            run_connection(
                                protocol,
                                self.clock,
                                self.flush,
                                self.recorder,
                                pacer=pacer,
                                is_ending=lambda: self.is_ending,
                            )
                        ),
                    )
                )
        return parts

    async def _get_ready(self, announce: Callable[["Service"], None], fill: "Fill | None") -> None:
        """Compile or load every kernel off the loop, then freeze what will never be garbage."""
        if not kernels.is_cold():
            self._may_connect.set()
        compiled = await run_beside(kernels.warm)
        self._may_connect.set()
        log.info("kernels.warmed", signatures=compiled)
        garbage.settle()
        self._warm = True
        self.flush()
        announce(self)
        if self.history is not None and fill is not None:
            await fill(self.history)
            await self._seed(self.history)

    async def _connect(self, part: Coroutine[Any, Any, None]) -> None:
        """Talk to a venue: not while the compiler holds Python's lock, or it would seem silent."""
        try:
            await self._may_connect.wait()
        except asyncio.CancelledError:
            part.close()
            raise
        await part

    async def _seed(self, history: HistoryKeeper) -> None:
        """Tell the analytics what the history knows."""
        if self.analytics is None:
            return
        headline = tenor_label(self.settings.index.headline_tenor_days)
        pasts = await read_pasts(history, headline, self.clock.wall_ns())
        self.analytics.seed(pasts)
        log.info("analytics.seeded", assets=list(pasts))

    async def _tell_the_time(self) -> None:
        while True:
            await asyncio.sleep(TIMER_SECONDS)
            now_ns = self.clock.wall_ns()
            self.engine.timer(now_ns)
            if self.recorder is not None:
                self.recorder.timer(now_ns)
            self.flush()
            self._tell_of_venues(now_ns)
            self.metrics.timer(now_ns)
            self.metrics.set_ready(not self.reasons_not_ready())

    async def _read_off(self, readings: Readings) -> None:
        """One short job at a time: a tick of the index never waits for more than one."""
        pause_ns = JOB_NS
        while True:
            due_ns = self.clock.monotonic_ns() + pause_ns
            await asyncio.sleep(pause_ns / NANOS_PER_SECOND)
            if self._warm and not self.is_ending:
                late_ns = self.clock.monotonic_ns() - due_ns
                pause_ns = readings.step(self.clock.wall_ns(), late_ns)

    def _note_job(self, now_ns: int) -> None:
        if self.recorder is not None:
            self.recorder.job(now_ns)

    def _tell_of_venues(self, now_ns: int) -> None:
        """Hand over what each option book alone says; apart from the ticks, once a second."""
        for lag in self.lags.values():
            lag.timer(now_ns)
        for record in self.venue_reporter.due(now_ns):
            self._offer(record)


def history_reader(keeper: HistoryKeeper) -> Callable[[HistoryQuery], Awaitable[CandleSeries]]:
    """Let the API read candles; what the store refuses becomes a typed answer."""

    async def read(query: HistoryQuery) -> CandleSeries:
        try:
            return await keeper.query(
                query.asset,
                query.series,
                start_s=query.start_s,
                end_s=query.end_s,
                resolution_seconds=query.resolution_seconds,
                newest=query.newest,
            )
        except NoHistory as error:
            raise ApiError(404, "no_history", str(error)) from error
        except (RangeTooLong, ValueError) as error:
            raise ApiError(400, "bad_range", str(error)) from error
        except MixedSources as error:
            raise ApiError(409, "mixed_sources", str(error)) from error
        except HistoryUnreadable as error:
            raise ApiError(503, "history_unreadable", str(error)) from error

    return read


async def _end_server(bundled: BundledRedis, publishing: asyncio.Task[None]) -> None:
    """After the last records went out; it takes its time to end, which is not the loop's."""
    await asyncio.wait([publishing])
    await run_beside(bundled.stop)
