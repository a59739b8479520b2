"""A slow real path: two neighbouring chains, every quote moved linearly from one to the other.

The engine runs as it does live: one book, quotes that change, a recompute after each step.
"""

from math import isnan

import numpy as np

from volgauge import __version__
from volgauge.domain.events import ForwardMark, InstrumentsListed
from volgauge.domain.index import IndexValue, Method, Source
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import format_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.offline.accuracy.boards import COIN_TICKS
from volgauge.offline.accuracy.recorded import Snapshot, forward_of
from volgauge.offline.chain import ChainQuote
from volgauge.settings import IndexSettings

VENUE = Venue("path")
QUOTE_CURRENCY = "USD"
TENOR_DAYS = 30.0

_Option = tuple[int, float, OptionKind]


def walk(first: Snapshot, second: Snapshot, steps: int) -> list[IndexValue]:
    """The records along the way, `steps` + 1 of them.

    Only options that are two-sided in both chains are quoted: nothing comes or goes on the way. A
    mixture of two arbitrage-free chains in coin prices is one again.
    """
    asset = Asset(first.currency)
    before, after = _two_sided(first), _two_sided(second)
    options = sorted(set(before) & set(after), key=lambda o: (o[0], o[1], o[2].value))
    engine = Engine(
        IndexSettings(tenors_days=(TENOR_DAYS,), headline_tenor_days=TENOR_DAYS),
        source=Source.FILE,
        version=__version__,
        venues={VENUE: VenueRules(methods=(Method.NATIVE, Method.DVOL))},
    )
    sink = engine.sink(VENUE)
    sink.event(
        InstrumentsListed(
            venue=VENUE,
            received_ns=first.at_ns,
            slots=tuple(range(len(options))),
            instruments=tuple(_instrument(asset, option) for option in options),
        )
    )
    records = []
    for step in range(steps + 1):
        share = step / steps
        now_ns = first.at_ns + round(share * (second.at_ns - first.at_ns))
        for expiry_ns in sorted({option[0] for option in options}):
            forward = _between(forward_of(first, expiry_ns), forward_of(second, expiry_ns), share)
            _tell_forward(sink, asset, expiry_ns, forward, now_ns)
        for slot, option in enumerate(options):
            old, new = before[option], after[option]
            bid, ask = _between(old.bid, new.bid, share), _between(old.ask, new.ask, share)
            sink.quote(slot, bid, ask, np.nan, np.nan, now_ns, now_ns)
        records += [r for r in engine.recompute(now_ns) if isinstance(r, IndexValue)]
    return records


def _two_sided(snapshot: Snapshot) -> dict[_Option, ChainQuote]:
    return {
        (q.expiry_ns, q.strike, q.kind): q
        for q in snapshot.quotes
        if q.bid > 0.0 and q.ask > 0.0 and q.expiry_ns > snapshot.at_ns
    }


def _between(old: float, new: float, share: float) -> float:
    return (1.0 - share) * old + share * new


def _tell_forward(
    sink: VenueSink, asset: Asset, expiry_ns: int, forward: float, now_ns: int
) -> None:
    if isnan(forward):
        return
    sink.event(
        ForwardMark(
            venue=VENUE,
            received_ns=now_ns,
            asset=asset,
            quote_currency=QUOTE_CURRENCY,
            expiry_ns=expiry_ns,
            price=forward,
            exchange_ns=now_ns,
        )
    )


def _instrument(asset: Asset, option: _Option) -> Instrument:
    expiry_ns, strike, kind = option
    return Instrument(
        venue=VENUE,
        name=f"{format_instant(expiry_ns)}-{strike:g}-{kind.value}",
        asset=asset,
        expiry_ns=expiry_ns,
        strike=strike,
        kind=kind,
        premium=Premium.COIN,
        quote_currency=QUOTE_CURRENCY,
        tick_size=COIN_TICKS.size,
        tick_above=COIN_TICKS.above,
        tick_step=COIN_TICKS.step,
    )
