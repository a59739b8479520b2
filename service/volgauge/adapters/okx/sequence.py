"""OKX's rule that links the updates of one order book; a gap is an answer, not a log line.

The procedure ("Order book channel", "Sequence ID"):

    1  A snapshot has prevSeqId = -1: replace the book, keep its seqId.
    2  An update's prevSeqId equals the seqId before it: apply it, keep its seqId.
    3  prevSeqId equal to seqId and no levels: nothing changed for a minute, a sign of life.
    4  seqId smaller than prevSeqId: numbers were reset by maintenance; the link still holds, the
       count goes on from the smaller one.
    5  Any other link is a gap: the book holds nothing, subscribe that instrument again, drop what
       comes until the snapshot.
"""

import enum


class Step(enum.Enum):
    """What to do with one frame of a book."""

    SNAPSHOT = "snapshot"
    """Replace the book."""
    UPDATE = "update"
    """Apply the levels."""
    KEEP_ALIVE = "keep_alive"
    """Nothing has changed."""
    WAITING = "waiting"
    """The book is broken and a snapshot is asked for: drop it."""
    GAP = "gap"
    """The book broke just now: forget it, ask for a snapshot."""


class BookSequence:
    """Place in the sequence of one instrument's book."""

    __slots__ = ("_has_snapshot", "_is_broken", "_last_id")

    def __init__(self) -> None:
        self._last_id: int | None = None
        self._has_snapshot = False
        self._is_broken = False

    def advance(
        self, action: str, number: int | None, previous: int | None, *, has_levels: bool
    ) -> Step:
        """Judge one frame.

        Args:
            action: `snapshot`, `update`, or "" on channels that send snapshots only.
            number: seqId; None before 2022, when the order on the wire was all there was.
            previous: prevSeqId.
            has_levels: The frame changes something.
        """
        # 1
        if action != "update" or previous == -1:
            self._last_id = number
            self._has_snapshot = True
            self._is_broken = False
            return Step.SNAPSHOT
        # 5
        if self._is_broken:
            return Step.WAITING
        if not self._has_snapshot or previous != self._last_id:
            self.fail()
            return Step.GAP
        # 3
        if number is not None and number == previous and not has_levels:
            return Step.KEEP_ALIVE
        # 2, 4
        self._last_id = number
        return Step.UPDATE

    def fail(self) -> None:
        """Forget the book: its content cannot be trusted."""
        self._last_id = None
        self._has_snapshot = False
        self._is_broken = True
