"""One constant tenor of one option book, before venues are put together and anyone judges it.

Every number of it is a weighted sum of total variances of expiries (METHODOLOGY §6, rule 15) turned
into volatility points, so that the weights of the record reproduce each of them.
"""

from math import isfinite, sqrt

from msgspec import Struct

from volgauge.domain.index import Flag, Reason
from volgauge.domain.units import DAYS_PER_YEAR, NANOS_PER_DAY
from volgauge.index.assemble import flags_of, number, reason_of
from volgauge.index.band import pooling_error, term_error
from volgauge.index.eligibility import SHORTEST_NS
from volgauge.index.maturity import Bracket, Term, find_listed_bracket, find_term, vol_points
from volgauge.index.quality import is_wide
from volgauge.index.view import USED, BookView
from volgauge.kernels import layout as col

SHORTEST_YEARS = SHORTEST_NS / NANOS_PER_DAY / DAYS_PER_YEAR
"""METHODOLOGY rule 9: an expiry is not eligible for `native` in its last two days."""

HALF_TRUST = 0.5
"""Below it an expiry counts as one that was passed over."""


class BookTenor(Struct, frozen=True, gc=False, kw_only=True):
    """One tenor of one book; volatilities in points, None not computable."""

    value: float | None = None
    reason: Reason | None = None
    """Why there is no value."""
    refused: float | None = None
    """The number that quotes which are not alive would give."""
    rows: tuple[int, ...] = ()
    """Expiries used, ascending."""
    weights: tuple[float, ...] = ()
    """Of their total variances."""
    bid: float | None = None
    ask: float | None = None
    full: float | None = None
    tail_lo: float | None = None
    tail_hi: float | None = None
    coin: float | None = None
    svix: float | None = None
    strip: float | None = None
    extrapolated: float | None = None
    """Share of the variance beyond the quoted strikes."""
    extrapolation: float = 0.0
    """|fit - flat edge| over the part without quotes, points; 0 where the rules have none."""
    doubt: float = 0.0
    """Error of a term that rests on one expiry, or on one that is carried, points."""
    n_strikes: int = 0
    """Of the poorer expiry."""
    flags: frozenset[Flag] = frozenset()


def compute_tenor(book: BookView, days: float) -> BookTenor:
    """One tenor of one book.

    Args:
        book: At this instant.
        days: The tenor.
    """
    if not book.surface.expiries:
        return BookTenor(reason=Reason.NO_INSTRUMENTS)
    tenor_years = days / DAYS_PER_YEAR
    listed = find_listed_bracket(book.t_years, tenor_years)
    strip = _strip(book, listed, tenor_years) if book.is_alive else None
    term = _term_of(listed)
    if book.is_native:
        term = find_term(book.t_years, book.shares, tenor_years)
    if isinstance(term, Reason):
        return BookTenor(reason=_why_no_term(book, term), strip=strip)
    missing = [row for row in term.rows if not book.computed[row] and row not in book.carried]
    if missing:
        return BookTenor(
            reason=_why_missing(book, missing),
            rows=term.rows,
            weights=term.weights,
            strip=strip,
            flags=_kernel_flags(book, term.rows),
        )
    computed = _blend(book, term, tenor_years, strip)
    if book.is_alive or computed.value is None:
        return computed
    return BookTenor(
        reason=Reason.FEED_DOWN,
        refused=computed.value,
        rows=term.rows,
        weights=term.weights,
        flags=computed.flags,
    )


def _blend(book: BookView, term: Term, tenor_years: float, strip: float | None) -> BookTenor:
    parts = [
        (weight, book.row(row))
        for weight, row in zip(term.weights, term.rows, strict=True)
        if weight != 0.0
    ]
    if len(parts) == 2:
        (a, near), (b, far) = parts
        sums = [a * x + b * y for x, y in zip(near, far, strict=True)]
    else:
        sums = [0.0] * USED
        for weight, values in parts:
            sums = [s + weight * x for s, x in zip(sums, values, strict=True)]
    total = sums[col.TOTAL_VARIANCE]
    value = vol_points(total, tenor_years)
    flags = set(_kernel_flags(book, term.rows))
    if value is None or value == 0.0:
        return BookTenor(
            reason=Reason.NEGATIVE_VARIANCE,
            rows=term.rows,
            weights=term.weights,
            strip=strip,
            flags=frozenset(flags),
        )
    per_variance = value / (2.0 * total)
    bid, ask = (
        vol_points(sums[col.BID_VARIANCE], tenor_years),
        vol_points(sums[col.ASK_VARIANCE], tenor_years),
    )
    extrapolation = sums[col.EXT_VARIANCE] * per_variance
    flags |= _doubts(book, term)
    if bid is not None and ask is not None and is_wide(bid, ask, value):
        flags.add(Flag.WIDE)
    strikes = book.results.strikes
    return BookTenor(
        value=value,
        rows=term.rows,
        weights=term.weights,
        bid=bid,
        ask=ask,
        full=vol_points(sums[col.FULL_VARIANCE], tenor_years),
        tail_lo=vol_points(sums[col.TAIL_LO_VARIANCE], tenor_years),
        tail_hi=vol_points(sums[col.TAIL_HI_VARIANCE], tenor_years),
        coin=vol_points(sums[col.COIN_VARIANCE], tenor_years),
        svix=vol_points(sums[col.SVIX_VARIANCE], tenor_years),
        strip=strip,
        extrapolated=number(
            sum(w * r[col.TOTAL_VARIANCE] * r[col.EXTRAPOLATED] for w, r in parts) / total
        ),
        extrapolation=extrapolation if isfinite(extrapolation) else 0.0,
        doubt=_doubt(book, term, tenor_years, value, per_variance),
        n_strikes=min(strikes[row] for row in term.rows),
        flags=frozenset(flags),
    )


def _doubt(
    book: BookView, term: Term, tenor_years: float, value: float, per_variance: float
) -> float:
    """Root sum of squares of what the term itself may be off by, in points."""
    if not term.one_sided and not book.carried and book.pooled is None:
        return 0.0
    squares = 0.0
    if term.one_sided:
        ratios = (book.t_years[row] / tenor_years for row in term.rows)
        worst = max(ratios, key=lambda ratio: max(ratio, 1.0 / ratio))
        squares += (term.one_sided * term_error(value, worst)) ** 2
    for row, weight in zip(term.rows, term.weights, strict=True):
        if row in book.carried:
            deviation = book.memory.deviation(book.surface.expiries[row])
            squares += (weight * deviation * per_variance) ** 2
    if book.pooled is not None:
        shifts = (book.pooled[row] - book.variance(row) for row in term.rows)
        squares += pooling_error(term.weights, shifts, per_variance) ** 2
    return sqrt(squares)


def _doubts(book: BookView, term: Term) -> set[Flag]:
    """What makes a tenor doubtful beyond the doubts about its expiries."""
    doubts = set()
    if term.one_sided:
        doubts.add(Flag.ONE_SIDED_TERM)
    if term.is_blended:
        doubts.add(Flag.BLENDED)
    if book.is_native:
        doubts |= _doubts_of_expiries(book, term)
    elif book.values[term.rows[0], col.BID_VARIANCE] > book.values[term.rows[-1], col.ASK_VARIANCE]:
        doubts.add(Flag.CALENDAR)
    if book.surface.key.asset in book.sink.locked:
        doubts.add(Flag.INDEX_LOCKED)
    if not book.sink.is_covered():
        doubts.add(Flag.COVERAGE)
    return doubts


def _doubts_of_expiries(book: BookView, term: Term) -> set[Flag]:
    """What rules 9 and 14 say of the expiries used, and of those passed over."""
    doubts = set()
    if book.pooled is not None or book.trusts is not None:
        doubts.add(Flag.CALENDAR)
    if book.carried and not book.carried.keys().isdisjoint(term.rows):
        doubts.add(Flag.CARRIED)
    if not all(book.qualified[row] for row in term.rows):
        doubts.add(Flag.UNQUALIFIED)
    out = book.memory.eligibility.out
    if True in out and any(
        out[row] and book.t_years[row] >= SHORTEST_YEARS
        for row in range(term.rows[0] + 1, term.rows[-1])
    ):
        doubts.add(Flag.SKIPPED_EXPIRY)
    if book.trusts is not None and min(book.trusts[term.rows[0] : term.rows[-1] + 1]) < HALF_TRUST:
        doubts.add(Flag.SKIPPED_EXPIRY)
    return doubts


def _kernel_flags(book: BookView, rows: tuple[int, ...]) -> frozenset[Flag]:
    bits = 0
    for row in rows:
        bits |= book.results.flags[row]
    return flags_of(bits)


def _strip(book: BookView, listed: Bracket | Reason, tenor_years: float) -> float | None:
    """The exchange's rule: the last listed expiry up to the tenor and the first one beyond."""
    if isinstance(listed, Reason) or book.held & {listed.near, listed.far}:
        return None
    variances = book.results.strips
    total = listed.blend(variances[listed.near], variances[listed.far])
    return vol_points(total, tenor_years)


def _term_of(listed: Bracket | Reason) -> Term | Reason:
    if isinstance(listed, Reason):
        return listed
    if listed.is_one_sided:
        return Term((listed.near,), (listed.near_weight,))
    return Term((listed.near, listed.far), (listed.near_weight, listed.far_weight))


def _why_no_term(book: BookView, found: Reason) -> Reason:
    """No bracket because nothing is listed there, or because the quotes do not carry it?"""
    if book.held or not book.is_alive:
        return Reason.FEED_DOWN
    reasons = (
        {
            # A variance without eligibility: rule 9 wants more strikes.
            reason_of(code) or Reason.TOO_FEW_STRIKES
            for code, t, known, share in zip(
                book.reasons, book.t_years, book.computed, book.shares, strict=True
            )
            if t >= SHORTEST_YEARS and not (known and share > 0.0)
        }
        if book.is_native
        else set()
    )
    return reasons.pop() if len(reasons) == 1 else found


def _why_missing(book: BookView, missing: list[int]) -> Reason:
    """Why a tenor whose expiries are known has no value."""
    if not book.is_alive or not book.held.isdisjoint(missing):
        return Reason.FEED_DOWN
    for row in missing:
        reason = reason_of(book.reasons[row])
        if reason is not None:
            return reason
    return Reason.NEGATIVE_VARIANCE
