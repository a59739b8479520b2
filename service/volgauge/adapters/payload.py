"""Payloads of a socket: one that does not fit its schema ends the session, and is shown."""

from collections.abc import Callable
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
