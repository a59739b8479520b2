"""Each estimator against a plain loop over its formula, and against pandas and numpy."""

from collections.abc import Callable
from itertools import pairwise
from math import inf, isnan, log, nan, pi

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from volgauge.analytics import estimators

F64 = NDArray[np.float64]
SEEDS = [1, 2, 3]


def random_bars(seed: int, n: int = 40) -> F64:
    """Bars with gaps between close and open, of moderate size."""
    rng = np.random.default_rng(seed)
    ends = 100.0 * np.exp(np.cumsum(0.03 * rng.standard_normal((n, 2)).reshape(-1))).reshape(n, 2)
    reach = np.exp(0.02 * rng.random((n, 2)))
    high, low = ends.max(axis=1) * reach[:, 0], ends.min(axis=1) / reach[:, 1]
    return np.column_stack((ends[:, 0], high, low, ends[:, 1]))


def sample_variance(values: list[float]) -> float:
    """About the mean, over n - 1."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def slow_parkinson(bars: F64) -> float:
    """1 / (4 n ln 2) sum ln(H/L)^2, a year."""
    total = sum(log(high / low) ** 2 for _, high, low, _ in bars)
    return 365.0 * total / (4.0 * len(bars) * log(2.0))


def slow_garman_klass(bars: F64) -> float:
    """1/n sum 0.5 ln(H/L)^2 - (2 ln 2 - 1) ln(C/O)^2, a year."""
    total = 0.0
    for opened, high, low, close in bars:
        total += 0.5 * log(high / low) ** 2 - (2.0 * log(2.0) - 1.0) * log(close / opened) ** 2
    return 365.0 * total / len(bars)


def slow_rogers_satchell(bars: F64) -> float:
    """1/n sum ln(H/C) ln(H/O) + ln(L/C) ln(L/O), a year."""
    total = 0.0
    for opened, high, low, close in bars:
        total += log(high / close) * log(high / opened) + log(low / close) * log(low / opened)
    return 365.0 * total / len(bars)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("fast", "slow"),
    [
        (estimators.parkinson, slow_parkinson),
        (estimators.garman_klass, slow_garman_klass),
        (estimators.rogers_satchell, slow_rogers_satchell),
    ],
    ids=["parkinson", "garman-klass", "rogers-satchell"],
)
def test_a_range_estimator_is_its_formula(
    fast: Callable[[F64], float], slow: Callable[[F64], float], seed: int
) -> None:
    """Random bars, to rounding."""
    bars = random_bars(seed)

    assert fast(bars) == pytest.approx(slow(bars), rel=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
def test_yang_zhang_is_its_formula(seed: int) -> None:
    """Overnight plus k open-to-close plus 1 - k Rogers-Satchell."""
    bars = random_bars(seed)
    n = len(bars) - 1
    across = [log(bars[i, 0] / bars[i - 1, 3]) for i in range(1, n + 1)]
    within = [log(bars[i, 3] / bars[i, 0]) for i in range(1, n + 1)]
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    expected = 365.0 * (sample_variance(across) + k * sample_variance(within))
    expected += (1.0 - k) * slow_rogers_satchell(bars[1:])

    assert estimators.yang_zhang(bars[1:], bars[:-1, 3]) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
def test_close_close_is_the_sample_variance_of_pandas(seed: int) -> None:
    """365 times `Series.var` of the log returns."""
    closes = pd.Series(random_bars(seed)[:, 3])
    returns = np.log(closes).diff().dropna()

    found = estimators.close_close(returns.to_numpy())

    assert found == pytest.approx(365.0 * returns.var(), rel=1e-12)


def gapped_walk(seed: int, rows: int = 300) -> F64:
    """Log prices with a tenth of them missing."""
    rng = np.random.default_rng(seed)
    walk: F64 = np.cumsum(0.001 * rng.standard_normal(rows))
    walk[rng.random(rows) < 0.1] = nan
    return walk


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("step", [1, 5])
def test_realized_variance_is_the_mean_over_the_offset_grids(seed: int, step: int) -> None:
    """Grid by grid, return by return, each grid by its number of returns; none over a gap."""
    walk = gapped_walk(seed)
    total, count = 0.0, 0
    for offset in range(step):
        grid = walk[offset::step]
        for before, after in pairwise(grid):
            if not isnan(before) and not isnan(after):
                total += (after - before) ** 2
                count += 1

    found = estimators.realized_variance(walk, step, 105_120.0)

    assert found == pytest.approx(105_120.0 * total / count, rel=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("step", [1, 5])
def test_bipower_is_the_mean_product_of_neighbours(seed: int, step: int) -> None:
    """Two neighbouring returns of the same grid, both known."""
    walk = gapped_walk(seed)
    total, count = 0.0, 0
    for offset in range(step):
        grid = walk[offset::step]
        for first, second, third in zip(grid[:-2], grid[1:-1], grid[2:], strict=True):
            product = abs(second - first) * abs(third - second)
            if not isnan(product):
                total += product
                count += 1

    found = estimators.bipower(walk, step, 105_120.0)

    assert found == pytest.approx(0.5 * pi * 105_120.0 * total / count, rel=1e-11)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_ewma_is_that_of_pandas(seed: int, missing: float) -> None:
    """`ewm(alpha=0.06, adjust=True, ignore_na=False)`: a gap ages what came before it."""
    rng = np.random.default_rng(seed)
    values = rng.chisquare(3.0, 200)
    values[rng.random(200) < missing] = nan
    values[-1] = 1.0
    expected = pd.Series(values).ewm(alpha=0.06, adjust=True, ignore_na=False).mean().iloc[-1]

    assert estimators.ewma(values, 0.94) == pytest.approx(expected, rel=1e-12)


def test_a_constant_price_has_no_variance() -> None:
    """Zero, not NaN."""
    bars = np.full((5, 4), 100.0)
    flat = np.zeros(50)

    assert estimators.parkinson(bars) == 0.0
    assert estimators.garman_klass(bars) == 0.0
    assert estimators.rogers_satchell(bars) == 0.0
    assert estimators.yang_zhang(bars, bars[:, 3]) == 0.0
    assert estimators.close_close(flat) == 0.0
    assert estimators.realized_variance(flat, 5, 1.0) == 0.0
    assert estimators.bipower(flat, 5, 1.0) == 0.0


def test_a_steady_trend_is_no_variance_to_rogers_and_satchell() -> None:
    """A price that only rises has high = close and low = open; Parkinson takes it for variance."""
    ends = 100.0 * np.exp(0.01 * np.arange(31))
    bars = np.column_stack((ends[:-1], ends[1:], ends[:-1], ends[1:]))

    assert estimators.rogers_satchell(bars) == 0.0
    assert estimators.yang_zhang(bars, ends[:-1]) == pytest.approx(0.0, abs=1e-20)
    expected = 365.0 * 0.01**2 / (4.0 * log(2.0))
    assert estimators.parkinson(bars) == pytest.approx(expected, rel=1e-10)


def test_jump_share_lies_between_none_and_all() -> None:
    """Negative differences are noise, not negative jumps."""
    assert estimators.jump_share(2.0, 0.5) == 0.75
    assert estimators.jump_share(2.0, 2.5) == 0.0
    assert estimators.jump_share(2.0, 0.0) == 1.0


@pytest.mark.parametrize("bad", [nan, inf, 0.0, -1.0])
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize(
    "estimate",
    [
        estimators.parkinson,
        estimators.garman_klass,
        estimators.rogers_satchell,
        lambda bars: estimators.yang_zhang(bars, np.full(len(bars), 100.0)),
    ],
    ids=["parkinson", "garman-klass", "rogers-satchell", "yang-zhang"],
)
def test_bars_that_are_no_prices_are_refused(
    estimate: Callable[[F64], float], column: int, bad: float
) -> None:
    """Every estimator, every column."""
    bars = random_bars(1)
    bars[3, column] = bad

    with pytest.raises(ValueError, match="expected"):
        estimate(bars)


@pytest.mark.parametrize(
    "refuse",
    [
        lambda: estimators.parkinson(np.empty((0, 4))),
        lambda: estimators.parkinson(np.ones((3, 3))),
        lambda: estimators.yang_zhang(random_bars(1), np.ones(3)),
        lambda: estimators.yang_zhang(random_bars(1)[:1], np.ones(1)),
        lambda: estimators.close_close(np.array([0.01])),
        lambda: estimators.close_close(np.array([0.01, nan])),
        lambda: estimators.realized_variance(np.zeros(5), 5, 1.0),
        lambda: estimators.realized_variance(np.array([0.0, inf, 1.0]), 1, 1.0),
        lambda: estimators.realized_variance(np.array([inf, nan, 0.0, 1.0]), 1, 1.0),
        lambda: estimators.realized_variance(np.zeros(5), 0, 1.0),
        lambda: estimators.bipower(np.array([0.0, nan, 0.0, 1.0]), 1, 1.0),
        lambda: estimators.jump_share(0.0, 0.0),
        lambda: estimators.jump_share(1.0, nan),
        lambda: estimators.ewma(np.array([nan, nan]), 0.94),
        lambda: estimators.ewma(np.array([inf, 1.0]), 0.94),
    ],
)
def test_input_without_an_answer_is_refused(refuse: Callable[[], float]) -> None:
    """ValueError, never NaN."""
    with pytest.raises(ValueError, match="expected"):
        refuse()
