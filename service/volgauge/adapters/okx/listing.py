"""What OKX lists at the moment: names to slots, shared by all connections of the adapter."""

import heapq
from collections.abc import Mapping

from msgspec import Struct

from volgauge.adapters.okx.endpoints import LOUD_REACH, QUIET_REACH
from volgauge.adapters.okx.normalize import family_of, index_of, read_name
from volgauge.domain.instrument import Asset, Instrument

NEVER_NS = 2**63 - 1
INDEX_CURRENCY = "USD"
"""Of every index that options rest on."""


class Changes(Struct, frozen=True):
    """What an update of the listing did; slots and instruments in slot order."""

    expired: tuple[int, ...]
    slots: tuple[int, ...]
    instruments: tuple[Instrument, ...]
    renewed: frozenset[str]
    """Names that stay listed with new terms: their quotes must be sent again."""


class Listing:
    """Options by slot, families and indices by name.

    Slots are dense: a new option takes the lowest free one, options in the order of (asset,
    family, expiry, strike, kind). So the same listings give the same slots.
    """

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.slots: dict[str, int] = {}
        self.instruments: dict[int, Instrument] = {}
        self.routes: dict[str, tuple[int, float]] = {}
        """Name to slot and contract size: the one look-up of the hot path."""
        self.families: dict[str, tuple[Asset, str]] = {}
        """Family to the (asset, quote currency) of its book."""
        self.indices: dict[str, Asset] = {}
        self.deltas: dict[int, float] = {}
        """Newest |delta| by slot, where the venue has told one."""
        self.quiet: set[int] = set()
        """Slots far in or out of the money, as of the last `sort_by_delta`."""
        self.next_expiry_ns = NEVER_NS
        self._free: list[int] = []
        self._used = 0

    def update(self, options: Mapping[str, Instrument]) -> Changes:
        """Take a whole new listing."""
        stays = {
            name for name, slot in self.slots.items() if options.get(name) == self.instruments[slot]
        }
        renewed = frozenset(name for name in self.slots if name in options and name not in stays)
        expired = self._release([name for name in self.slots if name not in stays])
        came = sorted((i for name, i in options.items() if name not in stays), key=_order)
        listed = sorted((self._take(instrument), instrument) for instrument in came)
        self.is_loaded = True
        self._renew_derived()
        return Changes(
            expired, tuple(slot for slot, _ in listed), tuple(i for _, i in listed), renewed
        )

    def expire(self, now_ns: int) -> tuple[int, ...]:
        """Drop what has reached its expiry; the freed slots."""
        names = [i.name for i in self.instruments.values() if i.expiry_ns <= now_ns]
        expired = self._release(names)
        self._renew_derived()
        return expired

    def sort_by_delta(self) -> None:
        """Renew what is quiet; between the two limits nothing changes its place."""
        for slot, delta in self.deltas.items():
            reach = min(delta, 1.0 - delta)
            if reach < QUIET_REACH:
                self.quiet.add(slot)
            elif reach >= LOUD_REACH:
                self.quiet.discard(slot)

    def adopt(self, name: str) -> int | None:
        """List an option from its name, where no catalog says what is listed; its slot."""
        instrument = read_name(name)
        if instrument is None:
            return None
        slot = self._take(instrument)
        self._renew_derived()
        return slot

    def _take(self, instrument: Instrument) -> int:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self._used
            self._used += 1
        self.slots[instrument.name] = slot
        self.instruments[slot] = instrument
        self.routes[instrument.name] = (slot, instrument.contract_size)
        return slot

    def _release(self, names: list[str]) -> tuple[int, ...]:
        freed = []
        for name in names:
            slot = self.slots.pop(name)
            del self.instruments[slot]
            del self.routes[name]
            self.deltas.pop(slot, None)
            self.quiet.discard(slot)
            heapq.heappush(self._free, slot)
            freed.append(slot)
        return tuple(sorted(freed))

    def _renew_derived(self) -> None:
        instruments = self.instruments.values()
        self.next_expiry_ns = min((i.expiry_ns for i in instruments), default=NEVER_NS)
        self.families = {family_of(i): (i.asset, i.quote_currency) for i in instruments}
        self.indices = {index_of(name): asset for name, (asset, _) in self.families.items()}


def _order(instrument: Instrument) -> tuple[str, str, int, float, str]:
    return (
        instrument.asset,
        instrument.quote_currency,
        instrument.expiry_ns,
        instrument.strike,
        instrument.kind.value,
    )
