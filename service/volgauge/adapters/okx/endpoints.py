"""Facts about OKX's interface: addresses, limits, names; each with the page that says so.

Pages are of www.okx.com/docs-v5 unless another source is named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.adapters.base import ConnectBudget
from volgauge.domain.instrument import Venue

VENUE: Final = Venue("okx")
WS_URL: Final = "wss://ws.okx.com:8443/ws/v5/public"
"""Public channels ("Overview", "Production trading services"); candles live elsewhere."""
REST_URL: Final = "https://www.okx.com/api/v5"
WS_HOSTS: Final = frozenset({"ws.okx.com", "wseea.okx.com", "wsus.okx.com"})
"""Production hosts, of the EEA and of the US too; `wspap.okx.com` is demo trading."""
WS_PORTS: Final = frozenset({None, 443, 8443})
REST_HOSTS: Final = frozenset({"www.okx.com"})

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""One `opt-summary` push of a family has been seen with 600 KB."""
MAX_STAMP: Final = 9_223_372_036_853
"""Milliseconds whose nanoseconds still fit 64 bits."""
MAX_REQUEST_BYTES: Final = 65_536
""""The total length of multiple channels cannot exceed 64 KB" ("Subscribe")."""
REQUEST_BYTES: Final = 60_000
REQUEST_ARGS: Final = 500
"""What we use of that limit; the count is our own, an answer comes for each argument."""
REQUESTS_PER_HOUR: Final = 480
"""Subscribe, unsubscribe and login together, of one connection ("Connect")."""
REQUEST_BURST: Final = 120
REQUEST_REFILL_NS: Final = 10_000_000_000
"""120 at once and 360 an hour afterwards are 480 in any hour."""
REQUEST_SPACING_NS: Final = 300_000_000
"""Between two requests, so that what happens together is asked for together."""
CONNECTS: Final = ConnectBudget(count=3, seconds=1.5)
"""Three new connections a second of one address ("Connect"), and some room: what is sent a second
apart may arrive closer."""
PING, PONG = b"ping", b"pong"
"""Plain text, not JSON ("Connect")."""
PING_NS: Final = 20_000_000_000
"""A connection without a push and without a ping for 30 s is closed ("Connect")."""
REQUEST_TIMEOUT_NS: Final = 10_000_000_000
"""An argument without an answer for this long counts as dropped."""
RATE_LIMIT_SECONDS: Final = 60.0
HANDOVER_NOTICE: Final = "64008"
"""Sent about 60 s before a service upgrade closes the connection ("Notification")."""

SHALLOW_LEVELS: Final = 5
"""Depth of `books5`. `books` (400 levels) is recommended for fewer than 30 channels a connection
("Order book channel"), so it is used only for more than this."""

QUIET_REACH: Final = 0.015
LOUD_REACH: Final = 0.02
"""An option whose |delta| is nearer to 0 or 1 than the first is left to `tickers`, until it is
farther than the second: the far strikes are many and move little."""

CATALOG_TYPE: Final = "OPTION"
COALESCE_NS: Final = 1_000_000_000
"""The 08:00 UTC burst of the `instruments` channel is gathered for this long."""
MIN_REFRESH_NS: Final = 10_000_000_000
"""public/instruments and open-interest: 20 requests in 2 s an address; tick bands: 5 in 2 s."""
LISTING_DELAY_NS: Final = 1_000_000_000
"""After an expiry the catalog is fetched this much later."""

SWAP_CURRENCIES: Final = ("USD", "USDT")
"""A coin's perpetual swaps that are taken: paid in the coin, and in USDT ("Get instruments")."""

MARGINED: Final = "_UM"
"""Suffix of a family whose premium is in USD; its index is that of the family without it."""
LIVE_STATES: Final = frozenset({"live"})
"""`state` of an instrument that is traded; suspend, preopen, expired, settling, test are not."""

OK: Final = "0"
RATE_LIMITED: Final = frozenset({"50011", "50061", "60014", "60023"})
"""Rate limit reached, requests too frequent ("Error Code")."""
UNAVAILABLE: Final = frozenset({"50001", "50004", "50013", "50026", "63999", "64007"})
"""Temporarily unavailable, endpoint timeout, systems busy, system error, internal error."""
CHANNEL_REFUSED: Final = frozenset({"60018", "60029", "64003", "64004"})
"""Wrong URL or channel, whitelist only, fee tier too low: these refuse one argument, not the
session."""

MAINTAINED_SERVICES: Final = frozenset({"0", "4", "5", "8", "9"})
"""`serviceType` of a status: websocket, options, trading, trading by account or product."""
PRODUCTION: Final = frozenset({"", "1"})
"""`env` of a status; 2 is demo trading."""
IN_MAINTENANCE: Final = frozenset({"ongoing", "pre_open"})
"""`state` of a status in which nothing is matched; scheduled ones are not yet, completed and
canceled ones no longer."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are OKX's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", WS_HOSTS, WS_PORTS) and is_host_of(
        rest_url or REST_URL, "https", REST_HOSTS
    )
