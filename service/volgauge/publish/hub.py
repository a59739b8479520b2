"""The newest record of every series in this process, and its fan-out to streaming clients.

A sink like Redis, but for readers inside the process: the HTTP API and the live page. `offer`
only remembers; records are encoded when somebody asks, at most once each. Streaming clients get
what changed, at most every `FAN_OUT_SECONDS`, newest only; whoever needs every tick reads Redis.
"""

import asyncio
from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from volgauge.clock import Clock
from volgauge.domain.analytics import MARKET, AlertEvent
from volgauge.domain.channels import Kind
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import PublishError
from volgauge.publish.alerts import AlertBoard
from volgauge.publish.record import (
    EVENT_TYPES,
    Event,
    Record,
    encode,
    restamp,
    series_of,
    stamp,
    topic_of,
)

FAN_OUT_SECONDS = 0.05
"""Twenty a second: more than an eye sees, and what a client costs is bounded."""
MAX_CLIENTS = 64
MAX_EVENTS = 256
"""Status events kept for clients that come back."""


class SeriesKey(Struct, frozen=True):
    """What a record belongs to; a part that does not apply is empty."""

    kind: Kind
    asset: str
    """`ALL` for what concerns the whole market."""
    tenor: str = ""
    book: str = ""


class HubStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    offered: int = 0
    refused: int = 0
    """Not encodable: NaN or infinity inside."""
    client_count: int = 0
    clients_refused: int = 0
    """Turned away at MAX_CLIENTS."""
    clients_dropped: int = 0
    """Did not read for too long."""
    delivered: int = 0
    conflated: int = 0
    """Replaced by a newer record before a slow client took them."""


class Delivery(Struct):
    """One thing to send to a client."""

    kind: Kind
    line: bytes
    """The record's JSON."""


class HubClient:
    """One streaming reader: a bounded outbox, the newest record of each series."""

    def __init__(
        self,
        hub: "Hub",
        assets: frozenset[str],
        tenors: frozenset[str],
        kinds: frozenset[str],
    ) -> None:
        self._hub = hub
        self._kinds = kinds
        self._assets = assets
        self._tenors = tenors
        self._waiting: dict[SeriesKey, _Latest] = {}
        self._events: deque[bytes] = deque(maxlen=MAX_EVENTS)
        self._last_seq: dict[SeriesKey, int] = {}
        self._wake = asyncio.Event()

    def wants(self, key: SeriesKey) -> bool:
        """Whether the client asked for this series; an empty set is "all"."""
        if self._kinds and key.kind.value not in self._kinds:
            return False
        if not _has(self._assets, key.asset):
            return False
        return not (self._tenors and key.tenor and key.tenor not in self._tenors)

    def put(self, key: SeriesKey, latest: "_Latest") -> None:
        """Replace what waits of this series."""
        if key in self._waiting:
            self._hub.stats.conflated += 1
        self._waiting[key] = latest
        self._wake.set()

    def put_event(self, line: bytes) -> None:
        """Add a status event; the oldest goes when the client reads none."""
        self._events.append(line)
        self._wake.set()

    async def next(self, timeout_seconds: float) -> list[Delivery]:
        """Wait for something to send.

        Returns:
            Events first, then the newest record of each changed series, with `prev_seq` set to
            what this client got before; empty after the timeout or when the hub is closed.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._wake.wait()
        except TimeoutError:
            return []
        self._wake.clear()
        deliveries = [Delivery(Kind.EVENTS, line) for line in self._events]
        self._events.clear()
        waiting, self._waiting = self._waiting, {}
        for key, latest in waiting.items():
            line = latest.line
            if line is None:
                continue
            before = self._last_seq.get(key, latest.prev_seq)
            self._last_seq[key] = latest.record.seq
            deliveries.append(
                Delivery(key.kind, line if before == latest.prev_seq else restamp(line, before))
            )
        self._hub.stats.delivered += len(deliveries)
        return deliveries

    def wake(self) -> None:
        """Return from `next` now."""
        self._wake.set()


class _Latest:
    """The newest record of a series; encoded when first asked for."""

    __slots__ = ("_hub", "_line", "is_encoded", "prev_seq", "published_ns", "record")

    def __init__(self, hub: "Hub", record: Record, prev_seq: int, published_ns: int) -> None:
        self.record = record
        self.prev_seq = prev_seq
        self.published_ns = published_ns
        self.is_encoded = False
        self._hub = hub
        self._line: bytes | None = None

    @property
    def line(self) -> bytes | None:
        """The JSON; None when the record cannot be encoded (counted)."""
        if not self.is_encoded:
            self.is_encoded = True
            self._line = self._hub.encode(
                self.record, self.record.seq, self.prev_seq, self.published_ns
            )
        return self._line


class Hub:
    """The in-process sink."""

    def __init__(self, clock: Clock) -> None:
        self.stats = HubStats()
        self.epoch = clock.wall_ns() // NANOS_PER_SECOND
        """Replaced by the one that Redis gives (`RedisPublisher(on_epoch=hub.set_epoch)`)."""
        self.run_id = clock.wall_ns() // NANOS_PER_MILLI
        """Tells this process's event numbers from another's, when a client resumes."""
        self.is_closed = False
        self.alerts = AlertBoard()
        self._clock = clock
        self._latest: dict[SeriesKey, _Latest] = {}
        self._keys: dict[tuple[object, ...], SeriesKey] = {}
        self._clients: set[HubClient] = set()
        self._dirty: dict[SeriesKey, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._event_counts: dict[str, int] = {}
        self._events: deque[tuple[int, str, bytes]] = deque(maxlen=MAX_EVENTS)
        self.event_count = 0
        """Status events of this process so far; the resumption point of a stream."""

    def set_epoch(self, epoch: int) -> None:
        """Use the epoch of the Redis sink, so that both name a record alike."""
        self.epoch = epoch

    def offer(self, record: Record) -> None:
        """Remember a record. Never waits, never raises."""
        self.stats.offered += 1
        if isinstance(record, EVENT_TYPES):
            self._offer_event(record)
            return
        series = series_of(record)
        key = self._keys.get(series)
        if key is None:
            key = self._keys[series] = SeriesKey(*topic_of(record))
        before = self._latest.get(key)
        prev_seq = before.record.seq if before is not None else 0
        # Stamped now, encoded later: a record that is asked for late must not look new.
        self._latest[key] = _Latest(self, record, prev_seq, self._clock.wall_ns())
        if self._clients:
            self._dirty[key] = None
            if self._timer is None:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(FAN_OUT_SECONDS, self._fan_out)

    def latest(self, kind: Kind, asset: str, tenor: str = "", book: str = "") -> bytes | None:
        """The newest record's JSON, None when there is none."""
        found = self._latest.get(SeriesKey(kind, asset, tenor, book))
        return found.line if found is not None else None

    def newest(self, kind: Kind, asset: str, tenor: str = "", book: str = "") -> Record | None:
        """The newest record itself, not stamped; None when there is none."""
        found = self._latest.get(SeriesKey(kind, asset, tenor, book))
        return found.record if found is not None else None

    def series(self) -> Iterator[SeriesKey]:
        """Every series seen so far, in the order of their first record."""
        return iter(tuple(self._latest))

    def join(
        self,
        assets: frozenset[str],
        tenors: frozenset[str],
        events_after: int | None,
        kinds: frozenset[str] = frozenset(),
    ) -> HubClient | None:
        """Add a streaming client; its outbox holds a snapshot of everything it asked for.

        Args:
            assets: Empty for all.
            tenors: Labels such as `30d`; empty for all.
            events_after: `event_count` where the client stopped, 0 for all that are kept;
                None sends no old events.
            kinds: Values of `Kind` such as `index`; empty for all.

        Returns:
            The client, or None when there are too many.
        """
        if len(self._clients) >= MAX_CLIENTS or self.is_closed:
            self.stats.clients_refused += 1
            return None
        client = HubClient(self, assets, tenors, kinds)
        for number, asset, line in self._events:
            if (
                events_after is not None
                and number > events_after
                and client.wants(SeriesKey(Kind.EVENTS, asset))
            ):
                client.put_event(line)
        for key, latest in self._latest.items():
            if client.wants(key):
                client.put(key, latest)
        self._clients.add(client)
        self.stats.client_count = len(self._clients)
        return client

    def leave(self, client: HubClient, *, is_dropped: bool = False) -> None:
        """Forget a client."""
        self._clients.discard(client)
        self.stats.client_count = len(self._clients)
        self.stats.clients_dropped += is_dropped

    def close(self) -> None:
        """End every stream."""
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for client in self._clients:
            client.wake()

    def encode(self, record: Record, seq: int, prev_seq: int, published_ns: int) -> bytes | None:
        """Stamp and encode; None (counted) when the record holds NaN or infinity."""
        stamped = stamp(
            record, seq=seq, prev_seq=prev_seq, epoch=self.epoch, published_ns=published_ns
        )
        try:
            return encode(stamped)
        except PublishError:
            self.stats.refused += 1
            return None

    def _offer_event(self, event: Event) -> None:
        # As in the Redis sink: one series of events an asset, numbered by the sink.
        count = self._event_counts.get(event.asset, 0) + 1
        self._event_counts[event.asset] = count
        line = self.encode(event, count, count - 1, self._clock.wall_ns())
        if line is None:
            return
        self.event_count += 1
        self._events.append((self.event_count, event.asset, line))
        if isinstance(event, AlertEvent):
            self.alerts.take(event, line)
        for client in self._clients:
            if client.wants(SeriesKey(Kind.EVENTS, event.asset)):
                client.put_event(line)

    def _fan_out(self) -> None:
        self._timer = None
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            for client in self._clients:
                if client.wants(key):
                    client.put(key, self._latest[key])


def _has(wanted: frozenset[str], asset: str) -> bool:
    """What concerns the whole market concerns every asset."""
    return not wanted or asset in wanted or asset == MARKET
