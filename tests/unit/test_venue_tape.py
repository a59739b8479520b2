"""Frames made before: their stamps are of now, and one pass follows on the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.venue_tape import Tape, record
from volgauge.domain.units import parse_instant
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.simulator.session import Session, Timing

START_NS = parse_instant("2026-05-26T10:00:00Z")
STEPS = 60
DERIBIT, BYBIT = 0, 1


def frames_of(data: bytes) -> Iterator[Any]:
    """Texts of unmasked websocket frames, decoded."""
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        yield json.loads(data[start : start + size])
        data = data[start + size :]


def play(tape: Tape, shift_ms: int) -> list[tuple[int, Any]]:
    """One pass: (connection, frame) in the order of the beats."""
    return [
        (part.connection, frame)
        for beat in range(tape.beats)
        for part, data in tape.parts(beat, shift_ms)
        for frame in frames_of(data)
    ]


def stamp_of(connection: int, frame: Any) -> int:  # noqa: ANN401 - decoded JSON
    """When the venue says that it made the frame, ms."""
    stamp: int = frame["params"]["data"]["timestamp"] if connection == DERIBIT else frame["ts"]
    return stamp


@pytest.fixture(scope="module")
def tape() -> Tape:
    """Quotes of a few Deribit options, and books of a few of Bybit's."""
    simulator = Simulator(
        SimulatorOptions(venues=("bybit",), currencies=("BTC",), rate=500.0, start_ns=START_NS)
    )
    bybit = simulator.dialects["bybit"]
    assert isinstance(bybit, BybitVenue)
    books = bybit.open(0.0, 1)
    topics = [f"orderbook.25.{name}" for name in sorted(bybit.contracts)[:40]]
    books.receive(json.dumps({"op": "subscribe", "args": topics}).encode(), 0.0)
    quotes = Session(simulator.api, Timing(), 0.0, 7)
    options = [name for name in simulator.venue.contracts if name.endswith(("-C", "-P"))]
    channels = [f"quote.{name}" for name in sorted(options)[:40]]
    params = {"id": 1, "method": "public/subscribe", "params": {"channels": channels}}
    quotes.receive(json.dumps({"jsonrpc": "2.0", **params}).encode(), 0.0)
    return record(simulator, [("deribit", quotes), ("bybit", books)], 20_000.0, STEPS)


def test_both_connections_get_the_frames_that_are_counted(tape: Tape) -> None:
    """No frame is lost between the beats."""
    played = play(tape, 0)
    counted = [sum(number == connection for number, _ in played) for connection in (0, 1)]

    assert counted == [tape.frames["deribit"], tape.frames["bybit"]]
    assert min(counted) > STEPS


def test_a_pass_without_a_shift_bears_the_times_of_the_market(tape: Tape) -> None:
    """A frame is made in the step in which it goes out, or one of those just before."""
    began_ms = tape.facts.began_ns // 10**6
    end_ms = began_ms + STEPS * tape.facts.step_ns // 10**6

    assert all(
        began_ms - 50 <= stamp_of(connection, frame) <= end_ms
        for connection, frame in play(tape, 0)
    )


def test_a_shift_moves_every_stamp_and_nothing_else(tape: Tape) -> None:
    """Digits change in place; twice over, as a tape is played again and again."""
    shift_ms = 987_654_321
    plain = play(tape, 0)
    for turn in (1, 2):
        moved = play(tape, turn * shift_ms)
        for (connection, frame), (_, other) in zip(plain, moved, strict=True):
            assert stamp_of(connection, other) - stamp_of(connection, frame) == turn * shift_ms
            text = json.dumps(other).replace(
                str(stamp_of(connection, other)), str(stamp_of(connection, frame))
            )
            if connection == DERIBIT:
                assert text == json.dumps(frame)
            else:
                assert json.loads(text)["data"] == frame["data"]


def test_books_follow_on_from_pass_to_pass(tape: Tape) -> None:
    """Bybit's rule: a snapshot, or `u` one above that of the frame before it."""
    last: dict[str, int] = {}
    snapshots = 0
    for _, frame in play(tape, 0) + play(tape, 300) + play(tape, 600):
        if "topic" in frame:
            number = frame["data"]["u"]
            snapshots += frame["type"] == "snapshot"
            assert frame["type"] == "snapshot" or number == last[frame["topic"]] + 1
            last[frame["topic"]] = number

    assert len(last) == 40
    assert snapshots == 3 * 40


def test_a_tape_that_was_written_is_read_as_it_was(tape: Tape, tmp_path: Path) -> None:
    """By another process; also when it was played before."""
    path = tmp_path / "tape"
    play(tape, 600)
    tape.write(path)

    assert play(Tape.read(path), 5) == play(tape, 5)
