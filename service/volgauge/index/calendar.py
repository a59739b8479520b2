"""Total variance must not fall with time: METHODOLOGY §6, rule 14.

Where it falls beyond what the bid-ask bands allow, neighbouring expiries are pooled (pool adjacent
violators). The pooling sets in gradually: nothing at the edge of the bands, the whole of it where
the fall is twice as deep, so that a quote which just crosses the edge does not move the tenor.

A band tells how far the quotes of an expiry are apart, not whether its curve is right. So an expiry
that falls out with several others by far more than the bands has no vote before anything is pooled.
"""

from collections.abc import Sequence

LEAST_BAND = 1e-3
"""Of the variance; a band is never taken to be narrower: weights are 1 / band^2."""
CONTRADICTION = 3.0
"""A fall of this many sums of both half bands begins to be a contradiction; of twice as many it is
one. No noise of quotes does that: one of the two curves is wrong."""


def trust(
    variance: Sequence[float],
    bid: Sequence[float],
    ask: Sequence[float],
    shares: Sequence[float],
) -> list[float] | None:
    """How far each expiry has a vote, in [0, 1]; None when all have all of it.

    c_ij = clip((w_i - w_j) / (3 (h_i + h_j)) - 1, 0, 1) for i < j by time, h the half bands, and
    c_ji = c_ij; S_i = sum over j of share_j c_ij. Of two that contradict each other the one that is
    contradicted more often loses: trust_i = prod over j of 1 - share_j c_ij clip(S_i - S_j, 0, 1).
    Two that only contradict each other keep their votes. Continuous in every number; an expiry's
    own share does not make it more trusted.

    Args:
        variance: (n,) total variance by time to expiry; NaN where there is none.
        bid: (n,) at the bids; NaN unknown: the expiry does not take part.
        ask: (n,) at the asks.
        shares: (n,) how far each expiry is in.

    Source:
        METHODOLOGY rule 14.
    """
    rows = _falling(variance, bid, ask, shares)
    if len(rows) <= 2:
        return None
    bands = {row: _half_band(variance[row], bid[row], ask[row]) for row in rows}
    found: list[tuple[int, int, float]] = []
    score = dict.fromkeys(rows, 0.0)
    for index, i in enumerate(rows):
        for j in rows[index + 1 :]:
            depth = (variance[i] - variance[j]) / (CONTRADICTION * (bands[i] + bands[j])) - 1.0
            if depth > 0.0:
                clash = min(depth, 1.0)
                score[i] += shares[j] * clash
                score[j] += shares[i] * clash
                found.append((i, j, clash))
    result = [1.0] * len(variance)
    for i, j, clash in found:
        loser, other = (i, j) if score[i] > score[j] else (j, i)
        result[loser] *= 1.0 - shares[other] * clash * min(score[loser] - score[other], 1.0)
    return result if min(result) < 1.0 else None


def pool(
    variance: Sequence[float],
    bid: Sequence[float],
    ask: Sequence[float],
    shares: Sequence[float],
    beyond: Sequence[float] = (),
) -> list[float] | None:
    """Total variances as the tenors use them, or None when the bands allow what is given.

    w' = w + s (pooled - w), s = largest over the pairs i < j, by time, of
    share_i share_j clip((w_i - w_j) / (h_i + h_j) - 1, 0, 1), h the half bands. An expiry weighs
    share / (h^2 + x^2): the spreads say nothing of x, which rests on the curve alone.

    Args:
        variance: (n,) total variance by time to expiry; NaN where there is none.
        bid: (n,) at the bids; NaN unknown: the expiry does not take part.
        ask: (n,) at the asks.
        shares: (n,) how far each expiry is in; it weighs as much, and 0 does not take part.
        beyond: (n,) x, |curve - flat edge| beyond the quotes, >= 0; NaN unknown and empty: 0.

    Source:
        METHODOLOGY rule 14; Barlow et al., Statistical Inference under Order Restrictions, 1972.
    """
    rows = _falling(variance, bid, ask, shares)
    if not rows:
        return None
    bands = {row: _half_band(variance[row], bid[row], ask[row]) for row in rows}
    strength = 0.0
    for index, i in enumerate(rows):
        for j in rows[index + 1 :]:
            depth = (variance[i] - variance[j]) / (bands[i] + bands[j]) - 1.0
            strength = max(strength, shares[i] * shares[j] * min(depth, 1.0))
    if strength <= 0.0:
        return None
    unseen = {row: beyond[row] for row in rows if beyond and beyond[row] > 0.0}
    pooled = _isotonic(
        [variance[row] for row in rows],
        [shares[row] / (bands[row] ** 2 + unseen.get(row, 0.0) ** 2) for row in rows],
    )
    result = list(variance)
    for row, level in zip(rows, pooled, strict=True):
        result[row] = variance[row] + strength * (level - variance[row])
    return result


def _falling(
    variance: Sequence[float],
    bid: Sequence[float],
    ask: Sequence[float],
    shares: Sequence[float],
) -> list[int]:
    """Rows that take part; none where no ask lies below the bid of an earlier expiry."""
    # Comparisons with NaN are false: an expiry without a band takes no part.
    highest = 0.0
    falls = False
    for low, high, share in zip(bid, ask, shares, strict=True):
        if share > 0.0:
            falls = falls or high < highest
            highest = max(highest, low)
    if not falls:
        return []
    return [
        row
        for row, share in enumerate(shares)
        if share > 0.0 and variance[row] > 0.0 and ask[row] >= bid[row]
    ]


def _half_band(variance: float, bid: float, ask: float) -> float:
    return max(0.5 * (ask - bid), LEAST_BAND * variance)


def _isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The nearest non-decreasing sequence in weighted least squares."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        level, mass, count = value, weight, 1
        while blocks and blocks[-1][0] > level:
            below, mass_below, count_below = blocks.pop()
            level = (below * mass_below + level * mass) / (mass_below + mass)
            mass += mass_below
            count += count_below
        blocks.append((level, mass, count))
    return [level for level, _, count in blocks for _ in range(count)]
