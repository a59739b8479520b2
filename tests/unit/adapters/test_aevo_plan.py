"""Which channels of Aevo are asked for, and what becomes of the requests for them."""

import json

import pytest

from fakes.aevo_lab import (
    BOOKS,
    FAR,
    INDEX,
    NOW_NS,
    TICKERS,
    Row,
    acknowledge,
    bodies,
    books,
    index,
    listed,
    make,
    option_row,
    refusal,
    running,
    sent,
    settle,
    too_fast,
)
from fakes.deribit_lab import Sink
from volgauge.adapters.aevo.endpoints import REQUEST_BURST, REQUEST_TIMEOUT_NS
from volgauge.adapters.aevo.protocol import AevoProtocol
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited, VenueUnavailable

ETH_CALL = f"ETH-{FAR}-3000-C"


def begun(sink: Sink, rows: list[Row]) -> tuple[AevoProtocol, Row]:
    """A session with its first request."""
    (protocol,) = listed(sink, rows).connections()
    protocol.start(NOW_NS)
    (request,) = sent(protocol)
    return protocol, request


def test_three_channels_a_coin_in_one_request() -> None:
    """The pulses first, then the tops of whole chains, near and far alike, then the marks."""
    _, request = begun(Sink(), [option_row(), option_row(ETH_CALL)])

    assert request == {
        "op": "subscribe",
        "id": 1,
        "data": [
            INDEX, "index:ETH", BOOKS, "book-ticker:ETH:OPTION", TICKERS, "ticker-500ms:ETH:OPTION",
        ],
    }  # fmt: skip


def test_without_options_nothing_is_asked_for() -> None:
    """A session of an empty listing rests until there is one."""
    sink = Sink()
    adapter = listed(sink, [])
    (protocol,) = adapter.connections()
    protocol.start(NOW_NS)
    assert sent(protocol) == []
    adapter.on_catalog(bodies([option_row()]), NOW_NS)

    assert [request["data"] for request in sent(protocol)] == [[INDEX, BOOKS, TICKERS]]


def test_everything_accepted_is_told_as_covered() -> None:
    """The tops alone count: no price comes from the others."""
    sink = Sink()
    protocol, request = begun(sink, [option_row(), option_row(ETH_CALL)])
    protocol.receive(acknowledge(request), NOW_NS + 1)

    (coverage,) = sink.of(Coverage)
    assert (coverage.connection, coverage.requested, coverage.accepted) == ("chain", 2, 2)


def test_channel_missing_from_the_answer_is_asked_for_alone_once_more() -> None:
    """Then it is given up, counted and told."""
    sink = Sink()
    protocol, request = begun(sink, [option_row()])
    protocol.receive(acknowledge(request, [BOOKS]), NOW_NS)
    (again,) = sent(protocol)
    assert again["data"] == [BOOKS]
    protocol.receive(acknowledge(again, [BOOKS]), NOW_NS)

    assert sent(protocol) == []
    assert (protocol.counts["channels_refused"], protocol.counts["channels_uncovered"]) == (2, 1)
    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (1, 0)


def test_error_about_a_channel_refuses_only_the_bad_one() -> None:
    """It names none, so each is asked for alone; the good ones are accepted."""
    sink = Sink()
    protocol, request = begun(sink, [option_row()])
    protocol.receive(refusal(request, "CHANNEL_NOT_FOUND"), NOW_NS)
    now_ns, asked = NOW_NS, []
    for _ in range(20):
        for each in sent(protocol, "subscribe"):
            asked.append(each["data"])
            bad = each["data"] == [TICKERS]
            answer = refusal(each, "CHANNEL_NOT_FOUND") if bad else acknowledge(each)
            protocol.receive(answer, now_ns)
        now_ns += NANOS_PER_SECOND
        protocol.receive(index(), now_ns)
        protocol.on_timeout(now_ns)

    assert asked == [[INDEX], [BOOKS], [TICKERS]]
    assert protocol.counts["request_refused"] == 2
    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (1, 1)


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("INVALID_MESSAGE_FORMAT", ProtocolViolation),
        ("INTERNAL_ERROR", VenueUnavailable),
        ("MAINTENANCE_MODE_ENABLED", VenueUnavailable),
        ("RATE_LIMIT_EXCEEDED", RateLimited),
    ],
)
def test_any_other_error_ends_the_session(word: str, error: type[Exception]) -> None:
    """With the request's number or without."""
    protocol, request = begun(Sink(), [option_row()])
    with pytest.raises(error):
        protocol.receive(refusal(request, word), NOW_NS)
    with pytest.raises(error):
        protocol.receive(refusal(None, word), NOW_NS)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4406000000", 4.406), ("1", 1.0), ("0", 30.0), ("9000000000000000000", 300.0), ("x", 30.0)],
)
def test_wait_after_a_refusal_for_speed_is_bounded(text: str, seconds: float) -> None:
    """Nanoseconds; what cannot be read is half a minute."""
    protocol, _ = begun(Sink(), [option_row()])
    with pytest.raises(RateLimited) as raised:
        protocol.receive(too_fast(text), NOW_NS)

    assert raised.value.wait_seconds == seconds


def test_answer_without_a_number_is_known_by_its_channels() -> None:
    """No page shows the answer to a subscribe; one that names none of ours is nobody's."""
    sink = Sink()
    protocol, request = begun(sink, [option_row()])
    protocol.receive(b'{"data":["index:DOGE"]}', NOW_NS)
    assert protocol.counts == {"ignored.frame": 1}
    protocol.receive(json.dumps({"data": request["data"]}).encode(), NOW_NS)
    protocol.receive(index(), NOW_NS + REQUEST_TIMEOUT_NS)
    protocol.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)

    (coverage,) = sink.of(Coverage)
    assert (coverage.requested, coverage.accepted) == (1, 1)
    assert protocol.counts == {"ignored.frame": 1}


def test_answer_to_nobody_is_counted() -> None:
    """A number that we have not given."""
    protocol, _ = begun(Sink(), [option_row()])
    protocol.receive(acknowledge({"id": 99, "data": [BOOKS]}), NOW_NS)

    assert protocol.counts == {"ignored.answer": 1}


def test_answer_that_names_no_channels_is_a_violation() -> None:
    """A subscribe is answered by a list of names."""
    protocol, request = begun(Sink(), [option_row()])
    with pytest.raises(ProtocolViolation):
        protocol.receive(b'{"id":%d,"data":{"success":true}}' % request["id"], NOW_NS)


def test_request_without_an_answer_ends_the_session() -> None:
    """What is subscribed is unknown then."""
    protocol, _ = begun(Sink(), [option_row()])
    with pytest.raises(FeedStale, match="subscribe is not answered"):
        protocol.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)


def test_coin_without_options_is_unsubscribed() -> None:
    """Its last option has expired: all three channels go."""
    adapter = listed(Sink(), [option_row(), option_row("ETH-2JUL26-3000-C")])
    protocol = running(adapter)
    expiry_ns = protocol.next_timeout_ns
    now_ns = NOW_NS + 20 * 3_600 * NANOS_PER_SECOND
    protocol.receive(index(), now_ns)
    assert expiry_ns is not None
    protocol.on_timeout(now_ns)
    requests = sent(protocol)

    assert [r["data"] for r in requests if r["op"] == "unsubscribe"] == [
        ["book-ticker:ETH:OPTION", "index:ETH", "ticker-500ms:ETH:OPTION"]
    ]
    for request in requests:
        protocol.receive(b'{"id":%d,"data":[]}' % request["id"], now_ns)
    assert settle(protocol, now_ns) == now_ns


def test_requests_are_paced() -> None:
    """No page says how many are too many: five at once, then one a second."""
    adapter = listed(Sink(), [option_row()])
    (protocol,) = adapter.connections()
    protocol.start(NOW_NS)
    count = 0
    for _ in range(3 * REQUEST_BURST):
        for request in sent(protocol, "subscribe"):
            count += 1
            protocol.receive(refusal(request, "CHANNEL_NOT_FOUND"), NOW_NS)
        protocol.set_plan({f"index:{count}{place}": None for place in range(3)}, NOW_NS)

    assert count == REQUEST_BURST


def test_new_session_asks_for_everything_again() -> None:
    """The venue remembers nothing."""
    adapter = make(Sink())
    adapter.on_catalog(bodies([option_row()]), NOW_NS)
    protocol = running(adapter)
    protocol.disconnected(NOW_NS + 1, "lost")
    protocol.start(NOW_NS + 2)
    (request,) = sent(protocol)

    assert request["data"] == [INDEX, BOOKS, TICKERS]
    protocol.receive(books(), NOW_NS + 3)
