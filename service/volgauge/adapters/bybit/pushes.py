"""Pushes of Bybit, tickers and books, turned into quotes and events."""

from collections import Counter
from collections.abc import Callable
from math import isnan, nan

import msgspec
from msgspec import Struct

from volgauge.adapters.bybit import messages
from volgauge.adapters.bybit.endpoints import MAX_STAMP, TOLD_NS, VENUE
from volgauge.adapters.bybit.ladder import is_sound
from volgauge.adapters.bybit.listing import Listing, Option
from volgauge.adapters.bybit.normalize import read_side, read_text
from volgauge.adapters.bybit.plan import BOOKS, TICKERS, Plan
from volgauge.adapters.bybit.readings import Readings
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.book.sequence import Step
from volgauge.domain.events import BookDelta, BookSnapshot, EventSink, Gap
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import ProtocolViolation

SNAPSHOT, DELTA = "snapshot", "delta"
STATUS_TOPIC = "system.status"

decode_push = msgspec.json.Decoder(messages.Push, strict=False).decode
_decode_loose = msgspec.json.Decoder(messages.LooseData).decode
_decode_status = msgspec.json.Decoder(list[messages.StatusRow]).decode


class Hooks(Struct, frozen=True):
    """What a session tells its adapter."""

    expire: Callable[[int], None]
    """The listing's next expiry has come (now)."""
    book_stalled: Callable[[Option, int], None]
    """A ticker contradicts an order book that stands still (option, receipt)."""
    status_told: Callable[[list[messages.StatusRow], int], None]
    """The venue announced a maintenance (rows, receipt)."""


class Pushes:
    """Decodes payloads by topic and pushes their events into the sink."""

    def __init__(
        self,
        listing: Listing,
        sink: EventSink,
        counts: Counter[str],
        hooks: Hooks,
        renew: Callable[[str, int], None],
        *,
        with_depth: bool,
    ) -> None:
        self.readings = Readings(listing, sink)
        self._listing = listing
        self._sink = sink
        self._quote = sink.quote
        self._counts = counts
        self._hooks = hooks
        self._renew = renew
        """Subscribe a topic anew (topic, receipt)."""
        self._with_depth = with_depth

    def ticker(self, push: messages.Push, option: Option, received_ns: int) -> None:
        """Quote the option, unless its book does, and read the rest."""
        if push.type != SNAPSHOT:
            # Half a ticker, as futures have it, would tell a missing side for an absent one.
            self._counts["ignored.ticker_type"] += 1
            return
        data, ladder, exchange_ns = push.data, option.ladder, push.ts * NANOS_PER_MILLI
        option.told, option.told_ns = push, received_ns
        if ladder.is_whole:
            bid, _ = read_side(data.bid_price, data.bid_size)
            ask, _ = read_side(data.ask_price, data.ask_size)
            if ladder.is_contradicted(bid, ask, push.ts):
                self._hooks.book_stalled(option, received_ns)
        elif (
            (best_bid := data.bid_price)
            and (best_ask := data.ask_price)
            and (bid_size := data.bid_size)
            and (ask_size := data.ask_size)
        ):
            self._quote(
                option.slot, best_bid, best_ask, bid_size, ask_size, exchange_ns, received_ns
            )
        else:
            bid, bid_size = read_side(data.bid_price, data.bid_size)
            ask, ask_size = read_side(data.ask_price, data.ask_size)
            self._quote(option.slot, bid, ask, bid_size, ask_size, exchange_ns, received_ns)
        self.readings.take(option, data, push.ts, received_ns)

    def stand_in(self, option: Option, now_ns: int) -> None:
        """Quote an option whose book is gone by its newest ticker, with the ticker's own times."""
        push = option.told
        if push is None or now_ns - option.told_ns > TOLD_NS:
            return
        bid, bid_size = read_side(push.data.bid_price, push.data.bid_size)
        ask, ask_size = read_side(push.data.ask_price, push.data.ask_size)
        exchange_ns = push.ts * NANOS_PER_MILLI
        self._quote(option.slot, bid, ask, bid_size, ask_size, exchange_ns, option.told_ns)

    def book(self, push: messages.Push, option: Option, received_ns: int) -> None:
        """Take a snapshot or a delta; a whole book quotes the option.

        Raises:
            ProtocolViolation: The frame is no book.
        """
        data, ladder = push.data, option.ladder
        if data.u is None or data.b is None or data.a is None:
            raise ProtocolViolation(VENUE, f"{push.topic}: expected u, b and a")
        bids, asks = data.b, data.a
        if push.type not in {SNAPSHOT, DELTA}:
            self._counts["ignored.book_type"] += 1
            return
        if not is_sound(bids) or not is_sound(asks):
            self._counts["rejected.bad_level"] += 1
            self.break_book(push.topic, option, "bad_level", received_ns)
            return
        step = ladder.advance(push.type, data.u)
        if step is Step.GAP:
            self.break_book(push.topic, option, "sequence", received_ns)
            return
        if step is Step.DUPLICATE or step is Step.WAITING:
            self._counts[f"ignored.book_{step.value}"] += 1
            return
        ladder.apply(step, bids, asks, push.ts)
        if not ladder.is_bounded:
            self.break_book(push.topic, option, "too_deep", received_ns)
        elif self._with_depth:
            kind = BookSnapshot if step is Step.SNAPSHOT else BookDelta
            self._sink.event(
                kind(
                    venue=VENUE,
                    received_ns=received_ns,
                    slot=option.slot,
                    bids=_best_first(bids, step, reverse=True),
                    asks=_best_first(asks, step, reverse=False),
                    exchange_ns=push.ts * NANOS_PER_MILLI,
                )
            )
        else:
            exchange_ns = push.ts * NANOS_PER_MILLI
            self._quote(option.slot, *ladder.top, exchange_ns, received_ns)

    def break_book(self, topic: str, option: Option, reason: str, received_ns: int) -> None:
        """The book of one option holds nothing until its snapshot; its ticker quotes meanwhile."""
        self._counts["gaps"] += 1
        # A book that was not whole has quoted nothing: what the ticker said stands.
        was_whole = option.ladder.is_whole
        option.ladder.fail()
        if was_whole:
            self._sink.event(
                Gap(venue=VENUE, received_ns=received_ns, slots=(option.slot,), reason=reason)
            )
            self.stand_in(option, received_ns)
        self._renew(topic, received_ns)

    def take(self, frame: bytes, message: messages.Frame, plan: Plan, received_ns: int) -> None:
        """The first push of a session, one that failed the hot path, one of no option of ours.

        Raises:
            ProtocolViolation: The payload does not fit the topic's documented schema.
        """
        topic = message.topic
        is_ticker, is_book = topic.startswith(TICKERS), topic.startswith(BOOKS)
        if topic == STATUS_TOPIC:
            self._hooks.status_told(decode(VENUE, _decode_status, message.data), received_ns)
            return
        if not is_ticker and not is_book:
            self._counts["ignored.channel"] += 1
            return
        option = plan.get(topic)
        if topic not in plan:
            option = self._adopt(topic[len(TICKERS if is_ticker else BOOKS) :], received_ns)
            if option is None:
                self._counts["ignored.unlisted"] += 1
        if option is None:
            return
        try:
            push = decode_push(frame)
        except UNREADABLE:
            if is_book:
                self._counts["rejected.bad_level"] += 1
                self.break_book(topic, option, "bad_level", received_ns)
            else:
                self._loose_ticker(message, option, received_ns)
            return
        if is_ticker:
            self.ticker(push, option, received_ns)
        else:
            self.book(push, option, received_ns)

    def _loose_ticker(self, message: messages.Frame, option: Option, received_ns: int) -> None:
        """A ticker with a number that is none of ours: the option is quoted by nobody then."""
        loose = decode(VENUE, _decode_loose, message.data)
        values = [read_text(getattr(loose, name)) for name in loose.__struct_fields__]
        stamp = _stamp(message.ts)
        if stamp is None or any(value is not None and isnan(value) for value in values):
            self._counts["rejected.bad_number"] += 1
            option.told = None
            if not option.ladder.is_whole:
                self._quote(option.slot, nan, nan, nan, nan, 0, received_ns)
            return
        told = dict(zip(loose.__struct_encode_fields__, values, strict=True))
        push = messages.Push(
            message.topic, stamp, message.type, msgspec.convert(told, messages.Data)
        )
        self.ticker(push, option, received_ns)

    def _adopt(self, name: str, received_ns: int) -> Option | None:
        """An option by its name; where a catalog says what is listed there is no such thing."""
        if self._listing.is_loaded:
            return None
        option = self._listing.options.get(name)
        if option is None:
            option = self._listing.adopt(name)
            if option is not None:
                tell_adopted(self._sink, VENUE, option.slot, option.instrument, received_ns)
        return option


def _best_first(
    levels: list[tuple[float, float]], step: Step, *, reverse: bool
) -> tuple[tuple[float, float], ...]:
    """Levels for an event; a snapshot has no deletes, and is sorted."""
    if step is not Step.SNAPSHOT:
        return tuple(levels)
    return tuple(sorted((level for level in levels if level[1]), reverse=reverse))


def _stamp(value: float | str) -> int | None:
    """Milliseconds from a field that did not fit the hot path."""
    number = read_text(value)
    return int(number) if number is not None and 0.0 <= number <= MAX_STAMP else None
