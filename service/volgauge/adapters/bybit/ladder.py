"""One option's order book and the rule of its updates; a gap is an answer, not a log line.

The procedure, as the venue documents it ("Orderbook") and recordings show it:

    1  The first frame after a subscribe is a snapshot: clear, then set.
    2  Any later snapshot replaces the book: something was wrong at the venue's end. So does a
       frame with u = 1: its service was restarted. u = 0 comes with an empty book.
    3  A delta follows the frame whose `u` is one less; its sizes are absolute, 0 deletes.
    4  The venue states no rule for a break. Ours: the book holds nothing, deltas are dropped, and
       the topic is subscribed anew for a snapshot.
"""

from math import isnan, nan

from volgauge.adapters.bybit.endpoints import MAX_LEVELS, STALLED_MILLIS
from volgauge.book.sequence import Step

Levels = list[tuple[float, float]]

Top = tuple[float, float, float, float]
"""(bid, ask, bid size, ask size); NaN where a side is empty."""
EMPTY: Top = (nan, nan, nan, nan)
RESTARTED = 1


class Ladder:
    """Levels of one book: prices in the quote currency, sizes in coins."""

    __slots__ = (
        "_asks", "_bids", "_doubted", "_is_broken", "_stamp", "_update_id", "is_whole", "top",
    )  # fmt: skip

    def __init__(self) -> None:
        self.is_whole = False
        """A snapshot and every delta since it are in here."""
        self.top = EMPTY
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._stamp = 0
        """Milliseconds by the venue, of the newest frame taken."""
        self._update_id = 0
        self._is_broken = False
        """A snapshot is asked for."""
        self._doubted = 0
        """Milliseconds by the venue, since when tickers contradict; 0 when they do not."""

    def advance(self, kind: str, update_id: int) -> Step:
        """Judge one frame: `type` is snapshot or delta, `update_id` is `u`."""
        # 1, 2
        if kind == "snapshot" or update_id == RESTARTED:
            step = Step.SNAPSHOT
        # 4
        elif self._is_broken:
            return Step.WAITING
        elif self.is_whole and update_id == self._update_id:
            return Step.DUPLICATE
        # 3
        elif self.is_whole and update_id == self._update_id + 1:
            step = Step.DELTA
        else:
            return Step.GAP
        self._update_id = update_id
        return step

    def apply(self, step: Step, bids: Levels, asks: Levels, stamp: int) -> None:
        """Take the levels of a snapshot or a delta.

        Args:
            step: What `advance` said.
            bids: (price, size) in any order, size 0 for a delete.
            asks: The same.
            stamp: `ts`, milliseconds.
        """
        if step is Step.SNAPSHOT:
            self._bids.clear()
            self._asks.clear()
        _set(self._bids, bids)
        _set(self._asks, asks)
        bid, ask = max(self._bids, default=nan), min(self._asks, default=nan)
        self.top = (bid, ask, self._bids.get(bid, nan), self._asks.get(ask, nan))
        self._stamp = stamp
        self.is_whole, self._is_broken, self._doubted = True, False, 0

    @property
    def is_bounded(self) -> bool:
        """It has no more levels than such a book can have."""
        return len(self._bids) <= MAX_LEVELS and len(self._asks) <= MAX_LEVELS

    def is_contradicted(self, bid: float, ask: float, stamp: int) -> bool:
        """Tickers have told another top for so long that no delta can be on its way any more.

        Args:
            bid: Best bid of a ticker, NaN for none.
            ask: Best ask of it.
            stamp: Its `ts`.
        """
        if stamp <= self._stamp or (_is_same(bid, self.top[0]) and _is_same(ask, self.top[1])):
            self._doubted = 0
        elif not self._doubted:
            self._doubted = stamp
        return self._doubted > 0 and stamp - self._doubted >= STALLED_MILLIS

    def fail(self) -> None:
        """The content cannot be trusted: hold nothing until a snapshot."""
        self.forget()
        self._is_broken = True

    def forget(self) -> None:
        """The session is gone; the next frame is the first."""
        self._bids.clear()
        self._asks.clear()
        self.top = EMPTY
        self.is_whole = self._is_broken = False
        self._doubted = 0


def is_sound(levels: Levels) -> bool:
    """Every level has a price; the decoder has refused the rest."""
    return all(price > 0.0 for price, _ in levels)


def _set(side: dict[float, float], levels: Levels) -> None:
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def _is_same(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))
