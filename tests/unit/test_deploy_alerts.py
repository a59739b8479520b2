"""Every alert is raised by its symptom and by nothing like it, and has a runbook that can be used.

Prometheus itself decides: `promtool test rules` runs the shipped rules on made-up series.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import DEPLOY, PROMETHEUS, RUNBOOKS, alerts, promtool, rules
from volgauge.cli import app as command_line

BTC = 'asset="BTC"'
STATUS = "volgauge_index_status"
LAG = "volgauge_feed_least_lag_seconds"
MEMORY = "process_resident_memory_bytes"
TARGET = {"job": "volgauge", "instance": "a"}

Series = dict[str, str]
"""Name and labels to values, as promtool writes them: `1x5` is six times 1, `0+5x3` climbs."""


def series(metric: str, values: str, labels: str = "") -> Series:
    """One series of the scraped service."""
    given = ",".join(filter(None, ('job="volgauge",instance="a"', labels)))
    return {f"{metric}{{{given}}}": values}


def case(
    alert: str,
    seen: Series,
    at: str,
    labels: dict[str, str] | None = None,
    *,
    why: str,
    step: str = "15s",
) -> Any:  # noqa: ANN401 - pytest's own type of a case
    """An alert, what Prometheus sees each step, when it is asked, and the labels that it gives."""
    return pytest.param(alert, seen, at, labels, step, id=f"{alert}: {why}")


# The clock of a test begins at 0: a timestamp of `0+15x40` is always new, `0x40` always old.
RAISED = [
    case(
        "VolgaugeIndexStale",
        series("volgauge_index_last_update_timestamp_seconds", "0x40", BTC),
        "2m",
        {"asset": "BTC"},
        why="an input that gets no newer",
    ),
    case(
        "VolgaugeIndexHalted",
        {
            **series(STATUS, "0x40", f'{BTC},status="OK"'),
            **series(STATUS, "1x40", f'{BTC},status="HALTED"'),
        },
        "2m",
        {"asset": "BTC"},
        why="no value for a minute",
    ),
    case(
        "VolgaugeIndexDegraded",
        {
            **series(STATUS, "1x40 0x80", f'{BTC},status="DEGRADED"'),
            **series(STATUS, "0x40 1x80", f'{BTC},status="GUARD"'),
        },
        "20m",
        {"asset": "BTC"},
        why="doubtful one way, then the other",
    ),
    case(
        "VolgaugeBandTooWide",
        {
            **series("volgauge_index_points", "50x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_uncertainty_points", "3x80", f'{BTC},tenor="30d"'),
        },
        "15m",
        {"asset": "BTC", "tenor": "30d"},
        why="an error of 6 percent",
    ),
    case(
        "VolgaugeBandTooWide",
        {
            **series("volgauge_index_points", "50x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_bid_points", "44x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_ask_points", "56x80", f'{BTC},tenor="30d"'),
        },
        "15m",
        {"asset": "BTC", "tenor": "30d"},
        why="24 percent between bid and ask",
    ),
    case(
        "VolgaugeVenueOut",
        series("volgauge_venue_in", "1x20 0x40", f'{BTC},venue="okx"'),
        "11m",
        {"asset": "BTC", "venue": "okx"},
        why="in, then out",
    ),
    case(
        "VolgaugeCoverageLost",
        series("volgauge_feed_coverage_ratio", "0.9x40", 'venue="bybit"'),
        "6m",
        {"venue": "bybit"},
        why="a tenth was refused",
    ),
    case(
        "VolgaugeFeedDown",
        series("volgauge_feed_connected", "1x4 0x40", 'venue="okx"'),
        "3m",
        {"venue": "okx"},
        why="a lost connection",
    ),
    case(
        "VolgaugeFeedSilent",
        {
            **series("volgauge_feed_last_frame_timestamp_seconds", "0x40", 'venue="okx"'),
            **series("volgauge_feed_connected", "1x40", 'venue="okx"'),
        },
        "2m",
        {"venue": "okx"},
        why="connected without a word",
    ),
    case(
        "VolgaugeFeedLate",
        series(LAG, "3x40", 'venue="okx"'),
        "3m",
        {"venue": "okx"},
        why="old quotes",
    ),
    case(
        "VolgaugeClockSkew",
        {**series(LAG, "-1x40", 'venue="okx"'), **series(LAG, "-0.9x40", 'venue="deribit"')},
        "3m",
        {},
        why="every venue is ahead",
    ),
    case(
        "VolgaugeNotPublished",
        series("volgauge_publish_last_record_timestamp_seconds", "0x40", 'sink="redis"'),
        "1m",
        {"sink": "redis"},
        why="a sink that takes nothing",
    ),
    case(
        "VolgaugeRedisDown",
        series("volgauge_publish_connected", "1x4 0x40", 'sink="redis"'),
        "2m",
        {"sink": "redis"},
        why="no answer",
    ),
    case(
        "VolgaugeLosingRecords",
        series("volgauge_publish_failures_total", "0+1x40", 'sink="redis",reason="fenced"'),
        "4m",
        {"sink": "redis", "reason": "fenced"},
        why="a second publisher",
    ),
    case(
        "VolgaugePublishLag",
        {
            **series("volgauge_tick_to_publish_seconds_bucket", "0+90x80", 'le="0.05"'),
            **series("volgauge_tick_to_publish_seconds_bucket", "0+100x80", 'le="0.1"'),
            **series("volgauge_tick_to_publish_seconds_bucket", "0+100x80", 'le="+Inf"'),
        },
        "11m",
        {},
        why="a tenth above 50 ms",
    ),
    case(
        "VolgaugeWebhookFailing",
        series("volgauge_webhook_deliveries_total", "0x4 1x40", 'outcome="lost"'),
        "3m",
        {},
        why="an alert was given up",
    ),
    case(
        "VolgaugeHistoryFailing",
        series("volgauge_history_failures_total", "0+1x40"),
        "4m",
        {},
        why="every write is refused",
    ),
    case("VolgaugeDown", series("up", "1x4 0x40"), "2m", {}, why="no answer"),
    case("VolgaugeDown", {'up{job="other"}': "1x40"}, "2m", {"instance": ""}, why="no such target"),
    case("VolgaugeNotReady", series("volgauge_ready", "0x40"), "3m", {}, why="not ready"),
    case(
        "VolgaugeMemoryGrowth",
        {**series(MEMORY, "500e6+3e6x120"), **series("process_start_time_seconds", "0x120")},
        "9h",
        {},
        why="36 MB an hour, for nine hours",
        step="5m",
    ),
    case(
        "VolgaugeLoggingErrors",
        series("volgauge_log_lines_total", "0x4 1x40", 'level="error"'),
        "2m",
        {},
        why="a line",
    ),
    case(
        "VolgaugeAnalyticsFailing",
        series("volgauge_analytics_failures_total", "0x4 1x40", 'part="coupling"'),
        "2m",
        {"part": "coupling"},
        why="a job that failed",
    ),
]
QUIET = [
    case(
        "VolgaugeIndexStale",
        series("volgauge_index_last_update_timestamp_seconds", "0+15x40", BTC),
        "9m",
        why="an input that is always new",
    ),
    case(
        "VolgaugeIndexHalted",
        {
            **series(STATUS, "0x4 1x2 0x40", f'{BTC},status="HALTED"'),
            **series(STATUS, "1x40", f'{BTC},status="STALE"'),
        },
        "2m",
        why="halted for half a minute; stale has an alert of its own",
    ),
    case(
        "VolgaugeIndexDegraded",
        series(STATUS, "1x40 0 1x40", f'{BTC},status="DEGRADED"'),
        "20m",
        why="it recovered in between",
    ),
    case(
        "VolgaugeBandTooWide",
        {
            **series("volgauge_index_points", "50x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_uncertainty_points", "1x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_bid_points", "48x80", f'{BTC},tenor="30d"'),
            **series("volgauge_index_ask_points", "52x80", f'{BTC},tenor="30d"'),
        },
        "15m",
        why="a usual market",
    ),
    case(
        "VolgaugeVenueOut",
        series("volgauge_venue_in", "0x60", f'{BTC},venue="derive"'),
        "11m",
        why="it never was in",
    ),
    case(
        "VolgaugeCoverageLost",
        series("volgauge_feed_coverage_ratio", "0.5x4 1x40", 'venue="bybit"'),
        "6m",
        why="only while it was subscribing",
    ),
    case(
        "VolgaugeFeedDown",
        series("volgauge_feed_connected", "1x4 0x2 1x40", 'venue="okx"'),
        "2m",
        why="it came back after half a minute",
    ),
    case(
        "VolgaugeFeedSilent",
        {
            **series("volgauge_feed_last_frame_timestamp_seconds", "0x40", 'venue="okx"'),
            **series("volgauge_feed_connected", "0x40", 'venue="okx"'),
        },
        "2m",
        why="it is not connected, which has an alert of its own",
    ),
    case(
        "VolgaugeFeedLate",
        series(LAG, "0.3x40", 'venue="okx"'),
        "3m",
        why="a long way",
    ),
    case(
        "VolgaugeClockSkew",
        {**series(LAG, "-1x40", 'venue="okx"'), **series(LAG, "0.05x40", 'venue="deribit"')},
        "3m",
        why="one venue's own clock",
    ),
    case(
        "VolgaugeNotPublished",
        series("volgauge_publish_last_record_timestamp_seconds", "0+15x40", 'sink="redis"'),
        "9m",
        why="records every second",
    ),
    case(
        "VolgaugeRedisDown",
        {
            **series("volgauge_publish_connected", "1x4 0 1x40", 'sink="redis"'),
            **series("volgauge_publish_connected", "0x40", 'sink="other"'),
        },
        "2m",
        why="back at once",
    ),
    case(
        "VolgaugeLosingRecords",
        series("volgauge_publish_failures_total", "7x40", 'sink="redis",reason="failed"'),
        "4m",
        why="lost long ago",
    ),
    case(
        "VolgaugePublishLag",
        {
            **series("volgauge_tick_to_publish_seconds_bucket", "0+995x80", 'le="0.002"'),
            **series("volgauge_tick_to_publish_seconds_bucket", "0+1000x80", 'le="+Inf"'),
        },
        "11m",
        why="one in two hundred",
    ),
    case(
        "VolgaugeWebhookFailing",
        series("volgauge_webhook_deliveries_total", "0+1x40", 'outcome="retried"'),
        "3m",
        why="a try that was repeated",
    ),
    case(
        "VolgaugeHistoryFailing",
        series("volgauge_history_failures_total", "0x4 1x40"),
        "4m",
        why="one write that was tried again",
    ),
    case("VolgaugeDown", series("up", "1x4 0 1x40"), "2m", why="one scrape was missed"),
    case("VolgaugeNotReady", series("volgauge_ready", "0x4 1x40"), "3m", why="it was starting"),
    case(
        "VolgaugeMemoryGrowth",
        {
            **series(MEMORY, "300e6x5 600e6x115"),
            **series("process_start_time_seconds", "0x120"),
        },
        "6h50m",
        why="it filled its books in the first half hour",
        step="5m",
    ),
    case(
        "VolgaugeMemoryGrowth",
        {
            **series(MEMORY, "500e6x100 900e6x2 500e6x17"),
            **series("process_start_time_seconds", "0x120"),
        },
        "9h",
        why="a peak of a quarter of an hour",
        step="5m",
    ),
    case(
        "VolgaugeLoggingErrors",
        series("volgauge_log_lines_total", "0+1x40", 'level="warning"'),
        "2m",
        why="a warning",
    ),
    case(
        "VolgaugeAnalyticsFailing",
        series("volgauge_analytics_failures_total", "3x40", 'part="coupling"'),
        "2m",
        why="failed long ago",
    ),
]


def ask(
    folder: Path, alert: str, seen: Series, at: str, step: str, expected: list[dict[str, str]]
) -> str:
    """Let promtool evaluate the shipped rule; what it found wrong, empty for nothing."""
    files = []
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        tree = yaml.safe_load(path.read_text())
        for group in tree["groups"]:
            # The texts are for readers: what is tested is when, and with which labels.
            group["rules"] = [
                {key: value for key, value in rule.items() if key != "annotations"}
                for rule in group["rules"]
                if rule.get("alert", alert) == alert
            ]
        files.append(folder / path.name)
        files[-1].write_text(yaml.safe_dump(tree))
    question = {
        "rule_files": [str(path) for path in files],
        "evaluation_interval": step,
        "tests": [
            {
                "interval": step,
                "input_series": [{"series": name, "values": say} for name, say in seen.items()],
                "alert_rule_test": [
                    {
                        "eval_time": at,
                        "alertname": alert,
                        "exp_alerts": [{"exp_labels": labels} for labels in expected],
                    }
                ],
            }
        ],
    }
    path = folder / "question.yml"
    path.write_text(yaml.safe_dump(question))
    done = promtool("test", "rules", str(path))
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize(("alert", "seen", "at", "labels", "step"), RAISED)
def test_an_alert_is_raised_by_its_symptom(
    tmp_path: Path, alert: str, seen: Series, at: str, labels: dict[str, str], step: str
) -> None:
    """With the labels by which it is routed and silenced."""
    severity = alerts()[alert]["labels"]["severity"]
    expected = {**TARGET, **labels, "severity": severity}
    given = {name: value for name, value in expected.items() if value}

    assert ask(tmp_path, alert, seen, at, step, [given]) == ""


@pytest.mark.parametrize(("alert", "seen", "at", "labels", "step"), QUIET)
def test_an_alert_is_not_raised_by_less(
    tmp_path: Path, alert: str, seen: Series, at: str, labels: None, step: str
) -> None:
    """What is usual, passes by itself, or has an alert of its own."""
    assert labels is None
    assert ask(tmp_path, alert, seen, at, step, []) == ""


def test_every_alert_is_tried_both_ways() -> None:
    """A rule without a case is a guess."""
    for cases in (RAISED, QUIET):
        assert {tried.values[0] for tried in cases} == alerts().keys()


def test_recording_rules_are_named_level_metric_operation() -> None:
    """As Prometheus' own guide asks, the level being the labels that are left."""
    names = [rule["record"] for rule in rules() if "record" in rule]

    assert names
    for name in names:
        assert re.fullmatch(r"(job|instance|asset|venue|tenor|_)+:volgauge_\w+:\w+", name)


def test_counters_are_read_as_rates_only() -> None:
    """The height of a counter says nothing."""
    for rule in rules():
        for match in re.finditer(r"volgauge_\w+_(total|bucket)\b", rule["expr"]):
            assert re.search(r"(rate|increase)\($", rule["expr"][: match.start()]), rule["expr"]


@pytest.mark.parametrize("alert", alerts().values(), ids=alerts().keys())
def test_an_alert_says_what_how_bad_and_what_to_do(alert: dict[str, Any]) -> None:
    """CamelCase name, severity, summary in a line, description, a runbook of its own."""
    assert re.fullmatch(r"Volgauge[A-Z][A-Za-z]+", alert["alert"])
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert "\n" not in alert["annotations"]["summary"]
    assert alert["annotations"]["description"].endswith(".")
    assert alert["annotations"]["runbook_url"] == f"deploy/runbooks/{alert['alert']}.md"


def test_there_is_a_runbook_for_each_alert_and_for_nothing_else() -> None:
    """The table of them lists each under its severity."""
    table = (DEPLOY / "runbooks" / "README.md").read_text().splitlines()
    pages = {row.split("|")[1].strip() for row in table if row.startswith("| ")}

    assert {path.stem for path in RUNBOOKS} == alerts().keys()
    for name, alert in alerts().items():
        link = f"[{name}]({name}.md)"
        assert any(link in row for row in table)
        assert (link in pages) == (alert["labels"]["severity"] == "page")


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_has_its_parts_and_commands_that_exist(path: Path) -> None:
    """Three headings, shell that parses, sub-commands of ours that are there."""
    text = path.read_text()
    heads = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert text.startswith(f"# {path.stem}\n")
    assert heads == ["What it means", "What to look at", "What to do"]
    for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert len(part.split()) > 5

    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        parsed = subprocess.run(["bash", "-n"], input=block, text=True, check=False, timeout=10)
        assert parsed.returncode == 0

    for command in re.findall(r"`volgauge ([a-z-]+)", text):
        assert command in command_line
    for link in re.findall(r"\]\(([^)#]+\.md)\)", text):
        assert (path.parent / link).is_file()
