"""Drive the adapters and the engine from a recording: the same program, without sockets.

A recording of ours says the global order itself (`_control`), so the replay applies every frame,
deadline and recompute exactly as the live service did. A foreign recording in the tardis raw
layout has frames only: they are merged by receive time, instruments come from their names, and
the engine recomputes after each frame.
"""

import gzip
import heapq
import io
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec
import zstandard

from volgauge.adapters.base import VenueAdapter, VenueProtocol
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import parse_instant
from volgauge.errors import InputError, VenueError
from volgauge.wire.recorder import CONTROL, RECORDS, SETTINGS, Control

STAMP_LENGTH = 28
JOB_LINES = 20_000
"""Within so many lines of the control series there is a job, if there are any."""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """One received frame; `frame` is None where the connection was lost."""

    venue: str
    connection: str
    received_ns: int
    frame: bytes | None


class Replayable(Protocol):
    """What a replay drives: the engine's two calls that are not events."""

    def timer(self, now_ns: int) -> None:
        """Time passed."""
        ...

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """Recompute what was touched, or only one asset, and hand over what came out."""
        ...


def read_recording(folder: Path) -> Iterator[Recorded]:
    """All frames of a recording, merged by receive time.

    Raises:
        InputError: The folder is no recording, or a line is damaged.
    """
    merged = heapq.merge(
        *(_connection(folder, *names) for names in _connections(folder)),
        key=lambda recorded: recorded.received_ns,
    )
    yield from merged


def is_ours(folder: Path) -> bool:
    """The recording holds the global order, so that the replay is the live program again."""
    return (folder / CONTROL[0]).is_dir()


def has_jobs(folder: Path) -> bool:
    """The recording says when the analytics did their work; the first lines tell.

    Raises:
        InputError: A line is damaged.
    """
    lines = _lines(folder / CONTROL[0] / CONTROL[1])
    return any(b'"op":"job"' in payload for _, payload in islice(lines, JOB_LINES))


def read_settings(folder: Path) -> dict[str, Any] | None:
    """The `index` and `venues` sections that a recording was made with; None without any.

    Raises:
        InputError: They cannot be read.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return None
    try:
        tree: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: {error}") from error
    return tree


def read_records(folder: Path) -> Iterator[bytes]:
    """JSON of every index value that a recording says was published, asset after asset.

    Raises:
        InputError: The folder is no recording, or a line is damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such recording")
    for series in sorted((folder / RECORDS).glob("*")):
        for _, payload in _lines(series):
            yield payload


def replay(
    folder: Path,
    adapters: Mapping[Venue, VenueAdapter],
    target: Replayable,
    on_error: Callable[[VenueError], None],
    on_job: Callable[[int], None] | None = None,
) -> None:
    """Play a recording through the adapters into the engine.

    Args:
        folder: Of the recording.
        adapters: The venues.
        target: The engine.
        on_error: Told of every refused frame.
        on_job: Told where the analytics did one piece of work; None has none.

    Raises:
        InputError: The folder is no recording, a line is damaged or the series do not fit.
    """
    protocols = {
        (adapter.venue, protocol.connection): protocol
        for adapter in adapters.values()
        for protocol in adapter.connections()
    }
    if is_ours(folder):
        _replay_ours(folder, adapters, protocols, target, on_error, on_job or _ignore)
    else:
        _replay_foreign(folder, adapters, target, on_error)


def _replay_ours(
    folder: Path,
    adapters: Mapping[Venue, VenueAdapter],
    protocols: Mapping[tuple[Venue, str], VenueProtocol],
    target: Replayable,
    on_error: Callable[[VenueError], None],
    on_job: Callable[[int], None],
) -> None:
    frames = {names: _connection(folder, *names) for names in _connections(folder)}
    bodies = {path.name: _lines(path) for path in sorted((folder / "_rest").glob("*"))}
    for now_ns, payload in _lines(folder / CONTROL[0] / CONTROL[1]):
        control = msgspec.json.decode(payload, type=Control)
        for venue, connection, count in control.frames:
            protocol = protocols.get((Venue(venue), connection))
            series = frames.get((venue, connection))
            if protocol is None or series is None:
                raise InputError(f"{folder}: no series or no adapter for {venue}/{connection}")
            for _ in range(count):
                recorded = _next_frame(series, folder)
                _apply(protocol, recorded.frame or b"", recorded.received_ns, on_error)
        if control.op == "job":
            on_job(now_ns)
        else:
            _operate(control, now_ns, adapters, protocols, bodies, target, on_error)


def _operate(  # noqa: C901 - a table of six operations
    control: Control,
    now_ns: int,
    adapters: Mapping[Venue, VenueAdapter],
    protocols: Mapping[tuple[Venue, str], VenueProtocol],
    bodies: Mapping[str, Iterator[tuple[int, bytes]]],
    target: Replayable,
    on_error: Callable[[VenueError], None],
) -> None:
    venue = Venue(control.venue)
    match control.op:
        case "flush":
            target.flush(now_ns, Asset(control.asset) if control.asset else None)
        case "timer":
            target.timer(now_ns)
        case "catalog":
            used = {}
            for name in control.names:
                _, line = next(bodies[control.venue])
                found, _, body = line.partition(b" ")
                if found.decode() != name:
                    raise InputError(f"_rest/{venue}: expected {name}, received {found.decode()}")
                used[name] = body
            try:
                adapters[venue].on_catalog(used, now_ns)
            except VenueError as error:
                on_error(error)
        case "start":
            protocols[venue, control.connection].start(now_ns)
        case "timeout":
            try:
                protocols[venue, control.connection].on_timeout(now_ns)
            except VenueError as error:
                on_error(error)
        case "disconnected":
            protocols[venue, control.connection].disconnected(now_ns, control.reason)
        case _:
            raise InputError(f"_control: unknown operation {control.op!r}")
    # Answers have nobody to go to; taking them keeps the protocol's outbox empty, as live.
    for protocol in protocols.values():
        protocol.frames_to_send()


def _replay_foreign(
    folder: Path,
    adapters: Mapping[Venue, VenueAdapter],
    target: Replayable,
    on_error: Callable[[VenueError], None],
) -> None:
    started: dict[tuple[str, str], VenueProtocol] = {}
    last_second = 0
    for recorded in read_recording(folder):
        adapter = adapters.get(Venue(recorded.venue))
        if adapter is None:
            raise InputError(f"{folder}: no adapter for the venue {recorded.venue!r}")
        names = (recorded.venue, recorded.connection)
        if names not in started:
            started[names] = adapter.connections()[0]
            started[names].start(recorded.received_ns)
        if recorded.frame is None:
            started.pop(names).disconnected(recorded.received_ns, "recorded")
        else:
            _apply(started[names], recorded.frame, recorded.received_ns, on_error)
        second = recorded.received_ns // 1_000_000_000
        if second != last_second:
            last_second = second
            target.timer(recorded.received_ns)
        target.flush(recorded.received_ns)


def _apply(
    protocol: VenueProtocol,
    frame: bytes,
    received_ns: int,
    on_error: Callable[[VenueError], None],
) -> None:
    try:
        protocol.receive(frame, received_ns)
    except VenueError as error:
        # Live, the shell ends the session here; the recording's next line says so.
        on_error(error)
    protocol.frames_to_send()


def _ignore(_now_ns: int) -> None:
    """Nobody does the work that is told of."""


def _next_frame(series: Iterator[Recorded], folder: Path) -> Recorded:
    for recorded in series:
        if recorded.frame is not None:
            return recorded
    raise InputError(f"{folder}: the control series names more frames than were recorded")


def _connections(folder: Path) -> list[tuple[str, str]]:
    """(venue, connection) of every series of frames, sorted.

    Raises:
        InputError: There is none.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such recording")
    names = [
        (venue.name, connection.name)
        for venue in sorted(folder.iterdir())
        if venue.is_dir() and not venue.name.startswith("_")
        for connection in sorted(venue.iterdir())
        if connection.is_dir()
    ]
    if not names:
        raise InputError(f"{folder}: expected {{venue}}/{{connection}}/*.jsonl.zst")
    return names


def _connection(folder: Path, venue: str, connection: str) -> Iterator[Recorded]:
    received_ns = 0
    for at_ns, payload in _lines(folder / venue / connection):
        received_ns = at_ns or received_ns
        yield Recorded(venue, connection, received_ns, payload or None)


def _lines(folder: Path) -> Iterator[tuple[int, bytes]]:
    """(instant, payload) of each line; an empty line is (0, b"").

    A slice that was cut short by a crash ends at its last whole line.

    Raises:
        InputError: A line does not start with a time.
    """
    for path in sorted(folder.rglob("*.json*")):
        with path.open("rb") as file:
            for number, line in enumerate(_text_lines(path, file), 1):
                if line == b"\n":
                    yield 0, b""
                    continue
                if not line.endswith(b"\n"):
                    break
                try:
                    at_ns = parse_instant(line[:STAMP_LENGTH].decode())
                except ValueError as error:
                    raise InputError(f"{path}, line {number}: {error}") from error
                yield at_ns, line[STAMP_LENGTH + 1 : -1]


def _text_lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    if path.suffix == ".zst":
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        yield from io.BufferedReader(reader)
    elif path.suffix == ".gz":
        with gzip.open(file) as lines:
            yield from lines
    else:
        yield from file
