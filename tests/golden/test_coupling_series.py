"""Coupling on real series: BTC and ETH volatility indices, and ETH's against an on-chain one."""

import csv
import gzip
from collections.abc import Callable
from math import exp, log, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.api import VAR

from volgauge.analytics.coupling import Coupling
from volgauge.analytics.spillover import SpilloverJob, compute_spillover
from volgauge.domain.analytics import PairCoupling
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_SECOND, parse_instant
from volgauge.kernels._jit import F64, I64
from volgauge.kernels.hayashi import scan_lags
from volgauge.settings import RulesSettings

X, Y = Asset("BTC"), Asset("ETH")


class Series(NamedTuple):
    """Two indices at the same instants."""

    at_ns: I64
    x: F64
    """Points."""
    y: F64


def joined(first: dict[int, float], second: dict[int, float], rows: int) -> Series:
    """The last instants that both have."""
    at_ns = sorted(first.keys() & second.keys())[-rows:]
    return Series(
        np.array(at_ns, np.int64),
        np.array([first[at] for at in at_ns]),
        np.array([second[at] for at in at_ns]),
    )


def exchange_indices(folder: Path) -> Series:
    """Hourly closes of DVOL of BTC and ETH, 7 to 20 March 2026; stamped by their ends."""
    with gzip.open(folder / "chains" / "dvol_btc_hourly_public.csv.gz", "rt") as file:
        btc = {
            parse_instant(row["bar_start"]) + NANOS_PER_HOUR: float(row["close"])
            for row in csv.DictReader(file)
        }
    with (folder / "chains" / "dvol_eth_hourly_close_2026-03-07_2026-03-20.csv").open() as file:
        eth = {
            parse_instant(row["bar_start"]) + NANOS_PER_HOUR: float(row["close"])
            for row in csv.DictReader(file)
        }
    return joined(btc, eth, 400)


def on_chain_index(folder: Path) -> Series:
    """Hourly implied volatility of a Uniswap pool and DVOL of ETH, 50 days to 14 October 2024."""
    path = folder / "worked-examples" / "eth_dvol_vs_uniswap_iv_hourly_2024.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    pool = {parse_instant(row["timestamp_utc"]): float(row["iv_uniswap_pct"]) for row in rows}
    dvol = {parse_instant(row["timestamp_utc"]): float(row["dvol_eth_pct"]) for row in rows}
    return joined(pool, dvol, 1200)


@pytest.fixture(params=[exchange_indices, on_chain_index])
def series(request: pytest.FixtureRequest, test_data: Path) -> Series:
    """Each pair of real series."""
    found: Series = request.param(test_data)
    assert len(found.at_ns) > 300
    return found


def pair_of(series: Series) -> PairCoupling:
    """What the service tells when this is its past and both indices are where they ended."""
    coupling = Coupling(RulesSettings().decoupling)
    stamps = series.at_ns.tolist()
    coupling.seed(
        {
            X: list(zip(stamps, series.x.tolist(), strict=True)),
            Y: list(zip(stamps, series.y.tolist(), strict=True)),
        }
    )
    now = stamps[-1]
    coupling.observe(X, float(series.x[-1]), now)
    coupling.observe(Y, float(series.y[-1]), now)
    (pair,) = coupling.reading(now).pairs
    return pair


def changes(series: Series) -> tuple[F64, F64, F64]:
    """Hourly changes of the logarithms, and the hours from each to the last; gaps left out."""
    whole = np.diff(series.at_ns) == NANOS_PER_HOUR
    hours = (series.at_ns[-1] - series.at_ns[1:]) / NANOS_PER_HOUR
    return np.diff(np.log(series.x))[whole], np.diff(np.log(series.y))[whole], hours[whole]


@pytest.mark.parametrize(("label", "half_life"), [("1d", 24.0), ("7d", 168.0)])
def test_correlation_beta_and_fit_are_those_of_pandas(
    series: Series, label: str, half_life: float
) -> None:
    """Weighted by age with `ewm(times=...)`, to 1e-9."""
    pair = pair_of(series)
    x, y, hours = changes(series)
    times = pd.Timestamp("2026-01-01") - pd.to_timedelta(hours, unit="h")
    xx, xy, yy = (
        float(
            pd.Series(product)
            .ewm(halflife=pd.Timedelta(hours=half_life), times=times)
            .mean()
            .iloc[-1]
        )
        for product in (x * x, x * y, y * y)
    )

    assert pair.correlations[label] == pytest.approx(xy / sqrt(xx * yy), rel=1e-9)
    if label == "1d":
        assert pair.beta == pytest.approx(xy / xx, rel=1e-9)
        assert pair.r_squared == pytest.approx(xy * xy / (xx * yy), rel=1e-9)
    assert pair.n_observations == len(x)


def test_the_score_is_that_of_pandas(series: Series) -> None:
    """The last spread against the weighted mean and deviation of all."""
    pair = pair_of(series)
    hours = (series.at_ns[-1] - series.at_ns) / NANOS_PER_HOUR
    weight = np.exp2(-hours / 168.0)
    spread = np.log(series.x / series.y)
    if (np.diff(series.at_ns) == NANOS_PER_HOUR).all():
        weighted = pd.Series(spread).ewm(halflife=168.0)
        mean, deviation = weighted.mean().iloc[-1], weighted.std(bias=True).iloc[-1]
    else:
        mean = np.average(spread, weights=weight)
        deviation = sqrt(np.average((spread - mean) ** 2, weights=weight))

    assert pair.spread == pytest.approx(log(series.x[-1] / series.y[-1]), rel=1e-12)
    assert pair.spread_z == pytest.approx((spread[-1] - mean) / deviation, rel=1e-8)


def test_the_lagged_covariance_on_one_grid_is_that_of_numpy(series: Series) -> None:
    """At equal instants an hour apart Hayashi-Yoshida is the cross-product at whole lags."""
    x, y = np.log(series.x), np.log(series.y)
    at_ns = series.at_ns[0] + np.arange(len(x)) * NANOS_PER_HOUR
    covariance = np.empty(2 * 12 + 1)
    scan_lags(at_ns, x, at_ns, y, NANOS_PER_HOUR, covariance)
    full = np.correlate(np.diff(y), np.diff(x), "full")
    middle = len(x) - 2

    assert covariance == pytest.approx(full[middle - 12 : middle + 13], rel=1e-9, abs=1e-12)


def test_the_spillover_is_that_of_statsmodels(
    series: Series, record_property: Callable[[str, object], None]
) -> None:
    """VAR(2) of statsmodels and the generalised decomposition from its responses."""
    levels = np.log(np.column_stack([series.x, series.y]))
    reading = compute_spillover(SpilloverJob((X, Y), levels, int(series.at_ns[-1])))
    fit = VAR(levels).fit(2, trend="c")
    sigma = np.asarray(fit.sigma_u)
    responses = fit.ma_rep(11)
    above = np.sum([(step @ sigma) ** 2 for step in responses], axis=0) / np.diag(sigma)
    below = np.sum([np.diag(step @ sigma @ step.T) for step in responses], axis=0)
    theta = above / below[:, None]
    table = 100.0 * theta / theta.sum(axis=1, keepdims=True)

    record_property("measured", f"total {reading.total:.2f} %, table {np.round(table, 2).tolist()}")
    assert np.asarray(reading.table) == pytest.approx(table, rel=1e-8)
    assert reading.total == pytest.approx((table.sum() - np.trace(table)) / 2.0, rel=1e-8)


def test_a_tick_path_through_real_closes_keeps_the_correlation(test_data: Path) -> None:
    """The exchange's hourly closes replayed a minute apart: the reading is that of the changes."""
    series = exchange_indices(test_data)
    coupling = Coupling(RulesSettings().decoupling)
    start_ns = 1_800_000_000 * NANOS_PER_SECOND
    x, y = np.log(series.x), np.log(series.y)
    for row in range(len(x)):
        at_ns = start_ns + row * 60 * NANOS_PER_SECOND
        coupling.observe(X, exp(x[row]), at_ns + NANOS_PER_SECOND)
        coupling.observe(Y, exp(y[row]), at_ns + 2 * NANOS_PER_SECOND)
        coupling.reading(at_ns + 60 * NANOS_PER_SECOND)
    (pair,) = coupling.reading(start_ns + len(x) * 60 * NANOS_PER_SECOND).pairs
    dx, dy = np.diff(x), np.diff(y)
    xx, xy, yy = (
        pd.Series(product).ewm(halflife=60.0).mean().iloc[-1]
        for product in (dx * dx, dx * dy, dy * dy)
    )

    assert pair.correlations["1h"] == pytest.approx(xy / sqrt(xx * yy), rel=1e-8)
