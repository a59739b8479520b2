"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of an expiry repeats its forward, every ticker of a coin its index. What it tells of
its option becomes `MarkQuote` and `OpenInterest`. Time is the receipt, so a replay does the same.
"""

from volgauge.adapters.bybit.endpoints import (
    FORWARD_SPACING_NS,
    GATHER_NS,
    INDEX_SPACING_NS,
    VENUE,
)
from volgauge.adapters.bybit.listing import Expiry, Listing, Option
from volgauge.adapters.bybit.messages import Data
from volgauge.adapters.bybit.normalize import read_implied_vol
from volgauge.adapters.gathered import Gathered
from volgauge.domain.events import EventSink, ForwardMark, IndexPrice
from volgauge.domain.units import NANOS_PER_MILLI


class Readings:
    """Of one session."""

    def __init__(self, listing: Listing, sink: EventSink) -> None:
        self._sink = sink
        self.gathered = Gathered(VENUE, sink, listing.options, GATHER_NS)

    def take(self, option: Option, data: Data, stamp: int, received_ns: int) -> None:
        """Read one ticker."""
        expiry = option.expiry
        if data.underlying_price and received_ns - expiry.forward_ns >= FORWARD_SPACING_NS:
            self.forward(expiry, data.underlying_price, stamp, received_ns)
        coin = expiry.coin
        if data.index_price and received_ns - coin.index_ns >= INDEX_SPACING_NS:
            coin.index_ns = received_ns
            self._sink.event(
                IndexPrice(
                    venue=VENUE,
                    received_ns=received_ns,
                    asset=coin.asset,
                    quote_currency=coin.quote_currency,
                    price=data.index_price,
                    exchange_ns=stamp * NANOS_PER_MILLI,
                )
            )
        mark = None
        if data.mark_price:
            mark = (data.mark_price, read_implied_vol(data.mark_price_iv))
        self.gathered.take(
            option, mark, data.open_interest, None, stamp * NANOS_PER_MILLI, received_ns
        )

    def forward(self, expiry: Expiry, price: float, stamp: int, received_ns: int) -> None:
        """Hand on the forward of an expiry; NaN withdraws it."""
        expiry.forward_ns = received_ns
        self._sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=received_ns,
                asset=expiry.coin.asset,
                quote_currency=expiry.coin.quote_currency,
                expiry_ns=expiry.expiry_ns,
                price=price,
                exchange_ns=stamp * NANOS_PER_MILLI,
            )
        )
