"""Keeps what a session is subscribed to in step with a plan.

The venue's answer repeats the number of the request and says nothing of its streams; a stream of
the wrong name or route is answered like any other and stays silent, so what is active here still
has to be proved by data. A stream is renewed by unsubscribe, its answer, subscribe. What a request
is refused for is not told: its streams are requested once more, in small requests, then counted.
"""

from collections.abc import Iterable

from msgspec import Struct

from volgauge.adapters.binance.endpoints import (
    CAREFUL_STREAMS,
    MAX_STREAMS,
    REQUEST_STREAMS,
    REQUEST_TIMEOUT_NS,
)
from volgauge.adapters.binance.plan import Plan

SUBSCRIBE, UNSUBSCRIBE = "SUBSCRIBE", "UNSUBSCRIBE"


class Batch(Struct, frozen=True):
    """The streams of one request."""

    method: str
    streams: tuple[str, ...]
    deadline_ns: int


class Subscriptions:
    """The streams of one connection."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.active: set[str] = set()
        self.uncovered_count = 0
        """Streams given up, ever."""
        self._to_subscribe: dict[str, None] = {}
        self._to_drop: dict[str, None] = {}
        self._open: dict[int, Batch] = {}
        """Requests without an answer, by number, oldest first."""
        self._last_number = 0
        self._retried: set[str] = set()
        self._reported: tuple[int, int] | None = None

    def restart(self) -> None:
        """A new session: nothing is subscribed, everything is to be."""
        self.active.clear()
        self._to_drop.clear()
        self._open.clear()
        self._retried.clear()
        self._to_subscribe = dict.fromkeys(self.plan)

    def follow(self, plan: Plan) -> None:
        """Take a new plan; what the venue refused before gets another chance."""
        self.plan = plan
        self._retried.clear()
        waiting = self._in_flight
        self._to_subscribe = {
            stream: None for stream in plan if stream not in self.active and stream not in waiting
        }
        self._to_drop = {
            stream: None for stream in sorted(self.active - waiting) if stream not in plan
        }

    def renew(self, stream: str) -> None:
        """Ask for a stream again."""
        if stream in self.active and stream not in self._in_flight:
            self._to_drop[stream] = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be requested."""
        return not self._to_drop and not self._to_subscribe

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        return self.is_idle and not self._open

    @property
    def deadline_ns(self) -> int | None:
        """When the oldest open request will have waited too long."""
        return next((batch.deadline_ns for batch in self._open.values()), None)

    def next_batch(self, now_ns: int) -> tuple[int, Batch] | None:
        """Take the next request and its number, unsubscribes first; None: nothing fits now."""
        if self._to_drop:
            method, queue = UNSUBSCRIBE, self._to_drop
            streams = list(queue)[:REQUEST_STREAMS]
        else:
            method, queue = SUBSCRIBE, self._to_subscribe
            streams = self._cut(queue)
        if not streams:
            return None
        for stream in streams:
            del queue[stream]
        self._last_number += 1
        batch = Batch(method, tuple(streams), now_ns + REQUEST_TIMEOUT_NS)
        self._open[self._last_number] = batch
        return self._last_number, batch

    def settle(self, number: int, *, accepted: bool) -> Batch | None:
        """Take an answer; None when nobody waits for it."""
        batch = self._open.pop(number, None)
        if batch is None:
            return None
        for stream in batch.streams:
            if batch.method == UNSUBSCRIBE:
                # Refused, it is none of the session's streams either.
                self.active.discard(stream)
                if stream in self.plan:
                    self._to_subscribe[stream] = None
            elif accepted:
                self.active.add(stream)
                if stream not in self.plan:
                    self._to_drop[stream] = None
            elif stream in self.plan and stream not in self._retried:
                self._retried.add(stream)
                self._to_subscribe[stream] = None
            elif stream in self.plan:
                self.uncovered_count += 1
        return batch

    def take_coverage(self, silent: Iterable[str]) -> tuple[int, int] | None:
        """(requested, accepted) of the streams that prices come from; the silent do not count.

        None while requests are open and when nothing has changed since the last answer.
        """
        if not self.is_settled:
            return None
        wanted = [stream for stream, about in self.plan.items() if about]
        delivering = self.active.difference(silent)
        coverage = (len(wanted), sum(stream in delivering for stream in wanted))
        if coverage == self._reported or (not wanted and self._reported is None):
            return None
        self._reported = coverage
        return coverage

    @property
    def _in_flight(self) -> set[str]:
        return {stream for batch in self._open.values() for stream in batch.streams}

    def _cut(self, queue: dict[str, None]) -> list[str]:
        """As many streams, from the first, as one request may carry and the connection holds.

        Refused ones go by themselves: one bad stream among them costs the others nothing.
        """
        room = MAX_STREAMS - len(self.active | self._in_flight)
        streams: list[str] = []
        for stream in queue:
            if streams and (stream in self._retried) != (streams[0] in self._retried):
                break
            limit = CAREFUL_STREAMS if stream in self._retried else REQUEST_STREAMS
            if len(streams) >= min(limit, room):
                break
            streams.append(stream)
        return streams
