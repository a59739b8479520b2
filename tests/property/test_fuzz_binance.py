"""Binance's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from math import isnan
from pathlib import Path

import pytest
from typing_extensions import override

from fakes.binance_lab import (
    CALL,
    FAR_CALL,
    NOW_NS,
    PUT,
    RIPPLE,
    answer,
    bodies,
    book,
    chain,
    indices,
    interest,
    make,
    mark,
    marks,
    option_row,
    push,
    refusal,
    symbol,
    top,
)
from fakes.damage import StrictSink, damage
from volgauge.adapters.base import State
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.domain.events import AnyEvent, ForwardMark
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
WORDS = (CALL, PUT, RIPPLE, "btcusdt@optionMarkPrice", "x@bookTicker", "markPrice", "-1.0", "0.000")


class BinanceSink(StrictSink):
    """Lost chains withdraw their forwards: those are NaN."""

    @override
    def event(self, event: AnyEvent) -> None:
        """Everything else is looked at."""
        if not (isinstance(event, ForwardMark) and isnan(event.price)):
            super().event(event)


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    return [
        top(),
        top(PUT, "0.000", B="0.00"),
        book(),
        book(PUT, a=[]),
        marks([mark(), mark(PUT, bo="0.000", bq="0.00", b="-1.0"), mark(FAR_CALL)]),
        marks([mark(RIPPLE)], "xrpusdt"),
        indices(),
        interest(),
        symbol(),
        push("btc-260731-60000-c@optionTicker", {"e": "24hrTicker", "s": CALL}),
        json.dumps([{"e": "indexPrice", "E": 1, "s": "BTCUSDT", "p": "61000"}]).encode(),
        json.dumps(mark()).encode(),
        answer(1),
        refusal(1, 2, "Invalid request"),
        refusal(None, 2, "Invalid request: request ID must be an unsigned integer"),
        refusal(1, -1003, "Too many requests"),
    ]


def recorded() -> list[bytes]:
    """Real frames, where the recorded data are."""
    folder = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "binance"
    if not folder.is_dir():
        return []
    frames = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            message = json.loads(line)
            frames.append(json.dumps(message["sample"]).encode() if "sample" in message else line)
    return [frame for frame in frames if frame.strip() != b"{}"]


def adapter_with_listing(sink: BinanceSink, depth_levels: int) -> BinanceAdapter:
    """Two coins, near and far."""
    adapter = make(sink, depth_levels=depth_levels)
    adapter.on_catalog(bodies([*chain([60_000, 70_000]), option_row(RIPPLE)]), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "deep", "by-name"])
def test_damaged_binance_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), recorded()
    sink = BinanceSink()
    depth_levels = 10 if kind == "deep" else 0
    adapter = make(sink) if kind == "by-name" else adapter_with_listing(sink, depth_levels)
    sessions = [p for p in adapter.connections() if p.connection in {"market", "hot-1"}]
    refused = 0
    for case in range(CASES // 3):
        protocol = sessions[case % len(sessions)]
        if not protocol.is_open:
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
        assert protocol.is_open == (protocol.state not in {State.IDLE, State.SPARE})

    assert 0 < refused < CASES // 3


def test_damaged_binance_listings_leave_the_one_before() -> None:
    """A body is read, row by row, or refused as a whole, and then has changed nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    given = bodies([*chain([60_000]), option_row(RIPPLE)])
    sink = BinanceSink()
    adapter = adapter_with_listing(sink, 0)
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        name = rng.choice(list(given))
        text = damage(given[name], rng, WORDS)
        before = set(sink.listed)
        try:
            adapter.on_catalog(given | {name: text}, NOW_NS)
        except (CatalogError, RateLimited, VenueUnavailable):
            refused += 1
            assert sink.listed == before
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")
        assert len(sink.listed) == len(adapter._listing.options)

    assert refused > 0


def test_damaged_binance_refusals_are_documented_errors() -> None:
    """Whatever stands in the body of an error."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    adapter = make(BinanceSink())
    for _ in range(max(1, CASES // CATALOG_EVERY)):
        text = damage(refusal(None, -1121, "Invalid symbol."), rng, WORDS)
        error = adapter.catalog_error(rng.choice([400, 403, 418, 429, 500, 503]), text)
        assert isinstance(error, CatalogError | RateLimited | VenueUnavailable)
