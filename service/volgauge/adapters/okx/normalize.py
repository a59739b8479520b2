"""The only place that knows both vocabularies: OKX's words in, ours out."""

import re
from datetime import UTC, datetime
from math import inf, nan

import msgspec
from msgspec import Struct

from volgauge.adapters.okx.endpoints import (
    CATALOG_TYPE,
    LIVE_STATES,
    MARGINED,
    MAX_STAMP,
    RATE_LIMIT_SECONDS,
    RATE_LIMITED,
    UNAVAILABLE,
    VENUE,
)
from volgauge.adapters.okx.messages import Arg, InstrumentRow, TickBandRow, TopRow
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation, RateLimited, VenueError, VenueUnavailable

EXPIRY_HOUR = 8
"""OKX's options expire at 08:00 UTC."""
_NAME = re.compile(
    r"([A-Z0-9]{1,12})-(USD(?:_UM)?)-([0-9]{6})-([0-9]{1,12}(?:\.[0-9]{1,12})?)-([CP])"
)
_FAMILY = re.compile(r"([A-Z0-9]{1,12})-([A-Z]{3,5}(?:_UM)?)")
_DIGITS = frozenset("0123456789")
_FIRST = _DIGITS | {"-"}
_PLACEHOLDER = 4_611_686_018_427_388.0
"""An overflow that the venue printed in the hour of expiry (recorded in 2020)."""
_REFUSED = re.compile(r"(channel:[^\s,]+(?:,\s*\w+:[^\s,]+)*)\s+doesn't exist")
_KNOWN_SIZES = {"BTC-USD": 0.01, "BTC-USD_UM": 0.01, "ETH-USD": 0.1}
"""Contracts of 2026 in coin; only for recordings without a listing."""
_COIN_TICK, _COIN_TICK_ABOVE, _COIN_TICK_STEP = 0.0001, 0.005, 0.0005
"""Bands of the coin families of 2026; only for recordings without a listing."""

Levels = tuple[tuple[float, float], ...]


class Ticks(Struct, frozen=True):
    """Price steps of a family."""

    size: float
    above: float = inf
    step: float = nan


def read_number(text: str) -> float:
    """A number sent as text; NaN for "", "∞" and anything else that is no finite number."""
    try:
        value = float(text)
    except ValueError:
        return nan
    # What Python reads as a number and JSON does not: blanks, 1_000, .5, other scripts' digits.
    is_plain = text.isascii() and text[-1] in _DIGITS and text[0] in _FIRST and "_" not in text
    return value if is_plain and -inf < value < inf and abs(value) != _PLACEHOLDER else nan


def read_positive(text: str) -> float:
    """A price or a size; "0" stands for an absent one, so NaN, and so does a negative one."""
    value = read_number(text)
    return value if value > 0.0 else nan


def read_millis(text: str) -> int | None:
    """An instant in nanoseconds; None when there is none or it cannot be."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        return None
    millis = int(text)
    return millis * NANOS_PER_MILLI if 0 < millis <= MAX_STAMP else None


def read_family(family: str) -> tuple[Asset, str] | None:
    """`BTC-USD_UM` is (BTC, USD_UM).

    The second part names the book. A coin family and the USD-margined one have the same index and
    the same strikes, but premia in different units, so they are two books of the venue.
    """
    match = _FAMILY.fullmatch(family)
    return None if match is None else (Asset(match.group(1)), match.group(2))


def index_of(family: str) -> str:
    """The index a family settles on: `BTC-USD_UM` on `BTC-USD`."""
    return family.removesuffix(MARGINED)


def family_of(instrument: Instrument) -> str:
    """The venue's own word for the book of an option."""
    return f"{instrument.asset}-{instrument.quote_currency}"


def read_ticks(row: TickBandRow) -> Ticks | None:
    """The lowest band and the one above it; None when they make no sense."""
    bands = sorted(
        (read_number(band.min_px), read_positive(band.tick_sz)) for band in row.tick_band
    )
    if not bands or any(not minimum >= 0.0 or not tick > 0.0 for minimum, tick in bands):
        return None
    bands.sort()
    if len(bands) == 1:
        return Ticks(bands[0][1])
    return Ticks(bands[0][1], bands[1][0], bands[1][1])


def read_row(row: InstrumentRow, ticks: Ticks | None, now_ns: int) -> Instrument | str:  # noqa: PLR0911 - a table of reasons
    """One row of public/instruments, or the reason why it is not for us.

    A contract is ctVal x ctMult of the underlying; a premium is in the coin when the family is
    settled in it, else in USD, both for one unit of the underlying.
    """
    if row.inst_type != CATALOG_TYPE:
        return "kind"
    known = read_family(row.inst_family or row.uly)
    if known is None:
        return "family"
    asset, quote = known
    expiry_ns = read_millis(row.exp_time)
    strike = read_positive(row.stk)
    size = read_positive(row.ct_val) * read_positive(row.ct_mult)
    tick = read_positive(row.tick_sz)
    is_sound = strike > 0.0 and 0.0 < size < inf and tick > 0.0 and row.opt_type in {"C", "P"}
    if expiry_ns is None or not is_sound or row.ct_val_ccy != asset:
        return "bad_row"
    is_margined = quote.endswith(MARGINED)
    if (row.settle_ccy == asset) == is_margined:
        return "bad_row"
    if expiry_ns <= now_ns:
        return "expired"
    if row.state not in LIVE_STATES:
        return "inactive"
    steps = ticks or Ticks(tick)
    return Instrument(
        venue=VENUE,
        name=row.inst_id,
        asset=asset,
        expiry_ns=expiry_ns,
        strike=strike,
        kind=OptionKind(row.opt_type),
        premium=Premium.QUOTE if is_margined else Premium.COIN,
        quote_currency=quote,
        tick_size=steps.size,
        tick_above=steps.above,
        tick_step=steps.step,
        contract_size=size,
        listed_ns=read_millis(row.list_time),
    )


def read_name(name: str) -> Instrument | None:
    """An option from its name alone, for recordings that hold no listing; None is none of ours.

    `BTC-USD-260321-70000-C` is paid in coin, `SOL-USD_UM-260918-100.5-P` in USD. The size of a
    contract is not in the name: families whose size we do not know are none of ours.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base, quote, date, strike, right = match.groups()
    size = _KNOWN_SIZES.get(f"{base}-{quote}")
    value = float(strike)
    if size is None or not value > 0.0:
        return None
    try:
        day = datetime(2000 + int(date[:2]), int(date[2:4]), int(date[4:]), EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        return None
    in_coin = not quote.endswith(MARGINED)
    return Instrument(
        venue=VENUE,
        name=name,
        asset=Asset(base),
        expiry_ns=int(day.timestamp()) * NANOS_PER_SECOND,
        strike=value,
        kind=OptionKind(right),
        premium=Premium.COIN if in_coin else Premium.QUOTE,
        quote_currency=quote,
        tick_size=_COIN_TICK if in_coin else 0.0,
        tick_above=_COIN_TICK_ABOVE if in_coin else inf,
        tick_step=_COIN_TICK_STEP if in_coin else nan,
        contract_size=size,
    )


def read_mark(text: str, instrument: Instrument) -> float:
    """The venue's mark in the premium unit; NaN where there is none.

    A call is worth less than its coin: a coin mark of 1 and more is one in USD, as recorded in
    2021, and none of ours.
    """
    price = read_positive(text)
    in_coin = instrument.premium is Premium.COIN and instrument.kind is OptionKind.CALL
    return nan if in_coin and price >= 1.0 else price


def read_best(levels: list[list[float]], contract_size: float) -> tuple[float, float] | None:
    """Price and size, in underlying units, of one side of `bbo-tbt`; None when it is senseless.

    No level, or a price or a size of 0, is an absent side: (NaN, NaN).
    """
    if not levels:
        return nan, nan
    level = levels[0]
    if len(level) < 2:
        return None
    price, size = level[0], level[1] * contract_size
    if 0.0 < price < inf and 0.0 < size < inf:
        return price, size
    return (nan, nan) if price == 0.0 or size == 0.0 else None


def read_side(price: str, size: str, contract_size: float) -> tuple[float, float] | None:
    """The same of `tickers`, where an absent side is "" or "0"."""
    if price in {"", "0"} or size in {"", "0"}:
        return nan, nan
    value, amount = read_number(price), read_number(size) * contract_size
    if value > 0.0 and 0.0 < amount < inf:
        return value, amount
    return (nan, nan) if value == 0.0 or amount == 0.0 else None


def read_top(
    row: TopRow, channel: str, contract_size: float
) -> tuple[float, float, float, float] | None:
    """Bid, ask and their sizes of a row of either channel; None when a number is senseless."""
    if channel == "tickers":
        bid = read_side(row.bid_px, row.bid_sz, contract_size)
        ask = read_side(row.ask_px, row.ask_sz, contract_size)
    else:
        bid = read_best(row.bids, contract_size)
        ask = read_best(row.asks, contract_size)
    if bid is None or ask is None:
        return None
    return bid[0], ask[0], bid[1], ask[1]


def read_levels(rows: list[list[float]], contract_size: float) -> Levels | None:
    """Levels of a book as (price, size in underlying units), size 0 for a delete; None: senseless.

    A row is [price, size in contracts, "0", number of orders].
    """
    levels = []
    for row in rows:
        if len(row) < 2:
            return None
        price, size = row[0], row[1] * contract_size
        if not 0.0 < price < inf or not 0.0 <= size < inf:
            return None
        levels.append((price, size))
    return tuple(levels)


def read_refused(message: str) -> Arg | None:
    """The argument that an error 60018 is about; it is named in the text only."""
    match = _REFUSED.search(message)
    if match is None:
        return None
    words = dict(part.strip().split(":", 1) for part in match.group(1).split(","))
    try:
        return msgspec.convert(words, Arg)
    except msgspec.ValidationError:
        return None


def to_error(code: str, message: str) -> VenueError:
    """What an error of the venue means for us ("Error Code")."""
    text = f"{code} {message}"[:300]
    if code in RATE_LIMITED:
        return RateLimited(VENUE, text, RATE_LIMIT_SECONDS)
    if code in UNAVAILABLE:
        return VenueUnavailable(VENUE, text)
    # Unless it is about one argument, it says that we break the venue's protocol.
    return ProtocolViolation(VENUE, f"request refused, {text}")
