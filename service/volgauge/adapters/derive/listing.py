"""What Derive lists at the moment: names to slots, and where forwards and indices go."""

import heapq
from collections.abc import Mapping

from msgspec import Struct

from volgauge.adapters.derive.normalize import read_name
from volgauge.domain.instrument import Asset, Instrument

NEVER_NS = 2**63 - 1


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


class Changes(Struct, frozen=True):
    """What an update of the listing did; slots and instruments in slot order."""

    expired: tuple[int, ...]
    slots: tuple[int, ...]
    instruments: tuple[Instrument, ...]
    renewed: frozenset[str]
    """Names that stay listed with new terms: their quotes must be sent again."""


class Listing:
    """Options by name, in dense slots.

    A new option takes the lowest free slot, options in the order of (asset, currency, expiry,
    strike, kind). So the same listings give the same slots.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.options: dict[str, Option] = {}
        self.coins: dict[Asset, Coin] = {}
        self.next_expiry_ns = NEVER_NS
        self._expiries: dict[tuple[Asset, str, int], Expiry] = {}
        self._free: list[int] = []
        self._used = 0

    def update(self, listed: Mapping[str, Instrument]) -> Changes:
        """Take a whole new listing."""
        stays = {
            name for name, option in self.options.items() if listed.get(name) == option.instrument
        }
        renewed = frozenset(name for name in self.options if name in listed and name not in stays)
        expired = self._release([name for name in self.options if name not in stays])
        came = sorted((i for name, i in listed.items() if name not in stays), key=_order)
        taken = sorted((self._take(instrument).slot, instrument) for instrument in came)
        self.is_loaded = True
        self._renew_derived()
        return Changes(
            expired, tuple(slot for slot, _ in taken), tuple(i for _, i in taken), renewed
        )

    def expire(self, now_ns: int) -> tuple[int, ...]:
        """Drop what has reached its expiry; the freed slots."""
        names = [n for n, o in self.options.items() if o.instrument.expiry_ns <= now_ns]
        expired = self._release(names)
        self._renew_derived()
        return expired

    def adopt(self, name: str) -> Option | None:
        """List an option from its name, where no catalog says what is listed."""
        instrument = read_name(name)
        if instrument is None:
            return None
        option = self._take(instrument)
        self._renew_derived()
        return option

    def _take(self, instrument: Instrument) -> Option:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self._used
            self._used += 1
        asset, quote, expiry_ns = (
            instrument.asset,
            instrument.quote_currency,
            instrument.expiry_ns,
        )
        coin = self.coins.setdefault(asset, Coin(asset))
        expiry = self._expiries.setdefault(
            (asset, quote, expiry_ns), Expiry(coin, quote, expiry_ns)
        )
        option = self.options[instrument.name] = Option(slot, instrument, expiry)
        return option

    def _release(self, names: list[str]) -> tuple[int, ...]:
        freed = []
        for name in names:
            slot = self.options.pop(name).slot
            heapq.heappush(self._free, slot)
            freed.append(slot)
        return tuple(sorted(freed))

    def _renew_derived(self) -> None:
        alive = {id(option.expiry) for option in self.options.values()}
        self._expiries = {k: e for k, e in self._expiries.items() if id(e) in alive}
        self.coins = {e.coin.asset: e.coin for e in self._expiries.values()}
        self.next_expiry_ns = min((e.expiry_ns for e in self._expiries.values()), default=NEVER_NS)


def _order(instrument: Instrument) -> tuple[str, str, int, float, str]:
    return (
        instrument.asset,
        instrument.quote_currency,
        instrument.expiry_ns,
        instrument.strike,
        instrument.kind.value,
    )
