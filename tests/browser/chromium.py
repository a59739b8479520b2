"""A page under watch: what it complains of, whom it asks, and how to wait for what it shows."""

import shutil

from playwright.async_api import Browser, CDPSession, ConsoleMessage, Page

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

# Violations are also told to the console, but not all that could be reported are.
WATCH_POLICY = """
window.policyViolations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.policyViolations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


class Watched:
    """A loaded page and everything that it did besides."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self._note(m) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def _note(self, message: ConsoleMessage) -> None:
        self.errors.append(f"{message.text} ({message.location['url']})")

    async def shows(self, selector: str, text: str, seconds: float = 8.0) -> None:
        """Wait for a text inside an element."""
        await self.page.wait_for_function(
            "([s, t]) => document.querySelector(s)?.textContent.includes(t)",
            arg=[selector, text],
            timeout=seconds * 1000,
        )

    async def text(self, selector: str) -> str:
        """The text of an element."""
        return (await self.page.text_content(selector) or "").strip()

    async def table(self, selector: str) -> list[list[str]]:
        """The texts of a table's body, by row."""
        found: list[list[str]] = await self.page.evaluate(
            "s => [...document.querySelectorAll(`${s} tr`)]"
            ".map(row => [...row.children].map(cell => cell.textContent.trim()))",
            selector,
        )
        return found

    async def style(self, selector: str, name: str) -> str:
        """A computed style."""
        found: str = await self.page.evaluate(
            "([s, n]) => getComputedStyle(document.querySelector(s)).getPropertyValue(n)",
            [selector, name],
        )
        return found

    async def complaints(self) -> list[str]:
        """Console errors, policy violations and requests to elsewhere; none is right."""
        violations: list[str] = await self.page.evaluate("window.policyViolations")
        foreign = [url for url in self.requests if not url.startswith((self.url, "data:"))]
        return [*self.errors, *violations, *foreign]


async def open_page(
    browser: Browser, url: str, width: int = 1280, height: int = 900, **context: str
) -> Watched:
    """Load the live page in a profile of its own."""
    profile = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="light" if context.get("scheme") == "light" else "dark",
    )
    page = await profile.new_page()
    await page.add_init_script(WATCH_POLICY)
    watched = Watched(page, url)
    await page.goto(url + context.get("hash", ""))
    return watched


async def used_heap(session: CDPSession) -> int:
    """Bytes of live JavaScript objects, after a collection."""
    await session.send("HeapProfiler.collectGarbage")
    usage = await session.send("Runtime.getHeapUsage")
    return int(usage["usedSize"])
