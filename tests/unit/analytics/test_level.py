"""Vol of vol, rank and percentile of the index."""

from math import inf, log, nan, sqrt

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import percentileofscore

from volgauge.analytics.level import ChangeVariance, LevelState
from volgauge.domain.analytics import Lack
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MINUTE, NANOS_PER_SECOND

F64 = NDArray[np.float64]
DAY = NANOS_PER_DAY
SECOND = NANOS_PER_SECOND
TODAY = 20_000
NOW = TODAY * DAY
NAMES = ("level.vol_of_vol", "level.rank", "level.percentile")


def closes(seed: int, days: int) -> list[tuple[int, float]]:
    """Daily closes, the last of yesterday."""
    rng = np.random.default_rng(seed)
    values = np.round(50.0 * np.exp(np.cumsum(0.05 * rng.standard_normal(days))), 2)
    return [((TODAY - days + row) * DAY, value) for row, value in enumerate(values.tolist())]


def walk(seed: int, seconds: int, vol_of_vol: float = 0.9, noise: float = 0.0) -> F64:
    """The index second by second."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal(seconds) * vol_of_vol / sqrt(365.0 * 86_400.0)
    made: F64 = 50.0 * np.exp(np.cumsum(steps) + noise * rng.standard_normal(seconds))
    return made


def feed(state: LevelState, values: F64, end_ns: int = NOW) -> None:
    """Tell one value a second."""
    for row, value in enumerate(values.tolist()):
        state.observe(value, end_ns - (len(values) - row) * SECOND)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("days", [30, 200, 365])
def test_rank_and_percentile_are_their_definitions(seed: int, days: int) -> None:
    """Percentile by scipy (strict), rank by hand."""
    past = closes(seed, days)
    values = [close for _, close in past]
    state = LevelState()
    state.seed(past)
    state.observe(values[5], NOW)
    low, high = min(values), max(values)

    reading, _ = state.reading(NOW)

    assert reading.percentile == pytest.approx(percentileofscore(values, values[5], kind="strict"))
    assert reading.rank == pytest.approx(100.0 * (values[5] - low) / (high - low))
    assert reading.days == days


@pytest.mark.parametrize(("value", "expected"), [(1.0, 0.0), (1000.0, 100.0)])
def test_a_record_is_at_the_end_of_the_scale(value: float, expected: float) -> None:
    """The range includes the value itself."""
    state = LevelState()
    state.seed(closes(3, 100))
    state.observe(value, NOW)

    reading, _ = state.reading(NOW)

    assert reading.rank == expected
    assert reading.percentile == expected


def test_only_the_last_365_days_count() -> None:
    """A close of a year and a day ago is forgotten, and today's is no past."""
    state = LevelState()
    state.seed([((TODAY - 366) * DAY, 1.0), *closes(4, 365), (NOW, 1.0)])
    state.observe(2.0, NOW)

    reading, _ = state.reading(NOW)

    assert reading.percentile == 0.0
    assert reading.rank == 0.0
    assert reading.days == 365.0


def test_a_day_that_ends_live_becomes_a_close() -> None:
    """The last value of the day, when the next has begun."""
    state = LevelState()
    state.seed(closes(5, 30))
    state.observe(500.0, NOW)
    state.observe(900.0, NOW + DAY - SECOND)
    assert state.reading(NOW + DAY - SECOND)[0].days == 30.0

    state.observe(800.0, NOW + DAY)
    reading, _ = state.reading(NOW + DAY)

    assert reading.days == 31.0
    assert reading.percentile == pytest.approx(100.0 * 30.0 / 31.0)


def test_a_silent_midnight_closes_the_day_all_the_same() -> None:
    """The reading of the next day counts the day before."""
    state = LevelState()
    state.seed(closes(5, 30))
    state.observe(900.0, NOW + DAY - SECOND)

    assert state.reading(NOW + DAY)[0].days == 31.0


def test_fewer_than_thirty_days_give_no_rank() -> None:
    """The reason is told, and how many days there are."""
    state = LevelState()
    state.seed(closes(6, 29))
    state.observe(50.0, NOW)

    reading, lacks = state.reading(NOW)

    assert (reading.rank, reading.percentile, reading.days) == (None, None, 29.0)
    assert lacks == dict.fromkeys(NAMES, Lack.TOO_LITTLE_HISTORY)
    assert state.percentile_of(50.0) is None


def test_a_past_that_never_moved_has_no_rank() -> None:
    """Zero over zero; the percentile has a meaning."""
    state = LevelState()
    state.seed([(at_ns, 50.0) for at_ns, _ in closes(7, 40)])
    state.observe(50.0, NOW)

    reading, lacks = state.reading(NOW)

    assert reading.rank is None
    assert lacks["level.rank"] is Lack.NO_VARIATION
    assert reading.percentile == 0.0


def test_percentile_of_any_value() -> None:
    """What the regimes ask for, before and after the first reading."""
    past = closes(8, 100)
    values = [close for _, close in past]
    expected = percentileofscore(values, 52.0, kind="strict")
    state = LevelState()
    state.seed(past)
    state.observe(50.0, NOW)

    assert state.percentile_of(52.0) == pytest.approx(expected)
    state.reading(NOW)
    assert state.percentile_of(52.0) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "lack"),
    [(None, Lack.NO_INDEX), (nan, Lack.BAD_NUMBER), (inf, Lack.BAD_NUMBER), (0.0, Lack.BAD_NUMBER)],
)
def test_without_a_value_there_is_no_reading(value: float | None, lack: Lack) -> None:
    """All three are null with the reason; the history is still told."""
    state = LevelState()
    state.seed(closes(9, 100))
    state.observe(50.0, NOW)
    state.observe(value, NOW)

    reading, lacks = state.reading(NOW)

    assert (reading.vol_of_vol, reading.rank, reading.percentile) == (None, None, None)
    assert reading.days == 100.0
    assert lacks == dict.fromkeys(NAMES, lack)
    assert state.refused == (lack is Lack.BAD_NUMBER)


def test_an_index_that_fell_silent_has_no_value() -> None:
    """After a minute."""
    state = LevelState()
    state.seed(closes(10, 100))
    state.observe(50.0, NOW)

    assert state.reading(NOW + 60 * SECOND)[0].rank is not None
    assert set(state.reading(NOW + 61 * SECOND)[1].values()) == {Lack.NO_INDEX}
    assert set(LevelState().reading(NOW)[1].values()) == {Lack.NO_INDEX}


def ewm(values: F64, step: int, half_life: float) -> float:
    """Pandas: EWMA of squared changes of the logarithm; NaN is a gap."""
    squares = pd.Series(np.log(values)).diff(step) ** 2
    return float(squares.ewm(halflife=half_life, adjust=True, ignore_na=False).mean().iloc[-1])


def ewm_vol_of_vol(values: F64) -> float:
    """Of 300 s less of 60 s, with a half-life of one day, over 240 s; by second."""
    rate = (ewm(values, 300, 86_400.0) - ewm(values, 60, 86_400.0)) / 240.0
    return 100.0 * sqrt(rate * 365.0 * 86_400.0)


def four_errors(seconds: float, noise: float = 0.0) -> float:
    """Four relative standard errors of vol of vol 0.9, as if changes did not overlap.

    n squares of Gaussian changes have the relative variance 2 / n; both scales may err together.
    """
    rate = 0.9**2 / (365.0 * 86_400.0)
    total = sum(
        (rate * step + 2.0 * noise**2) * sqrt(2.0 * step / seconds) for step in (60.0, 300.0)
    )
    return 4.0 * 0.5 * total / (240.0 * rate)


EFFECTIVE = 2.0 / log(2.0) * np.tanh(0.5 * log(2.0)) * 86_400.0
"""1 / sum p^2 of a day of seconds that weigh by a half-life of one day."""


@pytest.mark.parametrize("seed", [1, 2])
def test_vol_of_vol_is_the_ewma_of_pandas(seed: int) -> None:
    """Four hours of seconds. The last second is not over, hence not a sample."""
    values = walk(seed, 14_400)
    state = LevelState()
    feed(state, values)

    found = state.reading(NOW - SECOND)[0].vol_of_vol

    assert found == pytest.approx(ewm_vol_of_vol(values[:-1]), rel=1e-9)


def test_a_halt_is_a_gap_and_not_a_change() -> None:
    """Ten minutes without a value, then 20 % higher."""
    values = walk(3, 16_000)
    values[6000:] *= 1.2
    gapped = values.copy()
    gapped[5400:6000] = nan
    state = LevelState()
    for row, value in enumerate(gapped.tolist()):
        state.observe(None if np.isnan(value) else value, NOW - (16_000 - row) * SECOND)

    found = state.reading(NOW - SECOND)[0].vol_of_vol

    assert found == pytest.approx(ewm_vol_of_vol(gapped[:-1]), rel=1e-9)


def test_silence_of_more_than_ten_seconds_is_a_gap() -> None:
    """A value stands for ten seconds after its own, as the pandas series says."""
    values = walk(4, 16_000)
    told = np.ones(16_000, dtype=bool)
    told[5000:5100] = False
    told[7000:7005] = False
    heard = values.copy()
    heard[5000:5010] = values[4999]
    heard[5010:5100] = nan
    heard[7000:7005] = values[6999]
    state = LevelState()
    for row in np.flatnonzero(told):
        state.observe(float(values[row]), NOW - (16_000 - int(row)) * SECOND)

    found = state.reading(NOW - SECOND)[0].vol_of_vol

    assert found == pytest.approx(ewm_vol_of_vol(heard[:-1]), rel=1e-9)


def test_the_rate_of_records_does_not_matter() -> None:
    """Ten records a second, the last of each second as the sample."""
    values = walk(5, 12_500)
    slow, fast = LevelState(), LevelState()
    feed(slow, values)
    for row, value in enumerate(values.tolist()):
        at_ns = NOW - (12_500 - row) * SECOND
        for tenth in range(9):
            fast.observe(value * (1.0 + 0.01 * tenth), at_ns + tenth * SECOND // 10)
        fast.observe(value, at_ns + 9 * SECOND // 10)

    found = fast.reading(NOW)[0].vol_of_vol

    assert found == slow.reading(NOW)[0].vol_of_vol


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("noise", [0.0, 1e-3], ids=["clean", "noisy"])
def test_constant_vol_of_vol_is_found_through_noise(seed: int, noise: float) -> None:
    """One day of 90 points. The noise of 0.1 % is that of the simulated market's index.

    Without the difference of two scales it would read 137: 2 e^2 year / 60 s are added to 0.9^2.
    """
    state = LevelState()
    feed(state, walk(seed, 86_400, noise=noise))

    found = state.reading(NOW)[0].vol_of_vol

    assert found is not None
    assert found / 90.0 == pytest.approx(1.0, abs=four_errors(EFFECTIVE, noise))


def test_an_index_that_is_noise_alone_has_no_vol_of_vol() -> None:
    """It swings by the minute and is back after five."""
    minutes = 50.0 + 0.1 * np.sin(2.0 * np.pi * np.arange(20_000) / 300.0)
    state = LevelState()
    feed(state, minutes)

    reading, lacks = state.reading(NOW)

    assert reading.vol_of_vol is None
    assert lacks["level.vol_of_vol"] is Lack.NO_VARIATION


def test_an_index_that_stands_still_has_none_of_it() -> None:
    """Zero, for that is known."""
    state = LevelState()
    feed(state, np.full(12_000, 50.0))

    assert state.reading(NOW)[0].vol_of_vol == 0.0


def test_three_hours_of_changes_are_the_least() -> None:
    """10,800 changes by their weight, the first after 300 s."""
    values = walk(7, 11_300)
    state = LevelState()
    feed(state, values[:11_050])
    assert state.reading(NOW)[1]["level.vol_of_vol"] is Lack.TOO_LITTLE_HISTORY

    # Weights fade by half in a day: three hours of them are four percent short of their number.
    state = LevelState()
    feed(state, walk(7, 11_900))
    assert state.reading(NOW)[0].vol_of_vol is not None


def test_minutes_of_history_count_for_vol_of_vol() -> None:
    """A day of minute closes reads as the EWMA of pandas over minutes."""
    values = walk(8, 86_400)[59::60]
    state = LevelState()
    state.seed([], [(NOW - (1440 - row) * NANOS_PER_MINUTE, v) for row, v in enumerate(values)])
    state.observe(float(values[-1]), NOW)
    rate = (ewm(values, 5, 1440.0) - ewm(values, 1, 1440.0)) / 4.0

    found = state.reading(NOW)[0].vol_of_vol

    assert found == pytest.approx(100.0 * sqrt(rate * 365.0 * 1440.0), rel=1e-9)


def test_minutes_told_twice_or_late_count_once() -> None:
    """Seeding again, or after the first value, changes nothing."""
    values = walk(9, 86_400)[59::60]
    minutes = [(NOW - (1440 - row) * NANOS_PER_MINUTE, float(v)) for row, v in enumerate(values)]
    state = LevelState()
    state.seed([], minutes)
    state.observe(50.0, NOW)
    before = state.reading(NOW)
    state.seed([], minutes)

    assert state.reading(NOW) == before
    late = LevelState()
    late.observe(50.0, NOW)
    late.seed([], minutes)
    assert late.reading(NOW)[0].vol_of_vol is None


def test_unsound_history_is_counted_and_left_out() -> None:
    """By day and by minute."""
    state = LevelState()
    state.seed([(NOW - DAY, nan), (NOW - 2 * DAY, 0.0)], [(NOW - DAY, inf)])
    state.observe(50.0, NOW)

    assert state.refused == 3
    assert state.reading(NOW)[0].days == 0.0


def test_a_sample_that_is_not_newer_is_ignored() -> None:
    """The index of samples only rises."""
    changes = ChangeVariance(2, 10.0)
    for index, sample in ((0, 1.0), (1, 2.0), (2, 4.0), (2, 9.0), (1, 9.0)):
        changes.add(index, sample)

    assert changes.variance == 9.0
    assert changes.weight == 1.0
