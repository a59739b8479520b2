"""Simulated venues' frames before adapters, engine and the desk of the analytics; no sockets."""

from typing_extensions import override

from golden.venue_wires import Wires
from volgauge.analytics.asset import Past
from volgauge.analytics.desk import Desk, Reading
from volgauge.analytics.spillover import compute_spillover
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings
from volgauge.simulator.market import Market
from volgauge.simulator.server import SimulatorOptions


class DeskWires(Wires):
    """`Wires`, and the desk driven at each of its ticks as by the service's timer."""

    def __init__(
        self,
        options: SimulatorOptions,
        assets: tuple[str, ...],
        *,
        alerts: AlertSettings | None = None,
        pasts: dict[Asset, Past] | None = None,
    ) -> None:
        index = IndexSettings()
        super().__init__(options, assets, index)
        self.desk = Desk(
            AnalyticsSettings(),
            alerts or AlertSettings(),
            index,
            Source.SIMULATED,
            {name: self.engine.sink(name) for name in self.adapters},
        )
        if pasts is not None:
            self.desk.seed(pasts)
        self.readings: list[Reading] = []
        """Everything that the desk made."""

    @property
    def market(self) -> Market:
        """What is true."""
        assert self.simulator.market is not None
        return self.simulator.market

    @override
    def recompute(self, now_ns: int) -> list[IndexValue]:
        """The index of an instant; the desk hears of it, and does what is due."""
        made = self.engine.recompute(now_ns)
        for record in made:
            if isinstance(record, IndexValue | SurfaceValue):
                self.desk.take(record)
        for job in self.desk.jobs(now_ns):
            self.readings += job.run()
        frozen = self.desk.take_frozen()
        if frozen is not None:
            self.desk.spilled(compute_spillover(frozen))
        return [record for record in made if isinstance(record, IndexValue)]

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        for _ in self.run(seconds):
            pass

    def newest(self, asset: str) -> AnalyticsValue:
        """The newest record of an asset."""
        return next(
            reading
            for reading in reversed(self.readings)
            if isinstance(reading, AnalyticsValue) and reading.asset == asset
        )

    def coupled(self) -> list[CouplingValue]:
        """Of the pairs."""
        return [reading for reading in self.readings if isinstance(reading, CouplingValue)]

    def alerts(self) -> list[AlertEvent]:
        """Raises and clears, in order."""
        return [reading for reading in self.readings if isinstance(reading, AlertEvent)]
