"""The normal distribution, by the complementary error function, which keeps its digits in the tail.

N(x) = erfc(-x / sqrt 2) / 2,  n(x) = exp(-x^2 / 2) / sqrt(2 pi)
"""

import math

from volgauge.kernels._jit import inlined

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@inlined
def normal_cdf(x: float) -> float:
    """N(x); NaN stays NaN."""
    return 0.5 * math.erfc(-x * SQRT_HALF)


@inlined
def normal_pdf(x: float) -> float:
    """n(x); NaN stays NaN."""
    return INV_SQRT_2PI * math.exp(-0.5 * x * x)
