"""Where a watcher's records come from: the HTTP stream of a running service, or Redis.

Both fill a board until they are cancelled, and open a lost connection again by themselves.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any, Protocol

import aiohttp
import msgspec
import redis.asyncio
from msgspec import Struct
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from volgauge.client import (
    Followed,
    Subscription,
    subscribe,
    subscribe_analytics,
    subscribe_coupling,
)
from volgauge.clock import Clock
from volgauge.domain.analytics import MARKET, CouplingValue
from volgauge.domain.channels import STREAM_FIELD, Kind, channel_names
from volgauge.domain.history import Candle
from volgauge.domain.index import IndexValue, tenor_label
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import InputError, PublishError
from volgauge.settings import mask_url
from volgauge.terminal.board import DAY_NS, Baseline, Board, LinkState
from volgauge.terminal.sse import EventReader

BACKOFF_SECONDS = (0.2, 2.0)
CONNECT_SECONDS = 3.0
SILENT_SECONDS = 4.0
"""The stream tells its time every second: without it for this long the connection is dead."""
BASELINE_EVERY_SECONDS = 60.0
BASELINE_RETRY_SECONDS = 5.0
BASELINE_SLACK_NS = 900 * NANOS_PER_SECOND
"""How far from a day ago a candle may lie to stand for it."""
POLL_SECONDS = 1.0
COMMAND_SECONDS = 2.0
RECENT_EVENTS = 20
DEFAULT_ASSETS = ("BTC", "ETH")
"""Watched over Redis where none is named and no coupling record says which there are."""


class Source(Protocol):
    """Fills a board."""

    @property
    def name(self) -> str:
        """Its address, secrets masked."""
        ...

    async def run(self, board: Board) -> None:
        """Fill the board until cancelled.

        Raises:
            PublishError: What no retry cures: a wrong password.
        """
        ...


class HttpSource:
    """`/v1/stream` of a running service: everything, conflated to twenty records a second."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._root = url.rstrip("/")
        self._clock = clock

    @property
    def name(self) -> str:
        """Its address."""
        return mask_url(self._root)

    async def run(self, board: Board) -> None:
        """Fill the board until cancelled."""
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS
        )
        shortest, longest = BACKOFF_SECONDS
        wait = shortest
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(self._keep_baselines(session, board), name="baselines")
            while True:
                error = "the stream ended"
                try:
                    await self._follow(session, board)
                except (aiohttp.ClientError, OSError, InputError) as failure:
                    error = str(failure) or type(failure).__name__
                if board.link.state is LinkState.UP:
                    wait = shortest
                board.set_link(LinkState.DOWN, self._clock.wall_ns(), error)
                await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - jitter, not a secret
                wait = min(2 * wait, longest)

    async def _follow(self, session: aiohttp.ClientSession, board: Board) -> None:
        query = {
            "kinds": ",".join(
                kind.value for kind in (Kind.INDEX, Kind.ANALYTICS, Kind.COUPLING, Kind.EVENTS)
            ),
            "events": "recent",
        }
        if board.assets:
            query["assets"] = ",".join(sorted(board.assets))
        reader = EventReader()
        async with session.get(f"{self._root}/v1/stream", params=query) as answer:
            if answer.status != 200 or answer.content_type != "text/event-stream":
                raise InputError(
                    f"expected a volgauge stream, received HTTP {answer.status} "
                    f"{answer.content_type}"
                )
            async for chunk in answer.content.iter_any():
                for name, data in reader.feed(chunk):
                    self._take(board, name, data)
                board.set_link(LinkState.UP, self._clock.wall_ns())

    def _take(self, board: Board, name: str, data: bytes) -> None:
        if name == "clock":
            with suppress(msgspec.MsgspecError):  # an age is then by our own clock
                told_ns = msgspec.json.decode(data, type=_Clock).now_ns
                board.skew_ns = told_ns - self._clock.wall_ns()
        elif name in _KINDS:
            board.take_line(_KINDS[name], data)

    async def _keep_baselines(self, session: aiohttp.ClientSession, board: Board) -> None:
        """Keep the value of a day ago, where the service has a history that long."""
        due: dict[str, float] = {}
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.05)
            if board.link.state is not LinkState.UP:
                continue
            for asset in tuple(board.headlines):
                if loop.time() >= due.get(asset, 0.0):
                    # Without a history the change is counted from when the watcher began.
                    due[asset] = loop.time() + BASELINE_RETRY_SECONDS
                    with suppress(aiohttp.ClientError, OSError, msgspec.MsgspecError):
                        if await self._ask_baseline(session, board, asset):
                            due[asset] = loop.time() + BASELINE_EVERY_SECONDS

    async def _ask_baseline(self, session: aiohttp.ClientSession, board: Board, asset: str) -> bool:
        """Whether there was one."""
        then_ns = self._clock.wall_ns() + board.skew_ns - DAY_NS
        query = {
            "resolution": "60",
            "from": str((then_ns - BASELINE_SLACK_NS) // NANOS_PER_SECOND),
            "to": str((then_ns + BASELINE_SLACK_NS) // NANOS_PER_SECOND),
        }
        url = f"{self._root}/v1/history/{asset}/{board.tenor}"
        async with session.get(url, params=query) as answer:
            if answer.status != 200:
                return False
            series = msgspec.json.decode(await answer.read(), type=_Candles)
        if series.candles:
            then = then_ns // NANOS_PER_SECOND
            nearest = min(series.candles, key=lambda candle: abs(candle.opened_s - then))
            board.baselines[asset] = Baseline(nearest.close, nearest.opened_s * NANOS_PER_SECOND)
        return bool(series.candles)


class RedisSource:
    """The published channels: every record of the watched tenor, other facts once a second.

    It uses only what the `reader` of our access list may: GET, XREVRANGE, SUBSCRIBE.
    """

    def __init__(
        self, url: str, clock: Clock, *, prefix: str, tenors_days: tuple[float, ...], cluster: bool
    ) -> None:
        self._url = url
        self._clock = clock
        self._prefix = prefix
        self._tenors = tuple(map(tenor_label, tenors_days))
        self._is_cluster = cluster
        self._subscriptions: list[Subscription[IndexValue]] = []

    @property
    def name(self) -> str:
        """Its address, the password masked."""
        return mask_url(self._url)

    async def run(self, board: Board) -> None:
        """Fill the board until cancelled.

        Raises:
            PublishError: The password or the user is refused.
        """
        try:
            assets = tuple(sorted(board.assets)) or await self._discover(board)
            async with asyncio.TaskGroup() as tasks:
                for asset in assets:
                    tasks.create_task(self._follow_index(board, asset), name=f"index {asset}")
                    tasks.create_task(self._follow_readings(board, asset), name=f"read {asset}")
                tasks.create_task(self._follow_coupling(board), name="coupling")
                tasks.create_task(self._poll(board, assets), name="poll")
                tasks.create_task(self._watch_link(board), name="link")
        except* AuthenticationError as group:
            raise PublishError(f"{self.name}: {group.exceptions[0]}") from group

    async def _discover(self, board: Board) -> tuple[str, ...]:
        """The assets of the coupling record; waits for a server, not for a record."""
        names = channel_names(self._prefix, Kind.COUPLING, MARKET, cluster=self._is_cluster)
        while True:
            try:
                async with self._connect() as connection, asyncio.timeout(COMMAND_SECONDS):
                    line = await connection.get(names.latest)
            except AuthenticationError:
                raise
            except (RedisError, RedisClusterException, OSError) as error:
                board.set_link(LinkState.DOWN, self._clock.wall_ns(), str(error))
                await asyncio.sleep(POLL_SECONDS)
                continue
            if line is not None:
                with suppress(msgspec.MsgspecError):  # of another schema: the defaults then
                    found = msgspec.json.decode(line, type=CouplingValue).assets
                    return tuple(found) or DEFAULT_ASSETS
            return DEFAULT_ASSETS

    async def _follow_index(self, board: Board, asset: str) -> None:
        followed = subscribe(
            self._url, asset, board.tenor,
            prefix=self._prefix, cluster=self._is_cluster, backfill=False,
        )  # fmt: skip
        self._subscriptions.append(followed)
        async for record in _each(followed, board):
            board.take_index(record)

    async def _follow_readings(self, board: Board, asset: str) -> None:
        followed = subscribe_analytics(
            self._url, asset, prefix=self._prefix, cluster=self._is_cluster
        )
        async for record in _each(followed, board):
            board.take_analytics(record)

    async def _follow_coupling(self, board: Board) -> None:
        followed = subscribe_coupling(self._url, prefix=self._prefix, cluster=self._is_cluster)
        async for record in _each(followed, board):
            board.take_coupling(record)

    async def _watch_link(self, board: Board) -> None:
        """The connection is up while that of any index is."""
        while True:
            up = any(one.is_connected for one in self._subscriptions)
            errors = [one.last_error for one in self._subscriptions if one.last_error]
            if up:
                board.set_link(LinkState.UP, self._clock.wall_ns())
            elif errors:
                board.set_link(LinkState.DOWN, self._clock.wall_ns(), errors[-1])
            await asyncio.sleep(0.05)

    async def _poll(self, board: Board, assets: tuple[str, ...]) -> None:
        """The other tenors and the last alerts, once a second."""
        while True:
            # `_watch_link` tells of a lost connection; here the next round tries again.
            with suppress(RedisError, RedisClusterException, OSError):
                async with self._connect() as connection:
                    while True:
                        async with asyncio.timeout(COMMAND_SECONDS):
                            await self._read(connection, board, assets)
                        await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(POLL_SECONDS)

    async def _read(self, connection: Any, board: Board, assets: tuple[str, ...]) -> None:  # noqa: ANN401 - one of two clients
        for asset in assets:
            for tenor in self._tenors:
                if tenor == board.tenor:
                    continue
                names = channel_names(
                    self._prefix, Kind.INDEX, asset, tenor, cluster=self._is_cluster
                )
                line = await connection.get(names.latest)
                if line is not None:
                    board.take_line(Kind.INDEX, line)
        for asset in (*assets, MARKET):
            names = channel_names(self._prefix, Kind.EVENTS, asset, cluster=self._is_cluster)
            for _, fields in await connection.xrevrange(names.stream, count=RECENT_EVENTS):
                board.take_line(Kind.EVENTS, fields[STREAM_FIELD.encode()])

    def _connect(self) -> Any:  # noqa: ANN401 - one of two clients
        options: dict[str, Any] = {
            "socket_timeout": COMMAND_SECONDS,
            "socket_connect_timeout": COMMAND_SECONDS,
        }
        if self._is_cluster:
            return redis.asyncio.RedisCluster.from_url(self._url, **options)
        return redis.asyncio.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), **options)


class _Clock(Struct):
    now_ns: int


class _Candles(Struct):
    """What is read of a `CandleSeries`."""

    candles: tuple[Candle, ...]


_KINDS = {kind.value: kind for kind in Kind}


async def _each(followed: Subscription[Followed], board: Board) -> AsyncIterator[Followed]:
    """Records of a subscription; those of another schema end nothing."""
    async with aclosing(followed):
        try:
            async for record in followed:
                yield record
        except InputError:
            board.refused_count += 1
