"""Estimators of realised variance: arrays in, annualised variance (decimal) out.

Bars are (n, 4) float64: open, high, low, close, positive, low <= open, close <= high. The year has
365 days, for coins trade on all of them. Every function raises ValueError on input that is not as
its docstring says; none returns NaN.
"""

from math import log, pi

import numpy as np

from volgauge.analytics.bars import CLOSE, HIGH, LOW, OPEN
from volgauge.analytics.grid import F64
from volgauge.domain.units import DAYS_PER_YEAR

PARKINSON = 1.0 / (4.0 * log(2.0))
GARMAN_KLASS = 2.0 * log(2.0) - 1.0


def close_close(returns: F64, per_year: float = DAYS_PER_YEAR) -> float:
    """Sample variance of returns about their mean, times the returns in a year.

    Args:
        returns: (n >= 2,) float64, ln of the ratio of neighbouring closes, finite.
        per_year: Returns in a year.

    Source:
        The classical estimator; Yang and Zhang 2000, Journal of Business 73(3), section II.
    """
    _require_finite(returns, 2)
    return float(np.var(returns, ddof=1)) * per_year


def parkinson(bars: F64, per_year: float = DAYS_PER_YEAR) -> float:
    """1 / (4 ln 2) of the mean squared range ln(H / L); assumes no drift.

    Args:
        bars: (n >= 1, 4).
        per_year: Bars in a year.

    Source:
        Parkinson 1980, Journal of Business 53(1).
    """
    logs = _log_bars(bars)
    return PARKINSON * float(np.mean((logs[:, HIGH] - logs[:, LOW]) ** 2)) * per_year


def garman_klass(bars: F64, per_year: float = DAYS_PER_YEAR) -> float:
    """Mean of 0.5 ln(H/L)^2 - (2 ln 2 - 1) ln(C/O)^2; assumes no drift.

    Args:
        bars: (n >= 1, 4).
        per_year: Bars in a year.

    Source:
        Garman and Klass 1980, Journal of Business 53(1).
    """
    return float(np.mean(garman_klass_each(bars))) * per_year


def garman_klass_each(bars: F64) -> F64:
    """Variance of each bar by Garman and Klass, of one span, not annualised.

    Args:
        bars: (n >= 1, 4).

    Returns:
        (n,) float64, >= 0.
    """
    logs = _log_bars(bars)
    ranges = logs[:, HIGH] - logs[:, LOW]
    moves = logs[:, CLOSE] - logs[:, OPEN]
    each: F64 = 0.5 * ranges**2 - GARMAN_KLASS * moves**2
    return each


def rogers_satchell(bars: F64, per_year: float = DAYS_PER_YEAR) -> float:
    """Mean of ln(H/C) ln(H/O) + ln(L/C) ln(L/O); unbiased under any constant drift.

    Args:
        bars: (n >= 1, 4).
        per_year: Bars in a year.

    Source:
        Rogers and Satchell 1991, Annals of Applied Probability 1(4).
    """
    logs = _log_bars(bars)
    opened, high, low, close = logs.T
    each = (high - close) * (high - opened) + (low - close) * (low - opened)
    return float(np.mean(each)) * per_year


def yang_zhang(bars: F64, previous_close: F64, per_year: float = DAYS_PER_YEAR) -> float:
    """s_o^2 + k s_c^2 + (1 - k) RS with k = 0.34 / (1.34 + (n + 1) / (n - 1)).

    s_o^2 and s_c^2 are the sample variances of ln(O / previous C) and ln(C / O).

    Args:
        bars: (n >= 2, 4).
        previous_close: (n,) float64, the close of the span before each bar.
        per_year: Bars in a year.

    Source:
        Yang and Zhang 2000, Journal of Business 73(3).
    """
    logs = _log_bars(bars)
    n = len(bars)
    if previous_close.shape != (n,):
        raise ValueError(f"expected {n} previous closes, received {previous_close.shape}")
    jumps = logs[:, OPEN] - _log_prices(previous_close, 2)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    within = close_close(logs[:, CLOSE] - logs[:, OPEN], per_year)
    across = close_close(jumps, per_year)
    return across + k * within + (1.0 - k) * rogers_satchell(bars, per_year)


def realized_variance(log_price: F64, step: int, per_year: float) -> float:
    """Mean squared return over `step` rows, at all `step` offsets together, annualised.

    This is the subsampled realised variance: the mean over the grids that begin at rows 0 ..
    step - 1, each weighted by its number of returns. A stretch without prices takes no part: the
    mean is over the time that is covered.

    Args:
        log_price: (m > step,) float64, ln of the price at equal times; NaN in a gap, over which no
            return is taken.
        step: Rows in a return, >= 1.
        per_year: Returns of that length in a year.

    Source:
        Andersen and Bollerslev 1998; subsampling: Zhang, Mykland and Ait-Sahalia 2005, Journal of
            the American Statistical Association 100(472).
    """
    returns = _returns(log_price, step)
    seen = returns[~np.isnan(returns)]
    _require_finite(seen, 1)
    return float(np.mean(seen**2)) * per_year


def bipower(log_price: F64, step: int, per_year: float) -> float:
    """pi/2 of the mean product of neighbouring absolute returns: variance without the jumps.

    Args:
        log_price: (m > 2 step,) float64 as for `realized_variance`, with the same subsampling.
        step: Rows in a return, >= 1.
        per_year: Returns of that length in a year.

    Source:
        Barndorff-Nielsen and Shephard 2004, Journal of Financial Econometrics 2(1); the mean over
        n - 1 products is their correction n / (n - 1).
    """
    sizes = np.abs(_returns(log_price, step))
    products = sizes[step:] * sizes[:-step]
    seen = products[~np.isnan(products)]
    _require_finite(seen, 1)
    return 0.5 * pi * float(np.mean(seen)) * per_year


def jump_share(variance: float, continuous: float) -> float:
    """max(RV - BV, 0) / RV, in 0..1.

    Args:
        variance: Realised variance, > 0.
        continuous: Bipower variation, >= 0, in the same unit.

    Source:
        as a share: Huang and Tauchen 2005, Journal of
            Financial Econometrics 3(4).
    """
    if not variance > 0.0 or not continuous >= 0.0:
        raise ValueError(f"expected variances, received {variance} and {continuous}")
    return max(variance - continuous, 0.0) / variance


def ewma(values: F64, decay: float) -> float:
    """Exponentially weighted mean: sum decay^age x / sum decay^age.

    Args:
        values: (n >= 1,) float64, oldest first, equally spaced; NaN is a gap, which weighs nothing
            but ages what came before. At least one is finite.
        decay: Weight of a value against the one after it, in (0, 1).

    Source:
        RiskMetrics Technical Document 1996, over a finite past.
    """
    seen = ~np.isnan(values)
    _require_finite(values[seen], 1)
    weights = decay ** np.arange(len(values) - 1, -1, -1, dtype=np.float64)[seen]
    return float(np.sum(weights * values[seen]) / np.sum(weights))


def _returns(log_price: F64, step: int) -> F64:
    if step < 1:
        raise ValueError(f"expected a step of at least 1 row, received {step}")
    if np.isinf(log_price).any():
        raise ValueError("expected logarithms of positive finite prices, received an infinity")
    made: F64 = log_price[step:] - log_price[:-step]
    return made


def _log_bars(bars: F64) -> F64:
    if bars.ndim != 2 or bars.shape[1] != 4 or not len(bars):
        raise ValueError(f"expected bars (n >= 1, 4), received shape {bars.shape}")
    inner = bars[:, [OPEN, CLOSE]]
    low, high = bars[:, LOW], bars[:, HIGH]
    ordered = (low <= inner.min(axis=1)) & (inner.max(axis=1) <= high)
    if not np.all(ordered):
        raise ValueError("expected low <= open, close <= high in every bar")
    return _log_prices(bars, 1)


def _log_prices(prices: F64, least: int) -> F64:
    if len(prices) < least or not np.all((prices > 0.0) & np.isfinite(prices)):
        raise ValueError(f"expected at least {least} positive finite prices")
    logs: F64 = np.log(prices)
    return logs


def _require_finite(values: F64, least: int) -> None:
    if len(values) < least or not np.all(np.isfinite(values)):
        raise ValueError(f"expected at least {least} finite values, received {len(values)}")
