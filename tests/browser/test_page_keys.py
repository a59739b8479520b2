"""The page by keyboard alone, and what a screen reader is told."""

import pytest
from playwright.async_api import Browser

from browser.chromium import Watched, open_page
from browser.page_lab import Stage, everything, market_lab, on_stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ready(browser: Browser, stage: Stage) -> Watched:
    """A page with two assets."""
    for record in everything(1):
        stage.hub.offer(record)
    shown = await open_page(browser, stage.url)
    await shown.shows("#code", "VG-BTC")
    await shown.shows("#assets", "ETH")
    return shown


async def pressed(shown: Watched, box: str) -> list[str]:
    """Which buttons of a group are pressed."""
    return await shown.page.locator(f"{box} [aria-pressed=true]").all_text_contents()


async def test_keys_change_asset_candle_and_overlays(browser: Browser) -> None:
    """Every key of the help does what it says, without a mouse."""
    async with on_stage() as stage:
        shown = await ready(browser, stage)
        keyboard = shown.page.keyboard
        await keyboard.press("ArrowRight")
        await shown.shows("#code", "VG-ETH")
        await keyboard.press("ArrowRight")
        await shown.shows("#code", "VG-BTC")
        await keyboard.press("3")
        assert await pressed(shown, "#frames") == ["1 h"]
        await keyboard.press("g")
        await keyboard.press("v")
        assert await shown.page.get_attribute("#show-band", "aria-pressed") == "false"
        assert await shown.page.get_attribute("#show-venues", "aria-pressed") == "true"
        await keyboard.press("m")
        assert await shown.page.is_visible("#move")
        await keyboard.press("l")
        assert await shown.page.is_visible("#level")
        await keyboard.press("t")
        assert await shown.page.get_attribute("html", "data-theme") == "dark"
        await keyboard.press("?")
        assert await shown.page.is_visible("#help")
        await keyboard.press("Escape")
        assert not await shown.page.is_visible("#help")


async def test_tabs_follow_the_usual_pattern(browser: Browser) -> None:
    """One tab is in the order of Tab, arrows move within the list, focus is visible."""
    async with on_stage() as stage:
        shown = await ready(browser, stage)
        await shown.page.focus("#assets [aria-selected=true]")
        await shown.page.keyboard.press("ArrowRight")
        await shown.shows("#code", "VG-ETH")
        focused = await shown.page.evaluate("document.activeElement.dataset.asset")
        outline = await shown.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        reachable = await shown.page.locator("#assets [tabindex='0']").count()

        assert ("ETH", "solid", 1) == (focused, outline, reachable)


async def test_everything_that_acts_can_be_reached_and_seen(browser: Browser) -> None:
    """Tab goes through all controls; each has a name and an outline when focused."""
    async with on_stage() as stage:
        shown = await ready(browser, stage)
        await shown.page.evaluate("document.activeElement.blur()")
        seen = []
        for _ in range(60):
            await shown.page.keyboard.press("Tab")
            facts = await shown.page.evaluate(
                "() => { const n = document.activeElement; return n === document.body ? null :"
                " [n.id || n.dataset.frame || n.textContent.trim(),"
                " n.ariaLabel || n.title || n.textContent.trim() || n.labels?.[0]?.textContent,"
                " getComputedStyle(n).outlineStyle] }"
            )
            if facts is None:
                break
            seen.append(facts)
        names = {name for name, _, _ in seen}

        assert {"theme", "help-open", "1s", "1d", "show-band", "chart", "expiry"} <= names
        assert all(label for _, label, _ in seen)
        assert {"solid"} == {outline for _, _, outline in seen}


@pytest.mark.timeout(120)
async def test_cursors_are_set_by_keys_on_the_chart(browser: Browser) -> None:
    """The inspection line moves with the arrows; a and b put the cursors where it stands."""
    async with on_stage(lab=market_lab()) as stage:
        stage.run(0.2)
        shown = await open_page(browser, stage.url)
        await shown.shows("#code", "VG-BTC")
        for _ in range(3):
            await shown.page.wait_for_timeout(300)
            stage.run(1.0)
        await shown.page.wait_for_timeout(600)
        await shown.page.focus("#chart")
        await shown.page.keyboard.press("b")
        later = (await shown.text("#cursor-b")).removeprefix("B ")
        # The stored bars reach up to now, the market lags behind on a busy machine.
        for _ in range(60):
            await shown.page.keyboard.press("ArrowLeft")
            await shown.page.keyboard.press("a")
            earlier = (await shown.text("#cursor-a")).removeprefix("A ")
            if "\u2013" != earlier < later:
                break
        await shown.shows("#move-note", "sum to the move", seconds=30)

        assert await shown.page.is_visible("#move")
        await shown.page.keyboard.press("x")
        await shown.shows("#cursor-a", "A \u2013")


async def test_roles_say_what_things_are(browser: Browser) -> None:
    """Headings, tab lists, live regions and named panels, as the accessibility tree has them."""
    async with on_stage() as stage:
        shown = await ready(browser, stage)
        tree = await shown.page.locator("body").aria_snapshot()
        unnamed = await shown.page.evaluate(
            "[...document.querySelectorAll('section')].filter(n =>"
            " !n.ariaLabel && !document.getElementById(n.getAttribute('aria-labelledby')))"
            ".map(n => n.id)"
        )

        assert 'tab "BTC' in tree
        assert "[selected]" in tree
        for heading in ("Index", "Term structure", "Smile", "Surface", "Coupling", "Health"):
            assert f'heading "{heading}' in tree
        assert await shown.page.get_attribute("#banner", "role") == "alert"
        assert [] == unnamed
