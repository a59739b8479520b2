"""The evidence of one record: everything that its number rests on, to be recomputed by anyone.

A bundle is one JSON object. An absent number is null, an infinite one the string "inf" or "-inf";
every other number is written with the digits that give the same 64 bits again. Prices are in the
book's premium unit: the coin itself, or the quote currency.
"""

from math import inf, isinf, isnan, nan
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from volgauge.domain.index import IndexValue, Method
from volgauge.domain.instrument import Asset, Premium, Venue

EVIDENCE_VERSION = 1

Instant: TypeAlias = Annotated[int, Meta(ge=0, le=1 << 62)]
"""Nanoseconds since 1970, until 2116."""
Number: TypeAlias = float | Literal["inf", "-inf"] | None

RECIPE = """\
input_hash: SHA-256 (hex) over, for each venue used, its name (UTF-8) and the digests of the \
expiries used (`expiries` of the record), ascending. \
digest of an expiry: SHA-256 over, little-endian, an absent number being the NaN \
0x7ff8000000000000: asset/quote_currency (UTF-8); expiry_ns (int64); 1 if premium is coin, else 0 \
(one byte); borrowed_forward (float64); future, rate; memory (m, s); all strikes, ascending; of \
each strike tick_size, tick_above, tick_step of the call, then of the put (absent where not \
listed); of each strike one byte for the call and one for the put, 1 listed; of each listed \
option, strike by strike, call before put: bid, ask, bid_size, ask_size (float64), exchange_ns, \
received_ns (int64), first_forward, mark (float64).\
"""
"""How `input_hash` follows from a bundle; METHODOLOGY rule 22."""


class LegEvidence(Struct, frozen=True, kw_only=True, gc=False):
    """One listed option and its quote."""

    bid: Number
    ask: Number
    bid_size: Number
    ask_size: Number
    exchange_ns: Instant
    """The venue's time of the quote; 0 without one."""
    received_ns: Instant
    first_forward: Number
    """Forward of the expiry at the first evaluation after the quote (rule 3)."""
    mark: Number
    tick_size: Number
    tick_above: Number
    """Price above which `tick_step` replaces `tick_size`."""
    tick_step: Number


class StrikeEvidence(Struct, frozen=True, kw_only=True, gc=False):
    """One strike; null is an option that is not listed."""

    strike: float
    call: LegEvidence | None
    put: LegEvidence | None


class ExpiryEvidence(Struct, frozen=True, kw_only=True, gc=False):
    """One expiry's inputs."""

    expiry: str
    """ISO-8601 instant of `expiry_ns`."""
    expiry_ns: Instant
    future: Number
    """The venue's own forward."""
    rate: Number
    """Continuously compounded."""
    borrowed_forward: Number
    """ln F interpolated between the neighbours; null when the expiry has a forward of its own."""
    memory: tuple[Number, Number]
    """Outer parameters m and s of the curve, found by an earlier search (rule 10)."""
    digest: str
    """SHA-256 of all this; see `recipe` of the bundle."""
    strikes: tuple[StrikeEvidence, ...]
    """Ascending."""


class BookEvidence(Struct, frozen=True, kw_only=True, gc=False):
    """One option book's expiries."""

    venue: Venue
    label: str = ""
    """Key of `venues` in the record."""
    asset: Asset
    quote_currency: str
    premium: Premium
    methods: tuple[Method, ...]
    """Rules by which its expiries are computed."""
    expiries: tuple[ExpiryEvidence, ...]
    """Those that the record uses, ascending; all of them when it uses none."""


class Build(Struct, frozen=True, kw_only=True, gc=False):
    """The program and the machine; where both are the same, so is every bit."""

    engine: str
    methodology: str
    kernels: str
    """SHA-256 of the kernels' source."""
    python: str
    numpy: str
    numba: str
    llvm: str
    cpu: str
    """LLVM's name of the processor."""
    cpu_features: str
    """SHA-256 of LLVM's list of its features."""


class EvidenceBundle(Struct, frozen=True, kw_only=True, gc=False):
    """All of it."""

    v: int = EVIDENCE_VERSION
    record: IndexValue
    """As published, but for `prev_seq` and `published_ns`, which each sink sets."""
    at_ns: Instant
    """The instant of computation of the inputs below."""
    rests_on: int
    """`seq` of the record that these inputs were taken with: the record's own, or, while a status
    repeats the last accepted value, that value's."""
    books: tuple[BookEvidence, ...]
    build: Build
    recipe: str = RECIPE


def to_number(value: float) -> Number:
    """A float as a bundle writes it."""
    if isnan(value):
        return None
    if isinf(value):
        return "inf" if value > 0.0 else "-inf"
    return value


def from_number(value: Number) -> float:
    """What a bundle writes, as a float."""
    if value is None:
        return nan
    if isinstance(value, str):
        return inf if value == "inf" else -inf
    return value
