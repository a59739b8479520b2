"""Durations fall into the right bucket, and the count never runs ahead of the buckets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.telemetry.latency import BUCKETS_NS, LatencyHistogram


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
