"""Open, high, low, close over equal spans of time. Pure: values in, candles out.

A value that cannot be computed adds nothing, and a span without any value has no candle: the
last value is never carried into it.
"""

from collections.abc import Iterable

from volgauge.domain.history import Candle
from volgauge.domain.units import NANOS_PER_SECOND

PRICE = "price"
"""Series name of the underlying's index price; the others are tenor labels such as `30d`."""


class CandleBuilder:
    """The candle under construction of one series."""

    def __init__(self, resolution_seconds: int) -> None:
        self.resolution_seconds = resolution_seconds
        self._span_ns = resolution_seconds * NANOS_PER_SECOND
        self._candle: Candle | None = None
        self._due_s: int | None = None
        """Where the candle opens that follows on the newest one."""
        self.gaps = 0
        """Times that a candle opened later than that."""

    def add(self, instant_ns: int, value: float | None) -> Candle | None:
        """Add a value, or with None only the passing of time.

        Args:
            instant_ns: When it was computed. An instant before the present span is ignored:
                a closed candle is not changed.
            value: Points or price; None adds nothing.

        Returns:
            The candle that this instant closed, if any.
        """
        opened_s = instant_ns // self._span_ns * self.resolution_seconds
        closed = None
        candle = self._candle
        if candle is not None:
            if opened_s < candle.opened_s:
                return None
            if opened_s > candle.opened_s:
                closed, candle = candle, None
        if value is not None:
            if candle is None:
                self.gaps += self._due_s is not None and opened_s > self._due_s
                self._due_s = opened_s + self.resolution_seconds
            candle = (
                Candle(opened_s, value, value, value, value)
                if candle is None
                else Candle(
                    opened_s, candle.open, max(candle.high, value), min(candle.low, value), value
                )
            )
        self._candle = candle
        return closed

    def take(self) -> Candle | None:
        """Give up the unfinished candle, at shutdown."""
        candle, self._candle = self._candle, None
        return candle


def find_gaps(
    opened_s: Iterable[int], resolution_seconds: int, first_s: int, until_s: int
) -> tuple[tuple[int, int], ...]:
    """The spans that have no candle.

    Args:
        opened_s: Where candles open; ascending multiples of the resolution.
        resolution_seconds: Length of a span.
        first_s: Where the first span opens that is expected; a multiple of the resolution.
        until_s: Where the last expected span ends; a multiple of the resolution.

    Returns:
        [from, to) in seconds; neighbouring spans are one gap; empty when `until_s <= first_s`.
    """
    gaps = []
    expected_s = first_s
    for opened in opened_s:
        if min(opened, until_s) > expected_s:
            gaps.append((expected_s, min(opened, until_s)))
        expected_s = max(expected_s, opened + resolution_seconds)
    if until_s > expected_s:
        gaps.append((expected_s, until_s))
    return tuple(gaps)
