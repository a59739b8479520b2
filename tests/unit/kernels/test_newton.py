"""The bottom of a valley: no gradient is left there, and rounding cannot move it."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.smile_shapes import SW, Smile, evenly, raw
from volgauge.kernels import newton, shape, svi
from volgauge.kernels._jit import F64

SEEDS = range(10)
BLOCK = 3
"""Rows of k, w and 1 / unit."""


def cost(smile: Smile, p: NDArray[np.complex128], prior: float) -> complex:
    """C of the docstring, from its words; p is (a, d, c, m, ln s), complex for its derivative."""
    k, w, unit, sw = smile
    a, d, c, m, log_s = p
    y = (k - m) / np.exp(log_s)
    e = (w - a - d * y - c * np.sqrt(y * y + 1.0)) / unit
    unusual = (m / sw) ** 2 + (log_s - math.log(sw) - 1.6) ** 2
    return complex(np.sum(np.sqrt(1.0 + e * e) - 1.0) + 0.5 * prior * unusual)


def gradient(smile: Smile, p: F64, prior: float) -> F64:
    """By complex steps: exact to the last bits, without a formula of its own."""
    steps = 1e-30j * np.eye(5)
    return np.array([cost(smile, p + step, prior).imag / 1e-30 for step in steps])


def curve(smile: Smile, m: float, s: float) -> tuple[float, float, float]:
    """The best (a, d, c) of a shape."""
    k, w, unit, _ = smile
    y = (k - m) / s
    return svi.solve(
        y, np.sqrt(y * y + 1.0), w, 1.0 / unit, np.zeros_like(k), 0, len(k), s, 400
    )  # fmt: skip


def found_shape(smile: Smile) -> tuple[float, float]:
    """Search from nothing."""
    k, w, unit, sw = smile
    scratch = np.zeros(shape.scratch_size(len(k)))
    return shape.search(k, w, 1.0 / unit, 0, len(k), sw, scratch, shape.STARTS, shape.PRIOR)


def bottom(smile: Smile, m: float, s: float, prior: float) -> tuple[float, float, float]:
    """Polish the best curve of a shape."""
    k, w, unit, sw = smile
    blocks = -(-len(k) // newton.LANES)
    x = np.full((newton.ROWS + BLOCK * blocks) * newton.LANES, math.nan)
    strikes = x[newton.ROWS * newton.LANES :].reshape(blocks, BLOCK, newton.LANES)
    strikes[:] = 0.0
    for j in range(len(k)):
        strikes[j // newton.LANES, :, j % newton.LANES] = k[j], w[j], 1.0 / unit[j]
    a, d, c = curve(smile, m, s)
    return newton.polish(
        x, newton.ROWS, BLOCK, len(k), sw, math.log(sw), prior, a, d, c, m, math.log(s)
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_no_gradient_is_left(seed: int) -> None:
    """From 1 % beside the bottom: what remains is 1e-9 of what one unit's error weighs."""
    smile = evenly(seed)
    m, s = found_shape(smile)

    lowest, m, log_s = bottom(smile, m + 0.01 * SW, 1.01 * s, shape.PRIOR)

    s = math.exp(log_s)
    p = np.array([*curve(smile, m, s), m, log_s])
    assert lowest == pytest.approx(cost(smile, p.astype(complex), shape.PRIOR).real, rel=1e-12)
    by_m, by_s = gradient(smile, p, shape.PRIOR)[3:]
    assert abs(by_m) * s < 1e-9
    assert abs(by_s) < 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_every_way_leads_to_the_same_bottom(seed: int) -> None:
    """Starts on all sides end within 1e-10 of each other."""
    smile = evenly(seed)
    m, s = found_shape(smile)

    for by_m, by_s in ((0.01, 1.0), (-0.01, 1.0), (0.0, 1.01), (0.0, 0.99)):
        _, other_m, log_s = bottom(smile, m + by_m * SW, s * by_s, shape.PRIOR)

        assert abs(other_m - m) < 1e-10 * s
        assert log_s == pytest.approx(math.log(s), abs=1e-10)


def test_on_a_bound_of_s_the_others_move() -> None:
    """A parabola wants s without end: it stays at the bound, and m is the best there."""
    k = np.linspace(-4.0, 4.0, 30) * SW
    smile = (k, SW**2 * (1.0 + 0.3 * (k / SW - 0.2) ** 2), np.full(30, 0.01 * SW**2), SW)
    most = math.log(newton.MOST_S * SW)

    lowest, m, log_s = bottom(smile, 0.01 * SW, 0.999 * math.exp(most), shape.PRIOR)

    assert lowest < math.inf
    assert log_s == pytest.approx(most, abs=1e-12)
    p = np.array([*curve(smile, m, math.exp(log_s)), m, log_s])
    by_m, by_s = gradient(smile, p, shape.PRIOR)[3:]
    assert abs(by_m) * math.exp(log_s) < 1e-7
    assert by_s < -1.0


def test_where_the_bound_is_not_wanted_it_is_left() -> None:
    """From the bound back to a bottom a little inside."""
    k = np.linspace(-2.2, 2.0, 25) * SW
    s = 0.995 * newton.MOST_S * SW
    w = raw((-SW * s, SW, -0.2, 0.05 * SW, s), k) + 2.0 * SW**2
    smile = (k, w, np.full(25, 1e-4 * SW**2), SW)

    _, m, log_s = bottom(smile, 0.05 * SW, newton.MOST_S * SW, 0.0)

    assert (m, math.exp(log_s)) == pytest.approx((0.05 * SW, s), rel=1e-4)


@pytest.mark.parametrize(
    "w",
    [
        lambda k: 0.5 + 2.5 * np.abs(k),
        lambda k: np.maximum(0.0, 2.0 * np.abs(k) - 0.3 * SW),
        lambda k: SW**2 * (1.0 - (k / SW) ** 2 / 20.0),
    ],
    ids=["steeper than Lee allows", "zero in the middle", "bent downwards"],
)
def test_a_curve_on_another_bound_is_not_taken(w: object) -> None:
    """The search knows those bounds; here they would be crossed."""
    k = np.linspace(-2.0, 2.0, 25) * SW
    values = w(k)  # type: ignore[operator] # a function of k

    lowest, _, _ = bottom((k, values, np.full(25, 0.01 * SW**2), SW), 0.0, SW, shape.PRIOR)

    assert lowest == math.inf


@pytest.mark.parametrize("strikes", [7, 16, 17, 48])
def test_rounding_does_not_move_the_end_of_a_search(strikes: int) -> None:
    """Last bits of k and w changed at random: the same shape to 1e-9."""
    generator = np.random.default_rng(strikes)
    for _ in range(20):
        k = np.sort(generator.uniform(-2.3, 2.1, strikes)) * SW
        w = raw((0.4 * SW**2, 0.45 * SW, -0.3, 0.05 * SW, 1.1 * SW), k)
        unit = 0.03 * w * (1.0 + np.abs(k) / SW)
        w = w + generator.normal(0.0, 0.3, strikes) * unit

        ends = []
        for _ in range(5):
            bits = 1.0 + 2e-16 * generator.integers(-1, 2, (2, strikes))
            m, s = found_shape((k * bits[0], w * bits[1], unit, SW))
            ends.append((m / SW, math.log(s / SW)))

        assert np.ptp(ends, axis=0).max() < 1e-9
