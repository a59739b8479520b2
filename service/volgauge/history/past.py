"""What the analytics must know of the past before the first tick, read out of the history."""

from volgauge.analytics.asset import Past
from volgauge.analytics.bars import Bar
from volgauge.domain.history import Candle
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.history.candles import PRICE
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.store import NoHistory

DAY_SECONDS = 86_400
PRICE_DAYS = 400
"""The forecast of realised volatility is fitted on them."""
PRICE_MINUTES = 2 * 1_440
INDEX_DAYS = 400
"""Rank and percentile look back 365."""
CLOSE_SECONDS = 300
CLOSES = 7 * DAY_SECONDS // CLOSE_SECONDS
"""Spillovers look back 7 days in steps of 5 minutes."""


async def read_pasts(keeper: HistoryKeeper, headline: str, now_ns: int) -> dict[Asset, Past]:
    """Read the past of every asset that has one, of this service's own source.

    Args:
        keeper: The open history.
        headline: Series of the headline index, `30d`.
        now_ns: Candles that are not over by then are left out.
    """
    pasts = {}
    for asset in await keeper.assets():
        days = await _closed(keeper, asset, PRICE, DAY_SECONDS, PRICE_DAYS, now_ns)
        minutes = await _closed(keeper, asset, PRICE, 60, PRICE_MINUTES, now_ns)
        index_days = await _closed(keeper, asset, headline, DAY_SECONDS, INDEX_DAYS, now_ns)
        closes = await _closed(keeper, asset, headline, CLOSE_SECONDS, CLOSES, now_ns)
        pasts[Asset(asset)] = Past(
            price_days=[_bar(candle) for candle in days],
            price_minutes=[_bar(candle) for candle in minutes],
            index_days=[(c.opened_s * NANOS_PER_SECOND, c.close) for c in index_days],
            index_closes=[
                ((c.opened_s + CLOSE_SECONDS) * NANOS_PER_SECOND, c.close) for c in closes
            ],
        )
    return pasts


async def _closed(
    keeper: HistoryKeeper, asset: str, series: str, seconds: int, count: int, now_ns: int
) -> tuple[Candle, ...]:
    """The newest candles that are over; none when there is no such series."""
    now_s = now_ns // NANOS_PER_SECOND
    end_s = now_s - now_s % seconds
    try:
        found = await keeper.query(
            asset,
            series,
            start_s=end_s - count * seconds,
            end_s=end_s,
            resolution_seconds=seconds,
        )
    except NoHistory:
        return ()
    return found.candles


def _bar(candle: Candle) -> Bar:
    return Bar(
        candle.opened_s * NANOS_PER_SECOND, candle.open, candle.high, candle.low, candle.close
    )
