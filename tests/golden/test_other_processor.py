"""The same numbers on another processor: kernels compiled for the plainest one of this family.

METHODOLOGY rule 22 asks for 1e-9 there. Nothing in the kernels may be contracted, reordered or left
to a vector library, so all bits agree; `make soak` runs this, as the kernels are compiled anew.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from golden.chain_sources import parquet_chains
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.offline.chain import Chain
from volgauge.offline.compute import compute, to_json

EVERY = 5
TENORS_DAYS = (7.0, 30.0, 90.0)


def records(folder: Path) -> list[str]:
    """Every fifth recorded chain at three tenors, as JSON."""
    chains = parquet_chains(folder)
    return [
        to_json(
            compute(
                Chain(tuple(chains[ts, coin])),
                at=ts * NANOS_PER_MILLI,
                premium="coin",
                tenor_days=tenor_days,
            )
        ).decode()
        for ts, coin in sorted(chains)[::EVERY]
        for tenor_days in TENORS_DAYS
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_plain_processor_gives_the_same_bits(test_data: Path, tmp_path: Path) -> None:
    """No AVX, no FMA: every number of two hundred records to the last digit."""
    plain = subprocess.run(
        [sys.executable, __file__, str(test_data)],
        env={
            **os.environ,
            "NUMBA_CPU_NAME": "generic",
            "NUMBA_CPU_FEATURES": "",
            "NUMBA_CACHE_DIR": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        },
        capture_output=True,
        check=True,
    )

    here = records(test_data)

    assert len(here) > 150
    assert json.loads(plain.stdout) == here


if __name__ == "__main__":
    print(json.dumps(records(Path(sys.argv[1]))))  # noqa: T201 - read by the test
