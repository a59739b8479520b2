"""One price of the underlying out of the index prices of the venues."""

from collections.abc import Sequence
from math import inf
from statistics import median

from volgauge.domain.units import NANOS_PER_SECOND

FRESH_NS = 10 * NANOS_PER_SECOND
"""A venue tells its index price at least this often; an older one says nothing of now."""


def composite_price(prices: Sequence[tuple[float, int]], now_ns: int) -> float | None:
    """Take the median of the fresh prices: one venue that is wrong among three moves nothing.

    Args:
        prices: (price, when it was received) by venue, in quote currencies worth a dollar.
        now_ns: Prices older than 10 s, and those that are not positive finite numbers, are left
            out.

    Returns:
        The median, the mean of the middle two for an even count; None when none is left.
    """
    fresh = [price for price, at_ns in prices if 0.0 < price < inf and now_ns - at_ns <= FRESH_NS]
    return median(fresh) if fresh else None
