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
LESS = 1.0 - MARGIN
"""What is compared with this part of another number is less by more than rounding."""

_LEAST_TICKS = SMALLEST_MID_TICKS * (1.0 - MARGIN)
_MOST_TICKS = LARGEST_SPREAD_TICKS * (1.0 + MARGIN)
_MOST_OF_MID = LARGEST_SPREAD_TO_MID * (1.0 + MARGIN)
_MOST_OF_BID = LARGEST_ASK_TO_BID * (1.0 + MARGIN)


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
    if not 0.0 < bid < ask < math.inf:
        code = side_code(bid, ask)
        return R_CROSSED if code == USED else code
    mid = 0.5 * (bid + ask)
    tick = tick_step if mid > tick_above else tick_size
    if mid < _LEAST_TICKS * tick:
        return R_TINY
    spread = ask - bid
    # A spread of half the mid is an ask of 5/3 of the bid, so one comparison passes most quotes.
    if spread <= _MOST_OF_MID * mid:
        return USED
    # Asked this way round an unknown tick (NaN) does not widen the limit.
    narrow = spread <= _MOST_TICKS * tick
    return USED if narrow and ask <= _MOST_OF_BID * bid else R_WIDE
