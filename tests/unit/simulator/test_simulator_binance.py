"""The simulated Binance without sockets: routes, answers, limits, pushes, listings, lies."""

import json
from math import exp, log
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_MILLI, parse_instant
from volgauge.simulator import binance, process
from volgauge.simulator.binance_session import MAX_STREAMS, BinanceSession
from volgauge.simulator.binance_venue import LATENCY_NS, BinanceVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.quoting import QuotingStyle

START_NS = parse_instant("2026-07-01T12:00:00Z")
STEP_NS = 5 * NANOS_PER_MILLI
MARKET, PUBLIC = "/market/stream", "/public/stream"
Row = dict[str, Any]


def venue(
    *currencies: str, rate: float = 2_000.0, seed: int = 3, roll_ms: int | None = None
) -> BinanceVenue:
    """A market of these books, and Binance on it."""
    start_ns = START_NS
    if roll_ms is not None:
        start_ns = parse_instant("2026-07-02T08:00:00Z") - roll_ms * NANOS_PER_MILLI
    options = MarketOptions(
        seed=seed, currencies=currencies or ("XRP_USDC",), start_ns=start_ns, rate=rate,
        step_ns=STEP_NS,
    )  # fmt: skip
    return BinanceVenue(Market(options), seed)


def pass_time(host: BinanceVenue, milliseconds: int) -> None:
    """Let the market and the venue move."""
    for _ in range(milliseconds * NANOS_PER_MILLI // STEP_NS):
        host.advance(host.market.advance())


def open_at(host: BinanceVenue, route: str, streams: str = "") -> BinanceSession:
    """A client at a route."""
    return host.open_route(route, {"streams": streams} if streams else {}, 0.0, 1)


def ask(
    session: BinanceSession,
    method: str,
    params: list[Any],
    number: Any = 1,  # noqa: ANN401 - any JSON value
    at: float = 0.0,
) -> list[Row]:
    """Send a request; the answers."""
    request = {"method": method, "params": params, "id": number}
    session.receive(json.dumps(request).encode(), at)
    return taken(session)


def taken(session: BinanceSession) -> list[Row]:
    """Everything that waits, parsed."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def get(host: BinanceVenue, path: str, **params: str) -> Any:  # noqa: ANN401 - any JSON value
    """A GET that succeeds."""
    status, body = host.answer(path, params)
    assert status == 200
    return json.loads(body)


def first_name(host: BinanceVenue) -> str:
    """A listed option."""
    return next(iter(host.contracts))


def test_every_request_is_answered_by_null() -> None:
    """A stream of the right name or not."""
    session = open_at(venue(), MARKET)

    assert ask(session, "SUBSCRIBE", ["xrpusdt@optionMarkPrice", "no@such"], 7) == [
        {"result": None, "id": 7}
    ]
    assert ask(session, "LIST_SUBSCRIPTIONS", [], 8) == [
        {"result": ["xrpusdt@optionMarkPrice", "no@such"], "id": 8}
    ]
    assert ask(session, "UNSUBSCRIBE", ["no@such"], 9) == [{"result": None, "id": 9}]


@pytest.mark.parametrize("number", ["1", -1, None, 1.5])
def test_request_needs_a_number(number: object) -> None:
    """In the venue's words."""
    (answer,) = ask(open_at(venue(), MARKET), "SUBSCRIBE", ["!index@arr"], number)

    assert answer == {
        "code": 2, "msg": "Invalid request: request ID must be an unsigned integer",
    }  # fmt: skip


def test_nonsense_is_refused_and_the_socket_stays() -> None:
    """No JSON, no method, no streams."""
    session = open_at(venue(), MARKET)
    session.receive(b"{", 0.0)
    (first,) = taken(session)
    (second,) = ask(session, "DANCE", [])
    (third,) = ask(session, "SUBSCRIBE", [1])

    assert first["code"] == 3
    assert second["error"]["code"] == third["error"]["code"] == 2
    assert session.closing is None


def test_property_decides_on_the_wrapping() -> None:
    """Combined or raw."""
    host = venue()
    session = open_at(host, MARKET, "!index@arr")
    assert ask(session, "GET_PROPERTY", ["combined"]) == [{"result": True, "id": 1}]
    assert ask(session, "SET_PROPERTY", ["combined", False]) == [{"result": None, "id": 1}]
    pass_time(host, 1_010)

    (indices,) = taken(session)
    assert indices[0]["e"] == "indexPrice"  # type: ignore[index] # an array, unwrapped


@pytest.mark.parametrize(
    ("route", "stream", "comes"),
    [
        (MARKET, "xrpusdt@optionMarkPrice", True),
        (PUBLIC, "xrpusdt@optionMarkPrice", False),
        (MARKET, "!index@arr", True),
        (PUBLIC, "!index@arr", False),
        (PUBLIC, "{name}@bookTicker", True),
        (MARKET, "{name}@bookTicker", False),
        (PUBLIC, "{name}@depth10@100ms", True),
        (PUBLIC, "{name}@depth7@100ms", False),
        (MARKET, "XRPUSDT@optionMarkPrice", False),
    ],
)
def test_stream_of_the_wrong_route_is_silent(route: str, stream: str, comes: bool) -> None:
    """And accepted."""
    host = venue()
    session = open_at(host, route)
    board = host.books[0].board
    middle = int(np.argmin(np.abs(board.strike - board.index_price)))
    name = stream.format(name=host.names[0][middle].lower())
    assert ask(session, "SUBSCRIBE", [name]) == [{"result": None, "id": 1}]
    pass_time(host, 1_500)

    frames = taken(session)
    assert bool(frames) == comes
    assert {frame["stream"] for frame in frames} <= {name}


def test_more_than_ten_messages_in_a_second_end_the_session() -> None:
    """Nine are nothing."""
    session = open_at(venue(), MARKET)
    for _ in range(10):
        ask(session, "LIST_SUBSCRIPTIONS", [], at=5.0)
    assert session.closing is None
    ask(session, "LIST_SUBSCRIPTIONS", [], at=5.9)

    assert session.closing == (1008, "Too many requests")


def test_more_than_two_hundred_streams_end_the_session() -> None:
    """All of a connection together."""
    session = open_at(venue(), PUBLIC)
    ask(session, "SUBSCRIBE", [f"a{number}@bookTicker" for number in range(MAX_STREAMS)])
    assert session.closing is None
    ask(session, "SUBSCRIBE", ["b@bookTicker"])

    assert session.closing is not None


def test_day_ends_the_session() -> None:
    """Told by nobody."""
    session = open_at(venue(), MARKET)
    session.tick(86_399.0)
    assert session.closing is None
    session.tick(86_400.0)

    assert session.closing == (1001, "24 hours")


def test_ping_every_five_minutes_and_an_answer_in_fifteen() -> None:
    """Who answers stays."""
    session = open_at(venue(), MARKET)
    assert session.take_ping(299.0) is None
    assert session.take_ping(300.0) == b"300000"
    session.pong(300.1)
    session.tick(1_200.0)
    assert session.closing is None
    session.tick(1_200.2)

    assert session.closing == (1008, "Pong timeout")


def test_chain_is_whole_and_priced_on_the_index() -> None:
    """Every listed option, once a second; i exp(rf T) is the forward, to the digits of rf."""
    host = venue("BTC")
    session = open_at(host, MARKET, "btcusdt@optionMarkPrice")
    pass_time(host, 1_010)
    (frame,) = taken(session)
    rows = {row["s"]: row for row in frame["data"]}

    assert set(rows) == set(host.contracts)
    book = host.books[0]
    for name, row in rows.items():
        _, slot = host.contracts[name]
        expiry = book.board.expiry_of[slot]
        years = book.board.years(host.market.now_ns)[expiry]
        forward = float(row["i"]) * exp(float(row["rf"]) * years)
        assert forward == pytest.approx(book.board.forward[expiry], rel=1e-4)
        assert row["b"] == "-1.0" or float(row["bo"]) > 0.0
        assert (float(row["bq"]) == 0.0) == (float(row["bo"]) == 0.0)
        assert row["e"] == "markPrice"
    carry = host.market.state[0, process.CARRY]
    assert all(float(row["rf"]) == pytest.approx(carry, abs=2e-4) for row in rows.values())


def test_marks_are_black_scholes_on_the_printed_numbers() -> None:
    """S = i, r = rf, vo: of a put and a call, by parity, and by the formula of the venue."""
    host = venue("BTC")
    pass_time(host, 1_000)
    book, rows = host.books[0], {row["s"]: row for row in host.chain(0)}
    checked = 0
    for name, row in rows.items():
        if not name.endswith("-C"):
            continue
        put = rows[f"{name[:-1]}P"]
        _, slot = host.contracts[name]
        years = book.board.years(host.market.now_ns)[book.board.expiry_of[slot]]
        strike, rate = book.board.strike[slot], float(row["rf"])
        parity = float(row["mp"]) - float(put["mp"])
        expected = float(row["i"]) - strike * exp(-rate * years)
        # Half a unit of the last digit of rf is worth so much.
        assert parity == pytest.approx(expected, abs=float(row["i"]) * 6e-5 * years + 0.01)
        checked += 1
    assert checked > 100


def test_contract_of_a_hundred_costs_a_hundredfold() -> None:
    """On the venue's own grid, around the truth."""
    host = venue()
    family, book = host.families[0], host.books[0]
    assert (family.unit, family.underlying) == (100, "XRPUSDT")
    alive = np.flatnonzero(book.board.alive)
    fair = book.fair(alive)
    bid, ask = book.bid[alive], book.ask[alive]

    assert np.all(np.isnan(bid) | (bid < ask))
    ticks = ask / 0.01
    assert np.allclose(ticks, np.round(ticks), atol=1e-6)
    inside = (np.nan_to_num(bid) <= fair * 1.05 + 0.02) & (fair * 0.95 - 0.02 <= ask)
    assert np.mean(inside) > 0.99
    years = book.board.years(host.market.now_ns)[book.board.expiry_of[alive]]
    coin = host.market.fair_prices(0, alive)
    growth = fair / (100.0 * coin)
    assert np.all(growth <= 1.0)
    assert np.all(growth >= np.exp(-0.2 * years))


def test_streams_tell_changes_only() -> None:
    """After the latency, in order, numbered upwards."""
    host = venue("BTC")
    slots = np.flatnonzero(host.books[0].board.alive)[:150]
    names = [host.names[0][slot].lower() for slot in slots.tolist()]
    session = open_at(host, PUBLIC, "/".join(f"{name}@bookTicker" for name in names))
    pass_time(host, 2_000)
    frames = taken(session)
    assert len(frames) > 50
    numbers = [frame["data"]["u"] for frame in frames]
    assert numbers == sorted(set(numbers))
    newest: dict[str, Row] = {}
    for frame in frames:
        data = frame["data"]
        assert frame["stream"] == f"{data['s'].lower()}@bookTicker"
        told = {key: data[key] for key in "bBaA"}
        assert newest.get(data["s"]) != told
        newest[data["s"]] = told
    assert LATENCY_NS > 0


def test_books_of_a_depth_begin_with_the_best() -> None:
    """Whole each time."""
    host = venue()
    board = host.books[0].board
    middle = int(np.argmin(np.abs(board.strike - board.index_price)))
    session = open_at(host, PUBLIC, f"{host.names[0][middle].lower()}@depth5@100ms")
    pass_time(host, 2_000)
    frames = taken(session)

    assert frames
    for frame in frames:
        bids = [float(level[0]) for level in frame["data"]["b"]]
        asks = [float(level[0]) for level in frame["data"]["a"]]
        assert len(asks) == 5
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)


def test_open_interest_comes_by_expiry() -> None:
    """Contracts, and their worth."""
    host = venue()
    host.interest_ns = 500 * NANOS_PER_MILLI
    day = first_name(host).split("-")[1]
    session = open_at(host, MARKET, f"xrpusdt@optionOpenInterest@{day}")
    pass_time(host, 600)
    (frame,) = taken(session)

    assert {row["s"].split("-")[1] for row in frame["data"]} == {day}
    for row in frame["data"]:
        worth = float(row["o"]) * 100 * host.books[0].board.index_price
        assert float(row["h"]) == pytest.approx(worth, rel=1e-3, abs=2.0)


def test_rest_listing_and_marks_agree_with_the_chain() -> None:
    """One row an option."""
    host = venue("BTC", "XRP_USDC")
    info = get(host, "eapi/v1/exchangeInfo")
    marks = get(host, "eapi/v1/mark")

    assert {row["symbol"] for row in info["optionSymbols"]} == set(host.contracts)
    assert {row["symbol"] for row in marks} == set(host.contracts)
    assert {row["unit"] for row in info["optionSymbols"]} == {1, 100}
    assert [row["underlying"] for row in info["optionContracts"]] == ["BTCUSDT", "XRPUSDT"]
    (one,) = get(host, "eapi/v1/mark", symbol=first_name(host))
    assert one["symbol"] == first_name(host)


def test_rest_book_ticker_index_and_interest() -> None:
    """What independent clients ask for."""
    host = venue()
    board = host.books[0].board
    middle = int(np.argmin(np.abs(board.strike - board.index_price)))
    name = host.names[0][middle]
    depth = get(host, "eapi/v1/depth", symbol=name, limit="10")
    (ticker,) = get(host, "eapi/v1/ticker", symbol=name)
    index = get(host, "eapi/v1/index", underlying="XRPUSDT")
    held = get(host, "eapi/v1/openInterest", underlyingAsset="XRP", expiration=name.split("-")[1])

    assert len(depth["asks"]) == 10
    assert depth["asks"][0][0] == ticker["askPrice"]
    assert float(index["indexPrice"]) == board.index_price
    assert name in {row["symbol"] for row in held}
    assert get(host, "eapi/v1/time")["serverTime"] == START_NS // NANOS_PER_MILLI
    assert get(host, "eapi/v1/ping") == {}


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("eapi/v1/depth", {"symbol": "BTC-1"}, 400, -1121),
        ("eapi/v1/depth", {}, 400, -1102),
        ("eapi/v1/index", {}, 400, -1102),
        ("eapi/v1/index", {"underlying": "ETHUSDT"}, 400, -1121),
        ("eapi/v1/openInterest", {"underlyingAsset": "XRP"}, 400, -1102),
        ("eapi/v1/nothing", {}, 404, -1000),
        ("api/v3/depth", {}, 404, -1000),
    ],
)
def test_refusals_of_rest(path: str, params: dict[str, str], status: int, code: int) -> None:
    """A status and a code."""
    answered, body = venue().answer(path, params)

    assert (answered, json.loads(body)["code"]) == (status, code)


def test_weight_is_counted_and_stubbornness_is_banned() -> None:
    """2,400 a minute; mark costs five."""
    host = venue()
    statuses = [host.answer("eapi/v1/mark", {"symbol": "none"})[0] for _ in range(480)]
    assert set(statuses) == {400}
    assert host.answer("eapi/v1/time", {})[0] == 429
    for _ in range(100):
        host.answer("eapi/v1/time", {})

    status, body = host.answer("eapi/v1/time", {})
    assert status == 418
    assert "banned until" in json.loads(body)["msg"]


def test_maintenance_refuses_everything_and_ends() -> None:
    """Nobody is told before."""
    host = venue()
    session = open_at(host, MARKET)
    host.faults = Faults(maintenance_after_seconds=1.0, maintenance_seconds=2.0)
    host.tick(1.5)
    assert session.closing is not None
    assert host.answer("eapi/v1/time", {})[0] == 503
    assert open_at(host, MARKET).closing is not None
    host.tick(3.5)

    assert host.answer("eapi/v1/time", {})[0] == 200


@pytest.mark.parametrize("lie", ["silent", "frozen", "crossed", "off"])
def test_binance_lies_keep_the_wire_in_order(lie: str) -> None:
    """No data at all, the same numbers, bids above asks, a market that is not there."""
    host = venue("BTC")
    session = open_at(host, MARKET, "btcusdt@optionMarkPrice")
    pass_time(host, 1_010)
    (before,) = taken(session)
    host.lies = {
        "silent": Lies(silent=True), "frozen": Lies(frozen=True), "crossed": Lies(crossed=True),
        "off": Lies(vol_ratio=1.5),
    }[lie]  # fmt: skip
    everything = np.flatnonzero(host.books[0].board.alive)
    host.books[0].requote(everything, host.lies)
    pass_time(host, 1_000)
    frames = taken(session)
    if lie == "silent":
        assert frames == []
        return
    pairs = [
        (float(old["bo"]), float(old["ao"]), float(new["bo"]), float(new["ao"]))
        for old, new in zip(before["data"], frames[0]["data"], strict=True)
    ]
    match lie:
        case "frozen":
            same = np.mean([old[:2] == old[2:] for old in pairs])
            assert same > 0.5
            assert frames[0]["data"][0]["E"] > before["data"][0]["E"]
        case "crossed":
            assert sum(bid > ask > 0.0 for _, _, bid, ask in pairs) > 100
        case _:
            ratio = [log(new / old) for _, old, _, new in pairs if old > 500.0]
            assert float(np.mean(ratio)) > 0.1


def test_roll_lists_and_ends_options_one_event_each() -> None:
    """Told on `!optionSymbol`; the ended are gone from everything."""
    host = venue(roll_ms=500)
    session = open_at(host, MARKET, "!optionSymbol")
    before = set(host.contracts)
    pass_time(host, 15_000)
    events = [frame["data"] for frame in taken(session)]

    closed = {event["s"] for event in events if event["cs"] == "CLOSE"}
    opened = {event["s"] for event in events if event["cs"] == "TRADING"}
    assert closed == before - set(host.contracts) != set()
    assert opened == set(host.contracts) - before != set()
    assert all(event["ot"] > 0 and event["u"] == 100 for event in events)
    assert {row["s"] for row in host.chain(0)} == set(host.contracts)


def test_same_seed_says_the_same_of_binance() -> None:
    """To the byte."""
    frames = []
    for _ in range(2):
        host = venue()
        session = open_at(host, MARKET, "xrpusdt@optionMarkPrice/!index@arr")
        pass_time(host, 2_010)
        frames.append(session.out)

    assert frames[0] == frames[1]
    assert len(frames[0]) == 4


def test_style_is_the_venues_own() -> None:
    """Wider where it is asked to be."""
    market = venue("BTC").market
    wide = BinanceVenue(market, 3, QuotingStyle(half_spread_ratio=0.1))
    usual = BinanceVenue(market, 3)

    def width(host: BinanceVenue) -> float:
        return float(np.nanmean(host.books[0].ask - host.books[0].bid))

    assert width(wide) > 2.0 * width(usual)


def test_prices_print_with_the_coins_decimals() -> None:
    """`4670.000`, `5.8000`, an absent one `0.000`."""
    bitcoin, ether = venue("BTC", "ETH").families

    assert binance.price_text(bitcoin, 4670.0) == "4670.000"
    assert binance.price_text(ether, 5.8) == "5.8000"
    assert binance.price_text(bitcoin, float("nan")) == "0.000"
    assert binance.size_text(352) == "3.52"


def test_changes_link_and_add_up_to_the_book() -> None:
    """Snapshot by REST, then pu is the u before; quantities are absolute, 0 removes."""
    host = venue()
    board = host.books[0].board
    middle = int(np.argmin(np.abs(board.strike - board.index_price)))
    name = host.names[0][middle]
    session = host.open_route(f"/public/ws/{name.lower()}@depth@100ms", {}, 0.0, 1)
    snapshot = get(host, "eapi/v1/depth", symbol=name, limit="1000")
    pass_time(host, 3_000)
    last = snapshot["lastUpdateId"]
    books = [dict(map(tuple, snapshot[side])) for side in ("bids", "asks")]
    frames = taken(session)
    assert frames
    for frame in frames:
        assert frame["pu"] == last == frame["U"] - 1
        last = frame["u"]
        for held, changes in zip(books, (frame["b"], frame["a"]), strict=True):
            held.update(map(tuple, changes))
            for price, size in changes:
                if float(size) == 0.0:
                    del held[price]
    now = get(host, "eapi/v1/depth", symbol=name, limit="1000")

    assert now["lastUpdateId"] == last
    assert books == [dict(map(tuple, now[side])) for side in ("bids", "asks")]


def test_gap_fault_leaves_changes_of_books_out() -> None:
    """So that the next one does not link."""
    host = venue()
    host.faults = Faults(book_gap=0.5)
    board = host.books[0].board
    near = np.argsort(np.abs(board.strike - board.index_price))[:20].tolist()
    streams = "/".join(f"{host.names[0][slot].lower()}@depth@100ms" for slot in near)
    session = open_at(host, PUBLIC, streams)
    pass_time(host, 3_000)
    broken, last = 0, dict[str, int]()
    for frame in taken(session):
        data = frame["data"]
        broken += last.get(data["s"], data["pu"]) != data["pu"]
        last[data["s"]] = data["u"]

    assert broken
