"""Our estimator on one board, through the surface and the kernels that the service runs."""

from math import hypot, inf, isnan, log, nan, sqrt

from msgspec import Struct

from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Flag, Method
from volgauge.domain.instrument import Asset, BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.offline.accuracy.boards import CALL, PUT, Board
from volgauge.surface.surface import Surface

KEY = BookKey(Venue("bench"), Asset("CHAIN"), "USD")
EXPIRY_NS = 1_800_000_000 * 1_000_000_000
"""Any instant: only the distance to it counts."""
LEGS = (OptionKind.CALL, OptionKind.PUT)
SMALLEST_U = 0.02
"""Points; METHODOLOGY rule 17."""


class Estimate(Struct, frozen=True, kw_only=True):
    """Our answer for one expiry, volatility points; NaN where there is none."""

    value: float
    bid: float
    ask: float
    u: float
    full: float
    tail_lo: float
    tail_hi: float
    coin: float
    svix: float
    skewness: float
    kurtosis: float
    forward: float
    atm: float
    """At the forward, by the fit."""
    extrapolated: float
    strikes: int
    eligible: bool
    flags: tuple[str, ...]
    smile: tuple[float, float, float, float, float]
    """a, b, rho, m, s of the fit behind `value`."""
    used: tuple[float, ...]
    """Strikes whose out-of-the-money quote entered."""
    beside: tuple[tuple[float, float], ...]
    """What quotes add to the price of the fit: log-moneyness and units of F, ascending."""
    corridor: tuple[float, float]
    """Log-moneyness of its ends."""


def surface_of(
    board: Board, order: list[int] | None = None, future: float = nan
) -> tuple[Surface, int]:
    """The board as a fresh surface, and the instant at which it stands.

    Args:
        board: The quotes.
        order: Slot of each option (calls first), to show that the order leaves no trace.
        future: The listed future of the expiry, which serves when parity has too few pairs.
    """
    now_ns = EXPIRY_NS - round(board.years * NANOS_PER_YEAR)
    table = QuoteTable()
    surface = Surface(KEY, table, (Method.NATIVE,))
    tick = board.ticks
    count = len(board.strike)
    slots = list(range(2 * count)) if order is None else order
    options = [(leg, place) for leg in (CALL, PUT) for place in range(count)]
    for slot, (leg, place) in sorted(zip(slots, options, strict=True)):
        surface.add(
            slot,
            Instrument(
                venue=KEY.venue,
                name=f"{board.strike[place]:.10g}-{LEGS[leg].value}",
                asset=KEY.asset,
                expiry_ns=EXPIRY_NS,
                strike=float(board.strike[place]),
                kind=LEGS[leg],
                premium=Premium.COIN,
                quote_currency=KEY.quote_currency,
                tick_size=nan if tick is None else tick.size,
                tick_above=inf if tick is None else tick.above,
                tick_step=nan if tick is None else tick.step,
                listed_ns=now_ns - NANOS_PER_DAY,
            ),
        )
    for slot, (leg, place) in zip(slots, options, strict=True):
        bid, ask = float(board.bid[leg, place]), float(board.ask[leg, place])
        table.write(slot, bid, ask, nan, nan, now_ns, now_ns)
    table.write_marks(slots, [float(board.mark[leg, place]) for leg, place in options])
    surface.set_forward(EXPIRY_NS, future)
    return surface, now_ns


def estimate(board: Board, future: float = nan) -> Estimate:
    """Every quantity of one board, cold: no fit of an earlier board is behind it."""
    surface, now_ns = surface_of(board, future=future)
    surface.evaluate(now_ns)
    values, facts = surface.values[col.NATIVE, 0], surface.facts[col.NATIVE, 0]
    forward = float(values[col.FORWARD])
    codes = surface.codes(Method.NATIVE)
    used = tuple(
        sorted(
            option.strike
            for slot, option in surface.slots.items()
            if codes[slot] == col.USED
            and (option.kind is OptionKind.PUT) == (option.strike < forward)
        )
    )
    rows = surface.ladder[:, (col.STRIKE, col.RESIDUAL)].tolist()
    beside = tuple((log(strike / forward), add) for strike, add in rows if not isnan(add))
    return _read(values, facts, used, beside, board.years)


def _read(
    values: F64,
    facts: I64,
    used: tuple[float, ...],
    beside: tuple[tuple[float, float], ...],
    years: float,
) -> Estimate:

    def points(column: int) -> float:
        variance = float(values[column])
        return 100.0 * sqrt(variance / years) if variance >= 0.0 else nan

    value, bid, ask = (
        points(column) for column in (col.TOTAL_VARIANCE, col.BID_VARIANCE, col.ASK_VARIANCE)
    )
    # d(100 sqrt(w / T)) = 100 dw / (2 sqrt(w T))
    ext = 50.0 * float(values[col.EXT_VARIANCE]) / (0.01 * value * years) if value > 0.0 else nan
    bits = int(facts[col.FLAGS])
    return Estimate(
        value=value,
        bid=bid,
        ask=ask,
        u=hypot((ask - bid) / 8.0, ext, SMALLEST_U),
        full=points(col.FULL_VARIANCE),
        tail_lo=points(col.TAIL_LO_VARIANCE),
        tail_hi=points(col.TAIL_HI_VARIANCE),
        coin=points(col.COIN_VARIANCE),
        svix=points(col.SVIX_VARIANCE),
        skewness=float(values[col.SKEWNESS]),
        kurtosis=float(values[col.KURTOSIS]),
        forward=float(values[col.FORWARD]),
        atm=100.0 * float(values[col.DEVIATION]) / sqrt(years),
        extrapolated=float(values[col.EXTRAPOLATED]),
        strikes=int(facts[col.STRIKES]),
        eligible=bool(facts[col.ELIGIBLE]),
        flags=tuple(flag.value for i, flag in enumerate(Flag) if bits & 1 << i),
        smile=(
            float(values[col.SVI_A]),
            float(values[col.SVI_B]),
            float(values[col.SVI_RHO]),
            float(values[col.SVI_M]),
            float(values[col.SVI_S]),
        ),
        used=used,
        beside=beside,
        corridor=(float(values[col.CORRIDOR_LOW]), float(values[col.CORRIDOR_HIGH])),
    )
