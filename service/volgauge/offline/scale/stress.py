"""Profit and loss of a book over a grid of moves of price and volatility.

Every option is valued anew, none by its Greeks. The price jumps by x, every forward with it; the
smile keeps its place in log-moneyness, so a strike's volatility is sigma(ln(K / (F (1 + x)))), plus
v points, and never below 0. No time passes.
"""

import re
from collections.abc import Callable
from math import isfinite

from msgspec import Struct

from volgauge.errors import InputError

DEFAULT_GRID = "spot:-20:20:5,vol:-10:30:5"
MOST_POINTS = 401
"""Along one axis."""


class StressGrid(Struct, frozen=True):
    """The moves along both axes."""

    spot_percent: tuple[float, ...]
    vol_points: tuple[float, ...]


class Corner(Struct, frozen=True, kw_only=True):
    """One cell of the table."""

    spot_percent: float
    vol_points: float
    pnl: float


class StressTable(Struct, frozen=True, kw_only=True):
    """Quote currency; row i is `spot_percent[i]`, column j `vol_points[j]`."""

    spot_percent: tuple[float, ...]
    vol_points: tuple[float, ...]
    pnl: tuple[tuple[float, ...], ...]
    hedged_pnl: tuple[tuple[float, ...], ...]
    """With the delta hedge."""
    worst: Corner
    worst_hedged: Corner


def parse_grid(text: str) -> StressGrid:
    """Read `spot:-20:20:5,vol:-10:30:5`: first, last and step, in percent and in points.

    An axis that is left out stays where it is.

    Raises:
        InputError: It is none of that.
    """
    axes: dict[str, tuple[float, ...]] = {}
    for part in text.split(","):
        name, *numbers = part.strip().split(":")
        if name not in {"spot", "vol"} or name in axes:
            raise InputError(f"--stress: expected `spot` and `vol`, once each, received {part!r}")
        axes[name] = _axis(part, numbers)
    grid = StressGrid(axes.get("spot", (0.0,)), axes.get("vol", (0.0,)))
    if min(grid.spot_percent) <= -100.0:
        raise InputError("--stress: expected a fall of the price by less than 100 percent")
    return grid


def stress_table(
    grid: StressGrid, revalue: Callable[[float, float], float], hedge_value: float
) -> StressTable:
    """Fill the table.

    Args:
        grid: The moves.
        revalue: Value of the book after a relative move of the price and one of volatility, a
            decimal.
        hedge_value: Coins of the hedge times the price now.
    """
    before = revalue(0.0, 0.0)
    moves = [x / 100.0 for x in grid.spot_percent]
    pnl = tuple(
        tuple(revalue(x, points / 100.0) - before for points in grid.vol_points) for x in moves
    )
    hedged = tuple(
        tuple(cell + hedge_value * x for cell in row) for x, row in zip(moves, pnl, strict=True)
    )
    return StressTable(
        spot_percent=grid.spot_percent,
        vol_points=grid.vol_points,
        pnl=pnl,
        hedged_pnl=hedged,
        worst=_worst(grid, pnl),
        worst_hedged=_worst(grid, hedged),
    )


def _axis(part: str, numbers: list[str]) -> tuple[float, ...]:
    try:
        first, last, step = (
            float(number) if re.fullmatch(r"[-+.0-9eE]+", number) else float("nan")
            for number in numbers
        )
    except ValueError:
        first = last = step = float("nan")
    if not (isfinite(first) and isfinite(last) and first <= last and 0.0 < step < float("inf")):
        raise InputError(f"--stress: expected name:first:last:step, received {part!r}")
    # The last point counts although the steps' sum may miss it by rounding.
    count = (last - first) / step + 1e-9
    if count >= MOST_POINTS:
        raise InputError(f"--stress: expected at most {MOST_POINTS} points, received {part!r}")
    return tuple(first + i * step for i in range(int(count) + 1))


def _worst(grid: StressGrid, table: tuple[tuple[float, ...], ...]) -> Corner:
    pnl, i, j = min((cell, i, j) for i, row in enumerate(table) for j, cell in enumerate(row))
    return Corner(spot_percent=grid.spot_percent[i], vol_points=grid.vol_points[j], pnl=pnl)
