"""Implied deviations: the root of a price known to 50 digits."""

from math import isnan, nan

import pytest

from unit.kernels.test_black import exact_price
from volgauge.kernels._jit import twin
from volgauge.kernels.implied import implied_deviation

CASES = [
    (m, s)
    for m in (0.2, 0.6, 0.9, 0.999_999, 1.0, 1.000_001, 1.05, 1.5, 4.0)
    for s in (0.01, 0.05, 0.15, 0.4, 1.0, 2.5)
    # A price that rounds to nothing or to its bound does not determine a deviation.
    if 1e-12 < exact_price(m, s) < 0.999 * min(1.0, m)
]


@pytest.mark.parametrize(("m", "s"), CASES)
def test_round_trip(m: float, s: float) -> None:
    """The deviation behind an exact price comes back, as far as the price determines it."""
    price = exact_price(m, s)

    solved = implied_deviation(m, price)

    assert solved == pytest.approx(s, rel=1e-11)
    assert exact_price(m, solved) == pytest.approx(price, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize(
    ("m", "price"),
    [(1.1, 0.0), (1.1, -0.01), (1.1, 1.0), (0.9, 0.9), (0.9, nan), (nan, 0.1), (-1.0, 0.1)],
)
def test_no_deviation_outside_the_bounds(m: float, price: float) -> None:
    """NaN, never a number, for a price that no volatility gives."""
    assert isnan(implied_deviation(m, price))
    assert isnan(twin(implied_deviation)(m, price))
