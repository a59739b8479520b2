"""Hand-made Binance bodies and frames (synthetic, documented shapes)."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.adapters.binance.protocol import BinanceProtocol
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
NOW_MS = NOW_NS // NANOS_PER_MILLI
NEAR, FAR = "260731", "261225"
CALL, PUT = "BTC-260731-60000-C", "BTC-260731-60000-P"
FAR_CALL = "BTC-261225-60000-C"
RIPPLE = "XRP-260731-2.05-P"
RATE = "0.05"
Row = dict[str, Any]


def expiry_of(name: str) -> int:
    """08:00 UTC of the day in a name, in ms."""
    date = name.split("-")[1]
    day = f"20{date[:2]}-{date[2:4]}-{date[4:]}T08:00:00Z"
    return parse_instant(day) // NANOS_PER_MILLI


def option_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of exchangeInfo's optionSymbols, its terms from its name."""
    base, _, strike, right = name.split("-")
    tick = {"XRP": "0.01"}.get(base, "5")
    return {
        "symbol": name,
        "side": "CALL" if right == "C" else "PUT",
        "strikePrice": strike,
        "underlying": f"{base}USDT",
        "unit": {"XRP": 100}.get(base, 1),
        "expiryDate": expiry_of(name),
        "quoteAsset": "USDT",
        "status": "TRADING",
        "minQty": "0.01",
        "maxQty": "100",
        "priceScale": 2,
        "quantityScale": 2,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "80000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "100", "stepSize": "0.01"},
        ],
    } | changes


def chain(
    strikes: Iterable[float], dates: Sequence[str] = (NEAR, FAR), base: str = "BTC"
) -> list[Row]:
    """Rows of calls and puts."""
    return [
        option_row(f"{base}-{date}-{strike}-{right}")
        for date in dates
        for strike in strikes
        for right in "CP"
    ]


def info(rows: Sequence[object], **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The body of exchangeInfo."""
    return json.dumps(
        {"timezone": "UTC", "serverTime": NOW_MS, "optionContracts": [], "optionSymbols": rows}
        | changes
    ).encode()


def rest_mark(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of GET /eapi/v1/mark."""
    return {
        "symbol": name, "markPrice": "3000.5", "bidIV": "0.45", "askIV": "0.47", "markIV": "0.46",
        "delta": "0.5", "theta": "-40.1", "gamma": "0.00002", "vega": "80.2",
        "highPriceLimit": "9000", "lowPriceLimit": "5", "riskFreeInterest": RATE,
    } | changes  # fmt: skip


def bodies(rows: Sequence[Row], marks: Sequence[Row] | None = None) -> dict[str, bytes]:
    """All bodies of a catalog; without `marks` every option has one."""
    told = [rest_mark(row["symbol"]) for row in rows] if marks is None else marks
    volumes = [{"symbol": row["symbol"], "volume": "5", "amount": "1"} for row in rows]
    found: dict[str, object] = {"mark": told, "ticker": volumes, "funding_info": []}
    for symbol in {str(row["underlying"]) for row in rows}:
        found |= perpetual(symbol)
    return {"exchange_info": info(rows)} | {n: json.dumps(b).encode() for n, b in found.items()}


def perpetual(symbol: str, **changes: Any) -> dict[str, object]:  # noqa: ANN401 - any JSON value
    """Bodies of a perpetual: premiumIndex and openInterest."""
    premium = {
        "symbol": symbol, "markPrice": "61002.1", "indexPrice": "61000.0",
        "estimatedSettlePrice": "61001", "lastFundingRate": "0.00010000",
        "interestRate": "0.00010000", "nextFundingTime": NOW_MS + 3_600_000, "time": NOW_MS,
    }  # fmt: skip
    interest = {"symbol": symbol, "openInterest": "10659.509", "time": NOW_MS - 500}
    return {f"{symbol}.funding": premium | changes, f"{symbol}.interest": interest | changes}


def make(sink: Sink, **settings: Any) -> BinanceAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ())
    return BinanceAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[Row],
    **settings: Any,  # noqa: ANN401 - any setting
) -> BinanceAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(rows), NOW_NS)
    return adapter


def push(stream: str, data: object) -> bytes:
    """A frame of a combined stream."""
    return json.dumps({"stream": stream, "data": data}).encode()


def top(
    name: str = CALL,
    bid: str = "3000",
    ask: str = "3050",
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> bytes:
    """A `bookTicker` frame."""
    data = {
        "e": "bookTicker", "u": 7, "s": name, "b": bid, "B": "3.5", "a": ask, "A": "4.5",
        "T": NOW_MS, "E": NOW_MS,
    } | changes  # fmt: skip
    return push(f"{name.lower()}@bookTicker", data)


def book(name: str = CALL, depth: int = 10, **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A frame of a partial book."""
    data = {
        "e": "depthUpdate", "E": NOW_MS, "T": NOW_MS, "s": name, "U": 5, "u": 7, "pu": 4,
        "b": [["3000", "3.5"], ["2995", "1"]], "a": [["3050", "4.5"], ["3055", "2"]],
    } | changes  # fmt: skip
    return push(f"{name.lower()}@depth{depth}@100ms", data)


def mark(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of `optionMarkPrice`."""
    return {
        "s": name, "mp": "3010.5", "E": NOW_MS, "e": "markPrice", "i": "61000", "P": "0.000",
        "bo": "3000", "ao": "3050", "bq": "3.5", "aq": "4.5", "b": "0.45", "a": "0.47",
        "hl": "8450.000", "ll": "940.000", "vo": "0.46", "rf": RATE, "d": "0.5", "t": "-35.4",
        "g": "0.00002", "v": "80.2",
    } | changes  # fmt: skip


def marks(rows: Sequence[object], underlying: str = "btcusdt") -> bytes:
    """A chain."""
    return push(f"{underlying}@optionMarkPrice", rows)


def indices(price: str = "61000.5", symbol: str = "BTCUSDT") -> bytes:
    """A frame of `!index@arr`."""
    return push("!index@arr", [{"e": "indexPrice", "E": NOW_MS, "s": symbol, "p": price}])


def interest(name: str = CALL, contracts: str = "123.45") -> bytes:
    """A frame of open interest."""
    row = {"e": "openInterest", "E": NOW_MS, "s": name, "o": contracts, "h": "0"}
    return push(f"btcusdt@optionOpenInterest@{name.split('-')[1]}", [row])


def symbol(name: str = CALL, **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A frame of `!optionSymbol`."""
    data = {
        "e": "optionSymbol", "E": NOW_MS, "s": name, "ps": "BTCUSDT", "qa": "USDT", "d": "CALL",
        "sp": "60000", "dt": expiry_of(name), "u": 1, "ot": NOW_MS - 1000, "cs": "TRADING",
    } | changes  # fmt: skip
    return push("!optionSymbol", data)


def answer(number: int) -> bytes:
    """What the venue says to every request that it can read."""
    return json.dumps({"result": None, "id": number}).encode()


def refusal(number: int | None, code: int, message: str) -> bytes:
    """An error, of a request or of none."""
    error = {"code": code, "msg": message}
    return json.dumps(error if number is None else {"error": error, "id": number}).encode()


def sent(protocol: BinanceProtocol) -> list[Row]:
    """The requests that wait to be sent."""
    return [json.loads(frame) for frame in protocol.frames_to_send()]


def settle(protocol: BinanceProtocol, now_ns: int, *, steps: int = 60) -> list[str]:
    """Answer everything until nothing is left; the streams that were subscribed, in order."""
    streams: list[str] = []
    for _ in range(steps):
        for request in sent(protocol):
            protocol.receive(answer(request["id"]), now_ns)
            if request["method"] == "SUBSCRIBE":
                streams += request["params"]
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return streams
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def connection(adapter: BinanceAdapter, name: str) -> BinanceProtocol:
    """A session by its name."""
    return next(p for p in adapter.connections() if p.connection == name)


def running(
    protocol: BinanceProtocol, data: bytes | None = None, now_ns: int = NOW_NS
) -> BinanceProtocol:
    """Started, everything answered, first data received."""
    protocol.start(now_ns)
    settle(protocol, now_ns)
    if data is None:
        data = marks([mark()]) if protocol.is_market else top()
    protocol.receive(data, now_ns)
    assert protocol.state is State.LIVE
    return protocol
