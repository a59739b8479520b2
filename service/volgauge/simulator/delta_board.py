"""A listing of its own on the simulated market: contracts that expire at noon, priced by its state.

Other venues quote the contracts of the market's boards. Here the coins and the surface are the
market's, but not the expiries and strikes: four hours later in the day, fewer, and farther apart.
"""

import math

import numpy as np
from typing_extensions import override

from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
)
from volgauge.simulator import process
from volgauge.simulator.board import F64, I64, Board, tick_at
from volgauge.simulator.lies import Lies
from volgauge.simulator.listing import Expiry, Terms, list_expiries, next_roll_ns
from volgauge.simulator.market import Market
from volgauge.simulator.quoting import QuoteBook, QuotingStyle
from volgauge.simulator.smiles import Slices

LATER_NS = 4 * NANOS_PER_HOUR
"""Than the market's contracts: 12:00 UTC where those expire at 08:00."""
LISTING_DELAY_NS = 9 * NANOS_PER_SECOND
"""New contracts come this long after the roll, and once a minute when the price has moved."""
MOVED = 0.4
"""A quote is renewed when its premium has moved by this share of the half-spread."""
IDLE_SHARE = 0.02
"""And this share of them at every look."""
_KEPT = {"day": 2, "week": 3, "month": 2, "quarter": 2}
"""Expiries of each class, the nearest first."""
_TYPICAL_DAYS = {"day": 2.0, "week": 14.0, "month": 45.0, "quarter": 150.0}
"""By class: for the strikes."""
_STEP, _REACH = 0.25, 2.4
"""Between strikes, and out to the farthest, in standard deviations of those days."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
_FIRST_NUMBER = 140_000


class NoonBook(QuoteBook):
    """One coin's options with their quotes, by slot of a board of its own."""

    def __init__(
        self, market: Market, number: int, terms: Terms, style: QuotingStyle, seed: list[int]
    ) -> None:
        super().__init__(market, number, terms, style, seed)
        self.source = self.board
        """The market's own board of the coin."""
        self.board = Board(terms, first_number=_FIRST_NUMBER + 10_000 * number)
        self._quoted: F64 = np.zeros(0)
        """Premiums at the last quotes."""
        self._trading = np.random.default_rng([*seed, 1])
        self._roll_of_day_ns = (market.options.roll_of_day_ns + LATER_NS) % NANOS_PER_DAY
        self._roll_ns = next_roll_ns(market.now_ns, self._roll_of_day_ns)
        self.list_missing()

    @override
    def fair(self, slots: I64) -> F64:
        """Noise-free premiums now, quote currency."""
        k, forward = self._log_moneyness(slots)
        price = self._slices().pick(self.board.expiry_of[slots]).out_of_the_money(k)
        intrinsic = np.where(self.board.is_call[slots], -np.expm1(k), np.expm1(k))
        premiums: F64 = (price + np.maximum(intrinsic, 0.0)) * forward
        return premiums

    def variance(self, slots: I64) -> F64:
        """Implied total variances of some options now."""
        k, _ = self._log_moneyness(slots)
        return self._slices().pick(self.board.expiry_of[slots]).total_variance(k)

    def renew(self, lies: Lies) -> I64:
        """Quote anew what has moved, and a few that have not; their slots."""
        self._move_forward()
        alive = np.flatnonzero(self.board.alive)
        fair = self.fair(alive)
        style = self._style
        half = np.maximum(
            style.half_spread_ticks * tick_at(self.terms, fair), style.half_spread_ratio * fair
        )
        moved = np.abs(fair - self._quoted[alive]) > MOVED * half
        moved |= self._random.random(len(alive)) < IDLE_SHARE
        slots = alive[moved]
        self.quote(slots, lies)
        return slots

    def quote(self, slots: I64, lies: Lies) -> None:
        """New quotes of some options."""
        grown = len(self.board.options) - len(self._quoted)
        self._quoted = np.append(self._quoted, np.full(grown, np.inf))
        self._quoted[slots] = self.fair(slots) if len(slots) else 0.0
        self.requote(slots, lies)

    def roll(self) -> list[int]:
        """Take off what expires by now; the slots."""
        if self._market.now_ns < self._roll_ns:
            return []
        self._roll_ns = next_roll_ns(self._market.now_ns, self._roll_of_day_ns)
        return [
            slot
            for index in self.board.living_expiries()
            if self.board.expiries[index].expiry_ns <= self._market.now_ns
            for slot in self.board.expire(index)
        ]

    def is_listing_due(self, before_ns: int) -> bool:
        """New contracts are listed once a minute, the first time soon after the roll."""
        shift_ns = self._roll_of_day_ns + LISTING_DELAY_NS
        minutes = ((t - shift_ns) // NANOS_PER_MINUTE for t in (before_ns, self._market.now_ns))
        return len(set(minutes)) > 1

    def list_missing(self) -> list[int]:
        """List the expiries and strikes that are wanted and missing; the slots."""
        now_ns, board = self._market.now_ns, self.board
        listed = {board.expiries[i].expiry_ns: i for i in board.living_expiries()}
        slots: list[int] = []
        for expiry in _kept(list_expiries(now_ns, self._roll_of_day_ns)):
            index = listed.get(expiry.expiry_ns)
            if index is None:
                index = board.add_expiry(expiry, has_future=False)
                self._move_forward()
            mine = board.strike[board.expiry_of == index]
            wanted = _strikes(expiry.kind, float(board.forward[index]), self.terms.vol)
            missing = sorted(wanted - set(mine.tolist()))
            contracts = [(strike, is_call) for strike in missing for is_call in (True, False)]
            listed_ns = now_ns if len(mine) else expiry.listed_ns
            slots += board.add_options(index, contracts, listed_ns)
        if slots:
            self._trade(np.array(slots))
        return slots

    def _move_forward(self) -> None:
        years = self.board.years(self._market.now_ns)
        self.board.forward = process.forwards(self._market.state[self._number], years)
        self.board.index_price = self.source.index_price

    def _slices(self) -> Slices:
        years = self.board.years(self._market.now_ns)
        return self._market.slices_at(self._number, self._market.state[self._number], years)

    def _log_moneyness(self, slots: I64) -> tuple[F64, F64]:
        years = self.board.years(self._market.now_ns)
        forward = process.forwards(self._market.state[self._number], years)
        mine = forward[self.board.expiry_of[slots]]
        return np.log(self.board.strike[slots] / mine), mine

    def _trade(self, slots: I64) -> None:
        """Open interest and a day's volume of new options, in coins: most near the money."""
        k, _ = self._log_moneyness(slots)
        bell = np.exp(-0.5 * k * k / (4.0 * np.maximum(self.variance(slots), 1e-6)))
        lots = np.floor(20_000.0 * bell * self._trading.lognormal(0.0, 1.0, len(slots)))
        self.board.open_interest[slots] = lots * self.terms.contract_size
        day = np.floor(lots * self._trading.lognormal(math.log(0.1), 0.8, len(slots)))
        self.board.volume[slots] = day * self.terms.contract_size


def _kept(expiries: list[Expiry]) -> list[Expiry]:
    """The nearest of each class."""
    left = dict(_KEPT)
    found = []
    for expiry in expiries:
        if left[expiry.kind]:
            left[expiry.kind] -= 1
            found.append(expiry)
    return found


def _strikes(kind: str, forward: float, vol: float) -> set[float]:
    """Round strikes around a forward, equally far apart."""
    deviation = vol * math.sqrt(_TYPICAL_DAYS[kind] / 365.0)
    wanted = _STEP * deviation * forward
    decade = 10.0 ** math.floor(math.log10(wanted))
    step = min(_NICE, key=lambda nice: abs(math.log(nice * decade / wanted))) * decade
    lowest = math.ceil(forward * math.exp(-_REACH * deviation) / step)
    highest = math.floor(forward * math.exp(_REACH * deviation) / step)
    return {round(number * step, 10) for number in range(max(lowest, 1), highest + 1)}
