"""What is true about the simulated market: free of noise, spreads, ticks and estimators."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR
from volgauge.simulator import pricing
from volgauge.simulator.board import F64, I64, Board


class Truth(Struct, frozen=True, kw_only=True):
    """The noise-free state of one book at an instant; arrays by living expiry, ascending."""

    now_ns: int
    expiry_ns: tuple[int, ...]
    forward: F64
    """Quote currency."""
    atm: F64
    """Implied total variance at the forward."""
    line: F64
    """Total variance with both tails, -2 E[ln S/F]: W(1)."""
    coin: F64
    """2 E[(S/F) ln(S/F)] with both tails: W(0)."""
    svix: F64
    """Var(S/F) with both tails, W(-1); infinite where the second moment is."""
    corridor: F64
    """Total variance between the points of 5 delta."""
    strip: F64
    """Total variance by the exchange's discrete rule on noise-free prices; NaN if impossible."""
    names: tuple[str, ...]
    """Living options."""
    prices: F64
    """Noise-free prices of `names`, premium unit."""

    def at_tenor(self, w: F64, days: float) -> float:
        """Total variances of the expiries as points of a constant tenor."""
        return tenor_points([expiry - self.now_ns for expiry in self.expiry_ns], w, days)


class TenorTruth(Struct, frozen=True, kw_only=True):
    """What is true at a constant tenor, in volatility points.

    Linear in total variance between the listed expiries around the tenor; NaN where the tenor is
    outside or a part has no number.
    """

    atm: float
    corridor: float
    line: float
    coin: float
    svix: float
    strip: float
    forward: float
    """Of the surface itself at the tenor, quote currency."""


def tenor_points(ahead_ns: Sequence[int], w: F64, days: float) -> float:
    """Volatility in points, linear in total variance between the expiries around a tenor.

    Args:
        ahead_ns: Time to each expiry, ascending.
        w: Total variance of each.
        days: The tenor.

    Returns:
        NaN outside the expiries, and where a neighbour has no finite variance.
    """
    tenor = days * NANOS_PER_DAY
    times = np.array(ahead_ns, np.float64)
    after = int(np.searchsorted(times, tenor, side="right"))
    if not 0 < after < len(times):
        return math.nan
    share = (tenor - times[after - 1]) / (times[after] - times[after - 1])
    variance = (1.0 - share) * w[after - 1] + share * w[after]
    points = 100.0 * math.sqrt(variance / (tenor / NANOS_PER_YEAR))
    return points if math.isfinite(points) else math.nan


def discrete_strips(
    board: Board, expiries: list[int], forward: F64, slots: I64, fair: F64, variance: F64
) -> F64:
    """Total variance of some expiries by the exchange's discrete rule.

    Args:
        board: What is listed.
        expiries: Indices of the expiries wanted.
        forward: Of every expiry of the board.
        slots: Options; every one of the wanted expiries is among them.
        fair: Noise-free premium of each.
        variance: Implied total variance of each.
    """
    strips = []
    for index in expiries:
        mine = board.expiry_of[slots] == index
        scale = 1.0 if board.terms.coin else float(forward[index])
        sides = []
        for is_call in (True, False):
            chosen = mine & (board.is_call[slots] == is_call)
            order = np.argsort(board.strike[slots][chosen])
            sides.append((slots[chosen][order], fair[chosen][order], variance[chosen][order]))
        (calls, call, w), (_, put, _) = sides
        strips.append(
            pricing.strip_variance(
                board.strike[calls], call / scale, put / scale, float(forward[index]), w
            )
        )
    return np.array(strips)
