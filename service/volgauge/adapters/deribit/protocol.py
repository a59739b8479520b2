"""One websocket session with Deribit as a pure state machine.

The venue acknowledges in another order and drops bad channels silently: what was requested but
not acknowledged is requested once more, then counted.
"""

from collections import Counter
from collections.abc import Callable

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.deribit import messages, normalize
from volgauge.adapters.deribit.endpoints import (
    CHANNEL_REFUSED,
    HEARTBEAT_SECONDS,
    MAX_FRAME_BYTES,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.deribit.listing import Listing
from volgauge.adapters.deribit.normalize import to_error
from volgauge.adapters.deribit.notifications import Notifications
from volgauge.adapters.deribit.plan import MARKET, Plan, cut_request, instrument_of
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.requests import Open, Requests
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import FeedStale, ProtocolViolation

Asked = Open[Batch[str] | None]
"""The channels of a request, if it is about any."""
NOT_A_QUOTE = (KeyError, *UNREADABLE)
SUBSCRIBE, UNSUBSCRIBE = "public/subscribe", "public/unsubscribe"
STATUS, TEST = "public/status", "public/test"
OPTIONAL_METHODS = frozenset({STATUS, TEST})
"""A session can live without their answer."""

_decode_hot = msgspec.json.Decoder(messages.QuoteFrame).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_channels = msgspec.json.Decoder(list[str]).decode


class Hooks(Struct, frozen=True):
    """What a session tells its adapter."""

    listing_changed: Callable[[int], None]
    """The venue announced a new or an ended instrument (receipt)."""
    expire: Callable[[int], None]
    """The listing's next expiry has come (now)."""


class DeribitProtocol:
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
        self._notifications = Notifications(listing, sink, self.counts, hooks.listing_changed)
        self._subscriptions = Subscriptions[str, bool](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self._subscriptions.active
        )
        self._requests = Requests[Batch[str] | None]()
        self._outbox = Outbox()
        # The hot path: looked up once. Without a route before the first data of a session every
        # frame takes the long way, which announces it.
        self._quote = sink.quote
        self._slot_of: dict[str, int] = {}

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self.state = State.SUBSCRIBING
        self._silence.heard_ns = now_ns
        self._request("public/set_heartbeat", {"interval": HEARTBEAT_SECONDS}, None, now_ns)
        if "platform_state" in self._subscriptions.plan:
            # A lock or an unlock may have been announced while nobody listened.
            self._request(STATUS, {}, None, now_ns)
        self._work(now_ns)

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Decode one frame and push its events into the sink.

        Raises:
            ProtocolViolation: The frame does not fit the documented schema.
            VenueUnavailable: The venue cannot serve now.
            RateLimited: The venue refused us for speed.
        """
        try:
            params = _decode_hot(frame).params
            slot = self._slot_of[params.channel]
        except NOT_A_QUOTE:
            # Any other frame, or a quote with a number out of range.
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        data = params.data
        if (
            (bid := data.best_bid_price)
            and (ask := data.best_ask_price)
            and (bid_size := data.best_bid_amount)
            and (ask_size := data.best_ask_amount)
        ):
            self._quote(
                slot, bid, ask, bid_size, ask_size, data.timestamp * NANOS_PER_MILLI, received_ns
            )
            return
        one_bid, bid_size = normalize.read_side(data.best_bid_price, data.best_bid_amount)
        one_ask, ask_size = normalize.read_side(data.best_ask_price, data.best_ask_amount)
        exchange_ns = data.timestamp * NANOS_PER_MILLI
        self._quote(slot, one_bid, one_ask, bid_size, ask_size, exchange_ns, received_ns)

    def frames_to_send(self) -> list[bytes]:
        """Take what waits to be sent, oldest first."""
        return self._outbox.take()

    def on_timeout(self, now_ns: int) -> None:
        """Send what may go out now, give up on what was not answered, watch for silence.

        Raises:
            FeedStale: No data frame, or no answer, came inside its limit.
        """
        if self._listing.next_expiry_ns <= now_ns:
            self._hooks.expire(now_ns)
        if self.state is State.IDLE:
            return
        while (late := self._requests.take_late(now_ns)) is not None:
            self.counts["request_unanswered"] += 1
            if late.method not in OPTIONAL_METHODS:
                # What is subscribed now is unknown; only a new session knows it again.
                raise FeedStale(VENUE, f"{self.connection}: {late.method} is not answered")
        self._silence.check(now_ns)
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again."""
        if self.state is State.IDLE:
            return
        down = FeedDown(
            venue=VENUE,
            received_ns=now_ns,
            connection=self.connection,
            slots=self._fed_slots(),
            reason=reason,
            feeds_forwards=self.connection == MARKET or not self._listing.is_loaded,
        )
        self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None
        self._sink.event(down)

    def set_plan(self, plan: Plan, renewed: frozenset[str], now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went, renew what changed."""
        was_watching = "platform_state" in self._subscriptions.plan
        again = (
            {name for name in self._subscriptions.active if instrument_of(name) in renewed}
            if renewed
            else ()
        )
        self._subscriptions.follow(plan, again)
        if self.state is State.IDLE:
            return
        if "platform_state" in plan and not was_watching:
            self._request(STATUS, {}, None, now_ns)
        self._work(now_ns)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        message = decode(VENUE, _decode_frame, frame)
        params = message.params
        if params is not None and params.channel:
            self._silence.heard_ns = received_ns
            if self.state is not State.LIVE:
                self._begin(received_ns)
            if not self._notifications.take(params.channel, params.data, received_ns):
                self._subscriptions.renew(params.channel)
                self._work(received_ns)
        elif params is not None and message.method == "heartbeat":
            if params.type == "test_request":
                self._request(TEST, {}, None, received_ns)
            else:
                self.counts["ignored.heartbeat"] += 1
        elif message.id is not None or message.error is not None:
            self._answer(message, received_ns)
        else:
            self.counts["ignored.frame"] += 1

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        self._slot_of = self._listing.quote_routes
        self._sink.event(FeedUp(venue=VENUE, received_ns=received_ns, connection=self.connection))
        self._notifications.begin_session(received_ns)

    def _answer(self, answer: messages.Frame, received_ns: int) -> None:
        pending = self._requests.close(answer.id)
        accepted: frozenset[str] = frozenset()
        if answer.error is not None:
            self._refusal(answer.error, pending)
        elif pending is None:
            self.counts["ignored.answer"] += 1
            return
        elif pending.batch is not None:
            accepted = frozenset(self._decode_accepted(answer.result))
        elif pending.method == STATUS:
            self._notifications.status(answer.result, received_ns)
        if pending is not None:
            self._settle(pending, accepted)
            self._work(received_ns)

    def _refusal(self, error: messages.Error, pending: Asked | None) -> None:
        """Count an error that concerns channels only; any other ends the session."""
        if pending is None or pending.batch is None or error.code not in CHANNEL_REFUSED:
            raise to_error(error)
        self.counts[f"request_refused.{error.code}"] += 1

    def _decode_accepted(self, result: msgspec.Raw) -> list[str]:
        try:
            return _decode_channels(result)
        except UNREADABLE as error:
            raise ProtocolViolation(VENUE, f"acknowledgement: {error}") from error

    def _settle(self, pending: Asked, accepted: frozenset[str]) -> None:
        batch = pending.batch
        if batch is None:
            return
        self._subscriptions.settle(batch.channels, accepted)
        self.counts["channels_uncovered"] = self._subscriptions.uncovered_count
        if batch.method == UNSUBSCRIBE:
            for channel in batch.channels:
                self._notifications.forget_book(channel)

    def _request(
        self, method: str, params: dict[str, object], batch: Batch[str] | None, now_ns: int
    ) -> None:
        number = self._requests.add(method, batch, now_ns + REQUEST_TIMEOUT_NS)
        self._outbox.put_json(messages.Request(number, method, params))

    def _work(self, now_ns: int) -> None:
        """Send the next subscription request if its turn has come; set the next deadline."""
        subscriptions = self._subscriptions
        if not subscriptions.is_idle and self._pacer.take(now_ns):
            batch = subscriptions.next_batch(cut_request)
            self._request(batch.method, {"channels": batch.channels}, batch, now_ns)
        wanted = [channel for channel, has_prices in subscriptions.plan.items() if has_prices]
        coverage = subscriptions.take_coverage(wanted)
        tell_coverage(self._sink, coverage, VENUE, self.connection, now_ns)
        due = [self._silence.due_ns, self._listing.next_expiry_ns, self._requests.deadline_ns]
        if not subscriptions.is_idle:
            due.append(self._pacer.free_ns)
        next_ns = min(due)
        self.next_timeout_ns = None if next_ns == NEVER_NS else next_ns

    def _fed_slots(self) -> tuple[int, ...]:
        slots = self._listing.slots
        if not self._listing.is_loaded:
            return tuple(sorted(slots.values()))
        # A ticker is asked for its forward: its option is quoted by another channel.
        plan = self._subscriptions.plan
        names = {instrument_of(channel) for channel in plan if not channel.startswith("ticker.")}
        return tuple(sorted(slots[name] for name in names if name in slots))

    def _forget_session(self) -> None:
        self._subscriptions.restart()
        self._notifications.forget_books()
        self._requests.restart()
        self._outbox.restart()
        self._slot_of = {}
