"""Bybit without sockets: quotes the market's options on its own, and frames what subscribers want.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import bybit
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import Step, crosses, milliseconds
from volgauge.simulator.bybit import Row, Side
from volgauge.simulator.bybit_rest import BybitRest
from volgauge.simulator.bybit_session import BybitSession
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.quoting import QuoteBook, QuotingStyle, families_of

LATENCY_NS = 6 * NANOS_PER_MILLI
TICKER_NS = 100 * NANOS_PER_MILLI
REFRESH_NS = 2 * NANOS_PER_SECOND
"""Marks and forwards move all the time: every ticker is pushed at least this often."""
PACES_NS = {"orderbook.25.": 20 * NANOS_PER_MILLI, "orderbook.100.": 100 * NANOS_PER_MILLI}
TICKERS = "tickers."
TRADES = "publicTrade."
MAINTENANCE_NOTICE_SECONDS = 1.0
STYLE = QuotingStyle(half_spread_ticks=1.0, half_spread_ratio=0.014, mid_noise=0.3, max_lots=400)


class _Book:
    """One book topic as its subscribers hold it."""

    __slots__ = ("asks", "bids", "update_id")

    def __init__(self, update_id: int, bids: Side, asks: Side) -> None:
        self.update_id = update_id
        self.bids = bids
        self.asks = asks


class BybitVenue:
    """Implements Dialect."""

    ws_path = "/bybit/v5/public/option"
    rest_path = "/bybit"

    def __init__(self, market: Market, seed: int, style: QuotingStyle = STYLE) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.families = families_of(market.boards, bybit.CONTRACTS)
        self.books = [
            QuoteBook(market, family.number, family.terms, style, [seed, 12, place])
            for place, family in enumerate(self.families)
        ]
        boards = [book.board for book in self.books]
        self._listed = Names(boards, lambda place, slot: bybit.option_name(boards[place], slot))
        self.names = self._listed.of
        """By family and slot."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._random = random.Random(f"bybit {seed}")  # noqa: S311 - repeatable, not secret
        self._audience = Audience[str, BybitSession](LATENCY_NS)
        self._changed: dict[str, list[set[int]]] = {
            kind: [set() for _ in self.families] for kind in (TICKERS, *PACES_NS)
        }
        """Kind of topic to the slots of each family that changed since its last push."""
        self._held: dict[str, _Book] = {}
        self._pushed = 62_191_583_841
        """Number of the newest push."""
        self._rest = BybitRest(self)
        for book in self.books:
            book.requote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> int:
        """The venue's clock in ms, with the skew that is being injected."""
        return milliseconds(self.market.now_ns) + round(self.faults.clock_skew_ms)

    @property
    def coins(self) -> list[str]:
        """Underlyings that are listed."""
        return [family.terms.asset for family in self.families]

    def open(self, now_seconds: float, number: int) -> BybitSession:
        """Begin a client's session."""
        session = BybitSession(self, now_seconds, f"aa01fbfffe80af37-{number:08x}")
        if self.in_maintenance:
            session.closing = (1001, "")
        self._audience.sessions.add(session)
        return session

    def forget(self, session: BybitSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: told by the status of the platform, then everybody is cut off."""
        self.in_maintenance = self.faults.in_maintenance(age_seconds)
        told_seconds = self.faults.maintenance_after_seconds + MAINTENANCE_NOTICE_SECONDS
        if self.in_maintenance and age_seconds >= told_seconds:
            self._audience.hang_up(1001, "")

    def status_rows(self) -> list[Row]:
        """Rows of /v5/system/status: the maintenance that goes on, one that is over."""
        old = {
            "id": "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea", "title": "t06", "state": "completed",
            "begin": "1751596902000", "end": "1751597011000", "href": "",
            "serviceTypes": [2, 3, 4, 5], "product": [1, 2, 3], "uidSuffix": [],
            "maintainType": 1, "env": 1,
        }  # fmt: skip
        now = old | {"id": "19bb6f82", "title": "t07", "state": "ongoing", "begin": str(self.stamp)}
        return [now, old] if self.in_maintenance else [old]

    def restart_books(self) -> None:
        """The venue's service restarts: every book begins anew with u = 1."""
        for topic in list(self._held):
            self._send_snapshot(topic, self._audience.of(topic), update_id=1)

    def is_handled(self, topic: str) -> bool:
        """The venue has such a kind of topic."""
        return topic.startswith((TICKERS, TRADES, *PACES_NS))

    def is_known(self, topic: str) -> bool:
        """What the topic is about exists. `tickers.BTC` is accepted and never delivered."""
        about = topic.rpartition(".")[2] if topic.startswith(TRADES) else _symbol(topic)
        known = about in self.coins if "-" not in about else about in self.contracts
        return known and not self.faults.refuses(topic)

    def subscribe(self, session: BybitSession, topics: Sequence[str]) -> None:
        """Add a subscriber and send what each topic begins with, in the order asked for."""
        symbols = {topic: _symbol(topic) for topic in topics}
        asked: defaultdict[int, list[int]] = defaultdict(list)
        for topic, symbol in symbols.items():
            self._audience.add(session, topic)
            if topic.startswith(TICKERS) and symbol in self.contracts:
                place, slot = self.contracts[symbol]
                asked[place].append(slot)
        tickers = dict(row for place in asked for row in self.ticker_rows(place, asked[place]))
        for topic, symbol in symbols.items():
            if topic.startswith(TICKERS):
                if symbol in tickers:
                    self._push(topic, tickers[symbol], (session,))
            elif symbol in self.contracts and not topic.startswith(TRADES):
                self._send_snapshot(topic, (session,))

    def unsubscribe(self, session: BybitSession, topic: str) -> None:
        """Remove a subscriber."""
        if self._audience.remove(session, topic):
            self._held.pop(topic, None)

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        # Nobody is told of new and ended options, clients ask.
        self._listed.follow(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    slots = np.unique(np.array(batch.slots, np.int64))
                    slots = slots[book.board.alive[slots]]
                    book.requote(slots, self.lies)
                    for changed in self._changed.values():
                        changed[place].update(slots.tolist())
        for kind, pace_ns in PACES_NS.items():
            if crosses(before_ns, now_ns, pace_ns):
                self._send_books(kind)
        if crosses(before_ns, now_ns, REFRESH_NS):
            for place, book in enumerate(self.books):
                self._changed[TICKERS][place].update(np.flatnonzero(book.board.alive).tolist())
        if crosses(before_ns, now_ns, TICKER_NS):
            self._send_tickers()
        self._audience.deliver(self.market.now_ns)

    def ticker_rows(self, place: int, slots: Iterable[int]) -> list[tuple[str, Row]]:
        """Name and payload of the tickers of some options, of those that are alive."""
        book, names = self.books[place], self.names[place]
        chosen = book.board.trading(slots, self.market.now_ns)
        if not chosen:
            return []
        mine = [names[slot] for slot in chosen]
        rows = bybit.ticker_rows(book, np.array(chosen, np.int64), self.market.now_ns, mine)
        return list(zip(mine, rows, strict=True))

    def _send_tickers(self) -> None:
        for place, changed in enumerate(self._changed[TICKERS]):
            names = self.names[place]
            wanted = [slot for slot in sorted(changed) if TICKERS + names[slot] in self._audience]
            for name, row in self.ticker_rows(place, wanted):
                self._push(TICKERS + name, row)
            changed.clear()

    def _send_books(self, kind: str) -> None:
        for place, changed in enumerate(self._changed[kind]):
            names = self.names[place]
            for slot in sorted(changed):
                topic = kind + names[slot]
                if topic in self._audience and names[slot] in self.contracts:
                    self._send_delta(topic)
            changed.clear()

    def _send_snapshot(
        self, topic: str, sessions: tuple[BybitSession, ...], update_id: int | None = None
    ) -> None:
        """A book begins with everything; who listens already holds the same."""
        held = self._held.get(topic)
        if held is None or update_id is not None:
            place, slot = self.contracts[_symbol(topic)]
            number = self._random.randint(20_000, 90_000) if update_id is None else update_id
            held = self._held[topic] = _Book(number, *bybit.levels(self.books[place], slot))
        bids, asks = list(held.bids.items()), list(held.asks.items())
        self._push(topic, _book_row(topic, bids, asks, held.update_id), sessions)

    def _send_delta(self, topic: str) -> None:
        """What changed in a book, numbered one after the frame before."""
        held = self._held[topic]
        place, slot = self.contracts[_symbol(topic)]
        bids, asks = bybit.levels(self.books[place], slot)
        changes = _differences(held.bids, bids), _differences(held.asks, asks)
        if not any(changes):
            return
        self._held[topic] = _Book(held.update_id + 1, bids, asks)
        if self.faults.book_gap and self._random.random() < self.faults.book_gap:
            return
        self._push(topic, _book_row(topic, *changes, held.update_id + 1), kind="delta")

    def _push(
        self,
        topic: str,
        data: Row,
        sessions: tuple[BybitSession, ...] | None = None,
        kind: str = "snapshot",
    ) -> None:
        """Queue one frame, for some or all who listen now."""
        chosen = self._audience.of(topic) if sessions is None else sessions
        if not chosen or self.lies.silent:
            return
        self._pushed += 1
        stamp = self.stamp
        number = f"{topic.removeprefix(TICKERS)}-{self._pushed}-{stamp}"
        frame = {"topic": topic, "ts": stamp, "type": kind, "id": number, "data": data}
        self._audience.send(topic, msgspec.json.encode(frame), self.market.now_ns, chosen)


def _symbol(topic: str) -> str:
    """What a topic is about; strikes may have a decimal point."""
    kind = next((k for k in (TICKERS, *PACES_NS) if topic.startswith(k)), "")
    return topic.removeprefix(kind)


def _book_row(
    topic: str, bids: list[tuple[str, str]], asks: list[tuple[str, str]], update_id: int
) -> Row:
    return {"s": _symbol(topic), "b": bids, "a": asks, "u": update_id, "seq": 5 * update_id}


def _differences(old: Side, new: Side) -> list[tuple[str, str]]:
    """Levels that came, changed or went (size 0)."""
    gone = [(price, "0") for price in old if price not in new]
    return gone + [(price, size) for price, size in new.items() if old.get(price) != size]
