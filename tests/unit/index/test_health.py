"""Healthy time in ten seconds."""

import pytest

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.health import FeedHealth

SECOND = NANOS_PER_SECOND
NOW_NS = 1_797_580_800 * SECOND


def share(feed: FeedHealth, second: float, *, healthy: bool = True) -> float:
    """At a second."""
    return feed.observe(NOW_NS + round(second * SECOND), healthy=healthy)


def test_a_sound_feed_is_whole_from_the_first_look() -> None:
    """Nothing was lost."""
    feed = FeedHealth()

    assert [share(feed, second) for second in range(30)] == [1.0] * 30


def test_two_lost_seconds_are_a_fifth_for_ten() -> None:
    """Bad from 20 to 22: 0.8 while all of it is inside, then it leaves."""
    feed = FeedHealth()
    found = 0.0
    for tenth in range(401):
        found = share(feed, tenth / 10, healthy=not 200 < tenth < 220)
        if 220 <= tenth <= 300:
            assert found == pytest.approx(0.8, abs=1e-9)
        if tenth == 310:
            assert found == pytest.approx(0.9, abs=1e-9)

    assert found == 1.0


def test_before_ten_seconds_have_passed_the_share_is_of_what_was_seen() -> None:
    """One bad second of four."""
    feed = FeedHealth()
    found = 0.0
    for second, healthy in ((0, True), (1, True), (2, False), (3, True), (4, True)):
        found = share(feed, second, healthy=healthy)

    assert found == pytest.approx(0.5)


def test_a_feed_that_is_down_at_the_first_look_is_worth_nothing() -> None:
    """No time has passed yet."""
    assert share(FeedHealth(), 0, healthy=False) == 0.0
