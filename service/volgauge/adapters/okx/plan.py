"""Which channels go on which connection, and how they are cut into requests; pure functions.

channel        argument    connection  becomes                  evidence
bbo-tbt        instId      hot         quote                    documented frame; no option recorded
books5, books  instId      hot, depth  BookSnapshot, BookDelta  documented; real ones of futures
tickers        instId      wings       quote                    real, 2021 and 2026-03
index-tickers  instId      all         IndexPrice, the pulse    real, 2021
opt-summary    instFamily  market      ForwardMark, MarkQuote   real, 2021, 2025-07 and 2026-03
instruments    OPTION      market      a catalog, soon          documented
status         -           market      VenueState               documented

`mark-price` and `open-interest` are read where a recording holds them.
"""

from collections.abc import Iterable, Mapping

import msgspec

from volgauge.adapters.okx.endpoints import (
    CATALOG_TYPE,
    REQUEST_ARGS,
    REQUEST_BYTES,
    SHALLOW_LEVELS,
)
from volgauge.adapters.okx.listing import Listing
from volgauge.adapters.okx.messages import Arg
from volgauge.domain.units import NANOS_PER_DAY

HOT, WINGS, MARKET = "hot", "wings", "market"
CONNECTIONS = (HOT, WINGS, MARKET)
_ENVELOPE_BYTES = 40
"""Of a request around its arguments, generously."""
STATUS = Arg(channel="status")

Plan = Mapping[Arg, bool]
"""Argument to whether prices come from it; the order is the order of subscribing."""


def make_plans(
    listing: Listing, *, hot_days: float, depth_levels: int, now_ns: int
) -> dict[str, Plan]:
    """The channels of every connection.

    `hot` takes each change of the best bid and offer of the near expiries, `wings` what is far in
    time or strike, at 100 ms; `market` has what is about families. Every connection carries one
    index as a pulse: it comes with every change of spot, so silence means a dead feed even where no
    option is quoted for minutes.
    """
    plans: dict[str, dict[Arg, bool]] = {name: {} for name in CONNECTIONS}
    pulse = min(listing.indices, default=None)
    if pulse is not None:
        for args in plans.values():
            args[Arg(channel="index-tickers", inst_id=pulse)] = True
    horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
    hot = _hot_channel(depth_levels)
    for instrument in listing.nearest:
        is_quiet = listing.slots[instrument.name] in listing.quiet
        if is_quiet or instrument.expiry_ns > horizon_ns:
            plans[WINGS][Arg(channel="tickers", inst_id=instrument.name)] = True
        else:
            plans[HOT][Arg(channel=hot, inst_id=instrument.name)] = True
    plans[MARKET] |= _market(listing)
    return dict(plans)


def cut_request(args: Iterable[Arg]) -> list[Arg]:
    """As many arguments, from the first, as one request may carry."""
    taken: list[Arg] = []
    size = _ENVELOPE_BYTES
    for arg in args:
        size += len(msgspec.json.encode(arg)) + 1
        if len(taken) == REQUEST_ARGS or size > REQUEST_BYTES:
            break
        taken.append(arg)
    return taken


def _hot_channel(depth_levels: int) -> str:
    if depth_levels == 0:
        return "bbo-tbt"
    return "books5" if depth_levels <= SHALLOW_LEVELS else "books"


def _market(listing: Listing) -> dict[Arg, bool]:
    args = {Arg(channel="index-tickers", inst_id=index): True for index in sorted(listing.indices)}
    args |= {
        Arg(channel="opt-summary", inst_family=family): True for family in sorted(listing.families)
    }
    if args:
        args[Arg(channel="instruments", inst_type=CATALOG_TYPE)] = False
        args[STATUS] = False
    return args
