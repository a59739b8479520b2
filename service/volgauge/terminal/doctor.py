"""`volgauge doctor`: would the service run here, and what to do where it would not."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table
from rich.text import Text

from volgauge.settings import Settings
from volgauge.terminal import machine, reach, services
from volgauge.terminal.findings import Finding, Level, fail, fine, in_thread, warn
from volgauge.terminal.layout import printable

DEADLINE_SECONDS = 8.0
"""Whatever has not answered by then is said not to have."""
SKEW_WARN_SECONDS, SKEW_FAIL_SECONDS = 0.5, 5.0
"""Expiries and fixings are by our clock; at the second one no record looks live to its readers."""
EXIT_FAIL = 1
_STYLE = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


class Report(Struct, frozen=True):
    """What `--json` prints."""

    level: Level
    """The worst of all."""
    seconds: float
    findings: tuple[Finding, ...]


def doctor(settings: Settings, *, as_json: bool) -> int:
    """Check everything, print it, and return the exit code: 1 when a check fails."""
    began = time.perf_counter()
    findings = asyncio.run(examine(settings))
    report = Report(_worst(findings), round(time.perf_counter() - began, 2), tuple(findings))
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report)
    sys.stdout.flush()
    return EXIT_FAIL if report.level is Level.FAIL else 0


async def examine(settings: Settings, deadline_seconds: float = DEADLINE_SECONDS) -> list[Finding]:
    """Every check at the same time; what is not done at the deadline is cut off."""
    local: list[tuple[str, Callable[[], Finding]]] = [
        ("python", machine.check_python),
        ("kernels", machine.check_kernels),
        ("files", machine.check_files),
        ("memory", machine.check_memory),
        ("history", lambda: machine.check_file("history", settings.history.path)),
        ("recorder", lambda: machine.check_folder("recorder", settings.recorder.path)),
        ("HTTP port", lambda: services.check_http(settings.http)),
        ("bundled server", lambda: machine.check_server(settings)),
        ("Redis", lambda: services.check_redis(settings.redis)),
        ("clock state", machine.check_clock_state),
    ]
    walks = reach.walks(settings)
    checks = [asyncio.ensure_future(in_thread(check)) for _, check in local]
    walking = [asyncio.ensure_future(work) for _, work in walks]
    tasks: list[asyncio.Future[Any]] = [*checks, *walking]
    await asyncio.wait(tasks, timeout=deadline_seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    findings = [fine("configuration", "valid")]
    for (name, _), task in zip(local, checks, strict=True):
        findings.append(_result(name, task, deadline_seconds))
    for walk in walking:
        if not walk.cancelled():
            walk.result()  # an error that no step knows is one of ours
    venues = [walk.finding() for walk, _ in walks]
    return [*findings, *_judge_clocks(findings, venues)]


def _result(name: str, task: "asyncio.Future[Finding]", seconds: float) -> Finding:
    if task.cancelled():
        return fail(
            name, f"no answer in {seconds:g} s", "Try again; the machine may be overloaded."
        )
    return task.result()


def _judge_clocks(local: list[Finding], venues: list[Finding]) -> list[Finding]:
    """Compare our clock with the venues', in the middle of them, and theirs with that middle."""
    middle = reach.median_skew(venues)
    judged = []
    for one in venues:
        apart = one.skew_seconds - middle if one.skew_seconds is not None and middle else 0.0
        if one.level is Level.OK and abs(apart) > SKEW_WARN_SECONDS:
            found = f"{one.found}; its clock is {apart:+.1f} s off the other venues'"
            advice = "Check its address: only the venue can set its clock."
            judged.append(replace(one, level=Level.WARN, found=found, advice=advice))
        else:
            judged.append(one)
    sources = [("the venues", middle)]
    sources += [("Redis", one.skew_seconds) for one in local if one.check == "Redis"]
    known = [(name, skew) for name, skew in sources if skew is not None]
    return [_clock(known), *judged]


def _clock(known: list[tuple[str, float]]) -> Finding:
    """Ours against those who told their time."""
    if not known:
        return warn(
            "clock", "nobody told the time: skew unknown", "Let a venue or Redis be reached first."
        )
    found = ", ".join(f"{-skew:+.3f} s against {name}" for name, skew in known)
    worst = max(abs(skew) for _, skew in known)
    advice = "Set this machine's clock by NTP; if only one source differs, set that one's."
    if worst > SKEW_FAIL_SECONDS:
        return fail("clock", found, advice)
    return warn("clock", found, advice) if worst > SKEW_WARN_SECONDS else fine("clock", found)


def _worst(findings: list[Finding]) -> Level:
    order = (Level.FAIL, Level.WARN, Level.OK)
    return next(level for level in order if any(one.level is level for one in findings))


def _print(report: Report) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in report.findings:
        text = Text(printable(one.found))
        if one.advice:
            text.append(f"\n{printable(one.advice)}", style="italic")
        table.add_row(Text(one.level.value, style=_STYLE[one.level]), Text(one.check), text)
    console = Console()
    console.print(table)
    counts = {level: sum(one.level is level for one in report.findings) for level in Level}
    told = ", ".join(f"{count} {level.value}" for level, count in counts.items())
    console.print(Text(f"\n{told} in {report.seconds:.1f} s", style=_STYLE[report.level]))
