"""Pushes of OKX, all but the hot ones, turned into events."""

from collections import Counter
from collections.abc import Callable
from math import nan
from typing import TypeVar

import msgspec

from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.okx import messages, normalize
from volgauge.adapters.okx.endpoints import (
    CATALOG_TYPE,
    IN_MAINTENANCE,
    MAINTAINED_SERVICES,
    PRODUCTION,
    VENUE,
)
from volgauge.adapters.okx.listing import INDEX_CURRENCY, Listing
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.sequence import BookSequence, Step
from volgauge.adapters.payload import UNREADABLE
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    EventSink,
    ForwardMark,
    Gap,
    IndexPrice,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import ProtocolViolation

_decode_tops = msgspec.json.Decoder(list[messages.TopRow], strict=False).decode
_decode_books = msgspec.json.Decoder(list[messages.BookRow], strict=False).decode
_decode_summaries = msgspec.json.Decoder(list[messages.SummaryRow], strict=False).decode
_decode_marks = msgspec.json.Decoder(list[messages.MarkRow], strict=False).decode
_decode_indices = msgspec.json.Decoder(list[messages.IndexRow], strict=False).decode
_decode_interest = msgspec.json.Decoder(list[messages.InterestRow], strict=False).decode
_decode_status = msgspec.json.Decoder(list[messages.StatusRow], strict=False).decode

Maintenance = tuple[str, str, str]
"""Title, begin and service type: what a status keeps while its state changes."""


class Notifications:
    """Decodes payloads by channel and pushes their events into the sink."""

    def __init__(
        self,
        listing: Listing,
        sink: EventSink,
        counts: Counter[str],
        ongoing: set[Maintenance],
        listing_changed: Callable[[int], None],
    ) -> None:
        self._listing = listing
        self._sink = sink
        self._counts = counts
        self._listing_changed = listing_changed
        self._sequences: dict[Arg, BookSequence] = {}
        self._forward_ns: dict[tuple[Asset, str, int], int] = {}
        """Venue's time of the newest forward by (asset, quote currency, expiry)."""
        self._ongoing = ongoing
        """Maintenance that is going on; it outlives the session that told of it."""

    def begin_session(self, received_ns: int) -> None:
        """The first data of a session came: a maintenance announced to the one before is over.

        If it is not, the `status` channel repeats it when it is subscribed.
        """
        if self._ongoing:
            self._ongoing.clear()
            self._maintenance(received_ns)

    def end_session(self) -> None:
        """The session is gone, and every sequence with it."""
        self._sequences.clear()
        self._forward_ns.clear()

    def forget_book(self, arg: Arg) -> None:
        """The channel is unsubscribed; its next frame is a snapshot."""
        self._sequences.pop(arg, None)

    def take(self, arg: Arg, action: str, data: msgspec.Raw, received_ns: int) -> bool:
        """Handle one push; False when the book behind it must be subscribed anew.

        Raises:
            ProtocolViolation: The payload does not fit the channel's documented schema.
        """
        match arg.channel:
            case "bbo-tbt" | "tickers":
                self._tops(arg, data, received_ns)
            case "books" | "books5" | "books-l2-tbt" | "books50-l2-tbt":
                return self._books(arg, action, data, received_ns)
            case "opt-summary":
                self._summaries(data, received_ns)
            case "index-tickers":
                self._indices(data, received_ns)
            case "mark-price":
                self._marks(data, received_ns)
            case "open-interest":
                self._interest(data, received_ns)
            case "instruments":
                if arg.inst_type == CATALOG_TYPE:
                    self._listing_changed(received_ns)
                else:
                    self._counts["ignored.unlisted"] += 1
            case "status":
                self._status(data, received_ns)
            case _:
                self._counts["ignored.channel"] += 1
        return True

    def _option(self, name: str, received_ns: int) -> int | None:
        """Slot of an option; without a catalog it is listed by its name."""
        slot = self._listing.slots.get(name)
        if slot is None and not self._listing.is_loaded:
            slot = self._listing.adopt(name)
            if slot is not None:
                tell_adopted(self._sink, VENUE, slot, self._listing.instruments[slot], received_ns)
        if slot is None:
            self._counts["ignored.unlisted"] += 1
        return slot

    def _tops(self, arg: Arg, data: msgspec.Raw, received_ns: int) -> None:
        """A top of book of an option not listed yet, or one that failed the hot path."""
        slot = self._option(arg.inst_id, received_ns)
        if slot is None:
            return
        size = self._listing.instruments[slot].contract_size
        for row in _decode(_decode_tops, data):
            top = normalize.read_top(row, arg.channel, size)
            if top is None:
                self._counts["rejected.bad_number"] += 1
                top = (nan, nan, nan, nan)
            self._sink.quote(slot, *top, row.ts * NANOS_PER_MILLI, received_ns)

    def _books(self, arg: Arg, action: str, data: msgspec.Raw, received_ns: int) -> bool:
        slot = self._option(arg.inst_id, received_ns)
        if slot is None:
            return True
        # After a gap nothing counts until the snapshot that is asked for.
        return all(
            self._book(arg, slot, action, row, received_ns) for row in _decode(_decode_books, data)
        )

    def _book(
        self, arg: Arg, slot: int, action: str, row: messages.BookRow, received_ns: int
    ) -> bool:
        sequence = self._sequences.setdefault(arg, BookSequence())
        has_levels = bool(row.asks or row.bids)
        step = sequence.advance(action, row.seq_id, row.prev_seq_id, has_levels=has_levels)
        if step in {Step.KEEP_ALIVE, Step.WAITING}:
            self._counts[f"ignored.book_{step.value}"] += 1
            return True
        size = self._listing.instruments[slot].contract_size
        bids = normalize.read_levels(row.bids, size)
        asks = normalize.read_levels(row.asks, size)
        if step is Step.GAP or bids is None or asks is None:
            # Sequence step 5, for this book only.
            if step is not Step.GAP:
                sequence.fail()
                self._counts["rejected.bad_level"] += 1
            self._counts["gaps"] += 1
            reason = "sequence" if step is Step.GAP else "bad_level"
            self._sink.event(
                Gap(venue=VENUE, received_ns=received_ns, slots=(slot,), reason=reason)
            )
            return False
        if step is Step.SNAPSHOT:
            self._sink.event(
                BookSnapshot(
                    venue=VENUE,
                    received_ns=received_ns,
                    slot=slot,
                    bids=tuple(sorted((level for level in bids if level[1]), reverse=True)),
                    asks=tuple(sorted(level for level in asks if level[1])),
                    exchange_ns=row.ts * NANOS_PER_MILLI,
                )
            )
        else:
            self._sink.event(
                BookDelta(
                    venue=VENUE,
                    received_ns=received_ns,
                    slot=slot,
                    bids=bids,
                    asks=asks,
                    exchange_ns=row.ts * NANOS_PER_MILLI,
                )
            )
        return True

    def _summaries(self, data: msgspec.Raw, received_ns: int) -> None:
        """Rows that changed: implied volatilities, and the forward of every expiry among them.

        Rows of one expiry carry the forward of their own time; the newest counts, and none that
        is older than what has been told already.
        """
        slots, vols = [], []
        stamp = 0
        newest: dict[tuple[Asset, str, int], tuple[int, float]] = {}
        for row in _decode(_decode_summaries, data):
            slot = self._option(row.inst_id, received_ns)
            if slot is None:
                continue
            instrument = self._listing.instruments[slot]
            slots.append(slot)
            delta = abs(normalize.read_number(row.delta_bs))
            if delta <= 1.0:
                self._listing.deltas[slot] = delta
            vols.append(normalize.read_positive(row.mark_vol))
            stamp = max(stamp, row.ts)
            key = (instrument.asset, instrument.quote_currency, instrument.expiry_ns)
            price = normalize.read_positive(row.fwd_px)
            if price > 0.0 and row.ts > newest.get(key, (-1, nan))[0]:
                newest[key] = (row.ts, price)
            elif row.fwd_px not in {"", "0"} and not price > 0.0:
                self._counts["rejected.bad_number"] += 1
        for key, (millis, price) in sorted(newest.items()):
            self._forward(key, millis * NANOS_PER_MILLI, price, received_ns)
        if slots:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slots),
                    prices=(nan,) * len(slots),
                    implied_vols=tuple(vols),
                    exchange_ns=stamp * NANOS_PER_MILLI,
                )
            )

    def _forward(
        self, key: tuple[Asset, str, int], exchange_ns: int, price: float, received_ns: int
    ) -> None:
        if exchange_ns < self._forward_ns.get(key, 0):
            self._counts["ignored.older_forward"] += 1
            return
        self._forward_ns[key] = exchange_ns
        asset, quote_currency, expiry_ns = key
        self._sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=received_ns,
                asset=asset,
                quote_currency=quote_currency,
                expiry_ns=expiry_ns,
                price=price,
                exchange_ns=exchange_ns,
            )
        )

    def _indices(self, data: msgspec.Raw, received_ns: int) -> None:
        for row in _decode(_decode_indices, data):
            asset = self._listing.indices.get(row.inst_id)
            if asset is None:
                self._counts["ignored.index"] += 1
                continue
            price = normalize.read_positive(row.idx_px)
            if not price > 0.0:
                self._counts["rejected.bad_number"] += 1
                continue
            self._sink.event(
                IndexPrice(
                    venue=VENUE,
                    received_ns=received_ns,
                    asset=asset,
                    quote_currency=INDEX_CURRENCY,
                    price=price,
                    exchange_ns=row.ts * NANOS_PER_MILLI,
                )
            )

    def _marks(self, data: msgspec.Raw, received_ns: int) -> None:
        for row in _decode(_decode_marks, data):
            slot = self._option(row.inst_id, received_ns)
            if slot is None:
                continue
            price = normalize.read_mark(row.mark_px, self._listing.instruments[slot])
            if price > 0.0:
                self._sink.event(
                    MarkQuote(
                        venue=VENUE,
                        received_ns=received_ns,
                        slots=(slot,),
                        prices=(price,),
                        implied_vols=(nan,),
                        exchange_ns=row.ts * NANOS_PER_MILLI,
                    )
                )
            elif row.mark_px not in {"", "0"}:
                self._counts["rejected.bad_number"] += 1

    def _interest(self, data: msgspec.Raw, received_ns: int) -> None:
        for row in _decode(_decode_interest, data):
            slot = self._option(row.inst_id, received_ns)
            if slot is None:
                continue
            contracts = normalize.read_number(row.oi)
            if not contracts >= 0.0:
                self._counts["rejected.bad_number"] += 1
                continue
            size = self._listing.instruments[slot].contract_size
            self._sink.event(
                OpenInterest(
                    venue=VENUE, received_ns=received_ns, slots=(slot,), amounts=(contracts * size,)
                )
            )

    def _status(self, data: msgspec.Raw, received_ns: int) -> None:
        """Planned maintenance, each with its own state; any that goes on counts."""
        for row in _decode(_decode_status, data):
            if row.service_type not in MAINTAINED_SERVICES or row.env not in PRODUCTION:
                self._counts["ignored.status"] += 1
                continue
            key = (row.title, row.begin, row.service_type)
            if row.state in IN_MAINTENANCE:
                self._ongoing.add(key)
            elif key in self._ongoing:
                self._ongoing.remove(key)
            else:
                self._counts["ignored.status"] += 1
                continue
            self._maintenance(received_ns)

    def _maintenance(self, received_ns: int) -> None:
        self._sink.event(
            VenueState(
                venue=VENUE,
                received_ns=received_ns,
                asset=None,
                locked=False,
                maintenance=bool(self._ongoing),
            )
        )


T = TypeVar("T")


def _decode(decode: Callable[[msgspec.Raw], T], data: msgspec.Raw) -> T:
    try:
        return decode(data)
    except UNREADABLE as error:
        raise ProtocolViolation(VENUE, str(error)) from error
