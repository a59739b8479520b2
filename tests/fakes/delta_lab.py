"""Hand-made Delta bodies and frames (synthetic values, documented shapes)."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.adapters.delta.protocol import DeltaProtocol
from volgauge.domain.units import NANOS_PER_MICRO, NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T10:00:00Z")
NEAR, FAR = "310726", "251226"
CALL, PUT = "C-BTC-60000-310726", "P-BTC-60000-310726"
FAR_CALL = "C-BTC-60000-251226"
INDEX = ".DEXBTUSDT"
STAMP = NOW_NS // NANOS_PER_MICRO - 45_123
NEVER = 2**63 - 1
SIZES = {"BTC": "0.001", "ETH": "0.01", "SOL": "1"}
INDICES = {"BTC": INDEX, "ETH": ".DEETHUSDT", "SOL": ".DESOLUSDT"}
Row = dict[str, Any]


def instant_of(name: str) -> str:
    """12:00 UTC of the day in a name."""
    date = name.split("-")[3]
    return f"20{date[4:]}-{date[2:4]}-{date[:2]}T12:00:00Z"


def expiry_of(name: str) -> int:
    """The same in nanoseconds."""
    return parse_instant(instant_of(name))


def option_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of GET /v2/products, its terms from its name."""
    right, base, strike, _ = name.split("-")
    return {
        "id": 21644,
        "symbol": name,
        "contract_type": "call_options" if right == "C" else "put_options",
        "state": "live",
        "trading_status": "operational",
        "strike_price": strike,
        "settlement_time": instant_of(name),
        "launch_time": "2026-06-28T00:45:11Z",
        "tick_size": "0.1",
        "contract_value": SIZES.get(base, "1"),
        "contract_unit_currency": base,
        "notional_type": "vanilla",
        "is_quanto": False,
        "underlying_asset": {"id": 2, "symbol": base, "name": base},
        "quoting_asset": {"id": 5, "symbol": "USDT", "name": "Tether"},
        "settling_asset": {"id": 5, "symbol": "USDT", "name": "Tether"},
        "spot_index": {"symbol": INDICES.get(base, f".DE{base}USDT"), "index_type": "spot_pair"},
        "product_specs": {"max_volatility": 3, "min_volatility": 0.3},
        "product_notes": "not for us",
    } | changes


def perpetual_row(base: str = "BTC", **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of a perpetual."""
    terms = option_row(f"C-{base}-1-310726")
    return (
        terms
        | {
            "symbol": f"{base}USDT",
            "contract_type": "perpetual_futures",
            "strike_price": None,
            "settlement_time": None,
            "product_specs": {"rate_exchange_interval": 28800, "funding_clamp_value": 0.05},
        }
        | changes
    )


def perpetual(base: str = "BTC", **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of GET /v2/tickers; the rate is per cent of one interval."""
    return {
        "symbol": f"{base}USDT",
        "contract_type": "perpetual_futures",
        "funding_rate": "0.01",
        "oi": "812.61",
        "oi_contracts": "812610",
        "timestamp": STAMP,
        "quotes": {"best_ask": "60001", "best_bid": "60000"},
    } | changes


def chain(
    strikes: Iterable[float], dates: Sequence[str] = (NEAR, FAR), base: str = "BTC"
) -> list[Row]:
    """Rows of calls and puts."""
    return [
        option_row(f"{right}-{base}-{strike}-{date}")
        for date in dates
        for strike in strikes
        for right in "CP"
    ]


def body(result: object, after: str | None = None) -> bytes:
    """A REST answer."""
    meta = {"after": after, "before": None, "limit": 1000}
    return json.dumps({"success": True, "result": result, "meta": meta}).encode()


def refusal_body(code: str = "internal_server_error") -> bytes:
    """A refused one."""
    return json.dumps({"success": False, "error": {"code": code, "context": {}}}).encode()


def bodies(rows: Sequence[Row], perpetuals: Sequence[Row] = ()) -> dict[str, bytes]:
    """All bodies that the adapter asks for."""
    return {
        "products": body(list(rows)),
        "settings": settings_body(),
        "perpetuals": body(list(perpetuals)),
    }


def settings_body(word: object = "false") -> bytes:
    """The body of GET /v2/settings."""
    told = {"server_time": STAMP, "under_maintenance": word}
    return json.dumps({"result": told, "success": True}).encode()


def make(sink: Sink, **settings: Any) -> DeltaAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ("BTC", "ETH"))
    return DeltaAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[Row],
    **settings: Any,  # noqa: ANN401 - any setting
) -> DeltaAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(rows), NOW_NS)
    return adapter


def frame(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A frame of a type."""
    return json.dumps(fields | {"type": kind}).encode()


def top(name: str = CALL, **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """An `l1_orderbook` frame."""
    fields = {
        "ask_qty": "1950", "best_ask": "2510.5", "best_bid": "2500", "bid_qty": "4356",
        "last_sequence_no": STAMP, "last_updated_at": STAMP - 180_000, "product_id": 103877,
        "symbol": name, "timestamp": STAMP,
    }  # fmt: skip
    return frame("l1_orderbook", **fields | changes)


def ticker(name: str = CALL, quotes: Row | None = None, **changes: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """A `v2/ticker` frame; `quotes` changes its quotes."""
    told = {
        "best_bid": "2490", "bid_size": "4104", "best_ask": "2520", "ask_size": "2731",
        "bid_iv": "0.34", "ask_iv": "0.36", "mark_iv": "0.35", "impact_mid_price": None,
    }  # fmt: skip
    fields = {
        "symbol": name, "product_id": 151279, "contract_type": "call_options",
        "underlying_asset_symbol": name.split("-")[1], "strike_price": "60000", "timestamp": STAMP,
        "spot_price": "61000.5", "mark_price": "2505.5", "quotes": told | (quotes or {}),
        "greeks": {"delta": "0.55", "vega": "71.9"}, "oi": "0.7850", "volume": 0.601, "size": 601,
    }  # fmt: skip
    return frame("v2/ticker", **fields | changes)


def index(symbol: str = INDEX, price: object = 61_000.5) -> bytes:
    """The price that every connection carries."""
    return frame("v2/spot_price", s=symbol, p=price)


def heartbeat() -> bytes:
    """What comes once it is enabled."""
    return frame("heartbeat", ts_origin=STAMP, ts_publish=STAMP)


def subscribed(*channels: Row) -> bytes:
    """The answer to a subscribe."""
    return frame("subscriptions", channels=list(channels))


def sent(protocol: DeltaProtocol) -> list[Row]:
    """What waits to be sent."""
    return [json.loads(text) for text in protocol.frames_to_send()]


def requests(protocol: DeltaProtocol) -> list[tuple[str, str, list[str]]]:
    """Of it, the requests: method, channel, symbols."""
    found = []
    for request in sent(protocol):
        if "payload" in request:
            (channel,) = request["payload"]["channels"]
            found.append((request["type"], channel["name"], channel.get("symbols", [])))
    return found


def settle(
    protocol: DeltaProtocol, now_ns: int, *, refuse: Iterable[str] = ()
) -> list[tuple[str, str, list[str]]]:
    """Answer everything as a willing venue would, until nothing is left; what was asked."""
    refused, found = set(refuse), []
    for _ in range(100):
        batch = requests(protocol)
        found += batch
        for method, name, symbols in batch:
            told: Row = {"name": name, "symbols": [s for s in symbols if s not in refused]}
            if symbols and not told["symbols"]:
                told = {"name": name, "error": "subscription forbidden on this invalid channel"}
            if method == "subscribe":
                protocol.receive(subscribed(told), now_ns)
            else:
                protocol.receive(frame("unsubscribed", channels=[]), now_ns)
        due = protocol.next_timeout_ns
        if not batch and (due is None or due > now_ns + 3 * NANOS_PER_SECOND):
            return found
        if not batch and due is not None:
            now_ns = max(now_ns, due)
            protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def running(protocol: DeltaProtocol, now_ns: int = NOW_NS) -> DeltaProtocol:
    """Started, everything accepted, first data received."""
    protocol.start(now_ns)
    settle(protocol, now_ns)
    protocol.receive(index(), now_ns)
    assert protocol.state is State.LIVE
    return protocol
