"""How requests of a session are cut, so that a connection never holds more than it may.

The answer of the option interface repeats no request number but the topics, accepted and failed;
so a topic is in one request at a time. What was requested and is not among the accepted is
requested once more, in small requests, then counted.
"""

from collections.abc import Iterable
from itertools import islice

from volgauge.adapters.bybit.endpoints import (
    CAREFUL_TOPICS,
    MAX_TOPICS,
    REQUEST_TOPICS,
    USED_CHARACTERS,
)
from volgauge.adapters.bybit.listing import Option
from volgauge.adapters.bybit.plan import cost
from volgauge.adapters.subscriptions import Batch, Subscriptions

SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


def take_request(subscriptions: Subscriptions[str, Option | None]) -> Batch[str] | None:
    """The next request; None when nothing may be requested.

    When nothing fits and nothing is open that could make room, what is left is given up.
    """
    batch = subscriptions.next_batch(
        lambda queue: _cut(queue, subscriptions),
        cut_drops=lambda queue: list(islice(queue, REQUEST_TOPICS)),
    )
    if batch.channels:
        return batch
    if not subscriptions.in_flight:
        subscriptions.abandon()
    return None


def _cut(queue: Iterable[str], subscriptions: Subscriptions[str, Option | None]) -> list[str]:
    """As many topics, from the first, as one request may carry and the connection holds.

    Refused ones go by themselves: one bad topic among them costs the others nothing.
    """
    active, in_flight = subscriptions.active, subscriptions.in_flight
    characters = sum(cost(topic) for topic in active | in_flight.keys())
    topics: list[str] = []
    limit = REQUEST_TOPICS
    for topic in queue:
        is_careful = topic in subscriptions.retried
        if is_careful and topics and limit == REQUEST_TOPICS:
            break
        if is_careful:
            limit = CAREFUL_TOPICS
        characters += cost(topic)
        held = len(active) + len(in_flight) + len(topics)
        if characters > USED_CHARACTERS or held >= MAX_TOPICS:
            break
        topics.append(topic)
        if len(topics) == limit:
            break
    return topics
