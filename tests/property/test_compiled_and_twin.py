"""The whole engine without the compiler: the Python twins give the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from golden.chain_sources import synthetic_chain, write_csv
from volgauge import kernels
from volgauge.domain.units import parse_instant
from volgauge.offline.chain import read_chain
from volgauge.offline.compute import compute, to_json

AT = parse_instant("2026-03-02T08:00:00Z")
PROGRAM = """
import sys
from volgauge.offline.chain import read_chain
from volgauge.offline.compute import compute, to_json
chain = read_chain(sys.argv[1])
for method in ("native", "dvol", "cboe"):
    print(to_json(compute(chain, at=int(sys.argv[2]), method=method, premium="coin")).decode())
"""


def test_twins_give_the_same_bits(tmp_path: Path) -> None:
    """`NUMBA_DISABLE_JIT=1` turns every kernel into its Python source."""
    path = write_csv(synthetic_chain(AT), tmp_path / "chain.csv")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(AT)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=120,
    )

    interpreted = [json.loads(line) for line in run.stdout.splitlines()]
    chain = read_chain(path)
    for method, expected in zip(("native", "dvol", "cboe"), interpreted, strict=True):
        assert expected == json.loads(to_json(compute(chain, at=AT, method=method, premium="coin")))
        assert expected["value"] == pytest.approx(60.0, abs=3.0)


def test_nothing_is_compiled_after_warming() -> None:
    """A computation of every method needs no signature that `warm` has not made."""
    before = kernels.warm()
    chain = synthetic_chain(AT)

    from volgauge.offline.chain import Chain

    for method in ("native", "dvol", "cboe"):
        compute(Chain(tuple(chain)), at=AT, method=method, premium="coin")

    assert before == kernels.warm()
