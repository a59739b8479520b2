"""One websocket pump for all venues: bytes to the protocol, its answers back, one flush a burst.

The pump knows no venue. `recv` does not suspend while frames are queued, so a burst is drained
and applied whole before the flush that was scheduled with its first frame: conflation for free.
"""

import asyncio
import random
import re
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog

from volgauge.adapters.base import State, VenueProtocol
from volgauge.clock import Clock
from volgauge.errors import RateLimited, VenueError
from volgauge.wire.backoff import Backoff

connect_default: Callable[..., Any]
try:  # The extra `fast`: a Cython core behind the same names, a fifth of the CPU in bursts.
    from picows.websockets import connect as _fast_connect

    connect_default = _fast_connect
except ImportError:
    from websockets.asyncio.client import connect as _plain_connect

    connect_default = _plain_connect

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 0.3
MAX_QUEUED_FRAMES = 8192
"""Beyond this the venue has to wait: memory stays bounded however fast it sends."""
POLL_SECONDS = 0.02
TOLD_TO_WAIT_SECONDS = 30.0
BURST_FRAMES = 256
"""After this many frames in a row others get their turn."""

log = structlog.get_logger("volgauge.wire")


class Recorder(Protocol):
    """Where raw frames go, when they are recorded."""

    def frame(self, venue: str, connection: str, received_ns: int, frame: bytes) -> None:
        """A frame was received."""
        ...

    def started(self, venue: str, connection: str, now_ns: int) -> None:
        """A session began."""
        ...

    def timed_out(self, venue: str, connection: str, now_ns: int) -> None:
        """The protocol's deadline was served."""
        ...

    def disconnected(self, venue: str, connection: str, now_ns: int, reason: str) -> None:
        """A session ended."""
        ...

    def rest(self, venue: str, name: str, received_ns: int, body: bytes) -> None:
        """A REST body was received."""
        ...

    def catalog(self, venue: str, now_ns: int) -> None:
        """The bodies received since the last call were handed to the adapter."""
        ...


class Socket(Protocol):
    """What the pump needs of a websocket; both client libraries offer it."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """The next message; `decode=False` gives bytes."""
        ...

    async def send(self, message: bytes, text: bool | None = None) -> None:
        """Send one message, as text when `text`."""
        ...


async def run_connection(
    protocol: VenueProtocol,
    clock: Clock,
    flush: Callable[[], None],
    recorder: Recorder | None,
    *,
    connect: Callable[..., Any] = connect_default,
    uniform: Callable[[], float] = random.random,
) -> None:
    """Hold one connection open for ever: sessions, and jittered waits between them.

    Args:
        protocol: The session's state machine.
        clock: Stamps every frame at its first sight.
        flush: Recompute and publish; called once after everything readable was applied.
        recorder: Keeps every frame, or None.
        connect: `websockets.asyncio.client.connect` or a drop-in.
        uniform: Draws the jitter from [0, 1).
    """
    backoff = Backoff(uniform)
    bound = log.bind(venue=protocol.venue, connection=protocol.connection)
    session = _Session(protocol, clock, flush, recorder, backoff)
    while True:
        at_least, reason, error = 0.0, "cancelled", ""
        try:
            async with connect(
                protocol.url,
                max_size=protocol.max_frame_bytes,
                compression="deflate" if protocol.compression else None,
                max_queue=MAX_QUEUED_FRAMES,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,
                proxy=None if _is_loopback(protocol.url) else True,
            ) as socket:
                bound.info("feed.connected", url=protocol.url)
                reason, error = await session.run(socket)
        except RateLimited as failure:
            reason, error, at_least = "rate_limited", str(failure), failure.wait_seconds
        except VenueError as failure:
            reason, error = _snake(failure), str(failure)
        except Exception as failure:
            if not _is_of_the_network(failure):
                raise
            reason, error = _name_of(failure), str(failure)
            at_least = TOLD_TO_WAIT_SECONDS if reason in {"http_429", "http_418"} else 0.0
        finally:
            # Also when we are cancelled: whoever reads the book must not take it for alive.
            session.end(reason)
        protocol.counts[f"reconnects.{reason}"] += 1
        wait = backoff.wait_seconds(at_least)
        bound.warning("feed.disconnected", reason=reason, error=error[:300], wait_seconds=wait)
        await asyncio.sleep(wait)


class _Session:
    """One connection's traffic; used for one socket after the other."""

    def __init__(
        self,
        protocol: VenueProtocol,
        clock: Clock,
        flush: Callable[[], None],
        recorder: Recorder | None,
        backoff: Backoff,
    ) -> None:
        self._protocol = protocol
        self._clock = clock
        self._flush = flush
        self._recorder = recorder
        self._backoff = backoff
        self._is_flush_due = False
        self._is_open = False

    async def run(self, socket: Socket) -> tuple[str, str]:
        """Serve the socket until it ends; the reason. Errors of the venue are raised."""
        protocol, now_ns = self._protocol, self._clock.wall_ns()
        self._is_open = True
        if self._recorder is not None:
            self._recorder.started(protocol.venue, protocol.connection, now_ns)
        protocol.start(now_ns)
        await self._send(socket)
        tasks = {
            asyncio.create_task(self._read(socket), name=f"read {protocol.connection}"),
            asyncio.create_task(self._keep_time(socket), name=f"time {protocol.connection}"),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()
        return "closed", "the venue ended the session"

    def end(self, reason: str) -> None:
        """Tell the protocol that the socket is gone; once a session."""
        if not self._is_open:
            return
        self._is_open = False
        now_ns = self._clock.wall_ns()
        protocol = self._protocol
        if self._recorder is not None:
            self._recorder.disconnected(protocol.venue, protocol.connection, now_ns, reason)
        protocol.disconnected(now_ns, reason)
        self._flush()

    async def _read(self, socket: Socket) -> None:
        protocol, recorder = self._protocol, self._recorder
        receive, wall_ns = protocol.receive, self._clock.wall_ns
        venue, connection = protocol.venue, protocol.connection
        counts = protocol.counts
        in_a_row = 0
        while True:
            frame = await socket.recv(decode=False)
            data = frame.encode() if isinstance(frame, str) else frame
            received_ns = wall_ns()
            if recorder is not None:
                recorder.frame(venue, connection, received_ns, data)
            counts["frames"] += 1
            receive(data, received_ns)
            if self._is_flush_due:
                in_a_row += 1
                if in_a_row >= BURST_FRAMES:
                    in_a_row = 0
                    await asyncio.sleep(0)
            else:
                in_a_row = 0
                self._is_flush_due = True
                asyncio.get_running_loop().call_soon(self._run_flush)
            if protocol.state is State.LIVE:
                self._backoff.reset()
            for answer in protocol.frames_to_send():
                await socket.send(answer, text=True)

    async def _keep_time(self, socket: Socket) -> None:
        """Serve the protocol's deadlines; polling spares a timer for each of the frames."""
        protocol = self._protocol
        while True:
            await asyncio.sleep(POLL_SECONDS)
            due_ns, now_ns = protocol.next_timeout_ns, self._clock.wall_ns()
            if due_ns is None or due_ns > now_ns:
                # A new plan may have queued requests without a frame having come.
                await self._send(socket)
                continue
            if self._recorder is not None:
                self._recorder.timed_out(protocol.venue, protocol.connection, now_ns)
            protocol.on_timeout(now_ns)
            await self._send(socket)
            self._flush()

    async def _send(self, socket: Socket) -> None:
        for frame in self._protocol.frames_to_send():
            await socket.send(frame, text=True)

    def _run_flush(self) -> None:
        self._is_flush_due = False
        self._flush()


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


def _is_of_the_network(failure: Exception) -> bool:
    """Errors that the network or the other side causes; any other is ours and must be seen."""
    if isinstance(failure, OSError | TimeoutError | EOFError):
        return True
    return any(kind.__name__ == "WebSocketException" for kind in type(failure).__mro__)


def _name_of(failure: Exception) -> str:
    """A short, bounded reason: the close code, the HTTP status or the kind of error."""
    received = getattr(failure, "rcvd", None)
    if received is not None:
        return f"close_{received.code}"
    sent = getattr(failure, "sent", None)
    if sent is not None:
        # We closed it: 1009 is a frame over the limit, 1007 not UTF-8, 1002 broken framing.
        return f"refused_{sent.code}"
    status = getattr(getattr(failure, "response", None), "status_code", None)
    return f"http_{status}" if status is not None else _snake(failure)


def _snake(failure: Exception) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(failure).__name__).lower()
