"""Facts about Aevo's interface: addresses, limits, names; each with the page that says so.

Pages are of api-docs.aevo.xyz/reference unless another source is named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

VENUE: Final = Venue("aevo")
WS_URL: Final = "wss://ws.aevo.xyz"
"""One address for everything ("Managing Connection")."""
REST_URL: Final = "https://api.aevo.xyz"
OFFICIAL_HOSTS: Final = frozenset({"ws.aevo.xyz", "api.aevo.xyz"})
"""Production. `ws-testnet.aevo.xyz` and `api-testnet.aevo.xyz` are the test network."""

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""The largest legitimate frame has a whole chain with its marks: 900 bytes for each option."""
MAX_STAMP: Final = 2**63 - 1
"""Times are nanoseconds already, and text; nothing is multiplied."""
MAX_NUMBER: Final = 1e15
"""No price and no size is larger; keeps infinity out too."""
MAX_AHEAD_NS: Final = NANOS_PER_MINUTE
"""A stamp further ahead of our clock says nothing about the order of frames."""

REQUEST_BURST: Final = 5
REQUEST_REFILL_NS: Final = NANOS_PER_SECOND
"""There is no limit on subscriptions, and one on messages that no page puts in numbers; pings are
free ("Rate Limits"). A session needs two requests."""
REQUEST_TIMEOUT_NS: Final = 10 * NANOS_PER_SECOND
PING_NS: Final = 5 * NANOS_PER_MINUTE
"""A connection ends after 15 minutes without an operation ("Managing Connection")."""
DEFAULT_WAIT_SECONDS, LEAST_WAIT_SECONDS, MOST_WAIT_SECONDS = 30.0, 1.0, 300.0
"""`retry_after` of a refusal for speed is in nanoseconds ("Rate Limits"); these bound it."""

REFERENCE_SPACING_NS: Final = NANOS_PER_SECOND // 10
"""An index moves at any time; it and the forwards that follow it are handed on this often."""
BASIS_AGE_NS: Final = 10 * NANOS_PER_MINUTE
"""A forward's ratio to the index that was told longer ago than this is none."""
LAG_NS: Final = 2 * NANOS_PER_SECOND
"""The throttled ticker is half a second late; a top that it shows and that the book ticker has not
told for this long will not come."""
RENEWAL_NS: Final = 15 * NANOS_PER_SECOND
"""A channel is asked for anew no more often."""
MAX_EARLY: Final = 1_000
"""Tops of options that are not listed yet, kept until they are."""

LISTING_DELAY_NS: Final = 5 * NANOS_PER_SECOND
"""No channel tells of new options: after an expiry the catalog is fetched this much later,"""
ROLL_NS: Final = NANOS_PER_MINUTE
ROLL_SPACING_NS: Final = 15 * NANOS_PER_SECOND
"""and for a minute this often; no more often when an unknown option is quoted."""
WAKE_DELAY_NS: Final = NANOS_PER_SECOND
INDEX_CURRENCY: Final = "USD"
"""Of the index ("SUBSCRIBE Index": price in USD)."""
PERPETUAL_CURRENCY: Final = "USDC"
"""Perpetuals are paid in it ("GET /markets": quote_asset)."""
FUNDING_HOURS: Final = 1.0
"""Funding is paid every hour, and the rate is that of the hour ("Capped 1H Funding Rate",
docs.aevo.xyz, Perpetual Futures Funding Rate)."""

RATE_LIMITED: Final = frozenset({"RATE_LIMIT_EXCEEDED"})
UNAVAILABLE: Final = frozenset({"INTERNAL_ERROR", "MAINTENANCE_MODE_ENABLED", "MARKET_NOT_READY"})
CHANNEL_REFUSED: Final = frozenset({"CHANNEL_NOT_FOUND", "INVALID_ASSET", "INVALID_INSTRUMENT"})
"""In answer to a subscribe these refuse its channels, not the session ("Errors")."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Aevo's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", OFFICIAL_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", OFFICIAL_HOSTS
    )
