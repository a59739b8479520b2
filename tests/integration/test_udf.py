"""TradingView's feed over the history: symbols, bars, and what is not there."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fakes.dropin_lab import CLOCK, DAY, HEADLINE, START, Lab, flat, record_now, serve_dropin


async def answer(lab: Lab, path: str) -> Any:  # noqa: ANN401 - JSON
    """The body of a good answer."""
    status, body = await lab.get(path)
    assert status == 200, body
    return json.loads(body)


def history(start_s: int, end_s: int, resolution: str, symbol: str = "VG-BTC-30D") -> str:
    """Path and query."""
    return f"/udf/history?symbol={symbol}&resolution={resolution}&from={start_s}&to={end_s}"


async def test_the_configuration_names_what_can_be_asked(tmp_path: Path) -> None:
    """The keys that the feed's document wants; search instead of groups."""
    async with serve_dropin(tmp_path) as lab:
        config = await answer(lab, "/udf/config")

    assert config["supports_search"] is not config["supports_group_request"]
    assert (config["supports_marks"], config["supports_timescale_marks"]) == (False, False)
    assert config["supports_time"] is True
    assert config["supported_resolutions"] == ["1S", "1", "5", "15", "60", "240", "720", "1D"]
    assert {"name", "value"} == set(config["symbols_types"][0])
    assert {"name", "value", "desc"} == set(config["exchanges"][0])


async def test_the_time_is_plain_seconds(tmp_path: Path) -> None:
    """A number and nothing else."""
    async with serve_dropin(tmp_path) as lab:
        status, body = await lab.get("/udf/time")

    assert status == 200
    assert abs(int(body) - CLOCK.wall_ns() // 10**9) < 60


async def test_every_tenor_of_every_asset_is_a_symbol(tmp_path: Path) -> None:
    """What is computed now and what is stored; in the order of asset and tenor."""
    async with serve_dropin(tmp_path) as lab:
        lab.hub.offer(record_now(50.0))
        lab.hub.offer(record_now(50.0, tenor_days=7.0))
        await lab.keeper.fill({("SOL", "90d", 60): flat(2, seconds=60)})
        await lab.keeper.fill({("SOL", "price", 60): flat(2, seconds=60)})
        await lab.keeper.fill({("SOL", "30d.bid", 60): flat(2, seconds=60)})
        found = await answer(lab, "/udf/search?query=&type=&exchange=&limit=30")
        ours = await answer(lab, "/udf/search?query=sol&limit=30")
        words = await answer(lab, "/udf/search?query=btc+7-day")
        first = await answer(lab, "/udf/search?query=btc&limit=1")
        strange = await answer(lab, "/udf/search?query=btc&exchange=NYSE")

    assert [one["symbol"] for one in found] == ["VG-BTC-7D", "VG-BTC-30D", "VG-SOL-90D"]
    assert [one["symbol"] for one in ours] == ["VG-SOL-90D"]
    assert [one["symbol"] for one in words] == ["VG-BTC-7D"]
    assert [one["symbol"] for one in first] == ["VG-BTC-7D"]
    assert strange == []
    assert set(found[0]) == {"symbol", "full_name", "description", "exchange", "ticker", "type"}


@pytest.mark.parametrize("symbol", ["VG-BTC-30D", "vg-btc-30d", "volgauge:VG-BTC-30D"])
async def test_a_symbol_describes_itself(tmp_path: Path, symbol: str) -> None:
    """By any of its names; it trades round the clock and only the headline has seconds."""
    async with serve_dropin(tmp_path) as lab:
        lab.hub.offer(record_now(50.0))
        lab.hub.offer(record_now(50.0, tenor_days=7.0))
        headline = await answer(lab, f"/udf/symbols?symbol={symbol}")
        other = await answer(lab, "/udf/symbols?symbol=VG-BTC-7D")

    assert headline["name"] == headline["ticker"] == "VG-BTC-30D"
    assert (headline["session"], headline["timezone"]) == ("24x7", "Etc/UTC")
    assert (headline["minmov"], headline["pricescale"]) == (1, 10_000)
    assert headline["has_seconds"]
    assert headline["seconds_multipliers"] == ["1"]
    assert headline["has_intraday"]
    assert headline["has_daily"]
    assert headline["intraday_multipliers"] == ["1", "5", "15", "60", "240", "720"]
    assert not other["has_seconds"]
    assert "1S" not in other["supported_resolutions"]


@pytest.mark.parametrize(
    ("resolution", "seconds"), [("1", 60), ("5", 300), ("60", 3600), ("1D", DAY), ("D", DAY)]
)
async def test_bars_are_the_stored_candles(tmp_path: Path, resolution: str, seconds: int) -> None:
    """Those that open in [from, to); columns of one length, ascending."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(3 * 1440, seconds=60)})
        found = await answer(lab, history(START, START + 2 * seconds, resolution))
        stored = await lab.keeper.query(
            "BTC",
            HEADLINE,
            start_s=START,
            end_s=START + 2 * seconds,
            resolution_seconds=seconds,
        )

    assert found == {
        "s": "ok",
        "t": [START, START + seconds],
        "o": [one.open for one in stored.candles],
        "h": [one.high for one in stored.candles],
        "l": [one.low for one in stored.candles],
        "c": [one.close for one in stored.candles],
    }


async def test_seconds_have_bars(tmp_path: Path) -> None:
    """Of the headline tenor."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 1): flat(10, seconds=1)})
        found = await answer(lab, history(START + 2, START + 5, "1S"))

    assert found["t"] == [START + 2, START + 3, START + 4]


async def test_countback_beats_from(tmp_path: Path) -> None:
    """The newest so many before `to`, wherever `from` lies."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(10, seconds=60)})
        asked = history(START + 500, START + 540, "1") + "&countback=3"
        found = await answer(lab, asked)

    assert found["t"] == [START + 360, START + 420, START + 480]


async def test_an_empty_range_says_where_the_bars_are(tmp_path: Path) -> None:
    """`nextTime` is the newest bar before the range; before all bars there is none."""
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(10, seconds=60)})
        lab.hub.offer(record_now(50.0, tenor_days=7.0))
        after = await answer(lab, history(START + DAY, START + 2 * DAY, "1"))
        before = await answer(lab, history(START - DAY, START, "1"))
        nothing = await answer(lab, history(START, START + 60, "1", "VG-BTC-7D"))

    assert after == {"s": "no_data", "nextTime": START + 540}
    assert before == nothing == {"s": "no_data"}


async def test_a_gap_stays_a_gap(tmp_path: Path) -> None:
    """No bar is made where no candle is."""
    candles = flat(10, seconds=60)
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): [*candles[:3], *candles[7:]]})
        found = await answer(lab, history(START, START + 600, "1"))

    assert found["t"] == [c.opened_s for c in (*candles[:3], *candles[7:])]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/udf/symbols", 404, "unknown_symbol"),
        ("/udf/symbols?symbol=VG-DOGE-30D", 404, "unknown_symbol"),
        ("/udf/symbols?symbol=VG-BTC-31D", 404, "unknown_symbol"),
        ("/udf/symbols?symbol=%00", 404, "unknown_symbol"),
        ("/udf/symbols?symbol=" + "x" * 1000, 404, "unknown_symbol"),
        (history(0, 1, "1", "nothing"), 404, "unknown_symbol"),
        (history(0, 1, "7"), 400, "resolution: expected one of"),
        (history(0, 1, ""), 400, "resolution: expected one of"),
        (history(2, 1, "1"), 400, "before `to`"),
        ("/udf/history?symbol=VG-BTC-30D&resolution=1&from=0", 400, "to: expected"),
        ("/udf/history?symbol=VG-BTC-30D&resolution=1&to=9", 400, "from: expected"),
        (history(0, 10**9, "1"), 400, "at most 5000"),
        ("/udf/history?symbol=VG-BTC-30D&resolution=1&from=1e3&to=9", 400, "from: expected"),
        (f"/udf/history?symbol=VG-BTC-30D&resolution=1&from=0&to={10**14}", 400, "to: expected"),
        (history(0, 9, "1") + "&countback=0", 400, "countback: expected"),
        (history(0, 9, "1") + "&countback=5001", 400, "countback: expected"),
        (history(0, 9, "1") + "&countback=many", 400, "countback: expected"),
        ("/udf/search?limit=many", 400, "limit"),
    ],
)
async def test_a_refusal_has_the_feeds_body(
    tmp_path: Path, path: str, status: int, message: str
) -> None:
    """`s` is error, `errmsg` says why."""
    async with serve_dropin(tmp_path) as lab:
        lab.hub.offer(record_now(50.0))
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(2, seconds=60)})
        received, body = await lab.get(path)
    refusal = json.loads(body)

    assert (received, refusal["s"]) == (status, "error")
    assert message in refusal["errmsg"]


async def test_without_a_history_there_are_no_bars(tmp_path: Path) -> None:
    """And the answer says which setting is missing."""
    async with serve_dropin(tmp_path, with_history=False) as lab:
        lab.hub.offer(record_now(50.0))
        status, body = await lab.get(history(START, START + 60, "1"))

    assert status == 404
    assert "history.path" in json.loads(body)["errmsg"]


@pytest.mark.parametrize("any_origin", [False, True])
async def test_foreign_pages_read_only_a_public_service(tmp_path: Path, any_origin: bool) -> None:
    """A browser lets them when the header says so."""
    async with (
        serve_dropin(tmp_path, any_origin=any_origin) as lab,
        ClientSession() as client,
        client.get(f"{lab.url}/udf/config") as response,
    ):
        allowed = response.headers.get("Access-Control-Allow-Origin")

    assert allowed == ("*" if any_origin else None)
