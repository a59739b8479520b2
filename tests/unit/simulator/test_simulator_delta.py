"""The simulated Delta without sockets: its words, its listing, its limits, its lies."""

import json
from functools import cache
from itertools import pairwise
from math import exp
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MICRO,
    NANOS_PER_SECOND,
    parse_instant,
)
from volgauge.simulator import pricing, process
from volgauge.simulator.delta_session import BEAT_SECONDS, DeltaSession
from volgauge.simulator.delta_venue import CONNECTIONS, LATENCY_NS, REQUESTS, DeltaVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-11-20T09:00:00Z")
NOON_NS = parse_instant("2026-11-20T12:00:00Z")
Row = dict[str, Any]
TOPS, TICKERS, INDICES = "l1_orderbook", "v2/ticker", "v2/spot_price"


def venue(start_ns: int = START_NS, seed: int = 5, **options: Any) -> DeltaVenue:  # noqa: ANN401 - any option
    """On a small market."""
    terms: Row = {"currencies": ("BTC",), "rate": 100.0} | options
    return DeltaVenue(Market(MarketOptions(seed=seed, start_ns=start_ns, **terms)), seed)


@cache
def still() -> DeltaVenue:
    """One that nobody moves, for the tests that only look."""
    return venue(currencies=("BTC", "ETH", "SOL_USDC"))


def run(simulated: DeltaVenue, seconds: float) -> None:
    """Let the market move."""
    for _ in range(round(seconds * NANOS_PER_SECOND / simulated.market.step_ns)):
        simulated.advance(simulated.market.advance())


def taken(session: DeltaSession) -> list[Row]:
    """What the session has sent."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def asked(session: DeltaSession, *channels: Row, method: str = "subscribe") -> Row:
    """The answer to one request."""
    request = {"type": method, "payload": {"channels": channels}}
    session.receive(json.dumps(request).encode(), 1.0)
    (answer,) = taken(session)
    return answer


def channel(name: str, *symbols: str) -> Row:
    """Of a request."""
    return {"name": name, "symbols": list(symbols)}


def name_of(simulated: DeltaVenue) -> str:
    """A call that is quoted on both sides: near the money, of the third expiry."""
    board = simulated.books[0].board
    near = np.flatnonzero(board.alive & (board.expiry_of == 2) & board.is_call)
    slot = near[np.argmin(np.abs(board.strike[near] - board.forward[2]))]
    return str(simulated.names[0][slot])


def get(simulated: DeltaVenue, path: str, **params: str) -> Row:
    """The body of a GET that succeeds."""
    status, body = simulated.answer(path, params)
    assert status == 200
    answer: Row = json.loads(body)
    return answer


def test_delta_tells_all_that_is_subscribed() -> None:
    """A symbol that does not exist is acknowledged too; what is not a channel has an error."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    name = name_of(simulated)
    first = asked(session, channel(TOPS, name, "NOPE"), channel("nope", name))
    second = asked(session, channel(TICKERS, name), {"name": "announcements"})

    assert first["type"] == "subscriptions"
    assert first["channels"] == [
        channel(TOPS, name, "NOPE"),
        {"error": "subscription forbidden on this invalid channel", "name": "nope"},
    ]
    assert second["channels"] == [
        channel(TOPS, name, "NOPE"), channel(TICKERS, name), {"name": "announcements"},
    ]  # fmt: skip


def test_delta_needs_symbols() -> None:
    """Where the channel has them."""
    answer = asked(venue().open(0.0, 1), {"name": TOPS})

    assert "without symbol array" in answer["channels"][0]["error"]


@pytest.mark.parametrize("name", ["ob_l1", "l2_updates"])
def test_delta_refuses_a_request_without_a_channel_of_its_own(name: str) -> None:
    """As a whole."""
    answer = asked(venue().open(0.0, 1), channel(name, "X"))

    assert answer == {"message": "Subscription forbidden: Invalid channel array", "type": "error"}


@pytest.mark.parametrize("text", [b"{", b"[]", b"7", b"\xff"])
def test_delta_does_not_answer_what_is_no_request(text: bytes) -> None:
    """The socket stays open."""
    session = venue().open(0.0, 1)
    session.receive(text, 1.0)

    assert (session.out, session.closing) == ([], None)


def test_delta_beats_once_asked_to() -> None:
    """And answers a ping."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    session.tick(1.0)
    assert taken(session) == []
    session.receive(b'{"type":"enable_heartbeat"}', 2.0)
    for now in (2.0, 2.0 + BEAT_SECONDS / 2, 2.0 + BEAT_SECONDS):
        session.tick(now)
    beats = taken(session)
    assert [beat["type"] for beat in beats] == ["heartbeat"] * 2
    assert beats[0]["ts_publish"] == START_NS // NANOS_PER_MICRO
    session.receive(b'{"type":"disable_heartbeat"}', 9.0)
    session.receive(b'{"type":"ping"}', 9.0)
    session.tick(60.0)

    assert taken(session) == [{"type": "pong"}]


def test_delta_cuts_who_does_nothing_for_a_minute() -> None:
    """Who has asked for something stays."""
    simulated = venue()
    idle, busy = simulated.open(0.0, 1), simulated.open(0.0, 2)
    asked(busy, channel(INDICES, ".DEXBTUSDT"))
    for session in (idle, busy):
        session.tick(60.0)

    assert (idle.closing, busy.closing) == ((1006, ""), None)


def test_delta_lists_its_own_expiries_at_noon() -> None:
    """Beside the market's, at eight; coins that it does not have are left out."""
    simulated = still()
    assert [f.terms.asset for f in simulated.families] == ["BTC", "ETH"]
    for book in simulated.books:
        instants = [e.expiry_ns for e in book.board.expiries]
        assert instants == sorted(instants)
        assert {ns % NANOS_PER_DAY for ns in instants} == {12 * NANOS_PER_HOUR}
        assert {e.expiry_ns % NANOS_PER_DAY for e in book.source.expiries} == {8 * NANOS_PER_HOUR}
        assert instants[0] == NOON_NS
        assert 7 <= len(instants) <= 9
    assert 400 <= len(simulated.contracts) <= 800


def test_delta_strikes_reach_beyond_the_corridor() -> None:
    """Round and equally far apart, some 2 deviations either way."""
    board = still().books[0].board
    for index, expiry in enumerate(board.expiries):
        strikes = np.unique(board.strike[board.expiry_of == index])
        steps = {round(after - now, 6) for now, after in pairwise(strikes.tolist())}
        assert len(steps) == 1
        assert 14 <= len(strikes) <= 30
        assert strikes[0] < board.forward[index] < strikes[-1], expiry


def test_delta_premiums_are_the_markets_surface() -> None:
    """At its own instants and strikes: Black-76 at the smile of the market's state."""
    simulated = still()
    for place, book in enumerate(simulated.books):
        market, board = simulated.market, book.board
        slots = np.flatnonzero(board.alive)
        fair = book.fair(slots)
        for at in range(0, len(slots), 37):
            option = board.options[slots[at]]
            years = np.array([(option.expiry.expiry_ns - market.now_ns) / (365 * NANOS_PER_DAY)])
            forward = float(process.forwards(market.state[place], years)[0])
            k = np.array([np.log(option.strike / forward)])
            w = market.slices_at(place, market.state[place], years).total_variance(k)
            otm = float(pricing.out_of_the_money(k, w)[0])
            intrinsic = max(1.0 - exp(k[0]) if option.is_call else exp(k[0]) - 1.0, 0.0)
            assert fair[at] == pytest.approx(forward * (otm + intrinsic), rel=1e-9, abs=1e-6)


def test_delta_top_is_in_contracts_and_microseconds() -> None:
    """Text, null for a side with no orders; within the next pace, and what its book holds."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, channel(TOPS, *simulated.contracts))
    simulated.lies = Lies(frozen=True)
    run(simulated, 0.3)
    rows = {row["symbol"]: row for row in taken(session)}

    assert set(rows) == set(simulated.contracts)
    absent = 0
    for name, row in rows.items():
        book, (_, slot) = simulated.books[0], simulated.contracts[name]
        assert float(row["best_ask"]) == book.ask[slot]
        assert row["ask_qty"] == str(book.ask_lots[slot])
        if np.isnan(book.bid[slot]):
            absent += 1
            assert row["best_bid"] is row["bid_qty"] is None
        else:
            assert float(row["best_bid"]) == book.bid[slot]
        late_ns = simulated.market.now_ns - row["timestamp"] * NANOS_PER_MICRO
        assert LATENCY_NS <= late_ns <= NANOS_PER_SECOND // 2
    assert absent < len(rows) / 4


def test_delta_ticker_agrees_with_itself() -> None:
    """Coins and contracts; a volatility that gives the mark at the spot, noon and no rate."""
    simulated = still()
    rows = get(simulated, "v2/tickers", underlying_asset_symbols="BTC")["result"]
    options = [row for row in rows if row["contract_type"] != "perpetual_futures"]
    assert len(options) == sum(place == 0 for place, _ in simulated.contracts.values())
    checked = 0
    for row in options:
        assert float(row["oi_contracts"]) * 0.001 == pytest.approx(float(row["oi"]), abs=5e-5)
        assert row["size"] * 0.001 == pytest.approx(row["volume"])
        board = simulated.books[0].board
        _, slot = simulated.contracts[row["symbol"]]
        years = (board.options[slot].expiry.expiry_ns - START_NS) / (365 * NANOS_PER_DAY)
        spot, vol = float(row["spot_price"]), float(row["quotes"]["mark_iv"])
        k = np.log(board.strike[slot] / spot)
        otm = float(pricing.out_of_the_money(np.array([k]), np.array([vol * vol * years]))[0])
        intrinsic = max(1.0 - exp(k) if board.is_call[slot] else exp(k) - 1.0, 0.0)
        if 0.05 < vol < 3.0 and otm > 1e-4:
            checked += 1
            value = spot * (otm + intrinsic)
            assert value == pytest.approx(float(row["mark_price"]), rel=1e-5, abs=1e-3)
    assert checked > 0.6 * len(options)


def test_delta_sends_again_what_is_the_same() -> None:
    """Every 5 s, tops and tickers."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    name = name_of(simulated)
    asked(session, channel(TOPS, name), channel(TICKERS, name))
    simulated.lies = Lies(frozen=True)
    run(simulated, 12.0)
    kinds = [row["type"] for row in taken(session)]

    assert kinds.count(TICKERS) in {2, 3}
    assert kinds.count(TOPS) >= 3


def test_delta_index_comes_every_second() -> None:
    """It is the market's."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, channel(INDICES, ".DEXBTUSDT", ".DEETHUSDT"))
    run(simulated, 3.1)
    rows = taken(session)

    assert [row["s"] for row in rows] == [".DEXBTUSDT"] * 3
    assert rows[-1]["p"] == pytest.approx(simulated.market.boards[0].index_price, rel=1e-3)


def test_delta_rolls_at_noon_and_tells_nobody() -> None:
    """What is listed then goes at 12:00:00, and new options come nine seconds later."""
    simulated = venue(NOON_NS - 2 * NANOS_PER_SECOND)
    before = set(simulated.contracts)
    run(simulated, 1.9)
    assert set(simulated.contracts) == before
    run(simulated, 0.2)
    gone = before - set(simulated.contracts)
    assert {name[-6:] for name in gone} == {"201126"}
    run(simulated, 12.0)

    new = set(simulated.contracts) - before
    assert new
    assert simulated.names[0][-1] in simulated.contracts
    rows = get(simulated, "v2/products", contract_types="call_options,put_options")["result"]
    assert {row["symbol"] for row in rows} == set(simulated.contracts)


def test_delta_does_not_roll_at_eight() -> None:
    """The market does."""
    simulated = venue(parse_instant("2026-11-20T07:59:59Z"))
    before = set(simulated.contracts)
    run(simulated, 2.0)

    assert before <= set(simulated.contracts)
    assert not simulated.books[0].source.alive.all()


def test_delta_listing_comes_in_pages() -> None:
    """A cursor leads to the next one; the whole is the same."""
    simulated = still()
    whole = get(simulated, "v2/products", states="upcoming,live")
    assert whole["meta"]["after"] is None
    found: list[Row] = []
    params = {"page_size": "200"}
    while True:
        page = get(simulated, "v2/products", **params)
        found += page["result"]
        if page["meta"]["after"] is None:
            break
        params["after"] = page["meta"]["after"]

    assert found == whole["result"]
    kinds = [row["contract_type"] for row in found]
    assert kinds.count("perpetual_futures") == 2
    assert kinds.count("call_options") == kinds.count("put_options")
    assert get(simulated, "v2/products", states="expired")["result"] == []


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("v2/nope", {}, 404),
        ("products", {}, 404),
        ("v2/tickers/NOPE", {}, 404),
        ("v2/l2orderbook/NOPE", {}, 404),
        ("v2/products", {"page_size": "0"}, 400),
        ("v2/products", {"after": "x"}, 400),
    ],
)
def test_delta_refuses_over_rest(path: str, params: dict[str, str], status: int) -> None:
    """With a word for it."""
    told, body = still().answer(path, params)

    assert told == status
    assert json.loads(body)["success"] is False


def test_delta_has_limits() -> None:
    """150 connections and so many requests in five minutes."""
    simulated = venue()
    sessions = [simulated.open(float(number), number) for number in range(CONNECTIONS + 1)]
    assert [s.closing is None for s in sessions] == [True] * CONNECTIONS + [False]
    assert simulated.open(310.0, 999).closing is None
    for _ in range(REQUESTS):
        assert simulated.answer("v2/settings", {})[0] == 200

    assert simulated.answer("v2/settings", {})[0] == 429


def test_delta_lies_and_goes_silent() -> None:
    """Crossed quotes, volatilities too high, nothing at all."""
    simulated = venue()
    book = simulated.books[0]
    slots = np.flatnonzero(book.board.alive)
    fair = book.fair(slots)
    book.quote(slots, Lies(vol_ratio=1.3))
    mid = 0.5 * (book.bid[slots] + book.ask[slots])
    assert np.nanmedian(mid - fair) > 0.0
    book.quote(slots, Lies(crossed=True))
    assert np.nanmin(book.bid[slots] - book.ask[slots]) > 0.0
    session = simulated.open(0.0, 1)
    asked(session, channel(TOPS, name_of(simulated)))
    simulated.lies = Lies(silent=True)
    run(simulated, 6.0)

    assert taken(session) == []


def test_delta_maintenance_is_announced_and_polled() -> None:
    """Then everybody is cut off; the settings answer all the while."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    asked(session, {"name": "announcements"})
    simulated.faults = Faults(maintenance_after_seconds=1.0, maintenance_seconds=5.0)
    simulated.tick(1.1)
    (told,) = taken(session)
    assert told["event"] == "maintenance_started"
    assert told["maintenance_finish_time"] - told["timestamp"] == 5_000_000
    assert simulated.answer("v2/products", {})[0] == 503
    assert get(simulated, "v2/settings")["result"]["under_maintenance"] == "true"
    simulated.tick(2.2)
    assert session.closing == simulated.open(2.3, 2).closing == (1001, "")
    simulated.tick(6.5)

    assert get(simulated, "v2/settings")["result"]["under_maintenance"] == "false"


def test_delta_leaves_refused_symbols_out() -> None:
    """Without a word, always the same ones."""
    simulated = venue()
    simulated.faults = Faults(refuse=0.3)
    names = list(simulated.contracts)
    answers = [asked(simulated.open(0.0, n), channel(TOPS, *names)) for n in (1, 2)]

    (first,) = answers[0]["channels"]
    assert 0.5 < len(first["symbols"]) / len(names) < 0.9
    assert answers[0] == answers[1]


def test_newest_of_a_symbol_is_enough_for_a_slow_reader() -> None:
    """Tops, tickers and indices have keys of their own; answers are never dropped."""
    simulated = venue()
    session = simulated.open(0.0, 1)
    one, other = list(simulated.contracts)[:2]
    asked(session, channel(TOPS, one, other), channel(TICKERS, one), channel(INDICES, ".DEXBTUSDT"))
    run(simulated, 11.0)
    frames = list(session.out)
    keys = {session.conflation_key(frame) for frame in frames}
    assert all(session.is_data(frame) for frame in frames)
    assert len(keys) == 4
    session.receive(b'{"type":"ping"}', 12.0)

    assert not session.is_data(session.out[-1])
    assert session.conflation_key(session.out[-1]) == session.out[-1]


def test_same_seed_gives_the_same_delta() -> None:
    """To the byte."""
    told = []
    for _ in range(2):
        simulated = venue()
        session = simulated.open(0.0, 1)
        asked(session, channel(TOPS, *simulated.contracts))
        run(simulated, 1.0)
        told.append(session.out)

    assert told[0] == told[1] != []
