"""What a session is subscribed to, what is asked for, and what was refused; no time in here.

How requests are cut, numbered and answered is the venue's. A channel is renewed by unsubscribe, its
answer, subscribe: a second subscribe of a live one brings no snapshot.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct

from volgauge.domain.events import Coverage, EventSink
from volgauge.domain.instrument import Venue

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison


K = TypeVar("K", bound="SupportsRichComparison")
V = TypeVar("V")


class Batch(Struct, Generic[K], frozen=True):
    """The channels of one request."""

    method: str
    channels: tuple[K, ...]


class Subscriptions(Generic[K, V]):
    """The channels of one connection, kept in step with a plan by requests that are audited.

    A plan is a mapping from channels, in the order of subscribing, to what the venue keeps of each.
    """

    def __init__(self, subscribe: str, unsubscribe: str) -> None:
        """Begin with nothing.

        Args:
            subscribe: The venue's word for the method.
            unsubscribe: And for its contrary.
        """
        self.plan: Mapping[K, V] = {}
        self.active: set[K] = set()
        self.retried: set[K] = set()
        """Refused once under this plan."""
        self.in_flight: dict[K, str] = {}
        """Channel to the method that is asked for it, oldest first."""
        self.uncovered_count = 0
        """Channels given up, ever."""
        self._subscribe, self._unsubscribe = subscribe, unsubscribe
        self._to_subscribe: dict[K, None] = {}
        self._to_drop: dict[K, None] = {}
        self._reported: tuple[int, int] | None = None

    def restart(self) -> None:
        """A new session: nothing is subscribed, everything is to be."""
        self.active.clear()
        self.retried.clear()
        self.in_flight.clear()
        self._to_drop.clear()
        self._to_subscribe = dict.fromkeys(self.plan)

    def follow(self, plan: Mapping[K, V], renewed: Collection[K] = ()) -> None:
        """Take a new plan; `renewed` are channels whose quotes must be sent again.

        What the venue refused before gets another chance.
        """
        self.retried.clear()
        has_all = self.is_settled and len(self.active) == len(plan)
        if plan is self.plan and has_all and not renewed:
            # All that is active is of the plan: whatever is not would wait to be dropped.
            return
        self.plan = plan
        self._to_subscribe = {
            channel: None
            for channel in plan
            if channel not in self.active and channel not in self.in_flight
        }
        self._to_drop = dict.fromkeys(
            sorted(
                channel
                for channel in self.active
                if (channel not in plan or channel in renewed) and channel not in self.in_flight
            )
        )

    def renew(self, channel: K) -> None:
        """Ask for a fresh snapshot of one channel."""
        if channel in self.active and channel not in self.in_flight:
            self._to_drop[channel] = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be requested."""
        return not self._to_drop and not self._to_subscribe

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        return self.is_idle and not self.in_flight

    def next_batch(
        self,
        cut: Callable[[Iterable[K]], list[K]],
        cut_drops: Callable[[Iterable[K]], list[K]] | None = None,
    ) -> Batch[K]:
        """Take the next request, unsubscribes first; without channels when nothing fits now.

        Args:
            cut: As many channels, from the first, as one request may carry.
            cut_drops: The same for unsubscribes, where that is another number.
        """
        if self._to_drop:
            method, queue, cut = self._unsubscribe, self._to_drop, cut_drops or cut
        else:
            method, queue = self._subscribe, self._to_subscribe
        channels = tuple(cut(queue))
        for channel in channels:
            del queue[channel]
            self.in_flight[channel] = method
        return Batch(method, channels)

    def accept(self, channel: K) -> None:
        """What was asked for a channel is done."""
        if self.in_flight.pop(channel) == self._unsubscribe:
            self._dropped(channel)
            return
        self.active.add(channel)
        if channel not in self.plan:
            self._to_drop[channel] = None

    def refuse(self, channel: K, *, is_final: bool = False) -> None:
        """It is not done: ask once more, then (or when that is final for this plan) count it.

        A refused unsubscribe: it is none of the session's channels either.
        """
        if self.in_flight.pop(channel) == self._unsubscribe:
            self._dropped(channel)
        elif channel not in self.plan:
            return
        elif is_final or channel in self.retried:
            self.uncovered_count += 1
        else:
            self.retried.add(channel)
            self._to_subscribe[channel] = None

    def settle(self, channels: Iterable[K], accepted: Container[K]) -> int:
        """Audit a request against what was accepted (nothing, when all of it was refused).

        Returns:
            How many were to be subscribed and were refused.
        """
        refused_count = 0
        for channel in channels:
            if channel in accepted:
                self.accept(channel)
            else:
                refused_count += self.in_flight[channel] == self._subscribe
                self.refuse(channel)
        return refused_count

    def repeat(self, channel: K) -> None:
        """The request failed because of another channel: ask again, that was no refusal."""
        if self.in_flight.pop(channel) == self._unsubscribe:
            self._to_drop[channel] = None
        elif channel in self.plan:
            self._to_subscribe[channel] = None

    def abandon(self) -> None:
        """Give up all that waits to be subscribed."""
        self.uncovered_count += len(self._to_subscribe)
        self._to_subscribe.clear()

    def take_coverage(
        self, wanted: Collection[K], silent: Collection[K] = ()
    ) -> tuple[int, int] | None:
        """(requested, accepted) of the channels that prices come from.

        None while requests are open and when nothing has changed since the last answer.

        Args:
            wanted: Those channels.
            silent: Of them, accepted ones that bring nothing.
        """
        if self._to_subscribe or self.in_flight:
            return None
        delivering = sum(channel in self.active and channel not in silent for channel in wanted)
        coverage = (len(wanted), delivering)
        if coverage == self._reported or (not wanted and self._reported is None):
            return None
        self._reported = coverage
        return coverage

    def _dropped(self, channel: K) -> None:
        self.active.discard(channel)
        if channel in self.plan:
            self._to_subscribe[channel] = None


def tell_coverage(
    sink: EventSink,
    coverage: tuple[int, int] | None,
    venue: Venue,
    connection: str,
    now_ns: int,
) -> None:
    """Hand on what `take_coverage` returned, if anything."""
    if coverage is None:
        return
    requested, accepted = coverage
    sink.event(
        Coverage(
            venue=venue,
            received_ns=now_ns,
            connection=connection,
            requested=requested,
            accepted=accepted,
        )
    )
