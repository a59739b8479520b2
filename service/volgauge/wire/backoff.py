"""How long to wait before the next attempt; no clock and no sleep in here."""

from collections.abc import Callable

from volgauge.errors import RateLimited

BASE_SECONDS = 0.5
CAP_SECONDS = 30.0
FACTOR = 2.0


class Backoff:
    """Doubling waits, half of each at random, so that many clients do not come back at once.

    Only data resets it: a venue that accepts connections and then says nothing is not well.
    """

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._next_seconds = BASE_SECONDS

    def wait_seconds(self, error: Exception | None) -> float:
        """Time to the next attempt: 50 to 100 % of the step, and never less than was asked for.

        Args:
            error: What ended the last attempt; RateLimited carries the least wait.
        """
        step = self._next_seconds
        self._next_seconds = min(step * FACTOR, CAP_SECONDS)
        wait = step * (0.5 + 0.5 * self._random())
        if isinstance(error, RateLimited):
            # Spread, but upwards only.
            return error.wait_seconds + wait
        return wait

    def reset(self) -> None:
        """Data came."""
        self._next_seconds = BASE_SECONDS
