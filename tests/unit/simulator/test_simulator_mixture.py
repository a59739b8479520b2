"""Lognormal mixtures against mpmath, scipy and the definitions."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from volgauge.simulator import mixture, process
from volgauge.simulator.mixture import Mixture

MIXTURES = [
    pytest.param(([0.2, 0.8], [0.87, 1.0325], [0.02, 0.014]), id="a month, put skew"),
    pytest.param(([0.06, 0.94], [0.7, 1.0191489361702128], [0.035, 0.0096]), id="crash"),
    pytest.param(([0.15, 0.6, 0.25], [1.3, 0.95, 0.94], [0.2, 0.3, 0.6]), id="a year, call skew"),
    pytest.param(([0.5, 0.5], [1.0, 1.0], [0.0002, 0.0012]), id="a day, fat wings"),
]
YEARS = np.array([0.5, 1, 2, 4, 7, 14, 30, 60, 90, 180, 365, 450]) / 365.0
Parts = tuple[list[float], list[float], list[float]]


def row(parts: Parts) -> Mixture:
    """One law."""
    return Mixture(*(np.array([part]) for part in parts))


def exact_price(k: float, parts: Parts) -> mpmath.mpf:
    """The out-of-the-money price over the forward, from the lognormal expectation."""
    total = mpmath.mpf(0)
    side = -1 if k < 0 else 1
    for weight, mean, variance in zip(*parts, strict=True):
        deviation = mpmath.sqrt(variance)
        d1 = (mpmath.log(mean) - k) / deviation + deviation / 2
        near, far = mpmath.ncdf(side * d1), mpmath.ncdf(side * (d1 - deviation))
        total += weight * side * (mean * near - mpmath.exp(k) * far)
    return total


def price_of(parts: Parts) -> Callable[[float], float]:
    """The same in doubles, for quadrature."""

    def price(k: float) -> float:
        side = -1.0 if k < 0.0 else 1.0
        total = 0.0
        for weight, mean, variance in zip(*parts, strict=True):
            deviation = math.sqrt(variance)
            d1 = (math.log(mean) - k) / deviation + deviation / 2.0
            far = norm.cdf(side * (d1 - deviation))
            total += weight * side * (mean * norm.cdf(side * d1) - math.exp(k) * far)
        return float(total)

    return price


def black(k: float, w: float) -> float:
    """Out-of-the-money Black-76 price over the forward."""
    return price_of(([1.0], [1.0], [w]))(k)


def integral(parts: Parts, power: float, low: float, high: float) -> float:
    """2 Integral p(k) e^(-power k) dk by adaptive quadrature."""
    price = price_of(parts)
    sides = [
        quad(
            lambda k: price(k) * math.exp(-power * k),
            *ends,
            epsabs=1e-15,
            epsrel=1e-11,
            limit=400,
        )[0]
        for ends in ((low, 0.0), (0.0, high))
    ]
    return float(2.0 * sum(sides))


@pytest.mark.parametrize("parts", MIXTURES)
def test_price_equals_the_expectation_in_high_precision(parts: Parts) -> None:
    """Puts and calls equal the lognormal expectation evaluated with 40 digits."""
    for k in (-0.6, -0.2, -0.01, 0.0, 0.05, 0.4):
        with mpmath.workdps(40):
            expected = float(exact_price(k, parts))

        assert mixture.out_of_the_money_price(np.array([k]), row(parts))[0] == pytest.approx(
            expected, abs=1e-15
        )


@pytest.mark.parametrize("parts", MIXTURES)
def test_total_variance_gives_the_price_back(parts: Parts) -> None:
    """Black-76 at w(k) is the mixture's price, near and far from the money."""
    reach = math.sqrt(max(parts[2]))
    for z in (-3.0, -1.0, -0.1, 0.0, 0.2, 1.0, 3.0):
        k = z * reach
        w = mixture.total_variance(np.array([k]), row(parts))[0]
        with mpmath.workdps(40):
            expected = float(exact_price(k, parts))

        assert black(k, w) == pytest.approx(expected, rel=1e-10, abs=1e-18)


def test_total_variance_beyond_every_double_is_the_largest_component() -> None:
    """A price that underflows still has a finite implied variance."""
    w = mixture.total_variance(np.array([-2.0]), row(([0.5, 0.5], [1.0, 1.0], [1e-6, 3e-6])))

    assert w[0] == 3e-6


@pytest.mark.parametrize("parts", MIXTURES)
@pytest.mark.parametrize(
    ("power", "closed"),
    [
        pytest.param(1.0, mixture.line_variance, id="line"),
        pytest.param(0.0, mixture.coin_variance, id="coin"),
        pytest.param(-1.0, mixture.simple_variance, id="svix"),
    ],
)
def test_closed_forms_equal_the_priced_integral(
    parts: Parts, power: float, closed: Callable[[Mixture], np.ndarray]
) -> None:
    """W(1), W(0), W(-1) equal 2 Integral p(k) e^-ak dk by adaptive quadrature."""
    reach = 14.0 * math.sqrt(max(parts[2])) + 1.0

    assert closed(row(parts))[0] == pytest.approx(integral(parts, power, -reach, reach), rel=1e-8)


@pytest.mark.parametrize("parts", MIXTURES)
def test_corridor_equals_scipy_between_scipys_ends(parts: Parts) -> None:
    """Ends where Black's |delta| at the implied variance is 0.05, integral by quadrature."""
    price = price_of(parts)
    reach = 4.0 * math.sqrt(max(parts[2])) + 0.5

    def excess(k: float, sign: float) -> float:
        w = brentq(lambda w: black(k, w) - price(k), 1e-9, 9.0, xtol=1e-16, rtol=1e-14)
        return float(norm.cdf(sign * (-k / math.sqrt(w) + math.sqrt(w) / 2.0))) - 0.05

    low = brentq(excess, -reach, -1e-4, args=(-1.0,), xtol=1e-13)
    high = brentq(excess, 1e-4, reach, args=(1.0,), xtol=1e-13)

    ends = mixture.corridor_ends(row(parts))
    assert ends[0][0] == pytest.approx(low, abs=1e-9)
    assert ends[1][0] == pytest.approx(high, abs=1e-9)
    expected = integral(parts, 1.0, low, high)
    assert mixture.corridor_variance(row(parts))[0] == pytest.approx(expected, rel=1e-9)


def states() -> list[process.F64]:
    """States scattered over months of market life."""
    random = np.random.default_rng(3)
    law = process.law_of([0.5, 0.9])
    state = process.start_state(law, [86_000.0, 2.0], random)
    found = []
    for _ in range(12):
        state = process.evolve(state, law, 20.0 / 365.0, random)
        found += list(state)
    return found


@pytest.mark.parametrize("shape", list(process.SHAPES))
def test_every_law_is_a_law_with_mean_one(shape: str) -> None:
    """Weights are a distribution, means positive, the forward is the expectation."""
    for state in states():
        laws = process.mixture_at(state, YEARS, process.SHAPES[shape])

        assert (laws.weight > 0.0).all()
        assert laws.weight.sum(axis=-1) == pytest.approx(1.0, abs=1e-14)
        assert (laws.mean > 0.0).all()
        assert (laws.weight * laws.mean).sum(axis=-1) == pytest.approx(1.0, abs=1e-14)
        assert (laws.variance > 0.0).all()


@pytest.mark.parametrize("shape", list(process.SHAPES))
def test_no_price_falls_in_time(shape: str) -> None:
    """No calendar arbitrage: every normalised option price rises with the expiry."""
    k = np.linspace(-2.0, 2.0, 81)
    for state in states():
        laws = process.mixture_at(state, YEARS, process.SHAPES[shape])
        wide = Mixture(laws.weight[:, None], laws.mean[:, None], laws.variance[:, None])

        prices = mixture.out_of_the_money_price(np.broadcast_to(k, (len(YEARS), 81)), wide)

        assert np.diff(prices, axis=0).min() >= -1e-15


@pytest.mark.parametrize("shape", list(process.SHAPES))
def test_calls_are_convex_and_falling_in_strike(shape: str) -> None:
    """No butterfly arbitrage on a fine strike grid."""
    strikes = np.linspace(0.05, 3.0, 401)
    k = np.log(strikes)
    for state in states()[::4]:
        laws = process.mixture_at(state, YEARS, process.SHAPES[shape])
        wide = Mixture(laws.weight[:, None], laws.mean[:, None], laws.variance[:, None])
        otm = mixture.out_of_the_money_price(np.broadcast_to(k, (len(YEARS), 401)), wide)

        calls = otm + np.maximum(1.0 - strikes, 0.0)

        assert np.diff(calls, axis=1).max() <= 1e-14
        assert np.diff(calls, 2, axis=1).min() >= -1e-14


def test_shapes_are_what_they_are_called() -> None:
    """At a month: put skew, a steep put wing in the crash, call skew in the rally."""
    state = states()[0]
    w = {}
    for name, shape in process.SHAPES.items():
        laws = process.mixture_at(state, YEARS[6:7], shape)
        deviation = math.sqrt(process.level_at(state, YEARS[6:7])[0])
        w[name] = [
            float(mixture.total_variance(np.array([z * deviation]), laws)[0]) for z in (-2, 0, 2)
        ]

    assert w["skew"][0] > w["skew"][1] < w["skew"][2]
    assert w["skew"][0] > w["skew"][2]
    assert w["crash"][0] > 1.7 * w["crash"][1]
    assert w["rally"][2] > w["rally"][0]
