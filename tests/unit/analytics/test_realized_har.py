"""The HAR forecast against statsmodels and arch."""

from math import inf, nan

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from arch.univariate import HARX
from numpy.typing import NDArray

from volgauge.analytics.har import MIN_ROWS, har_forecast

F64 = NDArray[np.float64]
SEEDS = [1, 2, 3]


def variances(seed: int, n: int = 400) -> F64:
    """Persistent daily variances with chi-square noise."""
    rng = np.random.default_rng(seed)
    level = np.empty(n)
    level[0] = 0.0
    for day in range(1, n):
        level[day] = 0.95 * level[day - 1] + 0.2 * rng.standard_normal()
    made: F64 = 0.36 * np.exp(level) * rng.chisquare(40.0, n) / 40.0
    return made


def ols_forecast(values: F64, horizon: int) -> tuple[float, float, float]:
    """Forecast by statsmodels, and the least and the largest target."""
    day = pd.Series(values)
    known = {"min_periods": 5}, {"min_periods": 20}
    inputs = pd.DataFrame(
        {
            "const": 1.0,
            "day": day,
            "week": day.rolling(7, **known[0]).mean(),
            "month": day.rolling(30, **known[1]).mean(),
        }
    )[29:]
    ahead = day.rolling(horizon, min_periods=-(-2 * horizon // 3)).mean().shift(-horizon)[29:]
    usable = inputs.notna().all(axis=1) & ahead.notna()
    usable.iloc[-horizon:] = False
    fit = sm.OLS(ahead[usable], inputs[usable]).fit()
    forecast = float(fit.predict(inputs.iloc[[-1]]).iloc[0])
    return forecast, float(ahead[usable].min()), float(ahead[usable].max())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("horizon", [1, 30])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_it_is_the_regression_of_statsmodels(seed: int, horizon: int, missing: float) -> None:
    """Coefficients by `OLS` on columns made by pandas, days missing or not; to 1e-10."""
    values = variances(seed)
    values[np.random.default_rng(seed).random(len(values)) < missing] = nan
    values[0] = values[-1] = 0.4
    forecast, low, high = ols_forecast(values, horizon)

    found = har_forecast(values, horizon)

    assert found == pytest.approx(min(max(forecast, low), high), rel=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_day_ahead_it_is_the_har_of_arch(seed: int) -> None:
    """`arch.univariate.HARX(lags=[1, 7, 30])`, an independent reading of Corsi."""
    values = variances(seed)
    model = HARX(values, lags=[1, 7, 30], rescale=False)
    forecast = model.fit(disp="off").forecast(horizon=1).mean.iloc[-1, 0]

    assert har_forecast(values, 1) == pytest.approx(forecast, rel=1e-6)


def test_a_shock_beyond_all_that_was_seen_is_bounded() -> None:
    """The forecast is the largest target seen, not what a line through it says."""
    rng = np.random.default_rng(4)
    values = variances(4)
    values[-1] = 1e3
    _, _, high = ols_forecast(values, 30)
    calm = 0.36 * (1.0 + 0.01 * rng.standard_normal(400))
    calm[-1] = 0.0

    found = har_forecast(values)
    floor = har_forecast(calm)

    assert found is not None
    assert floor is not None
    assert found <= high * (1.0 + 1e-12)
    assert floor > 0.35


@pytest.mark.parametrize(("level", "expected"), [(0.25, 0.25), (0.0, 0.0)])
def test_a_constant_past_forecasts_itself(level: float, expected: float) -> None:
    """The columns are then all alike, and no single coefficient is known."""
    assert har_forecast(np.full(200, level)) == pytest.approx(expected, rel=1e-12)


def test_fewer_than_sixty_rows_say_nothing() -> None:
    """30 days of input, 30 of target and 60 rows: 119 days."""
    values = variances(5)

    assert har_forecast(values[: 30 + 30 + MIN_ROWS - 2]) is None
    assert har_forecast(values[: 30 + 30 + MIN_ROWS - 1]) is not None
    assert har_forecast(np.empty(0)) is None
    assert har_forecast(np.full(400, nan)) is None


def test_the_past_begins_with_its_first_day() -> None:
    """Unknown days before it add no rows."""
    values = variances(9, 200)

    padded = np.concatenate((np.full(500, nan), values))

    assert har_forecast(padded) == har_forecast(values)


def test_without_yesterday_there_is_no_forecast() -> None:
    """The day's own column has nothing to stand in for it."""
    values = variances(6)
    values[-1] = nan

    assert har_forecast(values) is None


def test_half_a_week_stands_for_no_week() -> None:
    """Five of seven days do, four do not."""
    values = variances(7)
    values[-4:-2] = nan
    assert har_forecast(values) is not None

    values[-5] = nan
    assert har_forecast(values) is None


@pytest.mark.parametrize("bad", [-0.1, inf])
def test_what_is_no_variance_is_refused(bad: float) -> None:
    """A documented error, not a forecast."""
    values = variances(8)
    values[50] = bad

    with pytest.raises(ValueError, match="expected variances"):
        har_forecast(values)
