"""Times at which readings are known to behave differently."""

from volgauge.domain.analytics import Markers
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE

ROLL_NS = 8 * NANOS_PER_HOUR
"""All venues' options expire at 08:00 UTC."""
ROLL_REACH_NS = 30 * NANOS_PER_MINUTE
"""The venues settle on the mean index price of the half hour before; books refill after."""

_EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_SATURDAY = 5


def markers(now_ns: int) -> Markers:
    """Tell what is special about an instant, by the UTC calendar alone."""
    day, of_day_ns = divmod(now_ns, NANOS_PER_DAY)
    return Markers(
        weekend=(day + _EPOCH_WEEKDAY) % 7 >= _SATURDAY,
        roll=abs(of_day_ns - ROLL_NS) <= ROLL_REACH_NS,
    )
