"""The socket pump against a venue on loopback that drops, garbles, stalls and floods."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from fakes.scripted import ScriptedProtocol, pumped
from volgauge.wire.recorder import Recorder
from volgauge.wire.replay import read_recording
from volgauge.wire.sockets import Library, load, load_fastest

LIBRARIES = ["websockets", "picows.websockets"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    """Each client library: the pump must behave the same over both."""
    pytest.importorskip(request.param)
    return load(request.param)


async def idle(connection: ServerConnection) -> None:
    """Stay until the client leaves."""
    await connection.wait_closed()


def test_fastest_library_is_the_compiled_one_where_it_is_installed() -> None:
    """The one import switch."""
    pytest.importorskip("picows.websockets")

    assert load_fastest().name == "picows.websockets"


async def test_session_greets_and_delivers_in_order(library: Library) -> None:
    """Start, what the protocol wants said, then frames as bytes whatever their type."""
    heard: list[object] = []

    async def script(connection: ServerConnection, _: int) -> None:
        heard.append(await connection.recv())
        await connection.send("one")
        await connection.send(b"two")
        await connection.send("!answer")
        heard.append(await connection.recv())
        await idle(connection)

    async with pumped(script, library) as run:
        await run.until(lambda: len(heard) == 2)

    assert heard == ["hello", "answer"]
    assert run.protocol.frames == [b"one", b"two"]


async def test_burst_is_applied_whole_before_its_flush(library: Library) -> None:
    """Two hundred frames in one packet: a handful of flushes, the last one has them all."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.recv()
        for number in range(200):
            await connection.send(f"frame {number}")
        await idle(connection)

    async with pumped(script, library, compression=None) as run:
        await run.until(lambda: run.flushes and run.flushes[-1] == 200)

    assert len(run.flushes) < 60
    assert run.protocol.counts["frames"] == 200


async def test_flood_does_not_starve_the_flush(library: Library) -> None:
    """A venue that never pauses: others get a turn at least every 1,024 frames."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.recv()
        blob = [f"frame {number}" for number in range(20_000)]
        for text in blob:
            await connection.send(text)
        await idle(connection)

    async with pumped(script, library, compression=None) as run:
        await run.until(lambda: run.flushes and run.flushes[-1] == 20_000)

    steps = [b - a for a, b in zip([0, *run.flushes], run.flushes, strict=False)]
    assert max(steps) <= 1_024


@pytest.mark.parametrize(
    ("code", "reason"),
    [(4000, "heartbeat"), (1001, "closed"), (1012, "restart"), (1008, "closed_other")],
)
async def test_close_codes_are_named_and_the_socket_is_opened_anew(
    library: Library, code: int, reason: str
) -> None:
    """Every end of a session is told to the protocol, counted, and followed by another."""

    async def script(connection: ServerConnection, number: int) -> None:
        await connection.send(f"session {number}")
        await connection.recv()
        await connection.close(code, "as told")

    async with pumped(script, library) as run:
        await run.until(lambda: len(run.protocol.reasons) >= 2)

    assert set(run.protocol.reasons) - {"cancelled"} == {reason}
    assert run.protocol.counts[f"reconnects.{reason}"] >= 2
    assert run.protocol.frames[:2] == [b"session 0", b"session 1"]


async def test_connection_cut_without_a_close_frame_is_lost(library: Library) -> None:
    """A reset in the middle of a session."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("data")
        await connection.recv()
        connection.transport.abort()

    async with pumped(script, library) as run:
        await run.until(lambda: len(run.protocol.reasons) >= 2)

    assert run.protocol.reasons[0] == "lost"


@pytest.mark.parametrize("compression", [None, "deflate"], ids=["plain", "deflate"])
async def test_frame_over_the_limit_ends_the_session(
    library: Library, compression: str | None
) -> None:
    """10,001 bytes against a limit of 10,000; compressed to a few dozen it is as long."""

    async def script(connection: ServerConnection, number: int) -> None:
        if number == 0:
            await connection.send("x" * 10_000)
            await connection.send("x" * 10_001)
        else:
            await connection.send("after")
        await idle(connection)

    async with pumped(script, library, compression=compression) as run:
        await run.until(lambda: b"after" in run.protocol.frames)

    assert run.protocol.frames == [b"x" * 10_000, b"after"]
    assert run.protocol.reasons[0] == "too_large"


async def test_deflated_frames_arrive_whole(library: Library) -> None:
    """permessage-deflate is offered when the settings say so, and only then."""
    offered: list[str] = []

    async def script(connection: ServerConnection, _: int) -> None:
        assert connection.request is not None
        offered.append(connection.request.headers.get("Sec-WebSocket-Extensions", ""))
        for _ in range(3):
            await connection.send('{"a":1}' * 300)
        await idle(connection)

    async with pumped(script, library) as run:
        await run.until(lambda: len(run.protocol.frames) == 3)
    plain = ScriptedProtocol()
    plain.compression = False
    async with pumped(script, library, protocol=plain) as other:
        await other.until(lambda: len(plain.frames) == 3)

    assert run.protocol.frames == plain.frames == [b'{"a":1}' * 300] * 3
    assert "permessage-deflate" in offered[0]
    assert "permessage-deflate" not in offered[1]


async def test_broken_schema_ends_the_session_and_not_the_service(library: Library) -> None:
    """A protocol violation: the socket is closed by us and opened anew."""

    async def script(connection: ServerConnection, number: int) -> None:
        await connection.send("!violation" if number == 0 else "well")
        await idle(connection)

    async with pumped(script, library) as run:
        await run.until(lambda: run.protocol.frames == [b"well"])

    assert run.protocol.reasons[0] == "protocol_violation"


async def test_silence_is_noticed_by_the_protocols_own_deadline(library: Library) -> None:
    """The socket lives, nothing comes."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("data")
        await idle(connection)

    protocol = ScriptedProtocol(stale_seconds=0.2)
    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: len(protocol.reasons) >= 2)

    assert protocol.reasons[:2] == ["feed_stale", "feed_stale"]


async def test_venue_that_does_not_answer_our_close_is_left(library: Library) -> None:
    """It reads nothing any more: we leave after a moment."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("!violation")
        connection.transport.pause_reading()
        await asyncio.sleep(1.0)

    async with pumped(script, library, close_timeout=0.1) as run:
        await run.until(lambda: len(run.protocol.reasons) >= 2)

    assert run.protocol.reasons[:2] == ["protocol_violation", "protocol_violation"]


async def test_waits_double_until_data_come(library: Library) -> None:
    """A venue that accepts and says nothing is not well; one frame of data resets the wait."""

    async def script(connection: ServerConnection, number: int) -> None:
        await connection.recv()
        if number == 4:
            await connection.send("data")
        await connection.close(1001)

    async with pumped(script, library) as run:
        await run.until(lambda: len(run.waits) >= 7)

    assert run.waits[:7] == [0.5, 1.0, 2.0, 4.0, 0.5, 1.0, 2.0]


async def test_limited_client_waits_as_long_as_it_is_told(library: Library) -> None:
    """The frame that says so, and HTTP 429 at the handshake."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("!limited")
        await idle(connection)

    async with pumped(script, library) as run:
        await run.until(lambda: run.waits)
    assert run.waits[0] >= 7.0

    def refuse(connection: ServerConnection, request: Request) -> Response:
        del request
        return connection.respond(429, "slow down")

    async with pumped(script, library, process_request=refuse) as run:
        await run.until(lambda: run.waits)
    assert run.waits[0] >= 30.0
    assert run.protocol.counts["reconnects.rate_limited"] >= 1
    assert run.protocol.log == []


@pytest.fixture
async def raw_server() -> AsyncIterator[str]:
    """A server that answers the handshake with something else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await server.wait_closed()


async def test_server_that_is_no_websocket_is_retried(library: Library, raw_server: str) -> None:
    """The handshake fails; nothing was started, so nothing is told to the protocol."""
    protocol = ScriptedProtocol(raw_server)

    async def script(connection: ServerConnection, _: int) -> None:
        await idle(connection)

    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: len(run.waits) >= 2)

    assert protocol.counts["reconnects.handshake"] >= 2
    assert protocol.log == []


async def test_no_tls_is_no_reason_to_go_without(library: Library) -> None:
    """A secure address that answers in the clear is left; nothing is ever said to it."""
    heard = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += b"GET " in await reader.read(1_000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    protocol = ScriptedProtocol(f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    async def script(connection: ServerConnection, _: int) -> None:
        await idle(connection)

    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: len(run.waits) >= 2)
    server.close()

    assert protocol.counts["reconnects.tls"] >= 2
    assert heard == 0


async def test_closed_port_is_retried(library: Library) -> None:
    """Nobody listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        protocol = ScriptedProtocol(f"ws://127.0.0.1:{held.getsockname()[1]}/")

        async def script(connection: ServerConnection, _: int) -> None:
            await idle(connection)

        async with pumped(script, library, protocol=protocol) as run:
            await run.until(lambda: len(run.waits) >= 2)

    assert protocol.counts["reconnects.refused"] >= 2


async def test_unknown_host_is_retried(library: Library) -> None:
    """A name that cannot exist."""
    protocol = ScriptedProtocol("ws://venue.invalid/")

    async def script(connection: ServerConnection, _: int) -> None:
        await idle(connection)

    async with pumped(script, library, protocol=protocol) as run:
        await run.until(lambda: len(run.waits) >= 1)

    assert protocol.counts["reconnects.dns"] >= 1


async def test_mistake_of_ours_is_raised(library: Library) -> None:
    """A bug in a protocol must not look like bad weather."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("!bug")
        await idle(connection)

    async with pumped(script, library) as run:
        await asyncio.wait([run.task], timeout=5.0)

    with pytest.raises(ZeroDivisionError):
        run.task.result()


async def test_mistake_in_the_flush_is_raised(library: Library) -> None:
    """What runs between two frames is not lost in the event loop."""

    def broken() -> None:
        raise ZeroDivisionError

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.recv()
        await connection.send("data")
        await idle(connection)

    async with pumped(script, library) as run:
        run.then = broken
        await asyncio.wait([run.task], timeout=5.0)

    with pytest.raises(ZeroDivisionError):
        run.task.result()


async def test_cancelled_session_is_told_as_an_end(library: Library) -> None:
    """Whoever reads the book after us must not take it for alive."""

    async def script(connection: ServerConnection, _: int) -> None:
        await connection.send("data")
        await idle(connection)

    async with pumped(script, library) as run:
        await run.until(lambda: run.protocol.frames)

    assert run.task.cancelled()
    assert run.protocol.reasons == ["cancelled"]


async def test_recorder_gets_every_frame_and_every_end(library: Library, tmp_path: Path) -> None:
    """As they came, before they are decoded: also the one that breaks the protocol."""
    recorder = Recorder(tmp_path)

    async def script(connection: ServerConnection, number: int) -> None:
        await connection.send(f"session {number}")
        await connection.send("!violation")
        await idle(connection)

    async with pumped(script, library, recorder=recorder) as run:
        await run.until(lambda: len(run.protocol.reasons) >= 2)
    await recorder.write()

    frames = [recorded.frame for recorded in read_recording(tmp_path)]
    assert frames[:6] == [b"session 0", b"!violation", None, b"session 1", b"!violation", None]
