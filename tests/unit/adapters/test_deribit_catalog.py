"""Listings: what is taken, which slots it gets, what is refused and counted."""

from math import inf, isnan

import pytest

from fakes.deribit_lab import (
    FAR,
    NEAR,
    NOW_NS,
    Sink,
    bodies,
    body,
    chain,
    days,
    future_row,
    listed,
    make,
    option_row,
    pulse,
    sent,
    settle,
)
from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.domain.events import InstrumentsExpired, InstrumentsListed, OpenInterest
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable


def only(sink: Sink) -> Instrument:
    """The one instrument that was listed."""
    (event,) = sink.of(InstrumentsListed)
    (instrument,) = event.instruments
    return instrument  # type: ignore[no-any-return] # a fake's list


def refused(adapter: DeribitAdapter) -> dict[str, int]:
    """Counted reasons of all connections."""
    return {
        key.removeprefix("rejected.listing_"): count
        for protocol in adapter.connections()
        for key, count in protocol.counts.items()
        if key.startswith("rejected.listing_")
    }


def test_inverse_option_becomes_an_instrument() -> None:
    """Every field, from the row of the venue."""
    sink = Sink()
    listed(sink, [option_row()])

    assert only(sink) == Instrument(
        venue=Venue("deribit"),
        name="BTC-31JUL26-60000-C",
        asset=Asset("BTC"),
        expiry_ns=parse_instant(NEAR),
        strike=60_000.0,
        kind=OptionKind.CALL,
        premium=Premium.COIN,
        quote_currency="USD",
        tick_size=0.0001,
        tick_above=0.005,
        tick_step=0.0005,
        contract_size=1.0,
        listed_ns=1_782_000_000_000 * 1_000_000,
    )


def test_linear_option_has_a_decimal_strike_and_one_tick() -> None:
    """`0d95` is 0.95; sizes on the wire are in the coin already, whatever the contract size."""
    sink = Sink()
    row = option_row("XRP_USDC-31JUL26-0d95-P", NEAR, 0.95, "XRP", contract_size=1_000)
    listed(sink, [row], assets=())

    instrument = only(sink)
    assert instrument.strike == 0.95
    assert instrument.kind is OptionKind.PUT
    assert instrument.premium is Premium.QUOTE
    assert instrument.quote_currency == "USDC"
    assert (instrument.tick_size, instrument.tick_above) == (0.0005, inf)
    assert isnan(instrument.tick_step)
    assert instrument.contract_size == 1.0


def test_row_of_2021_without_type_state_and_index_is_read() -> None:
    """Old bodies have half of the keys."""
    sink = Sink()
    row = option_row()
    for key in ("instrument_type", "state", "price_index", "counter_currency", "tick_size_steps"):
        del row[key]
    listed(sink, [row])

    assert only(sink).premium is Premium.COIN
    assert only(sink).quote_currency == "USD"


def test_linear_twin_of_an_inverse_book_is_a_book_too() -> None:
    """BTC_USDC options are paid in USDC: the same strike, another premium and another book."""
    sink = Sink()
    adapter = listed(
        sink, [option_row(), option_row("BTC_USDC-31JUL26-60000-C", NEAR, 60_000.0)], assets=()
    )

    (event,) = sink.of(InstrumentsListed)
    assert [(i.asset, i.quote_currency, i.premium) for i in event.instruments] == [
        (Asset("BTC"), "USD", Premium.COIN),
        (Asset("BTC"), "USDC", Premium.QUOTE),
    ]
    assert refused(adapter) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"expiration_timestamp": 1_600_000_000_000}, "expired"),
        ({"is_active": False}, "inactive"),
        ({"state": "settlement"}, "inactive"),
        ({"state": "delivered"}, "inactive"),
        ({"kind": "option_combo"}, "combo"),
        ({"strike": None}, "bad_row"),
        ({"strike": 0.0}, "bad_row"),
        ({"strike": -5.0}, "bad_row"),
        ({"tick_size": 0.0}, "bad_row"),
        ({"tick_size_steps": [{"above_price": 0.005, "tick_size": -1.0}]}, "bad_row"),
        ({"option_type": "straddle"}, "bad_row"),
        ({"expiration_timestamp": 99_999_999_999_999}, "bad_row"),
        ({"strike": "60000"}, "schema"),
        ({"expiration_timestamp": None}, "schema"),
        ({"instrument_name": 7}, "schema"),
    ],
)
def test_row_that_is_not_for_us_is_counted(changes: dict[str, object], reason: str) -> None:
    """One bad row is one bad row; the rest of the body is read."""
    sink = Sink()
    adapter = make(sink)
    rows = [option_row(), option_row("BTC-31JUL26-70000-C", NEAR, 70_000.0)]
    given = bodies(adapter, rows)
    given["BTC.option"] = body([rows[0], rows[1] | changes])
    adapter.on_catalog(given, NOW_NS)

    assert only(sink).name == "BTC-31JUL26-60000-C"
    assert refused(adapter) == {reason: 1}


def test_perpetual_is_no_dated_future() -> None:
    """It says nothing about an expiry."""
    adapter = listed(
        Sink(), [option_row(), future_row("BTC-PERPETUAL", "3000-01-01T08:00:00Z")], assets=()
    )

    assert refused(adapter) == {"perpetual": 1}


def test_assets_filter_asks_for_their_currencies_only() -> None:
    """The linear options of every coin are listed under USDC."""

    def currencies(*assets: str) -> set[str]:
        adapter = make(Sink(), assets=tuple(Asset(asset) for asset in assets))
        return {request.name.partition(".")[0] for request in adapter.catalog_requests()}

    assert currencies() == {"BTC", "ETH", "USDC"}
    assert currencies("BTC") == {"BTC", "USDC"}
    assert currencies("BTC", "SOL") == {"BTC", "USDC"}
    assert currencies("SOL") == {"USDC"}


def test_slots_are_dense_and_in_the_order_of_the_contracts() -> None:
    """Whatever the order of the rows: the same listing, the same slots."""
    rows = chain([50_000, 60_000])
    ways = []
    for given in (rows, rows[::-1]):
        sink = Sink()
        listed(sink, given)
        (event,) = sink.of(InstrumentsListed)
        ways.append((event.slots, [instrument.name for instrument in event.instruments]))

    assert ways[0] == ways[1]
    assert ways[0][0] == tuple(range(8))
    assert ways[0][1][:3] == ["BTC-31JUL26-50000-C", "BTC-31JUL26-50000-P", "BTC-31JUL26-60000-C"]


def test_freed_slots_are_used_again_lowest_first() -> None:
    """What went is told first, then what came in its place."""
    sink = Sink()
    adapter = listed(sink, chain([50_000, 60_000], [NEAR]))
    sink.events.clear()
    adapter.on_catalog(bodies(adapter, chain([60_000, 70_000, 80_000], [NEAR])), NOW_NS)

    expired, came = sink.events
    assert isinstance(expired, InstrumentsExpired)
    assert expired.slots == (0, 1)
    assert isinstance(came, InstrumentsListed)
    assert came.slots == (0, 1, 4, 5)
    assert [instrument.strike for instrument in came.instruments] == [7e4, 7e4, 8e4, 8e4]


def test_unchanged_listing_says_nothing_but_open_interest() -> None:
    """A refresh a minute must not disturb the book."""
    sink = Sink()
    adapter = listed(sink, chain([50_000]))
    sink.events.clear()
    summaries: list[dict[str, object]] = [
        {"instrument_name": "BTC-31JUL26-50000-P", "open_interest": 18.6},
        {"instrument_name": "BTC-31JUL26-50000-C", "open_interest": 0.0},
        {"instrument_name": "BTC-25DEC26-50000-C", "open_interest": None},
        {"instrument_name": "BTC-25DEC26-99000-C", "open_interest": 4.0},
    ]
    adapter.on_catalog(bodies(adapter, chain([50_000]), summaries), NOW_NS + 1)

    (event,) = sink.events
    assert isinstance(event, OpenInterest)
    assert (event.slots, event.amounts) == ((0, 1), (0.0, 18.6))


def test_changed_terms_list_the_contract_anew_and_renew_its_quote() -> None:
    """A new tick rule: gone, listed, unsubscribed, subscribed, so that the quote comes again."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    now_ns = settle(hot, NOW_NS)
    sink.events.clear()
    adapter.on_catalog(bodies(adapter, [option_row(tick_size=0.0002)]), now_ns + days(0.001))

    (dropped,) = sent(hot, "public/unsubscribe")
    assert dropped["params"] == {"channels": ["quote.BTC-31JUL26-60000-C"]}
    assert len(sink.of(InstrumentsExpired)) == 1
    assert only(sink).tick_size == 0.0002


def test_everything_expires_at_its_instant_without_a_catalog() -> None:
    """08:00 UTC and the REST interface is away: the options are gone all the same."""
    sink = Sink()
    adapter = listed(sink, chain([50_000]))
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    sink.events.clear()
    expiry_ns = parse_instant(NEAR)
    hot.receive(pulse(), expiry_ns - 1)
    hot.on_timeout(expiry_ns - 1)
    assert not sink.of(InstrumentsExpired)
    assert hot.next_timeout_ns == expiry_ns

    hot.on_timeout(expiry_ns)

    (event,) = sink.of(InstrumentsExpired)
    assert event.slots == (0, 1)


def test_catalog_is_due_after_a_minute_or_after_the_next_expiry() -> None:
    """A second past 08:00 the successors can be asked for."""
    adapter = make(Sink())
    assert adapter.catalog_due_ns == 0

    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)
    assert adapter.catalog_due_ns == NOW_NS + 60 * NANOS_PER_SECOND

    late_ns = parse_instant(NEAR) - 10 * NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, [option_row()]), late_ns)
    assert adapter.catalog_due_ns == late_ns + 11 * NANOS_PER_SECOND


@pytest.mark.parametrize(
    "bad",
    [b"", b"<html>", b"[]", b'{"result":{}}', b'{"error":{"code":11051,"message":"x"}}', b"{" * 9],
    ids=["empty", "html", "list", "object", "error", "cut"],
)
def test_unreadable_body_changes_nothing(bad: bytes) -> None:
    """The old listing stays in use."""
    sink = Sink()
    adapter = listed(sink, chain([50_000]))
    due_ns, before = adapter.catalog_due_ns, list(sink.events)
    given = bodies(adapter, chain([60_000])) | {"BTC.option": bad}

    with pytest.raises(CatalogError, match=r"BTC\.option"):
        adapter.on_catalog(given, NOW_NS + 1)

    assert sink.events == before
    assert adapter.catalog_due_ns == due_ns


def test_missing_body_changes_nothing() -> None:
    """All of the requests belong to one catalog."""
    adapter = make(Sink())
    given = bodies(adapter, [option_row()])
    del given["BTC.future"]

    with pytest.raises(CatalogError, match=r"BTC\.future"):
        adapter.on_catalog(given, NOW_NS)


def test_asset_does_not_vanish_by_an_empty_body() -> None:
    """No options of BTC while they have not expired: that is no listing."""
    sink = Sink()
    adapter = listed(sink, [*chain([50_000]), *chain([3_000], [NEAR], "ETH")])
    before = list(sink.events)

    with pytest.raises(CatalogError, match="BTC"):
        adapter.on_catalog(bodies(adapter, chain([3_000], [NEAR], "ETH")), NOW_NS + 1)

    assert sink.events == before


def test_options_that_all_expired_may_be_gone() -> None:
    """The last expiry of a discontinued coin."""
    sink = Sink()
    adapter = listed(sink, [*chain([50_000], [FAR]), *chain([3_000], [NEAR], "ETH")])

    later_ns = parse_instant(NEAR) + NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([50_000], [FAR])), later_ns)

    assert len(sink.of(InstrumentsExpired)) == 1


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (429, b"", RateLimited),
        (503, b"<html>", VenueUnavailable),
        (400, b'{"error":{"code":10028,"message":"too_many_requests"}}', RateLimited),
        (400, b'{"error":{"code":11051,"message":"system_maintenance"}}', VenueUnavailable),
        (400, b'{"error":{"code":-32602,"message":"Invalid params"}}', CatalogError),
        (404, b"", CatalogError),
    ],
)
def test_refused_request_is_a_typed_error(status: int, text: bytes, kind: type) -> None:
    """HTTP status and the venue's own code."""
    assert isinstance(make(Sink()).catalog_error(status, text), kind)
