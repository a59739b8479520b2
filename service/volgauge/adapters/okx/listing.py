"""What OKX lists at the moment: names to slots, shared by all connections of the adapter."""

from collections.abc import Mapping

from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.listing import (
    NO_CHANGES,
    RIGHTS,
    Changes,
    Comparison,
    Slots,
)
from volgauge.adapters.okx.endpoints import LOUD_REACH, QUIET_REACH
from volgauge.adapters.okx.normalize import family_of, index_of, read_name
from volgauge.domain.instrument import Asset, Instrument

INDEX_CURRENCY = "USD"
"""Of every index that options rest on."""


class Listing:
    """Options by slot, families and indices by name."""

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self._slots = Slots(nearest_first)
        self.slots, self.instruments = self._slots.of, self._slots.instruments
        """Name to slot, slot to terms."""
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
        self._turned = 0
        """Options that became quiet or loud, ever."""

    @property
    def version(self) -> int:
        """Rises with every change of what channels are made of."""
        return self._turned + self._slots.version

    @property
    def slots_version(self) -> int:
        """Rises with every change of what is listed."""
        return self._slots.version

    @property
    def nearest(self) -> list[Instrument]:
        """The options in the order in which they matter; not to be changed."""
        return self._slots.nearest

    def count_until(self, horizon_ns: int) -> int:
        """How many of `nearest` expire at an instant or before."""
        return self._slots.count_until(horizon_ns)

    def compare(self, options: Mapping[str, Instrument]) -> Comparison:
        """What a whole new listing would change."""
        return self._slots.compare(options)

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

    def sort_by_delta(self) -> None:
        """Renew what is quiet; between the two limits nothing changes its place."""
        quiet = self.quiet
        for slot, delta in self.deltas.items():
            reach = min(delta, 1.0 - delta)
            if reach < QUIET_REACH:
                if slot not in quiet:
                    self._turned += 1
                    quiet.add(slot)
            elif reach >= LOUD_REACH and slot in quiet:
                self._turned += 1
                quiet.remove(slot)

    def adopt(self, name: str) -> int | None:
        """List an option from its name, where no catalog says what is listed; its slot."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._follow(self._slots.adopt(instrument))
        return self.slots[instrument.name]

    def _follow(self, changes: Changes) -> None:
        if changes is NO_CHANGES:
            return
        for name in changes.gone:
            del self.routes[name]
        for slot in changes.expired:
            self.deltas.pop(slot, None)
            self.quiet.discard(slot)
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            self.routes[instrument.name] = (slot, instrument.contract_size)
        books = {(i.asset, i.quote_currency): i for i in self.instruments.values()}
        self.families = {family_of(i): pair for pair, i in books.items()}
        self.indices = {index_of(name): asset for name, (asset, _) in self.families.items()}
        self.next_expiry_ns = self._slots.first_expiry_ns


def nearest_first(instrument: Instrument) -> tuple[int, str, float, str, str]:
    """Options in the order of subscribing."""
    return (
        instrument.expiry_ns,
        instrument.asset,
        instrument.strike,
        RIGHTS[instrument.kind],
        instrument.quote_currency,
    )
