"""Alerts about the venues themselves, on two simulated ones that fall silent and refuse.

Instants follow from those of the fault: a feed is silent 3 s after its last data, the index stale
5 s later, both alerts about venues wait for 10 s either way.
"""

from typing import NamedTuple

import pytest
from typing_extensions import override

from golden.desk_wires import DeskWires
from golden.venue_wires import _Line
from volgauge.domain.analytics import AlertEvent, Edge, Rule
from volgauge.domain.index import Status
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.simulator.bybit_session import BybitSession
from volgauge.simulator.faults import Faults
from volgauge.simulator.server import SimulatorOptions

START_NS = parse_instant("2026-03-02T10:00:00Z")
ONE, OTHER = "deribit", "bybit"
LOST, REFUSED, LOST_AGAIN, WHOLE, DARK, LIGHT = 15.0, 33.0, 50.0, 66.0, 80.0, 97.0
"""Seconds: the other venue is silent, comes back without some channels, is silent again and comes
back with all of them; both are silent, and back."""
LAST = 112.0
HEADLINE_DAYS = 30.0
SILENT, STALE, HOLD = 3.0, 5.0, 10.0
ANSWER_SECONDS = 3.0
"""Time limits are looked at twice a second, a connection is tried once a second and alerts are
looked at once a second."""
REFUSED_SHARE = 0.05


class SilentWires(DeskWires):
    """Venues that can stop sending data; heartbeats and answers go on."""

    silent: frozenset[str] = frozenset()

    @override
    def _pass(self, name: str, line: _Line, now_ns: int, *, is_tick: bool) -> None:
        if name in self.silent:
            if line.session is None:
                return
            line.session.out = []
        super()._pass(name, line, now_ns, is_tick=is_tick)

    @property
    def taken(self) -> int:
        """Tickers, which every option has, that the other venue's own books say we have."""
        sessions = (line.session for line in self._lines[Venue(OTHER)])
        books = (s.subscriptions for s in sessions if isinstance(s, BybitSession))
        return sum(topic.startswith("tickers.") for book in books for topic in book)


class Told(NamedTuple):
    """What the desk said of the outages."""

    alerts: list[AlertEvent]
    taken: dict[float, int]
    """What the other venue sends us, just before each event."""
    status: dict[float, Status]
    """The headline's last one before each event."""


@pytest.fixture(scope="module")
def told() -> Told:
    """Both venues for two minutes, one asset."""
    options = SimulatorOptions(
        currencies=("BTC",), rate=300.0, seed=5, start_ns=START_NS, step_ms=100, venues=(OTHER,)
    )
    wires = SilentWires(options, ("BTC",))
    venue, status, taken = wires.simulator.dialects[OTHER], {}, {}
    good, bad = Faults(), Faults(refuse=REFUSED_SHARE)
    events: tuple[tuple[float, tuple[str, ...], Faults], ...] = (
        (LOST, (OTHER,), bad),
        (REFUSED, (), bad),
        (LOST_AGAIN, (OTHER,), good),
        (WHOLE, (), good),
        (DARK, (ONE, OTHER), good),
        (LIGHT, (), good),
        (LAST, (), good),
    )
    for seconds, silent, faults in events:
        for value in wires.run(seconds - (wires.now_ns - START_NS) / NANOS_PER_SECOND):
            if value.tenor_days == HEADLINE_DAYS:
                status[seconds] = value.status
        taken[seconds] = wires.taken
        wires.silent, venue.faults = frozenset(silent), faults
    return Told(wires.alerts(), taken, status)


EPISODES = {
    "lost": (
        Rule.VENUE_OUT, f"BTC:{OTHER}",
        (
            LOST + SILENT + HOLD, REFUSED + HOLD,
            LOST_AGAIN + SILENT + HOLD, WHOLE + HOLD,
            DARK + SILENT + HOLD, LIGHT + HOLD,
        ),
    ),
    "dark": (Rule.VENUE_OUT, f"BTC:{ONE}", (DARK + SILENT + HOLD, LIGHT + HOLD)),
    "stale": (Rule.STALE, "BTC", (DARK + SILENT + STALE, LIGHT)),
    "refused": (Rule.COVERAGE_LOST, OTHER, (REFUSED + HOLD, WHOLE + HOLD)),
}  # fmt: skip
"""Name to rule, subject, and when it must be raised, cleared, raised, ..."""


@pytest.mark.parametrize("name", EPISODES)
def test_each_outage_is_one_raise_and_one_clear(told: Told, name: str) -> None:
    """At the instant that follows from the fault and the rule, and at no other."""
    rule, subject, instants = EPISODES[name]
    found = [alert for alert in told.alerts if (alert.rule, alert.subject) == (rule, subject)]
    at = [(alert.computed_ns - START_NS) / NANOS_PER_SECOND for alert in found]

    assert [alert.edge for alert in found] == [Edge.RAISED, Edge.CLEARED] * (len(instants) // 2)
    assert [
        due <= seconds <= due + ANSWER_SECONDS for due, seconds in zip(instants, at, strict=True)
    ] == [True] * len(instants), at


def test_nothing_else_is_alarmed(told: Told) -> None:
    """One venue less is no stale index; the index of one that is left does not jump."""
    assert {(alert.rule, alert.subject) for alert in told.alerts} == {
        (rule, subject) for rule, subject, _ in EPISODES.values()
    }


def test_the_share_is_that_of_the_channels_the_venue_took(told: Told) -> None:
    """Of some hundred, by its own books, against what it has when it refuses none."""
    raised, cleared = (alert for alert in told.alerts if alert.rule is Rule.COVERAGE_LOST)
    share = told.taken[LOST_AGAIN] / told.taken[DARK]

    assert told.taken[LOST] == told.taken[DARK] > 500
    assert share == pytest.approx(1.0 - REFUSED_SHARE, abs=0.02)
    assert raised.value == pytest.approx(share, abs=1e-12)
    assert cleared.value == 1.0


def test_the_index_goes_on_with_one_venue_and_not_with_none(told: Told) -> None:
    """Beside the alerts, what the headline said of itself."""
    assert told.status == {
        LOST: Status.OK,
        REFUSED: Status.SINGLE_VENUE,
        LOST_AGAIN: Status.OK,
        WHOLE: Status.SINGLE_VENUE,
        DARK: Status.OK,
        LIGHT: Status.STALE,
        LAST: Status.OK,
    }
