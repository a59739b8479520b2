"""A spare connection stays closed until it is called, and is closed when another takes over."""

import asyncio

import pytest
from typing_extensions import override
from websockets.asyncio.server import ServerConnection

from fakes.scripted import ScriptedProtocol, pumped
from volgauge.adapters.base import State
from volgauge.wire.sockets import Library, load


@pytest.fixture(params=["websockets", "picows.websockets"])
def library(request: pytest.FixtureRequest) -> Library:
    """Each client library."""
    pytest.importorskip(request.param)
    return load(request.param)


async def test_spare_connection_waits_for_its_call(library: Library) -> None:
    """Nothing is opened before, everything is as usual after."""
    opened: list[int] = []

    async def script(connection: ServerConnection, number: int) -> None:
        opened.append(number)
        await connection.recv()
        await connection.send("data")
        await connection.wait_closed()

    protocol = ScriptedProtocol()
    protocol.state = State.SPARE
    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: len(run.waits) > 5)
        assert (opened, protocol.log) == ([], [])
        protocol.state = State.IDLE
        await run.until(lambda: protocol.frames)

    assert opened == [0]


class Steady(ScriptedProtocol):
    """Stays spare when its session ends."""

    @override
    def disconnected(self, now_ns: int, reason: str) -> None:
        """The end of a session."""
        was_spare = self.state is State.SPARE
        super().disconnected(now_ns, reason)
        if was_spare:
            self.state = State.SPARE


async def test_session_that_became_spare_is_left(library: Library) -> None:
    """Once, with its own reason; and it is not opened again until it is called again."""
    opened: list[int] = []

    async def script(connection: ServerConnection, number: int) -> None:
        opened.append(number)
        await connection.recv()
        await connection.send("data")
        await connection.wait_closed()

    protocol = Steady()
    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: protocol.frames)
        protocol.state = State.SPARE
        await run.until(lambda: protocol.reasons)
        await asyncio.sleep(0.1)
        assert protocol.reasons == ["handed_over"]
        assert protocol.counts["reconnects.handed_over"] == 1
        assert opened == [0]
        protocol.state = State.IDLE
        await run.until(lambda: len(opened) == 2)
