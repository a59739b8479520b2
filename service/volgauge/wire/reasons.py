"""Why a session ended: one closed list for the metrics, and the error behind it."""

import enum
import socket
import ssl

from volgauge.domain.instrument import Venue
from volgauge.errors import (
    FeedStale,
    ProtocolViolation,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from volgauge.wire.sockets import Library


class Ended(enum.Enum):
    """Reason of a lost session or of an attempt that failed."""

    STALE = "feed_stale"
    """No data inside the liveness limit."""
    PROTOCOL = "protocol_violation"
    """A frame broke the venue's schema, or the venue says that ours did."""
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    """The venue says that it cannot serve."""
    CLOSED = "closed"
    """The venue closed in good order."""
    RESTART = "restart"
    """The venue announced a restart of its server (1012, 1013, 1014)."""
    HEARTBEAT = "heartbeat"
    """The venue missed our answer to its test (4000)."""
    TOO_LARGE = "too_large"
    """A frame was longer than the venue's limit here."""
    GARBLED = "garbled"
    """A frame broke the websocket protocol (1002, 1003, 1007)."""
    CLOSED_OTHER = "closed_other"
    """Any other close code."""
    LOST = "lost"
    """The connection ended without a close frame."""
    SEND_TIMEOUT = "send_timeout"
    """The venue takes nothing any more."""
    OPEN_TIMEOUT = "open_timeout"
    HANDSHAKE = "handshake"
    """The server is no such websocket server."""
    REFUSED = "refused"
    """Nothing listens there."""
    DNS = "dns"
    TLS = "tls"
    """The certificate is not valid for the host; there is no fallback."""
    NETWORK = "network"
    HANDED_OVER = "handed_over"
    """Another session of the same connection has taken over."""
    CANCELLED = "cancelled"
    """We stop."""


class SendTimeout(TimeoutError):
    """A frame of ours could not be sent in time."""


class HandedOver(Exception):
    """The protocol says that its session is spare."""


_CODES = {
    1000: Ended.CLOSED,
    1001: Ended.CLOSED,
    1002: Ended.GARBLED,
    1003: Ended.GARBLED,
    1006: Ended.LOST,
    1007: Ended.GARBLED,
    1009: Ended.TOO_LARGE,
    1012: Ended.RESTART,
    1013: Ended.RESTART,
    1014: Ended.RESTART,
    4000: Ended.HEARTBEAT,
}
_VENUE_ERRORS: dict[type[VenueError], Ended] = {
    FeedStale: Ended.STALE,
    ProtocolViolation: Ended.PROTOCOL,
    RateLimited: Ended.RATE_LIMITED,
    VenueUnavailable: Ended.UNAVAILABLE,
}
_NETWORK_ERRORS: tuple[tuple[type[Exception], Ended], ...] = (
    (ssl.SSLError, Ended.TLS),
    (socket.gaierror, Ended.DNS),
    (SendTimeout, Ended.SEND_TIMEOUT),
    (TimeoutError, Ended.OPEN_TIMEOUT),
    (ConnectionRefusedError, Ended.REFUSED),
    (ConnectionError, Ended.LOST),
    (OSError, Ended.NETWORK),
)
TOO_MANY_REQUESTS = 429


def explain(error: Exception, venue: Venue, library: Library) -> tuple[Ended, VenueError] | None:
    """The reason and the venue error that an exception stands for; None: it is a bug of ours."""
    if isinstance(error, VenueError):
        return _VENUE_ERRORS.get(type(error), Ended.UNAVAILABLE), error
    if isinstance(error, HandedOver):
        return Ended.HANDED_OVER, VenueUnavailable(venue, "another session has taken over")
    if isinstance(error, library.closed):
        code, text = _close_code(error)
        return _CODES.get(code, Ended.CLOSED_OTHER), VenueUnavailable(venue, f"{code} {text}")
    if isinstance(error, library.bad_status):
        return _bad_status(error, venue)
    text = str(error) or type(error).__name__
    for kind, reason in (*_NETWORK_ERRORS, (library.failure, Ended.HANDSHAKE)):
        if isinstance(error, kind):
            return reason, VenueUnavailable(venue, text)
    return None


def _bad_status(error: Exception, venue: Venue) -> tuple[Ended, VenueError]:
    status = int(getattr(error, "response").status_code)  # noqa: B009 - both libraries have it
    if status == TOO_MANY_REQUESTS:
        return Ended.RATE_LIMITED, RateLimited(venue, f"HTTP {status}")
    return Ended.HANDSHAKE, VenueUnavailable(venue, f"HTTP {status}")


def _close_code(error: Exception) -> tuple[int, str]:
    """Code and text of the close frame that came first; 1006 when there was none.

    When we close because of what we received, our own frame says why.
    """
    received, sent = getattr(error, "rcvd", None), getattr(error, "sent", None)
    frame = received or sent
    if sent is not None and received is not None and not getattr(error, "rcvd_then_sent", True):
        frame = sent
    return (1006, "") if frame is None else (int(frame.code), str(frame.reason or ""))
