"""The simulated Derive without sockets: its words, its limits, its lies; the market's truth."""

import json
from functools import cache
from math import exp
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.simulator import pricing
from volgauge.simulator.derive import RATE, cut_to_tick, printed_factor
from volgauge.simulator.derive_session import DeriveSession
from volgauge.simulator.derive_venue import LATENCY_NS, REQUESTS, DeriveVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.numbers import number_text

START_NS = parse_instant("2026-11-20T12:00:00Z")
Row = dict[str, Any]


def venue(
    *currencies: str, rate: float = 500.0, start_ns: int = START_NS, seed: int = 5
) -> DeriveVenue:
    """On a small market."""
    options = MarketOptions(
        seed=seed, currencies=currencies or ("XRP_USDC",), start_ns=start_ns, rate=rate
    )
    return DeriveVenue(Market(options), seed)


@cache
def still() -> DeriveVenue:
    """One that nobody moves, for the tests that only look."""
    return venue("BTC", "XRP_USDC")


def run(simulated: DeriveVenue, seconds: float) -> None:
    """Let the market move."""
    for _ in range(round(seconds * NANOS_PER_SECOND / simulated.market.step_ns)):
        simulated.advance(simulated.market.advance())


def taken(session: DeriveSession) -> list[Row]:
    """What the session has sent."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def asked(session: DeriveSession, method: str, *channels: str, number: object = 1) -> Row:
    """The answer to one request."""
    request = {"id": number, "method": method, "params": {"channels": channels}}
    session.receive(json.dumps(request).encode(), 1.0)
    (answer,) = taken(session)
    return answer


def is_cut(session: DeriveSession) -> bool:
    """The venue wants to hang up."""
    return session.closing == (1001, "")


def name_of(simulated: DeriveVenue) -> str:
    """An option that is quoted on both sides: near the money, of the nearest expiry but one."""
    book = simulated.books[0]
    board = book.board
    near = np.flatnonzero(board.alive & (board.expiry_of == 1))
    slot = near[np.argmin(np.abs(board.strike[near] - board.forward[1]))]
    return str(simulated.names[0][slot])


def get(simulated: DeriveVenue, path: str, **params: str) -> Row:
    """The body of a GET."""
    status, body = simulated.answer(path, params)
    assert status == 200
    answer: Row = json.loads(body)
    return answer


def listing(simulated: DeriveVenue, **params: str) -> Row:
    """The body of a listing."""
    query = {"expired": "false", "instrument_type": "option"} | params
    return get(simulated, "public/get_all_instruments", **query)


def test_derive_answers_with_a_status_for_each_channel() -> None:
    """Bad ones have a reason there, and all channels of the session are told."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    good = f"ticker_slim.{name_of(simulated)}.100"
    bad = ["ticker_slim.XRP-20260101-1-C.100", good.replace(".100", ".50"), "trades.XRP"]
    answer = asked(session, "subscribe", "spot_feed.XRP", good, *bad, number="probe-1")

    assert answer["id"] == "probe-1"
    assert answer["result"]["current_subscriptions"] == ["spot_feed.XRP", good]
    status = answer["result"]["status"]
    assert list(status) == ["spot_feed.XRP", good, *bad]
    assert [word == "ok" for word in status.values()] == [True, True, False, False, False]


def test_derive_refuses_a_request_without_a_good_channel() -> None:
    """13000; without any channel at all -32602."""
    session = venue().open(0.0, 1)

    assert asked(session, "subscribe", "spot_feed.NONE")["error"]["code"] == 13000
    assert asked(session, "subscribe")["error"]["code"] == -32602
    assert session.subscriptions == {}


@pytest.mark.parametrize(
    ("frame", "number", "code"),
    [
        (b"{", None, -32700),
        (b"[]", None, -32600),
        (b'{"id":7}', None, -32600),
        (b'{"id":7,"method":"set_heartbeat","params":{"interval":10}}', 7, -32601),
        (b'{"id":7,"method":"subscribe","params":{"channels":[1]}}', 7, -32602),
    ],
)
def test_derive_request_that_is_none_is_refused(frame: bytes, number: object, code: int) -> None:
    """In the words of JSON-RPC; there is no heartbeat."""
    session = venue().open(0.0, 1)
    session.receive(frame, 0.0)
    (answer,) = taken(session)

    assert (answer["id"], answer["error"]["code"]) == (number, code)


def test_derive_tells_the_time() -> None:
    """In milliseconds, with the skew that is injected."""
    simulated = venue()
    simulated.faults = Faults(clock_skew_ms=250.0)
    session = simulated.open(0.0, 1)

    assert asked(session, "public/get_time")["result"] == START_NS // NANOS_PER_MILLI + 250


def test_fifty_requests_in_five_seconds_and_no_more() -> None:
    """Of all sockets and GETs together; then -32000 until the window has moved on."""
    simulated = venue()
    one, other = simulated.open(0.0, 1), simulated.open(0.0, 2)
    for _ in range(REQUESTS - 2):
        assert "result" in asked(one, "public/get_time")
    assert "result" in asked(other, "public/get_time")
    assert "result" in get(simulated, "public/get_time")
    assert asked(other, "public/get_time")["error"]["code"] == -32000
    assert get(simulated, "public/get_time")["error"]["code"] == -32000
    run(simulated, 5.0)

    assert "result" in asked(other, "public/get_time")


def test_derive_ticker_shows_its_book() -> None:
    """Prices on the tick, sizes in coins; factor, mark and forward with their last digits cut."""
    simulated = still()
    book = simulated.books[0]
    board = book.board
    slots = np.flatnonzero(board.alive)
    for name, row in simulated.ticker_rows(0, slots.tolist()):
        _, slot = simulated.contracts[name]
        expiry = board.expiry_of[slot]
        years = board.years(simulated.market.now_ns)[expiry]
        factor, terms = exp(-RATE * years), row["option_pricing"]
        assert 0.0 <= factor - float(terms["df"]) < 0.001
        assert 0.0 <= board.forward[expiry] - float(terms["f"]) < 1.0
        fair = simulated.market.fair_prices(0, np.array([slot]))[0] * board.forward[expiry]
        assert 0.0 <= fair * factor - float(row["M"]) < 1.0 + 1e-9
        for price, size, side, lots in (
            ("b", "B", book.bid, book.bid_lots), ("a", "A", book.ask, book.ask_lots)
        ):  # fmt: skip
            if np.isnan(side[slot]):
                assert (row[price], row[size]) == ("0", "0")
            else:
                assert float(row[price]) == side[slot] == round(side[slot])
                assert float(row[size]) == lots[slot] / 100
        assert row["f"] is None


def test_printed_volatilities_are_of_the_discounted_prices() -> None:
    """Df x Black-76 on the forward; "0" where there is no bid or it is below intrinsic."""
    simulated = still()
    board = simulated.books[0].board
    checked = 0
    for name, row in simulated.ticker_rows(0, np.flatnonzero(board.alive).tolist()):
        _, slot = simulated.contracts[name]
        expiry = board.expiry_of[slot]
        years, forward = board.years(simulated.market.now_ns)[expiry], board.forward[expiry]
        k = np.log(board.strike[slot] / forward)
        intrinsic = max(-np.expm1(k) if board.is_call[slot] else np.expm1(k), 0.0)
        for price, printed in ((row["b"], "bi"), (row["a"], "ai")):
            vol = float(row["option_pricing"][printed])
            value = float(price) / (exp(-RATE * years) * forward) - intrinsic
            if value <= 0.0:
                assert vol == 0.0
            elif value > 1e-4:
                checked += 1
                again = pricing.out_of_the_money(np.array([k]), np.array([vol * vol * years]))
                assert again[0] == pytest.approx(value, rel=2e-3)
    assert checked > 300


def test_derive_pushes_at_the_pace_of_the_interval() -> None:
    """Ten a second at most on the one, one on the other; the delay of the wire after the state."""
    simulated = venue(rate=20_000.0)
    session = simulated.open(0.0, 1)
    fast = f"ticker_slim.{name_of(simulated)}.100"
    slow = fast.replace(".100", ".1000")
    asked(session, "subscribe", fast, slow)
    run(simulated, 3.0)
    frames = [frame["params"] for frame in taken(session)]
    counts = {name: sum(frame["channel"] == name for frame in frames) for name in (fast, slow)}

    assert 15 < counts[fast] <= 31
    assert 3 <= counts[slow] <= 4
    tickers = [frame["data"] for frame in frames]
    assert all(data["instrument_ticker"]["t"] == data["timestamp"] for data in tickers)


def test_derive_pushes_take_their_time() -> None:
    """The state of now arrives after the delay of the wire."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", "spot_feed.XRP")
    step_ns = simulated.market.step_ns
    steps = 0
    while not session.out:
        simulated.advance(simulated.market.advance())
        steps += 1

    assert steps == -(-LATENCY_NS // step_ns) > 1


def test_derive_spot_is_the_markets_index() -> None:
    """At once, and with every change."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", "spot_feed.XRP")
    run(simulated, 1.0)
    frames = [frame["params"]["data"] for frame in taken(session)]

    assert len(frames) > 3
    price = float(frames[-1]["feeds"]["XRP"]["price"])
    assert price == pytest.approx(simulated.market.boards[0].index_price, rel=1e-3)


def test_unsubscribed_derive_channel_is_silent() -> None:
    """What is on its way is dropped too; another unsubscribe has nothing to end."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    channel = f"ticker_slim.{name_of(simulated)}.100"
    asked(session, "subscribe", channel)
    answer = asked(session, "unsubscribe", channel)
    assert answer["result"] == {"status": {channel: "ok"}, "remaining_subscriptions": []}
    assert asked(session, "unsubscribe", channel)["result"]["status"][channel] != "ok"
    run(simulated, 1.0)

    assert taken(session) == []
    session.close()


def test_derive_listing_comes_in_pages() -> None:
    """100 rows unless asked otherwise; beyond the last page the last one."""
    simulated = still()
    total = len(simulated.contracts)
    first = listing(simulated)["result"]
    assert first["pagination"] == {"count": total, "num_pages": -(-total // 100)}
    assert len(first["instruments"]) == 100

    coin = listing(simulated, currency="XRP", page_size="1000")["result"]
    names = [row["instrument_name"] for row in coin["instruments"]]
    assert names == [name for name in simulated.contracts if name.startswith("XRP-")]
    whole = listing(simulated, page_size="1000", page="99")["result"]
    assert whole["pagination"]["num_pages"] == -(-total // 1000)
    assert len(whole["instruments"]) == total - (total - 1) // 1000 * 1000
    assert {row["quote_currency"] for row in coin["instruments"]} == {"USDC"}


def test_derive_instrument_has_the_terms_of_the_option() -> None:
    """Expiry in seconds, trading until a minute before."""
    simulated = venue()
    name = name_of(simulated)
    board = simulated.books[0].board
    option = board.options[simulated.contracts[name][1]]
    rows = listing(simulated, page_size="1000")["result"]["instruments"]
    (row,) = [row for row in rows if row["instrument_name"] == name]

    details = row["option_details"]
    assert details["expiry"] * NANOS_PER_SECOND == option.expiry.expiry_ns
    assert row["scheduled_deactivation"] == details["expiry"] - 60
    assert float(details["strike"]) == option.strike
    assert (details["option_type"] == "C") == option.is_call
    assert (details["index"], row["is_active"], row["tick_size"]) == ("XRP-USD", True, "0.0001")


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("public/nothing", {}, -32601),
        ("public/get_all_instruments", {}, -32602),
        ("public/get_all_instruments", {"expired": "no", "instrument_type": "option"}, -32602),
        (
            "public/get_all_instruments",
            {"expired": "false", "instrument_type": "option", "page_size": "1001"},
            -32602,
        ),
        (
            "public/get_all_instruments",
            {"expired": "false", "instrument_type": "option", "currency": "NONE"},
            12002,
        ),
        ("public/get_instruments", {"expired": "false", "instrument_type": "option"}, -32602),
        ("public/get_tickers", {"instrument_type": "option", "currency": "XRP"}, -32602),
    ],
)
def test_derive_rest_refusals(path: str, params: dict[str, str], code: int) -> None:
    """Codes in a body of HTTP 200."""
    assert get(venue(), path, **params)["error"]["code"] == code


def test_derive_tickers_of_a_day_by_rest() -> None:
    """By name, slim; both coin and day are asked for."""
    simulated = venue()
    name = name_of(simulated)
    date = name.split("-")[1]
    query = {"instrument_type": "option", "currency": "XRP", "expiry_date": date}
    found = get(simulated, "public/get_tickers", **query)["result"]["tickers"]

    assert name in found
    assert {other.split("-")[1] for other in found} == {date}
    rows = get(
        simulated, "public/get_instruments", currency="XRP", instrument_type="option",
        expired="false",
    )["result"]  # fmt: skip
    assert {row["instrument_name"] for row in rows} == set(simulated.contracts)


def test_derive_lists_what_the_market_lists_after_a_roll() -> None:
    """The old names go at the hour, the new ones come; nobody is told."""
    simulated = venue(start_ns=parse_instant("2026-11-21T07:59:59Z"), rate=200.0)
    session = simulated.open(0.0, 1)
    before = set(simulated.contracts)
    asked(session, "subscribe", *[f"ticker_slim.{name}.1000" for name in before])
    run(simulated, 20.0)
    after = set(simulated.contracts)

    assert before - after
    assert after - before
    board = simulated.books[0].board
    assert len(after) == np.count_nonzero(board.alive)
    assert all(frame["method"] == "subscription" for frame in taken(session))
    fresh = min(after - before)
    assert asked(session, "subscribe", f"ticker_slim.{fresh}.1000")["result"]["status"] == {
        f"ticker_slim.{fresh}.1000": "ok"
    }


def test_derive_maintenance_is_a_severe_incident() -> None:
    """The listings fail, everybody is cut off a moment later, then it is over."""
    simulated = venue()
    simulated.faults = Faults(maintenance_after_seconds=5.0, maintenance_seconds=10.0)
    session = simulated.open(0.0, 1)
    simulated.tick(5.0)
    incidents = get(simulated, "public/get_live_incidents")["result"]["incidents"]
    assert [incident["severity"] for incident in incidents] == ["high"]
    assert listing(simulated)["error"]["code"] == -32603
    assert not is_cut(session)
    simulated.tick(6.0)
    assert is_cut(session)
    assert is_cut(simulated.open(0.0, 2))
    simulated.tick(15.0)

    assert get(simulated, "public/get_live_incidents")["result"]["incidents"] == []
    assert not is_cut(simulated.open(0.0, 3))


def test_derive_faults_refuse_channels_with_a_reason() -> None:
    """The same ones always."""
    simulated = venue()
    simulated.faults = Faults(refuse=0.5)
    session = simulated.open(0.0, 1)
    channels = [f"ticker_slim.{name}.100" for name in list(simulated.contracts)[:40]]
    status = asked(session, "subscribe", *channels)["result"]["status"]
    refused = {channel for channel, word in status.items() if word != "ok"}

    assert 5 < len(refused) < 35
    assert set(session.subscriptions) == set(channels) - refused


def test_silent_derive_answers_still() -> None:
    """No data at all."""
    simulated = venue()
    simulated.lies = Lies(silent=True)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", "spot_feed.XRP", f"ticker_slim.{name_of(simulated)}.100")
    run(simulated, 3.0)

    assert session.out == []
    assert "result" in asked(session, "public/get_time")


def test_same_seed_gives_the_same_derive_frames() -> None:
    """Byte by byte."""
    streams = []
    for _ in range(2):
        simulated = venue()
        session = simulated.open(0.0, 1)
        asked(session, "subscribe", *[f"ticker_slim.{name}.100" for name in simulated.contracts])
        run(simulated, 0.5)
        streams.append(b"".join(session.out))

    assert streams[0] == streams[1] != b""


def test_slow_reader_of_derive_loses_only_what_is_newer() -> None:
    """Pushes of one channel share a key, answers have their own."""
    session = venue().open(0.0, 1)
    one = b'{"method":"subscription","params":{"channel":"a","data":{"x":1}}}'
    two = b'{"method":"subscription","params":{"channel":"a","data":{"x":2}}}'
    other = b'{"method":"subscription","params":{"channel":"b","data":{"x":2}}}'
    answer = b'{"id":1,"result":{"status":{}}}'

    assert session.conflation_key(one) == session.conflation_key(two)
    assert session.conflation_key(one) != session.conflation_key(other)
    assert session.conflation_key(answer) == answer
    assert [session.is_data(frame) for frame in (one, answer)] == [True, False]


@pytest.mark.parametrize(
    ("factor", "text"), [(0.99999, "0.999"), (1.0, "1"), (0.9871, "0.987"), (0.9, "0.9")]
)
def test_factor_is_cut_to_three_digits(factor: float, text: str) -> None:
    """Never rounded up."""
    assert printed_factor(factor) == text


def test_mark_is_cut_to_the_tick() -> None:
    """As recorded: 31.8 is printed as 31, 398.18 as 398.1."""
    btc = still().families[0].terms

    assert cut_to_tick(btc, 31.798) == "31"
    assert number_text(float("nan")) == "0"
