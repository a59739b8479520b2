"""One connection to a Redis server as an asyncio protocol: write now, count the replies.

Nothing here waits: commands are written where they arise and each reply is handed, in order, to
the token that was sent with its command. A server that does not answer inside the limit loses
the connection. What to send, and what a reply means, is `redis.py`'s business.
"""

import asyncio
import ssl
from collections import deque
from typing import Protocol, cast
from urllib.parse import urlsplit

import hiredis
from redis.asyncio.connection import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.exceptions import RedisError

from volgauge.clock import Clock
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import ConfigError, PublishError

GRACE_SECONDS = 0.01
"""After the limit the loop gets one more turn: a stall of our own is not the server's fault."""

Reply = int | str | bytes | list[object] | None | hiredis.HiredisError


class Token(Protocol):
    """Whoever waits for one reply."""

    def replied(self, reply: Reply, sent_ns: int, now_ns: int) -> None:
        """Take the reply; errors come as HiredisError values."""
        ...

    def lost(self) -> None:
        """The connection ended first: whether the command was executed is unknown."""
        ...


class Endpoint:
    """Address and credentials, as redis-py reads them from a URL (`ssl_*` options included)."""

    def __init__(self, url: str) -> None:
        try:
            made = ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
        except (ValueError, TypeError, RedisError) as error:
            raise ConfigError(f"redis.url: {error}") from error
        self.path: str | None = None
        self.host, self.port = "", 0
        self.ssl: ssl.SSLContext | None = None
        if isinstance(made, UnixDomainSocketConnection):
            self.path = made.path
        elif isinstance(made, Connection):
            self.host, self.port = made.host, int(made.port)
            if isinstance(made, SSLConnection):
                self.ssl = made.ssl_context.get()
        self.username: str | None = made.username
        self.password: str | None = made.password
        self.database = int(made.db or 0)

    def at(self, host: str, port: int) -> "Endpoint":
        """The same credentials at another node of the cluster."""
        other = object.__new__(Endpoint)
        other.__dict__.update(self.__dict__)
        other.host, other.port, other.path = host, port, None
        return other

    def __str__(self) -> str:  # type: ignore[explicit-override]  # 3.11 has no override
        return self.path or f"{self.host}:{self.port}"


class Link(asyncio.Protocol):
    """One connection. `ready` tells whether `send` may be called."""

    def __init__(self, clock: Clock, timeout_ms: int, on_progress: "Progress") -> None:
        self.waiting: deque[tuple[Token, int]] = deque()
        """Tokens of commands without a reply, oldest first, with the time they were sent."""
        self.paused = False
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when the connection is gone."""
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._timeout_ns = timeout_ms * NANOS_PER_MILLI
        self._progress = on_progress
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._timer: asyncio.TimerHandle | None = None
        self._in_grace = False

    @property
    def ready(self) -> bool:
        """Connected, and the socket takes more."""
        return self._transport is not None and not self.paused and not self.closed.done()

    def send(self, packed: bytes, tokens: list[tuple[Token, int]]) -> None:
        """Write commands, one token for each, without waiting for anything."""
        if self._transport is None:
            raise RuntimeError("expected a connection that is ready")
        self.waiting.extend(tokens)
        self._transport.write(packed)
        if self._timer is None:
            self._arm(self._timeout_ns)

    async def call(self, *arguments: bytes | str | int) -> Reply:
        """Send one command and wait for its reply.

        Raises:
            PublishError: The server answered with an error, or the connection is gone.
        """
        answer = _Answer(self._loop.create_future())
        self.send(pack(*arguments), [(answer, self._clock.monotonic_ns())])
        reply = await answer.future
        if isinstance(reply, hiredis.HiredisError):
            raise PublishError(str(reply))
        return reply

    def drop(self, reason: str) -> None:
        """End the connection at once."""
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[explicit-override]
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """Hand every complete reply to its token."""
        now_ns = self._clock.monotonic_ns()
        self._in_grace = False
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                if not self.waiting:
                    self.drop("protocol: a reply to nothing")
                    return
                token, sent_ns = self.waiting.popleft()
                token.replied(reply, sent_ns, now_ns)
        except hiredis.ProtocolError as error:
            self.drop(f"protocol: {error}")
            return
        self._progress()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override]
        """Tell every waiting token."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.closed.done():
            self.closed.set_result(str(exc) if exc else "closed by the server")
        self._transport = None
        # Newest first: a series that keeps only its newest record can then refuse the older ones.
        while self.waiting:
            token, _ = self.waiting.pop()
            token.lost()

    def pause_writing(self) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """The socket is full: keep records in the outbox, where they are conflated."""
        self.paused = True

    def resume_writing(self) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """The socket takes again."""
        self.paused = False
        self._progress()

    def _arm(self, wait_ns: int) -> None:
        self._timer = self._loop.call_later(wait_ns / NANOS_PER_SECOND, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self.waiting:
            return
        left_ns = self.waiting[0][1] + self._timeout_ns - self._clock.monotonic_ns()
        if left_ns > 0:
            self._arm(left_ns)
        elif not self._in_grace:
            self._in_grace = True
            self._timer = self._loop.call_later(GRACE_SECONDS, self._look)
        else:
            self.drop(f"no reply within {self._timeout_ns // NANOS_PER_MILLI} ms")


class Progress(Protocol):
    """Called when more may be sent."""

    def __call__(self) -> None:
        """Send what waits."""
        ...


class _Answer:
    """A token that somebody awaits."""

    def __init__(self, future: "asyncio.Future[Reply]") -> None:
        self.future = future

    def replied(self, reply: Reply, sent_ns: int, now_ns: int) -> None:  # noqa: ARG002 - the Token contract
        if not self.future.done():
            self.future.set_result(reply)

    def lost(self) -> None:
        if not self.future.done():
            self.future.set_exception(PublishError("the connection was lost"))


async def connect(endpoint: Endpoint, clock: Clock, timeout_ms: int, on_progress: Progress) -> Link:
    """Open a connection, authenticate, select the database.

    Raises:
        OSError: The server cannot be reached (TimeoutError included).
        PublishError: The server refused us.
    """
    loop = asyncio.get_running_loop()
    link = Link(clock, timeout_ms, on_progress)
    try:
        if endpoint.path is not None:
            await loop.create_unix_connection(lambda: link, endpoint.path, ssl=endpoint.ssl)
        else:
            await loop.create_connection(
                lambda: link, endpoint.host, endpoint.port, ssl=endpoint.ssl
            )
        if endpoint.password:
            user = [endpoint.username] if endpoint.username else []
            await link.call("AUTH", *user, endpoint.password)
        if endpoint.database:
            await link.call("SELECT", endpoint.database)
    except BaseException:
        link.drop("not connected")
        raise
    return link


def pack(*arguments: bytes | str | int) -> bytes:
    """Encode one command (RESP2)."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # its stub: one only
    return packed


def host_of(url: str) -> str:
    """The address in a Redis URL without credentials, for messages."""
    parts = urlsplit(url)
    return parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
