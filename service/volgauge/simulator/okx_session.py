"""One client's session with the simulated OKX; no socket and no clock inside."""

from typing import Any, Protocol

import msgspec

from volgauge.simulator.faults import Faults
from volgauge.simulator.window import Window

MAX_REQUEST_BYTES = 65_536
REQUESTS_PER_HOUR = 480
HOUR_SECONDS = 3_600.0
IDLE_SECONDS = 30.0
TOO_LONG = (1009, "Request message exceeds the maximum frame length")
IDLE = (4004, "No data received in 30s.")
UPGRADED = (1001, "service upgrade")
SHOWN_CHARACTERS = 200
"""Of a request in its refusal."""
_STATELESS = tuple(
    b'{"arg":{"channel":"%s"' % name for name in (b"bbo-tbt", b"tickers", b"books5", b"index-t")
)
_PUSH = b'{"arg":'

Key = tuple[str, str]
Row = dict[str, Any]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    faults: Faults

    def find(self, arg: Row) -> Key | None:
        """What a client may subscribe to."""
        ...

    def subscribe(self, session: "OkxSession", key: Key) -> None:
        """Add a subscriber."""
        ...

    def unsubscribe(self, session: "OkxSession", key: Key) -> None:
        """Remove one."""
        ...

    def forget(self, session: "OkxSession") -> None:
        """The client is gone."""
        ...


class OkxSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host, now_seconds: float, connection_id: str) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: set[Key] = set()
        self._venue = venue
        self._id = connection_id
        self._opened_seconds = now_seconds
        self._alive_seconds = now_seconds
        """Newest message in either direction."""
        self._has_pushed = False
        self._is_told = False
        self._requests = Window(REQUESTS_PER_HOUR, HOUR_SECONDS)

    def push(self, frame: bytes) -> None:
        """Send market data."""
        self.out.append(frame)
        self._has_pushed = True

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client."""
        self._alive_seconds = now_seconds
        if frame == b"ping":
            self.out.append(b"pong")
            return
        if len(frame) > MAX_REQUEST_BYTES:
            self.closing = TOO_LONG
            return
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        op, args = _read(request)
        if not op:
            self._refuse("60012", f"Invalid request: {_shown(frame)}")
            return
        if not self._requests.take(now_seconds):
            self._refuse("60014", "Requests too frequent")
            return
        for arg in args:
            self._one(op, arg)

    def tick(self, now_seconds: float) -> None:
        """The limit of silence, and the move to another server."""
        if self._has_pushed:
            self._has_pushed = False
            self._alive_seconds = now_seconds
        faults = self._venue.faults
        after = faults.upgrade_after_seconds
        age = now_seconds - self._opened_seconds
        if 0.0 < after <= age and not self._is_told:
            self._is_told = True
            self.out.append(msgspec.json.encode({
                "event": "notice", "code": "64008",
                "msg": "The connection will soon be closed for a service upgrade. "
                "Please reconnect.",
                "connId": self._id,
            }))  # fmt: skip
        if now_seconds - self._alive_seconds >= IDLE_SECONDS:
            self.closing = IDLE
        elif after > 0.0 and age >= after + faults.upgrade_seconds:
            self.closing = UPGRADED

    def close(self) -> None:
        """Forget all subscriptions."""
        for key in self.subscriptions:
            self._venue.unsubscribe(self, key)
        self.subscriptions.clear()
        self._venue.forget(self)

    def is_data(self, frame: bytes) -> bool:
        """Pushes; answers, notices and pongs are none."""
        return frame.startswith(_PUSH)

    def conflation_key(self, frame: bytes) -> bytes:
        """The argument of a channel whose every push is whole; other frames are never dropped."""
        if frame.startswith(_STATELESS):
            return frame.partition(b',"data":')[0]
        return frame

    def _one(self, op: str, arg: Row) -> None:
        """One argument, one answer."""
        key = self._venue.find(arg)
        if op == "unsubscribe":
            if key in self.subscriptions:
                self.subscriptions.discard(key)
                self._venue.unsubscribe(self, key)
        elif key is None:
            words = ",".join(f"{name}:{value}" for name, value in arg.items())
            self._refuse(
                "60018",
                f"Wrong URL or {words} doesn't exist. Please use the correct URL, channel and "
                "parameters referring to API document.",
            )
            return
        self.out.append(msgspec.json.encode({"event": op, "arg": arg, "connId": self._id}))
        if op == "subscribe" and key is not None and key not in self.subscriptions:
            self.subscriptions.add(key)
            self._venue.subscribe(self, key)

    def _refuse(self, code: str, message: str) -> None:
        error = {"event": "error", "code": code, "msg": message, "connId": self._id}
        self.out.append(msgspec.json.encode(error))


def _read(request: object) -> tuple[str, list[Row]]:
    """Operation and arguments; ("", []) when the request is not one."""
    if not isinstance(request, dict):
        return "", []
    op, args = request.get("op"), request.get("args")
    if op not in {"subscribe", "unsubscribe"} or not isinstance(args, list):
        return "", []
    return (op, args) if all(isinstance(arg, dict) for arg in args) else ("", [])


def _shown(frame: bytes) -> str:
    return frame[:SHOWN_CHARACTERS].decode(errors="replace")
