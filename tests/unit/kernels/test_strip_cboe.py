"""Cboe's published rules, one case each, on a small board."""

from math import nan

import pytest
from msgspec.structs import replace

from golden import slow_rules
from golden.book_builder import build
from volgauge.domain.index import Method, Reject
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import NANOS_PER_MINUTE, parse_instant
from volgauge.kernels import layout as col
from volgauge.offline.chain import ChainQuote

AT = parse_instant("2026-03-02T08:00:00Z")
MINUTES = 34_484
RATE = 0.031
SPOT = 1_003.0

Board = list[ChainQuote]


def board(strikes: tuple[float, ...] = tuple(range(900, 1110, 10))) -> Board:
    """Calls and puts in quote currency around 1003; a smile of 20 %."""
    quotes = []
    for strike in map(float, strikes):
        tail = 40.0 * 2.718 ** (-(((strike - SPOT) / 60.0) ** 2))
        for kind in OptionKind:
            sign = 1.0 if kind is OptionKind.CALL else -1.0
            price = max(0.0, sign * (SPOT - strike)) + tail / 2.0 + 0.6
            quotes.append(
                ChainQuote(
                    expiry_ns=AT + MINUTES * NANOS_PER_MINUTE,
                    strike=strike,
                    kind=kind,
                    bid=round(price - 0.3, 2),
                    ask=round(price + 0.3, 2),
                    rate=RATE,
                )
            )
    return quotes


def change(quotes: Board, strike: float, kind: str, **sides: float) -> Board:
    """Replace sides of one quote."""
    return [
        replace(q, **sides) if (q.strike, q.kind.value) == (strike, kind) else q for q in quotes
    ]


def evaluate(quotes: Board) -> tuple[list[float], list[int], dict[tuple[float, str], int]]:
    """Values, facts and verdicts by (strike, kind)."""
    surface = build(quotes, AT, methods=(Method.CBOE,), premium=Premium.QUOTE)
    surface.evaluate(AT)
    codes = surface.codes(Method.CBOE)
    verdicts = {(q.strike, q.kind.value): codes[slot] for slot, q in enumerate(quotes)}
    return surface.values[col.CBOE, 0].tolist(), surface.facts[col.CBOE, 0].tolist(), verdicts


def assert_as_written(quotes: Board, count: int) -> None:
    """The kernel agrees with the plain text of the rules, and uses so many strikes."""
    forward, variance, used = slow_rules.cboe(quotes, RATE, MINUTES)
    values, facts, _ = evaluate(quotes)

    assert values[col.FORWARD] == pytest.approx(forward, rel=1e-14)
    assert values[col.TOTAL_VARIANCE] == pytest.approx(variance, rel=1e-12)
    assert facts[col.STRIKES] == len(used) == count


def reason(quotes: Board) -> str:
    """Why there is no value."""
    values, facts, _ = evaluate(quotes)
    assert values[col.TOTAL_VARIANCE] != values[col.TOTAL_VARIANCE]
    return col.REASONS[facts[col.REASON]].value


def test_whole_board() -> None:
    """Forward with the rate, K0 below it, both mids at K0, dK one-sided at the ends."""
    assert_as_written(board(), 21)


def test_uneven_strikes() -> None:
    """DK is half the distance between the neighbours."""
    assert_as_written(board((900, 940, 960, 990, 1000, 1005, 1030, 1100)), 8)


@pytest.mark.parametrize(
    "sides", [{"bid": 0.0}, {"ask": 0.0}, {"bid": nan}, {"bid": nan, "ask": nan}]
)
def test_a_zero_side_excludes_the_strike(sides: dict[str, float]) -> None:
    """Zero bid, zero ask (since 2025) or no quote; dK then spans the hole."""
    quotes = change(board(), 950.0, "P", **sides)

    assert_as_written(quotes, 20)


def test_two_excluded_in_a_row_end_the_walk() -> None:
    """What lies beyond is not used even if it is quoted, and the reason says so."""
    quotes = change(change(board(), 950.0, "P", bid=0.0), 940.0, "P", bid=0.0)

    assert_as_written(quotes, 21 - 6)
    _, facts, verdicts = evaluate(quotes)
    assert col.R_BEYOND_STOP == verdicts[900.0, "P"]
    assert col.R_NO_BID == verdicts[940.0, "P"]
    assert facts[col.REJECTED + col.REJECTS.index(Reject.BEYOND_STOP)] == 4


def test_two_excluded_apart_do_not_end_the_walk() -> None:
    """A quoted strike between two excluded ones starts the count anew."""
    quotes = change(change(board(), 1050.0, "C", bid=0.0), 1070.0, "C", bid=0.0)

    assert_as_written(quotes, 19)


def test_the_walk_up_stops_by_itself() -> None:
    """Calls and puts are walked separately."""
    quotes = change(change(board(), 1050.0, "C", bid=0.0), 1060.0, "C", ask=0.0)

    assert_as_written(quotes, 21 - 6)


def test_in_the_money_quotes_do_not_matter_off_k_zero() -> None:
    """Calls below K0 and puts above it never enter the sum."""
    quotes = change(change(board(), 940.0, "C", bid=0.0), 1060.0, "P", bid=500.0, ask=600.0)

    assert_as_written(quotes, 21)


def test_a_tie_takes_the_lower_strike() -> None:
    """Two strikes with the same |C - P|: the first one gives the forward."""
    quotes = board((980, 990, 1000, 1010, 1020))
    for strike, call, put in ((1000.0, 12.0, 10.0), (1010.0, 9.0, 11.0)):
        quotes = change(quotes, strike, "C", bid=call - 0.5, ask=call + 0.5)
        quotes = change(quotes, strike, "P", bid=put - 0.5, ask=put + 0.5)

    values, _, _ = evaluate(quotes)

    growth = 2.718281828459045 ** (RATE * MINUTES / 525_600)
    assert values[col.FORWARD] == pytest.approx(1000.0 + growth * 2.0, rel=1e-14)


def test_k_zero_may_equal_the_forward() -> None:
    """`Equal to or otherwise immediately below`."""
    quotes = board((980, 990, 1000, 1010, 1020))
    for kind in ("C", "P"):
        quotes = change(quotes, 1000.0, kind, bid=9.5, ask=10.5)

    values, _, _ = evaluate(quotes)

    assert values[col.FORWARD] == values[col.K_ZERO] == 1000.0


@pytest.mark.parametrize(("strike", "kind"), [(1000.0, "C"), (1000.0, "P")])
@pytest.mark.parametrize("sides", [{"bid": 23.9, "ask": 22.0}, {"bid": nan}, {"ask": nan}])
def test_k_zero_must_be_quoted_and_not_crossed(
    strike: float, kind: str, sides: dict[str, float]
) -> None:
    """A null or crossed quote at K0: not calculable."""
    assert reason(change(board(), strike, kind, **sides)) == "k_zero_quote"


def test_all_calls_excluded() -> None:
    """Not calculable, with that reason."""
    quotes = board()
    for strike in (1010.0, 1020.0):
        quotes = change(quotes, strike, "C", bid=0.0)

    assert reason(quotes) == "one_sided_chain"


def test_all_puts_excluded() -> None:
    """Not calculable, with that reason."""
    quotes = board()
    for strike in (990.0, 980.0):
        quotes = change(quotes, strike, "P", bid=0.0)

    assert reason(quotes) == "one_sided_chain"


def test_no_pair_at_all() -> None:
    """Without one strike quoted on both sides there is no forward."""
    quotes = [q for q in board() if q.kind is OptionKind.CALL]

    assert reason(quotes) == "no_forward"
