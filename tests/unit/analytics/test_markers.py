"""Weekends and the daily expiry."""

from datetime import UTC, datetime, timedelta

import pytest

from volgauge.analytics.markers import markers
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND, parse_instant


def test_weekends_are_those_of_the_calendar() -> None:
    """Every hour of three weeks against Python's own calendar."""
    start = datetime(2026, 2, 20, tzinfo=UTC)
    for hour in range(21 * 24):
        moment = start + timedelta(hours=hour)
        now_ns = int(moment.timestamp()) * NANOS_PER_SECOND
        assert markers(now_ns).weekend is (moment.isoweekday() >= 6)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T07:29:59Z", False),
        ("2026-11-20T07:30:00Z", True),
        ("2026-11-20T08:00:00Z", True),
        ("2026-11-20T08:30:00Z", True),
        ("2026-11-20T08:30:01Z", False),
        ("2026-11-20T20:00:00Z", False),
    ],
)
def test_the_roll_is_half_an_hour_each_side_of_eight(at: str, expected: bool) -> None:
    """Options expire at 08:00 UTC every day."""
    assert markers(parse_instant(at)).roll is expected


def test_the_weekend_ends_with_sunday() -> None:
    """To the nanosecond."""
    monday = parse_instant("2026-11-23T00:00:00Z")

    assert markers(monday - 1).weekend
    assert not markers(monday).weekend
    assert not markers(monday + NANOS_PER_MINUTE).weekend
