"""What every catalog has: bodies that may be missing, refusals by HTTP status alone."""

from collections.abc import Callable, Iterable, Mapping

from volgauge.domain.instrument import Instrument, Venue
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable


def require_body(venue: Venue, bodies: Mapping[str, bytes], name: str) -> bytes:
    """A body that a listing cannot do without.

    Raises:
        CatalogError: It is missing.
    """
    body = bodies.get(name)
    if body is None:
        raise CatalogError(venue, f"{name}: no such body")
    return body


def refused_by_status(venue: Venue, status: int) -> VenueError:
    """What an HTTP status means where the body tells nothing more."""
    if status == 429:
        return RateLimited(venue, "HTTP 429")
    if status >= 500:
        return VenueUnavailable(venue, f"HTTP {status}")
    return CatalogError(venue, f"HTTP {status}")


def check_not_lost(
    venue: Venue,
    held: Iterable[Instrument],
    listed: Iterable[Instrument],
    now_ns: int,
    group_of: Callable[[Instrument], str],
) -> None:
    """Options that have not expired cannot all be gone: such a body is no listing.

    Args:
        venue: Whose.
        held: What was listed before.
        listed: What is said to be listed now.
        now_ns: The instant.
        group_of: The venue's word for what must not lose all its options at once; the same for all
            options of an asset in a quote currency.

    Raises:
        CatalogError: A group has none any more.
    """
    alive = {(i.asset, i.quote_currency): i for i in held if i.expiry_ns > now_ns}
    found = {(i.asset, i.quote_currency): i for i in listed}
    lost = set(map(group_of, alive.values())) - set(map(group_of, found.values()))
    if lost:
        raise CatalogError(venue, f"expected options of {', '.join(sorted(lost))}, found none")
