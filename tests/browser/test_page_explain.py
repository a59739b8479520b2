"""Why did it move: what the page shows between two cursors is what `volgauge explain` says."""

import asyncio
import json
import re
import sys
from typing import Any

import pytest
from playwright.async_api import Browser

from browser.chromium import Watched, open_page
from browser.page_lab import Stage, market_lab, on_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUS = "\u2212"


async def volgauge_explain(stage: Stage, newer: int, older: int | None) -> dict[str, Any]:
    """The command line's answer, in a process of its own."""
    arguments = [f"{stage.url}/v1/evidence/BTC/{newer}"]
    if older is not None:
        arguments += ["--against", f"{stage.url}/v1/evidence/BTC/{older}"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "volgauge", "explain", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


def number(text: str) -> float:
    """A number as the page writes it."""
    return float(text.replace(MINUS, "-").replace("+", ""))


async def two_moments(browser: Browser, stage: Stage) -> Watched:
    """A page that saw two seconds and more of the market."""
    stage.run(0.2)
    shown = await open_page(browser, stage.url, 1280, 2000)
    await shown.shows("#code", "VG-BTC")
    await shown.page.wait_for_timeout(300)
    for _ in range(3):
        stage.run(0.8)
        await shown.page.wait_for_timeout(400)
    return shown


@pytest.mark.timeout(120)
async def test_the_explanation_between_cursors_is_the_command_lines(browser: Browser) -> None:
    """Both ends, every cause, and the largest parts, digit by digit."""
    async with on_stage(lab=market_lab()) as stage:
        shown = await two_moments(browser, stage)
        await shown.page.click("#tab-move")
        await shown.page.click('[data-back="60"]')
        await shown.shows("#move-note", "sum to the move", seconds=40)
        note = await shown.text("#move-note")
        found = re.search(r"evidence/BTC/(\d+) --against \S+/BTC/(\d+)$", note)
        assert found is not None
        said = await volgauge_explain(stage, int(found[1]), int(found[2]))
        head = await shown.text("#move-head")
        causes = {row[0]: number(row[1]) for row in await shown.table("#move-causes tbody")}
        parts = [number(row[3]) for row in await shown.table("#move-parts tbody")]
        largest = sorted((abs(cause["points"]) for cause in said["causes"]), reverse=True)

        assert int(found[1]) > int(found[2])
        before, after, by = (number(text) for text in re.findall(rf"[+{MINUS}]?\d+\.\d+", head))
        assert (before, after) == (round(said["before"], 2), round(said["after"], 2))
        assert by == pytest.approx(said["difference"], abs=5.1e-5)
        assert causes == {
            cause: pytest.approx(points, abs=5.1e-5) for cause, points in said["totals"].items()
        }
        assert sum(causes.values()) == pytest.approx(by, abs=5e-4)
        assert [abs(part) for part in parts] == pytest.approx(largest[: len(parts)], abs=5.1e-5)
        assert await shown.complaints() == []


@pytest.mark.timeout(120)
async def test_the_level_is_the_command_lines(browser: Browser) -> None:
    """Points of every expiry, and the record that they are of."""
    async with on_stage(lab=market_lab()) as stage:
        stage.run(0.3)
        shown = await open_page(browser, stage.url, 1280, 2000)
        await shown.shows("#level-note", "sum to", seconds=40)
        note = await shown.text("#level-note")
        found = re.match(r"Record (\d+),", note)
        assert found is not None
        said = await volgauge_explain(stage, int(found[1]), None)
        rows = await shown.table("#level-table tbody")
        expected = sorted((part["points"] for part in said["expiries"]), reverse=True)

        assert [number(row[3]) for row in rows] == pytest.approx(expected, abs=5.1e-4)
        assert f"sum to {said['value']:.3f}" in note


@pytest.mark.timeout(120)
async def test_a_click_on_the_chart_sets_first_a_then_b(browser: Browser) -> None:
    """Two clicks open the explanation; a place that was not seen is refused in words."""
    async with on_stage(lab=market_lab()) as stage:
        # Without stored seconds the chart shows only what the page saw.
        stage.resolutions = (60, 3_600, 86_400)
        shown = await two_moments(browser, stage)
        await shown.page.click('[data-frame="1m"]')
        await shown.shows("#chart-note", "Stored candles")
        box = await shown.page.locator("#chart").bounding_box()
        assert box is not None
        await shown.page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.5)
        await shown.shows("#chart-note", "this page saw no record then")
        await shown.page.click('[data-frame="1s"]')
        await shown.shows("#chart-note", "No stored candles")
        marks = []
        # The bars are at the right: walk left from the scale until both cursors stand.
        for share in range(93, 70, -1):
            await shown.page.mouse.click(
                box["x"] + box["width"] * share / 100, box["y"] + box["height"] * 0.4
            )
            # Two clicks within half a second are a double click to the chart.
            await shown.page.wait_for_timeout(600)
            marks = [await shown.text("#cursor-a"), await shown.text("#cursor-b")]
            if not any(mark.endswith("\u2013") for mark in marks):
                break

        assert not any(mark.endswith("\u2013") for mark in marks)
        assert await shown.page.is_visible("#move")
