"""The Redis users of deploy/redis/users.acl are enough for their work, and for nothing more."""

import asyncio
import hashlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import index_value, surface_value, venue_index_value
from fakes.redis_lab import wait_for
from volgauge.client import subscribe
from volgauge.clock import SystemClock
from volgauge.publish.bundled import server_binary
from volgauge.publish.record import Record
from volgauge.publish.redis import RedisPublisher
from volgauge.settings import RedisSettings

ROOT = Path(__file__).parents[2]
USERS = ROOT / "deploy" / "redis" / "users.acl"
PASSWORD = "of this test"  # noqa: S105 - of a server on loopback that lives for seconds
RECORDS: dict[str, Record] = {
    "volgauge:index:BTC:30d": index_value(1),
    "volgauge:venue:BTC:30d:okx-USD_UM": venue_index_value(1),
    "volgauge:surface:BTC": surface_value(1),
    "volgauge:analytics:BTC": analytics_value(1),
    "volgauge:coupling": coupling_value(1),
    "volgauge:events:BTC": alert_event(),
}
TOPICS = [channel.removeprefix("volgauge:") for channel in RECORDS]


@contextmanager
def serving(users: Path, folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A real server that reads this file of users, on a Unix socket only."""
    path = folder / "s"
    process = subprocess.Popen(
        [
            server_binary(), "--port", "0", "--unixsocket", str(path), "--aclfile", str(users),
            "--save", "", "--appendonly", "no", "--dir", str(folder),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process, path
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server with the committed users, after every record was published once."""
    folder = tmp_path_factory.mktemp("acl")
    users = folder / "users.acl"
    sha = hashlib.sha256(PASSWORD.encode()).hexdigest()
    users.write_text(re.sub(r"SHA256-OF-\w+", sha, USERS.read_text()))
    with serving(users, folder) as (process, path):
        deadline = time.monotonic() + 20.0
        while not answers(path):
            assert process.poll() is None, "the server refused the users"
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.01)
        stats = asyncio.run(publish_all(path))
        assert (len(RECORDS), 0) == (stats.published, stats.failed)
        yield path


def answers(path: Path) -> bool:
    """Whether an anonymous PING is answered."""
    with suppress(redis.ConnectionError), redis.Redis(unix_socket_path=str(path)) as client:
        return bool(client.ping())
    return False


def connect(path: Path, user: str) -> "redis.Redis":
    """A client that signs in."""
    return redis.Redis(unix_socket_path=str(path), username=user, password=PASSWORD)


async def publish_all(path: Path) -> Any:  # noqa: ANN401 - its statistics
    """Publish a record of every kind as the user of the service, bounded in time."""
    url = f"unix://volgauge:{PASSWORD.replace(' ', '%20')}@{path}"
    publisher = RedisPublisher(RedisSettings(), SystemClock(), url)
    task = asyncio.create_task(publisher.run())
    for record in RECORDS.values():
        publisher.offer(record)
    await wait_for(lambda: publisher.stats.published + publisher.stats.failed == len(RECORDS), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return publisher.stats


@pytest.mark.parametrize("topic", TOPICS)
def test_a_reader_reads_and_subscribes_to_every_kind(server: Path, topic: str) -> None:
    """What the service's user wrote, in its three places."""
    with connect(server, "reader") as reader:
        latest: Any = reader.get(f"volgauge:latest:{topic}")
        stream: Any = reader.xrange(f"volgauge:stream:{topic}")
        with reader.pubsub() as channel:
            channel.subscribe(f"volgauge:{topic}")
            answer = channel.get_message(timeout=5)

    assert stream[-1][1][b"record"] == latest
    assert answer is not None
    assert answer["type"] == "subscribe"


def test_a_reader_subscribes_to_all_at_once(server: Path) -> None:
    """One pattern instead of a list."""
    with connect(server, "reader") as reader, reader.pubsub() as channels:
        channels.psubscribe("volgauge:*")
        answer = channels.get_message(timeout=5)

    assert answer is not None
    assert answer["type"] == "psubscribe"


async def test_our_own_client_needs_no_more_than_a_reader_may(server: Path) -> None:
    """Latest record, subscription and back-fill of `volgauge.client`."""
    url = f"unix://reader:{PASSWORD.replace(' ', '%20')}@{server}"
    async with asyncio.timeout(10):
        record = await anext(subscribe(url, "BTC"))

    assert record.value == index_value(1).value


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param(lambda reader: reader.set("volgauge:latest:index:BTC:30d", ""), id="write"),
        pytest.param(lambda reader: reader.publish("volgauge:coupling", ""), id="forge a message"),
        pytest.param(lambda reader: reader.xadd("volgauge:stream:coupling", {"a": 1}), id="append"),
        pytest.param(lambda reader: reader.get("other"), id="read another key"),
        pytest.param(lambda reader: reader.flushall(), id="empty the server"),
        pytest.param(lambda reader: reader.config_get("*"), id="read the configuration"),
        pytest.param(lambda reader: reader.eval("return 1", 0), id="run a script"),
        pytest.param(lambda reader: reader.keys("*"), id="list the keys"),
    ],
)
@pytest.mark.parametrize("user", ["reader", "index"])
def test_readers_can_do_nothing_else(
    server: Path, user: str, forbidden: Callable[["redis.Redis"], object]
) -> None:
    """What would let a reader change or see more is refused."""
    with connect(server, user) as reader, pytest.raises(NoPermissionError):
        forbidden(reader)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_user_index_sees_the_index_alone(server: Path, topic: str) -> None:
    """Readers may be kept from the rest: key, stream and channel."""
    is_index = topic.startswith("index:")
    refused = []
    with connect(server, "index") as reader, reader.pubsub() as channel:
        for read in (
            lambda: reader.get(f"volgauge:latest:{topic}"),
            lambda: reader.xrange(f"volgauge:stream:{topic}"),
            lambda: (channel.subscribe(f"volgauge:{topic}"), channel.get_message(timeout=5)),
        ):
            try:
                read()
            except NoPermissionError:
                refused.append(True)

    assert refused == ([] if is_index else [True] * 3)


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param(lambda user: user.set("other", "1"), id="write another key"),
        pytest.param(lambda user: user.publish("other", "1"), id="publish elsewhere"),
        pytest.param(lambda user: user.flushall(), id="empty the server"),
        pytest.param(lambda user: user.config_set("maxmemory", 1), id="reconfigure"),
        pytest.param(
            lambda user: user.eval("return redis.call('SET', KEYS[1], '1')", 1, "other"),
            id="write another key by a script",
        ),
        pytest.param(lambda user: user.acl_list(), id="see the users"),
    ],
)
def test_the_publisher_is_kept_to_its_prefix(
    server: Path, forbidden: Callable[["redis.Redis"], object]
) -> None:
    """A service that was taken over can spoil its own records and nothing else."""
    with connect(server, "volgauge") as user, pytest.raises(NoPermissionError):
        forbidden(user)


def test_who_does_not_sign_in_may_ping(server: Path) -> None:
    """Enough for a health check, and all."""
    with redis.Redis(unix_socket_path=str(server)) as anyone:
        assert anyone.ping()
        with pytest.raises(NoPermissionError):
            anyone.get("volgauge:latest:index:BTC:30d")


def test_the_committed_file_starts_no_server(tmp_path: Path) -> None:
    """Whoever forgets to put passwords in gets no server instead of an open one."""
    with serving(USERS, tmp_path) as (process, _):
        said, _ = process.communicate(timeout=20)

    assert process.returncode == 1
    assert b"ACL errors detected" in said


def test_the_policy_says_the_same() -> None:
    """SECURITY.md shows the rules of the two users that everybody needs."""
    policy = dict(
        re.findall(
            r"(?m)^ACL SETUSER (\w+) +on >PASSWORD (.*)$", (ROOT / "SECURITY.md").read_text()
        )
    )
    rules = dict(re.findall(r"(?m)^user (\w+) on #\S+ (.*)$", USERS.read_text()))

    assert policy == {name: rules[name] for name in ("volgauge", "reader")}
