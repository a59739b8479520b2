#!/usr/bin/env python3
"""Draw the dashboards with Grafana's own panels: `make grafana-preview`.

Installs @grafana/ui from npm into a folder that is kept, holds the dashboards against Grafana's own
types, starts the demo and a Prometheus, asks every panel's queries, and draws the answers in a
headless Chromium. Fails on a type error or an error of the page, and names panels without data.
Grafana's server takes no part: state timelines are a plug-in of it, and are left out.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError as PageTimeout
from playwright.sync_api import sync_playwright

from deployed import DASHBOARDS, boards, fill
from integration.processes import Process, page_of
from integration.prometheus import Prometheus, prometheus

HERE = Path(__file__).parent
PICTURES = HERE.parent / "pictures"
KEPT = HERE.parents[2] / ".grafana-preview"
ANSWERS = KEPT / "answers.json"
DRAWN = {"timeseries", "stat", "bargauge", "table", "row"}
WIDTH = 1400
STEP_SECONDS = 2.0
CHROMIUM_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
BUNDLE = (
    "--bundle --format=esm --outfile=out.js --loader:.js=jsx --loader:.ttf=dataurl "
    "--loader:.woff2=dataurl --loader:.svg=text --jsx=automatic --log-level=warning"
)
BOARD_TYPE = """
import type { AnnotationQuery, Dashboard } from '@grafana/schema';
// Enumerations as the words that stand in JSON.
type Plain<T> = T extends string ? `${T}` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
// A mark of Prometheus has fields of its own beside those of the schema.
type Marks = { list: (Plain<AnnotationQuery> & Record<string, unknown>)[] };
export type Board = Omit<Plain<Dashboard>, 'annotations'> & { annotations: Marks };
"""
PAGE = """<!doctype html><meta charset="utf-8"><style>%s</style><div id="root"></div>
<script>window.PREVIEW = %s</script><script type="module">%s</script>"""


def main() -> int:
    """Draw everything; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=3.0, help="how long the demo runs first")
    parser.add_argument("--out", type=Path, default=PICTURES, help="where the pictures go")
    parser.add_argument("--height", type=int, default=1200, help="of a picture; 0 is the whole")
    parser.add_argument("--redraw", action="store_true", help="draw the last answers again")
    given = parser.parse_args()
    missing = [name for name in ("npm", "prometheus", "chromium") if shutil.which(name) is None]
    if missing:
        sys.stderr.write(f"not installed: {', '.join(missing)}\n")
        return 2
    build()
    check_types()
    answers = json.loads(ANSWERS.read_text()) if given.redraw else ask(given.minutes)
    ANSWERS.write_text(json.dumps(answers))
    return draw(answers, given.out, given.height)


def ask(minutes: float) -> dict[str, list[dict[str, Any]]]:
    """Run a demo and a Prometheus for so long; every panel with its answers, by dashboard."""
    with tempfile.TemporaryDirectory() as folder, Process("demo", "--port", "0") as demo:
        target = page_of(demo).removeprefix("http://")
        with prometheus(Path(folder), {"volgauge": target}, interval="2s") as server:
            sys.stderr.write(f"watching the demo for {minutes:g} minutes\n")
            time.sleep(minutes * 60)
            return {name: list(answered(server, board)) for name, board in boards().items()}


def build() -> None:
    """Install the packages once, and bundle the page."""
    KEPT.mkdir(exist_ok=True)
    for name in ("package.json", "app.jsx"):
        shutil.copy(HERE / name, KEPT / name)
    if not (KEPT / "node_modules" / "@grafana" / "ui").is_dir():
        sys.stderr.write("installing @grafana/ui (once, half a minute, 450 MB)\n")
        _run("npm", "install", "--legacy-peer-deps", "--no-audit", "--no-fund", "--silent")
    # Its ES modules would take the default of a CommonJS neighbour by Node's rule: an object.
    alias = "--alias:@grafana/ui=./node_modules/@grafana/ui/dist/cjs/index.cjs"
    define = '--define:process.env.NODE_ENV="production"'
    _run("node_modules/.bin/esbuild", "app.jsx", *BUNDLE.split(), alias, define)


def check_types() -> None:
    """Hold every dashboard against the types that Grafana itself is compiled with."""
    (KEPT / "board.ts").write_text(BOARD_TYPE)
    files = []
    for path in DASHBOARDS:
        files.append(f"{path.stem}.ts")
        head = "import type { Board } from './board.js';\nexport const board: Board ="
        (KEPT / files[-1]).write_text(f"{head} {path.read_text()};\n")
    options = "--noEmit --strict --module nodenext --moduleResolution nodenext --target es2022"
    _run("node_modules/.bin/tsc", *options.split(), "--skipLibCheck", *files)


def answered(server: Prometheus, board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every panel that can be drawn, with what Prometheus answers; repeated ones for two assets."""
    drawn = [panel for panel in board["panels"] if panel["type"] in DRAWN]
    spots = [panel["gridPos"] for panel in drawn]
    rows = {y for spot in spots for y in range(spot["y"], spot["y"] + spot["h"])}
    for panel in drawn:
        copies = ("BTC", "ETH") if "repeat" in panel else (".+",)
        for place, asset in enumerate(copies):
            spot = dict(panel["gridPos"])
            if len(copies) > 1:
                spot["w"] //= len(copies)
                spot["x"] = place * spot["w"]
            # Where only a panel stood that is left out, the next ones move up.
            spot["y"] = sum(row < spot["y"] for row in rows)
            shown = {**panel, "gridPos": spot}
            tenor = "30d"
            shown["title"] = panel["title"].replace("$asset", asset).replace("$tenor", tenor)
            choices = {"job": ".+", "instance": ".+", "asset": asset, "tenor": tenor}
            choices["__rate_interval"] = "10s"
            yield {"panel": shown, "answers": list(_ask(server, panel, choices))}


def _ask(
    server: Prometheus, panel: dict[str, Any], choices: dict[str, str]
) -> Iterator[dict[str, Any]]:
    for target in panel.get("targets", ()):
        expression = fill(target["expr"], choices)
        found = (
            server.now(expression)
            if target["instant"]
            else server.over(expression, 150.0, STEP_SECONDS)
        )
        yield {
            "target": target,
            "series": [
                {
                    "labels": each.labels,
                    "points": [[at, None if isnan(value) else value] for at, value in each.points],
                }
                for each in found
            ],
        }


def draw(answers: dict[str, list[dict[str, Any]]], folder: Path, height: int) -> int:
    """One picture a dashboard, down to a height (0 is all of it); 1 when a panel failed."""
    folder.mkdir(exist_ok=True)
    style = (KEPT / "node_modules" / "uplot" / "dist" / "uPlot.min.css").read_text()
    program = (KEPT / "out.js").read_text().replace("</script", "<\\/script")
    failures: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(CHROMIUM_FLAGS)
        )
        for name, panels in answers.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.on("pageerror", partial(_note, failures, name))
            instants = [
                point[0]
                for each in panels
                for answer in each["answers"]
                for series in answer["series"]
                for point in series["points"]
            ]
            ends = {"from": min(instants), "to": max(instants)}
            data = {"width": WIDTH, **ends, "panels": panels}
            written = KEPT / f"{Path(name).stem}.html"
            written.write_text(PAGE % (style, json.dumps(data).replace("</", "<\\/"), program))
            page.goto(written.as_uri())
            with suppress(PageTimeout):
                page.wait_for_function(
                    "document.body.dataset.drawn || document.body.dataset.failed"
                )
            page.wait_for_timeout(1500)
            failed = page.evaluate(
                "document.body.dataset.drawn ? '' : document.body.dataset.failed ?? 'not drawn'"
            )
            failures += [f"{name}: {failed}"] if failed else []
            for panel in panels:
                asked = panel["answers"]
                if asked and not any(answer["series"] for answer in asked):
                    sys.stderr.write(f"no data yet: {name}: {panel['panel']['title']}\n")
            path = folder / f"{Path(name).stem}.png"
            whole = page.evaluate("document.documentElement.scrollHeight")
            clip: Any = {"x": 0, "y": 0, "width": WIDTH, "height": min(height or whole, whole)}
            page.screenshot(path=path, full_page=True, clip=clip)
            shown = page.locator("[data-panel]").count()
            sys.stderr.write(f"{path.name}: {shown} panels, {path.stat().st_size // 1000} kB\n")
            page.close()
        browser.close()
    for failure in failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if failures else 0


def _note(failures: list[str], name: str, error: object) -> None:
    failures.append(f"{name}: {error}")


def _run(program: str, *arguments: str) -> None:
    subprocess.run([program, *arguments], cwd=KEPT, check=True)  # noqa: S603 - our own arguments


if __name__ == "__main__":
    sys.exit(main())
