"""Values a second: what fixings and `smoothed` are made of."""

from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND

PATIENCE_NS = 500 * NANOS_PER_MILLI
"""A value is in force for a heartbeat and this much longer."""


class Second(Struct, frozen=True, gc=False):
    """The last valid values before a whole second was over."""

    end_ns: int
    """The whole second, UTC."""
    value: float
    strip: float | None


class Seconds:
    """Reads one tenor once a second, by the instants of its recomputes.

    The value of a second is the last one computed before its end, if that was valid (newly
    computed and published, neither held nor repeated) and not older than a heartbeat. A second
    without one is left out; it is never filled with an older value.
    """

    __slots__ = ("_at_ns", "_counted", "_lasts_ns", "_strip", "_value")

    def __init__(self, heartbeat_ns: int) -> None:
        self._lasts_ns = heartbeat_ns + PATIENCE_NS
        self._at_ns = 0
        self._counted = 0
        """The last second that was given out."""
        self._value: float | None = None
        self._strip: float | None = None

    def elapsed(self, now_ns: int) -> list[Second]:
        """The seconds with a value that ended since the last call, up to `now_ns`."""
        if self._value is None:
            return []
        first = max(self._at_ns // NANOS_PER_SECOND, self._counted) + 1
        last = min(now_ns, self._at_ns + self._lasts_ns) // NANOS_PER_SECOND
        self._counted = max(self._counted, last)
        return [
            Second(second * NANOS_PER_SECOND, self._value, self._strip)
            for second in range(first, last + 1)
        ]

    def note(self, now_ns: int, value: float | None, strip: float | None) -> None:
        """Take what is in force from now on; `value` None when nothing valid is."""
        self._at_ns, self._value, self._strip = now_ns, value, strip
