"""The index of one asset over the last hour: one tick a second, and where it broke.

Ticks inside a second carry hardly more than the noise of single quotes; the last of each second is
kept, at its own instant, so that two assets stay unsynchronised. A null or bad value, or a silence,
breaks the path: nothing is computed across a break.
"""

from math import inf, log, nan
from typing import NamedTuple

import numpy as np

from volgauge.domain.analytics import Lack
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.kernels._jit import F64, I64

WINDOW_NS = NANOS_PER_HOUR
MAX_SILENCE_NS = 60 * NANOS_PER_SECOND
"""A record comes at least every second; after a minute without one the value is unknown."""

_CAPACITY = 8192
"""Twice the seconds of the window and more, so that the window is moved once an hour."""


class Sample(NamedTuple):
    """The path at one instant."""

    x: float
    """ln of the index."""
    run: int
    """Two samples of one run have no break between them."""


class Ticks(NamedTuple):
    """A stretch of the path. Across a break `level` stands still: its differences are changes."""

    at_ns: I64
    level: F64


class Path:
    """What one asset's index did; `value` at `at_ns` is the newest tick, kept from `due_ns` on."""

    __slots__ = ("_end", "_level", "_ns", "_run", "_runs", "_x", "at_ns", "due_ns", "lack", "value")

    def __init__(self) -> None:
        self.value = nan
        self.at_ns = 0
        self.due_ns = 0
        """End of the second of the newest tick; 0 when no tick waits to be kept."""
        self.lack: Lack | None = Lack.NO_INDEX
        self._ns = np.zeros(_CAPACITY, np.int64)
        self._x = np.zeros(_CAPACITY)
        self._level = np.zeros(_CAPACITY)
        self._runs = np.zeros(_CAPACITY, np.int64)
        self._end = 0
        self._run = 0

    def take(self, value: float | None, at_ns: int) -> None:
        """Observe a value, points; None when there is none. What comes late is ignored."""
        if at_ns < self.at_ns:
            return
        if value is None or not 0.0 < value < inf:
            if self.lack is None:
                self._keep()
                self._break(at_ns)
            self.lack = Lack.HALTED if value is None else Lack.BAD_NUMBER
            self.at_ns = at_ns
            return
        self.settle(at_ns)
        if self.lack is None and at_ns - self.at_ns > MAX_SILENCE_NS:
            self._break(self.at_ns + MAX_SILENCE_NS)
        self.lack = None
        self.value = value
        self.at_ns = at_ns
        self.due_ns = (at_ns // NANOS_PER_SECOND + 1) * NANOS_PER_SECOND

    def settle(self, now_ns: int) -> None:
        """Keep the newest tick if its second is over."""
        if now_ns >= self.due_ns:
            self._keep()

    def current(self, now_ns: int) -> float | Lack:
        """Newest ln of the index, or why there is none."""
        if self.lack is not None:
            return self.lack
        return Lack.HALTED if now_ns - self.at_ns > MAX_SILENCE_NS else log(self.value)

    def sample(self, at_ns: int) -> Sample | None:
        """The last kept tick strictly before an instant; None inside a break or before the path."""
        row = int(np.searchsorted(self._ns[: self._end], at_ns)) - 1
        if row < 0 or at_ns - int(self._ns[row]) > MAX_SILENCE_NS:
            return None
        x = float(self._x[row])
        return Sample(x, int(self._runs[row])) if x == x else None  # noqa: PLR0124 - NaN: a break

    def ticks(self, now_ns: int) -> Ticks:
        """The kept ticks of the last hour; views, valid until the next tick is kept."""
        first = int(np.searchsorted(self._ns[: self._end], now_ns - WINDOW_NS))
        return Ticks(self._ns[first : self._end], self._level[first : self._end])

    def _keep(self) -> None:
        if self.due_ns:
            self.due_ns = 0
            self._append(self.at_ns, log(self.value))

    def _break(self, at_ns: int) -> None:
        self._append(at_ns, nan)
        self._run += 1

    def _append(self, at_ns: int, x: float) -> None:
        if self._end == _CAPACITY:
            self._make_room(at_ns)
        row = self._end
        level = 0.0
        if row:
            level = float(self._level[row - 1])
            change = x - float(self._x[row - 1])
            level += change if change == change else 0.0  # noqa: PLR0124 - NaN: a break
        self._ns[row] = at_ns
        self._x[row] = x
        self._level[row] = level
        self._runs[row] = self._run
        self._end = row + 1

    def _make_room(self, now_ns: int) -> None:
        """Forget what is older than the window, and half of all in any case."""
        first = int(np.searchsorted(self._ns, now_ns - WINDOW_NS))
        first = max(first, _CAPACITY // 2)
        for column in (self._ns, self._x, self._level, self._runs):
            column[: _CAPACITY - first] = column[first:].copy()
        self._end = _CAPACITY - first
