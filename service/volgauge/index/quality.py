"""How far a value can be trusted: the status ladder of METHODOLOGY §6, rule 20.

Pure: what the ladder remembers (when a value was last valid) is handed in and handed back.
"""

import enum

from msgspec import Struct

from volgauge.domain.index import Flag, Reason, Status

DEGRADING = frozenset(
    {
        Flag.GAP,
        Flag.WIDE,
        Flag.FORWARD,
        Flag.ONE_SIDED_TERM,
        Flag.INDEX_LOCKED,
        Flag.COVERAGE,
        Flag.FEED_STALE,
        Flag.SKIPPED_EXPIRY,
        Flag.VENUES_DIFFER,
        Flag.UNQUALIFIED,
        Flag.CARRIED,
    }
)
"""Flags that alone make a value DEGRADED; the others inform."""

WIDE_SHARE = 0.02
"""Half the bid-ask range above this share of the value is `wide` (METHODOLOGY §5, rule 9)."""

AT_ONCE = frozenset({Reason.NO_BRACKET, Reason.NO_INSTRUMENTS})
"""Nothing to compute from: no grace, the index halts at once."""


class Shown(enum.Enum):
    """Which number a record carries."""

    NEW = "new"
    """The one just computed."""
    ACCEPTED = "accepted"
    """The last accepted one, with its own event time."""
    NOTHING = "nothing"


class Verdict(Struct, frozen=True):
    """What to publish."""

    status: Status
    shown: Shown


class Limits(Struct, frozen=True):
    """Ages after which a missing value changes the status."""

    stale_ns: int
    halt_ns: int


def judge(
    *,
    computed: bool,
    reason: Reason | None,
    flags: frozenset[Flag],
    venue_count: int,
    warming: bool,
    is_guarded: bool = False,
    valid_age_ns: int | None,
    limits: Limits,
) -> Verdict:
    """Decide status and number.

    Args:
        computed: A number came out just now.
        reason: Why none did.
        flags: Doubts about it.
        venue_count: Venues that contributed.
        warming: The first full snapshot has not come yet.
        is_guarded: The number is a jump that is held back.
        valid_age_ns: Time since a number last came out; None if none ever did.
        limits: Ages of the ladder.
    """
    if warming:
        return Verdict(Status.WARMING, Shown.NOTHING)
    if is_guarded:
        return Verdict(Status.GUARD, Shown.ACCEPTED)
    if computed:
        status = Status.OK if venue_count > 1 else Status.SINGLE_VENUE
        return Verdict(Status.DEGRADED if flags & DEGRADING else status, Shown.NEW)
    if valid_age_ns is None or reason in AT_ONCE or valid_age_ns >= limits.halt_ns:
        return Verdict(Status.HALTED, Shown.NOTHING)
    if valid_age_ns >= limits.stale_ns:
        return Verdict(Status.STALE, Shown.ACCEPTED)
    return Verdict(Status.DEGRADED, Shown.ACCEPTED)


def is_wide(bid: float, ask: float, value: float) -> bool:
    """Half the range of the index exceeds 2 % of its value; False when a side is unknown."""
    return (ask - bid) / 2.0 > WIDE_SHARE * value
