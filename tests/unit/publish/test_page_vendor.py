"""What the page brings along from others is what they published, with its papers."""

import json
import re
import shutil
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import volgauge.publish
from volgauge.publish.assets import load_page

PAGE = Path(volgauge.publish.__file__).parent / "page"
VENDOR = PAGE / "vendor"
PACKAGES: list[dict[str, Any]] = json.loads((VENDOR / "vendor.json").read_text())["packages"]
LONGEST = 250
FORBIDDEN = r"https?://|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|Function\("


def test_every_vendored_file_is_listed_with_its_hash() -> None:
    """None is missing, none is changed, none is unlisted."""
    listed = {
        name: facts["sha256"] for package in PACKAGES for name, facts in package["files"].items()
    }
    found = {
        path.relative_to(VENDOR).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name not in {"vendor.json", "NOTICE"}
    }

    assert listed == found


def test_the_notice_names_what_is_vendored() -> None:
    """And the page shows the attribution that the chart library asks for, with its link."""
    notice = (VENDOR / "NOTICE").read_text()
    page = (PAGE / "index.html").read_text()

    assert "TradingView Lightweight Charts" in notice
    assert "uPlot" in notice
    assert 'href="https://www.tradingview.com/"' in page
    assert {"vendor/NOTICE", "vendor/lightweight-charts/LICENSE"} <= set(load_page())


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: str(p["name"]))
def test_vendored_files_are_those_of_the_registry(package: dict[str, Any], tmp_path: Path) -> None:
    """Packed anew from the registry they are the same bytes."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    name = f"{package['name']}@{package['version']}"
    done = subprocess.run(
        [npm, "pack", name, "--silent"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the registry does not answer: {done.stderr.strip()[-200:]}")
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
        for vendored, facts in package["files"].items():
            member = archive.extractfile(f"package/{facts['from']}")
            assert member is not None
            assert member.read() == (VENDOR / vendored).read_bytes()


@pytest.mark.parametrize("script", sorted(PAGE.glob("*.js")), ids=lambda path: path.name)
def test_our_scripts_are_short_and_say_what_they_are(script: Path) -> None:
    """A comment first; an idea a file; nothing from elsewhere, no code from text, no HTML."""
    text = script.read_text()

    assert text.startswith("// ")
    assert len(text.splitlines()) < LONGEST
    assert not re.search(
        r"https?://|innerHTML|outerHTML|insertAdjacentHTML|\beval\(|Function\(", text
    )


def test_the_document_has_no_inline_style_or_script() -> None:
    """The content policy would refuse them."""
    text = (PAGE / "index.html").read_text()

    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|<script>", text)


def test_every_id_that_a_script_asks_for_is_there_once() -> None:
    """A typing error in a name would leave a panel dead."""
    page = (PAGE / "index.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    asked = {
        name
        for script in PAGE.glob("*.js")
        for name in re.findall(r'\$\("([a-z-]+)"\)', script.read_text())
    }

    assert len(set(ids)) == len(ids)
    assert asked <= set(ids)


def test_packed_bodies_are_the_bodies() -> None:
    """What is sent compressed unpacks to the file, and is smaller."""
    from gzip import decompress

    for name, asset in load_page().items():
        assert decompress(asset.packed) == asset.body, name
    assert len(load_page()["app.js"].packed) < len(load_page()["app.js"].body)
