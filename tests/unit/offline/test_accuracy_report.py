"""Tables and gates as text and as JSON, and what the command makes of them."""

import json
from math import nan
from pathlib import Path

import pytest

from volgauge.cli import EXIT_USAGE, main
from volgauge.errors import InputError
from volgauge.offline.accuracy.recorded import read_snapshots
from volgauge.offline.accuracy.report import Gate, Report, Table, as_json, as_text

HELD = Gate("held", 0.01, "at most", 0.02)
BROKEN = Gate("broken", 0.4, "at least", 0.5)


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (HELD, True),
        (BROKEN, False),
        (Gate("equal", 0.5, "at least", 0.5), True),
        (Gate("no number", nan, "at most", 1.0), False),
        (Gate("no number", nan, "at least", 0.0), False),
    ],
)
def test_a_gate_holds_or_not(gate: Gate, *, passed: bool) -> None:
    """The limit itself holds; no number never does."""
    assert gate.passed is passed


def test_text_shows_every_gate_with_limit_and_figure() -> None:
    """Titles, columns in line, ok or FAIL, the count, what was skipped."""
    table = Table(title="Errors", columns=("world", "bias"), rows=(("calm", 0.01234), ("x", nan)))
    report = Report(tables=[table], gates=[HELD, BROKEN], skipped=["chains: none given"])

    lines = as_text(report).splitlines()

    assert lines[:5] == ["Errors", "------", "world   bias", "calm   0.012", "x          -"]
    assert "ok    held        0.010  at most 0.02" in lines
    assert "FAIL  broken      0.400  at least 0.5" in lines
    assert "2 gates, 1 failed" in lines
    assert lines[-1] == "skipped: chains: none given"


def test_json_says_the_same() -> None:
    """One object; NaN is null."""
    report = Report(tables=[Table(title="t", columns=("c",), rows=((nan,),))], gates=[HELD, BROKEN])

    tree = json.loads(as_json(report))

    assert tree["passed"] is False
    assert [gate["passed"] for gate in tree["gates"]] == [True, False]
    assert tree["tables"][0]["rows"] == [[None]]


def test_reports_are_added() -> None:
    """Tables, gates and notes of both."""
    report = Report(gates=[HELD])

    report.add(Report(gates=[BROKEN], skipped=["something"]))

    assert report.gates == [HELD, BROKEN]
    assert report.skipped == ["something"]
    assert not report.passed


def test_a_picture_needs_the_recorded_chains(capsys: pytest.CaptureFixture[str]) -> None:
    """Usage error, with the way out."""
    assert main(["bench", "accuracy", "--picture", "x.svg"]) == EXIT_USAGE
    assert "--data" in capsys.readouterr().err


def test_a_folder_without_chains_is_refused(tmp_path: Path) -> None:
    """The message says what was expected where."""
    with pytest.raises(InputError, match="pairs_public"):
        read_snapshots(tmp_path)
