"""Volatility that came true, of the price of one underlying: live prices in, readings out.

Three resolutions are kept: seconds of the last hour, minutes of the last three days, and days.
What belongs to closed days is computed once a day, what belongs to closed minutes once a minute.
"""

from collections.abc import Sequence
from math import inf, log, nan, sqrt
from typing import NamedTuple

import numpy as np

from volgauge.analytics import estimators
from volgauge.analytics.bars import CLOSE, Bar, Bars
from volgauge.analytics.daily import (
    HISTORY_DAYS,
    MINUTES_PER_DAY,
    STEP_MINUTES,
    STEPS_PER_YEAR,
    DailyHistory,
    DailyVariances,
    coverage,
)
from volgauge.analytics.grid import F64
from volgauge.analytics.price import FRESH_NS
from volgauge.domain.analytics import Lack, RealizedReading
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
    VOL_POINTS,
)

STEP_NS = STEP_MINUTES * NANOS_PER_MINUTE
MIN_COVERAGE = 0.5
"""Share of the last 24 hours' 5-minute spans, or of the last hour's seconds, that has a price."""

SECONDS = 3600
CARRY_SECONDS = FRESH_NS // NANOS_PER_SECOND
"""A price stands until the next one for as long as it is fresh; then there is a gap."""

JUMP_DEVIATIONS = 4.0
"""A 5-minute return is a jump beyond this many standard deviations by bipower variation."""

_LIVE = {"five_minute": STEP_NS, "bipower": STEP_NS, "jump_share": STEP_NS, "one_second": FRESH_NS}
"""Readings that need a price of now, and how old it may be."""


class Jump(NamedTuple):
    """A return that the continuous part of the price does not explain."""

    ended_ns: int
    """End of its five minutes, a multiple of five minutes UTC."""
    size: float
    """Return, ln."""


class _Minutes(NamedTuple):
    """Annualised variances of the last 24 hours of closed minutes, and the share of the jumps."""

    five_minute: float | None = None
    bipower: float | None = None
    jump_share: float | None = None
    share_of_today: float = 0.0


class RealizedState:
    """What the price of one underlying did."""

    def __init__(self) -> None:
        self.refused = 0
        """Prices and bars that were no positive finite numbers."""
        self._price_ns = -1
        self._is_bad = False
        """The newest price told was refused."""
        self._seconds = Bars(NANOS_PER_SECOND, SECONDS + CARRY_SECONDS + 2)
        self._minutes = Bars(NANOS_PER_MINUTE, 3 * MINUTES_PER_DAY + 1)
        self._history = DailyHistory()
        self._today = -1
        self._by_day: DailyVariances | None = None
        self._minute = -1
        self._by_minute = _Minutes()

    def price(self, price: float, at_ns: int) -> None:
        """Take a price of the underlying; one that is no positive finite number is refused.

        Args:
            price: Quote currency.
            at_ns: When it stood; earlier than the price before, it is ignored.
        """
        if not 0.0 < price < inf:
            self.refused += 1
            self._is_bad = True
            return
        if at_ns < self._price_ns:
            return
        self._is_bad = False
        self._price_ns = at_ns
        if at_ns // NANOS_PER_DAY > self._today:
            self._begin_day(at_ns // NANOS_PER_DAY)
        self._seconds.add(price, at_ns)
        self._minutes.add(price, at_ns)

    def seed(self, daily: Sequence[Bar], minutes: Sequence[Bar]) -> None:
        """Take history. Live prices, and days known by their minutes, are not overwritten.

        Args:
            daily: Bars of UTC days. A day that is not over when the next price or reading comes
                is left out.
            minutes: Bars of UTC minutes, any number of them.
        """
        sound = [bar for bar in minutes if bar.is_sound()]
        self.refused += len(minutes) - len(sound) + sum(not bar.is_sound() for bar in daily)
        self._history.seed(daily)
        self._minutes.seed(sound)
        if sound:
            self._fold_seeds(sound)
        self._today = self._minute = -1

    def reading(self, now_ns: int) -> tuple[RealizedReading, dict[str, Lack]]:
        """Read everything; what is null is told why under `realized.` and its name.

        Readings of days stand on closed UTC days. Those of the last 24 hours need a price of the
        last five minutes, that of the last hour one of the last ten seconds.
        """
        days = self._advance(now_ns)
        minutes = self._by_minute
        is_recent = self._is_within(now_ns, STEP_NS)
        reading = RealizedReading(
            close_close=_points(days.close_close),
            parkinson=_points(days.parkinson),
            garman_klass=_points(days.garman_klass),
            rogers_satchell=_points(days.rogers_satchell),
            yang_zhang=_points(days.yang_zhang),
            five_minute=_points(minutes.five_minute) if is_recent else None,
            bipower=_points(minutes.bipower) if is_recent else None,
            jump_share=minutes.jump_share if is_recent else None,
            one_second=_points(self._last_hour(now_ns)),
            ewma=_points(days.ewma),
            har=_points(days.har),
            trailing_30d=_points(days.trailing_30d),
            days=days.days + minutes.share_of_today,
        )
        return reading, self._lacks(reading, now_ns)

    def jump(self, now_ns: int) -> float | None:
        """Give the newest 5-minute return when it is a jump, else None; as `latest_jump`."""
        found = self.latest_jump(now_ns)
        return None if found is None else found.size

    def latest_jump(self, now_ns: int) -> Jump | None:
        """Give the newest 5-minute return when it is a jump; the same one for five minutes.

        It is one when |r| > 4 sigma, with sigma^2 the bipower variation of five minutes over the
        last 24 hours. None also when that is not known, or the price stood still for all of them.

        Source:
            Lee and Mykland 2008, Review of Financial Studies 21(6), with a fixed threshold.
        """
        self._advance(now_ns)
        variance = self._by_minute.bipower
        if not variance:
            return None
        ended_ns = now_ns - now_ns % STEP_NS
        closes = self._minutes.closed(ended_ns, 2 * STEP_MINUTES)[:, CLOSE]
        before, after = _last(closes[:STEP_MINUTES]), _last(closes[STEP_MINUTES:])
        size = log(after / before)
        is_jump = abs(size) > JUMP_DEVIATIONS * sqrt(variance / STEPS_PER_YEAR)
        return Jump(ended_ns, size) if is_jump else None

    def _is_within(self, now_ns: int, span_ns: int) -> bool:
        return self._price_ns >= 0 and now_ns - self._price_ns <= span_ns

    def _lacks(self, reading: RealizedReading, now_ns: int) -> dict[str, Lack]:
        lacks: dict[str, Lack] = {}
        for name in RealizedReading.__struct_fields__:
            if getattr(reading, name) is not None:
                continue
            lack = Lack.TOO_LITTLE_HISTORY
            if name in _LIVE and not self._is_within(now_ns, _LIVE[name]):
                lack = Lack.BAD_NUMBER if self._is_bad else Lack.NO_INDEX_PRICE
            elif name == "jump_share" and reading.five_minute is not None:
                lack = Lack.NO_VARIATION
            lacks[f"realized.{name}"] = lack
        return lacks

    def _advance(self, now_ns: int) -> DailyVariances:
        """Compute what has closed since the last call."""
        today, minute = now_ns // NANOS_PER_DAY, now_ns // NANOS_PER_MINUTE
        if today > self._today:
            self._begin_day(today)
        if self._by_day is None:
            self._by_day = self._history.read(self._today)
        if minute != self._minute:
            self._minute = minute
            self._by_minute = self._read_minutes(minute * NANOS_PER_MINUTE)
        return self._by_day

    def _begin_day(self, today: int) -> None:
        self._today = today
        self._by_day = None
        self._history.begin_day(today)
        for day in (today - 2, today - 1):
            self._history.fold(day, self._minutes)

    def _fold_seeds(self, minutes: Sequence[Bar]) -> None:
        """Fold the days of history, which are more than the minutes that are kept."""
        last = max(bar.open_ns for bar in minutes) // NANOS_PER_DAY
        first = max(min(bar.open_ns for bar in minutes) // NANOS_PER_DAY, last - HISTORY_DAYS)
        kept = Bars(NANOS_PER_MINUTE, (last - first + 1) * MINUTES_PER_DAY)
        kept.seed(bar for bar in minutes if bar.open_ns >= first * NANOS_PER_DAY)
        for day in range(first, last):
            self._history.fold(day, kept)

    def _read_minutes(self, now_ns: int) -> _Minutes:
        closes = self._minutes.closed(now_ns, MINUTES_PER_DAY + 1)[:, CLOSE]
        minutes_of_today = now_ns % NANOS_PER_DAY // NANOS_PER_MINUTE
        today = closes[len(closes) - minutes_of_today :]
        share = float(np.count_nonzero(~np.isnan(today))) / MINUTES_PER_DAY
        made = _Minutes(share_of_today=share)
        if coverage(closes[1:]) < MIN_COVERAGE:
            return made
        logs = np.log(closes)
        variance = estimators.realized_variance(logs, STEP_MINUTES, STEPS_PER_YEAR)
        continuous = estimators.bipower(logs, STEP_MINUTES, STEPS_PER_YEAR)
        return made._replace(
            five_minute=variance,
            bipower=continuous,
            jump_share=estimators.jump_share(variance, continuous) if variance > 0.0 else None,
        )

    def _last_hour(self, now_ns: int) -> float | None:
        """Variance of 1 s returns over the last hour of closed seconds."""
        if not self._is_within(now_ns, FRESH_NS):
            return None
        closes = self._seconds.closed(now_ns, SECONDS + CARRY_SECONDS + 1)[:, CLOSE]
        rows = np.arange(len(closes))
        newest = np.maximum.accumulate(np.where(np.isnan(closes), -1, rows))
        stands = (newest >= 0) & (rows - newest <= CARRY_SECONDS)
        logs = np.log(np.where(stands, closes[newest], nan))[CARRY_SECONDS:]
        if np.count_nonzero(~np.isnan(np.diff(logs))) < MIN_COVERAGE * SECONDS:
            return None
        return estimators.realized_variance(logs, 1, NANOS_PER_YEAR / NANOS_PER_SECOND)


def _points(variance: float | None) -> float | None:
    return None if variance is None else VOL_POINTS * sqrt(variance)


def _last(closes: F64) -> float:
    """Last close that is known; NaN when none is."""
    known = closes[~np.isnan(closes)]
    return float(known[-1]) if len(known) else nan
