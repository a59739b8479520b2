"""What breaks around a running service: the venue, the frames, Redis; with real processes."""

import json
import os
import sys
import time
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path

import pytest

from fakes.redis_lab import frozen, kill, running_server
from integration.processes import (
    LATEST,
    START_SECONDS,
    STREAM,
    Line,
    Process,
    Watcher,
    addresses,
    assert_honest,
    assert_in_order,
    eventually,
    fetch,
    free_port,
    latest,
    metric,
    page_of,
    raw,
    recorded_lines,
    redis_of,
    result_of,
    stream,
    sure,
    venue,
    venue_settings,
    wait_for_value,
)

NANOS = 1_000_000_000
LIMITS = {
    "VOLGAUGE__VENUES__DERIBIT__STALE_AFTER_SECONDS": "1",
    "VOLGAUGE__VENUES__DERIBIT__RECONNECT_AFTER_SECONDS": "2",
    "VOLGAUGE__INDEX__STALE_AFTER_SECONDS": "1.5",
    "VOLGAUGE__INDEX__HALT_AFTER_SECONDS": "3",
}
"""The ladder of METHODOLOGY §6 with short rungs, so that a test sees all of them."""
SLACK_NS = NANOS // 2
"""A timer's step, a slow machine's pause."""
FREEZE_SECONDS = float(os.environ.get("VOLGAUGE_TEST_FREEZE_SECONDS", "4"))
"""How long Redis is frozen; the slow test takes 15."""
ALLOWED_STALL_SECONDS = 0.05


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Compile the kernels once: some faults strike a few seconds after the venue's start."""
    assert result_of("warm")[0] == 0


def assert_truthful(records: list[Line]) -> None:
    """In order, and honest by the short limits."""
    assert_in_order(records)
    assert_honest(
        records,
        alive_ns=NANOS,
        stale_ns=NANOS * 3 // 2,
        halt_ns=NANOS * 3,
        slack_ns=SLACK_NS,
    )


def statuses(records: list[Line]) -> list[str]:
    """The statuses in the order of their coming, repetitions left out."""
    found: list[str] = []
    for record in records:
        if not found or found[-1] != record["status"]:
            found.append(record["status"])
    return found


def test_killed_venue_is_told_and_recovers_by_itself() -> None:
    """SIGKILL, then the same port again: DEGRADED, STALE, HALTED with null, then a new value."""
    port = free_port()
    with ExitStack() as stack:
        first = stack.enter_context(venue(port))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(first), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        first.kill()
        killed_ns = time.time_ns()
        halted = eventually(lambda: is_status(latest(client), "HALTED"), "HALTED", 10.0)
        stack.enter_context(venue(port))
        wait_for_value(service, client, after_ns=killed_ns)
        records = [record for _, record in stream(client)]
        events = [record for _, record in stream(client, "volgauge:stream:events:BTC")]

    assert halted
    assert_truthful(records)
    during = [r for r in records if r["computed_ns"] > killed_ns + SLACK_NS and not sure(r)]
    assert statuses(during)[:3] == ["DEGRADED", "STALE", "HALTED"]
    repeated = [record for record in during if record["value"] is not None]
    # One number, with its own time: nothing was invented after the kill.
    assert len({(record["value"], record["event_ns"]) for record in repeated}) == 1
    assert all("feed_stale" in record["flags"] for record in repeated)
    changes = [(e["before"], e["after"]) for e in events if e.get("tenor_days") == 30.0]
    assert ("STALE", "HALTED") in changes
    assert all(after == before for (_, after), (before, _) in pairwise(changes))


def test_silent_venue_with_living_heartbeats_is_noticed_and_left() -> None:
    """Data stops, answers go on: the status says so in time, and the socket is renewed."""
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=("--fault", "silent_after=3")))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        stale = eventually(lambda: is_status(latest(client), "STALE", "HALTED"), "STALE", 20.0)
        again = wait_for_value(service, client, after_ns=int(stale["computed_ns"]))
        records = [record for _, record in stream(client)]
        errors = [line["error"] for line in service.events("feed.disconnected")]

    assert again["event_ns"] > stale["event_ns"]
    assert_truthful(records)
    assert any("no data for" in error for error in errors)


@pytest.mark.parametrize(
    "fault",
    ["garble=0.002", pytest.param("truncate=0.002", marks=pytest.mark.slow)],
    ids=["garbled", "cut-short"],
)
def test_broken_frames_end_a_session_and_never_the_service(fault: str) -> None:
    """A frame that is no JSON: the session is renewed, the loss is told, the index comes back."""
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=("--fault", fault)))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        refused = eventually(lambda: lost_sessions(service, "received b'"), "a refused frame")
        wait_for_value(service, client, after_ns=time.time_ns())
        records = [record for _, record in stream(client)]
        code, _ = service.terminate()
        last_words = service.last_words

    assert code == 0
    assert refused
    assert "Traceback" not in last_words
    assert_truthful(records)


def test_gaps_in_the_book_are_healed_one_instrument_at_a_time() -> None:
    """Lost changes of depth: no session ends, the index goes on, and it stays in order."""
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=("--fault", "book_gap=0.1")))
        settings = {
            **addresses(simulator),
            **LIMITS,
            "VOLGAUGE__VENUES__DERIBIT__DEPTH_LEVELS": "5",
        }
        service = stack.enter_context(Process("run", "--port", "0", environment=settings))
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        root = page_of(service)
        snapshots = metric(root, "volgauge_events_total", event="BookSnapshot")
        eventually(lambda: metric(root, "volgauge_book_gaps_total") >= 5.0, "five gaps")
        eventually(
            lambda: metric(root, "volgauge_events_total", event="BookSnapshot") > snapshots,
            "a new snapshot",
        )
        wait_for_value(service, client, after_ns=time.time_ns())
        records = [record for _, record in stream(client)]
        lost = service.events("feed.disconnected")

    assert lost == []
    assert_truthful(records)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        pytest.param(("half_open_after=3",), "no data for", marks=pytest.mark.slow),
        (("oversized_after=3",), "1009"),
        pytest.param(("disconnect_every=3", "close_code=4000"), "4000", marks=pytest.mark.slow),
    ],
    ids=["half-open", "too-large-frame", "closed-for-heartbeat"],
)
def test_lost_sessions_are_named_and_renewed(flags: tuple[str, ...], words: str) -> None:
    """Whatever ends a session: the log says what, the record says so, a new value follows."""
    faults = tuple(word for flag in flags for word in ("--fault", flag))
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=faults))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        lost = eventually(lambda: lost_sessions(service, words), words)
        dark = eventually(
            lambda: [r for _, r in stream(client) if r["reason"] == "feed_down"], "a told loss"
        )
        wait_for_value(service, client, after_ns=int(dark[-1]["computed_ns"]))
        records = [record for _, record in stream(client)]

    assert lost
    assert_truthful(records)


def test_lost_doubled_and_swapped_frames_do_no_harm() -> None:
    """Top-of-book frames replace each other: no session ends, the value stays where it was."""
    noise = ("drop=0.002", "duplicate=0.02", "reorder=0.02", "delay=0.01", "delay_ms=200")
    flags = tuple(word for fault in noise for word in ("--fault", fault))
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=flags))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        began = wait_for_value(service, client)
        eventually(
            lambda: (latest(client) or began)["seq"] > began["seq"] + 100, "100 more records"
        )
        records = [record for _, record in stream(client) if sure(record)]
        lost = service.events("feed.disconnected")

    assert lost == []
    assert_truthful(records)
    # A second or two of a calm market: the index cannot have moved by more.
    assert max(r["value"] for r in records) - min(r["value"] for r in records) < 1.0


@pytest.mark.slow
def test_refused_part_of_a_subscription_is_told() -> None:
    """One channel in a hundred never acknowledged: DEGRADED by `coverage`, not a silent hole."""
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=("--fault", "refuse=0.01")))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        record = eventually(
            lambda: sure(latest(client)) and flagged(latest(client), "coverage"),
            "the flag",
            START_SECONDS,
        )

    assert record
    assert record["status"] == "DEGRADED"


def test_locked_index_is_told_and_forgotten() -> None:
    """The venue locks its price index for a while: DEGRADED by `index_locked`, then well again."""
    faults = ("--fault", "lock_after=4", "--fault", "lock_seconds=2")
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=faults))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        locked = eventually(lambda: flagged(latest(client), "index_locked"), "the flag")
        eventually(
            lambda: sure(latest(client)) and not flagged(latest(client), "index_locked"), "no flag"
        )

    assert locked["status"] == "DEGRADED"


def test_maintenance_of_the_venue_is_waited_out() -> None:
    """Announced, closed, refused over REST and websocket; then it serves again by itself."""
    # Late enough that a service on a busy machine has a value before it.
    faults = ("--fault", "maintenance_after=12", "--fault", "maintenance_seconds=2")
    with ExitStack() as stack:
        simulator = stack.enter_context(venue(flags=faults))
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**addresses(simulator), **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        wait_for_value(service, client)
        down = eventually(lambda: is_status(latest(client), "STALE", "HALTED"), "STALE", 40.0)
        wait_for_value(service, client, after_ns=int(down["computed_ns"]))
        records = [record for _, record in stream(client)]

    assert_truthful(records)


def test_venue_that_is_not_there_yet_is_waited_for() -> None:
    """The service starts first: it says WARMING or nothing, and serves when the venue comes."""
    port = free_port()
    settings = venue_settings(f"ws://127.0.0.1:{port}/ws/api/v2", f"http://127.0.0.1:{port}/api/v2")
    with ExitStack() as stack:
        service = stack.enter_context(
            Process("run", "--port", "0", environment={**settings, **LIMITS})
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        eventually(lambda: service.events("feed.disconnected"), "a refused connection")
        assert latest(client) is None
        root = page_of(service)
        status, _, body = fetch(f"{root}/readyz")
        stack.enter_context(venue(port))
        wait_for_value(service, client)
        eventually(lambda: fetch(f"{root}/readyz")[0] == 200, "ready")

    assert status == 503
    assert json.loads(body)["reasons"]


def test_killed_redis_costs_no_order_and_no_second_record() -> None:
    """SIGKILL of Redis for three seconds: the records go on where they were, none comes twice."""
    port = free_port()
    with ExitStack() as stack:
        simulator = stack.enter_context(venue())
        server = stack.enter_context(running_server(port))
        service = stack.enter_context(
            Process(
                "run", "--port", "0", "--redis-url", server.url, environment=addresses(simulator)
            )
        )
        watcher = stack.enter_context(Watcher(server.url))
        with closing(raw(server.url)) as client:
            wait_for_value(service, client)
        eventually(lambda: len(watcher.records) >= 100, "records before the kill")
        kill(server)
        gone = time.monotonic()
        before = len(watcher.records)
        eventually(lambda: time.monotonic() - gone >= 3.0, "three seconds", 10.0)
        with running_server(port) as reborn, closing(raw(reborn.url)) as client:
            restarted_ns = time.time_ns()
            first = wait_for_value(service, client, after_ns=restarted_ns)
            eventually(lambda: len(watcher.records) >= before + 100, "records after")
            code, seconds = service.terminate()
            kept = [record for _, record in stream(client)]
            key = latest(client)
        heard = list(watcher.records)

    assert code == 0
    assert seconds <= 2.0
    assert_in_order(heard)
    assert_in_order(kept)
    assert len({record["epoch"] for record in heard}) == 1
    # Nothing of the outage was queued up: the newest record only, within a second.
    assert (kept[0]["published_ns"] - restarted_ns) / NANOS < 1.0
    assert first["seq"] > heard[before - 1]["seq"]
    assert key == kept[-1]


def test_frozen_redis_never_stalls_the_engine(tmp_path: Path) -> None:
    """SIGSTOP of Redis: the engine's loop goes on as before; afterwards all is in order."""
    freeze(tmp_path, FREEZE_SECONDS)


@pytest.mark.slow
def test_redis_frozen_for_fifteen_seconds(tmp_path: Path) -> None:
    """The whole length."""
    freeze(tmp_path, 15.0)


def freeze(folder: Path, seconds: float) -> None:
    """Freeze Redis under a running service, and look at its loop through its recording."""
    with ExitStack() as stack:
        simulator = stack.enter_context(venue())
        server = stack.enter_context(running_server())
        settings = {**addresses(simulator), "VOLGAUGE__RECORDER__PATH": str(folder)}
        service = stack.enter_context(
            Process("run", "--port", "0", "--redis-url", server.url, environment=settings)
        )
        watcher = stack.enter_context(Watcher(server.url))
        client = stack.enter_context(closing(raw(server.url)))
        wait_for_value(service, client)
        calm_ns = time.time_ns()
        eventually(lambda: time.time_ns() - calm_ns >= seconds * NANOS, "a calm time", 30.0)
        with frozen(server):
            frozen_ns = time.time_ns()
            eventually(lambda: time.time_ns() - frozen_ns >= seconds * NANOS, "a freeze", 30.0)
        thawed_ns = time.time_ns()
        wait_for_value(service, client, after_ns=thawed_ns)
        code, ending = service.terminate()
        kept = [record for _, record in stream(client)]
        key = json.loads(client.get(LATEST))
        tail = client.xrevrange(STREAM, count=1)
        heard = list(watcher.records)
        failures = [line for line in service.log if line["event"] == "publish.failed"]

    assert code == 0
    assert ending <= 2.0
    assert_in_order(kept)
    assert_in_order(heard)
    assert key == json.loads(tail[0][1]["record"])
    assert failures
    calm = longest_stall(folder, calm_ns, frozen_ns)
    stalled = longest_stall(folder, frozen_ns, thawed_ns)
    sys.stdout.write(
        f"loop stall: {1e3 * calm:.1f} ms calm, {1e3 * stalled:.1f} ms with Redis frozen\n"
    )
    # A busy test machine pauses any process; what the freeze adds is what is judged.
    assert stalled <= max(ALLOWED_STALL_SECONDS, 2.0 * calm)
    ticks = [at for at, op in operations(folder) if op == "flush" and frozen_ns < at < thawed_ns]
    assert len(ticks) > 50 * seconds


def operations(folder: Path) -> list[tuple[int, str]]:
    """(instant, operation) of the service's control series."""
    lines = recorded_lines(folder / "_control" / "control")
    return [(at_ns, json.loads(payload)["op"]) for at_ns, payload in lines]


def longest_stall(folder: Path, from_ns: int, until_ns: int) -> float:
    """How much later than its 0.1 s the engine's timer came at worst, in seconds."""
    timers = [at for at, op in operations(folder) if op == "timer" and from_ns <= at <= until_ns]
    return max(after - before for before, after in pairwise(timers)) / NANOS - 0.1


def is_status(record: Line | None, *wanted: str) -> Line:
    """The record if it has one of these statuses, else an empty one."""
    return record if record is not None and record["status"] in wanted else {}


def flagged(record: Line | None, flag: str) -> Line:
    """The record if it has this flag, else an empty one."""
    return record if record is not None and flag in record["flags"] else {}


def lost_sessions(service: Process, words: str) -> list[Line]:
    """Log lines of lost sessions with these words in the reason or the error."""
    return [
        line
        for line in service.events("feed.disconnected")
        if words in f"{line['reason']} {line['error']}"
    ]
