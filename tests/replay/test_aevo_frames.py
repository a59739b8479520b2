"""Every documented Aevo message: decoded to the last field, or refused for its documented reason.

Nobody has recorded this venue for us: the frames are those of its API reference. The one of
"Book Ticker" is in the test data; the others are given here as the pages print them, and named so.
The expected values are read from the messages by plain `json`, not by our types.
"""

import json
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.aevo_lab import NOW_NS, bodies, make, push, sent
from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.protocol import AevoProtocol
from volgauge.domain.events import ForwardMark, IndexPrice, InstrumentsListed, MarkQuote
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import (
    NANOS_PER_HOUR,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
    parse_instant,
    years_between,
)
from volgauge.errors import RateLimited
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
NAME = "ETH-31MAR23-1350-C"
EXPIRY_NS = parse_instant("2023-03-31T08:00:00Z")
FORWARD = 1337.0
"""Of the documented top, by its printed delta and price (calc); the page of the index has 1337.16
eighteen minutes later."""
MARKETS_ROW: Row = {
    "instrument_id": "12", "instrument_name": "ETH-30JUN23-1600-C", "instrument_type": "OPTION",
    "underlying_asset": "ETH", "quote_asset": "USDC", "price_step": "0.05", "amount_step": "0.1",
    "min_order_value": "0.1", "max_order_value": "0.1", "max_notional_value": "0.1",
    "mark_price": "12.23", "forward_price": "12.23", "index_price": "12.23", "is_active": True,
    "option_type": "call", "expiry": "1680249600000000000", "strike": "2500",
    "greeks": {"delta": "0.23", "gamma": "0.23", "rho": "0.23", "theta": "0.23", "vega": "0.23",
               "iv": "0.23"},
    "max_leverage": "12",
}  # fmt: skip
"""The example of "GET /markets": each field by itself, so they do not fit together."""


@pytest.fixture(scope="module")
def documented(test_data: Path) -> Row:
    """The frame of "Book Ticker"."""
    (line,) = (test_data / "wire/aevo/docs_frames.jsonl").read_text().splitlines()
    sample: Row = json.loads(line)["sample"]
    return sample


def feed(frame: bytes, received_ns: int = NOW_NS) -> tuple[AevoProtocol, Sink]:
    """One frame in a session as a foreign recording meets it: no catalog."""
    sink = Sink()
    (protocol,) = make(sink, assets=()).connections()
    protocol.start(received_ns)
    protocol.receive(frame, received_ns)
    return protocol, sink


def throttled(documented: Row) -> Row:
    """The frame of "Ticker Throttled": the same top, and a mark."""
    (ticker,) = documented["data"]["tickers"]
    mark = {
        "price": "140.007862", "delta": "0.540531375408708", "theta": "-0.9224266733203602",
        "gamma": "0.0010828257944813621", "rho": "1.2586305929021393",
        "vega": "2.466304065911212", "iv": "0.5898161402416873",
    }  # fmt: skip
    funding = {"funding_rate": "0.000026", "next_funding_rate": "0.00002"}
    data = documented["data"] | {"tickers": [ticker | funding | {"mark": mark}]}
    return {"channel": "ticker-500ms:ETH:OPTION", "data": data}


def test_documented_book_ticker_to_the_last_field(documented: Row) -> None:
    """A quote in USDC and coins, at the venue's nanoseconds as they are."""
    protocol, sink = feed(json.dumps(documented).encode())
    (ticker,) = documented["data"]["tickers"]

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.name, instrument.asset, instrument.strike) == (NAME, "ETH", 1350.0)
    assert (instrument.kind, instrument.expiry_ns) == (OptionKind.CALL, EXPIRY_NS)
    assert (instrument.premium, instrument.quote_currency) == (Premium.QUOTE, "USDC")
    assert instrument.contract_size == 1.0
    bid, ask = ticker["bid"], ticker["ask"]
    expected = (
        0, float(bid["price"]), float(ask["price"]), float(bid["amount"]), float(ask["amount"]),
        int(documented["data"]["timestamp"]), NOW_NS,
    )  # fmt: skip
    assert sink.quotes == [expected]
    assert expected[1:6] == (2.0, 10.0, 10.0, 1.0, 1_673_436_965_238_291_661)
    assert protocol.counts == {}


def test_documented_throttled_ticker_to_the_last_field(documented: Row) -> None:
    """The same quote, and the mark with its volatility; its funding is a perpetual's."""
    frame = throttled(documented)
    protocol, sink = feed(json.dumps(frame).encode())

    assert [quote[1:6] for quote in sink.quotes] == [
        (2.0, 10.0, 10.0, 1.0, 1_673_436_965_238_291_661)
    ]
    (mark,) = sink.of(MarkQuote)
    assert (mark.slots, mark.prices) == ((0,), (140.007862,))
    assert mark.implied_vols == (0.5898161402416873,)
    assert mark.exchange_ns == 1_673_436_965_238_291_661
    assert protocol.counts == {}


def test_documented_index_to_the_last_field() -> None:
    """Of the page "SUBSCRIBE Index": USD, nanoseconds; and no forward that nobody has told."""
    sink = Sink()
    adapter = make(sink, assets=())
    row = MARKETS_ROW | {"strike": "1600", "expiry": "1688112000000000000"}
    listed_ns = 1_673_438_000 * NANOS_PER_SECOND
    adapter.on_catalog(bodies([row | {"forward_price": None}]), listed_ns)
    (protocol,) = adapter.connections()
    protocol.start(listed_ns)
    data = {"price": "1337.16", "timestamp": "1673438070391698947"}
    protocol.receive(push("index:ETH", data), 1_673_438_071 * NANOS_PER_SECOND)

    (index,) = sink.of(IndexPrice)
    assert (index.asset, index.quote_currency, index.price) == ("ETH", "USD", 1337.16)
    assert index.exchange_ns == 1_673_438_070_391_698_947
    assert sink.of(ForwardMark) == []


def read(row: Row, now: str) -> tuple[AevoAdapter, Sink]:
    """A listing of one row."""
    sink = Sink()
    adapter = make(sink, assets=())
    adapter.on_catalog(bodies([row]), parse_instant(now))
    return adapter, sink


def test_documented_listing_row_contradicts_itself() -> None:
    """June in the name and March in the field, 1600 and 2500: refused, and counted."""
    adapter, sink = read(MARKETS_ROW, "2023-03-01T00:00:00Z")

    assert sink.of(InstrumentsListed) == []
    assert adapter.connections()[0].counts["rejected.listing_contradiction"] == 1


def test_documented_expiry_is_eight_oclock() -> None:
    """The page's own nanoseconds of an expiry, with the name that goes with them."""
    name = {"instrument_name": "ETH-31MAR23-2500-C"}
    _, sink = read(MARKETS_ROW | name, "2023-03-01T00:00:00Z")

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert instrument.expiry_ns == EXPIRY_NS
    assert (instrument.name, instrument.strike) == ("ETH-31MAR23-2500-C", 2500.0)
    assert (instrument.tick_size, instrument.contract_size) == (0.05, 1.0)
    assert (instrument.premium, instrument.quote_currency) == (Premium.QUOTE, "USDC")
    assert instrument.kind is OptionKind.CALL
    assert instrument.listed_ns is None


@pytest.mark.parametrize("unit", [NANOS_PER_SECOND, NANOS_PER_MILLI, 1_000])
def test_expiry_in_another_unit_is_refused(unit: int) -> None:
    """Seconds, milliseconds and microseconds read as nanoseconds are in January 1970."""
    changes = {"instrument_name": "ETH-31MAR23-2500-C", "expiry": str(EXPIRY_NS // unit)}
    adapter, sink = read(MARKETS_ROW | changes, "2023-03-01T00:00:00Z")

    assert sink.of(InstrumentsListed) == []
    assert adapter.connections()[0].counts["rejected.listing_contradiction"] == 1


def test_documented_refusal_for_speed_says_how_long() -> None:
    """Of the page "Rate Limits": nanoseconds, over the websocket and over REST."""
    body = b'{"error":"RATE_LIMIT_EXCEEDED","retry_after":"4406000000"}'
    frame = (
        b'{"status":"error","timestamp":"1664338190185908000","error":"RATE_LIMIT_EXCEEDED",'
        b'"data":{"retry_after":"4406000000"}}'
    )
    adapter = make(Sink())
    error = adapter.catalog_error(429, body)

    assert isinstance(error, RateLimited)
    assert error.wait_seconds == 4.406
    with pytest.raises(RateLimited) as raised:
        feed(frame)
    assert raised.value.wait_seconds == 4.406


def test_documented_ping_and_its_answer() -> None:
    """Of the page "PUBLISH Ping": an operation with a number, and success."""
    sink = Sink()
    adapter = make(sink, assets=())
    adapter.on_catalog(bodies([]), NOW_NS)
    (protocol,) = adapter.connections()
    protocol.start(NOW_NS)
    due_ns = protocol.next_timeout_ns
    assert due_ns is not None
    protocol.on_timeout(due_ns)
    (request,) = sent(protocol)
    assert request == {"op": "ping", "id": request["id"]}
    answer = {"id": request["id"], "data": {"success": True, "timestamp": "1673436052887313432"}}
    protocol.receive(json.dumps(answer).encode(), due_ns)
    protocol.on_timeout(due_ns + 60 * NANOS_PER_SECOND)

    assert protocol.counts == {}


def vols(documented: Row, *, hour: int = 8, forward: float = FORWARD) -> list[float]:
    """Our volatilities of the documented bid and ask."""
    (ticker,) = documented["data"]["tickers"]
    expiry_ns = EXPIRY_NS + (hour - 8) * NANOS_PER_HOUR
    years = years_between(int(documented["data"]["timestamp"]), expiry_ns)
    prices = np.array([float(ticker[side]["price"]) for side in ("bid", "ask")])
    found = np.empty(2)
    implied_vols(
        np.full(2, forward),
        np.full(2, 1350.0),
        np.full(2, years),
        prices,
        np.ones(2, np.bool_),
        found,
    )
    return [float(vol) for vol in found]


def printed(documented: Row) -> list[float]:
    """The venue's."""
    (ticker,) = documented["data"]["tickers"]
    return [float(ticker[side]["iv"]) for side in ("bid", "ask")]


def test_our_volatility_is_aevos(documented: Row) -> None:
    """Black-76 on one forward, rate 0, ACT/365 to 08:00 UTC: both sides to eight decimals."""
    assert vols(documented) == pytest.approx(printed(documented), abs=1e-8)


@pytest.mark.parametrize("hour", [0, 7, 9, 12, 16])
def test_another_hour_of_expiry_misses_aevos_volatility(documented: Row, hour: int) -> None:
    """By an hour it is off in the fourth digit; no forward mends both sides."""
    assert vols(documented, hour=hour) != pytest.approx(printed(documented), abs=1e-6)


def test_index_of_the_page_for_the_forward_misses(documented: Row) -> None:
    """A forward that is off by 16 cents is off by 2 in a thousand of the volatility."""
    assert vols(documented, forward=1337.16) != pytest.approx(printed(documented), abs=1e-5)


def test_a_side_without_an_order_is_absent(documented: Row) -> None:
    """However it is spelled: empty, null, left out, zero or no text."""
    (ticker,) = documented["data"]["tickers"]
    absent: list[object] = [
        {}, None, {"price": "0", "amount": "0"}, {"price": "", "amount": ""},
        {"price": "7", "amount": "0"}, {"price": "0", "amount": "7"},
    ]  # fmt: skip
    for bid in absent:
        data = documented["data"] | {"tickers": [ticker | {"bid": bid}]}
        protocol, sink = feed(json.dumps(documented | {"data": data}).encode())
        (quote,) = sink.quotes
        assert isnan(quote[1])
        assert isnan(quote[3])
        assert (quote[2], quote[4]) == (10.0, 1.0)
        assert protocol.counts == {}
