"""A book of options off our own fit of a chain: Greeks, delta hedge, limits, stress table."""

from collections.abc import Sequence
from math import inf, isnan, log, sqrt

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import VOL_POINTS, format_instant
from volgauge.errors import InputError
from volgauge.offline.chain import Chain
from volgauge.offline.compute import fit_chain, instant_of
from volgauge.offline.scale.book import Leg, Position
from volgauge.offline.scale.greeks import UNITS, Greeks, black_greeks, black_price
from volgauge.offline.scale.smiles import OUTSIDE_CORRIDOR, Smile, Smiles
from volgauge.offline.scale.stress import StressGrid, StressTable, stress_table


class PositionRisk(Struct, frozen=True, kw_only=True):
    """One line of the book; the Greeks are of its whole quantity."""

    line: int
    kind: str
    expiry: str | None
    strike: float | None
    quantity: float
    forward: float
    """Spot for spot and the perpetual."""
    implied_vol: float | None
    """Points, of the fitted curve; None for what is no option."""
    log_moneyness: float | None
    flags: tuple[str, ...]
    greeks: Greeks


class Hedge(Struct, frozen=True, kw_only=True):
    """Coins of the perpetual (or of spot) that make the book's delta 0; negative to sell."""

    coins: float
    delta_after: float
    smile_coins: float
    """The same for the delta at constant log-moneyness."""


class Limit(Struct, frozen=True, kw_only=True):
    """One Greek of the book against what is allowed, in absolute value."""

    value: float
    limit: float | None
    """None: no limit was given."""
    utilisation: float | None
    within: bool | None


class Limits(Struct, frozen=True, kw_only=True):
    """All limits, and the factor on every quantity that brings the book inside them."""

    vega: Limit
    gamma: Limit
    factor: float


class BookRisk(Struct, frozen=True, kw_only=True):
    """What `volgauge scale --book` prints."""

    at: str
    premium: Premium
    spot: float | None
    """Price of the hedge, quote currency: as given, else the nearest fitted expiry's forward."""
    reason: str | None
    """Why there are no figures; None when there are."""
    units: dict[str, str]
    positions: tuple[PositionRisk, ...]
    total: Greeks | None
    hedge: Hedge | None
    limits: Limits | None
    stress: StressTable | None


class Allowed(Struct, frozen=True):
    """The largest |Greek| of a book; None for any."""

    vega: float | None = None
    """Quote currency per point."""
    gamma: float | None = None
    """Coins per 1 % move."""


class _Held(Struct, frozen=True):
    """A position and what it is valued with."""

    position: Position
    spot: float
    forward: float
    discount: float
    smile: Smile | None
    """None for what is no option."""

    @property
    def k(self) -> float:
        return log(self.position.strike / self.forward)

    def value(self, move: float, points: float) -> float:
        """After a relative move of the price and one of volatility (a decimal)."""
        quantity, kind = self.position.quantity, self.position.leg.option
        forward = self.forward * (1.0 + move)
        if self.smile is None or kind is None:
            return quantity * self.discount * forward
        sigma = self.smile.volatility(log(self.position.strike / forward))
        deviation = max(0.0, sigma + points) * sqrt(self.smile.years)
        return quantity * self.discount * black_price(
            kind, forward, self.position.strike, deviation
        )  # fmt: skip


def assess(
    positions: Sequence[Position],
    chain: Chain,
    *,
    at: int | str | None = None,
    premium: str | Premium = Premium.QUOTE,
    spot: float | None = None,
    allowed: Allowed | None = None,
    grid: StressGrid,
) -> BookRisk:
    """Value a book off the curves of a chain.

    Args:
        positions: As `read_book` gives them.
        chain: Of the same underlying.
        at: Instant; None takes the chain's newest timestamp.
        premium: Unit of the chain's prices, and of what the book's options pay in.
        spot: Price of the hedge; None takes the nearest fitted expiry's forward.
        allowed: Limits.
        grid: Of the stress table.

    Returns:
        The risk; without any fitted expiry, the reason for there being none.

    Raises:
        InputError: An argument is unusable, or a position stands outside the chain's curves; the
            message names its line.
    """
    allowed = allowed or Allowed()
    for name, number in (("vega-limit", allowed.vega), ("gamma-limit", allowed.gamma)):
        _refuse_unless_positive(name, number)
    _refuse_unless_positive("spot", spot)
    at_ns = instant_of(chain, at)
    premium = Premium(premium)
    smiles = Smiles(fit_chain(chain, at_ns, premium), at_ns)
    price = smiles.spot if spot is None else spot
    risk = BookRisk(
        at=format_instant(at_ns),
        premium=premium,
        spot=price,
        reason=None,
        units=UNITS,
        positions=(),
        total=None,
        hedge=None,
        limits=None,
        stress=None,
    )
    if price is None or smiles.spot is None:
        return replace(risk, reason="no expiry of the chain has a curve")
    held = [_hold(position, smiles, price, premium) for position in positions]
    lines = tuple(map(_risk_of, held))
    total = sum((line.greeks for line in lines), Greeks())
    perpetual = Greeks(delta=1.0, smile_delta=1.0)
    hedge = Hedge(
        coins=-total.delta,
        delta_after=(total + perpetual * -total.delta).delta,
        smile_coins=-total.smile_delta,
    )
    return replace(
        risk,
        positions=lines,
        total=total,
        hedge=hedge,
        limits=_limits(total, allowed),
        stress=stress_table(
            grid,
            lambda move, points: sum(position.value(move, points) for position in held),
            hedge.coins * price,
        ),
    )


def to_json(risk: BookRisk) -> bytes:
    """One JSON object."""
    return msgspec.json.encode(risk)


def _hold(position: Position, smiles: Smiles, spot: float, premium: Premium) -> _Held:
    if position.expiry_ns is None:
        return _Held(position, spot, spot, 1.0, None)
    try:
        if position.leg.option is None:
            return _Held(position, spot, smiles.forward(position.expiry_ns), 1.0, None)
        smile = smiles.at(position.expiry_ns)
    except ValueError as error:
        raise position.complain(str(error)) from error
    discount = spot / smile.forward if premium is Premium.COIN else 1.0
    held = _Held(position, spot, smile.forward, discount, smile)
    if not smile.volatility(held.k) > 0.0:
        raise position.complain("expected a strike at which the curve has a volatility")
    return held


def _risk_of(held: _Held) -> PositionRisk:
    position, smile = held.position, held.smile
    kind = position.leg.option
    implied = moneyness = None
    flags: tuple[str, ...] = ()
    if smile is None or kind is None:
        greeks = _linear(held)
    else:
        moneyness = held.k
        implied = smile.volatility(moneyness)
        flags = smile.flags if smile.is_in_corridor(moneyness) else (*smile.flags, OUTSIDE_CORRIDOR)
        greeks = _option(held, smile, kind)
    return PositionRisk(
        line=position.line,
        kind=position.leg.value,
        expiry=None if position.expiry_ns is None else format_instant(position.expiry_ns),
        strike=None if isnan(position.strike) else position.strike,
        quantity=position.quantity,
        forward=held.forward,
        implied_vol=None if implied is None else implied * VOL_POINTS,
        log_moneyness=moneyness,
        flags=flags,
        greeks=greeks * position.quantity,
    )


def _linear(held: _Held) -> Greeks:
    """Of one coin of spot, of the perpetual or of a future."""
    delta = held.forward / held.spot
    # A future costs nothing to hold; only spot is worth its price.
    value = held.spot if held.position.leg is Leg.SPOT else 0.0
    return Greeks(value=value, delta=delta, smile_delta=delta)


def _option(held: _Held, smile: Smile, kind: OptionKind) -> Greeks:
    return black_greeks(
        kind,
        spot=held.spot,
        forward=held.forward,
        strike=held.position.strike,
        years=smile.years,
        sigma=smile.volatility(held.k),
        slope=smile.slope(held.k),
        discount=held.discount,
    )


def _limits(total: Greeks, allowed: Allowed) -> Limits:
    vega, gamma = _limit(total.vega, allowed.vega), _limit(total.gamma, allowed.gamma)
    most = max(vega.utilisation or 0.0, gamma.utilisation or 0.0)
    return Limits(vega=vega, gamma=gamma, factor=1.0 / most if most > 1.0 else 1.0)


def _limit(value: float, limit: float | None) -> Limit:
    if limit is None:
        return Limit(value=value, limit=None, utilisation=None, within=None)
    used = abs(value) / limit
    return Limit(value=value, limit=limit, utilisation=used, within=used <= 1.0)


def _refuse_unless_positive(name: str, number: float | None) -> None:
    if number is not None and not 0.0 < number < inf:
        raise InputError(f"--{name}: expected a number above zero, received {number!r}")
