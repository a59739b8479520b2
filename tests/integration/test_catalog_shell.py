"""The REST shell against a server on loopback that refuses, floods, redirects and lies."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web
from typing_extensions import override

from volgauge.adapters.base import RestRequest, VenueProtocol
from volgauge.clock import SystemClock
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueError
from volgauge.wire import catalog
from volgauge.wire.catalog import run_catalog
from volgauge.wire.recorder import Recorder

Answer = Callable[[int, web.Request], Awaitable[web.StreamResponse]]
PATIENCE_SECONDS = 10.0


class ListingAdapter:
    """Implements VenueAdapter: two bodies, due at once and then in an hour."""

    def __init__(self, rest_url: str) -> None:
        self.venue = Venue("deribit")
        self.rest_url = rest_url
        self.connects = None
        self.catalog_due_ns = 0
        self.read: list[dict[str, bytes]] = []
        self.refusals: list[tuple[int, bytes]] = []
        self.error: VenueError | None = None

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """Two."""
        return (RestRequest("a", "public/a?x=1"), RestRequest("b", "public/b"))

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """As the test wants."""
        self.refusals.append((status, body))
        if status == 429:
            return RateLimited(self.venue, "slow down", 45.0)
        return CatalogError(self.venue, str(status))

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Keep them, or fail once."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.read.append(dict(bodies))
        self.catalog_due_ns = now_ns + 3600 * NANOS_PER_SECOND

    def connections(self) -> tuple[VenueProtocol, ...]:
        """None."""
        return ()


class Fetching:
    """A running `run_catalog` and what it did."""

    def __init__(self, adapter: ListingAdapter) -> None:
        self.adapter = adapter
        self.waits: list[float] = []
        self.flushes = 0
        self.task: asyncio.Task[None]

    def flush(self) -> None:
        """Count."""
        self.flushes += 1

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, with a deadline."""
        for _ in range(round(PATIENCE_SECONDS / 0.01)):
            if condition():
                return
            if self.task.done():
                self.task.result()
            await asyncio.sleep(0.01)
        raise AssertionError(f"not in time: {self.adapter.refusals} {self.waits}")


@asynccontextmanager
async def fetching(
    answer: Answer, recorder: Recorder | None = None, kind: type[ListingAdapter] = ListingAdapter
) -> AsyncIterator[Fetching]:
    """A server that answers, and the shell asking it; waits between attempts are 1 ms."""
    count = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal count
        number, count = count, count + 1
        return await answer(number, request)

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port, *_ = runner.addresses[0]
    run = Fetching(kind(f"http://{host}:{port}/api/v2/"))

    async def wait(seconds: float) -> None:
        if seconds > catalog.POLL_SECONDS:
            run.waits.append(seconds)
        await asyncio.sleep(0.001)

    run.task = asyncio.create_task(
        run_catalog(run.adapter, SystemClock(), run.flush, recorder, jitter=lambda: 1.0, sleep=wait)
    )
    try:
        yield run
    finally:
        run.task.cancel()
        await asyncio.wait([run.task])
        await runner.cleanup()


async def echo(_: int, request: web.Request) -> web.StreamResponse:
    """The path and the query."""
    return web.Response(body=request.path_qs.encode())


async def test_bodies_are_fetched_by_name_and_flushed_once() -> None:
    """Both requests, relative to the root, then one recompute."""
    async with fetching(echo) as run:
        await run.until(lambda: run.flushes)

    assert run.adapter.read == [{"a": b"/api/v2/public/a?x=1", "b": b"/api/v2/public/b"}]
    assert run.flushes == 1


class PatientAdapter(ListingAdapter):
    """Implements ReadsAhead, in a hundred pieces; notes whether the loop ran between two."""

    def __init__(self, rest_url: str) -> None:
        super().__init__(rest_url)
        self.order: list[str] = []

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Piece by piece."""
        assert set(bodies) == {"a", "b"}
        assert now_ns > 0
        for _ in range(100):
            asyncio.get_running_loop().call_soon(self.order.append, "loop")
            self.order.append("piece")
            yield

    @override
    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """The same objects."""
        self.order.append("catalog")
        super().on_catalog(bodies, now_ns)


async def test_loop_has_its_turn_between_pieces_of_a_listing() -> None:
    """Each piece is followed by whatever waits, and the listing takes effect after all."""
    async with fetching(echo, kind=PatientAdapter) as run:
        await run.until(lambda: run.flushes)
        adapter = run.adapter

    assert isinstance(adapter, PatientAdapter)
    assert adapter.order == ["piece", "loop"] * 100 + ["catalog"]


async def test_listing_is_fetched_again_when_it_falls_due() -> None:
    """A socket announced a new instrument: the adapter lowers its due time."""
    async with fetching(echo) as run:
        await run.until(lambda: len(run.adapter.read) == 1)
        run.adapter.catalog_due_ns = 0
        await run.until(lambda: len(run.adapter.read) == 2)


@pytest.mark.parametrize(
    ("status", "least"), [(503, 0.5), (400, 0.5), (429, 45.0)], ids=["5xx", "4xx", "429"]
)
async def test_refused_request_is_explained_by_the_adapter_and_retried(
    status: int, least: float
) -> None:
    """Status and body go to who knows them; the wait is the adapter's when it says one."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if number == 1:
            return web.Response(status=status, body=b'{"error":{"code":1}}')
        return await echo(number, request)

    async with fetching(answer) as run:
        await run.until(lambda: run.adapter.read)

    assert run.adapter.refusals == [(status, b'{"error":{"code":1}}')]
    assert run.waits[0] >= least
    assert len(run.waits) == 1


async def test_waits_grow_and_success_resets_them() -> None:
    """0.5, 1, 2 s; after a listing that was read, 0.5 s again."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if number in {0, 1, 2, 5}:
            return web.Response(status=500)
        return await echo(number, request)

    async with fetching(answer) as run:
        await run.until(lambda: len(run.adapter.read) == 1)
        run.adapter.catalog_due_ns = 0
        await run.until(lambda: len(run.adapter.read) == 2)

    assert run.waits == [0.5, 1.0, 2.0, 0.5]


async def test_unreadable_listing_is_retried() -> None:
    """The adapter refuses a body; the shell asks again."""
    async with fetching(echo) as run:
        await run.until(lambda: run.adapter.read)
        run.adapter.error = CatalogError("deribit", "no listing")
        run.adapter.catalog_due_ns = 0
        await run.until(lambda: len(run.adapter.read) == 2)

    assert len(run.waits) == 1


async def test_endless_body_is_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a small one that unpacks to a large one."""
    monkeypatch.setattr(catalog, "MAX_BODY_BYTES", 100_000)

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if number == 0:
            response = web.Response(body=b"x" * 10_000_000)
            response.enable_compression(web.ContentCoding.gzip)
            return response
        return await echo(number, request)

    async with fetching(answer) as run:
        await run.until(lambda: run.adapter.read)

    assert len(run.waits) == 1


async def test_redirect_is_not_followed() -> None:
    """It would leave the host that the source rests on."""
    paths: list[str] = []

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        if number == 0:
            raise web.HTTPFound("/elsewhere")
        return await echo(number, request)

    async with fetching(answer) as run:
        await run.until(lambda: run.adapter.read)

    assert "/elsewhere" not in paths
    assert run.adapter.refusals[0][0] == 302


async def test_connection_that_breaks_off_is_retried() -> None:
    """Half a body is no body."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if number == 0:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b"x" * 10)
            assert request.transport is not None
            request.transport.abort()
            return response
        return await echo(number, request)

    async with fetching(answer) as run:
        await run.until(lambda: run.adapter.read)

    assert len(run.waits) == 1


async def test_used_bodies_are_recorded(tmp_path: Path) -> None:
    """By name, and the control series says when they were handed over."""
    recorder = Recorder(tmp_path)
    async with fetching(echo, recorder) as run:
        await run.until(lambda: run.flushes)
    await recorder.write()

    assert sorted(path.name for path in (tmp_path / "_rest").iterdir()) == ["deribit"]
    assert (tmp_path / "_control").is_dir()


class RichAdapter(ListingAdapter):
    """One body that is needed, three that are not, of the venue and of another host."""

    other = ""

    @override
    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """Four."""
        return (
            RestRequest("a", "public/a"),
            RestRequest("b", "public/b", is_optional=True),
            RestRequest("c", "c", root=self.other, is_optional=True),
            RestRequest("d", "d", root=self.other, is_optional=True),
        )


def _has_read(adapter: ListingAdapter, rounds: int) -> bool:
    return len(adapter.read) >= rounds


async def _rounds(answer: Answer, rounds: int = 1) -> tuple[RichAdapter, list[str], list[float]]:
    """Bodies of some rounds, the paths that were asked for, and the waits after failures."""
    paths: list[str] = []

    async def noting(number: int, request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return await answer(number, request)

    async with fetching(noting, kind=RichAdapter) as run:
        adapter = run.adapter
        assert isinstance(adapter, RichAdapter)
        adapter.other = adapter.rest_url.replace("/api/v2/", "/other")
        for number in range(1, rounds + 1):
            adapter.catalog_due_ns = 0
            await run.until(partial(_has_read, adapter, number))
        return adapter, paths, run.waits


async def test_optional_bodies_may_come_from_another_host() -> None:
    """Each by its own root."""
    adapter, _, _ = await _rounds(echo)

    assert adapter.read[0] == {
        "a": b"/api/v2/public/a", "b": b"/api/v2/public/b", "c": b"/other/c", "d": b"/other/d"
    }  # fmt: skip


async def test_optional_body_that_is_refused_is_left_out() -> None:
    """The round goes on, nothing waits, and the others are there."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if request.path.endswith(("/b", "/c")):
            return web.Response(status=404)
        return await echo(number, request)

    adapter, _, waits = await _rounds(answer)

    assert sorted(adapter.read[0]) == ["a", "d"]
    assert waits == []


async def test_host_without_an_answer_costs_one_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other bodies are not asked for in that round; they are in the next."""
    monkeypatch.setattr(catalog, "OPTIONAL_SECONDS", 0.2)

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if request.path == "/other/c":
            await asyncio.sleep(1.0)
        return await echo(number, request)

    adapter, paths, _ = await _rounds(answer, rounds=2)

    assert [sorted(bodies) for bodies in adapter.read[:2]] == [["a", "b"], ["a", "b"]]
    assert paths.count("/other/c") >= 2
    assert "/other/d" not in paths


async def test_other_host_that_limits_us_is_left_alone() -> None:
    """For as long as it says; the venue's own listing goes on."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/other"):
            return web.Response(status=429)
        return await echo(number, request)

    adapter, paths, waits = await _rounds(answer, rounds=3)

    assert [sorted(bodies) for bodies in adapter.read[:3]] == [["a", "b"]] * 3
    assert [path for path in paths if path.startswith("/other")] == ["/other/c"]
    assert waits == []


async def test_venue_that_limits_an_optional_request_is_obeyed() -> None:
    """A refusal for speed by the venue itself is never passed over."""

    async def answer(number: int, request: web.Request) -> web.StreamResponse:
        if number == 1:
            return web.Response(status=429)
        return await echo(number, request)

    _, _, waits = await _rounds(answer)

    assert waits[0] >= 45.0
