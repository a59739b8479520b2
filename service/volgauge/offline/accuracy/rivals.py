"""Other estimators of one expiry's variance, from their published rules alone.

None shares code with ours. All of them take the forward from parity at the smallest |C - P| and the
out-of-the-money quotes that Cboe's rule admits (zero bids out, nothing beyond two in a row), except
`dvol`, which takes every listed strike inside 5 delta. Returned are volatility points; NaN when
the rule has no answer.

Sources: Cboe Volatility Index Mathematics Methodology 2026; the exchange's own index as recovered
in METHODOLOGY section 2; Jiang and Tian, Journal of Derivatives 2007; Gatheral and Jacquier, arXiv
1204.0646.
"""

from collections.abc import Callable
from math import nan, sqrt

import numpy as np
from msgspec import Struct

from volgauge.kernels._jit import F64
from volgauge.offline.accuracy.boards import CALL, PUT, Board
from volgauge.offline.accuracy.numerics import (
    CORRIDOR_DELTA,
    corridor_end,
    implied_deviation,
    integrate,
    otm_delta,
    otm_price,
)

NODES = 64
"""Of the integrals over fitted curves, a side: 1e-4 points, far below their errors."""
REACH = 8.0
"""Standard deviations after which a tail has ended."""
FEWEST = 4


class Strip(Struct, frozen=True):
    """What Cboe's selection leaves of a board."""

    forward: float
    base: float
    """K0: highest strike at or below the forward."""
    strike: F64
    mid: F64
    """Out-of-the-money, in the coin; the put at K0."""
    base_mid: float
    """Mean of call and put at K0, which the discrete sum takes there."""
    half: F64
    """Half-spread of the same."""

    @property
    def k(self) -> F64:
        """Log-moneyness."""
        return np.log(self.strike / self.forward)


def parity_forward(board: Board) -> float:
    """From the strike with the smallest |C - P|: K / (1 - (c - p)); NaN without a pair."""
    difference = board.mid[CALL] - board.mid[PUT]
    if np.isnan(difference).all():
        return nan
    place = int(np.nanargmin(np.abs(difference)))
    return float(board.strike[place] / (1.0 - difference[place]))


def select(board: Board) -> Strip | None:
    """Cboe's selection of strikes; None when it cannot be made."""
    forward = parity_forward(board)
    below = np.flatnonzero(board.strike <= forward)
    if not len(below):
        return None
    base = int(below[-1])
    mid = board.mid
    if np.isnan(mid[:, base]).any():
        return None
    chosen = {}
    for leg, places in ((PUT, range(base, -1, -1)), (CALL, range(base + 1, len(board.strike)))):
        misses = 0
        for place in places:
            if np.isnan(mid[leg, place]):
                misses += 1
                if misses == 2:
                    break
                continue
            misses = 0
            spread = float(board.ask[leg, place] - board.bid[leg, place])
            chosen[place] = (float(mid[leg, place]), spread)
    places_used = sorted(chosen)
    if len(places_used) < FEWEST:
        return None
    return Strip(
        forward,
        float(board.strike[base]),
        board.strike[places_used],
        np.array([chosen[place][0] for place in places_used]),
        float(mid[:, base].mean()),
        np.array([0.5 * chosen[place][1] for place in places_used]),
    )


def cboe(board: Board) -> float:
    """The discrete sum over every admitted strike."""
    strip = select(board)
    if strip is None:
        return nan
    price = np.where(strip.strike == strip.base, strip.base_mid, strip.mid)
    return _discrete(strip.strike, price, strip.forward, strip.base, board.years)


def dvol(board: Board, forward: float = nan) -> float:
    """The discrete sum over listed strikes with |delta| >= 5 %, two-sided; no marks.

    Args:
        board: The quotes.
        forward: The venue's own of this expiry; NaN takes parity.
    """
    if not forward > 0.0:
        forward = parity_forward(board)
    strike = board.strike
    below = np.flatnonzero(strike <= forward)
    if not len(below):
        return nan
    base = int(below[-1])
    puts = np.arange(len(strike)) <= base
    mid = board.mid
    otm = np.where(puts, mid[PUT], mid[CALL])
    k = np.log(strike / forward)
    deviation = implied_deviation(k, otm)
    inside = otm_delta(k, deviation) >= CORRIDOR_DELTA
    otm[base] = mid[:, base].mean()
    used = inside & ~np.isnan(otm)
    if used.sum() < 2:
        return nan
    return _discrete(strike[used], otm[used], forward, float(strike[base]), board.years)


def spline(board: Board) -> float:
    """A natural cubic spline of implied volatility, integrated between the outermost quotes."""
    curve = _spline_curve(board)
    if curve is None:
        return nan
    deviation, low, high = curve
    return _integral(deviation, low, high, board.years)


def jiang_tian(board: Board) -> float:
    """The same spline, its ends continued flat to where nothing is left."""
    curve = _spline_curve(board)
    if curve is None:
        return nan
    deviation, low, high = curve
    first = -REACH * float(deviation(np.array([low]))[0])
    last = REACH * float(deviation(np.array([high]))[0])
    parts = (
        _variance(deviation, min(first, low), low),
        _variance(deviation, low, high),
        _variance(deviation, high, max(last, high)),
    )
    return _points(sum(parts), board.years)


def svi(board: Board) -> float:
    """One raw SVI smile through all admitted quotes, whole line."""
    deviation = _svi_curve(board)
    if deviation is None:
        return nan
    ends = [_svi_reach(deviation, side) for side in (-1, 1)]
    return _integral(deviation, ends[0], ends[1], board.years)


def svi_corridor(board: Board) -> float:
    """The same smile between its own points of 5 % delta."""
    deviation = _svi_curve(board)
    if deviation is None:
        return nan

    def at(k: float) -> float:
        return float(deviation(np.array([k]))[0])

    return _integral(deviation, corridor_end(at, -1), corridor_end(at, 1), board.years)


def at_the_money(board: Board, forward: float = nan) -> float:
    """Volatility at the forward, linear between the strikes on both sides of it.

    A yardstick and no rival, so it takes the venue's marks: they stay where quotes are pulled.

    Args:
        board: The quotes.
        forward: The venue's own of this expiry; NaN takes parity.
    """
    if not forward > 0.0:
        forward = parity_forward(board)
    k = np.log(board.strike / forward)
    deviation = implied_deviation(k, np.where(k < 0.0, board.mark[PUT], board.mark[CALL]))
    known = ~np.isnan(deviation)
    if not (known & (k < 0.0)).any() or not (known & (k >= 0.0)).any():
        return nan
    return _points(float(np.interp(0.0, k[known], deviation[known])) ** 2, board.years)


CORRIDOR_RIVALS: dict[str, Callable[[Board], float]] = {
    "dvol-like": dvol,
    "SVI only (5d)": svi_corridor,
}
"""They aim at the corridor."""
FULL_RIVALS: dict[str, Callable[[Board], float]] = {
    "cboe": cboe,
    "spline": spline,
    "Jiang-Tian": jiang_tian,
    "SVI only": svi,
}
"""They aim at the whole line."""


def _points(total_variance: float, years: float) -> float:
    return 100.0 * sqrt(total_variance / years) if total_variance >= 0.0 else nan


def _discrete(strike: F64, price: F64, forward: float, base: float, years: float) -> float:
    """2 sum dK / K^2 Q - (F / K0 - 1)^2 with prices in the coin."""
    width = np.empty_like(strike)
    width[1:-1] = 0.5 * (strike[2:] - strike[:-2])
    width[0], width[-1] = strike[1] - strike[0], strike[-1] - strike[-2]
    total = 2.0 * float(np.sum(width / strike**2 * price * forward))
    return _points(total - (forward / base - 1.0) ** 2, years)


def _variance(deviation: Callable[[F64], F64], low: float, high: float) -> float:
    return integrate(
        lambda k: 2.0 * otm_price(k, deviation(k)) * np.exp(-k), low, high, nodes=NODES
    )


def _integral(deviation: Callable[[F64], F64], low: float, high: float, years: float) -> float:
    return _points(_variance(deviation, low, high), years)


def _spline_curve(board: Board) -> tuple[Callable[[F64], F64], float, float] | None:
    """Natural cubic spline of sqrt(w) in k, flat outside; and the ends of the quotes."""
    strip = select(board)
    if strip is None:
        return None
    deviation = implied_deviation(strip.k, strip.mid)
    known = ~np.isnan(deviation)
    if known.sum() < FEWEST:
        return None
    k, s = strip.k[known], deviation[known]
    step = np.diff(k)
    slope = np.diff(s) / step
    inner = len(k) - 2
    matrix = np.zeros((inner, inner))
    places = np.arange(inner)
    matrix[places, places] = 2.0 * (step[:-1] + step[1:])
    matrix[places[:-1], places[:-1] + 1] = step[1:-1]
    matrix[places[:-1] + 1, places[:-1]] = step[1:-1]
    bend = np.zeros(len(k))
    bend[1:-1] = np.linalg.solve(matrix, 6.0 * np.diff(slope))

    def curve(at: F64) -> F64:
        x = np.clip(at, k[0], k[-1])
        i = np.clip(np.searchsorted(k, x, side="right") - 1, 0, inner)
        left, right, h = x - k[i], k[i + 1] - x, step[i]
        value: F64 = (
            (bend[i] * right**3 + bend[i + 1] * left**3) / (6.0 * h)
            + (s[i] / h - bend[i] * h / 6.0) * right
            + (s[i + 1] / h - bend[i + 1] * h / 6.0) * left
        )
        # A spoofed quote can bend the spline below zero, where no volatility is.
        return np.maximum(value, 1e-6)

    return curve, float(k[0]), float(k[-1])


ZOOMS = 12
"""Each round halves the searched square: 2^-12 of the first is far below the noise."""
SQUARE = 7
LEAST_TICKS = 5.0


def _svi_curve(board: Board) -> Callable[[F64], F64] | None:
    """Least squares in total variance, in units of each quote's own half-spread.

    Of the admitted quotes it takes those worth five ticks: with cheaper ones, whose bids cannot go
    below a tick, the wings are biased upwards by 0.05 points.
    """
    strip = select(board)
    if strip is None:
        return None
    deviation = implied_deviation(strip.k, strip.mid)
    known = ~np.isnan(deviation)
    if board.ticks is not None:
        known &= strip.mid >= LEAST_TICKS * board.ticks.at(strip.mid) * (1.0 - 1e-9)
    if known.sum() < FEWEST:
        return None
    k, s = strip.k[known], deviation[known]
    d1 = -k / s + 0.5 * s
    vega = np.exp(-0.5 * d1 * d1) / sqrt(2.0 * np.pi)
    weight = vega / np.maximum(2.0 * s * strip.half[known], 1e-300)
    w = s * s
    money = float(np.interp(0.0, k, s))
    flat = float(np.sum(weight * weight * w) / np.sum(weight * weight))
    best = (float(np.sum((weight * (w - flat)) ** 2)), (flat, 0.0, 0.0, 0.0, money))
    x, y = (grid.ravel() for grid in np.meshgrid(*[np.linspace(-1.0, 1.0, SQUARE)] * 2))
    centre, spread = (0.0, 0.0), (money, float(np.log(4.0)))
    for _ in range(ZOOMS):
        m = centre[0] + x * spread[0]
        sigma = money * np.exp(centre[1] + y * spread[1])
        cost, linear = _svi_solve(k, w, weight, m, sigma)
        place = int(np.argmin(cost))
        if cost[place] < best[0]:
            a, d, c = linear[place].tolist()
            best = (float(cost[place]), (a, d, c, float(m[place]), float(sigma[place])))
        centre = (best[1][3], float(np.log(best[1][4] / money)))
        spread = (0.5 * spread[0], 0.5 * spread[1])
    a, d, c, shift, width = best[1]
    return lambda at: np.sqrt(
        np.maximum(a + d * (at - shift) + c * np.sqrt((at - shift) ** 2 + width * width), 1e-12)
    )


def _svi_solve(k: F64, w: F64, weight: F64, m: F64, sigma: F64) -> tuple[F64, F64]:
    """Best a, d = b rho, c = b at each (m, s); infinite cost when that is no smile.

    Args:
        k: (n,) log-moneyness.
        w: (n,) total variance.
        weight: (n,).
        m: (t,) trials.
        sigma: (t,) trials.

    Returns:
        Cost (t,) and (a, d, c) (t, 3).
    """
    x = k[None, :] - m[:, None]
    design = np.stack([np.ones_like(x), x, np.sqrt(x * x + sigma[:, None] ** 2)], axis=2)
    scaled = design * weight[None, :, None]
    normal = scaled.transpose(0, 2, 1) @ scaled
    # A ridge far below the noise keeps a flat smile from being singular.
    normal += 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    right = scaled.transpose(0, 2, 1) @ (weight * w)[None, :, None]
    linear = np.asarray(np.linalg.solve(normal, right)[:, :, 0], np.float64)
    a, d, c = linear.T
    lowest = a + sigma * np.sqrt(np.maximum(c * c - d * d, 0.0))
    is_smile = (c >= 0.0) & (np.abs(d) < c) & (c + np.abs(d) <= 2.0) & (lowest >= 0.0)
    miss = weight * ((design @ linear[:, :, None])[:, :, 0] - w)
    cost: F64 = np.where(is_smile, np.sum(miss * miss, axis=1), np.inf)
    return cost, linear


def _svi_reach(deviation: Callable[[F64], F64], side: int) -> float:
    """Where k is REACH deviations away, at most 20."""
    distance = 0.1
    while distance < 20.0:
        if distance > REACH * float(deviation(np.array([side * distance]))[0]):
            break
        distance *= 1.1
    return side * distance
