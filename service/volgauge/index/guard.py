"""The jump guard of METHODOLOGY §6, rule 19: a jump that hardly any strike carries waits.

A new value is compared with those that were in force in the last 250 ms. If it is farther off than
max(4u, 2 %), something must carry the change: three strikes whose quotes moved by their own
half-spread or came or went, several venues, or the forward. Else it is held back, for one second at
most; then the market has had its time to answer, and the value is taken as it is.

In a crash of the underlying the first updates may come strike by strike. The value then waits for
the third of them, which is a matter of milliseconds, not for the second to end.
"""

from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct

from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.kernels._jit import F64, I64

WINDOW_NS = 250 * NANOS_PER_MILLI
SPACING_NS = WINDOW_NS // 2
"""Quotes are remembered this often: two to three marks cover the window."""
LONGEST_HOLD_NS = 900 * NANOS_PER_MILLI
"""The timer comes every 100 ms, so a hold is over within the second of the rule."""
LEAST_JUMP = 0.02
"""Of the value."""
JUMP_ERRORS = 4.0
"""In units of u."""
ENOUGH_STRIKES = 3
FORWARD_MOVE = 0.003
"""Relative. Quotes of two strikes cannot move a forward that far: it is kept inside the interval
that no arbitrage leaves open, which is narrower."""


class Mark(Struct, frozen=True):
    """The quotes of all venues at one instant, to be compared with later ones."""

    at_ns: int
    quotes: Mapping[Venue, F64]
    """(capacity, 2) bids and asks by slot."""


class Anchor(Struct, frozen=True):
    """A value that was in force."""

    at_ns: int
    value: float
    limit: float
    """A change by more is a jump."""
    forwards: Mapping[tuple[str, int], float]
    """Of its expiries, by book and instant."""
    mark: Mark
    """The newest one not after it."""


class JumpGuard:
    """One tenor's memory of what was in force, and since when a jump is held."""

    __slots__ = ("_anchors", "held_ns")

    def __init__(self) -> None:
        self.held_ns: int | None = None
        """Since when a jump is held back."""
        self._anchors: list[Anchor] = []
        """Ascending; the last is in force, the first was when the window began."""

    def forget(self) -> None:
        """Nothing is in force any more: whatever comes next is no jump."""
        self.held_ns = None
        self._anchors.clear()

    def holds(self, value: float, now_ns: int, carries: Callable[[Anchor], bool]) -> bool:
        """Whether to hold a new value back.

        Args:
            value: The new one, volatility points.
            now_ns: Its instant.
            carries: Whether enough carried the change since an anchor.
        """
        anchors = self._anchors
        while len(anchors) > 1 and anchors[1].at_ns <= now_ns - WINDOW_NS:
            del anchors[0]
        jumped = [a for a in anchors if not abs(value - a.value) <= a.limit]
        if not jumped or all(carries(anchor) for anchor in jumped):
            self.held_ns = None
            return False
        if self.held_ns is None:
            self.held_ns = now_ns
        elif now_ns - self.held_ns >= LONGEST_HOLD_NS:
            self.forget()
            return False
        return True

    def accept(
        self,
        value: float,
        u: float,
        forwards: Mapping[tuple[str, int], float],
        mark: Mark,
        now_ns: int,
    ) -> None:
        """A value is in force from now on."""
        anchors = self._anchors
        if len(anchors) > 1 and anchors[-2].mark is mark:
            # One before and the newest of each mark are enough: only they can be farthest off
            # without having been a jump themselves.
            anchors.pop()
        anchors.append(
            Anchor(now_ns, value, max(JUMP_ERRORS * u, LEAST_JUMP * value), forwards, mark)
        )

    def is_due(self, now_ns: int) -> bool:
        """The longest hold is over."""
        return self.held_ns is not None and now_ns - self.held_ns >= LONGEST_HOLD_NS


def moved_strikes(before: F64, now: F64, slots: I64) -> int:
    """How many strikes moved: a leg's mid by its half-spread or more, or a side came or went.

    Args:
        before: (capacity, 2) bids and asks by slot, at a mark.
        now: (capacity, >= 2) the same now; may be longer.
        slots: (strikes, 2) of call and put; -1 not listed.
    """
    known = (slots >= 0) & (slots < len(before))
    legs = np.where(known, slots, 0)
    old, new = before[legs], now[legs][..., :2]
    half = 0.5 * (old[..., 1] - old[..., 0])
    mid_moved = np.abs(new.sum(-1) - old.sum(-1)) >= 2.0 * np.maximum(half, 0.0)
    same = (np.isnan(old) == np.isnan(new)).all(-1)
    unchanged = ((old == new) | (np.isnan(old) & np.isnan(new))).all(-1)
    moved = known & ~unchanged & (mid_moved | ~same)
    return int(moved.any(-1).sum())
