"""One closed list of reasons for every exception that can end a session."""

import socket
import ssl
from types import SimpleNamespace

import pytest

from volgauge.domain.instrument import Venue
from volgauge.errors import (
    FeedStale,
    ProtocolViolation,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from volgauge.wire.reasons import Ended, SendTimeout, explain
from volgauge.wire.sockets import Library, load

VENUE = Venue("deribit")
LIBRARIES = ["websockets", "picows.websockets"]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Library:
    """Each client library."""
    pytest.importorskip(request.param)
    return load(request.param)


def closed(library: Library, received: int | None, sent: int | None) -> Exception:
    """The library's own exception, with these close codes."""
    frames = [
        None if code is None else SimpleNamespace(code=code, reason="why")
        for code in (received, sent)
    ]
    return library.closed(*frames, None if None in (received, sent) else True)


@pytest.mark.parametrize(
    ("received", "sent", "reason"),
    [
        (1000, 1000, Ended.CLOSED),
        (1001, 1001, Ended.CLOSED),
        (1012, 1012, Ended.RESTART),
        (1013, 1013, Ended.RESTART),
        (4000, 4000, Ended.HEARTBEAT),
        (1008, 1008, Ended.CLOSED_OTHER),
        (None, None, Ended.LOST),
        (None, 1009, Ended.TOO_LARGE),
        (None, 1007, Ended.GARBLED),
        (None, 1002, Ended.GARBLED),
    ],
)
def test_close_codes(
    library: Library, received: int | None, sent: int | None, reason: Ended
) -> None:
    """Theirs, or ours when we closed because of what came."""
    found = explain(closed(library, received, sent), VENUE, library)
    assert found is not None
    assert found[0] is reason
    assert isinstance(found[1], VenueUnavailable)


def test_answer_to_our_own_close_is_not_their_reason(library: Library) -> None:
    """We refuse a frame with 1009; their echo of it says nothing new."""
    frames = [SimpleNamespace(code=code, reason="") for code in (1000, 1009)]
    we_were_first = False
    error = library.closed(*frames, we_were_first)

    found = explain(error, VENUE, library)

    assert found is not None
    assert found[0] is Ended.TOO_LARGE


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FeedStale("v", ""), Ended.STALE),
        (ProtocolViolation("v", ""), Ended.PROTOCOL),
        (RateLimited("v", ""), Ended.RATE_LIMITED),
        (VenueUnavailable("v", ""), Ended.UNAVAILABLE),
        (ssl.SSLCertVerificationError("bad"), Ended.TLS),
        (socket.gaierror(-2, "unknown"), Ended.DNS),
        (SendTimeout("full"), Ended.SEND_TIMEOUT),
        (TimeoutError("open"), Ended.OPEN_TIMEOUT),
        (ConnectionRefusedError(111, "refused"), Ended.REFUSED),
        (ConnectionResetError(104, "reset"), Ended.LOST),
        (OSError(113, "no route"), Ended.NETWORK),
    ],
)
def test_venue_and_network_errors(library: Library, error: Exception, reason: Ended) -> None:
    """Each once, as a venue error that may be retried."""
    found = explain(error, VENUE, library)

    assert found is not None
    assert found[0] is reason
    assert isinstance(found[1], VenueError)
    assert found[1].retryable


@pytest.mark.parametrize(
    "error", [ValueError("x"), AssertionError(), KeyError("x"), RuntimeError()]
)
def test_mistakes_of_ours_are_no_reason(library: Library, error: Exception) -> None:
    """They crash."""
    assert explain(error, VENUE, library) is None
