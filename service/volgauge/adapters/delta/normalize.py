"""The only place that knows both vocabularies: Delta's words in, ours out.

A premium is in USDT (in India: USD) for one coin and is not discounted. The venue states no
forward: its own volatilities take the spot price for one, so its forwards come from put-call parity
alone. Options expire at 12:00 UTC, four hours after those of every other venue.
"""

import re
from datetime import UTC, datetime
from math import nan

from msgspec import Struct

from volgauge.adapters.catalog import refused_by_status
from volgauge.adapters.delta.endpoints import (
    CALLS,
    DISRUPTED,
    LIVE,
    MAX_NUMBER,
    OPERATIONAL,
    PERPETUALS,
    PUTS,
    UPCOMING,
    VANILLA,
    VENUE,
)
from volgauge.adapters.delta.messages import ProductRow, Reason, Text
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, parse_instant
from volgauge.errors import CatalogError, VenueError

EXPIRY_HOUR = 12
"""17:30 in India; asked only where no listing tells the instant."""
QUOTE = "USDT"
"""What premia are paid in; asked only where no listing tells."""
CONTRACT_SIZES = {
    "ADA": 1.0, "BCH": 0.01, "BNB": 1.0, "BTC": 0.001, "ETH": 0.01, "LINK": 1.0, "LTC": 0.1,
    "SOL": 1.0, "XRP": 1.0,
}  # fmt: skip
"""Coins of a contract as they were recorded in 2021; asked only where no listing tells."""
LEAST_IMPLIED_VOL = 1e-5
"""A volatility up to here stands for none: 0.000005 is printed for a price below its least."""
LATEST_NS = 2**63 - 1
_KINDS = {CALLS: OptionKind.CALL, PUTS: OptionKind.PUT}
_NAME = re.compile(
    r"([CP])-([A-Z0-9]{1,12})-([0-9]{1,12}(?:\.[0-9]{1,12})?)-([0-9]{2})([0-9]{2})([0-9]{2})",
    re.ASCII,
)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z")


class Perpetual(Struct, frozen=True):
    """A perpetual whose contract is a number of coins."""

    asset: Asset
    quote_currency: str
    contract_size: float
    hours: float | None
    """Between two payments of funding; None is not told."""


def read_row(row: ProductRow, now_ns: int) -> Instrument | str:  # noqa: PLR0911 - a table of reasons
    """One option of the listing, or the reason why it is not for us.

    The name must say the same as the fields; the hour of the expiry is the field's. Whether orders
    are matched at the moment is not asked.
    """
    kind = _KINDS.get(row.contract_type)
    if kind is None or row.notional_type != VANILLA or row.is_quanto:
        return "kind"
    named = read_name(row.symbol, contract_size=row.contract_value)
    if named is None:
        return "bad_name"
    expiry_ns = read_instant(row.settlement_time)
    quote = row.quoting_asset.symbol
    is_same = (
        row.underlying_asset.symbol == named.asset
        and row.contract_unit_currency in {None, named.asset}
        and kind is named.kind
        and row.strike_price == named.strike
        and (row.settling_asset is None or row.settling_asset.symbol == quote)
        and expiry_ns is not None
        and expiry_ns // NANOS_PER_DAY == named.expiry_ns // NANOS_PER_DAY
    )
    if expiry_ns is None or not is_same:
        return "contradiction"
    if not row.tick_size > 0.0 or not row.contract_value > 0.0 or not quote:
        return "bad_row"
    if expiry_ns <= now_ns:
        return "expired"
    listed_ns = read_instant(row.launch_time)
    if row.state == UPCOMING or (listed_ns is not None and listed_ns > now_ns):
        return "coming"
    if row.state != LIVE:
        return "inactive"
    if row.trading_status not in {OPERATIONAL, *DISRUPTED}:
        return "unknown_status"
    return Instrument(
        venue=VENUE,
        name=row.symbol,
        asset=named.asset,
        expiry_ns=expiry_ns,
        strike=named.strike,
        kind=kind,
        premium=Premium.QUOTE,
        quote_currency=quote,
        tick_size=row.tick_size,
        contract_size=row.contract_value,
        listed_ns=listed_ns,
    )


def read_perpetual(row: ProductRow) -> Perpetual | str:
    """One perpetual of the listing, or the reason why it is not for us."""
    if row.contract_type != PERPETUALS or row.notional_type != VANILLA or row.is_quanto:
        return "perpetual_kind"
    if not row.contract_value > 0.0:
        return "bad_perpetual"
    specs = row.product_specs
    seconds = None if specs is None else specs.rate_exchange_interval
    return Perpetual(
        asset=Asset(row.underlying_asset.symbol),
        quote_currency=row.quoting_asset.symbol,
        contract_size=row.contract_value,
        hours=None if seconds is None else seconds / 3_600.0,
    )


def read_name(name: str, contract_size: float | None = None) -> Instrument | None:
    """An option from its name alone, for recordings that hold no listing; None is none of ours.

    `C-BTC-79500-250926` expires on 25 September 2026. The tick is not in the name: 0, so no tick
    rule binds. Without a known size of the contract there is no option: sizes would be wrong.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    right, asset, strike, *date = match.groups()
    value = float(strike)
    size = CONTRACT_SIZES.get(asset) if contract_size is None else contract_size
    day, month, year = map(int, date)
    if not value > 0.0 or size is None:
        return None
    try:
        moment = datetime(2000 + year, month, day, EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        return None
    return Instrument(
        venue=VENUE,
        name=name,
        asset=Asset(asset),
        expiry_ns=int(moment.timestamp()) * NANOS_PER_SECOND,
        strike=value,
        kind=OptionKind(right),
        premium=Premium.QUOTE,
        quote_currency=QUOTE,
        tick_size=0.0,
        contract_size=size,
    )


def read_instant(text: str | None) -> int | None:
    """`2021-11-30T12:00:00Z` in nanoseconds; None for null and for what is no instant of ours."""
    if text is None or _INSTANT.fullmatch(text) is None:
        return None
    try:
        instant_ns = parse_instant(text)
    except ValueError:
        return None
    return instant_ns if 0 < instant_ns <= LATEST_NS else None


def read_side(price: float | None, lots: float | None, contract_size: float) -> tuple[float, float]:
    """Price, and size in coins, of one side of a top of book; null and "0" are an absent one."""
    if not price or not lots:
        return nan, nan
    return price, lots * contract_size


def read_implied_vol(fraction: float | None) -> float:
    """An implied volatility as a fraction; NaN for none, also where a floor is printed for it."""
    return fraction if fraction is not None and fraction > LEAST_IMPLIED_VOL else nan


def read_text(text: Text) -> float | None:
    """A number that did not fit the hot path: None when absent, NaN when it is none of ours."""
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        return nan
    return value if 0.0 <= value <= MAX_NUMBER else nan


def refused(error: Reason | str | None, where: str) -> VenueError:
    """What a refusal in a REST body means."""
    code = error.code if isinstance(error, Reason) else error
    return CatalogError(VENUE, f"{where}: refused, {code or 'no reason'}"[:300])


def refused_status(status: int) -> VenueError:
    """What the HTTP status of a refused REST request means."""
    return refused_by_status(VENUE, status)
