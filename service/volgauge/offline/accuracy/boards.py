"""One expiry's quotes as arrays, made from a world the way an exchange shows them.

Mid = exact price + noise; bid and ask stand a half-spread away and are rounded outwards to the
tick. Calls and puts are both quoted, on either side of the money; no forward is given.
"""

from math import nan

import numpy as np
from msgspec import Struct

from volgauge.kernels._jit import F64
from volgauge.offline.accuracy.worlds import FORWARD, YEARS, World, exact_price

CALL, PUT = 0, 1

DENSE = np.concatenate(
    [np.arange(40_000.0, 140_000.0, 2_500.0), np.arange(140_000.0, 240_001.0, 5_000.0)]
)
"""61 strikes."""
SPARSE = np.array([60, 70, 75, 80, 85, 90, 95, 100, 105, 110, 115, 120, 125, 140, 160]) * 1_000.0
"""15 strikes. Of many grids of their size these two give the rivals the biases that the reference
experiments found for the SVI and flat worlds."""
GRIDS = {"dense": DENSE, "sparse": SPARSE}


class Ticks(Struct, frozen=True):
    """Steps of the price grid, in the coin."""

    size: float
    above: float
    step: float

    def at(self, price: F64) -> F64:
        """The step that holds at a price."""
        return np.where(np.asarray(price) >= self.above, self.step, self.size)


COIN_TICKS = Ticks(0.0001, 0.005, 0.0005)
FINE_TICKS = Ticks(1e-5, np.inf, nan)


class Quoting(Struct, frozen=True, kw_only=True):
    """How a world is quoted."""

    ticks: Ticks | None = COIN_TICKS
    """None: exact prices, not rounded."""
    relative: float = 0.02
    """Half-spread over the price, at least a tick."""
    noise: float = 0.25
    """Standard deviation of each mid's own error, in half-spreads."""
    common: float = 0.0
    """Standard deviation of an error that all mids of the board share, in half-spreads."""


SOUND = Quoting()
EXACT = Quoting(ticks=None, noise=0.0)
"""Unrounded and without noise."""
FINE = Quoting(ticks=FINE_TICKS, relative=0.003)


class Board(Struct, frozen=True, kw_only=True):
    """Quotes of one expiry; premiums in the coin, NaN is absent."""

    strike: F64
    """(n,) ascending."""
    bid: F64
    """(2, n): calls, puts."""
    ask: F64
    """(2, n)."""
    mark: F64
    """(2, n); the venue's own opinion."""
    years: float = YEARS
    ticks: Ticks | None = COIN_TICKS

    def changed(self, **arrays: F64) -> "Board":
        """A copy with other arrays."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return Board(**{**fields, **arrays})

    @property
    def mid(self) -> F64:
        """(2, n); NaN unless both sides are above zero."""
        sound = (self.bid > 0.0) & (self.ask > 0.0)
        return np.where(sound, 0.5 * (self.bid + self.ask), np.nan)

    def without(self, places: list[int]) -> "Board":
        """The board with some strikes not listed."""
        return Board(
            strike=np.delete(self.strike, places),
            bid=np.delete(self.bid, places, axis=1),
            ask=np.delete(self.ask, places, axis=1),
            mark=np.delete(self.mark, places, axis=1),
            years=self.years,
            ticks=self.ticks,
        )

    def with_strike(self, strike: float, bid: F64, ask: F64) -> "Board":
        """The board with one more strike; `bid`, `ask`: (2,) call and put."""
        place = int(np.searchsorted(self.strike, strike))
        return Board(
            strike=np.insert(self.strike, place, strike),
            bid=np.insert(self.bid, place, bid, axis=1),
            ask=np.insert(self.ask, place, ask, axis=1),
            mark=np.insert(self.mark, place, 0.5 * (bid + ask), axis=1),
            years=self.years,
            ticks=self.ticks,
        )


def exact_prices(world: World, strike: F64, forward: float = FORWARD) -> F64:
    """(2, n): calls and puts of a world, in units of the forward."""
    k = np.log(strike / forward)
    return np.stack([exact_price(world, k, CALL), exact_price(world, k, PUT)])


def quote(
    price: F64, strike: F64, quoting: Quoting = SOUND, generator: np.random.Generator | None = None
) -> Board:
    """Quote exact prices.

    Args:
        price: (2, n) in the coin.
        strike: (n,).
        quoting: Ticks, spread, noise.
        generator: For the noise; None only without any.
    """
    ticks = quoting.ticks
    smallest = COIN_TICKS.at(price) if ticks is None else ticks.at(price)
    half = np.maximum(smallest, quoting.relative * price)
    mid = price
    if quoting.noise or quoting.common:
        if generator is None:
            raise ValueError("noise needs a generator")
        shared = quoting.common * generator.standard_normal()
        own = quoting.noise * generator.standard_normal(price.shape)
        mid = price + half * (shared + own)
    bid, ask = mid - half, mid + half
    if ticks is not None:
        # A price on the grid stays there: what binary fractions add is no part of it.
        bid = _on_grid(np.floor(bid / ticks.at(bid) + 1e-9) * ticks.at(bid))
        ask = _on_grid(np.ceil(ask / ticks.at(ask) - 1e-9) * ticks.at(ask))
    return Board(
        strike=strike,
        bid=np.where(bid > 0.0, bid, np.nan),
        ask=np.where(ask > 0.0, ask, np.nan),
        mark=price,
        ticks=ticks,
    )


def make_board(
    world: World, grid: str, quoting: Quoting = SOUND, seed: int = 0, forward: float = FORWARD
) -> Board:
    """One quoted board; the seed is the whole randomness."""
    strike = GRIDS[grid]
    return quote(exact_prices(world, strike, forward), strike, quoting, np.random.default_rng(seed))


def _on_grid(price: F64) -> F64:
    """The float nearest to the printed price."""
    rounded: F64 = np.round(price, 5)
    return rounded
