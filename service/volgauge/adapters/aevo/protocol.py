"""One websocket session with Aevo as a pure state machine.

The answer to a subscribe names the channels that were accepted; an error in its place names none.
What is refused, or not named, is requested once more, alone, then counted.
"""

from collections import Counter
from collections.abc import Callable

import msgspec

from volgauge.adapters.aevo import messages
from volgauge.adapters.aevo.endpoints import (
    CHANNEL_REFUSED,
    MAX_FRAME_BYTES,
    PING_NS,
    RENEWAL_NS,
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.aevo.listing import Listing
from volgauge.adapters.aevo.normalize import to_error
from volgauge.adapters.aevo.plan import BOOKS, INDICES, TICKERS, Plan, books_of, cut_request
from volgauge.adapters.aevo.pushes import Hooks, Pushes
from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.requests import Open, Requests
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.domain.instrument import Asset
from volgauge.errors import FeedStale, RateLimited, VenueUnavailable

Asked = Open[Batch[str] | None]
"""The channels of a request, if it is about any."""
SUBSCRIBE, UNSUBSCRIBE, PING = "subscribe", "unsubscribe", "ping"

_decode_hot = msgspec.json.Decoder(messages.Push, strict=False).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_names = msgspec.json.Decoder(list[str]).decode
_decode_retry = msgspec.json.Decoder(messages.Retry, strict=False).decode


class AevoProtocol:
    """Implements VenueProtocol for the adapter's one connection."""

    venue = VENUE

    def __init__(
        self,
        connection: str,
        url: str,
        listing: Listing,
        sink: EventSink,
        expire: Callable[[int], None],
        unlisted: Callable[[str, int], None],
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
        self._expire = expire
        """Tells the adapter that the listing's next expiry has come (now)."""
        self._pacer = Pacer(REQUEST_BURST, REQUEST_REFILL_NS)
        self._subscriptions = Subscriptions[str, Asset | None](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self._subscriptions.active
        )
        self._pushes = Pushes(listing, sink, self.counts, Hooks(self._missed, unlisted))
        self._requests = Requests[Batch[str] | None]()
        self._outbox = Outbox()
        self._ping_ns = NEVER_NS
        self._renewed_ns: dict[str, int] = {}
        """When a channel was asked for anew."""

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
            push = _decode_hot(frame)
        except UNREADABLE:
            # An answer, or a push with a number out of range.
            self._receive_other(frame, received_ns)
            return
        kind, _, about = push.channel.partition(":")
        data = push.data
        if kind == BOOKS and data.tickers is not None:
            self._note_data(received_ns)
            self._pushes.books(data.tickers, data.timestamp, received_ns)
        elif kind == TICKERS and data.tickers is not None:
            self._note_data(received_ns)
            self._pushes.tickers(data.tickers, data.timestamp, received_ns)
        elif kind == INDICES and data.price is not None:
            self._note_data(received_ns)
            self._pushes.references.index(about, data.price, data.timestamp, received_ns)
        else:
            self._receive_other(frame, received_ns)

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
            self._request(PING, None, now_ns)
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what it fed, which is all, is worth nothing until it is told again."""
        if self.state is State.IDLE:
            return
        slots = tuple(sorted(option.slot for option in self._listing.options.values()))
        self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None
        self._sink.event(
            FeedDown(
                venue=VENUE,
                received_ns=now_ns,
                connection=self.connection,
                slots=slots,
                reason=reason,
                feeds_forwards=True,
            )
        )

    def set_plan(self, plan: Plan, now_ns: int) -> None:
        """Follow a new plan after a new listing: subscribe what came, drop what went."""
        self._subscriptions.follow(plan)
        self._pushes.take_early(now_ns)
        if self.state is not State.IDLE:
            self._work(now_ns)

    def renew_books(self, assets: frozenset[Asset], now_ns: int) -> None:
        """Ask for the tops of some coins anew: terms have changed, and with them the slots."""
        for asset in sorted(assets):
            self._missed(asset, now_ns)
        if self.state is not State.IDLE:
            self._work(now_ns)

    def _missed(self, asset: Asset, now_ns: int) -> None:
        """The book ticker does not tell what it should: subscribe it again, but not too often."""
        channel = books_of(asset)
        if now_ns - self._renewed_ns.get(channel, -RENEWAL_NS) < RENEWAL_NS:
            return
        self._renewed_ns[channel] = now_ns
        self._subscriptions.renew(channel)
        # Sent with the next deadline: this may be the middle of a frame.
        if self.next_timeout_ns is not None:
            self.next_timeout_ns = min(self.next_timeout_ns, now_ns)

    def _note_data(self, received_ns: int) -> None:
        self._silence.heard_ns = received_ns
        if self.state is not State.LIVE:
            # The first data of the session.
            self.state = State.LIVE
            self._sink.event(
                FeedUp(venue=VENUE, received_ns=received_ns, connection=self.connection)
            )

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        message = decode(VENUE, _decode_frame, frame)
        if message.error or message.id is not None:
            self._answer(message, received_ns)
        elif message.channel:
            self._note_data(received_ns)
            self._pushes.take(message.channel, message.data, received_ns)
        elif not self._settle_by_name(message, received_ns):
            self.counts["ignored.frame"] += 1

    def _settle_by_name(self, answer: messages.Frame, received_ns: int) -> bool:
        """An answer without a number; no page shows the one to a subscribe. True when it was one.

        It answers the oldest request that has one of its channels.
        """
        try:
            named = frozenset(_decode_names(answer.data))
        except UNREADABLE:
            return False
        for number, pending in self._requests.open.items():
            if pending.batch is not None and named.intersection(pending.batch.channels):
                self._requests.close(number)
                self._settle(pending.batch, named)
                self._work(received_ns)
                return True
        return False

    def _answer(self, answer: messages.Frame, received_ns: int) -> None:
        """What became of a request.

        Raises:
            ProtocolViolation: The answer cannot be read, or says that we break the protocol.
            VenueUnavailable: The venue cannot serve now.
            RateLimited: The venue refused us for speed.
        """
        pending = self._requests.close(answer.id)
        accepted: frozenset[str] = frozenset()
        if answer.error:
            self._refusal(answer, pending)
        elif pending is not None and pending.method == SUBSCRIBE:
            accepted = frozenset(decode(VENUE, _decode_names, answer.data))
        if pending is None:
            self.counts["ignored.answer"] += 1
        elif pending.batch is not None:
            self._settle(pending.batch, accepted)
            self._work(received_ns)

    def _refusal(self, answer: messages.Frame, pending: Asked | None) -> None:
        """Count an error that concerns channels, or a ping; any other ends the session."""
        try:
            retry_after_ns = _decode_retry(answer.data).retry_after
        except UNREADABLE:
            retry_after_ns = 0
        mapped = to_error(answer.error, retry_after_ns)
        is_final = isinstance(mapped, RateLimited | VenueUnavailable)
        concerns_channels = pending is not None and (
            pending.batch is None or answer.error in CHANNEL_REFUSED
        )
        if is_final or not concerns_channels:
            raise mapped
        self.counts["request_refused"] += 1

    def _settle(self, batch: Batch[str], accepted: frozenset[str]) -> None:
        # What is unsubscribed is none of the session's, whatever the answer names.
        refused_count = self._subscriptions.settle(batch.channels, accepted)
        if refused_count:
            self.counts["channels_refused"] += refused_count
        if self._subscriptions.uncovered_count:
            self.counts["channels_uncovered"] = self._subscriptions.uncovered_count

    def _request(self, method: str, batch: Batch[str] | None, now_ns: int) -> None:
        number = self._requests.add(method, batch, now_ns + REQUEST_TIMEOUT_NS)
        channels = () if batch is None else batch.channels
        self._outbox.put_json(messages.Request(method, number, channels))

    def _work(self, now_ns: int) -> None:
        """Send the next subscription request if its turn has come; set the next deadline."""
        subscriptions = self._subscriptions
        if not subscriptions.is_idle and self._pacer.take(now_ns):
            batch = subscriptions.next_batch(
                lambda channels: cut_request(channels, subscriptions.retried)
            )
            self._request(batch.method, batch, now_ns)
        wanted = [channel for channel, coin in subscriptions.plan.items() if coin is not None]
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

    def _forget_session(self) -> None:
        self._subscriptions.restart()
        self._pushes.forget()
        self._requests.restart()
        self._outbox.restart()
        self._renewed_ns.clear()
        self._ping_ns = NEVER_NS
