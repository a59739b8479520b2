"""Strikes of which only one side is a price: the second half of METHODOLOGY rule 11.

A market maker that takes a bid away leaves the ask where it was. Alone it is no price, and enters
neither the curve nor the band; but between used strikes it says where the price can be. The price
is taken a usual half-spread (linear between the used neighbours) inside that side. Where that
contradicts the line between the neighbours, it moves the line there, within 1.5 half-spreads; where
it merely allows the line, it is believed while it is near, and fades out, for it need not be tight.
"""

import math

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.replication import LOWER, UPPER
from volgauge.kernels.screen import MONEYNESS
from volgauge.kernels.smile import (
    CLIP_HALVES,
    HALF,
    LINE_K,
    LINE_M,
    LINE_RESIDUAL,
    PLACE,
    RESIDUAL,
    SIDE_K,
    SIDE_PLACE,
    SIDE_PRICE,
    SIDE_RESIDUAL,
    SIDE_S,
    K,
    M,
    agreement,
)
from volgauge.kernels.special import log, otm_prices
from volgauge.kernels.svi import svi_variance


@inlined
def shift_of_line(line: float, half: float, lower: float, upper: float) -> float:
    """How far one side moves the price from the line between the used neighbours.

    Args:
        line: Price there.
        half: Usual half-spread there.
        lower: The bid; NaN absent.
        upper: The ask; NaN absent.
    """
    # What a side that is not there says is as far away as can be.
    by_bid = lower + half - line if lower > 0.0 else -math.inf
    by_ask = upper - half - line if upper > 0.0 else math.inf
    if abs(by_bid) <= abs(by_ask):
        distance, contradicts = by_bid, by_bid > 0.0
    else:
        distance, contradicts = by_ask, by_ask < 0.0
    if contradicts:
        return min(max(distance, -CLIP_HALVES * half), CLIP_HALVES * half)
    weight = agreement(distance, half)
    return distance * weight if weight > 0.0 else 0.0


@part
def find_sides(smile: F64, count: int, work: F64) -> int:
    """Fill SIDE_PLACE and SIDE_K: one-sided strikes between used ones; returns how many."""
    found = 0
    for row in range(int(smile[PLACE, 0]) + 1, int(smile[PLACE, count - 1])):
        if work[LOWER, row] > 0.0 or work[UPPER, row] > 0.0:
            smile[SIDE_PLACE, found] = row
            smile[SIDE_K, found] = log(work[MONEYNESS, row])
            found += 1
    return found


@part
def join_sides(
    smile: F64, count: int, found: int, work: F64,
    a: float, b: float, rho: float, m: float, s: float,
) -> None:  # fmt: skip
    """Fill SIDE_RESIDUAL for a curve, and the LINE rows: all `count + found` points, ascending."""
    for i in range(found):
        smile[SIDE_S, i] = math.sqrt(svi_variance(a, b, rho, m, s, smile[SIDE_K, i]))
    otm_prices(smile[SIDE_K], smile[SIDE_S], smile[SIDE_PRICE], found)
    i = 0
    for j in range(count):
        while i < found and smile[SIDE_PLACE, i] < smile[PLACE, j]:
            row = int(smile[SIDE_PLACE, i])
            share = (smile[SIDE_K, i] - smile[K, j - 1]) / (smile[K, j] - smile[K, j - 1])
            residual = (1.0 - share) * smile[RESIDUAL, j - 1] + share * smile[RESIDUAL, j]
            half = (1.0 - share) * smile[HALF, j - 1] + share * smile[HALF, j]
            line = smile[SIDE_PRICE, i] + residual
            residual += shift_of_line(line, half, work[LOWER, row], work[UPPER, row])
            smile[SIDE_RESIDUAL, i] = residual
            smile[LINE_K, i + j] = smile[SIDE_K, i]
            smile[LINE_M, i + j] = work[MONEYNESS, row]
            smile[LINE_RESIDUAL, i + j] = residual
            i += 1
        smile[LINE_K, i + j] = smile[K, j]
        smile[LINE_M, i + j] = smile[M, j]
        smile[LINE_RESIDUAL, i + j] = smile[RESIDUAL, j]
