"""Our own estimator on one expiry, through the surface: known worlds, bad quotes, memory."""

from math import exp, expm1, isnan, log, nan, sqrt

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.integrate import quad
from scipy.stats import norm

from golden.book_builder import build
from golden.chain_sources import coin_price
from volgauge.domain.index import Flag, Method, Reject
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, parse_instant
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

AT = parse_instant("2026-03-02T08:00:00Z")
FORWARD = 60_123.0
DAYS = 30.0
YEARS = DAYS / 365.0
VOL = 0.6
SW = VOL * sqrt(YEARS)


def skewed(strike: float) -> float:
    """A smile that no SVI has: quadratic in k inside, with its own slope."""
    k = log(strike / FORWARD)
    return VOL * sqrt(1.0 - 0.25 * k / SW * 0.3 + 0.08 * min((k / SW) ** 2, 6.0))


def chain(
    vol: float | None = VOL, *, step: float = 1_000.0, reach: float = 2.6, half: float = 1e-7
) -> list[ChainQuote]:
    """Quotes of a flat world (`vol`) or of the skewed one (None)."""
    quotes = []
    for strike in np.arange(step, 4.0 * FORWARD, step).tolist():
        if abs(log(strike / FORWARD)) > reach * SW:
            continue
        for kind in OptionKind:
            sigma = skewed(strike) if vol is None else vol
            price = coin_price(strike, FORWARD, sigma * sqrt(YEARS), kind)
            quotes.append(
                ChainQuote(
                    expiry_ns=AT + round(DAYS * NANOS_PER_DAY),
                    strike=strike,
                    kind=kind,
                    bid=price - half,
                    ask=price + half,
                )
            )
    return quotes


def evaluate(quotes: list[ChainQuote], premium: Premium = Premium.COIN) -> Surface:
    """By `native` alone."""
    surface = build(quotes, AT, methods=(Method.NATIVE,), premium=premium)
    surface.evaluate(AT)
    return surface


def values_of(surface: Surface) -> F64:
    """The one row."""
    row: F64 = surface.values[col.NATIVE, 0]
    return row


def flags(surface: Surface) -> set[Flag]:
    """Of the one expiry."""
    bits = int(surface.facts[col.NATIVE, 0, col.FLAGS])
    return {flag for i, flag in enumerate(col.FLAG_ORDER) if bits & 1 << i}


def rejected(surface: Surface, reject: Reject) -> int:
    """Count of one reason."""
    return int(surface.facts[col.NATIVE, 0, col.REJECTED + col.REJECTS.index(reject)])


def with_quote(
    quotes: list[ChainQuote], strike: float, kind: OptionKind, bid: float, ask: float
) -> list[ChainQuote]:
    """One quote replaced."""
    return [
        replace(q, bid=bid, ask=ask) if (q.strike, q.kind) == (strike, kind) else q for q in quotes
    ]


def test_a_flat_world_has_its_closed_forms() -> None:
    """W(1) = W(0) = w, W(-1) = e^w - 1, a normal ln S/F; both tails agree."""
    values = values_of(evaluate(chain()))
    w = SW * SW
    assert values[col.FULL_VARIANCE] == pytest.approx(w, rel=1e-4)
    assert values[col.COIN_VARIANCE] == pytest.approx(w, rel=1e-4)
    assert values[col.SVIX_VARIANCE] == pytest.approx(expm1(w), rel=1e-4)
    assert values[col.TAIL_HI_VARIANCE] == pytest.approx(values[col.TAIL_LO_VARIANCE], rel=1e-4)
    assert values[col.SKEWNESS] == pytest.approx(0.0, abs=2e-3)
    assert values[col.KURTOSIS] == pytest.approx(3.0, abs=5e-3)


def test_the_corridor_is_that_of_five_delta() -> None:
    """Ends where N(-|d1|) = 5 %, and the variance is the integral between them, by scipy."""
    values = values_of(evaluate(chain()))
    z = -norm.ppf(0.05)
    low, high = SW * SW / 2 - z * SW, SW * SW / 2 + z * SW
    assert values[col.CORRIDOR_LOW] == pytest.approx(low, rel=1e-4)
    assert values[col.CORRIDOR_HIGH] == pytest.approx(high, rel=1e-4)

    def integrand(k: float) -> float:
        kind = OptionKind.PUT if k < 0.0 else OptionKind.CALL
        return 2.0 * coin_price(FORWARD * exp(k), FORWARD, SW, kind) * exp(-k)

    expected = quad(integrand, low, 0.0)[0] + quad(integrand, 0.0, high)[0]
    assert values[col.TOTAL_VARIANCE] == pytest.approx(expected, rel=1e-4)


def test_what_the_curve_cannot_follow_the_residuals_add() -> None:
    """A smile that is no SVI: exact quotes give the corridor's variance to 0.02 points."""
    values = values_of(evaluate(chain(None)))
    low, high = values[col.CORRIDOR_LOW], values[col.CORRIDOR_HIGH]

    def integrand(k: float) -> float:
        strike = FORWARD * exp(k)
        kind = OptionKind.PUT if k < 0.0 else OptionKind.CALL
        return 2.0 * coin_price(strike, FORWARD, skewed(strike) * sqrt(YEARS), kind) * exp(-k)

    expected = quad(integrand, low, 0.0)[0] + quad(integrand, 0.0, high)[0]
    points = 100.0 * sqrt(expected / YEARS)
    assert 100.0 * sqrt(values[col.TOTAL_VARIANCE] / YEARS) == pytest.approx(points, abs=0.02)


def test_a_quote_premium_is_the_coin_premium_times_the_forward() -> None:
    """The same variances from quotes in the quote currency."""
    coin = chain()
    quote = [replace(q, bid=q.bid * FORWARD, ask=q.ask * FORWARD) for q in coin]
    found = values_of(evaluate(quote, Premium.QUOTE))
    expected = values_of(evaluate(coin))
    for column in (col.TOTAL_VARIANCE, col.FULL_VARIANCE, col.COIN_VARIANCE):
        assert found[column] == pytest.approx(expected[column], rel=1e-7)


def test_bid_and_ask_enclose_the_value_by_the_spreads() -> None:
    """Twice the half-spreads give twice the distance of the band; the value hardly moves."""
    narrow, wide = values_of(evaluate(chain(half=1e-4))), values_of(evaluate(chain(half=2e-4)))
    for row, factor in ((narrow, 1.0), (wide, 2.0)):
        below = row[col.TOTAL_VARIANCE] - row[col.BID_VARIANCE]
        above = row[col.ASK_VARIANCE] - row[col.TOTAL_VARIANCE]
        width = 2.0 * factor * 1e-4 * (
            exp(-row[col.CORRIDOR_LOW]) - exp(-row[col.CORRIDOR_HIGH])
        )  # fmt: skip
        assert below == pytest.approx(above, rel=1e-9)
        assert below == pytest.approx(width, rel=0.05)


@pytest.mark.parametrize("factor", [3.0, 6.0])
def test_an_outermost_strike_off_the_others_is_dropped(factor: float) -> None:
    """A tight quote at a multiple of the last put's price: reason `edge`, the value stays."""
    quotes = chain(step=2_000.0, half=2e-5)
    sound = evaluate(quotes)
    last = min(q.strike for q in quotes if q.bid > 1.2e-4 and q.kind is OptionKind.PUT)
    mid = next(
        0.5 * (q.bid + q.ask) for q in quotes if (q.strike, q.kind) == (last, OptionKind.PUT)
    )
    bad = evaluate(
        with_quote(quotes, last, OptionKind.PUT, factor * mid - 1e-5, factor * mid + 1e-5)
    )
    assert rejected(bad, Reject.EDGE) + rejected(bad, Reject.ARBITRAGE) == 1
    shift = sqrt(values_of(bad)[col.TOTAL_VARIANCE]) - sqrt(values_of(sound)[col.TOTAL_VARIANCE])
    assert abs(100.0 * shift / sqrt(YEARS)) < 0.02


def test_a_strike_off_its_neighbours_is_an_outlier() -> None:
    """A tight quote four half-spreads too high inside the corridor is not used."""
    quotes = chain(half=1e-4)
    strike = 55_000.0
    mid = coin_price(strike, FORWARD, SW, OptionKind.PUT)
    bad = evaluate(with_quote(quotes, strike, OptionKind.PUT, mid + 5e-4 - 1e-4, mid + 5e-4 + 1e-4))
    assert rejected(bad, Reject.OUTLIER) + rejected(bad, Reject.ARBITRAGE) == 1
    sound = values_of(evaluate(quotes))
    shift = sqrt(values_of(bad)[col.TOTAL_VARIANCE]) - sqrt(sound[col.TOTAL_VARIANCE])
    assert abs(100.0 * shift / sqrt(YEARS)) < 0.02


def test_a_hole_in_the_corridor_is_flagged() -> None:
    """Neighbouring strikes more than 1.5 sw apart: flag `gap`."""
    quotes = [
        q for q in chain() if not -1.3 * SW < log(q.strike / FORWARD) < -0.05 or q.strike > FORWARD
    ]
    assert Flag.GAP not in flags(evaluate(chain()))
    wider = [q for q in quotes if not -1.7 * SW < log(q.strike / FORWARD) < 0.0]
    assert Flag.GAP in flags(evaluate(wider))


@pytest.mark.parametrize("reach", [1.3, 1.0, 0.7])
def test_a_corridor_beyond_the_quotes_is_told(reach: float) -> None:
    """Quotes that end early: the share beyond them is measured, flagged and bounds eligibility."""
    short = evaluate(chain(reach=reach))
    share = values_of(short)[col.EXTRAPOLATED]
    assert 0.02 < share < 0.5
    assert (Flag.EXTRAPOLATED in flags(short)) is bool(share > 0.10)
    assert bool(short.facts[col.NATIVE, 0, col.ELIGIBLE]) is bool(share <= 0.20 and reach > 0.75)
    assert values_of(evaluate(chain()))[col.EXTRAPOLATED] == 0.0


@pytest.mark.parametrize(
    ("strikes", "has_value", "is_eligible"), [(4, False, False), (6, True, False)]
)
def test_few_strikes_give_a_value_without_eligibility_or_none(
    strikes: int,
    has_value: bool,
    is_eligible: bool,
) -> None:
    """Below five strikes no smile, below seven no use."""
    ladder = sorted({q.strike for q in chain(step=4_000.0)}, key=lambda k: abs(log(k / FORWARD)))
    kept = set(ladder[:strikes])
    surface = evaluate([q for q in chain(step=4_000.0) if q.strike in kept])
    assert isnan(values_of(surface)[col.TOTAL_VARIANCE]) is not has_value
    assert bool(surface.facts[col.NATIVE, 0, col.ELIGIBLE]) is is_eligible


def test_a_cheap_ask_beyond_the_last_quote_lowers_the_tail_only() -> None:
    """An unused strike's ask caps `full`; `value` does not see it."""
    quotes = chain(None, reach=2.0, half=2e-5)
    strike = 110_000.0
    far = ChainQuote(
        expiry_ns=quotes[0].expiry_ns, strike=strike, kind=OptionKind.CALL, bid=nan, ask=2e-5
    )
    free, capped = values_of(evaluate(quotes)), values_of(evaluate([*quotes, far]))
    assert capped[col.TAIL_HI_VARIANCE] < free[col.TAIL_HI_VARIANCE]
    assert capped[col.TOTAL_VARIANCE] == free[col.TOTAL_VARIANCE]


def test_a_frozen_evaluation_gives_the_same_bits() -> None:
    """What was remembered is all that is needed to compute the row again."""
    surface = evaluate(chain(None, half=1e-4))
    before = surface.values.copy()
    again = evaluate(chain(None, half=1e-4))
    again.memory[:] = surface.memory
    again.mark_all_dirty()
    again.evaluate(AT)
    assert np.array_equal(again.values, before, equal_nan=True)


def test_a_shape_that_fits_no_more_is_searched_again() -> None:
    """After the smile changed its form the remembered parameters are replaced."""
    surface = evaluate(chain(half=1e-5))
    shape = surface.memory[0, (col.OUTER_M, col.OUTER_S)].copy()
    slots = {(i.strike, i.kind): slot for slot, i in surface.slots.items()}
    for q in chain(None, half=1e-5):
        surface.table.write(slots[q.strike, q.kind], q.bid, q.ask, 1.0, 1.0, AT, AT)
    surface.evaluate(AT)
    fresh = evaluate(chain(None, half=1e-5))
    assert not np.array_equal(surface.memory[0, (col.OUTER_M, col.OUTER_S)], shape)
    assert values_of(surface)[col.TOTAL_VARIANCE] == pytest.approx(
        values_of(fresh)[col.TOTAL_VARIANCE], rel=2e-4
    )


def test_every_used_strike_tells_its_residual() -> None:
    """RESIDUAL stands on the ladder for the strikes in the smile, NaN elsewhere."""
    quotes = chain(None, half=1e-4)
    surface = evaluate(quotes)
    told = int((~np.isnan(surface.ladder[:, col.RESIDUAL])).sum())
    assert told == surface.facts[col.NATIVE, 0, col.STRIKES]
