"""Which of OKX's channels go where, and how they are cut into requests."""

import json

import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import (
    CALL,
    MARGINED_CALL,
    NOW_NS,
    acknowledge,
    bodies,
    chain,
    index,
    listed,
    make,
    missing,
    option_row,
    running,
    sent,
    settle,
    summaries,
    summary,
)
from volgauge.adapters.okx.endpoints import REQUEST_ARGS, REQUEST_TIMEOUT_NS
from volgauge.adapters.okx.messages import Arg
from volgauge.adapters.okx.plan import cut_request
from volgauge.adapters.okx.protocol import new_pacer
from volgauge.domain.events import Coverage
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.errors import FeedStale, ProtocolViolation

FAR_CALL = "BTC-USD-261225-60000-C"
PULSE = {"channel": "index-tickers", "instId": "BTC-USD"}


def test_near_options_by_tick_far_ones_by_ticker() -> None:
    """Each connection with the index as its pulse."""
    adapter = listed(Sink(), [option_row(CALL), option_row(FAR_CALL)], hot_days=45.0)
    hot, wings, market, *_ = adapter.connections()
    for protocol in (hot, wings, market):
        protocol.start(NOW_NS)

    assert sent(hot) == [
        {"op": "subscribe", "args": [PULSE, {"channel": "bbo-tbt", "instId": CALL}]}
    ]
    assert sent(wings) == [
        {"op": "subscribe", "args": [PULSE, {"channel": "tickers", "instId": FAR_CALL}]}
    ]
    assert sent(market) == [
        {
            "op": "subscribe",
            "args": [
                PULSE,
                {"channel": "opt-summary", "instFamily": "BTC-USD"},
                {"channel": "instruments", "instType": "OPTION"},
                {"channel": "status"},
            ],
        }
    ]


def test_far_strikes_are_left_to_tickers_with_the_next_listing() -> None:
    """By |delta| as the venue tells it; between the limits nothing is moved back."""
    rows = chain([60_000, 90_000], ["260731"])
    adapter = listed(Sink(), rows)
    hot, wings, market, *_ = (running(protocol) for protocol in adapter.connections()[:3])
    far = ["BTC-USD-260731-90000-C", "BTC-USD-260731-90000-P"]
    now_ns = NOW_NS

    def told(call: str, put: str) -> tuple[set[str], set[str]]:
        """Options on either connection after these deltas and a listing."""
        nonlocal now_ns
        deltas = [summary(far[0], deltaBS=call), summary(far[1], deltaBS=put), summary()]
        market.receive(summaries(deltas), now_ns)
        now_ns += 60 * NANOS_PER_SECOND
        adapter.on_catalog(bodies(rows), now_ns)
        for protocol in (hot, wings):
            protocol.receive(index(), now_ns)
            now_ns = settle(protocol, now_ns)
        return (
            {arg.inst_id for arg in hot.subscriptions.active if arg.channel == "bbo-tbt"},
            {arg.inst_id for arg in wings.subscriptions.active if arg.channel == "tickers"},
        )

    near = {"BTC-USD-260731-60000-C", "BTC-USD-260731-60000-P"}
    assert told("0.03", "-0.97") == (near | set(far), set())
    assert told("0.016", "-0.984") == (near | set(far), set())
    assert told("0.014", "-0.986") == (near, set(far))
    assert told("0.019", "-0.981") == (near, set(far))
    assert told("0.021", "-0.979") == (near | set(far), set())


def test_two_families_share_one_index() -> None:
    """`BTC-USD_UM` settles on the index `BTC-USD`."""
    rows = [option_row(CALL), option_row(MARGINED_CALL), option_row("ETH-USD-260731-3000-P")]
    market = listed(Sink(), rows).connections()[2]
    market.start(NOW_NS)
    (request,) = sent(market)

    assert [arg.get("instId") for arg in request["args"][:2]] == ["BTC-USD", "ETH-USD"]
    assert [arg["instFamily"] for arg in request["args"] if arg["channel"] == "opt-summary"] == [
        "BTC-USD", "BTC-USD_UM", "ETH-USD",
    ]  # fmt: skip


@pytest.mark.parametrize(("levels", "channel"), [(0, "bbo-tbt"), (5, "books5"), (6, "books")])
def test_depth_chooses_the_channel_of_hot_options(levels: int, channel: str) -> None:
    """Five levels come whole; the long book is kept for who asks for more."""
    hot = listed(Sink(), [option_row(CALL)], depth_levels=levels).connections()[0]
    hot.start(NOW_NS)

    assert sent(hot)[0]["args"][1] == {"channel": channel, "instId": CALL}


def test_requests_stay_below_64_kilobytes() -> None:
    """And below our own count."""
    args = [
        Arg(channel="bbo-tbt", inst_id=f"BTC-USD_UM-260731-{strike}-C") for strike in range(2_000)
    ]
    taken = cut_request(args)
    assert len(taken) == REQUEST_ARGS

    long = [Arg(channel="tickers", inst_id="X" * 1_000 + str(number)) for number in range(100)]
    cut = cut_request(long)
    wire = [{"channel": arg.channel, "instId": arg.inst_id} for arg in cut]
    frame = json.dumps({"op": "subscribe", "args": wire}, separators=(",", ":"))
    assert 50_000 < len(frame) < 65_536


def test_big_plan_is_paced() -> None:
    """1,200 options are three requests, not at once."""
    hot = listed(Sink(), chain(range(50_000, 50_600), ["260731"])).connections()[0]
    hot.start(NOW_NS)
    (request,) = sent(hot)
    for arg in request["args"]:
        hot.receive(acknowledge(arg), NOW_NS)
    assert sent(hot) == []
    first_due_ns = hot.next_timeout_ns
    assert first_due_ns is not None
    assert NOW_NS < first_due_ns < NOW_NS + NANOS_PER_SECOND

    settle(hot, NOW_NS)

    assert len(hot.subscriptions.active) == 1_201


def test_pacer_never_passes_480_an_hour() -> None:
    """Greedy for five hours, any window of an hour."""
    pacer = new_pacer()
    now_ns = NOW_NS
    taken = []
    while now_ns < NOW_NS + 5 * NANOS_PER_HOUR:
        assert pacer.take(now_ns)
        taken.append(now_ns)
        assert not pacer.take(now_ns)
        now_ns = pacer.free_ns

    for place, start_ns in enumerate(taken):
        within = [
            at_ns for at_ns in taken[place : place + 500] if at_ns < start_ns + NANOS_PER_HOUR
        ]
        assert len(within) <= 480
    assert len(taken) > 1_800


def test_refused_argument_is_dropped_and_the_socket_kept() -> None:
    """60018 for an option that expired meanwhile; named in the text only."""
    sink = Sink()
    hot = listed(sink, chain([60_000], ["260731"])).connections()[0]
    hot.start(NOW_NS)
    (request,) = sent(hot)
    pulse, call, put = request["args"]
    hot.receive(acknowledge(pulse), NOW_NS)
    hot.receive(missing(call), NOW_NS)
    hot.receive(acknowledge(put), NOW_NS)

    (coverage,) = sink.of(Coverage)
    assert (coverage.connection, coverage.requested, coverage.accepted) == ("hot", 3, 2)
    assert hot.counts["request_refused.60018"] == 1
    assert hot.counts["channels_uncovered"] == 1
    assert sent(hot) == []


def test_refusal_with_blanks_is_understood_too() -> None:
    """The venue has been seen to write `channel:x, instId:y`."""
    sink = Sink()
    hot = listed(sink, [option_row(CALL)]).connections()[0]
    hot.start(NOW_NS)
    pulse, call = sent(hot)[0]["args"]
    hot.receive(acknowledge(pulse), NOW_NS)
    hot.receive(missing(call).replace(b",instId", b", instId"), NOW_NS)

    assert sink.of(Coverage)[0].accepted == 1


def test_refused_argument_gets_a_chance_with_the_next_plan() -> None:
    """A minute later, with the next listing."""
    adapter = listed(Sink(), [option_row(CALL)])
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    pulse, call = sent(hot)[0]["args"]
    hot.receive(acknowledge(pulse), NOW_NS)
    hot.receive(missing(call), NOW_NS)

    adapter.on_catalog(bodies([option_row(CALL)]), NOW_NS + 60 * NANOS_PER_SECOND)

    assert sent(hot) == [{"op": "subscribe", "args": [call]}]


def test_unanswered_argument_is_requested_once_more() -> None:
    """Then it is counted as uncovered, and the session goes on."""
    sink = Sink()
    hot = listed(sink, [option_row(CALL)], reconnect_after_seconds=600.0).connections()[0]
    hot.start(NOW_NS)
    pulse, call = sent(hot)[0]["args"]
    hot.receive(acknowledge(pulse), NOW_NS)
    hot.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)
    assert sent(hot) == [{"op": "subscribe", "args": [call]}]

    hot.on_timeout(NOW_NS + 2 * REQUEST_TIMEOUT_NS)

    assert sent(hot) == []
    assert hot.counts["request_unanswered"] == 2
    assert sink.of(Coverage)[0].accepted == 1


def test_session_without_any_answer_is_given_up() -> None:
    """What is subscribed then is unknown."""
    hot = listed(Sink(), [option_row(CALL)]).connections()[0]
    hot.start(NOW_NS)

    with pytest.raises(FeedStale, match="no request is answered"):
        hot.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)


def test_refusal_that_names_nothing_is_settled_by_time() -> None:
    """Whatever it was about stays unanswered."""
    hot = listed(Sink(), [option_row(CALL)], reconnect_after_seconds=600.0).connections()[0]
    hot.start(NOW_NS)
    pulse, _ = sent(hot)[0]["args"]
    hot.receive(acknowledge(pulse), NOW_NS)
    hot.receive(
        b'{"event":"error","code":"64003","msg":"Your trading fee tier is too low"}', NOW_NS
    )
    assert hot.counts["ignored.refusal"] == 1

    hot.on_timeout(NOW_NS + REQUEST_TIMEOUT_NS)
    hot.on_timeout(NOW_NS + 2 * REQUEST_TIMEOUT_NS)

    assert hot.counts["channels_uncovered"] == 1


def test_invalid_request_ends_the_session() -> None:
    """60012 says that we broke the protocol."""
    hot = listed(Sink(), [option_row(CALL)]).connections()[0]
    hot.start(NOW_NS)

    with pytest.raises(ProtocolViolation, match="60012"):
        hot.receive(b'{"event":"error","code":"60012","msg":"Invalid request: {}"}', NOW_NS)


def test_plan_follows_the_listing() -> None:
    """What went is dropped, what came is asked for, what stays is left alone."""
    adapter = listed(Sink(), chain([60_000, 70_000], ["260731"]))
    hot = running(adapter.connections()[0])
    adapter.on_catalog(bodies(chain([60_000, 80_000], ["260731"])), NOW_NS)
    later_ns = NOW_NS + NANOS_PER_SECOND
    hot.on_timeout(later_ns)
    requests = sent(hot)

    assert requests[0]["op"] == "unsubscribe"
    assert [arg["instId"] for arg in requests[0]["args"]] == [
        "BTC-USD-260731-70000-C", "BTC-USD-260731-70000-P",
    ]  # fmt: skip
    hot.on_timeout(later_ns + NANOS_PER_SECOND)
    (second,) = sent(hot)
    assert second["op"] == "subscribe"
    assert [arg["instId"] for arg in second["args"]] == [
        "BTC-USD-260731-80000-C", "BTC-USD-260731-80000-P",
    ]  # fmt: skip


def test_new_terms_renew_the_channel() -> None:
    """A contract with another size is another contract: quoted again from the start."""
    adapter = listed(Sink(), [option_row(CALL)])
    hot = running(adapter.connections()[0])
    adapter.on_catalog(bodies([option_row(CALL, ctMult="0.1")]), NOW_NS)
    hot.on_timeout(NOW_NS + NANOS_PER_SECOND)

    assert sent(hot) == [{"op": "unsubscribe", "args": [{"channel": "bbo-tbt", "instId": CALL}]}]


def test_no_listing_no_channels() -> None:
    """Sockets may be open before the catalog is read."""
    adapter = make(Sink())
    hot = adapter.connections()[0]
    hot.start(NOW_NS)
    assert sent(hot) == []

    adapter.on_catalog(bodies([option_row(CALL)]), NOW_NS)

    assert len(sent(hot)[0]["args"]) == 2
