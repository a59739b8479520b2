"""OKX's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from pathlib import Path

import pytest

from fakes.damage import StrictSink, damage
from fakes.okx_lab import (
    CALL,
    MARGINED_CALL,
    NOW_NS,
    PUT,
    STAMP,
    UPGRADE,
    acknowledge,
    bbo,
    bodies,
    chain,
    index,
    level,
    make,
    missing,
    option_row,
    push,
    refusal,
    summaries,
    summary,
    ticker,
)
from volgauge.adapters.base import State
from volgauge.adapters.okx.adapter import OkxAdapter
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
WORDS = (CALL, MARGINED_CALL, "BTC-USD", "opt-summary", "books", "update")


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    book = {
        "asks": [level("0.06", "200"), level("0.065", "0")],
        "bids": [level("0.05", "300")],
        "ts": str(STAMP),
        "checksum": 0,
        "seqId": 7,
    }
    deep = {"channel": "books", "instId": CALL}
    named = {"instType": "OPTION", "instId": CALL, "ts": str(STAMP)}
    upkeep = {"title": "Options", "state": "ongoing", "begin": "1", "serviceType": "4", "env": "1"}
    return [
        bbo(),
        bbo(CALL, None),
        ticker(),
        ticker(bidPx="", bidSz=""),
        summaries([summary(), summary(PUT, fwdPx="61200"), summary(MARGINED_CALL)]),
        index(),
        push({"channel": "books5", "instId": CALL}, [book]),
        push(deep, [book | {"prevSeqId": -1}], "snapshot"),
        push(deep, [book | {"prevSeqId": 7, "seqId": 8}], "update"),
        push({"channel": "mark-price", "instId": CALL}, [named | {"markPx": "0.0501"}]),
        push({"channel": "open-interest", "instId": CALL}, [named | {"oi": "36", "oiCcy": "0.36"}]),
        push({"channel": "instruments", "instType": "OPTION"}, [option_row()]),
        push({"channel": "status"}, [upkeep]),
        push({"channel": "status"}, [upkeep | {"state": "completed"}]),
        push({"channel": "estimated-price", "instType": "OPTION"}, [named | {"settlePx": "1"}]),
        acknowledge({"channel": "bbo-tbt", "instId": CALL}),
        acknowledge(deep, "unsubscribe"),
        missing({"channel": "tickers", "instFamily": "BTC-USD"}),
        refusal("60012", "Invalid request: {}"),
        refusal("60014", "Requests too frequent"),
        UPGRADE,
        b'"pong"',
    ]


def recorded() -> list[bytes]:
    """Real frames, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "okx"
    if not folder.is_dir():
        return []
    frames = []
    for name, key in (
        ("ws_raw_tickers_books_trades_11s_2022-05-13.jsonl", "msg"),
        ("gct_push_frames.jsonl", "sample"),
        ("oggregator_frames_2026-03.jsonl", "sample"),
        ("tardis_v5_option_messages.jsonl", None),
        ("tardis_v3_messages_2020.jsonl", None),
    ):
        for line in (folder / name).read_bytes().splitlines():
            message = json.loads(line)
            if message.get("dir") != "open":
                frames.append(line if key is None else json.dumps(message[key]).encode())
    return [frame for frame in frames if len(frame) < 4_000]


def adapter_with_listing(sink: StrictSink, depth_levels: int) -> OkxAdapter:
    """Both families, near and far."""
    adapter = make(sink, depth_levels=depth_levels)
    adapter.on_catalog(bodies([*chain([60_000, 70_000]), option_row(MARGINED_CALL)]), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "deep", "by-name"])
def test_damaged_okx_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), recorded()
    sink = StrictSink()
    depth_levels = 20 if kind == "deep" else 0
    adapter = make(sink) if kind == "by-name" else adapter_with_listing(sink, depth_levels)
    sessions = adapter.connections()
    refused = 0
    for case in range(CASES // 3):
        protocol = sessions[case % len(sessions)]
        if protocol.state is State.SPARE:
            protocol = sessions[case % 3]
        if protocol.state is State.IDLE:
            protocol.start(NOW_NS)
        corpus = real if real and case % 3 == 0 else plain
        frame = damage(rng.choice(corpus), rng, WORDS)
        try:
            protocol.receive(frame, NOW_NS)
        except DOCUMENTED as error:
            refused += 1
            protocol.disconnected(NOW_NS, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - shown with the frame that caused it
            pytest.fail(f"case {case}: {error!r} from {frame[:2_000]!r}")
        protocol.frames_to_send()
        if protocol.state is State.SPARE:
            protocol.disconnected(NOW_NS, "handed_over")
        leads = {p.role_name for p in sessions if p.state is not State.SPARE}
        assert leads == {"hot", "wings", "market"}

    assert 0 < refused < CASES // 3


def test_damaged_okx_listings_raise_documented_errors_only() -> None:
    """A body is read, row by row, or refused as a whole."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    given = bodies([*chain([60_000]), option_row(MARGINED_CALL)], {CALL: "36"})
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        fresh = make(StrictSink())
        name = rng.choice(list(given))
        text = damage(given[name], rng, WORDS)
        try:
            fresh.on_catalog(given | {name: text}, NOW_NS)
        except (CatalogError, RateLimited, VenueUnavailable):
            refused += 1
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")

    assert refused > 0


def test_damaged_okx_listings_leave_the_one_before() -> None:
    """What cannot be read as a whole has changed nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    given = bodies([*chain([60_000]), option_row(MARGINED_CALL)], {CALL: "36"})
    sink = StrictSink()
    adapter = adapter_with_listing(sink, 0)
    for _ in range(max(1, CASES // CATALOG_EVERY)):
        name = rng.choice(list(given))
        before = set(sink.listed)
        try:
            adapter.on_catalog(given | {name: damage(given[name], rng, WORDS)}, NOW_NS)
        except (CatalogError, RateLimited, VenueUnavailable):
            assert sink.listed == before
        assert len(sink.listed) == len(adapter._listing.slots)
