"""In which band the index lies: fixed bounds in points, and percentiles of its own past.

    below 60 dried_up, quiet from 60, healthy from 80, mania from 110, extreme from 150 points
    below 10 very_low, low from 10, normal from 40, high from 75, very_high from 95 % of 365 d

A band farther from the middle one is entered at the bound itself; the way back needs
`band_hysteresis` points (or percentiles) more: mania is entered at 110 and left below 108, dried_up
is entered below 60 and left at 62. At a first value the bounds alone decide.

Source: METHODOLOGY appendix; the fixed bounds are the founding document's, for treasury stocks.
"""

from collections.abc import Sequence
from math import isfinite

from volgauge.domain.analytics import Lack, RegimeReading
from volgauge.settings import AnalyticsSettings

ABSOLUTE = ("dried_up", "quiet", "healthy", "mania", "extreme")
ADAPTIVE = ("very_low", "low", "normal", "high", "very_high")


class RegimeState:
    """Both bands of one asset. While a value is missing nothing changes and nothing is told."""

    def __init__(self, settings: AnalyticsSettings) -> None:
        self._absolute = _Bands(ABSOLUTE, settings.absolute_bands, settings.band_hysteresis)
        self._adaptive = _Bands(ADAPTIVE, settings.adaptive_bands, settings.band_hysteresis)

    def observe(
        self, value: float | None, percentile: float | None, now_ns: int
    ) -> tuple[RegimeReading, dict[str, Lack]]:
        """Take the index and its place in its past.

        Args:
            value: Points, > 0; None when the index has no value now.
            percentile: 0 to 100; None before there is enough history.
            now_ns: UTC; never before that of the call before.

        Returns:
            The bands with the instants since when they hold (a gap does not begin them anew), and
            for each band that is None the reason under `regime.absolute` or `regime.adaptive`.
        """
        lacks: dict[str, Lack] = {}
        is_number = value is not None and isfinite(value) and value > 0.0
        absent = Lack.NO_INDEX if value is None else Lack.BAD_NUMBER
        absolute: tuple[str, int] | tuple[None, None] = (None, None)
        if value is None or not is_number:
            lacks["regime.absolute"] = absent
        else:
            absolute = self._absolute.observe(value, now_ns)
        adaptive: tuple[str, int] | tuple[None, None] = (None, None)
        if not is_number:
            lacks["regime.adaptive"] = absent
        elif percentile is None:
            lacks["regime.adaptive"] = Lack.TOO_LITTLE_HISTORY
        elif not 0.0 <= percentile <= 100.0:
            lacks["regime.adaptive"] = Lack.BAD_NUMBER
        else:
            adaptive = self._adaptive.observe(percentile, now_ns)
        reading = RegimeReading(
            absolute=absolute[0],
            absolute_since_ns=absolute[1],
            adaptive=adaptive[0],
            adaptive_since_ns=adaptive[1],
        )
        return reading, lacks


class _Bands:
    """Named bands between ascending bounds, and in which one a value lies."""

    def __init__(self, names: Sequence[str], bounds: Sequence[float], hysteresis: float) -> None:
        self._names = names
        lower_count = len(bounds) // 2
        # Where a bound is crossed upwards and downwards; the lower half is outward downwards.
        self._upwards = [
            bound + (hysteresis if place < lower_count else 0.0)
            for place, bound in enumerate(bounds)
        ]
        self._downwards = [
            bound - (0.0 if place < lower_count else hysteresis)
            for place, bound in enumerate(bounds)
        ]
        self._bounds = bounds
        self._is_above: list[bool] | None = None
        self._since_ns = 0

    def observe(self, value: float, now_ns: int) -> tuple[str, int]:
        """The band of the value, and since when it holds."""
        before = self._is_above
        if before is None:
            after = [value >= bound for bound in self._bounds]
        else:
            after = [
                value >= (down if was_above else up)
                for was_above, down, up in zip(before, self._downwards, self._upwards, strict=True)
            ]
        if after != before:
            self._is_above, self._since_ns = after, now_ns
        # Bounds rise by more than the hysteresis, so those below the value come first.
        return self._names[sum(after)], self._since_ns
