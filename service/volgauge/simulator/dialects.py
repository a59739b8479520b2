"""More venues on the same simulated market: each with a wire of its own under a path of its own.

What a venue must bring to be served, and the table of those that do. The market, and so the truth,
is one; quotes, grids, delays, faults and lies are each venue's own.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from volgauge.simulator.aevo_venue import AevoVenue
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.board import Step
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.market import Market
from volgauge.simulator.okx_venue import OkxVenue


class ClientSession(Protocol):
    """One client of a venue; no socket and no clock inside."""

    out: list[bytes]
    """Frames to send, oldest first."""
    closing: tuple[int, str] | None
    """Code and reason, once the venue wants to hang up; 1006 cuts the connection."""

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one frame from the client."""
        ...

    def tick(self, now_seconds: float) -> None:
        """Do what is due: heartbeats, time limits."""
        ...

    def close(self) -> None:
        """Forget all subscriptions."""
        ...

    def is_data(self, frame: bytes) -> bool:
        """The frame carries market data, so faults may touch it."""
        ...

    def conflation_key(self, frame: bytes) -> bytes:
        """A slow reader gets only the newest of the frames with one key."""
        ...


class Dialect(Protocol):
    """A venue besides the first one."""

    ws_path: str
    rest_path: str
    """Both begin with the venue's name, so that all share one port."""
    faults: Faults

    def advance(self, step: Step) -> None:
        """Follow one step of the market: quote, and hand frames to the sessions."""
        ...

    def tick(self, age_seconds: float) -> None:
        """Do what follows from the age of the server alone."""
        ...

    def open(self, now_seconds: float, number: int) -> ClientSession:
        """Begin a client's session; `number` counts them."""
        ...

    def answer(self, path: str, params: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a GET below `rest_path`."""
        ...


@runtime_checkable
class RoutedDialect(Dialect, Protocol):
    """A venue whose websockets have several addresses, each with streams of its own."""

    ws_routes: tuple[str, ...]
    """What follows `ws_path`, each with a slash first."""

    def open_route(
        self, route: str, params: Mapping[str, str], now_seconds: float, number: int
    ) -> ClientSession:
        """Begin a client's session at one of them; `params` is the query of the address."""
        ...


@runtime_checkable
class PingingSession(Protocol):
    """A session that tests its client by protocol pings."""

    def take_ping(self, now_seconds: float) -> bytes | None:
        """The payload of a ping that is due."""
        ...

    def pong(self, now_seconds: float) -> None:
        """The client has answered."""
        ...


MakeDialect = Callable[[Market, int], Dialect]
"""From the market and a seed."""

DIALECTS: Mapping[str, MakeDialect] = {
    "okx": OkxVenue,
    "bybit": BybitVenue,
    "binance": BinanceVenue,
    "derive": DeriveVenue,
    "aevo": AevoVenue,
    "delta": DeltaVenue,
}
"""By the venue's name."""
