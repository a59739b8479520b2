"""Our own strip: filtered quotes only, the corridor, eligibility and its flags."""

from math import isnan, nan, sqrt

import numpy as np
import pytest
from msgspec.structs import replace

from golden import slow_rules
from golden.book_builder import build
from golden.chain_sources import coin_price, smile_vol, synthetic_chain
from volgauge.domain.index import Flag, Method, Reject
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, parse_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

AT = parse_instant("2026-03-02T08:00:00Z")
FORWARD = 60_123.0


def fine(days: float, step: float = 250.0, reach: float = 3.5) -> list[ChainQuote]:
    """Nearly exact quotes (half-spread 1e-7 of the forward) on a dense grid, no marks."""
    years = days / 365.0
    edge = reach * 0.6 * sqrt(years)
    quotes = []
    for strike in np.arange(step, 4.0 * FORWARD, step).tolist():
        if abs(np.log(strike / FORWARD)) > edge:
            continue
        for kind in OptionKind:
            price = coin_price(strike, FORWARD, smile_vol(strike, FORWARD) * sqrt(years), kind)
            quotes.append(
                ChainQuote(
                    expiry_ns=AT + round(days * NANOS_PER_DAY),
                    strike=strike,
                    kind=kind,
                    bid=price - 1e-7,
                    ask=price + 1e-7,
                )
            )
    return quotes


def evaluate(quotes: list[ChainQuote], premium: Premium = Premium.COIN) -> Surface:
    """By `native` alone."""
    surface = build(quotes, AT, methods=(Method.NATIVE,), premium=premium)
    surface.evaluate(AT)
    return surface


def flags(surface: Surface) -> set[Flag]:
    """Flags of the first expiry."""
    bits = int(surface.facts[col.NATIVE, 0, col.FLAGS])
    return {flag for i, flag in enumerate(col.FLAG_ORDER) if bits & 1 << i}


def plain_strip(quotes: list[ChainQuote]) -> float:
    """The same sum from exact prices, |delta| by a solved volatility."""
    prices = {}
    base = max(q.strike for q in quotes if q.strike <= FORWARD)
    for q in quotes:
        if (q.kind is OptionKind.PUT) == (q.strike < FORWARD):
            mid = slow_rules.mid(q)
            if slow_rules.delta(q.kind, q.strike / FORWARD, mid) >= 0.05:
                prices[q.strike] = FORWARD * mid
    prices[base] += (FORWARD - base) / 2.0
    return slow_rules.strip(prices, FORWARD, base)


@pytest.mark.parametrize("days", [9.0, 30.0, 120.0])
def test_strip_of_sound_quotes(days: float) -> None:
    """The compiled sum is the plain one."""
    quotes = fine(days)

    surface = evaluate(quotes)

    values = surface.values[col.NATIVE, 0]
    assert values[col.FORWARD] == pytest.approx(FORWARD, rel=1e-9)
    assert values[col.TOTAL_VARIANCE] == pytest.approx(plain_strip(quotes), rel=1e-6)
    assert surface.facts[col.NATIVE, 0, col.ELIGIBLE] == 1
    assert set() == flags(surface)


def test_premium_in_quote_currency_is_the_same_value() -> None:
    """Dividing by the expiry's own forward undoes the unit."""
    coin = fine(30.0)
    quote = [replace(q, bid=q.bid * FORWARD, ask=q.ask * FORWARD) for q in coin]

    expected = evaluate(coin).values[col.NATIVE, 0, col.TOTAL_VARIANCE]
    computed = evaluate(quote, Premium.QUOTE).values[col.NATIVE, 0, col.TOTAL_VARIANCE]

    assert computed == pytest.approx(expected, rel=1e-8)


def test_deviation_at_the_money() -> None:
    """DEVIATION is sigma sqrt(t) of the smile at the forward."""
    surface = evaluate(fine(30.0))

    expected = 0.60 * sqrt(30.0 / 365.0)
    assert surface.values[col.NATIVE, 0, col.DEVIATION] == pytest.approx(expected, rel=1e-4)


def test_marks_never_enter() -> None:
    """Absurd marks change no bit."""
    quotes = fine(30.0)

    marked = evaluate([replace(q, mark=0.5) for q in quotes])

    np.testing.assert_array_equal(evaluate(quotes).values, marked.values)


@pytest.mark.parametrize("lost", [3, 9])
def test_lost_quotes_inside_are_bridged(lost: int) -> None:
    """Refused strikes in the corridor are priced between their neighbours."""
    quotes = fine(30.0)
    strikes = [55_000.0 + 250.0 * i for i in range(lost)]
    thin = [replace(q, bid=nan) if q.strike in strikes else q for q in quotes]

    whole, holed = evaluate(quotes), evaluate(thin)

    expected = whole.values[col.NATIVE, 0, col.TOTAL_VARIANCE]
    assert holed.values[col.NATIVE, 0, col.TOTAL_VARIANCE] == pytest.approx(expected, rel=1e-4)
    strikes_used = whole.facts[col.NATIVE, 0, col.STRIKES]
    assert holed.facts[col.NATIVE, 0, col.STRIKES] == strikes_used - lost


def test_a_wide_hole_is_flagged() -> None:
    """Neighbouring accepted strikes more than 1.5 sw apart in the corridor: `gap`."""
    sw = 0.60 * sqrt(30.0 / 365.0)
    quotes = [
        replace(q, bid=nan) if -1.7 * sw < np.log(q.strike / FORWARD) < -0.1 * sw else q
        for q in fine(30.0)
    ]

    assert Flag.GAP in flags(evaluate(quotes))


@pytest.mark.parametrize(
    ("reach", "flagged", "eligible"), [(1.4, False, 1), (1.1, True, 1), (0.9, True, 0)]
)
def test_strikes_beyond_the_quotes(reach: float, eligible: int, *, flagged: bool) -> None:
    """Listed strikes beyond the last quote are priced at its volatility; the share is told."""
    sw = 0.60 * sqrt(30.0 / 365.0)
    quotes = [
        q if abs(np.log(q.strike / FORWARD)) < reach * sw else replace(q, bid=nan)
        for q in fine(30.0)
    ]

    surface = evaluate(quotes)

    assert surface.values[col.NATIVE, 0, col.EXTRAPOLATED] > 0.0
    assert flagged == (Flag.EXTRAPOLATED in flags(surface))
    assert surface.facts[col.NATIVE, 0, col.ELIGIBLE] == eligible


@pytest.mark.parametrize(("days", "eligible"), [(2.0, 1), (1.99, 0)])
def test_the_last_two_days_are_not_eligible(days: float, eligible: int) -> None:
    """Tau >= 2 d."""
    surface = evaluate(fine(days, step=50.0))

    assert surface.facts[col.NATIVE, 0, col.ELIGIBLE] == eligible
    assert surface.values[col.NATIVE, 0, col.TOTAL_VARIANCE] > 0.0


@pytest.mark.parametrize(
    ("below", "above", "eligible"), [(4, 3, 1), (3, 4, 1), (3, 3, 0), (2, 9, 0), (9, 2, 0)]
)
def test_seven_strikes_three_a_side(below: int, above: int, eligible: int) -> None:
    """Fewer accepted strikes make no eligible expiry."""
    step = 6_000.0 if max(below, above) < 5 else 2_500.0
    wanted = {60_000.0 - step * i for i in range(below)} | {
        60_250.0 + step * i for i in range(above)
    }
    quotes = [q for q in fine(30.0, reach=7.0) if q.strike in wanted]

    surface = evaluate(quotes)

    assert surface.facts[col.NATIVE, 0, col.ACCEPTED] == below + above
    assert surface.facts[col.NATIVE, 0, col.ELIGIBLE] == eligible


def test_fewer_than_three_pairs_take_the_future() -> None:
    """The listed future gives the forward, flagged; without one the expiry has none."""
    one_leg = [q for q in fine(30.0) if (q.kind is OptionKind.PUT) == (q.strike < FORWARD)]

    with_future = evaluate([replace(q, forward=FORWARD) for q in one_leg])
    without = evaluate(one_leg)

    assert {Flag.FORWARD} == flags(with_future)
    assert FORWARD == with_future.values[col.NATIVE, 0, col.FORWARD]
    assert isnan(without.values[col.NATIVE, 0, col.TOTAL_VARIANCE])
    assert col.N_NO_FORWARD == without.facts[col.NATIVE, 0, col.REASON]


@pytest.mark.parametrize(("off", "flagged"), [(0.002, False), (0.004, True)])
def test_a_future_off_parity_is_flagged(off: float, *, flagged: bool) -> None:
    """|F - future| > 0.3 %."""
    surface = evaluate([replace(q, forward=FORWARD * (1.0 + off)) for q in fine(30.0)])

    assert flagged == (Flag.FUTURE_GAP in flags(surface))
    assert surface.values[col.NATIVE, 0, col.FORWARD] == pytest.approx(FORWARD, rel=1e-9)


def test_bid_and_ask_variance_surround_the_value() -> None:
    """They are the same strip at the bids and at the asks."""
    chain = synthetic_chain(AT)
    surface = evaluate(chain)
    values = surface.values[col.NATIVE]

    assert (values[:, col.BID_VARIANCE] < values[:, col.TOTAL_VARIANCE]).all()
    assert (values[:, col.TOTAL_VARIANCE] < values[:, col.ASK_VARIANCE]).all()
    middle = 0.5 * (values[:, col.BID_VARIANCE] + values[:, col.ASK_VARIANCE])
    np.testing.assert_allclose(middle, values[:, col.TOTAL_VARIANCE], rtol=1e-12)


def test_every_quote_has_its_verdict() -> None:
    """Counts by reason equal the options' own verdicts."""
    chain = synthetic_chain(AT)
    surface = evaluate(chain)

    codes = list(surface.codes(Method.NATIVE).values())
    assert len(chain) == len(codes)
    for number, reject in enumerate(Reject):
        counted = int(surface.facts[col.NATIVE, :, col.REJECTED + number].sum())
        assert codes.count(number) == counted, reject
