"""Venues whose load costs next to nothing, for `bench_sockets`.

A process of its own: the simulator with the wires that are named, which is a venue like any other
until it is told to load. Then it only sends what was made before: to each connection the frames of
what that is subscribed to, with the stamps of now. What must be answered is answered throughout:
handshakes, requests, heartbeats, listings. Steered by JSON lines on standard input:

    <- {VENUE: {"ws_url": ..., "rest_url": ...}}    at once
    -> {"do": "count"}
    <- {"channels": n}                              what all connections are subscribed to
    -> {"do": "prepare", "rate": R, "seconds": S}   a copy of ours makes S seconds of R quotes of
    <- {"frames": {VENUE: n}, "bytes": ..., ...}    the market a second, while we go on
    -> {"do": "load", "seconds": S}                 what was made, over and over, when it is due
    <- {"sent": {VENUE: n}, "late_ms": ..., "paused_ms": ..., "unsent_bytes": ...}

Frames are not compressed: of a compressed one no time stamp can be moved.
"""

import asyncio
import contextlib
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator.connection import Connection
from volgauge.simulator.server import TICK_SECONDS, Simulator, SimulatorOptions

from .venue_tape import Tape, record

FIRST = "deribit"
"""The simulator's own wire; the others are its dialects."""
IDLE_RATE = 200.0
"""Quotes of the market a second while nothing is measured."""
LEAD_SECONDS = 0.05
MOST_LATE_SECONDS = 0.1
MOST_UNSENT_BYTES = 64 << 20
"""A service that is so far behind does not carry the load."""


class VenueLoad(Simulator):
    """The simulator, and a tape of what its connections will get."""

    def __init__(self, options: SimulatorOptions, path: Path) -> None:
        super().__init__(options)
        self._path = path
        self._tape: Tape | None = None
        self._taped: list[Connection] = []

    @property
    def channel_count(self) -> int:
        """Subscriptions of all connections."""
        sessions = [connection.session for connection in self._connections]
        return sum(len(getattr(session, "subscriptions", ())) for session in sessions)

    async def prepare(self, rate: float, seconds: float) -> dict[str, Any]:
        """Have a copy of ourselves make a tape, for the connections and subscriptions of now.

        Raises:
            RuntimeError: It failed; it has said why on standard error.
        """
        self._taped = list(self._connections)
        child = os.fork()
        if child == 0:
            self._make_tape(rate, seconds)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        if status:
            raise RuntimeError("no tape was made")
        self._tape = await asyncio.to_thread(Tape.read, self._path)
        return {
            "frames": self._tape.frames,
            "bytes": self._tape.data.nbytes,
            "stamps": self._tape.stamp_count,
            "connections": len(self._taped),
        }

    def _make_tape(self, rate: float, seconds: float) -> NoReturn:
        """In the copy: it has our market, our venues and our sessions, and ends here."""
        status = 1
        try:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
            gc.freeze()
            names = {id(dialect): name for name, dialect in self.dialects.items()}
            sessions = [
                (names.get(id(self._connections[connection]), FIRST), connection.session)
                for connection in self._taped
            ]
            steps = round(seconds * 1e3 / self.options.step_ms)
            record(self, sessions, rate, steps).write(self._path)
            status = 0
        except Exception:  # noqa: BLE001 - the loop of the copy must not go on
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    async def load(self, seconds: float) -> dict[str, Any]:
        """Play the tape; the market stands still but for its clock.

        Raises:
            RuntimeError: Nothing is prepared, or the service is too far behind.
        """
        tape = self._tape
        if tape is None or self._pump is None:
            raise RuntimeError("expected a tape")
        self._pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._pump
        loop = asyncio.get_running_loop()
        began = loop.time() + LEAD_SECONDS
        ahead_ns = time.time_ns() + round(LEAD_SECONDS * NANOS_PER_SECOND) - tape.facts.began_ns
        # What a step has made leaves in the step after it.
        ahead_ms = ahead_ns // NANOS_PER_MILLI - self.options.step_ms
        pass_ms = round(tape.beats * tape.beat_seconds * 1e3)
        sent: Counter[str] = Counter()
        late = paused = ticked = 0.0
        unsent = 0
        for number in range(round(seconds / tape.beat_seconds)):
            due = began + number * tape.beat_seconds
            # Who is behind must not keep the others from being heard, either.
            await asyncio.sleep(max(due - loop.time(), 0.0))
            now = loop.time()
            late = max(late, now - due)
            if now - due > MOST_LATE_SECONDS:
                # The host stood still. What it owes is not poured out at once: all goes on later.
                began += now - due
                ahead_ms += round((now - due) * 1e3)
                paused += now - due
            if now - ticked >= TICK_SECONDS:
                ticked = now
                self.venue.source.skip_to(time.time_ns())
                self._tick(now)
            passes, beat = divmod(number, tape.beats)
            for part, data in tape.parts(beat, ahead_ms + passes * pass_ms):
                transport = self._taped[part.connection]._transport
                if not transport.is_closing():
                    transport.write(data)
                    unsent = max(unsent, transport.get_write_buffer_size())
                    sent[tape.facts.venues[part.connection]] += part.frames
            if unsent > MOST_UNSENT_BYTES:
                raise RuntimeError(f"{unsent:,} bytes of a connection are not taken")
        return {
            "sent": dict(sent),
            "late_ms": late * 1e3,
            "paused_ms": paused * 1e3,
            "unsent_bytes": unsent,
        }

    async def serve(self) -> None:
        """Do what standard input says, until it ends."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        urls = {FIRST: {"ws_url": self.ws_url, "rest_url": self.rest_url}}
        for name in self.dialects:
            urls[name] = {"ws_url": self.ws_url_of(name), "rest_url": self.rest_url_of(name)}
        say(urls)
        while line := await reader.readline():
            command = json.loads(line)
            if command["do"] == "count":
                say({"channels": self.channel_count})
            elif command["do"] == "prepare":
                say(await self.prepare(command["rate"], command["seconds"]))
            else:
                say(await self.load(command["seconds"]))


def say(answer: object) -> None:
    """One line to whoever steers us."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def run(venues: tuple[str, ...]) -> None:
    """Serve until standard input ends."""
    options = SimulatorOptions(venues=venues, rate=IDLE_RATE, compression=False)
    with tempfile.TemporaryDirectory(prefix="volgauge-bench-") as folder:
        async with VenueLoad(options, Path(folder) / "tape") as simulator:
            await simulator.serve()


if __name__ == "__main__":
    asyncio.run(run(tuple(sys.argv[1:])))
