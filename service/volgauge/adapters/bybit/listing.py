"""What Bybit lists at the moment: names to slots, and what the sessions keep of each option."""

from collections.abc import Mapping

from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.bybit.ladder import Ladder
from volgauge.adapters.bybit.messages import Push
from volgauge.adapters.bybit.normalize import read_name
from volgauge.adapters.listing import NO_CHANGES, Changes, Comparison, Slots
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


class Listing:
    """Options by name."""

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.options: dict[str, Option] = {}
        self.next_expiry_ns = NEVER_NS
        self._slots = Slots()
        self._expiries: dict[tuple[Asset, str, int], Expiry] = {}
        self._coins: dict[tuple[Asset, str], Coin] = {}
        self.assets: frozenset[str] = frozenset()
        """Coins that have options."""

    @property
    def version(self) -> int:
        """Rises with every change of what topics are made of."""
        return self._slots.version

    @property
    def nearest(self) -> list[Instrument]:
        """The options in the order in which they matter; not to be changed."""
        return self._slots.nearest

    def count_until(self, horizon_ns: int) -> int:
        """How many of `nearest` expire at an instant or before."""
        return self._slots.count_until(horizon_ns)

    def compare(self, listed: Mapping[str, Instrument]) -> Comparison:
        """What a whole new listing would change."""
        return self._slots.compare(listed)

    def update(self, compared: Comparison) -> Changes:
        """Take a whole new listing."""
        changes = self._slots.take(compared)
        self.is_loaded = True
        self._follow(changes)
        return changes

    def expire(self, now_ns: int) -> Changes:
        """Drop what has reached its expiry."""
        changes = self._slots.expire(now_ns)
        self._follow(changes)
        return changes

    def adopt(self, name: str) -> Option | None:
        """List a contract from its name, where no catalog says what is listed."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._follow(self._slots.adopt(instrument))
        return self.options[instrument.name]

    def _follow(self, changes: Changes) -> None:
        if changes is NO_CHANGES:
            return
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
        self.next_expiry_ns = self._slots.first_expiry_ns
