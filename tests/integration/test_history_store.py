"""The candle file: round trip, wider candles, sources apart, bounds."""

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from volgauge.domain.history import MAX_CANDLES, RESOLUTIONS_SECONDS, Candle
from volgauge.domain.index import Source
from volgauge.errors import InputError
from volgauge.history.store import (
    HistoryStore,
    MixedSources,
    NoHistory,
    RangeTooLong,
)

DAY = 86_400
START = 20_000 * DAY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[HistoryStore]:
    """An open, empty store."""
    opened = HistoryStore(tmp_path / "history.db")
    await opened.open()
    yield opened
    await opened.close()


def minutes(count: int, *, start: int = START, seed: int = 1) -> list[Candle]:
    """Synthetic one-minute candles, some minutes missing."""
    chance = random.Random(seed)  # noqa: S311 - test data  # noqa: S311 - repeatable, not secret
    made = []
    for index in range(count):
        if chance.random() < 0.1:
            continue
        low, a, b, high = sorted(chance.uniform(40, 60) for _ in range(4))
        made.append(Candle(start + 60 * index, a, high, low, b))
    return made


def widened(candles: list[Candle], seconds: int) -> tuple[Candle, ...]:
    """The slow way to wider candles."""
    spans: dict[int, list[Candle]] = {}
    for candle in candles:
        spans.setdefault(candle.opened_s - candle.opened_s % seconds, []).append(candle)
    return tuple(
        Candle(
            opened,
            inside[0].open,
            max(candle.high for candle in inside),
            min(candle.low for candle in inside),
            inside[-1].close,
        )
        for opened, inside in sorted(spans.items())
    )


@pytest.mark.parametrize("seconds", RESOLUTIONS_SECONDS[1:])
async def test_wider_candles_are_made_of_the_minutes(store: HistoryStore, seconds: int) -> None:
    """Inserted in random portions, every resolution equals the slow way."""
    candles = minutes(3 * 1440)
    chance = random.Random(2)  # noqa: S311 - test data  # noqa: S311 - repeatable, not secret
    at = 0
    while at < len(candles):
        step = chance.randint(1, 900)
        await store.insert("BTC", "30d", Source.LIVE, 60, candles[at : at + step])
        at += step
    answer = await store.query(
        "BTC", "30d", start_s=START, end_s=START + 3 * DAY, resolution_seconds=seconds
    )

    assert answer.candles == widened(candles, seconds)
    assert (answer.source, answer.resolution_seconds) == (Source.LIVE, seconds)


async def test_many_series_are_inserted_together_or_not_at_all(store: HistoryStore) -> None:
    """One that the file refuses takes the others with it; else each is there."""
    good, bad = Candle(START, 50.0, 50.0, 50.0, 50.0), Candle(2**63, 9.0, 9.0, 9.0, 9.0)
    with pytest.raises(OverflowError):
        await store.insert_all(Source.LIVE, {("BTC", "30d", 60): [good], ("ETH", "30d", 60): [bad]})
    after_refusal = await store.assets(Source.LIVE)
    written = await store.insert_all(
        Source.LIVE,
        {("BTC", "30d", 60): [good], ("BTC", "price", 1): [good], ("ETH", "7d", 60): []},
    )

    assert after_refusal == ()
    assert written == 2
    assert set(await store.held("BTC", Source.LIVE)) == {"30d", "price"}
    assert await store.assets(Source.LIVE) == ("BTC",)


async def test_the_range_excludes_its_end(store: HistoryStore) -> None:
    """Candles that open in [start, end) are returned."""
    candles = [Candle(START + 60 * i, 1.0, 1.0, 1.0, 1.0) for i in range(10)]
    await store.insert("BTC", "price", Source.LIVE, 60, candles)
    answer = await store.query(
        "BTC", "price", start_s=START + 60, end_s=START + 180, resolution_seconds=60
    )

    assert answer.candles == tuple(candles[1:3])


async def test_a_restart_in_mid_minute_continues_the_candle(store: HistoryStore) -> None:
    """The second half keeps the open, widens the extremes, sets the close."""
    await store.insert("BTC", "30d", Source.LIVE, 60, [Candle(START, 50.0, 52.0, 49.0, 51.0)])
    await store.insert("BTC", "30d", Source.LIVE, 60, [Candle(START, 55.0, 56.0, 50.0, 53.0)])
    answer = await store.query("BTC", "30d", start_s=START, end_s=START + 60, resolution_seconds=60)

    assert answer.candles == (Candle(START, 50.0, 56.0, 49.0, 53.0),)


async def test_sources_are_never_mixed(store: HistoryStore) -> None:
    """With two sources in the file one must be named, and only its candles are returned."""
    live, simulated = Candle(START, 50.0, 50.0, 50.0, 50.0), Candle(START, 9.0, 9.0, 9.0, 9.0)
    await store.insert("BTC", "30d", Source.LIVE, 60, [live])
    await store.insert("BTC", "30d", Source.SIMULATED, 60, [simulated])
    window: dict[str, Any] = {
        "start_s": START,
        "end_s": START + 60,
        "resolution_seconds": 60,
    }

    with pytest.raises(MixedSources, match="live, simulated"):
        await store.query("BTC", "30d", **window)
    answer = await store.query("BTC", "30d", source=Source.SIMULATED, **window)
    assert (answer.source, answer.candles) == (Source.SIMULATED, (simulated,))


async def test_what_is_not_stored_is_said_so(store: HistoryStore) -> None:
    """An unknown series, and a resolution finer than what was inserted."""
    await store.insert("BTC", "30d", Source.LIVE, 3600, [Candle(START, 1.0, 1.0, 1.0, 1.0)])

    with pytest.raises(NoHistory, match="ETH 30d"):
        await store.query("ETH", "30d", start_s=START, end_s=START + 60, resolution_seconds=60)
    with pytest.raises(NoHistory, match="at 60 s"):
        await store.query("BTC", "30d", start_s=START, end_s=START + 60, resolution_seconds=60)


async def test_an_answer_is_bounded(store: HistoryStore) -> None:
    """A range of more than MAX_CANDLES is refused before anything is read."""
    end_s = START + 60 * (MAX_CANDLES + 1)

    with pytest.raises(RangeTooLong):
        await store.query("BTC", "30d", start_s=START, end_s=end_s, resolution_seconds=60)


async def test_an_odd_resolution_is_refused(store: HistoryStore) -> None:
    """Only the listed spans exist."""
    with pytest.raises(ValueError, match="received 7"):
        await store.query("BTC", "30d", start_s=0, end_s=7, resolution_seconds=7)
    with pytest.raises(ValueError, match="received 7"):
        await store.insert("BTC", "30d", Source.LIVE, 7, [])


async def test_a_year_goes_in_quickly_and_the_loop_turns(store: HistoryStore) -> None:
    """400 days of hours in about a second; the event loop is not held."""
    candles = [Candle(START + 3600 * i, 50.0, 51.0, 49.0, 50.5) for i in range(400 * 24)]
    longest = 0.0
    task = asyncio.create_task(store.insert("BTC", "30d", Source.SIMULATED, 3600, candles))
    started = before = time.monotonic()
    while not task.done():
        await asyncio.sleep(0.001)
        longest, before = max(longest, time.monotonic() - before), time.monotonic()

    assert await task == 9600
    assert time.monotonic() - started < 5
    assert longest < 0.5
    answer = await store.query(
        "BTC", "30d", start_s=START, end_s=START + 400 * DAY, resolution_seconds=DAY
    )
    assert len(answer.candles) == 400


async def test_the_file_outlives_the_process(tmp_path: Path) -> None:
    """Closed and opened again, the candles are there."""
    for is_first in (True, False):
        store = HistoryStore(tmp_path / "history.db")
        await store.open()
        if is_first:
            candle = Candle(START, 1.0, 2.0, 0.5, 1.5)
            await store.insert("BTC", "7d", Source.REPLAY, 60, [candle])
        answer = await store.query(
            "BTC", "7d", start_s=START, end_s=START + 60, resolution_seconds=60
        )
        await store.close()

        assert len(answer.candles) == 1


async def test_a_strange_file_is_an_input_error(tmp_path: Path) -> None:
    """Neither a text file nor a later version is touched."""
    text = tmp_path / "text.db"
    text.write_text("not a database, but long enough to be read as a header by SQLite" * 20)
    later = tmp_path / "later.db"
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    for path in (text, later):
        store = HistoryStore(path)
        with pytest.raises(InputError, match=path.name):
            await store.open()
        await store.close()


async def test_what_is_held_is_told_by_series(store: HistoryStore) -> None:
    """Resolutions ascending, of one source only; an unknown asset holds nothing."""
    await store.insert("BTC", "30d", Source.SIMULATED, 3600, [Candle(START, 1.0, 1.0, 1.0, 1.0)])
    await store.insert("BTC", "price", Source.LIVE, 60, minutes(3))

    assert {"30d": (3_600, 14_400, 43_200, 86_400)} == await store.held("BTC", Source.SIMULATED)
    assert {"price": RESOLUTIONS_SECONDS[1:]} == await store.held("BTC", Source.LIVE)
    assert {} == await store.held("ETH", Source.LIVE)
