"""OKX's listings: families found by the venue's own list, rows with all of their terms."""

from math import inf, isnan

import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import (
    CALL,
    MARGINED_CALL,
    NOW_MS,
    NOW_NS,
    PUT,
    Row,
    bands,
    bodies,
    body,
    chain,
    listed,
    make,
    option_row,
    running,
)
from volgauge.domain.events import InstrumentsExpired, InstrumentsListed, OpenInterest
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable

FAMILIES = ("BTC-USD", "BTC-USD_UM", "ETH-USD", "SOL-USD_UM")


def instruments(sink: Sink) -> dict[str, Instrument]:
    """Everything listed so far, by name."""
    return {i.name: i for event in sink.of(InstrumentsListed) for i in event.instruments}


def test_first_catalog_asks_for_the_families_only() -> None:
    """Which families there are is the venue's to say; the rest is fetched at once after that."""
    sink = Sink()
    adapter = make(sink, assets=("BTC", "SOL"))
    (first,) = adapter.catalog_requests()
    assert first.path == "public/instrument-tick-bands?instType=OPTION"

    adapter.on_catalog({"tick_bands": bands(FAMILIES)}, NOW_NS)

    assert adapter.catalog_due_ns == NOW_NS
    needed = [request.name for request in adapter.catalog_requests() if not request.is_optional]
    assert needed == [
        "tick_bands",
        "BTC-USD.option", "BTC-USD.interest",
        "BTC-USD_UM.option", "BTC-USD_UM.interest",
        "SOL-USD_UM.option", "SOL-USD_UM.interest",
    ]  # fmt: skip
    assert adapter.catalog_requests()[3].path == (
        "public/instruments?instType=OPTION&instFamily=BTC-USD_UM"
    )
    assert sink.events == []


def test_no_assets_take_every_family() -> None:
    """Whatever the venue lists."""
    adapter = make(Sink(), assets=())
    adapter.on_catalog({"tick_bands": bands([*FAMILIES, "XRP-USD"])}, NOW_NS)

    assert "XRP-USD.option" in {request.name for request in adapter.catalog_requests()}


def test_new_family_is_asked_for_before_anything_changes() -> None:
    """It appears in the tick bands first."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    later_ns = NOW_NS + 60 * NANOS_PER_SECOND
    given = bodies([option_row()]) | {"tick_bands": bands(["BTC-USD", "BTC-USD_UM"])}
    adapter.on_catalog(given, later_ns)

    assert adapter.catalog_due_ns == later_ns
    assert len(sink.of(InstrumentsListed)) == 1


def test_terms_of_a_coin_option() -> None:
    """Premium in coin per unit of the underlying, size in contracts of a hundredth."""
    sink = Sink()
    listed(sink, [option_row(CALL)])

    assert instruments(sink)[CALL] == Instrument(
        venue=Venue("okx"),
        name=CALL,
        asset=Asset("BTC"),
        expiry_ns=parse_instant("2026-07-31T08:00:00Z"),
        strike=60_000.0,
        kind=OptionKind.CALL,
        premium=Premium.COIN,
        quote_currency="USD",
        tick_size=0.0001,
        tick_above=0.005,
        tick_step=0.0005,
        contract_size=0.01,
        listed_ns=1_782_000_000_000_000_000,
    )


def test_terms_of_a_margined_option() -> None:
    """Premium in USD per unit of the underlying, in a book of its own; strikes may be fractions."""
    sink = Sink()
    name = "SOL-USD_UM-260731-100.5-P"
    listed(sink, [option_row(name, ctMult="1")])
    found = instruments(sink)[name]

    assert (found.asset, found.strike, found.kind) == ("SOL", 100.5, OptionKind.PUT)
    assert (found.premium, found.quote_currency) == (Premium.QUOTE, "USD_UM")
    assert (found.tick_size, found.tick_above) == (5.0, inf)
    assert isnan(found.tick_step)
    assert found.contract_size == 1.0


def test_families_of_one_coin_are_two_books() -> None:
    """The same strike in two units of premium must not meet in one chain."""
    sink = Sink()
    listed(sink, [option_row(CALL), option_row(MARGINED_CALL)])
    found = instruments(sink)

    assert found[CALL].book != found[MARGINED_CALL].book
    assert found[CALL].asset == found[MARGINED_CALL].asset


def test_row_of_2022_is_read_by_its_underlying() -> None:
    """There was no instFamily; contracts were a tenth of a bitcoin."""
    row = option_row(ctMult="0.1", tickSz="0.0005")
    given = bodies([row])
    old = {key: value for key, value in row.items() if key != "instFamily"}
    sink = Sink()
    make(sink).on_catalog(given | {"BTC-USD.option": body([old])}, NOW_NS)

    assert instruments(sink)[CALL].contract_size == 0.1


def test_family_without_bands_keeps_the_tick_of_its_rows() -> None:
    """Bands that make no sense are no reason to lose a chain."""
    sink = Sink()
    given = bodies([option_row()])
    given["tick_bands"] = body([{"instFamily": "BTC-USD", "tickBand": []}])
    make(sink).on_catalog(given, NOW_NS)

    assert instruments(sink)[CALL].tick_size == 0.0001
    assert instruments(sink)[CALL].tick_above == inf


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instType": "FUTURES"}, "kind"),
        ({"instFamily": "", "uly": ""}, "family"),
        ({"stk": ""}, "bad_row"),
        ({"stk": "0"}, "bad_row"),
        ({"stk": "∞"}, "bad_row"),
        ({"expTime": ""}, "bad_row"),
        ({"expTime": "-1"}, "bad_row"),
        ({"ctVal": ""}, "bad_row"),
        ({"ctMult": "0"}, "bad_row"),
        ({"tickSz": "x"}, "bad_row"),
        ({"optType": ""}, "bad_row"),
        ({"ctValCcy": "USD"}, "bad_row"),
        ({"settleCcy": "USD"}, "bad_row"),
        ({"expTime": str(NOW_MS)}, "expired"),
        ({"state": "suspend"}, "inactive"),
        ({"state": "preopen"}, "inactive"),
        ({"state": "settling"}, "inactive"),
        ({"stk": 60000}, "schema"),
    ],
)  # fmt: skip
def test_refused_rows_are_counted_by_reason(changes: Row, reason: str) -> None:
    """One bad row is one bad row; the others are listed."""
    sink = Sink()
    adapter = make(sink)
    given = bodies([option_row(PUT)])
    given["BTC-USD.option"] = body([option_row(CALL) | changes, option_row(PUT)])
    adapter.on_catalog(given, NOW_NS)

    assert set(instruments(sink)) == {PUT}
    assert adapter.connections()[-1].counts[f"rejected.listing_{reason}"] == 1


def test_open_interest_is_in_the_underlying() -> None:
    """Contracts times their size, for listed options only."""
    sink = Sink()
    rows = [option_row(CALL), option_row("ETH-USD-260731-3000-C")]
    contracts = {CALL: "250", "ETH-USD-260731-3000-C": "36", "BTC-USD-260731-1-C": "5"}
    make(sink).on_catalog(bodies(rows, contracts), NOW_NS)
    (interest,) = sink.of(OpenInterest)

    assert interest.slots == (0, 1)
    assert interest.amounts == pytest.approx((2.5, 3.6))


def test_slots_are_dense_and_used_again() -> None:
    """The same listings give the same slots."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000], ["260731"]))
    assert sink.of(InstrumentsListed)[0].slots == (0, 1, 2, 3)
    assert [i.name for i in sink.of(InstrumentsListed)[0].instruments] == [
        CALL, PUT, "BTC-USD-260731-70000-C", "BTC-USD-260731-70000-P",
    ]  # fmt: skip

    adapter.on_catalog(bodies(chain([60_000, 80_000], ["260731"])), NOW_NS)

    assert sink.of(InstrumentsExpired)[0].slots == (2, 3)
    assert sink.of(InstrumentsListed)[1].slots == (2, 3)


def test_book_without_options_is_no_listing() -> None:
    """The margined family vanishes from the answer, its options have not expired."""
    sink = Sink()
    adapter = listed(sink, [option_row(CALL), option_row(MARGINED_CALL)])
    before = len(sink.events)
    given = bodies([option_row(CALL)], extra=["BTC-USD_UM"])

    with pytest.raises(CatalogError, match="BTC-USD_UM, found none"):
        adapter.on_catalog(given, NOW_NS)
    assert len(sink.events) == before


def test_family_that_is_no_longer_named_is_missed() -> None:
    """Tick bands without a family we hold are no listing either."""
    adapter = listed(Sink(), [option_row(CALL), option_row(MARGINED_CALL)])

    with pytest.raises(CatalogError, match="found none"):
        adapter.on_catalog(bodies([option_row(CALL)]), NOW_NS)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("50011", RateLimited), ("50013", VenueUnavailable), ("51000", CatalogError)],
)
def test_refusals_within_http_200(code: str, kind: type[Exception]) -> None:
    """The venue says no with HTTP 200 and a code in the body."""
    adapter = listed(Sink(), [option_row()])
    given = bodies([option_row()]) | {"BTC-USD.option": body([], code, "no")}

    with pytest.raises(kind, match=code):
        adapter.on_catalog(given, NOW_NS)


def test_family_without_instruments_is_left_out() -> None:
    """Named in the tick bands, unknown to public/instruments: the others are listed."""
    sink = Sink()
    adapter = make(sink)
    given = bodies([option_row(CALL)], extra=["SOL-USD_UM"])
    given["SOL-USD_UM.option"] = body([], "51000", "Parameter instFamily error")
    adapter.on_catalog(given, NOW_NS)

    assert set(instruments(sink)) == {CALL}
    assert adapter.connections()[-1].counts["rejected.listing_family"] == 1


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (429, body([], "50011", "Rate limit reached"), RateLimited),
        (429, b"<html>", RateLimited),
        (503, body([], "50001", "Service temporarily unavailable"), VenueUnavailable),
        (502, b"", VenueUnavailable),
        (400, body([], "50014", "Parameter instType can not be empty"), CatalogError),
        (404, b"", CatalogError),
    ],
)
def test_http_errors(status: int, answer: bytes, kind: type[Exception]) -> None:
    """Slow down, wait, or look at what we asked."""
    assert type(make(Sink()).catalog_error(status, answer)) is kind


@pytest.mark.parametrize("name", ["tick_bands", "BTC-USD.option", "BTC-USD.interest"])
@pytest.mark.parametrize("damage", [b"", b"{", b'{"code":"0","data":{}}', b"[]", b"\xff"])
def test_unreadable_body_changes_nothing(name: str, damage: bytes) -> None:
    """An error, and the listing before stays."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    before = len(sink.events)

    with pytest.raises(CatalogError):
        adapter.on_catalog(bodies([option_row()]) | {name: damage}, NOW_NS)
    assert len(sink.events) == before


def test_next_catalog_comes_after_a_minute_or_an_expiry() -> None:
    """And a second after the expiry, when the successors are listed."""
    adapter = listed(Sink(), [option_row()], catalog_refresh_seconds=60.0)
    assert adapter.catalog_due_ns == NOW_NS + 60 * NANOS_PER_SECOND

    expiry_ns = parse_instant("2026-07-31T08:00:00Z")
    adapter.on_catalog(bodies([option_row()]), expiry_ns - NANOS_PER_SECOND)

    assert adapter.catalog_due_ns == expiry_ns + NANOS_PER_SECOND


def test_expiry_is_told_without_the_venue() -> None:
    """Whatever REST does, an expired option is gone at its instant."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]))
    expiry_ns = parse_instant("2026-07-31T08:00:00Z")
    running(adapter.connections()[2], expiry_ns - 1).on_timeout(expiry_ns)

    assert sink.of(InstrumentsExpired)[0].slots == (0, 1)
