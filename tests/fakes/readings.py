"""Synthetic analytics records for tests of the sinks; the numbers mean nothing."""

from volgauge.domain.analytics import (
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    Edge,
    ExpiryReading,
    FlowReading,
    ForwardVol,
    InterestReading,
    Lack,
    LevelReading,
    LeverageReading,
    Markers,
    PairCoupling,
    PremiumReading,
    RealizedReading,
    RegimeReading,
    Rule,
    ScalingReading,
    Severity,
    SpilloverReading,
    StrikeExposure,
    TenorReading,
)
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset, Venue

NOW_NS = 1_795_000_000_000_000_000
BTC, ETH = Asset("BTC"), Asset("ETH")

TENOR = TenorReading(
    tenor="30d",
    atm=52.0,
    put_10=58.5,
    put_25=54.5,
    call_25=52.5,
    call_10=55.0,
    risk_reversal_25=-2.0,
    risk_reversal_10=-3.5,
    butterfly_25=1.5,
    butterfly_10=4.75,
    skewness=-0.4,
    kurtosis=4.5,
    skew_index=104.0,
    coin_less_value=-0.7,
)
EXPIRY = ExpiryReading(
    book="deribit",
    expiry="2026-12-18T08:00:00Z",
    t_years=0.0739,
    forward=98_123.5,
    atm=52.1,
    risk_reversal_25=-2.1,
    risk_reversal_10=-3.6,
    butterfly_25=1.4,
    butterfly_10=4.5,
    skewness=-0.41,
    kurtosis=4.4,
    interest_iv=53.1,
    vega_iv=52.9,
    volume_iv=52.6,
    open_interest=1250.5,
    volume=310.0,
)
SPILLOVER = SpilloverReading(
    assets=(BTC, ETH),
    table=((80.0, 20.0), (35.0, 65.0)),
    total=27.5,
    to_others={BTC: 35.0, ETH: 20.0},
    from_others={BTC: 20.0, ETH: 35.0},
    net={BTC: 15.0, ETH: -15.0},
    n_observations=2016,
    at_ns=NOW_NS,
)
PAIR = PairCoupling(
    first=BTC,
    second=ETH,
    correlations={"1h": 0.8, "1d": 0.75, "7d": None},
    hayashi_yoshida=0.7,
    lead_seconds=7.0,
    lead_ratio=1.8,
    beta=1.1,
    r_squared=0.6,
    spread=-0.2,
    spread_z=1.25,
    decoupled=False,
    decoupled_since_ns=None,
    jump_response=None,
    reverse_jump_response=0.3,
    n_observations=512,
    seconds=30_720.0,
)


def analytics_value(
    seq: int, *, asset: str = "BTC", computed_ns: int = NOW_NS, value: float | None = 52.25
) -> AnalyticsValue:
    """One record of what is read off an asset."""
    return AnalyticsValue(
        asset=Asset(asset),
        seq=seq,
        event_ns=computed_ns - 1_000,
        computed_ns=computed_ns,
        source=Source.SIMULATED,
        value=value,
        tenors=(TENOR,),
        expiries=(EXPIRY,),
        slope=3.5,
        forwards=(ForwardVol(begin="30d", end="60d", value=55.5),),
        inverted=False,
        inverted_since_ns=None,
        interest=InterestReading(
            value=53.5,
            vega_iv=53.0,
            volume_iv=52.5,
            open_interest=25_000.0,
            volume=4_000.0,
            put_call_interest=0.65,
            put_call_volume=0.8,
            gamma=310.0,
            vega=1.5e6,
            strikes=(
                StrikeExposure(strike=98_000.0, gamma=21.0, vega=90_000.0, open_interest=1_100.0),
            ),
        ),
        realized=RealizedReading(
            close_close=48.0,
            parkinson=47.0,
            garman_klass=47.5,
            rogers_satchell=47.25,
            yang_zhang=47.75,
            five_minute=45.0,
            bipower=44.0,
            jump_share=0.05,
            one_second=51.0,
            ewma=46.0,
            har=49.0,
            trailing_30d=46.5,
            days=400.0,
        ),
        premium=PremiumReading(
            ex_ante_variance=0.03,
            ex_ante_points=3.25,
            trailing_variance=0.05,
            trailing_points=5.75,
            ex_post_variance=None,
            ex_post_points=None,
        ),
        level=LevelReading(vol_of_vol=85.0, rank=40.0, percentile=37.5, days=399.0),
        regime=RegimeReading(
            absolute="dried_up",
            absolute_since_ns=NOW_NS - 1,
            adaptive="low",
            adaptive_since_ns=NOW_NS - 2,
        ),
        flow=FlowReading(imbalance=0.125, vega_flow=9_000.0, depth=120.0, depth_reference=150.0),
        leverage=LeverageReading(
            funding_rates={Venue("deribit"): 0.0001, Venue("okx"): 0.0002},
            funding_mean=0.00015,
            funding_spread=0.0001,
            open_interest=50_000.0,
            open_interest_ratio=1.05,
        ),
        scaling=ScalingReading(
            sigma=50.0,
            target=40.0,
            raw_exposure=0.8,
            exposure=0.75,
            variance_exposure=0.64,
            budget_size=0.33,
            depth_throttle=0.8,
            flow_throttle=1.0,
            leverage_throttle=0.95,
            margin_multiplier=1.1,
        ),
        markers=Markers(weekend=False, roll=True),
        missing={"premium.ex_post_points": Lack.TOO_LITTLE_HISTORY},
    )


def coupling_value(seq: int, *, computed_ns: int = NOW_NS) -> CouplingValue:
    """One record of how two assets move together."""
    return CouplingValue(
        seq=seq,
        computed_ns=computed_ns,
        source=Source.SIMULATED,
        assets=(BTC, ETH),
        pairs=(PAIR,),
        spillover=SPILLOVER,
        systemic=0.75,
        missing={"pairs.BTC-ETH.jump_response": Lack.TOO_LITTLE_HISTORY},
    )


def alert_event(
    *,
    asset: str = "BTC",
    edge: Edge = Edge.RAISED,
    rule: Rule = Rule.SPIKE,
    subject: str = "BTC",
    raised_ns: int = NOW_NS,
) -> AlertEvent:
    """One end of one episode."""
    is_over = edge is Edge.CLEARED
    return AlertEvent(
        asset=Asset(asset),
        rule=rule,
        subject=subject,
        episode=f"{rule.value}:{subject}:{raised_ns}",
        edge=edge,
        severity=Severity.WARNING,
        value=0.17,
        threshold=0.05 if is_over else 0.15,
        message="The index rose by 17 % in five minutes.",
        raised_ns=raised_ns,
        cleared_ns=raised_ns + 5_000_000_000 if is_over else None,
        computed_ns=raised_ns,
        source=Source.SIMULATED,
    )
