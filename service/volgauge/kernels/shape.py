"""Search for the shape (m, s) of raw SVI: from nothing, so that it depends on the quotes alone.

    C(m, s) = sum_j 2 (sqrt(1 + e_j^2) - 1) + prior ((m / sw)^2 + (ln(s / sw) - 1.6)^2)

with e_j the errors, in units of the strike, of the best curve (a, d, c) of that shape within the
constraints (svi.py). Half of C is what the code calls cost.

One step from a curve. Its soft-L1 cost is replaced by a parabola h_j (t_j - f_j)^2 in each value
f_j of another curve: Newton's, weight h = 1 / (unit^2 (1 + e^2)^(3/2)). Under it the best curve of
any shape takes sums and three linear equations, for 16 shapes at a time, which are the lanes of
the vector loops (variable projection). First seven shapes around the point give gradient and
curvature; then sixteen are tried along Newton's direction, and beside it, as valleys are bent: the
stiff axis of the curvature in full or in part, combined with more or less of the slack one. The
best of them is measured by the true cost. Should that not fall, the step is made again under the
parabola that is nowhere below the cost, weight 1 / (unit^2 sqrt(1 + e^2)): it can only descend.

The end is found by newton.py, in all five parameters.

Sources: Golub and Pereyra 1973 (variable projection); Zeliade, Quasi-explicit calibration of
Gatheral's SVI model, 2009; absolute eigenvalues: Greenstadt 1967; the bound of the cost: Holland
and Welsch 1977; METHODOLOGY rule 10.
"""

import math

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.newton import LANES, LEAST_S, MOST_M, MOST_S, ROWS, polish, unusual
from volgauge.kernels.special import exp, log

STARTS = 2
"""The second start is for the hundredth smile, which has two valleys."""
ROUGH_STARTS = 1
PRIOR = 0.2
ROUGH_PRIOR = 0.5
"""A search that only has to tell whether an outermost strike belongs to the others."""
MOST_STEPS = 30
"""Of a start; four to six are usual."""
TOLERANCE = 1e-6
"""A step that promises less than this part of half the cost is the last."""
LEAST_GAIN = 1e-12
"""The same where the cost is 0: rounding."""
TIE = 1e-9
"""Lanes whose costs are relatively so near are equal: near the end all are, and prices in another
currency unit, which round otherwise, must not choose another one."""
_MOST_COST = 1e300
"""Finite, so that a part of it can be taken off."""

SIDE = 4
"""The shapes to start from are SIDE x SIDE."""
GRID_M = (-1.5, -1.5, -1.5, -1.5, -0.5, -0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5, 1.5, 1.5, 1.5, 1.5)
"""In units of sw."""
GRID_S = (0.35, 1.0, 2.8, 8.0, 0.35, 1.0, 2.8, 8.0, 0.35, 1.0, 2.8, 8.0, 0.35, 1.0, 2.8, 8.0)
"""In units of sw."""
DIFFERENCE, FINE_DIFFERENCE = 0.03, 0.003
"""Steps of the differences, in m / s and ln s: the first looks past small kinks, the second, once
the first promises nothing more, ends nearer to the bottom where the curve is held by a bound."""
AROUND_M = (0.0, -1.0, 1.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
AROUND_S = (0.0, 0.0, 0.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
STIFF = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.1, 0.25, 0.0, 0.05)
SLACK = (1.0, 2.0, 4.0, 0.5, 0.25, 0.1, 0.0, 0.5, 1.0, 0.25, 0.1, 0.25, 0.1, 1.0, 1.0, 0.05)
"""Parts of Newton's step that are tried."""
LONGEST = 1.5
"""Newton's step along either axis, in m / s and ln s."""
LEAST_CURVATURE = 1e-9
"""Of the slack axis, as part of the stiff one's: below it is rounding."""
_TINY = 1e-30
"""Keeps a quotient of zeros finite."""

# Rows of the scratch, LANES wide, after those of newton.py. First the shapes, what their sums are,
# and what they come to.
_M, _LOG_S, _INVERSE_S, _UZ, _UYZ, _UWZ, _A, _D, _C, _COST, _CLOSED = range(ROWS, ROWS + 11)
# A block of strikes while it is measured, in the order of the columns below, and its two sums.
_K, _W, _INVERSE_UNIT, _TARGET, _WEIGHT, _HALF, _OFF = range(ROWS + 11, ROWS + 18)
_STRIKES = ROWS + 18
COLUMNS = 5
"""Of each block of LANES strikes: k, w, 1 / unit, then the parabola's target and weight."""


def scratch_size(longest: int) -> int:
    """Size of the flat float64 scratch of `search` for at most `longest` strikes."""
    return (_STRIKES + -(-longest // LANES) * COLUMNS) * LANES


@part
def search(
    k: F64,
    w: F64,
    inverse_unit: F64,
    first: int,
    last: int,
    sw: float,
    x: F64,
    starts: int,
    prior: float,
) -> tuple[float, float]:
    """Find the outer parameters (m, s) with the least soft-L1 cost.

    A dozen noisy strikes can be followed best by a curve with a kink between two of them, which
    goes astray beyond the last one. The cost of a shape far from the usual one keeps it off that.

    Args:
        k: (>= last,) log-moneyness, ascending.
        w: (>= last,) total variance.
        inverse_unit: (>= last,) 1 / unit of error; 0 leaves the strike out.
        first: The strikes first <= j < last are fitted.
        last: See `first`.
        sw: sqrt(w) at the money.
        x: (>= scratch_size(last - first),) scratch.
        starts: From how many of the first 16 shapes the search sets out; the best end counts.
        prior: Cost of a distance of sw from m = 0, or of a factor e in s from the usual one.

    Returns:
        m within +-6 sw and s within [0.2, 10] sw.
    """
    count = last - first
    log_sw = log(sw)
    for i in range(LANES):
        x[_CLOSED * LANES + i] = 0.0
    best = _MOST_COST
    best_m, best_log = 0.0, log_sw
    for _ in range(starts):
        _load(x, k, w, inverse_unit, first, count)
        for i in range(LANES):
            log_s = log_sw + log(GRID_S[i])
            x[_M * LANES + i] = GRID_M[i] * sw
            x[_LOG_S * LANES + i] = log_s
            x[_INVERSE_S * LANES + i] = exp(-log_s)
        _reduce(x, count, sw, log_sw, prior)
        for i in range(LANES):
            x[_COST * LANES + i] += x[_CLOSED * LANES + i]
        chosen = _lowest(x)
        for i in range(LANES):
            if abs(i // SIDE - chosen // SIDE) <= 1 and abs(i % SIDE - chosen % SIDE) <= 1:
                # Neighbours lie in the same valley.
                x[_CLOSED * LANES + i] = math.inf
        cost, m, log_s = _descend(x, count, sw, log_sw, prior, chosen)
        if cost < best - TIE * best:
            best, best_m, best_log = cost, m, log_s
    return best_m, exp(best_log)


@part
def _load(x: F64, k: F64, w: F64, inverse_unit: F64, first: int, count: int) -> None:
    """Copy the strikes into blocks; the first parabola is plain least squares."""
    for i in range(_STRIKES * LANES, (_STRIKES + (count + LANES - 1) // LANES * COLUMNS) * LANES):
        x[i] = 0.0
    for j in range(count):
        at = (_STRIKES + j // LANES * COLUMNS) * LANES + j % LANES
        inverse = inverse_unit[first + j]
        x[at] = k[first + j]
        x[at + LANES] = x[at + 3 * LANES] = w[first + j]
        x[at + 2 * LANES] = inverse
        x[at + 4 * LANES] = inverse * inverse


@part
def _descend(
    x: F64, count: int, sw: float, log_sw: float, prior: float, lane: int
) -> tuple[float, float, float]:
    """Step downwards from the shape and the curve of one lane.

    Returns:
        The cost, m and ln s.
    """
    best = math.inf
    best_m = m = x[_M * LANES + lane]
    best_log = log_s = x[_LOG_S * LANES + lane]
    best_a = a = x[_A * LANES + lane]
    best_d = d = x[_D * LANES + lane]
    best_c = c = x[_C * LANES + lane]
    is_bound, is_back = True, False
    step = DIFFERENCE
    for _ in range(MOST_STEPS):
        cost, level = _measure(x, count, m, exp(-log_s), a, d, c, 1.0 if is_bound else 0.0)
        distance = unusual(m, log_s, sw, log_sw, prior)
        cost += distance
        if is_back or cost < best:
            best, best_m, best_log, best_a, best_d, best_c = cost, m, log_s, a, d, c
            is_back = False
        elif is_bound:
            break
        else:
            m, log_s, a, d, c = best_m, best_log, best_a, best_d, best_c
            is_bound = is_back = True
            continue
        _place_around(x, m, log_s, step)
        _reduce(x, count, sw, log_sw, prior)
        _place_ahead(x, m, log_s, sw, log_sw, step)
        _reduce(x, count, sw, log_sw, prior)
        lane = _lowest(x)
        gain = level + distance - x[_COST * LANES + lane]
        if not gain > TOLERANCE * best + LEAST_GAIN:
            if step == FINE_DIFFERENCE:
                # Worth nothing by itself, but with it the end hangs less on where the search came
                # from: Newton's error is squared once more.
                if gain > 0.0:
                    best_m, best_log = x[_M * LANES + lane], x[_LOG_S * LANES + lane]
                break
            end, end_m, end_log = polish(
                x, _STRIKES, COLUMNS, count, sw, log_sw, prior,
                best_a, best_d, best_c, best_m, best_log,
            )  # fmt: skip
            if end <= best + TIE * best + LEAST_GAIN:
                return end, end_m, end_log
            step = FINE_DIFFERENCE
            is_back = True
            continue
        m, log_s = x[_M * LANES + lane], x[_LOG_S * LANES + lane]
        a, d, c = x[_A * LANES + lane], x[_D * LANES + lane], x[_C * LANES + lane]
        is_bound = False
    return best, best_m, best_log


@part
def _lowest(x: F64) -> int:
    """The first lane of the least cost: what is less by rounding alone does not count as less."""
    least = _MOST_COST
    chosen = 0
    for i in range(LANES):
        if x[_COST * LANES + i] < least - TIE * abs(least):
            least, chosen = x[_COST * LANES + i], i
    return chosen


@part
def _measure(
    x: F64, count: int, m: float, inverse_s: float, a: float, d: float, c: float, bound: float
) -> tuple[float, float]:
    """Measure a curve by the true cost, and leave the parabolas that stand for it there.

    `bound` is 1 for those that are nowhere below the cost and 0 for Newton's.

    Returns:
        Half the soft-L1 cost, and half the sum of the parabolas at this curve.
    """
    for i in range(LANES):
        x[_HALF * LANES + i] = 0.0
        x[_OFF * LANES + i] = 0.0
    for block in range((count + LANES - 1) // LANES):
        at = (_STRIKES + block * COLUMNS) * LANES
        # At fixed places of its own the compiler sees that no row overlaps another.
        for i in range(3 * LANES):
            x[_K * LANES + i] = x[at + i]
        for i in range(LANES):
            inverse = x[_INVERSE_UNIT * LANES + i]
            y = (x[_K * LANES + i] - m) * inverse_s
            f = a + d * y + c * math.sqrt(y * y + 1.0)
            off = x[_W * LANES + i] - f
            e = off * inverse
            square = 1.0 + e * e
            root = math.sqrt(square)
            share = 1.0 / root
            weight = inverse * inverse * share
            away = off * (bound + (1.0 - bound) * square)
            x[_TARGET * LANES + i] = f + away
            x[_WEIGHT * LANES + i] = weight * (bound + (1.0 - bound) * (share * share))
            x[_HALF * LANES + i] += root - 1.0
            x[_OFF * LANES + i] += weight * off * away
        for i in range(2 * LANES):
            x[at + 3 * LANES + i] = x[_TARGET * LANES + i]
    half = off = 0.0
    for i in range(LANES):
        half += x[_HALF * LANES + i]
        off += x[_OFF * LANES + i]
    return half, 0.5 * off


@part
def _place_around(x: F64, m: float, log_s: float, step: float) -> None:
    """Fill the lanes with a shape and six around it."""
    step_m = step * exp(log_s)
    for i in range(LANES):
        at = log_s + AROUND_S[i] * step
        x[_LOG_S * LANES + i] = at
        x[_INVERSE_S * LANES + i] = exp(-at)
        x[_M * LANES + i] = m + AROUND_M[i] * step_m


@part
def _place_ahead(x: F64, m: float, log_s: float, sw: float, log_sw: float, step: float) -> None:
    """Fill the lanes with shapes along Newton's direction, from the costs around the last one."""
    at = _COST * LANES
    centre, left, right = x[at], x[at + 1], x[at + 2]
    below, above, down, up = x[at + 3], x[at + 4], x[at + 5], x[at + 6]
    once, twice = 0.5 / step, 1.0 / (step * step)
    gm, gs = (right - left) * once, (above - below) * once
    mm, ss = (right + left - 2.0 * centre) * twice, (above + below - 2.0 * centre) * twice
    ms = 0.5 * (up + down - left - right - below - above + 2.0 * centre) * twice
    # The stiff axis (vm, vs) is that of the eigenvalue which is larger in absolute value.
    half, middle = 0.5 * (mm - ss), 0.5 * (mm + ss)
    root = math.sqrt(half * half + ms * ms)
    sign = 1.0 if middle >= 0.0 else -1.0
    stiff, slack = abs(middle + sign * root), abs(middle - sign * root)
    half, cross = sign * half, sign * ms
    vm = half + root if half > 0.0 else cross
    vs = cross if half > 0.0 else root - half
    inverse = 1.0 / max(math.sqrt(vm * vm + vs * vs), _TINY)
    vm, vs = vm * inverse, vs * inverse
    along = -(gm * vm + gs * vs) / (stiff + _TINY)
    across = (gm * vs - gs * vm) / max(slack, LEAST_CURVATURE * stiff + _TINY)
    along = min(max(along, -LONGEST), LONGEST)
    across = min(max(across, -LONGEST), LONGEST)
    least, most, widest = log_sw + math.log(LEAST_S), log_sw + math.log(MOST_S), MOST_M * sw
    s = exp(log_s)
    inverse = 1.0 / (abs(mm) + _TINY)
    for i in range(LANES):
        p, q = STIFF[i] * along, SLACK[i] * across
        by_m, by_s = p * vm - q * vs, p * vs + q * vm
        to = min(max(log_s + by_s, least), most)
        # On a bound of s what is best for m there.
        held = to - log_s
        alone = min(max(-(gm + ms * held) * inverse, -LONGEST), LONGEST) * STIFF[i]
        by_m = by_m if held == by_s else alone
        x[_LOG_S * LANES + i] = to
        x[_INVERSE_S * LANES + i] = exp(-to)
        x[_M * LANES + i] = min(max(m + by_m * s, -widest), widest)


@part
def _reduce(x: F64, count: int, sw: float, log_sw: float, prior: float) -> None:
    """Fill A, D, C and COST of the lanes' shapes: their best curves under the parabolas.

    The curve is exactly the best within the rhombus |d| <= min(c, 2 s - c); where it would dip
    below 0 it is raised.
    """
    for i in range(LANES):
        x[_UZ * LANES + i] = 0.0
        x[_UYZ * LANES + i] = 0.0
        x[_UWZ * LANES + i] = 0.0
    su = suk = sukk = suw = sukw = suww = 0.0
    for j in range(count):
        at = (_STRIKES + j // LANES * COLUMNS) * LANES + j % LANES
        kj, wj, u = x[at], x[at + 3 * LANES], x[at + 4 * LANES]
        uk, uw = u * kj, u * wj
        su += u
        suk += uk
        sukk += uk * kj
        suw += uw
        sukw += uw * kj
        suww += uw * wj
        for i in range(LANES):
            y = (kj - x[_M * LANES + i]) * x[_INVERSE_S * LANES + i]
            uz = u * math.sqrt(y * y + 1.0)
            x[_UZ * LANES + i] += uz
            x[_UYZ * LANES + i] += uz * y
            x[_UWZ * LANES + i] += uz * wj
    inverse = 1.0 / su
    k_mean, w_mean = suk * inverse, suw * inverse
    kk, wk, ww = sukk - suk * k_mean, sukw - suk * w_mean, suww - suw * w_mean
    for i in range(LANES):
        m, inverse_s = x[_M * LANES + i], x[_INVERSE_S * LANES + i]
        s = 1.0 / inverse_s
        y_mean, z_mean = (k_mean - m) * inverse_s, x[_UZ * LANES + i] * inverse
        yy, wy = kk * inverse_s * inverse_s, wk * inverse_s
        yz = x[_UYZ * LANES + i] - su * y_mean * z_mean
        # z^2 = y^2 + 1
        zz = (yy + su * y_mean * y_mean) + su - su * z_mean * z_mean
        wz = x[_UWZ * LANES + i] - suw * z_mean
        determinant = yy * zz - yz * yz
        # A lane that sees a straight line only has no curvature to find: c = 0.
        scale = 1.0 / determinant if determinant > 1e-13 * yy * zz else 0.0
        c = (wz * yy - wy * yz) * scale
        d = (wy - c * yz) / yy
        is_inside = c >= 0.0 and abs(d) <= min(c, 2.0 * s - c)
        edge_c, edge_d = _on_an_edge(yy, yz, zz, wy, wz, s)
        c, d = c if is_inside else edge_c, d if is_inside else edge_d
        a = w_mean - d * y_mean - c * z_mean
        raised = max(a, -math.sqrt(c * c - d * d)) - a
        x[_A * LANES + i] = a + raised
        x[_D * LANES + i] = d
        x[_C * LANES + i] = c
        cost = ww + d * d * yy + c * c * zz + 2.0 * (c * d * yz - d * wy - c * wz)
        cost += raised * raised * su
        x[_COST * LANES + i] = 0.5 * cost + unusual(m, x[_LOG_S * LANES + i], sw, log_sw, prior)


@inlined
def _on_an_edge(
    yy: float, yz: float, zz: float, wy: float, wz: float, s: float
) -> tuple[float, float]:
    """Least squares on the border of the rhombus; `svi.solve` without a branch.

    The edges are (c, d) = (t, t), (t, -t), (2 s - t, t), (2 s - t, -t) with 0 <= t <= s.
    """
    plus, minus = zz + 2.0 * yz + yy, zz - 2.0 * yz + yy
    rz, ry = 2.0 * s * zz - wz, 2.0 * s * yz - wy
    t1 = min(max((wz + wy) / plus, 0.0), s)
    t2 = min(max((wz - wy) / minus, 0.0), s)
    t3 = min(max((rz - ry) / minus, 0.0), s)
    t4 = min(max((rz + ry) / plus, 0.0), s)
    far = 2.0 * s * (rz - wz)
    cost1 = t1 * (t1 * plus - 2.0 * (wz + wy))
    cost2 = t2 * (t2 * minus - 2.0 * (wz - wy))
    cost3 = far + t3 * (t3 * minus - 2.0 * (rz - ry))
    cost4 = far + t4 * (t4 * plus - 2.0 * (rz + ry))
    near_c, near_d = t1 if cost1 <= cost2 else t2, t1 if cost1 <= cost2 else -t2
    far_c = 2.0 * s - (t3 if cost3 <= cost4 else t4)
    far_d = t3 if cost3 <= cost4 else -t4
    is_near = min(cost1, cost2) <= min(cost3, cost4)
    return near_c if is_near else far_c, near_d if is_near else far_d
