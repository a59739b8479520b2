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


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-20T07:45:00Z", True),
        ("2026-11-20T11:29:59Z", False),
        ("2026-11-20T11:30:00Z", True),
        ("2026-11-20T12:30:00Z", True),
        ("2026-11-20T12:30:01Z", False),
    ],
)
def test_a_venue_that_expires_at_noon_rolls_then(at: str, expected: bool) -> None:
    """Two hours of expiry at once; after an expiry the later ones still tell its time of day."""
    expiries = [parse_instant("2026-12-25T08:00:00Z"), parse_instant("2026-11-27T12:00:00Z")]

    assert markers(parse_instant(at), expiries).roll is expected


def test_roll_at_midnight_has_two_sides() -> None:
    """A test market may expire at any time of day."""
    expiries = [parse_instant("2026-12-25T00:10:00Z")]

    assert markers(parse_instant("2026-11-20T23:45:00Z"), expiries).roll
    assert not markers(parse_instant("2026-11-20T08:00:00Z"), expiries).roll


def test_the_weekend_ends_with_sunday() -> None:
    """To the nanosecond."""
    monday = parse_instant("2026-11-23T00:00:00Z")

    assert markers(monday - 1).weekend
    assert not markers(monday).weekend
    assert not markers(monday + NANOS_PER_MINUTE).weekend
