"""A real chain and a real recording over the simulated wire."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import connect

from volgauge.simulator.server import Simulator, SimulatorOptions

DAY_MS = 86_400_000


def write_chain(test_data: Path, path: Path) -> dict[str, dict[str, Any]]:
    """The recorded 878-option chain as CSV; the rows by their original name."""
    file = test_data / "wire" / "deribit" / "maks_snapshot_btc_surface.json"
    chain = json.loads(file.read_text(encoding="utf-8"))
    terms = {row["instrument_name"]: row for row in chain["instruments"]}
    forwards = {row["expiry"]: row["forward_price"] for row in chain["forwards"]}
    rows = {}
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["expiry", "strike", "kind", "bid", "ask", "mark", "forward", "open_interest",
             "timestamp"]
        )  # fmt: skip
        for quote in chain["option_quotes"]:
            option = terms[quote["instrument_name"]]
            rows[quote["instrument_name"]] = quote
            writer.writerow(
                [option["expiry"], option["strike"], option["option_type"],
                 "" if quote["best_bid"] is None else quote["best_bid"],
                 "" if quote["best_ask"] is None else quote["best_ask"], quote["mark_price"],
                 forwards[option["expiry"]], quote["open_interest"], chain["snapshot_time"]]
            )  # fmt: skip
    return rows


async def test_real_chain_is_served_as_it_is(test_data: Path, tmp_path: Path) -> None:
    """878 options, every bid, ask, mark and forward equal to the file, expiries moved by days."""
    path = tmp_path / "chain.csv"
    rows = write_chain(test_data, path)
    options = SimulatorOptions(source="chain", path=str(path), asset="BTC", rate=2_000.0)
    async with Simulator(options) as simulator, aiohttp.ClientSession() as http:
        chain = simulator.chain
        assert chain is not None
        url = f"{simulator.rest_url}/public/get_instruments?currency=BTC&kind=option"
        async with http.get(url) as answer:
            listed = (await answer.json())["result"]
        names = [row["instrument_name"] for row in listed]
        received: dict[str, Any] = {}
        async with connect(simulator.ws_url, max_size=None, max_queue=None) as socket:
            futures = [f"quote.{chain.board.future_name(i)}" for i in range(11)]
            wanted = [f"quote.{name}" for name in names] + futures + ["markprice.options.btc_usd"]
            for first in range(0, len(wanted), 450):
                body = {"jsonrpc": "2.0", "id": first, "method": "public/subscribe",
                        "params": {"channels": wanted[first : first + 450]}}  # fmt: skip
                await socket.send(json.dumps(body))
            while len(received) < len(wanted):
                params = json.loads(await socket.recv()).get("params")
                if params:
                    received[params["channel"]] = params["data"]

    assert len(names) == len(rows) == 878
    old_expiry = {row["expiration_timestamp"] - chain.days * DAY_MS for row in listed}
    assert all(moment % DAY_MS == 8 * 3_600_000 for moment in old_expiry)
    marks = {row["instrument_name"]: row["mark_price"]
             for row in received["markprice.options.btc_usd"]}  # fmt: skip
    for row in listed:
        expiry = datetime.fromtimestamp(
            (row["expiration_timestamp"] - chain.days * DAY_MS) / 1e3, UTC
        )
        tail = row["instrument_name"].split("-", 2)[2]
        old = rows[f"BTC-{expiry.day}{expiry:%b%y}".upper() + f"-{tail}"]
        quote = received[f"quote.{row['instrument_name']}"]
        assert (quote["best_bid_price"] or None) == old["best_bid"]
        assert (quote["best_ask_price"] or None) == old["best_ask"]
        assert marks[row["instrument_name"]] == old["mark_price"]
    mids = sorted(0.5 * (received[c]["best_bid_price"] + received[c]["best_ask_price"])
                  for c in futures)  # fmt: skip
    assert mids[0] == 75797.57


def write_recording(test_data: Path, folder: Path) -> int:
    """The recorded stream of 2021-07-22 in the tardis raw layout; number of notifications."""
    source = test_data / "wire" / "deribit" / "ws_raw_10options_30s_2021-07-22.jsonl"
    path = folder / "deribit" / "main"
    path.mkdir(parents=True)
    count = 0
    with (path / "2021-07-22T22-42.jsonl").open("w", encoding="utf-8") as out:
        for line in source.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["dir"] == "in":
                moment = datetime.fromtimestamp(row["recv_ts"], UTC)
                count += "params" in row["msg"]
                text = json.dumps(row["msg"], separators=(",", ":"))
                out.write(f"{moment:%Y-%m-%dT%H:%M:%S.%f}0Z {text}\n")
    return count


async def test_real_recording_plays(test_data: Path, tmp_path: Path) -> None:
    """All 135 recorded notifications arrive at sixty times the speed, dates of today."""
    count = write_recording(test_data, tmp_path)
    options = SimulatorOptions(source="recording", path=str(tmp_path), speed=60.0)
    async with Simulator(options) as simulator:
        channels = sorted(simulator.venue.source.channels)  # type: ignore[attr-defined]
        async with connect(simulator.ws_url) as socket:
            body = {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe",
                    "params": {"channels": channels}}  # fmt: skip
            await socket.send(json.dumps(body))
            ack = json.loads(await socket.recv())
            frames = [json.loads(await socket.recv()) for _ in range(count)]

    assert count == 135
    assert sorted(ack["result"]) == channels
    now_ms = datetime.now(UTC).timestamp() * 1e3
    for frame in frames:
        data = frame["params"]["data"]
        assert abs(data["timestamp"] - now_ms) < 60_000
        assert data["instrument_name"] in frame["params"]["channel"]
