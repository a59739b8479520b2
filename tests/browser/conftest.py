"""One Chromium for the tests of a module; each page gets a profile of its own."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from browser.chromium import CHROMIUM, FLAGS


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """The distribution's Chromium, headless; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()
