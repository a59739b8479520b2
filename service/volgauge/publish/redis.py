"""Publish records to Redis: channel, latest key and stream in one atomic, fenced step.

`offer` is called by the engine and never waits: it puts the record into an outbox that keeps the
newest of every series (events: all of them, up to a limit) and writes what the connection takes.
`run` keeps the connection, for ever. Whatever happens to Redis, the engine does not notice.

Loss is never silent: `prev_seq` of a record names the one handed to this sink before, so a
subscriber that did not get that one knows and asks the stream.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1

import hiredis
import structlog
from msgspec import Struct

from volgauge.clock import Clock
from volgauge.domain.analytics import AlertEvent
from volgauge.domain.channels import STREAM_FIELD, Kind, channel_names, epoch_key
from volgauge.domain.index import StatusEvent
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import PublishError
from volgauge.publish.link import Endpoint, Link, Reply, Token, connect, pack
from volgauge.publish.record import EVENT_TYPES, Record, encode, series_of, stamp, topic_of
from volgauge.settings import RedisSettings

MAX_IN_FLIGHT = 64
"""Commands without a reply; more wait in the outbox, where newer records replace them."""
MAX_EVENTS = 1024
"""Events kept for one asset while Redis is away; then the oldest go, counted: alerts last."""
BACKOFF_SECONDS = (0.05, 0.5)
CONNECT_SECONDS = 1.0
LAST_FLUSH_SECONDS = 0.3
"""At the end; a server that answers at all does so within the reply's limit."""
LAST_ALERTS_SECONDS = 2.0
"""The same while alerts are left: a server that restarts is back by then."""
OTHERS_SHARE = 10
"""All streams but the headline tenor's and the events' keep a tenth of the length."""
ANALYTICS_SHARE = 100
"""Their records are twenty kilobytes each, so their streams keep a hundredth."""

FENCED = -1
_PUBLISH = """
local added = redis.pcall('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], ARGV[2], '%s', ARGV[3])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'equal or smaller', 1, true) then return -1 end
  return added
end
redis.call('SET', KEYS[1], ARGV[3])
return redis.call('%s', ARGV[4], ARGV[3])
"""
"""The stream is the fence: it refuses any id not above its last one, whoever writes."""

_CLAIM = """
local mine = tonumber(ARGV[1])
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
if mine == 0 then mine = math.max(stored + 1, tonumber(ARGV[2])) end
if mine > stored then redis.call('SET', KEYS[1], string.format('%.0f', mine)) end
return mine
"""
"""Take the next epoch, or (ARGV[1] > 0) put ours back into a server that lost its data."""

_RETRY = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "ASK", "BUSY ")
"""Replies that time cures: the record stays in the outbox, the connection is opened anew."""


class PublisherStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    published: int = 0
    conflated: int = 0
    """Replaced in the outbox by a newer record of the same series before they were sent."""
    failed: int = 0
    """Sent without a known outcome, or answered with an error."""
    fenced: int = 0
    """Refused by the fence: another publisher is newer, or it was there already."""
    refused: int = 0
    """Not encodable: NaN or infinity inside."""
    dropped_events: int = 0
    reconnects: int = 0
    """Connections opened after the first."""
    connected: bool = False
    last_published_ns: int = 0
    round_trip_ns: int = 0
    """From the write of the newest acknowledged record to its reply."""
    receivers: int = 0
    """Subscribers that got the newest acknowledged record."""


class RedisPublisher:
    """The Redis sink."""

    def __init__(
        self,
        settings: RedisSettings,
        clock: Clock,
        url: str,
        *,
        headline_tenor: str = "30d",
        on_epoch: Callable[[int], None] | None = None,
        on_published: Callable[[Record], None] | None = None,
    ) -> None:
        """Prepare; nothing is connected before `run`.

        Args:
            settings: Prefix, time limit, stream length, cluster.
            clock: Stamps `published_ns` and measures the server's delay.
            url: redis://, rediss:// or unix://.
            headline_tenor: The tenor whose stream has the full length.
            on_epoch: Told once, when this publisher's epoch is known.
            on_published: Told of each record as it was written, with its final stamps.

        Raises:
            ConfigError: The URL cannot be read.
        """
        self.stats = PublisherStats()
        self.epoch = 0
        """0 until Redis has given one."""
        self.last_error = ""
        self.settings = settings
        self.clock = clock
        self.start_second = clock.wall_ns() // NANOS_PER_SECOND
        self.on_published = on_published
        self._on_epoch = on_epoch
        self._headline_tenor = headline_tenor
        publish = _PUBLISH % (STREAM_FIELD, "SPUBLISH" if settings.cluster else "PUBLISH")
        self.script = publish.encode()
        self.script_sha = sha1(self.script, usedforsecurity=False).hexdigest()
        self._series: dict[tuple[object, ...], _Series] = {}
        self._endpoint = Endpoint(url)
        self._seed = _Node(self, self._endpoint)
        self._nodes = {str(self._endpoint): self._seed}
        self._group: asyncio.TaskGroup | None = None
        self._log = structlog.get_logger("volgauge.publish")
        self._healthy = True
        self._lost_at_failure = 0

    @property
    def outbox_depth(self) -> int:
        """Records that wait to be sent."""
        return sum(len(series.waiting) for series in self._series.values())

    @property
    def in_flight(self) -> int:
        """Records sent and not yet answered."""
        return sum(node.in_flight for node in self._nodes.values())

    def offer(self, record: Record) -> None:
        """Take a record; write it now if the connection takes it. Never waits, never raises."""
        if isinstance(record, EVENT_TYPES):
            # One channel an asset for the events of all its tenors.
            key: tuple[object, ...] = (Kind.EVENTS, record.asset)
        else:
            key = series_of(record)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._open_series(record)
        series.put(record)
        series.node.send_waiting()

    async def run(self) -> None:
        """Keep the connection until cancelled; then what waits still has a moment to go out."""
        serving = asyncio.create_task(self._serve(), name="redis publisher")
        try:
            # The shield keeps the connection for the last records.
            await asyncio.shield(serving)
        finally:
            if self.stats.connected:
                await self.flush(LAST_FLUSH_SECONDS)
            await self._flush_alerts()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def _serve(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._seed.run(), name="redis")
        finally:
            self._group = None

    async def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything offered is acknowledged; False when the time ran out."""
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        while self.outbox_depth or self.in_flight:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.002)
        return True

    async def _flush_alerts(self) -> None:
        """Wait for the alerts that are left; what no server took is counted and told."""
        deadline = asyncio.get_running_loop().time() + LAST_ALERTS_SECONDS
        events = [series for series in self._series.values() if series.keeps_all]
        while any(series.has_alerts for series in events):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(0.01)
        left = sum(len(series.waiting) + series.under_way for series in events)
        if left:
            self.stats.dropped_events += left
            self._log.error("publish.events_lost", sink="redis", events=left)

    def claimed(self, epoch: int) -> None:
        """Take the epoch that Redis gave, once."""
        if self.epoch == 0:
            self.epoch = epoch
            self._log.info("publish.epoch_claimed", epoch=epoch)
            if self._on_epoch is not None:
                self._on_epoch(epoch)

    def count_links(self) -> None:
        """Note whether records can be sent; in a cluster, to every node met so far."""
        self.stats.connected = all(node.link is not None for node in self._nodes.values())

    def trouble(self, error: str) -> None:
        """Say once that publishing fails."""
        self.last_error = error
        if self._healthy:
            self._healthy = False
            self._lost_at_failure = self.stats.failed + self.stats.conflated
            self._log.warning("publish.failed", sink="redis", error=error)

    def fine(self) -> None:
        """Say once that publishing works again."""
        if not self._healthy:
            self._healthy = True
            lost = self.stats.failed + self.stats.conflated - self._lost_at_failure
            self._log.info("publish.recovered", sink="redis", records_lost=lost)

    def moved(self, series: "_Series", address: str) -> None:
        """Serve a series from another node of the cluster (reply MOVED)."""
        node = self._nodes.get(address)
        if node is None:
            host, _, port = address.rpartition(":")
            host = host or series.node.endpoint.host
            node = _Node(self, self._endpoint.at(host, int(port)))
            self._nodes[address] = node
            if self._group is not None:
                self._group.create_task(node.run(), name=f"redis {address}")
        series.move(node)

    def abandon(self, node: "_Node") -> None:
        """Ask the rest of the cluster for what an unreachable node served."""
        others = [other for other in self._nodes.values() if other.link is not None]
        if others:
            for series in self._series.values():
                if series.node is node:
                    series.move(others[0])

    def _open_series(self, record: Record) -> "_Series":
        kind, asset, tenor, book = topic_of(record)
        names = channel_names(
            self.settings.prefix, kind, asset, tenor, book, cluster=self.settings.cluster
        )
        length = self.settings.stream_length
        if kind in {Kind.ANALYTICS, Kind.COUPLING}:
            length = max(1, length // ANALYTICS_SHARE)
        elif kind is not Kind.EVENTS and (kind, tenor) != (Kind.INDEX, self._headline_tenor):
            length = max(1, length // OTHERS_SHARE)
        head = ("EVALSHA", self.script_sha, "2", names.latest, names.stream, str(length))
        return _Series(
            node=self._seed,
            stats=self.stats,
            head=b"*9\r\n" + b"".join(map(_bulk, head)),
            channel=_bulk(names.channel),
            keeps_all=kind is Kind.EVENTS,
        )


class _Waiting(Struct):
    """A record in the outbox. `prev_seq` is None until the record is handed over."""

    record: Record
    seq: int
    prev_seq: int | None = None


class _Series:
    """The outbox of one channel: the newest record, or for events all of them."""

    def __init__(
        self, *, node: "_Node", stats: PublisherStats, head: bytes, channel: bytes, keeps_all: bool
    ) -> None:
        self.node = node
        self.head = head
        self.channel = channel
        self.keeps_all = keeps_all
        self.waiting: deque[_Waiting] = deque()
        self.is_queued = False
        self.under_way = 0
        """Records sent and not yet answered."""
        self.is_holding = False
        """An event came back: nothing goes out until all others under way are answered."""
        self._stats = stats
        self._last_seq = 0
        self._event_count = 0

    @property
    def has_alerts(self) -> bool:
        """Alerts wait, or events are under way, which may be some."""
        return self.under_way > 0 or any(
            isinstance(waiting.record, AlertEvent) for waiting in self.waiting
        )

    def put(self, record: Record) -> None:
        """Add a record; it replaces an unsent older one unless all are kept."""
        if self.keeps_all:
            # The engine numbers values; events share a channel, so the sink numbers them.
            self._event_count += 1
            self.waiting.append(_Waiting(record, self._event_count, self._event_count - 1))
            if len(self.waiting) > MAX_EVENTS:
                self._drop_event()
        else:
            if self.waiting:
                self.waiting.clear()
                self._stats.conflated += 1
            self.waiting.append(_Waiting(record, record.seq))
        self.enqueue()

    def put_back(self, sent: _Waiting, *, executed: bool | None) -> None:
        """Take a record that was not acknowledged; `executed` is False, or None for unknown.

        A repetition of what did arrive is refused by the fence, so trying again is safe.
        """
        if self.keeps_all:
            self.waiting = deque(sorted([sent, *self.waiting], key=lambda waiting: waiting.seq))
            # Others that were sent with it may come back, too. A newer one that overtook them
            # would fence them off, so nothing goes out before all are answered.
            self.is_holding = self.under_way > 0
        elif not self.waiting:
            self.waiting.append(sent)
        else:
            newest = max(self.waiting[0], sent, key=lambda waiting: waiting.seq)
            if executed is None:
                self._stats.failed += 1
            else:
                # Certainly skipped, not lost: the survivor follows on what came before both.
                self._stats.conflated += 1
                others = (self.waiting[0].prev_seq, sent.prev_seq)
                newest.prev_seq = min(prev for prev in others if prev is not None)
            self.waiting[0] = newest
        self.enqueue()

    def take(self) -> _Waiting:
        """Hand the next record over: from now on it is what the following one refers to."""
        taken = self.waiting.popleft()
        if taken.prev_seq is None:
            taken.prev_seq = self._last_seq
        self._last_seq = max(self._last_seq, taken.seq)
        return taken

    def answered(self) -> None:
        """Note that one of the records under way is not any more, however that came."""
        self.under_way -= 1

    def resume(self) -> None:
        """Go on once nothing is under way that could come back."""
        if self.is_holding and not self.under_way:
            self.is_holding = False
            if self.waiting:
                self.enqueue()
                self.node.send_waiting()

    def move(self, node: "_Node") -> None:
        """Let another node of the cluster serve this series."""
        if self.is_queued:
            self.node.queue.remove(self)
            self.is_queued = False
        self.node = node
        if self.waiting:
            self.enqueue()
            node.send_waiting()

    def enqueue(self) -> None:
        """Get in line for the node's next write."""
        if not self.is_queued and not self.is_holding:
            self.is_queued = True
            self.node.queue.append(self)

    def _drop_event(self) -> None:
        """Make room: the oldest change of status goes, else the oldest event of all."""
        kept = enumerate(self.waiting)
        del self.waiting[next((n for n, w in kept if isinstance(w.record, StatusEvent)), 0)]
        self._stats.dropped_events += 1


class _Node:
    """One Redis server, and the series that it serves."""

    def __init__(self, publisher: RedisPublisher, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.link: Link | None = None
        """Set while records may be sent."""
        self.queue: deque[_Series] = deque()
        """Series with waiting records, in the order of their coming."""
        self.script_load_count = 0
        self.is_script_loaded = False
        self.publisher = publisher

    @property
    def in_flight(self) -> int:
        """Commands without a reply."""
        return len(self.link.waiting) if self.link is not None else 0

    def send_waiting(self) -> None:
        """Write what the connection takes, all in one."""
        link = self.link
        if link is None or not link.ready or not self.queue:
            return
        publisher = self.publisher
        now_ns = publisher.clock.monotonic_ns()
        packed: list[bytes] = []
        tokens: list[tuple[Token, int]] = []
        if not self.is_script_loaded:
            self.is_script_loaded = True
            self.script_load_count += 1
            packed.append(pack("SCRIPT", "LOAD", publisher.script))
            tokens.append((_ScriptLoad(self), now_ns))
        while self.queue and len(link.waiting) + len(tokens) < MAX_IN_FLIGHT:
            series = self.queue.popleft()
            series.is_queued = False
            if series.is_holding:
                continue
            while series.waiting and len(link.waiting) + len(tokens) < MAX_IN_FLIGHT:
                sent = _Sent(self, series, series.take())
                command = sent.command()
                if command is not None:
                    packed.append(command)
                    tokens.append((sent, now_ns))
                    series.under_way += 1
            if series.waiting:
                series.enqueue()
        if tokens:
            link.send(b"".join(packed), tokens)

    def drop(self, reason: str) -> None:
        """End the connection; a new one follows after the pause."""
        if self.link is not None:
            self.link.drop(reason)

    async def run(self) -> None:
        """Connect, claim the epoch, serve until the connection is lost; again and again."""
        publisher = self.publisher
        shortest, longest = BACKOFF_SECONDS
        wait = shortest
        connected_count = 0
        while True:
            link: Link | None = None
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    link = await self._connect(self.endpoint)
                    publisher.claimed(await self._claim(link))
                self.link, self.is_script_loaded = link, False
                publisher.count_links()
                publisher.stats.reconnects += connected_count > 0
                connected_count += 1
                wait = shortest
                self.send_waiting()
                publisher.trouble(f"{self.endpoint}: {await link.closed}")
            except (OSError, PublishError) as error:
                publisher.trouble(f"{self.endpoint}: {str(error) or type(error).__name__}")
            finally:
                self.link = None
                publisher.count_links()
                if link is not None:
                    link.drop("stopped")
            publisher.abandon(self)
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter, not a secret
            wait = min(2 * wait, longest)

    async def _connect(self, endpoint: Endpoint) -> Link:
        publisher = self.publisher
        return await connect(
            endpoint, publisher.clock, publisher.settings.timeout_ms, self.send_waiting
        )

    async def _claim(self, link: Link) -> int:
        publisher = self.publisher
        claim = (
            "EVAL", _CLAIM, 1, epoch_key(publisher.settings.prefix),
            publisher.epoch, publisher.start_second,
        )  # fmt: skip
        try:
            reply = await link.call(*claim)
        except PublishError as error:
            address = _moved_to(str(error))
            if address is None or not publisher.settings.cluster:
                raise
            host, _, port = address.rpartition(":")
            other = await self._connect(self.endpoint.at(host or self.endpoint.host, int(port)))
            try:
                reply = await other.call(*claim)
            finally:
                other.drop("done")
        if not isinstance(reply, int):
            raise PublishError(f"expected an epoch, received {reply!r}") from None
        return reply


class _Sent:
    """A record under way: the token of its reply."""

    __slots__ = ("node", "script_load_count", "series", "waiting")

    def __init__(self, node: _Node, series: _Series, waiting: _Waiting) -> None:
        self.node = node
        self.series = series
        self.waiting = waiting
        self.script_load_count = node.script_load_count

    def command(self) -> bytes | None:
        """Stamp, encode and pack; None when the record cannot be encoded."""
        publisher, waiting = self.node.publisher, self.waiting
        record = stamp(
            waiting.record,
            seq=waiting.seq,
            prev_seq=waiting.prev_seq or 0,
            epoch=publisher.epoch,
            published_ns=publisher.clock.wall_ns(),
        )
        try:
            line = encode(record)
        except PublishError as error:
            publisher.stats.refused += 1
            publisher.trouble(str(error))
            return None
        if publisher.on_published is not None:
            publisher.on_published(record)
        publisher.stats.last_published_ns = record.published_ns
        entry_id = b"%d-%d" % (publisher.epoch, waiting.seq)
        return b"%b$%d\r\n%b\r\n$%d\r\n%b\r\n%b" % (
            self.series.head, len(entry_id), entry_id, len(line), line, self.series.channel,
        )  # fmt: skip

    def replied(self, reply: Reply, sent_ns: int, now_ns: int) -> None:
        """Count the outcome, or decide what an error means."""
        self.series.answered()
        self._judge(reply, sent_ns, now_ns)
        self.series.resume()

    def lost(self) -> None:
        """Keep the record unless a newer one is there."""
        self.series.answered()
        self.series.put_back(self.waiting, executed=None)
        self.series.resume()

    def _judge(self, reply: Reply, sent_ns: int, now_ns: int) -> None:
        publisher = self.node.publisher
        stats = publisher.stats
        if isinstance(reply, int):
            if reply == FENCED:
                stats.fenced += 1
            else:
                stats.published += 1
                stats.receivers = reply
                stats.round_trip_ns = now_ns - sent_ns
                publisher.fine()
            return
        error = str(reply)
        moved_to = _moved_to(error) if publisher.settings.cluster else None
        if error.startswith("NOSCRIPT"):
            if self.script_load_count == self.node.script_load_count:
                self.node.is_script_loaded = False
            self.series.put_back(self.waiting, executed=False)
        elif moved_to is not None:
            self.series.put_back(self.waiting, executed=False)
            publisher.moved(self.series, moved_to)
        elif error.startswith(_RETRY):
            self.series.put_back(self.waiting, executed=False)
            self.node.drop(error)
        else:
            stats.failed += 1
            publisher.trouble(error)


class _ScriptLoad:
    """The token of SCRIPT LOAD."""

    __slots__ = ("node",)

    def __init__(self, node: _Node) -> None:
        self.node = node

    def replied(self, reply: Reply, sent_ns: int, now_ns: int) -> None:  # noqa: ARG002 - the contract
        if isinstance(reply, hiredis.HiredisError):
            self.node.drop(f"the script was refused: {reply}")

    def lost(self) -> None:
        """Nothing to keep: the next connection loads it again."""


def _moved_to(error: str) -> str | None:
    """`host:port` of a cluster redirection, else None."""
    words = error.split()
    return words[2] if len(words) == 3 and words[0] == "MOVED" else None


def _bulk(text: str) -> bytes:
    raw = text.encode()
    return b"$%d\r\n%b\r\n" % (len(raw), raw)
