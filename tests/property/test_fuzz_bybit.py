"""Bybit's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from math import isnan
from pathlib import Path

import pytest
from typing_extensions import override

from fakes.bybit_lab import (
    CALL,
    FAR_CALL,
    STAMP,
    acknowledge,
    bodies,
    book,
    chain,
    make,
    push,
    ticker,
)
from fakes.damage import StrictSink, damage
from fakes.deribit_lab import NOW_NS
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.plan import cost
from volgauge.domain.events import AnyEvent, ForwardMark
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
UNLISTED = (CatalogError, RateLimited, VenueUnavailable)
WORDS = (CALL, FAR_CALL, f"tickers.{CALL}", f"orderbook.25.{CALL}", "delta", "COMMAND_RESP")
ONGOING = {"id": "x", "state": "ongoing", "serviceTypes": [5], "product": [3], "env": 1}
TICKER = {"symbol": CALL, "markPrice": "2511.5", "markIv": "0.54", "openInterest": "18.93"}


class BybitSink(StrictSink):
    """A lost connection withdraws its forwards: those are NaN."""

    @override
    def event(self, event: AnyEvent) -> None:
        if not (isinstance(event, ForwardMark) and isnan(event.price)):
            super().event(event)


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    return [
        ticker(),
        ticker(FAR_CALL),
        ticker(bidPrice="0", bidSize="0", bidIv="0"),
        book(7),
        book(8, [("2500", "0")], [("2515", "1")], "delta"),
        book(9, [("2490", "1.5")], [], "delta"),
        book(0, [], []),
        book(1, kind="delta"),
        push("publicTrade.BTC", [{"p": "985", "v": "0.01", "T": STAMP, "s": CALL, "S": "Sell"}]),
        push("system.status", [ONGOING]),
        push("system.status", [ONGOING | {"state": "completed"}]),
        acknowledge([f"tickers.{CALL}"], [f"orderbook.25.{CALL}"]),
        b'{"success":true,"ret_msg":"","conn_id":"x","req_id":"1","op":"subscribe"}',
        json.dumps(
            {
                "success": False,
                "ret_msg": f"error:handler not found,topic:tickers.{CALL}",
                "conn_id": "x",
                "req_id": "1",
                "op": "subscribe",
            }
        ).encode(),
        b'{"success":false,"ret_msg":"403, access too frequent","op":"subscribe"}',
        b'{"args":["1672916271846"],"op":"pong"}',
    ]


def recorded() -> list[bytes]:
    """Real frames, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "bybit"
    if not folder.is_dir():
        return []
    frames = (folder / "tardis_option_messages_2023.jsonl").read_bytes().splitlines()
    for name in ("oggregator_frames_2026-03.jsonl", "docs_samples_2026-07.jsonl"):
        for line in (folder / name).read_bytes().splitlines():
            sample = json.loads(line)["sample"]
            if "retCode" not in sample:
                frames.append(json.dumps(sample).encode())
    return [frame for frame in frames if len(frame) < 4_000]


def adapter_with_listing(sink: BybitSink, depth_levels: int) -> BybitAdapter:
    """Near and far."""
    adapter = make(sink, depth_levels=depth_levels)
    adapter.on_catalog(bodies(adapter, chain([60_000, 70_000])), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "deep", "by-name"])
def test_damaged_bybit_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), recorded()
    sink = BybitSink()
    depth_levels = 10 if kind == "deep" else 0
    adapter = make(sink) if kind == "by-name" else adapter_with_listing(sink, depth_levels)
    sessions = [p for p in adapter.connections() if p.connection in {"hot-1", "chain-1", "chain-2"}]
    for protocol in sessions:
        protocol.start(NOW_NS)
    refused = 0
    for case in range(CASES // 3):
        protocol = sessions[case % len(sessions)]
        corpus = real if real and case % 3 == 0 else plain
        frame = damage(rng.choice(corpus), rng, WORDS) if case % 4 else rng.choice(plain)
        try:
            protocol.receive(frame, NOW_NS)
        except DOCUMENTED as error:
            refused += 1
            protocol.disconnected(NOW_NS, type(error).__name__)
            protocol.start(NOW_NS)
        except Exception as error:  # noqa: BLE001 - shown with the frame that caused it
            pytest.fail(f"case {case}: {error!r} from {frame[:2_000]!r}")
        protocol.frames_to_send()
        state = protocol._subscriptions
        assert state.active.isdisjoint(state._to_subscribe)
        assert sum(cost(topic) for topic in state.active | state.in_flight.keys()) <= 20_000

    assert 0 < refused < CASES // 3


def test_damaged_bybit_listings_raise_documented_errors_only() -> None:
    """A body is read, row by row, or refused as a whole; a listing that failed begins anew."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    given = bodies(make(BybitSink()), chain([60_000]), [TICKER], [ONGOING])
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        fresh = make(BybitSink())
        name = rng.choice(list(given))
        text = damage(given[name], rng, WORDS)
        try:
            fresh.on_catalog(given | {name: text}, NOW_NS)
        except UNLISTED:
            refused += 1
            assert [request.name for request in fresh.catalog_requests()] == list(given)
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")

    assert refused > 0


def test_damaged_bybit_listings_leave_the_one_before() -> None:
    """What cannot be read as a whole has changed nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    given = bodies(make(BybitSink()), chain([60_000]), [TICKER], [ONGOING])
    sink = BybitSink()
    adapter = adapter_with_listing(sink, 0)
    for _ in range(max(1, CASES // CATALOG_EVERY)):
        name = rng.choice(list(given))
        before = set(sink.listed)
        try:
            adapter.on_catalog(given | {name: damage(given[name], rng, WORDS)}, NOW_NS)
        except UNLISTED:
            assert sink.listed == before
        assert len(sink.listed) == len(adapter._listing.options)
