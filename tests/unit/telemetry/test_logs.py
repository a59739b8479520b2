"""Logs are one JSON object a line with closed names and without secrets."""

import ast
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

import volgauge
from volgauge.settings import LogSettings
from volgauge.telemetry.logs import LEVELS, LogEvent, configure


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Leave the process's logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged, decoded."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_event_level_and_utc_time() -> None:
    """Without a terminal the form is JSON."""
    out = io.StringIO()
    configure(LogSettings(), out)

    structlog.get_logger().info(LogEvent.FEED_CONNECTED, venue="deribit", wait_seconds=0.5)

    (line,) = lines(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("timestamp"))
    assert line == {
        "event": "feed.connected",
        "level": "info",
        "venue": "deribit",
        "wait_seconds": 0.5,
    }


def test_console_form_is_text() -> None:
    """People on a terminal read words, not JSON."""
    out = io.StringIO()
    configure(LogSettings(format="console"), out)

    structlog.get_logger().warning(LogEvent.PUBLISH_FAILED, sink="redis")

    assert "publish.failed" in out.getvalue()
    assert "sink=redis" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_lines_below_the_level_are_dropped() -> None:
    """The level of the settings is the least severe one shown."""
    out = io.StringIO()
    configure(LogSettings(level="warning"), out)

    structlog.get_logger().info(LogEvent.FEED_CONNECTED)
    structlog.get_logger().warning(LogEvent.FEED_DISCONNECTED)

    assert [line["event"] for line in lines(out)] == ["feed.disconnected"]


def test_libraries_log_through_the_same_form() -> None:
    """A library's sentence is a field of one event of the closed list."""
    out = io.StringIO()
    configure(LogSettings(), out)

    logging.getLogger("websockets.client").warning("closed by %s", "peer")

    (line,) = lines(out)
    assert (line["event"], line["logger"]) == ("library.reported", "websockets.client")
    assert (line["message"], line["level"]) == ("closed by peer", "warning")


def test_chatter_of_libraries_is_not_shown() -> None:
    """Each opened connection at info is no change of state of ours."""
    out = io.StringIO()
    configure(LogSettings(level="info"), out)

    logging.getLogger("websockets.client").info("connection open")

    assert out.getvalue() == ""


def test_python_warnings_become_lines() -> None:
    """A warning of a library must not break the one-object-a-line form."""
    out = io.StringIO()
    configure(LogSettings(), out)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        # catch_warnings put the interpreter's own printer back: capture again inside it.
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old name", UserWarning, stacklevel=1)
        logging.captureWarnings(capture=False)

    (line,) = lines(out)
    assert "old name" in line["message"]


@pytest.mark.parametrize("source", ["service", "library"])
def test_passwords_in_urls_are_masked(source: str) -> None:
    """Fields, messages and tracebacks alike."""
    out = io.StringIO()
    configure(LogSettings(), out)
    url = "redis://user:hunter2@example.test:6379/0"

    def fail() -> None:
        raise OSError(url)

    try:
        fail()
    except OSError as error:
        if source == "service":
            structlog.get_logger().exception(LogEvent.PUBLISH_FAILED, url=url, error=str(error))
        else:
            logging.getLogger("redis").exception("cannot reach %s", url)

    assert "hunter2" not in out.getvalue()
    assert "user:***@example.test" in out.getvalue()


def test_a_traceback_is_one_field_without_local_variables() -> None:
    """Locals can hold anything, secrets included."""
    out = io.StringIO()
    configure(LogSettings(), out)

    def fail() -> None:
        held = "open" + " sesame"
        raise ValueError(len(held))

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception(LogEvent.SERVICE_FAILED)

    (line,) = lines(out)
    assert line["exception"].endswith("ValueError: 11")
    assert "open sesame" not in line["exception"]


def test_line_breaks_in_a_value_do_not_make_a_second_line() -> None:
    """What a venue sends cannot forge a log line."""
    out = io.StringIO()
    configure(LogSettings(), out)

    structlog.get_logger().warning(LogEvent.INSTRUMENT_SKIPPED, name='x\n{"event":"forged"}')

    assert [line["event"] for line in lines(out)] == ["instrument.skipped"]


def test_values_without_a_json_form_are_written_as_text() -> None:
    """A log line never raises for what it is given."""
    out = io.StringIO()
    configure(LogSettings(), out)

    structlog.get_logger().info(LogEvent.CONFIG_LOADED, path=Path("a/b"), odd=3j)

    (line,) = lines(out)
    assert (line["path"], line["odd"]) == ("a/b", "3j")


def test_lines_are_counted_by_level() -> None:
    """Both the service's and the libraries' lines, zero from the start."""
    counts = configure(LogSettings(), io.StringIO())
    assert dict(counts) == dict.fromkeys(LEVELS, 0)

    structlog.get_logger().info(LogEvent.SERVICE_STARTED)
    structlog.get_logger().debug(LogEvent.FEED_SUBSCRIBED)
    logging.getLogger("aiohttp").error("failed")

    assert dict(counts) == {"debug": 0, "info": 1, "warning": 0, "error": 1, "critical": 0}


def test_names_are_noun_and_participle() -> None:
    """Every name reads `noun.past_participle`."""
    for event in LogEvent:
        assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", event.value)


def test_the_service_logs_no_name_outside_the_list() -> None:
    """Literal names in the code are members of the closed list."""
    known = {event.value for event in LogEvent}
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    unknown = []
    for path in sorted(Path(volgauge.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr=method),
                    args=[ast.Constant(value=str(name)), *_],
                ) if method in levels and "." in name and " " not in name:
                    if name not in known:
                        unknown.append(f"{path.name}: {name}")

    assert unknown == []
