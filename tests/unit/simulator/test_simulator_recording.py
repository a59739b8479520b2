"""A recording played on the simulated wire."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from volgauge.errors import InputError
from volgauge.simulator.recording import RecordingSource
from volgauge.simulator.venue import Venue

NOW = int(datetime(2026, 11, 21, 3, 54, tzinfo=UTC).timestamp()) * 10**9
QUOTE = "quote.BTC-30JUL21-24000-P"
BOOK = "book.BTC-30JUL21-24000-P.raw"


class Sink:
    """A subscriber."""

    def __init__(self) -> None:
        self.out: list[bytes] = []

    def take(self) -> list[dict[str, Any]]:
        """Params of the notifications so far."""
        frames = [msgspec.json.decode(frame)["params"] for frame in self.out]
        self.out.clear()
        return frames


def line(second: int, channel: str, data: dict[str, Any]) -> bytes:
    """One recorded line."""
    params = {"channel": channel, "data": data}
    frame = {"jsonrpc": "2.0", "method": "subscription", "params": params}
    return f"2021-07-22T22:42:{second:02d}.0000000Z ".encode() + msgspec.json.encode(frame) + b"\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four frames, a reply and a disconnect."""
    stamp = 1_626_993_720_000
    name = "BTC-30JUL21-24000-P"
    lines = [
        b'2021-07-22T22:42:00.0000000Z {"jsonrpc":"2.0","id":1,"result":[]}\n',
        line(1, QUOTE, {"timestamp": stamp + 990, "instrument_name": name, "best_bid_price": 0.01,
                        "best_ask_price": 0.011, "best_bid_amount": 1.0, "best_ask_amount": 2.0}),
        line(2, BOOK, {"type": "snapshot", "timestamp": stamp + 1_990, "change_id": 5,
                       "instrument_name": name, "bids": [["new", 0.01, 1.0]],
                       "asks": [["new", 0.011, 2.0]]}),
        line(3, BOOK, {"type": "change", "timestamp": stamp + 2_990, "change_id": 9,
                       "prev_change_id": 5, "instrument_name": name,
                       "bids": [["delete", 0.01, 0.0], ["new", 0.0095, 3.0]], "asks": []}),
        b"\n",
        line(4, QUOTE, {"timestamp": stamp + 3_990, "instrument_name": name,
                        "best_bid_price": 0.0095, "best_ask_price": 0.011,
                        "best_bid_amount": 3.0, "best_ask_amount": 2.0}),
    ]  # fmt: skip
    path = tmp_path / "deribit" / "main"
    path.mkdir(parents=True)
    (path / "2021-07-22T22-42.jsonl").write_bytes(b"".join(lines))
    return tmp_path


def venue(folder: Path, speed: float = 1.0) -> Venue:
    """The recording on a venue with steps of a tenth of a second."""
    return Venue(RecordingSource(folder, start_ns=NOW, speed=speed, step_ns=100_000_000))


def listen(venue: Venue, channel: str) -> Sink:
    """Subscribe a new sink."""
    sink = Sink()
    found = venue.find(channel)
    assert found is not None
    venue.subscribe(sink, found)
    return sink


def test_names_are_redated_by_whole_days(folder: Path) -> None:
    """30JUL21 was 8 days ahead and still is (9 at most); the option is listed."""
    source = RecordingSource(folder, start_ns=NOW, speed=1.0, step_ns=1)

    (board,) = source.boards
    (option,) = board.options
    assert option.name == "BTC-29NOV26-24000-P"
    assert option.expiry.expiry_ns % (86_400 * 10**9) == 8 * 3600 * 10**9
    assert "quote.BTC-29NOV26-24000-P" in source.channels


def test_frames_come_in_step_with_their_times(folder: Path) -> None:
    """The second quote comes three seconds after the first, with the venue's time."""
    playing = venue(folder)
    sink = listen(playing, "quote.BTC-29NOV26-24000-P")
    arrivals = []
    for _ in range(60):
        playing.advance()
        arrivals += [(playing.source.now_ns, push["data"]) for push in sink.take()]

    assert [data["best_bid_price"] for _, data in arrivals] == [0.01, 0.0095]
    assert arrivals[1][0] - arrivals[0][0] == pytest.approx(3 * 10**9, abs=2 * 10**8)
    for now_ns, data in arrivals:
        # The feed's own delay of 10 ms is kept.
        assert data["timestamp"] == now_ns // 10**6 - 10
        assert data["instrument_name"] == "BTC-29NOV26-24000-P"


def test_speed_shortens_the_waits(folder: Path) -> None:
    """At tenfold speed everything is over in half a second."""
    playing = venue(folder, speed=10.0)
    sink = listen(playing, "quote.BTC-29NOV26-24000-P")
    for _ in range(6):
        playing.advance()

    assert len(sink.take()) == 2


def test_tape_waits_for_the_first_subscriber(folder: Path) -> None:
    """Nothing is lost before anyone listens."""
    playing = venue(folder)
    for _ in range(100):
        playing.advance()
    sink = listen(playing, "quote.BTC-29NOV26-24000-P")
    for _ in range(60):
        playing.advance()

    assert len(sink.take()) == 2


def test_late_book_subscriber_gets_the_book_as_it_stands(folder: Path) -> None:
    """A snapshot with the changes applied and the newest change id; raw is served as 100ms."""
    playing = venue(folder)
    listen(playing, "quote.BTC-29NOV26-24000-P")
    for _ in range(60):
        playing.advance()

    (push,) = listen(playing, "book.BTC-29NOV26-24000-P.100ms").take()

    data = push["data"]
    assert (data["type"], data["change_id"]) == ("snapshot", 9)
    assert data["bids"] == [["new", 0.0095, 3.0]]
    assert data["asks"] == [["new", 0.011, 2.0]]


def test_empty_recording_is_refused(tmp_path: Path) -> None:
    """No notification of the venue: a typed error."""
    path = tmp_path / "deribit" / "main"
    path.mkdir(parents=True)
    (path / "x.jsonl").write_bytes(b'2021-07-22T22:42:00.0000000Z {"id":1,"result":[]}\n')

    with pytest.raises(InputError, match="notifications"):
        venue(tmp_path)
