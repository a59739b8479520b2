"""Notifications other than option quotes, and contracts known by their names alone."""

from math import isnan, nan

import pytest

from fakes.deribit_lab import (
    NEAR,
    NOW_NS,
    Sink,
    chain,
    future_row,
    listed,
    make,
    notification,
    option_row,
    pulse,
    quote,
)
from volgauge.adapters.deribit.normalize import Future, read_name
from volgauge.adapters.deribit.protocol import DeribitProtocol
from volgauge.domain.events import (
    AnyEvent,
    BookSnapshot,
    FeedDown,
    ForwardMark,
    ForwardQuote,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueVolIndex,
)
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import parse_instant

CALL = "BTC-31JUL26-60000-C"
STAMP_MS = 1_782_907_200_500
STAMP_NS = STAMP_MS * 1_000_000
TICKER = {
    "timestamp": STAMP_MS,
    "state": "open",
    "stats": {"high": None, "low": None, "price_change": None, "volume": 0.0},
    "greeks": {"delta": 0.5, "gamma": 2e-05, "vega": 2.1, "theta": -15.9, "rho": -0.03},
    "index_price": 61_000.0,
    "instrument_name": CALL,
    "open_interest": 18.6,
    "mark_price": 0.0505,
    "mark_iv": 49.22,
    "best_bid_price": 0.05,
    "best_ask_price": 0.051,
    "best_bid_amount": 2.2,
    "best_ask_amount": 4.1,
    "underlying_price": 61_234.5,
    "underlying_index": "SYN.BTC-31JUL26",
    "estimated_delivery_price": "expired",
}


def start(sink: Sink, *, with_listing: bool = True) -> DeribitProtocol:
    """The market connection, receiving."""
    rows = [*chain([60_000]), future_row("BTC-31JUL26", NEAR)]
    adapter = listed(sink, rows) if with_listing else make(sink)
    protocol = adapter.connections()[2]
    protocol.start(NOW_NS)
    sink.events.clear()
    return protocol


def one(sink: Sink, kind: type[AnyEvent]) -> AnyEvent:
    """The only event of its type."""
    (event,) = sink.of(kind)
    return event  # type: ignore[no-any-return] # a fake's list


def test_quote_of_a_future_is_the_forward_of_its_expiry() -> None:
    """Bid and ask in USD; an absent side is NaN here too."""
    sink = Sink()
    protocol = start(sink)
    protocol.receive(quote("BTC-31JUL26", 61_200.0, 61_202.5), NOW_NS)
    protocol.receive(quote("BTC-31JUL26", None, 61_202.5), NOW_NS)

    first, second = sink.of(ForwardQuote)
    assert (first.asset, first.quote_currency) == ("BTC", "USD")
    assert first.expiry_ns == parse_instant(NEAR)
    assert (first.bid, first.ask) == (61_200.0, 61_202.5)
    assert first.exchange_ns == 1_782_907_200_123_000_000
    assert isnan(second.bid)


def test_price_index_becomes_the_spot_of_its_asset() -> None:
    """`btc_usd`: BTC in USD."""
    sink = Sink()
    start(sink).receive(pulse(price=61_111.5), NOW_NS + 3)

    event = one(sink, IndexPrice)
    assert isinstance(event, IndexPrice)
    assert (event.asset, event.quote_currency, event.price) == ("BTC", "USD", 61_111.5)
    assert event.received_ns == NOW_NS + 3


@pytest.mark.parametrize("price", [0.0, -1.0])
def test_price_index_without_sense_is_refused(price: float) -> None:
    """No spot is better than such a one."""
    sink = Sink()
    protocol = start(sink)
    protocol.receive(pulse(price=price), NOW_NS)

    assert sink.of(IndexPrice) == []
    assert protocol.counts["rejected.bad_number"] == 1


def test_volatility_index_is_in_points() -> None:
    """The documented frame: 129.36 is 129.36 points."""
    sink = Sink()
    data = {"volatility": 129.36, "timestamp": 1_619_777_946_007, "index_name": "btc_usd"}
    start(sink).receive(notification("deribit_volatility_index.btc_usd", data), NOW_NS)

    event = one(sink, VenueVolIndex)
    assert isinstance(event, VenueVolIndex)
    assert (event.asset, event.value) == ("BTC", 129.36)


def test_marks_of_the_chain_come_as_one_event_with_fractions() -> None:
    """`iv` is a fraction in this channel; rows without a mark or of other options are left out."""
    sink = Sink()
    rows = [
        {"timestamp": STAMP_MS, "mark_price": 0.0505, "iv": 0.3706, "instrument_name": CALL},
        {"timestamp": STAMP_MS, "mark_price": 0, "iv": 0.5, "instrument_name": CALL[:-1] + "P"},
        {"timestamp": STAMP_MS, "mark_price": 0.2, "iv": 0.5, "instrument_name": "BTC-1JAN20-1-C"},
    ]
    start(sink).receive(notification("markprice.options.btc_usd", rows), NOW_NS)

    event = one(sink, MarkQuote)
    assert isinstance(event, MarkQuote)
    assert (event.prices, event.implied_vols) == ((0.0505,), (0.3706,))
    assert event.exchange_ns == STAMP_NS


def test_ticker_tells_the_forward_only_while_quotes_are_subscribed() -> None:
    """Its top of book is up to 100 ms older than the quote's."""
    sink = Sink()
    start(sink).receive(notification(f"ticker.{CALL}.100ms", TICKER), NOW_NS)

    event = one(sink, ForwardMark)
    assert isinstance(event, ForwardMark)
    assert (event.price, event.expiry_ns) == (61_234.5, parse_instant(NEAR))
    assert sink.quotes == []
    assert sink.of(MarkQuote) == []


def test_spot_index_is_no_forward() -> None:
    """Linear and expiring options name `index_price` as their underlying."""
    sink = Sink()
    data = TICKER | {"underlying_index": "index_price"}
    start(sink).receive(notification(f"ticker.{CALL}.100ms", data), NOW_NS)

    assert sink.of(ForwardMark) == []


def test_ticker_of_a_recording_tells_everything() -> None:
    """Without a catalog: listed by name, quote, forward, open interest, mark (percent there)."""
    sink = Sink()
    protocol = start(sink, with_listing=False)
    protocol.receive(notification(f"ticker.{CALL}.raw", TICKER), NOW_NS)

    listing = one(sink, InstrumentsListed)
    assert isinstance(listing, InstrumentsListed)
    assert (listing.slots, listing.instruments[0].name) == ((0,), CALL)
    assert sink.quotes == [(0, 0.05, 0.051, 2.2, 4.1, STAMP_NS, NOW_NS)]
    mark, interest = one(sink, MarkQuote), one(sink, OpenInterest)
    assert isinstance(mark, MarkQuote)
    assert mark.prices == (0.0505,)
    assert mark.implied_vols == pytest.approx((0.4922,))
    assert isinstance(interest, OpenInterest)
    assert interest.amounts == (18.6,)


def test_contract_of_a_recording_is_listed_once() -> None:
    """Quotes after the first take the short way."""
    sink = Sink()
    protocol = start(sink, with_listing=False)
    for number in range(3):
        protocol.receive(quote(CALL), NOW_NS + number)
    protocol.receive(quote("BTC-31JUL26", 61_200.0, 61_201.0), NOW_NS)
    protocol.receive(quote("BTC-PERPETUAL"), NOW_NS)
    protocol.receive(quote("BTC_USDC-PERPETUAL"), NOW_NS)
    protocol.disconnected(NOW_NS + 9, "recorded")

    assert len(sink.of(InstrumentsListed)) == 1
    assert len(sink.quotes) == 3
    assert len(sink.of(ForwardQuote)) == 1
    assert protocol.counts["ignored.unlisted"] == 2
    down = one(sink, FeedDown)
    assert isinstance(down, FeedDown)
    assert down.slots == (0,)
    assert down.feeds_forwards


def test_grouped_book_is_a_snapshot_each_time() -> None:
    """No type, no link, levels without an action."""
    sink = Sink()
    data = {
        "timestamp": STAMP_MS,
        "instrument_name": CALL,
        "change_id": 7,
        "bids": [[0.05, 2.0], [0.049, 1.0]],
        "asks": [],
    }
    start(sink).receive(notification(f"book.{CALL}.none.10.100ms", data), NOW_NS)

    event = one(sink, BookSnapshot)
    assert isinstance(event, BookSnapshot)
    assert (event.bids, event.asks) == (((0.05, 2.0), (0.049, 1.0)), ())


@pytest.mark.parametrize(
    ("name", "strike", "kind", "premium", "currency"),
    [
        ("BTC-31JUL26-67000-C", 67_000.0, OptionKind.CALL, Premium.COIN, "USD"),
        ("ETH-5JUN20-310-P", 310.0, OptionKind.PUT, Premium.COIN, "USD"),
        ("XRP_USDC-15JUL26-0d95-C", 0.95, OptionKind.CALL, Premium.QUOTE, "USDC"),
        ("MATIC_USDC-9MAR24-1d02-C", 1.02, OptionKind.CALL, Premium.QUOTE, "USDC"),
    ],
)
def test_option_is_read_from_its_name(
    name: str, strike: float, kind: OptionKind, premium: Premium, currency: str
) -> None:
    """`d` is the decimal point; no suffix means paid in coin."""
    contract = read_name(name)

    assert isinstance(contract, Instrument)
    assert (contract.strike, contract.kind) == (strike, kind)
    assert (contract.premium, contract.quote_currency) == (premium, currency)


def test_expiry_of_a_name_is_8_utc() -> None:
    """One- and two-digit days."""
    option, future = read_name("ETH-5JUN20-310-P"), read_name("BTC-25DEC26")

    assert isinstance(option, Instrument)
    assert option.expiry_ns == parse_instant("2020-06-05T08:00:00Z")
    assert future == Future(Asset("BTC"), "USD", parse_instant("2026-12-25T08:00:00Z"))


@pytest.mark.parametrize(
    "name",
    [
        "BTC-PERPETUAL", "BTC-STRD-30SEP22-20000", "BTC-FS-30SEP22_PERP", "BTC_USDC-PERPETUAL",
        "BTC-CSR12-16SEP22-21000_23000", "BTC-31XYZ26-60000-C", "BTC-31FEB26-60000-C",
        "BTC-31JUL26-0-C", "BTC-31JUL26-60000", "BTC-31JUL26-60000-X", "", "btc-31JUL26-60000-C",
        "BTC-31JUL26-" + "9" * 400 + "-C",
    ],
)  # fmt: skip
def test_other_names_are_none_of_ours(name: str) -> None:
    """Perpetuals, combinations, impossible dates, strikes of 0."""
    assert read_name(name) is None


def test_bad_numbers_of_a_ticker_are_refused_and_leave_no_quote() -> None:
    """A recorded combination has negative prices: an option cannot."""
    sink = Sink()
    protocol = start(sink, with_listing=False)
    data = TICKER | {"best_bid_price": -7.0, "underlying_price": -1.0}
    protocol.receive(notification(f"ticker.{CALL}.raw", data), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx((nan,) * 4, nan_ok=True)
    assert protocol.counts["rejected.bad_number"] == 2


def test_futures_without_options_are_not_subscribed_and_not_read() -> None:
    """No expiry of ours rests on them."""
    sink = Sink()
    adapter = listed(sink, [option_row(), future_row("BTC-30OCT26", "2026-10-30T08:00:00Z")])
    market = adapter.connections()[2]
    market.start(NOW_NS)
    market.receive(quote("BTC-30OCT26", 61_000.0, 61_001.0), NOW_NS)

    assert sink.of(ForwardQuote) == []
