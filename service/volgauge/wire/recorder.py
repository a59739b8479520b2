"""Write everything that enters the service to disk, so that a replay is the same program.

Layout of a recording (the tardis raw layout, plus two series of ours):

    {folder}/{venue}/{connection}/2026-11-21T08-00.jsonl.zst   one line a frame, minute slices
    {folder}/_rest/{venue}/...                                  one line a REST body
    {folder}/_control/control/...                               the global order
    {folder}/_control/settings                                  JSON of what the frames follow from
    {folder}/_records/{asset}/...                               one line a published index value

A line is a 28-character ISO-8601 receive time (100 ns), a space, the payload. An empty line in a
connection's series is a disconnect. The control series says what was done with what was received:
each line names how many frames of which connection came before it (`frames`), in order, and then
the operation. Nothing here reads a clock; every time is handed in.
"""

import asyncio
import io
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.errors import ConfigError

FLUSH_SECONDS = 1.0
"""A crash loses at most this much; each flush is a whole zstd frame."""
COMPRESSION_LEVEL = 3
CONTROL = ("_control", "control")
SETTINGS = "_control/settings"
RECORDS = "_records"


class Control(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the control series."""

    op: str
    """`start`, `timeout`, `disconnected`, `catalog`, `timer`, `job` or `flush`."""
    frames: tuple[tuple[str, str, int], ...] = ()
    """Runs of (venue, connection, count) received since the line before, in order."""
    venue: str = ""
    connection: str = ""
    names: tuple[str, ...] = ()
    """`catalog`: the REST bodies used, in order."""
    reason: str = ""
    asset: str = ""
    """`flush`: the one that was recomputed; none is all that were touched."""


class Recorder:
    """Collects lines in memory; `run` writes them from a thread, once a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending: defaultdict[tuple[str, str, int], bytearray] = defaultdict(bytearray)
        self._runs: list[list[Any]] = []
        self._bodies: defaultdict[str, list[str]] = defaultdict(list)
        self._lock = asyncio.Lock()
        self.written_bytes = 0
        self.failed_writes = 0

    def settings(self, tree: Mapping[str, Any]) -> None:
        """Keep what decides which frames are asked for and how they are read; before the first.

        Raises:
            ConfigError: The folder cannot be written.
        """
        path = self._folder / SETTINGS
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.format(msgspec.json.encode(tree)))
        except OSError as error:
            raise ConfigError(f"recorder.path: {error}") from error

    def frame(self, venue: str, connection: str, received_ns: int, frame: bytes) -> None:
        """Keep one frame as it came; a line break inside it becomes a space."""
        self._line(venue, connection, received_ns, frame)
        if self._runs and self._runs[-1][0] == venue and self._runs[-1][1] == connection:
            self._runs[-1][2] += 1
        else:
            self._runs.append([venue, connection, 1])

    def rest(self, venue: str, name: str, received_ns: int, body: bytes) -> None:
        """Keep one REST body; `catalog` says later that it was used."""
        self._line("_rest", venue, received_ns, name.encode() + b" " + body)
        self._bodies[venue].append(name)

    def catalog(self, venue: str, now_ns: int) -> None:
        """The bodies kept since the last call were handed to the adapter."""
        self._control(now_ns, "catalog", venue=venue, names=tuple(self._bodies.pop(venue, ())))

    def started(self, venue: str, connection: str, now_ns: int) -> None:
        """A session began."""
        self._control(now_ns, "start", venue=venue, connection=connection)

    def timed_out(self, venue: str, connection: str, now_ns: int) -> None:
        """The protocol's deadline was served."""
        self._control(now_ns, "timeout", venue=venue, connection=connection)

    def disconnected(self, venue: str, connection: str, now_ns: int, reason: str) -> None:
        """A session ended."""
        minute = now_ns // NANOS_PER_MINUTE
        self._pending[venue, connection, minute] += b"\n"
        self._control(now_ns, "disconnected", venue=venue, connection=connection, reason=reason)

    def published(self, asset: str, now_ns: int, record: bytes) -> None:
        """Keep one index value, so that a replay can be held against it."""
        self._line(RECORDS, asset, now_ns, record)

    def timer(self, now_ns: int) -> None:
        """The engine was told the time."""
        self._control(now_ns, "timer")

    def job(self, now_ns: int) -> None:
        """The analytics did one piece of work."""
        self._control(now_ns, "job")

    def flushed(self, now_ns: int, asset: str = "") -> None:
        """The engine recomputed this asset; "" is all that were touched."""
        self._control(now_ns, "flush", asset=asset)

    async def run(self) -> None:
        """Write once a second until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Append what has gathered to the slices, off the loop."""
        async with self._lock:
            pending, self._pending = self._pending, defaultdict(bytearray)
            if pending:
                await asyncio.to_thread(self._append, pending)

    def _append(self, pending: dict[tuple[str, str, int], bytearray]) -> None:
        compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
        for (group, series, minute), lines in pending.items():
            name = f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H-%M}.jsonl.zst"
            path = self._folder / group / series / name
            data = compressor.compress(bytes(lines))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    file.write(data)
            except OSError:
                # A full disk must not stop the index; the loss is counted and shown as a metric.
                self.failed_writes += 1
            else:
                self.written_bytes += len(data)

    def _line(self, group: str, series: str, at_ns: int, payload: bytes) -> None:
        if b"\n" in payload:
            payload = payload.replace(b"\n", b" ")
        buffer = self._pending[group, series, at_ns // NANOS_PER_MINUTE]
        buffer += stamp(at_ns) + b" " + payload + b"\n"

    def _control(
        self,
        now_ns: int,
        op: str,
        venue: str = "",
        connection: str = "",
        names: tuple[str, ...] = (),
        reason: str = "",
        asset: str = "",
    ) -> None:
        runs = tuple((run[0], run[1], run[2]) for run in self._runs)
        self._runs.clear()
        line = Control(op, runs, venue, connection, names, reason, asset)
        self._line(*CONTROL, now_ns, msgspec.json.encode(line))


def stamp(at_ns: int) -> bytes:
    """`2026-11-21T08:00:00.0000000Z`: 28 characters, 100 ns."""
    seconds, nanos = divmod(at_ns, NANOS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos // 100:07d}Z".encode()


def write_recording(folder: Path, lines: "dict[tuple[str, str], list[tuple[int, bytes]]]") -> None:
    """Write whole series at once, e.g. a foreign capture converted to our layout.

    Args:
        folder: Root of the recording.
        lines: (group, series) to lines of (received_ns, payload), in order.
    """
    for (group, series), rows in lines.items():
        by_minute: defaultdict[int, io.BytesIO] = defaultdict(io.BytesIO)
        for at_ns, payload in rows:
            text = stamp(at_ns) + b" " + payload.replace(b"\n", b" ") + b"\n"
            by_minute[at_ns // NANOS_PER_MINUTE].write(text)
        for minute, buffer in by_minute.items():
            name = f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H-%M}.jsonl.zst"
            path = folder / group / series / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(buffer.getvalue())
            )
