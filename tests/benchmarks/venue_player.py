"""The service's inner loop over several venues at the pace of its CPU time, for `bench_venues`.

A process of its own, so that its memory and its core are those of the adapters, the engine and the
encoder alone. Steered by JSON lines on standard input, answering on standard output:

    -> {"do": "warm", "file": FILE}     what entered the adapters so far, as fast as it goes
    <- {"assets": 4, "books": 20}
    -> {"do": "play", "file": FILE}     the next seconds, each input when it is due by CPU time
    <- {"frames": ..., "latencies_ns": FILE, "merged": ..., ...}

The loop does what `app.py` does between two sockets: it takes every input that is due, then
recomputes each asset that was touched, then encodes what came out. The inputs of a step of the
simulator are spread evenly over the step. A latency is from when an input was due until the records
that include it are encoded.
"""

import gc
import json
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from volgauge import kernels
from volgauge.adapters.base import ReadsAhead, VenueProtocol
from volgauge.domain.index import IndexValue, Source, Status
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.index.evidence import EvidenceKeeper
from volgauge.pipeline import build_pipeline
from volgauge.publish.record import encode
from volgauge.wire import garbage

from . import measure
from .venue_wire import Operation, read_operations, refused, settings_for

STEP_NS = 5 * NANOS_PER_MILLI
"""Of the simulated market."""
TIMER_NS = 100 * NANOS_PER_MILLI
BURST = 64
"""Inputs of a connection taken at most before a recompute, as the shells of `wire/feed.py` do."""
EVIDENCE_BYTES = 8_000_000
"""Small, so that it is full before memory is measured."""
HEADLINE_DAYS = 30.0
AHEAD_NS = 250 * NANOS_PER_MILLI
"""So long before a listing counts its bodies have come; they are read in pieces meanwhile."""
LARGE_BYTES = 10_000
"""A frame of a whole chain is a stretch of its own."""


class Player:
    """Adapters, engine and encoder."""

    def __init__(self, venues: list[str]) -> None:
        evidence = EvidenceKeeper(
            max_bytes=EVIDENCE_BYTES, keep_ns=300 * NANOS_PER_SECOND, engine="benchmark"
        )
        self.engine, self.adapters = build_pipeline(
            settings_for(venues), Source.SIMULATED, evidence=evidence
        )
        self.protocols: list[VenueProtocol] = []
        """By number of the link."""
        self.newest_ns = 0
        self.told_ns = 0
        self.records = self.merged = self.bytes = 0
        self.last: dict[str, IndexValue] = {}
        self.longest: dict[str, int] = {}
        """CPU nanoseconds of the longest stretch in which nobody else had a turn, by its kind."""

    def apply(self, operation: Operation, now_ns: int) -> None:
        """Do one thing that entered the adapters."""
        if operation.kind == "frame":
            self.protocols[operation.link].receive(operation.frame, now_ns)
        elif operation.kind == "timeout":
            self.protocols[operation.link].on_timeout(now_ns)
        elif operation.kind == "start":
            found = {p.connection: p for p in self.adapters[Venue(operation.venue)].connections()}
            self.protocols.append(found[operation.connection])
            found[operation.connection].start(now_ns)
        else:
            self.adapters[Venue(operation.venue)].on_catalog(operation.bodies, now_ns)
        if operation.kind != "frame":
            # Nobody is there to take the answers: the venues have had them from our twin.
            for protocol in self.protocols:
                protocol.frames_to_send()

    def flush(self, now_ns: int) -> None:
        """Recompute, and encode what is to be published."""
        if now_ns - self.told_ns >= TIMER_NS:
            self.told_ns = now_ns
            self.engine.timer(now_ns)
        while (asset := self.engine.longest_waiting()) is not None:
            began_ns = time.thread_time_ns()
            for record in self.engine.recompute(now_ns, asset):
                self.bytes += len(encode(record))
                if isinstance(record, IndexValue) and record.tenor_days == HEADLINE_DAYS:
                    self.records += 1
                    self.merged += record.ticks_merged
                    self.last[record.asset] = record
            self.note("recompute", time.thread_time_ns() - began_ns)

    def note(self, kind: str, took_ns: int) -> None:
        """One stretch."""
        self.longest[kind] = max(self.longest.get(kind, 0), took_ns)

    def take(self, operation: Operation) -> None:
        """Do one thing at the instant of our twin; what is long is a stretch to be noted."""
        kind = operation.kind
        if kind == "frame" and len(operation.frame) < LARGE_BYTES:
            self.apply(operation, operation.at_ns)
            return
        began_ns = time.thread_time_ns()
        self.apply(operation, operation.at_ns)
        self.note(kind, time.thread_time_ns() - began_ns)

    def read_ahead(self, operation: Operation) -> Iterator[None]:
        """The pieces of a listing."""
        adapter = self.adapters[Venue(operation.venue)]
        if isinstance(adapter, ReadsAhead):
            pieces = adapter.read_ahead(operation.bodies, operation.at_ns)
            while True:
                began_ns = time.thread_time_ns()
                if next(pieces, self) is self:
                    return
                self.note("piece of a catalog", time.thread_time_ns() - began_ns)
                yield

    def warm(self, operations: list[Operation]) -> dict[str, Any]:
        """Catch up with the venues; kernels are compiled before."""
        kernels.warm()
        for operation in operations:
            self.apply(operation, operation.at_ns)
            if operation.at_ns - self.newest_ns >= TIMER_NS:
                self.newest_ns = operation.at_ns
                self.flush(operation.at_ns)
        garbage.settle()
        books = sum(len(self.engine.sink(venue).books) for venue in self.adapters)
        return {"assets": len(self.engine.assets), "books": books}

    def play(self, operations: list[Operation], latencies: "array[int]") -> dict[str, Any]:
        """Take every input when it is due; appends nanoseconds to `latencies`, one a frame."""
        due = spread(operations)
        self.records = self.merged = self.bytes = 0
        before = refused(self.adapters)
        # What others take of this core is not ours; and while nothing is due no time passes.
        clock = time.thread_time_ns
        busy_ns = 0
        offset_ns = operations[0].at_ns - STEP_NS - clock()
        burst = BURST * len(self.protocols)
        self.longest = {}
        listings = deque(o for o in operations if o.kind == "catalog")
        pieces: Iterator[None] | None = None
        place, count, frames, flushes = 0, len(operations), 0, 0
        while place < count:
            now_ns = clock() + offset_ns
            if pieces is None and listings and listings[0].at_ns - now_ns < AHEAD_NS:
                pieces = self.read_ahead(listings.popleft())
            if pieces is not None and next(pieces, self) is self:
                pieces = None
            if due[place] > now_ns:
                if pieces is None:
                    offset_ns += due[place] - now_ns
                continue
            first = place
            while place < count and due[place] <= now_ns and place - first < burst:
                if operations[place].kind == "catalog" and pieces is not None:
                    # The shell lets a listing count when all of it was read.
                    deque(pieces, maxlen=0)
                    pieces = None
                # At the instant of our twin: what it asked for and when is what was answered.
                self.take(operations[place])
                place += 1
                if operations[place - 1].kind == "catalog":
                    # A turn of its own.
                    break
            self.newest_ns = max(now_ns, self.newest_ns, operations[place - 1].at_ns)
            self.flush(self.newest_ns)
            flushes += 1
            done_ns = clock() + offset_ns
            busy_ns += done_ns - now_ns
            for number in range(first, place):
                if operations[number].kind == "frame":
                    frames += 1
                    latencies.append(done_ns - due[number])
        return {
            "frames": frames, "flushes": flushes, "records": self.records, "merged": self.merged,
            "bytes": self.bytes, "busy_ns": busy_ns,
            "span_ns": operations[-1].at_ns - operations[0].at_ns + STEP_NS,
            "refused": refused(self.adapters) - before,
            "venues": {a: sorted(v for v, told in r.venues.items() if told.state == "in")
                       for a, r in self.last.items()},
            "longest": self.longest,
            "ok": sum(r.status is Status.OK for r in self.last.values()),
        }  # fmt: skip


def spread(operations: list[Operation]) -> list[int]:
    """When each is due: the inputs of a step lie evenly in it."""
    found: list[int] = []
    first = 0
    while first < len(operations):
        at_ns = operations[first].at_ns
        last = first
        while last < len(operations) and operations[last].at_ns == at_ns:
            last += 1
        gap = STEP_NS / (last - first)
        found += [at_ns - STEP_NS + int(number * gap) for number in range(last - first)]
        first = last
    return found


def main() -> None:
    """Serve until standard input ends."""
    player = Player(sys.argv[1:])
    measure.pin(measure.cores()[0])
    for line in sys.stdin:
        command = json.loads(line)
        path = Path(command["file"])
        operations = read_operations(path.read_bytes())
        if command["do"] == "warm":
            answer = player.warm(operations)
        else:
            latencies = array("q")
            gc.collect()
            answer = player.play(operations, latencies)
            path.write_bytes(latencies.tobytes())
        del operations
        gc.collect()
        answer["rss"] = measure.resident_bytes()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
