"""The socket pump over a client library that does what a test says, at the step it says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from fakes.scripted import ScriptedProtocol
from volgauge.clock import SystemClock
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
