"""What the simulated venue lists: contract terms, expiries, strikes, names.

The rules reproduce the venue's real listings of 2026-05-26 and 2026-07-15 (which expiries, how
many strikes, where they are dense); tick sizes of the smaller linear books are a choice of ours
where no document gives one.
"""

import math
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND

ROLL_OF_DAY_NS = 8 * NANOS_PER_HOUR
"""Contracts expire at this time of day, UTC."""
LISTING_DELAY_NS = 13 * NANOS_PER_SECOND
"""New contracts appear this long after 08:00 UTC."""
_FRIDAY = 4
_DAILIES, _WEEKLIES, _MONTHLIES, _QUARTERLIES = 4, 3, 3, 4
_LEAD_DAYS = {"day": 4, "week": 21, "month": 92, "quarter": 364}
"""How long before its end an expiry is listed, by class."""
# Per class: (multiple of the base step, log-moneyness below, above) at a volatility of 50 %.
_GRIDS = {
    "day": ((1, 0.045, 0.045), (2, 0.13, 0.13)),
    "week": ((2, 0.12, 0.12), (4, 0.17, 0.17)),
    "month": ((2, 0.18, 0.18), (4, 0.33, 0.33), (10, 0.48, 0.48)),
    "quarter": ((4, 0.27, 0.27), (10, 0.66, 0.74), (40, 1.00, 1.35)),
}
_BASE_STEP_RATIO = 0.0066
_NICE = (1.0, 2.5, 5.0, 10.0)


class Terms(Struct, frozen=True, kw_only=True):
    """Contract terms of one option book and the level it starts at."""

    asset: str
    coin: bool
    """Premium in coin (inverse); otherwise in USDC (linear)."""
    spot: float
    vol: float
    """Typical at-the-money volatility, a fraction; sets the width of the strike grid."""
    tick: tuple[int, int]
    """Tick size as a fraction (numerator, denominator), so that prices print exactly."""
    tick_above: int = 0
    """Price, in ticks, above which `tick_multiple` applies; 0: one tick size."""
    tick_multiple: int = 1
    future_tick: tuple[int, int]
    contract_size: float
    min_amount: tuple[int, int]

    @property
    def prefix(self) -> str:
        """First part of every name."""
        return self.asset if self.coin else f"{self.asset}_USDC"

    @property
    def currency(self) -> str:
        """What `get_instruments` lists it under."""
        return self.asset if self.coin else "USDC"

    @property
    def index_name(self) -> str:
        """Name of the price index."""
        return f"{self.asset.lower()}_{'usd' if self.coin else 'usdc'}"

    @property
    def tick_size(self) -> float:
        """Smallest price step, premium unit."""
        return self.tick[0] / self.tick[1]


def _linear(asset: str, spot: float, vol: float, tick: tuple[int, int], size: int) -> Terms:
    return Terms(
        asset=asset, coin=False, spot=spot, vol=vol, tick=tick, future_tick=tick,
        contract_size=float(size), min_amount=(size, 1),
    )  # fmt: skip


def _inverse(asset: str, spot: float, vol: float, future_tick: tuple[int, int]) -> Terms:
    return Terms(
        asset=asset, coin=True, spot=spot, vol=vol, tick=(1, 10_000), tick_above=50,
        tick_multiple=5, future_tick=future_tick, contract_size=1.0,
        min_amount=(1, 10) if asset == "BTC" else (1, 1),
    )  # fmt: skip


TERMS: dict[str, Terms] = {
    terms.prefix: terms
    for terms in (
        _inverse("BTC", 86_000.0, 0.48, (1, 2)),
        _inverse("ETH", 3_050.0, 0.68, (1, 20)),
        _linear("SOL", 182.0, 0.82, (1, 20), 10),
        _linear("XRP", 2.35, 0.80, (1, 2000), 1_000),
        _linear("HYPE", 38.0, 1.00, (1, 100), 10),
        _linear("AVAX", 18.5, 0.88, (1, 200), 100),
        _linear("TRX", 0.31, 0.60, (1, 10_000), 10_000),
    )
}
"""Every book the simulated venue can list, by name prefix."""


class Expiry(Struct, frozen=True):
    """One expiry and how the venue classes it."""

    expiry_ns: int
    kind: str
    """`day`, `week`, `month` or `quarter`."""
    listed_ns: int

    @property
    def settlement_period(self) -> str:
        """The venue's word: quarters are `month` too."""
        return "month" if self.kind == "quarter" else self.kind


def list_expiries(now_ns: int, roll_of_day_ns: int = ROLL_OF_DAY_NS) -> list[Expiry]:
    """All expiries alive at an instant: 4 dailies, 3 weeklies, 3 monthlies, 4 quarterlies.

    They overlap (a last Friday is weekly and monthly): 11 or 12 remain; the widest class wins.
    """
    midnight_ns = next_roll_ns(now_ns, roll_of_day_ns) - roll_of_day_ns
    first = datetime.fromtimestamp(midnight_ns // NANOS_PER_SECOND, UTC)
    kinds: dict[datetime, str] = {}
    for days in range(_DAILIES):
        kinds[first + timedelta(days=days)] = "day"
    friday = first + timedelta(days=(_FRIDAY - first.weekday()) % 7)
    for weeks in range(_WEEKLIES):
        kinds[friday + timedelta(weeks=weeks)] = "week"
    months = [
        last
        for ahead in range(13)
        if (last := _last_friday(first.year, first.month + ahead, first)) >= first
    ]
    kinds |= dict.fromkeys(months[:_MONTHLIES], "month")
    quarters = [last for last in months if last.month % 3 == 0]
    kinds |= dict.fromkeys(quarters[:_QUARTERLIES], "quarter")
    found = []
    for moment, kind in sorted(kinds.items()):
        expiry_ns = int(moment.timestamp()) * NANOS_PER_SECOND + roll_of_day_ns
        listed_ns = expiry_ns - _LEAD_DAYS[kind] * NANOS_PER_DAY + LISTING_DELAY_NS
        found.append(Expiry(expiry_ns, kind, min(listed_ns, now_ns)))
    return found


def strike_grid(kind: str, forward: float, vol: float) -> set[float]:
    """Strikes wanted around a forward: dense near the money, wide far out.

    Args:
        kind: Class of the expiry.
        forward: Quote currency.
        vol: Typical volatility, a fraction.
    """
    scale = vol / 0.5
    base = forward * _BASE_STEP_RATIO * scale
    decade = 10.0 ** math.floor(math.log10(base))
    step = min(_NICE, key=lambda nice: abs(math.log(nice * decade / base))) * decade
    strikes: set[float] = set()
    for multiple, below, above in _GRIDS[kind]:
        width = multiple * step
        lowest = math.ceil(forward * math.exp(-below * scale) / width)
        highest = math.floor(forward * math.exp(above * scale) / width)
        strikes.update(round(number * width, 10) for number in range(max(lowest, 1), highest + 1))
    return strikes


def option_name(prefix: str, expiry_ns: int, strike: float, *, is_call: bool) -> str:
    """`BTC-28AUG26-67000-C`; a decimal point is written `d`."""
    text = f"{strike:.10f}".rstrip("0").rstrip(".").replace(".", "d")
    return f"{prefix}-{expiry_code(expiry_ns)}-{text}-{'C' if is_call else 'P'}"


def expiry_code(expiry_ns: int) -> str:
    """`8AUG26`: day without a leading zero."""
    day = datetime.fromtimestamp(expiry_ns // NANOS_PER_SECOND, UTC)
    return f"{day.day}{_MONTHS[day.month - 1]}{day:%y}"


def next_roll_ns(now_ns: int, roll_of_day_ns: int = ROLL_OF_DAY_NS) -> int:
    """The first roll after an instant."""
    return ((now_ns - roll_of_day_ns) // NANOS_PER_DAY + 1) * NANOS_PER_DAY + roll_of_day_ns


def _last_friday(year: int, month: int, like: datetime) -> datetime:
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    after = like.replace(year=year + month // 12, month=month % 12 + 1, day=1)
    last = after - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - _FRIDAY) % 7)


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
