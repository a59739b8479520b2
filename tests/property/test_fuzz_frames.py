"""Deribit's decoders against damaged frames: documented errors only, and nothing senseless gets by.

`VOLGAUGE_FUZZ_CASES` sets the number of cases (20,000; `make fuzz` a million),
`VOLGAUGE_FUZZ_SEED` the sequence. A failure prints the frame.
"""

import json
import os
import random
from pathlib import Path

import pytest

from fakes.damage import StrictSink, damage
from fakes.deribit_lab import (
    NEAR,
    NOW_NS,
    Sink,
    answer,
    bodies,
    body,
    chain,
    future_row,
    make,
    notification,
    option_row,
    perpetual_row,
    pulse,
    quote,
    refusal,
)
from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000"))
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 40
CALL = "BTC-31JUL26-60000-C"
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
STAMP = 1_782_907_200_123
WORDS = (CALL, "BTC-31JUL26")


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    ticker = {
        "timestamp": STAMP, "state": "open", "stats": {"high": None, "volume": 0.0},
        "greeks": {"delta": 0.5}, "index_price": 61_000.0, "instrument_name": CALL,
        "open_interest": 18.6, "mark_price": 0.0505, "mark_iv": 49.22, "best_bid_price": 0.05,
        "best_ask_price": 0.051, "best_bid_amount": 2.2, "best_ask_amount": 4.1,
        "underlying_price": 61_234.5, "underlying_index": "SYN.BTC-31JUL26",
    }  # fmt: skip
    levels = {"bids": [["new", 0.05, 3.0]], "asks": [["change", 0.06, 2.0], ["delete", 0.07, 0.0]]}
    book = {"timestamp": STAMP, "instrument_name": CALL, "change_id": 7, **levels}
    grouped = book | {"bids": [[0.05, 3.0]], "asks": [[0.06, 2.0]]}
    mark = {"timestamp": STAMP, "mark_price": 0.05, "iv": 0.37, "instrument_name": CALL}
    created = option_row("BTC-3JUL26-60000-C", NEAR) | {"timestamp": STAMP}
    request = {"id": 2}
    return [
        quote(CALL),
        quote(CALL, None, 0.0, 0.0),
        quote("BTC-31JUL26", 61_200.0, 61_201.0),
        pulse(),
        notification(f"ticker.{CALL}.100ms", ticker),
        notification(f"book.{CALL}.100ms", book | {"type": "snapshot"}),
        notification(f"book.{CALL}.100ms", book | {"type": "change", "prev_change_id": 7}),
        notification(f"book.{CALL}.none.10.100ms", grouped),
        notification("markprice.options.btc_usd", [mark, mark]),
        notification("deribit_volatility_index.btc_usd", {"volatility": 60.5, "timestamp": STAMP}),
        notification("platform_state", {"price_index": "btc_usd", "locked": True}),
        notification("platform_state", {"maintenance": True}),
        notification("instrument.creation.option.BTC", created),
        notification("instrument.state.option.BTC", {"state": "settlement", "timestamp": STAMP}),
        notification("trades.option.BTC.100ms", [{"price": 0.05, "iv": 50.1}]),
        b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}',
        answer(request, [f"quote.{CALL}", "deribit_price_index.btc_usd"]),
        answer(request, {"locked": "partial", "locked_indices": ["btc_usd"]}),
        refusal(13778, "raw_subscriptions_not_available_for_unauthorized", request),
        refusal(-32600, "request entity too large"),
        refusal(10028, "too_many_requests"),
    ]


def recorded() -> list[bytes]:
    """Real frames, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "deribit"
    if not folder.is_dir():
        return []
    frames = []
    for name, key in (
        ("ws_raw_10options_30s_2021-07-22.jsonl", "msg"),
        ("live_frames_2025_2026.jsonl", "sample"),
        ("gct_push_frames.jsonl", "sample"),
        ("tardis_mixed_messages.jsonl", None),
    ):
        for line in (folder / name).read_bytes().splitlines():
            message = json.loads(line)
            if message.get("dir") != "open":
                frames.append(line if key is None else json.dumps(message[key]).encode())
    return [frame for frame in frames if len(frame) < 4_000]


def adapter_with_listing(sink: Sink) -> DeribitAdapter:
    """Hot options by book and by quote, a future, an index."""
    adapter = make(sink)
    rows = [*chain([60_000, 70_000]), future_row("BTC-31JUL26", NEAR)]
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)
    return adapter


@pytest.mark.parametrize("with_listing", [True, False], ids=["listed", "by-name"])
def test_damaged_frames_raise_documented_errors_only(with_listing: bool) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(SEED + with_listing)  # noqa: S311 - repeatable, not secret
    corpus = documented() + recorded()
    sink = StrictSink()
    adapter = adapter_with_listing(sink) if with_listing else make(sink)
    sessions = adapter.connections()
    for protocol in sessions:
        protocol.start(NOW_NS)
    refused = 0
    for case in range(CASES // 2):
        protocol = sessions[case % len(sessions)]
        frame = damage(rng.choice(corpus), rng, WORDS)
        try:
            protocol.receive(frame, NOW_NS)
        except DOCUMENTED as error:
            refused += 1
            protocol.disconnected(NOW_NS, type(error).__name__)
            protocol.start(NOW_NS)
        except Exception as error:  # noqa: BLE001 - shown with the frame that caused it
            pytest.fail(f"case {case}: {error!r} from {frame[:2_000]!r}")
        protocol.frames_to_send()

    assert 0 < refused < CASES // 2


def test_damaged_listings_raise_documented_errors_only() -> None:
    """A body is read, row by row, or refused as a whole; the book stays consistent."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    sink = StrictSink()
    adapter = make(sink)
    summaries = [{"instrument_name": CALL, "open_interest": 18.6, "volume": 2.5}]
    given = bodies(adapter, [*chain([60_000]), future_row("BTC-31JUL26", NEAR)], summaries)
    given["BTC.perpetual"] = body([perpetual_row("BTC"), perpetual_row("ETH")])
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        fresh = make(StrictSink())
        name = rng.choice(list(given))
        text = damage(given[name], rng, WORDS)
        try:
            fresh.on_catalog(given | {name: text}, NOW_NS)
        except CatalogError:
            refused += 1
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")

    assert refused > 0
