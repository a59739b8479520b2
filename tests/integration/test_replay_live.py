"""A recorded session replays as the same program; a foreign one replays without a crash."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
import pytest

from integration.processes import (
    Line,
    Process,
    addresses,
    eventually,
    latest,
    raw,
    recorded_lines,
    redis_of,
    result_of,
    stream,
    venue,
    wait_for_value,
)
from volgauge.domain.index import IndexValue, Reason
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.wire.recorder import write_recording

TENORS = ("7d", "30d", "60d")
SETTINGS = {
    "VOLGAUGE__INDEX__TENORS_DAYS": "[7, 30, 60]",
    "VOLGAUGE__VENUES__DERIBIT__ASSETS": '["BTC"]',
}
"""A replay is the same program only with the same configuration."""
OF_THE_SINK = ("source", "epoch", "published_ns", "prev_seq")
"""Fields that the sink sets, and the source's name: all else is the engine's."""


class Session(msgspec.Struct, frozen=True):
    """A live run: where it was recorded and what it published."""

    folder: Path
    published: list[Line]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Some seconds of a venue that drops every connection now and then."""
    folder = tmp_path_factory.mktemp("recording") / "session"
    with ExitStack() as stack:
        simulator = stack.enter_context(
            venue(flags=("--fault", "disconnect_every=4", "--fault", "close_code=1006"))
        )
        settings = {
            **addresses(simulator),
            **SETTINGS,
            "VOLGAUGE__RECORDER__PATH": str(folder),
        }
        service = stack.enter_context(Process("run", "--port", "0", environment=settings))
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        lost = eventually(lambda: service.events("feed.disconnected"), "a lost connection")
        assert lost
        dark = eventually(lambda: without_value(latest(client)), "a record of the loss")
        wait_for_value(service, client, after_ns=int(dark["computed_ns"]))
        published = [
            record
            for tenor in TENORS
            for _, record in stream(client, f"volgauge:stream:index:BTC:{tenor}")
        ]
        code, _ = service.terminate()
        assert code == 0, service.last_words
        yield Session(folder, published)


@pytest.fixture(scope="module")
def replayed(session: Session) -> bytes:
    """What the replay prints."""
    code, output = result_of("replay", str(session.folder), environment=SETTINGS)
    assert code == 0
    return output


def without_value(record: Line | None) -> Line:
    """The record if the feed's loss is in it, else an empty one."""
    return record if record is not None and record["reason"] == "feed_down" else {}


def test_replay_gives_the_same_bytes_twice(session: Session, replayed: bytes) -> None:
    """Two processes, one recording, not a byte of difference."""
    code, again = result_of("replay", str(session.folder), environment=SETTINGS)

    assert code == 0
    assert len(replayed.splitlines()) > 100
    assert replayed == again


def test_replay_gives_what_was_published_live(session: Session, replayed: bytes) -> None:
    """Every record that reached Redis, in all but the sink's own fields."""
    again = {}
    for line in replayed.splitlines():
        record = json.loads(line)
        assert record["source"] == "replay"
        again[record["tenor_days"], record["seq"]] = engine_fields(record)

    assert len(session.published) > 100
    assert {record["tenor_days"] for record in session.published} == {7.0, 30.0, 60.0}
    for record in session.published:
        assert engine_fields(record) == again[record["tenor_days"], record["seq"]]


def test_forced_disconnect_is_part_of_the_replay(session: Session, replayed: bytes) -> None:
    """The recording holds the lost connections, and the replay says so where the service did."""
    control = recorded_lines(session.folder / "_control" / "control")
    lost = [json.loads(payload) for _, payload in control if b'"disconnected"' in payload]
    records = [json.loads(line) for line in replayed.splitlines()]
    headline = [record for record in records if record["tenor_days"] == 30.0]
    reasons = [record["reason"] for record in headline]

    down = reasons.index("feed_down")
    assert lost
    assert None in reasons[:down]
    assert None in reasons[down:]


def test_replay_uses_the_settings_of_the_recording(session: Session, replayed: bytes) -> None:
    """Another configuration of the reader's does not change the records, silently or otherwise."""
    other = {"VOLGAUGE__VENUES__DERIBIT__ASSETS": '["SOL"]', "VOLGAUGE__INDEX__METHOD": "dvol"}
    code, output = result_of("replay", str(session.folder), environment=other)

    assert code == 0
    assert output == replayed


def test_replay_can_be_narrowed(session: Session, replayed: bytes) -> None:
    """One asset, one tenor: the very lines of the whole, no other."""
    code, output = result_of(
        "replay", str(session.folder), "--asset", "BTC", "--tenor", "30", environment=SETTINGS
    )
    wanted = [line for line in replayed.splitlines() if json.loads(line)["tenor_days"] == 30.0]

    assert code == 0
    assert output.splitlines() == wanted


def test_record_command_stops_by_itself_and_replays(tmp_path: Path) -> None:
    """`volgauge record FOLDER --seconds 3`: exit code 0, and the folder replays to values."""
    folder = tmp_path / "taken"
    with venue() as simulator:
        settings = {**addresses(simulator), **SETTINGS}
        code, _ = result_of("record", str(folder), "--seconds", "3", environment=settings)
    replay_code, output = result_of("replay", str(folder), environment=SETTINGS)
    values = [json.loads(line)["value"] for line in output.splitlines()]

    assert (code, replay_code) == (0, 0)
    assert sum(value is not None for value in values) > 20


def test_recording_cut_short_replays_up_to_the_cut(session: Session, tmp_path: Path) -> None:
    """A crash in the middle of a write: whole lines before it count, the rest is no error."""
    for path in session.folder.rglob("*.jsonl.zst"):
        copy = tmp_path / path.relative_to(session.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes()
        copy.write_bytes(data[:-20] if "_control" in path.parts else data)
    code, output = result_of("replay", str(tmp_path), environment=SETTINGS)

    assert code == 0
    assert len(output.splitlines()) > 50


def test_recording_that_tells_no_asset_of_a_flush_replays(
    session: Session, replayed: bytes, tmp_path: Path
) -> None:
    """Older ones say only when: all that was touched is computed then, and here that is BTC."""
    folder = tmp_path / "older"
    shutil.copytree(session.folder, folder)
    shutil.rmtree(folder / "_control" / "control")
    told = 0
    control = []
    for at_ns, payload in recorded_lines(session.folder / "_control" / "control"):
        line = json.loads(payload)
        told += line.pop("asset", "") == "BTC"
        control.append((at_ns, json.dumps(line).encode()))
    write_recording(folder, {("_control", "control"): control})
    code, output = result_of("replay", str(folder), environment=SETTINGS)

    assert told
    assert code == 0
    assert output == replayed


def test_foreign_recording_gives_typed_values_without_a_number(
    test_data: Path, tmp_path: Path
) -> None:
    """Ten real options of 2021 carry no index: null with a reason, and no crash."""
    folder = tmp_path / "foreign"
    lines = (test_data / "wire/deribit/ws_raw_10options_30s_2021-07-22.jsonl").read_text()
    frames = [
        (round(row["recv_ts"] * NANOS_PER_SECOND), json.dumps(row["msg"]).encode())
        for row in map(json.loads, lines.splitlines())
        if row["dir"] == "in"
    ]
    assert len(frames) > 130
    write_recording(folder, {("deribit", "all"): frames})
    code, output = result_of("replay", str(folder))
    again = result_of("replay", str(folder))[1]
    records = [msgspec.json.decode(line, type=IndexValue) for line in output.splitlines()]

    assert code == 0
    assert output == again
    assert {record.asset for record in records} == {"BTC", "ETH"}
    for record in records:
        assert record.value is None
        assert isinstance(record.reason, Reason)


def engine_fields(record: Line) -> Line:
    """The record without what the sink sets."""
    return {name: value for name, value in record.items() if name not in OF_THE_SINK}
