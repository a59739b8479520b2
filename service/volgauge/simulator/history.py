"""Candles of the simulated past: 400 days of index and price, joined to the market's start.

The state runs backwards from the market's start by the same law (`process`), so the last candle
ends where the market begins. Marked as simulated by whoever stores it.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
)
from volgauge.simulator import pricing, process
from volgauge.simulator.board import F64, I64
from volgauge.simulator.market import HEADLINE_DAYS, Market

COARSE_NS = 15 * NANOS_PER_MINUTE
FINE_NS = 15 * NANOS_PER_SECOND
OTHER_DAYS = (7.0, 14.0, 60.0, 90.0, 180.0)
_CHUNK = 8192
_NODES = 12
"""A side: the error stays below 1e-4 points."""
_DEGREE = 8
_SMALLEST_RANGE = 1e-3
_OFFSET_DAYS = 1.0


class Candles(Struct, frozen=True, kw_only=True):
    """One series, ascending; a candle's open is the close before it."""

    asset: str
    series: str
    """A tenor (`30d`: corridor volatility, points) or `price` (quote currency)."""
    resolution_seconds: int
    open_ns: I64
    """(n,) open time."""
    open: F64
    high: F64
    low: F64
    close: F64


def make_history(
    market: Market,
    days: float = 400.0,
    fine_days: float = 1.0,
    *,
    go_on: Callable[[], None] = lambda: None,
) -> list[Candles]:
    """Hourly candles of `days` and minute candles of the last `fine_days`, for every book.

    The headline tenor and the price have both; the other tenors that the listing spans have the
    last `fine_days` alone. Deterministic in the market's options; the market itself does not move.

    Args:
        market: Whose past.
        days: Of hourly candles.
        fine_days: Of minute candles.
        go_on: Called between the steps of the work; what it raises ends it.
    """
    start_ns = market.options.start_ns
    end_ns = start_ns // NANOS_PER_MINUTE * NANOS_PER_MINUTE
    fine_start = round(end_ns - fine_days * NANOS_PER_DAY) // NANOS_PER_HOUR * NANOS_PER_HOUR
    coarse_start = round(end_ns - days * NANOS_PER_DAY) // NANOS_PER_HOUR * NANOS_PER_HOUR
    times = np.concatenate(
        (
            np.arange(end_ns, fine_start, -FINE_NS),
            np.arange(fine_start, coarse_start - COARSE_NS // 2, -COARSE_NS),
        )
    )
    random = np.random.default_rng([market.options.seed, 2])
    shocks = process.draw_shocks(random, len(times), len(market.boards), market.law.common)
    states = np.empty((len(times), *market.start_state.shape))
    state, before = market.start_state, start_ns
    for place, now_ns in enumerate(times.tolist()):
        go_on()
        state = process.advance(
            state, market.law, (before - now_ns) / NANOS_PER_YEAR, shocks[place]
        )
        states[place], before = state, now_ns
    times, states = times[::-1], states[::-1]
    found = []
    for number, board in enumerate(market.boards):
        mine = states[:, number]
        late = times >= fine_start
        series = {
            "price": (times, np.exp(mine[:, process.LOG_SPOT])),
            tenor_name(HEADLINE_DAYS): (times, _volatility(market, number, mine, times)),
        }
        # Of a market that has moved nobody knows any more where these began.
        for tenor in OTHER_DAYS if market.now_ns == start_ns else ():
            go_on()
            recent = _volatility(market, number, mine[late], times[late], tenor)
            if np.isfinite(recent).all():
                series[tenor_name(tenor)] = (times[late], recent)
        go_on()
        for name, (at, values) in series.items():
            for resolution, since in ((3600, coarse_start), (60, fine_start)):
                width = resolution * NANOS_PER_SECOND
                chosen = (at >= since) & (at <= end_ns // width * width)
                found.append(
                    _candles(board.terms.asset, name, resolution, at[chosen], values[chosen])
                )
    return found


def tenor_name(days: float) -> str:
    """`30d`."""
    return f"{days:g}d"


def _volatility(
    market: Market, number: int, states: F64, times: I64, days: float = HEADLINE_DAYS
) -> F64:
    """Corridor volatility at a tenor in points along the path; NaN where no listing spans it."""
    years = np.array(days * NANOS_PER_DAY / NANOS_PER_YEAR)
    if market.families[number] == "ssvi":
        parts = []
        for first in range(0, len(states), _CHUNK):
            smile = process.smile_at(states[first : first + _CHUNK], years)
            parts.append(pricing.corridor_variance(smile, nodes_a_side=_NODES))
        w = np.concatenate(parts)
    else:
        w = _interpolated_corridor(market, number, states, years)
    points = 100.0 * np.sqrt(w / years)
    # The published index interpolates between listed expiries: meet it at the start.
    name = market.boards[number].terms.prefix
    if days == HEADLINE_DAYS:
        seam = market.opening[name] - market.opening_exact[name]
    else:
        seam = market.headline(name, days)[1] - market.exact(name, days)[0]
    age_days = (market.options.start_ns - times) / NANOS_PER_DAY
    joined: F64 = points + seam * np.exp2(-age_days / _OFFSET_DAYS)
    return joined


def _interpolated_corridor(market: Market, number: int, states: F64, years: F64) -> F64:
    """Corridor variance of many states by a Chebyshev polynomial in what it depends on.

    At one tenor a mixture knows of its state the level theta, the skew and the curvature; the
    ratio of corridor to level is smooth in the three (error below 1e-3 points).
    """
    theta = process.level_at(states, years)
    inputs = [np.log(theta), states[:, process.SKEW], states[:, process.CURVATURE]]
    middle = [0.5 * (values.max() + values.min()) for values in inputs]
    half = [max(0.5 * (values.max() - values.min()), _SMALLEST_RANGE) for values in inputs]
    node = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    grid = np.meshgrid(*([node] * 3), indexing="ij")
    at = [
        centre + width * axis.ravel()
        for centre, width, axis in zip(middle, half, grid, strict=True)
    ]
    # A state whose level is that of the node at this tenor: short and long variance alike.
    model = np.zeros((len(at[0]), process.N_FACTORS))
    model[:, process.LOG_SHORT] = model[:, process.LOG_LONG] = at[0] - np.log(years)
    model[:, process.SKEW], model[:, process.CURVATURE] = at[1], at[2]
    ratio = market.slices_at(number, model, years).corridor() / np.exp(at[0])
    inverse = np.linalg.inv(np.polynomial.chebyshev.chebvander(node, _DEGREE))
    cube = ratio.reshape((_DEGREE + 1,) * 3)
    coefficients = np.einsum("ai,bj,ck,ijk->abc", inverse, inverse, inverse, cube)
    x, y, z = (
        (values - centre) / width
        for values, centre, width in zip(inputs, middle, half, strict=True)
    )
    w: F64 = theta * np.polynomial.chebyshev.chebval3d(x, y, z, coefficients)
    return w


def _candles(asset: str, series: str, resolution: int, times: I64, values: F64) -> Candles:
    """Cut a series into candles that share their borders' values."""
    width = resolution * NANOS_PER_SECOND
    opens = np.arange(times[0], times[-1], width)
    first = np.searchsorted(times, opens)
    last = np.searchsorted(times, opens + width)
    close = values[last]
    high = np.maximum(np.maximum.reduceat(values, first)[: len(first)], close)
    low = np.minimum(np.minimum.reduceat(values, first)[: len(first)], close)
    # The last segment of reduceat ends with the series: it already holds its own close.
    return Candles(
        asset=asset, series=series, resolution_seconds=resolution, open_ns=opens,
        open=values[first], high=high, low=low, close=close,
    )  # fmt: skip
