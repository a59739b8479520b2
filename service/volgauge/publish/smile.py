"""The smile of every expiry and option book, as a person looks at it: quotes, verdicts, the fit.

`excerpt` copies what is needed out of a book's arrays (microseconds, on the loop of the ticks);
`read_smiles` makes volatilities of the copy and may run in a thread. Nothing is decided here:
verdicts and the fit are those of the engine's last evaluation.
"""

from collections.abc import Iterable
from math import isfinite

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.domain.units import VOL_POINTS, format_instant
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.kernels.implied import implied_vols
from volgauge.surface.surface import Surface

FIT_POINTS = 41
"""Places of the curve, evenly spaced in k."""


class Smile(Struct, frozen=True, kw_only=True, gc=False):
    """One expiry of one book, strike by strike; volatilities in points, None: there is none."""

    book: str
    """Key of the index record's `venues`."""
    expiry: str
    t_years: float
    forward: float
    eligible: bool
    """The expiry may stand in a tenor (METHODOLOGY rule 9)."""
    strikes: tuple[float, ...]
    """All listed, ascending, quote currency; the rows below have their length."""
    k: tuple[float, ...]
    """ln(strike / forward). The out-of-the-money leg is meant: the put below 0, else the call."""
    bid_iv: tuple[float | None, ...]
    ask_iv: tuple[float | None, ...]
    mid_iv: tuple[float | None, ...]
    """Of a two-sided quote."""
    used: tuple[bool, ...]
    """The quote stands in the value."""
    verdict: tuple[str | None, ...]
    """Why not: a member of Reject; None used, not needed, or the leg is not listed."""
    open_interest: tuple[float | None, ...]
    """Call and put together, coins; None was never told."""
    fit_k: tuple[float, ...]
    """Places of the fit: over the corridor and the quotes used. Empty without a fit."""
    fit_iv: tuple[float | None, ...]
    corridor: tuple[float, float] | None
    """k where the fit has |delta| = 5 %."""
    atm_iv: float | None
    """The fit at k = 0."""


class SmileAnswer(Struct, frozen=True, kw_only=True):
    """What `/v1/smile` answers."""

    asset: str
    at_ns: int
    """When the books were read."""
    expiries: tuple[str, ...]
    """All that are listed and not over, ascending, whichever was asked for."""
    smiles: tuple[Smile, ...]
    """By expiry, then by book."""


class Excerpt(Struct, frozen=True, kw_only=True):
    """A copy of what one book's smiles are made of; n expiries, m strikes of all together."""

    book: str
    expiry_ns: I64
    """(n,) int64."""
    count: I64
    """(n,) int64, strikes of each."""
    values: F64
    """(n, VALUE_COLUMNS) float64: the native results, or the strip's where there are none."""
    eligible: NDArray[np.bool_]
    """(n,) bool."""
    ladder: F64
    """(m, LADDER_COLUMNS) float64."""
    quotes: F64
    """(m, 2, 2) float64: of call and put, bid and ask; NaN where not listed or not quoted."""
    open_interest: F64
    """(m, 2) float64, coins."""
    method: int
    """Whose verdicts the ladder is read for."""
    is_coin: bool


def excerpt(book: str, surface: Surface, expiry_ns: int | None = None) -> Excerpt:
    """Copy a book as it was evaluated last.

    Args:
        book: Its label.
        surface: The book; it is not changed.
        expiry_ns: None copies every expiry with a forward.
    """
    native = surface.values[col.NATIVE]
    is_native = bool(np.isfinite(native[:, col.FORWARD]).any())
    method = col.NATIVE if is_native else col.DVOL
    values, plan = surface.values[method], surface.plan
    wanted = (values[:, col.FORWARD] > 0.0) & (values[:, col.T_YEARS] > 0.0)
    if expiry_ns is not None:
        wanted &= plan[:, col.EXPIRY_NS] == expiry_ns
    rows = np.flatnonzero(wanted)
    spans = [np.arange(plan[row, col.FIRST], plan[row, col.LAST]) for row in rows]
    places = np.concatenate(spans) if spans else np.empty(0, np.int64)
    ladder = surface.ladder[places]
    slots = ladder[:, col.CALL_SLOT : col.PUT_SLOT + 1].astype(np.int64)
    unlisted = slots < 0
    quotes = surface.table.quotes[slots][:, :, col.BID : col.ASK + 1]
    interest = surface.table.open_interest[slots]
    quotes[unlisted] = np.nan
    interest[unlisted] = np.nan
    return Excerpt(
        book=book,
        expiry_ns=plan[rows, col.EXPIRY_NS],
        count=plan[rows, col.LAST] - plan[rows, col.FIRST],
        values=values[rows],
        eligible=surface.facts[method, rows, col.ELIGIBLE] == 1,
        ladder=ladder,
        quotes=quotes,
        open_interest=interest,
        method=method,
        is_coin=surface.is_coin,
    )


def read_smiles(excerpts: Iterable[Excerpt]) -> tuple[Smile, ...]:
    """The smiles of some books, by expiry and then in the order of the books."""
    found = [pair for one in excerpts for pair in _smiles(one)]
    return tuple(smile for _, smile in sorted(found, key=lambda pair: pair[0]))


def _smiles(one: Excerpt) -> list[tuple[int, Smile]]:
    """Every expiry of one book with its instant."""
    forward = np.repeat(one.values[:, col.FORWARD], one.count)
    t_years = np.repeat(one.values[:, col.T_YEARS], one.count)
    strike = np.ascontiguousarray(one.ladder[:, col.STRIKE])
    is_call = strike >= forward
    leg = np.where(is_call, col.CALL, col.PUT)
    own = np.arange(strike.size)
    unit = forward if one.is_coin else np.ones_like(forward)
    # A zero is no quote (rule 2).
    quotes = np.where(one.quotes > 0.0, one.quotes, np.nan)[own, leg] * unit[:, None]
    bid, ask = np.ascontiguousarray(quotes[:, 0]), np.ascontiguousarray(quotes[:, 1])
    columns = []
    for price in (bid, ask, 0.5 * (bid + ask)):
        vols = np.empty_like(price)
        implied_vols(forward, strike, t_years, price, is_call, vols)
        columns.append(_numbers(VOL_POINTS * vols))
    first = col.CODE + 2 * one.method
    codes = one.ladder[:, first : first + 2][own, leg].astype(np.int64)
    quoted = np.isfinite(bid) & np.isfinite(ask)
    used = (codes == col.USED) & quoted
    if one.method == col.NATIVE:
        used &= np.isfinite(one.ladder[:, col.RESIDUAL])
    verdicts = [None if code == col.USED else col.REJECTS[code].value for code in codes]
    both = one.open_interest
    interest = _numbers(np.where(np.isnan(both).all(axis=1), np.nan, np.nansum(both, axis=1)))
    k = np.log(strike / forward)
    made = []
    end = 0
    for row, instant in enumerate(one.expiry_ns.tolist()):
        begin, end = end, end + int(one.count[row])
        here = slice(begin, end)
        values = one.values[row]
        fit_k, fit_iv, corridor, atm = _fit(values, k[here][used[here]])
        made.append(
            (
                instant,
                Smile(
                    book=one.book,
                    expiry=format_instant(instant),
                    t_years=float(values[col.T_YEARS]),
                    forward=float(values[col.FORWARD]),
                    eligible=bool(one.eligible[row]),
                    strikes=tuple(strike[here].tolist()),
                    k=tuple(np.round(k[here], 6).tolist()),
                    bid_iv=columns[0][here],
                    ask_iv=columns[1][here],
                    mid_iv=columns[2][here],
                    used=tuple(used[here].tolist()),
                    verdict=tuple(verdicts[here]),
                    open_interest=interest[here],
                    fit_k=fit_k,
                    fit_iv=fit_iv,
                    corridor=corridor,
                    atm_iv=atm,
                ),
            )
        )
    return made


def _fit(
    values: F64, used_k: F64
) -> tuple[tuple[float, ...], tuple[float | None, ...], tuple[float, float] | None, float | None]:
    """Places and volatilities of the curve, the corridor, and the curve at the forward."""
    a, b, rho, m, s = values[[col.SVI_A, col.SVI_B, col.SVI_RHO, col.SVI_M, col.SVI_S]].tolist()
    low, high = float(values[col.CORRIDOR_LOW]), float(values[col.CORRIDOR_HIGH])
    corridor = (low, high) if isfinite(low) and isfinite(high) else None
    ends = [*(corridor or ()), *used_k.tolist()]
    if not isfinite(a + b + rho + m + s) or len(ends) < 2:
        return (), (), corridor, None
    # k = 0 comes last: it is the answer to another question.
    places = np.append(np.linspace(min(ends), max(ends), FIT_POINTS), 0.0)
    shifted = places - m
    variance = a + b * (rho * shifted + np.sqrt(shifted * shifted + s * s))
    with np.errstate(invalid="ignore"):
        fitted = _numbers(VOL_POINTS * np.sqrt(variance / values[col.T_YEARS]))
    return tuple(np.round(places[:-1], 6).tolist()), fitted[:-1], corridor, fitted[-1]


def _numbers(values: F64) -> tuple[float | None, ...]:
    """Rounded for the eye to 1e-4; None where not finite."""
    rounded = np.round(values, 4).tolist()
    return tuple(value if isfinite(value) else None for value in rounded)
