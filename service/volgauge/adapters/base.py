"""The contract of a venue adapter: small, synchronous, without sockets and without a clock.

A venue is one `VenueAdapter`. It knows the listings and owns a few `VenueProtocol`s, one per
websocket. The shells in `wire/` fetch what `catalog_requests` names, connect what `connections`
names, and do nothing else; a replay drives the same objects from files.
"""

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from msgspec import Struct

from volgauge.domain.instrument import Venue
from volgauge.errors import VenueError

NEVER_NS = 2**63 - 1
"""A deadline that does not come."""


class State(enum.Enum):
    """Life of one websocket session."""

    IDLE = "idle"
    """Not connected."""
    SUBSCRIBING = "subscribing"
    """Connected; requests are out, no data yet."""
    LIVE = "live"
    """Data flows."""
    SPARE = "spare"
    """Not to be connected: another session of the same connection delivers. The shell opens it
    when it is idle, and closes it when it is spare again; so a venue that announces a restart is
    followed to the next server before it ends the old session."""


class RestRequest(Struct, frozen=True):
    """One GET relative to the venue's REST root."""

    name: str
    """Key of the body in `on_catalog`; also its name in a recording."""
    path: str
    root: str = ""
    """Another REST root than the venue's, where it tells this on another host."""
    is_optional: bool = False
    """A fact beside the listing: when it cannot be had its body is missing, and all else goes on.
    These come last."""


class ConnectBudget(Struct, frozen=True):
    """At most `count` new websockets in any `seconds`, refused attempts included.

    Venues count by address. Ours is one budget a process, so an adapter leaves room below the
    venue's limit; and where that is a large number in a long time it names a small one in a short
    time, so that a budget that is used up does not keep us away for minutes.
    """

    count: int
    seconds: float


class VenueProtocol(Protocol):
    """One websocket session as a pure state machine.

    The shell calls `start` when connected, then `receive` for each frame, then sends everything
    that `frames_to_send` returns; it calls `on_timeout` when `next_timeout_ns` has passed, and
    `disconnected` when the socket is gone. `start` may follow `disconnected` any number of times.
    """

    venue: Venue
    connection: str
    """Name of this connection within the venue, e.g. `hot`; also its folder in a recording. A spare
    has one of its own, but speaks to the sink in the name of the connection it stands in for."""
    url: str
    max_frame_bytes: int
    """A larger frame ends the session (explicit limit per venue)."""
    compression: bool
    """Offer permessage-deflate."""
    state: State
    next_timeout_ns: int | None
    counts: Counter[str]
    """Facts for the metrics: frames by kind, ignored and refused ones by reason."""

    def start(self, now_ns: int) -> None:
        """Begin a session: forget the old one, queue the subscriptions."""
        ...

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Decode one frame and push its events into the sink.

        Raises:
            ProtocolViolation: The frame does not fit the documented schema.
            VenueUnavailable: The venue announced maintenance.
            RateLimited: The venue refused us for speed.
        """
        ...

    def frames_to_send(self) -> list[bytes]:
        """Take what waits to be sent, oldest first."""
        ...

    def on_timeout(self, now_ns: int) -> None:
        """Do what is due: heartbeats, retries, paced subscriptions.

        Raises:
            FeedStale: No data frame came inside the liveness limit.
        """
        ...

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again."""
        ...


class VenueAdapter(Protocol):
    """Everything we know of one venue."""

    venue: Venue
    rest_url: str
    catalog_due_ns: int
    """When the listings should be fetched (again); lowered by a listing event on a socket."""

    @property
    def connects(self) -> ConnectBudget | None:
        """How often its connections together may be opened; None: the venue names no limit."""
        ...

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies that `on_catalog` needs."""
        ...

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What the refusal of a catalog request means, from its HTTP status and its body."""
        ...

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then.
        """
        ...

    def connections(self) -> tuple[VenueProtocol, ...]:
        """The websockets to hold open; constant over the adapter's life."""
        ...


@runtime_checkable
class ReadsAhead(Protocol):
    """An adapter whose listings are long: it reads them in pieces before they take effect.

    A venue of a few hundred options needs none of it.
    """

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read bodies ahead, a piece at each step (milliseconds at most); nothing changes.

        `on_catalog` with the same objects does the same without it, only not as fast. So a
        recording holds nothing of it.
        """
        ...
