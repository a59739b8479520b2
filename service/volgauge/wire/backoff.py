"""How long to wait before the next attempt: doubling, capped, jittered, reset only by data."""

from collections.abc import Callable

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
FACTOR = 2.0


class Backoff:
    """Full jitter: each wait is uniform between a tenth of the present limit and the limit.

    A session that was opened but delivered nothing does not count as a success: a venue that
    accepts and drops us would otherwise be hammered.
    """

    def __init__(self, uniform: Callable[[], float]) -> None:
        """`uniform` draws from [0, 1)."""
        self._uniform = uniform
        self._limit = FIRST_SECONDS

    def wait_seconds(self, at_least: float = 0.0) -> float:
        """The next wait; the limit doubles."""
        limit = self._limit
        self._limit = min(LONGEST_SECONDS, limit * FACTOR)
        jittered = limit * (0.1 + 0.9 * self._uniform())
        return at_least + jittered if at_least else jittered

    def reset(self) -> None:
        """Data came."""
        self._limit = FIRST_SECONDS
