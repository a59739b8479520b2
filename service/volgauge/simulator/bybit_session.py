"""One client's session with the simulated Bybit; no socket and no clock inside."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

MAX_CHARACTERS = 21_000
"""Of all topics that a connection holds, with their quotes and commas."""
MAX_TOPICS = 2_000
IDLE_SECONDS = 600.0
ABNORMAL = (1006, "")
"""The connection is cut, no close frame."""
_PUSH = b'{"topic":'
_WHOLE = b'{"topic":"tickers.'

Row = dict[str, Any]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    @property
    def stamp(self) -> int:
        """The venue's clock in ms."""
        ...

    def is_handled(self, topic: str) -> bool:
        """The venue has such a kind of topic."""
        ...

    def is_known(self, topic: str) -> bool:
        """What the topic is about exists."""
        ...

    def subscribe(self, session: "BybitSession", topics: Sequence[str]) -> None:
        """Add a subscriber."""
        ...

    def unsubscribe(self, session: "BybitSession", topic: str) -> None:
        """Remove one."""
        ...

    def forget(self, session: "BybitSession") -> None:
        """The client is gone."""
        ...


class BybitSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host, now_seconds: float, connection_id: str) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: dict[str, None] = {}
        self._venue = venue
        self._id = connection_id
        self._heard_seconds = now_seconds

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client."""
        self._heard_seconds = now_seconds
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            request = None
        if not isinstance(request, dict):
            self._refuse({}, "error:invalid json")
            return
        args = request.get("args")
        match request.get("op"):
            case "ping":
                self._send({"args": [str(self._venue.stamp)], "op": "pong"})
            case ("subscribe" | "unsubscribe") as op if topics := _topics(args):
                self._change(request, op, topics)
            case _:
                self._refuse(request, "error:request not supported")

    def tick(self, now_seconds: float) -> None:
        """The limit of silence: only what the client sends counts here."""
        if now_seconds - self._heard_seconds >= IDLE_SECONDS:
            self.closing = ABNORMAL

    def close(self) -> None:
        """Forget all subscriptions."""
        for topic in self.subscriptions:
            self._venue.unsubscribe(self, topic)
        self.subscriptions.clear()
        self._venue.forget(self)

    def is_data(self, frame: bytes) -> bool:
        """Pushes; answers and pongs are none."""
        return frame.startswith(_PUSH)

    def conflation_key(self, frame: bytes) -> bytes:
        """Tickers are whole, so the newest will do; changes of a book are never dropped."""
        return frame.partition(b',"ts":')[0] if frame.startswith(_WHOLE) else frame

    def _change(self, request: Row, op: str, topics: list[str]) -> None:
        """One request, one answer: the topics that it concerns, or an error for all of them."""
        for topic in topics:
            if not self._venue.is_handled(topic):
                self._refuse(request, f"error:handler not found,topic:{topic}")
                return
            if op == "subscribe" and topic in self.subscriptions:
                self._refuse(request, f"error:already subscribed,topic:{topic}")
                return
        if op == "subscribe":
            held = [*self.subscriptions, *topics]
            if sum(len(topic) + 3 for topic in held) > MAX_CHARACTERS or len(held) > MAX_TOPICS:
                self._refuse(request, f"error:args size exceeds {MAX_CHARACTERS}")
                return
            good = dict.fromkeys(topic for topic in topics if self._venue.is_known(topic))
        else:
            good = dict.fromkeys(topic for topic in topics if topic in self.subscriptions)
        bad = [topic for topic in topics if topic not in good]
        data = {"failTopics": bad, "successTopics": list(good)}
        self._send({"success": True, "conn_id": self._id, "data": data, "type": "COMMAND_RESP"})
        if op == "subscribe":
            self.subscriptions |= good
            self._venue.subscribe(self, list(good))
        else:
            for topic in good:
                del self.subscriptions[topic]
                self._venue.unsubscribe(self, topic)

    def _refuse(self, request: Row, message: str) -> None:
        number = request.get("req_id")
        named = {"req_id": number} if isinstance(number, str) else {}
        answer = {"success": False, "ret_msg": message, "conn_id": self._id} | named
        self._send(answer | {"op": str(request.get("op", ""))})

    def _send(self, answer: Row) -> None:
        self.out.append(msgspec.json.encode(answer))


def _topics(args: object) -> list[str]:
    """Each once; none when these are no topics."""
    if not isinstance(args, list) or not all(isinstance(arg, str) for arg in args):
        return []
    return list(dict.fromkeys(args))
