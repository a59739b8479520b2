"""Derive's listings: what is taken, what is refused and counted, pages, polling, incidents."""

from math import isnan
from typing import Any

import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NEVER,
    NOW_NS,
    PUT,
    Row,
    bodies,
    chain,
    details,
    error_body,
    expiry_of,
    incidents,
    listed,
    make,
    option_row,
    page,
    running,
)
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.endpoints import LAUNCH_DELAY_NS, LISTING_DELAY_NS, ROLL_SPACING_NS
from volgauge.domain.events import InstrumentsExpired, InstrumentsListed, VenueState
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable

SOON = NOW_NS // NANOS_PER_SECOND + 30


def only(sink: Sink) -> Instrument:
    """The one instrument that was listed."""
    (event,) = sink.of(InstrumentsListed)
    (instrument,) = event.instruments
    return instrument  # type: ignore[no-any-return] # a fake's list


def refused(adapter: DeriveAdapter) -> dict[str, int]:
    """Counted reasons of all connections."""
    return {
        key.removeprefix("rejected.listing_"): count
        for protocol in adapter.connections()
        for key, count in protocol.counts.items()
        if key.startswith("rejected.listing_")
    }


def test_derive_option_becomes_an_instrument() -> None:
    """Every field; expiry and listing are in seconds, a contract is a coin."""
    sink = Sink()
    listed(sink, [option_row()])

    instrument = only(sink)
    assert isnan(instrument.tick_step)
    assert instrument == Instrument(
        venue=Venue("derive"),
        name=CALL,
        asset=Asset("BTC"),
        expiry_ns=expiry_of(CALL),
        strike=60_000.0,
        kind=OptionKind.CALL,
        premium=Premium.QUOTE,
        quote_currency="USDC",
        tick_size=1.0,
        tick_step=instrument.tick_step,
        contract_size=1.0,
        listed_ns=1_782_000_000 * NANOS_PER_SECOND,
    )


@pytest.mark.parametrize(("text", "strike"), [("2.25", 2.25), ("2_25", 2.25)])
def test_derive_strike_may_have_decimals(text: str, strike: float) -> None:
    """Coins of a few dollars."""
    sink = Sink()
    row = option_row(f"XRP-{NEAR}-{text}-C")
    row["option_details"]["strike"] = "2.25"
    listed(sink, [row], assets=())

    assert only(sink).strike == strike


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instrument_type": "perp"}, "kind"),
        ({"option_details": None}, "kind"),
        ({"instrument_name": "BTC-PERP"}, "bad_name"),
        ({"instrument_name": f"BTC-{NEAR}-0-C"}, "bad_name"),
        ({"instrument_name": "BTC-20260231-60000-C"}, "bad_name"),
        ({"instrument_name": f"BTC-{NEAR}-60000-X"}, "bad_name"),
        ({"instrument_name": "BTC-99991231-60000-C"}, "bad_name"),
        ({"instrument_name": PUT}, "contradiction"),
        ({"base_currency": "ETH"}, "contradiction"),
        (details(index="ETH-USD"), "contradiction"),
        (details(strike="61000"), "contradiction"),
        (details(option_type="P"), "contradiction"),
        (details(expiry=expiry_of(FAR_CALL) // NANOS_PER_SECOND), "contradiction"),
        (details(expiry=expiry_of(CALL) // 1_000_000), "contradiction"),
        ({"tick_size": "0"}, "bad_row"),
        ({"quote_currency": ""}, "bad_row"),
        ({"tick_size": "nan"}, "schema"),
        ({"is_active": None}, "schema"),
        ({"instrument_name": None}, "schema"),
        (details(strike="-5"), "schema"),
        ({"scheduled_activation": SOON}, "coming"),
        ({"scheduled_activation": SOON, "is_active": False}, "coming"),
        ({"is_active": False}, "inactive"),
        ({"scheduled_deactivation": NOW_NS // NANOS_PER_SECOND}, "inactive"),
    ],
)
def test_unusable_derive_row_is_refused_with_a_reason(changes: Row, reason: str) -> None:
    """One bad row is one bad row; milliseconds for seconds are seen."""
    sink = Sink()
    adapter = make(sink)
    given = bodies(adapter, [option_row(FAR_CALL)])
    given["BTC.options.1"] = page([option_row() | changes, option_row(FAR_CALL)])
    adapter.on_catalog(given, NOW_NS)

    assert only(sink).name == FAR_CALL
    assert refused(adapter) == {reason: 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"scheduled_activation": 0},
        {"scheduled_activation": 1_700_000_000_000},
        {"scheduled_deactivation": 0, "scheduled_activation": 0},
        {"scheduled_deactivation": NEVER, "scheduled_activation": 0},
        {"base_currency": None, "scheduled_activation": 0},
    ],
)
def test_times_that_are_none_stop_nothing(changes: Row) -> None:
    """Unknown, never, and milliseconds where seconds are due."""
    sink = Sink()
    listed(sink, [option_row() | changes])

    assert only(sink).listed_ns is None


def test_expired_derive_row_is_left_out() -> None:
    """The instant of expiry itself is too late."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies(adapter, [option_row(), option_row(FAR_CALL)]), expiry_of(CALL))

    assert only(sink).name == FAR_CALL
    assert refused(adapter) == {"expired": 1}


def test_requests_name_coins_that_are_asked_for() -> None:
    """Or none, for all; the largest page."""
    query = "expired=false&instrument_type=option&page=1&page_size=1000"

    assert [(r.name, r.path) for r in make(Sink(), assets=("BTC",)).catalog_requests()] == [
        ("incidents", "public/get_live_incidents"),
        ("BTC.options.1", f"public/get_all_instruments?currency=BTC&{query}"),
        ("perpetuals", "public/get_tickers?instrument_type=perp"),
    ]
    assert [(r.name, r.path) for r in make(Sink(), assets=()).catalog_requests()] == [
        ("incidents", "public/get_live_incidents"),
        ("all.options.1", f"public/get_all_instruments?{query}"),
        ("perpetuals", "public/get_tickers?instrument_type=perp"),
    ]


def test_pages_are_asked_for_when_they_are_known() -> None:
    """Nothing is told of a listing of which half is missing."""
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    first = {"incidents": incidents(), "BTC.options.1": page([option_row()], 2, 2)}
    adapter.on_catalog(first, NOW_NS)
    assert sink.of(InstrumentsListed) == []
    assert adapter.catalog_due_ns == NOW_NS
    names = [request.name for request in adapter.catalog_requests()]
    assert names == ["incidents", "BTC.options.1", "BTC.options.2", "perpetuals"]

    adapter.on_catalog(first | {"BTC.options.2": page([option_row(FAR_CALL)], 2, 2)}, NOW_NS)

    (event,) = sink.of(InstrumentsListed)
    assert [i.name for i in event.instruments] == [CALL, FAR_CALL]


def test_fewer_pages_than_before_are_read_once() -> None:
    """Beyond the last page the venue repeats the last one."""
    sink = Sink()
    adapter = make(sink, assets=("BTC",))
    adapter.on_catalog({"BTC.options.1": page([option_row()], 2, 2)}, NOW_NS)
    whole = page([option_row(), option_row(FAR_CALL)])
    adapter.on_catalog({"BTC.options.1": whole, "BTC.options.2": whole}, NOW_NS)

    (event,) = sink.of(InstrumentsListed)
    assert len(event.instruments) == 2
    assert len(adapter.catalog_requests()) == 3


@pytest.mark.parametrize(
    "body",
    [
        page([option_row()], 2),
        page([option_row(), option_row()]),
        page([option_row()], 1, 10**6),
        b"",
        b"[]",
        b'{"id":1}',
        b'{"id":1,"result":[]}',
        error_body(-32602, "Invalid params"),
    ],
    ids=["fewer", "twice", "pages", "empty", "list", "no-result", "old-shape", "refused"],
)
def test_listing_that_is_not_whole_changes_nothing(body: bytes) -> None:
    """What was listed stays as it was."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), assets=("BTC",))
    before = list(sink.events)

    with pytest.raises(CatalogError):
        adapter.on_catalog({"incidents": incidents(), "BTC.options.1": body}, NOW_NS + 1)
    assert sink.events == before


def test_missing_body_is_a_catalog_error() -> None:
    """The shell did not fetch what was asked for."""
    with pytest.raises(CatalogError, match="no such body"):
        make(Sink()).on_catalog({"incidents": incidents()}, NOW_NS)


def test_coin_that_the_venue_does_not_know_costs_the_others_nothing() -> None:
    """12002, and the others are listed."""
    sink = Sink()
    adapter = make(sink, assets=("BTC", "NONE"))
    given = bodies(adapter, [option_row()])
    given["NONE.options.1"] = error_body(12002, "Currency not found")
    adapter.on_catalog(given, NOW_NS)

    assert only(sink).name == CALL
    assert refused(adapter) == {"currency": 1}


def test_coin_that_we_hold_must_be_answered() -> None:
    """A refusal of it is no listing."""
    adapter = listed(Sink(), [option_row(), option_row(f"ETH-{NEAR}-3000-C")])
    given = bodies(adapter, [option_row()])
    given["ETH.options.1"] = error_body(12002, "Currency not found")

    with pytest.raises(CatalogError, match="12002"):
        adapter.on_catalog(given, NOW_NS)


def test_asset_without_options_of_a_sudden_is_no_listing() -> None:
    """An empty list while options live."""
    adapter = listed(Sink(), [option_row(), option_row(f"ETH-{NEAR}-3000-C")])

    with pytest.raises(CatalogError, match="expected options of ETH"):
        adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)


def test_new_derive_listing_tells_only_changes() -> None:
    """What came, what went, and what has new terms; the rest keeps its slot."""
    sink = Sink()
    rows = chain([60_000, 70_000], [NEAR])
    adapter = listed(sink, rows)
    changed = [rows[0], rows[1] | {"tick_size": "2"}, rows[3], option_row(FAR_CALL)]
    adapter.on_catalog(bodies(adapter, changed), NOW_NS + 1)
    adapter.on_catalog(bodies(adapter, changed), NOW_NS + 2)

    (gone,) = sink.of(InstrumentsExpired)
    first, then = sink.of(InstrumentsListed)
    assert first.slots == (0, 1, 2, 3)
    assert gone.slots == (1, 2)
    assert [(slot, i.name) for slot, i in zip(then.slots, then.instruments, strict=True)] == [
        (1, PUT), (2, FAR_CALL),
    ]  # fmt: skip


def test_derive_listing_is_polled_every_minute() -> None:
    """And soon after an expiry, several times."""
    adapter = listed(Sink(), chain([60_000]))
    assert adapter.catalog_due_ns == NOW_NS + NANOS_PER_MINUTE

    before_ns = expiry_of(CALL) - 10 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([60_000])), before_ns)
    assert adapter.catalog_due_ns == expiry_of(CALL) + LISTING_DELAY_NS

    due_ns = adapter.catalog_due_ns
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), due_ns)
    assert adapter.catalog_due_ns == due_ns + ROLL_SPACING_NS
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), due_ns + NANOS_PER_MINUTE)
    assert adapter.catalog_due_ns == due_ns + 2 * NANOS_PER_MINUTE


def test_announced_option_is_fetched_when_it_is_launched() -> None:
    """`scheduled_activation` in the future."""
    adapter = listed(Sink(), [option_row(), option_row(FAR_CALL, scheduled_activation=SOON)])

    assert adapter.catalog_due_ns == SOON * NANOS_PER_SECOND + LAUNCH_DELAY_NS


def test_expired_derive_options_go_at_the_instant() -> None:
    """No answer of the REST interface is needed; the channels go with them."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), reconnect_after_seconds=1e9)
    hot, _ = adapter.connections()
    running(hot)
    hot.on_timeout(expiry_of(CALL) - 1)
    assert sink.of(InstrumentsExpired) == []
    hot.frames_to_send()
    hot.disconnected(expiry_of(CALL) - 1, "test")
    running(hot, expiry_of(CALL) - 1)
    hot.on_timeout(expiry_of(CALL))

    (gone,) = sink.of(InstrumentsExpired)
    assert gone.slots == (0, 1)
    assert adapter.catalog_due_ns <= expiry_of(CALL) + LISTING_DELAY_NS


def test_severe_incident_is_a_maintenance_until_it_is_gone() -> None:
    """Lesser ones are not; what is unknown changes nothing."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    given = bodies(adapter, [option_row()])
    told: list[Any] = []
    for step, text in enumerate(
        [incidents("low", "medium"), incidents("high"), b"?", incidents("low", "high"), incidents()]
    ):
        adapter.on_catalog(given | {"incidents": text}, NOW_NS + step)
        told.append([(e.maintenance, e.asset) for e in sink.of(VenueState)])

    on, off = (True, None), (False, None)
    assert told == [[], [on], [on], [on], [on, off]]
    assert refused(adapter) == {"incidents": 1}


def test_maintenance_is_told_though_the_listing_is_refused() -> None:
    """During one the other bodies may be anything."""
    sink = Sink()
    adapter = listed(sink, [option_row()])

    with pytest.raises(VenueUnavailable):
        adapter.on_catalog(
            {"incidents": incidents("high"), "BTC.options.1": error_body(-32603, "Internal error")},
            NOW_NS,
        )
    assert [event.maintenance for event in sink.of(VenueState)] == [True]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"", RateLimited),
        (429, error_body(-32000, "Rate limit exceeded"), RateLimited),
        (400, error_body(-32000, "Rate limit exceeded"), RateLimited),
        (400, error_body(-32602, "Invalid params"), CatalogError),
        (500, error_body(-32603, "Internal error"), VenueUnavailable),
        (502, b"<html>", VenueUnavailable),
        (403, b"<html>", CatalogError),
    ],
)
def test_refused_derive_request(status: int, body: bytes, kind: type[Exception]) -> None:
    """The body says more than the status, where it is the venue's."""
    assert type(make(Sink()).catalog_error(status, body)) is kind


def test_refusal_with_http_200() -> None:
    """The code in the body counts."""
    adapter = make(Sink(), assets=("BTC",))

    with pytest.raises(RateLimited):
        adapter.on_catalog({"BTC.options.1": error_body(-32000, "Rate limit exceeded")}, NOW_NS)
