"""`volgauge demo` and the command line as a person meets them: real processes, real sockets."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from integration.processes import (
    CHANNEL,
    LATEST,
    STREAM,
    Process,
    Watcher,
    assert_in_order,
    children_of,
    eventually,
    is_running,
    raw,
    redis_of,
    result_of,
    stream,
    wait_for_value,
)


@pytest.fixture(scope="module")
def demo() -> Iterator[Process]:
    """One running demo for the tests that only look."""
    with Process("demo", "--rate", "1000", "--port", "0") as process:
        yield process


def test_demo_announces_lines_to_copy(demo: Process) -> None:
    """The first lines say the source and where to listen."""
    lines = demo.wait_for_output("SUBSCRIBE").splitlines()

    assert "source: simulated" in lines[0]
    assert any(f"SUBSCRIBE {CHANNEL}" in line for line in lines)


def test_channel_key_and_stream_carry_the_same_record(demo: Process) -> None:
    """What is heard on the channel stands in the stream, and the newest in the key."""
    with closing(raw(redis_of(demo))) as client, Watcher(redis_of(demo)) as watcher:
        wait_for_value(demo, client)
        eventually(lambda: len(watcher.records) >= 50, "50 records")
        heard = list(watcher.records)
        # The three are written in one step, so one transaction sees them agree.
        with client.pipeline(transaction=True) as both:
            both.get(LATEST)
            both.xrevrange(STREAM, count=1)
            key, tail = both.execute()
        kept = {record["seq"]: (entry_id, record) for entry_id, record in stream(client)}

    assert json.loads(key) == json.loads(tail[0][1]["record"])
    for record in heard:
        entry_id, stored = kept[record["seq"]]
        assert stored == record
        assert entry_id == f"{record['epoch']}-{record['seq']}"
    assert_in_order(heard)


def test_every_record_says_what_it_rests_on(demo: Process) -> None:
    """Source, status, receipt of the newest input before its calculation, two expiries."""
    with closing(raw(redis_of(demo))) as client:
        record = wait_for_value(demo, client)

    assert record["source"] == "simulated"
    assert record["status"] in {"SINGLE_VENUE", "DEGRADED"}
    assert record["event_ns"] <= record["computed_ns"] <= record["published_ns"]
    assert len(record["expiries"]) == 2
    assert sum(expiry["n_strikes"] for expiry in record["expiries"]) == record["n_strikes"]


def test_sigterm_under_load_ends_everything_within_two_seconds() -> None:
    """5,000 updates a second: exit code 0, and neither venue nor Redis outlives the service."""
    with Process("demo", "--rate", "5000", "--port", "0") as process:
        with closing(raw(redis_of(process))) as client:
            wait_for_value(process, client)
        below = children_of(process.running.pid)
        assert len(below) >= 2
        code, seconds = process.terminate()
        eventually(lambda: not any(map(is_running, below)), "the children are gone", 2.0)
        last_words = process.last_words

    sys.stdout.write(f"SIGTERM at 5,000 updates/s: {seconds:.2f} s\n")
    assert code == 0, last_words
    assert seconds <= 2.0
    assert "Traceback" not in last_words


def test_killed_demo_leaves_no_orphan() -> None:
    """SIGKILL of the service: the venue and the server end by themselves."""
    with Process("demo", "--port", "0") as process:
        process.wait_for_output("SUBSCRIBE")
        below = children_of(process.running.pid)
        process.kill()
        eventually(lambda: not any(map(is_running, below)), "the children are gone", 5.0)

    assert len(below) >= 2


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"VOLGAUGE__INDEX__TENORS_DAYZ": "[30]"}, "index.tenors_dayz"),
        ({"VOLGAUGE__REDIS__TIMEOUT_MS": "9000"}, "redis.timeout_ms"),
        ({"VOLGAUGE__HTTP__HOST": "0.0.0.0"}, "http.host"),  # noqa: S104 - must be refused
        ({"VOLGAUGE__INDEX__METHOD": "cboe"}, "index.method"),
    ],
    ids=["unknown-key", "out-of-range", "public-host", "wrong-method"],
)
def test_bad_configuration_starts_nothing(environment: dict[str, str], key: str) -> None:
    """Exit code 2, the key is named, nothing is announced and no child is left."""
    with Process("demo", "--port", "0", environment=environment) as process:
        code = process.running.wait(20.0)
        output, error = process.output, process.last_words

    assert code == 2
    assert key in error
    assert output == ""
    assert len(error.strip().splitlines()) == 1


def test_unreadable_configuration_file_is_named() -> None:
    """A file that is not there: exit code 2."""
    assert result_of("check-config", "--config", "absent.toml")[0] == 2
