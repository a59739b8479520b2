"""The Redis users that SECURITY.md gives are enough for their work, and for nothing more."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from volgauge.clock import SystemClock
from volgauge.domain.index import IndexValue, Method, Source, Status
from volgauge.domain.instrument import Asset
from volgauge.publish.bundled import BundledRedis
from volgauge.publish.redis import RedisPublisher
from volgauge.settings import RedisSettings

SECURITY = Path(__file__).parents[2] / "SECURITY.md"
LATEST = "volgauge:latest:index:BTC:30d"
CHANNEL = "volgauge:index:BTC:30d"


@pytest.fixture
def server() -> Iterator[BundledRedis]:
    """A real server that knows the two users."""
    bundled = BundledRedis()
    bundled.start()
    with redis.Redis.from_url(bundled.url) as admin:
        for line in re.findall(r"(?m)^ACL SETUSER .*$", SECURITY.read_text()):
            admin.execute_command(*line.replace("PASSWORD", "pw").split())
    yield bundled
    bundled.stop()


async def publish_one(server: BundledRedis) -> RedisPublisher:
    """Publish one record as the publisher's user, bounded in time."""
    now_ns = time.time_ns()
    url = f"redis://volgauge:pw@127.0.0.1:{server.port}/0"
    publisher = RedisPublisher(RedisSettings(), SystemClock(), url)
    task = asyncio.create_task(publisher.run())
    publisher.offer(
        IndexValue(
            code="VG-BTC-30D",
            asset=Asset("BTC"),
            tenor_days=30.0,
            seq=1,
            value=52.25,
            status=Status.SINGLE_VENUE,
            event_ns=now_ns,
            computed_ns=now_ns,
            source=Source.SIMULATED,
            mode=Method.NATIVE,
        )
    )
    deadline = time.monotonic() + 10
    while not publisher.stats.published and time.monotonic() < deadline:  # noqa: ASYNC110 - stats have no event
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return publisher


async def test_the_publisher_needs_no_right_beyond_those_given(server: BundledRedis) -> None:
    """Epoch, record, stream and channel, all as the user of the policy."""
    publisher = await publish_one(server)

    assert (1, 0) == (publisher.stats.published, publisher.stats.failed)


async def test_a_reader_reads_and_subscribes(server: BundledRedis) -> None:
    """Latest key, stream and channel are open to a reader."""
    await publish_one(server)
    with redis.Redis(port=server.port, username="reader", password="pw") as reader:  # noqa: S106 - of the test
        latest = reader.get(LATEST)
        stream: Any = reader.xrange("volgauge:stream:index:BTC:30d")
        with reader.pubsub() as channel:
            channel.subscribe(CHANNEL)
            answer = channel.get_message(timeout=5)

    assert isinstance(latest, bytes)
    assert len(stream) == 1
    assert answer is not None
    assert answer["type"] == "subscribe"


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param(lambda reader: reader.set(LATEST, "{}"), id="write a record"),
        pytest.param(lambda reader: reader.publish(CHANNEL, "{}"), id="forge a message"),
        pytest.param(lambda reader: reader.get("other"), id="read another key"),
        pytest.param(lambda reader: reader.flushall(), id="empty the server"),
        pytest.param(lambda reader: reader.config_get("*"), id="read the configuration"),
    ],
)
def test_a_reader_can_do_nothing_else(
    server: BundledRedis, forbidden: Callable[["redis.Redis"], object]
) -> None:
    """What would let a reader change or see more is refused."""
    with (
        redis.Redis(port=server.port, username="reader", password="pw") as reader,  # noqa: S106 - of the test
        pytest.raises(NoPermissionError),
    ):
        forbidden(reader)
