"""Frame to subscriber: simulated venue, websocket, service, Redis, and the naive pipeline beside.

    core A   the service, or the naive pipeline: whichever is being loaded
    core B   the load generator, Redis, the subscriber

The service runs on `websockets`, as `make run` installs it; where the extra `fast` is installed a
second service runs on that, and only its figures are printed.

Latency is from before the `send` of a frame to the receipt of the first record that includes it,
both by CLOCK_MONOTONIC. Records tell how many inputs they include, so the n-th frame belongs to the
first record by which n inputs are in. One asset (BTC, about 900 options), quotes only.
"""

import importlib.util
import statistics
import tempfile
import time
from array import array
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec import Struct

from volgauge.publish.bundled import BundledRedis

from . import measure
from .processes import Child, script, volgauge
from .report import Options, Report

SERVICE, FAST, NAIVE = "service", "fast", "naive"
CHANNELS = {
    SERVICE: "volgauge:index:BTC:30d",
    FAST: "fast:index:BTC:30d",
    NAIVE: "naive:index:BTC:30d",
}
FRAMES = 20_000
READY_SECONDS = 60.0
DRAIN_SECONDS = 20.0
ROUNDS = 4
QUICK_SCALE = 0.35
LEAST_CAPACITY = 10.0
LARGEST_BURST_SHARE = 1.0 / 6.0
LARGEST_DRIFT_MS = 10.0
"""A queue that grows by 1 % of 20,000 frames a second for 2 s is 20 ms long."""
SHARES = (0.5, 0.99, 0.999)


class Load(Struct, frozen=True):
    """One load: `rate` frames a second in groups of `burst`; rate 0 is as fast as it goes."""

    name: str
    rate: int
    burst: int
    seconds: float
    naive: bool
    """The naive pipeline can carry it."""
    flood_frames: tuple[int, int] = (0, 0)
    """Of a service, of the naive pipeline; for rate 0."""


LOADS = (
    Load("1k/s singles", 1_000, 1, 2.0, naive=True),
    Load("5k/s singles", 5_000, 1, 4.0, naive=True),
    Load("20k/s singles", 20_000, 1, 2.0, naive=False),
    Load("5k/s bursts of 100", 5_000, 100, 4.0, naive=True),
    Load("20k/s bursts of 100", 20_000, 100, 2.0, naive=False),
    Load("flood", 0, 100, 0.0, naive=True, flood_frames=(120_000, 12_000)),
)
WARM_UP = Load("warm-up", 5_000, 100, 1.0, naive=True)


class Outcome(Struct, frozen=True, kw_only=True):
    """What one load of one pipeline did."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    drift_ms: float
    """Median latency of the last third less that of the first third."""
    cpu_us: float
    """CPU time of the pipeline's process a frame."""
    capacity: float
    """Frames a second from the first send to the last record."""
    records: int
    merged: int
    """Frames that had no record of their own."""
    missing: int
    """Frames that no record accounts for."""
    late_ms: float
    """How late the generator was at worst."""


def run(options: Options) -> Report:
    """Load both pipelines in turns, gate the ratios."""
    report = Report("e2e", "one frame from the venue's send to a Redis subscriber")
    core, other_core = measure.cores()
    if core == other_core:
        report.skip("needs two cores")
        return report
    names = [SERVICE, NAIVE]
    if options.quick or importlib.util.find_spec("picows") is None:
        report.skip("fast: not in a quick run, or the extra is not installed")
    else:
        names.insert(1, FAST)
    measure.pin(other_core)
    server = BundledRedis()
    url = server.start()
    if server.pid is not None and not measure.prefer(server.pid):
        report.skip("priority: not allowed, so other processes of this machine are in the tails")
    try:
        with ExitStack() as stack:
            bench = _Bench(stack, url, names, core, other_core)
            outcomes = bench.run(options)
    finally:
        server.stop()
        measure.unpin()
    _judge(report, outcomes, options)
    return report


class _Bench:
    """The processes, and one load after the other."""

    def __init__(
        self, stack: ExitStack, url: str, names: list[str], core: int, other_core: int
    ) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="volgauge-bench-"))
        self.stamps = Path(folder) / "stamps"
        self.blaster = stack.enter_context(Child(script("blaster.py"), core=other_core))
        address = f"127.0.0.1:{self.blaster.answer(READY_SECONDS)['port']}"
        self.blaster.ask({"do": "prepare", "count": FRAMES}, READY_SECONDS)
        self.subscriber = stack.enter_context(
            Child(script("subscriber.py", url, *CHANNELS.values()), core=other_core)
        )
        self.subscriber.answer(READY_SECONDS)
        self.pipelines = {
            name: stack.enter_context(
                Child(_command(name, address, url), core=core, environment=_settings(name, address))
            )
            for name in names
        }
        for name, child in self.pipelines.items():
            _wait_until_subscribed(self.blaster, name, child)

    def run(self, options: Options) -> dict[tuple[str, str], list[Outcome]]:
        """Every load of every pipeline, in turns; the first, short load is for warming up."""
        outcomes: dict[tuple[str, str], list[Outcome]] = {}
        for name in self.pipelines:
            self.load(WARM_UP, name, 1.0)
        for _ in range(1 if options.quick else ROUNDS):
            for load in LOADS:
                for name in self.pipelines:
                    if load.naive or name != NAIVE:
                        outcome = self.load(load, name, QUICK_SCALE if options.quick else 1.0)
                        outcomes.setdefault((load.name, name), []).append(outcome)
        return outcomes

    def load(self, load: Load, name: str, scale: float) -> Outcome:
        """Run one load and put frames and records together."""
        count = (
            round(load.rate * load.seconds * scale)
            if load.rate
            else round(load.flood_frames[name == NAIVE] * scale)
        )
        pid = self.pipelines[name].pid
        self.subscriber.ask({"do": "start"}, READY_SECONDS)
        offset_ns = time.time_ns() - time.monotonic_ns()
        cpu_before = measure.cpu_ns(pid)
        command = {
            "do": "load", "to": name, "rate": load.rate, "burst": load.burst, "count": count,
            "stamps": str(self.stamps),
        }  # fmt: skip
        sent = self.blaster.ask(command, READY_SECONDS)
        answer = self.subscriber.ask(
            {"do": "stop", "channel": CHANNELS[name], "seconds": DRAIN_SECONDS},
            DRAIN_SECONDS + READY_SECONDS,
        )
        cpu = measure.cpu_ns(pid) - cpu_before
        sent_ns = array("q")
        sent_ns.frombytes(self.stamps.read_bytes())
        outcome = _outcome(sent, sent_ns, answer["records"], offset_ns, cpu)
        if outcome is None:
            words = self.pipelines[name].last_words()
            raise RuntimeError(f"{name}: no record for {count} frames\n{words}")
        return outcome


def _command(name: str, address: str, url: str) -> list[str]:
    if name == NAIVE:
        base = f"{address}/{name}"
        return script("naive.py", f"ws://{base}/ws/api/v2", f"http://{base}/api/v2", url)
    arguments = ["run", "--port", "0", "--redis-url", url, "--log-level", "warning"]
    if name == FAST:
        return volgauge(*arguments)
    return volgauge(*arguments, fast=False)


def _settings(name: str, address: str) -> dict[str, str]:
    prefix = "VOLGAUGE__VENUES__DERIBIT__"
    return {
        "VOLGAUGE__REDIS__PREFIX": CHANNELS[name].partition(":")[0],
        f"{prefix}WS_URL": f"ws://{address}/{name}/ws/api/v2",
        f"{prefix}REST_URL": f"http://{address}/{name}/api/v2",
        f"{prefix}ASSETS": '["BTC"]',
        # The generator sends to one pipeline at a time, so the other's feed falls silent.
        f"{prefix}STALE_AFTER_SECONDS": "60",
        f"{prefix}RECONNECT_AFTER_SECONDS": "60",
    }


def _wait_until_subscribed(blaster: Child, name: str, child: Child) -> None:
    """Until the number of channels stands still."""
    deadline = time.monotonic() + READY_SECONDS
    before = 0
    while time.monotonic() < deadline:
        if child.process.poll() is not None:
            raise RuntimeError(f"{name} ended: {child.last_words()}")
        count = blaster.ask({"do": "clients", "to": name}, READY_SECONDS)["channels"]
        if count and count == before:
            return
        before = count
        time.sleep(1.5)
    raise RuntimeError(f"{name} did not subscribe: {child.last_words()}")


def _outcome(
    sent: dict[str, Any], sent_ns: "array[int]", records: list[list[int]], offset_ns: int, cpu: int
) -> Outcome | None:
    """Put frames and records together; None without a record."""
    count = len(sent_ns)
    inputs = _inputs(records, sent["began_ns"] + offset_ns)
    latencies: list[float] = []
    included = used = 0
    last_ns = sent["began_ns"]
    for (received_ns, *_), ticks in zip(records, inputs, strict=True):
        if not ticks:
            continue
        used += 1
        last_ns = received_ns
        until = min(included + ticks, count)
        latencies += [(received_ns - sent_ns[frame]) / 1e6 for frame in range(included, until)]
        included = until
    if not latencies:
        return None
    third = max(1, len(latencies) // 3)
    p50, p99, p999 = measure.percentiles(latencies, SHARES)
    return Outcome(
        p50_ms=p50,
        p99_ms=p99,
        p999_ms=p999,
        drift_ms=statistics.median(latencies[-third:]) - statistics.median(latencies[:third]),
        cpu_us=cpu / count / 1e3,
        capacity=count / (last_ns - sent["began_ns"]) * 1e9,
        records=used,
        merged=count - used,
        missing=count - sum(inputs),
        late_ms=sent["late_ns"] / 1e6,
    )


def _inputs(records: list[list[int]], began_ns: int) -> list[int]:
    """How many frames each record added; a heartbeat that repeats a state adds none."""
    found = []
    event_before = began_ns
    for _, _, _, event_ns, merged in records:
        found.append(merged + 1 if event_ns > event_before else 0)
        event_before = max(event_ns, event_before)
    return found


def _judge(
    report: Report, outcomes: dict[tuple[str, str], list[Outcome]], options: Options
) -> None:
    medians = {
        key: Outcome(
            **{
                field: statistics.median(getattr(outcome, field) for outcome in found)
                for field in Outcome.__struct_fields__
            }
        )
        for key, found in outcomes.items()
    }
    for (load, name), outcome in medians.items():
        report.add(
            f"{load}, {name}: p50", outcome.p50_ms, "ms",
            f"p99 {outcome.p99_ms:.2f}  p99.9 {outcome.p999_ms:.2f}  "
            f"CPU {outcome.cpu_us:.1f} us/frame  "
            f"records {outcome.records:.0f}  merged {outcome.merged:.0f}  "
            f"missing {outcome.missing:.0f}  drift {outcome.drift_ms:.2f} ms  "
            f"generator late {outcome.late_ms:.1f} ms",
        )  # fmt: skip
    flood = {
        name: medians["flood", name]
        for name in (SERVICE, FAST, NAIVE)
        if ("flood", name) in medians
    }
    for name, outcome in flood.items():
        report.add(f"capacity, {name}", outcome.capacity, "frames/s")
    quick = options.quick
    report.gate(
        "capacity / naive", flood[SERVICE].capacity / flood[NAIVE].capacity, "at least",
        LEAST_CAPACITY, quick=quick,
    )  # fmt: skip
    for load in ("20k/s singles", "20k/s bursts of 100"):
        report.gate(
            f"{load}: growth of the queue, ms", medians[load, SERVICE].drift_ms, "at most",
            LARGEST_DRIFT_MS, quick=quick,
        )  # fmt: skip
    burst = "5k/s bursts of 100"
    report.gate(
        f"{burst}: p99 / naive p99",
        medians[burst, SERVICE].p99_ms / medians[burst, NAIVE].p99_ms,
        "at most", LARGEST_BURST_SHARE, quick=quick,
    )  # fmt: skip
    missing = max(abs(o.missing) for (load, _), o in medians.items() if load != "flood")
    report.gate("frames that no record accounts for", missing, "at most", 0.0, hard=True)
