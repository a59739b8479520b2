"""One bad input at a time through `compute --method native`: never a silent wrong number."""

from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest
from msgspec.structs import replace

from golden.chain_sources import coin_price, recorded_chain, synthetic_chain, write_csv
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import parse_instant
from volgauge.errors import InputError
from volgauge.offline.chain import ChainQuote, read_chain
from volgauge.offline.compute import compute

Quotes = list[ChainQuote]
Cells = dict[str, dict[int, str]]

SYNTHETIC_AT = parse_instant("2026-03-02T08:00:00Z")
TOLERANCE = 0.05
"""Volatility points."""


@pytest.fixture(params=["synthetic", "recorded"])
def chain(request: pytest.FixtureRequest) -> tuple[Quotes, int]:
    """A whole chain and its instant."""
    if request.param == "synthetic":
        return synthetic_chain(SYNTHETIC_AT), SYNTHETIC_AT
    return recorded_chain(request.getfixturevalue("test_data"))


def run(quotes: Quotes, at_ns: int, path: Path, cells: Cells | None = None) -> IndexValue:
    """Write the chain, read it, compute."""
    read = read_chain(write_csv(quotes, path / "chain.csv", **(cells or {})))
    return compute(read, at=at_ns, method="native", premium="coin")


def near_rows(quotes: Quotes, at_ns: int) -> list[int]:
    """Quotes of the expiry just below 30 days, ascending in strike."""
    limit = at_ns + 30 * 86_400 * 1_000_000_000
    near = max(q.expiry_ns for q in quotes if q.expiry_ns <= limit)
    return [i for i, q in enumerate(quotes) if q.expiry_ns == near]


def otm_put(quotes: Quotes, at_ns: int, deviations: float) -> int:
    """A two-sided put of the near expiry whose strike is about so many 40 % deviations down."""
    rows = [i for i in near_rows(quotes, at_ns) if quotes[i].kind is OptionKind.PUT]
    quote = quotes[rows[0]]
    years = (quote.expiry_ns - at_ns) / (365 * 86_400e9)
    target = quote.forward * (1.0 - deviations * 0.4 * years**0.5)
    rows = [i for i in rows if quotes[i].bid > 0.0]
    return min(rows, key=lambda i: abs(quotes[i].strike - target))


def rejected(value: IndexValue, reason: str) -> int:
    """How many quotes of the value's expiries were refused for a reason."""
    return sum(expiry.rejected.get(reason, 0) for expiry in value.expiries)


def assert_safe(clean: IndexValue, faulty: IndexValue, reason: str) -> None:
    """Right with the bad quote reported, or openly doubtful."""
    assert clean.value is not None
    assert Status.OK is clean.status
    if faulty.value is None:
        assert faulty.reason is not None
        return
    if abs(faulty.value - clean.value) <= TOLERANCE:
        assert rejected(faulty, reason) > rejected(clean, reason)
        return
    assert Status.OK is not faulty.status
    assert faulty.flags


def nan_bid(quote: ChainQuote) -> tuple[str, str]:
    """A side that reads `nan`."""
    return "nan", repr(quote.ask)


def crossed(quote: ChainQuote) -> tuple[str, str]:
    """Bid and ask changed places."""
    return repr(quote.ask), repr(quote.bid)


def huge_ask(quote: ChainQuote) -> tuple[str, str]:
    """A fat finger."""
    return repr(quote.bid), repr(round(quote.ask * 100.0, 4))


def negative_bid(quote: ChainQuote) -> tuple[str, str]:
    """A price below zero."""
    return repr(-quote.bid), repr(quote.ask)


@pytest.mark.parametrize("deviations", [0.1, 0.8, 1.6])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (nan_bid, "bad_number"),
        (crossed, "crossed"),
        (huge_ask, "wide"),
        (negative_bid, "bad_number"),
    ],
)
def test_one_bad_quote_does_not_move_the_value(
    chain: tuple[Quotes, int],
    tmp_path: Path,
    spoil: Callable[[ChainQuote], tuple[str, str]],
    reason: str,
    deviations: float,
) -> None:
    """Faults 1-4: a NaN, crossed, hundredfold or negative side of one put, near or far."""
    quotes, at_ns = chain
    row = otm_put(quotes, at_ns, deviations)
    bid, ask = spoil(quotes[row])

    clean = run(quotes, at_ns, tmp_path)
    faulty = run(quotes, at_ns, tmp_path, {"bid": {row: bid}, "ask": {row: ask}})

    assert_safe(clean, faulty, reason)
    assert faulty.value is not None
    assert clean.value is not None
    assert abs(faulty.value - clean.value) <= TOLERANCE


@pytest.mark.parametrize("factor", [0.3, 0.5, 0.7, 0.85, 1.2, 2.0, 6.0])
@pytest.mark.parametrize("deviations", [0.3, 0.8, 1.6])
def test_a_shifted_quote_does_not_move_the_value(
    chain: tuple[Quotes, int], tmp_path: Path, factor: float, deviations: float
) -> None:
    """Both sides of one put moved together look sound alone; the neighbours tell them apart."""
    quotes, at_ns = chain
    row = otm_put(quotes, at_ns, deviations)
    bid, ask = (repr(round(side * factor, 4)) for side in (quotes[row].bid, quotes[row].ask))

    clean = run(quotes, at_ns, tmp_path)
    faulty = run(quotes, at_ns, tmp_path, {"bid": {row: bid}, "ask": {row: ask}})

    assert clean.value is not None
    assert faulty.value is not None
    assert abs(faulty.value - clean.value) <= TOLERANCE
    assert rejected(faulty, "arbitrage") <= rejected(clean, "arbitrage") + 2


def test_a_wild_mark_does_not_matter(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 5: the mark of one put at 400 % volatility; marks never enter `value`."""
    quotes, at_ns = chain
    row = otm_put(quotes, at_ns, 0.8)
    quote = quotes[row]
    years = (quote.expiry_ns - at_ns) / (365 * 86_400e9)
    mark = coin_price(quote.strike, quote.forward, 4.0 * years**0.5, quote.kind)

    clean = run(quotes, at_ns, tmp_path)
    faulty = run(quotes, at_ns, tmp_path, {"mark": {row: repr(mark)}})

    assert clean.value == faulty.value


@pytest.mark.parametrize("listed", [True, False])
def test_missing_puts_at_the_money(
    chain: tuple[Quotes, int], tmp_path: Path, *, listed: bool
) -> None:
    """Fault 6: no put near the money, be it listed without a quote or not listed."""
    quotes, at_ns = chain
    low = quotes[otm_put(quotes, at_ns, 0.5)].strike
    high = quotes[otm_put(quotes, at_ns, -0.5)].strike
    hit = {
        i
        for i in near_rows(quotes, at_ns)
        if quotes[i].kind is OptionKind.PUT and low <= quotes[i].strike <= high
    }
    thin = [replace(q, bid=nan, ask=nan) if i in hit else q for i, q in enumerate(quotes)]
    gone = [q for i, q in enumerate(quotes) if i not in hit]

    clean = run(quotes, at_ns, tmp_path)
    faulty = run(thin if listed else gone, at_ns, tmp_path)

    if listed:
        assert_safe(clean, faulty, "absent")
        return
    assert clean.value is not None
    assert faulty.value is not None
    assert abs(faulty.value - clean.value) <= TOLERANCE


def test_several_puts_without_a_bid(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 7: the bids of five puts in a row are gone."""
    quotes, at_ns = chain
    middle = otm_put(quotes, at_ns, 1.0)
    rows = [i for i in near_rows(quotes, at_ns) if quotes[i].kind is OptionKind.PUT]
    place = rows.index(middle)
    bids = dict.fromkeys(rows[place - 2 : place + 3], "")

    clean = run(quotes, at_ns, tmp_path)
    faulty = run(quotes, at_ns, tmp_path, {"bid": bids})

    assert_safe(clean, faulty, "no_bid")


def test_a_forward_of_zero(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 8: the file is refused, with line and column."""
    quotes, at_ns = chain
    row = near_rows(quotes, at_ns)[3]

    with pytest.raises(InputError, match=rf"line {row + 2}, column `forward`"):
        run(quotes, at_ns, tmp_path, {"forward": {row: "0"}})


def test_only_five_strikes(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 9: the near expiry has five strikes left; another one stands in, and that is said."""
    quotes, at_ns = chain
    near = near_rows(quotes, at_ns)
    strikes = sorted(
        {quotes[i].strike for i in near}, key=lambda k: abs(k - quotes[near[0]].forward)
    )
    few = [q for i, q in enumerate(quotes) if i not in set(near) or q.strike in set(strikes[:10:2])]

    faulty = run(few, at_ns, tmp_path)

    assert Status.DEGRADED is faulty.status
    assert "skipped_expiry" in faulty.flags


def test_only_five_strikes_anywhere(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 9, everywhere: no value, and the reason is the number of strikes."""
    quotes, at_ns = chain
    few = []
    for expiry_ns in {q.expiry_ns for q in quotes}:
        rows = [q for q in quotes if q.expiry_ns == expiry_ns]
        strikes = sorted({q.strike for q in rows}, key=lambda k: abs(k - rows[0].forward))
        few += [q for q in rows if q.strike in strikes[:5]]

    faulty = run(few, at_ns, tmp_path)

    assert faulty.value is None
    assert Status.HALTED is faulty.status
    assert faulty.reason is not None
    assert faulty.reason.value == "too_few_strikes"


def test_no_expiry_beyond_the_tenor(chain: tuple[Quotes, int], tmp_path: Path) -> None:
    """Fault 10: with nothing beyond 30 days the nearest stands in, and that is said."""
    quotes, at_ns = chain
    limit = at_ns + 30 * 86_400 * 1_000_000_000
    near = [q for q in quotes if q.expiry_ns <= limit]

    faulty = run(near, at_ns, tmp_path)

    assert Status.OK is not faulty.status
    assert (
        "one_sided_term" in faulty.flags if faulty.value is not None else faulty.reason is not None
    )
