"""Hayashi-Yoshida against the double sum, and against paths with a known lead."""

from math import sqrt

import numpy as np
import pytest

from volgauge.analytics.hayashi import LagReading, read_lags, signal_variance
from volgauge.analytics.path import Path, Ticks
from volgauge.domain.analytics import Lack
from volgauge.kernels._jit import F64, I64, twin
from volgauge.kernels.hayashi import scan_lags

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
SIGMA = 1.8e-4
"""Of ln(index) over a second: a volatility of volatility of 100 % a year."""


def double_sum(x_ns: I64, x: F64, y_ns: I64, y: F64, lag_ns: int) -> float:
    """Sum of dx_i dy_j over all intervals that overlap, every pair looked at."""
    total = 0.0
    for i in range(1, len(x)):
        for j in range(1, len(y)):
            begin = max(x_ns[i - 1], y_ns[j - 1] - lag_ns)
            end = min(x_ns[i], y_ns[j] - lag_ns)
            if begin < end:
                total += (x[i] - x[i - 1]) * (y[j] - y[j - 1])
    return total


def random_ticks(rng: np.random.Generator, n: int, spread_ns: int) -> tuple[I64, F64]:
    """A random walk seen at random instants."""
    at = START + np.sort(rng.choice(spread_ns, n, replace=False))
    return at.astype(np.int64), np.cumsum(rng.standard_normal(n))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_every_lag_is_the_double_sum(seed: int, compiled: bool) -> None:
    """Ticks of different density, lags that shift the paths apart, equal instants too."""
    rng = np.random.default_rng(seed)
    unit = SECOND if seed == 2 else 1
    x_ns, x = random_ticks(rng, 70, 100 * SECOND // unit)
    y_ns, y = random_ticks(rng, 45, 90 * SECOND // unit)
    x_ns, y_ns = (START + (at - START) * unit for at in (x_ns, y_ns))
    covariance = np.empty(2 * 12 + 1)
    scan = scan_lags if compiled else twin(scan_lags)
    scan(x_ns, x, y_ns, y, 10 * SECOND, covariance)

    expected = [double_sum(x_ns, x, y_ns, y, lag * 10 * SECOND) for lag in range(-12, 13)]
    assert covariance.tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_no_ticks_give_nan() -> None:
    """An empty path has no covariance."""
    none = np.zeros(0, np.int64), np.zeros(0)
    covariance = np.zeros(3)
    scan_lags(*none, *none, SECOND, covariance)

    assert np.isnan(covariance).all()


def observe(path: Path, at: I64, x: F64) -> Ticks:
    """Run ticks of ln(index) through a path and give what it kept."""
    for instant, level in zip(at.tolist(), np.exp(x).tolist(), strict=True):
        path.take(level, instant)
    path.settle(int(at[-1]) + SECOND)
    return path.ticks(int(at[-1]) + SECOND)


def simulate(
    seed: int, *, lead: float, rho: float, noise: float, seconds: int = 3600
) -> tuple[Ticks, Ticks]:
    """Two assets, the second repeats the first's part in common `lead` seconds later.

    Two ticks a second on average at independent instants; each tick has a noise of its own of
    `noise` times the deviation of one second.
    """
    rng = np.random.default_rng(seed)
    grid, margin = 10, 100
    steps = (seconds + 2 * margin) * grid
    common, own = np.cumsum(rng.standard_normal((2, steps)) * SIGMA / sqrt(grid), axis=1)
    made: list[Ticks] = []
    for delay in (max(-lead, 0.0), max(lead, 0.0)):
        at = np.sort(rng.uniform(0.0, seconds, 2 * seconds))
        row = ((at + margin) * grid).astype(int)
        x = common[row - round(delay * grid)]
        if made:
            x = rho * x + sqrt(1.0 - rho * rho) * own[row]
        x = 4.0 + x + noise * SIGMA * rng.standard_normal(len(at))
        made.append(observe(Path(), START + (at * SECOND).astype(np.int64), x))
    return made[0], made[1]


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("lead", [7.0, -7.0, 0.0, 31.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_known_lead_is_found_to_the_second(seed: int, lead: float, noise: float) -> None:
    """Also where two thirds of the squared changes of a second are noise."""
    reading = read_lags(*simulate(seed, lead=lead, rho=0.8, noise=noise))

    assert isinstance(reading.lead_seconds, float)
    assert abs(reading.lead_seconds - lead) <= 1.0


def test_the_leader_has_the_larger_ratio() -> None:
    """The ratio is above one when the first leads, below when the second does."""
    ahead = read_lags(*simulate(1, lead=7.0, rho=0.8, noise=0.5)).lead_ratio
    behind = read_lags(*simulate(1, lead=-7.0, rho=0.8, noise=0.5)).lead_ratio

    assert isinstance(ahead, float)
    assert isinstance(behind, float)
    assert ahead > 2.0
    assert behind < 0.5


def test_swapping_the_assets_changes_signs_only() -> None:
    """Correlation stays, the lead turns round, the ratio is inverted."""
    first, second = simulate(2, lead=7.0, rho=0.8, noise=0.5)
    there, back = read_lags(first, second), read_lags(second, first)

    assert not isinstance(there.lead_seconds, Lack)
    assert not isinstance(there.lead_ratio, Lack)
    assert not isinstance(there.correlation, Lack)
    assert back.lead_seconds == -there.lead_seconds
    assert back.lead_ratio == pytest.approx(1.0 / there.lead_ratio, rel=1e-9)
    assert back.correlation == pytest.approx(there.correlation, rel=1e-9)


def correlations(rho: float, noise: float, seeds: int) -> F64:
    """At no lag, of many simulations."""
    found = [
        read_lags(*simulate(100 + seed, lead=0.0, rho=rho, noise=noise)).correlation
        for seed in range(seeds)
    ]
    assert not any(isinstance(value, Lack) for value in found)
    return np.asarray(found, float)


@pytest.mark.parametrize("rho", [0.0, 0.6])
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_correlation_is_unbiased_with_and_without_noise(rho: float, noise: float) -> None:
    """The mean over simulations lies within three standard errors of the truth."""
    found = correlations(rho, noise, 16)

    assert abs(float(found.mean()) - rho) < 3.0 * float(found.std(ddof=1)) / 4.0
    assert float(found.std(ddof=1)) < 0.15


def test_two_assets_that_move_as_one_have_correlation_one() -> None:
    """The same walk seen at different instants, without noise: one within its error."""
    found = correlations(1.0, 0.0, 8)

    assert float(found.mean()) == pytest.approx(1.0, abs=0.03)
    assert float(found.max()) <= 1.0


def test_independent_assets_have_no_lead() -> None:
    """Of 20 independent pairs no lag stands out, and the reading says so."""
    found = [
        read_lags(*simulate(200 + seed, lead=0.0, rho=0.0, noise=0.5)).lead_seconds
        for seed in range(20)
    ]

    assert found == [Lack.NO_VARIATION] * 20


def test_one_shock_that_reaches_the_second_asset_later_is_a_lead() -> None:
    """A jump of 20 % in the first and 7 s later in the second, everything else independent."""
    rng = np.random.default_rng(3)
    made = []
    for shock_at in (1800, 1807):
        at = np.arange(3600) * SECOND + rng.integers(0, SECOND, 3600)
        x = 4.0 + np.cumsum(rng.standard_normal(3600)) * SIGMA
        x[shock_at:] += 0.2
        made.append(observe(Path(), START + at, x))

    lead = read_lags(made[0], made[1]).lead_seconds
    assert isinstance(lead, float)
    assert abs(lead - 7.0) <= 1.0


def test_tick_noise_is_taken_out_of_the_variance() -> None:
    """Var of the changes is n (s^2 + 2 v^2); without noise n s^2."""
    rng = np.random.default_rng(11)
    n = 40_000
    level = np.cumsum(rng.standard_normal(n)) + 2.0 * rng.standard_normal(n)
    signal, with_noise = signal_variance(level)

    assert with_noise / n == pytest.approx(9.0, rel=0.05)
    assert signal / n == pytest.approx(1.0, abs=3.0 * sqrt((6.0 + 16.0 * 4.0 + 8.0 * 16.0) / n))


def ticks_of(seconds: int, every: float = 1.0, *, moving: bool = True) -> Ticks:
    """A regular path."""
    at = START + (np.arange(0.0, seconds, every) * SECOND).astype(np.int64)
    walk = np.cumsum(np.random.default_rng(1).standard_normal(len(at))) * SIGMA
    return Ticks(at, walk if moving else np.full(len(at), 0.25))


NOTHING = Ticks(np.zeros(0, np.int64), np.zeros(0))


@pytest.mark.parametrize(
    ("first", "second", "lack"),
    [
        pytest.param(NOTHING, ticks_of(3600), Lack.TOO_LITTLE_HISTORY, id="no tick"),
        pytest.param(ticks_of(600), ticks_of(600), Lack.TOO_LITTLE_HISTORY, id="599 s"),
        pytest.param(ticks_of(3600, 20.0), ticks_of(3600), Lack.TOO_LITTLE_HISTORY, id="180 ticks"),
        pytest.param(ticks_of(3600), ticks_of(3600, moving=False), Lack.NO_VARIATION, id="flat"),
    ],
)
def test_too_little_is_no_reading(first: Ticks, second: Ticks, lack: Lack) -> None:
    """Ten minutes in common and 200 changes of each are the least."""
    assert read_lags(first, second) == LagReading(lack, lack, lack)


def test_nothing_but_noise_has_no_correlation() -> None:
    """Ticks that only scatter about a constant leave no variance when their noise is out."""
    rng = np.random.default_rng(4)
    at = START + np.arange(3600) * SECOND
    made = [Ticks(at, rng.standard_normal(3600) * 1e-4) for _ in range(2)]

    assert read_lags(*made).correlation is Lack.NO_VARIATION


def test_a_break_adds_nothing() -> None:
    """The sum over paths with breaks is the double sum over the intervals without one."""
    rng = np.random.default_rng(8)
    paths, pieces = [], []
    for _ in range(2):
        path = Path()
        at = START + np.arange(900) * SECOND + rng.integers(0, SECOND, 900)
        x = 4.0 + np.cumsum(rng.standard_normal(900)) * 1e-3
        x[300:] += 0.5
        for row in range(900):
            if row == 300:
                path.take(None, int(at[row]) - 1)
            path.take(float(np.exp(x[row])), int(at[row]))
        path.settle(int(at[-1]) + SECOND)
        paths.append(path.ticks(int(at[-1]) + SECOND))
        pieces.append(((at[:300], x[:300]), (at[300:], x[300:])))
    covariance = np.empty(121)
    scan_lags(*paths[0], *paths[1], SECOND, covariance)

    for lag in (-60, -1, 0, 7):
        expected = sum(
            double_sum(*left, *right, lag * SECOND) for left in pieces[0] for right in pieces[1]
        )
        assert covariance[60 + lag] == pytest.approx(expected, rel=1e-9, abs=1e-12)
