"""Frames that wait to be sent."""

import msgspec


class Outbox:
    """Of one session; what is put in is sent in that order."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []

    def put(self, frame: bytes) -> None:
        """Send a frame as it is."""
        self._frames.append(frame)

    def put_json(self, message: msgspec.Struct) -> None:
        """Send a message as JSON."""
        self._frames.append(msgspec.json.encode(message))

    def take(self) -> list[bytes]:
        """What waits, oldest first; the caller's from now on."""
        if not self._frames:
            return []
        frames, self._frames = self._frames, []
        return frames

    def restart(self) -> None:
        """A new session: nothing waits."""
        self._frames.clear()
