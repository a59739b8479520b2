"""The only place that knows both vocabularies: Binance's words in, ours out.

A price of the venue is that of a contract of `unit` coins, paid today: a discounted value. Ours is
per coin, and as of the expiry, so that divided by the forward it is the normalised premium:
price / unit x exp(rf T). Forward of an expiry is i exp(rf T), with index i and rate rf by the row.
"""

import re
from datetime import UTC, datetime
from math import exp, nan

import msgspec

from volgauge.adapters.binance.endpoints import (
    BAN_SECONDS,
    LIVE_STATUS,
    MAX_NUMBER,
    MAX_RATE,
    MAX_UNIT,
    MIN_UNIT,
    RATE_LIMIT_SECONDS,
    RATE_LIMITED,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.binance.messages import InstrumentRow, Refusal
from volgauge.adapters.payload import UNREADABLE
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
    years_between,
)
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""Options expire at 08:00 UTC; asked only where no listing tells the instant."""
QUOTE = "USDT"
"""What premia are paid in; asked only where no listing tells."""
LEAST_IMPLIED_VOL = 1e-5
"""A volatility up to here stands for none, as -1.0 does."""
_NAME = re.compile(r"([A-Z0-9]{1,12})-([0-9]{6})-([0-9]{1,12}(?:\.[0-9]{1,12})?)-([CP])")
_KNOWN_UNITS = {"BTC": 1.0, "ETH": 1.0, "XRP": 100.0, "DOGE": 1000.0}
"""Coins in a contract, by recorded prices; only for recordings without a listing."""
_KINDS = {"CALL": OptionKind.CALL, "PUT": OptionKind.PUT}
_TICK = "PRICE_FILTER"

_decode_refusal = msgspec.json.Decoder(Refusal).decode

Levels = tuple[tuple[float, float], ...]


def read_row(row: InstrumentRow, now_ns: int) -> Instrument | str:
    """One row of the listing, or the reason why it is not for us."""
    named = _split(row.symbol)
    if named is None:
        return "bad_name"
    asset, day_ns, strike, kind = named
    is_same = (
        kind is _KINDS.get(row.side)
        and strike == row.strike_price
        and row.underlying == f"{asset}{row.quote_asset}"
    )
    expiry_ns = row.expiry_date * NANOS_PER_MILLI
    # The instant is the field's; seconds for milliseconds and the like fall on another day.
    if not is_same or expiry_ns // NANOS_PER_DAY != day_ns // NANOS_PER_DAY:
        return "contradiction"
    tick = next((f.tick_size for f in row.filters if f.filter_type == _TICK), 0.0)
    if not MIN_UNIT <= row.unit <= MAX_UNIT or not 0.0 < tick <= MAX_NUMBER:
        return "bad_row"
    if expiry_ns <= now_ns:
        return "expired"
    if row.status != LIVE_STATUS:
        return "inactive"
    return Instrument(
        venue=VENUE,
        name=row.symbol,
        asset=asset,
        expiry_ns=expiry_ns,
        strike=strike,
        kind=kind,
        premium=Premium.QUOTE,
        quote_currency=row.quote_asset,
        tick_size=tick / row.unit,
        contract_size=row.unit,
    )


def read_name(name: str) -> Instrument | None:
    """An option from its name alone, for recordings that hold no listing; None is none of ours.

    `BTC-261225-92000-C`, `XRP-251219-2.05-P`. The coins in a contract are not in the name: coins
    whose contracts we do not know are none of ours. Neither is the tick: 0, so no tick rule binds.
    """
    named = _split(name)
    if named is None or named[0] not in _KNOWN_UNITS:
        return None
    asset, expiry_ns, strike, kind = named
    return Instrument(
        venue=VENUE,
        name=name,
        asset=asset,
        expiry_ns=expiry_ns,
        strike=strike,
        kind=kind,
        premium=Premium.QUOTE,
        quote_currency=QUOTE,
        tick_size=0.0,
        contract_size=_KNOWN_UNITS[asset],
    )


def _split(name: str) -> tuple[Asset, int, float, OptionKind] | None:
    """Coin, 08:00 UTC of the day, strike and right of a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    asset, date, strike, right = match.groups()
    try:
        day = datetime(2000 + int(date[:2]), int(date[2:4]), int(date[4:]), EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        return None
    if not float(strike) > 0.0:
        return None
    expiry_ns = int(day.timestamp()) * NANOS_PER_SECOND
    return Asset(asset), expiry_ns, float(strike), OptionKind(right)


def underlying_of(instrument: Instrument) -> str:
    """The venue's word for an asset in its quote currency: `BTCUSDT`."""
    return f"{instrument.asset}{instrument.quote_currency}"


def growth_factor(rate: float, expiry_ns: int, at_ns: int) -> float:
    """exp(rf T), T in years ACT/365 from `at_ns` to the expiry (VENUES, section 12)."""
    return exp(rate * max(years_between(at_ns, expiry_ns), 0.0))


def is_rate(rate: float) -> bool:
    """An interest rate that can be; false for NaN."""
    return -MAX_RATE <= rate <= MAX_RATE


def is_price(value: float) -> bool:
    """A price or a size that can be; false for NaN and infinity."""
    return 0.0 < value <= MAX_NUMBER


def read_side(price: float, size: float, scale: float, unit: float) -> tuple[float, float] | None:
    """Price and size, in underlying units, of one side of a top of book; None when senseless.

    A price or a size of 0 is an absent side: (NaN, NaN).

    Args:
        price: Of a contract.
        size: Contracts.
        scale: From the price of a contract to ours: growth / unit.
        unit: Underlying in a contract.
    """
    if 0.0 < price <= MAX_NUMBER and 0.0 < size <= MAX_NUMBER:
        return price * scale, size * unit
    return (nan, nan) if price == 0.0 or size == 0.0 else None


def read_implied_vol(fraction: float) -> float:
    """An implied volatility as a fraction; NaN where the venue prints -1.0 for none."""
    return fraction if LEAST_IMPLIED_VOL < fraction <= MAX_NUMBER else nan


def read_levels(rows: list[list[float]], scale: float, unit: float) -> Levels | None:
    """Levels of a book as (price, size in underlying units); None when one is senseless."""
    levels = []
    for row in rows:
        if len(row) < 2 or not is_price(row[0]) or not 0.0 <= row[1] <= MAX_NUMBER:
            return None
        if row[1]:
            levels.append((row[0] * scale, row[1] * unit))
    return tuple(levels)


def refused(status: int, body: bytes) -> VenueError:
    """What a refused REST request means for us ("General Info", "Error Codes")."""
    try:
        refusal = _decode_refusal(body)
    except UNREADABLE:
        refusal = Refusal(0)
    text = f"HTTP {status}, {refusal.code} {refusal.msg}"[:300]
    if status in {403, 418}:
        return RateLimited(VENUE, text, BAN_SECONDS)
    if status == 429 or refusal.code in RATE_LIMITED:
        return RateLimited(VENUE, text, RATE_LIMIT_SECONDS)
    if status >= 500 or refusal.code in UNAVAILABLE:
        return VenueUnavailable(VENUE, text)
    return CatalogError(VENUE, text)
