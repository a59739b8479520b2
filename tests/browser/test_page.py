"""The live page in a real browser."""

import shutil
import time
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from playwright.async_api import Browser, Page, async_playwright

from fakes.records import venue_index_value
from serving import Served, index_record, serve, surface_record
from volgauge.domain.index import Reason, Source, Status, StatusEvent, VenueValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.publish import stream

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The distribution's Chromium, headless."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


async def open_page(
    browser: Browser, url: str, width: int = 1280, height: int = 900
) -> tuple[Page, list[str], list[str]]:
    """A loaded page, its console errors and the hosts it asked."""
    context = await browser.new_context(viewport={"width": width, "height": height})
    page = await context.new_page()
    errors: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    await page.goto(url)
    return page, errors, requests


def feed(served: Served, seq: int, value: float | None, **more: object) -> None:
    """One record for two assets."""
    served.hub.offer(index_record(seq, value, **more))  # type: ignore[arg-type] # passed through


async def text_becomes(page: Page, selector: str, text: str, seconds: float = 5.0) -> None:
    """Wait for a text."""
    await page.wait_for_function(
        "([s, t]) => document.querySelector(s).textContent.includes(t)",
        arg=[selector, text],
        timeout=seconds * 1000,
    )


async def test_a_published_value_is_shown_within_a_second(browser: Browser) -> None:
    """Value, band, status, source and term; no error, nothing from elsewhere."""
    async with serve() as served:
        feed(served, 1, 52.31)
        served.hub.offer(surface_record())
        page, errors, requests = await open_page(browser, served.url)
        await text_becomes(page, "#value", "52.31")
        feed(served, 2, 53.07)
        await text_becomes(page, "#value", "53.07", seconds=1.0)

        assert await page.text_content("#source") == "simulated"
        assert await page.text_content("#status") == "SINGLE_VENUE"
        assert await page.text_content("#band") == "52.67 \u2013 53.47"
        assert await page.locator("#expiries tr").count() == 2
        assert await page.text_content("#venue-index") == "52.40"
        assert not await page.locator("#banner").is_visible()
        assert [] == errors
        assert all(url.startswith(served.url) for url in requests)


async def test_stale_and_halted_cannot_be_missed(browser: Browser) -> None:
    """A red banner, the status, and no number when there is none."""
    async with serve() as served:
        feed(served, 1, 52.31)
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#value", "52.31")
        feed(served, 2, 52.31, status=Status.STALE, reason=Reason.FEED_DOWN, age_ns=8_000_000_000)
        await text_becomes(page, "#banner", "STALE")
        assert await page.locator("#banner").is_visible()
        feed(served, 3, None, status=Status.HALTED, reason=Reason.NO_BRACKET)
        await text_becomes(page, "#banner", "HALTED: no bracket")

        assert await page.text_content("#value") == "\u2013"
        feed(served, 4, 51.0)
        await text_becomes(page, "#value", "51.00")
        await page.wait_for_selector("#banner", state="hidden")


async def test_an_old_value_shows_its_age_in_red(browser: Browser) -> None:
    """The age is counted from the newest input by the server's clock, and ticks."""
    async with serve() as served:
        feed(served, 1, 52.31, status=Status.STALE, reason=Reason.FEED_DOWN, age_ns=8_000_000_000)
        page, _, _ = await open_page(browser, served.url)
        await page.wait_for_selector("#age.late")
        first = float((await page.text_content("#age") or "").removesuffix(" s"))
        await page.wait_for_timeout(2_100)
        second = float((await page.text_content("#age") or "").removesuffix(" s"))

        assert 7.5 < first < 13
        assert 1 <= second - first <= 4


async def test_a_silent_link_is_shown_as_lost(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected, but nothing comes: after four seconds the page says so, and recovers."""
    monkeypatch.setattr(stream, "STREAM_CLOCK_SECONDS", 1_000.0)
    async with serve() as served:
        feed(served, 1, 52.31)
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#value", "52.31")
        await text_becomes(page, "#banner", "No connection", seconds=8.0)
        feed(served, 2, 52.5)
        await text_becomes(page, "#link", "live")
        await page.wait_for_selector("#banner", state="hidden")


async def test_recent_changes_of_status_are_there_at_once(browser: Browser) -> None:
    """What happened before the page was opened is listed, once, newest first."""
    async with serve() as served:
        feed(served, 1, 52.31)
        for after in (Status.STALE, Status.HALTED):
            served.hub.offer(
                StatusEvent(
                    asset=Asset("BTC"),
                    tenor_days=30.0,
                    before=Status.OK,
                    after=after,
                    computed_ns=time.time_ns(),
                    source=Source.SIMULATED,
                )
            )
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#events", "HALTED")
        lines = await page.locator("#events li").all_text_contents()

        assert len(lines) == 2
        assert "OK → HALTED" in lines[0]


async def test_the_page_survives_a_restart_of_the_server(browser: Browser) -> None:
    """It says that the link is lost, and comes back by itself."""
    async with serve() as served:
        feed(served, 1, 52.31)
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#value", "52.31")
        port = int(served.url.rpartition(":")[2])
    await text_becomes(page, "#banner", "No connection")
    async with serve(port=port) as again:
        feed(again, 1, 49.99)
        await text_becomes(page, "#value", "49.99", seconds=15.0)
        await text_becomes(page, "#link", "live")
        await page.wait_for_selector("#banner", state="hidden")


async def test_assets_and_ranges_by_keyboard(browser: Browser) -> None:
    """Arrows change the asset, digits the range; history is asked for."""
    async with serve() as served:
        feed(served, 1, 52.31)
        feed(served, 1, 71.5, asset="ETH")
        page, _, requests = await open_page(browser, served.url)
        await text_becomes(page, "#value", "52.31")
        await page.keyboard.press("ArrowRight")
        await text_becomes(page, "#value", "71.50")
        await page.keyboard.press("ArrowLeft")
        await page.keyboard.press("3")
        await page.wait_for_function(
            "document.querySelector('[data-range=month]').ariaPressed === 'true'"
        )

        assert any("resolution=3600" in url for url in requests)


def books(**states: str) -> dict[Venue, VenueValue]:
    """Books in these states, half a point above 52; a double underscore stands for the colon."""
    return {
        Venue(label.replace("__", ":")): VenueValue(
            value=None if state == "down" else 52.5,
            weight=0.4 if state == "in" else 0.0,
            state=state,
        )
        for label, state in states.items()
    }


async def rows(page: Page) -> list[list[str]]:
    """The table of books, by cell."""
    lines = await page.locator("#venues tr").all()
    return [await line.locator("td").all_text_contents() for line in lines]


async def test_the_page_shows_who_contributes(browser: Browser) -> None:
    """State, value, distance from the index, weight and lag of each book."""
    async with serve() as served:
        served.hub.offer(
            replace(index_record(1, 52.25), venues=books(deribit="in", okx__USD_UM="in"))
        )
        served.hub.offer(venue_index_value(1, label="deribit", data_ns=time.time_ns()))
        page, errors, _ = await open_page(browser, served.url)
        await text_becomes(page, "#venues", "13 ms")

        assert await rows(page) == [
            ["deribit", "in", "52.50", "+0.25", "40 %", "13 ms"],
            ["okx:USD_UM", "in", "52.50", "+0.25", "40 %", "\u2013"],
        ]
        assert await page.text_content("#books") == "2 of 2"
        assert not await page.locator("#absent").is_visible()
        track, bar = [
            await page.locator(f"#venues tr:first-child {part}").bounding_box()
            for part in (".track", ".track i")
        ]
        assert track is not None
        assert bar is not None
        assert bar["width"] / track["width"] == pytest.approx(0.4, abs=0.02)
        assert [] == errors


async def test_a_book_that_does_not_count_is_seen_at_once(browser: Browser) -> None:
    """By its word, by colour, and by name beside the value; its silence is counted."""
    async with serve() as served:
        served.hub.offer(replace(index_record(1, 52.25), venues=books(deribit="in", okx="in")))
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#books", "2 of 2")
        served.hub.offer(
            replace(index_record(2, 52.25), venues=books(deribit="out", okx="down", derive="in"))
        )
        served.hub.offer(
            venue_index_value(2, label="okx", data_ns=time.time_ns() - 12 * NANOS_PER_SECOND)
        )
        await text_becomes(page, "#absent", "deribit (out), okx (down)", seconds=1.0)
        await text_becomes(page, "#venues", "silent")
        colours = await page.evaluate(
            "[...document.querySelectorAll('#venues .pill')]"
            ".map(node => getComputedStyle(node).backgroundColor)"
        )
        silence = (await rows(page))[1][5]

    assert len(set(colours)) == 3
    assert 12 <= int(silence.removeprefix("silent ").removesuffix(" s")) < 18


async def test_an_expiry_is_marked_for_the_book_that_used_it(browser: Browser) -> None:
    """Two books list the same expiry; only one of them stands in the record."""
    async with serve() as served:
        record = index_record(1, 52.25)
        expiry = replace(record.expiries[0], book="okx:USD_UM", weight=0.375)
        surface = surface_record()
        line = replace(surface.expiries[0], expiry=expiry.expiry)
        served.hub.offer(replace(record, expiries=(expiry,)))
        served.hub.offer(
            replace(surface, expiries=(line, replace(line, venue=Venue("okx"), book="okx:USD_UM")))
        )
        page, _, _ = await open_page(browser, served.url)
        await text_becomes(page, "#expiries", "0.375")

        assert await page.locator("#expiries tr").count() == 2
        assert await page.locator("#expiries tr.used td:nth-child(2)").all_inner_texts() == [
            "okx:USD_UM"
        ]


async def test_a_phone_shows_everything_without_scrolling_sideways(browser: Browser) -> None:
    """390 pixels wide: nothing is wider than the screen."""
    async with serve() as served:
        states = {"deribit": "in", "okx": "warming", "okx__USD_UM": "down", "binance": "out"}
        served.hub.offer(replace(index_record(1, 52.31), venues=books(**states)))
        silent_ns = time.time_ns() - 100 * NANOS_PER_SECOND
        served.hub.offer(venue_index_value(1, data_ns=silent_ns))
        served.hub.offer(surface_record())
        page, _, _ = await open_page(browser, served.url, 390, 844)
        await text_becomes(page, "#value", "52.31")
        await text_becomes(page, "#venues", "silent 10")
        width = await page.evaluate("document.documentElement.scrollWidth")
        overlaps = await page.evaluate(
            "(() => { const b = [...document.querySelectorAll('.facts > div')]"
            ".map(n => n.getBoundingClientRect()); return b.some(r => r.right > 391); })()"
        )

        hidden = await page.evaluate(
            "(() => { const box = document.querySelector('.books').parentElement;"
            " return box.scrollWidth - box.clientWidth; })()"
        )

        assert (True, False, 0) == (width <= 390, overlaps, hidden)
