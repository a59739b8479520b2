"""A Surface over a QuoteTable filled from plain quotes, for tests below the engine."""

from collections.abc import Sequence
from math import inf, isnan, nan

from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Method
from volgauge.domain.instrument import Asset, BookKey, Instrument, Premium, Venue
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

KEY = BookKey(Venue("test"), Asset("BTC"), "USD")
ALL = (Method.NATIVE, Method.DVOL, Method.CBOE)


def instrument(quote: ChainQuote, premium: Premium = Premium.COIN, tick: float = nan) -> Instrument:
    """The contract of a quote."""
    return Instrument(
        venue=KEY.venue,
        name=f"{quote.expiry_ns}-{quote.strike}-{quote.kind.value}",
        asset=KEY.asset,
        expiry_ns=quote.expiry_ns,
        strike=quote.strike,
        kind=quote.kind,
        premium=premium,
        quote_currency=KEY.quote_currency,
        tick_size=tick,
        tick_above=inf,
        tick_step=nan,
    )


def build(
    quotes: Sequence[ChainQuote],
    received_ns: int,
    *,
    methods: Sequence[Method] = ALL,
    premium: Premium = Premium.COIN,
    order: Sequence[int] | None = None,
    tick: float = nan,
) -> Surface:
    """List and quote every option; `order` is the slot of each."""
    table = QuoteTable()
    surface = Surface(KEY, table, methods)
    slots = range(len(quotes)) if order is None else order
    for slot, quote in sorted(zip(slots, quotes, strict=True), key=lambda pair: pair[0]):
        surface.add(slot, instrument(quote, premium, tick))
    for slot, quote in zip(slots, quotes, strict=True):
        table.write(slot, quote.bid, quote.ask, nan, nan, received_ns, received_ns)
        if not isnan(quote.mark):
            table.write_marks((slot,), (quote.mark,))
        if not isnan(quote.forward):
            surface.set_forward(quote.expiry_ns, quote.forward)
        if not isnan(quote.rate):
            surface.set_rate(quote.expiry_ns, quote.rate)
    return surface
