"""How requests of a session are cut, so that a connection never holds more than it may.

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
)
from volgauge.adapters.subscriptions import Batch, Subscriptions

SUBSCRIBE, UNSUBSCRIBE = "SUBSCRIBE", "UNSUBSCRIBE"


def take_request(subscriptions: Subscriptions[str, str]) -> Batch[str] | None:
    """The next request; None: nothing fits now."""
    batch = subscriptions.next_batch(
        lambda queue: _cut(queue, subscriptions),
        cut_drops=lambda queue: list(islice(queue, REQUEST_STREAMS)),
    )
    return batch if batch.channels else None


def _cut(queue: Iterable[str], subscriptions: Subscriptions[str, str]) -> list[str]:
    """As many streams, from the first, as one request may carry and the connection holds.

    Refused ones go by themselves: one bad stream among them costs the others nothing.
    """
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
