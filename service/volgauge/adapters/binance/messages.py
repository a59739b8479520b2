"""Binance's frames, as far as we read them; the venue's own names.

A best bid and offer, the hot frame:
    {"stream":"eth-251218-3100-c@bookTicker","data":{"e":"bookTicker","u":121509445,
     "s":"ETH-251218-3100-C","b":"5.8000","B":"38.47","a":"6.4000","A":"96.37",
     "T":1765983419927,"E":1765983419927}}
A chain, whole, once a second:
    {"stream":"btcusdt@optionMarkPrice","data":[{"s":"BTC-261225-92000-C","mp":"4696.169",
     "E":1790161477975,"e":"markPrice","i":"85879.82826087","P":"0.000","bo":"4670.000",
     "ao":"4760.000","bq":"3.52","aq":"3.52","b":"0.38545907","a":"0.39075673","hl":"8450.000",
     "ll":"940.000","vo":"0.387","rf":"0.0529","d":"0.42618971",...}]}
An answer, which says nothing of what was accepted, and a refusal:
    {"result":null,"id":1}
    {"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}

Numbers are text; an absent price is "0.000", an absent volatility "-1.0". They are read straight
into numbers (msgspec's lax mode); what does not fit is read again, row by row, as text.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from volgauge.adapters.binance.endpoints import MAX_STAMP
from volgauge.adapters.facts import Text

Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Milliseconds."""


class Top(Struct, frozen=True, gc=False):
    """Payload of `bookTicker`."""

    event: str = field(name="e")
    number: int = field(name="u")
    symbol: str = field(name="s")
    bid: float = field(name="b")
    bid_size: float = field(name="B")
    ask: float = field(name="a")
    ask_size: float = field(name="A")
    stamp: Stamp = field(name="T")


class TopFrame(Struct, frozen=True, gc=False):
    """What the hot path decodes: once, and nothing it does not need."""

    data: Top


class Frame(Struct, frozen=True, gc=False):
    """Any object, payload undecoded: combined stream, answer, refusal, or a bare event."""

    stream: str = ""
    data: Raw = Raw(b"")
    event: str = field(name="e", default="")
    id: int | str | None = None
    result: Raw = Raw(b"")
    error: Raw = Raw(b"")
    code: int | None = None
    msg: str = ""


class Refusal(Struct, frozen=True, gc=False):
    """Why a request was refused, on the websocket and over REST."""

    code: int
    msg: str = ""


class ChainRow(Struct, frozen=True, gc=False):
    """A row of `optionMarkPrice`; prices are of a contract, `unit` coins."""

    symbol: str = field(name="s")
    stamp: Stamp = field(name="E")
    mark: float = field(name="mp")
    index: float = field(name="i")
    bid: float = field(name="bo")
    ask: float = field(name="ao")
    bid_size: float = field(name="bq")
    ask_size: float = field(name="aq")
    mark_vol: float = field(name="vo")
    rate: float = field(name="rf")


class LooseRow(Struct, frozen=True, gc=False):
    """The same row when a number in it is none."""

    symbol: str = field(name="s")
    stamp: Stamp = field(name="E", default=0)


class BookRow(Struct, frozen=True, gc=False):
    """Payload of a partial book, whole each time although `e` says depthUpdate."""

    symbol: str = field(name="s")
    number: int = field(name="u")
    stamp: Stamp = field(name="T")
    bids: list[list[float]] = field(name="b")
    asks: list[list[float]] = field(name="a")


class IndexRow(Struct, frozen=True, gc=False):
    """A row of `!index@arr`: {"e":"indexPrice","E":1763092572229,"s":"ETHUSDT","p":"3224.5"}."""

    symbol: str = field(name="s")
    price: float = field(name="p")
    stamp: Stamp = field(name="E")


class InterestRow(Struct, frozen=True, gc=False):
    """A row of `optionOpenInterest@251219`: contracts, and their worth in the quote currency."""

    symbol: str = field(name="s")
    contracts: float = field(name="o")


class SymbolEvent(Struct, frozen=True, gc=False):
    """Payload of `!optionSymbol`: an option that is new or has another state."""

    symbol: str = field(name="s")
    status: str = field(name="cs", default="")
    listed: Stamp = field(name="ot", default=0)


class Filter(Struct, frozen=True, gc=False, rename="camel"):
    """One trading rule; only PRICE_FILTER has a tick."""

    filter_type: str
    tick_size: float = 0.0


class InstrumentRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of exchangeInfo's optionSymbols."""

    symbol: str
    side: str
    strike_price: float
    underlying: str
    unit: float
    expiry_date: Stamp
    quote_asset: str
    filters: list[Filter]
    status: str = "TRADING"


class ExchangeInfo(Struct, frozen=True, gc=False, rename="camel"):
    """GET /eapi/v1/exchangeInfo, rows undecoded so that one bad row is one bad row."""

    option_symbols: list[Raw]
    server_time: Stamp = 0
    """Of a body whose time makes no sense nothing is believed."""


class ServerTime(Struct, frozen=True, gc=False, rename="camel"):
    """When the same was answered."""

    server_time: Stamp = 0


class MarkRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of GET /eapi/v1/mark."""

    symbol: str
    mark_price: float
    mark_vol: float = field(name="markIV")
    risk_free_interest: float
    delta: float = 0.0


class VolumeRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of GET /eapi/v1/ticker: {"symbol":"BTC-200730-9000-C","volume":"5",...}."""

    symbol: str
    volume: Text = None
    """Contracts of 24 hours."""


class PremiumIndex(Struct, frozen=True, gc=False, rename="camel"):
    """GET /fapi/v1/premiumIndex?symbol=BTCUSDT.

    {"symbol":"BTCUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970",
     "lastFundingRate":"0.00038246","nextFundingTime":1597392000000,"time":1597370495002,...}
    """

    symbol: str
    last_funding_rate: Text = None
    """Of one interval, decimal: the one that is to be paid next."""
    time: Stamp = 0


class FundingInfo(Struct, frozen=True, gc=False, rename="camel"):
    """A row of GET /fapi/v1/fundingInfo: {"symbol":"BLZUSDT","fundingIntervalHours":4,...}."""

    symbol: str
    funding_interval_hours: Text = None


class FuturesInterest(Struct, frozen=True, gc=False, rename="camel"):
    """GET /fapi/v1/openInterest?symbol=BTCUSDT.

    {"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}
    """

    symbol: str
    open_interest: Text = None
    """Coins."""


class Request(Struct, frozen=True):
    """What we send."""

    method: str
    params: tuple[str, ...]
    id: int
