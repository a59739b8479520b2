"""Volumes and perpetuals of each venue that are missing, refused or senseless; and their requests.

What the digits become is in tests/replay/test_facts_frames.py.
"""

import json
from collections import Counter
from collections.abc import Callable
from math import isnan
from typing import Any

import pytest

from fakes import aevo_lab, binance_lab, bybit_lab, delta_lab, deribit_lab, derive_lab, okx_lab
from fakes.deribit_lab import Sink
from volgauge.adapters.base import VenueAdapter
from volgauge.domain.events import InstrumentsListed, PerpetualState, TradedVolume

Bodies = dict[str, bytes]
VENUES = ("deribit", "okx", "bybit", "binance", "derive", "aevo", "delta")
PERPETUAL_BODY = {
    "deribit": "BTC.perpetual", "okx": "BTC-USD-SWAP.funding", "bybit": "BTC.linear",
    "binance": "BTCUSDT.funding", "derive": "perpetuals", "aevo": "perpetuals",
    "delta": "perpetuals",
}  # fmt: skip


def whole(venue: str, sink: Sink) -> tuple[VenueAdapter, Bodies, int]:
    """An adapter of a venue that has not read its bodies yet, and the instant for it."""
    adapter: VenueAdapter
    match venue:
        case "deribit":
            first = deribit_lab.make(sink, assets=("BTC",))
            row = deribit_lab.option_row()
            summary = {"instrument_name": row["instrument_name"], "volume": 2.5}
            given = deribit_lab.bodies(first, [row], [summary])
            given["BTC.perpetual"] = deribit_lab.body([deribit_lab.perpetual_row("BTC")])
            return first, given, deribit_lab.NOW_NS
        case "okx":
            adapter = okx_lab.make(sink)
            return adapter, okx_lab.bodies([okx_lab.option_row()]), okx_lab.NOW_NS
        case "bybit":
            bybit = bybit_lab.make(sink, assets=("BTC",))
            told = {"symbol": bybit_lab.CALL, "volume24h": "2.5"}
            given = bybit_lab.bodies(bybit, [bybit_lab.option_row()], [told])
            return bybit, given, bybit_lab.NOW_NS
        case "binance":
            adapter = binance_lab.make(sink, assets=("BTC",))
            return adapter, binance_lab.bodies([binance_lab.option_row()]), binance_lab.NOW_NS
        case "aevo" | "delta":
            return whole_of_one_body(venue, sink)
        case _:
            derive = derive_lab.make(sink, assets=("BTC",))
            given = derive_lab.bodies(derive, [derive_lab.option_row()])
            return derive, given, derive_lab.NOW_NS


def whole_of_one_body(venue: str, sink: Sink) -> tuple[VenueAdapter, Bodies, int]:
    """The same of venues that list everything at once."""
    if venue == "aevo":
        aevo = aevo_lab.make(sink, assets=("BTC",))
        return aevo, aevo_lab.bodies([aevo_lab.option_row()]), aevo_lab.NOW_NS
    delta = delta_lab.make(sink, assets=("BTC",))
    rows = [delta_lab.option_row(), delta_lab.perpetual_row()]
    return delta, delta_lab.bodies(rows, [delta_lab.perpetual()]), delta_lab.NOW_NS


def counts_of(adapter: VenueAdapter) -> Counter[str]:
    """Facts of all of its connections."""
    return sum((Counter(p.counts) for p in adapter.connections()), Counter())


@pytest.mark.parametrize("venue", VENUES)
def test_whole_bodies_leave_nothing_to_count(venue: str) -> None:
    """Every perpetual with both of its numbers, and a volume where REST tells one."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    adapter.on_catalog(given, now_ns)

    assert counts_of(adapter) == {}
    assert {event.quote_currency for event in sink.of(PerpetualState)} == {
        "deribit": {"USD"}, "okx": {"USD", "USDT"}, "bybit": {"USDT", "USD"},
        "binance": {"USDT"}, "derive": {"USDC"}, "aevo": {"USDC"}, "delta": {"USDT"},
    }[venue]  # fmt: skip
    for event in sink.of(PerpetualState):
        assert event.funding_rate == 0.0001
        assert event.open_interest > 0.0
        assert event.received_ns == now_ns
    expected = {"deribit": 2.5, "okx": 2.5, "bybit": 2.5, "binance": 5.0}.get(venue)
    assert [e.amounts for e in sink.of(TradedVolume)] == ([(expected,)] if expected else [])


@pytest.mark.parametrize("venue", VENUES)
def test_listing_goes_on_without_the_facts(venue: str) -> None:
    """The shell leaves out what it could not fetch; that is counted, and no event is invented."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    optional = _optional(adapter, given, now_ns)
    adapter.on_catalog({n: b for n, b in given.items() if n not in optional}, now_ns)

    assert sink.of(InstrumentsListed) != []
    assert sink.of(PerpetualState) == []
    counts = counts_of(adapter)
    assert counts["missing.perpetual"] > 0
    assert set(counts) <= {"missing.perpetual", "missing.volume"}


def _optional(adapter: VenueAdapter, given: Bodies, now_ns: int) -> set[str]:
    """Names of the bodies that a venue may leave out."""
    if adapter.venue == "okx":
        adapter.on_catalog({"tick_bands": given["tick_bands"]}, now_ns)
    return {request.name for request in adapter.catalog_requests() if request.is_optional}


@pytest.mark.parametrize("venue", VENUES)
def test_needed_bodies_are_asked_for_first(venue: str) -> None:
    """So that what is beside them never makes them wait; and each names the body it is for."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    optional = _optional(adapter, given, now_ns)
    order = [request.is_optional for request in adapter.catalog_requests()]

    assert order == sorted(order)
    assert optional <= set(given)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("body", [b"", b"[", b"[]", b"null", b'{"code":"1","retCode":5}', b"\xff"])
def test_body_that_cannot_be_read_is_counted(venue: str, body: bytes) -> None:
    """And everything else is as it was."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    adapter.on_catalog(given | {PERPETUAL_BODY[venue]: body}, now_ns)

    assert counts_of(adapter)["rejected.perpetual_body"] == 1
    assert sink.of(InstrumentsListed) != []


def _deribit(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    row = deribit_lab.perpetual_row("BTC", **changes)
    return given | {"BTC.perpetual": deribit_lab.body([row])}


def _okx(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    row = okx_lab.funding_row("BTC-USD-SWAP") | changes
    swap = okx_lab.interest_row("BTC-USD-SWAP") | changes
    return given | {
        "BTC-USD-SWAP.funding": okx_lab.body([row]), "swap.interest": okx_lab.body([swap])
    }  # fmt: skip


def _bybit(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    return given | {"BTC.inverse": bybit_lab.body([bybit_lab.perpetual_row("BTCUSD", **changes)])}


def _binance(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    told = binance_lab.perpetual("BTCUSDT", **changes)
    return given | {name: json.dumps(row).encode() for name, row in told.items()}


def _derive(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    ticker = derive_lab.perpetual(**changes)
    return given | {"perpetuals": derive_lab.perpetuals({"BTC-PERP": ticker})}


def _aevo(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    return given | {"perpetuals": json.dumps([aevo_lab.perpetual(**changes)]).encode()}


def _delta(given: Bodies, **changes: Any) -> Bodies:  # noqa: ANN401 - any JSON value
    return given | {"perpetuals": delta_lab.body([delta_lab.perpetual(**changes)])}


@pytest.mark.parametrize(
    ("venue", "quote", "change", "field", "word"),
    [
        ("deribit", "USD", {"funding_8h": 5.0}, _deribit, "funding"),
        ("deribit", "USD", {"open_interest": -1.0}, _deribit, "perpetual_interest"),
        ("deribit", "USD", {"estimated_delivery_price": 0.0}, _deribit, "perpetual_interest"),
        ("deribit", "USD", {"estimated_delivery_price": None}, _deribit, "perpetual_interest"),
        ("okx", "USD", {"fundingRate": "∞"}, _okx, "funding"),
        ("okx", "USD", {"fundingRate": "0.5", "nextFundingTime": "0"}, _okx, "funding"),
        ("okx", "USD", {"nextFundingTime": "1"}, _okx, "funding"),
        ("okx", "USD", {"oiCcy": "-3"}, _okx, "perpetual_interest"),
        ("bybit", "USD", {"fundingRate": "x"}, _bybit, "funding"),
        ("bybit", "USD", {"fundingIntervalHour": "0"}, _bybit, "funding"),
        ("bybit", "USD", {"fundingIntervalHour": None}, _bybit, "funding"),
        ("bybit", "USD", {"indexPrice": "0"}, _bybit, "perpetual_interest"),
        ("bybit", "USD", {"openInterest": "NaN"}, _bybit, "perpetual_interest"),
        ("binance", "USDT", {"lastFundingRate": "7"}, _binance, "funding"),
        ("binance", "USDT", {"openInterest": "1e300"}, _binance, "perpetual_interest"),
        ("derive", "USDC", {"f": "0.5"}, _derive, "funding"),
        ("derive", "USDC", {"stats": {"oi": "-1"}}, _derive, "perpetual_interest"),
        ("aevo", "USDC", {"funding_rate": "0.5"}, _aevo, "funding"),
        ("aevo", "USDC", {"open_interest": "-1"}, _aevo, "perpetual_interest"),
        ("aevo", "USDC", {"index_price": "0"}, _aevo, "perpetual_interest"),
        ("delta", "USDT", {"funding_rate": "101"}, _delta, "funding"),
        ("delta", "USDT", {"oi_contracts": "-1"}, _delta, "perpetual_interest"),
    ],
)
def test_senseless_number_is_refused_by_its_reason(
    venue: str,
    quote: str,
    change: dict[str, Any],
    field: Callable[..., Bodies],
    word: str,
) -> None:
    """The other number of the same perpetual is told."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    adapter.on_catalog(field(given, **change), now_ns)

    (event,) = (e for e in sink.of(PerpetualState) if e.quote_currency == quote)
    assert isnan(event.funding_rate) == (word == "funding")
    assert isnan(event.open_interest) == (word == "perpetual_interest")
    counts = counts_of(adapter)
    assert counts.pop(f"rejected.{word}") == 1


@pytest.mark.parametrize(
    ("venue", "name", "row"),
    [
        ("okx", "BTC-USD.tickers", okx_lab.volume_row(vol24h="-1")),
        ("okx", "BTC-USD.tickers", okx_lab.volume_row(vol24h="∞")),
        ("bybit", "BTC.tickers", {"symbol": bybit_lab.CALL, "volume24h": "much"}),
        ("bybit", "BTC.tickers", {"symbol": bybit_lab.CALL, "volume24h": "-2"}),
        ("binance", "ticker", {"symbol": binance_lab.CALL, "volume": "1e99"}),
        ("deribit", "BTC.summary", {"instrument_name": "BTC-31JUL26-60000-C", "volume": -1.0}),
    ],
)
def test_senseless_volume_is_refused(venue: str, name: str, row: dict[str, Any]) -> None:
    """Counted, and no event is made of it."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    match venue:
        case "okx":
            body = okx_lab.body([row])
        case "bybit":
            body = bybit_lab.body([row])
        case "deribit":
            body = deribit_lab.body([row])
        case _:
            body = json.dumps([row]).encode()
    adapter.on_catalog(given | {name: body}, now_ns)

    assert sink.of(TradedVolume) == []
    assert counts_of(adapter) == {"rejected.volume": 1}


@pytest.mark.parametrize(
    ("venue", "name", "body"),
    [
        ("okx", "BTC-USD.tickers", okx_lab.body([okx_lab.volume_row(vol24h="")])),
        ("bybit", "BTC.tickers", bybit_lab.body([{"symbol": bybit_lab.CALL}])),
        ("binance", "ticker", json.dumps([{"symbol": binance_lab.CALL}]).encode()),
        ("deribit", "BTC.summary", deribit_lab.body([{"instrument_name": "X", "volume": None}])),
    ],
)
def test_volume_that_is_not_told_is_none(venue: str, name: str, body: bytes) -> None:
    """Not 0, which is a volume."""
    sink = Sink()
    adapter, given, now_ns = whole(venue, sink)
    adapter.on_catalog(given | {name: body}, now_ns)

    assert sink.of(TradedVolume) == []
    assert counts_of(adapter) == {}


def test_derive_bad_volume_of_a_push_is_not_taken_for_none() -> None:
    """The ticker is read number by number then; its quote and its interest stand."""
    sink = Sink()
    protocol = derive_lab.make(sink, assets=()).connections()[0]
    protocol.start(derive_lab.NOW_NS)
    ticker = derive_lab.slim(stats={"c": "-1", "oi": "3.5"})
    frame = {"instrument_ticker": ticker, "timestamp": ticker["t"]}
    protocol.receive(
        derive_lab.push(f"ticker_slim.{derive_lab.CALL}.100", frame), derive_lab.NOW_NS
    )

    assert sink.of(TradedVolume) == []
    assert len(sink.quotes) == 1
    assert protocol.counts == {"rejected.bad_number": 1}


def test_binance_interval_is_the_one_that_was_adjusted() -> None:
    """Four hours: twice the rate for eight; without the list of intervals there is no rate."""
    sink = Sink()
    adapter, given, now_ns = whole("binance", sink)
    info = json.dumps([{"symbol": "BTCUSDT", "fundingIntervalHours": 4}]).encode()
    adapter.on_catalog(given | {"funding_info": info}, now_ns)
    adapter.on_catalog({n: b for n, b in given.items() if n != "funding_info"}, now_ns + 1)

    first, second = sink.of(PerpetualState)
    assert first.funding_rate == 0.0002
    assert isnan(second.funding_rate)
    assert second.open_interest == first.open_interest


@pytest.mark.parametrize(
    ("rest_url", "root"),
    [
        ("", "https://fapi.binance.com"),
        ("https://eapi.binance.com/", "https://fapi.binance.com"),
        ("https://testnet.binancefuture.com", "https://testnet.binancefuture.com"),
        ("http://127.0.0.1:8080/binance", "http://127.0.0.1:8080/binance"),
    ],
)
def test_binance_perpetuals_are_on_a_host_of_their_own(rest_url: str, root: str) -> None:
    """In production only: never ask it while the options come from somewhere else."""
    adapter = binance_lab.make(Sink(), assets=("BTC",), rest_url=rest_url)
    roots = {r.root for r in adapter.catalog_requests() if r.path.startswith("fapi")}

    assert roots == {root}


def test_perpetuals_of_coins_without_options_are_left_out() -> None:
    """Deribit's and Derive's bodies hold every coin."""
    sink = Sink()
    adapter, given, now_ns = whole("deribit", sink)
    names = ("DOGE_USDC-PERPETUAL", "BTC-26MAR27")
    rows = [deribit_lab.perpetual_row("BTC", instrument_name=name) for name in names]
    adapter.on_catalog(given | {"BTC.perpetual": deribit_lab.body(rows)}, now_ns)

    assert sink.of(PerpetualState) == []
    assert counts_of(adapter) == {}


def test_deribit_linear_perpetual_counts_coins() -> None:
    """Only an inverse one is in USD."""
    sink = Sink()
    adapter, given, now_ns = whole("deribit", sink)
    row = deribit_lab.perpetual_row("BTC_USDC", open_interest=812.25)
    adapter.on_catalog(given | {"BTC.perpetual": deribit_lab.body([row])}, now_ns)

    (event,) = sink.of(PerpetualState)
    assert (event.quote_currency, event.open_interest) == ("USDC", 812.25)
