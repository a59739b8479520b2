#!/usr/bin/env python3
"""Write the dashboards: `python deploy/grafana/build.py [FOLDER]`, or `make dashboards`."""

import sys
from pathlib import Path

from boards import coupling, health, overview, surface

BOARDS = {
    "volgauge-overview.json": overview.build,
    "volgauge-surface.json": surface.build,
    "volgauge-coupling.json": coupling.build,
    "volgauge-health.json": health.build,
}
"""File name to the function that builds it."""


def main(folder: Path) -> None:
    """Write every dashboard into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in BOARDS.items():
        (folder / name).write_text(build().as_json(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "dashboards")
