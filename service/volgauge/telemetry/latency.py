"""Where durations are counted: fixed buckets without a lock, and the way from a venue to us."""

import enum
from bisect import bisect_left
from collections import deque

import numpy as np

from volgauge.book.quotes import QuoteTable
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.kernels import layout as col

BUCKETS_NS = (
    20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 2_000_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000, 250_000_000,
)  # fmt: skip
"""Upper bounds of every latency histogram, inclusive: 20 us to 250 ms."""


LATE_SHARE = 0.99
LEAST_OVER_NS = 60 * NANOS_PER_SECOND
"""What the smallest lag looks back on: long enough for one quote to come the shortest way."""


class Stage(enum.Enum):
    """Parts of the way from a frame to a record."""

    APPLY = "apply"
    """One frame: decode, normalise, write into the book."""
    RECOMPUTE = "recompute"
    """One touched asset."""
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


class LagMeter:
    """How long one venue's quotes are under way: its stamp on a quote to our receipt.

    Two clocks meet in the difference, so a lag below zero says that the venue's is ahead; no
    one-way measurement can tell a slow network from a clock that is behind. Read from the book
    once a second: of several quotes of one option in that second only the newest counts.
    """

    def __init__(self, table: QuoteTable) -> None:
        self.median_ns: int | None = None
        """Of the last second in which quotes with a stamp came; None before the first."""
        self.late_ns: int | None = None
        """What 99 of 100 of those quotes did not exceed: where a queue of ours begins to show."""
        self.least_ns: int | None = None
        """Smallest of the last minute: the clocks' difference plus the shortest way."""
        self._table = table
        self._looked_ns = 0
        self._seen_ns = 0
        self._leasts: deque[tuple[int, int]] = deque()

    def timer(self, now_ns: int) -> None:
        """Time passed: once a second, look at the quotes that came."""
        if now_ns - self._looked_ns < NANOS_PER_SECOND:
            return
        self._looked_ns = now_ns
        while self._leasts and now_ns - self._leasts[0][0] > LEAST_OVER_NS:
            self._leasts.popleft()
        self._look(now_ns)
        self.least_ns = min((least for _, least in self._leasts), default=None)

    def _look(self, now_ns: int) -> None:
        stamps = self._table.stamps
        exchange, received = stamps[:, col.EXCHANGE_NS], stamps[:, col.RECEIVED_NS]
        rows = np.flatnonzero((received > self._seen_ns) & (exchange > 0))
        if not len(rows):
            return
        lags = received[rows] - exchange[rows]
        self._seen_ns = int(received[rows].max())
        ranks = (len(lags) // 2, int(LATE_SHARE * len(lags)))
        self.median_ns, self.late_ns = map(int, np.partition(lags, ranks)[list(ranks)])
        self._leasts.append((now_ns, int(lags.min())))
