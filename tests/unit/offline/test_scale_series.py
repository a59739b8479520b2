"""Histories from files, the value known at an instant, and EWMA volatility at any spacing."""

from math import log, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, parse_instant
from volgauge.errors import InputError
from volgauge.offline.scale.series import AsOf, EwmaVolatility, Sample, read_series

START = parse_instant("2026-01-01T00:00:00Z")


def test_a_series(tmp_path: Path) -> None:
    """Any column order, ISO or epoch, any spacing."""
    path = tmp_path / "prices.csv"
    path.write_text("close,time\n1.5,2026-01-01T00:00:00Z\n2,1767225660\n3,1767312000000\n")

    assert read_series(path, "close") == (
        Sample(START, 1.5),
        Sample(START + 60_000_000_000, 2.0),
        Sample(START + NANOS_PER_DAY, 3.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,price\n1,2\n", "line 1: column `close` is missing"),
        ("date,close\n1,2\n", "line 1: column `time` is missing"),
        ("time,close\n1767225600,nan\n", "line 2, column `close`"),
        ("time,close\n1767225600,1\n1767225660,\n", "line 3, column `close`"),
        ("time,close\n1767225600,-1\n", "line 2, column `close`"),
        ("time,close\n1767225600,0\n", "line 2, column `close`"),
        ("time,close\n1767225600,inf\n", "line 2, column `close`"),
        ("time,close\n,1\n", "line 2, column `time`"),
        ("time,close\n2026-01-01,1\n", "line 2, column `time`: .*time of day"),
        ("time,close\n1767225660,1\n1767225600,1\n", "line 3, column `time`: .*a time after"),
        ("time,close\n1767225600,1\n1767225600,1\n", "line 3, column `time`: .*a time after"),
        ("time,close\n1767225600,1\n", "line 3: expected at least two lines"),
        ("time,close\n", "line 2: expected at least two lines"),
    ],
)  # fmt: skip
def test_refusals_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    """Line and column, and what was expected there."""
    path = tmp_path / "prices.csv"
    path.write_text(text)

    with pytest.raises(InputError, match=message):
        read_series(path, "close")


def test_the_value_known_at_an_instant() -> None:
    """Never a later one, none before the first, none two spacings after the last."""
    known = AsOf([Sample(START + hour * NANOS_PER_HOUR, 50.0 + hour) for hour in (0, 1, 2, 9)])

    assert known.at(START - 1) is None
    assert known.at(START + NANOS_PER_HOUR - 1) == 50.0
    assert known.at(START + NANOS_PER_HOUR) == 51.0
    assert known.at(START + 4 * NANOS_PER_HOUR) == 52.0
    assert known.at(START + 4 * NANOS_PER_HOUR + 1) is None
    assert AsOf(()).at(START) is None


def test_daily_ewma_is_that_of_pandas() -> None:
    """Squared daily returns, alpha 0.06, adjusted weights."""
    rng = np.random.default_rng(3)
    prices = 100.0 * np.exp(np.cumsum(0.03 * rng.standard_normal(300)))
    squares = pd.Series(np.diff(np.log(prices)) ** 2)
    expected = 100.0 * np.sqrt(365.0 * squares.ewm(alpha=0.06, adjust=True).mean())
    ewma = EwmaVolatility()
    for day, price in enumerate(prices.tolist()):
        ewma.add(Sample(START + day * NANOS_PER_DAY, price))
        if day < 10:
            assert ewma.points is None
        else:
            assert ewma.points == pytest.approx(expected[day - 1], rel=1e-11)


def test_ewma_of_any_spacing_is_the_sum_written_out() -> None:
    """Each squared return counts for its stretch of time, by how long ago that was."""
    rng = np.random.default_rng(4)
    days = np.cumsum(rng.exponential(0.4, 120)).tolist()
    prices = (100.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(120)))).tolist()
    ewma = EwmaVolatility()
    for day, price in zip(days, prices, strict=True):
        ewma.add(Sample(START + round(day * NANOS_PER_DAY), price))

    total = weights = 0.0
    for i in range(1, 120):
        weight = 0.94 ** (days[-1] - days[i]) - 0.94 ** (days[-1] - days[i - 1])
        total += weight * log(prices[i] / prices[i - 1]) ** 2 / (days[i] - days[i - 1]) * 365.0
        weights += weight
    assert ewma.points == pytest.approx(100.0 * sqrt(total / weights), rel=1e-9)
