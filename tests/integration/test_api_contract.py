"""The running demo against its own OpenAPI and AsyncAPI documents."""

import gzip
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from jsonschema import Draft7Validator
from websockets.sync.client import connect

from integration.processes import Line, Process, eventually, fetch, page_of, raw, redis_of
from volgauge.app import Service
from volgauge.clock import SystemClock
from volgauge.domain.index import Source
from volgauge.settings import load

ENDLESS = ("/v1/stream", "/ws/api/v2")
"""What is no answer but a conversation; tested below by message."""
WHAT_NO_SCHEMA_SAYS = """
# A range must begin before it ends, a date must exist, a currency be listed, parameters fit the
# method: JSON Schema cannot say it, so a request that fits the schema may be 400 here.
[[operations]]
include-path-regex = "^/(v1/(history|smile)|udf/history|api/v2)"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "503"]
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Process]:
    """One demo for all."""
    with Process("demo", "--rate", "200", "--venue", "okx", "--port", "0") as process:
        root = page_of(process)
        eventually(
            lambda: all(
                fetch(f"{root}{path}")[0] == 200
                for path in ("/v1/index/BTC/30d", "/v1/analytics/BTC", "/v1/surface/BTC")
            ),
            "records",
            60.0,
        )
        yield process


@pytest.fixture(scope="module")
def root(demo: Process) -> str:
    """Where the demo answers."""
    return page_of(demo)


@pytest.fixture(scope="module")
def document(root: str) -> Line:
    """Its OpenAPI."""
    found: Line = json.loads(fetch(f"{root}/openapi.json")[2])
    return found


@pytest.fixture(scope="module")
def pushed(root: str) -> Line:
    """Its AsyncAPI."""
    found: Line = json.loads(fetch(f"{root}/asyncapi.json")[2])
    return found


async def test_every_route_has_an_operation(tmp_path: Path) -> None:
    """Whatever the service routes is described, and nothing else."""
    settings = load(
        None,
        {},
        {
            "http.port": 0,
            "redis.enabled": False,
            "history.path": str(tmp_path / "history.sqlite"),
        },
    )
    service = Service(settings, source=Source.SIMULATED, clock=SystemClock())
    await service._listen()
    try:
        assert service.http is not None
        runner = service.http._runner
        assert runner is not None
        routed = {
            (route.method.lower(), route.resource.canonical)
            for route in runner.app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{service.http.url}/openapi.json") as answer,
        ):
            paths = (await answer.json())["paths"]
    finally:
        await service._hang_up()

    described = {
        (method, re.sub(r"^/api/v2/public/\w+$", "/api/v2/public/{method}", path))
        for path, methods in paths.items()
        for method in methods
    }
    assert described == routed
    assert len(routed) > 30


def test_schemathesis_finds_nothing(root: str, tmp_path: Path, record_property: Any) -> None:  # noqa: ANN401 - pytest's
    """Legal and illegal requests of every operation, with every check that it has."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(WHAT_NO_SCHEMA_SAYS)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        f"{root}/openapi.json", "--phases", "coverage,fuzzing", "--max-examples", "2",
        # One worker: two threads in ast.parse at once break its depth count in Python 3.11
        # (python/cpython#106905), and a generator then ends in a SystemError.
        "--seed", "1", "--workers", "1", "--checks", "all", "--continue-on-failure",
        "--request-timeout", "20", "--no-color",
        *(word for path in ENDLESS for word in ("--exclude-path", path)),
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=280.0, check=False, cwd=tmp_path
    )
    found = re.search(r"Test cases:\s+(.*)", done.stdout)
    record_property("measured", f"schemathesis: {found[1] if found else 'no summary'}")

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert found is not None


def ask(root: str, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Status, headers and raw body of one request."""
    parts = urlsplit(root)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=20.0)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def cached_paths(root: str, document: Line) -> list[str]:
    """Every GET whose answer has a tag, with names that the demo knows."""
    seq = json.loads(fetch(f"{root}/v1/index/BTC/30d")[2])["seq"]
    known = {
        "asset": "BTC", "tenor": "30d", "series": "30d", "seq": str(seq), "name": "page.css",
    }  # fmt: skip
    queries = {
        "/udf/symbols": "?symbol=VG-BTC-30D",
        "/udf/history": f"?symbol=VG-BTC-30D&resolution=1&to={int(time.time())}&countback=2",
        "/v1/history/{asset}/{series}": "?from=1000000000&to=1000000060",
    }
    return [
        re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path) + queries.get(path, "")
        for path, methods in document["paths"].items()
        if "304" in methods.get("get", {}).get("responses", {}) and "{name}" not in path
    ]


def test_what_can_be_cached_is_tagged_compressed_and_has_a_head(root: str, document: Line) -> None:
    """ETag, Cache-Control, gzip that unpacks, HEAD without a body."""
    paths = cached_paths(root, document)
    for path in paths:
        status, headers, body = ask(root, path, **{"Accept-Encoding": "gzip"})
        assert status in {200, 404}, (path, status)
        if status == 404:
            continue
        assert headers["ETag"], path
        assert headers["Cache-Control"] == "no-cache", path
        assert "Accept-Encoding" in headers["Vary"], path
        assert headers["Content-Encoding"] == "gzip", path
        assert gzip.decompress(body), path
        status, _, body = ask(root, path, "HEAD")
        assert (status, body) == (200, b""), path

    assert len(paths) >= 15


@pytest.mark.parametrize("path", ["/v1/about", "/openapi.json", "/asyncapi.json", "/udf/config"])
def test_what_did_not_change_is_not_sent_again(root: str, path: str) -> None:
    """304 for its own tag, in a list, too; never for another's."""
    tag = ask(root, path)[1]["ETag"]

    assert [304, 304, 200] == [
        ask(root, path, **{"If-None-Match": value})[0] for value in (tag, f'"a", {tag}', '"a"')
    ]


def test_an_unknown_parameter_is_refused_everywhere(root: str, document: Line) -> None:
    """A misspelt one would otherwise be answered as if it were not there."""
    paths = [path for path in document["paths"] if path.startswith("/v1/")]
    for path in paths:
        status, _, body = ask(root, re.sub(r"\{\w+\}", "1", path) + "?nonsense=1")
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_query"), path

    assert len(paths) >= 15


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing/at/all", 404, "not_found"),
        ("POST", "/v1/index", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("HEAD", "/v1/stream", 405, None),
        ("GET", "/v1/index?a=" + "x" * 5_000, 414, "uri_too_long"),
        ("GET", "/udf/search?query=a&query=b", 400, "bad_query"),
        ("GET", "/v1/history/BTC/30d?from=0&to=2026-11-21", 400, None),
        ("GET", "/v1/history/BTC/30d?from=-1", 400, "bad_query"),
        ("GET", "/v1/history/BTC/30d?from=1e5", 400, "bad_query"),
    ],
)
def test_a_refusal_is_typed(
    root: str, method: str, path: str, status: int, code: str | None
) -> None:
    """A status, a code to branch on, and `Allow` where it is the method."""
    found, headers, body = ask(root, path, method)

    assert found == status
    if status == 405:
        assert "GET" in headers["Allow"]
    if code is not None:
        assert json.loads(body)["error"]["code"] == code


def test_an_endless_request_line_is_refused(root: str) -> None:
    """What is too long even to be looked at gets 400, and the server goes on."""
    status, _, _ = ask(root, "/v1/index?a=" + "x" * 200_000)

    assert status == 400
    assert ask(root, "/healthz")[0] == 200


def fits(pushed: Line, channel: str, body: object, *names: str) -> None:
    """Hold a message against the messages of a channel."""
    messages = pushed["components"]["messages"]
    chosen = names or tuple(pushed["channels"][channel]["messages"])
    schema = {
        "anyOf": [messages[name]["payload"] for name in chosen],
        "components": pushed["components"],
    }
    Draft7Validator(schema).validate(body)


def test_redis_carries_what_is_described(demo: Process, pushed: Line) -> None:
    """A message of every kind that a demo publishes within seconds, by its channel."""
    seen: set[str] = set()
    with closing(raw(redis_of(demo))) as client, closing(client.pubsub()) as heard:
        heard.psubscribe("volgauge:*")
        deadline = time.monotonic() + 30.0
        while not {"index", "venue", "surface", "analytics"} <= seen:
            assert time.monotonic() < deadline, seen
            message = heard.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message is None:
                continue
            kind = message["channel"].split(":")[1]
            address = pushed["channels"][kind]["address"]
            form = re.sub(r"\{\w+\}", "[^:]+", address)
            assert re.fullmatch(form, message["channel"]), message["channel"]
            if kind not in seen:
                fits(pushed, kind, json.loads(message["data"]))
                seen.add(kind)


def test_the_event_stream_carries_what_is_described(root: str, pushed: Line) -> None:
    """The name of an event tells the type of its data."""
    seen: set[str] = set()
    request = urllib.request.Request(f"{root}/v1/stream?events=recent")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=20.0) as answer:  # noqa: S310 - loopback
        name = ""
        while not {"index", "venue", "surface", "analytics", "clock"} <= seen:
            line = answer.readline().decode()
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: ") and name not in seen:
                body = json.loads(line.removeprefix("data: "))
                if name == "clock":
                    fits(pushed, "stream", body, "Clock")
                else:
                    fits(pushed, "stream", body, *pushed["channels"][name]["messages"])
                seen.add(name)


def test_the_websocket_carries_what_is_described(root: str, pushed: Line) -> None:
    """Answers, errors and notifications."""
    with connect(f"{root.replace('http', 'ws', 1)}/ws/api/v2") as socket:
        for number, (method, params) in enumerate(
            (
                ("public/hello", {"client_name": "test", "client_version": "1"}),
                ("public/subscribe", {"channels": ["deribit_volatility_index.btc_usd"]}),
                ("public/nonsense", {}),
            )
        ):
            call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            fits(pushed, "deribit", call, "RpcCall")
            socket.send(json.dumps(call))
        answers: list[Line] = []
        while len(answers) < 3 or not any("method" in answer for answer in answers):
            answer = json.loads(socket.recv(timeout=20.0))
            fits(pushed, "deribit", answer, "Subscription" if "method" in answer else "Envelope")
            answers.append(answer)

    assert sum("error" in answer for answer in answers) == 1
