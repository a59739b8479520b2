"""One client's session with the simulated Delta; no socket and no clock inside."""

from typing import Any, Protocol

import msgspec

IDLE_SECONDS = 60.0
"""Who has neither subscribed nor sent anything by then is cut off."""
BEAT_SECONDS = 5.0
"""Documented are 30; these were seen."""
CUT = (1006, "")
TOPS, TICKERS, INDICES = "l1_orderbook", "v2/ticker", "v2/spot_price"
ANNOUNCEMENTS, UPDATES = "announcements", "product_updates"
WITH_SYMBOLS = frozenset({TOPS, TICKERS, INDICES})
WITHOUT_SYMBOLS = frozenset({ANNOUNCEMENTS, UPDATES})
NO_CHANNEL = {"message": "Subscription forbidden: Invalid channel array", "type": "error"}
FORBIDDEN = "subscription forbidden on this invalid channel"
WITHOUT = "subscription forbidden without symbol array on this channel"
Row = dict[str, Any]
Channel = tuple[str, str]


class Host(Protocol):
    """The venue, as far as a session needs it."""

    @property
    def stamp(self) -> int:
        """The venue's clock in microseconds."""
        ...

    def is_missing(self, channel: Channel) -> bool:
        """An injected fault: the channel is left out without a word."""
        ...

    def subscribe(self, session: "DeltaSession", channel: Channel) -> None:
        """Add a subscriber."""
        ...

    def unsubscribe(self, session: "DeltaSession", channel: Channel) -> None:
        """Remove one."""
        ...

    def forget(self, session: "DeltaSession") -> None:
        """The client is gone."""
        ...


class DeltaSession:
    """Requests in, answers and pushes out (`out`), and when to hang up (`closing`)."""

    def __init__(self, venue: Host, now_seconds: float) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: dict[Channel, None] = {}
        self._venue = venue
        self._opened_seconds = now_seconds
        self._is_idle = True
        self._beat_seconds: float | None = None
        """When the next heartbeat is due; None while they are not enabled."""

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client; what is no JSON is passed over in silence."""
        try:
            request = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if not isinstance(request, dict):
            return
        self._is_idle = False
        match request.get("type"):
            case "subscribe":
                self._subscribe(_asked(request))
            case "unsubscribe":
                self._unsubscribe(_asked(request))
            case "enable_heartbeat":
                self._beat_seconds = now_seconds
            case "disable_heartbeat":
                self._beat_seconds = None
            case "ping":
                self.send({"type": "pong"})
            case _:
                self.send(NO_CHANNEL)

    def tick(self, now_seconds: float) -> None:
        """Heartbeats, and the end of who does nothing."""
        if self._beat_seconds is not None and now_seconds >= self._beat_seconds:
            self._beat_seconds = now_seconds + BEAT_SECONDS
            stamp = self._venue.stamp
            self.send({"ts_origin": stamp, "ts_publish": stamp, "type": "heartbeat"})
        if self._is_idle and now_seconds - self._opened_seconds >= IDLE_SECONDS:
            self.closing = CUT

    def close(self) -> None:
        """Forget all subscriptions."""
        for channel in self.subscriptions:
            self._venue.unsubscribe(self, channel)
        self.subscriptions.clear()
        self._venue.forget(self)

    def is_data(self, frame: bytes) -> bool:
        """Pushes of prices, marked by their first key; answers and heartbeats are none."""
        return frame.startswith((b'{"ask_qty"', b'{"close"', b'{"s":'))

    def conflation_key(self, frame: bytes) -> bytes:
        """Every push of a symbol is whole, so the newest will do; the rest is never dropped."""
        if not self.is_data(frame):
            return frame
        marker = b'"s":' if frame.startswith(b'{"s":') else b'"symbol":'
        return frame[:9] + frame.partition(marker)[2].partition(b",")[0]

    def send(self, message: Row) -> None:
        """Queue an answer."""
        self.out.append(msgspec.json.encode(message))

    def _subscribe(self, asked: list[tuple[str, list[str]]]) -> None:
        """A symbol that does not exist is acknowledged like any other; a channel is not."""
        known = [name for name, _ in asked if name in WITH_SYMBOLS | WITHOUT_SYMBOLS]
        if not known:
            self.send(NO_CHANNEL)
            return
        refused, fresh = [], []
        for name, symbols in asked:
            if name not in known:
                refused.append({"error": FORBIDDEN, "name": name})
            elif name in WITH_SYMBOLS and not symbols:
                refused.append({"error": WITHOUT, "name": name})
            else:
                wanted = [(name, s) for s in (symbols if name in WITH_SYMBOLS else [""])]
                fresh += [
                    channel
                    for channel in wanted
                    if channel not in self.subscriptions and not self._venue.is_missing(channel)
                ]
        self.subscriptions |= dict.fromkeys(fresh)
        self._tell(refused)
        for channel in fresh:
            self._venue.subscribe(self, channel)

    def _unsubscribe(self, asked: list[tuple[str, list[str]]]) -> None:
        """Without symbols the whole channel."""
        for name, symbols in asked:
            for channel in list(self.subscriptions):
                if channel[0] == name and (not symbols or channel[1] in symbols):
                    del self.subscriptions[channel]
                    self._venue.unsubscribe(self, channel)
        self._tell([])

    def _tell(self, refused: list[Row]) -> None:
        """All that the session is subscribed to, and what was refused."""
        held: dict[str, list[str]] = {}
        for name, symbol in self.subscriptions:
            held.setdefault(name, []).extend([symbol] if symbol else [])
        channels: list[Row] = [
            {"name": name, "symbols": symbols} if name in WITH_SYMBOLS else {"name": name}
            for name, symbols in held.items()
        ]
        self.send({"channels": channels + refused, "type": "subscriptions"})


def _asked(request: Row) -> list[tuple[str, list[str]]]:
    """Channels with their symbols; none where these are none."""
    payload = request.get("payload")
    channels = payload.get("channels") if isinstance(payload, dict) else None
    found = []
    for channel in channels if isinstance(channels, list) else []:
        if isinstance(channel, dict) and isinstance(channel.get("name"), str):
            symbols = channel.get("symbols", [])
            if isinstance(symbols, list):
                found.append((channel["name"], [s for s in symbols if isinstance(s, str)]))
    return found
