"""What Derive's pushes become: quotes, forwards, indices, marks, open interest."""

from math import isnan, nan
from typing import Any

import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import (
    CALL,
    NEAR,
    NOW_NS,
    PUT,
    STAMP,
    bodies,
    chain,
    listed,
    make,
    option_row,
    push,
    running,
    slim,
    spot,
    ticker,
)
from volgauge.adapters.derive.messages import Pricing
from volgauge.adapters.derive.normalize import read_discount
from volgauge.adapters.derive.protocol import DeriveProtocol
from volgauge.domain.events import (
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import ProtocolViolation

STAMP_NS = STAMP * NANOS_PER_MILLI


def live(sink: Sink) -> DeriveProtocol:
    """A live hot connection of two options."""
    return running(listed(sink, chain([60_000], [NEAR])).connections()[0])


def test_derive_ticker_is_a_quote() -> None:
    """Prices per coin in USDC, sizes in coins, the ticker's own time."""
    sink = Sink()
    live(sink).receive(ticker(PUT), NOW_NS + 7)

    assert sink.quotes == [(1, 2500.0, 2510.0, 3.0, 4.5, STAMP_NS, NOW_NS + 7)]


def test_premium_is_undiscounted() -> None:
    """Divided by the factor, of which the venue has cut off half a digit on average."""
    sink = Sink()
    live(sink).receive(ticker(pricing={"df": "0.987"}), NOW_NS)

    (quote,) = sink.quotes
    assert quote[1] == pytest.approx(2500 / 0.9875, rel=1e-15)
    assert quote[2] == pytest.approx(2510 / 0.9875, rel=1e-15)
    assert quote[3:5] == (3.0, 4.5)
    assert sink.of(MarkQuote)[0].prices == pytest.approx((2505 / 0.9875,), rel=1e-15)


@pytest.mark.parametrize(
    ("printed", "factor"),
    [(0.999, 0.9995), (1.0, 1.0), (1.001, 1.001), (0.0, nan), (0.49, nan), (1.51, nan)],
)
def test_factor_is_the_middle_of_what_was_printed(printed: float, factor: float) -> None:
    """One that cannot be is none."""
    assert read_discount(Pricing(discount=printed)) == pytest.approx(factor, nan_ok=True)


@pytest.mark.parametrize(
    ("changes", "bid", "ask"),
    [
        ({"b": "0", "B": "0"}, (nan, nan), (2510.0, 4.5)),
        ({"b": "0"}, (nan, nan), (2510.0, 4.5)),
        ({"B": "0"}, (nan, nan), (2510.0, 4.5)),
        ({"a": "0", "A": "0"}, (2500.0, 3.0), (nan, nan)),
        ({"a": "0", "A": "0", "b": "0", "B": "0"}, (nan, nan), (nan, nan)),
        ({"b": "-1"}, (nan, nan), (2510.0, 4.5)),
        ({"a": "x"}, (2500.0, 3.0), (nan, nan)),
        ({"A": None}, (2500.0, 3.0), (nan, nan)),
        ({"B": ""}, (nan, nan), (2510.0, 4.5)),
        ({"b": "1e400"}, (nan, nan), (2510.0, 4.5)),
        ({"a": "nan"}, (2500.0, 3.0), (nan, nan)),
        ({"a": 2510, "A": 4.5}, (2500.0, 3.0), (2510.0, 4.5)),
    ],
)
def test_absent_derive_side_is_nan(
    changes: dict[str, Any], bid: tuple[float, float], ask: tuple[float, float]
) -> None:
    """Price and size go together; a number that makes no sense is an absent one, and counted."""
    sink = Sink()
    hot = live(sink)
    hot.receive(ticker(**changes), NOW_NS)

    expected = (bid[0], ask[0], bid[1], ask[1])
    assert sink.quotes[0][1:5] == pytest.approx(expected, nan_ok=True)
    senseless = {"-1", "x", "1e400", "nan"} & {str(value) for value in changes.values()}
    assert hot.counts["rejected.bad_number"] == len(senseless)


@pytest.mark.parametrize("changes", [{"option_pricing": None}, {"pricing": {"df": "0"}}])
def test_price_without_its_factor_is_no_quote(changes: dict[str, Any]) -> None:
    """It cannot be told in our unit: both sides are absent, nothing is guessed."""
    sink = Sink()
    hot = live(sink)
    hot.receive(ticker(**changes), NOW_NS)

    assert all(isnan(value) for value in sink.quotes[0][1:5])
    assert hot.counts["rejected.no_discount"] == 1
    assert all(isnan(price) for event in sink.of(MarkQuote) for price in event.prices)


def test_forward_of_the_expiry_is_told_ten_times_a_second() -> None:
    """By whichever ticker brings it first."""
    sink = Sink()
    hot = live(sink)
    for step, name in enumerate([CALL, PUT, CALL, PUT]):
        hot.receive(
            ticker(name, pricing={"f": f"6123{step}.5"}), NOW_NS + step * 40 * NANOS_PER_MILLI
        )

    first, second = sink.of(ForwardMark)
    assert (first.asset, first.quote_currency, first.price) == ("BTC", "USDC", 61_230.5)
    assert first.expiry_ns == sink.of(InstrumentsListed)[0].instruments[0].expiry_ns
    assert first.exchange_ns == STAMP_NS
    assert (second.price, second.received_ns) == (61_233.5, NOW_NS + 120 * NANOS_PER_MILLI)


def test_index_is_told_once_a_second() -> None:
    """By the spot feed or by a ticker."""
    sink = Sink()
    hot = live(sink)
    second_ns = NOW_NS + NANOS_PER_SECOND
    hot.receive(spot(price="1"), second_ns - 1)
    hot.receive(ticker(I="61010"), second_ns)
    hot.receive(spot(price="61020"), second_ns + NANOS_PER_SECOND)

    assert [(e.asset, e.quote_currency, e.price) for e in sink.of(IndexPrice)] == [
        ("BTC", "USD", 61_000.5), ("BTC", "USD", 61_010.0), ("BTC", "USD", 61_020.0),
    ]  # fmt: skip
    assert {e.exchange_ns for e in sink.of(IndexPrice)} == {STAMP_NS}


def test_marks_and_open_interest_are_gathered() -> None:
    """Together once a second, in the order of the slots."""
    sink = Sink()
    hot = live(sink)
    hot.receive(ticker(PUT), NOW_NS)
    hot.receive(ticker(PUT, {"i": "0.6"}, M="99", t=STAMP + 5), NOW_NS + 1)
    hot.receive(ticker(CALL, {"i": "0"}, M="0"), NOW_NS + 2)
    hot.receive(ticker(PUT, stats=None), NOW_NS + NANOS_PER_SECOND)

    first, second = sink.of(MarkQuote)
    assert (first.slots, first.prices, first.implied_vols) == ((1,), (2505.0,), (0.515,))
    assert second.slots == (0, 1)
    assert second.prices == pytest.approx((nan, 2505.0), nan_ok=True)
    assert second.implied_vols == pytest.approx((nan, 0.515), nan_ok=True)
    assert second.exchange_ns == STAMP_NS + 5 * NANOS_PER_MILLI
    assert [(e.slots, e.amounts) for e in sink.of(OpenInterest)] == [
        ((1,), (42.13,)), ((0, 1), (42.13, 42.13)),
    ]  # fmt: skip


def test_gathered_readings_of_an_option_that_went_are_dropped() -> None:
    """Its slot is another's by then; those of the others wait on."""
    sink = Sink()
    adapter = listed(sink, chain([60_000], [NEAR]))
    hot = running(adapter.connections()[0])
    hot.receive(ticker(CALL), NOW_NS)
    hot.receive(ticker(CALL, M="99"), NOW_NS + 1)
    hot.receive(ticker(PUT, M="77"), NOW_NS + 2)
    other = option_row(f"BTC-{NEAR}-70000-C")
    adapter.on_catalog(bodies(adapter, [option_row(PUT), other]), NOW_NS + 3)
    hot.receive(ticker(PUT, M="78", stats=None), NOW_NS + NANOS_PER_SECOND)

    last = sink.of(MarkQuote)[-1]
    assert (last.slots, last.prices) == ((1,), (78.0,))
    assert sink.of(OpenInterest)[-1].slots == (1,)


def test_ticker_of_an_unlisted_option_is_counted() -> None:
    """Expired, or of an asset that is not asked for."""
    sink = Sink()
    hot = live(sink)
    hot.receive(ticker("SOL-20260731-100-C"), NOW_NS)
    hot.receive(spot("SOL"), NOW_NS)

    assert sink.quotes == []
    assert hot.counts["ignored.unlisted"] == 1
    assert hot.counts["ignored.index"] == 1


def test_without_a_catalog_options_are_listed_by_name() -> None:
    """A foreign recording has no listing."""
    sink = Sink()
    hot, _ = make(sink, assets=()).connections()
    hot.start(NOW_NS)
    hot.receive(ticker(), NOW_NS)
    hot.receive(ticker(PUT, interval="1000"), NOW_NS)
    hot.receive(ticker("BTC-PERP"), NOW_NS)

    names = [i.name for event in sink.of(InstrumentsListed) for i in event.instruments]
    assert names == [CALL, PUT]
    assert [quote[0] for quote in sink.quotes] == [0, 1]
    assert hot.counts == {"ignored.unlisted": 1}


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"pong",
        b"[]",
        push(f"ticker_slim.{CALL}.100", {}),
        push(f"ticker_slim.{CALL}.100", {"instrument_ticker": {"b": "1"}}),
        push(f"ticker_slim.{CALL}.100", {"instrument_ticker": slim() | {"t": -1}}),
        push("spot_feed.BTC", {"feeds": {"BTC": {"price": "x"}}, "timestamp": STAMP}),
    ],
    ids=["empty", "text", "list", "no-ticker", "no-time", "time", "spot"],
)
def test_frame_outside_the_derive_schema_is_a_violation(frame: bytes) -> None:
    """Not ours to guess."""
    with pytest.raises(ProtocolViolation):
        live(Sink()).receive(frame, NOW_NS)


@pytest.mark.parametrize(
    ("frame", "fact"),
    [
        (push("orderbook.ETH-USDC.1.10", {"bids": []}), "ignored.channel"),
        (push("trades.BTC-PERP", []), "ignored.channel"),
        (b'{"method":"subscription"}', "ignored.frame"),
        (b"{}", "ignored.frame"),
    ],
)
def test_unknown_derive_frame_is_counted(frame: bytes, fact: str) -> None:
    """New channels break nothing."""
    hot = live(Sink())
    hot.receive(frame, NOW_NS)

    assert hot.counts[fact] == 1


def test_option_that_is_gone_is_not_quoted_through_the_old_route() -> None:
    """The hot path follows the listing."""
    sink = Sink()
    hot = running(listed(sink, [option_row()], reconnect_after_seconds=1e9).connections()[0])
    expiry_ns = sink.of(InstrumentsListed)[0].instruments[0].expiry_ns
    hot.receive(spot(), expiry_ns)
    hot._expire(expiry_ns)
    hot.receive(ticker(), expiry_ns)

    assert sink.quotes == []
    assert hot.counts["ignored.unlisted"] == 1
