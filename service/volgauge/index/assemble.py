"""From rows of a Surface to the structs of a record."""

from functools import cache, lru_cache
from math import isfinite, nan

from msgspec import Struct

from volgauge.domain.index import ExpirySurface, ExpiryValue, Flag, Reason
from volgauge.domain.instrument import Venue
from volgauge.domain.units import format_instant
from volgauge.index.maturity import vol_points
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

_FLAG_BITS = tuple((1 << bit, flag) for bit, flag in enumerate(col.FLAG_ORDER))


_name_of = lru_cache(maxsize=1024)(format_instant)
"""Of an expiry; each is asked for with every tick."""


def number(value: float) -> float | None:
    """NaN and infinities are not published: they become None."""
    return value if isfinite(value) else None


@cache
def flags_of(bits: int) -> frozenset[Flag]:
    """The flags that a kernel raised."""
    return frozenset(flag for mask, flag in _FLAG_BITS if bits & mask)


def reason_of(code: int) -> Reason | None:
    """Why a kernel gave no value; None when it gave one."""
    return None if code < 0 else col.REASONS[code]


def rejected_of(facts: list[int]) -> dict[str, int]:
    """Refused quotes by reason, those that occurred."""
    return {
        reject.value: facts[col.REJECTED + index]
        for index, reject in enumerate(col.REJECTS)
        if facts[col.REJECTED + index]
    }


class ExpiryFacts(Struct, frozen=True, gc=False):
    """What of an expiry changes only when it is computed: kept between ticks of other expiries."""

    revision: int
    expiry: str
    forward: float | None
    k_zero: float | None
    n_strikes: int
    strip_sum: float | None
    total_variance: float | None
    n_rejected: int
    rejected: dict[str, int]
    flags: tuple[str, ...]
    digest: bytes
    """SHA-256 of the inputs."""


def expiry_facts(surface: Surface, method: int, row: int) -> ExpiryFacts:
    """Read one row of the results.

    Args:
        surface: After `evaluate`.
        method: First index of its results, e.g. `layout.NATIVE`.
        row: Of the expiry.
    """
    values: list[float] = surface.values[method, row].tolist()
    facts: list[int] = surface.facts[method, row].tolist()
    rejected = rejected_of(facts)
    return ExpiryFacts(
        revision=surface.revision(row),
        expiry=_name_of(surface.expiries[row]),
        forward=number(values[col.FORWARD]),
        k_zero=number(values[col.K_ZERO]),
        n_strikes=facts[col.STRIKES],
        strip_sum=number(values[col.STRIP_SUM]),
        total_variance=number(values[col.TOTAL_VARIANCE]),
        n_rejected=sum(rejected.values()),
        rejected=rejected,
        flags=tuple(sorted(flag.value for flag in flags_of(facts[col.FLAGS]))),
        digest=surface.digest(row),
    )


def expiry_value(
    facts: ExpiryFacts,
    book: str,
    t_years: float,
    minutes: int,
    weight: float,
    share: float = 1.0,
    pooled_variance: float | None = None,
) -> ExpiryValue:
    """What one expiry contributed to a tenor.

    Args:
        facts: Of the expiry.
        book: Key of `venues`.
        t_years: Time to expiry.
        minutes: The same in whole minutes.
        weight: Of its total variance.
        share: How far it is in.
        pooled_variance: What was used in place of its own total variance.
    """
    w = facts.total_variance
    return ExpiryValue(
        expiry=facts.expiry,
        book=book,
        t_years=t_years,
        minutes=minutes,
        forward=facts.forward,
        k_zero=facts.k_zero,
        n_strikes=facts.n_strikes,
        strip_sum=facts.strip_sum,
        total_variance=w,
        variance=w / t_years if w is not None and t_years > 0.0 else None,
        weight=weight,
        share=share,
        pooled_variance=pooled_variance,
        n_rejected=facts.n_rejected,
        rejected=facts.rejected,
        flags=facts.flags,
    )


def expiry_surface(
    facts: ExpiryFacts, venue: Venue, book: str, t_years: float, strip: float
) -> ExpirySurface:
    """One line of the surface record; `strip` is the total variance by the exchange's rule."""
    w = nan if facts.total_variance is None else facts.total_variance
    return ExpirySurface(
        venue=venue,
        book=book,
        expiry=facts.expiry,
        t_years=t_years,
        forward=facts.forward,
        total_variance=facts.total_variance,
        implied_vol=vol_points(w, t_years) if t_years > 0.0 else None,
        strip=vol_points(strip, t_years) if t_years > 0.0 else None,
        n_strikes=facts.n_strikes,
        n_rejected=facts.n_rejected,
        rejected=facts.rejected,
        flags=facts.flags,
    )
