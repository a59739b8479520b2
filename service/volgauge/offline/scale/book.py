"""A book of positions from a CSV file.

A header names the columns, in any order: `expiry, strike, kind, quantity`. `kind` is C or P, or
`future` (without an expiry the perpetual) or `spot`, which have no strike. `quantity` is in coins,
negative when short. Options are European.
"""

import enum
from math import isnan, nan
from pathlib import Path

from msgspec import Struct

from volgauge.domain.instrument import OptionKind
from volgauge.errors import InputError
from volgauge.offline.chain import KINDS, Row, read_rows

COLUMNS = ("expiry", "strike", "kind", "quantity")
MOST_COINS = 1e12
"""More than any book holds; keeps every sum finite."""


class Leg(enum.Enum):
    """What a position is in."""

    CALL = "C"
    PUT = "P"
    FUTURE = "future"
    SPOT = "spot"

    @property
    def option(self) -> OptionKind | None:
        """Its right; None when it is no option."""
        return OptionKind(self.value) if self in {Leg.CALL, Leg.PUT} else None


_LEGS = {name: Leg(kind.value) for name, kind in KINDS.items()} | {
    "future": Leg.FUTURE,
    "spot": Leg.SPOT,
}


class Position(Struct, frozen=True, kw_only=True):
    """One line of a book."""

    leg: Leg
    quantity: float
    """Coins, not 0."""
    expiry_ns: int | None = None
    """None for spot and the perpetual."""
    strike: float = nan
    line: int = 0
    file: str = "book"

    def complain(self, reason: str) -> InputError:
        """An error that names the place."""
        return InputError(f"{self.file}: line {self.line}, column `expiry`: {reason}")


def read_book(path: str | Path) -> tuple[Position, ...]:
    """Read a book; the same option may stand in several lines.

    Raises:
        InputError: The file is unreadable, a cell is none of its column, or there is no position.
    """
    path = Path(path)
    positions = tuple(map(_position, read_rows(path, COLUMNS)))
    if not positions:
        raise InputError(f"{path.name}: line 2: expected a position, received none")
    return positions


def _position(row: Row) -> Position:
    leg = _LEGS.get(row.cells["kind"].lower())
    if leg is None:
        raise row.complain("kind", "C, P, future or spot")
    quantity = row.number("quantity")
    if not 0.0 < abs(quantity) <= MOST_COINS:
        raise row.complain("quantity", f"a number of at most {MOST_COINS:g} that is not 0")
    expiry_ns, strike = row.instant("expiry"), row.positive("strike")
    if leg.option is None and not isnan(strike):
        raise row.complain("strike", f"an empty cell for {leg.value}")
    if leg.option is not None and isnan(strike):
        raise row.complain("strike", "a number above zero")
    if leg is Leg.SPOT and expiry_ns is not None:
        raise row.complain("expiry", "an empty cell for spot")
    if leg.option is not None and expiry_ns is None:
        raise row.complain("expiry", "an instant")
    return Position(
        leg=leg,
        quantity=quantity,
        expiry_ns=expiry_ns,
        strike=strike,
        line=row.line,
        file=row.file,
    )
