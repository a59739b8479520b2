"""What Aevo lists at the moment: names to slots, and where forwards and indices go."""

from collections.abc import Mapping
from math import nan

from volgauge.adapters.aevo.normalize import read_name
from volgauge.adapters.listing import Changes, ListedOptions
from volgauge.domain.instrument import Asset, Instrument

ExpiryKey = tuple[Asset, str, int]
"""Asset, quote currency, instant."""


class Coin:
    """An underlying: where its index goes, and what follows it."""

    __slots__ = ("asset", "expiries", "index_ns")

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.expiries: list[Expiry] = []
        self.index_ns = 0
        """Receipt of the index price that was handed on last."""


class Expiry:
    """Options that expire together, and their forward.

    The venue tells it over REST only; between two listings its ratio to the index stands, and the
    index moves.
    """

    __slots__ = ("basis", "basis_ns", "coin", "expiry_ns", "is_told", "quote_currency")

    def __init__(self, coin: Coin, quote_currency: str, expiry_ns: int) -> None:
        self.coin = coin
        self.quote_currency = quote_currency
        self.expiry_ns = expiry_ns
        self.basis = nan
        """Forward over index, by the newest listing that tells it; NaN when none does."""
        self.basis_ns = 0
        """Receipt of that listing."""
        self.is_told = False
        """A forward has been handed on and not been withdrawn."""


class Option:
    """One listed option, and what this session has told of it."""

    __slots__ = ("ask", "bid", "expiry", "instrument", "is_streamed", "slot", "stamp")

    def __init__(self, slot: int, instrument: Instrument, expiry: Expiry) -> None:
        self.slot = slot
        self.instrument = instrument
        self.expiry = expiry
        self.forget()

    def forget(self) -> None:
        """A new session: nothing has been told."""
        self.is_streamed = False
        """The book ticker quotes it."""
        self.stamp = 0
        """The venue's time of its newest top."""
        self.bid = nan
        self.ask = nan
        """Prices of that top, NaN for an absent side."""


class Listing(ListedOptions):
    """Options by name."""

    def __init__(self) -> None:
        super().__init__(self._follow)
        self.options: dict[str, Option] = {}
        self.coins: dict[Asset, Coin] = {}
        self._expiries: dict[ExpiryKey, Expiry] = {}

    def update(
        self, listed: Mapping[str, Instrument], bases: Mapping[ExpiryKey, float], now_ns: int
    ) -> Changes:
        """Take a whole new listing, and the forwards that it tells as multiples of the index."""
        changes = self.take(self.compare(listed))
        for key, expiry in self._expiries.items():
            expiry.basis, expiry.basis_ns = bases.get(key, nan), now_ns
        return changes

    def adopt(self, name: str) -> Option | None:
        """List an option from its name, where no catalog says what is listed."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._add(instrument)
        return self.options[instrument.name]

    def forget_session(self) -> None:
        """Nothing has been told yet."""
        for option in self.options.values():
            option.forget()
        for coin in self.coins.values():
            coin.index_ns = 0
        for expiry in self._expiries.values():
            expiry.is_told = False

    def _follow(self, changes: Changes) -> None:
        for name in changes.gone:
            del self.options[name]
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            asset, quote = instrument.asset, instrument.quote_currency
            coin = self.coins.setdefault(asset, Coin(asset))
            key = (asset, quote, instrument.expiry_ns)
            expiry = self._expiries.setdefault(key, Expiry(coin, quote, instrument.expiry_ns))
            self.options[instrument.name] = Option(slot, instrument, expiry)
        alive = {id(option.expiry) for option in self.options.values()}
        self._expiries = {k: e for k, e in self._expiries.items() if id(e) in alive}
        self.coins = {e.coin.asset: e.coin for e in self._expiries.values()}
        for coin in self.coins.values():
            coin.expiries = [e for _, e in sorted(self._expiries.items()) if e.coin is coin]
