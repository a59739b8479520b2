"""Black-76, its inverse and the quadrature that truths rest on, against scipy."""

import numpy as np
import pytest
from scipy.special import ndtr

from volgauge.offline.accuracy import numerics

K = np.linspace(-1.5, 1.5, 25)


@pytest.mark.parametrize("s", [0.05, 0.15, 0.6])
def test_prices_are_black_76(s: float) -> None:
    """Calls and puts by scipy's normal distribution, to the last digits."""
    d1 = -K / s + s / 2.0
    call = ndtr(d1) - np.exp(K) * ndtr(d1 - s)
    put = np.exp(K) * ndtr(s - d1) - ndtr(-d1)
    deviation = np.full(K.shape, s)

    np.testing.assert_allclose(numerics.call_price(K, deviation), call, rtol=1e-9, atol=1e-16)
    np.testing.assert_allclose(numerics.put_price(K, deviation), put, rtol=1e-9, atol=1e-16)


def test_the_out_of_the_money_side() -> None:
    """Puts below the forward, calls from it on; delta by the same side."""
    s = np.full(K.shape, 0.3)

    otm = numerics.otm_price(K, s)

    np.testing.assert_array_equal(otm[K < 0.0], numerics.put_price(K, s)[K < 0.0])
    np.testing.assert_array_equal(otm[K >= 0.0], numerics.call_price(K, s)[K >= 0.0])
    delta = numerics.otm_delta(K, s)
    assert delta[0] == pytest.approx(float(ndtr(K[0] / 0.3 - 0.15)), rel=1e-12)
    assert delta[-1] == pytest.approx(float(ndtr(-K[-1] / 0.3 + 0.15)), rel=1e-12)


def test_the_inverse_gives_the_deviation_back() -> None:
    """From a price to sigma sqrt(t)."""
    s = np.linspace(0.1, 0.5, len(K))

    found = numerics.implied_deviation(K, numerics.otm_price(K, s))

    np.testing.assert_allclose(found, s, rtol=1e-9)


@pytest.mark.parametrize(("k", "price"), [(0.1, 0.0), (0.1, 1.0), (-0.1, 0.95), (0.1, np.nan)])
def test_prices_outside_the_bounds_have_no_volatility(k: float, price: float) -> None:
    """0 < p < min(1, e^k), and no number gives none."""
    assert np.isnan(numerics.implied_deviation(np.array([k]), np.array([price])))[0]


def test_the_quadrature_splits_at_the_forward() -> None:
    """|k| is integrated exactly, which no single rule over both sides does."""
    found = numerics.integrate(np.abs, -1.0, 2.0, nodes=4)

    assert found == pytest.approx(2.5, rel=1e-14)


@pytest.mark.parametrize("side", [-1, 1])
def test_the_corridor_ends_at_five_delta(side: int) -> None:
    """In a flat world: N(d1) = 0.05 has a closed form."""
    s, z = 0.2, 1.6448536269514722

    end = numerics.corridor_end(lambda _: s, side)

    assert end == pytest.approx(side * z * s + s * s / 2.0, abs=1e-12)
