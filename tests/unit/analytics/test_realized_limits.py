"""Known limits: constant volatility, pure jumps, no jumps, drift; bounds are closed forms.

The variances of the range estimators are those of Garman and Klass 1980 for a driftless Brownian
motion, from the moments of its high u, low d and close c over one span: E u^4 = 3,
E u^2 d^2 = 3 - 4 ln 2, E c^2 u^2 = 2, E u^3 c = 9/4 and those with zeta(3) below.
"""

from math import log, pi, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from volgauge.analytics import estimators

F64 = NDArray[np.float64]
SIGMA = 0.6
DAYS = 4000
STEPS = 48
ZETA_3 = 1.2020569031595942
RANGE_4 = 9.0 * ZETA_3
"""E (u - d)^4."""
UDC2 = 2.0 - 2.0 * log(2.0) - 0.875 * ZETA_3
"""E u d c^2."""
U2DC = 2.25 - 2.0 * log(2.0) - 0.875 * ZETA_3
"""E u^2 d c."""
A = 2.0 * log(2.0) - 1.0
VARIANCE = {
    "close_close": 2.0,
    "parkinson": RANGE_4 / (4.0 * log(2.0)) ** 2 - 1.0,
    "garman_klass": 0.25 * RANGE_4 + 3.0 * A**2 - A * (4.0 - 2.0 * UDC2) - 1.0,
    "rogers_satchell": 6.0
    + 2.0 * (3.0 - 4.0 * log(2.0))
    + (4.0 + 2.0 * UDC2)
    - 2.0 * (4.5 + 2.0 * U2DC)
    - 1.0,
}
"""n times the variance of the estimate over sigma^4."""
FOUR_ERRORS = 4.0


def brownian_bars(seed: int, sigma: float, drift: float = 0.0, days: int = DAYS) -> F64:
    """Days of a geometric Brownian motion whose extremes are those of the continuous path.

    Between two points of the path the largest and the least value are drawn from their exact laws
    given both ends (Brownian bridge), so no range is lost to sampling.
    """
    rng = np.random.default_rng(seed)
    variance = sigma**2 / 365.0 / STEPS
    steps = rng.standard_normal(days * STEPS) * sqrt(variance) + drift / 365.0 / STEPS
    ends = np.concatenate(([0.0], np.cumsum(steps)))
    before, after = ends[:-1], ends[1:]
    reach = [
        np.sqrt(steps**2 - 2.0 * variance * np.log(1.0 - rng.random(len(steps)))) for _ in range(2)
    ]
    high = (0.5 * (before + after + reach[0])).reshape(days, STEPS).max(axis=1)
    low = (0.5 * (before + after - reach[1])).reshape(days, STEPS).min(axis=1)
    made: F64 = 100.0 * np.exp(np.column_stack((ends[:-1:STEPS], high, low, ends[STEPS::STEPS])))
    return made


def estimate(name: str, bars: F64) -> float:
    """Variance by one of the names."""
    if name == "close_close":
        return estimators.close_close(np.diff(np.log(bars[:, 3])))
    if name == "yang_zhang":
        return estimators.yang_zhang(bars[1:], bars[:-1, 3])
    return float(getattr(estimators, name)(bars))


def test_the_closed_forms_are_those_that_are_published() -> None:
    """Efficiency against close-close: 4.9 (Parkinson), 7.4 (Garman-Klass), 6.0."""
    efficiency = {name: 2.0 / variance for name, variance in VARIANCE.items()}

    assert efficiency["parkinson"] == pytest.approx(4.91, abs=0.01)
    assert efficiency["garman_klass"] == pytest.approx(7.4, abs=0.1)
    assert efficiency["rogers_satchell"] == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("name", list(VARIANCE))
def test_constant_volatility_is_found_within_its_error(name: str, seed: int) -> None:
    """4,000 days of one path; four standard errors by closed form."""
    bars = brownian_bars(seed, SIGMA)
    error = FOUR_ERRORS * sqrt(VARIANCE[name] / DAYS)

    assert estimate(name, bars) / SIGMA**2 == pytest.approx(1.0, abs=error)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_yang_zhang_finds_constant_volatility(seed: int) -> None:
    """Without overnight jumps it is k open-close and 1 - k Rogers-Satchell: no wider than both."""
    k = 0.34 / 2.34
    bound = k * sqrt(VARIANCE["close_close"]) + (1.0 - k) * sqrt(VARIANCE["rogers_satchell"])

    found = estimate("yang_zhang", brownian_bars(seed, SIGMA)) / SIGMA**2

    assert found == pytest.approx(1.0, abs=FOUR_ERRORS * bound / sqrt(DAYS))


@pytest.mark.parametrize("name", ["rogers_satchell", "yang_zhang"])
def test_drift_does_not_move_what_is_robust_against_it(name: str) -> None:
    """A drift of one daily deviation a day; Parkinson and Garman-Klass read too much."""
    bars = brownian_bars(21, SIGMA, drift=SIGMA * sqrt(365.0))
    error = FOUR_ERRORS * sqrt(VARIANCE["close_close"] / DAYS)

    assert estimate(name, bars) / SIGMA**2 == pytest.approx(1.0, abs=error)
    assert estimate("parkinson", bars) / SIGMA**2 > 1.3
    assert estimate("garman_klass", bars) / SIGMA**2 > 1.05


def minute_walk(seed: int, days: int, sigma: float) -> F64:
    """Log prices minute by minute."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal(days * 1440) * sigma / sqrt(365.0 * 1440.0)
    return np.concatenate(([0.0], np.cumsum(steps)))


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_five_minute_variance_of_a_diffusion_is_its_variance(seed: int) -> None:
    """30 days; without subsampling the variance of RV / sigma^2 is 2 / n, and of BV 2.61 / n.

    With it both are smaller, so that the bounds hold all the more. The two differ by
    (pi^2/4 + pi - 5) / n, which is what a path without jumps shows of jumps.
    """
    walk, n = minute_walk(seed, 30, SIGMA), 30 * 288
    variance = estimators.realized_variance(walk, 5, 365.0 * 288.0)
    continuous = estimators.bipower(walk, 5, 365.0 * 288.0)

    assert variance / SIGMA**2 == pytest.approx(1.0, abs=FOUR_ERRORS * sqrt(2.0 / n))
    bound = FOUR_ERRORS * sqrt((0.25 * pi**2 + pi - 3.0) / n)
    assert continuous / SIGMA**2 == pytest.approx(1.0, abs=bound)
    share = estimators.jump_share(variance, continuous)
    assert share <= FOUR_ERRORS * sqrt((0.25 * pi**2 + pi - 5.0) / n)


def test_a_price_that_only_jumps_is_all_jump() -> None:
    """No two neighbouring returns differ from zero, so that bipower variation is nothing."""
    walk = np.zeros(1441)
    for minute in range(50, 1441, 100):
        walk[minute:] += 0.02

    variance = estimators.realized_variance(walk, 5, 365.0 * 288.0)
    share = estimators.jump_share(variance, estimators.bipower(walk, 5, 365.0 * 288.0))

    assert share == 1.0


@pytest.mark.parametrize("seed", [41, 42])
def test_the_share_of_a_jump_in_a_diffusion_is_found(seed: int) -> None:
    """A jump J adds J^2 to the variance of the day and, at 288 returns, little to bipower's."""
    walk = minute_walk(seed, 1, SIGMA)
    jump = 0.1
    walk[700:] += jump
    share = jump**2 / (jump**2 + SIGMA**2 / 365.0)
    # The jump meets two neighbours, pi/2 x 2 J E|r|; and the noise of both estimates.
    leak = pi * jump * sqrt(2.0 / pi) * SIGMA / sqrt(365.0 * 288.0) / (jump**2 + SIGMA**2 / 365.0)

    variance = estimators.realized_variance(walk, 5, 365.0 * 288.0)
    found = estimators.jump_share(variance, estimators.bipower(walk, 5, 365.0 * 288.0))

    assert found == pytest.approx(share - leak, abs=leak + 4.0 * sqrt(2.61 / 288.0) * (1 - share))
