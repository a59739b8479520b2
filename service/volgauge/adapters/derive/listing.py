"""What Derive lists at the moment: names to slots, and where forwards and indices go."""

from msgspec import Struct

from volgauge.adapters.derive.normalize import read_name
from volgauge.adapters.listing import Changes, ListedOptions
from volgauge.domain.instrument import Asset, Instrument


class Coin:
    """An underlying: where its index goes."""

    __slots__ = ("asset", "index_ns")

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.index_ns = 0
        """Receipt of the index price that was handed on last."""


class Expiry:
    """Options that expire together: where their forward goes."""

    __slots__ = ("coin", "expiry_ns", "forward_ns", "quote_currency")

    def __init__(self, coin: Coin, quote_currency: str, expiry_ns: int) -> None:
        self.coin = coin
        self.quote_currency = quote_currency
        self.expiry_ns = expiry_ns
        self.forward_ns = 0
        """Receipt of the forward that was handed on last."""


class Option(Struct, frozen=True):
    """One listed option."""

    slot: int
    instrument: Instrument
    expiry: Expiry


class Listing(ListedOptions):
    """Options by name."""

    def __init__(self) -> None:
        super().__init__(self._follow)
        self.options: dict[str, Option] = {}
        self.coins: dict[Asset, Coin] = {}
        self._expiries: dict[tuple[Asset, str, int], Expiry] = {}

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
            asset, quote = instrument.asset, instrument.quote_currency
            coin = self.coins.setdefault(asset, Coin(asset))
            key = (asset, quote, instrument.expiry_ns)
            expiry = self._expiries.setdefault(key, Expiry(coin, quote, instrument.expiry_ns))
            self.options[instrument.name] = Option(slot, instrument, expiry)
        alive = {id(option.expiry) for option in self.options.values()}
        self._expiries = {k: e for k, e in self._expiries.items() if id(e) in alive}
        self.coins = {e.coin.asset: e.coin for e in self._expiries.values()}
