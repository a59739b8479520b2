"""One-sided and very wide quotes between used strikes: what their near side still says."""

from math import log, nan, sqrt

import pytest

from golden.book_builder import build
from golden.chain_sources import coin_price
from unit.kernels.test_native import AT, FORWARD, YEARS, chain, skewed, values_of, with_quote
from volgauge.domain.index import Method
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import layout as col
from volgauge.kernels import sides
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

LINE, HALF = 0.02, 0.0004
STRIKE = 54_000.0
SPREAD = 2e-5


def evaluate(quotes: list[ChainQuote]) -> Surface:
    """By `native` alone."""
    surface = build(quotes, AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    return surface


def points(surface: Surface) -> float:
    """The expiry's `value`."""
    return 100.0 * sqrt(values_of(surface)[col.TOTAL_VARIANCE] / YEARS)


def residual(surface: Surface, strike: float) -> float:
    """What the strike adds to the fit."""
    (row,) = (surface.ladder[:, col.STRIKE] == strike).nonzero()[0]
    return float(surface.ladder[row, col.RESIDUAL])


def put_price(strike: float) -> float:
    """Of the skewed world."""
    return coin_price(strike, FORWARD, skewed(strike) * sqrt(YEARS), OptionKind.PUT)


def fitted(surface: Surface, strike: float) -> float:
    """The curve's put."""
    row = values_of(surface)
    x = log(strike / row[col.FORWARD]) - row[col.SVI_M]
    w = row[col.SVI_A] + row[col.SVI_B] * (row[col.SVI_RHO] * x + sqrt(x * x + row[col.SVI_S] ** 2))
    return coin_price(strike, float(row[col.FORWARD]), sqrt(w), OptionKind.PUT)


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        (nan, nan, 0.0),
        (nan, LINE + HALF, 0.0),
        (nan, LINE + 1.5 * HALF, 0.5 * HALF),
        (nan, LINE + 2.5 * HALF, 0.75 * HALF),
        (nan, LINE + 9.0 * HALF, 0.0),
        (nan, LINE, -HALF),
        (nan, LINE - 9.0 * HALF, -1.5 * HALF),
        (LINE - HALF, nan, 0.0),
        (LINE - 1.5 * HALF, nan, -0.5 * HALF),
        (LINE - 9.0 * HALF, nan, 0.0),
        (LINE + 9.0 * HALF, nan, 1.5 * HALF),
        (LINE - 1.25 * HALF, 90.0 * LINE, -0.25 * HALF),
    ],
)
def test_a_side_moves_the_line(lower: float, upper: float, expected: float) -> None:
    """A usual half-spread inside the side: within limits, and fading where it only allows."""
    found = sides.shift_of_line(LINE, HALF, lower, upper)
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(("bid", "ask"), [(0.0, 1.0), (1.0, 0.0), (1.0, 100.0)])
def test_the_side_that_is_left_keeps_the_price(bid: float, ask: float) -> None:
    """Of exact quotes a usual half-spread wide one side is enough; the strike left the curve."""
    quotes = chain(None, half=SPREAD)
    price = put_price(STRIKE)
    one_sided = evaluate(
        with_quote(quotes, STRIKE, OptionKind.PUT, bid * (price - SPREAD), ask * (price + SPREAD))
    )
    assert residual(one_sided, STRIKE) == pytest.approx(
        price - fitted(one_sided, STRIKE), abs=0.02 * SPREAD
    )
    assert points(one_sided) == pytest.approx(points(evaluate(quotes)), abs=0.001)


def test_a_side_far_away_says_nothing() -> None:
    """An ask of twice the price alone is as good as no quote."""
    quotes = chain(None, half=SPREAD)
    far = with_quote(quotes, STRIKE, OptionKind.PUT, 0.0, 2.0 * put_price(STRIKE))
    none = with_quote(quotes, STRIKE, OptionKind.PUT, 0.0, 0.0)
    assert points(evaluate(far)) == pytest.approx(points(evaluate(none)), abs=1e-9)


def test_beyond_the_used_strikes_a_side_adds_nothing() -> None:
    """The outermost put without its bid is not used; its ask moves nothing within the corridor."""
    quotes = chain(None, half=SPREAD)
    outermost = min(q.strike for q in quotes)
    price = put_price(outermost)
    one_sided = evaluate(with_quote(quotes, outermost, OptionKind.PUT, 0.0, price + SPREAD))
    none = evaluate(with_quote(quotes, outermost, OptionKind.PUT, 0.0, 0.0))
    assert residual(one_sided, outermost) != residual(one_sided, outermost)
    assert points(one_sided) == points(none)


def test_a_wide_quote_is_read_from_its_near_side() -> None:
    """One ask at 1.6 times the mid, legal by rule 2, leaves the price where the bid says it is."""
    quotes = chain(None, half=SPREAD)
    price = put_price(STRIKE)
    wide = evaluate(with_quote(quotes, STRIKE, OptionKind.PUT, price - SPREAD, 1.6 * price))
    assert residual(wide, STRIKE) == pytest.approx(price - fitted(wide, STRIKE), abs=0.02 * SPREAD)
    assert points(wide) == pytest.approx(points(evaluate(quotes)), abs=0.001)


def test_the_forward_that_moved_on_loosens_a_side() -> None:
    """An old ask is taken as far off as the forward has moved: here it no longer binds."""
    quotes = chain(None, half=SPREAD)
    tight = with_quote(quotes, STRIKE, OptionKind.PUT, 0.0, put_price(STRIKE) - 3.0 * SPREAD)
    surface = evaluate(tight)
    bound = points(surface)
    (row,) = (surface.ladder[:, col.STRIKE] == STRIKE).nonzero()[0]
    slot = int(surface.ladder[row, col.PUT_SLOT])
    surface.table.quotes[slot, col.FORWARD_REF] *= 1.0 + 20.0 * SPREAD
    surface.mark_all_dirty()
    surface.evaluate(AT)
    none = evaluate(with_quote(quotes, STRIKE, OptionKind.PUT, 0.0, 0.0))
    assert bound < points(none) - 0.001
    assert points(surface) == pytest.approx(points(none), abs=1e-9)
