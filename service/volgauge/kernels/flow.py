"""Order flow at the best quotes: what was added to demand and to supply between two looks.

    e = 1{Pb >= Pb'} qb - 1{Pb <= Pb'} qb' - 1{Pa <= Pa'} qa + 1{Pa >= Pa'} qa'

Pb, qb, Pa, qa the best bid, its size, the best ask and its size, primed at the look before; the
first two terms are the bid side's, the last two the ask side's. Weighted by vega over all options
of the usable expiries, calls and puts alike: what a move of the underlying does to the quotes has
opposite signs in calls and in puts, demand for volatility has not.

Source:
    Cont, Kukanov and Stoikov 2014, The price impact of order book events, section 2.
"""

import math

import numpy as np

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR
from volgauge.kernels._jit import F64, I64, kernel, part
from volgauge.kernels.layout import (
    ASK,
    ASK_SIZE,
    BID,
    BID_SIZE,
    CALL_SLOT,
    EXPIRY_NS,
    FACT_COLUMNS,
    FIRST,
    FORWARD,
    LADDER_COLUMNS,
    LAST,
    PLAN_COLUMNS,
    QUOTE_COLUMNS,
    STRIKE,
    SVI_A,
    SVI_B,
    SVI_M,
    SVI_RHO,
    SVI_S,
    VALUE_COLUMNS,
)
from volgauge.kernels.normal import normal_pdf
from volgauge.kernels.readings import is_usable
from volgauge.kernels.svi import svi_variance

SEEN_COLUMNS = 4
"""Bid, ask, bid size, ask size: the first columns of a quote."""

VEGA_FLOW = 0
"""Sum vega e, quote currency per point."""
VEGA_DEPTH = 1
"""Sum vega (qb + qa) / 2 over two-sided quotes, the same unit."""
NEAR_SIZE = 2
"""Sum exp(-z^2 / 2) min(qb, qa), coins; see `REACH`."""
TOTAL_COLUMNS = 3

REACH = 1.5
"""In deviations at the money: z = k / sqrt(w(0)), out-of-the-money options, as the weights of the
index's composite are looked at (METHODOLOGY rule 16)."""
LONGEST_NS = 90 * NANOS_PER_DAY
"""Expiries beyond do not count in NEAR_SIZE (rule 16)."""


@part
def side_flow(better: float, before: float, size: float, size_before: float) -> float:
    """What one side of the book gained: a price counted so that higher is more eager.

    Returns:
        Coins; 0 when any number is absent.
    """
    gained = 0.0
    if not (size >= 0.0 and size_before >= 0.0):
        return 0.0
    if better >= before:
        gained += size
    if better <= before:
        gained -= size_before
    return gained


@kernel
def observe_book(
    values: F64, facts: I64, plan: I64, ladder: F64, quotes: F64, now_ns: int, seen: F64,
    totals: F64,
) -> None:  # fmt: skip
    """Add the flow of one book since the last look, and its depth now.

    Args:
        values: (n, VALUE_COLUMNS) of NATIVE.
        facts: (n, FACT_COLUMNS) of NATIVE.
        plan: (n, PLAN_COLUMNS).
        ladder: (strikes, LADDER_COLUMNS).
        quotes: (capacity, QUOTE_COLUMNS).
        now_ns: The instant.
        seen: (capacity, SEEN_COLUMNS) quotes at the last look, NaN none; brought up to date. An
            absent price or size on a side, now or then, makes that side's flow 0.
        totals: (TOTAL_COLUMNS,), added to.
    """
    for row in range(plan.shape[0]):
        usable = is_usable(values, facts, plan, row, now_ns)
        left_ns = plan[row, EXPIRY_NS] - now_ns
        t = left_ns / NANOS_PER_YEAR
        forward = values[row, FORWARD]
        a, b, rho = values[row, SVI_A], values[row, SVI_B], values[row, SVI_RHO]
        m, s = values[row, SVI_M], values[row, SVI_S]
        deviation = math.nan
        if usable:
            deviation = math.sqrt(svi_variance(a, b, rho, m, s, 0.0))
        for j in range(plan[row, FIRST], plan[row, LAST]):
            vega = z = k = 0.0
            if usable:
                k = math.log(ladder[j, STRIKE] / forward)
                root = math.sqrt(svi_variance(a, b, rho, m, s, k))
                vega = 0.01 * forward * normal_pdf(0.5 * root - k / root) * math.sqrt(t)
                z = k / deviation
            for leg in range(2):
                slot = int(ladder[j, CALL_SLOT + leg])
                if slot < 0:
                    continue
                bid, ask = quotes[slot, BID], quotes[slot, ASK]
                bid_size, ask_size = quotes[slot, BID_SIZE], quotes[slot, ASK_SIZE]
                if usable:
                    e = side_flow(bid, seen[slot, BID], bid_size, seen[slot, BID_SIZE])
                    e -= side_flow(-ask, -seen[slot, ASK], ask_size, seen[slot, ASK_SIZE])
                    totals[VEGA_FLOW] += vega * e
                    if bid > 0.0 and ask > bid and bid_size >= 0.0 and ask_size >= 0.0:
                        totals[VEGA_DEPTH] += 0.5 * vega * (bid_size + ask_size)
                        is_out = k < 0.0 if leg == 1 else k >= 0.0
                        if is_out and abs(z) <= REACH and left_ns <= LONGEST_NS:
                            near = math.exp(-0.5 * z * z)
                            totals[NEAR_SIZE] += near * min(bid_size, ask_size)
                for column in range(SEEN_COLUMNS):
                    seen[slot, column] = quotes[slot, column]


def warm_up() -> None:
    """Call the kernel once with the types of production and nothing to look at."""
    observe_book(
        np.zeros((0, VALUE_COLUMNS)),
        np.zeros((0, FACT_COLUMNS), np.int64),
        np.zeros((0, PLAN_COLUMNS), np.int64),
        np.zeros((0, LADDER_COLUMNS)),
        np.zeros((0, QUOTE_COLUMNS)),
        0,
        np.zeros((0, SEEN_COLUMNS)),
        np.zeros(TOTAL_COLUMNS),
    )
