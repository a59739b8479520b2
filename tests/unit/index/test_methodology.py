"""METHODOLOGY.md says what the program does: version, closed lists, limits, sections."""

import enum
import operator
import re
from functools import cache
from importlib import import_module
from importlib.resources import files

import pytest

from volgauge.domain.analytics import RAISED_BELOW, Lack, Rule
from volgauge.domain.index import METHODOLOGY_VERSION, Flag, Reason, Reject, Status
from volgauge.index.quality import DEGRADING
from volgauge.settings import Settings

UNITS = {"s": 1e9, "min": 60e9, "h": 3600e9, "d": 86_400e9}
"""Nanoseconds, for constants that end in _NS."""
CODE_MENTION = re.compile(r"METHODOLOGY,? (?:§|sections? )(\d+)")


@cache
def text() -> str:
    """The file as it is shipped."""
    return files("volgauge.index").joinpath("METHODOLOGY.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """From a heading to the next one of any level."""
    found = re.search(rf"(?ms)^#+ {re.escape(title)}.*?$(.*?)(?=^#|\Z)", text())
    assert found is not None, title
    return found[1]


def rows(part: str) -> list[list[str]]:
    """Cells of a part's table, without its two head lines."""
    lines = [line for line in part.splitlines() if line.startswith("|")]
    table = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines
    ]
    assert {*"".join(table[1])} <= {"-"}
    return table[2:]


def names(part: str) -> list[str]:
    """First cells of a part's table, without backticks."""
    return [cells[0].strip("`") for cells in rows(part)]


def values(members: type[enum.Enum]) -> list[str]:
    """The words of a closed list."""
    return sorted(member.value for member in members)


def limits() -> list[list[str]]:
    """Rows of section 8."""
    return rows(section("8. Limits in force"))


def readings() -> list[list[str]]:
    """Rows of the appendix's table."""
    return rows(section("Constants of the appendix"))


def constant(path: str) -> float:
    """What the program holds: `module:NAME`, or a default of the settings."""
    module, name = path.split(":")
    if name.startswith("Settings."):
        return float(operator.attrgetter(name.removeprefix("Settings."))(Settings()))
    return float(getattr(import_module(f"volgauge.{module}"), name))


def test_version_is_that_of_the_records() -> None:
    """The number in the head is the one that every record carries, and the newest change."""
    (version,) = re.findall(r"(?m)^\| Version \| (\S+) \|$", text())

    assert version == METHODOLOGY_VERSION
    assert names(section("15. Changes"))[0] == METHODOLOGY_VERSION


@pytest.mark.parametrize(
    ("title", "members"),
    [
        ("Flags: why a value may be off", Flag),
        ("Reasons: why a value is null", Reason),
        ("Refusals: why one option's quote was not used", Reject),
        ("Why a reading is null", Lack),
    ],
    ids=["flags", "reasons", "refusals", "lacks"],
)
def test_every_member_of_a_closed_list_is_documented(title: str, members: type[enum.Enum]) -> None:
    """Each word once, and no word that the program does not know."""
    assert sorted(names(section(title))) == values(members)


def test_every_status_is_documented() -> None:
    """The ladder of rule 20 holds all statuses."""
    part = text()[text().index("**Rule 20.**") : text().index("**Rule 21.**")]

    assert sorted(names(part)) == values(Status)


def test_flags_that_degrade_are_those_of_the_ladder() -> None:
    """The second column is the program's set."""
    marked = {
        name.strip("`") for name, degrades, _ in rows(section("Flags: why")) if degrades == "yes"
    }

    assert marked == {flag.value for flag in DEGRADING}


@pytest.mark.parametrize("row", limits() + readings(), ids=lambda row: row[-1])
def test_limit_is_that_of_the_program(row: list[str]) -> None:
    """The printed value, in its unit, equals the constant."""
    _, _, value, unit, path = row
    scale = 1.0
    if unit == "%":
        scale = 0.01
    elif path.endswith("_NS"):
        scale = UNITS[unit]

    assert constant(path) == pytest.approx(float(value) * scale, rel=1e-12)


def test_limits_cover_the_rules_with_numbers() -> None:
    """From the fill target to the restatement; rules 4, 5, 8, 15 and 23 have no constant."""
    covered = {row[0] for row in limits()}

    assert covered >= {
        *("1", "2", "2a", "3", "6", "7", "9", "10", "10a", "10b", "11", "12", "13", "14"),
        *("16", "17", "18", "19", "20", "21", "22"),
    }


def test_the_appendix_covers_every_part() -> None:
    """Each part of the analytics has its formulas and its constants."""
    titles = set(re.findall(r"(?m)^### (.+)$", text().partition("## Appendix. ")[2]))
    covered = {row[0] for row in readings()}

    assert titles >= {
        *("Surface readings", "Interest", "Order flow", "Realised volatility"),
        *("Variance risk premium", "The index against its own past", "Markers"),
        *("Coupling of assets", "Leverage", "Volatility scaling", "Regimes", "Alerts"),
    }
    assert covered == {
        *("surface", "interest", "flow", "price", "realised", "level", "premium", "markers"),
        *("coupling", "spillover", "leverage", "scaling", "regimes", "alerts", "run"),
    }


@pytest.mark.parametrize("rule", list(Rule), ids=lambda rule: rule.value)
def test_every_alert_rule_is_documented_with_its_default(rule: Rule) -> None:
    """Raised and cleared at the numbers of the settings, after as many seconds."""
    table = {cells[0].strip("`"): cells for cells in rows(section("Alerts"))}
    _, _, raised, cleared, seconds, _ = table[rule.value]
    defaults = getattr(Settings().alerts.rules, rule.value)

    assert float(raised.split()[-1]) == defaults.raise_at
    assert float(cleared.split()[-1]) == defaults.clear_at
    assert float(seconds.split()[0]) == defaults.for_seconds
    assert ("<" in raised) == (rule in RAISED_BELOW)


def test_every_rule_stands_once_and_in_order() -> None:
    """Rules 1 to 23 with 2a, 10a and 10b: the numbers that comments in the program quote."""
    found = re.findall(r"(?m)^\*\*Rule (\d+[ab]?)\.\*\*", text())

    expected = [str(number) for number in range(1, 24)]
    for letter in ("2a", "10a", "10b"):
        after = {"2a": "2", "10a": "10", "10b": "10a"}[letter]
        expected.insert(expected.index(after) + 1, letter)
    assert found == expected


def test_sections_that_the_program_quotes_exist() -> None:
    """A comment that says METHODOLOGY §6 can be looked up."""
    there = set(re.findall(r"(?m)^## (\d+)\. ", text()))
    quoted = set()
    for package in ("domain", "kernels", "book", "surface", "index", "telemetry", "offline"):
        for file in files("volgauge").joinpath(package).iterdir():
            if file.name.endswith(".py"):
                quoted |= set(CODE_MENTION.findall(file.read_text(encoding="utf-8")))

    assert quoted
    assert quoted <= there


def test_figures_have_a_place_that_a_program_can_fill() -> None:
    """Every begin mark has its end mark after it."""
    begins = re.findall(r"<!-- begin: (\S+) -->", text())
    ends = re.findall(r"<!-- end: (\S+) -->", text())

    assert begins == ends
    assert len(set(begins)) == len(begins) >= 4
