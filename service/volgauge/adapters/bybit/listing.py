"""What Bybit lists at the moment: names to slots, and what the sessions keep of each option."""

from volgauge.adapters.bybit.ladder import Ladder
from volgauge.adapters.bybit.messages import Push
from volgauge.adapters.bybit.normalize import read_name
from volgauge.adapters.listing import Changes, ListedOptions
from volgauge.domain.instrument import Asset, Instrument


class Coin:
    """An underlying in one quote currency: where its index goes."""

    __slots__ = ("asset", "index_ns", "quote_currency")

    def __init__(self, asset: Asset, quote_currency: str) -> None:
        self.asset = asset
        self.quote_currency = quote_currency
        self.index_ns = 0
        """Receipt of the index price that was handed on last."""


class Expiry:
    """Options that expire together: where their forward goes."""

    __slots__ = ("coin", "expiry_ns", "forward_ns")

    def __init__(self, coin: Coin, expiry_ns: int) -> None:
        self.coin = coin
        self.expiry_ns = expiry_ns
        self.forward_ns = 0
        """Receipt of the forward that was handed on last."""


class Option:
    """One listed option: who quotes it now, its order book or its ticker."""

    __slots__ = ("expiry", "instrument", "ladder", "slot", "told", "told_ns")

    def __init__(self, slot: int, instrument: Instrument, expiry: Expiry) -> None:
        self.slot = slot
        self.instrument = instrument
        self.expiry = expiry
        self.ladder = Ladder()
        """While it is whole it quotes the option: five times as often as the ticker."""
        self.told: Push | None = None
        """The newest ticker; it stands in when the book breaks."""
        self.told_ns = 0
        """Its receipt."""


class Listing(ListedOptions):
    """Options by name."""

    def __init__(self) -> None:
        super().__init__(self._follow)
        self.options: dict[str, Option] = {}
        self._expiries: dict[tuple[Asset, str, int], Expiry] = {}
        self._coins: dict[tuple[Asset, str], Coin] = {}
        self.assets: frozenset[str] = frozenset()
        """Coins that have options."""

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
            asset, quote = instrument.asset, instrument.quote_currency
            coin = self._coins.setdefault((asset, quote), Coin(asset, quote))
            key = (asset, quote, instrument.expiry_ns)
            expiry = self._expiries.setdefault(key, Expiry(coin, instrument.expiry_ns))
            self.options[instrument.name] = Option(slot, instrument, expiry)
        alive = {id(option.expiry) for option in self.options.values()}
        self._expiries = {k: e for k, e in self._expiries.items() if id(e) in alive}
        self.assets = frozenset(asset for asset, _, _ in self._expiries)
