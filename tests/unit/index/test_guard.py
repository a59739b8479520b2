"""Jumps that nothing carries wait, and nothing else does."""

from math import nan

import numpy as np
import pytest

from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.index.guard import Anchor, JumpGuard, Mark, moved_strikes
from volgauge.kernels._jit import F64

NOW_NS = 1_797_580_800 * NANOS_PER_SECOND
MARK = Mark(NOW_NS, {Venue("somewhere"): np.zeros((1, 2))})
MILLI = NANOS_PER_MILLI


def nobody(_: Anchor) -> bool:
    """Nothing carries the change."""
    return False


def everybody(_: Anchor) -> bool:
    """Enough carries it."""
    return True


@pytest.fixture
def guard() -> JumpGuard:
    """In force: 50 points, u 0.1."""
    made = JumpGuard()
    made.accept(50.0, 0.1, {}, MARK, NOW_NS)
    return made


@pytest.mark.parametrize(("value", "held"), [(50.99, False), (51.01, True), (48.99, True)])
def test_two_percent_is_a_jump(guard: JumpGuard, value: float, *, held: bool) -> None:
    """With a u of 0.1, 4u is less."""
    assert guard.holds(value, NOW_NS + MILLI, nobody) is held


def test_four_u_is_a_jump_when_that_is_more() -> None:
    """2 points at a u of 0.5."""
    guard = JumpGuard()
    guard.accept(50.0, 0.5, {}, MARK, NOW_NS)

    assert not guard.holds(51.9, NOW_NS + MILLI, nobody)
    assert guard.holds(52.1, NOW_NS + MILLI, nobody)


def test_a_carried_jump_passes(guard: JumpGuard) -> None:
    """The market moves as it likes."""
    assert not guard.holds(70.0, NOW_NS + MILLI, everybody)
    assert guard.held_ns is None


def test_a_hold_ends_within_a_second_and_then_the_new_level_is_no_jump(guard: JumpGuard) -> None:
    """From the hold's own beginning, at the timer's steps of 100 ms."""
    first_ns = NOW_NS + MILLI
    held = [guard.holds(60.0, first_ns + step * 100 * MILLI, nobody) for step in range(11)]
    guard.accept(60.0, 0.1, {}, MARK, first_ns + 900 * MILLI)

    assert held[:9] == [True] * 9
    assert held[9] is False
    assert not guard.holds(60.1, first_ns + 901 * MILLI, nobody)
    assert guard.holds(50.0, first_ns + 902 * MILLI, nobody)


def test_a_jump_that_comes_back_ends_the_hold(guard: JumpGuard) -> None:
    """The next one has its own second."""
    assert guard.holds(60.0, NOW_NS + MILLI, nobody)
    assert not guard.holds(50.0, NOW_NS + 500 * MILLI, nobody)
    assert guard.holds(60.0, NOW_NS + 990 * MILLI, nobody)
    assert guard.holds(60.0, NOW_NS + 1800 * MILLI, nobody)


def test_small_steps_within_the_window_add_up(guard: JumpGuard) -> None:
    """+1.5 % twice in 100 ms is +3 % within 250 ms."""
    assert not guard.holds(50.75, NOW_NS + 50 * MILLI, nobody)
    guard.accept(50.75, 0.1, {}, MARK, NOW_NS + 50 * MILLI)

    assert guard.holds(51.5, NOW_NS + 100 * MILLI, nobody)


def test_small_steps_over_a_longer_time_do_not(guard: JumpGuard) -> None:
    """+1.5 % every 300 ms is no jump."""
    value = 50.0
    for step in range(1, 10):
        now_ns = NOW_NS + step * 300 * MILLI
        value *= 1.015
        assert not guard.holds(value, now_ns, nobody)
        guard.accept(value, 0.1, {}, MARK, now_ns)


def test_after_a_silence_the_last_value_still_counts(guard: JumpGuard) -> None:
    """It was in force when the window began."""
    assert guard.holds(60.0, NOW_NS + 3 * NANOS_PER_SECOND, nobody)


def test_what_is_forgotten_guards_nothing(guard: JumpGuard) -> None:
    """After STALE and HALTED whatever comes is taken."""
    guard.forget()

    assert not guard.holds(90.0, NOW_NS + MILLI, nobody)


def test_it_remembers_few_values_however_many_come(guard: JumpGuard) -> None:
    """A thousand values a second on four marks a second."""
    mark = MARK
    for step in range(5_000):
        now_ns = NOW_NS + step * MILLI
        if step % 125 == 0:
            mark = Mark(now_ns, {})
        guard.holds(50.0, now_ns, nobody)
        guard.accept(50.0, 0.1, {}, mark, now_ns)

    assert len(guard._anchors) <= 8


SLOTS = np.array([[0, 1], [2, 3], [4, -1]])
QUOTES: F64 = np.array([[1.0, 1.2], [2.0, 2.2], [3.0, 3.2], [nan, 4.0], [5.0, 5.2]])


@pytest.mark.parametrize(
    ("slot", "bid", "ask", "count"),
    [
        (0, 1.0, 1.2, 0),
        (0, 1.05, 1.25, 0),
        (0, 1.11, 1.31, 1),
        (1, 1.89, 2.09, 1),
        (0, nan, 1.2, 1),
        (3, 3.9, 4.0, 1),
        (3, nan, 9.0, 0),
        (4, 5.5, 5.7, 1),
    ],
)
def test_a_strike_moves_by_its_half_spread_or_when_a_side_comes_or_goes(
    slot: int, bid: float, ask: float, count: int
) -> None:
    """A refreshed quote that says the same carries nothing."""
    now = QUOTES.copy()
    now[slot] = bid, ask

    assert moved_strikes(QUOTES, now, SLOTS) == count


def test_both_legs_are_one_strike_and_a_slot_of_later_is_none() -> None:
    """The table may have grown since the mark."""
    now = np.vstack([QUOTES + 1.0, np.ones((3, 2))])

    assert moved_strikes(QUOTES, now, np.array([[0, 1], [6, 7]])) == 1
