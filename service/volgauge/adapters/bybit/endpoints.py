"""Facts about Bybit's interface: addresses, limits, names; each with the page that says so.

Pages are of bybit-exchange.github.io/docs/v5 unless another source is named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.adapters.base import ConnectBudget
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

VENUE: Final = Venue("bybit")
WS_URL: Final = "wss://stream.bybit.com/v5/public/option"
"""USDT and USDC options ("Connect")."""
REST_URL: Final = "https://api.bybit.com"
"""("Integration Guidance")."""
OFFICIAL_WS_HOSTS: Final = frozenset(
    {
        "stream.bybit.com",
        "stream.bybit.kz",
        "stream.bybit.tr",
        "stream.bybit.id",
        "stream.bybitgeorgia.ge",
        "stream.manepa.jp",
    }
)
"""Production and its regional doors ("Connect"). The test network is none."""
OFFICIAL_REST_HOSTS: Final = frozenset({"api.bybit.com", "api.bybit.kz"})
"""("Rate Limit", which counts them as one)."""

MAX_FRAME_BYTES: Final = 1024 * 1024
"""The largest legitimate frame, the answer to a request of 200 topics, has 10 KB."""
MAX_STAMP: Final = 9_223_372_036_853
"""Milliseconds whose nanoseconds still fit 64 bits."""
MAX_NUMBER: Final = 1e15
"""No price and no size is larger; keeps infinity out too."""

CONNECTS: Final = ConnectBudget(count=40, seconds=30.0)
"""500 new connections in five minutes of one address ("Rate Limit"): ten times fifty, and some
room."""
MAX_CHARACTERS: Final = 21_000
"""All `args` of one connection together ("Connect", Args limits)."""
USED_CHARACTERS: Final = 20_000
"""What we use of it: nobody says whether brackets and spaces count."""
MAX_TOPICS: Final = 2_000
"""Topics of one connection, options only ("Connect", Args limits)."""
REQUEST_TOPICS: Final = 200
"""Topics in one request: 8 KB, and one bad topic refuses no more than these."""
CAREFUL_TOPICS: Final = 10
"""Topics in a request that repeats refused ones; the limit that spot has ("Connect")."""
REQUEST_SPACING_NS: Final = NANOS_PER_SECOND // 10
"""No rate of subscribing is published; ten requests a second a connection annoy nobody."""
REQUEST_TIMEOUT_NS: Final = 10 * NANOS_PER_SECOND
PING_NS: Final = 20 * NANOS_PER_SECOND
"""An `op` of JSON; protocol pings do not count ("How to Send the Heartbeat Packet")."""
RENEWAL_NS: Final = 10 * NANOS_PER_SECOND
"""A book that breaks again is asked for no sooner; its ticker quotes meanwhile."""
STALLED_MILLIS: Final = 2_000
"""A book that tickers have contradicted for this long is taken for dead."""

TOLD_NS: Final = 10 * NANOS_PER_SECOND
"""A ticker this old no longer stands in for a book that broke."""

BOOK_DEPTH: Final = 25
"""`orderbook.25`, pushed every 20 ms; the other depth of options is 100 ("Orderbook")."""
MAX_LEVELS: Final = 4 * BOOK_DEPTH
"""More a side and the book no longer is what it says: memory stays bounded."""
FORWARD_SPACING_NS: Final = NANOS_PER_SECOND // 10
"""Every ticker repeats the forward of its expiry; this is the cadence of one ticker."""
INDEX_SPACING_NS: Final = NANOS_PER_SECOND
GATHER_NS: Final = NANOS_PER_SECOND
"""Marks and open interest of many tickers go on together this often."""

PAGE_ROWS: Final = 1_000
"""`limit` of /v5/market/instruments-info ("Get Instruments Info")."""
MAX_PAGES: Final = 40
"""More pages than this is a cursor that turns in a circle."""
MAX_CURSOR: Final = 1_000
PERPETUALS: Final = {"linear": "USDT", "inverse": "USD"}
"""Category of a coin's perpetual to its quote currency: `BTCUSDT`, `BTCUSD` ("Get Tickers")."""
ALL_COINS: Final = "All"
"""`baseCoin` that lists every option, since 2026-09-10 ("Changelog")."""
LISTING_DELAY_NS: Final = 5 * NANOS_PER_SECOND
"""No topic tells of new options: after an expiry the catalog is fetched this much later,"""
ROLL_NS: Final = NANOS_PER_MINUTE
ROLL_SPACING_NS: Final = 15 * NANOS_PER_SECOND
"""and for a minute this often."""
LAUNCH_DELAY_NS: Final = NANOS_PER_SECOND

LIVE_STATUS: Final = "Trading"
COMING_STATUS: Final = "PreLaunch"
"""("Enums", status.)"""
MARKET_DATA: Final = 5
OPTIONS: Final = 3
PRODUCTION: Final = "1"
ONGOING: Final = "ongoing"
"""serviceTypes, product, env and state of a maintenance ("Enums")."""

RATE_LIMITED: Final = frozenset({10006, 10018, 20003})
"""Too many visits of a user, of an address, of a websocket session ("Error Codes")."""
UNAVAILABLE: Final = frozenset({10000, 10016})
"""Server timeout, server error ("Error Codes")."""
TOO_FREQUENT: Final = b"access too frequent"
"""In the body of HTTP 403; another 403 is a country the venue does not serve."""
BAN_SECONDS: Final = 600.0
"""Least pause after it ("Rate Limit")."""
ALREADY_SUBSCRIBED: Final = "already subscribed"


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Bybit's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", OFFICIAL_WS_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", OFFICIAL_REST_HOSTS
    )
