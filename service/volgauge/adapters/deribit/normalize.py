"""The only place that knows both vocabularies: Deribit's words in, ours out."""

import re
from datetime import UTC, datetime
from math import inf, isfinite, nan

from msgspec import Struct

from volgauge.adapters.deribit.endpoints import (
    LIVE_STATES,
    MAX_STAMP,
    RATE_LIMIT_SECONDS,
    RATE_LIMITED,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.deribit.messages import Error, InstrumentRow
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""Deribit's contracts expire at 08:00 UTC."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = re.compile(
    r"([A-Z0-9]{1,12})(?:_(USD[CT]))?-(\d{1,2})([A-Z]{3})(\d{2})(?:-(\d{1,12}(?:d\d{1,12})?)-([CP]))?"
)
_INVERSE_TICK, _INVERSE_TICK_ABOVE, _INVERSE_TICK_STEP = 0.0001, 0.005, 0.0005
"""All inverse options of 2026; only for recordings without a listing."""

Levels = tuple[tuple[float, float], ...]


class Future(Struct, frozen=True):
    """A dated future that expires with an option book's expiry."""

    asset: Asset
    quote_currency: str
    expiry_ns: int


class Contract(Struct, frozen=True):
    """One usable row of the listing."""

    terms: Instrument | Future
    name: str
    index_name: str
    """Of the price index, e.g. `btc_usd`."""


def read_row(row: InstrumentRow, now_ns: int) -> Contract | str:
    """One row of public/get_instruments, or the reason why it is not for us."""
    reason = _reason_against(row, now_ns)
    if reason is not None:
        return reason
    expiry_ns = row.expiration_timestamp * NANOS_PER_MILLI
    inverse = _is_inverse(row)
    asset = Asset(row.base_currency.upper())
    counter = row.counter_currency or ("" if inverse else row.quote_currency) or "USD"
    index_name = row.price_index or f"{asset}_{counter}".lower()
    if row.kind == "future":
        return Contract(Future(asset, counter, expiry_ns), row.instrument_name, index_name)
    if row.strike is None or not _positive(row.strike) or row.option_type not in {"call", "put"}:
        return "bad_row"
    tick_above, tick_step = inf, nan
    if row.tick_size_steps:
        tick_above = row.tick_size_steps[0].above_price
        tick_step = row.tick_size_steps[0].tick_size
    listed = row.creation_timestamp
    instrument = Instrument(
        venue=VENUE,
        name=row.instrument_name,
        asset=asset,
        expiry_ns=expiry_ns,
        strike=row.strike,
        kind=OptionKind.CALL if row.option_type == "call" else OptionKind.PUT,
        premium=Premium.COIN if inverse else Premium.QUOTE,
        quote_currency=counter,
        tick_size=row.tick_size,
        tick_above=tick_above,
        tick_step=tick_step,
        listed_ns=None if listed is None else listed * NANOS_PER_MILLI,
    )
    return Contract(instrument, row.instrument_name, index_name)


def read_name(name: str) -> Instrument | Future | None:
    """A contract from its name alone, for recordings that hold no listing; None is none of ours.

    `BTC-31JUL26-67000-C` is paid in coin, `XRP_USDC-15JUL26-0d95-C` in USDC; `d` is the decimal
    point of the strike. The tick of a linear option is not in its name: 0, so no tick rule binds.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base, quote, day, month, year, strike, right = match.groups()
    if month not in _MONTHS:
        return None
    try:
        date = datetime(
            2000 + int(year), _MONTHS.index(month) + 1, int(day), EXPIRY_HOUR, tzinfo=UTC
        )
    except ValueError:
        return None
    expiry_ns = int(date.timestamp()) * NANOS_PER_SECOND
    asset = Asset(base)
    if strike is None:
        return Future(asset, quote or "USD", expiry_ns)
    value = float(strike.replace("d", "."))
    if not value > 0.0:
        return None
    inverse = quote is None
    return Instrument(
        venue=VENUE,
        name=name,
        asset=asset,
        expiry_ns=expiry_ns,
        strike=value,
        kind=OptionKind(right),
        premium=Premium.COIN if inverse else Premium.QUOTE,
        quote_currency=quote or "USD",
        tick_size=_INVERSE_TICK if inverse else 0.0,
        tick_above=_INVERSE_TICK_ABOVE if inverse else inf,
        tick_step=_INVERSE_TICK_STEP if inverse else nan,
    )


def read_index(index_name: str) -> tuple[Asset, str] | None:
    """`btc_usd` is (BTC, USD)."""
    base, found, quote = index_name.partition("_")
    if not found or not base or not quote:
        return None
    return Asset(base.upper()), quote.upper()


def read_side(price: float | None, amount: float | None) -> tuple[float, float]:
    """One side of a top of book; null, 0 and absent, of price or amount, are (NaN, NaN)."""
    if not price or not amount:
        return nan, nan
    return price, amount


def is_in_range(*values: float | None) -> bool:
    """No value is negative or infinite; the absent ones do not count."""
    return all(value is None or 0.0 <= value < inf for value in values)


def read_levels(rows: list[list[str | float]]) -> Levels | None:
    """Levels of a book as (price, size), size 0 for a delete; None when one makes no sense.

    Rows are [price, amount] in a grouped book and [action, price, amount] otherwise.
    """
    levels = []
    for row in rows:
        match row:
            case [float() as price, float() as size]:
                pass
            case ["new" | "change", float() as price, float() as size]:
                pass
            case ["delete", float() as price, float()]:
                size = 0.0
            case _:
                return None
        if not _positive(price) or not 0.0 <= size < inf:
            return None
        levels.append((float(price), float(size)))
    return tuple(levels)


def _reason_against(row: InstrumentRow, now_ns: int) -> str | None:
    if row.kind not in {"option", "future"}:
        return "combo" if row.kind.endswith("combo") else "kind"
    if row.instrument_name.endswith("-PERPETUAL"):
        return "perpetual"
    ticks = [row.tick_size, *(step.tick_size for step in row.tick_size_steps)]
    limits = [step.above_price for step in row.tick_size_steps]
    is_dated = 0 < row.expiration_timestamp <= MAX_STAMP
    if not is_dated or not row.base_currency or not all(map(_positive, ticks + limits)):
        return "bad_row"
    if row.expiration_timestamp * NANOS_PER_MILLI <= now_ns:
        return "expired"
    is_live = row.is_active and row.state in LIVE_STATES
    return None if is_live else "inactive"


def _is_inverse(row: InstrumentRow) -> bool:
    if row.instrument_type:
        return row.instrument_type == "reversed"
    if row.kind == "option":
        return row.quote_currency == row.base_currency
    return row.quote_currency == "USD"


def _positive(value: float) -> bool:
    return isfinite(value) and value > 0.0


def to_error(error: Error) -> VenueError:
    """What an error of the venue means for us ("RPC error codes")."""
    text = f"{error.code} {error.message}"
    if error.code == RATE_LIMITED:
        return RateLimited(VENUE, text, RATE_LIMIT_SECONDS)
    if error.code in UNAVAILABLE:
        return VenueUnavailable(VENUE, text)
    # Without an id, or about anything but channels, it says that we break the venue's protocol.
    return ProtocolViolation(VENUE, f"request refused, {text}")
