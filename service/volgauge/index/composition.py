"""The books of an asset put together to one tenor: the first one that has a value makes it."""

from collections.abc import Sequence

from msgspec import Struct

from volgauge.domain.index import Reason, VenueValue
from volgauge.domain.instrument import Venue
from volgauge.index.band import error_band, quality
from volgauge.index.tenor import BookTenor
from volgauge.index.view import BookView


class Composition(Struct, frozen=True, gc=False):
    """One tenor of an asset at one instant, before it is judged."""

    book: BookView
    """Whose expiries make the value."""
    tenor: BookTenor
    u: float | None
    """Error band, points; None without a value or without a side of the market."""
    quality: float
    venue_count: int
    """Venues that contributed."""


def compose(parts: Sequence[tuple[BookView, BookTenor]]) -> Composition:
    """Put the books' tenors together.

    Args:
        parts: Every book with its tenor, at least one, in the order of the venues.
    """
    contributing = [part for part in parts if part[1].value is not None]
    book, tenor = (contributing or parts)[0]
    if tenor.value is None:
        return Composition(book, tenor, None, 0.0, 0)
    u = None
    if tenor.bid is not None and tenor.ask is not None:
        u = error_band(tenor.bid, tenor.ask, tenor.extrapolation, tenor.doubt)
    return Composition(
        book,
        tenor,
        u,
        0.0
        if u is None
        else quality(health=book.health, n_strikes=tenor.n_strikes, u=u, venue_count=1),
        1,
    )


def venue_values(
    parts: Sequence[tuple[BookView, BookTenor]], book: BookView, *, is_new: bool
) -> dict[Venue, VenueValue]:
    """What each venue said, and whether it counts; `is_new`: the value is that of `book`."""
    return {
        part.sink.venue: VenueValue(
            value=tenor.value,
            weight=1.0 if part is book and is_new else 0.0,
            state=_state(part, tenor, is_in=part is book and is_new),
        )
        for part, tenor in parts
    }


def _state(book: BookView, tenor: BookTenor, *, is_in: bool) -> str:
    if is_in:
        return "in"
    if book.held and book.is_alive:
        return "warming"
    return "out" if tenor.value is not None and tenor.reason is not Reason.FEED_DOWN else "down"
