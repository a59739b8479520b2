"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of a coin repeats its index. What it tells of its option becomes `MarkQuote`,
`OpenInterest` and `TradedVolume`. Time is the receipt, so a replay does the same.
"""

from math import nan

from volgauge.adapters.delta.endpoints import GATHER_NS, INDEX_SPACING_NS, VENUE
from volgauge.adapters.delta.listing import Coin, Listing, Option
from volgauge.adapters.delta.messages import Ticker
from volgauge.adapters.delta.normalize import read_implied_vol
from volgauge.adapters.gathered import Gathered
from volgauge.domain.events import EventSink, IndexPrice
from volgauge.domain.units import NANOS_PER_MICRO


class Readings:
    """Of one session."""

    def __init__(self, listing: Listing, sink: EventSink) -> None:
        self._sink = sink
        self.gathered = Gathered(VENUE, sink, listing.options, GATHER_NS)

    def take(self, option: Option, ticker: Ticker, received_ns: int) -> None:
        """Read one ticker; open interest and volume are coins."""
        quotes = ticker.quotes
        vol = read_implied_vol(None if quotes is None else quotes.mark_iv)
        if ticker.spot_price:
            self.index(option.coin, ticker.spot_price, ticker.timestamp, received_ns)
        self.gathered.take(
            option,
            (ticker.mark_price or nan, vol),
            ticker.oi,
            ticker.volume,
            ticker.timestamp * NANOS_PER_MICRO,
            received_ns,
        )

    def index(self, coin: Coin, price: float, stamp: int, received_ns: int) -> None:
        """Hand on the index of a coin, if its turn has come; `stamp` is 0 where it is not told."""
        if received_ns - coin.index_ns < INDEX_SPACING_NS:
            return
        coin.index_ns = received_ns
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=coin.asset,
                quote_currency=coin.quote_currency,
                price=price,
                exchange_ns=stamp * NANOS_PER_MICRO,
            )
        )
