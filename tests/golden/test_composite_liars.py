"""Venues that lie before one engine: none moves the value, two are told, all are out and back.

What a lie moves is measured against the same quotes without it.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from golden.venue_world import BTC, NOW_NS, SECOND, STYLES, Style, World, truth
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import Flag, IndexValue, Status
from volgauge.domain.instrument import Venue
from volgauge.index.bundle import build_facts
from volgauge.index.evidence import EvidenceKeeper, Excerpt
from volgauge.offline.verify import verify

NAMES = tuple(style.name for style in STYLES)
BEGIN = 3
"""Seconds of honesty first."""
MOST = 0.05
"""Volatility points one venue may move the value."""
DRIFT = 0.0015
"""Of the market's volatility in a second, while a frozen venue stands still: 0.09 points."""
Vols = Callable[[int], dict[str, float]]


def run(
    seed: int, seconds: int, vols: Vols = lambda _: {}, *, silent: str = "", crossed: str = ""
) -> list[IndexValue]:
    """Honest seconds, then the rest."""
    world = World(STYLES, seed)
    return world.run(NOW_NS, BEGIN, vols) + world.run(
        NOW_NS + BEGIN * SECOND, seconds - BEGIN, lambda s: vols(s + BEGIN), (silent,), (crossed,)
    )


def drifting(frozen: str = "") -> Vols:
    """The market's volatility rises; one venue's quotes do not."""
    return lambda second: {
        name: 1.0 if name == frozen else 1.0 + DRIFT * max(0, second - BEGIN + 1) for name in NAMES
    }


def lying(liar: str, factor: float, until: int = 10_000) -> Vols:
    """One venue's volatility off."""
    return lambda second: {liar: factor if BEGIN <= second < until else 1.0}


def largest(lied: list[IndexValue], honest: list[IndexValue]) -> float:
    """Largest distance of two runs; a value must be there all the time."""
    pairs = [(a.value, b.value) for a, b in zip(lied, honest, strict=True)]
    return max(abs(a - b) for a, b in pairs if a is not None and b is not None)


@pytest.mark.parametrize("seed", [3, 8])
def test_no_single_liar_moves_the_value(seed: int) -> None:
    """+5 %, +20 %, -20 %, crossed, silent, frozen in a moving market: each venue, at most 0.05."""
    honest, moved = run(seed, 7), run(seed, 20, drifting())
    moves: dict[tuple[str, object], float] = {}
    for liar in NAMES:
        for factor in (1.05, 1.2, 0.8):
            moves[liar, factor] = largest(run(seed, 7, lying(liar, factor)), honest)
        moves[liar, "crossed"] = largest(run(seed, 7, crossed=liar), honest)
        moves[liar, "silent"] = largest(run(seed, 7, silent=liar), honest)
        moves[liar, "frozen"] = largest(run(seed, 20, drifting(liar)), moved)
    assert {key: move for key, move in moves.items() if not move <= MOST} == {}


@pytest.mark.parametrize("liar", ["alpha", "beta"])
def test_a_liar_is_out_and_back_once(liar: str) -> None:
    """Out after 2 s at +20 %, back 30 s after it agrees again; neither is seen in the value."""
    records = run(5, 60, lying(liar, 1.2, until=20))
    states = [record.venues[Venue(liar)].state for record in records]
    assert [b for a, b in itertools.pairwise(states) if a != b] == ["out", "in"]
    values = [record.value or 0.0 for record in records]
    assert max(values) - min(values) <= MOST


@pytest.mark.parametrize("factor", [1.06, 0.94])
def test_a_venue_beyond_five_per_cent_is_out_after_half_a_minute(factor: float) -> None:
    """Its weight is gone long before."""
    records = run(3, 40, lying("alpha", factor))
    states = [record.venues[Venue("alpha")].state for record in records]
    assert states[BEGIN + 29] == "in"
    assert states[BEGIN + 31] == "out"
    assert records[BEGIN + 1].venues[Venue("alpha")].weight < 1e-4


PAIRS = tuple(itertools.combinations(NAMES, 2))


@pytest.mark.parametrize("factor", [1.08, 0.92])
def test_two_of_five_wrong_together_are_told(factor: float) -> None:
    """Each pair of venues, 20 seeds: DEGRADED with `venues_differ`; the band covers 95 %."""
    exact = truth()
    covered = 0
    for seed in range(20):
        pair = PAIRS[seed % len(PAIRS)]
        world = World(STYLES, 20 + seed)
        world.quote(NOW_NS, dict.fromkeys(pair, factor))
        record = world.headline(NOW_NS)
        assert record.status is Status.DEGRADED
        assert Flag.VENUES_DIFFER.value in record.flags
        assert record.value is not None
        covered += abs(record.value - exact) <= 2.0 * (record.u or 0.0)
    assert covered >= 19


def test_two_against_two_are_told() -> None:
    """Of four venues nobody knows which two are right: DEGRADED, and the band covers both."""
    record = World(STYLES[:4], 4).run(NOW_NS, 3, lambda _: {"gamma": 1.08, "delta": 1.08})[-1]
    assert record.status is Status.DEGRADED
    assert Flag.VENUES_DIFFER.value in record.flags
    assert record.value is not None
    assert abs(record.value - truth()) <= 2.0 * (record.u or 0.0)


def test_a_third_venue_joins_without_a_step() -> None:
    """Two venues 2 % apart, the lighter one's view confirmed by a newcomer: a glide of a minute."""
    world = World(STYLES[:3], 6)
    vols = {"beta": 1.02, "gamma": 1.02}
    before = world.run(NOW_NS, 70, lambda _: vols, silent=("gamma",))
    after = world.run(NOW_NS + 70 * SECOND, 75, lambda _: vols)
    values = np.array([record.value or 0.0 for record in [before[-1], *after]])
    assert np.abs(np.diff(values)).max() <= 0.1
    assert values[-1] - values[0] >= 0.8
    assert after[-1].venues[Venue("gamma")].state == "in"


LINEAR = Style(name="alpha:USDC", is_coin=False, step=2_500.0, half=0.015, size=10.0)


def test_a_venues_linear_book_is_a_book_of_its_own() -> None:
    """Coin and USDC books of one venue: two rows, one cap, one vote, and evidence that verifies."""
    keeper = EvidenceKeeper(max_bytes=1 << 26, keep_ns=300 * SECOND, engine="test")
    world = World((*STYLES, LINEAR), 9, keeper)
    record = world.run(NOW_NS, 3)[-1]
    told = record.venues
    assert set(told) == {*NAMES, "alpha:USDC"}
    assert {book.state for book in told.values()} == {"in"}
    linear, coin = told[Venue("alpha:USDC")], told[Venue("alpha")]
    assert 0.0 < linear.weight < coin.weight
    assert linear.weight + coin.weight <= 0.6
    assert linear.value == pytest.approx(truth(), abs=0.15)
    total = sum(book.weight * (book.value or 0.0) for book in told.values())
    assert record.value == pytest.approx(total, rel=1e-12)
    found = keeper.find(BTC, 30.0, record.seq)
    assert isinstance(found, Excerpt)
    bundle = found.bundle(record.epoch)
    assert isinstance(bundle, EvidenceBundle)
    assert {book.label for book in bundle.books} == set(told)
    assert [c for c in verify(bundle, build_facts("test")).checks if not c.ok] == []


def test_both_books_of_one_venue_lying_do_not_move_the_value() -> None:
    """They agree with each other, and nobody else does."""
    styles = (*STYLES, LINEAR)
    honest = World(styles, 9).run(NOW_NS, 6)
    both = {"alpha": 1.1, "alpha:USDC": 1.1}
    lied = World(styles, 9).run(NOW_NS, 6, lambda s: both if s >= BEGIN else {})
    assert largest(lied, honest) <= MOST
