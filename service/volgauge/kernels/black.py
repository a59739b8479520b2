"""Black-76 in normalised, undiscounted form, and the price at which |delta| is 5 %.

    m = K/F, k = ln m, s = sigma sqrt(t), d1 = -k/s + s/2, d2 = d1 - s
    call  c = N(d1) - m N(d2)     put  p = m N(-d2) - N(-d1)     (both in units of F)
    |delta| = N(d1) for calls, N(-d1) for puts: the forward delta

|delta| >= 5 % is a statement about the price. With z = N^-1(0.05) < 0:
    call, k >= 0: N(d1) rises with s; N(d1) = 0.05 at s = z + sqrt(z^2 + 2k),
        c* = 0.05 - m N(z - s); in the corridor if c >= c*.
    put, k <= 0: N(-d1) rises until s = sqrt(-2k) and falls again; it is 0.05 at
        s = -z -+ sqrt(z^2 + 2k), p* = m N(z + s) - 0.05; in the corridor if p is between the two.
        For k < -z^2/2 no volatility gives a put 5 % delta.
Source: Black 1976; the corridor is METHODOLOGY section 2.
"""

import math

import numpy as np
from numpy.typing import NDArray

from volgauge.kernels._jit import inlined, part
from volgauge.kernels.normal import SQRT_HALF, normal_cdf

CORRIDOR_DELTA = 0.05
Z = -1.6448536269514726
"""N^-1(0.05)."""
Z_SQUARED = Z * Z

CALL_CELLS = 2048
CALL_STEP = 1.0 / 512.0
"""Calls are tabulated for 1 <= m <= 5."""
PUT_CELLS = 768
PUT_STEP = 1.0 / 1024.0
PUT_FIRST = 0.25
"""Puts are tabulated for 1/4 <= m <= 1; below exp(-z^2/2) = 0.2585 the cell decides nothing."""


@part
def otm_price(m: float, s: float) -> float:
    """Out-of-the-money price in units of the forward: put for m < 1, else call.

    Args:
        m: K/F, > 0.
        s: sigma sqrt(t), > 0.

    Returns:
        Price between 0 and min(1, m); NaN when an argument is NaN.
    """
    d1 = 0.5 * s - math.log(m) / s
    if m < 1.0:
        return m * normal_cdf(s - d1) - normal_cdf(-d1)
    return normal_cdf(d1) - m * normal_cdf(d1 - s)


@part
def otm_delta(m: float, s: float) -> float:
    """Absolute forward delta of the out-of-the-money option; arguments as `otm_price`."""
    d1 = 0.5 * s - math.log(m) / s
    return normal_cdf(-d1) if m < 1.0 else normal_cdf(d1)


@part
def critical_call(m: float) -> float:
    """Price of a call with m >= 1 whose delta is 5 %."""
    s = Z + math.sqrt(Z_SQUARED + 2.0 * math.log(m))
    return CORRIDOR_DELTA - m * normal_cdf(Z - s)


@part
def critical_put(m: float, sign: float) -> float:
    """Lower (sign -1) or upper (+1) price of a put with m <= 1 whose |delta| is 5 %; NaN: none."""
    radicand = Z_SQUARED + 2.0 * math.log(m)
    if not radicand >= 0.0:
        return math.nan
    s = sign * math.sqrt(radicand) - Z
    return m * normal_cdf(Z + s) - CORRIDOR_DELTA


def _tabulate() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The two functions above in plain Python: asking a kernel would compile one at import."""

    def cdf(x: float) -> float:
        return 0.5 * math.erfc(-x * SQRT_HALF)

    def call(m: float) -> float:
        s = Z + math.sqrt(Z_SQUARED + 2.0 * math.log(m))
        return CORRIDOR_DELTA - m * cdf(Z - s)

    def put(m: float, sign: float) -> float:
        radicand = Z_SQUARED + 2.0 * math.log(m)
        if not radicand >= 0.0:
            return math.nan
        s = sign * math.sqrt(radicand) - Z
        return m * cdf(Z + s) - CORRIDOR_DELTA

    strikes = [PUT_FIRST + cell * PUT_STEP for cell in range(PUT_CELLS + 1)]
    return (
        np.array([call(1.0 + cell * CALL_STEP) for cell in range(CALL_CELLS + 1)]),
        np.array([put(m, -1.0) for m in strikes]),
        np.array([put(m, 1.0) for m in strikes]),
    )


_CALLS, _PUTS_LOWER, _PUTS_UPPER = _tabulate()
"""The critical prices are monotonic in m, so a cell's two ends bound them inside it."""


@inlined
def in_corridor(m: float, price: float) -> bool:
    """Whether an out-of-the-money option has |delta| >= 5 %, without solving for its volatility.

    Args:
        m: K/F, > 0; put below 1, call from 1 on.
        price: In units of the forward, > 0 and < min(1, m).

    Returns:
        The exact answer; False when an argument is NaN. The tables only save the logarithm and
        the error function where a cell's bounds decide already.
    """
    if m >= 1.0:
        place = (m - 1.0) / CALL_STEP
        if place < CALL_CELLS:
            cell = int(place)
            if price >= _CALLS[cell + 1] or price < _CALLS[cell]:
                return bool(price >= _CALLS[cell + 1])
        return price >= critical_call(m)
    place = (m - PUT_FIRST) / PUT_STEP
    if not place >= 0.0:
        return False
    cell = int(place)
    if _PUTS_LOWER[cell] <= price <= _PUTS_UPPER[cell]:
        return True
    if price < _PUTS_LOWER[cell + 1] or price > _PUTS_UPPER[cell + 1]:
        return False
    return critical_put(m, -1.0) <= price <= critical_put(m, 1.0)
