"""The rivals against plain statements of their rules and against worlds that they solve exactly."""

from math import sqrt

import numpy as np
import pytest

from golden import slow_rules
from volgauge.domain.instrument import OptionKind
from volgauge.offline.accuracy import rivals
from volgauge.offline.accuracy.boards import EXACT, Board, make_board
from volgauge.offline.accuracy.worlds import FORWARD, WORLDS, YEARS, Smile, World, truth_of
from volgauge.offline.chain import ChainQuote


def named(name: str) -> World:
    """A world by its name."""
    (world,) = [world for world in WORLDS if world.name == name]
    return world


def as_quotes(board: Board, price: float = 1.0) -> list[ChainQuote]:
    """A board for the plain rules; premiums times `price`."""
    return [
        ChainQuote(
            expiry_ns=1,
            strike=float(strike),
            kind=kind,
            bid=float(board.bid[leg, i]) * price,
            ask=float(board.ask[leg, i]) * price,
        )
        for i, strike in enumerate(board.strike)
        for leg, kind in enumerate((OptionKind.CALL, OptionKind.PUT))
    ]


@pytest.mark.parametrize("grid", ["dense", "sparse"])
def test_cboe_is_the_plain_rule(grid: str) -> None:
    """Premiums turned into dollars at the rule's own forward."""
    board = make_board(named("crash"), grid, seed=4)
    forward = rivals.parity_forward(board)

    _, total, _ = slow_rules.cboe(as_quotes(board, forward), 0.0, 43_200)

    assert rivals.cboe(board) == pytest.approx(100.0 * sqrt(total / YEARS), rel=1e-9)


@pytest.mark.parametrize("grid", ["dense", "sparse"])
def test_dvol_is_the_plain_rule(grid: str) -> None:
    """The listed strikes inside 5 delta."""
    board = make_board(named("SVI neg"), grid, seed=4)

    total, _ = slow_rules.dvol(as_quotes(board), FORWARD)

    assert rivals.dvol(board, FORWARD) == pytest.approx(100.0 * sqrt(total / YEARS), rel=1e-9)


def test_a_curve_through_exact_flat_quotes_is_flat() -> None:
    """Jiang-Tian and the yardstick at the money find 60 points, the cut spline a little less."""
    board = make_board(named("BS60"), "dense", EXACT)

    assert rivals.jiang_tian(board) == pytest.approx(60.0, abs=1e-6)
    assert rivals.at_the_money(board) == pytest.approx(60.0, abs=1e-6)
    assert 59.5 < rivals.spline(board) < 60.0


@pytest.mark.parametrize("name", ["SVI neg", "SVI pos"])
def test_svi_finds_its_own_world(name: str) -> None:
    """Exact quotes of an SVI smile: both integrals are the truth's."""
    world = named(name)
    board = make_board(world, "dense", EXACT)

    assert rivals.svi(board) == pytest.approx(truth_of(world).full, abs=0.01)
    assert rivals.svi_corridor(board) == pytest.approx(truth_of(world).corridor, abs=0.002)


def test_at_the_money_is_the_smile_at_the_forward() -> None:
    """Between two strikes astride the forward the smile is nearly straight."""
    world = named("SVI neg")
    assert isinstance(world, Smile)
    expected = 100.0 * world.deviation(0.0) / sqrt(YEARS)

    assert rivals.at_the_money(make_board(world, "dense", EXACT)) == pytest.approx(
        expected, abs=0.15
    )


def test_two_missing_bids_end_the_strip() -> None:
    """Cboe's rule goes no further; the quote beyond them counts no more."""
    board = make_board(named("crash"), "dense", EXACT)
    bid = board.bid.copy()
    bid[1, 14:16] = np.nan

    strip = rivals.select(board.changed(bid=bid))

    assert strip is not None
    assert strip.strike[0] == board.strike[16]


def test_an_empty_board_has_no_answer() -> None:
    """NaN, from every rule."""
    board = make_board(named("calm"), "sparse", EXACT)
    empty = board.changed(bid=np.full_like(board.bid, np.nan), mark=board.bid * np.nan)

    everyone = {**rivals.CORRIDOR_RIVALS, **rivals.FULL_RIVALS, "ATM": rivals.at_the_money}
    assert all(np.isnan(rule(empty)) for rule in everyone.values())
