"""Known events and parameters for the simulated market, so that a reading can be held against them.

A scenario says by which law the market moves, when that changes, which shocks of volatility there
are and how they spread, and how spots jump. `Player` carries it out. Without any of it the market
is the demo's, to the bit.
"""

import math
from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.simulator import process
from volgauge.simulator.process import F64, Law


class Echo(Struct, frozen=True, kw_only=True):
    """A shock arrives at another asset."""

    asset: str
    after_seconds: float
    share: float = 1.0
    """Of the shock's size."""


class Shock(Struct, frozen=True, kw_only=True):
    """The volatility of one asset changes at once."""

    at_seconds: float
    """Since the market's start."""
    asset: str
    size: float
    """Of ln volatility, short: 0.2 is 22 % more."""
    long_share: float = 1.0
    """What of `size` the long volatility moves by: 1 shifts the whole term, 0 its front."""
    lasts_seconds: float | None = None
    """Then it is taken back, and its echoes as long after them; None: it only reverts."""
    echoes: tuple[Echo, ...] = ()


class Switch(Struct, frozen=True, kw_only=True):
    """Another regime begins; what is None stays."""

    at_seconds: float
    level: float | None = None
    """Every usual volatility is multiplied by this, and with it the present one, at once."""
    vol_of_vol: float | None = None
    """As in `Scenario`, and the next two."""
    spot_correlation: float | None = None
    vol_correlation: float | None = None


class Jumps(Struct, frozen=True, kw_only=True):
    """Spots jump at random instants, each asset by itself."""

    per_day: float
    """Mean number of each asset."""
    deviation: float
    """Of a jump's size, a normal number: ln return."""
    response: float = 0.0
    """By how much ln volatility of every other asset changes per ln return."""
    response_seconds: float = 300.0
    """How long after the jump it does."""


class Scenario(Struct, frozen=True, kw_only=True):
    """What is known of a market beforehand; None is the demo's own number."""

    vol_of_vol: float | None = None
    """Of ln of the short variance, per square root of a year."""
    spot_correlation: float | None = None
    """Between two assets' spots."""
    vol_correlation: float | None = None
    """Between two assets' variances."""
    lead_seconds: float = 0.0
    """What all assets have in common reaches every asset but the first so much later."""
    switches: tuple[Switch, ...] = ()
    shocks: tuple[Shock, ...] = ()
    jumps: Jumps | None = None


def _contagion() -> Scenario:
    """Every ten minutes of a day: a third more in BTC for three minutes, in ETH 7 s later."""
    echoes = (Echo(asset="ETH", after_seconds=7.0, share=0.8),)
    return Scenario(
        shocks=tuple(
            Shock(
                at_seconds=60.0 + 600.0 * number, asset="BTC", size=0.3,
                lasts_seconds=180.0, echoes=echoes,
            )
            for number in range(144)
        )
    )  # fmt: skip


SCENARIOS = {
    "contagion": _contagion(),
    "switch": Scenario(
        switches=(
            Switch(at_seconds=120.0, level=1.6, vol_of_vol=4.0, vol_correlation=0.95),
            Switch(at_seconds=1920.0, level=1.0 / 1.6, vol_of_vol=2.0, vol_correlation=0.75),
        ),
        shocks=(Shock(at_seconds=120.0, asset="BTC", size=0.3, long_share=0.0),),
    ),
    "jumps": Scenario(jumps=Jumps(per_day=48.0, deviation=0.02, response=-2.0)),
}
"""By name, for the command: shocks that spread; half an hour of stress; prices that jump."""


class _Kick(NamedTuple):
    """A change of the state at an instant."""

    at_ns: int
    asset: str
    log_short: float
    """Of ln of the short variance."""
    log_long: float


class Player:
    """Moves a market's state by its law and its scenario."""

    def __init__(
        self, scenario: Scenario, assets: Sequence[str], vols: list[float], *,
        seed: int, start_ns: int, step_ns: int,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            scenario: What is to happen.
            assets: Of each row of the state.
            vols: Typical volatility of each row, fractions.
            seed: Of the jumps.
            start_ns: From where the scenario counts.
            step_ns: Of the market.

        Raises:
            ValueError: An asset is not there, a level is not positive, or correlations are none
                that a market can have.
        """
        self._scenario = scenario
        self._assets = assets
        self._random = np.random.default_rng([seed, 5])
        self._lag = round(scenario.lead_seconds * NANOS_PER_SECOND / step_ns)
        self._shared: deque[F64] = deque()
        """Raw shocks that the followers have not heard of yet, oldest first."""
        self._kicks: list[_Kick] = []
        for shock in scenario.shocks:
            self._add_shock(shock, start_ns)
        self._laws = _laws(scenario, vols, start_ns)
        self.law: Law = self._laws.pop(0)[1]
        """By which the market moves now."""
        for switch in scenario.switches:
            if switch.level is not None:
                moved = 2.0 * math.log(switch.level)
                for asset in dict.fromkeys(assets):
                    self._add(_Kick(_at(start_ns, switch.at_seconds), asset, moved, moved))

    def step(
        self, state: F64, now_ns: int, step_ns: int, random: np.random.Generator, agitation: float
    ) -> F64:
        """Move the state by one step that ends at `now_ns`."""
        years = step_ns / NANOS_PER_YEAR
        if self._lag:
            raw = random.standard_normal((len(state) + 1, process.N_FACTORS))
            shocks = process.mix_shocks(self._spread(raw[0]), raw[1:], self.law.common)
            state = process.advance(state, self.law, years, shocks, agitation=agitation)
        else:
            state = process.evolve(state, self.law, years, random, agitation=agitation)
        return self._act(state, now_ns, step_ns)

    def skip(self, state: F64, now_ns: int, elapsed_ns: int, random: np.random.Generator) -> F64:
        """Move the state by a long step that ends at `now_ns`; in it nobody leads."""
        state = process.evolve(state, self.law, elapsed_ns / NANOS_PER_YEAR, random)
        return self._act(state, now_ns, elapsed_ns)

    def _spread(self, shared: F64) -> F64:
        """The common raw shock as each asset hears of it: (assets, N_FACTORS)."""
        self._shared.append(shared)
        heard = self._shared.popleft() if len(self._shared) > self._lag else np.zeros_like(shared)
        rows = np.tile(heard, (len(self._assets), 1))
        rows[0] = shared
        return rows

    def _act(self, state: F64, now_ns: int, elapsed_ns: int) -> F64:
        """Everything of the scenario that is due."""
        if self._scenario.jumps is not None:
            state = self._jump(state, self._scenario.jumps, now_ns, elapsed_ns)
        while self._laws and self._laws[0][0] <= now_ns:
            self.law = self._laws.pop(0)[1]
        while self._kicks and self._kicks[0].at_ns <= now_ns:
            kick = heappop(self._kicks)
            state = state.copy()
            rows = [row for row, asset in enumerate(self._assets) if asset == kick.asset]
            state[rows, process.LOG_SHORT] += kick.log_short
            state[rows, process.LOG_LONG] += kick.log_long
        return state

    def _jump(self, state: F64, jumps: Jumps, now_ns: int, elapsed_ns: int) -> F64:
        mean = jumps.per_day * elapsed_ns / NANOS_PER_DAY
        for jumping in dict.fromkeys(self._assets):
            count = self._random.poisson(mean)
            if not count:
                continue
            size = jumps.deviation * float(self._random.standard_normal(count).sum())
            state = state.copy()
            rows = [row for row, asset in enumerate(self._assets) if asset == jumping]
            state[rows, process.LOG_SPOT] += size
            answer = 2.0 * jumps.response * size
            for other in dict.fromkeys(self._assets):
                if answer and other != jumping:
                    self._add(_Kick(_at(now_ns, jumps.response_seconds), other, answer, answer))
        return state

    def _add_shock(self, shock: Shock, start_ns: int) -> None:
        own = Echo(asset=shock.asset, after_seconds=0.0)
        for echo in (own, *shock.echoes):
            begin = _at(start_ns, shock.at_seconds + echo.after_seconds)
            moved = 2.0 * shock.size * echo.share
            self._add(_Kick(begin, echo.asset, moved, shock.long_share * moved))
            if shock.lasts_seconds is not None:
                end = begin + round(shock.lasts_seconds * NANOS_PER_SECOND)
                self._add(_Kick(end, echo.asset, -moved, -shock.long_share * moved))

    def _add(self, kick: _Kick) -> None:
        if kick.asset not in self._assets:
            known = ", ".join(dict.fromkeys(self._assets))
            raise ValueError(f"expected an asset of {known}, received {kick.asset!r}")
        heappush(self._kicks, kick)


def _laws(scenario: Scenario, vols: list[float], start_ns: int) -> list[tuple[int, Law]]:
    """The laws and from when on they hold, the first from ever."""
    level = 1.0
    parts = {
        "vol_of_vol": scenario.vol_of_vol,
        "spot_correlation": scenario.spot_correlation,
        "vol_correlation": scenario.vol_correlation,
    }
    laws = [(start_ns, process.law_of(vols, **parts))]
    for switch in sorted(scenario.switches, key=lambda switch: switch.at_seconds):
        if switch.level is not None:
            if not switch.level > 0.0:
                raise ValueError(f"expected a level above zero, received {switch.level}")
            level *= switch.level
        for name, before in parts.items():
            changed = getattr(switch, name)
            parts[name] = before if changed is None else changed
        law = process.law_of([level * vol for vol in vols], **parts)
        laws.append((_at(start_ns, switch.at_seconds), law))
    return laws


def _at(start_ns: int, seconds: float) -> int:
    return start_ns + round(seconds * NANOS_PER_SECOND)
