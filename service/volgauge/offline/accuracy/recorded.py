"""Recorded option chains with the exchange's own index at the same instant.

The folder is the one that VOLGAUGE_TEST_DATA names: `chains/deribit_chains_*.parquet` (premiums in
the coin) and `chains/pairs_public.csv` (the index between its hourly closes). Parquet is read by
duckdb, which a development environment has and the service does not need.
"""

import csv
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant, years_between
from volgauge.errors import InputError
from volgauge.index.maturity import Bracket, find_listed_bracket
from volgauge.offline.accuracy.boards import CALL, COIN_TICKS, PUT, Board
from volgauge.offline.chain import ChainQuote

TENOR_YEARS = 30.0 / 365.0
QUIET_HOUR = 0.1
"""Points that the exchange's index moves within a quiet hour."""

_COLUMNS = (
    "epoch_ms(ts) as ts, currency, epoch_ms(expiry) as expiry, strike, cp, "
    "coalesce(bid, 'nan'::double) as bid, coalesce(ask, 'nan'::double) as ask, "
    "coalesce(mark, 'nan'::double) as mark, underlying_price"
)


class Snapshot(Struct, frozen=True, kw_only=True):
    """One whole chain."""

    at_ns: int
    currency: str
    quotes: tuple[ChainQuote, ...]
    dvol: float
    """The exchange's index, interpolated between its hourly closes; NaN unknown."""
    hour_change: float
    """Between the two closes."""

    @property
    def is_quiet(self) -> bool:
        """The index hardly moved within the hour, so its interpolation is good."""
        return abs(self.hour_change) < QUIET_HOUR

    @property
    def expiries(self) -> tuple[int, ...]:
        """Instants of expiry after the snapshot, ascending."""
        return tuple(sorted({q.expiry_ns for q in self.quotes if q.expiry_ns > self.at_ns}))

    def bracket(self) -> tuple[int, int, Bracket] | None:
        """The listed expiries around 30 days and their weights; None without both sides."""
        expiries = self.expiries
        years = [years_between(self.at_ns, expiry) for expiry in expiries]
        found = find_listed_bracket(years, TENOR_YEARS)
        if not isinstance(found, Bracket):
            return None
        return expiries[found.near], expiries[found.far], found


def read_snapshots(folder: Path) -> list[Snapshot]:
    """Every recorded chain, by currency and time.

    Raises:
        InputError: The folder does not hold the files, or nothing here can read parquet.
    """
    try:
        import duckdb  # noqa: PLC0415 - only this command needs it
    except ImportError as error:
        raise InputError("reading recorded chains takes duckdb: pip install duckdb") from error
    chains = folder / "chains"
    files = sorted(str(path) for path in chains.glob("deribit_chains_*.parquet"))
    pairs = chains / "pairs_public.csv"
    if not files or not pairs.is_file():
        raise InputError(f"{chains}: expected deribit_chains_*.parquet and pairs_public.csv")
    known = _read_pairs(pairs)
    table: dict[str, Any] = duckdb.execute(
        f"select {_COLUMNS} from read_parquet($1)",  # noqa: S608 - a constant list of columns
        [files],
    ).fetchnumpy()
    names = ("ts", "currency", "expiry", "strike", "cp", "bid", "ask", "mark", "underlying_price")
    columns = [np.ma.filled(table[name]).tolist() for name in names]
    found: dict[tuple[str, int], list[ChainQuote]] = {}
    for stamp, currency, expiry, strike, kind, bid, ask, mark, forward in zip(
        *columns, strict=True
    ):
        found.setdefault((currency, stamp), []).append(
            ChainQuote(
                expiry_ns=expiry * NANOS_PER_MILLI,
                strike=strike,
                kind=OptionKind(kind),
                bid=bid,
                ask=ask,
                mark=mark,
                forward=forward,
            )
        )
    snapshots = []
    for (currency, stamp), quotes in sorted(found.items(), key=lambda item: item[0]):
        at_ns, dvol, change = known.get((currency, stamp), (stamp * NANOS_PER_MILLI, nan, nan))
        snapshots.append(
            Snapshot(
                at_ns=at_ns,
                currency=currency,
                quotes=tuple(quotes),
                dvol=dvol,
                hour_change=change,
            )
        )
    return snapshots


def board_of(snapshot: Snapshot, expiry_ns: int) -> Board:
    """One expiry of a chain as arrays."""
    quotes = [q for q in snapshot.quotes if q.expiry_ns == expiry_ns]
    strike = np.array(sorted({q.strike for q in quotes}))
    place = {float(value): i for i, value in enumerate(strike)}
    bid, ask, mark = (np.full((2, len(strike)), np.nan) for _ in range(3))
    for q in quotes:
        leg = CALL if q.kind is OptionKind.CALL else PUT
        cell = leg, place[q.strike]
        bid[cell], ask[cell], mark[cell] = q.bid, q.ask, q.mark
    return Board(
        strike=strike,
        bid=bid,
        ask=ask,
        mark=mark,
        years=years_between(snapshot.at_ns, expiry_ns),
        ticks=COIN_TICKS,
    )


def forward_of(snapshot: Snapshot, expiry_ns: int) -> float:
    """The venue's own forward of one expiry; NaN when it gives none."""
    given = [q.forward for q in snapshot.quotes if q.expiry_ns == expiry_ns]
    return float(np.median(given)) if given else nan


def quotes_of(board: Board, expiry_ns: int, forward: float) -> list[ChainQuote]:
    """A board as quotes again."""
    return [
        ChainQuote(
            expiry_ns=expiry_ns,
            strike=float(strike),
            kind=(OptionKind.CALL, OptionKind.PUT)[leg],
            bid=float(board.bid[leg, place]),
            ask=float(board.ask[leg, place]),
            mark=float(board.mark[leg, place]),
            forward=forward,
        )
        for place, strike in enumerate(board.strike)
        for leg in (CALL, PUT)
    ]


def _read_pairs(path: Path) -> dict[tuple[str, int], tuple[int, float, float]]:
    """(currency, ms) -> (instant in ns, index, its change within the hour)."""
    known = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            at_ns = parse_instant(row["ts"])
            dvol = change = nan
            if row["dvol_ref"]:
                dvol = float(row["dvol_ref"])
                change = float(row["dvol_hour_close"]) - float(row["dvol_prev_hour_close"])
            known[row["currency"], at_ns // NANOS_PER_MILLI] = (at_ns, dvol, change)
    return known
