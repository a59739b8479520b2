"""What Deribit lists at the moment: names to slots, shared by all connections of the adapter."""

import heapq
from collections.abc import Mapping

from msgspec import Struct

from volgauge.adapters.deribit.normalize import Future, read_name
from volgauge.domain.instrument import Asset, Instrument

NEVER_NS = 2**63 - 1


class Changes(Struct, frozen=True):
    """What an update of the listing did; slots and instruments in slot order."""

    expired: tuple[int, ...]
    slots: tuple[int, ...]
    instruments: tuple[Instrument, ...]
    renewed: frozenset[str]
    """Names that stay listed with new terms: their quotes must be sent again."""


class Listing:
    """Options by slot, futures and indices by name.

    Slots are dense: a new option takes the lowest free one, options in the order of (asset,
    currency, expiry, strike, kind). So the same listings give the same slots.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.slots: dict[str, int] = {}
        self.instruments: dict[int, Instrument] = {}
        self.quote_routes: dict[str, int] = {}
        """Channel `quote.{name}` to slot: the one look-up of the hot path."""
        self.futures: dict[str, Future] = {}
        self.indices: dict[str, tuple[Asset, str]] = {}
        """Price index to the (asset, quote currency) of our books that rest on it."""
        self.next_expiry_ns = NEVER_NS
        self._free: list[int] = []
        self._used = 0

    def update(
        self,
        options: Mapping[str, Instrument],
        futures: Mapping[str, Future],
        indices: Mapping[str, tuple[Asset, str]],
    ) -> Changes:
        """Take a whole new listing."""
        stays = {
            name for name, slot in self.slots.items() if options.get(name) == self.instruments[slot]
        }
        renewed = frozenset(name for name in self.slots if name in options and name not in stays)
        expired = self._release([name for name in self.slots if name not in stays])
        came = sorted((i for name, i in options.items() if name not in stays), key=_order)
        listed = sorted((self._take(instrument), instrument) for instrument in came)
        self.is_loaded = True
        self.futures = dict(futures)
        self.indices.clear()
        self.indices.update(indices)
        self._find_next_expiry()
        return Changes(
            expired, tuple(slot for slot, _ in listed), tuple(i for _, i in listed), renewed
        )

    def expire(self, now_ns: int) -> tuple[int, ...]:
        """Drop what has reached its expiry; the freed slots."""
        names = [i.name for i in self.instruments.values() if i.expiry_ns <= now_ns]
        self.futures = {n: f for n, f in self.futures.items() if f.expiry_ns > now_ns}
        expired = self._release(names)
        self._find_next_expiry()
        return expired

    def adopt(self, name: str) -> int | None:
        """List a contract, and the index it rests on, where no catalog says what is listed.

        Returns the slot of a new option; None for a future or a combination.
        """
        contract = read_name(name)
        if isinstance(contract, Future):
            self.futures[name] = contract
        if not isinstance(contract, Instrument):
            return None
        slot = self._take(contract)
        index = f"{contract.asset}_{contract.quote_currency}".lower()
        self.indices[index] = (contract.asset, contract.quote_currency)
        self._find_next_expiry()
        return slot

    def _take(self, instrument: Instrument) -> int:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self._used
            self._used += 1
        self.slots[instrument.name] = slot
        self.instruments[slot] = instrument
        self.quote_routes[f"quote.{instrument.name}"] = slot
        return slot

    def _release(self, names: list[str]) -> tuple[int, ...]:
        freed = []
        for name in names:
            slot = self.slots.pop(name)
            del self.instruments[slot]
            del self.quote_routes[f"quote.{name}"]
            heapq.heappush(self._free, slot)
            freed.append(slot)
        return tuple(sorted(freed))

    def _find_next_expiry(self) -> None:
        self.next_expiry_ns = min(
            (i.expiry_ns for i in self.instruments.values()), default=NEVER_NS
        )


def _order(instrument: Instrument) -> tuple[str, str, int, float, str]:
    return (
        instrument.asset,
        instrument.quote_currency,
        instrument.expiry_ns,
        instrument.strike,
        instrument.kind.value,
    )
