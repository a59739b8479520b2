"""Derive without sockets: quotes the market's options on its own, and frames what subscribers want.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import derive
from volgauge.simulator.board import I64, Notice, Step, milliseconds
from volgauge.simulator.derive import DiscountedBook, Row
from volgauge.simulator.derive_rest import DeriveRest
from volgauge.simulator.derive_session import DeriveSession
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.quoting import QuotingStyle

LATENCY_NS = 9 * NANOS_PER_MILLI
PACES_NS = {"100": 100 * NANOS_PER_MILLI, "1000": NANOS_PER_SECOND}
"""Interval of a ticker to its pace."""
REFRESH_NS = 2 * NANOS_PER_SECOND
"""Marks and forwards move all the time: every ticker is pushed at least this often."""
SPOT_NS = 100 * NANOS_PER_MILLI
WINDOW_NS = 5 * NANOS_PER_SECOND
REQUESTS = 50
"""In the window, of one address, over websockets and REST together."""
MAINTENANCE_NOTICE_SECONDS = 1.0
TICKERS, SPOTS = "ticker_slim.", "spot_feed."
STYLE = QuotingStyle(half_spread_ticks=1.0, half_spread_ratio=0.02, mid_noise=0.3, max_lots=800)


class DeriveVenue:
    """Implements Dialect."""

    ws_path = "/derive/ws"
    rest_path = "/derive"

    def __init__(self, market: Market, seed: int, style: QuotingStyle = STYLE) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.families = derive.families_of(market.boards)
        self.books = [
            DiscountedBook(market, family.number, family.terms, style, [seed, 14, place])
            for place, family in enumerate(self.families)
        ]
        self.names: list[list[str]] = [[] for _ in self.families]
        """By family and slot."""
        self.contracts: dict[str, tuple[int, int]] = {}
        """Name to family and slot, of what is listed."""
        self._sessions: set[DeriveSession] = set()
        self._listeners: defaultdict[str, list[DeriveSession]] = defaultdict(list)
        self._changed: dict[str, list[set[int]]] = {
            interval: [set() for _ in self.families] for interval in PACES_NS
        }
        """Interval to the slots of each family that changed since its last push."""
        self._late: deque[tuple[int, str, tuple[DeriveSession, ...], bytes]] = deque()
        self._spots: dict[str, float] = {}
        self._asked: deque[int] = deque()
        self._rest = DeriveRest(self)
        for place, book in enumerate(self.books):
            self._learn(place)
            book.requote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> int:
        """The venue's clock in ms, with the skew that is being injected."""
        return milliseconds(self.market.now_ns) + round(self.faults.clock_skew_ms)

    def is_allowed(self) -> bool:
        """Count a request; all clients share loopback's address."""
        now_ns = self.market.now_ns
        while self._asked and now_ns - self._asked[0] >= WINDOW_NS:
            self._asked.popleft()
        if len(self._asked) >= REQUESTS:
            return False
        self._asked.append(now_ns)
        return True

    def open(self, now_seconds: float, number: int) -> DeriveSession:
        """Begin a client's session."""
        del now_seconds, number
        session = DeriveSession(self)
        if self.in_maintenance:
            session.closing = (1001, "")
        self._sessions.add(session)
        return session

    def forget(self, session: DeriveSession) -> None:
        """The client is gone."""
        self._sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: told as an incident, then everybody is cut off."""
        begin, length = self.faults.maintenance_after_seconds, self.faults.maintenance_seconds
        self.in_maintenance = 0.0 < begin <= age_seconds < begin + length
        if self.in_maintenance and age_seconds >= begin + MAINTENANCE_NOTICE_SECONDS:
            for session in self._sessions:
                session.closing = (1001, "")

    def refusal(self, channel: str) -> str:
        """Why a channel cannot be subscribed, in the venue's words; "" when it can."""
        kind, _, about = channel.partition(".")
        reason = ""
        if f"{kind}." == SPOTS:
            if about not in [family.terms.asset for family in self.families]:
                reason = "{'currency': ['Invalid enum value " + about + "']}"
        elif f"{kind}." == TICKERS:
            name, _, interval = about.rpartition(".")
            if interval not in PACES_NS:
                reason = "{'interval': ['Invalid enum value " + interval + "']}"
            elif name not in self.contracts:
                reason = f"Instrument {name} not found"
        else:
            reason = f"Channel {kind} not found"
        if not reason and self.faults.refuses(channel):
            reason = "{'channel': ['Not available']}"
        return reason

    def subscribe(self, session: DeriveSession, channel: str) -> None:
        """Add a subscriber and send what the channel begins with."""
        self._listeners[channel].append(session)
        if channel.startswith(SPOTS):
            self._send_spot(channel.removeprefix(SPOTS), (session,))
            return
        found = self.contracts.get(_option_of(channel))
        if found is not None:
            place, slot = found
            for _, row in self.ticker_rows(place, [slot]):
                self._push_ticker(channel, row, (session,))

    def unsubscribe(self, session: DeriveSession, channel: str) -> None:
        """Remove a subscriber."""
        listeners = self._listeners[channel]
        if session in listeners:
            listeners.remove(session)
        if not listeners:
            del self._listeners[channel]

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        self._list(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    slots = np.unique(np.array(batch.slots, np.int64))
                    self._requote(place, slots[book.board.alive[slots]])
        if _crosses(before_ns, now_ns, REFRESH_NS):
            for place, book in enumerate(self.books):
                self._mark_changed(place, np.flatnonzero(book.board.alive))
        for interval, pace_ns in PACES_NS.items():
            if _crosses(before_ns, now_ns, pace_ns):
                self._send_tickers(interval)
        if _crosses(before_ns, now_ns, SPOT_NS):
            self._send_spots()
        self._release()

    def ticker_rows(self, place: int, slots: Iterable[int]) -> list[tuple[str, Row]]:
        """Name and slim ticker of some options, of those that are alive."""
        book, names = self.books[place], self.names[place]
        ahead = book.board.years(self.market.now_ns)[book.board.expiry_of] > 0.0
        chosen = [slot for slot in slots if book.board.alive[slot] and ahead[slot]]
        if not chosen:
            return []
        chosen_now = np.array(chosen, np.int64)
        rows = derive.ticker_rows(book, chosen_now, self.market.now_ns, self.stamp)
        return [(names[slot], row) for slot, row in zip(chosen, rows, strict=True)]

    def _learn(self, place: int) -> None:
        """Names of what the board lists and we do not know yet."""
        names, board = self.names[place], self.books[place].board
        for slot in range(len(names), len(board.options)):
            names.append(derive.option_name(board, slot))
            if board.alive[slot]:
                self.contracts[names[slot]] = (place, slot)

    def _list(self, notices: list[Notice]) -> None:
        """New and ended options: nobody is told, clients ask."""
        for place, book in enumerate(self.books):
            mine = [n for n in notices if n.board is book.board and n.kind == "option"]
            created = [notice.number for notice in mine if notice.created]
            if created:
                self._learn(place)
                self._requote(place, np.array(created, np.int64))
            for notice in mine:
                if notice.state == "settlement":
                    self.contracts.pop(self.names[place][notice.number], None)

    def _requote(self, place: int, slots: I64) -> None:
        self.books[place].requote(slots, self.lies)
        self._mark_changed(place, slots)

    def _mark_changed(self, place: int, slots: I64) -> None:
        for changed in self._changed.values():
            changed[place].update(slots.tolist())

    def _send_tickers(self, interval: str) -> None:
        for place, changed in enumerate(self._changed[interval]):
            names = self.names[place]
            channels = {slot: f"{TICKERS}{names[slot]}.{interval}" for slot in sorted(changed)}
            wanted = [slot for slot, channel in channels.items() if channel in self._listeners]
            for name, row in self.ticker_rows(place, wanted):
                self._push_ticker(f"{TICKERS}{name}.{interval}", row)
            changed.clear()

    def _send_spots(self) -> None:
        for family in self.families:
            coin, price = family.terms.asset, self.market.boards[family.number].index_price
            if self._spots.get(coin) != price:
                self._spots[coin] = price
                self._send_spot(coin)

    def _send_spot(self, coin: str, sessions: tuple[DeriveSession, ...] | None = None) -> None:
        family = next(family for family in self.families if family.terms.asset == coin)
        price = derive.number_text(self.market.boards[family.number].index_price)
        feed = {
            "price": price, "confidence": "1", "price_prev_daily": price,
            "confidence_prev_daily": "1", "timestamp_prev_daily": self.stamp,
        }  # fmt: skip
        self._push(SPOTS + coin, {"feeds": {coin: feed}, "timestamp": self.stamp}, sessions)

    def _push_ticker(
        self, channel: str, row: Row, sessions: tuple[DeriveSession, ...] | None = None
    ) -> None:
        self._push(channel, {"instrument_ticker": row, "timestamp": row["t"]}, sessions)

    def _push(
        self, channel: str, data: Row, sessions: tuple[DeriveSession, ...] | None = None
    ) -> None:
        """Queue one frame, for some or all who listen now."""
        chosen = tuple(self._listeners.get(channel, ())) if sessions is None else sessions
        if not chosen or self.lies.silent:
            return
        frame = {"method": "subscription", "params": {"channel": channel, "data": data}}
        due_ns = self.market.now_ns + LATENCY_NS
        self._late.append((due_ns, channel, chosen, msgspec.json.encode(frame)))

    def _release(self) -> None:
        """Hand over what has been on its way for long enough, to who still listens."""
        while self._late and self._late[0][0] <= self.market.now_ns:
            _, channel, sessions, frame = self._late.popleft()
            for session in sessions:
                if channel in session.subscriptions:
                    session.out.append(frame)


def _option_of(channel: str) -> str:
    """What a ticker is about; strikes may have a decimal point."""
    return channel.removeprefix(TICKERS).rpartition(".")[0]


def _crosses(before_ns: int, now_ns: int, every_ns: int) -> bool:
    return now_ns // every_ns != before_ns // every_ns
