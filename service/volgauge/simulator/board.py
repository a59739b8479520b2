"""The state of one option book as the venue sees it, and what changed in a step.

Every source (seeded market, real chain) fills boards; the wire dialect renders them. Prices are
in the venue's premium unit, NaN is an absent side.
"""

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_YEAR
from volgauge.simulator.listing import Expiry, Terms, expiry_code, option_name

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]


class Option(Struct, frozen=True):
    """One listed option; its place in `Board.options` is its slot."""

    name: str
    expiry: Expiry
    strike: float
    is_call: bool
    number: int
    """The venue's `instrument_id`."""
    listed_ns: int


class QuoteBatch(Struct, frozen=True):
    """New best prices of one board's options, in the order of their frames; a slot may repeat."""

    board: "Board"
    slots: list[int]
    bids: list[float]
    asks: list[float]
    bid_sizes: list[float]
    ask_sizes: list[float]


class Notice(Struct, frozen=True):
    """A contract changed its state; `created` when it is new."""

    board: "Board"
    kind: str
    """`option` or `future`."""
    number: int
    """Slot of the option, index of the expiry for a future."""
    state: str
    """The venue's word: `open`, `settlement`, `delivered`."""
    created: bool = False


class RawFrame(Struct, frozen=True):
    """A whole notification from a recording."""

    channel: str
    payload: bytes


class Step(Struct, frozen=True):
    """What one step of a source did."""

    now_ns: int
    quotes: list[QuoteBatch] = []
    notices: list[Notice] = []
    frames: list[RawFrame] = []


class Source(Protocol):
    """Where the venue's numbers come from."""

    boards: tuple["Board", ...]
    now_ns: int
    step_ns: int

    def advance(self) -> Step:
        """Do one step of `step_ns`."""
        ...

    def skip_to(self, now_ns: int) -> None:
        """Let time pass without events: the host could not keep up."""
        ...


class Board:
    """Options, futures and index of one book. Slots are never used again."""

    def __init__(self, terms: Terms, first_number: int) -> None:
        self.terms = terms
        self.options: list[Option] = []
        self.expiries: list[Expiry] = []
        self.index_price = terms.spot
        self.vol_index = float("nan")
        """Points; NaN where the source has none."""
        self.has_futures: list[bool] = []
        self.future_state: list[str] = []
        self.first_number = first_number
        self._next_number = first_number
        self.expiry_of: I64 = np.zeros(0, np.int64)
        self.strike: F64 = np.zeros(0)
        self.is_call: B1 = np.zeros(0, np.bool_)
        self.alive: B1 = np.zeros(0, np.bool_)
        self.bid: F64 = np.zeros(0)
        self.ask: F64 = np.zeros(0)
        self.bid_size: F64 = np.zeros(0)
        self.ask_size: F64 = np.zeros(0)
        self.mark: F64 = np.zeros(0)
        self.mark_variance: F64 = np.zeros(0)
        """Total variance of the mark."""
        self.open_interest: F64 = np.zeros(0)
        self.volume: F64 = np.zeros(0)
        """Traded in 24 hours, coins; 0 where the source does not say."""
        self.carry = 0.0
        """Of a forward over the spot, a year."""
        self.stress = 1.0
        """Short volatility in multiples of the coin's usual one."""
        self.perpetual_coins = 0.0
        """Open interest in perpetuals of all venues in a quiet market; 0: the source has none."""
        self.forward: F64 = np.zeros(0)
        """(expiries,) the venue's own forward; NaN when the source gives none."""
        self.future_bid: F64 = np.zeros(0)
        self.future_ask: F64 = np.zeros(0)
        self.exact = False
        """Numbers come from a file and are shown as they are, not rounded."""
        self.listing_version = 0
        """Rises with every change of what is listed."""

    def add_expiry(self, expiry: Expiry, *, has_future: bool = True) -> int:
        """List an expiry; returns its index."""
        self.expiries.append(expiry)
        self.has_futures.append(has_future)
        self.future_state.append("open")
        for name in ("forward", "future_bid", "future_ask"):
            setattr(self, name, np.append(getattr(self, name), np.nan))
        self.listing_version += 1
        return len(self.expiries) - 1

    def add_options(
        self, expiry_index: int, contracts: Iterable[tuple[float, bool]], listed_ns: int
    ) -> list[int]:
        """List options of one expiry, given (strike, is_call); returns their slots."""
        first = len(self.options)
        expiry = self.expiries[expiry_index]
        for strike, is_call in contracts:
            name = option_name(self.terms.prefix, expiry.expiry_ns, strike, is_call=is_call)
            self.options.append(Option(name, expiry, strike, is_call, self._next_number, listed_ns))
            self._next_number += 1
        added = self.options[first:]
        count = len(added)
        self.expiry_of = np.append(self.expiry_of, np.full(count, expiry_index, np.int64))
        self.strike = np.append(self.strike, [option.strike for option in added])
        self.is_call = np.append(self.is_call, np.array([o.is_call for o in added], np.bool_))
        self.alive = np.append(self.alive, np.ones(count, np.bool_))
        for name in ("bid", "ask", "bid_size", "ask_size", "mark", "mark_variance"):
            setattr(self, name, np.append(getattr(self, name), np.full(count, np.nan)))
        self.open_interest = np.append(self.open_interest, np.zeros(count))
        self.volume = np.append(self.volume, np.zeros(count))
        self.listing_version += 1
        return list(range(first, first + count))

    def expire(self, expiry_index: int) -> list[int]:
        """Take an expiry and its options off the list; returns their slots."""
        gone = self.alive & (self.expiry_of == expiry_index)
        self.alive = self.alive & ~gone
        self.future_state[expiry_index] = "delivered"
        self.listing_version += 1
        return [int(slot) for slot in np.flatnonzero(gone)]

    def future_name(self, expiry_index: int) -> str:
        """`BTC-28AUG26`."""
        return f"{self.terms.prefix}-{expiry_code(self.expiries[expiry_index].expiry_ns)}"

    def living_expiries(self) -> list[int]:
        """Indices of the expiries that are still traded, by time."""
        alive = [i for i, state in enumerate(self.future_state) if state == "open"]
        return sorted(alive, key=lambda index: self.expiries[index].expiry_ns)

    def trading(self, slots: Iterable[int], now_ns: int) -> list[int]:
        """Of some options those that are listed and have not expired."""
        ahead = self.years(now_ns)[self.expiry_of] > 0.0
        return [slot for slot in slots if self.alive[slot] and ahead[slot]]

    def years(self, now_ns: int) -> F64:
        """(expiries,) time to expiry, ACT/365; negative after it."""
        return np.array([(e.expiry_ns - now_ns) / NANOS_PER_YEAR for e in self.expiries])


def round_to_ticks(terms: Terms, price: F64, *, up: bool) -> F64:
    """Round prices outwards to the venue's grid: bids down, asks up.

    The grid has step `tick` up to `tick_above`, then `tick_multiple` times as much. Results are
    the doubles nearest to the decimal, so they print as the venue prints them.
    """
    numerator, denominator = terms.tick
    ticks = price * denominator / numerator
    rounding = np.ceil if up else np.floor
    # A price that is on the grid but for its last bits stays there.
    slack = -1e-9 if up else 1e-9
    fine = rounding(ticks + slack)
    if terms.tick_above:
        multiple = terms.tick_multiple
        coarse = rounding(ticks / multiple + slack) * multiple
        fine = np.where(fine > terms.tick_above, np.maximum(coarse, terms.tick_above), fine)
    return np.maximum(fine, 0.0) * numerator / denominator


def tick_at(terms: Terms, price: F64) -> F64:
    """Size of the price step at a price."""
    size = np.full_like(price, terms.tick_size)
    if terms.tick_above:
        above = price > terms.tick_above * terms.tick_size * (1.0 + 1e-12)
        size[above] *= terms.tick_multiple
    return size


def milliseconds(now_ns: int) -> int:
    """The wire's unit of time."""
    return now_ns // NANOS_PER_MILLI


def crosses(before_ns: int, now_ns: int, every_ns: int) -> bool:
    """A multiple of an interval lies after one instant and not after the other."""
    return now_ns // every_ns != before_ns // every_ns
