"""Funding and open interest of Derive's perpetuals, over REST: one request for all of them."""

import re
from collections import Counter
from collections.abc import Collection

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.derive import messages
from volgauge.adapters.derive.endpoints import PERPETUAL_CURRENCY, VENUE
from volgauge.adapters.facts import read_number, tell_perpetual
from volgauge.adapters.payload import UNREADABLE
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI

PERPETUALS = RestRequest("perpetuals", "public/get_tickers?instrument_type=perp", is_optional=True)
"""The listing does not need it."""
_FUNDING_HOURS = 1.0
"""What `f` of a ticker is for: "Current hourly funding rate" ("Get Tickers")."""
_NAME = re.compile(r"([A-Z0-9]{1,12})-PERP", re.ASCII)

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_tickers = msgspec.json.Decoder(messages.Tickers).decode
_decode_ticker = msgspec.json.Decoder(messages.PerpetualTicker).decode


def read_perpetuals(
    body: bytes | None, coins: Collection[Asset], received_ns: int, counts: Counter[str]
) -> list[PerpetualState]:
    """The perpetuals of some coins; a contract is one coin.

    What cannot be read is counted as `rejected.perpetual_body` and `rejected.perpetual_row`, a
    body that could not be had as `missing.perpetual`.
    """
    if body is None:
        counts["missing.perpetual"] += 1
        return []
    try:
        rows = _decode_tickers(_decode_body(body).result).tickers
    except UNREADABLE:
        counts["rejected.perpetual_body"] += 1
        return []
    found = []
    for name, raw in sorted(rows.items()):
        match = _NAME.fullmatch(name)
        if match is None or Asset(match.group(1)) not in coins:
            continue
        try:
            ticker = _decode_ticker(raw)
        except UNREADABLE:
            counts["rejected.perpetual_row"] += 1
            continue
        state = tell_perpetual(
            VENUE,
            Asset(match.group(1)),
            PERPETUAL_CURRENCY,
            rate=read_number(ticker.f),
            hours=_FUNDING_HOURS,
            coins=None if ticker.stats is None else read_number(ticker.stats.open_interest),
            exchange_ns=ticker.t * NANOS_PER_MILLI,
            received_ns=received_ns,
            counts=counts,
        )
        if state is not None:
            found.append(state)
    return found
