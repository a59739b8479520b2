"""The only place that reads the machine's clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for durations; both int nanoseconds."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, never decreasing within a process."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps."""
        ...


class SystemClock:
    """Wall clock anchored to the monotonic one, rounded to the 100 ns of a recording.

    A step of the system clock moves the stamps only at `resynchronise`, and never backwards:
    an age computed from two stamps cannot be negative.
    """

    def __init__(self) -> None:
        self._offset_ns = 0
        self._last_ns = 0
        self.resynchronise()

    def resynchronise(self) -> None:
        """Take the system's idea of the time anew."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, a multiple of 100."""
        now_ns = (time.monotonic_ns() + self._offset_ns) // 100 * 100
        if now_ns < self._last_ns:
            return self._last_ns
        self._last_ns = now_ns
        return now_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps."""
        return time.monotonic_ns()
