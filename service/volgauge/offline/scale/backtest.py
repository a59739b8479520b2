"""What volatility scaling would have done to a history of prices, beside constant leverage.

The scaler is the one of the live service. What is decided at a price's time holds from then on: of
each bar the decision knows its begin, never its end. A bar longer than a step is walked through in
steps with what was known at its begin; its exposure is their mean. Live books are not part of a
history, so depth, flow and leverage do not throttle.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from volgauge.analytics.scaling import ScalingState
from volgauge.domain.analytics import FlowReading, LeverageReading
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
    VOL_POINTS,
    format_instant,
)
from volgauge.errors import InputError
from volgauge.offline.scale.series import AsOf, EwmaVolatility, Sample
from volgauge.settings import ScalingSettings

MOST_LOOKS = 96
"""Into one bar; several trades between two looks count as one."""
WINDOW_DAYS = 30.0
BASIS_POINT = 1e-4

NO_FLOW = FlowReading(imbalance=None, vega_flow=None, depth=None, depth_reference=None)
NO_LEVERAGE = LeverageReading(
    funding_rates={},
    funding_mean=None,
    funding_spread=None,
    open_interest=None,
    open_interest_ratio=None,
)


class Bar(Struct, frozen=True):
    """From one price to the next."""

    begin_ns: int
    span_ns: int
    change: float
    """Simple return."""
    exposure: float
    """Mean over the bar, decided at its begin."""
    turnover: float
    """Sum of |change of exposure|."""
    trades: int


class Path(Struct, frozen=True, kw_only=True):
    """How a position went, after costs; volatilities in points."""

    mean_exposure: float
    realized: float
    """Root of the summed squared returns over the time, about zero, a 365-day year."""
    ratio: float
    """To the target."""
    tracking_error: float | None
    """Mean distance from the target over consecutive 30-day windows; None without a whole one."""
    max_drawdown: float
    """Largest loss from a peak, a share of it."""
    growth: float
    """Capital at the end over that at the begin."""


class BacktestReport(Struct, frozen=True, kw_only=True):
    """What `volgauge scale --history` prints."""

    target: float
    reason: str | None
    """Why there are no figures; None when there are."""
    begin: str | None = None
    """After the warm-up."""
    end: str | None = None
    bars: int = 0
    scaled: Path | None = None
    constant: Path | None = None
    """At the scaled path's mean exposure."""
    underlying: Path | None = None
    """At exposure 1."""
    largest_exposure: float | None = None
    smallest_exposure: float | None = None
    trades: int = 0
    turnover: float = 0.0
    """Multiples of capital traded."""
    turnover_per_year: float = 0.0
    cost: float = 0.0
    """Shares of capital paid, summed."""
    missing: dict[str, int] = {}
    """In how many bars a part of the scaler's reading was missing, and why (`part: reason`)."""


def backtest(
    prices: Sequence[Sample],
    index: Sequence[Sample],
    settings: ScalingSettings,
    *,
    cost_bps: float = 0.0,
    warm_up_days: float = 60.0,
) -> BacktestReport:
    """Run the scaler over a history.

    Args:
        prices: At least two, times ascending.
        index: Volatility points; empty for none, then realised volatility alone is used.
        settings: Of the scaler.
        cost_bps: Basis points of what is traded.
        warm_up_days: From the first price on, left out of every figure.

    Raises:
        InputError: `cost_bps` or `warm_up_days` is negative.
    """
    for name, number in (("cost-bps", cost_bps), ("warm-up-days", warm_up_days)):
        if not 0.0 <= number < float("inf"):
            raise InputError(f"--{name}: expected a number not below zero, received {number!r}")
    missing: Counter[str] = Counter()
    first_ns = prices[0].at_ns + round(warm_up_days * NANOS_PER_DAY)
    bars = [bar for bar in _bars(prices, index, settings, missing) if bar.begin_ns >= first_ns]
    report = BacktestReport(target=settings.target_points, reason=None, missing=dict(missing))
    if not bars:
        return replace(report, reason="no exposure was known after the warm-up")
    target = settings.target_points
    span_ns = sum(bar.span_ns for bar in bars)
    mean = sum(bar.exposure * bar.span_ns for bar in bars) / span_ns
    rate = cost_bps * BASIS_POINT
    turnover = sum(bar.turnover for bar in bars)
    scaled = [bar.exposure * bar.change - rate * bar.turnover for bar in bars]
    return replace(
        report,
        begin=format_instant(bars[0].begin_ns),
        end=format_instant(bars[-1].begin_ns + bars[-1].span_ns),
        bars=len(bars),
        scaled=_path(bars, scaled, mean, target),
        constant=_path(bars, [mean * bar.change for bar in bars], mean, target),
        underlying=_path(bars, [bar.change for bar in bars], 1.0, target),
        largest_exposure=max(bar.exposure for bar in bars),
        smallest_exposure=min(bar.exposure for bar in bars),
        trades=sum(bar.trades for bar in bars),
        turnover=turnover,
        turnover_per_year=turnover * NANOS_PER_YEAR / span_ns,
        cost=rate * turnover,
    )


def to_json(report: BacktestReport) -> bytes:
    """One JSON object."""
    return msgspec.json.encode(report)


def _bars(
    prices: Sequence[Sample],
    index: Sequence[Sample],
    settings: ScalingSettings,
    missing: Counter[str],
) -> list[Bar]:
    """Every bar at whose begin there was an exposure, or had been one."""
    state, known, ewma = ScalingState(settings), AsOf(index), EwmaVolatility()
    step_ns = max(1, round(settings.step_seconds * NANOS_PER_SECOND))
    held: float | None = None
    bars = []
    for now, after in pairwise(prices):
        ewma.add(now)
        value, realized = known.at(now.at_ns), ewma.points
        span_ns = after.at_ns - now.at_ns
        looks = min(MOST_LOOKS, -(-span_ns // step_ns))
        exposures: list[float] = []
        lacks: dict[str, str] = {}
        turnover, trades = 0.0, 0
        for look in range(looks):
            at_ns = now.at_ns + span_ns * look // looks
            reading, why = state.observe(value, realized, NO_FLOW, NO_LEVERAGE, at_ns)
            lacks = {name: lack.value for name, lack in why.items()}
            if reading.exposure is not None:
                if held is not None and reading.exposure != held:
                    turnover += abs(reading.exposure - held)
                    trades += 1
                held = reading.exposure
            if held is not None:
                exposures.append(held)
        missing.update(f"{name}: {lack}" for name, lack in lacks.items())
        if exposures:
            mean = sum(exposures) / len(exposures)
            change = after.number / now.number - 1.0
            bars.append(Bar(now.at_ns, span_ns, change, mean, turnover, trades))
    return bars


def _path(bars: Sequence[Bar], returns: Sequence[float], exposure: float, target: float) -> Path:
    span_ns = sum(bar.span_ns for bar in bars)
    realized = _realized(returns, span_ns)
    capital = peak = 1.0
    drawdown = 0.0
    for change in returns:
        # Who has lost everything has nothing left to lose.
        capital *= max(0.0, 1.0 + change)
        peak = max(peak, capital)
        drawdown = max(drawdown, 1.0 - capital / peak)
    return Path(
        mean_exposure=exposure,
        realized=realized,
        ratio=realized / target,
        tracking_error=_tracking_error(bars, returns, target),
        max_drawdown=drawdown,
        growth=capital,
    )


def _tracking_error(bars: Sequence[Bar], returns: Sequence[float], target: float) -> float | None:
    distances, window, span_ns = [], list[float](), 0
    for bar, change in zip(bars, returns, strict=True):
        window.append(change)
        span_ns += bar.span_ns
        if span_ns >= WINDOW_DAYS * NANOS_PER_DAY:
            distances.append(abs(_realized(window, span_ns) - target))
            window, span_ns = [], 0
    return sum(distances) / len(distances) if distances else None


def _realized(returns: Sequence[float], span_ns: int) -> float:
    return VOL_POINTS * sqrt(sum(x * x for x in returns) * NANOS_PER_YEAR / span_ns)
