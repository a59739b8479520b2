"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of an expiry repeats its forward, every ticker of a coin its index; marks, open
interest and volumes are read by nobody in a hurry. Time is the receipt, so a replay does the same.
"""

from math import nan

from volgauge.adapters.derive.endpoints import (
    FORWARD_SPACING_NS,
    GATHER_NS,
    INDEX_CURRENCY,
    INDEX_SPACING_NS,
    VENUE,
)
from volgauge.adapters.derive.listing import Coin, Expiry, Listing, Option
from volgauge.adapters.derive.messages import Ticker
from volgauge.adapters.derive.normalize import read_implied_vol
from volgauge.adapters.facts import tell_volume
from volgauge.domain.events import EventSink, ForwardMark, IndexPrice, MarkQuote, OpenInterest
from volgauge.domain.units import NANOS_PER_MILLI


class Readings:
    """Of one session."""

    def __init__(self, listing: Listing, sink: EventSink) -> None:
        self._listing = listing
        self._sink = sink
        self._due_ns = 0
        """When the gathered marks are handed on."""
        self._marks: dict[int, tuple[Option, float, float]] = {}
        """By slot."""
        self._amounts: dict[int, tuple[Option, float]] = {}
        self._volumes: dict[int, tuple[Option, float]] = {}
        self._stamp = 0

    def take(self, option: Option, ticker: Ticker, discount: float, received_ns: int) -> None:
        """Read one ticker; `discount` is NaN where it has none."""
        expiry = option.expiry
        pricing = ticker.option_pricing
        if pricing is not None:
            if pricing.forward and received_ns - expiry.forward_ns >= FORWARD_SPACING_NS:
                self.forward(expiry, pricing.forward, ticker.stamp, received_ns)
            vol = read_implied_vol(pricing.implied_vol)
            mark = ticker.mark_price / discount if ticker.mark_price else nan
            self._marks[option.slot] = (option, mark, vol)
        if ticker.index_price:
            self.index(expiry.coin, ticker.index_price, ticker.stamp, received_ns)
        stats = ticker.stats
        if stats is not None:
            if stats.open_interest is not None:
                self._amounts[option.slot] = (option, stats.open_interest)
            if stats.volume is not None:
                self._volumes[option.slot] = (option, stats.volume)
        self._stamp = max(self._stamp, ticker.stamp)
        if received_ns >= self._due_ns:
            self._hand_on(received_ns)

    def index(self, coin: Coin, price: float, stamp: int, received_ns: int) -> None:
        """Hand on the index of a coin, if its turn has come."""
        if received_ns - coin.index_ns < INDEX_SPACING_NS:
            return
        coin.index_ns = received_ns
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=coin.asset,
                quote_currency=INDEX_CURRENCY,
                price=price,
                exchange_ns=stamp * NANOS_PER_MILLI,
            )
        )

    def forward(self, expiry: Expiry, price: float, stamp: int, received_ns: int) -> None:
        """Hand on the forward of an expiry; NaN withdraws it."""
        expiry.forward_ns = received_ns
        self._sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=received_ns,
                asset=expiry.coin.asset,
                quote_currency=expiry.quote_currency,
                expiry_ns=expiry.expiry_ns,
                price=price,
                exchange_ns=stamp * NANOS_PER_MILLI,
            )
        )

    def forget(self) -> None:
        """Drop what was gathered."""
        self._marks.clear()
        self._amounts.clear()
        self._volumes.clear()
        self._stamp = 0

    def _hand_on(self, received_ns: int) -> None:
        """Send `MarkQuote`, `OpenInterest` and `TradedVolume` of what was gathered."""
        self._due_ns = received_ns + GATHER_NS
        # Since it was gathered an option may have gone, and its slot be another's.
        marks = sorted(
            (slot, mark, vol)
            for slot, (option, mark, vol) in self._marks.items()
            if self._is_listed(option)
        )
        if marks:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _, _ in marks),
                    prices=tuple(mark for _, mark, _ in marks),
                    implied_vols=tuple(vol for _, _, vol in marks),
                    exchange_ns=self._stamp * NANOS_PER_MILLI,
                )
            )
        amounts = sorted(
            (slot, amount)
            for slot, (option, amount) in self._amounts.items()
            if self._is_listed(option)
        )
        if amounts:
            self._sink.event(
                OpenInterest(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _ in amounts),
                    amounts=tuple(amount for _, amount in amounts),
                )
            )
        volumes = {
            slot: volume
            for slot, (option, volume) in self._volumes.items()
            if self._is_listed(option)
        }
        if volumes:
            self._sink.event(tell_volume(VENUE, volumes, received_ns))
        self.forget()

    def _is_listed(self, option: Option) -> bool:
        return self._listing.options.get(option.instrument.name) is option
