"""The simulated market before an engine, without a wire: what a venue would say, as events."""

from collections.abc import Iterator
from typing import Any

from volgauge.domain.events import (
    ForwardQuote,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
)
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.settings import IndexSettings
from volgauge.simulator.board import Board, Notice, Step
from volgauge.simulator.market import Market, MarketOptions

VENUE = Venue("deribit")


class Watched:
    """A market, an engine, and the feed between them."""

    def __init__(
        self,
        options: MarketOptions,
        settings: IndexSettings | None = None,
        *,
        ages_known: bool = True,
    ) -> None:
        self.market = Market(options)
        self.engine = Engine(
            settings or IndexSettings(),
            source=Source.SIMULATED,
            version="",
            venues={VENUE: VenueRules()},
        )
        self.feed = Feed(self.engine.sink(VENUE), ages_known=ages_known)
        for board in self.market.boards:
            self.feed.everything(board, self.market.now_ns)

    def steps(self, count: int) -> Iterator[Step]:
        """Let the market move; the engine hears all of it."""
        for _ in range(count):
            before = self.market.now_ns
            step = self.market.advance()
            self.feed.step(step)
            if before // NANOS_PER_SECOND != step.now_ns // NANOS_PER_SECOND:
                for board in self.market.boards:
                    self.feed.state(board, step.now_ns)
            yield step

    def run(self, count: int) -> None:
        """Let the market move by so many steps."""
        for _ in self.steps(count):
            pass


class Feed:
    """Tells a sink what the boards show."""

    def __init__(self, sink: VenueSink, *, ages_known: bool = True) -> None:
        self._sink = sink
        self._ages_known = ages_known
        """Without the instant of listing a new expiry counts in full at once."""
        self.bid_factor = self.ask_factor = 1.0
        """Sizes are told multiplied by these."""
        self._slots: dict[tuple[str, int], int] = {}
        """(prefix of the board, its slot) to the sink's slot."""

    def everything(self, board: Board, now_ns: int) -> None:
        """List a board, and give the state of all of it."""
        slots = list(range(len(board.options)))
        self._list(board, slots, now_ns)
        self.state(board, now_ns)
        self.quotes(board, slots, now_ns)

    def step(self, step: Step) -> None:
        """What one step of the market did."""
        created: dict[str, tuple[Board, list[int]]] = {}
        for notice in step.notices:
            if notice.kind == "option" and notice.created:
                _, slots = created.setdefault(notice.board.terms.prefix, (notice.board, []))
                slots.append(notice.number)
        for board, slots in created.values():
            self._list(board, slots, step.now_ns)
        gone = tuple(map(self._slot_of, filter(_is_over, step.notices)))
        if gone:
            self._sink.event(InstrumentsExpired(venue=VENUE, received_ns=step.now_ns, slots=gone))
        for batch in step.quotes:
            self.quotes(batch.board, batch.slots, step.now_ns)

    def state(self, board: Board, now_ns: int) -> None:
        """Index, futures and marks."""
        asset = Asset(board.terms.asset)
        common: dict[str, Any] = {"venue": VENUE, "received_ns": now_ns, "exchange_ns": now_ns}
        self._sink.event(
            IndexPrice(asset=asset, quote_currency="USD", price=board.index_price, **common)
        )
        for index in board.living_expiries():
            self._sink.event(
                ForwardQuote(
                    asset=asset,
                    quote_currency="USD",
                    expiry_ns=board.expiries[index].expiry_ns,
                    bid=float(board.future_bid[index]),
                    ask=float(board.future_ask[index]),
                    **common,
                )
            )
        alive = board.alive.nonzero()[0]
        self._sink.event(
            MarkQuote(
                slots=tuple(self._slots[board.terms.prefix, slot] for slot in alive.tolist()),
                prices=tuple(board.mark[alive].tolist()),
                implied_vols=(float("nan"),) * len(alive),
                **common,
            )
        )

    def quotes(self, board: Board, slots: list[int], now_ns: int) -> None:
        """Top of book of some options."""
        prefix = board.terms.prefix
        for slot in slots:
            self._sink.quote(
                self._slots[prefix, slot],
                float(board.bid[slot]),
                float(board.ask[slot]),
                self.bid_factor * float(board.bid_size[slot]),
                self.ask_factor * float(board.ask_size[slot]),
                now_ns,
                now_ns,
            )

    def _list(self, board: Board, slots: list[int], now_ns: int) -> None:
        terms = board.terms
        tick = terms.tick_size
        first = len(self._slots)
        for place, slot in enumerate(slots):
            self._slots[terms.prefix, slot] = first + place
        options = [board.options[slot] for slot in slots]
        self._sink.event(
            InstrumentsListed(
                venue=VENUE,
                received_ns=now_ns,
                slots=tuple(range(first, first + len(slots))),
                instruments=tuple(
                    Instrument(
                        venue=VENUE,
                        name=option.name,
                        asset=Asset(terms.asset),
                        expiry_ns=option.expiry.expiry_ns,
                        strike=option.strike,
                        kind=OptionKind.CALL if option.is_call else OptionKind.PUT,
                        premium=Premium.COIN,
                        quote_currency="USD",
                        tick_size=tick,
                        tick_above=terms.tick_above * tick,
                        tick_step=terms.tick_multiple * tick,
                        listed_ns=option.listed_ns if self._ages_known else None,
                    )
                    for option in options
                ),
            )
        )

    def _slot_of(self, notice: Notice) -> int:
        return self._slots[notice.board.terms.prefix, notice.number]


def _is_over(notice: Notice) -> bool:
    """The venue takes an option off at its settlement."""
    return notice.kind == "option" and notice.state == "settlement"
