"""Bodies of the HTTP side that are no record: what OpenAPI says of them.

The handlers put them together from bytes that are encoded already, or from plain data; the contract
test holds what they answer against these.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from volgauge.domain.analytics import AlertEvent
from volgauge.domain.index import IndexValue, VenueIndexValue


class Problem(Struct, frozen=True):
    """What was wrong."""

    code: str
    """To branch on."""
    message: str
    """For people; names the parameter where there is one."""


class ErrorAnswer(Struct, frozen=True):
    """Every refusal of ours."""

    error: Problem


class About(Struct, frozen=True):
    """Facts of the build and the source."""

    version: str
    methodology: str
    mode: str
    source: str
    """`live` only when every endpoint is an official host."""
    history: bool
    """Candles are kept."""
    evidence: bool
    """Evidence is kept."""
    absolute_bands: Annotated[list[float], Meta(min_length=4, max_length=4)]
    """Points between the absolute regimes."""


class IndexList(Struct, frozen=True):
    """The newest record of every series, or of one asset's."""

    indices: list[IndexValue]


class VenueList(Struct, frozen=True):
    """What each option book alone says."""

    venues: list[VenueIndexValue]


class Alerts(Struct, frozen=True):
    """The alerts that are up, and the last events."""

    active: list[AlertEvent]
    """The raise of every episode that goes on."""
    recent: list[AlertEvent]
    """Newest first."""


class Holdings(Struct, frozen=True):
    """What is stored of an asset."""

    asset: str
    series: dict[str, list[int]]
    """Resolutions in seconds by series: a tenor, the `price`, a part of the headline (`30d.bid`,
    `30d.okx`); empty: nothing is stored."""


class Health(Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(Struct, frozen=True):
    """Whether there is something to serve."""

    status: Literal["ready", "not ready"]
    reasons: list[str]
    """Why not."""


class Clock(Struct, frozen=True):
    """Our time, every second: it proves the link alive."""

    now_ns: int
    """Nanoseconds since 1970-01-01 UTC."""


class UdfRefusal(Struct, frozen=True):
    """A refusal as TradingView's feed words it."""

    s: Literal["error"]
    errmsg: str


class UdfChoice(Struct, frozen=True):
    """One entry of a list to choose from."""

    name: str
    value: str
    desc: str = ""


class UdfConfig(Struct, frozen=True):
    """What this feed can do."""

    supports_search: bool
    supports_group_request: bool
    supports_marks: bool
    supports_timescale_marks: bool
    supports_time: bool
    supported_resolutions: list[str]
    exchanges: list[UdfChoice]
    symbols_types: list[UdfChoice]


class UdfFound(Struct, frozen=True):
    """One index that fits a search."""

    symbol: str
    full_name: str
    description: str
    exchange: str
    ticker: str
    type: str


class UdfSymbol(Struct, frozen=True):
    """One index as a chart needs it."""

    name: str
    full_name: str
    ticker: str
    description: str
    type: str
    session: str
    timezone: str
    exchange: str
    listed_exchange: str
    minmov: int
    pricescale: int
    format: str
    visible_plots_set: str
    has_seconds: bool
    seconds_multipliers: list[str]
    has_intraday: bool
    intraday_multipliers: list[str]
    has_daily: bool
    daily_multipliers: list[str]
    has_weekly_and_monthly: bool
    supported_resolutions: list[str]
    data_status: str


class Version(Struct, frozen=True):
    """Result of `public/test` and `public/hello`."""

    version: str


class RpcCall(Struct, frozen=True):
    """A JSON-RPC 2.0 request; fields that it does not name are ignored."""

    jsonrpc: Literal["2.0"]
    method: Annotated[str, Meta(max_length=64)]
    id: Annotated[int, Meta(ge=1 - 2**63, le=2**63 - 1)] | str | None = None
    """Comes back in the answer."""
    params: dict[str, Any] | None = None
