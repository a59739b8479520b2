"""Every recorded and documented Derive message: decoded to the last field, or refused and counted.

The expected values are read from the messages by plain `json`, not by our types.
"""

import json
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import (
    NEVER,
    NOW_NS,
    acknowledge,
    body,
    expiry_of,
    incidents,
    make,
    page,
    perpetuals,
    push,
)
from fakes.derive_lab import sent as requests_of
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.protocol import DeriveProtocol
from volgauge.domain.events import (
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import (
    NANOS_PER_HOUR,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
    parse_instant,
    years_between,
)
from volgauge.errors import CatalogError
from volgauge.kernels.implied import implied_vols

Row = dict[str, Any]
PUT, CALL = "ETH-20260612-1900-P", "ETH-20260612-1600-C"
"""Of the two recorded tickers, which do not name their option: by delta, vega and price (calc)."""
DEEP_PUT, FAR_CALL = "BTC-20260327-155000-P", "BTC-20260327-84000-C"
"""The same of the two tickers of 2026-03-19."""


@pytest.fixture(scope="module")
def folder(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire" / "derive"


def load(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """A file of one JSON value."""
    return json.loads(path.read_text())


def samples(folder: Path, name: str) -> list[Row]:
    """The samples of a name, of a client's tests."""
    lines = (folder / "oggregator_frames_2026-03.jsonl").read_text().splitlines()
    return [line["sample"] for line in map(json.loads, lines) if line["name"] == name]


def feed(name: str, data: Row, interval: str = "100") -> tuple[DeriveProtocol, Sink]:
    """One ticker in a session as a foreign recording meets it: no catalog."""
    sink = Sink()
    protocol, _ = make(sink, assets=()).connections()
    protocol.start(NOW_NS)
    protocol.receive(push(f"ticker_slim.{name}.{interval}", data), NOW_NS)
    return protocol, sink


def tickers(folder: Path) -> dict[str, Row]:
    """The four recorded tickers of options, by the option."""
    recorded = folder / "nautilus"
    (deep,) = samples(folder, "getTickersDocFixture")
    (far,) = samples(folder, "tickerSlimDocFixture")
    return {
        PUT: load(recorded / "options_ws_ticker_slim_eth_put.json")["instrument_ticker"],
        CALL: load(recorded / "options_ws_ticker_slim_eth_call.json")["instrument_ticker"],
        DEEP_PUT: deep,
        FAR_CALL: far,
    }


def middle(printed: str) -> float:
    """A factor below one has its digits behind the third cut off."""
    value = float(printed)
    return value + 0.0005 if value < 1.0 else value


@pytest.mark.parametrize("name", [PUT, CALL, DEEP_PUT, FAR_CALL])
def test_recorded_derive_ticker_to_the_last_field(folder: Path, name: str) -> None:
    """Quote, forward, index, mark and open interest; "0" is none."""
    row = tickers(folder)[name]
    protocol, sink = feed(name, {"instrument_ticker": row, "timestamp": row["t"]})
    pricing, stamp_ns = row["option_pricing"], row["t"] * NANOS_PER_MILLI
    factor = middle(pricing["df"])

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.name, instrument.contract_size) == (name, 1.0)
    assert (instrument.premium.value, instrument.quote_currency) == ("quote", "USDC")
    bid, ask = (
        (float(row[price]) / factor, float(row[size])) if float(row[price]) else (nan, nan)
        for price, size in ("bB", "aA")
    )
    (quote,) = sink.quotes
    expected = (0, bid[0], ask[0], bid[1], ask[1], stamp_ns, NOW_NS)
    assert quote == pytest.approx(expected, nan_ok=True, rel=1e-15)
    (forward,) = sink.of(ForwardMark)
    assert (forward.price, forward.expiry_ns) == (float(pricing["f"]), expiry_of(name))
    assert (forward.asset, forward.quote_currency, forward.exchange_ns) == (
        name[:3], "USDC", stamp_ns,
    )  # fmt: skip
    (index,) = sink.of(IndexPrice)
    assert (index.asset, index.price, index.exchange_ns) == (name[:3], float(row["I"]), stamp_ns)
    (mark,) = sink.of(MarkQuote)
    assert mark.prices == pytest.approx((float(row["M"]) / factor,), rel=1e-15)
    assert (mark.implied_vols, mark.exchange_ns) == ((float(pricing["i"]),), stamp_ns)
    (interest,) = sink.of(OpenInterest)
    assert interest.amounts == (float(row["stats"]["oi"]),)
    assert protocol.counts == {}


def test_recorded_tickers_of_the_perpetual_are_not_for_us(folder: Path) -> None:
    """Of the slim and of the retired channel; a listing by name has options only."""
    slim = load(folder / "nautilus/perps_ws_ticker_slim_eth.json")
    (other,) = samples(folder, "perpFixture")[:1]
    for data in (slim, {"instrument_ticker": other}):
        protocol, sink = feed("ETH-PERP", data)
        assert protocol.counts == {"ignored.unlisted": 1}
        assert (sink.quotes, sink.of(InstrumentsListed)) == ([], [])


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        ("ticker.ETH-PERP.100", "perps_ws_ticker_eth"),
        ("ticker.ETH-20260627-3500-C.100", "options_http_ticker_eth_snapshot"),
        ("orderbook.ETH-PERP.1.10", "perps_ws_orderbook_eth"),
        ("orderbook.ETH-USDC.1.10", "spot_ws_orderbook_eth_mainnet"),
        ("trades.option.ETH", "options_ws_trade_eth"),
    ],
)
def test_other_derive_channels_are_ignored_by_name(folder: Path, channel: str, name: str) -> None:
    """Retired tickers, books rounded to dollars, trades: never asked for."""
    sink = Sink()
    protocol, _ = make(sink, assets=()).connections()
    protocol.start(NOW_NS)
    protocol.receive(push(channel, load(folder / f"nautilus/{name}.json")), NOW_NS)

    assert protocol.counts == {"ignored.channel": 1}
    assert sink.quotes == []


def test_recorded_acknowledgement(folder: Path) -> None:
    """Four channels are accepted, one is refused with a reason in its status."""
    recorded = load(folder / "nautilus/spot_ws_subscribe_ack.json")
    status = recorded["result"]["status"]
    protocol, _ = make(Sink()).connections()
    protocol.start(NOW_NS)
    protocol.set_plan(dict.fromkeys(status), frozenset(), NOW_NS)
    (request,) = requests_of(protocol)
    assert request["params"]["channels"] == list(status)
    protocol.receive(json.dumps(recorded).encode(), NOW_NS)
    assert protocol.counts == {"ignored.answer": 1}
    protocol.receive(json.dumps(recorded | {"id": request["id"]}).encode(), NOW_NS)

    (again,) = requests_of(protocol)
    assert again["params"]["channels"] == ["trades.spot.ETH"]
    protocol.receive(acknowledge(again, {"trades.spot.ETH": "no"}), NOW_NS)
    assert requests_of(protocol) == []
    assert protocol._subscriptions.active == set(status) - {"trades.spot.ETH"}
    assert protocol.counts["channels_uncovered"] == 1


def recorded_pages(folder: Path) -> list[Row]:
    """Bodies of 2026-07-26, one page each of options, tokens and perpetuals."""
    recorded = load(folder / "zenhive_get_all_instruments_2026-07-26.json")
    return [response["body"]["result"] for response in recorded["responses"]]


def take(result: Row, now_ns: int) -> tuple[DeriveAdapter, Sink]:
    """A listing of one page."""
    sink = Sink()
    adapter = make(sink, assets=())
    given = {"incidents": incidents(), "all.options.1": page(result["instruments"])}
    adapter.on_catalog(given | {"perpetuals": perpetuals({})}, now_ns)
    return adapter, sink


def test_recorded_derive_listing_row_by_row(folder: Path) -> None:
    """72 options with all of their terms; 28 are not active before September."""
    rows = {row["instrument_name"]: row for row in recorded_pages(folder)[0]["instruments"]}
    now_ns = parse_instant("2026-07-26T05:44:54Z")
    adapter, sink = take({"instruments": list(rows.values())}, now_ns)

    found = sink.of(InstrumentsListed)[0].instruments
    assert len(rows) == 100
    assert {i.name for i in found} == {name for name, row in rows.items() if row["is_active"]}
    assert adapter.connections()[-1].counts == {"rejected.listing_coming": 28}
    for instrument in found:
        row = rows[instrument.name]
        terms = row["option_details"]
        assert instrument.asset == row["base_currency"] == "ZEC"
        assert (instrument.premium.value, instrument.quote_currency) == ("quote", "USDC")
        assert instrument.strike == float(terms["strike"])
        assert instrument.kind.value == terms["option_type"]
        assert instrument.expiry_ns == terms["expiry"] * NANOS_PER_SECOND
        assert instrument.expiry_ns == expiry_of(instrument.name)
        assert row["scheduled_deactivation"] == terms["expiry"] - 60
        assert instrument.tick_size == float(row["tick_size"]) == 0.1
        assert instrument.contract_size == 1.0
        assert instrument.listed_ns == row["scheduled_activation"] * NANOS_PER_SECOND
        assert instrument.listed_ns < now_ns


def test_announced_options_are_fetched_when_they_become_active(folder: Path) -> None:
    """28 rows: inactive, active from 2026-09-25T08:00, no deactivation yet."""
    rows = [row for row in recorded_pages(folder)[0]["instruments"] if not row["is_active"]]
    assert {row["scheduled_activation"] for row in rows} == {1_790_323_200}
    assert {row["scheduled_deactivation"] for row in rows} == {NEVER}
    now_ns = 1_790_323_199 * NANOS_PER_SECOND
    adapter, _ = take({"instruments": rows}, now_ns)
    assert adapter.catalog_due_ns == now_ns + 2 * NANOS_PER_SECOND

    active = [row | {"is_active": True} for row in rows]
    _, sink = take({"instruments": active}, adapter.catalog_due_ns)
    assert len(sink.of(InstrumentsListed)[0].instruments) == 28


def test_recorded_listing_has_more_pages(folder: Path) -> None:
    """100 of 3,988 options: the other pages are asked for before anything is told."""
    sink = Sink()
    adapter = make(sink, assets=())
    adapter.on_catalog({"all.options.1": body(recorded_pages(folder)[0])}, NOW_NS)

    assert sink.events == []
    names = [request.name for request in adapter.catalog_requests()]
    assert names == [
        "incidents",
        *(f"all.options.{number}" for number in range(1, 41)),
        "perpetuals",
    ]


@pytest.mark.parametrize(("place", "count"), [(1, 20), (2, 12)], ids=["tokens", "perpetuals"])
def test_recorded_rows_of_other_kinds_have_a_reason(folder: Path, place: int, count: int) -> None:
    """They are no options."""
    adapter, sink = take(recorded_pages(folder)[place], NOW_NS)

    assert adapter.connections()[-1].counts == {"rejected.listing_kind": count}
    assert sink.of(InstrumentsListed) == []


def test_documented_rows_of_2026(folder: Path) -> None:
    """BTC at a tick of a dollar; expiry in seconds, a minute after the deactivation."""
    rows = [
        row
        for name in ("docFixture", "callFixture")
        for row in samples(folder, name)
        if row.get("instrument_type") == "option"
    ]
    adapter, sink = take({"instruments": rows}, parse_instant("2026-03-19T00:00:00Z"))

    call, put = sink.of(InstrumentsListed)[0].instruments
    assert (call.name, call.kind.value) == ("BTC-20260327-84000-C", "C")
    assert (put.name, put.kind.value) == ("BTC-20260327-84000-P", "P")
    for instrument in (call, put):
        assert (instrument.asset, instrument.strike, instrument.tick_size) == ("BTC", 84_000.0, 1.0)
        assert instrument.expiry_ns == parse_instant("2026-03-27T08:00:00Z")
        assert instrument.listed_ns == 1_751_014_800 * NANOS_PER_SECOND
    assert adapter.connections()[-1].counts == {}


@pytest.mark.parametrize("name", ["common_http_get_instruments_eth_all", "options_instrument_eth"])
def test_made_up_row_contradicts_itself(folder: Path, name: str) -> None:
    """A client's sample: the name says 27 June, the field 21 June; the other row is a perpetual."""
    sample = load(folder / f"nautilus/{name}.json")
    rows = sample.get("result", [sample])
    adapter, sink = take({"instruments": rows}, parse_instant("2026-05-01T00:00:00Z"))

    counts = adapter.connections()[-1].counts
    assert counts["rejected.listing_contradiction"] == 1
    assert counts["rejected.listing_kind"] == len(rows) - 1
    assert sink.of(InstrumentsListed) == []


def test_answer_of_the_other_method_is_no_listing(folder: Path) -> None:
    """public/get_instruments has a bare list."""
    text = (folder / "nautilus/common_http_get_instruments_eth_all.json").read_bytes()

    with pytest.raises(CatalogError, match="Expected `object`"):
        make(Sink(), assets=()).on_catalog({"all.options.1": text}, NOW_NS)


def test_recorded_refusal_is_no_answer_of_the_venue(folder: Path) -> None:
    """HTTP 403 with a page of the gateway."""
    recorded = load(folder / "errors/zenhive_error_invalid_signature.json")
    text = recorded["body"]["body_preview"].encode()
    error = make(Sink()).catalog_error(recorded["http_status"], text)

    assert (type(error), str(error)) == (CatalogError, "derive: HTTP 403")


class Spec(NamedTuple):
    """A documented response schema."""

    required: set[str]
    properties: Row


def schema(folder: Path, source: str, name: str) -> Spec:
    """One of a documented method's schemas."""
    for line in (folder / "docs_openapi_2026-03.jsonl").read_text().splitlines():
        document = json.loads(line)
        if document["source"] == f"derive/post_public-{source}.md":
            found = document["sample"]["components"]["schemas"][name]
            return Spec(set(found.get("required", ())), found["properties"])
    raise AssertionError(f"expected {source} among the documents")


def test_what_we_read_is_what_is_documented(folder: Path) -> None:
    """Methods, parameters and fields by their documented names."""
    ticker = schema(folder, "get-tickers", "TickerSlimSchema")
    assert {"a", "A", "b", "B", "M", "I", "t", "option_pricing", "stats"} <= ticker.required
    pricing = schema(folder, "get-tickers", "OptionPricingSlimSchema")
    assert {"f", "i", "df", "bi", "ai", "m"} <= pricing.required
    row = schema(folder, "get-all-instruments", "InstrumentPublicResponseSchema")
    assert {
        "instrument_name", "instrument_type", "is_active", "quote_currency", "tick_size",
        "base_currency", "scheduled_activation", "scheduled_deactivation", "option_details",
    } <= row.required  # fmt: skip
    details = schema(folder, "get-all-instruments", "OptionPublicDetailsSchema")
    assert "(in seconds)" in details.properties["expiry"]["description"]
    asked = schema(folder, "get-all-instruments", "PublicGetAllInstrumentsParamsSchema")
    (request,) = [r for r in make(Sink(), assets=("BTC",)).catalog_requests() if "page" in r.path]
    query = dict(part.split("=") for part in request.path.partition("?")[2].split("&"))
    assert asked.required <= set(query) <= set(asked.properties)
    assert f"max {query['page_size']}" in asked.properties["page_size"]["description"]
    incident = schema(folder, "get-live-incidents", "IncidentResponseSchema")
    assert "high" in incident.properties["severity"]["enum"]
    time = schema(folder, "get-time", "PublicGetTimeResponseSchema")
    assert time.properties["result"]["type"] == "integer"


def solve(forward: float, instrument: Instrument, at_ns: int, price: float) -> float:
    """Our volatility of an undiscounted price."""
    out = np.empty(1)
    implied_vols(
        np.array([forward]),
        np.array([instrument.strike]),
        np.array([years_between(at_ns, instrument.expiry_ns)]),
        np.array([price]),
        np.array([instrument.kind.value == "C"]),
        out,
    )
    return float(out[0])


class Priced(NamedTuple):
    """A price of a recorded ticker and the volatility that the venue prints for it."""

    instrument: Instrument
    at_ns: int
    forward: float
    forward_digit: float
    spot: float
    price: float
    vol: float


def priced(folder: Path) -> list[Priced]:
    """Bids and asks with a volatility; their prices are exact, unlike the mark's."""
    found = []
    for name, row in tickers(folder).items():
        _, sink = feed(name, {"instrument_ticker": row, "timestamp": row["t"]})
        (instrument,) = sink.of(InstrumentsListed)[0].instruments
        pricing = row["option_pricing"]
        digit = 0.1 if "." in pricing["f"] else 1.0
        for price, vol in ((row["b"], pricing["bi"]), (row["a"], pricing["ai"])):
            if float(vol):
                found.append(
                    Priced(
                        instrument, row["t"] * NANOS_PER_MILLI, float(pricing["f"]), digit,
                        float(row["I"]), float(price), float(vol),
                    )
                )  # fmt: skip
    return found


def bounds(
    row: Priced, forward: float, factors: tuple[float, float] = (0.999, 1.0), shift_ns: int = 0
) -> tuple[float, float]:
    """Least and largest volatility that the digits of forward and factor leave open."""
    trials = [
        solve(forward + cut, row.instrument, row.at_ns + shift_ns, row.price / factor)
        for cut in (0.0, row.forward_digit)
        for factor in factors
    ]
    return min(trials), max(trials)


def test_our_volatility_is_derives(folder: Path) -> None:
    """Black-76 on the ticker's own forward, times df, ACT/365 to 08:00 UTC.

    The forward and the factor come with their last digits cut off; the printed value lies within
    what that leaves open.
    """
    rows = priced(folder)
    assert len(rows) == 5
    for row in rows:
        low, high = bounds(row, row.forward)
        assert low - 1e-5 <= row.vol <= high + 1e-5


def test_middle_factor_is_near_enough(folder: Path) -> None:
    """What comes out of the adapter gives the printed volatility within 0.01 points and a tick."""
    row = tickers(folder)[PUT]
    _, sink = feed(PUT, {"instrument_ticker": row, "timestamp": row["t"]})
    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    (quote,), (forward,) = sink.quotes, sink.of(ForwardMark)
    for price, printed in ((quote[1], "0.48229"), (quote[2], "0.52063")):
        vol = solve(forward.price, instrument, quote[5], price)
        assert vol == pytest.approx(float(printed), abs=1e-4)


def test_other_conventions_do_not_fit_derive(folder: Path) -> None:
    """Index for forward, another hour of expiry, a rate of 5 %: outside of what digits explain."""
    wrong = {"index": 0, "hour": 0, "rate": 0}
    for row in priced(folder):
        trials = {
            "index": bounds(row, row.spot),
            "hour": bounds(row, row.forward, shift_ns=-8 * NANOS_PER_HOUR),
            "rate": bounds(row, row.forward, (0.9975, 0.998)),
        }
        for name, (low, high) in trials.items():
            wrong[name] += not low <= row.vol <= high

    assert wrong["index"] >= 4
    assert wrong["hour"] == 5
    assert wrong["rate"] >= 4


def test_greeks_show_that_the_factor_is_cut_off(folder: Path) -> None:
    """Rho is T x mark, unrounded: by it, "0.999" was above 0.9995, and marks are cut to the tick.

    VENUES had read the factor as rounded; then 42.298 fits the mark of 42.3 by accident.
    """
    rows = tickers(folder)
    marks = {
        name: float(row["option_pricing"]["r"])
        / years_between(row["t"] * NANOS_PER_MILLI, expiry_of(name))
        for name, row in rows.items()
    }
    assert marks[CALL] == pytest.approx(398.18, abs=0.01)
    assert rows[CALL]["M"] == "398.1"
    assert marks[FAR_CALL] == pytest.approx(31.798, abs=0.001)
    assert rows[FAR_CALL]["M"] == "31"
    # Worth strike minus forward, times the factor: one, to five digits.
    forward = float(rows[DEEP_PUT]["option_pricing"]["f"])
    assert marks[DEEP_PUT] / (155_000 - forward - 0.5) == pytest.approx(1.0, abs=1e-5)
    assert rows[FAR_CALL]["option_pricing"]["df"] == "0.999"


def test_bid_below_the_intrinsic_value_has_no_volatility(folder: Path) -> None:
    """383 for what is worth 392.6 at once: the venue prints 0, we find none."""
    row = tickers(folder)[CALL]
    _, sink = feed(CALL, {"instrument_ticker": row, "timestamp": row["t"]})
    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    (quote,) = sink.quotes

    assert row["option_pricing"]["bi"] == "0"
    assert isnan(solve(1_992.6, instrument, quote[5], quote[1]))
