"""The price of a strike from both its legs, METHODOLOGY rule 8."""

from collections.abc import Callable
from math import inf, isnan, nan

import pytest

from golden.book_builder import build
from unit.kernels.test_native import AT, FORWARD, chain, evaluate, values_of, with_quote
from volgauge.domain.index import Method
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import layout as col
from volgauge.kernels._jit import twin
from volgauge.kernels.screen import OTM_ASK, OTM_BID, OTM_MID
from volgauge.kernels.strike_price import strike_price
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

M, MID, HALF = 0.95, 0.02, 0.0004
"""A put out of the money; the call of the same strike is worth 0.05 more."""
CALL = MID + 1.0 - M
BELOW, ABOVE = 60_000.0, 61_000.0
"""Strikes next to the forward of the test chain."""

Price = Callable[[float, float, float, float, float], float]


@pytest.fixture(params=["compiled", "twin"])
def price(request: pytest.FixtureRequest) -> Price:
    """The kernel and its twin."""
    return strike_price if request.param == "compiled" else twin(strike_price)


def out_of_the_money(surface: Surface, strike: float) -> float:
    """What the estimator took for the price of a strike."""
    (place,) = (surface.ladder[:, col.STRIKE] == strike).nonzero()[0]
    return float(surface._work[OTM_MID, place])


def test_of_equal_spreads_the_other_leg_has_a_quarter(price: Price) -> None:
    """Two mids of one quality, less than a spread apart: half of the way to their mean."""
    assert price(M, MID, HALF, CALL + 0.0003, HALF) == pytest.approx(MID + 0.000075, abs=1e-15)


def test_weights_are_the_inverse_squares_of_the_spreads(price: Price) -> None:
    """Half-spreads 3 and 1: half of the way to the mean with weights 1/9 and 1."""
    mean = (MID / 1.0 + (MID + 0.0002) / 9.0) / (1.0 + 1.0 / 9.0)
    expected = 0.5 * (MID + mean)
    assert price(M, MID, HALF, CALL + 0.0002, 3.0 * HALF) == pytest.approx(expected, abs=1e-15)


def test_a_call_takes_what_its_put_says(price: Price) -> None:
    """Above the forward the put is the dearer one, by m - 1."""
    m = 1.0 / M
    put = MID + m - 1.0
    assert price(m, MID, HALF, put - 0.0002, HALF) == pytest.approx(MID - 0.00005, abs=1e-15)


def test_who_narrows_the_other_quote_gains_no_weight(price: Price) -> None:
    """Narrower than its partner it counts as its partner does."""
    narrow = price(M, MID, HALF, CALL + 0.0002, 1e-6)
    assert narrow == pytest.approx(MID + 0.00005, abs=2e-7)


@pytest.mark.parametrize(("apart", "share"), [(1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (900.0, 0.0)])
def test_quotes_that_contradict_each_other_part(price: Price, apart: float, share: float) -> None:
    """The say falls from half of the distance on at which intervals part, and is gone there."""
    found = price(M, MID, HALF, CALL + apart * HALF, HALF)
    assert found == pytest.approx(MID + 0.25 * share * apart * HALF, abs=1e-15)


@pytest.mark.parametrize(("mid", "half"), [(nan, nan), (nan, HALF), (CALL, nan), (inf, HALF)])
def test_a_leg_that_is_not_there_says_nothing(price: Price, mid: float, half: float) -> None:
    """Refused, absent or no number: the mid stands, to the last bit."""
    assert price(M, MID, HALF, mid, half) == MID


def test_no_price_leaves_the_bounds(price: Price) -> None:
    """A put worth nearly its strike stays where it is rather than beyond what it can be worth."""
    assert price(M, M - 0.005, 0.05, M - 0.005 + 0.04 + 1.0 - M, 0.05) == M - 0.005


def quoted(strike: float, kind: OptionKind, shift: float, half: float = 1e-4) -> list[ChainQuote]:
    """The flat world, one quote of it shifted."""
    quotes = chain(half=1e-4)
    (old,) = [q for q in quotes if (q.strike, q.kind) == (strike, kind)]
    mid = 0.5 * (old.bid + old.ask) + shift
    return with_quote(quotes, strike, kind, mid - half, mid + half)


@pytest.mark.parametrize(("strike", "other"), [(BELOW, OptionKind.CALL), (ABOVE, OptionKind.PUT)])
def test_the_estimator_takes_both_legs(strike: float, other: OptionKind) -> None:
    """An in-the-money mid that is off by 1e-4 moves the price of its strike by a quarter of it."""
    before = out_of_the_money(evaluate(chain(half=1e-4)), strike)
    after = out_of_the_money(evaluate(quoted(strike, other, 1e-4)), strike)

    assert after - before == pytest.approx(0.25e-4, abs=1e-9)


def test_the_spread_stays_that_of_the_leg_out_of_the_money() -> None:
    """Bid and ask of the strike, by which it is screened and the band is made, do not move."""
    surface = evaluate(quoted(BELOW, OptionKind.CALL, 1e-4))
    (place,) = (surface.ladder[:, col.STRIKE] == BELOW).nonzero()[0]
    bid, ask = surface._work[OTM_BID, place], surface._work[OTM_ASK, place]

    assert ask - bid == pytest.approx(2e-4, abs=1e-12)
    assert 0.5 * (bid + ask) < surface._work[OTM_MID, place]


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 1.0), (1.0, 0.0), (1.01, 1.0), (1.0, 1.8)])
def test_a_refused_leg_in_the_money_is_as_good_as_none(bid: float, ask: float) -> None:
    """One-sided, crossed or too wide: the same bits as without any quote."""
    quotes = chain(half=1e-4)
    (old,) = [q for q in quotes if (q.strike, q.kind) == (BELOW, OptionKind.CALL)]
    mid = 0.5 * (old.bid + old.ask)
    refused = evaluate(with_quote(quotes, BELOW, OptionKind.CALL, bid * mid, ask * mid))
    absent = evaluate(with_quote(quotes, BELOW, OptionKind.CALL, nan, nan))

    assert values_of(refused).tobytes() == values_of(absent).tobytes()


def test_without_own_pairs_the_leg_out_of_the_money_stands_alone() -> None:
    """With two pairs the forward is the listed future's: their calls below it move nothing."""
    quotes = [
        q
        for q in chain(half=1e-4)
        if (q.kind is OptionKind.PUT) == (q.strike < FORWARD) or q.strike in (BELOW, ABOVE)
    ]
    moved = [
        q
        if (q.strike, q.kind) != (BELOW, OptionKind.CALL)
        else with_quote([q], BELOW, OptionKind.CALL, q.bid + 1e-4, q.ask + 1e-4)[0]
        for q in quotes
    ]
    values = []
    for book in (quotes, moved):
        surface = build(book, AT, methods=(Method.NATIVE,))
        surface.set_forward(quotes[0].expiry_ns, FORWARD)
        surface.evaluate(AT)
        values.append(float(values_of(surface)[col.TOTAL_VARIANCE]))

    assert values[0] == values[1]
    assert not isnan(values[0])


def test_the_exchanges_rule_knows_nothing_of_it() -> None:
    """The strip of `dvol` takes the leg out of the money alone, at K0 the mean of both."""
    lowest = min(q.strike for q in chain())
    strips = []
    for quotes in (chain(half=1e-4), quoted(lowest, OptionKind.CALL, 1e-4)):
        surface = build(quotes, AT, methods=(Method.NATIVE, Method.DVOL))
        surface.set_forward(quotes[0].expiry_ns, FORWARD)
        surface.evaluate(AT)
        strips.append(float(surface.values[col.DVOL, 0, col.TOTAL_VARIANCE]))

    assert strips[0] == strips[1]
