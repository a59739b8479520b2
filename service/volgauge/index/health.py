"""How much of the last ten seconds a feed was healthy: the window of METHODOLOGY rule 18."""

from collections import deque

from volgauge.domain.units import NANOS_PER_SECOND

WINDOW_NS = 10 * NANOS_PER_SECOND


class FeedHealth:
    """Healthy and unhealthy time of one option book's feed, by the instants of observation.

    The time between two observations counts as healthy when the feed was healthy at both.
    """

    __slots__ = ("_bad", "_began_ns", "_last_ns", "_was_healthy")

    def __init__(self) -> None:
        self._bad: deque[tuple[int, int]] = deque()
        """Unhealthy intervals that reach into the window; nearly always none."""
        self._began_ns: int | None = None
        self._last_ns = 0
        self._was_healthy = True

    def observe(self, now_ns: int, *, healthy: bool) -> float:
        """Take the state at an instant; the share of healthy time in the window, or since start."""
        if self._began_ns is None:
            self._began_ns = self._last_ns = now_ns
            self._was_healthy = healthy
        if not (healthy and self._was_healthy) and now_ns > self._last_ns:
            self._bad.append((self._last_ns, now_ns))
        self._last_ns = now_ns
        self._was_healthy = healthy
        if not self._bad:
            return 1.0 if healthy else 0.0
        first_ns = max(now_ns - WINDOW_NS, self._began_ns)
        while self._bad and self._bad[0][1] <= first_ns:
            self._bad.popleft()
        lost_ns = sum(end_ns - max(begin_ns, first_ns) for begin_ns, end_ns in self._bad)
        return 1.0 - lost_ns / max(now_ns - first_ns, 1)
