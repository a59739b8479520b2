"""Binance without sockets: quotes the market's options on its own, on two routes.

A stream is served on its own route only; asked for on the other one it is answered like any, and
silent. Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

import random
import re
from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import binance
from volgauge.simulator.audience import Audience
from volgauge.simulator.binance import ContractBook, Row
from volgauge.simulator.binance_rest import BinanceRest
from volgauge.simulator.binance_session import PING_SECONDS, BinanceSession
from volgauge.simulator.board import I64, Notice, Step, crosses, milliseconds
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.quoting import QuotingStyle

LATENCY_NS = 4 * NANOS_PER_MILLI
CHAIN_NS = NANOS_PER_SECOND
BOOK_NS = 100 * NANOS_PER_MILLI
DEPTH = 20
"""Levels that a side of a whole book has."""
INTEREST_NS = 60 * NANOS_PER_SECOND
LIFETIME_SECONDS = 86_400.0
PUBLIC, MARKET = "public", "market"
STYLE = QuotingStyle(half_spread_ticks=1.0, half_spread_ratio=0.016, mid_noise=0.3, max_lots=2_000)
INDICES, SYMBOLS = "!index@arr", "!optionSymbol"
_TOP = re.compile(r"([a-z0-9.-]+)@bookTicker")
_BOOK = re.compile(r"([a-z0-9.-]+)@depth(5|10|20)@100ms")
_DELTA = re.compile(r"([a-z0-9.-]+)@depth@100ms")
_CHAIN = re.compile(r"([a-z0-9]+)@optionMarkPrice")
_INTEREST = re.compile(r"([a-z0-9]+)@optionOpenInterest@([0-9]{6})")


class Deep(Struct):
    """A book as those hold it who follow its changes: price to size."""

    number: int
    bids: dict[str, str]
    asks: dict[str, str]


class BinanceVenue:
    """Implements RoutedDialect."""

    ws_path = "/binance"
    rest_path = "/binance"
    ws_routes = tuple(
        f"/{route}/{form}"
        for route in ("public", "market")
        for form in ("stream", "ws", "ws/{stream}")
    )

    def __init__(self, market: Market, seed: int, style: QuotingStyle = STYLE) -> None:
        self.market = market
        self.faults = Faults()
        self.lies = Lies()
        self.in_maintenance = False
        self.lifetime_seconds = LIFETIME_SECONDS
        self.ping_seconds = PING_SECONDS
        self.interest_ns = INTEREST_NS
        self.families = binance.families_of(market.boards)
        self.books = [
            ContractBook(market, family, style, [seed, 13, place])
            for place, family in enumerate(self.families)
        ]
        boards = [book.board for book in self.books]
        self._listed = Names(boards, lambda place, slot: binance.option_name(boards[place], slot))
        self.names = self._listed.of
        """By family and slot."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._random = random.Random(f"binance {seed}")  # noqa: S311 - repeatable, not secret
        self._audience = Audience[str, BinanceSession](LATENCY_NS)
        """Those on the right route."""
        self._changed: dict[str, list[set[int]]] = {
            kind: [set() for _ in self.families] for kind in (_TOP.pattern, _BOOK.pattern)
        }
        """Kind of stream to the slots of each family that changed since its last push."""
        self._update_id = 121_508_743
        self._held: dict[str, Deep] = {}
        """Books that somebody follows by their changes."""
        self._rest = BinanceRest(self)
        for book in self.books:
            book.requote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> int:
        """The venue's clock in ms, with the skew that is being injected."""
        return milliseconds(self.market.now_ns) + round(self.faults.clock_skew_ms)

    def open(self, now_seconds: float, number: int) -> BinanceSession:
        """Begin a client's session on no route: whatever it asks for stays silent."""
        return self.open_route("", {}, now_seconds, number)

    def open_route(
        self, route: str, params: Mapping[str, str], now_seconds: float, number: int
    ) -> BinanceSession:
        """Begin a client's session; `?streams=a/b` and `ws/a` name streams that it begins with."""
        del number
        name, _, form = route.strip("/").partition("/")
        form, _, stream = form.partition("/")
        session = BinanceSession(self, name, now_seconds, combined=form == "stream")
        if self.in_maintenance:
            session.closing = (1001, "")
        self._audience.sessions.add(session)
        wanted = [stream, *params.get("streams", "").split("/")]
        session.open_streams([stream for stream in wanted if stream])
        return session

    def forget(self, session: BinanceSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Maintenance, of which nobody is told: everybody is cut off."""
        self.in_maintenance = self.faults.in_maintenance(age_seconds)
        if self.in_maintenance:
            self._audience.hang_up(1001, "")

    def subscribe(self, session: BinanceSession, stream: str) -> None:
        """Add a subscriber; nothing is sent but what happens from now on."""
        if self.route_of(stream) != session.route or self.faults.refuses(stream):
            return
        self._audience.add(session, stream)
        named = _DELTA.fullmatch(stream)
        if named:
            name = named[1].upper()
            self._held.setdefault(name, self._deep(name))

    def unsubscribe(self, session: BinanceSession, stream: str) -> None:
        """Remove a subscriber."""
        if self._audience.remove(session, stream):
            named = _DELTA.fullmatch(stream)
            if named:
                self._held.pop(named[1].upper(), None)

    def route_of(self, stream: str) -> str:
        """Where a stream is served; "" when there is none of that name."""
        if stream in (INDICES, SYMBOLS):
            return MARKET
        if _CHAIN.fullmatch(stream) or _INTEREST.fullmatch(stream):
            return MARKET
        named = _TOP.fullmatch(stream) or _BOOK.fullmatch(stream) or _DELTA.fullmatch(stream)
        return PUBLIC if named and named[1].upper() in self.contracts else ""

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        self._list(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    slots = np.unique(np.array(batch.slots, np.int64))
                    slots = slots[book.board.alive[slots]]
                    self._requote(place, slots)
        self._send_tops()
        if crosses(before_ns, now_ns, BOOK_NS):
            self._send_books()
        if crosses(before_ns, now_ns, CHAIN_NS):
            self._send_chains()
        if crosses(before_ns, now_ns, self.interest_ns):
            self._send_interest()
        for session, stream, data in self._audience.release(self.market.now_ns):
            session.push(stream, data)

    def chain(self, place: int) -> list[Row]:
        """Rows of `optionMarkPrice` of what is alive."""
        book = self.books[place]
        ahead = book.board.years(self.market.now_ns)[book.board.expiry_of] > 0.0
        slots = np.flatnonzero(book.board.alive & ahead)
        if not len(slots):
            return []
        return binance.chain_rows(book, slots, self.market.now_ns, self.stamp, self.names[place])

    def depth(self, name: str, limit: int) -> Row:
        """A book with the number of its newest change, where somebody follows them."""
        held = self._held.get(name) or self._deep(name)
        return {
            "bids": list(held.bids.items())[:limit], "asks": list(held.asks.items())[:limit],
            "T": self.stamp, "lastUpdateId": held.number,
        }  # fmt: skip

    def interest_rows(self, place: int, day: str) -> list[Row]:
        """Rows of `optionOpenInterest` of one expiry: contracts, and their worth at the index."""
        book, family = self.books[place], self.families[place]
        rows = []
        for slot in np.flatnonzero(book.board.alive).tolist():
            if binance.day_of(book.board, slot) == day:
                coins = float(book.board.open_interest[slot])
                rows.append({
                    "e": "openInterest", "E": self.stamp, "s": self.names[place][slot],
                    "o": f"{coins / family.unit:.2f}", "h": f"{coins * book.board.index_price:.8f}",
                })  # fmt: skip
        return rows

    def _requote(self, place: int, slots: I64) -> None:
        """New quotes; a stream tells only those that are others than before."""
        book = self.books[place]
        known = len(book.bid)
        before = [_shown(book, slot) if slot < known else None for slot in slots.tolist()]
        book.requote(slots, self.lies)
        moved = [
            slot
            for slot, old in zip(slots.tolist(), before, strict=True)
            if old != _shown(book, slot)
        ]
        for changed in self._changed.values():
            changed[place].update(moved)

    def _list(self, notices: list[Notice]) -> None:
        """New and ended options, each told in a frame of its own."""
        for place, mine in enumerate(self._listed.follow(notices)):
            family, board = self.families[place], self.books[place].board
            for notice in mine:
                if notice.created or notice.state == "settlement":
                    event = binance.symbol_event(family, board, notice.number, self.stamp)
                    self._push(SYMBOLS, event)

    def _send_tops(self) -> None:
        for place, changed in enumerate(self._changed[_TOP.pattern]):
            if not changed:
                continue
            names, book, family = self.names[place], self.books[place], self.families[place]
            stamp = self.stamp
            for slot in sorted(changed):
                stream = f"{names[slot].lower()}@bookTicker"
                self._update_id += 1
                if stream not in self._audience or names[slot] not in self.contracts:
                    continue
                self._push(stream, {
                    "e": "bookTicker", "u": self._update_id, "s": names[slot],
                    "b": binance.price_text(family, float(book.bid[slot])),
                    "B": binance.size_text(int(book.bid_lots[slot])),
                    "a": binance.price_text(family, float(book.ask[slot])),
                    "A": binance.size_text(int(book.ask_lots[slot])), "T": stamp, "E": stamp,
                })  # fmt: skip
            changed.clear()

    def _send_books(self) -> None:
        for place, changed in enumerate(self._changed[_BOOK.pattern]):
            names = self.names[place]
            for slot in sorted(changed):
                for depth in (5, 10, 20):
                    stream = f"{names[slot].lower()}@depth{depth}@100ms"
                    if stream in self._audience and names[slot] in self.contracts:
                        self._send_book(stream, place, slot, depth)
                if names[slot] in self._held and names[slot] in self.contracts:
                    self._send_delta(names[slot])
            changed.clear()

    def _send_book(self, stream: str, place: int, slot: int, depth: int) -> None:
        bids, asks = binance.levels(self.books[place], slot, depth)
        self._update_id += 1
        self._push(stream, {
            "e": "depthUpdate", "E": self.stamp, "T": self.stamp, "s": self.names[place][slot],
            "U": self._update_id, "u": self._update_id, "pu": self._update_id - 1,
            "b": bids, "a": asks,
        })  # fmt: skip

    def _deep(self, name: str) -> Deep:
        place, slot = self.contracts[name]
        bids, asks = binance.levels(self.books[place], slot, DEPTH)
        self._update_id += 1
        return Deep(self._update_id, dict(bids), dict(asks))

    def _send_delta(self, name: str) -> None:
        """What changed in a book; size 0 takes a level away."""
        old = self._held[name]
        new = self._held[name] = self._deep(name)
        changes = [_differences(old.bids, new.bids), _differences(old.asks, new.asks)]
        if not any(changes):
            self._held[name] = old
            return
        if self.faults.book_gap and self._random.random() < self.faults.book_gap:
            return
        self._push(f"{name.lower()}@depth@100ms", {
            "e": "depthUpdate", "E": self.stamp, "T": self.stamp, "s": name,
            "U": old.number + 1, "u": new.number, "pu": old.number,
            "b": changes[0], "a": changes[1],
        })  # fmt: skip

    def _send_chains(self) -> None:
        """Whole, and the indices with them."""
        for place, family in enumerate(self.families):
            stream = f"{family.underlying.lower()}@optionMarkPrice"
            if stream in self._audience:
                self._push(stream, self.chain(place))
        if INDICES in self._audience:
            self._push(INDICES, [
                {"e": "indexPrice", "E": self.stamp, "s": family.underlying,
                 "p": f"{book.board.index_price:.8f}"}
                for family, book in zip(self.families, self.books, strict=True)
            ])  # fmt: skip

    def _send_interest(self) -> None:
        for stream in self._audience:
            named = _INTEREST.fullmatch(stream)
            for place, family in enumerate(self.families):
                if named and family.underlying.lower() == named[1]:
                    rows = self.interest_rows(place, named[2])
                    if rows:
                        self._push(stream, rows)

    def _push(self, stream: str, data: Row | list[Row]) -> None:
        """Queue one push, for all who listen when it leaves."""
        if stream in self._audience and not self.lies.silent:
            self._audience.send(stream, msgspec.json.encode(data), self.market.now_ns)


def _shown(book: ContractBook, slot: int) -> tuple[str, str, int, int]:
    """A quote as it can be told apart from another."""
    family = book.family
    return (
        binance.price_text(family, float(book.bid[slot])),
        binance.price_text(family, float(book.ask[slot])),
        int(book.bid_lots[slot]),
        int(book.ask_lots[slot]),
    )


def _differences(old: dict[str, str], new: dict[str, str]) -> list[tuple[str, str]]:
    """Levels that came, changed or went."""
    gone = [(price, "0.00") for price in old if price not in new]
    return gone + [(price, size) for price, size in new.items() if old.get(price) != size]
