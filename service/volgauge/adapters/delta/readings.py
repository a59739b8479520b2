"""What a ticker tells beside its quote, handed on no more often than it is worth.

Every ticker of a coin repeats its index; marks, open interest and volumes are read by nobody in a
hurry. Time is the receipt, so a replay does the same.
"""

from math import nan

from volgauge.adapters.delta.endpoints import GATHER_NS, INDEX_SPACING_NS, VENUE
from volgauge.adapters.delta.listing import Coin, Listing, Option
from volgauge.adapters.delta.messages import Ticker
from volgauge.adapters.delta.normalize import read_implied_vol
from volgauge.adapters.facts import tell_volume
from volgauge.domain.events import EventSink, IndexPrice, MarkQuote, OpenInterest
from volgauge.domain.units import NANOS_PER_MICRO


class Readings:
    """Of one session."""

    def __init__(self, listing: Listing, sink: EventSink) -> None:
        self._listing = listing
        self._sink = sink
        self._due_ns = 0
        """When the gathered marks are handed on."""
        self._marks: dict[int, tuple[Option, float, float]] = {}
        """By slot."""
        self._amounts: dict[int, tuple[Option, float]] = {}
        self._volumes: dict[int, tuple[Option, float]] = {}
        self._stamp = 0

    def take(self, option: Option, ticker: Ticker, received_ns: int) -> None:
        """Read one ticker; open interest and volume are coins."""
        quotes = ticker.quotes
        vol = read_implied_vol(None if quotes is None else quotes.mark_iv)
        self._marks[option.slot] = (option, ticker.mark_price or nan, vol)
        if ticker.spot_price:
            self.index(option.coin, ticker.spot_price, ticker.timestamp, received_ns)
        if ticker.oi is not None:
            self._amounts[option.slot] = (option, ticker.oi)
        if ticker.volume is not None:
            self._volumes[option.slot] = (option, ticker.volume)
        self._stamp = max(self._stamp, ticker.timestamp)
        if received_ns >= self._due_ns:
            self._hand_on(received_ns)

    def index(self, coin: Coin, price: float, stamp: int, received_ns: int) -> None:
        """Hand on the index of a coin, if its turn has come; `stamp` is 0 where it is not told."""
        if received_ns - coin.index_ns < INDEX_SPACING_NS:
            return
        coin.index_ns = received_ns
        self._sink.event(
            IndexPrice(
                venue=VENUE,
                received_ns=received_ns,
                asset=coin.asset,
                quote_currency=coin.quote_currency,
                price=price,
                exchange_ns=stamp * NANOS_PER_MICRO,
            )
        )

    def forget(self) -> None:
        """Drop what was gathered."""
        self._marks.clear()
        self._amounts.clear()
        self._volumes.clear()
        self._stamp = 0

    def _hand_on(self, received_ns: int) -> None:
        """Send `MarkQuote`, `OpenInterest` and `TradedVolume` of what was gathered."""
        self._due_ns = received_ns + GATHER_NS
        # Since it was gathered an option may have gone, and its slot be another's.
        marks = [
            (slot, mark, vol)
            for slot, (option, mark, vol) in sorted(self._marks.items(), key=_by_slot)
            if self._is_listed(option)
        ]
        if marks:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _, _ in marks),
                    prices=tuple(mark for _, mark, _ in marks),
                    implied_vols=tuple(vol for _, _, vol in marks),
                    exchange_ns=self._stamp * NANOS_PER_MICRO,
                )
            )
        amounts = sorted(self._of_listed(self._amounts).items())
        if amounts:
            self._sink.event(
                OpenInterest(
                    venue=VENUE,
                    received_ns=received_ns,
                    slots=tuple(slot for slot, _ in amounts),
                    amounts=tuple(amount for _, amount in amounts),
                )
            )
        volumes = self._of_listed(self._volumes)
        if volumes:
            self._sink.event(tell_volume(VENUE, volumes, received_ns))
        self.forget()

    def _of_listed(self, gathered: dict[int, tuple[Option, float]]) -> dict[int, float]:
        return {
            slot: value for slot, (option, value) in gathered.items() if self._is_listed(option)
        }

    def _is_listed(self, option: Option) -> bool:
        return self._listing.options.get(option.instrument.name) is option


def _by_slot(item: tuple[int, object]) -> int:
    return item[0]
