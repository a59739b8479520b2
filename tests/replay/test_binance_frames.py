"""Every recorded and documented Binance message: decoded to the last field, or refused, counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import json
from collections.abc import Iterator
from math import exp, isnan, log, nan, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from fakes.binance_lab import NOW_NS, bodies, make, option_row
from fakes.deribit_lab import Sink
from volgauge.adapters.binance.protocol import BinanceProtocol
from volgauge.domain.events import (
    BookSnapshot,
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.instrument import Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, parse_instant, years_between
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
UNITS = {"BTC": 1.0, "ETH": 1.0, "XRP": 100.0}
"""Coins in a contract (VENUES, section 4.2)."""


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "binance"


def lines(path: Path) -> list[Row]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def documented(folder: Path, page: str) -> list[Any]:
    """The samples of one page of the documentation."""
    rows = lines(folder / "docs_samples_2026-03.jsonl")
    return [row["sample"] for row in rows if row["source"] == f"binance/{page}.md"]


def feed(message: object) -> tuple[BinanceProtocol, Sink]:
    """One message in a session as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol = make(sink).connections()[0]
    protocol.start(NOW_NS)
    protocol.receive(json.dumps(message).encode(), NOW_NS)
    return protocol, sink


def only(sink: Sink) -> Instrument:
    """The one instrument that was listed."""
    (event,) = sink.of(InstrumentsListed)
    (instrument,) = event.instruments
    return instrument  # type: ignore[no-any-return] # a fake's list


def expiry_of(name: str) -> int:
    """08:00 UTC of the day in a name."""
    date = name.split("-")[1]
    return parse_instant(f"20{date[:2]}-{date[2:4]}-{date[4:]}T08:00:00Z")


def growth(row: Row) -> float:
    """exp(rf T) of a row of a chain."""
    years = (expiry_of(row["s"]) - row["E"] * NANOS_PER_MILLI) / (365 * NANOS_PER_DAY)
    return exp(float(row["rf"]) * years)


def check_chain(rows: list[Row], sink: Sink) -> None:
    """Every field of every row against what came of it."""
    found = [event.instruments[0] for event in sink.of(InstrumentsListed)]
    assert [i.name for i in found] == [row["s"] for row in rows]
    assert len(sink.quotes) == len(rows)
    (marks,) = sink.of(MarkQuote)
    assert marks.slots == tuple(range(len(rows)))
    assert marks.exchange_ns == max(row["E"] for row in rows) * NANOS_PER_MILLI
    for place, (row, instrument) in enumerate(zip(rows, found, strict=True)):
        asset, _, strike, right = row["s"].split("-")
        unit = UNITS[asset]
        assert (instrument.asset, instrument.quote_currency) == (asset, "USDT")
        assert (instrument.strike, instrument.kind) == (float(strike), OptionKind(right))
        assert instrument.expiry_ns == expiry_of(row["s"])
        assert (instrument.premium, instrument.contract_size) == (Premium.QUOTE, unit)
        factor = growth(row) / unit
        expected = [
            float(row["bo"]) * factor or nan,
            float(row["ao"]) * factor or nan,
            float(row["bq"]) * unit or nan,
            float(row["aq"]) * unit or nan,
        ]
        quote = sink.quotes[place]
        # Rows of one expiry share a factor; their stamps differ by a millisecond.
        assert list(quote[1:5]) == pytest.approx(expected, nan_ok=True, rel=1e-11)
        assert (quote[0], *quote[5:]) == (place, row["E"] * NANOS_PER_MILLI, NOW_NS)
        assert marks.prices[place] == pytest.approx(float(row["mp"]) * factor, rel=1e-11)
        assert marks.implied_vols[place] == float(row["vo"])
    newest = {expiry_of(row["s"]): row for row in sorted(rows, key=lambda row: row["E"])}
    told = {event.expiry_ns: event for event in sink.of(ForwardMark)}
    assert set(told) == set(newest)
    for expiry_ns, row in newest.items():
        assert told[expiry_ns].price == pytest.approx(float(row["i"]) * growth(row), rel=1e-15)
        assert told[expiry_ns].exchange_ns == row["E"] * NANOS_PER_MILLI
        assert told[expiry_ns].quote_currency == "USDT"
    (index,) = sink.of(IndexPrice)
    assert (index.asset, index.quote_currency) == (found[0].asset, "USDT")
    assert index.price == float(rows[0]["i"])


def chains(folder: Path) -> Iterator[Row]:
    """Every whole frame of a chain on the present wire."""
    for name in ("live_optionMarkPrice_2026-09-23", "oggregator_frames_2026-03"):
        for line in lines(folder / f"{name}.jsonl"):
            if "stream" in line["sample"]:
                yield line["sample"]
    for message in lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl"):
        if message["stream"].endswith("@optionMarkPrice"):
            yield message


def test_every_chain_arrives_field_by_field(folder: Path) -> None:
    """2025 and 2026: discounted and not, per coin and per hundred, one side and no side."""
    messages = list(chains(folder))
    for message in messages:
        check_chain(message["data"], feed(message)[1])

    assert len(messages) == 4
    assert {row["s"] for message in messages for row in message["data"]} == {
        "BTC-261225-92000-C", "BTC-260925-86000-P", "BTC-260925-86000-C", "BTC-251120-126000-C",
        "XRP-251219-2.05-P", "BTC-251219-89000-C",
    }  # fmt: skip


def test_missing_prices_of_a_chain_are_no_prices(folder: Path) -> None:
    """Printed as 0.0000, 0.00 and -1.0."""
    (message,) = (m for m in chains(folder) if m["stream"].startswith("xrp"))
    _, sink = feed(message)

    assert all(isnan(value) for value in sink.quotes[0][1:5])
    (marks,) = sink.of(MarkQuote)
    assert (marks.prices, marks.implied_vols) == ((pytest.approx(0.190314),), (2.6,))


def test_bare_row_of_a_chain_is_the_same(folder: Path) -> None:
    """As the documentation prints it, without its stream."""
    (row,) = (
        line["sample"]
        for line in lines(folder / "oggregator_frames_2026-03.jsonl")
        if line["name"] == "WS_MARK_PRICE_ITEM_DOC_FIXTURE"
    )
    check_chain([row], feed(row)[1])


def test_every_top_of_book_arrives_field_by_field(folder: Path) -> None:
    """Recorded with a stream, documented without; no rate is told there, so none is applied."""
    recorded = [
        message
        for message in lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl")
        if message["stream"].endswith("@bookTicker")
    ]
    documents = documented(folder, "websocket-market-streams/Bookticker")
    assert (len(recorded), len(documents)) == (1, 1)
    for message, row in [(recorded[0], recorded[0]["data"]), (documents[0], documents[0])]:
        _, sink = feed(message)
        assert only(sink).name == row["s"]
        assert only(sink).expiry_ns == expiry_of(row["s"])
        expected = (0, float(row["b"]), float(row["a"]), float(row["B"]), float(row["A"]))
        assert sink.quotes == [(*expected, row["T"] * NANOS_PER_MILLI, NOW_NS)]


def test_recorded_partial_book(folder: Path) -> None:
    """Whole each time, although it says depthUpdate."""
    (message,) = (
        message
        for message in lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl")
        if "@depth20" in message["stream"]
    )
    _, sink = feed(message)

    (book,) = sink.of(BookSnapshot)
    assert book.bids == ((16.6, 150.23), (16.4, 10.0))
    assert book.asks == ((18.8, 70.0), (20.6, 240.88))
    assert book.exchange_ns == 1_765_983_419_928 * NANOS_PER_MILLI
    assert only(sink).name == "ETH-251219-3100-C"


def test_open_interest_is_in_coins(folder: Path) -> None:
    """Recorded, and documented without its stream."""
    (message,) = (
        message
        for message in lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl")
        if "@optionOpenInterest" in message["stream"]
    )
    (sample,) = documented(folder, "websocket-market-streams/Open-Interest")
    for frame, rows in [(message, message["data"]), (sample, sample)]:
        _, sink = feed(frame)
        (event,) = sink.of(OpenInterest)
        assert event.amounts == tuple(float(row["o"]) for row in rows)
        assert event.slots == tuple(range(len(rows)))


def test_documented_indices_reach_the_underlyings_that_are_listed(folder: Path) -> None:
    """Of ETH there is no option here."""
    sample, *requests = documented(folder, "websocket-market-streams/Index-Price-Streams")
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([option_row()]), NOW_NS)
    protocol = adapter.connections()[0]
    protocol.start(NOW_NS)
    protocol.receive(json.dumps(sample).encode(), NOW_NS)

    (index,) = sink.of(IndexPrice)
    assert (index.asset, index.quote_currency, index.price) == ("BTC", "USDT", 99_102.32326087)
    assert index.exchange_ns == 1_763_092_572_229 * NANOS_PER_MILLI
    assert protocol.counts == {"ignored.index": 1}
    assert [request["method"] for request in requests] == ["SUBSCRIBE", "UNSUBSCRIBE"]


def test_documented_new_symbol_asks_for_the_listing(folder: Path) -> None:
    """The event itself lists nothing: its strike is not the one in its name."""
    (sample,) = documented(folder, "websocket-market-streams/New-Symbol-Info")
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([option_row()]), NOW_NS)
    due_ns = adapter.catalog_due_ns
    sink.events.clear()
    adapter.connections()[0].receive(json.dumps(sample).encode(), NOW_NS)

    assert adapter.catalog_due_ns < due_ns
    assert sink.events == []


@pytest.mark.parametrize(
    "page",
    ["24-hour-TICKER", "Diff-Book-Depth-Streams", "Kline-Candlestick-Streams",
     "Partial-Book-Depth-Streams", "Trade-Streams"],
)  # fmt: skip
def test_documented_streams_that_we_do_not_read(folder: Path, page: str) -> None:
    """Counted. A bare depthUpdate may be whole or a change: its stream says which."""
    for sample in documented(folder, f"websocket-market-streams/{page}"):
        protocol, sink = feed(sample)
        assert protocol.counts == {"ignored.channel": 1}
        assert (sink.events, sink.quotes) == ([], [])


def test_documented_answers_and_requests(folder: Path) -> None:
    """Answers that nobody waits for, requests of clients."""
    page = "websocket-market-streams/Live-Subscribing-Unsubscribing-to-streams"
    for sample in documented(folder, page):
        protocol, _ = feed(sample)
        assert protocol.counts == {"ignored.answer": 1}


def test_recorded_streams_that_we_do_not_read(folder: Path) -> None:
    """Trades and tickers of the present wire; everything of the retired one, whose names differ."""
    messages = [
        message
        for message in lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl")
        if message["stream"].endswith(("@optionTrade", "@optionTicker"))
    ]
    retired = lines(folder / "tardis_eapi_v1_messages_2023.jsonl")
    for message in [*messages, *retired]:
        protocol, sink = feed(message)
        assert protocol.counts == {"ignored.channel": 1}, message["stream"]
        assert (sink.events, sink.quotes) == ([], [])

    assert (len(messages), len(retired)) == (3, 10)


def test_every_page_and_file_is_looked_at(folder: Path) -> None:
    """A sample that is added to the data needs a test of its own."""
    pages = {row["source"] for row in lines(folder / "docs_samples_2026-03.jsonl")}
    data = [
        "24hr-Ticker-Price-Change-Statistics", "Exchange-Information",
        "Historical-Exercise-Records", "Kline-Candlestick-Data", "Open-Interest",
        "Option-Mark-Price", "Order-Book", "Recent-Block-Trade-List", "Recent-Trades-List",
        "Symbol-Price-Ticker", "Test-Connectivity", "index",
    ]  # fmt: skip
    streams = [
        "24-hour-TICKER", "Bookticker", "Diff-Book-Depth-Streams", "Index-Price-Streams",
        "Kline-Candlestick-Streams", "Live-Subscribing-Unsubscribing-to-streams",
        "New-Symbol-Info", "Open-Interest", "Partial-Book-Depth-Streams", "Trade-Streams",
    ]  # fmt: skip

    assert pages == {f"binance/market-data/{page}.md" for page in data} | {
        f"binance/websocket-market-streams/{page}.md" for page in streams
    }
    assert len(lines(folder / "tardis_eapi_v2_messages_2025-12-17.jsonl")) == 8


def listings(folder: Path) -> list[Row]:
    """The documented rows of exchangeInfo."""
    (info,) = documented(folder, "market-data/Exchange-Information")
    found = [info["optionSymbols"][0]]
    found += [
        line["sample"]
        for line in lines(folder / "oggregator_frames_2026-03.jsonl")
        if line["name"] == "REST_INSTRUMENT_DOC_FIXTURE"
    ]
    return found


@pytest.mark.parametrize("place", [0, 1])
def test_documented_listing_arrives_field_by_field(folder: Path, place: int) -> None:
    """Delivery at midnight in the sample: the instant is the row's, in milliseconds."""
    row = listings(folder)[place]
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([row]), parse_instant("2022-08-01T00:00:00Z"))

    instrument = only(sink)
    assert (instrument.name, instrument.asset) == ("BTC-220815-50000-C", "BTC")
    assert (instrument.quote_currency, instrument.strike) == ("USDT", 50_000.0)
    assert (instrument.kind, instrument.premium) == (OptionKind.CALL, Premium.QUOTE)
    assert (instrument.tick_size, instrument.contract_size) == (0.01, 1.0)
    assert instrument.expiry_ns == parse_instant("2022-08-15T00:00:00Z")
    assert instrument.listed_ns is None


def test_documented_listing_as_a_whole(folder: Path) -> None:
    """The body of the page, with its server time; today all of it has expired."""
    (info,) = documented(folder, "market-data/Exchange-Information")
    (marks,) = documented(folder, "market-data/Option-Mark-Price")
    adapter = make(Sink())
    given = {"exchange_info": json.dumps(info).encode(), "mark": json.dumps(marks).encode()}
    adapter.on_catalog(bodies([]) | given, NOW_NS)

    assert adapter.connections()[-1].counts == {"rejected.listing_expired": 1}


def test_documented_mark_arrives_field_by_field(folder: Path) -> None:
    """Rate, mark and volatility of an option of 2020, under the name of one that is listed."""
    ((sample,),) = documented(folder, "market-data/Option-Mark-Price")
    row = option_row("BTC-200730-9000-C")
    now_ns = parse_instant("2020-07-01T08:00:00Z")
    sink = Sink()
    make(sink).on_catalog(bodies([row], [sample]), now_ns)

    (marks,) = sink.of(MarkQuote)
    assert marks.implied_vols == (1.45,)
    assert marks.prices == pytest.approx((1343.2883 * exp(0.1 * 29 / 365),), rel=1e-12)


@pytest.mark.parametrize(
    "page",
    ["24hr-Ticker-Price-Change-Statistics", "Historical-Exercise-Records",
     "Kline-Candlestick-Data", "Open-Interest", "Order-Book", "Recent-Block-Trade-List",
     "Recent-Trades-List", "Symbol-Price-Ticker", "Test-Connectivity", "index"],
)  # fmt: skip
def test_body_of_another_page_is_no_listing(folder: Path, page: str) -> None:
    """As the listing it is refused; as the marks it is refused, or row by row."""
    (sample,) = documented(folder, f"market-data/{page}")
    given = bodies([option_row()])
    text = json.dumps(sample).encode()
    with pytest.raises(CatalogError, match="exchange_info"):
        make(Sink()).on_catalog(given | {"exchange_info": text}, NOW_NS)

    sink = Sink()
    adapter = make(sink)
    if isinstance(sample, list):
        adapter.on_catalog(given | {"mark": text}, NOW_NS)
        assert adapter.connections()[-1].counts == {
            "rejected.listing_mark": len(sample),
            "rejected.listing_no_rate": 1,
        }
        assert sink.events == []
    else:
        with pytest.raises(CatalogError, match="mark"):
            adapter.on_catalog(given | {"mark": text}, NOW_NS)


@pytest.mark.parametrize("name", ["zenhive_error_bad_symbol", "zenhive_error_invalid_signature"])
def test_binance_error_bodies_name_their_code(folder: Path, name: str) -> None:
    """Of the spot host, in the form that all hosts share."""
    recorded = json.loads((folder / "errors" / f"{name}.json").read_text())
    text = json.dumps(recorded["body"]).encode()
    adapter = make(Sink())
    error = adapter.catalog_error(recorded["http_status"], text)
    assert isinstance(error, CatalogError)
    assert not isinstance(error, RateLimited | VenueUnavailable)
    assert recorded["code"] in str(error)

    with pytest.raises(CatalogError):
        adapter.on_catalog({"exchange_info": text, "mark": b"[]"}, NOW_NS)


def live(folder: Path) -> tuple[list[Row], list[Instrument], Sink]:
    """The three recorded rows, and what came of them."""
    message = next(chains(folder))
    _, sink = feed(message)
    return message["data"], [e.instruments[0] for e in sink.of(InstrumentsListed)], sink


def solve(
    prices: list[float], forwards: list[float], instruments: list[Instrument], rows: list[Row]
) -> list[float]:
    """Black-76 volatilities of premia that are paid at expiry."""
    years = [
        years_between(row["E"] * NANOS_PER_MILLI, instrument.expiry_ns)
        for row, instrument in zip(rows, instruments, strict=True)
    ]
    out = np.empty(len(rows))
    implied_vols(
        np.array(forwards),
        np.array([i.strike for i in instruments]),
        np.array(years),
        np.array(prices),
        np.array([i.kind is OptionKind.CALL for i in instruments]),
        out,
    )
    return out.tolist()


def forwards_of(instruments: list[Instrument], sink: Sink) -> list[float]:
    """The forward that was told for each option's expiry."""
    told = {event.expiry_ns: event.price for event in sink.of(ForwardMark)}
    return [told[instrument.expiry_ns] for instrument in instruments]


def test_our_volatility_is_binances(folder: Path) -> None:
    """From our premium and our forward: marks, bids and asks to the digits printed."""
    rows, instruments, sink = live(folder)
    forwards = forwards_of(instruments, sink)
    (marks,) = sink.of(MarkQuote)
    found = solve(list(marks.prices), forwards, instruments, rows)
    assert found == pytest.approx([float(row["vo"]) for row in rows], abs=5e-5)

    bids = solve([q[1] for q in sink.quotes], forwards, instruments, rows)
    asks = solve([q[2] for q in sink.quotes], forwards, instruments, rows)
    assert bids == pytest.approx([float(row["b"]) for row in rows], abs=5e-6)
    assert asks == pytest.approx([float(row["a"]) for row in rows], abs=5e-6)


def test_put_and_call_agree_on_the_forward(folder: Path) -> None:
    """Parity of the two marks of one strike: i exp(rf T), within three cents."""
    rows, instruments, sink = live(folder)
    (marks,) = sink.of(MarkQuote)
    put, call = marks.prices[1], marks.prices[2]
    assert (instruments[1].strike, instruments[2].strike) == (86_000.0, 86_000.0)
    assert rows[1]["s"].endswith("P")

    assert 86_000.0 + call - put == pytest.approx(forwards_of(instruments, sink)[1], abs=0.03)


def test_other_conventions_do_not_fit_binance(folder: Path) -> None:
    """The index for the forward: 41.18, 35.38 and 34.37; not discounted: 0.4 points less."""
    rows, instruments, sink = live(folder)
    raw = [float(row["mp"]) for row in rows]
    spots = [float(row["i"]) for row in rows]
    assert solve(raw, spots, instruments, rows) == pytest.approx([0.4118, 0.3438, 0.3537], abs=2e-4)

    (december, *_) = solve(raw, forwards_of(instruments, sink), instruments, rows)
    assert december == pytest.approx(0.387 - 0.004, abs=1.5e-3)
    assert abs(december - 0.387) > 0.002


def test_unit_of_a_contract_shows_in_its_mark(folder: Path) -> None:
    """A hundred XRP: only so its mark is the price of its volatility, 2.6."""
    (message,) = (m for m in chains(folder) if m["stream"].startswith("xrp"))
    (row,) = message["data"]
    _, sink = feed(message)
    (marks,) = sink.of(MarkQuote)
    (forward,) = sink.of(ForwardMark)
    years = years_between(row["E"] * NANOS_PER_MILLI, expiry_of(row["s"]))
    deviation = 2.6 * sqrt(years)
    d1 = log(forward.price / 2.05) / deviation + deviation / 2
    cdf = NormalDist().cdf
    put = 2.05 * cdf(deviation - d1) - forward.price * cdf(-d1)

    assert marks.prices[0] == pytest.approx(put, rel=1e-3)
