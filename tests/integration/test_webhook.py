"""The webhook against a real HTTP server that is flaky, slow, busy, hostile or dead."""

import asyncio
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from fakes.readings import NOW_NS, alert_event
from fakes.redis_lab import wait_for
from volgauge.clock import SystemClock
from volgauge.domain.analytics import AlertEvent, Edge
from volgauge.publish import webhook
from volgauge.publish.webhook import Webhook, seconds_asked, sign
from volgauge.settings import AlertSettings

SECRET = "correct horse"  # noqa: S105 - a test's
TOKEN = "T0KEN"  # noqa: S105 - a test's
Answer = Callable[[dict[str, Any]], "int | web.StreamResponse | None"]
"""From the posted event to a status, a response, or None: drop the connection."""


class Receiver:
    """A server that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _event: 204
        self.delay = 0.0
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Episode and edge of each post."""
        told = [json.loads(body) for _, body in self.posts]
        return [(event["episode"], event["edge"]) for event in told]

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Keep and answer."""
        body = await request.read()
        self.posts.append((dict(request.headers), body))
        await asyncio.sleep(self.delay)
        answer = self.answer(json.loads(body))
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=answer) if isinstance(answer, int) else answer


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post(f"/hook/{TOKEN}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook/{TOKEN}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Pauses:
    """A sleep that only notes how long it was asked for."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Let others run."""
        self.seconds.append(seconds)
        await asyncio.sleep(0.002)


@asynccontextmanager
async def posting(
    url: str, *, attempts: int = 8, timeout_seconds: float = 5.0, pauses: Pauses | None = None
) -> AsyncIterator[Webhook]:
    """Run a webhook whose pauses are full and take no time."""
    settings = AlertSettings(
        webhook_url=url,
        webhook_secret=SECRET,
        webhook_attempts=attempts,
        webhook_timeout_seconds=timeout_seconds,
    )
    sink = Webhook(settings, SystemClock(), jitter=lambda: 1.0, sleep=pauses or Pauses())
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def both_ends(number: int) -> list[AlertEvent]:
    """Raise and clear of one episode."""
    return [alert_event(edge=edge, raised_ns=NOW_NS + number) for edge in Edge]


def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_an_event_is_posted_once_signed_and_named() -> None:
    """The body is the record; the signature is checked with the standard library alone."""
    async with receiving() as receiver, posting(receiver.url) as sink:
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.delivered)
    [(headers, body)] = receiver.posts

    stamp, _, digest = headers["X-Volgauge-Signature"].partition(",v1=")
    second = stamp.removeprefix("t=")
    expected = hmac.new(SECRET.encode(), f"{second}.".encode() + body, hashlib.sha256).hexdigest()
    assert digest == expected
    assert abs(int(second) - time.time()) < 60
    assert headers["X-Volgauge-Episode"] == f"spike:BTC:{NOW_NS}"
    assert headers["Idempotency-Key"] == f"spike:BTC:{NOW_NS}:raised"
    assert headers["Content-Type"] == "application/json"
    sent = msgspec.json.decode(body, type=AlertEvent)
    assert sent.published_ns > 0
    assert msgspec.structs.replace(sent, published_ns=0) == alert_event()


def test_the_signature_is_the_documented_one() -> None:
    """By `printf '1795000000.{"a":1}' | openssl dgst -sha256 -hmac 'correct horse'`."""
    assert sign(SECRET, 1_795_000_000, b'{"a":1}') == (
        "t=1795000000,v1=05b74926b71da3afad41e8a67fb63481256506d7eb189555ecdf72f7148a3114"
    )


async def test_without_a_secret_nothing_is_signed() -> None:
    """No header rather than one by an empty key."""
    async with receiving() as receiver:
        sink = Webhook(AlertSettings(webhook_url=receiver.url), SystemClock())
        sink.offer(alert_event())
        task = asyncio.create_task(sink.run())
        await wait_for(lambda: sink.stats.delivered)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert "X-Volgauge-Signature" not in receiver.posts[0][0]


async def test_a_flaky_receiver_gets_it_in_the_end() -> None:
    """Errors of the server and cut connections are tried again, under the same key and body."""
    answers: list[int | None] = [500, None, 503, 502, None, 200]
    async with receiving() as receiver, posting(receiver.url) as sink:
        receiver.answer = lambda _event: answers.pop(0)
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.delivered)

    assert (sink.stats.retried, sink.stats.lost, sink.stats.refused) == (5, 0, 0)
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.posts}) == 1
    assert len({body for _, body in receiver.posts}) == 1


async def test_pauses_double_up_to_a_cap() -> None:
    """From half a second to thirty; the last try is followed by none."""
    pauses = Pauses()
    url = f"http://127.0.0.1:{dead_port()}/hook/{TOKEN}"
    async with posting(url, attempts=10, pauses=pauses) as sink:
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.lost)

    assert pauses.seconds == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert (sink.stats.retried, sink.stats.delivered) == (9, 0)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize(("asked", "pause"), [("7", 7.0), ("0", 0.5), ("86400", 60.0), ("", 0.5)])
async def test_a_receiver_that_asks_for_time_gets_it(status: int, asked: str, pause: float) -> None:
    """Retry-After counts up to a minute, and never shortens our own pause."""
    pauses = Pauses()
    async with receiving() as receiver, posting(receiver.url, pauses=pauses) as sink:
        receiver.answer = lambda _event: (
            web.Response(status=status, headers={"Retry-After": asked} if asked else {})
            if len(receiver.posts) == 1
            else 200
        )
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.delivered)

    assert pauses.seconds == [pause]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 60.0), ("3", 3.0), ("-3", 0.0), ("soon", 0.0), ("", 0.0), ("9" * 5000, 60.0),
        ("nan", 0.0), ("Fri, 20 Nov 2026 00:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 00:00:30 -0000", 30.0), ("Thu, 19 Nov 2026 00:00:00 GMT", 0.0),
        ("Sat, 21 Nov 2026 00:00:00 GMT", 60.0),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    """Seen at 2026-11-20T00:00:00Z."""
    assert seconds_asked(header, 1_795_132_800.0) == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 422])
async def test_a_refusal_is_final_and_redirects_are_not_followed(status: int) -> None:
    """One try; what is behind the redirect is never asked."""
    async with receiving() as receiver, receiving() as elsewhere, posting(receiver.url) as sink:
        receiver.answer = lambda _event: web.Response(
            status=status, headers={"Location": elsewhere.url}
        )
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.refused)

    assert (len(receiver.posts), len(elsewhere.posts)) == (1, 0)
    assert (sink.stats.delivered, sink.stats.retried, sink.stats.lost) == (0, 0, 0)


async def test_a_slow_receiver_times_out_and_holds_nobody_up() -> None:
    """Offers return at once, the loop turns, and after the last try the event is lost."""
    async with (
        receiving() as receiver,
        posting(receiver.url, attempts=3, timeout_seconds=0.1) as sink,
    ):
        receiver.delay = 5.0
        began = time.process_time()
        for event in both_ends(1):
            sink.offer(event)
        offered = time.process_time() - began
        await wait_for(lambda: sink.stats.lost == 2)

    assert offered < 0.01
    assert (len(receiver.posts), sink.stats.retried) == (6, 4)


async def test_a_clear_never_overtakes_its_raise_and_episodes_do_not_wait() -> None:
    """The first episode's raise fails again and again; others pass, its own clear does not."""
    slow, others = both_ends(0), [event for n in range(1, 20) for event in both_ends(n)]

    def answer(event: dict[str, Any]) -> int:
        is_stuck = event["episode"] == slow[0].episode and event["edge"] == "raised"
        return 503 if is_stuck and len(receiver.posts) < 60 else 200

    async with receiving() as receiver, posting(receiver.url, attempts=1000) as sink:
        receiver.answer = answer
        for event in (*slow, *others):
            sink.offer(event)
        await wait_for(lambda: sink.stats.delivered == 40)
        assert sink.waiting == 0
    delivered = list(dict.fromkeys(receiver.edges))

    for event in (slow[0], *others):
        if event.edge is Edge.RAISED:
            assert delivered.index((event.episode, "raised")) < delivered.index(
                (event.episode, "cleared")
            )
    assert delivered[-1] == (slow[0].episode, "cleared")


async def test_a_lost_raise_is_followed_by_its_clear() -> None:
    """The clear tells the whole episode."""
    async with receiving() as receiver, posting(receiver.url, attempts=2) as sink:
        receiver.answer = lambda event: 500 if event["edge"] == "raised" else 200
        for event in both_ends(1):
            sink.offer(event)
        await wait_for(lambda: sink.stats.delivered)

    assert (sink.stats.lost, sink.stats.delivered) == (1, 1)


async def test_the_queue_is_bounded_and_the_oldest_go() -> None:
    """Nothing runs: what is pushed out is counted."""
    sink = Webhook(AlertSettings(webhook_url="http://127.0.0.1:1/"), SystemClock())
    for number in range(webhook.MAX_WAITING + 10):
        sink.offer(alert_event(raised_ns=NOW_NS + number))

    assert (sink.waiting, sink.stats.lost) == (webhook.MAX_WAITING, 10)
    assert sink._waiting[0].raised_ns == NOW_NS + 10


async def test_what_waits_at_the_end_still_goes_out() -> None:
    """A receiver that works gets the last events after the cancellation."""
    async with receiving() as receiver, posting(receiver.url) as sink:
        for number in range(20):
            sink.offer(alert_event(raised_ns=NOW_NS + number))
        await asyncio.sleep(0)

    assert (sink.stats.delivered, sink.stats.lost, sink.waiting) == (20, 0, 0)


@pytest.mark.parametrize("is_slow", [True, False])
async def test_the_end_takes_half_a_second_at_most(*, is_slow: bool) -> None:
    """A receiver that hangs, or a dead one in the middle of a long pause; the rest is lost."""
    async with receiving() as receiver:
        receiver.delay = 3.0
        url = receiver.url if is_slow else f"http://127.0.0.1:{dead_port()}/"
        sink = Webhook(AlertSettings(webhook_url=url), SystemClock())
        for number in range(10):
            sink.offer(alert_event(raised_ns=NOW_NS + number))
        task = asyncio.create_task(sink.run())
        await wait_for(lambda: receiver.posts or sink.stats.retried)
        began = time.monotonic()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        took = time.monotonic() - began

    # The other half second is this host's: its cores may be busy with other tests.
    assert took < 0.5 + 0.5
    assert sink.stats.lost == 10


async def test_a_receiver_that_never_ends_its_answer_is_not_read() -> None:
    """The status is all that counts."""

    async def forever() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async with receiving() as receiver, posting(receiver.url) as sink:
        receiver.answer = lambda _event: web.Response(body=forever())
        sink.offer(alert_event())
        await wait_for(lambda: sink.stats.delivered)

    assert len(receiver.posts) == 1


async def test_logs_never_tell_the_address_or_the_secret() -> None:
    """Failures, a recovery, a refusal and a loss: the host is told, the path is not."""
    answers = [500, 200, 404]
    with capture_logs() as logs:
        async with receiving() as receiver:
            receiver.answer = lambda _event: answers.pop(0)
            async with posting(receiver.url.replace("//", f"//u:{TOKEN}@") + f"?k={TOKEN}") as sink:
                sink.offer(alert_event())
                await wait_for(lambda: sink.stats.delivered)
                sink.offer(alert_event())
                await wait_for(lambda: sink.stats.refused)
            url = receiver.url
        async with posting(url, attempts=2) as dead:
            dead.offer(alert_event())
            await wait_for(lambda: dead.stats.lost)

    assert {line["event"] for line in logs} == {
        "webhook.failed", "webhook.recovered", "webhook.refused", "webhook.lost",
    }  # fmt: skip
    assert all(line["url"] == f"http://{url.split('/')[2]}/***" for line in logs)
    assert TOKEN not in str(logs)
    assert SECRET not in str(logs)


async def test_a_subject_cannot_write_headers() -> None:
    """A ticker with a line feed arrives as one header, percent-encoded."""
    async with receiving() as receiver, posting(receiver.url) as sink:
        sink.offer(alert_event(subject="BTC\r\nX-Evil: 1\u20ac"))
        await wait_for(lambda: sink.stats.delivered)
    [(headers, body)] = receiver.posts

    assert "X-Evil" not in headers
    assert headers["X-Volgauge-Episode"] == f"spike:BTC%0D%0AX-Evil:%201%E2%82%AC:{NOW_NS}"
    assert json.loads(body)["subject"] == "BTC\r\nX-Evil: 1\u20ac"


async def test_a_number_that_is_none_is_refused() -> None:
    """NaN never leaves the process; the lanes go on."""
    async with receiving() as receiver, posting(receiver.url) as sink:
        sink.offer(msgspec.structs.replace(alert_event(), value=float("nan")))
        sink.offer(alert_event(raised_ns=NOW_NS + 1))
        await wait_for(lambda: sink.stats.delivered)

    assert (sink.stats.refused, len(receiver.posts)) == (1, 1)
