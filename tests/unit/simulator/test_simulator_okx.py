"""The simulated OKX without sockets: answers, limits, pushes, listings, lies."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.simulator import okx
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.okx_session import OkxSession
from volgauge.simulator.okx_venue import LATENCY_NS, OkxVenue
from volgauge.simulator.quoting import QuotingStyle

START_NS = parse_instant("2026-07-01T12:00:00Z")
STEP_NS = 5 * NANOS_PER_MILLI
Row = dict[str, Any]


def venue(*currencies: str, rate: float = 2_000.0, seed: int = 3) -> OkxVenue:
    """A market of these books, and OKX on it."""
    options = MarketOptions(
        seed=seed, currencies=currencies or ("SOL_USDC",), start_ns=START_NS, rate=rate,
        step_ns=STEP_NS,
    )  # fmt: skip
    return OkxVenue(Market(options), seed)


def pass_time(host: OkxVenue, milliseconds: int) -> None:
    """Let the market and the venue move."""
    for _ in range(milliseconds * NANOS_PER_MILLI // STEP_NS):
        host.advance(host.market.advance())


def ask(session: OkxSession, op: str, *args: Row, now_seconds: float = 0.0) -> list[Row]:
    """Send a request; the answers."""
    session.receive(json.dumps({"op": op, "args": list(args)}).encode(), now_seconds)
    return taken(session)


def taken(session: OkxSession) -> list[Row]:
    """Everything that waits, parsed."""
    frames, session.out = session.out, []
    return [json.loads(frame) for frame in frames]


def first_name(host: OkxVenue, family: int = 0) -> str:
    """A listed option of a family."""
    return next(name for name, (place, _) in host.contracts.items() if place == family)


def get(host: OkxVenue, path: str, **params: str) -> Row:
    """A GET that succeeds over HTTP."""
    status, body = host.answer(path, params)
    assert status == 200
    answer: Row = json.loads(body)
    return answer


def test_okx_lists_both_families_of_a_coin_and_one_of_the_others() -> None:
    """BTC in coin and in USD, SOL in USD only, XRP not at all."""
    families = venue("BTC", "SOL_USDC", "XRP_USDC").families

    assert [(family.name, family.terms.coin) for family in families] == [
        ("BTC-USD", True), ("BTC-USD_UM", False), ("SOL-USD_UM", False),
    ]  # fmt: skip


def test_every_argument_is_answered_by_itself() -> None:
    """The wrong one names itself in the text, the socket stays."""
    host = venue()
    session = host.open(0.0, 1)
    good = {"channel": "bbo-tbt", "instId": first_name(host)}
    answers = ask(session, "subscribe", good, {"channel": "tickers", "instFamily": "SOL-USD_UM"})

    assert [answer["event"] for answer in answers] == ["subscribe", "error"]
    assert answers[0]["arg"] == good
    assert answers[1]["code"] == "60018"
    assert "channel:tickers,instFamily:SOL-USD_UM doesn't exist" in answers[1]["msg"]
    assert answers[0]["connId"] == answers[1]["connId"]
    assert session.closing is None


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b"[]",
        b'{"op":"login","args":[]}',
        b'{"op":"subscribe"}',
        b'{"op":"subscribe","args":[1]}',
    ],
)
def test_request_that_is_none_is_refused_with_its_text(frame: bytes) -> None:
    """60012."""
    session = venue().open(0.0, 1)
    session.receive(frame, 0.0)
    (answer,) = taken(session)

    assert answer["code"] == "60012"
    assert answer["msg"] == f"Invalid request: {frame.decode()}"


def test_ping_is_text() -> None:
    """And so is the answer."""
    session = venue().open(0.0, 1)
    session.receive(b"ping", 1.0)

    assert session.out == [b"pong"]


def test_request_of_more_than_64_kilobytes_ends_the_connection() -> None:
    """Close code 1009."""
    session = venue().open(0.0, 1)
    session.receive(b" " * 65_537, 0.0)

    assert session.closing is not None
    assert session.closing[0] == 1009


def test_481st_request_of_an_hour_is_refused() -> None:
    """And an hour later it is welcome."""
    host = venue()
    session = host.open(0.0, 1)
    arg = {"channel": "status"}
    for number in range(480):
        assert ask(session, "subscribe", arg, now_seconds=float(number))[0]["event"] == "subscribe"

    assert ask(session, "subscribe", arg, now_seconds=500.0)[0]["code"] == "60014"
    assert ask(session, "subscribe", arg, now_seconds=3_601.0)[0]["event"] == "subscribe"


def test_thirty_seconds_of_silence_end_the_connection() -> None:
    """Unless the client pings."""
    host = venue()
    session = host.open(0.0, 1)
    session.tick(29.0)
    session.receive(b"ping", 29.0)
    session.tick(58.0)
    assert session.closing is None

    session.tick(59.0)

    assert session.closing == (4004, "No data received in 30s.")


def test_upgrade_is_announced_before_the_end() -> None:
    """64008, and the end a minute later."""
    host = venue()
    host.faults = Faults(upgrade_after_seconds=5.0, upgrade_seconds=20.0)
    session = host.open(0.0, 1)
    session.tick(5.0)
    session.tick(6.0)
    (notice,) = taken(session)
    assert (notice["event"], notice["code"]) == ("notice", "64008")
    assert session.closing is None

    session.tick(25.0)

    assert session.closing is not None


def test_quotes_come_after_the_acknowledgement_and_a_delay() -> None:
    """First the state, then each change; sequence numbers rise."""
    host = venue()
    session = host.open(0.0, 1)
    args = [{"channel": "bbo-tbt", "instId": name} for name in host.contracts]
    assert all(answer["event"] == "subscribe" for answer in ask(session, "subscribe", *args))
    pass_time(host, LATENCY_NS // NANOS_PER_MILLI + 5)
    first = taken(session)
    assert len({frame["arg"]["instId"] for frame in first}) == len(args)
    pass_time(host, 500)
    later = taken(session)

    assert len(later) > 100
    last: dict[str, int] = {}
    for frame in first + later:
        (row,) = frame["data"]
        assert row["seqId"] > last.get(frame["arg"]["instId"], 0)
        last[frame["arg"]["instId"]] = row["seqId"]
        for found in row["asks"] + row["bids"]:
            assert all(isinstance(text, str) for text in found)


def test_prices_stand_on_the_venues_own_grid() -> None:
    """Coin premia in ten-thousandths and, above 0.005, five of them; margined ones in fives."""
    host = venue("BTC")
    coin, margined = host.books
    for book, fine in ((coin, 0.0001), (margined, 5.0)):
        for side in (book.bid, book.ask):
            prices = side[~np.isnan(side)]
            ticks = prices / fine
            assert np.abs(ticks - np.round(ticks)).max() < 1e-6
            if book is coin:
                coarse = prices[prices > 0.005] / 0.0005
                assert np.abs(coarse - np.round(coarse)).max() < 1e-6


def test_both_families_price_the_same_truth() -> None:
    """The margined premium is the coin premium times the forward."""
    host = venue("BTC")
    coin, margined = host.books
    slots = np.arange(len(coin.board.options))
    forward = coin.board.forward[coin.board.expiry_of]

    assert margined.fair(slots) == pytest.approx(coin.fair(slots) * forward, rel=1e-12)


def test_lies_keep_the_wire_in_order() -> None:
    """Another volatility, crossed sides, standing quotes: only the numbers are wrong."""
    host = venue("BTC", rate=0.0)
    book = host.books[0]
    slots = np.flatnonzero(book.board.alive)
    still = OkxVenue(host.market, 3, QuotingStyle(mid_noise=0.0))
    honest = still.books[0]
    honest.requote(slots, Lies())
    true_ask = honest.ask.copy()
    honest.requote(slots, Lies(vol_ratio=1.2))
    assert np.nansum(honest.ask) > np.nansum(true_ask)

    before = honest.ask.copy()
    honest.requote(slots, Lies(frozen=True))
    assert np.array_equal(honest.ask, before, equal_nan=True)

    honest.requote(slots, Lies(crossed=True))
    both = ~np.isnan(honest.bid) & ~np.isnan(honest.ask)
    assert (honest.bid[both] >= honest.ask[both]).all()
    assert (honest.bid[both] > honest.ask[both]).any()


def test_silent_venue_still_answers() -> None:
    """No push of any kind."""
    host = venue()
    host.lies = Lies(silent=True)
    session = host.open(0.0, 1)
    ask(session, "subscribe", {"channel": "index-tickers", "instId": "SOL-USD"})
    pass_time(host, 300)
    session.receive(b"ping", 1.0)

    assert session.out == [b"pong"]


def test_summary_begins_with_the_family_and_goes_on_with_what_changed() -> None:
    """A whole chain is hundreds of kilobytes."""
    host = venue("BTC", rate=100.0)
    session = host.open(0.0, 1)
    ask(session, "subscribe", {"channel": "opt-summary", "instFamily": "BTC-USD"})
    pass_time(host, 10)
    (whole,) = session.out
    assert len(whole) > 200_000
    (first,) = taken(session)
    row = first["data"][0]
    board = host.market.boards[0]
    place, slot = host.contracts[row["instId"]]
    assert place == 0
    assert float(row["fwdPx"]) == pytest.approx(board.forward[board.expiry_of[slot]], rel=1e-9)
    assert {row["instId"] for row in first["data"]} == {
        name for name in host.contracts if name.startswith("BTC-USD-")
    }
    pass_time(host, 1_100)
    later = taken(session)

    assert len(later) == 2
    assert all(0 < len(frame["data"]) < len(first["data"]) / 4 for frame in later)


def test_premium_is_the_difference_of_the_deltas() -> None:
    """As on the real wire: deltaBS less delta is the mark in coin."""
    host = venue("BTC", rate=0.0)
    rows = host.summaries(0, np.flatnonzero(host.books[0].board.alive).tolist())
    slots = np.array([host.contracts[row["instId"]][1] for row in rows])
    told = [float(row["deltaBS"]) - float(row["delta"]) for row in rows]

    assert told == pytest.approx(host.books[0].fair(slots).tolist(), abs=2e-10)


def test_long_book_links_its_updates() -> None:
    """Snapshot with -1, then every prevSeqId the seqId before, also over a reset."""
    host = venue(rate=6_000.0)
    session = host.open(0.0, 1)
    ask(session, "subscribe", *({"channel": "books", "instId": name} for name in host.contracts))
    pass_time(host, 600)
    host.reset_sequences()
    pass_time(host, 600)
    links: dict[str, list[tuple[int, int]]] = {}
    for frame in taken(session):
        (row,) = frame["data"]
        assert (frame["action"] == "snapshot") == (row["prevSeqId"] == -1)
        links.setdefault(frame["arg"]["instId"], []).append((row["prevSeqId"], row["seqId"]))

    assert set(links) == set(host.contracts)
    fallen = 0
    for chain in links.values():
        assert chain[0][0] == -1
        for before, now in pairwise(chain):
            assert now[0] == before[1]
            fallen += now[1] < now[0]
    assert fallen > 10


def test_quiet_long_book_gives_a_sign_of_life() -> None:
    """Equal numbers, no levels."""
    host = venue(rate=0.0)
    host.keep_alive_ns = NANOS_PER_SECOND
    session = host.open(0.0, 1)
    ask(session, "subscribe", {"channel": "books", "instId": first_name(host)})
    pass_time(host, 2_200)
    snapshot, *signs = taken(session)

    assert signs
    for frame in signs:
        (row,) = frame["data"]
        assert (row["bids"], row["asks"]) == ([], [])
        assert row["seqId"] == row["prevSeqId"] == snapshot["data"][0]["seqId"]


def test_unsubscribed_channel_is_silent() -> None:
    """What was on its way is dropped too."""
    host = venue()
    session = host.open(0.0, 1)
    arg = {"channel": "index-tickers", "instId": "SOL-USD"}
    ask(session, "subscribe", arg)
    assert ask(session, "unsubscribe", arg)[0]["event"] == "unsubscribe"
    pass_time(host, 300)

    assert session.out == []


def test_slow_reader_keeps_the_newest_of_whole_pushes_only() -> None:
    """Tops replace one another; books and summaries never do."""
    session = venue().open(0.0, 1)
    top = b'{"arg":{"channel":"bbo-tbt","instId":"X"},"data":[{"seqId":%d}]}'
    book = b'{"arg":{"channel":"books","instId":"X"},"action":"update","data":[{"seqId":%d}]}'

    assert session.conflation_key(top % 1) == session.conflation_key(top % 2)
    assert session.conflation_key(book % 1) != session.conflation_key(book % 2)
    assert session.is_data(top % 1)
    assert not session.is_data(b"pong")
    assert not session.is_data(msgspec.json.encode({"event": "subscribe", "arg": {}}))


def test_listing_over_rest() -> None:
    """By family or by underlying; every row is what the channel would say."""
    host = venue("BTC")
    coin = get(host, "public/instruments", instType="OPTION", instFamily="BTC-USD")["data"]
    both = get(host, "public/instruments", instType="OPTION", uly="BTC-USD")["data"]
    bands = get(host, "public/instrument-tick-bands", instType="OPTION")["data"]

    assert {row["instId"] for row in coin + both} == set(host.contracts)
    assert len(both) == 2 * len(coin)
    assert [row["instFamily"] for row in bands] == ["BTC-USD", "BTC-USD_UM"]
    assert bands[0]["tickBand"] == [
        {"minPx": "0", "maxPx": "0.005", "tickSz": "0.0001"},
        {"minPx": "0.005", "maxPx": "10000000", "tickSz": "0.0005"},
    ]
    assert get(host, "public/underlying", instType="OPTION")["data"] == [["BTC-USD"]]


def test_quotes_over_rest_are_those_of_the_sockets() -> None:
    """Tickers, the best level of the book, open interest, marks."""
    host = venue("BTC", rate=0.0)
    name = first_name(host, 1)
    place, slot = host.contracts[name]
    tickers = get(host, "market/tickers", instType="OPTION", instFamily="BTC-USD_UM")["data"]
    (one,) = [row for row in tickers if row["instId"] == name]
    (book,) = get(host, "market/books", instId=name, sz="1")["data"]
    (interest,) = get(host, "public/open-interest", instType="OPTION", instId=name)["data"]
    (mark,) = get(host, "public/mark-price", instType="OPTION", instId=name)["data"]

    assert one == get(host, "market/ticker", instId=name)["data"][0]
    assert one["askPx"] == okx.number_text(float(host.books[place].ask[slot]))
    assert book["asks"][0][:2] == [one["askPx"], one["askSz"]]
    assert float(interest["oiCcy"]) == pytest.approx(float(interest["oi"]) * 0.01)
    assert float(mark["markPx"]) == pytest.approx(
        host.books[place].fair(np.array([slot]))[0], abs=1e-11
    )


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("market/ticker", {"instId": "X"}, 200, "51001"),
        ("public/instruments", {}, 400, "50014"),
        ("public/instruments", {"instType": "OPTION"}, 400, "50015"),
        ("public/instruments", {"instType": "OPTION", "uly": "X-USD"}, 200, "51014"),
        ("public/nothing", {}, 404, "404"),
    ],
)
def test_refusals_over_rest(path: str, params: dict[str, str], status: int, code: str) -> None:
    """A code in the body, whatever the status."""
    found, body = venue().answer(path, params)

    assert (found, json.loads(body)["code"]) == (status, code)


def test_twenty_requests_in_two_seconds_and_no_more() -> None:
    """50011, by the venue's own clock."""
    host = venue(rate=0.0)
    answers = [host.answer("public/time", {})[0] for _ in range(21)]
    assert answers == [200] * 20 + [429]

    pass_time(host, 2_005)

    assert host.answer("public/time", {})[0] == 200


def test_expiry_and_listing_are_pushed() -> None:
    """08:00 UTC: rows that have expired, and thirteen seconds later new ones."""
    options = MarketOptions(
        currencies=("SOL_USDC",), start_ns=parse_instant("2026-07-02T07:59:59.5Z"), rate=0.0,
        step_ns=100 * NANOS_PER_MILLI,
    )  # fmt: skip
    host = OkxVenue(Market(options), 3)
    session = host.open(0.0, 1)
    ask(session, "subscribe", {"channel": "instruments", "instType": "OPTION"})
    before = set(host.contracts)
    for _ in range(160):
        host.advance(host.market.advance())
    rows = [row for frame in taken(session) for row in frame["data"]]

    gone, come = before - set(host.contracts), set(host.contracts) - before
    assert {row["instId"] for row in rows if row["state"] == "expired"} == gone != set()
    assert {row["instId"] for row in rows if row["state"] == "live"} == come != set()


def test_same_seed_same_frames() -> None:
    """To the last byte."""
    seen = []
    for _ in range(2):
        host = venue("BTC")
        session = host.open(0.0, 1)
        names = [name for name in host.contracts if name.startswith("BTC-USD-")]
        args = [{"channel": "bbo-tbt", "instId": name} for name in names]
        ask(session, "subscribe", *args)
        pass_time(host, 300)
        seen.append(session.out)

    assert seen[0] == seen[1]
    assert len(seen[0]) > 1_000
