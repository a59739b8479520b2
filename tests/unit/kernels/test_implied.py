"""Implied deviations: the root, by 60 digits, of a price taken as the double that it is."""

import re
from collections.abc import Callable, Iterator
from math import exp, inf, isnan, log10, nan, sqrt
from typing import Any

import llvmlite.binding
import mpmath
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from golden import exact_black
from unit.kernels.test_black import exact_price
from volgauge.kernels import implied, special
from volgauge.kernels._jit import F64, compiled_count, twin
from volgauge.kernels.implied import implied_deviation, implied_deviations, implied_vols

SEED = 20_261_121
ON_THE_CHAIN = 1e-13
ANYWHERE = 2e-12
DIVISIONS = 14
"""In the start and the two steps, with their logarithms."""
SQUARE_ROOTS = 4
DAYS = (0.35, 1.0, 2.0, 5.0, 9.0, 16.0, 37.0, 65.0, 128.0, 272.0)

CASES = [
    (m, s)
    for m in (0.2, 0.6, 0.9, 0.999_999, 1.0, 1.000_001, 1.05, 1.5, 4.0)
    for s in (0.01, 0.05, 0.15, 0.4, 1.0, 2.5)
    # A price that rounds to nothing or to its bound does not determine a deviation.
    if 1e-12 < exact_price(m, s) < 0.999 * min(1.0, m)
]


class Points(Struct, frozen=True):
    """Prices as doubles and the deviations behind them."""

    k: F64
    price: F64
    exact: list[Any]
    """As mpmath's numbers."""


def solve_exactly(points: Iterator[tuple[float, float]]) -> Points:
    """Round the price of every (k, s) to a double and find the s of that double."""
    k, prices, exact = [], [], []
    for place, s in points:
        price = float(exact_black.otm_price(place, s))
        k.append(place)
        prices.append(price)
        exact.append(exact_black.deviation(place, price, s))
    return Points(np.array(k), np.array(prices), exact)


def chain() -> Iterator[tuple[float, float]]:
    """Ten expiries from hours to months, 50 strikes on a smile from 42 to 184 %, both sides."""
    for days in DAYS:
        sd = sqrt(days / 365.0)
        for z in np.linspace(-4.5, 4.5, 50).tolist():
            at_money = 0.42 + 0.3 * exp(-days / 10.0)
            yield z * at_money * sd, min(1.84, at_money * (1.0 + 0.02 * z + 0.06 * z * z)) * sd


def scattered(
    k_powers: tuple[float, float], s_powers: tuple[float, float], farthest: float, count: int
) -> Iterator[tuple[float, float]]:
    """Log-uniform |k| and s between powers of ten, |k| at most `farthest` deviations."""
    random = np.random.default_rng(SEED)
    while count:
        k = float(10.0 ** random.uniform(*k_powers) * random.choice([-1.0, 1.0]))
        s = float(10.0 ** random.uniform(*s_powers))
        if abs(k) <= farthest * s:
            yield k, s
            count -= 1


SETS: dict[str, tuple[Callable[[], Iterator[tuple[float, float]]], float]] = {
    "chain": (chain, ON_THE_CHAIN),
    "deep": (lambda: scattered((-6.0, log10(3.0)), (-2.7, log10(6.0)), 33.0, 500), ANYWHERE),
    "random": (lambda: scattered((-7.0, log10(4.0)), (-3.0, log10(8.0)), 36.0, 500), ANYWHERE),
    "minutes": (lambda: scattered((-12.0, -5.0), (-6.0, -3.0), 36.0, 300), ANYWHERE),
}


@pytest.fixture(scope="module", params=SETS)
def known(request: pytest.FixtureRequest) -> tuple[Points, float]:
    """A set of points and the largest relative error allowed on it."""
    points, allowed = SETS[request.param]
    return solve_exactly(points()), allowed


@pytest.fixture(scope="module")
def mixed() -> Points:
    """Ordinary, deep and impossible prices side by side."""
    found = solve_exactly(scattered((-6.0, 0.5), (-3.0, 0.7), 30.0, 64))
    k, price = found.k.copy(), found.price.copy()
    price[5::16] = [nan, 0.0, -0.1, 1.0]
    k[9], price[10], price[11] = nan, 5e-324, 1e-305
    k[10], k[11] = 0.2, -0.1
    return Points(k, price, found.exact)


def test_to_the_last_digits(
    known: tuple[Points, float], record_property: Callable[[str, object], None]
) -> None:
    """The whole domain: chains, deep wings, minutes to expiry and deviations up to 8."""
    points, allowed = known
    out = np.empty_like(points.k)

    implied_deviations(points.k, points.price, out, out.size)

    errors = [
        exact_black.relative_error(s, true)
        for s, true in zip(out.tolist(), points.exact, strict=True)
    ]
    record_property("measured", f"largest relative error {max(errors):.1e} of {allowed:.0e}")
    assert max(errors) <= allowed


def test_whole_chain_in_quote_currency(record_property: Callable[[str, object], None]) -> None:
    """Volatilities of calls and puts, in and out of the money, from prices as they are quoted."""
    forward, years, strikes, calls, prices, exact = 95_123.5, 0.1, [], [], [], []
    for z in np.linspace(-4.0, 4.0, 60).tolist():
        strike = round(forward * exp(0.2 * z), -2)
        with mpmath.workdps(exact_black.DIGITS):
            k = mpmath.log(mpmath.mpf(strike) / forward)
            time_value = forward * exact_black.otm_price(k, 0.21 + 0.01 * z * z)
            for is_call in (True, False):
                inner = (forward - strike) if is_call else (strike - forward)
                price = float(time_value + max(inner, 0.0))
                of_double = (mpmath.mpf(price) - max(inner, 0.0)) / forward
                s = exact_black.deviation(k, of_double, 0.21 + 0.01 * z * z)
                exact.append(s / mpmath.sqrt(mpmath.mpf(years)))
                strikes.append(strike)
                calls.append(is_call)
                prices.append(price)
    n = len(prices)
    out = np.empty(n)

    implied_vols(
        np.full(n, forward), np.array(strikes), np.full(n, years),
        np.array(prices), np.array(calls), out,
    )  # fmt: skip

    errors = [exact_black.relative_error(a, b) for a, b in zip(out.tolist(), exact, strict=True)]
    record_property("measured", f"largest relative error {max(errors):.1e} of {ON_THE_CHAIN:.0e}")
    assert max(errors) <= ON_THE_CHAIN


@pytest.mark.parametrize("is_call", [True, False])
def test_digits_next_to_the_bound(*, is_call: bool) -> None:
    """A price within 1e-12 of its bound still determines its volatility."""
    forward, strike, price = 100.0, 80.0, (100.0 if is_call else 80.0) * (1.0 - 1e-12)
    with mpmath.workdps(exact_black.DIGITS):
        k = mpmath.log(mpmath.mpf(strike) / forward)
        put = mpmath.mpf(price)
        if is_call:
            put = put - forward + strike
        exact = exact_black.deviation(k, put / forward, 14.3)
    out = np.empty(1)

    implied_vols(
        np.array([forward]), np.array([strike]), np.ones(1),
        np.array([price]), np.array([is_call]), out,
    )  # fmt: skip

    assert exact_black.relative_error(out[0], exact) < ANYWHERE


@pytest.mark.parametrize(
    ("k", "s"),
    [
        (0.0, 1e-12), (1e-9, 1e-9), (-1e-9, 3e-8), (1e-30, 1e-30), (50.0, 5.0), (-50.0, 3.0),
        (300.0, 20.0), (-300.0, 20.0), (700.0, 30.0), (0.1, 0.0027), (-0.1, 0.0027), (1.0, 0.0268),
    ],
)  # fmt: skip
def test_corners(k: float, s: float) -> None:
    """Extremes at which the two steps are not enough, or prices are below 1e-290."""
    price = float(exact_black.otm_price(k, s))
    out = np.empty(1)

    implied_deviations(np.array([k]), np.array([price]), out, 1)

    assert exact_black.relative_error(out[0], exact_black.deviation(k, price, s)) < ANYWHERE


def test_smallest_price_of_all() -> None:
    """At the money s = sqrt(2 pi) price as long as doubles reach."""
    out = np.empty(1)

    implied_deviations(np.zeros(1), np.array([1e-305]), out, 1)

    assert out[0] == pytest.approx(2.506_628_274_631_000_5e-305, rel=1e-14)


@pytest.mark.parametrize(("m", "s"), CASES)
def test_round_trip(m: float, s: float) -> None:
    """The deviation behind an exact price comes back, as far as the price determines it."""
    price = exact_price(m, s)

    solved = implied_deviation(m, price)

    assert solved == pytest.approx(s, rel=1e-11)
    assert exact_price(m, solved) == pytest.approx(price, rel=1e-10, abs=1e-15)


@settings(deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(1e-4, 4.0))
def test_price_and_deviation_undo_each_other(k: float, s: float) -> None:
    """By our own price, wherever that is not next to nothing or to its bound."""
    price, solved = np.empty(1), np.empty(1)
    special.otm_prices(np.array([k]), np.array([s]), price, 1)
    bound = min(1.0, exp(k))
    if not 1e-280 < price[0] < 0.98 * bound:
        return

    implied_deviations(np.array([k]), price, solved, 1)

    assert solved[0] == pytest.approx(s, rel=5e-14)


@settings(deadline=None)
@given(st.floats(-2.0, 2.0), st.floats(1e-6, 0.9), st.floats(1e-9, 0.1))
def test_a_dearer_option_has_more_deviation(k: float, share: float, more: float) -> None:
    """Monotonic in the price, down to differences of 1e-9 of it."""
    price = share * min(1.0, exp(k)) * np.array([1.0, 1.0 + more])
    out = np.empty(2)

    implied_deviations(np.array([k, k]), price, out, 2)

    assert out[0] < out[1]


@pytest.mark.parametrize(
    ("m", "price"),
    [(1.1, 0.0), (1.1, -0.01), (1.1, 1.0), (0.9, 0.9), (0.9, nan), (nan, 0.1), (-1.0, 0.1)],
)
def test_no_deviation_outside_the_bounds(m: float, price: float) -> None:
    """NaN, never a number, for a price that no volatility gives."""
    assert isnan(implied_deviation(m, price))
    assert isnan(twin(implied_deviation)(m, price))


@pytest.mark.parametrize(
    ("k", "price"),
    [
        (0.1, 0.0), (0.1, -0.0), (0.1, -0.01), (0.1, 1.0), (0.1, 1.5), (0.1, inf), (0.1, nan),
        (-0.1, 0.904_837_418_035_959_6), (-0.1, 0.905), (-0.1, 0.0), (0.0, 1.0),
        (nan, 0.1), (inf, 0.1), (-inf, 0.1), (-800.0, 0.1),
    ],
)  # fmt: skip
def test_rows_have_no_deviation_outside_the_bounds(k: float, price: float) -> None:
    """The same in a row, whose neighbours are not disturbed."""
    ks, prices, out = np.full(9, 0.1), np.full(9, 0.05), np.empty(9)
    ks[4], prices[4] = k, price

    implied_deviations(ks, prices, out, 9)

    assert isnan(out[4])
    assert len(set(np.delete(out, 4).tolist())) == 1


@pytest.mark.parametrize(
    ("forward", "strike", "years", "price", "is_call"),
    [
        (100.0, 110.0, 1.0, 0.0, True), (100.0, 110.0, 1.0, 100.0, True),
        (100.0, 90.0, 1.0, 10.0, True), (100.0, 90.0, 1.0, 9.99, True),
        (100.0, 110.0, 1.0, 10.0, False), (100.0, 110.0, 1.0, 110.0, False),
        (nan, 110.0, 1.0, 5.0, True), (100.0, nan, 1.0, 5.0, True), (100.0, 110.0, nan, 5.0, True),
        (100.0, 110.0, 1.0, nan, True), (100.0, 110.0, 0.0, 5.0, True),
        (100.0, 110.0, -1.0, 5.0, True), (100.0, 0.0, 1.0, 5.0, True),
        (100.0, -110.0, 1.0, 5.0, True), (-100.0, 110.0, 1.0, 5.0, False),
        (0.0, 110.0, 1.0, 5.0, False), (100.0, inf, 1.0, 5.0, True), (inf, 110.0, 1.0, 5.0, True),
    ],
)  # fmt: skip
def test_no_volatility(
    forward: float,
    strike: float,
    years: float,
    price: float,
    is_call: bool,
) -> None:
    """NaN at intrinsic value, at the bound, beyond them and for arguments out of range."""
    out = np.zeros(1)

    implied_vols(
        np.array([forward]), np.array([strike]), np.array([years]),
        np.array([price]), np.array([is_call]), out,
    )  # fmt: skip

    assert isnan(out[0])


@pytest.mark.parametrize("count", [1, 2, 5, 7, 8, 9, 12, 15, 16, 17, 31, 50, 64])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_value_does_not_depend_on_its_place(mixed: Points, count: int, offset: int) -> None:
    """Every lane of a vector and every remainder gives the bits of the option alone."""
    size = min(count, mixed.k.size - offset)
    alone, out = np.empty(1), np.empty(size)

    implied_deviations(mixed.k[offset : offset + size], mixed.price[offset:], out, size)

    for i in range(size):
        place = slice(offset + i, offset + i + 1)
        implied_deviations(mixed.k[place], mixed.price[place], alone, 1)
        assert alone.tobytes() == out[i : i + 1].tobytes()


def test_twin(mixed: Points) -> None:
    """The compiled code and its Python twin give the same bits."""
    compiled, by_python = np.empty(mixed.k.size), np.empty(mixed.k.size)

    implied_deviations(mixed.k, mixed.price, compiled, compiled.size)
    for i in range(compiled.size):
        k, price = float(mixed.k[i]), float(mixed.price[i])
        rest = twin(implied._rest)(k, price)
        s = twin(implied._solve)(k, price, rest)
        by_python[i] = twin(implied._search)(k, price, rest) if s == implied.UNSETTLED else s

    assert compiled.tolist() == pytest.approx(by_python.tolist(), rel=0.0, abs=0.0, nan_ok=True)


def test_only_count_places_are_written(mixed: Points) -> None:
    """What lies behind in a row of a work array stays."""
    out = np.full(40, -7.0)

    implied_deviations(mixed.k, mixed.price, out, 27)

    assert (out[:27] != -7.0).all()
    assert (out[27:] == -7.0).all()


def test_rows_of_a_work_array(mixed: Points) -> None:
    """Called by another kernel on rows of one array, it gives the bits of separate arrays."""
    work = np.vstack([mixed.k, mixed.price, np.zeros(mixed.k.size)])
    separate = np.empty(mixed.k.size)

    @numba.njit(error_model="numpy")
    def solve(rows: F64, count: int) -> None:
        implied_deviations(rows[0], rows[1], rows[2], count)

    solve(work, mixed.k.size)
    implied_deviations(mixed.k, mixed.price, separate, separate.size)

    assert work[2].tobytes() == separate.tobytes()


def test_the_loop_is_vectorised() -> None:
    """Arithmetic on whole registers: eight lanes with AVX-512, four with AVX2."""
    if not llvmlite.binding.get_host_cpu_features().get("avx2"):
        pytest.skip("the processor has no AVX2")
    k = np.full(8, 0.1)
    implied_deviations(k, 0.5 * k, np.empty(8), 8)

    # Code from the cache cannot be listed; this kernel is compiled into others and never cached.
    listing = "".join(implied_deviations.inspect_asm().values())  # type: ignore[attr-defined] # numba's

    assert len(re.findall(r"vdivpd.*%[yz]mm", listing)) >= DIVISIONS
    assert len(re.findall(r"vsqrtpd.*%[yz]mm", listing)) >= SQUARE_ROOTS


def test_warm_up_compiles_all_that_python_calls() -> None:
    """A chain after it compiles nothing."""
    implied.warm_up()
    before = compiled_count()

    implied_vols(
        np.full(20, 95_000.0), np.linspace(80e3, 110e3, 20), np.full(20, 0.1),
        np.full(20, 9_000.0), np.arange(20) % 2 == 0, np.empty(20),
    )  # fmt: skip

    assert compiled_count() == before
