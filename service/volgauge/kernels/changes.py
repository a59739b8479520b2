"""Which quotes of an option book are not what they were when the book was last looked at.

Rows are compared as bits, so an absent price (NaN) equals itself, and whatever wrote a row - a
quote, a mark, a loss, a kernel's note of the forward - is seen alike.
"""

import numpy as np

from volgauge.kernels._jit import I64, kernel
from volgauge.kernels.layout import FIRST, LAST, PLAN_COLUMNS, QUOTE_COLUMNS, REVISION


@kernel
def collect_changes(
    stamps: I64, plan: I64, slots: I64, revisions: I64, seen: I64, changed: I64
) -> int:
    """Take the quotes that changed since the last call, of the expiries that were computed since.

    Args:
        stamps: (capacity, QUOTE_COLUMNS) the quotes as int64.
        plan: (expiries, PLAN_COLUMNS).
        slots: (strikes, 2) of call and put; -1 not listed.
        revisions: (expiries,) REVISION at the last call; brought up to date.
        seen: (2 strikes, QUOTE_COLUMNS) the rows at the last call, call before put; brought up to
            date.
        changed: (2 strikes, 1 + QUOTE_COLUMNS) takes the row's number in `seen`, then the row.

    Returns:
        How many rows were taken.
    """
    count = 0
    for expiry in range(plan.shape[0]):
        if plan[expiry, REVISION] == revisions[expiry]:
            continue
        revisions[expiry] = plan[expiry, REVISION]
        for strike in range(plan[expiry, FIRST], plan[expiry, LAST]):
            for leg in range(2):
                slot = slots[strike, leg]
                if slot < 0:
                    continue
                row = 2 * strike + leg
                differs = False
                for column in range(QUOTE_COLUMNS):
                    if stamps[slot, column] != seen[row, column]:
                        differs = True
                        seen[row, column] = stamps[slot, column]
                if differs:
                    changed[count, 0] = row
                    for column in range(QUOTE_COLUMNS):
                        changed[count, 1 + column] = stamps[slot, column]
                    count += 1
    return count


def warm_up() -> None:
    """Call the kernel once with the types of production and nothing to compare."""
    row = np.zeros((1, QUOTE_COLUMNS), np.int64)
    collect_changes(
        row,
        np.zeros((0, PLAN_COLUMNS), np.int64),
        np.zeros((0, 2), np.int64),
        np.zeros(0, np.int64),
        row.copy(),
        np.zeros((1, 1 + QUOTE_COLUMNS), np.int64),
    )
