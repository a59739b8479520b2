"""Delta without sockets: its own listing on the market's state, and frames for who subscribes.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MICRO, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import delta
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import Step, crosses
from volgauge.simulator.delta import Row
from volgauge.simulator.delta_board import NoonBook
from volgauge.simulator.delta_rest import DeltaRest
from volgauge.simulator.delta_session import (
    ANNOUNCEMENTS,
    INDICES,
    TICKERS,
    TOPS,
    Channel,
    DeltaSession,
)
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.quoting import QuotingStyle
from volgauge.simulator.window import Window

LATENCY_NS = 14 * NANOS_PER_MILLI
PACE_NS = 100 * NANOS_PER_MILLI
REFRESH_TICKS = 50
"""What is the same is sent again after so many paces, and tickers come this often: 5 s."""
INDEX_NS = NANOS_PER_SECOND
WINDOW_NS = 300 * NANOS_PER_SECOND
CONNECTIONS, REQUESTS = 150, 3_300
"""In the window, of one address: websockets, and GETs at a cost of 3 of 10,000."""
TOO_MANY = (1013, "429")
MAINTENANCE_NOTICE_SECONDS = 1.0
STYLE = QuotingStyle(half_spread_ticks=2.0, half_spread_ratio=0.018, mid_noise=0.3, max_lots=6_000)


class DeltaVenue:
    """Implements Dialect."""

    ws_path = "/delta/ws"
    rest_path = "/delta"

    def __init__(self, market: Market, seed: int, style: QuotingStyle = STYLE) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.families = delta.families_of(market.boards)
        self.books = [
            NoonBook(market, family.number, family.terms, style, [seed, 16, place])
            for place, family in enumerate(self.families)
        ]
        boards = [book.board for book in self.books]
        self._listed = Names(boards, lambda place, slot: delta.option_name(boards[place], slot))
        self.names = self._listed.of
        """By family and slot."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._audience = Audience[Channel, DeltaSession](LATENCY_NS)
        self._changed: list[set[int]] = [set() for _ in self.families]
        """Slots that changed since their last push."""
        self._asked = Window(REQUESTS, WINDOW_NS)
        self._opened = Window(CONNECTIONS, WINDOW_NS / NANOS_PER_SECOND)
        self._rest = DeltaRest(self)
        for book in self.books:
            book.quote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> int:
        """The venue's clock in microseconds, with the skew that is being injected."""
        return self.market.now_ns // NANOS_PER_MICRO + round(self.faults.clock_skew_ms * 1e3)

    def is_allowed(self) -> bool:
        """Count a request; all clients share loopback's address."""
        return self._asked.take(self.market.now_ns)

    def open(self, now_seconds: float, number: int) -> DeltaSession:
        """Begin a client's session."""
        del number
        session = DeltaSession(self, now_seconds)
        is_one_too_many = self._opened.wait(now_seconds) > 0.0
        self._opened.count(now_seconds)
        if is_one_too_many:
            session.closing = TOO_MANY
        elif self.in_maintenance:
            session.closing = (1001, "")
        self._audience.sessions.add(session)
        return session

    def forget(self, session: DeltaSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: announced, then everybody is cut off."""
        due = self.faults.in_maintenance(age_seconds)
        if due and not self.in_maintenance:
            finish = self.stamp + round(self.faults.maintenance_seconds * 1e6)
            self._announce("maintenance_started", {"maintenance_finish_time": finish})
        elif self.in_maintenance and not due:
            self._announce("maintenance_finished", {})
        self.in_maintenance = due
        told_seconds = self.faults.maintenance_after_seconds + MAINTENANCE_NOTICE_SECONDS
        if due and age_seconds >= told_seconds:
            self._audience.hang_up(1001, "")

    def is_missing(self, channel: Channel) -> bool:
        """An injected fault: left out of every acknowledgement."""
        return self.faults.refuses("/".join(channel))

    def subscribe(self, session: DeltaSession, channel: Channel) -> None:
        """Add a subscriber; the first top or ticker comes with the next pace."""
        self._audience.add(session, channel)
        found = self.contracts.get(channel[1])
        if channel[0] == TOPS and found is not None:
            place, slot = found
            self._changed[place].add(slot)

    def unsubscribe(self, session: DeltaSession, channel: Channel) -> None:
        """Remove a subscriber."""
        self._audience.remove(session, channel)

    def advance(self, step: Step) -> None:
        """Quote what has moved by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        for place, book in enumerate(self.books):
            self._list(place, book, before_ns)
        if crosses(before_ns, now_ns, PACE_NS):
            turn = now_ns // PACE_NS % REFRESH_TICKS
            for place, book in enumerate(self.books):
                self._changed[place].update(book.renew(self.lies).tolist())
                self._send_tops(place, int(turn))
                self._send_tickers(place, int(turn))
        if crosses(before_ns, now_ns, INDEX_NS):
            self._send_indices()
        self._audience.deliver(self.market.now_ns)

    def ticker_rows(self, place: int, slots: Iterable[int]) -> list[Row]:
        """Tickers of some options, of those that are alive."""
        book = self.books[place]
        chosen = book.board.trading(slots, self.market.now_ns)
        if not chosen:
            return []
        names, now_ns = self.names[place], self.market.now_ns
        return delta.ticker_rows(book, names, np.array(chosen, np.int64), now_ns, self.stamp)

    def _list(self, place: int, book: NoonBook, before_ns: int) -> None:
        """New and ended options: nobody is told, clients ask."""
        for slot in book.roll():
            self._listed.drop(place, slot)
        if book.is_listing_due(before_ns):
            fresh = book.list_missing()
            self._listed.learn(place)
            book.quote(np.array(fresh, np.int64), self.lies)
            self._changed[place].update(fresh)

    def _send_tops(self, place: int, turn: int) -> None:
        """What changed, and in its turn what did not."""
        book, names, stamp = self.books[place], self.names[place], self.stamp
        alive = book.board.alive
        due = self._changed[place]
        due.update(range(turn, len(names), REFRESH_TICKS))
        for slot in sorted(due):
            channel = (TOPS, names[slot])
            if alive[slot] and channel in self._audience:
                self._push(channel, delta.top_row(book, slot, names[slot], stamp))
        due.clear()

    def _send_tickers(self, place: int, turn: int) -> None:
        names = self.names[place]
        wanted = [
            slot
            for slot in range(turn, len(names), REFRESH_TICKS)
            if (TICKERS, names[slot]) in self._audience
        ]
        for row in self.ticker_rows(place, wanted):
            self._push((TICKERS, row["symbol"]), row)

    def _send_indices(self) -> None:
        for family in self.families:
            price = self.market.boards[family.number].index_price
            index = delta.index_of(family)
            self._push((INDICES, index), {"s": index, "p": price, "type": INDICES})

    def _announce(self, event: str, more: Row) -> None:
        row = {"type": ANNOUNCEMENTS, "event": event, "timestamp": self.stamp}
        for session in self._audience.of((ANNOUNCEMENTS, "")):
            session.send(row | more)

    def _push(self, channel: Channel, row: Row) -> None:
        """Queue one frame for all who listen now."""
        sessions = self._audience.of(channel)
        if sessions and not self.lies.silent:
            self._audience.send(channel, msgspec.json.encode(row), self.market.now_ns, sessions)
