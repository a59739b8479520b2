"""When a session has brought no data for too long, though it should bring some all the time.

What counts as data is the venue's; a heartbeat does not.
"""

from collections.abc import Sized

from volgauge.adapters.base import NEVER_NS
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale


class Silence:
    """Of one session."""

    def __init__(
        self, venue: Venue, connection: str, limit_seconds: float, expected: Sized
    ) -> None:
        """Begin with nothing heard.

        Args:
            venue: Whose.
            connection: Its name, for the error.
            limit_seconds: How long silence may last.
            expected: What should bring data, as it changes: while it is empty nothing can be
                silent.
        """
        self.heard_ns = 0
        """Receipt of the newest data, or the start of the session; whoever hears it sets it."""
        self.limit_ns = round(limit_seconds * NANOS_PER_SECOND)
        self._venue = venue
        self._connection = connection
        self._expected = expected

    @property
    def due_ns(self) -> int:
        """When it will have lasted too long."""
        return self.heard_ns + self.limit_ns if self._expected else NEVER_NS

    def check(self, now_ns: int) -> None:
        """Do nothing while it has not.

        Raises:
            FeedStale: It has.
        """
        if self.due_ns <= now_ns:
            seconds = (now_ns - self.heard_ns) / NANOS_PER_SECOND
            raise FeedStale(self._venue, f"{self._connection}: no data for {seconds:.1f} s")
