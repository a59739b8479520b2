"""What a watcher knows of the market: the newest records, and how far each can be trusted now.

No socket and no clock: records are put in as their JSON, and the time is an argument.
"""

import enum
from collections import deque

import msgspec
from msgspec import Struct, field

from volgauge.domain.analytics import (
    MARKET,
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    PairCoupling,
)
from volgauge.domain.channels import Kind
from volgauge.domain.index import IndexValue, Status, tenor_label
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND

CURRENT = frozenset({Status.OK, Status.SINGLE_VENUE, Status.DEGRADED})
"""Statuses whose value was computed just then; GUARD and STALE repeat an older one."""
SILENT = "SILENT"
"""Shown instead of a status that was told too long ago to be true: the teller may be dead."""
SILENT_HEARTBEATS = 3
DEFAULT_HEARTBEAT_MS = 1000
MAX_ALERTS = 64
DAY_NS = 86_400 * NANOS_PER_SECOND


class LinkState(enum.Enum):
    """Whether records reach us."""

    CONNECTING = "connecting"
    UP = "connected"
    DOWN = "connection lost"


class Link(Struct):
    """Our connection to the publisher."""

    state: LinkState = LinkState.CONNECTING
    since_ns: int = 0
    error: str = ""
    """Why it is not up."""
    lost_count: int = 0


class Baseline(Struct, frozen=True):
    """What a change is counted from."""

    value: float
    """Points."""
    at_ns: int


class VenueRow(Struct, frozen=True):
    """One book of a row."""

    book: str
    state: str
    """`in`, `out`, `warming` or `down`."""
    weight: float
    value: float | None


class Row(Struct, frozen=True, kw_only=True):
    """One asset as it is shown, and as `--json` prints it; volatilities in points."""

    asset: str
    tenor: str
    at_ns: int
    """The instant that ages are of."""
    value: float | None
    bid: float | None
    ask: float | None
    change: float | None
    """Since `change_seconds` ago; null without an older value."""
    change_seconds: float | None
    status: str
    """Of the record, or `SILENT`: no record came for three heartbeats."""
    is_current: bool
    """The value was computed from live data just now."""
    flags: tuple[str, ...]
    reason: str | None
    age_seconds: float
    """Of the newest input that the value rests on."""
    venues: tuple[VenueRow, ...]
    """Those that are in first, by weight."""
    term: dict[str, float | None]
    """Index at each constant tenor, short to long; null where it has no current value."""
    risk_reversal_25: float | None
    realized: float | None
    """Five-minute volatility of the last 24 h."""
    premium: float | None
    """Index less forecast realised volatility."""
    source: str
    seq: int


class Board(Struct):
    """The newest record of everything."""

    tenor: str
    """Label of the watched tenor."""
    assets: frozenset[str] = frozenset()
    """Only these; empty is all."""
    link: Link = field(default_factory=Link)
    skew_ns: int = 0
    """The publisher's clock less ours, where it tells it."""
    series_count: int = 0
    """Series seen; it stands still when a snapshot is complete."""
    refused_count: int = 0
    """Records that could not be read: of another schema."""
    headlines: dict[str, IndexValue] = field(default_factory=dict)
    terms: dict[str, dict[float, IndexValue]] = field(default_factory=dict)
    analytics: dict[str, AnalyticsValue] = field(default_factory=dict)
    coupling: CouplingValue | None = None
    alerts: deque[AlertEvent] = field(default_factory=lambda: deque(maxlen=MAX_ALERTS))
    """Newest first."""
    baselines: dict[str, Baseline] = field(default_factory=dict)

    def take_line(self, kind: Kind, line: bytes) -> None:
        """Put in one record; of what is not watched nothing is kept."""
        try:
            match kind:
                case Kind.INDEX:
                    self.take_index(_INDEX.decode(line))
                case Kind.ANALYTICS:
                    self.take_analytics(_ANALYTICS.decode(line))
                case Kind.COUPLING:
                    self.take_coupling(_COUPLING.decode(line))
                case Kind.EVENTS if _HEAD.decode(line).kind == "alert":
                    self.take_alert(_ALERT.decode(line))
                case _:
                    pass
        except msgspec.MsgspecError:
            self.refused_count += 1

    def take_index(self, record: IndexValue) -> None:
        """Put in an index of any tenor."""
        if self.assets and record.asset not in self.assets:
            return
        term = self.terms.setdefault(record.asset, {})
        self.series_count += record.tenor_days not in term
        term[record.tenor_days] = record
        if tenor_label(record.tenor_days) != self.tenor:
            return
        self.headlines[record.asset] = record
        if record.value is not None and record.status in CURRENT:
            self.baselines.setdefault(record.asset, Baseline(record.value, record.computed_ns))

    def take_analytics(self, record: AnalyticsValue) -> None:
        """Put in the readings of an asset."""
        if self.assets and record.asset not in self.assets:
            return
        self.series_count += record.asset not in self.analytics
        self.analytics[record.asset] = record

    def take_coupling(self, record: CouplingValue) -> None:
        """Put in the readings of all pairs."""
        self.series_count += self.coupling is None
        self.coupling = record

    def take_alert(self, event: AlertEvent) -> None:
        """Put in one end of an episode; one that is known is passed over."""
        if self.assets and event.asset not in self.assets | {MARKET}:
            return
        known = {(old.episode, old.edge) for old in self.alerts}
        if (event.episode, event.edge) not in known:
            newest_first = sorted([*self.alerts, event], key=lambda one: -one.computed_ns)
            self.alerts = deque(newest_first[:MAX_ALERTS], maxlen=MAX_ALERTS)

    def set_link(self, state: LinkState, now_ns: int, error: str = "") -> bool:
        """Note the state of the connection; True when it is another than before."""
        self.link.error = error
        if state is self.link.state:
            return False
        self.link.lost_count += state is LinkState.DOWN and self.link.state is LinkState.UP
        self.link.state = state
        self.link.since_ns = now_ns
        return True

    def rows(self, now_ns: int) -> list[Row]:
        """One row an asset, in alphabetical order."""
        return [self._row(self.headlines[asset], now_ns) for asset in sorted(self.headlines)]

    def pairs(self) -> list[PairCoupling]:
        """Of the watched assets; decoupled ones first, then the most correlated."""
        found = [
            pair
            for pair in (self.coupling.pairs if self.coupling is not None else ())
            if not self.assets or {pair.first, pair.second} <= self.assets
        ]
        return sorted(
            found,
            key=lambda pair: (not pair.decoupled, -abs(pair.correlations.get("1h") or 0.0)),
        )

    def _row(self, record: IndexValue, now_ns: int) -> Row:
        base = self.baselines.get(record.asset)
        change = None if base is None or record.value is None else record.value - base.value
        reading = self.analytics.get(record.asset)
        tenor = (
            next((one for one in reading.tenors if one.tenor == self.tenor), None)
            if (reading is not None)
            else None
        )
        silent = is_silent(record, now_ns)
        return Row(
            asset=record.asset,
            tenor=self.tenor,
            at_ns=now_ns,
            value=record.value,
            bid=record.bid,
            ask=record.ask,
            change=change,
            change_seconds=None
            if base is None or change is None
            else max(0.0, (now_ns - base.at_ns) / NANOS_PER_SECOND),
            status=SILENT if silent else record.status.value,
            is_current=is_current(record, now_ns),
            flags=record.flags,
            reason=record.reason.value if record.reason is not None else None,
            age_seconds=max(0.0, (now_ns - record.event_ns) / NANOS_PER_SECOND),
            venues=tuple(
                VenueRow(book, one.state, one.weight, one.value)
                for book, one in sorted(
                    record.venues.items(),
                    key=lambda item: (item[1].state != "in", -item[1].weight, item[0]),
                )
            ),
            term={
                tenor_label(days): one.value if is_current(one, now_ns) else None
                for days, one in sorted(self.terms[record.asset].items())
            },
            risk_reversal_25=tenor.risk_reversal_25 if tenor is not None else None,
            realized=reading.realized.five_minute if reading is not None else None,
            premium=reading.premium.ex_ante_points if reading is not None else None,
            source=record.source.value,
            seq=record.seq,
        )


def is_silent(record: IndexValue, now_ns: int) -> bool:
    """Whether the record that should have followed by now did not come."""
    limit_ms = SILENT_HEARTBEATS * (record.heartbeat_ms or DEFAULT_HEARTBEAT_MS)
    return now_ns - record.computed_ns > limit_ms * NANOS_PER_MILLI


def is_current(record: IndexValue, now_ns: int) -> bool:
    """Whether its value can be taken for the one of now."""
    return record.value is not None and record.status in CURRENT and not is_silent(record, now_ns)


class _Head(Struct):
    """What tells one event from another."""

    kind: str


_INDEX = msgspec.json.Decoder(IndexValue)
_ANALYTICS = msgspec.json.Decoder(AnalyticsValue)
_COUPLING = msgspec.json.Decoder(CouplingValue)
_ALERT = msgspec.json.Decoder(AlertEvent)
_HEAD = msgspec.json.Decoder(_Head)
