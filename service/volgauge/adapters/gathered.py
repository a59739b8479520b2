"""What tickers tell of options beside their quotes, gathered and handed on together.

Marks, open interest and volumes are read by nobody in a hurry. Time is the receipt, so a replay
does the same.
"""

from collections.abc import Mapping
from typing import Generic, Protocol, TypeAlias, TypeVar

from volgauge.adapters.facts import tell_interest, tell_marks, tell_volume
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Instrument, Venue


class Listed(Protocol):
    """What is known of an option here."""

    @property
    def slot(self) -> int:
        """Its slot."""
        ...

    @property
    def instrument(self) -> Instrument:
        """Its terms."""
        ...


L = TypeVar("L", bound=Listed)
_Told: TypeAlias = tuple[L, tuple[float, float] | None, float | None, float | None]
"""An option, its mark, open interest and volume, each the newest that was told."""


class Gathered(Generic[L]):
    """Of one session."""

    def __init__(
        self, venue: Venue, sink: EventSink, options: Mapping[str, L], spacing_ns: int
    ) -> None:
        """Begin with nothing.

        Args:
            venue: Whose.
            sink: Takes the events.
            options: What is listed, by name, as it changes.
            spacing_ns: Between two times of handing on.
        """
        self._venue = venue
        self._sink = sink
        self._options = options
        self._spacing_ns = spacing_ns
        self._due_ns = 0
        self._told: dict[int, _Told[L]] = {}
        """By slot."""
        self._newest_ns = 0

    def take(
        self,
        option: L,
        mark: tuple[float, float] | None,
        interest: float | None,
        volume: float | None,
        exchange_ns: int,
        received_ns: int,
    ) -> None:
        """Keep what one ticker tells, None what it does not; hand on what is due.

        Args:
            option: Of which it tells.
            mark: Price in premium units and implied volatility; NaN where one is not told.
            interest: Coins.
            volume: Coins in 24 hours.
            exchange_ns: The venue's time.
            received_ns: Ours.
        """
        slot = option.slot
        if mark is None or interest is None or volume is None:
            known = self._told.get(slot)
            if known is not None and known[0] is option:
                mark = known[1] if mark is None else mark
                interest = known[2] if interest is None else interest
                volume = known[3] if volume is None else volume
        self._told[slot] = (option, mark, interest, volume)
        self._newest_ns = max(self._newest_ns, exchange_ns)
        if received_ns >= self._due_ns:
            self._hand_on(received_ns)

    def forget(self) -> None:
        """Drop what was gathered."""
        self._told.clear()
        self._newest_ns = 0

    def _hand_on(self, received_ns: int) -> None:
        self._due_ns = received_ns + self._spacing_ns
        marks: dict[int, tuple[float, float]] = {}
        interests: dict[int, float] = {}
        volumes: dict[int, float] = {}
        listed = self._options.get
        for slot, (option, mark, interest, volume) in self._told.items():
            # Since it was gathered an option may have gone, and its slot be another's.
            if listed(option.instrument.name) is not option:
                continue
            if mark is not None:
                marks[slot] = mark
            if interest is not None:
                interests[slot] = interest
            if volume is not None:
                volumes[slot] = volume
        if marks:
            self._sink.event(tell_marks(self._venue, marks, self._newest_ns, received_ns))
        if interests:
            self._sink.event(tell_interest(self._venue, interests, received_ns))
        if volumes:
            self._sink.event(tell_volume(self._venue, volumes, received_ns))
        self.forget()
