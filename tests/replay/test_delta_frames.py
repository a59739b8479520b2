"""Every recorded and documented Delta message: decoded to the last field, or refused and counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import json
from collections import Counter
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.delta_lab import NOW_NS, body, expiry_of, heartbeat, make, top
from fakes.deribit_lab import Sink
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.adapters.delta.protocol import DeltaProtocol
from volgauge.domain.events import (
    BookSnapshot,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    TradedVolume,
)
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MICRO, parse_instant, years_between
from volgauge.errors import ProtocolViolation
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
LIVE = "C-BTC-79500-250926"
RECORDED_NS = parse_instant("2021-11-29T01:00:00Z")
"""When the listing was recorded: an hour before the stream."""
SIZES = {"BTC": 0.001, "ETH": 0.01, "BNB": 1.0}
"""Of the listing; the stream's contracts."""


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "delta"


def lines(folder: Path, name: str) -> list[Row]:
    """A file of one JSON value a line."""
    return [json.loads(line) for line in (folder / name).read_text().splitlines() if line]


def live(folder: Path) -> Row:
    """The recorded ticker of 2026."""
    (line,) = lines(folder, "live_frame_2026-09-25.jsonl")
    sample: Row = line["sample"]
    return sample


def feed(*frames: Row) -> tuple[DeltaProtocol, Sink]:
    """Frames in a session as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol = make(sink, assets=()).connections()[0]
    protocol.start(NOW_NS)
    for number, frame in enumerate(frames):
        protocol.receive(json.dumps(frame).encode(), NOW_NS + number)
    return protocol, sink


def test_recorded_ticker_of_2026_to_the_last_field(folder: Path) -> None:
    """Contracts to coins, microseconds to nanoseconds; open interest and volume are coins."""
    row = live(folder)
    protocol, sink = feed(row)
    stamp_ns, told = row["timestamp"] * NANOS_PER_MICRO, row["quotes"]

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.name, instrument.asset, instrument.strike) == (LIVE, "BTC", 79_500.0)
    assert (instrument.kind.value, instrument.contract_size) == ("C", 0.001)
    assert (instrument.premium.value, instrument.quote_currency) == ("quote", "USDT")
    assert instrument.expiry_ns == parse_instant("2026-09-25T12:00:00Z") == expiry_of(LIVE)
    (quote,) = sink.quotes
    expected = (0, 4_496.0, 4_544.0, 4.104, 2.731, stamp_ns, NOW_NS)
    assert (told["best_bid"], told["ask_size"]) == ("4496", "2731")
    assert quote == pytest.approx(expected, rel=1e-15)
    (price,) = sink.of(IndexPrice)
    assert (price.asset, price.quote_currency) == ("BTC", "USDT")
    assert (price.price, price.exchange_ns) == (84_020.0, stamp_ns)
    (mark,) = sink.of(MarkQuote)
    assert (mark.slots, mark.prices) == ((0,), (float(row["mark_price"]),))
    assert (mark.implied_vols, mark.exchange_ns) == ((float(told["mark_iv"]),), stamp_ns)
    (interest,), (volume,) = sink.of(OpenInterest), sink.of(TradedVolume)
    assert (interest.amounts, volume.amounts) == ((0.785,), (0.601,))
    assert protocol.counts == {}


def test_recorded_top_of_2023_to_the_last_field(folder: Path) -> None:
    """A put, both sides; the contract's size is the coin's."""
    (row,) = [r for r in lines(folder, "tardis_l1_l2_updates_2023.jsonl") if "best_bid" in r]
    protocol, sink = feed(row)

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.name, instrument.kind.value) == ("P-BTC-33000-210423", "P")
    assert instrument.expiry_ns == parse_instant("2023-04-21T12:00:00Z")
    (quote,) = sink.quotes
    stamp_ns = 1_680_307_203_966_299_000
    assert quote == pytest.approx((0, 4_802.0, 4_964.5, 4.356, 1.95, stamp_ns, NOW_NS), rel=1e-15)
    assert protocol.counts == {}


def test_recorded_updates_of_books_are_not_for_us(folder: Path) -> None:
    """`l2_updates` takes 100 symbols a connection: never asked for, so ignored by its name."""
    rows = [r for r in lines(folder, "tardis_l1_l2_updates_2023.jsonl") if "action" in r]
    protocol, sink = feed(*rows)

    assert len(rows) == 3
    assert protocol.counts == {"ignored.channel": 3}
    assert (sink.quotes, sink.of(InstrumentsListed)) == ([], [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "tardis_messages_2020.jsonl",
            # An answer without a question; the old ticker, trades, marks and funding; books.
            {"ignored.answer": 1, "ignored.channel": 7, "ignored.unlisted": 2},
        ),
        ("tardis_v2_messages.jsonl", {"ignored.channel": 5, "ignored.unlisted": 2}),
    ],
)
def test_recorded_frames_of_perpetuals_have_a_reason(
    folder: Path, name: str, expected: dict[str, int]
) -> None:
    """Their books and tickers are of no option; the other channels are none of ours."""
    rows = lines(folder, name)
    protocol, sink = feed(*rows)

    kinds = Counter(row["type"] for row in rows)
    unlisted = kinds["l2_orderbook"] + kinds["v2/ticker"] + kinds["l1_orderbook"]
    assert unlisted == expected["ignored.unlisted"]
    assert protocol.counts == expected
    assert (sink.quotes, sink.of(InstrumentsListed)) == ([], [])


def test_recorded_stream_of_books_level_by_level(folder: Path) -> None:
    """309 whole books of ten options of ETH and BNB, decoded by name; candles are not for us."""
    stream = lines(folder, "ws_raw_10options_30s_2021-11-29.jsonl")
    frames = [line["msg"] for line in stream if line["dir"] == "in"]
    books = [frame for frame in frames if frame["type"] == "l2_orderbook"]
    protocol, sink = feed(*frames)

    assert len(books) == 309
    assert protocol.counts == {"ignored.answer": 1, "ignored.channel": 10}
    instruments = {
        slot: instrument
        for event in sink.of(InstrumentsListed)
        for slot, instrument in zip(event.slots, event.instruments, strict=True)
    }
    assert {i.name for i in instruments.values()} == {book["symbol"] for book in books}
    snapshots = sink.of(BookSnapshot)
    assert len(snapshots) == 309
    for book, snapshot in zip(books, snapshots, strict=True):
        instrument = instruments[snapshot.slot]
        size = SIZES[book["symbol"].split("-")[1]]
        assert (instrument.name, instrument.contract_size) == (book["symbol"], size)
        assert instrument.expiry_ns == expiry_of(book["symbol"])
        assert snapshot.exchange_ns == book["timestamp"] * 1_000
        for side, told in ((snapshot.bids, book["buy"]), (snapshot.asks, book["sell"])):
            assert [price for price, _ in side] == [float(level["limit_price"]) for level in told]
            assert [amount for _, amount in side] == [level["size"] * size for level in told]
        assert snapshot.bids[0][0] < snapshot.asks[0][0]


def products(folder: Path) -> list[Row]:
    """The recorded listing of options."""
    recorded = json.loads((folder / "http_products_options_2021-11-29.json").read_text())
    rows: list[Row] = recorded["result"]
    return rows


def take(rows: list[Row], now_ns: int = RECORDED_NS) -> tuple[DeltaAdapter, Sink]:
    """A listing of one page."""
    sink = Sink()
    adapter = make(sink, assets=())
    adapter.on_catalog({"products": body(rows), "perpetuals": body([])}, now_ns)
    return adapter, sink


def test_recorded_listing_as_it_came(folder: Path) -> None:
    """The body itself, of 605 options that the name of each says the same of."""
    sink = Sink()
    adapter = make(sink, assets=())
    text = (folder / "http_products_options_2021-11-29.json").read_bytes()
    adapter.on_catalog({"products": text, "perpetuals": body([])}, RECORDED_NS)

    (event,) = sink.of(InstrumentsListed)
    assert event.slots == tuple(range(605))
    assert adapter.connections()[-1].counts == {}
    assert len(adapter.catalog_requests()) == 3


def test_recorded_listing_row_by_row(folder: Path) -> None:
    """Nine coins; every one of 605 options expires at noon, whatever its class."""
    rows = {row["symbol"]: row for row in products(folder)}
    _, sink = take(list(rows.values()))

    found = sink.of(InstrumentsListed)[0].instruments
    assert {i.name for i in found} == set(rows)
    assert Counter(i.asset for i in found) == {
        "BTC": 263, "ETH": 238, "SOL": 42, "BNB": 42, "XRP": 12, "ADA": 2, "LTC": 2, "BCH": 2,
        "LINK": 2,
    }  # fmt: skip
    for instrument in found:
        row = rows[instrument.name]
        assert instrument.asset == row["underlying_asset"]["symbol"]
        assert instrument.strike == float(row["strike_price"])
        assert {"C": "call_options", "P": "put_options"}[instrument.kind.value] == (
            row["contract_type"]
        )
        assert instrument.expiry_ns == parse_instant(row["settlement_time"])
        assert instrument.expiry_ns % (24 * NANOS_PER_HOUR) == 12 * NANOS_PER_HOUR
        assert instrument.tick_size == float(row["tick_size"])
        assert instrument.contract_size == float(row["contract_value"])
        assert (instrument.premium.value, instrument.quote_currency) == ("quote", "USDT")
        assert instrument.listed_ns == parse_instant(row["launch_time"])


def test_names_alone_say_what_the_listing_says(folder: Path) -> None:
    """Expiry, strike, kind and the size of the contract; only the tick is not in a name."""
    _, sink = take(products(folder))
    for instrument in sink.of(InstrumentsListed)[0].instruments:
        _, by_name = feed(json.loads(top(instrument.name)))
        (adopted,) = by_name.of(InstrumentsListed)[0].instruments
        assert adopted.tick_size == 0.0
        for field in ("name", "asset", "expiry_ns", "strike", "kind", "contract_size"):
            assert getattr(adopted, field) == getattr(instrument, field)


def test_options_that_ended_at_noon_are_gone_and_not_before(folder: Path) -> None:
    """106 of 29 November: listed at 11:59:59.999, refused as expired at 12:00."""
    noon_ns = parse_instant("2021-11-29T12:00:00Z")
    _, before = take(products(folder), noon_ns - 1_000_000)
    adapter, after = take(products(folder), noon_ns)

    assert len(before.of(InstrumentsListed)[0].instruments) == 605
    assert len(after.of(InstrumentsListed)[0].instruments) == 499
    assert adapter.connections()[-1].counts == {"rejected.listing_expired": 106}


def test_documented_answers_and_refusals() -> None:
    """The shapes that were seen on 2026-09-23, word by word."""
    protocol, _ = feed(json.loads(heartbeat()), {"type": "pong"})
    assert protocol.counts == {"ignored.channel": 1}
    told = {"message": "Subscription forbidden: Invalid channel array", "type": "error"}

    with pytest.raises(ProtocolViolation, match="Invalid channel array"):
        feed(told)


def test_documented_top_with_a_side_missing() -> None:
    """Null for the side with no orders; zero and the empty string say the same."""
    for none in (None, "0", ""):
        _, sink = feed(json.loads(top(best_bid=none, bid_qty=none)))
        (quote,) = sink.quotes
        assert quote[1:5] == pytest.approx((nan, 2_510.5, nan, 1.95), nan_ok=True)


def solve(spot: float, instrument: Instrument, at_ns: int, price: float) -> float:
    """Our volatility of a price, with the spot for a forward."""
    out = np.empty(1)
    implied_vols(
        np.array([spot]),
        np.array([instrument.strike]),
        np.array([years_between(at_ns, instrument.expiry_ns)]),
        np.array([price]),
        np.array([instrument.kind.value == "C"]),
        out,
    )
    return float(out[0])


PUT = "P-BTC-80000-250926"
QUOTED: Row = {
    "symbol": PUT, "timestamp": 1788725363377966, "spot_price": "79777.3",
    "mark_price": "2616.58595291", "quotes": {
        "ask_iv": "0.35119024", "ask_size": "5794", "best_ask": "2643", "best_bid": "2590",
        "bid_iv": "0.34382519", "bid_size": "6044", "mark_iv": "0.34751911",
    },
    "oi": "18.9470", "volume": 5.228999999999997, "type": "v2/ticker",
}  # fmt: skip
"""A ticker of India's socket of 2026-09-06 as a client's tests quote it (its relevant fields)."""
SPOT_DIGIT = 0.05
"""Half of the last digit of the spot price, USD."""


def priced(row: Row) -> tuple[Instrument, int, dict[str, tuple[float, float]]]:
    """The option of a ticker, its time, and what is printed: prices with their volatilities."""
    _, sink = feed(row)
    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    (quote,), (mark,) = sink.quotes, sink.of(MarkQuote)
    told = row["quotes"]
    return instrument, quote[5], {
        "bid": (quote[1], float(told["bid_iv"])),
        "ask": (quote[2], float(told["ask_iv"])),
        "mark": (mark.prices[0], float(told["mark_iv"])),
    }  # fmt: skip


@pytest.mark.parametrize("side", ["bid", "ask", "mark"])
def test_our_volatility_is_deltas(side: str) -> None:
    """Black-76 on the spot, no rate, ACT/365 to 12:00 UTC: all that the spot's digits leave open.

    That is less than 1e-5 of volatility; the printed one is inside.
    """
    instrument, at_ns, printed = priced(QUOTED)
    price, vol = printed[side]
    ends = [solve(79_777.3 + cut, instrument, at_ns, price) for cut in (-SPOT_DIGIT, SPOT_DIGIT)]

    assert min(ends) <= vol <= max(ends)
    assert max(ends) - min(ends) < 1e-5


def test_our_volatility_is_deltas_hours_before_the_end(folder: Path) -> None:
    """The mark of a deep call; its ask is of a spot 2.6 USD before, its bid below the intrinsic."""
    row = live(folder)
    instrument, at_ns, printed = priced(row)
    spot = float(row["spot_price"])
    price, vol = printed["mark"]
    ends = [solve(spot + cut, instrument, at_ns, price) for cut in (-SPOT_DIGIT, SPOT_DIGIT)]
    assert min(ends) <= vol <= max(ends)

    price, vol = printed["ask"]
    assert solve(spot - 2.59, instrument, at_ns, price) == pytest.approx(vol, abs=1e-4)
    price, vol = printed["bid"]
    assert isnan(solve(spot, instrument, at_ns, price))
    assert vol == 5e-6


@pytest.mark.parametrize("trap", ["eight", "milliseconds", "forward"])
def test_other_conventions_do_not_fit_delta(folder: Path, trap: str) -> None:
    """08:00 for 12:00; a stamp a thousand times too small; a forward of five per cent a year."""
    for row in (QUOTED, live(folder)):
        instrument, at_ns, printed = priced(row)
        spot = float(row["spot_price"])
        price, vol = printed["mark"]
        match trap:
            case "eight":
                wrong = solve(spot, instrument, at_ns + 4 * NANOS_PER_HOUR, price)
            case "milliseconds":
                wrong = solve(spot, instrument, at_ns // 1_000, price)
            case _:
                years = years_between(at_ns, instrument.expiry_ns)
                wrong = solve(spot * np.exp(0.05 * years), instrument, at_ns, price)

        # The forward of the option that ends in five hours is the spot's but for 2 USD.
        assert not abs(wrong - vol) < 1e-3
