"""Which topics go on which connection.

Every option has its ticker on one of the `chain` connections, an expiry together, so that a lost
connection touches few of them; the options of the hot expiries have their book on a `hot` one
besides. An option keeps its connection as long as it is listed: a second one would cost it its
quote. What a connection may carry is counted in characters.

    topic                    sent                 becomes                           seen
    tickers.{symbol}         100 ms, whole        quote, unless the book does;      recorded 2023,
                                                  forward of the expiry, index,     2026
                                                  mark, open interest
    orderbook.25.{symbol}    20 ms, snapshot      quote of a hot option; with       recorded 2023
                             and deltas           depth, its levels; a gap
    system.status            event                maintenance; not subscribed: it   documented
                                                  is on another socket, and polled
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from volgauge.adapters.bybit.endpoints import BOOK_DEPTH, MAX_TOPICS, USED_CHARACTERS
from volgauge.adapters.bybit.listing import Listing, Option
from volgauge.domain.units import NANOS_PER_DAY

HOT = ("hot-1", "hot-2")
CHAIN = tuple(f"chain-{number}" for number in range(1, 9))
CONNECTIONS = (*HOT, *CHAIN)
"""500 to 600 tickers or 500 books fit one: room for 4,400 options, 1,000 of them hot."""
TICKERS, BOOKS = "tickers.", f"orderbook.{BOOK_DEPTH}."

Plan = Mapping[str, Option | None]
"""Topic to the option it feeds; the order is the order of subscribing.

None: the pulse, a ticker that another connection reads and this one only listens for. It changes
all the time, so silence means a dead feed even where no option of ours is quoted for minutes.
"""


def cost(topic: str) -> int:
    """Characters of a topic in `args`: its quotes and a comma come on top."""
    return len(topic) + 3


class Planner:
    """Remembers where every option is."""

    def __init__(self) -> None:
        self._tickers: dict[str, str] = {}
        """Option to its chain connection."""
        self._books: dict[str, str] = {}
        """Option to its hot connection."""

    def make_plans(self, listing: Listing, *, hot_days: float, now_ns: int) -> dict[str, Plan]:
        """The topics of every connection; what fits none of them stands last on some chain.

        Books that do not fit are left out: their tickers quote them.
        """
        options = [listing.options[instrument.name] for instrument in listing.nearest]
        horizon_ns = now_ns + round(hot_days * NANOS_PER_DAY)
        hot = [option for option in options if option.expiry.expiry_ns <= horizon_ns]
        pulse = _pulse(options)
        reserved = 0 if pulse is None else cost(pulse)
        self._tickers = _place(options, self._tickers, _Load(CHAIN, TICKERS, reserved))
        self._books = _place(hot, self._books, _Load(HOT, BOOKS, reserved))
        plans: dict[str, dict[str, Option | None]] = {name: {} for name in CONNECTIONS}
        if pulse is not None:
            for topics in plans.values():
                topics[pulse] = None
        for option in options:
            name = option.instrument.name
            if name in self._books:
                plans[self._books[name]][BOOKS + name] = option
            home = self._tickers.get(name, CHAIN[-1])
            plans[home][TICKERS + name] = option
        return dict(plans)


class _Load:
    """What the connections carry while they are being filled."""

    def __init__(self, connections: tuple[str, ...], prefix: str, reserved: int) -> None:
        self.placed: dict[str, str] = {}
        self._connections = connections
        self._prefix = prefix
        self._characters = dict.fromkeys(connections, reserved)
        self._topics = Counter(dict.fromkeys(connections, 1))

    def put(self, name: str, connection: str) -> None:
        self.placed[name] = connection
        self._characters[connection] += cost(self._prefix + name)
        self._topics[connection] += 1

    def choose(self, name: str, preferred: Iterable[str]) -> str | None:
        """The first with room: of the preferred ones, else the emptiest; None: all are full."""
        emptiest = sorted(self._connections, key=lambda connection: self._characters[connection])
        size = cost(self._prefix + name)
        for connection in (*preferred, *emptiest):
            fits = self._characters[connection] + size <= USED_CHARACTERS
            if fits and self._topics[connection] < MAX_TOPICS:
                return connection
        return None


def _place(options: Iterable[Option], before: Mapping[str, str], load: _Load) -> dict[str, str]:
    """Option to connection: those that have one keep it, an expiry goes where there is most room.

    Args:
        options: Nearest first.
        before: The last answer.
        load: The connections to choose from.
    """
    groups: defaultdict[int, list[str]] = defaultdict(list)
    for option in options:
        name = option.instrument.name
        groups[id(option.expiry)].append(name)
        if name in before:
            load.put(name, before[name])
    for group in groups.values():
        homes = dict.fromkeys(load.placed[name] for name in group if name in load.placed)
        for name in group:
            if name in load.placed:
                continue
            connection = load.choose(name, homes)
            if connection is not None:
                load.put(name, connection)
                homes[connection] = None
    return load.placed


def _pulse(options: list[Option]) -> str | None:
    """The ticker that moves most: the middle strike of the nearest expiry."""
    if not options:
        return None
    nearest = [option for option in options if option.expiry is options[0].expiry]
    return TICKERS + nearest[len(nearest) // 2].instrument.name
