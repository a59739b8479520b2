"""Binance's listings: rows with all of their terms, rates, changes, refusals."""

from math import exp, inf, isnan

import msgspec
import pytest

from fakes.binance_lab import (
    CALL,
    FAR_CALL,
    NOW_MS,
    NOW_NS,
    PUT,
    RIPPLE,
    bodies,
    chain,
    connection,
    info,
    listed,
    make,
    option_row,
    rest_mark,
    running,
    settle,
    symbol,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.domain.events import InstrumentsExpired, InstrumentsListed, MarkQuote
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant, years_between
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable


def instruments(sink: Sink) -> dict[str, Instrument]:
    """Everything listed so far, by name."""
    return {i.name: i for event in sink.of(InstrumentsListed) for i in event.instruments}


def test_catalog_is_two_bodies() -> None:
    """Every option, and the rate of every expiry."""
    requests = make(Sink()).catalog_requests()

    assert {request.name: request.path for request in requests if not request.is_optional} == {
        "exchange_info": "eapi/v1/exchangeInfo",
        "mark": "eapi/v1/mark",
    }


def test_row_has_all_terms() -> None:
    """A contract of a hundred coins: the tick is a hundredth, the size a hundredfold."""
    sink = Sink()
    listed(sink, [option_row(RIPPLE)])

    found = instruments(sink)[RIPPLE]
    assert isnan(found.tick_step)
    assert msgspec.structs.replace(found, tick_step=0.0) == Instrument(
        venue=Venue("binance"),
        name=RIPPLE,
        asset=Asset("XRP"),
        expiry_ns=parse_instant("2026-07-31T08:00:00Z"),
        strike=2.05,
        kind=OptionKind.PUT,
        premium=Premium.QUOTE,
        quote_currency="USDT",
        tick_size=0.0001,
        tick_above=inf,
        tick_step=0.0,
        contract_size=100.0,
        listed_ns=None,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "PENDING_TRADING"}, "inactive"),
        ({"expiryDate": NOW_MS - 4 * 3_600_000}, "contradiction"),
        ({"expiryDate": 1_785_484_800}, "contradiction"),
        ({"strikePrice": "61000"}, "contradiction"),
        ({"side": "PUT"}, "contradiction"),
        ({"underlying": "ETHUSDT"}, "contradiction"),
        ({"symbol": "BTC-PERP"}, "bad_name"),
        ({"unit": 0}, "bad_row"),
        ({"filters": []}, "bad_row"),
        ({"filters": [{"filterType": "PRICE_FILTER", "tickSize": "0"}]}, "bad_row"),
        ({"strikePrice": None}, "schema"),
        ({"expiryDate": -1}, "schema"),
    ],
)
def test_binance_rows_that_are_not_for_us_have_a_reason(
    changes: dict[str, object], reason: str
) -> None:
    """Counted, and the others are listed."""
    sink = Sink()
    adapter = make(sink)
    rows = [option_row() | changes, option_row(PUT)]
    adapter.on_catalog(
        bodies([option_row(), option_row(PUT)]) | {"exchange_info": info(rows)},
        NOW_NS,
    )

    assert set(instruments(sink)) == {PUT}
    assert adapter.connections()[-1].counts == {f"rejected.listing_{reason}": 1}


def test_seconds_for_milliseconds_do_not_list_an_option_of_1970() -> None:
    """Neither does an expiry that has passed."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([option_row("BTC-260701-60000-C")]), NOW_NS)

    assert sink.of(InstrumentsListed) == []
    assert adapter.connections()[-1].counts == {"rejected.listing_expired": 1}


def test_other_assets_are_left_out() -> None:
    """Asked for or not."""
    sink = Sink()
    listed(sink, [option_row(), option_row(RIPPLE)], assets=("XRP",))

    assert set(instruments(sink)) == {RIPPLE}


def test_option_without_a_rate_waits() -> None:
    """A premium without its rate is none: an option is listed with it, or later."""
    sink = Sink()
    adapter = make(sink)
    rows = [option_row(), option_row(RIPPLE)]
    adapter.on_catalog(bodies(rows, [rest_mark(RIPPLE)]), NOW_NS)
    assert set(instruments(sink)) == {RIPPLE}
    assert adapter.connections()[-1].counts == {"rejected.listing_no_rate": 1}

    adapter.on_catalog(bodies(rows), NOW_NS)

    assert set(instruments(sink)) == {CALL, RIPPLE}


@pytest.mark.parametrize("rate", ["nan", "2", "-1.5"])
def test_rate_that_cannot_be_is_none(rate: str) -> None:
    """Five hundredths, not five."""
    sink = Sink()
    adapter = make(sink)
    adapter.on_catalog(bodies([option_row()], [rest_mark(riskFreeInterest=rate)]), NOW_NS)

    assert instruments(sink) == {}


def test_marks_of_the_catalog_are_paid_at_expiry_per_coin() -> None:
    """Mp / unit exp(rf T); -1.0 is no volatility."""
    sink = Sink()
    adapter = make(sink)
    told = rest_mark(RIPPLE, markPrice="19.5", markIV="-1.0", riskFreeInterest="0.05")
    adapter.on_catalog(bodies([option_row(RIPPLE)], [told]), NOW_NS)

    (marks,) = sink.of(MarkQuote)
    years = years_between(NOW_NS, parse_instant("2026-07-31T08:00:00Z"))
    assert marks.prices == pytest.approx((0.195 * exp(0.05 * years),), rel=1e-12)
    assert marks.implied_vols == pytest.approx((float("nan"),), nan_ok=True)
    assert marks.exchange_ns == NOW_MS * NANOS_PER_MILLI


def test_same_listing_again_says_nothing() -> None:
    """And slots are dense, in the order of a chain."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000]))
    adapter.on_catalog(bodies(chain([60_000, 70_000])), NOW_NS)

    (event,) = sink.of(InstrumentsListed)
    assert event.slots == tuple(range(8))
    keys = [(i.expiry_ns, i.strike, i.kind.value) for i in event.instruments]
    assert keys == sorted(keys)


def test_new_terms_give_a_new_slot() -> None:
    """What was quoted under the old ones is gone."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    filters = [{"filterType": "PRICE_FILTER", "tickSize": "10"}]
    adapter.on_catalog(bodies([option_row(filters=filters)]), NOW_NS)

    assert [event.slots for event in sink.of(InstrumentsExpired)] == [(0,)]
    assert instruments(sink)[CALL].tick_size == 10.0


def test_options_expire_at_their_instant() -> None:
    """Whether a catalog comes or not; the next one is due a second later."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(FAR_CALL)], reconnect_after_seconds=1e7)
    market = running(connection(adapter, "market"))
    expiry_ns = parse_instant("2026-07-31T08:00:00Z")
    market.on_timeout(expiry_ns)

    assert [event.slots for event in sink.of(InstrumentsExpired)] == [(0,)]
    assert connection(adapter, "hot-1").state is State.SPARE


def test_catalog_follows_the_next_expiry() -> None:
    """Or comes every minute."""
    adapter = listed(Sink(), [option_row()])
    assert adapter.catalog_due_ns == NOW_NS + 60 * NANOS_PER_SECOND
    late_ns = parse_instant("2026-07-31T07:59:30Z")
    adapter.on_catalog(bodies([option_row()]), late_ns)

    assert adapter.catalog_due_ns == parse_instant("2026-07-31T08:00:01Z")


def test_new_symbol_brings_the_catalog_and_its_age() -> None:
    """The burst is gathered for a second; the creation is told nowhere else."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    market = running(connection(adapter, "market"))
    at_ns = NOW_NS + 20 * NANOS_PER_SECOND
    market.receive(symbol(PUT, ot=NOW_MS + 19_000), at_ns)
    assert adapter.catalog_due_ns == at_ns + NANOS_PER_SECOND
    adapter.on_catalog(bodies([option_row(), option_row(PUT)]), at_ns + NANOS_PER_SECOND)
    adapter.on_catalog(bodies([option_row(), option_row(PUT)]), at_ns + 2 * NANOS_PER_SECOND)

    assert instruments(sink)[PUT].listed_ns == (NOW_MS + 19_000) * NANOS_PER_MILLI
    assert len(sink.of(InstrumentsListed)) == 2


def test_burst_of_symbols_does_not_hammer() -> None:
    """Five seconds between two catalogs at least."""
    adapter = listed(Sink(), [option_row()])
    market = running(connection(adapter, "market"))
    market.receive(symbol(PUT), NOW_NS)

    assert adapter.catalog_due_ns == NOW_NS + 5 * NANOS_PER_SECOND


@pytest.mark.parametrize(
    "given",
    [{}, {"exchange_info": b"{"}, {"exchange_info": b"[]"}, {"exchange_info": b"\xff"},
     {"mark": b"{}"}, {"mark": b""}],
    ids=["missing", "cut", "array", "no-text", "mark-object", "mark-empty"],
)  # fmt: skip
def test_unreadable_bodies_change_nothing(given: dict[str, bytes]) -> None:
    """Refused as a whole."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    before = len(sink.events)

    with pytest.raises(CatalogError):
        adapter.on_catalog(bodies([option_row(), option_row(PUT)]) | given if given else {}, NOW_NS)
    assert len(sink.events) == before


def test_lost_underlying_is_no_listing() -> None:
    """All options of a coin do not vanish before they expire."""
    adapter = listed(Sink(), [option_row(), option_row(RIPPLE)])

    with pytest.raises(CatalogError, match="XRPUSDT"):
        adapter.on_catalog(bodies([option_row()]), NOW_NS)


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait"),
    [
        (429, b'{"code":-1003,"msg":"Too many requests"}', RateLimited, 60.0),
        (400, b'{"code":-1003,"msg":"Too many requests"}', RateLimited, 60.0),
        (418, b'{"code":-1003,"msg":"IP banned until 1659146400000"}', RateLimited, 600.0),
        (403, b"<html>", RateLimited, 600.0),
        (503, b"", VenueUnavailable, None),
        (400, b'{"code":-1016,"msg":"Shutting down."}', VenueUnavailable, None),
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', CatalogError, None),
        (404, b"", CatalogError, None),
    ],
)  # fmt: skip
def test_refused_binance_catalogs(
    status: int, body: bytes, kind: type[Exception], wait: float | None
) -> None:
    """What to do about each: wait, wait long, come again."""
    error = make(Sink()).catalog_error(status, body)

    assert type(error) is kind
    assert getattr(error, "wait_seconds", None) == wait


def test_names_alone_list_where_there_is_no_catalog() -> None:
    """Of coins whose contracts are known."""
    sink = Sink()
    market = connection(make(sink), "market")
    market.start(NOW_NS)
    assert settle(market, NOW_NS) == []
    market.receive(
        b'{"stream":"x@bookTicker","data":{"e":"bookTicker","u":1,"s":"DOGE-260731-0.06-C",'
        b'"b":"2.64","B":"10","a":"0.0000","A":"0","T":1782907200000}}',
        NOW_NS,
    )

    assert instruments(sink)["DOGE-260731-0.06-C"].contract_size == 1000.0
    assert sink.quotes[0][1] == pytest.approx(0.00264)
    assert sink.quotes[0][3] == 10_000.0
