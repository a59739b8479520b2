"""The vectorisable functions against 50 digits, and their bits everywhere."""

import math
from collections.abc import Callable
from math import isnan, nan

import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden import exact_black
from volgauge.kernels import special
from volgauge.kernels._jit import F64, Kernel, twin

SEED = 20_261_121


@numba.njit(error_model="numpy")
def exp_rows(x: F64, out: F64) -> None:
    """A loop like those that the function is written for."""
    for i in range(x.size):
        out[i] = special.exp(x[i])


@numba.njit(error_model="numpy")
def log_rows(x: F64, out: F64) -> None:
    """As above."""
    for i in range(x.size):
        out[i] = special.log(x[i])


@numba.njit(error_model="numpy")
def ratio_rows(x: F64, y: F64, out: F64) -> None:
    """As above."""
    for i in range(x.size):
        out[i] = special.log_ratio(x[i], y[i])


@numba.njit(error_model="numpy")
def erfcx_rows(x: F64, out: F64) -> None:
    """As above."""
    for i in range(x.size):
        out[i] = special.erfcx(x[i])


@numba.njit(error_model="numpy")
def pair_rows(x: F64, gap: F64, difference: F64, total: F64) -> None:
    """As above."""
    for i in range(x.size):
        difference[i], total[i] = special.erfcx_pair(x[i], gap[i])


def errors(received: F64, exact: list[mpmath.mpf]) -> float:
    """Largest relative error."""
    pairs = zip(received.tolist(), exact, strict=True)
    return max(exact_black.relative_error(value, true) for value, true in pairs)


def exact_erfcx(z: mpmath.mpf) -> mpmath.mpf:
    """By its definition."""
    return mpmath.exp(z * z) * mpmath.erfc(z)


def test_exp() -> None:
    """Within a unit of rounding from -708 to 709."""
    x = np.random.default_rng(SEED).uniform(-708.0, 709.0, 2_000)
    out = np.empty_like(x)

    exp_rows(x, out)

    with mpmath.workdps(50):
        assert errors(out, [mpmath.exp(value) for value in x]) < 2.0**-52


def test_exp_keeps_what_rounding_takes() -> None:
    """The sum of the pair is four times as exact as a double."""
    x = np.random.default_rng(SEED).uniform(-30.0, 0.0, 500)

    for value in x.tolist():
        high, low = special.exp_pair(value)
        with mpmath.workdps(50):
            assert abs((mpmath.mpf(high) + low) / mpmath.exp(value) - 1) < 2.0**-55


def test_exp_beyond_its_range() -> None:
    """Nothing, everything and the unknown."""
    assert special.exp(-708.1) == 0.0
    assert special.exp(-math.inf) == 0.0
    assert special.exp(709.1) == math.inf
    assert isnan(special.exp(nan))


def test_log() -> None:
    """Within a unit of rounding, from the smallest denormal number to the largest."""
    random = np.random.default_rng(SEED)
    x = np.concatenate(
        [10.0 ** random.uniform(-307.0, 308.0, 1_000), random.uniform(0.6, 1.6, 1_000),
         [5e-324, 1e-310, 2.2250738585072014e-308, 1.7976931348623157e308]]
    )  # fmt: skip
    out = np.empty_like(x)

    log_rows(x, out)

    with mpmath.workdps(50):
        assert errors(out, [mpmath.log(value) for value in x]) < 2.0**-52


def test_log_ratio_near_one() -> None:
    """Strikes next to the forward keep the digits that the quotient would round away."""
    random = np.random.default_rng(SEED)
    forward = random.uniform(90_000.0, 100_000.0, 2_000)
    strike = forward * (
        1.0 + random.choice([-1.0, 1.0], 2_000) * 10.0 ** random.uniform(-15, 1, 2_000)
    )
    strike = np.where(strike > 0.0, strike, forward * 1e-8)
    out = np.empty_like(forward)

    ratio_rows(strike, forward, out)

    with mpmath.workdps(50):
        exact = [mpmath.log(mpmath.mpf(a) / b) for a, b in zip(strike, forward, strict=True)]
        assert (
            max(
                abs(value - true) / abs(true) if true else abs(value)
                for value, true in zip(out.tolist(), exact, strict=True)
            )
            < 4e-16
        )


def test_log_ratio_of_equals() -> None:
    """At the money the logarithm is 0, not a rounding error."""
    assert special.log_ratio(95_123.7, 95_123.7) == 0.0


def test_erfcx() -> None:
    """From -1/4 to where it is 1 / (z sqrt pi)."""
    random = np.random.default_rng(SEED)
    x = np.concatenate([random.uniform(-0.25, 6.0, 1_000), 10.0 ** random.uniform(-9, 3, 1_000)])
    out = np.empty_like(x)

    erfcx_rows(x, out)

    with mpmath.workdps(50):
        assert errors(out, [exact_erfcx(mpmath.mpf(value)) for value in x]) < 2e-15


def test_difference_of_erfcx_keeps_its_digits() -> None:
    """However close the two arguments are."""
    random = np.random.default_rng(SEED)
    x = np.concatenate([random.uniform(-0.25, 6.0, 500), 10.0 ** random.uniform(-3, 2, 500) - 0.25])
    gap = 10.0 ** random.uniform(-12.0, 1.5, x.size)
    difference, total = np.empty_like(x), np.empty_like(x)

    pair_rows(x, gap, difference, total)

    with mpmath.workdps(50):
        ends = [(mpmath.mpf(a), mpmath.mpf(a) + b) for a, b in zip(x, gap, strict=True)]
        assert errors(difference, [exact_erfcx(a) - exact_erfcx(b) for a, b in ends]) < 4e-15
        assert errors(total, [exact_erfcx(a) + exact_erfcx(b) for a, b in ends]) < 4e-15


def test_coarse_pair() -> None:
    """Five digits."""
    for z in (-0.25, -0.1, 0.0, 0.3, 1.0, 3.0, 9.0, 40.0):
        for gap in (1e-9, 1e-3, 0.2, 1.0, 6.0):
            fine = special.erfcx_pair(z, gap)

            assert special.coarse_erfcx_pair(z, gap) == pytest.approx(fine, rel=1e-5)


@settings(deadline=None)
@given(st.floats(-700.0, 700.0), st.floats(1e-300, 1e300), st.floats(-0.25, 60.0))
def test_twins(x: float, positive: float, z: float) -> None:
    """Compiled code and Python give the same bits: nothing is fused or reordered."""
    assert twin(special.exp_pair)(x) == special.exp_pair(x)
    assert twin(special.log)(positive) == special.log(positive)
    assert twin(special.log_ratio)(positive, 3.0) == special.log_ratio(positive, 3.0)
    assert twin(special.erfcx)(z) == special.erfcx(z)
    assert twin(special.erfcx_pair)(z, 0.125) == special.erfcx_pair(z, 0.125)


def test_bits_of_a_float() -> None:
    """IEEE 754: 1.0 is the biased exponent 1023 and nothing else; the way back is the same."""
    assert special.bits_of(1.0) == 1023 << 52
    assert special.bits_of(-0.0) == -(1 << 63)
    assert special.from_bits(1024 << 52) == 2.0


def chain_points() -> tuple[F64, F64]:
    """Log moneyness and deviations from the money to prices of 1e-290, both sides."""
    random = np.random.default_rng(SEED)
    s = 10.0 ** random.uniform(-6.0, 1.0, 1_500)
    k = random.choice([-1.0, 1.0], s.size) * s * random.uniform(0.0, 35.0, s.size)
    keep = np.abs(k) < 20.0
    return np.ascontiguousarray(k[keep]), np.ascontiguousarray(s[keep])


def test_prices_keep_their_digits_in_deep_wings() -> None:
    """As far as k and s determine a price: an error of theirs grows by (k/s)^2 + s^2."""
    k, s = chain_points()
    out = np.empty_like(k)

    special.otm_prices(k, s, out, k.size)

    assert out.min() < 1e-250
    for ki, si, price in zip(k.tolist(), s.tolist(), out.tolist(), strict=True):
        grown = 1.0 + (ki / si) ** 2 + si * si
        assert exact_black.relative_error(price, exact_black.otm_price(ki, si)) < 5e-15 * grown


def test_vegas() -> None:
    """n(d1), as far as k and s determine it."""
    k, s = chain_points()
    out = np.empty_like(k)

    special.vegas(k, s, out, k.size)

    for ki, si, vega in zip(k.tolist(), s.tolist(), out.tolist(), strict=True):
        grown = 1.0 + (ki / si) ** 2 + si * si
        assert exact_black.relative_error(vega, exact_black.vega(ki, si)) < 2e-15 * grown


@pytest.mark.parametrize("kernel", [special.otm_prices, special.vegas], ids=["price", "vega"])
def test_unknown_in_unknown_out(kernel: Kernel[[F64, F64, F64, int], None]) -> None:
    """NaN for an unknown argument or a deviation that is none."""
    k = np.array([nan, 0.1, 0.1, 0.1, 0.0])
    s = np.array([0.1, nan, 0.0, -0.1, 0.0])
    out = np.zeros(5)

    kernel(k, s, out, 5)

    assert np.isnan(out).all()


@pytest.mark.parametrize("kernel", [special.otm_prices, special.vegas], ids=["price", "vega"])
def test_far_wings_are_worth_nothing(kernel: Kernel[[F64, F64, F64, int], None]) -> None:
    """A price below the range of doubles is 0, also where squares overflow."""
    k = np.array([-5.0, 5.0, -1.0, 1.0])
    s = np.array([0.01, 0.01, 1e-200, 1e-300])
    out = np.empty(4)

    kernel(k, s, out, 4)

    assert out.tolist() == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("kernel", [special.otm_prices, special.vegas], ids=["price", "vega"])
@pytest.mark.parametrize("count", [1, 3, 7, 8, 9, 16, 23, 50])
def test_a_value_does_not_depend_on_its_place(
    kernel: Kernel[[F64, F64, F64, int], None], count: int
) -> None:
    """Every lane, and the remainder that is no vector, give the bits of the Python twin."""
    points = chain_points()
    k, s = points[0][:count].copy(), points[1][:count].copy()
    out, alone = np.empty(count), np.empty(1)

    kernel(k, s, out, count)

    for i in range(count):
        kernel(k[i : i + 1], s[i : i + 1], alone, 1)
        assert alone[0] == out[i]
    by_python: Callable[[F64, F64, F64, int], None] = twin(kernel)
    again = np.empty(count)
    by_python(k, s, again, count)
    assert again.tolist() == out.tolist()


def test_only_count_places_are_written() -> None:
    """What lies behind in a row of a work array stays."""
    k, s = chain_points()
    out = np.full(20, -7.0)

    special.otm_prices(k, s, out, 11)

    assert (out[:11] >= 0.0).all()
    assert (out[11:] == -7.0).all()
