"""Histories from CSV files: prices (`time, close`) and an index (`time, value`), any spacing.

`time` is when the number was known: a day's close carries the instant of its end.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import inf, log, sqrt
from pathlib import Path
from statistics import median

from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR, VOL_POINTS
from volgauge.errors import InputError
from volgauge.offline.chain import read_rows

EWMA_DAILY = 0.94
EWMA_FEWEST_DAYS = 10.0
STALE_SPACINGS = 2.0
"""An index value counts for this many of its file's median spacings, then there is none."""


class Sample(Struct, frozen=True):
    """One number and when it was known."""

    at_ns: int
    number: float


def read_series(path: str | Path, column: str) -> tuple[Sample, ...]:
    """Read `time` and one other column.

    Raises:
        InputError: The file is unreadable, a cell is empty or no positive number, times do not
            ascend, or there are fewer than two lines.
    """
    path = Path(path)
    samples: list[Sample] = []
    for row in read_rows(path, ("time", column)):
        at_ns, number = row.instant("time"), row.positive(column)
        if at_ns is None:
            raise row.complain("time", "an instant")
        if samples and at_ns <= samples[-1].at_ns:
            raise row.complain("time", "a time after that of the line before")
        if not 0.0 < number < inf:
            raise row.complain(column, "a number above zero")
        samples.append(Sample(at_ns, number))
    if len(samples) < 2:
        raise InputError(f"{path.name}: line {len(samples) + 2}: expected at least two lines")
    return tuple(samples)


class AsOf:
    """The newest value that was known at an instant and is not too old."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples
        self._times = [sample.at_ns for sample in samples]
        spacings = [after - before for before, after in pairwise(self._times)]
        self._keep_ns = STALE_SPACINGS * median(spacings) if spacings else 0.0

    def at(self, now_ns: int) -> float | None:
        """None before the first value and in gaps."""
        place = bisect_right(self._times, now_ns) - 1
        if place < 0 or now_ns - self._times[place] > self._keep_ns:
            return None
        return self._samples[place].number


class EwmaVolatility:
    """Realised volatility of prices of any spacing, weights halving as 0.94 a day does.

    V = sum_i w_i r_i^2 / sum_i w_i dt_i, w_i dt_i = 0.94^{age} - 0.94^{age + dt_i}; at daily prices
    the recursion of RiskMetrics 1996, V = 0.94 V + 0.06 r^2, without the weight of its start.
    """

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._sum = 0.0
        self._weight = 0.0
        self._days = 0.0

    def add(self, sample: Sample) -> None:
        """Take the next price."""
        if self._last is not None:
            span_ns = sample.at_ns - self._last.at_ns
            kept = EWMA_DAILY ** (span_ns / NANOS_PER_DAY)
            change = log(sample.number / self._last.number)
            yearly = change * change * NANOS_PER_YEAR / span_ns
            self._sum = kept * self._sum + (1.0 - kept) * yearly
            self._weight = kept * self._weight + (1.0 - kept)
            self._days += span_ns / NANOS_PER_DAY
        self._last = sample

    @property
    def points(self) -> float | None:
        """None before ten days of prices."""
        if self._days < EWMA_FEWEST_DAYS:
            return None
        return VOL_POINTS * sqrt(self._sum / self._weight)
