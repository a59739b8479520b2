"""One value from several venues that no single one can move: METHODOLOGY §6, rule 16.

    omega_v ~ w_v c_v,  c_v = mean over the other venues' books u of 1 / (1 + (|x_v - x_u| / s_v)^3)
    s_v = (1 - w_v) k,  k = max(0.05, median u_v)

w_v is liquidity, with a cap; c_v is how far the others confirm the number, one vote a venue. A
value that nobody confirms counts for nothing however liquid its book is, while venues that agree
keep the weighted mean; the heavier a venue, the nearer the others have to be. All of it is a closed
formula, smooth in every x_v, weight and vote.

Of two venues neither can be told wrong. There the value is the Huber (1964) location, which the
lighter one moves by a bounded amount only:

    mu solves  sum_v w_v clip(x_v - mu, -k, k) = 0;  omega_v ~ w_v min(1, k / |x_v - mu|)

A third venue that joins turns one rule into the other as its vote grows.
"""

from collections.abc import Mapping, Sequence
from math import log
from statistics import median

from volgauge.domain.units import NANOS_PER_SECOND

LEAST_SCALE = 0.05
"""Of k, volatility points."""
TINY = 1e-9
"""Points; of s where the other venues have no weight yet."""
LARGEST_WEIGHT = 0.499
JUDGED_FROM = 3
"""Of two venues nobody can say which one is wrong."""
OUT_SLOWLY, SLOWLY_NS = 0.05, 30 * NANOS_PER_SECOND
OUT_FAST, FAST_NS = 0.10, 2 * NANOS_PER_SECOND
BACK_SHARE = 0.5
BACK_NS = 30 * NANOS_PER_SECOND
"""A venue that is out comes back after this long within half of the slow limit."""
LARGEST_DISAGREEMENT = 0.05
"""Two venues farther apart than this, relative: flag `venues_differ`."""


def votes_of(shares: Sequence[float], groups: Sequence[int]) -> list[float]:
    """(n,) one vote a venue: its books divide it, and one that just joined has part of it.

    Args:
        shares: (n,) how far each book is in, 0 to 1.
        groups: (n,) number of its venue.
    """
    held: dict[int, float] = {}
    for share, group in zip(shares, groups, strict=True):
        held[group] = held.get(group, 0.0) + share
    return [share / max(1.0, held[group]) for share, group in zip(shares, groups, strict=True)]


def judgement(votes: Sequence[float]) -> float:
    """How far venues can judge one another: 0 for two votes, 1 for three and more."""
    return min(1.0, max(0.0, sum(votes) - (JUDGED_FROM - 1)))


def cap_weights(
    weights: Sequence[float], groups: Sequence[int], largest: float = LARGEST_WEIGHT
) -> list[float]:
    """Normalise weights; with three groups or more none has more than `largest`.

    What is cut off is shared by the others in proportion (water-filling).

    Args:
        weights: (n,) >= 0; all 0 means all equal.
        groups: (n,) number of the venue; books of one venue share one cap.
        largest: The cap, 0.499 to 1.

    Returns:
        (n,) weights that sum to 1.
    """
    total = sum(weights)
    shares = [w / total if total > 0.0 else 1.0 / len(weights) for w in weights]
    members = sorted(set(groups))
    if len(members) < JUDGED_FROM:
        return shares
    held = {g: sum(s for s, own in zip(shares, groups, strict=True) if own == g) for g in members}
    capped: set[int] = set()
    while True:
        over = [g for g in members if g not in capped and held[g] > largest]
        if not over:
            break
        capped.update(over)
        rest = 1.0 - largest * len(capped)
        free = [g for g in members if g not in capped]
        before = sum(held[g] for g in free)
        for g in capped:
            held[g] = largest
        for g in free:
            # Venues without weight share what is left: a cap must not leave weight unused.
            held[g] = rest * (held[g] / before if before > 0.0 else 1.0 / len(free))
    made = []
    for share, group in zip(shares, groups, strict=True):
        own = [s for s, g in zip(shares, groups, strict=True) if g == group]
        whole = sum(own)
        made.append(held[group] * (share / whole if whole > 0.0 else 1.0 / len(own)))
    return made


def confirmed_weights(
    values: Sequence[float],
    weights: Sequence[float],
    groups: Sequence[int],
    votes: Sequence[float],
    k: float,
) -> list[float]:
    """Weights times how far the other venues confirm each value; they sum to 1.

    Args:
        values: (n,) volatility points, of two venues at least.
        weights: (n,) >= 0, sum to 1.
        groups: (n,) number of the venue; no book confirms another one of its venue.
        votes: (n,) of each book, see `votes_of`.
        k: > 0, points: another book so far away confirms one of little weight by half.
    """
    made = []
    for x, weight, group in zip(values, weights, groups, strict=True):
        rest = sum(w for w, g in zip(weights, groups, strict=True) if g != group)
        scale = max(rest * k, TINY)
        confirmed = heard = 0.0
        for y, other, vote in zip(values, groups, votes, strict=True):
            if other != group:
                heard += vote
                confirmed += vote / (1.0 + (abs(x - y) / scale) ** 3)
        made.append(weight * (confirmed / heard if heard > 0.0 else 1.0))
    total = sum(made)
    return [w / total for w in made]


def huber_location(values: Sequence[float], weights: Sequence[float], k: float) -> float:
    """Solve sum w clip(x - mu, -k, k) = 0 exactly.

    Args:
        values: (n,) >= 1.
        weights: (n,) >= 0, not all 0.
        k: > 0.

    Returns:
        mu; the middle where a whole interval solves it.
    """

    def pull(mu: float) -> float:
        return sum(w * min(max(x - mu, -k), k) for x, w in zip(values, weights, strict=True))

    # The sum falls from knot to knot, linear in between.
    knots = sorted({x + side * k for x in values for side in (-1.0, 1.0)})
    pulls = [pull(knot) for knot in knots]
    above = max(i for i, p in enumerate(pulls) if p >= 0.0)
    below = min(i for i, p in enumerate(pulls) if p <= 0.0)
    if below <= above:
        return 0.5 * (knots[below] + knots[above])
    low, high = pulls[above], pulls[below]
    return knots[above] + (knots[below] - knots[above]) * low / (low - high)


def final_weights(
    values: Sequence[float], weights: Sequence[float], k: float, mu: float
) -> list[float]:
    """Weights whose mean of the values is the Huber location; they sum to 1."""
    omega = [
        w * (1.0 if abs(x - mu) <= k else k / abs(x - mu))
        for x, w in zip(values, weights, strict=True)
    ]
    total = sum(omega)
    return [w / total for w in omega]


def disagreement(values: Sequence[float], mu: float) -> float:
    """Median absolute deviation of the venues from the composite; 0 for one venue."""
    if len(values) < 2:
        return 0.0
    return median(abs(x - mu) for x in values)


class Membership:
    """Which venues are out because they are far from the others, for one tenor.

    A venue is out when |ln(x_v / median)| > 5 % for 30 s or > 10 % for 2 s, and back after 30 s
    below 2.5 %. The median is that of all venues that have a value, the ones that are out included;
    with fewer than three of them nobody is judged.
    """

    __slots__ = ("_back", "_fast", "_slow", "out")

    def __init__(self) -> None:
        self.out: set[str] = set()
        self._slow: dict[str, int] = {}
        """Since when a venue is beyond the limit."""
        self._fast: dict[str, int] = {}
        self._back: dict[str, int] = {}

    def observe(self, values: Mapping[str, float], now_ns: int) -> frozenset[str]:
        """Judge the venues at one instant.

        Args:
            values: Volatility points by venue, those that have a value.
            now_ns: The instant; does not fall.

        Returns:
            The venues that are out.
        """
        if len(values) < JUDGED_FROM:
            for clock in (self._slow, self._fast, self._back):
                clock.clear()
            # With two left the one that was out stays out: nothing has cleared it.
            if self.out >= values.keys():
                self.out.clear()
            return frozenset(self.out)
        middle = median(values.values())
        for venue, value in values.items():
            off = abs(log(value / middle))
            slowly = _since(self._slow, venue, off > OUT_SLOWLY, now_ns)
            fast = _since(self._fast, venue, off > OUT_FAST, now_ns)
            back = _since(self._back, venue, off < BACK_SHARE * OUT_SLOWLY, now_ns)
            if venue in self.out:
                if back is not None and now_ns - back >= BACK_NS:
                    self.out.discard(venue)
            elif (slowly is not None and now_ns - slowly >= SLOWLY_NS) or (
                fast is not None and now_ns - fast >= FAST_NS
            ):
                self.out.add(venue)
        return frozenset(self.out)


def _since(clock: dict[str, int], venue: str, holds: bool, now_ns: int) -> int | None:
    """Since when a condition holds; None when it does not."""
    if not holds:
        clock.pop(venue, None)
        return None
    return clock.setdefault(venue, now_ns)
