"""What an option book is called in the records."""

from collections.abc import Iterable

from volgauge.domain.instrument import BookKey, Venue
from volgauge.surface.surface import Surface


def book_label(venue: Venue, surface: Surface, books: Iterable[BookKey]) -> str:
    """Key of `venues` in the index record.

    Args:
        venue: Whose book it is.
        surface: The book.
        books: All books of the venue.

    Returns:
        The venue; of several books of one asset those that are not in the coin say what they are
        quoted in (`okx:USD_UM`).
    """
    key = surface.key
    if surface.is_coin or sum(other.asset == key.asset for other in books) < 2:
        return venue
    return f"{venue}:{key.quote_currency}"
