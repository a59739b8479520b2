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
from volgauge.index.calendar import pool, trust
from volgauge.index.eligibility import Eligibility
from volgauge.index.health import FeedHealth
from volgauge.index.maturity import Bracket, find_bracket
from volgauge.index.refill import ExpiryKey
from volgauge.index.venue import VenueSink
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.surface.label import book_label
from volgauge.surface.surface import Surface

Pooling = tuple[list[float] | None, list[float], list[float] | None]
"""Rule 14: votes of the expiries, their shares by these, pooled variances; None: none needed."""
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


class Results:
    """What of a book's results changes only when one of its expiries is computed, as plain lists.

    Time alone moves the times to expiry and nothing of this (`kernels/evaluate.py`), so most ticks
    of an asset find the lists of its other books as they were.
    """

    __slots__ = (
        "ask", "beyond", "bid", "computed", "flags", "forwards", "layout", "parts", "qualified",
        "reasons", "revisions", "strikes", "strips", "surface", "variance",
    )  # fmt: skip

    def __init__(self, surface: Surface, method: int, revisions: list[int]) -> None:
        self.surface = surface
        self.layout = surface.layout
        self.revisions = revisions
        """(n,) of the expiries when they were read."""
        columns = surface.values[method, :, : col.ASK_VARIANCE + 1].T.tolist()
        facts = surface.facts[method].T.tolist()
        self.forwards: list[float] = columns[col.FORWARD]
        self.variance: list[float] = columns[col.TOTAL_VARIANCE]
        self.bid: list[float] = columns[col.BID_VARIANCE]
        self.ask: list[float] = columns[col.ASK_VARIANCE]
        self.beyond: list[float] = surface.values[method, :, col.EXT_VARIANCE].tolist()
        """(n,) what of the variance rests on the curve beyond the quotes; NaN unknown."""
        self.strips: list[float] = surface.values[col.DVOL, :, col.TOTAL_VARIANCE].tolist()
        """(n,) total variance by the exchange's rule."""
        self.reasons: list[int] = facts[col.REASON]
        self.strikes: list[int] = facts[col.STRIKES]
        self.flags: list[int] = facts[col.FLAGS]
        self.computed = [w > 0.0 for w in self.variance]
        self.qualified = [
            q != 0 and known for q, known in zip(facts[col.QUALIFIED], self.computed, strict=True)
        ]
        self.parts: dict[int, list[float]] = {}
        """First USED results of the rows that were asked for; their T_YEARS is of then."""


class BookMemory:
    """What is remembered of one option book."""

    def __init__(self) -> None:
        self.eligibility = Eligibility()
        self.health = FeedHealth()
        self._results: Results | None = None
        self._pooled: tuple[Results, list[float], Pooling] | None = None
        """What was last pooled, by which shares, and what came of it."""
        self._deviations: dict[int, F64] = {}
        """By expiry: its row less what its neighbours gave for it, when it was last computed."""
        self._before: tuple[tuple[int, ...], F64, list[bool], int] | None = None
        """Expiries, rows, which of them were computed, and when."""

    def results(self, surface: Surface, method: int) -> Results:
        """The book's results after `evaluate`, read anew only when an expiry was computed."""
        known = self._results
        revisions: list[int] = surface.plan[:, col.REVISION].tolist()
        if (
            known is None
            or known.revisions != revisions
            or known.surface is not surface
            or known.layout != surface.layout
        ):
            known = self._results = Results(surface, method, revisions)
        return known

    def pool(self, results: Results, shares: list[float]) -> Pooling:
        """Rule 14 on a book of which nothing is carried; found once for the same two objects."""
        known = self._pooled
        if known is None or known[0] is not results or known[1] is not shares:
            pooling = _pool(results.variance, results.bid, results.ask, shares, results.beyond)
            known = self._pooled = (results, shares, pooling)
        return known[2]

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
        "memory", "method", "pooled", "qualified", "reasons", "results", "shares", "sink",
        "surface", "t_years", "trusts", "values",
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
        self.t_years: list[float] = self.values[:, col.T_YEARS].tolist()
        self.results = memory.results(surface, method)
        self.forwards = self.results.forwards
        self.reasons = self.results.reasons
        self.computed = self.results.computed
        """(n,) a variance is there and may be used."""
        self.qualified: list[bool] = self.results.qualified if self.is_native else []
        """(n,) rule 9 holds now, but for the time to expiry; `native` only."""
        if self.held:
            # The lists of the results are shared with later instants.
            free = [row not in self.held for row in range(len(self.t_years))]
            self.computed = [c and f for c, f in zip(self.computed, free, strict=True)]
            if self.is_native:
                self.qualified = [q and f for q, f in zip(self.qualified, free, strict=True)]
        self.health = memory.health.observe(now_ns, healthy=self.is_alive and sink.is_connected)
        """Share of the last 10 s in which the feed was healthy."""
        self.carried: Mapping[int, list[float]] = {}
        """Rows of expiries that are in but not computed."""
        self.pooled: list[float] | None = None
        """(n,) total variances as used, when they were pooled."""
        self.shares: list[float] = []
        """(n,) how far each expiry is in; `native` only."""
        self.trusts: list[float] | None = None
        """(n,) votes of rule 14, in the shares already; None when every expiry has its own."""
        if self.is_native:
            self._weigh(now_ns)

    def row(self, row: int) -> list[float]:
        """The first USED results of an expiry as a tenor uses them."""
        values: list[float] | None = self.carried.get(row) if self.carried else None
        if values is None:
            values = self.results.parts.get(row)
        if values is None:
            values = self.results.parts[row] = self.values[row, :USED].tolist()
        if self.pooled is not None:
            shift = self.pooled[row] - values[col.TOTAL_VARIANCE]
            if shift:
                values = list(values)
                for column in SHIFTED:
                    values[column] += shift
        return values

    def variance(self, row: int) -> float:
        """Total variance of an expiry before any pooling."""
        made = self.carried.get(row) if self.carried else None
        return self.results.variance[row] if made is None else made[col.TOTAL_VARIANCE]

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

    def _weigh(self, now_ns: int) -> None:
        surface, memory, results = self.surface, self.memory, self.results
        qualified = self.qualified
        shares = self.shares = memory.eligibility.observe(
            surface.expiries,
            surface.listed,
            qualified,
            self.held if self.is_alive else range(len(qualified)),
            now_ns,
        )
        wanted = [
            row
            for row, share in enumerate(shares)
            if share > 0.0 and not self.computed[row] and row not in self.held
        ]
        self.carried = memory.carry(surface.expiries, self.values, self.computed, wanted, now_ns)
        if not self.carried:
            self.trusts, self.shares, self.pooled = memory.pool(results, shares)
            return
        variance, bid, ask = list(results.variance), list(results.bid), list(results.ask)
        beyond = list(results.beyond)
        for row, made in self.carried.items():
            variance[row], bid[row], ask[row] = made[col.TOTAL_VARIANCE : col.ASK_VARIANCE + 1]
            beyond[row] = made[col.EXT_VARIANCE]
        self.trusts, self.shares, self.pooled = _pool(variance, bid, ask, shares, beyond)


def _pool(
    variance: list[float],
    bid: list[float],
    ask: list[float],
    shares: list[float],
    beyond: list[float],
) -> Pooling:
    trusts = trust(variance, bid, ask, shares)
    if trusts is not None:
        shares = [share * vote for share, vote in zip(shares, trusts, strict=True)]
    return trusts, shares, pool(variance, bid, ask, shares, beyond)


def _neighbours(values: F64, usable: Sequence[bool], row: int) -> Bracket | Reason:
    t_years: list[float] = values[:, col.T_YEARS].tolist()
    return find_bracket(t_years, usable, t_years[row])
