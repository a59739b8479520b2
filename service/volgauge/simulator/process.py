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
_ROUNDING = 1e-9
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
    """By what the state moves."""

    mean: F64
    """Long-run means, (assets, N_FACTORS); the column of the spot is unused."""
    volatility: F64 = _VOLATILITY
    """(N_FACTORS,) per square root of a year; that of the spot follows the short variance."""
    common: F64 | float = _COMMON
    """Share of the variance of each raw shock, (N_FACTORS,), that all assets have in common."""


def law_of(
    vols: list[float],
    *,
    vol_of_vol: float | None = None,
    spot_correlation: float | None = None,
    vol_correlation: float | None = None,
) -> Law:
    """Law of assets of given typical volatility (fractions); None is the demo's own.

    Args:
        vols: Fractions.
        vol_of_vol: Of the logarithm of the short variance, per square root of a year.
        spot_correlation: Between the spots of two assets.
        vol_correlation: Between the variances, short and long, of two assets.

    Raises:
        ValueError: No market has both correlations, as spot and variance move together.
    """
    mean = np.zeros((len(vols), N_FACTORS))
    for row, vol in enumerate(vols):
        log_variance = 2.0 * math.log(vol)
        skew = math.atanh(_MEAN_RHO)
        mean[row] = (0.0, log_variance, log_variance + 0.04, skew, _MEAN_ETA_LOGIT, _MEAN_CARRY)
    volatility = _VOLATILITY
    if vol_of_vol is not None:
        volatility = _VOLATILITY.copy()
        volatility[LOG_SHORT] = vol_of_vol
    common: F64 | float = _COMMON
    if spot_correlation is not None or vol_correlation is not None:
        common = common_shares(spot_correlation, vol_correlation)
    return Law(mean, volatility, common)


def common_shares(spot_correlation: float | None, vol_correlation: float | None) -> F64:
    """Common shares of the raw shocks, for correlations between two assets; None is the demo's.

    Factor i of two assets is correlated by sum_j L_ij^2 c_j, L the Cholesky factor of a coin's own
    correlations; solved for c, of which the other factors keep theirs where they can.

    Raises:
        ValueError: A share outside 0..1 would be needed.
    """
    wanted = np.full(N_FACTORS, _COMMON)
    if spot_correlation is not None:
        wanted[LOG_SPOT] = spot_correlation
    if vol_correlation is not None:
        wanted[[LOG_SHORT, LOG_LONG]] = vol_correlation
    shares = np.linalg.solve(_CHOLESKY**2, wanted)
    # Of skew and carry nothing was asked.
    shares[SKEW:] = np.clip(shares[SKEW:], 0.0, 1.0)
    if (np.abs(shares - 0.5) > 0.5 + _ROUNDING).any():
        raise ValueError(
            f"expected correlations that spot and variance can have together, "
            f"received {spot_correlation} and {vol_correlation}"
        )
    made: F64 = np.clip(shares, 0.0, 1.0)
    return made


def log_vol_loading(state: F64, law: Law, years: float) -> F64:
    """How ln of the volatility at the money at a tenor answers to the correlated shocks.

    By Ito of ln theta / 2 in the logarithms of short and long variance.

    Args:
        state: (..., N_FACTORS).
        law: By which the state moves.
        years: The tenor.

    Returns:
        (..., N_FACTORS), per square root of a year.
    """
    theta = level_at(state, np.array(years))
    decay = -math.expm1(-_THETA_SPEED * years) / _THETA_SPEED
    loading = np.zeros(state.shape)
    loading[..., LOG_SHORT] = 0.5 * np.exp(state[..., LOG_SHORT]) * decay / theta
    loading[..., LOG_LONG] = 0.5 * np.exp(state[..., LOG_LONG]) * (years - decay) / theta
    made: F64 = loading * law.volatility
    return made


def log_vol_deviation(state: F64, law: Law, years: float) -> F64:
    """Deviation of ln of the volatility at the money at a tenor, per square root of a year."""
    shaken = log_vol_loading(state, law, years) @ _CHOLESKY
    deviation: F64 = np.sqrt(np.sum(shaken * shaken, axis=-1))
    return deviation


def log_vol_correlation(first: F64, second: F64, law: Law, years: float) -> F64:
    """Correlation of these movements of two assets of states (..., N_FACTORS)."""
    shaken = [log_vol_loading(state, law, years) @ _CHOLESKY for state in (first, second)]
    together = np.sum(law.common * shaken[0] * shaken[1], axis=-1)
    sizes = [np.sqrt(np.sum(part * part, axis=-1)) for part in shaken]
    correlation: F64 = together / (sizes[0] * sizes[1])
    return correlation


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
    shocks = draw_shocks(random, 1, len(state), law.common)[0]
    return advance(state, law, years, shocks, agitation=agitation)


def advance(state: F64, law: Law, years: float, shocks: F64, *, agitation: float = 1.0) -> F64:
    """Apply given standard shocks, (assets, N_FACTORS), over a time step."""
    root = math.sqrt(years)
    moved = state + _REVERSION * (law.mean - state) * years + law.volatility * root * shocks
    short = np.exp(state[:, LOG_SHORT])
    spot_shock = np.sqrt(short) * agitation * root * shocks[:, LOG_SPOT]
    moved[:, LOG_SPOT] = state[:, LOG_SPOT] - 0.5 * short * agitation**2 * years + spot_shock
    return moved


def draw_shocks(
    random: np.random.Generator, steps: int, assets: int, common: F64 | float = _COMMON
) -> F64:
    """Correlated standard shocks, (steps, assets, N_FACTORS); `common` as in `Law`."""
    raw = random.standard_normal((steps, assets + 1, N_FACTORS))
    return mix_shocks(raw[:, :1], raw[:, 1:], common)


def mix_shocks(shared: F64, own: F64, common: F64 | float) -> F64:
    """Correlated shocks of raw ones: what all assets share, and their own (..., N_FACTORS)."""
    mixed = np.sqrt(common) * shared + np.sqrt(1.0 - common) * own
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
