"""What Deribit lists at the moment: names to slots, shared by all connections of the adapter."""

from collections.abc import Mapping

from volgauge.adapters.deribit.normalize import Future, read_name
from volgauge.adapters.listing import RIGHTS, Changes, Comparison, ListedOptions
from volgauge.domain.instrument import Asset, Instrument


class Listing(ListedOptions):
    """Options by slot, futures and indices by name."""

    def __init__(self) -> None:
        super().__init__(self._follow, nearest_first)
        self.slots, self.instruments = self._slots.of, self._slots.instruments
        """Name to slot, slot to terms."""
        self.quote_routes: dict[str, int] = {}
        """Channel `quote.{name}` to slot: the one look-up of the hot path."""
        self.futures: dict[str, Future] = {}
        self.indices: dict[str, tuple[Asset, str]] = {}
        """Price index to the (asset, quote currency) of our books that rest on it."""

    def update(
        self,
        compared: Comparison,
        futures: Mapping[str, Future],
        indices: Mapping[str, tuple[Asset, str]],
    ) -> Changes:
        """Take a whole new listing."""
        changes = self.take(compared)
        if self.futures != futures or self.indices != indices:
            self._other_changes += 1
        self.futures = dict(futures)
        self.indices.clear()
        self.indices.update(indices)
        return changes

    def expire_all(self, now_ns: int) -> Changes:
        """Drop what has reached its expiry, futures too."""
        alive = {n: f for n, f in self.futures.items() if f.expiry_ns > now_ns}
        self._other_changes += len(self.futures) - len(alive)
        self.futures = alive
        return self.expire(now_ns)

    def adopt(self, name: str) -> int | None:
        """List a contract, and the index it rests on, where no catalog says what is listed.

        Returns the slot of a new option; None for a future or a combination.
        """
        contract = read_name(name)
        if isinstance(contract, Future):
            self.futures[name] = contract
            self._other_changes += 1
        if not isinstance(contract, Instrument):
            return None
        index = f"{contract.asset}_{contract.quote_currency}".lower()
        self.indices[index] = (contract.asset, contract.quote_currency)
        self._add(contract)
        return self.slots[contract.name]

    def _follow(self, changes: Changes) -> None:
        for name in changes.gone:
            del self.quote_routes[f"quote.{name}"]
        for slot, instrument in zip(changes.slots, changes.instruments, strict=True):
            self.quote_routes[f"quote.{instrument.name}"] = slot


def nearest_first(instrument: Instrument) -> tuple[int, str, float, str]:
    """Options in the order of subscribing."""
    right = RIGHTS[instrument.kind]
    return (instrument.expiry_ns, instrument.asset, instrument.strike, right)
