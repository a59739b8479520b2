"""Delta's frames, as far as we read them.

The top of a book, the hot frame; sizes are contracts, a side without orders is null:
    {"ask_qty":"1950","best_ask":"4964.5","best_bid":"4802","bid_qty":"4356","last_sequence_no":
     1680307203966299,"last_updated_at":1680307203784000,"product_id":103877,"symbol":
     "P-BTC-33000-210423","timestamp":1680307203966299,"type":"l1_orderbook"}
A ticker; `oi` and `volume` are coins:
    {"type":"v2/ticker","symbol":"C-BTC-79500-250926","contract_type":"call_options","timestamp":
     1790318040249114,"spot_price":"84020","mark_price":"4522.51410849","quotes":{"best_bid":"4496",
     "bid_size":"4104","best_ask":"4544","ask_size":"2731","bid_iv":"0.000005","ask_iv":
     "1.17031194","mark_iv":"0.85322924","impact_mid_price":null},"oi":"0.7850","volume":0.601,...}
The price of an index; its time is not told:
    {"s":".DEXBTUSDT","p":84020.5,"type":"v2/spot_price"}
A whole book, never asked for, but recordings have it:
    {"buy":[{"depth":"1432","limit_price":"1241.00","size":1432},...],"sell":[...],"symbol":
     "C-ETH-3200-311221","timestamp":1638147282151129,"type":"l2_orderbook",...}
The answer to a subscribe; a channel that is refused has `error` instead of symbols:
    {"type":"subscriptions","channels":[{"name":"l1_orderbook","symbols":["P-BTC-33000-210423"]},
     {"name":"nope","error":"subscription forbidden on this invalid channel"}]}
A request refused as a whole:
    {"message":"Subscription forbidden: Invalid channel array","type":"error"}
What goes on: {"type":"announcements","event":"maintenance_started",...}, {"type":
    "product_updates","event":"market_disruption","product":{"symbol":...},...}
The heartbeat: {"type":"heartbeat","ts_origin":1790137294966147,"ts_publish":1790137294966147}

Numbers are strings or numbers; msgspec reads both as numbers while it decodes (strict=False) and
checks their range.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from volgauge.adapters.delta.endpoints import MAX_NUMBER, MAX_STAMP

Number = Annotated[float, Meta(ge=0.0, le=MAX_NUMBER)]
Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Microseconds."""
Text = str | float | None
TOPS, TICKERS, INDICES = "l1_orderbook", "v2/ticker", "v2/spot_price"
BOOKS = "l2_orderbook"
ANNOUNCEMENTS, UPDATES = "announcements", "product_updates"
"""Channels; the frames of each have its name as their `type`."""


class Top(Struct, frozen=True, gc=False, tag_field="type", tag=TOPS):
    """Best bid and ask."""

    symbol: str
    timestamp: Stamp
    best_bid: Number | None = None
    bid_qty: Number | None = None
    best_ask: Number | None = None
    ask_qty: Number | None = None


class Quotes(Struct, frozen=True, gc=False):
    """`quotes` of a ticker; volatilities are fractions."""

    best_bid: Number | None = None
    bid_size: Number | None = None
    best_ask: Number | None = None
    ask_size: Number | None = None
    mark_iv: Number | None = None


class Ticker(Struct, frozen=True, gc=False, tag_field="type", tag=TICKERS):
    """What is known of an option; every 5 s."""

    symbol: str
    timestamp: Stamp
    mark_price: Number | None = None
    spot_price: Number | None = None
    oi: Number | None = None
    """Coins."""
    volume: Number | None = None
    """Coins, of 24 hours; `size` is the same in contracts."""
    quotes: Quotes | None = None


Hot = Top | Ticker
"""What the hot path decodes: once, and nothing it does not need."""


class LooseTop(Struct, frozen=True, gc=False):
    """A top of book with numbers out of range or spelled in another way."""

    symbol: str
    timestamp: Stamp
    best_bid: Text = None
    bid_qty: Text = None
    best_ask: Text = None
    ask_qty: Text = None


class LooseQuotes(Struct, frozen=True, gc=False):
    """The same of `quotes`."""

    best_bid: Text = None
    bid_size: Text = None
    best_ask: Text = None
    ask_size: Text = None
    mark_iv: Text = None


class LooseTicker(Struct, frozen=True, gc=False):
    """The same of a ticker."""

    symbol: str
    timestamp: Stamp
    mark_price: Text = None
    spot_price: Text = None
    oi: Text = None
    volume: Text = None
    quotes: LooseQuotes | None = None


class Index(Struct, frozen=True, gc=False, rename={"symbol": "s", "price": "p"}):
    """Of `v2/spot_price`."""

    symbol: str
    price: Number


class Level(Struct, frozen=True, gc=False):
    """Of a whole book."""

    limit_price: Number
    size: Number


class Book(Struct, frozen=True, gc=False):
    """Of `l2_orderbook`, best first."""

    symbol: str
    buy: list[Level]
    sell: list[Level]
    timestamp: Stamp = 0


class Channel(Struct, frozen=True, gc=False):
    """One channel of a `subscriptions` frame; without symbols it has none or needs none."""

    name: str
    symbols: list[str] = []
    error: str | None = None


class Subscribed(Struct, frozen=True, gc=False):
    """The answer to a subscribe: all that the session is subscribed to."""

    channels: list[Channel]


class Named(Struct, frozen=True, gc=False):
    """A product, an asset or an index, as far as we read it."""

    symbol: str


class Update(Struct, frozen=True, gc=False):
    """Of `product_updates`: `market_disruption`, `start_auction` or `finish_auction`."""

    event: str
    product: Named


class Frame(Struct, frozen=True, gc=False):
    """Any frame: what it is."""

    type: str = ""
    symbol: str = ""
    event: str = ""
    message: str = ""


class Asked(Struct, frozen=True, omit_defaults=True):
    """A channel of a request."""

    name: str
    symbols: tuple[str, ...] = ()


class Payload(Struct, frozen=True):
    """Of a request."""

    channels: list[Asked]


class Request(Struct, frozen=True):
    """What we send."""

    type: str
    payload: Payload


class Specs(Struct, frozen=True, gc=False):
    """`product_specs` of a perpetual."""

    rate_exchange_interval: int | None = None
    """Seconds between two payments of funding."""


class ProductRow(Struct, frozen=True, gc=False):
    """A row of GET /v2/products.

    {"symbol":"C-BTC-59000-301121","contract_type":"call_options","state":"live","trading_status":
     "operational","strike_price":"59000","settlement_time":"2021-11-30T12:00:00Z","launch_time":
     "2021-11-29T00:45:11Z","tick_size":"0.5","contract_value":"0.001","contract_unit_currency":
     "BTC","notional_type":"vanilla","is_quanto":false,"underlying_asset":{"symbol":"BTC",...},
     "quoting_asset":{"symbol":"USDT",...},"settling_asset":{"symbol":"USDT",...},"spot_index":
     {"symbol":".DEXBTUSDT",...},...}
    """

    symbol: str
    contract_type: str
    state: str
    contract_value: Number
    tick_size: Number
    notional_type: str
    quoting_asset: Named
    underlying_asset: Named
    trading_status: str = ""
    strike_price: Number | None = None
    settlement_time: str | None = None
    launch_time: str | None = None
    contract_unit_currency: str | None = None
    is_quanto: bool = False
    settling_asset: Named | None = None
    spot_index: Named | None = None
    product_specs: Specs | None = None


class PerpetualRow(Struct, frozen=True, gc=False):
    """A row of GET /v2/tickers."""

    symbol: str
    timestamp: Stamp = 0
    funding_rate: Text = None
    """Per cent, of one interval."""
    oi_contracts: Text = None


class Reason(Struct, frozen=True, gc=False):
    """`error` of a REST answer."""

    code: str = ""


class Cursors(Struct, frozen=True, gc=False):
    """`meta` of a REST answer."""

    after: str | None = None
    """Cursor of the next page; null on the last one."""


class Body(Struct, frozen=True, gc=False):
    """A REST answer, rows undecoded so that one bad row is one bad row."""

    result: list[Raw] | None = None
    """None in a refusal."""
    success: bool = False
    meta: Cursors | None = None
    error: Reason | str | None = None


class Settings(Struct, frozen=True, gc=False):
    """`result` of GET /v2/settings."""

    under_maintenance: str | bool


class State(Struct, frozen=True, gc=False):
    """GET /v2/settings: {"result":{"under_maintenance":"false",...},"success":true}."""

    result: Settings
