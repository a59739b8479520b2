"""The simulated Aevo without sockets: its words, its limits, its lies; the market's truth."""

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.simulator import pricing
from volgauge.simulator.aevo import LONGEST_DAYS, number_text
from volgauge.simulator.aevo_session import INACTIVE_SECONDS, MESSAGES, AevoSession
from volgauge.simulator.aevo_venue import LATENCY_NS, REQUESTS, AevoVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-11-20T12:00:00Z")
BOOKS, TICKERS, INDEX = "book-ticker:ETH:OPTION", "ticker-500ms:ETH:OPTION", "index:ETH"
Row = dict[str, Any]


def venue(
    *currencies: str, rate: float = 500.0, start_ns: int = START_NS, seed: int = 5
) -> AevoVenue:
    """On a small market."""
    options = MarketOptions(
        seed=seed, currencies=currencies or ("ETH",), start_ns=start_ns, rate=rate
    )
    return AevoVenue(Market(options), seed)


@cache
def still() -> AevoVenue:
    """One that nobody moves, for the tests that only look."""
    return venue("BTC", "ETH", "XRP_USDC")


def run(simulated: AevoVenue, seconds: float) -> None:
    """Let the market move."""
    for _ in range(round(seconds * NANOS_PER_SECOND / simulated.market.step_ns)):
        simulated.advance(simulated.market.advance())


def taken(session: AevoSession) -> list[Row]:
    """What the session has sent."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def asked(session: AevoSession, op: str, *channels: str, now: float = 1.0) -> Row:
    """The answer to one request."""
    session.receive(json.dumps({"id": 1, "op": op, "data": channels}).encode(), now)
    (answer,) = taken(session)
    return answer


def get(simulated: AevoVenue, path: str, **params: str) -> Any:  # noqa: ANN401 - any JSON value
    """The body of a GET that succeeds."""
    status, body = simulated.answer(path, params)
    assert status == 200
    return json.loads(body)


def tickers_of(simulated: AevoVenue) -> list[Row]:
    """The whole chain as the throttled channel begins with it."""
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", TICKERS)
    run(simulated, 0.05)
    (frame, *_) = taken(session)
    rows: list[Row] = frame["data"]["tickers"]
    return rows


def test_aevo_answers_with_the_channels_it_took() -> None:
    """Bad ones are missing; an error only when none is good."""
    session = venue().open(0.0, 1)
    answer = asked(session, "subscribe", INDEX, "index:NONE", BOOKS, "ticker:ETH:OPTION")
    assert answer == {"id": 1, "data": [INDEX, BOOKS]}

    for bad in (["index:NONE"], ["book-ticker:ETH:PERPETUAL"], ["book-ticker:ETH-1JAN20-1-C"], []):
        assert asked(session, "subscribe", *bad) == {"id": 1, "error": "CHANNEL_NOT_FOUND"}
    assert list(session.subscriptions) == [INDEX, BOOKS]


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (b"{", {"error": "INVALID_MESSAGE_FORMAT"}),
        (b"[]", {"error": "INVALID_MESSAGE_FORMAT"}),
        (b'{"id":7}', {"error": "INVALID_MESSAGE_FORMAT"}),
        (b'{"id":7,"op":"subscribe","data":5}', {"id": 7, "error": "INVALID_MESSAGE_FORMAT"}),
        (b'{"id":7,"op":"auth"}', {"id": 7, "error": "BAD_REQUEST"}),
    ],
)
def test_aevo_request_that_is_none_is_refused(frame: bytes, answer: Row) -> None:
    """By a word; with its number where that could be read."""
    session = venue().open(0.0, 1)
    session.receive(frame, 0.0)

    assert taken(session) == [answer]


def test_aevo_ping_tells_the_time() -> None:
    """In nanoseconds, with the skew that is injected; without a number there is none."""
    simulated = venue()
    simulated.faults = Faults(clock_skew_ms=250.0)
    session = simulated.open(0.0, 1)
    session.receive(b'{"op":"ping"}', 0.0)

    (answer,) = taken(session)
    stamp = str(START_NS + 250 * NANOS_PER_MILLI)
    assert answer == {"data": {"success": True, "timestamp": stamp}}


def test_aevo_channels_can_be_asked_for() -> None:
    """Of whole coins, all of which can be subscribed."""
    session = still().open(0.0, 1)
    names = asked(session, "channels")["data"]

    assert set(names) == {
        f"{kind}:{coin}{what}"
        for kind, what in (("index", ""), ("book-ticker", ":OPTION"), ("ticker-500ms", ":OPTION"))
        for coin in ("BTC", "ETH")
    }


def test_operations_are_limited_but_pings_are_not() -> None:
    """So many in ten seconds; then the documented refusal, with the nanoseconds to wait."""
    session = venue().open(0.0, 1)
    for _ in range(MESSAGES):
        assert "data" in asked(session, "channels", now=1.0)
    refused = asked(session, "channels", now=5.0)

    assert (refused["status"], refused["error"]) == ("error", "RATE_LIMIT_EXCEEDED")
    assert refused["data"] == {"retry_after": "6000000000"}
    assert "data" in asked(session, "ping", now=5.0)
    assert "data" in asked(session, "channels", now=11.0)
    assert session.closing is None


def test_client_that_asks_for_nothing_is_left() -> None:
    """After a quarter of an hour, whatever it is sent; a ping begins it anew."""
    session = venue().open(0.0, 1)
    session.tick(INACTIVE_SECONDS - 1.0)
    asked(session, "ping", now=INACTIVE_SECONDS - 1.0)
    session.tick(INACTIVE_SECONDS + 1.0)
    assert session.closing is None
    session.tick(2.0 * INACTIVE_SECONDS)

    assert session.closing == (1000, "")


def test_aevo_requests_are_limited() -> None:
    """Of one address, in ten seconds: HTTP 429, the word and the nanoseconds."""
    simulated = venue()
    for _ in range(REQUESTS):
        get(simulated, "assets")
    status, body = simulated.answer("assets", {})
    assert status == 429
    assert json.loads(body) == {"error": "RATE_LIMIT_EXCEEDED", "retry_after": "10000000000"}
    run(simulated, 10.0)

    assert get(simulated, "assets") == ["ETH"]


@pytest.mark.parametrize(
    ("path", "params", "status", "word"),
    [
        ("nothing", {}, 404, "NOT_FOUND"),
        ("markets", {"asset": "NONE"}, 400, "INVALID_ASSET"),
        ("markets", {"instrument_type": "FUTURE"}, 400, "ERR_MALFORMED_REQUEST"),
        ("expiries", {}, 400, "INVALID_ASSET"),
        ("index", {}, 400, "INVALID_ASSET"),
    ],
)
def test_aevo_rest_refusals(path: str, params: dict[str, str], status: int, word: str) -> None:
    """A word in the body, and the HTTP status."""
    found, body = venue().answer(path, params)

    assert (found, json.loads(body)) == (status, {"error": word})


def test_aevo_lists_half_the_strikes_of_near_expiries() -> None:
    """Of two coins; every call with its put."""
    simulated = still()
    rows = get(simulated, "markets", instrument_type="OPTION")
    names = [row["instrument_name"] for row in rows]

    assert set(names) == set(simulated.contracts)
    assert {row["underlying_asset"] for row in rows} == {"BTC", "ETH"}
    assert {name[:-1] for name in names if name.endswith("C")} == {
        name[:-1] for name in names if name.endswith("P")
    }
    whole = sum(len(book.board.options) for book in simulated.books)
    assert 0.35 * whole < len(rows) < 0.5 * whole
    assert max(int(row["expiry"]) for row in rows) <= START_NS + LONGEST_DAYS * NANOS_PER_DAY
    for book in simulated.books:
        for index in range(len(book.board.expiries)):
            listed = np.unique(
                [s for n, (p, i) in simulated.contracts.items() if simulated.books[p] is book
                 and book.board.expiry_of[i] == index for s in [float(n.split("-")[2])]]
            )  # fmt: skip
            assert len(listed) == 0 or len(listed) >= 10


def test_aevo_market_has_the_terms_of_the_option() -> None:
    """Expiry in nanoseconds, the forward of its own expiry, USDC."""
    simulated = still()
    for row in get(simulated, "markets", asset="BTC", instrument_type="OPTION"):
        place, slot = simulated.contracts[row["instrument_name"]]
        board = simulated.books[place].board
        option = board.options[slot]
        assert int(row["expiry"]) == option.expiry.expiry_ns
        assert float(row["strike"]) == option.strike
        assert (row["option_type"] == "call") == option.is_call
        assert float(row["forward_price"]) == pytest.approx(
            board.forward[board.expiry_of[slot]], abs=1e-6
        )
        assert float(row["index_price"]) == pytest.approx(board.index_price, abs=1e-6)
        assert (row["quote_asset"], row["is_active"], row["price_step"]) == ("USDC", True, "0.5")


def test_aevo_markets_of_all_kinds() -> None:
    """Without a kind perpetuals too, which have neither strike nor forward."""
    simulated = still()
    rows = get(simulated, "markets", asset="ETH")
    kinds = [row["instrument_type"] for row in rows]

    assert kinds[0] == "PERPETUAL"
    assert set(kinds[1:]) == {"OPTION"}
    assert "forward_price" not in rows[0]
    assert get(simulated, "markets", asset="ETH", instrument_type="SPOT") == []
    assert get(simulated, "expiries", asset="ETH") == sorted({r["expiry"] for r in rows[1:]})
    index = get(simulated, "index", asset="ETH")
    assert index == {
        "price": number_text(simulated.books[1].board.index_price), "timestamp": str(START_NS)
    }  # fmt: skip
    assert get(simulated, "time")["timestamp"] == str(START_NS)


def test_aevo_chain_shows_its_book() -> None:
    """Prices on the tick, sizes in coins; a side without an order is empty or zero."""
    simulated = venue()
    rows = tickers_of(simulated)
    book = simulated.books[0]
    seen = set()
    for row in rows:
        _, slot = simulated.contracts[row["instrument_name"]]
        for side, price, lots in (
            (row["bid"], book.bid[slot], book.bid_lots[slot]),
            (row["ask"], book.ask[slot], book.ask_lots[slot]),
        ):
            if np.isnan(price):
                seen.add("price" in side)
                assert side.get("price", "0") == side.get("amount", "0") == "0"
            elif row["instrument_name"] not in moved(simulated):
                assert float(side["price"]) == price
                assert float(side["price"]) * 20 == round(float(side["price"]) * 20)
                assert float(side["amount"]) == pytest.approx(lots / 10)

    assert {row["instrument_name"] for row in rows} == set(simulated.contracts)
    assert seen == {False, True}


def is_cut(session: AevoSession) -> bool:
    """The venue wants to hang up."""
    return session.closing == (1001, "")


def moved(simulated: AevoVenue) -> set[str]:
    """Options that were quoted anew since the chain was told."""
    names = simulated.names[0]
    return {names[slot] for slot in simulated._changed["ticker-500ms"][0]}


def test_printed_aevo_volatilities_are_of_the_prices() -> None:
    """Black-76 on the forward of the expiry, undiscounted; "0" where there is none."""
    simulated = venue(rate=1e-6)
    board = simulated.books[0].board
    years, forwards = board.years(simulated.market.now_ns), board.forward.copy()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", TICKERS)
    run(simulated, 0.02)
    (frame,) = taken(session)
    checked = 0
    for row in frame["data"]["tickers"]:
        _, slot = simulated.contracts[row["instrument_name"]]
        expiry = board.expiry_of[slot]
        forward = forwards[expiry]
        k = np.log(board.strike[slot] / forward)
        intrinsic = max(-np.expm1(k) if board.is_call[slot] else np.expm1(k), 0.0)
        for side in (row["bid"], row["ask"]):
            vol = float(side.get("iv", "0"))
            value = float(side.get("price", "0")) / forward - intrinsic
            if value <= 0.0:
                assert vol == 0.0
            elif value > 1e-4:
                checked += 1
                deviation = np.array([vol * vol * years[expiry]])
                again = pricing.out_of_the_money(np.array([k]), deviation)
                assert again[0] == pytest.approx(value, rel=1e-6)
                assert (float(side["delta"]) > 0.0) == bool(board.is_call[slot])
    assert checked > 300


def test_book_ticker_tells_changes_only_in_frames_of_many() -> None:
    """Nothing at first; then what changed, all of a coin in one frame, at the venue's time."""
    simulated = venue(rate=20_000.0)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", BOOKS)
    assert session.out == []
    run(simulated, 1.0)
    frames = taken(session)

    assert {frame["channel"] for frame in frames} == {BOOKS}
    assert 17 <= len(frames) <= 20
    assert max(len(frame["data"]["tickers"]) for frame in frames) > 50
    stamps = [int(frame["data"]["timestamp"]) for frame in frames]
    assert stamps == sorted(set(stamps))
    assert all(START_NS < stamp <= START_NS + NANOS_PER_SECOND for stamp in stamps)
    assert all("mark" not in row for frame in frames for row in frame["data"]["tickers"])


def test_throttled_ticker_comes_twice_a_second_with_marks() -> None:
    """The whole chain at first, then what changed."""
    simulated = venue(rate=100.0)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", TICKERS)
    run(simulated, 2.0)
    frames = taken(session)
    counts = [len(frame["data"]["tickers"]) for frame in frames]

    assert len(frames) == 4
    assert counts[0] == len(simulated.contracts)
    assert max(counts[1:]) < 60
    assert all(float(r["mark"]["price"]) >= 0.0 for f in frames for r in f["data"]["tickers"])


def test_channel_of_one_aevo_option() -> None:
    """As the pages show it: the same row, alone."""
    simulated = venue(rate=20_000.0)
    session = simulated.open(0.0, 1)
    name = next(iter(simulated.contracts))
    asked(session, "subscribe", f"book-ticker:{name}", f"ticker-500ms:{name}")
    run(simulated, 1.0)
    frames = taken(session)

    assert {frame["channel"] for frame in frames} == {f"book-ticker:{name}", f"ticker-500ms:{name}"}
    assert {r["instrument_name"] for f in frames for r in f["data"]["tickers"]} == {name}


def test_aevo_pushes_take_their_time() -> None:
    """The state of now arrives after the delay of the wire."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", INDEX)
    steps = 0
    while not session.out:
        simulated.advance(simulated.market.advance())
        steps += 1

    assert steps == -(-LATENCY_NS // simulated.market.step_ns) > 1
    (frame,) = taken(session)
    assert frame["data"]["timestamp"] == str(START_NS)


def test_aevo_index_is_the_markets() -> None:
    """At once, and with every change."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", INDEX)
    run(simulated, 1.0)
    frames = taken(session)

    assert len(frames) > 3
    price = float(frames[-1]["data"]["price"])
    assert price == pytest.approx(simulated.market.boards[0].index_price, rel=1e-3)


def test_unsubscribed_aevo_channel_is_silent() -> None:
    """What is on its way is dropped too; another unsubscribe has nothing to end."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", TICKERS, INDEX)
    assert asked(session, "unsubscribe", TICKERS, INDEX)["data"] == [TICKERS, INDEX]
    assert asked(session, "unsubscribe", TICKERS)["data"] == []
    run(simulated, 1.0)

    assert taken(session) == []
    session.close()


def test_aevo_lists_what_the_market_lists_after_a_roll() -> None:
    """The old names go at the hour, new ones come and are quoted; nobody is told."""
    simulated = venue(start_ns=parse_instant("2026-11-21T07:59:59Z"), rate=200.0)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", BOOKS)
    before = set(simulated.contracts)
    run(simulated, 20.0)
    after = set(simulated.contracts)

    assert before - after
    assert after - before
    assert {
        r["instrument_name"] for r in get(simulated, "markets", instrument_type="OPTION")
    } == after
    frames = taken(session)
    rows = [(int(f["data"]["timestamp"]), r) for f in frames for r in f["data"]["tickers"]]
    assert {row["instrument_name"] for _, row in rows} >= after - before
    roll_ns = parse_instant("2026-11-21T08:00:00Z")
    assert all(row["instrument_name"] in after for stamp, row in rows if stamp > roll_ns)


def test_aevo_maintenance_refuses_and_hangs_up() -> None:
    """REST at once, the sockets a moment later, then it is over."""
    simulated = venue()
    simulated.faults = Faults(maintenance_after_seconds=5.0, maintenance_seconds=10.0)
    session = simulated.open(0.0, 1)
    simulated.tick(5.0)
    status, body = simulated.answer("markets", {})
    assert (status, json.loads(body)) == (503, {"error": "MAINTENANCE_MODE_ENABLED"})
    assert not is_cut(session)
    simulated.tick(6.0)
    assert is_cut(session)
    assert is_cut(simulated.open(0.0, 2))
    simulated.tick(15.0)

    assert len(get(simulated, "markets")) > 1
    assert simulated.open(0.0, 3).closing is None


def test_aevo_faults_refuse_channels() -> None:
    """The same ones always."""
    simulated = venue()
    simulated.faults = Faults(refuse=0.5)
    session = simulated.open(0.0, 1)
    channels = [f"book-ticker:{name}" for name in list(simulated.contracts)[:40]]
    accepted = asked(session, "subscribe", *channels)["data"]

    assert 5 < len(accepted) < 35
    assert list(session.subscriptions) == accepted


def test_silent_aevo_answers_still() -> None:
    """No data at all."""
    simulated = venue()
    simulated.lies = Lies(silent=True)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", INDEX, BOOKS, TICKERS)
    run(simulated, 2.0)

    assert session.out == []
    assert "data" in asked(session, "ping")


def test_frozen_aevo_goes_on_stamping() -> None:
    """The same tops, at new times."""
    simulated = venue(rate=5_000.0)
    simulated.lies = Lies(frozen=True)
    session = simulated.open(0.0, 1)
    asked(session, "subscribe", BOOKS)
    run(simulated, 1.0)
    tops: dict[str, set[str]] = {}
    for frame in taken(session):
        for row in frame["data"]["tickers"]:
            shown = (row["bid"].get("price", "0"), row["ask"].get("price", "0"))
            tops.setdefault(row["instrument_name"], set()).add(str(shown))

    assert len(tops) > 300
    assert all(len(shown) == 1 for shown in tops.values())


def test_same_seed_gives_the_same_aevo_frames() -> None:
    """Byte by byte."""
    streams = []
    for _ in range(2):
        simulated = venue()
        session = simulated.open(0.0, 1)
        asked(session, "subscribe", INDEX, BOOKS, TICKERS)
        run(simulated, 0.5)
        streams.append(b"".join(session.out))

    assert streams[0] == streams[1] != b""


def test_slow_reader_of_aevo_loses_no_top() -> None:
    """Indices replace each other; tops of some options never replace those of others."""
    session = venue().open(0.0, 1)
    indices = [b'{"channel":"index:ETH","data":{"price":"%d"}}' % price for price in (1, 2)]
    books = [b'{"channel":"book-ticker:ETH:OPTION","data":{"x":%d}}' % n for n in (1, 2)]
    answer = b'{"id":1,"data":["index:ETH"]}'

    assert session.conflation_key(indices[0]) == session.conflation_key(indices[1])
    assert session.conflation_key(books[0]) != session.conflation_key(books[1])
    assert session.conflation_key(answer) == answer
    assert [session.is_data(frame) for frame in (*indices, *books, answer)] == [
        True, True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "0"),
        (60_000.0, "60000"),
        (0.5, "0.5"),
        (1.5e-7, "0.00000015"),
        (2e16, "20000000000000000"),
    ],
)
def test_aevo_numbers_have_no_exponent(value: float, text: str) -> None:
    """The shortest decimal."""
    assert number_text(value) == text
