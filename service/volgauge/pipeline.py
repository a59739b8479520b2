"""Adapters and engine put together: what live, record and replay have in common."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from volgauge import __version__
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.endpoints import is_official as is_aevo
from volgauge.adapters.base import State, VenueAdapter
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.adapters.binance.endpoints import is_official as is_binance
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.endpoints import is_official as is_bybit
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.adapters.delta.endpoints import is_official as is_delta
from volgauge.adapters.deribit.adapter import DeribitAdapter
from volgauge.adapters.deribit.endpoints import is_official as is_deribit
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.endpoints import is_official as is_derive
from volgauge.adapters.okx.adapter import OkxAdapter
from volgauge.adapters.okx.endpoints import is_official as is_okx
from volgauge.analytics.desk import Desk
from volgauge.domain.events import EventSink
from volgauge.domain.index import Source
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import ConfigError
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper
from volgauge.index.venue import VenueRules
from volgauge.settings import Settings, VenueSettings


class KnownVenue(NamedTuple):
    """How a venue enters the service."""

    build: Callable[[VenueSettings, EventSink], VenueAdapter]
    is_official: Callable[[str, str], bool]
    """Whether the websocket and the REST address are the venue's own; empty means default."""


VENUES: Mapping[Venue, KnownVenue] = {
    Venue("deribit"): KnownVenue(DeribitAdapter, is_deribit),
    Venue("okx"): KnownVenue(OkxAdapter, is_okx),
    Venue("bybit"): KnownVenue(BybitAdapter, is_bybit),
    Venue("binance"): KnownVenue(BinanceAdapter, is_binance),
    Venue("derive"): KnownVenue(DeriveAdapter, is_derive),
    Venue("aevo"): KnownVenue(AevoAdapter, is_aevo),
    Venue("delta"): KnownVenue(DeltaAdapter, is_delta),
}
"""Every venue we can speak to; the names are those of `settings.venues`."""


def build_pipeline(
    settings: Settings,
    source: Source,
    *,
    has_connections: bool = True,
    evidence: EvidenceKeeper | None = None,
) -> tuple[Engine, dict[Venue, VenueAdapter]]:
    """The engine and one adapter for each enabled venue, pushing into it.

    Args:
        settings: The whole tree.
        source: Written into every record.
        has_connections: The input says when a connection came up, so the engine can wait for all
            of them; a foreign recording does not.
        evidence: Keeps what the records rest on; None keeps nothing.

    Raises:
        ConfigError: No venue is enabled.
    """
    rules = {
        name: VenueRules(stale_after_ns=round(venue.stale_after_seconds * NANOS_PER_SECOND))
        for name, venue in _enabled(settings).items()
    }
    if not rules:
        raise ConfigError("venues: expected at least one enabled venue")
    engine = Engine(
        settings.index, source=source, version=__version__, venues=rules, evidence=evidence
    )
    adapters: dict[Venue, VenueAdapter] = {}
    for name, venue in _enabled(settings).items():
        sink = engine.sink(name)
        adapter = VENUES[name].build(venue, sink)
        adapters[name] = adapter
        if has_connections:
            sink.expected = frozenset(
                protocol.connection
                for protocol in adapter.connections()
                if protocol.state is not State.SPARE
            )
    return engine, adapters


def build_desk(settings: Settings, source: Source, engine: Engine) -> Desk | None:
    """The analytics over an engine's venues; None when neither they nor alerts are wanted."""
    if not (settings.analytics.enabled or settings.alerts.enabled):
        return None
    venues = {name: engine.sink(name) for name in _enabled(settings)}
    return Desk(settings.analytics, settings.alerts, settings.index, source, venues)


def source_of(settings: Settings) -> Source:
    """`live` only when every endpoint is an official host; there is no silent mixture."""
    official = all(
        VENUES[name].is_official(venue.ws_url, venue.rest_url)
        for name, venue in _enabled(settings).items()
    )
    return Source.LIVE if official else Source.SIMULATED


def _enabled(settings: Settings) -> dict[Venue, VenueSettings]:
    venues = {Venue(name): getattr(settings.venues, name) for name in VENUES}
    return {name: venue for name, venue in venues.items() if venue.enabled}
