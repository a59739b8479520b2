"""Post alerts to a webhook: signed JSON, tried again until it is taken or refused.

`offer` never waits; `run` delivers. Events of one episode go one after the other, so a clear never
overtakes its raise; episodes do not wait for each other. A receiver can get an event twice (it
took it, and the answer was lost): `Idempotency-Key` is then the same.

    X-Volgauge-Signature: t=1795000000,v1=<hex of HMAC-SHA-256 with the secret over "t.body">
    X-Volgauge-Episode:   the event's `episode`, percent-encoded
    Idempotency-Key:      the same and the edge

`seq`, `prev_seq` and `epoch` of the body are 0: they number the records of the Redis channel.
"""

import asyncio
import hmac
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import structlog
from msgspec import Struct
from msgspec.structs import replace

from volgauge.clock import Clock
from volgauge.domain.analytics import AlertEvent
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import PublishError
from volgauge.publish.record import encode
from volgauge.settings import AlertSettings, mask_webhook

MAX_WAITING = 1024
"""Events that wait for their turn; then the oldest go, counted as lost."""
LANES = 4
"""Deliveries at a time, each of another episode."""
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
"""The pause before a new try doubles from one to the other; half of it is by chance."""
LONGEST_RETRY_AFTER_SECONDS = 60.0
LAST_DELIVERY_SECONDS = 0.3
"""At the end of the process, for what still waits."""

_RETRIED_STATUSES = frozenset({408, 429})


class WebhookStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    delivered: int = 0
    retried: int = 0
    """Tries that followed a failed one."""
    refused: int = 0
    """Answered with a redirect or an error that a new try cannot cure."""
    lost: int = 0
    """Given up after the last try, pushed out of the queue, or left over at the end."""


class Webhook:
    """The sink of alerts outside Redis."""

    def __init__(
        self,
        settings: AlertSettings,
        clock: Clock,
        *,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepare; nothing is sent before `run`.

        Args:
            settings: URL (not empty), secret (empty: no signature), time limit, tries.
            clock: Stamps the signature and `published_ns`.
            jitter: Random numbers in [0, 1) for the pauses.
            sleep: Waits between two tries.
        """
        self.stats = WebhookStats()
        self._settings = settings
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._waiting: deque[AlertEvent] = deque()
        self._busy: set[str] = set()
        """Episodes of which an event is under way."""
        self._changed = asyncio.Event()
        """Set when a lane may find something to do."""
        self._ended = asyncio.Event()
        """Set when a delivery ended, however that was."""
        self._healthy = True
        self._log = structlog.get_logger("volgauge.publish").bind(
            url=mask_webhook(settings.webhook_url)
        )

    @property
    def waiting(self) -> int:
        """Events that are not delivered yet."""
        return len(self._waiting) + len(self._busy)

    def offer(self, event: AlertEvent) -> None:
        """Take an event. Never waits, never raises."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.stats.lost += 1
        self._waiting.append(event)
        self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled; then what waits still has a moment to go out."""
        # Nobody's cookies: an answer may not change what the next request carries.
        async with aiohttp.ClientSession(
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.webhook_timeout_seconds),
        ) as session:
            serving = asyncio.create_task(self._serve(session), name="webhook lanes")
            try:
                # The shield keeps the lanes for the last events.
                await asyncio.shield(serving)
            finally:
                try:
                    if self._healthy:
                        await self._drain()
                finally:
                    self.stats.lost += self.waiting
                    serving.cancel()
                    with suppress(asyncio.CancelledError):
                        await serving

    async def _serve(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as lanes:
            for number in range(LANES):
                lanes.create_task(self._deliver_all(session), name=f"webhook {number}")

    async def _drain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_DELIVERY_SECONDS):
                while self.waiting:
                    self._ended.clear()
                    await self._ended.wait()

    async def _deliver_all(self, session: aiohttp.ClientSession) -> None:
        while True:
            event = self._take()
            if event is None:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                await self._deliver(session, event)
            finally:
                self._busy.discard(event.episode)
                # Its other end may have waited for this one.
                self._changed.set()
                self._ended.set()

    def _take(self) -> AlertEvent | None:
        """The oldest event whose episode is not under way."""
        for place, event in enumerate(self._waiting):
            if event.episode not in self._busy:
                del self._waiting[place]
                self._busy.add(event.episode)
                return event
        return None

    async def _deliver(self, session: aiohttp.ClientSession, event: AlertEvent) -> None:
        try:
            body = encode(replace(event, published_ns=self._clock.wall_ns()))
        except PublishError as error:
            self._refuse(event, str(error))
            return
        pause = SHORTEST_PAUSE_SECONDS
        for tries_left in range(self._settings.webhook_attempts - 1, -1, -1):
            answer = await self._post(session, event, body)
            if answer.is_taken:
                self.stats.delivered += 1
                self._fine()
                return
            if answer.is_final:
                self._refuse(event, answer.error)
                return
            self._trouble(answer.error)
            if tries_left:
                self.stats.retried += 1
                by_chance = pause * (0.5 + 0.5 * self._jitter())
                await self._sleep(max(by_chance, answer.retry_after))
                pause = min(2.0 * pause, LONGEST_PAUSE_SECONDS)
        self.stats.lost += 1
        self._log.error("webhook.lost", episode=event.episode, edge=event.edge.value)

    async def _post(
        self, session: aiohttp.ClientSession, event: AlertEvent, body: bytes
    ) -> "_Answer":
        """One try. Errors are told by their kind only: their text may hold the URL."""
        try:
            async with session.post(
                self._settings.webhook_url,
                data=body,
                headers=self._headers(event, body),
                allow_redirects=False,
            ) as response:
                asked = response.headers.get("Retry-After", "")
                wait = seconds_asked(asked, self._clock.wall_ns() / NANOS_PER_SECOND)
                return _Answer(response.status, f"HTTP {response.status}", wait)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _Answer(0, type(error).__name__, 0.0)

    def _headers(self, event: AlertEvent, body: bytes) -> dict[str, str]:
        # A ticker is the venue's word: it may not end a header.
        episode = quote(event.episode, safe=":")
        headers = {
            "Content-Type": "application/json",
            "X-Volgauge-Episode": episode,
            "Idempotency-Key": f"{episode}:{event.edge.value}",
        }
        if self._settings.webhook_secret:
            second = self._clock.wall_ns() // NANOS_PER_SECOND
            headers["X-Volgauge-Signature"] = sign(self._settings.webhook_secret, second, body)
        return headers

    def _refuse(self, event: AlertEvent, error: str) -> None:
        self.stats.refused += 1
        self._log.warning(
            "webhook.refused", episode=event.episode, edge=event.edge.value, error=error
        )

    def _trouble(self, error: str) -> None:
        """Say once that deliveries fail."""
        if self._healthy:
            self._healthy = False
            self._log.warning("webhook.failed", error=error)

    def _fine(self) -> None:
        """Say once that deliveries work again."""
        if not self._healthy:
            self._healthy = True
            self._log.info("webhook.recovered", lost=self.stats.lost)


class _Answer(NamedTuple):
    """What came of one try."""

    status: int
    """0: no answer."""
    error: str
    retry_after: float
    """Seconds; 0 where the receiver asked for none."""

    @property
    def is_taken(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """A redirect, or an error of ours that stays one: trying again cannot help."""
        return 0 < self.status < 500 and self.status not in _RETRIED_STATUSES


def sign(secret: str, second: int, body: bytes) -> str:
    """`t=...,v1=...`: proves to the receiver who sent the body, and when."""
    message = b"%d.%b" % (second, body)
    return f"t={second},v1={hmac.digest(secret.encode(), message, 'sha256').hex()}"


def seconds_asked(retry_after: str, now_seconds: float) -> float:
    """Seconds that a Retry-After header asks for, at most LONGEST_RETRY_AFTER_SECONDS.

    Args:
        retry_after: Seconds or an HTTP date (RFC 9110, 10.2.3); anything else is 0.
        now_seconds: Unix time.
    """
    if retry_after.isdecimal():
        wait = float(retry_after)
    else:
        try:
            instant = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        wait = instant.replace(tzinfo=instant.tzinfo or UTC).timestamp() - now_seconds
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER_SECONDS)
