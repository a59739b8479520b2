"""What the analytics get of a history on disk: whole candles of every asset, nothing of today."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from volgauge.domain.history import Candle
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.past import CLOSES, PRICE_MINUTES, read_pasts
from volgauge.history.store import HistoryStore

DAY = 86_400
TODAY = 20_500 * DAY
NOW_S = TODAY + 10 * 3_600 + 90
"""In the middle of a day, an hour, and a minute."""


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[HistoryKeeper]:
    """An open, empty history of simulated input."""
    store = HistoryStore(tmp_path / "history.db")
    kept = HistoryKeeper(store, Source.SIMULATED)
    await kept.open()
    yield kept
    await store.close()


def rising(first_s: int, step_s: int, count: int) -> list[Candle]:
    """Candle n opens at n and closes at n + 1, plus 50."""
    return [
        Candle(first_s + n * step_s, 50.0 + n, 51.0 + n, 50.0 + n, 51.0 + n) for n in range(count)
    ]


async def test_nothing_stored_is_no_past(keeper: HistoryKeeper) -> None:
    """No asset, no past."""
    assert await read_pasts(keeper, "30d", NOW_S * NANOS_PER_SECOND) == {}


async def test_only_what_is_over_is_told(keeper: HistoryKeeper) -> None:
    """Today's day, and the minute that runs, are not; days are made of the finer candles."""
    first = TODAY - 3 * DAY
    hours = (NOW_S - first) // 3_600 + 1
    minutes = (NOW_S - TODAY) // 60 + 1
    await keeper.fill(
        {
            ("BTC", "price", 3_600): rising(first, 3_600, hours),
            ("BTC", "30d", 3_600): rising(first, 3_600, hours),
            ("BTC", "price", 60): rising(TODAY, 60, minutes),
            ("BTC", "30d", 60): rising(TODAY, 60, minutes),
        }
    )
    past = (await read_pasts(keeper, "30d", NOW_S * NANOS_PER_SECOND))[Asset("BTC")]

    assert [bar.open_ns // NANOS_PER_SECOND for bar in past.price_days] == [
        first,
        first + DAY,
        first + 2 * DAY,
    ]
    assert [bar.close for bar in past.price_days] == [50.0 + 24 * n for n in (1, 2, 3)]
    assert [close for _, close in past.index_days] == [50.0 + 24 * n for n in (1, 2, 3)]
    newest = past.price_minutes[-1]
    assert newest.open_ns // NANOS_PER_SECOND == NOW_S - NOW_S % 60 - 60
    assert len(past.price_minutes) <= PRICE_MINUTES
    at_ns, close = past.index_closes[-1]
    assert at_ns // NANOS_PER_SECOND == NOW_S - NOW_S % 300
    assert close == 50.0 + (at_ns // NANOS_PER_SECOND - TODAY) / 60
    assert len(past.index_closes) <= CLOSES


async def test_assets_are_those_of_the_own_source(keeper: HistoryKeeper, tmp_path: Path) -> None:
    """Live candles in the same file are no past of a simulated service."""
    store = HistoryStore(tmp_path / "history.db")
    await store.open()
    await store.insert("ETH", "30d", Source.LIVE, 60, rising(TODAY, 60, 5))
    await keeper.fill({("SOL", "30d", 60): rising(TODAY, 60, 5)})

    assert await keeper.assets() == ("SOL",)
    pasts = await read_pasts(keeper, "30d", NOW_S * NANOS_PER_SECOND)
    assert list(pasts) == ["SOL"]
    assert list(pasts[Asset("SOL")].price_days) == []
    await store.close()
