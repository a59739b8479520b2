"""Variance risk premium: what the index implies less what came true."""

from collections.abc import Iterable
from math import inf

from volgauge.analytics.closes import DailyCloses
from volgauge.domain.analytics import Lack, PremiumReading, RealizedReading
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MINUTE, VOL_POINTS

SPAN_DAYS = 30
"""Days that the index looks ahead, and that realised volatility looks back."""

FRESH_NS = NANOS_PER_MINUTE
"""An index that was not told of for so long has no value now; a service beats every second."""


class PremiumState:
    """The index of one asset now and 30 days ago, in points."""

    def __init__(self) -> None:
        self.refused = 0
        """Values that were no positive finite numbers."""
        self._value: float | None = None
        self._value_ns = -1
        self._lack = Lack.NO_INDEX
        self._closes = DailyCloses(SPAN_DAYS + 2)

    def observe(self, value_points: float | None, now_ns: int) -> None:
        """Take the index; None when it has no value of now (null, held or stale)."""
        if value_points is not None and not 0.0 < value_points < inf:
            self.refused += 1
            self._value, self._lack = None, Lack.BAD_NUMBER
            return
        self._value, self._lack = value_points, Lack.NO_INDEX
        if value_points is not None:
            self._value_ns = now_ns
            self._closes.add(value_points, now_ns)

    def seed(self, closes: Iterable[tuple[int, float]]) -> None:
        """Take past closes of the index: (any instant of the UTC day that it closes, points)."""
        self.refused += self._closes.seed(closes)

    def reading(
        self, realized: RealizedReading, now_ns: int
    ) -> tuple[PremiumReading, dict[str, Lack]]:
        """Read the premium in its three forms; all null while the index has no value.

        Ex post compares the close of the index 31 days ago, when the 30 closed days of
        `trailing_30d` began, with what came true in them.

        Source:
            Bollerslev, Tauchen and Zhou 2009 (trailing); Carr and Wu 2009 (ex post); Bekaert and
            Hoerova 2014 (ex ante by a HAR forecast).
        """
        lacks: dict[str, Lack] = {}
        value, lack = self._value, self._lack
        if value is not None and now_ns - self._value_ns > FRESH_NS:
            value = None
        past = self._closes.of_day(now_ns // NANOS_PER_DAY - SPAN_DAYS - 1)
        pairs = {
            "ex_ante": (value, realized.har),
            "trailing": (value, realized.trailing_30d),
            "ex_post": (past, realized.trailing_30d),
        }
        made: dict[str, float | None] = {}
        for form, (implied, came_true) in pairs.items():
            variance = points = None
            if value is not None and implied is not None and came_true is not None:
                points = implied - came_true
                variance = (implied**2 - came_true**2) / VOL_POINTS**2
            else:
                why = lack if value is None else Lack.TOO_LITTLE_HISTORY
                lacks[f"premium.{form}_variance"] = lacks[f"premium.{form}_points"] = why
            made[f"{form}_variance"], made[f"{form}_points"] = variance, points
        return PremiumReading(**made), lacks
