"""No alert is lost over a restart of Redis, and none comes twice or out of order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from fakes.readings import NOW_NS, alert_event
from fakes.records import index_value, status_event
from fakes.redis_lab import kill, new_publisher, raw_client, running, running_server, wait_for
from volgauge.domain.analytics import AlertEvent, Edge, Rule
from volgauge.domain.index import Status
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.redis import LAST_ALERTS_SECONDS, MAX_EVENTS


@pytest.fixture
def server() -> Iterator[BundledRedis]:
    """A fresh server for each test."""
    with running_server() as started:
        yield started


def episodes(count: int, asset: str = "BTC") -> list[AlertEvent]:
    """A raise and a clear of each of some episodes, in order."""
    return [
        alert_event(asset=asset, subject=asset, edge=edge, raised_ns=NOW_NS + number)
        for number in range(count)
        for edge in (Edge.RAISED, Edge.CLEARED)
    ]


def in_stream(url: str, asset: str = "BTC") -> list[dict[str, Any]]:
    """Every event of an asset's stream, oldest first."""
    with raw_client(url) as client:
        entries = client.xrange(f"volgauge:stream:events:{asset}")
        return [json.loads(fields["record"]) for _, fields in entries]


def names(events: list[AlertEvent]) -> list[tuple[str, str]]:
    """What tells one alert event from another."""
    return [(event.episode, event.edge.value) for event in events]


def told(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The same of published records; other events are left out."""
    return [(r["episode"], r["edge"]) for r in records if r["kind"] == "alert"]


async def test_alerts_offered_while_redis_is_down_arrive_when_it_is_back(
    server: BundledRedis,
) -> None:
    """SIGKILL, alerts of two assets among other events, a restart: each once, in order."""
    btc, eth = episodes(40), episodes(40, "ETH")
    async with running(new_publisher(server.url)) as publisher:
        for event in (btc[0], eth[0]):
            publisher.offer(event)
        assert await publisher.flush(2)
        kill(server)
        await wait_for(lambda: not publisher.stats.connected)
        for number, pair in enumerate(zip(btc[1:], eth[1:], strict=True)):
            for event in pair:
                publisher.offer(event)
            publisher.offer(status_event(before=Status.OK, after=Status.STALE))
            publisher.offer(index_value(number + 1))
        server.start()
        await wait_for(lambda: publisher.stats.connected)
        assert await publisher.flush(5)

    # What was acknowledged before went with the server's memory, and was not lost by us.
    assert told(in_stream(server.url)) == names(btc[1:])
    assert told(in_stream(server.url, "ETH")) == names(eth[1:])
    numbers = [(r["prev_seq"], r["seq"]) for r in in_stream(server.url)]
    assert numbers == [(n - 1, n) for n in range(2, 160)]
    assert publisher.stats.dropped_events == publisher.stats.failed == 0


async def test_a_subscriber_sees_every_alert_over_restarts(server: BundledRedis) -> None:
    """Three kills under way: no (epoch, seq) is missing to who subscribes and reads the stream."""
    events = episodes(60)
    seen: dict[int, tuple[str, str]] = {}
    async with running(new_publisher(server.url)) as publisher:
        for number, event in enumerate(events):
            publisher.offer(event)
            if number % 40 == 20:
                await publisher.flush(2)
                seen |= {r["seq"]: (r["episode"], r["edge"]) for r in in_stream(server.url)}
                kill(server)
            if number % 40 == 35:
                server.start()
                await wait_for(lambda: publisher.stats.connected)
        assert await publisher.flush(5)
        seen |= {r["seq"]: (r["episode"], r["edge"]) for r in in_stream(server.url)}

    assert [seen[number] for number in sorted(seen)] == names(events)


async def test_connections_cut_under_way_neither_lose_nor_repeat(server: BundledRedis) -> None:
    """Whether the server took an unanswered event is unknown; the fence sorts it out."""
    events = episodes(400)
    async with running(new_publisher(server.url)) as publisher:
        for place in range(0, len(events), 20):
            await wait_for(lambda: publisher.stats.connected)
            for event in events[place : place + 20]:
                publisher.offer(event)
            await asyncio.sleep(0)
            publisher._seed.drop("cut by the test")
            await wait_for(lambda: not publisher.stats.connected)
        assert await publisher.flush(5)

    assert told(in_stream(server.url)) == names(events)


async def test_replies_that_come_in_crumbs_lose_nothing(server: BundledRedis) -> None:
    """Scripts flushed again and again: a refused event never falls behind a newer one."""
    events = episodes(400)
    async with crumbling(server.port) as port:
        publisher = new_publisher(f"redis://127.0.0.1:{port}/0")
        with raw_client(server.url) as client:
            async with running(publisher):
                for place, event in enumerate(events):
                    publisher.offer(event)
                    if place % 3 == 0:
                        await asyncio.sleep(0.001)
                    if place % 25 == 0:
                        client.script_flush()
                assert await publisher.flush(10)

    assert publisher.stats.fenced == 0
    assert told(in_stream(server.url)) == names(events)


async def test_an_outage_too_long_drops_changes_of_status_before_alerts(
    server: BundledRedis,
) -> None:
    """Beyond the limit every alert is still there, and the hole shows in `prev_seq`."""
    events = episodes(100)
    publisher = new_publisher(server.url)
    for number in range(MAX_EVENTS + 100):
        publisher.offer(status_event(before=Status.OK, after=Status.STALE))
        if number % 5 == 0 and events:
            publisher.offer(events.pop(0))
    for event in events:
        publisher.offer(event)
    async with running(publisher):
        assert await publisher.flush(5)
    records = in_stream(server.url)

    total = MAX_EVENTS + 300
    assert publisher.stats.dropped_events == total - MAX_EVENTS
    assert told(records) == names(episodes(100))
    assert all(r["prev_seq"] == r["seq"] - 1 for r in records)
    assert records[0]["seq"] > 1


async def test_a_publisher_that_ends_waits_for_a_server_that_restarts(
    server: BundledRedis,
) -> None:
    """Alerts offered while the server is away arrive although the process is ending."""
    events = episodes(20)
    async with running(new_publisher(server.url)) as publisher:
        await wait_for(lambda: publisher.stats.connected)
        kill(server)
        await wait_for(lambda: not publisher.stats.connected)
        for event in events:
            publisher.offer(event)
        restart = asyncio.get_running_loop().run_in_executor(None, server.start)
    await restart

    assert told(in_stream(server.url)) == names(events)
    assert publisher.stats.dropped_events == 0


async def test_what_no_server_takes_at_the_end_is_counted(server: BundledRedis) -> None:
    """Nobody listens: alerts are waited for, not longer than said, and told as lost."""
    with capture_logs() as logs:
        async with running(new_publisher(server.url)) as publisher:
            kill(server)
            await wait_for(lambda: not publisher.stats.connected)
            began = asyncio.get_running_loop().time()
            publisher.offer(status_event(before=Status.OK, after=Status.STALE))
            for event in episodes(2):
                publisher.offer(event)
    took = asyncio.get_running_loop().time() - began

    assert publisher.stats.dropped_events == 5
    assert [line["events"] for line in logs if line["event"] == "publish.events_lost"] == [5]
    assert LAST_ALERTS_SECONDS <= took < LAST_ALERTS_SECONDS + 2.0


async def test_a_change_of_status_alone_does_not_keep_the_process(server: BundledRedis) -> None:
    """It is counted as lost at once: who reads on starts with the status that is then."""
    async with running(new_publisher(server.url)) as publisher:
        kill(server)
        await wait_for(lambda: not publisher.stats.connected)
        began = asyncio.get_running_loop().time()
        publisher.offer(status_event(before=Status.OK, after=Status.STALE))
    took = asyncio.get_running_loop().time() - began

    assert publisher.stats.dropped_events == 1
    assert took < LAST_ALERTS_SECONDS


async def test_pairs_and_the_market_have_their_channels(server: BundledRedis) -> None:
    """A pair on its first asset's, the market on `ALL`."""
    async with running(new_publisher(server.url)) as publisher:
        publisher.offer(alert_event(subject="BTC-ETH", rule=Rule.DECOUPLING))
        publisher.offer(alert_event(asset="ALL", subject="okx", rule=Rule.COVERAGE_LOST))
        assert await publisher.flush(2)

    [pair], [market] = in_stream(server.url), in_stream(server.url, "ALL")
    assert (pair["subject"], market["subject"]) == ("BTC-ETH", "okx")


@asynccontextmanager
async def crumbling(port: int) -> AsyncIterator[int]:
    """Put a relay before the server that hands its replies on in pieces of a few bytes."""
    chance = random.Random(11)  # noqa: S311 - test data
    writers: list[asyncio.StreamWriter] = []

    async def pump(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, crumbs: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                while data:
                    size = chance.randint(1, 60) if crumbs else len(data)
                    writer.write(data[:size])
                    data = data[size:]
                    await writer.drain()
                    if crumbs:
                        await asyncio.sleep(0.0005)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, upstream))
        await asyncio.gather(
            pump(reader, upstream, crumbs=False), pump(upstream_reader, writer, crumbs=True)
        )

    relaying = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield relaying.sockets[0].getsockname()[1]
    finally:
        relaying.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.01)
