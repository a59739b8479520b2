"""The repository's papers, locks and file names hold what is promised."""

import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from volgauge import __version__

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt", "tests/benchmarks/requirements.txt")


@cache
def tracked() -> tuple[str, ...]:
    """Files under version control; skips where that cannot be asked."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"git ls-files: {done.stderr.strip()}")
    return tuple(name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_address(name: str) -> None:
    """Where packages come from is the business of the machine that installs."""
    assert "://" not in (ROOT / name).read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_a_hash(name: str) -> None:
    """`--require-hashes` has something to require."""
    text = re.sub(r"(?m)^\s*#.*\n?", "", (ROOT / name).read_text())
    entries = re.sub(r"\\\n\s*", " ", text).splitlines()

    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry


def test_lock_covers_every_dependency() -> None:
    """Nothing that the package declares is missing in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = set(re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", (ROOT / LOCKS[0]).read_text()))
    declared = {
        re.split(r"[^\w.-]", dependency, maxsplit=1)[0] for dependency in project["dependencies"]
    }

    assert declared <= locked


def test_no_tracked_file_names_a_registry_or_a_machine_path() -> None:
    """The repository knows nothing of the machine that it was written on."""
    # Put together here, so that this file does not find itself.
    words = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "npm" + "js.com",
        "deb." + "debian.org",
        "artifact" + "registry",
        "pkg" + ".dev",
        "/op" + "t/pypi",
        "/op" + "t/wheels",
        "/wo" + "rk/",
        "/tm" + "p/w/",
        "/" + "root/",
    ]
    pattern = re.compile("|".join(re.escape(word) for word in words))
    found = []
    for name in tracked():
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match.group()}" for match in pattern.finditer(text)]

    assert found == []


def test_root_holds_only_what_belongs_there() -> None:
    """A folder a concern, and the files that every tool expects at a root."""
    folders = {"service", "config", "tests", "deploy", ".ci", ".github"}
    files = {
        "pyproject.toml", "Dockerfile", "docker-compose.yml", "README.md", "LICENSE",
        "CHANGELOG.md", "SECURITY.md", "Makefile", *LOCKS, ".gitignore", ".dockerignore",
        ".gitattributes", ".editorconfig",
    }  # fmt: skip

    assert {name.split("/")[0] for name in tracked()} <= folders | files


def test_licence_is_apache() -> None:
    """The text at the root and the word in the metadata agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "LICENSE").read_text()

    assert project["license"] == "Apache-2.0"
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_version_is_said_once_and_the_same() -> None:
    """Package and metadata agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert __version__ == project["version"]


def test_changelog_keeps_to_its_format() -> None:
    """Keep a Changelog: unreleased first, then versions falling, known kinds of change only."""
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"(?m)^## \[([^\]]+)\](.*)$", text)
    kinds = set(re.findall(r"(?m)^### (.+)$", text))

    assert versions[0] == ("Unreleased", "")
    for version, date in versions[1:]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert re.fullmatch(r" - \d{4}-\d\d-\d\d", date)
    numbers = [tuple(map(int, version.split("."))) for version, _ in versions[1:]]
    assert numbers == sorted(numbers, reverse=True)
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_security_policy_says_how_to_report_and_when_to_expect_an_answer() -> None:
    """A private way and three deadlines."""
    text = (ROOT / "SECURITY.md").read_text()

    assert "## Reporting a vulnerability" in text
    assert ["2", "7", "30"] == re.findall(r"(?m)^\| (\d+) days \|", text)


def test_landing_gate_runs_the_tests() -> None:
    """`.ci/run` is executable and calls `make test`."""
    gate = ROOT / ".ci" / "run"

    assert gate.stat().st_mode & 0o111
    assert re.search(r"(?m)^make test$", gate.read_text())
