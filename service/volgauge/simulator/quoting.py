"""How another venue quotes the market's options: its own grid, spread, sizes, errors and lies.

A `QuoteBook` holds one option book of such a venue, slot by slot beside the market's board: the
same contracts, the same truth, other quotes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from volgauge.simulator.board import F64, I64, Board, round_to_ticks, tick_at
from volgauge.simulator.lies import Lies
from volgauge.simulator.listing import Terms
from volgauge.simulator.market import Market


class QuotingStyle(Struct, frozen=True, kw_only=True):
    """How a venue's makers quote, as `MarketOptions` says it of the market's own."""

    half_spread_ticks: float = 1.0
    half_spread_ratio: float = 0.012
    mid_noise: float = 0.3
    max_lots: int = 500


class Family(Struct, frozen=True):
    """One option book of a venue."""

    number: int
    """Of the market's board."""
    terms: Terms


def families_of(
    boards: Sequence[Board], contracts: Mapping[str, tuple[tuple[int, int], tuple[int, int]]]
) -> list[Family]:
    """The books of a venue whose options are of one coin each and paid in its quote currency.

    Args:
        boards: The market's.
        contracts: Coin to the tick of its premiums and the step of its sizes, both as fractions;
            the venue has options of these coins.
    """
    found = []
    for number, board in enumerate(boards):
        terms = board.terms
        if terms.asset in contracts:
            tick, step = contracts[terms.asset]
            mine = Terms(
                asset=terms.asset, coin=False, spot=terms.spot, vol=terms.vol, tick=tick,
                future_tick=terms.future_tick, contract_size=1.0, min_amount=step,
            )  # fmt: skip
            found.append(Family(number, mine))
    return found


class QuoteBook:
    """Best prices and sizes of one book, by slot of the board; NaN and size 0 without an order."""

    def __init__(
        self, market: Market, number: int, terms: Terms, style: QuotingStyle, seed: list[int]
    ) -> None:
        self.board: Board = market.boards[number]
        self.terms = terms
        self.bid: F64 = np.zeros(0)
        self.ask: F64 = np.zeros(0)
        self.bid_lots: I64 = np.zeros(0, np.int64)
        self.ask_lots: I64 = np.zeros(0, np.int64)
        self._market = market
        self._number = number
        self._style = style
        self._random = np.random.default_rng(seed)

    def fair(self, slots: I64) -> F64:
        """Noise-free premiums now, in the venue's own unit."""
        price = self._market.fair_prices(self._number, slots)
        if self.board.terms.coin == self.terms.coin:
            return price
        forward = self.board.forward[self.board.expiry_of[slots]]
        return price / forward if self.terms.coin else price * forward

    def requote(self, slots: I64, lies: Lies) -> None:
        """New quotes around the truth: noise on the mid, a half-spread, rounding outwards."""
        self._grow()
        if lies.frozen or not len(slots):
            return
        fair, intrinsic = self.fair(slots), self._intrinsic(slots)
        time_value = np.maximum(fair - intrinsic, 0.0)
        fair = fair + (lies.time_value_ratio() - 1.0) * time_value
        style = self._style
        half = np.maximum(
            style.half_spread_ticks * tick_at(self.terms, fair),
            style.half_spread_ratio * time_value,
        )
        mid = fair + half * style.mid_noise * self._random.standard_normal(len(slots))
        bid = round_to_ticks(self.terms, mid - half, up=False)
        ask = round_to_ticks(self.terms, np.maximum(mid + half, half), up=True)
        if lies.crossed:
            bid, ask = ask, bid
        lots = self._random.integers(1, style.max_lots + 1, (2, len(slots)))
        for side, price, sizes, drawn in (
            (self.bid, bid, self.bid_lots, lots[0]), (self.ask, ask, self.ask_lots, lots[1])
        ):  # fmt: skip
            absent = price <= 0.0
            side[slots] = np.where(absent, np.nan, price)
            sizes[slots] = np.where(absent, 0, drawn)

    def _intrinsic(self, slots: I64) -> F64:
        forward = self.board.forward[self.board.expiry_of[slots]]
        strike = self.board.strike[slots]
        value = np.where(self.board.is_call[slots], forward - strike, strike - forward)
        value = np.maximum(value, 0.0)
        return value / forward if self.terms.coin else value

    def _grow(self) -> None:
        """Options listed since the last time are not quoted yet."""
        added = len(self.board.options) - len(self.bid)
        if added:
            self.bid = np.append(self.bid, np.full(added, np.nan))
            self.ask = np.append(self.ask, np.full(added, np.nan))
            self.bid_lots = np.append(self.bid_lots, np.zeros(added, np.int64))
            self.ask_lots = np.append(self.ask_lots, np.zeros(added, np.int64))
