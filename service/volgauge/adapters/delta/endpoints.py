"""Facts about Delta Exchange's interface: addresses, limits, names; each with its page.

Pages are sections of docs-global.delta.exchange (of 2026-01, the last that is kept) unless another
source is named; docs.delta.exchange is India's. "Probed" is what a third party measured on the
public host on 2026-09-23.

Since April 2026 there is a second, compact format with names of its own (`ob_l1`, `ticker`), on
`public-socket.*` alone. It is not spoken here: each host refuses the other's channels as a whole,
and what we ask for was served by the hosts below when they were probed last.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.adapters.base import ConnectBudget
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND

VENUE: Final = Venue("delta")
WS_URL: Final = "wss://socket.delta.exchange"
REST_URL: Final = "https://api.delta.exchange"
"""Production, global ("Websocket Feed", "Introduction")."""
WS_HOSTS: Final = frozenset({"socket.delta.exchange", "socket.india.delta.exchange"})
REST_HOSTS: Final = frozenset({"api.delta.exchange", "api.india.delta.exchange"})
"""India is a platform of its own, with the same interface, options in USD and its own listing
(docs.delta.exchange, "Websocket Feed")."""

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""The largest legitimate frame is the answer to a subscribe: it repeats every symbol of the
session, 25 bytes for each of 1,000 options on two channels."""
MAX_STAMP: Final = 9_223_372_036_854_775
"""Microseconds ("Timestamps") whose nanoseconds still fit 64 bits."""
MAX_NUMBER: Final = 1e15
"""No price and no size is larger; keeps infinity out too."""

CONNECTS: Final = ConnectBudget(count=10, seconds=30.0)
"""150 connections in five minutes of one address, then HTTP 429 for five to ten ("Websocket
Feed"); we leave a third."""
REQUEST_SYMBOLS: Final = 200
"""Symbols of one subscribe. No limit is documented for the channels that we use; 300 were taken
(measured by a third party in 2026). `l2_orderbook` and `l2_updates` have one, 20 and 100 symbols a
connection, so the depth of a chain cannot be had."""
REQUEST_BURST: Final = 5
REQUEST_REFILL_NS: Final = NANOS_PER_SECOND // 5
"""A choice of ours: no limit of requests over a websocket is documented."""
REQUEST_TIMEOUT_NS: Final = 10 * NANOS_PER_SECOND
DROP_TIMEOUT_NS: Final = 2 * NANOS_PER_SECOND
"""What answers an unsubscribe is not documented: after this long it is taken for done."""
HEARTBEAT_LIMIT_NS: Final = 35 * NANOS_PER_SECOND
"""Once enabled, a heartbeat comes every 30 s (probed: 5); five more and the connection is dead
("Heartbeat")."""
PAGE_ROWS: Final = 1_000
"""Rows of one page of products; all of them came at once with 414 in 2026 ("Pagination")."""
MAX_PAGES: Final = 20
MAX_CURSOR: Final = 1_000

INDEX_SPACING_NS: Final = NANOS_PER_SECOND
GATHER_NS: Final = NANOS_PER_SECOND
"""Marks, open interest and volumes of many tickers go on together this often."""

LISTING_DELAY_NS: Final = 5 * NANOS_PER_SECOND
"""No channel tells of new options: after an expiry the catalog is fetched this much later,"""
ROLL_NS: Final = NANOS_PER_MINUTE
ROLL_SPACING_NS: Final = 15 * NANOS_PER_SECOND
"""and for a minute this often."""
LAUNCH_DELAY_NS: Final = NANOS_PER_SECOND

CALLS, PUTS, PERPETUALS = "call_options", "put_options", "perpetual_futures"
"""`contract_type` ("Get list of products")."""
LIVE, UPCOMING = "live", "upcoming"
"""`state` of a product; `expired` and `settled` are the others."""
OPERATIONAL: Final = "operational"
DISRUPTED: Final = frozenset({"disrupted_cancel_only", "disrupted_post_only"})
"""`trading_status`; while a market is disrupted no order is matched: its quotes are worth nothing
("Market Disruption")."""
VANILLA: Final = "vanilla"
"""`notional_type`: a contract is `contract_value` coins; `inverse` is so many dollars."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Delta's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", WS_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", REST_HOSTS
    )
