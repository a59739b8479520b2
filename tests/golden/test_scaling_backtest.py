"""The scaler on histories: known worlds, a plain recomputation, and bitcoin with its DVOL."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from golden.chain_sources import synthetic_chain, write_csv
from volgauge.cli import main
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, parse_instant
from volgauge.errors import InputError
from volgauge.offline.scale.backtest import backtest
from volgauge.offline.scale.series import Sample
from volgauge.settings import ScalingSettings

START = parse_instant("2024-01-01T00:00:00Z")
AT_ONCE = ScalingSettings(
    implied_share=1.0, damping=1.0, buffer=0.0, step_seconds=3600.0, max_exposure=2.0
)
"""The exposure is target / index at once."""


def hourly(numbers: list[float]) -> list[Sample]:
    """One number an hour."""
    return [Sample(START + hour * NANOS_PER_HOUR, x) for hour, x in enumerate(numbers)]


def switching_world(seed: int, days: int = 700) -> tuple[list[Sample], list[Sample]]:
    """Hourly prices and index: log-volatility reverts in a week to 35 points, then to 110.

    The index is the true volatility with 2 % of noise.
    """
    rng = np.random.default_rng(seed)
    count = days * 24
    level = np.where(np.arange(count) < count // 2, np.log(0.35), np.log(1.10))
    pull, vol_of_vol = 1.0 / (7 * 24), 0.8 / sqrt(365 * 24)
    x, logs = level[0], np.empty(count)
    shocks = rng.standard_normal((3, count))
    for hour in range(count):
        logs[hour] = x
        x += pull * (level[hour] - x) + vol_of_vol * shocks[0, hour]
    sigma = np.exp(logs)
    changes = sigma / sqrt(365 * 24) * shocks[1] - 0.5 * sigma**2 / (365 * 24)
    prices = 30_000.0 * np.exp(np.concatenate([[0.0], np.cumsum(changes)]))
    index = 100.0 * sigma * np.exp(0.02 * shocks[2])
    return hourly(prices.tolist()), hourly(index.tolist())


def garch_world(seed: int, days: int = 3000) -> list[Sample]:
    """Daily prices of a GARCH(1, 1) with 30 points for three years, then 90, then 45."""
    rng = np.random.default_rng(seed)
    levels = np.repeat([0.30, 0.90, 0.45], days // 3) ** 2 / 365
    alpha, beta = 0.06, 0.90
    variance, prices = levels[0], [20_000.0]
    for level in levels:
        change = sqrt(variance) * rng.standard_normal()
        prices.append(prices[-1] * float(np.exp(change - 0.5 * variance)))
        variance = (1 - alpha - beta) * level + alpha * change**2 + beta * variance
    return [Sample(START + day * NANOS_PER_DAY, price) for day, price in enumerate(prices)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_switch_of_regime(seed: int, record_property: Callable[[str, object], None]) -> None:
    """The scaled position is within 10 % of the target, constant leverage is not."""
    prices, index = switching_world(seed)

    report = backtest(prices, index, ScalingSettings())

    assert report.scaled is not None
    assert report.constant is not None
    record_property(
        "measured",
        f"seed {seed}: scaled {report.scaled.realized:.1f}, constant "
        f"{report.constant.realized:.1f} at a target of 40",
    )
    assert 0.9 <= report.scaled.ratio <= 1.1
    assert report.constant.ratio > 1.1
    assert report.constant.mean_exposure == report.scaled.mean_exposure
    assert report.scaled.tracking_error is not None
    assert report.constant.tracking_error is not None
    assert report.scaled.tracking_error < 0.3 * report.constant.tracking_error


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_garch_world_without_an_index(
    seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Realised volatility alone does it, at daily prices."""
    report = backtest(garch_world(seed), (), ScalingSettings(step_seconds=86_400.0, damping=1.0))

    assert report.scaled is not None
    assert report.constant is not None
    record_property(
        "measured",
        f"seed {seed}: scaled {report.scaled.realized:.1f}, constant "
        f"{report.constant.realized:.1f} at a target of 40",
    )
    assert 0.9 <= report.scaled.ratio <= 1.1
    assert report.constant.ratio > 1.1
    assert report.missing["scaling.sigma.implied: no_index"] == 3000


def test_the_figures_written_out() -> None:
    """Realised volatility, drawdown, growth, turnover, trades and costs by a plain loop."""
    rng = np.random.default_rng(9)
    prices = (100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(400)))).tolist()
    index = rng.uniform(15.0, 120.0, 400).tolist()
    report = backtest(
        hourly(prices), hourly(index), AT_ONCE, cost_bps=20.0, warm_up_days=2.0
    )  # fmt: skip

    exposures = [min(2.0, 40.0 / value) for value in index]
    wealth, peak, drawdown, squares, turnover, trades = 1.0, 1.0, 0.0, 0.0, 0.0, 0
    for i in range(48, 399):
        traded = abs(exposures[i] - exposures[i - 1])
        turnover += traded
        trades += traded > 0.0
        gain = exposures[i] * (prices[i + 1] / prices[i] - 1.0) - 0.002 * traded
        wealth *= 1.0 + gain
        peak = max(peak, wealth)
        drawdown = max(drawdown, (peak - wealth) / peak)
        squares += gain * gain
    hours = 399 - 48
    assert report.scaled is not None
    assert report.bars == hours
    assert report.scaled.growth == pytest.approx(wealth, rel=1e-11)
    assert report.scaled.max_drawdown == pytest.approx(drawdown, rel=1e-11)
    realized = 100.0 * sqrt(squares / hours * 24 * 365)
    assert report.scaled.realized == pytest.approx(realized, rel=1e-11)
    assert report.turnover == pytest.approx(turnover, rel=1e-11)
    assert report.turnover_per_year == pytest.approx(turnover / hours * 24 * 365, rel=1e-11)
    assert report.cost == pytest.approx(0.002 * turnover, rel=1e-11)
    assert report.trades == trades
    mean = sum(exposures[48:399]) / hours
    assert report.scaled.mean_exposure == pytest.approx(mean, rel=1e-12)
    assert report.constant is not None
    changes = np.diff(prices[48:]) / np.array(prices[48:-1])
    plain = 100.0 * mean * sqrt(float(np.sum(changes**2)) / hours * 24 * 365)
    assert report.constant.realized == pytest.approx(plain, rel=1e-11)
    grown = np.cumprod(1.0 + mean * changes)
    peaks = np.maximum.accumulate(np.concatenate([[1.0], grown]))[1:]
    assert report.constant.max_drawdown == pytest.approx(float(np.max(1 - grown / peaks)), rel=1e-9)


def test_a_decision_does_not_know_the_bar_to_come() -> None:
    """An index that rises with a crash does not soften it; one that rises before does."""
    prices = [100.0] * 100 + [80.0] * 100
    late = hourly([40.0] * 100 + [400.0] * 100)
    early = hourly([40.0] * 99 + [400.0] * 101)

    hit = backtest(hourly(prices), late, AT_ONCE, warm_up_days=0.0).scaled
    spared = backtest(hourly(prices), early, AT_ONCE, warm_up_days=0.0).scaled

    assert hit is not None
    assert spared is not None
    assert hit.growth == pytest.approx(0.8, rel=1e-12)
    assert spared.growth == pytest.approx(1.0 - 0.1 * 0.2, rel=1e-12)


def test_the_last_price_decides_nothing() -> None:
    """Another one changes the outcome and no exposure."""
    prices, index = switching_world(5, days=80)
    other = [*prices[:-1], Sample(prices[-1].at_ns, prices[-1].number * 1.5)]

    one, two = (backtest(p, index, ScalingSettings(), warm_up_days=30.0) for p in (prices, other))

    assert one.scaled is not None
    assert two.scaled is not None
    assert one.scaled.mean_exposure == two.scaled.mean_exposure
    assert one.turnover == two.turnover
    assert one.largest_exposure == two.largest_exposure
    assert one.scaled.growth != two.scaled.growth


def test_a_long_bar_is_walked_through_in_steps() -> None:
    """Daily prices with hourly steps: the exposure is the mean of 24 damped steps."""
    samples = [Sample(START + day * NANOS_PER_DAY, 100.0 + day) for day in range(4)]
    index = [Sample(START, 40.0), Sample(START + NANOS_PER_DAY, 80.0)]
    rules = ScalingSettings(implied_share=1.0, buffer=0.0)

    report = backtest(samples[:3], index, rules, warm_up_days=1.0)

    # The step at the day's first instant sees the day's value already.
    path = [0.5 + 0.5 * 0.75 ** (step + 1) for step in range(24)]
    assert report.scaled is not None
    assert report.scaled.mean_exposure == pytest.approx(sum(path) / 24.0, rel=1e-12)
    assert report.trades == 24


def test_ruin_is_the_end() -> None:
    """A loss of more than all leaves nothing."""
    report = backtest(
        hourly([100.0, 100.0, 40.0, 90.0]), hourly([20.0] * 4), AT_ONCE, warm_up_days=0.0
    )

    assert report.scaled is not None
    assert report.scaled.growth == 0.0
    assert report.scaled.max_drawdown == 1.0


def test_without_a_volatility_there_are_no_figures() -> None:
    """Three prices and no index: the reason is told."""
    report = backtest(hourly([1.0, 2.0, 3.0]), (), ScalingSettings())

    assert report.scaled is None
    assert report.reason == "no exposure was known after the warm-up"


@pytest.mark.parametrize("given", [{"cost_bps": -1.0}, {"warm_up_days": float("nan")}])
def test_arguments_that_are_none(given: dict[str, float]) -> None:
    """They are named."""
    with pytest.raises(InputError, match="--"):
        backtest(hourly([1.0, 2.0]), (), ScalingSettings(), **given)


def write_history(folder: Path, prices: list[Sample], index: list[Sample]) -> tuple[Path, Path]:
    """Two CSV files."""
    paths = folder / "prices.csv", folder / "index.csv"
    for path, column, samples in zip(paths, ("close", "value"), (prices, index), strict=True):
        lines = [f"{sample.at_ns},{sample.number!r}" for sample in samples]
        path.write_text("\n".join([f"time,{column}", *lines]) + "\n")
    return paths


def test_the_command_back_tests(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """The same figures as the function, exit code 0; 3 without figures, 2 on bad input."""
    prices, index = switching_world(4, days=90)
    history, values = write_history(tmp_path, prices, index)

    code = main(["scale", "--history", str(history), "--index", str(values), "--target", "30"])

    assert code == 0
    tree = json.loads(capsysbinary.readouterr().out)
    expected = backtest(prices, index, ScalingSettings(target_points=30.0))
    assert expected.scaled is not None
    assert tree["target"] == 30.0
    assert tree["scaled"]["realized"] == expected.scaled.realized
    assert main(["scale", "--history", str(history), "--warm-up-days", "900"]) == 3
    assert main(["scale", "--history", str(values)]) == 2
    assert main(["scale", "--history", str(history), "--target", "-1"]) == 2
    assert main(["scale"]) == 2
    assert b"column `close` is missing" in capsysbinary.readouterr().err


def test_the_command_values_a_book(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """One JSON object, the hedge in it; a line that cannot be valued is exit code 2."""
    chain = write_csv(synthetic_chain(START), tmp_path / "chain.csv")
    book = tmp_path / "book.csv"
    book.write_text("expiry,strike,kind,quantity\n2024-01-24T00:00:00Z,60000,C,2\n,,spot,-1\n")
    arguments = ["scale", "--book", str(book), "--chain", str(chain), "--premium", "coin"]

    assert main([*arguments, "--at", "2024-01-01T00:00:00Z", "--vega-limit", "10"]) == 0
    tree = json.loads(capsysbinary.readouterr().out)
    assert tree["hedge"]["coins"] == -tree["total"]["delta"]
    assert tree["limits"]["vega"]["within"] is False
    assert len(tree["stress"]["pnl"]) == 9
    assert main(arguments) == 2
    assert b"--at" in capsysbinary.readouterr().err
    book.write_text("expiry,strike,kind,quantity\n2025-01-24T00:00:00Z,60000,C,2\n")
    assert main([*arguments, "--at", "2024-01-01T00:00:00Z"]) == 2
    assert b"book.csv: line 2, column `expiry`" in capsysbinary.readouterr().err
    write_csv(synthetic_chain(START)[:4], chain)
    assert main([*arguments, "--at", "2024-01-01T00:00:00Z"]) == 3
    assert json.loads(capsysbinary.readouterr().out)["total"] is None


def test_bitcoin_and_its_dvol(
    test_data: Path, record_property: Callable[[str, object], None]
) -> None:
    """Daily closes 2023-04 to 2025-11, each known at the day's end."""
    folder = test_data / "chains"
    with gzip.open(folder / "btc_daily_ohlcv_2010-07-17_2025-11-18.csv.gz", "rt") as file:
        prices = closes(file)
    with (folder / "dvol_btc_daily_ohlc_2023-04-26_2026-01-19.csv").open() as file:
        index = closes(file)
    prices = [sample for sample in prices if sample.at_ns >= index[0].at_ns - 30 * NANOS_PER_DAY]

    report = backtest(prices, index, ScalingSettings(), cost_bps=5.0)

    assert report.scaled is not None
    assert report.constant is not None
    record_property(
        "measured",
        f"target 40: scaled {report.scaled.realized:.1f} (30-day windows off by "
        f"{report.scaled.tracking_error:.1f}, drawdown {report.scaled.max_drawdown:.3f}), constant "
        f"{report.constant.realized:.1f} ({report.constant.tracking_error:.1f}, "
        f"{report.constant.max_drawdown:.3f})",
    )
    assert report.bars > 900
    assert 0.9 <= report.scaled.ratio <= 1.1
    assert report.scaled.tracking_error is not None
    assert report.constant.tracking_error is not None
    assert report.scaled.tracking_error < report.constant.tracking_error


def test_bitcoin_without_an_index(
    test_data: Path, record_property: Callable[[str, object], None]
) -> None:
    """Thirteen years that went from 100 points to 40: daily closes alone."""
    path = test_data / "chains" / "btc_daily_ohlcv_2010-07-17_2025-11-18.csv.gz"
    with gzip.open(path, "rt") as file:
        prices = [sample for sample in closes(file) if sample.at_ns >= parse_instant("2012-01-01")]

    report = backtest(prices, (), ScalingSettings(), cost_bps=5.0)

    assert report.scaled is not None
    assert report.constant is not None
    record_property(
        "measured",
        f"target 40: scaled {report.scaled.realized:.1f} (30-day windows off by "
        f"{report.scaled.tracking_error:.1f}, drawdown {report.scaled.max_drawdown:.3f}), constant "
        f"{report.constant.realized:.1f} ({report.constant.tracking_error:.1f}, "
        f"{report.constant.max_drawdown:.3f})",
    )
    assert 0.9 <= report.scaled.ratio <= 1.1
    assert report.constant.ratio > 1.1
    assert report.scaled.tracking_error is not None
    assert report.constant.tracking_error is not None
    assert report.scaled.tracking_error < 0.75 * report.constant.tracking_error
    assert report.scaled.max_drawdown < report.constant.max_drawdown


def closes(file: Iterable[str]) -> list[Sample]:
    """A daily file's closes, at the end of their days."""
    samples = []
    for row in csv.DictReader(file):
        end = date.fromisoformat(row["date"]) + timedelta(days=1)
        samples.append(Sample(parse_instant(f"{end}T00:00:00Z"), float(row["close"])))
    return samples
