"""Facts about Binance's option interface: addresses, limits, names; each with its page.

Pages are of developers.binance.com/docs/derivatives/options-trading unless another source is
named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.adapters.base import ConnectBudget
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND

VENUE: Final = Venue("binance")
WS_URL: Final = "wss://fstream.binance.com"
"""Since 2025-12-17; the host before, nbstream, answers 404 ("Websocket Market Streams")."""
MARKET_ROUTE: Final = "/market/stream"
"""Marks, indices, open interest, new symbols. A stream on the other route is accepted, and
silent."""
PUBLIC_ROUTE: Final = "/public/stream"
"""Best prices, books, trades."""
REST_URL: Final = "https://eapi.binance.com"
FUTURES_REST_URL: Final = "https://fapi.binance.com"
"""Perpetuals are of another product, whose host is its own (derivatives/usds-margined-futures,
"General Info"). Of the test network both are one host."""
WS_HOSTS: Final = frozenset({"fstream.binance.com"})
REST_HOSTS: Final = frozenset({"eapi.binance.com"})
"""Production; the test network is none ("General Info")."""

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""One chain of marks has been seen with 246 KB: 752 options."""
MAX_STAMP: Final = 9_223_372_036_853
"""Milliseconds whose nanoseconds still fit 64 bits."""
MAX_NUMBER: Final = 1e15
"""No price and no size is larger; keeps infinity out too."""
MIN_UNIT: Final = 1e-6
MAX_UNIT: Final = 1e9
"""Coins in a contract: 1 to 1,000 have been seen."""
MAX_RATE: Final = 1.0
"""No interest rate is larger, either way: 0.056 was the largest seen."""

CONNECTS: Final = ConnectBudget(count=25, seconds=30.0)
"""These pages name no limit. The spot market has 300 in five minutes of one address ("Connection
limits" of binance-spot-api-docs): ten times thirty, and some room."""
MAX_STREAMS: Final = 200
"""Streams of one connection ("Websocket Market Streams")."""
REQUEST_STREAMS: Final = 100
"""Streams in one request: 3 KB; their number is our own choice."""
CAREFUL_STREAMS: Final = 10
"""Streams in a request that repeats refused ones."""
REQUEST_SPACING_NS: Final = NANOS_PER_SECOND // 4
"""Ten messages in a second, pongs included, and the venue hangs up ("Websocket Market Streams")."""
REQUEST_TIMEOUT_NS: Final = 10 * NANOS_PER_SECOND
LIFETIME_NS: Final = 24 * NANOS_PER_HOUR
"""A connection is closed after this long ("Websocket Market Streams"),"""
HANDOVER_NS: Final = LIFETIME_NS - 30 * NANOS_PER_MINUTE
"""so the next one is opened at this age,"""
HANDOVER_SPREAD_NS: Final = NANOS_PER_MINUTE
"""and one connection after another."""
RENEWAL_NS: Final = 30 * NANOS_PER_SECOND
"""A silent stream is asked for again no sooner."""
LAG_MILLIS: Final = 2_000
"""The chain is sent once a second; its prices may be older than a stream's by this much."""
GROWTH_NS: Final = NANOS_PER_MINUTE
"""How long the factor of an expiry's rate stands: it moves by 1e-7 meanwhile."""

DEPTHS: Final = (5, 10, 20)
"""Levels of the partial books ("Partial Book Depth Streams")."""
LISTING_DELAY_NS: Final = NANOS_PER_SECOND
"""After an expiry the catalog is fetched this much later."""
COALESCE_NS: Final = NANOS_PER_SECOND
"""The 08:00 UTC burst of new symbols is gathered for this long."""
MIN_REFRESH_NS: Final = 5 * NANOS_PER_SECOND
"""exchangeInfo has weight 1, mark 5, of 2,400 a minute ("General Info")."""

FUNDING_HOURS: Final = 8.0
"""Between two fundings of a perpetual that fundingInfo does not name: it names those that were
adjusted (usds-margined-futures, "Get Funding Rate Info")."""

LIVE_STATUS: Final = "TRADING"

RATE_LIMITED: Final = frozenset({-1003, -1015})
"""Too many requests, too many orders ("Error Codes")."""
UNAVAILABLE: Final = frozenset({-1000, -1001, -1006, -1007, -1008, -1016})
"""Unknown error, disconnected, unexpected answer, timeout, overload, shutting down ("Error
Codes")."""
RATE_LIMIT_SECONDS: Final = 60.0
"""Weights are counted by the minute."""
BAN_SECONDS: Final = 600.0
"""After 418, a ban of 2 minutes to 3 days, and 403 of the firewall ("General Info")."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Binance's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", WS_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", REST_HOSTS
    )
