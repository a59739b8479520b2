"""Simulated venues joined to our adapters without sockets, in the market's own time.

One seeded market, one dialect a venue, every connection that the adapters ask for. What a session
sends is handed to its protocol in the same step, and the answers go back; so a run is the same to
the last byte on every machine, and whoever times the adapters does not pay for the venues.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec.structs import replace

from volgauge.adapters.base import State, VenueAdapter, VenueProtocol
from volgauge.domain.index import Source
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.errors import ConfigError
from volgauge.index.engine import Engine
from volgauge.pipeline import VENUES, build_pipeline
from volgauge.settings import Settings, VenueSettings, VenuesSettings
from volgauge.simulator import venue as deribit
from volgauge.simulator.dialects import DIALECTS, ClientSession, RoutedDialect
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.public_api import PublicApi
from volgauge.simulator.session import Session, Timing

START_NS = parse_instant("2026-05-26T10:00:00Z")
SEED = 7
DERIBIT = "deribit"
ALL_VENUES = (DERIBIT, *DIALECTS)
WARM_RATE = 500.0
TICK_STEPS = 50
"""Steps between two looks at the sessions' time limits."""
LONGEST_CONNECT_SECONDS = 30
HTTP_OK = 200

Frame = tuple[int, int, bytes]
"""Number of the link, receipt in ns, what came."""


class Link(NamedTuple):
    """One connection: our end and the venue's."""

    venue: str
    protocol: VenueProtocol
    session: ClientSession


class Operation(msgspec.Struct, array_like=True, gc=False):
    """One thing that entered the adapters."""

    kind: str
    """`catalog`, `start`, `timeout` or `frame`."""
    at_ns: int
    link: int = -1
    """Number of the connection; they are counted as they start."""
    frame: bytes = b""
    venue: str = ""
    """Of a `catalog`, of a `start`."""
    connection: str = ""
    """Of a `start`."""
    bodies: dict[str, bytes] = {}
    """Of a `catalog`."""


read_operations: Callable[[bytes], list[Operation]] = msgspec.msgpack.Decoder(
    list[Operation]
).decode


def settings_for(venues: Sequence[str]) -> Settings:
    """These venues with everything that they list; the others disabled.

    Raises:
        ConfigError: A venue is unknown.
    """
    unknown = set(venues) - set(VENUES)
    if unknown:
        raise ConfigError(f"expected names of {', '.join(VENUES)}, received {sorted(unknown)}")
    chosen = {
        name: VenueSettings(enabled=name in venues, assets=())
        for name in VenuesSettings.__struct_fields__
    }
    return Settings(venues=VenuesSettings(**chosen))


def refused(adapters: Mapping[Venue, VenueAdapter]) -> int:
    """Frames, and parts of frames, that the adapters could not use so far; not rows of listings."""
    return sum(
        count
        for adapter in adapters.values()
        for protocol in adapter.connections()
        for name, count in protocol.counts.items()
        if name == "gaps" or (name.startswith("rejected.") and ".listing_" not in name)
    )


class Wire:
    """The market, the venues, the adapters, and an engine behind them."""

    def __init__(
        self,
        venues: Sequence[str],
        currencies: Sequence[str],
        rate: float,
        operations: list[Operation] | None = None,
        start_ns: int = START_NS,
    ) -> None:
        """List everything and open every connection.

        Args:
            venues: Of ALL_VENUES.
            currencies: Books of the market.
            rate: Quotes of the market a second, once connected.
            operations: Gets everything that enters the adapters, in order.
            start_ns: When the market begins; it rolls at 08:00 UTC.
        """
        self.rate = rate
        self.market = Market(
            MarketOptions(
                seed=SEED, currencies=tuple(currencies), start_ns=start_ns, rate=WARM_RATE
            )
        )
        self.engine: Engine
        self.engine, self.adapters = build_pipeline(settings_for(venues), Source.SIMULATED)
        self._note = _forget if operations is None else operations.append
        self._first = deribit.Venue(self.market)
        self._api = PublicApi(self._first, lambda *_: [])
        self._dialects = {
            name: make(self.market, SEED) for name, make in DIALECTS.items() if name in venues
        }
        self._steps = 0
        self._read_catalogs()
        self.links = [
            Link(name, protocol, self._open(name, protocol, number))
            for number, (name, protocol) in enumerate(
                (name, protocol)
                for name, adapter in self.adapters.items()
                for protocol in adapter.connections()
                if protocol.state is not State.SPARE
            )
        ]
        for number, link in enumerate(self.links):
            now_ns, connection = self.market.now_ns, link.protocol.connection
            self._note(Operation("start", now_ns, number, venue=link.venue, connection=connection))
            link.protocol.start(now_ns)
            self._answer(link)

    def connect(self, least_seconds: int) -> None:
        """Let the market's time pass until every connection is live, and at least so long.

        Raises:
            RuntimeError: One does not come up.
        """
        waiting: list[Link] = []
        for second in range(LONGEST_CONNECT_SECONDS):
            waiting = [link for link in self.links if link.protocol.state is not State.LIVE]
            if not waiting and second >= least_seconds:
                break
            for _ in range(NANOS_PER_SECOND // self.market.step_ns):
                self.deliver(self.advance())
            self.engine.timer(self.market.now_ns)
            self.engine.recompute(self.market.now_ns)
        else:
            names = [(link.venue, link.protocol.connection) for link in waiting]
            raise RuntimeError(f"not live after {LONGEST_CONNECT_SECONDS} s: {names}")
        self.market.options = replace(self.market.options, rate=self.rate)

    def advance(self) -> list[Frame]:
        """One step of the market: the frames that it makes, which nobody has read yet."""
        step = self._first.advance()
        for dialect in self._dialects.values():
            dialect.advance(step)
        self._steps += 1
        now_ns = self.market.now_ns
        frames: list[Frame] = []
        for number, link in enumerate(self.links):
            session = link.session
            if self._steps % TICK_STEPS == 0:
                session.tick(now_ns / NANOS_PER_SECOND)
            if session.closing is not None:
                raise RuntimeError(f"{link.venue} hangs up: {session.closing}")
            if session.out:
                frames += [(number, now_ns, frame) for frame in session.out]
                session.out = []
        return frames

    def deliver(self, frames: Sequence[Frame]) -> None:
        """Hand frames to their protocols, and do what is due by now."""
        for number, at_ns, frame in frames:
            self._note(Operation("frame", at_ns, number, frame))
            self.links[number].protocol.receive(frame, at_ns)
        self.serve()

    def serve(self) -> None:
        """Deadlines, answers and listings that are due by now."""
        now_ns = self.market.now_ns
        for number, link in enumerate(self.links):
            due_ns = link.protocol.next_timeout_ns
            if due_ns is not None and due_ns <= now_ns:
                self._note(Operation("timeout", now_ns, number))
                link.protocol.on_timeout(now_ns)
            self._answer(link)
        self._read_catalogs()

    def _answer(self, link: Link) -> None:
        for frame in link.protocol.frames_to_send():
            link.session.receive(frame, self.market.now_ns / NANOS_PER_SECOND)

    def _open(self, venue: str, protocol: VenueProtocol, number: int) -> ClientSession:
        now_seconds = self.market.now_ns / NANOS_PER_SECOND
        if venue == DERIBIT:
            return Session(self._api, Timing(), now_seconds, SEED)
        dialect = self._dialects[venue]
        if isinstance(dialect, RoutedDialect):
            url = urlsplit(protocol.url)
            return dialect.open_route(url.path, dict(parse_qsl(url.query)), now_seconds, number)
        return dialect.open(now_seconds, number)

    def _read_catalogs(self) -> None:
        now_ns = self.market.now_ns
        for venue, adapter in self.adapters.items():
            # A listing of several pages asks for the next one at once.
            while adapter.catalog_due_ns <= now_ns:
                bodies = {r.name: self._get(venue, r.path) for r in adapter.catalog_requests()}
                self._note(Operation("catalog", now_ns, venue=venue, bodies=bodies))
                adapter.on_catalog(bodies, now_ns)

    def _get(self, venue: str, target: str) -> bytes:
        path, _, query = target.partition("?")
        params = dict(parse_qsl(query))
        if venue == DERIBIT:
            return self._api.envelope(None, self._api.call(path, params))
        status, body = self._dialects[venue].answer(path, params)
        if status != HTTP_OK:
            raise RuntimeError(f"{venue}: {path} is answered with {status}")
        return body


def _forget(_: Operation) -> None:
    pass


def quotes_of(engine: Engine, venues: Sequence[str]) -> Iterator[tuple[str, int]]:
    """(venue, slot) of every option that is quoted now, venue after venue."""
    for venue in venues:
        sink = engine.sink(Venue(venue))
        for book in sink.books.values():
            for slot in book.slots:
                if sink.table.read(slot)[5]:
                    yield venue, slot
