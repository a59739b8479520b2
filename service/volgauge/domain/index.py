"""The index value: one type for the published record, the library and the command line.

The closed lists of this module (statuses, flags, reasons) are the service's vocabulary of doubt;
each member's docstring is its documentation.
"""

import enum

from msgspec import UNSET, Struct, UnsetType

from volgauge.domain.instrument import Asset, Venue

SCHEMA_VERSION = 1
METHODOLOGY_VERSION = "1.0.0"
"""Version of the calculation rules; any change that can move a published value raises it."""


class Method(enum.Enum):
    """Rules by which an expiry's variance is computed (METHODOLOGY §2)."""

    NATIVE = "native"
    """Ours: filtered quotes only, no venue marks, over the 5-delta corridor."""
    CBOE = "cboe"
    """Cboe's published rules to the letter."""
    DVOL = "dvol"
    """The discrete strip over listed strikes with |delta| >= 0.05."""


class Source(enum.Enum):
    """Where the input came from."""

    LIVE = "live"
    """Every endpoint is one of the official hosts of the adapters."""
    SIMULATED = "simulated"
    REPLAY = "replay"
    FILE = "file"
    """A chain that the user gave to `volgauge compute`."""


class Status(enum.Enum):
    """How far a value can be trusted (METHODOLOGY §6, rule 20)."""

    OK = "OK"
    """Several venues contributed and agree."""
    SINGLE_VENUE = "SINGLE_VENUE"
    """One venue only contributed."""
    DEGRADED = "DEGRADED"
    """Computed, but a flag says why it may be off."""
    GUARD = "GUARD"
    """A jump is held back; `value` is the last accepted one, `candidate` the refused number."""
    STALE = "STALE"
    """No valid value for 5 s; `value` is the last accepted one with its own `event_ns`."""
    HALTED = "HALTED"
    """No valid value for 60 s, or no expiries to compute one from: `value` is null."""
    WARMING = "WARMING"
    """The first full snapshot has not come yet."""


class Flag(enum.Enum):
    """Why a value may be off."""

    MARKS_USED = "marks_used"
    """Mode `dvol` took the venue's mark for an option without a two-sided quote."""
    ONE_SIDED_TERM = "one_sided_term"
    """Only one expiry, within 2/3 and 3/2 of the tenor, stood for both."""
    GAP = "gap"
    """Neighbouring accepted strikes are more than 1.5 standard deviations apart."""
    WIDE = "wide"
    """Half the bid-ask range of the index exceeds 2 % of its value."""
    FORWARD = "forward"
    """Fewer than three put-call pairs gave the forward."""
    PARITY_GAP = "parity_gap"
    """The parity forward lies outside the arbitrage interval."""
    FUTURE_GAP = "future_gap"
    """The parity forward is more than 0.3 % off the listed future."""
    EXTRAPOLATED = "extrapolated"
    """More than 10 % of the variance lies beyond the quoted strikes."""
    CALENDAR = "calendar"
    """Total variance falls with time to expiry."""
    FEED_STALE = "feed_stale"
    """A venue sent no data inside its liveness limit."""
    INDEX_LOCKED = "index_locked"
    """The venue locked its price index."""
    COVERAGE = "coverage"
    """The venue refused part of the subscription."""
    QUAD = "quad"
    """`full` and its tail-free form differ by more than 0.05 points."""
    BUTTERFLY = "butterfly"
    """The fitted smile has a negative density somewhere."""
    FIT = "fit"
    """No smile could be fitted; one volatility stands for all strikes."""
    BLENDED = "blended"
    """An expiry is entering or leaving the bracket by weight."""
    VENUES_DIFFER = "venues_differ"
    """Two venues are over 5 % apart; of more than two, at least two are so far off."""
    SKIPPED_EXPIRY = "skipped_expiry"
    """A listed expiry nearer to the tenor was not eligible, so one farther away stood in."""
    UNQUALIFIED = "unqualified"
    """An expiry of the bracket does not meet rule 9 now; it leaves unless it recovers in 5 s."""
    CARRIED = "carried"
    """An expiry of the bracket has no variance now: its neighbours carry it while it leaves."""


class Reason(enum.Enum):
    """Why a value is null."""

    NO_INSTRUMENTS = "no_instruments"
    """The venue lists no option of this underlying."""
    NO_QUOTES = "no_quotes"
    """Options are listed, and none of them is quoted."""
    NO_BRACKET = "no_bracket"
    """No eligible expiry on one side of the tenor, and none near enough on the other."""
    TOO_FEW_STRIKES = "too_few_strikes"
    """Too few quotes passed the filters, or they do not reach far enough (rule 9)."""
    NO_FORWARD = "no_forward"
    """No put-call pairs, no listed future and no neighbours to take a forward from."""
    K_ZERO_QUOTE = "k_zero_quote"
    """`cboe`: a quote at K0 is missing or crossed."""
    ONE_SIDED_CHAIN = "one_sided_chain"
    """All calls or all puts are excluded."""
    BAD_INPUT = "bad_input"
    """A strike, forward or expiry is not a positive finite number."""
    NEGATIVE_VARIANCE = "negative_variance"
    """The rules gave a variance that is none."""
    FEED_DOWN = "feed_down"
    """No venue's data is alive, or the snapshot after a lost connection is not complete."""
    WARMING = "warming"
    """The first full snapshot has not come yet."""
    TOO_FEW_VALUES = "too_few_values"
    """A fixing: one of its five-minute intervals has valid values in less than half its seconds."""


class Reject(enum.Enum):
    """Why one option's quote was not used (METHODOLOGY §3); counted per expiry."""

    ABSENT = "absent"
    """Neither side is quoted."""
    NO_BID = "no_bid"
    """Only the ask is quoted."""
    NO_ASK = "no_ask"
    """Only the bid is quoted."""
    CROSSED = "crossed"
    """ask <= bid."""
    WIDE = "wide"
    """ask > 3 bid, or ask - bid > max(6 ticks, half the mid)."""
    TINY = "tiny"
    """mid < max(5 ticks, 1e-4): the tick is larger than the information."""
    BOUNDS = "bounds"
    """Outside the static no-arbitrage bounds."""
    ARBITRAGE = "arbitrage"
    """Against a neighbour: price order or butterfly (rule 2a)."""
    EDGE = "edge"
    """`native`: the outermost strike, far from the curve through the others (rule 10a)."""
    OUTLIER = "outlier"
    """`native`: far from the curve and from its neighbours' errors (rule 10b)."""
    STALE = "stale"
    """Old, and the forward has moved by more than the quote's own spread (rule 3)."""
    BAD_NUMBER = "bad_number"
    """Negative, infinite or not a number where a number was given."""
    BEYOND_STOP = "beyond_stop"
    """`cboe`: beyond two consecutive excluded strikes."""
    BELOW_DELTA = "below_delta"
    """`dvol`: |delta| < 0.05. Not an error; the usual case in the wings."""


class ExpiryValue(Struct, frozen=True, kw_only=True, gc=False):
    """What one expiry of one option book contributed."""

    expiry: str
    """ISO-8601 instant."""
    book: str = ""
    """Key of `venues`: whose quotes."""
    t_years: float
    minutes: int
    """Whole minutes to expiry, rounded down."""
    forward: float | None
    k_zero: float | None
    """Highest listed strike at or below the forward."""
    n_strikes: int
    strip_sum: float | None
    """Sum of dK / K^2 e^{rt} Q(K), before the factor 2 and the K0 correction; r only in `cboe`."""
    total_variance: float | None
    """sigma^2 t, dimensionless."""
    variance: float | None
    """Annualised."""
    weight: float
    """Weight of this expiry's total variance in the constant tenor."""
    share: float = 1.0
    """How far the expiry is in: below 1 while it enters or leaves (METHODOLOGY rule 9)."""
    pooled_variance: float | None = None
    """The total variance that was used, where it is not `total_variance`: pooled with others
    because total variance fell with time (rule 14), or carried by the neighbours."""
    n_rejected: int
    rejected: dict[str, int]
    flags: tuple[str, ...] = ()


class VenueValue(Struct, frozen=True, kw_only=True, gc=False):
    """What one venue said."""

    value: float | None
    weight: float
    state: str
    """`in`, `out`, `warming` or `down`."""


class IndexValue(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=False):
    """A constant-tenor implied-volatility index at one instant; volatilities in points.

    The published record of DESIGN §5. `None` is "not computable", and then `reason` says why.
    """

    v: int = SCHEMA_VERSION
    code: str
    asset: Asset
    tenor_days: float
    seq: int = 0
    """Rises by one with every value of this asset and tenor within an epoch."""
    prev_seq: int = 0
    """`seq` of the record handed to this sink before: not the client's last means loss."""
    epoch: int = 0
    value: float | None
    bid: float | None = None
    ask: float | None = None
    u: float | None = None
    """One-sigma-like half width of the error band (METHODOLOGY rule 17)."""
    full: float | None = None
    tail_lo: float | None = None
    tail_hi: float | None = None
    coin: float | None = None
    svix: float | None = None
    strip: float | None = None
    """The exchange's own discrete rule, mode `dvol`."""
    smoothed: float | None = None
    """Interquartile mean of the last 120 one-second values of `strip`; null until there are 120."""
    extrapolated: float | None = None
    """Share of the variance that lies beyond the quoted strikes."""
    candidate: float | None = None
    """GUARD and STALE: the number that was refused."""
    status: Status
    flags: tuple[str, ...] = ()
    reason: Reason | None = None
    quality: float | None = None
    """0 worthless .. 1 perfect (METHODOLOGY rule 18)."""
    event_ns: int
    """Our receipt of the newest input that the value rests on."""
    computed_ns: int
    published_ns: int = 0
    n_strikes: int = 0
    ticks_merged: int = 0
    """Inputs applied since the record before, less one."""
    source: Source
    expiries: tuple[ExpiryValue, ...] = ()
    venues: dict[Venue, VenueValue] = {}
    mode: Method
    methodology: str = METHODOLOGY_VERSION
    engine: str = ""
    """Version of the program."""
    input_hash: str = ""
    heartbeat_ms: int = 0
    """A record follows at least this often."""
    at: str | UnsetType = UNSET
    """ISO-8601 instant of calculation; given by `compute` only."""
    corrects: int | UnsetType = UNSET
    """`seq` of the record that this one restates."""

    @property
    def method(self) -> str:
        """The rules used, by their command-line name."""
        return self.mode.value


class VenueIndexValue(Struct, frozen=True, kw_only=True, gc=False):
    """What one venue's option book alone says of a tenor, and whether it counts.

    Follows the index record of the same `seq`, at most once a second or when a state changes.
    While that record's `status` is GUARD or STALE it repeats an older value, and this record
    what the books said then; `data_ns` is of now all the same.
    """

    v: int = SCHEMA_VERSION
    asset: Asset
    tenor_days: float
    venue: Venue
    label: str
    """Key of `venues` in the index record: the venue, or one of its books (`okx:USD_UM`)."""
    seq: int = 0
    """Of the index record."""
    prev_seq: int = 0
    epoch: int = 0
    value: float | None
    """The book's own index in volatility points; null when it has none."""
    weight: float
    """Of `value` in the composite, 0 to 1."""
    state: str
    """`in`, `out`, `warming` or `down`."""
    composite: float | None
    """`value` of the index record."""
    status: Status
    """Of the index record."""
    lag_ms: float | None
    """Median from the venue's stamp on a quote to our receipt, over the last second in which
    quotes came; the clocks' difference is in it, so it may be negative. Null before the first."""
    data_ns: int
    """Our receipt of the venue's newest data of any asset; 0 before the first."""
    computed_ns: int
    """Of the index record."""
    published_ns: int = 0
    source: Source


class ExpirySurface(Struct, frozen=True, kw_only=True, gc=False):
    """One expiry of one venue's option book, for the surface record."""

    venue: Venue
    book: str = ""
    """Key of the index record's `venues`: whose quotes."""
    expiry: str
    t_years: float
    forward: float | None
    total_variance: float | None
    implied_vol: float | None
    """Variance-swap volatility of the expiry in points."""
    strip: float | None
    """The same by the exchange's discrete rule, in points."""
    n_strikes: int
    n_rejected: int
    rejected: dict[str, int]
    flags: tuple[str, ...] = ()


class SurfaceValue(Struct, frozen=True, kw_only=True, gc=False):
    """All expiries and constant tenors of one asset at one instant."""

    v: int = SCHEMA_VERSION
    asset: Asset
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    event_ns: int
    computed_ns: int
    published_ns: int = 0
    source: Source
    expiries: tuple[ExpirySurface, ...]
    term: dict[str, float | None]
    """Constant tenor (`30d`) to volatility points."""
    index_price: float | None = None
    venue_index: float | None = None
    """The venue's own volatility index, for comparison."""


class StatusEvent(Struct, frozen=True, kw_only=True, gc=False):
    """A change of status, on the events channel."""

    v: int = SCHEMA_VERSION
    asset: Asset
    tenor_days: float
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    kind: str = "index.status_changed"
    before: Status
    after: Status
    flags: tuple[str, ...] = ()
    reason: Reason | None = None
    computed_ns: int
    published_ns: int = 0
    source: Source


class Fixing(enum.Enum):
    """The daily fixings (METHODOLOGY rule 21)."""

    UTC_0800 = "utc_0800"
    """08:00 UTC, when the venues' options expire."""
    LONDON_1600 = "london_1600"
    """16:00 in London, summer time observed."""


class FixingValue(Struct, frozen=True, kw_only=True, gc=False):
    """One fixing, on the events channel: the mean of six five-minute medians of `value`.

    Only seconds with a valid value count. `None` when an interval has fewer than half of them;
    then `reason` says so. A fixing whose window began before the process did is null, too.
    """

    v: int = SCHEMA_VERSION
    asset: Asset
    tenor_days: float
    seq: int = 0
    prev_seq: int = 0
    epoch: int = 0
    kind: str = "index.fixed"
    name: Fixing
    value: float | None
    """Volatility points."""
    medians: tuple[float | None, ...]
    """Of the six intervals, in order; None where no second counted."""
    n_values: int
    """Seconds that counted, of 1800."""
    begin_ns: int
    """Start of the window."""
    end_ns: int
    """The fixing instant."""
    reason: Reason | None = None
    computed_ns: int
    published_ns: int = 0
    source: Source
    methodology: str = METHODOLOGY_VERSION


def tenor_label(tenor_days: float) -> str:
    """`30d`: the name of a tenor in channels, paths and labels."""
    return f"{tenor_days:g}d"


def index_code(asset: str, tenor_days: float) -> str:
    """`VG-BTC-30D`: our code of an index."""
    return f"VG-{asset}-{tenor_days:g}D"
