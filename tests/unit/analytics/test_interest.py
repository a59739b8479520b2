"""Volatility weighted by open interest, vega and volume; Greeks held."""

from math import inf, isnan, nan
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from fakes.smile_lab import NOW, Curve, Listed, lay
from golden.book_builder import build
from golden.chain_sources import recorded_terms
from volgauge import kernels
from volgauge.analytics.books import WeightedBook
from volgauge.analytics.interest import read_interest
from volgauge.domain.analytics import Lack
from volgauge.domain.index import Method
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import layout as col
from volgauge.settings import AnalyticsSettings

LIMITS = AnalyticsSettings()
CURVES = [
    Curve(1.5, 0.001, 0.01),
    Curve(25.0, 0.015, 0.05, -0.3, 0.02, 0.12),
    Curve(80.0, 0.060, 0.10, -0.5, -0.03, 0.20, forward=61_000.0),
]
EXACT = 1e-12


class Held(NamedTuple):
    """An option, its open interest and its volume."""

    option: Listed
    interest: float
    volume: float


def random_book(seed: int) -> tuple[WeightedBook, list[Held]]:
    """A book of known curves; a fifth of the numbers is not told."""
    random = np.random.default_rng(seed)
    surface, listed = lay(CURVES)
    held: list[Held] = []
    for option in listed:
        told = random.random(2) > 0.2
        interest = float(random.exponential(50.0)) if told[0] else nan
        volume = float(random.exponential(5.0)) if told[1] else nan
        surface.table.write_open_interest((option.slot,), (interest,))
        surface.table.write_volume((option.slot,), (volume,))
        held.append(Held(option, interest, volume))
    return WeightedBook(f"book{seed}", surface, 0.5), held


def inside(held: list[Held]) -> list[Held]:
    """What the default limits of delta and time leave."""
    return [h for h in held if h.option.curve.days >= 2.0 and 0.05 <= h.option.delta <= 0.95]


def amount(one: Held, what: str) -> float:
    """The weight of an option."""
    return {"vega": one.option.vega, "interest": one.interest, "volume": one.volume}[what]


def mean(held: list[Held], what: str) -> float:
    """IV weighted by vega, open interest or volume, by a plain loop."""
    above = below = 0.0
    for one in held:
        weight = amount(one, what)
        if not isnan(weight):
            above += weight * one.option.curve.points(one.option.k)
            below += weight
    return above / below


def total(held: list[Held], what: str, kind: OptionKind | None = None) -> float:
    """Open interest or volume of one kind of option or of both."""
    return float(np.nansum([amount(h, what) for h in held if kind in (None, h.option.kind)]))


def test_two_books_against_a_plain_loop() -> None:
    """Sums over 132 options, Greeks by scipy.stats.norm; everything to 1e-12."""
    (first, held), (second, more) = random_book(1), random_book(2)
    options = inside(held + more)

    reading, _, missing = read_interest([first, second], LIMITS, NOW)

    assert {} == missing
    assert reading.value == pytest.approx(mean(options, "interest"), rel=EXACT)
    assert reading.vega_iv == pytest.approx(mean(options, "vega"), rel=EXACT)
    assert reading.volume_iv == pytest.approx(mean(options, "volume"), rel=EXACT)
    assert reading.open_interest == pytest.approx(total(options, "interest"), rel=EXACT)
    assert reading.volume == pytest.approx(total(options, "volume"), rel=EXACT)
    puts, calls = OptionKind.PUT, OptionKind.CALL
    assert reading.put_call_interest == pytest.approx(
        total(options, "interest", puts) / total(options, "interest", calls), rel=EXACT
    )
    assert reading.put_call_volume == pytest.approx(
        total(options, "volume", puts) / total(options, "volume", calls), rel=EXACT
    )
    assert reading.gamma == pytest.approx(
        np.nansum([h.option.gamma * h.interest for h in options]), rel=EXACT
    )
    assert reading.vega == pytest.approx(
        np.nansum([h.option.vega * h.interest for h in options]), rel=EXACT
    )


def test_each_expiry_of_each_book_against_a_plain_loop() -> None:
    """The expiry nearer than two days is not there."""
    (first, held), (second, more) = random_book(3), random_book(4)

    by_expiry = read_interest([first, second], LIMITS, NOW).by_expiry

    assert len(by_expiry) == 4
    for book, options in ((first, held), (second, more)):
        for curve in CURVES[1:]:
            own = [h for h in inside(options) if h.option.curve is curve]
            told = by_expiry[book.label, curve.expiry_ns]
            assert list(told) == pytest.approx(
                [
                    mean(own, "interest"),
                    mean(own, "vega"),
                    mean(own, "volume"),
                    total(own, "interest"),
                    total(own, "volume"),
                ],
                rel=EXACT,
            )


def test_strikes_are_summed_over_expiries_and_books() -> None:
    """The twenty largest by gamma, ascending in strike."""
    strikes = np.arange(45_000.0, 80_000.0, 1_000.0).tolist()
    surface, listed = lay(CURVES, strikes)
    interest = np.random.default_rng(5).exponential(50.0, len(listed)).tolist()
    surface.table.write_open_interest(range(len(listed)), interest)
    options = inside([Held(o, i, 0.0) for o, i in zip(listed, interest, strict=True)])
    gamma, vega, held = (dict.fromkeys(strikes, 0.0) for _ in range(3))
    for option, coins, _ in options:
        gamma[option.strike] += 2.0 * coins * option.gamma
        vega[option.strike] += 2.0 * coins * option.vega
        held[option.strike] += 2.0 * coins
    largest = sorted(sorted(strikes, key=lambda strike: -gamma[strike])[:20])

    told = read_interest(
        [WeightedBook("a", surface, 0.5), WeightedBook("b", surface, 0.5)], LIMITS, NOW
    ).reading.strikes

    assert largest == [row.strike for row in told]
    assert [gamma[s] for s in largest] == pytest.approx([row.gamma for row in told], rel=EXACT)
    assert [vega[s] for s in largest] == pytest.approx([row.vega for row in told], rel=EXACT)
    assert [held[s] for s in largest] == pytest.approx(
        [row.open_interest for row in told], rel=EXACT
    )


def test_one_volatility_is_the_weighted_one() -> None:
    """In a flat world every weighting gives the same."""
    surface, listed = lay([Curve(40.0, 0.49 * 40.0 / 365.0)])
    amounts = [float(option.slot + 1) for option in listed]
    surface.table.write_open_interest(range(len(listed)), amounts)
    surface.table.write_volume(range(len(listed)), amounts)

    reading = read_interest([WeightedBook("a", surface, 1.0)], LIMITS, NOW).reading

    assert [reading.value, reading.vega_iv, reading.volume_iv] == pytest.approx([70.0] * 3)


def test_limits_of_delta_and_time_are_the_settings() -> None:
    """Wide limits take every option, the nearest expiry's too."""
    book, held = random_book(6)
    wide = AnalyticsSettings(min_expiry_days=1.0, min_delta=0.0, max_delta=1.0)

    assert read_interest([book], wide, NOW).reading.open_interest == pytest.approx(
        total(held, "interest")
    )
    assert len(read_interest([book], wide, NOW).by_expiry) == 3


def test_nothing_told_is_null_and_zero_is_zero() -> None:
    """Absent open interest and volume are no number; all zero is 0 coins with no mean."""
    surface, listed = lay(CURVES)
    book = WeightedBook("a", surface, 1.0)

    reading, _, missing = read_interest([book], LIMITS, NOW)
    surface.table.write_open_interest(range(len(listed)), [0.0] * len(listed))
    zero, _, still_missing = read_interest([book], LIMITS, NOW)

    assert reading.vega_iv is not None
    assert (reading.value, reading.open_interest, reading.gamma) == (None, None, None)
    assert missing["interest.value"] is Lack.NO_OPEN_INTEREST
    assert missing["interest.gamma"] is Lack.NO_OPEN_INTEREST
    assert missing["interest.volume_iv"] is Lack.NO_VOLUME
    assert () == reading.strikes
    assert (zero.value, zero.open_interest, zero.gamma) == (None, 0.0, 0.0)
    assert still_missing["interest.value"] is Lack.NO_OPEN_INTEREST
    assert still_missing["interest.put_call_interest"] is Lack.NO_OPEN_INTEREST
    assert "interest.open_interest" not in still_missing


@pytest.mark.parametrize("bad", [nan, inf, -1.0])
def test_a_bad_amount_counts_as_not_told(bad: float) -> None:
    """One bad number does not spoil the others."""
    surface, listed = lay(CURVES[1:2])
    surface.table.write_open_interest(range(len(listed)), [10.0] * len(listed))
    middle = next(o for o in listed if o.strike == 60_000.0)
    surface.table.write_open_interest((middle.slot,), (bad,))
    count = len(inside([Held(option, 10.0, 0.0) for option in listed]))

    reading = read_interest([WeightedBook("a", surface, 1.0)], LIMITS, NOW).reading

    assert reading.open_interest == pytest.approx(10.0 * (count - 1))


def test_without_curves_or_books_everything_says_why() -> None:
    """No usable expiry: no surface; no contributing book: halted."""
    book, _ = random_book(7)
    book.surface.facts[col.NATIVE, :, col.ELIGIBLE] = 0

    bare = read_interest([book], LIMITS, NOW)
    halted = read_interest([book._replace(weight=0.0)], LIMITS, NOW)

    assert {} == bare.by_expiry == halted.by_expiry
    assert {Lack.NO_SURFACE} == set(bare.missing.values())
    assert {Lack.HALTED} == set(halted.missing.values())
    assert 9 == len(bare.missing) == len(halted.missing)


def test_interest_compiles_nothing() -> None:
    """`warm` has made every signature."""
    before = kernels.warm()

    read_interest([random_book(8)[0]], LIMITS, NOW)

    assert before == kernels.warm()


@pytest.mark.parametrize("currency", ["BTC", "ETH"])
def test_a_real_chain_against_a_plain_loop_and_the_venues_marks(
    test_data: Path, currency: str
) -> None:
    """The loop to 1e-10; the venue's own mark volatilities and deltas give it within 0.3 points."""
    file = "deribit_chains_2026-03-07_2026-03-20.parquet"
    quotes, facts, now_ns = recorded_terms(test_data, file, currency)
    surface = build(quotes, now_ns, methods=(Method.NATIVE,))
    surface.table.write_open_interest(range(len(quotes)), facts[:, 0].tolist())
    surface.table.write_volume(range(len(quotes)), facts[:, 1].tolist())
    surface.evaluate(now_ns)
    curves = {}
    for row, expiry_ns in enumerate(surface.expiries):
        fit = surface.values[col.NATIVE, row]
        if surface.facts[col.NATIVE, row, col.ELIGIBLE]:
            a, b, rho, m, s = fit[
                [col.SVI_A, col.SVI_B, col.SVI_RHO, col.SVI_M, col.SVI_S]
            ].tolist()
            days = (expiry_ns - now_ns) / 86_400e9
            curves[expiry_ns] = Curve(days, a, b, rho, m, s, forward=float(fit[col.FORWARD]))
    listed = [
        (Listed(slot, curves[quote.expiry_ns], quote.strike, quote.kind), *facts[slot])
        for slot, quote in enumerate(quotes)
        if quote.expiry_ns in curves
    ]
    options = inside([Held(one[0], one[1], one[2]) for one in listed])

    reading = read_interest([WeightedBook("deribit", surface, 1.0)], LIMITS, now_ns).reading

    assert len(options) > 300
    assert reading.value == pytest.approx(mean(options, "interest"), rel=1e-10)
    assert reading.vega_iv == pytest.approx(mean(options, "vega"), rel=1e-10)
    assert reading.volume_iv == pytest.approx(mean(options, "volume"), rel=1e-10)
    gamma = sum(one.option.gamma * one.interest for one in options)
    assert reading.gamma == pytest.approx(gamma, rel=1e-10)
    marked = [one for one in listed if 0.05 <= abs(one[4]) <= 0.95]
    venue = sum(one[1] * one[3] for one in marked) / sum(one[1] for one in marked)
    assert reading.value == pytest.approx(venue, abs=0.3)
