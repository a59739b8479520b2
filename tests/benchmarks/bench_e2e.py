"""Frame to subscriber: simulated venue, websocket, service, Redis, and the naive pipeline beside.

    core A   the service, or the naive pipeline: whichever is being loaded
    core B   the load generator, Redis, the subscriber

Latency is from before the `send` of a frame to the receipt of the first record that includes it,
both by CLOCK_MONOTONIC. Records tell how many inputs they include, so the n-th frame belongs to the
first record by which n inputs are in. One asset (BTC, about 900 options), quotes only.
"""

import statistics
import sys
import tempfile
import time
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any

from msgspec import Struct

from volgauge.publish.bundled import BundledRedis

from . import measure
from .processes import Child, script, volgauge
from .report import Options, Report

SERVICE_CHANNEL = "volgauge:index:BTC:30d"
NAIVE_CHANNEL = "naive:index:BTC:30d"
FRAMES = 20_000
READY_SECONDS = 60.0
DRAIN_SECONDS = 20.0
LEAST_CAPACITY = 10.0
LARGEST_BURST_SHARE = 1.0 / 6.0
LARGEST_DRIFT_MS = 10.0
"""A queue that grows by 1 % of 20,000 frames a second for 3 s is 30 ms long."""
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
    """Service, naive; for rate 0."""


LOADS = (
    Load("1k/s singles", 1_000, 1, 3.0, naive=True),
    Load("5k/s singles", 5_000, 1, 4.0, naive=True),
    Load("20k/s singles", 20_000, 1, 3.0, naive=False),
    Load("5k/s bursts of 100", 5_000, 100, 4.0, naive=True),
    Load("20k/s bursts of 100", 20_000, 100, 3.0, naive=False),
    Load("flood", 0, 100, 0.0, naive=True, flood_frames=(120_000, 12_000)),
)


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
    rounds, scale = (1, 0.35) if options.quick else (3, 1.0)
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    measure.pin(other_core)
    server = BundledRedis()
    url = server.start()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="volgauge-bench-") as folder,
            Child(script("blaster.py"), core=other_core) as blaster,
        ):
            address = f"127.0.0.1:{blaster.answer(READY_SECONDS)['port']}"
            blaster.ask({"do": "prepare", "count": FRAMES}, READY_SECONDS)
            with (
                Child(
                    script("subscriber.py", url, SERVICE_CHANNEL, NAIVE_CHANNEL), core=other_core
                ) as subscriber,
                Child(_service(url), core=core, environment=_settings(address)) as service,
                Child(
                    script(
                        "naive.py", f"ws://{address}/naive/ws/api/v2",
                        f"http://{address}/naive/api/v2", url,
                    ),
                    core=core,
                ) as naive,
            ):  # fmt: skip
                subscriber.answer(READY_SECONDS)
                _wait_until_subscribed(blaster, "service", service)
                _wait_until_subscribed(blaster, "naive", naive)
                stamps = Path(folder) / "stamps"
                for number in range(-1, rounds):
                    for load in LOADS if number >= 0 else (LOADS[3],):
                        for name, child in (("service", service), ("naive", naive)):
                            if name == "naive" and not load.naive:
                                continue
                            outcome = _load(
                                load, name, child, blaster, subscriber, stamps,
                                scale if number >= 0 else 0.25,
                            )  # fmt: skip
                            if number >= 0:
                                outcomes.setdefault((load.name, name), []).append(outcome)
    finally:
        server.stop()
        measure.unpin()
    _judge(report, outcomes, options)
    return report


def _service(url: str) -> list[str]:
    return volgauge("run", "--port", "0", "--redis-url", url, "--log-level", "warning")


def _settings(address: str) -> dict[str, str]:
    prefix = "VOLGAUGE__VENUES__DERIBIT__"
    return {
        f"{prefix}WS_URL": f"ws://{address}/service/ws/api/v2",
        f"{prefix}REST_URL": f"http://{address}/service/api/v2",
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


def _load(
    load: Load, name: str, child: Child, blaster: Child, subscriber: Child, stamps: Path, scale: float
) -> Outcome:
    """Run one load and put frames and records together."""
    count = (
        round(load.rate * load.seconds * scale)
        if load.rate
        else round(load.flood_frames[name == "naive"] * scale)
    )
    subscriber.ask({"do": "start"}, READY_SECONDS)
    offset_ns = time.time_ns() - time.monotonic_ns()
    cpu_before = measure.cpu_ns(child.pid)
    sent = blaster.ask(
        {
            "do": "load", "to": name, "rate": load.rate, "burst": load.burst, "count": count,
            "stamps": str(stamps),
        },
        READY_SECONDS,
    )  # fmt: skip
    channel = SERVICE_CHANNEL if name == "service" else NAIVE_CHANNEL
    answer = subscriber.ask(
        {"do": "stop", "channel": channel, "seconds": DRAIN_SECONDS}, DRAIN_SECONDS + 30.0
    )
    cpu = measure.cpu_ns(child.pid) - cpu_before
    sent_ns = array("q")
    sent_ns.frombytes(stamps.read_bytes())
    return _outcome(sent, sent_ns, answer["records"], offset_ns, cpu)


def _outcome(
    sent: dict[str, Any], sent_ns: "array[int]", records: list[list[int]], offset_ns: int, cpu: int
) -> Outcome:
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
        raise RuntimeError(f"no record for {count} frames")
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
            f"p99 {outcome.p99_ms:.2f}  p99.9 {outcome.p999_ms:.2f}  CPU {outcome.cpu_us:.1f} us/frame  "
            f"records {outcome.records:.0f}  merged {outcome.merged:.0f}  "
            f"missing {outcome.missing:.0f}  drift {outcome.drift_ms:.2f} ms  "
            f"generator late {outcome.late_ms:.1f} ms",
        )  # fmt: skip
    flood = {name: medians["flood", name] for name in ("service", "naive")}
    for name, outcome in flood.items():
        report.add(f"capacity, {name}", outcome.capacity, "frames/s")
    quick = options.quick
    report.gate(
        "capacity / naive", flood["service"].capacity / flood["naive"].capacity, "at least",
        LEAST_CAPACITY, quick=quick,
    )  # fmt: skip
    for load in ("20k/s singles", "20k/s bursts of 100"):
        report.gate(
            f"{load}: growth of the queue, ms", medians[load, "service"].drift_ms, "at most",
            LARGEST_DRIFT_MS, quick=quick,
        )  # fmt: skip
    burst = "5k/s bursts of 100"
    report.gate(
        f"{burst}: p99 / naive p99",
        medians[burst, "service"].p99_ms / medians[burst, "naive"].p99_ms,
        "at most", LARGEST_BURST_SHARE, quick=quick,
    )  # fmt: skip
    missing = max(abs(o.missing) for (load, _), o in medians.items() if load != "flood")
    report.gate("frames that no record accounts for", missing, "at most", 0.0, hard=True)
