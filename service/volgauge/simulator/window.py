"""How many requests a venue takes in a time that moves along."""

from collections import deque


class Window:
    """Requests of one client; times in any unit, the same throughout."""

    def __init__(self, limit: int, length: float) -> None:
        """Begin with none.

        Args:
            limit: Requests in the window.
            length: Of the window.
        """
        self._limit = limit
        self._length = length
        self._taken: deque[float] = deque()

    def wait(self, now: float) -> float:
        """How long until one more may come; 0 when it may now."""
        taken = self._taken
        while taken and now - taken[0] >= self._length:
            taken.popleft()
        return taken[0] + self._length - now if len(taken) >= self._limit else 0

    def count(self, now: float) -> None:
        """One came, allowed or not."""
        self._taken.append(now)

    def take(self, now: float) -> bool:
        """Count one if it may come; whether it may."""
        if self.wait(now):
            return False
        self.count(now)
        return True
