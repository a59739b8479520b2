"""One websocket pump for all venues: connect, drain what is readable, answer, flush once.

`recv` does not suspend while frames are queued, so a burst is applied as a whole before the one
flush that follows it. What anything means is the business of the venue's protocol.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import structlog

from volgauge.adapters.base import State, VenueProtocol
from volgauge.clock import Clock
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.wire.backoff import Backoff
from volgauge.wire.connects import ConnectPacer
from volgauge.wire.reasons import Ended, HandedOver, SendTimeout, explain
from volgauge.wire.seams import Recorder
from volgauge.wire.sockets import Library, Socket, load_fastest

OPEN_SECONDS = 10.0
CLOSE_SECONDS = 0.3
"""A venue that does not answer our close is left."""
SEND_SECONDS = 5.0
TIMER_SECONDS = 0.05
"""How late a deadline can be served that another task has set."""
BURST_FRAMES = 1024
"""Then the flush and the other tasks get their turn: after about eight milliseconds. With less, a
venue that tells all its options at one instant, or over few connections, waits for many flushes
while its frames pile up; so the more there is to read, the less often anything is computed."""
QUEUED_FRAMES = 1024
"""Received, not yet read; beyond it the library stops reading the socket."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

log = structlog.get_logger("volgauge")


async def run_connection(
    protocol: VenueProtocol,
    clock: Clock,
    flush: Callable[[], None],
    recorder: Recorder | None = None,
    *,
    pacer: ConnectPacer | None = None,
    is_ending: Callable[[], bool] = lambda: False,
    library: Library | None = None,
    jitter: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Hold one websocket open for ever; ends by cancellation only.

    Args:
        protocol: The venue's side; it is told when each session begins and ends.
        clock: Stamps what is received.
        flush: Recompute and publish; runs once after each burst and each change of state.
        recorder: Keeps everything that enters.
        pacer: Says when to connect, shared by the venue's connections; None whenever we like.
        is_ending: Whether the service is about to cancel us: no more frames are applied.
        library: The websocket client; None takes the fastest one installed.
        jitter: Random numbers in [0, 1) for the waits.
        sleep: Waits between two attempts.
    """
    pump = _Pump(protocol, clock, flush, recorder, library or load_fastest(), is_ending)
    backoff = Backoff(jitter)
    last: Ended | None = None
    while True:
        await pump.wait_for_call(sleep)
        if pacer is not None:
            await pump.wait_for_turn(pacer, sleep)
        began = False
        errors: tuple[Exception, ...]
        try:
            async with pump.connect() as socket:
                began = True
                log.info("feed.connected", venue=protocol.venue, connection=protocol.connection)
                await pump.run(socket)
        except ExceptionGroup as group:
            errors = group.exceptions
        except asyncio.CancelledError:
            # Whoever reads the book must not take it for alive.
            pump.end(Ended.CANCELLED)
            raise
        except Exception as failure:  # noqa: BLE001 - sorted below; a bug of ours is raised again
            errors = (failure,)
        else:
            raise AssertionError("a session ends by an exception only")
        reason, cause = pump.explain(errors)
        if _is_cancelled():
            # It came while the session was failing: the failure has taken its place.
            pump.end(Ended.CANCELLED)
            raise asyncio.CancelledError
        if protocol.state is State.LIVE:
            backoff.reset()
        pump.end(reason)
        protocol.counts[f"reconnects.{reason.value}"] += 1
        wait = backoff.wait_seconds(cause)
        if began or reason is not last:
            # Once when it is lost, and again only when the reason changes.
            log.warning(
                "feed.disconnected",
                venue=protocol.venue,
                connection=protocol.connection,
                reason=reason.value,
                error=str(cause),
                wait_seconds=round(wait, 3),
            )
        last = reason
        await sleep(wait)


def _is_cancelled() -> bool:
    """The running task was told to end, whatever became of the exception that said so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Pump:
    """Moves frames between one socket and one protocol."""

    def __init__(
        self,
        protocol: VenueProtocol,
        clock: Clock,
        flush: Callable[[], None],
        recorder: Recorder | None,
        library: Library,
        is_ending: Callable[[], bool],
    ) -> None:
        self.library = library
        self._is_ending = is_ending
        self._protocol = protocol
        self._clock = clock
        self._flush = flush
        self._recorder = recorder
        self._frames = 0
        self._flush_waits = False
        self._has_started = False
        self._sending = asyncio.Lock()
        self._failure: Exception | None = None

    async def wait_for_call(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """A spare stays closed until its protocol says that it is to stand in."""
        while self._protocol.state is State.SPARE:
            await sleep(TIMER_SECONDS)

    async def wait_for_turn(
        self, pacer: ConnectPacer, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """The venue counts how often it is connected to."""
        wait = pacer.reserve(self._clock.monotonic_ns())
        if wait > 0.0:
            self._protocol.counts["connects_paced"] += 1
            await sleep(wait)

    def connect(self) -> AbstractAsyncContextManager[Socket]:
        """Open a socket; leaving the context closes it."""
        protocol = self._protocol
        return self.library.connect(
            protocol.url,
            max_size=protocol.max_frame_bytes,
            max_queue=QUEUED_FRAMES,
            compression="deflate" if protocol.compression else None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            # The venue's own heartbeats and the watch for data do better than pings.
            ping_interval=None,
            proxy=None if urlsplit(protocol.url).hostname in LOOPBACK else True,
        )

    async def run(self, socket: Socket) -> None:
        """Pump until something fails."""
        if self._protocol.state is State.SPARE:
            # It was called back while its socket was being opened.
            raise HandedOver
        now_ns = self._clock.wall_ns()
        if self._recorder is not None:
            self._recorder.started(self._protocol.venue, self._protocol.connection, now_ns)
        self._has_started = True
        self._protocol.start(now_ns)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_deadlines(socket), name="feed deadlines")
            await self._read(socket)

    def explain(self, errors: tuple[Exception, ...]) -> tuple[Ended, VenueError]:
        """What the first error stands for; raises one that is a bug of ours."""
        venue = self._protocol.venue
        explained = []
        for error in errors:
            known = explain(error, venue, self.library)
            if known is None:
                raise error
            explained.append(known)
        return explained[0]

    def end(self, reason: Ended) -> None:
        """The socket is gone; nothing, if it was never opened."""
        if not self._has_started:
            return
        self._has_started = False
        protocol, now_ns = self._protocol, self._clock.wall_ns()
        if self._recorder is not None:
            self._recorder.disconnected(protocol.venue, protocol.connection, now_ns, reason.value)
        protocol.disconnected(now_ns, reason.value)
        self._flush()

    async def _read(self, socket: Socket) -> None:
        protocol, recorder = self._protocol, self._recorder
        venue, connection = protocol.venue, protocol.connection
        receive, wall_ns = protocol.receive, self._clock.wall_ns
        is_ending = self._is_ending
        in_burst = 0
        while True:
            frame: bytes = await socket.recv(decode=False)
            if is_ending():
                # The cancellation has to wait for nobody's backlog.
                await asyncio.get_running_loop().create_future()
            received_ns = wall_ns()
            self._frames += 1
            if not self._flush_waits:
                self._flush_soon()
                in_burst = 0
            if recorder is not None:
                recorder.frame(venue, connection, received_ns, frame)
            receive(frame, received_ns)
            waiting = protocol.frames_to_send()
            if waiting:
                await self._send(socket, waiting)
            in_burst += 1
            if in_burst >= BURST_FRAMES:
                await asyncio.sleep(0)

    async def _serve_deadlines(self, socket: Socket) -> None:
        protocol, recorder = self._protocol, self._recorder
        await self._send(socket, protocol.frames_to_send())
        while True:
            if self._failure is not None:
                raise self._failure
            if protocol.state is State.SPARE:
                raise HandedOver
            now_ns = self._clock.wall_ns()
            due_ns = protocol.next_timeout_ns
            if due_ns is not None and due_ns <= now_ns:
                if recorder is not None:
                    recorder.timed_out(protocol.venue, protocol.connection, now_ns)
                protocol.on_timeout(now_ns)
                self._flush_soon()
                due_ns = protocol.next_timeout_ns
            # Also what the catalog's task has caused.
            await self._send(socket, protocol.frames_to_send())
            wait = TIMER_SECONDS
            if due_ns is not None:
                wait = min(wait, max((due_ns - now_ns) / NANOS_PER_SECOND, 0.001))
            await asyncio.sleep(wait)

    async def _send(self, socket: Socket, frames: list[bytes]) -> None:
        if not frames:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS), self._sending:
                for frame in frames:
                    await socket.send(frame, text=True)
        except TimeoutError as error:
            raise SendTimeout(f"nothing taken for {SEND_SECONDS} s") from error

    def _flush_soon(self) -> None:
        """Recompute once, after everything that is readable now has been applied."""
        if not self._flush_waits:
            self._flush_waits = True
            asyncio.get_running_loop().call_soon(self._run_flush)

    def _run_flush(self) -> None:
        self._flush_waits = False
        self._protocol.counts["frames"] += self._frames
        self._frames = 0
        try:
            self._flush()
        except Exception as error:  # noqa: BLE001 - raised again where it ends the service
            self._failure = error
