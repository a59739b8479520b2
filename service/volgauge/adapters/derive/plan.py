"""Which channels go on which connection, and how they are cut into requests; pure functions."""

from collections.abc import Iterable, Mapping
from itertools import islice

from volgauge.adapters.derive.endpoints import HOT_INTERVAL, REQUEST_CHANNELS, WING_INTERVAL
from volgauge.adapters.derive.listing import Listing, Option
from volgauge.domain.units import NANOS_PER_DAY

HOT, WINGS = "hot", "wings"
CONNECTIONS = (HOT, WINGS)
TICKERS, SPOTS = "ticker_slim.", "spot_feed."

Plan = Mapping[str, Option | None]
"""Channel to the option it feeds, None for the price of a coin; the order is that of subscribing.
"""


def make_plans(listing: Listing, *, hot_days: float, now_ns: int) -> dict[str, Plan]:
    """The channels of every connection.

    `hot` has the tickers of the near expiries every 100 ms, `wings` the far ones every second. The
    order books are of no use: their prices are rounded to whole dollars. Both carry the spot price
    of one coin as a pulse: it comes all the time, so silence means a dead feed even where no
    option is quoted for minutes; `hot` has those of the others too.
    """
    plans: dict[str, dict[str, Option | None]] = {name: {} for name in CONNECTIONS}
    coins = sorted(listing.coins)
    for channels, known in ((plans[HOT], coins), (plans[WINGS], coins[:1])):
        channels.update({SPOTS + coin: None for coin in known})
    horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
    for instrument in listing.nearest:
        name = instrument.name
        option = listing.options[name]
        if instrument.expiry_ns > horizon_ns:
            plans[WINGS][f"{TICKERS}{name}.{WING_INTERVAL}"] = option
        else:
            plans[HOT][f"{TICKERS}{name}.{HOT_INTERVAL}"] = option
    return dict(plans)


def cut_request(channels: Iterable[str]) -> list[str]:
    """As many channels, from the first, as one request may carry."""
    return list(islice(channels, REQUEST_CHANNELS))


def instrument_of(channel: str) -> str:
    """The option that a channel is about; "" for the channel of a coin."""
    if not channel.startswith(TICKERS):
        return ""
    return channel.removeprefix(TICKERS).rpartition(".")[0]
