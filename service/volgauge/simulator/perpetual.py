"""What the simulated venues tell of their perpetuals: funding and open interest.

Both follow from the market's state alone, so they are as repeatable as it is. The carry of the
market is what longs pay; each venue stands a little above or below it, and the more so the more
volatile the market is beside its usual self, while positions are given up.
"""

from math import exp

from msgspec import Struct

from volgauge.simulator.board import Board

SPREAD = 2e-5
"""Half the width of the venues' funding for 8 hours in a quiet market."""
FLIGHT = 0.4
"""Share of the logarithm of open interest that goes for each unit of stress."""
PERIODS = 3.0 * 365.0
"""Of 8 hours in a year."""
_PLACES = {
    "deribit": (-0.6, 0.10),
    "okx": (0.3, 0.20),
    "bybit": (0.7, 0.25),
    "binance": (1.0, 0.40),
    "derive": (-1.0, 0.05),
    "aevo": (-0.3, 0.02),
    "delta": (0.0, 0.03),
}
"""Where in the spread a venue stands, and its share of the open interest."""


class Perpetual(Struct, frozen=True):
    """A venue's perpetual of one coin."""

    funding: float
    """For 8 hours, decimal, positive when longs pay."""
    coins: float
    """Open interest."""


def perpetual_of(board: Board, venue: str) -> Perpetual:
    """As of the board's state; a source without a market has none: both are 0."""
    place, share = _PLACES[venue]
    if not board.perpetual_coins:
        return Perpetual(0.0, 0.0)
    funding = board.carry / PERIODS + place * SPREAD * board.stress**2
    coins = share * board.perpetual_coins * exp(FLIGHT * (1.0 - board.stress))
    return Perpetual(round(funding, 8), round(coins, 3))
