"""Turn the records of a running service into candles on disk, and forget the old ones."""

import asyncio
import sqlite3
from collections.abc import Mapping

import structlog
from msgspec import Struct

from volgauge.domain.history import (
    ASK,
    BID,
    RESOLUTIONS_SECONDS,
    Candle,
    CandleSeries,
    observed,
    part_of,
    parts,
)
from volgauge.domain.index import IndexValue, Source, SurfaceValue, tenor_label
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.history.candles import PRICE, CandleBuilder
from volgauge.history.store import HistoryStore
from volgauge.settings import HistorySettings

HEADLINE_RESOLUTION_SECONDS = 1
"""Of the headline and of its band."""
RESOLUTION_SECONDS = 60
"""Of every other series."""
WRITE_SECONDS = 5.0
PRUNE_EVERY = 12
"""Writes from one pruning to the next."""
MAX_WAITING = 3_600
"""Candles of a series that wait while the file cannot be written; the oldest go first."""
DAY_SECONDS = 86_400

_Series = tuple[str, str]

log = structlog.get_logger("volgauge")


class HistoryStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    written: int = 0
    """Candles handed to the file."""
    pruned: int = 0
    """Candles forgotten by age."""
    failed: int = 0
    """Writes that the file refused; they are tried again."""
    lost: int = 0
    """Candles given up, because the file refused for too long."""
    gaps: int = 0
    """Times that a series went on after spans without a candle."""


class HistoryKeeper:
    """Feeds candle builders from `take`; `run` writes what they close, off the loop."""

    def __init__(
        self,
        store: HistoryStore,
        source: Source,
        *,
        settings: HistorySettings | None = None,
        headline: str = "30d",
    ) -> None:
        """Prepare.

        Args:
            store: Not open yet.
            source: Of the records; no other is read or pruned.
            settings: How long candles are kept; None is the default.
            headline: Series that has candles of a second, a band and the venues beside it.
        """
        self.stats = HistoryStats()
        self._store = store
        self._source = source
        self._headline = headline
        self._keep_seconds = _keep_seconds(settings or HistorySettings())
        self._builders: dict[_Series, CandleBuilder] = {}
        self._closed: dict[_Series, list[Candle]] = {}
        self._seen_ns: dict[_Series, int] = {}
        self._written_ns: dict[_Series, int] = {}
        """What was computed until then is in the file, or was nothing."""
        self._is_failing = False

    async def open(self) -> None:
        """Open the store.

        Raises:
            InputError: Its path is no writable SQLite file of ours.
        """
        await self._store.open()

    def take(self, record: IndexValue | SurfaceValue) -> None:
        """Add one record; a repeated or missing value adds nothing."""
        if isinstance(record, IndexValue):
            asset, tenor = record.asset, tenor_label(record.tenor_days)
            if tenor != self._headline:
                self._add((asset, tenor), record.computed_ns, observed(record), RESOLUTION_SECONDS)
                return
            fine = HEADLINE_RESOLUTION_SECONDS
            self._add((asset, tenor), record.computed_ns, observed(record), fine)
            for part, value in parts(record):
                width = fine if part in {BID, ASK} else RESOLUTION_SECONDS
                self._add((asset, part_of(tenor, part)), record.computed_ns, value, width)
        else:
            price = (record.asset, PRICE)
            self._add(price, record.computed_ns, record.index_price, RESOLUTION_SECONDS)

    async def run(self) -> None:
        """Write every few seconds until cancelled, and the unfinished candles then."""
        turns = 0
        try:
            while True:
                await asyncio.sleep(WRITE_SECONDS)
                await self.write()
                turns += 1
                if turns % PRUNE_EVERY == 0:
                    await self.prune()
        finally:
            for series, builder in self._builders.items():
                candle = builder.take()
                if candle is not None:
                    self._closed.setdefault(series, []).append(candle)
            await self.write()
            await self.close()

    async def close(self) -> None:
        """Close the store; `run` does so at its end."""
        await self._store.close()

    async def query(
        self,
        asset: str,
        series: str,
        *,
        start_s: int,
        end_s: int,
        resolution_seconds: int,
        newest: int | None = None,
    ) -> CandleSeries:
        """Read candles, of this service's own source only; arguments and errors are the store's."""
        written_ns = self._written_ns.get((asset, series))
        return await self._store.query(
            asset,
            series,
            start_s=start_s,
            end_s=end_s,
            resolution_seconds=resolution_seconds,
            source=self._source,
            newest=newest,
            complete_s=None if written_ns is None else written_ns // NANOS_PER_SECOND,
        )

    async def held(self, asset: str) -> dict[str, tuple[int, ...]]:
        """What is stored of an asset, of this service's own source: resolutions by series."""
        return await self._store.held(asset, self._source)

    async def assets(self) -> tuple[str, ...]:
        """Every asset of which this service's own source has stored something, sorted."""
        return await self._store.assets(self._source)

    async def catalogue(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """`held` of every asset."""
        return {asset: await self.held(asset) for asset in await self.assets()}

    async def fill(self, candles: Mapping[tuple[str, str, int], list[Candle]]) -> None:
        """Insert whole series, (asset, series, resolution) to candles, e.g. a simulated past."""
        for (asset, series, resolution), rows in candles.items():
            await self._store.insert(asset, series, self._source, resolution, rows)

    async def write(self) -> None:
        """Put what is closed into the file; what the file refuses waits for the next time."""
        closed, self._closed = self._closed, {}
        seen_ns = dict(self._seen_ns)
        try:
            self.stats.written += await self._store.insert_all(
                self._source,
                {
                    (*series, self._builders[series].resolution_seconds): candles
                    for series, candles in closed.items()
                },
            )
        except asyncio.CancelledError:
            # The insert under way may still happen: a candle that comes twice changes nothing.
            self._put_back(closed)
            raise
        except sqlite3.Error as error:
            self.stats.failed += 1
            self._put_back(closed)
            if not self._is_failing:
                self._is_failing = True
                log.exception("history.write_failed", error=str(error))
            return
        self._written_ns = seen_ns
        if self._is_failing:
            self._is_failing = False
            log.info("history.write_recovered", failed=self.stats.failed, lost=self.stats.lost)

    async def prune(self) -> None:
        """Forget what is older than the settings say, counted from the newest record."""
        if not self._written_ns or self._is_failing:
            return
        now_s = max(self._written_ns.values()) // NANOS_PER_SECOND
        before_s = {
            resolution: now_s - seconds for resolution, seconds in self._keep_seconds.items()
        }
        try:
            self.stats.pruned += await self._store.prune(self._source, before_s)
        except sqlite3.Error as error:
            self.stats.failed += 1
            log.exception("history.prune_failed", error=str(error))

    def _add(
        self, series: _Series, instant_ns: int, value: float | None, resolution_seconds: int
    ) -> None:
        builder = self._builders.get(series)
        if builder is None:
            builder = self._builders[series] = CandleBuilder(resolution_seconds)
        self._seen_ns[series] = instant_ns
        gaps = builder.gaps
        closed = builder.add(instant_ns, value)
        self.stats.gaps += builder.gaps - gaps
        if closed is not None:
            self._closed.setdefault(series, []).append(closed)

    def _put_back(self, refused: Mapping[_Series, list[Candle]]) -> None:
        for series, candles in refused.items():
            waiting = [*candles, *self._closed.get(series, [])]
            self.stats.lost += max(0, len(waiting) - MAX_WAITING)
            self._closed[series] = waiting[-MAX_WAITING:]


def _keep_seconds(settings: HistorySettings) -> dict[int, int]:
    """Seconds to keep by resolution; what is kept for ever is absent."""
    days = (
        settings.keep_1s_days,
        settings.keep_1m_days,
        settings.keep_5m_days,
        settings.keep_15m_days,
        settings.keep_1h_days,
        settings.keep_4h_days,
        settings.keep_12h_days,
        settings.keep_1d_days,
    )
    return {
        resolution: round(kept * DAY_SECONDS)
        for resolution, kept in zip(RESOLUTIONS_SECONDS, days, strict=True)
        if kept > 0.0
    }
