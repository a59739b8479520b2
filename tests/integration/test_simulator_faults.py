"""Injected faults as a client meets them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from volgauge.simulator.faults import Faults
from volgauge.simulator.server import Simulator, SimulatorOptions


@asynccontextmanager
async def faulty(faults: Faults) -> AsyncIterator[tuple[Simulator, ClientConnection]]:
    """A venue with faults, and a client that has subscribed to quotes and states."""
    options = SimulatorOptions(currencies=("BTC",), rate=4_000.0, faults=faults)
    async with (
        Simulator(options) as simulator,
        connect(simulator.ws_url, max_size=None, max_queue=None, ping_interval=None) as socket,
    ):
        board = simulator.venue.source.boards[0]
        channels = [f"quote.{option.name}" for option in board.options[:450]]
        params = {"channels": [*channels, "platform_state", "deribit_price_index.btc_usd"]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": params}
        await socket.send(json.dumps(body))
        yield simulator, socket


async def collect(socket: ClientConnection, seconds: float) -> list[str | bytes]:
    """Everything that comes within a time; a closed connection ends it."""
    frames: list[str | bytes] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                frames.append(await socket.recv())
    except (TimeoutError, ConnectionClosed):
        return frames


def parsed(frames: list[str | bytes]) -> list[dict[str, Any]]:
    """The frames that are JSON."""
    found = []
    for frame in frames:
        try:
            found.append(json.loads(frame))
        except ValueError:
            continue
    return found


async def test_garbled_and_truncated_frames_arrive() -> None:
    """Some frames are no JSON any more; most are."""
    async with faulty(Faults(garble=0.05, truncate=0.05)) as (_, socket):
        frames = await collect(socket, 0.6)

    broken = len(frames) - len(parsed(frames))
    assert len(frames) > 300
    assert 0.03 < broken / len(frames) < 0.2


async def test_binary_frames_arrive() -> None:
    """Some data frames are binary."""
    async with faulty(Faults(binary=0.2)) as (_, socket):
        frames = await collect(socket, 0.5)

    assert any(isinstance(frame, bytes) for frame in frames)


async def test_silent_venue_still_answers() -> None:
    """Data stops, requests and heartbeats go on."""
    async with faulty(Faults(silent_after_seconds=0.3)) as (_, socket):
        await collect(socket, 0.6)
        await socket.send('{"jsonrpc":"2.0","id":2,"method":"public/test","params":{}}')
        frames = parsed(await collect(socket, 0.4))

    assert [frame.get("id") for frame in frames] == [2]


async def test_half_open_connection_answers_nothing() -> None:
    """No data, no answer, no pong, no close."""
    async with faulty(Faults(half_open_after_seconds=0.3)) as (simulator, socket):
        await collect(socket, 0.6)
        pong = asyncio.ensure_future(await socket.ping())
        await socket.send('{"jsonrpc":"2.0","id":2,"method":"public/test","params":{}}')
        frames = await collect(socket, 0.4)
        still_open = simulator.connection_count

        assert frames == []
        assert not pong.done()
        assert still_open == 1
        simulator.faults = Faults()


@pytest.mark.parametrize(("code", "received"), [(1012, 1012), (4000, 4000), (1006, None)])
async def test_connections_end_with_the_chosen_code(code: int, received: int | None) -> None:
    """`disconnect_every` closes; 1006 sends no close frame."""
    async with faulty(Faults(disconnect_every_seconds=0.3, close_code=code)) as (_, socket):
        await collect(socket, 3.0)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()

    assert (closed.value.rcvd.code if closed.value.rcvd else None) == received


async def test_maintenance_is_announced_and_closes() -> None:
    """A `platform_state` frame, the end of the connection, 11051 over REST, then life again."""
    faults = Faults(maintenance_after_seconds=0.3, maintenance_seconds=1.5)
    async with faulty(faults) as (simulator, socket):
        frames = parsed(await collect(socket, 2.0))
        with pytest.raises(InvalidStatus):
            await connect(simulator.ws_url)
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{simulator.rest_url}/public/get_time") as answer:
                refused = (answer.status, (await answer.json())["error"]["code"])
            async with asyncio.timeout(5.0):
                while simulator.api.in_maintenance:  # noqa: ASYNC110 - no event in the server
                    await asyncio.sleep(0.05)
            async with http.get(f"{simulator.rest_url}/public/get_time") as answer:
                status = answer.status

    states = [f["params"]["data"] for f in frames
              if f.get("params", {}).get("channel") == "platform_state"]  # fmt: skip
    assert {"maintenance": True} in states
    assert refused == (503, 11051)
    assert status == 200


async def test_index_lock_is_announced_and_released() -> None:
    """locked:true, no index prices, locked:false."""
    async with faulty(Faults(lock_after_seconds=0.3, lock_seconds=1.0)) as (_, socket):
        frames = parsed(await collect(socket, 2.2))

    locks = [f["params"]["data"]["locked"] for f in frames
             if f.get("params", {}).get("channel") == "platform_state"]  # fmt: skip
    assert True in locks
    assert locks[-1] is False


async def test_oversized_frame_is_sent() -> None:
    """A client with a limit refuses it; this one has none and sees it."""
    faults = Faults(oversized_after_seconds=0.1, oversized_bytes=3_000_000)
    async with faulty(faults) as (_, socket):
        frames = await collect(socket, 1.0)

    assert max(len(frame) for frame in frames) > 3_000_000


async def test_refused_connections_get_503() -> None:
    """Nobody comes in."""
    async with faulty(Faults()) as (simulator, _):
        simulator.faults = Faults(refuse_connections=True)
        with pytest.raises(InvalidStatus) as refused:
            await connect(simulator.ws_url)

    assert refused.value.response.status_code == 503


async def test_faults_can_be_lifted_while_running() -> None:
    """Dropping everything, then nothing."""
    async with faulty(Faults(drop=1.0)) as (simulator, socket):
        nothing = parsed(await collect(socket, 0.3))
        simulator.faults = Faults()
        frames = await collect(socket, 0.4)

    assert [frame.get("id") for frame in nothing] == [1]
    assert len(frames) > 100
