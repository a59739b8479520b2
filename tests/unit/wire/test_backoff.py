"""Waits between attempts: doubling, capped, jittered, and never less than the venue asked for."""

import pytest

from volgauge.domain.instrument import Venue
from volgauge.errors import RateLimited, VenueUnavailable
from volgauge.wire.backoff import Backoff

VENUE = Venue("deribit")


def waits(backoff: Backoff, count: int) -> list[float]:
    """The next waits after failures of the network."""
    return [backoff.wait_seconds(VenueUnavailable(VENUE, "lost")) for _ in range(count)]


def test_waits_double_up_to_half_a_minute() -> None:
    """With the largest jitter: 0.5 s, 1 s, 2 s, ... 30 s, 30 s."""
    assert waits(Backoff(lambda: 1.0), 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_jitter_takes_away_at_most_half() -> None:
    """With the smallest jitter each wait is half of the step, never zero."""
    assert waits(Backoff(lambda: 0.0), 3) == [0.25, 0.5, 1.0]


def test_two_clients_do_not_come_back_together() -> None:
    """Different random numbers, different waits."""
    assert waits(Backoff(lambda: 0.1), 5) != waits(Backoff(lambda: 0.9), 5)


def test_only_a_reset_starts_over() -> None:
    """A connection that was merely opened does not count; data does."""
    backoff = Backoff(lambda: 1.0)
    assert waits(backoff, 4)[-1] == 4.0
    backoff.reset()

    assert waits(backoff, 1) == [0.5]


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_venue_that_names_a_wait_is_never_asked_earlier(draw: float) -> None:
    """Rate limited: at least what the error says, whatever the jitter."""
    error = RateLimited(VENUE, "slow down")

    assert Backoff(lambda: draw).wait_seconds(error) >= error.wait_seconds
