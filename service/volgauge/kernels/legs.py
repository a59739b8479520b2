"""One quote on its own: METHODOLOGY section 3, rule 2, in the venue's premium unit.

Verdicts compare with a relative margin of 1e-9, so that 0.0003 against 3 x 0.0001 is decided by
the prices and not by their binary rounding.
"""

import math

from volgauge.kernels._jit import inlined
from volgauge.kernels.layout import (
    R_ABSENT,
    R_BAD_NUMBER,
    R_CROSSED,
    R_NO_ASK,
    R_NO_BID,
    R_TINY,
    R_WIDE,
    USED,
)

LARGEST_ASK_TO_BID = 3.0
LARGEST_SPREAD_TICKS = 6.0
LARGEST_SPREAD_TO_MID = 0.5
SMALLEST_MID_TICKS = 5.0
SMALLEST_MID = 1e-4
"""In units of the forward."""
MARGIN = 1e-9


@inlined
def is_bad_number(price: float) -> bool:
    """Negative or infinite; NaN means absent and is not bad."""
    return price < 0.0 or price == math.inf


@inlined
def side_code(bid: float, ask: float) -> int:
    """USED when both sides are numbers above zero, else why not; 0 and NaN are no quote."""
    if is_bad_number(bid) or is_bad_number(ask):
        return R_BAD_NUMBER
    if bid > 0.0:
        return USED if ask > 0.0 else R_NO_ASK
    return R_NO_BID if ask > 0.0 else R_ABSENT


@inlined
def leg_code(bid: float, ask: float, tick_size: float, tick_above: float, tick_step: float) -> int:
    """Judge one quote: USED, or the index of its reject reason.

    Args:
        bid: Premium unit; NaN or 0 is no quote.
        ask: The same.
        tick_size: Smallest price step; NaN or 0 unknown, then no tick rule binds.
        tick_above: Price above which `tick_step` holds instead.
        tick_step: The coarser step.
    """
    code = side_code(bid, ask)
    if code != USED:
        return code
    if ask <= bid:
        return R_CROSSED
    mid = 0.5 * (bid + ask)
    tick = tick_step if mid > tick_above else tick_size
    if mid < SMALLEST_MID_TICKS * tick * (1.0 - MARGIN):
        return R_TINY
    if ask > LARGEST_ASK_TO_BID * bid * (1.0 + MARGIN):
        return R_WIDE
    spread = ask - bid
    # An unknown tick (NaN) must not widen the limit: each limit is asked for itself.
    if spread > LARGEST_SPREAD_TO_MID * mid * (1.0 + MARGIN) and not (
        spread <= LARGEST_SPREAD_TICKS * tick * (1.0 + MARGIN)
    ):
        return R_WIDE
    return USED
