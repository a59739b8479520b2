"""The documents say what is so: links, commands, paths, names, pictures, lists, outputs."""

import json
import re
import runpy
from pathlib import Path
from typing import Any

import msgspec
import pytest

import volgauge
from deployed import ALL_FAMILIES, DEPLOY, ROOT, samples
from volgauge.cli import app, main
from volgauge.domain.analytics import (
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    InterestReading,
    LeverageReading,
    PairCoupling,
    RealizedReading,
    ScalingReading,
    TenorReading,
)
from volgauge.domain.channels import Kind
from volgauge.domain.index import Flag, IndexValue, Status
from volgauge.publish.openapi import operations
from volgauge.settings import Settings

DOCS = DEPLOY / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
PICTURES = sorted((DOCS / "pictures").glob("*.png"))
EXAMPLE = DOCS / "example"
EACH_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
MOST_PICTURE_BYTES = 300_000
MOST_README_LINES = 350
NO_SETTINGS = {"redis.publish", "index.status_changed", "index.fixed"}
"""Dotted words that are something else: a call of others, kinds of events."""


def anchors(path: Path) -> set[str]:
    """The names that headings get where Markdown is rendered, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    plain = (re.sub(r"[`*]", "", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def shell(path: Path) -> list[list[str]]:
    """The words of every command in the shell blocks of a page, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    parts = (part for line in lines for part in re.split(r"&&|\|", line.split("  #")[0]))
    return [words for part in parts if (words := part.split())]


@EACH_PAGE
def test_every_link_leads_somewhere(path: Path) -> None:
    """Files exist, and so do the headings that are pointed to."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@EACH_PAGE
def test_every_command_exists(path: Path) -> None:
    """Commands of ours with their options, and targets of make."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong = []
    for words in shell(path):
        if words[0] == "make" and words[1:] and words[1] not in targets:
            wrong.append(words)
        if "volgauge" not in words[:2] or words[0] in {"cd", "git"}:
            continue
        rest = words[words.index("volgauge") + 1 :]
        if rest[0] not in set(app):
            wrong.append(words)
            continue
        command = app[rest[0]]
        if rest[0] == "bench":
            assert rest[1] in set(command)
            command = command[rest[1]]
        known = {name for each in command.assemble_argument_collection() for name in each.names}
        if {word for word in rest if word.startswith("--")} - known:
            wrong.append(words)
    inline = re.findall(r"`volgauge ([a-z-]+)", path.read_text())
    wrong += [[name] for name in inline if name not in set(app)]
    inline = re.findall(r"`make ([a-z-]+)", path.read_text())
    wrong += [[name] for name in inline if name not in targets]

    assert wrong == []


@EACH_PAGE
def test_every_path_of_the_service_is_answered(path: Path) -> None:
    """What a page asks for by HTTP is an operation of the API."""
    known = {re.sub(r"\{\w+\}", "X", route) for _, route in operations(dict)} | {"/udf"}
    text = re.sub(r"\]\([^)]*\)", "", path.read_text())
    found = re.findall(r"(?<=[`\d])(/(?:v1|udf|ws|api|metrics|healthz|readyz)\b[^\s`\"')]*)", text)
    unknown = []
    for written in found:
        full = written.split("?")[0].replace("[", "").replace("]", "").rstrip("/")
        bare = re.sub(r"\{\w+\}|\$SEQ|(?<=/)(?:BTC|30d|SEQ)\b", "X", full)
        if not any(
            re.fullmatch(re.sub("X", "[^/]+", each), bare) or each.startswith(f"{bare}/")
            for each in known
        ):
            unknown.append(written)

    assert unknown == []


@EACH_PAGE
def test_every_channel_and_key_exists(path: Path) -> None:
    """The first word behind the prefix is a kind of record."""
    kinds = {kind.value for kind in Kind}
    text = path.read_text()
    named = re.findall(r"(?:volgauge|demo|\.\.\.):(?:latest:|stream:)?([a-z]+)\b(?!\])", text)

    assert set(named) <= kinds


@EACH_PAGE
def test_every_metric_exists(path: Path) -> None:
    """A metric that a page names is exported."""
    known = {*samples(), *(family.name for family in ALL_FAMILIES)}
    named = set(re.findall(r"\bvolgauge_[a-z0-9_]+", path.read_text()))

    assert named <= known


@EACH_PAGE
def test_every_setting_exists(path: Path) -> None:
    """A variable of the environment, or a dotted key in quotes, is one of the settings'."""
    tree: dict[str, Any] = msgspec.to_builtins(Settings())

    def has(words: list[str]) -> bool:
        node: Any = tree
        for word in words:
            if not isinstance(node, dict) or word not in node:
                return False
            node = node[word]
        return True

    text = path.read_text()
    keys = [name.lower().split("__") for name in re.findall(r"VOLGAUGE__(\w+)", text)]
    keys += [
        key.split(".")
        for key in re.findall(r"`([a-z]+(?:\.[a-z_]+)+)(?: = [^`]+)?`", text)
        if key.split(".")[0] in tree and key not in NO_SETTINGS
    ]
    keys += [key.split(".") for key in re.findall(r"`\[([a-z._]+)\]", text)]

    assert [key for key in keys if not has(key)] == []


def test_readme_is_short() -> None:
    """Five minutes of reading."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= MOST_README_LINES


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_light_and_shown(path: Path) -> None:
    """A PNG that a README can carry, and that a page shows."""
    data = path.read_bytes()

    assert data.startswith(b"\x89PNG")
    assert len(data) <= MOST_PICTURE_BYTES
    assert any(f"pictures/{path.name})" in page.read_text() for page in PAGES)


def test_the_album_is_complete() -> None:
    """There is a picture for each entry of the program that takes them, and no other."""
    taken = re.findall(r'^    Picture\("(\w+)"', (DOCS / "pictures.py").read_text(), re.MULTILINE)

    assert sorted(f"{name}.png" for name in taken) == [path.name for path in PICTURES]


@pytest.mark.parametrize(
    ("question", "members"),
    [
        ("each status", [status.value for status in Status]),
        ("each flag", [flag.value for flag in Flag]),
    ],
)
def test_answers_explain_the_whole_list(question: str, members: list[str]) -> None:
    """Each member of a closed list has its row, in its order."""
    text = (DOCS / "FAQ.md").read_text()
    answer = text.split(f"## What does {question} mean?")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \| \S", answer, re.MULTILINE) == members


@pytest.mark.parametrize(
    "record",
    [
        IndexValue, AnalyticsValue, CouplingValue, PairCoupling, TenorReading, InterestReading,
        RealizedReading, LeverageReading, ScalingReading, AlertEvent,
    ],
    ids=lambda record: record.__name__,
)  # fmt: skip
def test_every_field_of_a_record_is_explained(record: type[msgspec.Struct]) -> None:
    """The reference of records names each field."""
    optional = {"at", "corrects"}
    words = set(re.findall(r"`([a-z_0-9]+)`", (DOCS / "RECORDS.md").read_text()))

    assert {field.name for field in msgspec.structs.fields(record)} - optional <= words


def test_the_reference_of_settings_is_of_now() -> None:
    """CONFIGURATION.md is what its program writes."""
    program = runpy.run_path(str(DOCS / "configuration.py"))
    written = program["reference"](program["SOURCE"].read_text())

    assert (DOCS / "CONFIGURATION.md").read_text() == written


def test_the_example_gives_what_the_tour_shows() -> None:
    """The index of the example's chain, as printed."""
    shown = re.search(
        r'^\{"value":[^\n]*"strip"[^\n]*\}$', (DOCS / "TOUR.md").read_text(), re.MULTILINE
    )
    assert shown is not None
    printed = json.loads(shown.group())

    value = volgauge.compute(volgauge.read_chain(EXAMPLE / "chain.csv"), method="native")

    assert value.status.value == printed["status"]
    assert [value.value, value.u, value.strip] == pytest.approx(
        [printed["value"], printed["u"], printed["strip"]], rel=1e-9
    )


def test_the_book_of_the_example_is_worth_what_the_tour_shows(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Hedge, vega limit and stress row, as printed."""
    shown = re.search(
        r'^([\d.]+)\n(\{"value":[^\n]*"within"[^\n]*\})\n(\[[^\n]*\])$',
        (DOCS / "TOUR.md").read_text(),
        re.MULTILINE,
    )
    assert shown is not None
    coins, vega, losses = map(json.loads, shown.groups())

    files = ["--book", str(EXAMPLE / "book.csv"), "--chain", str(EXAMPLE / "chain.csv")]
    assert main(["scale", *files, "--vega-limit", "2500"]) == 0

    told = json.loads(capfdbinary.readouterr().out)
    assert told["hedge"]["coins"] == pytest.approx(coins, rel=1e-9)
    assert told["limits"]["vega"] == pytest.approx(vega, rel=1e-9)
    assert told["stress"]["pnl"][4] == pytest.approx(losses, rel=1e-9)
