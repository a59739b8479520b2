"""Every recorded and documented Bybit message: decoded to the last field, or refused and counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import json
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.bybit_lab import NOW_NS, bodies, make, option_row, push, sent
from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.normalize import read_name
from volgauge.adapters.bybit.protocol import BybitProtocol
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant, years_between
from volgauge.errors import CatalogError, ProtocolViolation, VenueError
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
BEFORE_ALL = parse_instant("2022-01-01T00:00:00Z")


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "bybit"


def lines(path: Path) -> list[Row]:
    """A file of one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def documented(folder: Path, source: str) -> list[Row]:
    """The samples of one page of the documentation."""
    rows = lines(folder / "docs_samples_2026-07.jsonl")
    return [row["sample"] for row in rows if row["source"] == f"docs/v5/{source}.mdx"]


def session(**settings: int) -> tuple[BybitProtocol, Sink]:
    """A connection as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol = make(sink, assets=(), **settings).connections()[0]
    protocol.start(NOW_NS)
    return protocol, sink


def receive(message: Row, **settings: int) -> tuple[BybitProtocol, Sink]:
    """One message in a session of its own."""
    protocol, sink = session(**settings)
    protocol.receive(json.dumps(message).encode(), NOW_NS)
    return protocol, sink


def only(sink: Sink) -> Instrument:
    """The one instrument that was listed."""
    (event,) = sink.of(InstrumentsListed)
    (instrument,) = event.instruments
    return instrument  # type: ignore[no-any-return] # a fake's list


def number(text: str) -> float:
    """A price, a size or a volatility as it must arrive: "0" is none."""
    return float(text) or nan


def check_ticker(message: Row) -> Instrument:
    """An option's ticker: quote, forward, index, mark, volatility, interest, times."""
    _, sink = receive(message)
    data, stamp = message["data"], message["ts"] * NANOS_PER_MILLI
    instrument = only(sink)
    assert instrument.name == data["symbol"]

    (quote,) = sink.quotes
    expected = [number(data[key]) for key in ("bidPrice", "askPrice", "bidSize", "askSize")]
    assert list(quote[1:5]) == pytest.approx(expected, nan_ok=True, rel=0.0, abs=0.0)
    assert (quote[0], *quote[5:]) == (0, stamp, NOW_NS)
    (forward,) = sink.of(ForwardMark)
    assert forward.asset == instrument.asset
    assert forward.quote_currency == instrument.quote_currency
    assert forward.expiry_ns == instrument.expiry_ns
    assert (forward.price, forward.exchange_ns) == (float(data["underlyingPrice"]), stamp)
    (index,) = sink.of(IndexPrice)
    assert (index.asset, index.price) == (instrument.asset, float(data["indexPrice"]))
    (marks,) = sink.of(MarkQuote)
    assert (marks.slots, marks.prices) == ((0,), (float(data["markPrice"]),))
    assert marks.implied_vols == (float(data["markPriceIv"]),)
    assert marks.exchange_ns == stamp
    (interest,) = sink.of(OpenInterest)
    assert (interest.slots, interest.amounts) == ((0,), (float(data["openInterest"]),))
    return instrument


def option_tickers(folder: Path) -> list[Row]:
    """Every whole ticker frame of an option."""
    frames = [*lines(folder / "tardis_option_messages_2023.jsonl")]
    frames += [
        row["sample"]
        for row in lines(folder / "oggregator_frames_2026-03.jsonl")
        if row["name"] == "WS_MESSAGE_DOC_FIXTURE"
    ]
    frames += documented(folder, "websocket/public/ticker")
    frames.append(json.loads((folder / "nautilus" / "ws_ticker_option.json").read_text()))
    return [f for f in frames if f["topic"].startswith("tickers.") and "bidIv" in f["data"]]


def test_every_option_ticker_arrives_field_by_field(folder: Path) -> None:
    """2023 and 2026, one-sided and two-sided, three coins, two settlement coins."""
    found = [check_ticker(message) for message in option_tickers(folder)]

    assert [
        (i.name, i.asset, i.strike, i.kind, i.quote_currency, i.expiry_ns) for i in found
    ] == [
        (
            "SOL-28APR23-24-C", "SOL", 24.0, OptionKind.CALL, "USDC",
            parse_instant("2023-04-28T08:00:00Z"),
        ),
        (
            "ETH-30JUN23-200-P", "ETH", 200.0, OptionKind.PUT, "USDC",
            parse_instant("2023-06-30T08:00:00Z"),
        ),
        (
            "BTC-21MAR26-70000-C-USDT", "BTC", 70_000.0, OptionKind.CALL, "USDT",
            parse_instant("2026-03-21T08:00:00Z"),
        ),
        (
            "BTC-6JAN23-17500-C", "BTC", 17_500.0, OptionKind.CALL, "USDC",
            parse_instant("2023-01-06T08:00:00Z"),
        ),
        (
            "BTC-6JAN23-17500-C", "BTC", 17_500.0, OptionKind.CALL, "USDC",
            parse_instant("2023-01-06T08:00:00Z"),
        ),
    ]  # fmt: skip
    assert all(i.premium is Premium.QUOTE and i.contract_size == 1.0 for i in found)


def test_every_documented_page_is_looked_at(folder: Path) -> None:
    """A sample that is added to the data needs a test of its own."""
    sources = {row["source"] for row in lines(folder / "docs_samples_2026-07.jsonl")}

    assert sources == {
        f"docs/v5/{page}.mdx"
        for page in (
            "market/delivery-price", "market/index-components", "market/instrument", "market/iv",
            "market/new-delivery-price", "market/open-interest", "market/orderbook",
            "market/recent-trade", "market/tickers", "market/time", "websocket/public/orderbook",
            "websocket/public/ticker", "websocket/public/trade",
            "websocket/system/system-status", "websocket/wss-authentication",
        )
    }  # fmt: skip


def test_ticker_payload_without_its_envelope_is_the_same(folder: Path) -> None:
    """A sample that the reference prints without topic and time."""
    samples = {r["name"]: r["sample"] for r in lines(folder / "oggregator_frames_2026-03.jsonl")}
    data, whole = samples["WS_TICKER_DATA_DOC_FIXTURE"], samples["WS_MESSAGE_DOC_FIXTURE"]

    check_ticker(json.loads(push(f"tickers.{data['symbol']}", data, stamp=whole["ts"])))


@pytest.mark.parametrize("depth", [0, 10])
def test_recorded_books_of_2023(folder: Path, depth: int) -> None:
    """An empty snapshot with u = 0; a snapshot and the delta whose u is one more."""
    frames = [
        message
        for message in lines(folder / "tardis_option_messages_2023.jsonl")
        if message["topic"].startswith("orderbook.")
    ]
    protocol, sink = session(depth_levels=depth)
    for message in frames:
        protocol.receive(json.dumps(message).encode(), NOW_NS)

    names = [event.instruments[0].name for event in sink.of(InstrumentsListed)]
    assert names == ["BTC-30JUN23-45000-P", "SOL-28APR23-30-C"]
    assert protocol.counts == {}
    stamps = [message["ts"] * NANOS_PER_MILLI for message in frames]
    if depth:
        first, second = sink.of(BookSnapshot)
        assert (first.slot, first.bids, first.asks, first.exchange_ns) == (0, (), (), stamps[0])
        assert (second.slot, second.bids, second.asks) == (1, ((0.01, 50.0),), ((1.74, 46.0),))
        (delta,) = sink.of(BookDelta)
        assert (delta.slot, delta.bids, delta.exchange_ns) == (1, (), stamps[2])
        assert delta.asks == ((1.74, 0.0), (1.75, 46.0))
    else:
        assert repr(sink.quotes) == repr(
            [
                (0, nan, nan, nan, nan, stamps[0], NOW_NS),
                (1, 0.01, 1.74, 50.0, 46.0, stamps[1], NOW_NS),
                (1, 0.01, 1.75, 50.0, 46.0, stamps[2], NOW_NS),
            ]
        )


def test_pushes_of_no_option_are_ignored_and_counted(folder: Path) -> None:
    """Trades, spot and linear tickers, books of other depths."""
    counts: list[tuple[str, Row]] = []
    recorded = lines(folder / "tardis_option_messages_2023.jsonl")
    messages = [
        *(message for message in recorded if "publicTrade" in message["topic"]),
        *documented(folder, "websocket/public/trade"),
        *documented(folder, "websocket/public/orderbook"),
        *(m for m in documented(folder, "websocket/public/ticker") if "id" not in m),
        *(
            json.loads((folder / "nautilus" / name).read_text())
            for name in (
                "ws_orderbook_delta.json", "ws_orderbook_snapshot.json", "ws_public_trade.json",
                "ws_ticker_linear.json",
            )
        ),
        json.loads((folder / "xchange" / "orderBookSnapshotResponse.json5").read_text()),
    ]  # fmt: skip
    for message in messages:
        protocol, sink = receive(message)
        assert (sink.quotes, sink.of(InstrumentsListed)) == ([], [])
        counts.append((message["topic"].partition(".")[0], dict(protocol.counts)))

    channel, unlisted = {"ignored.channel": 1}, {"ignored.unlisted": 1}
    assert counts == [
        ("publicTrade", channel), ("publicTrade", channel), ("orderbook", channel),
        ("tickers", unlisted), ("orderbook", channel), ("orderbook", channel),
        ("trade", channel), ("tickers", unlisted), ("orderbook", channel),
    ]  # fmt: skip


def test_sample_that_is_no_json_ends_the_session(folder: Path) -> None:
    """A comma is missing in it."""
    protocol, _ = session()

    with pytest.raises(ProtocolViolation):
        protocol.receive((folder / "xchange" / "orderBookDeltaResponse.json5").read_bytes(), NOW_NS)


def test_documented_answers_are_understood(folder: Path) -> None:
    """Pongs of every interface, requests of other people, acknowledgements."""
    samples = documented(folder, "websocket/wss-authentication")
    found = []
    for sample in samples:
        protocol, sink = receive(sample)
        assert sink.events == []
        found.append((sample.get("op") or sample.get("type"), dict(protocol.counts)))

    answer, frame = {"ignored.answer": 1}, {"ignored.frame": 1}
    assert found == [
        ("ping", {}), ("ping", {}), ("pong", {}), ("pong", {}), ("subscribe", frame),
        ("unsubscribe", frame), ("subscribe", answer), ("subscribe", answer),
        ("subscribe", answer), ("COMMAND_RESP", answer),
    ]  # fmt: skip


def test_documented_acknowledgement_settles_its_topic(folder: Path) -> None:
    """The sample's own topic, had we asked for it."""
    (sample,) = (s for s in documented(folder, "websocket/wss-authentication") if "data" in s)
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    row = option_row("BTC-6JAN23-18000-C", "2023-01-06T08:00:00Z")
    adapter.on_catalog(bodies(adapter, [row]), BEFORE_ALL)
    hot, chain_1 = adapter.connections()[0], adapter.connections()[2]
    chain_1.start(BEFORE_ALL)
    (request,) = sent(chain_1)
    assert sample["data"]["successTopics"] == ["orderbook.100.BTC-6JAN23-18000-C"]
    sample["data"]["successTopics"] = request["args"]
    chain_1.receive(json.dumps(sample).encode(), BEFORE_ALL)

    assert chain_1._subscriptions.active == {"tickers.BTC-6JAN23-18000-C"}
    assert hot._subscriptions.active == set()


def test_documented_status_says_nothing_of_options(folder: Path) -> None:
    """Completed, and of futures and spot; with our product and ongoing it counts."""
    request, sample = documented(folder, "websocket/system/system-status")
    protocol, sink = receive(request)
    assert protocol.counts == {"ignored.frame": 1}
    protocol, sink = receive(sample)
    assert (sink.of(VenueState), protocol.counts) == ([], {})

    sample["data"][0] |= {"state": "ongoing", "product": [1, 2, 3]}
    _, sink = receive(sample)
    (event,) = sink.of(VenueState)
    assert (event.asset, event.locked, event.maintenance) == (None, False, True)


def list_body(body: Row, now_ns: int = BEFORE_ALL) -> tuple[BybitAdapter, Sink]:
    """A REST body as the listing of BTC."""
    sink = Sink()
    adapter = make(sink, assets=())
    given = bodies(adapter, []) | {"All.options": json.dumps(body).encode()}
    adapter.on_catalog(given, now_ns)
    return adapter, sink


def listing_counts(adapter: BybitAdapter) -> Row:
    """What was refused."""
    return dict(adapter.connections()[-1].counts)


def real_listings(folder: Path) -> list[Row]:
    """Bodies and rows of real or documented options."""
    (row,) = (
        r["sample"]
        for r in lines(folder / "oggregator_frames_2026-03.jsonl")
        if r["name"] == "REST_INSTRUMENT_DOC_FIXTURE"
    )
    return [
        documented(folder, "market/instrument")[0],
        {"retCode": 0, "result": {"category": "option", "nextPageCursor": "", "list": [row]}},
        json.loads((folder / "xchange" / "getInstrumentOption.json5").read_text()),
    ]


def test_every_listing_arrives_field_by_field(folder: Path) -> None:
    """Strings to numbers, milliseconds to nanoseconds, the strike from the name."""
    expected = [
        ("BTC", 70_000.0, "P", "USDT", 5.0, "2026-03-27T08:00:00Z", 1743669649256),
        ("BTC", 67_000.0, "C", "USDT", 5.0, "2026-12-25T08:00:00Z", 1770351600000),
        ("ETH", 1_250.0, "P", "USDC", 0.1, "2023-01-03T08:00:00Z", 1672560000000),
    ]
    for body, (coin, strike, right, settle, tick, expiry, listed) in zip(
        real_listings(folder), expected, strict=True
    ):
        adapter, sink = list_body(body)
        instrument = only(sink)
        assert isnan(instrument.tick_step)
        assert instrument == Instrument(
            venue=Venue("bybit"),
            name=body["result"]["list"][0]["symbol"],
            asset=Asset(coin),
            expiry_ns=parse_instant(expiry),
            strike=strike,
            kind=OptionKind(right),
            premium=Premium.QUOTE,
            quote_currency=settle,
            tick_size=tick,
            tick_step=instrument.tick_step,
            contract_size=1.0,
            listed_ns=listed * NANOS_PER_MILLI,
        )
        assert listing_counts(adapter) == {}


@pytest.mark.parametrize(
    "name", ["http_get_instruments_option.json", "http_get_instruments_option_symbol_id.json"]
)
def test_invented_listing_contradicts_itself(folder: Path, name: str) -> None:
    """Both samples were made up: the delivery time is weeks off the day in the symbol."""
    adapter, sink = list_body(json.loads((folder / "nautilus" / name).read_text()))

    assert sink.of(InstrumentsListed) == []
    assert listing_counts(adapter) == {"rejected.listing_contradiction": 1}


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("market/delivery-price", {"rejected.listing_schema": 1}),
        ("market/index-components", "list"),
        ("market/iv", "Expected `object`"),
        ("market/new-delivery-price", {"rejected.listing_schema": 50}),
        ("market/open-interest", {"rejected.listing_schema": 5}),
        ("market/orderbook", "list"),
        ("market/recent-trade", {"rejected.listing_schema": 1}),
        ("market/time", "list"),
    ],
)
def test_body_of_another_page_is_no_listing(folder: Path, source: str, outcome: Any) -> None:  # noqa: ANN401 - counts or a message
    """Refused as a whole, or row by row."""
    (sample,) = documented(folder, source)
    if source == "market/open-interest":
        # It names a next page; alone it would be asked for.
        sample["result"]["nextPageCursor"] = ""
    if isinstance(outcome, str):
        with pytest.raises(CatalogError, match=outcome):
            list_body(sample)
        return
    adapter, sink = list_body(sample)

    assert sink.events == []
    assert listing_counts(adapter) == outcome


def test_documented_spot_instrument_is_no_option(folder: Path) -> None:
    """Its row has none of an option's fields."""
    adapter, sink = list_body(documented(folder, "market/instrument")[1])

    assert sink.events == []
    assert listing_counts(adapter) == {"rejected.listing_schema": 1}


def rest_tickers(folder: Path) -> list[Row]:
    """Bodies of /v5/market/tickers with the fields of options."""
    (row,) = (
        r["sample"]
        for r in lines(folder / "oggregator_frames_2026-03.jsonl")
        if r["name"] == "REST_TICKER_SCHEMA_FIXTURE"
    )
    return [
        documented(folder, "market/tickers")[1],
        {"retCode": 0, "time": 1773966121000, "result": {"category": "option", "list": [row]}},
        json.loads((folder / "xchange" / "getTickerOption.json5").read_text()),
    ]


def test_every_rest_ticker_arrives_field_by_field(folder: Path) -> None:
    """`markIv` and the like: names that the websocket spells otherwise."""
    for body in rest_tickers(folder):
        (row,) = body["result"]["list"]
        named = read_name(row["symbol"])
        assert named is not None
        sink = Sink()
        adapter = make(sink, assets=("BTC",))
        expiry = row["symbol"].split("-")[1]
        instant = {"30DEC22": "2022-12-30T08:00:00Z", "21MAR26": "2026-03-21T08:00:00Z"}[expiry]
        given = bodies(adapter, [option_row(row["symbol"], instant)])
        adapter.on_catalog(given | {"BTC.tickers": json.dumps(body).encode()}, BEFORE_ALL)

        (marks,) = sink.of(MarkQuote)
        assert (marks.slots, marks.prices) == ((0,), (float(row["markPrice"]),))
        assert marks.implied_vols == (float(row["markIv"]),)
        assert marks.exchange_ns == body["time"] * NANOS_PER_MILLI
        (interest,) = sink.of(OpenInterest)
        assert (interest.slots, interest.amounts) == ((0,), (float(row["openInterest"]),))
        assert listing_counts(adapter) == {}


@pytest.mark.parametrize("place", [0, 2], ids=["inverse", "spot"])
def test_tickers_of_other_categories_tell_nothing(folder: Path, place: int) -> None:
    """None of their symbols is listed."""
    body = documented(folder, "market/tickers")[place]
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    given = bodies(adapter, [option_row()]) | {"BTC.tickers": json.dumps(body).encode()}
    adapter.on_catalog(given, NOW_NS)

    assert (sink.of(MarkQuote), sink.of(OpenInterest)) == ([], [])
    assert listing_counts(adapter) == {}


def test_rest_order_book_is_no_listing(folder: Path) -> None:
    """We never ask for one."""
    body = json.loads((folder / "nautilus" / "http_get_orderbook.json").read_text())

    with pytest.raises(CatalogError, match="list"):
        list_body(body)


def test_real_error_of_a_bad_symbol(folder: Path) -> None:
    """HTTP 200, the error is in the body."""
    record = json.loads((folder / "errors" / "zenhive_error_bad_symbol.json").read_text())
    assert record["http_status"] == 200

    with pytest.raises(CatalogError, match="10001 params error: symbol invalid") as caught:
        list_body(record["body"])
    assert type(caught.value) is CatalogError


def test_real_error_of_a_signature(folder: Path) -> None:
    """HTTP 401 without a word."""
    record = json.loads((folder / "errors" / "zenhive_error_invalid_signature.json").read_text())
    error: VenueError = make(Sink()).catalog_error(record["http_status"], b"")

    assert (type(error), str(error)) == (CatalogError, "bybit: HTTP 401")


DIGIT = 1e-4
"""The last digit that the venue prints of a volatility."""


def solve(forward: float, instrument: Instrument, at_ns: int, price: float) -> float:
    """Our volatility of an undiscounted price."""
    out = np.empty(1)
    implied_vols(
        np.array([forward]),
        np.array([instrument.strike]),
        np.array([years_between(at_ns, instrument.expiry_ns)]),
        np.array([price]),
        np.array([instrument.kind is OptionKind.CALL]),
        out,
    )
    return float(out[0])


def priced(folder: Path) -> list[tuple[Instrument, int, float, float, float, float]]:
    """(instrument, time, forward, index, price, printed volatility) as they came out of us.

    The volatilities of bid and ask, which we do not keep, are read from the frame.
    """
    found = []
    for message in option_tickers(folder):
        _, sink = receive(message)
        instrument, data = only(sink), message["data"]
        (quote,), (mark,) = sink.quotes, sink.of(MarkQuote)
        (forward,), (index,) = sink.of(ForwardMark), sink.of(IndexPrice)
        for price, vol in (
            (quote[1], number(data["bidIv"])),
            (quote[2], number(data["askIv"])),
            (mark.prices[0], mark.implied_vols[0]),
        ):
            assert isnan(price) == isnan(vol)
            if not isnan(price):
                found.append((instrument, mark.exchange_ns, forward.price, index.price, price, vol))
    return found


def test_our_volatility_is_the_venues(folder: Path) -> None:
    """Black-76 on the ticker's own forward, no rate, ACT/365 to 08:00 UTC: to the last digit."""
    rows = priced(folder)
    for instrument, at_ns, forward, _, price, vol in rows:
        assert solve(forward, instrument, at_ns, price) == pytest.approx(vol, abs=DIGIT)

    assert len(rows) == 12


def test_other_conventions_do_not_fit(folder: Path) -> None:
    """The index for the forward, another hour of delivery, a rate of 5 %: each is seen."""
    wrong = {"index": 0, "hour": 0, "discounted": 0}
    rows = [row for row in priced(folder) if row[2] != row[3]]
    for instrument, at_ns, forward, index, price, vol in rows:
        years = years_between(at_ns, instrument.expiry_ns)
        hour_ns = 3600 * 10**9
        trials = {
            "index": solve(index, instrument, at_ns, price),
            "hour": solve(forward, instrument, at_ns - 8 * hour_ns, price),
            "discounted": solve(forward, instrument, at_ns, price * np.exp(0.05 * years)),
        }
        for name, found in trials.items():
            wrong[name] += abs(found - vol) > DIGIT

    assert len(rows) == 9
    assert wrong["index"] == 9
    assert wrong["hour"] == 9
    # Over a day a rate of 5 % moves a price by 0.014 %, less than the last digit shows.
    assert wrong["discounted"] >= 2


def test_volatility_at_the_venues_cap_is_no_volatility(folder: Path) -> None:
    """Ask 435 a day before expiry prints 5; the price says 7.78. We solve for ourselves."""
    body = documented(folder, "market/tickers")[1]
    (row,) = body["result"]["list"]
    instrument = read_name(row["symbol"])
    assert instrument is not None
    at_ns = body["time"] * NANOS_PER_MILLI
    found = solve(float(row["underlyingPrice"]), instrument, at_ns, float(row["ask1Price"]))

    assert float(row["ask1Iv"]) == 5.0
    assert found == pytest.approx(7.78, abs=0.01)
