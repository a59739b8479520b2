"""Notifications of Deribit, all but the hot one, turned into events."""

from collections import Counter
from collections.abc import Callable
from math import nan
from typing import TypeVar

import msgspec

from volgauge.adapters.deribit import messages, normalize
from volgauge.adapters.deribit.endpoints import MAX_STAMP, VENUE
from volgauge.adapters.deribit.listing import Listing
from volgauge.adapters.facts import is_amount, tell_volume
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE
from volgauge.book.sequence import BookSequence, Step
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    EventSink,
    ForwardMark,
    ForwardQuote,
    Gap,
    IndexPrice,
    MarkQuote,
    OpenInterest,
    VenueState,
    VenueVolIndex,
)
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import ProtocolViolation

SPOT_INDEX = "index_price"
"""`underlying_index` of an option that the venue prices off the spot index: no forward."""

_decode_loose = msgspec.json.Decoder(messages.LooseQuote).decode
_decode_ticker = msgspec.json.Decoder(messages.TickerData).decode
_decode_book = msgspec.json.Decoder(messages.BookData).decode
_decode_marks = msgspec.json.Decoder(list[messages.MarkRow]).decode
_decode_index = msgspec.json.Decoder(messages.IndexData).decode
_decode_volatility = msgspec.json.Decoder(messages.VolatilityData).decode
_decode_platform = msgspec.json.Decoder(messages.PlatformData).decode
_decode_status = msgspec.json.Decoder(messages.Status).decode


class Notifications:
    """Decodes payloads by channel and pushes their events into the sink."""

    def __init__(
        self,
        listing: Listing,
        sink: EventSink,
        counts: Counter[str],
        listing_changed: Callable[[int], None],
    ) -> None:
        self._listing = listing
        self._sink = sink
        self._counts = counts
        self._listing_changed = listing_changed
        self._sequences: dict[str, BookSequence] = {}
        self._in_maintenance = False

    def begin_session(self, received_ns: int) -> None:
        """The first data of a session came: a maintenance announced to the one before is over."""
        if self._in_maintenance:
            self._in_maintenance = False
            self._venue_state(None, locked=False, maintenance=False, received_ns=received_ns)

    def forget_books(self) -> None:
        """The session is gone, and every sequence with it."""
        self._sequences.clear()

    def forget_book(self, channel: str) -> None:
        """The channel is unsubscribed; its next frame is a snapshot."""
        self._sequences.pop(channel, None)

    def take(self, channel: str, data: msgspec.Raw, received_ns: int) -> bool:
        """Handle one notification; False when the book behind it must be subscribed anew.

        Raises:
            ProtocolViolation: The payload does not fit the channel's documented schema.
        """
        match channel.split("."):
            case ["quote", name]:
                self._quote(name, data, received_ns)
            case ["ticker", name, _]:
                self._ticker(name, data, received_ns)
            case ["book", name, _]:
                return self._book(channel, name, data, received_ns)
            case ["book", name, _, _, _]:
                self._grouped_book(name, data, received_ns)
            case ["deribit_price_index", index]:
                self._price_index(index, data, received_ns)
            case ["deribit_volatility_index", index]:
                self._volatility_index(index, data, received_ns)
            case ["markprice", "options", _]:
                self._marks(data, received_ns)
            case ["instrument", "state" | "creation", *_]:
                self._listing_changed(received_ns)
            case ["platform_state"]:
                self._platform(_decode(_decode_platform, data), received_ns)
            case _:
                self._counts["ignored.channel"] += 1
        return True

    def status(self, result: msgspec.Raw, received_ns: int) -> None:
        """Answer of public/status: which price indices are locked now."""
        status = _decode(_decode_status, result)
        all_locked = status.locked is True or status.locked == "true"
        for index, (asset, _) in sorted(self._listing.indices.items()):
            locked = index in status.locked_indices or (all_locked and not status.locked_indices)
            self._venue_state(asset, locked=locked, maintenance=False, received_ns=received_ns)

    def _option(self, name: str, received_ns: int) -> int | None:
        """Slot of an option; without a catalog it is listed by its name."""
        slot = self._listing.slots.get(name)
        if slot is None and not self._listing.is_loaded and name not in self._listing.futures:
            slot = self._listing.adopt(name)
            if slot is not None:
                tell_adopted(self._sink, VENUE, slot, self._listing.instruments[slot], received_ns)
        return slot

    def _quote(self, name: str, data: msgspec.Raw, received_ns: int) -> None:
        """A quote of a future, of an option not listed yet, or one that failed the hot path."""
        quote = _decode(_decode_loose, data)
        top = (
            quote.best_bid_price,
            quote.best_ask_price,
            quote.best_bid_amount,
            quote.best_ask_amount,
        )
        self._top_of_book(name, top, quote.timestamp, received_ns)

    def _top_of_book(
        self,
        name: str,
        top: tuple[float | None, float | None, float | None, float | None],
        timestamp: float,
        received_ns: int,
    ) -> None:
        slot = self._option(name, received_ns)
        future = self._listing.futures.get(name) if slot is None else None
        if slot is None and future is None:
            self._counts["ignored.unlisted"] += 1
            return
        stamp_ns = round(timestamp) * NANOS_PER_MILLI if 0.0 <= timestamp < MAX_STAMP else None
        if stamp_ns is None or not normalize.is_in_range(*top):
            self._counts["rejected.bad_number"] += 1
            stamp_ns, top = 0, (None, None, None, None)
        bid, bid_size = normalize.read_side(top[0], top[2])
        ask, ask_size = normalize.read_side(top[1], top[3])
        if slot is not None:
            self._sink.quote(slot, bid, ask, bid_size, ask_size, stamp_ns, received_ns)
        elif future is not None:
            self._sink.event(
                ForwardQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    asset=future.asset,
                    quote_currency=future.quote_currency,
                    expiry_ns=future.expiry_ns,
                    bid=bid,
                    ask=ask,
                    exchange_ns=stamp_ns,
                )
            )

    def _ticker(self, name: str, data: msgspec.Raw, received_ns: int) -> None:
        """A ticker: live it is asked for its forward only, a recording may hold nothing else."""
        ticker = _decode(_decode_ticker, data)
        if not self._listing.is_loaded:
            top = (
                ticker.best_bid_price,
                ticker.best_ask_price,
                ticker.best_bid_amount,
                ticker.best_ask_amount,
            )
            self._top_of_book(name, top, float(ticker.timestamp), received_ns)
        slot = self._listing.slots.get(name)
        if slot is None:
            if self._listing.is_loaded:
                self._counts["ignored.unlisted"] += 1
            return
        instrument = self._listing.instruments[slot]
        exchange_ns = ticker.timestamp * NANOS_PER_MILLI
        if ticker.underlying_index != SPOT_INDEX and ticker.underlying_price:
            if not normalize.is_in_range(ticker.underlying_price):
                self._counts["rejected.bad_number"] += 1
                return
            self._sink.event(
                ForwardMark(
                    venue=VENUE,
                    received_ns=received_ns,
                    asset=instrument.asset,
                    quote_currency=instrument.quote_currency,
                    expiry_ns=instrument.expiry_ns,
                    price=ticker.underlying_price,
                    exchange_ns=exchange_ns,
                )
            )
        if self._listing.is_loaded:
            return
        self._amounts(slot, ticker, received_ns)
        if ticker.mark_price and normalize.is_in_range(ticker.mark_price):
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=(slot,),
                    prices=(ticker.mark_price,),
                    implied_vols=(nan if ticker.mark_iv is None else ticker.mark_iv / 100.0,),
                    exchange_ns=exchange_ns,
                )
            )

    def _amounts(self, slot: int, ticker: messages.TickerData, received_ns: int) -> None:
        if ticker.open_interest is not None and normalize.is_in_range(ticker.open_interest):
            self._sink.event(
                OpenInterest(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=(slot,),
                    amounts=(ticker.open_interest,),
                )
            )
        volume = None if ticker.stats is None else ticker.stats.volume
        if volume is not None and is_amount(volume):
            self._sink.event(tell_volume(VENUE, {slot: volume}, received_ns))
        elif volume is not None:
            self._counts["rejected.volume"] += 1

    def _book(self, channel: str, name: str, data: msgspec.Raw, received_ns: int) -> bool:
        slot = self._option(name, received_ns)
        if slot is None:
            self._counts["ignored.unlisted"] += 1
            return True
        book = _decode(_decode_book, data)
        sequence = self._sequences.setdefault(channel, BookSequence())
        step = sequence.advance(book.type, book.change_id, book.prev_change_id)
        if step in {Step.DUPLICATE, Step.WAITING}:
            self._counts[f"ignored.book_{step.value}"] += 1
            return True
        bids, asks = normalize.read_levels(book.bids), normalize.read_levels(book.asks)
        if step is Step.GAP or bids is None or asks is None:
            # Sequence step 5, for this book only.
            if step is not Step.GAP:
                sequence.fail()
                self._counts["rejected.bad_level"] += 1
            self._gap(slot, "sequence" if step is Step.GAP else "bad_level", received_ns)
            return False
        exchange_ns = book.timestamp * NANOS_PER_MILLI
        if step is Step.SNAPSHOT:
            self._snapshot(slot, bids, asks, exchange_ns, received_ns)
        else:
            self._sink.event(
                BookDelta(
                    venue=VENUE,
                    received_ns=received_ns,
                    slot=slot,
                    bids=bids,
                    asks=asks,
                    exchange_ns=exchange_ns,
                )
            )
        return True

    def _gap(self, slot: int, reason: str, received_ns: int) -> None:
        self._counts["gaps"] += 1
        self._sink.event(Gap(venue=VENUE, received_ns=received_ns, slots=(slot,), reason=reason))

    def _grouped_book(self, name: str, data: msgspec.Raw, received_ns: int) -> None:
        slot = self._option(name, received_ns)
        if slot is None:
            self._counts["ignored.unlisted"] += 1
            return
        book = _decode(_decode_book, data)
        bids, asks = normalize.read_levels(book.bids), normalize.read_levels(book.asks)
        if bids is None or asks is None:
            self._counts["rejected.bad_level"] += 1
            self._gap(slot, "bad_level", received_ns)
            return
        self._snapshot(slot, bids, asks, book.timestamp * NANOS_PER_MILLI, received_ns)

    def _snapshot(
        self,
        slot: int,
        bids: normalize.Levels,
        asks: normalize.Levels,
        exchange_ns: int,
        received_ns: int,
    ) -> None:
        self._sink.event(
            BookSnapshot(
                venue=VENUE,
                received_ns=received_ns,
                slot=slot,
                bids=tuple(sorted((level for level in bids if level[1]), reverse=True)),
                asks=tuple(sorted(level for level in asks if level[1])),
                exchange_ns=exchange_ns,
            )
        )

    def _price_index(self, index: str, data: msgspec.Raw, received_ns: int) -> None:
        known = self._listing.indices.get(index)
        if known is None:
            self._counts["ignored.index"] += 1
            return
        row = _decode(_decode_index, data)
        if not row.price or not normalize.is_in_range(row.price):
            self._counts["rejected.bad_number"] += 1
            return
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=known[0],
                quote_currency=known[1],
                price=row.price,
                exchange_ns=row.timestamp * NANOS_PER_MILLI,
            )
        )

    def _volatility_index(self, index: str, data: msgspec.Raw, received_ns: int) -> None:
        known = self._listing.indices.get(index)
        if known is None:
            self._counts["ignored.index"] += 1
            return
        row = _decode(_decode_volatility, data)
        if not row.volatility or not normalize.is_in_range(row.volatility):
            self._counts["rejected.bad_number"] += 1
            return
        self._sink.event(
            VenueVolIndex(
                venue=VENUE,
                received_ns=received_ns,
                asset=known[0],
                value=row.volatility,
                exchange_ns=row.timestamp * NANOS_PER_MILLI,
            )
        )

    def _marks(self, data: msgspec.Raw, received_ns: int) -> None:
        slots, prices, vols = [], [], []
        stamp = 0
        for row in _decode(_decode_marks, data):
            slot = self._option(row.instrument_name, received_ns)
            if slot is None:
                continue
            if not row.mark_price:
                continue
            if not normalize.is_in_range(row.mark_price, row.iv):
                self._counts["rejected.bad_number"] += 1
                continue
            slots.append(slot)
            prices.append(row.mark_price)
            vols.append(nan if row.iv is None else row.iv)
            stamp = max(stamp, row.timestamp)
        if slots:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slots),
                    prices=tuple(prices),
                    implied_vols=tuple(vols),
                    exchange_ns=stamp * NANOS_PER_MILLI,
                )
            )

    def _platform(self, state: messages.PlatformData, received_ns: int) -> None:
        if state.maintenance is not None:
            self._in_maintenance = state.maintenance
            self._venue_state(
                None, locked=False, maintenance=state.maintenance, received_ns=received_ns
            )
        elif state.locked is not None:
            known = self._listing.indices.get(state.price_index)
            if known is None:
                self._counts["ignored.index"] += 1
            else:
                self._venue_state(
                    known[0], locked=state.locked, maintenance=False, received_ns=received_ns
                )
        else:
            self._counts["ignored.platform_state"] += 1

    def _venue_state(
        self, asset: Asset | None, *, locked: bool, maintenance: bool, received_ns: int
    ) -> None:
        self._sink.event(
            VenueState(
                venue=VENUE,
                received_ns=received_ns,
                asset=asset,
                locked=locked,
                maintenance=maintenance,
            )
        )


T = TypeVar("T")


def _decode(decode: Callable[[msgspec.Raw], T], data: msgspec.Raw) -> T:
    try:
        return decode(data)
    except UNREADABLE as error:
        raise ProtocolViolation(VENUE, str(error)) from error
