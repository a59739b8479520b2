"""The price of a strike from both legs, over all legs that a venue could quote."""

from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.kernels._jit import twin
from volgauge.kernels.strike_price import strike_price

price = twin(strike_price)
MOST = 1e-12

log_moneyness = st.floats(-1.5, 1.5)
shares = st.floats(0.01, 0.6)
"""Of the static bound: the mid out of the money."""
halves = st.floats(1e-6, 0.1)
apart = st.floats(-0.5, 0.5)
"""How far the in-the-money leg says otherwise, units of the forward."""


def other_mid(m: float, mid: float, off: float) -> float:
    """The in-the-money mid that says `mid + off` by parity."""
    return mid + off + abs(1.0 - m)


@given(k=log_moneyness, share=shares, half=halves, other_half=halves, off=apart)
def test_it_stays_within_the_quote_out_of_the_money(
    k: float, share: float, half: float, other_half: float, off: float
) -> None:
    """Never farther from the mid than a quarter of its half-spread, and towards the other leg."""
    m = exp(k)
    mid = share * min(1.0, m)
    moved = price(m, mid, half, other_mid(m, mid, off), other_half) - mid

    assert abs(moved) <= 0.25 * half + MOST
    assert abs(moved) <= 0.25 * abs(off) + MOST
    assert moved * off >= -MOST


@given(k=log_moneyness, share=shares, half=halves, other_half=halves, off=apart)
def test_the_mirrored_chain_has_the_mirrored_price(
    k: float, share: float, half: float, other_half: float, off: float
) -> None:
    """A call at 1/m of the chain seen in the other currency is the put at m over m."""
    m = exp(k)
    mid = share * min(1.0, m)
    other = other_mid(m, mid, off)
    here = price(m, mid, half, other, other_half)
    there = price(1.0 / m, mid / m, half / m, other / m, other_half / m)

    assert there * m == pytest.approx(here, rel=1e-9, abs=1e-9 * half)


@given(
    k=log_moneyness, share=shares, half=halves, other_half=halves, off=apart, step=st.floats(0, 1)
)
def test_it_has_no_steps(
    k: float, share: float, half: float, other_half: float, off: float, step: float
) -> None:
    """The other mid moves the price by no more than half of what it moves itself."""
    m = exp(k)
    mid = share * min(1.0, m)
    low, high = mid - half, mid + half
    if not high < min(1.0, m):
        return
    first = price(m, mid, half, other_mid(m, mid, off), other_half)
    delta = 1e-3 * step
    second = price(m, mid, half, other_mid(m, mid, off + delta), other_half)

    assert low - MOST <= first <= high + MOST
    assert abs(second - first) <= 0.5 * delta + MOST


@given(k=log_moneyness, share=shares, half=halves, narrow=st.floats(1e-9, 1.0), off=apart)
def test_narrowing_the_leg_in_the_money_gains_nothing(
    k: float, share: float, half: float, narrow: float, off: float
) -> None:
    """With any spread below its partner's it pulls no farther than with the same one."""
    m = exp(k)
    mid = share * min(1.0, m)
    other = other_mid(m, mid, off)
    same = price(m, mid, half, other, half) - mid
    narrower = price(m, mid, half, other, narrow * half) - mid

    assert abs(narrower) <= abs(same) + MOST
