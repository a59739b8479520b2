"""Evidence, verification and explanation of a running service, by its API and by the commands."""

import json
import shutil
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from integration.processes import (
    Line,
    Process,
    addresses,
    eventually,
    fetch,
    page_of,
    recorded_lines,
    result_of,
    venue,
)
from volgauge.domain.evidence import EvidenceBundle
from volgauge.publish.record import shipped_schema
from volgauge.wire.recorder import write_recording

SETTINGS = {
    "VOLGAUGE__INDEX__TENORS_DAYS": "[7, 30, 60]",
    "VOLGAUGE__REDIS__ENABLED": "false",
}
CHECKS = 35
"""A verdict of a whole record has more than these."""


class Ran(msgspec.Struct, frozen=True):
    """What a service left behind, and what it answered while it ran."""

    folder: Path
    bundle: bytes
    etag: str
    again: int
    """Status of the same request with its ETag."""
    level: Line
    move: Line
    by_url: tuple[int, Line]
    by_root: tuple[int, Line]
    by_record: tuple[int, Line]
    refusals: dict[str, tuple[int, Line]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Some seconds of a service that records and is asked for its evidence."""
    base = tmp_path_factory.mktemp("evidence")
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(rate=300.0))
        settings = {
            **addresses(simulator),
            **SETTINGS,
            "VOLGAUGE__RECORDER__PATH": str(base / "recording"),
        }
        service = stack.enter_context(Process("run", "--port", "0", environment=settings))
        root = page_of(service)
        first = eventually(lambda: newest(root), "a value", 60.0)
        last = eventually(lambda: newest(root, first["seq"] + 200), "200 more records")
        url = f"{root}/v1/evidence/BTC/{last['seq']}"
        bundle, etag = raw_fetch(url)
        refusals = {
            path: typed(fetch(f"{root}{path}"))
            for path in (
                "/v1/evidence/BTC/999999999",
                "/v1/evidence/NOPE/1",
                "/v1/evidence/BTC/1?tenor=11",
                "/v1/evidence/BTC/x",
                "/v1/evidence/BTC/1?unknown=1",
                f"/v1/explain/BTC/{last['seq']}?against=-1",
            )
        }
        record_path = base / "record.json"
        record_path.write_text(json.dumps(last))
        found = Ran(
            folder=base / "recording",
            bundle=bundle,
            etag=etag,
            again=status_with(url, etag),
            level=json.loads(fetch(f"{root}/v1/explain/BTC/{last['seq']}?tenor=30d")[2]),
            move=json.loads(
                fetch(f"{root}/v1/explain/BTC/{last['seq']}?against={first['seq']}")[2]
            ),
            by_url=verdict_of("verify", url),
            by_root=verdict_of("verify", root),
            by_record=verdict_of("explain", str(record_path), "--service", root),
            refusals=refusals,
        )
        code, _ = service.terminate()
        assert code == 0, service.last_words
    return found


def newest(root: str, after_seq: int = 0) -> Line:
    """The newest headline record, once it has a value and came after another; else an empty one."""
    status, _, body = fetch(f"{root}/v1/index/BTC/30d")
    record: Line = json.loads(body)
    is_wanted = status == 200 and record["value"] is not None and record["seq"] > after_seq
    return record if is_wanted else {}


def raw_fetch(url: str) -> tuple[bytes, str]:
    """Body and ETag."""
    with urllib.request.urlopen(url, timeout=10.0) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
        return body, answer.headers["ETag"]


def status_with(url: str, etag: str) -> int:
    """Status of a conditional request."""
    request = urllib.request.Request(url, headers={"If-None-Match": etag})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10.0) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def typed(answer: tuple[int, str, str]) -> tuple[int, Line]:
    """Status and error body."""
    return answer[0], json.loads(answer[2])["error"]


def verdict_of(*arguments: str) -> tuple[int, Line]:
    """Exit code and the JSON object on standard output."""
    code, output = result_of(*arguments)
    return code, json.loads(output) if output else {}


def test_bundle_of_a_running_service_is_verified_to_the_bit(ran: Ran) -> None:
    """By another process of the same build: digests, variances, weights and every number."""
    code, verdict = ran.by_url

    assert (0, True, True) == (code, verdict["verified"], verdict["exact"])
    assert len(verdict["checks"]) > CHECKS
    assert {"value", "bid", "ask", "strip", "input_hash"} <= {c["name"] for c in verdict["checks"]}


def test_newest_records_of_a_service_are_verified_by_its_url(ran: Ran) -> None:
    """Every index that has been published, null ones too."""
    code, verdict = ran.by_root

    assert (0, True) == (code, verdict["verified"])
    assert {"VG-BTC-7D", "VG-BTC-30D", "VG-BTC-60D"} == {b["code"] for b in verdict["bundles"]}


def test_bundle_is_valid_by_the_shipped_schema(ran: Ran) -> None:
    """An independent validator reads the schema that is shipped."""
    schema = json.loads(shipped_schema("evidence.json"))

    Draft202012Validator.check_schema(schema)
    assert [] == list(Draft202012Validator(schema).iter_errors(json.loads(ran.bundle)))


def test_bundle_holds_the_record_that_was_published(ran: Ran) -> None:
    """The recording kept the same record, all but what each sink sets."""
    record = json.loads(ran.bundle)["record"]
    kept = [json.loads(payload) for _, payload in recorded_lines(ran.folder / "_records" / "BTC")]
    same = next(r for r in kept if (r["tenor_days"], r["seq"]) == (30.0, record["seq"]))

    for name in ("published_ns", "prev_seq"):
        record.pop(name)
        same.pop(name)
    assert same == record


def test_etag_answers_a_second_request(ran: Ran) -> None:
    """The evidence of a record does not change."""
    assert ran.again == 304


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/evidence/BTC/999999999", 404, "not_yet"),
        ("/v1/evidence/NOPE/1", 404, "unknown_index"),
        ("/v1/evidence/BTC/1?tenor=11", 404, "unknown_index"),
        ("/v1/evidence/BTC/x", 400, "bad_seq"),
        ("/v1/evidence/BTC/1?unknown=1", 400, "bad_query"),
    ],
)
def test_what_cannot_be_given_is_refused_with_its_reason(
    ran: Ran, path: str, status: int, code: str
) -> None:
    """A typed body, as of every other route."""
    answered, error = ran.refusals[path]

    assert (status, code) == (answered, error["code"])


def test_explanation_sums_to_the_value_and_to_the_move(ran: Ran) -> None:
    """By strike, by expiry, by place and by cause, within 1e-9 points."""
    level, move = ran.level, ran.move
    terms = sum(expiry["term"] for expiry in level["expiries"])

    assert level["value"] == pytest.approx(sum(p["points"] for p in level["strikes"]) + terms, 1e-9)
    assert level["value"] == pytest.approx(sum(e["points"] for e in level["expiries"]), 1e-9)
    for name in ("places", "causes"):
        assert sum(part["points"] for part in move[name]) == pytest.approx(
            move["difference"], abs=1e-9
        )
    assert {"time", "forward", "quote"} <= move["totals"].keys()


def test_record_is_explained_with_the_help_of_its_service(ran: Ran) -> None:
    """`volgauge explain RECORD --service URL`."""
    code, level = ran.by_record

    assert (0, "level") == (code, level["kind"])
    assert level["value"] == pytest.approx(ran.level["value"], rel=1e-12)


def test_bundle_is_verified_and_explained_from_a_file(ran: Ran, tmp_path: Path) -> None:
    """The same answers as of the service, without it."""
    path = tmp_path / "bundle.json"
    path.write_bytes(ran.bundle)
    code, verdict = verdict_of("verify", str(path))
    explained, move = verdict_of("explain", str(path), "--against", str(path))

    assert (0, True) == (code, verdict["verified"])
    assert (0, 0.0) == (explained, move["difference"])


def test_changed_quote_is_not_verified(ran: Ran, tmp_path: Path) -> None:
    """Exit code 3, and the checks say where."""
    tree: Any = json.loads(ran.bundle)
    leg = next(s["put"] for s in tree["books"][0]["expiries"][0]["strikes"] if s["put"]["bid"])
    leg["bid_size"] += 0.1
    path = tmp_path / "tampered.json"
    path.write_text(json.dumps(tree))
    code, verdict = verdict_of("verify", str(path))
    failed = {check["name"] for check in verdict["checks"] if not check["ok"]}

    assert (3, False) == (code, verdict["verified"])
    assert "input_hash" in failed


def test_unreadable_input_is_exit_code_2(tmp_path: Path) -> None:
    """A file that is no bundle: a message, no verdict."""
    path = tmp_path / "none.json"
    path.write_text('{"v":1}')

    assert (2, b"") == result_of("verify", str(path))


def test_recording_is_verified_record_by_record(ran: Ran) -> None:
    """Every published record comes out of the replay again, to the bit; nothing to restate."""
    code, verdict = verdict_of("verify", str(ran.folder), "--restate")

    assert (0, True, True) == (code, verdict["verified"], verdict["exact"])
    assert verdict["compared"] > 200
    assert (0, 0, []) == (verdict["missing"], verdict["differing"], verdict["restatements"])


def test_recording_gives_the_evidence_that_the_service_gave(ran: Ran) -> None:
    """Every input of the record, by every digit; only the source has another name."""
    live = msgspec.json.decode(ran.bundle, type=EvidenceBundle)
    seq = str(live.record.seq)
    code, output = result_of("evidence", str(ran.folder), seq, "--asset", "BTC", "--tenor", "30")
    again = msgspec.json.decode(output, type=EvidenceBundle)
    of_sink = {"source": live.record.source, "epoch": live.record.epoch}

    assert code == 0
    assert live == replace(again, record=replace(again.record, **of_sink))


def test_recording_without_the_record_is_exit_code_2(ran: Ran) -> None:
    """A message that says why, no bundle."""
    assert (2, b"") == result_of("evidence", str(ran.folder), "999999999")


def test_altered_recording_is_not_verified_and_restated(ran: Ran, tmp_path: Path) -> None:
    """A published value that was off by a point is found and corrected."""
    folder = tmp_path / "altered"
    shutil.copytree(ran.folder, folder)
    lines = recorded_lines(folder / "_records" / "BTC")
    records = [json.loads(payload) for _, payload in lines]
    place = next(
        i for i, r in enumerate(records) if r["tenor_days"] == 30.0 and r["value"] is not None
    )
    seq, value = records[place]["seq"], records[place]["value"]
    records[place]["value"] = value + 1.0
    shutil.rmtree(folder / "_records")
    write_recording(
        folder,
        {
            ("_records", "BTC"): [
                (at_ns, msgspec.json.encode(record))
                for (at_ns, _), record in zip(lines, records, strict=True)
            ]
        },
    )
    code, verdict = verdict_of("verify", str(folder), "--restate")

    assert (3, 1) == (code, verdict["differing"])
    assert ["value"] == [d["field"] for d in verdict["divergences"]]
    assert [(seq, value)] == [(r["corrects"], r["value"]) for r in verdict["restatements"]]
