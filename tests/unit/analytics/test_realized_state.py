"""The realised-volatility state: what it reads, when it reads nothing, and why."""

from math import inf, log, nan, pi, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from volgauge.analytics.bars import Bar
from volgauge.analytics.realized import Jump, RealizedState
from volgauge.domain.analytics import Lack, RealizedReading
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MINUTE, NANOS_PER_SECOND

F64 = NDArray[np.float64]
DAY = NANOS_PER_DAY
MINUTE = NANOS_PER_MINUTE
SECOND = NANOS_PER_SECOND
TODAY = 20_000
NOW = TODAY * DAY
LIVE = ("five_minute", "bipower", "jump_share", "one_second")
DAILY = tuple(
    name for name in RealizedReading.__struct_fields__ if name not in LIVE and name != "days"
)


def minute_closes(seed: int, minutes: int, sigma: float = 0.6) -> F64:
    """Closes of a random walk, by minute."""
    steps = np.random.default_rng(seed).standard_normal(minutes) * sigma / sqrt(365.0 * 1440.0)
    closes: F64 = 100.0 * np.exp(np.cumsum(steps))
    return closes


def minute_bars(closes: F64, end_ns: int) -> list[Bar]:
    """One bar a minute, the last ending then; open, high and low are ends of its move."""
    start_ns = end_ns - len(closes) * MINUTE
    before = np.concatenate((closes[:1], closes[:-1])).tolist()
    return [
        Bar(start_ns + row * MINUTE, first, max(first, last), min(first, last), last)
        for row, (first, last) in enumerate(zip(before, closes.tolist(), strict=True))
    ]


def day_bars(seed: int, days: int, end_day: int = TODAY) -> list[Bar]:
    """Bars of random days, the last before `end_day`."""
    rng = np.random.default_rng(seed)
    price, made = 100.0, []
    for day in range(end_day - days, end_day):
        path = price * np.exp(np.cumsum(0.005 * rng.standard_normal(40)))
        close = float(path[-1])
        high, low = max(price, float(path.max())), min(price, float(path.min()))
        made.append(Bar(day * DAY, price, high, low, close))
        price = close
    return made


def feed(state: RealizedState, closes: F64, end_ns: int) -> None:
    """Tell the close of each minute, one second before its end."""
    start_ns = end_ns - len(closes) * MINUTE
    for row, close in enumerate(closes.tolist()):
        state.price(close, start_ns + (row + 1) * MINUTE - SECOND)


def test_without_data_everything_is_null_and_says_why() -> None:
    """No price: what is live lacks a price, what is of days lacks history."""
    reading, lacks = RealizedState().reading(NOW)

    assert reading.days == 0.0
    for name in RealizedReading.__struct_fields__[:-1]:
        assert getattr(reading, name) is None
    expected = {f"realized.{name}": Lack.NO_INDEX_PRICE for name in LIVE}
    expected |= {f"realized.{name}": Lack.TOO_LITTLE_HISTORY for name in DAILY}
    assert lacks == expected


@pytest.mark.parametrize("bad", [nan, inf, -inf, 0.0, -1.0])
def test_a_number_that_is_no_price_is_told_as_such(bad: float) -> None:
    """It is counted, moves nothing, and is the reason once no good price is fresh."""
    state = RealizedState()
    state.price(bad, NOW)

    reading, lacks = state.reading(NOW)

    assert state.refused == 1
    assert reading.one_second is None
    assert lacks["realized.one_second"] is Lack.BAD_NUMBER
    assert lacks["realized.five_minute"] is Lack.BAD_NUMBER


def test_a_bad_number_among_good_prices_changes_no_reading() -> None:
    """Two states, one of which is also told NaN."""
    closes = minute_closes(1, 1441)
    clean, dirty = RealizedState(), RealizedState()
    feed(clean, closes, NOW)
    feed(dirty, closes, NOW)
    dirty.price(nan, NOW - SECOND)

    assert dirty.reading(NOW) == clean.reading(NOW)
    assert dirty.refused == 1


def test_the_last_day_of_minutes_is_read_as_its_formulas_say() -> None:
    """Against a plain loop over the 1,441 closes."""
    closes = minute_closes(2, 1441)
    logs = [log(close) for close in closes]
    returns = [logs[row] - logs[row - 5] for row in range(5, 1441)]
    variance = sum(move**2 for move in returns) / len(returns) * 365.0 * 288.0
    products = [abs(returns[row]) * abs(returns[row - 5]) for row in range(5, len(returns))]
    continuous = 0.5 * pi * sum(products) / len(products) * 365.0 * 288.0
    state = RealizedState()
    feed(state, closes, NOW)

    reading, _ = state.reading(NOW)

    assert reading.five_minute == pytest.approx(100.0 * sqrt(variance), rel=1e-11)
    assert reading.bipower == pytest.approx(100.0 * sqrt(continuous), rel=1e-11)
    share = max(variance - continuous, 0.0) / variance
    assert reading.jump_share == pytest.approx(share, abs=1e-11)


def test_seeded_minutes_read_as_live_ones() -> None:
    """The same minutes as history and as prices give the same record."""
    closes = minute_closes(3, 2 * 1440)
    live, seeded = RealizedState(), RealizedState()
    feed(live, closes, NOW)
    seeded.seed([], minute_bars(closes[:-10], NOW - 10 * MINUTE))
    feed(seeded, closes[-10:], NOW)

    live_reading, _ = live.reading(NOW)
    seeded_reading, _ = seeded.reading(NOW)

    assert seeded_reading.five_minute == live_reading.five_minute
    assert seeded_reading.bipower == live_reading.bipower
    assert seeded_reading.days == live_reading.days == 2.0


def test_half_a_day_of_prices_is_the_least() -> None:
    """Of the 288 five-minute spans of the last day, 144 must have a price."""
    closes = minute_closes(4, 720)
    state = RealizedState()
    feed(state, closes[5:], NOW)
    reading, lacks = state.reading(NOW)
    assert reading.five_minute is None
    assert lacks["realized.five_minute"] is Lack.TOO_LITTLE_HISTORY

    state = RealizedState()
    feed(state, closes, NOW)
    assert state.reading(NOW)[0].five_minute is not None


def test_a_stretch_without_prices_is_a_gap_and_no_zero_return() -> None:
    """Six hours are missing; the reading is that of the rest, and the jump over it is not seen."""
    closes = minute_closes(5, 1441)
    closes[900:] *= 1.5
    logs = np.log(closes)
    kept = [row for row in range(5, 1441) if not (540 <= row < 905 or 540 <= row - 5 < 900)]
    expected = np.mean([(logs[row] - logs[row - 5]) ** 2 for row in kept]) * 365.0 * 288.0
    state = RealizedState()
    feed(state, closes[:540], NOW - 901 * MINUTE)
    feed(state, closes[900:], NOW)

    found = state.reading(NOW)[0].five_minute

    assert found == pytest.approx(100.0 * sqrt(expected), rel=1e-11)


def test_prices_every_five_minutes_are_enough() -> None:
    """Then there is one grid instead of five."""
    closes = minute_closes(6, 1441)[::5]
    expected = np.mean(np.diff(np.log(closes)) ** 2) * 365.0 * 288.0
    state = RealizedState()
    for row, close in enumerate(closes.tolist()):
        state.price(close, NOW - (len(closes) - row) * 5 * MINUTE + 4 * MINUTE)

    found = state.reading(NOW)[0].five_minute

    assert found == pytest.approx(100.0 * sqrt(expected), rel=1e-11)


def test_readings_of_now_end_with_the_price() -> None:
    """After ten seconds that of seconds, after five minutes those of minutes."""
    closes = minute_closes(7, 1441)
    state = RealizedState()
    feed(state, closes, NOW)
    told_ns = NOW - SECOND

    assert state.reading(told_ns + 5 * MINUTE)[0].five_minute is not None
    reading, lacks = state.reading(told_ns + 5 * MINUTE + 1)

    for name in ("five_minute", "bipower", "jump_share"):
        assert getattr(reading, name) is None
        assert lacks[f"realized.{name}"] is Lack.NO_INDEX_PRICE


def test_a_price_that_stands_still_has_no_share_of_jumps() -> None:
    """Zero over zero; the volatility itself is zero."""
    state = RealizedState()
    feed(state, np.full(1441, 100.0), NOW)

    reading, lacks = state.reading(NOW)

    assert reading.five_minute == 0.0
    assert reading.jump_share is None
    assert lacks["realized.jump_share"] is Lack.NO_VARIATION


def second_closes(seed: int, seconds: int) -> list[float]:
    """Closes of a random walk, by second."""
    steps = np.random.default_rng(seed).standard_normal(seconds) * 0.6 / sqrt(365.0 * 86_400.0)
    made: list[float] = (100.0 * np.exp(np.cumsum(steps))).tolist()
    return made


def test_the_last_hour_of_seconds() -> None:
    """3,600 returns between the last prices of 3,601 seconds; several prices a second."""
    closes = second_closes(8, 4000)
    state = RealizedState()
    for row, close in enumerate(closes):
        at_ns = NOW - (4000 - row) * SECOND
        state.price(close * 1.01, at_ns)
        state.price(close, at_ns + SECOND // 2)
    logs = np.log(closes)[-3601:]
    expected = np.mean(np.diff(logs) ** 2) * 365.0 * 86_400.0

    found = state.reading(NOW)[0].one_second

    assert found == pytest.approx(100.0 * sqrt(expected), rel=1e-10)


def test_a_price_stands_for_ten_seconds_and_not_longer() -> None:
    """Every fifth second: zero returns between. Every 20th: a gap, and too little is left."""
    closes = second_closes(9, 4000)
    fifth, twentieth = RealizedState(), RealizedState()
    for row, close in enumerate(closes):
        at_ns = NOW - (4000 - row) * SECOND
        if row % 5 == 4:
            fifth.price(close, at_ns)
        if row % 30 == 29 or row == 3999:
            twentieth.price(close, at_ns)
    logs = np.log(closes)
    logs = logs[(np.arange(399, 4000) + 1) // 5 * 5 - 1]
    expected = np.mean(np.diff(logs) ** 2) * 365.0 * 86_400.0

    assert fifth.reading(NOW)[0].one_second == pytest.approx(100.0 * sqrt(expected), rel=1e-10)
    reading, lacks = twentieth.reading(NOW)
    assert reading.one_second is None
    assert lacks["realized.one_second"] is Lack.TOO_LITTLE_HISTORY


def test_twenty_of_thirty_days_are_the_least() -> None:
    """19 daily bars say nothing, 20 do; close-close needs 20 pairs of neighbours."""
    bars = day_bars(10, 21)
    few, enough, pairs = RealizedState(), RealizedState(), RealizedState()
    few.seed(bars[-19:], [])
    enough.seed(bars[-20:], [])
    pairs.seed(bars, [])

    assert few.reading(NOW)[0].garman_klass is None
    assert enough.reading(NOW)[0].garman_klass is not None
    assert enough.reading(NOW)[0].close_close is None
    assert pairs.reading(NOW)[0].close_close is not None
    assert pairs.reading(NOW)[0].har is None
    assert pairs.reading(NOW)[0].days == 21.0


def test_a_day_that_is_not_over_is_no_bar() -> None:
    """History tells today's bar as it stands; neither today nor tomorrow is it read."""
    bars = day_bars(11, 40)
    today = Bar(NOW, 1.0, 1000.0, 1.0, 500.0)
    told, clean = RealizedState(), RealizedState()
    told.seed([*bars, today], [])
    clean.seed(bars, [])

    assert told.reading(NOW + MINUTE) == clean.reading(NOW + MINUTE)
    assert told.reading(NOW + DAY) == clean.reading(NOW + DAY)


def test_a_day_of_prices_becomes_a_bar_and_a_variance() -> None:
    """The day's range is that of its prices, its variance that of its 5-minute returns."""
    bars = day_bars(12, 40)
    closes = minute_closes(13, 1440)
    state = RealizedState()
    state.seed(bars, [])
    feed(state, closes, NOW + DAY)
    ranges = [log(bar.high / bar.low) ** 2 for bar in bars[-29:]]
    ranges.append(log(closes.max() / closes.min()) ** 2)
    parkinson = 365.0 * sum(ranges) / 30.0 / (4.0 * log(2.0))
    moves = np.log(closes)
    measured = np.mean((moves[5:] - moves[:-5]) ** 2) * 365.0 * 288.0
    seeded = [
        0.5 * log(bar.high / bar.low) ** 2 - (2.0 * log(2.0) - 1.0) * log(bar.close / bar.open) ** 2
        for bar in bars
    ]
    by_day = [365.0 * value for value in seeded] + [measured]
    weights = [0.94**age for age in range(40, -1, -1)]
    ewma = sum(w * v for w, v in zip(weights, by_day, strict=True)) / sum(weights)

    reading, _ = state.reading(NOW + DAY)

    assert reading.parkinson == pytest.approx(100.0 * sqrt(parkinson), rel=1e-11)
    trailing = sum(by_day[-30:]) / 30.0
    assert reading.trailing_30d == pytest.approx(100.0 * sqrt(trailing), rel=1e-11)
    assert reading.ewma == pytest.approx(100.0 * sqrt(ewma), rel=1e-11)
    assert reading.days == 41.0


def test_a_day_with_a_long_outage_is_no_day() -> None:
    """Four hours without prices: its range would be too small, so the day has no bar."""
    closes = minute_closes(14, 1440)
    state = RealizedState()
    feed(state, closes[:1200], NOW + 1200 * MINUTE)

    assert state.reading(NOW + DAY)[0].days == 0.0


def test_long_history_by_minute_is_kept_by_day() -> None:
    """40 days of minutes: more than the ring of minutes, each day its own variance."""
    closes = minute_closes(15, 40 * 1440)
    logs = np.log(closes)
    by_day = []
    for day in range(10, 40):
        part = logs[day * 1440 - 1 : (day + 1) * 1440]
        by_day.append(np.mean((part[5:] - part[:-5]) ** 2) * 365.0 * 288.0)
    state = RealizedState()
    state.seed([], minute_bars(closes, NOW))

    reading, _ = state.reading(NOW)

    assert reading.trailing_30d == pytest.approx(100.0 * sqrt(np.mean(by_day)), rel=1e-10)
    assert reading.days == 40.0


def test_seeding_again_changes_nothing() -> None:
    """Overlapping history is harmless, also beside live prices."""
    closes = minute_closes(16, 3 * 1440)
    bars, minutes = day_bars(17, 200), minute_bars(closes[:-100], NOW - 100 * MINUTE)
    state = RealizedState()
    state.seed(bars, minutes)
    feed(state, closes[-100:], NOW)
    before = state.reading(NOW)
    state.seed(bars, minutes)

    assert state.reading(NOW) == before


def test_unsound_history_is_counted_and_left_out() -> None:
    """A NaN close and a zero low."""
    bars = day_bars(18, 40)
    worse = [bars[0]._replace(close=nan), bars[1]._replace(low=0.0), *bars[2:]]
    state = RealizedState()
    state.seed(worse, [Bar(NOW - MINUTE, 1.0, nan, 1.0, 1.0)])

    assert state.reading(NOW)[0].days == 38.0
    assert state.refused == 3


def jumped(size: float, at_minute: int) -> RealizedState:
    """A day of minutes with a jump within one of the last."""
    closes = minute_closes(19, 1440)
    closes[at_minute:] *= np.exp(size)
    state = RealizedState()
    feed(state, closes, NOW)
    return state


def test_a_jump_is_told_with_its_five_minutes() -> None:
    """Ten deviations in the last closed five minutes, told until the next are closed."""
    deviation = 0.6 / sqrt(365.0 * 288.0)
    state = jumped(10.0 * deviation, 1438)
    quiet = jumped(0.0, 1438)
    move = log(state._minutes.closed(NOW, 1)[0, 3] / state._minutes.closed(NOW, 6)[0, 3])

    found = state.latest_jump(NOW + 4 * MINUTE)

    assert isinstance(found, Jump)
    assert found.ended_ns == NOW
    assert found.size == pytest.approx(move, rel=1e-12)
    assert state.jump(NOW) == found.size
    assert quiet.latest_jump(NOW) is None
    state.price(100.0, NOW + MINUTE)
    assert state.jump(NOW - MINUTE) is None


def test_a_jump_is_not_told_twice() -> None:
    """When the next five minutes are closed, without another jump, there is none."""
    state = jumped(0.02, 1438)
    last = float(state._minutes.closed(NOW, 1)[0, 3])
    for minute in range(5):
        state.price(last, NOW + minute * MINUTE)

    assert state.jump(NOW + 4 * MINUTE) is not None
    assert state.jump(NOW + 5 * MINUTE) is None


def test_a_move_over_a_gap_is_no_jump() -> None:
    """The price came back 3 % away after ten minutes without one."""
    closes = minute_closes(20, 1440)
    state = RealizedState()
    feed(state, closes, NOW)
    for minute in range(10, 15):
        state.price(float(closes[-1]) * 1.03, NOW + minute * MINUTE)

    assert state.jump(NOW + 15 * MINUTE) is None


def test_before_bipower_is_known_there_is_no_jump() -> None:
    """A state without a day of minutes cannot say what is large."""
    state = RealizedState()
    feed(state, np.array([100.0, 100.0, 100.0, 100.0, 100.0, 150.0]), NOW)

    assert state.jump(NOW) is None


def test_a_late_price_is_ignored() -> None:
    """Time does not go back, not even over midnight after a reading."""
    state = RealizedState()
    state.seed(day_bars(21, 40), [])
    state.price(100.0, NOW + 10 * SECOND)
    before = state.reading(NOW + 11 * SECOND)
    state.price(500.0, NOW + 9 * SECOND)
    state.price(500.0, NOW - SECOND)

    assert state.reading(NOW + 11 * SECOND) == before
