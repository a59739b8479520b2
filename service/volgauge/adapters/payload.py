"""What a venue sends, read by its schema, and what becomes of that which does not fit.

A payload of a socket that does not ends the session, and is shown; a row of a body beside the
listing is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from msgspec import DecodeError, Raw

from volgauge.domain.instrument import Venue
from volgauge.errors import ProtocolViolation

UNREADABLE = (DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises: wrong JSON or schema, text that is no UTF-8, bottomless nesting."""
SHOWN_BYTES = 200
"""Of a payload that is refused, in a message."""

T = TypeVar("T")


def decode(venue: Venue, read: Callable[[bytes | Raw], T], data: bytes | Raw) -> T:
    """Decode a payload whose kind is known.

    Raises:
        ProtocolViolation: It does not fit its documented schema.
    """
    try:
        return read(data)
    except UNREADABLE as error:
        shown = bytes(data)[:SHOWN_BYTES]
        raise ProtocolViolation(venue, f"{error}, received {shown!r}") from error


def read_rows(
    rows: Iterable[Raw], read: Callable[[Raw], T], reason: str, counts: Counter[str]
) -> Iterator[T]:
    """The rows that can be read, in their order; the others are counted under a reason."""
    for row in rows:
        try:
            found = read(row)
        except UNREADABLE:
            counts[reason] += 1
        else:
            yield found
