"""Units of time, and instants as int nanoseconds since 1970-01-01 UTC."""

from datetime import UTC, datetime

NANOS_PER_MICRO = 1_000
NANOS_PER_MILLI = 1_000_000
NANOS_PER_SECOND = 1_000_000_000
NANOS_PER_MINUTE = 60 * NANOS_PER_SECOND
NANOS_PER_HOUR = 60 * NANOS_PER_MINUTE
NANOS_PER_DAY = 24 * NANOS_PER_HOUR
DAYS_PER_YEAR = 365
NANOS_PER_YEAR = DAYS_PER_YEAR * NANOS_PER_DAY
"""ACT/365 fixed, the venues' own convention (METHODOLOGY, notation)."""

VOL_POINTS = 100.0
"""One volatility (fraction, 0.65) is this many volatility points (65.0)."""


def years_between(start_ns: int, end_ns: int) -> float:
    """Years from one instant to another, ACT/365; negative when `end_ns` is earlier."""
    return (end_ns - start_ns) / NANOS_PER_YEAR


def format_instant(instant_ns: int) -> str:
    """ISO-8601 UTC with as many decimals as the instant needs, e.g. `2026-12-18T08:00:00Z`."""
    seconds, nanos = divmod(instant_ns, NANOS_PER_SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}Z" if nanos == 0 else f"{text}.{nanos:09d}".rstrip("0") + "Z"


def parse_instant(text: str) -> int:
    """Read ISO-8601 (UTC when no offset is given) or an epoch number of s, ms, us or ns.

    The unit of a bare number follows from its size; every unit is unambiguous for 2001..2286.

    Raises:
        ValueError: Neither form fits.
    """
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return _parse_iso(text)
    magnitude = abs(number)
    for limit, scale in (
        (1e11, NANOS_PER_SECOND),
        (1e14, NANOS_PER_MILLI),
        (1e17, NANOS_PER_MICRO),
        (1e20, 1),
    ):
        if magnitude < limit:
            whole = text.lstrip("+-").isdigit()
            return int(text) * scale if whole else round(number * scale)
    raise ValueError(f"expected an instant, received {text!r}")


def _parse_iso(text: str) -> int:
    head, dot, tail = text.partition(".")
    digits = ""
    if dot:
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        head += tail[len(digits) :]
        if not digits or len(digits) > 9:
            raise ValueError(f"expected an ISO-8601 instant, received {text!r}")
    try:
        moment = datetime.fromisoformat(head)
    except ValueError as error:
        raise ValueError(f"expected an ISO-8601 instant, received {text!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NANOS_PER_SECOND + int(digits.ljust(9, "0") or 0)
