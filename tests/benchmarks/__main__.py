"""Run the benchmarks: `python -m tests.benchmarks [--quick | --full] [--json FILE] [NAME ...]`.

Each takes one realistic unit of work, runs what it is compared with beside it in the same run, and
gates ratios; absolute times are printed and judge nothing. Exit code 1 when a gate fails.
The JSON of every run is kept under `.benchmarks/`.
"""

import argparse
import importlib
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from volgauge.settings import LogSettings
from volgauge.telemetry import logs

from .measure import machine_facts
from .report import Options, Report

BENCHES = (
    "index", "implied", "svi", "adapter", "venues", "analytics", "redis", "startup", "e2e",
    "sockets",
)  # fmt: skip
FOLDER = Path(__file__).resolve().parents[2] / ".benchmarks"
QUICK_ROUNDS = 7


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for, print and keep the findings; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Speed, as medians and ratios of one run."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="under a minute, gates twice as wide")
    parser.add_argument("--full", action="store_true", help="memory is watched for ten minutes")
    parser.add_argument("--json", type=Path, help="where to write the findings")
    given = parser.parse_args(arguments)
    names = given.names or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        parser.error(f"expected names of {', '.join(BENCHES)}, received {', '.join(unknown)}")
    options = (
        Options(quick=given.quick, rounds=QUICK_ROUNDS) if given.quick else Options(full=given.full)
    )
    facts = machine_facts()
    print(", ".join(f"{name} {value}" for name, value in facts.items()), flush=True)

    reports: list[Report] = []
    broken = 0
    for name in names:
        began = time.monotonic()
        try:
            report: Report = importlib.import_module(f".bench_{name}", __package__).run(options)
        except Exception:  # noqa: BLE001 - one broken benchmark must not hide the others
            traceback.print_exc()
            broken += 1
            continue
        reports.append(report)
        print(f"\n{report.table()}\n     ({time.monotonic() - began:.0f} s)", flush=True)

    path = given.json or FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        msgspec.json.format(
            msgspec.json.encode({"quick": given.quick, "machine": facts, "reports": reports})
        )
    )
    passed = sum(gate.passed for report in reports for gate in report.gates)
    failed = sum(not gate.passed for report in reports for gate in report.gates) + broken
    skipped = sum(len(report.skipped) for report in reports)
    print(f"\nfindings in {path}; {skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    logs.configure(LogSettings(level="warning"))
    sys.exit(main())
