"""A move of one expiry by its causes: from one evidence to the other, step by step.

Every step changes one thing in a book of the expiry's own and lets the kernels compute it, so the
steps sum to the move whatever they are; their order is fixed (explain.py).
"""

from collections.abc import Iterator
from math import exp, isnan, log, nan

from msgspec.structs import replace

from volgauge.domain.evidence import (
    ExpiryEvidence,
    LegEvidence,
    Number,
    StrikeEvidence,
    from_number,
    to_number,
)
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.index.assemble import number
from volgauge.index.bundle import NO_LEG, surface_of, write_leg
from volgauge.kernels import layout as col
from volgauge.offline.contributions import otm_price
from volgauge.offline.explanation import CauseMove, Used, either, value_of

BISECTIONS = 60
LARGEST_DEVIATION = 40.0
"""No option price needs a higher sigma sqrt(t)."""


def cause_moves(
    a: Used | None, b: Used | None, method: int, scale: float, at_ns: int
) -> Iterator[CauseMove]:
    """Take the move of one expiry apart.

    Args:
        a: Then; None when the record did not use it.
        b: Now; None when the record does not use it.
        method: First index of a surface's results.
        scale: Volatility points for one unit of the tenor's total variance.
        at_ns: B's instant of computation.
    """
    some = either(a, b)
    venue, expiry = some.book.venue, some.evidence.expiry
    if a is None or b is None or isnan(a.own) or isnan(b.own):
        # It came or went: that is a matter of weights, whatever its own quotes did.
        whole = (0.0 if b is None else b.weight * b.variance) - (
            0.0 if a is None else a.weight * a.variance
        )
        yield CauseMove(cause="time", venue=venue, expiry=expiry, points=scale * whole)
        return
    factor = scale * b.weight
    path = _Path(a, b, method, at_ns)
    aged = scale * (b.weight - a.weight) * a.own + factor * path.step()
    yield CauseMove(cause="time", venue=venue, expiry=expiry, points=aged)
    path.move_forward()
    yield CauseMove(cause="forward", venue=venue, expiry=expiry, points=factor * path.step())
    for strike, kind in path.options:
        if not path.replace_quote(strike, kind):
            continue
        points = factor * path.step()
        if points != 0.0:
            yield CauseMove(
                cause="quote",
                venue=venue,
                expiry=expiry,
                points=points,
                strike=strike,
                option=kind,
                before=_sides(a.evidence, strike, kind),
                after=_sides(b.evidence, strike, kind),
            )
    fitted = factor * path.end()
    yield CauseMove(cause="fit", venue=venue, expiry=expiry, points=fitted)
    pooled = b.weight * (b.variance - b.own) - a.weight * (a.variance - a.own)
    if pooled != 0.0:
        yield CauseMove(cause="term", venue=venue, expiry=expiry, points=scale * pooled)


class _Path:
    """One expiry on its way from A to B; every step is computed by the kernels."""

    def __init__(self, a: Used, b: Used, method: int, at_ns: int) -> None:
        self._a, self._b = a, b
        self._method = method
        self._at_ns = at_ns
        self._last = a.own
        self._legs = _legs(a.evidence)
        self._targets = _legs(b.evidence)
        self.options = sorted(
            self._legs.keys() | self._targets.keys(), key=lambda key: (key[0], key[1].value)
        )
        self._remembered = {a.evidence.expiry_ns: [from_number(x) for x in a.evidence.memory]}
        self._build(a.evidence)

    def step(self) -> float:
        """What the last change did to the total variance; 0 where there is none for a moment."""
        self._surface.evaluate_frozen(self._at_ns, self._remembered)
        row = self._surface.expiries.index(self._a.evidence.expiry_ns)
        now = float(self._surface.values[self._method, row, col.TOTAL_VARIANCE])
        if isnan(now):
            return 0.0
        moved = now - self._last
        self._last = now
        return moved

    def end(self) -> float:
        """What is left to B."""
        return self._b.own - self._last

    def move_forward(self) -> None:
        """Let every quote follow the forward at its own implied volatility."""
        before = value_of(self._a, self._method, col.FORWARD)
        after = value_of(self._b, self._method, col.FORWARD)
        is_coin = self._a.book.premium is Premium.COIN
        if before != after:
            self._legs = {
                key: _moved(leg, *key, before, after, is_coin=is_coin)
                for key, leg in self._legs.items()
            }
        self._build(self._b.evidence)

    def replace_quote(self, strike: float, kind: OptionKind) -> bool:
        """Put B's quote in the place of A's; False when it is the same."""
        key = (strike, kind)
        target = self._targets.get(key, NO_LEG)
        if self._legs.get(key, NO_LEG) == target:
            return False
        write_leg(self._surface.table, self._slots[key], target)
        return True

    def _build(self, basis: ExpiryEvidence) -> None:
        """A book of all options of A and B, with A's quotes, and what else `basis` says."""
        strikes = sorted({strike for strike, _ in self.options})
        evidence = replace(
            basis,
            strikes=tuple(
                StrikeEvidence(
                    strike=strike,
                    call=self._leg(strike, OptionKind.CALL),
                    put=self._leg(strike, OptionKind.PUT),
                )
                for strike in strikes
            ),
        )
        self._surface = surface_of(replace(self._a.book, expiries=(evidence,)), self._at_ns)
        self._slots = {
            (instrument.strike, instrument.kind): slot
            for slot, instrument in self._surface.slots.items()
            if instrument.expiry_ns == basis.expiry_ns
        }

    def _leg(self, strike: float, kind: OptionKind) -> LegEvidence | None:
        """A's quote on B's ticks; an empty one where only B lists the option."""
        leg, target = self._legs.get((strike, kind)), self._targets.get((strike, kind))
        if target is None or leg is None:
            return leg if target is None else _on_ticks(NO_LEG, target)
        return _on_ticks(leg, target)


def _on_ticks(leg: LegEvidence, other: LegEvidence) -> LegEvidence:
    return replace(
        leg, tick_size=other.tick_size, tick_above=other.tick_above, tick_step=other.tick_step
    )


def _legs(evidence: ExpiryEvidence) -> dict[tuple[float, OptionKind], LegEvidence]:
    return {
        (strike.strike, kind): leg
        for strike in evidence.strikes
        for kind, leg in ((OptionKind.CALL, strike.call), (OptionKind.PUT, strike.put))
        if leg is not None
    }


def _sides(
    evidence: ExpiryEvidence, strike: float, kind: OptionKind
) -> tuple[float | None, float | None]:
    leg = _legs(evidence).get((strike, kind), NO_LEG)
    return number(from_number(leg.bid)), number(from_number(leg.ask))


def _moved(
    leg: LegEvidence, strike: float, kind: OptionKind, before: float, after: float, *, is_coin: bool
) -> LegEvidence:
    """A quote after the forward moved, each of its prices at the volatility that it implied."""
    prices = [
        _at_forward(price, strike, kind, before, after, is_coin=is_coin)
        for price in (leg.bid, leg.ask, leg.mark)
    ]
    # As far from its forward as it was: the move is not the quote's neglect (rule 3).
    first = to_number(from_number(leg.first_forward) * (after / before))
    return replace(leg, bid=prices[0], ask=prices[1], mark=prices[2], first_forward=first)


def _at_forward(
    price: Number, strike: float, kind: OptionKind, before: float, after: float, *, is_coin: bool
) -> Number:
    if not isinstance(price, float) or price <= 0.0:
        return price
    value = price if is_coin else price / before
    extra = value - _intrinsic(strike / before, kind)
    k = log(strike / before)
    s = _deviation(k, extra)
    moved = extra if isnan(s) else otm_price(log(strike / after), s)
    value = moved + _intrinsic(strike / after, kind)
    return value if is_coin else value * after


def _intrinsic(m: float, kind: OptionKind) -> float:
    """In units of the forward, at K/F = m; what is left of a price is the other leg's, too."""
    return max(1.0 - m, 0.0) if kind is OptionKind.CALL else max(m - 1.0, 0.0)


def _deviation(k: float, price: float) -> float:
    """Sigma sqrt(t) of an out-of-the-money price; NaN outside its bounds."""
    if not 0.0 < price < min(1.0, exp(k)):
        return nan
    low, high = 0.0, LARGEST_DEVIATION
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if otm_price(k, middle) < price:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
