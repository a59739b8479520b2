"""The daily fixings of METHODOLOGY §6, rule 21: 08:00 UTC and 16:00 in London.

A fixing is the mean of six five-minute medians of one-second values over the 30 minutes up to its
instant. Every interval needs valid values in half of its seconds; else there is no fixing, and the
record says so. The rules of British summer time are data of the system's time zone database.
"""

from datetime import UTC, datetime, time, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from msgspec import Struct

from volgauge.domain.index import Fixing, Reason
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

INTERVALS = 6
INTERVAL_NS = 5 * NANOS_PER_MINUTE
WINDOW_NS = INTERVALS * INTERVAL_NS
FEWEST_VALUES = INTERVAL_NS // NANOS_PER_SECOND // 2

_PLACES = {
    Fixing.UTC_0800: (time(8), "UTC"),
    Fixing.LONDON_1600: (time(16), "Europe/London"),
}


class Result(Struct, frozen=True):
    """What a window gave."""

    name: Fixing
    end_ns: int
    value: float | None
    medians: tuple[float | None, ...]
    n_values: int
    reason: Reason | None


def next_fixing(after_ns: int) -> tuple[int, Fixing]:
    """The first fixing instant later than an instant, and its name."""
    today = datetime.fromtimestamp(after_ns // NANOS_PER_SECOND, UTC).date()
    instants = []
    for name, (clock, zone) in _PLACES.items():
        for days in range(3):
            # London's date may differ from UTC's by one; three days hold the next one of each.
            moment = datetime.combine(
                today + timedelta(days=days - 1), clock, tzinfo=ZoneInfo(zone)
            )
            instant_ns = int(moment.timestamp()) * NANOS_PER_SECOND
            if instant_ns > after_ns:
                instants.append((instant_ns, name))
    return min(instants, key=lambda found: found[0])


class FixingWindow:
    """Collects one tenor's seconds for its next fixing."""

    __slots__ = ("_values", "end_ns", "name")

    def __init__(self, now_ns: int) -> None:
        self._open(now_ns)

    def add(self, end_ns: int, value: float) -> None:
        """Take the value of the second that ended at `end_ns`; outside the window it is nobody's.

        The second that ends at the fixing instant is the last of the window.
        """
        before_ns = self.end_ns - end_ns
        if 0 <= before_ns < WINDOW_NS:
            self._values[INTERVALS - 1 - before_ns // INTERVAL_NS].append(value)

    def close(self, now_ns: int) -> Result | None:
        """The result once the fixing instant has come; the next window is open then."""
        if now_ns < self.end_ns:
            return None
        medians = tuple(
            median(values) if len(values) >= FEWEST_VALUES else None for values in self._values
        )
        known = [level for level in medians if level is not None]
        is_whole = len(known) == INTERVALS
        result = Result(
            name=self.name,
            end_ns=self.end_ns,
            value=sum(known) / INTERVALS if is_whole else None,
            medians=medians,
            n_values=sum(map(len, self._values)),
            reason=None if is_whole else Reason.TOO_FEW_VALUES,
        )
        self._open(now_ns)
        return result

    def _open(self, now_ns: int) -> None:
        self.end_ns, self.name = next_fixing(now_ns)
        self._values: list[list[float]] = [[] for _ in range(INTERVALS)]
