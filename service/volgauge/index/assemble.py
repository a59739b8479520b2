"""From rows of a Surface to the structs of a record."""

from math import isfinite

from volgauge.domain.index import ExpirySurface, ExpiryValue, Flag, Reason
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MINUTE, format_instant
from volgauge.index.maturity import vol_points
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

_FLAG_BITS = tuple((1 << bit, flag) for bit, flag in enumerate(col.FLAG_ORDER))


def number(value: float) -> float | None:
    """NaN and infinities are not published: they become None."""
    return value if isfinite(value) else None


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


def expiry_value(
    surface: Surface, method: int, row: int, t_years: float, now_ns: int, weight: float
) -> ExpiryValue:
    """What one expiry contributed to a tenor.

    Args:
        surface: After `evaluate`.
        method: First index of its results, e.g. `layout.NATIVE`.
        row: Of the expiry.
        t_years: Time to expiry at `now_ns`.
        now_ns: Instant of calculation.
        weight: Of this expiry's total variance in the tenor.
    """
    values: list[float] = surface.values[method, row].tolist()
    facts: list[int] = surface.facts[method, row].tolist()
    total_variance = values[col.TOTAL_VARIANCE]
    rejected = rejected_of(facts)
    bits = facts[col.FLAGS]
    return ExpiryValue(
        expiry=format_instant(surface.expiries[row]),
        t_years=t_years,
        minutes=max(0, surface.expiries[row] - now_ns) // NANOS_PER_MINUTE,
        forward=number(values[col.FORWARD]),
        k_zero=number(values[col.K_ZERO]),
        n_strikes=facts[col.STRIKES],
        strip_sum=number(values[col.STRIP_SUM]),
        total_variance=number(total_variance),
        variance=number(total_variance / t_years) if t_years > 0.0 else None,
        weight=weight,
        n_rejected=sum(rejected.values()),
        rejected=rejected,
        flags=tuple(sorted(flag.value for flag in flags_of(bits))) if bits else (),
    )


def expiry_surface(
    surface: Surface, venue: Venue, method: int, row: int, t_years: float
) -> ExpirySurface:
    """One line of the surface record."""
    values: list[float] = surface.values[method, row].tolist()
    facts: list[int] = surface.facts[method, row].tolist()
    rejected = rejected_of(facts)
    strip = float(surface.values[col.DVOL, row, col.TOTAL_VARIANCE])
    return ExpirySurface(
        venue=venue,
        expiry=format_instant(surface.expiries[row]),
        t_years=t_years,
        forward=number(values[col.FORWARD]),
        total_variance=number(values[col.TOTAL_VARIANCE]),
        implied_vol=vol_points(values[col.TOTAL_VARIANCE], t_years) if t_years > 0.0 else None,
        strip=vol_points(strip, t_years) if t_years > 0.0 else None,
        n_strikes=facts[col.STRIKES],
        n_rejected=sum(rejected.values()),
        rejected=rejected,
        flags=tuple(sorted(flag.value for flag in flags_of(facts[col.FLAGS]))),
    )
