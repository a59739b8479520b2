"""The socket pump against a real websocket server that misbehaves, with both client libraries."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Self

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from fakes.redis_lab import wait_for
from volgauge.adapters.base import State
from volgauge.clock import SystemClock
from volgauge.domain.instrument import Venue
from volgauge.errors import FeedStale, ProtocolViolation
from volgauge.wire.feed import run_connection
from volgauge.wire.sockets import Library, load

VENUE = Venue("deribit")
LIMIT_BYTES = 4096
SILENCE_NS = 300_000_000
Handler = Callable[[ServerConnection], Awaitable[None]]


class Echo:
    """A venue whose every text frame is data, except for a few words."""

    def __init__(self, url: str, *, compression: bool = False) -> None:
        self.venue = VENUE
        self.connection = "hot"
        self.url = url
        self.max_frame_bytes = LIMIT_BYTES
        self.compression = compression
        self.state = State.IDLE
        self.next_timeout_ns: int | None = None
        self.counts: Counter[str] = Counter()
        self.frames: list[bytes] = []
        self.starts = 0
        self.ends: list[str] = []
        self._outbox: list[bytes] = []

    def start(self, now_ns: int) -> None:
        """Ask for everything."""
        self.starts += 1
        self.state = State.SUBSCRIBING
        self._outbox = [b"subscribe"]
        self.next_timeout_ns = now_ns + SILENCE_NS

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Keep it; two words have a meaning."""
        if frame == b"garbled":
            raise ProtocolViolation(VENUE, "expected a word, received garbled")
        if frame == b"bug":
            raise ZeroDivisionError("a mistake of ours")
        if frame == b"test":
            self._outbox.append(b"answer")
        self.frames.append(frame)
        self.state = State.LIVE
        self.next_timeout_ns = received_ns + SILENCE_NS

    def frames_to_send(self) -> list[bytes]:
        """What waits."""
        waiting, self._outbox = self._outbox, []
        return waiting

    def on_timeout(self, now_ns: int) -> None:
        """Silence is a loss."""
        if self.next_timeout_ns is not None and self.next_timeout_ns <= now_ns:
            raise FeedStale(VENUE, "no data")

    def disconnected(self, now_ns: int, reason: str) -> None:  # noqa: ARG002 - the contract
        """Remember why."""
        self.state = State.IDLE
        self.next_timeout_ns = None
        self.ends.append(reason)


@pytest.fixture(params=["websockets.asyncio.client", "picows.websockets"])
def library(request: pytest.FixtureRequest) -> Library:
    """Both client libraries behind the same names."""
    name = "websockets" if request.param.startswith("websockets") else request.param
    if name != "websockets":
        pytest.importorskip(name, reason="the extra `fast` is not installed")
    return load(name)


@asynccontextmanager
async def listening(
    handler: Handler, *, compression: str | None = None
) -> AsyncIterator[tuple[Server, str]]:
    """A server and its address."""
    async with serve(handler, "127.0.0.1", 0, compression=compression) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield server, f"ws://127.0.0.1:{port}"


class Pumping:
    """A running pump; `waits` are the waits that it asked for, which are not waited."""

    def __init__(self, protocol: Echo, library: Library) -> None:
        self.protocol = protocol
        self.flushes = 0
        self.waits: list[float] = []
        self.task = asyncio.create_task(
            run_connection(
                protocol,
                SystemClock(),
                self._flush,
                None,
                library=library,
                jitter=lambda: 0.0,
                sleep=self._sleep,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError, ZeroDivisionError):
            await self.task

    def _flush(self) -> None:
        self.flushes += 1

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0.01)


def misbehaves_once(fault: Handler) -> Handler:
    """The first connection meets the fault; every later one gets data."""
    seen: list[ServerConnection] = []

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("hello")
        seen.append(socket)
        if len(seen) == 1:
            await fault(socket)
        else:
            with suppress(ConnectionClosed):
                while True:
                    await socket.send("again")
                    await asyncio.sleep(0.05)

    return handle


async def drop(socket: ServerConnection) -> None:
    """Cut without a close frame."""
    socket.transport.abort()


async def garble(socket: ServerConnection) -> None:
    """A frame that the venue's schema does not know."""
    await socket.send("garbled")
    await socket.wait_closed()


async def stall(socket: ServerConnection) -> None:
    """Silence, with the connection up."""
    await socket.wait_closed()


async def too_large(socket: ServerConnection) -> None:
    """One byte more than the limit."""
    await socket.send("x" * (LIMIT_BYTES + 1))
    await socket.wait_closed()


async def bad_text(socket: ServerConnection) -> None:
    """A reserved opcode: no websocket frame."""
    socket.transport.write(b"\x83\x01x")
    await socket.wait_closed()


def closes(code: int) -> Handler:
    """Ends the session with this code."""

    async def close(socket: ServerConnection) -> None:
        await socket.close(code, "bye")

    return close


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (drop, "lost"),
        (garble, "protocol_violation"),
        (stall, "feed_stale"),
        (too_large, "too_large"),
        (bad_text, "garbled"),
        (closes(1001), "closed"),
        (closes(1012), "restart"),
        (closes(4000), "heartbeat"),
        (closes(4777), "closed_other"),
    ],
    ids=["drop", "garble", "stall", "too-large", "bad-opcode", "1001", "1012", "4000", "4777"],
)
async def test_lost_session_is_named_and_followed_by_another(
    library: Library, fault: Handler, reason: str
) -> None:
    """The protocol is told once, the reason is counted, the next session brings data."""
    async with listening(misbehaves_once(fault)) as (_, url):
        protocol = Echo(url)
        async with Pumping(protocol, library):
            await wait_for(lambda: b"again" in protocol.frames)

    assert protocol.ends[0] == reason
    assert protocol.counts[f"reconnects.{reason}"] == 1
    assert protocol.starts == 2


async def test_what_waits_is_sent_as_text(library: Library) -> None:
    """The subscription when it begins, the answer to a test at once."""
    received: list[str | bytes] = []

    async def handle(socket: ServerConnection) -> None:
        received.append(await socket.recv())
        await socket.send("test")
        received.append(await socket.recv())
        await socket.wait_closed()

    async with listening(handle) as (_, url), Pumping(Echo(url), library):
        await wait_for(lambda: len(received) == 2)

    assert received == ["subscribe", "answer"]


async def test_burst_is_applied_whole_and_flushed_a_few_times(library: Library) -> None:
    """A thousand frames in one write: every one arrives in order, and the flushes are few."""

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        # One write of a thousand unmasked text frames, as a busy venue's socket holds them.
        socket.transport.write(b"".join(b"\x81\x04%04d" % number for number in range(1000)))
        await socket.wait_closed()

    async with listening(handle) as (_, url):
        protocol = Echo(url)
        async with Pumping(protocol, library) as pumping:
            await wait_for(lambda: len(protocol.frames) == 1000)
            await wait_for(lambda: protocol.counts["frames"] == 1000)
            flushes = pumping.flushes

    assert protocol.frames == [b"%04d" % number for number in range(1000)]
    assert 1 <= flushes <= 60


@pytest.mark.parametrize("compression", [True, False], ids=["deflate", "plain"])
async def test_compression_is_offered_only_when_asked(
    library: Library, *, compression: bool
) -> None:
    """permessage-deflate by the protocol's word; the frames are the same either way."""
    offered: list[str] = []

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        offered.append(socket.request.headers.get("Sec-WebSocket-Extensions", ""))
        await socket.recv()
        await socket.send("word " * 100)
        await socket.wait_closed()

    async with listening(handle, compression="deflate") as (_, url):
        protocol = Echo(url, compression=compression)
        async with Pumping(protocol, library):
            await wait_for(lambda: protocol.frames)

    assert ("permessage-deflate" in offered[0]) is compression
    assert protocol.frames[0] == b"word " * 100


async def test_small_frame_that_unfolds_beyond_the_limit_is_refused(library: Library) -> None:
    """A compressed bomb is measured unfolded."""

    async def bomb(socket: ServerConnection) -> None:
        await socket.send("0" * (LIMIT_BYTES * 50))
        await socket.wait_closed()

    async with listening(misbehaves_once(bomb), compression="deflate") as (_, url):
        protocol = Echo(url, compression=True)
        async with Pumping(protocol, library):
            await wait_for(lambda: b"again" in protocol.frames)

    assert protocol.ends[0] == "too_large"
    assert max(map(len, protocol.frames)) <= LIMIT_BYTES


async def test_refused_attempts_wait_longer_and_longer(library: Library) -> None:
    """Nobody listens: the waits double, and no session begins."""
    async with listening(drop) as (server, url):
        server.close()
        await server.wait_closed()
    protocol = Echo(url)
    async with Pumping(protocol, library) as pumping:
        await wait_for(lambda: len(pumping.waits) >= 4)

    assert pumping.waits[:4] == [0.25, 0.5, 1.0, 2.0]
    assert protocol.starts == 0
    assert protocol.ends == []
    assert protocol.counts["reconnects.refused"] >= 4


async def test_session_without_data_does_not_reset_the_wait(library: Library) -> None:
    """A venue that accepts and drops us at once is not hammered."""
    async with listening(drop) as (_, url):
        protocol = Echo(url)
        async with Pumping(protocol, library) as pumping:
            await wait_for(lambda: len(pumping.waits) >= 3)

    assert pumping.waits[:3] == [0.25, 0.5, 1.0]


async def test_session_with_data_resets_the_wait(library: Library) -> None:
    """Data came each time: each wait is the first one."""

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("hello")
        await socket.close(1001)

    async with listening(handle) as (_, url):
        protocol = Echo(url)
        async with Pumping(protocol, library) as pumping:
            await wait_for(lambda: len(pumping.waits) >= 3)

    assert pumping.waits[:3] == [0.25, 0.25, 0.25]


async def test_http_429_is_waited_out(library: Library) -> None:
    """Told to slow down in the handshake: a long wait, counted as rate limited."""

    def refuse(socket: ServerConnection, _: Request) -> Response:
        return socket.respond(HTTPStatus.TOO_MANY_REQUESTS, "slow down\n")

    async with serve(drop, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        protocol = Echo(f"ws://127.0.0.1:{port}")
        async with Pumping(protocol, library) as pumping:
            await wait_for(lambda: pumping.waits)

    assert pumping.waits[0] >= 1.0
    assert protocol.counts["reconnects.rate_limited"] >= 1


async def test_mistake_of_ours_ends_the_service(library: Library) -> None:
    """An error that no venue causes is raised, not retried for ever."""

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("bug")
        await socket.wait_closed()

    async with listening(handle) as (_, url), Pumping(Echo(url), library) as pumping:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(pumping.task, 5.0)


async def test_cancellation_closes_the_socket_at_once(library: Library) -> None:
    """The service ends: within a second the venue sees the connection closed."""
    gone = asyncio.Event()

    async def handle(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send("hello")
        await socket.wait_closed()
        gone.set()

    async with listening(handle) as (_, url):
        protocol = Echo(url)
        async with Pumping(protocol, library) as pumping:
            await wait_for(lambda: protocol.frames)
            pumping.task.cancel()
            async with asyncio.timeout(1.0):
                await gone.wait()
