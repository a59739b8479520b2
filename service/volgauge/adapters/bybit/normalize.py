"""The only place that knows both vocabularies: Bybit's words in, ours out."""

import re
from datetime import UTC, datetime
from math import inf, nan

from volgauge.adapters import catalog
from volgauge.adapters.bybit.endpoints import (
    BAN_SECONDS,
    COMING_STATUS,
    LIVE_STATUS,
    MAX_NUMBER,
    RATE_LIMITED,
    TOO_FREQUENT,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.bybit.messages import InstrumentRow
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""Bybit's options are delivered at 08:00 UTC; asked only where no listing tells the instant."""
OLD_SETTLEMENT = "USDC"
"""Of options whose name ends with the right: `ETH-28FEB25-2800-C` ("Enums", symbol)."""
LEAST_IMPLIED_VOL = 1e-5
"""A volatility up to here stands for none."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(
    r"([A-Z0-9]{1,12})-(\d{1,2})([A-Z]{3})(\d{2})-(\d{1,12}(?:\.\d{1,12})?)-([CP])(?:-([A-Z]{3,5}))?",
    re.ASCII,
)
_KINDS = {"Call": OptionKind.CALL, "Put": OptionKind.PUT}


def read_row(row: InstrumentRow, now_ns: int) -> Instrument | str:
    """One row of the listing, or the reason why it is not for us.

    The name must say the same as the fields: from it alone comes the strike.
    """
    named = read_name(row.symbol)
    if named is None:
        return "bad_name"
    if row.status != LIVE_STATUS:
        return "coming" if row.status == COMING_STATUS else "inactive"
    is_same = (
        named.asset == row.base_coin
        and named.kind is _KINDS.get(row.options_type)
        and named.quote_currency == row.settle_coin
    )
    expiry_ns = row.delivery_time * NANOS_PER_MILLI
    # The instant is the field's; seconds for milliseconds and the like fall on another day.
    if not is_same or expiry_ns // NANOS_PER_DAY != named.expiry_ns // NANOS_PER_DAY:
        return "contradiction"
    if not row.price_filter.tick_size > 0.0:
        return "bad_row"
    if expiry_ns <= now_ns:
        return "expired"
    launched = row.launch_time
    return Instrument(
        venue=VENUE,
        name=row.symbol,
        asset=named.asset,
        expiry_ns=expiry_ns,
        strike=named.strike,
        kind=named.kind,
        premium=Premium.QUOTE,
        quote_currency=named.quote_currency,
        tick_size=row.price_filter.tick_size,
        listed_ns=None if launched is None else launched * NANOS_PER_MILLI,
    )


def read_name(name: str) -> Instrument | None:
    """A contract from its name alone, for recordings that hold no listing; None is none of ours.

    `BTC-25DEC26-67000-C-USDT` is paid in USDT, `SOL-28APR23-30-C` in USDC; strikes have a decimal
    point where they need one. The tick is not in the name: 0, so no tick rule binds.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    coin, day, month, year, strike, right, settlement = match.groups()
    if month not in _MONTHS or not float(strike) > 0.0:
        return None
    try:
        date = datetime(
            2000 + int(year), _MONTHS.index(month) + 1, int(day), EXPIRY_HOUR, tzinfo=UTC
        )
    except ValueError:
        return None
    return Instrument(
        venue=VENUE,
        name=name,
        asset=Asset(coin),
        expiry_ns=int(date.timestamp()) * NANOS_PER_SECOND,
        strike=float(strike),
        kind=OptionKind(right),
        premium=Premium.QUOTE,
        quote_currency=settlement or OLD_SETTLEMENT,
        tick_size=0.0,
    )


def read_side(price: float | None, size: float | None) -> tuple[float, float]:
    """One side of a top of book; null, 0 and absent, of price or size, are (NaN, NaN)."""
    if not price or not size:
        return nan, nan
    return price, size


def read_implied_vol(fraction: float | None) -> float:
    """An implied volatility as a fraction; NaN where the venue prints 0 for none."""
    return fraction if fraction is not None and fraction > LEAST_IMPLIED_VOL else nan


def read_text(text: str | float | None) -> float | None:
    """A number that did not fit the hot path: None when absent, NaN when it is none of ours."""
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        return nan
    return value if 0.0 <= value <= MAX_NUMBER else nan


def refused(code: int, message: str) -> VenueError:
    """What an error code of a REST answer means for us ("Error Codes")."""
    text = f"{code} {message}"
    if code in RATE_LIMITED:
        return RateLimited(VENUE, text)
    if code in UNAVAILABLE:
        return VenueUnavailable(VENUE, text)
    return CatalogError(VENUE, text)


def refused_by_status(status: int, body: bytes) -> VenueError:
    """What an HTTP status means for us ("Rate Limit")."""
    if status == 403 and TOO_FREQUENT in body.lower():
        return RateLimited(VENUE, "HTTP 403, access too frequent", BAN_SECONDS)
    return catalog.refused_by_status(VENUE, status)


def is_finite(value: float | None) -> bool:
    """A number that is there and makes sense."""
    return value is not None and 0.0 < value < inf
