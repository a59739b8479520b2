"""Volatility scaling: how large a position is whose volatility shall be the target.

    sigma = theta (IV - bias) + (1 - theta) RV                        points
    raw   = min(cap, target / sigma)
    d    += kappa (raw - d)                                           at every step
    want  = d x depth throttle x flow throttle x leverage throttle
    held  : stays while |want - held| <= buffer held, else want / (1 +- buffer), the near edge
    variance form  min(cap, c / (sigma / 100)^2)
    budget form    budget / (z sigma / 100 / sqrt(365))
    margin         sigma over its median of the window, within floor and cap

Steps lie at whole multiples of `step_seconds` since 1970 and see what was last observed then, so
the path of a position does not depend on how often it is asked for.
Sources: Harvey et al. 2018 (volatility targets); Moreira and Muir 2017 (variance form); METHODOLOGY
section 7 (damping, buffer, throttles).
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from math import isfinite, prod, sqrt

from msgspec import Struct

from volgauge.domain.analytics import FlowReading, Lack, LeverageReading, ScalingReading
from volgauge.domain.units import DAYS_PER_YEAR, NANOS_PER_HOUR, NANOS_PER_SECOND, VOL_POINTS
from volgauge.settings import ScalingSettings

SAMPLE_NS = NANOS_PER_HOUR
"""Between two samples of sigma for the margin's median."""
SAMPLES_PER_DAY = 24
FEWEST_SHARE = 0.25
"""Of the window that must be filled before there is a median."""


def blend_volatility(
    implied: float | None, realized: float | None, share: float, bias: float
) -> float | None:
    """Weigh the two: theta (IV - bias) + (1 - theta) RV; one missing, the other alone.

    Args:
        implied: Points; None missing.
        realized: Points; None missing.
        share: theta; a part of weight zero does not count.
        bias: Points.

    Returns:
        Points; None when nothing that counts is there, or nothing above zero is left.
    """
    total = weights = 0.0
    for value, weight in (
        (None if implied is None else implied - bias, share),
        (realized, 1.0 - share),
    ):
        if value is not None and value > 0.0 and weight > 0.0:
            total += weight * value
            weights += weight
    return total / weights if weights > 0.0 else None


def target_exposure(sigma: float, target: float, cap: float) -> float:
    """min(cap, target / sigma); sigma and target in the same unit."""
    return min(cap, target / sigma)


def variance_exposure(sigma: float, constant: float, cap: float) -> float:
    """min(cap, c / sigma^2); sigma in points, c for sigma as a decimal."""
    decimal = sigma / VOL_POINTS
    return min(cap, constant / (decimal * decimal))


def budget_size(sigma: float, budget: float, deviations: float) -> float:
    """Multiples of capital that lose `budget` of it on a day of `deviations`; sigma in points."""
    day = sigma / VOL_POINTS / sqrt(DAYS_PER_YEAR)
    return budget / (deviations * day)


def trade_to_edge(held: float, wanted: float, buffer: float) -> float:
    """The position after the no-trade rule.

    Args:
        held: >= 0.
        wanted: >= 0.
        buffer: b, 0..1.

    Returns:
        `held` while |wanted - held| <= b held; else the nearest position for which that is so.
    """
    if wanted > held * (1.0 + buffer):
        return wanted / (1.0 + buffer)
    if wanted < held * (1.0 - buffer):
        return wanted / (1.0 - buffer)
    return held


def depth_throttle(flow: FlowReading) -> float | None:
    """min(1, depth / its slow average); None without either."""
    depth, reference = flow.depth, flow.depth_reference
    if depth is None or reference is None or not (isfinite(depth) and isfinite(reference)):
        return None
    return min(1.0, max(0.0, depth) / reference) if reference > 0.0 else None


def flow_throttle(flow: FlowReading, sensitivity: float) -> float | None:
    """1 - s max(0, imbalance), within 0..1; None without an imbalance.

    Bids for options come before a higher volatility, which is against a position that is scaled by
    its inverse; offers are not taken for a reason to hold more.
    """
    if flow.imbalance is None or not isfinite(flow.imbalance):
        return None
    return max(0.0, 1.0 - sensitivity * min(1.0, max(0.0, flow.imbalance)))


def leverage_throttle(
    leverage: LeverageReading, funding_limit: float, interest_limit: float
) -> float | None:
    """min(1, limit / spread) x min(1, limit / ratio); a missing factor is 1, both missing None."""
    factors = [
        limit / max(number, limit)
        for number, limit in (
            (leverage.funding_spread, funding_limit),
            (leverage.open_interest_ratio, interest_limit),
        )
        if number is not None and isfinite(number)
    ]
    return prod(factors) if factors else None


def margin_multiplier(sigma: float, typical: float, floor: float, cap: float) -> float:
    """Relate to what is usual: sigma / typical, within floor..cap."""
    return min(cap, max(floor, sigma / typical))


class _Inputs(Struct, frozen=True):
    """What a step sees."""

    sigma: float | None
    raw: float | None
    throttle: float
    """Product of the throttles that there are."""


class ScalingState:
    """The scaled position of one asset, in multiples."""

    def __init__(self, settings: ScalingSettings) -> None:
        self._settings = settings
        self._step_ns = max(1, round(settings.step_seconds * NANOS_PER_SECOND))
        self._window = _Window(max(1, round(settings.margin_window_days * SAMPLES_PER_DAY)))
        self._inputs = _Inputs(None, None, 1.0)
        self._now_ns: int | None = None
        self._damped: float | None = None
        self._held = 0.0

    def seed(self, sigmas: Iterable[tuple[int, float]]) -> None:
        """Take sigma of the past for the margin's median, before the first observation.

        Args:
            sigmas: (instant in ns, points), ascending; each holds until the next, a day at most.
                What is no positive number is left out.
        """
        before: tuple[int, float] | None = None
        for instant_ns, sigma in sigmas:
            if not _is_positive(sigma):
                continue
            if before is not None:
                hours = _marks(before[0], instant_ns, SAMPLE_NS)
                self._sample(before[1], min(hours, SAMPLES_PER_DAY))
            before = (instant_ns, sigma)

    def observe(
        self,
        value: float | None,
        realized_ewma: float | None,
        flow: FlowReading,
        leverage: LeverageReading,
        now_ns: int,
    ) -> tuple[ScalingReading, dict[str, Lack]]:
        """Move on to `now_ns` with what was known before, then take what is known now.

        Args:
            value: The index, points; None while it has none.
            realized_ewma: Realised EWMA volatility, points; None while it has none.
            flow: Of the live books.
            leverage: Of the perpetuals.
            now_ns: The instant; one before the last moves nothing.

        Returns:
            The reading, and why parts of it are None. Of implied and realised volatility one may
            be missing: `scaling.sigma.implied` or `.realized` then says so, and sigma is the other
            alone. A missing throttle does not throttle, and is named too. Without sigma there is no
            exposure; the position that was held is held on, and is where the next step starts.
        """
        settings = self._settings
        missing: dict[str, Lack] = {}
        implied = _checked(value, "implied", settings.implied_share, Lack.NO_INDEX, missing)
        realized = _checked(
            realized_ewma, "realized", 1.0 - settings.implied_share,
            Lack.TOO_LITTLE_HISTORY, missing,
        )  # fmt: skip
        bias = settings.implied_bias_points
        if implied is not None and not implied - bias > 0.0:
            implied = None
            missing["scaling.sigma.implied"] = Lack.BAD_NUMBER
        sigma = blend_volatility(implied, realized, settings.implied_share, bias)
        raw = None
        if sigma is not None:
            raw = target_exposure(sigma, settings.target_points, settings.max_exposure)
        depth, pressure, crowd = self._throttles(flow, leverage, missing)
        throttle = 1.0
        for factor in (depth, pressure, crowd):
            throttle *= 1.0 if factor is None else factor
        self._advance(_Inputs(sigma, raw, throttle), now_ns)
        typical = self._window.median
        if sigma is None:
            lack = next(iter(missing.values()), Lack.NO_INDEX)
            for name in (
                "sigma", "raw_exposure", "exposure", "variance_exposure", "budget_size",
                "margin_multiplier",
            ):  # fmt: skip
                missing[f"scaling.{name}"] = lack
        elif typical is None:
            missing["scaling.margin_multiplier"] = Lack.TOO_LITTLE_HISTORY
        return ScalingReading(
            sigma=sigma,
            target=settings.target_points,
            raw_exposure=raw,
            exposure=None if sigma is None else self._held,
            variance_exposure=None
            if sigma is None
            else variance_exposure(sigma, settings.variance_constant, settings.max_exposure),
            budget_size=None
            if sigma is None
            else budget_size(sigma, settings.risk_budget, settings.risk_deviations),
            depth_throttle=depth,
            flow_throttle=pressure,
            leverage_throttle=crowd,
            margin_multiplier=None
            if sigma is None or typical is None
            else margin_multiplier(sigma, typical, settings.margin_floor, settings.margin_cap),
        ), missing

    def _throttles(
        self, flow: FlowReading, leverage: LeverageReading, missing: dict[str, Lack]
    ) -> tuple[float | None, float | None, float | None]:
        settings = self._settings
        depth = depth_throttle(flow)
        if depth is None:
            is_young = flow.depth is not None
            missing["scaling.depth_throttle"] = (
                Lack.TOO_LITTLE_HISTORY if is_young else Lack.NO_DEPTH
            )
        pressure = flow_throttle(flow, settings.flow_sensitivity)
        if pressure is None:
            missing["scaling.flow_throttle"] = Lack.NO_DEPTH
        crowd = leverage_throttle(leverage, settings.funding_limit, settings.interest_limit)
        name = "scaling.leverage_throttle"
        if crowd is None:
            missing[name] = Lack.NO_FUNDING
        elif leverage.funding_spread is None:
            missing[f"{name}.funding"] = Lack.NO_FUNDING
        elif leverage.open_interest_ratio is None:
            missing[f"{name}.open_interest"] = Lack.TOO_LITTLE_HISTORY
        return depth, pressure, crowd

    def _advance(self, inputs: _Inputs, now_ns: int) -> None:
        """Steps and samples before `now_ns` see the old inputs, those at it the new ones."""
        last_ns = self._now_ns
        if last_ns is not None and now_ns < last_ns:
            return
        if last_ns is not None:
            self._step(_marks(last_ns, now_ns - 1, self._step_ns))
            self._sample(self._inputs.sigma, _marks(last_ns, now_ns - 1, SAMPLE_NS))
        self._inputs = inputs
        self._now_ns = now_ns
        if self._damped is None and inputs.raw is not None:
            self._damped = inputs.raw
            self._held = inputs.raw * inputs.throttle
        elif now_ns % self._step_ns == 0 and now_ns != last_ns:
            self._step(1)
        if now_ns % SAMPLE_NS == 0 and now_ns != last_ns:
            self._sample(inputs.sigma, 1)

    def _step(self, count: int) -> None:
        raw = self._inputs.raw
        if raw is None or self._damped is None:
            return
        for _ in range(count):
            before = self._damped, self._held
            self._damped += self._settings.damping * (raw - self._damped)
            wanted = self._damped * self._inputs.throttle
            self._held = trade_to_edge(self._held, wanted, self._settings.buffer)
            if before == (self._damped, self._held):
                return

    def _sample(self, sigma: float | None, count: int) -> None:
        if sigma is not None:
            self._window.add(sigma, count)


class _Window:
    """The newest samples and their median."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def add(self, number: float, count: int) -> None:
        """Take the same sample several times."""
        for _ in range(min(count, self._size)):
            if len(self._newest) == self._size:
                del self._ordered[bisect_left(self._ordered, self._newest.popleft())]
            self._newest.append(number)
            insort(self._ordered, number)

    @property
    def median(self) -> float | None:
        """None before a quarter of the window is filled."""
        count = len(self._ordered)
        if count < FEWEST_SHARE * self._size:
            return None
        return 0.5 * (self._ordered[(count - 1) // 2] + self._ordered[count // 2])


def _marks(after_ns: int, until_ns: int, every_ns: int) -> int:
    """How many whole multiples of `every_ns` lie in (after, until]."""
    return until_ns // every_ns - after_ns // every_ns


def _is_positive(number: float | None) -> bool:
    return number is not None and isfinite(number) and number > 0.0


def _checked(
    number: float | None, name: str, weight: float, lack: Lack, missing: dict[str, Lack]
) -> float | None:
    """The volatility when it is one; else None, with the reason when it counts."""
    if _is_positive(number):
        return number
    if weight > 0.0:
        missing[f"scaling.sigma.{name}"] = lack if number is None else Lack.BAD_NUMBER
    return None
