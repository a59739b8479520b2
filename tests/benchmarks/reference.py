"""The strip of a whole chain in vectorised numpy: the exchange's rule, written as it reads.

All expiries at once, as arrays (expiries, strikes) padded with NaN, no Python loop over options or
expiries. |delta| comes from the implied volatility, as the rule says. Shares no code with the
package; METHODOLOGY sections 2 (`dvol`), 3 (rule 2) and 4 (rules 5 and 6).
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtr

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

CORRIDOR_DELTA = 0.05
WINDOW = 1.5
LEAST_OTHER = 2.0
STRADDLE = np.sqrt(0.5 * np.pi)
LARGEST_STEPS = 20
CONVERGED = 1e-9
"""Relative step of Newton's method after which the next one is below rounding."""
MARGIN = 1e-9
_SQRT_2PI = np.sqrt(2.0 * np.pi)


class Chain(Struct):
    """A listed chain; where a leg or a strike does not exist, slot -1 and strike NaN."""

    strike: F64
    """(expiries, strikes) ascending, quote currency."""
    slots: I64
    """(2, expiries, strikes): calls, puts."""
    future: F64
    """(expiries,) the venue's forward."""
    tick_size: float
    tick_above: float
    tick_step: float


class Strips(Struct):
    """Per expiry: the parity forward and pairs, strip sum, total variance, strikes in the sum."""

    forward: F64
    pairs: I64
    strip_sum: F64
    total_variance: F64
    strikes: I64


def evaluate(chain: Chain, bids: F64, asks: F64, marks: F64) -> Strips:
    """Compute every expiry from coin premiums by slot."""
    listed = chain.slots >= 0
    bid = np.where(listed, bids[chain.slots], np.nan)
    ask = np.where(listed, asks[chain.slots], np.nan)
    mark = np.where(listed, marks[chain.slots], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        forward, pairs = parity(chain, bid, ask)
        strip_sum, total_variance, strikes = strip(
            chain, bid, ask, mark, np.where(chain.future > 0.0, chain.future, forward)
        )
    return Strips(forward, pairs, strip_sum, total_variance, strikes)


def parity(chain: Chain, bid: F64, ask: F64) -> tuple[F64, I64]:
    """Weighted median of the forwards of the pairs near the money, inside what arbitrage allows."""
    mid, half = 0.5 * (bid + ask), 0.5 * (ask - bid)
    tick = np.where(mid > chain.tick_above, chain.tick_step, chain.tick_size)
    good = (
        (bid > 0.0)
        & (ask > bid)
        & (mid >= 5.0 * tick * (1.0 - MARGIN))
        & (ask <= 3.0 * bid * (1.0 + MARGIN))
        & ((2.0 * half <= 0.5 * mid * (1.0 + MARGIN)) | (2.0 * half <= 6.0 * tick * (1.0 + MARGIN)))
    ).all(axis=0)
    difference = np.where(good, mid[0] - mid[1], np.nan)
    good &= difference < 1.0
    pairs = good.sum(axis=1)
    implied = np.where(good, chain.strike / (1.0 - difference), np.nan)

    nearest = np.argsort(np.where(good, np.abs(difference), np.inf), axis=1, kind="stable")[:, :3]
    start = np.median(np.take_along_axis(implied, nearest, axis=1), axis=1)
    straddle = np.median(np.take_along_axis(mid[0] + mid[1], nearest, axis=1), axis=1)
    reach = np.exp(WINDOW * STRADDLE * straddle)
    window = good & (chain.strike >= (start / reach)[:, None])
    window &= chain.strike <= (start * reach)[:, None]
    three = np.zeros_like(good)
    np.put_along_axis(three, nearest, values=True, axis=1)
    taken = np.where((window.sum(axis=1) >= 3)[:, None], window, three & good)

    width = half[0] + half[1]
    # The dearer leg is in the money, and counts no narrower than twice the other one.
    own, other = np.where(difference > 0.0, half[::-1], half)
    counted = own + np.maximum(LEAST_OTHER * own, other)
    order = np.argsort(np.where(taken, implied, np.inf), axis=1, kind="stable")
    ordered = np.take_along_axis(implied, order, axis=1)
    weight = np.take_along_axis(np.where(taken, 1.0 / (counted * counted), 0.0), order, axis=1)
    reached = np.cumsum(weight, axis=1)
    middle = 0.5 * reached[:, -1:]
    at = np.argmax(reached >= middle, axis=1)[:, None]
    median = np.take_along_axis(ordered, at, axis=1)
    upper = np.take_along_axis(ordered, np.minimum(at + 1, ordered.shape[1] - 1), axis=1)
    is_tie = np.take_along_axis(reached, at, axis=1) == middle
    found = np.where(is_tie & ~np.isnan(upper), 0.5 * (median + upper), median)[:, 0]

    floor = np.where(taken, chain.strike / (1.0 - (difference - width)), -np.inf).max(axis=1)
    above = np.where(difference + width < 1.0, chain.strike / (1.0 - (difference + width)), np.inf)
    ceiling = np.where(taken, above, np.inf).min(axis=1)
    inside = np.where(floor > ceiling, found, np.clip(found, floor, ceiling))
    return np.where(pairs >= 3, inside, np.nan), pairs


def strip(chain: Chain, bid: F64, ask: F64, mark: F64, forward: F64) -> tuple[F64, F64, I64]:
    """Sum dK/K^2 Q over the listed out-of-the-money strikes with |delta| >= 5 %."""
    strike = chain.strike
    at = (strike <= forward[:, None]).sum(axis=1) - 1
    is_put = np.arange(strike.shape[1]) <= at[:, None]
    at_base = np.arange(strike.shape[1]) == at[:, None]
    k_zero = np.take_along_axis(strike, at[:, None], axis=1)[:, 0]
    m = strike / forward[:, None]

    usable = np.where((bid > 0.0) & (ask > 0.0), 0.5 * (bid + ask), mark)
    own = np.where(is_put, usable[1], usable[0])
    other = np.where(is_put, usable[0], usable[1])
    own_mark = np.where(is_put, mark[1], mark[0])
    price = np.where(at_base & np.isnan(own), other - (1.0 - m), own)
    bound = np.minimum(1.0, m)
    possible = (price > 0.0) & (price < bound)
    gauge = np.where((own_mark > 0.0) & (own_mark < bound), own_mark, price)
    taken = possible.copy()
    solvable = m[possible]
    delta = otm_delta(solvable, implied_deviation(solvable, gauge[possible]))
    taken[possible] = delta >= CORRIDOR_DELTA
    mean = np.where(np.isnan(other), price + 0.5 * (1.0 - m), 0.5 * (price + other))
    price = np.where(at_base, mean, price)

    # The neighbours among the taken: the last one before, the first one after.
    before = np.fmax.accumulate(np.where(taken, strike, np.nan), axis=1)
    after = np.fmin.accumulate(np.where(taken, strike, np.nan)[:, ::-1], axis=1)[:, ::-1]
    lower = np.full_like(strike, np.nan)
    upper = np.full_like(strike, np.nan)
    lower[:, 1:], upper[:, :-1] = before[:, :-1], after[:, 1:]
    width = np.where(
        np.isnan(lower),
        upper - strike,
        np.where(np.isnan(upper), strike - lower, 0.5 * (upper - lower)),
    )
    terms = np.where(taken, width * forward[:, None] / (strike * strike) * price, 0.0)
    strip_sum = terms.sum(axis=1)
    both = (taken & is_put).any(axis=1) & (taken & ~is_put).any(axis=1) & (taken & at_base).any(1)
    variance = 2.0 * strip_sum - (forward / k_zero - 1.0) ** 2
    return (
        np.where(both, strip_sum, np.nan),
        np.where(both & (variance > 0.0), variance, np.nan),
        taken.sum(axis=1),
    )


def implied_deviation(m: F64, price: F64) -> F64:
    """Solve for sigma sqrt(t) of normalised out-of-the-money prices by Newton on the logarithm."""
    k = np.log(m)
    call = price + np.maximum(0.0, 1.0 - m)
    middle = call - 0.5 * (1.0 - m)
    radicand = middle * middle - (1.0 - m) ** 2 / np.pi
    near = (middle + np.sqrt(np.maximum(radicand, 0.0))) * _SQRT_2PI / (1.0 + m)
    s = np.where(radicand > 0.0, near, np.sqrt(2.0 * np.abs(k)))
    side = np.where(m < 1.0, -1.0, 1.0)
    for _ in range(LARGEST_STEPS):
        d1 = 0.5 * s - k / s
        value = side * (ndtr(side * d1) - m * ndtr(side * (d1 - s)))
        step = np.log(value / price) * value * _SQRT_2PI * np.exp(0.5 * d1 * d1)
        s = np.where(np.abs(step) < 0.5 * s, s - step, s * np.where(step > 0.0, 0.5, 1.5))
        if not (np.abs(step) > CONVERGED * s).any():
            break
    return s


def otm_delta(m: F64, s: F64) -> F64:
    """|forward delta| of out-of-the-money options."""
    d1 = 0.5 * s - np.log(m) / s
    return np.asarray(np.where(m < 1.0, ndtr(-d1), ndtr(d1)), dtype=np.float64)
