"""The benchmarks run, agree with what they are compared with, and judge as they say."""

from itertools import groupby
from pathlib import Path

import msgspec
import pytest

from benchmarks import __main__ as runner
from benchmarks import bench_index, measure
from benchmarks.report import Gate, Options, Report
from volgauge.domain.index import Method


def test_numpy_agrees_with_the_kernel() -> None:
    """The reference of the strip gives what the engine gives, before anybody is timed."""
    case = bench_index.make_case((Method.DVOL,), moves=20)

    assert bench_index.largest_difference(case) <= bench_index.LARGEST_ERROR


def test_a_moved_quote_is_a_difference() -> None:
    """The comparison would notice if the engine missed a quote."""
    case = bench_index.make_case((Method.DVOL,), moves=0)
    board = case.board
    nearest = abs(board.strike - board.forward[board.expiry_of]).argmin()
    board.ask[nearest] *= 1.5

    assert bench_index.largest_difference(case) > 1e-6


@pytest.mark.parametrize(
    ("kind", "value", "passed"),
    [
        ("at least", 3.5, True),
        ("at least", 3.4, False),
        ("at most", 3.5, True),
        ("at most", 3.6, False),
        ("at most", float("nan"), False),
        ("at least", float("nan"), False),
    ],
)
def test_a_gate_judges(kind: str, value: float, passed: bool) -> None:
    """The limit itself passes; a figure that is not a number never does."""
    gate = msgspec.convert({"name": "x", "value": value, "kind": kind, "limit": 3.5}, Gate)

    assert passed == gate.passed


def test_a_quick_run_widens_gates_that_are_not_hard() -> None:
    """Half of a ratio is asked for in a quick run, all of what does not depend on noise."""
    report = Report("x", "")
    report.gate("soft", 20.0, "at least", 40.0, quick=True)
    report.gate("hard", 20.0, "at least", 40.0, quick=True, hard=True)

    assert [True, False] == [gate.passed for gate in report.gates]


def test_the_runner_keeps_its_findings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One benchmark runs through: a table, the JSON, and the count at the end."""
    path = tmp_path / "found.json"

    code = runner.main(["index", "--quick", "--json", str(path)])

    found = msgspec.json.decode(path.read_bytes())
    last = capsys.readouterr().out.splitlines()[-1]
    failed = sum(not gate.passed for gate in msgspec.convert(found["reports"][0], Report).gates)
    assert ["index"] == [report["bench"] for report in found["reports"]]
    assert code == (1 if failed else 0)
    assert last.endswith(f"{failed} failed")


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt benchmark is not a passed one."""
    with pytest.raises(SystemExit, match="2"):
        runner.main(["indices"])

    assert "indices" in capsys.readouterr().err


def test_rounds_are_interleaved() -> None:
    """Candidates take turns, so that a busy moment hits all of them."""
    turns: list[str] = []

    def candidate(name: str) -> int:
        turns.append(name)
        sum(range(100_000))
        return 1

    found = measure.interleave(
        {name: lambda name=name: candidate(name) for name in ("a", "b")},  # type: ignore[misc]
        rounds=3,
    )

    assert 3 == len(found["a"].rounds_ns)
    calibration = 1
    assert ["a", "b"] * (calibration + 3) == [name for name, _ in groupby(turns)]


def test_options_say_how_much_work() -> None:
    """A full run takes more rounds than a quick one."""
    assert Options().rounds > runner.QUICK_ROUNDS
