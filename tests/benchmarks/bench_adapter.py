"""Decode, normalise and write one quote frame: against a bare typed decode, and against cryptofeed.

Unit of work: `DeribitProtocol.receive` of one simulated quote frame, down to the row in the
QuoteTable and the engine's count of ticks. The yardstick is a decode into the types below, which
say the whole frame as the venue documents it and are not the adapter's: what the adapter leaves out
is its gain.

cryptofeed is neither a dependency nor a development dependency of ours: it is found in the
interpreter that VOLGAUGE_BENCH_PEERS names, else in `.venv-bench/bin/python`, and compared in a
process of its own. To install it:

    python3 -m venv .venv-bench && .venv-bench/bin/pip install 'cryptofeed>=2.4'
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.adapters.deribit.plan import HOT
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import parse_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.settings import IndexSettings, VenueSettings
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.prerender import catalog_body, render_frames

from . import measure
from .measure import Sample
from .report import Options, Report

NOW_NS = parse_instant("2026-05-26T10:00:00Z")
VENUE = Venue("deribit")
FRAMES = 4_000
LARGEST_TO_DECODE = 2.5
LEAST_TO_CRYPTOFEED = 3.5
PEER_VARIABLE = "VOLGAUGE_BENCH_PEERS"
PEER_PYTHON = Path(__file__).resolve().parents[2] / ".venv-bench" / "bin" / "python"
PEER_SCRIPT = Path(__file__).with_name("peer_cryptofeed.py")


class QuoteData(Struct, frozen=True, gc=False):
    """What a quote says."""

    timestamp: int
    instrument_name: str
    best_ask_price: float | None
    best_bid_price: float | None
    best_ask_amount: float
    best_bid_amount: float


class Params(Struct, frozen=True, gc=False):
    """Of the notification."""

    channel: str
    data: QuoteData


class Frame(Struct, frozen=True, gc=False):
    """The whole frame."""

    jsonrpc: str
    method: str
    params: Params


class Case:
    """The adapter with a listed simulated market, and frames for it."""

    def __init__(self, frame_count: int) -> None:
        market = Market(MarketOptions(seed=7, currencies=("BTC",), start_ns=NOW_NS, rate=5_000.0))
        self.engine = Engine(
            IndexSettings(), source=Source.SIMULATED, version="", venues={VENUE: VenueRules()}
        )
        self.sink: VenueSink = self.engine.sink(VENUE)
        adapter = DeribitAdapter(VenueSettings(assets=(Asset("BTC"),)), self.sink)
        bodies = {r.name: catalog_body(market, r.path) for r in adapter.catalog_requests()}
        adapter.on_catalog(bodies, NOW_NS)
        self.listing = bodies["BTC.option"]
        self.protocol = next(p for p in adapter.connections() if p.connection == HOT)
        self.protocol.start(NOW_NS)
        self.frames = render_frames(market, frame_count)
        self.two_sided = [
            frame for frame in self.frames if b"null" not in frame and b'amount":0.0' not in frame
        ]

    def receive(self, frames: list[bytes]) -> Callable[[], int]:
        """Our handler over these frames."""
        handle = self.protocol.receive

        def call() -> int:
            for frame in frames:
                handle(frame, NOW_NS)
            return len(frames)

        return call

    def decode(self, frames: list[bytes]) -> Callable[[], int]:
        """The bare typed decode."""
        decode = msgspec.json.Decoder(Frame).decode

        def call() -> int:
            for frame in frames:
                decode(frame)
            return len(frames)

        return call


def run(options: Options) -> Report:
    """Compare, time, gate."""
    case = Case(FRAMES)
    size = sum(map(len, case.frames)) / len(case.frames)
    report = Report("adapter", f"one quote frame of {size:.0f} bytes into the table")
    case.receive(case.frames)()
    written = sum(1 for slot in range(len(case.sink.table.quotes)) if case.sink.table.read(slot)[5])
    quoted = len({frame.partition(b'"data":')[0] for frame in case.frames})
    report.gate(
        "quotes: share of the quoted options written", written / quoted, "at least", 1.0, hard=True
    )
    measure.pin(measure.cores()[0])
    try:
        _time(case, report, options)
    finally:
        measure.unpin()
    return report


def _time(case: Case, report: Report, options: Options) -> None:
    peers: list[float] = []
    ours = {
        "receive": case.receive(case.frames),
        "decode": case.decode(case.frames),
        "two": case.receive(case.two_sided),
    }
    with _peer(case, report) as peer:

        def ask_peer() -> None:
            if peer is not None:
                peers.append(peer())

        samples = measure.interleave(ours, options.rounds, ask_peer)
    if peers:
        samples["peer"] = Sample(tuple(peers))
    receive, decode = samples["receive"], samples["decode"]
    report.add(
        "receive: decode, normalise, write", receive.median_ns, "ns", f"MAD {receive.mad_ns:.0f}"
    )
    report.add("decode alone, msgspec", decode.median_ns, "ns", f"MAD {decode.mad_ns:.0f}")
    if "peer" in samples:
        handler = samples["peer"]
        report.add("receive, two-sided quotes", samples["two"].median_ns, "ns")
        report.add(
            "cryptofeed, the same quotes", handler.median_ns, "ns", f"MAD {handler.mad_ns:.0f}"
        )
    report.gate(
        "receive / decode alone", measure.ratio(receive, decode).value, "at most",
        LARGEST_TO_DECODE, quick=options.quick,
    )  # fmt: skip
    if "peer" in samples:
        report.gate(
            "cryptofeed / receive", measure.ratio(samples["peer"], samples["two"]).value,
            "at least", LEAST_TO_CRYPTOFEED, quick=options.quick,
        )  # fmt: skip


@contextmanager
def _peer(case: Case, report: Report) -> Iterator[Callable[[], float] | None]:
    """Time cryptofeed in its own process; a call handles all two-sided frames, ns a frame.

    Only two-sided ones: its handler raises on an absent side.
    """
    python = Path(os.environ.get(PEER_VARIABLE) or PEER_PYTHON)
    if not python.exists():
        report.skip(f"cryptofeed: no interpreter {python.name}; {PEER_VARIABLE} names one")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="volgauge-bench-") as folder:
        frames, listing = Path(folder, "frames"), Path(folder, "listing")
        frames.write_bytes(b"\n".join(case.two_sided))
        listing.write_bytes(case.listing)
        command = [python, PEER_SCRIPT, frames, listing]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        ) as process:
            try:
                yield _ask(process, report)
            finally:
                process.kill()


def _ask(process: "subprocess.Popen[str]", report: Report) -> Callable[[], float] | None:
    """Wait until the peer is ready; None, with the reason noted, when it cannot be."""
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("expected pipes")
    to_peer, from_peer = process.stdin, process.stdout
    ready = from_peer.readline().split()
    if not ready:
        why = process.stderr.read().strip().splitlines()
        report.skip(f"cryptofeed: {why[-1] if why else 'ended at once'}")
        return None
    count = int(ready[2])
    report.add("cryptofeed", float(count), "frames", f"version {ready[1]}")

    def call() -> float:
        to_peer.write("go\n")
        to_peer.flush()
        return int(from_peer.readline()) / count

    return call
