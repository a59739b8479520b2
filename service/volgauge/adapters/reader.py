"""Rows of catalog bodies: read ahead in pieces where there is time, and once while they are listed.

A listing of thousands of rows takes tens of milliseconds to read, and says nearly the same every
time. What a row means depends on nothing but its bytes and, at known instants, on the time; so it
can be read before it counts, and what was read of the same bytes before is as good.
"""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from volgauge.adapters.base import NEVER_NS
from volgauge.errors import VenueError

PIECE_ROWS = 64
"""Read between two breaths: less than a millisecond."""

T = TypeVar("T")


class _Known(Generic[T]):
    """A body that was read ahead."""

    __slots__ = ("body", "doubtful", "found", "rows", "until_ns")

    def __init__(self, body: bytes, rows: list[msgspec.Raw], found: list[tuple[T, int]]) -> None:
        self.body = body
        self.rows = rows
        self.found = found
        self.until_ns = min((until_ns for _, until_ns in found if until_ns), default=NEVER_NS)
        """None of the rows that are sure means something else before."""
        self.doubtful = [
            (row, value) for row, (value, until_ns) in zip(rows, found, strict=True) if not until_ns
        ]


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
        self._ahead: dict[str, _Known[T]] = {}

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
        self._ahead[name] = _Known(body, rows, found)

    def take(self, name: str, body: bytes, now_ns: int) -> list[T]:
        """What the rows of a body mean now, in their order; it is not asked for again.

        Raises:
            VenueError: The body cannot be split.
        """
        values = self.look(name, body, now_ns)
        self._ahead.pop(name, None)
        return values

    def look(self, name: str, body: bytes, now_ns: int) -> list[T]:
        """The same, for one who asks again.

        Raises:
            VenueError: The body cannot be split.
        """
        known = self._ahead.get(name)
        if known is None or known.body is not body:
            return [self._find(row, now_ns)[0] for row in self._split(name, body)]
        read = self._read
        return [
            value if until_ns > now_ns else read(row, now_ns)[0]
            for row, (value, until_ns) in zip(known.rows, known.found, strict=True)
        ]

    def stands(self, name: str, body: bytes, now_ns: int) -> bool:
        """A body was read ahead, and each of its rows still means what it meant then."""
        known = self._ahead.get(name)
        return (
            known is not None
            and known.body is body
            and now_ns < known.until_ns
            and all(self._read(row, now_ns)[0] == value for row, value in known.doubtful)
        )

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
