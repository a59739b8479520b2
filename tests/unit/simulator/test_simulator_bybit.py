"""The simulated Bybit without sockets: its words, its limits, its lies; the market's truth."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.simulator import pricing
from volgauge.simulator.bybit import ticker_rows
from volgauge.simulator.bybit_session import BybitSession
from volgauge.simulator.bybit_venue import LATENCY_NS, BybitVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.numbers import number_text

START_NS = parse_instant("2026-11-20T12:00:00Z")
Row = dict[str, Any]


def venue(
    *currencies: str, rate: float = 500.0, start_ns: int = START_NS, seed: int = 5
) -> BybitVenue:
    """On a small market."""
    options = MarketOptions(
        seed=seed, currencies=currencies or ("XRP_USDC",), start_ns=start_ns, rate=rate
    )
    return BybitVenue(Market(options), seed)


@cache
def still() -> BybitVenue:
    """One that nobody moves, for the tests that only ask."""
    return venue("BTC", "XRP_USDC")


def run(simulated: BybitVenue, seconds: float) -> None:
    """Let the market move."""
    for _ in range(round(seconds * NANOS_PER_SECOND / simulated.market.step_ns)):
        simulated.advance(simulated.market.advance())


def taken(session: BybitSession) -> list[Row]:
    """What the session has sent."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def asked(session: BybitSession, op: str, *topics: str, number: str = "1") -> Row:
    """The answer to one request."""
    request: Row = {"req_id": number, "op": op} | ({"args": topics} if topics else {})
    session.receive(json.dumps(request).encode(), 1.0)
    (answer,) = taken(session)
    return answer


def name_of(simulated: BybitVenue) -> str:
    """The option that is quoted most: at the money, of the nearest expiry but one."""
    book = simulated.books[0]
    expiry = book.board.living_expiries()[1]
    slots = np.flatnonzero(book.board.alive & (book.board.expiry_of == expiry))
    distance = np.abs(book.board.strike[slots] - book.board.forward[expiry])
    return simulated.names[0][int(slots[np.argmin(distance)])]


def get(simulated: BybitVenue, path: str, **params: str) -> Row:
    """A body with status 200."""
    status, body = simulated.answer(path, params)
    assert status == 200
    answer: Row = json.loads(body)
    return answer


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "0"), (5.0, "5"), (0.1, "0.1"), (1e-07, "0.0000001"), (86_000.0, "86000"),
        (2.25, "2.25"),
    ],
)  # fmt: skip
def test_numbers_are_plain_decimals(value: float, text: str) -> None:
    """No exponent, no trailing point; nothing is 0."""
    assert number_text(value) == text


def test_subscription_is_answered_by_topics() -> None:
    """Unknown symbols fail, the others begin with a snapshot; the answer has no number."""
    simulated = venue()
    session, name = simulated.open(0.0, 7), name_of(simulated)
    answer = asked(session, "subscribe", f"tickers.{name}", "tickers.XRP-1JAN20-1-C-USDT")

    assert answer == {
        "success": True,
        "conn_id": answer["conn_id"],
        "data": {
            "failTopics": ["tickers.XRP-1JAN20-1-C-USDT"],
            "successTopics": [f"tickers.{name}"],
        },
        "type": "COMMAND_RESP",
    }
    run(simulated, 0.05)
    (push,) = taken(session)
    assert (push["topic"], push["type"]) == (f"tickers.{name}", "snapshot")
    assert push["id"].startswith(f"{name}-")
    assert push["data"]["symbol"] == name
    assert START_NS // NANOS_PER_MILLI <= push["ts"] <= START_NS // NANOS_PER_MILLI + 50


def test_topic_of_a_coin_is_accepted_and_never_delivered() -> None:
    """`tickers.XRP`: as the venue does."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    assert asked(session, "subscribe", "tickers.XRP", "publicTrade.XRP")["data"]["failTopics"] == []
    run(simulated, 3.0)

    assert taken(session) == []


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        (("trades.BTC",), "error:handler not found,topic:trades.BTC"),
        (("orderbook.7.X",), "error:handler not found,topic:orderbook.7.X"),
        (tuple(f"tickers.BTC-25DEC26-{n}-C-USDT" for n in range(10_000, 10_700)), "args size"),
        (tuple(f"tickers.{n}" for n in range(2_001)), "args size"),
    ],
    ids=["kind", "depth", "characters", "topics"],
)
def test_request_beyond_the_rules_is_refused_as_a_whole(
    topics: tuple[str, ...], message: str
) -> None:
    """With its number, and nothing is subscribed."""
    session, name = still().open(0.0, 1), name_of(still())
    answer = asked(session, "subscribe", f"tickers.{name}", *topics, number="42")

    assert (answer["success"], answer["req_id"], answer["op"]) == (False, "42", "subscribe")
    assert message in answer["ret_msg"]
    assert session.subscriptions == {}


def test_second_subscription_of_a_topic_is_refused() -> None:
    """Unsubscribed it may come again, with a new snapshot."""
    simulated = venue()
    session, topic = simulated.open(0.0, 1), f"orderbook.25.{name_of(simulated)}"
    assert asked(session, "subscribe", topic)["success"]
    answer = asked(session, "subscribe", topic)
    assert answer["ret_msg"] == f"error:already subscribed,topic:{topic}"
    assert asked(session, "unsubscribe", topic)["data"]["successTopics"] == [topic]
    assert asked(session, "subscribe", topic)["success"]
    run(simulated, 0.05)

    assert taken(session)[0]["type"] == "snapshot"


@pytest.mark.parametrize(
    "frame", [b"x", b"[]", b"\xff", b'{"op":"order"}', b'{"op":"subscribe","args":[1]}']
)
def test_nonsense_is_refused(frame: bytes) -> None:
    """The session lives on."""
    session = still().open(0.0, 1)
    session.receive(frame, 1.0)

    (answer,) = taken(session)
    assert answer["success"] is False
    assert session.closing is None


def test_ping_is_answered_in_the_form_of_options() -> None:
    """The venue's clock, as text in `args`."""
    answer = asked(still().open(0.0, 1), "ping")

    assert answer == {"args": [str(START_NS // NANOS_PER_MILLI)], "op": "pong"}


def test_client_that_says_nothing_for_ten_minutes_is_cut() -> None:
    """Whatever is pushed to it meanwhile."""
    session = still().open(0.0, 1)
    session.tick(599.9)
    assert session.closing is None
    session.tick(600.0)

    assert session.closing == (1006, "")


def rebuilt(frames: list[Row]) -> tuple[dict[str, str], dict[str, str], list[int]]:
    """The book that a client holds, and the numbers it saw."""
    sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
    numbers = []
    for frame in frames:
        data = frame["data"]
        numbers.append(data["u"])
        for side, rows in zip(sides, (data["b"], data["a"]), strict=True):
            if frame["type"] == "snapshot":
                side.clear()
            for price, size in rows:
                if size == "0":
                    del side[price]
                else:
                    side[price] = size
    return *sides, numbers


@pytest.mark.parametrize("depth", [25, 100])
def test_deltas_link_and_add_up_to_the_book(depth: int) -> None:
    """`u` rises by one; sizes are absolute."""
    simulated = venue(rate=20_000.0)
    session, name = simulated.open(0.0, 1), name_of(simulated)
    asked(session, "subscribe", f"orderbook.{depth}.{name}")
    run(simulated, 2.0)
    simulated.lies = Lies(frozen=True)
    run(simulated, 0.2)
    bids, asks, numbers = rebuilt(taken(session))

    assert len(numbers) > 3
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    held = simulated._held[f"orderbook.{depth}.{name}"]
    assert (bids, asks) == (held.bids, held.asks)
    place, slot = simulated.contracts[name]
    assert float(max(bids, key=float)) == simulated.books[place].bid[slot]


def test_restart_begins_books_with_one() -> None:
    """A snapshot whose number is 1, then 2, 3."""
    simulated = venue(rate=20_000.0)
    session, name = simulated.open(0.0, 1), name_of(simulated)
    asked(session, "subscribe", f"orderbook.25.{name}")
    run(simulated, 0.5)
    taken(session)
    simulated.restart_books()
    run(simulated, 1.0)
    frames = taken(session)
    numbers = [frame["data"]["u"] for frame in frames]

    first = numbers.index(1)
    assert frames[first]["type"] == "snapshot"
    assert len(numbers) > first + 3
    assert numbers[first:] == list(range(1, len(numbers) - first + 1))


def test_gap_fault_leaves_numbers_out() -> None:
    """As a lost delta would."""
    simulated = venue(rate=20_000.0)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", f"orderbook.25.{name_of(simulated)}")
    simulated.faults = Faults(book_gap=0.5)
    run(simulated, 3.0)
    numbers = [frame["data"]["u"] for frame in taken(session)]

    assert len(numbers) < numbers[-1] - numbers[0] + 1


def test_quotes_stand_on_the_venues_own_grid_around_the_truth() -> None:
    """Ticks and lots of Bybit, premiums in USDT; bid below, ask above by a few half-spreads."""
    simulated = venue("BTC", "XRP_USDC")
    run(simulated, 1.0)
    for family, book in zip(simulated.families, simulated.books, strict=True):
        alive = np.flatnonzero(book.board.alive)
        tick = family.terms.tick_size
        for prices in (book.bid[alive], book.ask[alive]):
            ticks = prices[~np.isnan(prices)] / tick
            assert np.abs(ticks - np.round(ticks)).max() < 1e-6
        assert np.nanmin(book.ask[alive] - book.bid[alive]) >= tick * 0.999
        mid = 0.5 * (book.bid[alive] + book.ask[alive])
        near = ~np.isnan(mid)
        error = (mid - book.fair(alive))[near] / (book.ask - book.bid)[alive][near]
        assert abs(float(np.mean(error))) < 0.2


def test_printed_volatilities_are_those_of_the_printed_prices() -> None:
    """Black-76 on the printed forward, no rate: what VENUES verified of the real frames."""
    simulated = venue("BTC", "XRP_USDC")
    run(simulated, 1.0)
    checked = 0
    for book in simulated.books:
        board, now_ns = book.board, simulated.market.now_ns
        slots = np.flatnonzero(board.alive)
        rows = ticker_rows(book, slots, now_ns, [""] * len(slots))
        years = board.years(now_ns)[board.expiry_of[slots]]
        for kind, price_name in (("bidIv", "bidPrice"), ("askIv", "askPrice")):
            forward = np.array([float(row["underlyingPrice"]) for row in rows])
            price = np.array([float(row[price_name]) for row in rows])
            told = np.array([float(row[kind]) for row in rows])
            k = np.log(board.strike[slots] / forward)
            w = pricing.implied_variance(k, price / forward, board.is_call[slots])
            exact = np.sqrt(w / years)
            # Where a tick is many points of volatility Newton's steps from the mark are not enough.
            vega = forward * pricing.normal_pdf(k / np.sqrt(w)) * np.sqrt(years)
            chosen = (price > 0.0) & (vega > 50.0 * book.terms.tick_size) & (exact < 5.0)
            assert np.abs(told - exact)[chosen].max() < 1e-4
            checked += int(chosen.sum())
    assert checked > 500


def test_same_seed_says_the_same() -> None:
    """To the last byte."""
    said = []
    for _ in range(2):
        simulated = venue()
        session = simulated.open(0.0, 1)
        names = list(simulated.contracts)[:50]
        asked(session, "subscribe", *(f"tickers.{name}" for name in names))
        asked(session, "subscribe", *(f"orderbook.25.{name}" for name in names))
        run(simulated, 1.0)
        said.append(session.out)

    assert said[0] == said[1]
    assert len(said[0]) > 100


def test_frames_arrive_after_the_latency_in_order() -> None:
    """The stamp is that of the state."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", f"tickers.{name_of(simulated)}")
    run(simulated, LATENCY_NS / NANOS_PER_SECOND - 0.004)
    assert taken(session) == []
    run(simulated, 0.01)
    assert len(taken(session)) == 1
    run(simulated, 5.0)
    stamps = [frame["ts"] for frame in taken(session)]

    assert len(stamps) >= 2
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("lie", ["vol", "crossed", "silent", "frozen"])
def test_lies_keep_the_wire_in_order(lie: str) -> None:
    """One venue that is wrong, in every way that is asked of the composite."""
    simulated = venue()
    run(simulated, 0.5)
    name = name_of(simulated)
    place, slot = simulated.contracts[name]
    book = simulated.books[place]
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", f"tickers.{name}")
    run(simulated, 0.1)
    taken(session)
    before = book.bid.copy()
    simulated.lies = {
        "vol": Lies(vol_ratio=1.2), "crossed": Lies(crossed=True), "silent": Lies(silent=True),
        "frozen": Lies(frozen=True),
    }[lie]  # fmt: skip
    book.requote(np.flatnonzero(book.board.alive), simulated.lies)
    run(simulated, 4.0)
    frames = taken(session)

    if lie == "silent":
        assert frames == []
        return
    assert frames
    alive = np.flatnonzero(book.board.alive)
    if lie == "crossed":
        assert np.nanmax(book.ask[alive] - book.bid[alive]) < 0.0
    elif lie == "frozen":
        assert np.array_equal(book.bid, before, equal_nan=True)
        assert frames[-1]["data"]["markPrice"] != frames[0]["data"]["markPrice"]
    else:
        two_sided = alive[~np.isnan(book.bid[alive]) & ~np.isnan(before[alive])]
        assert np.mean(book.bid[two_sided] > before[two_sided]) > 0.9
    assert slot < len(book.bid)


def test_listing_comes_in_pages() -> None:
    """500 rows unless more is asked for; the cursor is percent-encoded as the venue's."""
    simulated = still()
    path = "v5/market/instruments-info"
    found: list[Row] = []
    cursor = ""
    while True:
        page = get(simulated, path, category="option", baseCoin="All", limit="200", cursor=cursor)
        found += page["result"]["list"]
        cursor = page["result"]["nextPageCursor"].replace("%3D", "=")
        if not cursor:
            break
    assert [row["symbol"] for row in found] == list(simulated.contracts)
    only = get(simulated, path, category="option")["result"]
    assert {row["baseCoin"] for row in only["list"]} == {"BTC"}
    assert len(only["list"]) == min(500, sum(n.startswith("BTC") for n in simulated.contracts))

    row = get(simulated, path, category="option", symbol=found[0]["symbol"])["result"]["list"][0]
    assert row == found[0]
    assert (row["settleCoin"], row["status"]) == ("USDT", "Trading")
    assert row["priceFilter"]["tickSize"] == "5"


def test_rest_tickers_have_their_own_names() -> None:
    """bid1Price and markIv; one expiry where it is asked for."""
    simulated = still()
    path = "v5/market/tickers"
    rows = get(simulated, path, category="option", baseCoin="XRP")["result"]["list"]
    assert len(rows) == sum(name.startswith("XRP") for name in simulated.contracts)
    assert {"bid1Price", "ask1Size", "markIv", "underlyingPrice"} <= set(rows[0])
    assert not {"bidPrice", "markPriceIv"} & set(rows[0])

    expiry = rows[0]["symbol"].split("-")[1]
    chosen = get(simulated, path, category="option", baseCoin="XRP", expDate=expiry)
    names = [row["symbol"] for row in chosen["result"]["list"]]
    assert names == [row["symbol"] for row in rows if f"-{expiry}-" in row["symbol"]]


def test_rest_book_agrees_with_the_quotes() -> None:
    """Best level first, at most 25."""
    simulated = still()
    name = name_of(simulated)
    book = get(simulated, "v5/market/orderbook", category="option", symbol=name, limit="3")
    ticker = get(simulated, "v5/market/tickers", category="option", symbol=name)

    result, row = book["result"], ticker["result"]["list"][0]
    assert len(result["a"]) == 3
    assert result["a"][0] == [row["ask1Price"], row["ask1Size"]]


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("v5/market/tickers", {"category": "option", "symbol": "NOTAREAL"}, 10001),
        ("v5/market/tickers", {"category": "option"}, 10001),
        ("v5/market/tickers", {"category": "spot", "symbol": "BTCUSDT"}, 10001),
        ("v5/market/instruments-info", {"category": "option", "limit": "1001"}, 10001),
        ("v5/market/instruments-info", {"category": "option", "cursor": "x"}, 10001),
        ("v5/market/orderbook", {"category": "option"}, 10001),
    ],
)
def test_bad_parameters_are_refused_with_status_200(
    path: str, params: dict[str, str], code: int
) -> None:
    """The error is in the body."""
    body = get(still(), path, **params)

    assert body["retCode"] == code
    assert body["result"] == {}
    assert body["retMsg"].startswith("params error:")


def test_unknown_path_is_not_found() -> None:
    """There is no such method."""
    assert still().answer("v5/market/nothing", {})[0] == 404


def test_too_many_requests_ban_the_address() -> None:
    """600 in five seconds; the ban lasts ten minutes."""
    simulated = venue()
    statuses = [simulated.answer("v5/market/time", {})[0] for _ in range(601)]
    assert statuses == [200] * 600 + [403]
    assert simulated.answer("v5/market/time", {})[1] == b"403, access too frequent"
    simulated.market.now_ns += 599 * NANOS_PER_SECOND
    assert simulated.answer("v5/market/time", {})[0] == 403
    simulated.market.now_ns += 2 * NANOS_PER_SECOND

    assert simulated.answer("v5/market/time", {})[0] == 200


def test_maintenance_is_told_by_the_status_only() -> None:
    """Listings are refused with 10016; sessions end after a notice."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    simulated.faults = Faults(maintenance_after_seconds=1.0, maintenance_seconds=5.0)
    for age, expected in ((0.5, "completed"), (1.5, "ongoing"), (6.5, "completed")):
        simulated.tick(age)
        assert get(simulated, "v5/system/status")["result"]["list"][0]["state"] == expected
        refused = get(simulated, "v5/market/tickers", category="option", baseCoin="XRP")["retCode"]
        assert refused == (10016 if expected == "ongoing" else 0)
    assert [s.closing for s in simulated._audience.sessions] == [None]
    simulated.tick(2.5)

    assert session.closing == (1001, "")
    assert simulated.open(2.6, 2).closing == (1001, "")


def test_expired_options_are_gone_at_the_roll() -> None:
    """Nobody is told; the listing and the topics just end. New ones are listed 13 s later."""
    at_ns = parse_instant("2026-11-21T07:59:59Z")
    simulated = venue(start_ns=at_ns, rate=50.0)
    before = set(simulated.contracts)
    session = simulated.open(0.0, 1)
    doomed = sorted(name for name in before if "-21NOV26-" in name)
    asked(session, "subscribe", *(f"tickers.{name}" for name in doomed))
    run(simulated, 1.5)
    taken(session)
    run(simulated, 3.0)
    assert taken(session) == []
    assert set(simulated.contracts) == before - set(doomed)
    run(simulated, 12.0)

    came = set(simulated.contracts) - before
    assert came
    assert all(simulated.is_known(f"tickers.{name}") for name in came)
