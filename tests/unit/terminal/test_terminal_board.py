"""What a watcher makes of records, by hand-written ones."""

import io

import pytest
from msgspec.structs import replace
from rich.console import Console

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import index_value
from volgauge.domain.channels import Kind
from volgauge.domain.index import IndexValue, Status
from volgauge.publish.record import encode
from volgauge.terminal.board import SILENT, Board, LinkState
from volgauge.terminal.layout import draw, duration, line, printable, sparkline
from volgauge.terminal.sse import EventReader

NOW = 1_795_000_000_000_000_000
SECOND = 1_000_000_000


def board_of(*records: IndexValue) -> Board:
    """A board that watches 30 d and saw these."""
    board = Board(tenor="30d")
    for record in records:
        board.take_line(Kind.INDEX, encode(record))
    return board


def picture(board: Board, now_ns: int, width: int, height: int = 40) -> str:
    """What a terminal of this size shows."""
    console = Console(width=width, height=height, file=io.StringIO(), record=True)
    console.print(draw(board, "somewhere", now_ns, width, height))
    return console.export_text()


@pytest.mark.parametrize("cut", [1, 2, 7, 1000])
def test_events_are_whole_however_they_were_cut(cut: int) -> None:
    """Chunks of any length give the same events; comments and `retry` are none."""
    text = (
        b'retry: 5\n\nid: 1-2\nevent: index\ndata: {"a":1}\n\nevent: clock\ndata: x\ndata: y\n\nda'
    )
    reader = EventReader()

    events = [event for i in range(0, len(text), cut) for event in reader.feed(text[i : i + cut])]

    assert events == [("index", b'{"a":1}'), ("clock", b"x\ny")]


def test_a_record_that_nothing_follows_is_silent() -> None:
    """Three heartbeats later an OK is not believed any more."""
    board = board_of(index_value(1, status=Status.OK))

    (fresh,) = board.rows(NOW + 3 * SECOND)
    (old,) = board.rows(NOW + 3 * SECOND + 1)

    assert (fresh.status, fresh.is_current) == ("OK", True)
    assert (old.status, old.is_current) == (SILENT, False)


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.value)
def test_only_a_computed_value_is_current(status: Status) -> None:
    """GUARD and STALE repeat an older number, HALTED and WARMING have none."""
    (row,) = board_of(index_value(1, status=status)).rows(NOW)

    assert row.is_current is (status.value in {"OK", "SINGLE_VENUE", "DEGRADED"})


def test_change_counts_from_the_first_value_seen() -> None:
    """Without a history, and it says since when."""
    later = index_value(2, value=53.0, computed_ns=NOW + 90 * SECOND)
    (row,) = board_of(index_value(1, value=52.25), later).rows(NOW + 90 * SECOND)

    assert (row.change, row.change_seconds) == (0.75, 90.0)


def test_term_runs_from_short_to_long() -> None:
    """Whatever the order of arrival; a tenor whose value is not of now is null."""
    board = board_of(
        index_value(1, tenor_days=90.0, value=60.0),
        index_value(1),
        index_value(1, tenor_days=7.0, value=50.0, status=Status.STALE),
    )

    assert list(board.rows(NOW)[0].term.items()) == [("7d", None), ("30d", 52.25), ("90d", 60.0)]


def test_other_assets_are_not_kept() -> None:
    """Those that are not watched."""
    board = Board(tenor="30d", assets=frozenset({"ETH"}))
    board.take_line(Kind.INDEX, encode(index_value(1, asset="BTC")))
    board.take_line(Kind.EVENTS, encode(alert_event(asset="BTC")))

    assert (board.rows(NOW), len(board.alerts)) == ([], 0)


def test_an_alert_that_comes_twice_is_one() -> None:
    """The stream tells the last ones again after every new connection."""
    board = Board(tenor="30d")
    for _ in range(2):
        board.take_line(Kind.EVENTS, encode(alert_event()))

    assert len(board.alerts) == 1


def test_a_record_of_another_schema_is_counted() -> None:
    """It changes nothing else."""
    board = board_of(index_value(1))
    board.take_line(Kind.INDEX, b'{"v":9}')

    assert (board.refused_count, len(board.rows(NOW))) == (1, 1)


@pytest.mark.parametrize("width", [80, 160])
def test_picture_keeps_to_the_width_and_says_everything(width: int) -> None:
    """No line is longer than the terminal, and no reading is missing."""
    board = board_of(index_value(1, status=Status.OK), index_value(1, tenor_days=60.0, value=60.0))
    board.take_line(Kind.ANALYTICS, encode(analytics_value(1)))
    board.take_line(Kind.COUPLING, encode(coupling_value(1)))
    board.take_line(Kind.EVENTS, encode(alert_event()))
    board.set_link(LinkState.UP, NOW)

    shown = picture(board, NOW + SECOND, width)

    assert max(map(len, shown.splitlines())) <= width
    for word in ("52.25", "51.50", "OK", "1.0 s", "▁█", "-2.00", "45.00", "+3.25", "deribit",
                 "100%", "BTC leads by 7 s", "+0.80", "17 %", "connected"):  # fmt: skip
        assert word in shown


def test_picture_says_that_the_connection_is_lost() -> None:
    """In words, with the reason and for how long; ages go on."""
    board = board_of(index_value(1, status=Status.OK))
    board.set_link(LinkState.DOWN, NOW, "refused\x1b[2J")

    shown = picture(board, NOW + 60 * SECOND, 80)

    assert "NOT CONNECTED for 60 s" in shown
    assert SILENT in shown
    assert "\x1b" not in shown


def test_line_is_ascii_and_names_what_lacks() -> None:
    """A script's locale may know nothing else."""
    record = replace(index_value(1, value=None, status=Status.HALTED), bid=None, ask=None)
    text = line(board_of(record).rows(NOW)[0])

    assert text.isascii()
    assert text.startswith("2026-11-18T11:06:40Z  BTC  30d  -  change -  band -  HALTED  age 0.0 s")


@pytest.mark.parametrize(
    ("values", "bars"),
    [([1.0, 2.0, 8.0], "▁▂█"), ([1.0, None, 2.0], "▁·█"), ([3.0, 3.0], "▅▅"), ([None], "·")],
    ids=["rising", "lacking", "flat", "empty"],
)
def test_sparkline(values: list[float | None], bars: str) -> None:
    """The least is the lowest bar, the largest the highest."""
    assert sparkline(values) == bars


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (61.0, "61 s"), (600.0, "10 m"), (86_400.0, "24 h"), (259_200.0, "3 d")],
)
def test_duration(seconds: float, text: str) -> None:
    """In the unit that suits it."""
    assert duration(seconds) == text


def test_printable_takes_control_characters_out() -> None:
    """What others wrote does not steer the terminal."""
    assert printable("a\x1b[31m\nb") == "a?[31m?b"
