"""The only place that knows both vocabularies: Derive's words in, ours out.

A price of the venue is paid now: df x Black-76(f). Ours is as of the expiry, so that divided by
the forward it is the normalised premium: price / df. The venue prints df with three digits and
cuts the rest off: recorded rows with "0.999" have 0.9995 to 1 by their greeks, where r is
T x mark. So the middle of what it can be is taken, half a digit above what is printed.
"""

import re
from datetime import UTC, datetime
from math import nan

from volgauge.adapters.derive.endpoints import (
    INDEX_CURRENCY,
    MAX_NUMBER,
    MAX_SECONDS,
    RATE_LIMIT_SECONDS,
    RATE_LIMITED,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.derive.messages import Error, InstrumentRow, Pricing, Text
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""Options expire at 08:00 UTC; asked only where no listing tells the instant."""
QUOTE = "USDC"
"""What premia are paid in; asked only where no listing tells."""
OPTION = "option"
LEAST_IMPLIED_VOL = 1e-5
"""A volatility up to here stands for none."""
HALF_DIGIT = 0.0005
"""Of a discount factor as it is printed."""
LEAST_DISCOUNT, MOST_DISCOUNT = 0.5, 1.5
"""A factor outside is none."""
_NAME = re.compile(
    r"([A-Z0-9]{1,12})-([0-9]{8})-([0-9]{1,12}(?:[._][0-9]{1,12})?)-([CP])", re.ASCII
)


def read_row(row: InstrumentRow, now_ns: int) -> Instrument | str:  # noqa: PLR0911 - a table of reasons
    """One row of the listing, or the reason why it is not for us.

    The name must say the same as the fields. A contract is one coin, its premium is in USDC.
    """
    details = row.option_details
    if row.instrument_type != OPTION or details is None:
        return "kind"
    named = read_name(row.instrument_name)
    if named is None:
        return "bad_name"
    is_same = (
        details.index == f"{named.asset}-{INDEX_CURRENCY}"
        and row.base_currency in {None, named.asset}
        and named.kind.value == details.option_type
        and named.strike == details.strike
    )
    expiry_ns = details.expiry * NANOS_PER_SECOND
    # The instant is the field's; milliseconds for seconds and the like fall on another day.
    if not is_same or expiry_ns // NANOS_PER_DAY != named.expiry_ns // NANOS_PER_DAY:
        return "contradiction"
    if not row.tick_size > 0.0 or not row.quote_currency:
        return "bad_row"
    if expiry_ns <= now_ns:
        return "expired"
    listed_ns = read_seconds(row.scheduled_activation)
    if listed_ns is not None and listed_ns > now_ns:
        return "coming"
    ends_ns = read_seconds(row.scheduled_deactivation)
    if not row.is_active or (ends_ns is not None and ends_ns <= now_ns):
        return "inactive"
    return Instrument(
        venue=VENUE,
        name=row.instrument_name,
        asset=named.asset,
        expiry_ns=expiry_ns,
        strike=details.strike,
        kind=named.kind,
        premium=Premium.QUOTE,
        quote_currency=row.quote_currency,
        tick_size=row.tick_size,
        listed_ns=listed_ns,
    )


def read_name(name: str) -> Instrument | None:
    """An option from its name alone, for recordings that hold no listing; None is none of ours.

    `BTC-20260327-84000-P`. The tick is not in the name: 0, so no tick rule binds.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    asset, date, strike, right = match.groups()
    value = float(strike.replace("_", "."))
    if not value > 0.0:
        return None
    try:
        day = datetime(int(date[:4]), int(date[4:6]), int(date[6:]), EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        return None
    expiry_ns = int(day.timestamp()) * NANOS_PER_SECOND
    if not 0 < expiry_ns <= MAX_SECONDS * NANOS_PER_SECOND:
        return None
    return Instrument(
        venue=VENUE,
        name=name,
        asset=Asset(asset),
        expiry_ns=expiry_ns,
        strike=value,
        kind=OptionKind(right),
        premium=Premium.QUOTE,
        quote_currency=QUOTE,
        tick_size=0.0,
    )


def read_seconds(seconds: int) -> int | None:
    """An instant in nanoseconds; None for 0, for "never" and for what can be no seconds."""
    return seconds * NANOS_PER_SECOND if 0 < seconds <= MAX_SECONDS else None


def read_discount(pricing: Pricing | None) -> float:
    """The discount factor, half a digit above the printed one; NaN when there is none.

    1 and above is taken as it is.
    """
    if pricing is None:
        return nan
    discount = pricing.discount
    if not LEAST_DISCOUNT <= discount <= MOST_DISCOUNT:
        return nan
    return discount + HALF_DIGIT if discount < 1.0 else discount


def read_side(price: float, size: float, discount: float) -> tuple[float, float]:
    """Undiscounted price, and size, of one side of a top of book; "0" is an absent one."""
    if not price or not size:
        return nan, nan
    return price / discount, size


def read_implied_vol(fraction: float) -> float:
    """An implied volatility as a fraction; NaN where the venue prints 0 for none."""
    return fraction if fraction > LEAST_IMPLIED_VOL else nan


def read_text(text: Text) -> float:
    """A number that did not fit the hot path: 0 when absent, NaN when it is none of ours."""
    if text is None or text == "":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        return nan
    return value if 0.0 <= value <= MAX_NUMBER else nan


def to_error(error: Error) -> VenueError:
    """What an error of the venue means for us ("Error Codes")."""
    text = f"{error.code} {error.message}"[:300]
    if error.code in RATE_LIMITED:
        return RateLimited(VENUE, text, RATE_LIMIT_SECONDS)
    if error.code in UNAVAILABLE:
        return VenueUnavailable(VENUE, text)
    # Unless it is about channels, it says that we break the venue's protocol.
    return ProtocolViolation(VENUE, f"request refused, {text}")
