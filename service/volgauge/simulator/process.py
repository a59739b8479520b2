"""The stochastic state of the simulated market: spots, variance levels, skew, carry.

All assets move together through one common factor. Every component but the spot is a stationary
Gaussian mean-reverting process, so its law is the same backwards in time: the history is made by
running the process back from the market's start, and joins it without a seam.
"""

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.simulator.mixture import Mixture
from volgauge.simulator.pricing import Smile, power_law

F64 = NDArray[np.float64]

LOG_SPOT, LOG_SHORT, LOG_LONG, SKEW, CURVATURE, CARRY = range(6)
"""Columns: ln spot; ln of short and long variance; artanh rho; logit of eta; yearly carry."""
N_FACTORS = 6
_REVERSION = np.array([0.0, 8.0, 1.5, 10.0, 10.0, 12.0])
"""Speeds a year."""
_VOLATILITY = np.array([0.0, 2.0, 0.6, 0.8, 0.8, 0.05])
"""Per square root of a year; that of the spot follows the short variance."""
_COMMON = 0.75
"""Correlation of the same factor of two assets."""
_CHOLESKY = np.linalg.cholesky(
    np.array(
        [
            [1.0, -0.35, -0.25, 0.30, 0.0, 0.20],
            [-0.35, 1.0, 0.60, -0.30, 0.0, 0.0],
            [-0.25, 0.60, 1.0, -0.20, 0.0, 0.0],
            [0.30, -0.30, -0.20, 1.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            [0.20, 0.0, 0.0, 0.0, 0.0, 1.0],
        ]
    )
)
_THETA_SPEED = 4.0
"""Decay a year from short to long variance along the term."""
_GAMMA = 0.4
_MEAN_RHO, _MEAN_ETA_LOGIT, _MEAN_CARRY = -0.18, 0.25, 0.06
_SHORTEST_YEARS = 1e-6
_DAMPING = 5.5
"""Bounds the means of a mixture: c < 1/5.5, |lean| < 2, so m > 0 for |offset| <= 2.5."""
_HIGH_WEIGHT = 0.2
_LOW_CUT = 0.6
"""The quiet regime's variance is at most this share below the mean one."""


class Shape(Struct, frozen=True):
    """What a mixture's odd outcome is: a fall or a rise of some probability."""

    probability: float
    offset: float
    """Of its mean, in standard deviations of the at-the-money level."""


SHAPES = {"skew": Shape(0.18, -1.1), "crash": Shape(0.06, -2.5), "rally": Shape(0.15, 1.2)}
"""Ordinary put skew; a rare large fall; call skew."""


class Law(Struct, frozen=True):
    """Long-run means, (assets, N_FACTORS); the column of the spot is unused."""

    mean: F64


def law_of(vols: list[float]) -> Law:
    """Means for assets of given typical volatility (fractions)."""
    mean = np.zeros((len(vols), N_FACTORS))
    for row, vol in enumerate(vols):
        log_variance = 2.0 * math.log(vol)
        skew = math.atanh(_MEAN_RHO)
        mean[row] = (0.0, log_variance, log_variance + 0.04, skew, _MEAN_ETA_LOGIT, _MEAN_CARRY)
    return Law(mean)


def start_state(law: Law, spots: list[float], random: np.random.Generator) -> F64:
    """A state drawn near the means, a third of a standard deviation away."""
    spread = np.zeros(N_FACTORS)
    spread[1:] = _VOLATILITY[1:] / np.sqrt(2.0 * _REVERSION[1:]) / 3.0
    state = law.mean + spread * random.standard_normal(law.mean.shape)
    state[:, LOG_SPOT] = np.log(spots)
    return state


def evolve(
    state: F64, law: Law, years: float, random: np.random.Generator, *, agitation: float = 1.0
) -> F64:
    """One step of all assets; `agitation` multiplies the spots' volatility."""
    shocks = draw_shocks(random, 1, len(state))[0]
    return advance(state, law, years, shocks, agitation=agitation)


def advance(state: F64, law: Law, years: float, shocks: F64, *, agitation: float = 1.0) -> F64:
    """Apply given standard shocks, (assets, N_FACTORS), over a time step."""
    root = math.sqrt(years)
    moved = state + _REVERSION * (law.mean - state) * years + _VOLATILITY * root * shocks
    short = np.exp(state[:, LOG_SHORT])
    spot_shock = np.sqrt(short) * agitation * root * shocks[:, LOG_SPOT]
    moved[:, LOG_SPOT] = state[:, LOG_SPOT] - 0.5 * short * agitation**2 * years + spot_shock
    return moved


def draw_shocks(random: np.random.Generator, steps: int, assets: int) -> F64:
    """Correlated standard shocks, (steps, assets, N_FACTORS)."""
    raw = random.standard_normal((steps, assets + 1, N_FACTORS))
    mixed = math.sqrt(_COMMON) * raw[:, :1] + math.sqrt(1.0 - _COMMON) * raw[:, 1:]
    correlated: F64 = mixed @ _CHOLESKY.T
    return correlated


def forwards(state: F64, years: F64) -> F64:
    """Forward prices of one asset's state (N_FACTORS,) at (n,) times."""
    prices: F64 = np.exp(state[LOG_SPOT] + state[CARRY] * np.maximum(years, 0.0))
    return prices


def level_at(state: F64, years: F64) -> F64:
    """Total variance theta of states (..., N_FACTORS) at times that broadcast against them."""
    years = np.maximum(years, _SHORTEST_YEARS)
    short, long = np.exp(state[..., LOG_SHORT]), np.exp(state[..., LOG_LONG])
    decay = -np.expm1(-_THETA_SPEED * years) / _THETA_SPEED
    theta: F64 = long * years + (short - long) * decay
    return theta


def smile_at(state: F64, years: F64) -> Smile:
    """SSVI slices of states (..., N_FACTORS) at times that broadcast against them.

    theta rises in time and eta (1 + |rho|) < 2, so the surface has no arbitrage.
    """
    theta = level_at(state, years)
    rho = np.tanh(state[..., SKEW])
    eta = 2.0 / (1.0 + np.abs(rho)) / (1.0 + np.exp(-state[..., CURVATURE]))
    return Smile(theta, rho + np.zeros_like(theta), power_law(theta, eta, _GAMMA))


def mixture_at(state: F64, years: F64, shape: Shape) -> Mixture:
    """Lognormal mixtures of states (..., N_FACTORS) at times that broadcast against them.

    S/F = M R, independent. M = 1 + a c(theta) with E[a] = 0: the odd outcome or the usual one. R is
    lognormal given a regime of variance, quiet or agitated, v = r_regime vbar(theta), E[r] = 1.
    As theta rises in time so do c and vbar, hence M and R rise in convex order, and so does their
    product: no calendar arbitrage (Strassen 1965: a martingale with these laws exists).
    """
    theta = level_at(state, years)[..., None]
    lean = 1.0 + math.copysign(1.0, shape.offset) * np.tanh(
        state[..., SKEW] - math.atanh(_MEAN_RHO)
    )
    odd = shape.offset * np.asarray(lean)[..., None]
    usual = -odd * shape.probability / (1.0 - shape.probability)
    spread = shape.probability * odd**2 + (1.0 - shape.probability) * usual**2
    deviation = np.sqrt(theta)
    scale = deviation / np.sqrt(1.0 + (_DAMPING * deviation) ** 2)
    cut = _LOW_CUT / (1.0 + np.exp(-np.asarray(state[..., CURVATURE])[..., None]))
    low = 1.0 - cut
    high = 1.0 + cut * (1.0 - _HIGH_WEIGHT) / _HIGH_WEIGHT
    variance = theta / (1.0 + spread)
    means = np.concatenate([1.0 + scale * odd, 1.0 + scale * usual], axis=-1)
    chances = np.array([shape.probability, 1.0 - shape.probability])
    regimes = np.array([1.0 - _HIGH_WEIGHT, _HIGH_WEIGHT])
    return Mixture(
        np.broadcast_to(np.repeat(chances, 2) * np.tile(regimes, 2), (*theta.shape[:-1], 4)),
        np.repeat(means, 2, axis=-1),
        np.concatenate([low * variance, high * variance] * 2, axis=-1),
    )
