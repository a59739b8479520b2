"""Delta's listing: rows to options, pages, roll, what wakes it."""

import pytest

from fakes.delta_lab import (
    CALL,
    FAR_CALL,
    NOW_NS,
    PUT,
    Row,
    bodies,
    body,
    chain,
    expiry_of,
    frame,
    listed,
    make,
    option_row,
    perpetual,
    perpetual_row,
    refusal_body,
    running,
    settings_body,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.delta.endpoints import LISTING_DELAY_NS, ROLL_SPACING_NS
from volgauge.domain.events import (
    Gap,
    InstrumentsExpired,
    InstrumentsListed,
    PerpetualState,
    VenueState,
)
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND, parse_instant
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable

TODAY = "C-BTC-60000-010726"
"""Expires two hours after `NOW_NS`."""


def refused(**changes: object) -> dict[str, int]:
    """What is counted of a row with something changed."""
    sink = Sink()
    adapter = make(sink, assets=())
    adapter.on_catalog(bodies([option_row() | changes]), NOW_NS)
    assert sink.of(InstrumentsListed) == []
    return dict(adapter.connections()[-1].counts)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"contract_type": "move_options"}, "kind"),
        ({"notional_type": "inverse"}, "kind"),
        ({"is_quanto": True}, "kind"),
        ({"symbol": "C-BTC-60000-310799x"}, "bad_name"),
        ({"symbol": "C-BTC-60000-320726"}, "bad_name"),
        ({"symbol": "BTC-31JUL26-60000-C"}, "bad_name"),
        ({"contract_type": "put_options"}, "contradiction"),
        ({"strike_price": "61000"}, "contradiction"),
        ({"strike_price": None}, "contradiction"),
        ({"underlying_asset": {"symbol": "ETH"}}, "contradiction"),
        ({"contract_unit_currency": "USDT"}, "contradiction"),
        ({"settling_asset": {"symbol": "BTC"}}, "contradiction"),
        ({"settlement_time": "2026-08-01T12:00:00Z"}, "contradiction"),
        ({"settlement_time": "1785499200"}, "contradiction"),
        ({"settlement_time": None}, "contradiction"),
        ({"tick_size": "0"}, "bad_row"),
        ({"contract_value": "0"}, "bad_row"),
        ({"quoting_asset": {"symbol": ""}, "settling_asset": {"symbol": ""}}, "bad_row"),
        ({"symbol": "C-BTC-60000-300626", "settlement_time": "2026-06-30T12:00:00Z"}, "expired"),
        ({"launch_time": "2026-07-01T10:00:01Z"}, "coming"),
        ({"state": "upcoming"}, "coming"),
        ({"state": "expired"}, "inactive"),
        ({"trading_status": ""}, "unknown_status"),
        ({"trading_status": "disrupted_post_only"}, "disrupted"),
        ({"contract_value": "-1"}, "schema"),
        ({"tick_size": "nan"}, "schema"),
        ({"symbol": 7}, "schema"),
    ],
)
def test_delta_row_that_is_not_for_us_has_a_reason(changes: Row, reason: str) -> None:
    """One reason each; nothing is listed."""
    assert refused(**changes) == {f"rejected.listing_{reason}": 1}


def test_delta_expiry_is_the_fields_instant() -> None:
    """Noon by the name; but where the field has another hour of that day, that one."""
    sink = Sink()
    listed(sink, [option_row(), option_row(PUT, settlement_time="2026-07-31T11:30:00Z")])

    call, put = sorted(sink.of(InstrumentsListed)[0].instruments, key=lambda i: i.name)
    assert call.expiry_ns == expiry_of(CALL) == parse_instant("2026-07-31T12:00:00Z")
    assert put.expiry_ns == call.expiry_ns - NANOS_PER_HOUR // 2


def test_india_lists_in_dollars() -> None:
    """The quote currency is the row's, so its options are a book of their own."""
    usd = {"symbol": "USD"}
    sink = Sink()
    listed(sink, [option_row(quoting_asset=usd, settling_asset=usd)])

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.book.asset, instrument.book.quote_currency) == ("BTC", "USD")


def test_other_assets_are_left_out() -> None:
    """As the settings say."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row("C-SOL-150-310726")], assets=("BTC",))

    assert [i.asset for i in sink.of(InstrumentsListed)[0].instruments] == ["BTC"]
    assert adapter.connections()[-1].counts == {"rejected.listing_asset": 1}


def test_delta_pages_are_fetched_before_anything_is_told() -> None:
    """The cursor of a page is asked for alone, percent-encoded; then the listing is whole."""
    sink = Sink()
    adapter = make(sink)
    first = {"products": body([option_row()], "g3=/&"), "perpetuals": body([perpetual()])}
    adapter.on_catalog(first, NOW_NS)
    assert (sink.events, adapter.catalog_due_ns) == ([], NOW_NS)
    (request,) = adapter.catalog_requests()
    assert request.path.endswith("&after=g3%3D%2F%26")
    rest = {"products": body([option_row(PUT), perpetual_row()])}
    adapter.on_catalog(rest, NOW_NS + 1)

    assert {i.name for i in sink.of(InstrumentsListed)[0].instruments} == {CALL, PUT}
    assert len(sink.of(PerpetualState)) == 1
    names = [r.name for r in adapter.catalog_requests()]
    assert names == ["products", "settings", "perpetuals"]


def test_failed_delta_page_begins_anew() -> None:
    """What came before it is worth nothing."""
    adapter = make(Sink())
    adapter.on_catalog({"products": body([option_row()], "next")}, NOW_NS)
    with pytest.raises(CatalogError):
        adapter.on_catalog({"products": refusal_body()}, NOW_NS)

    assert len(adapter.catalog_requests()) == 3


def test_endless_delta_pages_are_refused() -> None:
    """A cursor that always names another one."""
    adapter = make(Sink())
    given = {"products": body([option_row()], "again")}
    for _ in range(19):
        adapter.on_catalog(given, NOW_NS)

    with pytest.raises(CatalogError, match="more than 20 pages"):
        adapter.on_catalog(given, NOW_NS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no such body"),
        ({"products": b"<html>"}, "products"),
        ({"products": b'{"result": {}}'}, "Expected `array"),
        ({"products": refusal_body("not_found")}, "refused, not_found"),
        ({"products": b'{"success": false, "error": "odd"}'}, "refused, odd"),
        ({"products": body([])}, "expected options of BTC"),
        ({"products": body([option_row()], "x" * 1_001)}, "cursor of 1001"),
    ],
)
def test_delta_body_that_is_no_listing_changes_nothing(given: Row, message: str) -> None:
    """The one before stays."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    before = list(sink.events)
    with pytest.raises(CatalogError, match=message):
        adapter.on_catalog(given, NOW_NS)

    assert sink.events == before


@pytest.mark.parametrize(
    ("status", "kind"), [(429, RateLimited), (503, VenueUnavailable), (404, CatalogError)]
)
def test_refused_delta_request(status: int, kind: type[Exception]) -> None:
    """The body has no more than a word for it."""
    assert type(make(Sink()).catalog_error(status, refusal_body())) is kind


def test_delta_options_end_at_noon_whatever_the_listing_does() -> None:
    """At that instant by our clock, not at eight; the new listing is asked for after 5 s."""
    sink = Sink()
    adapter = listed(sink, [option_row(TODAY), option_row()], catalog_refresh_seconds=36_000.0)
    hot = running(adapter.connections()[0])
    noon_ns = expiry_of(TODAY)
    assert noon_ns == NOW_NS + 2 * NANOS_PER_HOUR
    assert adapter.catalog_due_ns == noon_ns + LISTING_DELAY_NS
    for now_ns in (noon_ns - 4 * NANOS_PER_HOUR, noon_ns - 1):
        hot._hooks.expire(now_ns)
    assert sink.of(InstrumentsExpired) == []
    hot._hooks.expire(noon_ns)

    (event,) = sink.of(InstrumentsExpired)
    assert (event.slots, event.received_ns) == ((0,), noon_ns)


def test_delta_is_asked_more_often_after_an_expiry() -> None:
    """For a minute every 15 s, and then as usual."""
    sink = Sink()
    adapter = listed(sink, [option_row(TODAY), option_row()])
    noon_ns = expiry_of(TODAY)
    adapter.on_catalog(bodies([option_row()]), noon_ns + LISTING_DELAY_NS)
    assert adapter.catalog_due_ns == noon_ns + LISTING_DELAY_NS + ROLL_SPACING_NS
    adapter.on_catalog(bodies([option_row()]), noon_ns + 2 * NANOS_PER_MINUTE)

    assert adapter.catalog_due_ns == noon_ns + 3 * NANOS_PER_MINUTE


def test_announced_delta_option_is_fetched_at_its_launch() -> None:
    """A second after it."""
    coming = option_row(FAR_CALL, launch_time="2026-07-01T10:00:20Z", state="upcoming")
    adapter = listed(Sink(), [option_row(), coming])

    assert adapter.catalog_due_ns == NOW_NS + 21 * NANOS_PER_SECOND


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (settings_body("true"), [True]),
        (settings_body(word=True), [True]),
        (settings_body("false"), []),
        (b"{}", []),
        (None, []),
    ],
)
def test_delta_maintenance_is_polled_too(text: bytes | None, told: list[bool]) -> None:
    """A session that begins in it, or after it, is told nothing."""
    sink = Sink()
    adapter = make(sink)
    given = bodies([option_row()])
    adapter.on_catalog({k: v for k, v in (given | {"settings": text}).items() if v}, NOW_NS)
    assert [e.maintenance for e in sink.of(VenueState)] == told
    is_bad = text == b"{}"
    assert adapter.connections()[-1].counts["rejected.listing_settings"] == is_bad
    adapter.on_catalog(given, NOW_NS + 1)

    assert [e.maintenance for e in sink.of(VenueState)] == told + [False] * len(told)


def test_disrupted_market_is_left_until_it_resumes() -> None:
    """Its quotes are worth nothing at once; the listing, asked for at once, has it or not."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(PUT)])
    market = running(adapter.connections()[2])
    told = {"symbol": PUT, "id": 7, "trading_status": "disrupted_cancel_only"}
    market.receive(frame("product_updates", event="market_disruption", product=told), NOW_NS + 5)
    (gap,) = sink.of(Gap)
    assert (gap.slots, gap.reason, adapter.catalog_due_ns) == ((1,), "disrupted", NOW_NS + 5)
    disrupted = option_row(PUT, trading_status="disrupted_cancel_only")
    adapter.on_catalog(bodies([option_row(), disrupted]), NOW_NS + 6)
    assert sink.of(InstrumentsExpired)[0].slots == (1,)
    market.receive(frame("product_updates", event="finish_auction", product=told), NOW_NS + 9)
    assert (len(sink.of(Gap)), adapter.catalog_due_ns) == (1, NOW_NS + 9)
    adapter.on_catalog(bodies([option_row(), option_row(PUT)]), NOW_NS + 10)

    assert [i.name for i in sink.of(InstrumentsListed)[-1].instruments] == [PUT]


def test_disruption_of_everything_is_no_broken_listing() -> None:
    """All options are listed but not traded: they go, and nothing is said to be lost."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]))
    rows = [row | {"trading_status": "disrupted_post_only"} for row in chain([60_000])]
    adapter.on_catalog(bodies(rows), NOW_NS + 1)

    assert sink.of(InstrumentsExpired)[0].slots == (0, 1, 2, 3)


def test_same_delta_listings_give_the_same_slots() -> None:
    """Whatever the order of the rows; what comes later takes the lowest free one."""
    rows = chain([60_000, 70_000])
    slots = []
    for given in (rows, rows[::-1]):
        sink = Sink()
        listed(sink, given)
        event = sink.of(InstrumentsListed)[0]
        slots.append([(s, i.name) for s, i in zip(event.slots, event.instruments, strict=True)])

    assert slots[0] == slots[1]


def test_delta_listing_read_ahead_is_the_same() -> None:
    """In full, in part or not at all; nothing is told before it counts."""
    rows = [*chain([60_000, 70_000]), perpetual_row(), option_row("C-BTC-1-320726")]
    given = bodies(rows, [perpetual()])
    told = []
    for steps in (0, 2, 99):
        sink = Sink()
        adapter = make(sink)
        pieces = adapter.read_ahead(given, NOW_NS)
        for _ in range(steps):
            next(pieces, None)
        assert sink.events == []
        adapter.on_catalog(given, NOW_NS)
        adapter.on_catalog(given, NOW_NS + 1)
        told.append((sink.events, adapter.connections()[-1].counts))

    assert told[0] == told[1] == told[2]
    assert told[0][1] == {"rejected.listing_bad_name": 2}


def test_delta_terms_that_change_list_it_anew() -> None:
    """The size of the contract is one of them: all sizes would be wrong."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    adapter.on_catalog(bodies([option_row(contract_value="0.01")]), NOW_NS + 1)

    assert sink.of(InstrumentsExpired)[0].slots == (0,)
    assert sink.of(InstrumentsListed)[1].instruments[0].contract_size == 0.01


def test_delta_perpetual_has_the_interval_of_the_listing() -> None:
    """0.01 per cent of four hours is 0.0002 of eight; contracts are of 0.001 BTC."""
    sink = Sink()
    adapter = make(sink)
    row = perpetual_row(product_specs={"rate_exchange_interval": 14_400})
    adapter.on_catalog(bodies([option_row(), row], [perpetual()]), NOW_NS)

    (state,) = sink.of(PerpetualState)
    assert (state.asset, state.quote_currency) == ("BTC", "USDT")
    assert state.funding_rate == pytest.approx(0.0002, rel=1e-12)
    assert state.open_interest == pytest.approx(812.61, rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"notional_type": "inverse"}, "perpetual_kind"), ({"contract_value": "0"}, "bad_perpetual")],
)
def test_delta_perpetual_that_is_not_for_us_has_a_reason(changes: Row, reason: str) -> None:
    """An inverse one counts dollars."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([option_row(), perpetual_row() | changes], [perpetual()]), NOW_NS)

    assert adapter.connections()[-1].counts == {f"rejected.listing_{reason}": 1}
    assert sink.of(PerpetualState) == []
