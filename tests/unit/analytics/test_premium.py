"""The variance risk premium: three forms in two units, and when it is null."""

from math import inf, nan

import pytest
from msgspec.structs import replace

from volgauge.analytics.premium import PremiumState
from volgauge.domain.analytics import Lack, PremiumReading, RealizedReading
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND

DAY = NANOS_PER_DAY
TODAY = 20_000
NOW = TODAY * DAY + 10 * NANOS_PER_HOUR
NOTHING = RealizedReading(
    close_close=None,
    parkinson=None,
    garman_klass=None,
    rogers_satchell=None,
    yang_zhang=None,
    five_minute=None,
    bipower=None,
    jump_share=None,
    one_second=None,
    ewma=None,
    har=None,
    trailing_30d=None,
    days=0.0,
)
KNOWN = replace(NOTHING, har=44.0, trailing_30d=40.0)
FIELDS = PremiumReading.__struct_fields__


def seeded() -> PremiumState:
    """50 points now; 60 at the close 31 days ago, 10 on every other day."""
    state = PremiumState()
    state.seed([(day * DAY, 60.0 if day == TODAY - 31 else 10.0) for day in range(19_900, TODAY)])
    state.observe(50.0, NOW)
    return state


def test_the_three_forms_in_both_units() -> None:
    """By hand: 0.50^2 - 0.44^2, 0.50^2 - 0.40^2 and 0.60^2 - 0.40^2."""
    reading, lacks = seeded().reading(KNOWN, NOW)

    assert lacks == {}
    assert reading.ex_ante_points == pytest.approx(6.0)
    assert reading.ex_ante_variance == pytest.approx(0.0564)
    assert reading.trailing_points == pytest.approx(10.0)
    assert reading.trailing_variance == pytest.approx(0.09)
    assert reading.ex_post_points == pytest.approx(20.0)
    assert reading.ex_post_variance == pytest.approx(0.20)


def test_live_closes_are_kept_by_day() -> None:
    """The last value of the day counts, whatever came before it and after it."""
    state = PremiumState()
    close_ns = (TODAY - 30) * DAY - NANOS_PER_SECOND
    state.observe(99.0, close_ns - NANOS_PER_HOUR)
    state.observe(60.0, close_ns)
    state.observe(None, close_ns + NANOS_PER_SECOND // 2)
    for day in range(TODAY - 30, TODAY + 1):
        state.observe(50.0, day * DAY)

    found = state.reading(KNOWN, TODAY * DAY)[0].ex_post_points

    assert found == pytest.approx(20.0)


def test_a_halted_index_has_no_premium() -> None:
    """None of the six, with the reason."""
    state = seeded()
    state.observe(None, NOW)

    reading, lacks = state.reading(KNOWN, NOW)

    assert [getattr(reading, name) for name in FIELDS] == [None] * 6
    assert lacks == {f"premium.{name}": Lack.NO_INDEX for name in FIELDS}


@pytest.mark.parametrize("bad", [nan, inf, 0.0, -5.0])
def test_a_number_that_is_no_volatility_is_told_as_such(bad: float) -> None:
    """It replaces the value that was, is counted, and is the reason."""
    state = seeded()
    state.observe(bad, NOW)

    reading, lacks = state.reading(KNOWN, NOW)

    assert reading.ex_ante_points is None
    assert lacks["premium.ex_ante_points"] is Lack.BAD_NUMBER
    assert state.refused == 1
    state.observe(50.0, NOW)
    assert state.reading(KNOWN, NOW)[0].ex_ante_points == pytest.approx(6.0)


def test_an_index_that_fell_silent_has_no_value() -> None:
    """After a minute."""
    state = seeded()

    assert state.reading(KNOWN, NOW + 60 * NANOS_PER_SECOND)[1] == {}
    _, lacks = state.reading(KNOWN, NOW + 61 * NANOS_PER_SECOND)
    assert set(lacks.values()) == {Lack.NO_INDEX}


def test_too_little_history_is_told_for_each_form() -> None:
    """Without HAR no ex ante, without a close of 31 days ago no ex post."""
    state = PremiumState()
    state.observe(50.0, NOW)

    reading, lacks = state.reading(replace(KNOWN, har=None), NOW)

    assert reading.trailing_points == pytest.approx(10.0)
    assert lacks == {
        f"premium.{form}_{unit}": Lack.TOO_LITTLE_HISTORY
        for form in ("ex_ante", "ex_post")
        for unit in ("variance", "points")
    }


def test_before_anything_is_told_there_is_no_index() -> None:
    """A new state."""
    _, lacks = PremiumState().reading(KNOWN, NOW)

    assert set(lacks.values()) == {Lack.NO_INDEX}


def test_unsound_history_is_counted_and_left_out() -> None:
    """The close 31 days ago is NaN."""
    state = PremiumState()
    state.seed([((TODAY - 31) * DAY, nan)])
    state.observe(50.0, NOW)

    assert state.refused == 1
    assert state.reading(KNOWN, NOW)[0].ex_post_points is None
