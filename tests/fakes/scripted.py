"""A protocol that only keeps what happens to it, and a venue on loopback that follows a script."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from volgauge.adapters.base import State
from volgauge.clock import SystemClock
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited
from volgauge.wire.feed import run_connection
from volgauge.wire.sockets import Library

Script = Callable[[ServerConnection, int], Awaitable[None]]
"""What the venue does with a connection; the second argument counts connections from 0."""
PATIENCE_SECONDS = 10.0


class ScriptedProtocol:
    """Implements VenueProtocol: `hello` on start, `!word` frames raise, the rest is data."""

    def __init__(self, url: str = "", *, stale_seconds: float = 5.0) -> None:
        self.venue = Venue("deribit")
        self.connection = "hot"
        self.url = url
        self.max_frame_bytes = 10_000
        self.compression = True
        self.state = State.IDLE
        self.next_timeout_ns: int | None = None
        self.counts: Counter[str] = Counter()
        self.log: list[tuple[str, object]] = []
        self.to_send: list[bytes] = []
        self._stale_ns = round(stale_seconds * NANOS_PER_SECOND)

    def start(self, now_ns: int) -> None:
        """Greet."""
        self.state = State.SUBSCRIBING
        self.log.append(("start", None))
        self.to_send = [b"hello"]
        self.next_timeout_ns = now_ns + self._stale_ns

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Keep it, or fail as it says."""
        assert type(frame) is bytes
        match frame:
            case b"!violation":
                raise ProtocolViolation(self.venue, "as told")
            case b"!limited":
                raise RateLimited(self.venue, "as told", 7.0)
            case b"!bug":
                raise ZeroDivisionError("as told")
            case b"!answer":
                self.to_send.append(b"answer")
            case _:
                self.state = State.LIVE
                self.log.append(("frame", frame))
                self.next_timeout_ns = received_ns + self._stale_ns

    def frames_to_send(self) -> list[bytes]:
        """What waits."""
        frames, self.to_send = self.to_send, []
        return frames

    def on_timeout(self, now_ns: int) -> None:
        """Silence."""
        del now_ns
        self.log.append(("timeout", None))
        raise FeedStale(self.venue, "silent")

    def disconnected(self, now_ns: int, reason: str) -> None:
        """The end of a session."""
        del now_ns
        self.log.append(("disconnected", reason))
        self.state = State.IDLE
        self.next_timeout_ns = None

    @property
    def frames(self) -> list[object]:
        """All data."""
        return [value for kind, value in self.log if kind == "frame"]

    @property
    def reasons(self) -> list[object]:
        """Why the sessions ended."""
        return [value for kind, value in self.log if kind == "disconnected"]


class Pumped:
    """A running `run_connection` and what it did."""

    def __init__(self, protocol: ScriptedProtocol) -> None:
        self.protocol = protocol
        self.then: Callable[[], None] = lambda: None
        self.flushes: list[int] = []
        """Frames applied at each flush."""
        self.waits: list[float] = []
        self.task: asyncio.Task[None]

    def flush(self) -> None:
        """Note how much was applied; then what the test wants."""
        self.flushes.append(len(self.protocol.frames))
        self.then()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, or fail with what happened."""
        for _ in range(round(PATIENCE_SECONDS / 0.01)):
            if condition():
                return
            if self.task.done():
                self.task.result()
            await asyncio.sleep(0.01)
        raise AssertionError(f"not in time: {self.protocol.log[-20:]}")


@asynccontextmanager
async def pumped(
    script: Script,
    library: Library,
    *,
    protocol: ScriptedProtocol | None = None,
    recorder: Any = None,  # noqa: ANN401 - a recorder or None
    **server: Any,  # noqa: ANN401 - options of the server
) -> AsyncIterator[Pumped]:
    """A venue that follows the script, and the pump connected to it; waits are 10 ms."""
    count = 0

    async def handle(connection: ServerConnection) -> None:
        nonlocal count
        number, count = count, count + 1
        await script(connection, number)

    protocol = protocol or ScriptedProtocol()
    run = Pumped(protocol)

    async def wait(seconds: float) -> None:
        run.waits.append(seconds)
        await asyncio.sleep(0.01)

    async with serve(handle, "127.0.0.1", 0, **server) as listening:
        protocol.url = protocol.url or address_of(listening)
        run.task = asyncio.create_task(
            run_connection(
                protocol, SystemClock(), run.flush, recorder,
                library=library, jitter=lambda: 1.0, sleep=wait,
            )
        )  # fmt: skip
        try:
            yield run
        finally:
            run.task.cancel()
            await asyncio.wait([run.task])


def address_of(server: Server) -> str:
    """Where it listens."""
    host, port, *_ = next(iter(server.sockets)).getsockname()
    return f"ws://{host}:{port}/"
