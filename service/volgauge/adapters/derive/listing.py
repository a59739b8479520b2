"""What Derive lists at the moment: names to slots, and where forwards and indices go."""

from collections.abc import Mapping

from msgspec import Struct

from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.derive.normalize import read_name
from volgauge.adapters.listing import NO_CHANGES, Changes, Comparison, Slots
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


class Listing:
    """Options by name."""

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.options: dict[str, Option] = {}
        self.coins: dict[Asset, Coin] = {}
        self.next_expiry_ns = NEVER_NS
        self._slots = Slots()
        self._expiries: dict[tuple[Asset, str, int], Expiry] = {}

    @property
    def version(self) -> int:
        """Rises with every change of what channels are made of."""
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
        """List an option from its name, where no catalog says what is listed."""
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
            coin = self.coins.setdefault(asset, Coin(asset))
            key = (asset, quote, instrument.expiry_ns)
            expiry = self._expiries.setdefault(key, Expiry(coin, quote, instrument.expiry_ns))
            self.options[instrument.name] = Option(slot, instrument, expiry)
        alive = {id(option.expiry) for option in self.options.values()}
        self._expiries = {k: e for k, e in self._expiries.items() if id(e) in alive}
        self.coins = {e.coin.asset: e.coin for e in self._expiries.values()}
        self.next_expiry_ns = self._slots.first_expiry_ns
