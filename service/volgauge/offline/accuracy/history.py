"""Experiments on recorded chains: agreement with the exchange's index, attacks, paths."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import nan, sqrt

import numpy as np
from msgspec import Struct

from volgauge.domain.index import IndexValue, Status
from volgauge.domain.units import NANOS_PER_HOUR, format_instant
from volgauge.index.maturity import Bracket
from volgauge.offline.accuracy import rivals
from volgauge.offline.accuracy.attacks import ATTACKS
from volgauge.offline.accuracy.boards import Board
from volgauge.offline.accuracy.ours import estimate
from volgauge.offline.accuracy.paths import walk
from volgauge.offline.accuracy.recorded import (
    TENOR_YEARS,
    Snapshot,
    board_of,
    forward_of,
    quotes_of,
)
from volgauge.offline.accuracy.report import Gate, Report, Table
from volgauge.offline.chain import Chain, ChainQuote
from volgauge.offline.compute import compute

QUOTE_PULL = ("BTC", "2026-01-13T09:21")
"""Most strikes near the money lost their bids."""
LONGEST_STEP_NS = 14 * NANOS_PER_HOUR
"""Snapshots further apart are not neighbours."""
BIAS_LIMITS = {"BTC": 0.10, "ETH": 0.20}
MEDIAN_LIMIT = 0.25
RMSE_LIMIT = 0.40
SMOOTHNESS_LIMIT = 0.75
NULL_SHARE_LIMIT = 0.02
STRIP_BIAS_LIMIT = 0.05
STRIP_MEDIAN_LIMIT = 0.07
STRIP_RMSE_LIMIT = 0.25
ATTACK_P95 = 0.12
ATTACK_MAX = 0.20
FULL_SHIFT_LIMIT = 1.5
OPTIONAL = ("textbook", "ATM")
"""Rules of others, which may have no answer; `n` says for how many chains they have one."""
NEIGHBOURS = 1
"""Expiries kept beyond the bracket on each side, from which a forward could be borrowed."""


class Found(Struct, frozen=True, kw_only=True):
    """What every estimator says of one snapshot, volatility points; NaN for nothing."""

    snapshot: Snapshot
    record: IndexValue
    strip: float
    textbook: float
    atm: float
    """By the venue's marks."""
    own_atm: float
    """By our fit."""

    @property
    def value(self) -> float:
        """The headline."""
        return _number(self.record.value)

    @property
    def full(self) -> float:
        """Whole line."""
        return _number(self.record.full)

    @property
    def name(self) -> str:
        """Currency and minute."""
        return f"{self.snapshot.currency} {format_instant(self.snapshot.at_ns)[:16]}"


def look(snapshot: Snapshot) -> Found:
    """Ours through `compute`, the textbook strip and the volatility at the money beside it."""
    record = compute(Chain(snapshot.quotes), at=snapshot.at_ns, method="native", premium="coin")
    found = snapshot.bracket()
    textbook = atm = own_atm = nan
    if found is not None:
        expiries = found[:2]
        near, far = (board_of(snapshot, expiry) for expiry in expiries)
        textbook = _blend(rivals.cboe(near), rivals.cboe(far), near, far, found[2])
        forwards = [forward_of(snapshot, expiry) for expiry in expiries]
        pairs = list(zip((near, far), forwards, strict=True))
        low, high = (rivals.at_the_money(board, forward) for board, forward in pairs)
        atm = _blend(low, high, near, far, found[2])
        low, high = (estimate(board, forward).atm for board, forward in pairs)
        own_atm = _blend(low, high, near, far, found[2])
    return Found(
        snapshot=snapshot,
        record=record,
        strip=_number(record.strip),
        textbook=textbook,
        atm=atm,
        own_atm=own_atm,
    )


def against_dvol(found: Sequence[Found]) -> Report:
    """Errors of every estimator against the exchange's index, and the gates on ours."""
    report = Report()
    rows: list[tuple[str | float, ...]] = []
    estimators: dict[str, Callable[[Found], float]] = {
        "value": lambda f: f.value,
        "strip": lambda f: f.strip,
        "full": lambda f: f.full,
        "textbook": lambda f: f.textbook,
        "ATM": lambda f: f.atm,
    }
    for currency in ("BTC", "ETH"):
        known = [
            f for f in found if f.snapshot.currency == currency and not np.isnan(f.snapshot.dvol)
        ]
        for quiet in (False, True):
            chosen = [f for f in known if f.snapshot.is_quiet] if quiet else known
            for name, estimator in estimators.items():
                errors = np.array([estimator(f) - f.snapshot.dvol for f in chosen])
                if name in OPTIONAL:
                    errors = errors[~np.isnan(errors)]
                label = f"{currency}{' quiet hours' if quiet else ''} {name}"
                rows.append((label, len(errors), *_describe(errors)))
                if not quiet and name in ("value", "strip"):
                    report.gates += _dvol_gates(currency, name, errors)
    report.tables.append(
        Table(
            title="Recorded chains against the exchange's own index (computed - DVOL)",
            columns=("index", "n", "bias", "median", "p95", "RMSE", "max"),
            rows=tuple(rows),
            note="the reference is interpolated between hourly closes; `value` is the continuous "
            "corridor, DVOL a discrete strip",
        )
    )
    return report


def smoothness(found: Sequence[Found]) -> Report:
    """Changes between neighbouring snapshots, less those of the volatility at the money.

    Judged by the volatility at the money of the same quotes, without the minute of the pulled
    quotes (with it DVOL would look noisier than it is); by the venue's marks, everything in, the
    figures stand beside it: there mid and mark also part in fast hours.
    """
    report = Report()
    rows: list[tuple[str | float, ...]] = []
    yardsticks: dict[str, Callable[[Found], float]] = {
        "quotes": lambda f: nan if _is_pulled(f.snapshot) else f.own_atm,
        "marks": lambda f: f.atm,
    }
    for currency in ("BTC", "ETH"):
        for yardstick, atm in yardsticks.items():
            pairs = [
                (a, b)
                for a, b in _neighbours(found, currency)
                if not np.isnan(a.snapshot.dvol + b.snapshot.dvol + atm(a) + atm(b))
            ]
            noise = {
                name: _noise(pairs, get, atm)
                for name, get in (
                    ("DVOL", lambda f: f.snapshot.dvol),
                    ("value", lambda f: f.value),
                    ("strip", lambda f: f.strip),
                    ("full", lambda f: f.full),
                )
            }
            ratio = noise["value"] / noise["DVOL"]
            rows.append((f"{currency}, {yardstick}", len(pairs), *noise.values(), ratio))
            if yardstick == "quotes":
                report.gates.append(
                    Gate(f"{currency} noise / DVOL's noise", ratio, "at most", SMOOTHNESS_LIMIT)
                )
    report.tables.append(
        Table(
            title="Noise: sd of (change - change of ATM volatility) between snapshots",
            columns=("ATM by", "pairs", "DVOL", "value", "strip", "full", "value / DVOL"),
            rows=tuple(rows),
        )
    )
    return report


def completeness(found: Sequence[Found]) -> Report:
    """Which chains have no value and why; which flags the others carry; the band's width."""
    report = Report()
    nulls = [f for f in found if f.record.value is None]
    bandless = [f for f in found if f.record.value is not None and f.record.u is None]
    reasons = [(f.name, f.record.reason.value if f.record.reason else "none") for f in nulls]
    report.gates += [
        Gate("chains without a value, share", len(nulls) / len(found), "at most", NULL_SHARE_LIMIT),
        Gate("chains without a value or a reason", _unexplained(nulls), "at most", 0.0),
        Gate("chains with a value but no band", float(len(bandless)), "at most", 0.0),
    ]
    if reasons:
        report.tables.append(
            Table(title="Chains without a value", columns=("chain", "reason"), rows=tuple(reasons))
        )
    counts: dict[str, int] = {}
    for f in found:
        for flag in f.record.flags:
            counts[flag] = counts.get(flag, 0) + 1
    widths = np.array([_number(f.record.u) for f in found])
    report.tables.append(
        Table(
            title=f"Flags over {len(found)} chains",
            columns=("flag", "chains"),
            rows=tuple(sorted(counts.items())),
            note=f"u: median {np.nanmedian(widths):.3f}, p95 {np.nanpercentile(widths, 95):.3f}",
        )
    )
    pulled = [f for f in found if f.name == " ".join(QUOTE_PULL)]
    for f in pulled:
        is_degraded = f.record.status is Status.DEGRADED and bool(f.record.flags)
        report.gates.append(
            Gate(f"{f.name} is DEGRADED with reasons", float(is_degraded), "at least", 1.0)
        )
        report.tables.append(
            Table(
                title="The pulled quotes",
                columns=("chain", "value", "u", "strip", "DVOL", "status", "flags"),
                rows=(
                    (
                        f.name,
                        f.value,
                        _number(f.record.u),
                        f.strip,
                        f.snapshot.dvol,
                        f.record.status.value,
                        " ".join(f.record.flags),
                    ),
                ),
            )
        )
    return report


def worst(found: Sequence[Found], count: int = 8) -> Report:
    """The chains where `value` is farthest from the exchange's index."""
    known = [f for f in found if not np.isnan(f.value - f.snapshot.dvol)]
    known.sort(key=lambda f: -abs(f.value - f.snapshot.dvol))
    return Report(
        tables=[
            Table(
                title="Farthest from DVOL",
                columns=("chain", "value", "DVOL", "strip", "extrapolated", "flags"),
                rows=tuple(
                    (
                        f.name,
                        f.value,
                        f.snapshot.dvol,
                        f.strip,
                        _number(f.record.extrapolated),
                        " ".join(f.record.flags),
                    )
                    for f in known[:count]
                ),
            )
        ]
    )


def attacks(snapshots: Sequence[Snapshot]) -> Report:
    """One put of the near expiry touched: shift of the 30-day `value` and `full`.

    When the touched expiry is no longer eligible, another takes its place: `compute` does that at
    once, the live index by a blend over a minute (rule 9). Such cases are counted apart.
    """
    report = Report()
    lost: dict[str, list[float]] = {attack.name: [] for attack in ATTACKS}
    value: dict[str, list[float]] = {attack.name: [] for attack in ATTACKS}
    full: dict[str, list[float]] = {attack.name: [] for attack in ATTACKS}
    textbook: dict[str, list[float]] = {attack.name: [] for attack in ATTACKS}
    used = 0
    for snapshot in snapshots:
        bracket = snapshot.bracket()
        if bracket is None or _is_pulled(snapshot):
            continue
        used += 1
        near, far, weights = bracket
        board, beyond = board_of(snapshot, near), board_of(snapshot, far)
        others = _around(snapshot, near, far)
        before = _native(snapshot, others, board, near)
        beyond_points = rivals.cboe(beyond)
        textbook_before = _blend(rivals.cboe(board), beyond_points, board, beyond, weights)
        for attack in ATTACKS:
            changed = attack.change(board)
            after = _native(snapshot, others, changed, near)
            shift = _number(after.value) - _number(before.value)
            if [e.expiry for e in after.expiries] != [e.expiry for e in before.expiries]:
                lost[attack.name].append(shift)
            else:
                value[attack.name].append(shift)
                full[attack.name].append(_number(after.full) - _number(before.full))
            moved_to = _blend(rivals.cboe(changed), beyond_points, changed, beyond, weights)
            textbook[attack.name].append(moved_to - textbook_before)
    rows = []
    for name, shifts in value.items():
        moved, moved_full = np.abs(shifts), np.abs(full[name])
        p95 = float(np.percentile(moved, 95))
        rows.append(
            (
                name,
                float(np.median(moved)),
                p95,
                float(moved.max()),
                float(np.percentile(moved_full, 95)),
                float(moved_full.max()),
                float(np.nanpercentile(np.abs(textbook[name]), 95)),
                len(lost[name]),
                float(np.abs(lost[name]).max()) if lost[name] else nan,
            )
        )
        report.gates += [
            Gate(f"recorded, {name}: p95", p95, "at most", ATTACK_P95),
            Gate(f"recorded, {name}: max", float(moved.max()), "at most", ATTACK_MAX),
            Gate(
                f"recorded, {name}: full, max", float(moved_full.max()), "at most", FULL_SHIFT_LIMIT
            ),
        ]
    report.tables.append(
        Table(
            title=f"Attacks on {used} recorded chains, one put of the near expiry: |shift|",
            columns=(
                "attack",
                "median",
                "p95",
                "max",
                "full p95",
                "full max",
                "textbook p95",
                "expiry lost",
                "max then",
            ),
            rows=tuple(rows),
        )
    )
    return report


def paths(snapshots: Sequence[Snapshot], steps: int) -> Report:
    """Neighbouring snapshots interpolated into a path: steps out of line with their neighbours.

    Every quote moves linearly and none comes or goes, so neighbouring steps are nearly equal; by
    how much a step differs from both its neighbours is a jump, and may not exceed u. Where the two
    expiries behind the value change (rule 9 blends that over a minute) a step is counted apart.
    """
    jumps: list[float] = []
    over_u: list[float] = []
    walked = lost = handed_over = 0
    for first, second in _neighbours_of(snapshots):
        if _is_pulled(first) or _is_pulled(second):
            continue
        records = walk(first, second, steps)
        walked += 1
        lost += sum(record.value is None for record in records)
        value = np.array([_number(record.value) for record in records])
        u = np.array([_number(record.u) for record in records])
        moved = np.diff(value)
        for i in range(1, len(moved) - 1):
            window = records[i - 1 : i + 3]
            if len({tuple(e.expiry for e in record.expiries) for record in window}) > 1:
                handed_over += 1
                continue
            jump = min(abs(moved[i] - moved[i - 1]), abs(moved[i] - moved[i + 1]))
            jumps.append(float(jump))
            over_u.append(float(jump / u[i + 1]))
    largest = float(np.max(over_u)) if over_u else nan
    return Report(
        tables=[
            Table(
                title=f"Paths between neighbouring chains: {walked} paths of {steps} steps",
                columns=("steps", "jump median", "p99", "max", "max / u", "at a change of expiry"),
                rows=(
                    (
                        len(jumps),
                        float(np.median(jumps)) if jumps else nan,
                        float(np.percentile(jumps, 99)) if jumps else nan,
                        max(jumps, default=nan),
                        largest,
                        handed_over,
                    ),
                ),
                note="jump: by how much a step differs from both its neighbours",
            )
        ],
        gates=[
            Gate("paths: jump / u", largest, "at most", 1.0),
            Gate("paths: steps without a value", float(lost), "at most", 0.0),
        ],
    )


def _number(value: float | None) -> float:
    return nan if value is None else value


def _noise(
    pairs: Sequence[tuple[Found, Found]],
    get: Callable[[Found], float],
    atm: Callable[[Found], float],
) -> float:
    """Standard deviation of what an index moved beyond the volatility at the money."""
    return float(np.std([get(b) - get(a) - (atm(b) - atm(a)) for a, b in pairs]))


def _blend(low: float, high: float, near: Board, far: Board, weights: Bracket) -> float:
    """Total variance linear in time between two boards' volatilities, as points of the tenor."""
    total = weights.blend(low * low * near.years, high * high * far.years)
    return sqrt(total / TENOR_YEARS) if total >= 0.0 else nan


def _describe(errors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, ...]:
    size = np.abs(errors)
    return (
        float(errors.mean()),
        float(np.median(size)),
        float(np.percentile(size, 95)),
        float(np.sqrt((errors**2).mean())),
        float(size.max()),
    )


def _dvol_gates(
    currency: str, name: str, errors: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> list[Gate]:
    average, middle, _, rmse, _ = _describe(errors)
    is_value = name == "value"
    bias_limit = BIAS_LIMITS[currency] if is_value else STRIP_BIAS_LIMIT
    return [
        Gate(f"{currency} {name}: |bias|", abs(average), "at most", bias_limit),
        Gate(
            f"{currency} {name}: median",
            middle,
            "at most",
            MEDIAN_LIMIT if is_value else STRIP_MEDIAN_LIMIT,
        ),
        Gate(
            f"{currency} {name}: RMSE",
            rmse,
            "at most",
            RMSE_LIMIT if is_value else STRIP_RMSE_LIMIT,
        ),
    ]


def _unexplained(nulls: Iterable[Found]) -> float:
    return float(sum(f.record.reason is None for f in nulls))


def _neighbours(found: Sequence[Found], currency: str) -> list[tuple[Found, Found]]:
    own = sorted(
        (f for f in found if f.snapshot.currency == currency), key=lambda f: f.snapshot.at_ns
    )
    return [
        (a, b) for a, b in pairwise(own) if b.snapshot.at_ns - a.snapshot.at_ns <= LONGEST_STEP_NS
    ]


def _neighbours_of(snapshots: Sequence[Snapshot]) -> list[tuple[Snapshot, Snapshot]]:
    return [
        (a, b)
        for a, b in pairwise(snapshots)
        if a.currency == b.currency and 0 < b.at_ns - a.at_ns <= LONGEST_STEP_NS
    ]


def _is_pulled(snapshot: Snapshot) -> bool:
    """The quotes of this minute are pulled already, of both currencies."""
    return format_instant(snapshot.at_ns).startswith(QUOTE_PULL[1])


def _around(snapshot: Snapshot, near: int, far: int) -> list[ChainQuote]:
    """Quotes of the bracket's far end and of the neighbours beyond, without the near expiry."""
    expiries = snapshot.expiries
    first = max(expiries.index(near) - NEIGHBOURS, 0)
    kept = set(expiries[first : expiries.index(far) + NEIGHBOURS + 1]) - {near}
    return [q for q in snapshot.quotes if q.expiry_ns in kept]


def _native(
    snapshot: Snapshot, others: Sequence[ChainQuote], board: Board, expiry_ns: int
) -> IndexValue:
    near = quotes_of(board, expiry_ns, forward_of(snapshot, expiry_ns))
    listed = [q for q in near if _is_listed(q)]
    return compute(Chain((*others, *listed)), at=snapshot.at_ns, method="native", premium="coin")


def _is_listed(quote: ChainQuote) -> bool:
    """A board has two legs a strike; one that is not listed has no field of its own."""
    return quote.bid > 0.0 or quote.ask > 0.0 or quote.mark > 0.0
