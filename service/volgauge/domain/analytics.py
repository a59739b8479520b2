"""What the number means: readings of the surface, realised volatility, coupling, scaling, alerts.

Volatilities are in points (52.3 is 52.3 % a year) unless a name says variance; then they are
annualised decimals (0.27). A reading that cannot be computed is `None`, and `missing` of its record
maps its dotted path (`realized.har`) to a `Lack`. Formulas: METHODOLOGY.md, appendix.
"""

import enum

from msgspec import Struct

from volgauge.domain.index import SCHEMA_VERSION, Source
from volgauge.domain.instrument import Asset, Venue


class Lack(enum.Enum):
    """Why a reading is null."""

    TOO_LITTLE_HISTORY = "too_little_history"
    """Fewer observations than the reading needs."""
    NO_INDEX = "no_index"
    """The index has no value now (null, held, or stale)."""
    NO_INDEX_PRICE = "no_index_price"
    """No venue tells a fresh price of the underlying."""
    NO_SURFACE = "no_surface"
    """No eligible expiry of a contributing book carries a fitted smile there."""
    NO_OPEN_INTEREST = "no_open_interest"
    """No open interest was told of any option inside the limits."""
    NO_VOLUME = "no_volume"
    """No traded volume was told of any option inside the limits."""
    NO_FUNDING = "no_funding"
    """No venue tells the state of a perpetual."""
    NO_DEPTH = "no_depth"
    """No two-sided quotes to read sizes from."""
    HALTED = "halted"
    """The asset, or one of the pair, has no value."""
    NO_VARIATION = "no_variation"
    """The data do not move, so a correlation or a ratio has no meaning."""
    FALLING_VARIANCE = "falling_variance"
    """Total variance falls between the two tenors, so no forward volatility exists."""
    BAD_NUMBER = "bad_number"
    """An input was not a positive finite number."""


class TenorReading(Struct, frozen=True, kw_only=True, gc=False):
    """The smile at one constant tenor, in points; the mean over books by their weights."""

    tenor: str
    """`30d`."""
    atm: float | None
    """Implied volatility at the forward."""
    put_10: float | None
    """Implied volatility of the put with |forward delta| 0.10, and so on."""
    put_25: float | None
    call_25: float | None
    call_10: float | None
    risk_reversal_25: float | None
    """call_25 - put_25."""
    risk_reversal_10: float | None
    butterfly_25: float | None
    """(call_25 + put_25) / 2 - atm."""
    butterfly_10: float | None
    skewness: float | None
    """Of ln S/F under the risk-neutral measure."""
    kurtosis: float | None
    skew_index: float | None
    """100 - 10 skewness."""
    coin_less_value: float | None
    """`coin` less `value` of the index record at this tenor, points: a signed skew gauge."""


class ExpiryReading(Struct, frozen=True, kw_only=True, gc=False):
    """The smile and the interest of one expiry of one book."""

    book: str
    """Key of the index record's `venues`."""
    expiry: str
    t_years: float
    forward: float | None
    atm: float | None
    risk_reversal_25: float | None
    risk_reversal_10: float | None
    butterfly_25: float | None
    butterfly_10: float | None
    skewness: float | None
    kurtosis: float | None
    interest_iv: float | None
    """Weighted by open interest, points."""
    vega_iv: float | None
    volume_iv: float | None
    open_interest: float | None
    """Coins, inside the limits of delta and time."""
    volume: float | None
    """Coins in 24 h, inside the same limits."""


class ForwardVol(Struct, frozen=True, kw_only=True, gc=False):
    """Volatility between two constant tenors, from the difference of total variances."""

    begin: str
    end: str
    value: float | None
    """None where total variance falls."""


class StrikeExposure(Struct, frozen=True, kw_only=True, gc=False):
    """Open interest times Greek at one strike, all expiries and books together."""

    strike: float
    gamma: float
    """Coins per 1 % move of the price."""
    vega: float
    """Quote currency per volatility point."""
    open_interest: float
    """Coins."""


class InterestReading(Struct, frozen=True, kw_only=True, gc=False):
    """Open-interest-weighted implied volatility and what stands beside it; all books."""

    value: float | None
    """Sum OI IV / Sum OI, points."""
    vega_iv: float | None
    volume_iv: float | None
    open_interest: float | None
    """Coins."""
    volume: float | None
    put_call_interest: float | None
    """Open interest of puts over that of calls."""
    put_call_volume: float | None
    gamma: float | None
    """Sum over strikes, coins per 1 % move; all positions counted as long."""
    vega: float | None
    strikes: tuple[StrikeExposure, ...] = ()
    """The largest by gamma, at most 20, ascending in strike."""


class RealizedReading(Struct, frozen=True, kw_only=True, gc=False):
    """Volatility that came true, of the underlying's index price, in points; a 365-day year."""

    close_close: float | None
    """Of daily closes, 30 days."""
    parkinson: float | None
    """Of daily bars, 30 closed UTC days of which at least 20 are known; so the next three."""
    garman_klass: float | None
    rogers_satchell: float | None
    yang_zhang: float | None
    five_minute: float | None
    """Root of the summed squared 5-minute returns of the last 24 h, subsampled."""
    bipower: float | None
    """The part of `five_minute` that is not jumps."""
    jump_share: float | None
    """max(RV - BV, 0) / RV of the last 24 h."""
    one_second: float | None
    """Of 1 s returns over the last hour; carries the price's own noise."""
    ewma: float | None
    """Root of the EWMA of the daily RV of closed days, lambda 0.94 a day."""
    har: float | None
    """Forecast of the next 30 days."""
    trailing_30d: float | None
    """Root of the mean daily RV of the last 30 days."""
    days: float
    """Days of price history behind this, two years at most; today by its minutes."""


class PremiumReading(Struct, frozen=True, kw_only=True, gc=False):
    """Variance risk premium: implied less realised, as variance and as points of volatility."""

    ex_ante_variance: float | None
    """IV^2 less the HAR forecast."""
    ex_ante_points: float | None
    """IV less the root of the forecast."""
    trailing_variance: float | None
    """IV^2 less RV of the 30 days before."""
    trailing_points: float | None
    ex_post_variance: float | None
    """IV^2 at the close before the 30 days of `trailing_30d`, less RV in them."""
    ex_post_points: float | None


class LevelReading(Struct, frozen=True, kw_only=True, gc=False):
    """The index against its own past."""

    vol_of_vol: float | None
    """Annualised volatility of ln(index), points; half-life 1 d, without the noise of quotes."""
    rank: float | None
    """100 (x - min) / (max - min) over 365 d."""
    percentile: float | None
    """Share of the past closes below x, percent."""
    days: float
    """Days of index history behind rank and percentile."""


class RegimeReading(Struct, frozen=True, kw_only=True, gc=False):
    """In which band the index lies, with hysteresis."""

    absolute: str | None
    """`dried_up`, `quiet`, `healthy`, `mania` or `extreme` (60/80/110/150 points)."""
    absolute_since_ns: int | None
    adaptive: str | None
    """`very_low`, `low`, `normal`, `high` or `very_high` (10/40/75/95 % of 365 d)."""
    adaptive_since_ns: int | None


class FlowReading(Struct, frozen=True, kw_only=True, gc=False):
    """What the live books say of supply and demand, over the last minute."""

    imbalance: float | None
    """Order-flow imbalance (Cont, Kukanov, Stoikov) weighted by vega, over the vega-weighted
    depth: about -1..1."""
    vega_flow: float | None
    """Sum vega_i e_i, quote currency per point."""
    depth: float | None
    """Vega-weighted two-sided size near the money, coins."""
    depth_reference: float | None
    """Its slow average."""


class LeverageReading(Struct, frozen=True, kw_only=True, gc=False):
    """Perpetuals across venues: how crowded the leveraged side is."""

    funding_rates: dict[Venue, float]
    """Per 8 h, decimals."""
    funding_mean: float | None
    """Weighted by open interest."""
    funding_spread: float | None
    """Largest less smallest."""
    open_interest: float | None
    """Coins, all perpetuals told of."""
    open_interest_ratio: float | None
    """Over its slow average."""


class ScalingReading(Struct, frozen=True, kw_only=True, gc=False):
    """What a position scaled to a volatility target should be now."""

    sigma: float | None
    """Blend of implied and realised, points."""
    target: float
    """Points."""
    raw_exposure: float | None
    """min(cap, target / sigma)."""
    exposure: float | None
    """After damping, throttles and the no-trade buffer: what to hold, in multiples."""
    variance_exposure: float | None
    """c / sigma^2, capped."""
    budget_size: float | None
    """Risk budget over sigma times z for one day, in multiples of capital."""
    depth_throttle: float | None
    flow_throttle: float | None
    leverage_throttle: float | None
    margin_multiplier: float | None


class Markers(Struct, frozen=True, kw_only=True, gc=False):
    """Times at which readings are known to behave differently."""

    weekend: bool
    """Saturday or Sunday UTC."""
    roll: bool
    """Within 30 minutes of a time of day at which options of the contributing venues expire: 08:00
    UTC, and 12:00 where one expires then."""


class AnalyticsValue(Struct, frozen=True, kw_only=True, gc=False):
    """Everything read of one asset at one instant."""

    v: int = SCHEMA_VERSION
    asset: Asset
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    event_ns: int
    """Our receipt of the newest input of the asset."""
    computed_ns: int
    published_ns: int = 0
    source: Source
    value: float | None
    """The headline index."""
    tenors: tuple[TenorReading, ...]
    expiries: tuple[ExpiryReading, ...]
    slope: float | None
    """ATM 90 d less 7 d, points."""
    forwards: tuple[ForwardVol, ...]
    inverted: bool | None
    """The index at the shortest tenor exceeds that at the longest by more than the band."""
    inverted_since_ns: int | None
    interest: InterestReading
    realized: RealizedReading
    premium: PremiumReading
    level: LevelReading
    regime: RegimeReading
    flow: FlowReading
    leverage: LeverageReading
    scaling: ScalingReading
    markers: Markers
    missing: dict[str, Lack] = {}


class PairCoupling(Struct, frozen=True, kw_only=True, gc=False):
    """How two assets' indices move together; x = ln(index)."""

    first: Asset
    second: Asset
    correlations: dict[str, float | None]
    """EWMA correlation of changes by half-life: `1h`, `1d`, `7d`."""
    hayashi_yoshida: float | None
    """Correlation of unsynchronised ticks over the last hour, no lag."""
    lead_seconds: float | None
    """Lag of the largest Hayashi-Yoshida correlation; positive: `first` leads."""
    lead_ratio: float | None
    """Sum of squares at positive lags over that at negative ones."""
    beta: float | None
    """Of d ln(second) on d ln(first), half-life 1 d."""
    r_squared: float | None
    spread: float | None
    """ln first - ln second."""
    spread_z: float | None
    """Against its EWMA mean and deviation, half-life 7 d."""
    decoupled: bool | None
    """|z| went above 2.5 and has not come below 1.5."""
    decoupled_since_ns: int | None
    jump_response: float | None
    """Correlation of realised jumps in `first` with the next change of `second`'s index."""
    reverse_jump_response: float | None
    n_observations: int
    """Synchronous changes seen."""
    seconds: float
    """Span of data behind this."""


class SpilloverReading(Struct, frozen=True, kw_only=True, gc=False):
    """Diebold-Yilmaz connectedness: VAR(2) on 5-minute ln(index), 12 steps, generalised."""

    assets: tuple[Asset, ...]
    table: tuple[tuple[float, ...], ...]
    """Row i, column j: share of i's forecast error variance that comes from j, percent."""
    total: float | None
    to_others: dict[Asset, float]
    from_others: dict[Asset, float]
    net: dict[Asset, float]
    n_observations: int
    at_ns: int


class CouplingValue(Struct, frozen=True, kw_only=True, gc=False):
    """All pairs of assets at one instant."""

    v: int = SCHEMA_VERSION
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    computed_ns: int
    published_ns: int = 0
    source: Source
    assets: tuple[Asset, ...]
    pairs: tuple[PairCoupling, ...]
    spillover: SpilloverReading | None
    systemic: float | None
    """Share of the first eigenvalue of the 1 d correlation matrix, rescaled to 0..1."""
    missing: dict[str, Lack] = {}
    """By path: `pairs.BTC-ETH.spread_z`, `spillover`, `systemic`."""


class Rule(enum.Enum):
    """What an alert is about."""

    SPIKE = "spike"
    COLLAPSE = "collapse"
    BAND_CHANGE = "band_change"
    INVERSION = "inversion"
    DECOUPLING = "decoupling"
    SPILLOVER_SURGE = "spillover_surge"
    PREMIUM_SIGN = "premium_sign"
    STALE = "stale"
    VENUE_OUT = "venue_out"
    COVERAGE_LOST = "coverage_lost"


RAISED_BELOW = frozenset({Rule.PREMIUM_SIGN, Rule.COVERAGE_LOST})
"""Rules that are raised when their value falls below `raise_at`; all others when it reaches it."""

MARKET = Asset("ALL")
"""`asset` of an alert that is about no single underlying."""


class Severity(enum.Enum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Edge(enum.Enum):
    """Which end of an episode an alert event tells."""

    RAISED = "raised"
    CLEARED = "cleared"


class AlertEvent(Struct, frozen=True, kw_only=True, gc=False):
    """One end of one episode, on the events channel of its asset; each comes exactly once."""

    v: int = SCHEMA_VERSION
    asset: Asset
    """For a pair the first of it, for the whole market `ALL`."""
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    kind: str = "alert"
    rule: Rule
    subject: str
    """What exactly: the asset, `BTC-ETH`, or a venue's book."""
    episode: str
    """Names the episode: rule, subject and the instant of the raise; the same in both events."""
    edge: Edge
    severity: Severity
    value: float | None
    """What the rule looked at."""
    threshold: float | None
    message: str
    """One sentence for a person."""
    raised_ns: int
    cleared_ns: int | None = None
    computed_ns: int
    published_ns: int = 0
    source: Source
