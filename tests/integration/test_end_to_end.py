"""`volgauge demo` and the command line as a person meets them: real processes, real sockets."""

import json
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integration.processes import (
    CHANNEL,
    LATEST,
    START_SECONDS,
    STREAM,
    Line,
    Process,
    Watcher,
    assert_in_order,
    children_of,
    eventually,
    fetch,
    is_running,
    metric,
    page_of,
    raw,
    redis_of,
    result_of,
    stream,
    wait_for_value,
)


@pytest.fixture(scope="module")
def demo() -> Iterator[Process]:
    """One running demo for the tests that only look; two venues leave the host some room."""
    with Process("demo", "--rate", "500", "--venue", "okx", "--port", "0") as process:
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
    """Source, receipt of the newest input before its calculation, two expiries of every book in.

    The value is the sum of weight x value over the venues, and the status counts them.
    """
    with closing(raw(redis_of(demo))) as client:
        record = wait_for_value(demo, client)

    told = {book: venue for book, venue in record["venues"].items() if venue["state"] == "in"}
    venues = {book.partition(":")[0] for book in told}
    total = sum(venue["weight"] * venue["value"] for venue in told.values())
    assert record["source"] == "simulated"
    assert record["status"] in {"OK" if len(venues) > 1 else "SINGLE_VENUE", "DEGRADED"}
    assert record["event_ns"] <= record["computed_ns"] <= record["published_ns"]
    assert abs(record["value"] - total) <= 1e-9 * total
    assert {expiry["book"] for expiry in record["expiries"]} == set(told)
    assert len(record["expiries"]) == 2 * len(told)
    assert sum(expiry["n_strikes"] for expiry in record["expiries"]) == record["n_strikes"]


def entry(client: Any, number: str) -> list[Line]:  # noqa: ANN401 - a Redis client
    """The record of one number in the stream; empty while it is not there."""
    found: Any = client.xrange(STREAM, number, number)
    return [json.loads(fields["record"]) for _, fields in found]


def test_http_serves_the_record_that_redis_has(demo: Process) -> None:
    """`/v1/index/BTC/30d` is the record of the same number, but for the sink's own stamps."""
    root = page_of(demo)
    with closing(raw(redis_of(demo))) as client:
        wait_for_value(demo, client)
        status, content_type, body = fetch(f"{root}/v1/index/BTC/30d")
        shown = json.loads(body)
        kept = eventually(
            lambda: entry(client, f"{shown['epoch']}-{shown['seq']}"), "the same record"
        )

    assert (status, content_type) == (200, "application/json")
    for record in (shown, kept[0]):
        del record["published_ns"], record["prev_seq"]
    assert shown == kept[0]


def test_ready_means_that_there_is_a_value(demo: Process) -> None:
    """`/readyz` is green once every asset has a value; `/healthz` always."""
    root = page_of(demo)
    eventually(lambda: fetch(f"{root}/readyz")[0] == 200, "ready")
    indices = json.loads(fetch(f"{root}/v1/index")[2])["indices"]

    headline = [record for record in indices if record["tenor_days"] == 30.0]
    assert {record["asset"] for record in headline} == {"BTC", "ETH", "SOL", "XRP"}
    assert all(record["value"] is not None for record in headline)
    assert fetch(f"{root}/healthz")[0] == 200


def test_metrics_show_the_index_and_its_traffic(demo: Process) -> None:
    """The value of `/metrics` is one that was published, and records and frames are counted."""
    root = page_of(demo)
    with closing(raw(redis_of(demo))) as client:
        wait_for_value(demo, client)
        shown = metric(root, "volgauge_index_points", asset="BTC", tenor="30d")
        published = {record["value"] for _, record in stream(client)}
    before = metric(root, "volgauge_publish_records_total", sink="redis")

    assert shown in published
    assert metric(root, "volgauge_feed_frames_total") > 1_000
    assert metric(root, "volgauge_feed_connected", venue="deribit") == 1.0
    eventually(
        lambda: metric(root, "volgauge_publish_records_total", sink="redis") > before,
        "more published records",
    )


def test_page_and_its_files_are_served(demo: Process) -> None:
    """`/` is a page, and every file that it names is there."""
    root = page_of(demo)
    status, content_type, page = fetch(f"{root}/")
    files = re.findall(r'(?:src|href)="(/page/[^"]+)"', page)

    assert (status, content_type) == (200, "text/html; charset=utf-8")
    assert files
    for file in files:
        assert fetch(f"{root}{file}")[0] == 200


def test_event_stream_moves(demo: Process) -> None:
    """`/v1/stream` gives records of the asked series, in order."""
    url = f"{page_of(demo)}/v1/stream?assets=BTC&tenors=30d"
    records: list[Line] = []
    with closing(urllib.request.urlopen(url, timeout=10.0)) as lines:  # noqa: S310 - loopback
        while len(records) < 20:
            line = lines.readline()
            assert line
            if line.startswith(b"data: ") and b'"code"' in line:
                records.append(json.loads(line.removeprefix(b"data: ")))

    assert {(record["asset"], record["tenor_days"]) for record in records} == {("BTC", 30.0)}
    assert_in_order(records)


def test_simulated_past_is_there_within_seconds(demo: Process) -> None:
    """`/v1/history` of the demo reaches back, and says that it is simulated."""
    root = page_of(demo)
    url = f"{root}/v1/history/BTC/30d?resolution=86400&from={round(time.time()) - 399 * 86_400}"
    candles = eventually(
        lambda: len(json.loads(fetch(url)[2]).get("candles", ())) >= 390, "the past", 60.0
    )

    assert candles
    assert "simulated" in fetch(url)[2]


def test_sigterm_under_load_ends_everything_within_two_seconds() -> None:
    """All venues, 5,000 updates a second: exit code 0, and no child outlives the service."""
    with Process("demo", "--rate", "5000", "--port", "0") as process:
        root = page_of(process)
        eventually(lambda: metric(root, "volgauge_feed_frames_total") > 1_000, "traffic", 40.0)
        url = f"{root}/v1/stream"
        # A reader that stays on the line does not hold up the end.
        reader = urllib.request.urlopen(url, timeout=10.0)  # noqa: S310 - loopback
        below = children_of(process.running.pid)
        assert len(below) >= 2
        code, seconds = process.terminate()
        eventually(lambda: not any(map(is_running, below)), "the children are gone", 2.0)
        last_words = process.last_words
        reader.close()

    sys.stdout.write(f"SIGTERM at 5,000 updates/s: {seconds:.2f} s\n")
    assert code == 0, last_words
    assert seconds <= 2.0
    assert "Traceback" not in last_words


def test_sigterm_while_the_past_is_simulated_is_as_quick() -> None:
    """The first second of a demo makes 400 days of history; the end does not wait for them."""
    with Process("demo", "--port", "0") as process:
        process.wait_for_output("/metrics")
        below = children_of(process.running.pid)
        code, seconds = process.terminate()
        eventually(lambda: not any(map(is_running, below)), "the children are gone", 2.0)
        last_words = process.last_words

    assert code == 0, last_words
    assert seconds <= 2.0
    assert "Traceback" not in last_words


def test_an_end_while_kernels_compile_is_a_clean_one(tmp_path: Path) -> None:
    """The very first start, given up at once: exit code 0, no crash of the compiler's thread."""
    cold = {"NUMBA_CACHE_DIR": str(tmp_path)}
    with Process("demo", "--port", "0", environment=cold) as process:
        eventually(lambda: process.events("publish.epoch_claimed"), "the start", START_SECONDS)
        time.sleep(1.0)
        process.running.send_signal(signal.SIGINT)
        code = process.running.wait(10.0)
        last_words = process.last_words
        compiled = process.events("kernels.warmed")

    assert code == 0, last_words
    assert "Traceback" not in last_words
    assert not compiled


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
    with Process("demo", "--venue", "none", "--port", "0", environment=environment) as process:
        code = process.running.wait(20.0)
        output, error = process.output, process.last_words

    assert code == 2
    assert key in error
    assert output == ""
    assert len(error.strip().splitlines()) == 1


def test_unreadable_configuration_file_is_named() -> None:
    """A file that is not there: exit code 2."""
    assert result_of("check-config", "--config", "absent.toml")[0] == 2
