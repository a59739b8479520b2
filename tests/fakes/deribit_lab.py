"""Hand-made Deribit bodies and frames (synthetic, documented shapes), and a sink that keeps all."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.adapters.deribit.protocol import DeribitProtocol
from volgauge.domain.events import AnyEvent
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
NEAR, FAR = "2026-07-31T08:00:00Z", "2026-12-25T08:00:00Z"
CODES = {NEAR: "31JUL26", FAR: "25DEC26", "2026-07-02T08:00:00Z": "2JUL26"}
Quote = tuple[int, float, float, float, float, int, int]


class Sink:
    """Keeps everything that it is told, in order."""

    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.events: list[AnyEvent] = []

    def quote(
        self,
        slot: int,
        bid: float,
        ask: float,
        bid_size: float,
        ask_size: float,
        exchange_ns: int,
        received_ns: int,
    ) -> None:
        """Keep a quote."""
        self.quotes.append((slot, bid, ask, bid_size, ask_size, exchange_ns, received_ns))

    def event(self, event: AnyEvent) -> None:
        """Keep an event."""
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        """The events of one type."""
        return [event for event in self.events if isinstance(event, kind)]


def option_row(
    name: str = "BTC-31JUL26-60000-C",
    expiry: str = NEAR,
    strike: float | None = 60_000.0,
    base: str = "BTC",
    **changes: Any,  # noqa: ANN401 - any JSON value
) -> dict[str, Any]:
    """A row of public/get_instruments, inverse unless the name says otherwise."""
    linear = "_USDC" in name
    return {
        "base_currency": base,
        "contract_size": 1.0,
        "counter_currency": "USDC" if linear else "USD",
        "creation_timestamp": 1_782_000_000_000,
        "expiration_timestamp": parse_instant(expiry) // NANOS_PER_MILLI,
        "instrument_id": 659_913,
        "instrument_name": name,
        "instrument_type": "linear" if linear else "reversed",
        "is_active": True,
        "kind": "option",
        "option_type": "call" if name.endswith("C") else "put",
        "price_index": f"{base.lower()}_{'usdc' if linear else 'usd'}",
        "quote_currency": "USDC" if linear else base,
        "settlement_currency": "USDC" if linear else base,
        "settlement_period": "month",
        "state": "open",
        "strike": strike,
        "tick_size": 0.0005 if linear else 0.0001,
        "tick_size_steps": [] if linear else [{"above_price": 0.005, "tick_size": 0.0005}],
    } | changes


def future_row(name: str, expiry: str, base: str = "BTC") -> dict[str, Any]:
    """A row of a dated future."""
    row = option_row(name, expiry, None, base, kind="future", tick_size=2.5)
    del row["strike"], row["option_type"]
    return row | {"quote_currency": row["counter_currency"]}


def chain(
    strikes: Iterable[int],
    expiries: Sequence[str] = (NEAR, FAR),
    base: str = "BTC",
    prefix: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of calls and puts."""
    return [
        option_row(f"{prefix or base}-{CODES[expiry]}-{strike}-{right}", expiry, strike, base)
        for expiry in expiries
        for strike in strikes
        for right in "CP"
    ]


def body(rows: Sequence[object]) -> bytes:
    """A REST answer."""
    envelope = {"jsonrpc": "2.0", "result": rows, "usIn": 1, "usOut": 2, "usDiff": 1}
    return json.dumps(envelope | {"testnet": False}).encode()


def bodies(
    adapter: DeribitAdapter,
    rows: Sequence[dict[str, Any]],
    summaries: Sequence[dict[str, Any]] = (),
) -> dict[str, bytes]:
    """All bodies of the adapter's catalog, from rows of any currency and kind."""
    found = {}
    for request in adapter.catalog_requests():
        currency, _, kind = request.name.partition(".")
        if kind == "summary":
            chosen = [row for row in summaries if row["instrument_name"].startswith(currency)]
        else:
            chosen = [
                row
                for row in rows
                if row["kind"].partition("_")[0] == kind
                and ("USDC" if "_USDC" in row["instrument_name"] else row["base_currency"])
                == currency
            ]
        found[request.name] = body(chosen)
    return found


def perpetual_row(currency: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """A row of public/get_book_summary_by_currency, of the inverse perpetual."""
    return {
        "instrument_name": f"{currency}-PERPETUAL", "open_interest": 600_000, "volume": 4901.97,
        "funding_8h": 0.0001, "current_funding": 0.0, "estimated_delivery_price": 60_000.0,
        "creation_timestamp": NOW_NS // 1_000_000,
    } | changes  # fmt: skip


def make(sink: Sink, **settings: Any) -> DeribitAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", (Asset("BTC"), Asset("ETH")))
    return DeribitAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[dict[str, Any]],
    **settings: Any,  # noqa: ANN401 - any setting
) -> DeribitAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)
    return adapter


def notification(channel: str, data: object) -> bytes:
    """A push frame."""
    params = {"channel": channel, "data": data}
    return json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": params}).encode()


def quote(
    name: str = "BTC-31JUL26-60000-C",
    bid: float | None = 0.05,
    ask: float | None = 0.051,
    bid_size: float | None = 3.0,
    ask_size: float | None = 4.5,
    timestamp: int = 1_782_907_200_123,
) -> bytes:
    """A `quote.{name}` frame."""
    data = {
        "timestamp": timestamp,
        "instrument_name": name,
        "best_ask_price": ask,
        "best_bid_price": bid,
        "best_ask_amount": ask_size,
        "best_bid_amount": bid_size,
    }
    return notification(f"quote.{name}", data)


def pulse(index: str = "btc_usd", price: float = 61_000.0) -> bytes:
    """The index price that every connection carries."""
    data = {"index_name": index, "price": price, "timestamp": 1_782_907_200_000}
    return notification(f"deribit_price_index.{index}", data)


def answer(request: dict[str, Any], result: object) -> bytes:
    """A successful answer."""
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()


def refusal(code: int, message: str, request: dict[str, Any] | None = None) -> bytes:
    """An error; without a request it carries no id."""
    number = {} if request is None else {"id": request["id"]}
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", **number, "error": error, "testnet": False}).encode()


def sent(protocol: DeribitProtocol, method: str | None = None) -> list[dict[str, Any]]:
    """The requests that wait to be sent."""
    requests = [json.loads(frame) for frame in protocol.frames_to_send()]
    return [request for request in requests if method in (None, request["method"])]


def settle(protocol: DeribitProtocol, now_ns: int, *, steps: int = 60) -> int:
    """Answer everything as a willing venue would, until nothing is left; the time then."""
    for _ in range(steps):
        for request in sent(protocol):
            result: object = "ok"
            if "channels" in request["params"]:
                result = list(reversed(request["params"]["channels"]))
            elif request["method"] == "public/status":
                result = {"locked": "false", "locked_indices": []}
            protocol.receive(answer(request, result), now_ns)
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return now_ns
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def days(count: float) -> int:
    """Nanoseconds."""
    return round(count * NANOS_PER_DAY)
