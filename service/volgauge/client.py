"""Subscribe to published records, over whatever happens to Redis or to the publisher.

    async for value in volgauge.client.subscribe("redis://127.0.0.1:6379", "BTC", tenor="30d"):
        print(value.value, value.status, value.seq)

Pub/sub alone forgets what was sent while nobody listened, says nothing when the server freezes,
and redis-py does not subscribe again after a lost connection. This file reads the latest record
first, opens a new connection when one is lost or silent, fills gaps from the stream, and yields
every record at most once and in order. It needs no numba.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    RedisClusterException,
    RedisError,
)

from volgauge.domain.analytics import MARKET, AnalyticsValue, CouplingValue
from volgauge.domain.channels import STREAM_FIELD, ChannelNames, Kind, channel_names
from volgauge.domain.index import IndexValue
from volgauge.errors import InputError

BACKOFF_SECONDS = (0.05, 2.0)
COMMAND_SECONDS = 2.0
CLOSE_SECONDS = 0.5
PAGE = 1000
"""Stream entries read at once."""
DEFAULT_HEARTBEAT_MS = 1000
SILENT_HEARTBEATS = 2
"""Without a record for so many heartbeats the connection is presumed dead."""

Followed = TypeVar("Followed", IndexValue, AnalyticsValue, CouplingValue)
"""What one subscription yields."""


def subscribe(
    url: str,
    asset: str,
    tenor: str = "30d",
    *,
    prefix: str = "volgauge",
    cluster: bool = False,
    backfill: bool = True,
) -> "Subscription[IndexValue]":
    """Follow one index.

    Args:
        url: redis://, rediss:// or unix://.
        asset: Upper-case ticker, e.g. `BTC`.
        tenor: Label of the tenor, e.g. `30d`.
        prefix: The publisher's `redis.prefix`.
        cluster: The publisher's `redis.cluster`.
        backfill: Yield what was missed, from the stream, oldest first. False skips to the
            newest record after an interruption; the loss is counted all the same.

    Returns:
        An asynchronous iterator of records. The first is the newest that Redis holds, however
        old: look at `computed_ns` and `heartbeat_ms` to judge its age.
    """
    names = channel_names(prefix, Kind.INDEX, asset, tenor, cluster=cluster)
    return Subscription(url, names, IndexValue, cluster=cluster, backfill=backfill)


def subscribe_analytics(
    url: str,
    asset: str,
    *,
    prefix: str = "volgauge",
    cluster: bool = False,
    backfill: bool = False,
) -> "Subscription[AnalyticsValue]":
    """Follow what is read off one asset; arguments as for `subscribe`.

    Each record is complete, so by default what was missed is skipped and only counted.
    """
    names = channel_names(prefix, Kind.ANALYTICS, asset, cluster=cluster)
    return Subscription(url, names, AnalyticsValue, cluster=cluster, backfill=backfill)


def subscribe_coupling(
    url: str, *, prefix: str = "volgauge", cluster: bool = False, backfill: bool = False
) -> "Subscription[CouplingValue]":
    """Follow how all assets move together; arguments as for `subscribe_analytics`."""
    names = channel_names(prefix, Kind.COUPLING, MARKET, cluster=cluster)
    return Subscription(url, names, CouplingValue, cluster=cluster, backfill=backfill)


def latest(
    url: str, asset: str, tenor: str = "30d", *, prefix: str = "volgauge"
) -> IndexValue | None:
    """Read the newest record once, without asyncio; None when there is none.

    Raises:
        redis.RedisError: The server cannot be reached.
        InputError: The record has another schema.
    """
    names = channel_names(prefix, Kind.INDEX, asset, tenor)
    with redis.Redis.from_url(url, socket_timeout=COMMAND_SECONDS) as connection:
        line = connection.get(names.latest)
    return _decode(msgspec.json.Decoder(IndexValue), line) if isinstance(line, bytes) else None


class Subscription(Generic[Followed]):
    """An endless iterator of records, and what it went through."""

    def __init__(
        self,
        url: str,
        names: ChannelNames,
        record: type[Followed],
        *,
        cluster: bool,
        backfill: bool,
    ) -> None:
        """Prepare; nothing is connected before the first record is asked for.

        Args:
            url: redis://, rediss:// or unix://.
            names: Channel, latest key and stream of the series.
            record: What its records are.
            cluster: The publisher's `redis.cluster`.
            backfill: Yield what was missed, from the stream.
        """
        self.is_connected = False
        self.reconnect_count = 0
        self.backfilled_count = 0
        """Records that came from the stream."""
        self.gap_count = 0
        """Times that records were lost for good: gone from the stream, or never in it."""
        self.repeated_count = 0
        """Records that were not yielded because they, or newer ones, had been."""
        self.last_error = ""
        self._url = url
        self._names = names
        self._decoder: msgspec.json.Decoder[Followed] = msgspec.json.Decoder(record)
        self._is_cluster = cluster
        self._is_backfilling = backfill
        self._last: Followed | None = None
        self._records: AsyncGenerator[Followed, None] = self._follow()

    def __aiter__(self) -> AsyncIterator[Followed]:
        return self._records

    async def __anext__(self) -> Followed:
        return await anext(self._records)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the subscription."""
        await self._records.aclose()

    async def _follow(self) -> AsyncGenerator[Followed, None]:
        shortest, longest = BACKOFF_SECONDS
        wait = shortest
        while True:
            connection = self._connect()
            try:
                async with aclosing(self._session(connection)) as session:
                    async for value in session:
                        wait = shortest
                        yield value
            except (AuthenticationError, AuthorizationError):
                raise  # a retry cures no wrong password
            except (RedisError, RedisClusterException, OSError) as error:
                # TimeoutError, asyncio's or redis-py's, is one of the two.
                self.last_error = str(error) or type(error).__name__
            finally:
                self.is_connected = False
                await _close(connection)
            self.reconnect_count += 1
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter, not a secret
            wait = min(2 * wait, longest)

    async def _session(self, connection: Any) -> AsyncGenerator[Followed, None]:  # noqa: ANN401 - one of two clients
        """Yield until the connection is lost or silent; ends by an exception only."""
        pubsub = connection.pubsub()
        async with asyncio.timeout(COMMAND_SECONDS):
            # First listen, then read: what is published in between arrives twice, not never.
            if self._is_cluster:
                await connection.initialize()  # learn which node holds the channel's slot
                await pubsub.ssubscribe(self._names.channel)
            else:
                await pubsub.subscribe(self._names.channel)
            newest = await connection.get(self._names.latest)
        self.is_connected = True
        async for missed in self._catch_up(connection, None):
            yield missed
        if newest is not None:
            value = _decode(self._decoder, newest)
            if self._accept(value):
                yield value
        while True:
            value = await self._next_message(pubsub)
            async for missed in self._catch_up(connection, value):
                yield missed
            if self._accept(value):
                yield value

    async def _catch_up(
        self,
        connection: Any,  # noqa: ANN401 - one of two clients
        received: Followed | None,
    ) -> AsyncGenerator[Followed, None]:
        """Yield what the stream holds between the last record and `received` (None: the end)."""
        last = self._last
        if last is None or not self._is_backfilling:
            return
        if received is not None and not _follows_loss(received, last):
            return
        async for missed in self._read_stream(connection, last, received):
            if self._accept(missed, is_backfilled=True):
                yield missed

    def _accept(self, value: Followed, *, is_backfilled: bool = False) -> bool:
        """Whether a record is newer than all before; notes it, and whether any is missing."""
        last = self._last
        if last is not None:
            if (value.epoch, value.seq) <= (last.epoch, last.seq):
                self.repeated_count += 1
                return False
            self.gap_count += value.prev_seq > (last.seq if value.epoch == last.epoch else 0)
        self._last = value
        self.backfilled_count += is_backfilled
        return True

    async def _next_message(self, pubsub: Any) -> Followed:  # noqa: ANN401 - one of two kinds
        """Wait for a record, by our own clock: a frozen server looks like a quiet one."""
        # Only index records tell their heartbeat; the others share its default.
        heartbeat_ms = getattr(self._last, "heartbeat_ms", 0) or DEFAULT_HEARTBEAT_MS
        limit_seconds = SILENT_HEARTBEATS * heartbeat_ms / 1000
        read = pubsub.get_sharded_message if self._is_cluster else pubsub.get_message
        deadline = time.monotonic() + limit_seconds
        while (left := deadline - time.monotonic()) > 0:
            message = await read(ignore_subscribe_messages=True, timeout=left)
            if message is not None:
                return _decode(self._decoder, message["data"])
        raise TimeoutError(f"no record for {limit_seconds:g} s")

    async def _read_stream(
        self,
        connection: Any,  # noqa: ANN401 - one of two clients
        after: Followed,
        before: Followed | None,
    ) -> AsyncGenerator[Followed, None]:
        """Yield the stream's records between two, both excluded; `before` None is the end."""
        start = f"({after.epoch}-{after.seq}"
        end = "+" if before is None else f"({before.epoch}-{before.seq}"
        while True:
            async with asyncio.timeout(COMMAND_SECONDS):
                page = await connection.xrange(self._names.stream, start, end, count=PAGE)
            for _, fields in page:
                yield _decode(self._decoder, fields[STREAM_FIELD.encode()])
            if len(page) < PAGE:
                return
            start = f"({page[-1][0].decode()}"

    def _connect(self) -> Any:  # noqa: ANN401 - one of two clients
        # Our own timers decide; redis-py's read timeout would end a quiet subscription.
        options: dict[str, Any] = {
            "socket_timeout": None,
            "socket_connect_timeout": COMMAND_SECONDS,
        }
        if self._is_cluster:
            return redis.asyncio.RedisCluster.from_url(self._url, **options)
        # A retry of redis-py's would hide a lost subscription.
        return redis.asyncio.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), **options)


def _follows_loss(value: Followed, last: Followed) -> bool:
    """Whether something may lie between two records."""
    return value.epoch > last.epoch or value.prev_seq > last.seq


def _decode(decoder: msgspec.json.Decoder[Followed], line: bytes) -> Followed:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise InputError(
            f"expected a record of a schema that this client knows: {error}"
        ) from error


async def _close(connection: Any) -> None:  # noqa: ANN401 - one of two clients
    """Close without trusting the server to take part."""
    with suppress(RedisError, RedisClusterException, OSError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.aclose()
