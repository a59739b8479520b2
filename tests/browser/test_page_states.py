"""What must not be missed: stale, halted, held, old, lost; and that the page comes back."""

import pytest
from msgspec.structs import replace
from playwright.async_api import Browser

from browser.chromium import Watched, open_page
from browser.page_lab import everything, on_stage
from serving import index_record
from volgauge.domain.index import Reason, Status
from volgauge.publish import stream

pytestmark = pytest.mark.asyncio(loop_scope="module")

RED = 120
"""Of a colour that warns: red stands out against green and blue by at least so much."""


async def is_red(shown: Watched, selector: str, name: str) -> bool:
    """Whether a computed colour (or the first of a gradient) is red."""
    text = await shown.style(selector, name)
    red, green, blue = (
        float(part) for part in text[text.index("rgb(") + 4 :].split(")")[0].split(",")
    )
    return red - max(green, blue) > RED / 2 and red > RED


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_a_stale_number_is_struck_named_and_red(browser: Browser, scheme: str) -> None:
    """By its word in four places, by colour, and by the number itself; then all is well again."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31))
        shown = await open_page(browser, stage.url, scheme=scheme)
        await shown.shows("#value", "52.31")
        assert await shown.style("#value", "text-decoration-line") == "none"
        calm = await shown.style("#value", "color")
        stage.hub.offer(
            index_record(
                2, 52.31, status=Status.STALE, reason=Reason.FEED_DOWN, age_ns=8_000_000_000
            )
        )
        await shown.shows("#banner", "STALE")
        assert "feed down" in await shown.text("#banner")
        assert await shown.text("#status") == "STALE"
        assert (await shown.page.title()).startswith("STALE")
        assert await shown.style("#value", "text-decoration-line") == "line-through"
        assert calm != await shown.style("#value", "color")
        assert await is_red(shown, "#banner", "background-image")
        assert await is_red(shown, "#age", "color")
        assert "STALE" in await shown.page.evaluate(
            "getComputedStyle(document.querySelector('.index'), '::after').content"
        )
        assert await shown.page.get_attribute("#icon", "href") == "/page/icon-alert.svg"
        stage.hub.offer(index_record(3, 52.4))
        await shown.shows("#value", "52.40")

        assert await shown.style("#value", "text-decoration-line") == "none"
        assert "STALE" not in await shown.text("#banner")


async def test_halted_shows_no_number_and_what_was_last(browser: Browser) -> None:
    """A dash where the value stands; the last valid one is struck and dated."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31))
        shown = await open_page(browser, stage.url)
        await shown.shows("#value", "52.31")
        stage.hub.offer(index_record(2, None, status=Status.HALTED, reason=Reason.NO_BRACKET))
        await shown.shows("#banner", "HALTED")

        assert "no bracket: there is no value" in await shown.text("#banner")
        assert await shown.text("#value") == "\u2013"
        assert (await shown.text("#last")).startswith("last 52.31 at ")
        assert await shown.style("#last", "text-decoration-line") == "line-through"
        assert await is_red(shown, "#banner", "background-image")
        assert await shown.text("#change") == ""


async def test_a_held_jump_says_what_is_held_back(browser: Browser) -> None:
    """GUARD: the refused number is told, and the shown one is marked as held."""
    async with on_stage() as stage:
        record = replace(index_record(1, 52.31, status=Status.GUARD), candidate=71.5)
        stage.hub.offer(record)
        shown = await open_page(browser, stage.url)
        await shown.shows("#banner", "GUARD")

        assert "71.50" in await shown.text("#banner")
        assert await shown.page.get_attribute("#value", "class") == "held"


async def test_an_old_value_shows_its_age_and_ticks(browser: Browser) -> None:
    """Counted from the newest input by the server's clock."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31, age_ns=8_000_000_000))
        shown = await open_page(browser, stage.url)
        await shown.page.wait_for_selector("#age.late")
        first = float((await shown.text("#age")).removesuffix(" s"))
        await shown.page.wait_for_timeout(2_100)
        second = float((await shown.text("#age")).removesuffix(" s"))

        assert 7.5 < first < 14
        assert 1 <= second - first <= 4


async def test_a_silent_link_is_shown_as_lost(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected, but nothing comes: after four seconds the page says so, and recovers."""
    monkeypatch.setattr(stream, "STREAM_CLOCK_SECONDS", 1_000.0)
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31))
        shown = await open_page(browser, stage.url)
        await shown.shows("#value", "52.31")
        await shown.shows("#banner", "NO CONNECTION", seconds=9.0)
        assert await shown.style("#value", "text-decoration-line") == "line-through"
        stage.hub.offer(index_record(2, 52.5))
        await shown.shows("#link", "live")

        assert "NO CONNECTION" not in await shown.text("#banner")


async def test_the_page_survives_a_restart_of_the_server(browser: Browser) -> None:
    """It says that the link is lost, comes back by itself, and shows the new server's records."""
    async with on_stage() as stage:
        port = int(stage.url.rsplit(":", 1)[1])
        for record in everything(5):
            stage.hub.offer(record)
        shown = await open_page(browser, stage.url)
        await shown.shows("#code", "VG-BTC")
    await shown.shows("#banner", "NO CONNECTION")
    await shown.shows("#link", "no connection")
    async with on_stage(port=port) as stage:
        # Numbers begin anew with the new server.
        stage.hub.offer(index_record(1, 61.25))
        await shown.shows("#value", "61.25", seconds=15.0)
        stage.hub.offer(index_record(2, 61.5))
        await shown.shows("#value", "61.50")

        assert await shown.text("#link") == "live stream"
        assert "NO CONNECTION" not in await shown.text("#banner")
