"""deploy/sizing/measure.py measures what it says; its figures are the machine's, not a promise."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = Path(__file__).parents[2] / "deploy" / "sizing" / "measure.py"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_command_of_the_table_gives_every_figure() -> None:
    """Each above nothing, for one asset of one venue over a few seconds."""
    done = subprocess.run(
        [sys.executable, str(MEASURE), "--seconds", "10", "--warm-up", "10"],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)

    assert figures.pop("ticks_merged_per_second") >= 0
    assert (figures.pop("assets"), figures.pop("venues")) == (["BTC"], ["deribit"])
    assert all(figure > 0 for figure in figures.values()), figures
    assert "" == done.stderr
