"""The surface: what is listed, when it is computed, and that the way there leaves no trace."""

from math import isnan, nan

import numpy as np
import pytest
from msgspec.structs import replace

from golden.book_builder import ALL, KEY, build, instrument
from golden.chain_sources import synthetic_chain
from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Flag, Method
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote
from volgauge.surface.surface import Surface

AT = parse_instant("2026-03-02T08:00:00Z")
CHAIN = synthetic_chain(AT)


def results(surface: Surface) -> bytes:
    """Every number of every method, to the bit."""
    return surface.values.tobytes() + surface.facts.tobytes()


def quote(surface: Surface, slot: int, bid: float, ask: float, now_ns: int) -> None:
    """One tick."""
    surface.table.write(slot, bid, ask, 1.0, 1.0, now_ns, now_ns)


def slot_of(strike: float, kind: str, expiry: int = 1) -> int:
    """Slot of an option of the synthetic chain."""
    expiry_ns = sorted({q.expiry_ns for q in CHAIN})[expiry]
    return next(
        i
        for i, q in enumerate(CHAIN)
        if (q.expiry_ns, q.strike, q.kind.value) == (expiry_ns, strike, kind)
    )


def test_only_touched_expiries_are_computed() -> None:
    """All at first, none without a change, one after a tick."""
    surface = build(CHAIN, AT)

    counts = [surface.evaluate(AT), surface.evaluate(AT + 1)]
    quote(surface, slot_of(60_000.0, "C"), 0.04, 0.042, AT + 2)

    # `cboe` moves with the clock, so it is always computed anew; the others are not.
    assert counts == [4, 4]
    live = build(CHAIN, AT, methods=(Method.NATIVE, Method.DVOL))
    assert [live.evaluate(AT), live.evaluate(AT + 1)] == [4, 0]
    quote(live, slot_of(60_000.0, "C"), 0.04, 0.042, AT + 2)
    assert live.evaluate(AT + 3) == 1


@pytest.mark.parametrize("seed", range(3))
def test_dirty_only_and_full_are_the_same_bits(seed: int) -> None:
    """After every tick, also when quotes turn stale, vanish and come back."""
    rng = np.random.default_rng(seed)
    methods = (Method.NATIVE, Method.DVOL)
    sparing, thorough = build(CHAIN, AT, methods=methods), build(CHAIN, AT, methods=methods)
    now_ns = AT
    for _ in range(300):
        now_ns += int(rng.integers(1, 900)) * NANOS_PER_MILLI
        for _ in range(int(rng.integers(0, 4))):
            slot = int(rng.integers(len(CHAIN)))
            old = CHAIN[slot]
            shift = 1.0 + 0.2 * float(rng.normal())
            bid, ask = old.bid * shift, old.ask * shift
            if rng.random() < 0.2:
                bid = nan
            for surface in (sparing, thorough):
                quote(surface, slot, bid, ask, now_ns)
        thorough.mark_all_dirty()
        sparing.evaluate(now_ns)
        thorough.evaluate(now_ns)

        assert results(sparing) == results(thorough)


def test_slots_leave_no_trace() -> None:
    """Any numbering of the options gives the same bits."""
    order = np.random.default_rng(3).permutation(len(CHAIN)).tolist()
    straight, shuffled = build(CHAIN, AT), build(CHAIN, AT, order=order)

    straight.evaluate(AT)
    shuffled.evaluate(AT)

    assert results(straight) == results(shuffled)
    assert straight.digest(1) == shuffled.digest(1)


def test_an_expired_expiry_has_no_value() -> None:
    """At its instant it is gone though still listed; a millisecond before it is there."""
    surface = build(CHAIN, AT)
    expiry_ns = first()

    surface.evaluate(expiry_ns - NANOS_PER_MILLI)
    before = float(surface.values[col.DVOL, 0, col.TOTAL_VARIANCE])
    surface.evaluate(expiry_ns)

    assert before > 0.0
    assert np.isnan(surface.values[:, 0, col.TOTAL_VARIANCE]).all()
    assert (surface.facts[:, 0, col.ELIGIBLE] == 0).all()
    assert (surface.values[:, 0, col.T_YEARS] <= 0.0).all()


def test_removed_options_contribute_nothing() -> None:
    """An expiry without options is gone; the others keep their bits."""
    surface, rest = build(CHAIN, AT), build([q for q in CHAIN if q.expiry_ns != first()], AT)
    surface.evaluate(AT)
    for slot, q in enumerate(CHAIN):
        if q.expiry_ns == first():
            surface.remove(slot)

    surface.evaluate(AT)
    rest.evaluate(AT)

    assert rest.expiries == surface.expiries
    assert results(rest) == results(surface)


def first() -> int:
    """The nearest expiry."""
    return min(q.expiry_ns for q in CHAIN)


def test_a_listing_does_not_disturb_the_others() -> None:
    """New strikes of one expiry leave the other expiries' results in place, uncomputed."""
    surface = build(CHAIN, AT, methods=(Method.NATIVE, Method.DVOL))
    surface.evaluate(AT)
    kept = surface.values[:, 1:].tobytes()

    new = replace(CHAIN[0], strike=59_750.0)
    surface.add(len(CHAIN), instrument(new))

    assert surface.evaluate(AT) == 1
    assert surface.values[:, 1:].tobytes() == kept


def test_surfaces_share_a_table_as_it_grows() -> None:
    """Two books of one venue: a growing table moves under both."""
    table = QuoteTable()
    books = [Surface(KEY, table, ALL), Surface(replace(KEY, quote_currency="USDC"), table, ALL)]
    alone = build(CHAIN, AT)
    alone.evaluate(AT)
    for number, book in enumerate(books):
        for i, q in enumerate(CHAIN):
            slot = number * len(CHAIN) + i
            book.add(slot, instrument(q))
            table.write(slot, q.bid, q.ask, nan, nan, AT, AT)
            table.write_marks((slot,), (q.mark,))
            book.set_forward(q.expiry_ns, q.forward)
        book.evaluate(AT)

    for book in books:
        book.evaluate(AT)
        assert results(alone) == results(book)


def test_set_forward_tells_whether_it_changed() -> None:
    """The same price twice is no change; nonsense withdraws it."""
    surface = build(CHAIN, AT)

    assert surface.set_forward(first(), 60_001.0)
    assert not surface.set_forward(first(), 60_001.0)
    assert surface.set_forward(first(), -1.0)
    assert not surface.set_forward(first(), nan)
    assert not surface.set_forward(AT + NANOS_PER_DAY, 60_000.0)


def test_a_forward_is_borrowed_from_the_neighbours() -> None:
    """Without pairs and future: ln F linear in time, flagged; renewed when a neighbour moves."""
    middle = sorted({q.expiry_ns for q in CHAIN})[1]
    quotes = [
        replace(q, forward=nan)
        for q in CHAIN
        if q.expiry_ns != middle or (q.kind.value == "P") == (q.strike < 60_100.0)
    ]
    surface = build(quotes, AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    forwards = surface.values[col.NATIVE, :, col.FORWARD]
    times = surface.values[col.NATIVE, :, col.T_YEARS]
    share = (times[1] - times[0]) / (times[2] - times[0])

    expected = np.exp((1.0 - share) * np.log(forwards[0]) + share * np.log(forwards[2]))
    assert forwards[1] == pytest.approx(expected, rel=1e-13)
    assert surface.facts[col.NATIVE, 1, col.FLAGS] & 1 << col.FLAG_ORDER.index(Flag.FORWARD)

    moved = surface.values[col.NATIVE, 1, col.FORWARD]
    for slot, q in enumerate(quotes):
        if q.expiry_ns == surface.expiries[0]:
            quote(surface, slot, nan, nan, AT + 1)
            surface.set_forward(q.expiry_ns, 61_000.0)
    surface.evaluate(AT + 1)

    assert surface.values[col.NATIVE, 1, col.FORWARD] > moved


def expiry_chain() -> list[ChainQuote]:
    """One expiry."""
    return [q for q in CHAIN if q.expiry_ns == sorted({c.expiry_ns for c in CHAIN})[1]]


def move_forward(surface: Surface, quotes: list[ChainQuote], kept: int, now_ns: int) -> None:
    """Requote everything for a forward 1 % higher, but one option."""
    for slot, q in enumerate(quotes):
        twin = min(
            (other for other in quotes if other.kind is q.kind),
            key=lambda other: abs(other.strike - q.strike / 1.01),
        )
        if slot != kept:
            quote(surface, slot, twin.bid, twin.ask, now_ns)


def test_a_quote_that_the_market_has_left_behind_is_dropped() -> None:
    """Rule 3: older than 2 s and |dF/F| above its own spread; the clock alone is enough."""
    quotes = expiry_chain()
    kept = next(i for i, q in enumerate(quotes) if (q.strike, q.kind.value) == (59_000.0, "P"))
    surface = build(quotes, AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    move_forward(surface, quotes, kept, AT + NANOS_PER_SECOND)

    surface.evaluate(AT + NANOS_PER_SECOND)
    young = surface.codes(Method.NATIVE)[kept]
    surface.evaluate(AT + 2 * NANOS_PER_SECOND)
    at_limit = surface.codes(Method.NATIVE)[kept]
    computed = surface.evaluate(AT + 2 * NANOS_PER_SECOND + 1)
    old = surface.codes(Method.NATIVE)[kept]

    assert computed == 1
    assert col.R_STALE not in (young, at_limit)
    assert col.R_STALE == old


def test_a_snapshot_that_became_whole_starts_anew() -> None:
    """A forward that moved while pairs came in has left no quote behind."""
    quotes = expiry_chain()
    kept = next(i for i, q in enumerate(quotes) if (q.strike, q.kind.value) == (59_000.0, "P"))
    surface = build(quotes, AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    move_forward(surface, quotes, kept, AT + NANOS_PER_SECOND)

    surface.renew_references(quotes[0].expiry_ns)
    surface.evaluate(AT + 3 * NANOS_PER_SECOND)

    assert col.R_STALE != surface.codes(Method.NATIVE)[kept]


def test_a_borrowed_forward_is_no_yardstick() -> None:
    """The step from the future's price to the expiry's own parity is no move of the market."""
    quotes = expiry_chain()
    one_leg = [
        replace(q, bid=nan, ask=nan) if (q.kind.value == "P") == (q.strike > 60_100.0) else q
        for q in quotes
    ]
    surface = build([replace(q, forward=61_000.0) for q in one_leg], AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    for slot, (q, before) in enumerate(zip(quotes, one_leg, strict=True)):
        if isnan(before.bid):
            quote(surface, slot, q.bid, q.ask, AT + 3 * NANOS_PER_SECOND)

    surface.evaluate(AT + 3 * NANOS_PER_SECOND)

    assert surface.facts[col.NATIVE, 0, col.PAIRS] > 3
    assert col.R_STALE not in surface.codes(Method.NATIVE).values()


def test_an_old_quote_of_a_still_market_stays() -> None:
    """Age alone refuses nothing."""
    surface = build(expiry_chain(), AT, methods=(Method.NATIVE,))
    surface.evaluate(AT)
    expected = surface.codes(Method.NATIVE)

    surface.mark_all_dirty()
    surface.evaluate(AT + 3_600 * NANOS_PER_SECOND)

    assert expected == surface.codes(Method.NATIVE)


def test_no_quotes_at_all() -> None:
    """An expiry that is listed but not quoted says so."""
    quotes = [replace(q, bid=nan, ask=nan, mark=nan) for q in expiry_chain()]
    surface = build(quotes, AT, methods=(Method.NATIVE, Method.DVOL))

    surface.evaluate(AT)

    for method in (col.NATIVE, col.DVOL):
        assert isnan(surface.values[method, 0, col.TOTAL_VARIANCE])
        assert col.N_NO_QUOTES == surface.facts[method, 0, col.REASON]


def test_an_empty_surface_computes_nothing() -> None:
    """No option is listed yet."""
    surface = Surface(KEY, QuoteTable())

    assert surface.evaluate(AT) == 0
    assert surface.expiries == ()


def test_a_digest_is_of_the_inputs() -> None:
    """Equal books have equal digests; one bid changes its own expiry's only."""
    one, other = build(CHAIN, AT), build(CHAIN, AT)
    one.evaluate(AT)
    other.evaluate(AT)
    quote(other, slot_of(60_000.0, "C"), 0.0400, 0.0425, AT)
    other.evaluate(AT)

    same = [one.digest(row) == other.digest(row) for row in range(4)]
    assert same == [True, False, True, True]
