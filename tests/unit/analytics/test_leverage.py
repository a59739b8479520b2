"""Funding and open interest of perpetuals across venues."""

from math import exp, inf, log, nan

import pytest

from volgauge.analytics.leverage import HALF_LIFE_NS, LeverageState
from volgauge.domain.analytics import Lack
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND

START = 1_800_000_000 * NANOS_PER_SECOND


def told(
    venue: str,
    rate: float,
    interest: float,
    at_ns: int = START,
    currency: str = "USD",
) -> PerpetualState:
    """What a venue says of its perpetual."""
    return PerpetualState(
        venue=Venue(venue),
        received_ns=at_ns,
        asset=Asset("BTC"),
        quote_currency=currency,
        funding_rate=rate,
        open_interest=interest,
        exchange_ns=at_ns,
    )


def test_spread_and_weighted_mean() -> None:
    """Largest less smallest rate; the mean weighs by open interest."""
    state = LeverageState()
    state.observe([told("a", 0.0001, 300.0), told("b", -0.0003, 100.0)], START)

    reading, _ = state.reading(START)

    assert reading.funding_rates == {Venue("a"): 0.0001, Venue("b"): -0.0003}
    assert reading.funding_spread == pytest.approx(0.0004, rel=1e-14)
    assert reading.funding_mean == pytest.approx((0.03 - 0.03) / 400.0, abs=1e-18)
    assert reading.open_interest == 400.0


def test_two_perpetuals_of_one_venue_are_one_rate() -> None:
    """Their open interest weighs them; the open interest of both counts."""
    state = LeverageState()
    state.observe([told("a", 0.001, 300.0), told("a", 0.002, 100.0, currency="USDT")], START)

    reading, missing = state.reading(START)

    assert reading.funding_rates == {Venue("a"): pytest.approx(0.00125, rel=1e-14)}
    assert reading.open_interest == 400.0
    assert reading.funding_spread is None
    assert Lack.TOO_LITTLE_HISTORY is missing["leverage.funding_spread"]


def test_the_newest_state_counts() -> None:
    """An older state that comes later changes nothing."""
    state = LeverageState()
    late = START + NANOS_PER_MINUTE
    state.observe([told("a", 0.001, 10.0, late), told("a", 0.009, 90.0, START)], late)
    state.observe([told("a", 0.007, 70.0, START)], late)

    reading, _ = state.reading(late)

    assert reading.funding_rates == {Venue("a"): 0.001}
    assert reading.open_interest == 10.0


def test_a_state_older_than_ten_minutes_is_ignored() -> None:
    """At ten minutes it still counts, then nothing is known."""
    state = LeverageState()
    state.observe([told("a", 0.001, 10.0)], START)
    at_limit = START + 10 * NANOS_PER_MINUTE

    assert state.reading(at_limit)[0].open_interest == 10.0
    reading, missing = state.reading(at_limit + 1)
    assert reading.funding_rates == {}
    assert reading.open_interest is None
    assert missing == {
        "leverage.funding_spread": Lack.NO_FUNDING,
        "leverage.open_interest": Lack.NO_FUNDING,
        "leverage.funding_mean": Lack.NO_FUNDING,
        "leverage.open_interest_ratio": Lack.NO_FUNDING,
    }


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_no_number_was_not_told(bad: float) -> None:
    """It leaves the venue's other number alone and never comes out."""
    state = LeverageState()
    state.observe([told("a", bad, 10.0), told("b", 0.002, bad)], START)

    reading, missing = state.reading(START)

    assert reading.funding_rates == {Venue("b"): 0.002}
    assert reading.open_interest == 10.0
    assert reading.funding_mean is None
    assert Lack.NO_FUNDING is missing["leverage.funding_mean"]


def test_an_hour_must_pass_before_there_is_a_ratio() -> None:
    """Then constant open interest has the ratio 1."""
    state, now_ns = LeverageState(), START
    for minute in range(61):
        now_ns = START + minute * NANOS_PER_MINUTE
        state.observe([told("a", 0.0, 10.0, now_ns)], now_ns)
        reading, missing = state.reading(now_ns)
        if minute < 60:
            assert reading.open_interest_ratio is None
            assert Lack.TOO_LITTLE_HISTORY is missing["leverage.open_interest_ratio"]

    assert state.reading(now_ns)[0].open_interest_ratio == pytest.approx(1.0, rel=1e-14)


def average_by_definition(values: list[float], every_hours: float) -> float:
    """The integral of x(s) 2^{-(t - s)/H} over that of 2^{-(t - s)/H}, piece by piece."""
    half_life = HALF_LIFE_NS / NANOS_PER_HOUR
    rate = log(2.0) / half_life
    end = len(values) * every_hours
    total = weight = 0.0
    for i, value in enumerate(values):
        begin, stop = i * every_hours, (i + 1) * every_hours
        piece = (exp(-rate * (end - stop)) - exp(-rate * (end - begin))) / rate
        total += value * piece
        weight += piece
    return total / weight


@pytest.mark.parametrize("looks", [1, 7])
def test_the_slow_average_is_over_time(looks: int) -> None:
    """Ratio to an exponentially weighted mean over time, however often it is asked for."""
    state = LeverageState()
    values = [100.0 + 37.0 * ((i * i) % 11) for i in range(2000)]
    step = 9 * NANOS_PER_MINUTE
    news: list[PerpetualState] = []
    for i, value in enumerate(values):
        begin_ns = START + i * step
        news = [told("a", 0.0, value, begin_ns)]
        for look in range(looks):
            state.observe(news, begin_ns + look * step // looks)
    end_ns = START + len(values) * step
    state.observe(news, end_ns)

    ratio = state.reading(end_ns)[0].open_interest_ratio

    expected = values[-1] / average_by_definition(values, 9.0 / 60.0)
    assert ratio == pytest.approx(expected, rel=1e-11)


def test_a_venue_that_joins_does_not_raise_the_ratio() -> None:
    """The ratio compares a perpetual with itself."""
    state, now_ns = LeverageState(), START
    for minute in range(0, 121, 5):
        now_ns = START + minute * NANOS_PER_MINUTE
        news = [told("a", 0.0, 10.0, now_ns)]
        if minute >= 100:
            news.append(told("b", 0.0, 90.0, now_ns))
        state.observe(news, now_ns)

    reading, _ = state.reading(now_ns)

    assert reading.open_interest == 100.0
    assert reading.open_interest_ratio == pytest.approx(1.0, rel=1e-14)


def test_an_outage_is_no_part_of_the_average() -> None:
    """What was last told holds for ten minutes, not over a night."""
    state = LeverageState()
    for minute in range(0, 70, 5):
        state.observe(
            [told("a", 0.0, 10.0, START + minute * NANOS_PER_MINUTE)],
            START + minute * NANOS_PER_MINUTE,
        )
    night_ns = START + 12 * NANOS_PER_HOUR
    state.observe([], night_ns)
    state.observe([told("a", 0.0, 20.0, night_ns)], night_ns)
    end_ns = night_ns + 10 * NANOS_PER_MINUTE
    state.observe([], end_ns)

    ratio = state.reading(end_ns)[0].open_interest_ratio

    # 75 minutes at 10 and 10 minutes at 20; over so short a time the weights hardly differ.
    assert ratio == pytest.approx(20.0 * 85.0 / (75.0 * 10.0 + 10.0 * 20.0), rel=1e-3)
