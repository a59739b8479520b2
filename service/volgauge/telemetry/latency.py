"""Where durations are counted: fixed buckets, no lock, no library."""

import enum
from bisect import bisect_left

from volgauge.domain.units import NANOS_PER_SECOND

BUCKETS_NS = (
    20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000,
)  # fmt: skip
"""Upper bounds of every latency histogram, inclusive: 20 us to 250 ms."""


class Stage(enum.Enum):
    """Parts of the way from a frame to a record."""

    APPLY = "apply"
    """One frame: decode, normalise, write into the book."""
    RECOMPUTE = "recompute"
    """All touched assets of one flush."""
    PUBLISH = "publish"
    """Hand the records of one flush to the sinks."""


class LatencyHistogram:
    """Durations counted into fixed buckets; about 0.2 us an observation."""

    __slots__ = ("_counts", "sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS_NS) + 1)
        self.sum_ns = 0

    def observe_ns(self, duration_ns: int) -> None:
        """Count one duration, in nanoseconds."""
        self._counts[bisect_left(BUCKETS_NS, duration_ns)] += 1
        self.sum_ns += duration_ns

    @property
    def count(self) -> int:
        """Number of observations."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound in seconds, as Prometheus writes them."""
        counts = list(self._counts)
        total = 0
        rows = []
        for bound_ns, count in zip(BUCKETS_NS, counts, strict=False):
            total += count
            rows.append((repr(bound_ns / NANOS_PER_SECOND), float(total)))
        rows.append(("+Inf", float(total + counts[-1])))
        return rows
