"""A smile says what the quotes, the verdicts and the fit of the engine say; IVs by scipy."""

from math import exp, isnan, log, nan, sqrt

import numpy as np
import pytest
from msgspec.structs import replace
from scipy.optimize import brentq
from scipy.stats import norm

from golden.book_builder import build
from golden.chain_sources import synthetic_chain
from volgauge.domain.index import Method
from volgauge.domain.instrument import Premium
from volgauge.domain.units import format_instant, parse_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote
from volgauge.publish.smile import FIT_POINTS, Smile, excerpt, read_smiles
from volgauge.surface.surface import Surface

AT = parse_instant("2026-03-02T08:00:00Z")
CHAIN = synthetic_chain(AT)
EXPIRIES = sorted({quote.expiry_ns for quote in CHAIN})


def evaluated(chain: list[ChainQuote], premium: Premium = Premium.COIN) -> Surface:
    """A book that was computed once."""
    surface = build(chain, AT, methods=(Method.NATIVE, Method.DVOL), premium=premium)
    surface.evaluate(AT)
    return surface


def smile_of(surface: Surface, expiry: int = 1) -> Smile:
    """One expiry of a book."""
    [found] = read_smiles([excerpt("test", surface, EXPIRIES[expiry])])
    return found


def scipy_points(forward: float, strike: float, t: float, price: float) -> float:
    """Black-76 volatility of the out-of-the-money option in points, by bracketing."""
    sign = 1.0 if strike >= forward else -1.0

    def miss(sigma: float) -> float:
        s = sigma * sqrt(t)
        d1 = log(forward / strike) / s + s / 2
        value = sign * (forward * norm.cdf(sign * d1) - strike * norm.cdf(sign * (d1 - s)))
        return float(value) - price

    return 100.0 * float(brentq(miss, 1e-4, 20.0, xtol=1e-14, rtol=1e-14))


@pytest.mark.parametrize("premium", [Premium.COIN, Premium.QUOTE])
def test_volatilities_are_those_of_the_out_of_the_money_quotes(premium: Premium) -> None:
    """Every strike of one expiry against scipy, for both premium units."""
    chain = CHAIN
    if premium is Premium.QUOTE:
        chain = [replace(q, bid=q.bid * 60_000, ask=q.ask * 60_000) for q in CHAIN]
    smile = smile_of(evaluated(chain, premium=premium))
    quotes = {(q.strike, q.kind.value): q for q in chain if q.expiry_ns == EXPIRIES[1]}
    unit = smile.forward if premium is Premium.COIN else 1.0
    checked = 0
    for strike, bid, ask in zip(smile.strikes, smile.bid_iv, smile.ask_iv, strict=True):
        quote = quotes[strike, "C" if strike >= smile.forward else "P"]
        for shown, given in ((bid, quote.bid), (ask, quote.ask)):
            if shown is None:
                continue
            expected = scipy_points(smile.forward, strike, smile.t_years, given * unit)
            assert shown == pytest.approx(expected, abs=6e-5)
            checked += 1

    assert checked > 50


def test_the_fit_is_the_raw_svi_of_the_engine() -> None:
    """w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)) over the corridor and the used quotes."""
    surface = evaluated(CHAIN)
    smile = smile_of(surface)
    row = surface.values[col.NATIVE, surface.expiries.index(EXPIRIES[1])]
    a, b, rho, m, s = row[[col.SVI_A, col.SVI_B, col.SVI_RHO, col.SVI_M, col.SVI_S]]
    for k, shown in zip([*smile.fit_k, 0.0], [*smile.fit_iv, smile.atm_iv], strict=True):
        w = a + b * (rho * (k - m) + sqrt((k - m) ** 2 + s**2))
        assert shown == pytest.approx(100 * sqrt(w / smile.t_years), abs=2e-3)
    used = [k for k, is_used in zip(smile.k, smile.used, strict=True) if is_used]

    assert len(smile.fit_k) == FIT_POINTS
    assert smile.corridor is not None
    assert smile.fit_k[0] == pytest.approx(min(smile.corridor[0], *used), abs=2e-6)
    assert smile.fit_k[-1] == pytest.approx(max(smile.corridor[1], *used), abs=2e-6)


def test_what_is_not_quoted_has_no_volatility_and_a_reason() -> None:
    """One side absent, a zero, a crossed market: null where there is none, and the verdict."""
    expiry = EXPIRIES[1]
    near = sorted({q.strike for q in CHAIN if q.expiry_ns == expiry}, key=lambda k: -k)
    low = [k for k in near if k < 55_000][0:3]
    odd = {low[0]: (nan, None), low[1]: (0.0, None), low[2]: (None, 1e-4)}
    chain = []
    for quote in CHAIN:
        bid, ask = (
            odd.get(quote.strike, (None, None)) if quote.expiry_ns == expiry else (None, None)
        )
        chain.append(
            replace(
                quote,
                bid=quote.bid if bid is None else bid,
                ask=quote.ask if ask is None else ask,
            )
        )
    smile = smile_of(evaluated(chain))
    at = {strike: place for place, strike in enumerate(smile.strikes)}

    for strike in low[:2]:
        assert smile.bid_iv[at[strike]] is None
        assert smile.mid_iv[at[strike]] is None
        assert smile.ask_iv[at[strike]] is not None
        assert (False, "no_bid") == (smile.used[at[strike]], smile.verdict[at[strike]])
    assert (False, "crossed") == (smile.used[at[low[2]]], smile.verdict[at[low[2]]])


def test_used_strikes_are_those_that_the_engine_counted() -> None:
    """As many as the facts say, and none of them with a verdict."""
    surface = evaluated(CHAIN)
    for number, expiry in enumerate(EXPIRIES):
        smile = smile_of(surface, number)
        facts = surface.facts[col.NATIVE, surface.expiries.index(expiry)]

        assert int(facts[col.STRIKES]) == sum(smile.used)
        assert all(
            v is None for v, is_used in zip(smile.verdict, smile.used, strict=True) if is_used
        )
        assert bool(facts[col.ELIGIBLE]) == smile.eligible


def test_open_interest_adds_both_legs_and_stays_unknown_where_untold() -> None:
    """Call 3 and put 4 make 7; one alone counts alone; none is null."""
    surface = evaluated(CHAIN)
    slots = {
        (q.strike, q.kind.value): slot for slot, q in enumerate(CHAIN) if q.expiry_ns == EXPIRIES[1]
    }
    strikes = sorted({strike for strike, _ in slots})[:3]
    told = {(strikes[0], "C"): 3.0, (strikes[0], "P"): 4.0, (strikes[1], "P"): 5.0}
    surface.table.write_open_interest([slots[key] for key in told], list(told.values()))

    assert (7.0, 5.0, None) == smile_of(surface).open_interest[:3]


def test_reading_changes_nothing_and_a_copy_stays_what_it_was() -> None:
    """Quotes that come after the excerpt are not in it, and the dirty flags are not ours."""
    surface = evaluated(CHAIN)
    before = (
        surface.values.tobytes(),
        surface.table.quotes.tobytes(),
        surface.table.dirty.tobytes(),
    )
    copied = excerpt("test", surface)
    first = read_smiles([copied])
    after = (
        surface.values.tobytes(),
        surface.table.quotes.tobytes(),
        surface.table.dirty.tobytes(),
    )
    surface.table.write(5, 0.5, 0.6, 1.0, 1.0, AT + 1, AT + 1)
    surface.evaluate(AT + 2)

    assert before == after
    assert first == read_smiles([copied])
    assert first != read_smiles([excerpt("test", surface)])


def test_books_stand_side_by_side_within_an_expiry() -> None:
    """By expiry first, then in the order that was given."""
    surface = evaluated(CHAIN)
    smiles = read_smiles([excerpt("one", surface), excerpt("two", surface)])
    names = [format_instant(expiry) for expiry in EXPIRIES]

    assert [(n, b) for n in names for b in ("one", "two")] == [(s.expiry, s.book) for s in smiles]


def test_a_book_without_a_forward_has_no_smile() -> None:
    """Nothing quoted: nothing to show, and no error."""
    silent = [replace(q, bid=nan, ask=nan, forward=nan) for q in CHAIN]

    assert () == read_smiles([excerpt("test", evaluated(silent))])


def test_every_row_has_the_length_of_the_strikes() -> None:
    """The columns belong together, and k is the logarithm that it says."""
    for smile in read_smiles([excerpt("test", evaluated(CHAIN))]):
        rows = (smile.k, smile.bid_iv, smile.ask_iv, smile.mid_iv, smile.used, smile.verdict)
        assert {len(smile.strikes)} == {len(row) for row in (*rows, smile.open_interest)}
        again = [smile.forward * exp(k) for k in smile.k]
        assert np.allclose(again, smile.strikes, rtol=1e-6)
        assert not any(isnan(iv) for iv in smile.bid_iv if iv is not None)
