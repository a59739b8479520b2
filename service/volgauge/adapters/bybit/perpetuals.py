"""Volumes of Bybit's options, funding and open interest of its perpetuals, over REST.

The perpetuals have sockets of their own, one for each category; once a minute is enough for what
no index rests on.
"""

from collections import Counter
from collections.abc import Iterable
from math import nan

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.bybit import messages
from volgauge.adapters.bybit.endpoints import PERPETUALS, VENUE
from volgauge.adapters.facts import read_number, tell_perpetual
from volgauge.adapters.payload import UNREADABLE
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_page = msgspec.json.Decoder(messages.Page).decode
_decode_row = msgspec.json.Decoder(messages.PerpetualRow).decode


def requests(coins: Iterable[str]) -> tuple[RestRequest, ...]:
    """`{coin}.linear` and `{coin}.inverse`: tickers; the listing needs none of them."""
    return tuple(
        RestRequest(
            f"{coin}.{category}",
            f"v5/market/tickers?category={category}&symbol={coin}{quote}",
            is_optional=True,
        )
        for coin in sorted(coins)
        for category, quote in PERPETUALS.items()
    )


def read_perpetual(
    coin: str, category: str, body: bytes | None, received_ns: int, counts: Counter[str]
) -> PerpetualState | None:
    """One perpetual; interest of an inverse one is in USD, its coins are those of the index price.

    A body or a row that cannot be read is counted as `rejected.perpetual_body`; so is the refusal
    of a perpetual that is not listed. One that could not be had is `missing.perpetual`.
    """
    quote = PERPETUALS[category]
    row, answer = None, messages.Body(-1)
    if body is None:
        counts["missing.perpetual"] += 1
        return None
    try:
        answer = _decode_body(body)
        if not answer.ret_code:
            rows = [_decode_row(raw) for raw in _decode_page(answer.result).list]
            row = next((r for r in rows if r.symbol == f"{coin}{quote}"), None)
    except UNREADABLE:
        row = None
    if row is None:
        counts["rejected.perpetual_body"] += 1
        return None
    coins = read_number(row.open_interest)
    if category == "inverse" and coins is not None:
        index = read_number(row.index_price)
        coins = coins / index if index is not None and index > 0.0 else nan
    return tell_perpetual(
        VENUE,
        Asset(coin),
        quote,
        rate=read_number(row.funding_rate),
        hours=read_number(row.funding_interval_hour),
        coins=coins,
        exchange_ns=answer.time * NANOS_PER_MILLI,
        received_ns=received_ns,
        counts=counts,
    )
