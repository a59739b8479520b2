"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of an expiry repeats its forward, every ticker of a coin its index; marks and open
interest are read by nobody in a hurry. Time is the receipt, so a replay does the same.
"""

from volgauge.adapters.bybit.endpoints import (
    FORWARD_SPACING_NS,
    GATHER_NS,
    INDEX_SPACING_NS,
    VENUE,
)
from volgauge.adapters.bybit.listing import Expiry, Option
from volgauge.adapters.bybit.messages import Data
from volgauge.adapters.bybit.normalize import read_implied_vol
from volgauge.domain.events import EventSink, ForwardMark, IndexPrice, MarkQuote, OpenInterest
from volgauge.domain.units import NANOS_PER_MILLI


class Readings:
    """Of one session."""

    def __init__(self, sink: EventSink) -> None:
        self.due_ns = 0
        """When the gathered marks are handed on."""
        self._sink = sink
        self._marks: dict[int, tuple[float, float]] = {}
        self._amounts: dict[int, float] = {}
        self._stamp = 0

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
        if data.mark_price:
            self._marks[option.slot] = (data.mark_price, read_implied_vol(data.mark_price_iv))
        if data.open_interest is not None:
            self._amounts[option.slot] = data.open_interest
        self._stamp = max(self._stamp, stamp)
        if received_ns >= self.due_ns:
            self.hand_on(received_ns)

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

    def hand_on(self, received_ns: int) -> None:
        """Send what was gathered."""
        self.due_ns = received_ns + GATHER_NS
        if self._marks:
            marks = sorted(self._marks.items())
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _ in marks),
                    prices=tuple(price for _, (price, _) in marks),
                    implied_vols=tuple(vol for _, (_, vol) in marks),
                    exchange_ns=self._stamp * NANOS_PER_MILLI,
                )
            )
        if self._amounts:
            amounts = sorted(self._amounts.items())
            self._sink.event(
                OpenInterest(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _ in amounts),
                    amounts=tuple(amount for _, amount in amounts),
                )
            )
        self.forget()

    def forget(self) -> None:
        """Drop what was gathered: the slots may be others' from now on."""
        self._marks.clear()
        self._amounts.clear()
        self._stamp = 0
