"""Which channels the connection carries, and how they are cut into requests; pure functions."""

from collections.abc import Collection, Iterable, Mapping

from volgauge.adapters.aevo.listing import Listing
from volgauge.domain.instrument import Asset

CHAIN = "chain"
CONNECTIONS = (CHAIN,)
BOOKS, TICKERS, INDICES = "book-ticker", "ticker-500ms", "index"
_ALL_OPTIONS = "OPTION"

Plan = Mapping[str, Asset | None]
"""Channel to the coin whose tops it brings, None for the others; the order is that of subscribing.
"""


def make_plan(listing: Listing) -> Plan:
    """The channels, three a coin.

    The index is the pulse: it moves all the time, so silence means a dead feed even where no option
    is quoted for minutes. The book ticker quotes; the throttled one has the marks, and quotes what
    the other has not told of: no page says whether a subscription begins with the whole chain.
    """
    coins = sorted(listing.coins)
    channels: dict[str, Asset | None] = {f"{INDICES}:{coin}": None for coin in coins}
    channels |= {books_of(coin): coin for coin in coins}
    channels |= {f"{TICKERS}:{coin}:{_ALL_OPTIONS}": None for coin in coins}
    return channels


def books_of(coin: Asset) -> str:
    """The channel that brings all tops of a coin."""
    return f"{BOOKS}:{coin}:{_ALL_OPTIONS}"


def cut_request(channels: Iterable[str], retried: Collection[str]) -> list[str]:
    """All channels in one request; but what was refused is asked for alone.

    An error names no channel, so it refuses all of a request.
    """
    waiting = list(channels)
    fresh = [channel for channel in waiting if channel not in retried]
    return fresh or waiting[:1]
