"""Keeps what a session is subscribed to in step with a plan, by requests that are audited.

The answer of the option interface repeats no request number but the topics, accepted and failed;
so a topic is in one request at a time. What was requested and is not among the accepted is
requested once more, in small requests, then counted. A second subscribe of a live topic brings no
snapshot, so a topic is renewed by unsubscribe, its answer, subscribe.
"""

from collections.abc import Iterable

from msgspec import Struct

from volgauge.adapters.bybit.endpoints import (
    CAREFUL_TOPICS,
    MAX_TOPICS,
    REQUEST_TOPICS,
    USED_CHARACTERS,
)
from volgauge.adapters.bybit.plan import TICKERS, Plan, cost

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


class Batch(Struct, frozen=True):
    """The topics of one request."""

    op: str
    topics: tuple[str, ...]


class Subscriptions:
    """The topics of one connection; no time and no request numbers in here."""

    def __init__(self) -> None:
        self.plan: Plan = {}
        self.active: set[str] = set()
        self.uncovered_count = 0
        """Topics given up, ever."""
        self._to_subscribe: dict[str, None] = {}
        self._to_drop: dict[str, None] = {}
        self._in_flight: dict[str, str] = {}
        """Topic to what is asked for it."""
        self._retried: set[str] = set()
        self._reported: tuple[int, int] | None = None
        self._characters = 0
        """Of what is subscribed or about to be."""

    def restart(self) -> None:
        """A new session: nothing is subscribed, everything is to be."""
        self.active.clear()
        self._to_drop.clear()
        self._in_flight.clear()
        self._retried.clear()
        self._characters = 0
        self._to_subscribe = dict.fromkeys(self.plan)

    def follow(self, plan: Plan, renewed: Iterable[str]) -> None:
        """Take a new plan; `renewed` are topics whose terms have changed.

        What the venue refused before gets another chance.
        """
        self.plan = plan
        self._retried.clear()
        again = frozenset(renewed)
        self._to_subscribe = {
            topic: None
            for topic in plan
            if topic not in self.active and topic not in self._in_flight
        }
        self._to_drop = {
            topic: None
            for topic in sorted(self.active)
            if topic not in self._in_flight and (topic not in plan or topic in again)
        }

    def renew(self, topic: str) -> None:
        """Ask for a fresh snapshot of one topic."""
        if topic in self.active and topic not in self._in_flight:
            self._to_drop[topic] = None

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be requested."""
        return not self._to_drop and not self._to_subscribe

    def next_batch(self) -> Batch | None:
        """Take the next request, unsubscribes first; None when nothing may be requested."""
        if self._to_drop:
            op, queue = UNSUBSCRIBE, self._to_drop
            topics = list(queue)[:REQUEST_TOPICS]
        else:
            op, queue = SUBSCRIBE, self._to_subscribe
            topics = self._cut(queue)
        for topic in topics:
            del queue[topic]
            self._in_flight[topic] = op
        return Batch(op, tuple(topics)) if topics else None

    def asked(self, topic: str) -> str | None:
        """What is requested of a topic and not answered: subscribe, unsubscribe or nothing."""
        return self._in_flight.get(topic)

    def settle(self, topic: str, *, accepted: bool) -> None:
        """The answer for one topic that was asked for."""
        op = self._in_flight.pop(topic)
        if op == UNSUBSCRIBE:
            # Refused, it is none of the session's topics either.
            self._release(topic)
            if topic in self.plan:
                self._to_subscribe[topic] = None
        elif accepted:
            self.active.add(topic)
            if topic not in self.plan:
                self._to_drop[topic] = None
        else:
            self._release(topic)
            if topic not in self.plan:
                return
            if topic in self._retried:
                self.uncovered_count += 1
            else:
                self._retried.add(topic)
                self._to_subscribe[topic] = None

    def repeat(self, topic: str) -> None:
        """The request failed because of another topic: ask again, that was no refusal."""
        op = self._in_flight.pop(topic)
        if op == UNSUBSCRIBE:
            self._to_drop[topic] = None
        else:
            self._release(topic)
            if topic in self.plan:
                self._to_subscribe[topic] = None

    def take_coverage(self) -> tuple[int, int] | None:
        """(requested, accepted) of the tickers: every option has one.

        None while requests are open and when nothing has changed since the last answer.
        """
        if self._to_subscribe or self._in_flight:
            return None
        wanted = [topic for topic in self.plan if topic.startswith(TICKERS)]
        coverage = (len(wanted), sum(topic in self.active for topic in wanted))
        if coverage == self._reported or (not wanted and self._reported is None):
            return None
        self._reported = coverage
        return coverage

    def _cut(self, queue: dict[str, None]) -> list[str]:
        """As many topics, from the first, as one request may carry and the connection holds.

        Refused ones go by themselves: one bad topic among them costs the others nothing. When
        nothing fits any more, what is left is given up.
        """
        topics: list[str] = []
        limit = REQUEST_TOPICS
        for topic in queue:
            is_careful = topic in self._retried
            if is_careful and topics and limit == REQUEST_TOPICS:
                break
            if is_careful:
                limit = CAREFUL_TOPICS
            size = cost(topic)
            held = len(self.active) + len(self._in_flight) + len(topics)
            if self._characters + size > USED_CHARACTERS or held >= MAX_TOPICS:
                if not topics and not self._in_flight:
                    self.uncovered_count += len(queue)
                    queue.clear()
                break
            self._characters += size
            topics.append(topic)
            if len(topics) == limit:
                break
        return topics

    def _release(self, topic: str) -> None:
        self.active.discard(topic)
        self._characters -= cost(topic)
