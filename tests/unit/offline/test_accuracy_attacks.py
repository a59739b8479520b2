"""Each attack changes what its name says, and nothing else."""

import numpy as np
import pytest

from volgauge.offline.accuracy import attacks
from volgauge.offline.accuracy.attacks import ATTACKS, Attack
from volgauge.offline.accuracy.boards import CALL, PUT, Board, make_board
from volgauge.offline.accuracy.rivals import parity_forward
from volgauge.offline.accuracy.worlds import WORLDS

BOARD = make_board(WORLDS[1], "dense", seed=2)


def by_name(attack: Attack) -> str:
    """Test id."""
    return attack.name


def touched(board: Board) -> list[float]:
    """Strikes at which any quote differs from the untouched board's."""
    same = [
        np.isclose(getattr(board, side), getattr(BOARD, side), rtol=0.0, atol=0.0, equal_nan=True)
        for side in ("bid", "ask")
    ]
    return [float(strike) for strike in board.strike[~(same[0] & same[1]).all(axis=0)]]


@pytest.mark.parametrize("attack", ATTACKS, ids=by_name)
def test_the_board_itself_stays(attack: Attack) -> None:
    """An attack returns a copy; strikes stay listed."""
    before = (BOARD.bid.copy(), BOARD.ask.copy(), BOARD.mark.copy())

    changed = attack.change(BOARD)

    for kept, now in zip(before, (BOARD.bid, BOARD.ask, BOARD.mark), strict=True):
        np.testing.assert_array_equal(kept, now)
    np.testing.assert_array_equal(changed.strike, BOARD.strike)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("far put x6", 1),
        ("last put x2, tight", 1),
        ("last put x3, tight", 1),
        ("2 put bids pulled", 2),
        ("wing ask x100", 1),
        ("ATM quote crossed", 1),
        ("put ask to 1.6 mid", 1),
        ("put +4 half-spreads", 1),
        ("venue mark spike", 0),
        ("ITM call onto its ask", 1),
        ("ITM put onto its ask", 1),
        ("ITM call x1.5", 1),
        ("ITM put x1.5", 1),
        ("ITM call crossed", 1),
        ("ITM put at zero bid", 1),
    ],
)
def test_how_many_strikes_are_touched(name: str, count: int) -> None:
    """One, two for the pulled bids, none for the marks."""
    (attack,) = [attack for attack in ATTACKS if attack.name == name]

    assert len(touched(attack.change(BOARD))) == count


def test_posted_puts_had_no_bid() -> None:
    """Every put below the forward without a bid gets 0.0002 / 0.0006."""
    changed = attacks.post_on_empty_puts(BOARD)

    for strike in touched(changed):
        place = int(np.flatnonzero(BOARD.strike == strike)[0])
        assert np.isnan(BOARD.bid[PUT, place])
        assert (changed.bid[PUT, place], changed.ask[PUT, place]) == (0.0002, 0.0006)
    assert len(touched(changed)) >= 3


def test_the_raised_puts_are_tight_and_outermost() -> None:
    """The far put has the lowest bid of all, the last one is the lowest that rule 2 accepts."""
    far, last = attacks.raise_far_put(BOARD), attacks.raise_last_put(3.0)(BOARD)
    (far_strike,), (last_strike,) = touched(far), touched(last)
    place = int(np.flatnonzero(BOARD.strike == last_strike)[0])

    assert far_strike == BOARD.strike[BOARD.bid[PUT] > 0.0][0]
    assert far_strike < last_strike
    assert BOARD.mid[PUT, place] >= 0.0005 - 1e-12
    assert last.mid[PUT, place] == pytest.approx(3.0 * BOARD.mid[PUT, place], abs=1e-4)
    assert last.ask[PUT, place] - last.bid[PUT, place] == pytest.approx(0.0002, abs=1e-9)


def test_the_crossed_quote_is_crossed() -> None:
    """Bid above ask on both legs of one strike."""
    changed = attacks.cross_at_the_money(BOARD)
    place = attacks.nearest_strike(BOARD, 1.0)

    assert (changed.bid[:, place] > changed.ask[:, place]).all()


def test_the_widened_ask_is_legal() -> None:
    """An ask of 1.6 mid stays within 3 bid."""
    changed = attacks.widen_one_ask(BOARD)
    place = attacks.nearest_strike(BOARD, attacks.NEAR)

    assert changed.ask[PUT, place] == pytest.approx(1.6 * BOARD.mid[PUT, place])
    assert changed.ask[PUT, place] <= 3.0 * changed.bid[PUT, place]


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.name.startswith("ITM")], ids=by_name)
def test_in_the_money_the_leg_next_to_the_forward_is_touched(attack: Attack) -> None:
    """The call below or the put above; the other leg of the strike stays."""
    changed = attack.change(BOARD)
    (strike,) = touched(changed)
    forward = parity_forward(BOARD)
    place = int(np.flatnonzero(BOARD.strike == strike)[0])
    other = PUT if strike < forward else CALL

    assert (
        abs(strike - forward)
        == np.abs(BOARD.strike - forward)[(BOARD.strike < forward) == (strike < forward)].min()
    )
    assert (changed.bid[other, place], changed.ask[other, place]) == (
        BOARD.bid[other, place],
        BOARD.ask[other, place],
    )


def test_the_narrowed_quote_stands_at_its_own_ask() -> None:
    """One tick wide, and legal."""
    changed = attacks.narrow_onto_ask(CALL)(BOARD)
    (strike,) = touched(changed)
    place = int(np.flatnonzero(BOARD.strike == strike)[0])

    assert changed.ask[CALL, place] == BOARD.ask[CALL, place]
    assert changed.ask[CALL, place] - changed.bid[CALL, place] == pytest.approx(0.0005)
