"""Realised volatility, premium and level on real series, against pandas, statsmodels and scipy."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy.stats import percentileofscore

from volgauge.analytics import estimators
from volgauge.analytics.bars import Bar
from volgauge.analytics.level import ChangeVariance, LevelState
from volgauge.analytics.premium import PremiumState
from volgauge.analytics.realized import RealizedState
from volgauge.domain.analytics import PremiumReading, RealizedReading
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR

F64 = NDArray[np.float64]
YEAR_HOURS = 8760.0


@pytest.fixture(scope="module")
def btc(test_data: Path) -> pd.DataFrame:
    """Daily bars of bitcoin from 2020 on."""
    path = test_data / "chains" / "btc_daily_ohlcv_2010-07-17_2025-11-18.csv.gz"
    frame = pd.read_csv(path, parse_dates=["date"]).set_index("date")
    return frame.loc["2020":, ["open", "high", "low", "close"]]


@pytest.fixture(scope="module")
def hours(test_data: Path) -> pd.DataFrame:
    """Hourly bars of a bitcoin perpetual, 2026-02-27 to 2026-04-28."""
    path = test_data / "chains" / "btc_perp_hourly_ohlcv_2026-02-27_2026-04-28.csv.gz"
    return pd.read_csv(path, parse_dates=["timestamp"]).set_index("timestamp")


@pytest.fixture(scope="module")
def dvol(test_data: Path) -> "pd.Series[float]":
    """Daily closes of the exchange's bitcoin index, 2023-04-26 to 2026-01-19."""
    path = test_data / "chains" / "dvol_btc_daily_ohlc_2023-04-26_2026-01-19.csv"
    made: pd.Series[float] = pd.read_csv(path, parse_dates=["date"]).set_index("date")["close"]
    return made


def start_ns(stamp: pd.Timestamp) -> int:
    """Instant of a row."""
    return int(stamp.as_unit("ns").value)


def as_bars(frame: pd.DataFrame) -> list[Bar]:
    """Rows as bars."""
    columns = frame[["open", "high", "low", "close"]].to_numpy().tolist()
    return [Bar(start_ns(at), *row) for at, row in zip(frame.index, columns, strict=True)]


def day_variances(frame: pd.DataFrame) -> "pd.Series[float]":
    """Garman-Klass of each day, annualised."""
    ranges, moves = np.log(frame.high / frame.low), np.log(frame.close / frame.open)
    made: pd.Series[float] = 365.0 * (0.5 * ranges**2 - (2.0 * np.log(2.0) - 1.0) * moves**2)
    return made


def by_pandas(frame: pd.DataFrame) -> dict[str, float]:
    """Every daily reading of the last 30 days, in points."""
    month, before = frame[-30:], frame.close.shift(1)[-30:]
    high, low = np.log(month.high), np.log(month.low)
    opened, close = np.log(month.open), np.log(month.close)
    satchell = ((high - close) * (high - opened) + (low - close) * (low - opened)).mean()
    k = 0.34 / (1.34 + 31.0 / 29.0)
    overnight, within = (opened - np.log(before)).var(), (close - opened).var()
    variances = day_variances(frame)[-730:]
    annual = {
        "close_close": 365.0 * (close - np.log(before)).var(),
        "parkinson": 365.0 * ((high - low) ** 2).mean() / (4.0 * np.log(2.0)),
        "garman_klass": variances[-30:].mean(),
        "rogers_satchell": 365.0 * satchell,
        "yang_zhang": 365.0 * (overnight + k * within + (1.0 - k) * satchell),
        "ewma": variances.ewm(alpha=0.06, adjust=True).mean().iloc[-1],
        "trailing_30d": variances[-30:].mean(),
        "har": har_by_statsmodels(variances),
    }
    return {name: 100.0 * math.sqrt(value) for name, value in annual.items()}


def har_by_statsmodels(variances: "pd.Series[float]") -> float:
    """OLS of the mean of the next 30 days on the last day, week and month."""
    means = {days: variances.rolling(days).mean() for days in (1, 7, 30)}
    inputs = sm.add_constant(pd.DataFrame(means))[29:]
    ahead = variances.rolling(30).mean().shift(-30)[29:-30]
    fit = sm.OLS(ahead, inputs[:-30]).fit()
    forecast = float(fit.predict(inputs.iloc[[-1]]).iloc[0])
    return float(np.clip(forecast, ahead.min(), ahead.max()))


def read_on(btc: pd.DataFrame, day: str) -> tuple[RealizedReading, pd.DataFrame]:
    """Read at the start of a day, and the frame of the days before."""
    now = pd.Timestamp(day)
    past = btc[btc.index < now]
    state = RealizedState()
    state.seed(as_bars(past), [])
    reading, _ = state.reading(start_ns(now) + NANOS_PER_HOUR)
    return reading, past


@pytest.mark.parametrize(
    "day", ["2021-06-01", "2022-06-20", "2023-10-01", "2024-03-15", "2025-11-18"]
)
def test_bitcoin_by_day_is_what_pandas_and_statsmodels_say(btc: pd.DataFrame, day: str) -> None:
    """Every daily reading at five instants, calm and wild, to 1e-9."""
    reading, past = read_on(btc, day)

    for name, expected in by_pandas(past).items():
        assert getattr(reading, name) == pytest.approx(expected, rel=1e-9), name


def test_the_forecast_of_bitcoin_beats_the_mean_of_the_past(
    btc: pd.DataFrame, record_property: Callable[[str, object], None]
) -> None:
    """Each 30th day of 2022-2025, out of sample: closer to what came than the long-run mean."""
    variances = day_variances(btc)
    ours, mean = [], []
    for at in range(variances.index.get_loc("2022-01-01"), len(variances) - 30, 30):
        reading, past = read_on(btc, str(variances.index[at].date()))
        assert reading.har is not None
        came_true = 100.0 * math.sqrt(variances.iloc[at : at + 30].mean())
        ours.append(reading.har - came_true)
        mean.append(100.0 * math.sqrt(day_variances(past)[-730:].mean()) - came_true)

    error, error_of_mean = (np.sqrt(np.mean(np.square(missed))) for missed in (ours, mean))
    record_property("measured", f"rmse of HAR {error:.1f}, of the mean {error_of_mean:.1f} points")
    assert error < error_of_mean


def test_hourly_bitcoin_is_what_a_plain_loop_says(hours: pd.DataFrame) -> None:
    """Realised variance and bipower of two months, each step, to 1e-11."""
    logs = np.log(hours.close.to_numpy())
    for step in (1, 5, 24):
        moves = [logs[row + step] - logs[row] for row in range(len(logs) - step)]
        variance = sum(move * move for move in moves) / len(moves)
        products = [abs(moves[row]) * abs(moves[row + step]) for row in range(len(moves) - step)]
        continuous = 0.5 * math.pi * sum(products) / len(products)

        per_year = YEAR_HOURS / step
        found = estimators.realized_variance(logs, step, per_year)
        assert found == pytest.approx(variance * per_year, rel=1e-11)
        found = estimators.bipower(logs, step, per_year)
        assert found == pytest.approx(continuous * per_year, rel=1e-11)


def test_estimators_of_the_same_months_agree(hours: pd.DataFrame) -> None:
    """Hourly returns and the ranges of the same 60 days: within four errors of a daily range.

    Parkinson's relative error in volatility over n days is half of sqrt(0.407 / n).
    """
    days = hours.resample("1D").agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    days = days[1:-1]
    inside = hours[(hours.index >= days.index[0]) & (hours.index < days.index[-1])]
    intraday = estimators.realized_variance(np.log(inside.close.to_numpy()), 1, YEAR_HOURS)
    bars = days.to_numpy()
    bound = 4.0 * 0.5 * math.sqrt(0.407 / len(bars))

    for estimate in (estimators.parkinson, estimators.garman_klass, estimators.rogers_satchell):
        assert math.sqrt(estimate(bars) / intraday) == pytest.approx(1.0, abs=bound)


def premium_on(
    btc: pd.DataFrame, dvol: "pd.Series[float]", day: pd.Timestamp
) -> tuple[PremiumReading, RealizedReading]:
    """Read the premium at the start of a day; the index stands at the close before."""
    reading, _ = read_on(btc, str(day.date()))
    state = PremiumState()
    past = dvol[dvol.index < day]
    state.seed([(start_ns(at), close) for at, close in past.items()])
    now_ns = start_ns(day) + NANOS_PER_HOUR
    state.observe(float(past.iloc[-1]), now_ns)
    premium, lacks = state.reading(reading, now_ns)
    assert lacks == {}
    return premium, reading


def test_the_premium_of_bitcoin_is_what_pandas_says(
    btc: pd.DataFrame, dvol: "pd.Series[float]"
) -> None:
    """Monthly over two years; and implied exceeds realised in most months, as is known."""
    signs = []
    for day in pd.date_range("2023-08-01", "2025-11-01", freq="MS"):
        premium, realized = premium_on(btc, dvol, day)
        came_true = day_variances(btc)[day - pd.Timedelta(days=30) : day - pd.Timedelta(days=1)]
        assert len(came_true) == 30
        variance = float(came_true.mean())
        now = float(dvol[day - pd.Timedelta(days=1)]) / 100.0
        then = float(dvol[day - pd.Timedelta(days=31)]) / 100.0

        assert premium.trailing_variance == pytest.approx(now**2 - variance, abs=1e-12)
        assert premium.ex_post_variance == pytest.approx(then**2 - variance, abs=1e-12)
        points = 100.0 * (then - math.sqrt(variance))
        assert premium.ex_post_points == pytest.approx(points, abs=1e-9)
        assert realized.har is not None
        assert premium.ex_ante_points == pytest.approx(100.0 * now - realized.har, abs=1e-9)
        signs.append(points > 0.0)

    assert sum(signs) > 0.6 * len(signs)


def test_rank_and_percentile_of_the_exchange_index(dvol: "pd.Series[float]") -> None:
    """Each 50th day with a year before it, by scipy and pandas."""
    for row in range(370, len(dvol), 50):
        past, value = dvol.iloc[row - 365 : row], float(dvol.iloc[row])
        state = LevelState()
        state.seed([(start_ns(at), close) for at, close in dvol.iloc[:row].items()])
        now_ns = start_ns(dvol.index[row]) + NANOS_PER_DAY // 2
        state.observe(value, now_ns)
        low, high = min(past.min(), value), max(past.max(), value)

        reading, _ = state.reading(now_ns)

        expected = percentileofscore(past.to_numpy(), value, kind="strict")
        assert reading.percentile == pytest.approx(expected)
        assert reading.rank == pytest.approx(100.0 * (value - low) / (high - low))
        assert reading.days == 365.0


def ewm_vol_of_vol(values: "pd.Series[float]", step: int, half_life: float) -> float:
    """Pandas, in points; hours without a value are gaps."""
    squares = np.log(values).diff(step) ** 2
    variance = squares.ewm(halflife=half_life, adjust=True, ignore_na=False).mean().iloc[-1]
    return 100.0 * math.sqrt(variance * YEAR_HOURS / step)


def our_vol_of_vol(values: "pd.Series[float]", step: int, half_life: float) -> float:
    """The same by the state that runs live."""
    changes = ChangeVariance(step, half_life)
    for index, value in enumerate(values.to_numpy()):
        if not np.isnan(value):
            changes.add(index, math.log(value))
    assert changes.variance is not None
    return 100.0 * math.sqrt(changes.variance * YEAR_HOURS / step)


@pytest.mark.parametrize("column", ["dvol_eth_pct", "iv_uniswap_pct"])
@pytest.mark.parametrize("step", [1, 6])
def test_vol_of_vol_of_two_indices_of_ether(test_data: Path, column: str, step: int) -> None:
    """Hourly, options' index and the one of a liquidity pool, 2024; against pandas."""
    path = test_data / "worked-examples" / "eth_dvol_vs_uniswap_iv_hourly_2024.csv"
    frame = pd.read_csv(path, parse_dates=["timestamp_utc"]).set_index("timestamp_utc")
    values = frame[column].resample("1h").last()

    found = our_vol_of_vol(values, step, 24.0)

    assert found == pytest.approx(ewm_vol_of_vol(values, step, 24.0), rel=1e-9)


def test_vol_of_vol_of_five_years_of_bitcoin(test_data: Path) -> None:
    """Hourly closes of the exchange's index; its level is the one that is known of it."""
    path = test_data / "chains" / "dvol_btc_hourly_public.csv.gz"
    frame = pd.read_csv(path, parse_dates=["bar_start"]).set_index("bar_start")
    values = frame["close"].resample("1h").last()

    found = our_vol_of_vol(values, 1, 24.0 * 30.0)

    assert found == pytest.approx(ewm_vol_of_vol(values, 1, 24.0 * 30.0), rel=1e-9)
    assert 30.0 < found < 200.0
