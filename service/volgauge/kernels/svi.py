"""Raw SVI by the quasi-explicit method: at fixed (m, s) the curve is found by linear algebra.

    w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)) = a + d y + c z
    y = (k - m) / s, z = sqrt(y^2 + 1), c = b s, d = rho b s

At fixed (m, s) the curve is linear in (a, d, c). Errors are measured in units of the strike and by
soft-L1, that is by reweighting: weight 1 / sqrt(1 + e^2), from 1 on, in a fixed number of passes.
Constraints: b >= 0, |rho| <= 1, b (1 + |rho|) <= 2 (Lee's bound on the wings), w >= 0. In (c, d)
the first three are the rhombus |d| <= min(c, 2 s - c).

How (m, s) are found: shape.py.
Sources: Gatheral 2004; Zeliade, Quasi-explicit calibration of Gatheral's SVI model, 2009;
METHODOLOGY rule 10.
"""

import math

from volgauge.kernels._jit import F64, inlined, part

SOLVE_PASSES = 6
LEAST_VARIANCE = 1e-12


@inlined
def svi_variance(a: float, b: float, rho: float, m: float, s: float, k: float) -> float:
    """Total variance of the curve at k, >= 1e-12."""
    x = k - m
    return max(a + b * (rho * x + math.sqrt(x * x + s * s)), LEAST_VARIANCE)


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
