"""What Deribit lists at the moment: names to slots, shared by all connections of the adapter."""

from collections.abc import Mapping

from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.deribit.normalize import Future, read_name
from volgauge.adapters.listing import (
    NO_CHANGES,
    RIGHTS,
    Changes,
    Comparison,
    Slots,
)
from volgauge.domain.instrument import Asset, Instrument


class Listing:
    """Options by slot, futures and indices by name."""

    def __init__(self) -> None:
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self._slots = Slots(nearest_first)
        self.slots, self.instruments = self._slots.of, self._slots.instruments
        """Name to slot, slot to terms."""
        self.quote_routes: dict[str, int] = {}
        """Channel `quote.{name}` to slot: the one look-up of the hot path."""
        self.futures: dict[str, Future] = {}
        self.indices: dict[str, tuple[Asset, str]] = {}
        """Price index to the (asset, quote currency) of our books that rest on it."""
        self.next_expiry_ns = NEVER_NS
        self._version = 0

    @property
    def version(self) -> int:
        """Rises with every change of what channels are made of."""
        return self._version + self._slots.version

    @property
    def slots_version(self) -> int:
        """Rises with every change of which options are listed."""
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

    def update(
        self,
        compared: Comparison,
        futures: Mapping[str, Future],
        indices: Mapping[str, tuple[Asset, str]],
    ) -> Changes:
        """Take a whole new listing."""
        changes = self._slots.take(compared)
        self.is_loaded = True
        if self.futures != futures or self.indices != indices:
            self._version += 1
        self.futures = dict(futures)
        self.indices.clear()
        self.indices.update(indices)
        self._follow(changes)
        return changes

    def expire(self, now_ns: int) -> Changes:
        """Drop what has reached its expiry."""
        alive = {n: f for n, f in self.futures.items() if f.expiry_ns > now_ns}
        self._version += len(self.futures) - len(alive)
        self.futures = alive
        changes = self._slots.expire(now_ns)
        self._follow(changes)
        return changes

    def adopt(self, name: str) -> int | None:
        """List a contract, and the index it rests on, where no catalog says what is listed.

        Returns the slot of a new option; None for a future or a combination.
        """
        contract = read_name(name)
        if isinstance(contract, Future):
            self.futures[name] = contract
            self._version += 1
        if not isinstance(contract, Instrument):
            return None
        index = f"{contract.asset}_{contract.quote_currency}".lower()
        self.indices[index] = (contract.asset, contract.quote_currency)
        self._follow(self._slots.adopt(contract))
        return self.slots[contract.name]

    def _follow(self, changes: Changes) -> None:
        if changes is NO_CHANGES:
            return
        for name in changes.gone:
            del self.quote_routes[f"quote.{name}"]
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            self.quote_routes[f"quote.{instrument.name}"] = slot
        self.next_expiry_ns = self._slots.first_expiry_ns


def nearest_first(instrument: Instrument) -> tuple[int, str, float, str]:
    """Options in the order of subscribing."""
    right = RIGHTS[instrument.kind]
    return (instrument.expiry_ns, instrument.asset, instrument.strike, right)
