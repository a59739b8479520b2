"""Which channels go on which connection, and how they are cut into requests; pure functions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from volgauge.adapters.deribit.endpoints import (
    REQUEST_BYTES,
    REQUEST_CHANNELS,
    VOLATILITY_INDICES,
)
from volgauge.adapters.deribit.listing import Listing, nearest_first
from volgauge.domain.instrument import BookKey, Instrument
from volgauge.domain.units import NANOS_PER_DAY

HOT, WINGS, MARKET = "hot", "wings", "market"
CONNECTIONS = (HOT, WINGS, MARKET)
_ENVELOPE_BYTES = 120
"""Of a request around its channels, generously."""
_FORWARD_INTERVAL = "100ms"
_BOOK_INTERVAL = "100ms"

Plan = Mapping[str, bool]
"""Channel to whether prices come from it; the order is the order of subscribing."""


def make_plans(
    listing: Listing, *, hot_days: float, with_depth: bool, now_ns: int
) -> dict[str, Plan]:
    """The channels of every connection.

    `hot` and `wings` share the options by expiry; `market` has all the rest. Every connection
    carries one price index as a pulse: it comes once a second, so silence means a dead feed even
    where no option is quoted for minutes.
    """
    plans: dict[str, dict[str, bool]] = {name: {} for name in CONNECTIONS}
    pulse = min(listing.indices, default=None)
    if pulse is not None:
        for channels in plans.values():
            channels[f"deribit_price_index.{pulse}"] = True
    horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
    for instrument in listing.nearest:
        if instrument.expiry_ns > horizon_ns:
            plans[WINGS][f"quote.{instrument.name}"] = True
        elif with_depth:
            plans[HOT][f"book.{instrument.name}.{_BOOK_INTERVAL}"] = True
        else:
            plans[HOT][f"quote.{instrument.name}"] = True
    plans[MARKET] |= _market(listing)
    return dict(plans)


def cut_request(channels: Iterable[str]) -> list[str]:
    """As many channels, from the first, as one request may carry."""
    taken: list[str] = []
    size = _ENVELOPE_BYTES
    for channel in channels:
        size += len(channel) + 3
        if len(taken) == REQUEST_CHANNELS or size > REQUEST_BYTES:
            break
        taken.append(channel)
    return taken


def instrument_of(channel: str) -> str:
    """The instrument that a channel is about; "" for the channels of an index or a class."""
    topic, _, rest = channel.partition(".")
    return rest.partition(".")[0] if topic in {"quote", "book", "ticker"} else ""


def _market(listing: Listing) -> dict[str, bool]:
    channels = {f"deribit_price_index.{index}": True for index in sorted(listing.indices)}
    channels |= {f"quote.{name}": True for name in sorted(listing.futures)}
    channels |= {f"ticker.{name}.{_FORWARD_INTERVAL}": True for name in _forward_tellers(listing)}
    currencies = set()
    for index in sorted(listing.indices):
        if index in VOLATILITY_INDICES:
            channels[f"deribit_volatility_index.{index}"] = False
            channels[f"markprice.options.{index}"] = False
        asset, quote = listing.indices[index]
        currencies.add(str(asset) if quote == "USD" else quote)
    for currency in sorted(currencies):
        channels[f"instrument.state.option.{currency}"] = False
        channels[f"instrument.creation.option.{currency}"] = False
    if currencies:
        channels["platform_state"] = False
        channels["platform_state.public_methods_state"] = False
    return channels


def _forward_tellers(listing: Listing) -> list[str]:
    """One option, of the middle strike, for every expiry without a listed future.

    Its ticker carries the venue's own forward.
    """
    futures = {(f.asset, f.quote_currency, f.expiry_ns) for f in listing.futures.values()}
    chains: defaultdict[tuple[BookKey, int], list[Instrument]] = defaultdict(list)
    for instrument in listing.instruments.values():
        key = (instrument.asset, instrument.quote_currency, instrument.expiry_ns)
        if key not in futures:
            chains[instrument.book, instrument.expiry_ns].append(instrument)
    return [
        sorted(chain, key=nearest_first)[len(chain) // 2].name
        for _, chain in sorted(chains.items())
    ]
