"""How long to wait before the next attempt."""

import pytest

from volgauge.errors import RateLimited, VenueUnavailable
from volgauge.wire.backoff import Backoff

LOST = VenueUnavailable("v", "lost")


def test_waits_double_up_to_the_cap() -> None:
    """0.5 s, then twice as long each time, 30 s at most, for ever."""
    backoff = Backoff(lambda: 1.0)

    waits = [backoff.wait_seconds(LOST) for _ in range(9)]

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_half_of_a_wait_is_random() -> None:
    """Five venues that fail together come back at different times, none at once."""
    assert Backoff(lambda: 0.0).wait_seconds(LOST) == 0.25
    assert Backoff(lambda: 0.5).wait_seconds(LOST) == 0.375


def test_data_begin_anew() -> None:
    """Only the caller knows what data are; a connection is none."""
    backoff = Backoff(lambda: 1.0)
    for _ in range(5):
        backoff.wait_seconds(LOST)
    backoff.reset()

    assert backoff.wait_seconds(LOST) == 0.5


@pytest.mark.parametrize("jitter", [0.0, 0.999])
def test_limited_clients_wait_at_least_as_long_as_they_are_told(jitter: float) -> None:
    """The venue's own number is the least."""
    backoff = Backoff(lambda: jitter)

    assert backoff.wait_seconds(RateLimited("v", "slow down", 60.0)) >= 60.0
