"""Pushes of Delta, tops, tickers, indices and news, turned into quotes and events."""

from collections import Counter
from collections.abc import Callable
from math import isnan, nan

import msgspec
from msgspec import Struct

from volgauge.adapters.delta import messages
from volgauge.adapters.delta.endpoints import VENUE
from volgauge.adapters.delta.listing import Listing, Option
from volgauge.adapters.delta.messages import (
    TICKERS,
    TOPS,
    Text,
)
from volgauge.adapters.delta.normalize import read_side, read_text
from volgauge.adapters.delta.readings import Readings
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.domain.events import BookSnapshot, EventSink, Gap
from volgauge.domain.units import NANOS_PER_MICRO

STARTED, FINISHED = "maintenance_started", "maintenance_finished"
RESUMED = "finish_auction"

_decode_top = msgspec.json.Decoder(messages.Top, strict=False).decode
_decode_loose_top = msgspec.json.Decoder(messages.LooseTop).decode
_decode_ticker = msgspec.json.Decoder(messages.Ticker, strict=False).decode
_decode_loose_ticker = msgspec.json.Decoder(messages.LooseTicker).decode
_decode_index = msgspec.json.Decoder(messages.Index, strict=False).decode
_decode_book = msgspec.json.Decoder(messages.Book, strict=False).decode
_decode_update = msgspec.json.Decoder(messages.Update).decode


class Hooks(Struct, frozen=True):
    """What a session tells the adapter; each with the instant."""

    expire: Callable[[int], None]
    """The listing's next expiry has come."""
    wake: Callable[[int], None]
    """The listing has changed."""
    maintain: Callable[[bool, int], None]
    """The venue is in maintenance, or not any more."""


class Pushes:
    """Decodes frames by type and pushes their events into the sink."""

    def __init__(
        self, listing: Listing, sink: EventSink, counts: Counter[str], hooks: Hooks
    ) -> None:
        self.readings = Readings(listing, sink)
        self._listing = listing
        self._sink = sink
        self._quote = sink.quote
        self._counts = counts
        self._hooks = hooks

    def top(self, top: messages.Top, option: Option, received_ns: int) -> None:
        """Quote the option; from now on its tickers do not."""
        option.has_top = True
        contract_size = option.instrument.contract_size
        bid, bid_size = read_side(top.best_bid, top.bid_qty, contract_size)
        ask, ask_size = read_side(top.best_ask, top.ask_qty, contract_size)
        exchange_ns = top.timestamp * NANOS_PER_MICRO
        self._quote(option.slot, bid, ask, bid_size, ask_size, exchange_ns, received_ns)

    def ticker(self, ticker: messages.Ticker, option: Option, received_ns: int) -> None:
        """Read what a ticker tells; it quotes the option while no top of its book has come."""
        if not option.has_top:
            self._stand_in(ticker, option, received_ns)
        self.readings.take(option, ticker, received_ns)

    def take(self, frame: bytes, message: messages.Frame, received_ns: int) -> None:
        """Handle one push that is not hot.

        Raises:
            ProtocolViolation: The frame does not fit the channel's documented schema.
        """
        match message.type:
            case messages.TOPS | messages.TICKERS | messages.BOOKS:
                self._of_option(frame, message, received_ns)
            case messages.INDICES:
                self._index(frame, received_ns)
            case messages.ANNOUNCEMENTS:
                self._announcement(message.event, received_ns)
            case messages.UPDATES:
                self._update(frame, received_ns)
            case _:
                self._counts["ignored.channel"] += 1

    def _stand_in(self, ticker: messages.Ticker, option: Option, received_ns: int) -> None:
        bid = ask = bid_size = ask_size = nan
        if ticker.quotes is not None:
            quotes, contract_size = ticker.quotes, option.instrument.contract_size
            bid, bid_size = read_side(quotes.best_bid, quotes.bid_size, contract_size)
            ask, ask_size = read_side(quotes.best_ask, quotes.ask_size, contract_size)
        exchange_ns = ticker.timestamp * NANOS_PER_MICRO
        self._quote(option.slot, bid, ask, bid_size, ask_size, exchange_ns, received_ns)

    def _of_option(self, frame: bytes, message: messages.Frame, received_ns: int) -> None:
        """A frame of an option not listed yet, or with a number out of range, or a whole book."""
        option = self._option(message.symbol, received_ns)
        if option is None:
            self._counts["ignored.unlisted"] += 1
        elif message.type == TOPS:
            self.top(self._read_top(frame), option, received_ns)
        elif message.type == TICKERS:
            self.ticker(self._read_ticker(frame), option, received_ns)
        else:
            self._book(decode(VENUE, _decode_book, frame), option, received_ns)

    def _option(self, name: str, received_ns: int) -> Option | None:
        """An option; without a catalog it is listed by its name."""
        option = self._listing.options.get(name)
        if option is None and not self._listing.is_loaded:
            option = self._listing.adopt(name)
            if option is not None:
                tell_adopted(self._sink, VENUE, option.slot, option.instrument, received_ns)
        return option

    def _read_top(self, frame: bytes) -> messages.Top:
        try:
            return _decode_top(frame)
        except UNREADABLE:
            loose = decode(VENUE, _decode_loose_top, frame)
            return messages.Top(
                loose.symbol,
                loose.timestamp,
                self._number(loose.best_bid),
                self._number(loose.bid_qty),
                self._number(loose.best_ask),
                self._number(loose.ask_qty),
            )

    def _read_ticker(self, frame: bytes) -> messages.Ticker:
        try:
            return _decode_ticker(frame)
        except UNREADABLE:
            loose = decode(VENUE, _decode_loose_ticker, frame)
            quotes = loose.quotes
            return messages.Ticker(
                loose.symbol,
                loose.timestamp,
                self._number(loose.mark_price),
                self._number(loose.spot_price),
                self._number(loose.oi),
                self._number(loose.volume),
                None
                if quotes is None
                else messages.Quotes(
                    self._number(quotes.best_bid),
                    self._number(quotes.bid_size),
                    self._number(quotes.best_ask),
                    self._number(quotes.ask_size),
                    self._number(quotes.mark_iv),
                ),
            )

    def _number(self, text: Text) -> float | None:
        """What makes no sense is absent, and counted."""
        value = read_text(text)
        if value is not None and isnan(value):
            self._counts["rejected.bad_number"] += 1
            return None
        return value

    def _book(self, book: messages.Book, option: Option, received_ns: int) -> None:
        """A whole book, as recordings have it; there is none to subscribe for a whole chain."""
        option.has_top = True
        size = option.instrument.contract_size
        self._sink.event(
            BookSnapshot(
                venue=VENUE,
                received_ns=received_ns,
                slot=option.slot,
                bids=_levels(book.buy, size),
                asks=_levels(book.sell, size),
                exchange_ns=book.timestamp * NANOS_PER_MICRO,
            )
        )

    def _index(self, frame: bytes, received_ns: int) -> None:
        index = decode(VENUE, _decode_index, frame)
        coins = [c for c in self._listing.coins.values() if c.index == index.symbol]
        if not coins or not index.price:
            self._counts["ignored.index"] += 1
            return
        for coin in coins:
            self.readings.index(coin, index.price, 0, received_ns)

    def _announcement(self, event: str, received_ns: int) -> None:
        if event not in {STARTED, FINISHED}:
            self._counts["ignored.announcement"] += 1
        else:
            self._hooks.maintain(event == STARTED, received_ns)

    def _update(self, frame: bytes, received_ns: int) -> None:
        """A market is disrupted or resumes; while it does not match, its quotes are worth nothing.

        The catalog tells which options are traded, so it is fetched.
        """
        update = decode(VENUE, _decode_update, frame)
        option = self._listing.options.get(update.product.symbol)
        if option is None:
            self._counts["ignored.unlisted"] += 1
        elif update.event != RESUMED:
            gap = Gap(
                venue=VENUE, received_ns=received_ns, slots=(option.slot,), reason="disrupted"
            )
            self._sink.event(gap)
        self._hooks.wake(received_ns)


def _levels(levels: list[messages.Level], contract_size: float) -> tuple[tuple[float, float], ...]:
    """What has a price and a size."""
    pairs = (read_side(level.limit_price, level.size, contract_size) for level in levels)
    return tuple((price, size) for price, size in pairs if not isnan(price))
