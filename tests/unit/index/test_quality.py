"""The status ladder."""

import pytest

from volgauge.domain.index import Flag, Reason, Status
from volgauge.index.quality import DEGRADING, Limits, Shown, judge

LIMITS = Limits(stale_ns=5, halt_ns=60)


@pytest.mark.parametrize(
    ("venue_count", "status"), [(1, Status.SINGLE_VENUE), (2, Status.OK), (3, Status.OK)]
)
def test_a_clean_value_is_ok_or_single_venue(venue_count: int, status: Status) -> None:
    """One venue alone is said so."""
    verdict = judge(
        computed=True,
        reason=None,
        flags=frozenset({Flag.MARKS_USED}),
        venue_count=venue_count,
        warming=False,
        valid_age_ns=0,
        limits=LIMITS,
    )

    assert (status, Shown.NEW) == (verdict.status, verdict.shown)


@pytest.mark.parametrize("flag", sorted(DEGRADING, key=str))
def test_a_doubt_degrades(flag: Flag) -> None:
    """Each degrading flag alone is enough."""
    verdict = judge(
        computed=True,
        reason=None,
        flags=frozenset({flag}),
        venue_count=3,
        warming=False,
        valid_age_ns=0,
        limits=LIMITS,
    )

    assert (Status.DEGRADED, Shown.NEW) == (verdict.status, verdict.shown)


@pytest.mark.parametrize(
    ("age", "reason", "status", "shown"),
    [
        (0, Reason.FEED_DOWN, Status.DEGRADED, Shown.ACCEPTED),
        (4, Reason.FEED_DOWN, Status.DEGRADED, Shown.ACCEPTED),
        (5, Reason.FEED_DOWN, Status.STALE, Shown.ACCEPTED),
        (59, Reason.FEED_DOWN, Status.STALE, Shown.ACCEPTED),
        (60, Reason.FEED_DOWN, Status.HALTED, Shown.NOTHING),
        (0, Reason.NO_BRACKET, Status.HALTED, Shown.NOTHING),
        (None, Reason.NO_QUOTES, Status.HALTED, Shown.NOTHING),
    ],
)
def test_a_missing_value_walks_down_the_ladder(
    age: int | None, reason: Reason, status: Status, shown: Shown
) -> None:
    """5 s, then 60 s; without a bracket or a first value at once."""
    verdict = judge(
        computed=False,
        reason=reason,
        flags=frozenset(),
        venue_count=0,
        warming=False,
        valid_age_ns=age,
        limits=LIMITS,
    )

    assert (status, shown) == (verdict.status, verdict.shown)


def test_warming_shows_nothing() -> None:
    """Half a snapshot gives a number, but not one to publish."""
    verdict = judge(
        computed=True,
        reason=None,
        flags=frozenset(),
        venue_count=1,
        warming=True,
        valid_age_ns=None,
        limits=LIMITS,
    )

    assert (Status.WARMING, Shown.NOTHING) == (verdict.status, verdict.shown)


def test_a_held_jump_shows_the_accepted_value() -> None:
    """GUARD, whatever the flags say."""
    verdict = judge(
        computed=True,
        reason=None,
        flags=frozenset({Flag.WIDE}),
        venue_count=1,
        warming=False,
        is_guarded=True,
        valid_age_ns=0,
        limits=LIMITS,
    )

    assert (Status.GUARD, Shown.ACCEPTED) == (verdict.status, verdict.shown)
