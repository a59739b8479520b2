"""Where positions lie: implied volatility weighted by open interest, vega and volume; Greeks held.

The volatility of an option is that of the fitted curve at its strike, never a mark. METHODOLOGY,
appendix, interest.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from volgauge.analytics.books import WeightedBook, contributing
from volgauge.domain.analytics import InterestReading, Lack, StrikeExposure
from volgauge.domain.units import NANOS_PER_DAY
from volgauge.kernels import exposure
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64
from volgauge.settings import AnalyticsSettings

MOST_STRIKES = 20
"""Strikes told of in a record."""


class ExpiryInterest(NamedTuple):
    """Interest in one expiry of one book, inside the limits of delta and time."""

    interest_iv: float | None
    """Sum OI IV / Sum OI, points; None without open interest."""
    vega_iv: float | None
    """The same with the vega of one coin of each option as weight."""
    volume_iv: float | None
    open_interest: float | None
    """Coins; None when no option's was told, 0 when all are 0."""
    volume: float | None
    """Coins in 24 h; None and 0 likewise."""


class InterestResult(NamedTuple):
    """Interest of one asset at one instant."""

    reading: InterestReading
    by_expiry: dict[tuple[str, int], ExpiryInterest]
    """By book and expiry in ns; an expiry outside the limits, or without a curve, is not there."""
    missing: dict[str, Lack]
    """By path: `interest.value`."""


def read_interest(
    books: Sequence[WeightedBook], settings: AnalyticsSettings, now_ns: int
) -> InterestResult:
    """Weigh the implied volatilities of one asset by what is held and traded.

    Args:
        books: Its option books; those without weight contribute nothing.
        settings: Limits of delta and time.
        now_ns: The instant.
    """
    used = contributing(books)
    by_expiry: dict[tuple[str, int], ExpiryInterest] = {}
    total = [0.0] * exposure.SUM_COLUMNS
    strikes: list[F64] = []
    held: list[F64] = []
    for book in used:
        surface = book.surface
        sums = np.empty((len(surface.expiries), exposure.SUM_COLUMNS))
        exposures = np.empty((len(surface.ladder), exposure.STRIKE_COLUMNS))
        exposure.sum_book(
            surface.values[col.NATIVE], surface.facts[col.NATIVE], surface.plan, surface.ladder,
            surface.table.open_interest, surface.table.volume, now_ns,
            round(settings.min_expiry_days * NANOS_PER_DAY), settings.min_delta,
            settings.max_delta, sums, exposures,
        )  # fmt: skip
        for expiry_ns, row in zip(surface.expiries, sums.tolist(), strict=True):
            if row[exposure.VEGA] > 0.0:
                by_expiry[book.label, expiry_ns] = _weigh(row)
                total = [known + more for known, more in zip(total, row, strict=True)]
        is_held = exposures[:, exposure.HELD] > 0.0
        strikes.append(surface.ladder[is_held, col.STRIKE])
        held.append(exposures[is_held])
    weighed = _weigh(total)
    has_interest = weighed.open_interest is not None
    exposed = np.concatenate(held) if held else np.zeros((0, exposure.STRIKE_COLUMNS))
    gamma, vega, _ = exposed.sum(axis=0).tolist()
    reading = InterestReading(
        value=weighed.interest_iv,
        vega_iv=weighed.vega_iv,
        volume_iv=weighed.volume_iv,
        open_interest=weighed.open_interest,
        volume=weighed.volume,
        put_call_interest=_ratio(total[exposure.PUT_INTEREST], total[exposure.CALL_INTEREST]),
        put_call_volume=_ratio(total[exposure.PUT_VOLUME], total[exposure.CALL_VOLUME]),
        gamma=gamma if has_interest else None,
        vega=vega if has_interest else None,
        strikes=_largest(np.concatenate(strikes), exposed) if strikes else (),
    )
    return InterestResult(reading, by_expiry, _explain(reading, is_halted=not used))


def _weigh(row: Sequence[float]) -> ExpiryInterest:
    interest = row[exposure.CALL_INTEREST] + row[exposure.PUT_INTEREST]
    volume = row[exposure.CALL_VOLUME] + row[exposure.PUT_VOLUME]
    return ExpiryInterest(
        interest_iv=_ratio(row[exposure.INTEREST_POINTS], interest),
        vega_iv=_ratio(row[exposure.VEGA_POINTS], row[exposure.VEGA]),
        volume_iv=_ratio(row[exposure.VOLUME_POINTS], volume),
        open_interest=interest if row[exposure.INTEREST_TOLD] else None,
        volume=volume if row[exposure.VOLUME_TOLD] else None,
    )


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0.0 else None


def _largest(strikes: F64, exposed: F64) -> tuple[StrikeExposure, ...]:
    """Exposures at equal strikes together; the largest by gamma, ascending in strike."""
    distinct, place = np.unique(strikes, return_inverse=True)
    sums = [
        np.bincount(place, exposed[:, column], len(distinct))
        for column in range(exposure.STRIKE_COLUMNS)
    ]
    # Stable: of equal ones the lower strike is taken.
    order = np.argsort(-sums[exposure.HELD_GAMMA], kind="stable")[:MOST_STRIKES]
    order.sort()
    return tuple(
        StrikeExposure(strike=strike, gamma=gamma, vega=vega, open_interest=interest)
        for strike, gamma, vega, interest in zip(
            distinct[order].tolist(), *(column[order].tolist() for column in sums), strict=True
        )
    )


_LACKS = {
    "vega_iv": Lack.NO_SURFACE,
    "value": Lack.NO_OPEN_INTEREST,
    "open_interest": Lack.NO_OPEN_INTEREST,
    "put_call_interest": Lack.NO_OPEN_INTEREST,
    "gamma": Lack.NO_OPEN_INTEREST,
    "vega": Lack.NO_OPEN_INTEREST,
    "volume_iv": Lack.NO_VOLUME,
    "volume": Lack.NO_VOLUME,
    "put_call_volume": Lack.NO_VOLUME,
}


def _explain(reading: InterestReading, *, is_halted: bool) -> dict[str, Lack]:
    """Why what is null is null: nothing to weigh comes before nothing to weigh with."""
    general = None
    if is_halted:
        general = Lack.HALTED
    elif reading.vega_iv is None:
        general = Lack.NO_SURFACE
    return {
        f"interest.{field}": general or lack
        for field, lack in _LACKS.items()
        if getattr(reading, field) is None
    }
