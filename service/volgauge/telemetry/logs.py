"""Structured logs on stderr: one event name, then facts as fields.

Every line states a change; nothing is logged per tick or per frame. The names are a closed list,
`LogEvent`. Levels: debug = frames, info = life cycle, warning = degraded but serving,
error = a person must act. Lines are counted by level, so a burst of errors shows in /metrics too.
"""

import enum
import logging
import re
import sys
from collections import Counter
from typing import TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from volgauge.settings import LogSettings


class LogEvent(enum.StrEnum):
    """Every event that the service logs: `noun.past_participle`."""

    SERVICE_STARTED = "service.started"
    SERVICE_READY = "service.ready"
    """The first index is out; /readyz is green."""
    SERVICE_STOPPING = "service.stopping"
    """A signal came; what waits is flushed."""
    SERVICE_STOPPED = "service.stopped"
    SERVICE_FAILED = "service.failed"
    """A programming mistake ended the process; carries the traceback."""
    KERNELS_WARMED = "kernels.warmed"
    CONFIG_LOADED = "config.loaded"
    CATALOG_REFRESHED = "catalog.refreshed"
    CATALOG_REFUSED = "catalog.refused"
    """A listing could not be fetched or read; the old one stays in use."""
    FEED_CONNECTED = "feed.connected"
    FEED_SUBSCRIBED = "feed.subscribed"
    """The acknowledgements are in and the first data has come."""
    FEED_DISCONNECTED = "feed.disconnected"
    FEED_RESTRICTED = "feed.restricted"
    """The venue accepted only a part of the subscription."""
    FEED_LOCKED = "feed.locked"
    """The venue locked an index or went into maintenance."""
    FEED_UNLOCKED = "feed.unlocked"
    BOOK_GAP_DETECTED = "book.gap_detected"
    BOOK_RESYNCHRONISED = "book.resynchronised"
    INSTRUMENT_SKIPPED = "instrument.skipped"
    """A listing has a descriptive value that we do not know."""
    INDEX_STATUS_CHANGED = "index.status_changed"
    INDEX_FIXED = "index.fixed"
    ANALYTICS_SEEDED = "analytics.seeded"
    """History gave the analytics their past."""
    ANALYTICS_FAILED = "analytics.failed"
    """A job ended with an error; told once until it works again, carries the traceback."""
    ALERT_RAISED = "alert.raised"
    ALERT_CLEARED = "alert.cleared"
    WEBHOOK_FAILED = "webhook.failed"
    WEBHOOK_RECOVERED = "webhook.recovered"
    WEBHOOK_REFUSED = "webhook.refused"
    """The receiver answered with an error that no retry cures."""
    WEBHOOK_LOST = "webhook.lost"
    PUBLISH_CONNECTED = "publish.connected"
    PUBLISH_FAILED = "publish.failed"
    PUBLISH_RECOVERED = "publish.recovered"
    PUBLISH_EVENTS_LOST = "publish.events_lost"
    PUBLISH_EPOCH_CLAIMED = "publish.epoch_claimed"
    """The number that fences every older publisher is known."""
    PUBLISH_FENCED = "publish.fenced"
    """Another process with a newer epoch publishes the same index."""
    BUNDLED_EXITED = "bundled.exited"
    """The bundled Valkey ended without being asked to."""
    HTTP_STARTED = "http.started"
    HTTP_FAILED = "http.failed"
    HISTORY_FILLED = "history.filled"
    HISTORY_FAILED = "history.failed"
    HISTORY_WRITE_FAILED = "history.write_failed"
    HISTORY_WRITE_RECOVERED = "history.write_recovered"
    HISTORY_PRUNE_FAILED = "history.prune_failed"
    RECORDER_STARTED = "recorder.started"
    RECORDER_FAILED = "recorder.failed"
    RECORDER_STOPPED = "recorder.stopped"
    REPLAY_STARTED = "replay.started"
    REPLAY_FRAME_REFUSED = "replay.frame_refused"
    """A recorded frame breaks the venue's schema; the session it belongs to ends there."""
    REPLAY_FINISHED = "replay.finished"
    COMPARE_FINISHED = "compare.finished"
    VERIFY_FINISHED = "verify.finished"
    SIMULATOR_STARTED = "simulator.started"
    SIMULATOR_STOPPED = "simulator.stopped"
    LIBRARY_REPORTED = "library.reported"
    """A line of a library's own logger (asyncio, aiohttp, websockets); `message` is its text."""


LEVELS = ("debug", "info", "warning", "error", "critical")
"""What lines are counted by."""

_LEVEL_NUMBERS = logging.getLevelNamesMapping()
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")


def configure(log: LogSettings, stream: TextIO | None = None) -> Counter[str]:
    """Send the service's and the libraries' logs to one stream in one form.

    Args:
        log: Level and form. `auto` is for people on a terminal and JSON everywhere else.
        stream: Where to; standard error when None.

    Returns:
        Lines written so far by level, all of `LEVELS` present from the start.
    """
    out = sys.stderr if stream is None else stream
    counts: Counter[str] = Counter(dict.fromkeys(LEVELS, 0))
    level = _LEVEL_NUMBERS[log.level.upper()]
    is_terminal = out.isatty()
    console = log.format == "console" or (log.format == "auto" and is_terminal)

    def count(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        counts[event["level"]] += 1
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        count,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.UnicodeDecoder(),
    ]
    rendering: list[Processor] = [structlog.processors.format_exc_info, _mask_passwords]
    if console:
        # The traceback is text already: rich ones would print local variables, secrets included.
        rendering.append(structlog.dev.ConsoleRenderer(colors=is_terminal))
    else:
        rendering.append(structlog.processors.JSONRenderer(serializer=_encode))
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries log each connection at info and each frame at debug: neither is a change of state.
    root.setLevel(logging.INFO if log.level == "debug" else max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
    return counts


def _name_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Turn a library's sentence into a field, so that the event stays one of the closed list."""
    record: logging.LogRecord = event["_record"]
    event["message"] = event["event"]
    event["event"] = LogEvent.LIBRARY_REPORTED
    event["logger"] = record.name
    return event


def _mask_passwords(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str) and "://" in value:
            event[key] = _PASSWORD.sub(r"\1***@", value)
    return event


def _encode(event: EventDict, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
