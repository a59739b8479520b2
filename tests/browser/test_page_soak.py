"""Ten records a second for a long time: the page's memory stays flat and its numbers fresh."""

import asyncio
import time

import pytest
from playwright.async_api import Browser, CDPSession

from browser.chromium import Watched, open_page, used_heap
from browser.page_lab import Stage, everything, on_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTERVAL_SECONDS = 0.1
ASSETS = ("BTC", "ETH")


async def play(stage: Stage, first: int, seconds: float) -> int:
    """Every kind of record of two assets, ten times a second; the number of the last round."""
    end = time.monotonic() + seconds
    seq = first
    while time.monotonic() < end:
        seq += 1
        for record in everything(seq, assets=ASSETS):
            stage.hub.offer(record)
        await asyncio.sleep(INTERVAL_SECONDS)
    return seq


async def watched(browser: Browser, stage: Stage) -> tuple[Watched, CDPSession]:
    """A tall page, so that every panel is drawn, with venues on the chart."""
    for record in everything(1, assets=ASSETS):
        stage.hub.offer(record)
    shown = await open_page(browser, stage.url, 1400, 3000)
    await shown.shows("#code", "VG-BTC")
    await shown.page.click("#show-venues")
    return shown, await shown.page.context.new_cdp_session(shown.page)


async def nodes(shown: Watched) -> int:
    """Elements of the document."""
    count: int = await shown.page.evaluate("document.querySelectorAll('*').length")
    return count


def complaints(shown: Watched) -> list[str]:
    """Errors of the console; the made-up records name an expiry that no book here lists."""
    return [error for error in shown.errors if "/v1/smile/" not in error]


@pytest.mark.timeout(180)
async def test_half_a_minute_of_ticks_leaves_the_heap_flat(browser: Browser) -> None:
    """After it has settled it grows by less than what the hour of samples is made for."""
    async with on_stage() as stage:
        shown, session = await watched(browser, stage)
        seq = await play(stage, 1, 10.0)
        settled, elements = await used_heap(session), await nodes(shown)
        seq = await play(stage, seq, 10.0)
        middle = await used_heap(session)
        seq = await play(stage, seq, 10.0)
        end = await used_heap(session)
        value = await shown.text("#value")
        rate = float(await shown.text("#rate"))

        print(f"heap {settled / 1e6:.2f} {middle / 1e6:.2f} {end / 1e6:.2f} MB, {rate} records/s")  # noqa: T201
        assert end - settled < 1_000_000
        assert abs(await nodes(shown) - elements) < 100
        assert value[0] == "5"
        assert rate > 7.0
        assert complaints(shown) == []


@pytest.mark.slow
@pytest.mark.timeout(2_400)
async def test_half_an_hour_of_ticks_leaves_the_heap_flat(browser: Browser) -> None:
    """Once the chart holds its fifteen minutes of seconds, nothing grows any more."""
    async with on_stage() as stage:
        shown, session = await watched(browser, stage)
        seq = await play(stage, 1, 960.0)
        readings = [await used_heap(session)]
        elements = await nodes(shown)
        for _ in range(7):
            seq = await play(stage, seq, 120.0)
            readings.append(await used_heap(session))

        print([round(reading / 1e6, 2) for reading in readings])  # noqa: T201 - the figures
        assert readings[-1] - readings[0] < 1_500_000
        assert max(readings) - min(readings) < 3_000_000
        assert abs(await nodes(shown) - elements) < 100
        assert complaints(shown) == []
