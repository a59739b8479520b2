"""Black-76 with 60 digits, and its inverse for a price taken as the double that it is.

Shares no code with the package.
"""

from typing import Any

import mpmath

DIGITS = 60
STEPS = 60
ENOUGH = 40
"""Digits to which a deviation is solved."""


def otm_price(k: Any, s: Any) -> Any:  # noqa: ANN401 - floats or mpmath's
    """Out-of-the-money price in units of the forward; k = ln(K/F), s = sigma sqrt t."""
    with mpmath.workdps(DIGITS):
        k, s = mpmath.mpf(k), mpmath.mpf(s)
        d1 = s / 2 - k / s
        d2 = d1 - s
        if k >= 0:
            return _normal(d1) - mpmath.exp(k) * _normal(d2)
        return mpmath.exp(k) * _normal(-d2) - _normal(-d1)


def vega(k: Any, s: Any) -> Any:  # noqa: ANN401 - floats or mpmath's
    """n(d1)."""
    with mpmath.workdps(DIGITS):
        d1 = mpmath.mpf(s) / 2 - mpmath.mpf(k) / mpmath.mpf(s)
        return mpmath.exp(-d1 * d1 / 2) / mpmath.sqrt(2 * mpmath.pi)


def deviation(k: Any, price: Any, near: float) -> Any:  # noqa: ANN401 - floats or mpmath's
    """The s that gives this price, by Newton's method on the logarithm of the price.

    Args:
        k: ln(K/F).
        price: Out of the money, in units of the forward.
        near: A number close to s.

    Raises:
        ArithmeticError: It did not converge from there.
    """
    with mpmath.workdps(DIGITS):
        s, price = mpmath.mpf(near), mpmath.mpf(price)
        for _ in range(STEPS):
            found = otm_price(k, s)
            step = mpmath.log(price / found) * found / vega(k, s)
            s += step
            if abs(step) < s * mpmath.mpf(10) ** -ENOUGH:
                return s
    raise ArithmeticError(f"expected a deviation near {near}, received none for k={k}")


def relative_error(received: float, exact: Any) -> float:  # noqa: ANN401 - mpmath's
    """|received / exact - 1|; NaN for a NaN."""
    with mpmath.workdps(DIGITS):
        return float(abs(mpmath.mpf(received) / exact - 1))


def _normal(x: Any) -> Any:  # noqa: ANN401 - mpmath's
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2
