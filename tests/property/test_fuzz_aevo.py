"""Aevo's decoders against damaged frames: documented errors only, nothing senseless gets by.

A fifth of `VOLGAUGE_FUZZ_CASES`, which is for all venues; `VOLGAUGE_FUZZ_SEED` is the sequence.
"""

import json
import os
import random
from math import isnan
from pathlib import Path

import pytest
from typing_extensions import override

from fakes.aevo_lab import (
    BOOKS,
    CALL,
    FAR_CALL,
    INDEX,
    PUT,
    TICKERS,
    acknowledge,
    bodies,
    books,
    chain,
    index,
    make,
    perpetual,
    pong,
    push,
    refusal,
    row,
    tickers,
    too_fast,
)
from fakes.damage import StrictSink, damage
from fakes.deribit_lab import NOW_NS
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.base import State
from volgauge.domain.events import AnyEvent, ForwardMark
from volgauge.errors import CatalogError, ProtocolViolation, RateLimited, VenueUnavailable

CASES = int(os.environ.get("VOLGAUGE_FUZZ_CASES", "20000")) // 5
SEED = int(os.environ.get("VOLGAUGE_FUZZ_SEED", "20261121"))
CATALOG_EVERY = 20
DOCUMENTED = (ProtocolViolation, VenueUnavailable, RateLimited)
WORDS = (CALL, FAR_CALL, BOOKS, TICKERS, INDEX, "BTC", "RATE_LIMIT_EXCEEDED", "CHANNEL_NOT_FOUND")
REQUEST = {"id": 1, "data": [INDEX, BOOKS, TICKERS]}


class AevoSink(StrictSink):
    """A forward that is not told any more is withdrawn: those are NaN."""

    @override
    def event(self, event: AnyEvent) -> None:
        if not (isinstance(event, ForwardMark) and isnan(event.price)):
            super().event(event)


def documented() -> list[bytes]:
    """One frame of every shape that the venue documents (synthetic values)."""
    return [
        books(),
        books(row(), row(PUT, bid=None), row(FAR_CALL, ask=("0", "0"))),
        books(channel=f"book-ticker:{CALL}"),
        tickers(row(), row(PUT)),
        tickers(row(bid=("2600", "1")), stamp=NOW_NS + 3 * 10**9),
        index(),
        push("trades:BTC-PERP", {"trade_id": "1", "price": "2"}),
        acknowledge(REQUEST),
        acknowledge(REQUEST, [BOOKS]),
        pong({"id": 2}),
        refusal({"id": 1}, "CHANNEL_NOT_FOUND"),
        refusal(None, "INVALID_MESSAGE_FORMAT"),
        too_fast(),
    ]


def sampled() -> list[bytes]:
    """The venue's own example, where the test data are."""
    path = Path(os.environ.get("VOLGAUGE_TEST_DATA", "")) / "wire" / "aevo" / "docs_frames.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text().splitlines()
    return [json.dumps(json.loads(line)["sample"]).encode() for line in lines]


def adapter_with_listing(sink: StrictSink) -> AevoAdapter:
    """Near and far options."""
    adapter = make(sink, assets=("BTC",))
    adapter.on_catalog(bodies(chain([60_000, 70_000])), NOW_NS)
    return adapter


@pytest.mark.parametrize("kind", ["listed", "by-name"])
def test_damaged_aevo_frames_raise_documented_errors_only(kind: str) -> None:
    """A session lives on, or ends by a typed error and begins again."""
    rng = random.Random(f"{SEED}{kind}")  # noqa: S311 - repeatable, not secret
    plain, real = documented(), sampled()
    sink = AevoSink()
    adapter = adapter_with_listing(sink) if kind == "listed" else make(sink)
    (protocol,) = adapter.connections()
    refused = 0
    for case in range(CASES // 2):
        if protocol.state is State.IDLE:
            protocol.start(NOW_NS)
        frame = damage(rng.choice(real if real and case % 5 == 0 else plain), rng, WORDS)
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
    protocol.disconnected(NOW_NS, "test")
    protocol.start(NOW_NS)
    protocol.receive(books(), NOW_NS)
    assert protocol.state is State.LIVE
    assert adapter._listing.options[CALL].is_streamed


def test_damaged_aevo_listings_leave_the_one_before() -> None:
    """A body is read, row by row, or refused as a whole and changes nothing."""
    rng = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    sink = AevoSink()
    adapter = adapter_with_listing(sink)
    whole = bodies(chain([60_000, 70_000]), [perpetual(), perpetual("ETH")])
    corpus = [whole["options"], whole["options"], b'{"error":"INTERNAL_ERROR"}']
    refused = 0
    for case in range(max(1, CASES // CATALOG_EVERY)):
        name = "perpetuals" if case % 4 == 0 else "options"
        text = damage(whole[name] if case % 4 == 0 else rng.choice(corpus), rng, WORDS)
        before = set(sink.listed)
        try:
            adapter.on_catalog(whole | {name: text}, NOW_NS)
        except CatalogError:
            refused += 1
            assert sink.listed == before
        except Exception as error:  # noqa: BLE001 - shown with the body that caused it
            pytest.fail(f"case {case}: {error!r} from {text[:4_000]!r}")
        assert len(sink.listed) == len(adapter._listing.options)

    assert refused > 0
