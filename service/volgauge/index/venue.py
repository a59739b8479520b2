"""One venue's side of the engine: its events become book state and health."""

from collections import Counter
from math import isnan, nan

from msgspec import Struct

from volgauge.book.depth import DepthBook
from volgauge.book.quotes import Activity, QuoteTable
from volgauge.domain.events import (
    AnyEvent,
    BookDelta,
    BookSnapshot,
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    ForwardQuote,
    Gap,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    PerpetualState,
    TradedVolume,
    VenueState,
    VenueVolIndex,
)
from volgauge.domain.index import Method
from volgauge.domain.instrument import Asset, BookKey, Venue
from volgauge.index.refill import ExpiryKey, Refill
from volgauge.surface.surface import Surface

FILL_TARGETS = {Asset("BTC"): 1.0, Asset("ETH"): 10.0}
FILL_QUOTE_UNITS = 25_000.0
"""Other assets: this much in the quote currency."""


class VenueRules(Struct, frozen=True):
    """What the engine must know of a venue."""

    stale_after_ns: int | None = None
    """Without data for this long its quotes are not alive; None never (a file has no feed)."""
    methods: tuple[Method, ...] = (Method.NATIVE, Method.DVOL)
    """Rules by which its expiries are computed."""


class VenueSink:
    """Implements EventSink for one venue; owns its QuoteTable and its option books."""

    def __init__(self, venue: Venue, rules: VenueRules, activities: dict[Asset, Activity]) -> None:
        self.venue = venue
        self.rules = rules
        self.table = QuoteTable()
        self.books: dict[BookKey, Surface] = {}
        self.depth = DepthBook()
        self.counts: Counter[str] = Counter()
        self._last_event_ns = 0
        self.expected: frozenset[str] = frozenset()
        """Connections that feed us; none for a file, which is whole from the start."""
        self.connections_up: set[str] = set()
        self._refill = Refill()
        self.coverage: dict[str, Coverage] = {}
        self.locked: set[Asset] = set()
        self.maintenance = False
        self.index_price: dict[Asset, float] = {}
        self.index_price_ns: dict[Asset, int] = {}
        """Our receipt of each."""
        self.perpetuals: dict[tuple[Asset, str], PerpetualState] = {}
        """The newest of each, by asset and quote currency."""
        self.vol_index: dict[Asset, float] = {}
        self.vol_index_ns: dict[Asset, int] = {}
        self.quote = self.table.write
        """The hot path has no station between the adapter and the table."""
        self._activities = activities
        self._book_of: list[Surface | None] = []

    @property
    def last_data_ns(self) -> int:
        """Receipt of the newest data of any kind; 0 before the first."""
        return max(self._last_event_ns, self.table.last_received_ns)

    def event(self, event: AnyEvent) -> None:  # noqa: C901, PLR0912 - one case an event
        """Take one rare event."""
        match event:
            case ForwardQuote():
                self._forward(event, _mid(event.bid, event.ask))
            case ForwardMark():
                self._forward(event, event.price)
            case IndexPrice():
                self._last_event_ns = event.received_ns
                self.index_price[event.asset] = event.price
                self.index_price_ns[event.asset] = event.received_ns
            case MarkQuote():
                self._marks(event)
            case OpenInterest():
                self.table.write_open_interest(event.slots, event.amounts)
            case TradedVolume():
                self.table.write_volume(event.slots, event.amounts)
            case PerpetualState():
                self.perpetuals[event.asset, event.quote_currency] = event
            case VenueVolIndex():
                self._last_event_ns = event.received_ns
                self.vol_index[event.asset] = event.value
                self.vol_index_ns[event.asset] = event.received_ns
            case BookSnapshot() | BookDelta():
                self._depth(event)
            case InstrumentsListed():
                self._list(event)
            case InstrumentsExpired():
                self._expire(event)
            case Gap():
                self._clear(event.slots, event.received_ns)
            case FeedUp():
                self._last_event_ns = event.received_ns
                self.connections_up.add(event.connection)
                self._refill.came_up(event.connection, event.received_ns)
            case FeedDown():
                self._lose(event)
            case Coverage():
                self.coverage[event.connection] = event
            case VenueState():
                self._state(event)
        self.counts[type(event).__name__] += 1

    def is_alive(self, now_ns: int) -> bool:
        """Data came inside the liveness limit (METHODOLOGY §3, rule 3)."""
        if self.maintenance:
            return False
        limit = self.rules.stale_after_ns
        return limit is None or now_ns - self.last_data_ns <= limit

    def held(self, now_ns: int) -> frozenset[ExpiryKey]:
        """Expiries whose snapshot is not complete; their numbers are of half a chain."""
        waited = self._refill.waiting
        self.table.settle()
        held = self._refill.held(self.table.stamps, now_ns)
        for key, expiry_ns in waited - held:
            if key in self.books:
                self.books[key].renew_references(expiry_ns)
        return held

    @property
    def is_connected(self) -> bool:
        """Every connection that feeds us is up."""
        return self.expected <= self.connections_up

    def is_covered(self) -> bool:
        """The venue accepted everything that was asked for."""
        return all(c.accepted >= c.requested for c in self.coverage.values())

    def _list(self, event: InstrumentsListed) -> None:
        if self.expected:
            since_ns = event.received_ns if self.connections_up else None
            known = {
                (book.key, expiry_ns)
                for book in self.books.values()
                for expiry_ns in {instrument.expiry_ns for instrument in book.slots.values()}
            } - self._refill.waiting
            pairs = (
                ((i.book, i.expiry_ns), slot)
                for i, slot in zip(event.instruments, event.slots, strict=True)
            )
            # A new strike of a known expiry joins when it is quoted; the expiry goes on without.
            self._refill.expect((p for p in pairs if p[0] not in known), None, since_ns)
        for slot, instrument in zip(event.slots, event.instruments, strict=True):
            book = self.books.get(instrument.book)
            if book is None:
                book = self.books[instrument.book] = Surface(
                    instrument.book, self.table, self.rules.methods
                )
            while len(self._book_of) <= slot:
                self._book_of.append(None)
            book.add(slot, instrument)
            self._book_of[slot] = book
            activity = self._activities.setdefault(instrument.asset, Activity())
            self.table.watch(slot, activity)
            activity.note(event.received_ns)

    def _lose(self, event: FeedDown) -> None:
        """What a lost connection fed is worth nothing until it is quoted again."""
        self.connections_up.discard(event.connection)
        self._refill.expect(
            (
                ((book.key, book.slots[slot].expiry_ns), slot)
                for slot in event.slots
                if (book := self._book_of[slot]) is not None
            ),
            event.connection,
            None,
        )
        self._clear(event.slots, event.received_ns)
        if event.feeds_forwards:
            self.table.write_marks(range(len(self._book_of)), [nan] * len(self._book_of))
            for book in self.books.values():
                for expiry_ns in book.expiries:
                    book.set_forward(expiry_ns, nan)

    def _expire(self, event: InstrumentsExpired) -> None:
        gone = set()
        for slot in event.slots:
            book = self._book_of[slot]
            if book is not None:
                gone.add((book.key, book.slots[slot].expiry_ns))
                self.table.activity(slot).note(event.received_ns)
                book.remove(slot)
        self._refill.forget(gone)
        self._clear(event.slots, event.received_ns)
        for slot in event.slots:
            self._book_of[slot] = None

    def _clear(self, slots: tuple[int, ...], received_ns: int) -> None:
        self.table.clear(slots)
        for slot in slots:
            self.depth.forget(slot)
            self.table.activity(slot).note(received_ns)

    def _forward(self, event: ForwardQuote | ForwardMark, price: float) -> None:
        self._last_event_ns = event.received_ns
        book = self.books.get(BookKey(event.venue, event.asset, event.quote_currency))
        if book is not None and book.set_forward(event.expiry_ns, price):
            self._activities[event.asset].note(event.received_ns)

    def _marks(self, event: MarkQuote) -> None:
        # A cross-check arrives whole chain at once; it does not count as a tick of the index,
        # but `strip` may fall back to it, so the touched expiries are computed again.
        self._last_event_ns = event.received_ns
        self.table.write_marks(event.slots, event.prices)
        for slot in event.slots[:1]:
            self.table.activity(slot).note(event.received_ns)

    def _fill_target(self, slot: int) -> float:
        """Amount whose price counts, in units of the underlying (METHODOLOGY §3, rule 1)."""
        book = self._book_of[slot]
        if book is None:
            return 0.0
        instrument = book.slots[slot]
        known = FILL_TARGETS.get(instrument.asset)
        if known is not None:
            return known
        return FILL_QUOTE_UNITS / self.index_price.get(instrument.asset, instrument.strike)

    def _depth(self, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            self.depth.set_target(event.slot, self._fill_target(event.slot))
        bid, bid_size, ask, ask_size = self.depth.apply(event)
        self.quote(event.slot, bid, ask, bid_size, ask_size, event.exchange_ns, event.received_ns)

    def _state(self, event: VenueState) -> None:
        if event.asset is None:
            self.maintenance = event.maintenance
        elif event.locked:
            self.locked.add(event.asset)
        else:
            self.locked.discard(event.asset)


def _mid(bid: float, ask: float) -> float:
    """The mid of a two-sided, uncrossed quote, else NaN."""
    if isnan(bid) or isnan(ask) or ask < bid:
        return nan
    return 0.5 * (bid + ask)
