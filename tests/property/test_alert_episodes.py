"""A thousand episodes of every kind against a literal, slow reading of the rules.

The reference knows the whole path: at each step it walks back over what was observed and decides
anew, by the words of the methodology. It shares nothing with the service but the defaults.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from msgspec import json
from msgspec.structs import replace

from fakes.readings import PAIR, SPILLOVER, analytics_value, coupling_value
from fakes.records import index_value
from volgauge.analytics.watch import Watch
from volgauge.domain.analytics import AlertEvent, Edge, Rule
from volgauge.domain.index import Source, Status, VenueValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.settings import AlertSettings, RuleSettings, RulesSettings

SECOND = 10**9
BEGIN = 1_795_000_000 * SECOND
ABSENT = object()
"""The subject is not among what is observed."""
BELOW = {Rule.PREMIUM_SIGN, Rule.COVERAGE_LOST}

ANALYTICS, COUPLING = analytics_value(1), coupling_value(1)

Truth = dict[str, list[tuple[int, Any]]]
"""By subject: instants and what the rule looks at, None or ABSENT."""


class Path(NamedTuple):
    """What the service is given at each instant, and what each subject's value truly is."""

    steps: list[tuple[int, dict[str, Any]]]
    truth: Truth


def random_of(seed: int) -> random.Random:
    """Repeatable numbers."""
    return random.Random(seed)  # noqa: S311 - test data


def clock(chance: random.Random, count: int, gaps: tuple[float, ...]) -> Iterator[int]:
    """Irregular instants."""
    now_ns = BEGIN
    for _ in range(count):
        now_ns += round(chance.choice(gaps) * SECOND)
        yield now_ns


def stretches(chance: random.Random, zones: str) -> Iterator[str]:
    """Zones, each for some steps: long, short, and now and then flapping at every step."""
    while True:
        zone = chance.choice(zones)
        for _ in range(chance.choice((1, 1, 2, 4, 8, 20))):
            yield zone


def draw(chance: random.Random, zone: str, settings: RuleSettings, *, span: float) -> Any:  # noqa: ANN401
    """A value in the zone: hot, middle, calm; the thresholds themselves now and then."""
    hot, calm = settings.raise_at, settings.clear_at
    outwards = 1.0 if hot > calm else -1.0
    exact = chance.random() < 0.15
    match zone:
        case "hot":
            return hot if exact else hot + outwards * chance.uniform(1e-9, span)
        case "middle":
            return calm + (hot - calm) * chance.uniform(0.01, 0.99)
        case "calm":
            return calm if exact else calm - outwards * chance.uniform(1e-9, span)
        case "absent":
            return ABSENT
        case _:
            return None


def scalar_paths(
    seed: int, settings: RuleSettings, subjects: list[str], zones: str, *, span: float = 1.0
) -> Truth:
    """Random values of some subjects on one clock."""
    chance = random_of(seed)
    walks = {subject: stretches(chance, zones) for subject in subjects}
    names = {"h": "hot", "m": "middle", "c": "calm", "n": "none", "a": "absent"}
    truth: Truth = {subject: [] for subject in subjects}
    for now_ns in clock(chance, 1500, (0.5, 1.0, 1.0, 3.0, 3.0, 20.0, 90.0)):
        for subject in subjects:
            zone = names[next(walks[subject])]
            truth[subject].append((now_ns, draw(chance, zone, settings, span=span)))
    return truth


def turned(truth: Truth, given: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """Steps made of the subjects' values at each instant."""
    rows = zip(*truth.values(), strict=True)
    return Path(
        [(row[0][0], given(dict(zip(truth, (v for _, v in row), strict=True)))) for row in rows],
        truth,
    )


def spike_path(seed: int, settings: RuleSettings) -> Path:
    """Rises of 15 % and more that hold, fall, or come slowly; held and missing values between."""
    chance = random_of(seed)
    base, zones = 60.0, stretches(chance, "hhmccccn")
    steps: list[tuple[int, dict[str, Any]]] = []
    seen: list[tuple[int, float]] = []
    truth: list[tuple[int, Any]] = []
    for now_ns in clock(chance, 3000, (0.5, 2.0, 10.0, 45.0, 100.0)):
        base *= 1.0 + chance.uniform(-0.004, 0.004)
        zone = next(zones)
        if zone == "n":
            status, value = chance.choice(
                [(Status.GUARD, 99.0), (Status.STALE, 99.0), (Status.HALTED, None)]
            )
            truth.append((now_ns, None))
        else:
            up = {"h": (0.15, 0.4), "m": (0.05, 0.15), "c": (0.0, 0.03)}[zone]
            status, value = Status.OK, base * (1.0 + chance.uniform(*up))
            seen.append((now_ns, value))
            # The window is kept in 600 steps and reaches back to the begin of its first.
            step_ns = int(settings.window_seconds * SECOND) // 600
            begin_ns = (now_ns - int(settings.window_seconds * SECOND)) // step_ns * step_ns
            low = min(v for t, v in seen[-700:] if t >= begin_ns)
            truth.append((now_ns, value / low - 1.0))
        steps.append((now_ns, {"index": index_value(1, value=value, status=status)}))
    return Path(steps, {"BTC": truth})


def collapse_path(seed: int, settings: RuleSettings) -> Path:
    """Levels that change by tens of points over hours, watched for weeks."""
    chance = random_of(seed)
    level = target = 80.0
    steps: list[tuple[int, dict[str, Any]]] = []
    seen: list[tuple[int, float]] = []
    truth: list[tuple[int, Any]] = []
    for now_ns in clock(chance, 6000, (200.0, 290.0, 290.0)):
        if chance.random() < 0.03:
            target = chance.choice((45.0, 55.0, 70.0, 90.0, 110.0))
        level += 0.2 * (target - level) + chance.uniform(-1.0, 1.0)
        value = None if chance.random() < 0.03 else level
        if value is None:
            truth.append((now_ns, None))
        else:
            seen.append((now_ns, value))
            step_ns = int(settings.window_seconds * SECOND) // 600
            begin_ns = (now_ns - int(settings.window_seconds * SECOND)) // step_ns * step_ns
            high = max(v for t, v in seen[-450:] if t >= begin_ns)
            truth.append((now_ns, high - value))
        status = Status.HALTED if value is None else Status.SINGLE_VENUE
        steps.append((now_ns, {"index": index_value(1, value=value, status=status)}))
    return Path(steps, {"BTC": truth})


def band_path(seed: int, settings: RuleSettings) -> Path:
    """The five adaptive bands and none, in any order."""
    truth = scalar_paths(seed, settings, ["BTC"], "hccn")
    chance = random_of(-seed)
    bands = {1.0: ("very_low", "very_high"), 0.0: ("low", "normal", "high"), None: (None,)}
    rounded = [(t, None if v is None else float(v >= 1.0)) for t, v in truth["BTC"]]

    def given(values: dict[str, Any]) -> dict[str, Any]:
        regime = replace(ANALYTICS.regime, adaptive=chance.choice(bands[values["BTC"]]))
        return {"analytics": replace(ANALYTICS, regime=regime)}

    return turned({"BTC": rounded}, given)


def inversion_path(seed: int, settings: RuleSettings) -> Path:
    """The longest tenor stays, the shortest moves; either may be missing."""
    truth = scalar_paths(seed, settings, ["BTC"], "hhmccn", span=8.0)
    kept = [(t, None if v is None else (50.0 + v) - 50.0) for t, v in truth["BTC"]]
    chance = random_of(-seed)

    def given(values: dict[str, Any]) -> dict[str, Any]:
        gap = values["BTC"]
        short, long = (None if gap is None else gap + 50.0), 50.0
        term: dict[str, float | None] = {"30d": 47.0, "7d": short, "180d": long}
        if gap is None and chance.random() < 0.5:
            # A stale index repeats its tenors: they are not judged.
            stale = index_value(1, status=Status.STALE)
            return {"index": stale, "term": {**term, "7d": 99.0}}
        return {"index": index_value(1), "term": term}

    # What a subtraction leaves of the drawn gap is what a rule can see.
    return turned({"BTC": kept}, given)


def decoupling_path(seed: int, settings: RuleSettings) -> Path:
    """Three pairs, either sign."""
    pairs = {"BTC-ETH": ("BTC", "ETH"), "BTC-SOL": ("BTC", "SOL"), "ETH-SOL": ("ETH", "SOL")}
    truth = scalar_paths(seed, settings, list(pairs), "hhmcccna")
    chance = random_of(-seed)

    def given(values: dict[str, Any]) -> dict[str, Any]:
        made = [
            replace(
                PAIR,
                first=Asset(pairs[name][0]),
                second=Asset(pairs[name][1]),
                spread_z=None if z is None else z * chance.choice((1.0, -1.0)),
            )
            for name, z in values.items()
            if z is not ABSENT
        ]
        return {"coupling": replace(COUPLING, pairs=tuple(made), spillover=None)}

    clipped: Truth = {
        name: [(t, v if v is None or v is ABSENT else abs(v)) for t, v in path]
        for name, path in truth.items()
    }
    return turned(clipped, given)


def spillover_path(seed: int, settings: RuleSettings) -> Path:
    """A reading every five minutes for a week, looked at every minute or so."""
    chance = random_of(seed)
    zones = stretches(chance, "hcccccm")
    readings: list[tuple[int, float]] = []
    steps, truth = [], []
    surge: float | None = None
    for now_ns in clock(chance, 8000, (20.0, 60.0, 150.0)):
        is_new = not readings or now_ns - readings[-1][0] >= 300 * SECOND
        if is_new:
            total = {"h": 55.0, "m": 32.0, "c": 20.0}[next(zones)] + chance.uniform(-4.0, 4.0)
            if readings and (now_ns - readings[0][0]) * 24 >= settings.window_seconds * SECOND:
                half_life = settings.window_seconds * SECOND
                weights = [0.5 ** ((readings[-1][0] - t) / half_life) for t, _ in readings]
                mean = sum(w * x for w, (_, x) in zip(weights, readings, strict=True))
                surge = total - mean / sum(weights)
            readings.append((now_ns, total))
        at_ns, total = readings[-1]
        is_known = is_new or chance.random() > 0.02
        reading = replace(SPILLOVER, total=total, at_ns=at_ns) if is_known else None
        truth.append((now_ns, surge if is_known else None))
        steps.append((now_ns, {"coupling": replace(COUPLING, pairs=(), spillover=reading)}))
    return Path(steps, {"ALL": truth})


def premium_path(seed: int, settings: RuleSettings) -> Path:
    """Around nought and a point."""

    def given(values: dict[str, Any]) -> dict[str, Any]:
        premium = replace(ANALYTICS.premium, ex_ante_points=values["BTC"])
        return {"analytics": replace(ANALYTICS, premium=premium)}

    return turned(scalar_paths(seed, settings, ["BTC"], "hhmccn", span=5.0), given)


def stale_path(seed: int, settings: RuleSettings) -> Path:
    """Every status."""
    truth = scalar_paths(seed, settings, ["BTC"], "hccn")
    chance = random_of(-seed)
    statuses = {
        1.0: (Status.STALE, Status.HALTED),
        0.0: (Status.OK, Status.SINGLE_VENUE, Status.DEGRADED, Status.GUARD),
        None: (Status.WARMING,),
    }
    rounded = [(t, None if v is None else float(v >= 1.0)) for t, v in truth["BTC"]]
    return turned(
        {"BTC": rounded},
        lambda values: {"index": index_value(1, status=chance.choice(statuses[values["BTC"]]))},
    )


def venue_path(seed: int, settings: RuleSettings) -> Path:
    """Three books in every state, listed or not."""
    books = ["BTC:deribit", "BTC:okx:USD_UM", "BTC:bybit"]
    truth = scalar_paths(seed, settings, books, "hccca")
    chance = random_of(-seed)
    rounded: Truth = {
        name: [(t, v if v is ABSENT else float(v >= 1.0)) for t, v in path]
        for name, path in truth.items()
    }

    def given(values: dict[str, Any]) -> dict[str, Any]:
        venues = {
            Venue(name.removeprefix("BTC:")): VenueValue(
                value=None,
                weight=0.0,
                state=chance.choice(("out", "down", "warming")) if is_out else "in",
            )
            for name, is_out in values.items()
            if is_out is not ABSENT
        }
        return {"index": replace(index_value(1), venues=venues)}

    return turned(rounded, given)


def coverage_path(seed: int, settings: RuleSettings) -> Path:
    """Two venues; nought of nought is NaN."""
    truth = scalar_paths(seed, settings, ["deribit", "okx"], "hhmcccna", span=0.0)

    def given(values: dict[str, Any]) -> dict[str, Any]:
        shares = {v: share for v, share in values.items() if share is not ABSENT}
        return {"coverage": {v: float("nan") if x is None else x for v, x in shares.items()}}

    return turned(truth, given)


PATHS: dict[Rule, Callable[[int, RuleSettings], Path]] = {
    Rule.SPIKE: spike_path,
    Rule.COLLAPSE: collapse_path,
    Rule.BAND_CHANGE: band_path,
    Rule.INVERSION: inversion_path,
    Rule.DECOUPLING: decoupling_path,
    Rule.SPILLOVER_SURGE: spillover_path,
    Rule.PREMIUM_SIGN: premium_path,
    Rule.STALE: stale_path,
    Rule.VENUE_OUT: venue_path,
    Rule.COVERAGE_LOST: coverage_path,
}
EVERY_RULE = pytest.mark.parametrize("rule", list(Rule), ids=lambda rule: rule.value)


def slow_episodes(
    path: list[tuple[int, Any]], rule: Rule, settings: RuleSettings
) -> list[tuple[Edge, int, Any]]:
    """Edges of one subject, by walking back from every instant."""
    edges: list[tuple[Edge, int, Any]] = []
    observed: list[tuple[int, Any]] = []
    after_last_edge = 0
    for now_ns, value in path:
        is_up = bool(edges) and edges[-1][0] is Edge.RAISED
        if value is ABSENT:
            if is_up and now_ns - observed[-1][0] >= 300 * SECOND:
                edges.append((Edge.CLEARED, now_ns, None))
                after_last_edge = len(observed)
            continue
        observed.append((now_ns, value))
        held_ns = -1
        for place in range(len(observed) - 1, after_last_edge - 1, -1):
            instant, seen = observed[place]
            was_silent = (
                place + 1 < len(observed) and observed[place + 1][0] - instant >= 300 * SECOND
            )
            if was_silent or seen is None or not holds(rule, settings, seen, is_up=is_up):
                break
            held_ns = now_ns - instant
        if held_ns >= round(needed_seconds(edges, settings, is_up=is_up) * SECOND):
            edges.append((Edge.CLEARED if is_up else Edge.RAISED, now_ns, value))
            after_last_edge = len(observed)
    return edges


def holds(rule: Rule, settings: RuleSettings, value: float, *, is_up: bool) -> bool:
    """Whether the value is where the next edge needs it."""
    if rule in BELOW:
        return value >= settings.clear_at if is_up else value < settings.raise_at
    return value <= settings.clear_at if is_up else value >= settings.raise_at


def needed_seconds(
    edges: list[tuple[Edge, int, Any]], settings: RuleSettings, *, is_up: bool
) -> float:
    """The rule's own time; two minutes for the end of a fourth raise within ten."""
    if not is_up:
        return settings.for_seconds
    raises = [instant for edge, instant, _ in edges if edge is Edge.RAISED]
    is_flapping = sum(raises[-1] - instant < 600 * SECOND for instant in raises) >= 4
    return max(settings.for_seconds, 120.0 if is_flapping else 0.0)


def watched(path: Path, settings: AlertSettings) -> tuple[Watch, list[AlertEvent]]:
    """Every event of the service along a path."""
    watch = Watch(settings, Source.SIMULATED)
    nothing: dict[str, Any] = {
        "index": None, "analytics": None, "coupling": None, "coverage": {}, "term": None,
    }  # fmt: skip
    events = [
        event
        for now_ns, given in path.steps
        for event in watch.observe(now_ns=now_ns, **{**nothing, **given})
    ]
    return watch, events


@EVERY_RULE
def test_episodes_are_those_of_the_slow_reading(
    rule: Rule, record_property: Callable[[str, object], None]
) -> None:
    """A hundred at least: no raise or clear missing, none extra, each at its instant and value."""
    defaults = AlertSettings()
    patient = AlertSettings(
        rules=RulesSettings(
            **{r.value: replace(getattr(defaults.rules, r.value), for_seconds=7.0) for r in Rule}
        )
    )
    count = 0
    for seed in range(1, 100):
        for settings in (defaults, patient):
            of_rule: RuleSettings = getattr(settings.rules, rule.value)
            path = PATHS[rule](seed, of_rule)
            watch, events = watched(path, settings)
            mine = [event for event in events if event.rule is rule]
            check_shape(mine, watch, rule)
            for subject, values in path.truth.items():
                expected = slow_episodes(values, rule, of_rule)
                told = [(e.edge, e.computed_ns, e.value) for e in mine if e.subject == subject]
                assert [edge[:2] for edge in told] == [edge[:2] for edge in expected]
                # The slow average is summed in another order.
                assert [edge[2] for edge in told] == [
                    None if edge[2] is None else pytest.approx(edge[2], rel=1e-12, abs=1e-12)
                    for edge in expected
                ]
            count += sum(event.edge is Edge.CLEARED for event in mine)
        if count >= 100:
            break

    record_property("measured", f"{count} episodes of {rule.value} in {seed} seeds")
    assert count >= 100


def check_shape(events: list[AlertEvent], watch: Watch, rule: Rule) -> None:
    """One raise, then one clear, of every episode; counts and the active ones agree."""
    ends: dict[str, list[AlertEvent]] = {}
    for event in events:
        ends.setdefault(event.episode, []).append(event)
    for both in ends.values():
        assert [event.edge for event in both] in ([Edge.RAISED], [Edge.RAISED, Edge.CLEARED])
        assert len({(e.subject, e.asset, e.raised_ns, e.severity) for e in both}) == 1
        assert [e.cleared_ns for e in both][1:] == [e.computed_ns for e in both][1:]
    going_on = [both[0] for both in ends.values() if len(both) == 1]
    assert [event for event in watch.book.active if event.rule is rule] == going_on
    counted = Counter(event.edge for event in events)
    assert {edge: watch.book.counts[rule, edge] for edge in Edge} == {e: counted[e] for e in Edge}
    for subject in {event.subject for event in events}:
        raises = [e.raised_ns for e in events if e.subject == subject and e.edge is Edge.RAISED]
        for first in raises:
            assert sum(first <= later < first + 600 * SECOND for later in raises) <= 8


@EVERY_RULE
def test_the_same_path_gives_the_same_bytes(rule: Rule) -> None:
    """Nothing but the arguments counts."""
    settings = AlertSettings()
    path = PATHS[rule](7, getattr(settings.rules, rule.value))

    assert json.encode(watched(path, settings)[1]) == json.encode(watched(path, settings)[1])


def test_two_assets_side_by_side_do_not_touch() -> None:
    """Events of BTC are the same whether ETH is watched beside it or not."""
    settings = AlertSettings()
    path = spike_path(3, settings.rules.spike)
    alone = watched(path, settings)[1]
    watch = Watch(settings, Source.SIMULATED)
    chance = random_of(4)
    together: list[AlertEvent] = []
    for now_ns, given in path.steps:
        other = index_value(1, asset="ETH", value=chance.uniform(30.0, 90.0), status=Status.OK)
        for index in (given["index"], other):
            together += watch.observe(index, None, None, {}, now_ns, term=None)

    assert [event for event in together if event.asset == "BTC"] == alone
    assert any(event.asset == "ETH" for event in together)
