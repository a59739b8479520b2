"""The Redis sink and the client in cluster mode: three real nodes, one process each."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from fakes.records import index_value, status_event, surface_value
from fakes.redis_lab import ClusterNode, new_publisher, raw_client, running, wait_for
from volgauge import client
from volgauge.domain.index import IndexValue, Status

ASSETS = ("BTC", "ETH", "SOL", "XRP", "HYPE")


@pytest.fixture
def cluster() -> Iterator[list[ClusterNode]]:
    """Three masters that share the slots."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(ClusterNode()) for _ in range(3)]
        ClusterNode.join(nodes)
        yield nodes


def owner_of(cluster: list[ClusterNode], key: str) -> Any:  # noqa: ANN401 - redis client
    """The node that holds a key."""
    for node in cluster:
        with raw_client(node.url) as raw, suppress(Exception):
            raw.get(key)
            return node
    raise AssertionError(key)


async def test_every_asset_reaches_the_node_of_its_slot(cluster: list[ClusterNode]) -> None:
    """Records follow the redirections; the three copies share a node and agree."""
    async with running(new_publisher(cluster[0].url, cluster=True)) as publisher:
        for seq in range(1, 6):
            for asset in ASSETS:
                publisher.offer(index_value(seq, asset=asset))
                publisher.offer(surface_value(seq, asset=asset))
            await asyncio.sleep(0.05)
        publisher.offer(status_event(asset="SOL", before=Status.OK, after=Status.STALE))
        assert await publisher.flush(3)

    owners = set()
    for asset in ASSETS:
        key = f"volgauge:latest:index:{{{asset}}}:30d"
        node = owner_of(cluster, key)
        owners.add(node.port)
        with raw_client(node.url) as raw:
            stream = raw.xrange(f"volgauge:stream:index:{{{asset}}}:30d")
            records = [json.loads(fields["record"]) for _, fields in stream]
            assert json.loads(raw.get(key)) == records[-1]
        assert records[-1]["seq"] == 5
        assert all(a["seq"] == b["prev_seq"] for a, b in itertools.pairwise(records))
    assert len(owners) > 1
    assert publisher.stats.failed == 0


async def test_the_client_follows_a_sharded_channel(cluster: list[ClusterNode]) -> None:
    """`subscribe(cluster=True)` gets what SPUBLISH sends, whatever node it was pointed to."""
    async with running(new_publisher(cluster[0].url, cluster=True)) as publisher:
        seen: list[IndexValue] = []
        publisher.offer(index_value(1, asset="ETH"))
        assert await publisher.flush(3)
        subscription = client.subscribe(cluster[1].url, "ETH", cluster=True)

        async def collect() -> None:
            async for value in subscription:
                seen.append(value)  # noqa: PERF401 - it is read while it grows

        task = asyncio.create_task(collect())
        await wait_for(lambda: seen)
        for seq in range(2, 21):
            publisher.offer(index_value(seq, asset="ETH"))
            await asyncio.sleep(0.005)
        await wait_for(lambda: seen[-1].seq == 20)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert [value.seq for value in seen] == list(range(1, 21))
