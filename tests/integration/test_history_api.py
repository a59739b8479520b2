"""`/v1/history` over a real candle file: ranges, gaps, limits, compression."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fakes.dropin_lab import DAY, HEADLINE, START, Lab, flat, serve_dropin
from volgauge.domain.history import MAX_CANDLES, RESOLUTIONS_SECONDS

PATH = f"/v1/history/BTC/{HEADLINE}"


async def answer(lab: Lab, path: str) -> dict[str, Any]:
    """The body of a good answer."""
    status, body = await lab.get(path)
    assert status == 200, body
    decoded: dict[str, Any] = json.loads(body)
    return decoded


@pytest.mark.parametrize("seconds", RESOLUTIONS_SECONDS)
async def test_every_resolution_can_be_asked(tmp_path: Path, seconds: int) -> None:
    """Those that open in [from, to), by epoch or by ISO time."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 1): flat(100, seconds=1)})
        span = f"from={START}&to={START + 100}"
        found = await answer(lab, f"{PATH}?resolution={seconds}&{span}")
        same = await answer(
            lab, f"{PATH}?resolution={seconds}&from=2024-10-04T00:00:00Z&to={START + 100}"
        )

    assert len(found["candles"]) == -(-100 // seconds)
    assert found["candles"][0] == {
        "opened_s": START,
        "open": 50.0,
        "high": 51 + (min(seconds, 100) - 1) / 100,
        "low": 49.0,
        "close": 50.5 + (min(seconds, 100) - 1) / 100,
    }
    assert (found["resolution_seconds"], found["source"]) == (seconds, "simulated")
    assert found == same


async def test_gaps_are_marked(tmp_path: Path) -> None:
    """[from, to) in seconds, for what lies between candles; nothing is filled in."""
    candles = flat(10, seconds=60)
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): [*candles[:3], *candles[7:]]})
        found = await answer(lab, f"{PATH}?from={START - DAY}&to={START + DAY}")

    assert found["gaps"] == [[START + 180, START + 420]]
    assert len(found["candles"]) == 6


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?resolution=7", 400, "bad_resolution"),
        ("?resolution=0", 400, "bad_resolution"),
        ("?resolution=-60", 400, "bad_query"),
        ("?resolution=1e2", 400, "bad_query"),
        (f"?resolution=1&from=0&to={MAX_CANDLES + 1}", 400, "bad_range"),
        ("?from=5&to=5", 400, "bad_range"),
        ("?from=99999999999999999999", 400, "bad_query"),
        ("?from=1e400", 400, "bad_query"),
        ("?from=nan", 400, "bad_query"),
        ("?from=%00", 400, "bad_query"),
        ("?limit=3", 400, "bad_query"),
    ],
)
async def test_a_strange_range_is_refused(
    tmp_path: Path, query: str, status: int, code: str
) -> None:
    """With the API's typed body."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 1): flat(2, seconds=1)})
        received, body = await lab.get(PATH + query)

    assert (received, json.loads(body)["error"]["code"]) == (status, code)


async def test_the_longest_answer_comes_whole_and_packed(tmp_path: Path) -> None:
    """MAX_CANDLES in one answer, several times smaller on the wire."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 1): flat(MAX_CANDLES, seconds=1)})
        asked = f"{lab.url}{PATH}?resolution=1&from={START}&to={START + MAX_CANDLES}"
        async with (
            ClientSession(auto_decompress=False) as client,
            client.get(asked, headers={"Accept-Encoding": "gzip"}) as response,
        ):
            packed = await response.read()
            encoding = response.headers["Content-Encoding"]
    plain = gzip.decompress(packed)

    assert encoding == "gzip"
    assert len(json.loads(plain)["candles"]) == MAX_CANDLES
    assert len(packed) < len(plain) / 4
