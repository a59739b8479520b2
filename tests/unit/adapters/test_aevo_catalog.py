"""Aevo's listing: what is taken, what is refused and counted, when it is asked for."""

import json
from typing import Any

import pytest

from fakes.aevo_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
    PUT,
    bodies,
    books,
    chain,
    expiry_of,
    index,
    listed,
    make,
    option_row,
    perpetual,
    row,
    running,
    sent,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.endpoints import LISTING_DELAY_NS, ROLL_SPACING_NS, WAKE_DELAY_NS
from volgauge.domain.events import InstrumentsExpired, InstrumentsListed, PerpetualState
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable


def refused(adapter: AevoAdapter) -> dict[str, int]:
    """Counted reasons."""
    (protocol,) = adapter.connections()
    return {
        key.removeprefix("rejected.listing_"): count
        for key, count in protocol.counts.items()
        if key.startswith("rejected.listing_")
    }


def names(sink: Sink) -> list[str]:
    """What was listed, in the order of the slots."""
    return [i.name for e in sink.of(InstrumentsListed) for i in e.instruments]


def test_aevo_option_becomes_an_instrument() -> None:
    """Every field; the expiry is in nanoseconds, a contract is a coin."""
    sink = Sink()
    listed(sink, [option_row(PUT)])

    (event,) = sink.of(InstrumentsListed)
    assert event.slots == (0,)
    assert event.instruments == (
        Instrument(
            venue=Venue("aevo"),
            name=PUT,
            asset=Asset("BTC"),
            expiry_ns=expiry_of(PUT),
            strike=60_000.0,
            kind=OptionKind.PUT,
            premium=Premium.QUOTE,
            quote_currency="USDC",
            tick_size=0.5,
            contract_size=1.0,
        ),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instrument_type": "PERPETUAL"}, "kind"),
        ({"instrument_name": "BTC-PERP"}, "bad_name"),
        ({"instrument_name": "BTC-31FEB26-60000-C"}, "bad_name"),
        ({"instrument_name": "BTC-31JUI26-60000-C"}, "bad_name"),
        ({"instrument_name": "BTC-31JUL26-0-C"}, "bad_name"),
        ({"underlying_asset": "ETH"}, "contradiction"),
        ({"option_type": "put"}, "contradiction"),
        ({"option_type": "straddle"}, "contradiction"),
        ({"strike": "60001"}, "contradiction"),
        ({"expiry": str(expiry_of(FAR_CALL))}, "contradiction"),
        ({"expiry": str(expiry_of(CALL) // 1_000_000)}, "contradiction"),
        ({"price_step": "0"}, "bad_row"),
        ({"quote_asset": ""}, "bad_row"),
        ({"is_active": False}, "inactive"),
        ({"is_active": "yes"}, "schema"),
        ({"price_step": "x"}, "schema"),
        ({"expiry": "-1"}, "schema"),
    ],
)
def test_aevo_row_that_is_not_for_us_has_a_reason(changes: dict[str, Any], reason: str) -> None:
    """Counted; the others are listed."""
    sink = Sink()
    adapter = listed(sink, [option_row() | changes, option_row(PUT)])

    assert names(sink) == [PUT]
    assert refused(adapter) == {reason: 1}


def test_expired_aevo_row_is_refused() -> None:
    """The venue may list it a little longer."""
    sink = Sink()
    adapter = listed(sink, [option_row("BTC-1JUL26-60000-C"), option_row()])

    assert names(sink) == [CALL]
    assert refused(adapter) == {"expired": 1}


@pytest.mark.parametrize(
    ("name", "strike"),
    [
        ("BTC-4SEP26-60000-C", 60_000.0),
        ("BTC-04SEP26-60000-C", 60_000.0),
        ("XRP-4SEP26-0.5-P", 0.5),
    ],
)
def test_days_and_strikes_in_their_spellings(name: str, strike: float) -> None:
    """One digit of a day or two, and a decimal point."""
    sink = Sink()
    listed(sink, [option_row(name, expiry=str(expiry_of(name)))], assets=())

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.name, instrument.strike) == (name, strike)
    assert instrument.expiry_ns == expiry_of("BTC-04SEP26-1-C")


def test_aevo_assets_are_chosen_or_discovered() -> None:
    """One body has them all; none named takes all."""
    rows = [option_row(), option_row(f"ETH-{FAR}-3000-C"), option_row(f"SOL-{FAR}-150-P")]
    for assets, expected in ((("BTC", "ETH"), 2), ((), 3), (("SOL",), 1), (("DOGE",), 0)):
        sink = Sink()
        adapter = listed(sink, rows, assets=assets)
        assert len(names(sink)) == expected
        assert refused(adapter).get("asset", 0) == 3 - expected
        assert [request.path for request in adapter.catalog_requests()] == [
            "markets?instrument_type=OPTION", "coingecko-statistics",
        ]  # fmt: skip


def test_slots_are_dense_and_the_lowest_is_free_first() -> None:
    """What goes makes room for what comes."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000], [NEAR]))
    adapter.on_catalog(bodies(chain([70_000, 80_000], [NEAR])), NOW_NS + 1)

    assert [event.slots for event in sink.of(InstrumentsExpired)] == [(0, 1)]
    assert [event.slots for event in sink.of(InstrumentsListed)] == [(0, 1, 2, 3), (0, 1)]
    assert names(sink)[-2:] == ["BTC-31JUL26-80000-C", "BTC-31JUL26-80000-P"]


def test_changed_terms_are_a_new_listing_and_the_tops_are_asked_for_anew() -> None:
    """The slot is freed and taken again, and holds nothing."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(f"ETH-{FAR}-3000-C")])
    protocol = running(adapter)
    protocol.receive(books(), NOW_NS)
    changed = [option_row(price_step="1"), option_row(f"ETH-{FAR}-3000-C")]
    adapter.on_catalog(bodies(changed), NOW_NS + 1)
    requests = sent(protocol)

    assert [event.slots for event in sink.of(InstrumentsExpired)] == [(0,)]
    assert sink.of(InstrumentsListed)[-1].instruments[0].tick_size == 1.0
    assert [(r["op"], r["data"]) for r in requests] == [("unsubscribe", ["book-ticker:BTC:OPTION"])]


def test_aevo_listing_that_lost_an_asset_is_none() -> None:
    """All of a coin's options at once: nothing has changed then."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(f"ETH-{FAR}-3000-C")])
    for rows in ([option_row()], []):
        with pytest.raises(CatalogError, match="expected options of"):
            adapter.on_catalog(bodies(rows), NOW_NS + 1)

    assert sink.of(InstrumentsExpired) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"error":"INTERNAL_ERROR"}', b"null", b"\xff"])
def test_body_that_is_no_listing_changes_nothing(body: bytes) -> None:
    """Nor does a missing one."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    with pytest.raises(CatalogError):
        adapter.on_catalog(bodies([]) | {"options": body}, NOW_NS)
    with pytest.raises(CatalogError, match="no such body"):
        adapter.on_catalog({}, NOW_NS)

    assert len(sink.of(InstrumentsListed)) == 1


@pytest.mark.parametrize(
    ("status", "body", "error", "wait"),
    [
        (429, b'{"error":"RATE_LIMIT_EXCEEDED","retry_after":"4406000000"}', RateLimited, 4.406),
        (429, b"slow down", RateLimited, 30.0),
        (500, b'{"error":"INTERNAL_ERROR"}', VenueUnavailable, None),
        (400, b'{"error":"MAINTENANCE_MODE_ENABLED"}', VenueUnavailable, None),
        (503, b"", VenueUnavailable, None),
        (400, b'{"error":"ERR_MALFORMED_REQUEST"}', CatalogError, None),
        (404, b"{}", CatalogError, None),
    ],
)
def test_refused_aevo_request(
    status: int, body: bytes, error: type[Exception], wait: float | None
) -> None:
    """By the venue's words where there are some, else by the status."""
    found = make(Sink()).catalog_error(status, body)

    assert type(found) is error
    assert getattr(found, "wait_seconds", None) == wait


def test_listing_is_due_every_minute_and_after_an_expiry() -> None:
    """No channel tells of new options."""
    sink = Sink()
    adapter = listed(sink, [option_row("BTC-2JUL26-60000-C"), option_row()])
    assert adapter.catalog_due_ns == NOW_NS + NANOS_PER_MINUTE

    expiry_ns = expiry_of("BTC-2JUL26-60000-C")
    protocol = running(adapter)
    protocol.receive(index(), expiry_ns)
    assert sink.of(InstrumentsExpired) == []
    protocol.on_timeout(expiry_ns)
    assert [event.slots for event in sink.of(InstrumentsExpired)] == [(0,)]
    adapter.catalog_due_ns = expiry_ns + NANOS_PER_MINUTE
    adapter.on_catalog(bodies([option_row()]), expiry_ns + LISTING_DELAY_NS)

    assert adapter.catalog_due_ns == expiry_ns + LISTING_DELAY_NS + ROLL_SPACING_NS
    adapter.on_catalog(bodies([option_row()]), expiry_ns + NANOS_PER_MINUTE)
    assert adapter.catalog_due_ns == expiry_ns + 2 * NANOS_PER_MINUTE


def test_expiry_that_only_the_listing_showed_is_a_roll_too() -> None:
    """The connection may have been down at 08:00."""
    adapter = listed(Sink(), [option_row("BTC-2JUL26-60000-C"), option_row()])
    after_ns = expiry_of("BTC-2JUL26-60000-C") + NANOS_PER_SECOND
    adapter.on_catalog(bodies([option_row()]), after_ns)

    assert adapter.catalog_due_ns == after_ns + ROLL_SPACING_NS


def test_unknown_option_wakes_the_catalog() -> None:
    """Soon, but four times a minute at most; not for what has expired or was refused."""
    adapter = listed(Sink(), [option_row(), option_row(PUT, is_active=False)])
    protocol = running(adapter)
    late_ns = NOW_NS + 2 * NANOS_PER_MINUTE
    adapter.catalog_due_ns = far_ns = late_ns + NANOS_PER_MINUTE
    for name in (PUT, "BTC-1JUL26-60000-C", "BTC-PERP"):
        protocol.receive(books(row(name)), late_ns)
    assert adapter.catalog_due_ns == far_ns

    protocol.receive(books(row(FAR_CALL)), late_ns)
    assert adapter.catalog_due_ns == late_ns + WAKE_DELAY_NS
    adapter.on_catalog(bodies([option_row()]), late_ns + WAKE_DELAY_NS)
    protocol.receive(books(row(FAR_CALL)), late_ns + WAKE_DELAY_NS + 1)
    assert adapter.catalog_due_ns == late_ns + WAKE_DELAY_NS + ROLL_SPACING_NS


def test_perpetuals_of_listed_coins_are_told() -> None:
    """An hour's funding times eight; open interest in USDC over the index."""
    sink = Sink()
    adapter = make(sink)
    told = [perpetual("ETH"), perpetual(), {"ticker_id": 5}, perpetual("DOGE")]
    adapter.on_catalog(bodies([option_row()], told), NOW_NS)

    (state,) = sink.of(PerpetualState)
    assert (state.asset, state.quote_currency) == ("BTC", "USDC")
    assert state.funding_rate == pytest.approx(0.0001, rel=1e-12)
    assert state.open_interest == pytest.approx(100.0, rel=1e-12)
    (protocol,) = adapter.connections()
    assert protocol.counts == {"rejected.perpetual_row": 1}


def test_listing_does_without_the_perpetuals() -> None:
    """Counted as missing."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog({"options": json.dumps([option_row()]).encode()}, NOW_NS)

    (protocol,) = adapter.connections()
    assert protocol.counts == {"missing.perpetual": 1}
    assert names(sink) == [CALL]


def test_aevo_listing_read_ahead_is_the_same_listing() -> None:
    """In pieces that change nothing; an option that expires meanwhile is not listed."""
    rows = [*chain(range(20_000, 60_000, 200)), option_row("BTC-2JUL26-60000-C"), {"x": 1}]
    given = bodies(rows)
    expiry_ns = expiry_of("BTC-2JUL26-60000-C")
    sinks = Sink(), Sink()
    for sink, reads_ahead in zip(sinks, (False, True), strict=True):
        adapter = make(sink)
        if reads_ahead:
            pieces = sum(1 for _ in adapter.read_ahead(given, NOW_NS))
            assert pieces > 10
            assert sink.events == []
        adapter.on_catalog(given, expiry_ns)
        assert refused(adapter) == {"expired": 1, "schema": 1}

    assert sinks[0].events == sinks[1].events
    assert list(make(Sink()).read_ahead({}, NOW_NS)) == []
    assert list(make(Sink()).read_ahead({"options": b"{}"}, NOW_NS)) == []
