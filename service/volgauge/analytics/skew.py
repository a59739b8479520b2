"""The smile as traders speak of it: at the money, by delta, over time; per expiry and tenor.

Numbers come from the fitted curves of the books that make the index. METHODOLOGY, appendix,
surface readings.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from math import isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np

from volgauge.analytics.books import WeightedBook, contributing
from volgauge.analytics.interest import ExpiryInterest
from volgauge.domain.analytics import ExpiryReading, ForwardVol, Lack, TenorReading
from volgauge.domain.index import tenor_label
from volgauge.domain.units import DAYS_PER_YEAR, NANOS_PER_YEAR, format_instant
from volgauge.kernels import layout as col
from volgauge.kernels import readings as read
from volgauge.kernels._jit import F64

SLOPE_DAYS = (7.0, 90.0)
"""The slope is the volatility at the money at the second less that at the first."""
NO_INTEREST = ExpiryInterest(None, None, None, None, None)

_label_instant = lru_cache(maxsize=4096)(format_instant)
_READINGS = (
    "atm", "put_10", "put_25", "call_25", "call_10", "risk_reversal_25", "risk_reversal_10",
    "butterfly_25", "butterfly_10", "skewness", "kurtosis",
)  # fmt: skip
"""Fields of a record by column of a reading."""


class SurfaceReading(NamedTuple):
    """What is read off the surface of one asset at one instant."""

    tenors: tuple[TenorReading, ...]
    """As asked for."""
    expiries: tuple[ExpiryReading, ...]
    """Of the books that contribute, book by book, ascending; those that are over are left out."""
    slope: float | None
    forwards: tuple[ForwardVol, ...]
    """Between neighbouring tenors, ascending."""
    books: tuple[str, ...]
    """Those that contribute."""
    expiries_missing: dict[str, Lack]
    """What `missing` says of the expiries."""
    missing: dict[str, Lack]
    """By path: `tenors.30d` for a whole tenor, `tenors.30d.put_10` for a reading of it;
    `expiries.deribit.2026-03-27T08:00:00Z` for the whole smile of an expiry; `slope`;
    `forwards.7d-14d`."""


def read_surface(
    books: Sequence[WeightedBook],
    tenors_days: Sequence[float],
    coin_less_value: Mapping[str, float | None],
    interest: Mapping[tuple[str, int], ExpiryInterest],
    now_ns: int,
    before: SurfaceReading | None = None,
) -> SurfaceReading:
    """Read the surfaces of one asset.

    Args:
        books: Its option books; those without weight contribute nothing.
        tenors_days: Constant tenors, days, > 0.
        coin_less_value: By tenor (`30d`), points; None or absent where the index has none.
        interest: From `read_interest`, by book and expiry; absent: nothing is known.
        now_ns: The instant.
        before: Its expiries are told again, if the same books contribute; None reads them anew.
    """
    used = contributing(books)
    labels = tuple(book.label for book in used)
    is_repeated = before is not None and before.books == labels
    of_expiries: dict[str, Lack] = {}
    expiries: list[ExpiryReading] = []
    horizons = _horizons(tuple(tenors_days))
    sums = np.zeros((len(horizons.years), read.READING_COLUMNS))
    weights = np.zeros_like(sums)
    scratch = np.empty(read.READING_COLUMNS)
    for book in used:
        surface = book.surface
        count = len(surface.expiries)
        book_years = np.empty(count)
        book_readings = np.empty((count, read.READING_COLUMNS))
        read.read_book(
            surface.values[col.NATIVE], surface.facts[col.NATIVE], surface.plan, horizons.years,
            now_ns, float(book.weight), book_years, book_readings, scratch, sums, weights,
        )  # fmt: skip
        if not is_repeated:
            _append_expiries(expiries, book, book_readings, interest, of_expiries, now_ns)
    told = tuple(expiries)
    if before is not None and is_repeated:
        told, of_expiries = before.expiries, before.expiries_missing
    missing = dict(of_expiries)
    means: F64 = np.full_like(sums, nan)
    np.divide(sums, weights, out=means, where=weights > 0.0)
    rows: list[list[float]] = means.tolist()
    lack = Lack.NO_SURFACE if used else Lack.HALTED
    tenors = tuple(
        _tenor_reading(label, row, coin_less_value, lack, missing)
        for label, row in zip(horizons.labels, rows, strict=False)
    )
    slope = _number(rows[-1][read.ATM] - rows[-2][read.ATM])
    if slope is None:
        missing["slope"] = lack
    forwards = _forward_vols(tenors_days, tenors, lack, missing)
    return SurfaceReading(tenors, told, slope, forwards, labels, of_expiries, missing)


class _Horizons(NamedTuple):
    """What is read at constant tenors."""

    labels: tuple[str, ...]
    """Of the tenors."""
    years: F64
    """Of the tenors, then of the ends of the slope."""


@lru_cache(maxsize=64)
def _horizons(tenors_days: tuple[float, ...]) -> _Horizons:
    years = np.array((*tenors_days, *SLOPE_DAYS)) / DAYS_PER_YEAR
    return _Horizons(tuple(map(tenor_label, tenors_days)), years)


def forward_vol(near: float, near_days: float, far: float, far_days: float) -> float | None:
    """Volatility between two horizons, points; None where total variance falls.

    sqrt((far^2 T_far - near^2 T_near) / (T_far - T_near))

    Args:
        near: Volatility up to the nearer horizon, points.
        near_days: The nearer horizon, > 0.
        far: Volatility up to the farther horizon, points.
        far_days: The farther horizon, > near_days.
    """
    variance = (far * far * far_days - near * near * near_days) / (far_days - near_days)
    return sqrt(variance) if variance >= 0.0 else None


def _append_expiries(
    expiries: list[ExpiryReading],
    book: WeightedBook,
    readings: F64,
    interest: Mapping[tuple[str, int], ExpiryInterest],
    missing: dict[str, Lack],
    now_ns: int,
) -> None:
    surface, label = book.surface, book.label
    forwards: list[float] = surface.values[col.NATIVE, :, col.FORWARD].tolist()
    for expiry_ns, forward, row in zip(surface.expiries, forwards, readings.tolist(), strict=True):
        if expiry_ns <= now_ns:
            continue
        instant = _label_instant(expiry_ns)
        held = interest.get((label, expiry_ns), NO_INTEREST)
        interest_iv, vega_iv, volume_iv, open_interest, volume = held
        numbers = row if isfinite(sum(row)) else _numbers(row)
        atm, _, _, _, _, reversal_25, reversal_10, fly_25, fly_10, skewness, kurtosis = numbers
        made = ExpiryReading(
            book=label,
            expiry=instant,
            t_years=(expiry_ns - now_ns) / NANOS_PER_YEAR,
            forward=forward if isfinite(forward) else None,
            atm=atm,
            risk_reversal_25=reversal_25,
            risk_reversal_10=reversal_10,
            butterfly_25=fly_25,
            butterfly_10=fly_10,
            skewness=skewness,
            kurtosis=kurtosis,
            interest_iv=interest_iv,
            vega_iv=vega_iv,
            volume_iv=volume_iv,
            open_interest=open_interest,
            volume=volume,
        )
        expiries.append(made)
        if atm is None:
            missing[f"expiries.{label}.{instant}"] = Lack.NO_SURFACE
        elif None in numbers or None in held:
            _explain_expiry(f"expiries.{label}.{instant}", made, missing)


_EXPIRY_LACKS = {
    "risk_reversal_25": Lack.NO_SURFACE,
    "risk_reversal_10": Lack.NO_SURFACE,
    "butterfly_25": Lack.NO_SURFACE,
    "butterfly_10": Lack.NO_SURFACE,
    "skewness": Lack.NO_SURFACE,
    "kurtosis": Lack.NO_SURFACE,
    "vega_iv": Lack.NO_SURFACE,
    "interest_iv": Lack.NO_OPEN_INTEREST,
    "open_interest": Lack.NO_OPEN_INTEREST,
    "volume_iv": Lack.NO_VOLUME,
    "volume": Lack.NO_VOLUME,
}


def _explain_expiry(path: str, made: ExpiryReading, missing: dict[str, Lack]) -> None:
    for field, lack in _EXPIRY_LACKS.items():
        if getattr(made, field) is None:
            missing[f"{path}.{field}"] = lack


def _tenor_reading(
    label: str,
    row: Sequence[float],
    coin_less_value: Mapping[str, float | None],
    lack: Lack,
    missing: dict[str, Lack],
) -> TenorReading:
    numbers = row if isfinite(sum(row)) else _numbers(row)
    skewness = numbers[read.READ_SKEWNESS]
    coin = coin_less_value.get(label)
    if coin is not None and not isfinite(coin):
        coin = None
    if numbers[read.ATM] is None:
        missing[f"tenors.{label}"] = lack
    elif None in numbers:
        for field, number in zip(_READINGS, numbers, strict=True):
            if number is None:
                missing[f"tenors.{label}.{field}"] = lack
        if skewness is None:
            missing[f"tenors.{label}.skew_index"] = lack
    if coin is None:
        missing[f"tenors.{label}.coin_less_value"] = Lack.NO_INDEX
    return TenorReading(
        tenor=label,
        atm=numbers[read.ATM],
        put_10=numbers[read.PUT_10],
        put_25=numbers[read.PUT_25],
        call_25=numbers[read.CALL_25],
        call_10=numbers[read.CALL_10],
        risk_reversal_25=numbers[read.RISK_REVERSAL_25],
        risk_reversal_10=numbers[read.RISK_REVERSAL_10],
        butterfly_25=numbers[read.BUTTERFLY_25],
        butterfly_10=numbers[read.BUTTERFLY_10],
        skewness=skewness,
        kurtosis=numbers[read.READ_KURTOSIS],
        skew_index=None if skewness is None else 100.0 - 10.0 * skewness,
        coin_less_value=coin,
    )


def _forward_vols(
    tenors_days: Sequence[float],
    tenors: Sequence[TenorReading],
    lack: Lack,
    missing: dict[str, Lack],
) -> tuple[ForwardVol, ...]:
    ordered = sorted(dict(zip(tenors_days, tenors, strict=True)).items())
    made = []
    for (near_days, near), (far_days, far) in pairwise(ordered):
        value = None
        if near.atm is None or far.atm is None:
            missing[f"forwards.{near.tenor}-{far.tenor}"] = lack
        else:
            value = forward_vol(near.atm, near_days, far.atm, far_days)
            if value is None:
                missing[f"forwards.{near.tenor}-{far.tenor}"] = Lack.FALLING_VARIANCE
        made.append(ForwardVol(begin=near.tenor, end=far.tenor, value=value))
    return tuple(made)


def _numbers(row: Sequence[float]) -> Sequence[float | None]:
    """The row with None for what is not finite; not asked where the sum is, which says it all."""
    return [value if isfinite(value) else None for value in row]


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
