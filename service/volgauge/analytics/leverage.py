"""Perpetuals across venues: funding rates, their spread, and open interest against its average.

Nothing here is an input of the index.
"""

from collections.abc import Sequence
from math import isfinite, isnan, nan

from volgauge.domain.analytics import Lack, LeverageReading
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE

STALE_NS = 10 * NANOS_PER_MINUTE
"""An older state is ignored."""
HALF_LIFE_NS = 7 * NANOS_PER_DAY
"""Of the slow average of open interest."""
SETTLING_NS = NANOS_PER_HOUR
"""A perpetual that was watched for less has no average yet."""


class _Perpetual:
    """The newest state of one perpetual and the running average of its open interest.

    The average is over time, not over messages: sum of x(s) 2^{-(t - s)/H} ds over the same sum
    with x = 1, where x holds from one state to the next, and for ten minutes at most.
    """

    def __init__(self, state: PerpetualState) -> None:
        self.state = state
        self._until_ns = state.received_ns
        self._watched_ns = 0
        self._sum = 0.0
        self._weight = 0.0

    @property
    def rate(self) -> float:
        """Funding per 8 h; NaN not told."""
        rate = self.state.funding_rate
        return rate if isfinite(rate) else nan

    @property
    def interest(self) -> float:
        """Coins; NaN not told."""
        interest = self.state.open_interest
        return interest if isfinite(interest) and interest > 0.0 else nan

    @property
    def average(self) -> float:
        """Of the open interest, coins; NaN while it is too young."""
        return self._sum / self._weight if self._watched_ns >= SETTLING_NS else nan

    def is_fresh(self, now_ns: int) -> bool:
        return now_ns - self.state.received_ns <= STALE_NS

    def advance(self, now_ns: int) -> None:
        """The state held until now."""
        held_ns = min(now_ns, self.state.received_ns + STALE_NS) - self._until_ns
        if held_ns > 0 and not isnan(self.interest):
            kept = 2.0 ** (-held_ns / HALF_LIFE_NS)
            self._sum = self._sum * kept + self.interest * (1.0 - kept)
            self._weight = self._weight * kept + (1.0 - kept)
            self._watched_ns += held_ns
        self._until_ns = max(self._until_ns, now_ns)

    def replace(self, state: PerpetualState) -> None:
        """A newer state came."""
        self.advance(state.received_ns)
        self.state = state


class LeverageState:
    """The perpetuals of one asset."""

    def __init__(self) -> None:
        self._perpetuals: dict[tuple[Venue, str], _Perpetual] = {}

    def observe(self, states: Sequence[PerpetualState], now_ns: int) -> None:
        """Take the newest states, of one asset; the same state again changes nothing.

        Args:
            states: In any order; of a perpetual (venue and quote currency) the newest counts.
            now_ns: Until when they held.
        """
        for state in states:
            key = (state.venue, state.quote_currency)
            known = self._perpetuals.get(key)
            if known is None:
                self._perpetuals[key] = _Perpetual(state)
            elif state.received_ns > known.state.received_ns:
                known.replace(state)
        for perpetual in self._perpetuals.values():
            perpetual.advance(now_ns)

    def reading(self, now_ns: int) -> tuple[LeverageReading, dict[str, Lack]]:
        """What the fresh states say.

        The ratio of open interest is over the average of the same perpetuals, so that a venue
        which comes or goes does not look like a change of leverage.

        Returns:
            The reading, and why parts of it are None.
        """
        fresh = [p for _, p in sorted(self._perpetuals.items()) if p.is_fresh(now_ns)]
        missing: dict[str, Lack] = {}
        rates = _rates_of_venues(fresh)
        spread = max(rates.values()) - min(rates.values()) if len(rates) > 1 else None
        if spread is None:
            lack = Lack.TOO_LITTLE_HISTORY if rates else Lack.NO_FUNDING
            missing["leverage.funding_spread"] = lack
        told = [p for p in fresh if not isnan(p.interest)]
        interest = sum(p.interest for p in told) if told else None
        if interest is None:
            missing["leverage.open_interest"] = Lack.NO_FUNDING
        mean = _mean_rate([p for p in told if not isnan(p.rate)])
        if mean is None:
            missing["leverage.funding_mean"] = Lack.NO_FUNDING
        settled = [p for p in told if not isnan(p.average)]
        ratio = None
        if settled:
            ratio = sum(p.interest for p in settled) / sum(p.average for p in settled)
        else:
            lack = Lack.TOO_LITTLE_HISTORY if told else Lack.NO_FUNDING
            missing["leverage.open_interest_ratio"] = lack
        return LeverageReading(
            funding_rates=rates,
            funding_mean=mean,
            funding_spread=spread,
            open_interest=interest,
            open_interest_ratio=ratio,
        ), missing


def _rates_of_venues(perpetuals: Sequence[_Perpetual]) -> dict[Venue, float]:
    """One rate a venue; of several perpetuals the mean by open interest, where all tell it."""
    by_venue: dict[Venue, list[_Perpetual]] = {}
    for perpetual in perpetuals:
        if not isnan(perpetual.rate):
            by_venue.setdefault(perpetual.state.venue, []).append(perpetual)
    rates = {}
    for venue, own in by_venue.items():
        weighted = None if any(isnan(p.interest) for p in own) else _mean_rate(own)
        rates[venue] = sum(p.rate for p in own) / len(own) if weighted is None else weighted
    return rates


def _mean_rate(perpetuals: Sequence[_Perpetual]) -> float | None:
    """Weighted by open interest; None without any."""
    if not perpetuals:
        return None
    total = sum(p.interest for p in perpetuals)
    return sum(p.rate * p.interest for p in perpetuals) / total
