"""Facts about Derive's interface: addresses, limits, names; each with the page that says so.

Pages are of docs.derive.xyz/reference unless another source is named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

VENUE: Final = Venue("derive")
WS_URL: Final = "wss://api.lyra.finance/ws"
"""The production host still has the name of before ("Overview")."""
REST_URL: Final = "https://api.lyra.finance"
"""The same methods over GET ("Overview")."""
OFFICIAL_HOSTS: Final = frozenset({"api.lyra.finance"})
"""Production. `api-demo.lyra.finance` is the test network."""

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""The largest legitimate frame is the answer to a subscribe: it repeats every channel of the
session, 80 bytes for each of 4,000 options."""
MAX_STAMP: Final = 9_223_372_036_853
"""Milliseconds whose nanoseconds still fit 64 bits."""
MAX_SECONDS: Final = 9_223_372_036
"""The same in seconds; `scheduled_deactivation` spells "never" with more."""
MAX_NUMBER: Final = 1e15
"""No price and no size is larger; keeps infinity out too."""

REQUEST_CHANNELS: Final = 100
"""Channels in one subscribe."""
REQUESTS_PER_WINDOW: Final = 50
WINDOW_NS: Final = 5 * NANOS_PER_SECOND
"""Ten requests a second of one address, five times as many at once, replenished every five
seconds; websocket and REST together ("Rate limits")."""
REQUEST_BURST: Final = 15
REQUEST_REFILL_NS: Final = NANOS_PER_SECOND // 5
"""What we use of it over websockets: 40 in any window, the rest is for the catalog and pings."""
REQUEST_TIMEOUT_NS: Final = 10 * NANOS_PER_SECOND
PING_NS: Final = 25 * NANOS_PER_SECOND
"""There is no heartbeat in JSON. A request for the time keeps an idle connection, and its answer
shows that the other end lives."""
RATE_LIMIT_SECONDS: Final = 30.0

HOT_INTERVAL, WING_INTERVAL = "100", "1000"
"""Milliseconds between two tickers of an option; there are no others ("ticker_slim")."""
FORWARD_SPACING_NS: Final = NANOS_PER_SECOND // 10
"""Every ticker repeats the forward of its expiry; this is the cadence of one ticker."""
INDEX_SPACING_NS: Final = NANOS_PER_SECOND
GATHER_NS: Final = NANOS_PER_SECOND
"""Marks and open interest of many tickers go on together this often."""

PAGE_ROWS: Final = 1_000
"""The largest `page_size` ("Get All Instruments")."""
MAX_PAGES: Final = 45
"""4,000 options were listed in 2026: 40 pages where `page_size` is not honoured."""
INDEX_CURRENCY: Final = "USD"
"""Options rest on the index `BTC-USD`."""
PERPETUAL_CURRENCY: Final = "USDC"
"""Perpetuals are quoted and paid in it (`quote_currency` of "Get Ticker")."""
LISTING_DELAY_NS: Final = 5 * NANOS_PER_SECOND
"""No channel tells of new options: after an expiry the catalog is fetched this much later,"""
ROLL_NS: Final = NANOS_PER_MINUTE
ROLL_SPACING_NS: Final = 15 * NANOS_PER_SECOND
"""and for a minute this often."""
LAUNCH_DELAY_NS: Final = NANOS_PER_SECOND
SEVERE: Final = "high"
"""`severity` of an incident that stops us from using the venue ("Get Live Incidents")."""

RATE_LIMITED: Final = frozenset({-32000, -32100})
"""Rate limit exceeded, too many concurrent websocket clients ("Error Codes")."""
UNAVAILABLE: Final = frozenset({-32603, 9000, 9001, 16000})
"""Internal error, confirmation timeouts, restricted region ("Error Codes")."""
CHANNEL_REFUSED: Final = frozenset({-32602, 12000, 12001, 12002, 13000})
"""Invalid params, asset, instrument or currency not found, all channels invalid: in answer to a
subscribe these refuse its channels, not the session."""
ACCEPTED: Final = "ok"
"""`status` of a channel; anything else is the reason why not."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Derive's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", OFFICIAL_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", OFFICIAL_HOSTS
    )
