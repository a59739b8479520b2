"""The venue's own volatility index of the past, for `get_volatility_index_data`."""

import numpy as np

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator.history import Candles, make_history, tenor_name
from volgauge.simulator.market import HEADLINE_DAYS, Market
from volgauge.simulator.public_api import candles_of
from volgauge.simulator.venue import Venue

HISTORY_DAYS = 42.0
MAX_SECONDS = 86_400


class VolIndexMemory:
    """Values seen since the start, and before it the market's simulated history."""

    def __init__(self, market: Market | None) -> None:
        self._market = market
        self._history: list[Candles] | None = None
        self._seen: dict[str, tuple[list[int], list[float]]] = {}

    def remember(self, venue: Venue) -> None:
        """Keep one value a second of every volatility index."""
        stamp = venue.source.now_ns // NANOS_PER_SECOND * 1000
        for board in venue.source.boards:
            index = board.terms.index_name
            times, values = self._seen.setdefault(index, ([], []))
            is_new = not times or times[-1] < stamp
            if index in venue.vol_indices and is_new and not np.isnan(board.vol_index):
                times.append(stamp)
                values.append(round(board.vol_index, 4))
                del times[:-MAX_SECONDS], values[:-MAX_SECONDS]

    def candles(
        self, index: str, start_ms: int, end_ms: int, resolution_seconds: int
    ) -> list[list[float]]:
        """Rows of [open time in ms, open, high, low, close] between two instants."""
        times, values = self._past(index, resolution_seconds)
        seen_times, seen_values = self._seen.get(index, ([], []))
        rows = candles_of(times + seen_times, values + seen_values, resolution_seconds)
        return [row for row in rows if start_ms <= row[0] <= end_ms]

    def _past(self, index: str, resolution_seconds: int) -> tuple[list[int], list[float]]:
        if self._market is None:
            return [], []
        if self._history is None:
            self._history = make_history(self._market, days=HISTORY_DAYS)
        width = 3600 if resolution_seconds >= 3600 else 60
        start_ms = self._market.options.start_ns // NANOS_PER_MILLI
        oldest = start_ms - int(HISTORY_DAYS * NANOS_PER_DAY / NANOS_PER_MILLI)
        for candles in self._history:
            same = candles.asset == index.partition("_")[0].upper()
            if (
                same
                and candles.series == tenor_name(HEADLINE_DAYS)
                and candles.resolution_seconds == width
            ):
                # Four points a candle keep its extremes; the order inside it is of no account.
                opened = candles.open_ns // NANOS_PER_MILLI
                quarter = width * 250
                points = np.stack([opened + quarter * place for place in range(4)], axis=1)
                prices = np.stack([candles.open, candles.high, candles.low, candles.close], axis=1)
                chosen = points.ravel() >= oldest
                return points.ravel()[chosen].tolist(), np.round(prices.ravel()[chosen], 4).tolist()
        return [], []
