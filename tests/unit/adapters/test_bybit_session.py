"""Life of one session with Bybit: subscriptions and their answers, pings, silence, loss."""

import json

import pytest

from fakes.bybit_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
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
    settle,
    started,
    ticker,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.bybit.protocol import BybitProtocol
from volgauge.domain.events import Coverage, FeedDown, FeedUp, ForwardMark
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited

TICKER, BOOK = f"tickers.{CALL}", f"orderbook.25.{CALL}"


def test_start_subscribes_the_plan() -> None:
    """Hot options by book, everybody by ticker; the pulse goes everywhere."""
    adapter = listed(Sink(), [option_row()])
    hot, chain_1 = adapter.connections()[0], adapter.connections()[2]
    for protocol in (hot, chain_1):
        protocol.start(NOW_NS)

    assert sent(hot) == [{"req_id": "1", "op": "subscribe", "args": [TICKER, BOOK]}]
    assert sent(chain_1) == [{"req_id": "1", "op": "subscribe", "args": [TICKER]}]
    assert hot.state is State.SUBSCRIBING


def test_session_before_the_first_catalog_waits_for_its_plan() -> None:
    """Sockets may be open before the listing is read."""
    adapter = make(Sink())
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    assert sent(hot) == []

    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)

    assert [request["args"] for request in sent(hot)] == [[TICKER, BOOK]]


def test_long_plans_are_cut_and_paced() -> None:
    """200 topics a request, ten requests a second."""
    adapter = listed(Sink(), chain(range(1_000, 126_000, 1_000)), assets=("BTC",), hot_days=1.0)
    chain_1 = adapter.connections()[2]
    chain_1.start(NOW_NS)
    (first,) = sent(chain_1)
    assert len(first["args"]) == 200
    assert chain_1.next_timeout_ns == NOW_NS + 100 * NANOS_PER_MILLI

    chain_1.on_timeout(NOW_NS + 99 * NANOS_PER_MILLI)
    assert sent(chain_1) == []
    chain_1.on_timeout(NOW_NS + 100 * NANOS_PER_MILLI)

    (second,) = sent(chain_1)
    assert len(second["args"]) == 50


def test_first_data_make_the_feed_live_once() -> None:
    """An acknowledgement is no data."""
    sink = Sink()
    chain_1 = started(connection(listed(sink, [option_row()]), TICKER))
    assert sink.of(FeedUp) == []

    chain_1.receive(ticker(), NOW_NS + 5)
    chain_1.receive(ticker(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("chain-1", NOW_NS + 5)]
    assert chain_1.state is State.LIVE
    assert len(sink.quotes) == 2


def test_pulse_keeps_a_connection_alive_and_quotes_nothing() -> None:
    """Its option is another connection's business."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    last = started(adapter.connections()[-1])
    last.receive(ticker(), NOW_NS)
    last.receive(ticker(), NOW_NS + 9 * NANOS_PER_SECOND)
    last.on_timeout(NOW_NS + 18 * NANOS_PER_SECOND)

    assert last.state is State.LIVE
    assert sink.quotes == []
    assert [event.connection for event in sink.of(FeedUp)] == [last.connection]


def test_ping_goes_out_every_twenty_seconds() -> None:
    """In the JSON form; both documented answers are understood."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))
    for second, pong in (
        (20, b'{"args":["1672916271846"],"op":"pong"}'),
        (40, b'{"success":true,"ret_msg":"pong","conn_id":"0970e817","req_id":"","op":"ping"}'),
    ):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        chain_1.receive(ticker(), now_ns)
        chain_1.on_timeout(now_ns)
        (request,) = sent(chain_1)
        assert set(request) == {"req_id", "op"}
        assert request["op"] == "ping"
        chain_1.receive(pong, now_ns + 1)
    chain_1.receive(ticker(), NOW_NS + 55 * NANOS_PER_SECOND)
    chain_1.on_timeout(NOW_NS + 55 * NANOS_PER_SECOND)

    assert "request_unanswered" not in chain_1.counts


def test_unanswered_ping_is_only_counted() -> None:
    """Data decide whether a feed lives."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))
    for second in (20, 30):
        chain_1.receive(ticker(), NOW_NS + second * NANOS_PER_SECOND)
        chain_1.on_timeout(NOW_NS + second * NANOS_PER_SECOND)

    assert chain_1.counts["request_unanswered"] == 1


def test_pongs_and_answers_do_not_count_as_data() -> None:
    """Silent venue, living heartbeats."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))
    chain_1.receive(ticker(), NOW_NS + NANOS_PER_SECOND)
    for second in range(2, 11):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        chain_1.receive(b'{"args":["1672916271846"],"op":"pong"}', now_ns)
        chain_1.receive(acknowledge([]), now_ns)
        chain_1.on_timeout(now_ns)

    with pytest.raises(FeedStale, match="no data"):
        chain_1.on_timeout(NOW_NS + 11 * NANOS_PER_SECOND)


def test_venue_that_answers_nothing_is_left() -> None:
    """What is subscribed is unknown then."""
    chain_1 = connection(listed(Sink(), [option_row()]), TICKER)
    chain_1.start(NOW_NS)
    assert chain_1.next_timeout_ns == NOW_NS + 10 * NANOS_PER_SECOND

    with pytest.raises(FeedStale, match="not answered"):
        chain_1.on_timeout(NOW_NS + 10 * NANOS_PER_SECOND)


def refused_session(answer: bytes, *, again: bytes | None = None) -> tuple[BybitProtocol, Sink]:
    """A session of a near and a far ticker whose first request gets this answer."""
    sink = Sink()
    rows = [option_row(), option_row(CALL.replace("-C-", "-P-"))]
    chain_1 = connection(listed(sink, rows, assets=("BTC",)), TICKER)
    chain_1.start(NOW_NS)
    sent(chain_1)
    chain_1.receive(answer, NOW_NS)
    chain_1.on_timeout(NOW_NS + NANOS_PER_SECOND)
    if again is not None:
        sent(chain_1)
        chain_1.receive(again, NOW_NS + NANOS_PER_SECOND)
    return chain_1, sink


PUT_TICKER = TICKER.replace("-C-", "-P-")


@pytest.mark.parametrize(
    "answer",
    [
        acknowledge([PUT_TICKER], [TICKER]),
        acknowledge([PUT_TICKER]),
        json.dumps(
            {"success": True, "conn_id": "x", "type": "COMMAND_RESP", "op": "subscribe",
             "req_id": "1", "data": {"failTopics": [TICKER], "successTopics": [PUT_TICKER]}}
        ).encode(),
    ],
    ids=["failed", "not-mentioned", "newer-form"],
)  # fmt: skip
def test_refused_topic_is_asked_for_once_more_then_given_up(answer: bytes) -> None:
    """What the others got stands; the answer repeats no number, it names topics."""
    chain_1, sink = refused_session(answer)
    (request,) = sent(chain_1)
    assert request == {"req_id": "2", "op": "subscribe", "args": [TICKER]}
    assert sink.of(Coverage) == []

    chain_1.receive(acknowledge([], [TICKER]), NOW_NS + NANOS_PER_SECOND)
    chain_1.on_timeout(NOW_NS + 2 * NANOS_PER_SECOND)

    assert sent(chain_1) == []
    (coverage,) = sink.of(Coverage)
    assert (coverage.connection, coverage.requested, coverage.accepted) == ("chain-1", 2, 1)
    assert chain_1.counts["topics_refused"] == 2
    assert chain_1.counts["topics_uncovered"] == 1


def test_error_that_names_a_topic_costs_the_others_nothing() -> None:
    """`handler not found` refuses the request; the rest is asked for again without it."""
    error = {
        "success": False,
        "ret_msg": f"error:handler not found,topic:{TICKER}",
        "conn_id": "x",
        "req_id": "1",
        "op": "subscribe",
    }
    chain_1, sink = refused_session(json.dumps(error).encode())
    (request,) = sent(chain_1)
    assert sorted(request["args"]) == sorted([TICKER, PUT_TICKER])
    assert chain_1.counts["topics_refused"] == 1

    chain_1.receive(json.dumps(error | {"req_id": "2"}).encode(), NOW_NS + NANOS_PER_SECOND)
    chain_1.on_timeout(NOW_NS + 2 * NANOS_PER_SECOND)
    (request,) = sent(chain_1)
    assert request["args"] == [PUT_TICKER]
    chain_1.receive(acknowledge([PUT_TICKER]), NOW_NS + 2 * NANOS_PER_SECOND)

    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (2, 1)


def test_error_without_a_topic_retries_all_in_small_requests() -> None:
    """One bad topic among ten, not among two hundred."""
    rows = chain(range(1_000, 41_000, 1_000), [NEAR])
    adapter = listed(Sink(), rows, assets=("BTC",), hot_days=1.0)
    chain_1 = adapter.connections()[2]
    chain_1.start(NOW_NS)
    (request,) = sent(chain_1)
    assert len(request["args"]) == 80
    chain_1.receive(
        b'{"success":false,"ret_msg":"error:no","conn_id":"x","req_id":"1","op":"subscribe"}',
        NOW_NS,
    )

    chain_1.on_timeout(NOW_NS + NANOS_PER_SECOND)
    (request,) = sent(chain_1)
    assert len(request["args"]) == 10


def test_topic_that_is_subscribed_already_counts_as_subscribed() -> None:
    """The venue says so as an error."""
    error = {
        "success": False,
        "ret_msg": f"error:already subscribed,topic:{TICKER}",
        "conn_id": "x",
        "req_id": "1",
        "op": "subscribe",
    }
    chain_1, sink = refused_session(json.dumps(error).encode(), again=acknowledge([PUT_TICKER]))

    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (2, 2)
    assert sent(chain_1) == []


def test_answer_of_the_other_interfaces_is_understood() -> None:
    """It repeats the number of the request and no topic."""
    _, sink = refused_session(
        b'{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"1","op":"subscribe"}'
    )

    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (2, 2)


def test_answer_to_nobody_is_counted() -> None:
    """A late one, or one of another request."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))
    chain_1.receive(acknowledge(["tickers.BTC"]), NOW_NS)
    chain_1.receive(b'{"success":true,"ret_msg":"","req_id":"","op":"subscribe"}', NOW_NS)

    assert chain_1.counts["ignored.answer"] == 2


def test_too_frequent_means_ten_minutes() -> None:
    """The venue bans the address."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))

    with pytest.raises(RateLimited) as caught:
        chain_1.receive(b'{"success":false,"ret_msg":"403, access too frequent"}', NOW_NS)
    assert caught.value.wait_seconds == 600.0


def test_characters_of_a_connection_stay_below_the_limit() -> None:
    """What does not fit is told as not covered; the venue would refuse the request."""
    sink = Sink()
    strikes = range(10_000, 10_000 + 100 * 2_500, 100)
    adapter = listed(sink, chain(strikes, [FAR]), assets=("BTC",))
    requested = 0
    for protocol in adapter.connections():
        protocol.start(NOW_NS)
        topics: list[str] = []
        for step in range(100):
            for request in sent(protocol, "subscribe"):
                topics += request["args"]
                protocol.receive(acknowledge(request["args"]), NOW_NS)
            protocol.on_timeout(NOW_NS + step * 101 * NANOS_PER_MILLI % (9 * NANOS_PER_SECOND))
        assert len(json.dumps(topics, separators=(",", ":"))) <= 21_000
        assert len(topics) <= 2_000
        requested += len(topics)

    # The pulse is subscribed on the nine connections that do not feed its option, too.
    covered = requested - 9
    assert 4_300 < covered < 5_000
    last = {event.connection: event for event in sink.of(Coverage)}
    missing = sum(event.requested - event.accepted for event in last.values())
    assert missing == 5_000 - covered
    assert sum(p.counts["topics_uncovered"] for p in adapter.connections()) == missing


def test_new_option_is_subscribed_and_a_withdrawn_one_is_not_any_more() -> None:
    """On the connection of its expiry; the others keep their places."""
    adapter = listed(Sink(), chain([60_000], [FAR]), assets=("BTC",))
    chain_1 = started(connection(adapter, f"tickers.{FAR_CALL}"))
    later_ns = NOW_NS + NANOS_PER_SECOND
    adapter.on_catalog(bodies(adapter, chain([60_000, 70_000], [FAR])), later_ns)

    (request,) = sent(chain_1)
    assert request["op"] == "subscribe"
    assert sorted(request["args"]) == [
        "tickers.BTC-25DEC26-70000-C-USDT", "tickers.BTC-25DEC26-70000-P-USDT",
    ]  # fmt: skip
    chain_1.receive(acknowledge(request["args"]), later_ns)
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), later_ns + NANOS_PER_SECOND)

    (request,) = sent(chain_1)
    assert request["op"] == "unsubscribe"
    assert sorted(request["args"]) == [
        "tickers.BTC-25DEC26-70000-C-USDT", "tickers.BTC-25DEC26-70000-P-USDT",
    ]  # fmt: skip


def test_unanswered_unsubscribe_ends_no_session() -> None:
    """The topic is ours no more, whatever the venue sends."""
    adapter = listed(Sink(), chain([60_000, 70_000], [FAR]), assets=("BTC",))
    chain_1 = started(connection(adapter, f"tickers.{FAR_CALL}"))
    adapter.on_catalog(bodies(adapter, chain([60_000], [FAR])), NOW_NS + NANOS_PER_SECOND)
    assert [request["op"] for request in sent(chain_1)] == ["unsubscribe"]
    chain_1.receive(ticker(FAR_CALL), NOW_NS + 10 * NANOS_PER_SECOND)

    chain_1.on_timeout(NOW_NS + 11 * NANOS_PER_SECOND)

    assert chain_1.counts["request_unanswered"] == 1
    assert sent(chain_1) == []


def test_loss_names_what_the_connection_fed() -> None:
    """Options by their tickers; the forwards of their expiries are withdrawn."""
    sink = Sink()
    adapter = listed(sink, chain([60_000]), assets=("BTC",), hot_days=1.0)
    near, far = connection(adapter, TICKER), connection(adapter, f"tickers.{FAR_CALL}")
    assert near is not far
    started(near).receive(ticker(), NOW_NS + 7)
    near.disconnected(NOW_NS + NANOS_PER_SECOND, "lost")

    (down,) = sink.of(FeedDown)
    assert (down.connection, down.slots, down.reason) == ("chain-1", (0, 1), "lost")
    withdrawn = sink.of(ForwardMark)[-1]
    assert (withdrawn.price != withdrawn.price, withdrawn.received_ns) == (True, NOW_NS + 7)
    assert near.state is State.IDLE
    assert near.next_timeout_ns is None


def test_loss_of_the_books_leaves_the_tickers_their_options() -> None:
    """A book that was whole is lost with its connection; its ticker quotes from then on."""
    sink = Sink()
    adapter = listed(sink, [option_row(), option_row(FAR_CALL, FAR)], assets=("BTC",))
    hot, chain_1 = started(adapter.connections()[0]), started(connection(adapter, TICKER))
    hot.receive(book(1), NOW_NS)
    chain_1.receive(ticker(bid="2505"), NOW_NS + 1)
    assert [quote[1] for quote in sink.quotes] == [2500.0]
    hot.disconnected(NOW_NS + 2, "lost")
    chain_1.receive(ticker(bid="2505"), NOW_NS + 3)

    (down,) = sink.of(FeedDown)
    assert (down.connection, down.slots) == ("hot-1", (0,))
    found = [(quote[1], quote[6] - NOW_NS) for quote in sink.quotes]
    assert found == [(2500.0, 0), (2505.0, 1), (2505.0, 3)]


def test_loss_of_the_tickers_leaves_the_books_their_options() -> None:
    """What a whole book quotes is not lost with a ticker."""
    sink = Sink()
    adapter = listed(sink, chain([60_000], [NEAR]), assets=("BTC",))
    hot, chain_1 = started(adapter.connections()[0]), started(connection(adapter, TICKER))
    hot.receive(book(1), NOW_NS)
    chain_1.receive(ticker(), NOW_NS)
    chain_1.disconnected(NOW_NS + 1, "lost")

    (down,) = sink.of(FeedDown)
    assert down.slots == (1,)


def test_loss_of_a_connection_without_options_takes_nothing_along() -> None:
    """Forwards of this venue come with its tickers."""
    sink = Sink()
    adapter = listed(sink, chain([60_000], [NEAR]), assets=("BTC",))
    fed = connection(adapter, TICKER)
    idle = next(
        p for p in adapter.connections()
        if p.connection.startswith("chain") and p is not fed
    )  # fmt: skip
    started(idle).disconnected(NOW_NS + 1, "lost")

    (down,) = sink.of(FeedDown)
    assert (down.slots, down.feeds_forwards) == ((), False)
    assert sink.of(ForwardMark) == []


def test_session_begins_again_from_nothing() -> None:
    """After a reconnect the venue remembers nothing: subscriptions, books, numbers."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    hot = started(adapter.connections()[0])
    hot.receive(book(5), NOW_NS)
    hot.disconnected(NOW_NS + 1, "lost")
    hot.start(NOW_NS + 2)

    assert [request["args"] for request in sent(hot)] == [[TICKER, BOOK]]
    hot.receive(acknowledge([TICKER, BOOK]), NOW_NS + 3)
    hot.receive(book(6, kind="delta"), NOW_NS + 3)
    assert hot.counts["gaps"] == 1
    assert len(sink.quotes) == 1


def test_disconnect_of_an_idle_session_says_nothing() -> None:
    """It was never begun."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    adapter.connections()[0].disconnected(NOW_NS, "refused")

    assert sink.of(FeedDown) == []


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[]",
        b'{"topic":7}',
        b"[" * 100_000,
        push(BOOK, {"s": CALL, "b": [], "a": []}),
        push(TICKER, None),
        b'{"success":true,"type":"COMMAND_RESP","data":[]}',
    ],
    ids=["empty", "html", "utf", "list", "topic", "nested", "no-u", "no-data", "ack"],
)
def test_frame_outside_the_schema_ends_the_session(frame: bytes) -> None:
    """Better a new session than a book that nobody understands."""
    adapter = listed(Sink(), [option_row()])
    protocol = started(adapter.connections()[0])
    feeder = started(connection(adapter, TICKER))

    with pytest.raises(ProtocolViolation):
        (feeder if b"tickers" in frame else protocol).receive(frame, NOW_NS)


def test_unknown_frames_are_counted_and_ignored() -> None:
    """Trades, other depths, words without a meaning here."""
    chain_1 = started(connection(listed(Sink(), [option_row()]), TICKER))
    chain_1.receive(push("publicTrade.BTC", [{"p": "985"}]), NOW_NS)
    chain_1.receive(push("orderbook.100." + CALL, {"b": [], "a": [], "u": 1}), NOW_NS)
    chain_1.receive(ticker("BTC-31JUL26-99000-C-USDT"), NOW_NS)
    chain_1.receive(b"{}", NOW_NS)

    assert chain_1.counts == {"ignored.channel": 2, "ignored.unlisted": 1, "ignored.frame": 1}


def test_settled_session_sleeps_until_something_is_due() -> None:
    """No turns of the loop for nothing."""
    chain_1 = connection(listed(Sink(), [option_row()]), TICKER)
    chain_1.start(NOW_NS)
    settle(chain_1, NOW_NS)

    assert chain_1.next_timeout_ns == NOW_NS + 10 * NANOS_PER_SECOND


def test_same_input_gives_the_same_bytes() -> None:
    """Events, quotes and requests of two runs: a replay is the live program again."""
    said = []
    for _ in range(2):
        sink = Sink()
        adapter = listed(sink, [*chain([50_000, 60_000]), *chain([2_000], coin="ETH")])
        requests: list[bytes] = []
        for protocol in adapter.connections():
            protocol.start(NOW_NS)
            requests += protocol.frames_to_send()
        hot, chain_1 = adapter.connections()[0], connection(adapter, TICKER)
        for frame in (book(7), book(9, kind="delta"), book(1), acknowledge([BOOK], [TICKER])):
            hot.receive(frame, NOW_NS)
        chain_1.receive(ticker(), NOW_NS + 1)
        hot.disconnected(NOW_NS + 2, "lost")
        adapter.on_catalog(
            bodies(adapter, [*chain([60_000]), *chain([2_000], coin="ETH")]), NOW_NS + 3
        )
        for protocol in adapter.connections():
            requests += protocol.frames_to_send()
        said.append((requests, repr(sink.quotes), repr(sink.events)))

    assert said[0] == said[1]
