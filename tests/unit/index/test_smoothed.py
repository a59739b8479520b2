"""One-second values and the interquartile mean of 120 of them."""

import pytest

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.index.seconds import Second, Seconds
from volgauge.index.smoothed import Smoothed

SECOND = NANOS_PER_SECOND
MILLI = NANOS_PER_MILLI


def stepped(seconds: int) -> Smoothed:
    """120 seconds at 50, then some at 60."""
    made = Smoothed()
    for second in range(120 + seconds):
        made.add(second * SECOND, 50.0 if second < 120 else 60.0)
    return made


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 50.0), (30, 50.0), (60, 55.0), (89, 60.0 - 10.0 / 60.0), (90, 60.0), (119, 60.0)],
)
def test_a_step_is_dead_for_thirty_seconds_and_arrives_after_ninety(
    seconds: int, expected: float
) -> None:
    """The middle 60 of 120; METHODOLOGY section 2."""
    made = stepped(seconds)

    assert made.read((119 + seconds) * SECOND) == pytest.approx(expected, rel=1e-13)


def test_before_it_is_full_there_is_none() -> None:
    """119 values are not 120."""
    made = Smoothed()
    for second in range(119):
        made.add(second * SECOND, 50.0)
    assert made.read(119 * SECOND) is None

    made.add(119 * SECOND, 50.0)

    assert made.read(119 * SECOND) == 50.0


def test_it_bears_thirty_missing_seconds_and_no_more() -> None:
    """The oldest of the 120 may be 150 s old."""
    made = stepped(0)

    assert made.read(150 * SECOND) == 50.0
    assert made.read(150 * SECOND + 1) is None


def test_a_second_has_the_last_value_before_its_end() -> None:
    """Read in the first recompute after it."""
    seconds = Seconds(SECOND)
    seconds.note(10 * SECOND + 100 * MILLI, 50.0, 49.0)
    seconds.note(10 * SECOND + 900 * MILLI, 51.0, None)

    assert seconds.elapsed(11 * SECOND) == [Second(11 * SECOND, 51.0, None)]
    assert seconds.elapsed(11 * SECOND + MILLI) == []


def test_a_value_is_not_older_than_a_heartbeat() -> None:
    """A process that stood still has no values of that time."""
    seconds = Seconds(SECOND)
    seconds.note(10 * SECOND + 600 * MILLI, 50.0, 50.0)

    assert [s.end_ns for s in seconds.elapsed(60 * SECOND)] == [11 * SECOND, 12 * SECOND]
    assert seconds.elapsed(61 * SECOND) == []


def test_a_second_that_ended_without_a_valid_value_is_left_out() -> None:
    """Held and repeated values do not count."""
    seconds = Seconds(SECOND)
    seconds.note(10 * SECOND + 100 * MILLI, 50.0, 50.0)
    seconds.note(10 * SECOND + 200 * MILLI, None, None)

    assert seconds.elapsed(11 * SECOND) == []
