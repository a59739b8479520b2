"""The gates of `volgauge bench accuracy`: a quick subset here, everything with `make accuracy`.

`make soak` runs the whole benchmark too, as the last test of this file.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from volgauge.offline.accuracy import experiments, history
from volgauge.offline.accuracy.experiments import EXPERIMENTS, Effort
from volgauge.offline.accuracy.history import Found, look
from volgauge.offline.accuracy.picture import draw
from volgauge.offline.accuracy.recorded import Snapshot, read_snapshots
from volgauge.offline.accuracy.report import Gate, Report, as_text
from volgauge.offline.accuracy.run import recorded, run

EFFORT = Effort(
    seeds=24,
    attacked_seeds=10,
    strike_seeds=6,
    band_seeds=20,
    forward_step=104.0,
    with_rivals=False,
)
EVERY = 9
"""Of the recorded chains attacked here."""


def failed(gates: Iterable[Gate]) -> list[str]:
    """Gates that do not hold, with limit and figure."""
    return [
        f"{gate.name}: {gate.figure:.4f}, expected {gate.relation} {gate.limit:g}"
        for gate in gates
        if not gate.passed
    ]


def show(report: Report) -> None:
    """The figures are the point: `pytest -s` prints them."""
    print(as_text(report))  # noqa: T201


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "fine ticks"])
def test_worlds_with_a_known_truth(name: str) -> None:
    """Every gate of one experiment on made-up boards."""
    report = EXPERIMENTS[name](EFFORT)
    show(report)

    assert len(report.gates) >= 2
    assert failed(report.gates) == []


def test_fine_ticks_cost_no_accuracy() -> None:
    """Ticks of 1e-5 and half-spreads of 0.3 %: the bias stays within the limits of coarse ones."""
    report = experiments.fine_ticks(EFFORT)
    show(report)

    (table,) = report.tables
    place = table.columns.index("value")
    biases = {str(row[0]): abs(float(str(row[place]).split("/")[0])) for row in table.rows}
    assert len(biases) == 12
    for world, bias in biases.items():
        assert bias <= experiments.BIAS_LIMIT[world.split()[0]], world


@pytest.fixture(scope="module")
def snapshots(test_data: Path) -> list[Snapshot]:
    """The recorded chains whose DVOL is known."""
    return [s for s in read_snapshots(test_data) if s.dvol > 0.0]


@pytest.fixture(scope="module")
def found(snapshots: list[Snapshot]) -> list[Found]:
    """All of them computed, the textbook and the volatility at the money beside ours."""
    return [look(snapshot) for snapshot in snapshots]


def test_recorded_chains_against_dvol(found: list[Found]) -> None:
    """BTC |bias| <= 0.10, ETH <= 0.20, median <= 0.25, RMSE <= 0.40; `strip` as in its own test."""
    report = history.against_dvol(found)
    show(report)

    assert failed(report.gates) == []


def test_smoother_than_dvol(found: list[Found]) -> None:
    """Sd of (change - change of ATM volatility) <= 0.75 of DVOL's own."""
    report = history.smoothness(found)
    show(report)

    assert failed(report.gates) == []


def test_every_chain_has_a_value_or_a_reason(found: list[Found]) -> None:
    """At most 2 % null, each with its reason; 2026-01-13 09:21 is DEGRADED and says why."""
    report = history.completeness(found)
    show(report)

    assert failed(report.gates) == []


def test_attacks_on_recorded_chains(snapshots: list[Snapshot]) -> None:
    """One put of the near expiry touched: p95 <= 0.12, max <= 0.20, `full` <= 1.5."""
    report = history.attacks(snapshots[::EVERY])
    show(report)

    assert failed(report.gates) == []


def test_paths_between_recorded_chains(snapshots: list[Snapshot]) -> None:
    """Where every quote moves evenly no step leaves its neighbours by more than u."""
    report = history.paths(snapshots[:8] + snapshots[-8:], 12)
    show(report)

    assert failed(report.gates) == []


def test_the_picture_has_a_panel_a_stretch(found: list[Found]) -> None:
    """Two stretches of BTC and one of ETH, three lines each, well-formed."""
    from xml.etree import ElementTree as ET

    root = ET.fromstring(draw(found))  # noqa: S314 - our own output

    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["volgauge", "DVOL", "at the money"] * 3


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_whole_benchmark(test_data: Path) -> None:
    """Every gate at full length, all 338 chains."""
    snapshots = read_snapshots(test_data)
    report = run(None)
    report.add(recorded(snapshots, [look(s) for s in snapshots], quick=False))
    show(report)

    assert failed(report.gates) == []
