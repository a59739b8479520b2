"""One option book at one instant, as plain lists: what tenors are made of.

`BookMemory` is what a book remembers between recomputes: who is eligible, how healthy its feed was,
and how far an expiry lay from its neighbours when it was last computed, so that it can leave
without a jump when its quotes are gone.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from volgauge.domain.index import Reason
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.assemble import number
from volgauge.index.calendar import pool
from volgauge.index.eligibility import Eligibility
from volgauge.index.health import FeedHealth
from volgauge.index.maturity import Bracket, find_bracket
from volgauge.index.refill import ExpiryKey
from volgauge.index.venue import VenueSink
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.surface.label import book_label
from volgauge.surface.surface import Surface

FRESH_NS = 2 * NANOS_PER_SECOND
"""How old the last computation of an expiry may be for it to be carried on from there."""
USED = col.EXT_VARIANCE + 1
"""Columns of a row that tenors are made of: the first ones."""
SHIFTED = (
    col.TOTAL_VARIANCE,
    col.BID_VARIANCE,
    col.ASK_VARIANCE,
    col.FULL_VARIANCE,
    col.TAIL_LO_VARIANCE,
    col.TAIL_HI_VARIANCE,
    col.COIN_VARIANCE,
    col.SVIX_VARIANCE,
)
"""Columns that move with the variance when it is pooled."""


class BookMemory:
    """What is remembered of one option book."""

    def __init__(self) -> None:
        self.eligibility = Eligibility()
        self.health = FeedHealth()
        self._deviations: dict[int, F64] = {}
        """By expiry: its row less what its neighbours gave for it, when it was last computed."""
        self._before: tuple[tuple[int, ...], F64, list[bool], int] | None = None
        """Expiries, rows, which of them were computed, and when."""

    def carry(
        self,
        expiries: tuple[int, ...],
        values: F64,
        computed: list[bool],
        wanted: Sequence[int],
        now_ns: int,
    ) -> dict[int, list[float]]:
        """Rows of expiries that are in but could not be computed, from their neighbours.

        Its neighbours' variance at its time plus its last deviation from that; so it moves with
        the market while its share runs down. Without neighbours there is none.

        Args:
            expiries: (n,) instants.
            values: (n, VALUE_COLUMNS) results of this instant.
            computed: (n,) which of them are to be used.
            wanted: Rows that are in and are not computed.
            now_ns: The instant.
        """
        if self._deviations:
            gone = {e for e, known in zip(expiries, computed, strict=True) if known}
            for expiry_ns in gone & self._deviations.keys():
                del self._deviations[expiry_ns]
        carried = {}
        for row in wanted:
            deviation = self._deviation(expiries[row], now_ns)
            if deviation is None:
                continue
            found = _neighbours(values, computed, row)
            if isinstance(found, Bracket):
                made = found.near_weight * values[found.near] + deviation
                if found.far_weight:
                    made += found.far_weight * values[found.far]
                if made[col.TOTAL_VARIANCE] > 0.0:
                    made[col.T_YEARS] = values[row, col.T_YEARS]
                    carried[row] = made[:USED].tolist()
        self._before = (expiries, values.copy(), computed, now_ns)
        return carried

    def deviation(self, expiry_ns: int) -> float:
        """Of the total variance of a carried expiry."""
        return float(self._deviations[expiry_ns][col.TOTAL_VARIANCE])

    def _deviation(self, expiry_ns: int, now_ns: int) -> F64 | None:
        known = self._deviations.get(expiry_ns)
        if known is not None or self._before is None:
            return known
        expiries, values, computed, at_ns = self._before
        if expiry_ns not in expiries or now_ns - at_ns > FRESH_NS:
            return None
        row = expiries.index(expiry_ns)
        if not computed[row]:
            return None
        others = [known and other != row for other, known in enumerate(computed)]
        found = _neighbours(values, others, row)
        if not isinstance(found, Bracket):
            return None
        made: F64 = values[row] - found.near_weight * values[found.near]
        if found.far_weight:
            made -= found.far_weight * values[found.far]
        self._deviations[expiry_ns] = made
        return made


class BookView:
    """One option book at one instant."""

    __slots__ = (
        "carried", "computed", "forwards", "health", "held", "is_alive", "is_native", "label",
        "memory", "method", "pooled", "qualified", "reasons", "shares", "sink", "surface",
        "t_years", "values",
    )  # fmt: skip

    def __init__(
        self,
        sink: VenueSink,
        surface: Surface,
        memory: BookMemory,
        method: int,
        now_ns: int,
        held: Collection[ExpiryKey],
    ) -> None:
        self.sink = sink
        self.surface = surface
        self.label = book_label(sink.venue, surface, sink.books)
        """Key of `venues` in the record."""
        self.memory = memory
        self.method = method
        self.is_native = method == col.NATIVE
        self.is_alive = sink.is_alive(now_ns)
        self.held: set[int] = set()
        """Rows whose snapshot is not complete."""
        if held:
            self.held = {
                row for row, expiry in enumerate(surface.expiries) if (surface.key, expiry) in held
            }
        self.values: F64 = surface.values[method]
        """(n, VALUE_COLUMNS) results."""
        columns = self.values[:, : col.ASK_VARIANCE + 1].T.tolist()
        self.t_years: list[float] = columns[col.T_YEARS]
        self.forwards: list[float] = columns[col.FORWARD]
        facts = surface.facts[method]
        self.reasons: list[int] = facts[:, col.REASON].tolist()
        self.computed = [w > 0.0 for w in columns[col.TOTAL_VARIANCE]]
        """(n,) a variance is there and may be used."""
        for row in self.held:
            self.computed[row] = False
        self.health = memory.health.observe(now_ns, healthy=self.is_alive and sink.is_connected)
        """Share of the last 10 s in which the feed was healthy."""
        self.carried: Mapping[int, list[float]] = {}
        """Rows of expiries that are in but not computed."""
        self.pooled: list[float] | None = None
        """(n,) total variances as used, when they were pooled."""
        self.qualified: list[bool] = []
        """(n,) rule 9 holds now, but for the time to expiry; `native` only."""
        self.shares: list[float] = []
        """(n,) how far each expiry is in; `native` only."""
        if self.is_native:
            self._weigh(columns, facts, now_ns)

    def row(self, row: int) -> list[float]:
        """The first USED results of an expiry as a tenor uses them."""
        values: list[float] | None = self.carried.get(row) if self.carried else None
        if values is None:
            values = self.values[row, :USED].tolist()
        if self.pooled is not None:
            shift = self.pooled[row] - values[col.TOTAL_VARIANCE]
            if shift:
                values = list(values)
                for column in SHIFTED:
                    values[column] += shift
        return values

    def replaced_variance(self, row: int) -> float | None:
        """The total variance used in place of an expiry's own; None when that was used."""
        if self.pooled is not None and self.pooled[row] != self.values[row, col.TOTAL_VARIANCE]:
            return number(self.pooled[row])
        made = self.carried.get(row)
        return None if made is None else made[col.TOTAL_VARIANCE]

    def strikes_of(self, rows: Sequence[int]) -> I64:
        """(strikes, 2) slots of call and put of these expiries; -1 not listed."""
        plan, ladder = self.surface.plan, self.surface.ladder
        legs = [
            ladder[plan[row, col.FIRST] : plan[row, col.LAST], col.CALL_SLOT : col.PUT_SLOT + 1]
            for row in rows
        ]
        return np.concatenate(legs).astype(np.int64)

    def _weigh(self, columns: list[list[float]], facts: I64, now_ns: int) -> None:
        surface, memory = self.surface, self.memory
        qualified = [
            q != 0 and known
            for q, known in zip(facts[:, col.QUALIFIED].tolist(), self.computed, strict=True)
        ]
        self.qualified = qualified
        self.shares = memory.eligibility.observe(
            surface.expiries,
            surface.listed,
            qualified,
            self.held if self.is_alive else range(len(qualified)),
            now_ns,
        )
        wanted = [
            row
            for row, share in enumerate(self.shares)
            if share > 0.0 and not self.computed[row] and row not in self.held
        ]
        self.carried = memory.carry(surface.expiries, self.values, self.computed, wanted, now_ns)
        variance, bid, ask = columns[col.TOTAL_VARIANCE : col.ASK_VARIANCE + 1]
        for row, made in self.carried.items():
            variance[row], bid[row], ask[row] = made[col.TOTAL_VARIANCE : col.ASK_VARIANCE + 1]
        self.pooled = pool(variance, bid, ask, self.shares)


def _neighbours(values: F64, usable: Sequence[bool], row: int) -> Bracket | Reason:
    t_years: list[float] = values[:, col.T_YEARS].tolist()
    return find_bracket(t_years, usable, t_years[row])
