"""Which venues there are, and when what they say is live."""

import pytest

from volgauge.domain.index import Source
from volgauge.pipeline import VENUES, build_pipeline, source_of
from volgauge.settings import Settings, VenueSettings, VenuesSettings, load


def test_every_configured_venue_can_be_built() -> None:
    """The table and the sections of the configuration name the same venues."""
    assert set(VENUES) == set(VenuesSettings.__struct_fields__)


@pytest.mark.parametrize("name", sorted(VENUES))
def test_venue_is_official_by_default_only(name: str) -> None:
    """One foreign address, and nothing is live any more."""
    enabled = {f"venues.{venue}.enabled": venue == name for venue in VENUES}
    own = load(None, {}, enabled)
    foreign = load(None, {}, {**enabled, f"venues.{name}.ws_url": "ws://127.0.0.1:1"})

    assert source_of(own) is Source.LIVE
    assert source_of(foreign) is Source.SIMULATED


def test_engine_waits_for_connections_but_not_for_their_spares() -> None:
    """A spare is opened for a hand-over only."""
    settings = Settings(
        venues=VenuesSettings(deribit=VenueSettings(enabled=False), okx=VenueSettings())
    )
    engine, adapters = build_pipeline(settings, Source.SIMULATED)
    (venue,) = adapters

    assert engine.sink(venue).expected == {"hot", "wings", "market"}
