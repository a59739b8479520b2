"""What is held and traded, at the volatility and the Greeks of the fitted curve.

    k = ln(K/F)   w = w(k)   sigma = sqrt(w / t)   d1 = -k / sqrt(w) + sqrt(w) / 2
    |delta| = N(d1) call, N(-d1) put
    vega  = F n(d1) sqrt(t) / 100      quote currency per volatility point and coin
    gamma = n(d1) / (100 sqrt(w))      coins of delta per 1 % move of F and coin (F gamma_F / 100)

Black 1976, undiscounted; sums run over the options inside the limits of delta and time.
"""

import math

import numpy as np

from volgauge.domain.units import NANOS_PER_YEAR
from volgauge.kernels._jit import F64, I64, kernel
from volgauge.kernels.layout import (
    CALL_SLOT,
    EXPIRY_NS,
    FACT_COLUMNS,
    FIRST,
    FORWARD,
    LADDER_COLUMNS,
    LAST,
    PLAN_COLUMNS,
    STRIKE,
    SVI_A,
    SVI_B,
    SVI_M,
    SVI_RHO,
    SVI_S,
    VALUE_COLUMNS,
)
from volgauge.kernels.normal import normal_cdf, normal_pdf
from volgauge.kernels.readings import is_usable
from volgauge.kernels.svi import svi_variance

# Columns of the sums of an expiry; coins, and points times coins.
CALL_INTEREST = 0
PUT_INTEREST = 1
"""CALL_INTEREST + leg."""
CALL_VOLUME = 2
PUT_VOLUME = 3
INTEREST_POINTS = 4
VOLUME_POINTS = 5
VEGA = 6
"""Of one coin of each option."""
VEGA_POINTS = 7
INTEREST_TOLD = 8
"""Options whose open interest is known."""
VOLUME_TOLD = 9
SUM_COLUMNS = 10

# Columns of a strike.
HELD_GAMMA = 0
HELD_VEGA = 1
HELD = 2
STRIKE_COLUMNS = 3


@kernel
def sum_book(
    values: F64,
    facts: I64,
    plan: I64,
    ladder: F64,
    open_interest: F64,
    volume: F64,
    now_ns: int,
    shortest_ns: int,
    least_delta: float,
    most_delta: float,
    sums: F64,
    strikes: F64,
) -> None:
    """Sum what is held and traded of one book, by expiry and by strike.

    Args:
        values: (n, VALUE_COLUMNS) of NATIVE.
        facts: (n, FACT_COLUMNS) of NATIVE.
        plan: (n, PLAN_COLUMNS).
        ladder: (strikes, LADDER_COLUMNS).
        open_interest: (capacity,) coins by slot, NaN not told.
        volume: (capacity,) coins in 24 h by slot, NaN not told.
        now_ns: The instant.
        shortest_ns: Expiries nearer than this do not count.
        least_delta: Options with |delta| below do not count.
        most_delta: Options with |delta| above do not count.
        sums: (n, SUM_COLUMNS), overwritten; 0 where nothing counts.
        strikes: (strikes, STRIKE_COLUMNS), overwritten.
    """
    for row in range(sums.shape[0]):
        for column in range(SUM_COLUMNS):
            sums[row, column] = 0.0
    for j in range(strikes.shape[0]):
        for column in range(STRIKE_COLUMNS):
            strikes[j, column] = 0.0
    for row in range(sums.shape[0]):
        left_ns = plan[row, EXPIRY_NS] - now_ns
        if left_ns < shortest_ns or not is_usable(values, facts, plan, row, now_ns):
            continue
        t = left_ns / NANOS_PER_YEAR
        forward = values[row, FORWARD]
        a, b, rho = values[row, SVI_A], values[row, SVI_B], values[row, SVI_RHO]
        m, s = values[row, SVI_M], values[row, SVI_S]
        for j in range(plan[row, FIRST], plan[row, LAST]):
            k = math.log(ladder[j, STRIKE] / forward)
            root = math.sqrt(svi_variance(a, b, rho, m, s, k))
            d1 = 0.5 * root - k / root
            density = normal_pdf(d1)
            points = 100.0 * root / math.sqrt(t)
            vega = 0.01 * forward * density * math.sqrt(t)
            gamma = 0.01 * density / root
            for leg in range(2):
                slot = int(ladder[j, CALL_SLOT + leg])
                delta = normal_cdf(d1 if leg == 0 else -d1)
                if slot < 0 or not least_delta <= delta <= most_delta:
                    continue
                sums[row, VEGA] += vega
                sums[row, VEGA_POINTS] += vega * points
                held, traded = open_interest[slot], volume[slot]
                if 0.0 <= held < math.inf:
                    sums[row, INTEREST_TOLD] += 1.0
                    sums[row, CALL_INTEREST + leg] += held
                    sums[row, INTEREST_POINTS] += held * points
                    strikes[j, HELD_GAMMA] += held * gamma
                    strikes[j, HELD_VEGA] += held * vega
                    strikes[j, HELD] += held
                if 0.0 <= traded < math.inf:
                    sums[row, VOLUME_TOLD] += 1.0
                    sums[row, CALL_VOLUME + leg] += traded
                    sums[row, VOLUME_POINTS] += traded * points


def warm_up() -> None:
    """Call the kernel once with the types of production and nothing to sum."""
    sum_book(
        np.zeros((0, VALUE_COLUMNS)),
        np.zeros((0, FACT_COLUMNS), np.int64),
        np.zeros((0, PLAN_COLUMNS), np.int64),
        np.zeros((0, LADDER_COLUMNS)),
        np.zeros(0),
        np.zeros(0),
        0,
        0,
        0.0,
        1.0,
        np.zeros((0, SUM_COLUMNS)),
        np.zeros((0, STRIKE_COLUMNS)),
    )
