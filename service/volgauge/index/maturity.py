"""From variances of listed expiries to the variance of a constant tenor. METHODOLOGY §6, rule 15.

Total variance is linear in time between the two expiries around the tenor. With expiries on one
side only, the nearest may stand for both while it is near enough; there is no other extrapolation.
"""

from collections.abc import Sequence
from math import isfinite, sqrt

from msgspec import Struct

from volgauge.domain.index import Reason

NEAREST_LOW = 2.0 / 3.0
NEAREST_HIGH = 3.0 / 2.0
"""A single expiry stands for a tenor while t / tenor lies between these."""


class Bracket(Struct, frozen=True, gc=False):
    """Which expiries make a tenor, and how.

    total variance of the tenor = near_weight * w[near] + far_weight * w[far]
    """

    near: int
    far: int
    """Rows; the same row twice when one expiry stands for both."""
    near_weight: float
    far_weight: float

    @property
    def is_one_sided(self) -> bool:
        """One expiry stands for both."""
        return self.near == self.far

    def blend(self, near: float, far: float) -> float:
        """Any total variance of the tenor from those of the two expiries."""
        return self.near_weight * near + self.far_weight * far


def find_bracket(
    t_years: Sequence[float], usable: Sequence[bool], tenor_years: float
) -> Bracket | Reason:
    """Choose the expiries of one tenor.

    near = the last usable expiry with t <= tenor, far = the first one with t > tenor.

    Args:
        t_years: (n,) time to each expiry, ascending; <= 0 is expired and never used.
        usable: (n,) whether the expiry may be used.
        tenor_years: The target horizon, > 0.
    """
    near = far = -1
    for row, (t, use) in enumerate(zip(t_years, usable, strict=True)):
        if not use or t <= 0.0:
            continue
        if t <= tenor_years:
            near = row
        else:
            far = row
            break
    if near >= 0 and far >= 0:
        span = t_years[far] - t_years[near]
        return Bracket(
            near,
            far,
            (t_years[far] - tenor_years) / span,
            (tenor_years - t_years[near]) / span,
        )
    only = max(near, far)
    if only < 0:
        return Reason.NO_BRACKET
    if t_years[only] == tenor_years:
        return Bracket(only, only, 1.0, 0.0)
    ratio = t_years[only] / tenor_years
    if NEAREST_LOW <= ratio <= NEAREST_HIGH:
        return Bracket(only, only, 1.0 / ratio, 0.0)
    return Reason.NO_BRACKET


def find_listed_bracket(t_years: Sequence[float], tenor_years: float) -> Bracket | Reason:
    """Choose the expiries of one tenor as the exchanges do: by the listing alone, both sides.

    near = the last listed expiry with t <= tenor, far = the first one with t > tenor; neither is
    replaced when its variance cannot be computed.
    """
    found = find_bracket(t_years, [True] * len(t_years), tenor_years)
    if isinstance(found, Bracket) and found.is_one_sided and t_years[found.near] != tenor_years:
        return Reason.NO_BRACKET
    return found


def skips_expiry(
    t_years: Sequence[float], usable: Sequence[bool], bracket: Bracket, shortest_years: float
) -> bool:
    """Whether an expiry between those of the bracket was not usable.

    Expiries nearer than `shortest_years` are not missed: no rule would take them.
    """
    low, high = t_years[bracket.near], t_years[bracket.far]
    return any(
        not use and low < t < high and t >= shortest_years
        for t, use in zip(t_years, usable, strict=True)
    )


def vol_points(total_variance: float, tenor_years: float) -> float | None:
    """Volatility points of a total variance over a tenor; None when it is negative or NaN."""
    if not isfinite(total_variance) or total_variance < 0.0:
        return None
    return 100.0 * sqrt(total_variance / tenor_years)
