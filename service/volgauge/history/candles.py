"""Open, high, low, close over equal spans of time. Pure: values in, candles out.

A value that cannot be computed adds nothing, and a span without any value has no candle: the
last value is never carried into it.
"""

from msgspec import Struct

from volgauge.domain.index import IndexValue, Status
from volgauge.domain.units import NANOS_PER_SECOND

PRICE = "price"
"""Series name of the underlying's index price; the others are tenor labels such as `30d`."""

RESOLUTIONS_SECONDS = (60, 300, 900, 3_600, 14_400, 43_200, 86_400)
"""Each divides the next and the last is a day, so that every candle opens on a UTC boundary."""

_CARRIED = frozenset({Status.GUARD, Status.STALE, Status.HALTED, Status.WARMING})
"""Statuses whose `value`, if any, is an earlier one."""


class Candle(Struct, frozen=True, gc=False):
    """One span."""

    opened_s: int
    """Start, seconds since 1970-01-01 UTC, a multiple of the resolution."""
    open: float
    high: float
    low: float
    close: float


def observed(value: IndexValue) -> float | None:
    """The number that a record adds to history; None when it carries an earlier one or none."""
    is_repeated = value.status in _CARRIED or value.reason is not None
    return None if is_repeated else value.value


class CandleBuilder:
    """The candle under construction of one series."""

    def __init__(self, resolution_seconds: int) -> None:
        self._span_ns = resolution_seconds * NANOS_PER_SECOND
        self._resolution = resolution_seconds
        self._candle: Candle | None = None

    def add(self, instant_ns: int, value: float | None) -> Candle | None:
        """Add a value, or with None only the passing of time.

        Args:
            instant_ns: When it was computed. An instant before the present span is ignored:
                a closed candle is not changed.
            value: Points or price; None adds nothing.

        Returns:
            The candle that this instant closed, if any.
        """
        opened_s = instant_ns // self._span_ns * self._resolution
        closed = None
        candle = self._candle
        if candle is not None:
            if opened_s < candle.opened_s:
                return None
            if opened_s > candle.opened_s:
                closed, candle = candle, None
        if value is not None:
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
