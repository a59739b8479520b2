"""The socket pump over a client library that does what a test says, at the step it says."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import msgspec
import pytest

from fakes.scripted import ScriptedProtocol
from volgauge.adapters.base import ConnectBudget, State
from volgauge.clock import SystemClock
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.wire.connects import ConnectPacer
from volgauge.wire.feed import run_connection
from volgauge.wire.sockets import Library, load

MOMENTS = {
    "when reading fails": (ConnectionResetError, False),
    "when a deadline fails": (None, False),
    "while it is closed": (ConnectionResetError, True),
}
"""How the session fails, and whether its socket takes its time to close."""


class FailingSocket:
    """Fails as told; calls `interrupt` from inside the clean-up that follows."""

    def __init__(self, failure: type[Exception] | None, interrupt: Callable[[], None]) -> None:
        self.failure = failure
        self.interrupt = interrupt
        self.is_sending = asyncio.Event()

    async def recv(self, decode: bool | None = None) -> bytes:
        """Fail once the greeting is on its way, or wait for the end."""
        del decode
        if self.failure is None:
            return await self._hang()
        await self.is_sending.wait()
        raise self.failure

    async def send(self, message: bytes, text: bool | None = None) -> None:
        """Never done while reading is to fail, at once otherwise."""
        del message, text
        self.is_sending.set()
        if self.failure is not None:
            await self._hang()

    async def _hang(self) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.interrupt()
            raise
        raise AssertionError("an event that nobody sets")


@pytest.mark.parametrize("moment", MOMENTS)
async def test_session_that_is_failing_still_ends_when_told(moment: str) -> None:
    """A cancellation that comes between a failure and its end is not lost with it."""
    failure, is_late = MOMENTS[moment]
    tasks: list[asyncio.Task[None]] = []

    def tell_to_end() -> None:
        tasks[0].cancel()

    @asynccontextmanager
    async def connect(*_: object, **__: object) -> AsyncIterator[FailingSocket]:
        try:
            yield FailingSocket(failure, (lambda: None) if is_late else tell_to_end)
        finally:
            if is_late:
                tell_to_end()
                await asyncio.sleep(0)

    library: Library = msgspec.structs.replace(load("websockets"), connect=connect)
    protocol = ScriptedProtocol("ws://venue.invalid/", stale_seconds=0.0)
    if failure is not None:
        protocol = ScriptedProtocol("ws://venue.invalid/")
    attempts: list[float] = []

    async def wait(seconds: float) -> None:
        attempts.append(seconds)
        await asyncio.Event().wait()

    tasks.append(
        asyncio.create_task(
            run_connection(protocol, SystemClock(), lambda: None, library=library, sleep=wait)
        )
    )
    try:
        await asyncio.wait(tasks, timeout=1.0)
        assert tasks[0].cancelled()
    finally:
        tasks[0].cancel()

    assert protocol.reasons == ["cancelled"]
    assert attempts == []


class BacklogSocket:
    """Has frames without end, all of them here already."""

    def __init__(self) -> None:
        self.taken = 0
        self.is_read = asyncio.Event()

    async def recv(self, decode: bool | None = None) -> bytes:
        """The next one, at once."""
        del decode
        self.taken += 1
        if self.taken == 4:
            self.is_read.set()
        return b"frame"

    async def send(self, message: bytes, text: bool | None = None) -> None:
        """Sent."""


async def test_the_end_waits_for_no_backlog() -> None:
    """Told in the midst of a burst, a connection applies nothing more before its cancellation."""
    socket, protocol = BacklogSocket(), ScriptedProtocol("ws://venue.invalid/")

    @asynccontextmanager
    async def connect(*_: object, **__: object) -> AsyncIterator[BacklogSocket]:
        yield socket

    library: Library = msgspec.structs.replace(load("websockets"), connect=connect)
    task = asyncio.create_task(
        run_connection(
            protocol,
            SystemClock(),
            lambda: None,
            is_ending=lambda: len(protocol.frames) >= 3,
            library=library,
        )
    )
    await socket.is_read.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert (len(protocol.frames), socket.taken) == (3, 4)
    assert protocol.reasons == ["cancelled"]


class HandClock:
    """Stands still until it is moved to the end of the next sleep."""

    def __init__(self) -> None:
        self.now_ns = 1_000 * NANOS_PER_SECOND
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def wall_ns(self) -> int:
        """The time."""
        return self.now_ns

    def monotonic_ns(self) -> int:
        """The same time."""
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has come so far."""
        waiter = asyncio.get_running_loop().create_future()
        due_ns = self.now_ns + round(seconds * NANOS_PER_SECOND)
        heapq.heappush(self._sleepers, (due_ns, next(self._order), waiter))
        await waiter

    async def wake_next(self) -> None:
        """Let everybody run, then move to the end of the shortest sleep."""
        await asyncio.sleep(0)
        self.now_ns, _, waiter = heapq.heappop(self._sleepers)
        waiter.set_result(None)
        await asyncio.sleep(0)


async def test_connections_of_a_venue_share_its_budget() -> None:
    """Two that are refused again and again: three attempts in ten seconds, together."""
    clock = HandClock()
    attempts: list[int] = []

    def refuse(*_: object, **__: object) -> NoReturn:
        attempts.append(clock.now_ns)
        raise ConnectionRefusedError

    library: Library = msgspec.structs.replace(load("websockets"), connect=refuse)
    pacer = ConnectPacer(ConnectBudget(count=3, seconds=10.0))
    protocols = [ScriptedProtocol("ws://venue.invalid/") for _ in range(2)]
    tasks = [
        asyncio.create_task(
            run_connection(
                protocol, clock, lambda: None,
                pacer=pacer, library=library, jitter=lambda: 0.0, sleep=clock.sleep,
            )
        )
        for protocol in protocols
    ]  # fmt: skip
    while len(attempts) < 12:
        await clock.wake_next()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    at_seconds = [(at_ns - attempts[0]) / NANOS_PER_SECOND for at_ns in attempts]
    assert at_seconds[:5] == [0.0, 0.0, 0.25, 10.0, 10.0]
    assert all(
        late - early >= 10.0 for early, late in zip(at_seconds, at_seconds[3:], strict=False)
    )
    assert all(protocol.counts["connects_paced"] for protocol in protocols)


async def test_session_that_is_called_back_while_it_opens_is_not_begun() -> None:
    """It became the spare meanwhile: the socket is closed, the protocol hears nothing of it."""
    protocol = ScriptedProtocol("ws://venue.invalid/")
    closed = asyncio.Event()

    @asynccontextmanager
    async def connect(*_: object, **__: object) -> AsyncIterator[FailingSocket]:
        protocol.state = State.SPARE
        try:
            yield FailingSocket(None, lambda: None)
        finally:
            closed.set()

    library: Library = msgspec.structs.replace(load("websockets"), connect=connect)
    task = asyncio.create_task(
        run_connection(protocol, SystemClock(), lambda: None, library=library, jitter=lambda: 0.0)
    )
    async with asyncio.timeout(5.0):
        await closed.wait()
    task.cancel()
    await asyncio.wait([task])

    assert protocol.log == []
    assert protocol.state is State.SPARE
    assert protocol.counts["reconnects.handed_over"] == 1
