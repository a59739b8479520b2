"""Aevo's frames, as far as we read them; the venue's own names.

Tops that changed, the hot frame, of one option or of hundreds (a whole chain by one channel):
    {"channel":"book-ticker:ETH-31MAR23-1350-C","data":{"timestamp":"1673436965238291661",
     "tickers":[{"instrument_id":165,"instrument_name":"ETH-31MAR23-1350-C",
     "instrument_type":"OPTION","bid":{"price":"2","delta":"0.2159147503564693",...,
     "iv":"0.026280592178461275","amount":"10"},"ask":{"price":"10",...,"amount":"1"}}]}}
The same twice a second at most, with marks:
    {"channel":"ticker-500ms:ETH:OPTION","data":{"timestamp":"1673436965238291661","tickers":[{
     "instrument_id":165,...,"funding_rate":"0.000026","mark":{"price":"140.007862",...,
     "iv":"0.5898161402416873"},"bid":{...},"ask":{...}}]}}
An index: {"channel":"index:ETH","data":{"price":"1337.16","timestamp":"1673438070391698947"}}
The answer to a subscribe names what was accepted: {"id":1,"data":["index:ETH"]}
To a ping: {"id":1,"data":{"success":true,"timestamp":"1673436052887313432"}}
A refusal: {"id":1,"error":"CHANNEL_NOT_FOUND"}, and for speed {"status":"error",
    "timestamp":"1664338190185908000","error":"RATE_LIMIT_EXCEEDED",
    "data":{"retry_after":"4406000000"}}

Numbers and times are strings; msgspec reads them as numbers while it decodes (strict=False) and
checks their range. The documents call both sides required; a client of 2026 met `"bid":{}` for a
side without an order, so any member of a side may be missing.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from volgauge.adapters.aevo.endpoints import MAX_NUMBER, MAX_STAMP

Number = Annotated[float, Meta(ge=0.0, le=MAX_NUMBER)]
Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Nanoseconds."""
Text = str | float | None


class Level(Struct, frozen=True, gc=False):
    """One side of a top of book."""

    price: Number = 0.0
    """USDC for one coin."""
    amount: Number = 0.0
    """Contracts, each a coin."""


class Mark(Struct, frozen=True, gc=False):
    """Of a throttled ticker."""

    price: Number = 0.0
    iv: Number = 0.0
    """Fraction."""


class Ticker(Struct, frozen=True, gc=False):
    """One option of a push."""

    instrument_name: str
    bid: Level | None = None
    ask: Level | None = None
    mark: Mark | None = None


class Data(Struct, frozen=True, gc=False):
    """Of a push: tickers, or the price of an index."""

    timestamp: Stamp
    tickers: list[Ticker] | None = None
    price: Number | None = None


class Push(Struct, frozen=True, gc=False):
    """What the hot path decodes: once, and nothing it does not need."""

    channel: str
    data: Data


class LooseLevel(Struct, frozen=True, gc=False):
    """A side or a mark with numbers out of range or spelled in another way."""

    price: Text = None
    amount: Text = None
    iv: Text = None


class LooseTicker(Struct, frozen=True, gc=False):
    """A ticker of such sides."""

    instrument_name: str
    bid: LooseLevel | None = None
    ask: LooseLevel | None = None
    mark: LooseLevel | None = None


class LooseData(Struct, frozen=True, gc=False):
    """Tickers undecoded, so that one bad ticker is one bad ticker."""

    timestamp: Stamp
    tickers: list[Raw]


class IndexData(Struct, frozen=True, gc=False):
    """Of `index`."""

    price: Number
    timestamp: Stamp


class Frame(Struct, frozen=True, gc=False):
    """Any frame, payload undecoded."""

    id: int | str | None = None
    channel: str = ""
    error: str = ""
    data: Raw = Raw(b"null")


class Retry(Struct, frozen=True, gc=False):
    """When to come back after a refusal for speed: `data` of a frame, or a whole REST body."""

    retry_after: Stamp = 0
    """Nanoseconds to wait."""
    error: str = ""


class Request(Struct, frozen=True, omit_defaults=True):
    """What we send: {"op":"subscribe","id":1,"data":["index:ETH"]}."""

    op: str
    id: int
    data: tuple[str, ...] = ()


class MarketRow(Struct, frozen=True, gc=False):
    """A row of /markets?instrument_type=OPTION.

    {"instrument_id":"12","instrument_name":"ETH-30JUN23-1600-C","instrument_type":"OPTION",
     "underlying_asset":"ETH","quote_asset":"USDC","price_step":"0.05","amount_step":"0.1",...,
     "mark_price":"12.23","forward_price":"12.23","index_price":"12.23","is_active":true,
     "option_type":"call","expiry":"1688112000000000000","strike":"1600","greeks":{...},...}
    """

    instrument_name: str
    instrument_type: str
    underlying_asset: str
    quote_asset: str
    price_step: Number
    is_active: bool
    option_type: str = ""
    expiry: Stamp = 0
    strike: Number = 0.0
    forward_price: Text = None
    """Of the option's expiry; information, so a bad one must not cost the row."""
    index_price: Text = None


class PerpetualRow(Struct, frozen=True, gc=False):
    """A row of /coingecko-statistics.

    {"ticker_id":"ETH-PERP","base_currency":"ETH","target_currency":"USD","open_interest":"1234.56",
     "index_price":"12.23","funding_rate":"0.00122","next_funding_rate_timestamp":"...",...}
    """

    ticker_id: str
    index_price: Text = None
    open_interest: Text = None
    """USDC."""
    funding_rate: Text = None
    """Of an hour, decimal."""
