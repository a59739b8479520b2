"""Facts about Deribit's interface: addresses, limits, names; each with the page that says so.

Pages are of docs.deribit.com unless another source is named.
"""

from typing import Final

from volgauge.adapters.addresses import is_host_of
from volgauge.domain.instrument import Venue

VENUE: Final = Venue("deribit")
WS_URL: Final = "wss://www.deribit.com/ws/api/v2"
"""JSON-RPC over websocket ("Overview")."""
REST_URL: Final = "https://www.deribit.com/api/v2"
"""The same methods over GET ("Overview")."""
OFFICIAL_HOSTS: Final = frozenset({"www.deribit.com", "streams.deribit.com"})
"""Production hosts. The test network is none: its prices and its liquidity are not real."""

MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
"""The largest legitimate frame, `markprice.options` of 1,100 options, is a tenth of a megabyte."""
MAX_STAMP: Final = 9_223_372_036_853
"""Milliseconds whose nanoseconds still fit 64 bits."""
MAX_REQUEST_BYTES: Final = 32_768
"""A longer request is answered with -32600 without an id (recorded)."""
MAX_CHANNELS: Final = 500
"""Channels in one subscribe ("Connection management best practices")."""
REQUEST_BYTES: Final = 30_000
REQUEST_CHANNELS: Final = 400
"""What we use of the two limits."""
REQUEST_BURST: Final = 6
"""Of ten that the pool of 30,000 credits allows: a reconnect at the same time must fit too."""
REQUEST_SPACING_NS: Final = 310_000_000
"""public/subscribe and unsubscribe: 3,000 credits, refilled at 10,000/s, so 3.3 a second
("Rate limits"); the pool is one an address, therefore one for all connections."""
HEARTBEAT_SECONDS: Final = 30
"""public/set_heartbeat accepts 10 and more; a test_request unanswered for 10 s ends the session."""
REQUEST_TIMEOUT_NS: Final = 10_000_000_000
"""Some errors carry no id, so no answer is waited for longer than this."""
RATE_LIMIT_SECONDS: Final = 60.0
"""Pause after 10028; the venue has closed the session by then ("Rate limits")."""

LINEAR_CURRENCY: Final = "USDC"
"""`currency` under which public/get_instruments lists the linear options of every coin."""
CATALOG_CURRENCIES: Final = ("BTC", "ETH", LINEAR_CURRENCY)
"""Bitcoin and ether have options paid in the coin beside their linear ones: two books each."""
VOLATILITY_INDICES: Final = frozenset({"btc_usd", "eth_usd"})
"""Indices that have a `deribit_volatility_index`; their options a `markprice.options`."""
COALESCE_NS: Final = 1_000_000_000
"""The 08:00 UTC burst of instrument.state and .creation is gathered for this long."""
MIN_REFRESH_NS: Final = 10_000_000_000
"""public/get_instruments refills at 1/s ("Rate limits"); one refresh takes six."""
LISTING_DELAY_NS: Final = 1_000_000_000
"""After an expiry the catalog is fetched this much later."""

LIVE_STATES: Final = frozenset({"", "open", "locked", "halted"})
"""`state` of an instrument whose book exists; a body of before 2022 has none."""

RATE_LIMITED: Final = 10028
UNAVAILABLE: Final = frozenset({10040, 10041, 10047, 10066, 11051, 13028, 13888})
"""retry, settlement_in_progress, matching_engine_queue_full, too_many_concurrent_requests,
system_maintenance, temporarily_unavailable, timed_out ("RPC error codes")."""
CHANNEL_REFUSED: Final = frozenset({-32602, 13009, 13019, 13020, 13778})
"""Invalid params, unauthorized, orderbook_closed, not_found, raw_subscriptions_not_available_for_
unauthorized: in answer to a subscribe these refuse its channels, not the session."""


def is_official(ws_url: str, rest_url: str) -> bool:
    """Whether both addresses are Deribit's own production hosts over TLS; empty means default."""
    return is_host_of(ws_url or WS_URL, "wss", OFFICIAL_HOSTS) and is_host_of(
        rest_url or REST_URL, "https", OFFICIAL_HOSTS
    )
