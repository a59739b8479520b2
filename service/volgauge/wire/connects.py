"""When a venue may be connected to again; no clock and no sleep in here."""

from collections import deque

from volgauge.adapters.base import ConnectBudget
from volgauge.domain.units import NANOS_PER_SECOND


class ConnectPacer:
    """Hands out turns to connect, one pacer for all connections of a venue.

    In any `budget.seconds` there are at most `budget.count` turns. They come in the order in which
    they were asked for, so no connection is overtaken for ever. A turn that is not used is lost.
    """

    def __init__(self, budget: ConnectBudget) -> None:
        self._window_ns = round(budget.seconds * NANOS_PER_SECOND)
        self._turns: deque[int] = deque(maxlen=budget.count)
        """The newest turns that were handed out, also those to come; ascending."""

    def reserve(self, now_ns: int) -> float:
        """Take the next turn.

        Args:
            now_ns: Monotonic time.

        Returns:
            Seconds until it; 0 when it is now.
        """
        turn_ns = now_ns
        if len(self._turns) == self._turns.maxlen:
            turn_ns = max(now_ns, self._turns[0] + self._window_ns)
        self._turns.append(turn_ns)
        return (turn_ns - now_ns) / NANOS_PER_SECOND
