"""Moments that forget: exponential weights for observations at unequal distances.

An observation that covers the span (t - d, t] weighs Int 2^{-(now - u)/H} du over that span, up to
a constant (1 - 2^{-d/H}) 2^{-(now - t)/H}: RiskMetrics' recursion C <- l C + (1 - l) dx dy, l =
2^{-d/H}, made fair to unequal d and free of its starting value. Time without observations only
forgets. Half-life H. The mean of a change is taken as zero.
"""

from math import exp2, sqrt

import numpy as np

from volgauge.domain.analytics import Lack
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.kernels._jit import F64, I64

MIN_WEIGHT = 1.0 - 2.0**-0.25
"""A reading needs at least what a quarter of its half-life without gaps gives; the whole past
weighs 1."""

MIN_EFFECTIVE = 20.0
"""And at least as many observations of equal weight, (Sum w)^2 / Sum w^2 (Kish)."""

MIN_CHANGE = 1e-10
"""Root mean square per sqrt(second) below which a series is called constant; ln of an index of 50
is rounded at 1e-15."""

_ROUNDING = 1e-9


class Weights:
    """Sum of the weights and of their squares."""

    def __init__(self, half_life_ns: int) -> None:
        self._half_life_ns = half_life_ns
        self._at_ns: int | None = None
        self.total = 0.0
        self.squares = 0.0

    def add(self, span_ns: int, at_ns: int) -> tuple[float, float]:
        """Admit one observation; give the factor of all earlier ones, and its own weight."""
        elapsed_ns = 0 if self._at_ns is None else at_ns - self._at_ns
        self._at_ns = at_ns
        keep = exp2(-elapsed_ns / self._half_life_ns)
        weight = 1.0 - exp2(-span_ns / self._half_life_ns)
        self.total = keep * self.total + weight
        self.squares = keep * keep * self.squares + weight * weight
        return keep, weight

    def seed(self, span_ns: I64, at_ns: I64) -> F64:
        """Admit (n,) observations, ascending, n >= 1, older than all others; give their weights."""
        if self._at_ns is None:
            self._at_ns = int(at_ns[-1])
        weight: F64 = (1.0 - np.exp2(-span_ns / self._half_life_ns)) * np.exp2(
            (at_ns - self._at_ns) / self._half_life_ns
        )
        self.total += float(weight.sum())
        self.squares += float((weight * weight).sum())
        return weight

    def is_enough(self, now_ns: int) -> bool:
        """Whether a reading may rest on these observations."""
        if self._at_ns is None:
            return False
        now_total = self.total * exp2(-(now_ns - self._at_ns) / self._half_life_ns)
        return (
            now_total >= MIN_WEIGHT - _ROUNDING
            and self.total * self.total >= (MIN_EFFECTIVE - _ROUNDING) * self.squares
        )


class Comovement:
    """Second moments of synchronous changes of two series, per second of time covered."""

    def __init__(self, half_life_ns: int) -> None:
        self._weights = Weights(half_life_ns)
        self._xx = 0.0
        self._xy = 0.0
        self._yy = 0.0

    def add(self, dx: float, dy: float, span_ns: int, at_ns: int) -> None:
        """Take the changes of both over (at - span, at]."""
        keep, weight = self._weights.add(span_ns, at_ns)
        weight *= NANOS_PER_SECOND / span_ns
        self._xx = keep * self._xx + weight * dx * dx
        self._xy = keep * self._xy + weight * dx * dy
        self._yy = keep * self._yy + weight * dy * dy

    def seed(self, dx: F64, dy: F64, span_ns: I64, at_ns: I64) -> None:
        """Take (n,) changes, ascending in time, n >= 1, older than those that were added."""
        weight = self._weights.seed(span_ns, at_ns) * (NANOS_PER_SECOND / span_ns)
        self._xx += float((weight * dx * dx).sum())
        self._xy += float((weight * dx * dy).sum())
        self._yy += float((weight * dy * dy).sum())

    def correlation(self, now_ns: int) -> float | Lack:
        """Cxy / sqrt(Cxx Cyy), -1..1."""
        lack = self._lack(now_ns, both=True)
        if lack is not None:
            return lack
        # Two square roots, as a product of tiny variances may underflow.
        ratio = self._xy / (sqrt(self._xx) * sqrt(self._yy))
        return min(max(ratio, -1.0), 1.0)

    def beta(self, now_ns: int) -> float | Lack:
        """Cxy / Cxx: change of y per change of x."""
        lack = self._lack(now_ns, both=False)
        return self._xy / self._xx if lack is None else lack

    def _lack(self, now_ns: int, *, both: bool) -> Lack | None:
        if not self._weights.is_enough(now_ns):
            return Lack.TOO_LITTLE_HISTORY
        floor = self._weights.total * MIN_CHANGE**2
        if self._xx <= floor or (both and self._yy <= floor):
            return Lack.NO_VARIATION
        return None


class Dispersion:
    """Mean and standard deviation of a level."""

    def __init__(self, half_life_ns: int) -> None:
        self._weights = Weights(half_life_ns)
        self._mean = 0.0
        self._squares = 0.0

    def add(self, level: float, span_ns: int, at_ns: int) -> None:
        """Take a level that stands for (at - span, at]. West 1979 with forgetting."""
        keep, weight = self._weights.add(span_ns, at_ns)
        before = level - self._mean
        self._mean += before * weight / self._weights.total
        self._squares = keep * self._squares + weight * before * (level - self._mean)

    def seed(self, level: F64, span_ns: I64, at_ns: I64) -> None:
        """Take (n,) levels, ascending in time, n >= 1, older than those that were added."""
        newer = self._weights.total
        weight = self._weights.seed(span_ns, at_ns)
        older = self._weights.total - newer
        mean = float((weight * level).sum()) / float(weight.sum())
        apart = mean - self._mean
        self._squares += float((weight * (level - mean) ** 2).sum())
        self._squares += apart * apart * older * newer / self._weights.total
        self._mean += apart * older / self._weights.total

    def score(self, level: float, now_ns: int) -> float | Lack:
        """(level - mean) / deviation, the deviation without correction for the mean."""
        if not self._weights.is_enough(now_ns):
            return Lack.TOO_LITTLE_HISTORY
        deviation = sqrt(self._squares / self._weights.total)
        return (level - self._mean) / deviation if deviation > MIN_CHANGE else Lack.NO_VARIATION
