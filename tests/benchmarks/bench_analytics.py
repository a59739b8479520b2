"""What the analytics cost: share of a core, and what the index's ticks feel of it.

Unit of work: ten simulated seconds of 1,000 quote updates a second over eight assets, BTC and ETH
on five option books each and six others on two, 900 options and 11 expiries a book; the index's
timer every 100 ms, a job of the analytics every 5 ms while one is due, the records encoded as for
Redis. Durations are CPU time of this thread, so that other work on the machine counts for little.
The wait of a tick is that of a queue: updates come every millisecond, and one server does
everything in turn.
"""

import random
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
from msgspec import Struct

from volgauge import kernels
from volgauge.analytics.desk import Desk, Part
from volgauge.domain.events import (
    IndexPrice,
    InstrumentsListed,
    OpenInterest,
    PerpetualState,
    TradedVolume,
)
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.publish.record import encode
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings
from volgauge.simulator.board import Board
from volgauge.simulator.market import Market, MarketOptions

from .report import Options, Report

NOW_NS = parse_instant("2026-05-26T10:00:00Z")
SEED = 7
ASSETS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "BNB", "AVAX")
WIDE = 5
"""Books of the first two assets."""
NARROW = 2
UPDATE_NS = NANOS_PER_MILLI
TIMER_NS = 100 * NANOS_PER_MILLI
SECONDS = 10
QUICK_SECONDS = 4
WARM_SECONDS = 2
LARGEST_SHARE = 0.05
LEAST_READINGS = 9.5
"""A second and asset: the surface is published ten times."""
LARGEST_P99_RATIO = 1.1
TAKES = 20_000


class Run(Struct):
    """One run of the clock; durations in ns."""

    latencies: list[float]
    """Of each update: from its coming to the end of its recompute and hand-over."""
    job_ns: float = 0.0
    encode_ns: float = 0.0
    jobs: list[float] = []
    """Each job with the encoding of its records."""
    looks: int = 0
    records: int = 0
    readings: int = 0
    """Records of single assets."""


def run(options: Options) -> Report:
    """Run with the analytics and without, gate the share and the ratio."""
    kernels.warm()
    report = Report("analytics", "8 assets, 22 option books, 1,000 updates a second")
    seconds = QUICK_SECONDS if options.quick else SECONDS
    clocks = off, on = _Clock(analytics=False), _Clock(analytics=True)
    for clock in clocks:
        clock.play(WARM_SECONDS)
    # In turns, so that what else the machine does falls on both; the median second counts.
    runs = [(off.play(1), on.play(1)) for _ in range(seconds)]
    without, played = zip(*runs, strict=True)
    shares = {
        "jobs": median(run.job_ns for run in played) / 1e9,
        "encoding": median(run.encode_ns for run in played) / 1e9,
        "noting records": on.take_ns() / UPDATE_NS,
    }
    for name, share in shares.items():
        report.add(f"{name}, share of a core", 100.0 * share, "%")
    report.add("records of the analytics", sum(run.records for run in played) / seconds, "/s")
    jobs = [job for run in played for job in run.jobs]
    looks = sum(run.looks for run in played) / seconds
    report.add("jobs", len(jobs) / seconds, "/s", f"{looks:.0f} looks for one")
    p50, p99 = np.quantile(jobs, (0.5, 0.99)) / 1e3
    report.add("one job, p50", p50, "us")
    report.add("one job, p99", p99, "us")
    tails = []
    for name, made in (("without", without), ("with", played)):
        p50, p99 = (median(np.quantile(run.latencies, q) for run in made) for q in (0.5, 0.99))
        report.add(f"tick {name} analytics, p50", p50 / 1e3, "us")
        report.add(f"tick {name} analytics, p99", p99 / 1e3, "us")
        tails.append(p99)
    report.gate("all analytics, share of a core", sum(shares.values()), "at most", LARGEST_SHARE)
    readings = sum(run.readings for run in played) / seconds / len(ASSETS)
    report.gate("readings of an asset a second", readings, "at least", LEAST_READINGS)
    ratio = tails[1] / tails[0]
    report.gate("tick p99 with / without", ratio, "at most", LARGEST_P99_RATIO, quick=options.quick)
    return report


class _Clock:
    """An engine on simulated quotes, with a desk or without."""

    def __init__(self, *, analytics: bool) -> None:
        market = Market(MarketOptions(seed=SEED, currencies=("BTC",), start_ns=NOW_NS))
        for _ in range(50):
            market.advance()
        self._board = market.boards[0]
        names = [Venue(f"venue{number}") for number in range(WIDE)]
        index = IndexSettings()
        self._engine = Engine(
            index,
            source=Source.SIMULATED,
            version="bench",
            venues={name: VenueRules(stale_after_ns=None) for name in names},
        )
        self._sinks = [self._engine.sink(name) for name in names]
        self._desk = (
            Desk(
                AnalyticsSettings(),
                AlertSettings(),
                index,
                Source.SIMULATED,
                {name: self._engine.sink(name) for name in names},
            )
            if analytics
            else None
        )
        self._places: list[tuple[VenueSink, int, int]] = []
        """(sink, slot, option of the board) of every quote there is."""
        self._now_ns = market.now_ns
        self._look_ns = 0
        self._newest: list[IndexValue] = []
        for number, sink in enumerate(self._sinks):
            assets = [a for place, a in enumerate(ASSETS) if number < (WIDE, NARROW)[place > 1]]
            for asset in assets:
                self._list(sink, Asset(asset))
        random.Random(SEED).shuffle(self._places)  # noqa: S311 - repeatable, not secret

    def take_ns(self) -> float:
        """CPU time of noting one headline record."""
        desk = self._desk
        if desk is None:
            return 0.0
        records = self._newest
        began = time.thread_time_ns()
        for number in range(TAKES):
            desk.take(records[number % len(records)])
        return (time.thread_time_ns() - began) / TAKES

    def play(self, seconds: int) -> Run:
        """So many seconds of quotes; the first ones of a clock are for it to settle."""
        made = Run([])
        free_ns = 0.0
        steps = seconds * NANOS_PER_SECOND // UPDATE_NS
        for step in range(steps):
            self._now_ns += UPDATE_NS
            came_ns = float(step * UPDATE_NS)
            if self._now_ns % TIMER_NS == 0:
                free_ns = max(free_ns, came_ns) + self._tick()
            if self._desk is not None and self._now_ns >= self._look_ns:
                late_ns = max(0.0, free_ns - came_ns)
                free_ns = max(free_ns, came_ns) + self._job(self._desk, made, round(late_ns))
            sink, slot, option = self._places[step * 7919 % len(self._places)]
            spent_ns = self._update(sink, slot, option)
            free_ns = max(free_ns, came_ns) + spent_ns
            made.latencies.append(free_ns - came_ns)
        return made

    def _tick(self) -> float:
        """What the service does at its timer; how long it took."""
        began = time.thread_time_ns()
        self._engine.timer(self._now_ns)
        self._recompute()
        return float(time.thread_time_ns() - began)

    def _job(self, desk: Desk, made: Run, late_ns: int) -> float:
        """One look for work, and one job if there is any; how long it took."""
        began = time.thread_time_ns()
        job = desk.next_job(self._now_ns, late_ns=late_ns)
        self._look_ns = self._now_ns + desk.pause_ns(self._now_ns)
        made.looks += 1
        if job is None:
            spent_ns = time.thread_time_ns() - began
            made.job_ns += spent_ns
            return float(spent_ns)
        records = job.run()
        desk.take_frozen()
        encoding = time.thread_time_ns()
        for record in records:
            encode(record)
        ended = time.thread_time_ns()
        made.job_ns += encoding - began
        made.encode_ns += ended - encoding
        made.records += len(records)
        made.readings += job.part is Part.SURFACE
        made.jobs.append(float(ended - began))
        return float(ended - began)

    def _update(self, sink: VenueSink, slot: int, option: int) -> float:
        began = time.thread_time_ns()
        self._quote(sink, slot, option)
        self._recompute()
        return float(time.thread_time_ns() - began)

    def _recompute(self) -> None:
        for record in self._engine.recompute(self._now_ns):
            if isinstance(record, IndexValue) and record.tenor_days == 30.0:
                encode(record)
                self._newest = [*self._newest[-7:], record]
            if self._desk is not None and isinstance(record, IndexValue | SurfaceValue):
                self._desk.take(record)

    def _quote(self, sink: VenueSink, slot: int, option: int) -> None:
        board = self._board
        sink.quote(
            slot,
            float(board.bid[option]),
            float(board.ask[option]),
            float(board.bid_size[option]),
            float(board.ask_size[option]),
            self._now_ns,
            self._now_ns,
        )

    def _list(self, sink: VenueSink, asset: Asset) -> None:
        board, now_ns = self._board, self._now_ns
        first = sum(len(book.slots) for book in sink.books.values())
        slots = tuple(range(first, first + len(board.options)))
        venue = sink.venue
        sink.event(
            InstrumentsListed(
                venue=venue,
                received_ns=now_ns,
                slots=slots,
                instruments=tuple(_instruments(board, venue, asset)),
            )
        )
        ones = tuple(1.0 + place % 97 for place in range(len(slots)))
        sink.event(OpenInterest(venue=venue, received_ns=now_ns, slots=slots, amounts=ones))
        sink.event(TradedVolume(venue=venue, received_ns=now_ns, slots=slots, amounts=ones))
        price = float(np.nanmean(board.future_bid))
        sink.event(
            IndexPrice(
                venue=venue,
                received_ns=now_ns,
                asset=asset,
                quote_currency="USD",
                price=price,
                exchange_ns=now_ns,
            )
        )
        sink.event(
            PerpetualState(
                venue=venue,
                received_ns=now_ns,
                asset=asset,
                quote_currency="USD",
                funding_rate=0.0001,
                open_interest=1e4,
                exchange_ns=now_ns,
            )
        )
        for option, slot in enumerate(slots):
            self._quote(sink, slot, option)
            self._places.append((sink, slot, option))


def _instruments(board: Board, venue: Venue, asset: Asset) -> Sequence[Instrument]:
    terms = board.terms
    return [
        Instrument(
            venue=venue,
            name=f"{asset}-{option.name}",
            asset=asset,
            expiry_ns=option.expiry.expiry_ns,
            strike=option.strike,
            kind=OptionKind.CALL if option.is_call else OptionKind.PUT,
            premium=Premium.COIN,
            quote_currency="USD",
            tick_size=terms.tick_size,
            tick_above=terms.tick_above * terms.tick_size,
            tick_step=terms.tick_multiple * terms.tick_size,
        )
        for option in board.options
    ]
