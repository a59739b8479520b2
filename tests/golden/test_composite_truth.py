"""Several venues on one true smile: the composite against the truth, against outages, explained."""

import numpy as np
import pytest

from golden.venue_world import BTC, NOW_NS, SECOND, STYLES, World, truth
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import Flag, Status
from volgauge.domain.instrument import Venue
from volgauge.index.bundle import build_facts
from volgauge.index.evidence import EvidenceKeeper, Excerpt
from volgauge.offline.explain import explain
from volgauge.offline.explanation import Level, Move
from volgauge.offline.verify import verify


def test_the_composite_is_nearer_to_the_truth_than_its_parts() -> None:
    """Over 20 seeds: RMSE at most 1.1 x the best venue's, and below the plain mean of theirs."""
    exact = truth()
    errors: dict[str, list[float]] = {}
    for seed in range(20):
        record = World(STYLES, seed).run(NOW_NS, 2)[-1]
        assert record.value is not None
        errors.setdefault("composite", []).append(record.value - exact)
        for venue, told in record.venues.items():
            assert told.value is not None
            errors.setdefault(venue, []).append(told.value - exact)
    rmse = {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
    own = [rmse[style.name] for style in STYLES]
    assert rmse["composite"] <= 1.1 * min(own)
    assert rmse["composite"] < float(np.mean(own))


def test_the_record_says_how_the_value_is_made() -> None:
    """Value = sum of weight x value over `venues`; weights sum to 1, none has most of it."""
    record = World(STYLES, 1).run(NOW_NS, 2)[-1]
    assert record.status is Status.OK
    weights = [told.weight for told in record.venues.values()]
    assert sum(weights) == pytest.approx(1.0)
    assert max(weights) <= 0.6
    total = sum(told.weight * (told.value or 0.0) for told in record.venues.values())
    assert record.value == pytest.approx(total, rel=1e-12)
    assert {told.state for told in record.venues.values()} == {"in"}
    assert {expiry.book for expiry in record.expiries} == {style.name for style in STYLES}
    assert record.strip is not None


def test_a_silent_venue_leaves_and_the_others_go_on() -> None:
    """Heartbeats or not: without data for 3 s a venue does not count, and the count says so."""
    world = World(STYLES, 7)
    before = world.run(NOW_NS, 3)[-1]
    after = world.run(NOW_NS + 3 * SECOND, 8, silent=("alpha",))[-1]
    assert before.value is not None
    assert after.value is not None
    assert after.venues[Venue("alpha")].state == "down"
    assert after.venues[Venue("alpha")].weight == 0.0
    assert abs(after.value - before.value) <= 2.0 * (before.u or 0.0)


def test_two_venues_that_differ_are_degraded_and_one_is_told() -> None:
    """Nobody can say which of two is wrong; of one nobody needs to."""
    two = World(STYLES[:2], 2).run(NOW_NS, 4, lambda _: {"beta": 1.08})[-1]
    assert two.status is Status.DEGRADED
    assert Flag.VENUES_DIFFER.value in two.flags
    assert World(STYLES[:2], 2).run(NOW_NS, 3)[-1].status is Status.OK
    assert World(STYLES[:1], 2).run(NOW_NS, 3)[-1].status is Status.SINGLE_VENUE


def test_the_largest_venue_may_be_away_for_hours() -> None:
    """Values go on; of two venues the one that is left says so, and the return is a ramp."""
    world = World(STYLES[:2], 11)
    world.run(NOW_NS, 120)
    away_ns = NOW_NS + 120 * SECOND
    away = world.run(away_ns, 20, silent=("alpha",))
    assert away[-1].status is Status.SINGLE_VENUE
    assert all(record.value is not None for record in away)
    back = world.run(away_ns + 4 * 3600 * SECOND, 90)
    weights = [record.venues[Venue("alpha")].weight for record in back]
    assert weights[2] < 0.2
    assert weights[-1] > 0.5
    steps = np.abs(np.diff([record.value or 0.0 for record in back[1:]]))
    assert steps.max() <= 0.05


def test_a_composite_verifies_and_explains_itself() -> None:
    """Evidence of several books: every bit again, and contributions that sum to the value."""
    keeper = EvidenceKeeper(max_bytes=1 << 26, keep_ns=300 * SECOND, engine="test")
    world = World(STYLES, 13, keeper)
    record = world.run(NOW_NS, 3)[-1]
    found = keeper.find(BTC, 30.0, record.seq)
    assert isinstance(found, Excerpt)
    bundle = found.bundle(record.epoch)
    assert isinstance(bundle, EvidenceBundle)
    verdict = verify(bundle, build_facts("test"))
    assert [check for check in verdict.checks if not check.ok] == []
    assert {book.venue for book in bundle.books} == {style.name for style in STYLES}
    level = explain(bundle)
    assert isinstance(level, Level)
    assert sum(part.points for part in level.expiries) == pytest.approx(record.value, rel=1e-9)
    assert {part.weight for part in level.expiries} == {e.weight for e in record.expiries}


def test_a_move_of_the_composite_is_split_by_venue_and_cause() -> None:
    """One venue's volatility rises and another falls silent: parts sum to the difference."""
    keeper = EvidenceKeeper(max_bytes=1 << 26, keep_ns=300 * SECOND, engine="test")
    world = World(STYLES, 17, keeper)
    first = world.run(NOW_NS, 3)[-1]
    later = NOW_NS + 3 * SECOND
    last = world.run(later, 6, lambda _: {"beta": 1.02}, silent=("epsilon",))[-1]
    bundles = []
    for record in (first, last):
        found = keeper.find(BTC, 30.0, record.seq)
        assert isinstance(found, Excerpt)
        bundle = found.bundle(record.epoch)
        assert isinstance(bundle, EvidenceBundle)
        bundles.append(bundle)
    move = explain(bundles[1], bundles[0])
    assert isinstance(move, Move)
    assert move.difference is not None
    assert sum(place.points for place in move.places) == pytest.approx(move.difference, abs=1e-9)
    assert sum(cause.points for cause in move.causes) == pytest.approx(move.difference, abs=1e-9)
    gone = [c.points for c in move.causes if c.venue == "epsilon"]
    assert len(gone) == 1
    risen = sum(c.points for c in move.causes if c.venue == "beta" and c.cause == "quote")
    assert risen > 0.0
