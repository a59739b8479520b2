"""The book state of one venue: top of book of every option, as arrays by slot.

A write keeps the quote by its slot; `settle` packs the newest of each into the arrays, once a
recompute, and raises the dirty flags. Kernels read the arrays in place. Times are int
nanoseconds, prices in the venue's premium unit, an absent value is NaN.
"""

from collections.abc import Iterable, Sequence
from math import nan
from struct import Struct

import numpy as np

from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64, U8

_ROW_BYTES = col.QUOTE_COLUMNS * 8
_pack_quote = Struct("=4d2qd").pack_into
_pack_double = Struct("=d").pack_into
_pack_row = Struct(f"=4d2q{col.QUOTE_COLUMNS - 6}d").pack_into
_EMPTY_ROW = (nan, nan, nan, nan, 0, 0, *[nan] * (col.QUOTE_COLUMNS - 6))
_unpack_quote = Struct("=4d2qd").unpack_from

INITIAL_SLOTS = 1024
INITIAL_CELLS = 64
FEW_SLOTS = 16
"""Fewer are written faster one by one than as arrays."""
NO_CELL = 0
"""Flags of slots that belong to no expiry go here; nobody reads them."""


class Activity:
    """What came in for one asset since its last recompute."""

    __slots__ = ("event_ns", "first_ns", "ticks")

    def __init__(self) -> None:
        self.ticks = 0
        self.first_ns = 0
        """Receipt of the oldest input not yet computed."""
        self.event_ns = 0
        """Receipt of the newest input."""

    def note(self, received_ns: int) -> None:
        """One more input that is no quote."""
        if not self.ticks:
            self.first_ns = received_ns
        self.ticks += 1
        self.event_ns = received_ns


class QuoteTable:
    """Top of book by dense slot, and one dirty flag an expiry (its cell).

    `generation` rises when the arrays are replaced by larger ones: whoever holds `quotes`,
    `stamps` or `dirty` compares it and takes them anew.
    """

    def __init__(self) -> None:
        self.generation = 0
        self.quotes: F64 = np.full((INITIAL_SLOTS, col.QUOTE_COLUMNS), nan)
        """(capacity, QUOTE_COLUMNS) float64, see kernels/layout.py."""
        self.open_interest: F64 = np.full(INITIAL_SLOTS, nan)
        """(capacity,) float64, units of the underlying."""
        self.volume: F64 = np.full(INITIAL_SLOTS, nan)
        """(capacity,) float64, units of the underlying in 24 hours."""
        self.stamps: I64
        """The same memory as int64."""
        self.dirty: U8 = np.zeros(INITIAL_CELLS, np.uint8)
        """(cells,) 1: a quote of this expiry has changed since its evaluation."""
        self.last_received_ns = 0
        """Receipt of the newest quote."""
        self._waiting: dict[int, tuple[float, float, float, float, int, int]] = {}
        """Written, not yet in the arrays; at most one quote a slot."""
        self._nobody = Activity()
        """Takes the inputs of slots that nobody watches."""
        self._activity_of: list[Activity] = [self._nobody] * INITIAL_SLOTS
        self._cell_of: list[int] = [NO_CELL] * INITIAL_SLOTS
        self._cells: I64 = np.full(INITIAL_SLOTS, NO_CELL)
        """The same for whole chains at once."""
        self._free_cells: list[int] = []
        self._cell_count = NO_CELL + 1
        self._clear_rows(0, INITIAL_SLOTS)
        self._take_views()

    def write(
        self,
        slot: int,
        bid: float,
        ask: float,
        bid_size: float,
        ask_size: float,
        exchange_ns: int,
        received_ns: int,
    ) -> None:
        """Replace the top of book of one listed option; the hot path, from the adapter directly.

        The arrays hold it after `settle`: of a burst only the newest quote of a slot is packed.
        """
        self._waiting[slot] = (bid, ask, bid_size, ask_size, exchange_ns, received_ns)
        self.last_received_ns = received_ns
        activity = self._activity_of[slot]
        if activity.ticks:
            activity.ticks += 1
        else:
            activity.ticks = 1
            activity.first_ns = received_ns
        activity.event_ns = received_ns

    def settle(self) -> None:
        """Bring the arrays up to what was written; whoever reads them calls this first."""
        if not self._waiting:
            return
        memory, flags, cells = self._bytes, self._flags, self._cell_of
        for slot, quote in self._waiting.items():
            # A new quote has not met a forward yet: FORWARD_REF begins as NaN.
            _pack_quote(memory, slot * _ROW_BYTES, *quote, nan)
            flags[cells[slot]] = 1
        self._waiting.clear()

    def watch(self, slot: int, activity: Activity) -> None:
        """Count what is written to a slot from now on."""
        self._activity_of[slot] = activity

    def activity(self, slot: int) -> Activity:
        """Where the inputs of a slot are counted."""
        return self._activity_of[slot]

    def write_marks(self, slots: Sequence[int], prices: Sequence[float]) -> None:
        """Replace the venue's marks, premium unit."""
        self._write_column(col.MARK, slots, prices)

    def write_open_interest(self, slots: Sequence[int], amounts: Sequence[float]) -> None:
        """Replace open interest, units of the underlying. No value depends on it."""
        self._write_fact(self.open_interest, slots, amounts)

    def write_volume(self, slots: Sequence[int], amounts: Sequence[float]) -> None:
        """Replace the volume of 24 hours, units of the underlying. No value depends on it."""
        self._write_fact(self.volume, slots, amounts)

    def clear(self, slots: Iterable[int]) -> None:
        """Forget the quotes of these slots: a sequence gap or a lost feed."""
        for slot in slots:
            self._waiting.pop(slot, None)
            if slot < len(self._cell_of):
                _pack_quote(self._bytes, slot * _ROW_BYTES, nan, nan, nan, nan, 0, 0, nan)
                self._flags[self._cell_of[slot]] = 1

    def read(self, slot: int) -> tuple[float, float, float, float, int, int]:
        """(bid, ask, bid_size, ask_size, exchange_ns, received_ns) of one slot."""
        self.settle()
        return _unpack_quote(self._bytes, slot * _ROW_BYTES)[:6]

    def open_cell(self) -> int:
        """Number of a fresh dirty flag, raised; for one expiry of one option book."""
        if self._free_cells:
            cell = self._free_cells.pop()
        else:
            cell = self._cell_count
            self._cell_count += 1
            if cell >= len(self.dirty):
                self.dirty = np.concatenate([self.dirty, np.zeros_like(self.dirty)])
                self.generation += 1
                self._take_views()
        self.dirty[cell] = 1
        return cell

    def close_cell(self, cell: int) -> None:
        """Give a flag back."""
        self.dirty[cell] = 0
        self._free_cells.append(cell)

    def attach(self, slot: int, cell: int) -> None:
        """Start a slot: an empty row, bound to the flag of its expiry."""
        self._waiting.pop(slot, None)
        capacity = len(self._cell_of)
        if slot >= capacity:
            while slot >= capacity:
                capacity *= 2
            self._grow(capacity)
        self._clear_row(slot)
        self._cell_of[slot] = self._cells[slot] = cell
        self.dirty[cell] = 1

    def detach(self, slot: int) -> None:
        """End a slot: whatever is written to it from now on is nobody's."""
        self._waiting.pop(slot, None)
        self.dirty[self._cell_of[slot]] = 1
        self._activity_of[slot] = self._nobody
        self._cell_of[slot] = self._cells[slot] = NO_CELL
        self._clear_row(slot)

    def _write_fact(self, facts: F64, slots: Sequence[int], amounts: Sequence[float]) -> None:
        at, values = self._known_rows(slots, amounts)
        facts[at] = values

    def _write_column(self, column: int, slots: Sequence[int], values: Sequence[float]) -> None:
        """Only what is another number makes its expiry dirty: most chains repeat most of theirs."""
        if len(slots) < FEW_SLOTS:
            offset, cells = column * 8, self._cell_of
            for slot, value in zip(slots, values, strict=True):
                if slot < len(cells):
                    _pack_double(self._bytes, slot * _ROW_BYTES + offset, value)
                    self._flags[cells[slot]] = 1
            return
        at, numbers = self._known_rows(slots, values)
        changed = self.stamps[at, column] != numbers.view(np.int64)
        self.quotes[at, column] = numbers
        self.dirty[self._cells[at[changed]]] = 1

    def _known_rows(self, slots: Sequence[int], values: Sequence[float]) -> tuple[I64, F64]:
        """Those of slots that have a row."""
        at = np.array(slots, np.int64)
        numbers = np.array(values, np.float64)
        is_known = at < len(self._cell_of)
        return (at, numbers) if is_known.all() else (at[is_known], numbers[is_known])

    def _grow(self, capacity: int) -> None:
        old = len(self._cell_of)
        larger = np.full((capacity, col.QUOTE_COLUMNS), nan)
        larger.view(np.int64)[:old] = self.stamps
        self.quotes = larger
        self.open_interest = np.concatenate([self.open_interest, np.full(capacity - old, nan)])
        self.volume = np.concatenate([self.volume, np.full(capacity - old, nan)])
        self._cell_of.extend([NO_CELL] * (capacity - old))
        self._cells = np.concatenate([self._cells, np.full(capacity - old, NO_CELL)])
        self._activity_of.extend([self._nobody] * (capacity - old))
        self._clear_rows(old, capacity)
        self.generation += 1
        self._take_views()

    def _clear_row(self, slot: int) -> None:
        """One row: a pack into its bytes is a tenth of what arrays take."""
        _pack_row(self._bytes, slot * _ROW_BYTES, *_EMPTY_ROW)
        self.open_interest[slot] = self.volume[slot] = nan

    def _clear_rows(self, first: int, last: int) -> None:
        rows = self.quotes[first:last]
        rows[:] = nan
        self.open_interest[first:last] = nan
        self.volume[first:last] = nan
        rows.view(np.int64)[:, (col.EXCHANGE_NS, col.RECEIVED_NS)] = 0

    def _take_views(self) -> None:
        self.stamps = self.quotes.view(np.int64)
        self._bytes = self.quotes.data.cast("B")
        self._flags = self.dirty.data
