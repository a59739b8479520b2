"""Hand-made Derive bodies and frames (synthetic values, documented shapes)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.protocol import DeriveProtocol
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
NEAR, FAR = "20260731", "20261225"
CALL, PUT = "BTC-20260731-60000-C", "BTC-20260731-60000-P"
FAR_CALL = "BTC-20261225-60000-C"
STAMP = 1_782_907_200_123
NEVER = 2**63 - 1
Row = dict[str, Any]


def expiry_of(name: str) -> int:
    """08:00 UTC of the day in a name, in nanoseconds."""
    date = name.split("-")[1]
    return parse_instant(f"{date[:4]}-{date[4:6]}-{date[6:]}T08:00:00Z")


def option_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of public/get_all_instruments, its terms from its name."""
    base, _, strike, right = name.split("-")
    expiry = expiry_of(name) // NANOS_PER_SECOND
    return {
        "amount_step": "0.00001",
        "base_asset_address": "0x0000000000000000000000000000000000000001",
        "base_currency": base,
        "instrument_name": name,
        "instrument_type": "option",
        "is_active": True,
        "option_details": {
            "expiry": expiry,
            "index": f"{base}-USD",
            "option_type": right,
            "settlement_price": None,
            "strike": strike,
        },
        "perp_details": None,
        "quote_currency": "USDC",
        "scheduled_activation": 1_782_000_000,
        "scheduled_deactivation": expiry - 60,
        "tick_size": "1",
    } | changes


def details(**changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """Changes of the terms of the near call."""
    return {"option_details": option_row()["option_details"] | changes}


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


def body(result: object) -> bytes:
    """A REST answer."""
    return json.dumps({"id": "74af1537", "result": result}).encode()


def error_body(code: int, message: str) -> bytes:
    """A refusal."""
    return json.dumps({"id": "74af1537", "error": {"code": code, "message": message}}).encode()


def page(rows: Sequence[object], count: int | None = None, pages: int = 1) -> bytes:
    """A page of a listing."""
    pagination = {"count": len(rows) if count is None else count, "num_pages": pages}
    return body({"instruments": rows, "pagination": pagination})


def incidents(*severities: str) -> bytes:
    """What goes on."""
    return body(
        {
            "incidents": [
                {
                    "creation_timestamp_sec": 1_782_900_000,
                    "label": "matching",
                    "message": "",
                    "monitor_type": "auto",
                    "severity": severity,
                }
                for severity in severities
            ]
        }
    )


def bodies(adapter: DeriveAdapter, rows: Sequence[Row]) -> dict[str, bytes]:
    """All bodies that the adapter asks for, from rows of any coin, one page each."""
    found = {"incidents": incidents()}
    for request in adapter.catalog_requests():
        coin, _, kind = request.name.partition(".")
        if kind:
            mine = [row for row in rows if coin in {"all", row["instrument_name"].split("-")[0]}]
            found[request.name] = page(mine)
    coins = {row["instrument_name"].split("-")[0] for row in rows}
    found["perpetuals"] = perpetuals({f"{coin}-PERP": perpetual() for coin in coins})
    return found


def perpetual(**changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A slim ticker of a perpetual."""
    stats = {"c": "3088.047", "h": "0", "l": "0", "n": 1, "oi": "4248.342", "p": "0", "pr": "0"}
    return {
        "A": "1.5", "B": "1.5", "I": "60000", "M": "60010", "a": "60011", "b": "60009",
        "f": "0.0000125", "maxp": "61000", "minp": "59000", "option_pricing": None,
        "stats": stats | {"v": "6249174.098"}, "t": NOW_NS // 1_000_000 - 500,
    } | changes  # fmt: skip


def perpetuals(tickers: Row) -> bytes:
    """The body of public/get_tickers."""
    return json.dumps({"id": "1", "result": {"tickers": tickers}}).encode()


def make(sink: Sink, **settings: Any) -> DeriveAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ("BTC", "ETH"))
    return DeriveAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[Row],
    **settings: Any,  # noqa: ANN401 - any setting
) -> DeriveAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)
    return adapter


def push(channel: str, data: object) -> bytes:
    """A push frame."""
    return json.dumps(
        {"method": "subscription", "params": {"channel": channel, "data": data}}
    ).encode()


def slim(pricing: Mapping[str, Any] | None = None, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """The content of a ticker; `pricing` changes its `option_pricing`."""
    return {
        "A": "4.5", "B": "3", "I": "61000.5", "M": "2505", "a": "2510", "b": "2500", "f": None,
        "maxp": "4000", "minp": "1000",
        "option_pricing": {
            "ai": "0.52", "bi": "0.51", "d": "0.55", "df": "1", "f": "61234", "g": "0.00001",
            "i": "0.515", "m": "2505", "r": "200.5", "t": "-40", "v": "60",
        } | dict(pricing or {}),
        "stats": {
            "c": "0", "h": "0", "l": "0", "n": 0, "oi": "42.13", "p": "0", "pr": "0", "v": "0",
        },
        "t": STAMP,
    } | changes  # fmt: skip


def ticker(
    name: str = CALL,
    pricing: Mapping[str, Any] | None = None,
    *,
    interval: str = "100",
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> bytes:
    """A `ticker_slim` frame."""
    data = {"instrument_ticker": slim(pricing, **changes), "timestamp": STAMP}
    return push(f"ticker_slim.{name}.{interval}", data)


def spot(coin: str = "BTC", price: str = "61000.5") -> bytes:
    """The price that every connection carries."""
    feed = {"price": price, "confidence": "1", "price_prev_daily": "60000"}
    return push(f"spot_feed.{coin}", {"feeds": {coin: feed}, "timestamp": STAMP})


def sent(protocol: DeriveProtocol, method: str | None = None) -> list[Row]:
    """The requests that wait to be sent."""
    frames = [json.loads(frame) for frame in protocol.frames_to_send()]
    return [frame for frame in frames if method in {None, frame["method"]}]


def acknowledge(request: Row, refused: Mapping[str, str] | None = None) -> bytes:
    """The answer to a request for channels; `refused` has the reasons."""
    status = dict.fromkeys(request["params"]["channels"], "ok") | dict(refused or {})
    result = {"current_subscriptions": [], "status": status}
    return json.dumps({"id": request["id"], "result": result}).encode()


def told_time(request: Row) -> bytes:
    """The answer to a ping."""
    return json.dumps({"id": request["id"], "result": STAMP}).encode()


def refusal(request: Row | None, code: int, message: str = "because") -> bytes:
    """An error, of a request or of none."""
    number = None if request is None else request["id"]
    return json.dumps({"id": number, "error": {"code": code, "message": message}}).encode()


def settle(protocol: DeriveProtocol, now_ns: int, *, steps: int = 100) -> int:
    """Answer everything as a willing venue would, until nothing is left; the time then."""
    for _ in range(steps):
        for request in sent(protocol):
            is_ping = request["method"] == "public/get_time"
            protocol.receive(told_time(request) if is_ping else acknowledge(request), now_ns)
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return now_ns
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def running(protocol: DeriveProtocol, now_ns: int = NOW_NS) -> DeriveProtocol:
    """Started, everything accepted, first data received."""
    protocol.start(now_ns)
    settle(protocol, now_ns)
    protocol.receive(spot(), now_ns)
    assert protocol.state is State.LIVE
    return protocol
