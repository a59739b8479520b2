"""Deribit's websocket over our index, with a client library that knows nothing of us."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fakes.dropin_lab import HEADLINE, START, Lab, flat, record_now, serve_dropin
from fakes.impatient import leave_in_the_handshake
from volgauge.domain.index import Status
from volgauge.publish import dropin, dropin_session

CHANNEL = "deribit_volatility_index.btc_usd"
WAIT_SECONDS = 20.0


async def call(
    client: ClientConnection, method: str, params: dict[str, Any] | None = None, number: int = 1
) -> dict[str, Any]:
    """Send a request and wait for its answer; notifications in between are skipped."""
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
    await client.send(json.dumps(request))
    while True:
        answer = await receive(client)
        if "method" not in answer:
            return answer


async def receive(client: ClientConnection) -> dict[str, Any]:
    """The next message."""
    async with asyncio.timeout(WAIT_SECONDS):
        answer: dict[str, Any] = json.loads(await client.recv())
        return answer


async def collect(client: ClientConnection, messages: list[dict[str, Any]]) -> None:
    """Keep every message until the connection ends."""
    while True:
        messages.append(await receive(client))


async def publish(lab: Lab, values: list[float | None], pause: float = 0.1) -> None:
    """Offer records like an engine does."""
    for value in values:
        lab.hub.offer(record_now(value))
        await asyncio.sleep(pause)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Poll with a deadline."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


async def test_a_session_as_a_dvol_client_has_it(tmp_path: Path) -> None:
    """Hello, heartbeat, subscribe with an unknown channel among them, a value, unsubscribe."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        hello = await call(client, "public/hello", {"client_name": "a", "client_version": "1"})
        heartbeat = await call(client, "public/set_heartbeat", {"interval": 10}, 2)
        channels = [CHANNEL, "ticker.BTC-PERPETUAL.raw"]
        ack = await call(client, "public/subscribe", {"channels": channels}, 3)
        lab.hub.offer(record_now(52.5))
        message = await receive(client)
        gone = await call(client, "public/unsubscribe", {"channels": channels}, 4)
        nothing = await call(client, "public/unsubscribe_all", {}, 5)

    assert isinstance(hello["result"]["version"], str)
    assert (heartbeat["id"], heartbeat["result"]) == (2, "ok")
    assert (ack["id"], ack["result"], ack["testnet"]) == (3, [CHANNEL], True)
    assert message["params"]["channel"] == CHANNEL
    assert message["params"]["data"]["volatility"] == 52.5
    assert (gone["result"], nothing["result"]) == ([CHANNEL], "ok")


async def test_the_recorded_notification_has_the_same_form(tmp_path: Path, test_data: Path) -> None:
    """Same keys, same kinds of values, at every level."""
    path = test_data / "wire/deribit/nautilus/ws_volatility_index.json"
    recorded = json.loads(path.read_text())
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await call(client, "public/subscribe", {"channels": [CHANNEL]})
        lab.hub.offer(record_now(52.5))
        message = await receive(client)

    assert kinds(message) == kinds(recorded)


async def test_values_come_at_most_once_a_second(tmp_path: Path) -> None:
    """However often the index is published; the newest value, its own time."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await call(client, "public/subscribe", {"channels": [CHANNEL]})
        task = asyncio.create_task(publish(lab, [float(n) for n in range(60)], 0.05))
        started = time.monotonic()
        messages = [await receive(client) for _ in range(3)]
        passed = time.monotonic() - started
        await task

    times = [one["params"]["data"]["timestamp"] for one in messages]
    assert times == sorted(set(times))
    assert passed > 1.5
    assert len({one["params"]["data"]["volatility"] for one in messages}) == 3


async def test_a_stale_index_is_silent_and_speaks_again(tmp_path: Path) -> None:
    """A held value and a null give nothing; the next good one does."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await call(client, "public/subscribe", {"channels": [CHANNEL]})
        for record in (record_now(50.0, status=Status.STALE), record_now(None)):
            lab.hub.offer(record)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.recv(), 1.3)
        lab.hub.offer(record_now(51.0))
        message = await receive(client)

    assert message["params"]["data"]["volatility"] == 51.0


async def test_candles_over_the_socket_are_those_over_http(tmp_path: Path) -> None:
    """One method, two ways."""
    params = {
        "currency": "BTC",
        "start_timestamp": START * 1000,
        "end_timestamp": (START + 600) * 1000,
        "resolution": "60",
    }
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(5, seconds=60)})
        answer = await call(client, "public/get_volatility_index_data", params)
        query = "&".join(f"{name}={value}" for name, value in params.items())
        _, body = await lab.get(f"/api/v2/public/get_volatility_index_data?{query}")

    assert len(answer["result"]["data"]) == 5
    assert answer["result"] == json.loads(body)["result"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", -32700),
        (b"\xff", -32700),
        ("[]", -32600),
        ("1", -32600),
        ('{"jsonrpc":"2.0","id":1}', -32600),
        ('{"jsonrpc":"2.0","id":1,"method":"public/nonsense"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"private/subscribe"}', -32601),
        ('{"jsonrpc":"2.0","id":1,"method":"public/subscribe"}', -32602),
        (
            '{"jsonrpc":"2.0","id":1,"method":"public/set_heartbeat","params":{"interval":1}}',
            -32602,
        ),
        (
            '{"jsonrpc":"2.0","id":1,"method":"public/test","params":{"expected_result":"exception"}}',
            11050,
        ),
        ("x" * 40_000, -32600),
    ],
    ids=lambda case: str(case)[:40],
)
async def test_a_bad_frame_is_answered_and_the_session_goes_on(
    tmp_path: Path, frame: str | bytes, code: int
) -> None:
    """A typed error; the next request is served."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await client.send(frame)
        refused = await receive(client)
        served = await call(client, "public/test")

    assert refused["error"]["code"] == code
    assert "version" in served["result"]


async def test_a_frame_beyond_all_limits_ends_the_session(tmp_path: Path) -> None:
    """1009, message too big, from the protocol itself."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await client.send("x" * 500_000)
        with pytest.raises(ConnectionClosed) as caught:
            await receive(client)

    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


async def test_a_flood_of_requests_ends_the_session(tmp_path: Path) -> None:
    """10028 too_many_requests, then closed; another client is served meanwhile."""
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        for number in range(round(dropin_session.CREDITS) * 3):
            await client.send(
                json.dumps({"jsonrpc": "2.0", "id": number, "method": "public/get_time"})
            )
        answers: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as caught:
            await collect(client, answers)
        async with connect(lab.socket_url) as other:
            served = await call(other, "public/test")

    assert answers[-1]["error"] == {"code": 10028, "message": "too_many_requests"}
    assert all("result" in one for one in answers[:-1])
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1008
    assert "version" in served["result"]


async def test_who_does_not_answer_a_heartbeat_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue's code 4000; its ten seconds are two here."""
    monkeypatch.setattr(dropin_session, "ANSWER_SECONDS", 2)
    monkeypatch.setattr("volgauge.publish.dropin_params.MIN_HEARTBEAT_SECONDS", 1)
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as client:
        await call(client, "public/set_heartbeat", {"interval": 1})
        seen: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as caught:
            await collect(client, seen)

    assert {"type": "test_request"} in [one["params"] for one in seen]
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "heartbeat close")


async def test_a_slow_reader_is_dropped_and_nobody_waits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """It asks for megabytes and reads nothing: cut off, while another gets its second's value."""
    monkeypatch.setattr(dropin, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(dropin_session, "CREDITS", 1e6)
    question = json.dumps(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "public/get_volatility_index_data",
            "params": {
                "currency": "BTC",
                "start_timestamp": START * 1000,
                "end_timestamp": (START + 60_000) * 1000,
                "resolution": "60",
            },
        }
    )
    async with serve_dropin(tmp_path) as lab, connect(lab.socket_url) as good:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(1000, seconds=60)})
        await call(good, "public/subscribe", {"channels": [CHANNEL]})
        slow_socket = socket.socket()
        slow_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow_socket.connect(("127.0.0.1", int(lab.url.rpartition(":")[2])))
        slow = await connect(lab.socket_url, sock=slow_socket, max_queue=1, ping_interval=None)
        slow.transport.pause_reading()
        for _ in range(200):
            await slow.send(question)
        arrived: list[float] = []
        deadline = time.monotonic() + WAIT_SECONDS
        while lab.drop_in.stats.clients_dropped == 0 or len(arrived) < 3:
            assert time.monotonic() < deadline, "the slow reader was not dropped"
            lab.hub.offer(record_now(50.0 + len(arrived)))
            await receive(good)
            arrived.append(time.monotonic())
        await until(lambda: lab.drop_in.stats.client_count == 1, "the slow session stays")
        slow.transport.abort()
    pauses = [after - before for before, after in pairwise(arrived)]
    record_property("measured", f"longest pause of a good reader {max(pauses):.2f} s")

    assert lab.drop_in.stats.clients_dropped == 1
    assert max(pauses) < 5.0


async def test_one_client_too_many_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with the server's typed body; when one leaves there is room."""
    monkeypatch.setattr(dropin, "MAX_CLIENTS", 2)
    async with serve_dropin(tmp_path) as lab:
        async with connect(lab.socket_url), connect(lab.socket_url):
            with pytest.raises(InvalidStatus) as caught:
                await connect(lab.socket_url)
        await until(lambda: lab.drop_in.stats.client_count == 0, "clients stay")
        async with connect(lab.socket_url) as client:
            served = await call(client, "public/test")

    assert caught.value.response.status_code == 503
    assert b"too_many_streams" in (caught.value.response.body or b"")
    assert lab.drop_in.stats.clients_refused == 1
    assert "version" in served["result"]


async def test_clients_that_leave_in_the_handshake_leave_no_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing in the log, nobody counted, and the next client is served."""
    async with serve_dropin(tmp_path) as lab:
        await leave_in_the_handshake(lab.socket_url, 30)

        assert caplog.records == []
        assert lab.drop_in.stats.client_count == 0
        async with connect(lab.socket_url) as client:
            assert "result" in await call(client, "public/test")


@pytest.mark.parametrize(("any_origin", "expected"), [(False, 403), (True, 101)])
async def test_a_foreign_page_may_not_connect(
    tmp_path: Path, any_origin: bool, expected: int
) -> None:
    """Unless the service is meant to be public; our own page may."""
    async with serve_dropin(tmp_path, any_origin=any_origin) as lab:
        try:
            async with connect(lab.socket_url, origin="http://evil.example"):  # type: ignore[arg-type]  # a NewType
                status = 101
        except InvalidStatus as refusal:
            status = refusal.response.status_code
        async with connect(lab.socket_url, origin=lab.url) as own:  # type: ignore[arg-type]  # a NewType
            served = await call(own, "public/test")

    assert status == expected
    assert "version" in served["result"]


async def test_a_plain_request_to_the_socket_is_typed(tmp_path: Path) -> None:
    """No handshake: 400 with the server's body."""
    async with serve_dropin(tmp_path) as lab:
        status, body = await lab.get("/ws/api/v2")

    assert status == 400
    assert json.loads(body)["error"]["code"] == "websocket_expected"


async def test_a_server_that_stops_ends_its_sessions(tmp_path: Path) -> None:
    """Soon, and the client learns of it."""
    async with serve_dropin(tmp_path) as lab:
        client = await connect(lab.socket_url)
        await call(client, "public/subscribe", {"channels": [CHANNEL]})
        started = time.monotonic()
    passed = time.monotonic() - started
    with pytest.raises(ConnectionClosed):
        await receive(client)

    assert passed < 5.0


def kinds(value: object) -> object:
    """Keys and kinds of values."""
    if isinstance(value, dict):
        return {name: kinds(each) for name, each in value.items()}
    return type(value)
