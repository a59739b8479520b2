"""What an explanation consists of, and the computed expiries that it is made from."""

from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from volgauge.domain.evidence import BookEvidence, EvidenceBundle, ExpiryEvidence
from volgauge.domain.instrument import OptionKind, Venue
from volgauge.domain.units import parse_instant
from volgauge.index.bundle import surface_of
from volgauge.kernels import layout as col
from volgauge.surface.surface import METHOD_ROW, Surface

Cause: TypeAlias = Literal["time", "forward", "quote", "fit", "term", "weight"]


class Part(Struct, frozen=True, kw_only=True):
    """What one strike adds to the value, in volatility points."""

    venue: Venue
    expiry: str
    strike: float
    kind: OptionKind
    """The out-of-the-money leg."""
    bid: float | None
    """Its quote, premium unit."""
    ask: float | None
    points: float
    """fit + residual + extrapolation."""
    fit: float
    """By the curve, between the outermost strikes used."""
    residual: float
    """By what the quotes say beside the curve."""
    extrapolation: float
    """By the curve, beyond the outermost strike used."""


class ExpiryPart(Struct, frozen=True, kw_only=True):
    """What one expiry adds to the value, in volatility points."""

    venue: Venue
    expiry: str
    weight: float
    forward: float | None
    points: float
    puts: float
    calls: float
    term: float
    """Of `points`: what pooling or carrying (rules 9 and 14) adds to its own strikes."""


class Level(Struct, frozen=True, kw_only=True):
    """Why a value is where it is."""

    kind: Literal["level"] = "level"
    code: str
    seq: int
    computed_ns: int
    value: float | None
    reason: str | None
    """Why there is no value; then there are no parts."""
    expiries: tuple[ExpiryPart, ...]
    """They sum to the value."""
    strikes: tuple[Part, ...]
    """They and the expiries' `term` sum to the value."""


class PlaceMove(Struct, frozen=True, kw_only=True):
    """What one side of one expiry added to a move, in volatility points."""

    venue: Venue
    expiry: str
    side: Literal["put", "call", "term", "weight"]
    """`weight`: of a whole book, whose weight in the composite changed; then `expiry` is empty."""
    points: float


class StrikeMove(Struct, frozen=True, kw_only=True):
    """What one strike added to a move, in volatility points."""

    venue: Venue
    expiry: str
    strike: float
    kind: OptionKind
    points: float


class CauseMove(Struct, frozen=True, kw_only=True):
    """What one cause added to a move, in volatility points."""

    cause: Cause
    venue: Venue
    expiry: str
    points: float
    strike: float | None = None
    """Of `quote`: whose quote changed."""
    option: OptionKind | None = None
    before: tuple[float | None, float | None] | None = None
    """Its bid and ask then, premium unit."""
    after: tuple[float | None, float | None] | None = None


class Move(Struct, frozen=True, kw_only=True):
    """Why a value is no longer where it was."""

    kind: Literal["move"] = "move"
    code: str
    from_seq: int
    to_seq: int
    from_ns: int
    to_ns: int
    before: float | None
    after: float | None
    difference: float | None
    """None when one of the two has no value; then there are no parts."""
    places: tuple[PlaceMove, ...]
    """They sum to the difference."""
    strikes: tuple[StrikeMove, ...]
    """They and the places of side `term` and `weight` sum to the difference."""
    totals: dict[Cause, float]
    """By cause; they sum to the difference."""
    causes: tuple[CauseMove, ...]
    """They sum to the difference."""


class Used(Struct, frozen=True):
    """One expiry that a record rests on, computed."""

    book: BookEvidence
    evidence: ExpiryEvidence
    surface: Surface
    row: int
    weight: float
    own: float
    """Total variance by its own strikes; NaN without."""
    variance: float
    """The one that was used."""

    @property
    def key(self) -> tuple[Venue, str, int]:
        """What names it in every bundle."""
        return self.book.venue, self.book.quote_currency, self.evidence.expiry_ns


def used_of(bundle: EvidenceBundle) -> list[Used]:
    """The expiries of a record, each computed in a book of its own."""
    record = bundle.record
    method = METHOD_ROW[record.mode]
    used = []
    for published in record.expiries:
        instant = parse_instant(published.expiry)
        inputs = (
            (book, expiry)
            for book in bundle.books
            for expiry in book.expiries
            if book.label == published.book and expiry.expiry_ns == instant
        )
        found = next(inputs, None)
        if found is None:
            continue
        book, evidence = found
        alone = replace(book, expiries=(evidence,))
        surface = surface_of(alone, bundle.at_ns)
        row = surface.expiries.index(instant)
        own = float(surface.values[method, row, col.TOTAL_VARIANCE])
        pooled = published.pooled_variance
        variance = own if pooled is None else pooled
        used.append(Used(alone, evidence, surface, row, published.weight, own, variance))
    return used


def value_of(one: Used, method: int, column: int) -> float:
    """One column of an expiry's results."""
    return float(one.surface.values[method, one.row, column])


def either(a: Used | None, b: Used | None) -> Used:
    """The one that there is, the first of both."""
    found = a or b
    if found is None:
        raise RuntimeError("expected an expiry of one of the two")
    return found
