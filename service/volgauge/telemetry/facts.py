"""What metrics read from others, as they offer it: the seams towards feeds, engine and sinks."""

import enum
from collections.abc import Mapping
from typing import Protocol

from volgauge.domain.events import Coverage
from volgauge.domain.instrument import Asset


class FeedFacts(Protocol):
    """One websocket session, as `adapters.base.VenueProtocol` offers it."""

    @property
    def venue(self) -> str:
        """Lower-case name of the venue."""
        ...

    @property
    def connection(self) -> str:
        """Name of the connection within the venue."""
        ...

    @property
    def state(self) -> enum.Enum:
        """`idle`, `subscribing` or `live`."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """Facts by key, `kind` or `kind.reason`."""
        ...


class VenueFacts(Protocol):
    """What the engine knows of one venue."""

    @property
    def venue(self) -> str:
        """Lower-case name of the venue."""
        ...

    @property
    def last_data_ns(self) -> int:
        """Receipt of the newest data; 0 before the first."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """Rare events taken, by type."""
        ...

    @property
    def coverage(self) -> Mapping[str, Coverage]:
        """How much of each connection's plan the venue accepted."""
        ...

    @property
    def vol_index(self) -> Mapping[Asset, float]:
        """The venue's own newest volatility index by asset, in points."""
        ...

    @property
    def vol_index_ns(self) -> Mapping[Asset, int]:
        """Our receipt of it."""
        ...


class SinkFacts(Protocol):
    """What a publisher counts about itself; all plain numbers."""

    @property
    def published(self) -> int:
        """Records the sink accepted."""
        ...

    @property
    def conflated(self) -> int:
        """Records replaced by a newer one before they were sent."""
        ...

    @property
    def failed(self) -> int:
        """Records lost: sent without an answer, or refused."""
        ...

    @property
    def fenced(self) -> int:
        """Records refused as out of order or of an older epoch."""
        ...

    @property
    def refused(self) -> int:
        """Records that could not be encoded."""
        ...

    @property
    def dropped_events(self) -> int:
        """Status events pushed out of a full queue."""
        ...

    @property
    def reconnects(self) -> int:
        """Connections opened after the first."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the sink answers."""
        ...

    @property
    def last_published_ns(self) -> int:
        """Instant of the newest accepted record; 0 before the first."""
        ...

    @property
    def round_trip_ns(self) -> int:
        """From the write of the newest accepted record to its reply; 0 before the first."""
        ...

    @property
    def receivers(self) -> int:
        """Subscribers that got the newest accepted record."""
        ...


class EvidenceFacts(Protocol):
    """What the keeper of evidence counts about itself; all plain numbers."""

    @property
    def kept_bytes(self) -> int:
        """Memory that it takes."""
        ...

    @property
    def oldest_ns(self) -> int:
        """Start of the oldest second that it keeps; 0 without one."""
        ...

    @property
    def dropped_segments(self) -> int:
        """Seconds that went before their time, because of the byte limit."""
        ...
