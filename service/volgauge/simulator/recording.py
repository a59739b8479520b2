"""A recording served again: its frames as they were, with today's times and dates.

Expiry dates in names move by one whole number of days, `timestamp` fields by the distance to the
venue's clock. Playing begins with the first subscription. Who subscribes later gets the newest
frame of the channel, or the book as it stands. An interval `raw` is served as `100ms`: `raw`
needs an account.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import InputError
from volgauge.simulator.board import Board, RawFrame, Step, milliseconds
from volgauge.simulator.chain import shift_days
from volgauge.simulator.deribit import notification
from volgauge.simulator.listing import TERMS, Expiry, Terms
from volgauge.wire.replay import Recorded, read_recording

VENUE = "deribit"
LISTED_DAYS = 30
_CHANNEL = re.compile(rb'"channel":\s?"([^"]+)"')
_RAW_CHANNEL = re.compile(rb'("channel":\s?"[^"]+)\.raw"')
_LINKED = re.compile(r"book\.[^.]+\.[^.]+")
_TIMESTAMP = re.compile(rb'("timestamp":\s?)(\d{13})')
_DATE = re.compile(rb"(?<=-)(\d{1,2})([A-Z]{3})(\d{2})(?=[-.\"])")
_OPTION = re.compile(r"([A-Z0-9]+(?:_USDC)?)-(\d{1,2})([A-Z]{3})(\d{2})-(\d+(?:d\d+)?)-([CP])")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class RecordingSource:
    """Plays notifications at `speed`; its boards hold the names only."""

    def __init__(self, folder: Path, *, start_ns: int, speed: float, step_ns: int) -> None:
        self.now_ns = start_ns
        self.step_ns = step_ns
        self.is_playing = False
        self._folder = folder
        self._speed = speed
        first_ns, channels = _scan(folder)
        self._recorded_ns = float(first_ns)
        self.days = shift_days(first_ns, start_ns)
        self._dates = _Dates(self.days)
        self.channels = frozenset(self._dates.move(_unraw(name)).decode() for name in channels)
        self.boards = tuple(_boards(self.channels, start_ns))
        self._frames = self._notifications()
        self._ahead: RawFrame | None = None
        self._ahead_ns = 0
        self._ends = False
        self._last: dict[str, bytes] = {}
        self._books: dict[str, _Book] = {}

    @property
    def has_ended(self) -> bool:
        """The last frame has been played."""
        return self._ends

    def advance(self) -> Step:
        """Let one step of time pass; the frames that are due by then."""
        self.now_ns += self.step_ns
        due = self._due() if self.is_playing else []
        for frame in due:
            self._remember(frame)
        return Step(self.now_ns, frames=due)

    def first_frame(self, channel: str) -> bytes | None:
        """What a new subscriber of a channel gets at once; starts the tape."""
        self.is_playing = True
        book = self._books.get(channel)
        return self._last.get(channel) if book is None else book.snapshot(channel)

    def _due(self) -> list[RawFrame]:
        self._recorded_ns += self.step_ns * self._speed
        due: list[RawFrame] = []
        while not self._ends:
            if self._ahead is None:
                following = next(self._frames, None)
                if following is None:
                    self._ends = True
                    break
                self._ahead_ns, self._ahead = following
            if self._ahead_ns > self._recorded_ns:
                break
            due.append(self._retime(self._ahead))
            self._ahead = None
        return due

    def _remember(self, frame: RawFrame) -> None:
        if not _LINKED.fullmatch(frame.channel):
            self._last[frame.channel] = frame.payload
            return
        try:
            data = msgspec.json.decode(frame.payload)["params"]["data"]
        except msgspec.DecodeError:
            # Recorded damaged: it goes out as it came, and the book stays as it was.
            return
        self._books.setdefault(frame.channel, _Book()).apply(data)

    def skip_to(self, now_ns: int) -> None:
        """Time passes; the recording does not skip."""
        self.now_ns = now_ns

    def _retime(self, frame: RawFrame) -> RawFrame:
        shift = milliseconds(self.now_ns) - self._ahead_ns // NANOS_PER_MILLI
        payload = _TIMESTAMP.sub(
            lambda match: match[1] + str(int(match[2]) + shift).encode(), frame.payload
        )
        return RawFrame(frame.channel, payload)

    def _notifications(self) -> Iterator[tuple[int, RawFrame]]:
        for recorded in _frames(self._folder):
            if recorded.frame is not None and (found := _CHANNEL.search(recorded.frame)):
                channel = self._dates.move(_unraw(found[1])).decode()
                payload = self._dates.move(_RAW_CHANNEL.sub(rb'\1.100ms"', recorded.frame, 1))
                yield recorded.received_ns, RawFrame(channel, payload)


class _Book:
    """A book channel's levels as its subscribers hold them."""

    def __init__(self) -> None:
        self._newest: dict[str, Any] = {}
        self._sides: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}

    def apply(self, data: dict[str, Any]) -> None:
        """Take a snapshot or a change."""
        is_whole = data.get("type") == "snapshot" or not data.get("prev_change_id")
        for name, levels in self._sides.items():
            if is_whole:
                levels.clear()
            for action, price, size in data.get(name, ()):
                if action == "delete":
                    levels.pop(price, None)
                else:
                    levels[price] = size
        self._newest = data

    def snapshot(self, channel: str) -> bytes:
        """The frame that opens a subscription."""
        kept = ("timestamp", "change_id", "instrument_name")
        data = {name: self._newest[name] for name in kept if name in self._newest}
        sides = {
            name: [["new", price, size] for price, size in levels.items()]
            for name, levels in self._sides.items()
        }
        return notification(channel, {"type": "snapshot", **data, **sides})


class _Dates:
    """Moves `28AUG26` by whole days wherever it stands in a name."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._moved = lru_cache(maxsize=256)(self._move_one)

    def move(self, text: bytes) -> bytes:
        """Move every date of a frame."""
        return _DATE.sub(lambda match: self._moved(match[0]), text)

    def _move_one(self, code: bytes) -> bytes:
        text = code.decode()
        try:
            moment = _date(text[:-5], text[-5:-2], text[-2:]) + timedelta(days=self._days)
        except ValueError:
            return code
        return f"{moment.day}{_MONTHS[moment.month - 1]}{moment:%y}".encode()


def _scan(folder: Path) -> tuple[int, set[bytes]]:
    """First receive time and all channel names.

    Raises:
        InputError: There is no notification of this venue.
    """
    first_ns, channels = 0, set[bytes]()
    for recorded in _frames(folder):
        if recorded.frame is not None and (found := _CHANNEL.search(recorded.frame)):
            first_ns = first_ns or recorded.received_ns
            channels.add(found[1])
    if not channels:
        raise InputError(f"{folder}: expected notifications of {VENUE}, found none")
    return first_ns, channels


def _unraw(channel: bytes) -> bytes:
    return channel[:-4] + b".100ms" if channel.endswith(b".raw") else channel


def _frames(folder: Path) -> Iterator[Recorded]:
    return (recorded for recorded in read_recording(folder) if recorded.venue == VENUE)


def _boards(channels: frozenset[str], now_ns: int) -> Iterator[Board]:
    """Boards with every option that a channel names."""
    names = {match[0]: match for name in channels if (match := _OPTION.search(name))}
    for number, prefix in enumerate(sorted({match[1] for match in names.values()})):
        board = Board(_terms(prefix), first_number=100_000 * (number + 1))
        mine = [match for match in names.values() if match[1] == prefix]
        listed_ns = now_ns - LISTED_DAYS * NANOS_PER_DAY
        for expiry_ns in sorted({_expiry_ns(match) for match in mine}):
            index = board.add_expiry(Expiry(expiry_ns, "month", listed_ns))
            contracts = sorted(
                (float(match[5].replace("d", ".")), match[6] == "C")
                for match in mine
                if _expiry_ns(match) == expiry_ns
            )
            board.add_options(index, contracts, listed_ns)
        yield board


def _expiry_ns(match: re.Match[str]) -> int:
    day = _date(match[2], match[3], match[4])
    moment = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    return int(moment.timestamp()) * NANOS_PER_SECOND


def _date(day: str, month: str, year: str) -> date:
    return date(2000 + int(year), _MONTHS.index(month) + 1, int(day))


def _terms(prefix: str) -> Terms:
    if prefix in TERMS:
        return TERMS[prefix]
    like = TERMS["XRP_USDC"] if prefix.endswith("_USDC") else TERMS["ETH"]
    return msgspec.structs.replace(like, asset=prefix.removesuffix("_USDC"))
