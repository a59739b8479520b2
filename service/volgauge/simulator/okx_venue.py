"""OKX without sockets: quotes the market's options on its own, and frames what subscribers want.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

import random
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import okx
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import Notice, Step, crosses, milliseconds
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.okx import Row
from volgauge.simulator.okx_rest import OkxRest
from volgauge.simulator.okx_session import OkxSession
from volgauge.simulator.quoting import QuoteBook, QuotingStyle

LATENCY_NS = 3 * NANOS_PER_MILLI
BBO_NS = 10 * NANOS_PER_MILLI
TICKER_NS = 100 * NANOS_PER_MILLI
SUMMARY_NS = 500 * NANOS_PER_MILLI
KEEP_ALIVE_NS = 60 * NANOS_PER_SECOND
"""Of a long book in which nothing changes."""
SHALLOW = 5
FIRST_NUMBER = 7_000_000
MAINTENANCE_NOTICE_SECONDS = 0.2
_FAST, _SLOW = 0, 1

Key = tuple[str, str]
"""Channel, and the instrument, family, index or type that it is about."""


class _Book(Struct):
    """A long book as its subscribers hold it."""

    number: int
    bids: dict[str, str]
    asks: dict[str, str]
    told_ns: int


class OkxVenue:
    """Implements Dialect."""

    ws_path = "/okx/ws/v5/public"
    rest_path = "/okx/api/v5"

    def __init__(self, market: Market, seed: int, style: QuotingStyle | None = None) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.keep_alive_ns = KEEP_ALIVE_NS
        self.families = okx.families_of(market.boards)
        self.books = [
            QuoteBook(market, family.number, family.terms, style or QuotingStyle(), [seed, 11, n])
            for n, family in enumerate(self.families)
        ]
        self._listed = Names([book.board for book in self.books], self._name_of)
        self.names = self._listed.of
        """By family and slot."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._random = random.Random(f"okx {seed}")  # noqa: S311 - repeatable, not secret
        self._audience = Audience[Key, OkxSession](LATENCY_NS)
        self._dirty: list[tuple[set[int], set[int], set[int]]] = [
            (set(), set(), set()) for _ in self.families
        ]
        """Slots that changed since the last push of tops, of slow channels, of summaries."""
        self._wanted: list[set[int]] = [set() for _ in self.families]
        """Slots that the market has quoted since we did."""
        self._deep: dict[str, _Book] = {}
        self._indices: dict[str, float] = {}
        self._next_number = FIRST_NUMBER
        self._rest = OkxRest(self)
        for book in self.books:
            book.requote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> str:
        """The venue's clock in ms, with the skew that is being injected."""
        return str(milliseconds(self.market.now_ns) + round(self.faults.clock_skew_ms))

    def open(self, now_seconds: float, number: int) -> OkxSession:
        """Begin a client's session."""
        session = OkxSession(self, now_seconds, f"{number + 0xA4D3AE55:08x}")
        if self.in_maintenance:
            session.closing = (1001, "service upgrade")
        self._audience.sessions.add(session)
        return session

    def forget(self, session: OkxSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: announced, then everybody is cut off, then it is over."""
        due = self.faults.in_maintenance(age_seconds)
        if due != self.in_maintenance:
            self.in_maintenance = due
            self._push(("status", ""), [self.status_row()])
            self._release(self.market.now_ns + LATENCY_NS)
        told_seconds = self.faults.maintenance_after_seconds + MAINTENANCE_NOTICE_SECONDS
        if due and age_seconds >= told_seconds:
            self._audience.hang_up(1001, "service upgrade")

    def status_row(self) -> Row:
        """A row of `status`: the maintenance that goes on or went before."""
        return {
            "title": "Options trading system upgrade", "begin": "1785484800000", "href": "",
            "end": "1785484860000", "serviceType": "4", "system": "unified", "scheDesc": "",
            "maintType": "1", "env": "1", "preOpenBegin": "", "ts": self.stamp,
            "state": "ongoing" if self.in_maintenance else "completed",
        }  # fmt: skip

    def reset_sequences(self) -> None:
        """The numbers of all books begin anew, as after maintenance."""
        self._next_number = 1

    def find(self, arg: Row) -> Key | None:
        """What a client may subscribe to; None is answered with 60018."""
        channel = str(arg.get("channel"))
        about = str(arg.get("instId", ""))
        match channel:
            case "bbo-tbt" | "tickers" | "books5" | "books":
                known = about in self.contracts
            case "index-tickers":
                known = any(family.index == about for family in self.families)
            case "opt-summary":
                about = str(arg.get("instFamily", arg.get("uly", "")))
                known = any(family.name == about for family in self.families)
            case "instruments":
                about = str(arg.get("instType", ""))
                known = about == "OPTION"
            case "status":
                about, known = "", True
            case _:
                known = False
        return (channel, about) if known and not self.faults.refuses(f"{channel}:{about}") else None

    def subscribe(self, session: OkxSession, key: Key) -> None:
        """Add a subscriber and send what the channel begins with."""
        self._audience.add(session, key)
        channel, about = key
        rows: list[Row] = []
        match channel:
            case "bbo-tbt" | "tickers" | "books5":
                rows = [self._top_row(channel, *self.contracts[about])]
            case "books":
                self._send_snapshot(session, about)
            case "opt-summary":
                rows = self._family_rows(about)
            case "index-tickers":
                rows = [self.index_row(about)]
            case "status" if self.in_maintenance:
                rows = [self.status_row()]
            case _:
                pass
        if rows:
            self._push(key, rows, (session,))

    def unsubscribe(self, session: OkxSession, key: Key) -> None:
        """Remove a subscriber."""
        if self._audience.remove(session, key) and key[0] == "books":
            self._deep.pop(key[1], None)

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        self._list(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    self._wanted[place].update(batch.slots)
        if crosses(before_ns, now_ns, BBO_NS):
            self._requote()
            self._send_tops(_FAST, ("bbo-tbt",))
        if crosses(before_ns, now_ns, TICKER_NS):
            self._send_tops(_SLOW, ("tickers", "books5", "books"))
            self._send_indices()
        if crosses(before_ns, now_ns, SUMMARY_NS):
            self._send_summaries()
        if crosses(before_ns, now_ns, NANOS_PER_SECOND):
            self._keep_alive()
        self._release(self.market.now_ns)

    def index_row(self, index: str) -> Row:
        """A row of `index-tickers`."""
        price = okx.number_text(self._index_price(index))
        return {
            "instId": index, "idxPx": price, "high24h": price, "low24h": price, "open24h": price,
            "sodUtc0": price, "sodUtc8": price, "ts": self.stamp,
        }  # fmt: skip

    def summaries(self, place: int, slots: Iterable[int]) -> list[Row]:
        """Rows of `opt-summary` of some options that are alive."""
        book, family = self.books[place], self.families[place]
        chosen = book.board.trading(slots, self.market.now_ns)
        if not chosen:
            return []
        names = [self.names[place][slot] for slot in chosen]
        slots_now = np.array(chosen, np.int64)
        return okx.summary_rows(family, book, slots_now, self.market.now_ns, self.stamp, names)

    def _requote(self) -> None:
        """Our makers follow the market's, at the pace of the fastest channel."""
        for place, book in enumerate(self.books):
            wanted = np.array(sorted(self._wanted[place]), np.int64)
            self._wanted[place].clear()
            slots = wanted[book.board.alive[wanted]]
            book.requote(slots, self.lies)
            changed = slots.tolist()
            for dirty in self._dirty[place]:
                dirty.update(changed)

    def _name_of(self, place: int, slot: int) -> str:
        return okx.option_name(self.families[place].name, self.books[place].board, slot)

    def _list(self, notices: list[Notice]) -> None:
        """New and ended options: pushed as rows of `instruments`."""
        rows = [
            okx.instrument_row(self.families[place], self.books[place].board, notice.number)
            for place, mine in enumerate(self._listed.follow(notices))
            for notice in mine
            if notice.created or notice.state == "settlement"
        ]
        if rows:
            self._push(("instruments", "OPTION"), rows)

    def _index_price(self, index: str) -> float:
        family = next(family for family in self.families if family.index == index)
        return self.market.boards[family.number].index_price

    def _family_rows(self, name: str) -> list[Row]:
        place = next(p for p, family in enumerate(self.families) if family.name == name)
        board = self.books[place].board
        return self.summaries(place, np.flatnonzero(board.alive).tolist())

    def _top_row(self, channel: str, place: int, slot: int) -> Row:
        book = self.books[place]
        if channel == "tickers":
            return okx.ticker_row(self.names[place][slot], book, slot, self.stamp)
        if channel == "books5":
            bids, asks = okx.deep_levels(book, slot)
            sides = [
                [[price, size, "0", "1"] for price, size in list(side.items())[:SHALLOW]]
                for side in (bids, asks)
            ]
            return _book_row(sides[0], sides[1], self.stamp, self._number())
        best_bids, best_asks = okx.top_levels(book, slot)
        return _book_row(best_bids, best_asks, self.stamp, self._number())

    def _number(self) -> int:
        self._next_number += self._random.randint(1, 9)
        return self._next_number

    def _send_tops(self, pace: int, channels: tuple[str, ...]) -> None:
        for place, dirties in enumerate(self._dirty):
            names, alive = self.names[place], self.books[place].board.alive
            for slot in sorted(dirties[pace]):
                for channel in channels:
                    key = (channel, names[slot])
                    if key not in self._audience or not alive[slot]:
                        continue
                    if channel == "books":
                        self._send_update(names[slot])
                    else:
                        self._push(key, [self._top_row(channel, place, slot)])
            dirties[pace].clear()

    def _send_snapshot(self, session: OkxSession, name: str) -> None:
        """A long book begins with everything; prevSeqId -1."""
        bids, asks = okx.deep_levels(self.books[self.contracts[name][0]], self.contracts[name][1])
        held = self._deep.get(name)
        if held is None:
            held = _Book(self._number(), bids, asks, self.market.now_ns)
            self._deep[name] = held
        row = _book_row(_levels(held.bids), _levels(held.asks), self.stamp, held.number, -1)
        self._push(("books", name), [row], (session,), action="snapshot")

    def _send_update(self, name: str) -> None:
        """What changed in a long book, linked to the frame before."""
        held = self._deep[name]
        bids, asks = okx.deep_levels(self.books[self.contracts[name][0]], self.contracts[name][1])
        changes = [_differences(held.bids, bids), _differences(held.asks, asks)]
        if not any(changes):
            return
        previous, number = held.number, self._number()
        self._deep[name] = _Book(number, bids, asks, self.market.now_ns)
        if self.faults.book_gap and self._random.random() < self.faults.book_gap:
            return
        row = _book_row(changes[0], changes[1], self.stamp, number, previous)
        self._push(("books", name), [row], action="update")

    def _keep_alive(self) -> None:
        now_ns = self.market.now_ns
        for name, held in self._deep.items():
            if now_ns - held.told_ns >= self.keep_alive_ns:
                held.told_ns = now_ns
                row = _book_row([], [], self.stamp, held.number, held.number)
                self._push(("books", name), [row], action="update")

    def _send_indices(self) -> None:
        for index in {family.index: None for family in self.families}:
            price = self._index_price(index)
            if self._indices.get(index) != price:
                self._indices[index] = price
                if ("index-tickers", index) in self._audience:
                    self._push(("index-tickers", index), [self.index_row(index)])

    def _send_summaries(self) -> None:
        """The rows that changed since the last push."""
        for place, dirties in enumerate(self._dirty):
            key = ("opt-summary", self.families[place].name)
            if key in self._audience:
                rows = self.summaries(place, sorted(dirties[2]))
                if rows:
                    self._push(key, rows)
            dirties[2].clear()

    def _push(
        self,
        key: Key,
        rows: list[Row],
        sessions: tuple[OkxSession, ...] | None = None,
        action: str = "",
    ) -> None:
        """Queue one frame, for some or all who listen now."""
        channel, about = key
        arg = {"channel": channel}
        if about:
            name = {"opt-summary": "instFamily", "instruments": "instType"}.get(channel, "instId")
            arg[name] = about
        named = {"action": action} if action else {}
        chosen = self._audience.of(key) if sessions is None else sessions
        if chosen and not self.lies.silent:
            frame = msgspec.json.encode({"arg": arg} | named | {"data": rows})
            self._audience.send(key, frame, self.market.now_ns, chosen)

    def _release(self, now_ns: int) -> None:
        """Hand over what arrives by an instant."""
        for session, _, frame in self._audience.release(now_ns):
            session.push(frame)


def _book_row(
    bids: list[list[str]],
    asks: list[list[str]],
    stamp: str,
    number: int,
    previous: int | None = None,
) -> Row:
    row: Row = {"asks": asks, "bids": bids, "ts": stamp}
    if previous is None:
        return row | {"seqId": number}
    return row | {"checksum": 0, "prevSeqId": previous, "seqId": number}


def _levels(side: dict[str, str]) -> list[list[str]]:
    return [[price, size, "0", "1"] for price, size in side.items()]


def _differences(old: dict[str, str], new: dict[str, str]) -> list[list[str]]:
    """Levels that came, changed or went (size 0)."""
    gone = [[price, "0", "0", "0"] for price in old if price not in new]
    return gone + [[price, size, "0", "1"] for price, size in new.items() if old.get(price) != size]
