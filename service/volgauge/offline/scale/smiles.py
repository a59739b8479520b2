"""The fitted curves of one chain, at any expiry between the first and the last of them.

    listed, with a curve    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2))
    between two of them     w(k) linear in time at the same k = ln(K/F); ln F linear in time

Beyond the fitted expiries nothing is made up.
"""

from itertools import pairwise
from math import erfc, exp, isnan, log, sqrt

from msgspec import Struct

from volgauge.domain.units import format_instant, years_between
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

CORRIDOR_DELTA = 0.05
OUTSIDE_CORRIDOR = "outside_corridor"
"""The strike's |delta| is below 5 %: few quotes speak there, the curve does."""
INTERPOLATED = "interpolated_expiry"
"""The expiry has no curve of its own."""
UNQUALIFIED = "unqualified_expiry"
"""The curve is not good enough (or too near to expiry) for the index itself."""


class Curve(Struct, frozen=True):
    """Raw SVI in total variance."""

    a: float
    b: float
    rho: float
    m: float
    s: float

    def variance(self, k: float) -> float:
        """w(k)."""
        x = k - self.m
        return self.a + self.b * (self.rho * x + sqrt(x * x + self.s * self.s))

    def slope(self, k: float) -> float:
        """dw/dk."""
        x = k - self.m
        return self.b * (self.rho + x / sqrt(x * x + self.s * self.s))


class Smile(Struct, frozen=True):
    """Volatility by log-moneyness at one expiry."""

    years: float
    forward: float
    curves: tuple[tuple[float, Curve], ...]
    """Shares, which sum to 1, and curves."""
    flags: tuple[str, ...] = ()

    def volatility(self, k: float) -> float:
        """A decimal a year; 0 where the curve touches 0."""
        variance = sum(share * curve.variance(k) for share, curve in self.curves)
        return sqrt(max(variance, 0.0) / self.years)

    def slope(self, k: float) -> float:
        """Change of the volatility with k, where it is above 0."""
        slope = sum(share * curve.slope(k) for share, curve in self.curves)
        return slope / (2.0 * self.years * self.volatility(k))

    def is_in_corridor(self, k: float) -> bool:
        """Whether the out-of-the-money option there has |delta| >= 5 %."""
        deviation = self.volatility(k) * sqrt(self.years)
        d1 = -k / deviation + 0.5 * deviation
        return 0.5 * erfc((-d1 if k >= 0.0 else d1) * sqrt(0.5)) >= CORRIDOR_DELTA


class Smiles:
    """All curves of a chain at one instant."""

    def __init__(self, surface: Surface, at_ns: int) -> None:
        self._at_ns = at_ns
        self._fitted: dict[int, Smile] = {}
        self._forwards: dict[int, float] = {}
        for row, expiry_ns in enumerate(surface.expiries):
            values = surface.values[col.NATIVE, row].tolist()
            forward = values[col.FORWARD]
            if expiry_ns <= at_ns or not forward > 0.0:
                continue
            self._forwards[expiry_ns] = forward
            facts = surface.facts[col.NATIVE, row]
            if facts[col.REASON] != -1 or isnan(values[col.SVI_A]):
                continue
            curve = Curve(*values[col.SVI_A : col.SVI_S + 1])
            flags = () if facts[col.ELIGIBLE] else (UNQUALIFIED,)
            years = years_between(at_ns, expiry_ns)
            self._fitted[expiry_ns] = Smile(years, forward, ((1.0, curve),), flags)

    @property
    def spot(self) -> float | None:
        """Forward of the nearest fitted expiry; None without a curve."""
        return next(iter(self._fitted.values())).forward if self._fitted else None

    def forward(self, expiry_ns: int) -> float:
        """Of an expiry, by ln F linear in time where the chain has none.

        Raises:
            ValueError: It is past, or not between the expiries of the chain.
        """
        self._refuse_past(expiry_ns)
        if expiry_ns in self._forwards:
            return self._forwards[expiry_ns]
        for (before_ns, low), (after_ns, high) in pairwise(self._forwards.items()):
            if before_ns < expiry_ns < after_ns:
                share = (expiry_ns - before_ns) / (after_ns - before_ns)
                return low * exp(share * log(high / low))
        raise ValueError(_beyond(tuple(self._forwards)))

    def at(self, expiry_ns: int) -> Smile:
        """The smile of an expiry.

        Raises:
            ValueError: It is past, or not between the fitted expiries.
        """
        self._refuse_past(expiry_ns)
        if expiry_ns in self._fitted:
            return self._fitted[expiry_ns]
        for (before_ns, low), (after_ns, high) in pairwise(self._fitted.items()):
            if before_ns < expiry_ns < after_ns:
                share = (expiry_ns - before_ns) / (after_ns - before_ns)
                return Smile(
                    years_between(self._at_ns, expiry_ns),
                    self.forward(expiry_ns),
                    ((1.0 - share, low.curves[0][1]), (share, high.curves[0][1])),
                    (INTERPOLATED, *sorted({*low.flags, *high.flags})),
                )
        raise ValueError(_beyond(tuple(self._fitted)))

    def _refuse_past(self, expiry_ns: int) -> None:
        if expiry_ns <= self._at_ns:
            instant = format_instant(self._at_ns)
            raise ValueError(f"expected an expiry after {instant}, the instant of the chain")


def _beyond(expiries: tuple[int, ...]) -> str:
    if not expiries:
        return "expected an expiry of the chain, none of which has a curve"
    first, last = format_instant(expiries[0]), format_instant(expiries[-1])
    return f"expected an expiry between {first} and {last}, those of the chain with a curve"
