"""Several venues on real sockets before one running service: liars, losses, slow lines.

Three venues quote one simulated market, each on its own wire; the service takes all of them. Every
venue is reached through a relay, so that its line can be slow or cut without touching the others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from statistics import median
from typing import Self
from urllib.parse import urlsplit

import msgspec
import pytest

from integration.processes import Line
from volgauge import kernels
from volgauge.app import Service
from volgauge.clock import SystemClock
from volgauge.domain.index import Source
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.kernels import layout as col
from volgauge.settings import (
    EvidenceSettings,
    HttpSettings,
    RedisSettings,
    Settings,
    VenueSettings,
    VenuesSettings,
)
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.telemetry.latency import BUCKETS_NS

VENUES = ("okx", "bybit", "binance")
RATE = 250.0
"""Quotes of the market in a second; each venue follows with its own."""
PATIENCE_SECONDS = 40.0
STALE_SECONDS = 1.5
"""Without data for this long a venue does not count."""
SLACK_SECONDS = 0.5
"""A timer's step, a slow machine's pause."""
DELAY_MILLIS = 1_000.0
"""Of the slow line."""
CALM_POINTS = 0.05
"""How far the market itself moves the index in the seconds of a test, at most."""
Tell = Callable[[str, object], None]


class Relay:
    """A line to a server of loopback: bytes pass in order, later and in lumps when it is told so.

    From the server only; what a client says passes at once.
    """

    def __init__(self, url: str) -> None:
        self.delay_seconds = 0.0
        self.lump_seconds = 0.0
        """Bytes leave at whole multiples of this only."""
        self.port = 0
        self._target = urlsplit(url).port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def of(self, url: str) -> str:
        """The same address by way of this line."""
        return urlsplit(url)._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    def cut(self) -> None:
        """The server is gone: connections break, and new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        mine = {writer}
        try:
            ahead_reader, ahead_writer = await asyncio.open_connection("127.0.0.1", self._target)
            mine.add(ahead_writer)
            self._writers |= mine
            with suppress(OSError):
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pass(reader, ahead_writer))
                    tasks.create_task(self._delay(ahead_reader, writer))
        except* OSError:
            pass
        finally:
            for end in mine:
                end.transport.abort()
            self._writers -= mine
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def _delay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(10_000)

        async def release() -> None:
            while True:
                due, data = await waiting.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                writer.write(data)
                await writer.drain()

        async with asyncio.TaskGroup() as tasks:
            releasing = tasks.create_task(release())
            while data := await reader.read(1 << 16):
                due = loop.time() + self.delay_seconds
                if self.lump_seconds:
                    due = (due // self.lump_seconds + 1.0) * self.lump_seconds
                await waiting.put((due, data))
            releasing.cancel()
        writer.transport.abort()


class Running:
    """A service on three venues, and the records of its headline."""

    def __init__(self, simulator: Simulator, service: Service, relays: dict[str, Relay]) -> None:
        self.simulator = simulator
        self.service = service
        self.relays = relays
        self.records: list[Line] = []
        self.tasks: list[asyncio.Task[None]] = []

    @property
    def newest(self) -> Line:
        """The newest record; nothing in it before the first."""
        return self.records[-1] if self.records else {"status": "", "venues": {}}

    def lie(self, venue: str, lies: Lies) -> None:
        """Let a venue say what is not so."""
        host = self.simulator.dialects[venue]
        assert isinstance(host, OkxVenue | BybitVenue | BinanceVenue)
        host.lies = lies

    def books_of(self, record: Line, venue: str) -> list[Line]:
        """What a record says of a venue's books."""
        return [told for name, told in record["venues"].items() if name.split(":")[0] == venue]

    def weight_of(self, record: Line, venue: str) -> float:
        """A venue's part of a value."""
        return sum(float(told["weight"]) for told in self.books_of(record, venue))

    def states_of(self, venue: str) -> set[str]:
        """States of a venue's books in the newest record."""
        return {told["state"] for told in self.books_of(self.newest, venue)}

    def all_in(self) -> bool:
        """Every book of every venue is part of the newest value, and the value is well."""
        venues = self.newest["venues"]
        names = {name.split(":")[0] for name in venues}
        return (
            names == set(VENUES)
            and {told["state"] for told in venues.values()} == {"in"}
            and self.newest["status"] == "OK"
        )

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition, with a deadline."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while not condition():
            self.check()
            assert asyncio.get_running_loop().time() < deadline, f"{what}: {self.newest}"
            await asyncio.sleep(0.02)

    async def pause(self, seconds: float) -> list[Line]:
        """Let time pass; the records of that time."""
        before = len(self.records)
        await asyncio.sleep(seconds)
        self.check()
        return self.records[before:]

    def check(self) -> None:
        """A task that failed ends the test."""
        for task in self.tasks:
            if task.done():
                task.result()

    async def follow(self) -> None:
        """Take the records as a streaming client does."""
        client = self.service.hub.join(frozenset({"BTC"}), frozenset({"30d"}), None)
        assert client is not None
        while True:
            for delivery in await client.next(1.0):
                record = msgspec.json.decode(delivery.line)
                if "venues" in record:
                    self.records.append(record)


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    """One market, three venues, a line to each, a service on all of them."""
    kernels.warm()
    simulated = SimulatorOptions(
        currencies=("BTC",), rate=RATE, seed=3, venues=VENUES, compression=False
    )
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(simulated))
        relays = {
            name: await stack.enter_async_context(Relay(simulator.ws_url_of(name)))
            for name in VENUES
        }
        venues = {
            name: VenueSettings(
                assets=("BTC",),
                ws_url=relay.of(simulator.ws_url_of(name)),
                rest_url=relay.of(simulator.rest_url_of(name)),
                stale_after_seconds=STALE_SECONDS,
                compression=False,
            )
            for name, relay in relays.items()
        }
        settings = Settings(
            venues=VenuesSettings(deribit=VenueSettings(enabled=False), **venues),
            redis=RedisSettings(enabled=False),
            http=HttpSettings(enabled=False),
            evidence=EvidenceSettings(enabled=False),
        )
        service = Service(settings, source=Source.SIMULATED, clock=SystemClock())
        run = Running(simulator, service, relays)
        run.tasks = [
            asyncio.create_task(service.run(lambda _: None)),
            asyncio.create_task(run.follow()),
        ]
        try:
            await run.until(run.all_in, "all venues in")
            yield run
        finally:
            service.stopping.set()
            run.tasks[1].cancel()
            await asyncio.wait(run.tasks)
            run.tasks[0].result()


def largest_move(records: list[Line], value: float) -> float:
    """Of the values from another, points; every record must have one."""
    return max(abs(float(record["value"]) - value) for record in records)


async def test_every_venue_contributes_and_the_record_adds_up(record_property: Tell) -> None:
    """OK; each venue has a weight, all weights sum to 1, and value = sum of weight x value."""
    async with running() as run:
        records = await run.pause(1.0)

    assert len(records) >= 3
    for record in records:
        parts = record["venues"].values()
        assert record["status"] == "OK"
        assert sum(part["weight"] for part in parts) == pytest.approx(1.0, abs=1e-9)
        assert all(run.weight_of(record, venue) > 0.0 for venue in VENUES)
        total = sum(part["weight"] * part["value"] for part in parts)
        assert record["value"] == pytest.approx(total, abs=1e-6)
    weights = {venue: round(run.weight_of(records[-1], venue), 3) for venue in VENUES}
    record_property("measured", f"three venues: {weights}, u {records[-1]['u']:.3f}")


async def test_lying_venue_is_out_within_seconds(record_property: Tell) -> None:
    """Volatilities 20 % too high: out, no weight; the value stays inside its band."""
    async with running() as run:
        before = run.newest
        seen = len(run.records)
        began = asyncio.get_running_loop().time()
        run.lie("bybit", Lies(vol_ratio=1.2))
        await run.until(lambda: run.states_of("bybit") == {"out"}, "out")
        took = asyncio.get_running_loop().time() - began
        await run.pause(1.0)
        records = run.records[seen:]
        moved = largest_move(records, before["value"])
        lied = max(part["value"] for r in records for part in run.books_of(r, "bybit"))
        record_property(
            "measured",
            f"+20 %: out after {took:.1f} s, told {lied - before['value']:+.2f} points, the value "
            f"moved by {moved:.3f}, u {before['u']:.3f}",
        )

    assert lied > 1.1 * before["value"]
    assert run.weight_of(records[-1], "bybit") == 0.0
    assert moved <= 2.0 * before["u"] + CALM_POINTS
    # Two seconds beyond the limit, once the chain has been quoted anew.
    assert took < 20.0


@pytest.mark.parametrize(
    "lies", [Lies(silent=True), Lies(frozen=True)], ids=["silent", "standing still"]
)
async def test_venue_without_news_moves_nothing(lies: Lies, record_property: Tell) -> None:
    """Heartbeats go on without data: down in time. Old quotes with new stamps: no movement."""
    async with running() as run:
        before = run.newest
        seen = len(run.records)
        began = asyncio.get_running_loop().time()
        run.lie("binance", lies)
        if lies.silent:
            await run.until(lambda: run.states_of("binance") == {"down"}, "down")
        took = asyncio.get_running_loop().time() - began
        await run.pause(1.5)
        records = run.records[seen:]
        moved = largest_move(records, before["value"])
        told = f"down after {took:.1f} s" if lies.silent else "still in"
        record_property("measured", f"{lies}: {told}, the value moved by {moved:.3f}")

    assert {record["status"] for record in records} == {"OK"}
    assert moved <= CALM_POINTS + 2.0 * before["u"]
    if lies.silent:
        assert took <= 2.0 * STALE_SECONDS + SLACK_SECONDS
        assert run.weight_of(records[-1], "binance") == 0.0


async def test_values_go_on_without_the_largest_venue(record_property: Tell) -> None:
    """Its line is cut: down at once, the others carry the value; of the last one it is said so."""
    async with running() as run:
        before = run.newest
        seen = len(run.records)
        largest = max(VENUES, key=lambda venue: run.weight_of(before, venue))
        second, last = (venue for venue in VENUES if venue != largest)
        run.relays[largest].cut()
        await run.until(lambda: run.states_of(largest) == {"down"}, "down")
        await run.pause(1.0)
        records = run.records[seen:]
        moved = largest_move(records, before["value"])
        run.relays[second].cut()
        await run.until(lambda: run.states_of(second) == {"down"}, "the second down")
        await run.until(lambda: run.newest["status"] == "SINGLE_VENUE", "told")
        alone = run.newest
        record_property(
            "measured",
            f"{largest} (weight {run.weight_of(before, largest):.2f}) cut: the value moved by "
            f"{moved:.3f}, u {before['u']:.3f}; alone {last}",
        )

    assert run.weight_of(records[-1], largest) == 0.0
    assert moved <= CALM_POINTS + 2.0 * before["u"]
    assert {record["status"] for record in records} <= {"OK", "DEGRADED"}
    assert alone["value"] is not None
    assert run.weight_of(alone, last) == pytest.approx(1.0)


class Watch:
    """How old the newest quote of each venue is, and how long records take."""

    def __init__(self, run: Running) -> None:
        self._run = run
        self._sinks = {venue: run.service.engine.sink(Venue(venue)) for venue in VENUES}

    async def ages(self, seconds: float) -> dict[str, list[float]]:
        """Milliseconds by the market's clock, looked at again and again.

        A slow machine slows that clock too: what is seen is the way, not the load.
        """
        loop, market = asyncio.get_running_loop(), self._run.simulator.market
        assert market is not None
        found: dict[str, list[float]] = {venue: [] for venue in VENUES}
        ending = loop.time() + seconds
        while loop.time() < ending:
            await asyncio.sleep(0.02)
            for venue, sink in self._sinks.items():
                sink.table.settle()
                newest_ns = int(sink.table.stamps[:, col.EXCHANGE_NS].max())
                found[venue].append((market.now_ns - newest_ns) / NANOS_PER_MILLI)
        return found

    def to_publish(self) -> list[float]:
        """How many records took up to each bound, from the receipt to the sinks."""
        return [count for _, count in self._run.service.metrics.tick_to_publish.buckets()]


def middle_of(before: list[float], after: list[float]) -> float:
    """Upper bound, ms, of the bucket in which the median of the time between lies."""
    counts = [late - early for early, late in zip(before, after, strict=True)]
    bounds_ns = (*BUCKETS_NS, 10 * BUCKETS_NS[-1])
    pairs = zip(bounds_ns, counts, strict=True)
    return next(bound for bound, count in pairs if count >= 0.5 * counts[-1]) / NANOS_PER_MILLI


async def test_slow_and_bursty_venue_delays_nobody(record_property: Tell) -> None:
    """One line a second late and in lumps of half a second: the others' quotes come as before."""
    async with running() as run:
        watch = Watch(run)
        marks = [watch.to_publish()]
        calm = await watch.ages(3.0)
        marks.append(watch.to_publish())
        run.relays["okx"].delay_seconds = DELAY_MILLIS / 1e3
        run.relays["okx"].lump_seconds = 0.5
        await run.pause(2.0)
        seen = len(run.records)
        marks.append(watch.to_publish())
        slow = await watch.ages(3.0)
        marks.append(watch.to_publish())
        records = run.records[seen:]
    usual = {venue: median(ages) for venue, ages in calm.items()}
    now = {venue: median(ages) for venue, ages in slow.items()}
    merged = max(record["ticks_merged"] for record in records)
    published = middle_of(*marks[:2]), middle_of(*marks[2:])
    record_property(
        "measured",
        "slow line: median age of the newest quote "
        + ", ".join(f"{venue} {usual[venue]:.0f} -> {now[venue]:.0f} ms" for venue in VENUES)
        + f"; tick to publish p50 <= {published[0]:g} -> {published[1]:g} ms; most ticks in one "
        f"record {merged}",
    )

    assert now["okx"] >= usual["okx"] + 0.9 * DELAY_MILLIS
    for venue in ("bybit", "binance"):
        # Who waits for the slow line waits for a second.
        assert now[venue] <= 2.0 * usual[venue] + 0.1 * DELAY_MILLIS
    assert published[1] <= 5.0 * published[0]
    # A lump is put together to few records; none holds more than a venue's quotes of two seconds.
    assert merged <= 2 * RATE * len(VENUES)
    assert {record["status"] for record in records} <= {"OK", "DEGRADED"}
