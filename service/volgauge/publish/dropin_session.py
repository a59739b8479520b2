"""One websocket client of the Deribit-compatible endpoint: what it may, wants and owes. No I/O.

As Deribit (measured there, and its documents): requests cost credits that refill, whoever has
spent them is told `too_many_requests` and sent away; after `set_heartbeat` the client must answer
each `test_request` within ten seconds; who has neither subscription nor heartbeat is idle and
closed after a minute.
"""

from collections.abc import Callable

from msgspec import Struct

from volgauge.domain.history import observed
from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.publish.dropin_params import CHANNEL
from volgauge.publish.dropin_rpc import (
    TOO_MANY_REQUESTS,
    Params,
    RpcError,
    Volatility,
    notify,
)

CREDITS = 100.0
"""Requests in one burst."""
CREDITS_PER_SECOND = 20.0
CANDLES_COST = 5.0
"""Credits of one `get_volatility_index_data`; every other method costs one."""
ANSWER_SECONDS = 10
IDLE_SECONDS = 60
STALE_HEARTBEATS = 3
"""A record that is older than so many of its heartbeats is not sent to a new subscriber."""


class Closing(Struct, frozen=True):
    """Why a client is sent away."""

    code: int
    reason: str


class Session:
    """State of one connection; time is an argument, nanoseconds UTC."""

    def __init__(self, now_ns: int) -> None:
        self.channels: dict[str, str] = {}
        """Asset by channel."""
        self.closing: Closing | None = None
        """Set when the connection has to end."""
        self._sent_ns: dict[str, int] = {}
        self._credits = CREDITS
        self._credited_ns = now_ns
        self._heard_ns = now_ns
        self._interval_ns: int | None = None
        self._beat_ns = 0
        self._asked_ns: int | None = None
        self._is_quiet = True

    def heard(self, now_ns: int) -> None:
        """The client sent something: whatever it is, it is alive."""
        self._heard_ns = now_ns
        self._asked_ns = None

    def pay(self, cost: float, now_ns: int) -> None:
        """Take credits for a request.

        Raises:
            RpcError: There are not enough; `closing` is set.
        """
        passed = max(0, now_ns - self._credited_ns) / NANOS_PER_SECOND
        self._credits = min(CREDITS, self._credits + passed * CREDITS_PER_SECOND)
        self._credited_ns = now_ns
        if self._credits < cost:
            self.closing = Closing(1008, "too_many_requests")
            raise RpcError(TOO_MANY_REQUESTS, "too_many_requests")
        self._credits -= cost

    def subscribe(self, channel: str, asset: str) -> None:
        """Send this channel from now on; harmless when it is sent already."""
        self.channels[channel] = asset

    def unsubscribe(self, channel: str) -> bool:
        """Send it no more; whether it was sent."""
        self._sent_ns.pop(channel, None)
        return self.channels.pop(channel, None) is not None

    def set_heartbeat(self, seconds: int | None, now_ns: int) -> None:
        """Ask the client every so often whether it lives; None: no more."""
        self._interval_ns = None if seconds is None else seconds * NANOS_PER_SECOND
        self._beat_ns = now_ns + (self._interval_ns or 0)
        self._asked_ns = None

    def due(self, now_ns: int, newest: Callable[[str], IndexValue | None]) -> list[bytes]:
        """What is to be sent now; to be asked once a second.

        Args:
            now_ns: Present time.
            newest: The newest headline record of an asset.

        Returns:
            Notifications of new values, then heartbeats. Nothing is sent for a record that
            carries an earlier value or none: a client sees silence, as when the venue is silent.
        """
        frames = []
        for channel, asset in self.channels.items():
            record = newest(asset)
            frame = None if record is None else self._news(channel, record, now_ns)
            if frame is not None:
                frames.append(frame)
        self._is_quiet = self._is_quiet and not frames
        frames += self._beat(now_ns)
        is_idle = not self.channels and self._interval_ns is None
        if is_idle and now_ns - self._heard_ns >= IDLE_SECONDS * NANOS_PER_SECOND:
            self.closing = Closing(1001, "idle")
        return frames

    def _news(self, channel: str, record: IndexValue, now_ns: int) -> bytes | None:
        value = observed(record)
        before_ns = self._sent_ns.get(channel, 0)
        if value is None or record.computed_ns <= before_ns:
            return None
        age_ns = now_ns - record.computed_ns
        if age_ns > STALE_HEARTBEATS * record.heartbeat_ms * NANOS_PER_MILLI:
            return None
        self._sent_ns[channel] = record.computed_ns
        data = Volatility(
            value, record.computed_ns // NANOS_PER_MILLI, channel.removeprefix(CHANNEL)
        )
        return notify("subscription", Params(channel=channel, data=data))

    def _beat(self, now_ns: int) -> list[bytes]:
        if self._asked_ns is not None:
            if now_ns - self._asked_ns >= ANSWER_SECONDS * NANOS_PER_SECOND:
                self.closing = Closing(4000, "heartbeat close")
            return []
        if self._interval_ns is None or now_ns < self._beat_ns:
            return []
        self._beat_ns = now_ns + self._interval_ns
        self._asked_ns = now_ns
        # A busy connection needs no sign of life from us, only one of the client's.
        kinds = ("heartbeat", "test_request") if self._is_quiet else ("test_request",)
        self._is_quiet = True
        return [notify("heartbeat", Params(type=kind)) for kind in kinds]
