"""What Delta lists at the moment: names to slots, and what the sessions know of each option."""

from collections.abc import Mapping

from volgauge.adapters.delta.normalize import read_name
from volgauge.adapters.listing import Changes, ListedOptions
from volgauge.domain.instrument import Asset, Instrument


class Coin:
    """An underlying: where its index goes."""

    __slots__ = ("asset", "index", "index_ns", "quote_currency")

    def __init__(self, asset: Asset, quote_currency: str, index: str) -> None:
        self.asset = asset
        self.quote_currency = quote_currency
        self.index = index
        """Name of the index it is settled on; "" unknown."""
        self.index_ns = 0
        """Receipt of the index price that was handed on last."""


class Option:
    """One listed option."""

    __slots__ = ("coin", "has_top", "instrument", "slot")

    def __init__(self, slot: int, instrument: Instrument, coin: Coin) -> None:
        self.slot = slot
        self.instrument = instrument
        self.coin = coin
        self.has_top = False
        """Tops of its book come: they are its quotes, not the slower tickers."""


class Listing(ListedOptions):
    """Options by name."""

    def __init__(self) -> None:
        super().__init__(self._follow)
        self.options: dict[str, Option] = {}
        self.coins: dict[Asset, Coin] = {}
        self._indices: Mapping[Asset, str] = {}

    def update(self, listed: Mapping[str, Instrument], indices: Mapping[Asset, str]) -> Changes:
        """Take a whole new listing, and the names of the indices."""
        self._indices = indices
        changes = self.take(self.compare(listed))
        for coin in self.coins.values():
            coin.index = indices.get(coin.asset, "")
        return changes

    def adopt(self, name: str) -> Option | None:
        """List an option from its name, where no catalog says what is listed."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._add(instrument)
        return self.options[instrument.name]

    def _follow(self, changes: Changes) -> None:
        for name in changes.gone:
            del self.options[name]
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            coin = self.coins.get(instrument.asset)
            if coin is None:
                index = self._indices.get(instrument.asset, "")
                coin = Coin(instrument.asset, instrument.quote_currency, index)
                self.coins[instrument.asset] = coin
            self.options[instrument.name] = Option(slot, instrument, coin)
        self.coins = {o.coin.asset: o.coin for o in self.options.values()}
