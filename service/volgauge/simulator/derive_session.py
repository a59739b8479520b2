"""One client's session with the simulated Derive; no socket and no clock inside."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

RATE_LIMITED = (-32000, "Rate limit exceeded")
PARSE_ERROR = (-32700, "Parse error")
INVALID_REQUEST = (-32600, "Invalid Request")
UNKNOWN_METHOD = (-32601, "Method not found")
INVALID_PARAMS = (-32602, "Invalid params")
INVALID_CHANNELS = (13000, "Invalid channels")
_PUSH = b'{"method":"subscription"'

Row = dict[str, Any]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    @property
    def stamp(self) -> int:
        """The venue's clock in ms."""
        ...

    def is_allowed(self) -> bool:
        """Count a request of the client's address against its limit."""
        ...

    def refusal(self, channel: str) -> str:
        """Why a channel cannot be subscribed; "" when it can."""
        ...

    def subscribe(self, session: "DeriveSession", channels: Sequence[str]) -> None:
        """Add a subscriber."""
        ...

    def unsubscribe(self, session: "DeriveSession", channel: str) -> None:
        """Remove one."""
        ...

    def forget(self, session: "DeriveSession") -> None:
        """The client is gone."""
        ...


class DeriveSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: dict[str, None] = {}
        self._venue = venue

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client; the venue has no time limits of a session."""
        del now_seconds
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(None, PARSE_ERROR)
            return
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            self._refuse(None, INVALID_REQUEST)
            return
        number, params = request.get("id"), request.get("params")
        if not self._venue.is_allowed():
            self._refuse(number, RATE_LIMITED)
            return
        match request["method"]:
            case "subscribe" | "unsubscribe" as method:
                channels = _channels(params)
                if not channels:
                    self._refuse(number, INVALID_PARAMS)
                elif method == "subscribe":
                    self._subscribe(number, channels)
                else:
                    self._unsubscribe(number, channels)
            case "public/get_time":
                self._send({"id": number, "result": self._venue.stamp})
            case _:
                # `set_heartbeat` too: the venue has none.
                self._refuse(number, UNKNOWN_METHOD)

    def tick(self, now_seconds: float) -> None:
        """Nothing is due: there is no heartbeat."""

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
        """Every push of a channel is whole, so the newest will do; answers are never dropped."""
        return frame.partition(b',"data":')[0] if frame.startswith(_PUSH) else frame

    def _subscribe(self, number: object, channels: list[str]) -> None:
        """A status for each channel; an error only when all of them are bad."""
        reasons = {channel: self._venue.refusal(channel) for channel in channels}
        good = [channel for channel, reason in reasons.items() if not reason]
        if not good:
            self._refuse(number, INVALID_CHANNELS)
            return
        fresh = [channel for channel in good if channel not in self.subscriptions]
        self.subscriptions |= dict.fromkeys(fresh)
        status = {channel: reason or "ok" for channel, reason in reasons.items()}
        held = list(self.subscriptions)
        self._send({"id": number, "result": {"status": status, "current_subscriptions": held}})
        self._venue.subscribe(self, fresh)

    def _unsubscribe(self, number: object, channels: list[str]) -> None:
        status = {}
        for channel in channels:
            if channel in self.subscriptions:
                del self.subscriptions[channel]
                self._venue.unsubscribe(self, channel)
                status[channel] = "ok"
            else:
                status[channel] = "not subscribed"
        held = list(self.subscriptions)
        self._send({"id": number, "result": {"status": status, "remaining_subscriptions": held}})

    def _refuse(self, number: object, error: tuple[int, str]) -> None:
        code, message = error
        self._send({"id": number, "error": {"code": code, "message": message}})

    def _send(self, answer: Row) -> None:
        self.out.append(msgspec.json.encode(answer))


def _channels(params: object) -> list[str]:
    """Each once; none when these are no channels."""
    channels = params.get("channels") if isinstance(params, dict) else None
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        return []
    return list(dict.fromkeys(channels))
