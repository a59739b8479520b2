"""Events in, records out: the one engine of live, replay, simulation, tests and `compute`.

    sink(venue).quote(...) / .event(...)    the book state changes
    timer(now_ns)                           time passed
    recompute(now_ns) -> records            each touched asset is computed once
    recompute(now_ns, asset) -> records     only that one, so that nobody waits for all of them

The value is a pure function of the book state. What has a memory (sequence numbers, the status
ladder, the last emission) advances by event time, by timer or by the recompute's own stamp, all
of which a recording holds.
"""

from collections.abc import Mapping

from volgauge.book.quotes import Activity
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset, Venue
from volgauge.index.asset import AssetIndex, Record
from volgauge.index.evidence import EvidenceKeeper
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.settings import IndexSettings


class Engine:
    """All venues and all assets of one process."""

    def __init__(
        self,
        settings: IndexSettings,
        *,
        source: Source,
        version: str,
        venues: Mapping[Venue, VenueRules],
        evidence: EvidenceKeeper | None = None,
    ) -> None:
        self.assets: dict[Asset, AssetIndex] = {}
        self._settings = settings
        self._source = source
        self._version = version
        self._evidence = evidence
        self._activities: dict[Asset, Activity] = {}
        self._sinks = {
            venue: VenueSink(venue, rules, self._activities) for venue, rules in venues.items()
        }

    def sink(self, venue: Venue) -> VenueSink:
        """Where the events of one venue go."""
        return self._sinks[venue]

    @property
    def first_pending_ns(self) -> int:
        """Receipt of the oldest input that is not computed yet; 0 when there is none."""
        waiting = [a.first_ns for a in self._activities.values() if a.ticks]
        return min(waiting, default=0)

    def timer(self, now_ns: int) -> None:
        """Time passed: an asset that was silent for a heartbeat is due."""
        for index in self.assets.values():
            index.timer(now_ns)

    def longest_waiting(self) -> Asset | None:
        """The touched asset whose oldest input came first; one that is only due comes after these.

        None: there is nothing to compute.
        """
        found: Asset | None = None
        first_ns = 0
        for asset, activity in self._activities.items():
            if activity.ticks:
                if not first_ns or activity.first_ns < first_ns:
                    found, first_ns = asset, activity.first_ns
            elif found is None and (asset not in self.assets or self.assets[asset].is_due):
                found = asset
        return found

    def recompute(self, now_ns: int, only: Asset | None = None) -> list[Record]:
        """Compute every touched asset once; the records to publish, in the order of the assets.

        Args:
            now_ns: The instant.
            only: Leave the others for later.
        """
        records: list[Record] = []
        for asset, activity in self._activities.items():
            if only is not None and asset != only:
                continue
            index = self.assets.get(asset)
            if index is None:
                index = self.assets[asset] = AssetIndex(
                    asset,
                    activity,
                    self._settings,
                    self._source,
                    self._version,
                    self._sinks,
                    self._evidence,
                )
            if activity.ticks or index.is_due:
                records += index.recompute(now_ns)
        return records

    def reasons_not_ready(self) -> list[str]:
        """Why nobody should rely on this process yet; empty when every asset publishes a value."""
        reasons = [
            f"{sink.venue}: {connection} is not connected"
            for sink in self._sinks.values()
            for connection in sorted(sink.expected - sink.connections_up)
        ]
        if not self.assets:
            reasons.append("no option is listed yet")
        reasons += [
            f"{asset}: {index.status.value.lower()}"
            for asset, index in sorted(self.assets.items())
            if not index.has_value
        ]
        return reasons
