"""Funding and open interest of Deribit's perpetuals, from the summary of a currency."""

import re
from collections import Counter
from collections.abc import Collection
from math import nan

import msgspec

from volgauge.adapters.deribit import messages
from volgauge.adapters.deribit.endpoints import VENUE
from volgauge.adapters.facts import FUNDING_HOURS, tell_perpetual
from volgauge.adapters.payload import UNREADABLE, read_rows
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MILLI

_NAME = re.compile(r"([A-Z0-9]{1,12})(?:_(USD[CT]))?-PERPETUAL")

_decode_body = msgspec.json.Decoder(messages.ListBody).decode
_decode_row = msgspec.json.Decoder(messages.SummaryRow).decode


def read_name(name: str) -> tuple[Asset, str] | None:
    """`BTC-PERPETUAL` is (BTC, USD), `SOL_USDC-PERPETUAL` (SOL, USDC); None is no perpetual."""
    match = _NAME.fullmatch(name)
    return None if match is None else (Asset(match.group(1)), match.group(2) or "USD")


def read_summaries(
    body: bytes | None, assets: Collection[Asset], received_ns: int, counts: Counter[str]
) -> list[PerpetualState]:
    """The perpetuals of some assets in public/get_book_summary_by_currency of futures.

    What cannot be read is counted as `rejected.perpetual_body` and `rejected.perpetual_row`, a
    body that could not be had as `missing.perpetual`.
    """
    if body is None:
        counts["missing.perpetual"] += 1
        return []
    try:
        rows = _decode_body(body).result
    except UNREADABLE:
        rows = None
    if rows is None:
        counts["rejected.perpetual_body"] += 1
        return []
    found = []
    for row in read_rows(rows, _decode_row, "rejected.perpetual_row", counts):
        known = read_name(row.instrument_name)
        if known is None or known[0] not in assets:
            continue
        state = _state(row, received_ns, counts, *known)
        if state is not None:
            found.append(state)
    return found


def _state(
    row: messages.SummaryRow, received_ns: int, counts: Counter[str], asset: Asset, quote: str
) -> PerpetualState | None:
    """Interest in an inverse perpetual is in USD, in a linear one in coins.

    ("public/get_book_summary_by_currency"; `estimated_delivery_price` of a perpetual is the price
    index, so the coins are those that the USD are worth.)
    """
    coins, index = row.open_interest, row.estimated_delivery_price
    if quote == "USD" and coins is not None:
        coins = coins / index if index is not None and index > 0.0 else nan
    return tell_perpetual(
        VENUE,
        asset,
        quote,
        rate=row.funding_8h,
        hours=FUNDING_HOURS,
        coins=coins,
        exchange_ns=row.creation_timestamp * NANOS_PER_MILLI,
        received_ns=received_ns,
        counts=counts,
    )
