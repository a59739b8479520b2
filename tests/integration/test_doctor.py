"""The doctor against real simulated venues, a real Valkey, dead ports and wrong clocks."""

import socket
import time
from collections.abc import Iterable

import pytest
from aiohttp import web
from msgspec.structs import replace

from fakes.redis_lab import raw_client, running_server
from volgauge import cli
from volgauge.settings import HttpSettings, RedisSettings, Settings, VenueSettings, VenuesSettings
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.terminal.doctor import examine
from volgauge.terminal.findings import Finding, Level
from volgauge.terminal.machine import check_file, check_kernels
from volgauge.terminal.services import check_http, check_redis

NAMES = ("deribit", "okx", "bybit", "binance", "derive", "aevo", "delta")


def venues(ws_url: str, rest_url: str) -> Settings:
    """Settings that take one venue, from these addresses."""
    deribit = VenueSettings(ws_url=ws_url, rest_url=rest_url)
    return Settings(venues=VenuesSettings(deribit=deribit), http=HttpSettings(enabled=False))


def named(findings: Iterable[Finding], check: str) -> Finding:
    """The finding of one check."""
    return next(one for one in findings if one.check == check)


async def test_every_simulated_venue_answers() -> None:
    """Time and hello of all wires, and a clock that agrees."""
    options = SimulatorOptions(rate=50.0, venues=NAMES[1:])
    async with Simulator(options) as simulator:
        urls = {
            name: (simulator.ws_url_of(name), simulator.rest_url_of(name)) for name in NAMES[1:]
        }
        urls["deribit"] = (simulator.ws_url, simulator.rest_url)
        made = {
            name: VenueSettings(ws_url=ws_url, rest_url=rest_url)
            for name, (ws_url, rest_url) in urls.items()
        }
        settings = Settings(venues=VenuesSettings(**made), http=HttpSettings(enabled=False))
        findings = await examine(settings, 30.0)

    for name in NAMES:
        rest, stream = named(findings, f"{name} REST"), named(findings, f"{name} websocket")
        assert [step.name for step in rest.steps] == ["DNS", "TCP", "time"], rest
        assert [step.name for step in stream.steps] == ["DNS", "TCP", "hello"], stream
        assert (rest.level, stream.level) == (Level.OK, Level.OK), (rest, stream)
    assert named(findings, "clock").level is not Level.FAIL


async def test_dead_port_and_unknown_host_are_named() -> None:
    """Which step failed; and it is over long before ten seconds."""
    began = time.perf_counter()
    findings = await examine(venues("ws://127.0.0.1:9/ws", "https://venue.invalid/api"))

    assert named(findings, "deribit websocket").found.startswith("TCP failed")
    assert named(findings, "deribit REST").found.startswith("DNS failed")
    assert named(findings, "deribit REST").advice
    assert time.perf_counter() - began < 10.0


async def test_silence_ends_at_the_deadline() -> None:
    """A server that accepts and says nothing costs no more than the deadline."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        findings = await examine(venues(f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"), 1.5)

    assert named(findings, "deribit REST").level is Level.FAIL
    assert "no answer" in named(findings, "deribit websocket").found


@pytest.mark.parametrize(("off", "level"), [(2.0, Level.WARN), (-60.0, Level.FAIL)])
async def test_wrong_clock_is_told(off: float, level: Level) -> None:
    """By how much, and against whom."""

    async def tell(_: web.Request) -> web.Response:
        return web.json_response({"result": int((time.time() + off) * 1000)})

    app = web.Application()
    app.router.add_get("/public/get_time", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    findings = await examine(venues("ws://127.0.0.1:9", f"http://127.0.0.1:{port}"), 30.0)
    await runner.cleanup()

    clock = named(findings, "clock")
    assert clock.level is level, clock
    skew = named(findings, "deribit REST").skew_seconds
    assert skew == pytest.approx(off, abs=0.9)


def test_redis_rights_are_tried_and_nothing_is_left() -> None:
    """The scratch keys are gone; a user without XADD is refused by name."""
    with running_server() as server, raw_client(server.url) as client:
        good = check_redis(RedisSettings(url=server.url))
        time.sleep(0.05)
        left = client.keys("*")
        client.execute_command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "&*", "+@all", "-xadd")
        poor = check_redis(RedisSettings(url=server.url.replace("//", "//poor:pw@")))

    assert good.level is not Level.FAIL, good
    assert [step.name for step in good.steps] == [
        "connect", "INFO", "SET", "PUBLISH", "XADD", "EVALSHA"
    ]  # fmt: skip
    assert left == []
    assert poor.level is Level.FAIL
    assert "xadd" in poor.found
    assert "pw" not in poor.found
    assert check_redis(RedisSettings(url="redis://127.0.0.1:9")).level is Level.FAIL


def test_http_port_of_a_stranger_fails() -> None:
    """A free one does not."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        settings = HttpSettings(port=stranger.getsockname()[1])
        taken = check_http(settings)
    free = check_http(replace(settings, port=0))

    assert (taken.level, free.level) == (Level.FAIL, Level.OK)


def test_missing_folder_fails() -> None:
    """SQLite makes a file, no folder."""
    assert check_file("history", "/nowhere/at/all.sqlite").level is Level.FAIL


def test_kernels_are_counted() -> None:
    """Warm or not, it says so."""
    assert "numba" in check_kernels().found


def test_bad_configuration_is_exit_code_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is tried."""
    monkeypatch.setenv("VOLGAUGE__HTTP__PORT", "nonsense")

    assert cli.main(["doctor"]) == 2
