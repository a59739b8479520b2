"""The HTTP side over real sockets."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from importlib.resources import files

import aiohttp
import msgspec
import pytest

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import venue_index_value
from serving import Served, index_record, serve, surface_record
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue, Edge
from volgauge.domain.index import (
    METHODOLOGY_VERSION,
    IndexValue,
    Status,
    StatusEvent,
    VenueIndexValue,
)
from volgauge.publish import http, hub, stream


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server with one asset."""
    async with serve() as running:
        running.hub.offer(index_record(1, 52.3))
        running.hub.offer(surface_record())
        yield running


async def get(url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers and body of one GET."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, answer.headers, await answer.read()


async def test_the_newest_record_is_the_record_of_redis(served: Served) -> None:
    """It decodes to the published type, with its stamps set."""
    status, headers, body = await get(f"{served.url}/v1/index/BTC/30d")

    record = msgspec.json.decode(body, type=IndexValue)
    assert (200, 52.3, 1) == (status, record.value, record.seq)
    assert record.published_ns >= record.computed_ns
    assert headers["Content-Type"].startswith("application/json")


async def test_an_unchanged_record_is_not_sent_again(served: Served) -> None:
    """ETag and If-None-Match."""
    _, headers, _ = await get(f"{served.url}/v1/index/BTC/30d")
    status, _, body = await get(
        f"{served.url}/v1/index/BTC/30d", **{"If-None-Match": headers["ETag"]}
    )

    assert (304, b"") == (status, body)


async def test_lists_hold_every_series(served: Served) -> None:
    """All assets, or one."""
    served.hub.offer(index_record(1, 70.0, asset="ETH"))
    _, _, everything = await get(f"{served.url}/v1/index")
    _, _, ether = await get(f"{served.url}/v1/index/ETH")

    assert {"BTC", "ETH"} == {r["asset"] for r in msgspec.json.decode(everything)["indices"]}
    assert ["ETH"] == [r["asset"] for r in msgspec.json.decode(ether)["indices"]]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/index/DOGE", 404, "unknown_asset"),
        ("/v1/index/DOGE/30d", 404, "unknown_index"),
        ("/v1/index/BTC/30", 400, "bad_tenor"),
        ("/v1/index/B%20C/30d", 400, "bad_asset"),
        ("/v1/venues/DOGE", 404, "unknown_asset"),
        ("/v1/venues/B%20C", 400, "bad_asset"),
        ("/v1/surface/DOGE", 404, "unknown_asset"),
        ("/v1/analytics/DOGE", 404, "unknown_asset"),
        ("/v1/analytics/B%20C", 400, "bad_asset"),
        ("/v1/coupling", 404, "no_coupling"),
        ("/v1/stream?kinds=x", 400, "bad_kind"),
        ("/v1/history/ETH/30d", 404, "no_history"),
        ("/v1/history/BTC/30d?resolution=x", 400, "bad_query"),
        ("/v1/history/BTC/30d?from=never", 400, "bad_query"),
        ("/v1/history/BTC/30d?from=20&to=10", 400, "bad_range"),
        ("/v1/history/BTC/30d?frm=20", 400, "bad_query"),
        ("/v1/stream?tenors=x", 400, "bad_tenor"),
        ("/nothing", 404, "not_found"),
        ("/page/../http.py", 404, "not_found"),
        ("/page/%2e%2e%2fhttp.py", 404, "not_found"),
        ("/methodology/engine.py", 404, "not_found"),
        ("/methodology/%2e%2e%2fapp.py", 404, "not_found"),
    ],
)
async def test_a_bad_request_gets_a_typed_answer(
    served: Served, path: str, status: int, code: str
) -> None:
    """A code to branch on and a message to read."""
    found, _, body = await get(f"{served.url}{path}")

    assert (status, code) == (found, msgspec.json.decode(body)["error"]["code"])


async def test_analytics_coupling_and_alerts_are_the_records_of_redis(served: Served) -> None:
    """Each decodes to its published type; the alerts that are up stand beside the last events."""
    for record in (
        analytics_value(3),
        coupling_value(4),
        alert_event(),
        alert_event(asset="ETH", subject="ETH"),
        alert_event(asset="ETH", subject="ETH", edge=Edge.CLEARED),
    ):
        served.hub.offer(record)
    _, _, analytics = await get(f"{served.url}/v1/analytics/BTC")
    _, _, coupling = await get(f"{served.url}/v1/coupling")
    _, _, alerts = await get(f"{served.url}/v1/alerts")

    assert msgspec.json.decode(analytics, type=AnalyticsValue).seq == 3
    assert msgspec.json.decode(coupling, type=CouplingValue).seq == 4
    told = msgspec.json.decode(alerts, type=dict[str, list[AlertEvent]])
    assert ["BTC"] == [alert.subject for alert in told["active"]]
    assert [Edge.CLEARED, Edge.RAISED, Edge.RAISED] == [alert.edge for alert in told["recent"]]


async def test_every_book_of_an_asset_is_listed(served: Served) -> None:
    """The newest of each, of one asset or of all; it decodes to the published type."""
    for record in (
        venue_index_value(1, label="okx"),
        venue_index_value(2, label="okx"),
        venue_index_value(2, label="okx:USD_UM", state="down", value=None),
        venue_index_value(9, asset="ETH", label="derive"),
    ):
        served.hub.offer(record)
    _, _, everything = await get(f"{served.url}/v1/venues")
    _, _, bitcoin = await get(f"{served.url}/v1/venues/BTC")

    books = msgspec.json.decode(bitcoin, type=dict[str, list[VenueIndexValue]])["venues"]
    assert [("okx", 2, "in"), ("okx:USD_UM", 2, "down")] == [
        (b.label, b.seq, b.state) for b in books
    ]
    assert ["okx", "okx:USD_UM", "derive"] == [
        book["label"] for book in msgspec.json.decode(everything)["venues"]
    ]


async def test_methodology_is_a_page_and_a_document(served: Served) -> None:
    """HTML under the page's policy; the Markdown beside it is the shipped file."""
    status, headers, page = await get(f"{served.url}/methodology")
    again, _, nothing = await get(f"{served.url}/methodology", **{"If-None-Match": headers["ETag"]})
    _, markdown_headers, markdown = await get(f"{served.url}/methodology/METHODOLOGY.md")
    _, page_headers, _ = await get(f"{served.url}/")

    assert (200, 304, b"") == (status, again, nothing)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"] == page_headers["Content-Security-Policy"]
    assert f"<td>{METHODOLOGY_VERSION}</td>" in page.decode()
    assert markdown_headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert markdown == files("volgauge.index").joinpath("METHODOLOGY.md").read_bytes()


async def test_every_file_that_the_methodology_page_names_is_served(served: Served) -> None:
    """Styles, icon, pictures, other forms."""
    _, _, page = await get(f"{served.url}/methodology")
    paths = set(re.findall(r'(?:href|src)="(/[^"#]*)"', page.decode()))

    assert "/page/document.css" in paths
    assert {200} == {(await get(f"{served.url}{path}"))[0] for path in paths}


async def test_a_method_that_is_not_served_is_refused(served: Served) -> None:
    """405 with what is allowed."""
    async with aiohttp.ClientSession() as session, session.post(f"{served.url}/v1/index") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]


async def test_ready_says_why_it_is_not(served: Served) -> None:
    """503 with reasons, then 200; health is another question."""
    served.reasons.append("BTC: warming")
    status, _, body = await get(f"{served.url}/readyz")
    healthy, _, _ = await get(f"{served.url}/healthz")
    served.reasons.clear()
    ready, _, _ = await get(f"{served.url}/readyz")

    assert (503, ["BTC: warming"]) == (status, msgspec.json.decode(body)["reasons"])
    assert (200, 200) == (healthy, ready)


async def test_a_foreign_host_header_is_refused(served: Served) -> None:
    """A page of somebody else's that resolves to loopback must not read us."""
    status, _, _ = await get(f"{served.url}/v1/index", Host="attacker.example")

    assert status == 421


async def test_the_page_may_load_only_what_is_ours(served: Served) -> None:
    """A strict content security policy, and every file it names is served."""
    status, headers, body = await get(f"{served.url}/")
    policy = headers["Content-Security-Policy"]

    assert status == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("app.js", "panels.css", "icon.svg", "vendor/uplot/uPlot.esm.js"):
        assert (await get(f"{served.url}/page/{name}"))[0] == 200
    # The chart library's licence asks for this one link; nothing is loaded from it.
    assert {b'href="https://www.tradingview.com/'} == set(re.findall(rb'\w+="https?://[^"]+', body))


async def test_metrics_are_prometheus_text(served: Served) -> None:
    """The index gauge, in points."""
    served.metrics.record(index_record(1, 52.3))
    status, headers, body = await get(f"{served.url}/metrics")

    assert (200, True) == (status, headers["Content-Type"].startswith("text/plain"))
    assert b'volgauge_index_points{asset="BTC",tenor="30d"} 52.3' in body


async def read_events(
    session: aiohttp.ClientSession, url: str, count: int
) -> list[tuple[str, bytes]]:
    """(event, data) of so many messages of a stream, its clock left out."""
    found: list[tuple[str, bytes]] = []
    kind = ""
    async with session.get(url) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        async for line in answer.content:
            if line.startswith(b"event: "):
                kind = line[7:].strip().decode()
            elif line.startswith(b"data: ") and kind != "clock":
                found.append((kind, line[6:].strip()))
                if len(found) == count:
                    break
    return found


async def test_a_stream_begins_with_a_snapshot_and_goes_on(served: Served) -> None:
    """Index and surface first, then what changes."""

    async def later() -> None:
        await asyncio.sleep(0.3)
        served.hub.offer(index_record(2, 53.0))

    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        offering = asyncio.create_task(later())
        events = await read_events(session, f"{served.url}/v1/stream", 3)
        await offering

    assert {"index", "surface"} == {kind for kind, _ in events[:2]}
    record = msgspec.json.decode(events[2][1], type=IndexValue)
    assert (53.0, 2, 1) == (record.value, record.seq, record.prev_seq)


async def test_a_stream_carries_every_book(served: Served) -> None:
    """One series a book: the newest of one does not replace another's."""
    for record in (
        venue_index_value(1, label="okx"),
        venue_index_value(1, label="derive"),
        venue_index_value(2, label="okx"),
    ):
        served.hub.offer(record)
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        events = await read_events(session, f"{served.url}/v1/stream?assets=BTC&tenors=30d", 4)

    books = [msgspec.json.decode(data) for kind, data in events if kind == "venue"]
    assert [("okx", 2), ("derive", 1)] == [(book["label"], book["seq"]) for book in books]


async def test_a_stream_carries_changes_of_status(served: Served) -> None:
    """Events are never conflated away."""

    async def later() -> None:
        await asyncio.sleep(0.3)
        for after in (Status.DEGRADED, Status.STALE, Status.HALTED):
            served.hub.offer(change(after))

    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        offering = asyncio.create_task(later())
        events = await read_events(session, f"{served.url}/v1/stream", 5)
        await offering

    found = [msgspec.json.decode(data)["after"] for kind, data in events if kind == "events"]
    assert ["DEGRADED", "STALE", "HALTED"] == found


def change(after: Status) -> StatusEvent:
    """One change of status of BTC."""
    record = index_record(1, 52.3)
    return StatusEvent(
        asset=record.asset,
        tenor_days=30.0,
        before=Status.OK,
        after=after,
        computed_ns=record.computed_ns,
        source=record.source,
    )


@pytest.mark.parametrize(
    ("query", "resumed_after", "expected"),
    [
        ("", None, []),
        ("?events=recent", None, ["DEGRADED", "STALE", "HALTED"]),
        ("", "{run}-2", ["HALTED"]),
        ("", "12345-2", ["DEGRADED", "STALE", "HALTED"]),
    ],
    ids=["fresh", "recent", "resumed", "resumed from another process"],
)
async def test_a_returning_client_gets_the_events_it_missed(
    served: Served, query: str, resumed_after: str | None, expected: list[str]
) -> None:
    """Last-Event-ID goes on where the client stopped; another process's numbers do not count."""
    for after in (Status.DEGRADED, Status.STALE, Status.HALTED):
        served.hub.offer(change(after))
    headers = {}
    if resumed_after is not None:
        headers["Last-Event-ID"] = resumed_after.format(run=served.hub.run_id)
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(10):
        count = 2 + len(expected)
        events = await read_events(session, f"{served.url}/v1/stream{query}", count)

    found = [msgspec.json.decode(data)["after"] for kind, data in events if kind == "events"]
    assert found == expected


async def test_a_stream_tells_our_time(served: Served) -> None:
    """Every second, so that a client can tell an age and a dead link."""
    async with (
        asyncio.timeout(10),
        aiohttp.ClientSession() as session,
        session.get(f"{served.url}/v1/stream?assets=NONE") as answer,
    ):
        lines = first_lines(answer.content, b"data: ", 3)
        times = [msgspec.json.decode(line[6:])["now_ns"] async for line in lines]

    assert abs(times[0] - time.time_ns()) < 5e9
    assert 0.9e9 < times[1] - times[0] < 2.5e9


async def first_lines(
    content: aiohttp.StreamReader, prefix: bytes, count: int
) -> AsyncIterator[bytes]:
    """The first lines that begin so."""
    async for line in content:
        if line.startswith(prefix):
            yield line
            count -= 1
            if count == 0:
                return


async def test_a_record_asked_for_late_does_not_look_new(served: Served) -> None:
    """`published_ns` is when the record came, not when somebody asked."""
    await asyncio.sleep(0.3)
    _, _, body = await get(f"{served.url}/v1/index/BTC/30d")
    record = msgspec.json.decode(body, type=IndexValue)

    assert record.published_ns - record.computed_ns < 0.25e9


async def test_a_client_that_never_reads_is_dropped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time limit of a write it is gone, and counted."""
    monkeypatch.setattr(stream, "STREAM_WRITE_SECONDS", 0.2)
    host, port = served.url.removeprefix("http://").split(":")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        stalled.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(20):
            seq = 1
            while served.hub.stats.clients_dropped == 0:
                for asset in range(40):
                    seq += 1
                    served.hub.offer(index_record(seq, 50.0, asset=f"A{asset}"))
                await asyncio.sleep(0.02)

    assert (served.hub.stats.clients_dropped, served.hub.stats.client_count) == (1, 0)
    assert served.hub.stats.conflated > 0


async def test_streams_are_limited(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told so."""
    monkeypatch.setattr(hub, "MAX_CLIENTS", 1)
    async with aiohttp.ClientSession() as session, session.get(f"{served.url}/v1/stream") as first:
        await first.content.readline()
        status, _, body = await get(f"{served.url}/v1/stream")

    assert status == 503
    assert msgspec.json.decode(body)["error"]["code"] == "too_many_streams"


async def test_connections_are_limited_and_come_free_again(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Idle connections cannot use up the file descriptors; when they end, others are served."""
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 20)
    host, port = served.url.removeprefix("http://").split(":")
    idle = []
    for _ in range(25):
        idle.append(socket.create_connection((host, int(port))))
        await asyncio.sleep(0.005)
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(f"{served.url}/healthz")
    for connection in idle:
        connection.close()
    await asyncio.sleep(0.1)

    status, _, _ = await get(f"{served.url}/healthz")
    assert status == 200


async def test_a_request_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a header, one byte at a time, does not hold a connection for ever."""
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.5)
    async with serve() as running, asyncio.timeout(10):
        host, port = running.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        is_cut = False
        while not is_cut:
            writer.write(b"x")
            try:
                async with asyncio.timeout(0.1):
                    is_cut = await reader.read(1024) == b""
            except ConnectionError:
                # A reset, where a byte was on its way.
                is_cut = True
            except TimeoutError:
                continue
        writer.close()


async def test_a_huge_header_is_refused(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A megabyte of header gets an error, not memory, and no stranger fills our log."""
    host, port = served.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    with suppress(ConnectionError):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Big: " + b"x" * 1_000_000)
        await writer.drain()
    with suppress(ConnectionError):
        async with asyncio.timeout(5):
            answer = await reader.read(4096)
            assert b" 400 Bad Request" in answer[:40]
    writer.close()

    assert caplog.records == []


async def test_many_scrapes_at_once_are_rendered_one_by_one(served: Served) -> None:
    """Two hundred scrapes together leave the event loop free."""
    longest = 0.0
    async with aiohttp.ClientSession() as session:

        async def scrape() -> int:
            async with session.get(f"{served.url}/metrics") as answer:
                await answer.read()
                return answer.status

        tasks = [asyncio.create_task(scrape()) for _ in range(200)]
        before = time.monotonic()
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.001)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()

    assert {await task for task in tasks} == {200}
    assert longest < 0.5


async def test_a_client_that_does_not_read_slows_nobody(served: Served) -> None:
    """Hundreds of records pass a stalled reader; another one gets the newest."""
    host, port = served.url.removeprefix("http://").split(":")
    stalled = socket.create_connection((host, int(port)))
    try:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        began = time.monotonic()
        for seq in range(2, 2_000):
            served.hub.offer(index_record(seq, 50.0 + seq / 1000))
            if seq % 100 == 0:
                await asyncio.sleep(0)
        assert time.monotonic() - began < 5.0
        async with aiohttp.ClientSession() as session, asyncio.timeout(10):
            events = await read_events(session, f"{served.url}/v1/stream", 2)
    finally:
        stalled.close()

    newest = next(msgspec.json.decode(data) for kind, data in events if kind == "index")
    assert newest["seq"] == 1_999


async def test_stopping_does_not_wait_for_streams() -> None:
    """A connected browser must not hold up a shutdown."""
    async with serve() as running:
        running.hub.offer(index_record(1, 52.3))
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{running.url}/v1/stream")
            await answer.content.readline()
            began = time.monotonic()
            await running.server.stop()
            took = time.monotonic() - began

    assert took < 1.5


async def test_without_history_the_answer_says_so() -> None:
    """404 with the key to set."""
    async with serve(with_history=False) as running:
        status, _, body = await get(f"{running.url}/v1/history/BTC/30d")

    assert status == 404
    assert "history.path" in msgspec.json.decode(body)["error"]["message"]
