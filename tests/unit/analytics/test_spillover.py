"""Diebold-Yilmaz against statsmodels and against the formula written out."""

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS
from statsmodels.tsa.api import VAR

from volgauge.analytics.spillover import (
    MIN_ROWS,
    ROWS,
    SpilloverJob,
    SpilloverState,
    compute_spillover,
    decompose,
    fit_var,
)
from volgauge.domain.analytics import Lack
from volgauge.domain.instrument import Asset
from volgauge.kernels._jit import F64

SLOT_NS = 300 * 1_000_000_000
NOW = 6_000_000 * SLOT_NS
ASSETS = tuple(Asset(name) for name in ("BTC", "ETH", "SOL", "XRP"))


def simulate(seed: int, first: F64, second: F64, mixing: F64, rows: int = ROWS) -> F64:
    """(rows, n) of x_t = F_1 x_{t-1} + F_2 x_{t-2} + M e_t, about 4."""
    rng = np.random.default_rng(seed)
    n = len(first)
    x = np.zeros((rows + 200, n))
    for t in range(2, len(x)):
        x[t] = first @ x[t - 1] + second @ x[t - 2] + mixing @ rng.standard_normal(n) * 1e-3
    levels: F64 = 4.0 + x[200:]
    return levels


def random_system(seed: int, n: int) -> F64:
    """Levels of a persistent random system with correlated shocks."""
    rng = np.random.default_rng(seed)
    first = 0.6 * np.eye(n) + rng.uniform(-0.1, 0.1, (n, n))
    second = 0.25 * np.eye(n) + rng.uniform(-0.05, 0.05, (n, n))
    return simulate(seed, first, second, np.eye(n) + rng.uniform(-0.5, 0.5, (n, n)))


def job_of(levels: F64) -> SpilloverJob:
    """As the state would make it."""
    return SpilloverJob(ASSETS[: levels.shape[1]], levels, NOW)


def literal_table(responses: F64, sigma: F64, steps: int) -> list[list[float]]:
    """Diebold and Yilmaz 2012, equations 2 and 3, term by term."""
    n = len(sigma)
    theta = [[0.0] * n for _ in range(n)]
    for i in range(n):
        below = 0.0
        for h in range(steps):
            for a in range(n):
                for b in range(n):
                    below += responses[h, i, a] * sigma[a, b] * responses[h, i, b]
        for j in range(n):
            above = 0.0
            for h in range(steps):
                above += sum(responses[h, i, a] * sigma[a, j] for a in range(n)) ** 2
            theta[i][j] = above / sigma[j, j] / below
    return [[100.0 * share / sum(row) for share in row] for row in theta]


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_fit_is_that_of_statsmodels(seed: int, n: int) -> None:
    """Coefficients and covariance of the residuals to 1e-8."""
    levels = random_system(seed, n)
    fit = fit_var(levels)
    reference = VAR(levels).fit(2, trend="c")

    assert fit is not None
    assert fit[0] == pytest.approx(reference.coefs, rel=1e-8, abs=1e-10)
    assert fit[1] == pytest.approx(np.asarray(reference.sigma_u), rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_table_is_the_formula_written_out(seed: int, n: int) -> None:
    """With the moving-average matrices of statsmodels and plain loops."""
    levels = random_system(seed, n)
    reference = VAR(levels).fit(2, trend="c")
    expected = literal_table(reference.ma_rep(11), np.asarray(reference.sigma_u), 12)
    reading = compute_spillover(job_of(levels))

    assert np.asarray(reading.table) == pytest.approx(np.asarray(expected), rel=1e-8)
    for i, asset in enumerate(reading.assets):
        others = [j for j in range(n) if j != i]
        received = sum(expected[i][j] for j in others)
        given = sum(expected[j][i] for j in others)
        assert reading.from_others[asset] == pytest.approx(received, rel=1e-7)
        assert reading.to_others[asset] == pytest.approx(given, rel=1e-7)
        assert reading.net[asset] == pytest.approx(given - received, abs=1e-6)
    assert reading.total == pytest.approx(sum(reading.from_others.values()) / n, rel=1e-12)
    assert reading.n_observations == ROWS - 2


def test_rows_sum_to_a_hundred_and_net_to_nothing() -> None:
    """Each variance is shared out wholly, and what one gives another receives."""
    reading = compute_spillover(job_of(random_system(5, 4)))

    assert np.asarray(reading.table).sum(axis=1) == pytest.approx(np.full(4, 100.0), rel=1e-12)
    assert sum(reading.net.values()) == pytest.approx(0.0, abs=1e-9)


def test_around_gaps_only_whole_neighbourhoods_count() -> None:
    """Rows next to a hole are left out; the rest is one least-squares problem per equation."""
    levels = random_system(6, 3).copy()
    levels[400:420] = np.nan
    levels[900, 1] = np.nan
    levels[1500:1502, 0] = np.nan
    fit = fit_var(levels)
    rows = [
        t for t in range(2, len(levels)) if all(np.isfinite(levels[t - k]).all() for k in range(3))
    ]
    regressors = np.array([[1.0, *levels[t - 1], *levels[t - 2]] for t in rows])
    results = [OLS(levels[rows, i], regressors).fit() for i in range(3)]
    residuals = np.array([result.resid for result in results])

    assert fit is not None
    for i, result in enumerate(results):
        expected = result.params[1:].reshape(2, 3)
        assert fit[0][:, i, :] == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert fit[1] == pytest.approx(residuals @ residuals.T / (len(rows) - 7), rel=1e-8, abs=1e-14)
    assert compute_spillover(job_of(levels)).n_observations == len(rows)


def test_independent_series_spill_over_next_to_nothing() -> None:
    """The true table is the identity; a week of data leaves an error below two percent."""
    own = 0.6 * np.eye(3), 0.3 * np.eye(3)
    reading = compute_spillover(job_of(simulate(7, *own, np.eye(3))))

    assert decompose(np.array(own), np.eye(3)) == pytest.approx(100.0 * np.eye(3), abs=1e-12)
    assert reading.total is not None
    assert 0.0 <= reading.total < 2.0


def test_a_driver_gives_and_the_driven_receives() -> None:
    """When BTC drives ETH and nothing comes back, net is positive for BTC, negative for ETH."""
    first = np.array([[0.9, 0.0], [0.5, 0.4]])
    reading = compute_spillover(job_of(simulate(8, first, np.zeros((2, 2)), np.eye(2))))
    btc, eth = reading.assets

    assert reading.net[btc] > 20.0
    assert reading.net[eth] == pytest.approx(-reading.net[btc], abs=1e-9)
    assert reading.table[0][1] < 3.0


def test_shocks_in_common_are_shared_equally() -> None:
    """Two white series with correlation r: theta_12 / theta_11 = r^2."""
    r = 0.6
    table = decompose(np.zeros((2, 2, 2)), np.array([[4.0, 2.0 * r], [2.0 * r, 1.0]]))

    assert table[0, 1] == pytest.approx(100.0 * r * r / (1.0 + r * r), rel=1e-12)
    assert table[1, 0] == pytest.approx(table[0, 1], rel=1e-12)


def state_of(levels: F64) -> SpilloverState:
    """Seeded with (rows, n) levels that end at NOW; NaN is absent."""
    state = SpilloverState()
    slots = NOW // SLOT_NS + np.arange(1 - len(levels), 1)
    for asset, column in zip(ASSETS, levels.T, strict=False):
        there = np.isfinite(column)
        state.seed(asset, slots[there], column[there])
    return state


def test_levels_added_one_by_one_are_those_seeded() -> None:
    """The ring holds the last 7 days, whatever came before."""
    levels = random_system(9, 2)[:500]
    levels = np.vstack([levels] * 5)
    state = SpilloverState()
    for row, level in enumerate(levels):
        slot = NOW // SLOT_NS - len(levels) + 1 + row
        state.add(slot, dict(zip(ASSETS, level.tolist(), strict=False)))
    added, seeded = state.job(NOW), state_of(levels).job(NOW)

    assert added is not None
    assert seeded is not None
    assert added.levels.tolist() == levels[-ROWS:].tolist()
    assert seeded.levels.tolist() == levels[-ROWS:].tolist()


def test_a_late_seed_does_not_overwrite_what_is_newer() -> None:
    """An older slot that would fall on the place of a newer one is left out."""
    levels = random_system(9, 2)
    state = state_of(levels)
    slots = NOW // SLOT_NS + np.arange(1 - 2 * ROWS, 1 - ROWS)
    state.seed(ASSETS[0], slots, np.zeros(ROWS))
    job = state.job(NOW)

    assert job is not None
    assert job.levels.tolist() == levels.tolist()


def test_a_job_cannot_be_changed() -> None:
    """It is read by a thread while the state goes on."""
    job = state_of(random_system(9, 2)).job(NOW)

    assert job is not None
    with pytest.raises(ValueError, match="read-only"):
        job.levels[0, 0] = 1.0


def one_short() -> F64:
    """A row less than a day and its two predecessors."""
    return random_system(1, 2)[: MIN_ROWS + 1]


def flat() -> F64:
    """One moves, one does not."""
    levels = random_system(1, 2).copy()
    levels[:, 1] = 4.0
    return levels


@pytest.mark.parametrize(
    ("levels", "lack"),
    [
        pytest.param(np.zeros((0, 2)), Lack.TOO_LITTLE_HISTORY, id="nothing"),
        pytest.param(random_system(1, 2)[:, :1], Lack.TOO_LITTLE_HISTORY, id="one asset"),
        pytest.param(one_short(), Lack.TOO_LITTLE_HISTORY, id="one row short"),
        pytest.param(flat(), Lack.NO_VARIATION, id="constant"),
    ],
)
def test_too_little_is_no_job(levels: F64, lack: Lack) -> None:
    """And the reading tells why."""
    state = state_of(levels)

    assert state.job(NOW) is None
    assert state.reading(NOW) is lack


def test_a_day_of_rows_is_enough() -> None:
    """The least that is computed."""
    assert state_of(random_system(1, 2)[: MIN_ROWS + 2]).job(NOW) is not None


def test_a_newcomer_waits_and_a_constant_one_stays_out() -> None:
    """Assets with too short a past, or that stand still, do not cost the others theirs."""
    levels = random_system(2, 4).copy()
    levels[: ROWS // 4, 2] = np.nan
    levels[:, 3] = 4.0
    job = state_of(levels).job(NOW)

    assert job is not None
    assert job.assets == ASSETS[:2]


def test_assets_that_move_as_one_have_no_table() -> None:
    """Without separate shocks nothing can be told apart: no number, and the reason."""
    levels = np.repeat(random_system(3, 2)[:, :1], 2, axis=1)
    state = state_of(levels)
    job = state.job(NOW)
    assert job is not None
    reading = compute_spillover(job)
    state.take(reading)

    assert reading.total is None
    assert reading.table == ()
    assert state.reading(NOW) is Lack.NO_VARIATION
