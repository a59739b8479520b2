"""Which expiries wait for the snapshot that follows a connect, a loss or a listing.

Half a snapshot gives a number too, but of half a chain. An expiry is held back until nearly all of
its options were quoted, or until the venue has had its time: options without a first quote exist.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from volgauge.domain.instrument import BookKey
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.kernels import layout as col

FILLED_SHARE = 0.98
"""Share of the waiting options that must have been quoted."""
PATIENCE_NS = 10 * NANOS_PER_SECOND
"""After the connection came up; subscriptions of a whole venue are paced over several seconds."""

ExpiryKey = tuple[BookKey, int]


class _Wait:
    __slots__ = ("connection", "since_ns", "slots")

    def __init__(self, slots: list[int], connection: str | None, since_ns: int | None) -> None:
        self.slots = np.array(slots, np.int64)
        self.connection = connection
        """Which one feeds them; None not known yet."""
        self.since_ns = since_ns
        """When quotes could begin to come; None not yet."""


class Refill:
    """The waits of one venue; empty nearly always."""

    def __init__(self) -> None:
        self._waits: dict[ExpiryKey, _Wait] = {}

    def expect(
        self,
        slots: Iterable[tuple[ExpiryKey, int]],
        connection: str | None,
        since_ns: int | None,
    ) -> None:
        """Hold back the expiries of these slots until they are quoted."""
        by_expiry: dict[ExpiryKey, list[int]] = {}
        for key, slot in slots:
            by_expiry.setdefault(key, []).append(slot)
        for key, members in by_expiry.items():
            known = self._waits.get(key)
            before = [] if known is None else known.slots.tolist()
            self._waits[key] = _Wait(sorted({*before, *members}), connection, since_ns)

    def came_up(self, connection: str, now_ns: int) -> None:
        """A connection delivers: what waits for it, or for anyone, may be counted from now."""
        for wait in self._waits.values():
            if wait.connection in {None, connection}:
                wait.since_ns = now_ns

    @property
    def waiting(self) -> frozenset[ExpiryKey]:
        """The expiries that waited when last asked."""
        return frozenset(self._waits)

    def held(self, stamps: NDArray[np.int64], now_ns: int) -> frozenset[ExpiryKey]:
        """The expiries that still wait.

        Args:
            stamps: (capacity, QUOTE_COLUMNS) int64 of the QuoteTable; a slot that was not quoted
                since it was cleared was received at 0.
            now_ns: The instant.
        """
        if not self._waits:
            return frozenset()
        for key, wait in list(self._waits.items()):
            if wait.since_ns is None:
                continue
            quoted = int((stamps[wait.slots, col.RECEIVED_NS] > 0).sum())
            late = now_ns - wait.since_ns >= PATIENCE_NS
            if late or quoted >= FILLED_SHARE * len(wait.slots):
                del self._waits[key]
        return frozenset(self._waits)

    def forget(self, keys: Iterable[ExpiryKey]) -> None:
        """Expiries that are gone wait for nothing."""
        for key in keys:
            self._waits.pop(key, None)
