"""The index against its own past: volatility of volatility, rank and percentile."""

from collections.abc import Iterable
from math import inf, log, nan, sqrt

import numpy as np

from volgauge.analytics.closes import DailyCloses
from volgauge.analytics.grid import F64
from volgauge.domain.analytics import Lack, LevelReading
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
    VOL_POINTS,
)

SECONDS_PER_MINUTE = 60
WINDOW_DAYS = 365
MIN_DAYS = 30
"""A rank among fewer closes says little: its step would be more than 3 %."""

SHORT_SECONDS = 60
LONG_SECONDS = 300
"""Lengths of two kinds of changes of ln(index). Each quote carries an error of its own, so the
index does too: 0.1 % of the index in the simulated market, forgotten after some 15 s. An error of
deviation e adds 2 e^2 to the square of a change of either length, and nothing to the difference."""
HALF_LIFE_SECONDS = 86_400
MIN_WEIGHT = 10_800.0
"""Long changes, by their weight, before vol of vol is told: three hours, in which are 36 that do
not overlap, for a standard error of about an eighth."""
CARRY_SECONDS = 10
"""A value stands until the next one for so long; then there is a gap."""
FRESH_NS = NANOS_PER_MINUTE
"""An index that was not told of for so long has no value now."""

_SECONDS_PER_YEAR = NANOS_PER_YEAR / NANOS_PER_SECOND


class ChangeVariance:
    """EWMA of the squared change over `step` samples, one new overlapping change a sample.

    v = sum 2^{-age / H} (x_t - x_{t - step})^2 / sum 2^{-age / H}; about zero, for the mean change
    of a minute is far below its deviation. All `step` offsets take part, as in a subsampled
    realised variance. No change is taken over a gap, and time in a gap ages all the same.
    """

    __slots__ = ("_decay", "_indices", "_last", "_newest", "_ring", "_step", "_sum", "weight")

    def __init__(self, step: int, half_life: float) -> None:
        self.weight = 0.0
        """Sum of the weights: changes seen, the older the less."""
        self._step = step
        self._decay = 2.0 ** (-1.0 / half_life)
        self._ring = [nan] * step
        self._indices = [-step - 1] * step
        self._sum = 0.0
        self._last = -1
        """Index of the newest change."""
        self._newest = -1
        """Index of the newest sample."""

    def add(self, index: int, sample: float, weight: float = 1.0) -> None:
        """Take a finite sample by its index, in samples; one that is not newer is ignored."""
        if index <= self._newest:
            return
        self._newest = index
        slot = index % self._step
        if self._indices[slot] == index - self._step:
            fade = self._decay ** (index - self._last) if self._last >= 0 else 0.0
            self._sum = self._sum * fade + weight * (sample - self._ring[slot]) ** 2
            self.weight = self.weight * fade + weight
            self._last = index
        self._ring[slot] = sample
        self._indices[slot] = index

    @property
    def variance(self) -> float | None:
        """Variance of one change; None before the first."""
        return self._sum / self.weight if self.weight > 0.0 else None


class LevelState:
    """The index of one asset, second by second and day by day, in points."""

    def __init__(self) -> None:
        self.refused = 0
        """Values that were no positive finite numbers."""
        self._value: float | None = None
        self._value_ns = -1
        self._lack = Lack.NO_INDEX
        self._second = -1
        """The newest second told of; those before it are sampled."""
        self._short = ChangeVariance(SHORT_SECONDS, HALF_LIFE_SECONDS)
        self._long = ChangeVariance(LONG_SECONDS, HALF_LIFE_SECONDS)
        self._closes = DailyCloses(WINDOW_DAYS + 1)
        self._past: F64 = np.empty(0)
        """Closes of the window, ascending."""
        self._past_key = (-1, -1)

    def observe(self, value: float | None, now_ns: int) -> None:
        """Take the index; None when it has no value of now (null, held or stale).

        The last value of each second is its sample. An instant before the newest one is ignored.
        """
        if now_ns < self._value_ns:
            return
        second = now_ns // NANOS_PER_SECOND
        if second != self._second:
            self._sample_until(second)
            self._second = second
        self._value_ns = now_ns
        if value is None:
            self._value, self._lack = None, Lack.NO_INDEX
        elif 0.0 < value < inf:
            self._value, self._lack = value, Lack.NO_INDEX
            self._closes.add(value, now_ns)
        else:
            self.refused += 1
            self._value, self._lack = None, Lack.BAD_NUMBER

    def seed(
        self, closes: Iterable[tuple[int, float]], minutes: Iterable[tuple[int, float]] = ()
    ) -> None:
        """Take the past of the index.

        Args:
            closes: By day: (any instant of the UTC day that it closes, points).
            minutes: By minute, ascending: (any instant of the minute that it closes, points). They
                count for vol of vol, each for the 60 seconds of its minute, when nothing was
                observed or seeded by minute before.
        """
        self.refused += self._closes.seed(closes)
        is_first = self._second < 0 and not self._short.weight
        for at_ns, close in minutes:
            if not 0.0 < close < inf:
                self.refused += 1
            elif is_first:
                second = (at_ns // NANOS_PER_MINUTE + 1) * SECONDS_PER_MINUTE - 1
                self._short.add(second, log(close), weight=SECONDS_PER_MINUTE)
                self._long.add(second, log(close), weight=SECONDS_PER_MINUTE)

    def reading(self, now_ns: int) -> tuple[LevelReading, dict[str, Lack]]:
        """Read everything; what is null is told why under `level.` and its name.

        Vol of vol is null with NO_VARIATION when the index moves no more than its noise does.
        Rank and percentile are those of the value now among the closes of the 365 days before
        today; the range of the rank includes the value itself, so that it lies in 0..100.
        """
        past = self._sorted_past(now_ns)
        lacks: dict[str, Lack] = {}
        vol_of_vol = rank = percentile = None
        value = self._value if now_ns - self._value_ns <= FRESH_NS else None
        if value is None:
            for name in ("vol_of_vol", "rank", "percentile"):
                lacks[f"level.{name}"] = self._lack
        else:
            found = self._vol_of_vol()
            if isinstance(found, Lack):
                lacks["level.vol_of_vol"] = found
            else:
                vol_of_vol = found
            if len(past) < MIN_DAYS:
                lacks["level.rank"] = lacks["level.percentile"] = Lack.TOO_LITTLE_HISTORY
            else:
                percentile = _percentile(past, value)
                low, high = min(float(past[0]), value), max(float(past[-1]), value)
                if high > low:
                    rank = 100.0 * (value - low) / (high - low)
                else:
                    lacks["level.rank"] = Lack.NO_VARIATION
        reading = LevelReading(
            vol_of_vol=vol_of_vol, rank=rank, percentile=percentile, days=float(len(past))
        )
        return reading, lacks

    def percentile_of(self, value: float) -> float | None:
        """Share of the past closes below a value, percent; None before 30 of them are known.

        The past is that of the newest reading or, before the first, of the newest observation.
        """
        past = self._past if self._past_key[0] >= 0 else self._sorted_past(self._value_ns)
        return _percentile(past, value) if len(past) >= MIN_DAYS else None

    def _sample_until(self, second: int) -> None:
        """Sample the seconds that are over; the last value stands for a few that told nothing."""
        if self._value is None:
            return
        sample = log(self._value)
        last = min(second, self._second + CARRY_SECONDS + 1)
        for index in range(self._second, last):
            self._short.add(index, sample)
            self._long.add(index, sample)

    def _vol_of_vol(self) -> float | Lack:
        """Root of (v_300 - v_60) / 240 s a year: two scales, of which neither sees the noise.

        Source:
            Ait-Sahalia, Mykland and Zhang 2011, Journal of Econometrics 160(1): two scales under
            noise that depends on its past.
        """
        short, long = self._short.variance, self._long.variance
        if short is None or long is None or self._long.weight < MIN_WEIGHT:
            return Lack.TOO_LITTLE_HISTORY
        if long < short:
            return Lack.NO_VARIATION
        rate = (long - short) / (LONG_SECONDS - SHORT_SECONDS)
        return VOL_POINTS * sqrt(rate * _SECONDS_PER_YEAR)

    def _sorted_past(self, now_ns: int) -> F64:
        key = (now_ns // NANOS_PER_DAY, self._closes.changes)
        if key != self._past_key:
            self._past = np.sort(self._closes.before(now_ns, WINDOW_DAYS))
            self._past_key = key
        return self._past


def _percentile(past: F64, value: float) -> float:
    return 100.0 * float(np.searchsorted(past, value, side="left")) / len(past)
