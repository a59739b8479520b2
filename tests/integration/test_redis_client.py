"""The subscriber's helper against a real server and a real publisher."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from redis.exceptions import AuthenticationError

from fakes.records import index_value
from fakes.redis_lab import (
    frozen,
    kill,
    new_publisher,
    raw_client,
    running,
    running_server,
    wait_for,
)
from volgauge import client
from volgauge.domain.index import IndexValue
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.redis import RedisPublisher


@pytest.fixture
def server() -> Iterator[BundledRedis]:
    """A fresh server for each test."""
    with running_server() as started:
        yield started


@asynccontextmanager
async def collecting(
    url: str, *, backfill: bool = True
) -> AsyncIterator[tuple[client.Subscription[IndexValue], list[IndexValue]]]:
    """Subscribe and collect in the background."""
    subscription = client.subscribe(url, "BTC", backfill=backfill)
    seen: list[IndexValue] = []

    async def collect() -> None:
        async for value in subscription:
            seen.append(value)  # noqa: PERF401 - it is read while it grows

    task = asyncio.create_task(collect())
    try:
        yield subscription, seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await subscription.aclose()


async def publish(publisher: RedisPublisher, first: int, last: int, pause: float = 0.002) -> None:
    """Offer the records `first` to `last`, heartbeat 150 ms."""
    for seq in range(first, last + 1):
        publisher.offer(index_value(seq, heartbeat_ms=150))
        await asyncio.sleep(pause)


def numbers(seen: list[IndexValue]) -> list[int]:
    """The seqs."""
    return [value.seq for value in seen]


async def test_the_newest_record_comes_first_then_the_live_ones(server: BundledRedis) -> None:
    """A late subscriber starts with the latest key, not with silence."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 3)
        async with collecting(server.url) as (_, seen):
            await wait_for(lambda: seen)
            await publish(publisher, 4, 6)
            await wait_for(lambda: len(seen) == 4)

    assert numbers(seen) == [3, 4, 5, 6]
    assert seen[0].value == 52.25


async def test_a_cut_subscriber_misses_nothing(server: BundledRedis) -> None:
    """Connections killed while records flow: all arrive, once and in order."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 1)
        async with collecting(server.url) as (subscription, seen):
            await wait_for(lambda: seen)
            with raw_client(server.url) as raw:
                for start in (2, 102, 202):
                    await publish(publisher, start, start + 49)
                    raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                    await publish(publisher, start + 50, start + 99)
            await wait_for(lambda: seen[-1].seq == 301)

    assert numbers(seen) == list(range(1, 302))
    assert subscription.reconnect_count >= 3
    assert subscription.backfilled_count > 0
    assert subscription.gap_count == 0


async def test_a_restarted_server_is_survived(server: BundledRedis) -> None:
    """SIGKILL, half a second of nothing, an emptied server: records go on, none twice."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 20)
        async with collecting(server.url) as (_, seen):
            await wait_for(lambda: seen)
            kill(server)
            await publish(publisher, 21, 60, pause=0.0125)
            server.start()
            await publish(publisher, 61, 160, pause=0.01)
            await wait_for(lambda: seen[-1].seq == 160)

    assert numbers(seen) == sorted(set(numbers(seen)))


async def test_a_frozen_server_is_noticed_by_the_clients_own_clock(server: BundledRedis) -> None:
    """SIGSTOP: the client says that it is not connected, and goes on when the server does."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 1)
        async with collecting(server.url) as (subscription, seen):
            await wait_for(lambda: seen)
            with frozen(server):
                await wait_for(lambda: not subscription.is_connected, 2.0)
                await publish(publisher, 2, 20)
            await publish(publisher, 21, 120, pause=0.02)
            await wait_for(lambda: seen[-1].seq == 120)

    assert "no record for 0.3 s" in subscription.last_error or subscription.reconnect_count > 1
    assert numbers(seen) == sorted(set(numbers(seen)))


async def test_a_new_publisher_takes_over(server: BundledRedis) -> None:
    """A restarted publisher counts from one again, in a higher epoch: nothing is dropped."""
    async with running(new_publisher(server.url)) as first:
        await publish(first, 1, 5)
        async with collecting(server.url) as (_, seen):
            await wait_for(lambda: seen)
            await publish(first, 6, 10)
            async with running(new_publisher(server.url)) as second:
                await publish(second, 1, 5)
                await wait_for(lambda: len(seen) == 11)

    assert numbers(seen) == [5, 6, 7, 8, 9, 10, 1, 2, 3, 4, 5]
    assert [value.epoch for value in seen[-5:]] == [second.epoch] * 5


async def test_a_loss_for_good_is_counted(server: BundledRedis) -> None:
    """Records that the stream no longer holds leave a counted gap."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 1)
        async with collecting(server.url) as (subscription, seen):
            await wait_for(lambda: seen)
            with raw_client(server.url) as raw:
                raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                await publish(publisher, 2, 9, pause=0)
                assert await publisher.flush(2)
                raw.xtrim("volgauge:stream:index:BTC:30d", maxlen=0, approximate=False)
            await publish(publisher, 10, 30, pause=0.02)
            await wait_for(lambda: seen[-1].seq == 30)

    assert numbers(seen) == sorted(set(numbers(seen)))
    assert not {2, 3, 4} & set(numbers(seen))
    assert subscription.gap_count == 1


async def test_without_backfill_only_the_newest_follows(server: BundledRedis) -> None:
    """Who wants the present only gets it, and the loss is counted."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 1)
        async with collecting(server.url, backfill=False) as (subscription, seen):
            await wait_for(lambda: seen)
            with raw_client(server.url) as raw:
                raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await publish(publisher, 2, 9, pause=0)
            assert await publisher.flush(2)
            await wait_for(lambda: seen[-1].seq == 9)

    assert numbers(seen) == [1, 9]
    assert (subscription.gap_count, subscription.backfilled_count) == (1, 0)


async def test_a_wrong_password_ends_the_subscription(server: BundledRedis) -> None:
    """No retry cures it, so the caller is told."""
    with raw_client(server.url) as raw:
        raw.config_set("requirepass", "right")
    subscription = client.subscribe(f"redis://:wrong@127.0.0.1:{server.port}", "BTC")

    with pytest.raises(AuthenticationError):
        await anext(subscription)


async def test_a_single_record_is_read_without_asyncio(server: BundledRedis) -> None:
    """`latest` gives the newest record, or None."""
    async with running(new_publisher(server.url)) as publisher:
        await publish(publisher, 1, 2)
        assert await publisher.flush(2)
    newest = client.latest(server.url, "BTC")

    assert newest is not None
    assert newest.seq == 2
    assert client.latest(server.url, "ETH") is None
