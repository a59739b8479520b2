"""Bybit's frames, as far as we read them; the venue's own names, its camelCase by `rename`.

A ticker, the hot frame (always whole for options):
    {"topic":"tickers.BTC-21MAR26-70000-C-USDT","ts":1773966121157,"type":"snapshot",
     "id":"tickers.BTC-21MAR26-70000-C-USDT-62191583841-1773966121157","data":{
     "symbol":"BTC-21MAR26-70000-C-USDT","bidPrice":"940","bidSize":"2.18","bidIv":"0.53",
     "askPrice":"960","askSize":"11.23","askIv":"0.5419","markPrice":"960.2505585",
     "indexPrice":"70089.5343409","markPriceIv":"0.5421","underlyingPrice":"70098.25055849",
     "openInterest":"18.93",...}}
A change of a book:
    {"id":"orderbook.25.SOL-28APR23-30-C-3360275694-1680652799661","ts":1680652799661,
     "topic":"orderbook.25.SOL-28APR23-30-C","type":"delta",
     "data":{"s":"SOL-28APR23-30-C","b":[],"a":[["1.74","0"],["1.75","46"]],"u":24642}}
The answer to a subscribe or unsubscribe of options, which repeats no request number:
    {"success":true,"conn_id":"aa01fbff","data":{"failTopics":[],
     "successTopics":["orderbook.100.BTC-6JAN23-18000-C"]},"type":"COMMAND_RESP"}
The answer to a ping: {"args":["1672916271846"],"op":"pong"}

Numbers are strings; msgspec reads them as numbers while it decodes (strict=False) and checks their
range, so that NaN, infinity, a sign or a word in their place is an error of the decoder.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from volgauge.adapters.bybit.endpoints import MAX_NUMBER, MAX_STAMP

Number = Annotated[float, Meta(ge=0.0, le=MAX_NUMBER)]
Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Milliseconds."""
UpdateId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = str | float | None


class Data(Struct, frozen=True, gc=False, rename="camel"):
    """Of `tickers.{symbol}`, in the order of the wire, or of `orderbook.25.{symbol}`."""

    bid_price: Number | None = None
    """Quote currency for one coin; the venue spells an absent side "0"."""
    bid_size: Number | None = None
    """Coins."""
    ask_price: Number | None = None
    ask_size: Number | None = None
    mark_price: Number | None = None
    index_price: Number | None = None
    mark_price_iv: Number | None = None
    """Fraction."""
    underlying_price: Number | None = None
    """Forward of the option's expiry."""
    open_interest: Number | None = None
    """Coins."""
    b: list[tuple[Number, Number]] | None = None
    """Bids, (price, size); size 0 deletes."""
    a: list[tuple[Number, Number]] | None = None
    u: UpdateId | None = None
    """Number of the update, one by one for each symbol."""


class Push(Struct, frozen=True, gc=False):
    """What the hot path decodes: once, a ticker as well as a book."""

    topic: str
    ts: Stamp
    type: str
    data: Data


class LooseData(Struct, frozen=True, gc=False, rename="camel"):
    """A ticker whose numbers are not all in range, or are spelled in another way.

    The fields are the first of `Data`, in its order.
    """

    bid_price: Text = None
    bid_size: Text = None
    ask_price: Text = None
    ask_size: Text = None
    mark_price: Text = None
    index_price: Text = None
    mark_price_iv: Text = None
    underlying_price: Text = None
    open_interest: Text = None


class Frame(Struct, frozen=True, gc=False):
    """Any frame, payload undecoded."""

    topic: str = ""
    ts: int | float | str = 0
    type: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""
    data: Raw = Raw(b"null")


class CommandData(Struct, frozen=True, gc=False, rename="camel"):
    """Of COMMAND_RESP: what became of each topic."""

    success_topics: list[str] = []
    fail_topics: list[str] = []


class StatusRow(Struct, frozen=True, gc=False, rename="camel"):
    """A maintenance, by `system.status` or by /v5/system/status.

    {"id":"4d95b2a0-587f-11f0-bcc9-56f28c94d6ea","title":"t06","state":"completed",
     "begin":"1751596902000","end":"1751597011000","serviceTypes":[2,3,4,5],"product":[1,2],
     "maintainType":1,"env":1,...}
    """

    id: str = ""
    state: str = ""
    service_types: list[int] = []
    product: list[int] = []
    env: int | str = ""


class Body(Struct, frozen=True, gc=False, rename="camel"):
    """Any REST answer.

    {"retCode":10001,"retMsg":"params error: symbol invalid","result":{},"retExtInfo":{},
     "time":1785032820661}
    """

    ret_code: int
    ret_msg: str = ""
    result: Raw = Raw(b"null")
    time: Stamp = 0


class Page(Struct, frozen=True, gc=False, rename="camel"):
    """A list, rows undecoded so that one bad row is one bad row."""

    list: list[Raw]
    next_page_cursor: str | None = None


class Cursor(Struct, frozen=True, gc=False, rename="camel"):
    """Of a page, how it goes on."""

    next_page_cursor: str | None = None


class PriceFilter(Struct, frozen=True, gc=False, rename="camel"):
    """Of an instrument."""

    tick_size: Number


class InstrumentRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of /v5/market/instruments-info?category=option; the strike is in the name only.

    {"symbol":"BTC-27MAR26-70000-P-USDT","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT",
     "settleCoin":"USDT","optionsType":"Put","launchTime":"1743669649256",
     "deliveryTime":"1774598400000","priceFilter":{"minPrice":"5","tickSize":"5",...},
     "lotSizeFilter":{"minOrderQty":"0.01",...},...}
    """

    symbol: str
    status: str
    base_coin: str
    settle_coin: str
    options_type: str
    delivery_time: Stamp
    price_filter: PriceFilter
    launch_time: Stamp | None = None


class TickerRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of /v5/market/tickers?category=option, whose names differ from the websocket's.

    {"symbol":"BTC-30DEC22-18000-C","bid1Price":"0","ask1Price":"435","markPrice":"0.00000009",
     "markIv":"0.7567","underlyingPrice":"16590.42","openInterest":"6.3",...}
    """

    symbol: str
    mark_price: Number | None = None
    mark_iv: Number | None = None
    open_interest: Number | None = None
    volume_24h: Text = field(name="volume24h", default=None)
    """Coins of 24 hours; read by `facts`, for a bad one must not cost the row."""


class PerpetualRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of /v5/market/tickers of the categories linear and inverse.

    {"symbol":"BTCUSD","indexPrice":"114890.92","openInterest":"240113967",
     "fundingRate":"0.0001","fundingIntervalHour":"8",...}
    """

    symbol: str
    index_price: Text = None
    open_interest: Text = None
    """Coins of a linear one, USD of an inverse one."""
    funding_rate: Text = None
    """Of one interval, decimal."""
    funding_interval_hour: Text = None


class Request(Struct, frozen=True, omit_defaults=True):
    """What we send: {"req_id":"1","op":"subscribe","args":[...]}."""

    req_id: str
    op: str
    args: tuple[str, ...] = ()
