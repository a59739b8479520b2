"""What Delta's pushes become: quotes, indices, marks, open interest, volumes, news."""

from math import isnan, nan
from typing import Any

import pytest

from fakes.delta_lab import (
    CALL,
    NEAR,
    NOW_NS,
    PUT,
    STAMP,
    Row,
    bodies,
    chain,
    frame,
    index,
    listed,
    make,
    option_row,
    running,
    ticker,
    top,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.delta.protocol import DeltaProtocol
from volgauge.domain.events import (
    BookSnapshot,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    TradedVolume,
    VenueState,
)
from volgauge.domain.units import NANOS_PER_MICRO, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation

STAMP_NS = STAMP * NANOS_PER_MICRO


def live(sink: Sink, place: int = 0) -> DeltaProtocol:
    """A live connection of two options, at `NOW_NS`."""
    protocol = running(listed(sink, chain([60_000], [NEAR])).connections()[place])
    sink.events.clear()
    return protocol


def test_delta_top_is_a_quote() -> None:
    """Prices per coin, sizes in coins, microseconds to nanoseconds."""
    sink = Sink()
    live(sink).receive(top(PUT), NOW_NS + 7)

    (quote,) = sink.quotes
    expected = (1, 2_500.0, 2_510.5, 4.356, 1.95, STAMP_NS, NOW_NS + 7)
    assert quote == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("none", [None, "0", 0, "", "0.000"])
@pytest.mark.parametrize("field", ["best_bid", "bid_qty"])
def test_zero_of_delta_is_an_absent_side(field: str, none: object) -> None:
    """A price without a size is none either; the other side stays."""
    sink = Sink()
    changes: Row = {field: none}
    live(sink).receive(top(**changes), NOW_NS)

    (quote,) = sink.quotes
    assert quote[1:5] == pytest.approx((nan, 2_510.5, nan, 1.95), nan_ok=True)


@pytest.mark.parametrize("bad", ["-1", "1e16", "inf", "nan", "12 USD", "0x1p3"])
def test_senseless_delta_number_is_absent_and_counted(bad: str) -> None:
    """One number of a frame does not end the session."""
    sink = Sink()
    hot = live(sink)
    hot.receive(top(best_ask=bad), NOW_NS)

    (quote,) = sink.quotes
    assert quote[1:5] == pytest.approx((2_500.0, nan, 4.356, nan), nan_ok=True)
    assert hot.counts == {"rejected.bad_number": 1}


@pytest.mark.parametrize(
    "changes", [{"timestamp": "x"}, {"timestamp": -1}, {"best_bid": ["1"]}, {"timestamp": 1 << 62}]
)
def test_delta_top_off_the_schema_ends_the_session(changes: Row) -> None:
    """It says what it expected and what came."""
    hot = live(Sink())

    with pytest.raises(ProtocolViolation, match=r"delta: .*received"):
        hot.receive(top(**changes), NOW_NS)


def test_frame_that_is_no_json_ends_the_session() -> None:
    """Nor is text that is no UTF-8."""
    for text in (b"{", b'{"type":"l1_orderbook","symbol":"\xff"}', b"[" * 100_000):
        with pytest.raises(ProtocolViolation):
            live(Sink()).receive(text, NOW_NS)


def test_delta_ticker_without_sense_in_one_number() -> None:
    """The quote is as good as its numbers; marks and amounts too."""
    sink = Sink()
    market = live(sink, 2)
    market.receive(ticker(quotes={"best_bid": "x"}, mark_price="-3", oi="y"), NOW_NS)

    (quote,) = sink.quotes
    assert quote[1:5] == pytest.approx((nan, 2_520.0, nan, 2.731), nan_ok=True)
    assert isnan(sink.of(MarkQuote)[0].prices[0])
    assert sink.of(OpenInterest) == []
    assert sink.of(TradedVolume)[0].amounts == (0.601,)
    assert market.counts == {"rejected.bad_number": 3}


def test_delta_ticker_without_quotes() -> None:
    """Both sides are absent, which is news; the rest is told."""
    sink = Sink()
    live(sink, 2).receive(ticker(quotes=None).replace(b'"quotes": {', b'"none": {'), NOW_NS)

    (quote,) = sink.quotes
    assert all(isnan(value) for value in quote[1:5])
    assert isnan(sink.of(MarkQuote)[0].implied_vols[0])


@pytest.mark.parametrize(("printed", "vol"), [("0.35", 0.35), ("0.000005", nan), (None, nan)])
def test_floor_of_a_volatility_is_none(printed: str | None, vol: float) -> None:
    """The venue prints its least where it has none."""
    sink = Sink()
    live(sink, 2).receive(ticker(quotes={"mark_iv": printed}), NOW_NS)

    assert sink.of(MarkQuote)[0].implied_vols == pytest.approx((vol,), nan_ok=True)


def test_delta_marks_are_gathered_for_a_second() -> None:
    """The first at once, the others together, in the order of their slots."""
    sink = Sink()
    market = live(sink, 2)
    market.receive(ticker(PUT), NOW_NS)
    market.receive(ticker(PUT, oi="2"), NOW_NS + 1)
    market.receive(ticker(CALL, oi="1"), NOW_NS + NANOS_PER_SECOND)

    assert [event.slots for event in sink.of(MarkQuote)] == [(1,), (0, 1)]
    assert sink.of(OpenInterest)[1].amounts == (1.0, 2.0)
    assert sink.of(TradedVolume)[1].amounts == (0.601, 0.601)


def test_gathered_marks_of_what_has_gone_are_dropped() -> None:
    """Its slot may be another's now."""
    sink = Sink()
    adapter = listed(sink, chain([60_000], [NEAR]))
    market = running(adapter.connections()[2])
    market.receive(ticker(CALL), NOW_NS)
    market.receive(ticker(PUT), NOW_NS + 1)
    adapter.on_catalog(bodies([option_row(CALL)]), NOW_NS + 2)
    market.receive(ticker(CALL), NOW_NS + NANOS_PER_SECOND)

    assert [event.slots for event in sink.of(MarkQuote)] == [(0,), (0,)]


def test_delta_index_is_told_once_a_second() -> None:
    """By its own channel, which has no time, or by a ticker, which has."""
    sink = Sink()
    market = live(sink, 2)
    at_ns = NOW_NS + 2 * NANOS_PER_SECOND
    market.receive(index(price=61_001), at_ns)
    market.receive(ticker(), at_ns + 1)
    market.receive(ticker(), at_ns + NANOS_PER_SECOND)

    assert [(e.price, e.exchange_ns) for e in sink.of(IndexPrice)] == [
        (61_001.0, 0),
        (61_000.5, STAMP_NS),
    ]


def test_foreign_index_is_counted() -> None:
    """One that no listed option rests on, or a price of nothing."""
    sink = Sink()
    hot = live(sink)
    hot.receive(index(".DEXRPUSDT"), NOW_NS + NANOS_PER_SECOND)
    hot.receive(index(price=0), NOW_NS + 3 * NANOS_PER_SECOND)

    assert hot.counts == {"ignored.index": 2}
    assert sink.of(IndexPrice) == []


def test_unlisted_delta_option_is_counted() -> None:
    """What the catalog does not have is none of ours, where there is one."""
    sink = Sink()
    hot = live(sink)
    hot.receive(top("C-BTC-99000-310726"), NOW_NS)

    assert (hot.counts, sink.quotes) == ({"ignored.unlisted": 1}, [])


def test_without_a_catalog_options_are_adopted_by_name() -> None:
    """A foreign recording; an unknown coin has no size of a contract, so no sizes at all."""
    sink = Sink()
    hot = make(sink, assets=()).connections()[0]
    hot.start(NOW_NS)
    for name in ("C-XRP-0.98-311226", "C-DOGE-1-311226", "C-BTC-60000-310226", "BTCUSDT"):
        hot.receive(top(name), NOW_NS)

    (instrument,) = sink.of(InstrumentsListed)[0].instruments
    assert (instrument.asset, instrument.strike, instrument.contract_size) == ("XRP", 0.98, 1.0)
    assert hot.counts == {"ignored.unlisted": 3}
    assert len(sink.quotes) == 1


def test_whole_book_is_a_snapshot() -> None:
    """As recordings have it; a level without a size is none, and the tickers stand back."""
    sink = Sink()
    hot = live(sink)
    level: dict[str, Any] = {"limit_price": "2500", "size": 4000, "depth": "4000"}
    hot.receive(
        frame(
            "l2_orderbook", symbol=CALL, timestamp=STAMP, buy=[level, level | {"size": 0}], sell=[]
        ),
        NOW_NS,
    )

    (book,) = sink.of(BookSnapshot)
    assert (book.slot, book.bids, book.asks) == (0, ((2_500.0, 4.0),), ())
    assert book.exchange_ns == STAMP_NS


def test_delta_maintenance_is_told() -> None:
    """By the announcements; other news is counted."""
    sink = Sink()
    market = live(sink, 2)
    for event in ("maintenance_started", "maintenance_finished", "new_launch"):
        market.receive(frame("announcements", event=event, timestamp=STAMP), NOW_NS)

    assert [(e.maintenance, e.locked, e.asset) for e in sink.of(VenueState)] == [
        (True, False, None),
        (False, False, None),
    ]
    assert market.counts == {"ignored.announcement": 1}


def test_disruption_of_what_we_do_not_hold_is_counted() -> None:
    """The listing is asked for all the same."""
    market = live(Sink(), 2)
    told = {"symbol": "BTCUSDT", "trading_status": "operational"}
    market.receive(frame("product_updates", event="finish_auction", product=told), NOW_NS)

    assert market.counts == {"ignored.unlisted": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (frame("candlestick_1m", symbol=CALL), "ignored.channel"),
        (frame("l2_updates", symbol=CALL), "ignored.channel"),
        (b"{}", "ignored.frame"),
        (frame("subscriptions", channels=[]), "ignored.answer"),
    ],
)
def test_frame_that_is_not_for_us_is_counted(text: bytes, reason: str) -> None:
    """Under its reason."""
    sink = Sink()
    hot = live(sink)
    hot.receive(text, NOW_NS)

    assert (hot.counts, sink.quotes) == ({reason: 1}, [])
