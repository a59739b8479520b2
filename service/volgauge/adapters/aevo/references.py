"""Indices of Aevo, and the forwards that follow them."""

from collections import Counter
from math import isnan, nan

from volgauge.adapters.aevo.endpoints import (
    BASIS_AGE_NS,
    INDEX_CURRENCY,
    REFERENCE_SPACING_NS,
    VENUE,
)
from volgauge.adapters.aevo.listing import Coin, Expiry, Listing
from volgauge.domain.events import EventSink, ForwardMark, IndexPrice
from volgauge.domain.instrument import Asset


class References:
    """Hands on the index of each coin, and with it the forward of each of its expiries.

    A forward is the index times the ratio that the newest listing tells; time is the receipt, so a
    replay does the same.
    """

    def __init__(self, listing: Listing, sink: EventSink, counts: Counter[str]) -> None:
        self._listing = listing
        self._sink = sink
        self._counts = counts

    def index(self, name: str, price: float, stamp: int, received_ns: int) -> None:
        """Take a price of an index; 0 is none."""
        coin = self._listing.coins.get(Asset(name))
        if coin is None or not price:
            self._counts["ignored.index"] += 1
            return
        if received_ns - coin.index_ns < REFERENCE_SPACING_NS:
            return
        coin.index_ns = received_ns
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=coin.asset,
                quote_currency=INDEX_CURRENCY,
                price=price,
                exchange_ns=stamp,
            )
        )
        for expiry in coin.expiries:
            self._follow(coin, expiry, price, stamp, received_ns)

    def _follow(
        self, coin: Coin, expiry: Expiry, price: float, stamp: int, received_ns: int
    ) -> None:
        is_known = not isnan(expiry.basis) and received_ns - expiry.basis_ns <= BASIS_AGE_NS
        if not is_known and not expiry.is_told:
            return
        # NaN withdraws what was told before.
        expiry.is_told = is_known
        self._sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=received_ns,
                asset=coin.asset,
                quote_currency=expiry.quote_currency,
                expiry_ns=expiry.expiry_ns,
                price=price * expiry.basis if is_known else nan,
                exchange_ns=stamp if is_known else 0,
            )
        )
