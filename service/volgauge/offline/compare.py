"""Compare our headline with the venue's own index over a recording.

The same sampling and the same figures as the live metrics (`telemetry.comparison`), over the
whole recording instead of the last hour. Drives the engine as a replay does; reads no file.
"""

from collections.abc import Iterable

import numpy as np
from msgspec import UNSET, Struct, UnsetType

from volgauge.domain.index import METHODOLOGY_VERSION, IndexValue
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND, format_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueSink
from volgauge.telemetry.comparison import (
    MAX_LEAD_SECONDS,
    MIN_LEAD_PAIRS,
    MIN_PAIRS,
    Compared,
    Row,
    Sampler,
    Series,
    compare,
)

_COLUMNS = 2 + len(Series)
_HEADER = "  series      pairs     bias     RMSE  levels  changes   lead  there"


class AssetComparison(Struct, frozen=True, kw_only=True):
    """One venue's own index against ours."""

    venue: str
    asset: str
    first: str | UnsetType = UNSET
    """ISO-8601 second of the first row; absent without any."""
    last: str | UnsetType = UNSET
    series: tuple[Compared, ...]


class ComparisonReport(Struct, frozen=True, kw_only=True):
    """What `volgauge compare` prints."""

    methodology: str = METHODOLOGY_VERSION
    engine: str
    mode: str
    """Rules by which `value` was computed."""
    tenor_days: float
    minimum_pairs: int = MIN_PAIRS
    """Fewer seconds give no figure."""
    minimum_lead_pairs: int = MIN_LEAD_PAIRS
    """Fewer one-second changes at any lag give no lead."""
    max_lead_seconds: int = MAX_LEAD_SECONDS
    comparisons: tuple[AssetComparison, ...]

    @property
    def has_figures(self) -> bool:
        """At least one bias could be computed."""
        return any(result.bias is not None for found in self.comparisons for result in found.series)


class RecordingComparison:
    """Collects one row a second for every venue and asset; a replay drives it."""

    def __init__(
        self,
        engine: Engine,
        venues: Iterable[VenueSink],
        *,
        tenor_days: float,
        asset: str | None = None,
    ) -> None:
        """Prepare.

        Args:
            engine: What the replay feeds.
            venues: Its sinks.
            tenor_days: Of the headline.
            asset: Only this underlying.
        """
        self._engine = engine
        self._venues = tuple(venues)
        self._tenor_days = tenor_days
        self._asset = asset
        self._headlines: dict[Asset, IndexValue] = {}
        self._samplers: dict[tuple[str, Asset], Sampler] = {}
        self._rows: dict[tuple[str, Asset], list[Row]] = {}

    def timer(self, now_ns: int) -> None:
        """Time passed."""
        self._engine.timer(now_ns)
        self._sample(now_ns)

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """Recompute."""
        for record in self._engine.recompute(now_ns, only):
            if isinstance(record, IndexValue) and record.tenor_days == self._tenor_days:
                self._headlines[record.asset] = record
        self._sample(now_ns)

    def report(self, *, engine: str, mode: str) -> ComparisonReport:
        """What was found so far.

        Args:
            engine: Version of the program.
            mode: Rules by which `value` was computed.
        """
        return ComparisonReport(
            engine=engine,
            mode=mode,
            tenor_days=self._tenor_days,
            comparisons=tuple(
                _comparison(venue, asset, rows)
                for (venue, asset), rows in sorted(self._rows.items())
            ),
        )

    def _sample(self, now_ns: int) -> None:
        for sink in self._venues:
            for asset, points in sink.vol_index.items():
                if self._asset is not None and asset != self._asset:
                    continue
                key = (sink.venue, asset)
                sampler = self._samplers.get(key)
                if sampler is None:
                    sampler = self._samplers[key] = Sampler()
                    self._rows[key] = []
                since_ns = sink.vol_index_ns[asset]
                self._rows[key] += sampler.poll(
                    points, since_ns, self._headlines.get(asset), now_ns
                )


def as_table(report: ComparisonReport) -> str:
    """The report for a reader: a line a series, points with three decimals."""
    lines = []
    for found in report.comparisons:
        span = "no second in common"
        if found.first is not UNSET and found.last is not UNSET:
            span = f"{found.first} to {found.last}"
        title = f"{found.asset} {report.tenor_days:g}d against {found.venue}'s own index, {span}"
        lines += [title, _HEADER]
        lines += [_line(result) for result in found.series]
    if not report.comparisons:
        lines.append("no venue published an index of its own")
    lines.append(
        f"  points; correlations of levels, of one-second changes, and of changes at the lead; a "
        f"lead in seconds is positive where ours goes first; figures need {report.minimum_pairs} "
        f"pairs, a lead {report.minimum_lead_pairs} changes at each lag"
    )
    return "\n".join(lines) + "\n"


def _line(result: Compared) -> str:
    def cell(number: float | None, width: int, decimals: int) -> str:
        return f"{'-':>{width}}" if number is None else f"{number:>{width}.{decimals}f}"

    lead = "-" if result.lead_seconds is None else f"{result.lead_seconds:+d}"
    if result.lead_at_limit:
        lead += "!"
    return (
        f"  {result.series:<9} {result.pairs:>7} {cell(result.bias, 8, 3)} "
        f"{cell(result.rmse, 8, 3)} {cell(result.level_correlation, 7, 3)} "
        f"{cell(result.change_correlation, 8, 3)} {lead:>6} "
        f"{cell(result.lead_correlation, 6, 3)}"
    )


def _comparison(venue: str, asset: Asset, rows: list[Row]) -> AssetComparison:
    table = np.array(rows, dtype=np.float64).reshape(-1, _COLUMNS)
    return AssetComparison(
        venue=venue,
        asset=asset,
        first=_instant(rows[0]) if rows else UNSET,
        last=_instant(rows[-1]) if rows else UNSET,
        series=compare(table),
    )


def _instant(row: Row) -> str:
    return format_instant(int(row[0]) * NANOS_PER_SECOND)
