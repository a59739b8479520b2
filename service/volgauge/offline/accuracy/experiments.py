"""Experiments on boards whose truth is known: accuracy, attacks, strikes, band.

Limits are those that the methodology promises (METHODOLOGY §2 to §6); every figure is a shift or an
error in volatility points. Seeds are fixed: two runs print the same.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import nan

import numpy as np
from msgspec import Struct

from volgauge.kernels._jit import F64
from volgauge.offline.accuracy.attacks import ATTACKS
from volgauge.offline.accuracy.boards import (
    CALL,
    EXACT,
    FINE,
    GRIDS,
    PUT,
    SOUND,
    Board,
    Quoting,
    exact_prices,
    make_board,
    quote,
)
from volgauge.offline.accuracy.numerics import otm_price
from volgauge.offline.accuracy.ours import Estimate, estimate
from volgauge.offline.accuracy.report import Gate, Report, Table
from volgauge.offline.accuracy.rivals import CORRIDOR_RIVALS, FULL_RIVALS
from volgauge.offline.accuracy.worlds import FORWARD, WORLDS, World, truth_of

FIRST_SEED = 1_000
CALIBRATION_SEED = 50_000
"""The band's limits were chosen on other seeds."""
BAND_NOISES = (0.1, 0.25, 0.5)
BAND_COMMON = 0.15
ATTACKED = ("calm", "crash", "SVI neg")


class Effort(Struct, frozen=True):
    """How much work to do."""

    seeds: int
    """Boards of each world and grid."""
    attacked_seeds: int
    strike_seeds: int
    band_seeds: int
    forward_step: float
    """Of the walk over 5 delta, quote currency."""
    with_rivals: bool = True


FULL_EFFORT = Effort(seeds=40, attacked_seeds=10, strike_seeds=10, band_seeds=40, forward_step=26.0)
QUICK_EFFORT = Effort(
    seeds=24, attacked_seeds=4, strike_seeds=2, band_seeds=12, forward_step=130.0, with_rivals=False
)

BIAS_LIMIT = {"dense": 0.05, "sparse": 0.08}
RMSE_LIMIT = {"dense": 0.08, "sparse": 0.12}
FULL_BIAS_LIMIT = {"dense": 0.25, "sparse": 0.40}
FLAT_FULL_LIMIT = 0.05
BRACKET_LIMIT = 0.05
ATTACK_MEAN = {"dense": 0.02, "sparse": 0.05}
ATTACK_MAX = {"dense": 0.06, "sparse": 0.20}
MILD_MEAN = {"dense": 0.02, "sparse": 0.08}
MILD_MAX = {"dense": 0.06, "sparse": 0.30}
FULL_SHIFT_LIMIT = 1.5
CROSSING_LIMIT = 0.02
STRIKE_P95 = {"dense": 0.02, "sparse": 0.07}
STRIKE_MAX = {"dense": 0.07, "sparse": 0.16}
OWN_CURVE_P95 = 0.01
OWN_CURVE_MAX = 0.02
COVERAGE_LIMIT = 0.95
SPREAD_LIMITS = (0.5, 1.0)


def bias(errors: Sequence[float]) -> float:
    """The mean."""
    return float(np.mean(errors))


def rmse(errors: Sequence[float]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(errors))))


def mean_shift(shifts: Sequence[float]) -> float:
    """Mean of the absolute values."""
    return float(np.mean(np.abs(shifts)))


def max_shift(shifts: Sequence[float]) -> float:
    """Largest absolute value; NaN when one is NaN, so that nothing lost passes for small."""
    return float(np.max(np.abs(shifts))) if len(shifts) else nan


def p95(shifts: Sequence[float]) -> float:
    """95th percentile of the absolute values."""
    return float(np.percentile(np.abs(shifts), 95.0)) if len(shifts) else nan


def accuracy(effort: Effort, quoting: Quoting = SOUND, title: str = "Accuracy") -> Report:
    """Bias and RMSE against the truth, ours and the rivals, every world and grid."""
    report = Report()
    rows: list[tuple[str | float, ...]] = []
    rivals = {**CORRIDOR_RIVALS, **FULL_RIVALS} if effort.with_rivals else {}
    for grid in GRIDS:
        for world in WORLDS:
            truth = truth_of(world)
            boards = [
                make_board(world, grid, quoting, FIRST_SEED + seed) for seed in range(effort.seeds)
            ]
            found = [estimate(board) for board in boards]
            value = [e.value - truth.corridor for e in found]
            full = [e.full - truth.full for e in found]
            low = bias([e.tail_lo - truth.full for e in found])
            high = bias([e.tail_hi - truth.full for e in found])
            others = []
            for name, rival in rivals.items():
                target = truth.corridor if name in CORRIDOR_RIVALS else truth.full
                others.append(_bias_rmse([rival(board) - target for board in boards]))
            rows.append(
                (
                    f"{grid} {world.name}",
                    truth.corridor,
                    truth.full,
                    _bias_rmse(value),
                    _bias_rmse(full),
                    f"{low:+.3f}..{high:+.3f}",
                    *others,
                )
            )
            if quoting is SOUND:
                report.gates += _accuracy_gates(grid, world.name, value, full, low, high)
    report.tables.append(
        Table(
            title=f"{title}: bias / RMSE, {effort.seeds} seeds",
            columns=("world", "corridor", "full", "value", "full", "tails", *rivals),
            rows=tuple(rows),
            note="value, dvol-like and SVI only (5d) against the corridor's true variance; "
            "the others against the whole line's",
        )
    )
    return report


def fine_ticks(effort: Effort) -> Report:
    """The same with ticks of 1e-5 and half-spreads of 0.3 %, as on linear venues."""
    return accuracy(effort, FINE, "Fine ticks")


def attacks(effort: Effort) -> Report:
    """Shift of `value` and `full` under every attack, and of the rivals beside them."""
    report = Report()
    rows: list[tuple[str | float, ...]] = []
    rivals = {**CORRIDOR_RIVALS, **FULL_RIVALS} if effort.with_rivals else {}
    worlds = [world for world in WORLDS if world.name in ATTACKED]
    for grid in GRIDS:
        boards = [
            make_board(world, grid, SOUND, FIRST_SEED + seed)
            for world in worlds
            for seed in range(effort.attacked_seeds)
        ]
        before = [estimate(board) for board in boards]
        rivals_before = {name: [rival(board) for board in boards] for name, rival in rivals.items()}
        for attack in ATTACKS:
            changed = [attack.change(board) for board in boards]
            after = [estimate(board) for board in changed]
            value = [a.value - b.value for a, b in zip(after, before, strict=True)]
            full = [a.full - b.full for a, b in zip(after, before, strict=True)]
            others = [
                _mean_max(
                    [
                        rival(board) - was
                        for board, was in zip(changed, rivals_before[name], strict=True)
                    ]
                )
                for name, rival in rivals.items()
            ]
            rows.append(
                (
                    f"{grid} {attack.name}",
                    f"{bias(value):+.3f}",
                    _mean_max(value),
                    _mean_max(full),
                    *others,
                )
            )
            mean, most = (MILD_MEAN, MILD_MAX) if attack.is_mild else (ATTACK_MEAN, ATTACK_MAX)
            label = f"attack {grid} {attack.name}"
            report.gates += [
                Gate(f"{label}: mean", mean_shift(value), "at most", mean[grid]),
                Gate(f"{label}: max", max_shift(value), "at most", most[grid]),
                Gate(f"{label}: full, max", max_shift(full), "at most", FULL_SHIFT_LIMIT),
            ]
    report.tables.append(
        Table(
            title=f"Attacks: mean / max of |shift|, {', '.join(ATTACKED)} x "
            f"{effort.attacked_seeds} seeds",
            note="signed: the mean of the shifts themselves, what the attack gains on average",
            columns=("attack", "value, signed", "value", "full", *rivals),
            rows=tuple(rows),
        )
    )
    return report


def crossings(effort: Effort) -> Report:
    """The forward moves under an unchanged smile, so strikes cross 5 delta; quotes are exact."""
    report = Report()
    rows = []
    for grid in GRIDS:
        steps: list[float] = []
        for world in WORLDS:
            values = [
                estimate(make_board(world, grid, EXACT, forward=forward)).value
                for forward in np.arange(98_000.0, 103_000.0, effort.forward_step).tolist()
            ]
            steps += np.diff(values).tolist()
        rows.append((grid, p95(steps), max_shift(steps)))
        report.gates.append(
            Gate(f"5-delta crossing {grid}: max", max_shift(steps), "at most", CROSSING_LIMIT)
        )
    report.tables.append(
        Table(
            title="A strike crosses 5 delta: step of `value`",
            columns=("grid", "p95", "max"),
            rows=tuple(rows),
            note=f"forward from 98k to 103k in steps of {effort.forward_step:g}; the truth is "
            "constant",
        )
    )
    return report


def listings(effort: Effort) -> Report:
    """One strike is delisted (or, read backwards, listed): every strike of the board in turn."""
    report = Report()
    rows = []
    for grid in GRIDS:
        shifts: list[float] = []
        inside: list[float] = []
        over_u = 0.0
        for world, board in _boards(grid, effort.strike_seeds):
            whole = estimate(board)
            truth = truth_of(world)
            for place, strike in enumerate(board.strike.tolist()):
                thinner = estimate(board.without([place]))
                shift = thinner.value - whole.value
                shifts.append(shift)
                if truth.low < np.log(strike / FORWARD) < truth.high:
                    inside.append(shift)
                # max() would pass over a NaN that comes second.
                over_u = float(np.maximum(over_u, abs(shift) / min(whole.u, thinner.u)))
        rows.append((grid, len(shifts), p95(shifts), max_shift(shifts), over_u, p95(inside)))
        report.gates += [
            Gate(f"strike listed {grid}: p95", p95(shifts), "at most", STRIKE_P95[grid]),
            Gate(f"strike listed {grid}: max", max_shift(shifts), "at most", STRIKE_MAX[grid]),
            Gate(f"strike listed {grid}: max / u", over_u, "at most", 1.0),
        ]
    report.tables.append(
        Table(
            title="A strike is listed or delisted: |shift| of `value`",
            columns=("grid", "cases", "p95", "max", "max / u", "p95 inside 5 delta"),
            rows=tuple(rows),
        )
    )
    return report


def own_curve(effort: Effort) -> Report:
    """A strike is added between two others, on the estimator's own curve."""
    report = Report()
    rows = []
    for grid in GRIDS:
        shifts: list[float] = []
        for _, board in _boards(grid, effort.strike_seeds):
            whole = estimate(board)
            shifts += [
                estimate(denser).value - whole.value for denser in with_own_strikes(board, whole)
            ]
        rows.append((grid, len(shifts), p95(shifts), max_shift(shifts)))
        report.gates += [
            Gate(f"strike on own curve {grid}: p95", p95(shifts), "at most", OWN_CURVE_P95),
            Gate(f"strike on own curve {grid}: max", max_shift(shifts), "at most", OWN_CURVE_MAX),
        ]
    report.tables.append(
        Table(
            title="A strike is added on the estimator's own curve: |shift| of `value`",
            columns=("grid", "cases", "p95", "max"),
            rows=tuple(rows),
            note="fit plus residual line of the estimator, half-spread interpolated, not rounded",
        )
    )
    return report


def with_own_strikes(board: Board, found: Estimate) -> Iterable[Board]:
    """The board with one strike more, half-way (in k) between every two used neighbours."""
    used = np.isin(board.strike, found.used)
    places = np.flatnonzero(used)
    k = np.log(board.strike / found.forward)
    leg = np.where(k < 0.0, PUT, CALL)
    columns = np.arange(len(k))
    half = 0.5 * (board.ask - board.bid)[leg, columns]
    line = np.array(found.beside).T
    low, high = found.corridor
    for left, right in pairwise(places):
        if k[left] < low or k[right] > high:
            continue
        at = 0.5 * (k[left] + k[right])
        beside = float(np.interp(at, *line))
        price = float(smile_price(found, np.array([at]))[0]) + beside
        spread = 0.5 * (half[left] + half[right])
        parity = 1.0 - np.exp(at)
        call, put = (price + parity, price) if at < 0.0 else (price, price - parity)
        legs = np.array([call, put])
        yield board.with_strike(
            float(found.forward * np.exp(at)), np.maximum(legs - spread, 0.0), legs + spread
        )


def smile_price(found: Estimate, k: F64) -> F64:
    """Out-of-the-money prices of the fit behind `value`."""
    a, b, rho, m, s = found.smile
    x = k - m
    return otm_price(k, np.sqrt(a + b * (rho * x + np.sqrt(x * x + s * s))))


def band(effort: Effort) -> Report:
    """Coverage of 2u and the spread of error over u, with an error that all mids share."""
    report = Report()
    rows: list[tuple[str | float, ...]] = []
    for grid in GRIDS:
        errors: list[float] = []
        widths: list[float] = []
        for noise in BAND_NOISES:
            quoting = Quoting(noise=noise, common=BAND_COMMON)
            first = len(errors)
            for world in WORLDS:
                target = truth_of(world).corridor
                for seed in range(effort.band_seeds):
                    found = estimate(make_board(world, grid, quoting, CALIBRATION_SEED + seed))
                    errors.append(found.value - target)
                    widths.append(found.u)
            rows.append((f"{grid}, noise {noise:g}", *_calibration(errors[first:], widths[first:])))
        whole = _calibration(errors, widths)
        rows.append((f"{grid}, all", *whole))
        _, covered, spread, *_ = whole
        report.gates += [
            Gate(f"band {grid}: coverage of 2u", covered, "at least", COVERAGE_LIMIT),
            Gate(f"band {grid}: sd(error / u), least", spread, "at least", SPREAD_LIMITS[0]),
            Gate(f"band {grid}: sd(error / u), most", spread, "at most", SPREAD_LIMITS[1]),
        ]
    report.tables.append(
        Table(
            title=f"The band: all mids share an error of sd {BAND_COMMON:g} half-spreads",
            columns=("boards", "n", "coverage", "sd(e/u)", "median u", "|e| p95"),
            rows=tuple(rows),
            note="noise: each mid's own error in half-spreads; seeds not used to choose the limits",
        )
    )
    return report


EXPERIMENTS: dict[str, Callable[[Effort], Report]] = {
    "accuracy": accuracy,
    "fine ticks": fine_ticks,
    "attacks": attacks,
    "crossings": crossings,
    "listings": listings,
    "own curve": own_curve,
    "band": band,
}


def _boards(grid: str, seeds: int) -> Iterable[tuple[World, Board]]:
    for world in WORLDS:
        price = exact_prices(world, GRIDS[grid])
        for seed in range(seeds):
            generator = np.random.default_rng(FIRST_SEED + seed)
            yield world, quote(price, GRIDS[grid], SOUND, generator)


def _calibration(
    errors: Sequence[float], widths: Sequence[float]
) -> tuple[int, float, float, float, float]:
    """How many, share inside 2u, sd(error / u), median u, 95th percentile of the error."""
    ratios = np.divide(errors, widths)
    covered = float(np.mean(np.abs(ratios) <= 2.0))
    return len(ratios), covered, float(np.std(ratios)), float(np.median(widths)), p95(errors)


def _bias_rmse(errors: Sequence[float]) -> str:
    return f"{bias(errors):+.3f}/{rmse(errors):.3f}"


def _mean_max(shifts: Sequence[float]) -> str:
    return f"{mean_shift(shifts):.3f}/{max_shift(shifts):.3f}"


def _accuracy_gates(
    grid: str,
    name: str,
    value: Sequence[float],
    full: Sequence[float],
    low: float,
    high: float,
) -> list[Gate]:
    label = f"{grid} {name}"
    full_limit = FLAT_FULL_LIMIT if name == "BS60" else FULL_BIAS_LIMIT[grid]
    return [
        Gate(f"value {label}: |bias|", abs(bias(value)), "at most", BIAS_LIMIT[grid]),
        Gate(f"value {label}: RMSE", rmse(value), "at most", RMSE_LIMIT[grid]),
        Gate(f"full {label}: |bias|", abs(bias(full)), "at most", full_limit),
        Gate(f"tails {label}: miss of the truth", _outside(low, high), "at most", BRACKET_LIMIT),
    ]


def _outside(low: float, high: float) -> float:
    """How far zero is from [low, high]; NaN when an end is."""
    return float(np.maximum(np.maximum(low, -high), 0.0))
