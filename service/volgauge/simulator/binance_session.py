"""One client's session with the simulated Binance; no socket and no clock inside."""

from typing import Any, Protocol

import msgspec

from volgauge.simulator.window import Window

MAX_STREAMS = 200
MESSAGES_PER_SECOND = 10
PING_SECONDS = 300.0
PONG_SECONDS = 900.0
TOO_MANY_MESSAGES = (1008, "Too many requests")
TOO_MANY_STREAMS = (1008, "Invalid request: too many subscriptions")
OVER = (1001, "24 hours")
NO_PONG = (1008, "Pong timeout")
_PUSH = b'{"stream":'
_TICKER = b'@bookTicker","data":'
_CHAIN = b'@optionMarkPrice","data":'

Row = dict[str, Any]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    lifetime_seconds: float
    ping_seconds: float

    def subscribe(self, session: "BinanceSession", stream: str) -> None:
        """Add a subscriber; to a stream that there is not, nothing will come."""
        ...

    def unsubscribe(self, session: "BinanceSession", stream: str) -> None:
        """Remove one."""
        ...

    def forget(self, session: "BinanceSession") -> None:
        """The client is gone."""
        ...


class BinanceSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host, route: str, now_seconds: float, *, combined: bool) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.route = route
        """`public` or `market`."""
        self.subscriptions: dict[str, None] = {}
        self._venue = venue
        self._combined = combined
        """Pushes come with the name of their stream."""
        self._opened_seconds = self._pinged_seconds = self._heard_seconds = now_seconds
        self._is_pinged = False
        self._messages = Window(MESSAGES_PER_SECOND, 1.0)

    def open_streams(self, streams: list[str]) -> None:
        """Take the streams that stand in the address."""
        self._add(streams)

    def push(self, stream: str, data: bytes) -> None:
        """Send market data."""
        self.out.append(b'{"stream":"%s","data":%s}' % (stream.encode(), data))
        if not self._combined:
            self.out[-1] = data

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client."""
        if not self._messages.take(now_seconds):
            self.closing = TOO_MANY_MESSAGES
            return
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._send({"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"})
            return
        number = request.get("id") if isinstance(request, dict) else None
        if type(number) is not int or number < 0:
            text = "Invalid request: request ID must be an unsigned integer"
            self._send({"code": 2, "msg": text})
            return
        params = request.get("params", [])
        match request.get("method"):
            case "SUBSCRIBE" if _is_streams(params):
                self._send({"result": None, "id": number})
                self._add(params)
            case "UNSUBSCRIBE" if _is_streams(params):
                self._drop(params)
                self._send({"result": None, "id": number})
            case "LIST_SUBSCRIPTIONS":
                self._send({"result": list(self.subscriptions), "id": number})
            case "SET_PROPERTY" if params in (["combined", True], ["combined", False]):
                self._combined = params[1]
                self._send({"result": None, "id": number})
            case "GET_PROPERTY" if params == ["combined"]:
                self._send({"result": self._combined, "id": number})
            case _:
                error = {"code": 2, "msg": "Invalid request: unknown variant or parameters"}
                self._send({"error": error, "id": number})

    def tick(self, now_seconds: float) -> None:
        """The end of the day, and of patience with who does not answer pings."""
        if now_seconds - self._opened_seconds >= self._venue.lifetime_seconds:
            self.closing = OVER
        elif self._is_pinged and now_seconds - self._heard_seconds >= PONG_SECONDS:
            self.closing = NO_PONG

    def take_ping(self, now_seconds: float) -> bytes | None:
        """What a protocol ping that is due carries."""
        if now_seconds - self._pinged_seconds < self._venue.ping_seconds:
            return None
        self._pinged_seconds = now_seconds
        self._is_pinged = True
        return b"%d" % round(now_seconds * 1e3)

    def pong(self, now_seconds: float) -> None:
        """The client has answered."""
        self._heard_seconds = now_seconds

    def close(self) -> None:
        """Forget all subscriptions."""
        for stream in self.subscriptions:
            self._venue.unsubscribe(self, stream)
        self.subscriptions.clear()
        self._venue.forget(self)

    def is_data(self, frame: bytes) -> bool:
        """Pushes; answers are none."""
        return frame.startswith((_PUSH, b'{"e":', b"["))

    def conflation_key(self, frame: bytes) -> bytes:
        """Best prices and chains are whole, so the newest will do."""
        head, mark, _ = frame.partition(b',"data":')
        return head if mark and (_TICKER in frame[:100] or _CHAIN in frame[:100]) else frame

    def _add(self, streams: list[str]) -> None:
        fresh = [name for name in dict.fromkeys(streams) if name not in self.subscriptions]
        if len(self.subscriptions) + len(fresh) > MAX_STREAMS:
            self.closing = TOO_MANY_STREAMS
            return
        for stream in fresh:
            self.subscriptions[stream] = None
            self._venue.subscribe(self, stream)

    def _drop(self, streams: list[str]) -> None:
        for stream in streams:
            if stream in self.subscriptions:
                del self.subscriptions[stream]
                self._venue.unsubscribe(self, stream)

    def _send(self, answer: Row) -> None:
        self.out.append(msgspec.json.encode(answer))


def _is_streams(params: object) -> bool:
    return isinstance(params, list) and all(isinstance(name, str) for name in params)
