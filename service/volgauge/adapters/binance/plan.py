"""Which streams go on which connection.

`market` has every chain once a second, and so every option; the options of the hot expiries have
their own stream besides, on as many `hot` connections as they fill. An option keeps its connection
while it is listed. When not all fit, those that are nearest to the money by the venue's delta do;
the chain quotes the others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from volgauge.adapters.binance.endpoints import DEPTHS, MAX_STREAMS
from volgauge.adapters.binance.listing import Expiry, Listing
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND

MARKET = "market"
HOT = ("hot-1", "hot-2", "hot-3", "hot-4", "hot-5", "hot-6")
CONNECTIONS = (MARKET, *HOT)
CHAIN = "@optionMarkPrice"
INDICES = "!index@arr"
SYMBOLS = "!optionSymbol"

Plan = Mapping[str, str]
"""Stream to what its prices are of: an underlying, an option, or nothing; in subscribing order."""


class Planner:
    """Remembers where every option is."""

    def __init__(self, depth_levels: int) -> None:
        self._suffix = hot_suffix(depth_levels)
        self._homes: dict[str, str] = {}
        """Option to its connection."""

    def make_plans(self, listing: Listing, *, hot_days: float, now_ns: int) -> dict[str, Plan]:
        """The streams of every connection."""
        horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
        hot = {
            name: option
            for name, option in listing.options.items()
            if option.instrument.expiry_ns <= horizon_ns
        }
        self._homes = {name: home for name, home in self._homes.items() if name in hot}
        self._place([name for name in hot if name not in self._homes], listing.deltas)
        plans: dict[str, dict[str, str]] = {name: {} for name in CONNECTIONS}
        plans[MARKET] = _market(listing)
        for instrument in listing.nearest[: len(hot)]:
            name = instrument.name
            home = self._homes.get(name)
            if home is not None:
                plans[home][self.stream_of(name)] = name
        return dict(plans)

    def home_of(self, name: str) -> str | None:
        """The connection that streams an option; None when only the chain quotes it."""
        return self._homes.get(name)

    def stream_of(self, name: str) -> str:
        """The stream of an option of its own: `btc-261225-92000-c@bookTicker`."""
        return name.lower() + self._suffix

    def _place(self, names: Iterable[str], deltas: Mapping[str, float]) -> None:
        """Share newcomers out among as few connections as hold them all."""
        load = Counter(self._homes.values())
        waiting = sorted(names, key=lambda name: (abs(abs(deltas.get(name, 0.0)) - 0.5), name))
        wanted = len(self._homes) + len(waiting)
        count = min(-(-wanted // MAX_STREAMS), len(HOT))
        for name in waiting:
            # Not before the others are full: a connection more costs a socket.
            home = min(HOT[:count], key=lambda connection: load[connection])
            if load[home] >= MAX_STREAMS:
                return
            load[home] += 1
            self._homes[name] = home


def hot_suffix(depth_levels: int) -> str:
    """The stream of a hot option, after its name."""
    if not depth_levels:
        return "@bookTicker"
    levels = next((depth for depth in DEPTHS if depth >= depth_levels), DEPTHS[-1])
    return f"@depth{levels}@100ms"


def chain_of(underlying: str) -> str:
    """`btcusdt@optionMarkPrice`."""
    return underlying.lower() + CHAIN


def _market(listing: Listing) -> dict[str, str]:
    plan = {chain_of(name): name for name in sorted(listing.underlyings)}
    if plan:
        plan[INDICES] = plan[SYMBOLS] = ""
        for expiry in sorted(listing.expiries.values(), key=_order):
            if len(plan) < MAX_STREAMS:
                plan[_interest(expiry)] = ""
    return plan


def _interest(expiry: Expiry) -> str:
    """`btcusdt@optionOpenInterest@251219`."""
    day = datetime.fromtimestamp(expiry.expiry_ns // NANOS_PER_SECOND, UTC)
    underlying = f"{expiry.asset}{expiry.quote_currency}".lower()
    return f"{underlying}@optionOpenInterest@{day:%y%m%d}"


def _order(expiry: Expiry) -> tuple[int, str, str]:
    return (expiry.expiry_ns, expiry.asset, expiry.quote_currency)
