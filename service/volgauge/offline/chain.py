"""One option chain from a CSV file (DESIGN §7).

A header names the columns, in any order: `expiry` (ISO-8601 UTC or epoch), `strike`, `kind` (C|P),
`bid`, `ask`; optional `bid_size, ask_size, mark, open_interest, rate, forward, timestamp`. Other
columns are left alone. An empty cell is "no quote". Nothing here judges a price: a negative one,
or one that reads `nan` or `inf`, is a number that the filters will refuse and count.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from math import inf, isfinite, isnan, nan
from pathlib import Path

from msgspec import Struct

from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import parse_instant
from volgauge.errors import InputError

REQUIRED = ("expiry", "strike", "kind", "bid", "ask")
OPTIONAL = ("bid_size", "ask_size", "mark", "open_interest", "rate", "forward", "timestamp")

NOT_A_NUMBER = -inf
"""Stands for a price cell that reads `nan`: given, but no number. NaN means an empty cell."""

KINDS = {
    "c": OptionKind.CALL,
    "call": OptionKind.CALL,
    "p": OptionKind.PUT,
    "put": OptionKind.PUT,
}


class ChainQuote(Struct, frozen=True, kw_only=True, gc=False):
    """One option of a chain; NaN is an empty cell."""

    expiry_ns: int
    strike: float
    kind: OptionKind
    bid: float = nan
    ask: float = nan
    bid_size: float = nan
    ask_size: float = nan
    mark: float = nan
    open_interest: float = nan
    rate: float = nan
    """Continuously compounded, of this expiry."""
    forward: float = nan
    """Of this expiry, as the source gives it."""
    timestamp_ns: int | None = None
    line: int = 0
    """Where it stood in the file; 0 when it came from no file."""


class Chain(Struct, frozen=True):
    """Options of one underlying at one instant."""

    quotes: tuple[ChainQuote, ...]
    name: str = "chain"
    """For messages: the file's name."""

    @property
    def newest_ns(self) -> int | None:
        """The newest timestamp; None when no quote has one."""
        stamps = [q.timestamp_ns for q in self.quotes if q.timestamp_ns is not None]
        return max(stamps, default=None)


def read_chain(path: str | Path) -> Chain:
    """Read a chain.

    Raises:
        InputError: The file cannot be read, a column is missing, a cell is no number, a strike or
            forward is not positive, an expiry is missing, an option comes twice; the message
            names the line and the column.
    """
    path = Path(path)
    quotes = tuple(map(_quote, read_rows(path, REQUIRED, OPTIONAL)))
    _refuse_duplicates(quotes, path.name)
    return Chain(quotes, path.name)


class Row:
    """Cells of one line, by column; every complaint names the place."""

    def __init__(self, file: str, line: int, cells: dict[str, str]) -> None:
        self.file = file
        self.line = line
        self.cells = cells

    def complain(self, column: str, expected: str) -> InputError:
        """The error that names the file, the line, the column, and what stands there."""
        received = self.cells[column]
        return InputError(
            f"{self.file}: line {self.line}, column `{column}`: "
            f"expected {expected}, received {received[:40]!r}"
        )

    def number(self, column: str) -> float:
        """A cell as float; NaN when it is empty or the column absent."""
        text = self.cells.get(column, "")
        if not text:
            return nan
        try:
            # float() would also read 1_000 and other scripts' digits.
            value = float(text) if re.fullmatch(r"[-+.0-9eE]+|[-+]?[a-zA-Z]+", text) else None
        except ValueError:
            value = None
        if value is None:
            raise self.complain(column, "a number")
        return NOT_A_NUMBER if isnan(value) else value

    def positive(self, column: str) -> float:
        """A cell as a finite number above zero; NaN when it is empty."""
        value = self.number(column)
        if not (isnan(value) or 0.0 < value < inf):
            raise self.complain(column, "a number above zero")
        return value

    def finite(self, column: str) -> float:
        """A cell as a finite number; NaN when it is empty."""
        value = self.number(column)
        if not (isnan(value) or isfinite(value)):
            raise self.complain(column, "a finite number")
        return value

    def instant(self, column: str) -> int | None:
        """A cell as ns since 1970; None when it is empty."""
        text = self.cells.get(column, "")
        if not text:
            return None
        # A bare date would silently mean midnight, eight hours off the usual expiry.
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise self.complain(column, "an instant with its time of day")
        try:
            return parse_instant(text)
        except (ValueError, OverflowError):
            raise self.complain(column, "an ISO-8601 instant or an epoch number") from None


def read_rows(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Read a CSV file line by line; its header names the columns, empty lines are left out.

    Raises:
        InputError: The file cannot be read, a column is missing or comes twice, a line has another
            number of cells than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(csv.reader(file, strict=True), path.name, required, optional)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name}: expected UTF-8 text, {error.reason}") from error


def _rows(
    reader: Iterator[list[str]], file: str, required: Sequence[str], optional: Sequence[str]
) -> Iterator[Row]:
    line = 0
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        _check_header(header, file, required, optional)
        line = 1
        for cells in reader:
            line = getattr(reader, "line_num", line + 1)
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise InputError(
                    f"{file}: line {line}: expected {len(header)} cells, received {len(cells)}"
                )
            yield Row(file, line, dict(zip(header, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise InputError(f"{file}: line {line + 1}: expected CSV, {error}") from error


def _check_header(
    header: list[str], file: str, required: Sequence[str], optional: Sequence[str]
) -> None:
    missing = [column for column in required if column not in header]
    if missing:
        raise InputError(f"{file}: line 1: column `{missing[0]}` is missing")
    for column in (*required, *optional):
        if header.count(column) > 1:
            raise InputError(f"{file}: line 1: column `{column}` comes twice")


def _quote(row: Row) -> ChainQuote:
    expiry_ns = row.instant("expiry")
    if expiry_ns is None:
        raise row.complain("expiry", "an instant")
    strike = row.positive("strike")
    if isnan(strike):
        raise row.complain("strike", "a number above zero")
    kind = KINDS.get(row.cells["kind"].lower())
    if kind is None:
        raise row.complain("kind", "C or P")
    return ChainQuote(
        expiry_ns=expiry_ns,
        strike=strike,
        kind=kind,
        bid=row.number("bid"),
        ask=row.number("ask"),
        bid_size=row.finite("bid_size"),
        ask_size=row.finite("ask_size"),
        mark=row.number("mark"),
        open_interest=row.finite("open_interest"),
        rate=row.finite("rate"),
        forward=row.positive("forward"),
        timestamp_ns=row.instant("timestamp"),
        line=row.line,
    )


def _refuse_duplicates(quotes: tuple[ChainQuote, ...], file: str) -> None:
    seen: dict[tuple[int, float, OptionKind], int] = {}
    for quote in quotes:
        first = seen.setdefault((quote.expiry_ns, quote.strike, quote.kind), quote.line)
        if first != quote.line:
            raise InputError(
                f"{file}: line {quote.line}, column `strike`: the option of line {first} again"
            )
