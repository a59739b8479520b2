"""Readings of the smile per expiry and tenor."""

from math import nan, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from fakes.smile_lab import NOW, TENORS, Curve, lay
from golden.book_builder import build
from golden.chain_sources import recorded_terms
from volgauge import kernels
from volgauge.analytics.books import WeightedBook
from volgauge.analytics.interest import ExpiryInterest
from volgauge.analytics.skew import SurfaceReading, forward_vol, read_surface
from volgauge.domain.analytics import Lack
from volgauge.domain.index import Method
from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, format_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote

NEAR = Curve(20.0, 0.010, 0.05, -0.3, 0.02, 0.12)
FAR = Curve(50.0, 0.030, 0.08, -0.4, -0.01, 0.15, forward=60_500.0)
FLAT = 0.36
"""Variance a year of 60 points."""


def read(
    *books: tuple[str, list[Curve], float], tenors: tuple[float, ...] = TENORS
) -> SurfaceReading:
    """Read surfaces of known curves."""
    weighted = [WeightedBook(label, lay(curves)[0], weight) for label, curves, weight in books]
    return read_surface(weighted, tenors, {}, {}, NOW)


def test_a_tenor_is_linear_in_total_variance_at_the_same_delta() -> None:
    """Against scipy's root on either curve; 30 d lie a third of the way from 20 to 50 d."""
    tenor = read(("deribit", [NEAR, FAR], 1.0), tenors=(30.0,)).tenors[0]

    def expected(call_delta: float | None) -> float:
        ends = [
            curve.points(0.0) if call_delta is None else curve.points_at_delta(call_delta)
            for curve in (NEAR, FAR)
        ]
        return sqrt((ends[0] ** 2 * 20.0 * 2.0 / 3.0 + ends[1] ** 2 * 50.0 / 3.0) / 30.0)

    vols = [expected(delta) for delta in (None, 0.90, 0.75, 0.25, 0.10)]
    assert vols == pytest.approx(
        [tenor.atm, tenor.put_10, tenor.put_25, tenor.call_25, tenor.call_10], abs=1e-9
    )
    atm, put_10, put_25, call_25, call_10 = vols
    assert [call_25 - put_25, call_10 - put_10] == pytest.approx(
        [tenor.risk_reversal_25, tenor.risk_reversal_10], abs=1e-9
    )
    assert [(call_25 + put_25) / 2 - atm, (call_10 + put_10) / 2 - atm] == pytest.approx(
        [tenor.butterfly_25, tenor.butterfly_10], abs=1e-9
    )


def test_a_smile_symmetric_in_delta_has_no_risk_reversal_and_a_known_butterfly() -> None:
    """With rho = 0 around k = W/2 both 25-delta strikes, W/2 -+ z sqrt(W), have the variance W."""
    years, b, s = 30.0 / 365.0, 0.06, 0.05
    z = float(ndtri(0.75))
    wing = 0.5**2 * years
    a = wing - b * sqrt(z * z * wing + s * s)
    curve = Curve(30.0, a, b, 0.0, 0.5 * wing, s)
    atm = 100.0 * sqrt((a + b * sqrt(0.25 * wing * wing + s * s)) / years)

    tenor = read(("deribit", [curve], 1.0), tenors=(30.0,)).tenors[0]

    assert tenor.risk_reversal_25 == pytest.approx(0.0, abs=1e-10)
    assert tenor.butterfly_25 == pytest.approx(50.0 - atm, abs=1e-10)


def test_one_volatility_is_read_everywhere() -> None:
    """A flat curve at every expiry: all tenors alike, no skew, forward volatility the same."""
    curves = [Curve(days, FLAT * days / 365.0) for days in (6.0, 21.0, 77.0, 200.0)]

    reading = read(("deribit", curves, 1.0))

    for tenor in reading.tenors:
        vols = (tenor.atm, tenor.put_10, tenor.put_25, tenor.call_25, tenor.call_10)
        assert vols == pytest.approx([60.0] * 5, rel=1e-13)
        assert tenor.risk_reversal_10 == tenor.butterfly_25 == tenor.skewness == 0.0
        assert tenor.kurtosis == pytest.approx(3.0, rel=1e-14)
        assert tenor.skew_index == 100.0
    assert [forward.value for forward in reading.forwards] == pytest.approx([60.0] * 5, rel=1e-12)
    assert reading.slope == pytest.approx(0.0, abs=1e-12)
    assert {Lack.NO_INDEX} == set(reading.missing.values()) - {
        Lack.NO_OPEN_INTEREST, Lack.NO_VOLUME, Lack.NO_SURFACE
    }  # fmt: skip


def test_expiries_are_told_again_while_the_same_books_contribute() -> None:
    """A minute later: the constant tenors are of then, the expiries of before; not so without b."""
    books = [
        WeightedBook(label, lay(curves)[0], 1.0)
        for label, curves in (("a", [NEAR, FAR]), ("b", [NEAR]))
    ]
    later = NOW + 60 * NANOS_PER_SECOND
    first = read_surface(books, (30.0,), {}, {}, NOW)
    again = read_surface(books, (30.0,), {}, {}, later, first)
    alone = read_surface(books[:1], (30.0,), {}, {}, later, first)
    fresh = read_surface(books, (30.0,), {}, {}, later)

    assert again.expiries == first.expiries
    assert again.tenors == fresh.tenors
    assert again.tenors != first.tenors
    assert again.missing == fresh.missing
    assert alone.expiries == fresh.expiries[:2]


def test_one_volatility_is_read_off_real_quotes_too() -> None:
    """The whole way from prices of a 60-point world; skewness 0, kurtosis 3 within the fit."""
    quotes = []
    for days in (10.0, 24.0, 45.0, 95.0):
        deviation = sqrt(FLAT * days / 365.0)
        for strike in (60_000.0 * np.exp(np.linspace(-4.5, 4.5, 61) * deviation)).tolist():
            k = np.log(strike / 60_000.0)
            d1 = -k / deviation + 0.5 * deviation
            call = float(ndtr(d1) - np.exp(k) * ndtr(d1 - deviation))
            for kind in OptionKind:
                price = call if kind is OptionKind.CALL else call - 1.0 + float(np.exp(k))
                quotes.append(
                    ChainQuote(
                        expiry_ns=NOW + round(days * NANOS_PER_DAY),
                        strike=strike,
                        kind=kind,
                        bid=price * 0.9995,
                        ask=price * 1.0005,
                        forward=60_000.0,
                    )
                )
    surface = build(quotes, NOW, methods=(Method.NATIVE,))
    surface.evaluate(NOW)

    reading = read_surface(
        [WeightedBook("deribit", surface, 1.0)], (14.0, 30.0, 60.0, 90.0), {}, {}, NOW
    )

    for tenor in reading.tenors:
        assert tenor.atm == pytest.approx(60.0, abs=0.01)
        assert tenor.risk_reversal_10 == pytest.approx(0.0, abs=0.02)
        assert tenor.butterfly_10 == pytest.approx(0.0, abs=0.02)
        assert tenor.skewness == pytest.approx(0.0, abs=0.01)
        assert tenor.kurtosis == pytest.approx(3.0, abs=0.03)


def test_cumulants_add_over_time() -> None:
    """Steps alike and independent: skewness falls as 1/sqrt(t), excess kurtosis as 1/t."""
    third, fourth, variance = -0.9, 4.0, 0.4
    curves = []
    for days in (20.0, 50.0):
        w = variance * days / 365.0
        curves.append(
            Curve(
                days,
                w,
                full_variance=w,
                skewness=third * days / 365.0 / w**1.5,
                kurtosis=3.0 + fourth * days / 365.0 / w**2,
            )
        )

    for days in (18.0, 20.0, 33.0, 60.0):
        tenor = read(("deribit", curves, 1.0), tenors=(days,)).tenors[0]
        years = days / 365.0
        assert tenor.skewness == pytest.approx(third / variance**1.5 / sqrt(years), rel=1e-12)
        assert tenor.kurtosis == pytest.approx(3.0 + fourth / variance**2 / years, rel=1e-12)
        skew_index = 100.0 - 10.0 * third / variance**1.5 / sqrt(years)
        assert tenor.skew_index == pytest.approx(skew_index, rel=1e-12)


@pytest.mark.parametrize(
    ("days", "is_read"), [(20.01, True), (44.99, True), (19.99, False), (45.01, False)]
)
def test_one_expiry_stands_for_a_tenor_only_when_it_is_near(days: float, *, is_read: bool) -> None:
    """Rule 15: 2/3 <= t / tenor <= 3/2, at its own volatility."""
    curve = Curve(days, FLAT * days / 365.0)

    reading = read(("deribit", [curve], 1.0), tenors=(30.0,))

    if is_read:
        assert reading.tenors[0].atm == pytest.approx(60.0, rel=1e-12)
    else:
        assert reading.tenors[0].atm is None
        assert reading.missing["tenors.30d"] is Lack.NO_SURFACE


def test_books_count_by_their_weights_where_they_have_a_reading() -> None:
    """A book without weight, and a book without that tenor, have no say."""
    low = Curve(30.0, 0.25 * 30.0 / 365.0)
    high = Curve(30.0, 0.49 * 30.0 / 365.0)
    long = Curve(90.0, 0.64 * 90.0 / 365.0)

    reading = read(
        ("a", [low], 0.3), ("b", [high, long], 0.6), ("c", [Curve(30.0, 1.0)], 0.0),
        tenors=(30.0, 90.0),
    )  # fmt: skip

    assert reading.tenors[0].atm == pytest.approx((0.3 * 50.0 + 0.6 * 70.0) / 0.9, rel=1e-12)
    assert reading.tenors[1].atm == pytest.approx(80.0, rel=1e-12)
    assert ["a", "b", "b"] == [expiry.book for expiry in reading.expiries]


def test_slope_and_forward_volatility() -> None:
    """ATM 90 d less 7 d, whatever tenors are asked for; variance differences between tenors."""
    curves = [Curve(7.0, 0.64 * 7.0 / 365.0), Curve(90.0, 0.36 * 90.0 / 365.0)]

    reading = read(("deribit", curves, 1.0), tenors=(30.0, 60.0))

    assert reading.slope == pytest.approx(60.0 - 80.0, rel=1e-12)
    # Between the two expiries total variance is a line: one forward volatility.
    line = 100.0 * sqrt((0.36 * 90.0 - 0.64 * 7.0) / 83.0)
    assert reading.forwards[0].value == pytest.approx(line, rel=1e-12)
    assert ("30d", "60d") == (reading.forwards[0].begin, reading.forwards[0].end)
    assert forward_vol(50.0, 30.0, 60.0, 60.0) == pytest.approx(sqrt(2 * 3600.0 - 2500.0))


def test_falling_variance_has_no_forward_volatility() -> None:
    """It would be the root of a negative number."""
    curves = [Curve(30.0, 0.81 * 30.0 / 365.0), Curve(60.0, 0.36 * 60.0 / 365.0)]

    reading = read(("deribit", curves, 1.0), tenors=(30.0, 60.0))

    assert reading.forwards[0].value is None
    assert reading.missing["forwards.30d-60d"] is Lack.FALLING_VARIANCE
    assert forward_vol(90.0, 30.0, 60.0, 60.0) is None


def test_an_expiry_tells_its_own_smile_and_interest() -> None:
    """Spreads of its own curve by scipy; interest as handed in; coin less value of its tenor."""
    surface, _ = lay([NEAR, FAR])
    held = ExpiryInterest(61.0, 62.0, None, 10.0, None)

    reading = read_surface(
        [WeightedBook("okx", surface, 1.0)], (30.0,), {"30d": -1.25},
        {("okx", NEAR.expiry_ns): held}, NOW,
    )  # fmt: skip

    expiry = reading.expiries[0]
    assert (expiry.book, expiry.expiry) == ("okx", format_instant(NEAR.expiry_ns))
    assert expiry.t_years == pytest.approx(NEAR.years, rel=1e-12)
    assert expiry.forward == NEAR.forward
    assert expiry.atm == pytest.approx(NEAR.points(0.0), abs=1e-10)
    call, put = NEAR.points_at_delta(0.1), NEAR.points_at_delta(0.9)
    assert expiry.risk_reversal_10 == pytest.approx(call - put, abs=1e-9)
    assert expiry.butterfly_10 == pytest.approx((call + put) / 2 - NEAR.points(0.0), abs=1e-9)
    assert (expiry.interest_iv, expiry.vega_iv, expiry.open_interest) == (61.0, 62.0, 10.0)
    assert reading.tenors[0].coin_less_value == -1.25
    path = f"expiries.okx.{expiry.expiry}"
    assert reading.missing[f"{path}.volume_iv"] is Lack.NO_VOLUME
    far = f"expiries.okx.{reading.expiries[1].expiry}"
    assert reading.missing[f"{far}.interest_iv"] is Lack.NO_OPEN_INTEREST
    assert f"{path}.interest_iv" not in reading.missing


def test_an_expiry_without_a_usable_curve_is_null_with_its_reason() -> None:
    """Not eligible, computed without a value, and over: the first two are told, the last is not."""
    gone = Curve(-0.5, 0.01)
    surface, _ = lay([gone, NEAR, FAR])
    surface.facts[col.NATIVE, 1, col.ELIGIBLE] = 0
    surface.facts[col.NATIVE, 2, col.REASON] = col.N_BAD_INPUT

    reading = read_surface([WeightedBook("okx", surface, 1.0)], (30.0,), {}, {}, NOW)

    assert [NEAR.expiry_ns, FAR.expiry_ns] == list(surface.expiries[1:])
    assert [None, None] == [expiry.atm for expiry in reading.expiries]
    for expiry in reading.expiries:
        assert reading.missing[f"expiries.okx.{expiry.expiry}"] is Lack.NO_SURFACE
    assert reading.slope is None
    assert reading.missing["slope"] is Lack.NO_SURFACE
    assert reading.missing["tenors.30d"] is Lack.NO_SURFACE


@pytest.mark.parametrize("column", [col.SVI_A, col.SVI_B, col.SVI_RHO, col.SVI_M, col.SVI_S])
def test_a_curve_that_is_no_number_is_no_reading(column: int) -> None:
    """NaN in any of the five parameters: null, never a number."""
    surface, _ = lay([Curve(30.0, 0.02, 0.05)])
    surface.values[col.NATIVE, 0, column] = nan

    reading = read_surface([WeightedBook("okx", surface, 1.0)], (30.0,), {}, {}, NOW)

    assert reading.tenors[0].atm is None
    assert reading.tenors[0].call_25 is None
    assert reading.expiries[0].risk_reversal_25 is None


def test_without_moments_the_rest_is_still_read() -> None:
    """The whole line may be missing where the corridor is there."""
    curve = Curve(30.0, 0.02, 0.05, skewness=nan, kurtosis=nan)

    reading = read(("okx", [curve], 1.0), tenors=(30.0,))

    tenor = reading.tenors[0]
    assert tenor.atm is not None
    assert (tenor.skewness, tenor.kurtosis, tenor.skew_index) == (None, None, None)
    for field in ("skewness", "kurtosis", "skew_index"):
        assert reading.missing[f"tenors.30d.{field}"] is Lack.NO_SURFACE


@pytest.mark.parametrize("weight", [0.0, nan])
def test_without_a_contributing_book_the_asset_is_halted(weight: float) -> None:
    """Every reading is null, and says so."""
    reading = read(("okx", [NEAR, FAR], weight))

    assert () == reading.expiries
    assert all(tenor.atm is None for tenor in reading.tenors)
    assert reading.missing["tenors.30d"] is Lack.HALTED
    assert reading.missing["slope"] is Lack.HALTED
    assert reading.missing["forwards.7d-14d"] is Lack.HALTED


def test_readings_compile_nothing() -> None:
    """`warm` has made every signature, for a weight given as an integer too."""
    before = kernels.warm()

    read(("okx", [NEAR, FAR], 1))

    assert before == kernels.warm()


@pytest.mark.parametrize("currency", ["BTC", "ETH"])
def test_a_real_chain_against_the_venues_own_volatilities(test_data: Path, currency: str) -> None:
    """The venue's mark volatilities, linear between its own strikes and deltas.

    Half a point at the money and one of risk reversal, beyond 5 days: nearer options are quoted
    one to three points wide on either side of the mark.
    """
    file = "deribit_chains_2025-12-30_2026-01-28.parquet"
    quotes, facts, now_ns = recorded_terms(test_data, file, currency)
    marks = facts[:, 2:].tolist()
    surface = build(quotes, now_ns, methods=(Method.NATIVE,))
    surface.evaluate(now_ns)

    reading = read_surface([WeightedBook("deribit", surface, 1.0)], (30.0,), {}, {}, now_ns)

    compared = 0
    for expiry_ns, expiry in zip(surface.expiries, reading.expiries, strict=True):
        if expiry.atm is None or expiry_ns - now_ns < 5 * NANOS_PER_DAY:
            continue
        calls = sorted(
            (delta, vol)
            for quote, (vol, delta) in zip(quotes, marks, strict=True)
            if quote.expiry_ns == expiry_ns and quote.kind is OptionKind.CALL
        )
        deltas, vols = np.array(calls).T
        put_25, call_25 = np.interp([0.75, 0.25], deltas, vols)
        assert expiry.risk_reversal_25 == pytest.approx(call_25 - put_25, abs=1.0)
        k = [np.log(q.strike / q.forward) for q in quotes if q.expiry_ns == expiry_ns]
        mark = [vol for q, (vol, _) in zip(quotes, marks, strict=True) if q.expiry_ns == expiry_ns]
        at_money = float(np.interp(0.0, k, mark))
        assert expiry.atm == pytest.approx(at_money, abs=0.5)
        compared += 1
    assert compared >= 5
