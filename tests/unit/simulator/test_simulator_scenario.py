"""What is known of a market beforehand happens when and as it is said."""

import math

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.errors import ConfigError
from volgauge.simulator import process
from volgauge.simulator.command import SimulateOptions, _simulator_options
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.process import F64, LOG_LONG, LOG_SHORT, LOG_SPOT
from volgauge.simulator.scenario import (
    SCENARIOS,
    Echo,
    Jumps,
    Player,
    Scenario,
    Shock,
    Switch,
)

START_NS = 1_772_445_600 * NANOS_PER_SECOND
STEP_NS = NANOS_PER_SECOND
ASSETS = ("BTC", "ETH")
VOLS = [0.5, 0.7]


def path_of(scenario: Scenario, steps: int, *, seed: int = 1, step_ns: int = STEP_NS) -> F64:
    """States (steps + 1, assets, N_FACTORS) under a scenario."""
    player = Player(scenario, ASSETS, VOLS, seed=seed, start_ns=START_NS, step_ns=step_ns)
    random = np.random.default_rng(seed)
    state = process.start_state(player.law, [80_000.0, 2_000.0], random)
    states = [state]
    for number in range(steps):
        state = player.step(state, START_NS + (number + 1) * step_ns, step_ns, random, 1.0)
        states.append(state)
    return np.array(states)


def changes(path: F64, column: int) -> F64:
    """Of one column, (steps, assets)."""
    made: F64 = np.diff(path[:, :, column], axis=0)
    return made


def test_no_scenario_is_the_market_as_it_was() -> None:
    """To the bit, and whether or not one is passed."""
    random = np.random.default_rng(1)
    law = process.law_of(VOLS)
    state = process.start_state(law, [80_000.0, 2_000.0], random)
    plain = [state]
    for _ in range(50):
        state = process.evolve(state, law, STEP_NS / NANOS_PER_YEAR, random)
        plain.append(state)

    assert path_of(Scenario(), 50).tobytes() == np.array(plain).tobytes()


def test_shock_reaches_the_other_asset_after_its_time() -> None:
    """At 20 s in BTC, 7 s later four fifths of it in ETH, both taken back after a minute."""
    shock = Shock(
        at_seconds=20.0, asset="BTC", size=0.3, lasts_seconds=60.0,
        echoes=(Echo(asset="ETH", after_seconds=7.0, share=0.8),),
    )  # fmt: skip
    difference = path_of(Scenario(shocks=(shock,)), 120) - path_of(Scenario(), 120)
    moved = 0.5 * difference[:, :, LOG_SHORT]

    assert moved[[19, 20, 79, 80], 0] == pytest.approx([0.0, 0.3, 0.3, 0.0], abs=1e-4)
    assert moved[[26, 27, 86, 87], 1] == pytest.approx([0.0, 0.24, 0.24, 0.0], abs=1e-4)
    assert difference[:, :, LOG_LONG] == pytest.approx(difference[:, :, LOG_SHORT], abs=1e-4)


def test_front_shock_leaves_the_long_volatility() -> None:
    """A long share of zero."""
    shock = Shock(at_seconds=1.0, asset="ETH", size=0.5, long_share=0.0)
    difference = path_of(Scenario(shocks=(shock,)), 2) - path_of(Scenario(), 2)

    assert difference[2, 1, LOG_SHORT] == pytest.approx(1.0, abs=1e-4)
    assert difference[2, 1, LOG_LONG] == 0.0
    assert not difference[:, 0].any()


def test_switch_moves_present_and_usual_volatility() -> None:
    """At its instant, by its level, in every asset; and the way back."""
    scenario = Scenario(
        switches=(Switch(at_seconds=5.0, level=2.0), Switch(at_seconds=8.0, level=0.5))
    )
    difference = 0.5 * (path_of(scenario, 9) - path_of(Scenario(), 9))[:, :, LOG_SHORT]
    player = Player(scenario, ASSETS, VOLS, seed=1, start_ns=START_NS, step_ns=STEP_NS)
    usual = player.law.mean[:, LOG_SHORT]
    random = np.random.default_rng(1)
    player.skip(process.start_state(player.law, [1.0, 1.0], random), START_NS + 5 * STEP_NS,
                5 * STEP_NS, random)  # fmt: skip

    assert difference[[4, 5, 7, 8], 0] == pytest.approx([0.0, math.log(2), math.log(2), 0.0],
                                                        abs=1e-5)  # fmt: skip
    assert player.law.mean[:, LOG_SHORT] - usual == pytest.approx(2.0 * math.log(2.0))


@pytest.mark.parametrize(("spot", "vol"), [(0.9, 0.5), (0.2, 0.8), (0.0, 0.0), (0.6, None)])
def test_correlations_are_those_asked_for(spot: float, vol: float | None) -> None:
    """Of 40,000 steps, within four standard errors (1 - r^2) / sqrt(n)."""
    path = path_of(Scenario(spot_correlation=spot, vol_correlation=vol), 40_000)

    for column, wanted in ((LOG_SPOT, spot), (LOG_SHORT, vol), (LOG_LONG, vol)):
        wanted_or_usual = 0.75 if wanted is None else wanted
        x, y = changes(path, column).T
        found = float(np.corrcoef(x, y)[0, 1])
        assert found == pytest.approx(
            wanted_or_usual, abs=4.0 * (1.0 - wanted_or_usual**2) / 200.0 + 0.005
        )


def test_impossible_correlations_are_refused() -> None:
    """Spots that move as one and variances that do not: each falls with its own spot."""
    with pytest.raises(ValueError, match="can have together"):
        process.law_of(VOLS, spot_correlation=1.0, vol_correlation=0.0)


@pytest.mark.parametrize("wanted", [1.0, 4.0])
def test_vol_of_vol_is_that_asked_for(wanted: float) -> None:
    """Of the short variance; and of the volatility at a tenor by Ito's formula."""
    steps, tenor = 20_000, 30.0 / 365.0
    path = path_of(Scenario(vol_of_vol=wanted), steps)
    years = steps * STEP_NS / NANOS_PER_YEAR
    level = 0.5 * np.log(process.level_at(path, np.array(tenor)))
    law = process.law_of(VOLS, vol_of_vol=wanted)
    expected = process.log_vol_deviation(path, law, tenor)
    four_errors = 4.0 / math.sqrt(2.0 * steps)

    found = np.sqrt((changes(path, LOG_SHORT) ** 2).sum(axis=0) / years)
    assert found == pytest.approx(wanted, rel=four_errors)
    found = np.sqrt((np.diff(level, axis=0) ** 2).sum(axis=0) / years)
    assert found == pytest.approx(np.sqrt((expected**2).mean(axis=0)), rel=four_errors)


def test_the_first_asset_leads_by_what_is_asked_for() -> None:
    """The cross-correlation of variance changes stands at seven seconds, and only there."""
    scenario = Scenario(vol_correlation=0.9, spot_correlation=0.9, lead_seconds=7.0)
    move = changes(path_of(scenario, 20_000), LOG_SHORT)
    found = {
        lag: float(np.corrcoef(move[: 19_900 - lag, 0], move[lag:19_900, 1])[0, 1])
        for lag in range(15)
    }

    assert found.pop(7) == pytest.approx(0.9, abs=0.01)
    assert max(map(abs, found.values())) < 4.0 / math.sqrt(19_900)


def test_jumps_come_as_often_and_as_large_as_said() -> None:
    """Their number within four Poisson errors, the size within four of a deviation's error."""
    scenario = Scenario(jumps=Jumps(per_day=500.0, deviation=0.05))
    steps, step_ns = 8_640, 10 * NANOS_PER_SECOND
    size = changes(
        path_of(scenario, steps, step_ns=step_ns) - path_of(Scenario(), steps, step_ns=step_ns),
        LOG_SPOT,
    )
    found = size[np.abs(size) > 1e-6]
    expected = 2.0 * 500.0 * steps * step_ns / NANOS_PER_DAY

    assert len(found) == pytest.approx(expected, abs=4.0 * math.sqrt(expected))
    # Two in one step are one larger change: that adds 3 % here.
    assert found.std() == pytest.approx(0.05, rel=4.0 / math.sqrt(2.0 * expected) + 0.03)


def test_a_jump_moves_the_other_asset_s_volatility_later() -> None:
    """By its response, after its seconds."""
    jumps = Jumps(per_day=300.0, deviation=0.03, response=-2.0, response_seconds=40.0)
    difference = path_of(Scenario(jumps=jumps), 2_000) - path_of(Scenario(), 2_000)
    size = np.diff(difference[:, :, LOG_SPOT], axis=0)
    answer = np.diff(0.5 * difference[:, :, LOG_SHORT], axis=0)
    jumped = np.flatnonzero(np.abs(size[:1_900, 0]) > 2e-3)

    assert len(jumped) >= 2
    assert answer[jumped + 40, 1] == pytest.approx(-2.0 * size[jumped, 0], abs=1e-4)


def test_unknown_asset_and_level_are_refused() -> None:
    """A scenario that this market cannot have."""
    for scenario in (
        Scenario(shocks=(Shock(at_seconds=1.0, asset="DOGE", size=0.1),)),
        Scenario(switches=(Switch(at_seconds=1.0, level=0.0),)),
    ):
        with pytest.raises(ValueError, match="expected a"):
            Player(scenario, ASSETS, VOLS, seed=1, start_ns=START_NS, step_ns=STEP_NS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_named_scenario_runs(name: str) -> None:
    """In the demo's market; time that is skipped is not forgotten."""
    options = MarketOptions(
        start_ns=START_NS, step_ns=STEP_NS, rate=10.0, scenario=SCENARIOS[name],
        currencies=("BTC", "ETH"),
    )  # fmt: skip
    market, plain = (
        Market(made) for made in (options, MarketOptions(
            start_ns=START_NS, step_ns=STEP_NS, rate=10.0, currencies=("BTC", "ETH")
        ))
    )  # fmt: skip
    for source in (market, plain):
        source.skip_to(START_NS + 130 * STEP_NS)
        source.advance()

    assert np.isfinite(market.state).all()
    assert market.now_ns == plain.now_ns
    if name != "jumps":
        assert market.headline("BTC")[0] > 1.2 * plain.headline("BTC")[0]


def test_the_command_knows_scenarios_by_name() -> None:
    """One that is unknown is refused, and one of a recording."""
    options = SimulateOptions(
        chain=None, asset=None, recording=None, speed=1.0, rate=10.0, burst=1, seed=7, port=0,
        start=None, smile="mixed", roll_in=None, venues=(), faults=(), exit_with_stdin=False,
        scenario="contagion",
    )  # fmt: skip

    assert _simulator_options(options).scenario == SCENARIOS["contagion"]
    with pytest.raises(ConfigError, match="--scenario: expected one of contagion"):
        _simulator_options(_changed(options, scenario="calm"))
    with pytest.raises(ConfigError, match="only the simulated market"):
        _simulator_options(_changed(options, recording="folder"))


def _changed(options: SimulateOptions, **parts: object) -> SimulateOptions:
    fields = {name: getattr(options, name) for name in options.__struct_fields__}
    return SimulateOptions(**{**fields, **parts})
