"""What tickers tell of options beside their quotes, gathered and handed on together.

Marks, open interest and volumes are read by nobody in a hurry. Time is the receipt, so a replay
does the same.
"""

from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

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
T = TypeVar("T")


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
        self._marks: dict[int, tuple[L, tuple[float, float]]] = {}
        """By slot."""
        self._interest: dict[int, tuple[L, float]] = {}
        self._volumes: dict[int, tuple[L, float]] = {}
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
        if mark is not None:
            self._marks[slot] = (option, mark)
        if interest is not None:
            self._interest[slot] = (option, interest)
        if volume is not None:
            self._volumes[slot] = (option, volume)
        self._newest_ns = max(self._newest_ns, exchange_ns)
        if received_ns >= self._due_ns:
            self._hand_on(received_ns)

    def forget(self) -> None:
        """Drop what was gathered."""
        self._marks.clear()
        self._interest.clear()
        self._volumes.clear()
        self._newest_ns = 0

    def _hand_on(self, received_ns: int) -> None:
        self._due_ns = received_ns + self._spacing_ns
        if marks := self._of_listed(self._marks):
            self._sink.event(tell_marks(self._venue, marks, self._newest_ns, received_ns))
        if interest := self._of_listed(self._interest):
            self._sink.event(tell_interest(self._venue, interest, received_ns))
        if volumes := self._of_listed(self._volumes):
            self._sink.event(tell_volume(self._venue, volumes, received_ns))
        self.forget()

    def _of_listed(self, gathered: Mapping[int, tuple[L, T]]) -> dict[int, T]:
        """Since it was gathered an option may have gone, and its slot be another's."""
        listed = self._options.get
        return {
            slot: value
            for slot, (option, value) in gathered.items()
            if listed(option.instrument.name) is option
        }
