"""Aevo without sockets: quotes the market's options on its own, and frames what subscribers want.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import aevo
from volgauge.simulator.aevo import Row
from volgauge.simulator.aevo_rest import AevoRest
from volgauge.simulator.aevo_session import AevoSession
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import I64, Notice, Step, crosses
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.quoting import QuoteBook, QuotingStyle, families_of
from volgauge.simulator.window import Window

LATENCY_NS = 11 * NANOS_PER_MILLI
BOOKS, TICKERS, INDICES = "book-ticker", "ticker-500ms", "index"
PACES_NS = {BOOKS: 50 * NANOS_PER_MILLI, TICKERS: 500 * NANOS_PER_MILLI}
"""Changes are gathered for this long: the makers of this venue quote in rounds, and the book ticker
tells each round at once."""
INDEX_NS = 100 * NANOS_PER_MILLI
REQUESTS, WINDOW_NS = 60, 10 * NANOS_PER_SECOND
"""GETs in the window of one address; no page says how many."""
MAINTENANCE_NOTICE_SECONDS = 1.0
STYLE = QuotingStyle(half_spread_ticks=1.0, half_spread_ratio=0.025, mid_noise=0.3, max_lots=400)
_ALL = "OPTION"


class AevoVenue:
    """Implements Dialect."""

    ws_path = "/aevo/ws"
    rest_path = "/aevo"

    def __init__(self, market: Market, seed: int, style: QuotingStyle = STYLE) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.families = families_of(market.boards, aevo.CONTRACTS)
        self.books = [
            QuoteBook(market, family.number, family.terms, style, [seed, 15, place])
            for place, family in enumerate(self.families)
        ]
        self._strikes: dict[tuple[int, int], list[float]] = defaultdict(list)
        """Family and expiry to the market's strikes, in the order of their listing."""
        self._listed = Names([book.board for book in self.books], self._name_of)
        self.names = self._listed.of
        """By family and slot; "" of what the venue does not list."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._audience = Audience[str, AevoSession](LATENCY_NS)
        self._moved: list[set[int]] = [set() for _ in self.families]
        """Slots of each family that the market has moved since the last round."""
        self._changed: dict[str, list[set[int]]] = {
            kind: [set() for _ in self.families] for kind in PACES_NS
        }
        """Kind of channel to the slots of each family that changed since its last push."""
        self._indices: dict[str, float] = {}
        self._asked = Window(REQUESTS, WINDOW_NS)
        self._rest = AevoRest(self)
        for place, book in enumerate(self.books):
            book.requote(self.living(place), self.lies)

    @property
    def now_ns(self) -> int:
        """The market's clock."""
        return self.market.now_ns

    @property
    def stamp(self) -> int:
        """The venue's clock in ns, with the skew that is being injected."""
        return self.market.now_ns + round(self.faults.clock_skew_ms * NANOS_PER_MILLI)

    @property
    def channels(self) -> list[str]:
        """What can be subscribed of whole coins."""
        coins = [family.terms.asset for family in self.families]
        return [f"{INDICES}:{coin}" for coin in coins] + [
            f"{kind}:{coin}:{_ALL}" for kind in PACES_NS for coin in coins
        ]

    def living(self, place: int) -> I64:
        """Slots of the options that are listed."""
        board = self.books[place].board
        known = np.array([bool(name) for name in self.names[place]], np.bool_)
        return np.flatnonzero(board.alive[: len(known)] & known)

    def charge(self) -> int:
        """Count a GET; all clients share loopback's address. Nanoseconds to wait."""
        wait_ns = round(self._asked.wait(self.market.now_ns))
        if not wait_ns:
            self._asked.count(self.market.now_ns)
        return wait_ns

    def open(self, now_seconds: float, number: int) -> AevoSession:
        """Begin a client's session."""
        del number
        session = AevoSession(self, now_seconds)
        if self.in_maintenance:
            session.closing = (1001, "")
        self._audience.sessions.add(session)
        return session

    def forget(self, session: AevoSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: REST refuses, then everybody is cut off."""
        self.in_maintenance = self.faults.in_maintenance(age_seconds)
        told_seconds = self.faults.maintenance_after_seconds + MAINTENANCE_NOTICE_SECONDS
        if self.in_maintenance and age_seconds >= told_seconds:
            self._audience.hang_up(1001, "")

    def knows(self, channel: str) -> bool:
        """Whole coins, or single options."""
        kind, _, about = channel.partition(":")
        is_option = kind in PACES_NS and about in self.contracts
        return (is_option or channel in self.channels) and not self.faults.refuses(channel)

    def subscribe(self, session: AevoSession, channel: str) -> None:
        """Add a subscriber; the index and the throttled ticker begin with what they know.

        The book ticker's page promises changes only.
        """
        self._audience.add(session, channel)
        kind, _, about = channel.partition(":")
        if kind == INDICES:
            self._send_index(about, (session,))
        elif kind == TICKERS:
            for place, family in enumerate(self.families):
                if about == f"{family.terms.asset}:{_ALL}":
                    self._push_rows(kind, place, self.living(place).tolist(), channel, (session,))
            if about in self.contracts:
                place, slot = self.contracts[about]
                self._push_rows(kind, place, [slot], channel, (session,))

    def unsubscribe(self, session: AevoSession, channel: str) -> None:
        """Remove a subscriber."""
        self._audience.remove(session, channel)

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        self._list(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    self._moved[place].update(batch.slots)
        if crosses(before_ns, now_ns, PACES_NS[BOOKS]):
            self._requote()
        for kind, pace_ns in PACES_NS.items():
            if crosses(before_ns, now_ns, pace_ns):
                self._send_changed(kind)
        if crosses(before_ns, now_ns, INDEX_NS):
            for family in self.families:
                coin, price = family.terms.asset, self.market.boards[family.number].index_price
                if self._indices.get(coin) != price:
                    self._indices[coin] = price
                    self._send_index(coin)
        self._audience.deliver(self.market.now_ns)

    def _name_of(self, place: int, slot: int) -> str:
        """Near expiries, half the strikes."""
        board = self.books[place].board
        strikes = self._strikes[place, int(board.expiry_of[slot])]
        strike = board.options[slot].strike
        if strike not in strikes:
            strikes.append(strike)
        is_ours = strikes.index(strike) % aevo.STRIKE_STRIDE == 0 and aevo.is_short(
            board, slot, self.market.now_ns
        )
        return aevo.option_name(board, slot) if is_ours else ""

    def _list(self, notices: list[Notice]) -> None:
        """New and ended options: nobody is told, clients ask."""
        for place, mine in enumerate(self._listed.follow(notices)):
            self._moved[place].update(notice.number for notice in mine if notice.created)

    def _requote(self) -> None:
        """A round of quotes, of what has moved and is listed."""
        for place, moved in enumerate(self._moved):
            book, names = self.books[place], self.names[place]
            slots = np.array(sorted(slot for slot in moved if names[slot]), np.int64)
            moved.clear()
            slots = slots[book.board.alive[slots]]
            book.requote(slots, self.lies)
            for changed in self._changed.values():
                changed[place].update(slots.tolist())

    def _send_changed(self, kind: str) -> None:
        """The tops that changed: of a coin in one frame, and of single options for who asked."""
        for place, changed in enumerate(self._changed[kind]):
            if not changed:
                continue
            slots = sorted(changed)
            changed.clear()
            whole = f"{kind}:{self.families[place].terms.asset}:{_ALL}"
            if whole in self._audience:
                self._push_rows(kind, place, slots, whole)
            names = self.names[place]
            for slot in slots:
                channel = f"{kind}:{names[slot]}"
                if channel in self._audience:
                    self._push_rows(kind, place, [slot], channel)

    def _push_rows(
        self,
        kind: str,
        place: int,
        slots: Iterable[int],
        channel: str,
        sessions: tuple[AevoSession, ...] | None = None,
    ) -> None:
        book = self.books[place]
        now_ns = self.market.now_ns
        ahead = book.board.years(now_ns)[book.board.expiry_of] > 0.0
        chosen = np.array([s for s in slots if book.board.alive[s] and ahead[s]], np.int64)
        if not len(chosen):
            return
        make: Callable[[QuoteBook, I64, list[str], int], list[Row]] = (
            aevo.book_rows if kind == BOOKS else aevo.ticker_rows
        )
        rows = make(book, chosen, self.names[place], now_ns)
        self._push(channel, {"timestamp": str(self.stamp), "tickers": rows}, sessions)

    def _send_index(self, coin: str, sessions: tuple[AevoSession, ...] | None = None) -> None:
        family = next(family for family in self.families if family.terms.asset == coin)
        price = aevo.number_text(self.market.boards[family.number].index_price)
        data = {"price": price, "timestamp": str(self.stamp)}
        self._push(f"{INDICES}:{coin}", data, sessions)

    def _push(
        self, channel: str, data: Row, sessions: tuple[AevoSession, ...] | None = None
    ) -> None:
        """Queue one frame, for some or all who listen now."""
        chosen = self._audience.of(channel) if sessions is None else sessions
        if not chosen or self.lies.silent:
            return
        frame = msgspec.json.encode({"channel": channel, "data": data})
        self._audience.send(channel, frame, self.market.now_ns, chosen)
