"""Damage for frames, and a sink that lets nothing senseless by: for fuzzing decoders."""

import copy
import json
import random
from collections.abc import Sequence
from math import inf, isnan
from typing import Any

from typing_extensions import override

from fakes.deribit_lab import NOW_NS, Sink
from volgauge.domain.events import (
    AnyEvent,
    BookDelta,
    BookSnapshot,
    ForwardMark,
    ForwardQuote,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueVolIndex,
)

TOKENS = [
    b"null", b"NaN", b"Infinity", b"-1", b"0", b"0.0", b"1e999", b"-0.0", b"1e-320", b'""', b'"0"',
    b"true", b"[]", b"{}", b"9" * 40, b"[" * 2_000, b"\xff", b"\x00", b'"expired"', b"1.5",
    b"9223372036854775808", b"-9223372036854775809", b'"\\ud800"', b",", b":", b"}", b'{"a":',
]  # fmt: skip
VALUES: list[Any] = [
    None, 0, 0.0, -1, -1.5, 1e308, -1e308, 1e-320, 2**53, 2**63, -(2**63), 10**30, "", "0", "x",
    "null", True, False, [], {}, [[]], [None], {"a": 1}, "snapshot", "change", "-1", "nan", "1e999",
    "\u221e", "4611686018427388",
]  # fmt: skip


class StrictSink(Sink):
    """Lets nothing senseless by; keeps nothing, so that a million cases fit."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: set[int] = set()

    @override
    def quote(
        self,
        slot: int,
        bid: float,
        ask: float,
        bid_size: float,
        ask_size: float,
        exchange_ns: int,
        received_ns: int,
    ) -> None:
        """NaN, or positive and finite; a price has a size and the other way round."""
        assert slot in self.listed
        for value in (bid, ask, bid_size, ask_size):
            assert isnan(value) or 0.0 < value < inf
        assert isnan(bid) == isnan(bid_size)
        assert isnan(ask) == isnan(ask_size)
        assert 0 <= exchange_ns < 2**63
        assert received_ns == NOW_NS

    @override
    def event(self, event: AnyEvent) -> None:
        """The same of the rare events."""
        values: list[float] = []
        match event:
            case InstrumentsListed():
                assert self.listed.isdisjoint(event.slots)
                self.listed.update(event.slots)
                values = [i.strike for i in event.instruments]
            case InstrumentsExpired():
                assert self.listed.issuperset(event.slots)
                self.listed.difference_update(event.slots)
            case ForwardQuote():
                values = [v for v in (event.bid, event.ask) if not isnan(v)]
            case ForwardMark() | IndexPrice():
                values = [event.price]
            case VenueVolIndex():
                values = [event.value]
            case MarkQuote():
                assert set(event.slots) <= self.listed
                values = [price for price in event.prices if not isnan(price)]
            case OpenInterest():
                assert set(event.slots) <= self.listed
                values = [amount for amount in event.amounts if amount]
            case BookSnapshot() | BookDelta():
                assert event.slot in self.listed
                values = [price for price, _ in event.bids + event.asks]
                assert all(0.0 <= size < inf for _, size in event.bids + event.asks)
            case _:
                pass
        assert all(0.0 < v < inf for v in values), event
        stamp = getattr(event, "exchange_ns", 0)
        assert isinstance(stamp, int)
        assert 0 <= stamp < 2**63


def damage_bytes(frame: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat, swap or insert, one to three times."""
    data = bytearray(frame)
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.randint(1, 12))
        match rng.randrange(6):
            case 0 if data:
                data[place % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                del data[place:end]
            case 2:
                del data[place:]
            case 3:
                data[place:place] = data[place:end]
            case 4:
                data[place:end] = rng.choice(TOKENS)
            case _:
                data[place:place] = rng.choice(TOKENS)
    return bytes(data)


def damage_tree(
    tree: Any,  # noqa: ANN401 - any JSON value
    rng: random.Random,
    values: Sequence[object],
) -> bytes:
    """Replace, drop, repeat or rename one member somewhere in the tree, one to three times."""
    for _ in range(rng.randint(1, 3)):
        node = tree
        while True:
            if not isinstance(node, dict | list) or not node:
                break
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = rng.choice(keys)
            child = node[key]
            if isinstance(child, dict | list) and child and rng.random() < 0.8:
                node = child
                continue
            match rng.randrange(4):
                case 0:
                    del node[key]
                case 1 if isinstance(node, list):
                    node.append(copy.deepcopy(child))
                case 2 if isinstance(node, dict):
                    node[rng.choice(keys)] = copy.deepcopy(child)
                case _:
                    node[key] = copy.deepcopy(rng.choice(values))
            break
    return json.dumps(tree).encode()


def damage(frame: bytes, rng: random.Random, words: Sequence[str] = ()) -> bytes:
    """Half of the damage keeps the frame JSON, so that it comes further in.

    Args:
        frame: What is damaged.
        rng: Decides how.
        words: Names of the venue, which may come to stand anywhere.
    """
    if rng.random() < 0.5:
        return damage_bytes(frame, rng)
    return damage_tree(json.loads(frame), rng, [*VALUES, *words])
