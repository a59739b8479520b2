"""Derive's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from math import isnan
from pathlib import Path

import pytest
from typing_extensions import override

from fakes.damage import StrictSink, damage
from fakes.deribit_lab import NOW_NS
from fakes.derive_lab import (
    CALL,
    FAR_CALL,
    PUT,
    STAMP,
    acknowledge,
    bodies,
    chain,
    error_body,
    incidents,
    make,
    page,
    perpetual,
    perpetuals,
    push,
    refusal,
    spot,
    ticker,
    told_time,
)
from volgauge.adapters.base import State
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.domain.events import AnyEvent, ForwardMark
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
UNLISTED = (CatalogError, RateLimited, VenueUnavailable)
CHANNEL = f"ticker_slim.{CALL}.100"
WORDS = (CALL, FAR_CALL, CHANNEL, "spot_feed.BTC", "BTC", "ok", "subscription")
REQUEST = {"id": 1, "params": {"channels": [CHANNEL, "spot_feed.BTC"]}}


class DeriveSink(StrictSink):
    """A lost connection withdraws its forwards: those are NaN."""

    @override
    def event(self, event: AnyEvent) -> None:
        if not (isinstance(event, ForwardMark) and isnan(event.price)):
            super().event(event)


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    return [
        ticker(),
        ticker(PUT, {"df": "0.987", "i": "0"}),
        ticker(FAR_CALL, interval="1000"),
        ticker(b="0", B="0"),
        ticker(option_pricing=None),
        spot(),
        push("orderbook.BTC-PERP.1.10", {"bids": [["1", "2"]], "publish_id": 7}),
        acknowledge(REQUEST),
        acknowledge(REQUEST, {CHANNEL: "{'instrument_name': ['Invalid']}"}),
        told_time({"id": 2}),
        refusal({"id": 1}, -32602),
        refusal({"id": 1}, -32000, "Rate limit exceeded"),
        refusal(None, -32700, "Parse error"),
    ]


def recorded() -> list[bytes]:
    """Real payloads in the frames that they come in, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "derive" / "nautilus"
    if not folder.is_dir():
        return []
    frames = [(folder / "spot_ws_subscribe_ack.json").read_bytes()]
    for channel, name in (
        (CHANNEL, "options_ws_ticker_slim_eth_put"),
        (f"ticker_slim.{PUT}.100", "options_ws_ticker_slim_eth_call"),
        ("ticker_slim.ETH-PERP.100", "perps_ws_ticker_slim_eth"),
        ("orderbook.ETH-USDC.1.10", "spot_ws_orderbook_eth_mainnet"),
    ):
        frames.append(push(channel, json.loads((folder / f"{name}.json").read_text())))
    return frames


def adapter_with_listing(sink: StrictSink) -> DeriveAdapter:
    """Near and far options."""
    adapter = make(sink, assets=("BTC",))
    adapter.on_catalog(bodies(adapter, chain([60_000, 70_000])), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "by-name"])
def test_damaged_derive_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), recorded()
    sink = DeriveSink()
    adapter = adapter_with_listing(sink) if kind == "listed" else make(sink)
    sessions = adapter.connections()
    refused = 0
    for case in range(CASES // 2):
        protocol = sessions[case % 2]
        if protocol.state is State.IDLE:
            protocol.start(NOW_NS)
        frame = damage(rng.choice(real if real and case % 3 == 0 else plain), rng, WORDS)
        try:
            protocol.receive(frame, NOW_NS)
        except DOCUMENTED as error:
            refused += 1
            protocol.disconnected(NOW_NS, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - shown with the frame that caused it
            pytest.fail(f"case {case}: {error!r} from {frame[:2_000]!r}")
        protocol.frames_to_send()

    assert 0 < refused < CASES // 2
    # The state has held: an undamaged frame is a quote.
    protocol = sessions[0]
    protocol.disconnected(NOW_NS, "test")
    protocol.start(NOW_NS)
    protocol.receive(ticker(t=STAMP), NOW_NS)
    assert protocol.state is State.LIVE


def test_damaged_derive_listings_leave_the_one_before() -> None:
    """A body is read, row by row, or refused as a whole and changes nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    sink = DeriveSink()
    adapter = adapter_with_listing(sink)
    whole = page(chain([60_000, 70_000]))
    corpus = [whole, incidents("low", "high"), error_body(-32602, "Invalid params")]
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        text = damage(rng.choice(corpus), rng, WORDS)
        name = "incidents" if case % 4 == 0 else "BTC.options.1"
        told = perpetuals({"BTC-PERP": perpetual()})
        if case % 4 == 1:
            name, text = "perpetuals", damage(told, rng, WORDS)
        given = {"incidents": incidents(), "BTC.options.1": whole, "perpetuals": told}
        given = {r.name: whole for r in adapter.catalog_requests()} | given | {name: text}
        before = set(sink.listed)
        try:
            adapter.on_catalog(given, NOW_NS)
        except UNLISTED:
            refused += 1
            assert sink.listed == before
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")
        assert len(sink.listed) == len(adapter._listing.options)

    assert refused > 0
