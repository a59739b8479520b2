"""The whole benchmark: every experiment in order, and the picture of the recorded chains."""

from collections.abc import Callable
from pathlib import Path

from volgauge.offline.accuracy import experiments, history
from volgauge.offline.accuracy.history import Found, look
from volgauge.offline.accuracy.picture import draw
from volgauge.offline.accuracy.recorded import Snapshot, read_snapshots
from volgauge.offline.accuracy.report import Report

QUICK_SHARE = 6
"""A quick run takes every sixth recorded chain where it must recompute chains again and again."""
PATH_STEPS = 24
QUICK_PATH_STEPS = 12


def run(
    folder: Path | None,
    *,
    quick: bool = False,
    picture: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run every experiment.

    Args:
        folder: Recorded chains (see `recorded`); None skips what needs them.
        quick: Fewer seeds, no rivals on the made-up boards, every sixth recorded chain attacked.
        picture: Where to write the picture of the recorded chains.
        progress: Told what comes next.

    Raises:
        InputError: The folder does not hold the recorded chains.
    """
    effort = experiments.QUICK_EFFORT if quick else experiments.FULL_EFFORT
    report = Report()
    for name, experiment in experiments.EXPERIMENTS.items():
        progress(name)
        report.add(experiment(effort))
    if folder is None:
        report.skipped.append("recorded chains: no --data folder was given")
        return report
    progress("recorded chains")
    snapshots = read_snapshots(folder)
    found = [look(snapshot) for snapshot in snapshots]
    report.add(recorded(snapshots, found, quick=quick, progress=progress))
    if picture is not None:
        picture.write_text(draw(found), encoding="utf-8")
    return report


def recorded(
    snapshots: list[Snapshot],
    found: list[Found],
    *,
    quick: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Every experiment on recorded chains."""
    report = Report()
    for experiment in (
        history.against_dvol,
        history.smoothness,
        history.completeness,
        history.worst,
    ):
        report.add(experiment(found))
    progress("attacks on recorded chains")
    known = [s for s in snapshots if s.dvol > 0.0]
    report.add(history.attacks(known[::QUICK_SHARE] if quick else known))
    progress("paths between recorded chains")
    if quick:
        # Neighbours must stay neighbours: one run of them of each currency.
        ends = len(snapshots) // (2 * QUICK_SHARE)
        report.add(history.paths(snapshots[:ends] + snapshots[-ends:], QUICK_PATH_STEPS))
    else:
        report.add(history.paths(snapshots, PATH_STEPS))
    return report
