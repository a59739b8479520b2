"""Open, high, low and close over equal spans of time, live and from history."""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from volgauge.analytics.grid import F64, Grid

OPEN, HIGH, LOW, CLOSE = range(4)
"""Columns of `Bars.closed`."""


class Bar(NamedTuple):
    """One span of a price."""

    open_ns: int
    """Start of the span."""
    open: float
    high: float
    low: float
    close: float

    def is_sound(self) -> bool:
        """Whether all four are positive finite numbers in their order."""
        # Each by itself: min() and max() would pass over a NaN.
        is_open_inside = 0.0 < self.low <= self.open <= self.high < inf
        return is_open_inside and self.low <= self.close <= self.high


class Bars:
    """Bars of one resolution, the newest `capacity` of them.

    A span without a price has no bar. What was told live wins over history, except that history
    completes the first live bar, in the middle of whose span the service may have started.
    """

    __slots__ = ("_first", "_grid", "_high", "_index", "_low", "_row", "_span_ns", "refused")

    def __init__(self, span_ns: int, capacity: int) -> None:
        self.refused = 0
        """Prices and bars left out because they were no sound positive numbers."""
        self._span_ns = span_ns
        self._grid = Grid(capacity, 4)
        self._first = -1
        """The first live span."""
        self._index = -1
        """The newest live span, whose row is `_row`."""
        self._row: F64 | None = None
        self._high = 0.0
        self._low = inf

    def add(self, price: float, at_ns: int) -> bool:
        """Take a live price; False when it is refused (no positive number) or late.

        Late is an instant before the span of the newest price.
        """
        if not 0.0 < price < inf:
            self.refused += 1
            return False
        index = at_ns // self._span_ns
        if index != self._index or self._row is None:
            if index < self._index:
                return False
            self._begin(index, price)
        elif price > self._high:
            self._row[HIGH] = self._high = price
        elif price < self._low:
            self._row[LOW] = self._low = price
        self._row[CLOSE] = price  # type: ignore[index] # _begin sets it
        return True

    def seed(self, bars: Iterable[Bar]) -> None:
        """Take history; a bar told twice counts as told last, unless it was told live."""
        for bar in bars:
            index = bar.open_ns // self._span_ns
            if not bar.is_sound() or index < 0:
                self.refused += 1
            elif index == self._first:
                self._complete(bar)
            elif self._first < 0 or index < self._first or self._is_gap(index):
                self._grid.put(index, *bar[1:])

    def put(self, bar: Bar) -> None:
        """Set a bar, whatever was there."""
        self._grid.put(bar.open_ns // self._span_ns, *bar[1:])

    def forget_from(self, at_ns: int) -> None:
        """Forget the bars of the span of this instant and of all later ones."""
        self._grid.forget_from(at_ns // self._span_ns)

    def closed(self, now_ns: int, count: int) -> F64:
        """Read the last spans that had ended at an instant, oldest first.

        Returns:
            (count, 4) float64 open, high, low, close; NaN in spans without a price.

        Raises:
            ValueError: More spans than are kept.
        """
        return self._grid.window(now_ns // self._span_ns - count, count)

    def _begin(self, index: int, price: float) -> None:
        """Open a live bar, or go on with the one that history holds of this span."""
        if self._first < 0:
            # What history told of later spans was another clock's.
            self._grid.forget_from(index + 1)
            self._first = index
        row = self._grid.row(index)
        if row is None:
            row = self._grid.put(index, price, price, price, price)
        else:
            row[HIGH], row[LOW] = max(row[HIGH], price), min(row[LOW], price)
        if row is None:
            raise RuntimeError(f"expected no bar later than {index}, the newest live one")
        self._row, self._index = row, index
        self._high, self._low = float(row[HIGH]), float(row[LOW])

    def _complete(self, bar: Bar) -> None:
        row = self._grid.row(self._first)
        if row is None:
            return
        row[OPEN] = bar.open
        row[HIGH], row[LOW] = max(row[HIGH], bar.high), min(row[LOW], bar.low)
        if self._index == self._first:
            self._high, self._low = float(row[HIGH]), float(row[LOW])

    def _is_gap(self, index: int) -> bool:
        return index < self._index and not self._grid.has(index)
