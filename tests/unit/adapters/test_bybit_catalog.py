"""Bybit's listings: what is taken, what is refused and counted, pages, polling, maintenance."""

from math import inf, isnan
from typing import Any

import pytest

from fakes.bybit_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
    STAMP,
    bodies,
    body,
    chain,
    listed,
    make,
    option_row,
    sent,
    started,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.domain.events import (
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable

ONGOING = {
    "id": "4d95b2a0", "title": "t06", "state": "ongoing", "begin": "1751596902000",
    "end": "1751597011000", "href": "", "serviceTypes": [2, 5], "product": [1, 3],
    "uidSuffix": [], "maintainType": 1, "env": 1,
}  # fmt: skip


def only(sink: Sink) -> Instrument:
    """The one instrument that was listed."""
    (event,) = sink.of(InstrumentsListed)
    (instrument,) = event.instruments
    return instrument  # type: ignore[no-any-return] # a fake's list


def refused(adapter: BybitAdapter) -> dict[str, int]:
    """Counted reasons of all connections."""
    return {
        key.removeprefix("rejected.listing_"): count
        for protocol in adapter.connections()
        for key, count in protocol.counts.items()
        if key.startswith("rejected.listing_")
    }


def test_option_becomes_an_instrument() -> None:
    """Every field, from the row and from the name."""
    sink = Sink()
    listed(sink, [option_row()])

    instrument = only(sink)
    assert isnan(instrument.tick_step)
    assert instrument == Instrument(
        venue=Venue("bybit"),
        name=CALL,
        asset=Asset("BTC"),
        expiry_ns=parse_instant(NEAR),
        strike=60_000.0,
        kind=OptionKind.CALL,
        premium=Premium.QUOTE,
        quote_currency="USDT",
        tick_size=5.0,
        tick_above=inf,
        tick_step=instrument.tick_step,
        contract_size=1.0,
        listed_ns=1_782_000_000_000 * NANOS_PER_MILLI,
    )


def test_old_names_are_paid_in_usdc() -> None:
    """Four parts; the settlement coin makes another book."""
    sink = Sink()
    row = option_row("ETH-31JUL26-2800-P", quoteCoin="USD")
    listed(sink, [row])

    assert (only(sink).quote_currency, only(sink).kind) == ("USDC", OptionKind.PUT)


def test_strike_may_have_a_decimal_point() -> None:
    """Coins of a few dollars."""
    sink = Sink()
    listed(sink, [option_row("XRP-31JUL26-2.25-C-USDT")], assets=())

    assert only(sink).strike == 2.25


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "Delivering"}, "inactive"),
        ({"status": "PreLaunch"}, "coming"),
        ({"symbol": "BTC-31JUL26-0-C-USDT"}, "bad_name"),
        ({"symbol": "BTC-31JUL26-60000-X-USDT"}, "bad_name"),
        ({"symbol": "BTC-31XXX26-60000-C-USDT"}, "bad_name"),
        ({"symbol": "BTC-31FEB26-60000-C-USDT"}, "bad_name"),
        ({"symbol": "BTCUSDT"}, "bad_name"),
        ({"baseCoin": "ETH"}, "contradiction"),
        ({"settleCoin": "USDC"}, "contradiction"),
        ({"optionsType": "Put"}, "contradiction"),
        ({"optionsType": "Straddle"}, "contradiction"),
        ({"deliveryTime": str(parse_instant(FAR) // NANOS_PER_MILLI)}, "contradiction"),
        ({"deliveryTime": str(parse_instant(NEAR) // NANOS_PER_SECOND)}, "contradiction"),
        ({"priceFilter": {"tickSize": "0"}}, "bad_row"),
        ({"priceFilter": {"tickSize": "nan"}}, "schema"),
        ({"deliveryTime": "soon"}, "schema"),
        ({"symbol": None}, "schema"),
        ({"symbol": "SOL-31JUL26-60000-C-USDT", "baseCoin": "SOL"}, "asset"),
    ],
)
def test_unusable_row_is_refused_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    """One bad row is one bad row."""
    sink = Sink()
    adapter = make(sink)
    rows = [option_row() | changes, option_row(FAR_CALL, FAR)]
    given = bodies(adapter, rows)
    adapter.on_catalog(given | {"BTC.options": body(rows), "ETH.options": body([])}, NOW_NS)

    assert only(sink).name == FAR_CALL
    assert refused(adapter) == {reason: 1}


def test_expired_row_is_left_out() -> None:
    """The instant of delivery itself is too late."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(
        bodies(adapter, [option_row(), option_row(FAR_CALL, FAR)]), parse_instant(NEAR)
    )

    assert only(sink).name == FAR_CALL
    assert refused(adapter) == {"expired": 1}


def test_requests_are_by_coin() -> None:
    """Each coin's listing and chain of tickers, then the state of the platform."""
    requests = make(Sink()).catalog_requests()

    assert [(request.name, request.path) for request in requests if not request.is_optional] == [
        ("status", "v5/system/status"),
        (
            "BTC.options",
            "v5/market/instruments-info?category=option&baseCoin=BTC&limit=1000",
        ),
        (
            "ETH.options",
            "v5/market/instruments-info?category=option&baseCoin=ETH&limit=1000",
        ),
        ("BTC.tickers", "v5/market/tickers?category=option&baseCoin=BTC"),
        ("ETH.tickers", "v5/market/tickers?category=option&baseCoin=ETH"),
    ]


def test_coins_are_discovered_where_none_is_named() -> None:
    """`All` lists every option; tickers have no such word, so they are asked for by what came."""
    adapter = make(Sink(), assets=())
    assert [request.name for request in adapter.catalog_requests()] == ["status", "All.options"]

    rows = [option_row(), option_row("DOGE-31JUL26-0.2-P-USDT")]
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)

    assert [request.name for request in adapter.catalog_requests()] == [
        "status", "All.options", "BTC.tickers", "DOGE.tickers",
        "BTC.linear", "BTC.inverse", "DOGE.linear", "DOGE.inverse",
    ]  # fmt: skip


def test_pages_are_fetched_until_the_last_before_anything_is_told() -> None:
    """The cursor goes into the next request, as the venue spelled it."""
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    first = bodies(adapter, [])
    cursor = "lastid%3D19408935%26lasttime%3D1780617600"
    adapter.on_catalog(first | {"BTC.options": body([option_row()], cursor)}, NOW_NS)

    assert sink.events == []
    assert adapter.catalog_due_ns == NOW_NS
    (request,) = adapter.catalog_requests()
    assert request.name == "BTC.options"
    assert request.path.endswith(f"&limit=1000&cursor={cursor}")

    adapter.on_catalog({"BTC.options": body([option_row(FAR_CALL, FAR)])}, NOW_NS + 1)

    (event,) = sink.of(InstrumentsListed)
    assert [instrument.name for instrument in event.instruments] == [CALL, FAR_CALL]
    assert adapter.catalog_due_ns == NOW_NS + 1 + 60 * NANOS_PER_SECOND
    assert len(adapter.catalog_requests()) == 5


def test_cursor_that_never_ends_is_refused() -> None:
    """Forty pages are 40,000 options."""
    adapter = make(Sink(), assets=("BTC",))
    given = bodies(adapter, []) | {"BTC.options": body([option_row()], "again")}

    for _ in range(40):
        adapter.on_catalog(given, NOW_NS)

    with pytest.raises(CatalogError, match="pages"):
        adapter.on_catalog(given, NOW_NS)
    assert len(adapter.catalog_requests()) == 5


def test_failed_page_begins_the_listing_anew() -> None:
    """Half a listing is none; the old one stands."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), assets=("BTC",))
    told = len(sink.events)
    given = bodies(adapter, []) | {"BTC.options": body([option_row()], "more")}
    adapter.on_catalog(given, NOW_NS + 1)
    adapter.catalog_error(502, b"")

    assert len(sink.events) == told
    assert len(adapter.catalog_requests()) == 5


def test_marks_and_open_interest_come_from_the_rest_names() -> None:
    """`markIv` here, `markPriceIv` on the websocket; a volatility of 0 is none."""
    sink = Sink()
    adapter = make(sink)
    tickers = [
        {"symbol": FAR_CALL, "markPrice": "937.69840219", "markIv": "0.5397", "openInterest": "0"},
        {"symbol": CALL, "markPrice": "0.00000009", "markIv": "0", "openInterest": "6.3"},
        {"symbol": "BTC-31JUL26-99000-C-USDT", "markPrice": "1", "openInterest": "1"},
    ]
    adapter.on_catalog(bodies(adapter, [option_row(), option_row(FAR_CALL, FAR)], tickers), NOW_NS)

    (marks,) = sink.of(MarkQuote)
    assert (marks.slots, marks.prices) == ((0, 1), (9e-08, 937.69840219))
    assert isnan(marks.implied_vols[0])
    assert marks.implied_vols[1] == 0.5397
    assert marks.exchange_ns == STAMP * NANOS_PER_MILLI
    (interest,) = sink.of(OpenInterest)
    assert (interest.slots, interest.amounts) == ((0, 1), (6.3, 0.0))


def test_damaged_tickers_do_not_stop_the_listing() -> None:
    """They are counted; the websocket brings the same."""
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    given = bodies(adapter, [option_row()])
    adapter.on_catalog(given | {"BTC.tickers": body([], code=10001)}, NOW_NS)
    adapter.on_catalog(given | {"BTC.tickers": b"<html>"}, NOW_NS)
    adapter.on_catalog(given | {"BTC.tickers": body([{"symbol": CALL, "markIv": "x"}])}, NOW_NS)

    assert only(sink).name == CALL
    assert refused(adapter) == {"tickers": 2, "ticker": 1}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (body([], code=10001, message="params error: symbol invalid"), CatalogError),
        (body([], code=10006, message="Too many visits!"), RateLimited),
        (body([], code=10018, message="Exceeded the IP Rate Limit."), RateLimited),
        (body([], code=10016, message="Server error."), VenueUnavailable),
        (b"<html>", CatalogError),
        (b'{"retCode":0}', CatalogError),
        (b'{"retMsg":"OK","result":{"list":[]}}', CatalogError),
        (b'{"retCode":0,"result":{"list":{}}}', CatalogError),
        (b"\xff", CatalogError),
    ],
    ids=["params", "user-rate", "ip-rate", "server", "html", "no-result", "no-code", "dict", "utf"],
)
def test_refused_listing_changes_nothing(given: bytes, error: type[Exception]) -> None:
    """The old listing stands until a good one comes."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), assets=("BTC",))
    told = len(sink.events)

    with pytest.raises(error):
        adapter.on_catalog(bodies(adapter, []) | {"BTC.options": given}, NOW_NS)
    assert len(sink.events) == told


def test_listing_without_a_coin_that_lives_is_refused() -> None:
    """An empty list is no news that every option of a coin was withdrawn."""
    sink = Sink()
    adapter = listed(sink, [*chain([60_000]), *chain([2_000], coin="ETH")])

    with pytest.raises(CatalogError, match="ETH"):
        adapter.on_catalog(bodies(adapter, chain([60_000])), NOW_NS)
    assert sink.of(InstrumentsExpired) == []


@pytest.mark.parametrize(
    ("status", "given", "error", "wait_seconds"),
    [
        (403, b"403, access too frequent", RateLimited, 600.0),
        (403, b"The request could not be satisfied (CloudFront)", CatalogError, None),
        (429, b"", RateLimited, 30.0),
        (401, b"", CatalogError, None),
        (500, b"", VenueUnavailable, None),
        (503, b"", VenueUnavailable, None),
    ],
    ids=["too-frequent", "country", "429", "401", "500", "503"],
)
def test_http_status_is_mapped(
    status: int, given: bytes, error: type[Exception], wait_seconds: float | None
) -> None:
    """The ban lasts ten minutes; a country that is not served is none."""
    mapped = make(Sink()).catalog_error(status, given)

    assert type(mapped) is error
    assert getattr(mapped, "wait_seconds", None) == wait_seconds


def test_refresh_keeps_slots_and_tells_only_what_changed() -> None:
    """A withdrawn strike frees its slot, a new one takes it."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000], [NEAR]), assets=("BTC",))
    adapter.on_catalog(bodies(adapter, chain([60_000, 80_000], [NEAR])), NOW_NS + 1)

    (expired,) = sink.of(InstrumentsExpired)
    assert expired.slots == (2, 3)
    event = sink.of(InstrumentsListed)[-1]
    assert event.slots == (2, 3)
    assert [i.strike for i in event.instruments] == [80_000.0, 80_000.0]


def test_changed_terms_are_a_new_instrument() -> None:
    """A new tick size: the old quotes are of another contract; they are asked for anew."""
    sink = Sink()
    adapter = listed(sink, [option_row()], assets=("BTC",))
    chain_1 = started(next(p for p in adapter.connections() if p.connection == "chain-1"))
    row = option_row(priceFilter={"tickSize": "1"})
    adapter.on_catalog(bodies(adapter, [row]), NOW_NS + NANOS_PER_SECOND)

    assert sink.of(InstrumentsListed)[-1].instruments[0].tick_size == 1.0
    (request,) = sent(chain_1)
    assert (request["op"], request["args"]) == ("unsubscribe", [f"tickers.{CALL}"])


def test_options_expire_on_time_without_any_fetch() -> None:
    """And the listing is polled soon after, several times."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), assets=("BTC",))
    near_ns = parse_instant(NEAR)
    protocol = adapter.connections()[-1]
    protocol.on_timeout(near_ns - 1)
    assert sink.of(InstrumentsExpired) == []

    protocol.on_timeout(near_ns)

    (event,) = sink.of(InstrumentsExpired)
    assert event.slots == (0, 1)
    assert adapter.catalog_due_ns <= near_ns + 5 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), near_ns + 6 * NANOS_PER_SECOND)
    assert adapter.catalog_due_ns == near_ns + 21 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), near_ns + 66 * NANOS_PER_SECOND)
    assert adapter.catalog_due_ns == near_ns + 126 * NANOS_PER_SECOND


def test_announced_launch_is_fetched_when_it_comes() -> None:
    """`PreLaunch` rows tell their time."""
    launch_ns = NOW_NS + 20 * NANOS_PER_SECOND
    coming = option_row(
        FAR_CALL, FAR, status="PreLaunch", launchTime=str(launch_ns // NANOS_PER_MILLI)
    )
    adapter = listed(Sink(), [option_row(), coming])

    assert adapter.catalog_due_ns == launch_ns + NANOS_PER_SECOND


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [True]),
        ({"state": "scheduled"}, []),
        ({"state": "completed"}, []),
        ({"product": [1, 2]}, []),
        ({"serviceTypes": [1, 2, 3, 4]}, []),
        ({"env": 2}, []),
        ({"env": "1"}, [True]),
        ({"serviceTypes": "all"}, []),
    ],
)
def test_maintenance_of_option_data_is_told(changes: dict[str, Any], expected: list[bool]) -> None:
    """Others' maintenance is not ours."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies(adapter, [option_row()], (), [ONGOING | changes]), NOW_NS)

    assert [event.maintenance for event in sink.of(VenueState)] == expected


def test_maintenance_is_told_although_the_listing_is_refused() -> None:
    """In a maintenance the venue answers little else."""
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    given = bodies(adapter, [], (), [ONGOING])
    failed = given | {"BTC.options": body([], code=10016, message="Server error.")}

    with pytest.raises(VenueUnavailable):
        adapter.on_catalog(failed, NOW_NS)
    assert [event.maintenance for event in sink.of(VenueState)] == [True]


def test_maintenance_ends_when_it_is_no_longer_told() -> None:
    """A damaged answer ends nothing."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies(adapter, [option_row()], (), [ONGOING]), NOW_NS)
    adapter.on_catalog(bodies(adapter, [option_row()], (), [ONGOING]), NOW_NS)
    adapter.on_catalog(bodies(adapter, [option_row()]) | {"status": b"<html>"}, NOW_NS)
    assert [event.maintenance for event in sink.of(VenueState)] == [True]

    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)

    assert [event.maintenance for event in sink.of(VenueState)] == [True, False]
