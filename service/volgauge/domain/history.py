"""Candles: the values of a series over equal spans of time, and which values count."""

from collections.abc import Iterator

from msgspec import Struct

from volgauge.domain.index import IndexValue, Source, Status

RESOLUTIONS_SECONDS = (1, 60, 300, 900, 3_600, 14_400, 43_200, 86_400)
"""Each divides the next and the last is a day, so that every candle opens on a UTC boundary."""
MAX_CANDLES = 5_000
"""In one answer; a longer range is refused with the advice to take a coarser resolution."""

BID, ASK = "bid", "ask"
"""Parts of a headline: the band's edges. Every other part is a book, `okx` or `deribit:USDC`."""

_CARRIED = frozenset({Status.GUARD, Status.STALE, Status.HALTED, Status.WARMING})
"""Statuses whose `value`, if any, is an earlier one."""


class Candle(Struct, frozen=True, gc=False):
    """One span."""

    opened_s: int
    """Start, seconds since 1970-01-01 UTC, a multiple of the resolution."""
    open: float
    high: float
    low: float
    close: float


class CandleSeries(Struct, frozen=True, kw_only=True):
    """One answer."""

    asset: str
    series: str
    """Tenor label such as `30d`, volatility points; or `price`, quote currency. Of the headline
    also its parts, `30d.bid` or `30d.okx`, points: the close of a span is the last one in it."""
    source: Source
    resolution_seconds: int
    candles: tuple[Candle, ...]
    """Ascending; a span without any value is absent. The newest may still be growing."""
    gaps: tuple[tuple[int, int], ...] = ()
    """Spans of the range without a candle, [from, to) in seconds, ascending: from the oldest
    candle that is kept until the newest span that is over. Nothing was observed then."""


def observed(value: IndexValue) -> float | None:
    """The number that a record says of its own instant; None: none, or an earlier one's."""
    is_repeated = value.status in _CARRIED or value.reason is not None
    return None if is_repeated else value.value


def part_of(tenor: str, part: str) -> str:
    """Series of one part of a tenor's index: `30d.bid`, `30d.okx`."""
    return f"{tenor}.{part}"


def parts(value: IndexValue) -> Iterator[tuple[str, float | None]]:
    """What a record says besides its value, by part: the band's edges, then each book's number.

    None: the book has none now, or the record's own number is an earlier instant's, and then so
    may these be.
    """
    is_new = observed(value) is not None
    yield BID, value.bid if is_new else None
    yield ASK, value.ask if is_new else None
    for label, said in value.venues.items():
        yield label, said.value if is_new else None
