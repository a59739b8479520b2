"""One websocket session with Binance as a pure state machine."""

import re
from collections import Counter

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.binance import messages
from volgauge.adapters.binance.endpoints import (
    LAG_MILLIS,
    MARKET_ROUTE,
    MAX_FRAME_BYTES,
    PUBLIC_ROUTE,
    RATE_LIMITED,
    RENEWAL_NS,
    REQUEST_SPACING_NS,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.binance.listing import Listing, Option
from volgauge.adapters.binance.plan import CHAIN, INDICES, MARKET, SYMBOLS, Plan
from volgauge.adapters.binance.pushes import Hooks, Pushes
from volgauge.adapters.binance.subscriptions import SUBSCRIBE, UNSUBSCRIBE, take_request
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.requests import Requests
from volgauge.adapters.role import Role
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp, Gap
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited

NOT_A_TOP = (KeyError, *UNREADABLE)
CLOSED = frozenset({State.IDLE, State.SPARE})
BOOK_TICKER = "bookTicker"
_KINDS = {CHAIN.removeprefix("@"): "markPrice", BOOK_TICKER: BOOK_TICKER}
_PARTIAL_BOOK = re.compile(r"depth(?:5|10|20)(?:@[0-9]{3}ms)?")
_INTEREST = re.compile(r"optionOpenInterest@[0-9]{6}")
_GLOBAL = {INDICES: "indexPrice", SYMBOLS: "optionSymbol"}
_BARE = frozenset({"markPrice", "bookTicker", "indexPrice", "openInterest", "optionSymbol"})
"""Events that say what they are without a stream's name; a partial book does not."""


class _Kind(Struct, frozen=True, gc=False):
    """Of a bare row."""

    event: str = msgspec.field(name="e", default="")


_decode_hot = msgspec.json.Decoder(messages.TopFrame, strict=False).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_kinds = msgspec.json.Decoder(list[_Kind]).decode
_decode_refusal = msgspec.json.Decoder(messages.Refusal).decode


class BinanceProtocol:
    """Implements VenueProtocol for one of the adapter's connections.

    A `hot` connection is told of to nobody: what it quotes the chain quotes too, a second later at
    most, so its loss loses nothing while `market` lives.
    """

    venue = VENUE

    def __init__(
        self,
        connection: str,
        role: "Role[BinanceProtocol]",
        base_url: str,
        listing: Listing,
        sink: EventSink,
        hooks: Hooks,
        *,
        handover_ns: int,
        reconnect_after_seconds: float,
        compression: bool,
    ) -> None:
        self.is_market = role.name == MARKET
        self.connection = connection
        self.url = base_url.rstrip("/") + (MARKET_ROUTE if self.is_market else PUBLIC_ROUTE)
        self.max_frame_bytes = MAX_FRAME_BYTES
        self.compression = compression
        role.join(self)
        # Without an option to stream, a hot connection is not opened either.
        self.state = State.IDLE if self.is_market and role.lead is self else State.SPARE
        self.is_open = False
        self.next_timeout_ns: int | None = None
        self.counts: Counter[str] = Counter()
        self.subscriptions = Subscriptions[str, str](SUBSCRIBE, UNSUBSCRIBE)
        self._requests = Requests[Batch[str]]()
        self._role = role
        self._listing = listing
        self._sink = sink
        self._hooks = hooks
        self._pushes = Pushes(listing, sink, self.counts, hooks)
        self._handover_after_ns = handover_ns
        self._outbox = Outbox()
        self._handover_ns = NEVER_NS
        """When the spare is called."""
        self._free_ns = 0
        """When the next request may go out."""
        self._chains: dict[str, int] = {}
        """Subscribed chain to the newest receipt of it."""
        self._settled_ns = 0
        """When a subscribe was answered last."""
        self._missed: set[str] = set()
        """Streams whose prices moved, as the chain shows, since the last data."""
        # Chains come every second, or the route is wrong. Nothing may happen on a hot connection
        # for hours; it is silent when the chain shows that something did.
        expected = self._chains if self.is_market else self._missed
        self._silence = Silence(VENUE, connection, reconnect_after_seconds, expected)
        self._renewed_ns: dict[str, int] = {}
        """Silent stream to when it was asked for again."""
        self._silent: set[str] = set()
        """Streams that stay silent although they were asked for again."""
        # The hot path. Without a route before the first data of a session every frame takes the
        # long way, which announces it.
        self._route: dict[str, Option] = {}

    @property
    def role_name(self) -> str:
        """Of the connection as the plan knows it."""
        return self._role.name

    @property
    def is_lead(self) -> bool:
        """Speaks for its connection."""
        return self._role.lead is self

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        return self.subscriptions.is_settled

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self.is_open = True
        self.state = State.SUBSCRIBING
        self._free_ns = self._silence.heard_ns = now_ns
        self._handover_ns = now_ns + self._handover_after_ns
        self._work(now_ns)

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Decode one frame and push its events into the sink.

        Raises:
            ProtocolViolation: The frame does not fit the documented schema.
            RateLimited: The venue refused us for speed.
        """
        if self.is_market:
            self._receive_other(frame, received_ns)
            return
        try:
            top = _decode_hot(frame).data
            option = self._route[top.symbol]
        except NOT_A_TOP:
            # Any other frame, or a top of book with a number out of range.
            self._receive_other(frame, received_ns)
            return
        if top.event != BOOK_TICKER:
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        self._missed.clear()
        self._pushes.ticker(option, top, received_ns)

    def frames_to_send(self) -> list[bytes]:
        """Take what waits to be sent, oldest first."""
        return self._outbox.take()

    def on_timeout(self, now_ns: int) -> None:
        """Send what may go out now, call the spare in time, watch for silence.

        Raises:
            FeedStale: No data, or no answer, came inside its limit.
        """
        if self._listing.next_expiry_ns <= now_ns:
            self._hooks.expire(now_ns)
        if self.state in CLOSED:
            return
        if self._requests.deadline_ns <= now_ns:
            self.counts["request_unanswered"] += 1
            raise FeedStale(VENUE, f"{self.connection}: a request is not answered")
        self._silence.check(now_ns)
        if self._handover_ns <= now_ns:
            self._handover_ns = NEVER_NS
            self.counts["handover_begun"] += self._role.begin(self)
        for stream in [s for s in self._chains if self._chain_due_ns(s) <= now_ns]:
            self._chain_is_silent(stream, now_ns)
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again.

        A session that does not lead feeds nothing that its leader does not feed too.
        """
        if not self.is_open:
            return
        self.is_open = False
        mine = set(self.subscriptions.active)
        if self.is_lead:
            self.state = State.IDLE if self.is_market or self.subscriptions.plan else State.SPARE
            heir = self._role.lead_is_lost()
            if self.is_market:
                self._tell_down(heir, now_ns, reason)
            else:
                self._release(mine - (heir.subscriptions.active if heir else set()), now_ns)
        elif self.state is not State.SPARE:
            self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None

    def stand_by(self) -> None:
        """Become the spare: the shell closes the socket, what comes until then is dropped."""
        self.state = State.SPARE
        self._route = {}

    def set_plan(self, plan: Plan, now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went.

        An option with new terms is quoted by the chain until its stream speaks again.
        """
        self.subscriptions.follow(plan)
        for stream in self._chains.keys() - plan.keys():
            del self._chains[stream]
        self._silent.intersection_update(plan)
        self._renewed_ns = {s: at_ns for s, at_ns in self._renewed_ns.items() if s in plan}
        if not self.is_market and not plan and self.state is not State.SPARE:
            self._role.dismiss(self)
            self.stand_by()
        elif plan and self.is_lead and self.state is State.SPARE:
            self.state = State.IDLE
        if self.state not in CLOSED:
            self._work(now_ns)

    def note_missed(self, stream: str, received_ns: int) -> None:
        """The chain shows a price that this stream should have told by now."""
        lag_ns = LAG_MILLIS * NANOS_PER_MILLI
        if stream not in self.subscriptions.active or received_ns - self._settled_ns < lag_ns:
            return
        self.counts["streams_silent"] += 1
        if received_ns - self._silence.heard_ns >= lag_ns:
            # Not this stream, the whole session is silent.
            self._missed.add(stream)
        else:
            self._renew(stream, received_ns)
        self._work(received_ns)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        if self.state is State.SPARE and self.is_open:
            # The other session has taken over; this socket is about to be closed.
            self.counts["ignored.superseded"] += 1
            return
        if frame.startswith(b"["):
            kinds = decode(VENUE, _decode_kinds, frame)
            self._push(_bare(kinds[0].event if kinds else ""), frame, received_ns)
            return
        message = decode(VENUE, _decode_frame, frame)
        if message.stream:
            if message.stream in self._chains:
                self._chains[message.stream] = received_ns
                self._silent.discard(message.stream)
            self._push(_kind_of(message.stream), message.data, received_ns)
        elif message.id is not None or message.code is not None:
            self._answer(message, received_ns)
        elif message.event:
            kind = _bare(message.event)
            self._push(kind, b"[%s]" % frame if kind == "markPrice" else frame, received_ns)
        else:
            self.counts["ignored.frame"] += 1

    def _push(self, kind: str, data: bytes | msgspec.Raw, received_ns: int) -> None:
        # Indices alone do not keep `market` alive: only a chain quotes.
        if not self.is_market or kind == "markPrice":
            self._silence.heard_ns = received_ns
            self._missed.clear()
            if self.state is not State.LIVE:
                self._begin(received_ns)
        self._pushes.take(kind, data, received_ns)

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        if not self.is_market:
            self._route = self._listing.options
        elif self.is_lead:
            self._sink.event(
                FeedUp(venue=VENUE, received_ns=received_ns, connection=self._role.name)
            )
        self._work(received_ns)

    def _answer(self, message: messages.Frame, received_ns: int) -> None:
        """What became of a request.

        Raises:
            ProtocolViolation: The venue cannot read us.
            RateLimited: The venue refused us for speed.
        """
        refusal = None
        if message.error:
            refusal = decode(VENUE, _decode_refusal, message.error)
        elif message.code is not None:
            refusal = messages.Refusal(message.code, message.msg)
        number = message.id
        if refusal is not None and refusal.code in RATE_LIMITED:
            raise RateLimited(VENUE, f"{refusal.code} {refusal.msg}"[:300])
        if refusal is not None and not isinstance(number, int):
            raise ProtocolViolation(VENUE, f"request refused, {refusal.code} {refusal.msg}"[:300])
        asked = self._requests.close(number)
        if asked is None:
            self.counts["ignored.answer"] += 1
            self._work(received_ns)
            return
        streams = asked.batch.channels
        self.subscriptions.settle(streams, streams if refusal is None else ())
        if refusal is not None:
            self.counts[f"request_refused.{refusal.code}"] += 1
            self.counts["streams_uncovered"] = self.subscriptions.uncovered_count
        elif asked.method == SUBSCRIBE:
            self._settled_ns = received_ns
            self._chains.update((s, received_ns) for s in streams if s.endswith(CHAIN))
        else:
            for stream in self._chains.keys() & set(streams):
                del self._chains[stream]
        self._work(received_ns)

    def _chain_is_silent(self, stream: str, now_ns: int) -> None:
        """The others come: ask for this one again; what it quoted is worth nothing meanwhile."""
        self.counts["chains_silent"] += 1
        self._chains[stream] = now_ns
        underlying = self.subscriptions.plan.get(stream, "")
        known = self._listing.underlyings.get(underlying)
        if self.is_lead and known is not None and stream not in self._silent:
            self._gap(
                [
                    option
                    for option in self._listing.options.values()
                    if (option.expiry.asset, option.expiry.quote_currency) == known
                    and not option.is_streamed
                ],
                "silent",
                now_ns,
            )
            self._pushes.withdraw_forwards(
                (
                    e
                    for e in self._listing.expiries.values()
                    if (e.asset, e.quote_currency) == known
                ),
                now_ns,
            )
        self._silent.add(stream)
        self.subscriptions.renew(stream)

    def _renew(self, stream: str, now_ns: int) -> None:
        """Ask for a silent stream again; silent once more, it counts as not covered."""
        before_ns = self._renewed_ns.get(stream)
        if before_ns is not None:
            if now_ns - before_ns < RENEWAL_NS:
                return
            self._silent.add(stream)
        self._renewed_ns[stream] = now_ns
        self.subscriptions.renew(stream)

    def _release(self, streams: set[str], now_ns: int) -> None:
        """The chain quotes these options from now on; without it nobody does."""
        lost = []
        for stream in streams:
            option = self._listing.options.get(self.subscriptions.plan.get(stream, ""))
            if option is not None and option.is_streamed:
                option.forget()
                lost.append(option)
        if not self._hooks.is_chain_live():
            self._gap(lost, "feed_lost", now_ns)

    def _gap(self, options: list[Option], reason: str, now_ns: int) -> None:
        if options:
            slots = tuple(sorted(option.slot for option in options))
            self._sink.event(Gap(venue=VENUE, received_ns=now_ns, slots=slots, reason=reason))

    def _tell_down(self, heir: "BinanceProtocol | None", now_ns: int, reason: str) -> None:
        """Say what is lost with the chains, unless the next session has them already."""
        if heir is not None and heir.state is State.LIVE:
            return
        lost = [option for option in self._listing.options.values() if not option.is_streamed]
        self._sink.event(
            FeedDown(
                venue=VENUE,
                received_ns=now_ns,
                connection=self._role.name,
                slots=tuple(sorted(option.slot for option in lost)),
                reason=reason,
                feeds_forwards=True,
            )
        )
        for option in lost:
            option.forget()

    def _work(self, now_ns: int) -> None:
        """Send the next subscription request if its turn has come; set the next deadline."""
        subscriptions = self.subscriptions
        has_room = True
        if not subscriptions.is_idle and self._free_ns <= now_ns:
            batch = take_request(subscriptions)
            if batch is None:
                has_room = False
            else:
                deadline_ns = now_ns + REQUEST_TIMEOUT_NS
                number = self._requests.add(batch.method, batch, deadline_ns)
                self._outbox.put_json(messages.Request(batch.method, batch.channels, number))
                self._free_ns = now_ns + REQUEST_SPACING_NS
        self._role.try_complete()
        if self.is_lead and subscriptions.is_settled:
            wanted = [stream for stream, about in subscriptions.plan.items() if about]
            coverage = subscriptions.take_coverage(wanted, self._silent)
            tell_coverage(self._sink, coverage, VENUE, self._role.name, now_ns)
        due = [self._silence.due_ns, self._listing.next_expiry_ns, self._handover_ns]
        due += [self._chain_due_ns(stream) for stream in self._chains]
        due.append(self._requests.deadline_ns)
        if not subscriptions.is_idle and has_room:
            due.append(self._free_ns)
        self.next_timeout_ns = min(due)

    def _chain_due_ns(self, stream: str) -> int:
        return self._chains[stream] + self._silence.limit_ns

    def _forget_session(self) -> None:
        self.subscriptions.restart()
        self._requests.restart()
        self._outbox.restart()
        self._chains.clear()
        self._renewed_ns.clear()
        self._silent.clear()
        self._missed.clear()
        self._handover_ns = NEVER_NS
        self._route = {}


def _kind_of(stream: str) -> str:
    """The events of a stream, in the venue's word; "" of one that we do not read."""
    if stream in _GLOBAL:
        return _GLOBAL[stream]
    channel = stream.partition("@")[2]
    if channel in _KINDS:
        return _KINDS[channel]
    if _PARTIAL_BOOK.fullmatch(channel):
        return "depthUpdate"
    return "openInterest" if _INTEREST.fullmatch(channel) else ""


def _bare(event: str) -> str:
    return event if event in _BARE else ""
