"""Surfaces whose curves are known: listed by the package, their fits written in by hand.

Slow references stand beside them: plain Python and scipy, nothing of the package.
"""

from collections.abc import Sequence
from math import inf, log, nan, sqrt
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import norm

from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Method
from volgauge.domain.instrument import Asset, BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

NOW = 1_772_438_400 * 1_000_000_000
"""2026-03-02T08:00:00Z."""
STRIKES = tuple(range(40_000, 90_001, 5_000))
TENORS = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0)


class Curve(NamedTuple):
    """One expiry: raw SVI in total variance, and moments."""

    days: float
    a: float
    b: float = 0.0
    rho: float = 0.0
    m: float = 0.0
    s: float = 0.1
    forward: float = 60_000.0
    full_variance: float = nan
    skewness: float = 0.0
    kurtosis: float = 3.0

    @property
    def expiry_ns(self) -> int:
        """Its instant."""
        return NOW + round(self.days * NANOS_PER_DAY)

    @property
    def years(self) -> float:
        """Time to it."""
        return self.days / 365.0

    def variance(self, k: float) -> float:
        """Total variance at ln(K/F)."""
        y = k - self.m
        return self.a + self.b * (self.rho * y + sqrt(y * y + self.s * self.s))

    def points(self, k: float) -> float:
        """Volatility at ln(K/F), points."""
        return 100.0 * sqrt(self.variance(k) / self.years)

    def d1(self, k: float) -> float:
        """Black's d1 at ln(K/F)."""
        root = sqrt(self.variance(k))
        return -k / root + 0.5 * root

    def points_at_delta(self, call_delta: float) -> float:
        """Volatility where N(d1) = call_delta, points, by bisection and secants of scipy."""
        target = float(ndtri(call_delta))
        reach = 10.0 * sqrt(self.variance(0.0))
        k = brentq(lambda k: self.d1(k) - target, -reach, reach, xtol=1e-15, rtol=1e-15)
        return self.points(float(k))


class Listed(NamedTuple):
    """One option of a laid surface."""

    slot: int
    curve: Curve
    strike: float
    kind: OptionKind

    @property
    def k(self) -> float:
        """ln(K/F)."""
        return log(self.strike / self.curve.forward)

    @property
    def delta(self) -> float:
        """|forward delta|."""
        d1 = self.curve.d1(self.k)
        return float(norm.cdf(d1 if self.kind is OptionKind.CALL else -d1))

    @property
    def vega(self) -> float:
        """Quote currency per volatility point and coin."""
        density = float(norm.pdf(self.curve.d1(self.k)))
        return self.curve.forward * density * sqrt(self.curve.years) / 100.0

    @property
    def gamma(self) -> float:
        """Coins per 1 % move and coin."""
        density = float(norm.pdf(self.curve.d1(self.k)))
        deviation = sqrt(self.curve.variance(self.k))
        per_unit = density / (self.curve.forward * deviation)
        return per_unit * 0.01 * self.curve.forward


def contract(curve: Curve, strike: float, kind: OptionKind) -> Instrument:
    """An option of a curve's expiry."""
    return Instrument(
        venue=Venue("test"),
        name=f"{curve.expiry_ns}-{strike}-{kind.value}",
        asset=Asset("BTC"),
        expiry_ns=curve.expiry_ns,
        strike=strike,
        kind=kind,
        premium=Premium.COIN,
        quote_currency="USD",
        tick_size=0.0001,
        tick_above=inf,
        tick_step=nan,
    )


def lay(
    curves: Sequence[Curve], strikes: Sequence[float] = STRIKES
) -> tuple[Surface, list[Listed]]:
    """A surface of these curves, ascending in time, and what is listed on it."""
    surface = Surface(BookKey(Venue("test"), Asset("BTC"), "USD"), QuoteTable(), (Method.NATIVE,))
    listed = [
        Listed(slot, curve, float(strike), kind)
        for slot, (curve, strike, kind) in enumerate(
            (curve, strike, kind) for curve in curves for strike in strikes for kind in OptionKind
        )
    ]
    for option in listed:
        surface.add(option.slot, contract(option.curve, option.strike, option.kind))
    surface.evaluate(NOW)
    write(surface, curves)
    return surface, listed


def write(surface: Surface, curves: Sequence[Curve]) -> None:
    """Put these curves in place of what was fitted."""
    for row, curve in enumerate(curves):
        values, facts = surface.values[col.NATIVE, row], surface.facts[col.NATIVE, row]
        values[col.T_YEARS], values[col.FORWARD] = curve.years, curve.forward
        values[[col.SVI_A, col.SVI_B, col.SVI_RHO, col.SVI_M, col.SVI_S]] = (
            curve.a, curve.b, curve.rho, curve.m, curve.s,
        )  # fmt: skip
        full = curve.full_variance
        values[col.FULL_VARIANCE] = full if full > 0.0 else curve.variance(0.0)
        values[col.TOTAL_VARIANCE] = values[col.FULL_VARIANCE]
        values[col.SKEWNESS], values[col.KURTOSIS] = curve.skewness, curve.kurtosis
        facts[col.REASON], facts[col.ELIGIBLE], facts[col.QUALIFIED] = -1, 1, 1
