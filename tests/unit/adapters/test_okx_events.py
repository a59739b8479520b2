"""Each push of OKX as the event it becomes: units, absent sides, senseless numbers."""

from math import nan

import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import (
    CALL,
    MARGINED_CALL,
    NOW_NS,
    PUT,
    STAMP,
    Row,
    bbo,
    index,
    level,
    listed,
    make,
    option_row,
    push,
    running,
    summaries,
    summary,
    ticker,
)
from volgauge.adapters.okx.protocol import OkxProtocol
from volgauge.domain.events import (
    BookSnapshot,
    ForwardMark,
    IndexPrice,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant
from volgauge.errors import ProtocolViolation

STAMP_NS = STAMP * NANOS_PER_MILLI
EXPIRY_NS = parse_instant("2026-07-31T08:00:00Z")


def session(*names: str, place: int = 0) -> tuple[OkxProtocol, Sink]:
    """A live connection with these options listed."""
    sink = Sink()
    adapter = listed(sink, [option_row(name) for name in names or (CALL,)])
    return running(adapter.connections()[place]), sink


def test_best_bid_and_offer_in_the_underlying() -> None:
    """Prices as they are, sizes in contracts of a hundredth."""
    hot, sink = session()
    hot.receive(bbo(), NOW_NS + 3)

    assert sink.quotes == [(0, 0.05, 0.0505, 3.0, 4.5, STAMP_NS, NOW_NS + 3)]


def test_ticker_is_the_same_quote() -> None:
    """Fields instead of levels."""
    wings, sink = session(place=1)
    wings.receive(ticker(), NOW_NS + 3)

    assert sink.quotes == [(0, 0.05, 0.0505, 3.0, 4.5, STAMP_NS, NOW_NS + 3)]


def test_margined_premium_stays_in_usd() -> None:
    """USD per unit of the underlying, not per contract."""
    hot, sink = session(MARGINED_CALL)
    hot.receive(bbo(MARGINED_CALL, ("3060", "12"), ("3095", "7")), NOW_NS)

    assert sink.quotes[0][:5] == (0, 3_060.0, 3_095.0, 0.12, 0.07)


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        (None, ("0.0505", "450"), (nan, 0.0505, nan, 4.5)),
        (("0.05", "300"), None, (0.05, nan, 3.0, nan)),
        (None, None, (nan, nan, nan, nan)),
        (("0", "300"), ("0.0505", "0"), (nan, nan, nan, nan)),
    ],
    ids=["no-bid", "no-ask", "empty", "zeros"],
)
def test_absent_sides_of_a_book(
    bid: tuple[str, str] | None,
    ask: tuple[str, str] | None,
    expected: tuple[float, float, float, float],
) -> None:
    """An empty list, or a price or size of nought."""
    hot, sink = session()
    hot.receive(bbo(CALL, bid, ask), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx(expected, nan_ok=True)
    assert hot.counts["rejected.bad_number"] == 0


@pytest.mark.parametrize(
    "changes",
    [{"bidPx": "", "bidSz": ""}, {"bidPx": "0", "bidSz": "0"}, {"bidPx": "0.05", "bidSz": "0.0"}],
)
def test_absent_side_of_a_ticker(changes: dict[str, str]) -> None:
    """Spelled "" or "0"."""
    wings, sink = session(place=1)
    wings.receive(ticker(**changes), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx((nan, 0.0505, nan, 4.5), nan_ok=True)


@pytest.mark.parametrize("word", ["-0.05", "nan", "inf", "1e999", "∞", "4611686018427388", "x"])
def test_senseless_number_empties_the_quote(word: str) -> None:
    """Counted, and no half of a quote is kept."""
    wings, sink = session(place=1)
    wings.receive(ticker(bidPx=word), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx((nan, nan, nan, nan), nan_ok=True)
    assert wings.counts["rejected.bad_number"] == 1


@pytest.mark.parametrize("number", ["-1", "inf", "nan"])
def test_senseless_level_empties_the_quote(number: str) -> None:
    """The decoder reads these as numbers."""
    hot, sink = session()
    hot.receive(bbo(CALL, (number, "300")), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx((nan, nan, nan, nan), nan_ok=True)
    assert hot.counts["rejected.bad_number"] == 1


@pytest.mark.parametrize("number", ["", "x", "∞", "1e999", "0x1"])
def test_level_that_is_no_number_breaks_the_schema(number: str) -> None:
    """Nothing like it is documented."""
    hot, _ = session()

    with pytest.raises(ProtocolViolation):
        hot.receive(bbo(CALL, (number, "300")), NOW_NS)


def test_option_that_is_not_listed_is_counted() -> None:
    """It may be listed by the next catalog."""
    hot, sink = session()
    hot.receive(bbo(PUT), NOW_NS)

    assert sink.quotes == []
    assert hot.counts["ignored.unlisted"] == 1


def test_forward_of_an_expiry_is_the_newest_of_its_rows() -> None:
    """Rows are as old as their last change."""
    market, sink = session(CALL, PUT, place=2)
    rows = [
        summary(CALL, fwdPx="61300", ts=str(STAMP)),
        summary(PUT, fwdPx="61250", ts=str(STAMP - 500)),
    ]
    market.receive(summaries(rows), NOW_NS + 9)

    (forward,) = sink.of(ForwardMark)
    assert (forward.asset, forward.quote_currency) == ("BTC", "USD")
    assert (forward.expiry_ns, forward.price) == (EXPIRY_NS, 61_300.0)
    assert (forward.exchange_ns, forward.received_ns) == (STAMP_NS, NOW_NS + 9)


def test_older_forward_never_replaces_a_newer_one() -> None:
    """A later push may be about older rows."""
    market, sink = session(CALL, PUT, place=2)
    market.receive(summaries([summary(CALL, fwdPx="61300")]), NOW_NS)
    market.receive(summaries([summary(PUT, fwdPx="61000", ts=str(STAMP - 1))]), NOW_NS)

    assert [event.price for event in sink.of(ForwardMark)] == [61_300.0]
    assert market.counts["ignored.older_forward"] == 1


def test_each_family_has_its_forwards() -> None:
    """The USD-margined book is told apart by its quote currency."""
    market, sink = session(CALL, MARGINED_CALL, place=2)
    market.receive(summaries([summary(MARGINED_CALL, fwdPx="61310")], "BTC-USD_UM"), NOW_NS)

    (forward,) = sink.of(ForwardMark)
    assert (forward.quote_currency, forward.price) == ("USD_UM", 61_310.0)


def test_summary_tells_volatilities_as_fractions_and_no_price() -> None:
    """MarkVol is a fraction already; opt-summary has no mark price."""
    market, sink = session(CALL, PUT, place=2)
    market.receive(summaries([summary(CALL), summary(PUT, markVol="", ts=str(STAMP + 1))]), NOW_NS)

    (marks,) = sink.of(MarkQuote)
    assert marks.slots == (0, 1)
    assert marks.implied_vols == pytest.approx((0.4876708033, nan), nan_ok=True)
    assert marks.prices == pytest.approx((nan, nan), nan_ok=True)
    assert marks.exchange_ns == (STAMP + 1) * NANOS_PER_MILLI


@pytest.mark.parametrize("word", ["", "0"])
def test_absent_forward_is_no_forward(word: str) -> None:
    """Frames of 2021 have none."""
    market, sink = session(place=2)
    market.receive(summaries([summary(fwdPx=word)]), NOW_NS)

    assert sink.of(ForwardMark) == []
    assert market.counts["rejected.bad_number"] == 0


@pytest.mark.parametrize("word", ["∞", "-1", "nan", "4611686018427388"])
def test_senseless_forward_is_counted(word: str) -> None:
    """As printed in the hour of expiry."""
    market, sink = session(place=2)
    market.receive(summaries([summary(fwdPx=word)]), NOW_NS)

    assert sink.of(ForwardMark) == []
    assert market.counts["rejected.bad_number"] == 1


def test_index_price() -> None:
    """In USD, for the asset."""
    market, sink = session(place=2)
    before = len(sink.of(IndexPrice))
    market.receive(index("BTC-USD", "61000.5"), NOW_NS + 4)
    market.receive(index("XRP-USD"), NOW_NS + 4)
    market.receive(index("BTC-USD", ""), NOW_NS + 4)

    (event,) = sink.of(IndexPrice)[before:]
    assert (event.asset, event.quote_currency, event.price) == ("BTC", "USD", 61_000.5)
    assert (event.exchange_ns, event.received_ns) == (STAMP_NS, NOW_NS + 4)
    assert market.counts["ignored.index"] == 1
    assert market.counts["rejected.bad_number"] == 1


def test_mark_price_and_open_interest_of_one_option() -> None:
    """A recording may hold them; live they come with the catalog or not at all."""
    market, sink = session(place=2)
    row: Row = {"instType": "OPTION", "instId": CALL, "ts": str(STAMP)}
    market.receive(push({"channel": "mark-price", "instId": CALL}, [row | {"markPx": "0.0501"}]), 5)
    market.receive(push({"channel": "open-interest", "instId": CALL}, [row | {"oi": "36"}]), 6)

    (marks,) = sink.of(MarkQuote)
    assert (marks.slots, marks.prices, marks.exchange_ns) == ((0,), (0.0501,), STAMP_NS)
    (interest,) = sink.of(OpenInterest)
    assert (interest.slots, interest.amounts) == ((0,), (0.36,))


def test_five_levels_are_a_snapshot() -> None:
    """Best first, sizes in the underlying."""
    sink = Sink()
    hot = running(listed(sink, [option_row(CALL)], depth_levels=5).connections()[0])
    row = {
        "bids": [level("0.05", "300"), level("0.0495", "100")],
        "asks": [level("0.051", "200"), level("0.0505", "450")],
        "ts": str(STAMP),
        "seqId": 12,
    }
    hot.receive(push({"channel": "books5", "instId": CALL}, [row]), NOW_NS)

    (book,) = sink.of(BookSnapshot)
    assert book.bids == ((0.05, 3.0), (0.0495, 1.0))
    assert book.asks == ((0.0505, 4.5), (0.051, 2.0))
    assert book.exchange_ns == STAMP_NS


def status(state: str, **changes: str) -> bytes:
    """A `status` frame."""
    row = {
        "title": "Options upgrade", "state": state, "begin": "1610019546", "end": "1610019599",
        "serviceType": "4", "system": "unified", "env": "1", "ts": str(STAMP),
    } | changes  # fmt: skip
    return push({"channel": "status"}, [row])


def test_maintenance_from_ongoing_to_completed() -> None:
    """Scheduled is not yet, pre_open matches nothing."""
    market, sink = session(place=2)
    for state in ("scheduled", "ongoing", "pre_open", "completed"):
        market.receive(status(state), NOW_NS)

    assert [(e.asset, e.maintenance) for e in sink.of(VenueState)] == [
        (None, True), (None, True), (None, False),
    ]  # fmt: skip
    assert market.counts["ignored.status"] == 1


def test_two_maintenances_end_one_by_one() -> None:
    """The venue is back when the last of them is."""
    market, sink = session(place=2)
    market.receive(status("ongoing"), NOW_NS)
    market.receive(status("ongoing", title="Websocket", serviceType="0"), NOW_NS)
    market.receive(status("canceled"), NOW_NS)
    market.receive(status("completed", title="Websocket", serviceType="0"), NOW_NS)

    assert [e.maintenance for e in sink.of(VenueState)] == [True, True, True, False]


@pytest.mark.parametrize("changes", [{"serviceType": "1"}, {"env": "2"}])
def test_status_of_something_else(changes: dict[str, str]) -> None:
    """Spot, or demo trading."""
    market, sink = session(place=2)
    market.receive(status("ongoing", **changes), NOW_NS)

    assert sink.of(VenueState) == []


def test_new_session_ends_a_maintenance() -> None:
    """The venue tells again what still goes on."""
    market, sink = session(place=2)
    market.receive(status("ongoing"), NOW_NS)
    market.disconnected(NOW_NS + 1, "closed")
    running(market, NOW_NS + 2)

    assert [e.maintenance for e in sink.of(VenueState)] == [True, False]


def test_listing_push_brings_the_catalog_forward() -> None:
    """A burst is gathered for a second, and the venue's rate limit is kept."""
    sink = Sink()
    adapter = listed(sink, [option_row(CALL)])
    market = running(adapter.connections()[2])
    arg = {"channel": "instruments", "instType": "OPTION"}
    late_ns = NOW_NS + 30_000_000_000
    market.receive(push(arg, [option_row(PUT)]), late_ns)
    assert adapter.catalog_due_ns == late_ns + 1_000_000_000

    other = listed(sink, [option_row(CALL)])
    market = running(other.connections()[2])
    market.receive(push(arg, [option_row(PUT)]), NOW_NS + 1)
    assert other.catalog_due_ns == NOW_NS + 10_000_000_000


def test_recording_without_a_catalog_lists_by_name() -> None:
    """A purchased history: terms from the name, both families."""
    sink = Sink()
    hot = make(sink, assets=()).connections()[0]
    hot.start(NOW_NS)
    hot.receive(bbo(CALL), NOW_NS)
    hot.receive(bbo(MARGINED_CALL, ("3060", "12"), ("3095", "7")), NOW_NS)
    hot.receive(bbo("XRP-USD_UM-260731-3-C"), NOW_NS)
    hot.receive(bbo("BTC-USD-260231-3-C"), NOW_NS)
    hot.receive(bbo("BTC-USD-SWAP"), NOW_NS)
    hot.receive(index(), NOW_NS)

    found = [event.instruments[0] for event in sink.of(InstrumentsListed)]
    assert [(i.name, i.strike, i.expiry_ns) for i in found] == [
        (CALL, 60_000.0, EXPIRY_NS), (MARGINED_CALL, 60_000.0, EXPIRY_NS),
    ]  # fmt: skip
    assert [i.quote_currency for i in found] == ["USD", "USD_UM"]
    assert [quote[3] for quote in sink.quotes] == [3.0, 0.12]
    assert hot.counts["ignored.unlisted"] == 3
    assert [event.price for event in sink.of(IndexPrice)] == [61_000.5]


@pytest.mark.parametrize(
    ("frame", "counted"),
    [
        (push({"channel": "estimated-price", "instType": "OPTION"}, []), "ignored.channel"),
        (push({"channel": "instruments", "instType": "SWAP"}, []), "ignored.unlisted"),
        (b'{"arg":{"args":"estimated-price"},"data":[]}', "ignored.frame"),
        (b"{}", "ignored.frame"),
        (b'{"event":"login","code":"0"}', "ignored.notice"),
        (b"pong", "ignored.heartbeat"),
        (b'{"event":"subscribe","arg":{"channel":"tickers","instId":"X"}}', "ignored.answer"),
    ],
)
def test_what_we_do_not_read_is_counted(frame: bytes, counted: str) -> None:
    """Never an error: the venue adds channels and fields."""
    hot, _ = session()
    hot.receive(frame, NOW_NS)

    assert hot.counts[counted] == 1


@pytest.mark.parametrize(
    "frame",
    [b"", b"{", b"[]", b"\xff", b'{"arg":[]}', b'{"arg":{"channel":"bbo-tbt"},"data":{}}',
     push({"channel": "opt-summary", "instFamily": "BTC-USD"}, [{"instId": 1}])],
)  # fmt: skip
def test_broken_frames_are_violations(frame: bytes) -> None:
    """The session ends and begins anew."""
    hot, _ = session()

    if frame == b'{"arg":{"channel":"bbo-tbt"},"data":{}}':
        hot.receive(frame, NOW_NS)
        assert hot.counts["ignored.unlisted"] == 1
    else:
        with pytest.raises(ProtocolViolation):
            hot.receive(frame, NOW_NS)
