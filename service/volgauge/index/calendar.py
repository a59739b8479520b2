"""Total variance must not fall with time: METHODOLOGY §6, rule 14.

Where it falls beyond what the bid-ask bands allow, neighbouring expiries are pooled (pool adjacent
violators). The pooling sets in gradually: nothing at the edge of the bands, the whole of it where
the fall is twice as deep, so that a quote which just crosses the edge does not move the tenor.
"""

from collections.abc import Sequence

LEAST_BAND = 1e-3
"""Of the variance; a band is never taken to be narrower: weights are 1 / band^2."""


def pool(
    variance: Sequence[float],
    bid: Sequence[float],
    ask: Sequence[float],
    shares: Sequence[float],
) -> list[float] | None:
    """Total variances as the tenors use them, or None when the bands allow what is given.

    w' = w + s (pooled - w), s = largest over the pairs i < j, by time, of
    share_i share_j clip((w_i - w_j) / (h_i + h_j) - 1, 0, 1), h the half bands.

    Args:
        variance: (n,) total variance by time to expiry; NaN where there is none.
        bid: (n,) at the bids; NaN unknown: the expiry does not take part.
        ask: (n,) at the asks.
        shares: (n,) how far each expiry is in; it weighs as much, and 0 does not take part.

    Source:
        METHODOLOGY rule 14; Barlow et al., Statistical Inference under Order Restrictions, 1972.
    """
    # Comparisons with NaN are false: an expiry without a band takes no part.
    highest = 0.0
    falls = False
    for low, high, share in zip(bid, ask, shares, strict=True):
        if share > 0.0:
            falls = falls or high < highest
            highest = max(highest, low)
    if not falls:
        return None
    rows = [
        row
        for row, share in enumerate(shares)
        if share > 0.0 and variance[row] > 0.0 and ask[row] >= bid[row]
    ]
    bands = {row: _half_band(variance[row], bid[row], ask[row]) for row in rows}
    strength = 0.0
    for index, i in enumerate(rows):
        for j in rows[index + 1 :]:
            depth = (variance[i] - variance[j]) / (bands[i] + bands[j]) - 1.0
            strength = max(strength, shares[i] * shares[j] * min(depth, 1.0))
    if strength <= 0.0:
        return None
    pooled = _isotonic(
        [variance[row] for row in rows], [shares[row] / bands[row] ** 2 for row in rows]
    )
    result = list(variance)
    for row, level in zip(rows, pooled, strict=True):
        result[row] = variance[row] + strength * (level - variance[row])
    return result


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
