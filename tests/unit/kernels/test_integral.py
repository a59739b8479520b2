"""The integrals of a smile against scipy's quadrature and closed forms of a flat world."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from volgauge.kernels import integral as ig
from volgauge.kernels import smile as sm
from volgauge.kernels._jit import F64
from volgauge.kernels.screen import CAP, MONEYNESS

SKEWED = (0.012, 0.09, -0.4, 0.02, 0.15)
FLAT = (0.04, 0.0, 0.0, 0.0, 0.2)


def variance(p: tuple[float, ...], k: float) -> float:
    """Gatheral's formula."""
    a, b, rho, m, s = p
    return a + b * (rho * (k - m) + math.hypot(k - m, s))


def price(k: float, w: float) -> float:
    """Out-of-the-money price in units of the forward, by scipy."""
    s = math.sqrt(w)
    d1 = -k / s + s / 2
    if k < 0.0:
        return float(math.exp(k) * norm.cdf(s - d1) - norm.cdf(-d1))
    return float(norm.cdf(d1) - math.exp(k) * norm.cdf(d1 - s))


def five_delta(p: tuple[float, ...], side: float) -> float:
    """Where the corridor ends."""
    a, b, rho, m, s = p
    return ig.reach(a, b, rho, m, s, side, ig.Z_CORRIDOR, 0.5, 1e-13)


def nodes() -> F64:
    """Scratch."""
    return np.zeros((ig.NODE_ROWS, ig.NODE_COUNT))


def strikes(k: F64, residual: F64) -> F64:
    """A smile's scratch with strikes and residuals."""
    made = np.zeros((sm.SMILE_ROWS, len(k)))
    made[sm.K], made[sm.M], made[sm.RESIDUAL] = k, np.exp(k), residual
    return made


@pytest.mark.parametrize("p", [SKEWED, FLAT])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_corridor_ends_at_five_delta(p: tuple[float, ...], side: float) -> None:
    """At the end |delta| = N(-|d1|) is 5 %."""
    k = five_delta(p, side)
    s = math.sqrt(variance(p, k))
    d1 = -k / s + s / 2
    assert norm.cdf(side * d1) == pytest.approx(0.05, rel=1e-10)
    assert k * side > 0.0


def test_a_money_beyond_five_delta_has_no_put_side() -> None:
    """With sw > 2 x 1.645 no out-of-the-money put has 5 delta near the money."""
    assert ig.reach(12.0, 0.0, 0.0, 0.0, 1.0, -1.0, ig.Z_CORRIDOR, 0.5, 1e-13) == 0.0


@pytest.mark.parametrize("p", [SKEWED, FLAT])
def test_the_corridor_integral_is_scipys(p: tuple[float, ...]) -> None:
    """Sixteen nodes a side agree with adaptive quadrature to 1e-7."""
    low, high = five_delta(p, -1.0), five_delta(p, 1.0)
    expected = sum(
        quad(lambda k: 2 * price(k, variance(p, k)) * math.exp(-k), *ends, epsabs=1e-14)[0]
        for ends in ((low, 0.0), (0.0, high))
    )
    assert ig.corridor_integral(nodes(), low, high, *p) == pytest.approx(expected, rel=1e-7)


def test_the_residual_integral_is_exact_and_ends_at_the_corridor() -> None:
    """A piecewise linear function, cut inside two segments, against scipy."""
    k = np.array([-0.4, -0.25, -0.1, 0.05, 0.2, 0.33])
    r = np.array([1e-4, -3e-4, 2e-4, 1e-4, -1e-4, 5e-4])
    low, high = -0.3, 0.27
    expected = 2 * quad(
        lambda x: np.interp(x, k, r) * math.exp(-x), low, high, points=k[1:5].tolist(),
        epsabs=1e-16,
    )[0]  # fmt: skip
    found = ig.residual_integral(strikes(k, r), sm.RESIDUAL, 6, low, high)
    assert found == pytest.approx(expected, rel=1e-9)


def test_nothing_is_added_beyond_the_strikes() -> None:
    """A corridor wider than the quotes integrates the residual between the quotes only."""
    k = np.array([-0.1, 0.0, 0.1])
    smile = strikes(k, np.full(3, 1e-3))
    inside = ig.residual_integral(smile, sm.RESIDUAL, 3, -0.1, 0.1)
    assert ig.residual_integral(smile, sm.RESIDUAL, 3, -9.0, 9.0) == inside


def whole_flat(w: float) -> tuple[F64, float, float]:
    """Totals of core and wings of a flat world, and W(1) twice."""
    p = (w, 0.0, 0.0, 0.0, 0.2)
    k = np.array([-0.3, -0.1, 0.1, 0.3])
    smile = strikes(k, np.zeros(4))
    scratch = nodes()
    totals = scratch[ig.NODE_TOTALS]
    work = np.full((CAP + 1, 1), np.nan)
    work[MONEYNESS] = 1.0
    plain, check = ig.core(scratch, -0.3, 0.3, *p, totals)
    for edge, side in ((0, -1.0), (3, 1.0)):
        _, _, wing_plain, wing_check = ig.wing(scratch, smile, work, 1, edge, side, *p, totals)
        plain, check = plain + wing_plain, check + wing_check
    return totals, plain, check


@pytest.mark.parametrize("w", [0.002, 0.03, 0.4])
def test_a_flat_world_has_its_closed_forms(w: float) -> None:
    """W(1) = W(0) = w, W(-1) = e^w - 1, moments of a normal ln S/F; the tail-free form agrees."""
    totals, plain, check = whole_flat(w)
    mean, square = -0.5 * w, w + 0.25 * w * w
    cube = mean**3 + 3 * mean * w
    fourth = mean**4 + 6 * mean**2 * w + 3 * w * w
    expected = [w, w, math.expm1(w), square, cube, fourth]
    assert totals[:6] == pytest.approx(expected, rel=2e-6, abs=1e-9)
    assert plain == pytest.approx(w, rel=2e-6)
    assert check == pytest.approx(w, rel=2e-6)


def test_the_tail_free_form_agrees_with_prices_on_a_skewed_smile() -> None:
    """Two different integrals of the same curve give the same variance."""
    p = SKEWED
    k = np.array([-0.3, -0.1, 0.1, 0.3])
    scratch = nodes()
    work = np.full((CAP + 1, 1), np.nan)
    work[MONEYNESS] = 1.0
    totals = scratch[ig.NODE_TOTALS]
    plain, check = ig.core(scratch, -0.3, 0.3, *p, totals)
    smile = strikes(k, np.zeros(4))
    for edge, side in ((0, -1.0), (3, 1.0)):
        _, _, wing_plain, wing_check = ig.wing(scratch, smile, work, 1, edge, side, *p, totals)
        plain, check = plain + wing_plain, check + wing_check
    assert check == pytest.approx(plain, rel=1e-5)


def capped(side: float, asks: list[tuple[float, float]]) -> float:
    """W(1) of one wing by the curve, below asks at (K/F, ask)."""
    p = SKEWED
    k = np.array([-0.3, -0.1, 0.1, 0.3])
    smile = strikes(k, np.zeros(4))
    smile[sm.PRICE] = [price(x, variance(p, x)) for x in k]
    ladder = sorted([*asks, *((math.exp(x), math.nan) for x in k)])
    work = np.full((CAP + 1, len(ladder)), np.nan)
    work[MONEYNESS], work[CAP] = zip(*ladder, strict=True)
    smile[sm.PLACE, : len(k)] = np.searchsorted(work[MONEYNESS], np.exp(k))
    scratch = nodes()
    edge = 0 if side < 0.0 else 3
    return float(
        ig.wing(scratch, smile, work, work.shape[1], edge, side, *p, scratch[ig.NODE_TOTALS])[1]
    )


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_ask_beyond_the_edge_caps_the_wing(side: float) -> None:
    """A cheap ask lowers the tail, a dear one does not touch it, one on the other side neither."""
    m = math.exp(side * 0.5)
    free = capped(side, [])
    model = price(side * 0.5, variance(SKEWED, side * 0.5))
    assert capped(side, [(m, 0.2 * model)]) < 0.95 * free
    assert capped(side, [(m, 50.0 * model)]) == free
    assert capped(side, [(1.0 / m, 0.5 * model)]) == free
