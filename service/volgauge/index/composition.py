"""The books of an asset put together to one tenor: METHODOLOGY §6, rules 16 to 18.

    value = sum of weight x value over `venues`; every other number with the same weights

What is remembered between recomputes is small and its effect stands in the record: which venues
are out, and how much liquidity each one showed over the last minutes.
"""

from collections.abc import Sequence
from math import exp, sqrt
from statistics import median, median_low

from msgspec import Struct
from msgspec.structs import replace

from volgauge.domain.index import Flag, Reason, VenueValue
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.band import error_band, quality
from volgauge.index.composite import (
    LARGEST_DISAGREEMENT,
    LARGEST_WEIGHT,
    LEAST_SCALE,
    Membership,
    cap_weights,
    confirmed_weights,
    disagreement,
    final_weights,
    huber_location,
    judgement,
    votes_of,
)
from volgauge.index.liquidity import liquidity_of
from volgauge.index.tenor import BookTenor
from volgauge.index.view import BookView

MEMORY_SECONDS = 300.0
"""Of the exponential average of a book's liquidity."""
RAMP_NS = 60 * NANOS_PER_SECOND
"""A book that joins the others later gains its weight over this time."""
MAJORITY = 0.5
"""A flag of some books is one of the composite when they carry this much of it."""


class Liquidity:
    """What each book of an asset showed near the money, averaged over five minutes."""

    def __init__(self) -> None:
        self._average: dict[str, float] = {}
        self._seen_ns = 0

    def observe(self, books: Sequence[BookView], now_ns: int) -> None:
        """Take what stands in the books now; once a second is enough."""
        elapsed = (now_ns - self._seen_ns) / NANOS_PER_SECOND
        self._seen_ns = now_ns
        share = 1.0 - exp(-elapsed / MEMORY_SECONDS)
        for book in books:
            now = liquidity_of(book)
            before = self._average.get(book.label)
            self._average[book.label] = now if before is None else before + share * (now - before)

    def of(self, label: str) -> float:
        """Vega-weighted size, units of the underlying; 0 before the first look."""
        return self._average.get(label, 0.0)


class Base(Struct, frozen=True, gc=False):
    """Books of at least two, weighed by what they show alone."""

    groups: list[int]
    """(n,) number of the venue."""
    votes: list[float]
    """(n,) see `votes_of`."""
    judged: float
    """How far they judge one another."""
    weights: list[float]
    """(n,) sum to 1."""


class Members:
    """Which books take part in one tenor, and since when."""

    __slots__ = ("_base", "_basis", "_begin_ns", "_since_ns", "membership")

    def __init__(self) -> None:
        self.membership = Membership()
        self._basis: object = None
        self._base = Base([], [], 0.0, [])
        """What came of `_basis`."""
        self._begin_ns: int | None = None
        self._since_ns: dict[str, int] = {}

    def shares(self, labels: Sequence[str], now_ns: int) -> list[float]:
        """(n,) how far each book with a value is in: 1 from the start, else over a minute."""
        if not labels:
            self._since_ns.clear()
            return []
        if self._begin_ns is None or not self._since_ns:
            self._begin_ns = now_ns
        for gone in self._since_ns.keys() - set(labels):
            del self._since_ns[gone]
        shares = []
        for label in labels:
            since_ns = self._since_ns.setdefault(label, now_ns)
            joined_late = since_ns - self._begin_ns > RAMP_NS
            shares.append(min(1.0, (now_ns - since_ns) / RAMP_NS) if joined_late else 1.0)
        # Someone must carry the value.
        return shares if any(shares) else [1.0] * len(shares)

    def base(self, venues: list[Venue], shares: list[float], liquid: list[float]) -> "Base":
        """Weights before anyone is judged; they move with the liquidity, once a second."""
        basis = (venues, shares, liquid)
        if basis != self._basis:
            self._basis = basis
            numbers = {venue: i for i, venue in enumerate(sorted(set(venues)))}
            groups = [numbers[venue] for venue in venues]
            votes = votes_of(shares, groups)
            judged = judgement(votes)
            weights = cap_weights(
                [share * size for share, size in zip(shares, liquid, strict=True)],
                groups,
                1.0 - judged * (1.0 - LARGEST_WEIGHT),
            )
            self._base = Base(groups, votes, judged, weights)
        return self._base


class Part(Struct, frozen=True, gc=False):
    """One book of a composition."""

    book: BookView
    tenor: BookTenor
    weight: float
    """Final: the composite is the sum of weight x value."""
    state: str
    """`in`, `out`, `warming` or `down`."""


class Composition(Struct, frozen=True, gc=False):
    """One tenor of an asset at one instant, before it is judged."""

    parts: tuple[Part, ...]
    """Every book, in the order of the venues."""
    tenor: BookTenor
    """The composite's numbers; of one book, that book's own."""
    u: float | None
    """Error band, points; None without a value or without a side of the market."""
    quality: float
    venue_count: int
    """Venues that contributed."""

    @property
    def contributing(self) -> tuple[Part, ...]:
        """The books that made the value; the first one where there is none."""
        return tuple(part for part in self.parts if part.state == "in") or self.parts[:1]


def compose(
    books: Sequence[tuple[BookView, BookTenor]],
    liquidity: Liquidity,
    members: Members,
    now_ns: int,
    strip_venue: Venue,
) -> Composition:
    """Put the books' tenors together.

    Args:
        books: Every book with its tenor, at least one, in the order of the venues.
        liquidity: Of the asset.
        members: Of the tenor.
        now_ns: The instant.
        strip_venue: Whose `strip` is published while it has one.
    """
    valued = {book.label: tenor.value for book, tenor in books if tenor.value is not None}
    out = members.membership.observe(valued, now_ns)
    chosen = [(b, t) for b, t in books if t.value is not None and b.label not in out]
    shares = members.shares([book.label for book, _ in chosen], now_ns)
    if not chosen:
        parts = tuple(Part(b, t, 0.0, _state(b, t)) for b, t in books)
        return Composition(parts, _why_none(books), None, 0.0, 0)
    weights = [1.0] if len(chosen) == 1 else _weights(chosen, shares, liquidity, members)
    by_label = dict(zip((b.label for b, _ in chosen), weights, strict=True))
    parts = tuple(
        Part(b, t, by_label[b.label], "in")
        if b.label in by_label
        else Part(b, t, 0.0, _state(b, t))
        for b, t in books
    )
    venues = len({book.sink.venue for book, _ in chosen})
    tenor = _blend(chosen, weights, strip_venue) if len(chosen) > 1 else chosen[0][1]
    tenor = _with_doubts(tenor, list(valued.values()), venues)
    u = None
    if tenor.bid is not None and tenor.ask is not None:
        u = error_band(tenor.bid, tenor.ask, tenor.extrapolation, tenor.doubt)
    health = sum(w * b.health for w, (b, _) in zip(weights, chosen, strict=True))
    grade = (
        0.0
        if u is None
        else quality(health=health, n_strikes=tenor.n_strikes, u=u, venue_count=venues)
    )
    return Composition(parts, tenor, u, grade, venues)


def venue_values(composed: Composition, *, is_new: bool) -> dict[Venue, VenueValue]:
    """What each book said, and whether it counts; `is_new`: the composition is published."""
    return {
        Venue(part.book.label): VenueValue(
            value=part.tenor.value,
            weight=part.weight if is_new else 0.0,
            state="out" if part.state == "in" and not is_new else part.state,
        )
        for part in composed.parts
    }


def _weights(
    chosen: Sequence[tuple[BookView, BookTenor]],
    shares: list[float],
    liquidity: Liquidity,
    members: Members,
) -> list[float]:
    """Final weights of at least two books with a value."""
    found = members.base(
        [b.sink.venue for b, _ in chosen], shares, [liquidity.of(b.label) for b, _ in chosen]
    )
    base, groups, votes, judged = found.weights, found.groups, found.votes, found.judged
    values = [tenor.value or 0.0 for _, tenor in chosen]
    errors = [e for _, tenor in chosen if (e := _error(tenor)) is not None]
    k = max(LEAST_SCALE, median(errors)) if errors else LEAST_SCALE
    confirmed = confirmed_weights(values, base, groups, votes, k) if judged > 0.0 else base
    if judged == 1.0:
        return confirmed
    plain = final_weights(values, base, k, huber_location(values, base, k))
    return [judged * c + (1.0 - judged) * p for c, p in zip(confirmed, plain, strict=True)]


def _error(tenor: BookTenor) -> float | None:
    if tenor.bid is None or tenor.ask is None:
        return None
    return error_band(tenor.bid, tenor.ask, tenor.extrapolation, tenor.doubt)


def _blend(
    chosen: Sequence[tuple[BookView, BookTenor]], weights: Sequence[float], strip_venue: Venue
) -> BookTenor:
    """Every number of at least two books with the final weights."""
    tenors = [tenor for _, tenor in chosen]
    value = weighted_mean([t.value for t in tenors], weights) or 0.0
    spread = disagreement([t.value or 0.0 for t in tenors], value)
    own = sum(w * t.doubt for w, t in zip(weights, tenors, strict=True))
    flagged = {flag for tenor in tenors for flag in tenor.flags}
    heavy = {
        flag
        for flag in flagged
        if sum(w for w, t in zip(weights, tenors, strict=True) if flag in t.flags) >= MAJORITY
    }
    return BookTenor(
        value=value,
        bid=weighted_mean([t.bid for t in tenors], weights),
        ask=weighted_mean([t.ask for t in tenors], weights),
        full=weighted_mean([t.full for t in tenors], weights),
        tail_lo=weighted_mean([t.tail_lo for t in tenors], weights),
        tail_hi=weighted_mean([t.tail_hi for t in tenors], weights),
        coin=weighted_mean([t.coin for t in tenors], weights),
        svix=weighted_mean([t.svix for t in tenors], weights),
        strip=_strip(chosen, weights, strip_venue),
        extrapolated=weighted_mean([t.extrapolated for t in tenors], weights),
        extrapolation=sum(w * t.extrapolation for w, t in zip(weights, tenors, strict=True)),
        doubt=sqrt(own * own + spread * spread),
        n_strikes=max(t.n_strikes for t in tenors),
        flags=frozenset(heavy),
    )


def weighted_mean(numbers: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """Weighted mean of those that are there, if they carry more than half; else None."""
    carried = total = 0.0
    for weight, number in zip(weights, numbers, strict=True):
        if number is not None:
            carried += weight
            total += weight * number
    return total / carried if carried > MAJORITY else None


def _strip(
    chosen: Sequence[tuple[BookView, BookTenor]], weights: Sequence[float], strip_venue: Venue
) -> float | None:
    """That of the named venue, else of the heaviest book that has one."""
    ranked = sorted(
        (
            (book.sink.venue == strip_venue, weight, -place, tenor.strip)
            for place, ((book, tenor), weight) in enumerate(zip(chosen, weights, strict=True))
            if tenor.strip is not None
        ),
        reverse=True,
    )
    return ranked[0][3] if ranked else None


def _with_doubts(tenor: BookTenor, values: Sequence[float], venues: int) -> BookTenor:
    """Flag what is far apart: two venues, or two and more of several (those that are out too)."""
    if len(values) < 2 or tenor.value is None:
        return tenor
    if venues <= 2 and len(values) == 2:
        far = max(values) / min(values) - 1.0 > LARGEST_DISAGREEMENT
    else:
        # A member of the values, also of an even number: two against two are told.
        middle = median_low(values)
        far = sum(abs(x / middle - 1.0) > LARGEST_DISAGREEMENT for x in values) >= 2
    if not far:
        return tenor
    return replace(tenor, flags=tenor.flags | {Flag.VENUES_DIFFER})


def _why_none(books: Sequence[tuple[BookView, BookTenor]]) -> BookTenor:
    """The reason of the first book that knows one beyond being silent, else of the first."""
    for _, tenor in books:
        if tenor.value is None and tenor.reason is not Reason.FEED_DOWN:
            return tenor
    return books[0][1]


def _state(book: BookView, tenor: BookTenor) -> str:
    if book.held and book.is_alive:
        return "warming"
    return "out" if tenor.value is not None and tenor.reason is not Reason.FEED_DOWN else "down"
