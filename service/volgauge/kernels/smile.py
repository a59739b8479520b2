"""The fitted smile of one expiry and what the quotes say beside it: METHODOLOGY rules 10 to 11.

All arrays here are rows of `smile`, float64 (SMILE_ROWS, longest ladder), one column an accepted
strike in ascending order; h is a half-spread in price, s a deviation sqrt(w), both in units of the
forward; errors e are in units of deviation.

    eta = h / vega                        half-spread in units of deviation
    eta_bar = median of eta over the 4 nearest other strikes
    eta' = max(eta, eta_bar / 2, 0.002 sw)
    unit of the fit, in w: 2 s eta' (1 + 2 max(0, |k|/sw - 2.25))^2, the taper for `value` only

No strike is believed alone: what its own spread says is held against the spreads around it, and
what its own price says against the errors around it.
"""

import math

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.implied import implied_deviations
from volgauge.kernels.legs import LESS
from volgauge.kernels.special import otm_prices, vegas
from volgauge.kernels.svi import soft_cost, solve

K = 0
M = 1
"""exp(k) = K/F."""
PRICE = 2
"""Of the strike: both its legs (rule 8)."""
MID = 3
"""Of the out-of-the-money leg alone."""
HALF = 4
PLACE = 5
"""Row of the ladder."""
S = 6
W = 7
VEGA = 8
ETA = 9
ETA_BAR = 10
ETA_USED = 11
INVERSE_UNIT = 12
INVERSE_UNIT_FULL = 13
FIRST_NEAR = 14
"""First of the five strikes that are nearest to a strike, itself among them."""
Y = 15
Z = 16
WEIGHT = 17
FIT_S = 18
FIT_PRICE = 19
ERROR = 20
"""(price - fit) / vega."""
RESIDUAL = 21
"""What the strike adds to the fit, in price."""
NEAR_ERROR = 22
"""Median of the neighbours' errors."""
SIDE_PLACE = 23
"""From here on one column a strike of which only one side is a price: row of the ladder."""
SIDE_K = 24
SIDE_S = 25
SIDE_PRICE = 26
"""By the curve."""
SIDE_RESIDUAL = 27
LINE_K = 28
"""From here on one column a point of the residual's line, strikes with one side among them; K, M
and the residual in the order of the first rows, so that `smile[LINE_K:]` can stand for `smile`."""
LINE_M = 29
LINE_RESIDUAL = 30
SMILE_ROWS = 31

NEAR = 4
FEWEST = NEAR + 1
"""Fewer strikes give no smile."""
FEWEST_AFTER_EDGE = 9
FEWEST_AFTER_OUTLIER = 7
MOST_EDGES = 2
LEAST_ETA_SHARE = 0.5
LEAST_ETA = 0.002
"""Times sw: no quote is more exact than 0.2 % of the volatility."""
TAPER_START = 2.25
TAPER_SLOPE = 2.0
EDGE_SHARE = 0.08
EDGE_ETAS = 3.0
OUTLIER_HALVES = 3.0
MOST_ETA_BARS = 2.0
CLIP_HALVES = 1.5
NOISE_SHARE = 0.25
"""Of what quotes say beside the curve, while that is within a half-spread: most of it is the noise
of mids, which the integral takes alike from every strike, where the curve weighs them. What is said
beyond is believed, so that exact quotes are."""
MOST_TRUST_WIDE = 0.5
"""A quote that is trusted less is asked which of its sides agrees with the neighbours."""


@inlined
def middle_of_four(a: float, b: float, c: float, d: float) -> float:
    """Median of four: the mean of the two in the middle."""
    low = max(min(a, b), min(c, d))
    high = min(max(a, b), max(c, d))
    return 0.5 * (low + high)


@part
def find_neighbours(smile: F64, count: int) -> None:
    """Fill FIRST_NEAR; ties take the lower strike, as those of 2000 and 3200 from 2560 on."""
    k = smile[K]
    start = 0
    for j in range(count):
        # The window of five that ends farthest left and still beats the next one.
        start = max(start, j - NEAR)
        while start + NEAR < j or (
            start < j
            and start + NEAR + 1 < count
            and k[start + NEAR + 1] - k[j] < (k[j] - k[start]) * LESS
        ):
            start += 1
        start = min(start, count - FEWEST)
        smile[FIRST_NEAR, j] = start


@inlined
def neighbour(first: int, number: int, j: int) -> int:
    """Place of one of the four of the five from `first` on that are not j; `number` 0 to 3."""
    place = first + number
    return place + 1 if place >= j else place


@part
def measure(smile: F64, count: int, sw: float) -> None:
    """Fill ETA_BAR, ETA_USED and both units of the fit from K, S and ETA."""
    find_neighbours(smile, count)
    least = LEAST_ETA * sw
    for j in range(count):
        # By scalars: an array that is handed on, even to inlined code, is counted up and down.
        near = int(smile[FIRST_NEAR, j])
        eta_bar = middle_of_four(
            smile[ETA, neighbour(near, 0, j)],
            smile[ETA, neighbour(near, 1, j)],
            smile[ETA, neighbour(near, 2, j)],
            smile[ETA, neighbour(near, 3, j)],
        )
        used = max(smile[ETA, j], LEAST_ETA_SHARE * eta_bar, least)
        smile[ETA_BAR, j] = eta_bar
        smile[ETA_USED, j] = used
        inverse = 1.0 / (2.0 * smile[S, j] * used)
        reach = 1.0 + TAPER_SLOPE * max(0.0, abs(smile[K, j]) / sw - TAPER_START)
        smile[INVERSE_UNIT_FULL, j] = inverse
        smile[INVERSE_UNIT, j] = inverse / (reach * reach)


@part
def solve_vols(smile: F64, count: int) -> int:
    """Fill S, W, VEGA and ETA from K, PRICE and HALF; strikes without a solution are dropped.

    Returns:
        How many strikes stay.
    """
    implied_deviations(smile[K], smile[PRICE], smile[S], count)
    vegas(smile[K], smile[S], smile[VEGA], count)
    kept = 0
    for j in range(count):
        if not (smile[S, j] > 0.0 and smile[VEGA, j] > 0.0):
            continue
        if kept < j:
            for row in (K, M, PRICE, MID, HALF, PLACE, S, VEGA):
                smile[row, kept] = smile[row, j]
        smile[W, kept] = smile[S, kept] * smile[S, kept]
        smile[ETA, kept] = smile[HALF, kept] / smile[VEGA, kept]
        kept += 1
    return kept


@part
def drop(smile: F64, count: int) -> int:
    """Close the gaps of strikes whose PLACE is negative; returns how many stay."""
    kept = 0
    for j in range(count):
        if smile[PLACE, j] < 0.0:
            continue
        if kept < j:
            for row in range(ETA + 1):
                smile[row, kept] = smile[row, j]
        kept += 1
    return kept


@part
def place_on(smile: F64, count: int, m: float, s: float) -> None:
    """Fill the basis Y and Z of the outer parameters. One vector loop."""
    inverse = 1.0 / s
    for j in range(count):
        y = (smile[K, j] - m) * inverse
        smile[Y, j] = y
        smile[Z, j] = math.sqrt(y * y + 1.0)


@inlined
def fit(
    smile: F64, unit_row: int, first: int, last: int, s: float, passes: int
) -> tuple[float, float, float]:
    """The curve (a, d, c) through the strikes first <= j < last."""
    return solve(
        smile[Y], smile[Z], smile[W], smile[unit_row], smile[WEIGHT], first, last, s, passes
    )


@inlined
def cost_of(smile: F64, first: int, last: int, a: float, d: float, c: float) -> float:
    """Soft-L1 cost of a tapered curve over the strikes first <= j < last."""
    return soft_cost(smile[Y], smile[Z], smile[W], smile[INVERSE_UNIT], first, last, a, d, c)


@inlined
def is_off(smile: F64, j: int, inner: int, sw: float, a: float, d: float, c: float) -> bool:
    """Whether an outermost strike is far from the curve that was fitted without it (10a).

    `inner` is its neighbour: a curve that goes on over more than sw is less sure of itself.
    """
    w = max(a + d * smile[Y, j] + c * smile[Z, j], 1e-12)
    s_fit = math.sqrt(w)
    share = EDGE_SHARE * max(1.0, abs(smile[K, j] - smile[K, inner]) / sw)
    limit = max(share * s_fit, EDGE_ETAS * smile[ETA_USED, j])
    return bool(abs(smile[S, j] - s_fit) > limit)


@part
def compare(smile: F64, count: int, a: float, d: float, c: float) -> None:
    """Fill FIT_S, FIT_PRICE, ERROR and NEAR_ERROR for a curve."""
    for j in range(count):
        w = a + d * smile[Y, j] + c * smile[Z, j]
        smile[FIT_S, j] = math.sqrt(max(w, 1e-12))
    otm_prices(smile[K], smile[FIT_S], smile[FIT_PRICE], count)
    for j in range(count):
        smile[ERROR, j] = (smile[PRICE, j] - smile[FIT_PRICE, j]) / smile[VEGA, j]
    for j in range(count):
        near = int(smile[FIRST_NEAR, j])
        smile[NEAR_ERROR, j] = middle_of_four(
            smile[ERROR, neighbour(near, 0, j)],
            smile[ERROR, neighbour(near, 1, j)],
            smile[ERROR, neighbour(near, 2, j)],
            smile[ERROR, neighbour(near, 3, j)],
        )


@part
def mark_outliers(smile: F64, count: int, sw: float) -> int:
    """Rule 10b: mark by PLACE = -1 - PLACE; returns how many.

    The out-of-the-money quote is judged by its own mid: its partner must not speak for it. The
    worst go first, and never so many that fewer than 7 strikes stay.
    """
    least = LEAST_ETA * sw
    marked = 0
    while count - marked > FEWEST_AFTER_OUTLIER:
        worst = -1
        most = 1.0
        for j in range(count):
            if smile[PLACE, j] < 0.0:
                continue
            error = (smile[MID, j] - smile[FIT_PRICE, j]) / smile[VEGA, j]
            near = smile[NEAR_ERROR, j]
            off = min(abs(error), abs(error - near))
            limit = max(min(smile[ETA_USED, j], MOST_ETA_BARS * smile[ETA_BAR, j]), least)
            if off > most * OUTLIER_HALVES * limit:
                worst, most = j, off / (OUTLIER_HALVES * limit)
        if worst < 0:
            break
        smile[PLACE, worst] = -1.0 - smile[PLACE, worst]
        marked += 1
    return marked


@inlined
def agreement(distance: float, half: float) -> float:
    """1 within `half`, 0 from twice that on, linear between."""
    return min(max(2.0 - abs(distance) / half, 0.0), 1.0)


@inlined
def believed(error: float, half: float) -> float:
    """What is left of an error of the curve when the noise of quotes is taken off."""
    return error - NOISE_SHARE * min(max(error, -half), half)


@part
def leave_residuals(smile: F64, count: int, sw: float) -> None:
    """Rule 11: fill RESIDUAL, in price, from ERROR.

    The neighbours' error counts, the strike's own deviation from it by its spread and within 1.5
    half-spreads; a quarter of what lies within a half-spread is put down to noise. Where a spread
    is so wide that the mid says little, one of its sides may still stand where it stood: a usual
    half-spread off the line between the neighbours.
    """
    least = LEAST_ETA * sw
    trust = smile[WEIGHT]
    widest = 1.0
    for j in range(count):
        near = smile[NEAR_ERROR, j]
        eta_bar = smile[ETA_BAR, j]
        ratio = MOST_ETA_BARS * eta_bar / smile[ETA, j]
        trust[j] = min(1.0, ratio * ratio)
        widest = min(widest, trust[j])
        half = min(max(smile[ETA, j], LEAST_ETA_SHARE * eta_bar), MOST_ETA_BARS * eta_bar)
        clip = CLIP_HALVES * max(half, least)
        own = trust[j] * (smile[ERROR, j] - near)
        said = near + min(max(own, -clip), clip)
        smile[RESIDUAL, j] = smile[VEGA, j] * believed(said, half)
    if widest >= MOST_TRUST_WIDE:
        return
    for j in range(1, count - 1):
        # Of two neighbours neither can tell the other's price.
        if trust[j] >= MOST_TRUST_WIDE or min(trust[j - 1], trust[j + 1]) < MOST_TRUST_WIDE:
            continue
        share = (smile[K, j] - smile[K, j - 1]) / (smile[K, j + 1] - smile[K, j - 1])
        line = (1.0 - share) * smile[RESIDUAL, j - 1] + share * smile[RESIDUAL, j + 1]
        half = (1.0 - share) * smile[HALF, j - 1] + share * smile[HALF, j + 1]
        above = smile[MID, j] - smile[FIT_PRICE, j] - line
        off = smile[HALF, j] - half
        by_bid, by_ask = above - off, above + off
        distance = by_bid if abs(by_bid) <= abs(by_ask) else by_ask
        weight = (1.0 - trust[j] / MOST_TRUST_WIDE) * agreement(distance, 0.5 * half)
        smile[RESIDUAL, j] += weight * (line + distance - smile[RESIDUAL, j])
