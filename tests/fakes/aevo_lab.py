"""Hand-made Aevo bodies and frames (synthetic values, documented shapes)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.protocol import AevoProtocol
from volgauge.adapters.base import State
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
NEAR, FAR = "31JUL26", "25DEC26"
CALL, PUT = "BTC-31JUL26-60000-C", "BTC-31JUL26-60000-P"
FAR_CALL = "BTC-25DEC26-60000-C"
BOOKS, TICKERS, INDEX = "book-ticker:BTC:OPTION", "ticker-500ms:BTC:OPTION", "index:BTC"
STAMP = NOW_NS - 5_000_000
"""The venue's nanoseconds."""
NEVER = 2**63 - 1
Row = dict[str, Any]
Side = tuple[str, str] | None


def expiry_of(name: str) -> int:
    """08:00 UTC of the day in a name, in nanoseconds."""
    day = datetime.strptime(name.split("-")[1], "%d%b%y").replace(hour=8, tzinfo=UTC)
    return int(day.timestamp()) * NANOS_PER_SECOND


def option_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of /markets, its terms from its name."""
    base, _, strike, right = name.split("-")
    greeks = dict.fromkeys(("delta", "gamma", "rho", "theta", "vega", "iv"), "0.5")
    return {
        "instrument_id": "12", "instrument_name": name, "instrument_type": "OPTION",
        "underlying_asset": base, "quote_asset": "USDC", "price_step": "0.5",
        "amount_step": "0.01", "min_order_value": "10", "max_order_value": "1000000",
        "max_notional_value": "5000000", "mark_price": "2505", "forward_price": "61610",
        "index_price": "61000", "is_active": True,
        "option_type": "call" if right == "C" else "put", "expiry": str(expiry_of(name)),
        "strike": strike, "greeks": greeks, "max_leverage": "10",
    } | changes  # fmt: skip


def chain(
    strikes: Iterable[float], days: Sequence[str] = (NEAR, FAR), base: str = "BTC"
) -> list[Row]:
    """Rows of calls and puts."""
    return [
        option_row(f"{base}-{day}-{strike}-{right}")
        for day in days
        for strike in strikes
        for right in "CP"
    ]


def perpetual(base: str = "BTC", **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of /coingecko-statistics."""
    return {
        "ticker_id": f"{base}-PERP", "base_currency": base, "target_currency": "USD",
        "target_volume": "0", "product_type": "Perpetual", "open_interest": "6100000",
        "index_price": "61000", "index_currency": "USD", "next_funding_rate_timestamp": "0",
        "funding_rate": "0.0000125", "contract_type": "Vanilla", "contract_price_currency": "USD",
    } | changes  # fmt: skip


def bodies(rows: Sequence[object], perpetuals: Sequence[object] | None = None) -> dict[str, bytes]:
    """All bodies that the adapter asks for."""
    told = [perpetual()] if perpetuals is None else perpetuals
    return {"options": json.dumps(rows).encode(), "perpetuals": json.dumps(told).encode()}


def make(sink: Sink, **settings: Any) -> AevoAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ("BTC", "ETH"))
    return AevoAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[Row],
    **settings: Any,  # noqa: ANN401 - any setting
) -> AevoAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(rows), NOW_NS)
    return adapter


def level(side: Side) -> Row:
    """A side, `{}` without an order."""
    if side is None:
        return {}
    greeks = dict.fromkeys(("delta", "theta", "gamma", "rho", "vega", "iv"), "0.1")
    return {"price": side[0], **greeks, "amount": side[1]}


def row(
    name: str = CALL,
    bid: Side = ("2500", "3"),
    ask: Side = ("2510", "4.5"),
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> Row:
    """One ticker of a push."""
    return {
        "instrument_id": 12, "instrument_name": name, "instrument_type": "OPTION",
        "bid": level(bid), "ask": level(ask),
    } | changes  # fmt: skip


def push(channel: str, data: object) -> bytes:
    """A push frame."""
    return json.dumps({"channel": channel, "data": data}).encode()


def books(*rows: object, stamp: object = STAMP, channel: str = BOOKS) -> bytes:
    """A `book-ticker` frame."""
    return push(channel, {"timestamp": str(stamp), "tickers": list(rows) or [row()]})


def tickers(*rows: object, stamp: object = STAMP, channel: str = TICKERS) -> bytes:
    """A `ticker-500ms` frame; rows without a mark get one."""
    mark = {"price": "2505", "delta": "0.5", "iv": "0.515"}
    marked = [{"mark": mark} | dict(r) if isinstance(r, Mapping) else r for r in rows or [row()]]
    return push(channel, {"timestamp": str(stamp), "tickers": marked})


def index(coin: str = "BTC", price: str = "61000.5", stamp: object = STAMP) -> bytes:
    """The pulse."""
    return push(f"index:{coin}", {"price": price, "timestamp": str(stamp)})


def sent(protocol: AevoProtocol, op: str | None = None) -> list[Row]:
    """The requests that wait to be sent."""
    frames = [json.loads(frame) for frame in protocol.frames_to_send()]
    return [frame for frame in frames if op in {None, frame["op"]}]


def acknowledge(request: Row, refused: Sequence[str] = ()) -> bytes:
    """The answer to a request for channels."""
    accepted = [name for name in request["data"] if name not in refused]
    return json.dumps({"id": request["id"], "data": accepted}).encode()


def pong(request: Row) -> bytes:
    """The answer to a ping."""
    data = {"success": True, "timestamp": str(STAMP)}
    return json.dumps({"id": request["id"], "data": data}).encode()


def refusal(request: Row | None, word: str) -> bytes:
    """An error, of a request or of none."""
    number = {} if request is None else {"id": request["id"]}
    return json.dumps({**number, "error": word}).encode()


def too_fast(retry_after: str = "4406000000") -> bytes:
    """The documented refusal for speed."""
    return json.dumps(
        {
            "status": "error",
            "timestamp": "1664338190185908000",
            "error": "RATE_LIMIT_EXCEEDED",
            "data": {"retry_after": retry_after},
        }
    ).encode()


def settle(protocol: AevoProtocol, now_ns: int, *, steps: int = 100) -> int:
    """Answer everything as a willing venue would, until nothing is left; the time then."""
    for _ in range(steps):
        for request in sent(protocol):
            is_ping = request["op"] == "ping"
            protocol.receive(pong(request) if is_ping else acknowledge(request), now_ns)
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return now_ns
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def running(adapter: AevoAdapter, now_ns: int = NOW_NS) -> AevoProtocol:
    """The session started, everything accepted, first data received."""
    (protocol,) = adapter.connections()
    protocol.start(now_ns)
    settle(protocol, now_ns)
    protocol.receive(index(), now_ns)
    assert protocol.state is State.LIVE
    return protocol
