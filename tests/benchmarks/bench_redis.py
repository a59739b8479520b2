"""Publish one record: RedisPublisher against redis-py, awaited; to the subscriber's receipt.

Unit of work: one headline record of the engine, encoded and published, 2,000 a second, one at a
time, on one uvloop core with Redis and the subscriber on the other. The CPU time of the
publishing process is what publishing takes from the event loop; that of the pacing alone is taken
off. The publisher does three writes in one script (channel, latest key, stream); redis-py is timed
with the same script and with a bare PUBLISH.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import redis.asyncio
import uvloop
from msgspec.structs import replace

from volgauge.clock import SystemClock
from volgauge.domain.index import IndexValue
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.record import encode
from volgauge.publish.redis import RedisPublisher
from volgauge.settings import RedisSettings

from . import bench_adapter, measure
from .processes import Child, script
from .report import Options, Report

RATE = 2_000
CHANNEL = "volgauge:index:BTC:30d"
LARGEST_SHARE = 0.7
"""Both pay for the wake-up that the reply costs, at 2,000/s most of it."""
READY_SECONDS = 10.0

Publish = Callable[[IndexValue], Awaitable[None]]


def run(options: Options) -> Report:
    """Publish in turns, compare."""
    report = Report("redis", f"one record published, {RATE}/s")
    core, other_core = measure.cores()
    record = make_record()
    report.add("record", float(len(encode(record))), "bytes")
    measure.pin(other_core)
    server = BundledRedis()
    url = server.start()
    try:
        with Child(script("subscriber.py", url, CHANNEL), core=other_core) as subscriber:
            subscriber.answer(READY_SECONDS)
            measure.pin(core)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_measure(report, options, record, url, subscriber))
    finally:
        server.stop()
        measure.unpin()
    return report


def make_record() -> IndexValue:
    """A headline record as the engine makes it from a simulated chain."""
    case = bench_adapter.Case(bench_adapter.FRAMES)
    case.receive(case.frames)()
    records = case.engine.recompute(bench_adapter.NOW_NS)
    found = [r for r in records if isinstance(r, IndexValue) and r.tenor_days == 30.0]
    return found[0]


async def _measure(
    report: Report, options: Options, record: IndexValue, url: str, subscriber: Child
) -> None:
    claimed = asyncio.Event()
    publisher = RedisPublisher(
        RedisSettings(), SystemClock(), url, on_epoch=lambda _: claimed.set()
    )
    client = redis.asyncio.from_url(url)
    serving = asyncio.create_task(publisher.run(), name="publisher")
    await claimed.wait()
    await client.script_load(publisher.script)

    async def offer(value: IndexValue) -> None:
        publisher.offer(value)

    async def evaluate(value: IndexValue) -> None:
        key, stream = "volgauge:latest:other:BTC:30d", "volgauge:stream:other:BTC:30d"
        await client.evalsha(
            publisher.script_sha, 2, key, stream, "10000", f"1-{value.seq}", encode(value), CHANNEL
        )

    async def send(value: IndexValue) -> None:
        await client.publish(CHANNEL, encode(value))

    async def nothing(_: IndexValue) -> None:
        pass

    candidates: dict[str, Publish] = {
        "pacing alone": nothing,
        "RedisPublisher.offer": offer,
        "redis-py, await the same script": evaluate,
        "redis-py, await PUBLISH": send,
    }
    count = RATE // 4 if options.quick else RATE
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    latency: dict[str, list[float]] = {name: [] for name in candidates}
    seq = 0
    try:
        for _ in range(2 if options.quick else 5):
            for name, publish in candidates.items():
                subscriber.ask({"do": "start"}, READY_SECONDS)
                began_ns = time.process_time_ns()
                stamps = await _publish_paced(publish, record, count, seq)
                cpu[name].append((time.process_time_ns() - began_ns) / count / 1e3)
                seq += count
                answer = subscriber.ask(
                    {"do": "stop", "channel": CHANNEL, "seconds": 5.0}, READY_SECONDS
                )
                received = {found[1]: found[0] for found in answer["records"]}
                latency[name] += [
                    (received[number] - stamp) / 1e6
                    for number, stamp in stamps.items()
                    if number in received
                ]
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await client.aclose()
    alone = statistics.median(cpu["pacing alone"])
    costs = {name: statistics.median(values) - alone for name, values in cpu.items()}
    for name in list(candidates)[1:]:
        p50, p99 = measure.percentiles(latency[name], (0.5, 0.99))
        report.add(
            f"{name}: CPU", costs[name], "us/record",
            f"to the subscriber p50 {p50:.2f} ms, p99 {p99:.2f} ms, {len(latency[name])} received",
        )  # fmt: skip
    report.gate(
        "RedisPublisher / redis-py with the same script",
        costs["RedisPublisher.offer"] / costs["redis-py, await the same script"],
        "at most", LARGEST_SHARE, quick=options.quick,
    )  # fmt: skip


async def _publish_paced(
    publish: Publish, record: IndexValue, count: int, first: int
) -> dict[int, int]:
    """Publish on a schedule; returns the CLOCK_MONOTONIC time of each call by sequence number."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    stamps: dict[int, int] = {}
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / RATE - loop.time()))
        stamps[first + number + 1] = time.monotonic_ns()
        await publish(replace(record, seq=first + number + 1))
    await asyncio.sleep(0.05)
    return stamps
