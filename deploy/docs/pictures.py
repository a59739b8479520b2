#!/usr/bin/env python3
"""Take the pictures of the documents from the running product: `make pictures`.

Starts the demo, waits until its readings are warm, and photographs the live page with the
distribution's Chromium: the page, the page on a phone, and for each of the four systems around the
index its panels. Nothing is drawn: panels that are not of a picture are taken off the page first.
Fails when the page complains or a picture is too heavy for a README.
"""

import argparse
import json
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from browser.chromium import CHROMIUM, FLAGS
from integration.processes import Process, page_of

HERE = Path(__file__).parent
PICTURES = HERE / "pictures"
MOST_BYTES = 300_000
RATE = "500"
ALONE = """names => {
  for (const panel of document.querySelectorAll("main > section"))
    if (!names.includes(panel.id)) panel.style.display = "none";
  document.querySelector("header").style.display = "none";  // it sticks to what is scrolled
  dispatchEvent(new Event("resize"));
}"""


@dataclass(frozen=True)
class Picture:
    """One photograph: its panels (all, if none is named) in a window of this size."""

    name: str
    panels: tuple[str, ...] = ()
    width: int = 1280
    height: int = 900
    keys: str = "3"
    """Typed before: 3 takes candles of one hour."""
    dark: bool = True


ALBUM = (
    Picture("page", width=1360, height=1010),
    Picture("phone", width=390, height=844, dark=False),
    Picture("interest", ("panel-interest", "panel-regime", "panel-alerts"), width=1100),
    Picture("coupling", ("panel-coupling",), width=1120),
    Picture("scaling", ("panel-regime", "panel-realized"), width=1120),
    Picture("surface", ("panel-term", "panel-surface", "panel-smile"), width=1600),
    Picture("why", ("panel-index", "panel-why"), width=1050),
)


def main() -> int:
    """Take everything; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--url", help="a demo that runs already; by default one is started")
    parser.add_argument("--warm", type=float, default=420.0, help="its least age in seconds")
    parser.add_argument("--out", type=Path, default=PICTURES, help="where the pictures go")
    parser.add_argument("names", nargs="*", help="only these")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        return _tell("no Chromium is installed: apt-get install chromium")
    with ExitStack() as stack:
        root = arguments.url
        if root is None:
            demo = stack.enter_context(Process("demo", "--port", "0", "--rate", RATE))
            root = page_of(demo)
            _wait_until_warm(root, arguments.warm)
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.callback(browser.close)
        arguments.out.mkdir(parents=True, exist_ok=True)
        wanted = [one for one in ALBUM if not arguments.names or one.name in arguments.names]
        failed = [one.name for one in wanted if not _take(browser, root, one, arguments.out)]
    return 1 if failed else 0


def _wait_until_warm(root: str, seconds: float) -> None:
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(1.0)
    with urllib.request.urlopen(f"{root}/v1/index/BTC/30d", timeout=10.0) as answer:  # noqa: S310 - loopback
        status = json.load(answer)["status"]
    _tell(f"warm after {seconds:g} s: {status}")


def _take(browser: Browser, root: str, picture: Picture, out: Path) -> bool:
    """Take one; whether it is fit to show."""
    profile = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.dark else "light",
    )
    page = profile.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(root)
    page.wait_for_function("() => document.body.dataset.link === 'open'", timeout=60_000)
    page.keyboard.type(picture.keys)
    page.wait_for_timeout(8_000)
    if picture.name == "why":
        _ask_why(page)
    path = out / f"{picture.name}.png"
    if picture.panels:
        page.evaluate(ALONE, list(picture.panels))
        page.wait_for_timeout(3_000)
        alone = len(picture.panels) == 1
        page.locator(f"#{picture.panels[0]}" if alone else "main").screenshot(path=path)
    else:
        page.screenshot(path=path)
    profile.close()
    size = path.stat().st_size
    _tell(" ".join([f"{path.name}: {size / 1000:.0f} kB", *complaints]))
    return not complaints and size <= MOST_BYTES


def _ask_why(page: Page) -> None:
    """Ask the page what moved the index over the last minute."""
    page.keyboard.type("1m")
    page.wait_for_timeout(62_000)
    page.locator('#move [data-back="60"]').click()
    page.wait_for_function(
        "() => document.querySelector('#move-head').textContent.includes('points')",
        timeout=60_000,
    )


def _tell(line: str) -> int:
    """Say how it goes; the exit code if it cannot go on."""
    sys.stderr.write(f"{line}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
