"""Deribit's rule that links the changes of one order book; a gap is an answer, not a log line.

The procedure, as the venue documents it and recordings show it:

    1  The first frame after a subscribe is the snapshot: clear, then set.
    2  A later change must name the change before it (`prev_change_id`).
    3  `change_id` counts for the whole engine: it jumps, only the link matters.
    4  A snapshot is a frame that says so, or that names no change before it (absent, null, 0).
    5  After a mismatch the book holds nothing; changes are dropped until the next snapshot.
"""

import enum


class Step(enum.Enum):
    """What to do with one frame of a book."""

    SNAPSHOT = "snapshot"
    """Replace the book."""
    DELTA = "delta"
    """Apply the change."""
    DUPLICATE = "duplicate"
    """Seen before: drop it."""
    WAITING = "waiting"
    """The book is broken and a snapshot is asked for: drop it."""
    GAP = "gap"
    """The book broke just now: forget it, ask for a snapshot."""


class BookSequence:
    """Place in the sequence of one instrument's book."""

    __slots__ = ("_is_broken", "_last_id")

    def __init__(self) -> None:
        self._last_id: int | None = None
        self._is_broken = False

    def advance(self, kind: str, change_id: int, previous_id: int | None) -> Step:
        """Judge one frame.

        Args:
            kind: `snapshot`, `change`, or "" where the venue sent no type (2019).
            change_id: Number of this change.
            previous_id: Number of the change it follows; None or 0 where none is named.
        """
        # 4, 1
        if kind == "snapshot" or not previous_id:
            self._last_id = change_id
            self._is_broken = False
            return Step.SNAPSHOT
        # 5
        if self._is_broken:
            return Step.WAITING
        if self._last_id is not None:
            # 2
            if previous_id == self._last_id:
                self._last_id = change_id
                return Step.DELTA
            # 3: the counter only rises, so a smaller number is an older frame sent again.
            if change_id <= self._last_id:
                return Step.DUPLICATE
        # 5; a change before any snapshot is a mismatch too.
        self.fail()
        return Step.GAP

    def fail(self) -> None:
        """Forget the book: its content cannot be trusted."""
        self._last_id = None
        self._is_broken = True
