"""One expiry's strip of out-of-the-money options into total variance, by three sets of rules.

    w = 2 e^{rt} sum_i dK_i / K_i^2 Q(K_i) - (F/K0 - 1)^2
    K0 = highest listed strike <= F; dK_i = half the distance between the neighbours of K_i in the
    sum, at both ends the full distance to the one neighbour

All sums are compensated and run in ascending strike, so the value depends on the book alone.
Sources: Demeterfi, Derman, Kamal, Zou 1999; METHODOLOGY section 2 (`dvol`, `cboe`) and 3 to 5.
"""

import math

from volgauge.kernels._jit import F64, I64, inlined, part
from volgauge.kernels.black import in_corridor, otm_delta
from volgauge.kernels.implied import implied_deviation
from volgauge.kernels.layout import (
    ACCEPTED,
    ASK,
    BID,
    CALL,
    CALL_SLOT,
    CBOE,
    CODE,
    DVOL,
    F_MARKS_USED,
    FLAGS,
    FORWARD,
    FORWARD_REF,
    K_ZERO,
    MARK,
    N_K_ZERO_QUOTE,
    N_NEGATIVE_VARIANCE,
    N_NO_FORWARD,
    N_ONE_SIDED_CHAIN,
    NATIVE,
    PUT,
    PUT_SLOT,
    QUALIFIED,
    R_ABSENT,
    R_ARBITRAGE,
    R_BELOW_DELTA,
    R_BEYOND_STOP,
    R_BOUNDS,
    R_NO_ASK,
    R_NO_BID,
    R_STALE,
    R_TINY,
    R_WIDE,
    REASON,
    RECEIVED_NS,
    REJECTED,
    STRIKE,
    STRIKES,
    STRIP_SUM,
    TOTAL_VARIANCE,
    USED,
)
from volgauge.kernels.legs import MARGIN, SMALLEST_MID, side_code
from volgauge.kernels.parity import CALL_HALF, CALL_MID, PUT_HALF, PUT_MID, first_at_or_above
from volgauge.kernels.screen import (
    CAP,
    MONEYNESS,
    OTM_ASK,
    OTM_BID,
    OTM_MID,
    has_conflict,
    worst_strike,
)
from volgauge.kernels.strike_price import strike_price
from volgauge.kernels.summation import add

# Rows of the work array beyond those of parity.py and screen.py.
PRICE = 12
KEPT_STRIKE = 13
"""From here on one column a strike in the sum, ascending."""
KEPT_PRICE = 14
LOWER = 15
"""Bid of an out-of-the-money leg whose ask is missing or far away; NaN none. Units of the forward;
what the forward has moved since the quote is taken off."""
UPPER = 16
"""Ask of one whose bid is missing or far away."""
WORK_ROWS = 17

LARGEST_AGE_NS = 2_000_000_000
DELTA_FLOOR = 0.02
"""METHODOLOGY rule 3: |dF/F| > half-spread / (|delta| + 0.02)."""


@part
def highest_strike_at_or_below(ladder: F64, forward: float) -> int:
    """Row of K0, or -1 when all strikes are above the forward (or that is NaN)."""
    row = first_at_or_above(ladder, forward)
    if row < ladder.shape[0] and ladder[row, STRIKE] == forward:
        return row
    return row - 1


@inlined
def judge(ladder: F64, row: int, method: int, leg: int, facts: I64, code: int) -> None:
    """Write one option's verdict and count it when it is a refusal."""
    ladder[row, CODE + 2 * method + leg] = code
    if code != USED:
        facts[REJECTED + code] += 1


@part
def accept_legs(
    quotes: F64,
    stamps: I64,
    ladder: F64,
    work: F64,
    coin: bool,
    forward: float,
    now_ns: int,
    facts: I64,
    own: bool,
) -> int:
    """Choose each strike's out-of-the-money leg and refuse what METHODOLOGY section 3 refuses.

    Fills MONEYNESS, CAP, OTM_*, LOWER and UPPER of the work array (units of the forward; NaN
    refused or absent), the verdicts and their counts. `own` says: the forward comes from the own
    pairs: only then quotes are held against it (rule 3, and rule 2a across the money), for the step
    from a borrowed forward to the own one is no move of the market. A quote that has no FORWARD_REF
    yet gets it.

    Returns:
        When the first of the quotes that the forward has left behind comes of age (rule 3): the
        expiry must then be computed again though nothing was quoted; 0 never.
    """
    count = ladder.shape[0]
    scale = 1.0 if coin else 1.0 / forward
    due_ns = 0
    for i in range(count):
        m = ladder[i, STRIKE] / forward
        work[MONEYNESS, i] = m
        work[OTM_MID, i] = math.nan
        work[CAP, i] = work[LOWER, i] = work[UPPER, i] = math.nan
        call, put = int(ladder[i, CALL_SLOT]), int(ladder[i, PUT_SLOT])
        if own and call >= 0 and math.isnan(quotes[call, FORWARD_REF]):
            quotes[call, FORWARD_REF] = forward
        if own and put >= 0 and math.isnan(quotes[put, FORWARD_REF]):
            quotes[put, FORWARD_REF] = forward
        if m < 1.0:
            leg, slot, mid, half = PUT, put, work[PUT_MID, i] * scale, work[PUT_HALF, i] * scale
            other_mid, other_half = work[CALL_MID, i] * scale, work[CALL_HALF, i] * scale
        else:
            leg, slot, mid, half = CALL, call, work[CALL_MID, i] * scale, work[CALL_HALF, i] * scale
            other_mid, other_half = work[PUT_MID, i] * scale, work[PUT_HALF, i] * scale
        if slot >= 0 and 0.0 < quotes[slot, ASK] < math.inf:
            work[CAP, i] = quotes[slot, ASK] * scale
        if slot < 0:
            continue
        if math.isnan(mid):
            code = int(ladder[i, CODE + 2 * NATIVE + leg])
            if code in (R_NO_BID, R_NO_ASK, R_WIDE):
                # No delta is above 1; a forward that is not the expiry's own tells nothing.
                moved = abs(forward / quotes[slot, FORWARD_REF] - 1.0) if own else 0.0
                if code != R_NO_BID:
                    work[LOWER, i] = quotes[slot, BID] * scale - moved
                if code != R_NO_ASK:
                    work[UPPER, i] = quotes[slot, ASK] * scale + moved
            continue
        if mid < SMALLEST_MID * (1.0 - MARGIN):
            judge(ladder, i, NATIVE, leg, facts, R_TINY)
            continue
        if mid >= min(1.0, m):
            judge(ladder, i, NATIVE, leg, facts, R_BOUNDS)
            continue
        moved = abs(forward / quotes[slot, FORWARD_REF] - 1.0)
        # |delta| <= 1 decides most quotes without solving for a volatility.
        if own and moved * (1.0 + DELTA_FLOOR) > half:
            delta = otm_delta(m, implied_deviation(m, mid))
            if moved * (delta + DELTA_FLOOR) > half:
                ripe_ns = stamps[slot, RECEIVED_NS] + LARGEST_AGE_NS + 1
                if now_ns >= ripe_ns:
                    judge(ladder, i, NATIVE, leg, facts, R_STALE)
                    continue
                if due_ns == 0 or ripe_ns < due_ns:
                    due_ns = ripe_ns
        # A forward that is not that of the pairs would move calls and puts apart.
        work[OTM_MID, i] = strike_price(m, mid, half, other_mid, other_half) if own else mid
        work[OTM_BID, i] = mid - half
        work[OTM_ASK, i] = mid + half

    if has_conflict(work, count, own):
        worst = worst_strike(work, count, own)
        while worst >= 0:
            leg = PUT if work[MONEYNESS, worst] < 1.0 else CALL
            judge(ladder, worst, NATIVE, leg, facts, R_ARBITRAGE)
            work[OTM_MID, worst] = math.nan
            worst = worst_strike(work, count, own)

    return due_ns


@inlined
def integrate(work: F64, row: int, count: int) -> float:
    """Sum of dK / K^2 Q(K) over the kept strikes, in units of 1 / strike.

    Args:
        work: KEPT_STRIKE and `row` hold `count` strikes, ascending, and their prices.
        row: Of the prices.
        count: Strikes in the sum; fewer than 2 give NaN.
    """
    if count < 2:
        return math.nan
    last = count - 1
    strike = work[KEPT_STRIKE, 0]
    total = (work[KEPT_STRIKE, 1] - strike) / (strike * strike) * work[row, 0]
    lost = 0.0
    for j in range(1, last):
        strike = work[KEPT_STRIKE, j]
        width = 0.5 * (work[KEPT_STRIKE, j + 1] - work[KEPT_STRIKE, j - 1])
        total, lost = add(total, lost, width / (strike * strike) * work[row, j])
    strike = work[KEPT_STRIKE, last]
    width = strike - work[KEPT_STRIKE, last - 1]
    total, lost = add(total, lost, width / (strike * strike) * work[row, last])
    return total + lost


@inlined
def quote_or_mark(bid: float, ask: float, mark: float) -> tuple[float, bool]:
    """Mid of a two-sided quote, else the venue's mark, else NaN; and whether it is the mark."""
    if bid > 0.0 and ask > 0.0 and bid + ask < math.inf:
        return 0.5 * (bid + ask), False
    if 0.0 < mark < math.inf:
        return mark, True
    return math.nan, False


@inlined
def strip_dvol(
    quotes: F64,
    ladder: F64,
    work: F64,
    coin: bool,
    forward: float,
    values: F64,
    facts: I64,
) -> None:
    """The exchange's rule: listed out-of-the-money strikes with |delta| >= 5 %.

    Put for K <= F, call above; the mid of bid > 0 and ask > 0, else the mark; |delta| of the mark,
    where there is none of the price; at K0 the mean of put and call (of the one there is and its
    parity partner, when the other has no price at all).
    """
    values[FORWARD] = forward
    base = highest_strike_at_or_below(ladder, forward)
    if base < 0:
        facts[REASON] = N_ONE_SIDED_CHAIN
        return
    k_zero = ladder[base, STRIKE]
    values[K_ZERO] = k_zero
    count = ladder.shape[0]
    scale = 1.0 if coin else 1.0 / forward
    puts = kept = 0
    marked = has_base = False
    for i in range(count):
        strike = ladder[i, STRIKE]
        m = strike / forward
        leg = PUT if i <= base else CALL
        slot = int(ladder[i, CALL_SLOT + leg])
        ladder[i, CODE + 2 * DVOL + PUT - leg] = USED
        if slot < 0:
            continue
        bid, ask, mark = quotes[slot, BID], quotes[slot, ASK], quotes[slot, MARK]
        price, by_mark = quote_or_mark(bid, ask, mark)
        price *= scale
        partner, partner_by_mark = math.nan, False
        if i == base:
            other = int(ladder[i, CALL_SLOT])
            if other >= 0:
                partner, partner_by_mark = quote_or_mark(
                    quotes[other, BID], quotes[other, ASK], quotes[other, MARK]
                )
                partner *= scale
                if math.isnan(price):
                    price, by_mark = partner - (1.0 - m), partner_by_mark
        # The exchange's delta is that of its mark; a mid far from it must not widen the strip.
        bound = m if leg == PUT else 1.0
        gauge = mark * scale
        code = USED
        if not 0.0 < price < bound:
            code = R_BOUNDS
            if math.isnan(price):
                code = side_code(bid, ask)
                code = code if code != USED else R_ABSENT
        elif not in_corridor(m, gauge if 0.0 < gauge < bound else price):
            code = R_BELOW_DELTA
        ladder[i, CODE + 2 * DVOL + leg] = code
        if code != USED:
            facts[REJECTED + code] += 1
            continue
        marked = marked or by_mark
        if i == base:
            has_base = True
            if math.isnan(partner):
                price += 0.5 * (1.0 - m)
            else:
                price = 0.5 * (price + partner)
                marked = marked or partner_by_mark
        if leg == PUT:
            puts += 1
        work[KEPT_STRIKE, kept] = strike
        work[KEPT_PRICE, kept] = price
        kept += 1
    facts[STRIKES] = kept
    facts[ACCEPTED] = kept
    if marked:
        facts[FLAGS] |= F_MARKS_USED
    if puts in (0, kept):
        facts[REASON] = N_ONE_SIDED_CHAIN
        return
    if not has_base:
        facts[REASON] = N_K_ZERO_QUOTE
        return
    ratio = forward / k_zero - 1.0
    strip_sum = forward * integrate(work, KEPT_PRICE, kept)
    variance = 2.0 * strip_sum - ratio * ratio
    values[STRIP_SUM] = strip_sum
    if not variance > 0.0:
        facts[REASON] = N_NEGATIVE_VARIANCE
        return
    values[TOTAL_VARIANCE] = variance
    facts[REASON] = -1
    facts[QUALIFIED] = 1


@part
def strip_cboe(
    quotes: F64,
    ladder: F64,
    work: F64,
    coin: bool,
    rate: float,
    minutes: int,
    values: F64,
    facts: I64,
) -> None:
    """Cboe's published rules, by number of the reference.

    2  T = whole minutes / 525,600.
    4  F at the strike with the smallest |C - P| of mids, both with bid and ask above zero
       (tie: the lowest strike); K0 the highest strike <= F.
    5  A missing or crossed quote at K0: not calculable.
    6  Outwards from K0 a zero (or missing) bid or ask excludes; two excluded in a row end the walk;
       nothing left on one side: not calculable. At K0 the mean of both mids.
    7  dK between the strikes that survive.
    """
    count = ladder.shape[0]
    growth = math.exp(rate * minutes / 525_600.0)
    smallest = math.inf
    forward = math.nan
    for i in range(count):
        call, put = int(ladder[i, CALL_SLOT]), int(ladder[i, PUT_SLOT])
        work[PRICE, i] = math.nan
        ladder[i, CODE + 2 * CBOE] = USED
        ladder[i, CODE + 2 * CBOE + 1] = USED
        if call < 0 or put < 0:
            continue
        if side_code(quotes[call, BID], quotes[call, ASK]) != USED:
            continue
        if side_code(quotes[put, BID], quotes[put, ASK]) != USED:
            continue
        difference = 0.5 * (quotes[call, BID] + quotes[call, ASK]) - 0.5 * (
            quotes[put, BID] + quotes[put, ASK]
        )
        if abs(difference) < smallest:
            strike = ladder[i, STRIKE]
            if not coin:
                candidate = strike + growth * difference
            elif growth * difference < 1.0:
                candidate = strike / (1.0 - growth * difference)
            else:
                continue
            smallest, forward = abs(difference), candidate
    values[FORWARD] = forward
    if not 0.0 < forward < math.inf:
        facts[REASON] = N_NO_FORWARD
        return
    scale = forward if coin else 1.0
    base = highest_strike_at_or_below(ladder, forward)
    if base < 0:
        facts[REASON] = N_ONE_SIDED_CHAIN
        return
    k_zero = ladder[base, STRIKE]
    values[K_ZERO] = k_zero
    call, put = int(ladder[base, CALL_SLOT]), int(ladder[base, PUT_SLOT])
    facts[REASON] = N_K_ZERO_QUOTE
    if call < 0 or put < 0:
        return
    for slot in (call, put):
        bid, ask = quotes[slot, BID], quotes[slot, ASK]
        if not (0.0 <= bid <= ask < math.inf):
            return
    work[PRICE, base] = (
        0.25 * scale * (quotes[call, BID] + quotes[call, ASK] + quotes[put, BID] + quotes[put, ASK])
    )

    for side in (-1, 1):
        leg = PUT if side < 0 else CALL
        column = PUT_SLOT if side < 0 else CALL_SLOT
        found = excluded = 0
        i = base + side
        while 0 <= i < count:
            slot = int(ladder[i, column])
            if slot >= 0:
                code = side_code(quotes[slot, BID], quotes[slot, ASK])
                if excluded == 2:
                    # What has no quote anyway is refused for that reason, the rest for the stop.
                    judge(ladder, i, CBOE, leg, facts, code if code != USED else R_BEYOND_STOP)
                elif code != USED:
                    excluded += 1
                    judge(ladder, i, CBOE, leg, facts, code)
                else:
                    excluded = 0
                    found += 1
                    work[PRICE, i] = 0.5 * scale * (quotes[slot, BID] + quotes[slot, ASK])
            i += side
        if found == 0:
            facts[REASON] = N_ONE_SIDED_CHAIN
            return

    kept = 0
    for i in range(count):
        if not math.isnan(work[PRICE, i]):
            work[KEPT_STRIKE, kept] = ladder[i, STRIKE]
            work[KEPT_PRICE, kept] = work[PRICE, i]
            kept += 1
    strip_sum = growth * integrate(work, KEPT_PRICE, kept)
    ratio = forward / k_zero - 1.0
    variance = 2.0 * strip_sum - ratio * ratio
    values[STRIP_SUM] = strip_sum
    facts[STRIKES] = kept
    facts[ACCEPTED] = kept
    if not variance > 0.0:
        facts[REASON] = N_NEGATIVE_VARIANCE
        return
    values[TOTAL_VARIANCE] = variance
    facts[REASON] = -1
    facts[QUALIFIED] = 1
