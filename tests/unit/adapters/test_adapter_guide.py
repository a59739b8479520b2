"""The contributor's guide says what is there: files, venues, channels, events."""

import re
from pathlib import Path

import pytest

import volgauge
from volgauge.domain import events
from volgauge.pipeline import VENUES

PACKAGE = Path(volgauge.__file__).parent
ADAPTERS = PACKAGE / "adapters"
TESTS = PACKAGE.parents[1] / "tests"
GUIDE = (ADAPTERS / "README.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GUIDE.partition("## What there is")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| venue")
]
"""Venue, channels, role, what they become, evidence."""


def files(root: str) -> list[str]:
    """Paths that the guide writes with NAME for the venue, below one folder."""
    return re.findall(rf"^ +{root}/(\S*NAME\S*)", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("venue", VENUES)
def test_every_venue_has_the_files_of_the_guide(venue: str) -> None:
    """Of the folder, and of the tests; one is enough where a name ends with a star."""
    missing = [
        path
        for root, folder in (("adapters", ADAPTERS), ("tests", TESTS))
        for path in files(root)
        if not list(folder.glob(path.replace("NAME", venue)))
    ]

    assert len(files("adapters")) == 7
    assert len(files("tests")) == 5
    # Deribit was first: its fuzzing and its sockets have the general names.
    assert [path for path in missing if venue != "deribit"] == []


def test_every_shared_module_is_named() -> None:
    """With what it holds, and no other."""
    shared = GUIDE.partition("## What two adapters share")[2]
    named = re.findall(r"^\| `(\w+\.py)` \|", shared, re.MULTILINE)

    assert sorted(named) == sorted(
        path.name for path in ADAPTERS.glob("*.py") if path.name != "__init__.py"
    )


def test_the_table_has_every_venue() -> None:
    """No row is about another."""
    assert {row[0] for row in ROWS} == set(VENUES)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_every_channel_of_the_table_is_asked_for(row: list[str]) -> None:
    """Its words stand in the adapter's source."""
    source = "\n".join(path.read_text() for path in (ADAPTERS / row[0]).glob("*.py"))
    channels = re.findall(r"`([^`]+)`", row[1])
    names = [
        word
        for channel in channels
        for word in re.split(r"\{[^}]*\}|[.@!]", channel)
        if len(word) > 3 and word != "100ms" and not word.startswith("inst")
    ]

    assert channels
    assert [name for name in names if name not in source] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[1]}")
def test_every_event_of_the_table_is_told(row: list[str]) -> None:
    """By the adapter of its venue, and it is one of ours."""
    source = "\n".join(path.read_text() for path in (ADAPTERS / row[0]).glob("*.py"))
    told = re.findall(r"`(\w+)`", row[3])

    assert [name for name in told if not hasattr(events, name)] == []
    assert [name for name in told if name not in source] == []
