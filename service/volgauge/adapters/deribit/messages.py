"""Deribit's frames, as far as we read them; the venue's own names.

A quote, the hot frame:
    {"jsonrpc":"2.0","method":"subscription","params":{"channel":"quote.BTC-31JUL26-67000-C",
     "data":{"timestamp":1785079023870,"instrument_name":"BTC-31JUL26-67000-C",
     "best_ask_price":0.0515,"best_bid_price":null,"best_ask_amount":12.4,"best_bid_amount":0.0}}}
An answer (a test_request has neither id nor result):
    {"jsonrpc":"2.0","id":3,"result":["quote.BTC-31JUL26-67000-C"],"usIn":1790133840888348,
     "usOut":1790133840889867,"usDiff":1519,"testnet":false}

Numbers are checked while they are decoded: JSON has no NaN, an overflow such as 1e999 and a
string for a number are errors of msgspec's, negative prices are errors of the types below.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

Price = Annotated[float, Meta(ge=0.0)] | None
"""Premium unit; the venue has spelled an absent side null, 0, 0.0 and by leaving it out."""
Amount = Annotated[float, Meta(ge=0.0)] | None
Stamp = Annotated[int, Meta(ge=0, le=9_223_372_036_853)]
"""Milliseconds; nanoseconds of the largest still fit 64 bits."""


class QuoteData(Struct, frozen=True, gc=False):
    """`quote.{instrument}`, in the order of the wire; the channel says which instrument."""

    timestamp: Stamp = 0
    best_ask_price: Price = None
    best_bid_price: Price = None
    best_ask_amount: Amount = None
    best_bid_amount: Amount = None


class QuoteParams(Struct, frozen=True, gc=False):
    """Of a notification; any channel decodes that sends an object."""

    channel: str = ""
    data: QuoteData = QuoteData()


class QuoteFrame(Struct, frozen=True, gc=False):
    """What the hot path decodes: once, and nothing it does not need."""

    params: QuoteParams = QuoteParams()


class Params(Struct, frozen=True, gc=False):
    """Of any notification or heartbeat."""

    channel: str = ""
    data: Raw = Raw(b"null")
    type: str = ""


class Error(Struct, frozen=True, gc=False):
    """Of a refusal: {"code":13778,"message":"raw_subscriptions_not_available_for_unauthorized"}."""

    code: int = 0
    message: str = ""


class Frame(Struct, frozen=True, gc=False):
    """Any frame, payloads undecoded."""

    params: Params | None = None
    id: int | str | None = None
    result: Raw = Raw(b"")
    error: Error | None = None
    method: str = ""


class LooseQuote(Struct, frozen=True, gc=False):
    """A quote whose numbers are numbers but not all in range."""

    timestamp: float = 0.0
    best_ask_price: float | None = None
    best_bid_price: float | None = None
    best_ask_amount: float | None = None
    best_bid_amount: float | None = None


class TickerData(Struct, frozen=True, gc=False):
    """`ticker.{instrument}.{interval}`; `mark_iv` in percent.

    {"timestamp":1757433676689,"open_interest":18.6,"mark_price":0.0001,"mark_iv":49.22,
     "best_bid_price":0.0001,"best_ask_price":0.0002,"underlying_price":110714.7602,
     "underlying_index":"SYN.BTC-10SEP25","best_ask_amount":4.1,"best_bid_amount":2.2,...}
    """

    timestamp: Stamp = 0
    best_ask_price: float | None = None
    best_bid_price: float | None = None
    best_ask_amount: float | None = None
    best_bid_amount: float | None = None
    underlying_price: float | None = None
    underlying_index: str | float = ""
    """A future, `SYN.` and a future, or `index_price`; OpenAPI wrongly says number."""
    open_interest: float | None = None
    mark_price: float | None = None
    mark_iv: float | None = None
    stats: "Stats | None" = None


class Stats(Struct, frozen=True, gc=False):
    """`stats` of a ticker: what was traded in 24 hours, in the underlying; null is not told."""

    volume: float | None = None


class BookData(Struct, frozen=True, gc=False):
    """`book.{instrument}.{interval}`, and grouped `book.{instrument}.{group}.{depth}.{interval}`.

    {"timestamp":1790133845258,"type":"change","change_id":193809650259,"bids":[],
     "asks":[["change",228.58,91.89]],"prev_change_id":193809644396}
    """

    timestamp: Stamp = 0
    type: str = ""
    change_id: int = 0
    prev_change_id: int | None = None
    bids: list[list[str | float]] = []
    asks: list[list[str | float]] = []


class MarkRow(Struct, frozen=True, gc=False):
    """A row of `markprice.options.{index}`; `iv` is a fraction here."""

    instrument_name: str = ""
    mark_price: float | None = None
    iv: float | None = None
    timestamp: Stamp = 0


class IndexData(Struct, frozen=True, gc=False):
    """`deribit_price_index.{index}`: {"index_name":"btc_usd","price":3937.89,"timestamp":...}."""

    price: float
    timestamp: Stamp = 0


class VolatilityData(Struct, frozen=True, gc=False):
    """`deribit_volatility_index.{index}`, percent."""

    volatility: float
    timestamp: Stamp = 0


class PlatformData(Struct, frozen=True, gc=False):
    """`platform_state`: {"price_index":"sol_usdc","locked":true} or {"maintenance":true}."""

    price_index: str = ""
    locked: bool | None = None
    maintenance: bool | None = None


class Status(Struct, frozen=True, gc=False):
    """Answer of public/status: {"locked":"partial","locked_indices":["btc_usd"]}."""

    locked: str | bool = False
    locked_indices: list[str] = []


class TickStep(Struct, frozen=True, gc=False):
    """A coarser tick above a price."""

    above_price: float
    tick_size: float


class InstrumentRow(Struct, frozen=True, gc=False):
    """A row of public/get_instruments; rows of 2019 have half of these keys."""

    instrument_name: str
    kind: str
    base_currency: str
    tick_size: float
    expiration_timestamp: int = 0
    """Combinations have none."""
    quote_currency: str = ""
    counter_currency: str = ""
    instrument_type: str = ""
    strike: float | None = None
    option_type: str = ""
    is_active: bool = True
    state: str = ""
    price_index: str = ""
    creation_timestamp: Stamp | None = None
    tick_size_steps: list[TickStep] = []


class SummaryRow(Struct, frozen=True, gc=False):
    """A row of public/get_book_summary_by_currency; of options both amounts are in coins.

    {"instrument_name":"BTC-PERPETUAL","open_interest":1012315080,"volume":4901.97704508,
     "funding_8h":5.06e-06,"estimated_delivery_price":76736.38,
     "creation_timestamp":1779460434086,...}
    """

    instrument_name: str
    open_interest: float | None = None
    volume: float | None = None
    funding_8h: float | None = None
    """Perpetuals only: what longs paid in the last 8 hours, decimal."""
    estimated_delivery_price: float | None = None
    """The price index."""
    creation_timestamp: Stamp = 0
    """Of the summary, in spite of its name."""


class ListBody(Struct, frozen=True, gc=False):
    """A REST answer that is a list, rows undecoded so that one bad row is one bad row."""

    result: list[Raw] | None = None
    error: Error | None = None


class Request(Struct, frozen=True):
    """What we send."""

    id: int
    method: str
    params: dict[str, object]
    jsonrpc: str = "2.0"
