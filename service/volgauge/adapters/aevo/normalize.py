"""The only place that knows both vocabularies: Aevo's words in, ours out.

A premium is in USDC for one coin and not discounted: on the documented top the venue's volatilities
are those of Black-76 with its forward, rate 0, ACT/365 to 08:00 UTC.
"""

import re
from datetime import UTC, datetime
from math import nan

from volgauge.adapters.aevo.endpoints import (
    DEFAULT_WAIT_SECONDS,
    LEAST_WAIT_SECONDS,
    MAX_NUMBER,
    MAX_STAMP,
    MOST_WAIT_SECONDS,
    RATE_LIMITED,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.aevo.messages import Level, MarketRow, Text
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""Options expire at 08:00 UTC (docs.aevo.xyz, ETH Options); asked only where no listing tells the
instant."""
QUOTE = "USDC"
"""What premia are paid in; asked only where no listing tells."""
OPTION = "OPTION"
LEAST_IMPLIED_VOL = 1e-5
"""A volatility up to here stands for none."""
LEAST_BASIS, MOST_BASIS = 0.5, 2.0
"""A forward outside these multiples of the index is none."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_RIGHTS = {"call": OptionKind.CALL, "put": OptionKind.PUT}
_NAME = re.compile(
    r"([A-Z0-9]{1,12})-([0-9]{1,2})([A-Z]{3})([0-9]{2})-([0-9]{1,12}(?:\.[0-9]{1,12})?)-([CP])",
    re.ASCII,
)


def read_row(row: MarketRow, now_ns: int) -> Instrument | str:  # noqa: PLR0911 - a table of reasons
    """One row of the listing, or the reason why it is not for us.

    The name must say the same as the fields. A contract is one coin.
    """
    if row.instrument_type != OPTION:
        return "kind"
    named = read_name(row.instrument_name)
    if named is None:
        return "bad_name"
    is_same = (
        row.underlying_asset == named.asset
        and _RIGHTS.get(row.option_type) is named.kind
        and row.strike == named.strike
    )
    # The instant is the field's; milliseconds for nanoseconds and the like fall on another day.
    if not is_same or row.expiry // NANOS_PER_DAY != named.expiry_ns // NANOS_PER_DAY:
        return "contradiction"
    if not row.price_step > 0.0 or not row.quote_asset:
        return "bad_row"
    if row.expiry <= now_ns:
        return "expired"
    if not row.is_active:
        return "inactive"
    return Instrument(
        venue=VENUE,
        name=row.instrument_name,
        asset=named.asset,
        expiry_ns=row.expiry,
        strike=row.strike,
        kind=named.kind,
        premium=Premium.QUOTE,
        quote_currency=row.quote_asset,
        tick_size=row.price_step,
    )


def read_name(name: str) -> Instrument | None:
    """An option from its name alone, for recordings that hold no listing; None is none of ours.

    `ETH-30JUN23-1600-C`. The tick is not in the name: 0, so no tick rule binds.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    asset, day, month, year, strike, right = match.groups()
    if month not in _MONTHS or not float(strike) > 0.0:
        return None
    try:
        moment = datetime(
            2000 + int(year), _MONTHS.index(month) + 1, int(day), EXPIRY_HOUR, tzinfo=UTC
        )
    except ValueError:
        return None
    return Instrument(
        venue=VENUE,
        name=name,
        asset=Asset(asset),
        expiry_ns=int(moment.timestamp()) * NANOS_PER_SECOND,
        strike=float(strike),
        kind=OptionKind(right),
        premium=Premium.QUOTE,
        quote_currency=QUOTE,
        tick_size=0.0,
    )


def read_basis(row: MarketRow) -> float:
    """The forward of a row's expiry as a multiple of the index; NaN when it tells none."""
    forward, index = read_text(row.forward_price), read_text(row.index_price)
    if not forward > 0.0 or not index > 0.0:
        return nan
    basis = forward / index
    return basis if LEAST_BASIS <= basis <= MOST_BASIS else nan


def read_side(level: Level | None) -> tuple[float, float]:
    """Price and size of one side of a top of book; NaN without a price or a size."""
    if level is None or not level.price or not level.amount:
        return nan, nan
    return level.price, level.amount


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


def to_error(word: str, retry_after_ns: int = 0) -> VenueError:
    """What an error of the venue means for us ("Errors", "Rate Limits")."""
    if word in RATE_LIMITED:
        wait = min(retry_after_ns, MAX_STAMP) / NANOS_PER_SECOND or DEFAULT_WAIT_SECONDS
        wait = min(max(wait, LEAST_WAIT_SECONDS), MOST_WAIT_SECONDS)
        return RateLimited(VENUE, word, wait)
    if word in UNAVAILABLE:
        return VenueUnavailable(VENUE, word)
    # Unless it is about channels, it says that we break the venue's protocol.
    return ProtocolViolation(VENUE, f"request refused, {word}"[:300])
