"""Implied standard deviation s = sigma sqrt(t) of an out-of-the-money option, by guarded Halley.

Near the money the start is Corrado and Miller's closed form (1996), elsewhere the inflection
s0 = sqrt(2|k|), from which the step cannot run away (Manaster and Koehler 1982). Where the price
lies below its value at s0 its logarithm is solved, because there the price itself is too flat.
A step that leaves the bracket is replaced by a halving.

    v = n(d1), v'/v = d1 d2 / s
"""

import math

from volgauge.kernels._jit import part
from volgauge.kernels.normal import INV_SQRT_2PI, normal_cdf, normal_pdf

MAX_STEPS = 80
"""Halley needs 2 to 5; the rest is for halvings in adversarial corners."""
LAST_STEP = 1e-6
"""Relative size of a step after which the third-order error is below rounding."""
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
    if not (m > 0.0 and 0.0 < price < min(1.0, m)):
        return math.nan
    k = math.log(m)
    # In terms of the call: c - (1 - m) / 2, the same for the put of this strike.
    middle = price + 0.5 * abs(1.0 - m)
    radicand = middle * middle - (1.0 - m) * (1.0 - m) / math.pi
    if radicand > 0.0:
        s = (middle + math.sqrt(radicand)) / (INV_SQRT_2PI * (1.0 + m))
    else:
        s = math.sqrt(2.0 * abs(k))
    lower, upper = 0.0, LARGEST
    s = min(s, 0.5 * upper)
    for _ in range(MAX_STEPS):
        d1 = 0.5 * s - k / s
        d2 = d1 - s
        if m < 1.0:
            value = m * normal_cdf(-d2) - normal_cdf(-d1)
        else:
            value = normal_cdf(d1) - m * normal_cdf(d2)
        if value > price:
            upper = s
        else:
            lower = s
        slope = normal_pdf(d1)
        curve = d1 * d2 / s
        if d1 * d2 > 0.0 and value > 0.0:
            # Below the inflection: the logarithm of the price.
            slope /= value
            miss = math.log(value / price)
            curve -= slope
        else:
            miss = value - price
        newton = miss / slope
        fresh = s - newton / (1.0 - 0.5 * newton * curve)
        # Written so that a NaN (a slope of 0) takes the halving.
        if not lower < fresh < upper:
            fresh = 0.5 * (lower + upper)
        elif abs(fresh - s) <= LAST_STEP * s:
            return fresh
        s = fresh
    return s
