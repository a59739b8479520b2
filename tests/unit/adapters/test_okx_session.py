"""Life of OKX's websocket sessions: pings, silence, gaps, loss, and the change of places."""

from math import nan

import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import (
    CALL,
    NOW_NS,
    PUT,
    STAMP,
    UPGRADE,
    Row,
    acknowledge,
    bbo,
    chain,
    index,
    level,
    listed,
    option_row,
    push,
    refusal,
    running,
    sent,
    settle,
    summaries,
    summary,
)
from volgauge.adapters.base import State
from volgauge.adapters.okx.adapter import OkxAdapter
from volgauge.adapters.okx.endpoints import PING_NS, REQUEST_TIMEOUT_NS
from volgauge.adapters.okx.protocol import OkxProtocol
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    Gap,
)
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited, VenueUnavailable

BOOK = {"channel": "books", "instId": CALL}


def test_first_okx_data_make_the_feed_live_once() -> None:
    """An acknowledgement is no data, and neither is a pong."""
    sink = Sink()
    hot = listed(sink, [option_row()]).connections()[0]
    hot.start(NOW_NS)
    settle(hot, NOW_NS)
    hot.receive(b"pong", NOW_NS)
    assert sink.of(FeedUp) == []
    assert hot.state is State.SUBSCRIBING

    hot.receive(bbo(), NOW_NS + 5)
    hot.receive(bbo(), NOW_NS + 6)

    assert [(e.connection, e.received_ns) for e in sink.of(FeedUp)] == [("hot", NOW_NS + 5)]
    assert [quote[-1] for quote in sink.quotes] == [NOW_NS + 5, NOW_NS + 6]


def test_ping_is_plain_text_every_twenty_seconds() -> None:
    """Thirty seconds without one and the venue closes."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    hot.frames_to_send()
    due_ns = hot.next_timeout_ns
    assert due_ns == NOW_NS + PING_NS
    assert PING_NS < 25 * NANOS_PER_SECOND
    hot.on_timeout(due_ns)
    assert hot.frames_to_send() == [b"ping"]

    hot.receive(b"pong", due_ns + 1)
    hot.on_timeout(due_ns + PING_NS)

    assert hot.frames_to_send() == [b"ping"]


def test_ping_without_an_answer_ends_the_session() -> None:
    """The other end is gone."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=60.0).connections()[0])
    hot.on_timeout(NOW_NS + PING_NS)

    with pytest.raises(FeedStale, match="ping is not answered"):
        hot.on_timeout(NOW_NS + PING_NS + REQUEST_TIMEOUT_NS)


def test_pongs_do_not_count_as_data() -> None:
    """Silent venue, living heartbeats."""
    hot = running(listed(Sink(), [option_row()], reconnect_after_seconds=10.0).connections()[0])
    for second in range(1, 10):
        hot.receive(b"pong", NOW_NS + second * NANOS_PER_SECOND)
        hot.on_timeout(NOW_NS + second * NANOS_PER_SECOND)

    with pytest.raises(FeedStale, match="no data"):
        hot.on_timeout(NOW_NS + 10 * NANOS_PER_SECOND)


def test_okx_pulse_keeps_a_quiet_socket_alive() -> None:
    """Far options at night: nobody quotes, the index moves."""
    wings = running(listed(Sink(), chain([60_000])).connections()[1])
    for second in range(1, 120):
        now_ns = NOW_NS + second * NANOS_PER_SECOND
        wings.receive(index(), now_ns)
        wings.receive(b"pong", now_ns)
        wings.on_timeout(now_ns)

    assert wings.state is State.LIVE


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("60014", RateLimited),
        ("63999", VenueUnavailable),
        ("64007", VenueUnavailable),
        ("60012", ProtocolViolation),
        ("60013", ProtocolViolation),
    ],
)
def test_errors_of_the_session(code: str, kind: type[Exception]) -> None:
    """What is not about one argument ends the session."""
    hot = running(listed(Sink(), [option_row()]).connections()[0])

    with pytest.raises(kind, match=code):
        hot.receive(refusal(code, "because"), NOW_NS)


def test_lost_connection_takes_its_own_quotes_along() -> None:
    """Near options with `hot`, no option but all forwards with `market`."""
    sink = Sink()
    hot, wings, market, *_ = listed(sink, chain([60_000])).connections()
    for protocol in (hot, wings, market):
        running(protocol)
        protocol.disconnected(NOW_NS + 1, "lost")

    assert [(e.connection, e.slots, e.feeds_forwards) for e in sink.of(FeedDown)] == [
        ("hot", (0, 1), False), ("wings", (2, 3), False), ("market", (), True),
    ]  # fmt: skip
    assert hot.state is State.IDLE
    assert hot.next_timeout_ns is None


def test_new_session_subscribes_everything_again() -> None:
    """The venue remembers nothing of the one before."""
    hot = running(listed(Sink(), [option_row()]).connections()[0])
    hot.disconnected(NOW_NS + 1, "lost")
    hot.start(NOW_NS + 2)

    assert len(sent(hot)[0]["args"]) == 2
    assert hot.state is State.SUBSCRIBING


def frame(
    action: str, number: int, previous: int, price: str = "0.05", *, empty: bool = False
) -> bytes:
    """A frame of the long book."""
    row: Row = {
        "asks": [] if empty else [level("0.06", "200")],
        "bids": [] if empty else [level(price, "300")],
        "ts": str(STAMP),
        "checksum": 0,
        "prevSeqId": previous,
        "seqId": number,
    }
    return push(BOOK, [row], action)


def deep() -> tuple[OkxProtocol, Sink]:
    """A live connection of long books."""
    sink = Sink()
    adapter = listed(sink, [option_row()], depth_levels=20)
    return running(adapter.connections()[0]), sink


def test_linked_updates_are_changes_of_one_book() -> None:
    """Steps 1 and 2 of the sequence."""
    hot, sink = deep()
    hot.receive(frame("snapshot", 10, -1), NOW_NS)
    hot.receive(frame("update", 15, 10, "0.0505"), NOW_NS)

    (snapshot,) = sink.of(BookSnapshot)
    (change,) = sink.of(BookDelta)
    assert (snapshot.bids, snapshot.asks) == (((0.05, 3.0),), ((0.06, 2.0),))
    assert change.bids == ((0.0505, 3.0),)


def test_sign_of_life_changes_nothing() -> None:
    """Step 3: equal numbers, no levels."""
    hot, sink = deep()
    hot.receive(frame("snapshot", 10, -1), NOW_NS)
    hot.receive(frame("update", 10, 10, empty=True), NOW_NS)
    hot.receive(frame("update", 11, 10), NOW_NS)

    assert hot.counts["ignored.book_keep_alive"] == 1
    assert len(sink.of(BookDelta)) == 1
    assert sink.of(Gap) == []


def test_numbers_may_start_again_after_maintenance() -> None:
    """Step 4: the link holds, the count is smaller."""
    hot, sink = deep()
    hot.receive(frame("snapshot", 15, -1), NOW_NS)
    hot.receive(frame("update", 3, 15), NOW_NS)
    hot.receive(frame("update", 5, 3), NOW_NS)

    assert len(sink.of(BookDelta)) == 2
    assert sink.of(Gap) == []


def test_gap_empties_one_book_and_asks_for_it_again() -> None:
    """Step 5: unsubscribe, its answer, subscribe; what comes meanwhile is dropped."""
    hot, sink = deep()
    hot.receive(frame("snapshot", 10, -1), NOW_NS)
    later_ns = NOW_NS + NANOS_PER_SECOND
    hot.receive(frame("update", 20, 17), later_ns)
    hot.receive(frame("update", 21, 20), later_ns)

    assert [(e.slots, e.reason) for e in sink.of(Gap)] == [((0,), "sequence")]
    assert hot.counts["gaps"] == 1
    assert hot.counts["ignored.book_waiting"] == 1
    assert sent(hot) == [{"op": "unsubscribe", "args": [BOOK]}]

    hot.receive(acknowledge(BOOK, "unsubscribe"), later_ns)
    hot.on_timeout(later_ns + NANOS_PER_SECOND)
    assert sent(hot) == [{"op": "subscribe", "args": [BOOK]}]
    hot.receive(acknowledge(BOOK), later_ns)
    hot.receive(frame("snapshot", 30, -1), later_ns)

    assert len(sink.of(BookSnapshot)) == 2


def test_update_before_any_snapshot_is_a_gap() -> None:
    """There is nothing that it could change."""
    hot, sink = deep()
    hot.receive(frame("update", 11, 10), NOW_NS)

    assert len(sink.of(Gap)) == 1


def test_senseless_level_breaks_the_book() -> None:
    """And only this book."""
    hot, sink = deep()
    hot.receive(frame("snapshot", 10, -1), NOW_NS)
    hot.receive(frame("update", 11, 10, "-1"), NOW_NS)

    assert sink.of(Gap)[0].reason == "bad_level"
    assert hot.counts["rejected.bad_level"] == 1


def pair(adapter: OkxAdapter, place: int = 0) -> tuple[OkxProtocol, OkxProtocol]:
    """A connection and its spare."""
    protocols = adapter.connections()
    return protocols[place], protocols[place + 3]


def test_spares_stay_closed() -> None:
    """Three connections are wanted, three wait."""
    protocols = listed(Sink(), [option_row()]).connections()

    assert [protocol.connection for protocol in protocols] == [
        "hot", "wings", "market", "hot-2", "wings-2", "market-2",
    ]  # fmt: skip
    assert [protocol.state for protocol in protocols] == [State.IDLE] * 3 + [State.SPARE] * 3


def test_upgrade_notice_opens_the_next_session_before_the_old_one_ends() -> None:
    """64008: the old one delivers until the new one has everything, and no quote is lost."""
    sink = Sink()
    hot, spare = pair(listed(sink, chain([60_000], ["260731"])))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    assert (hot.state, spare.state) == (State.LIVE, State.IDLE)

    spare.start(NOW_NS)
    request = sent(spare)[0]
    for arg in request["args"][:-1]:
        spare.receive(acknowledge(arg), NOW_NS)
    spare.receive(index(), NOW_NS)
    assert (hot.state, spare.state) == (State.LIVE, State.LIVE)
    hot.receive(bbo(), NOW_NS)
    spare.receive(acknowledge(request["args"][-1]), NOW_NS)

    assert (hot.state, spare.state) == (State.SPARE, State.LIVE)
    hot.receive(bbo(), NOW_NS)
    hot.disconnected(NOW_NS + 1, "handed_over")
    assert hot.state is State.SPARE
    spare.receive(bbo(), NOW_NS + 2)
    assert len(sink.quotes) == 2
    assert [e.connection for e in sink.of(FeedUp)] == ["hot"]
    assert sink.of(FeedDown) == []
    assert len(sink.of(Coverage)) == 2


def test_places_can_change_back() -> None:
    """The next upgrade finds the first session as the spare."""
    hot, spare = pair(listed(Sink(), [option_row()]))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    running(spare)
    hot.disconnected(NOW_NS, "handed_over")

    spare.receive(UPGRADE, NOW_NS + 5)
    running(hot, NOW_NS + 5)

    assert (hot.state, spare.state) == (State.LIVE, State.SPARE)


def test_old_session_that_ends_early_loses_only_what_is_not_taken_over() -> None:
    """The venue closed before the minute was over."""
    sink = Sink()
    hot, spare = pair(listed(sink, chain([60_000], ["260731"])))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    spare.start(NOW_NS)
    request = sent(spare)[0]
    assert [arg.get("instId") for arg in request["args"]] == ["BTC-USD", CALL, PUT]
    for arg in request["args"][:2]:
        spare.receive(acknowledge(arg), NOW_NS)
    spare.receive(index(), NOW_NS)
    hot.disconnected(NOW_NS + 1, "lost")

    assert [(e.connection, e.slots) for e in sink.of(FeedDown)] == [("hot", (1,))]
    assert [e.received_ns for e in sink.of(FeedUp)] == [NOW_NS, NOW_NS + 1]
    assert (hot.state, spare.state) == (State.SPARE, State.LIVE)


def test_old_session_that_ends_at_once_is_replaced() -> None:
    """The next one is not open yet: everything is lost, and comes with it."""
    sink = Sink()
    hot, spare = pair(listed(sink, [option_row()]))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    hot.disconnected(NOW_NS + 1, "lost")
    running(spare, NOW_NS + 2)

    assert sink.of(FeedDown)[0].slots == (0,)
    assert [e.received_ns for e in sink.of(FeedUp)] == [NOW_NS, NOW_NS + 2]


def test_next_session_that_fails_takes_nothing_along() -> None:
    """The old one delivers still."""
    sink = Sink()
    hot, spare = pair(listed(sink, [option_row()]))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    spare.start(NOW_NS)
    spare.receive(index(), NOW_NS)
    spare.disconnected(NOW_NS + 1, "lost")

    assert sink.of(FeedDown) == []
    assert (hot.state, spare.state) == (State.LIVE, State.IDLE)
    running(spare, NOW_NS + 2)
    assert (hot.state, spare.state) == (State.SPARE, State.LIVE)


def test_second_notice_changes_nothing() -> None:
    """Called once is called; a spare has no spare."""
    hot, spare = pair(listed(Sink(), [option_row()]))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    hot.receive(UPGRADE, NOW_NS)

    assert hot.counts["handover_announced"] == 2
    assert hot.counts["handover_refused"] == 1
    assert spare.state is State.IDLE


def test_two_sequences_of_one_book_are_not_mixed() -> None:
    """What the next session delivers already is taken from it alone."""
    sink = Sink()
    hot, spare = pair(listed(sink, [option_row()], depth_levels=20))
    running(hot)
    hot.receive(frame("snapshot", 10, -1), NOW_NS)
    hot.receive(UPGRADE, NOW_NS)
    spare.start(NOW_NS)
    pulse, book = sent(spare)[0]["args"]
    spare.receive(acknowledge(book), NOW_NS)
    spare.receive(frame("snapshot", 12, -1, "0.0495"), NOW_NS)
    hot.receive(frame("update", 11, 10), NOW_NS)

    assert sink.of(BookDelta) == []
    assert hot.counts["ignored.superseded"] == 1
    spare.receive(acknowledge(pulse), NOW_NS)
    assert hot.state is State.SPARE


def test_forwards_survive_a_change_of_places() -> None:
    """`market` too is replaced without a word to the engine."""
    sink = Sink()
    market, spare = pair(listed(sink, [option_row()]), 2)
    running(market)
    market.receive(summaries([summary()]), NOW_NS)
    market.receive(UPGRADE, NOW_NS)
    running(spare)
    market.disconnected(NOW_NS, "handed_over")
    spare.receive(summaries([summary(fwdPx="61300")]), NOW_NS)

    assert [e.price for e in sink.of(ForwardMark)] == [61_234.5, 61_300.0]
    assert sink.of(FeedDown) == []


def test_quotes_of_a_second_session_reach_the_same_slot() -> None:
    """Slots belong to the listing, not to a connection."""
    sink = Sink()
    hot, spare = pair(listed(sink, [option_row()]))
    running(hot)
    hot.receive(UPGRADE, NOW_NS)
    running(spare)
    spare.receive(bbo(CALL, None, None), NOW_NS)

    assert sink.quotes[0][:5] == pytest.approx((0, nan, nan, nan, nan), nan_ok=True)
