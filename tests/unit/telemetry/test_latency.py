"""Durations fall into the right bucket; lags are what the two clocks say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.book.quotes import QuoteTable
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.telemetry.latency import BUCKETS_NS, LagMeter, LatencyHistogram


@pytest.mark.parametrize(
    ("duration_ns", "first_bucket"),
    [
        pytest.param(0, "2e-05", id="zero"),
        pytest.param(20_000, "2e-05", id="the bound belongs to its bucket"),
        pytest.param(20_001, "5e-05", id="one above the bound"),
        pytest.param(250_000_000, "0.25", id="the last bound"),
        pytest.param(250_000_001, "+Inf", id="beyond the last bound"),
    ],
)
def test_a_duration_counts_from_the_first_bucket_that_holds_it(
    duration_ns: int, first_bucket: str
) -> None:
    """Buckets are inclusive upper bounds, as Prometheus defines `le`."""
    histogram = LatencyHistogram()

    histogram.observe_ns(duration_ns)

    assert first_bucket == next(bound for bound, count in histogram.buckets() if count == 1)


def test_bounds_run_from_twenty_microseconds_to_a_quarter_second() -> None:
    """The range that the service's targets lie in."""
    assert (20_000, 250_000_000) == (BUCKETS_NS[0], BUCKETS_NS[-1])


@given(st.lists(st.integers(min_value=0, max_value=10**10), max_size=50))
def test_buckets_agree_with_a_plain_count(durations: list[int]) -> None:
    """Each cumulative count is the number of durations at or below the bound."""
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.observe_ns(duration)

    expected = [sum(duration <= bound for duration in durations) for bound in BUCKETS_NS]
    assert [*expected, len(durations)] == [count for _, count in histogram.buckets()]
    assert (sum(durations), len(durations)) == (histogram.sum_ns, histogram.count)


START_NS = 1_795_000_000 * NANOS_PER_SECOND


def quote(table: QuoteTable, slot: int, received_ns: int, lag_ms: int | None) -> None:
    """One quote that was stamped `lag_ms` before its receipt; None: without a stamp."""
    exchange_ns = 0 if lag_ms is None else received_ns - lag_ms * NANOS_PER_MILLI
    table.write(slot, 1.0, 2.0, 3.0, 4.0, exchange_ns, received_ns)
    table.settle()


def in_ms(meter: LagMeter) -> tuple[float | None, float | None]:
    """Median and smallest lag."""
    return (
        None if meter.median_ns is None else meter.median_ns / NANOS_PER_MILLI,
        None if meter.least_ns is None else meter.least_ns / NANOS_PER_MILLI,
    )


def test_a_lag_is_receipt_less_stamp() -> None:
    """Median and smallest of the options quoted; a quote without a stamp says nothing."""
    table = QuoteTable()
    meter = LagMeter(table)
    meter.timer(START_NS)
    assert in_ms(meter) == (None, None)
    for slot, lag_ms in enumerate((40, 7, 12, None)):
        quote(table, slot, START_NS + slot, lag_ms)
    meter.timer(START_NS + NANOS_PER_SECOND)

    assert in_ms(meter) == (12.0, 7.0)


def test_the_late_lag_is_what_one_of_a_hundred_quotes_exceeds() -> None:
    """By rank, without interpolation: of 1 to 200 ms, 198 quotes took less than 199 ms."""
    table = QuoteTable()
    meter = LagMeter(table)
    assert meter.late_ns is None
    for slot in range(200):
        quote(table, slot, START_NS + slot, slot + 1)
    meter.timer(START_NS + NANOS_PER_SECOND)

    assert meter.late_ns == 199 * NANOS_PER_MILLI


def test_a_clock_that_is_ahead_makes_the_lag_negative() -> None:
    """Not clamped: that is how the skew is seen."""
    table = QuoteTable()
    meter = LagMeter(table)
    quote(table, 0, START_NS, -250)
    meter.timer(START_NS)

    assert in_ms(meter) == (-250.0, -250.0)


def test_only_quotes_since_the_last_look_count() -> None:
    """Without new ones the median stays; the smallest is of the last minute."""
    table = QuoteTable()
    meter = LagMeter(table)
    quote(table, 0, START_NS, 5)
    meter.timer(START_NS)
    quote(table, 1, START_NS + 1, 90)
    meter.timer(START_NS + NANOS_PER_SECOND)
    assert in_ms(meter) == (90.0, 5.0)
    meter.timer(START_NS + 2 * NANOS_PER_SECOND)
    assert in_ms(meter) == (90.0, 5.0)
    meter.timer(START_NS + 61 * NANOS_PER_SECOND)
    assert in_ms(meter) == (90.0, 90.0)
    meter.timer(START_NS + 62 * NANOS_PER_SECOND)
    assert in_ms(meter) == (90.0, None)


def test_lags_are_looked_at_once_a_second() -> None:
    """However often the time is told."""
    table = QuoteTable()
    meter = LagMeter(table)
    quote(table, 0, START_NS, 5)
    meter.timer(START_NS)
    quote(table, 0, START_NS + 1, 8)
    meter.timer(START_NS + NANOS_PER_SECOND - 1)
    assert in_ms(meter) == (5.0, 5.0)
    meter.timer(START_NS + NANOS_PER_SECOND)
    assert in_ms(meter) == (8.0, 5.0)
