"""Five venues and four assets over real sockets: simulator, websockets, service, Redis.

    core A   the service, as `volgauge run` starts it
    core B   the simulator with all five wires, and Redis

The service itself tells what it does, on /metrics: frames by venue, from the receipt of the oldest
input of a recompute to its records being handed over (the upper bound of the bucket), ticks that
shared a record, memory. A core carries a simulator that makes some 4,000 frames a second; asked for
20,000 it answers nobody any more, so the venues' side is the limit here, and 20,000 frames a second
are handed to the service without sockets (`bench_venues`). Quick runs ask for less.

`--full` watches the memory for ten minutes, as a service that forgets nothing would grow.
"""

import json
import math
import re
import socket
import time
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import ExitStack

from msgspec import Struct

from volgauge.publish.bundled import BundledRedis

from . import measure
from .processes import Child, volgauge
from .report import Options, Report

VENUES = ("deribit", "okx", "bybit", "binance", "derive")
ASSETS = ("BTC", "ETH", "SOL", "XRP")
RATE, QUICK_RATE = 750.0, 250.0
"""Quotes of the market a second; five frames each."""
SECONDS, QUICK_SECONDS, FULL_SECONDS = 30.0, 8.0, 600.0
WARM_SECONDS = 10.0
READY_SECONDS = 90.0
LARGEST_P50_MS, LARGEST_P99_MS = 2.0, 100.0
LARGEST_GROWTH = 0.05
"""Of the memory, from the first third of the time to the last."""
LINE = re.compile(
    r"^(volgauge_\w+|process_resident_memory_bytes)(?:\{(.*)\})? (\S+)$", re.MULTILINE
)
BOUND = re.compile(r'le="([^"]+)"')
VENUE = re.compile(r'venue="([^"]+)"')


class Seen(Struct, frozen=True):
    """One look at /metrics."""

    at: float
    frames: dict[str, float]
    """By venue."""
    buckets: dict[float, float]
    """Recomputes by the upper bound of their time, seconds, cumulative."""
    merged: float
    gaps: float
    memory: float


def run(options: Options) -> Report:
    """One load after the other, each with processes of its own."""
    report = Report("sockets", f"{len(VENUES)} venues, {len(ASSETS)} assets, over websockets")
    core, other_core = measure.cores()
    if core == other_core:
        report.skip("needs two cores")
        return report
    rate, seconds = RATE, SECONDS
    if options.quick:
        rate, seconds = QUICK_RATE, QUICK_SECONDS
    elif options.full:
        seconds = FULL_SECONDS
    _judge(report, options, _watch(rate, seconds, core, other_core))
    return report


def _watch(rate: float, seconds: float, core: int, other_core: int) -> list[Seen]:
    """Start everything, wait until values come, and look once a second."""
    with ExitStack() as stack:
        measure.pin(other_core)
        server = BundledRedis()
        stack.callback(server.stop)
        url = server.start()
        measure.unpin()
        flags = [word for venue in VENUES[1:] for word in ("--venue", venue)]
        simulator = stack.enter_context(
            Child(
                volgauge("simulate", "--rate", str(rate), "--exit-with-stdin", *flags),
                core=other_core,
            )
        )
        port = _free_port()
        service = stack.enter_context(
            Child(
                volgauge("run", "--port", str(port), "--redis-url", url, "--log-level", "warning"),
                core=core,
                environment=_settings(simulator.answer(READY_SECONDS)),
            )
        )
        base = f"http://127.0.0.1:{port}"
        _wait_until_ready(service, base)
        time.sleep(WARM_SECONDS)
        looks = [_look(base)]
        end = looks[0].at + seconds
        while time.monotonic() < end:
            time.sleep(1.0)
            looks.append(_look(base))
        return looks


def _settings(said: dict[str, object]) -> dict[str, str]:
    """The settings by which the service speaks to these venues."""
    others = said["venues"]
    if not isinstance(others, dict):
        raise TypeError(f"expected venues, received {said}")
    found = {}
    for venue, places in {VENUES[0]: said, **others}.items():
        prefix = f"VOLGAUGE__VENUES__{venue.upper()}__"
        found[f"{prefix}ENABLED"] = "true"
        found[f"{prefix}WS_URL"] = places["ws_url"]
        found[f"{prefix}REST_URL"] = places["rest_url"]
        found[f"{prefix}ASSETS"] = json.dumps(ASSETS)
    return found


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _wait_until_ready(service: Child, base: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=2.0):  # noqa: S310 - ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"the service is not ready\n{service.last_words()}")


def _look(base: str) -> Seen:
    with urllib.request.urlopen(f"{base}/metrics", timeout=10.0) as answer:  # noqa: S310 - ours
        text = answer.read().decode()
    frames: defaultdict[str, float] = defaultdict(float)
    buckets: dict[float, float] = {}
    merged = gaps = memory = 0.0
    for name, labels, number in LINE.findall(text):
        value = float(number)
        if name == "volgauge_feed_frames_total":
            frames[_word(VENUE, labels)] += value
        elif name == "volgauge_tick_to_publish_seconds_bucket":
            buckets[float(_word(BOUND, labels).replace("+Inf", "inf"))] = value
        elif name == "volgauge_ticks_merged_total":
            merged += value
        elif name == "volgauge_book_gaps_total":
            gaps += value
        elif name == "process_resident_memory_bytes":
            memory = value
    return Seen(time.monotonic(), dict(frames), buckets, merged, gaps, memory)


def _word(pattern: re.Pattern[str], labels: str) -> str:
    found = pattern.search(labels)
    if found is None:
        raise RuntimeError(f"expected {pattern.pattern} in {labels}")
    return found.group(1)


def _percentile(first: Seen, last: Seen, share: float) -> float:
    """Upper bound, in ms, of the bucket in which the share of all recomputes is."""
    counts = {bound: n - first.buckets.get(bound, 0.0) for bound, n in last.buckets.items()}
    wanted = share * counts[math.inf]
    return 1e3 * min(bound for bound, count in counts.items() if count >= wanted)


def _judge(report: Report, options: Options, looks: list[Seen]) -> None:
    first, last = looks[0], looks[-1]
    seconds = last.at - first.at
    by_venue = {v: (last.frames[v] - first.frames.get(v, 0.0)) / seconds for v in last.frames}
    shares = "  ".join(f"{venue} {frames:,.0f}" for venue, frames in sorted(by_venue.items()))
    report.add("frames", sum(by_venue.values()), "1/s", f"{shares}, {seconds:.0f} s")
    p50, p99 = (_percentile(first, last, share) for share in (0.5, 0.99))
    report.add("receipt to handed over, p50 at most", p50, "ms", f"p99 at most {p99:.1f}")
    report.add("merged ticks", (last.merged - first.merged) / seconds, "1/s")
    third = max(1, len(looks) // 3)
    early = max(look.memory for look in looks[:third])
    late = max(look.memory for look in looks[-third:])
    report.add("memory", late / 1e6, "MB", f"at first {early / 1e6:.1f}")
    heard = sum(frames > 0.0 for frames in by_venue.values())
    quick = options.quick
    report.gate("venues heard", float(heard), "at least", float(len(VENUES)), hard=True)
    report.gate("gaps", last.gaps - first.gaps, "at most", 0.0, hard=True)
    report.gate("p50, ms", p50, "at most", LARGEST_P50_MS, quick=quick)
    report.gate("p99, ms", p99, "at most", LARGEST_P99_MS, quick=quick)
    report.gate(
        "growth of the memory", late / early - 1.0, "at most", LARGEST_GROWTH, quick=quick
    )  # fmt: skip
