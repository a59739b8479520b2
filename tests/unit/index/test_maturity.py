"""Constant tenors from listed expiries."""

import pytest

from volgauge.domain.index import Reason
from volgauge.index.maturity import Bracket, find_bracket, vol_points

DAY = 1.0 / 365.0


def test_the_closest_expiries_on_each_side_are_taken() -> None:
    """Near is the last one at or before the tenor, far the first one after it."""
    bracket = find_bracket([7 * DAY, 20 * DAY, 45 * DAY, 90 * DAY], [True] * 4, 30 * DAY)

    assert isinstance(bracket, Bracket)
    assert (1, 2) == (bracket.near, bracket.far)
    assert (0.6, 0.4) == pytest.approx((bracket.near_weight, bracket.far_weight), rel=1e-15)


def test_flat_volatility_stays_flat() -> None:
    """Interpolating total variance of one volatility gives that volatility at every tenor."""
    times = [5 * DAY, 33 * DAY, 61 * DAY]
    for tenor in (7 * DAY, 30 * DAY, 60 * DAY):
        bracket = find_bracket(times, [True] * 3, tenor)
        assert isinstance(bracket, Bracket)
        variance = bracket.blend(0.36 * times[bracket.near], 0.36 * times[bracket.far])

        assert vol_points(variance, tenor) == pytest.approx(60.0, rel=1e-14)


def test_an_expiry_exactly_at_the_tenor_is_the_near_one() -> None:
    """T <= tenor is near; its weight is one."""
    bracket = find_bracket([30 * DAY, 60 * DAY], [True, True], 30 * DAY)

    assert Bracket(0, 1, 1.0, 0.0) == bracket


@pytest.mark.parametrize(
    ("days", "usable", "one_sided"),
    [
        ([20.01], [True], True),
        ([44.99], [True], True),
        ([19.9], [True], False),
        ([45.1], [True], False),
        ([20.01, 44.99], [False, True], True),
        ([-1.0, 44.99], [True, True], True),
        ([], [], False),
        ([30.0], [False], False),
        ([0.0], [True], False),
    ],
)
def test_one_expiry_stands_for_both_only_when_it_is_near(
    days: list[float], usable: list[bool], *, one_sided: bool
) -> None:
    """2/3 <= t / tenor <= 3/2, and never an expired or a refused one."""
    bracket = find_bracket([d * DAY for d in days], usable, 30 * DAY)

    if not one_sided:
        assert Reason.NO_BRACKET is bracket
        return
    assert isinstance(bracket, Bracket)
    assert bracket.is_one_sided
    t = days[bracket.near] * DAY
    assert vol_points(bracket.blend(0.25 * t, 0.25 * t), 30 * DAY) == pytest.approx(50.0)


@pytest.mark.parametrize("total_variance", [-1e-9, float("nan"), float("inf")])
def test_a_variance_that_is_none_gives_no_volatility(total_variance: float) -> None:
    """Negative, NaN and infinite variances are not hidden behind a number."""
    assert vol_points(total_variance, 30 * DAY) is None
