"""Which channels go on which connection, and how they are cut into requests; pure functions."""

from collections.abc import Iterable, Mapping

from volgauge.adapters.delta.endpoints import REQUEST_SYMBOLS
from volgauge.adapters.delta.listing import Listing, Option
from volgauge.adapters.delta.messages import ANNOUNCEMENTS, INDICES, TICKERS, TOPS, UPDATES
from volgauge.adapters.listing import nearest_first
from volgauge.domain.units import NANOS_PER_DAY

HOT, WINGS, MARKET = "hot", "wings", "market"
CONNECTIONS = (HOT, WINGS, MARKET)

Channel = tuple[str, str]
"""Name and symbol; "" where a channel has none."""
Plan = Mapping[Channel, Option | None]
"""Channel to the option it feeds, None for one that is about none; the order is that of
subscribing."""


def make_plans(listing: Listing, *, hot_days: float, now_ns: int) -> dict[str, Plan]:
    """The channels of every connection.

    `hot` has the tops of book of the near expiries, `wings` those of the far ones, both every
    100 ms if they change; `market` has the tickers of all, every 5 s, and what goes on at the
    venue. Each carries the price of an index as a pulse: it comes all the time, so silence means a
    dead feed even where no option is quoted for minutes. `market` has those of all coins.
    """
    plans: dict[str, dict[Channel, Option | None]] = {name: {} for name in CONNECTIONS}
    indices = sorted({coin.index for coin in listing.coins.values()} - {""})
    for name, pulses in ((HOT, indices[:1]), (WINGS, indices[:1]), (MARKET, indices)):
        plans[name].update({(INDICES, index): None for index in pulses})
    plans[MARKET].update({(name, ""): None for name in (ANNOUNCEMENTS, UPDATES)})
    horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
    for option in sorted(listing.options.values(), key=lambda o: nearest_first(o.instrument)):
        name = option.instrument.name
        is_hot = option.instrument.expiry_ns <= horizon_ns
        plans[HOT if is_hot else WINGS][TOPS, name] = option
        plans[MARKET][TICKERS, name] = option
    return dict(plans)


def cut_request(channels: Iterable[Channel]) -> list[Channel]:
    """As many channels, from the first, as one request may carry: all of one name."""
    taken: list[Channel] = []
    for channel in channels:
        if taken and (channel[0] != taken[0][0] or len(taken) == REQUEST_SYMBOLS):
            break
        taken.append(channel)
    return taken
