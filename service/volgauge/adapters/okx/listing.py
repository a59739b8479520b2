"""What OKX lists at the moment: names to slots, shared by all connections of the adapter."""

from volgauge.adapters.listing import RIGHTS, Changes, ListedOptions
from volgauge.adapters.okx.endpoints import LOUD_REACH, QUIET_REACH
from volgauge.adapters.okx.normalize import family_of, index_of, read_name
from volgauge.domain.instrument import Asset, Instrument

INDEX_CURRENCY = "USD"
"""Of every index that options rest on."""


class Listing(ListedOptions):
    """Options by slot, families and indices by name."""

    def __init__(self) -> None:
        super().__init__(self._follow, nearest_first)
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

    def sort_by_delta(self) -> None:
        """Renew what is quiet; between the two limits nothing changes its place."""
        quiet = self.quiet
        for slot, delta in self.deltas.items():
            reach = min(delta, 1.0 - delta)
            if reach < QUIET_REACH:
                if slot not in quiet:
                    self._other_changes += 1
                    quiet.add(slot)
            elif reach >= LOUD_REACH and slot in quiet:
                self._other_changes += 1
                quiet.remove(slot)

    def adopt(self, name: str) -> int | None:
        """List an option from its name, where no catalog says what is listed; its slot."""
        instrument = read_name(name)
        if instrument is None:
            return None
        self._add(instrument)
        return self.slots[instrument.name]

    def _follow(self, changes: Changes) -> None:
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


def nearest_first(instrument: Instrument) -> tuple[int, str, float, str, str]:
    """Options in the order of subscribing."""
    return (
        instrument.expiry_ns,
        instrument.asset,
        instrument.strike,
        RIGHTS[instrument.kind],
        instrument.quote_currency,
    )
