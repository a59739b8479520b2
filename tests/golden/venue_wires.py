"""Every simulated venue before the adapters and the engine, without sockets: simulated time.

Frames and bodies pass as bytes between the venues' sessions and the protocols, in the order and at
the instants of the market's steps; so hours of all venues' wires take minutes, and the same seed
gives the same records.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from volgauge.adapters.base import State, VenueAdapter, VenueProtocol
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.index.evidence import EvidenceKeeper
from volgauge.pipeline import build_pipeline
from volgauge.settings import IndexSettings, Settings, VenueSettings, VenuesSettings
from volgauge.simulator.dialects import ClientSession, PingingSession, RoutedDialect
from volgauge.simulator.server import REST_PATH, WS_PATH, Simulator, SimulatorOptions
from volgauge.simulator.session import Credits, Session, Timing

HOST = "ws://simulated"
FIRST = "deribit"
"""The venue that the simulator always has."""
TICK_STEPS = 5
"""Of the market, between two looks at the time limits of the sessions and two recomputes."""
RETRY_NS = NANOS_PER_SECOND
RECEIVED_OK = 200


class Trouble(Struct, frozen=True):
    """A session that ended, or a request that was refused."""

    venue: str
    at_ns: int
    what: str


class _Line:
    """One connection of an adapter."""

    def __init__(self, protocol: VenueProtocol) -> None:
        self.protocol = protocol
        self.session: ClientSession | None = None
        self.retry_ns = 0


class Wires:
    """The venues, an adapter for each, and the engine behind them."""

    def __init__(
        self,
        options: SimulatorOptions,
        assets: tuple[str, ...],
        index: IndexSettings | None = None,
        evidence: EvidenceKeeper | None = None,
    ) -> None:
        self.simulator = Simulator(options)
        self.troubles: list[Trouble] = []
        self.sent: Counter[str] = Counter()
        """Frames from us, by venue and connection."""
        self.asked: defaultdict[str, list[int]] = defaultdict(list)
        """Instants of the REST requests, by venue."""
        venues = {
            name: VenueSettings(
                assets=assets,
                ws_url=HOST + path,
                rest_url=f"http://simulated{rest}",
            )
            for name, path, rest in self._places()
        }
        disabled = {FIRST: VenueSettings(enabled=False)} if FIRST not in venues else {}
        settings = Settings(
            index=index or IndexSettings(), venues=VenuesSettings(**venues, **disabled)
        )
        self.engine, self.adapters = build_pipeline(settings, Source.SIMULATED, evidence=evidence)
        self._lines = {
            name: [_Line(protocol) for protocol in adapter.connections()]
            for name, adapter in self.adapters.items()
        }
        self._credits = Credits()
        self._opened = 0
        self._steps = 0

    @property
    def now_ns(self) -> int:
        """The market's clock, and ours."""
        return self.simulator.venue.source.now_ns

    def run(self, seconds: float) -> Iterator[IndexValue]:
        """Let time pass; the values that come out."""
        until_ns = self.now_ns + round(seconds * NANOS_PER_SECOND)
        while self.now_ns < until_ns:
            yield from self.step()

    def step(self) -> list[IndexValue]:
        """One step of the market, and all that follows from it."""
        simulator = self.simulator
        step = simulator.venue.advance()
        for dialect in simulator.dialects.values():
            dialect.advance(step)
        self._steps += 1
        now_ns = self.now_ns
        is_tick = self._steps % TICK_STEPS == 0
        if is_tick:
            for dialect in simulator.dialects.values():
                dialect.tick((now_ns - simulator.start_ns) / NANOS_PER_SECOND)
        records = []
        for name, adapter in self.adapters.items():
            if adapter.catalog_due_ns <= now_ns:
                self._fetch(name, adapter, now_ns)
            for line in self._lines[name]:
                self._pass(name, line, now_ns, is_tick=is_tick)
        if is_tick:
            self.engine.timer(now_ns)
            records = self.recompute(now_ns)
        return records

    def recompute(self, now_ns: int) -> list[IndexValue]:
        """The values of an instant."""
        return [r for r in self.engine.recompute(now_ns) if isinstance(r, IndexValue)]

    def _places(self) -> Iterator[tuple[str, str, str]]:
        """Name, path of the websocket and of the REST interface of each venue."""
        yield FIRST, WS_PATH, REST_PATH
        for name, dialect in self.simulator.dialects.items():
            yield name, dialect.ws_path, dialect.rest_path

    def _fetch(self, name: Venue, adapter: VenueAdapter, now_ns: int) -> None:
        bodies = {}
        try:
            for request in adapter.catalog_requests():
                self.asked[name].append(now_ns)
                path, _, query = request.path.partition("?")
                status, body = self._answer(name, path, dict(parse_qsl(query)), now_ns)
                if status != RECEIVED_OK:
                    raise adapter.catalog_error(status, body)
                bodies[request.name] = body
            adapter.on_catalog(bodies, now_ns)
        except VenueError as error:
            self.troubles.append(Trouble(name, now_ns, f"catalog: {error}"))

    def _answer(
        self, name: str, path: str, params: dict[str, str], now_ns: int
    ) -> tuple[int, bytes]:
        if name != FIRST:
            return self.simulator.dialects[name].answer(path, params)
        self._credits.charge(path, now_ns / NANOS_PER_SECOND)
        api = self.simulator.api
        return RECEIVED_OK, api.envelope(None, api.call(path, params))

    def _open(self, name: str, url: str, now_seconds: float) -> ClientSession:
        self._opened += 1
        if name == FIRST:
            return Session(self.simulator.api, Timing(), now_seconds, self._opened)
        dialect = self.simulator.dialects[name]
        parts = urlsplit(url)
        if isinstance(dialect, RoutedDialect):
            route = parts.path.removeprefix(dialect.ws_path)
            return dialect.open_route(
                route, dict(parse_qsl(parts.query)), now_seconds, self._opened
            )
        return dialect.open(now_seconds, self._opened)

    def _pass(self, name: str, line: _Line, now_ns: int, *, is_tick: bool) -> None:
        """What this connection has to say in both directions."""
        protocol, now_seconds = line.protocol, now_ns / NANOS_PER_SECOND
        if line.session is None:
            if protocol.state is State.SPARE or now_ns < line.retry_ns:
                return
            line.session = self._open(name, protocol.url, now_seconds)
            protocol.start(now_ns)
        session = line.session
        if is_tick:
            session.tick(now_seconds)
            if isinstance(session, PingingSession) and session.take_ping(now_seconds) is not None:
                session.pong(now_seconds)
        try:
            frames, session.out = session.out, []
            for frame in frames:
                protocol.receive(frame, now_ns)
            if protocol.next_timeout_ns is not None and protocol.next_timeout_ns <= now_ns:
                protocol.on_timeout(now_ns)
        except VenueError as error:
            self._end(name, line, now_ns, str(error))
            return
        for frame in protocol.frames_to_send():
            self.sent[f"{name}/{protocol.connection}"] += 1
            session.receive(frame, now_seconds)
        if session.closing is not None:
            self._end(name, line, now_ns, f"closed: {session.closing}")
        elif protocol.state is State.SPARE:
            session.close()
            line.session = None

    def _end(self, name: str, line: _Line, now_ns: int, why: str) -> None:
        assert line.session is not None
        self.troubles.append(Trouble(name, now_ns, f"{line.protocol.connection}: {why}"))
        line.session.close()
        line.session = None
        line.retry_ns = now_ns + RETRY_NS
        line.protocol.disconnected(now_ns, "closed")


def most_in(instants: list[int], window_ns: int) -> int:
    """Largest number of instants, in order, that lie within a window."""
    first, most = 0, 0
    for last, at_ns in enumerate(instants):
        while at_ns - instants[first] >= window_ns:
            first += 1
        most = max(most, last - first + 1)
    return most


STEP_MS = 10
STEP_NS = STEP_MS * NANOS_PER_MILLI
