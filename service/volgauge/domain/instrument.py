"""What is listed: venues, assets, option contracts."""

import enum
from typing import NewType

from msgspec import Struct

Venue = NewType("Venue", str)
"""Lower-case name of a venue. A string, not an enum: adding a venue adds a folder, nothing else."""

Asset = NewType("Asset", str)
"""Upper-case ticker of the underlying coin, as discovered from the listings."""


class OptionKind(enum.Enum):
    """Right of the holder."""

    CALL = "C"
    PUT = "P"


class Premium(enum.Enum):
    """What a premium is quoted in, per one unit of the underlying."""

    COIN = "coin"
    """The underlying itself: the premium is already the normalised forward price."""
    QUOTE = "quote"
    """The quote currency (USD, USDC, USDT); divide by the venue's own forward to normalise."""


class BookKey(Struct, frozen=True, order=True):
    """One option book: options that share a venue, an underlying and a premium currency."""

    venue: Venue
    asset: Asset
    quote_currency: str


class Instrument(Struct, frozen=True, kw_only=True, gc=False):
    """One listed European option, in the venue's own premium unit."""

    venue: Venue
    name: str
    """The exact string of the wire."""
    asset: Asset
    expiry_ns: int
    strike: float
    """Quote currency per unit of the underlying; fractional strikes exist."""
    kind: OptionKind
    premium: Premium
    quote_currency: str
    tick_size: float
    """Smallest price step, in the premium unit."""
    tick_above: float = float("inf")
    """Price above which `tick_step` replaces `tick_size`."""
    tick_step: float = float("nan")
    contract_size: float = 1.0
    """Units of the underlying per unit of size on the wire."""
    listed_ns: int | None = None
    """Creation time by the venue; None when the venue does not tell."""

    @property
    def book(self) -> BookKey:
        """The option book this contract belongs to."""
        return BookKey(self.venue, self.asset, self.quote_currency)
