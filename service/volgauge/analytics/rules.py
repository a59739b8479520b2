"""What each alert rule looks at: from the service's values to observations.

Plain functions where the present value is enough, a small state where the past counts. Thresholds
and time are `alerts.py`'s business. A value that cannot be judged now is None.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from math import isfinite

from msgspec import Struct

from volgauge.domain.analytics import (
    MARKET,
    PairCoupling,
    PremiumReading,
    RegimeReading,
    Rule,
    SpilloverReading,
)
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND

WINDOW_STEPS = 600
"""A window's past is kept in this many steps of time; it reaches back up to one step more."""
SPILLOVER_WARM_SHARE = 24
"""The slow average is trusted once its readings span this part of its half-life."""

_JUDGED = frozenset({Status.OK, Status.SINGLE_VENUE, Status.DEGRADED})
_OUTERMOST = frozenset({"very_low", "very_high"})


class Observation(Struct, frozen=True, gc=False):
    """What one rule looks at now."""

    rule: Rule
    subject: str
    """What exactly: `BTC`, `BTC-ETH`, `BTC:okx:USD_UM` (a book), `deribit`; one a rule."""
    asset: Asset
    """On whose events channel it is told."""
    value: float | None
    """None: cannot be judged now; neither raises nor clears."""
    context: str
    """The present state in words, for the message."""


class Spike:
    """Relative rise of the index above its lowest value of the window."""

    def __init__(self, window_seconds: float) -> None:
        self._window = _Lowest(window_seconds)
        self._span = in_words(window_seconds)

    def observe(self, asset: Asset, value: float | None, now_ns: int) -> Observation:
        """Take the index; None is passed over and leaves the window as it is."""
        if value is None:
            return Observation(Rule.SPIKE, asset, asset, None, "the index has no value")
        low = self._window.observe(value, now_ns)
        rise = value / low - 1.0
        context = f"the index at {value:.2f} is {100.0 * rise:.1f} % above its low of {self._span}"
        return Observation(Rule.SPIKE, asset, asset, rise, context)


class Collapse:
    """Points by which the index lies below its highest value of the window."""

    def __init__(self, window_seconds: float) -> None:
        self._window = _Lowest(window_seconds)
        self._span = in_words(window_seconds)

    def observe(self, asset: Asset, value: float | None, now_ns: int) -> Observation:
        """Take the index; None is passed over and leaves the window as it is."""
        if value is None:
            return Observation(Rule.COLLAPSE, asset, asset, None, "the index has no value")
        drop = -self._window.observe(-value, now_ns) - value
        context = f"the index at {value:.2f} is {drop:.2f} points below its high of {self._span}"
        return Observation(Rule.COLLAPSE, asset, asset, drop, context)


class SpilloverSurge:
    """Total spillover less its slow average: percentage points.

    The average is of the readings before, weighted by 2^(-age / half-life). None before they span
    1/24 of the half-life.
    """

    def __init__(self, half_life_seconds: float) -> None:
        self._half_life_ns = half_life_seconds * NANOS_PER_SECOND
        self._first_ns: int | None = None
        self._last_ns = 0
        self._weighted_sum = 0.0
        self._weight = 0.0
        self._surge: float | None = None

    def observe(self, spillover: SpilloverReading | None) -> Observation:
        """Take the newest reading; one that was taken before counts once."""
        total = None if spillover is None else spillover.total
        if spillover is None or total is None or not isfinite(total):
            return Observation(
                Rule.SPILLOVER_SURGE, MARKET, MARKET, None, "spillovers are not known"
            )
        if spillover.at_ns > self._last_ns:
            self._advance(total, spillover.at_ns)
        told = "not yet known" if self._surge is None else f"{self._surge:+.1f}"
        context = f"total spillover of {total:.1f} %, against its slow average {told}"
        return Observation(Rule.SPILLOVER_SURGE, MARKET, MARKET, self._surge, context)

    def _advance(self, total: float, at_ns: int) -> None:
        if self._first_ns is None:
            self._first_ns = at_ns
        decay = 0.5 ** ((at_ns - self._last_ns) / self._half_life_ns)
        self._weighted_sum *= decay
        self._weight *= decay
        if (at_ns - self._first_ns) * SPILLOVER_WARM_SHARE >= self._half_life_ns and self._weight:
            self._surge = total - self._weighted_sum / self._weight
        self._weighted_sum += total
        self._weight += 1.0
        self._last_ns = at_ns


def judged_value(index: IndexValue) -> float | None:
    """The index where it is of now: while held, stale or absent there is nothing to judge."""
    value = index.value
    if index.status not in _JUDGED or value is None or not isfinite(value) or value <= 0.0:
        return None
    return value


def band_change(asset: Asset, regime: RegimeReading) -> Observation:
    """1 while the adaptive band is an outermost one, else 0; None without a band."""
    band = regime.adaptive
    value = None if band is None else float(band in _OUTERMOST)
    context = f"the index is {(band or 'unknown').replace('_', ' ')} against its past year"
    return Observation(Rule.BAND_CHANGE, asset, asset, value, context)


def inversion(asset: Asset, term: Mapping[str, float | None]) -> Observation:
    """Index at the shortest tenor less that at the longest, points.

    Args:
        asset: Underlying.
        term: Tenor (`30d`) to points, None where there is no value now.
    """
    if len(term) < 2:
        return Observation(Rule.INVERSION, asset, asset, None, "there is one tenor only")
    short, *_, long = sorted(term, key=lambda label: float(label.removesuffix("d")))
    near, far = term[short], term[long]
    if near is None or far is None:
        context = f"the index has no value at {short} or {long}"
        return Observation(Rule.INVERSION, asset, asset, None, context)
    context = f"the index at {short} stands {near - far:+.2f} points against that at {long}"
    return Observation(Rule.INVERSION, asset, asset, near - far, context)


def decoupling(pairs: Iterable[PairCoupling]) -> list[Observation]:
    """|z| of the spread of each pair."""
    return [
        Observation(
            Rule.DECOUPLING,
            f"{pair.first}-{pair.second}",
            pair.first,
            None if pair.spread_z is None else abs(pair.spread_z),
            "the z-score of the spread is "
            + ("not known" if pair.spread_z is None else f"{pair.spread_z:+.2f}"),
        )
        for pair in pairs
    ]


def premium_sign(asset: Asset, premium: PremiumReading) -> Observation:
    """Ex-ante variance risk premium, points."""
    points = premium.ex_ante_points
    told = "not known" if points is None else f"{points:+.2f} points"
    return Observation(
        Rule.PREMIUM_SIGN, asset, asset, points, f"the ex-ante volatility premium is {told}"
    )


def stale(index: IndexValue) -> Observation:
    """1 while the index is STALE or HALTED, else 0; None while it is WARMING."""
    status = index.status
    value = float(status in {Status.STALE, Status.HALTED})
    reason = f" ({index.reason.value})" if index.reason is not None else ""
    return Observation(
        Rule.STALE,
        index.asset,
        index.asset,
        None if status is Status.WARMING else value,
        f"the index is {status.value}{reason}",
    )


def venue_out(index: IndexValue) -> list[Observation]:
    """For each book of the index 1 while its state is not `in`, else 0; None while WARMING."""
    is_judged = index.status is not Status.WARMING
    return [
        Observation(
            Rule.VENUE_OUT,
            f"{index.asset}:{label}",
            index.asset,
            float(venue.state != "in") if is_judged else None,
            f"the book's state is {venue.state}",
        )
        for label, venue in index.venues.items()
    ]


def coverage_lost(coverage: Mapping[str, float]) -> list[Observation]:
    """Accepted over requested subscriptions of each venue; NaN where nothing was requested."""
    return [
        Observation(
            Rule.COVERAGE_LOST,
            venue,
            MARKET,
            share,
            f"the venue accepted {100.0 * share:.1f} % of the subscriptions",
        )
        for venue, share in coverage.items()
    ]


def in_words(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `5 min`, `24 h`, `2 d 3 h`: the two largest units."""
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size) if not (unit == "d" and rest <= 2 * size) else (0, rest)
        if count and len(parts) < 2:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts) or "0 s"


class _Lowest:
    """Lowest value since the last step of time at or before `now - window`.

    Of the values of one step only the lowest is kept, and none that a later, lower one makes
    pointless: at most WINDOW_STEPS + 2 of them, whatever the rate of the observations.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window_ns = max(1, round(window_seconds * NANOS_PER_SECOND))
        self._step_ns = max(1, self._window_ns // WINDOW_STEPS)
        self._kept: deque[tuple[int, float]] = deque()
        """(step, value), both ascending."""

    def observe(self, value: float, now_ns: int) -> float:
        step = now_ns // self._step_ns
        kept = self._kept
        while kept and kept[-1][1] >= value:
            kept.pop()
        if not kept or kept[-1][0] < step:
            kept.append((step, value))
        first = (now_ns - self._window_ns) // self._step_ns
        while kept[0][0] < first:
            kept.popleft()
        return kept[0][1]
