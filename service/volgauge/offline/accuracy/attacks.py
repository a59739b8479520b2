"""The known manipulations of one expiry's quotes, each a change of a board.

Sources: METHODOLOGY sections 3 to 5; Griffin and Shams, Review of Financial Studies 2018 (wings
at the settlement of the VIX); the known weakness of the two-zero-bid rule.
"""

from collections.abc import Callable
from math import nan

import numpy as np
from msgspec import Struct

from volgauge.kernels._jit import F64
from volgauge.offline.accuracy.boards import CALL, COIN_TICKS, PUT, Board
from volgauge.offline.accuracy.rivals import parity_forward

POSTED = (0.0002, 0.0006)
"""Bid and ask put on every put that has no bid."""
FAR = 0.85
NEAR = 0.93
"""Strikes over the forward."""


class Attack(Struct, frozen=True):
    """One manipulation."""

    name: str
    change: Callable[[Board], Board]
    is_mild: bool = False
    """One legal quote well inside the corridor, which no rule can tell from a real one at once."""


def post_on_empty_puts(board: Board) -> Board:
    """Quote every put below the forward that has no bid."""
    empty = (board.strike < parity_forward(board)) & ~(board.bid[PUT] > 0.0)
    bid, ask = board.bid.copy(), board.ask.copy()
    bid[PUT, empty], ask[PUT, empty] = POSTED
    return board.changed(bid=bid, ask=ask)


def raise_far_put(board: Board) -> Board:
    """The outermost put that has a bid: six times the bid, a tick wide."""
    place = int(np.flatnonzero(board.bid[PUT] > 0.0)[0])
    return _tight(board, place, 6.0 * float(board.bid[PUT, place]))


def raise_last_put(times: float) -> Callable[[Board], Board]:
    """The outermost put that rule 2 accepts: a multiple of its mid, a tick wide either side."""

    def change(board: Board) -> Board:
        place = last_accepted_put(board)
        tick = float(_ticks(board, np.array([board.mid[PUT, place]]))[0])
        return _tight(board, place, times * float(board.mid[PUT, place]) - tick, 2.0)

    return change


def pull_two_bids(board: Board) -> Board:
    """Two adjacent puts at 0.85 F lose their bids."""
    place = nearest_strike(board, FAR)
    bid = board.bid.copy()
    bid[PUT, max(place - 1, 0) : place + 1] = nan
    return board.changed(bid=bid)


def raise_wing_ask(board: Board) -> Board:
    """The ask of the put at 0.85 F a hundred times as high."""
    place = nearest_strike(board, FAR)
    ask = board.ask.copy()
    ask[PUT, place] *= 100.0
    return board.changed(ask=ask)


def cross_at_the_money(board: Board) -> Board:
    """Bid and ask of both options at the money change places."""
    place = nearest_strike(board, 1.0)
    bid, ask = board.bid.copy(), board.ask.copy()
    bid[:, place], ask[:, place] = board.ask[:, place], board.bid[:, place]
    return board.changed(bid=bid, ask=ask)


def widen_one_ask(board: Board) -> Board:
    """The ask of the put at 0.93 F goes to 1.6 times its mid: legal by rule 2."""
    place = nearest_strike(board, NEAR)
    ask = board.ask.copy()
    ask[PUT, place] = 1.6 * board.mid[PUT, place]
    return board.changed(ask=ask)


def lift_one_put(board: Board) -> Board:
    """Both sides of the put at 0.93 F four half-spreads higher."""
    place = nearest_strike(board, NEAR)
    lift = 2.0 * (board.ask[PUT, place] - board.bid[PUT, place])
    bid, ask = board.bid.copy(), board.ask.copy()
    bid[PUT, place] += lift
    ask[PUT, place] += lift
    return board.changed(bid=bid, ask=ask)


def spike_marks(board: Board) -> Board:
    """The venue's marks three times as high."""
    return board.changed(mark=3.0 * board.mark)


def narrow_onto_ask(leg: int) -> Callable[[Board], Board]:
    """The in-the-money quote next to the forward becomes a tick wide, at its own ask."""

    def change(board: Board) -> Board:
        place = next_to_forward(board, leg)
        ask = board.ask[leg, place]
        bid = board.bid.copy()
        bid[leg, place] = round(ask - float(_ticks(board, np.array([ask]))[0]), 5)
        return board.changed(bid=bid)

    return change


def raise_in_the_money(leg: int) -> Callable[[Board], Board]:
    """Both sides of the in-the-money quote next to the forward half as high again."""

    def change(board: Board) -> Board:
        place = next_to_forward(board, leg)
        bid, ask = board.bid.copy(), board.ask.copy()
        for side in (bid, ask):
            tick = float(_ticks(board, np.array([side[leg, place]]))[0])
            side[leg, place] = round(round(1.5 * side[leg, place] / tick) * tick, 5)
        return board.changed(bid=bid, ask=ask)

    return change


def cross_in_the_money(board: Board) -> Board:
    """Bid and ask of the in-the-money call next to the forward change places."""
    place = next_to_forward(board, CALL)
    bid, ask = board.bid.copy(), board.ask.copy()
    bid[CALL, place], ask[CALL, place] = board.ask[CALL, place], board.bid[CALL, place]
    return board.changed(bid=bid, ask=ask)


def empty_in_the_money_bid(board: Board) -> Board:
    """The bid of the in-the-money put next to the forward is zero."""
    bid = board.bid.copy()
    bid[PUT, next_to_forward(board, PUT)] = 0.0
    return board.changed(bid=bid)


ATTACKS = (
    Attack("zero-bid puts posted", post_on_empty_puts),
    Attack("far put x6", raise_far_put),
    Attack("last put x2, tight", raise_last_put(2.0)),
    Attack("last put x3, tight", raise_last_put(3.0)),
    Attack("2 put bids pulled", pull_two_bids),
    Attack("wing ask x100", raise_wing_ask),
    Attack("ATM quote crossed", cross_at_the_money),
    Attack("put ask to 1.6 mid", widen_one_ask, is_mild=True),
    Attack("put +4 half-spreads", lift_one_put, is_mild=True),
    Attack("venue mark spike", spike_marks),
    Attack("ITM call onto its ask", narrow_onto_ask(CALL)),
    Attack("ITM put onto its ask", narrow_onto_ask(PUT)),
    Attack("ITM call x1.5", raise_in_the_money(CALL)),
    Attack("ITM put x1.5", raise_in_the_money(PUT)),
    Attack("ITM call crossed", cross_in_the_money),
    Attack("ITM put at zero bid", empty_in_the_money_bid),
)


def next_to_forward(board: Board, leg: int) -> int:
    """Place of the in-the-money option nearest to the forward whose strike is quoted twice."""
    distance = board.strike - parity_forward(board)
    inside = distance > 0.0 if leg == PUT else distance < 0.0
    quoted = ~np.isnan(board.mid).any(axis=0)
    return int(np.argmin(np.where(inside & quoted, np.abs(distance), np.inf)))


def nearest_strike(board: Board, ratio: float) -> int:
    """Place of the strike nearest to a multiple of the forward whose put is two-sided."""
    distance = np.abs(board.strike / parity_forward(board) - ratio)
    distance[np.isnan(board.mid[PUT])] = np.inf
    return int(np.argmin(distance))


def last_accepted_put(board: Board) -> int:
    """Place of the outermost put with mid >= 5 ticks and a spread inside rule 2."""
    bid, ask, mid = board.bid[PUT], board.ask[PUT], board.mid[PUT]
    tick = _ticks(board, mid)
    narrow = (ask - bid <= np.maximum(6.0 * tick, 0.5 * mid)) & (ask <= 3.0 * bid)
    fine = (ask > bid) & narrow & (mid >= 5.0 * tick * (1.0 - 1e-9))
    return int(np.flatnonzero(fine)[0])


def _ticks(board: Board, price: F64) -> F64:
    return (board.ticks or COIN_TICKS).at(price)


def _tight(board: Board, place: int, price: float, ticks: float = 1.0) -> Board:
    """A put quoted on the grid from about `price`, so many ticks wide."""
    tick = float(_ticks(board, np.array([price]))[0])
    bid, ask = board.bid.copy(), board.ask.copy()
    bid[PUT, place] = round(round(price / tick) * tick, 5)
    ask[PUT, place] = round(bid[PUT, place] + ticks * tick, 5)
    return board.changed(bid=bid, ask=ask)
