"""From variances of listed expiries to the variance of a constant tenor. METHODOLOGY §6, rule 15.

Total variance is linear in time between the two expiries around the tenor. With expiries on one
side only, the nearest may stand for both while it is near enough; there is no other extrapolation.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import inf, sqrt

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


class Term(Struct, frozen=True, gc=False):
    """Which expiries make a tenor, and how much of each.

    total variance of the tenor = sum of weight * w[row];  sum of weight * t[row] = tenor,
    so that one volatility at all expiries is that of the tenor.
    """

    rows: tuple[int, ...]
    """Ascending."""
    weights: tuple[float, ...]
    one_sided: float = 0.0
    """Share of the tenor for which one expiry stands alone."""
    is_blended: bool = False
    """An expiry of it is only partly in."""


def find_term(
    t_years: Sequence[float], shares: Sequence[float], tenor_years: float
) -> Term | Reason:
    """Weigh the expiries of one tenor, of which some may be on their way in or out.

    W = (1 - share) W(without the expiry) + share W(with it), for every expiry that is partly in,
    in whatever order; where the tenor cannot be had without an expiry, W(with it). Continuous in
    every share, and in time.

    Args:
        t_years: (n,) time to each expiry, ascending; <= 0 is expired and never used.
        shares: (n,) how far each expiry is in, in [0, 1].
        tenor_years: The target horizon, > 0.

    Source:
        METHODOLOGY rules 9 and 15.
    """
    near, no_near = _candidates(t_years, shares, tenor_years, is_near=True)
    far, no_far = _candidates(t_years, shares, tenor_years, is_near=False)
    if len(near) == 1 and len(far) == 1 and no_near == 0.0 and no_far == 0.0:
        a, b = near[0][0], far[0][0]
        span = t_years[b] - t_years[a]
        return Term((a, b), ((t_years[b] - tenor_years) / span, (tenor_years - t_years[a]) / span))
    weights: dict[int, float] = {}
    total = alone = 0.0
    for a, chance_near in near:
        for b, chance_far in far:
            chance = chance_near * chance_far
            span = t_years[b] - t_years[a]
            weights[a] = weights.get(a, 0.0) + chance * (t_years[b] - tenor_years) / span
            weights[b] = weights.get(b, 0.0) + chance * (tenor_years - t_years[a]) / span
            total += chance
    for side, chance_other in ((near, no_far), (far, no_near)):
        for row, chance_row in side:
            chance = chance_row * chance_other
            ratio = t_years[row] / tenor_years
            if chance > 0.0 and NEAREST_LOW <= ratio <= NEAREST_HIGH:
                weights[row] = weights.get(row, 0.0) + chance / ratio
                total += chance
                alone += 0.0 if ratio == 1.0 else chance
    if total == 0.0:
        return Reason.NO_BRACKET
    rows = tuple(sorted(weights))
    return Term(
        rows,
        tuple(weights[row] / total for row in rows),
        one_sided=alone / total,
        is_blended=any(shares[row] < 1.0 for row in rows),
    )


def _candidates(
    t_years: Sequence[float], shares: Sequence[float], tenor_years: float, *, is_near: bool
) -> tuple[list[tuple[int, float]], float]:
    """Who may be the closest on one side, from the tenor outwards, and how likely each is.

    Reads a share as the chance that the expiry is there. What is left is the chance of nobody.
    """
    count = len(t_years)
    split = bisect_right(t_years, tenor_years)
    found: list[tuple[int, float]] = []
    left = 1.0
    for row in range(split - 1, -1, -1) if is_near else range(split, count):
        if t_years[row] <= 0.0:
            break
        share = shares[row]
        if share > 0.0:
            found.append((row, left * share))
            if share >= 1.0:
                return found, 0.0
            left *= 1.0 - share
    return found, left


def find_listed_bracket(t_years: Sequence[float], tenor_years: float) -> Bracket | Reason:
    """Choose the expiries of one tenor as the exchanges do: by the listing alone, both sides.

    near = the last listed expiry with t <= tenor, far = the first one with t > tenor; neither is
    replaced when its variance cannot be computed.
    """
    far = bisect_right(t_years, tenor_years)
    near = far - 1
    if near < 0 or t_years[near] <= 0.0:
        return Reason.NO_BRACKET
    at_near = t_years[near]
    if far == len(t_years):
        return Bracket(near, near, 1.0, 0.0) if at_near == tenor_years else Reason.NO_BRACKET
    span = t_years[far] - at_near
    return Bracket(near, far, (t_years[far] - tenor_years) / span, (tenor_years - at_near) / span)


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
    if not 0.0 <= total_variance < inf:
        return None
    return 100.0 * sqrt(total_variance / tenor_years)
