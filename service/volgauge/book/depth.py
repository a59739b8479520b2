"""Levels of option books, and the volume-weighted price to fill a given amount.

Prices are in the venue's premium unit, sizes in units of the underlying.
"""

from math import nan

from volgauge.domain.events import BookDelta, BookSnapshot

MAX_LEVELS = 20
"""Levels a side that count towards the fill; levels behind them are kept, changes name them."""

Top = tuple[float, float, float, float]
"""(bid, bid size, ask, ask size); NaN where a side is empty."""
Side = dict[float, float]
Levels = tuple[tuple[float, float], ...]


class DepthBook:
    """The books of one venue by slot.

    `apply` answers with the leg prices of METHODOLOGY §3, rule 1: the volume-weighted price to
    fill `target` on each side, and the amount filled at it. A side that is thinner than the
    target is priced over what it holds.
    """

    def __init__(self) -> None:
        self._bids: dict[int, Side] = {}
        self._asks: dict[int, Side] = {}
        self._targets: dict[int, float] = {}

    def set_target(self, slot: int, target: float) -> None:
        """Amount to fill of this slot, in units of the underlying; without one, the best level."""
        self._targets[slot] = target

    def apply(self, event: BookSnapshot | BookDelta) -> Top:
        """Take one event; the leg prices after it.

        Changes of a slot that has had no snapshot since it was forgotten start from an empty
        book: whether that can be is the business of the adapter's sequence.
        """
        if isinstance(event, BookSnapshot):
            bids = self._bids[event.slot] = {}
            asks = self._asks[event.slot] = {}
        else:
            bids = self._bids.setdefault(event.slot, {})
            asks = self._asks.setdefault(event.slot, {})
        _set_levels(bids, event.bids)
        _set_levels(asks, event.asks)
        target = self._targets.get(event.slot, 0.0)
        bid, bid_size = _fill(sorted(bids.items(), reverse=True), target)
        ask, ask_size = _fill(sorted(asks.items()), target)
        return bid, bid_size, ask, ask_size

    def levels(self, slot: int) -> tuple[Levels, Levels]:
        """Bids and asks of one slot, best first."""
        bids = tuple(sorted(self._bids.get(slot, {}).items(), reverse=True))
        asks = tuple(sorted(self._asks.get(slot, {}).items()))
        return bids, asks

    def forget(self, slot: int) -> None:
        """Drop the book of a slot; its target stays."""
        self._bids.pop(slot, None)
        self._asks.pop(slot, None)


def _set_levels(side: Side, levels: Levels) -> None:
    for price, size in levels:
        if size > 0.0:
            side[price] = size
        else:
            side.pop(price, None)


def _fill(levels: list[tuple[float, float]], target: float) -> tuple[float, float]:
    """Volume-weighted price and amount of filling `target`, from the best level on."""
    if not levels:
        return nan, nan
    if not target > levels[0][1]:
        return levels[0]
    paid = filled = 0.0
    for price, size in levels[:MAX_LEVELS]:
        amount = min(size, target - filled)
        paid += price * amount
        filled += amount
        if filled >= target:
            break
    return paid / filled, filled
