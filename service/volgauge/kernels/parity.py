"""The forward of one expiry from its own put-call pairs: METHODOLOGY section 4, rules 5 and 6.

    coin premium  F_j = K_j / (1 - (c_j - p_j))      quote premium  F_j = K_j + C_j - P_j
    F = weighted median of F_j, weight 1 / (half-spread of the pair)^2,
        over |ln(K_j/F0)| <= 1.5 sw0, at least the three nearest
    I = [max F_j(c_bid, p_ask), min F_j(c_ask, p_bid)]: what no arbitrage allows

The forward is not moved into I, it is flagged: one bad pair shifts I, and following it there would
hand that pair what the median has just denied it (a put quoted 15 % low moved a synthetic index by
0.031 points by way of the projection, by 0.003 without).

F0 is the median F_j of the three strikes with the smallest |c - p|, and sw0 the median of their
straddles times sqrt(pi/2) (Brenner and Subrahmanyam 1988): a start that one bad pair cannot move.
"""

import math

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.layout import STRIKE

WINDOW = 1.5
STRADDLE = math.sqrt(0.5 * math.pi)
FEWEST_PAIRS = 3

# Rows of the work array, one column a strike; written by `evaluate.load_expiry`.
CALL_MID = 0
CALL_HALF = 1
PUT_MID = 2
PUT_HALF = 3
SORTED = 4
WEIGHT = 5


@inlined
def implied_forward(strike: float, difference: float, coin: bool) -> float:
    """F from call minus put; NaN where a coin difference is not below 1."""
    if not coin:
        return strike + difference
    return strike / (1.0 - difference) if difference < 1.0 else math.nan


@inlined
def median_of_three(a: float, b: float, c: float) -> float:
    """The middle one."""
    if a > b:
        a, b = b, a
    return max(a, min(b, c))


@part
def weighted_median(work: F64, count: int) -> float:
    """Smallest value whose cumulated weight reaches half; the mean of two when it is exactly half.

    Args:
        work: SORTED and WEIGHT rows hold `count` values, ascending, and their weights > 0.
        count: >= 1.
    """
    total = 0.0
    for j in range(count):
        total += work[WEIGHT, j]
    half = 0.5 * total
    reached = 0.0
    for j in range(count - 1):
        reached += work[WEIGHT, j]
        if reached > half:
            return float(work[SORTED, j])
        if reached == half:
            return float(0.5 * (work[SORTED, j] + work[SORTED, j + 1]))
    return float(work[SORTED, count - 1])


@part
def parity_forward(
    ladder: F64,
    first: int,
    count: int,
    work: F64,
    coin: bool,
) -> tuple[float, int, float]:
    """Find the forward of one expiry.

    Args:
        ladder: (n, LADDER_COLUMNS); rows first .. first + count are the expiry's.
        first: Row of the lowest strike.
        count: Strikes.
        work: (rows, >= count) scratch; CALL_MID..PUT_HALF hold mids and half-spreads in premium
            unit, NaN where a leg is refused.
        coin: Premium in the coin.

    Returns:
        (forward, pairs, gap): NaN and the number of usable pairs when there are fewer than 3;
        gap is the relative distance of the forward from I, or minus the relative width by which
        I is empty, else 0.
    """
    best0 = best1 = best2 = math.inf
    row0 = row1 = row2 = -1
    pairs = 0
    for i in range(count):
        gap = abs(work[CALL_MID, i] - work[PUT_MID, i])
        if not gap < math.inf:
            continue
        if coin and not work[CALL_MID, i] - work[PUT_MID, i] < 1.0:
            continue
        pairs += 1
        if gap < best0:
            best2, row2, best1, row1, best0, row0 = best1, row1, best0, row0, gap, i
        elif gap < best1:
            best2, row2, best1, row1 = best1, row1, gap, i
        elif gap < best2:
            best2, row2 = gap, i
    if pairs < FEWEST_PAIRS:
        return math.nan, pairs, 0.0
    start = median_of_three(
        implied_forward(
            ladder[first + row0, STRIKE], work[CALL_MID, row0] - work[PUT_MID, row0], coin
        ),
        implied_forward(
            ladder[first + row1, STRIKE], work[CALL_MID, row1] - work[PUT_MID, row1], coin
        ),
        implied_forward(
            ladder[first + row2, STRIKE], work[CALL_MID, row2] - work[PUT_MID, row2], coin
        ),
    )
    straddle = median_of_three(
        work[CALL_MID, row0] + work[PUT_MID, row0],
        work[CALL_MID, row1] + work[PUT_MID, row1],
        work[CALL_MID, row2] + work[PUT_MID, row2],
    )
    reach = math.exp(WINDOW * STRADDLE * (straddle if coin else straddle / start))
    lowest, highest = start / reach, start * reach

    inside = 0
    for i in range(count):
        strike = ladder[first + i, STRIKE]
        if lowest <= strike <= highest and work[CALL_MID, i] + work[PUT_MID, i] < math.inf:
            inside += 1
    whole_window = inside >= FEWEST_PAIRS
    taken = 0
    floor, ceiling = -math.inf, math.inf
    for i in range(count):
        strike = ladder[first + i, STRIKE]
        difference = work[CALL_MID, i] - work[PUT_MID, i]
        if whole_window:
            if not lowest <= strike <= highest:
                continue
        elif i not in (row0, row1, row2):
            continue
        if not abs(difference) < math.inf or (coin and not difference < 1.0):
            continue
        half = work[CALL_HALF, i] + work[PUT_HALF, i]
        value = implied_forward(strike, difference, coin)
        floor = max(floor, implied_forward(strike, difference - half, coin))
        if not coin or difference + half < 1.0:
            ceiling = min(ceiling, implied_forward(strike, difference + half, coin))
        j = taken
        while j > 0 and work[SORTED, j - 1] > value:
            work[SORTED, j] = work[SORTED, j - 1]
            work[WEIGHT, j] = work[WEIGHT, j - 1]
            j -= 1
        work[SORTED, j] = value
        work[WEIGHT, j] = 1.0 / (half * half)
        taken += 1
    forward = weighted_median(work, taken)
    if floor > ceiling:
        return forward, pairs, (ceiling - floor) / forward
    if forward < floor:
        return forward, pairs, (floor - forward) / forward
    if forward > ceiling:
        return forward, pairs, (forward - ceiling) / forward
    return forward, pairs, 0.0
