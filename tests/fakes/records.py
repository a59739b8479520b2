"""Synthetic records for tests of the sinks; the numbers mean nothing."""

from volgauge.domain.index import (
    ExpirySurface,
    ExpiryValue,
    Fixing,
    FixingValue,
    IndexValue,
    Method,
    Source,
    Status,
    StatusEvent,
    SurfaceValue,
    VenueIndexValue,
    VenueValue,
    index_code,
)
from volgauge.domain.instrument import Asset, Venue

EXPIRY = ExpiryValue(
    expiry="2026-12-18T08:00:00Z",
    t_years=0.0739,
    minutes=38_842,
    forward=98_123.5,
    k_zero=98_000.0,
    n_strikes=31,
    strip_sum=0.0105,
    total_variance=0.0201,
    variance=0.272,
    weight=0.62,
    n_rejected=3,
    rejected={"wide": 3},
)


def index_value(
    seq: int,
    *,
    asset: str = "BTC",
    tenor_days: float = 30.0,
    value: float | None = 52.25,
    status: Status = Status.SINGLE_VENUE,
    computed_ns: int = 1_795_000_000_000_000_000,
    heartbeat_ms: int = 1000,
    source: Source = Source.SIMULATED,
) -> IndexValue:
    """One record of the index."""
    return IndexValue(
        code=index_code(asset, tenor_days),
        asset=Asset(asset),
        tenor_days=tenor_days,
        seq=seq,
        value=value,
        bid=51.5,
        ask=53.0,
        u=0.25,
        strip=52.125,
        status=status,
        event_ns=computed_ns,
        computed_ns=computed_ns,
        n_strikes=58,
        source=source,
        expiries=(EXPIRY, EXPIRY),
        venues={Venue("deribit"): VenueValue(value=52.25, weight=1.0, state="in")},
        mode=Method.DVOL,
        heartbeat_ms=heartbeat_ms,
    )


def venue_index_value(
    seq: int,
    *,
    asset: str = "BTC",
    label: str = "okx:USD_UM",
    value: float | None = 52.5,
    state: str = "in",
    data_ns: int = 1_795_000_000_000_000_000,
) -> VenueIndexValue:
    """One record of one option book."""
    return VenueIndexValue(
        asset=Asset(asset),
        tenor_days=30.0,
        venue=Venue(label.partition(":")[0]),
        label=label,
        seq=seq,
        value=value,
        weight=0.25,
        state=state,
        composite=52.25,
        status=Status.OK,
        lag_ms=12.5,
        data_ns=data_ns,
        computed_ns=1_795_000_000_000_000_000,
        source=Source.SIMULATED,
    )


def surface_value(seq: int, *, asset: str = "BTC") -> SurfaceValue:
    """One record of the surface."""
    row = ExpirySurface(
        venue=Venue("deribit"),
        book="deribit",
        expiry="2026-12-18T08:00:00Z",
        t_years=0.0739,
        forward=98_123.5,
        total_variance=0.0201,
        implied_vol=52.1,
        strip=52.0,
        n_strikes=31,
        n_rejected=3,
        rejected={"wide": 3},
    )
    return SurfaceValue(
        asset=Asset(asset),
        seq=seq,
        event_ns=1,
        computed_ns=2,
        source=Source.SIMULATED,
        expiries=(row,),
        term={"30d": 52.25, "60d": None},
        index_price=98_000.0,
    )


def status_event(*, asset: str = "BTC", before: Status, after: Status) -> StatusEvent:
    """One change of status."""
    return StatusEvent(
        asset=Asset(asset),
        tenor_days=30.0,
        before=before,
        after=after,
        computed_ns=3,
        source=Source.SIMULATED,
    )


def fixing_value(*, asset: str = "BTC", value: float | None = 52.25) -> FixingValue:
    """One fixing."""
    return FixingValue(
        asset=Asset(asset),
        tenor_days=30.0,
        name=Fixing.UTC_0800,
        value=value,
        medians=(52.0, 52.5, 52.0, 52.5, 52.0, 52.5),
        n_values=1790,
        begin_ns=1_794_999_000_000_000_000,
        end_ns=1_795_000_800_000_000_000,
        computed_ns=1_795_000_800_000_000_001,
        source=Source.SIMULATED,
    )
