"""One websocket session with Bybit as a pure state machine."""

from collections import Counter
from math import nan

import msgspec

from volgauge.adapters.base import NEVER_NS, State
from volgauge.adapters.bybit import messages
from volgauge.adapters.bybit.endpoints import (
    ALREADY_SUBSCRIBED,
    BAN_SECONDS,
    MAX_FRAME_BYTES,
    PING_NS,
    RENEWAL_NS,
    REQUEST_SPACING_NS,
    REQUEST_TIMEOUT_NS,
    TOO_FREQUENT,
    VENUE,
)
from volgauge.adapters.bybit.listing import Listing, Option
from volgauge.adapters.bybit.plan import BOOKS, TICKERS, Plan
from volgauge.adapters.bybit.pushes import Hooks, Pushes, decode_push
from volgauge.adapters.bybit.subscriptions import SUBSCRIBE, UNSUBSCRIBE, take_request
from volgauge.adapters.outbox import Outbox
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.adapters.requests import Open, Requests
from volgauge.adapters.silence import Silence
from volgauge.adapters.subscriptions import Batch, Subscriptions, tell_coverage
from volgauge.domain.events import EventSink, FeedDown, FeedUp
from volgauge.errors import FeedStale, RateLimited

NOT_HOT = (KeyError, *UNREADABLE)
COMMAND_RESP = "COMMAND_RESP"

_decode_frame = msgspec.json.Decoder(messages.Frame).decode
_decode_command = msgspec.json.Decoder(messages.CommandData).decode


class BybitProtocol:
    """Implements VenueProtocol for one of the adapter's connections."""

    venue = VENUE

    def __init__(
        self,
        connection: str,
        url: str,
        listing: Listing,
        sink: EventSink,
        hooks: Hooks,
        *,
        with_depth: bool,
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
        self._hooks = hooks
        self._subscriptions = Subscriptions[str, Option | None](SUBSCRIBE, UNSUBSCRIBE)
        self._silence = Silence(
            VENUE, connection, reconnect_after_seconds, self._subscriptions.active
        )
        self._pushes = Pushes(
            listing, sink, self.counts, hooks, self._renew_later, with_depth=with_depth
        )
        self._requests = Requests[Batch[str]]()
        self._outbox = Outbox()
        self._free_ns = 0
        """When the next subscription request may go out."""
        self._ping_ns = NEVER_NS
        self._pong_deadline_ns = NEVER_NS
        self._renewed_ns: dict[str, int] = {}
        """When a book was last asked for anew."""
        self._to_renew: dict[str, int] = {}
        """Broken books whose turn has not come, and when it comes."""
        # The hot path: looked up once. Without a route before the first data of a session every
        # frame takes the long way, which announces it.
        self._ticker = self._pushes.ticker
        self._route: Plan = {}

    def start(self, now_ns: int) -> None:
        """Begin a session: the venue remembers nothing of the one before."""
        self._forget_session()
        self.state = State.SUBSCRIBING
        self._silence.heard_ns = self._free_ns = now_ns
        self._ping_ns = now_ns + PING_NS
        self._work(now_ns)

    def receive(self, frame: bytes, received_ns: int) -> None:
        """Decode one frame and push its events into the sink.

        Raises:
            ProtocolViolation: The frame does not fit the documented schema.
            RateLimited: The venue refused us for speed.
        """
        try:
            push = decode_push(frame)
            option = self._route[push.topic]
        except NOT_HOT:
            # Any other frame, or one with a number out of range.
            self._receive_other(frame, received_ns)
            return
        self._silence.heard_ns = received_ns
        if option is None:
            return
        if push.topic[0] == "t":
            self._ticker(push, option, received_ns)
        else:
            self._pushes.book(push, option, received_ns)

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
            self._give_up(late)
        if self._pong_deadline_ns <= now_ns:
            self._pong_deadline_ns = NEVER_NS
            self.counts["request_unanswered"] += 1
        self._silence.check(now_ns)
        if self._ping_ns <= now_ns:
            self._send(self._requests.number(), "ping", ())
            self._ping_ns = now_ns + PING_NS
            self._pong_deadline_ns = now_ns + REQUEST_TIMEOUT_NS
        self._renew_due(now_ns)
        self._work(now_ns)

    def disconnected(self, now_ns: int, reason: str) -> None:
        """End the session: what this connection fed is worth nothing until it is quoted again."""
        if self.state is State.IDLE:
            return
        options = [option for option in self._subscriptions.plan.values() if option is not None]
        if not self._listing.is_loaded:
            options = list(self._listing.options.values())
        lost = FeedDown(
            venue=VENUE,
            received_ns=now_ns,
            connection=self.connection,
            slots=tuple(sorted({o.slot for o in options if self._is_fed_here(o)})),
            reason=reason,
        )
        expiries = {id(o.expiry): o.expiry for o in options if self._carries(TICKERS, o)}
        orphans = [o for o in options if o.ladder.is_whole and self._carries(BOOKS, o)]
        for option in options:
            if self._carries(TICKERS, option):
                option.told = None
            if self._carries(BOOKS, option):
                option.ladder.forget()
        last_data_ns = self._silence.heard_ns
        self.state = State.IDLE
        self._forget_session()
        self.next_timeout_ns = None
        self._sink.event(lost)
        for option in orphans:
            self._pushes.stand_in(option, now_ns)
        for expiry in expiries.values():
            # As of the last data: a loss must not look like news.
            self._pushes.readings.forward(expiry, nan, 0, last_data_ns)
            expiry.forward_ns = 0

    def set_plan(self, plan: Plan, renewed: frozenset[str], now_ns: int) -> None:
        """Follow a new plan: subscribe what came, drop what went, renew what changed.

        Args:
            plan: Topic to option.
            renewed: Names of options that stay listed with new terms.
            now_ns: The instant.
        """
        # What was gathered may belong to slots that are others' now.
        self._pushes.readings.gathered.forget()
        again = [
            topic
            for topic, option in (plan if renewed else {}).items()
            if option is not None and option.instrument.name in renewed
        ]
        self._subscriptions.follow(plan, again)
        self._to_renew = {t: due_ns for t, due_ns in self._to_renew.items() if t in plan}
        self._renewed_ns = {t: at_ns for t, at_ns in self._renewed_ns.items() if t in plan}
        if self.state is State.IDLE:
            return
        if self.state is State.LIVE:
            self._route = plan
        self._work(now_ns)

    def renew_book(self, option: Option, reason: str, received_ns: int) -> bool:
        """Take one of this connection's books for broken; False when it is another's."""
        topic = BOOKS + option.instrument.name
        if topic not in self._subscriptions.plan:
            return False
        self._pushes.break_book(topic, option, reason, received_ns)
        return True

    def _renew_later(self, topic: str, now_ns: int) -> None:
        """Ask for a broken book's snapshot, now or when its turn comes."""
        self._to_renew[topic] = max(now_ns, self._renewed_ns.get(topic, -RENEWAL_NS) + RENEWAL_NS)
        self._renew_due(now_ns)
        self._work(now_ns)

    def _renew_due(self, now_ns: int) -> None:
        for topic in [topic for topic, due_ns in self._to_renew.items() if due_ns <= now_ns]:
            del self._to_renew[topic]
            self._renewed_ns[topic] = now_ns
            self._subscriptions.renew(topic)

    def _receive_other(self, frame: bytes, received_ns: int) -> None:
        message = decode(VENUE, _decode_frame, frame)
        if message.topic:
            self._silence.heard_ns = received_ns
            if self.state is not State.LIVE:
                self._begin(received_ns)
            self._pushes.take(frame, message, self._subscriptions.plan, received_ns)
        elif message.op in {"pong", "ping"}:
            self._pong_deadline_ns = NEVER_NS
        elif message.success is not None:
            self._answer(message, received_ns)
        else:
            self.counts["ignored.frame"] += 1

    def _begin(self, received_ns: int) -> None:
        """The first data of the session came."""
        self.state = State.LIVE
        self._route = self._subscriptions.plan
        self._sink.event(FeedUp(venue=VENUE, received_ns=received_ns, connection=self.connection))

    def _answer(self, message: messages.Frame, received_ns: int) -> None:
        """What became of a request.

        Raises:
            RateLimited: The venue refused us for speed.
        """
        if not message.success and TOO_FREQUENT.decode() in message.ret_msg.lower():
            raise RateLimited(VENUE, message.ret_msg, BAN_SECONDS)
        if message.type == COMMAND_RESP:
            self._command(decode(VENUE, _decode_command, message.data))
        else:
            self._plain_answer(message)
        self._work(received_ns)

    def _command(self, command: messages.CommandData) -> None:
        """The answer of the option interface: it names topics, accepted and failed."""
        accepted = frozenset(command.success_topics)
        named = accepted.union(command.fail_topics)
        # A topic is in one request at a time: whichever request one of them is in was answered.
        waiting = list(self._requests.open.items())
        answered = [n for n, asked in waiting if not named.isdisjoint(asked.batch.channels)]
        if not answered:
            self.counts["ignored.answer"] += 1
        for number in answered:
            for topic in sorted(self._requests.open.pop(number).batch.channels):
                self._settle(topic, accepted=topic in accepted)

    def _plain_answer(self, message: messages.Frame) -> None:
        """The answer that the other interfaces give; it repeats the number of the request."""
        numbers = {str(number): number for number in self._requests.open}
        asked = self._requests.close(numbers.get(message.req_id))
        if asked is None:
            self.counts["ignored.answer"] += 1
            return
        topics = asked.batch.channels
        culprit = message.ret_msg.partition("topic:")[2].strip()
        is_known = ALREADY_SUBSCRIBED in message.ret_msg
        for topic in sorted(topics):
            if message.success:
                self._settle(topic, accepted=True)
            elif culprit not in topics or topic == culprit:
                self._settle(topic, accepted=is_known and topic == culprit)
            else:
                self._subscriptions.repeat(topic)

    def _settle(self, topic: str, *, accepted: bool) -> None:
        if self._subscriptions.in_flight[topic] == SUBSCRIBE and not accepted:
            self.counts["topics_refused"] += 1
        if accepted:
            self._subscriptions.accept(topic)
        else:
            self._subscriptions.refuse(topic)

    def _give_up(self, late: Open[Batch[str]]) -> None:
        """A request was not answered in time.

        Raises:
            FeedStale: It was a subscribe: only a new session knows what is subscribed.
        """
        self.counts["request_unanswered"] += 1
        if late.method != UNSUBSCRIBE:
            raise FeedStale(VENUE, f"{self.connection}: {late.method} is not answered")
        for topic in sorted(late.batch.channels):
            self._settle(topic, accepted=False)

    def _send(self, number: int, op: str, topics: tuple[str, ...]) -> None:
        self._outbox.put_json(messages.Request(str(number), op, topics))

    def _work(self, now_ns: int) -> None:
        """Send the next subscription request if its turn has come; set the next deadline."""
        subscriptions = self._subscriptions
        is_stuck = False
        if not subscriptions.is_idle and self._free_ns <= now_ns:
            batch = take_request(subscriptions)
            if batch is None:
                # Until something is unsubscribed the connection holds no more.
                is_stuck = True
            else:
                self._free_ns = now_ns + REQUEST_SPACING_NS
                deadline_ns = now_ns + REQUEST_TIMEOUT_NS
                number = self._requests.add(batch.method, batch, deadline_ns)
                self._send(number, batch.method, batch.channels)
        if subscriptions.uncovered_count:
            self.counts["topics_uncovered"] = subscriptions.uncovered_count
        # Every option has one.
        tickers = [topic for topic in subscriptions.plan if topic.startswith(TICKERS)]
        coverage = subscriptions.take_coverage(tickers)
        tell_coverage(self._sink, coverage, VENUE, self.connection, now_ns)
        due = [
            self._silence.due_ns,
            self._listing.next_expiry_ns,
            self._ping_ns,
            self._pong_deadline_ns,
            self._requests.deadline_ns,
            *self._to_renew.values(),
        ]
        if not subscriptions.is_idle and not is_stuck:
            due.append(self._free_ns)
        self.next_timeout_ns = min(due)

    def _carries(self, prefix: str, option: Option) -> bool:
        """The option's book or ticker is this connection's business."""
        if not self._listing.is_loaded:
            return True
        topic = prefix + option.instrument.name
        return self._subscriptions.plan.get(topic) is not None

    def _is_fed_here(self, option: Option) -> bool:
        """Its quote is this connection's: from a whole book, or else from the ticker."""
        prefix = BOOKS if option.ladder.is_whole else TICKERS
        return self._carries(prefix, option)

    def _forget_session(self) -> None:
        self._subscriptions.restart()
        self._pushes.readings.gathered.forget()
        self._requests.restart()
        self._outbox.restart()
        self._to_renew.clear()
        self._renewed_ns.clear()
        self._ping_ns = self._pong_deadline_ns = NEVER_NS
        self._route = {}
