"""Every client in the README, run as it stands beside a demo: each must print a value.

Only the two addresses are replaced, because the demo of a test takes free ports.
"""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from queue import Empty, Queue

import pytest
from playwright.sync_api import sync_playwright

from browser.chromium import CHROMIUM, FLAGS
from integration.processes import Process, page_of, raw, redis_of, wait_for_value

README = Path(__file__).parents[2] / "README.md"
SECTION = README.read_text().partition("\n## Clients\n")[2].partition("\n## ")[0]
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
SCRIPTS = [text for language, text in BLOCKS if language == "js"]
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
VALUE = re.compile(r'(?:^|"value":)(\d+\.\d+)')
"""A number at the beginning of a line, or the value of a record."""
SECONDS = 40.0


@pytest.fixture(scope="module")
def demo() -> Iterator[Process]:
    """One demo that has a value."""
    with Process("demo", "--rate", "200", "--venue", "none", "--port", "0") as process:
        with closing(raw(redis_of(process))) as client:
            wait_for_value(process, client)
        yield process


def placed(text: str, demo: Process) -> str:
    """The snippet with the addresses of this demo."""
    return text.replace("redis://127.0.0.1:16379/0", redis_of(demo)).replace(
        "http://127.0.0.1:8080", page_of(demo)
    )


def first_value(command: Sequence[str]) -> float:
    """The first value that a command prints; it is ended then."""
    said: Queue[str | None] = Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put(line.replace('\\"', '"'))
        said.put(None)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        heard = []
        try:
            while (line := said.get(timeout=SECONDS)) is not None:
                heard.append(line)
                found = VALUE.search(line)
                if found is not None:
                    return float(found[1])
        except Empty:
            pytest.fail(f"{command} said nothing more after {heard[-5:]}")
        finally:
            process.kill()
            reader.join()
    pytest.fail(f"{command} ended with {heard[-5:]}")


def is_volatility(value: float) -> bool:
    """Points, as the simulated market has them."""
    return 20.0 < value < 150.0


def test_the_section_has_them_all() -> None:
    """Python, JavaScript, redis-cli and curl; short enough to be read."""
    assert (len(PYTHON), len(SCRIPTS)) == (3, 2)
    assert {line.split(maxsplit=1)[0] for line in LINES} == {"redis-cli", "curl"}
    assert all(len(text.splitlines()) <= 20 for _, text in BLOCKS)


@pytest.mark.parametrize("text", PYTHON, ids=["volgauge.client", "redis-py", "aiohttp"])
def test_python_prints_a_value(text: str, demo: Process, tmp_path: Path) -> None:
    """As a file of its own, by our interpreter."""
    file = tmp_path / "snippet.py"
    file.write_text(placed(text, demo))

    assert is_volatility(first_value([sys.executable, str(file)]))


@pytest.mark.parametrize("line", LINES, ids=[re.sub(r"\W+", " ", line)[:60] for line in LINES])
def test_a_command_line_prints_a_value(line: str, demo: Process) -> None:
    """Typed into a shell."""
    program = line.split(maxsplit=1)[0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")

    assert is_volatility(first_value(["sh", "-c", f"exec {placed(line, demo)}"]))


def test_node_prints_a_value(demo: Process, tmp_path: Path) -> None:
    """The script that needs no browser."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    file = tmp_path / "snippet.mjs"
    file.write_text(placed(next(text for text in SCRIPTS if "fetch" in text), demo))

    assert is_volatility(first_value([node, str(file)]))


def test_a_browser_prints_a_value(demo: Process) -> None:
    """EventSource, in a page of the demo."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    script = placed(next(text for text in SCRIPTS if "EventSource" in text), demo)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page()
            page.goto(f"{page_of(demo)}/healthz")
            with page.expect_console_message(
                lambda message: VALUE.match(message.text) is not None, timeout=SECONDS * 1000
            ) as heard:
                page.evaluate(f"() => {{ {script} }}")
            text = heard.value.text
        finally:
            browser.close()

    assert is_volatility(float(text))
