"""The exchange's strip against the rule written plainly."""

from math import isnan, nan

import pytest
from msgspec.structs import replace

from golden import slow_rules
from golden.book_builder import build
from golden.chain_sources import synthetic_chain
from volgauge.domain.index import Flag, Method, Reject
from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import parse_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

AT = parse_instant("2026-03-02T08:00:00Z")


def expiry(number: int) -> list[ChainQuote]:
    """One expiry of the synthetic chain."""
    chain = synthetic_chain(AT)
    wanted = sorted({q.expiry_ns for q in chain})[number]
    return [q for q in chain if q.expiry_ns == wanted]


def evaluate(quotes: list[ChainQuote]) -> Surface:
    """By mode `dvol` alone."""
    surface = build(quotes, AT, methods=(Method.DVOL,))
    surface.evaluate(AT)
    return surface


def assert_as_written(quotes: list[ChainQuote]) -> None:
    """Variance and strikes of the kernel are those of the plain rule."""
    variance, used = slow_rules.dvol(quotes, quotes[0].forward)
    surface = evaluate(quotes)

    assert surface.values[col.DVOL, 0, col.TOTAL_VARIANCE] == pytest.approx(variance, rel=1e-12)
    assert surface.facts[col.DVOL, 0, col.STRIKES] == len(used)


def change(quotes: list[ChainQuote], strike: float, kind: str, **sides: float) -> list[ChainQuote]:
    """Replace fields of one quote."""
    return [
        replace(q, **sides) if (q.strike, q.kind.value) == (strike, kind) else q for q in quotes
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@pytest.mark.parametrize("marked", [True, False])
def test_whole_expiry(number: int, *, marked: bool) -> None:
    """With the exchange's marks and without."""
    quotes = expiry(number)

    assert_as_written(quotes if marked else [replace(q, mark=nan) for q in quotes])


@pytest.mark.parametrize("sides", [{"bid": nan}, {"ask": nan}, {"bid": nan, "ask": nan}])
def test_a_one_sided_quote_falls_back_to_its_mark(sides: dict[str, float]) -> None:
    """The mark stands in and the flag says so."""
    quotes = change(expiry(1), 56_000.0, "P", **sides)

    assert_as_written(quotes)
    flags = int(evaluate(quotes).facts[col.DVOL, 0, col.FLAGS])
    assert flags == 1 << col.FLAG_ORDER.index(Flag.MARKS_USED)


def test_without_a_mark_the_strike_is_left_out() -> None:
    """It is counted, and dK spans the hole."""
    quotes = change(expiry(1), 56_000.0, "P", bid=nan, mark=nan)

    assert_as_written(quotes)
    facts = evaluate(quotes).facts[col.DVOL, 0]
    assert facts[col.REJECTED + col.REJECTS.index(Reject.NO_BID)] >= 1


def test_the_delta_is_that_of_the_mark() -> None:
    """A far strike with a silly mid stays out as long as its mark says so."""
    quotes = expiry(1)
    far = min(q.strike for q in quotes)
    quotes = change(quotes, far, "P", bid=0.010, ask=0.012)

    assert_as_written(quotes)
    assert_as_written(change(quotes, far, "P", mark=nan))


def test_k_zero_without_any_price_is_not_computable() -> None:
    """No put and no call at K0: null, with the reason."""
    quotes = expiry(1)
    base = max(q.strike for q in quotes if q.strike <= quotes[0].forward)
    for kind in ("C", "P"):
        quotes = change(quotes, base, kind, bid=nan, ask=nan, mark=nan)

    surface = evaluate(quotes)

    assert isnan(surface.values[col.DVOL, 0, col.TOTAL_VARIANCE])
    assert col.N_K_ZERO_QUOTE == surface.facts[col.DVOL, 0, col.REASON]


@pytest.mark.parametrize("missing", ["C", "P"])
def test_k_zero_by_the_parity_of_one_leg(missing: str) -> None:
    """The mean of put and call is put + (F - K0)/2 when the call has no price, and vice versa."""
    quotes = expiry(1)
    forward = quotes[0].forward
    base = max(q.strike for q in quotes if q.strike <= forward)
    whole = float(evaluate(quotes).values[col.DVOL, 0, col.TOTAL_VARIANCE])
    thin = change(quotes, base, missing, bid=nan, ask=nan, mark=nan)

    value = float(evaluate(thin).values[col.DVOL, 0, col.TOTAL_VARIANCE])

    # What is left is the parity error of two rounded mids at one strike.
    assert value == pytest.approx(whole, rel=1e-3)


def test_a_one_sided_chain_is_not_computable() -> None:
    """Puts alone give no strip."""
    quotes = [q for q in expiry(1) if q.kind is OptionKind.PUT]

    facts = evaluate(quotes).facts[col.DVOL, 0]

    assert col.N_ONE_SIDED_CHAIN == facts[col.REASON]


def test_parity_stands_in_for_an_unknown_forward() -> None:
    """Without the venue's forward the pairs give nearly the same value."""
    quotes = expiry(2)
    known = evaluate(quotes).values[col.DVOL, 0, col.TOTAL_VARIANCE]

    alone = evaluate([replace(q, forward=nan) for q in quotes])

    assert alone.values[col.DVOL, 0, col.TOTAL_VARIANCE] == pytest.approx(known, rel=2e-3)
    assert alone.values[col.DVOL, 0, col.FORWARD] == pytest.approx(quotes[0].forward, rel=1e-4)
