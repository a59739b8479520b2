"""Rows of numbers on a uniform grid of time, in a ring: what was seen, and where nothing was."""

from math import nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

F64: TypeAlias = NDArray[np.float64]
B1: TypeAlias = NDArray[np.bool_]


class Grid:
    """The newest `capacity` spans; a span is named by its index, start_ns // span_ns.

    A span without a row is a gap: it reads as NaN, and no neighbour is carried into it.
    """

    __slots__ = ("_stamps", "_values", "capacity")

    def __init__(self, capacity: int, columns: int) -> None:
        self.capacity = capacity
        self._values: F64 = np.full((capacity, columns), nan)
        self._stamps = np.full(capacity, -1, dtype=np.int64)

    def has(self, index: int) -> bool:
        """Whether a row of this span is held."""
        return bool(self._stamps[index % self.capacity] == index)

    def admits(self, index: int) -> bool:
        """Whether a row may be put there: a newer one is never overwritten."""
        return index >= 0 and bool(self._stamps[index % self.capacity] <= index)

    def put(self, index: int, *row: float) -> F64 | None:
        """Write a row; give a view of it, or None when its place holds a newer one."""
        if not self.admits(index):
            return None
        slot = index % self.capacity
        self._stamps[slot] = index
        view: F64 = self._values[slot]
        view[:] = row
        return view

    def row(self, index: int) -> F64 | None:
        """Give a view of a row; None in a gap."""
        if not self.has(index):
            return None
        view: F64 = self._values[index % self.capacity]
        return view

    def forget_from(self, index: int) -> None:
        """Forget this span and all that are later."""
        self._stamps[self._stamps >= index] = -1

    def window(self, begin: int, count: int) -> F64:
        """Copy the spans begin .. begin + count - 1.

        Returns:
            (count, columns) float64; NaN where nothing is held.

        Raises:
            ValueError: More spans than the ring has.
        """
        if count > self.capacity:
            raise ValueError(f"expected at most {self.capacity} spans, received {count}")
        slot = begin % self.capacity
        split = min(count, self.capacity - slot)
        values = np.concatenate((self._values[slot : slot + split], self._values[: count - split]))
        stamps = np.concatenate((self._stamps[slot : slot + split], self._stamps[: count - split]))
        values[stamps != np.arange(begin, begin + count)] = nan
        return values
