"""Funding and open interest of Aevo's perpetuals, over REST: one request for all of them."""

import re
from collections import Counter
from collections.abc import Collection
from math import nan

import msgspec

from volgauge.adapters.aevo import messages
from volgauge.adapters.aevo.endpoints import FUNDING_HOURS, PERPETUAL_CURRENCY, VENUE
from volgauge.adapters.base import RestRequest
from volgauge.adapters.facts import read_number, tell_perpetual
from volgauge.adapters.payload import UNREADABLE, read_rows
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset

PERPETUALS = RestRequest("perpetuals", "coingecko-statistics", is_optional=True)
"""The listing does not need it. What the venue tells of each single option (`/instrument/{name}`)
would be a request for each."""
_NAME = re.compile(r"([A-Z0-9]{1,12})-PERP", re.ASCII)

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(messages.PerpetualRow).decode


def read_perpetuals(
    body: bytes | None, coins: Collection[Asset], received_ns: int, counts: Counter[str]
) -> list[PerpetualState]:
    """The perpetuals of some coins; open interest is told in USDC, so the index divides it.

    What cannot be read is counted as `rejected.perpetual_body` and `rejected.perpetual_row`, a
    body that could not be had as `missing.perpetual`. The venue tells no time.
    """
    if body is None:
        counts["missing.perpetual"] += 1
        return []
    try:
        rows = _decode_rows(body)
    except UNREADABLE:
        rows = []
    if not rows:
        # The statistics of no perpetual at all are none.
        counts["rejected.perpetual_body"] += 1
        return []
    found: dict[Asset, PerpetualState] = {}
    for row in read_rows(rows, _decode_row, "rejected.perpetual_row", counts):
        match = _NAME.fullmatch(row.ticker_id)
        if match is None or Asset(match.group(1)) not in coins:
            continue
        state = tell_perpetual(
            VENUE,
            Asset(match.group(1)),
            PERPETUAL_CURRENCY,
            rate=read_number(row.funding_rate),
            hours=FUNDING_HOURS,
            coins=_read_coins(row),
            exchange_ns=0,
            received_ns=received_ns,
            counts=counts,
        )
        if state is not None:
            found[state.asset] = state
    return [found[asset] for asset in sorted(found)]


def _read_coins(row: messages.PerpetualRow) -> float | None:
    """Open interest in coins; None when it is not told, NaN without an index to divide it by."""
    value, index = read_number(row.open_interest), read_number(row.index_price)
    if value is None:
        return None
    return value / index if index is not None and index > 0.0 else nan
