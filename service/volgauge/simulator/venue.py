"""The venue without sockets: applies steps of a source and hands frames to the subscribers.

`advance` does one step; `subscribe` and `unsubscribe` move sessions in and out. Frames are
appended to `Subscriber.out`; the server empties it.
"""

import random
from collections import defaultdict
from typing import Protocol

import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import deribit
from volgauge.simulator.board import Board, Notice, QuoteBatch, Source, Step, crosses, milliseconds
from volgauge.simulator.channels import FAST_MS, SLOW_MS, Channel, parse_channel
from volgauge.simulator.deribit import AbsentSide, Contract, Levels, Row
from volgauge.simulator.faults import Faults
from volgauge.simulator.recording import RecordingSource

FIRST_CHANGE_ID = 193_809_616_666
VOL_INDEX_ASSETS = ("BTC", "ETH")
"""The only two with a volatility index of the venue's own."""
_LAST_MINUTES_NS = 30 * 60 * NANOS_PER_SECOND


class Subscriber(Protocol):
    """Where frames go."""

    out: list[bytes]


class _Book:
    """One book channel's chain: what subscribers of the channel hold now."""

    def __init__(self, change_id: int, bids: Levels, asks: Levels) -> None:
        self.change_id = change_id
        self.bids = dict(bids)
        self.asks = dict(asks)


class Venue:
    """Boards, subscriptions and the frames between them."""

    def __init__(self, source: Source, *, absent: AbsentSide = "mixed", seed: int = 0) -> None:
        self.source = source
        self._tape = source if isinstance(source, RecordingSource) else None
        self.faults = Faults()
        self.locked: set[str] = set()
        """Names of price indices that stand still."""
        self.silent = False
        """No data at all; answers and heartbeats go on."""
        self.contracts: dict[str, Contract] = {}
        self.frames_sent = 0
        self._absent = absent
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._renderers = [deribit.QuoteRenderer(board, absent) for board in source.boards]
        self._listeners: defaultdict[str, list[Subscriber]] = defaultdict(list)
        self._channels: dict[str, Channel] = {}
        self._quoted: list[list[list[Subscriber]]] = [[] for _ in source.boards]
        self._timed: list[dict[int, defaultdict[int, list[Channel]]]] = [
            {FAST_MS: defaultdict(list), SLOW_MS: defaultdict(list)} for _ in source.boards
        ]
        self._dirty: list[dict[int, set[int]]] = [
            {FAST_MS: set(), SLOW_MS: set()} for _ in source.boards
        ]
        self._books: dict[str, _Book] = {}
        self._last_rows: dict[str, Row] = {}
        self._last_tops: dict[str, tuple[float, float, float, float]] = {}
        self._change_id = FIRST_CHANGE_ID
        self._number = {id(board): number for number, board in enumerate(source.boards)}
        for board in source.boards:
            self._learn(board)
        self.indices = frozenset(board.terms.index_name for board in source.boards)
        self.vol_indices = frozenset(
            board.terms.index_name
            for board in source.boards
            if board.terms.coin and board.terms.asset in VOL_INDEX_ASSETS
        )

    @property
    def stamp(self) -> int:
        """The venue's clock in ms, with the skew that is being injected."""
        return milliseconds(self.source.now_ns) + round(self.faults.clock_skew_ms)

    def find(self, name: str) -> Channel | None:
        """A valid channel by name; a recording knows what it holds."""
        if self._tape is not None and name in self._tape.channels:
            return Channel(name=name, topic="recorded")
        return parse_channel(name, self.contracts, self.indices, self.vol_indices)

    def subscribe(self, subscriber: Subscriber, channel: Channel) -> None:
        """Add a subscriber and send what the channel begins with."""
        self._listeners[channel.name].append(subscriber)
        self._channels[channel.name] = channel
        contract = channel.contract
        if contract is not None:
            number = self._number[id(contract.board)]
            if channel.topic == "quote" and contract.is_option:
                slots = self._quoted[number]
                while len(slots) <= contract.number:
                    slots.append([])
                slots[contract.number].append(subscriber)
            elif channel.interval_ms:
                known = self._timed[number][channel.interval_ms][contract.number]
                if channel not in known:
                    known.append(channel)
        first = self._first_frame(channel)
        if first is not None:
            subscriber.out.append(first)

    def unsubscribe(self, subscriber: Subscriber, channel: Channel) -> None:
        """Remove a subscriber."""
        _remove(self._listeners[channel.name], subscriber)
        contract = channel.contract
        emptied = not self._listeners[channel.name]
        if emptied:
            del self._listeners[channel.name]
            self._channels.pop(channel.name, None)
            self._books.pop(channel.name, None)
            self._last_rows.pop(channel.name, None)
            self._last_tops.pop(channel.name, None)
        if contract is None:
            return
        number = self._number[id(contract.board)]
        if channel.topic == "quote" and contract.is_option:
            _remove(self._quoted[number][contract.number], subscriber)
        elif channel.interval_ms and emptied:
            self._timed[number][channel.interval_ms][contract.number].remove(channel)

    def advance(self) -> Step:
        """One step of the source and all frames that follow from it."""
        before = self.source.now_ns
        step = self.source.advance()
        if self._tape is not None:
            for frame in step.frames:
                self._deliver(frame.channel, frame.payload)
            return step
        self._send_notices(step)
        for batch in step.quotes:
            self._send_quotes(batch)
        if crosses(before, step.now_ns, FAST_MS * NANOS_PER_MILLI):
            for board in self.source.boards:
                self._send_futures(board)
                self._send_timed(board, FAST_MS)
        if crosses(before, step.now_ns, SLOW_MS * NANOS_PER_MILLI):
            for board in self.source.boards:
                self._send_timed(board, SLOW_MS)
                self._send_second(board)
        return step

    def announce(self, data: Row) -> None:
        """A `platform_state` frame to everyone who listens."""
        self._emit("platform_state", data)

    def lock(self, *, locked: bool) -> None:
        """Stop or release all price indices, and say so."""
        self.locked = set(self.indices) if locked else set()
        for index in sorted(self.indices):
            self.announce({"price_index": index, "locked": locked})

    def order_book(self, contract: Contract) -> tuple[int, Levels, Levels]:
        """Change id, bids, asks as a REST answer shows them."""
        bids, asks = deribit.depth(contract)
        return self._change_id, bids, asks

    def _learn(self, board: Board) -> None:
        for contract in deribit.contracts_of(board):
            self.contracts.setdefault(contract.name, contract)

    def _send_notices(self, step: Step) -> None:
        for notice in step.notices:
            if notice.created:
                self._learn(notice.board)
            number = (
                notice.number if notice.kind == "option" else deribit.future_number(notice.number)
            )
            name = (
                notice.board.options[notice.number].name
                if notice.kind == "option"
                else notice.board.future_name(notice.number)
            )
            contract = self.contracts.get(name) or Contract(notice.board, number, name)
            self._send_notice(notice, contract)
            if notice.state == "delivered":
                self._send_expired(contract)
                self.contracts.pop(name, None)

    def _send_notice(self, notice: Notice, contract: Contract) -> None:
        currency = notice.board.terms.currency
        state = {
            "timestamp": self.stamp, "state": notice.state, "instrument_name": contract.name
        }  # fmt: skip
        for kind in (notice.kind, "any"):
            for where in (currency, "any"):
                self._emit(f"instrument.state.{kind}.{where}", state)
                channel = f"instrument.creation.{kind}.{where}"
                if notice.created and channel in self._listeners:
                    row = deribit.instrument_row(contract)
                    self._emit(channel, row | {"timestamp": self.stamp})

    def _send_expired(self, contract: Contract) -> None:
        """The last ticker of a contract says `expired` where a number stood."""
        for interval in ("100ms", "agg2"):
            channel = f"ticker.{contract.name}.{interval}"
            if channel in self._listeners:
                row = deribit.quote_data(contract, self.stamp, self._absent)
                price = contract.board.index_price
                self._emit(channel, row | {
                    "state": "delivered", "estimated_delivery_price": "expired",
                    "delivery_price": price, "index_price": price,
                })  # fmt: skip

    def _send_quotes(self, batch: QuoteBatch) -> None:
        number = self._number[id(batch.board)]
        quoted, render, stamp = self._quoted[number], self._renderers[number].render, self.stamp
        listened, sent = len(quoted), 0
        rows = zip(
            batch.slots, batch.bids, batch.asks, batch.bid_sizes, batch.ask_sizes, strict=True
        )
        for slot, bid, ask, bid_size, ask_size in rows:
            if slot >= listened:
                continue
            subscribers = quoted[slot]
            if subscribers and not self.silent:
                frame = render(slot, stamp, bid, ask, bid_size, ask_size)
                sent += len(subscribers)
                for subscriber in subscribers:
                    subscriber.out.append(frame)
        self.frames_sent += sent
        for interval, channels in self._timed[number].items():
            if channels:
                self._dirty[number][interval].update(batch.slots)

    def _send_futures(self, board: Board) -> None:
        """Futures and the perpetual: at most ten quotes a second, on change."""
        number = self._number[id(board)]
        names = [(deribit.PERPETUAL, f"{board.terms.prefix}-PERPETUAL")]
        names += [
            (deribit.future_number(index), board.future_name(index))
            for index in board.living_expiries()
            if board.has_futures[index]
        ]
        for dirty in self._dirty[number].values():
            dirty.update(place for place, _ in names)
        for place, name in names:
            channel = f"quote.{name}"
            if channel in self._listeners:
                contract = Contract(board, place, name)
                top = deribit.top_of_book(contract)
                if self._last_tops.get(channel) != top:
                    self._last_tops[channel] = top
                    self._emit(channel, deribit.quote_data(contract, self.stamp, self._absent))

    def _send_timed(self, board: Board, interval: int) -> None:
        number = self._number[id(board)]
        dirty, self._dirty[number][interval] = self._dirty[number][interval], set()
        wanted = self._timed[number][interval]
        channels = [channel for place in sorted(dirty) for channel in wanted.get(place, ())]
        tickers = [c for c in channels if c.topic in {"ticker", "incremental"}]
        contracts = [c.contract for c in tickers if c.contract is not None]
        if contracts:
            rows = deribit.ticker_rows(contracts, self.source.now_ns, self.stamp, self._absent)
            for channel, row in zip(tickers, rows, strict=True):
                self._send_ticker(channel, row)
        for channel in channels:
            if channel.topic == "book":
                self._send_change(channel)
            elif channel.topic == "grouped":
                self._emit(channel.name, self._grouped(channel))

    def _send_ticker(self, channel: Channel, row: Row) -> None:
        if channel.topic == "incremental":
            last = self._last_rows.get(channel.name, {})
            self._last_rows[channel.name] = row
            changed = {name: value for name, value in row.items() if last.get(name) != value}
            row = {"type": "change", "instrument_name": row["instrument_name"], **changed}
        self._emit(channel.name, row)

    def _send_change(self, channel: Channel) -> None:
        """A `change` of a book channel, linked to the frame before by `prev_change_id`."""
        if channel.contract is None:
            return
        book = self._books[channel.name]
        bids, asks = deribit.depth(channel.contract)
        changes = [_differences(old, new) for old, new in ((book.bids, bids), (book.asks, asks))]
        if not any(changes):
            return
        previous = book.change_id
        self._books[channel.name] = _Book(self._next_change_id(), bids, asks)
        if self.faults.book_gap and self._random.random() < self.faults.book_gap:
            return
        self._emit(
            channel.name,
            {
                "timestamp": self.stamp,
                "type": "change",
                "change_id": self._books[channel.name].change_id,
                "instrument_name": channel.contract.name,
                "bids": changes[0],
                "asks": changes[1],
                "prev_change_id": previous,
            },
        )

    def _grouped(self, channel: Channel) -> Row:
        if channel.contract is None:
            raise ValueError(f"expected a book channel, received {channel.name}")
        bids, asks = deribit.depth(channel.contract)
        return {
            "timestamp": self.stamp,
            "change_id": self._next_change_id(),
            "instrument_name": channel.contract.name,
            "bids": bids[: channel.depth],
            "asks": asks[: channel.depth],
        }

    def _send_second(self, board: Board) -> None:
        """What comes once a second: indices, marks, states."""
        index = board.terms.index_name
        if board.exact:
            # Futures of a file never change: say them again, as a living venue would.
            for expiry in board.living_expiries():
                self._last_tops.pop(f"quote.{board.future_name(expiry)}", None)
        if index not in self.locked:
            self._emit_topic("price_index", index)
        self._emit_topic("vol_index", index)
        self._emit_topic("marks", index)
        self._emit_topic("expiration_price", index)
        self._emit(
            "platform_state",
            {"locked": index in self.locked, "price_index": index, "reasons": []},
        )

    def _emit_topic(self, topic: str, index: str) -> None:
        name = _INDEX_CHANNELS[topic] + index
        if name in self._listeners:
            data = self._index_data(topic, index)
            if data is not None:
                self._emit(name, data)

    def _index_data(self, topic: str, index: str) -> object | None:
        board = next(b for b in self.source.boards if b.terms.index_name == index)
        match topic:
            case "price_index":
                return {"index_name": index, "price": board.index_price, "timestamp": self.stamp}
            case "vol_index" if not np.isnan(board.vol_index):
                return {
                    "volatility": round(board.vol_index, 2),
                    "timestamp": self.stamp,
                    "index_name": index,
                }
            case "marks":
                return deribit.mark_price_data(board, self.source.now_ns, self.stamp)
            case "expiration_price":
                return self._expiration_price(board)
            case _:
                return None

    def _expiration_price(self, board: Board) -> Row | None:
        living = board.living_expiries()
        left = board.expiries[living[0]].expiry_ns - self.source.now_ns if living else 0
        if not 0 < left <= _LAST_MINUTES_NS:
            return None
        seconds = left // NANOS_PER_SECOND
        return {"is_estimated": True, "price": board.index_price, "seconds": seconds}

    def _first_frame(self, channel: Channel) -> bytes | None:
        """What a new subscriber of a channel gets at once."""
        if self._tape is not None:
            return self._tape.first_frame(channel.name)
        contract = channel.contract
        if contract is None:
            if channel.index and channel.index not in self.locked:
                data = self._index_data(channel.topic, channel.index)
                return None if data is None else deribit.notification(channel.name, data)
            return None
        match channel.topic:
            case "quote":
                data = deribit.quote_data(contract, self.stamp, self._absent)
            case "ticker" | "incremental":
                data = deribit.ticker_rows(
                    [contract], self.source.now_ns, self.stamp, self._absent
                )[0]
                if channel.topic == "incremental":
                    self._last_rows[channel.name] = data
                    data = {"type": "snapshot", **data}
            case "grouped":
                data = self._grouped(channel)
            case _:
                data = self._snapshot(channel, contract)
        return deribit.notification(channel.name, data)

    def _snapshot(self, channel: Channel, contract: Contract) -> Row:
        book = self._books.get(channel.name)
        if book is None:
            book = _Book(self._next_change_id(), *deribit.depth(contract))
            self._books[channel.name] = book
        return {
            "timestamp": self.stamp,
            "type": "snapshot",
            "change_id": book.change_id,
            "instrument_name": contract.name,
            "bids": [["new", price, size] for price, size in book.bids.items()],
            "asks": [["new", price, size] for price, size in book.asks.items()],
        }

    def _next_change_id(self) -> int:
        """One counter for the whole engine: it jumps."""
        self._change_id += self._random.randrange(1, 40_000)
        return self._change_id

    def _emit(self, channel: str, data: object) -> None:
        if channel in self._listeners and not self.silent:
            self._deliver(channel, deribit.notification(channel, data))

    def _deliver(self, channel: str, frame: bytes) -> None:
        subscribers = self._listeners.get(channel, ())
        self.frames_sent += len(subscribers)
        for subscriber in subscribers:
            subscriber.out.append(frame)


_INDEX_CHANNELS = {
    "price_index": "deribit_price_index.",
    "vol_index": "deribit_volatility_index.",
    "marks": "markprice.options.",
    "expiration_price": "estimated_expiration_price.",
}


def _differences(old: dict[float, float], new: Levels) -> list[list[object]]:
    fresh = dict(new)
    gone: list[list[object]] = [["delete", price, 0.0] for price in old if price not in fresh]
    for price, size in fresh.items():
        if price not in old:
            gone.append(["new", price, size])
        elif old[price] != size:
            gone.append(["change", price, size])
    return gone


def _remove(subscribers: list[Subscriber], subscriber: Subscriber) -> None:
    subscribers[:] = [other for other in subscribers if other is not subscriber]
