"""Smiles that a raw SVI made, with errors: k and w, the unit of each error, and sw."""

import numpy as np

from volgauge.kernels._jit import F64

SW = 0.2
"""Deviation at the money of `evenly`."""

Smile = tuple[F64, F64, F64, float]
"""k, w, unit and sw."""


def raw(p: tuple[float, ...], k: F64) -> F64:
    """Gatheral's formula: total variance of (a, b, rho, m, s)."""
    a, b, rho, m, s = p
    return a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + s**2))


def evenly(seed: int) -> Smile:
    """25 strikes at even distances and errors of a third of the unit."""
    generator = np.random.default_rng(seed)
    k = np.linspace(-2.2, 2.0, 25) * SW
    p = (
        0.4 * SW**2,
        generator.uniform(0.3, 0.6) * SW,
        generator.uniform(-0.6, 0.3),
        generator.uniform(-0.2, 0.2) * SW,
        generator.uniform(0.6, 1.5) * SW,
    )
    w = raw(p, k)
    unit = 0.03 * w * (1.0 + np.abs(k) / SW)
    return k, w + generator.normal(0.0, 1.0 / 3.0, 25) * unit, unit, SW
