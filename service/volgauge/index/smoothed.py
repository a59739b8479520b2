"""`smoothed`: the interquartile mean of the last 120 one-second strips, as the exchange does it.

A step shows after 30 s and has arrived after 90 s (METHODOLOGY §2).
"""

from collections import deque

from volgauge.domain.units import NANOS_PER_SECOND

COUNT = 120
TRIMMED = COUNT // 4
"""Smallest and largest values that do not count, each."""
OLDEST_NS = 150 * NANOS_PER_SECOND
"""The 120 values lie within this time: at most 30 seconds, the dead time, may be missing."""


class Smoothed:
    """The window of one tenor."""

    __slots__ = ("_ends_ns", "_values", "value")

    def __init__(self) -> None:
        self.value: float | None = None
        """Volatility points; None until 120 seconds had a value, and after too many had none."""
        self._values: deque[float] = deque(maxlen=COUNT)
        self._ends_ns: deque[int] = deque(maxlen=COUNT)

    def add(self, end_ns: int, strip: float) -> None:
        """Take the value of a second."""
        self._values.append(strip)
        self._ends_ns.append(end_ns)
        self.value = None
        if len(self._values) == COUNT:
            middle = sorted(self._values)[TRIMMED:-TRIMMED]
            self.value = sum(middle) / len(middle)

    def read(self, now_ns: int) -> float | None:
        """What to publish at an instant."""
        if self._ends_ns and now_ns - self._ends_ns[0] > OLDEST_NS:
            return None
        return self.value
