"""A simulated market before an engine that keeps its evidence."""

from golden.market_feed import VENUE, Feed
from volgauge.domain.evidence import Build, EvidenceBundle
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.index.bundle import build_facts
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper, Missing
from volgauge.index.venue import VenueRules
from volgauge.settings import IndexSettings
from volgauge.simulator.market import Market, MarketOptions

ENGINE = "lab"
BUILD: Build = build_facts(ENGINE)


class Lab:
    """One market, one engine, one keeper; every index value that came out."""

    def __init__(
        self,
        *,
        seed: int = 7,
        start: str = "2026-03-02T10:00:00Z",
        tenors_days: tuple[float, ...] = (7.0, 30.0, 60.0),
        max_bytes: int = 64_000_000,
        keep_seconds: int = 300,
        seals: bool = True,
    ) -> None:
        self.market = Market(
            MarketOptions(seed=seed, start_ns=parse_instant(start), currencies=("BTC",))
        )
        self.keeper = EvidenceKeeper(
            max_bytes=max_bytes, keep_ns=keep_seconds * NANOS_PER_SECOND, engine=ENGINE
        )
        self.engine = Engine(
            IndexSettings(tenors_days=tenors_days),
            source=Source.SIMULATED,
            version=ENGINE,
            venues={VENUE: VenueRules(stale_after_ns=3 * NANOS_PER_SECOND)},
            evidence=self.keeper,
        )
        self.feed = Feed(self.engine.sink(VENUE))
        self.records: list[IndexValue] = []
        self._seals = seals
        for board in self.market.boards:
            self.feed.everything(board, self.market.now_ns)

    def run(self, steps: int) -> list[IndexValue]:
        """Let the market move, computing after every step; the records of these steps."""
        first = len(self.records)
        for _ in range(steps):
            before = self.market.now_ns
            step = self.market.advance()
            self.feed.step(step)
            if before // NANOS_PER_SECOND != step.now_ns // NANOS_PER_SECOND:
                for board in self.market.boards:
                    self.feed.state(board, step.now_ns)
            self.compute(step.now_ns)
        return self.records[first:]

    def compute(self, now_ns: int) -> list[IndexValue]:
        """Tell the engine the time and let it compute."""
        self.engine.timer(now_ns)
        found = [r for r in self.engine.recompute(now_ns) if isinstance(r, IndexValue)]
        self.records += found
        if self._seals:
            self.seal()
        return found

    def seal(self) -> None:
        """What the service does once a second."""
        for segment in self.keeper.unsealed():
            self.keeper.seal(segment, segment.pack())

    def bundle(self, record: IndexValue) -> EvidenceBundle:
        """The evidence of a record that must have some."""
        excerpt = self.keeper.find(record.asset, record.tenor_days, record.seq)
        assert not isinstance(excerpt, Missing), excerpt
        bundle = excerpt.bundle()
        assert isinstance(bundle, EvidenceBundle), bundle
        return bundle
