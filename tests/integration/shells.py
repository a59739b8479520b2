"""An adapter on real sockets against its simulated venue: what all such tests begin with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from fakes.deribit_lab import Sink
from volgauge.adapters.base import State, VenueAdapter
from volgauge.clock import SystemClock
from volgauge.domain.events import Coverage, InstrumentsExpired, InstrumentsListed
from volgauge.domain.instrument import Asset, Instrument
from volgauge.simulator.quoting import QuoteBook
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection
from volgauge.wire.recorder import Recorder

PATIENCE_SECONDS = 40.0


class Host(Protocol):
    """A simulated venue, as far as all of them are alike."""

    @property
    def contracts(self) -> Mapping[str, tuple[int, int]]:
        """Name to book and slot, of what is listed."""
        ...

    @property
    def books(self) -> Sequence[QuoteBook]:
        """Its quotes."""
        ...


V = TypeVar("V", bound=Host)
A = TypeVar("A", bound=VenueAdapter)


class Shells(Generic[V, A]):
    """An adapter whose shells run, what it tells, and the venue it talks to."""

    def __init__(self, venue: V, adapter: A, sink: Sink) -> None:
        self.venue = venue
        self.adapter = adapter
        self.sink = sink
        self.tasks: list[asyncio.Task[None]] = []
        self.started_seconds = asyncio.get_running_loop().time()

    async def until(self, condition: Callable[[], object], every: float = 0.02) -> None:
        """Wait for a condition, with a deadline."""
        for _ in range(round(PATIENCE_SECONDS / every)):
            if condition():
                return
            for task in self.tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(every)
        sessions = [(p.connection, p.state, dict(p.counts)) for p in self.adapter.connections()]
        raise AssertionError(f"not in time: {sessions}")

    @property
    def listed(self) -> dict[str, tuple[int, Instrument]]:
        """Options by name, with their slots."""
        found: dict[str, tuple[int, Instrument]] = {}
        for event in self.sink.events:
            if isinstance(event, InstrumentsListed):
                pairs = zip(event.instruments, event.slots, strict=True)
                found |= {i.name: (slot, i) for i, slot in pairs}
            elif isinstance(event, InstrumentsExpired):
                gone = set(event.slots)
                found = {n: pair for n, pair in found.items() if pair[0] not in gone}
        return found

    @property
    def newest(self) -> dict[int, tuple[float, ...]]:
        """Bid, ask and sizes by slot."""
        return {quote[0]: quote[1:5] for quote in self.sink.quotes}

    def is_covered(self) -> bool:
        """Every connection lives and has everything it asked for."""
        told = {e.connection: e for e in self.sink.of(Coverage)}
        protocols = self.adapter.connections()
        return (
            all(protocol.state is State.LIVE for protocol in protocols)
            and set(told) == {protocol.connection for protocol in protocols}
            and all(e.requested == e.accepted > 0 for e in told.values())
        )

    def tops(self) -> dict[int, tuple[float, ...]]:
        """What the venue would say now of every option, by our slots; sizes in coins."""
        found = {}
        for name, (slot, _) in self.listed.items():
            place, at = self.venue.contracts[name]
            book = self.venue.books[place]
            numerator, denominator = book.terms.min_amount
            sizes = [
                lots[at] * numerator / denominator if lots[at] else np.nan
                for lots in (book.bid_lots, book.ask_lots)
            ]
            found[slot] = (float(book.bid[at]), float(book.ask[at]), *map(float, sizes))
        return found

    def is_same(self) -> bool:
        """We hold what the venue holds, to the last digit: prices, and sizes behind them."""
        tops, newest = self.tops(), self.newest
        return set(tops) == set(newest) and all(
            np.allclose(newest[slot], tops[slot], rtol=1e-14, atol=0.0, equal_nan=True)
            for slot in tops
        )


S = TypeVar("S", bound=Shells[Any, Any])


@asynccontextmanager
async def connected(
    begin: Callable[[Any, Any, Sink], S],
    make: Callable[..., VenueAdapter],
    options: SimulatorOptions,
    recorder: Recorder | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[S]:
    """A market, one venue on it, its adapter and the shells between them.

    Args:
        begin: What the test knows them by: from the venue, the adapter and its sink.
        make: The adapter, from a sink and settings.
        options: Of the market; names one venue.
        recorder: Gets what is received, if told.
        settings: Of the adapter, beside its addresses.
    """
    (name,) = options.venues
    async with Simulator(options) as simulator:
        sink, clock = Sink(), SystemClock()
        urls = {"ws_url": simulator.ws_url_of(name), "rest_url": simulator.rest_url_of(name)}
        adapter = make(sink, **urls | {"compression": False} | settings)
        run = begin(simulator.dialects[name], adapter, sink)

        def flush() -> None:
            if recorder is not None:
                recorder.flushed(clock.wall_ns())

        catalog = run_catalog(adapter, clock, flush, recorder, jitter=lambda: 0.0)
        run.tasks = [asyncio.create_task(catalog)]
        run.tasks += [
            asyncio.create_task(run_connection(p, clock, flush, recorder, jitter=lambda: 0.1))
            for p in adapter.connections()
        ]
        try:
            yield run
        finally:
            for task in run.tasks:
                task.cancel()
            await asyncio.wait(run.tasks)


class Replayed:
    """What a replay drives besides the adapters: nothing to compute here."""

    def timer(self, now_ns: int) -> None:
        """Time passed."""

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """A burst was over."""
