"""The end of the search for raw SVI's shape: Newton's method in all five parameters.

    C = sum_j (sqrt(1 + e_j^2) - 1) + prior / 2 ((m / sw)^2 + (ln(s / sw) - 1.6)^2)
    e_j = (w_j - f_j) / unit_j,   f = a + d y + c z,   y = (k - m) / s,   z = sqrt(y^2 + 1)

A valley of C is flat along its floor. A search that compares costs ends somewhere on it, and where
is up to rounding: prices in another currency unit would give another curve. With exact derivatives
the bottom itself is found, to where the gradient is nothing but rounding.

The parameters are a, d, c, m in units of s, and ln s. By m / s the curve's derivative is
v = -(d + c y / z), by ln s it is v y. With g = (w - f) / (unit^2 sqrt(1 + e^2)) and
h = 1 / (unit^2 (1 + e^2)^(3/2)) the gradient of C is -sum g f' and its curvature
sum h f' f'^T - sum g f'', plus what the prior adds.

Sources: Gatheral 2004 (raw SVI, in the quasi-explicit parameters of svi.py); the derivatives are
worked out here; METHODOLOGY rule 10.
"""

import math

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.special import exp

PRIOR_LOG_S = 1.6
"""The middle of s, as ln(s / sw): found by leaving out edges of recorded chains."""
LEAST_S, MOST_S = 0.2, 10.0
"""Bounds of s in units of sw."""
MOST_M = 6.0
"""Bound of |m| in units of sw."""
MOST_POLISHES = 6
"""Two or three are usual, as each squares the error."""
POLISHED = 1e-14
"""A step that promises less than this part of the cost leaves nothing but rounding."""
LEAST_GAIN = 1e-24
"""The same where the cost is 0."""

LANES = 16
"""Two of the widest vector registers. Loops of 8 the compiler unrolls before it vectorises."""

# Rows of the scratch, LANES wide. First the block of strikes at work.
_K, _W, _INVERSE_UNIT = range(3)
_COST, _G, _GY, _GZ, _GV, _GVY, _G_PER_Z, _GY_PER_Z, _G_PER_CUBE, _GY_PER_CUBE = range(3, 13)
"""Sums; a cube is that of z."""
_H, _HY, _HZ, _HV, _HVY, _HYY, _HYZ, _HYV, _HYVY, _HZV, _HZVY, _HVV, _HVVY, _HVYVY = range(13, 27)
_EQUATIONS = 27
"""Five: on and right of the diagonal the curvature, then the right side, then the solution."""
_RIGHT, _STEP = 5, 6
ROWS = _EQUATIONS + 5
_A, _D, _C, _BY_M, _BY_S = range(5)
"""Order of the parameters."""


@inlined
def unusual(m: float, log_s: float, sw: float, log_sw: float, prior: float) -> float:
    """Half the cost of a shape's distance from the usual one."""
    off_m, off_s = m / sw, log_s - log_sw - PRIOR_LOG_S
    return 0.5 * prior * (off_m * off_m + off_s * off_s)


@part
def polish(
    x: F64, first_row: int, block_rows: int, count: int, sw: float, log_sw: float, prior: float,
    a: float, d: float, c: float, m: float, log_s: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Go from a curve near the bottom of a valley to the bottom.

    On a bound of s the other four parameters move.

    Args:
        x: Rows of LANES, flat: ROWS of scratch, and the strikes.
        first_row: Of the first block of strikes.
        block_rows: From one block to the next. A block begins with k, w and 1 / unit of LANES
            strikes, a row each; 1 / unit is 0 where there is no strike.
        count: Strikes.
        sw: sqrt(w) at the money.
        log_sw: ln sw.
        prior: Of the shape.
        a: The curve's level, and so on to `log_s`.
        d: See `a`.
        c: See `a`.
        m: See `a`.
        log_s: See `a`.

    Returns:
        C, m and ln s. C is inf where Lee's bound, w >= 0 or the bound of m holds the curve, or
        where there is no bottom nearby.
    """
    least, most, widest = log_sw + math.log(LEAST_S), log_sw + math.log(MOST_S), MOST_M * sw
    for _ in range(MOST_POLISHES):
        s = exp(log_s)
        # The lowest point of the curve is a + sqrt(c^2 - d^2).
        is_free = abs(d) < min(c, 2.0 * s - c) and a * abs(a) > d * d - c * c and abs(m) < widest
        if not is_free:
            break
        _add_up(x, first_row, block_rows, count, a, d, c, m, exp(-log_s))
        cost = x[_COST * LANES] + unusual(m, log_s, sw, log_sw, prior)
        by_m, by_s = prior * (m / sw) * (s / sw), prior * (log_s - log_sw - PRIOR_LOG_S)
        _equate(x, c, by_m, by_s, prior * (s / sw) * (s / sw), prior)
        outwards = 1.0 if log_s >= most else -1.0 if log_s <= least else 0.0
        gain = _solve(x, outwards)
        if not gain >= 0.0:
            break
        at = _EQUATIONS * LANES + _STEP
        step = x[at + _BY_S * LANES]
        to = min(max(log_s + step, least), most)
        # A step beyond a bound ends on it, all of it: the other parameters go with s.
        share = 1.0 if to == log_s + step else (to - log_s) / step
        log_s = to
        a += share * x[at + _A * LANES]
        d += share * x[at + _D * LANES]
        c += share * x[at + _C * LANES]
        m += share * x[at + _BY_M * LANES] * s
        if share == 1.0 and gain <= POLISHED * cost + LEAST_GAIN:
            return cost, m, log_s
    return math.inf, m, log_s


@part
def _add_up(
    x: F64, first_row: int, block_rows: int, count: int,
    a: float, d: float, c: float, m: float, inverse_s: float,
) -> None:  # fmt: skip
    """Leave the sums over all strikes in the first lane of their rows."""
    for i in range(_COST * LANES, _EQUATIONS * LANES):
        x[i] = 0.0
    for block in range((count + LANES - 1) // LANES):
        at = (first_row + block * block_rows) * LANES
        # At fixed places of its own the compiler sees that no row overlaps another.
        for i in range(3 * LANES):
            x[i] = x[at + i]
        for i in range(LANES):
            inverse = x[_INVERSE_UNIT * LANES + i]
            y = (x[_K * LANES + i] - m) * inverse_s
            z = math.sqrt(y * y + 1.0)
            flat = 1.0 / z
            tilt = y * flat
            v = -(d + c * tilt)
            off = x[_W * LANES + i] - (a + d * y + c * z)
            e = off * inverse
            root = math.sqrt(1.0 + e * e)
            share = 1.0 / root
            h = inverse * inverse * share
            g = h * off
            h *= share * share
            vy, hv = v * y, h * v
            hvy, per_cube = hv * y, g * flat * (flat * flat)
            x[_COST * LANES + i] += root - 1.0
            x[_G * LANES + i] += g
            x[_GY * LANES + i] += g * y
            x[_GZ * LANES + i] += g * z
            x[_GV * LANES + i] += g * v
            x[_GVY * LANES + i] += g * vy
            x[_G_PER_Z * LANES + i] += g * flat
            x[_GY_PER_Z * LANES + i] += g * tilt
            x[_G_PER_CUBE * LANES + i] += per_cube
            x[_GY_PER_CUBE * LANES + i] += per_cube * y
            x[_H * LANES + i] += h
            x[_HY * LANES + i] += h * y
            x[_HZ * LANES + i] += h * z
            x[_HV * LANES + i] += hv
            x[_HVY * LANES + i] += hvy
            x[_HYY * LANES + i] += h * y * y
            x[_HYZ * LANES + i] += h * y * z
            x[_HYV * LANES + i] += hv * y
            x[_HYVY * LANES + i] += hvy * y
            x[_HZV * LANES + i] += hv * z
            x[_HZVY * LANES + i] += hvy * z
            x[_HVV * LANES + i] += hv * v
            x[_HVVY * LANES + i] += hv * vy
            x[_HVYVY * LANES + i] += hvy * vy
    for row in range(_COST, _EQUATIONS):
        total = 0.0
        for i in range(LANES // 2):
            total += x[row * LANES + i] + x[row * LANES + LANES // 2 + i]
        x[row * LANES] = total


@part
def _equate(x: F64, c: float, by_m: float, by_s: float, twice_m: float, twice_s: float) -> None:
    """Fill the equations of Newton's step from the sums.

    The last four arguments are the prior's derivatives by m / s and ln s, first and second.
    """
    e = _EQUATIONS * LANES
    x[e + _A], x[e + _D], x[e + _C] = x[_H * LANES], x[_HY * LANES], x[_HZ * LANES]
    x[e + _BY_M], x[e + _BY_S] = x[_HV * LANES], x[_HVY * LANES]
    x[e + _RIGHT] = x[_G * LANES]
    e += LANES
    x[e + _D], x[e + _C] = x[_HYY * LANES], x[_HYZ * LANES]
    x[e + _BY_M] = x[_HYV * LANES] + x[_G * LANES]
    x[e + _BY_S] = x[_HYVY * LANES] + x[_GY * LANES]
    x[e + _RIGHT] = x[_GY * LANES]
    e += LANES
    # z^2 = y^2 + 1
    x[e + _C] = x[_HYY * LANES] + x[_H * LANES]
    x[e + _BY_M] = x[_HZV * LANES] + x[_GY_PER_Z * LANES]
    x[e + _BY_S] = x[_HZVY * LANES] + x[_GZ * LANES] - x[_G_PER_Z * LANES]
    x[e + _RIGHT] = x[_GZ * LANES]
    e += LANES
    x[e + _BY_M] = x[_HVV * LANES] - c * x[_G_PER_CUBE * LANES] + twice_m
    x[e + _BY_S] = x[_HVVY * LANES] - c * x[_GY_PER_CUBE * LANES] + x[_GV * LANES]
    x[e + _RIGHT] = x[_GV * LANES] - by_m
    e += LANES
    bend = x[_G_PER_Z * LANES] - x[_G_PER_CUBE * LANES]
    x[e + _BY_S] = x[_HVYVY * LANES] - c * bend + x[_GVY * LANES] + twice_s
    x[e + _RIGHT] = x[_GVY * LANES] - by_s


@part
def _solve(x: F64, outwards: float) -> float:
    """Solve the symmetric equations by elimination (Cholesky without roots).

    `outwards` is 1 where ln s is at its upper bound, -1 at its lower one, else 0. There it stays if
    it would leave: it is the last unknown, so the others are then solved for all the same.

    Returns:
        What the step promises: half of it times the right side. NaN where there is no minimum.
    """
    gain = 0.0
    held = False
    for i in range(_BY_S + 1):
        row = (_EQUATIONS + i) * LANES
        right, pivot = x[row + _RIGHT], x[row + i]
        if i == _BY_S and outwards != 0.0 and outwards * right >= 0.0:
            held = True
            break
        if not pivot > 0.0:
            return math.nan
        inverse = 1.0 / pivot
        for j in range(i + 1, _BY_S + 1):
            below = (_EQUATIONS + j) * LANES
            share = x[row + j] * inverse
            for n in range(j, _BY_S + 1):
                x[below + n] -= share * x[row + n]
            x[below + _RIGHT] -= share * right
        gain += right * right * inverse
    for i in range(_BY_S, -1, -1):
        row = (_EQUATIONS + i) * LANES
        rest = x[row + _RIGHT]
        for j in range(i + 1, _BY_S + 1):
            rest -= x[row + j] * x[(_EQUATIONS + j) * LANES + _STEP]
        x[row + _STEP] = 0.0 if held and i == _BY_S else rest / x[row + i]
    return 0.5 * gain
