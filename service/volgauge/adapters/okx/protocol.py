"""One websocket session with OKX as a pure state machine."""

from collections import Counter
from collections.abc import Callable

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.okx import messages, normalize
from volgauge.adapters.okx.endpoints import (
    CHANNEL_REFUSED,
    HANDOVER_NOTICE,
    MAX_FRAME_BYTES,
    PING,
    PING_NS,
    PONG,
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REQUEST_SPACING_NS,
    REQUEST_TIMEOUT_NS,
    VENUE,
)
from volgauge.adapters.okx.listing import Listing
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.normalize import to_error
from volgauge.adapters.okx.notifications import Maintenance, Notifications
from volgauge.adapters.okx.plan import MARKET, STATUS, Plan
from volgauge.adapters.okx.subscriptions import SUBSCRIBE, UNSUBSCRIBE, Requests
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.role import Role
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import FeedStale

NOT_A_TOP = (KeyError, *UNREADABLE)
CLOSED = frozenset({State.IDLE, State.SPARE})
TOPS = frozenset({"bbo-tbt", "tickers"})

_decode_hot = msgspec.json.Decoder(messages.TopFrame, strict=False).decode
_decode_frame = msgspec.json.Decoder(messages.Frame).decode


def new_pacer() -> Pacer:
    """One for each session, as the venue counts: never more than its hourly limit in any hour."""
    return Pacer(REQUEST_BURST, REQUEST_REFILL_NS, REQUEST_SPACING_NS)


class Hooks(Struct, frozen=True):
    """What a session tells its adapter."""

    listing_changed: Callable[[int], None]
    """The venue announced new or changed instruments (receipt)."""
    expire: Callable[[int], None]
    """The listing's next expiry has come (now)."""


class OkxProtocol:
    """Implements VenueProtocol for one of the adapter's connections."""

    venue = VENUE

    def __init__(
        self,
        connection: str,
        role: "Role[OkxProtocol]",
        url: str,
        listing: Listing,
        sink: EventSink,
        hooks: Hooks,
        *,
        ongoing: set[Maintenance],
        reconnect_after_seconds: float,
        compression: bool,
    ) -> None:
        self.connection = connection
        self.url = url
        self.max_frame_bytes = MAX_FRAME_BYTES
        self.compression = compression
        self.state = State.IDLE if role.join(self) else State.SPARE
        self.is_open = False
        self.next_timeout_ns: int | None = None
        self.counts: Counter[str] = Counter()
        self.subscriptions = Subscriptions[Arg, bool](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self.subscriptions.active
        )
        self._requests = Requests(self.subscriptions)
        self._role = role
        self._listing = listing
        self._sink = sink
        self._hooks = hooks
        self._notifications = Notifications(
            listing, sink, self.counts, ongoing, hooks.listing_changed
        )
        self._pacer = new_pacer()
        self._outbox = Outbox()
        self._ping_ns = NEVER_NS
        """When the next ping is due."""
        self._pong_ns = NEVER_NS
        """When its answer is overdue."""
        # The hot path: looked up once. Without a route before the first data of a session every
        # frame takes the long way, which announces it.
        self._quote = sink.quote
        self._routes: dict[str, tuple[int, float]] = {}
        self._has_tops = role.name != MARKET

    @property
    def role_name(self) -> str:
        """Of the connection as the plan and the engine know it."""
        return self._role.name

    @property
    def is_settled(self) -> bool:
        """Everything that was to be requested is, and answered or given up."""
        return self.subscriptions.is_settled

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self._pacer = new_pacer()
        self.is_open = True
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
        if not self._has_tops:
            self._receive_other(frame, received_ns)
            return
        try:
            message = _decode_hot(frame)
            slot, contract_size = self._routes[message.arg.inst_id]
        except NOT_A_TOP:
            # Any other frame, or a top of book with a number out of range.
            self._receive_other(frame, received_ns)
            return
        channel = message.arg.channel
        if channel not in TOPS:
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        for row in message.data:
            top = normalize.read_top(row, channel, contract_size)
            if top is None:
                self._receive_other(frame, received_ns)
                return
            bid, ask, bid_size, ask_size = top
            self._quote(slot, bid, ask, bid_size, ask_size, row.ts * NANOS_PER_MILLI, received_ns)

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
        if self.state in CLOSED:
            return
        late = self._requests.give_up(now_ns)
        if late:
            self.counts["request_unanswered"] += late
            self.counts["channels_uncovered"] = self.subscriptions.uncovered_count
            if not self._requests.has_answered:
                raise FeedStale(VENUE, f"{self.connection}: no request is answered")
        if self._pong_ns <= now_ns:
            raise FeedStale(VENUE, f"{self.connection}: a ping is not answered")
        self._silence.check(now_ns)
        if self._ping_ns <= now_ns:
            self._outbox.put(PING)
            self._ping_ns = now_ns + PING_NS
            self._pong_ns = now_ns + REQUEST_TIMEOUT_NS
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again.

        A session that does not lead feeds nothing that its leader does not feed too; what an heir
        has taken over already is not lost with the leader.
        """
        if not self.is_open:
            return
        self.is_open = False
        if self._role.lead is self:
            self.state = State.IDLE
            self._tell_down(self._role.lead_is_lost(), now_ns, reason)
        elif self.state is not State.SPARE:
            self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None

    def stand_by(self) -> None:
        """Become the spare: the shell closes the socket, what comes until then is dropped."""
        self.state = State.SPARE
        self._routes = {}

    def set_plan(self, plan: Plan, renewed: frozenset[str], now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went, renew what changed."""
        again = (
            {arg for arg in self.subscriptions.active if arg.inst_id in renewed} if renewed else ()
        )
        self.subscriptions.follow(plan, again)
        if self.state not in CLOSED:
            self._work(now_ns)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        if self.state is State.SPARE:
            # The other session has taken over; this socket is about to be closed.
            self.counts["ignored.superseded"] += 1
            return
        if frame == PONG:
            self.counts["ignored.heartbeat"] += 1
            self._pong_ns = NEVER_NS
            return
        message = decode(VENUE, _decode_frame, frame)
        if message.event:
            self._answer(message, received_ns)
        elif message.arg is not None and message.arg.channel and message.data:
            self._push(message.arg, message, received_ns)
        else:
            self.counts["ignored.frame"] += 1

    def _push(self, arg: Arg, message: messages.Frame, received_ns: int) -> None:
        self._silence.heard_ns = received_ns
        if self.state is not State.LIVE:
            self._begin(received_ns)
        if arg.channel.startswith("books") and self._is_superseded(arg):
            self.counts["ignored.superseded"] += 1
            return
        if not self._notifications.take(arg, message.action, message.data, received_ns):
            self.subscriptions.renew(arg)
            self._work(received_ns)

    def _is_superseded(self, arg: Arg) -> bool:
        """The heir delivers this channel already; updates of both would mix two sequences."""
        role = self._role
        return role.heir is not None and role.lead is self and arg in role.heir.subscriptions.active

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        self._routes = self._listing.routes
        if self._role.lead is self:
            self._tell_up(received_ns)
            if STATUS in self.subscriptions.plan:
                self._notifications.begin_session(received_ns)
        self._work(received_ns)

    def _tell_down(self, heir: "OkxProtocol | None", now_ns: int, reason: str) -> None:
        """Say what is lost with the lead; an heir that delivers speaks for the rest at once."""
        slots = self._fed_slots(heir)
        goes_on = heir is not None and heir.state is State.LIVE
        if goes_on and self._has_tops and not slots:
            return
        self._sink.event(
            FeedDown(
                venue=VENUE,
                received_ns=now_ns,
                connection=self._role.name,
                slots=slots,
                reason=reason,
                feeds_forwards=not self._has_tops or not self._listing.is_loaded,
            )
        )
        if goes_on:
            self._tell_up(now_ns)

    def _tell_up(self, now_ns: int) -> None:
        self._sink.event(FeedUp(venue=VENUE, received_ns=now_ns, connection=self._role.name))

    def _answer(self, answer: messages.Frame, received_ns: int) -> None:
        match answer.event:
            case "subscribe" | "unsubscribe" as method:
                arg = answer.arg
                if arg is None or not self._requests.acknowledge(method, arg):
                    self.counts["ignored.answer"] += 1
                elif method == UNSUBSCRIBE:
                    self._notifications.forget_book(arg)
            case "error" if answer.code in CHANNEL_REFUSED:
                self.counts[f"request_refused.{answer.code}"] += 1
                named = answer.arg or normalize.read_refused(answer.msg)
                if named is None or not self._requests.refuse(named):
                    # Whatever it was about stays unanswered, and is settled when that is overdue.
                    self.counts["ignored.refusal"] += 1
                self.counts["channels_uncovered"] = self.subscriptions.uncovered_count
            case "error":
                raise to_error(answer.code, answer.msg)
            case "notice" if answer.code == HANDOVER_NOTICE:
                self.counts["handover_announced"] += 1
                if not self._role.begin(self):
                    self.counts["handover_refused"] += 1
            case _:
                self.counts["ignored.notice"] += 1
        self._work(received_ns)

    def _work(self, now_ns: int) -> None:
        """Send the next subscription request if its turn has come; set the next deadline."""
        subscriptions = self.subscriptions
        if not subscriptions.is_idle and self._pacer.take(now_ns):
            batch = self._requests.take(now_ns)
            self._outbox.put_json(messages.Request(batch.method, batch.channels))
        self._role.try_complete()
        if self._role.lead is self:
            wanted = [arg for arg, has_prices in subscriptions.plan.items() if has_prices]
            coverage = subscriptions.take_coverage(wanted)
            tell_coverage(self._sink, coverage, VENUE, self._role.name, now_ns)
        due = [self._silence.due_ns, self._listing.next_expiry_ns, self._ping_ns, self._pong_ns]
        deadline_ns = self._requests.deadline_ns
        if deadline_ns is not None:
            due.append(deadline_ns)
        if not subscriptions.is_idle:
            due.append(self._pacer.free_ns)
        self.next_timeout_ns = min(due)

    def _fed_slots(self, heir: "OkxProtocol | None") -> tuple[int, ...]:
        """What this connection fed and the heir does not."""
        slots = self._listing.slots
        if not self._listing.is_loaded:
            return tuple(sorted(slots.values()))
        taken = frozenset(heir.subscriptions.active) if heir is not None else frozenset[Arg]()
        names = {arg.inst_id for arg in self.subscriptions.plan if arg not in taken}
        return tuple(sorted(slots[name] for name in names if name in slots))

    def _forget_session(self) -> None:
        self.subscriptions.restart()
        self._requests.restart()
        self._notifications.end_session()
        self._outbox.restart()
        self._ping_ns = self._pong_ns = NEVER_NS
        self._routes = {}
