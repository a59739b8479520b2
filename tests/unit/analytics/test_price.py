"""The composite price of the underlying."""

from math import inf, nan

import pytest

from volgauge.analytics.price import composite_price
from volgauge.domain.units import NANOS_PER_SECOND

NOW = 1_790_000_000 * NANOS_PER_SECOND
TEN = 10 * NANOS_PER_SECOND


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([(100.0, NOW)], 100.0),
        ([(100.0, NOW), (101.0, NOW - TEN)], 100.5),
        ([(100.0, NOW), (5000.0, NOW), (101.0, NOW)], 101.0),
        ([(1.0, NOW), (100.0, NOW), (102.0, NOW), (900.0, NOW)], 101.0),
    ],
    ids=["one", "two", "an outlier of three", "two outliers of four"],
)
def test_it_is_the_median(prices: list[tuple[float, int]], expected: float) -> None:
    """One venue that is wrong among three moves it no further than the next one."""
    assert composite_price(prices, NOW) == expected


@pytest.mark.parametrize("bad", [nan, inf, -inf, 0.0, -3.0])
def test_a_number_that_is_no_price_is_left_out(bad: float) -> None:
    """NaN, infinities, zero and negative numbers."""
    assert composite_price([(bad, NOW), (100.0, NOW)], NOW) == 100.0
    assert composite_price([(bad, NOW)], NOW) is None


def test_a_price_older_than_ten_seconds_is_left_out() -> None:
    """Ten seconds are fresh, one nanosecond more is not."""
    assert composite_price([(100.0, NOW - TEN)], NOW) == 100.0
    assert composite_price([(100.0, NOW - TEN - 1)], NOW) is None


def test_no_venue_is_no_price() -> None:
    """Nothing in, None out."""
    assert composite_price([], NOW) is None
