"""The forward of one expiry from its own put-call pairs: METHODOLOGY section 4, rules 5 and 6.

    coin premium  F_j = K_j / (1 - (c_j - p_j))      quote premium  F_j = K_j + C_j - P_j
    F = weighted median of F_j, weight 1 / (h_o + max(2 h_o, h_x))^2,
        over |ln(K_j/F0)| <= 1.5 sw0, at least the three nearest;
        h_o, h_x half-spreads of the legs out of and in the money
    I = [max F_j(c_bid, p_ask), min F_j(c_ask, p_bid)]: what no arbitrage allows

The forward is not moved into I, it is flagged: one bad pair shifts I, and following it there would
hand that pair what the median has just denied it (a put quoted 15 % low moved a synthetic index by
0.031 points by way of the projection, by 0.003 without).

F0 is the median F_j of the three strikes with the smallest |c - p|, and sw0 the median of their
straddles times sqrt(pi/2) (Brenner and Subrahmanyam 1988): a start that one bad pair cannot move.
"""

import math

from volgauge.kernels._jit import F64, I64, inlined, part
from volgauge.kernels.layout import (
    ASK,
    BID,
    CALL_SLOT,
    CALL_TICK,
    CODE,
    N_NO_QUOTES,
    NATIVE,
    NEWEST_NS,
    PAIRS,
    PUT_SLOT,
    PUT_TICK,
    R_ABSENT,
    REASON,
    RECEIVED_NS,
    REJECTED,
    STRIKE,
    USED,
)
from volgauge.kernels.legs import LESS, MARGIN, leg_code

WINDOW = 1.5
LEAST_OTHER = 2.0
"""Times h_o: a quote in the money counts no narrower. Near the money it is about that wide by
itself, and who narrows one would else make its pair the forward (one put so touched moved synthetic
indices of 15 strikes by 0.095 points on the mean)."""
STRADDLE = math.sqrt(0.5 * math.pi)
FEWEST_PAIRS = 3

# Rows of the work array, one column a strike; written by `load_expiry`.
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
        if reached > half * (1.0 + MARGIN):
            return float(work[SORTED, j])
        if reached >= half * LESS:
            return float(0.5 * (work[SORTED, j] + work[SORTED, j + 1]))
    return float(work[SORTED, count - 1])


@inlined
def load_expiry(
    quotes: F64, stamps: I64, ladder: F64, work: F64, coin: bool, facts: I64
) -> tuple[int, int, int, int]:
    """Judge both legs of every strike by rule 2, and find the pairs nearest the money.

    Fills CALL_MID..PUT_HALF of the work array, the verdicts, the counts and NEWEST_NS. One flat
    loop: handing arrays to a helper costs more than what the helper does.

    Returns:
        (pairs, row0, row1, row2): strikes with both legs, and the three with the smallest |c - p|.
    """
    best0 = best1 = best2 = math.inf
    row0 = row1 = row2 = 0
    pairs = listed = newest = 0
    for i in range(ladder.shape[0]):
        slot = int(ladder[i, CALL_SLOT])
        call = put = call_half = put_half = math.nan
        if slot >= 0:
            listed += 1
            bid, ask = quotes[slot, BID], quotes[slot, ASK]
            code = leg_code(
                bid, ask, ladder[i, CALL_TICK], ladder[i, CALL_TICK + 1], ladder[i, CALL_TICK + 2]
            )
            ladder[i, CODE + 2 * NATIVE] = code
            if code == USED:
                call, call_half = 0.5 * (bid + ask), 0.5 * (ask - bid)
            else:
                facts[REJECTED + code] += 1
            newest = max(newest, stamps[slot, RECEIVED_NS])
        slot = int(ladder[i, PUT_SLOT])
        if slot >= 0:
            listed += 1
            bid, ask = quotes[slot, BID], quotes[slot, ASK]
            code = leg_code(
                bid, ask, ladder[i, PUT_TICK], ladder[i, PUT_TICK + 1], ladder[i, PUT_TICK + 2]
            )
            ladder[i, CODE + 2 * NATIVE + 1] = code
            if code == USED:
                put, put_half = 0.5 * (bid + ask), 0.5 * (ask - bid)
            else:
                facts[REJECTED + code] += 1
            newest = max(newest, stamps[slot, RECEIVED_NS])
        work[CALL_MID, i] = call
        work[CALL_HALF, i] = call_half
        work[PUT_MID, i] = put
        work[PUT_HALF, i] = put_half
        difference = call - put
        gap = abs(difference)
        if gap < math.inf and not (coin and difference >= 1.0):
            pairs += 1
            if gap < best0 * LESS:
                best2, row2, best1, row1, best0, row0 = best1, row1, best0, row0, gap, i
            elif gap < best1 * LESS:
                best2, row2, best1, row1 = best1, row1, gap, i
            elif gap < best2 * LESS:
                best2, row2 = gap, i
    facts[NEWEST_NS] = newest
    facts[PAIRS] = pairs
    if facts[REJECTED + R_ABSENT] == listed:
        facts[REASON] = N_NO_QUOTES
    return pairs, row0, row1, row2


@part
def first_at_or_above(ladder: F64, strike: float) -> int:
    """Row of the first strike >= `strike`; the number of rows when all are below."""
    low, high = 0, ladder.shape[0]
    while low < high:
        middle = (low + high) >> 1
        if ladder[middle, STRIKE] < strike:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def parity_forward(
    ladder: F64,
    work: F64,
    coin: bool,
    pairs: int,
    row0: int,
    row1: int,
    row2: int,
) -> tuple[float, float]:
    """Find the forward of one expiry.

    Args:
        ladder: (strikes, LADDER_COLUMNS), the expiry's rows.
        work: (rows, >= strikes) scratch; CALL_MID..PUT_HALF hold mids and half-spreads in premium
            unit, NaN where a leg is refused.
        coin: Premium in the coin.
        pairs: Strikes with both legs.
        row0: The pair with the smallest |c - p|; `row1`, `row2` the next two.
        row1: See `row0`.
        row2: See `row0`.

    Returns:
        (forward, gap): NaN when there are fewer than 3 pairs; gap is the relative distance of the
        forward from I, or minus the relative width by which I is empty, else 0.
    """
    if pairs < FEWEST_PAIRS:
        return math.nan, 0.0
    start = median_of_three(
        implied_forward(ladder[row0, STRIKE], work[CALL_MID, row0] - work[PUT_MID, row0], coin),
        implied_forward(ladder[row1, STRIKE], work[CALL_MID, row1] - work[PUT_MID, row1], coin),
        implied_forward(ladder[row2, STRIKE], work[CALL_MID, row2] - work[PUT_MID, row2], coin),
    )
    straddle = median_of_three(
        work[CALL_MID, row0] + work[PUT_MID, row0],
        work[CALL_MID, row1] + work[PUT_MID, row1],
        work[CALL_MID, row2] + work[PUT_MID, row2],
    )
    reach = math.exp(WINDOW * STRADDLE * (straddle if coin else straddle / start))
    first = first_at_or_above(ladder, start / reach)
    last = first
    count = ladder.shape[0]
    inside = 0
    while last < count and ladder[last, STRIKE] <= start * reach:
        if work[CALL_MID, last] + work[PUT_MID, last] < math.inf:
            inside += 1
        last += 1
    whole_window = inside >= FEWEST_PAIRS
    if not whole_window:
        first, last = 0, count
    taken = 0
    # Ends of I as fractions: comparing products spares two divisions a pair.
    floor_up, floor_down, ceiling_up, ceiling_down = 0.0, 1.0, math.inf, 1.0
    for i in range(first, last):
        difference = work[CALL_MID, i] - work[PUT_MID, i]
        if not (whole_window or i in (row0, row1, row2)):
            continue
        if not abs(difference) < math.inf or (coin and not difference < 1.0):
            continue
        strike = ladder[i, STRIKE]
        half = work[CALL_HALF, i] + work[PUT_HALF, i]
        value = implied_forward(strike, difference, coin)
        low, high = difference - half, difference + half
        up, down = (strike, 1.0 - low) if coin else (strike + low, 1.0)
        if up * floor_down > floor_up * down:
            floor_up, floor_down = up, down
        up, down = (strike, 1.0 - high) if coin else (strike + high, 1.0)
        if down > 0.0 and up * ceiling_down < ceiling_up * down:
            ceiling_up, ceiling_down = up, down
        j = taken
        while j > 0 and work[SORTED, j - 1] > value:
            work[SORTED, j] = work[SORTED, j - 1]
            work[WEIGHT, j] = work[WEIGHT, j - 1]
            j -= 1
        work[SORTED, j] = value
        own, other = work[CALL_HALF, i], work[PUT_HALF, i]
        if difference > 0.0:
            # The dearer leg is the one in the money.
            own, other = other, own
        half = own + max(LEAST_OTHER * own, other)
        work[WEIGHT, j] = 1.0 / (half * half)
        taken += 1
    floor, ceiling = floor_up / floor_down, ceiling_up / ceiling_down
    forward = weighted_median(work, taken)
    if floor > ceiling:
        return forward, (ceiling - floor) / forward
    if forward < floor:
        return forward, (floor - forward) / forward
    if forward > ceiling:
        return forward, (forward - ceiling) / forward
    return forward, 0.0
