"""Fixtures that every suite shares."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine that others use is slow now and then: no test of ours judges by the clock.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


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
