"""What the command line does with evidence: verify, explain, take it out of a recording."""

import sys
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec
import structlog
from msgspec import Struct

from volgauge import __version__
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Source, tenor_label
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import InputError, VenueError
from volgauge.index.bundle import build_facts
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper, Missing
from volgauge.offline import explain as explaining
from volgauge.offline import verify as auditing
from volgauge.offline.explanation import Move
from volgauge.offline.recording_check import RecordingCheck, RecordingVerdict
from volgauge.pipeline import build_pipeline
from volgauge.playback import as_recorded
from volgauge.settings import Settings
from volgauge.telemetry import logs
from volgauge.wire import replay as recordings

EXTRACT_BYTES = 256_000_000
EXTRACT_SECONDS = 120
"""A record may repeat a value of a minute before; its inputs must still be there."""
FETCH_SECONDS = 10.0
MAX_BUNDLE_BYTES = 64_000_000

log = structlog.get_logger("volgauge")


class Wanted(Struct, frozen=True, kw_only=True):
    """Which record's evidence is asked for."""

    asset: str
    tenor_days: float
    seq: int


def verify(settings: Settings, source: str, *, with_restatements: bool) -> bool:
    """Recompute what was published; one JSON verdict on stdout. False when it is not the same."""
    logs.configure(settings.log)
    verdict: auditing.BundleVerdict | RecordingVerdict | auditing.ServiceVerdict
    build = build_facts(__version__)
    if Path(source).is_dir():
        verdict = _verify_recording(settings, Path(source), with_restatements=with_restatements)
    elif with_restatements:
        raise InputError(f"{source}: --restate needs a recording, its settings and its frames")
    elif _is_url(source) and urlsplit(source).path in {"", "/"}:
        verdict = auditing.verdict_of_service(
            [
                auditing.verify(_bundle_of(_evidence_url(source, record)), build)
                for record in _newest_records(source)
            ]
        )
    else:
        verdict = auditing.verify(_bundle_of(source), build)
    sys.stdout.buffer.write(msgspec.json.encode(verdict) + b"\n")
    return verdict.verified


def _verify_recording(
    settings: Settings, folder: Path, *, with_restatements: bool
) -> RecordingVerdict:
    recorded = recordings.read_settings(folder) or {}
    settings = as_recorded(settings, folder)
    engine, adapters = build_pipeline(
        settings, Source.REPLAY, has_connections=recordings.is_ours(folder)
    )
    check = RecordingCheck(
        (auditing.read_record(line, str(folder)) for line in recordings.read_records(folder)),
        exact=recorded.get("build") == msgspec.to_builtins(build_facts(__version__)),
        with_restatements=with_restatements,
    )
    auditor = _Auditor(engine, check)
    recordings.replay(folder, adapters, auditor, auditor.refused)
    log.info("verify.finished", refused=auditor.refused_count)
    return check.verdict(auditor.last_ns)


class _Auditor:
    """The engine as a replay drives it, its records held against the published ones."""

    def __init__(self, engine: Engine, check: RecordingCheck) -> None:
        self._engine = engine
        self._check = check
        self.last_ns = 0
        self.refused_count = 0

    def timer(self, now_ns: int) -> None:
        """Time passed."""
        self._engine.timer(now_ns)

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """Recompute and compare."""
        self.last_ns = now_ns
        for record in self._engine.recompute(now_ns, only):
            if isinstance(record, IndexValue):
                self._check.take(record)

    def refused(self, error: VenueError) -> None:
        """A frame was refused, as it was live."""
        self.refused_count += 1
        log.warning("replay.frame_refused", error=str(error))


def evidence(settings: Settings, folder: Path, wanted: Wanted) -> int:
    """Take the evidence of one record out of a recording; the bundle on stdout."""
    logs.configure(settings.log)
    settings = as_recorded(settings, folder)
    keeper = EvidenceKeeper(
        max_bytes=EXTRACT_BYTES, keep_ns=EXTRACT_SECONDS * NANOS_PER_SECOND, engine=__version__
    )
    engine, adapters = build_pipeline(
        settings, Source.REPLAY, has_connections=recordings.is_ours(folder), evidence=keeper
    )
    finder = _Finder(engine, wanted)
    with suppress(_Found):
        recordings.replay(folder, adapters, finder, finder.refused)
    excerpt = keeper.find(wanted.asset, wanted.tenor_days, wanted.seq)
    bundle = excerpt if isinstance(excerpt, Missing) else excerpt.bundle()
    if isinstance(bundle, Missing):
        raise InputError(
            f"{folder}: no evidence of {wanted.asset}, {wanted.tenor_days:g} days, "
            f"seq {wanted.seq}: {bundle.value}"
        )
    sys.stdout.buffer.write(msgspec.json.encode(bundle) + b"\n")
    return 0


class _Found(Exception):
    """The wanted record came out."""


class _Finder:
    """The engine as a replay drives it, until one record has come out."""

    def __init__(self, engine: Engine, wanted: Wanted) -> None:
        self._engine = engine
        self._wanted = wanted

    def timer(self, now_ns: int) -> None:
        """Time passed."""
        self._engine.timer(now_ns)

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """Recompute, and end the replay with the wanted record."""
        for record in self._engine.recompute(now_ns, only):
            if isinstance(record, IndexValue) and self._wanted == Wanted(
                asset=record.asset, tenor_days=record.tenor_days, seq=record.seq
            ):
                raise _Found

    def refused(self, error: VenueError) -> None:
        """A frame was refused, as it was live."""
        log.warning("replay.frame_refused", error=str(error))


def explain(settings: Settings, source: str, *, against: str | None, service: str | None) -> bool:
    """Take a value apart, or its move; one JSON object on stdout. False without a value."""
    logs.configure(settings.log)
    bundle = _bundle_of(source, service)
    older = None if against is None else _bundle_of(against, service)
    try:
        explanation = explaining.explain(bundle, older)
    except ValueError as error:
        raise InputError(f"--against: {error}") from error
    sys.stdout.buffer.write(msgspec.json.encode(explanation) + b"\n")
    if isinstance(explanation, Move):
        return explanation.difference is not None
    return explanation.value is not None


def _bundle_of(source: str, service: str | None = None) -> EvidenceBundle:
    """A bundle from a file, standard input (`-`) or a URL; or that of a record, from a service."""
    data = _read(source)
    if service is not None and (record := auditing.record_in(data)) is not None:
        source = _evidence_url(service, record)
        data = _read(source)
    return auditing.read_bundle(data, source)


def _newest_records(service: str) -> list[IndexValue]:
    """The newest record of every index that a running service publishes."""
    url = service.rstrip("/") + "/v1/index"
    try:
        answer = msgspec.json.decode(_read(url), type=dict[str, list[IndexValue]])
    except msgspec.DecodeError as error:
        raise InputError(f"{url}: expected records, {error}") from error
    records = answer.get("indices", [])
    if not records:
        raise InputError(f"{url}: nothing was published yet")
    return records


def _evidence_url(service: str, record: IndexValue) -> str:
    tenor = tenor_label(record.tenor_days)
    return f"{service.rstrip('/')}/v1/evidence/{record.asset}/{record.seq}?tenor={tenor}"


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _read(source: str) -> bytes:
    """The bytes of a file, of standard input (`-`) or behind a URL.

    Raises:
        InputError: They cannot be had.
    """
    try:
        if source == "-":
            return sys.stdin.buffer.read()
        if not _is_url(source):
            return Path(source).read_bytes()
        with urlopen(source, timeout=FETCH_SECONDS) as response:  # noqa: S310 - http(s) only
            body: bytes = response.read(MAX_BUNDLE_BYTES)
            return body
    except HTTPError as error:
        message = error.read(4096).decode(errors="replace")
        raise InputError(f"{source}: {error.code} {message}") from error
    except (OSError, HTTPException) as error:
        raise InputError(f"{source}: {error}") from error
