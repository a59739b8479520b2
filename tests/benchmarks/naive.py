"""The pipeline as one would first write it: the baseline of `bench_e2e`, kept as slow as it is.

One message after the other: `websockets`, `json.loads`, a dictionary look-up, one computation,
`labels()` of prometheus_client, `json.dumps`, and `await redis.publish`. The book and the kernel
are ours, so the difference is what lies around them.
"""

import asyncio
import json
import sys
import time
import urllib.request
from typing import Any

import redis.asyncio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from websockets.asyncio.client import connect

from volgauge.book.quotes import QuoteTable
from volgauge.domain.instrument import Asset, BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

CHANNEL = "naive:index:BTC:30d"
MANY = 400
TENOR_YEARS = 30.0 / 365.0


class Book:
    """What is listed, by name."""

    def __init__(self, rest_url: str) -> None:
        path = "/public/get_instruments?currency=BTC&kind=option&expired=false"
        with urllib.request.urlopen(rest_url + path) as response:  # noqa: S310 - loopback
            rows = json.load(response)["result"]
        self.table = QuoteTable()
        self.surface = Surface(BookKey(Venue("deribit"), Asset("BTC"), "USD"), self.table)
        self.slots: dict[str, int] = {}
        for slot, row in enumerate(rows):
            self.slots[row["instrument_name"]] = slot
            self.surface.add(slot, _instrument(row))

    def value(self, now_ns: int) -> float | None:
        """Thirty days, from the two expiries around."""
        self.surface.evaluate(now_ns)
        values = self.surface.values[col.NATIVE]
        times, variances = values[:, col.T_YEARS], values[:, col.TOTAL_VARIANCE]
        far = int((times <= TENOR_YEARS).sum())
        if not 0 < far < len(times):
            return None
        share = (TENOR_YEARS - times[far - 1]) / (times[far] - times[far - 1])
        variance = (1.0 - share) * variances[far - 1] + share * variances[far]
        return float(100.0 * (variance / TENOR_YEARS) ** 0.5) if variance > 0.0 else None


def _instrument(row: dict[str, Any]) -> Instrument:
    step = row["tick_size_steps"][0] if row["tick_size_steps"] else {}
    return Instrument(
        venue=Venue("deribit"),
        name=row["instrument_name"],
        asset=Asset("BTC"),
        expiry_ns=row["expiration_timestamp"] * 1_000_000,
        strike=row["strike"],
        kind=OptionKind.CALL if row["option_type"] == "call" else OptionKind.PUT,
        premium=Premium.COIN,
        quote_currency="USD",
        tick_size=row["tick_size"],
        tick_above=step.get("above_price", float("inf")),
        tick_step=step.get("tick_size", float("nan")),
    )


async def main() -> None:
    """Subscribe, then for ever: one message, one value, one publish."""
    ws_url, rest_url, redis_url = sys.argv[1:]
    book = Book(rest_url)
    client = redis.asyncio.from_url(redis_url)
    registry = CollectorRegistry()
    messages = Counter("messages", "Messages.", ["venue", "channel"], registry=registry)
    points = Gauge("points", "The index.", ["asset", "tenor"], registry=registry)
    seconds = Histogram("seconds", "Duration.", ["stage"], registry=registry)
    seq = 0
    async with connect(ws_url, max_size=None) as socket:
        names = list(book.slots)
        for number, first in enumerate(range(0, len(names), MANY)):
            channels = [f"quote.{name}" for name in names[first : first + MANY]]
            request = {"jsonrpc": "2.0", "id": number, "method": "public/subscribe"}
            await socket.send(json.dumps({**request, "params": {"channels": channels}}))
        async for text in socket:
            began = time.perf_counter()
            message = json.loads(text)
            if "params" not in message:
                continue
            data = message["params"]["data"]
            now_ns = time.time_ns()
            book.table.write(
                book.slots[data["instrument_name"]],
                data["best_bid_price"] or float("nan"),
                data["best_ask_price"] or float("nan"),
                data["best_bid_amount"],
                data["best_ask_amount"],
                data["timestamp"] * 1_000_000,
                now_ns,
            )
            value = book.value(now_ns)
            messages.labels("deribit", "quote").inc()
            points.labels("BTC", "30d").set(value or float("nan"))
            record = {"seq": seq + 1, "prev_seq": seq, "value": value, "event_ns": now_ns}
            seq += 1
            await client.publish(CHANNEL, json.dumps(record))
            seconds.labels("tick").observe(time.perf_counter() - began)


asyncio.run(main())
