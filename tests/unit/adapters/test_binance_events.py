"""Binance's pushes: premia paid at expiry and per coin, two sources of one quote."""

from math import exp, isnan
from typing import Any

import pytest

from fakes.binance_lab import (
    FAR_CALL,
    NOW_MS,
    NOW_NS,
    PUT,
    RIPPLE,
    book,
    chain,
    connection,
    indices,
    interest,
    listed,
    mark,
    marks,
    option_row,
    push,
    running,
    top,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.adapters.binance.protocol import BinanceProtocol
from volgauge.domain.events import BookSnapshot, ForwardMark, IndexPrice, MarkQuote, OpenInterest
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant, years_between
from volgauge.errors import ProtocolViolation

EXPIRY_NS = parse_instant("2026-07-31T08:00:00Z")
GROWTH = exp(0.05 * years_between(NOW_NS, EXPIRY_NS))


def live(**settings: int) -> tuple[BinanceAdapter, BinanceProtocol, BinanceProtocol, Sink]:
    """Both routes open, nothing quoted yet but by the first frames."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(PUT), option_row(FAR_CALL)], **settings)
    market = running(connection(adapter, "market"), marks([mark(PUT)]))
    hot = running(connection(adapter, "hot-1"), top(PUT))
    sink.quotes.clear()
    sink.events.clear()
    return adapter, market, hot, sink


def at(seconds: float) -> tuple[int, int]:
    """Venue's time in ms, and ours."""
    return NOW_MS + round(seconds * 1e3), NOW_NS + round(seconds * NANOS_PER_SECOND)


def test_ticker_is_scaled_to_the_expiry() -> None:
    """Price x exp(rf T); sizes as they are."""
    _, _, hot, sink = live()
    hot.receive(top(), NOW_NS + 9)

    expected = (0, 3000 * GROWTH, 3050 * GROWTH, 3.5, 4.5)
    assert sink.quotes[0][:5] == pytest.approx(expected, rel=1e-12)
    assert sink.quotes[0][5:] == (NOW_MS * NANOS_PER_MILLI, NOW_NS + 9)


def test_contract_of_a_hundred_coins() -> None:
    """Prices divided, sizes multiplied."""
    sink = Sink()
    hot = running(connection(listed(sink, [option_row(RIPPLE)]), "hot-1"), top(RIPPLE, "19", "20"))

    expected = (0, 0.19 * GROWTH, 0.20 * GROWTH, 350.0, 450.0)
    assert sink.quotes[0][:5] == pytest.approx(expected, rel=1e-12)
    assert hot.counts == {}


@pytest.mark.parametrize(
    ("changes", "sides"),
    [
        ({"b": "0.000", "B": "0.00"}, (True, False)),
        ({"a": "0.0000"}, (False, True)),
        ({"A": "0"}, (False, True)),
        ({"b": "0", "B": "0", "a": "0", "A": "0"}, (True, True)),
    ],
)
def test_zero_is_an_absent_side(changes: dict[str, str], sides: tuple[bool, bool]) -> None:
    """Of price or size."""
    _, _, hot, sink = live()
    hot.receive(top(**changes), NOW_NS)

    (quote,) = sink.quotes
    assert (isnan(quote[1]), isnan(quote[2])) == sides
    assert (isnan(quote[3]), isnan(quote[4])) == sides


@pytest.mark.parametrize(
    "changes", [{"b": "-5"}, {"a": "nan"}, {"A": "inf"}, {"b": "1e30"}, {"B": ""}, {"a": None}]
)
def test_senseless_binance_number_leaves_nobody_quoting(changes: dict[str, Any]) -> None:
    """Counted; then the chain quotes the option."""
    _, market, hot, sink = live()
    hot.receive(top(**changes), NOW_NS)
    assert all(isnan(value) for value in sink.quotes[0][1:5])
    assert hot.counts["rejected.bad_number"] == 1
    market.receive(marks([mark()]), NOW_NS)

    assert sink.quotes[1][1] == pytest.approx(3000 * GROWTH)


def test_older_update_is_dropped() -> None:
    """Of two sessions; but numbers may begin anew when the venue restarts."""
    _, _, hot, sink = live()
    hot.receive(top(u=9, T=NOW_MS + 5), NOW_NS)
    hot.receive(top(bid="2990", u=8, T=NOW_MS + 4), NOW_NS)
    hot.receive(top(bid="2990", u=9, T=NOW_MS + 5), NOW_NS)
    assert len(sink.quotes) == 1
    assert hot.counts["ignored.older"] == 2
    hot.receive(top(bid="2995", u=1, T=NOW_MS + 6), NOW_NS)

    assert sink.quotes[1][1] == pytest.approx(2995 * GROWTH)


def test_partial_book_is_a_snapshot() -> None:
    """Best first, per coin, at expiry."""
    sink = Sink()
    hot = running(
        connection(listed(sink, [option_row()], depth_levels=10), "hot-1"),
        book(b=[["2995", "1"], ["3000", "3.5"], ["2990", "0"]]),
    )

    (snapshot,) = sink.of(BookSnapshot)
    assert snapshot.bids == (
        pytest.approx((3000 * GROWTH, 3.5)), pytest.approx((2995 * GROWTH, 1.0)),
    )  # fmt: skip
    assert snapshot.asks[0] == pytest.approx((3050 * GROWTH, 4.5))
    assert hot.counts == {}


def test_book_with_a_senseless_level_is_no_book() -> None:
    """Nobody quotes the option then."""
    sink = Sink()
    adapter = listed(sink, [option_row()], depth_levels=10)
    hot = running(connection(adapter, "hot-1"), book(b=[["-1", "1"]]))

    assert sink.of(BookSnapshot) == []
    assert isnan(sink.quotes[0][1])
    assert hot.counts["rejected.bad_number"] == 1


def test_chain_tells_forward_index_marks_and_quotes() -> None:
    """I exp(rf T) of each expiry, by its own rate."""
    _, market, _, sink = live()
    stamp, now_ns = at(1)
    market.receive(
        marks([mark(E=stamp), mark(FAR_CALL, E=stamp + 1, rf="0.06", bo="0.000", bq="0.00")]),
        now_ns,
    )

    near, far = sink.of(ForwardMark)
    assert near.expiry_ns == EXPIRY_NS
    years = years_between(stamp * NANOS_PER_MILLI, EXPIRY_NS)
    assert near.price == pytest.approx(61_000 * exp(0.05 * years), rel=1e-14)
    years = years_between((stamp + 1) * NANOS_PER_MILLI, far.expiry_ns)
    assert far.price == pytest.approx(61_000 * exp(0.06 * years), rel=1e-14)
    assert [e.price for e in sink.of(IndexPrice)] == [61_000.0]
    (told,) = sink.of(MarkQuote)
    assert told.slots == (0, 2)
    assert told.prices == pytest.approx((3010.5 * GROWTH, 3010.5 * exp(0.06 * years)), rel=1e-9)
    assert told.implied_vols == (0.46, 0.46)
    assert [quote[0] for quote in sink.quotes] == [0, 2]
    assert isnan(sink.quotes[1][1])
    assert sink.quotes[1][2] == pytest.approx(3050 * exp(0.06 * years), rel=1e-9)


def test_quote_that_stands_does_not_seem_to_move() -> None:
    """The factor of the rate goes in steps of a minute, not with every second."""
    _, market, _, sink = live()
    for second in (1, 2, 3, 62):
        stamp, now_ns = at(second)
        market.receive(marks([mark(E=stamp)]), now_ns)

    first, second_, third, later = (quote[1] for quote in sink.quotes)
    assert first == second_ == third
    assert later == pytest.approx(first, rel=2e-7)
    assert later < first


def test_chain_does_not_quote_what_the_stream_does() -> None:
    """Its prices may be a second older."""
    _, market, hot, sink = live()
    hot.receive(top(bid="3010", T=NOW_MS + 900), NOW_NS)
    stamp, now_ns = at(1)
    market.receive(marks([mark(E=stamp)]), now_ns)

    assert len(sink.quotes) == 1
    (told,) = sink.of(MarkQuote)
    assert told.slots == (0,)


def test_stream_that_the_chain_contradicts_is_dead() -> None:
    """For two seconds after its own last word; then the chain quotes, until it speaks again."""
    _, market, hot, sink = live()
    hot.receive(top(T=NOW_MS), NOW_NS)
    for second in range(1, 5):
        stamp, now_ns = at(second)
        market.receive(marks([mark(E=stamp, bo="2900")]), now_ns)
    assert [q[1] for q in sink.quotes] == pytest.approx([3000 * GROWTH, 2900 * GROWTH])
    assert sink.quotes[1][5] == at(4)[0] * NANOS_PER_MILLI
    assert market.counts["streams_contradicted"] == 1
    hot.receive(top(bid="2890", T=at(5)[0]), at(5)[1])
    market.receive(marks([mark(E=at(5)[0], bo="2900")]), at(5)[1])

    assert len(sink.quotes) == 3
    assert sink.quotes[2][1] == pytest.approx(2890 * GROWTH)


def test_stream_that_is_late_is_forgiven() -> None:
    """The chain was faster by a moment."""
    _, market, hot, sink = live()
    hot.receive(top(T=NOW_MS), NOW_NS)
    market.receive(marks([mark(E=at(3)[0], bo="2900")]), at(3)[1])
    hot.receive(top(bid="2900", T=at(3)[0] - 1, u=8), at(3)[1])
    market.receive(marks([mark(E=at(6)[0], bo="2900")]), at(6)[1])

    assert len(sink.quotes) == 2
    assert market.counts["streams_contradicted"] == 0


def test_same_chain_twice_counts_once() -> None:
    """Of two sessions during a hand-over."""
    _, market, _, sink = live()
    for _ in range(2):
        market.receive(marks([mark(E=at(1)[0])]), at(1)[1])

    assert len(sink.quotes) == 1
    assert len(sink.of(ForwardMark)) == 1
    assert market.counts["ignored.older"] == 1


def test_one_bad_row_costs_one_row() -> None:
    """Its option is quoted by nobody; without a symbol it is nobody's."""
    _, market, _, sink = live()
    stamp, now_ns = at(1)
    bad = [mark(bo="?", E=stamp), {"s": 1}, mark(FAR_CALL, E=stamp)]
    market.receive(marks(bad), now_ns)

    assert market.counts["rejected.bad_row"] == 2
    assert [quote[0] for quote in sink.quotes] == [0, 2]
    assert isnan(sink.quotes[0][1])


@pytest.mark.parametrize("changes", [{"i": "0"}, {"i": "nan"}, {"rf": "5"}, {"rf": "inf"}])
def test_row_without_an_index_or_a_rate_tells_no_forward(changes: dict[str, str]) -> None:
    """Its quote stands: the rate is that of before."""
    _, market, _, sink = live()
    market.receive(marks([mark(E=at(1)[0], **changes)]), at(1)[1])

    assert sink.of(ForwardMark) == []
    assert sink.quotes[0][1] == pytest.approx(3000 * GROWTH)
    assert market.counts["rejected.bad_number"] == 1


def test_indices_of_what_is_listed() -> None:
    """Others are counted."""
    _, market, _, sink = live()
    market.receive(indices(), NOW_NS)
    market.receive(indices(symbol="ETHUSDT"), NOW_NS)
    market.receive(indices("nan"), NOW_NS)

    (event,) = sink.of(IndexPrice)
    assert (event.asset, event.quote_currency, event.price) == ("BTC", "USDT", 61_000.5)
    assert market.counts["ignored.index"] == 1
    assert market.counts["rejected.bad_number"] == 1


def test_open_interest_is_contracts_times_their_size() -> None:
    """A hundred coins each."""
    sink = Sink()
    market = running(
        connection(listed(sink, [option_row(RIPPLE)]), "market"), marks([mark(RIPPLE)])
    )
    market.receive(interest(RIPPLE, "12"), NOW_NS)

    (event,) = sink.of(OpenInterest)
    assert (event.slots, event.amounts) == ((0,), (1200.0,))


def test_options_that_are_not_listed_are_ignored() -> None:
    """A catalog says what is listed."""
    _, market, hot, sink = live()
    hot.receive(top("BTC-260731-99000-C"), NOW_NS)
    market.receive(marks([mark("BTC-260731-99000-C")]), NOW_NS)

    assert (sink.quotes, sink.events) == ([], [])
    assert (hot.counts["ignored.unlisted"], market.counts["ignored.unlisted"]) == (1, 1)


def test_unknown_streams_and_shapes_are_counted() -> None:
    """None of them ends the session."""
    _, market, _, _ = live()
    market.receive(push("btcusdt@kline_1m", {"e": "kline"}), NOW_NS)
    market.receive(b'{"e":"serverNotice"}', NOW_NS)
    market.receive(b"{}", NOW_NS)
    market.receive(b"[]", NOW_NS)

    assert market.counts["ignored.channel"] == 3
    assert market.counts["ignored.frame"] == 1


@pytest.mark.parametrize(
    "frame",
    [b"", b"pong", b"[1]", b'{"stream":1}', b"\xff", push("btcusdt@optionMarkPrice", {"s": 1}),
     push("x@bookTicker", [1]), push("x@depth10@100ms", {"s": "x"}), push("!index@arr", {})],
    ids=["empty", "word", "number", "stream", "text", "chain", "top", "book", "index"],
)  # fmt: skip
def test_frames_that_break_the_schema_end_the_session(frame: bytes) -> None:
    """With the frame in the message."""
    _, market, hot, _ = live()
    for session in (market, hot):
        with pytest.raises(ProtocolViolation, match="received"):
            session.receive(frame, NOW_NS)


def test_chain_of_a_whole_listing_fills_every_slot() -> None:
    """Nobody waits for a stream."""
    sink = Sink()
    rows = chain(range(50_000, 70_000, 1_000))
    market = connection(listed(sink, rows), "market")
    running(market, marks([mark(row["symbol"]) for row in rows]))

    assert sorted(quote[0] for quote in sink.quotes) == list(range(len(rows)))
