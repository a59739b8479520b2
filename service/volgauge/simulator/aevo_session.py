"""One client's session with the simulated Aevo; no socket and no clock inside."""

from typing import Any, Protocol

import msgspec

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator.window import Window

INACTIVE_SECONDS = 900.0
"""Without an operation the venue hangs up after this; data to the client are none."""
MESSAGES, WINDOW_SECONDS = 20, 10.0
"""Operations in the window but for pings; no page says how many, so the simulated venue is
strict."""
INACTIVE_CLOSE = (1000, "")
_PUSH, _INDEX = b'{"channel":"', b'{"channel":"index:'

Row = dict[str, Any]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    @property
    def stamp(self) -> int:
        """The venue's clock in ns."""
        ...

    @property
    def channels(self) -> list[str]:
        """What `channels` answers."""
        ...

    def knows(self, channel: str) -> bool:
        """The channel can be subscribed."""
        ...

    def subscribe(self, session: "AevoSession", channel: str) -> None:
        """Add a subscriber."""
        ...

    def unsubscribe(self, session: "AevoSession", channel: str) -> None:
        """Remove one."""
        ...

    def forget(self, session: "AevoSession") -> None:
        """The client is gone."""
        ...


class AevoSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host, now_seconds: float) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: dict[str, None] = {}
        self._venue = venue
        self._heard_seconds = now_seconds
        self._asked = Window(MESSAGES, WINDOW_SECONDS)

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client."""
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            self._send({"error": "INVALID_MESSAGE_FORMAT"})
            return
        self._heard_seconds = now_seconds
        number = {"id": request["id"]} if isinstance(request.get("id"), int) else {}
        if request["op"] == "ping":
            told = {"success": True, "timestamp": str(self._venue.stamp)}
            self._send({**number, "data": told})
            return
        wait_seconds = self._asked.wait(now_seconds)
        if wait_seconds > 0.0:
            self._refuse_for_speed(wait_seconds)
            return
        self._asked.count(now_seconds)
        match request["op"]:
            case "subscribe" | "unsubscribe" as operation:
                names = request.get("data")
                if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                    self._send({**number, "error": "INVALID_MESSAGE_FORMAT"})
                elif operation == "subscribe":
                    self._subscribe(number, names)
                else:
                    self._unsubscribe(number, names)
            case "channels":
                self._send({**number, "data": self._venue.channels})
            case _:
                self._send({**number, "error": "BAD_REQUEST"})

    def tick(self, now_seconds: float) -> None:
        """Hang up on a client that has asked for nothing for a long time."""
        if now_seconds - self._heard_seconds >= INACTIVE_SECONDS:
            self.closing = INACTIVE_CLOSE

    def close(self) -> None:
        """Forget all subscriptions."""
        for channel in self.subscriptions:
            self._venue.unsubscribe(self, channel)
        self.subscriptions.clear()
        self._venue.forget(self)

    def is_data(self, frame: bytes) -> bool:
        """Pushes; answers are none."""
        return frame.startswith(_PUSH)

    def conflation_key(self, frame: bytes) -> bytes:
        """An index may be replaced by a newer one; tops are of some options, never of all."""
        return frame.partition(b',"data":')[0] if frame.startswith(_INDEX) else frame

    def _refuse_for_speed(self, wait_seconds: float) -> None:
        retry_after = str(round(wait_seconds * NANOS_PER_SECOND))
        self._send({
            "status": "error", "timestamp": str(self._venue.stamp),
            "error": "RATE_LIMIT_EXCEEDED", "data": {"retry_after": retry_after},
        })  # fmt: skip

    def _subscribe(self, number: Row, names: list[str]) -> None:
        """The answer names what is subscribed; an error only when nothing is."""
        good = [name for name in dict.fromkeys(names) if self._venue.knows(name)]
        if not good:
            self._send({**number, "error": "CHANNEL_NOT_FOUND"})
            return
        self._send({**number, "data": good})
        for name in good:
            if name not in self.subscriptions:
                self.subscriptions[name] = None
                self._venue.subscribe(self, name)

    def _unsubscribe(self, number: Row, names: list[str]) -> None:
        gone = [name for name in dict.fromkeys(names) if name in self.subscriptions]
        for name in gone:
            del self.subscriptions[name]
            self._venue.unsubscribe(self, name)
        self._send({**number, "data": gone})

    def _send(self, answer: Row) -> None:
        self.out.append(msgspec.json.encode(answer))
