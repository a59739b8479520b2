"""What adapters tell the engine.

The hot event, a top-of-book quote, is a plain method call; everything rarer is a tagged struct.
Both together are `EventSink`, the seam between ingestion and calculation: the engine implements
it in one process, an encoder to a stream implements it when a feed runs alone.

Prices are in the venue's own premium unit. An absent side is NaN, never 0.
Times are int nanoseconds UTC: `exchange_ns` by the venue's clock (0 unknown), `received_ns` ours.
"""

from typing import Protocol

from msgspec import Struct

from volgauge.domain.instrument import Asset, Instrument, Venue


class Event(Struct, frozen=True, kw_only=True, gc=False, tag=True):
    """Base of the rare events; the tag is the class name."""

    venue: Venue
    received_ns: int


class InstrumentsListed(Event, frozen=True, kw_only=True):
    """Options that may be quoted from now on; `slots[i]` is the dense number of `instruments[i]`.

    Slots are unique within a venue. A slot may be used again after its InstrumentsExpired.
    """

    slots: tuple[int, ...]
    instruments: tuple[Instrument, ...]


class InstrumentsExpired(Event, frozen=True, kw_only=True):
    """Options that are gone; their slots hold nothing from now on."""

    slots: tuple[int, ...]


class ForwardQuote(Event, frozen=True, kw_only=True):
    """Best bid and ask of the listed future that expires with the options."""

    asset: Asset
    quote_currency: str
    expiry_ns: int
    bid: float
    ask: float
    exchange_ns: int


class ForwardMark(Event, frozen=True, kw_only=True):
    """The venue's own forward of one expiry (e.g. a ticker's underlying price)."""

    asset: Asset
    quote_currency: str
    expiry_ns: int
    price: float
    """NaN withdraws what was told before."""
    exchange_ns: int


class IndexPrice(Event, frozen=True, kw_only=True):
    """Spot index of the venue."""

    asset: Asset
    quote_currency: str
    price: float
    exchange_ns: int


class OpenInterest(Event, frozen=True, kw_only=True):
    """Open interest of options, in units of the underlying."""

    slots: tuple[int, ...]
    amounts: tuple[float, ...]


class TradedVolume(Event, frozen=True, kw_only=True):
    """Volume of options over the last 24 hours, in units of the underlying."""

    slots: tuple[int, ...]
    amounts: tuple[float, ...]


class PerpetualState(Event, frozen=True, kw_only=True):
    """Funding and open interest of the venue's perpetual. Never an input of the index."""

    asset: Asset
    quote_currency: str
    """What it is quoted in; a venue may have one in USD and one in USDT."""
    funding_rate: float
    """Rate for 8 hours, decimal, positive when longs pay; NaN where the venue did not tell."""
    open_interest: float
    """Units of the underlying; NaN where the venue did not tell."""
    exchange_ns: int


class MarkQuote(Event, frozen=True, kw_only=True):
    """The venue's own marks. A cross-check; only mode `dvol` ever falls back to them."""

    slots: tuple[int, ...]
    prices: tuple[float, ...]
    """Premium unit; NaN where the venue tells a volatility without a price."""
    implied_vols: tuple[float, ...]
    """Fractions, the venue's convention; information only. NaN where there is none."""
    exchange_ns: int


class BookSnapshot(Event, frozen=True, kw_only=True):
    """Whole depth of one option; levels are (price, size), best first."""

    slot: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    exchange_ns: int


class BookDelta(Event, frozen=True, kw_only=True):
    """Changed levels of one option; size 0 deletes the level."""

    slot: int
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    exchange_ns: int


class Gap(Event, frozen=True, kw_only=True):
    """A sequence broke: the named slots hold nothing until they are quoted again."""

    slots: tuple[int, ...]
    reason: str


class FeedUp(Event, frozen=True, kw_only=True):
    """A connection is subscribed and its first data has come."""

    connection: str


class FeedDown(Event, frozen=True, kw_only=True):
    """A connection is lost: the slots it fed hold nothing until they are quoted again."""

    connection: str
    slots: tuple[int, ...]
    """May be empty: then no quote is lost."""
    reason: str
    feeds_forwards: bool = False
    """It alone fed the forwards and the marks of all the venue's options: they are lost too. An
    adapter whose forwards come with the quotes leaves this and withdraws those that are lost."""


class Coverage(Event, frozen=True, kw_only=True):
    """How much of the plan the venue accepted, after the retry of what it dropped."""

    connection: str
    requested: int
    accepted: int


class VenueState(Event, frozen=True, kw_only=True):
    """The venue locked an index or went into maintenance; `asset` None means all of it."""

    asset: Asset | None
    locked: bool
    maintenance: bool


class VenueVolIndex(Event, frozen=True, kw_only=True):
    """The venue's own volatility index, in volatility points. For comparison, never an input."""

    asset: Asset
    value: float
    exchange_ns: int


AnyEvent = (
    InstrumentsListed
    | InstrumentsExpired
    | ForwardQuote
    | ForwardMark
    | IndexPrice
    | OpenInterest
    | TradedVolume
    | PerpetualState
    | MarkQuote
    | BookSnapshot
    | BookDelta
    | Gap
    | FeedUp
    | FeedDown
    | Coverage
    | VenueState
    | VenueVolIndex
)


class EventSink(Protocol):
    """Where one venue's events go."""

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
        """Replace the top of book of one option. Sizes are in units of the underlying."""
        ...

    def event(self, event: AnyEvent) -> None:
        """Take one rare event."""
        ...
