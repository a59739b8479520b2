"""Five venues and four assets over real sockets: venues, websockets, service, Redis.

    core A   the service, as `volgauge run` starts it
    core B   the venues, whose frames are made before (`venue_load.py`), and Redis

The service itself tells what it does, on /metrics. An update is what it wrote into its books and
counted as an input of an index: a quote of an option or a forward. A frame may carry many, or none.
Latency is from the receipt of the oldest input of a recompute to its records being handed over (the
upper bound of the bucket); how long a quote is under way before that is told venue by venue, from
its stamp to our receipt, less the shortest way. Both count what waits in a queue of ours.

`--full` loads for ten minutes, in which a service that forgets nothing would grow; evidence is kept
small, so that it is full before. A run of seconds cannot tell growth from filling up.
"""

import importlib.util
import json
import os
import socket
import statistics
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from msgspec import Struct

from volgauge.publish.bundled import BundledRedis

from . import measure
from .processes import Child, module, volgauge
from .report import Options, Report
from .seen import Seen, latencies_ms, look_at

VENUES = ("deribit", "okx", "bybit", "binance", "derive")
ASSETS = ("BTC", "ETH", "SOL", "XRP")
RATE = 4_000.0
"""Quotes of the market a second from which these venues make 20,000 frames."""
LEAST_RATE = 20_000.0
"""Updates, and frames, a second."""
TAPE_SECONDS, QUICK_TAPE_SECONDS = 20.0, 6.0
"""Even: some venues tell everything every two seconds."""
SECONDS, QUICK_SECONDS, FULL_SECONDS = 40.0, 10.0, 600.0
WARM_SECONDS = 3.0
"""Of the load, before anything is measured."""
DRAIN_SECONDS = 2.0
READY_SECONDS = 90.0
SETTLED_SECONDS = 5.0
"""Some venues meter requests, so subscribing takes its time."""
PREPARE_SECONDS = 600.0
SETTINGS = {
    "VOLGAUGE__EVIDENCE__MAX_MEGABYTES": "4",
    "VOLGAUGE__EVIDENCE__KEEP_SECONDS": "60",
}
LARGEST_P50_MS, LARGEST_P99_MS = 25.0, 250.0
"""Every two seconds Bybit and Derive tell all of their options at one instant: 7,000 frames, which
a core reads in some 100 ms. That is the tail."""
LARGEST_LAG_MS = 500.0
"""p99 of a venue, beyond its shortest way."""
LEAST_BOOKS = 3.0
FINAL_LOOKS = 5
LARGEST_GROWTH = 0.05
"""Of the memory, from the third tenth of ten minutes to the last."""
HEADLINE = "30d"
FRAMES = "volgauge_feed_frames_total"
MEMORY = "process_resident_memory_bytes"
REFUSED = "volgauge_quotes_rejected_total"
COVERAGE = "volgauge_feed_coverage_ratio"


class Load(Struct, frozen=True):
    """What a load was, and what was seen of it."""

    made: dict[str, Any]
    sent: dict[str, Any]
    before: Seen
    looks: list[Seen]
    """While it was on."""
    after: Seen


def run(options: Options) -> Report:
    """Load the service as `make run` installs it, then with the extra `fast`."""
    report = Report("sockets", f"{len(VENUES)} venues, {len(ASSETS)} assets, over websockets")
    if not hasattr(os, "sched_setaffinity") or len(set(measure.cores())) == 1:
        report.skip("needs two cores, and Linux to keep processes on them")
        return report
    tape_seconds, seconds = TAPE_SECONDS, SECONDS
    if options.quick:
        tape_seconds, seconds = QUICK_TAPE_SECONDS, QUICK_SECONDS
    elif options.full:
        seconds = FULL_SECONDS
    _judge(report, options, _load(tape_seconds, seconds, fast=False))
    if options.quick or options.full or importlib.util.find_spec("picows") is None:
        report.skip("fast: not in a quick or a full run, or the extra is not installed")
    else:
        _tell(report, _load(QUICK_TAPE_SECONDS, seconds, fast=True), "fast: ")
    return report


def _load(tape_seconds: float, seconds: float, *, fast: bool) -> Load:
    """Start everything, wait until all is subscribed, load, and look once a second."""
    core, other_core = measure.cores()
    with ExitStack() as stack:
        measure.pin(other_core)
        server = BundledRedis()
        stack.callback(server.stop)
        url = server.start()
        measure.unpin()
        venues = stack.enter_context(module("venue_load", *VENUES[1:], core=other_core))
        port = _free_port()
        flags = ("--port", str(port), "--redis-url", url, "--log-level", "warning")
        service = stack.enter_context(
            Child(
                volgauge("run", *flags, fast=fast),
                core=core,
                environment=SETTINGS | _settings(venues.answer(READY_SECONDS)),
            )
        )
        base = f"http://127.0.0.1:{port}"
        _wait_until_ready(venues, service, base)
        made = venues.ask({"do": "prepare", "rate": RATE, "seconds": tape_seconds}, PREPARE_SECONDS)
        before = look_at(base, service)
        venues.send({"do": "load", "seconds": WARM_SECONDS + seconds})
        time.sleep(WARM_SECONDS)
        looks = [look_at(base, service)]
        # The last look is before the load ends.
        end = looks[0].at + seconds - 1.0
        while time.monotonic() < end:
            time.sleep(1.0)
            looks.append(look_at(base, service))
        sent = venues.answer(READY_SECONDS)
        time.sleep(DRAIN_SECONDS)
        return Load(made, sent, before, looks, look_at(base, service))


def _settings(urls: dict[str, dict[str, str]]) -> dict[str, str]:
    """The settings by which the service speaks to these venues."""
    found = {}
    for venue, places in urls.items():
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


def _wait_until_ready(venues: Child, service: Child, base: str) -> None:
    """Until every index has a value, and for a while nothing more is subscribed to."""
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(base):
        if service.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the service is not ready\n{service.last_words()}")
        time.sleep(0.5)
    channels = since = 0.0
    while time.monotonic() - since < SETTLED_SECONDS:
        found = venues.ask({"do": "count"}, READY_SECONDS)["channels"]
        if found != channels:
            channels, since = found, time.monotonic()
        time.sleep(0.5)
    covered = look_at(base, service).by("venue", COVERAGE)
    if covered != dict.fromkeys(VENUES, 1.0):
        raise RuntimeError(f"expected to be subscribed to everything, received {covered}")


def _is_ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(f"{base}/readyz", timeout=2.0):  # noqa: S310 - ours
            return True
    except (urllib.error.URLError, OSError):
        return False


def _tell(report: Report, load: Load, title: str = "") -> dict[str, float]:
    """Print what was seen; what is judged of it."""
    first, last = load.looks[0], load.looks[-1]
    seconds = last.at - first.at

    def rate(name: str, **labels: str) -> float:
        return (last.total(name, **labels) - first.total(name, **labels)) / seconds

    report.add(
        f"{title}prepared", sum(load.made["frames"].values()), "frames",
        f"{load.made['connections']} connections, {load.made['bytes'] / 1e6:.0f} MB, "
        f"{load.made['stamps']:,} time stamps; sent at most {load.sent['late_ms']:.0f} ms late, "
        f"paused {load.sent['paused_ms']:.0f} ms as the host did",
    )  # fmt: skip
    merged = rate("volgauge_ticks_merged_total")
    records = rate("volgauge_index_records_total", tenor=HEADLINE)
    frames = rate(FRAMES)
    cpu_ns = (last.cpu_ns - first.cpu_ns) / seconds
    report.add(
        f"{title}updates", merged + records, "1/s",
        f"{seconds:.0f} s, {cpu_ns / 1e9:.0%} of a core",
    )  # fmt: skip
    by_venue = {venue: rate(FRAMES, venue=venue) for venue in sorted(VENUES)}
    report.add(f"{title}frames", frames, "1/s", _words(by_venue, ",.0f"))
    p50, p99 = latencies_ms(first, last, 0.5, 0.99)
    report.add(f"{title}receipt to handed over, p50 at most", p50, "ms", f"p99 at most {p99:.0f}")
    lags = {}
    for name, family in (("p50", "lag"), ("p99", "late_lag")):
        lags = {venue: _lag_ms(load.looks, venue, family) for venue in sorted(VENUES)}
        report.add(
            f"{title}stamp to receipt beyond the shortest, {name}", max(lags.values()), "ms",
            _words(lags, ".0f"),
        )  # fmt: skip
    report.add(f"{title}not taken at once, of a connection", load.sent["unsent_bytes"], "bytes")
    report.add(f"{title}merged ticks", merged, "1/s", f"{records:,.0f} records of the headline")
    memory = [look.total(MEMORY) / 1e6 for look in load.looks]
    tenths = "  ".join(f"{memory[len(memory) * n // 10]:.0f}" for n in range(10))
    report.add(f"{title}memory at the end", memory[-1], "MB", f"by tenths of the time: {tenths}")
    return {"updates": merged + records, "frames": frames, "p50": p50, "p99": p99,
            "lag": max(lags.values())}  # fmt: skip


def _judge(report: Report, options: Options, load: Load) -> None:
    seen, quick = _tell(report, load), options.quick

    def counted(name: str) -> float:
        return load.after.total(name) - load.before.total(name)

    report.gate("updates a second", seen["updates"], "at least", LEAST_RATE, quick=quick)
    report.gate("frames a second", seen["frames"], "at least", LEAST_RATE, quick=quick)
    report.gate("p50, ms", seen["p50"], "at most", LARGEST_P50_MS, quick=quick)
    report.gate("p99, ms", seen["p99"], "at most", LARGEST_P99_MS, quick=quick)
    report.gate("p99 of a venue's lag, ms", seen["lag"], "at most", LARGEST_LAG_MS, quick=quick)
    # Rows of listings are no quotes: perpetuals stand among them.
    refused = _rises(load, REFUSED, lambda labels: not labels["reason"].startswith("listing_"))
    lost = _rises(load, "volgauge_feed_reconnects_total")
    for what, rises in (("refused", refused), ("lost", lost)):
        if rises:
            report.skip(f"{what}: {rises}")
    # Answers and heartbeats are read, too.
    unread = max(0.0, sum(load.sent["sent"].values()) - counted(FRAMES))
    for name, count in (
        ("frames sent and not read", unread),
        ("gaps", counted("volgauge_book_gaps_total")),
        ("quotes refused by an adapter", sum(refused.values())),
        ("connections lost", sum(lost.values())),
    ):
        report.gate(name, count, "at most", 0.0, hard=True)
    unsound = min(
        sum(
            look.total("volgauge_index_status", asset=asset, status="OK") < 1.0
            or look.total("volgauge_venue_in", asset=asset) < LEAST_BOOKS
            for asset in ASSETS
        )
        for look in load.looks[-FINAL_LOOKS:]
    )
    report.gate("assets without OK and three books", unsound, "at most", 0.0, hard=True)
    if options.full:
        memory = [look.total(MEMORY) for look in load.looks]
        tenth = len(memory) // 10
        growth = max(memory[-tenth:]) / max(memory[2 * tenth : 3 * tenth]) - 1.0
        report.gate("growth of the memory", growth, "at most", LARGEST_GROWTH)
    else:
        report.skip("growth of the memory: ten minutes, with --full")


def _rises(
    load: Load, name: str, counts: Callable[[dict[str, str]], bool] = lambda _: True
) -> dict[str, float]:
    """By how much each series of a counter rose, where it did, as `venue reason`."""
    found: dict[str, float] = {}
    for sign, look in ((-1.0, load.before), (1.0, load.after)):
        for labels, value in look.samples.get(name, ()):
            if counts(labels):
                word = " ".join(labels.values())
                found[word] = found.get(word, 0.0) + sign * value
    return {word: rise for word, rise in found.items() if rise}


def _words(by_venue: dict[str, float], form: str) -> str:
    return "  ".join(f"{venue} {value:{form}}" for venue, value in by_venue.items())


def _lag_ms(looks: list[Seen], venue: str, family: str) -> float:
    """Median over the looks of what a quote of a second took longer than the shortest way."""
    return 1e3 * statistics.median(
        look.total(f"volgauge_feed_{family}_seconds", venue=venue)
        - look.total("volgauge_feed_least_lag_seconds", venue=venue)
        for look in looks
    )
