"""The doctor's checks of what stands beside us: the HTTP port, and Redis with its rights."""

import secrets
import socket
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha1

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from redis.retry import Retry

from volgauge.settings import HttpSettings, RedisSettings, mask_url
from volgauge.terminal.findings import Finding, Level, Step, fail, fine

ANSWER_SECONDS = 3.0
OLDEST_REDIS = (6, 2)
"""The first whose XADD and GET take what we send."""
SLOW_SHARE = 0.5
"""Of `redis.timeout_ms`: a slower answer is a warning."""
_SCRIPT = "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('PUBLISH', ARGV[2], ARGV[1])"
"""What the publisher's own script needs, on the scratch key."""


def check_http(settings: HttpSettings) -> Finding:
    """Whether the port is free, or a service of ours answers there."""
    if not settings.enabled:
        return fine("HTTP port", "http.enabled is false: not served")
    place = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a port in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # Two programs may bind such a port, only one may listen.
            probe.listen(1)
    except PermissionError as error:
        return fail("HTTP port", f"{place}: {error.strerror}", "Take a port above 1023.")
    except socket.gaierror:
        return fail("HTTP port", f"{place}: no such host", "Correct http.host.")
    except OSError as error:
        version = _version_at(settings)
        if version is not None:
            return fine("HTTP port", f"{place}: volgauge {version} answers there")
        return fail(
            "HTTP port",
            f"{place}: {error.strerror}",
            "Stop the program that holds it, or take another port (http.port).",
        )
    return fine("HTTP port", f"{place} is free")


def _version_at(settings: HttpSettings) -> str | None:
    """Version of the service that answers there; None: another program's."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not listened on here
    host = f"[{host}]" if ":" in host else host
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError, ValueError, msgspec.MsgspecError):
        with opener.open(f"http://{host}:{settings.port}/v1/about", timeout=2.0) as answer:
            about = msgspec.json.decode(answer.read(65_536), type=_About)
        return about.version
    return None


class _About(msgspec.Struct):
    version: str
    methodology: str


def check_redis(settings: RedisSettings) -> Finding:
    """Whether the server is there, and lets us do what the publisher does.

    SET, GET, PUBLISH, XADD, SCRIPT LOAD and EVALSHA on scratch keys of our prefix; they are gone
    afterwards. It needs no right that the publisher does not have.
    """
    if not settings.enabled:
        return fine("Redis", "redis.enabled is false: nothing is published there")
    if not settings.url:
        return fine("Redis", "redis.url is empty: the bundled server is started")
    name = mask_url(settings.url)
    advice = "Start the server, let this machine reach it, or correct redis.url."
    try:
        client = _connect(settings)
    except (ValueError, RedisError, OSError) as error:
        return fail("Redis", f"{name}: {error}", advice)
    try:
        with client:
            return _examine(client, settings, name)
    except (AuthenticationError, NoPermissionError) as error:
        return fail(
            "Redis",
            f"{name}: {error}",
            "Correct user and password in redis.url, or the server's access list; "
            "deploy/redis/users.acl shows the rights that are needed.",
        )
    except (RedisError, OSError) as error:
        return fail("Redis", f"{name}: {str(error) or type(error).__name__}", advice)


def _connect(settings: RedisSettings) -> redis.Redis:
    options = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    if settings.cluster:
        return redis.RedisCluster.from_url(settings.url, **options)  # type: ignore[return-value] # has the same commands
    return redis.Redis.from_url(settings.url, retry=Retry(NoBackoff(), 0), **options)


def _examine(client: redis.Redis, settings: RedisSettings, name: str) -> Finding:
    """All steps; a refused one raises."""
    steps: list[Step] = []
    began = time.perf_counter()

    def done(step: str) -> None:
        nonlocal began
        now = time.perf_counter()
        steps.append(Step(step, round((now - began) * 1000.0, 1)))
        began = now

    client.ping()
    done("connect")
    before = time.time()
    info = client.info("server")
    if settings.cluster and info and all(isinstance(one, dict) for one in info.values()):
        info = next(iter(info.values()))
    skew = int(info.get("server_time_usec", 0)) / 1e6 - (before + time.time()) / 2.0
    done("INFO")
    # One slot in a cluster: the tag.
    scratch = f"{settings.prefix}:doctor:{{{secrets.token_hex(8)}}}"
    try:
        _try_rights(client, scratch, done)
    finally:
        # The publisher may not delete: a key that is overwritten with a short life goes, too.
        with suppress(RedisError):
            for key in (scratch, f"{scratch}:stream"):
                client.set(key, "", px=1)
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    kind = "Valkey" if "valkey_version" in info else "Redis"
    slowest = max(step.milliseconds for step in steps[1:])
    found = f"{kind} {version} at {name}, may do all we need, slowest answer {slowest:.1f} ms"
    level, advice = Level.OK, ""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if kind == "Redis" and numbers < OLDEST_REDIS:
        level, advice = Level.WARN, "Take Redis 6.2 or newer, or Valkey."
    elif slowest > SLOW_SHARE * settings.timeout_ms:
        level = Level.WARN
        advice = f"It answers slowly against redis.timeout_ms = {settings.timeout_ms}: move nearer."
    return Finding(
        check="Redis",
        level=level,
        found=found,
        advice=advice,
        steps=tuple(steps),
        skew_seconds=skew if "server_time_usec" in info else None,
    )


def _try_rights(client: redis.Redis, scratch: str, done: Callable[[str], None]) -> None:
    client.set(scratch, "1", px=60_000)
    client.get(scratch)
    done("SET")
    client.publish(scratch, "1")
    done("PUBLISH")
    client.xadd(f"{scratch}:stream", {"record": "1"}, maxlen=1)
    done("XADD")
    digest = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
    client.script_load(_SCRIPT)
    client.evalsha(digest, 1, scratch, "1", scratch)
    done("EVALSHA")
