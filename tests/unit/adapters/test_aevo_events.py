"""What Aevo's pushes become: quotes, indices, the forwards that follow them, marks."""

from math import isnan, nan
from typing import Any

import pytest

from fakes.aevo_lab import (
    BOOKS,
    CALL,
    FAR_CALL,
    NEAR,
    NOW_NS,
    PUT,
    STAMP,
    bodies,
    books,
    chain,
    expiry_of,
    index,
    listed,
    make,
    option_row,
    row,
    running,
    tickers,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.endpoints import BASIS_AGE_NS, REFERENCE_SPACING_NS
from volgauge.domain.events import ForwardMark, IndexPrice, InstrumentsListed, MarkQuote
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND


def two(sink: Sink) -> AevoAdapter:
    """An adapter of a call (slot 0) and a put (slot 1)."""
    return listed(sink, chain([60_000], [NEAR]))


def test_aevo_top_is_a_quote() -> None:
    """Prices per coin in USDC, sizes in coins, the frame's own nanoseconds."""
    sink = Sink()
    running(two(sink)).receive(books(row(PUT)), NOW_NS + 7)

    assert sink.quotes == [(1, 2500.0, 2510.0, 3.0, 4.5, STAMP, NOW_NS + 7)]


def test_whole_chain_comes_in_one_frame() -> None:
    """Each row is a quote of its option, whatever the order."""
    sink = Sink()
    rows = chain(range(20_000, 100_000, 1_000))
    protocol = running(listed(sink, rows))
    names = [each["instrument_name"] for each in reversed(rows)]
    tops = [row(name, bid=(str(place + 1), "1")) for place, name in enumerate(names)]
    protocol.receive(books(*tops), NOW_NS)

    assert len(sink.quotes) == 320
    assert {quote[0] for quote in sink.quotes} == set(range(320))
    assert [quote[1] for quote in sink.quotes] == [float(n + 1) for n in range(320)]
    assert protocol.counts == {}


def test_channel_of_one_option_is_read_as_well() -> None:
    """As the pages print it."""
    sink = Sink()
    running(two(sink)).receive(books(channel=f"book-ticker:{CALL}"), NOW_NS)

    assert len(sink.quotes) == 1


@pytest.mark.parametrize(
    "side", [{}, None, {"price": "0", "amount": "3"}, {"price": "5", "amount": "0"}, {"price": ""}]
)
def test_aevo_side_that_is_none_is_absent(side: object) -> None:
    """Never 0, and the other side stands."""
    sink = Sink()
    running(two(sink)).receive(books(row(bid=None, ask=("7", "2")) | {"bid": side}), NOW_NS)

    assert sink.quotes == [pytest.approx((0, nan, 7.0, nan, 2.0, STAMP, NOW_NS), nan_ok=True)]


@pytest.mark.parametrize("number", ["-1", "NaN", "Infinity", "1e300", "x", -3.5])
def test_senseless_aevo_number_is_absent_and_counted(number: object) -> None:
    """The other rows of the frame are quoted."""
    sink = Sink()
    protocol = running(two(sink))
    bad = row(CALL) | {"ask": {"price": number, "amount": "1"}}
    protocol.receive(books(bad, row(PUT)), NOW_NS)

    assert [quote[0] for quote in sink.quotes] == [0, 1]
    assert isnan(sink.quotes[0][2])
    assert sink.quotes[1][2] == 2510.0
    assert protocol.counts == {"rejected.bad_number": 1}


@pytest.mark.parametrize(
    "bad", [7, {}, {"instrument_name": 5}, {"instrument_name": CALL, "bid": 3}]
)
def test_senseless_row_is_one_row(bad: object) -> None:
    """Counted; the others are quoted."""
    sink = Sink()
    protocol = running(two(sink))
    protocol.receive(books(bad, row(PUT)), NOW_NS)

    assert [quote[0] for quote in sink.quotes] == [1]
    assert protocol.counts == {"rejected.bad_row": 1}


def test_older_top_is_ignored() -> None:
    """Of one option; the same instant is no older."""
    sink = Sink()
    protocol = running(two(sink))
    for bid, stamp in (("2500", STAMP), ("2501", STAMP), ("2400", STAMP - 1)):
        protocol.receive(books(row(bid=(bid, "1")), stamp=stamp), NOW_NS)
    protocol.receive(books(row(PUT), stamp=STAMP - 1), NOW_NS)

    assert [(quote[0], quote[1]) for quote in sink.quotes] == [
        (0, 2500.0),
        (0, 2501.0),
        (1, 2500.0),
    ]
    assert protocol.counts == {"ignored.older": 1}


def test_stamp_from_far_ahead_shuts_nothing_out() -> None:
    """One wrong digit must not silence an option for ever."""
    sink = Sink()
    protocol = running(two(sink))
    protocol.receive(books(stamp=STAMP + 10 * NANOS_PER_MINUTE), NOW_NS)
    protocol.receive(books(row(bid=("2501", "1"))), NOW_NS)

    assert [quote[1] for quote in sink.quotes] == [2500.0, 2501.0]
    assert protocol.counts == {"rejected.stamp": 1}


def test_throttled_ticker_quotes_what_the_other_has_not_told() -> None:
    """And nothing else: half a second late it must not replace what is newer."""
    sink = Sink()
    protocol = running(two(sink))
    protocol.receive(books(row(CALL)), NOW_NS)
    protocol.receive(tickers(row(CALL, bid=("1", "1")), row(PUT)), NOW_NS + 1)
    protocol.receive(tickers(row(PUT, bid=("2600", "1")), stamp=STAMP + 1), NOW_NS + 2)
    protocol.receive(books(row(PUT, bid=("2700", "1")), stamp=STAMP + 2), NOW_NS + 3)
    protocol.receive(tickers(row(PUT, bid=("9", "1")), stamp=STAMP + 3), NOW_NS + 4)

    assert [(quote[0], quote[1]) for quote in sink.quotes] == [
        (0, 2500.0), (1, 2500.0), (1, 2600.0), (1, 2700.0),
    ]  # fmt: skip
    assert protocol.counts == {}


def test_marks_come_with_the_throttled_ticker() -> None:
    """Price in USDC, volatility as a fraction; 0 is none."""
    sink = Sink()
    protocol = running(two(sink))
    rows = (
        row(PUT) | {"mark": {"price": "12.5", "iv": "0.61"}},
        row(CALL) | {"mark": {"price": "13.5", "iv": "0"}},
        row("ETH-31JUL26-1-C"),
    )
    protocol.receive(tickers(*rows), NOW_NS)
    protocol.receive(tickers(row() | {"mark": {"price": "0", "iv": "0.5"}}), NOW_NS)

    (mark,) = sink.of(MarkQuote)
    assert (mark.slots, mark.prices, mark.exchange_ns) == ((0, 1), (13.5, 12.5), STAMP)
    assert mark.implied_vols == pytest.approx((nan, 0.61), nan_ok=True)


def test_index_is_told_ten_times_a_second_at_most() -> None:
    """With every forward that follows it."""
    sink = Sink()
    protocol = running(listed(sink, [option_row(), option_row(FAR_CALL)]))
    for after_ns, price in (
        (1, "1"),
        (REFERENCE_SPACING_NS, "62000"),
        (REFERENCE_SPACING_NS + 1, "1"),
    ):
        protocol.receive(index(price=price), NOW_NS + after_ns)

    assert [(e.price, e.received_ns) for e in sink.of(IndexPrice)] == [
        (61_000.5, NOW_NS), (62_000.0, NOW_NS + REFERENCE_SPACING_NS),
    ]  # fmt: skip
    assert [e.exchange_ns for e in sink.of(IndexPrice)] == [STAMP, STAMP]
    assert len(sink.of(ForwardMark)) == 4


def test_forward_is_the_listed_ratio_times_the_index() -> None:
    """Of each expiry its own; exact at the listing's index."""
    sink = Sink()
    rows = [option_row(), option_row(FAR_CALL, forward_price="63440")]
    protocol = running(listed(sink, rows))
    protocol.receive(index(price="122000"), NOW_NS + NANOS_PER_SECOND)
    last = {event.expiry_ns: event for event in sink.of(ForwardMark)}

    assert {ns: e.price for ns, e in last.items()} == {
        expiry_of(CALL): pytest.approx(2 * 61_610.0, rel=1e-15),
        expiry_of(FAR_CALL): pytest.approx(2 * 63_440.0, rel=1e-15),
    }
    assert {(e.asset, e.quote_currency, e.exchange_ns) for e in last.values()} == {
        ("BTC", "USDC", STAMP)
    }


@pytest.mark.parametrize(
    "changes",
    [{"forward_price": None}, {"forward_price": "0"}, {"index_price": "0"}, {"forward_price": "x"},
     {"forward_price": "200000"}, {"forward_price": "100"}, {"index_price": ""}],
)  # fmt: skip
def test_row_without_a_sound_forward_tells_none(changes: dict[str, Any]) -> None:
    """The option is listed all the same."""
    sink = Sink()
    running(listed(sink, [option_row(**changes)]))

    assert len(sink.of(InstrumentsListed)) == 1
    assert sink.of(ForwardMark) == []


def test_forward_that_is_not_listed_any_more_is_withdrawn_once() -> None:
    """By NaN, with the next index."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    protocol = running(adapter)
    adapter.on_catalog(bodies([option_row(forward_price=None)]), NOW_NS)
    for second in (1, 2):
        protocol.receive(index(), NOW_NS + second * NANOS_PER_SECOND)

    told, withdrawn = sink.of(ForwardMark)
    assert told.price > 0.0
    assert isnan(withdrawn.price)


def test_forward_of_an_old_listing_is_withdrawn() -> None:
    """A ratio is worth ten minutes."""
    sink = Sink()
    protocol = running(listed(sink, [option_row()]))
    protocol.receive(index(), NOW_NS + BASIS_AGE_NS)
    protocol.receive(index(), NOW_NS + BASIS_AGE_NS + REFERENCE_SPACING_NS)

    assert [isnan(event.price) for event in sink.of(ForwardMark)] == [False, False, True]


@pytest.mark.parametrize("frame", [index("DOGE"), index(price="0")])
def test_index_that_is_none_of_ours_is_counted(frame: bytes) -> None:
    """An unknown coin, or no price."""
    sink = Sink()
    protocol = running(two(sink))
    protocol.receive(frame, NOW_NS + NANOS_PER_SECOND)

    assert protocol.counts == {"ignored.index": 1}
    assert len(sink.of(IndexPrice)) == 1


def test_option_is_listed_by_its_name_without_a_catalog() -> None:
    """As a foreign recording needs it; a perpetual is no option."""
    sink = Sink()
    (protocol,) = make(sink, assets=()).connections()
    protocol.start(NOW_NS)
    protocol.receive(books(row(), row("BTC-PERP"), row("BTC-1JAN27-0.5-P")), NOW_NS)

    names = [i.name for e in sink.of(InstrumentsListed) for i in e.instruments]
    assert names == [CALL, "BTC-1JAN27-0.5-P"]
    assert [quote[0] for quote in sink.quotes] == [0, 1]
    assert protocol.counts == {"ignored.unlisted": 1}


def test_top_that_came_before_its_listing_is_quoted_with_it() -> None:
    """A top is told once, when it changes: it holds until the listing is read."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    protocol = running(adapter)
    protocol.receive(books(row(PUT, bid=("1", "1")), stamp=STAMP - 5), NOW_NS)
    protocol.receive(books(row(PUT)), NOW_NS)
    protocol.receive(books(row(PUT, bid=("2", "1")), stamp=STAMP - 1), NOW_NS)
    assert sink.quotes == []
    adapter.on_catalog(bodies([option_row(), option_row(PUT)]), NOW_NS + 9)

    assert sink.quotes == [(1, 2500.0, 2510.0, 3.0, 4.5, STAMP, NOW_NS + 9)]
    assert protocol.counts["ignored.unlisted"] == 3
    assert BOOKS in protocol._subscriptions.plan
