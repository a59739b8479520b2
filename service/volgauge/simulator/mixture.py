"""Plain formulas of the second family of smiles: mixtures of lognormals.

S_T/F_T = sum of components i with weight q_i, mean m_i (sum q_i m_i = 1) and log-variance v_i:

    put(k)  = sum q_i (e^k N(-d2_i) - m_i N(-d1_i)),  d1_i = (ln m_i - k)/sqrt(v_i) + sqrt(v_i)/2
    W(1)    = sum q_i (v_i - 2 ln m_i)                -2 E[ln S/F]
    W(0)    = sum q_i m_i (v_i + 2 ln m_i)             2 E[(S/F) ln(S/F)]
    W(-1)   = sum q_i m_i^2 e^{v_i} - 1                Var(S/F)

A mixture of laws has a density, so it has no arbitrage in strikes; `process` says why its own
have none in time. Written from the definitions, without any code of the engine.
Sources: Brigo & Mercurio, "Lognormal-mixture dynamics and calibration to market volatility
smiles", 2002 (section 3); METHODOLOGY section 1 for W(a).
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.simulator.pricing import (
    CORRIDOR_Z,
    integrate_corridor,
    normal_cdf,
    normal_pdf,
    out_of_the_money,
)

F64 = NDArray[np.float64]

_MAX_STEPS = 200
_CLOSE = 1e-14
_FIRST_HIGH = 16.0


class Mixture(Struct, frozen=True):
    """Laws of S/F, one a row: arrays (..., components)."""

    weight: F64
    """q_i, sum 1."""
    mean: F64
    """m_i, sum q_i m_i = 1."""
    variance: F64
    """v_i, of the logarithm within the component."""


def pick(mixture: Mixture, places: NDArray[np.int64]) -> Mixture:
    """The rows at `places`."""
    return Mixture(mixture.weight[places], mixture.mean[places], mixture.variance[places])


def out_of_the_money_price(k: F64, mixture: Mixture) -> F64:
    """Normalised price of the put where k < 0, of the call where k >= 0; `k` has a row's shape."""
    side = np.where(k < 0.0, -1.0, 1.0)[..., None]
    deviation = np.sqrt(mixture.variance)
    d1 = (np.log(mixture.mean) - k[..., None]) / deviation + 0.5 * deviation
    near, far = normal_cdf(side * d1), normal_cdf(side * (d1 - deviation))
    parts = side * (mixture.mean * near - np.exp(k)[..., None] * far)
    # Far out the difference of two tiny numbers may come out as -1e-30.
    price: F64 = np.maximum(np.sum(mixture.weight * parts, axis=-1), 0.0)
    return price


def total_variance(k: F64, mixture: Mixture) -> F64:
    """Implied total variance w(k).

    Where the price is too small for a double, the largest component's: the limit far out.
    """
    price = out_of_the_money_price(k, mixture)
    start = np.sqrt(line_variance(mixture))
    largest: F64 = mixture.variance.max(axis=-1)
    priced = price > np.finfo(np.float64).tiny
    start = np.broadcast_to(start, price.shape)
    solved = _implied_deviation(k, np.where(priced, price, 0.1), start) ** 2
    return np.where(priced, solved, largest)


def line_variance(mixture: Mixture) -> F64:
    """W(1) over the whole line."""
    total: F64 = np.sum(mixture.weight * (mixture.variance - 2.0 * np.log(mixture.mean)), axis=-1)
    return total


def coin_variance(mixture: Mixture) -> F64:
    """W(0) over the whole line: the variance in the coin's own measure."""
    share = mixture.weight * mixture.mean
    total: F64 = np.sum(share * (mixture.variance + 2.0 * np.log(mixture.mean)), axis=-1)
    return total


def simple_variance(mixture: Mixture) -> F64:
    """W(-1) over the whole line: Var(S/F)."""
    # sum q m^2 - 1 = sum q (m - 1)^2, without the cancellation.
    spread = (mixture.mean - 1.0) ** 2 + mixture.mean**2 * np.expm1(mixture.variance)
    total: F64 = np.sum(mixture.weight * spread, axis=-1)
    return total


def corridor_ends(mixture: Mixture) -> tuple[F64, F64]:
    """The two k, put side and call side, where the out-of-the-money |delta| is 0.05.

    Black-76 delta at the implied variance; d1(k) falls in k.
    """
    reach = np.sqrt(mixture.variance.max(axis=-1)) * CORRIDOR_Z
    reach = reach + np.abs(np.log(mixture.mean)).max(axis=-1)
    ends = []
    for sign in (-1.0, 1.0):

        def beyond(k: F64, sign: float = sign) -> F64:
            w = total_variance(k, mixture)
            d1 = -k / np.sqrt(w) + 0.5 * np.sqrt(w)
            return -sign * d1 - CORRIDOR_Z

        outer = sign * reach
        while (short := beyond(outer) <= 0.0).any():
            outer = np.where(short, 1.5 * outer, outer)
        ends.append(_root(beyond, np.zeros_like(outer), outer))
    return ends[0], ends[1]


def corridor_variance(mixture: Mixture) -> F64:
    """2 Integral p(k) e^-k dk between the 5-delta ends: the total variance of the headline."""
    low, high = corridor_ends(mixture)
    wide = Mixture(
        mixture.weight[..., None, :], mixture.mean[..., None, :], mixture.variance[..., None, :]
    )
    return integrate_corridor(lambda k: out_of_the_money_price(k, wide), low, high)


def _implied_deviation(k: F64, price: F64, start: F64) -> F64:
    """sqrt(w) of out-of-the-money prices: Newton on ln p, inside a bracket that only shrinks."""
    found = np.array(start).ravel()
    # Most are done after six steps; the few in the far wings go on alone.
    left = np.arange(found.size)
    k, price = np.broadcast_to(k, price.shape).ravel(), price.ravel()
    low, high = np.zeros_like(price), np.full_like(price, _FIRST_HIGH)
    for _ in range(_MAX_STEPS):
        x, moneyness, wanted = found[left], k[left], price[left]
        value = out_of_the_money(moneyness, x * x)
        above = value > wanted
        high[left] = np.where(above, x, high[left])
        low[left] = np.where(above, low[left], x)
        with np.errstate(divide="ignore", invalid="ignore"):
            vega = normal_pdf(-moneyness / x + 0.5 * x)
            step = x - (np.log(value) - np.log(wanted)) * value / vega
        inside = (step > low[left]) & (step < high[left])
        moved = np.where(inside, step, 0.5 * (low[left] + high[left]))
        found[left] = moved
        left = left[np.abs(moved - x) > _CLOSE * x]
        if not left.size:
            break
    return found.reshape(np.shape(start))


def _root(function: Callable[[F64], F64], inner: F64, outer: F64) -> F64:
    """Where a rising or falling function of each element is zero: Illinois rule.

    The two ends of each element have values of opposite signs.
    """
    a, b = inner, outer
    value_a, value_b = function(a), function(b)
    for _ in range(_MAX_STEPS):
        x = (a * value_b - b * value_a) / (value_b - value_a)
        value = function(x)
        same = np.sign(value) == np.sign(value_b)
        value_a = np.where(same, 0.5 * value_a, value_b)
        a = np.where(same, a, b)
        moved = np.abs(x - b)
        b, value_b = x, value
        if ((moved <= _CLOSE * np.abs(x)) | (value == 0.0)).all():
            break
        # An element that is exact stays where it is.
        value_a = np.where(value_b == 0.0, 1.0, value_a)
    return b
