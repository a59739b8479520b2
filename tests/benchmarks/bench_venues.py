"""Every venue beside the others: its frames, an asset's books put together, and all of it at once.

Four units of work, all on frames that the simulator's dialects make of one seeded market:

    frame        decode, normalise and write one frame, by the adapter that gets it
    recompute    `Engine.recompute` after one quote, headline tenor only, with one book and with all
    end to end   five venues and four assets at 20,000 frames a second
    roll         the same through 08:00 UTC, when hundreds of options expire and are listed at once

The last two have no sockets: two cores carry the service or five venues that speak, not both. The
frames are made first, seconds at a time, and a process of its own takes them when they are due, as
the shells would hand them over (`venue_player.py`). What a socket costs is in `bench_e2e`.
"""

import gc
import os
import re
import statistics
import sys
import tempfile
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant

from . import measure
from .measure import Sample
from .processes import Child
from .report import Options, Report
from .venue_wire import ALL_VENUES, DERIBIT, Frame, Operation, Wire, quotes_of, refused

DECODE_RATE = 2_000.0
DECODE_SECONDS = 1
LARGEST_TO_DERIBIT = 4.0
"""Of a venue's hot frame, a quote."""
CURRENCIES = ("BTC", "ETH", "SOL_USDC", "XRP_USDC")
LOAD_RATE = 3_900.0
"""Quotes of the market a second from which the venues make 20,000 frames."""
LEAST_LOAD = 20_000.0
CHUNK_SECONDS = 4
CHUNKS, QUICK_CHUNKS, FULL_CHUNKS = 8, 2, 150
LARGEST_DRIFT_MS = 10.0
"""A queue that grows by 1 % for a second is as long."""
LARGEST_GROWTH = 0.05
"""Of the memory, from the end of the first seconds to the end of the last."""
ANSWER_SECONDS = 900.0
"""Of wall time, on a core that others use: some seconds where nobody else does."""
ROLL_NS = parse_instant("2026-05-26T08:00:00Z")
ROLL_RATE = 500.0
"""Quotes of the market a second, 5,000 frames: a load that leaves room."""
BEFORE_ROLL_SECONDS, AFTER_ROLL_SECONDS = 12, 24
"""New options come after 13 s, and some venues are asked for theirs after 20 s."""
ROLL_LEAD_SECONDS = 32
"""To connect, and for the seconds before."""
LONGEST_MS = 30.0
"""CPU time in which nobody else has a turn: a listing of a thousand options takes effect."""
LARGEST_ROLL = 2.0
"""p99 through the roll, of that before."""
SHARES = (0.5, 0.99)


class Kind(Struct, frozen=True):
    """One type of frame."""

    name: str
    venue: str
    pattern: re.Pattern[bytes]
    row: bytes = b""
    """What each option of a frame of many begins with, or each level of a book."""
    per_quote: int = 1
    """So many of them are worth a quote: a quote has two levels."""
    is_hot: bool = True
    """It quotes one option, and comes as often as that changes."""


KINDS = (
    Kind("deribit quote", "deribit", re.compile(rb'"channel":"quote\.[^"]+-[CP]"')),
    Kind("okx bbo-tbt", "okx", re.compile(rb'"channel":"bbo-tbt"')),
    Kind("okx tickers", "okx", re.compile(rb'"channel":"tickers"')),
    Kind(
        "okx opt-summary", "okx", re.compile(rb'"channel":"opt-summary"'), b'"instId"',
        is_hot=False,
    ),
    Kind("bybit tickers", "bybit", re.compile(rb'^\{"topic":"tickers\.')),
    # The simulated maker moves its whole ladder; recorded deltas have few levels.
    Kind(
        "bybit orderbook.25 delta", "bybit", re.compile(rb'^\{"topic":"orderbook.*"delta"'), b'["',
        per_quote=2,
    ),
    Kind("binance bookTicker", "binance", re.compile(rb'@bookTicker"')),
    Kind(
        "binance optionMarkPrice", "binance", re.compile(rb'@optionMarkPrice"'), b'"e":"markPrice"',
        is_hot=False,
    ),
    Kind("derive ticker_slim", "derive", re.compile(rb'"channel":"ticker_slim\.')),
    # As many options as have changed at once: the gate is on what each of them takes.
    Kind(
        "aevo book-ticker", "aevo", re.compile(rb'"channel":"book-ticker:'), b'"instrument_name"'
    ),
    Kind(
        "aevo ticker-500ms", "aevo", re.compile(rb'"channel":"ticker-500ms:'),
        b'"instrument_name"', is_hot=False,
    ),
    # The type of a frame stands at its end; what it begins with is its own.
    Kind("delta l1_orderbook", "delta", re.compile(rb'^\{"ask_qty":')),
    Kind("delta v2/ticker", "delta", re.compile(rb'^\{"close":'), is_hot=False),
)  # fmt: skip
YARDSTICK = KINDS[0]
HEAD_BYTES = 160
"""The kind of a frame stands in front."""


def run(options: Options) -> Report:
    """Time the frames, the recompute and the whole."""
    report = Report("venues", f"{len(ALL_VENUES)} venues: their frames, their books, their load")
    wire = Wire(ALL_VENUES, ("BTC",), DECODE_RATE)
    wire.connect(12)
    measure.pin(measure.cores()[0])
    try:
        _time_frames(wire, report, options)
        _time_recompute(wire, report, options)
    finally:
        measure.unpin()
    del wire
    gc.collect()
    _load(report, options)
    gc.collect()
    _roll(report, options)
    return report


def kind_of(venue: str, frame: bytes) -> Kind | None:
    """Which type a frame is of; None of those that are not timed."""
    head = frame[:HEAD_BYTES]
    for kind in KINDS:
        if kind.venue == venue and kind.pattern.search(head):
            return kind
    return None


def _time_frames(wire: Wire, report: Report, options: Options) -> None:
    times: defaultdict[Kind, list[float]] = defaultdict(list)
    counts: Counter[Kind] = Counter()
    rows: Counter[Kind] = Counter()
    sizes: Counter[Kind] = Counter()
    quotes: dict[Kind, float] = {}
    """Worth of a frame."""
    before = refused(wire.adapters)
    # The first second warms up.
    for turn in range(options.rounds + 1):
        frames = _make(wire, DECODE_SECONDS)
        by_kind: defaultdict[Kind | None, list[Frame]] = defaultdict(list)
        for frame in frames:
            by_kind[kind_of(wire.links[frame[0]].venue, frame[2])].append(frame)
        gc.collect()
        gc.disable()
        try:
            found = {kind: _receive(wire, batch) for kind, batch in by_kind.items()}
        finally:
            gc.enable()
        wire.serve()
        wire.engine.recompute(wire.market.now_ns)
        for kind, took_ns in found.items():
            if kind is not None and turn:
                batch = by_kind[kind]
                times[kind].append(took_ns / len(batch))
                counts[kind] += len(batch)
                sizes[kind] += sum(len(frame) for *_, frame in batch)
                rows[kind] += sum(frame.count(kind.row) if kind.row else 1 for *_, frame in batch)
    for kind in KINDS:
        if not counts[kind]:
            raise RuntimeError(f"{kind.name}: no frame came")
        sample = Sample(tuple(times[kind]))
        per_frame = rows[kind] / counts[kind] / kind.per_quote
        quotes[kind] = per_frame
        report.add(
            f"{kind.name}: a frame", sample.median_ns, "ns",
            f"MAD {sample.mad_ns:.0f}  {sizes[kind] / counts[kind]:,.0f} bytes  "
            f"{per_frame:,.0f} quote(s), {sample.median_ns / per_frame:,.0f} ns each",
        )  # fmt: skip
    report.gate(
        "frames: refused, or a gap", float(refused(wire.adapters) - before), "at most", 0.0,
        hard=True,
    )  # fmt: skip
    yardstick = Sample(tuple(times[YARDSTICK]))
    for kind in KINDS[1:]:
        if kind.is_hot:
            ratio = measure.ratio(Sample(tuple(times[kind])), yardstick).value
            report.gate(
                f"{kind.name} / {YARDSTICK.name}, a quote", ratio / quotes[kind], "at most",
                LARGEST_TO_DERIBIT, quick=options.quick,
            )  # fmt: skip


def _make(wire: Wire, seconds: int) -> list[Frame]:
    frames: list[Frame] = []
    for _ in range(seconds * NANOS_PER_SECOND // wire.market.step_ns):
        frames += wire.advance()
    return frames


def _receive(wire: Wire, frames: Sequence[Frame]) -> int:
    """CPU nanoseconds that the adapters take for these frames, in order; strangers do not count."""
    handlers = [link.protocol.receive for link in wire.links]
    batch = [(handlers[number], frame, at_ns) for number, at_ns, frame in frames]
    began_ns = time.thread_time_ns()
    for handle, frame, at_ns in batch:
        handle(frame, at_ns)
    return time.thread_time_ns() - began_ns


def _time_recompute(wire: Wire, report: Report, options: Options) -> None:
    alone = Wire((DERIBIT,), ("BTC",), DECODE_RATE)
    alone.connect(12)
    candidates = {"one": _recompute(alone), "all": _recompute(wire)}
    found = measure.interleave(candidates, options.rounds)
    for name, case in (("one", alone), ("all", wire)):
        sample = found[name]
        books = sum(len(case.engine.sink(venue).books) for venue in case.adapters)
        report.add(
            f"recompute, {books} book(s)", sample.median_ns / 1e3, "us",
            f"MAD {sample.mad_ns / 1e3:.2f}  a quote of one option, headline only",
        )  # fmt: skip
    report.add("recompute, all books / one", measure.ratio(found["all"], found["one"]).value, "x")


def _recompute(wire: Wire) -> Callable[[], int]:
    """One quote written again, and what follows from it, at one instant: no other tenor is due."""
    engine, now_ns = wire.engine, wire.market.now_ns
    engine.recompute(now_ns)
    by_venue = [list(quotes_of(engine, [venue])) for venue in wire.adapters]
    # The venues take turns, as their ticks do.
    turns = cycle(
        (engine.sink(Venue(venue)), slot)
        for place in range(max(map(len, by_venue)))
        for quotes in by_venue
        for venue, slot in [quotes[place % len(quotes)]]
    )
    batch = 100

    def call() -> int:
        for _ in range(batch):
            sink, slot = next(turns)
            bid, ask, bid_size, ask_size, stamp, _ = sink.table.read(slot)
            sink.quote(slot, bid, ask, bid_size, ask_size, stamp, now_ns)
            engine.recompute(now_ns)
        return batch

    return call


def _load(report: Report, options: Options) -> None:
    """Make the frames here, have them taken by another process, chunk after chunk."""
    if not hasattr(os, "sched_getaffinity"):
        report.skip("load: memory and cores are read as Linux shows them")
        return
    operations: list[Operation] = []
    wire = Wire(ALL_VENUES, CURRENCIES, LOAD_RATE, operations)
    wire.connect(12)
    latencies: list[int] = []
    answers: list[dict[str, Any]] = []
    by_venue: defaultdict[str, list[int]] = defaultdict(list)
    drifts: list[float] = []
    with tempfile.TemporaryDirectory(prefix="volgauge-bench-") as folder, _player() as player:
        path = Path(folder) / "operations"
        _hand_over(operations, path)
        warm = player.ask({"do": "warm", "file": str(path)}, ANSWER_SECONDS)
        chunks = QUICK_CHUNKS if options.quick else FULL_CHUNKS if options.full else CHUNKS
        for _ in range(chunks):
            for _ in range(CHUNK_SECONDS * NANOS_PER_SECOND // wire.market.step_ns):
                wire.deliver(wire.advance())
            venues = [wire.links[o.link].venue for o in operations if o.kind == "frame"]
            _hand_over(operations, path)
            answers.append(player.ask({"do": "play", "file": str(path)}, ANSWER_SECONDS))
            taken = array("q")
            taken.frombytes(path.read_bytes())
            latencies += taken
            for venue, latency in zip(venues, taken, strict=True):
                by_venue[venue].append(latency)
            third = len(taken) // 3
            drifts.append(
                (statistics.median(taken[-third:]) - statistics.median(taken[:third])) / 1e6
            )
    _judge(report, options, warm, answers, latencies, drifts)
    for venue, found in sorted(by_venue.items()):
        p50, p99 = measure.percentiles(found, SHARES)
        report.add(
            f"load: {venue}: due to encoded, p50", p50 / 1e6, "ms",
            f"p99 {p99 / 1e6:.2f}  {len(found):,} frames",
        )  # fmt: skip


def _player() -> Child:
    """The process that takes the frames."""
    root = Path(__file__).resolve().parents[(__package__ or "").count(".") + 1]
    command = [sys.executable, "-m", f"{__package__}.venue_player", *ALL_VENUES]
    return Child(command, core=measure.cores()[0], environment={"PYTHONPATH": str(root)})


def _roll(report: Report, options: Options) -> None:
    """Latencies of the seconds before 08:00 and of those in which chains change."""
    if not hasattr(os, "sched_getaffinity"):
        return
    operations: list[Operation] = []
    start_ns = ROLL_NS - ROLL_LEAD_SECONDS * NANOS_PER_SECOND
    wire = Wire(ALL_VENUES, CURRENCIES, ROLL_RATE, operations, start_ns)
    wire.connect(12)
    while wire.market.now_ns < ROLL_NS - BEFORE_ROLL_SECONDS * NANOS_PER_SECOND:
        wire.deliver(wire.advance())
    found: dict[bool, list[int]] = {False: [], True: []}
    refusals = 0.0
    longest: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="volgauge-bench-") as folder, _player() as player:
        path = Path(folder) / "operations"
        _hand_over(operations, path)
        player.ask({"do": "warm", "file": str(path)}, ANSWER_SECONDS)
        while wire.market.now_ns < ROLL_NS + AFTER_ROLL_SECONDS * NANOS_PER_SECOND:
            is_after = wire.market.now_ns >= ROLL_NS
            for _ in range(CHUNK_SECONDS * NANOS_PER_SECOND // wire.market.step_ns):
                wire.deliver(wire.advance())
            _hand_over(operations, path)
            answer = player.ask({"do": "play", "file": str(path)}, ANSWER_SECONDS)
            refusals += answer["refused"]
            for kind, took_ns in answer["longest"].items():
                if is_after:
                    longest[kind] = max(longest.get(kind, 0), took_ns)
            taken = array("q")
            taken.frombytes(path.read_bytes())
            found[is_after] += taken
    (p50, p99), (late50, late99) = (
        measure.percentiles(found[is_after], SHARES) for is_after in (False, True)
    )
    report.add(
        "roll: due to encoded before, p99", p99 / 1e6, "ms",
        f"p50 {p50 / 1e6:.2f}  {len(found[False]):,} frames",
    )  # fmt: skip
    report.add(
        "roll: due to encoded through it, p99", late99 / 1e6, "ms",
        f"p50 {late50 / 1e6:.2f}  worst {max(found[True]) / 1e6:.1f}  "
        f"{len(found[True]):,} frames, {refusals:.0f} refused",
    )  # fmt: skip
    for kind, took_ns in sorted(longest.items()):
        report.add(f"roll: longest {kind}", took_ns / 1e6, "ms", "CPU time in one stretch")
    report.gate(
        "roll: longest stretch, ms", max(longest.values()) / 1e6, "at most", LONGEST_MS,
        quick=options.quick,
    )  # fmt: skip
    report.gate(
        "roll: p99 through it / before", late99 / p99, "at most", LARGEST_ROLL,
        quick=options.quick,
    )  # fmt: skip


def _hand_over(operations: list[Operation], path: Path) -> None:
    path.write_bytes(msgspec.msgpack.encode(operations))
    operations.clear()


def _judge(
    report: Report,
    options: Options,
    warm: dict[str, Any],
    answers: list[dict[str, Any]],
    latencies: list[int],
    drifts: list[float],
) -> None:
    def total(name: str) -> float:
        return float(sum(answer[name] for answer in answers))

    seconds = total("span_ns") / 1e9
    p50, p99 = measure.percentiles(latencies, SHARES)
    rate = total("frames") / seconds
    about = f"{len(ALL_VENUES)} venues, {warm['assets']} assets, {warm['books']} books"
    report.add("load: frames", rate, "1/s", f"{about}, in process, no sockets, {seconds:.0f} s")
    report.add(
        "load: due to encoded, p50", p50 / 1e6, "ms",
        f"p99 {p99 / 1e6:.2f}  worst {max(latencies) / 1e6:.1f}  "
        f"busy {total('busy_ns') / total('span_ns'):.0%}, "
        f"{total('busy_ns') / total('frames') / 1e3:.1f} us/frame",
    )  # fmt: skip
    report.add(
        "load: records of the headline", total("records") / seconds, "1/s",
        f"merged ticks {total('merged'):,.0f}, "
        f"{total('bytes') / seconds / 1e6:.1f} MB/s of JSON",
    )  # fmt: skip
    first, last = answers[0]["rss"], answers[-1]["rss"]
    report.add(
        "load: memory, warm", warm["rss"] / 1e6, "MB",
        f"after {CHUNK_SECONDS} s {first / 1e6:.1f}, after {seconds:.0f} s {last / 1e6:.1f}",
    )  # fmt: skip
    report.gate("load: frames a second", rate, "at least", LEAST_LOAD, quick=options.quick)
    report.gate(
        "load: assets without OK and three venues",
        float(warm["assets"] - min(_sound(answer) for answer in answers)),
        "at most", 0.0, hard=True,
    )  # fmt: skip
    report.gate("load: refused, or a gap", total("refused"), "at most", 0.0, hard=True)
    report.gate(
        "load: growth of the queue, ms", statistics.median(drifts), "at most", LARGEST_DRIFT_MS,
        quick=options.quick,
    )  # fmt: skip
    report.gate(
        "load: growth of the memory", last / first - 1.0, "at most", LARGEST_GROWTH,
        quick=options.quick,
    )  # fmt: skip


def _sound(answer: dict[str, Any]) -> int:
    """Assets whose last headline was OK and rested on three books or more."""
    return min(int(answer["ok"]), sum(len(books) >= 3 for books in answer["venues"].values()))
