"""The term structure turned over: the shortest tenor above the longest, and since when."""

from collections.abc import Mapping
from math import isfinite


class TermWatch:
    """Whether the index of one asset is inverted, with hysteresis.

    Raised when the shortest tenor's value exceeds the longest's by more than the sum of their
    bands u; cleared when it does not exceed it at all. Between the two it stays what it was.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        """When it was raised; None while it is not."""

    def observe(
        self, values: Mapping[str, tuple[float | None, float | None]], now_ns: int
    ) -> tuple[bool | None, int | None]:
        """Take the index at all its tenors.

        Args:
            values: By tenor (`30d`): the value and its band u, points.
            now_ns: The instant.

        Returns:
            Whether it is inverted, and since when. (None, None) with fewer than two tenors or
            without a number at either end; what was known then is kept for later.
        """
        ends = sorted(values, key=lambda label: float(label.removesuffix("d")))
        if len(ends) < 2:
            return None, None
        (short, short_band), (long, long_band) = values[ends[0]], values[ends[-1]]
        if short is None or long is None or short_band is None or long_band is None:
            return None, None
        excess, band = short - long, short_band + long_band
        if not (isfinite(excess) and isfinite(band)):
            return None, None
        if excess <= 0.0:
            self._since_ns = None
        elif excess > band and self._since_ns is None:
            self._since_ns = now_ns
        return self._since_ns is not None, self._since_ns
