"""Black-76 and the 5-delta price against mpmath and root finding."""

from itertools import pairwise
from math import isnan

import mpmath
import pytest

from golden.slow_rules import delta
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import black
from volgauge.kernels._jit import twin

CASES = [
    (m, s)
    for m in (0.3, 0.7, 0.95, 0.9999, 1.0, 1.02, 1.4, 3.0, 7.0)
    for s in (0.05, 0.2, 0.9, 2.5)
]


def exact_price(m: float, s: float) -> float:
    """Out-of-the-money price with 50 digits."""
    with mpmath.workdps(50):
        k, sd = mpmath.log(mpmath.mpf(m)), mpmath.mpf(s)
        d1 = -k / sd + sd / 2
        if m < 1.0:
            return float(m * mpmath.ncdf(sd - d1) - mpmath.ncdf(-d1))
        return float(mpmath.ncdf(d1) - m * mpmath.ncdf(d1 - sd))


@pytest.mark.parametrize(("m", "s"), CASES)
def test_price(m: float, s: float) -> None:
    """Absolute error of a few units of rounding, in units of the forward."""
    assert black.otm_price(m, s) == pytest.approx(exact_price(m, s), abs=1e-15, rel=1e-11)


@pytest.mark.parametrize(("m", "s"), CASES)
def test_twin(m: float, s: float) -> None:
    """The compiled code and its Python twin give the same bits."""
    assert twin(black.otm_price)(m, s) == black.otm_price(m, s)


@pytest.mark.parametrize("m", [1.0001, 1.01, 1.2, 2.0, 4.9, 5.1, 9.0])
def test_critical_call_has_five_delta(m: float) -> None:
    """A call at its critical price has N(d1) = 0.05."""
    price = black.critical_call(m)

    assert delta(OptionKind.CALL, m, price) == pytest.approx(0.05, abs=1e-10)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("m", [0.26, 0.4, 0.7, 0.9, 0.99, 0.9999])
def test_critical_put_has_five_delta(m: float, sign: float) -> None:
    """A put at either critical price has N(-d1) = 0.05."""
    price = black.critical_put(m, sign)

    assert delta(OptionKind.PUT, m, price) == pytest.approx(0.05, abs=1e-9)


def test_far_puts_have_no_five_delta() -> None:
    """Below exp(-z^2/2) of the forward no volatility gives a put a delta of 5 %."""
    assert not black.in_corridor(0.25, 0.07)
    assert not black.in_corridor(0.2, 0.1)
    assert black.critical_put(0.25, -1.0) != black.critical_put(0.25, -1.0)


def test_tables_bound_their_cells() -> None:
    """Critical prices are monotonic in m, which makes a cell's ends its bounds."""
    calls = black._CALLS.tolist()
    lower = [p for p in black._PUTS_LOWER.tolist() if not isnan(p)]
    upper = [p for p in black._PUTS_UPPER.tolist() if not isnan(p)]

    assert all(a < b for a, b in pairwise(calls))
    assert all(a > b for a, b in pairwise(lower))
    assert all(a < b for a, b in pairwise(upper))


@pytest.mark.parametrize("factor", [0.5, 0.999, 0.999_999, 1.000_001, 1.001, 1.5])
@pytest.mark.parametrize("m", [0.3, 0.61803, 0.87, 0.9571, 1.0137, 1.25, 1.7, 4.2, 6.0])
def test_corridor_by_price_is_the_corridor_by_delta(m: float, factor: float) -> None:
    """The shortcut through the price decides as a solved volatility would."""
    if m < 1.0:
        kind, price = OptionKind.PUT, black.critical_put(m, -1.0) * factor
    else:
        kind, price = OptionKind.CALL, black.critical_call(m) * factor

    expected = delta(kind, m, price) >= 0.05
    assert expected == black.in_corridor(m, price)
    assert expected == twin(black.in_corridor)(m, price)


def test_a_put_worth_almost_its_strike_is_outside() -> None:
    """At enormous volatility a put's delta falls below 5 % again."""
    assert black.in_corridor(0.9, 0.5)
    assert not black.in_corridor(0.9, 0.8999)


def test_nan_is_never_inside() -> None:
    """An unknown price or strike decides nothing."""
    assert not black.in_corridor(1.1, float("nan"))
    assert not black.in_corridor(float("nan"), 0.01)
