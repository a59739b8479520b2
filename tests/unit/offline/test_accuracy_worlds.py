"""The truths of the benchmark, against closed forms, adaptive quadrature and known figures."""

from collections.abc import Callable
from math import exp, log, sqrt

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

from volgauge.offline.accuracy.worlds import (
    WORLDS,
    YEARS,
    Mixture,
    Smile,
    World,
    exact_price,
    points,
    truth_of,
)

KNOWN = {
    "calm": (43.00, 44.46),
    "crash": (66.21, 68.72),
    "call skew": (53.80, 55.29),
    "SVI neg": (50.82, 54.14),
    "SVI pos": (50.17, 52.15),
    "BS60": (58.99, 60.00),
}
"""(corridor, whole line) of the experiments behind the methodology."""


def named(name: str) -> World:
    """A world by its name."""
    (world,) = [world for world in WORLDS if world.name == name]
    return world


def by_name(world: World) -> str:
    """Test id."""
    return world.name


def scipy_price(world: World) -> Callable[[float], float]:
    """Out-of-the-money price from the definition, by scipy alone."""

    def black(k: float, s: float) -> float:
        d1 = -k / s + s / 2.0
        return float(ndtr(d1) - exp(k) * ndtr(d1 - s))

    def price(k: float) -> float:
        if isinstance(world, Mixture):
            call = sum(
                p * mean * black(k - log(mean), vol * sqrt(YEARS)) for p, mean, vol in world.parts
            )
        else:
            x = k - world.m
            call = black(k, sqrt(world.a + world.b * (world.rho * x + sqrt(x * x + world.s**2))))
        return call - 1.0 + exp(k) if k < 0.0 else call

    return price


@pytest.mark.parametrize("world", WORLDS, ids=by_name)
def test_the_worlds_are_those_of_the_experiments(world: World) -> None:
    """Corridor and whole line, to the two decimals that are known."""
    truth = truth_of(world)

    assert (truth.corridor, truth.full) == pytest.approx(KNOWN[world.name], abs=0.0051)


@pytest.mark.parametrize("name", ["calm", "crash", "call skew"])
def test_mixtures_in_closed_form(name: str) -> None:
    """W(1), W(0) and W(-1) of the whole line follow from the parts' moments."""
    world = named(name)
    assert isinstance(world, Mixture)

    truth = truth_of(world)

    assert sum(p for p, _, _ in world.parts) == pytest.approx(1.0, abs=1e-15)
    assert sum(p * mean for p, mean, _ in world.parts) == pytest.approx(1.0, abs=1e-15)
    expected = [points(w) for w in world.moments()]
    assert [truth.full, truth.coin, truth.svix] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", ["calm", "crash", "call skew"])
def test_moments_of_the_log_return(name: str) -> None:
    """Skewness and kurtosis of a mixture of normals, from its raw moments."""
    world = named(name)
    assert isinstance(world, Mixture)
    raw = np.zeros(5)
    for p, mean, vol in world.parts:
        w = vol * vol * YEARS
        mu = log(mean) - w / 2.0
        raw += p * np.array(
            [1.0, mu, mu**2 + w, mu**3 + 3 * mu * w, mu**4 + 6 * mu**2 * w + 3 * w**2]
        )
    variance = raw[2] - raw[1] ** 2
    third = raw[3] - 3 * raw[1] * raw[2] + 2 * raw[1] ** 3
    fourth = raw[4] - 4 * raw[1] * raw[3] + 6 * raw[1] ** 2 * raw[2] - 3 * raw[1] ** 4

    truth = truth_of(world)

    assert truth.skewness == pytest.approx(third / variance**1.5, abs=1e-7)
    assert truth.kurtosis == pytest.approx(fourth / variance**2, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "usd", "coin"),
    [
        ("SVI neg", 0.0240952396, 0.0225139386),
        ("SVI pos", 0.0223553227, 0.0237306332),
    ],
)
def test_the_smiles_are_the_published_ones(name: str, usd: float, coin: float) -> None:
    """Total variances in both measures, ten digits."""
    truth = truth_of(named(name))

    assert truth.full == pytest.approx(points(usd), rel=5e-9)
    assert truth.coin == pytest.approx(points(coin), rel=5e-9)


@pytest.mark.parametrize("name", ["SVI neg", "SVI pos", "BS60"])
def test_smiles_against_the_tail_free_form(name: str) -> None:
    """w_usd = Int w(k(z)) phi(z) dz, z = k/sqrt(w) + sqrt(w)/2, by adaptive quadrature."""
    smile = named(name)
    assert isinstance(smile, Smile)

    def integrand(z: float) -> float:
        k = brentq(
            lambda k: k / smile.deviation(k) + smile.deviation(k) / 2.0 - z, -40.0, 40.0, xtol=1e-14
        )
        return smile.deviation(k) ** 2 * exp(-z * z / 2.0) / sqrt(2.0 * np.pi)

    expected, _ = quad(integrand, -9.0, 9.0, epsabs=1e-12, epsrel=1e-10, limit=400)

    assert truth_of(smile).full == pytest.approx(points(expected), abs=1e-6)


@pytest.mark.parametrize("world", WORLDS, ids=by_name)
def test_the_corridor_by_adaptive_quadrature(world: World) -> None:
    """2 Int p e^{-k} between the two points where Black-76 says 5 % delta."""
    price = scipy_price(world)

    def delta_excess(k: float) -> float:
        def miss(s: float) -> float:
            d1 = -k / s + s / 2.0
            call = float(ndtr(d1) - exp(k) * ndtr(d1 - s))
            return (call - 1.0 + exp(k) if k < 0.0 else call) - price(k)

        s = brentq(miss, 1e-3, 3.0, xtol=1e-15)
        d1 = -k / s + s / 2.0
        return float(ndtr(-d1) if k < 0.0 else ndtr(d1)) - 0.05

    low, high = brentq(delta_excess, -0.8, -0.05), brentq(delta_excess, 0.05, 0.8)
    below, _ = quad(lambda k: 2.0 * price(k) * exp(-k), low, 0.0, epsabs=1e-13, epsrel=1e-11)
    above, _ = quad(lambda k: 2.0 * price(k) * exp(-k), 0.0, high, epsabs=1e-13, epsrel=1e-11)

    truth = truth_of(world)

    assert (truth.low, truth.high) == pytest.approx((low, high), abs=1e-9)
    assert truth.corridor == pytest.approx(points(below + above), abs=1e-7)


def test_a_flat_world_is_its_volatility() -> None:
    """60 points, and 60.45 for the simple variance: e^w - 1."""
    truth = truth_of(named("BS60"))

    assert truth.full == pytest.approx(60.0, abs=1e-9)
    assert truth.coin == pytest.approx(60.0, abs=1e-9)
    assert truth.svix == pytest.approx(points(exp(0.36 * YEARS) - 1.0), abs=1e-9)
    assert (truth.skewness, truth.kurtosis) == pytest.approx((0.0, 3.0), abs=1e-8)


@pytest.mark.parametrize("world", WORLDS, ids=by_name)
def test_calls_and_puts_obey_parity(world: World) -> None:
    """Their difference is 1 - e^k, and both are at least 0."""
    k = np.linspace(-1.0, 1.0, 41)

    call, put = exact_price(world, k, 0), exact_price(world, k, 1)

    np.testing.assert_allclose(call - put, 1.0 - np.exp(k), atol=1e-14)
    assert call.min() >= 0.0
    assert put.min() >= 0.0
