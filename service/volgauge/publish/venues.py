"""What each option book alone says, read off the index records: one small record a book and second.

Nothing is computed here; the index record already holds every book's value, weight and state.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from volgauge.domain.index import IndexValue, VenueIndexValue, VenueValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND

INTERVAL_NS = NANOS_PER_SECOND


class VenueData(Protocol):
    """What the engine knows of one venue's feed."""

    @property
    def last_data_ns(self) -> int:
        """Receipt of the newest data; 0 before the first."""
        ...


class Lag(Protocol):
    """How long the venue's quotes are under way."""

    @property
    def median_ns(self) -> int | None:
        """From the venue's stamp to our receipt; None before the first quote."""
        ...


class VenueSide(NamedTuple):
    """What a venue's record tells beyond the index record."""

    data: VenueData
    lag: Lag


class _Told(NamedTuple):
    """What went out last of one asset."""

    at_ns: int
    seq: int
    states: dict[str, str]


class VenueReporter:
    """Keeps the newest headline record of each asset, and turns it into the venues' records."""

    def __init__(self, headline_tenor_days: float, sides: Mapping[Venue, VenueSide]) -> None:
        self._headline = headline_tenor_days
        self._sides = sides
        self._newest: dict[Asset, IndexValue] = {}
        self._told: dict[Asset, _Told] = {}

    def take(self, record: IndexValue) -> None:
        """Remember a record; all that happens on its way to the sinks."""
        if record.tenor_days == self._headline:
            self._newest[record.asset] = record

    def due(self, now_ns: int) -> list[VenueIndexValue]:
        """Read off what is due; to be called several times a second.

        An asset is due when a book's state changed, or a second after it was told. Of the latter
        only the one that waits longest is, so that the assets never come all at once.
        """
        waiting: list[tuple[int, Asset]] = []
        changed: list[Asset] = []
        for asset, record in self._newest.items():
            told = self._told.get(asset)
            if told is None:
                changed.append(asset)
            elif record.seq > told.seq:
                if told.states != _states(record):
                    changed.append(asset)
                elif now_ns - told.at_ns >= INTERVAL_NS:
                    waiting.append((told.at_ns, asset))
        if waiting:
            changed.append(min(waiting)[1])
        return [value for asset in changed for value in self._read_off(self._newest[asset], now_ns)]

    def _read_off(self, record: IndexValue, now_ns: int) -> list[VenueIndexValue]:
        told = self._told.get(record.asset)
        # A book that is gone from the record must not stay `in` on its channel for ever.
        gone = told.states.keys() - record.venues.keys() if told is not None else ()
        said = {**record.venues, **dict.fromkeys(map(Venue, sorted(gone)), _GONE)}
        self._told[record.asset] = _Told(now_ns, record.seq, _states(record))
        return [self._value(record, label, one) for label, one in said.items()]

    def _value(self, record: IndexValue, label: str, one: VenueValue) -> VenueIndexValue:
        venue = Venue(label.partition(":")[0])
        side = self._sides.get(venue)
        lag_ns = side.lag.median_ns if side is not None else None
        return VenueIndexValue(
            asset=record.asset,
            tenor_days=record.tenor_days,
            venue=venue,
            label=label,
            seq=record.seq,
            value=one.value,
            weight=one.weight,
            state=one.state,
            composite=record.value,
            status=record.status,
            lag_ms=None if lag_ns is None else lag_ns / NANOS_PER_MILLI,
            data_ns=side.data.last_data_ns if side is not None else 0,
            computed_ns=record.computed_ns,
            source=record.source,
        )


_GONE = VenueValue(value=None, weight=0.0, state="down")


def _states(record: IndexValue) -> dict[str, str]:
    return {label: one.state for label, one in record.venues.items()}
