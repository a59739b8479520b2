"""Keeps what a session is subscribed to in step with a plan, by requests that are audited.

The answer has a status for each channel. What is refused, or not named at all, is requested once
more, then counted. A channel is renewed by unsubscribe, its answer, subscribe.
"""

from itertools import islice

from msgspec import Struct

from volgauge.adapters.derive.endpoints import (
    REQUEST_BURST,
    REQUEST_CHANNELS,
    REQUEST_REFILL_NS,
)
from volgauge.adapters.derive.plan import Plan, instrument_of

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


class Pacer:
    """When the next request may go out; one for all connections, as the venue counts addresses.

    So many at once, then one a refill.
    """

    def __init__(self) -> None:
        self._full_ns = 0
        """When the pool will be full again."""

    @property
    def free_ns(self) -> int:
        """The earliest instant of the next turn."""
        return self._full_ns - (REQUEST_BURST - 1) * REQUEST_REFILL_NS

    def take(self, now_ns: int) -> bool:
        """Use the turn, if it has come."""
        if now_ns < self.free_ns:
            return False
        self._full_ns = max(self._full_ns, now_ns) + REQUEST_REFILL_NS
        return True


class Batch(Struct, frozen=True):
    """The channels of one request."""

    method: str
    channels: tuple[str, ...]


class Subscriptions:
    """The channels of one connection; no time and no ids in here."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.active: set[str] = set()
        self.uncovered_count = 0
        """Channels given up, ever."""
        self._to_subscribe: dict[str, None] = {}
        self._to_drop: dict[str, None] = {}
        self._in_flight: set[str] = set()
        self._retried: set[str] = set()
        self._reported: tuple[int, int] | None = None

    def restart(self) -> None:
        """A new session: nothing is subscribed, everything is to be."""
        self.active.clear()
        self._to_drop.clear()
        self._in_flight.clear()
        self._retried.clear()
        self._to_subscribe = dict.fromkeys(self.plan)

    def follow(self, plan: Plan, renewed: frozenset[str]) -> None:
        """Take a new plan; `renewed` names live instruments whose quotes must be sent again.

        What the venue refused before gets another chance.
        """
        self.plan = plan
        self._retried.clear()
        self._to_subscribe = {
            channel: None
            for channel in plan
            if channel not in self.active and channel not in self._in_flight
        }
        self._to_drop = {
            channel: None
            for channel in sorted(self.active - self._in_flight)
            if channel not in plan or instrument_of(channel) in renewed
        }

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be requested."""
        return not self._to_drop and not self._to_subscribe

    def next_batch(self) -> Batch:
        """Take the next request; not to be called when idle. Unsubscribes go first."""
        queue = self._to_drop or self._to_subscribe
        method = UNSUBSCRIBE if self._to_drop else SUBSCRIBE
        channels = tuple(islice(queue, REQUEST_CHANNELS))
        for channel in channels:
            del queue[channel]
        self._in_flight.update(channels)
        return Batch(method, channels)

    def settle(self, batch: Batch, accepted: frozenset[str]) -> None:
        """Audit a request against what was accepted (nothing, when all of it was refused)."""
        self._in_flight.difference_update(batch.channels)
        for channel in batch.channels:
            if batch.method == UNSUBSCRIBE:
                # Refused, it is none of the session's channels either.
                self.active.discard(channel)
                if channel in self.plan:
                    self._to_subscribe[channel] = None
            elif channel in accepted:
                self.active.add(channel)
                if channel not in self.plan:
                    self._to_drop[channel] = None
            elif channel in self.plan and channel not in self._retried:
                self._retried.add(channel)
                self._to_subscribe[channel] = None
            elif channel in self.plan:
                self.uncovered_count += 1

    def take_coverage(self) -> tuple[int, int] | None:
        """(requested, accepted) of the tickers; spot prices come with them too.

        None while requests are open and when nothing has changed since the last answer.
        """
        if self._to_subscribe or self._in_flight:
            return None
        wanted = [channel for channel, option in self.plan.items() if option is not None]
        coverage = (len(wanted), sum(channel in self.active for channel in wanted))
        if coverage == self._reported or (not wanted and self._reported is None):
            return None
        self._reported = coverage
        return coverage
