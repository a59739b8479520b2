"""What every venue tells beside its quotes, in its own units: marks, volumes and perpetuals.

Nothing here is an input of an index, and none of it says that a feed lives.
"""

import re
from collections import Counter
from collections.abc import Mapping
from math import isnan, nan

from msgspec import Struct

from volgauge.domain.events import (
    EventSink,
    MarkQuote,
    OpenInterest,
    PerpetualState,
    TradedVolume,
)
from volgauge.domain.instrument import Asset, Venue

FUNDING_HOURS = 8.0
"""What `PerpetualState.funding_rate` is for."""
MOST_FUNDING_HOURS = 24.0
"""No venue settles less often: 1, 2, 4, 6 and 8 hours have been seen."""
MOST_FUNDING = 1.0
"""For 8 hours, either way: the venues cap it at 0.03 and less, so more is another unit."""
MAX_AMOUNT = 1e15
"""No volume and no open interest is larger; keeps infinity out too."""
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")

Text = str | float | None
"""A number, or a number sent as text."""


def read_number(value: Text) -> float | None:
    """A number; None when it is absent or "", NaN when it is no number as JSON writes one."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        return nan
    return float(value)


def is_amount(value: float | None) -> bool:
    """A volume or an open interest that can be; false for NaN and for what is not told."""
    return value is not None and 0.0 <= value <= MAX_AMOUNT


class Column(Struct, frozen=True):
    """One number of many options, ascending by slot."""

    slots: tuple[int, ...]
    amounts: tuple[float, ...]

    @staticmethod
    def of(amounts: Mapping[int, float]) -> "Column":
        """Of numbers by slot."""
        known = sorted(amounts.items())
        return Column(
            slots=tuple([slot for slot, _ in known]), amounts=tuple([n for _, n in known])
        )


def tell_marks(
    venue: Venue, marks: Mapping[int, tuple[float, float]], exchange_ns: int, received_ns: int
) -> MarkQuote:
    """The event of some marks, (price in premium units, implied volatility) by slot."""
    known = sorted(marks.items())
    return MarkQuote(
        venue=venue,
        received_ns=received_ns,
        slots=tuple(slot for slot, _ in known),
        prices=tuple(price for _, (price, _) in known),
        implied_vols=tuple(vol for _, (_, vol) in known),
        exchange_ns=exchange_ns,
    )


def tell_interest(venue: Venue, amounts: Mapping[int, float], received_ns: int) -> OpenInterest:
    """The event of some open interest in coins, by slot."""
    known = sorted(amounts.items())
    return OpenInterest(
        venue=venue,
        received_ns=received_ns,
        slots=tuple(slot for slot, _ in known),
        amounts=tuple(amount for _, amount in known),
    )


def tell_volume(venue: Venue, amounts: Mapping[int, float], received_ns: int) -> TradedVolume:
    """The event of some volumes in coins, by slot."""
    known = Column.of(amounts)
    return TradedVolume(
        venue=venue, received_ns=received_ns, slots=known.slots, amounts=known.amounts
    )


def push_columns(
    sink: EventSink,
    venue: Venue,
    received_ns: int,
    *,
    interest: Column | None = None,
    volume: Column | None = None,
) -> None:
    """Hand on open interest and volumes in coins, those that are told."""
    if interest is not None and interest.slots:
        sink.event(
            OpenInterest(
                venue=venue,
                received_ns=received_ns,
                slots=interest.slots,
                amounts=interest.amounts,
            )
        )
    if volume is not None and volume.slots:
        sink.event(
            TradedVolume(
                venue=venue, received_ns=received_ns, slots=volume.slots, amounts=volume.amounts
            )
        )


def tell_perpetual(
    venue: Venue,
    asset: Asset,
    quote_currency: str,
    *,
    rate: float | None,
    hours: float | None,
    coins: float | None,
    exchange_ns: int,
    received_ns: int,
    counts: Counter[str],
) -> PerpetualState | None:
    """The event of a perpetual; None when the venue told nothing that makes sense.

    Args:
        venue: Whose.
        asset: Of the perpetual.
        quote_currency: Of the perpetual.
        rate: Funding of one interval, decimal; None is not told.
        hours: Length of that interval; None is not told.
        coins: Open interest in the underlying; None is not told.
        exchange_ns: The venue's time.
        received_ns: Ours.
        counts: Takes `rejected.funding` and `rejected.perpetual_interest`: what was told and
            makes no sense is NaN in the event.
    """
    funding = nan
    if rate is not None:
        if hours is not None and 0.0 < hours <= MOST_FUNDING_HOURS:
            funding = rate * (FUNDING_HOURS / hours)
        if not abs(funding) <= MOST_FUNDING:
            counts["rejected.funding"] += 1
            funding = nan
    interest = nan
    if coins is not None and is_amount(coins):
        interest = coins
    elif coins is not None:
        counts["rejected.perpetual_interest"] += 1
    if isnan(funding) and isnan(interest):
        return None
    return PerpetualState(
        venue=venue,
        received_ns=received_ns,
        asset=asset,
        quote_currency=quote_currency,
        funding_rate=funding,
        open_interest=interest,
        exchange_ns=exchange_ns,
    )
