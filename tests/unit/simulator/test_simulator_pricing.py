"""The simulator's formulas against mpmath, scipy and the definitions."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from volgauge.simulator import pricing
from volgauge.simulator.pricing import Smile

SMILES = [
    pytest.param(0.0189, -0.25, 4.7, id="a month, put skew"),
    pytest.param(0.0007, 0.10, 17.0, id="a day"),
    pytest.param(0.26, -0.40, 1.4, id="a year"),
]


def one(theta: float, rho: float, phi: float) -> Smile:
    """A single slice."""
    return Smile(np.array([theta]), np.array([rho]), np.array([phi]))


def ssvi(k: float, theta: float, rho: float, phi: float) -> float:
    """Total variance, Gatheral & Jacquier 2014, definition 4.1."""
    root = math.sqrt((phi * k + rho) ** 2 + 1.0 - rho**2)
    return 0.5 * theta * (1.0 + rho * phi * k + root)


def otm(k: float, w: float) -> float:
    """Out-of-the-money Black-76 price over the forward, by scipy."""
    deviation = math.sqrt(w)
    d1 = -k / deviation + deviation / 2.0
    if k >= 0.0:
        return float(norm.cdf(d1) - math.exp(k) * norm.cdf(d1 - deviation))
    return float(math.exp(k) * norm.cdf(deviation - d1) - norm.cdf(-d1))


@pytest.mark.parametrize("x", [-37.0, -8.5, -1.0, 0.0, 0.3, 6.0])
def test_normal_cdf_has_full_relative_precision(x: float) -> None:
    """N(x) agrees with mpmath to 1e-14 of itself, deep in the tail too."""
    expected = float(mpmath.ncdf(x))

    assert pricing.normal_cdf(np.array([x]))[0] == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("k", [-1.2, -0.2, 0.0, 0.05, 0.9])
@pytest.mark.parametrize("w", [0.0004, 0.02, 0.5])
@pytest.mark.parametrize("is_call", [True, False])
def test_price_equals_black_in_high_precision(k: float, w: float, *, is_call: bool) -> None:
    """Normalised calls and puts equal Black-76 evaluated with 40 digits."""
    with mpmath.workdps(40):
        deviation = mpmath.sqrt(w)
        d1 = -mpmath.mpf(k) / deviation + deviation / 2
        d2 = d1 - deviation
        call = mpmath.ncdf(d1) - mpmath.exp(k) * mpmath.ncdf(d2)
        expected = float(call if is_call else call - 1 + mpmath.exp(k))

    price = pricing.normalised_price(np.array([k]), np.array([w]), np.array([is_call]))

    assert price[0] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("theta", "rho", "phi"), SMILES)
def test_total_variance_and_slope_follow_the_definition(
    theta: float, rho: float, phi: float
) -> None:
    """w(k) is the published SSVI formula and `slope` its derivative."""
    for k in (-0.4, -0.01, 0.0, 0.3):
        w = pricing.total_variance(np.array([k]), one(theta, rho, phi))[0]
        slope = pricing.slope(np.array([k]), one(theta, rho, phi))[0]

        assert w == pytest.approx(ssvi(k, theta, rho, phi), rel=1e-14)
        derivative = float(mpmath.diff(lambda x: ssvi(float(x), theta, rho, phi), k, h=1e-6))
        assert slope == pytest.approx(derivative, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(("theta", "rho", "phi"), SMILES)
def test_line_variance_equals_the_priced_integral(theta: float, rho: float, phi: float) -> None:
    """The tail-free form equals 2 Integral p(k) e^-k dk by adaptive quadrature."""
    width = 14.0 * math.sqrt(theta) + 60.0 * theta * phi
    expected = sum(
        2.0
        * quad(
            lambda k: otm(k, ssvi(k, theta, rho, phi)) * math.exp(-k),
            *ends,
            epsabs=1e-14,
            epsrel=1e-11,
            limit=400,
        )[0]
        for ends in ((-width, 0.0), (0.0, width))
    )

    assert pricing.line_variance(one(theta, rho, phi))[0] == pytest.approx(expected, rel=2e-8)


@pytest.mark.parametrize(("theta", "rho", "phi"), SMILES)
@pytest.mark.parametrize(
    ("power", "truth"),
    [
        pytest.param(0.0, pricing.coin_variance, id="coin"),
        pytest.param(-1.0, pricing.simple_variance, id="svix"),
    ],
)
def test_other_measures_equal_the_priced_integral(
    theta: float, rho: float, phi: float, power: float, truth: Callable[[Smile], pricing.F64]
) -> None:
    """W(0) and W(-1) equal 2 Integral p(k) e^-ak dk by adaptive quadrature."""
    width = 14.0 * math.sqrt(theta) + 60.0 * theta * phi
    expected = sum(
        2.0
        * quad(
            lambda k: otm(k, ssvi(k, theta, rho, phi)) * math.exp(-power * k),
            *ends,
            epsabs=1e-14,
            epsrel=1e-11,
            limit=400,
        )[0]
        for ends in ((-width, 0.0), (0.0, width))
    )

    assert truth(one(theta, rho, phi))[0] == pytest.approx(expected, rel=2e-8)


def test_a_heavy_call_wing_has_no_second_moment() -> None:
    """At a wing slope of 0.343 and more Var(S/F) is infinite (Lee 2004)."""
    limit = 2.0 - 4.0 * (math.sqrt(2.0) - 1.0)
    theta, rho = 0.3, 0.2

    light, heavy = (2.0 * slope / (theta * (1.0 + rho)) for slope in (0.9 * limit, 1.01 * limit))

    assert math.isfinite(pricing.simple_variance(one(theta, rho, light))[0])
    assert math.isinf(pricing.simple_variance(one(theta, rho, heavy))[0])


@pytest.mark.parametrize(("theta", "rho", "phi"), SMILES)
def test_corridor_ends_where_delta_is_five_percent(theta: float, rho: float, phi: float) -> None:
    """The ends solve |N(d1)| = 0.05 on each side."""
    low, high = pricing.corridor_ends(one(theta, rho, phi))

    for k, sign in ((low[0], -1.0), (high[0], 1.0)):
        deviation = math.sqrt(ssvi(k, theta, rho, phi))
        d1 = -k / deviation + deviation / 2.0
        assert norm.cdf(sign * d1) == pytest.approx(0.05, abs=1e-12)


@pytest.mark.parametrize(("theta", "rho", "phi"), SMILES)
def test_corridor_variance_equals_adaptive_quadrature(theta: float, rho: float, phi: float) -> None:
    """The corridor's variance equals scipy's integral between scipy's ends."""

    def excess(k: float, sign: float) -> float:
        deviation = math.sqrt(ssvi(k, theta, rho, phi))
        return float(norm.cdf(sign * (-k / deviation + deviation / 2.0))) - 0.05

    width = 5.0 * math.sqrt(theta)
    low = brentq(excess, -width, 0.0, args=(-1.0,), xtol=1e-14)
    high = brentq(excess, 0.0, width, args=(1.0,), xtol=1e-14)
    expected = sum(
        2.0
        * quad(lambda k: otm(k, ssvi(k, theta, rho, phi)) * math.exp(-k), *ends, epsabs=1e-15)[0]
        for ends in ((low, 0.0), (0.0, high))
    )

    assert pricing.corridor_variance(one(theta, rho, phi))[0] == pytest.approx(expected, rel=1e-9)


def test_implied_variance_inverts_the_price() -> None:
    """A price made from a variance gives that variance back, in and out of the money."""
    k = np.array([-0.5, -0.1, 0.0, 0.2, 0.6])
    w = np.array([0.05, 0.01, 0.02, 0.03, 0.2])
    for is_call in (True, False):
        kind = np.full(5, is_call)

        solved = pricing.implied_variance(k, pricing.normalised_price(k, w, kind), kind)

        assert solved == pytest.approx(w, rel=1e-9)


def test_impossible_prices_have_no_implied_variance() -> None:
    """Below intrinsic, zero, or above the upper bound: NaN."""
    solved = pricing.implied_variance(
        np.array([-0.5, 0.1, 0.1]), np.array([0.1, 0.0, 1.1]), np.array([True, True, True])
    )

    assert np.isnan(solved).all()


def test_strip_variance_equals_the_rule_written_out() -> None:
    """The discrete strip equals a plain loop over DATA.md's description."""
    forward, theta, rho, phi = 86_300.0, 0.02, -0.2, 4.5
    strikes = [float(k) for k in range(50_000, 140_001, 2_000)]
    variance = [ssvi(math.log(k / forward), theta, rho, phi) for k in strikes]
    price = {k: otm(math.log(k / forward), w) for k, w in zip(strikes, variance, strict=True)}
    put = {k: p if k < forward else p + k / forward - 1.0 for k, p in price.items()}
    call = {k: p if k >= forward else p + 1.0 - k / forward for k, p in price.items()}
    at_money = max(k for k in strikes if k <= forward)
    kept = []
    for strike, w in zip(strikes, variance, strict=True):
        d1 = math.log(forward / strike) / math.sqrt(w) + math.sqrt(w) / 2.0
        delta = norm.cdf(d1) if strike > forward else norm.cdf(-d1)
        if delta >= 0.05:
            quote = put[strike] if strike <= forward else call[strike]
            if strike == at_money:
                quote = 0.5 * (put[strike] + call[strike])
            kept.append((strike, quote * forward))
    total = 0.0
    for place, (strike, quote) in enumerate(kept):
        below = kept[place - 1][0] if place else None
        above = kept[place + 1][0] if place + 1 < len(kept) else None
        if below is None or above is None:
            width = (above - strike) if above is not None else (strike - (below or 0.0))
        else:
            width = (above - below) / 2.0
        total += 2.0 * width / strike**2 * quote
    expected = total - (forward / at_money - 1.0) ** 2

    found = pricing.strip_variance(
        np.array(strikes), np.array(list(call.values())), np.array(list(put.values())), forward,
        np.array(variance),
    )  # fmt: skip

    assert found == pytest.approx(expected, rel=1e-12)
