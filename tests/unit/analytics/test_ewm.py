"""Moments that forget, against pandas and against the recursion as it is written."""

from math import log, sqrt

import numpy as np
import pandas as pd
import pytest

from volgauge.analytics.ewm import Comovement, Dispersion
from volgauge.domain.analytics import Lack
from volgauge.kernels._jit import F64, I64

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def regular_changes(seed: int, n: int, rho: float) -> tuple[F64, F64]:
    """Two series of normal changes with a known correlation."""
    rng = np.random.default_rng(seed)
    x, e = rng.standard_normal((2, n)) * 1e-3
    return x, rho * x + sqrt(1.0 - rho * rho) * e


def irregular(seed: int, n: int) -> tuple[F64, F64, I64, I64]:
    """Changes over 1 to 5 minutes, with pauses of up to 20 minutes before some."""
    rng = np.random.default_rng(seed)
    span = rng.integers(1, 6, n) * MINUTE
    pause = rng.integers(0, 5, n) // 4 * rng.integers(1, 21, n) * MINUTE
    x, y = rng.standard_normal((2, n)) * 1e-3
    return x, x + y, span, np.cumsum(span + pause)


def literal(x: F64, y: F64, span: I64, at: I64, half_life: int) -> tuple[float, float]:
    """Correlation and beta by C <- l C + (1 - l) dx dy / dt, forgetting alone over a pause."""
    xx = xy = yy = 0.0
    before = int(at[0])
    for dx, dy, covered, now in zip(x, y, span, at, strict=True):
        pause = int(now - covered) - before if now > before else 0
        forget = 0.5 ** (pause / half_life)
        rate = 0.5 ** (int(covered) / half_life)
        seconds = int(covered) / SECOND
        xx = rate * forget * xx + (1.0 - rate) * dx * dx / seconds
        xy = rate * forget * xy + (1.0 - rate) * dx * dy / seconds
        yy = rate * forget * yy + (1.0 - rate) * dy * dy / seconds
        before = int(now)
    return xy / sqrt(xx * yy), xy / xx


@pytest.mark.parametrize("half_life", [HOUR, 24 * HOUR])
def test_regular_changes_agree_with_pandas(half_life: int) -> None:
    """On an even grid the weights are those of `ewm(halflife)`."""
    x, y = regular_changes(1, 3000, 0.6)
    moves = Comovement(half_life)
    for row in range(len(x)):
        moves.add(x[row], y[row], MINUTE, (row + 1) * MINUTE)

    def mean(values: F64) -> float:
        return float(pd.Series(values).ewm(halflife=half_life / MINUTE).mean().iloc[-1])

    now = 3000 * MINUTE
    assert moves.correlation(now) == pytest.approx(
        mean(x * y) / sqrt(mean(x * x) * mean(y * y)), rel=1e-12
    )
    assert moves.beta(now) == pytest.approx(mean(x * y) / mean(x * x), rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_irregular_changes_agree_with_the_recursion(seed: int) -> None:
    """Unequal spans and pauses give what the written recursion gives."""
    x, y, span, at = irregular(seed, 500)
    moves = Comovement(HOUR)
    for row in range(len(x)):
        moves.add(x[row], y[row], int(span[row]), int(at[row]))

    correlation, beta = literal(x, y, span, at, HOUR)
    assert moves.correlation(int(at[-1])) == pytest.approx(correlation, rel=1e-12)
    assert moves.beta(int(at[-1])) == pytest.approx(beta, rel=1e-12)


@pytest.mark.parametrize("late", [False, True])
def test_a_seeded_past_counts_as_if_it_had_been_added(late: bool) -> None:
    """Seeding before or after the newer changes gives the moments of one long series."""
    x, y, span, at = irregular(7, 400)
    moves = Comovement(4 * HOUR)

    def seed() -> None:
        moves.seed(x[:250], y[:250], span[:250], at[:250])

    if not late:
        seed()
    for row in range(250, 400):
        moves.add(x[row], y[row], int(span[row]), int(at[row]))
    if late:
        seed()

    assert moves.correlation(int(at[-1])) == pytest.approx(
        literal(x, y, span, at, 4 * HOUR)[0], rel=1e-12
    )


def test_perfectly_correlated_changes_give_one() -> None:
    """Y = 2 x has correlation 1 and beta 2; y = -x has -1."""
    x, _ = regular_changes(2, 500, 0.0)
    double, negative = Comovement(HOUR), Comovement(HOUR)
    for row in range(len(x)):
        double.add(x[row], 2.0 * x[row], MINUTE, row * MINUTE)
        negative.add(x[row], -x[row], MINUTE, row * MINUTE)

    assert double.correlation(500 * MINUTE) == pytest.approx(1.0, abs=1e-12)
    assert double.beta(500 * MINUTE) == pytest.approx(2.0, rel=1e-12)
    assert negative.correlation(500 * MINUTE) == pytest.approx(-1.0, abs=1e-12)


def test_independent_changes_scatter_about_zero_as_their_effective_number_tells() -> None:
    """Over 60 seeds the mean is zero and the spread 1 / sqrt(n_eff), n_eff = (1 + l) / (1 - l)."""
    found = []
    for seed in range(60):
        x, y = regular_changes(seed, 1500, 0.0)
        moves = Comovement(HOUR)
        at = np.arange(1, 1501) * MINUTE
        moves.seed(x, y, np.full(1500, MINUTE), at)
        correlation = moves.correlation(1500 * MINUTE)
        assert isinstance(correlation, float)
        found.append(correlation)
    keep = 0.5 ** (1 / 60)
    error = sqrt((1.0 - keep) / (1.0 + keep))

    assert abs(float(np.mean(found))) < 3.0 * error / sqrt(60)
    assert float(np.std(found)) == pytest.approx(error, rel=3.0 / sqrt(2 * 60))


def test_a_quarter_of_the_half_life_is_the_least_that_counts() -> None:
    """Of a day's half-life six hours are enough and a minute less is not."""
    x, y = regular_changes(3, 360, 0.5)
    moves = Comovement(24 * HOUR)
    for row in range(359):
        moves.add(x[row], y[row], MINUTE, row * MINUTE)
    short = moves.correlation(358 * MINUTE)
    moves.add(x[359], y[359], MINUTE, 359 * MINUTE)

    assert short is Lack.TOO_LITTLE_HISTORY
    assert isinstance(moves.correlation(359 * MINUTE), float)


def test_few_long_changes_are_too_little_whatever_they_cover() -> None:
    """Hourly changes at a half-life of one hour are worth three."""
    x, y = regular_changes(3, 500, 0.5)
    moves = Comovement(HOUR)
    for row in range(500):
        moves.add(x[row], y[row], HOUR, row * HOUR)

    assert moves.correlation(499 * HOUR) is Lack.TOO_LITTLE_HISTORY


def test_what_was_seen_long_ago_is_too_little() -> None:
    """After two half-lives of silence a quarter of the weight is left; after three too little."""
    x, y = regular_changes(3, 600, 0.5)
    moves = Comovement(HOUR)
    for row in range(600):
        moves.add(x[row], y[row], MINUTE, row * MINUTE)

    assert isinstance(moves.correlation(599 * MINUTE + 2 * HOUR), float)
    assert moves.correlation(599 * MINUTE + 3 * HOUR) is Lack.TOO_LITTLE_HISTORY


def test_one_change_after_a_long_silence_does_not_speak_for_all() -> None:
    """A single fresh change that outweighs the past is refused, not called a correlation of 1."""
    x, y = regular_changes(3, 600, 0.0)
    moves = Comovement(HOUR)
    for row in range(600):
        moves.add(x[row], y[row], MINUTE, row * MINUTE)
    at = 600 * MINUTE + 48 * HOUR
    moves.add(1e-3, 1e-3, 20 * MINUTE, at)

    assert moves.correlation(at) is Lack.TOO_LITTLE_HISTORY


def test_a_constant_series_has_no_correlation() -> None:
    """When x stands still there is neither correlation nor beta; when y does, beta is zero."""
    x, _ = regular_changes(4, 500, 0.0)
    still, stands = Comovement(HOUR), Comovement(HOUR)
    for row in range(len(x)):
        still.add(0.0, x[row], MINUTE, row * MINUTE)
        stands.add(x[row], 0.0, MINUTE, row * MINUTE)

    now = 500 * MINUTE
    assert still.correlation(now) is Lack.NO_VARIATION
    assert still.beta(now) is Lack.NO_VARIATION
    assert stands.correlation(now) is Lack.NO_VARIATION
    assert stands.beta(now) == 0.0


def weighted_score(level: F64, span: I64, at: I64, half_life: int, now: float) -> float:
    """(now - mean) / deviation with the weights written out."""
    weight = np.array(
        [
            (1.0 - 0.5 ** (s / half_life)) * 0.5 ** ((at[-1] - t) / half_life)
            for s, t in zip(span, at, strict=True)
        ]
    )
    mean = float(np.average(level, weights=weight))
    return (now - mean) / sqrt(float(np.average((level - mean) ** 2, weights=weight)))


@pytest.mark.parametrize("past", [0, 300, 600])
@pytest.mark.parametrize("late", [False, True])
def test_scores_agree_with_weights_written_out(past: int, late: bool) -> None:
    """Seeded, added, or the one after the other: mean and deviation are the same."""
    walk, _, span, at = irregular(9, 600)
    level = 0.3 + np.cumsum(walk)
    spread = Dispersion(HOUR)
    if past and not late:
        spread.seed(level[:past], span[:past], at[:past])
    for row in range(past, 600):
        spread.add(float(level[row]), int(span[row]), int(at[row]))
    if past and late:
        spread.seed(level[:past], span[:past], at[:past])

    assert spread.score(0.31, int(at[-1])) == pytest.approx(
        weighted_score(level, span, at, HOUR, 0.31), rel=1e-9
    )


def test_scores_on_an_even_grid_agree_with_pandas() -> None:
    """Mean and biased deviation of `ewm(halflife)`."""
    rng = np.random.default_rng(5)
    level = 0.2 + np.cumsum(rng.standard_normal(2000)) * 1e-3
    spread = Dispersion(2 * HOUR)
    for row, value in enumerate(level):
        spread.add(float(value), MINUTE, row * MINUTE)
    weighted = pd.Series(level).ewm(halflife=120)
    mean, deviation = weighted.mean().iloc[-1], weighted.std(bias=True).iloc[-1]

    assert spread.score(0.25, 1999 * MINUTE) == pytest.approx((0.25 - mean) / deviation, rel=1e-9)


def test_a_level_that_never_moves_has_no_score() -> None:
    """A deviation of zero makes every distance infinite."""
    spread = Dispersion(HOUR)
    for row in range(500):
        spread.add(log(1.3), MINUTE, row * MINUTE)

    assert spread.score(0.3, 499 * MINUTE) is Lack.NO_VARIATION


def test_a_short_level_has_no_score() -> None:
    """Fourteen minutes of a half-life of an hour are too little."""
    spread = Dispersion(HOUR)
    for row in range(14):
        spread.add(float(row), MINUTE, row * MINUTE)

    assert spread.score(0.3, 13 * MINUTE) is Lack.TOO_LITTLE_HISTORY
