"""Forecast of realised variance by the heterogeneous autoregression (HAR) on its own past."""

from math import ceil

import numpy as np

from volgauge.analytics.grid import F64

WEEK = 7
MONTH = 30
"""Days of the two slow means; coins trade on all of them (Corsi has 5 and 22 trading days)."""

MIN_ROWS = 60
"""Least rows of the regression. Targets of neighbouring rows overlap: 60 rows of 30-day means are
but two months of news, and fewer say nothing of four coefficients."""

MIN_SHARE = 2.0 / 3.0
"""A mean over days stands for all of them when at least this share of them is known."""


def har_forecast(variances: F64, horizon: int = MONTH) -> float | None:
    """Forecast the mean of the next `horizon` values.

    mean(V[t+1 .. t+h]) = c + b_d V[t] + b_w mean(V[t-6 .. t]) + b_m mean(V[t-29 .. t])

    The coefficients are ordinary least squares on all rows of the past whose target is known. A
    forecast beyond the targets seen is set to the nearest of them, so that it is never negative.

    Args:
        variances: (n,) float64 daily variances in any one unit, >= 0, oldest first, NaN for a day
            that is not known; the last is yesterday's.
        horizon: Days ahead, >= 1.

    Returns:
        The forecast in the unit of `variances`; None when the last row, or one of its means, is
        not known, or when the past has fewer than `MIN_ROWS` rows.

    Raises:
        ValueError: A variance is negative or infinite.

    Source:
        Corsi 2009, Journal of Financial Econometrics 7(2); the bounds: the "insanity
        filter" of Swanson and White 1997, as in Bollerslev, Patton and Quaedvlieg 2016.
    """
    known = variances[~np.isnan(variances)]
    if not np.all((known >= 0.0) & np.isfinite(known)):
        raise ValueError("expected variances that are finite and not negative")
    # The past begins with its first day: no mean reaches back before it.
    variances = variances[int(np.argmin(np.isnan(variances))) :] if len(known) else known
    n = len(variances)
    if n < MONTH + horizon:
        return None
    scale = float(np.mean(known))
    # Columns of size one: the answer then scales with the unit as exactly as division does.
    values = variances / scale if scale > 0.0 else variances
    inputs = np.column_stack(
        (
            np.ones(n - MONTH + 1),
            values[MONTH - 1 :],
            _means(values, WEEK)[MONTH - WEEK :],
            _means(values, MONTH),
        )
    )
    now = inputs[-1]
    targets = _means(values[MONTH:], horizon)
    inputs = inputs[: len(targets)]
    usable = ~np.isnan(inputs).any(axis=1) & ~np.isnan(targets)
    if np.isnan(now).any() or np.count_nonzero(usable) < MIN_ROWS:
        return None
    seen = targets[usable]
    coefficients = np.linalg.lstsq(inputs[usable], seen, rcond=None)[0]
    forecast = float(now @ coefficients)
    return min(max(forecast, float(seen.min())), float(seen.max())) * scale


def _means(values: F64, days: int) -> F64:
    """Mean over each run of days: (n - days + 1,); NaN where too few of them are known."""
    runs = np.lib.stride_tricks.sliding_window_view(values, days)
    known = ~np.isnan(runs)
    counts = known.sum(axis=1)
    sums = np.where(known, runs, 0.0).sum(axis=1)
    made: F64 = np.full(len(runs), np.nan)
    np.divide(sums, counts, out=made, where=counts >= ceil(days * MIN_SHARE))
    return made
