"""All expiries of one option book: which options stand on which ladder, and one evaluation of them.

Listings change rarely and rebuild the packed ladders; quotes change all the time and only raise a
flag in the QuoteTable; `evaluate` computes the flagged expiries in one compiled call.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import isnan, nan
from struct import Struct
from typing import NamedTuple

import numpy as np

from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Method
from volgauge.domain.instrument import BookKey, Instrument, OptionKind, Premium
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.kernels.evaluate import evaluate_expiries
from volgauge.kernels.integral import NODE_COUNT, NODE_ROWS
from volgauge.kernels.replication import WORK_ROWS
from volgauge.kernels.shape import scratch_size
from volgauge.kernels.smile import SMILE_ROWS

_pack_basis = Struct("<?d").pack
METHOD_ROW = {Method.NATIVE: col.NATIVE, Method.DVOL: col.DVOL, Method.CBOE: col.CBOE}


class _Terms(NamedTuple):
    """What of an expiry's digest only a new listing changes."""

    head: bytes
    """Book and expiry."""
    ladder: bytes
    """Strikes, tick rules, which options are listed."""
    slots: I64
    """Of the listed options, strike by strike, call before put."""


class Surface:
    """One option book over a QuoteTable.

    After `evaluate`, row i of `values[m]` and `facts[m]` belongs to `expiries[i]` (ascending),
    m = METHOD_ROW[method]; the columns are those of kernels/layout.py. Rows of methods that were
    not asked for hold NaN and 0.
    """

    def __init__(
        self,
        key: BookKey,
        table: QuoteTable,
        methods: Sequence[Method] = (Method.NATIVE, Method.DVOL),
    ) -> None:
        self.key = key
        self.table = table
        self.methods = tuple(methods)
        self.expiries: tuple[int, ...] = ()
        """Expiry instants in ns, ascending."""
        self.listed: tuple[int, ...] = ()
        """Since when each expiry is listed: creation of its oldest option, ns; 0 unknown."""
        self.values: F64 = np.full((col.METHODS, 0, col.VALUE_COLUMNS), nan)
        """(METHODS, expiries, VALUE_COLUMNS) float64."""
        self.facts: I64 = np.zeros((col.METHODS, 0, col.FACT_COLUMNS), np.int64)
        """(METHODS, expiries, FACT_COLUMNS) int64."""
        self.slots: dict[int, Instrument] = {}
        """What is listed, by slot."""
        self.layout = 0
        """Rises whenever the ladders are packed anew: rows, expiries and slots are others then."""
        self._name = f"{key.asset}/{key.quote_currency}".encode()
        self._cells: dict[int, int] = {}
        self._forwards: dict[int, float] = {}
        self._rates: dict[int, float] = {}
        self._is_coin = True
        self._mask = sum(1 << METHOD_ROW[method] for method in self.methods)
        self._every = 0
        self._stale_layout = False
        self._generation = -1
        self._plan: I64 = np.zeros((0, col.PLAN_COLUMNS), np.int64)
        self._terms: dict[int, _Terms] = {}
        """By row, those that were asked for."""
        self._inputs: F64 = np.full((0, col.INPUT_COLUMNS), nan)
        self._ladder: F64 = np.zeros((0, col.LADDER_COLUMNS))
        self.memory: F64 = np.full((0, col.MEMORY_COLUMNS), nan)
        """(expiries, MEMORY_COLUMNS) float64: what NATIVE remembers; part of the evidence."""
        self._work: F64 = np.zeros((WORK_ROWS, 1))
        self._smile: F64 = np.zeros((SMILE_ROWS, 1))
        self._lanes: F64 = np.zeros(scratch_size(1))
        self._nodes: F64 = np.zeros((NODE_ROWS, NODE_COUNT))

    @property
    def plan(self) -> I64:
        """(expiries, PLAN_COLUMNS) int64, to be read only."""
        return self._plan

    @property
    def ladder(self) -> F64:
        """(strikes, LADDER_COLUMNS) float64, to be read only."""
        return self._ladder

    @property
    def inputs(self) -> F64:
        """(expiries, INPUT_COLUMNS) float64, to be read only."""
        return self._inputs

    @property
    def is_coin(self) -> bool:
        """Premiums are in the coin; else in the quote currency."""
        return self._is_coin

    def add(self, slot: int, instrument: Instrument) -> None:
        """List an option; its slot starts without a quote."""
        if slot in self.slots:
            self.remove(slot)
        self._is_coin = instrument.premium is Premium.COIN
        cell = self._cells.get(instrument.expiry_ns)
        if cell is None:
            cell = self._cells[instrument.expiry_ns] = self.table.open_cell()
        self.slots[slot] = instrument
        self.table.attach(slot, cell)
        self._stale_layout = True

    def remove(self, slot: int) -> None:
        """Take an option off the list; an unknown slot is no matter."""
        if self.slots.pop(slot, None) is not None:
            self.table.detach(slot)
            self._stale_layout = True

    def set_forward(self, expiry_ns: int, price: float) -> bool:
        """Take the venue's own forward of an expiry (listed future's mid, or its stated one).

        Returns:
            Whether this changed anything; NaN withdraws the price. A price <= 0 counts as NaN.
        """
        known = self._forwards.get(expiry_ns, nan)
        if not 0.0 < price < float("inf"):
            price = nan
        if price == known or (isnan(price) and isnan(known)):
            return False
        self._forwards[expiry_ns] = price
        self._set_input(expiry_ns, col.FUTURE, price)
        return expiry_ns in self._cells

    def set_rate(self, expiry_ns: int, rate: float) -> None:
        """Take the continuously compounded rate of an expiry; only `cboe` uses one [0]."""
        self._rates[expiry_ns] = rate
        self._set_input(expiry_ns, col.RATE, rate)

    def search_again(self) -> None:
        """Let every expiry look for its curve's outer parameters when it is computed next."""
        self.memory[:, col.SEARCH] = 1.0

    def mark_all_dirty(self) -> None:
        """Let the next `evaluate` compute every expiry."""
        self._every = col.EVERY

    def renew_references(self, expiry_ns: int) -> None:
        """Let the quotes of an expiry be as fresh as its next forward (rule 3).

        While a snapshot comes in, the forward moves because pairs join it, not because the market
        does; what was noted as a quote's forward then is worth nothing.
        """
        cell = self._cells.get(expiry_ns)
        if cell is None:
            return
        for slot, instrument in self.slots.items():
            if instrument.expiry_ns == expiry_ns:
                self.table.quotes[slot, col.FORWARD_REF] = nan
        self.table.dirty[cell] = 1

    def evaluate(self, now_ns: int) -> int:
        """Compute what changed, as of `now_ns`.

        An expiry at or before `now_ns` has no value. The result is the same bits whether only the
        changed expiries or all of them are computed.

        Returns:
            How many expiries were computed.
        """
        self.table.settle()
        if self._stale_layout:
            self._rebuild()
        if self._generation != self.table.generation:
            self._generation = self.table.generation
            self._arguments = (
                self.table.quotes,
                self.table.stamps,
                self.table.dirty,
                self._plan,
                self._inputs,
                self._ladder,
                self._work,
                self.memory,
                self._smile,
                self._lanes,
                self._nodes,
                self.values,
                self.facts,
                self._is_coin,
            )
        mask = self._mask | self._every
        self._every = 0
        return evaluate_expiries(*self._arguments, mask, now_ns)

    def evaluate_frozen(self, now_ns: int, remembered: Mapping[int, Sequence[float]]) -> None:
        """Compute every expiry as it was computed then: nothing is searched for anew.

        Args:
            now_ns: The instant of computation.
            remembered: By expiry, the first columns of `memory`: m and s of the curve.
        """
        self.table.settle()
        if self._stale_layout:
            self._rebuild()
        for row, expiry_ns in enumerate(self.expiries):
            if expiry_ns in remembered:
                self.memory[row, : col.COST] = remembered[expiry_ns]
        self._every = col.EVERY | col.FROZEN
        self.evaluate(now_ns)

    def revision(self, row: int) -> int:
        """Rises whenever the expiry of a row is computed: what was derived from it is old then."""
        return int(self._plan[row, col.REVISION])

    def borrowed_forward(self, row: int) -> float:
        """The neighbours' forward that an expiry without its own was computed with; else NaN."""
        own = float(self.values[col.NATIVE, row, col.OWN_FORWARD])
        if own > 0.0:
            return nan
        borrower = col.NATIVE if self._mask & (1 << col.NATIVE) else col.DVOL
        borrowed = float(self.values[borrower, row, col.FORWARD])
        return borrowed if borrowed > 0.0 else nan

    def digest(self, row: int) -> bytes:
        """SHA-256 of everything that the value of one expiry rests on (METHODOLOGY rule 22).

        In this order, little-endian, an absent number being the NaN 0x7ff8000000000000:
        asset/quote_currency (UTF-8); expiry (int64 ns); 1 for a premium in the coin, else 0 (one
        byte); the borrowed forward; the inputs (venue's forward, rate); the curve's outer m and s;
        all strikes, ascending; of each strike the tick rules of call and put (smallest step, limit,
        step above it); of each strike one byte for the call and one for the put, 1 listed; of each
        listed option, strike by strike, call before put, the quote: bid, ask, bid size, ask size
        (float64), venue's time, our receipt (int64 ns), the forward that it met first, mark
        (float64).
        """
        terms = self._terms.get(row)
        if terms is None:
            terms = self._terms[row] = self._terms_of(row)
        parts = (
            terms.head,
            _pack_basis(self._is_coin, self.borrowed_forward(row)),
            self._inputs[row].tobytes(),
            self.memory[row, : col.COST].tobytes(),
            terms.ladder,
            self.table.quotes[terms.slots].tobytes(),
        )
        return sha256(b"".join(parts)).digest()

    def _terms_of(self, row: int) -> "_Terms":
        ladder = self._ladder[self._plan[row, col.FIRST] : self._plan[row, col.LAST]]
        slots = ladder[:, col.CALL_SLOT : col.PUT_SLOT + 1].astype(np.int64)
        listed = slots >= 0
        parts = (ladder[:, col.STRIKE], ladder[:, col.CALL_TICK : col.CODE], listed)
        return _Terms(
            head=self._name + self._plan[row, col.EXPIRY_NS].tobytes(),
            ladder=b"".join(part.tobytes() for part in parts),
            slots=slots[listed],
        )

    def codes(self, method: Method) -> dict[int, int]:
        """Verdict on every listed slot after `evaluate`: USED, or an index into REJECTS."""
        first = col.CODE + 2 * METHOD_ROW[method]
        slots = self._ladder[:, (col.CALL_SLOT, col.PUT_SLOT)].astype(np.int64).ravel()
        codes = self._ladder[:, first : first + 2].astype(np.int64).ravel()
        return {
            slot: code
            for slot, code in zip(slots.tolist(), codes.tolist(), strict=True)
            if slot >= 0
        }

    def _set_input(self, expiry_ns: int, column: int, value: float) -> None:
        cell = self._cells.get(expiry_ns)
        if cell is None:
            return
        self.table.dirty[cell] = 1
        if expiry_ns in self.expiries:
            self._inputs[self.expiries.index(expiry_ns), column] = value

    def _tick_rule(self, slot: int) -> tuple[float, float, float]:
        if slot < 0:
            return nan, nan, nan
        instrument = self.slots[slot]
        return instrument.tick_size, instrument.tick_above, instrument.tick_step

    def _rebuild(self) -> None:
        """Pack the ladders anew; results of expiries that stay are kept until their evaluation."""
        chains: dict[int, dict[float, list[int]]] = {}
        for slot, instrument in self.slots.items():
            legs = chains.setdefault(instrument.expiry_ns, {}).setdefault(
                instrument.strike, [-1, -1]
            )
            legs[instrument.kind is OptionKind.PUT] = slot
        for expiry_ns in [known for known in self._cells if known not in chains]:
            self.table.close_cell(self._cells.pop(expiry_ns))
            self._forwards.pop(expiry_ns, None)
            self._rates.pop(expiry_ns, None)
        before = {expiry_ns: row for row, expiry_ns in enumerate(self.expiries)}
        self.expiries = tuple(sorted(chains))
        oldest: dict[int, int] = {}
        for instrument in self.slots.values():
            if instrument.listed_ns:
                known = oldest.get(instrument.expiry_ns, instrument.listed_ns)
                oldest[instrument.expiry_ns] = min(known, instrument.listed_ns)
        self.listed = tuple(oldest.get(expiry_ns, 0) for expiry_ns in self.expiries)
        count = len(self.expiries)
        old_values, old_facts, old_plan = self.values, self.facts, self._plan
        old_memory = self.memory
        self.values = np.full((col.METHODS, count, col.VALUE_COLUMNS), nan)
        self.facts = np.zeros((col.METHODS, count, col.FACT_COLUMNS), np.int64)
        self._plan = np.zeros((count, col.PLAN_COLUMNS), np.int64)
        self._inputs = np.full((count, col.INPUT_COLUMNS), nan)
        self.memory = np.full((count, col.MEMORY_COLUMNS), nan)
        rows: list[list[float]] = []
        unjudged = [float(col.USED)] * (col.RESIDUAL - col.CODE) + [nan]
        for row, expiry_ns in enumerate(self.expiries):
            first = len(rows)
            rows.extend(
                [strike, call, put, nan, *self._tick_rule(call), *self._tick_rule(put), *unjudged]
                for strike, (call, put) in sorted(chains[expiry_ns].items())
            )
            due_ns = revision = 0
            if expiry_ns in before:
                self.values[:, row] = old_values[:, before[expiry_ns]]
                self.facts[:, row] = old_facts[:, before[expiry_ns]]
                self.memory[row] = old_memory[before[expiry_ns]]
                due_ns = int(old_plan[before[expiry_ns], col.DUE_NS])
                revision = int(old_plan[before[expiry_ns], col.REVISION]) + 1
            self._plan[row] = (
                expiry_ns, first, len(rows), self._cells[expiry_ns], due_ns, revision,
            )  # fmt: skip
            self._inputs[row, col.FUTURE] = self._forwards.get(expiry_ns, nan)
            self._inputs[row, col.RATE] = self._rates.get(expiry_ns, 0.0)
        self._ladder = np.array(rows, dtype=np.float64).reshape(len(rows), col.LADDER_COLUMNS)
        longest = max((int(p[col.LAST] - p[col.FIRST]) for p in self._plan), default=0)
        self._work = np.zeros((WORK_ROWS, max(longest, 1)))
        self._smile = np.zeros((SMILE_ROWS, max(longest, 1)))
        self._lanes = np.zeros(scratch_size(max(longest, 1)))
        self._stale_layout = False
        self._generation = -1
        self._terms.clear()
        self.layout += 1
