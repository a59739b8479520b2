"""Life of one websocket session: start, data, heartbeats, silence, loss, resynchronisation."""

import json
from math import nan

import pytest

from fakes.deribit_lab import (
    NEAR,
    NOW_NS,
    Sink,
    answer,
    bodies,
    chain,
    listed,
    make,
    notification,
    option_row,
    pulse,
    quote,
    refusal,
    sent,
    settle,
)
from volgauge.adapters.base import State
from volgauge.domain.events import BookDelta, BookSnapshot, FeedDown, FeedUp, Gap, VenueState
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited, VenueError, VenueUnavailable

CALL = "BTC-31JUL26-60000-C"
BOOK = f"book.{CALL}.100ms"


def book(kind: str, change_id: int, previous: int | None = None, price: float = 0.05) -> bytes:
    """A frame of the depth channel."""
    link = {} if previous is None else {"prev_change_id": previous}
    data = {
        "type": kind,
        "timestamp": 1_782_907_200_500,
        "instrument_name": CALL,
        "change_id": change_id,
        "bids": [["new", price, 3.0]],
        "asks": [["new", 0.06, 2.0], ["new", 0.055, 1.0]],
        **link,
    }
    return notification(BOOK, data)


def test_start_asks_for_heartbeats_and_the_plan() -> None:
    """The venue would close an idle socket after a minute."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)

    methods = [request["method"] for request in sent(hot)]
    assert methods == ["public/set_heartbeat", "public/subscribe"]
    assert hot.state is State.SUBSCRIBING


def test_session_before_the_first_catalog_waits_for_its_plan() -> None:
    """Sockets may be open before the listing is read."""
    adapter = make(Sink())
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    assert [request["method"] for request in sent(hot)] == ["public/set_heartbeat"]

    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)

    (request,) = sent(hot)
    assert request["params"] == {"channels": ["deribit_price_index.btc_usd", f"quote.{CALL}"]}


def test_first_data_make_the_feed_live_once() -> None:
    """An acknowledgement is no data."""
    sink = Sink()
    hot = listed(sink, [option_row()]).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    assert sink.of(FeedUp) == []

    hot.receive(quote(), NOW_NS + 5)
    hot.receive(quote(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("hot", NOW_NS + 5)]
    assert hot.state is State.LIVE
    expected = (0, 0.05, 0.051, 3.0, 4.5, 1_782_907_200_123_000_000)
    assert [q[:6] for q in sink.quotes] == [expected, expected]


def test_test_request_is_answered_at_once() -> None:
    """Ten seconds without `public/test` and the venue closes with 4000."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)

    hot.receive(b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}', NOW_NS)

    assert [request["method"] for request in sent(hot)] == ["public/test"]


def test_heartbeats_and_answers_do_not_count_as_data() -> None:
    """Row 1 of the fault table: silent venue, living heartbeats."""
    hot = listed(Sink(), [option_row()], reconnect_after_seconds=10.0).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    hot.receive(pulse(), NOW_NS + NANOS_PER_SECOND)
    for second in range(2, 11):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        hot.receive(b'{"params":{"type":"heartbeat"},"method":"heartbeat"}', now_ns)
        hot.on_timeout(now_ns)

    with pytest.raises(FeedStale, match="no data"):
        hot.on_timeout(NOW_NS + 11 * NANOS_PER_SECOND)


def test_pulse_keeps_a_quiet_socket_alive() -> None:
    """Wings at night: nobody quotes, the index price comes each second."""
    wings = listed(Sink(), chain([60_000])).connections()[1]
    wings.start(NOW_NS)
    settle(wings, NOW_NS)
    for second in range(1, 120):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        wings.receive(pulse(), now_ns)
        wings.on_timeout(now_ns)

    assert wings.state is State.LIVE


def test_venue_that_answers_nothing_is_left() -> None:
    """A request without an answer must not be waited for for ever."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)
    due_ns = hot.next_timeout_ns
    assert due_ns is not None
    assert due_ns <= NOW_NS + 10 * NANOS_PER_SECOND

    with pytest.raises(FeedStale, match="not answered"):
        hot.on_timeout(due_ns)


def test_unanswered_test_or_status_is_only_counted() -> None:
    """Data flow; a lost answer of no consequence ends nothing."""
    market = listed(Sink(), [option_row()]).connections()[2]
    market.start(NOW_NS)
    for request in sent(market):
        if request["method"] != "public/status":
            result = request["params"].get("channels", "ok")
            market.receive(answer(request, result), NOW_NS)
    later_ns = NOW_NS + 10 * NANOS_PER_SECOND
    market.receive(pulse(), later_ns - 1)
    market.on_timeout(later_ns)

    assert market.counts["request_unanswered"] == 1


def test_loss_tells_whose_quotes_are_worth_nothing() -> None:
    """The slots of this connection only; the next session starts from nothing."""
    sink = Sink()
    hot, wings, _ = listed(sink, chain([60_000])).connections()
    for protocol in (hot, wings):
        protocol.start(NOW_NS)
        settle(protocol, NOW_NS)
    hot.receive(quote(), NOW_NS)

    hot.disconnected(NOW_NS + 9, "lost")
    hot.disconnected(NOW_NS + 10, "lost")

    (down,) = sink.of(FeedDown)
    assert (down.connection, down.slots, down.reason) == ("hot", (0, 1), "lost")
    assert not down.feeds_forwards
    assert hot.state is State.IDLE
    assert hot.next_timeout_ns is None
    hot.start(NOW_NS + 20)
    (request,) = sent(hot, "public/subscribe")
    assert len(request["params"]["channels"]) == 3


def test_loss_of_the_market_takes_forwards_along_and_no_quote() -> None:
    """Also where a ticker tells the forward: its option is quoted on another connection."""
    sink = Sink()
    market = listed(sink, chain([60_000])).connections()[-1]
    market.start(NOW_NS)
    settle(market, NOW_NS)
    market.disconnected(NOW_NS + 9, "lost")

    (down,) = sink.of(FeedDown)
    assert (down.connection, down.slots, down.feeds_forwards) == ("market", (), True)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (refusal(10028, "too_many_requests"), RateLimited),
        (refusal(11051, "system_maintenance"), VenueUnavailable),
        (refusal(10041, "settlement_in_progress"), VenueUnavailable),
        (refusal(10047, "matching_engine_queue_full"), VenueUnavailable),
        (refusal(13028, "temporarily_unavailable"), VenueUnavailable),
        (refusal(-32600, "request entity too large"), ProtocolViolation),
        (refusal(11050, "bad_request"), ProtocolViolation),
        (refusal(13778, "raw_subscriptions_not_available_for_unauthorized"), ProtocolViolation),
        (refusal(-32601, "Method not found"), ProtocolViolation),
    ],
)
def test_errors_without_an_id_are_the_sessions(frame: bytes, kind: type[VenueError]) -> None:
    """No request is named, so the session is judged."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)

    with pytest.raises(kind):
        hot.receive(frame, NOW_NS)


def test_rate_limit_asks_for_a_long_pause() -> None:
    """The venue has closed the session by then."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)
    (request,) = sent(hot, "public/subscribe")

    with pytest.raises(RateLimited) as caught:
        hot.receive(refusal(10028, "too_many_requests", request), NOW_NS)

    assert caught.value.wait_seconds >= 30.0


def test_unknown_answers_and_frames_are_counted() -> None:
    """Nothing waits for them."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)
    hot.receive(b'{"jsonrpc":"2.0","id":999,"result":"ok"}', NOW_NS)
    hot.receive(b'{"jsonrpc":"2.0","id":"a","result":"ok"}', NOW_NS)
    hot.receive(b'{"jsonrpc":"2.0"}', NOW_NS)
    hot.receive(notification("announcements", {"id": "x", "state": 5}), NOW_NS)

    assert hot.counts["ignored.answer"] == 2
    assert hot.counts["ignored.frame"] == 1
    assert hot.counts["ignored.channel"] == 1


def test_gap_renews_one_book_by_unsubscribe_then_subscribe() -> None:
    """Sequence step 5: changes are dropped until the snapshot; no second subscribe before."""
    sink = Sink()
    hot = listed(sink, chain([60_000], [NEAR]), depth_levels=5).connections()[0]
    hot.start(NOW_NS)
    now_ns = settle(hot, NOW_NS)
    hot.receive(book("snapshot", 10), now_ns)
    hot.receive(book("change", 11, 10), now_ns)
    hot.receive(book("change", 13, 12), now_ns)
    hot.receive(book("change", 14, 13), now_ns)
    (drop,) = sent(hot)
    assert (drop["method"], drop["params"]) == ("public/unsubscribe", {"channels": [BOOK]})

    now_ns += NANOS_PER_SECOND
    hot.on_timeout(now_ns)
    assert sent(hot) == []
    hot.receive(answer(drop, [BOOK]), now_ns)
    (again,) = sent(hot)
    assert (again["method"], again["params"]) == ("public/subscribe", {"channels": [BOOK]})
    hot.receive(answer(again, [BOOK]), now_ns)
    hot.receive(book("snapshot", 20, price=0.07), now_ns)

    assert [type(event) for event in sink.events if not isinstance(event, FeedUp)][-4:] == [
        BookSnapshot, BookDelta, Gap, BookSnapshot,
    ]  # fmt: skip
    assert sink.of(Gap)[0].slots == (0,)
    assert hot.counts["gaps"] == 1
    assert hot.counts["ignored.book_waiting"] == 1


def test_snapshot_levels_come_best_first() -> None:
    """Whatever the venue's order."""
    sink = Sink()
    hot = listed(sink, [option_row()], depth_levels=5).connections()[0]
    hot.start(NOW_NS)
    hot.receive(book("snapshot", 10), NOW_NS)

    (event,) = sink.of(BookSnapshot)
    assert event.asks == ((0.055, 1.0), (0.06, 2.0))
    assert event.bids == ((0.05, 3.0),)
    assert event.exchange_ns == 1_782_907_200_500_000_000


@pytest.mark.parametrize(
    "level",
    [["new", -0.05, 1.0], ["new", 0.05, -1.0], ["swap", 0.05, 1.0], ["new", 0.05], [0.0, 1.0]],
)
def test_level_without_sense_breaks_its_book_only(level: list[object]) -> None:
    """It is not skipped: what the book holds after it would be wrong."""
    sink = Sink()
    hot = listed(sink, [option_row()], depth_levels=5).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    hot.receive(book("snapshot", 10), NOW_NS)
    frame = json.loads(book("change", 11, 10))
    frame["params"]["data"]["bids"] = [level]
    hot.receive(json.dumps(frame).encode(), NOW_NS)

    assert [gap.slots for gap in sink.of(Gap)] == [(0,)]
    assert hot.counts["rejected.bad_level"] == 1


def test_burst_of_announcements_is_one_refresh_and_not_too_often() -> None:
    """08:00 UTC: hundreds of them; the listing is read a second later, then every ten at most."""
    adapter = listed(Sink(), [option_row()])
    market = adapter.connections()[2]
    market.start(NOW_NS)
    later_ns = NOW_NS + 30 * NANOS_PER_SECOND
    state = notification(
        "instrument.state.option.BTC",
        {"timestamp": 1, "state": "created", "instrument_name": "BTC-3JUL26-60000-C"},
    )
    for number in range(300):
        market.receive(state, later_ns + number * 1_000_000)
    assert adapter.catalog_due_ns == later_ns + NANOS_PER_SECOND

    adapter.on_catalog(bodies(adapter, [option_row()]), adapter.catalog_due_ns)
    read_ns = later_ns + NANOS_PER_SECOND
    market.receive(state, read_ns + 1)
    assert adapter.catalog_due_ns == read_ns + 10 * NANOS_PER_SECOND


def test_lock_and_maintenance_reach_the_engine() -> None:
    """Of the indices that our books rest on; the others are counted."""
    sink = Sink()
    market = listed(sink, [option_row()]).connections()[2]
    market.start(NOW_NS)
    for data in (
        {"price_index": "btc_usd", "locked": True},
        {"price_index": "alt_usdc", "locked": True, "reasons": []},
        {"price_index": "btc_usd", "locked": False, "reasons": []},
        {"maintenance": True},
        {},
    ):
        market.receive(notification("platform_state", data), NOW_NS)

    assert [(e.asset, e.locked, e.maintenance) for e in sink.of(VenueState)] == [
        ("BTC", True, False), ("BTC", False, False), (None, False, True),
    ]  # fmt: skip
    assert market.counts["ignored.index"] == 1
    assert market.counts["ignored.platform_state"] == 1


def test_maintenance_ends_with_the_first_data_after_it() -> None:
    """Its end may be announced to a socket that is closed."""
    sink = Sink()
    market = listed(sink, [option_row()]).connections()[2]
    market.start(NOW_NS)
    market.receive(notification("platform_state", {"maintenance": True}), NOW_NS)
    market.disconnected(NOW_NS, "closed")
    market.start(NOW_NS + 1)
    market.receive(pulse(), NOW_NS + 2)

    assert [e.maintenance for e in sink.of(VenueState)] == [True, False]


def test_state_of_locks_is_asked_for_at_every_start() -> None:
    """An unlock may have been missed."""
    sink = Sink()
    market = listed(sink, [option_row()]).connections()[2]
    market.start(NOW_NS)
    (request,) = sent(market, "public/status")
    status = {"locked": "partial", "locked_indices": ["btc_usd", "eth_usdc"]}
    market.receive(answer(request, status), NOW_NS)

    assert [(e.asset, e.locked) for e in sink.of(VenueState)] == [("BTC", True)]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ({"bid": None}, (nan, 0.051, nan, 4.5)),
        ({"bid": 0.0}, (nan, 0.051, nan, 4.5)),
        ({"bid": 0}, (nan, 0.051, nan, 4.5)),
        ({"bid_size": 0.0}, (nan, 0.051, nan, 4.5)),
        ({"bid_size": None}, (nan, 0.051, nan, 4.5)),
        ({"ask": None, "ask_size": 0.0}, (0.05, nan, 3.0, nan)),
        ({"bid": 0.0, "ask": 0.0, "bid_size": 0.0, "ask_size": 0.0}, (nan,) * 4),
        ({"bid": -0.05}, (nan,) * 4),
        ({"ask_size": -1.0}, (nan,) * 4),
    ],
    ids=[
        "null", "0.0", "0", "no-size", "null-size", "no-ask", "neither", "negative-price",
        "negative-size",
    ],
)  # fmt: skip
def test_every_spelling_of_no_quote_is_nan(
    sides: dict[str, float | None], expected: tuple[float, ...]
) -> None:
    """An absent side has no price and no size; a number out of range leaves nothing."""
    sink = Sink()
    hot = listed(sink, [option_row()]).connections()[0]
    hot.start(NOW_NS)
    hot.receive(pulse(), NOW_NS)
    hot.receive(quote(**sides), NOW_NS)  # type: ignore[arg-type] # only sides

    assert sink.quotes[0][1:5] == pytest.approx(expected, nan_ok=True, abs=0.0)
    refused = any(value is not None and value < 0.0 for value in sides.values())
    assert hot.counts["rejected.bad_number"] == int(refused)


def test_missing_keys_of_a_quote_are_absent_sides() -> None:
    """Absent, null and 0 are one."""
    sink = Sink()
    hot = listed(sink, [option_row()]).connections()[0]
    hot.start(NOW_NS)
    hot.receive(pulse(), NOW_NS)
    hot.receive(notification(f"quote.{CALL}", {"timestamp": 5, "best_ask_price": 0.1}), NOW_NS)

    assert sink.quotes[0][1:5] == pytest.approx((nan,) * 4, nan_ok=True)


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e999", '"0.05"', "true", "[0.05]", "{}", "0x1", "05"],
)
def test_price_that_is_no_number_breaks_the_protocol(text: str) -> None:
    """The schema is violated: the session is renewed."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)
    frame = quote(bid=0.0512345).replace(b"0.0512345", text.encode())

    with pytest.raises(ProtocolViolation):
        hot.receive(frame, NOW_NS)


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b"\x00" * 64, b'{"params":5}', b"[" * 100_000,
        b'{"params":{"channel":"quote.BTC-31JUL26-60000-C","data":[]}}',
        b'{"params":{"channel":"deribit_price_index.btc_usd","data":{}}}',
        b'{"params":{"channel":"markprice.options.btc_usd","data":{"iv":1}}}',
        b'{"params":{"channel":"platform_state","data":{"locked":"yes"}}}',
    ],
    ids=[
        "empty", "cut", "list", "null", "number", "not-utf8", "zeros", "params", "deep",
        "quote-list", "index-without-price", "marks-object", "lock-text",
    ],
)  # fmt: skip
def test_frame_outside_the_schema_breaks_the_protocol(frame: bytes) -> None:
    """A typed error, never another exception."""
    hot = listed(Sink(), [option_row()]).connections()[0]
    hot.start(NOW_NS)

    with pytest.raises(ProtocolViolation):
        hot.receive(frame, NOW_NS)


def test_quotes_of_unlisted_options_are_counted() -> None:
    """A frame of an option that expired a moment ago reaches no slot."""
    sink = Sink()
    hot = listed(sink, [option_row()]).connections()[0]
    hot.start(NOW_NS)
    hot.receive(quote("BTC-30JUN26-60000-C"), NOW_NS)

    assert sink.quotes == []
    assert hot.counts["ignored.unlisted"] == 1
