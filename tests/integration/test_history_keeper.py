"""Records to candles on disk: seconds, restarts, gaps, age, and a file that refuses."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fakes.records import index_value
from volgauge.domain.history import RESOLUTIONS_SECONDS, Candle, CandleSeries
from volgauge.domain.index import Source, Status, VenueValue
from volgauge.domain.instrument import Venue
from volgauge.history import keeper as keeping
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.store import HistoryStore, NoHistory
from volgauge.settings import HistorySettings

SECOND = 1_000_000_000
DAY = 86_400
START = 20_000 * DAY
BOOKS = len(index_value(1).venues)
"""Of a record, each with minutes of its own."""


@asynccontextmanager
async def keeping_in(
    path: Path, *, settings: HistorySettings | None = None, source: Source = Source.LIVE
) -> AsyncIterator[HistoryKeeper]:
    """A keeper over a file, closed like at the end of a service."""
    keeper = HistoryKeeper(HistoryStore(path), source, settings=settings)
    await keeper.open()
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    try:
        yield keeper
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def feed(
    keeper: HistoryKeeper,
    values: Iterable[tuple[float, float | None]],
    *,
    tenor_days: float = 30.0,
    status: Status = Status.OK,
) -> None:
    """Records of (seconds after START, value)."""
    for second, value in values:
        instant_ns = round((START + second) * SECOND)
        keeper.take(
            index_value(
                1, tenor_days=tenor_days, value=value, status=status, computed_ns=instant_ns
            )
        )


async def candles(
    keeper: HistoryKeeper, seconds: int, series: str = "30d", end_s: int = START + 3600
) -> CandleSeries:
    """What is stored of bitcoin since START."""
    return await keeper.query("BTC", series, start_s=START, end_s=end_s, resolution_seconds=seconds)


async def test_the_headline_has_seconds_the_others_minutes(tmp_path: Path) -> None:
    """And the minutes of the headline are made of its seconds."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        ticks = [(0.2, 50.0), (0.8, 51.0), (1.5, 49.0), (61.0, 52.0), (121.0, 53.0)]
        feed(keeper, ticks)
        feed(keeper, ticks, tenor_days=7.0)
        await keeper.write()
        seconds = await candles(keeper, 1)
        minutes = [await candles(keeper, 60, series) for series in ("30d", "7d")]
        with pytest.raises(NoHistory):
            await candles(keeper, 1, "7d")

    assert seconds.candles == (
        Candle(START, 50.0, 51.0, 50.0, 51.0),
        Candle(START + 1, 49.0, 49.0, 49.0, 49.0),
        Candle(START + 61, 52.0, 52.0, 52.0, 52.0),
    )
    expected = (Candle(START, 50.0, 51.0, 49.0, 49.0), Candle(START + 60, 52.0, 52.0, 52.0, 52.0))
    assert [found.candles for found in minutes] == [expected, expected]


async def test_the_headline_s_band_and_books_are_kept_beside_it(tmp_path: Path) -> None:
    """Edges by second, books by minute; none where the record repeats, or the book has none."""
    okx = VenueValue(value=50.4, weight=0.0, state="out")
    gone = VenueValue(value=None, weight=0.0, state="down")
    first = replace(
        index_value(1, value=50.0, status=Status.OK, computed_ns=START * SECOND),
        bid=49.5,
        ask=50.5,
        venues={Venue("okx"): okx, Venue("deribit:USDC"): gone},
    )
    async with keeping_in(tmp_path / "h.db") as keeper:
        keeper.take(first)
        keeper.take(replace(first, bid=49.6, computed_ns=(START + 1) * SECOND))
        halted = replace(first, status=Status.HALTED, computed_ns=(START + 2) * SECOND)
        keeper.take(halted)
        keeper.take(replace(halted, computed_ns=(START + 61) * SECOND))
        keeper.take(replace(first, tenor_days=7.0, computed_ns=(START + 62) * SECOND))
        await keeper.write()
        found = {
            series: (await candles(keeper, seconds, series)).candles
            for series, seconds in (("30d.bid", 1), ("30d.ask", 60), ("30d.okx", 60))
        }
        held = await keeper.held("BTC")

    assert [(c.opened_s - START, c.close) for c in found["30d.bid"]] == [(0, 49.5), (1, 49.6)]
    assert found["30d.ask"] == (Candle(START, 50.5, 50.5, 50.5, 50.5),)
    assert found["30d.okx"] == (Candle(START, 50.4, 50.4, 50.4, 50.4),)
    assert set(held) == {"30d", "30d.bid", "30d.ask", "30d.okx"}


@pytest.mark.parametrize("seconds", RESOLUTIONS_SECONDS)
async def test_a_restart_continues_every_candle(tmp_path: Path, seconds: int) -> None:
    """Stopped within a second, a minute and a day, the file is as if nothing had stopped."""
    before = [(0.1, 50.0), (30.1, 55.0), (30.2, 48.0)]
    after = [(30.5, 51.0), (30.9, 57.0), (59.0, 50.5)]
    async with keeping_in(tmp_path / "one.db") as keeper:
        feed(keeper, before + after)
    for part in (before, after):
        async with keeping_in(tmp_path / "two.db") as keeper:
            feed(keeper, part)
    found = []
    for name in ("one.db", "two.db"):
        async with keeping_in(tmp_path / name) as keeper:
            found.append((await candles(keeper, seconds)).candles)

    assert found[0] == found[1] != ()


@pytest.mark.parametrize("status", [Status.GUARD, Status.STALE, Status.HALTED, Status.WARMING])
async def test_a_held_value_makes_a_gap(tmp_path: Path, status: Status) -> None:
    """Seconds in which an earlier value was repeated, or none, have no candle and are marked."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        feed(keeper, [(0.5, 50.0)])
        feed(keeper, [(1.5, 50.0), (2.5, 50.0)], status=status)
        feed(keeper, [(3.5, None), (4.5, 51.0), (5.0, 51.0)])
        await keeper.write()
        found = await candles(keeper, 1)

    assert [one.opened_s for one in found.candles] == [START, START + 4]
    assert found.gaps == ((START + 1, START + 4),)


async def test_a_pause_of_the_service_is_a_gap(tmp_path: Path) -> None:
    """Known as soon as the first new record is written, and not before."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        feed(keeper, [(0.5, 50.0)])
    async with keeping_in(tmp_path / "h.db") as keeper:
        before = await candles(keeper, 60)
        feed(keeper, [(600.5, None)])
        await keeper.write()
        after = await candles(keeper, 60)

    assert before.gaps == ()
    assert after.gaps == ((START + 60, START + 600),)


async def test_what_is_not_over_or_was_never_kept_is_no_gap(tmp_path: Path) -> None:
    """Neither the time before the first candle nor the present span, nor what lies outside."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        feed(keeper, [(120.5, 50.0), (300.5, 51.0), (301.5, 51.0)])
        await keeper.write()
        whole = await keeper.query(
            "BTC", "30d", start_s=START - DAY, end_s=START + DAY, resolution_seconds=60
        )
        part = await keeper.query(
            "BTC", "30d", start_s=START + 200, end_s=START + 250, resolution_seconds=60
        )
        newest = await keeper.query(
            "BTC", "30d", start_s=0, end_s=START + DAY, resolution_seconds=60, newest=1
        )

    assert whole.gaps == ((START + 180, START + 300),)
    assert part.gaps == ((START + 240, START + 300),)
    assert [one.opened_s for one in newest.candles] == [START + 300]
    assert newest.gaps == ()


async def test_old_candles_are_forgotten_by_resolution(tmp_path: Path) -> None:
    """Counted from the newest record; 0 keeps for ever; other sources stay."""
    settings = HistorySettings(keep_1s_days=1 / 1440, keep_1m_days=1 / 24)
    async with keeping_in(tmp_path / "h.db", source=Source.SIMULATED) as keeper:
        feed(keeper, [(second, 50.0) for second in range(0, 7200, 20)])
    async with keeping_in(tmp_path / "h.db", settings=settings) as keeper:
        feed(keeper, [(second, 50.0) for second in range(0, 7201, 20)])
        await keeper.write()
        await keeper.prune()
        end_s = START + 2 * DAY
        kept = {
            seconds: (await keeper.query(
                "BTC", "30d", start_s=0, end_s=end_s, resolution_seconds=seconds, newest=5000
            )).candles
            for seconds in (1, 60, 300)
        }  # fmt: skip
        pruned = keeper.stats.pruned
    async with keeping_in(tmp_path / "h.db", source=Source.SIMULATED) as keeper:
        other = await keeper.query(
            "BTC", "30d", start_s=0, end_s=end_s, resolution_seconds=1, newest=5000
        )

    assert kept[1][0].opened_s == START + 7200 - 60
    assert kept[60][0].opened_s == START + 7200 - 3600
    assert kept[300][0].opened_s == START
    assert len(other.candles) == 360
    assert pruned == 3 * (357 + 60) + BOOKS * 60


@pytest.mark.parametrize(
    ("key", "seconds"),
    [
        ("keep_1s_days", 1),
        ("keep_1m_days", 60),
        ("keep_5m_days", 300),
        ("keep_15m_days", 900),
        ("keep_1h_days", 3600),
        ("keep_4h_days", 14_400),
        ("keep_12h_days", 43_200),
        ("keep_1d_days", 86_400),
    ],
)
async def test_each_key_is_for_its_resolution(tmp_path: Path, key: str, seconds: int) -> None:
    """With the others at 0, only its candles go."""
    names = (name for name in HistorySettings.__struct_fields__ if name.startswith("keep_"))
    settings = msgspec.convert({**dict.fromkeys(names, 0.0), key: 1.0}, HistorySettings)
    async with keeping_in(tmp_path / "h.db", settings=settings) as keeper:
        await keeper.fill({("BTC", "30d", 1): [Candle(START, 1.0, 1.0, 1.0, 1.0)]})
        feed(keeper, [(3 * DAY, 50.0), (3 * DAY + 1, 50.0)])
        await keeper.write()
        await keeper.prune()
        gone = {each for each in RESOLUTIONS_SECONDS if not (await candles(keeper, each)).candles}

    assert gone == {seconds}


async def test_much_is_forgotten_in_small_steps(tmp_path: Path) -> None:
    """A query in between waits for one step, not for all of it."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        many = [Candle(START + at, 1.0, 1.0, 1.0, 1.0) for at in range(25_000)]
        await keeper.fill({("BTC", "30d", 1): many})
        feed(keeper, [(3 * DAY, 50.0), (3 * DAY + 1, 50.0)])
        await keeper.write()
        pruning = asyncio.create_task(keeper.prune())
        await asyncio.sleep(0)
        waited = 0
        while not pruning.done():
            await candles(keeper, 86_400, end_s=START + DAY)
            waited += 1
        left = await candles(keeper, 1, end_s=START + 4000)

    assert waited > 1
    assert keeper.stats.pruned == 25_000
    assert left.candles == ()


async def test_a_file_that_refuses_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked by another process, the service goes on; unlocked, all candles are there."""
    monkeypatch.setattr("volgauge.history.store.BUSY_SECONDS", 0.05)
    path = tmp_path / "h.db"
    async with keeping_in(path) as keeper:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        feed(keeper, [(0.5, 50.0), (1.5, 51.0)])
        await keeper.write()
        feed(keeper, [(2.5, 52.0)])
        await keeper.write()
        failed = keeper.stats.failed
        lock.rollback()
        lock.close()
        await keeper.write()
        found = await candles(keeper, 1)

    assert failed == 2
    assert [one.close for one in found.candles] == [50.0, 51.0]
    assert keeper.stats.lost == 0


async def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that refuses for hours costs the oldest seconds, counted, and no more memory."""
    monkeypatch.setattr("volgauge.history.store.BUSY_SECONDS", 0.05)
    monkeypatch.setattr(keeping, "MAX_WAITING", 10)
    path = tmp_path / "h.db"
    async with keeping_in(path) as keeper:
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        feed(keeper, [(second, 50.0) for second in range(26)])
        await keeper.write()
        lock.rollback()
        lock.close()
        await keeper.write()
        found = await candles(keeper, 1)

    assert [one.opened_s - START for one in found.candles] == list(range(15, 25))
    assert keeper.stats.lost == 3 * 15  # the value and the two edges of its band


async def test_a_stop_during_a_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the file is busy: what was under way and what waited are both there."""
    monkeypatch.setattr(keeping, "WRITE_SECONDS", 0.01)
    path = tmp_path / "h.db"
    keeper = HistoryKeeper(HistoryStore(path), Source.LIVE)
    await keeper.open()
    feed(keeper, [(0.5, 50.0), (1.5, 51.0)])
    feed(keeper, [(0.5, 60.0), (70.5, 61.0)], tenor_days=7.0)
    lock = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    lock.execute("BEGIN IMMEDIATE")
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(0.2)
    threading.Timer(0.3, lock.rollback).start()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lock.close()
    async with keeping_in(path) as again:
        seconds, minutes = await candles(again, 1), await candles(again, 60, "7d")

    assert [one.close for one in seconds.candles] == [50.0, 51.0]
    assert [one.close for one in minutes.candles] == [60.0, 61.0]


async def test_the_catalogue_names_all_that_is_stored(tmp_path: Path) -> None:
    """By asset, series and resolution."""
    async with keeping_in(tmp_path / "h.db") as keeper:
        one: list[Any] = [Candle(START, 1.0, 1.0, 1.0, 1.0)]
        await keeper.fill({("BTC", "30d", 1): one, ("ETH", "price", 43_200): one})
        catalogue = await keeper.catalogue()

    assert catalogue == {"BTC": {"30d": RESOLUTIONS_SECONDS}, "ETH": {"price": (43_200, 86_400)}}
