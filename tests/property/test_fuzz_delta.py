"""Delta's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from pathlib import Path

import pytest

from fakes.damage import StrictSink, damage
from fakes.delta_lab import (
    CALL,
    FAR_CALL,
    INDEX,
    PUT,
    bodies,
    body,
    chain,
    frame,
    heartbeat,
    index,
    make,
    perpetual,
    perpetual_row,
    refusal_body,
    settings_body,
    subscribed,
    ticker,
    top,
)
from fakes.deribit_lab import NOW_NS
from volgauge.adapters.base import State
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.errors import CatalogError, ProtocolViolation

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
WORDS = (CALL, FAR_CALL, INDEX, "l1_orderbook", "v2/ticker", "subscriptions", "BTC", "null")


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    told = {"symbol": PUT, "trading_status": "disrupted_cancel_only"}
    level = {"limit_price": "2500", "size": 4000, "depth": "4000"}
    return [
        top(),
        top(PUT, best_bid=None, bid_qty=None),
        ticker(),
        ticker(FAR_CALL, {"mark_iv": "0.000005", "best_ask": "0"}),
        index(),
        heartbeat(),
        subscribed({"name": "l1_orderbook", "symbols": [CALL, PUT]}),
        subscribed({"name": "v2/spot_price", "error": "subscription forbidden"}),
        frame("error", message="Subscription forbidden: Invalid channel array"),
        frame("announcements", event="maintenance_started", maintenance_finish_time=1),
        frame("product_updates", event="start_auction", product=told),
        frame("l2_orderbook", symbol=CALL, timestamp=1, buy=[level], sell=[level]),
        frame("candlestick_1m", symbol=CALL, open=None),
    ]


def recorded() -> list[bytes]:
    """Real frames, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "delta"
    if not folder.is_dir():
        return []
    lines = (folder / "ws_raw_10options_30s_2021-11-29.jsonl").read_text().splitlines()[2:40]
    frames = [json.dumps(json.loads(line)["msg"]).encode() for line in lines]
    for name in ("tardis_l1_l2_updates_2023", "tardis_v2_messages", "tardis_messages_2020"):
        frames += [line.encode() for line in (folder / f"{name}.jsonl").read_text().splitlines()]
    live = json.loads((folder / "live_frame_2026-09-25.jsonl").read_text())["sample"]
    return [*frames, json.dumps(live | {"symbol": CALL}).encode()]


def adapter_with_listing(sink: StrictSink) -> DeltaAdapter:
    """Near and far options."""
    adapter = make(sink, assets=("BTC",))
    adapter.on_catalog(bodies(chain([60_000, 70_000])), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "by-name"])
def test_damaged_delta_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), recorded()
    sink = StrictSink()
    adapter = adapter_with_listing(sink) if kind == "listed" else make(sink)
    sessions = adapter.connections()
    refused = 0
    for case in range(CASES // 2):
        protocol = sessions[case % 3]
        if protocol.state is State.IDLE:
            protocol.start(NOW_NS)
        text = damage(rng.choice(real if real and case % 3 == 0 else plain), rng, WORDS)
        try:
            protocol.receive(text, NOW_NS)
        except ProtocolViolation as error:
            refused += 1
            protocol.disconnected(NOW_NS, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - shown with the frame that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:2_000]!r}")
        protocol.frames_to_send()

    assert 0 < refused < CASES // 2
    # The state has held: an undamaged frame is a quote.
    protocol = sessions[0]
    protocol.disconnected(NOW_NS, "test")
    protocol.start(NOW_NS)
    protocol.receive(top(), NOW_NS)
    assert protocol.state is State.LIVE


def test_damaged_delta_listings_leave_the_one_before() -> None:
    """A body is read, row by row, or refused as a whole and changes nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    sink = StrictSink()
    adapter = adapter_with_listing(sink)
    whole = body([*chain([60_000, 70_000]), perpetual_row()])
    corpus = [whole, body(chain([60_000]), "next"), refusal_body()]
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        given = {
            "products": whole, "settings": settings_body(), "perpetuals": body([perpetual()])
        }  # fmt: skip
        match case % 4:
            case 0:
                name = "settings"
            case 1:
                name = "perpetuals"
            case _:
                name = "products"
                given[name] = rng.choice(corpus)
        given[name] = damage(given[name], rng, WORDS)
        before = set(sink.listed)
        try:
            adapter.on_catalog(given, NOW_NS)
        except CatalogError:
            refused += 1
            assert sink.listed == before
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {given[name][:4_000]!r}")
        assert len(sink.listed) == len(adapter._listing.options)

    assert refused > 0
