"""Pushes of Binance turned into events.

Two sources quote an option. The chain comes whole once a second, with prices up to a second old;
an option's own stream comes at every change, and only then. Where a stream has spoken it quotes,
and the chain is the witness: prices that differ from the stream's for seconds prove that it is
dead, and the chain quotes the option until the stream speaks again.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from math import isnan, nan

import msgspec
from msgspec import Struct

from volgauge.adapters.binance import messages
from volgauge.adapters.binance.endpoints import LAG_MILLIS, VENUE
from volgauge.adapters.binance.listing import Expiry, Listing, Option
from volgauge.adapters.binance.normalize import (
    growth_factor,
    is_price,
    is_rate,
    read_implied_vol,
    read_levels,
    read_side,
)
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.domain.events import (
    BookSnapshot,
    EventSink,
    ForwardMark,
    IndexPrice,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI

_decode_chain = msgspec.json.Decoder(list[messages.ChainRow], strict=False).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(messages.ChainRow, strict=False).decode
_decode_loose = msgspec.json.Decoder(messages.LooseRow).decode
_decode_top = msgspec.json.Decoder(messages.Top, strict=False).decode
_decode_symbol_of = msgspec.json.Decoder(messages.LooseRow).decode
_decode_book = msgspec.json.Decoder(messages.BookRow, strict=False).decode
_decode_indices = msgspec.json.Decoder(list[messages.IndexRow], strict=False).decode
_decode_interest = msgspec.json.Decoder(list[messages.InterestRow], strict=False).decode
_decode_event = msgspec.json.Decoder(messages.SymbolEvent).decode

ABSENT = (nan, nan)


class Hooks(Struct, frozen=True):
    """What a session tells its adapter."""

    listing_changed: Callable[[messages.SymbolEvent, int], None]
    """The venue announced a new or changed option (receipt)."""
    expire: Callable[[int], None]
    """The listing's next expiry has come (now)."""
    missed: Callable[[Option, int], None]
    """The chain shows a price that the option's own stream has not told (receipt)."""
    is_chain_live: Callable[[], bool]
    """Chains come, so an option without its stream is quoted all the same."""


class Pushes:
    """Decodes payloads by what they are and pushes their events into the sink."""

    def __init__(
        self, listing: Listing, sink: EventSink, counts: Counter[str], hooks: Hooks
    ) -> None:
        self._listing = listing
        self._sink = sink
        self._quote = sink.quote
        self._counts = counts
        self._hooks = hooks
        self._handlers: dict[str, Callable[[bytes | msgspec.Raw, int], None]] = {
            "markPrice": self._chain,
            "bookTicker": self._top,
            "depthUpdate": self._book,
            "indexPrice": self._indices,
            "openInterest": self._interest,
            "optionSymbol": self._symbol,
        }

    def take(self, kind: str, data: bytes | msgspec.Raw, received_ns: int) -> None:
        """Handle one payload; `kind` is the venue's word for its events.

        Raises:
            ProtocolViolation: The payload does not fit the documented schema.
        """
        handler = self._handlers.get(kind)
        if handler is None:
            self._counts["ignored.channel"] += 1
        else:
            handler(data, received_ns)

    def ticker(self, option: Option, top: messages.Top, received_ns: int) -> None:
        """The best bid and offer of one option changed; the hot path."""
        if top.number <= option.number and top.stamp <= option.ticker_ms:
            # Of two sessions during a hand-over, or out of order.
            self._counts["ignored.older"] += 1
            return
        unit = option.unit
        scale = option.expiry.growth / unit
        bid = read_side(top.bid, top.bid_size, scale, unit)
        ask = read_side(top.ask, top.ask_size, scale, unit)
        if bid is None or ask is None:
            self._reject(option, top.stamp, received_ns)
            return
        self._streamed(option, top.number, top.stamp, top.bid, top.ask)
        self._quote(
            option.slot, bid[0], ask[0], bid[1], ask[1], top.stamp * NANOS_PER_MILLI, received_ns
        )

    def withdraw_forwards(self, expiries: Iterable[Expiry], received_ns: int) -> None:
        """Nobody tells these forwards any more."""
        for expiry in expiries:
            self._forward(expiry, nan, 0, received_ns)

    def _streamed(self, option: Option, number: int, stamp: int, bid: float, ask: float) -> None:
        option.is_streamed = True
        option.number, option.ticker_ms = number, stamp
        option.bid, option.ask = bid, ask
        option.missed_ms = 0

    def _reject(self, option: Option, stamp: int, received_ns: int) -> None:
        """A senseless number: nobody quotes the option until the chain does."""
        self._counts["rejected.bad_number"] += 1
        option.is_streamed = False
        self._quote(option.slot, nan, nan, nan, nan, stamp * NANOS_PER_MILLI, received_ns)

    def _find(self, name: str, received_ns: int) -> Option | None:
        """An option by its name; without a catalog it is listed by it."""
        option = self._listing.options.get(name)
        if option is None and not self._listing.is_loaded:
            option = self._listing.adopt(name)
            if option is not None:
                tell_adopted(self._sink, VENUE, option.slot, option.instrument, received_ns)
        if option is None:
            self._counts["ignored.unlisted"] += 1
        return option

    def _top(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        """A best bid and offer that did not take the hot path."""
        try:
            top = _decode_top(data)
        except UNREADABLE:
            loose = decode(VENUE, _decode_symbol_of, data)
            option = self._find(loose.symbol, received_ns)
            if option is not None:
                self._reject(option, loose.stamp, received_ns)
            return
        option = self._find(top.symbol, received_ns)
        if option is not None:
            self.ticker(option, top, received_ns)

    def _book(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        """A partial book, whole each time."""
        row = decode(VENUE, _decode_book, data)
        option = self._find(row.symbol, received_ns)
        if option is None:
            return
        if row.number <= option.number and row.stamp <= option.ticker_ms:
            self._counts["ignored.older"] += 1
            return
        scale = option.expiry.growth / option.unit
        bids = read_levels(row.bids, scale, option.unit)
        asks = read_levels(row.asks, scale, option.unit)
        if bids is None or asks is None:
            self._reject(option, row.stamp, received_ns)
            return
        best = [
            max((level[0] for level in row.bids if level[1]), default=0.0),
            min((level[0] for level in row.asks if level[1]), default=0.0),
        ]
        self._streamed(option, row.number, row.stamp, *best)
        self._sink.event(
            BookSnapshot(
                venue=VENUE,
                received_ns=received_ns,
                slot=option.slot,
                bids=tuple(sorted(bids, reverse=True)),
                asks=tuple(sorted(asks)),
                exchange_ns=row.stamp * NANOS_PER_MILLI,
            )
        )

    def _chain(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        """Every option of an underlying: quotes, marks, and the forward of each expiry."""
        try:
            rows = _decode_chain(data)
        except UNREADABLE:
            rows = self._loose_rows(data, received_ns)
        told = self._fresh(rows, received_ns)
        self._references(told, received_ns)
        quote, is_current = self._quote, self._is_current
        for option, row in told:
            stamp, bid, ask = row.stamp, row.bid, row.ask
            # Most rows say what the option's own stream has said.
            if option.is_streamed and bid == option.bid and ask == option.ask:
                option.missed_ms = 0
                continue
            if is_current(option, row, received_ns):
                continue
            unit = option.unit
            scale = option.expiry.growth / unit
            one = read_side(bid, row.bid_size, scale, unit)
            other = read_side(ask, row.ask_size, scale, unit)
            if one is None or other is None:
                self._counts["rejected.bad_number"] += 1
                one = other = ABSENT
            at_ns = stamp * NANOS_PER_MILLI
            quote(option.slot, one[0], other[0], one[1], other[1], at_ns, received_ns)
        self._marks(told, received_ns)

    def _fresh(
        self, rows: list[messages.ChainRow], received_ns: int
    ) -> list[tuple[Option, messages.ChainRow]]:
        """The rows of options of ours, but for what was told already."""
        told = []
        options = self._listing.options
        for row in rows:
            option = options.get(row.symbol) or self._find(row.symbol, received_ns)
            if option is None:
                continue
            stamp = row.stamp
            if stamp <= option.chain_ms:
                self._counts["ignored.older"] += 1
                continue
            option.chain_ms = stamp
            told.append((option, row))
        return told

    def _is_sound(self, row: messages.ChainRow) -> bool:
        is_sound = is_price(row.index) and is_rate(row.rate)
        if not is_sound:
            self._counts["rejected.bad_number"] += 1
        return is_sound

    def _references(self, told: list[tuple[Option, messages.ChainRow]], received_ns: int) -> None:
        """Index, rates and forwards, which every row repeats: the newest of each counts."""
        newest: dict[Expiry, messages.ChainRow] = {}
        stamps: dict[Expiry, int] = {}
        for option, row in told:
            expiry = option.expiry
            if row.stamp > stamps.get(expiry, -1) and self._is_sound(row):
                newest[expiry] = row
                stamps[expiry] = row.stamp
        indices: dict[tuple[Asset, str], messages.ChainRow] = {}
        for expiry, row in newest.items():
            key = (expiry.asset, expiry.quote_currency)
            if key not in indices or row.stamp > indices[key].stamp:
                indices[key] = row
        for (asset, quote_currency), row in indices.items():
            self._index(asset, quote_currency, row.index, row.stamp, received_ns)
        for expiry, row in newest.items():
            at_ns = row.stamp * NANOS_PER_MILLI
            expiry.take_rate(row.rate, at_ns)
            price = row.index * growth_factor(row.rate, expiry.expiry_ns, at_ns)
            self._forward(expiry, price, at_ns, received_ns)

    def _is_current(self, option: Option, row: messages.ChainRow, received_ns: int) -> bool:
        """The option's own stream quotes it; and if the row proves that it does not, say so."""
        is_same = row.bid == option.bid and row.ask == option.ask
        if not option.is_streamed:
            has_moved = not is_same and not isnan(option.bid)
            option.bid, option.ask = row.bid, row.ask
            if option.missed_ms and row.stamp - option.missed_ms >= LAG_MILLIS:
                option.missed_ms = 0
                self._hooks.missed(option, received_ns)
            elif has_moved and not option.missed_ms:
                option.missed_ms = row.stamp
            return False
        if is_same:
            option.missed_ms = 0
            return True
        # The chain's prices may be older than the stream's.
        if row.stamp - option.ticker_ms < LAG_MILLIS:
            return True
        if not option.missed_ms:
            option.missed_ms = row.stamp
        if row.stamp - option.missed_ms < LAG_MILLIS:
            return True
        self._counts["streams_contradicted"] += 1
        option.is_streamed = False
        option.missed_ms = 0
        option.bid, option.ask = row.bid, row.ask
        self._hooks.missed(option, received_ns)
        return False

    def _loose_rows(self, data: bytes | msgspec.Raw, received_ns: int) -> list[messages.ChainRow]:
        """The rows that can be read; an option whose row cannot is quoted by its stream or not."""
        rows = []
        for raw in decode(VENUE, _decode_rows, data):
            try:
                rows.append(_decode_row(raw))
            except UNREADABLE:
                self._counts["rejected.bad_row"] += 1
                try:
                    loose = _decode_loose(raw)
                except UNREADABLE:
                    continue
                option = self._find(loose.symbol, received_ns)
                if option is not None and not option.is_streamed:
                    at_ns = loose.stamp * NANOS_PER_MILLI
                    self._quote(option.slot, nan, nan, nan, nan, at_ns, received_ns)
        return rows

    def _marks(self, told: list[tuple[Option, messages.ChainRow]], received_ns: int) -> None:
        if not told:
            return
        self._sink.event(
            MarkQuote(
                venue=VENUE,
                received_ns=received_ns,
                slots=tuple([option.slot for option, _ in told]),
                prices=tuple([read_mark(option, row.mark) for option, row in told]),
                implied_vols=tuple([read_implied_vol(row.mark_vol) for _, row in told]),
                exchange_ns=max([row.stamp for _, row in told]) * NANOS_PER_MILLI,
            )
        )

    def _forward(self, expiry: Expiry, price: float, exchange_ns: int, received_ns: int) -> None:
        self._sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=received_ns,
                asset=expiry.asset,
                quote_currency=expiry.quote_currency,
                expiry_ns=expiry.expiry_ns,
                price=price,
                exchange_ns=exchange_ns,
            )
        )

    def _index(
        self, asset: Asset, quote_currency: str, price: float, stamp: int, received_ns: int
    ) -> None:
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=asset,
                quote_currency=quote_currency,
                price=price,
                exchange_ns=stamp * NANOS_PER_MILLI,
            )
        )

    def _indices(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        for row in decode(VENUE, _decode_indices, data):
            known = self._listing.underlyings.get(row.symbol)
            if known is None:
                self._counts["ignored.index"] += 1
            elif is_price(row.price):
                self._index(*known, row.price, row.stamp, received_ns)
            else:
                self._counts["rejected.bad_number"] += 1

    def _interest(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        amounts: dict[int, float] = {}
        for row in decode(VENUE, _decode_interest, data):
            option = self._find(row.symbol, received_ns)
            if option is None:
                continue
            if row.contracts == 0.0 or is_price(row.contracts):
                amounts[option.slot] = row.contracts * option.unit
            else:
                self._counts["rejected.bad_number"] += 1
        if amounts:
            self._sink.event(
                OpenInterest(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(amounts),
                    amounts=tuple(amounts.values()),
                )
            )

    def _symbol(self, data: bytes | msgspec.Raw, received_ns: int) -> None:
        self._hooks.listing_changed(decode(VENUE, _decode_event, data), received_ns)


def read_mark(option: Option, price: float) -> float:
    """The venue's mark in our premium unit; NaN where there is none."""
    return price * option.expiry.growth / option.unit if is_price(price) else nan
