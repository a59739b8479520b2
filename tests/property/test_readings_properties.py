"""Readings of arbitrary smiles against slow references, and what must hold for any of them."""

from itertools import pairwise
from math import sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fakes.smile_lab import NOW, Curve, lay
from volgauge.analytics.books import WeightedBook
from volgauge.analytics.skew import read_surface
from volgauge.domain.analytics import TenorReading
from volgauge.kernels.readings import N_QUARTER, N_TENTH, delta_strike


@st.composite
def curves(draw: st.DrawFn, days: float = 30.0, reach: float = 10.0) -> Curve:
    """Raw SVI whose d1 falls over the whole range that is looked at, also at huge variances."""
    level = draw(st.floats(0.05, 1.6))
    b = draw(st.floats(0.0, 0.9)) * level
    rho = draw(st.floats(-0.95, 0.95))
    m = draw(st.floats(-0.6, 0.6)) * level
    s = draw(st.floats(0.1, 3.0)) * level
    a = level * level - b * (sqrt(m * m + s * s) - rho * m)
    assume(a + b * s * sqrt(1.0 - rho * rho) > 0.05 * level * level)
    assume(b * (1.0 + abs(rho)) < 1.9)
    curve = Curve(days, a, b, rho, m, s)
    line = [curve.d1(k) for k in np.linspace(-reach * level, reach * level, 801).tolist()]
    assume(all(left > right + 1e-9 for left, right in pairwise(line)))
    return curve


def read(curve: Curve, days: float) -> TenorReading:
    """The tenor that one expiry stands for."""
    book = WeightedBook("a", lay([curve], (60_000.0,))[0], 1.0)
    return read_surface([book], (days,), {}, {}, NOW).tenors[0]


@settings(max_examples=400, deadline=None)
@given(curves())
def test_volatilities_at_delta_agree_with_scipy(curve: Curve) -> None:
    """To 1e-8 points, for every delta that lies within ten deviations; no number beyond."""
    tenor = read(curve, 30.0)

    reach = 10.0 * sqrt(curve.variance(0.0))
    for told, delta, target in (
        (tenor.put_10, 0.90, N_TENTH),
        (tenor.put_25, 0.75, N_QUARTER),
        (tenor.call_25, 0.25, -N_QUARTER),
        (tenor.call_10, 0.10, -N_TENTH),
    ):
        if curve.d1(-reach) >= target >= curve.d1(reach):
            assert told == pytest.approx(curve.points_at_delta(delta), abs=1e-8)
        else:
            assert told is None
    assert tenor.atm == pytest.approx(curve.points(0.0), abs=1e-10)


@settings(max_examples=100, deadline=None)
@given(curves(), st.sampled_from((N_TENTH, N_QUARTER, -N_QUARTER, -N_TENTH)))
def test_the_delta_of_the_strike_is_exact_to_forty_digits(curve: Curve, target: float) -> None:
    """N(d1(k)), by mpmath, is the delta asked for within 1e-10."""
    k = delta_strike(curve.a, curve.b, curve.rho, curve.m, curve.s, target)
    assume(k == k)  # noqa: PLR0124 - not NaN

    with mpmath.workdps(40):
        y = mpmath.mpf(k) - curve.m
        w = curve.a + curve.b * (curve.rho * y + mpmath.sqrt(y * y + mpmath.mpf(curve.s) ** 2))
        delta = mpmath.ncdf(-k / mpmath.sqrt(w) + mpmath.sqrt(w) / 2)
        wanted = {N_TENTH: 0.9, N_QUARTER: 0.75, -N_QUARTER: 0.25, -N_TENTH: 0.1}[target]

        assert abs(delta - wanted) < 1e-10


@settings(max_examples=60, deadline=None)
@given(curves(), st.floats(0.01, 3.0))
def test_readings_do_not_know_the_level_of_prices(curve: Curve, factor: float) -> None:
    """Forward and strikes times a factor: the same volatilities, bit for bit."""
    other = curve._replace(forward=curve.forward * factor)

    assert read(curve, 30.0) == read(other, 30.0)


@settings(max_examples=60, deadline=None)
@given(curves(20.0), st.floats(1.5, 6.0), st.floats(0.0, 1.0))
def test_a_tenor_lies_between_its_expiries(near: Curve, ratio: float, place: float) -> None:
    """In total variance, at every delta; at either end it is the expiry."""
    far = near._replace(days=20.0 * ratio, a=near.a + 0.3 * near.variance(0.0))
    days = 20.0 + place * (far.days - 20.0) * (1.0 - 1e-9)
    surface, _ = lay([near, far], (60_000.0,))

    tenor, first, last = read_surface(
        [WeightedBook("a", surface, 1.0)], (days, 20.0, far.days), {}, {}, NOW
    ).tenors

    for field in ("atm", "put_10", "put_25", "call_25", "call_10"):
        ends = [getattr(reading, field) for reading in (first, last)]
        if None in ends:
            continue
        low, high = sorted((ends[0] ** 2 * 20.0, ends[1] ** 2 * far.days))
        assert low * (1 - 1e-9) <= getattr(tenor, field) ** 2 * days <= high * (1 + 1e-9)
    assert first.atm == pytest.approx(near.points(0.0), rel=1e-9)
    assert last.atm == pytest.approx(far.points(0.0), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(curves(), st.integers(1, 4), st.floats(0.01, 100.0))
def test_equal_books_are_one_book(curve: Curve, count: int, weight: float) -> None:
    """However many, and whatever their weights."""
    surface, _ = lay([curve], (60_000.0,))
    books = [WeightedBook(str(number), surface, weight * (number + 1)) for number in range(count)]

    tenor = read_surface(books, (30.0,), {}, {}, NOW).tenors[0]

    alone = read(curve, 30.0)
    assert tenor.atm == pytest.approx(alone.atm, rel=1e-12)
    for field in ("put_10", "call_25", "risk_reversal_25"):
        one = getattr(alone, field)
        told = getattr(tenor, field)
        assert told is None if one is None else told == pytest.approx(one, rel=1e-9, abs=1e-10)
