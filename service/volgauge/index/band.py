"""How far off a value may be: u and quality of METHODOLOGY §6, rules 17 and 18."""

from collections.abc import Iterable
from math import exp, log, sqrt

SPREAD_SHARE = 1.0 / 8.0
"""Of the bid-ask range of the index: one sigma of a common error of all mids."""
LEAST_ERROR = 0.02
"""Volatility points; no value is better known."""
TERM_SLOPE = 0.05
"""One sigma of d ln(vol) / d ln(time) between the expiry that stands alone and its tenor: on 102
pairs of tenors (20, 30, 45, 60 days) of 34 real chains its root mean square was 0.045."""
ENOUGH_STRIKES = 12
ENOUGH_VENUES = 3
ERROR_SCALE = 1.0
"""Volatility points of u at which quality falls by the factor e."""


def error_band(bid: float, ask: float, extrapolation: float, others: float) -> float:
    """u, one sigma or so, in volatility points.

    u = sqrt(((ask - bid) / 8)^2 + ext^2 + others^2 + 0.02^2)

    Args:
        bid: Index at the bids, points.
        ask: Index at the asks.
        extrapolation: |fit - flat edge| over the part of the corridor without quotes, in points.
        others: Root sum of squares of what else may be off, in points: a term that rests on one
            expiry (`term_error`), an expiry that is carried, disagreement of venues.
    """
    spread = SPREAD_SHARE * (ask - bid)
    return sqrt(spread * spread + extrapolation * extrapolation + others * others + LEAST_ERROR**2)


def term_error(value: float, ratio: float) -> float:
    """Error of a tenor for which one expiry at time ratio * tenor stands alone, in points.

    Its volatility is taken as it is, so what is off is the slope of the term structure in between:
    value * 0.05 |ln ratio|, about one point at 50 and the rule's limits.
    """
    return value * TERM_SLOPE * abs(log(ratio))


def pooling_error(weights: Iterable[float], shifts: Iterable[float], per_variance: float) -> float:
    """Error of a tenor whose expiries contradict each other, in points.

    They were moved to meet (METHODOLOGY rule 14), and nobody knows which of them was wrong: root
    sum of squares of how far each was moved, by its weight.

    Args:
        weights: Of the expiries in the tenor.
        shifts: Total variance as used, less the expiry's own.
        per_variance: Points of the value by total variance of the tenor.
    """
    return sqrt(sum((w * x * per_variance) ** 2 for w, x in zip(weights, shifts, strict=True)))


def quality(*, health: float, n_strikes: int, u: float, venue_count: int) -> float:
    """Quality in [0, 1].

    Args:
        health: Share of the last 10 s in which the feed was healthy.
        n_strikes: Of the poorer expiry.
        u: Error band, points.
        venue_count: Venues that contributed to this value.

    Source:
        METHODOLOGY rule 18.
    """
    strikes = min(1.0, n_strikes / ENOUGH_STRIKES)
    return health * strikes * exp(-u / ERROR_SCALE) * min(1.0, venue_count / ENOUGH_VENUES)
