"""Raw SVI by the quasi-explicit method: an outer search over (m, s), the rest by linear algebra.

    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)) = a + d y + c z
    y = (k - m) / s, z = sqrt(y^2 + 1), c = b s, d = rho b s

At fixed (m, s) the curve is linear in (a, d, c). Errors are measured in units of the strike and by
soft-L1, that is by reweighting: weight 1 / sqrt(1 + e^2), from 1 on, in a fixed number of passes.
Constraints: b >= 0, |rho| <= 1, b (1 + |rho|) <= 2 (Lee's bound on the wings), w >= 0. In (c, d)
the first three are the rhombus |d| <= min(c, 2 s - c).

The search looks at 24 points at a time, which are the lanes of the vector loops: first a coarse
grid, then finer and finer ones around the best point so far. It starts from nothing, so the result
depends on the quotes alone.
Sources: Gatheral 2004; Zeliade, Quasi-explicit calibration of Gatheral's SVI model, 2009;
METHODOLOGY rule 10.
"""

import math

import numpy as np

from volgauge.kernels._jit import F64, inlined, part

LANES = 24
"""Of a fine grid of 5 x 5 points the last corner has no lane."""
SIDE = 5
ROUNDS = 7
"""Grids after the first."""
SEARCH_PASSES = 2
SOLVE_PASSES = 6

COARSE_M = (-1.25, -0.75, -0.25, 0.25, 0.75, 1.25)
"""In units of sw, the deviation at the money."""
COARSE_S = (0.25, 0.6299605249474366, 1.5874010519681994, 4.0)
"""In units of sw: steps of 4^(2/3)."""
FIRST_STEP_M = 0.25
FIRST_STEP_LOG_S = 0.46209812037329684
"""Half of the coarse steps."""
SHRINK = 0.5
PRIOR = 0.2
PRIOR_LOG_S = 1.6
"""The middle of s, as ln(s / sw): found by leaving out edges of recorded chains."""
ROUGH_ROUNDS = 2
ROUGH_PRIOR = 0.5
"""A search that only has to tell whether an outermost strike belongs to the others."""
LEAST_S, MOST_S = 0.2, 10.0
"""Bounds of s in units of sw."""
LEAST_VARIANCE = 1e-12

# Rows of the lanes' scratch, LANES wide; the rows of z, one a strike, follow.
_M, _INV_S, _LOG_S, _A, _D, _C, _COST = range(7)
_U, _UY, _UZ, _UYY, _UYZ, _UW, _UWY, _UWZ, _UWW, _INV_U = range(7, 17)
_Z = 17


def lanes_size(longest: int) -> int:
    """Size of the flat float64 scratch of `search` for at most `longest` strikes."""
    return (_Z + longest) * LANES


@inlined
def svi_variance(a: float, b: float, rho: float, m: float, s: float, k: float) -> float:
    """Total variance of the curve at k, >= 1e-12."""
    x = k - m
    return max(a + b * (rho * x + math.sqrt(x * x + s * s)), LEAST_VARIANCE)


@part
def _sum_plain(k: F64, w: F64, inverse_unit: F64, first: int, last: int, lanes: F64) -> None:
    """First pass: all lanes weigh alike, so only the sums with z need a lane of their own."""
    su = suk = sukk = suw = sukw = suww = 0.0
    for lane in range(LANES):
        lanes[_UZ * LANES + lane] = 0.0
        lanes[_UYZ * LANES + lane] = 0.0
        lanes[_UWZ * LANES + lane] = 0.0
    for j in range(first, last):
        row = (_Z + j) * LANES
        kj, wj = k[j], w[j]
        u = inverse_unit[j] * inverse_unit[j]
        uw = u * wj
        su += u
        suk += u * kj
        sukk += u * kj * kj
        suw += uw
        sukw += uw * kj
        suww += uw * wj
        for lane in range(LANES):
            y = (kj - lanes[_M * LANES + lane]) * lanes[_INV_S * LANES + lane]
            z = math.sqrt(y * y + 1.0)
            lanes[row + lane] = z
            lanes[_UZ * LANES + lane] += u * z
            lanes[_UYZ * LANES + lane] += u * y * z
            lanes[_UWZ * LANES + lane] += uw * z
    for lane in range(LANES):
        m, inverse = lanes[_M * LANES + lane], lanes[_INV_S * LANES + lane]
        lanes[_U * LANES + lane] = su
        lanes[_UY * LANES + lane] = (suk - m * su) * inverse
        lanes[_UYY * LANES + lane] = (sukk - 2.0 * m * suk + m * m * su) * inverse * inverse
        lanes[_UW * LANES + lane] = suw
        lanes[_UWY * LANES + lane] = (sukw - m * suw) * inverse
        lanes[_UWW * LANES + lane] = suww
        lanes[_INV_U * LANES + lane] = 0.0


@part
def _sum_weighted(k: F64, w: F64, inverse_unit: F64, first: int, last: int, lanes: F64) -> None:
    """Second pass: each lane weighs by its own errors."""
    for i in range(_U * LANES, (_INV_U + 1) * LANES):
        lanes[i] = 0.0
    for j in range(first, last):
        row = (_Z + j) * LANES
        kj, wj = k[j], w[j]
        square = inverse_unit[j] * inverse_unit[j]
        for lane in range(LANES):
            y = (kj - lanes[_M * LANES + lane]) * lanes[_INV_S * LANES + lane]
            z = lanes[row + lane]
            e = (
                wj
                - lanes[_A * LANES + lane]
                - lanes[_D * LANES + lane] * y
                - lanes[_C * LANES + lane] * z
            )
            root = math.sqrt(1.0 + e * e * square)
            u = square / root
            uy, uz, uw = u * y, u * z, u * wj
            lanes[_U * LANES + lane] += u
            lanes[_UY * LANES + lane] += uy
            lanes[_UZ * LANES + lane] += uz
            lanes[_UYY * LANES + lane] += uy * y
            lanes[_UYZ * LANES + lane] += uy * z
            lanes[_UW * LANES + lane] += uw
            lanes[_UWY * LANES + lane] += uw * y
            lanes[_UWZ * LANES + lane] += uw * z
            lanes[_UWW * LANES + lane] += uw * wj
            lanes[_INV_U * LANES + lane] += root + 1.0 / root


@part
def _solve_lanes(lanes: F64) -> None:
    """From sums to (a, d, c), pressed into the constraints, and to the cost.

    The cost is the bound of soft-L1 that the weights w of a pass stand for,
    2 sqrt(1 + e^2) <= w (1 + e^2) + 1 / w, which needs no further pass over the strikes.
    """
    for lane in range(LANES):
        inverse = 1.0 / lanes[_U * LANES + lane]
        y_mean = lanes[_UY * LANES + lane] * inverse
        z_mean = lanes[_UZ * LANES + lane] * inverse
        w_mean = lanes[_UW * LANES + lane] * inverse
        yy = lanes[_UYY * LANES + lane] - lanes[_UY * LANES + lane] * y_mean
        yz = lanes[_UYZ * LANES + lane] - lanes[_UY * LANES + lane] * z_mean
        # z^2 = y^2 + 1
        zz = lanes[_UYY * LANES + lane] + lanes[_U * LANES + lane]
        zz -= lanes[_UZ * LANES + lane] * z_mean
        wy = lanes[_UWY * LANES + lane] - lanes[_UY * LANES + lane] * w_mean
        wz = lanes[_UWZ * LANES + lane] - lanes[_UZ * LANES + lane] * w_mean
        ww = lanes[_UWW * LANES + lane] - lanes[_UW * LANES + lane] * w_mean
        determinant = yy * zz - yz * yz
        # A lane that sees a straight line only has no curvature to find: c = 0.
        scale = 1.0 / determinant if determinant > 1e-13 * yy * zz else 0.0
        c = (wz * yy - wy * yz) * scale
        twice_s = 2.0 / lanes[_INV_S * LANES + lane]
        c = min(max(c, 0.0), twice_s)
        most = min(c, twice_s - c)
        d = (wy - c * yz) / yy
        d = min(max(d, -most), most)
        a = w_mean - d * y_mean - c * z_mean
        shift = max(a, -math.sqrt(c * c - d * d)) - a
        lanes[_A * LANES + lane] = a + shift
        lanes[_D * LANES + lane] = d
        lanes[_C * LANES + lane] = c
        quadratic = ww + d * d * yy + c * c * zz + 2.0 * (c * d * yz - d * wy - c * wz)
        quadratic += shift * shift * lanes[_U * LANES + lane]
        lanes[_COST * LANES + lane] = quadratic + lanes[_INV_U * LANES + lane]


@part
def search(
    k: F64,
    w: F64,
    inverse_unit: F64,
    first: int,
    last: int,
    sw: float,
    lanes: F64,
    rounds: int,
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
        lanes: (>= lanes_size(last),) scratch.
        rounds: Fine grids.
        prior: Cost of a distance of sw from m = 0, or of a factor e in s from the usual one.
    """
    for i in range(len(COARSE_M)):
        for j in range(len(COARSE_S)):
            lane = i * len(COARSE_S) + j
            lanes[_M * LANES + lane] = COARSE_M[i] * sw
            lanes[_LOG_S * LANES + lane] = math.log(COARSE_S[j] * sw)
            lanes[_INV_S * LANES + lane] = 1.0 / (COARSE_S[j] * sw)
    log_sw = math.log(sw)
    least_log, most_log = math.log(LEAST_S * sw), math.log(MOST_S * sw)
    step_m, step_log = FIRST_STEP_M * sw, FIRST_STEP_LOG_S
    best_m = best_log = 0.0
    best = math.inf
    for turn in range(rounds + 1):
        _sum_plain(k, w, inverse_unit, first, last, lanes)
        _solve_lanes(lanes)
        _sum_weighted(k, w, inverse_unit, first, last, lanes)
        _solve_lanes(lanes)
        for lane in range(LANES):
            off_m = lanes[_M * LANES + lane] / sw
            off_s = lanes[_LOG_S * LANES + lane] - log_sw - PRIOR_LOG_S
            lanes[_COST * LANES + lane] += prior * (off_m * off_m + off_s * off_s)
        lowest = math.inf
        chosen = 0
        for lane in range(LANES):
            if lanes[_COST * LANES + lane] < lowest:
                lowest = lanes[_COST * LANES + lane]
                chosen = lane
        centre_m = lanes[_M * LANES + chosen]
        centre_log = lanes[_LOG_S * LANES + chosen]
        if lowest < best:
            best, best_m, best_log = lowest, centre_m, centre_log
        else:
            centre_m, centre_log = best_m, best_log
        if turn > 0 and lowest == best:
            i, j = chosen // SIDE, chosen % SIDE
            if 0 < i < SIDE - 1 and 0 < j < SIDE - 1 and i + j < 2 * SIDE - 4:
                shift_m, shift_log = _parabola(lanes, chosen)
                centre_m += shift_m * step_m
                centre_log += shift_log * step_log
                step_m *= SHRINK
                step_log *= SHRINK
        elif turn > 0:
            step_m *= SHRINK
            step_log *= SHRINK
        for lane in range(LANES):
            log_s = centre_log + (lane % SIDE - SIDE // 2) * step_log
            log_s = min(max(log_s, least_log), most_log)
            lanes[_M * LANES + lane] = centre_m + (lane // SIDE - SIDE // 2) * step_m
            lanes[_LOG_S * LANES + lane] = log_s
            lanes[_INV_S * LANES + lane] = math.exp(-log_s)
    return best_m, math.exp(best_log)


@part
def _parabola(lanes: F64, lane: int) -> tuple[float, float]:
    """Minimum of the parabola through the 3 x 3 points around a lane, in steps, within +-1."""
    at = _COST * LANES + lane
    middle = lanes[at]
    up, down = lanes[at + SIDE], lanes[at - SIDE]
    right, left = lanes[at + 1], lanes[at - 1]
    gm, gs = 0.5 * (up - down), 0.5 * (right - left)
    mm, ss = up + down - 2.0 * middle, right + left - 2.0 * middle
    ms = 0.25 * (
        lanes[at + SIDE + 1] + lanes[at - SIDE - 1] - lanes[at + SIDE - 1] - lanes[at - SIDE + 1]
    )
    determinant = mm * ss - ms * ms
    if not (mm > 0.0 and determinant > 0.0):
        return 0.0, 0.0
    shift_m = (ms * gs - ss * gm) / determinant
    shift_s = (ms * gm - mm * gs) / determinant
    return min(max(shift_m, -1.0), 1.0), min(max(shift_s, -1.0), 1.0)


@part
def weigh(
    y: F64, z: F64, w: F64, inverse_unit: F64, weight: F64, first: int, last: int,
    a: float, d: float, c: float,
) -> None:  # fmt: skip
    """Weights of the next pass: 1 / unit^2 over sqrt(1 + e^2). One vector loop."""
    for j in range(first, last):
        unit = inverse_unit[j]
        e = (w[j] - a - d * y[j] - c * z[j]) * unit
        weight[j] = unit * unit / math.sqrt(1.0 + e * e)


@part
def solve(
    y: F64,
    z: F64,
    w: F64,
    inverse_unit: F64,
    weight: F64,
    first: int,
    last: int,
    s: float,
    passes: int,
) -> tuple[float, float, float]:
    """Fit (a, d, c) at given y and z, exactly within the constraints.

    Args:
        y: (>= last,) (k - m) / s.
        z: (>= last,) sqrt(y^2 + 1).
        w: (>= last,) total variance.
        inverse_unit: (>= last,) 1 / unit of error; 0 leaves the strike out.
        weight: (>= last,) scratch.
        first: The strikes first <= j < last are fitted.
        last: See `first`.
        s: The outer parameter.
        passes: How often; the first is plain least squares.
    """
    for j in range(first, last):
        weight[j] = inverse_unit[j] * inverse_unit[j]
    a = d = c = 0.0
    for turn in range(passes):
        if turn > 0:
            weigh(y, z, w, inverse_unit, weight, first, last, a, d, c)
        su = suy = suz = suyy = suyz = suzz = suw = suwy = suwz = 0.0
        for j in range(first, last):
            u, yj, zj, wj = weight[j], y[j], z[j], w[j]
            uy, uz, uw = u * yj, u * zj, u * wj
            su += u
            suy += uy
            suz += uz
            suyy += uy * yj
            suyz += uy * zj
            suzz += uz * zj
            suw += uw
            suwy += uw * yj
            suwz += uw * zj
        y_mean, z_mean, w_mean = suy / su, suz / su, suw / su
        yy, yz, zz = suyy - suy * y_mean, suyz - suy * z_mean, suzz - suz * z_mean
        wy, wz = suwy - suy * w_mean, suwz - suz * w_mean
        determinant = yy * zz - yz * yz
        if determinant > 1e-13 * yy * zz:
            c = (wz * yy - wy * yz) / determinant
            d = (wy * zz - wz * yz) / determinant
        else:
            c, d = 0.0, 0.0
        if not (c >= 0.0 and abs(d) <= min(c, 2.0 * s - c)):
            c, d = _on_the_rhombus(yy, yz, zz, wy, wz, s)
        a = max(w_mean - d * y_mean - c * z_mean, -math.sqrt(max(c * c - d * d, 0.0)))
    return a, d, c


@part
def _on_the_rhombus(
    yy: float, yz: float, zz: float, wy: float, wz: float, s: float
) -> tuple[float, float]:
    """Least squares on the border of |d| <= min(c, 2 s - c): the best point of its four edges.

    Edges run (c, d) = (c0, d0) + t (c1, d1), 0 <= t <= s. The cost is a quadratic in t.
    """
    best = math.inf
    best_c = best_d = 0.0
    for edge in range(4):
        c0 = 0.0 if edge < 2 else 2.0 * s
        c1 = 1.0 if edge < 2 else -1.0
        d1 = 1.0 if edge % 2 == 0 else -1.0
        # cost(c, d) = zz c^2 + 2 yz c d + yy d^2 - 2 wz c - 2 wy d
        curve = zz * c1 * c1 + 2.0 * yz * c1 * d1 + yy * d1 * d1
        slope = (zz * c0 - wz) * c1 + (yz * c0 - wy) * d1
        t = min(max(-slope / curve, 0.0), s) if curve > 0.0 else 0.0
        c, d = c0 + c1 * t, d1 * t
        cost = zz * c * c + 2.0 * yz * c * d + yy * d * d - 2.0 * wz * c - 2.0 * wy * d
        if cost < best:
            best, best_c, best_d = cost, c, d
    return best_c, best_d


@part
def soft_cost(
    y: F64, z: F64, w: F64, inverse_unit: F64, first: int, last: int,
    a: float, d: float, c: float,
) -> float:  # fmt: skip
    """Sum of 2 (sqrt(1 + e^2) - 1)."""
    total = 0.0
    for j in range(first, last):
        e = (w[j] - a - d * y[j] - c * z[j]) * inverse_unit[j]
        total += 2.0 * (math.sqrt(1.0 + e * e) - 1.0)
    return total


def scratch(longest: int) -> F64:
    """Scratch of `search` for at most `longest` strikes."""
    return np.zeros(lanes_size(longest))
