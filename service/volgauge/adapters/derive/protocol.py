"""One websocket session with Derive as a pure state machine.

The answer to a request has a status for each channel. What is refused, or not named at all, is
requested once more, then counted.
"""

from collections import Counter
from collections.abc import Callable
from math import nan

import msgspec

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.derive import messages
from volgauge.adapters.derive.endpoints import (
    ACCEPTED,
    CHANNEL_REFUSED,
    MAX_FRAME_BYTES,
    PING_NS,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.derive.listing import Listing, Option
from volgauge.adapters.derive.normalize import to_error
from volgauge.adapters.derive.plan import Plan, cut_request, instrument_of
from volgauge.adapters.derive.pushes import Pushes
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.requests import Open, Requests
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.errors import FeedStale, RateLimited, VenueUnavailable

Asked = Open[Batch[str] | None]
"""The channels of a request, if it is about any."""
NOT_HOT = (KeyError, *UNREADABLE)
SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"
TIME = "public/get_time"
"""Asked as a ping."""

_decode_hot = msgspec.json.Decoder(messages.Push, strict=False).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_acknowledgement = msgspec.json.Decoder(messages.Acknowledgement).decode


class DeriveProtocol:
    """Implements VenueProtocol for one of the adapter's connections."""

    venue = VENUE

    def __init__(
        self,
        connection: str,
        url: str,
        listing: Listing,
        sink: EventSink,
        pacer: Pacer,
        expire: Callable[[int], None],
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
        self._expire = expire
        """Tells the adapter that the listing's next expiry has come (now)."""
        self._subscriptions = Subscriptions[str, Option | None](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self._subscriptions.active
        )
        self._pushes = Pushes(listing, sink, self.counts)
        self._requests = Requests[Batch[str] | None]()
        self._outbox = Outbox()
        self._ping_ns = NEVER_NS
        # The hot path: looked up once. Without a route before the first data of a session every
        # frame takes the long way, which announces it.
        self._ticker = self._pushes.ticker
        self._route: dict[str, Option] = {}

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self.state = State.SUBSCRIBING
        self._silence.heard_ns = now_ns
        self._ping_ns = now_ns + PING_NS
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
            option = self._route[params.channel]
        except NOT_HOT:
            # Any other frame, or a ticker with a number out of range.
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        self._ticker(params.data.instrument_ticker, option, received_ns)

    def frames_to_send(self) -> list[bytes]:
        """Take what waits to be sent, oldest first."""
        return self._outbox.take()

    def on_timeout(self, now_ns: int) -> None:
        """Send what may go out now, watch for answers that are missing and for silence.

        Raises:
            FeedStale: No data frame, or no answer, came inside its limit.
        """
        if self._listing.next_expiry_ns <= now_ns:
            self._expire(now_ns)
        if self.state is State.IDLE:
            return
        late = self._requests.take_late(now_ns)
        if late is not None:
            self.counts["request_unanswered"] += 1
            # What is subscribed now is unknown; only a new session knows it again.
            raise FeedStale(VENUE, f"{self.connection}: {late.method} is not answered")
        self._silence.check(now_ns)
        if self._ping_ns <= now_ns:
            self._ping_ns = now_ns + PING_NS
            self._request(TIME, {}, None, now_ns)
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again."""
        if self.state is State.IDLE:
            return
        options = self._fed()
        expiries = {id(o.expiry): o.expiry for o in options}
        last_data_ns = self._silence.heard_ns
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
        for expiry in expiries.values():
            # As of the last data: a loss must not look like news.
            self._pushes.readings.forward(expiry, nan, 0, last_data_ns)
            expiry.forward_ns = 0

    def set_plan(self, plan: Plan, renewed: frozenset[str], now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went, renew what changed."""
        again = (
            {name for name in self._subscriptions.active if instrument_of(name) in renewed}
            if renewed
            else ()
        )
        self._subscriptions.follow(plan, again)
        if self.state is State.IDLE:
            return
        if self.state is State.LIVE:
            self._set_route()
        self._work(now_ns)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        message = decode(VENUE, _decode_frame, frame)
        params = message.params
        if params is not None and params.channel:
            self._silence.heard_ns = received_ns
            if self.state is not State.LIVE:
                self._begin(received_ns)
            self._pushes.take(params.channel, params.data, received_ns)
        elif message.id is not None or message.error is not None:
            self._answer(message, received_ns)
        else:
            self.counts["ignored.frame"] += 1

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        self._set_route()
        self._sink.event(FeedUp(venue=VENUE, received_ns=received_ns, connection=self.connection))

    def _answer(self, answer: messages.Frame, received_ns: int) -> None:
        """What became of a request.

        Raises:
            ProtocolViolation: The answer cannot be read, or says that we break the protocol.
            VenueUnavailable: The venue cannot serve now.
            RateLimited: The venue refused us for speed.
        """
        pending = self._requests.close(answer.id)
        accepted: frozenset[str] = frozenset()
        if answer.error is not None:
            self._refusal(answer.error, pending)
        elif pending is not None and pending.batch is not None:
            status = decode(VENUE, _decode_acknowledgement, answer.result).status
            accepted = frozenset(name for name, word in status.items() if word == ACCEPTED)
        if pending is None:
            self.counts["ignored.answer"] += 1
        elif pending.batch is not None:
            self._settle(pending.batch, accepted)
            self._work(received_ns)

    def _refusal(self, error: messages.Error, pending: Asked | None) -> None:
        """Count an error that concerns channels, or a ping; any other ends the session."""
        mapped = to_error(error)
        is_final = isinstance(mapped, RateLimited | VenueUnavailable)
        concerns_channels = pending is not None and (
            pending.batch is None or error.code in CHANNEL_REFUSED
        )
        if is_final or not concerns_channels:
            raise mapped
        self.counts[f"request_refused.{error.code}"] += 1

    def _settle(self, batch: Batch[str], accepted: frozenset[str]) -> None:
        refused_count = self._subscriptions.settle(batch.channels, accepted)
        if refused_count:
            self.counts["channels_refused"] += refused_count
        if self._subscriptions.uncovered_count:
            self.counts["channels_uncovered"] = self._subscriptions.uncovered_count

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
        wanted = [channel for channel, option in subscriptions.plan.items() if option is not None]
        coverage = subscriptions.take_coverage(wanted)
        tell_coverage(self._sink, coverage, VENUE, self.connection, now_ns)
        due = [
            self._silence.due_ns,
            self._listing.next_expiry_ns,
            self._ping_ns,
            self._requests.deadline_ns,
        ]
        if not subscriptions.is_idle:
            due.append(self._pacer.free_ns)
        self.next_timeout_ns = min(due)

    def _set_route(self) -> None:
        plan = self._subscriptions.plan
        self._route = {name: option for name, option in plan.items() if option is not None}

    def _fed(self) -> list[Option]:
        if not self._listing.is_loaded:
            return list(self._listing.options.values())
        return [option for option in self._subscriptions.plan.values() if option is not None]

    def _forget_session(self) -> None:
        self._subscriptions.restart()
        self._pushes.readings.gathered.forget()
        self._requests.restart()
        self._outbox.restart()
        self._ping_ns = NEVER_NS
        self._route = {}
