"""What a venue lists, in dense slots: what every adapter's listing rests on.

What a session keeps of an option, and what else is derived from a listing, is the venue's.
"""

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

from msgspec import Struct

from volgauge.adapters.base import NEVER_NS
from volgauge.domain.events import EventSink, InstrumentsExpired, InstrumentsListed
from volgauge.domain.instrument import Instrument, OptionKind, Venue

RIGHTS = {kind: kind.value for kind in OptionKind}
"""A look-up is a fifth of what an enumeration takes to tell its value."""


class Changes(Struct, frozen=True):
    """What an update of the listing did; slots and instruments in slot order."""

    expired: tuple[int, ...]
    slots: tuple[int, ...]
    instruments: tuple[Instrument, ...]
    gone: tuple[str, ...]
    """Names of what was in the expired slots, those with new terms too."""
    renewed: frozenset[str]
    """Names that stay listed with new terms: their quotes must be sent again."""


NO_CHANGES = Changes((), (), (), (), frozenset())


class Comparison(Struct, frozen=True):
    """A whole new listing beside the one that is held: what taking it would do."""

    version: int
    """Of the slots that it was compared with."""
    changes: Changes
    of: Mapping[str, int]
    """Name to slot, afterwards."""


class Slots:
    """Options by name and by slot.

    Slots are dense: a new option takes the lowest free one, options in the order of `chain_order`.
    So the same listings give the same slots.
    """

    def __init__(self, rank: "Callable[[Instrument], tuple[Any, ...]] | None" = None) -> None:
        """Begin with nothing.

        Args:
            rank: The order of `nearest`; begins with the expiry. None is that of `nearest_first`.
        """
        self.of: dict[str, int] = {}
        """Name to slot."""
        self.instruments: dict[int, Instrument] = {}
        self.version = 0
        """Rises with every change."""
        self._free: list[int] = []
        self._used = 0
        self._rank = rank or nearest_first
        self._ranked: list[tuple[tuple[Any, ...], Instrument]] = []
        """As of the last look; `_unranked` came since."""
        self._unranked: list[Instrument] = []
        self._nearest: list[Instrument] = []
        self._nearest_version = 0

    @property
    def first_expiry_ns(self) -> int:
        """When the next option expires."""
        return min((i.expiry_ns for i in self.instruments.values()), default=NEVER_NS)

    @property
    def nearest(self) -> list[Instrument]:
        """All of them in the order in which they matter; not to be changed."""
        if self._nearest_version != self.version:
            self._nearest_version = self.version
            held, of, rank = self.instruments, self.of, self._rank
            ranked = self._ranked + [
                (rank(instrument), instrument) for instrument in self._unranked
            ]
            # An order of what is nearly in order costs little more than to look through it.
            self._ranked = sorted(
                (pair for pair in ranked if held.get(of.get(pair[1].name, -1)) is pair[1]),
                key=itemgetter(0),
            )
            self._unranked.clear()
            self._nearest = [instrument for _, instrument in self._ranked]
        return self._nearest

    def count_until(self, horizon_ns: int) -> int:
        """How many of `nearest` expire at an instant or before."""
        return bisect_right(self.nearest, horizon_ns, key=_expiry_of)

    def compare(self, listed: Mapping[str, Instrument]) -> Comparison:
        """What a whole new listing would change; nothing changes yet."""
        terms = self.instruments
        stays = {name for name, slot in self.of.items() if listed.get(name) == terms[slot]}
        if len(stays) == len(self.of) == len(listed):
            return Comparison(self.version, NO_CHANGES, self.of)
        renewed = frozenset(name for name in self.of if name in listed and name not in stays)
        gone = tuple(name for name in self.of if name not in stays)
        came = tuple(sorted((i for n, i in listed.items() if n not in stays), key=chain_order))
        expired = sorted(self.of[name] for name in gone)
        # The lowest free slot first, so the slots ascend.
        free = sorted([*self._free, *expired])
        fresh = range(self._used, self._used + max(0, len(came) - len(free)))
        slots = (*free[: len(came)], *fresh)
        of = {name: slot for name, slot in self.of.items() if name in stays}
        of |= zip((instrument.name for instrument in came), slots, strict=True)
        return Comparison(self.version, Changes(tuple(expired), slots, came, gone, renewed), of)

    def take(self, compared: Comparison) -> Changes:
        """Take a listing that was compared with this one.

        Raises:
            RuntimeError: Something has changed since.
        """
        if compared.version != self.version:
            raise RuntimeError(f"expected version {self.version}, received {compared.version}")
        changes = compared.changes
        self._release(changes.gone)
        for instrument in changes.instruments:
            self._take(instrument)
        return changes

    def update(self, listed: Mapping[str, Instrument]) -> Changes:
        """Take a whole new listing."""
        return self.take(self.compare(listed))

    def expire(self, now_ns: int) -> Changes:
        """Drop what has reached its expiry."""
        terms = self.instruments
        gone = tuple(name for name, slot in self.of.items() if terms[slot].expiry_ns <= now_ns)
        return Changes(self._release(gone), (), (), gone, frozenset())

    def adopt(self, instrument: Instrument) -> Changes:
        """List one option more."""
        return Changes((), (self._take(instrument),), (instrument,), (), frozenset())

    def _take(self, instrument: Instrument) -> int:
        if self._free:
            slot = heapq.heappop(self._free)
        else:
            slot = self._used
            self._used += 1
        self.of[instrument.name] = slot
        self.instruments[slot] = instrument
        self._unranked.append(instrument)
        self.version += 1
        return slot

    def _release(self, names: Iterable[str]) -> tuple[int, ...]:
        freed = []
        for name in names:
            slot = self.of.pop(name)
            del self.instruments[slot]
            heapq.heappush(self._free, slot)
            freed.append(slot)
            self.version += 1
        return tuple(sorted(freed))


class ListedOptions:
    """What a venue lists at the moment; what a session looks up in it is the venue's."""

    def __init__(
        self,
        follow: Callable[[Changes], None],
        rank: Callable[[Instrument], tuple[Any, ...]] | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            follow: Brings what is looked up in step with the slots, after each change of them.
            rank: As for `Slots`.
        """
        self.is_loaded = False
        """A catalog has been read. Until then contracts are adopted by their names (replays)."""
        self.next_expiry_ns = NEVER_NS
        self._other_changes = 0
        """Of what else subscriptions are made of."""
        self._slots = Slots(rank)
        self._follow_slots = follow

    @property
    def version(self) -> int:
        """Rises with every change of what subscriptions are made of."""
        return self._slots.version + self._other_changes

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

    def compare(self, listed: Mapping[str, Instrument]) -> Comparison:
        """What a whole new listing would change."""
        return self._slots.compare(listed)

    def take(self, compared: Comparison) -> Changes:
        """Take a whole new listing, of a catalog."""
        self.is_loaded = True
        return self._settle(self._slots.take(compared))

    def expire(self, now_ns: int) -> Changes:
        """Drop what has reached its expiry."""
        return self._settle(self._slots.expire(now_ns))

    def _add(self, instrument: Instrument) -> None:
        """List an option that was adopted by its name."""
        self._settle(self._slots.adopt(instrument))

    def _settle(self, changes: Changes) -> Changes:
        if changes is not NO_CHANGES:
            self._follow_slots(changes)
            self.next_expiry_ns = self._slots.first_expiry_ns
        return changes


def chain_order(instrument: Instrument) -> tuple[str, str, int, float, str]:
    """Options in the order of a chain: asset, currency, expiry, strike, kind."""
    return (
        instrument.asset,
        instrument.quote_currency,
        instrument.expiry_ns,
        instrument.strike,
        RIGHTS[instrument.kind],
    )


def _expiry_of(instrument: Instrument) -> int:
    return instrument.expiry_ns


def nearest_first(instrument: Instrument) -> tuple[int, str, str, float, str]:
    """Options in the order in which they matter: expiry, asset, currency, strike, kind."""
    return (
        instrument.expiry_ns,
        instrument.asset,
        instrument.quote_currency,
        instrument.strike,
        RIGHTS[instrument.kind],
    )


def tell_changes(sink: EventSink, changes: Changes, venue: Venue, received_ns: int) -> None:
    """Say what went, then what came."""
    if changes.expired:
        sink.event(InstrumentsExpired(venue=venue, received_ns=received_ns, slots=changes.expired))
    if changes.slots:
        sink.event(
            InstrumentsListed(
                venue=venue,
                received_ns=received_ns,
                slots=changes.slots,
                instruments=changes.instruments,
            )
        )


def tell_adopted(
    sink: EventSink, venue: Venue, slot: int, instrument: Instrument, received_ns: int
) -> None:
    """Say that an option is listed by its name, where no catalog says what is."""
    changes = Changes((), (slot,), (instrument,), (), frozenset())
    tell_changes(sink, changes, venue, received_ns)
