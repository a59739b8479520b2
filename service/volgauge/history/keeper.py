"""Turn the records of a running service into minute candles on disk."""

import asyncio
from collections.abc import Mapping

from volgauge.domain.index import IndexValue, Source, SurfaceValue, tenor_label
from volgauge.history.candles import PRICE, Candle, CandleBuilder, observed
from volgauge.history.store import CandleSeries, HistoryStore

RESOLUTION_SECONDS = 60
WRITE_SECONDS = 5.0

_Series = tuple[str, str]


class HistoryKeeper:
    """Feeds candle builders from `take`; `run` writes what they close, off the loop."""

    def __init__(self, store: HistoryStore, source: Source) -> None:
        self._store = store
        self._source = source
        self._builders: dict[_Series, CandleBuilder] = {}
        self._closed: dict[_Series, list[Candle]] = {}

    async def open(self) -> None:
        """Open the store.

        Raises:
            InputError: Its path is no writable SQLite file of ours.
        """
        await self._store.open()

    def take(self, record: IndexValue | SurfaceValue) -> None:
        """Add one record; a repeated or missing value adds nothing."""
        if isinstance(record, IndexValue):
            series = (record.asset, tenor_label(record.tenor_days))
            self._add(series, record.computed_ns, observed(record))
        else:
            self._add((record.asset, PRICE), record.computed_ns, record.index_price)

    async def run(self) -> None:
        """Write every few seconds until cancelled, and the unfinished candles then."""
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self._write()
        finally:
            for series, builder in self._builders.items():
                candle = builder.take()
                if candle is not None:
                    self._closed.setdefault(series, []).append(candle)
            await self._write()
            await self._store.close()

    async def query(
        self, asset: str, series: str, *, start_s: int, end_s: int, resolution_seconds: int
    ) -> CandleSeries:
        """Read candles, of this service's own source only; the errors are the store's."""
        return await self._store.query(
            asset,
            series,
            start_s=start_s,
            end_s=end_s,
            resolution_seconds=resolution_seconds,
            source=self._source,
        )

    async def held(self, asset: str) -> dict[str, tuple[int, ...]]:
        """What is stored of an asset, of this service's own source: resolutions by series."""
        return await self._store.held(asset, self._source)

    async def assets(self) -> tuple[str, ...]:
        """Every asset of which this service's own source has stored something, sorted."""
        return await self._store.assets(self._source)

    async def fill(self, candles: Mapping[tuple[str, str, int], list[Candle]]) -> None:
        """Insert whole series, (asset, series, resolution) to candles, e.g. a simulated past."""
        for (asset, series, resolution), rows in candles.items():
            await self._store.insert(asset, series, self._source, resolution, rows)

    def _add(self, series: _Series, instant_ns: int, value: float | None) -> None:
        builder = self._builders.get(series)
        if builder is None:
            builder = self._builders[series] = CandleBuilder(RESOLUTION_SECONDS)
        closed = builder.add(instant_ns, value)
        if closed is not None:
            self._closed.setdefault(series, []).append(closed)

    async def _write(self) -> None:
        closed, self._closed = self._closed, {}
        for (asset, series), candles in closed.items():
            await self._store.insert(asset, series, self._source, RESOLUTION_SECONDS, candles)
