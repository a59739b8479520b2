"""A real chain from a CSV file, served over the simulated wire, re-dated to be alive now.

All expiries move by one whole number of days, so 08:00 UTC stays 08:00 UTC; prices are shown
exactly as the file has them and stand still. Only the clock and the index go on ticking.
"""

import csv
import gzip
import io
import math
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, parse_instant
from volgauge.errors import InputError
from volgauge.simulator import pricing
from volgauge.simulator.board import Board, Notice, QuoteBatch, Step
from volgauge.simulator.listing import TERMS, Expiry, Terms

FUTURE_HALF_SPREAD = 0.25
"""A power of two: bid and ask are exact, and so is their mean, the file's forward."""
LISTED_DAYS = 30
"""The file does not say when a contract was listed: long ago."""
DEFAULT_SIZE = 1.0
_REQUIRED = ("expiry", "strike", "kind", "bid", "ask")
_MILLISECOND_DIGITS = 13


class ChainRow(Struct, frozen=True, kw_only=True):
    """One option as the file has it; NaN is an empty cell."""

    expiry_ns: int
    strike: float
    is_call: bool
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    mark: float
    open_interest: float
    forward: float


class ChainFile(Struct, frozen=True):
    """A chain before it is re-dated."""

    rows: list[ChainRow]
    snapshot_ns: int
    """Newest `timestamp`; without the column a day before the first expiry."""


def read_file(path: Path) -> ChainFile:
    """Read a CSV chain.

    Raises:
        InputError: Not readable, a column is missing or a cell is no number; names the line.
    """
    header, lines = _read_cells(path)
    stamps: list[int] = []
    rows: list[ChainRow] = []
    for number, cells in enumerate(lines, 2):
        row = dict(zip(header, cells, strict=False))
        try:
            rows.append(_chain_row(row))
            if row.get("timestamp", "").strip():
                stamps.append(parse_instant(row["timestamp"]))
        except (KeyError, ValueError) as error:
            raise InputError(f"{path}, line {number}: {error}") from error
    if not rows:
        raise InputError(f"{path}: expected rows below the header, found none")
    first = min(row.expiry_ns for row in rows)
    return ChainFile(rows, max(stamps, default=first - NANOS_PER_DAY))


def shift_days(snapshot_ns: int, now_ns: int) -> int:
    """Whole days that bring a snapshot to the 24 hours after `now_ns`.

    Not before it: every option that was alive in the snapshot is still alive then.
    """
    return math.ceil((now_ns - snapshot_ns) / NANOS_PER_DAY)


def redate_chain(path: Path, out_path: Path, now_ns: int, *, days: int | None = None) -> int:
    """Write the file with `expiry` and `timestamp` moved by whole days; returns the days.

    Every other cell keeps its bytes. The simulator started at `now_ns` serves the same dates.

    Raises:
        InputError: The file cannot be read.
    """
    header, lines = _read_cells(path)
    if days is None:
        days = shift_days(read_file(path).snapshot_ns, now_ns)
    dated = [place for place, name in enumerate(header) if name in ("expiry", "timestamp")]
    with out_path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for cells in lines:
            for place in dated:
                if place < len(cells) and cells[place].strip():
                    cells[place] = _shift_cell(cells[place].strip(), days)
            writer.writerow(cells)
    return days


class ChainSource:
    """A board that stands still: the quotes are sent again in turn, `rate` a second."""

    def __init__(
        self,
        path: Path,
        *,
        asset: str,
        start_ns: int,
        rate: float,
        step_ns: int,
        days: int | None = None,
    ) -> None:
        chain = read_file(path)
        self.days = shift_days(chain.snapshot_ns, start_ns) if days is None else days
        self.now_ns = start_ns
        self.step_ns = step_ns
        self._rate = rate
        self._budget = 0.0
        self._next = 0
        shift = self.days * NANOS_PER_DAY
        by_expiry: defaultdict[int, list[ChainRow]] = defaultdict(list)
        for row in chain.rows:
            by_expiry[row.expiry_ns + shift].append(row)
        board = Board(_terms(asset), first_number=100_000)
        board.exact = True
        for expiry_ns in sorted(by_expiry):
            _fill(board, expiry_ns, by_expiry[expiry_ns], start_ns)
        known = board.forward[~np.isnan(board.forward)]
        board.index_price = float(known[0]) if len(known) else float(np.median(board.strike))
        board.mark_variance = _mark_variances(board, start_ns)
        self.board = board
        self.boards: tuple[Board, ...] = (board,)

    def advance(self) -> Step:
        """Send some quotes again; take expired options off."""
        self.now_ns += self.step_ns
        notices: list[Notice] = []
        for index in self.board.living_expiries():
            if self.board.expiries[index].expiry_ns <= self.now_ns:
                slots = self.board.expire(index)
                for state in ("settlement", "delivered"):
                    if self.board.has_futures[index]:
                        notices.append(Notice(self.board, "future", index, state))
                    notices += [Notice(self.board, "option", slot, state) for slot in slots]
        self._budget += self._rate * self.step_ns / NANOS_PER_SECOND
        count = int(self._budget)
        self._budget -= count
        alive = np.flatnonzero(self.board.alive)
        if not count or not len(alive):
            return Step(self.now_ns, [], notices)
        turn = (self._next + np.arange(min(count, len(alive)))) % len(alive)
        self._next = int(turn[-1]) + 1
        slots = alive[turn].tolist()
        board = self.board
        sides = [
            side[slots].tolist() for side in (board.bid, board.ask, board.bid_size, board.ask_size)
        ]
        return Step(self.now_ns, [QuoteBatch(board, slots, *sides)], notices)

    def skip_to(self, now_ns: int) -> None:
        """Nothing moves anyway."""
        self.now_ns = now_ns


def _fill(board: Board, expiry_ns: int, rows: list[ChainRow], now_ns: int) -> None:
    listed_ns = now_ns - LISTED_DAYS * NANOS_PER_DAY
    forwards = [row.forward for row in rows if row.forward > 0.0]
    expiry = Expiry(expiry_ns, "month", listed_ns)
    index = board.add_expiry(expiry, has_future=bool(forwards))
    if forwards:
        # Rows of one expiry may differ by the seconds between them; `compute` takes the median too.
        forward = median(forwards)
        board.forward[index] = forward
        board.future_bid[index] = forward - FUTURE_HALF_SPREAD
        board.future_ask[index] = forward + FUTURE_HALF_SPREAD
    rows = sorted(rows, key=lambda row: (row.strike, not row.is_call))
    slots = board.add_options(index, [(row.strike, row.is_call) for row in rows], listed_ns)
    for slot, row in zip(slots, rows, strict=True):
        board.bid[slot] = row.bid if row.bid > 0.0 else math.nan
        board.ask[slot] = row.ask if row.ask > 0.0 else math.nan
        board.bid_size[slot] = row.bid_size if row.bid_size > 0.0 else DEFAULT_SIZE
        board.ask_size[slot] = row.ask_size if row.ask_size > 0.0 else DEFAULT_SIZE
        board.mark[slot] = row.mark
        board.open_interest[slot] = max(0.0, row.open_interest)


def _mark_variances(board: Board, now_ns: int) -> pricing.F64:
    """Total variance of each mark, for the venue's descriptive fields."""
    years = board.years(now_ns)[board.expiry_of]
    forward = board.forward[board.expiry_of]
    forward = np.where(np.isnan(forward), board.index_price, forward)
    price = np.nan_to_num(board.mark if board.terms.coin else board.mark / forward)
    solved = pricing.implied_variance(np.log(board.strike / forward), price, board.is_call)
    return np.where(years > 0.0, solved, np.nan)


def _terms(asset: str) -> Terms:
    """Terms of a known book; a coin we do not know gets those of an inverse one."""
    if asset in TERMS:
        return TERMS[asset]
    model = TERMS.get(f"{asset}_USDC", TERMS["BTC"])
    inverse = TERMS["ETH"]
    return Terms(
        asset=asset, coin=True, spot=model.spot, vol=model.vol, tick=inverse.tick,
        tick_above=inverse.tick_above, tick_multiple=inverse.tick_multiple,
        future_tick=inverse.future_tick, contract_size=1.0, min_amount=(1, 10),
    )  # fmt: skip


def _chain_row(row: dict[str, str]) -> ChainRow:
    kind = row["kind"].strip().upper()
    if kind not in ("C", "P"):
        raise ValueError(f"column kind: expected C or P, received {row['kind']!r}")
    strike = _number(row, "strike")
    if not strike > 0.0:
        raise ValueError(f"column strike: expected a positive number, received {row['strike']!r}")
    return ChainRow(
        expiry_ns=parse_instant(row["expiry"]),
        strike=strike,
        is_call=kind == "C",
        bid=_number(row, "bid"),
        ask=_number(row, "ask"),
        bid_size=_number(row, "bid_size"),
        ask_size=_number(row, "ask_size"),
        mark=_number(row, "mark"),
        open_interest=_number(row, "open_interest"),
        forward=_number(row, "forward"),
    )


def _number(row: dict[str, str], name: str) -> float:
    text = row.get(name, "").strip()
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"column {name}: expected a number, received {text!r}") from error


def _read_cells(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        table = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: {error}") from error
    if not table:
        raise InputError(f"{path}: expected a header, found an empty file")
    header = [name.strip() for name in table[0]]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise InputError(f"{path}, line 1: expected the columns {', '.join(missing)}")
    return header, [cells for cells in table[1:] if cells]


def _shift_cell(text: str, days: int) -> str:
    """Move an instant by days and keep its spelling."""
    if text.lstrip("-").isdigit():
        # 10 digits are seconds, 13 ms, 16 us, 19 ns.
        scale = 10 ** max(len(text) - _MILLISECOND_DIGITS + 3, 0)
        return str(int(text) + days * 86_400 * scale)
    head, tail = text[:10], text[10:]
    try:
        return (date.fromisoformat(head) + timedelta(days=days)).isoformat() + tail
    except ValueError as error:
        raise InputError(f"expected an ISO-8601 instant, received {text!r}") from error
