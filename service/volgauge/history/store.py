"""Candles on disk: one SQLite file in write-ahead mode, all of its I/O in one thread.

Whoever inserts candles of a second or a minute finds the wider ones made of them, up to a day.
Candles of live, simulated and replayed input may lie in one file; one answer never mixes them.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias, TypeVar

from volgauge.domain.history import MAX_CANDLES, RESOLUTIONS_SECONDS, Candle, CandleSeries
from volgauge.domain.index import Source
from volgauge.errors import InputError, VolgaugeError
from volgauge.history.candles import find_gaps

BUSY_SECONDS = 5.0
PRUNE_ROWS = 10_000
"""In one transaction: queries wait for no more than that."""
MAX_SECOND = 2**53
"""Later than any candle, and still an integer to SQLite."""
SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS candle (
  asset      TEXT    NOT NULL,
  series     TEXT    NOT NULL,              -- tenor label (30d) or price
  source     TEXT    NOT NULL,              -- live, simulated or replay
  resolution INTEGER NOT NULL,              -- seconds
  opened     INTEGER NOT NULL,              -- seconds since 1970-01-01 UTC
  open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL,
  PRIMARY KEY (asset, series, source, resolution, opened)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (           -- what there is, without a search through it
  asset TEXT NOT NULL, series TEXT NOT NULL, source TEXT NOT NULL, resolution INTEGER NOT NULL,
  PRIMARY KEY (asset, series, source, resolution)
) WITHOUT ROWID;
"""
# A second candle of the same span continues the first: a restart in mid-minute loses nothing.
_CONTINUE = """
ON CONFLICT DO UPDATE SET
  high = max(high, excluded.high), low = min(low, excluded.low), close = excluded.close
"""
_INSERT = f"INSERT INTO candle VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) {_CONTINUE}"  # noqa: S608 - constants
_WIDEN = f"""
WITH fine AS (
  SELECT opened, open, high, low, close FROM candle
  WHERE asset = :asset AND series = :series AND source = :source AND resolution = :fine
    AND opened >= :first / :wide * :wide AND opened < (:last / :wide + 1) * :wide
), span AS (
  SELECT opened / :wide * :wide AS started, min(opened) AS first, max(opened) AS last,
         max(high) AS high, min(low) AS low
  FROM fine GROUP BY started
)
INSERT INTO candle
SELECT :asset, :series, :source, :wide, span.started, head.open, span.high, span.low, tail.close
FROM span JOIN fine AS head ON head.opened = span.first JOIN fine AS tail ON tail.opened = span.last
WHERE true {_CONTINUE}
"""  # noqa: S608 - constants
_HOLD = "INSERT OR IGNORE INTO held VALUES (?, ?, ?, ?)"
_SELECT = """
SELECT opened, open, high, low, close FROM candle
WHERE asset = ? AND series = ? AND source = ? AND resolution = ? AND opened >= ? AND opened < ?
ORDER BY opened DESC LIMIT ?
"""
_ENDS = """
SELECT min(opened), max(opened) FROM candle
WHERE asset = ? AND series = ? AND source = ? AND resolution = ?
"""
_KEYS = "SELECT asset, series FROM held WHERE source = ? AND resolution = ?"
_PRUNE = """
DELETE FROM candle
WHERE asset = :asset AND series = :series AND source = :source AND resolution = :resolution
  AND opened < :before AND opened <= (
    SELECT max(opened) FROM (
      SELECT opened FROM candle
      WHERE asset = :asset AND series = :series AND source = :source AND resolution = :resolution
      ORDER BY opened LIMIT :rows))
"""
_ALL_HELD = """
SELECT series, resolution FROM held WHERE asset = ? AND source = ? ORDER BY series, resolution
"""
_HELD = "SELECT DISTINCT source FROM held WHERE asset = ? AND series = ? AND resolution = ?"
_ASSETS = "SELECT DISTINCT asset FROM held WHERE source = ? ORDER BY asset"

Answer = TypeVar("Answer")
Row: TypeAlias = tuple[str, str, str, int, int, float, float, float, float]


class NoHistory(VolgaugeError):
    """Nothing is stored of what was asked for."""


class MixedSources(VolgaugeError):
    """Several sources are stored and none was named; `sources` lists them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        names = [source.value for source in sources]
        super().__init__(f"expected a source, one of {', '.join(names)}")
        self.sources = tuple(sources)


class HistoryUnreadable(VolgaugeError):
    """The file does not answer: locked, full or damaged."""

    retryable = True


class RangeTooLong(VolgaugeError):
    """The answer would exceed MAX_CANDLES."""


class HistoryStore:
    """The file. Open it before use, close it at the end."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")

    async def open(self) -> None:
        """Open the file, make it when it is absent.

        Raises:
            InputError: The path is no writable SQLite file of ours.
        """
        await self._run(self._open)

    async def close(self) -> None:
        """Finish what is queued and close; harmless when not open."""
        await self._run(self._close)
        self._thread.shutdown()

    async def insert(
        self,
        asset: str,
        series: str,
        source: Source,
        resolution_seconds: int,
        candles: Iterable[Candle],
    ) -> int:
        """Store candles, and the wider ones that they belong to; returns how many were given.

        A candle of a span that is stored already continues it: its open is kept, the extremes
        are widened, the close is replaced.

        Raises:
            ValueError: The resolution is none of RESOLUTIONS_SECONDS.
        """
        return await self.insert_all(source, {(asset, series, resolution_seconds): candles})

    async def insert_all(
        self, source: Source, candles: Mapping[tuple[str, str, int], Iterable[Candle]]
    ) -> int:
        """`insert` of many series in one transaction: all of them, or none.

        Args:
            source: Of all of them.
            candles: By asset, series and resolution in seconds.

        Returns:
            How many were given.

        Raises:
            ValueError: A resolution is none of RESOLUTIONS_SECONDS.
        """
        groups: list[list[Row]] = []
        for (asset, series, resolution_seconds), given in candles.items():
            _require_resolution(resolution_seconds)
            key = (asset, series, source.value, resolution_seconds)
            groups.append([(*key, *_row_of(candle)) for candle in given])
        groups = [rows for rows in groups if rows]
        if groups:
            await self._run(lambda: self._insert(groups))
        return sum(map(len, groups))

    async def query(
        self,
        asset: str,
        series: str,
        *,
        start_s: int,
        end_s: int,
        resolution_seconds: int,
        source: Source | None = None,
        newest: int | None = None,
        complete_s: int | None = None,
    ) -> CandleSeries:
        """Read the candles that open in [start_s, end_s).

        Args:
            asset: Upper-case ticker.
            series: Tenor label or `price`.
            start_s: Seconds since 1970-01-01 UTC.
            end_s: Excluded.
            resolution_seconds: One of RESOLUTIONS_SECONDS.
            source: None is fine as long as the file holds one source of this series.
            newest: Only the last so many of the range, which may then be of any length; gaps are
                told from the first of them on.
            complete_s: All that was observed before this second is in the file: an absent span is
                a gap. None: nothing is known beyond the newest candle.

        Raises:
            ValueError: The resolution is none of RESOLUTIONS_SECONDS.
            NoHistory: Nothing is stored of this series, or nothing so fine.
            MixedSources: Several sources are stored and none was named.
            RangeTooLong: More than MAX_CANDLES would be returned.
            HistoryUnreadable: The file does not answer.
        """
        _require_resolution(resolution_seconds)
        wanted = (end_s - start_s) // resolution_seconds if newest is None else newest
        if wanted > MAX_CANDLES:
            raise RangeTooLong(
                f"expected at most {MAX_CANDLES} candles; take a shorter range or a coarser one"
            )
        start_s, end_s = (min(max(second, 0), MAX_SECOND) for second in (start_s, end_s))
        try:
            return await self._run(
                lambda: self._query(
                    (asset, series), source, resolution_seconds, start_s, end_s, newest, complete_s
                )
            )
        except sqlite3.Error as error:
            raise HistoryUnreadable(f"{self._path.name}: {error}") from error

    async def prune(self, source: Source, before_s: Mapping[int, int]) -> int:
        """Delete the candles of a source that open before an instant, by resolution.

        The file does not shrink: what is freed is used again.

        Args:
            source: No other source's candles are touched.
            before_s: Seconds since 1970-01-01 UTC by resolution in seconds.

        Returns:
            How many were deleted.
        """
        deleted = 0
        for resolution, before in before_s.items():
            for key in await self._run(partial(self._keys, source, resolution)):
                work = partial(self._prune, key, source, resolution, before)
                more = PRUNE_ROWS
                while more == PRUNE_ROWS:
                    more = await self._run(work)
                    deleted += more
        return deleted

    async def held(self, asset: str, source: Source) -> dict[str, tuple[int, ...]]:
        """What is stored of an asset: the resolutions in seconds by series; empty: nothing."""
        return await self._run(lambda: self._held(asset, source))

    async def assets(self, source: Source) -> tuple[str, ...]:
        """Every asset of which candles of a source are stored, sorted."""
        return await self._run(lambda: self._assets(source))

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                self._require_version(connection)
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise InputError(f"{self._path}: {error}") from error
        self._connection = connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the history store is not open")
        return self._connection

    def _require_version(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, SCHEMA_VERSION}:
            raise InputError(
                f"{self._path}: expected history version {SCHEMA_VERSION}, received {version}"
            )

    def _insert(self, groups: list[list[Row]]) -> None:
        with self._open_connection as transaction:
            for rows in groups:
                _insert_series(transaction, rows)

    def _assets(self, source: Source) -> tuple[str, ...]:
        found = self._open_connection.execute(_ASSETS, (source.value,))
        return tuple(row[0] for row in found)

    def _query(
        self,
        name: tuple[str, str],
        source: Source | None,
        resolution: int,
        start_s: int,
        end_s: int,
        newest: int | None,
        complete_s: int | None,
    ) -> CandleSeries:
        connection = self._open_connection
        held = connection.execute(_HELD, (*name, resolution))
        sources = [Source(row[0]) for row in held]
        asset, series = name
        if not sources or (source is not None and source not in sources):
            kind = f"{source.value} history" if source is not None else "history"
            raise NoHistory(f"no {kind} of {asset} {series} at {resolution} s")
        if source is None:
            if len(sources) > 1:
                raise MixedSources(sources)
            [source] = sources
        key = (*name, source.value, resolution)
        limit = MAX_CANDLES + 1 if newest is None else newest
        rows = connection.execute(_SELECT, (*key, start_s, end_s, limit)).fetchall()
        oldest, last = connection.execute(_ENDS, key).fetchone()
        candles = tuple(Candle(*row) for row in reversed(rows))
        if oldest is None:  # everything was pruned
            gaps: tuple[tuple[int, int], ...] = ()
        else:
            first_s = max(oldest, -(-start_s // resolution) * resolution)
            if newest is not None and len(candles) >= newest:
                first_s = candles[0].opened_s if candles else end_s
            over_s = max(last + resolution, (complete_s or 0) // resolution * resolution)
            until_s = min(over_s, -(-end_s // resolution) * resolution)
            gaps = find_gaps((c.opened_s for c in candles), resolution, first_s, until_s)
        return CandleSeries(
            asset=asset,
            series=series,
            source=source,
            resolution_seconds=resolution,
            candles=candles,
            gaps=gaps,
        )

    def _keys(self, source: Source, resolution: int) -> list[tuple[str, str]]:
        return self._open_connection.execute(_KEYS, (source.value, resolution)).fetchall()

    def _prune(self, name: tuple[str, str], source: Source, resolution: int, before_s: int) -> int:
        asset, series = name
        with self._open_connection as transaction:
            return transaction.execute(
                _PRUNE,
                {
                    "asset": asset,
                    "series": series,
                    "source": source.value,
                    "resolution": resolution,
                    "before": before_s,
                    "rows": PRUNE_ROWS,
                },
            ).rowcount

    def _held(self, asset: str, source: Source) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for series, resolution in self._open_connection.execute(_ALL_HELD, (asset, source.value)):
            found[series] = (*found.get(series, ()), resolution)
        return found


def _insert_series(transaction: sqlite3.Connection, rows: list[Row]) -> None:
    """Insert candles of one series and resolution, and make the wider ones of them."""
    asset, series, source, resolution_seconds = rows[0][:4]
    opened = [row[4] for row in rows]
    span = {
        "asset": asset,
        "series": series,
        "source": source,
        "first": min(opened),
        "last": max(opened),
    }
    transaction.executemany(_INSERT, rows)
    transaction.execute(_HOLD, (asset, series, source, resolution_seconds))
    at = RESOLUTIONS_SECONDS.index(resolution_seconds)
    for fine, wide in pairwise(RESOLUTIONS_SECONDS[at:]):
        transaction.execute(_WIDEN, {**span, "fine": fine, "wide": wide})
        transaction.execute(_HOLD, (asset, series, source, wide))


def _require_resolution(resolution_seconds: int) -> None:
    if resolution_seconds not in RESOLUTIONS_SECONDS:
        raise ValueError(f"expected one of {RESOLUTIONS_SECONDS}, received {resolution_seconds}")


def _row_of(candle: Candle) -> tuple[int, float, float, float, float]:
    return candle.opened_s, candle.open, candle.high, candle.low, candle.close
