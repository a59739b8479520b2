"""Server-sent events out of bytes, however the network cut them (WHATWG HTML, section 9.2)."""

from volgauge.errors import InputError

MAX_PENDING_BYTES = 8 * 1024 * 1024
"""No event of ours is a hundredth of this; without a limit a wrong server could fill memory."""


class EventReader:
    """Takes chunks, gives whole events. Lines end in a line feed, as our server writes them."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> list[tuple[str, bytes]]:
        """Name and data of every event that is complete now.

        Raises:
            InputError: An event does not end.
        """
        self._pending += chunk
        *blocks, rest = bytes(self._pending).split(b"\n\n")
        if len(rest) > MAX_PENDING_BYTES:
            raise InputError(f"expected an event of at most {MAX_PENDING_BYTES} bytes")
        self._pending = bytearray(rest)
        events = []
        for block in blocks:
            name, data = "message", []
            for line in block.split(b"\n"):
                key, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if key == b"event":
                    name = value.decode(errors="replace")
                elif key == b"data":
                    data.append(value)
            if data:
                events.append((name, b"\n".join(data)))
        return events
