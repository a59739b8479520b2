"""Some seconds of several venues, made in advance, to be played over and over.

A tape holds what the venues would have sent to the connections they have now: websocket frames,
subscription by subscription, beat by beat. Before it is played its time stamps are moved, in place,
to the beat in which they leave. Every pass begins with the books that are told by their changes,
whole: what follows is linked to that, so no number of a sequence is missing from one pass to the
next.

    record(simulator, ...)     quotes at full pace as fast as it goes; a process of its own does it,
                               as it moves the market (`venue_load.py`)
    Tape.read, Tape.parts      the bytes of one beat

No socket and no clock in here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.connection import text_frame
from volgauge.simulator.dialects import ClientSession
from volgauge.simulator.server import Simulator

BEATS = 5
"""Parts of a step of the market; the connections take turns in them."""
SETTLE_STEPS = 20
"""Without quotes, until nothing that was told before is still on its way."""
MILLI_DIGITS = 13
"""Of an instant of our time; microseconds have three more, nanoseconds six."""
NEAR_MS = 600_000
"""A number so near to the tape's own time is a time stamp."""
HEAD_DIGITS = 6
"""What a search can rely on: they last for three hours."""

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


class Stamps(NamedTuple):
    """The time stamps of one width."""

    digits: int
    at: I64
    """(n,) place of the first digit in the tape, ascending."""
    value: I64
    """(n,) what was recorded: ms, us or ns by the width."""
    bounds: I64
    """(beats + 1,) where those of each beat begin."""


class Part(NamedTuple):
    """What one connection gets in one beat."""

    connection: int
    begin: int
    end: int
    frames: int


class Facts(Struct, frozen=True):
    """What a tape holds."""

    began_ns: int
    """The market's time when it begins."""
    step_ns: int
    venues: list[str]
    """Of each connection."""
    beats: list[list[tuple[int, int, int, int]]]
    """Of the parts that go out in it; each as `Part`."""


class Tape:
    """Bytes to send, and where their time stamps are."""

    def __init__(self, facts: Facts, data: U8) -> None:
        self.facts = facts
        self.data = data
        self._beats = [[Part(*part) for part in beat] for beat in facts.beats]
        edges = _edges(self._beats)
        self._stamps = _find_stamps(data, edges, facts.began_ns // NANOS_PER_MILLI)

    @property
    def beats(self) -> int:
        """So many until it begins anew."""
        return len(self._beats)

    @property
    def beat_seconds(self) -> float:
        """Length of one."""
        return self.facts.step_ns / BEATS / NANOS_PER_SECOND

    @property
    def stamp_count(self) -> int:
        """Time stamps that are moved in one pass."""
        return sum(len(stamps.at) for stamps in self._stamps)

    @property
    def frames(self) -> dict[str, int]:
        """In one pass, by venue."""
        found: Counter[str] = Counter()
        for part in chain.from_iterable(self._beats):
            found[self.facts.venues[part.connection]] += part.frames
        return dict(found)

    def parts(self, beat: int, shift_ms: int) -> Iterator[tuple[Part, bytes]]:
        """What goes out in a beat, its time stamps moved by `shift_ms`."""
        for stamps in self._stamps:
            first, last = stamps.bounds[beat], stamps.bounds[beat + 1]
            if first < last:
                shift = shift_ms * 10 ** (stamps.digits - MILLI_DIGITS)
                _write(self.data, stamps.at[first:last], stamps.value[first:last] + shift)
        for part in self._beats[beat]:
            yield part, self.data[part.begin : part.end].tobytes()

    def write(self, path: Path) -> None:
        """Keep it as it was recorded, however far it has been moved since."""
        for stamps in self._stamps:
            _write(self.data, stamps.at, stamps.value)
        head = msgspec.msgpack.encode(self.facts)
        with path.open("wb") as file:
            file.write(len(head).to_bytes(8, "big") + head)
            self.data.tofile(file)

    @classmethod
    def read(cls, path: Path) -> "Tape":
        """What `write` kept."""
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "big")
            facts = msgspec.msgpack.decode(file.read(length), type=Facts)
            return cls(facts, np.fromfile(file, np.uint8))


def record(
    simulator: Simulator, sessions: Sequence[tuple[str, ClientSession]], rate: float, steps: int
) -> Tape:
    """Let the market run ahead, and keep what the sessions would send.

    Args:
        simulator: Its market, venues and sessions move on.
        sessions: Venue and session of every connection.
        rate: Quotes of the market a second.
        steps: Of the market.

    Raises:
        ValueError: The simulator has no market.
    """
    market = simulator.market
    if market is None:
        raise ValueError("expected the simulated market")
    market.options = replace(market.options, rate=0.0)
    for _ in range(SETTLE_STEPS):
        _advance(simulator)
    for _, session in sessions:
        session.out.clear()
    for dialect in simulator.dialects.values():
        if isinstance(dialect, BybitVenue):
            dialect.restart_books()
    market.options = replace(market.options, rate=rate)
    began_ns = market.now_ns
    data = bytearray()
    beats: list[list[tuple[int, int, int, int]]] = []
    turn = [number * BEATS // len(sessions) for number in range(len(sessions))]
    for _ in range(steps):
        _advance(simulator)
        step: list[list[tuple[int, int, int, int]]] = [[] for _ in range(BEATS)]
        for number, (_, session) in enumerate(sessions):
            if session.out:
                begin = len(data)
                data += b"".join(map(text_frame, session.out))
                step[turn[number]].append((number, begin, len(data), len(session.out)))
                session.out = []
        beats += step
    facts = Facts(began_ns, market.step_ns, [venue for venue, _ in sessions], beats)
    return Tape(facts, np.frombuffer(data, np.uint8))


def _advance(simulator: Simulator) -> None:
    """One step of the market and of all venues."""
    step = simulator.venue.advance()
    for dialect in simulator.dialects.values():
        dialect.advance(step)


def _edges(beats: Sequence[Sequence[Part]]) -> I64:
    """(beats + 1,) where the bytes of each begin; they follow one another."""
    edges = [0]
    for beat in beats:
        edges.append(beat[-1].end if beat else edges[-1])
    return np.array(edges, np.int64)


def _find_stamps(data: U8, edges: I64, near_ms: int) -> list[Stamps]:
    """Every number of 13, 16 or 19 digits that is an instant near the tape's own."""
    heads = {str(near_ms + sign * NEAR_MS)[:HEAD_DIGITS].encode() for sign in (-1, 1)}
    pattern = re.compile(rb"(?<![\d.])(?:%b)\d{7}(?:\d{3}){0,2}(?!\d)" % b"|".join(heads))
    found: dict[int, tuple[list[int], list[int]]] = {}
    text = data.tobytes()
    for match in pattern.finditer(text):
        digits = len(match[0])
        value = int(match[0])
        if abs(value // 10 ** (digits - MILLI_DIGITS) - near_ms) <= NEAR_MS:
            at, values = found.setdefault(digits, ([], []))
            at.append(match.start())
            values.append(value)
    stamps = []
    for digits, (at, values) in sorted(found.items()):
        places = np.array(at, np.int64)
        bounds = np.searchsorted(places, edges)
        stamps.append(Stamps(digits, places, np.array(values, np.int64), bounds))
    return stamps


def _write(data: U8, at: I64, values: I64) -> None:
    """Print numbers over others of the same width."""
    width = len(str(values[0]))
    scale = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    data[at[:, None] + np.arange(width)] = values[:, None] // scale % 10 + ord("0")
