"""The smile at fixed deltas, of every expiry of a book and at constant tenors.

    d1(k) = -k / sqrt(w) + sqrt(w) / 2,  w = w(k) the fitted curve
    call:  N(d1) = delta       put:  N(-d1) = delta       sigma = 100 sqrt(w / t)

The strike of a delta is the first one outwards from the money, found on the curve itself. Over
time, total variance at the same delta is linear between the expiries around a tenor, as the
index's own is (METHODOLOGY rule 15); so are the third and fourth cumulant of R = ln(S/F), which
add as variance does when the steps of R do not depend on each other:

    kappa_3 = skewness W^{3/2}     kappa_4 = (kurtosis - 3) W^2     W = -2 E[R], linear as well

W stands for Var R, of which it is the same multiple at both expiries when R has stationary
increments; at an expiry it cancels.
"""

import math

import numpy as np

from volgauge.domain.units import NANOS_PER_YEAR
from volgauge.kernels._jit import F64, I64, kernel, part
from volgauge.kernels.layout import (
    ELIGIBLE,
    EXPIRY_NS,
    FACT_COLUMNS,
    FULL_VARIANCE,
    KURTOSIS,
    PLAN_COLUMNS,
    REASON,
    SKEWNESS,
    SVI_A,
    SVI_B,
    SVI_M,
    SVI_RHO,
    SVI_S,
    VALUE_COLUMNS,
)
from volgauge.kernels.svi import svi_variance

# Columns of a reading: volatilities and their differences in points, NaN where there is none.
ATM = 0
PUT_10 = 1
PUT_25 = 2
CALL_25 = 3
CALL_10 = 4
VOLS = 5
"""The first columns are volatilities."""
RISK_REVERSAL_25 = 5
RISK_REVERSAL_10 = 6
BUTTERFLY_25 = 7
BUTTERFLY_10 = 8
READ_SKEWNESS = 9
READ_KURTOSIS = 10
READING_COLUMNS = 11

N_QUARTER = 0.6744897501960817
"""-N^-1(0.25)."""
N_TENTH = 1.2815515655446004
"""-N^-1(0.10)."""
FARTHEST_DEVIATIONS = 10.0
"""Times sqrt(w) at the money: what the curve says farther out says nothing of the market."""
EXACT = 1e-13
"""Of d1: far below 1e-10 of the delta."""
ROUNDS = 60
"""Bisection alone would need 50."""
NEAREST_LOW = 2.0 / 3.0
NEAREST_HIGH = 3.0 / 2.0
"""A single expiry stands for a tenor while t / tenor lies between these (rule 15)."""


@part
def is_usable(values: F64, facts: I64, plan: I64, row: int, now_ns: int) -> bool:
    """Whether an expiry carries a curve that may be read: it is eligible and not over."""
    return bool(
        facts[row, REASON] == -1
        and facts[row, ELIGIBLE] != 0
        and plan[row, EXPIRY_NS] > now_ns
        and values[row, SVI_S] > 0.0
        and values[row, SVI_B] >= 0.0
    )


@part
def delta_strike(a: float, b: float, rho: float, m: float, s: float, target: float) -> float:
    """The k at which d1 = target on a curve; the first one outwards from the money.

    Args:
        a: Of the curve w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + s^2)), as b, rho, m, s.
        b: See `a`.
        rho: See `a`.
        m: See `a`.
        s: See `a`.
        target: N^-1 of a call's delta.

    Returns:
        k; NaN when there is none within 10 deviations at the money.
    """
    deviation = math.sqrt(svi_variance(a, b, rho, m, s, 0.0))
    side = 1.0 if target < 0.5 * deviation else -1.0
    inner, outer = 0.0, 0.0
    step = 0.5 * deviation
    limit = FARTHEST_DEVIATIONS * deviation
    f = side * (0.5 * deviation - target)
    while f > 0.0:
        if not outer < limit:
            return math.nan
        inner = outer
        outer = min(outer + step, limit)
        step *= 1.5
        root = math.sqrt(svi_variance(a, b, rho, m, s, side * outer))
        f = side * (0.5 * root - target) - outer / root
    # Newton, kept inside the bracket: f > 0 at `inner`, f <= 0 at `outer`.
    x = 0.5 * (inner + outer)
    for _ in range(ROUNDS):
        k = side * x
        y = k - m
        root = math.sqrt(svi_variance(a, b, rho, m, s, k))
        f = side * (0.5 * root - target) - x / root
        if not abs(f) > EXACT:
            break
        if f > 0.0:
            inner = x
        else:
            outer = x
        slope_w = side * b * (rho + y / math.sqrt(y * y + s * s))
        slope = slope_w * (0.25 * side + 0.5 * x / (root * root)) / root - 1.0 / root
        guess = x - f / slope
        x = guess if inner < guess < outer else 0.5 * (inner + outer)
    return side * x


@part
def spread_vols(out: F64) -> None:
    """Fill risk reversals and butterflies of a reading from its volatilities."""
    atm = out[ATM]
    out[RISK_REVERSAL_25] = out[CALL_25] - out[PUT_25]
    out[RISK_REVERSAL_10] = out[CALL_10] - out[PUT_10]
    out[BUTTERFLY_25] = 0.5 * (out[CALL_25] + out[PUT_25]) - atm
    out[BUTTERFLY_10] = 0.5 * (out[CALL_10] + out[PUT_10]) - atm


@part
def read_expiry(values: F64, row: int, t: float, out: F64) -> None:
    """Fill one expiry's reading: `out` is (READING_COLUMNS,)."""
    a, b, rho = values[row, SVI_A], values[row, SVI_B], values[row, SVI_RHO]
    m, s = values[row, SVI_M], values[row, SVI_S]
    for column in range(VOLS):
        k = 0.0
        if column == PUT_10:
            k = delta_strike(a, b, rho, m, s, N_TENTH)
        elif column == PUT_25:
            k = delta_strike(a, b, rho, m, s, N_QUARTER)
        elif column == CALL_25:
            k = delta_strike(a, b, rho, m, s, -N_QUARTER)
        elif column == CALL_10:
            k = delta_strike(a, b, rho, m, s, -N_TENTH)
        # The curve's floor is not asked for a NaN: max() might drop it.
        w = svi_variance(a, b, rho, m, s, k) if k == k else math.nan  # noqa: PLR0124
        out[column] = 100.0 * math.sqrt(w / t)
    spread_vols(out)
    out[READ_SKEWNESS] = values[row, SKEWNESS]
    out[READ_KURTOSIS] = values[row, KURTOSIS]


@part
def read_tenor(values: F64, years: F64, expiries: F64, tenor: float, out: F64) -> None:
    """Fill one tenor's reading from those of the expiries around it (rule 15).

    Args:
        values: (n, VALUE_COLUMNS).
        years: (n,) time to expiry, ascending; NaN not usable.
        expiries: (n, READING_COLUMNS) readings.
        tenor: Years, > 0.
        out: (READING_COLUMNS,); NaN what cannot be had.
    """
    for column in range(READING_COLUMNS):
        out[column] = math.nan
    near = far = -1
    for row in range(years.shape[0]):
        if years[row] <= tenor:
            near = row
        elif years[row] > tenor:
            far = row
            break
    if near < 0 and far < 0:
        return
    if near >= 0 and far >= 0:
        span = years[far] - years[near]
        p, q = (years[far] - tenor) / span, (tenor - years[near]) / span
    else:
        near = max(near, far)
        far = near
        ratio = years[near] / tenor
        if not NEAREST_LOW <= ratio <= NEAREST_HIGH:
            return
        p, q = 1.0 / ratio, 0.0
    for column in range(VOLS):
        v, u = expiries[near, column], expiries[far, column]
        w = p * v * v * years[near] + q * u * u * years[far]
        out[column] = math.sqrt(w / tenor)
    spread_vols(out)
    w_near, w_far = values[near, FULL_VARIANCE], values[far, FULL_VARIANCE]
    w = p * w_near + q * w_far
    if not (w_near > 0.0 and w_far > 0.0):
        return
    third = p * values[near, SKEWNESS] * w_near**1.5 + q * values[far, SKEWNESS] * w_far**1.5
    fourth = (
        p * (values[near, KURTOSIS] - 3.0) * w_near * w_near
        + q * (values[far, KURTOSIS] - 3.0) * w_far * w_far
    )
    out[READ_SKEWNESS] = third / w**1.5
    out[READ_KURTOSIS] = 3.0 + fourth / (w * w)


@kernel
def read_book(
    values: F64,
    facts: I64,
    plan: I64,
    tenors: F64,
    now_ns: int,
    weight: float,
    years: F64,
    expiries: F64,
    tenor: F64,
    sums: F64,
    weights: F64,
) -> int:
    """Read every usable expiry of a book, and add its constant tenors to those of other books.

    Args:
        values: (n, VALUE_COLUMNS) of NATIVE.
        facts: (n, FACT_COLUMNS) of NATIVE.
        plan: (n, PLAN_COLUMNS).
        tenors: (m,) years, > 0.
        now_ns: The instant.
        weight: Of the book, > 0.
        years: (n,) takes the time to expiry of the usable ones, NaN for the others.
        expiries: (n, READING_COLUMNS) takes the readings.
        tenor: (READING_COLUMNS,) scratch.
        sums: (m, READING_COLUMNS) weighted readings of the tenors, added to where there are any.
        weights: (m, READING_COLUMNS) the weights, added to likewise.

    Returns:
        How many expiries are usable.

    Source:
        METHODOLOGY, appendix, surface readings.
    """
    usable = 0
    for row in range(years.shape[0]):
        for column in range(READING_COLUMNS):
            expiries[row, column] = math.nan
        years[row] = math.nan
        if is_usable(values, facts, plan, row, now_ns):
            years[row] = (plan[row, EXPIRY_NS] - now_ns) / NANOS_PER_YEAR
            read_expiry(values, row, years[row], expiries[row])
            usable += 1
    for target in range(tenors.shape[0]):
        read_tenor(values, years, expiries, tenors[target], tenor)
        for column in range(READING_COLUMNS):
            if math.isfinite(tenor[column]):
                sums[target, column] += weight * tenor[column]
                weights[target, column] += weight
    return usable


def warm_up() -> None:
    """Call the kernel once with the types of production and nothing to read."""
    read_book(
        np.zeros((0, VALUE_COLUMNS)),
        np.zeros((0, FACT_COLUMNS), np.int64),
        np.zeros((0, PLAN_COLUMNS), np.int64),
        np.zeros(0),
        0,
        0.0,
        np.zeros(0),
        np.zeros((0, READING_COLUMNS)),
        np.zeros(READING_COLUMNS),
        np.zeros((0, READING_COLUMNS)),
        np.zeros((0, READING_COLUMNS)),
    )
