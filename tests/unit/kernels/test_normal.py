"""The normal distribution against mpmath."""

import mpmath
import pytest

from volgauge.kernels._jit import twin
from volgauge.kernels.normal import normal_cdf, normal_pdf

POINTS = [-37.0, -8.0, -1.6448536269514726, -1e-9, 0.0, 0.3, 2.5, 8.0]


@pytest.mark.parametrize("function", [normal_cdf, twin(normal_cdf)], ids=["compiled", "twin"])
@pytest.mark.parametrize("x", POINTS)
def test_cdf_keeps_its_digits_in_the_tail(function: object, x: float) -> None:
    """Relative error below 1e-13 down to 1e-300."""
    assert callable(function)
    with mpmath.workdps(40):
        expected = float(mpmath.ncdf(mpmath.mpf(x)))

    assert function(x) == pytest.approx(expected, rel=2e-13)


@pytest.mark.parametrize("x", POINTS)
def test_pdf(x: float) -> None:
    """Against mpmath."""
    assert normal_pdf(x) == pytest.approx(float(mpmath.npdf(x)), rel=2e-13)
