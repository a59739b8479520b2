"""Bars: live prices, history, gaps and the ring."""

from math import inf, nan

import numpy as np
import pytest

from volgauge.analytics.bars import Bar, Bars
from volgauge.analytics.grid import Grid
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

MINUTE = NANOS_PER_MINUTE
SECOND = NANOS_PER_SECOND
START = 20_000_000 * MINUTE


def test_a_bar_is_first_highest_lowest_and_last() -> None:
    """Four prices within a minute."""
    bars = Bars(MINUTE, 10)
    for second, price in ((0, 10.0), (20, 12.0), (40, 9.0), (59, 11.0)):
        assert bars.add(price, START + second * SECOND)

    assert bars.closed(START + MINUTE, 1).tolist() == [[10.0, 12.0, 9.0, 11.0]]


def test_a_span_without_prices_has_no_bar() -> None:
    """A gap reads as NaN; nothing is carried into it."""
    bars = Bars(MINUTE, 10)
    bars.add(10.0, START)
    bars.add(11.0, START + 3 * MINUTE)

    closes = bars.closed(START + 4 * MINUTE, 4)[:, 3]

    np.testing.assert_array_equal(closes, [10.0, nan, nan, 11.0])


def test_the_bar_of_the_present_span_is_not_closed() -> None:
    """A bar is read when its span has ended, not before."""
    bars = Bars(MINUTE, 10)
    bars.add(10.0, START)

    assert np.isnan(bars.closed(START + MINUTE - 1, 3)).all()
    assert bars.closed(START + MINUTE, 1)[0, 3] == 10.0


@pytest.mark.parametrize("bad", [nan, inf, 0.0, -1.0])
def test_a_number_that_is_no_price_is_refused_and_counted(bad: float) -> None:
    """It leaves no trace in the bar."""
    bars = Bars(MINUTE, 10)
    bars.add(10.0, START)

    assert not bars.add(bad, START + SECOND)
    assert bars.refused == 1
    assert bars.closed(START + MINUTE, 1).tolist() == [[10.0] * 4]


def test_a_late_price_is_ignored() -> None:
    """A bar before the newest is not changed, and not counted as refused."""
    bars = Bars(MINUTE, 10)
    bars.add(10.0, START)
    bars.add(11.0, START + MINUTE)

    assert not bars.add(99.0, START + SECOND)
    assert bars.refused == 0
    assert bars.closed(START + MINUTE, 1)[0, 1] == 10.0


def test_the_ring_holds_the_newest() -> None:
    """Older bars make room; more than the ring has cannot be asked for."""
    bars = Bars(MINUTE, 3)
    for minute in range(5):
        bars.add(10.0 + minute, START + minute * MINUTE)

    assert bars.closed(START + 5 * MINUTE, 3)[:, 3].tolist() == [12.0, 13.0, 14.0]
    assert np.isnan(bars.closed(START + 3 * MINUTE, 3)[:2]).all()
    with pytest.raises(ValueError, match="at most 3 spans"):
        bars.closed(START, 4)


def test_history_lies_before_the_first_price() -> None:
    """Seeded bars read like live ones."""
    bars = Bars(MINUTE, 10)
    bars.seed([Bar(START, 1.0, 4.0, 0.5, 2.0), Bar(START + MINUTE, 2.0, 3.0, 1.0, 3.0)])
    bars.add(5.0, START + 2 * MINUTE)

    assert bars.closed(START + 3 * MINUTE, 3)[:, 3].tolist() == [2.0, 3.0, 5.0]


@pytest.mark.parametrize("history_first", [True, False])
def test_history_completes_the_first_live_bar(history_first: bool) -> None:
    """A service that starts within a span goes on with the bar that was written before."""
    bars = Bars(MINUTE, 10)
    past = [Bar(START, 1.0, 4.0, 0.5, 2.0)]
    if history_first:
        bars.seed(past)
    bars.add(3.0, START + 30 * SECOND)
    if not history_first:
        bars.seed(past)
    bars.add(3.5, START + 40 * SECOND)

    assert bars.closed(START + MINUTE, 1).tolist() == [[1.0, 4.0, 0.5, 3.5]]


def test_overlapping_history_changes_no_live_bar() -> None:
    """After the first one, what was seen wins; a gap in what was seen may be filled."""
    bars = Bars(MINUTE, 10)
    for minute in (0, 1, 3):
        bars.add(10.0, START + minute * MINUTE)
    bars.seed([Bar(START + minute * MINUTE, 7.0, 7.0, 7.0, 7.0) for minute in range(6)])

    closes = bars.closed(START + 6 * MINUTE, 6)[:, 3]

    np.testing.assert_array_equal(closes, [10.0, 10.0, 7.0, 10.0, nan, nan])


def test_history_of_later_than_the_first_price_is_forgotten() -> None:
    """It would be of another clock."""
    bars = Bars(MINUTE, 10)
    bars.seed([Bar(START + 5 * MINUTE, 7.0, 7.0, 7.0, 7.0)])
    bars.add(10.0, START)

    assert np.isnan(bars.closed(START + 6 * MINUTE, 1)).all()


@pytest.mark.parametrize(
    "bar",
    [
        Bar(START, nan, 2.0, 1.0, 1.5),
        Bar(START, 1.5, nan, 1.0, 1.5),
        Bar(START, 1.5, 2.0, nan, 1.5),
        Bar(START, 1.5, 2.0, 1.0, nan),
        Bar(START, 1.5, inf, 1.0, 1.5),
        Bar(START, 1.5, 2.0, 0.0, 1.5),
        Bar(START, 3.0, 2.0, 1.0, 1.5),
        Bar(START, 1.5, 2.0, 1.0, 0.9),
        Bar(-MINUTE, 1.5, 2.0, 1.0, 1.5),
    ],
    ids=[
        "nan",
        "nan high",
        "nan low",
        "nan close",
        "inf",
        "zero",
        "open above high",
        "close below low",
        "before 1970",
    ],
)
def test_an_unsound_bar_of_history_is_refused_and_counted(bar: Bar) -> None:
    """The others are taken."""
    bars = Bars(MINUTE, 10)
    bars.seed([bar, Bar(START + MINUTE, 1.0, 1.0, 1.0, 1.0)])

    assert bars.refused == 1
    closes = bars.closed(START + 2 * MINUTE, 2)[:, 3]
    np.testing.assert_array_equal(closes, [nan, 1.0])


def test_a_grid_never_overwrites_a_newer_row() -> None:
    """What is older than the ring is told to be lost."""
    grid = Grid(4, 1)
    grid.put(9, 1.0)

    assert grid.put(5, 2.0) is None
    assert grid.has(9)
    assert not grid.has(5)
    np.testing.assert_array_equal(grid.window(6, 4)[:, 0], [nan, nan, nan, 1.0])
