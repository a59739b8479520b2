"""What the dialects share: who listens, names, windows of requests, numbers, deviations."""

from math import nan, sqrt

import numpy as np
import pytest
from scipy.stats import norm

from volgauge.domain.units import NANOS_PER_DAY
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import Board, Notice, crosses
from volgauge.simulator.faults import Faults
from volgauge.simulator.listing import TERMS, Expiry
from volgauge.simulator.names import Names
from volgauge.simulator.numbers import decimal_text, number_text, size_text
from volgauge.simulator.pricing import solve_deviation
from volgauge.simulator.quoting import families_of
from volgauge.simulator.window import Window


class Client:
    """Keeps what it gets."""

    def __init__(self, *subscriptions: str) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions = set(subscriptions)


def a_board(strikes: tuple[float, ...]) -> Board:
    """Calls of one expiry, a day ahead of time 0."""
    board = Board(TERMS["BTC"], first_number=1)
    expiry = board.add_expiry(Expiry(NANOS_PER_DAY, "day", 0))
    board.add_options(expiry, [(strike, True) for strike in strikes], 0)
    return board


def test_frames_arrive_after_the_delay_in_order() -> None:
    """At who was there when they left, and still listens when they arrive."""
    audience = Audience[str, Client](latency_ns=10)
    early, gone = Client("a"), Client("a")
    for client in (early, gone):
        audience.add(client, "a")
    audience.send("a", b"1", 0, audience.of("a"))
    audience.send("a", b"2", 5, audience.of("a"))
    late = Client("a")
    audience.add(late, "a")
    audience.deliver(9)
    assert early.out == []
    audience.deliver(10)
    gone.subscriptions.clear()
    audience.deliver(15)

    assert (early.out, gone.out, late.out) == ([b"1", b"2"], [b"1"], [])


def test_frames_to_whoever_listens_reach_who_came_meanwhile() -> None:
    """Where a venue chooses when a frame leaves it."""
    audience = Audience[str, Client](latency_ns=10)
    audience.send("a", b"1", 0)
    late = Client("a")
    audience.add(late, "a")

    assert list(audience.release(10)) == [(late, "a", b"1")]
    assert list(audience.release(10)) == []


def test_a_key_is_wanted_while_somebody_listens() -> None:
    """The last to go is told so."""
    audience = Audience[str, Client](latency_ns=0)
    one, other = Client("a"), Client("a")
    audience.add(one, "a")
    audience.add(other, "a")

    assert ("a" in audience, "b" in audience, list(audience)) == (True, False, ["a"])
    assert not audience.remove(one, "a")
    assert audience.remove(other, "a")
    assert ("a" in audience, list(audience)) == (False, [])


def test_everybody_is_cut_off() -> None:
    """Who listens to nothing too."""
    audience = Audience[str, Client](latency_ns=0)
    audience.sessions |= {Client(), Client("a")}
    audience.hang_up(1001, "over")

    assert [client.closing for client in audience.sessions] == [(1001, "over")] * 2


def test_names_come_and_go_with_what_the_board_lists() -> None:
    """What the venue does not list has a place, and no name."""
    board = a_board((100.0, 110.0))
    names = Names([board], lambda _, slot: "" if slot == 1 else f"C{board.strike[slot]:g}")
    before = dict(names.contracts)
    new = board.add_options(0, [(120.0, True)], 5)
    told = names.follow([
        Notice(board, "option", new[0], "open", created=True),
        Notice(board, "future", 0, "settlement"),
        Notice(board, "option", 0, "settlement"),
    ])  # fmt: skip

    assert before == {"C100": (0, 0)}
    assert names.of == [["C100", "", "C120"]]
    assert names.contracts == {"C120": (0, 2)}
    assert [notice.number for notice in told[0]] == [2, 0]


def test_a_window_takes_so_many_and_tells_when_there_is_room() -> None:
    """An instant is out of it when its length has passed."""
    window = Window(2, 10)

    assert [window.take(now) for now in (0, 4, 5)] == [True, True, False]
    assert window.wait(7) == 3
    assert [window.take(now) for now in (9, 10, 13, 14)] == [False, True, False, True]


def test_what_is_counted_fills_a_window_although_it_is_refused() -> None:
    """As where asking too often keeps a client out."""
    window = Window(1, 10)
    for now in (0, 5):
        window.count(now)

    assert window.wait(12) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (5.0, "5"), (0.25, "0.25"), (67_000.0, "67000"), (1e-5, "0.00001"), (nan, "0")],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    """And no point without decimals."""
    assert number_text(value) == text


def test_absent_numbers_have_the_venues_word() -> None:
    """In both kinds of text; places are as many as are asked for."""
    assert (number_text(nan, absent=""), decimal_text(nan, 2, absent="")) == ("", "")
    assert (decimal_text(0.126, 2), decimal_text(0.1, 4), decimal_text(0.0, 4)) == (
        "0.13", "0.1", "0",
    )  # fmt: skip
    assert number_text(1.5e-13, places=14) == "0.00000000000015"


def test_families_have_the_venues_grid_on_the_markets_board() -> None:
    """Only of coins that the venue has."""
    boards = [Board(TERMS[name], first_number=1) for name in ("BTC", "ETH")]
    (family,) = families_of(boards, {"ETH": ((1, 10), (1, 4))})

    assert (family.number, family.terms.asset, family.terms.coin) == (1, "ETH", False)
    assert (family.terms.tick_size, size_text(family.terms, 3)) == (0.1, "0.75")


def test_an_option_trades_until_its_expiry() -> None:
    """And while it is listed; the order asked for stays."""
    board = a_board((100.0, 110.0, 120.0))
    board.alive[1] = False

    assert board.trading([2, 1, 0], NANOS_PER_DAY - 1) == [2, 0]
    assert board.trading([2, 1, 0], NANOS_PER_DAY) == []


def test_maintenance_lasts_from_its_begin_to_its_end() -> None:
    """Of which only the begin belongs to it; 0 is none."""
    faults = Faults(maintenance_after_seconds=2.0, maintenance_seconds=3.0)

    assert [faults.in_maintenance(age) for age in (1.9, 2.0, 4.9, 5.0)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not Faults().in_maintenance(0.0)


def test_multiples_of_an_interval_are_crossed_at_their_instant() -> None:
    """Once each."""
    assert [crosses(now - 1, now, 10) for now in (9, 10, 11, 20)] == [False, True, False, True]
    assert crosses(5, 35, 10)


def test_a_deviation_gives_the_price_that_it_was_solved_from() -> None:
    """By Black's formula of scipy's normal distribution; NaN where there is no price."""
    k, deviation = np.array([-0.3, 0.0, 0.2, 0.1]), np.array([0.4, 0.5, 0.3, 0.2])
    d1 = -k / deviation + 0.5 * deviation
    call = norm.cdf(d1) - np.exp(k) * norm.cdf(d1 - deviation)
    price = np.where(k < 0.0, call - 1.0 + np.exp(k), call)
    price[3] = 0.0
    solved = solve_deviation(k, price, deviation * sqrt(1.1), 8)

    assert solved[:3] == pytest.approx(deviation[:3], rel=1e-9)
    assert np.isnan(solved[3])
