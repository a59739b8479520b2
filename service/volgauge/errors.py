"""Every error that volgauge raises on purpose.

    VolgaugeError
    ├── ConfigError            a setting is unknown or out of range          exit code 2
    ├── InputError             a file the user gave cannot be read           exit code 2
    ├── VenueError             something a venue did; carries `venue`
    │   ├── ProtocolViolation      a frame broke the documented schema       reconnect
    │   ├── FeedStale              no data inside the liveness limit         reconnect
    │   ├── RateLimited            the venue asked us to slow down           reconnect, long wait
    │   ├── VenueUnavailable       maintenance, refused connection           reconnect
    │   └── CatalogError           a listing could not be fetched or read    retry
    └── PublishError           a sink refused a record for good              counted

Programming mistakes are `AssertionError` or `RuntimeError` and crash.
Third-party exceptions are mapped once, in the shell that meets them.
"""

from typing import ClassVar


class VolgaugeError(Exception):
    """Root of the tree."""

    retryable: ClassVar[bool] = False


class ConfigError(VolgaugeError):
    """A setting is unknown, missing or out of range; the message names the key."""


class InputError(VolgaugeError):
    """A user's file cannot be read; the message names the line and the column."""


class VenueError(VolgaugeError):
    """Something went wrong between us and one venue."""

    retryable: ClassVar[bool] = True

    def __init__(self, venue: str, message: str) -> None:
        super().__init__(f"{venue}: {message}")
        self.venue = venue


class ProtocolViolation(VenueError):
    """A frame does not fit the venue's documented schema or its state machine."""


class FeedStale(VenueError):
    """The connection lives, but no data frame came inside the limit."""


class RateLimited(VenueError):
    """The venue refused us for speed; wait at least `wait_seconds`."""

    def __init__(self, venue: str, message: str, wait_seconds: float = 30.0) -> None:
        super().__init__(venue, message)
        self.wait_seconds = wait_seconds


class VenueUnavailable(VenueError):
    """Maintenance, a refused or a lost connection."""


class CatalogError(VenueError):
    """A listing could not be fetched or decoded."""


class PublishError(VolgaugeError):
    """A sink refused a record for a reason that a retry cannot cure."""
