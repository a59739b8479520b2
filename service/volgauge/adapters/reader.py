"""Rows of catalog bodies: read ahead in pieces where there is time, and once while they are listed.

A listing of thousands of rows takes tens of milliseconds to read, and says nearly the same every
time. What a row means depends on nothing but its bytes and, at known instants, on the time; so it
can be read before it counts, and what was read of the same bytes before is as good.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from volgauge.errors import VenueError

PIECE_ROWS = 64
"""Read between two breaths: less than a millisecond."""

T = TypeVar("T")


class RowReader(Generic[T]):
    """Reads the rows of bodies of one kind.

    `take` returns the same whether `ahead` was called with the body before, in full, in part, or
    not at all.
    """

    def __init__(
        self,
        split: Callable[[str, bytes], list[msgspec.Raw]],
        read: Callable[[msgspec.Raw, int], tuple[T, int]],
        *,
        remembers: bool,
    ) -> None:
        """Begin with nothing.

        Args:
            split: A body, by its name, into its rows; raises a VenueError where that cannot be.
            read: What a row means at an instant, and until when it means that whatever else
                happens; 0: it may mean something else already.
            remembers: Rows come again as they are; else they are new in every body.
        """
        self._split = split
        self._read = read
        self._remembers = remembers
        self._known: dict[bytes, tuple[T, int]] = {}
        """What the last bodies said."""
        self._said: dict[bytes, tuple[T, int]] = {}
        """What the present ones say."""
        self._ahead: dict[str, tuple[bytes, list[msgspec.Raw], list[tuple[T, int]]]] = {}

    def ahead(self, name: str, body: bytes, now_ns: int) -> Iterator[None]:
        """Read a body piece by piece; one that cannot be split is left to `take`."""
        try:
            rows = self._split(name, body)
        except VenueError:
            return
        found: list[tuple[T, int]] = []
        yield
        for first in range(0, len(rows), PIECE_ROWS):
            found += [self._find(row, now_ns) for row in rows[first : first + PIECE_ROWS]]
            yield
        self._ahead[name] = (body, rows, found)

    def take(self, name: str, body: bytes, now_ns: int) -> list[T]:
        """What the rows of a body mean now, in their order.

        Raises:
            VenueError: The body cannot be split.
        """
        known = self._ahead.pop(name, None)
        if known is None or known[0] is not body:
            return [self._find(row, now_ns)[0] for row in self._split(name, body)]
        read = self._read
        return [
            value if until_ns > now_ns else read(row, now_ns)[0]
            for row, (value, until_ns) in zip(known[1], known[2], strict=True)
        ]

    def turn(self) -> None:
        """The present bodies were taken: what they do not say any more is forgotten."""
        self._known, self._said = self._said, {}
        self._ahead.clear()

    def _find(self, row: msgspec.Raw, now_ns: int) -> tuple[T, int]:
        if not self._remembers:
            return self._read(row, now_ns)
        key = bytes(row)
        found = self._known.get(key)
        if found is None or found[1] <= now_ns:
            found = self._read(row, now_ns)
        if found[1]:
            self._said[key] = found
        return found
