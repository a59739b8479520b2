"""The open requests of a session, by number.

The venue's answer repeats the number of the request and says nothing of its streams; a stream of
the wrong name or route is answered like any other and stays silent, so what is active here still
has to be proved by data. What a request is refused for is not told: its streams are requested once
more, in small requests, then counted.
"""

from collections.abc import Iterable
from itertools import islice

from volgauge.adapters.binance.endpoints import (
    CAREFUL_STREAMS,
    MAX_STREAMS,
    REQUEST_STREAMS,
    REQUEST_TIMEOUT_NS,
)
from volgauge.adapters.subscriptions import Batch, Subscriptions

SUBSCRIBE, UNSUBSCRIBE = "SUBSCRIBE", "UNSUBSCRIBE"


class Requests:
    """Settles what one connection is subscribed to by what the venue answers."""

    def __init__(self, subscriptions: Subscriptions[str, str]) -> None:
        self._subscriptions = subscriptions
        self._open: dict[int, tuple[Batch[str], int]] = {}
        """Requests without an answer and their deadlines, by number, oldest first."""
        self._last_number = 0

    def restart(self) -> None:
        """A new session: nothing is asked for."""
        self._open.clear()

    @property
    def deadline_ns(self) -> int | None:
        """When the oldest open request will have waited too long."""
        return next((deadline_ns for _, deadline_ns in self._open.values()), None)

    def take(self, now_ns: int) -> tuple[int, Batch[str]] | None:
        """The next request and its number; None: nothing fits now."""
        batch = self._subscriptions.next_batch(
            self._cut, cut_drops=lambda queue: list(islice(queue, REQUEST_STREAMS))
        )
        if not batch.channels:
            return None
        self._last_number += 1
        self._open[self._last_number] = (batch, now_ns + REQUEST_TIMEOUT_NS)
        return self._last_number, batch

    def settle(self, number: int, *, accepted: bool) -> Batch[str] | None:
        """Take an answer; None when nobody waits for it."""
        batch, _ = self._open.pop(number, (None, 0))
        if batch is not None:
            self._subscriptions.settle(batch.channels, batch.channels if accepted else ())
        return batch

    def _cut(self, queue: Iterable[str]) -> list[str]:
        """As many streams, from the first, as one request may carry and the connection holds.

        Refused ones go by themselves: one bad stream among them costs the others nothing.
        """
        subscriptions = self._subscriptions
        room = MAX_STREAMS - len(subscriptions.active | subscriptions.in_flight.keys())
        retried = subscriptions.retried
        streams: list[str] = []
        for stream in queue:
            if streams and (stream in retried) != (streams[0] in retried):
                break
            limit = CAREFUL_STREAMS if stream in retried else REQUEST_STREAMS
            if len(streams) >= min(limit, room):
                break
            streams.append(stream)
        return streams
