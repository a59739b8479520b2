"""The linear part of the SVI fit against numpy and scipy."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from golden.smile_shapes import SW, evenly
from volgauge.kernels import svi
from volgauge.kernels._jit import F64


def solved(k: F64, w: F64, unit: F64, m: float, s: float, passes: int) -> tuple[float, ...]:
    """(a, d, c) at given (m, s)."""
    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    return svi.solve(y, z, w, 1.0 / unit, np.zeros_like(k), 0, len(k), s, passes)


def cost(k: F64, w: F64, unit: F64, m: float, s: float) -> float:
    """Soft-L1 cost of the fit at (m, s)."""
    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    a, d, c = solved(k, w, unit, m, s, 60)
    return svi.soft_cost(y, z, w, 1.0 / unit, 0, len(k), a, d, c)


def test_one_pass_is_least_squares() -> None:
    """With unit weights and a sound smile the result is numpy's."""
    k, w, unit, _ = evenly(3)
    m, s = 0.02, 0.21
    y = (k - m) / s
    basis = np.column_stack([np.ones_like(y), y, np.sqrt(y * y + 1.0)])
    expected = np.linalg.lstsq(basis / unit[:, None], w / unit, rcond=None)[0]
    assert solved(k, w, unit, m, s, 1) == pytest.approx(tuple(expected), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_reweighting_ends_at_soft_l1(seed: int) -> None:
    """Many passes minimise the soft-L1 cost at fixed (m, s), as scipy's general solver does."""
    k, w, unit, _ = evenly(seed)
    w[4] *= 1.4
    m, s = 0.0, SW
    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)

    def soft(p: F64) -> float:
        return float(np.sum(2.0 * (np.sqrt(1.0 + ((w - p @ basis) / unit) ** 2) - 1.0)))

    basis = np.vstack([np.ones_like(y), y, z])
    start = np.array(solved(k, w, unit, m, s, 1))
    best = minimize(soft, start, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12})
    assert cost(k, w, unit, m, s) <= best.fun * (1.0 + 1e-6) + 1e-9


@pytest.mark.parametrize("tilt", [-3.0, -1.2, 1.2, 3.0])
def test_a_tilt_that_no_smile_has_ends_on_the_bound(tilt: float) -> None:
    """Outside the constraints the best point of their border is taken, as scipy finds it."""
    k = np.linspace(-2.0, 2.0, 21) * SW
    w = SW**2 * (1.0 + 0.1 * (k / SW) ** 2) + tilt * k
    unit = np.full(21, 0.01)
    m, s = 0.0, SW
    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    a, d, c = solved(k, w, unit, m, s, 1)
    assert c >= 0.0
    assert abs(d) <= min(c, 2.0 * s - c) * (1.0 + 1e-12)

    def plain(p: F64) -> float:
        return float(np.sum((w - p[0] - p[1] * y - p[2] * z) ** 2))

    best = minimize(
        plain,
        [SW**2, 0.0, 0.1 * s],
        constraints=[
            {"type": "ineq", "fun": lambda p: p[2] - p[1]},
            {"type": "ineq", "fun": lambda p: p[2] + p[1]},
            {"type": "ineq", "fun": lambda p: 2.0 * s - p[2] - p[1]},
            {"type": "ineq", "fun": lambda p: 2.0 * s - p[2] + p[1]},
        ],
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 500},
    )
    # The curve may not dip below 0 either; a may then be larger than the plain optimum's.
    if a > -math.sqrt(max(c * c - d * d, 0.0)):
        assert plain(np.array([a, d, c])) <= best.fun * (1.0 + 1e-6)
