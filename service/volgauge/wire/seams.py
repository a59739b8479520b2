"""What the shells write to while they pump: the recorder's side of a session."""

from typing import Protocol


class Recorder(Protocol):
    """Keeps what comes in, in order; `wire/recorder.py` writes it to disk."""

    def frame(self, venue: str, connection: str, received_ns: int, frame: bytes) -> None:
        """One frame, before it is decoded."""
        ...

    def rest(self, venue: str, name: str, received_ns: int, body: bytes) -> None:
        """One REST body."""
        ...

    def catalog(self, venue: str, now_ns: int) -> None:
        """The bodies kept since the last call are handed to the adapter."""
        ...

    def started(self, venue: str, connection: str, now_ns: int) -> None:
        """A session begins."""
        ...

    def timed_out(self, venue: str, connection: str, now_ns: int) -> None:
        """A deadline is served."""
        ...

    def disconnected(self, venue: str, connection: str, now_ns: int, reason: str) -> None:
        """A session ends."""
        ...
