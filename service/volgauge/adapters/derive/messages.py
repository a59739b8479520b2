"""Derive's frames, as far as we read them.

A ticker, the hot frame; "0" is an absent side, `f` is null for options:
    {"method":"subscription","params":{"channel":"ticker_slim.ETH-20260612-1900-P.100","data":{
     "instrument_ticker":{"A":"3.46","B":"250.6","I":"1991.7","M":"42.3","a":"43.8","b":"38.4",
     "f":null,"maxp":"67.2","minp":"23.2","option_pricing":{"ai":"0.52063","bi":"0.48229",
     "d":"-0.30438","df":"0.999","f":"1992.6","g":"0.00169741","i":"0.51012","m":"42.3",
     "r":"1.74065","t":"-2.40149","v":"1.41384"},"stats":{"c":"0",...,"oi":"42.13"},
     "t":1779953797040},"timestamp":1779953797040}}}
The spot price:
    {"method":"subscription","params":{"channel":"spot_feed.ETH","data":{"feeds":{"ETH":{
     "price":"1991.7","confidence":"1",...}},"timestamp":1779953797040}}}
The answer to a subscribe; a channel's status is "ok" or the reason of its refusal:
    {"id":1,"result":{"current_subscriptions":["ticker_slim.ETH-USDC.1000"],"status":{
     "ticker_slim.ETH-USDC.1000":"ok","trades.spot.ETH":"{'instrument_type': ['Invalid ...']}"}}}
A refusal: {"id":1,"error":{"code":-32000,"message":"Rate limit exceeded"}}

Numbers are strings; msgspec reads them as numbers while it decodes (strict=False) and checks their
range. The venue's names of one letter are spelled out by `rename`.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from volgauge.adapters.derive.endpoints import MAX_NUMBER, MAX_STAMP

Number = Annotated[float, Meta(ge=0.0, le=MAX_NUMBER)]
Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Milliseconds."""
Text = str | float | None
TICKER_NAMES = {
    "bid_price": "b",
    "bid_size": "B",
    "ask_price": "a",
    "ask_size": "A",
    "mark_price": "M",
    "index_price": "I",
    "stamp": "t",
}
PRICING_NAMES = {"forward": "f", "implied_vol": "i", "discount": "df"}
STATS_NAMES = {"open_interest": "oi", "volume": "c"}


class Pricing(Struct, frozen=True, gc=False, rename=PRICING_NAMES):
    """`option_pricing` of a ticker."""

    forward: Number = 0.0
    implied_vol: Number = 0.0
    """Fraction, of the mark."""
    discount: Number = 0.0
    """From the premium as of the expiry to the premium paid now; three digits, cut off."""


class Stats(Struct, frozen=True, gc=False, rename=STATS_NAMES):
    """`stats` of a ticker."""

    open_interest: Number | None = None
    """Coins."""
    volume: Number | None = None
    """Contracts of 24 hours, each a coin; `v` is the same in USD."""


class Ticker(Struct, frozen=True, gc=False, rename=TICKER_NAMES):
    """`instrument_ticker`; prices in USDC for one coin, sizes in coins."""

    stamp: Stamp
    bid_price: Number = 0.0
    bid_size: Number = 0.0
    ask_price: Number = 0.0
    ask_size: Number = 0.0
    mark_price: Number = 0.0
    index_price: Number = 0.0
    option_pricing: Pricing | None = None
    """Null for anything but an option."""
    stats: Stats | None = None


class TickerData(Struct, frozen=True, gc=False):
    """Of `ticker_slim`."""

    instrument_ticker: Ticker


class TickerParams(Struct, frozen=True, gc=False):
    """Of a push of `ticker_slim`."""

    channel: str
    data: TickerData


class Push(Struct, frozen=True, gc=False):
    """What the hot path decodes: once, and nothing it does not need."""

    params: TickerParams


class LoosePricing(Struct, frozen=True, gc=False, rename=PRICING_NAMES):
    """`option_pricing` with numbers out of range or spelled in another way."""

    forward: Text = None
    implied_vol: Text = None
    discount: Text = None


class LooseStats(Struct, frozen=True, gc=False, rename=STATS_NAMES):
    """The same of `stats`."""

    open_interest: Text = None
    volume: Text = None


class LooseTicker(Struct, frozen=True, gc=False, rename=TICKER_NAMES):
    """The same of a ticker."""

    stamp: Stamp
    bid_price: Text = None
    bid_size: Text = None
    ask_price: Text = None
    ask_size: Text = None
    mark_price: Text = None
    index_price: Text = None
    option_pricing: LoosePricing | None = None
    stats: LooseStats | None = None


class LooseTickerData(Struct, frozen=True, gc=False):
    """Of `ticker_slim`."""

    instrument_ticker: LooseTicker


class Price(Struct, frozen=True, gc=False):
    """One coin of `spot_feed`."""

    price: Number


class SpotData(Struct, frozen=True, gc=False):
    """Of `spot_feed`."""

    feeds: dict[str, Price]
    timestamp: Stamp


class PerpetualTicker(Struct, frozen=True, gc=False):
    """A slim ticker of a perpetual; `stats` as those of an option.

    {"A":"1.505","I":"1991.79","M":"1992.49","f":"0.000012500","option_pricing":null,
     "stats":{"c":"3088.047","oi":"4248.342","v":"6249174.098",...},"t":1779953796714,...}
    """

    t: Stamp = 0
    f: Text = None
    """Funding rate of an hour, decimal."""
    stats: LooseStats | None = None


class Tickers(Struct, frozen=True, gc=False):
    """`result` of public/get_tickers, undecoded so that one bad ticker is one bad ticker."""

    tickers: dict[str, Raw]


class Error(Struct, frozen=True, gc=False):
    """Of JSON-RPC."""

    code: int
    message: str = ""


class Params(Struct, frozen=True, gc=False):
    """Of any push, payload undecoded."""

    channel: str = ""
    data: Raw = Raw(b"null")


class Frame(Struct, frozen=True, gc=False):
    """Any frame, payload undecoded."""

    id: int | str | None = None
    method: str = ""
    params: Params | None = None
    result: Raw = Raw(b"null")
    error: Error | None = None


class Acknowledgement(Struct, frozen=True, gc=False):
    """`result` of a subscribe or unsubscribe."""

    status: dict[str, str]


class Request(Struct, frozen=True):
    """What we send."""

    id: int
    method: str
    params: dict[str, object]


class OptionDetails(Struct, frozen=True, gc=False):
    """Of an instrument."""

    expiry: int
    """Seconds."""
    index: str
    option_type: str
    strike: Number


class InstrumentRow(Struct, frozen=True, gc=False):
    """A row of public/get_all_instruments.

    {"instrument_name":"ZEC-20260925-900-P","instrument_type":"option","is_active":true,
     "base_currency":"ZEC","quote_currency":"USDC","tick_size":"0.1","scheduled_activation":
     1782464400,"scheduled_deactivation":1790323140,"option_details":{"expiry":1790323200,
     "index":"ZEC-USD","option_type":"P","settlement_price":null,"strike":"900"},...}
    """

    instrument_name: str
    instrument_type: str
    is_active: bool
    quote_currency: str
    tick_size: Number
    base_currency: str | None = None
    scheduled_activation: int = 0
    """Seconds; 0 unknown."""
    scheduled_deactivation: int = 0
    """Seconds, a minute before the expiry; 0 or beyond any year: none."""
    option_details: OptionDetails | None = None


class Pagination(Struct, frozen=True, gc=False):
    """Of a listing."""

    count: int
    """Rows of all pages."""
    num_pages: int


class Page(Struct, frozen=True, gc=False):
    """`result` of public/get_all_instruments, rows undecoded so that one bad row is one."""

    instruments: list[Raw]
    pagination: Pagination


class Incident(Struct, frozen=True, gc=False):
    """An ongoing incident; `severity` is low, medium or high."""

    severity: str


class Incidents(Struct, frozen=True, gc=False):
    """`result` of public/get_live_incidents."""

    incidents: list[Incident]


class Body(Struct, frozen=True, gc=False):
    """A REST answer."""

    result: Raw = Raw(b"null")
    error: Error | None = None
