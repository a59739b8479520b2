"""The simulated venue over real sockets, against a plain websocket client."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fakes.impatient import leave_in_the_handshake
from volgauge.simulator.server import MAX_CONNECTIONS, Simulator, SimulatorOptions, serve
from volgauge.simulator.session import Timing

QUICK = Timing(idle=0.4, grace=0.4, least_interval=0.2)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A small venue with short time limits."""
    options = SimulatorOptions(currencies=("BTC",), rate=2_000.0, timing=QUICK)
    async with Simulator(options) as running:
        yield running


def request(method: str, number: int = 1, **params: object) -> str:
    """One JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


async def reply(socket: ClientConnection, number: int = 1) -> dict[str, Any]:
    """The answer with this id; pushes before it are passed over."""
    async with asyncio.timeout(5.0):
        while True:
            frame = json.loads(await socket.recv())
            if frame.get("id") == number:
                return dict(frame)


async def closing(socket: ClientConnection) -> ConnectionClosed:
    """Read until the venue hangs up."""
    async with asyncio.timeout(5.0):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed


def option_channels(simulator: Simulator, count: int) -> list[str]:
    """Quote channels of the first options."""
    board = simulator.venue.source.boards[0]
    return [f"quote.{option.name}" for option in board.options[:count]]


async def test_quotes_flow_after_a_subscription(simulator: Simulator) -> None:
    """Ack, first quotes, then quotes as they change."""
    wanted = option_channels(simulator, 400)
    async with connect(simulator.ws_url, compression=None, max_queue=None) as socket:
        await socket.send(request("public/subscribe", channels=wanted))
        answer = await reply(socket)
        assert sorted(answer["result"]) == sorted(wanted)
        frames = [json.loads(await socket.recv()) for _ in range(600)]

    assert {frame["method"] for frame in frames} == {"subscription"}
    assert len({frame["params"]["channel"] for frame in frames}) == 400


async def test_compressed_stream_carries_the_same(simulator: Simulator) -> None:
    """permessage-deflate is taken when offered, and every frame is whole."""
    async with connect(simulator.ws_url, compression="deflate", max_queue=None) as socket:
        await socket.send(request("public/subscribe", channels=option_channels(simulator, 400)))
        await reply(socket)
        names = [extension.name for extension in socket.protocol.extensions]
        frames = [json.loads(await socket.recv()) for _ in range(800)]

    assert names == ["permessage-deflate"]
    assert all("best_ask_price" in frame["params"]["data"] for frame in frames)


async def test_errors_without_id_leave_the_connection_open(simulator: Simulator) -> None:
    """Invalid JSON and an oversized request are answered; the next request works."""
    async with connect(simulator.ws_url, max_queue=None) as socket:
        await socket.send("{nope")
        first = json.loads(await socket.recv())
        await socket.send("[" + "1," * 20_000 + "1]")
        second = json.loads(await socket.recv())
        await socket.send(request("public/test", 3))
        third = await reply(socket, 3)

    assert (first["error"]["code"], second["error"]["code"]) == (11050, -32600)
    assert "id" not in first
    assert "id" not in second
    assert third["result"] == {"version": "1.2.26"}


async def test_unanswered_test_request_closes_with_4000(simulator: Simulator) -> None:
    """The close frame says 4000 `heartbeat close`."""
    async with connect(simulator.ws_url, max_queue=None) as socket:
        await socket.send(request("public/set_heartbeat", interval=0.2))
        closed = await closing(socket)

    assert closed.rcvd is not None
    assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "heartbeat close")


async def test_idle_connection_is_cut(simulator: Simulator) -> None:
    """No subscription, no heartbeat: gone without a close frame."""
    async with connect(simulator.ws_url, max_queue=None) as socket:
        closed = await closing(socket)

    assert closed.rcvd is None


async def test_exhausted_credits_close_the_connection(simulator: Simulator) -> None:
    """10028, then the end."""
    codes = []
    async with connect(simulator.ws_url, max_queue=None) as socket:
        for number in range(1, 15):
            await socket.send(request("public/subscribe", number, channels=["platform_state"]))
        try:
            while True:
                frame = json.loads(await asyncio.wait_for(socket.recv(), 5.0))
                codes.append(frame.get("error", {}).get("code"))
        except ConnectionClosed:
            pass

    assert 10028 in codes


async def test_33rd_connection_is_refused(simulator: Simulator) -> None:
    """HTTP 429 at the handshake."""
    # All at once: a slow machine must not see the first one end before the last one begins.
    sockets = await asyncio.gather(
        *(connect(simulator.ws_url, compression=None) for _ in range(MAX_CONNECTIONS))
    )
    with pytest.raises(InvalidStatus) as refused:
        await connect(simulator.ws_url)
    for socket in sockets:
        await socket.close()

    assert refused.value.response.status_code == 429


async def test_clients_that_leave_in_the_handshake_leave_no_trace(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in the log, and the next client is served."""
    await leave_in_the_handshake(simulator.ws_url, 30)

    assert caplog.records == []
    async with connect(simulator.ws_url) as socket:
        await socket.send(request("public/test"))
        assert "result" in await reply(socket)


async def test_subscriptions_do_not_survive_a_reconnect(simulator: Simulator) -> None:
    """A new connection hears nothing until it subscribes."""
    channels = option_channels(simulator, 100)
    async with connect(simulator.ws_url, max_queue=None) as socket:
        await socket.send(request("public/subscribe", channels=channels))
        await reply(socket)
    async with connect(simulator.ws_url, max_queue=None) as socket:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.25)


async def test_protocol_ping_is_answered(simulator: Simulator) -> None:
    """A websocket ping gets its pong."""
    async with connect(simulator.ws_url, max_queue=None) as socket:
        latency = await asyncio.wait_for(await socket.ping(), 2.0)

    assert latency < 2.0


async def test_rest_speaks_like_the_venue(simulator: Simulator) -> None:
    """200 with stamps for a good call, 400 with the error body for a bad one, POST as well."""
    async with aiohttp.ClientSession() as http:
        good = await http.get(
            f"{simulator.rest_url}/public/get_instruments?currency=BTC&kind=option"
        )
        bad = await http.get(f"{simulator.rest_url}/public/ticker?instrument_name=BTC-NOTAREAL")
        body = {"jsonrpc": "2.0", "id": 9, "method": "x", "params": {"index_name": "btc_usd"}}
        posted = await http.post(f"{simulator.rest_url}/public/get_index_price", json=body)
        rows, error, price = await good.json(), await bad.json(), await posted.json()

    assert (good.status, bad.status, posted.status) == (200, 400, 200)
    assert len(rows["result"]) == len(simulator.venue.source.boards[0].options)
    assert {"usIn", "usOut", "usDiff", "testnet"} <= set(rows)
    assert error["error"]["data"] == {"param": "instrument_name", "reason": "wrong format"}
    assert price["id"] == 9
    assert price["result"]["index_price"] > 0


async def test_rest_is_rate_limited(simulator: Simulator) -> None:
    """get_instruments: burst of 50, then HTTP 429 with 10028."""
    async with aiohttp.ClientSession() as http:
        statuses = []
        for _ in range(55):
            url = f"{simulator.rest_url}/public/get_instruments?currency=USDT"
            async with http.get(url) as answer:
                statuses.append(answer.status)

    assert statuses[:5] == [200] * 5
    assert statuses[-1] == 429


async def test_volatility_index_history_joins_the_present(simulator: Simulator) -> None:
    """Hourly candles of the past 30 days end at the value of now."""
    end = time.time_ns() // 10**6
    start = end - 30 * 86_400_000
    query = f"currency=BTC&start_timestamp={start}&end_timestamp={end}&resolution=3600"
    async with aiohttp.ClientSession() as http:
        url = f"{simulator.rest_url}/public/get_volatility_index_data?{query}"
        async with http.get(url) as answer:
            data = (await answer.json())["result"]["data"]

    assert len(data) == pytest.approx(720, abs=2)
    assert data[-1][4] == pytest.approx(simulator.venue.source.boards[0].vol_index, abs=2.0)


async def test_serve_says_where_it_listens() -> None:
    """`serve` calls back with both addresses and ends when cancelled."""
    said: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
    options = SimulatorOptions(currencies=("TRX",))
    task = asyncio.create_task(
        serve(options, lambda ws, rest: said.set_result((ws, rest))), name="serve"
    )
    ws_url, rest_url = await asyncio.wait_for(said, 5.0)
    async with connect(ws_url) as socket:
        await socket.send(request("public/get_time"))
        answer = await reply(socket)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert rest_url.endswith("/api/v2")
    assert answer["result"] == pytest.approx(time.time() * 1e3, abs=5_000)


async def test_same_seed_and_start_give_the_same_frames() -> None:
    """The stream of a fixed start is the same on every run, stamps included."""
    runs = []
    for _ in range(2):
        options = SimulatorOptions(
            currencies=("TRX",), rate=3_000.0, start_ns=1_784_116_800_000_000_000,
            lag_limit_seconds=60.0,
        )  # fmt: skip
        async with (
            Simulator(options) as simulator,
            connect(simulator.ws_url, compression=None, max_queue=None) as socket,
        ):
            channels = option_channels(simulator, 500)
            await socket.send(request("public/subscribe", channels=channels))
            frames: dict[int, list[Any]] = {}
            async with asyncio.timeout(30.0):
                while not frames or max(frames) < 1_784_116_801_900:
                    frame = json.loads(await socket.recv())
                    if "params" in frame:
                        data = frame["params"]["data"]
                        frames.setdefault(data["timestamp"], []).append(data)
            runs.append(frames)
    window = range(1_784_116_801_500, 1_784_116_801_850)

    first, second = ({t: run[t] for t in window if t in run} for run in runs)

    assert len(first) > 30
    assert first == second


async def test_throughput_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """50,000 updates/s are asked for; what arrives is reported, that they are whole is checked."""
    async with Simulator(SimulatorOptions(rate=50_000.0)) as simulator:
        names = [f"quote.{option.name}" for board in simulator.venue.source.boards
                 for option in board.options]  # fmt: skip
        async with connect(simulator.ws_url, compression=None, max_queue=None) as socket:
            for first in range(0, len(names), 400):
                await socket.send(
                    request("public/subscribe", first, channels=names[first : first + 400])
                )
            began, cpu, count = time.perf_counter(), time.process_time(), 0
            while time.perf_counter() - began < 2.0:
                await socket.recv(decode=False)
                count += 1
        used = time.process_time() - cpu
    with capsys.disabled():
        print(  # noqa: T201 - a figure to read, not a gate
            f"\nsimulator: {count / 2.0:,.0f} frames/s to one plain client in the same process, "
            f"{used / 2.0:.0%} of a core, {simulator.skipped_seconds:.2f} s skipped"
        )

    assert count > 5_000
