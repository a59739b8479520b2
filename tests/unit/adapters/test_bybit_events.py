"""What Bybit's tickers and order books become: quotes, gaps, forwards, marks."""

from math import isnan, nan
from typing import Any

import pytest

from fakes.bybit_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
    STAMP,
    acknowledge,
    bodies,
    book,
    chain,
    connection,
    listed,
    make,
    option_row,
    push,
    sent,
    started,
    ticker,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.protocol import BybitProtocol
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    ForwardMark,
    Gap,
    IndexPrice,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant

TICKER, BOOK = f"tickers.{CALL}", f"orderbook.25.{CALL}"
EXCHANGE_NS = STAMP * NANOS_PER_MILLI


def live(sink: Sink, **settings: int) -> tuple[BybitAdapter, BybitProtocol, BybitProtocol]:
    """One option, its book's connection and its ticker's, both settled."""
    adapter = listed(sink, [option_row()], **settings)
    return adapter, started(adapter.connections()[0]), started(connection(adapter, TICKER))


def same(found: object, expected: object) -> bool:
    """Equal, NaN included."""
    return repr(found) == repr(expected)


def test_ticker_quotes_its_option() -> None:
    """Prices for one coin, sizes in coins, the time of the envelope."""
    sink = Sink()
    _, _, chain_1 = live(sink)
    chain_1.receive(ticker(), NOW_NS)
    chain_1.receive(ticker(), NOW_NS)

    assert sink.quotes == [(0, 2500.0, 2520.0, 3.0, 4.5, EXCHANGE_NS, NOW_NS)] * 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bidPrice": "0", "bidSize": "0"}, (nan, 2520.0, nan, 4.5)),
        ({"askPrice": "0", "askSize": "0"}, (2500.0, nan, 3.0, nan)),
        ({"bidPrice": "0.000", "bidSize": "1"}, (nan, 2520.0, nan, 4.5)),
        ({"bidPrice": "2500", "bidSize": "0"}, (nan, 2520.0, nan, 4.5)),
        ({"bidPrice": "", "bidSize": ""}, (nan, 2520.0, nan, 4.5)),
        ({"bidPrice": None, "bidSize": None}, (nan, 2520.0, nan, 4.5)),
        ({"bidPrice": 2500.5}, (2500.5, 2520.0, 3.0, 4.5)),
    ],
    ids=["no-bid", "no-ask", "zeros", "no-size", "empty", "null", "number"],
)
def test_absent_side_is_nan(
    changes: dict[str, Any], expected: tuple[float, float, float, float]
) -> None:
    """The venue writes "0"; the other spellings cost nothing."""
    sink = Sink()
    _, _, chain_1 = live(sink)
    chain_1.receive(ticker(**changes), NOW_NS)

    assert same(sink.quotes[0][1:5], expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"bidPrice": "-1"}, {"bidPrice": "nan"}, {"askSize": "inf"}, {"askPrice": "1e999"},
        {"bidPrice": "x"}, {"markPrice": "-0.5"}, {"underlyingPrice": "NaN"},
    ],
)  # fmt: skip
def test_senseless_number_empties_the_quote(changes: dict[str, Any]) -> None:
    """Nothing of such a frame is believed; the session lives on."""
    sink = Sink()
    _, _, chain_1 = live(sink)
    chain_1.receive(ticker(), NOW_NS)
    chain_1.receive(ticker(**changes), NOW_NS + NANOS_PER_SECOND)

    assert same(sink.quotes[-1][1:5], (nan, nan, nan, nan))
    assert chain_1.counts == {"rejected.bad_number": 1}
    assert len(sink.of(ForwardMark)) == 1


def test_half_a_ticker_is_ignored() -> None:
    """Options never send deltas; an absent key would look like an absent side."""
    sink = Sink()
    _, _, chain_1 = live(sink)
    chain_1.receive(push(TICKER, {"symbol": CALL, "bidPrice": "1"}, "delta"), NOW_NS)

    assert sink.quotes == []
    assert chain_1.counts == {"ignored.ticker_type": 1}


def test_book_quotes_instead_of_the_ticker_while_it_is_whole() -> None:
    """It is five times as fast; two sources would take turns."""
    sink = Sink()
    _, hot, chain_1 = live(sink)
    chain_1.receive(ticker(bid="2495"), NOW_NS)
    hot.receive(book(1), NOW_NS + 1)
    chain_1.receive(ticker(bid="2495"), NOW_NS + 2)

    assert [quote[:6] for quote in sink.quotes] == [
        (0, 2495.0, 2520.0, 3.0, 4.5, EXCHANGE_NS),
        (0, 2500.0, 2520.0, 3.0, 4.5, EXCHANGE_NS),
    ]


def test_deltas_change_the_top() -> None:
    """Absolute sizes, 0 deletes, any order of levels."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(7), NOW_NS)
    hot.receive(book(8, [("2500", "0")], [("2515", "1"), ("2600", "9")], "delta"), NOW_NS)
    hot.receive(book(9, [("2490", "0")], [], "delta"), NOW_NS)
    hot.receive(book(10, [("2480", "1.5")], [("2515", "2")], "delta"), NOW_NS)

    assert same(
        [quote[1:5] for quote in sink.quotes],
        [
            (2500.0, 2520.0, 3.0, 4.5),
            (2490.0, 2515.0, 2.0, 1.0),
            (nan, 2515.0, nan, 1.0),
            (2480.0, 2515.0, 1.5, 2.0),
        ],
    )


def test_snapshot_replaces_the_book_whatever_its_number() -> None:
    """A fault at the venue's end, or the restart of its service: u = 1."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(700), NOW_NS)
    hot.receive(book(3, [("2400", "1")], [("2410", "1")]), NOW_NS)
    hot.receive(book(4, [("2401", "2")], [], "delta"), NOW_NS)
    hot.receive(book(1, [("2300", "1")], [("2310", "1")], "delta"), NOW_NS)
    hot.receive(book(2, [], [("2310", "0")], "delta"), NOW_NS)

    assert same(
        [quote[1:3] for quote in sink.quotes],
        [(2500.0, 2520.0), (2400.0, 2410.0), (2401.0, 2410.0), (2300.0, 2310.0), (2300.0, nan)],
    )
    assert hot.counts["gaps"] == 0


def test_empty_snapshot_is_a_book_without_orders() -> None:
    """`u` is 0 then (recorded in 2023); the delta 1 is a restart like any other."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(0, [], []), NOW_NS)
    hot.receive(book(1, [("2500", "1")], [], "delta"), NOW_NS)

    assert same([quote[1:5] for quote in sink.quotes], [(nan,) * 4, (2500.0, nan, 1.0, nan)])


def test_gap_empties_the_option_and_asks_for_a_snapshot() -> None:
    """Unsubscribe, its answer, subscribe; deltas are dropped meanwhile, the ticker quotes."""
    sink = Sink()
    _, hot, chain_1 = live(sink)
    hot.receive(book(7), NOW_NS)
    hot.receive(book(9, [("2501", "1")], [], "delta"), NOW_NS + 1)

    (gap,) = sink.of(Gap)
    assert (gap.slots, gap.reason, gap.received_ns) == ((0,), "sequence", NOW_NS + 1)
    hot.on_timeout(NOW_NS + NANOS_PER_SECOND)
    (request,) = sent(hot)
    assert (request["op"], request["args"]) == ("unsubscribe", [BOOK])
    hot.receive(book(10, [("2502", "1")], [], "delta"), NOW_NS + NANOS_PER_SECOND)
    chain_1.receive(ticker(bid="2503"), NOW_NS + NANOS_PER_SECOND)
    assert [quote[1] for quote in sink.quotes] == [2500.0, 2503.0]
    assert hot.counts["ignored.book_waiting"] == 1

    hot.receive(acknowledge([BOOK]), NOW_NS + 2 * NANOS_PER_SECOND)
    (request,) = sent(hot)
    assert (request["op"], request["args"]) == ("subscribe", [BOOK])
    hot.receive(acknowledge([BOOK]), NOW_NS + 2 * NANOS_PER_SECOND)
    hot.receive(book(20), NOW_NS + 2 * NANOS_PER_SECOND)
    hot.receive(book(21, [("2504", "1")], [], "delta"), NOW_NS + 2 * NANOS_PER_SECOND)

    assert [quote[1] for quote in sink.quotes] == [2500.0, 2503.0, 2500.0, 2504.0]
    assert hot.counts["gaps"] == 1


def test_newest_ticker_stands_in_for_a_broken_book() -> None:
    """At once, with its own times, unless it is older than ten seconds."""
    sink = Sink()
    _, hot, chain_1 = live(sink)
    hot.receive(book(7), NOW_NS)
    chain_1.receive(ticker(bid="2503", askPrice="0"), NOW_NS + 1)
    later_ns = NOW_NS + 10 * NANOS_PER_SECOND
    hot.receive(book(9, kind="delta"), later_ns)
    assert same(sink.quotes[-1], (0, 2503.0, nan, 3.0, nan, EXCHANGE_NS, NOW_NS + 1))

    hot.receive(book(20), later_ns)
    hot.receive(book(22, kind="delta"), later_ns + 2)

    assert len(sink.of(Gap)) == 2
    assert sink.quotes[-1][1:3] == (2500.0, 2520.0)


def test_same_delta_twice_changes_nothing() -> None:
    """A frame delivered again is no gap."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(7), NOW_NS)
    for _ in range(2):
        hot.receive(book(8, [("2501", "1")], [], "delta"), NOW_NS)

    assert [quote[1] for quote in sink.quotes] == [2500.0, 2501.0]
    assert hot.counts == {"ignored.book_duplicate": 1}


def test_broken_book_is_renewed_no_more_often_than_every_ten_seconds() -> None:
    """A venue whose numbers jump must not be asked for snapshots without end."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(7), NOW_NS)
    hot.receive(book(9, [], [], "delta"), NOW_NS)
    hot.on_timeout(NOW_NS + NANOS_PER_SECOND)
    for _ in range(2):
        (request,) = sent(hot)
        hot.receive(acknowledge(request["args"]), NOW_NS + NANOS_PER_SECOND)
        hot.on_timeout(NOW_NS + 2 * NANOS_PER_SECOND)
    hot.receive(book(20), NOW_NS + 2 * NANOS_PER_SECOND)
    hot.receive(book(22, [], [], "delta"), NOW_NS + 3 * NANOS_PER_SECOND)

    hot.on_timeout(NOW_NS + 9 * NANOS_PER_SECOND)
    assert sent(hot) == []
    hot.on_timeout(NOW_NS + 10 * NANOS_PER_SECOND)

    (request,) = sent(hot)
    assert (request["op"], request["args"]) == ("unsubscribe", [BOOK])


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (book(8, [("-1", "1")], [], "delta"), "bad_level"),
        (book(8, [("0", "1")], [], "delta"), "bad_level"),
        (book(8, [("2500", "nan")], [], "delta"), "bad_level"),
        (book(8, [("2500",)], [], "delta"), "bad_level"),  # type: ignore[list-item] # on purpose
        (book(8, [(str(n), "1") for n in range(1, 200)], [], "delta"), "too_deep"),
    ],
    ids=["negative", "zero", "nan", "no-size", "too-deep"],
)
def test_senseless_level_breaks_its_book_only(frame: bytes, reason: str) -> None:
    """Like a gap: forget it and ask for a snapshot."""
    sink = Sink()
    _, hot, _ = live(sink)
    hot.receive(book(7), NOW_NS)
    hot.receive(frame, NOW_NS)

    assert [gap.reason for gap in sink.of(Gap)] == [reason]
    hot.on_timeout(NOW_NS + NANOS_PER_SECOND)
    assert [request["op"] for request in sent(hot)] == ["unsubscribe"]


def test_book_that_stands_still_while_tickers_move_is_left() -> None:
    """After two seconds of contradiction by the venue's clock."""
    sink = Sink()
    _, hot, chain_1 = live(sink)
    hot.receive(book(7), NOW_NS)
    chain_1.receive(ticker(bid="2510", stamp=STAMP + 60_000), NOW_NS)
    chain_1.receive(ticker(bid="2510", stamp=STAMP + 61_999), NOW_NS)
    assert sink.of(Gap) == []

    chain_1.receive(ticker(bid="2510", stamp=STAMP + 62_000), NOW_NS + 1)

    (gap,) = sink.of(Gap)
    assert (gap.slots, gap.reason) == ((0,), "stalled")
    hot.on_timeout(NOW_NS + NANOS_PER_SECOND)
    assert [request["args"] for request in sent(hot)] == [[BOOK]]
    chain_1.receive(ticker(bid="2511", stamp=STAMP + 62_100), NOW_NS + 2)
    assert sink.quotes[-1][1] == 2511.0


def test_quiet_book_that_tickers_confirm_is_right() -> None:
    """An option nobody trades has a book that stands still for minutes."""
    sink = Sink()
    _, hot, chain_1 = live(sink)
    hot.receive(book(7), NOW_NS)
    for second in range(60):
        bid = "2510" if second == 30 else "2500"
        chain_1.receive(ticker(bid=bid, stamp=STAMP + 1_000 * second), NOW_NS)

    assert sink.of(Gap) == []
    assert len(sink.quotes) == 1


def test_depth_is_handed_on_where_it_is_asked_for() -> None:
    """Snapshots best first without deletes; deltas as they came."""
    sink = Sink()
    _, hot, _ = live(sink, depth_levels=10)
    hot.receive(book(7, [("2490", "2"), ("2500", "3")], [("2530", "1"), ("2520", "4")]), NOW_NS)
    hot.receive(book(8, [("2500", "0")], [("2515", "1")], "delta"), NOW_NS)

    (snapshot,) = sink.of(BookSnapshot)
    assert snapshot.bids == ((2500.0, 3.0), (2490.0, 2.0))
    assert snapshot.asks == ((2520.0, 4.0), (2530.0, 1.0))
    assert (snapshot.slot, snapshot.exchange_ns) == (0, EXCHANGE_NS)
    (delta,) = sink.of(BookDelta)
    assert (delta.bids, delta.asks) == (((2500.0, 0.0),), ((2515.0, 1.0),))
    assert sink.quotes == []


def test_forward_is_that_of_the_expiry_and_paced() -> None:
    """Every ticker repeats it; ten a second are enough."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000]), assets=("BTC",), hot_days=1.0)
    near, far = connection(adapter, TICKER), connection(adapter, f"tickers.{FAR_CALL}")
    started(near)
    started(far)
    other = CALL.replace("60000", "70000")
    for millis, name, price in (
        (0, CALL, "61200.25"),
        (60, other, "61201"),
        (100, other, "61202"),
    ):
        frame = ticker(name, underlyingPrice=price, stamp=STAMP + millis)
        near.receive(frame, NOW_NS + millis * NANOS_PER_MILLI)
    far.receive(ticker(FAR_CALL, underlyingPrice="63000"), NOW_NS)

    found = [
        (e.asset, e.quote_currency, e.expiry_ns, e.price, e.exchange_ns)
        for e in sink.of(ForwardMark)
    ]
    btc, near_ns = Asset("BTC"), parse_instant(NEAR)
    assert found == [
        (btc, "USDT", near_ns, 61200.25, EXCHANGE_NS),
        (btc, "USDT", near_ns, 61202.0, EXCHANGE_NS + 100 * NANOS_PER_MILLI),
        (btc, "USDT", parse_instant(FAR), 63000.0, EXCHANGE_NS),
    ]


def test_index_is_paced_by_the_second() -> None:
    """One coin, one index."""
    sink = Sink()
    _, _, chain_1 = live(sink)
    for millis in (0, 500, 1_000):
        chain_1.receive(ticker(indexPrice=f"{61_000 + millis}"), NOW_NS + millis * NANOS_PER_MILLI)

    assert [(e.asset, e.quote_currency, e.price) for e in sink.of(IndexPrice)] == [
        (Asset("BTC"), "USDT", 61_000.0),
        (Asset("BTC"), "USDT", 62_000.0),
    ]


def test_marks_and_open_interest_are_gathered() -> None:
    """The newest of each option, once a second; volatilities are fractions on this wire."""
    sink = Sink()
    adapter = listed(sink, chain([60_000], [NEAR]), assets=("BTC",), hot_days=1.0)
    chain_1 = started(connection(adapter, TICKER))
    put = CALL.replace("-C-", "-P-")
    chain_1.receive(ticker(), NOW_NS)
    chain_1.receive(ticker(put, markPrice="1300", markPriceIv="0", openInterest="0"), NOW_NS + 1)
    chain_1.receive(ticker(markPrice="2512", openInterest="19"), NOW_NS + NANOS_PER_SECOND)

    first, second = sink.of(MarkQuote)
    assert (first.slots, first.prices, first.implied_vols) == ((0,), (2511.5,), (0.5421,))
    assert (second.slots, second.prices) == ((0, 1), (2512.0, 1300.0))
    assert second.implied_vols[0] == 0.5421
    assert isnan(second.implied_vols[1])
    assert [event.amounts for event in sink.of(OpenInterest)] == [(18.93,), (19.0, 0.0)]


def test_contracts_are_adopted_by_name_without_a_catalog() -> None:
    """A foreign recording holds frames only."""
    sink = Sink()
    hot = make(sink, assets=()).connections()[0]
    hot.start(NOW_NS)
    hot.receive(ticker("SOL-28APR23-30-C"), NOW_NS)
    hot.receive(book(5, name="SOL-28APR23-30-C"), NOW_NS)
    hot.receive(ticker("SOLUSDT"), NOW_NS)

    assert [quote[0] for quote in sink.quotes] == [0, 0]
    assert hot.counts == {"ignored.unlisted": 1}


def test_status_frame_is_understood() -> None:
    """The same rows come by a topic of their own."""
    sink = Sink()
    _, hot, _ = live(sink)
    row = {"id": "x", "state": "ongoing", "serviceTypes": [5], "product": [3], "env": 1}
    hot.receive(push("system.status", [row]), NOW_NS)
    hot.receive(push("system.status", [row | {"product": [1], "state": "completed"}]), NOW_NS)
    hot.receive(push("system.status", [row | {"state": "completed"}]), NOW_NS)

    assert [event.maintenance for event in sink.of(VenueState)] == [True, False]


def test_quotes_of_a_withdrawn_option_go_nowhere() -> None:
    """Its slot may be another's."""
    sink = Sink()
    adapter = listed(sink, chain([60_000, 70_000], [FAR]), assets=("BTC",))
    chain_1 = started(connection(adapter, f"tickers.{FAR_CALL}"))
    chain_1.receive(ticker(FAR_CALL), NOW_NS)
    adapter.on_catalog(bodies(adapter, chain([70_000], [FAR])), NOW_NS + 1)
    chain_1.receive(ticker(FAR_CALL), NOW_NS + 2)

    assert len(sink.quotes) == 1
    assert chain_1.counts["ignored.unlisted"] == 1
