"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of an expiry repeats its forward, every ticker of a coin its index. What it tells of
its option becomes `MarkQuote`, `OpenInterest` and `TradedVolume`. Time is the receipt, so a replay
does the same.
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
from volgauge.adapters.gathered import Gathered
from volgauge.domain.events import EventSink, ForwardMark, IndexPrice
from volgauge.domain.units import NANOS_PER_MILLI


class Readings:
    """Of one session."""

    def __init__(self, listing: Listing, sink: EventSink) -> None:
        self._sink = sink
        self.gathered = Gathered(VENUE, sink, listing.options, GATHER_NS)

    def take(self, option: Option, ticker: Ticker, discount: float, received_ns: int) -> None:
        """Read one ticker; `discount` is NaN where it has none."""
        expiry = option.expiry
        pricing = ticker.option_pricing
        mark = None
        if pricing is not None:
            if pricing.forward and received_ns - expiry.forward_ns >= FORWARD_SPACING_NS:
                self.forward(expiry, pricing.forward, ticker.stamp, received_ns)
            price = ticker.mark_price / discount if ticker.mark_price else nan
            mark = (price, read_implied_vol(pricing.implied_vol))
        is_due = received_ns - expiry.coin.index_ns >= INDEX_SPACING_NS
        if is_due and ticker.index_price:
            self.index(expiry.coin, ticker.index_price, ticker.stamp, received_ns)
        stats = ticker.stats
        interest, volume = (None, None) if stats is None else (stats.open_interest, stats.volume)
        stamp_ns = ticker.stamp * NANOS_PER_MILLI
        self.gathered.take(option, mark, interest, volume, stamp_ns, received_ns)

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
