"""Our own estimator of one expiry: accepted quotes into variances. METHODOLOGY sections 3 to 5.

    quotes -> implied deviations -> effective spreads -> curve -> what the curve misses -> integrals

The outer parameters of the curve are remembered between ticks (`memory`), because a search costs
more than everything else; they are part of the evidence. Everything else starts from the quotes.
"""

import math

from volgauge.kernels._jit import F64, I64, part
from volgauge.kernels.integral import (
    NODE_TOTALS,
    SIDE_NODES,
    Z_CORRIDOR,
    add_residuals,
    beyond,
    core,
    corridor_integral,
    has_negative_density,
    reach,
    residual_integral,
    wing,
)
from volgauge.kernels.layout import (
    ACCEPTED,
    ASK_VARIANCE,
    BID_VARIANCE,
    CALL,
    CODE,
    COIN_VARIANCE,
    CORRIDOR_HIGH,
    CORRIDOR_LOW,
    COST,
    DEVIATION,
    EXT_VARIANCE,
    EXTRAPOLATED,
    F_BUTTERFLY,
    F_EXTRAPOLATED,
    F_FIT,
    F_GAP,
    F_QUAD,
    FLAGS,
    FORWARD,
    FULL_VARIANCE,
    KURTOSIS,
    N_NEGATIVE_VARIANCE,
    N_NO_QUOTES,
    N_TOO_FEW_STRIKES,
    NATIVE,
    OUTER_M,
    OUTER_S,
    PUT,
    QUALIFIED,
    R_EDGE,
    R_OUTLIER,
    REASON,
    REJECTED,
    SEARCH,
    SEARCH_FORWARD,
    SKEWNESS,
    STRIKES,
    SVI_A,
    SVI_B,
    SVI_M,
    SVI_RHO,
    SVI_S,
    SVIX_VARIANCE,
    TAIL_HI_VARIANCE,
    TAIL_LO_VARIANCE,
    TOTAL_VARIANCE,
    USED,
)
from volgauge.kernels.layout import (
    RESIDUAL as LADDER_RESIDUAL,
)
from volgauge.kernels.replication import LOWER, UPPER
from volgauge.kernels.screen import MONEYNESS, OTM_ASK, OTM_BID, OTM_MID
from volgauge.kernels.shape import PRIOR, ROUGH_PRIOR, ROUGH_STARTS, STARTS, search
from volgauge.kernels.sides import find_sides, join_sides
from volgauge.kernels.smile import (
    ETA,
    ETA_BAR,
    FEWEST,
    FEWEST_AFTER_EDGE,
    HALF,
    INVERSE_UNIT,
    INVERSE_UNIT_FULL,
    LINE_K,
    LINE_RESIDUAL,
    MID,
    MOST_EDGES,
    MOST_ETA_BARS,
    PLACE,
    PRICE,
    RESIDUAL,
    SIDE_PLACE,
    SIDE_RESIDUAL,
    K,
    M,
    S,
    W,
    compare,
    cost_of,
    drop,
    fit,
    is_off,
    leave_residuals,
    mark_outliers,
    measure,
    place_on,
    solve_vols,
)
from volgauge.kernels.special import log
from volgauge.kernels.svi import SOLVE_PASSES

FEWEST_STRIKES = 7
FEWEST_A_SIDE = 3
SHORTEST_REACH = 0.75
"""In deviations at the money. At 1.0 one bad quote of a far strike cost a quarter of the recorded
near expiries their eligibility; how much is extrapolated has a limit of its own."""
LARGEST_GAP = 1.5
"""In deviations at the money."""
LARGEST_EXTRAPOLATED = 0.20
FLAGGED_EXTRAPOLATED = 0.10
LARGEST_QUAD = 0.001
"""Of the volatility: 0.05 points of 50."""
COST_RISE = 1.5
LEAST_COST = 0.01
"""A strike: a tenth of a unit is no reason to search again."""
EDGE_PASSES = 2
"""Of the curve that only has to tell whether an outermost strike is 10 % off."""
CHANGE_OF_SHAPE = 6.0
"""A new shape must save this many strikes' mean cost: 95 % of chi-squared with two parameters, so
that it says more than noise."""
LINE_ROW = LINE_RESIDUAL - LINE_K
"""Of the residual in `smile[LINE_K:]`."""
LARGEST_MOVE = 0.25
"""Of the forward since the search, in deviations at the money."""


@part
def gather(work: F64, count: int, smile: F64) -> int:
    """Copy the accepted strikes out of the ladder; returns how many."""
    taken = 0
    for i in range(count):
        if math.isnan(work[OTM_MID, i]):
            continue
        smile[M, taken] = work[MONEYNESS, i]
        smile[PRICE, taken] = work[OTM_MID, i]
        smile[MID, taken] = 0.5 * (work[OTM_ASK, i] + work[OTM_BID, i])
        smile[HALF, taken] = 0.5 * (work[OTM_ASK, i] - work[OTM_BID, i])
        smile[PLACE, taken] = i
        taken += 1
    for j in range(taken):
        smile[K, j] = log(smile[M, j])
    return taken


@part
def deviation_at_money(smile: F64, count: int) -> float:
    """sw: total variance linear in k between the strikes around k = 0, else the nearest one's."""
    if smile[K, 0] >= 0.0:
        return float(smile[S, 0])
    if smile[K, count - 1] < 0.0:
        return float(smile[S, count - 1])
    j = 0
    while smile[K, j + 1] < 0.0:
        j += 1
    share = -smile[K, j] / (smile[K, j + 1] - smile[K, j])
    return math.sqrt((1.0 - share) * smile[W, j] + share * smile[W, j + 1])


@part
def refuse(ladder: F64, work: F64, facts: I64, place: int, code: int) -> None:
    """Write why an accepted quote was not used after all."""
    leg = PUT if work[MONEYNESS, place] < 1.0 else CALL
    ladder[place, CODE + 2 * NATIVE + leg] = code
    facts[REJECTED + code] += 1


@part
def take_back(ladder: F64, work: F64, facts: I64) -> None:
    """Undo what `refuse` and `refuse_outliers` wrote."""
    for row in range(ladder.shape[0]):
        for column in range(CODE + 2 * NATIVE, CODE + 2 * NATIVE + 2):
            code = int(ladder[row, column])
            if code in (R_EDGE, R_OUTLIER):
                ladder[row, column] = USED
                facts[REJECTED + code] -= 1
                work[LOWER, row] = work[UPPER, row] = math.nan


@part
def refuse_outliers(smile: F64, count: int, ladder: F64, work: F64, facts: I64) -> None:
    """Refuse what `mark_outliers` marked; of a wide quote each side may still say something."""
    for j in range(count):
        if smile[PLACE, j] < 0.0:
            place = int(-1.0 - smile[PLACE, j])
            refuse(ladder, work, facts, place, R_OUTLIER)
            if smile[ETA, j] > MOST_ETA_BARS * smile[ETA_BAR, j]:
                work[LOWER, place] = work[OTM_BID, place]
                work[UPPER, place] = work[OTM_ASK, place]


@part
def drop_edges(smile: F64, count: int, s: float, ladder: F64, work: F64, facts: I64) -> int:
    """Rule 10a; both outermost strikes are held against one curve without either.

    Returns:
        How many strikes stay.
    """
    for _ in range(MOST_EDGES):
        if count <= FEWEST_AFTER_EDGE:
            break
        sw = deviation_at_money(smile, count)
        a, d, c = fit(smile, INVERSE_UNIT, 1, count - 1, s, EDGE_PASSES)
        low = is_off(smile, 0, 1, sw, a, d, c)
        high = is_off(smile, count - 1, count - 2, sw, a, d, c)
        if low and high and count - 2 < FEWEST_AFTER_EDGE:
            high = False
        if not (low or high):
            break
        if low:
            refuse(ladder, work, facts, int(smile[PLACE, 0]), R_EDGE)
            smile[PLACE, 0] = -1.0
        if high:
            refuse(ladder, work, facts, int(smile[PLACE, count - 1]), R_EDGE)
            smile[PLACE, count - 1] = -1.0
        count = drop(smile, count)
        measure(smile, count, deviation_at_money(smile, count))
    return count


@part
def curve(smile: F64, unit_row: int, count: int, s: float) -> tuple[float, float, float, bool]:
    """The curve (a, d, c) through all strikes; one volatility for all where none can be fitted."""
    a, d, c = fit(smile, unit_row, 0, count, s, SOLVE_PASSES)
    if abs(a) + abs(d) + abs(c) < math.inf:
        return a, d, c, False
    return mean_variance(smile, unit_row, count), 0.0, 0.0, True


@part
def mean_variance(smile: F64, unit_row: int, count: int) -> float:
    """Total variance of the strikes, weighted as the fit weighs them."""
    total = weight = 0.0
    for j in range(count):
        inverse = smile[unit_row, j]
        total += inverse * inverse * smile[W, j]
        weight += inverse * inverse
    return total / weight


@part
def find_shape(
    smile: F64, count: int, sw: float, lanes: F64, old_m: float, old_s: float
) -> tuple[float, float, int]:
    """Outer parameters of the curve, without outermost strikes that do not belong to the others.

    An outermost strike has the whole leverage of its wing, and would bend the curve to itself
    before rule 10a looks at it. The old parameters (NaN: none) stay unless new ones fit better by
    more than the noise of the quotes: beyond the quotes equal fits go different ways.

    Returns:
        m, s and how many strikes they rest on.
    """
    low, high = 0, count
    if count > FEWEST_AFTER_EDGE:
        m, s = search(
            smile[K], smile[W], smile[INVERSE_UNIT], 1, count - 1, sw, lanes, ROUGH_STARTS,
            ROUGH_PRIOR,
        )  # fmt: skip
        place_on(smile, count, m, s)
        a, d, c = fit(smile, INVERSE_UNIT, 1, count - 1, s, EDGE_PASSES)
        low = 1 if is_off(smile, 0, 1, sw, a, d, c) else 0
        high = count - 1 if is_off(smile, count - 1, count - 2, sw, a, d, c) else count
    m, s = search(smile[K], smile[W], smile[INVERSE_UNIT], low, high, sw, lanes, STARTS, PRIOR)
    if low > 0 or high < count:
        # The rough curve only raises a doubt: the exact one without the strike decides.
        place_on(smile, count, m, s)
        a, d, c = fit(smile, INVERSE_UNIT, low, high, s, EDGE_PASSES)
        doubted = high - low
        if low > 0 and not is_off(smile, 0, 1, sw, a, d, c):
            low = 0
        if high < count and not is_off(smile, count - 1, count - 2, sw, a, d, c):
            high = count
        if high - low > doubted:
            m, s = search(
                smile[K], smile[W], smile[INVERSE_UNIT], low, high, sw, lanes, STARTS, PRIOR
            )
    if not old_s > 0.0:
        return m, s, high - low
    new_cost = shape_cost(smile, count, low, high, m, s)
    old_cost = shape_cost(smile, count, low, high, old_m, old_s)
    worth = 1.0 + CHANGE_OF_SHAPE / (high - low)
    if old_cost > worth * new_cost:
        return m, s, high - low
    return old_m, old_s, high - low


@part
def shape_cost(smile: F64, count: int, low: int, high: int, m: float, s: float) -> float:
    """Soft-L1 cost of the best curve of these outer parameters."""
    place_on(smile, count, m, s)
    a, d, c = fit(smile, INVERSE_UNIT, low, high, s, SOLVE_PASSES)
    return cost_of(smile, low, high, a, d, c)


@part
def is_qualified(smile: F64, count: int, sw: float) -> bool:
    """METHODOLOGY rule 9, what concerns the strikes: enough of them, and far enough out."""
    puts = 0
    while puts < count and smile[K, puts] < 0.0:
        puts += 1
    if count < FEWEST_STRIKES or puts < FEWEST_A_SIDE or count - puts < FEWEST_A_SIDE:
        return False
    return bool(smile[K, 0] <= -SHORTEST_REACH * sw and smile[K, count - 1] >= SHORTEST_REACH * sw)


@part
def has_gap(smile: F64, count: int, sw: float, low: float, high: float) -> bool:
    """Whether neighbouring strikes that overlap the corridor are over 1.5 sw apart."""
    for j in range(count - 1):
        left, right = smile[K, j], smile[K, j + 1]
        if right > low and left < high and right - left > LARGEST_GAP * sw:
            return True
    return False


@part
def estimate(
    ladder: F64,
    work: F64,
    smile: F64,
    lanes: F64,
    nodes: F64,
    memory: F64,
    frozen: bool,
    forward: float,
    values: F64,
    facts: I64,
) -> None:
    """Fill the NATIVE row of one expiry from its accepted quotes.

    Args:
        ladder: (strikes, LADDER_COLUMNS), the expiry's rows; verdicts and residuals are written.
        work: After `accept_legs`.
        smile: (SMILE_ROWS, >= strikes) scratch.
        lanes: Scratch of `shape.search`.
        nodes: (NODE_ROWS, NODE_COUNT) scratch.
        memory: (MEMORY_COLUMNS,) of the expiry: read, and renewed by a search.
        frozen: Take `memory` as it is: a value is verified.
        forward: > 0.
        values: (VALUE_COLUMNS,).
        facts: (FACT_COLUMNS,).
    """
    values[FORWARD] = forward
    if facts[REASON] != N_NO_QUOTES:
        facts[REASON] = N_TOO_FEW_STRIKES
    strikes = ladder.shape[0]
    for i in range(strikes):
        ladder[i, LADDER_RESIDUAL] = math.nan
    count = solve_vols(smile, gather(work, strikes, smile))
    facts[ACCEPTED] = count
    if count < FEWEST:
        return
    sw = deviation_at_money(smile, count)
    measure(smile, count, sw)
    searched = not frozen and (
        not memory[OUTER_S] > 0.0
        or memory[SEARCH] != 0.0
        or abs(math.log(forward / memory[SEARCH_FORWARD])) > LARGEST_MOVE * sw
    )
    a = d = c = cost = 0.0
    failed = False
    for turn in range(2):
        if searched:
            old_m, old_s = memory[OUTER_M], memory[OUTER_S]
            if turn > 0:
                # What the old shape dropped, the new one is asked about again.
                count = solve_vols(smile, gather(work, strikes, smile))
                take_back(ladder, work, facts)
                sw = deviation_at_money(smile, count)
                measure(smile, count, sw)
            m, s, believed = find_shape(smile, count, sw, lanes, old_m, old_s)
            place_on(smile, count, m, s)
            accepted = count
            count = drop_edges(smile, count, s, ladder, work, facts)
            if count < believed:
                # The shape had bent to what it cannot keep.
                sw = deviation_at_money(smile, count)
                m, s, believed = find_shape(smile, count, sw, lanes, old_m, old_s)
            if count < accepted:
                # The verdicts are the final shape's alone: so they can be found again from it.
                count = solve_vols(smile, gather(work, strikes, smile))
                take_back(ladder, work, facts)
                sw = deviation_at_money(smile, count)
                measure(smile, count, sw)
            memory[OUTER_M], memory[OUTER_S] = m, s
        place_on(smile, count, memory[OUTER_M], memory[OUTER_S])
        count = drop_edges(smile, count, memory[OUTER_S], ladder, work, facts)
        place_on(smile, count, memory[OUTER_M], memory[OUTER_S])
        a, d, c, failed = curve(smile, INVERSE_UNIT, count, memory[OUTER_S])
        compare(smile, count, a, d, c)
        if mark_outliers(smile, count, sw) > 0:
            refuse_outliers(smile, count, ladder, work, facts)
            count = drop(smile, count)
            sw = deviation_at_money(smile, count)
            measure(smile, count, sw)
            place_on(smile, count, memory[OUTER_M], memory[OUTER_S])
            a, d, c, failed = curve(smile, INVERSE_UNIT, count, memory[OUTER_S])
            compare(smile, count, a, d, c)
        cost = cost_of(smile, 0, count, a, d, c)
        if searched or frozen or cost <= COST_RISE * max(memory[COST], LEAST_COST * count):
            break
        searched = True
    if searched:
        memory[COST] = cost
        memory[SEARCH_FORWARD] = forward
        memory[SEARCH] = 0.0
    if failed:
        facts[FLAGS] |= F_FIT
    facts[ACCEPTED] = count
    facts[STRIKES] = count
    sw = deviation_at_money(smile, count)
    values[DEVIATION] = sw
    m, s = memory[OUTER_M], memory[OUTER_S]
    b = c / s
    rho = d / c if c > 0.0 else 0.0
    values[SVI_A], values[SVI_B], values[SVI_RHO], values[SVI_M], values[SVI_S] = a, b, rho, m, s
    leave_residuals(smile, count, sw)
    sides = find_sides(smile, count, work)
    join_sides(smile, count, sides, work, a, b, rho, m, s)
    for j in range(count):
        ladder[int(smile[PLACE, j]), LADDER_RESIDUAL] = smile[RESIDUAL, j]
    for j in range(sides):
        ladder[int(smile[SIDE_PLACE, j]), LADDER_RESIDUAL] = smile[SIDE_RESIDUAL, j]

    low = reach(a, b, rho, m, s, -1.0, Z_CORRIDOR, 0.5, 1e-13)
    high = reach(a, b, rho, m, s, 1.0, Z_CORRIDOR, 0.5, 1e-13)
    values[CORRIDOR_LOW], values[CORRIDOR_HIGH] = low, high
    smooth = corridor_integral(nodes, low, high, a, b, rho, m, s)
    if has_negative_density(nodes, 0, 2 * SIDE_NODES, b, rho, m, s):
        facts[FLAGS] |= F_BUTTERFLY
    variance = smooth + residual_integral(smile[LINE_K:], LINE_ROW, count + sides, low, high)
    if not variance > 0.0:
        facts[REASON] = N_NEGATIVE_VARIANCE
        return
    spread = residual_integral(smile, HALF, count, low, high)
    values[TOTAL_VARIANCE] = variance
    values[BID_VARIANCE] = variance - spread
    values[ASK_VARIANCE] = variance + spread
    outside = flat = 0.0
    first, last = smile[K, 0], smile[K, count - 1]
    if low < first:
        by_curve, by_edge = beyond(nodes, low, min(first, 0.0), a, b, rho, m, s)
        outside, flat = outside + by_curve, flat + by_edge
    if high > last:
        by_curve, by_edge = beyond(nodes, max(last, 0.0), high, a, b, rho, m, s)
        outside, flat = outside + by_curve, flat + by_edge
    share = outside / variance
    values[EXTRAPOLATED] = share
    values[EXT_VARIANCE] = abs(outside - flat)
    facts[REASON] = -1
    if share > FLAGGED_EXTRAPOLATED:
        facts[FLAGS] |= F_EXTRAPOLATED
    if has_gap(smile, count, sw, low, high):
        facts[FLAGS] |= F_GAP
    if share <= LARGEST_EXTRAPOLATED and is_qualified(smile, count, sw):
        facts[QUALIFIED] = 1
    whole_line(work, strikes, smile, count, sides, nodes, m, s, sw, values, facts)


@part
def whole_line(
    work: F64,
    strikes: int,
    smile: F64,
    count: int,
    sides: int,
    nodes: F64,
    m: float,
    s: float,
    sw: float,
    values: F64,
    facts: I64,
) -> None:
    """`full` and what belongs to it, from the untapered curve at the same outer parameters."""
    first, last = smile[K, 0], smile[K, count - 1]
    if not first < 0.0 < last:
        return
    a, d, c, failed = curve(smile, INVERSE_UNIT_FULL, count, s)
    if failed:
        facts[FLAGS] |= F_FIT
    compare(smile, count, a, d, c)
    leave_residuals(smile, count, sw)
    b = c / s
    rho = d / c if c > 0.0 else 0.0
    join_sides(smile, count, sides, work, a, b, rho, m, s)
    totals = nodes[NODE_TOTALS]
    for i in range(6):
        totals[i] = 0.0
    core_plain, core_check = core(nodes, first, last, a, b, rho, m, s, totals)
    add_residuals(smile[LINE_K:], LINE_ROW, count + sides, totals)
    middle = totals[0]
    put_flat, put_curve, put_plain, put_check = wing(
        nodes, smile, work, strikes, 0, -1.0, a, b, rho, m, s, totals
    )
    call_flat, call_curve, call_plain, call_check = wing(
        nodes, smile, work, strikes, count - 1, 1.0, a, b, rho, m, s, totals
    )
    values[FULL_VARIANCE] = totals[0]
    values[TAIL_LO_VARIANCE] = middle + min(put_flat, put_curve) + min(call_flat, call_curve)
    values[TAIL_HI_VARIANCE] = middle + max(put_flat, put_curve) + max(call_flat, call_curve)
    values[COIN_VARIANCE] = totals[1]
    values[SVIX_VARIANCE] = totals[2]
    mean = -0.5 * totals[0]
    square, cube, fourth = totals[3], totals[4], totals[5]
    spread = square - mean * mean
    values[SKEWNESS] = (cube - 3.0 * mean * square + 2.0 * mean * mean * mean) / spread**1.5
    values[KURTOSIS] = (fourth - 4.0 * mean * cube + 6.0 * mean * mean * square - 3.0 * mean**4) / (
        spread * spread
    )
    by_prices = core_plain + put_plain + call_plain
    by_vols = core_check + put_check + call_check
    if not abs(math.sqrt(by_prices / by_vols) - 1.0) <= LARGEST_QUAD:
        facts[FLAGS] |= F_QUAD
