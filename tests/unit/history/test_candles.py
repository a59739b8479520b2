"""Candles from values: extremes, borders, and gaps that stay gaps."""

import pytest

from fakes.records import index_value
from volgauge.domain.history import Candle, observed
from volgauge.domain.index import Status
from volgauge.history.candles import CandleBuilder

SECOND = 1_000_000_000


def test_a_candle_closes_when_its_span_is_over() -> None:
    """Open, high, low and close of one minute, handed out by the first instant of the next."""
    builder = CandleBuilder(60)
    for second, value in ((120, 50.0), (130, 53.0), (140, 49.0), (179, 51.0)):
        assert builder.add(second * SECOND, value) is None

    assert builder.add(180 * SECOND, 60.0) == Candle(120, 50.0, 53.0, 49.0, 51.0)


def test_nothing_is_carried_into_an_empty_span() -> None:
    """Minutes of nulls have no candle; the next value opens its own minute."""
    builder = CandleBuilder(60)
    builder.add(0, 50.0)

    assert builder.add(60 * SECOND, None) == Candle(0, 50.0, 50.0, 50.0, 50.0)
    assert builder.add(120 * SECOND, None) is None
    assert builder.add(180 * SECOND, 55.0) is None
    assert builder.take() == Candle(180, 55.0, 55.0, 55.0, 55.0)


def test_a_series_that_goes_on_after_an_empty_span_has_a_gap() -> None:
    """Whether nulls came meanwhile or nothing at all; two empty minutes are one gap."""
    builder = CandleBuilder(60)
    seen = []
    for second, value in ((0, 50.0), (60, 51.0), (120, None), (180, 52.0), (360, 53.0)):
        builder.add(second * SECOND, value)
        seen.append(builder.gaps)

    assert seen == [0, 0, 0, 1, 2]


def test_nulls_inside_a_span_change_nothing() -> None:
    """A null between two values adds no value."""
    builder = CandleBuilder(60)
    for second, value in ((0, 50.0), (10, None), (20, 51.0)):
        builder.add(second * SECOND, value)

    assert builder.take() == Candle(0, 50.0, 51.0, 50.0, 51.0)


def test_an_earlier_instant_leaves_a_closed_candle_alone() -> None:
    """A clock that steps back does not reopen the past."""
    builder = CandleBuilder(60)
    builder.add(120 * SECOND, 50.0)

    assert builder.add(59 * SECOND, 99.0) is None
    assert builder.take() == Candle(120, 50.0, 50.0, 50.0, 50.0)


def test_taking_twice_gives_nothing() -> None:
    """The unfinished candle is handed out once."""
    builder = CandleBuilder(60)
    builder.add(0, 1.0)

    assert builder.take() is not None
    assert builder.take() is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.OK, 52.25),
        (Status.SINGLE_VENUE, 52.25),
        (Status.DEGRADED, 52.25),
        (Status.GUARD, None),
        (Status.STALE, None),
        (Status.HALTED, None),
        (Status.WARMING, None),
    ],
    ids=lambda case: getattr(case, "value", ""),
)
def test_carried_values_are_no_history(status: Status, expected: float | None) -> None:
    """In GUARD and STALE a record repeats an earlier value: it is not observed again."""
    assert observed(index_value(1, status=status)) == expected
