"""Compensated summation against exact sums."""

from fractions import Fraction
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.kernels._jit import twin
from volgauge.kernels.summation import add


def total(terms: list[float]) -> float:
    """Sum by the kernel's steps."""
    high = low = 0.0
    for term in terms:
        high, low = add(high, low, term)
    return high + low


def test_cancelled_terms_leave_the_small_one() -> None:
    """A plain sum gives 0 here."""
    assert total([1.0, 1e100, 1.0, -1e100]) == 2.0


def test_compiled_and_twin_agree() -> None:
    """The same bits."""
    assert twin(add)(1e16, 0.0, 3.3) == add(1e16, 0.0, 3.3)


@given(st.lists(st.floats(min_value=1e-12, max_value=1e3), min_size=1, max_size=60))
def test_positive_terms_are_summed_to_rounding(terms: list[float]) -> None:
    """Within one unit of rounding of the exact sum."""
    exact = float(sum(map(Fraction, terms)))

    assert fsum(terms) == exact
    assert total(terms) == pytest.approx(exact, rel=3e-16)
