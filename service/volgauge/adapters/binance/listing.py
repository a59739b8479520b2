"""What Binance lists at the moment: names to slots, and what the sessions keep of each option."""

from collections.abc import Mapping
from math import nan

from volgauge.adapters.binance.endpoints import GROWTH_NS
from volgauge.adapters.binance.normalize import growth_factor, read_name, underlying_of
from volgauge.adapters.listing import Changes, ListedOptions
from volgauge.domain.instrument import Asset, Instrument


class Expiry:
    """Options that expire together: their forward, and what turns paid-now into paid-then."""

    __slots__ = ("asset", "expiry_ns", "growth", "growth_ns", "quote_currency", "rate")

    def __init__(self, asset: Asset, quote_currency: str, expiry_ns: int) -> None:
        self.asset = asset
        self.quote_currency = quote_currency
        self.expiry_ns = expiry_ns
        self.rate = nan
        """By the venue, a year, continuously compounded; NaN not told yet."""
        self.growth = 1.0
        """exp(rate T); 1 while no rate is told, which a listing never leaves so."""
        self.growth_ns = 0
        """As of when."""

    def take_rate(self, rate: float, at_ns: int) -> None:
        """Follow the venue's rate; between its changes the factor moves in steps of a minute.

        In steps, so that a quote that stands still does not seem to move.
        """
        if rate != self.rate or at_ns - self.growth_ns >= GROWTH_NS:
            self.rate = rate
            self.growth = growth_factor(rate, self.expiry_ns, at_ns)
            self.growth_ns = at_ns


class Option:
    """One listed option, and who quotes it now: its own stream, or the chain once a second."""

    __slots__ = (
        "ask", "bid", "chain_ms", "expiry", "instrument", "is_streamed", "missed_ms",
        "number", "slot", "ticker_ms", "unit",
    )  # fmt: skip

    def __init__(self, slot: int, instrument: Instrument, expiry: Expiry) -> None:
        self.slot = slot
        self.instrument = instrument
        self.expiry = expiry
        self.unit = instrument.contract_size
        self.forget()

    def forget(self) -> None:
        """Nothing has quoted it."""
        self.is_streamed = False
        self.bid = self.ask = nan
        """Newest best prices as the wire has them, 0 absent; NaN before the first."""
        self.number = -1
        """Of the stream's newest update."""
        self.ticker_ms = -1
        """Venue's time of it."""
        self.chain_ms = -1
        """Venue's time of the newest row of a chain."""
        self.missed_ms = 0
        """Since when the chain has contradicted the stream; 0 it does not."""


class Listing(ListedOptions):
    """Options by name."""

    def __init__(self) -> None:
        super().__init__(self._follow)
        self.options: dict[str, Option] = {}
        self.expiries: dict[tuple[Asset, str, int], Expiry] = {}
        self.underlyings: dict[str, tuple[Asset, str]] = {}
        """`BTCUSDT` to asset and quote currency."""
        self.deltas: Mapping[str, float] = {}
        """By the venue's marks when the listing was read."""

    def adopt(self, name: str) -> Option | None:
        """List a contract from its name, where no catalog says what is listed."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._add(instrument)
        return self.options[instrument.name]

    def _follow(self, changes: Changes) -> None:
        for name in changes.gone:
            del self.options[name]
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            key = (instrument.asset, instrument.quote_currency, instrument.expiry_ns)
            expiry = self.expiries.setdefault(key, Expiry(*key))
            self.options[instrument.name] = Option(slot, instrument, expiry)
        instruments = [option.instrument for option in self.options.values()]
        alive = {(i.asset, i.quote_currency, i.expiry_ns) for i in instruments}
        self.expiries = {key: e for key, e in self.expiries.items() if key in alive}
        self.underlyings = {underlying_of(i): (i.asset, i.quote_currency) for i in instruments}
