"""Every recorded and documented Deribit message: decoded to the last field, or refused and counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import csv
import gzip
import json
from collections import Counter
from contextlib import suppress
from math import isnan, nan
from pathlib import Path
from typing import Any

import pytest

from fakes.deribit_lab import NOW_NS, Sink, bodies, body, make, notification
from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.adapters.deribit.normalize import Future, read_name
from volgauge.adapters.deribit.protocol import DeribitProtocol
from volgauge.book.depth import DepthBook
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    TradedVolume,
    VenueVolIndex,
)
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant
from volgauge.errors import CatalogError, ProtocolViolation, VenueError

Row = dict[str, Any]


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "deribit"


def lines(path: Path) -> list[Row]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def session() -> tuple[DeribitProtocol, Sink]:
    """A connection as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol = make(sink, assets=()).connections()[0]
    protocol.start(NOW_NS)
    return protocol, sink


def number(value: float | None) -> float:
    """A price or an amount as it must arrive."""
    return float(value) if value else nan


def expected_top(data: Row) -> tuple[float, float, float, float]:
    """Bid, ask and their sizes of a ticker or quote, sides without price or size absent."""
    bid, bid_size = number(data["best_bid_price"]), number(data["best_bid_amount"])
    ask, ask_size = number(data["best_ask_price"]), number(data["best_ask_amount"])
    if isnan(bid) or isnan(bid_size):
        bid = bid_size = nan
    if isnan(ask) or isnan(ask_size):
        ask = ask_size = nan
    return bid, ask, bid_size, ask_size


def check_ticker(message: Row, sink: Sink) -> None:
    """One option's ticker against what came of it."""
    data = message["params"]["data"]
    stamp = data["timestamp"] * NANOS_PER_MILLI
    (slot, *top, exchange_ns, _) = sink.quotes[-1]
    assert top == pytest.approx(expected_top(data), nan_ok=True, rel=0.0, abs=0.0)
    assert exchange_ns == stamp
    forwards = sink.of(ForwardMark)
    if data["underlying_index"] == "index_price":
        assert forwards == []
    else:
        assert forwards[-1].price == data["underlying_price"]
        assert forwards[-1].exchange_ns == stamp
    interest = sink.of(OpenInterest)[-1]
    assert (interest.slots, interest.amounts) == ((slot,), (data["open_interest"],))
    volume = data["stats"]["volume"]
    if volume is not None:
        traded = sink.of(TradedVolume)[-1]
        assert (traded.slots, traded.amounts) == ((slot,), (volume,))
    marks = sink.of(MarkQuote)
    if data["mark_price"]:
        assert marks[-1].prices == (data["mark_price"],)
        assert marks[-1].implied_vols == pytest.approx((data["mark_iv"] / 100.0,))
    else:
        assert marks == []


def test_recorded_stream_of_ten_options(folder: Path) -> None:
    """135 frames of 2021: every ticker field by field, every book against a plain rebuild."""
    protocol, sink = session()
    book = DepthBook()
    plain: dict[str, dict[str, dict[float, float]]] = {}
    seen: Counter[str] = Counter()
    for line in lines(folder / "ws_raw_10options_30s_2021-07-22.jsonl"):
        if line["dir"] != "in":
            continue
        message, received_ns = line["msg"], round(line["recv_ts"] * 1e9)
        before = len(sink.events)
        protocol.receive(json.dumps(message).encode(), received_ns)
        if "params" not in message:
            seen["ack"] += 1
            continue
        topic, name, _ = message["params"]["channel"].split(".")
        seen[topic] += 1
        if topic == "ticker":
            check_ticker(message, sink)
            continue
        data = message["params"]["data"]
        (event,) = [e for e in sink.events[before:] if isinstance(e, BookSnapshot | BookDelta)]
        book.apply(event)
        if data["type"] == "snapshot":
            assert isinstance(event, BookSnapshot)
            plain[name] = {"bids": {}, "asks": {}}
        for side in ("bids", "asks"):
            for action, price, amount in data[side]:
                if action == "delete":
                    plain[name][side].pop(price)
                else:
                    plain[name][side][price] = amount
        bids, asks = book.levels(event.slot)
        assert dict(bids) == plain[name]["bids"]
        assert dict(asks) == plain[name]["asks"]

    assert seen == {"ticker": 89, "book": 46, "ack": 1}
    listed = [e.instruments[0] for e in sink.of(InstrumentsListed)]
    assert len(listed) == len({instrument.name for instrument in listed}) == 10
    assert protocol.counts == {"ignored.answer": 1}


@pytest.mark.parametrize("place", range(18))
def test_mixed_frames_of_2019_to_2024(folder: Path, place: int) -> None:
    """Expired, empty, linear, combined, perpetual: each frame in a session of its own."""
    message = lines(folder / "tardis_mixed_messages.jsonl")[place]
    protocol, sink = session()
    protocol.receive(json.dumps(message).encode(), NOW_NS)

    topic, name, *_ = message["params"]["channel"].split(".")
    is_option = isinstance(read_name(name), Instrument)
    match topic:
        case "trades":
            assert protocol.counts == {"ignored.channel": 1}
        case "ticker" if is_option:
            check_ticker(message, sink)
        case "book" if is_option:
            # `change` after 0: the snapshot of 2021-09.
            (event,) = sink.of(BookSnapshot)
            assert event.bids == tuple((p, a) for _, p, a in message["params"]["data"]["bids"])
            assert event.asks == tuple((p, a) for _, p, a in message["params"]["data"]["asks"])
        case _:
            assert protocol.counts == {"ignored.unlisted": 1}
    assert bool(sink.quotes) == (topic == "ticker" and is_option)


def test_frames_of_2025_and_2026(folder: Path) -> None:
    """Acknowledgement, books, errors without id, marks, ticker, creation: as their notes say."""
    found: list[str] = []
    for line in lines(folder / "live_frames_2025_2026.jsonl"):
        message = line["sample"]
        sink = Sink()
        adapter = make(sink, assets=())
        protocol = adapter.connections()[0]
        adapter.catalog_due_ns = NOW_NS * 2
        protocol.start(NOW_NS)
        frame = json.dumps(message).encode()
        channel = message.get("params", {}).get("channel", "")
        if "error" in message:
            with pytest.raises(ProtocolViolation, match=str(message["error"]["code"])):
                protocol.receive(frame, NOW_NS)
            found.append(f"error {message['error']['code']}")
            continue
        protocol.receive(frame, NOW_NS)
        topic = channel.partition(".")[0]
        found.append(topic or message.get("method", "answer"))
        match topic:
            case "ticker":
                check_ticker(message, sink)
            case "markprice":
                (marks,) = sink.of(MarkQuote)
                data = message["params"]["data"]
                assert marks.prices == tuple(row["mark_price"] for row in data)
                assert marks.implied_vols == tuple(row["iv"] for row in data)
                assert marks.exchange_ns == data[0]["timestamp"] * NANOS_PER_MILLI
            case "instrument":
                assert adapter.catalog_due_ns < NOW_NS * 2
            case "book":
                # Perpetuals: known to the venue, none of ours.
                assert protocol.counts == {"ignored.unlisted": 1}
            case "platform_state":
                assert protocol.counts == {"ignored.index": 1}
            case _ if message.get("method") == "heartbeat":
                sent = [json.loads(request)["method"] for request in protocol.frames_to_send()]
                assert "public/test" in sent
            case _:
                assert protocol.counts == {"ignored.answer": 1}

    assert Counter(found) == {
        "answer": 1, "book": 3, "heartbeat": 1, "error 13778": 1, "error 11050": 1,
        "platform_state": 1, "error -32600": 1, "markprice": 1, "ticker": 1, "instrument": 1,
    }  # fmt: skip


def test_documented_examples_of_every_channel(folder: Path) -> None:
    """Each example is read or counted; an index that no book rests on is counted too."""
    counted: Counter[str] = Counter()
    for line in lines(folder / "docs_channel_examples_2025-11.jsonl"):
        channel = line["channel"]
        data = line["data"]
        if isinstance(data, dict):
            channel = channel.replace("(instrument_name)", data.get("instrument_name", "X"))
            channel = channel.replace("(index_name)", data.get("index_name", "btc_usd"))
        channel = channel.replace("(index_name)", "btc_usd").replace("(interval)", "100ms")
        channel = channel.replace("(group)", "none").replace("(depth)", "10")
        protocol, sink = session()
        protocol.receive(notification(channel, data), NOW_NS)
        topic = channel.partition(".")[0]
        if topic == "markprice":
            (marks,) = sink.of(MarkQuote)
            assert marks.prices == tuple(row["mark_price"] for row in data)
            counted["marks"] += 1
        elif topic == "instrument":
            counted["instrument"] += 1
        else:
            assert sum(protocol.counts.values()) == 1, channel
            counted.update(protocol.counts.keys())

    assert counted["marks"] == 1
    assert counted["instrument"] == 1
    assert counted["ignored.index"] == 3  # platform_state, price index, volatility index
    assert counted["ignored.unlisted"] == 5  # three books, ticker, quote of perpetuals
    assert sum(counted.values()) == len(lines(folder / "docs_channel_examples_2025-11.jsonl"))


def test_index_examples_once_the_book_is_listed(folder: Path) -> None:
    """The documented price and volatility index, with their values."""
    sink = Sink()
    adapter = make(sink)
    rows = options_of(folder / "maks_deribit_get_instruments_btc_option.json")
    adapter.on_catalog(bodies(adapter, rows), rows[0]["creation_timestamp"] * NANOS_PER_MILLI)
    protocol = adapter.connections()[2]
    protocol.start(NOW_NS)
    for line in lines(folder / "docs_channel_examples_2025-11.jsonl"):
        if line["channel"].startswith(("deribit_price_index", "deribit_volatility_index")):
            channel = line["channel"].replace("(index_name)", "btc_usd")
            protocol.receive(notification(channel, line["data"]), NOW_NS)

    assert [(e.price, e.exchange_ns) for e in sink.of(IndexPrice)] == [
        (3_937.89, 1_550_588_002_899 * NANOS_PER_MILLI)
    ]
    assert [(e.value, e.exchange_ns) for e in sink.of(VenueVolIndex)] == [
        (129.36, 1_619_777_946_007 * NANOS_PER_MILLI)
    ]


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("ws_book_delta", "ignored.unlisted"),
        ("ws_book_grouped_snapshot", "ignored.unlisted"),
        ("ws_book_snapshot", "ignored.unlisted"),
        ("ws_chart", "ignored.channel"),
        ("ws_quote", "ignored.unlisted"),
        ("ws_ticker", "ignored.unlisted"),
        ("ws_trades", "ignored.channel"),
        ("ws_trades_option_combo", "ignored.channel"),
        ("ws_volatility_index", "ignored.index"),
    ],
)
def test_frames_of_perpetuals_are_counted(folder: Path, name: str, counted: str) -> None:
    """Whole frames with line breaks and blanks; nothing in them is about an option."""
    protocol, sink = session()
    protocol.receive((folder / "nautilus" / f"{name}.json").read_bytes(), NOW_NS)

    assert protocol.counts == {counted: 1}
    assert sink.quotes == []


def test_session_frames_of_the_same_source(folder: Path) -> None:
    """A test request, a refusal for speed, an acknowledgement of a request that is not ours."""
    protocol, _ = session()
    protocol.frames_to_send()
    protocol.receive((folder / "nautilus/ws_test_request.json").read_bytes(), NOW_NS)
    (request,) = protocol.frames_to_send()
    assert json.loads(request)["method"] == "public/test"

    with pytest.raises(VenueError, match="10028 too_many_requests"):
        protocol.receive((folder / "nautilus/ws_error.json").read_bytes(), NOW_NS)


def test_push_frames_of_another_client(folder: Path) -> None:
    """Announcements, trades, charts, a perpetual's book and ticker."""
    protocol, sink = session()
    messages = lines(folder / "gct_push_frames.jsonl")
    for line in messages:
        protocol.receive(json.dumps(line["sample"]).encode(), NOW_NS)

    assert protocol.counts.total() == len(messages)
    assert set(protocol.counts) == {"ignored.channel", "ignored.unlisted"}
    assert sink.quotes == []


@pytest.mark.parametrize("name", ["zenhive_error_bad_symbol", "zenhive_error_invalid_signature"])
def test_error_bodies_name_their_code(folder: Path, name: str) -> None:
    """HTTP 400 and the venue's own words."""
    recorded = json.loads((folder / "errors" / f"{name}.json").read_text())
    error = make(Sink()).catalog_error(
        recorded["http_status"], json.dumps(recorded["body"]).encode()
    )

    assert isinstance(error, CatalogError)
    assert recorded["code"] in str(error)


def options_of(path: Path) -> list[Row]:
    """The option rows of a get_instruments body."""
    return [row for row in json.loads(path.read_text())["result"] if row["kind"] == "option"]


@pytest.mark.parametrize(
    ("name", "at", "options"),
    [
        ("http_get_instruments_BTC_2021-07-22.json", "2021-07-22T22:00:00Z", 390),
        ("http_get_instruments_ETH_2021-07-22.json", "2021-07-22T22:00:00Z", 418),
        ("http_get_instruments_SOL_2022-05-29.json", "2022-05-29T12:00:00Z", 172),
        ("http_get_instruments_USDC_2022-05-29.json", "2022-05-29T12:00:00Z", 0),
        ("maks_deribit_get_instruments_btc_option.json", "2026-05-22T12:00:00Z", 5),
    ],
)
def test_recorded_listings_row_by_row(folder: Path, name: str, at: str, options: int) -> None:
    """All options with all of their terms; futures, perpetuals and the rest never as options."""
    whole = (folder / name).read_bytes()
    rows = {row["instrument_name"]: row for row in options_of(folder / name)}
    sink = Sink()
    adapter = make(sink, assets=())
    given = {request.name: body([]) for request in adapter.catalog_requests()}
    adapter.on_catalog(given | {"BTC.option": whole}, parse_instant(at))

    listed = [i for event in sink.of(InstrumentsListed) for i in event.instruments]
    assert len(listed) == len(rows) == options
    for instrument in listed:
        row = rows[instrument.name]
        assert instrument.strike == row["strike"]
        assert instrument.expiry_ns == row["expiration_timestamp"] * NANOS_PER_MILLI
        assert {"C": "call", "P": "put"}[instrument.kind.value] == row["option_type"]
        assert instrument.asset == row["base_currency"]
        assert instrument.premium.value == "coin"
        assert instrument.quote_currency == "USD"
        assert instrument.tick_size == row["tick_size"]
        assert instrument.listed_ns == row["creation_timestamp"] * NANOS_PER_MILLI
        steps = row.get("tick_size_steps") or []
        if steps:
            assert (instrument.tick_above, instrument.tick_step) == (
                steps[0]["above_price"], steps[0]["tick_size"],
            )  # fmt: skip
        # The name says the same as the row, for recordings without one.
        by_name = read_name(instrument.name)
        assert isinstance(by_name, Instrument)
        assert (by_name.strike, by_name.expiry_ns) == (instrument.strike, instrument.expiry_ns)
        assert by_name.kind is instrument.kind


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("nautilus/http_get_instruments.json", {"perpetual": 1, "combo": 1, "expired": 2}),
        ("nautilus/http_get_instruments_option_combo.json", {"combo": 6}),
        ("maks_deribit_get_instruments_btc_future.json", {"perpetual": 1}),
    ],
)
def test_rows_that_are_not_for_us_have_a_reason(
    folder: Path, name: str, reasons: dict[str, int]
) -> None:
    """Combinations, perpetuals and what has expired."""
    sink = Sink()
    adapter = make(sink, assets=())
    given = {request.name: body([]) for request in adapter.catalog_requests()}
    given["BTC.option"] = (folder / name).read_bytes()
    adapter.on_catalog(given, parse_instant("2026-05-22T12:00:00Z"))

    counts = adapter.connections()[2].counts
    for reason, count in reasons.items():
        assert counts[f"rejected.listing_{reason}"] == count
    assert sink.of(InstrumentsListed) == []


def test_dated_futures_give_forwards_to_their_expiries(folder: Path) -> None:
    """Of the recorded futures, those that expire with an option of the recorded listing."""
    sink = Sink()
    adapter = make(sink)
    options = options_of(folder / "maks_deribit_get_instruments_btc_option.json")
    futures = json.loads((folder / "maks_deribit_get_instruments_btc_future.json").read_text())
    adapter.on_catalog(
        bodies(adapter, [*options, *futures["result"]]), parse_instant("2026-05-22T12:00:00Z")
    )

    expiries = {row["expiration_timestamp"] for row in options}
    names = {
        row["instrument_name"]
        for row in futures["result"]
        if row["expiration_timestamp"] in expiries
    }
    assert set(adapter._listing.futures) == names != set()
    assert all(isinstance(read_name(name), Future) for name in names)


@pytest.mark.parametrize(
    "name", ["maks_deribit_book_summary_btc_option.json", "book_summary_3rows_2025-01-17.jsonl"]
)
def test_open_interest_comes_from_the_book_summary(folder: Path, name: str) -> None:
    """Each row of a listed option, in the coin."""
    text = (folder / name).read_text()
    rows = lines(folder / name) if name.endswith("jsonl") else json.loads(text)["result"]
    sink = Sink()
    adapter = make(sink)
    listing = []
    for row in rows:
        contract = read_name(row["instrument_name"])
        assert isinstance(contract, Instrument)
        listing.append(as_row(contract))
    at_ns = parse_instant("2025-01-17T00:00:00Z")
    adapter.on_catalog(bodies(adapter, listing, rows), at_ns)

    (event,) = sink.of(OpenInterest)
    slots = adapter._listing.slots
    expected = {slots[row["instrument_name"]]: row["open_interest"] for row in rows}
    assert dict(zip(event.slots, event.amounts, strict=True)) == expected


def as_row(contract: Instrument) -> Row:
    """A listing row of a contract that is known by its name."""
    return {
        "instrument_name": contract.name,
        "kind": "option",
        "base_currency": contract.asset,
        "quote_currency": contract.asset,
        "instrument_type": "reversed",
        "counter_currency": "USD",
        "expiration_timestamp": contract.expiry_ns // NANOS_PER_MILLI,
        "strike": contract.strike,
        "option_type": "call" if contract.kind.value == "C" else "put",
        "tick_size": 0.0001,
    }


def test_whole_chain_of_2026(folder: Path) -> None:
    """878 options, 88 without a bid: names, quotes and absent sides, through the hot path."""
    chain = json.loads((folder / "maks_snapshot_btc_surface.json").read_text())
    terms = {row["instrument_name"]: row for row in chain["instruments"]}
    protocol, sink = session()
    for quote in chain["option_quotes"]:
        data = {
            "timestamp": 1_779_823_664_000,
            "instrument_name": quote["instrument_name"],
            "best_ask_price": quote["best_ask"],
            "best_bid_price": quote["best_bid"],
            "best_ask_amount": 1.5,
            "best_bid_amount": 2.5,
        }
        frame = notification(f"quote.{quote['instrument_name']}", data)
        protocol.receive(frame, NOW_NS)
        protocol.receive(frame, NOW_NS)

        first, second = sink.quotes[-2:]
        assert first == pytest.approx(second, nan_ok=True, rel=0.0, abs=0.0)
        expected = (number(quote["best_bid"]), number(quote["best_ask"]))
        assert second[1:3] == pytest.approx(expected, nan_ok=True, rel=0.0, abs=0.0)
    listed = [e.instruments[0] for e in sink.of(InstrumentsListed)]
    for instrument in listed:
        row = terms[instrument.name]
        assert instrument.strike == row["strike"]
        assert instrument.expiry_ns == parse_instant(row["expiry"])
        assert instrument.kind.value == row["option_type"]

    assert len(listed) == 878
    assert sum(isnan(quote[1]) for quote in sink.quotes) == 2 * 88
    assert not any(isnan(quote[2]) for quote in sink.quotes)


def test_names_of_37_recorded_chains(folder: Path) -> None:
    """Strike, kind and day of all of them, as the recorder's own columns say."""
    path = folder / "r1quant_btc_chain_37hourly_2026-01-23_24.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        rows = {row["instrument_name"]: row for row in csv.DictReader(file)}
    for name, row in rows.items():
        contract = read_name(name)
        assert isinstance(contract, Instrument), name
        assert contract.strike == float(row["strike"])
        assert {"C": "call", "P": "put"}[contract.kind.value] == row["type"]
        assert contract.expiry_ns == parse_instant(f"{row['expiry_date']}T08:00:00Z")

    assert len(rows) > 600


def test_no_file_of_the_venue_crashes_anything(folder: Path) -> None:
    """Every body as a frame and as a catalog; every line of every file as a frame."""
    fed = 0
    for path in sorted(folder.rglob("*.json*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for text in {raw, *raw.splitlines()[:5_000]}:
            protocol, _ = session()
            with suppress(VenueError):
                protocol.receive(text, NOW_NS)
            fed += 1
        for slot in ("BTC.option", "BTC.future", "BTC.summary"):
            adapter: DeribitAdapter = make(Sink(), assets=())
            given = {request.name: body([]) for request in adapter.catalog_requests()}
            with suppress(CatalogError):
                adapter.on_catalog(given | {slot: raw}, parse_instant("2021-07-01T00:00:00Z"))

    assert fed > 1_000
