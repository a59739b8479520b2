"""Funding and open interest of Delta's perpetuals, over REST: one request for all of them.

A ticker tells the rate of one interval, and only the listing how long that is.
"""

from collections import Counter
from collections.abc import Mapping

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.delta import messages
from volgauge.adapters.delta.endpoints import PERPETUALS, VENUE
from volgauge.adapters.delta.normalize import Perpetual
from volgauge.adapters.facts import read_number, tell_perpetual
from volgauge.adapters.payload import UNREADABLE, read_rows
from volgauge.domain.events import PerpetualState
from volgauge.domain.units import NANOS_PER_MICRO

REQUEST = RestRequest("perpetuals", f"v2/tickers?contract_types={PERPETUALS}", is_optional=True)
"""The listing does not need it."""
_PER_CENT = 0.01

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_row = msgspec.json.Decoder(messages.PerpetualRow).decode


def read_perpetuals(
    body: bytes | None,
    listed: Mapping[str, Perpetual],
    received_ns: int,
    counts: Counter[str],
) -> list[PerpetualState]:
    """The perpetuals that are listed, by name.

    What cannot be read is counted as `rejected.perpetual_body` and `rejected.perpetual_row`, a
    body that could not be had as `missing.perpetual`.
    """
    if body is None:
        counts["missing.perpetual"] += 1
        return []
    try:
        answer = _decode_body(body)
    except UNREADABLE:
        answer = messages.Body()
    if not answer.success or answer.result is None:
        counts["rejected.perpetual_body"] += 1
        return []
    found = []
    for row in read_rows(answer.result, _decode_row, "rejected.perpetual_row", counts):
        terms = listed.get(row.symbol)
        if terms is None:
            continue
        rate, lots = read_number(row.funding_rate), read_number(row.oi_contracts)
        state = tell_perpetual(
            VENUE,
            terms.asset,
            terms.quote_currency,
            rate=None if rate is None else rate * _PER_CENT,
            hours=terms.hours,
            coins=None if lots is None else lots * terms.contract_size,
            exchange_ns=row.timestamp * NANOS_PER_MICRO,
            received_ns=received_ns,
            counts=counts,
        )
        if state is not None:
            found.append(state)
    return sorted(found, key=lambda state: (state.asset, state.quote_currency))
