"""The live page in a real browser: what it shows, and how fast."""

import asyncio
import time

import pytest
from msgspec.structs import replace
from playwright.async_api import Browser

from browser.chromium import Watched, open_page
from browser.page_lab import everything, market_lab, on_stage
from fakes.readings import alert_event, analytics_value
from fakes.records import venue_index_value
from serving import CLOCK, index_record, surface_record
from volgauge.domain.analytics import Edge, Lack
from volgauge.domain.index import Source, Status, StatusEvent, VenueValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_SECOND

pytestmark = pytest.mark.asyncio(loop_scope="module")

NONE = "\u2013"


def books(**states: str) -> dict[Venue, VenueValue]:
    """What each book says; two underscores stand for a colon."""
    return {
        Venue(name.replace("__", ":")): VenueValue(
            value=None if state == "down" else 52.5,
            weight=0.4 if state == "in" else 0.0,
            state=state,
        )
        for name, state in states.items()
    }


async def test_a_published_value_is_shown_within_a_second(browser: Browser) -> None:
    """Value, band, status, source, venue's index and term; from first paint to a later tick."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31))
        stage.hub.offer(surface_record())
        shown = await open_page(browser, stage.url)
        await shown.shows("#value", "52.31")
        # Best of some: the test may share the machine with others.
        delays = []
        for seq, text in enumerate(("52.41", "52.52", "52.63", "52.74", "53.07"), start=2):
            begun = time.monotonic()
            stage.hub.offer(index_record(seq, float(text)))
            await shown.shows("#value", text)
            delays.append(time.monotonic() - begun)
        assert min(delays) < 1.0
        await shown.shows("#venue-index", "52.40")

        assert await shown.text("#source") == "simulated"
        assert "no real market" in await shown.page.evaluate(
            "getComputedStyle(document.querySelector('#source'), '::after').content"
        )
        assert await shown.text("#status") == "SINGLE_VENUE"
        assert await shown.text("#band") == "52.67 \u2013 53.47"
        assert await shown.text("#build") == "volgauge test · methodology 0 · native · simulated"
        assert "53.07" in await shown.page.title()


async def test_every_panel_draws_and_nothing_complains(browser: Browser) -> None:
    """A whole market: no console error, no request elsewhere, no report of the content policy."""
    async with on_stage(lab=market_lab()) as stage:
        stage.hub.offer(alert_event(raised_ns=CLOCK.wall_ns()))
        for record in everything(1, assets=("ETH",)):
            stage.hub.offer(record)
        stage.run(0.3)
        stage.hub.offer(replace(analytics_value(1), value=41.0))
        shown = await open_page(browser, stage.url, 1680, 3000, hash="#BTC")
        await shown.shows("#smile-table", "deribit")
        await shown.shows("#level-note", "sum to")
        await shown.shows("#coupling-matrix", "ETH")
        await shown.shows("#term-table", "24 h")
        await shown.shows("#surface-table", "58.5")
        await shown.shows("#regime", "Exposure")
        await shown.shows("#realized", "Yang\u2013Zhang")
        await shown.shows("#interest", "Put/call interest")
        await shown.shows("#alerts", "17 % in five minutes")
        await shown.shows("#venues", "deribit")
        for name in ("1m", "1h", "1d", "1s"):
            await shown.page.click(f'[data-frame="{name}"]')
        await shown.page.click("#show-venues")
        for _ in range(5):
            stage.run(0.1)
            await asyncio.sleep(0.2)
        drawn = await shown.page.evaluate(
            "[...document.querySelectorAll('#chart canvas, .plot canvas')]"
            ".filter(node => node.width > 100).length"
        )

        assert drawn >= 6
        assert await shown.complaints() == []


OLDER_HALF = """async (toggle) => {
    const { paint, venueColour } = await import("/page/theme.js");
    const brush = new OffscreenCanvas(1, 1).getContext("2d");
    brush.fillStyle = toggle === "#show-band" ? paint().area : venueColour("okx:USDC");
    brush.fillRect(0, 0, 1, 1);
    const wanted = brush.getImageData(0, 0, 1, 1).data;
    const all = [...document.querySelectorAll("#chart canvas")];
    const [{ width, height }] = all.sort((a, b) => b.width - a.width);
    let found = 0;
    for (const canvas of all.filter((one) => one.width === width)) {
        const { data } = canvas.getContext("2d").getImageData(0, 0, width / 2, height);
        for (let i = 0; i < data.length; i += 4) {
            found += wanted.every((value, part) => Math.abs(value - data[i + part]) < 12);
        }
    }
    return found;
}"""
"""Points in the colour of the band or of a venue, in the older half of the chart."""


@pytest.mark.parametrize("toggle", ["#show-band", "#show-venues"])
async def test_the_band_and_the_venues_reach_back_before_the_page(
    browser: Browser, toggle: str
) -> None:
    """What is stored of them is drawn where this page saw nothing, and goes when switched off."""
    async with on_stage(lab=market_lab()) as stage:
        stage.run(0.3)
        shown = await open_page(browser, stage.url, 1280, 900, hash="#BTC")
        await shown.page.click('[data-frame="1m"]')
        await shown.shows("#chart-note", "Stored candles, band and venues")
        is_on = await shown.page.get_attribute(toggle, "aria-pressed") == "true"
        seen = {}
        for state in (is_on, not is_on):
            await asyncio.sleep(0.8)
            seen[state] = await shown.page.evaluate(OLDER_HALF, toggle)
            await shown.page.click(toggle)

        assert seen[True] > 20  # of a line one point wide few are full in colour
        assert seen[False] < seen[True] / 10
        assert await shown.complaints() == []


async def test_a_reading_that_is_missing_says_why(browser: Browser) -> None:
    """A dash, never a number, and the reason of the record beside it."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.0))
        record = analytics_value(1)
        bare = replace(
            record,
            realized=replace(record.realized, har=None),
            missing={"realized.har": Lack.TOO_LITTLE_HISTORY},
        )
        stage.hub.offer(bare)
        shown = await open_page(browser, stage.url, 1280, 2600)
        await shown.shows("#realized", "HAR, next 30 d\u2013")
        await shown.shows("#realized-note", "har (too little history)")

        assert (
            await shown.page.get_attribute("#realized div:has-text('HAR, next')", "title")
            == "too little history"
        )


async def test_without_analytics_the_panels_say_so(browser: Browser) -> None:
    """Plainly: not available."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.0))
        shown = await open_page(browser, stage.url, 1280, 2600)
        for name in ("surface", "coupling", "regime", "realized", "interest"):
            await shown.shows(f"#{name}-note", "Not available")
        await shown.shows("#smile-note", "Not available")
        await shown.shows("#level-note", "keeps no evidence")


async def test_who_contributes_and_who_does_not(browser: Browser) -> None:
    """State, value, distance, weight and lag of each book; what is out is named at the top."""
    async with on_stage() as stage:
        record = replace(
            index_record(1, 52.25), venues=books(deribit="in", okx__USD_UM="out", okx="down")
        )
        stage.hub.offer(record)
        stage.hub.offer(venue_index_value(1, label="deribit", data_ns=time.time_ns()))
        silent_ns = time.time_ns() - 12 * NANOS_PER_SECOND
        stage.hub.offer(venue_index_value(1, label="okx", data_ns=silent_ns))
        shown = await open_page(browser, stage.url, 1280, 2600)
        await shown.shows("#venues", "13 ms")
        rows = {row[0]: row[1:6] for row in await shown.table("#venues")}
        colours = {
            await shown.style(f"#venues .state.{state}", "color") for state in ("in", "out", "down")
        }

        assert rows["deribit"] == ["in", "52.50", "+0.25", "40 %", "13 ms"]
        assert rows["okx:USD_UM"] == ["out", "52.50", "+0.25", "0 %", NONE]
        assert rows["okx"][:4] == ["down", NONE, NONE, "0 %"]
        assert 12 <= int(rows["okx"][4].removeprefix("silent ").removesuffix(" s")) < 20
        assert await shown.text("#books") == "1 of 3"
        assert "okx:USD_UM (out)" in await shown.text("#absent")
        assert len(colours) == 3


async def test_events_and_alerts_are_there_at_once_and_clear(browser: Browser) -> None:
    """What happened before the page was opened, newest first; a cleared alert is gone."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.31))
        for after in (Status.STALE, Status.HALTED):
            stage.hub.offer(
                StatusEvent(
                    asset=Asset("BTC"),
                    tenor_days=30.0,
                    before=Status.OK,
                    after=after,
                    computed_ns=time.time_ns(),
                    source=Source.SIMULATED,
                )
            )
        raised_ns = CLOCK.wall_ns()
        stage.hub.offer(alert_event(raised_ns=raised_ns))
        shown = await open_page(browser, stage.url, 1280, 2600)
        await shown.shows("#alerts", "WARNING")
        lines = await shown.page.locator("#events li").all_text_contents()
        stage.hub.offer(alert_event(raised_ns=raised_ns, edge=Edge.CLEARED))
        await shown.shows("#alerts", "No alert is active")

        assert ["spike raised" in lines[0], "OK → HALTED" in lines[1]] == [True, True]
        assert len(lines) == 3


@pytest.mark.parametrize("width", [375, 768])
async def test_narrow_screens_need_no_sideways_scrolling(browser: Browser, width: int) -> None:
    """Every panel fits; a table that is wider scrolls inside its own box."""
    async with on_stage(lab=market_lab()) as stage:
        for record in everything(1, assets=("BTC", "ETH", "SOL", "XRP")):
            stage.hub.offer(record)
        stage.run(0.1)
        shown = await open_page(browser, stage.url, width, 812, hash="#BTC")
        await shown.shows("#code", "VG-BTC")
        height = await shown.page.evaluate("document.documentElement.scrollHeight")
        await shown.page.set_viewport_size({"width": width, "height": height})
        await shown.shows("#smile-table", "deribit")
        await shown.shows("#surface-table", "7d")
        found = await shown.page.evaluate(
            "() => ({page: document.documentElement.scrollWidth, out:"
            " [...document.querySelectorAll('header *, main *, footer *')]"
            ".filter(n => !n.closest('.scroll, nav, .chart, .plot, .sr') && n.offsetParent"
            " && n.getBoundingClientRect().right > innerWidth + 1).map(n => n.id || n.className)})"
        )

        assert {"page": width, "out": []} == found


async def test_nothing_moves_while_values_and_states_change(browser: Browser) -> None:
    """The browser's own measure of layout shift, over a minute's worth of ticks and a bad spell."""
    async with on_stage() as stage:
        for record in everything(1):
            stage.hub.offer(record)
        shown = await open_page(browser, stage.url)
        await shown.shows("#value", "52")
        await shown.page.wait_for_timeout(1500)
        await shown.page.evaluate(
            """
            window.shifts = [];
            const named = (source) => source.node?.id || source.node?.nodeName;
            new PerformanceObserver((list) => {
              for (const entry of list.getEntries())
                window.shifts.push([entry.value, ...entry.sources.map(named)]);
            }).observe({type: "layout-shift"});
            """
        )
        for seq in range(2, 30):
            for record in everything(seq * 20):
                stage.hub.offer(record)
            if seq == 15:
                stage.hub.offer(index_record(700, None, status=Status.HALTED))
            await asyncio.sleep(0.1)

        shifts = await shown.page.evaluate("window.shifts")

        assert sum(value for value, *_ in shifts) < 0.01, shifts


async def theme_of(shown: Watched) -> tuple[str, str]:
    """Background and text, as computed."""
    return await shown.style("body", "background-color"), await shown.style("body", "color")


async def test_dark_and_light_follow_the_system_until_chosen(browser: Browser) -> None:
    """The button cycles system, dark, light; the choice outlives a reload."""
    async with on_stage() as stage:
        stage.hub.offer(index_record(1, 52.0))
        shown = await open_page(browser, stage.url, scheme="light")
        await shown.shows("#value", "52.00")
        light = await theme_of(shown)
        await shown.page.emulate_media(color_scheme="dark")
        dark = await theme_of(shown)
        await shown.page.click("#theme")
        await shown.page.click("#theme")
        chosen = await theme_of(shown)
        await shown.page.reload()
        await shown.shows("#value", "52.00")

        assert light != dark
        assert [light, light] == [chosen, await theme_of(shown)]
