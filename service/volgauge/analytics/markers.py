"""Times at which readings are known to behave differently."""

from collections.abc import Collection

from volgauge.domain.analytics import Markers
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE

ROLL_NS = 8 * NANOS_PER_HOUR
"""Options expire at 08:00 UTC at most venues."""
ROLL_REACH_NS = 30 * NANOS_PER_MINUTE
"""The venues settle on the mean index price of the half hour before; books refill after."""

_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_SATURDAY = 5


def markers(now_ns: int, expiries: Collection[int] = ()) -> Markers:
    """Tell what is special about an instant, by the UTC calendar.

    Args:
        now_ns: The instant.
        expiries: Of the options that count. What expires later today, or has expired before, does
            so at a time of day that theirs share; without any it is 08:00.
    """
    day, of_day_ns = divmod(now_ns, NANOS_PER_DAY)
    rolls = {expiry_ns % NANOS_PER_DAY for expiry_ns in expiries} or {ROLL_NS}
    return Markers(
        weekend=(day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY,
        roll=any(_apart(of_day_ns, roll_ns) <= ROLL_REACH_NS for roll_ns in rolls),
    )


def _apart(one_ns: int, other_ns: int) -> int:
    """Between two times of day, the shorter way around the clock."""
    apart_ns = abs(one_ns - other_ns)
    return min(apart_ns, NANOS_PER_DAY - apart_ns)
