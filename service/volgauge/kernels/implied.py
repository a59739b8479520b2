"""Implied standard deviation s = sigma sqrt(t) of an out-of-the-money option, by guarded Newton.

Start at the inflection s0 = sqrt(2|k|), from which Newton's steps cannot cross the root twice
(Manaster and Koehler 1982). Below the inflection the logarithm of the price is solved, because
there the price itself is too flat; a step that leaves the bracket is halved.
"""

import math

from volgauge.kernels._jit import part
from volgauge.kernels.black import otm_price
from volgauge.kernels.normal import INV_SQRT_2PI, normal_pdf

MAX_STEPS = 60
"""Newton needs 3 to 8; the rest is for bisection in adversarial corners."""
TOLERANCE = 4e-15
LARGEST = 40.0
"""s beyond which a price equals its bound in double precision."""


@part
def implied_deviation(m: float, price: float) -> float:
    """Solve otm_price(m, s) = price.

    Args:
        m: K/F, > 0; put below 1, call from 1 on.
        price: In units of the forward.

    Returns:
        s > 0, or NaN when the price is not inside (0, min(1, m)) or an argument is NaN.
    """
    bound = min(1.0, m)
    if not (m > 0.0 and 0.0 < price < bound):
        return math.nan
    k = math.log(m)
    s = price / INV_SQRT_2PI if k == 0.0 else math.sqrt(2.0 * abs(k))
    lower, upper = 0.0, LARGEST
    if s > upper:
        s = 0.5 * upper
    below = otm_price(m, s) > price
    for _ in range(MAX_STEPS):
        value = otm_price(m, s)
        if value > price:
            upper = s
        else:
            lower = s
        slope = normal_pdf(0.5 * s - k / s)
        if below and value > 0.0 and slope > 0.0:
            step = (value / slope) * math.log(price / value)
        elif slope > 0.0:
            step = (price - value) / slope
        else:
            step = math.inf
        fresh = s + step
        if not lower < fresh < upper:
            fresh = 0.5 * (lower + upper)
        if abs(fresh - s) <= TOLERANCE * s:
            return fresh
        s = fresh
    return s
