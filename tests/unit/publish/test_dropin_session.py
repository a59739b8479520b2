"""One websocket client: what it is sent, what it may ask, when it is sent away."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from fakes.records import index_value
from volgauge.domain.index import IndexValue, Reason, Status
from volgauge.publish.dropin_rpc import RpcError
from volgauge.publish.dropin_session import CREDITS, Closing, Session

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
CHANNEL = "deribit_volatility_index.btc_usd"


def subscribed() -> Session:
    """A client that wants bitcoin's index."""
    session = Session(START)
    session.subscribe(CHANNEL, "BTC")
    return session


def only(record: IndexValue | None) -> Callable[[str], IndexValue | None]:
    """A hub that holds one record."""
    return lambda _asset: record


def read(frames: list[bytes]) -> list[dict[str, Any]]:
    """As the client sees them."""
    return [msgspec.json.decode(frame) for frame in frames]


def kinds(frames: list[bytes]) -> list[str]:
    """Kinds of heartbeat frames."""
    return [frame["params"]["type"] for frame in read(frames)]


def test_a_value_has_the_form_of_the_venue() -> None:
    """Envelope and data of the documented example, the time in milliseconds."""
    frames = subscribed().due(START, only(index_value(1, value=52.25, computed_ns=START)))

    assert read(frames) == [
        {
            "jsonrpc": "2.0",
            "method": "subscription",
            "params": {
                "channel": CHANNEL,
                "data": {
                    "volatility": 52.25,
                    "timestamp": START // 1_000_000,
                    "index_name": "btc_usd",
                },
            },
        }
    ]


def test_the_same_record_is_sent_once() -> None:
    """The next only when it was computed later."""
    session = subscribed()
    first = index_value(1, computed_ns=START)
    later = replace(first, seq=2, computed_ns=START + SECOND)

    assert len(session.due(START, only(first))) == 1
    assert session.due(START + SECOND, only(first)) == []
    assert len(session.due(START + SECOND, only(later))) == 1


@pytest.mark.parametrize(
    "record",
    [
        index_value(1, value=None, computed_ns=START),
        index_value(1, status=Status.GUARD, computed_ns=START),
        index_value(1, status=Status.STALE, computed_ns=START),
        index_value(1, status=Status.HALTED, computed_ns=START),
        index_value(1, status=Status.WARMING, computed_ns=START),
        replace(index_value(1, computed_ns=START), reason=Reason.NO_BRACKET),
        index_value(1, computed_ns=START - 4 * SECOND, heartbeat_ms=1000),
        None,
    ],
    ids=["null", "guard", "stale", "halted", "warming", "reason", "old", "none yet"],
)
def test_nothing_stale_is_sent(record: IndexValue | None) -> None:
    """What carries an earlier value, or no value, or is old itself, is silence."""
    assert subscribed().due(START, only(record)) == []


def test_after_unsubscribe_nothing_comes() -> None:
    """And it is said whether there was anything to end."""
    session = subscribed()

    assert session.unsubscribe(CHANNEL)
    assert not session.unsubscribe(CHANNEL)
    assert session.due(START, only(index_value(1, computed_ns=START))) == []


def test_a_heartbeat_asks_and_an_answer_keeps_the_client() -> None:
    """Every interval a test_request; whoever answers stays."""
    session = Session(START)
    session.set_heartbeat(10, START)

    assert session.due(START + 9 * SECOND, only(None)) == []
    assert kinds(session.due(START + 10 * SECOND, only(None))) == ["heartbeat", "test_request"]
    session.heard(START + 12 * SECOND)
    assert kinds(session.due(START + 20 * SECOND, only(None))) == ["heartbeat", "test_request"]
    assert session.closing is None


def test_a_busy_client_is_only_asked() -> None:
    """As measured at the venue: where values go out, no heartbeat frame does."""
    session = subscribed()
    session.set_heartbeat(10, START)
    session.due(START, only(index_value(1, computed_ns=START)))

    assert kinds(session.due(START + 10 * SECOND, only(None))) == ["test_request"]


def test_who_does_not_answer_is_sent_away() -> None:
    """Ten seconds after the question, with the venue's code and reason."""
    session = Session(START)
    session.set_heartbeat(30, START)
    session.due(START + 30 * SECOND, only(None))
    session.due(START + 39 * SECOND, only(None))

    assert session.closing is None
    session.due(START + 40 * SECOND, only(None))
    assert session.closing == Closing(4000, "heartbeat close")


def test_without_a_heartbeat_nobody_is_asked() -> None:
    """Switched off again, there is no question."""
    session = subscribed()
    session.set_heartbeat(10, START)
    session.set_heartbeat(None, START + SECOND)

    assert session.due(START + 3600 * SECOND, only(None)) == []
    assert session.closing is None


def test_an_idle_client_is_closed_after_a_minute() -> None:
    """Neither subscription nor heartbeat; a request begins the minute anew."""
    session = Session(START)
    session.heard(START + 30 * SECOND)
    session.due(START + 89 * SECOND, only(None))

    assert session.closing is None
    session.due(START + 90 * SECOND, only(None))
    assert session.closing == Closing(1001, "idle")


def test_a_burst_is_allowed_a_flood_is_not() -> None:
    """CREDITS at once, then what refills; the session ends with the refusal."""
    session = Session(START)
    for _ in range(round(CREDITS)):
        session.pay(1.0, START)
    session.pay(1.0, START + SECOND // 10)

    with pytest.raises(RpcError) as caught:
        session.pay(2.0, START + SECOND // 10)
    assert (caught.value.code, caught.value.message) == (10028, "too_many_requests")
    assert session.closing is not None


def test_a_clock_that_steps_back_gives_no_credit() -> None:
    """Nor does it take any."""
    session = Session(START)
    session.pay(CREDITS, START)

    with pytest.raises(RpcError):
        session.pay(1.0, START - SECOND)
