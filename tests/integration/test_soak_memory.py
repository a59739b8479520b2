"""Ten minutes of every venue on real sockets: the service's memory stands still, ticks go through.

Slow: `make soak`. VOLGAUGE_SOAK_SECONDS and VOLGAUGE_SOAK_RATE change length and load.
"""

import os
import time
from pathlib import Path
from statistics import median

import pytest
from prometheus_client.parser import text_string_to_metric_families

from integration.processes import Process, eventually, fetch, page_of

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("VOLGAUGE_SOAK_SECONDS", "600"))
RATE = os.environ.get("VOLGAUGE_SOAK_RATE", "500")
"""Quotes of the market a second; the venues together send some five frames for each."""
SETTLED_SHARE = 0.4
"""Of the time; by then histories and windows of a minute hold what they can."""
LARGEST_GROWTH = 0.05
"""Of the memory, from then on: median of the last third against that of the first."""
FRAMES = "volgauge_feed_frames_total"
VENUES = ("deribit", "okx", "bybit", "binance", "derive", "aevo", "delta")


def resident_bytes(pid: int) -> int:
    """What Linux counts for a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_ready(root: str) -> bool:
    """Every asset has a value; not so while nobody answers."""
    try:
        return fetch(f"{root}/readyz")[0] == 200
    except OSError:
        return False


def metrics_of(root: str) -> str:
    """The page of metrics; empty while nobody answers."""
    try:
        return fetch(f"{root}/metrics")[2]
    except OSError:
        return ""


def total(page: str, name: str, **labels: str) -> float:
    """Sum of the samples of a metric that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def quantile(page: str, name: str, share: float) -> float:
    """Upper bound of the bucket of a histogram that holds this share of it, seconds."""
    buckets: dict[float, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == f"{name}_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
    wanted = share * buckets[float("inf")]
    return min(bound for bound, count in buckets.items() if count >= wanted)


@pytest.mark.timeout(SECONDS + 600.0)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells")
def test_memory_stands_still_for_ten_minutes() -> None:
    """All venues, four assets: RSS grows by 5 % at most once settled; every venue still counts."""
    with Process("demo", "--rate", RATE, "--port", "0") as demo:
        demo.wait_for_output("SUBSCRIBE", 120.0)
        root = page_of(demo)
        eventually(lambda: is_ready(root), "ready", 300.0)
        first = eventually(lambda: metrics_of(root), "metrics", 120.0)
        begun = time.monotonic()
        sizes: list[tuple[float, int]] = []
        while (elapsed := time.monotonic() - begun) < SECONDS:
            sizes.append((elapsed, resident_bytes(demo.running.pid)))
            time.sleep(min(10.0, SECONDS / 20.0))
        last = eventually(lambda: metrics_of(root), "metrics", 120.0)
        elapsed = time.monotonic() - begun

    settled = [size for at, size in sizes if at >= SETTLED_SHARE * SECONDS]
    third = len(settled) // 3
    before, after = median(settled[:third]), median(settled[-third:])
    frames = total(last, FRAMES) - total(first, FRAMES)
    p50, p99 = (quantile(last, "volgauge_tick_to_publish_seconds", q) for q in (0.5, 0.99))
    print(  # noqa: T201 - what a soak is run for
        f"{frames / elapsed:,.0f} frames/s for {elapsed:.0f} s: tick to publish "
        f"p50 <= {p50 * 1e3:g} ms, p99 <= {p99 * 1e3:g} ms, "
        f"merged {total(last, 'volgauge_ticks_merged_total'):,.0f}; RSS MB "
        + " ".join(f"{size / 1e6:.0f}" for _, size in sizes)
    )
    alive = {name: total(last, "volgauge_feed_connected", venue=name) for name in VENUES}
    assert set(alive.values()) == {1.0}
    assert after <= before * (1.0 + LARGEST_GROWTH)
