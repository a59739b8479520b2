"""Pushes of Derive, tickers and spot prices, turned into quotes and events."""

from collections import Counter
from math import isnan, nan

import msgspec

from volgauge.adapters.derive import messages
from volgauge.adapters.derive.endpoints import VENUE
from volgauge.adapters.derive.listing import Listing, Option
from volgauge.adapters.derive.messages import Text
from volgauge.adapters.derive.normalize import read_discount, read_side, read_text
from volgauge.adapters.derive.plan import SPOTS, TICKERS, instrument_of
from volgauge.adapters.derive.readings import Readings
from volgauge.adapters.listing import tell_adopted
from volgauge.adapters.payload import UNREADABLE, decode
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI

_decode_ticker = msgspec.json.Decoder(messages.TickerData, strict=False).decode
_decode_loose = msgspec.json.Decoder(messages.LooseTickerData).decode
_decode_spot = msgspec.json.Decoder(messages.SpotData, strict=False).decode


class Pushes:
    """Decodes payloads by channel and pushes their events into the sink."""

    def __init__(self, listing: Listing, sink: EventSink, counts: Counter[str]) -> None:
        self.readings = Readings(listing, sink)
        self._listing = listing
        self._sink = sink
        self._quote = sink.quote
        self._counts = counts

    def ticker(self, ticker: messages.Ticker, option: Option, received_ns: int) -> None:
        """Quote the option and read the rest.

        A price without its discount factor cannot be told in our unit: both sides are absent then.
        """
        discount = read_discount(ticker.option_pricing)
        if isnan(discount):
            self._counts["rejected.no_discount"] += 1
            bid = ask = bid_size = ask_size = nan
        else:
            bid, bid_size = read_side(ticker.bid_price, ticker.bid_size, discount)
            ask, ask_size = read_side(ticker.ask_price, ticker.ask_size, discount)
        exchange_ns = ticker.stamp * NANOS_PER_MILLI
        self._quote(option.slot, bid, ask, bid_size, ask_size, exchange_ns, received_ns)
        self.readings.take(option, ticker, discount, received_ns)

    def take(self, channel: str, data: msgspec.Raw, received_ns: int) -> None:
        """Handle one push that is not hot.

        Raises:
            ProtocolViolation: The payload does not fit the channel's documented schema.
        """
        if channel.startswith(TICKERS):
            self._any_ticker(channel, data, received_ns)
        elif channel.startswith(SPOTS):
            self._spot(data, received_ns)
        else:
            self._counts["ignored.channel"] += 1

    def _any_ticker(self, channel: str, data: msgspec.Raw, received_ns: int) -> None:
        """A ticker of an option not listed yet, or with a number out of range."""
        option = self._option(instrument_of(channel), received_ns)
        if option is None:
            self._counts["ignored.unlisted"] += 1
            return
        try:
            ticker = _decode_ticker(data).instrument_ticker
        except UNREADABLE:
            ticker = self._repair(decode(VENUE, _decode_loose, data).instrument_ticker)
        self.ticker(ticker, option, received_ns)

    def _option(self, name: str, received_ns: int) -> Option | None:
        """An option; without a catalog it is listed by its name."""
        option = self._listing.options.get(name)
        if option is None and not self._listing.is_loaded:
            option = self._listing.adopt(name)
            if option is not None:
                tell_adopted(self._sink, VENUE, option.slot, option.instrument, received_ns)
        return option

    def _repair(self, loose: messages.LooseTicker) -> messages.Ticker:
        """Read number by number; what makes no sense is absent, and counted."""
        pricing, stats = loose.option_pricing, loose.stats
        return messages.Ticker(
            stamp=loose.stamp,
            bid_price=self._number(loose.bid_price),
            bid_size=self._number(loose.bid_size),
            ask_price=self._number(loose.ask_price),
            ask_size=self._number(loose.ask_size),
            mark_price=self._number(loose.mark_price),
            index_price=self._number(loose.index_price),
            option_pricing=None
            if pricing is None
            else messages.Pricing(
                self._number(pricing.forward),
                self._number(pricing.implied_vol),
                self._number(pricing.discount),
            ),
            stats=None
            if stats is None
            else messages.Stats(self._amount(stats.open_interest), self._amount(stats.volume)),
        )

    def _number(self, text: Text) -> float:
        value = read_text(text)
        if isnan(value):
            self._counts["rejected.bad_number"] += 1
            return 0.0
        return value

    def _amount(self, text: Text) -> float | None:
        """Of `stats`: 0 is an amount there, so what makes no sense is not told at all."""
        value = read_text(text)
        if isnan(value):
            self._counts["rejected.bad_number"] += 1
        return None if isnan(value) or text in {None, ""} else value

    def _spot(self, data: msgspec.Raw, received_ns: int) -> None:
        spot = decode(VENUE, _decode_spot, data)
        for name, feed in sorted(spot.feeds.items()):
            coin = self._listing.coins.get(Asset(name))
            if coin is None or not feed.price:
                self._counts["ignored.index"] += 1
            else:
                self.readings.index(coin, feed.price, spot.timestamp, received_ns)
