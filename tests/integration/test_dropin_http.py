"""Deribit's HTTP method over our candles: pages, ranges, refusals, and the recorded bodies."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fakes.dropin_lab import CLOCK, DAY, HEADLINE, START, Lab, flat, record_now, serve_dropin
from volgauge.domain.index import Source

METHOD = "/api/v2/public/get_volatility_index_data"


def asked(start_s: int, end_s: int, resolution: str, currency: str = "BTC") -> str:
    """Path and query."""
    return (
        f"{METHOD}?currency={currency}&start_timestamp={start_s * 1000}"
        f"&end_timestamp={end_s * 1000}&resolution={resolution}"
    )


async def result(lab: Lab, path: str) -> dict[str, Any]:
    """The `result` of a good answer."""
    status, body = await lab.get(path)
    assert status == 200, body
    answer: dict[str, Any] = json.loads(body)
    return answer["result"]  # type: ignore[no-any-return]  # plain JSON


async def test_pages_lead_back_to_the_first_candle(tmp_path: Path) -> None:
    """By `continuation` as `end_timestamp`: every candle once, each page ascending, then null."""
    candles = flat(2500, seconds=60)
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): candles})
        end_s, pages = START + 2500 * 60, []
        while True:
            page = await result(lab, asked(START, end_s, "60"))
            pages.append(page["data"])
            if page["continuation"] is None:
                break
            end_s = page["continuation"] // 1000

    assert [len(page) for page in pages] == [1000, 1000, 500]
    rows = [row for page in reversed(pages) for row in page]
    assert rows == [[1000 * c.opened_s, c.open, c.high, c.low, c.close] for c in candles]


@pytest.mark.parametrize(("resolution", "seconds"), [("3600", 3600), ("43200", 43200), ("1D", DAY)])
async def test_every_resolution_of_the_venue_is_there(
    tmp_path: Path, resolution: str, seconds: int
) -> None:
    """Made of the minutes; both ends of the range belong to it."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(2 * 1440, seconds=60)})
        page = await result(lab, asked(START, START + seconds, resolution))

    assert [row[0] for row in page["data"]] == [1000 * START, 1000 * (START + seconds)]
    assert page["continuation"] is None


async def test_an_index_without_candles_has_an_empty_page(tmp_path: Path) -> None:
    """A known asset of which nothing is stored is no error, as at the venue."""
    async with serve_dropin(tmp_path) as lab:
        page = await result(lab, asked(START, START + DAY, "1", "ETH"))

    assert page == {"data": [], "continuation": None}


async def test_an_asset_is_known_once_it_has_an_index(tmp_path: Path) -> None:
    """Beside those that are configured."""
    async with serve_dropin(tmp_path) as lab:
        before, _ = await lab.get(asked(START, START + DAY, "60", "SOL"))
        lab.hub.offer(record_now(80.0, asset="SOL"))
        after, _ = await lab.get(asked(START, START + DAY, "60", "SOL"))

    assert (before, after) == (400, 200)


@pytest.mark.parametrize(
    ("path", "code", "param"),
    [
        (METHOD, -32602, "currency"),
        (f"{METHOD}?currency=BTC", -32602, "start_timestamp"),
        (asked(START, START + 60, "7"), -32602, "resolution"),
        (asked(START, START + 60, "60", "DOGE"), -32602, "currency"),
        (f"{METHOD}?currency=BTC&start_timestamp=x", -32602, "start_timestamp"),
        (f"{METHOD}?currency=BTC&start_timestamp=1&end_timestamp=%00", -32602, "end_timestamp"),
        ("/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL", -32601, None),
        ("/api/v2/public/subscribe", -32601, None),
        ("/api/v2/public/%F0%9F%92%A5", -32601, None),
    ],
)
async def test_a_refusal_has_the_venues_body(
    tmp_path: Path, path: str, code: int, param: str | None
) -> None:
    """HTTP 400, the code, and which parameter it is."""
    async with serve_dropin(tmp_path) as lab:
        status, body = await lab.get(path)
    error = json.loads(body)["error"]

    assert (status, error["code"]) == (400, code)
    assert error.get("data", {}).get("param") == param


async def test_the_recorded_refusal_of_the_venue_has_the_same_form(
    tmp_path: Path, test_data: Path
) -> None:
    """Field by field: kinds of values, nesting, status and code of a refused parameter."""
    [line] = (
        (test_data / "wire/deribit/errors/zenhive_error_bad_symbol.json").read_text().splitlines()
    )
    recorded = json.loads(line)
    async with serve_dropin(tmp_path) as lab:
        status, body = await lab.get(asked(START, START, "60", "DOGE"))

    assert status == recorded["http_status"]
    assert shape(json.loads(body)) == shape(recorded["body"])
    assert json.loads(body)["error"]["code"] == recorded["body"]["error"]["code"]
    assert json.loads(body)["error"]["message"] == recorded["body"]["error"]["message"]


async def test_without_a_history_the_answer_says_so(tmp_path: Path) -> None:
    """No empty page that looks like a quiet market."""
    async with serve_dropin(tmp_path, with_history=False) as lab:
        status, body = await lab.get(asked(START, START + 60, "60"))
    error = json.loads(body)["error"]

    assert (status, error["code"]) == (400, 13020)
    assert "history.path" in error["data"]["reason"]


@pytest.mark.parametrize("path", ["/api/v2", METHOD])
async def test_a_posted_request_is_answered_with_its_id(tmp_path: Path, path: str) -> None:
    """To the endpoint or to the method's own address."""
    params = {
        "currency": "BTC",
        "start_timestamp": START * 1000,
        "end_timestamp": (START + 60) * 1000,
        "resolution": "60",
    }
    call = {
        "jsonrpc": "2.0",
        "id": 833,
        "method": "public/get_volatility_index_data",
        "params": params,
    }
    async with serve_dropin(tmp_path) as lab, ClientSession() as client:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(2, seconds=60)})
        async with client.post(f"{lab.url}{path}", json=call) as response:
            answer = await response.json()

    assert (answer["id"], len(answer["result"]["data"])) == (833, 2)


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/api/v2", b"{", 400, -32700),
        ("/api/v2", b"", 400, -32700),
        ("/api/v2", b"[]", 400, -32600),
        ("/api/v2", b'{"jsonrpc":"2.0","id":1,"method":"private/buy"}', 400, -32601),
        (METHOD, b'{"jsonrpc":"2.0","id":1,"method":"public/test"}', 400, -32601),
        ("/api/v2", b" " * 40_000, 400, -32600),
    ],
    ids=["half", "empty", "batch", "private", "other method", "long"],
)
async def test_a_strange_body_is_refused(
    tmp_path: Path, path: str, body: bytes, status: int, code: int
) -> None:
    """With JSON-RPC's codes."""
    async with (
        serve_dropin(tmp_path) as lab,
        ClientSession() as client,
        client.post(f"{lab.url}{path}", data=body) as response,
    ):
        answer = await response.json()

    assert (response.status, answer["error"]["code"]) == (status, code)


async def test_a_huge_body_is_not_read(tmp_path: Path) -> None:
    """Above the server's limit the refusal is that of the server."""
    async with (
        serve_dropin(tmp_path) as lab,
        ClientSession() as client,
        client.post(f"{lab.url}/api/v2", data=b"x" * 200_000) as response,
    ):
        answer = await response.json()

    assert response.status == 413
    assert "code" in answer["error"]


@pytest.mark.parametrize("source", [Source.LIVE, Source.SIMULATED, Source.REPLAY])
async def test_only_live_markets_are_no_testnet(tmp_path: Path, source: Source) -> None:
    """A client can tell a simulated index from a real one."""
    async with serve_dropin(tmp_path, source=source) as lab:
        _, body = await lab.get("/api/v2/public/test")

    assert json.loads(body)["testnet"] is (source is not Source.LIVE)


async def test_the_time_is_in_milliseconds(tmp_path: Path) -> None:
    """And the duration in microseconds."""
    async with serve_dropin(tmp_path) as lab:
        before_ms = CLOCK.wall_ns() // 1_000_000
        _, body = await lab.get("/api/v2/public/get_time")
    answer = json.loads(body)

    assert 0 <= answer["result"] - before_ms < 60_000
    assert answer["usOut"] - answer["usIn"] == answer["usDiff"] >= 0


def shape(value: object) -> object:
    """Keys and kinds of values; numbers of any kind are one."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return (
        "number" if isinstance(value, int | float) and value not in {True, False} else type(value)
    )
