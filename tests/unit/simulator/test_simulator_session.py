"""The venue's JSON-RPC behaviours, each as recorded, without sockets."""

from typing import Any

import msgspec
import pytest

from volgauge.simulator.faults import Faults
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.public_api import PublicApi
from volgauge.simulator.session import Session, Timing
from volgauge.simulator.venue import Venue

START = 1_784_116_800_000_000_000
DECODER = msgspec.json.Decoder()


class Bench:
    """One session on a small venue, with hands on the clock."""

    def __init__(self, **market: Any) -> None:  # noqa: ANN401 - market options
        options: dict[str, Any] = {
            "start_ns": START,
            "currencies": ("BTC",),
            "rate": 2_000.0,
        } | market
        self.market = Market(MarketOptions(**options))
        self.venue = Venue(self.market)
        self.api = PublicApi(self.venue, lambda *_: [[1.0, 50.0, 51.0, 49.0, 50.5]])
        self.session = Session(self.api, Timing(), 0.0, seed=1)
        self.names = [option.name for option in self.market.boards[0].options]

    def call(self, method: str, now: float = 0.0, **params: object) -> dict[str, Any]:
        """Send one request; its reply."""
        self.session.out.clear()
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        self.session.receive(msgspec.json.encode(request), now)
        return dict(DECODER.decode(self.session.out[0]))

    def pushes(self) -> list[dict[str, Any]]:
        """Notifications that wait, as (channel, data)."""
        frames = [DECODER.decode(frame) for frame in self.session.out]
        self.session.out.clear()
        return [frame["params"] for frame in frames if frame.get("method") == "subscription"]

    def run(self, steps: int) -> list[dict[str, Any]]:
        """Let the market move; what was pushed."""
        self.session.out.clear()
        for _ in range(steps):
            self.venue.advance()
        return self.pushes()


def test_answers_carry_the_stamps() -> None:
    """Every answer has usIn, usOut, usDiff and testnet."""
    answer = Bench().call("public/hello", client_name="x", client_version="1")

    assert answer["result"] == {"version": "1.2.26"}
    assert answer["usOut"] - answer["usIn"] == answer["usDiff"] >= 0
    assert answer["testnet"] is False
    assert answer["id"] == 7


def test_ack_lists_valid_channels_in_another_order() -> None:
    """Bad channels vanish silently; the rest comes shuffled."""
    bench = Bench()
    wanted = [f"quote.{name}" for name in bench.names[:40]]

    answer = bench.call("public/subscribe", channels=[*wanted, "quote.BTC-NOPE", "nonsense"])

    assert sorted(answer["result"]) == sorted(wanted)
    assert answer["result"] != wanted


def test_unknown_channel_alone_gives_an_empty_ack() -> None:
    """`"result":[]`, no error."""
    assert Bench().call("public/subscribe", channels=["quote.BTC-NOPE"])["result"] == []


def test_subscription_begins_with_the_current_quote() -> None:
    """The frame after the ack is the quote as it stands."""
    bench = Bench()
    name = bench.names[100]
    bench.call("public/subscribe", channels=[f"quote.{name}"])

    (push,) = bench.pushes()

    assert push["channel"] == f"quote.{name}"
    assert set(push["data"]) == {
        "timestamp", "instrument_name", "best_ask_price", "best_bid_price", "best_ask_amount",
        "best_bid_amount",
    }  # fmt: skip
    assert push["data"]["best_ask_price"] == bench.market.boards[0].ask[100]


def test_duplicate_subscription_is_acknowledged_without_a_frame() -> None:
    """The second ack lists the channel; nothing follows."""
    bench = Bench()
    channel = f"book.{bench.names[100]}.100ms"
    bench.call("public/subscribe", channels=[channel])

    answer = bench.call("public/subscribe", channels=[channel])

    assert answer["result"] == [channel]
    assert bench.pushes() == []


def test_raw_interval_is_refused_as_a_whole() -> None:
    """One raw channel fails the request with 13778."""
    bench = Bench()
    good = f"quote.{bench.names[0]}"

    answer = bench.call("public/subscribe", channels=[good, f"ticker.{bench.names[0]}.raw"])

    assert answer["error"] == {
        "code": 13778, "message": "raw_subscriptions_not_available_for_unauthorized"
    }  # fmt: skip
    assert bench.session.subscriptions == {}


def test_oversized_request_is_refused_without_id() -> None:
    """More than 32,768 bytes: -32600, no id, the session lives."""
    bench = Bench()
    bench.session.receive(b'{"id":1,"x":"' + b"y" * 32_760 + b'"}', 0.0)

    answer = DECODER.decode(bench.session.out[0])

    assert answer["error"] == {"code": -32600, "message": "request entity too large"}
    assert "id" not in answer
    assert bench.session.closing is None


def test_invalid_json_is_refused_without_id() -> None:
    """11050 with `invalid json`."""
    bench = Bench()
    bench.session.receive(b"{nope", 0.0)

    answer = DECODER.decode(bench.session.out[0])

    assert answer == {
        "jsonrpc": "2.0",
        "error": {"code": 11050, "data": "invalid json", "message": "bad_request"},
        "testnet": False,
    }


def test_too_many_subscribes_end_the_session() -> None:
    """Eleven at once: burst of 10, then 10028 and the end."""
    bench = Bench()
    answers = [bench.call("public/subscribe", channels=["platform_state"]) for _ in range(11)]

    assert [("error" in answer) for answer in answers] == [False] * 10 + [True]
    assert answers[-1]["error"]["code"] == 10028
    assert bench.session.closing is not None


def test_credits_refill() -> None:
    """A subscribe each 0.3 s can go on for ever."""
    bench = Bench()
    for number in range(40):
        now = 0.3 * number
        answer = bench.call("public/subscribe", now, channels=["platform_state"])
        assert "result" in answer

    assert bench.session.closing is None


def test_heartbeat_below_ten_seconds_is_refused() -> None:
    """The interval must be 10 s at least."""
    answer = Bench().call("public/set_heartbeat", interval=5)

    assert answer["error"]["code"] == -32602


def test_unanswered_test_request_closes_with_4000() -> None:
    """Ten seconds after the test request: 4000 `heartbeat close`."""
    bench = Bench()
    bench.call("public/set_heartbeat", interval=10)
    bench.session.out.clear()
    bench.session.tick(9.9)
    assert bench.session.out == []
    bench.session.tick(10.0)
    sent = [DECODER.decode(frame) for frame in bench.session.out]
    bench.session.tick(19.9)
    assert bench.session.closing is None
    bench.session.tick(20.0)

    assert sent[-1] == {
        "params": {"type": "test_request"}, "method": "heartbeat", "jsonrpc": "2.0"
    }  # fmt: skip
    assert bench.session.closing == (4000, "heartbeat close")


def test_answered_test_request_keeps_the_session() -> None:
    """`public/test` resets the limit, again and again."""
    bench = Bench()
    bench.call("public/set_heartbeat", interval=10)
    for round_ in range(1, 8):
        bench.session.tick(10.0 * round_)
        bench.call("public/test", 10.0 * round_ + 1.0)
        bench.session.tick(10.0 * round_ + 9.0)

    assert bench.session.closing is None


def test_busy_session_gets_test_requests_only() -> None:
    """With subscriptions there are no plain heartbeat frames."""
    bench = Bench()
    bench.call("public/set_heartbeat", interval=10)
    bench.call("public/subscribe", channels=["platform_state"])
    bench.session.out.clear()
    bench.session.tick(10.0)

    assert [DECODER.decode(frame)["params"]["type"] for frame in bench.session.out] == [
        "test_request"
    ]


def test_idle_session_is_cut_after_a_minute() -> None:
    """Neither subscription nor heartbeat: cut at 60.5 s without a close frame."""
    bench = Bench()
    bench.session.tick(60.4)
    assert bench.session.closing is None
    bench.session.tick(60.5)

    assert bench.session.closing == (1006, "")


def test_private_methods_are_unauthorised() -> None:
    """13009, as for anyone without a key."""
    assert Bench().call("private/get_account_summaries")["error"]["code"] == 13009


def test_unsubscribed_channel_falls_silent() -> None:
    """After unsubscribe no frame of the channel comes."""
    bench = Bench()
    channels = [f"quote.{name}" for name in bench.names]
    for first in range(0, len(channels), 450):
        bench.call("public/subscribe", channels=channels[first : first + 450])
    assert len(bench.run(20)) > 100
    for first in range(0, len(channels), 450):
        bench.call("public/unsubscribe", channels=channels[first : first + 450])

    assert bench.run(20) == []


def test_more_than_500_channels_are_refused() -> None:
    """The limit of channels a request."""
    answer = Bench().call("public/subscribe", channels=["platform_state"] * 501)

    assert answer["error"]["code"] == -32602


def test_absent_sides_are_spelled_both_ways() -> None:
    """Missing bids come as null and as 0.0, with amount 0.0."""
    bench = Bench()
    board = bench.market.boards[0]
    missing = [slot for slot in range(len(board.options)) if board.bid[slot] != board.bid[slot]]
    bench.call("public/subscribe", channels=[f"quote.{bench.names[slot]}" for slot in missing])

    spellings = {
        (push["data"]["best_bid_price"], push["data"]["best_bid_amount"]) for push in bench.pushes()
    }

    assert spellings == {(None, 0.0), (0.0, 0.0)}


def test_book_changes_link() -> None:
    """Snapshot first; each change names the id before it; applying them gives the depth."""
    bench = Bench(rate=20_000.0)
    name = bench.names[300]
    bench.call("public/subscribe", channels=[f"book.{name}.100ms"])
    pushes = bench.pushes() + bench.run(400)
    book: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    last = None
    for push in pushes:
        data = push["data"]
        if data["type"] == "change":
            assert data["prev_change_id"] == last
        last = data["change_id"]
        for side, levels in book.items():
            for action, price, size in data[side]:
                if action == "delete":
                    assert size == 0.0
                    del levels[price]
                else:
                    assert (action == "new") == (price not in levels)
                    levels[price] = size

    assert [push["data"]["type"] for push in pushes[:2]] == ["snapshot", "change"]
    assert len(pushes) > 5
    assert max(book["bids"]) < min(book["asks"])
    assert len(book["bids"]) == len(book["asks"]) == 10


def test_injected_gap_breaks_the_link() -> None:
    """With `book_gap` a change is missing."""
    bench = Bench(rate=20_000.0)
    bench.venue.faults = Faults(book_gap=0.5)
    bench.call("public/subscribe", channels=[f"book.{bench.names[300]}.100ms"])
    pushes = bench.pushes() + bench.run(600)
    links = [push["data"].get("prev_change_id") for push in pushes][1:]
    ids = [push["data"]["change_id"] for push in pushes][:-1]

    assert any(link != before for link, before in zip(links, ids, strict=True))


def test_second_subscriber_joins_the_chain() -> None:
    """A snapshot taken later links to the next change that all subscribers get."""
    bench = Bench(rate=20_000.0)
    channel = f"book.{bench.names[300]}.100ms"
    bench.call("public/subscribe", channels=[channel])
    bench.run(200)
    other = Session(bench.api, Timing(), 0.0, seed=2)
    request = {"id": 1, "method": "public/subscribe", "params": {"channels": [channel]}}
    other.receive(msgspec.json.encode(request), 0.0)
    snapshot = DECODER.decode(other.out[1])["params"]["data"]
    other.out.clear()
    bench.run(400)
    change = DECODER.decode(other.out[0])["params"]["data"]

    assert snapshot["type"] == "snapshot"
    assert change["prev_change_id"] == snapshot["change_id"]


def test_grouped_book_is_whole_each_time() -> None:
    """No type, no link; `depth` levels of price and size."""
    bench = Bench(rate=20_000.0)
    bench.call("public/subscribe", channels=[f"book.{bench.names[300]}.none.10.100ms"])

    pushes = bench.pushes() + bench.run(200)

    assert len(pushes) > 2
    for push in pushes:
        assert set(push["data"]) == {"timestamp", "change_id", "instrument_name", "bids", "asks"}
        assert len(push["data"]["asks"]) == 10


def test_ticker_has_percent_ivs_and_marks_have_fractions() -> None:
    """The venue's two spellings of one volatility."""
    bench = Bench()
    name = next(n for n in bench.names if n.endswith("-86000-C"))
    bench.call("public/subscribe", channels=[f"ticker.{name}.100ms", "markprice.options.btc_usd"])
    by_channel = {push["channel"]: push["data"] for push in bench.pushes()}

    ticker = by_channel[f"ticker.{name}.100ms"]
    mark = next(
        row for row in by_channel["markprice.options.btc_usd"] if row["instrument_name"] == name
    )

    assert ticker["mark_iv"] == pytest.approx(100.0 * mark["iv"], abs=0.02)
    assert 10.0 < ticker["mark_iv"] < 300.0
    assert ticker["bid_iv"] <= ticker["mark_iv"] <= ticker["ask_iv"] + 5.0
    assert ticker["underlying_price"] == pytest.approx(86_000.0, rel=0.01)


def test_incremental_ticker_sends_what_changed() -> None:
    """A snapshot, then changes with fewer fields."""
    bench = Bench(rate=20_000.0)
    bench.call("public/subscribe", channels=[f"incremental_ticker.{bench.names[300]}"])

    first, *rest = bench.pushes() + bench.run(600)

    assert first["data"]["type"] == "snapshot"
    assert rest
    assert all(push["data"]["type"] == "change" for push in rest)
    assert all(len(push["data"]) < len(first["data"]) for push in rest)


def test_indices_tick_once_a_second() -> None:
    """Price index, volatility index and marks come once a second."""
    bench = Bench()
    channels = [
        "deribit_price_index.btc_usd", "deribit_volatility_index.btc_usd",
        "markprice.options.btc_usd",
    ]  # fmt: skip
    bench.call("public/subscribe", channels=channels)

    pushes = bench.run(600)

    for channel in channels:
        assert sum(push["channel"] == channel for push in pushes) == 3
    vol = next(push for push in pushes if push["channel"] == channels[1])["data"]
    assert set(vol) == {"timestamp", "volatility", "index_name"}


def test_futures_quote_the_forward() -> None:
    """Every option expiry has a listed future around the forward."""
    bench = Bench()
    board = bench.market.boards[0]
    names = [board.future_name(index) for index in board.living_expiries()]
    bench.call("public/subscribe", channels=[f"quote.{name}" for name in names])
    truth = dict(zip(names, bench.market.truth("BTC").forward, strict=True))

    pushes = bench.pushes()

    assert len(pushes) == len(names) == len(board.living_expiries())
    for push in pushes:
        data = push["data"]
        mid = 0.5 * (data["best_bid_price"] + data["best_ask_price"])
        assert mid == pytest.approx(truth[data["instrument_name"]], abs=2.0)


def test_locked_index_is_announced_and_stands_still() -> None:
    """`platform_state` tells; the price index stops."""
    bench = Bench()
    bench.call("public/subscribe", channels=["platform_state", "deribit_price_index.btc_usd"])
    bench.session.out.clear()
    bench.venue.lock(locked=True)
    announced = bench.pushes()

    assert announced[0]["data"] == {"price_index": "btc_usd", "locked": True}
    assert all(push["channel"] == "platform_state" for push in bench.run(500))
    assert bench.call("public/status")["result"]["locked_indices"] == ["btc_usd"]


def test_clock_skew_moves_the_stamps() -> None:
    """Frames carry the skewed clock."""
    bench = Bench()
    bench.venue.faults = Faults(clock_skew_ms=-5_000.0)
    bench.call("public/subscribe", channels=["deribit_price_index.btc_usd"])

    assert bench.pushes()[0]["data"]["timestamp"] == START // 10**6 - 5_000


def test_refused_share_is_missing_from_the_ack() -> None:
    """`refuse` drops a fixed share of the channels."""
    bench = Bench()
    bench.venue.faults = Faults(refuse=0.25)
    wanted = [f"quote.{name}" for name in bench.names[:400]]

    accepted = bench.call("public/subscribe", channels=wanted)["result"]
    again = bench.call("public/subscribe", channels=wanted)["result"]

    assert 0.15 < 1.0 - len(accepted) / len(wanted) < 0.35
    assert sorted(again) == sorted(accepted)


def test_eight_o_clock_bursts_states_and_creations() -> None:
    """The roll sends settlement, delivery and whole new contracts; an open ticker says expired."""
    eight = 1_784_102_400_000_000_000
    bench = Bench(start_ns=eight - 500_000_000, step_ns=100_000_000, rate=50.0)
    dying = next(name for name in bench.names if "15JUL26" in name)
    bench.call(
        "public/subscribe",
        channels=[
            "instrument.state.option.BTC", "instrument.creation.option.BTC",
            f"ticker.{dying}.100ms", "instrument.state.any.any",
        ],
    )  # fmt: skip

    pushes = bench.run(160)

    states = [p["data"]["state"] for p in pushes if p["channel"] == "instrument.state.option.BTC"]
    assert states.count("settlement") == states.count("delivered") > 40
    created = [p["data"] for p in pushes if p["channel"] == "instrument.creation.option.BTC"]
    assert len(created) == states.count("open") > 40
    assert {"tick_size_steps", "expiration_timestamp", "strike"} <= set(created[0])
    last = [p["data"] for p in pushes if p["channel"] == f"ticker.{dying}.100ms"][-1]
    assert (last["estimated_delivery_price"], last["state"]) == ("expired", "delivered")
    assert dying not in [
        row["instrument_name"]
        for row in bench.call("public/get_instruments", currency="BTC", kind="option")["result"]
    ]


def test_a_new_listing_can_be_subscribed() -> None:
    """What instrument.creation names is known at once."""
    eight = 1_784_102_400_000_000_000
    bench = Bench(start_ns=eight - 500_000_000, step_ns=100_000_000, rate=50.0)
    bench.call("public/subscribe", channels=["instrument.creation.option.BTC"])
    fresh = bench.run(160)[0]["data"]["instrument_name"]

    answer = bench.call("public/subscribe", channels=[f"quote.{fresh}"])

    assert answer["result"] == [f"quote.{fresh}"]


def test_maintenance_answers_11051() -> None:
    """Every method is refused while it lasts."""
    bench = Bench()
    bench.api.in_maintenance = True

    assert bench.call("public/get_time")["error"]["code"] == 11051
    assert bench.call("public/subscribe", channels=["platform_state"])["error"]["code"] == 11051
