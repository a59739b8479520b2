"""Black-76 value and Greeks of a European option, in stated units.

    V  = D (F N(d1) - K N(d2)) for a call, by parity for a put;  s = sigma sqrt(t)
    d1 = -k / s + s / 2,  d2 = d1 - s,  k = ln(K/F)

When the spot price S moves, F moves in proportion. D is S / F where the premium is paid in the
coin (its worth now is a premium in coins times S), else 1. Source: Black 1976.
"""

from math import erfc, exp, log, pi, sqrt

from msgspec import Struct

from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import DAYS_PER_YEAR, VOL_POINTS

PERCENT = 0.01
_SQRT_HALF = sqrt(0.5)

UNITS = {
    "value": "quote currency",
    "delta": "coins, at constant volatility",
    "smile_delta": "coins, at a smile that moves with the price (constant log-moneyness)",
    "gamma": "coins per 1 % move of the price",
    "vega": "quote currency per volatility point",
    "theta": "quote currency per day",
    "vanna": "coins per volatility point",
    "volga": "quote currency per volatility point squared",
}


class Greeks(Struct, frozen=True, kw_only=True):
    """Of one option, a position or a whole book; the units are those of `UNITS`."""

    value: float = 0.0
    delta: float = 0.0
    smile_delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    vanna: float = 0.0
    volga: float = 0.0

    def __add__(self, other: "Greeks") -> "Greeks":
        names = self.__struct_fields__
        return Greeks(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __mul__(self, quantity: float) -> "Greeks":
        # + 0.0: a short position in what has no such Greek has 0, not -0.
        return Greeks(**{n: quantity * getattr(self, n) + 0.0 for n in self.__struct_fields__})


def black_price(kind: OptionKind, forward: float, strike: float, deviation: float) -> float:
    """Undiscounted price; the intrinsic value at a deviation (sigma sqrt(t)) of 0."""
    sign = 1.0 if kind is OptionKind.CALL else -1.0
    intrinsic = max(0.0, sign * (forward - strike))
    if not deviation > 0.0:
        return intrinsic
    # The out-of-the-money leg has no cancellation; parity gives the other.
    k = log(strike / forward)
    leg = 1.0 if k >= 0.0 else -1.0
    d1 = -k / deviation + 0.5 * deviation
    d2 = d1 - deviation
    return intrinsic + leg * (forward * _cdf(leg * d1) - strike * _cdf(leg * d2))


def black_greeks(
    kind: OptionKind,
    *,
    spot: float,
    forward: float,
    strike: float,
    years: float,
    sigma: float,
    slope: float = 0.0,
    discount: float = 1.0,
) -> Greeks:
    """Greeks of one option on one coin; forward and discount are held while time passes.

    Args:
        kind: Call or put.
        spot: Price of the hedge, quote currency.
        forward: Of the expiry.
        strike: Quote currency.
        years: To expiry, > 0.
        sigma: Decimal a year, > 0.
        slope: d sigma / dk of the smile there.
        discount: D.
    """
    root = sqrt(years)
    deviation = sigma * root
    d1 = -log(strike / forward) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    density = exp(-0.5 * d1 * d1) / sqrt(2.0 * pi)
    carry = discount * forward / spot
    delta = carry * (_cdf(d1) if kind is OptionKind.CALL else -_cdf(-d1))
    full_vega = discount * forward * density * root
    return Greeks(
        value=discount * black_price(kind, forward, strike, deviation),
        delta=delta,
        smile_delta=delta - full_vega * slope / spot,
        gamma=carry * density / deviation * PERCENT,
        vega=full_vega / VOL_POINTS,
        theta=-0.5 * full_vega * sigma / years / DAYS_PER_YEAR,
        vanna=-carry * density * d2 / sigma / VOL_POINTS,
        volga=full_vega * d1 * d2 / sigma / VOL_POINTS**2,
    )


def _cdf(x: float) -> float:
    return 0.5 * erfc(-x * _SQRT_HALF)
