"""How much a book shows near the money: what its weight in the composite rests on (rule 16).

    sum over out-of-the-money strikes of phi(k / sw) min(bid size, ask size)

phi(k / sw) is vega up to a factor; sizes are in units of the underlying, so books of one asset
compare whatever their contracts are. Expiries between 2 and 90 days count.
"""

import numpy as np

from volgauge.domain.units import DAYS_PER_YEAR
from volgauge.index.view import BookView
from volgauge.kernels import layout as col

SHORTEST_YEARS = 2.0 / DAYS_PER_YEAR
LONGEST_YEARS = 90.0 / DAYS_PER_YEAR
REACH = 1.5
"""In deviations at the money."""


def liquidity_of(book: BookView) -> float:
    """Vega-weighted two-sided size near the money, units of the underlying; 0 without sizes."""
    surface = book.surface
    quotes = book.sink.table.quotes
    total = 0.0
    for row, years in enumerate(book.t_years):
        if not (SHORTEST_YEARS <= years <= LONGEST_YEARS and book.computed[row]):
            continue
        deviation = surface.values[col.NATIVE, row, col.DEVIATION]
        forward = book.forwards[row]
        if not (deviation > 0.0 and forward > 0.0):
            continue
        first, last = surface.plan[row, col.FIRST], surface.plan[row, col.LAST]
        ladder = surface.ladder[first:last]
        z = np.log(ladder[:, col.STRIKE] / forward) / deviation
        near = np.abs(z) <= REACH
        slots = np.where(
            z[near] < 0.0, ladder[near, col.PUT_SLOT], ladder[near, col.CALL_SLOT]
        ).astype(np.int64)
        listed = slots >= 0
        rows = quotes[slots[listed]]
        sound = (rows[:, col.BID] > 0.0) & (rows[:, col.ASK] > rows[:, col.BID])
        size = np.fmin(rows[:, col.BID_SIZE], rows[:, col.ASK_SIZE])
        weight = np.exp(-0.5 * z[near][listed] ** 2)
        total += float(np.sum(weight * np.where(sound, np.nan_to_num(size), 0.0)))
    return total
