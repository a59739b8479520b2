"""The Redis sink against a real server."""

import asyncio
import itertools
import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from fakes.records import index_value, status_event, surface_value, venue_index_value
from fakes.redis_lab import (
    frozen,
    kill,
    new_publisher,
    raw_client,
    running,
    running_server,
    wait_for,
)
from volgauge.clock import SystemClock
from volgauge.domain.index import Status
from volgauge.errors import ConfigError
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.record import encode
from volgauge.publish.redis import MAX_IN_FLIGHT, RedisPublisher
from volgauge.settings import RedisSettings

CHANNEL = "volgauge:index:BTC:30d"
LATEST = "volgauge:latest:index:BTC:30d"
STREAM = "volgauge:stream:index:BTC:30d"


@pytest.fixture
def server() -> Iterator[BundledRedis]:
    """A fresh server for each test."""
    with running_server() as started:
        yield started


def entries(url: str, stream: str = STREAM) -> list[dict[str, Any]]:
    """Decode a stream, oldest first."""
    with raw_client(url) as client:
        return [json.loads(fields["record"]) for _, fields in client.xrange(stream)]


async def test_a_record_is_the_same_in_channel_key_and_stream(server: BundledRedis) -> None:
    """One offer writes three equal copies, the stream's under `epoch-seq`."""
    with raw_client(server.url) as client:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(CHANNEL)
        pubsub.get_message(timeout=1)
        async with running(new_publisher(server.url)) as publisher:
            publisher.offer(index_value(7))
            assert await publisher.flush(2)
        message = pubsub.get_message(timeout=2)
        pubsub.close()
        [(entry_id, fields)] = client.xrange(STREAM)

        assert message is not None
        assert message["data"] == client.get(LATEST) == fields["record"]
        assert entry_id == f"{publisher.epoch}-7"


async def test_the_sink_stamps_what_only_it_knows(server: BundledRedis) -> None:
    """Epoch, time of publication and the number before are set in every record."""
    started_ns = time.time_ns()
    async with running(new_publisher(server.url)) as publisher:
        for seq in (4, 5):
            publisher.offer(index_value(seq))
        assert await publisher.flush(2)
    first, second = entries(server.url)

    assert (first["prev_seq"], second["prev_seq"]) == (0, 4)
    assert second["epoch"] == publisher.epoch >= started_ns // 10**9
    assert started_ns <= first["published_ns"] <= second["published_ns"] <= time.time_ns()


async def test_surfaces_and_events_have_their_own_channels(server: BundledRedis) -> None:
    """A surface and an event are found under their own names."""
    async with running(new_publisher(server.url)) as publisher:
        publisher.offer(surface_value(1))
        publisher.offer(status_event(before=Status.WARMING, after=Status.OK))
        assert await publisher.flush(2)
    with raw_client(server.url) as client:
        surface = json.loads(client.get("volgauge:latest:surface:BTC"))
        event = json.loads(client.get("volgauge:latest:events:BTC"))

    assert surface["term"] == {"30d": 52.25, "60d": None}
    assert (event["before"], event["after"], event["seq"]) == ("WARMING", "OK", 1)


async def test_each_book_has_its_own_channel(server: BundledRedis) -> None:
    """Latest key and stream by book, fenced alike; a colon of the book's is none of the name's."""
    async with running(new_publisher(server.url)) as publisher:
        for record in (
            venue_index_value(7, label="okx"),
            venue_index_value(7, label="okx:USD_UM", state="out"),
            venue_index_value(8, label="okx"),
        ):
            publisher.offer(record)
            assert await publisher.flush(2)

    with raw_client(server.url) as client:
        newest = {
            key: json.loads(client.get(f"volgauge:latest:venue:BTC:30d:{key}") or "")
            for key in ("okx", "okx-USD_UM")
        }
    assert (newest["okx"]["seq"], newest["okx"]["prev_seq"]) == (8, 7)
    assert (newest["okx-USD_UM"]["label"], newest["okx-USD_UM"]["state"]) == ("okx:USD_UM", "out")
    assert [e["seq"] for e in entries(server.url, "volgauge:stream:venue:BTC:30d:okx")] == [7, 8]


async def test_the_outbox_keeps_the_newest_value_and_every_event(server: BundledRedis) -> None:
    """Without a connection values are conflated, events are not."""
    publisher = new_publisher(server.url)
    for seq in range(1, 11):
        publisher.offer(index_value(seq))
        publisher.offer(status_event(before=Status.OK, after=Status.DEGRADED))
    assert publisher.stats.conflated == 9
    async with running(publisher):
        publisher.offer(index_value(11))
        assert await publisher.flush(2)

    assert [(r["seq"], r["prev_seq"]) for r in entries(server.url)] == [(10, 0), (11, 10)]
    events = entries(server.url, "volgauge:stream:events:BTC")
    assert [event["seq"] for event in events] == list(range(1, 11))


async def test_a_jump_with_a_matching_predecessor_is_conflation(server: BundledRedis) -> None:
    """With too many replies outstanding values are skipped, and `prev_seq` says nothing is lost."""
    async with running(new_publisher(server.url)) as publisher:
        for seq in range(1, 2 * MAX_IN_FLIGHT + 1):
            publisher.offer(index_value(seq))
        assert await publisher.flush(2)
    records = entries(server.url)

    assert len(records) < 2 * MAX_IN_FLIGHT
    assert records[-1]["seq"] == 2 * MAX_IN_FLIGHT
    assert [r["prev_seq"] for r in records[1:]] == [r["seq"] for r in records[:-1]]
    assert publisher.stats.conflated == 2 * MAX_IN_FLIGHT - len(records)


async def test_an_older_epoch_is_fenced_off(server: BundledRedis) -> None:
    """After a newer publisher has written, the older one's records are refused."""
    async with running(new_publisher(server.url)) as older:
        older.offer(index_value(1))
        assert await older.flush(2)
        async with running(new_publisher(server.url)) as newer:
            assert newer.epoch > older.epoch
            newer.offer(index_value(1, value=60.0))
            assert await newer.flush(2)
            older.offer(index_value(2))
            assert await older.flush(2)

    assert older.stats.fenced == 1
    assert [r["epoch"] for r in entries(server.url)] == [older.epoch, newer.epoch]
    with raw_client(server.url) as client:
        assert json.loads(client.get(LATEST))["value"] == 60.0


async def test_a_repeated_number_is_fenced_off(server: BundledRedis) -> None:
    """The same seq twice, or a lower one, is published once."""
    async with running(new_publisher(server.url)) as publisher:
        for seq in (5, 5, 4):
            publisher.offer(index_value(seq))
            assert await publisher.flush(2)

    assert publisher.stats.fenced == 2
    assert [r["seq"] for r in entries(server.url)] == [5]


async def test_a_flushed_script_is_loaded_again(server: BundledRedis) -> None:
    """After SCRIPT FLUSH (NOSCRIPT) every record still arrives."""
    async with running(new_publisher(server.url)) as publisher:
        publisher.offer(index_value(1))
        assert await publisher.flush(2)
        with raw_client(server.url) as client:
            client.script_flush()
        publisher.offer(index_value(2))
        publisher.offer(surface_value(2))
        assert await publisher.flush(2)

    assert [(r["seq"], r["prev_seq"]) for r in entries(server.url)] == [(1, 0), (2, 1)]
    assert publisher.stats.failed == 0


async def test_a_number_that_is_none_is_refused_and_counted(server: BundledRedis) -> None:
    """NaN never reaches Redis; the next record shows that one is missing."""
    async with running(new_publisher(server.url)) as publisher:
        for seq, value in ((1, 50.0), (2, math.nan), (3, 51.0)):
            publisher.offer(index_value(seq, value=value))
            assert await publisher.flush(2)

    assert publisher.stats.refused == 1
    assert [(r["seq"], r["prev_seq"]) for r in entries(server.url)] == [(1, 0), (3, 2)]


async def test_the_last_records_go_out_at_shutdown(server: BundledRedis) -> None:
    """A cancelled publisher still delivers what it was offered, also above its write limit."""
    publisher = new_publisher(server.url)
    async with running(publisher):
        for _ in range(3 * MAX_IN_FLIGHT):
            publisher.offer(status_event(before=Status.OK, after=Status.STALE))
        publisher.offer(index_value(1))

    events = entries(server.url, "volgauge:stream:events:BTC")
    assert [event["seq"] for event in events] == list(range(1, 3 * MAX_IN_FLIGHT + 1))
    assert [record["seq"] for record in entries(server.url)] == [1]


async def test_a_frozen_server_does_not_hold_up_the_shutdown(server: BundledRedis) -> None:
    """The last flush has a deadline."""
    with ExitStack() as stack:
        async with running(new_publisher(server.url)) as publisher:
            stack.enter_context(frozen(server))
            publisher.offer(index_value(1))
            began = time.monotonic()
        took = time.monotonic() - began

    assert took < 1.0


async def test_a_frozen_server_never_stalls_the_loop(server: BundledRedis) -> None:
    """Three seconds of SIGSTOP: the loop turns, memory is bounded, the newest value arrives."""
    async with running(new_publisher(server.url)) as publisher:
        publisher.offer(index_value(1))
        assert await publisher.flush(2)
        longest_turn, seq = 0.0, 1
        with frozen(server):
            end = time.monotonic() + 3.0
            while (now := time.monotonic()) < end:
                seq += 1
                publisher.offer(index_value(seq))
                await asyncio.sleep(0.002)
                longest_turn = max(longest_turn, time.monotonic() - now)
            assert not publisher.stats.connected
            assert publisher.outbox_depth + publisher.in_flight <= MAX_IN_FLIGHT + 1
        await wait_for(lambda: publisher.stats.connected, 1.5)
        assert await publisher.flush(2)

    # A blocking sink would show at least its time limit, 250 ms.
    assert longest_turn < 0.2
    records = entries(server.url)
    assert records[-1]["seq"] == seq
    assert [r["seq"] for r in records] == sorted({r["seq"] for r in records})


async def test_a_killed_server_comes_back_empty_and_the_epoch_stays(server: BundledRedis) -> None:
    """SIGKILL and an emptied server on the same port: numbers go on, the epoch is restored."""
    async with running(new_publisher(server.url)) as publisher:
        publisher.offer(index_value(1))
        assert await publisher.flush(2)
        kill(server)
        await wait_for(lambda: not publisher.stats.connected)
        publisher.offer(index_value(2))
        await asyncio.sleep(0.3)
        server.start()
        restarted = time.monotonic()
        assert await publisher.flush(2)
        assert time.monotonic() - restarted < 1.0
    with raw_client(server.url) as client:
        stored = int(client.get("volgauge:epoch"))

    assert [(r["seq"], r["prev_seq"]) for r in entries(server.url)] == [(2, 1)]
    assert stored == publisher.epoch
    async with running(new_publisher(server.url)) as follower:
        assert follower.epoch > publisher.epoch


async def test_lost_connections_leave_key_and_stream_in_step(server: BundledRedis) -> None:
    """Cut at forty random moments, the last key is the stream's last entry, in order, once."""
    async with running(new_publisher(server.url)) as publisher:
        seq = 0
        for _ in range(40):
            await wait_for(lambda: publisher.stats.connected)
            for _ in range(20):
                seq += 1
                publisher.offer(index_value(seq))
            await asyncio.sleep(0)
            publisher._seed.drop("cut by the test")
            await wait_for(lambda: not publisher.stats.connected)
        assert await publisher.flush(5)
    records = entries(server.url)
    with raw_client(server.url) as client:
        assert json.loads(client.get(LATEST)) == records[-1]

    assert records[-1]["seq"] == seq
    assert all(a["seq"] < b["seq"] for a, b in itertools.pairwise(records))


async def test_a_full_server_is_counted_and_survived(server: BundledRedis) -> None:
    """Out of memory (noeviction): failures are counted, and the next record gets through."""
    with raw_client(server.url) as client:
        async with running(new_publisher(server.url)) as publisher:
            publisher.offer(index_value(1))
            assert await publisher.flush(2)
            client.config_set("maxmemory", "1")
            publisher.offer(index_value(2))
            assert await publisher.flush(2)
            client.config_set("maxmemory", "0")
            publisher.offer(index_value(3))
            assert await publisher.flush(2)

    assert "OOM" in publisher.last_error
    assert (publisher.stats.failed, publisher.stats.published) == (1, 2)
    assert [(r["seq"], r["prev_seq"]) for r in entries(server.url)] == [(1, 0), (3, 2)]


async def test_a_read_only_replica_is_tried_again(server: BundledRedis) -> None:
    """READONLY (a failover under way) keeps the record until the server takes it."""
    with raw_client(server.url) as client:
        async with running(new_publisher(server.url)) as publisher:
            publisher.offer(index_value(1))
            assert await publisher.flush(2)
            client.replicaof("127.0.0.1", "1")
            publisher.offer(index_value(2))
            await wait_for(lambda: "READONLY" in publisher.last_error)
            client.replicaof("NO", "ONE")
            assert await publisher.flush(3)

    assert [r["seq"] for r in entries(server.url)] == [1, 2]


async def test_a_password_and_a_database_are_used(server: BundledRedis) -> None:
    """AUTH and SELECT follow the URL."""
    with raw_client(server.url) as client:
        client.config_set("requirepass", "se/cret")
    url = f"redis://:se%2Fcret@127.0.0.1:{server.port}/3"
    async with running(new_publisher(url)) as publisher:
        publisher.offer(index_value(1))
        assert await publisher.flush(2)

    assert [r["seq"] for r in entries(url)] == [1]


async def test_a_wrong_password_is_reported_without_it(server: BundledRedis) -> None:
    """The error tells the refusal; the sink goes on trying."""
    with raw_client(server.url) as client:
        client.config_set("requirepass", "right")
    publisher = new_publisher(f"redis://:wrong@127.0.0.1:{server.port}")
    task = asyncio.create_task(publisher.run())
    await wait_for(lambda: publisher.last_error)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "WRONGPASS" in publisher.last_error
    assert "wrong@" not in publisher.last_error


async def test_a_subscriber_that_does_not_read_harms_nobody(server: BundledRedis) -> None:
    """The server cuts it off; records go on to be acknowledged."""
    with raw_client(server.url) as client:
        client.config_set("client-output-buffer-limit", "pubsub 20kb 20kb 1")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(f"SUBSCRIBE {CHANNEL}\r\n".encode())
    async with running(new_publisher(server.url)) as publisher:
        await asyncio.sleep(0.1)
        count = 0
        while publisher.stats.receivers or count < 100:
            for _ in range(MAX_IN_FLIGHT // 2):
                count += 1
                publisher.offer(index_value(count))
            assert await publisher.flush(2)
            assert count < 40_000
    writer.close()

    assert publisher.stats.published == count


async def test_the_observer_sees_final_stamps(server: BundledRedis) -> None:
    """What `on_published` is told is what Redis got."""
    seen: list[Any] = []
    publisher = RedisPublisher(RedisSettings(), SystemClock(), server.url, on_published=seen.append)
    async with running(publisher):
        publisher.offer(index_value(1))
        assert await publisher.flush(2)

    assert [json.loads(encode(record)) for record in seen] == entries(server.url)


def test_an_unreadable_url_is_a_configuration_error() -> None:
    """A bad URL is refused before anything starts, and names its key."""
    with pytest.raises(ConfigError, match=r"redis\.url"):
        new_publisher("redis://localhost:notaport")
