"""Hand-made Bybit bodies and frames (synthetic, documented shapes)."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.protocol import BybitProtocol
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
STAMP = NOW_NS // NANOS_PER_MILLI + 123
NEAR, FAR = "2026-07-31T08:00:00Z", "2026-12-25T08:00:00Z"
CODES = {NEAR: "31JUL26", FAR: "25DEC26", "2026-07-02T08:00:00Z": "2JUL26"}
CALL = "BTC-31JUL26-60000-C-USDT"
FAR_CALL = "BTC-25DEC26-60000-C-USDT"


def option_row(
    name: str = CALL,
    expiry: str = NEAR,
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> dict[str, Any]:
    """A row of /v5/market/instruments-info."""
    coin, _, _, right, *settlement = name.split("-")
    settle = settlement[0] if settlement else "USDC"
    return {
        "symbol": name,
        "status": "Trading",
        "baseCoin": coin,
        "quoteCoin": settle,
        "settleCoin": settle,
        "optionsType": "Call" if right == "C" else "Put",
        "launchTime": "1782000000000",
        "deliveryTime": str(parse_instant(expiry) // NANOS_PER_MILLI),
        "deliveryFeeRate": "0.00015",
        "priceFilter": {"minPrice": "5", "maxPrice": "1110000", "tickSize": "5"},
        "lotSizeFilter": {"maxOrderQty": "500", "minOrderQty": "0.01", "qtyStep": "0.01"},
        "displayName": "",
    } | changes


def chain(
    strikes: Iterable[int], expiries: Sequence[str] = (NEAR, FAR), coin: str = "BTC"
) -> list[dict[str, Any]]:
    """Rows of calls and puts."""
    return [
        option_row(f"{coin}-{CODES[expiry]}-{strike}-{right}-USDT", expiry)
        for expiry in expiries
        for strike in strikes
        for right in "CP"
    ]


def body(rows: Sequence[object], cursor: str = "", *, code: int = 0, message: str = "OK") -> bytes:
    """A REST answer."""
    result = {"category": "option", "nextPageCursor": cursor, "list": rows}
    envelope = {"retCode": code, "retMsg": message, "result": result if not code else {}}
    return json.dumps(envelope | {"retExtInfo": {}, "time": STAMP}).encode()


def bodies(
    adapter: BybitAdapter,
    rows: Sequence[dict[str, Any]],
    tickers: Sequence[dict[str, Any]] = (),
    maintenances: Sequence[dict[str, Any]] = (),
) -> dict[str, bytes]:
    """All bodies that the adapter asks for, from rows of any coin."""
    found = {}
    for request in adapter.catalog_requests():
        coin, _, kind = request.name.partition(".")
        if kind == "options":
            found[request.name] = body([r for r in rows if coin in {"All", r["baseCoin"]}])
        elif kind == "tickers":
            found[request.name] = body([t for t in tickers if t["symbol"].startswith(coin)])
        elif request.is_optional:
            found[request.name] = body([perpetual_row(request.path.rpartition("=")[2])])
        else:
            found[request.name] = body(maintenances)
    return found


def perpetual_row(symbol: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """A row of the tickers of categories linear and inverse."""
    return {
        "symbol": symbol, "indexPrice": "60000", "markPrice": "60012.5", "openInterest": "12000",
        "fundingRate": "0.0001", "fundingIntervalHour": "8", "nextFundingTime": "1760371200000",
    } | changes  # fmt: skip


def make(sink: Sink, **settings: Any) -> BybitAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ("BTC", "ETH"))
    return BybitAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[dict[str, Any]],
    **settings: Any,  # noqa: ANN401 - any setting
) -> BybitAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)
    return adapter


def connection(adapter: BybitAdapter, topic: str) -> BybitProtocol:
    """The connection whose plan feeds an option by this topic."""
    (found,) = (
        protocol
        for protocol in adapter.connections()
        if protocol._subscriptions.plan.get(topic) is not None
    )
    return found


def push(topic: str, data: object, kind: str = "snapshot", stamp: int = STAMP) -> bytes:
    """A push frame."""
    frame = {"topic": topic, "ts": stamp, "type": kind, "id": f"{topic}-1-{stamp}", "data": data}
    return json.dumps(frame).encode()


def ticker(
    name: str = CALL,
    bid: str = "2500",
    ask: str = "2520",
    stamp: int = STAMP,
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> bytes:
    """A `tickers.{name}` frame."""
    data = {
        "symbol": name,
        "bidPrice": bid,
        "bidSize": "3",
        "bidIv": "0.53",
        "askPrice": ask,
        "askSize": "4.5",
        "askIv": "0.5419",
        "lastPrice": "2510",
        "markPrice": "2511.5",
        "indexPrice": "61000.5",
        "markPriceIv": "0.5421",
        "underlyingPrice": "61200.25",
        "openInterest": "18.93",
        "delta": "0.51",
        "predictedDeliveryPrice": "0",
    }
    return push(f"tickers.{name}", data | changes, stamp=stamp)


def book(
    update_id: int,
    bids: Sequence[tuple[str, str]] = (("2500", "3"), ("2490", "2")),
    asks: Sequence[tuple[str, str]] = (("2520", "4.5"), ("2530", "1")),
    kind: str = "snapshot",
    name: str = CALL,
    stamp: int = STAMP,
) -> bytes:
    """An `orderbook.25.{name}` frame."""
    data = {"s": name, "b": bids, "a": asks, "u": update_id, "seq": 7}
    return push(f"orderbook.25.{name}", data, kind, stamp)


def acknowledge(accepted: Sequence[str], failed: Sequence[str] = ()) -> bytes:
    """The option interface's answer."""
    data = {"failTopics": list(failed), "successTopics": list(accepted)}
    frame = {"success": True, "conn_id": "aa01fbff", "data": data, "type": "COMMAND_RESP"}
    return json.dumps(frame).encode()


def sent(protocol: BybitProtocol, op: str | None = None) -> list[dict[str, Any]]:
    """The requests that wait to be sent."""
    requests = [json.loads(frame) for frame in protocol.frames_to_send()]
    return [request for request in requests if op in {None, request["op"]}]


def settle(protocol: BybitProtocol, now_ns: int, *, steps: int = 100) -> int:
    """Answer everything as a willing venue would, until nothing is left; the time then."""
    for _ in range(steps):
        for request in sent(protocol):
            if request["op"] == "ping":
                protocol.receive(b'{"args":["1672916271846"],"op":"pong"}', now_ns)
            else:
                protocol.receive(acknowledge(request["args"]), now_ns)
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return now_ns
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def started(protocol: BybitProtocol) -> BybitProtocol:
    """A session with everything subscribed."""
    protocol.start(NOW_NS)
    settle(protocol, NOW_NS)
    return protocol
