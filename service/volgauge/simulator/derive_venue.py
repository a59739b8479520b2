"""Derive without sockets: quotes the market's options on its own, and frames what subscribers want.

Pushes leave `LATENCY_NS` after the state that they show, in order, by the market's clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import derive
from volgauge.simulator.audience import Audience
from volgauge.simulator.board import I64, Notice, Step, crosses, milliseconds
from volgauge.simulator.derive import DiscountedBook, Row
from volgauge.simulator.derive_rest import DeriveRest
from volgauge.simulator.derive_session import DeriveSession
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.market import Market
from volgauge.simulator.names import Names
from volgauge.simulator.numbers import number_text
from volgauge.simulator.quoting import QuotingStyle, families_of
from volgauge.simulator.window import Window

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
        self.families = families_of(market.boards, derive.CONTRACTS)
        self.books = [
            DiscountedBook(market, family.number, family.terms, style, [seed, 14, place])
            for place, family in enumerate(self.families)
        ]
        boards = [book.board for book in self.books]
        self._listed = Names(boards, lambda place, slot: derive.option_name(boards[place], slot))
        self.names = self._listed.of
        """By family and slot."""
        self.contracts = self._listed.contracts
        """Name to family and slot, of what is listed."""
        self._audience = Audience[str, DeriveSession](LATENCY_NS)
        self._changed: dict[str, list[set[int]]] = {
            interval: [set() for _ in self.families] for interval in PACES_NS
        }
        """Interval to the slots of each family that changed since its last push."""
        self._spots: dict[str, float] = {}
        self._asked = Window(REQUESTS, WINDOW_NS)
        self._rest = DeriveRest(self)
        for book in self.books:
            book.requote(np.flatnonzero(book.board.alive), self.lies)

    @property
    def stamp(self) -> int:
        """The venue's clock in ms, with the skew that is being injected."""
        return milliseconds(self.market.now_ns) + round(self.faults.clock_skew_ms)

    def is_allowed(self) -> bool:
        """Count a request; all clients share loopback's address."""
        return self._asked.take(self.market.now_ns)

    def open(self, now_seconds: float, number: int) -> DeriveSession:
        """Begin a client's session."""
        del now_seconds, number
        session = DeriveSession(self)
        if self.in_maintenance:
            session.closing = (1001, "")
        self._audience.sessions.add(session)
        return session

    def forget(self, session: DeriveSession) -> None:
        """The client is gone."""
        self._audience.sessions.discard(session)

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET."""
        return self._rest.answer(path, params)

    def tick(self, age_seconds: float) -> None:
        """Planned maintenance: told as an incident, then everybody is cut off."""
        self.in_maintenance = self.faults.in_maintenance(age_seconds)
        told_seconds = self.faults.maintenance_after_seconds + MAINTENANCE_NOTICE_SECONDS
        if self.in_maintenance and age_seconds >= told_seconds:
            self._audience.hang_up(1001, "")

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

    def subscribe(self, session: DeriveSession, channels: Sequence[str]) -> None:
        """Add a subscriber and send what each channel begins with, in the order asked for."""
        names = {channel: _option_of(channel) for channel in channels}
        asked: defaultdict[int, dict[int, None]] = defaultdict(dict)
        for channel, name in names.items():
            self._audience.add(session, channel)
            if name in self.contracts:
                place, slot = self.contracts[name]
                asked[place][slot] = None
        tickers = dict(row for place in asked for row in self.ticker_rows(place, asked[place]))
        for channel, name in names.items():
            if channel.startswith(SPOTS):
                self._send_spot(channel.removeprefix(SPOTS), (session,))
            elif name in tickers:
                self._push_ticker(channel, tickers[name], (session,))

    def unsubscribe(self, session: DeriveSession, channel: str) -> None:
        """Remove a subscriber."""
        self._audience.remove(session, channel)

    def advance(self, step: Step) -> None:
        """Quote what the market quotes, by our own lights, and push what is due."""
        before_ns, now_ns = step.now_ns - self.market.step_ns, step.now_ns
        self._list(step.notices)
        for batch in step.quotes:
            for place, book in enumerate(self.books):
                if book.board is batch.board:
                    slots = np.unique(np.array(batch.slots, np.int64))
                    self._requote(place, slots[book.board.alive[slots]])
        if crosses(before_ns, now_ns, REFRESH_NS):
            for place, book in enumerate(self.books):
                self._mark_changed(place, np.flatnonzero(book.board.alive))
        for interval, pace_ns in PACES_NS.items():
            if crosses(before_ns, now_ns, pace_ns):
                self._send_tickers(interval)
        if crosses(before_ns, now_ns, SPOT_NS):
            self._send_spots()
        self._audience.deliver(self.market.now_ns)

    def ticker_rows(self, place: int, slots: Iterable[int]) -> list[tuple[str, Row]]:
        """Name and slim ticker of some options, of those that are alive."""
        book, names = self.books[place], self.names[place]
        chosen = book.board.trading(slots, self.market.now_ns)
        if not chosen:
            return []
        chosen_now = np.array(chosen, np.int64)
        rows = derive.ticker_rows(book, chosen_now, self.market.now_ns, self.stamp)
        return [(names[slot], row) for slot, row in zip(chosen, rows, strict=True)]

    def _list(self, notices: list[Notice]) -> None:
        """New and ended options: nobody is told, clients ask."""
        for place, mine in enumerate(self._listed.follow(notices)):
            created = [notice.number for notice in mine if notice.created]
            if created:
                self._requote(place, np.array(created, np.int64))

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
            wanted = [slot for slot, channel in channels.items() if channel in self._audience]
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
        price = number_text(self.market.boards[family.number].index_price)
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
        chosen = self._audience.of(channel) if sessions is None else sessions
        if not chosen or self.lies.silent:
            return
        frame = {"method": "subscription", "params": {"channel": channel, "data": data}}
        self._audience.send(channel, msgspec.json.encode(frame), self.market.now_ns, chosen)


def _option_of(channel: str) -> str:
    """What a ticker is about; strikes may have a decimal point."""
    return channel.removeprefix(TICKERS).rpartition(".")[0]
