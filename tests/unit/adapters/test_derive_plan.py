"""Which of Derive's channels go where, and what becomes of the requests for them."""

import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import (
    CALL,
    FAR,
    FAR_CALL,
    NEAR,
    NOW_NS,
    Row,
    acknowledge,
    bodies,
    chain,
    listed,
    option_row,
    refusal,
    running,
    sent,
    settle,
    spot,
)
from volgauge.adapters.derive.endpoints import (
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REQUESTS_PER_WINDOW,
    WINDOW_NS,
)
from volgauge.adapters.derive.plan import instrument_of
from volgauge.adapters.derive.protocol import DeriveProtocol
from volgauge.adapters.pacing import Pacer
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation, RateLimited, VenueUnavailable

HOT_CALL, WING_CALL = f"ticker_slim.{CALL}.100", f"ticker_slim.{FAR_CALL}.1000"


def begun(sink: Sink, rows: list[Row]) -> tuple[DeriveProtocol, Row]:
    """A hot session with its first request."""
    hot, _ = listed(sink, rows).connections()
    hot.start(NOW_NS)
    (request,) = sent(hot)
    return hot, request


def test_near_options_fast_far_ones_slow() -> None:
    """Each connection with a spot price as its pulse, `hot` with all of them."""
    rows = [option_row(), option_row(FAR_CALL), option_row(f"ETH-{FAR}-3000-C")]
    hot, wings = listed(Sink(), rows, hot_days=45.0).connections()
    for protocol in (hot, wings):
        protocol.start(NOW_NS)

    assert sent(hot) == [
        {
            "id": 1,
            "method": "subscribe",
            "params": {"channels": ["spot_feed.BTC", "spot_feed.ETH", HOT_CALL]},
        }
    ]
    assert [request["params"]["channels"] for request in sent(wings)] == [
        ["spot_feed.BTC", WING_CALL, f"ticker_slim.ETH-{FAR}-3000-C.1000"]
    ]


@pytest.mark.parametrize(
    ("channel", "name"),
    [(HOT_CALL, CALL), ("ticker_slim.XRP-20260731-2.5-C.100", "XRP-20260731-2.5-C"),
     ("spot_feed.BTC", ""), ("ticker_slim.x", "")],
)  # fmt: skip
def test_channel_names_its_option(channel: str, name: str) -> None:
    """Between the first dot and the last."""
    assert instrument_of(channel) == name


def test_requests_have_a_hundred_channels() -> None:
    """In the order of the expiries, one request at a time of the pool."""
    hot, _ = listed(Sink(), chain(range(50_000, 62_000, 100), [NEAR])).connections()
    hot.start(NOW_NS)
    first = sent(hot)
    for _ in range(2):
        due = hot.next_timeout_ns
        assert due is not None
        hot.on_timeout(max(due, NOW_NS))
    requests = first + sent(hot)

    assert [len(request["params"]["channels"]) for request in requests] == [100, 100, 41]


def test_requests_keep_the_venues_budget() -> None:
    """In any five seconds fewer than the venue allows an address."""
    pacer = Pacer(REQUEST_BURST, REQUEST_REFILL_NS)
    turns = []
    for now_ns in range(0, 20 * NANOS_PER_SECOND, NANOS_PER_SECOND // 100):
        while pacer.take(now_ns):
            turns.append(now_ns)

    most = max(sum(start <= t < start + WINDOW_NS for t in turns) for start in turns)
    assert most <= REQUESTS_PER_WINDOW - 10
    assert len(turns) > 100


def test_refused_channel_is_asked_for_once_more_then_counted() -> None:
    """The status map says why."""
    sink = Sink()
    hot, request = begun(sink, [option_row()])
    why = {HOT_CALL: "{'instrument_name': ['Invalid']}"}
    hot.receive(acknowledge(request, why), NOW_NS)
    (again,) = sent(hot)
    assert again["params"]["channels"] == [HOT_CALL]
    assert sink.of(Coverage) == []
    hot.receive(acknowledge(again, why), NOW_NS)

    assert sent(hot) == []
    assert hot.counts["channels_refused"] == 2
    assert hot.counts["channels_uncovered"] == 1
    assert [(e.connection, e.requested, e.accepted) for e in sink.of(Coverage)] == [("hot", 1, 0)]


def test_spot_price_that_is_refused_leaves_the_options_covered() -> None:
    """Every ticker has the index too."""
    sink = Sink()
    hot, request = begun(sink, [option_row()])
    for _ in range(2):
        hot.receive(acknowledge(request, {"spot_feed.BTC": "no"}), NOW_NS)
        request = next(iter(sent(hot)), request)

    assert hot.counts["channels_uncovered"] == 1
    assert [(e.requested, e.accepted) for e in sink.of(Coverage)] == [(1, 1)]


def test_channel_without_a_status_counts_as_refused() -> None:
    """Silence is no consent."""
    sink = Sink()
    hot, request = begun(sink, [option_row()])
    request["params"]["channels"] = ["spot_feed.BTC"]
    hot.receive(acknowledge(request), NOW_NS)

    assert [again["params"]["channels"] for again in sent(hot)] == [[HOT_CALL]]


def test_new_listing_gives_refused_channels_another_chance() -> None:
    """It may exist by now."""
    sink = Sink()
    adapter = listed(sink, [option_row()])
    hot, _ = adapter.connections()
    hot.start(NOW_NS)
    for _ in range(2):
        (request,) = sent(hot)
        hot.receive(acknowledge(request, {HOT_CALL: "no"}), NOW_NS)
    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)
    (request,) = sent(hot)
    hot.receive(acknowledge(request), NOW_NS)

    assert [e.accepted for e in sink.of(Coverage)] == [0, 1]


@pytest.mark.parametrize("code", [-32602, 12001, 13000])
def test_error_about_channels_refuses_all_of_the_request(code: int) -> None:
    """The session lives on."""
    hot, request = begun(Sink(), [option_row()])
    hot.receive(refusal(request, code), NOW_NS)

    assert hot.counts[f"request_refused.{code}"] == 1
    assert [again["params"] for again in sent(hot)] == [request["params"]]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-32000, RateLimited),
        (-32100, RateLimited),
        (-32603, VenueUnavailable),
        (16000, VenueUnavailable),
        (-32600, ProtocolViolation),
        (-32601, ProtocolViolation),
        (-32700, ProtocolViolation),
    ],
)
def test_any_other_derive_error_ends_the_session(code: int, kind: type[Exception]) -> None:
    """By the meaning of its code."""
    hot, request = begun(Sink(), [option_row()])

    with pytest.raises(kind, match=str(code)):
        hot.receive(refusal(request, code), NOW_NS)


def test_error_of_no_request_ends_the_session() -> None:
    """Whatever it is about, we do not know what is subscribed."""
    hot, _ = begun(Sink(), [option_row()])

    with pytest.raises(ProtocolViolation, match="-32602"):
        hot.receive(refusal(None, -32602), NOW_NS)


def test_request_without_an_answer_ends_the_derive_session() -> None:
    """Only a new one knows what is subscribed."""
    hot, _ = begun(Sink(), [option_row()])
    hot.on_timeout(NOW_NS + 10 * NANOS_PER_SECOND - 1)

    with pytest.raises(FeedStale, match="subscribe is not answered"):
        hot.on_timeout(NOW_NS + 10 * NANOS_PER_SECOND)


def test_answer_that_cannot_be_read_is_a_violation() -> None:
    """A status map is due."""
    hot, request = begun(Sink(), [option_row()])

    with pytest.raises(ProtocolViolation):
        hot.receive(b'{"id":%d,"result":["spot_feed.BTC"]}' % request["id"], NOW_NS)


def test_answer_to_nobody_is_ignored() -> None:
    """By number or by name."""
    hot, request = begun(Sink(), [option_row()])
    hot.receive(acknowledge(request | {"id": 77}), NOW_NS)
    hot.receive(acknowledge(request | {"id": "probe-1"}), NOW_NS)

    assert hot.counts["ignored.answer"] == 2


def test_option_that_comes_near_changes_its_connection() -> None:
    """Unsubscribed here, subscribed there, by the next listing."""
    adapter = listed(Sink(), [option_row(), option_row(FAR_CALL)], reconnect_after_seconds=1e9)
    hot, wings = (running(protocol) for protocol in adapter.connections())
    now_ns = NOW_NS + 29 * NANOS_PER_DAY
    adapter.on_catalog(bodies(adapter, [option_row(), option_row(FAR_CALL)]), now_ns)
    assert sent(wings) == sent(hot) == []
    later_ns = NOW_NS + 140 * NANOS_PER_DAY
    adapter.on_catalog(bodies(adapter, [option_row(FAR_CALL)]), later_ns)

    assert [(r["method"], r["params"]["channels"]) for r in sent(wings)] == [
        ("unsubscribe", [WING_CALL])
    ]
    (request,) = sent(hot)
    assert (request["method"], request["params"]["channels"]) == ("unsubscribe", [HOT_CALL])
    hot.receive(acknowledge(request), later_ns)
    assert [r["params"]["channels"] for r in sent(hot)] == [[f"ticker_slim.{FAR_CALL}.100"]]


def test_new_terms_renew_the_derive_channel() -> None:
    """Unsubscribe, its answer, subscribe: the quote must be sent again."""
    adapter = listed(Sink(), [option_row()])
    hot = running(adapter.connections()[0])
    adapter.on_catalog(bodies(adapter, [option_row(tick_size="2")]), NOW_NS)
    (request,) = sent(hot)
    assert (request["method"], request["params"]["channels"]) == ("unsubscribe", [HOT_CALL])
    hot.receive(acknowledge(request), NOW_NS)
    (request,) = sent(hot)

    assert (request["method"], request["params"]["channels"]) == ("subscribe", [HOT_CALL])


def test_channel_dropped_while_it_is_asked_for_is_unsubscribed() -> None:
    """The answer comes after the new plan."""
    adapter = listed(Sink(), [option_row(), option_row(f"BTC-{NEAR}-70000-C")])
    hot, _ = adapter.connections()
    hot.start(NOW_NS)
    (request,) = sent(hot)
    adapter.on_catalog(bodies(adapter, [option_row()]), NOW_NS)
    hot.receive(acknowledge(request), NOW_NS)
    hot.receive(spot(), NOW_NS)

    assert [(r["method"], r["params"]["channels"]) for r in sent(hot)] == [
        ("unsubscribe", [f"ticker_slim.BTC-{NEAR}-70000-C.100"])
    ]
    settle(hot, NOW_NS)
