"""One websocket session with Delta as a pure state machine.

Requests have no number and answers none either: one request at a time is out, and the next
`subscriptions` frame that names its channel answers it. What that does not name is requested once
more, then counted. Who asks for a symbol that does not exist is told that he is subscribed, so
what is accepted need not come.
"""

from collections import Counter

import msgspec

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.delta import messages
from volgauge.adapters.delta.endpoints import (
    DROP_TIMEOUT_NS,
    HEARTBEAT_LIMIT_NS,
    MAX_FRAME_BYTES,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.delta.listing import Listing, Option
from volgauge.adapters.delta.plan import MARKET, Channel, Plan, cut_request
from volgauge.adapters.delta.pushes import Hooks, Pushes
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.errors import FeedStale, ProtocolViolation

PRICES = frozenset({messages.TOPS, messages.TICKERS, messages.INDICES, messages.BOOKS})
"""Types of the frames that say that the feed lives."""
NOT_HOT = (KeyError, *UNREADABLE)
SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"
SUBSCRIBED = "subscriptions"
ENABLE = b'{"type":"enable_heartbeat"}'

_decode_hot = msgspec.json.Decoder(messages.Hot, strict=False).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_subscribed = msgspec.json.Decoder(messages.Subscribed).decode


class DeltaProtocol:
    """Implements VenueProtocol for one of the adapter's connections."""

    venue = VENUE

    def __init__(
        self,
        connection: str,
        url: str,
        listing: Listing,
        sink: EventSink,
        pacer: Pacer,
        hooks: Hooks,
        *,
        reconnect_after_seconds: float,
        compression: bool,
    ) -> None:
        self.connection = connection
        self.url = url
        self.max_frame_bytes = MAX_FRAME_BYTES
        self.compression = compression
        self.state = State.IDLE
        self.next_timeout_ns: int | None = None
        self.counts: Counter[str] = Counter()
        self._listing = listing
        self._sink = sink
        self._pacer = pacer
        self._hooks = hooks
        self._subscriptions = Subscriptions[Channel, Option | None](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self._subscriptions.active
        )
        self._pushes = Pushes(listing, sink, self.counts, hooks)
        self._outbox = Outbox()
        self._asked: Batch[Channel] | None = None
        """The request that is not answered yet."""
        self._deadline_ns = NEVER_NS
        """Of its answer."""
        self._last_beat_ns = 0
        # The hot path: looked up once. Without a route before the first data of a session every
        # frame takes the long way, which announces it.
        self._top, self._ticker = self._pushes.top, self._pushes.ticker
        self._route: dict[str, Option] = {}

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self.state = State.SUBSCRIBING
        self._silence.heard_ns = self._last_beat_ns = now_ns
        self._outbox.put(ENABLE)
        self._work(now_ns)

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Decode one frame and push its events into the sink.

        Raises:
            ProtocolViolation: The frame does not fit the documented schema, or says that we break
                the protocol.
        """
        try:
            hot = _decode_hot(frame)
            option = self._route[hot.symbol]
        except NOT_HOT:
            # Any other frame, or one with a number out of range.
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        if isinstance(hot, messages.Top):
            self._top(hot, option, received_ns)
        else:
            self._ticker(hot, option, received_ns)

    def frames_to_send(self) -> list[bytes]:
        """Take what waits to be sent, oldest first."""
        return self._outbox.take()

    def on_timeout(self, now_ns: int) -> None:
        """Send what may go out now, watch for answers that are missing and for silence.

        Raises:
            FeedStale: No data frame, no answer or no heartbeat came inside its limit.
        """
        if self._listing.next_expiry_ns <= now_ns:
            self._hooks.expire(now_ns)
        if self.state is State.IDLE:
            return
        if self._deadline_ns <= now_ns:
            self._miss_answer()
        self._silence.check(now_ns)
        if self._last_beat_ns + HEARTBEAT_LIMIT_NS <= now_ns:
            raise FeedStale(VENUE, f"{self.connection}: no heartbeat")
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again."""
        if self.state is State.IDLE:
            return
        is_market = self.connection == MARKET
        # Without a catalog every session may have fed any option.
        options = [o for o in self._fed() if o.has_top is not is_market]
        for option in options:
            # Its tickers quote it until tops come again.
            option.has_top = False
        self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None
        self._sink.event(
            FeedDown(
                venue=VENUE,
                received_ns=now_ns,
                connection=self.connection,
                slots=tuple(sorted(option.slot for option in options)),
                reason=reason,
            )
        )

    def set_plan(self, plan: Plan, now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went.

        Nothing needs to be renewed: what is the same is sent again every 5 s.
        """
        self._subscriptions.follow(plan)
        if self.state is State.IDLE:
            return
        if self.state is State.LIVE:
            self._set_route()
        self._work(now_ns)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        message = decode(VENUE, _decode_frame, frame)
        match message.type:
            case "subscriptions" | "unsubscribed":
                self._answer(frame, message.type, received_ns)
            case "heartbeat":
                self._last_beat_ns = received_ns
                self._work(received_ns)
            case "error":
                raise ProtocolViolation(VENUE, f"request refused, {message.message[:200]}")
            case "":
                self.counts["ignored.frame"] += 1
            case kind:
                if kind in PRICES:
                    self._silence.heard_ns = received_ns
                    if self.state is not State.LIVE:
                        self._begin(received_ns)
                self._pushes.take(frame, message, received_ns)

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        self._set_route()
        self._sink.event(FeedUp(venue=VENUE, received_ns=received_ns, connection=self.connection))

    def _answer(self, frame: bytes, kind: str, received_ns: int) -> None:
        """What became of the request that is out."""
        asked = self._asked
        told = decode(VENUE, _decode_subscribed, frame).channels if kind == SUBSCRIBED else []
        if asked is None:
            self.counts["ignored.answer"] += 1
            return
        accepted: set[Channel] = set(asked.channels)
        if asked.method == SUBSCRIBE:
            name = asked.channels[0][0]
            mine = [channel for channel in told if channel.name == name]
            if not mine:
                self.counts["ignored.answer"] += 1
                return
            accepted = {
                (name, symbol)
                for channel in mine
                if channel.error is None
                for symbol in channel.symbols or ("",)
            }
        self._settle(asked, accepted)
        self._work(received_ns)

    def _settle(self, asked: Batch[Channel], accepted: set[Channel]) -> None:
        self._asked, self._deadline_ns = None, NEVER_NS
        refused_count = self._subscriptions.settle(asked.channels, accepted)
        if refused_count:
            self.counts["channels_refused"] += refused_count
        if self._subscriptions.uncovered_count:
            self.counts["channels_uncovered"] = self._subscriptions.uncovered_count

    def _miss_answer(self) -> None:
        """An unsubscribe need not be answered; any other request must be.

        Raises:
            FeedStale: What is subscribed now is unknown; only a new session knows it again.
        """
        asked = self._asked
        if asked is not None and asked.method == UNSUBSCRIBE:
            self._settle(asked, set(asked.channels))
            return
        self.counts["request_unanswered"] += 1
        raise FeedStale(VENUE, f"{self.connection}: subscribe is not answered")

    def _work(self, now_ns: int) -> None:
        """Send the next request if its turn has come; set the next deadline."""
        subscriptions = self._subscriptions
        may_ask = self._asked is None and not subscriptions.is_idle
        if may_ask and self._pacer.take(now_ns):
            self._ask(subscriptions.next_batch(cut_request), now_ns)
        wanted = [channel for channel, option in subscriptions.plan.items() if option is not None]
        coverage = subscriptions.take_coverage(wanted)
        tell_coverage(self._sink, coverage, VENUE, self.connection, now_ns)
        due = [
            self._silence.due_ns,
            self._listing.next_expiry_ns,
            self._last_beat_ns + HEARTBEAT_LIMIT_NS,
            self._deadline_ns,
        ]
        if self._asked is None and not subscriptions.is_idle:
            due.append(self._pacer.free_ns)
        self.next_timeout_ns = min(due)

    def _ask(self, batch: Batch[Channel], now_ns: int) -> None:
        name = batch.channels[0][0]
        symbols = tuple(symbol for _, symbol in batch.channels if symbol)
        payload = messages.Payload([messages.Asked(name, symbols)])
        self._outbox.put_json(messages.Request(batch.method, payload))
        self._asked = batch
        is_drop = batch.method == UNSUBSCRIBE
        self._deadline_ns = now_ns + (DROP_TIMEOUT_NS if is_drop else REQUEST_TIMEOUT_NS)

    def _set_route(self) -> None:
        plan = self._subscriptions.plan
        self._route = {symbol: o for (_, symbol), o in plan.items() if o is not None}

    def _fed(self) -> list[Option]:
        if not self._listing.is_loaded:
            return list(self._listing.options.values())
        return [option for option in self._subscriptions.plan.values() if option is not None]

    def _forget_session(self) -> None:
        self._subscriptions.restart()
        self._pushes.readings.gathered.forget()
        self._outbox.restart()
        self._asked, self._deadline_ns = None, NEVER_NS
        self._route = {}
