"""The last value of each UTC day."""

from collections.abc import Iterable
from math import inf

from volgauge.analytics.grid import F64, Grid
from volgauge.domain.units import NANOS_PER_DAY


class DailyCloses:
    """Closes of the newest `capacity` days; a day without a value has none."""

    __slots__ = ("_first", "_grid", "_today", "_value", "changes")

    def __init__(self, capacity: int) -> None:
        self.changes = 0
        """How often the closed days changed."""
        self._grid = Grid(capacity, 1)
        self._first = -1
        self._today = -1
        self._value = 0.0

    def add(self, value: float, now_ns: int) -> None:
        """Take a positive value of now; one of a day before the newest is ignored."""
        today = now_ns // NANOS_PER_DAY
        if today > self._today:
            if self._today < 0:
                self._first = today
                # What history told of days to come was another clock's.
                self._grid.forget_from(today + 1)
            else:
                self._grid.put(self._today, self._value)
            self._today = today
            self.changes += 1
        if today == self._today:
            self._value = value

    def seed(self, closes: Iterable[tuple[int, float]]) -> int:
        """Take history, (any instant of the day, its close); the last told of a day counts.

        Days with a live value are not overwritten.

        Returns:
            How many were refused because they were no positive finite numbers.
        """
        refused = 0
        for at_ns, close in closes:
            day = at_ns // NANOS_PER_DAY
            if not 0.0 < close < inf or day < 0:
                refused += 1
            elif self._first < 0 or day < self._first or self._is_gap(day):
                self._grid.put(day, close)
        self.changes += 1
        return refused

    def of_day(self, day: int) -> float | None:
        """Close of a day by its index since 1970; None when it is not known."""
        if day == self._today:
            return self._value
        row = self._grid.row(day)
        return None if row is None else float(row[0])

    def before(self, now_ns: int, count: int) -> F64:
        """Read the closes of the `count` days before the present one that are known: (n,)."""
        today = now_ns // NANOS_PER_DAY
        closes = self._grid.window(today - count, count)[:, 0]
        if 0 < today - self._today <= count:
            closes[count - (today - self._today)] = self._value
        known: F64 = closes[closes > 0.0]
        return known

    def _is_gap(self, day: int) -> bool:
        return day < self._today and not self._grid.has(day)
