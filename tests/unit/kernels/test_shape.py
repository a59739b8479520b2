"""The search for (m, s) against scipy from several starts, and against curves that are known."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import least_squares

from golden.smile_shapes import SW, Smile, evenly, raw
from volgauge.kernels import newton, shape, svi
from volgauge.kernels._jit import F64

NEAR = 1.001
SCIPY_STARTS = tuple((m, s) for m in (-0.5, 0.0, 0.5) for s in (0.4, 1.0, 2.5))


def found_shape(smile: Smile, prior: float = 0.0) -> tuple[float, float]:
    """Search from nothing, in scratch that holds anything."""
    k, w, unit, sw = smile
    scratch = np.full(shape.scratch_size(len(k)), math.nan)
    return shape.search(k, w, 1.0 / unit, 0, len(k), sw, scratch, shape.STARTS, prior)


def cost(smile: Smile, m: float, s: float, prior: float = 0.0) -> float:
    """Soft-L1 cost of the best curve of a shape, and the cost of the shape itself."""
    k, w, unit, sw = smile
    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    a, d, c = svi.solve(y, z, w, 1.0 / unit, np.zeros_like(k), 0, len(k), s, 80)
    errors = (w - a - d * y - c * z) / unit
    unusual = (m / sw) ** 2 + (math.log(s / sw) - newton.PRIOR_LOG_S) ** 2
    return float(np.sum(2.0 * (np.sqrt(1.0 + errors**2) - 1.0)) + prior * unusual)


def scipy_cost(smile: Smile, starts: tuple[tuple[float, float], ...], prior: float = 0.0) -> float:
    """The least that scipy's general solver reaches from several starts, within the constraints."""
    k, w, unit, sw = smile
    share = math.sqrt(prior)

    def errors(p: F64) -> F64:
        off = [p[3] / sw, math.log(p[4] / sw) - newton.PRIOR_LOG_S]
        return np.append((raw(tuple(p), k) - w) / unit, share * np.array(off))

    def slopes(p: F64) -> F64:
        _, b, rho, m, s = p
        x = k - m
        root = np.sqrt(x * x + s * s)
        columns = (np.ones_like(x), rho * x + root, b * x, -b * (rho + x / root), b * s / root)
        unusual = np.zeros((2, 5))
        unusual[0, 3], unusual[1, 4] = share / sw, share / s
        return np.vstack((np.stack(columns, axis=1) / unit[:, None], unusual))

    def loss(squares: F64) -> F64:
        """Soft-L1 for the strikes, plain squares for the shape's own cost."""
        root = np.sqrt(1.0 + squares)
        values = np.array([2.0 * (root - 1.0), 1.0 / root, -0.5 / root**3])
        values[:, -2:] = [squares[-2:], [1.0, 1.0], [0.0, 0.0]]
        return values

    best = math.inf
    for m, s in starts:
        found = least_squares(
            errors,
            [0.5 * sw**2, 0.5 * sw, 0.0, m * sw, s * sw],
            jac=slopes,
            bounds=(
                [-1.0, 0.0, -0.999999, -newton.MOST_M * sw, newton.LEAST_S * sw],
                [1.0, 2.0, 0.999999, newton.MOST_M * sw, newton.MOST_S * sw],
            ),
            loss=loss,
            x_scale=[sw**2, sw, 1.0, sw, sw],
        )
        a, b, rho, _, s_found = found.x
        # scipy knows bounds of single parameters only: a curve that the index may not draw.
        if b * (1.0 + abs(rho)) <= 2.0 and a + b * s_found * math.sqrt(1.0 - rho**2) >= 0.0:
            best = min(best, 2.0 * found.cost)
    return best


def noisy(generator: np.random.Generator, strikes: int, share: float) -> Smile:
    """A smile of any usual shape with errors of a share of the unit, some of them large."""
    sw = float(generator.uniform(0.05, 0.5))
    k = np.sort(generator.uniform(-2.3, 2.1, strikes)) * sw
    p = (
        0.4 * sw**2,
        generator.uniform(0.2, 0.8) * sw,
        generator.uniform(-0.9, 0.7),
        generator.uniform(-0.5, 0.5) * sw,
        generator.uniform(0.3, 2.0) * sw,
    )
    w = raw(p, k)
    unit = 0.03 * w * (1.0 + np.abs(k) / sw)
    errors = share * generator.normal(0.0, 1.0, strikes)
    errors += 0.1 * generator.standard_t(2.0, strikes)
    return k, np.maximum(w + errors * unit, 0.2 * w), unit, sw


def test_a_curve_without_errors_is_found_again() -> None:
    """Every parameter of a noise-free smile comes out."""
    k = np.linspace(-2.5, 2.5, 31) * SW
    p = (0.5 * SW**2, 0.5 * SW, -0.35, 0.1 * SW, 0.9 * SW)
    w, unit = raw(p, k), np.full(31, 1e-3 * SW**2)

    m, s = found_shape((k, w, unit, SW))

    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    a, d, c = svi.solve(y, z, w, 1.0 / unit, np.zeros(31), 0, 31, s, svi.SOLVE_PASSES)
    assert (a, c / s, d / c, m, s) == pytest.approx(p, rel=1e-4, abs=1e-5 * SW)


@pytest.mark.parametrize("seed", range(8))
def test_search_is_as_good_as_scipy_from_nine_starts(seed: int) -> None:
    """The cost is within 0.1 % of the best that scipy finds."""
    smile = evenly(seed)

    assert cost(smile, *found_shape(smile)) <= NEAR * scipy_cost(smile, SCIPY_STARTS)


@pytest.mark.parametrize(
    ("strikes", "share", "prior"),
    [(50, 0.3, 0.0), (50, 1.0, 0.0), (50, 0.3, 0.2), (12, 0.3, 0.2), (12, 1.0, 0.2), (7, 0.3, 0.2)],
)
def test_no_random_smile_is_fitted_better_by_scipy(
    strikes: int, share: float, prior: float
) -> None:
    """Thirty smiles of each kind; scipy starts thrice. Sparse ones with the index's own prior."""
    generator = np.random.default_rng(strikes)
    smiles = [noisy(generator, strikes, share) for _ in range(30)]

    ours = [cost(x, *found_shape(x, prior), prior) for x in smiles]
    theirs = [scipy_cost(x, ((0.0, 1.0), (-0.5, 0.4), (0.5, 3.0)), prior) for x in smiles]

    worse = [(i, a / b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a > NEAR * b]
    assert worse == []


def test_a_strike_of_weight_zero_does_not_count() -> None:
    """The same bits with a wild strike of weight 0 as without its influence."""
    k, w, unit, sw = evenly(1)
    unit[7] = math.inf
    wild = w.copy()
    wild[7] = 9.0

    assert found_shape((k, wild, unit, sw)) == found_shape((k, w, unit, sw))


def test_strikes_outside_the_range_do_not_count() -> None:
    """`first` and `last` cut the same smile out of a longer one."""
    k, w, unit, sw = evenly(2)
    scratch = np.zeros(shape.scratch_size(25))

    cut = shape.search(k, w, 1.0 / unit, 2, 20, sw, scratch, shape.STARTS, shape.PRIOR)

    assert cut == found_shape((k[2:20], w[2:20], unit[2:20], sw), shape.PRIOR)


@pytest.mark.parametrize("prior", [0.0, shape.PRIOR])
def test_the_shape_stays_inside_its_bounds(prior: float) -> None:
    """Pure noise does not lead to a kink between two strikes, nor far away."""
    generator = np.random.default_rng(5)
    for _ in range(50):
        k = np.sort(generator.uniform(-2.0, 2.0, 12)) * SW
        w = SW**2 * (1.0 + 0.2 * generator.uniform(-1.0, 1.0, 12))

        m, s = found_shape((k, w, np.full(12, 0.001), SW), prior)

        assert newton.LEAST_S * SW * (1.0 - 1e-12) <= s <= newton.MOST_S * SW * (1.0 + 1e-12)
        assert abs(m) <= newton.MOST_M * SW


def _mirrored(smile: Smile) -> Smile:
    k, w, unit, sw = smile
    return -k[::-1], w[::-1], unit[::-1], sw


def _larger(smile: Smile) -> Smile:
    k, w, unit, sw = smile
    return 3.0 * k, 9.0 * w, 9.0 * unit, 3.0 * sw


@pytest.mark.parametrize(
    ("changed", "by_m", "by_s"), [(_mirrored, -1.0, 1.0), (_larger, 3.0, 3.0)], ids=["mirror", "x3"]
)
def test_the_shape_moves_with_the_smile(
    changed: Callable[[Smile], Smile], by_m: float, by_s: float
) -> None:
    """A mirrored smile has the mirrored shape, one three times as wide a shape as wide."""
    for seed in range(10):
        smile = evenly(seed)

        m, s = found_shape(smile, shape.PRIOR)

        expected = (by_m * m, by_s * s)
        assert found_shape(changed(smile), shape.PRIOR) == pytest.approx(
            expected, rel=1e-10, abs=1e-10 * SW
        )


def test_an_outlier_does_not_bend_the_shape() -> None:
    """A strike that is 40 units off moves the curve at the money by less than 0.2 %."""
    k = np.linspace(-2.2, 2.0, 25) * SW
    p = (0.4 * SW**2, 0.45 * SW, -0.3, 0.05 * SW, 1.1 * SW)
    w = raw(p, k)
    unit = 0.01 * w
    wild = w.copy()
    wild[3] += 40.0 * unit[3]

    m, s = found_shape((k, wild, unit, SW), shape.PRIOR)

    y = (k - m) / s
    z = np.sqrt(y * y + 1.0)
    a, d, c = svi.solve(y, z, wild, 1.0 / unit, np.zeros(25), 0, 25, s, 80)
    fitted = a + d * y + c * z
    assert np.abs(fitted[6:] / w[6:] - 1.0).max() < 2e-3
