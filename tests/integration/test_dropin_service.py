"""A service that is stopped and started again: its history, and a DVOL client in both lives."""

import json
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import msgspec
import pytest
from websockets.sync.client import connect

from integration.processes import (
    Line,
    Process,
    addresses,
    eventually,
    fetch,
    page_of,
    venue,
)

pytestmark = pytest.mark.slow
CHANNEL = "deribit_volatility_index.btc_usd"
NOTIFICATIONS = 4


class Life(msgspec.Struct, frozen=True):
    """What one run of the service said."""

    messages: list[Line]
    ready_s: int
    """First second whose candle it has."""
    stopped_s: int
    exit_code: int
    stop_seconds: float


class Ran(msgspec.Struct, frozen=True):
    """Two runs on one file, and what the second answered."""

    lives: list[Life]
    seconds: Line
    minutes: Line
    dvol: Line
    bars: Line


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A simulated venue that stays, a service that is stopped in between."""
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    lives: list[Life] = []
    answers: dict[str, Line] = {}
    began_s = int(time.time()) - 60
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(rate=200.0))
        for is_last in (False, True):
            settings = {
                **addresses(simulator),
                "VOLGAUGE__REDIS__ENABLED": "false",
                "VOLGAUGE__HISTORY__PATH": str(path),
            }
            with Process("run", "--port", "0", environment=settings) as service:
                root = page_of(service)
                messages = listen(root)
                first_s = messages[0]["params"]["data"]["timestamp"] // 1000
                last_s = messages[-1]["params"]["data"]["timestamp"] // 1000
                stored = partial(history, root, first_s, last_s)
                found = eventually(stored, "the seconds that were heard", 30.0)
                assert found is not None
                if is_last:
                    answers = ask_all(root, began_s, last_s)
                code, took = service.terminate()
                opened = found["candles"][0]["opened_s"]
                lives.append(Life(messages, opened, int(time.time()), code, took))
    return Ran(lives, **answers)


def ask_all(root: str, first_s: int, last_s: int) -> dict[str, Line]:
    """The candles that open in both seconds or between them, by every door."""
    span = f"from={first_s}&to={last_s + 1}"
    dvol = (
        f"currency=BTC&start_timestamp={first_s * 1000}&end_timestamp={last_s * 1000}&resolution=60"
    )
    return {
        "seconds": ask(root, f"/v1/history/BTC/30d?resolution=1&{span}"),
        "minutes": ask(root, f"/v1/history/BTC/30d?resolution=60&{span}"),
        "dvol": ask(root, f"/api/v2/public/get_volatility_index_data?{dvol}"),
        "bars": ask(root, f"/udf/history?symbol=VG-BTC-30D&resolution=1&{span}"),
    }


def listen(root: str) -> list[Line]:
    """What a client of Deribit's index hears; it asks as soon as the server listens."""
    url = f"{root.replace('http', 'ws', 1)}/ws/api/v2"
    with connect(url) as client:
        request = {"method": "public/subscribe", "params": {"channels": [CHANNEL]}}
        client.send(json.dumps({"jsonrpc": "2.0", "id": 1, **request}))
        ack = json.loads(client.recv(timeout=30.0))
        assert ack["result"] == [CHANNEL], ack
        return [json.loads(client.recv(timeout=60.0)) for _ in range(NOTIFICATIONS)]


def history(root: str, first_s: int, last_s: int) -> Line | None:
    """Candles of these seconds, once the last one is stored."""
    status, _, body = fetch(
        f"{root}/v1/history/BTC/30d?resolution=1&from={first_s}&to={last_s + 1}"
    )
    found: Line = json.loads(body)
    if status != 200 or not found["candles"]:
        return None
    return found if found["candles"][-1]["opened_s"] == last_s else None


def ask(root: str, path: str) -> Any:  # noqa: ANN401 - JSON
    """The body of a good answer."""
    status, _, body = fetch(f"{root}{path}")
    assert status == 200, body
    return json.loads(body)


def test_what_a_client_heard_is_in_the_candles(ran: Ran) -> None:
    """Every value lies within the candle of its second."""
    by_second = {one["opened_s"]: one for one in ran.seconds["candles"]}
    for life in ran.lives:
        for message in life.messages:
            data = message["params"]["data"]
            candle = by_second[data["timestamp"] // 1000]

            assert candle["low"] <= data["volatility"] <= candle["high"]
            assert data["index_name"] == "btc_usd"


def test_the_pause_between_both_lives_is_marked(ran: Ran) -> None:
    """One gap covers the restart, and no candle lies in any gap."""
    stopped_s, ready_s = ran.lives[0].stopped_s, ran.lives[1].ready_s
    opened = [one["opened_s"] for one in ran.seconds["candles"]]

    covering = [gap for gap in ran.seconds["gaps"] if gap[0] <= stopped_s + 1 <= gap[1] <= ready_s]
    assert len(covering) == 1
    assert not [at for at in opened for start, end in ran.seconds["gaps"] if start <= at < end]


def test_minutes_of_both_lives_are_made_of_the_seconds(ran: Ran) -> None:
    """Also the one in which the service was stopped."""
    spans: dict[int, list[Line]] = {}
    for one in ran.seconds["candles"]:
        spans.setdefault(one["opened_s"] // 60 * 60, []).append(one)
    minutes = {one["opened_s"]: one for one in ran.minutes["candles"]}

    assert set(spans) == set(minutes)
    for opened, inside in list(spans.items())[:-1]:
        assert minutes[opened] == {
            "opened_s": opened,
            "open": inside[0]["open"],
            "high": max(one["high"] for one in inside),
            "low": min(one["low"] for one in inside),
            "close": inside[-1]["close"],
        }


def test_all_doors_lead_to_the_same_candles(ran: Ran) -> None:
    """The venue's method and the chart's feed; the newest minute may have grown in between."""
    expected = [
        [one[name] for name in ("opened_s", "open", "high", "low", "close")]
        for one in ran.minutes["candles"]
    ][:-1]
    rows = [[row[0] // 1000, *row[1:]] for row in ran.dvol["result"]["data"]]
    columns = [ran.bars[name] for name in "tohlc"]

    assert rows[: len(expected)] == expected
    assert [list(row) for row in zip(*columns, strict=True)][: len(expected)] == expected
    assert ran.dvol["testnet"] is True


def test_both_lives_ended_in_good_order(ran: Ran) -> None:
    """SIGTERM with a client's connection just closed: exit code 0."""
    assert [life.exit_code for life in ran.lives] == [0, 0]
