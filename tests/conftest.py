"""Fixtures that every suite shares."""

import os
from itertools import chain, groupby, zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that others use is slow now and then: no test of ours judges by the clock.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

WAITING = ("integration", "browser")
"""Folders whose tests mostly wait for processes; the others compute."""
SHORT = ("property", "replay", "unit")
"""Their files end soon: at the end of a run no worker waits long for the other."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait and files that compute by turns: two workers then share two cores well."""
    files = [list(tests) for _, tests in groupby(items, lambda item: item.path)]
    waiting = [file for file in files if file[0].path.parent.name in WAITING]
    computing = [file for file in files if file[0].path.parent.name not in WAITING]
    computing.sort(key=lambda file: bool({*file[0].path.parts} & {*SHORT}))
    turns = chain.from_iterable(zip_longest(waiting, computing, fillvalue=[]))
    items[:] = chain.from_iterable(turns)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of recorded frames and real chains; absent from the repository on purpose."""
    named = os.environ.get("VOLGAUGE_TEST_DATA")
    if not named:
        pytest.skip(
            "VOLGAUGE_TEST_DATA names no folder: recorded data is not part of the repository"
        )
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"VOLGAUGE_TEST_DATA={named} is not a folder")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests measured: every `record_property("measured", line)`, passed or failed."""
    lines = [
        f"{report.nodeid.rpartition('/')[2]}: {text}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, text in report.user_properties
        if name == "measured" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(lines):
            terminalreporter.line(line)
