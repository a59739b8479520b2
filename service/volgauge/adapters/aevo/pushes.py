"""Pushes of Aevo turned into quotes and events.

Two channels show tops. The book ticker tells each change at once; where it has spoken it quotes.
The throttled ticker quotes the others, and is the witness: a top that it shows and that the book
ticker has not told for seconds proves that the book ticker is dead, and it quotes until that speaks
again.
"""

from collections import Counter
from collections.abc import Callable
from math import isnan, nan

import msgspec
from msgspec import Struct

from volgauge.adapters.aevo import messages
from volgauge.adapters.aevo.endpoints import LAG_NS, MAX_AHEAD_NS, MAX_EARLY, VENUE
from volgauge.adapters.aevo.listing import Listing, Option
from volgauge.adapters.aevo.messages import Text
from volgauge.adapters.aevo.normalize import (
    read_implied_vol,
    read_name,
    read_side,
    read_text,
)
from volgauge.adapters.aevo.plan import BOOKS, INDICES, TICKERS
from volgauge.adapters.aevo.references import References
from volgauge.adapters.facts import tell_marks
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Asset

_decode_loose = msgspec.json.Decoder(messages.LooseData, strict=False).decode
_decode_ticker = msgspec.json.Decoder(messages.Ticker, strict=False).decode
_decode_loose_ticker = msgspec.json.Decoder(messages.LooseTicker).decode
_decode_index = msgspec.json.Decoder(messages.IndexData, strict=False).decode


class Hooks(Struct, frozen=True):
    """What a session is told beside its events."""

    missed: Callable[[Asset, int], None]
    """The throttled ticker shows a top of this coin that the book ticker has not told (receipt)."""
    unlisted: Callable[[str, int], None]
    """An option is quoted that the listing does not have (its name, receipt)."""


class Pushes:
    """Decodes payloads by channel and pushes their events into the sink."""

    def __init__(
        self, listing: Listing, sink: EventSink, counts: Counter[str], hooks: Hooks
    ) -> None:
        self.references = References(listing, sink, counts)
        self._listing = listing
        self._sink = sink
        self._quote = sink.quote
        self._counts = counts
        self._hooks = hooks
        self._early: dict[str, tuple[int, messages.Ticker]] = {}
        """Newest tops, with their time, of options that are not listed yet."""

    def books(self, tickers: list[messages.Ticker], stamp: int, received_ns: int) -> None:
        """Tops that changed; the hot path.

        The loop is all there is to a chain of hundreds: a look-up, two sides, one call each.
        """
        options, quote = self._listing.options, self._quote
        orders = self._orders(stamp, received_ns)
        for ticker in tickers:
            option = options.get(ticker.instrument_name)
            if option is None:
                option = self._find(ticker, stamp, received_ns)
                if option is None:
                    continue
            if orders:
                if stamp < option.stamp:
                    self._counts["ignored.older"] += 1
                    continue
                option.stamp = stamp
            level = ticker.bid
            if level is None or not level.price or not level.amount:
                bid = bid_size = nan
            else:
                bid, bid_size = level.price, level.amount
            level = ticker.ask
            if level is None or not level.price or not level.amount:
                ask = ask_size = nan
            else:
                ask, ask_size = level.price, level.amount
            option.is_streamed = True
            option.bid, option.ask = bid, ask
            quote(option.slot, bid, ask, bid_size, ask_size, stamp, received_ns)

    def tickers(self, tickers: list[messages.Ticker], stamp: int, received_ns: int) -> None:
        """The same tops, throttled, with marks (`MarkQuote`)."""
        orders = self._orders(stamp, received_ns)
        marks: dict[int, tuple[float, float]] = {}
        missed: set[Asset] = set()
        for ticker in tickers:
            option = self._listing.options.get(ticker.instrument_name)
            if option is None:
                option = self._find(ticker, stamp, received_ns)
                if option is None:
                    continue
            mark = ticker.mark
            if mark is not None and mark.price:
                marks[option.slot] = (mark.price, read_implied_vol(mark.iv))
            if orders and self._fill(option, ticker, stamp, received_ns):
                missed.add(option.instrument.asset)
        if marks:
            self._sink.event(tell_marks(VENUE, marks, stamp, received_ns))
        for asset in sorted(missed):
            self._hooks.missed(asset, received_ns)

    def take(self, channel: str, data: msgspec.Raw, received_ns: int) -> None:
        """Handle one push that is not hot.

        Raises:
            ProtocolViolation: The payload does not fit the channel's documented schema.
        """
        kind, _, about = channel.partition(":")
        if kind == INDICES:
            index = decode(VENUE, _decode_index, data)
            self.references.index(about, index.price, index.timestamp, received_ns)
        elif kind in {BOOKS, TICKERS}:
            loose = decode(VENUE, _decode_loose, data)
            tickers = [found for raw in loose.tickers if (found := self._ticker(raw)) is not None]
            handle = self.books if kind == BOOKS else self.tickers
            handle(tickers, loose.timestamp, received_ns)
        else:
            self._counts["ignored.channel"] += 1

    def take_early(self, now_ns: int) -> None:
        """The listing is new: quote what came before it.

        A top is told when it changes, so what was told of an option holds until now.
        """
        early, self._early = self._early, {}
        for name, (stamp, ticker) in early.items():
            option = self._listing.options.get(name)
            if option is not None and not option.stamp:
                self.books([ticker], stamp, now_ns)

    def forget(self) -> None:
        """A new session."""
        self._early.clear()
        self._listing.forget_session()

    def _fill(self, option: Option, ticker: messages.Ticker, stamp: int, received_ns: int) -> bool:
        """Quote an option for the book ticker; true when that should have done so itself."""
        if stamp < option.stamp:
            self._counts["ignored.older"] += 1
            return False
        (bid, bid_size), (ask, ask_size) = read_side(ticker.bid), read_side(ticker.ask)
        is_contradicted = option.is_streamed
        if is_contradicted:
            if stamp - option.stamp < LAG_NS or _is_same(option, bid, ask):
                return False
            self._counts["books_contradicted"] += 1
            option.is_streamed = False
        option.stamp = stamp
        option.bid, option.ask = bid, ask
        self._quote(option.slot, bid, ask, bid_size, ask_size, stamp, received_ns)
        return is_contradicted

    def _orders(self, stamp: int, received_ns: int) -> bool:
        """A stamp can tell what is older; one from far ahead would shut out all that follows."""
        if stamp - received_ns <= MAX_AHEAD_NS:
            return True
        self._counts["rejected.stamp"] += 1
        return False

    def _find(self, ticker: messages.Ticker, stamp: int, received_ns: int) -> Option | None:
        """An option that the listing does not have; without a catalog it is listed by its name."""
        name = ticker.instrument_name
        if not self._listing.is_loaded:
            option = self._listing.adopt(name)
            if option is not None:
                tell_adopted(self._sink, VENUE, option.slot, option.instrument, received_ns)
                return option
        self._counts["ignored.unlisted"] += 1
        is_known = name in self._early
        if is_known or (len(self._early) < MAX_EARLY and read_name(name) is not None):
            if not is_known or stamp >= self._early[name][0]:
                self._early[name] = (stamp, ticker)
            self._hooks.unlisted(name, received_ns)
        return None

    def _ticker(self, raw: msgspec.Raw) -> messages.Ticker | None:
        """One ticker; what makes no sense in it is absent, and counted."""
        try:
            return _decode_ticker(raw)
        except UNREADABLE:
            pass
        try:
            loose = _decode_loose_ticker(raw)
        except UNREADABLE:
            self._counts["rejected.bad_row"] += 1
            return None
        mark = loose.mark
        return messages.Ticker(
            loose.instrument_name,
            self._level(loose.bid),
            self._level(loose.ask),
            None
            if mark is None
            else messages.Mark(self._number(mark.price), self._number(mark.iv)),
        )

    def _level(self, loose: messages.LooseLevel | None) -> messages.Level | None:
        if loose is None:
            return None
        return messages.Level(self._number(loose.price), self._number(loose.amount))

    def _number(self, text: Text) -> float:
        value = read_text(text)
        if isnan(value):
            self._counts["rejected.bad_number"] += 1
            return 0.0
        return value


def _is_same(option: Option, bid: float, ask: float) -> bool:
    """A top's prices are those that were told; sizes change too often to be a proof."""
    same_bid = bid == option.bid or (isnan(bid) and isnan(option.bid))
    return same_bid and (ask == option.ask or (isnan(ask) and isnan(option.ask)))
