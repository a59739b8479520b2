"""Black-76, its inverse and quadrature in numpy, apart from the kernels that they judge.

    k = ln(K/F), s = sigma sqrt(t), d1 = -k/s + s/2, d2 = d1 - s
    call  c = N(d1) - e^k N(d2)     put  p = e^k N(-d2) - N(-d1)     (both in units of F)

Nothing here is fast; everything is plain, converged and written without a look at kernels/.
"""

from collections.abc import Callable
from functools import lru_cache
from math import erfc, sqrt

import numpy as np

from volgauge.kernels._jit import F64

CORRIDOR_DELTA = 0.05
NODES = 400
"""Of Gauss-Legendre, a side: the integrands are analytic there."""
HALVINGS = 80
"""A bracket of width 8 ends below 1e-23: nothing is left to gain."""
WIDEST = 8.0
"""Largest sigma sqrt(t) searched."""

_erfc = np.vectorize(erfc, otypes=[np.float64])


def normal_cdf(x: F64) -> F64:
    """The standard normal distribution function."""
    cumulated: F64 = 0.5 * _erfc(-np.asarray(x) / sqrt(2.0))
    return cumulated


def call_price(k: F64, s: F64) -> F64:
    """Call in units of the forward; s > 0."""
    d1 = -k / s + 0.5 * s
    return normal_cdf(d1) - np.exp(k) * normal_cdf(d1 - s)


def put_price(k: F64, s: F64) -> F64:
    """Put in units of the forward; s > 0."""
    d1 = -k / s + 0.5 * s
    return np.exp(k) * normal_cdf(s - d1) - normal_cdf(-d1)


def otm_price(k: F64, s: F64) -> F64:
    """Put for k < 0, else call."""
    k, s = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(s, np.float64))
    price = np.empty(k.shape)
    below = k < 0.0
    price[below] = put_price(k[below], s[below])
    price[~below] = call_price(k[~below], s[~below])
    return price


def otm_delta(k: F64, s: F64) -> F64:
    """|delta| of the out-of-the-money option, with respect to the forward."""
    d1 = -k / s + 0.5 * s
    return normal_cdf(np.where(np.asarray(k) < 0.0, -d1, d1))


def implied_deviation(k: F64, price: F64) -> F64:
    """Invert `otm_price` for s by bisection; NaN outside the bounds 0 < p < min(1, e^k)."""
    k = np.asarray(k, np.float64)
    price = np.asarray(price, np.float64)
    low, high = np.zeros(k.shape), np.full(k.shape, WIDEST)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = otm_price(k, middle) >= price
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
        if np.all(high - low <= 2e-16 * high):
            break
    known = (price > 0.0) & (price < np.minimum(1.0, np.exp(k)))
    return np.where(known, 0.5 * (low + high), np.nan)


@lru_cache(maxsize=8)
def legendre(nodes: int) -> tuple[F64, F64]:
    """Abscissae and weights on [-1, 1]."""
    abscissae, weights = np.polynomial.legendre.leggauss(nodes)
    return abscissae, weights


def integrate(function: Callable[[F64], F64], low: float, high: float, nodes: int = NODES) -> float:
    """Integrate a function that is smooth on both sides of 0, split there."""
    abscissae, weights = legendre(nodes)
    total = 0.0
    for first, last in ((low, min(high, 0.0)), (max(low, 0.0), high)):
        if last > first:
            half = 0.5 * (last - first)
            total += half * float(weights @ function(first + half * (abscissae + 1.0)))
    return total


def bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that is negative at `low` and positive at `high` crosses zero."""
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if function(middle) > 0.0:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high)


def corridor_end(deviation: Callable[[float], float], side: int) -> float:
    """Where |delta| falls to 5 % on one side (-1 puts, +1 calls) of a smile s(k)."""

    def excess(distance: float) -> float:
        k = side * distance
        delta = otm_delta(np.array([k]), np.array([deviation(k)]))
        return CORRIDOR_DELTA - float(delta[0])

    # Walked outwards: far out a rising smile lifts |delta| again, and the first crossing counts.
    step = 0.25 * deviation(0.0)
    distance = step
    while excess(distance) < 0.0:
        distance += step
    return side * bisect(excess, distance - step, distance)
