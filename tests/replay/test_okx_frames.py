"""Every recorded and documented OKX message: decoded to the last field, or refused and counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import json
import zlib
from collections import Counter
from contextlib import suppress
from math import exp, inf, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import CALL, NOW_NS, bodies, body, listed, make, option_row
from volgauge.adapters.okx.normalize import read_name
from volgauge.adapters.okx.protocol import OkxProtocol
from volgauge.book.depth import DepthBook
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    ForwardMark,
    Gap,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant, years_between
from volgauge.errors import CatalogError, ProtocolViolation, VenueError
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
SIZES = {"BTC-USD": 0.01, "ETH-USD": 0.1}
"""Units of the underlying in a contract, for options known by name (VENUES, section 2.4)."""


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "okx"


def lines(path: Path) -> list[Row]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def session() -> tuple[OkxProtocol, Sink]:
    """A connection as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol = make(sink, assets=()).connections()[0]
    protocol.start(NOW_NS)
    return protocol, sink


def feed(message: object) -> tuple[OkxProtocol, Sink]:
    """One message in a session of its own."""
    protocol, sink = session()
    protocol.receive(json.dumps(message).encode(), NOW_NS)
    return protocol, sink


def number(text: str) -> float:
    """A number as it must arrive; "" is none."""
    return float(text) if text else nan


def expiry_of(name: str) -> int:
    """08:00 UTC of the day in a name."""
    date = name.split("-")[2]
    return parse_instant(f"20{date[:2]}-{date[2:4]}-{date[4:]}T08:00:00Z")


def check_ticker(row: Row, sink: Sink) -> None:
    """One option's ticker against the quote that came of it."""
    size = SIZES[row["instId"].rpartition("-")[0].rsplit("-", 2)[0]]
    expected = (
        number(row["bidPx"]),
        number(row["askPx"]),
        number(row["bidSz"]) * size,
        number(row["askSz"]) * size,
    )
    (quote,) = sink.quotes
    assert quote[1:5] == pytest.approx(expected, nan_ok=True, rel=1e-15)
    assert quote[5] == int(row["ts"]) * NANOS_PER_MILLI


def check_summary(rows: list[Row], sink: Sink) -> None:
    """Rows of opt-summary against what came of them."""
    names = [event.instruments[0].name for event in sink.of(InstrumentsListed)]
    assert names == [row["instId"] for row in rows]
    (marks,) = sink.of(MarkQuote)
    assert marks.slots == tuple(range(len(rows)))
    assert marks.implied_vols == tuple(float(row["markVol"]) for row in rows)
    assert all(isnan(price) for price in marks.prices)
    assert marks.exchange_ns == max(int(row["ts"]) for row in rows) * NANOS_PER_MILLI
    told = {
        (event.asset, event.quote_currency, event.expiry_ns): (event.price, event.exchange_ns)
        for event in sink.of(ForwardMark)
    }
    expected: dict[tuple[str, str, int], tuple[float, int]] = {}
    for row in rows:
        if "fwdPx" in row:
            asset, quote, *_ = row["instId"].split("-")
            key = (asset, quote, expiry_of(row["instId"]))
            newest = (float(row["fwdPx"]), int(row["ts"]) * NANOS_PER_MILLI)
            if key not in expected or newest[1] > expected[key][1]:
                expected[key] = newest
    assert told == expected


@pytest.mark.parametrize(("coin", "options", "size"), [("BTC", 346, 0.1), ("ETH", 350, 1.0)])
def test_recorded_okx_listings_row_by_row(
    folder: Path, coin: str, options: int, size: float
) -> None:
    """All options of May 2022 with all of their terms; contracts were larger then."""
    whole = (folder / f"http_instruments_OPTION_{coin}-USD_2022-05-13.json").read_bytes()
    rows = {row["instId"]: row for row in json.loads(whole)["data"]}
    family = f"{coin}-USD"
    given = {
        "tick_bands": body([{"instFamily": family, "tickBand": []}]),
        f"{family}.option": whole,
        f"{family}.interest": body([]),
    }
    sink = Sink()
    make(sink, assets=()).on_catalog(given, parse_instant("2022-05-13T16:27:00Z"))

    found = [i for event in sink.of(InstrumentsListed) for i in event.instruments]
    assert len(found) == len(rows) == options
    for instrument in found:
        row = rows[instrument.name]
        assert instrument.asset == row["settleCcy"] == coin
        assert instrument.premium.value == "coin"
        assert instrument.quote_currency == "USD"
        assert instrument.strike == float(row["stk"])
        assert instrument.kind.value == row["optType"]
        assert instrument.expiry_ns == int(row["expTime"]) * NANOS_PER_MILLI
        assert instrument.tick_size == float(row["tickSz"])
        assert instrument.tick_above == inf
        assert instrument.contract_size == float(row["ctVal"]) * float(row["ctMult"]) == size
        assert instrument.listed_ns == int(row["listTime"]) * NANOS_PER_MILLI
        # The name says the same as the row, for recordings without one.
        by_name = read_name(instrument.name)
        assert isinstance(by_name, Instrument)
        assert by_name.strike == instrument.strike
        assert by_name.expiry_ns == instrument.expiry_ns == expiry_of(instrument.name)
        assert by_name.kind is instrument.kind


def test_listing_of_2024(folder: Path) -> None:
    """Contracts of a hundredth, a tick of a ten-thousandth."""
    whole = (folder / "nautilus/http_get_instruments_option.json").read_bytes()
    given = bodies([option_row()]) | {"BTC-USD.option": whole}
    sink = Sink()
    make(sink).on_catalog(given, parse_instant("2024-12-16T00:00:00Z"))

    found = [i for event in sink.of(InstrumentsListed) for i in event.instruments]
    assert [i.name for i in found] == [row["instId"] for row in json.loads(whole)["data"]]
    assert {i.contract_size for i in found} == {0.01}
    assert {(i.tick_size, i.tick_above, i.tick_step) for i in found} == {(0.0001, 0.005, 0.0005)}
    assert {i.expiry_ns for i in found} == {1_734_422_400_000 * NANOS_PER_MILLI}
    assert {i.listed_ns for i in found} == {1_734_165_000_000 * NANOS_PER_MILLI}


def test_documented_listing_row_of_2026(folder: Path) -> None:
    """The contract's value and multiplier have changed places; their product has not."""
    (sample,) = [
        line["sample"]
        for line in lines(folder / "oggregator_frames_2026-03.jsonl")
        if line["name"] == "REST_INSTRUMENT_DOC_FIXTURE"
    ]
    sink = Sink()
    make(sink).on_catalog(bodies([sample]), parse_instant("2026-03-20T00:00:00Z"))

    ((instrument,),) = [event.instruments for event in sink.of(InstrumentsListed)]
    assert (instrument.name, instrument.strike) == ("BTC-USD-260321-70000-C", 70_000.0)
    assert instrument.contract_size == 0.01
    # The row decides over the name, and here they differ.
    assert instrument.expiry_ns == 1_774_598_400_000 * NANOS_PER_MILLI


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("nautilus/http_get_instruments_futures.json", {"kind": 6}),
        ("nautilus/http_get_instruments_option.json", {"expired": 4}),
    ],
)
def test_okx_rows_that_are_not_for_us_have_a_reason(
    folder: Path, name: str, reasons: dict[str, int]
) -> None:
    """Futures, and what has expired."""
    given = bodies([option_row()]) | {"BTC-USD.option": (folder / name).read_bytes()}
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(given, NOW_NS)

    counts = adapter.connections()[-1].counts
    assert counts == {f"rejected.listing_{reason}": count for reason, count in reasons.items()}
    assert sink.of(InstrumentsListed) == []


def test_open_interest_of_others_is_left_alone(folder: Path) -> None:
    """The recorded body is about swaps."""
    recorded = json.loads((folder / "zenhive_open_interests_2026-08-08.json").read_text())
    given = bodies([option_row()]) | {"BTC-USD.interest": json.dumps(recorded["body"]).encode()}
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(given, NOW_NS)

    assert sink.of(OpenInterest) == []
    assert adapter.connections()[-1].counts == {}


@pytest.mark.parametrize("name", ["zenhive_error_bad_symbol", "zenhive_error_invalid_signature"])
def test_okx_error_bodies_name_their_code(folder: Path, name: str) -> None:
    """With HTTP 200 or 401 alike."""
    recorded = json.loads((folder / "errors" / f"{name}.json").read_text())
    text = json.dumps(recorded["body"]).encode()
    adapter = make(Sink())
    error = adapter.catalog_error(recorded["http_status"], text)
    assert isinstance(error, CatalogError)
    assert recorded["code"] in str(error)

    with pytest.raises(CatalogError, match=recorded["code"]):
        adapter.on_catalog({"tick_bands": text}, NOW_NS)


def test_option_frames_of_2021(folder: Path) -> None:
    """Eight channels' frames, each in a session of its own."""
    seen: Counter[str] = Counter()
    for message in lines(folder / "tardis_v5_option_messages.jsonl"):
        protocol, sink = feed(message)
        channel, rows = message["arg"]["channel"], message["data"]
        seen[channel] += 1
        match channel:
            case "books-l2-tbt":
                # An update with no snapshot before it.
                (gap,) = sink.of(Gap)
                assert (gap.slots, gap.reason) == ((0,), "sequence")
            case "index-tickers":
                assert protocol.counts == {"ignored.index": 1}
            case "open-interest":
                (interest,) = sink.of(OpenInterest)
                assert interest.amounts == pytest.approx((float(rows[0]["oiCcy"]),), rel=1e-15)
            case "mark-price":
                # 3.80 for a call far out of the money: USD, where coin is due.
                assert sink.of(MarkQuote) == []
                assert protocol.counts == {"rejected.bad_number": 1}
            case "tickers":
                check_ticker(rows[0], sink)
            case "opt-summary":
                check_summary(rows, sink)
                assert sink.of(ForwardMark) == []
            case _:
                assert protocol.counts == {"ignored.channel": 1}

    assert seen == {
        "books-l2-tbt": 1, "index-tickers": 1, "open-interest": 1, "mark-price": 1, "tickers": 1,
        "opt-summary": 2, "trades": 1,
    }  # fmt: skip


def test_recorded_index_once_an_option_rests_on_it(folder: Path) -> None:
    """The index of 2021, with its value."""
    (message,) = [
        line
        for line in lines(folder / "tardis_v5_option_messages.jsonl")
        if line["arg"]["channel"] == "index-tickers"
    ]
    sink = Sink()
    market = listed(sink, [option_row("ETH-USD-260731-3000-C")]).connections()[2]
    market.start(NOW_NS)
    market.receive(json.dumps(message).encode(), NOW_NS)

    (event,) = sink.of(IndexPrice)
    assert (event.asset, event.price) == ("ETH", 3_814.05)
    assert event.exchange_ns == 1_640_001_659_508 * NANOS_PER_MILLI


def test_frames_of_2026(folder: Path) -> None:
    """Summary and ticker as verified live; REST rows are the same rows."""
    seen: Counter[str] = Counter()
    for line in lines(folder / "oggregator_frames_2026-03.jsonl"):
        sample, name = line["sample"], line["name"]
        if "INSTRUMENT" in name:
            continue
        kind = "tickers" if "TICKER" in name else "opt-summary"
        rows = sample.get("data", [sample])
        if "data" not in sample:
            about = {"instId": sample["instId"]} if kind == "tickers" else {"instFamily": "BTC-USD"}
            sample = {"arg": {"channel": kind, **about}, "data": rows}
        protocol, sink = feed(sample)
        assert protocol.counts == {}
        seen[kind] += 1
        if kind == "tickers":
            check_ticker(rows[0], sink)
        else:
            check_summary(rows, sink)
            assert len(sink.of(ForwardMark)) == 1

    assert seen == {"tickers": 2, "opt-summary": 3}


def test_summary_rows_of_other_sources(folder: Path) -> None:
    """A real REST row of 2025, and a client's samples of two lists."""
    real = lines(folder / "opt_summary_row_2025-07-09.jsonl")[0]["sample"]
    rest = json.loads((folder / "nautilus/http_get_option_summary.json").read_text())["data"]
    pushed = json.loads((folder / "nautilus/ws_opt_summary.json").read_text())
    for rows in ([real], rest, pushed):
        arg = {"channel": "opt-summary", "instFamily": "BTC-USD"}
        _, sink = feed({"arg": arg, "data": rows})
        check_summary(rows, sink)


def test_stream_of_2022_is_about_other_products(folder: Path) -> None:
    """414 lines: answers to nobody's question, tickers and books of spot, futures and swaps."""
    protocol, sink = session()
    expected: Counter[str] = Counter()
    for line in lines(folder / "ws_raw_tickers_books_trades_11s_2022-05-13.jsonl"):
        if line["dir"] != "in":
            continue
        message = line["msg"]
        protocol.receive(json.dumps(message).encode(), round(line["recv_ts"] * 1e9))
        if "event" in message:
            expected["ignored.answer"] += 1
        elif message["arg"]["channel"] == "trades":
            expected["ignored.channel"] += 1
        else:
            expected["ignored.unlisted"] += 1

    assert protocol.counts == expected
    assert expected["ignored.unlisted"] == 318
    assert sink.quotes == []


@pytest.mark.parametrize("name", ["BTC-USD-220527", "UNI-USD-SWAP", "BTC-USDT"])
def test_real_books_level_by_level(folder: Path, name: str) -> None:
    """Real books under the name of an option, against the venue's own checksums.

    Books of 2022 carry no numbers, but a CRC-32 of the best 25 levels as the venue printed them.
    """
    protocol, sink = session()
    book, size = DepthBook(), 0.01
    plain: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    checked = 0
    for line in lines(folder / "ws_raw_tickers_books_trades_11s_2022-05-13.jsonl"):
        message = line["msg"] if line["dir"] == "in" else {}
        if message.get("arg", {}) != {"channel": "books", "instId": name} or "data" not in message:
            continue
        (row,) = message["data"]
        if message["action"] == "snapshot":
            plain = {"bids": {}, "asks": {}}
        for side in ("bids", "asks"):
            for price, amount, *_ in row[side]:
                if float(amount) == 0.0:
                    plain[side].pop(price, None)
                else:
                    plain[side][price] = amount
        renamed = message | {"arg": {"channel": "books", "instId": CALL}}
        protocol.receive(json.dumps(renamed).encode(), NOW_NS)
        event = next(e for e in reversed(sink.events) if isinstance(e, BookSnapshot | BookDelta))
        assert event.exchange_ns == int(row["ts"]) * NANOS_PER_MILLI
        book.apply(event)
        bids = sorted(plain["bids"].items(), key=lambda level: -float(level[0]))
        asks = sorted(plain["asks"].items(), key=lambda level: float(level[0]))
        assert crc(bids, asks) == row["checksum"]
        checked += 1
        assert book.levels(event.slot) == (
            tuple((float(price), float(amount) * size) for price, amount in bids),
            tuple((float(price), float(amount) * size) for price, amount in asks),
        )

    assert checked > 90
    assert sink.of(Gap) == []


def crc(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> int:
    """The venue's checksum: 25 levels, bid and ask in turn, "price:size", signed 32 bits."""
    parts = [
        ":".join(side[place]) for place in range(25) for side in (bids, asks) if place < len(side)
    ]
    value = zlib.crc32(":".join(parts).encode())
    return value - 2**32 if value >= 2**31 else value


def test_documented_book_with_numbers(folder: Path) -> None:
    """Snapshot -1 and the update that follows it, under the name of an option."""
    protocol, sink = session()
    for name in ("ws_books_snapshot", "ws_books_update"):
        message = json.loads((folder / "nautilus" / f"{name}.json").read_text())
        message["arg"]["instId"] = CALL
        protocol.receive(json.dumps(message).encode(), NOW_NS)

    (snapshot,) = sink.of(BookSnapshot)
    (update,) = sink.of(BookDelta)
    assert snapshot.bids[:2] == ((8_476.97, 2.56), (8_475.55, 1.01))
    assert snapshot.asks[:2] == ((8_476.98, 4.15), (8_477.0, 0.07))
    assert len(update.bids) == len(update.asks) == 8
    assert snapshot.exchange_ns == 1_597_026_383_085 * NANOS_PER_MILLI
    assert protocol.counts == {}


def test_documented_best_bid_and_offer(folder: Path) -> None:
    """The only bbo-tbt that was found, under the name of an option and under its own."""
    text = (folder / "nautilus/ws_bbo_tbt.json").read_text()
    protocol, sink = session()
    protocol.receive(text.encode(), NOW_NS)
    assert protocol.counts == {"ignored.unlisted": 1}

    for _ in range(2):
        # The second time by the hot path.
        protocol.receive(text.replace("BTC-USDT", CALL).encode(), NOW_NS)

    stamp_ns = 1_597_026_383_085 * NANOS_PER_MILLI
    assert sink.quotes == [(0, 8_476.97, 8_476.98, 2.56, 4.15, stamp_ns, NOW_NS)] * 2


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("http_get_index_price", "ignored.frame"),
        ("http_get_order_book", "ignored.frame"),
        ("ws_instruments", "ignored.unlisted"),
        ("ws_tickers", "ignored.unlisted"),
        ("ws_trades", "ignored.channel"),
    ],
)
def test_okx_frames_of_other_products_are_counted(folder: Path, name: str, counted: str) -> None:
    """Whole files with line breaks and blanks; nothing in them is about an option."""
    protocol, sink = session()
    protocol.receive((folder / "nautilus" / f"{name}.json").read_bytes(), NOW_NS)

    assert protocol.counts == {counted: 1}
    assert sink.quotes == []


def test_rows_without_an_envelope_are_no_frame(folder: Path) -> None:
    """A bare list breaks the schema."""
    protocol, _ = session()

    with pytest.raises(ProtocolViolation):
        protocol.receive((folder / "nautilus/ws_opt_summary.json").read_bytes(), NOW_NS)


def test_retired_wire_is_counted_frame_by_frame(folder: Path) -> None:
    """Version 3 has tables instead of arguments."""
    protocol, sink = session()
    messages = lines(folder / "tardis_v3_messages_2020.jsonl")
    for message in messages:
        protocol.receive(json.dumps(message).encode(), NOW_NS)

    assert protocol.counts == {"ignored.frame": len(messages)}
    assert (sink.events, sink.quotes) == ([], [])


def test_documented_examples_of_another_client(folder: Path) -> None:
    """Each sample is read or counted, by its channel."""
    found: dict[str, Counter[str]] = {}
    for line in lines(folder / "gct_push_frames.jsonl"):
        protocol, sink = feed(line["sample"])
        found[line["what"]] = protocol.counts
        if line["what"] == "Option Summary":
            check_summary(line["sample"]["data"], sink)

    assert {what: dict(counts) for what, counts in found.items()} == {
        "Structure Block Trades": {"ignored.channel": 1},
        "Instrument": {"ignored.unlisted": 1},
        "Open Interest": {"ignored.unlisted": 1},
        "Estimated Delivery And Exercise Price": {"ignored.frame": 1},
        "Mark Price": {"ignored.unlisted": 1},
        "Mark Price Candlestick": {"ignored.channel": 1},
        "Price Limit": {"ignored.channel": 1},
        "Test Snapshot Orderbook": {"ignored.unlisted": 1},
        "Options Trades": {"ignored.channel": 1},
        "Public Block Trades": {"ignored.channel": 1},
        "Option Summary": {},
        "Index Candlestick": {"ignored.channel": 1},
        "Index Ticker": {"ignored.index": 1},
        "Status": {"ignored.status": 1},
        "Public Struct Block Trades": {"ignored.channel": 1},
        "Block Ticker": {"ignored.channel": 1},
        "Ticker": {"ignored.unlisted": 1},
        "Candlesticks": {"ignored.channel": 1},
        "Snapshot OrderBook": {"ignored.unlisted": 1},
    }


def implied(row: Row, forward: float, premium: float, shift_ns: int = 0) -> float:
    """Our volatility, in points, of a coin premium on a forward."""
    option = read_name(row["instId"])
    assert option is not None
    stamp_ns = int(row["ts"]) * NANOS_PER_MILLI
    t_years = years_between(stamp_ns, option.expiry_ns + shift_ns)
    out = np.empty(1)
    implied_vols(
        np.array([forward]),
        np.array([option.strike]),
        np.array([t_years]),
        np.array([premium * forward]),
        np.array([option.kind.value == "C"]),
        out,
    )
    return float(out[0]) * 100.0


def greek_rows(folder: Path) -> list[Row]:
    """The real rows that carry a forward and both deltas."""
    (push_row,) = [
        line["sample"]
        for line in lines(folder / "oggregator_frames_2026-03.jsonl")
        if line["name"] == "WS_OPT_SUMMARY_DATA_ITEM"
    ]
    return [lines(folder / "opt_summary_row_2025-07-09.jsonl")[0]["sample"], push_row]


def premium_of(row: Row) -> float:
    """The mark in coin, which opt-summary does not print.

    A coin-settled option loses its own premium in coin when the coin rises: the venue's
    premium-adjusted delta is the Black-Scholes one less the premium.
    """
    return float(row["deltaBS"]) - float(row["delta"])


@pytest.mark.parametrize("place", [0, 1])
def test_premium_and_forward_give_the_venues_volatility(folder: Path, place: int) -> None:
    """Black-76 on fwdPx, no discounting, ACT/365 to 08:00 UTC: markVol within 0.01 points."""
    row = greek_rows(folder)[place]
    forward = float(row["fwdPx"])

    assert implied(row, forward, premium_of(row)) == pytest.approx(
        100.0 * float(row["markVol"]), abs=0.01
    )


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("trap", ["spot", "discounted", "midnight"])
def test_other_conventions_miss_the_venues_volatility(folder: Path, place: int, trap: str) -> None:
    """Read on spot (the forward less 6 % a year), discounted, or to the wrong hour."""
    row = greek_rows(folder)[place]
    option = read_name(row["instId"])
    assert option is not None
    t_years = years_between(int(row["ts"]) * NANOS_PER_MILLI, option.expiry_ns)
    discount = exp(-0.0639 * t_years)
    forward, premium = float(row["fwdPx"]), premium_of(row)
    shift_ns = 0
    match trap:
        case "spot":
            forward *= discount
        case "discounted":
            premium *= discount
        case _:
            shift_ns = -8 * 3_600_000_000_000
    found = implied(row, forward, premium, shift_ns)

    assert abs(found - 100.0 * float(row["markVol"])) > 0.015


def test_no_okx_file_crashes_anything(folder: Path) -> None:
    """Every body as a frame and as a catalog; every line of every file as a frame."""
    fed = 0
    given = bodies([option_row()])
    for path in sorted(folder.rglob("*.json*")):
        raw = path.read_bytes()
        for text in {raw, *raw.splitlines()}:
            protocol, _ = session()
            with suppress(VenueError):
                protocol.receive(text, NOW_NS)
            fed += 1
        for name in given:
            with suppress(VenueError):
                make(Sink(), assets=()).on_catalog(given | {name: raw}, NOW_NS)

    assert fed > 800
