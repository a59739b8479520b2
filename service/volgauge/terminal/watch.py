"""`volgauge watch`: the index in a terminal, as lines in a pipe, or once for a script."""

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.live import Live

from volgauge.clock import Clock, SystemClock
from volgauge.errors import ConfigError, PublishError
from volgauge.settings import Settings
from volgauge.terminal.board import Board, LinkState, Row
from volgauge.terminal.layout import draw, line, printable
from volgauge.terminal.sources import HttpSource, RedisSource, Source

EXIT_DOUBT = 3
REFRESH_SECONDS = 0.25
"""Of the picture: an age that ticks, and no flicker over a slow line."""
SETTLE_SECONDS = 0.5
"""A snapshot is complete when nothing new came for so long."""
POLL_SECONDS = 0.02
CANCEL_SECONDS = 0.2


class WatchOptions(Struct, frozen=True, kw_only=True):
    """What the flags said."""

    url: str | None = None
    """Root of a service's HTTP side; None takes the one of the settings."""
    redis_url: str | None = None
    """Read the published channels instead."""
    tenor: str = "30d"
    assets: tuple[str, ...] = ()
    once: bool = False
    as_json: bool = False
    every_seconds: float = 1.0
    """Shortest time between two lines of an asset."""
    timeout_seconds: float = 5.0
    """How long `once` waits."""


def watch(settings: Settings, options: WatchOptions) -> int:
    """Show the index until SIGINT or SIGTERM; with `once` a single time.

    Returns:
        0, or with `once` 3 when the value of an asset is not of now.

    Raises:
        ConfigError: The settings name no address.
        PublishError: With `once`: nobody answers; else only a refused password.
    """
    clock = SystemClock()
    source = _source(settings, options, clock)
    board = Board(tenor=options.tenor, assets=frozenset(options.assets))
    return asyncio.run(_watch(source, board, options, clock))


def _source(settings: Settings, options: WatchOptions, clock: Clock) -> Source:
    if options.url is not None and options.redis_url is not None:
        raise ConfigError("--url and --redis-url exclude each other")
    if options.redis_url is not None:
        if not options.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigError("--redis-url: expected redis://, rediss:// or unix://")
        return RedisSource(
            options.redis_url,
            clock,
            prefix=settings.redis.prefix,
            tenors_days=settings.index.tenors_days,
            cluster=settings.redis.cluster,
        )
    if options.url is not None:
        if not options.url.startswith(("http://", "https://")):
            raise ConfigError("--url: expected http:// or https://")
        return HttpSource(options.url, clock)
    if settings.http.port == 0:
        raise ConfigError("http.port is 0, any free one: name the service by --url")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.http.host, settings.http.host)  # noqa: S104 - what a service listens on, not we
    return HttpSource(f"http://{f'[{host}]' if ':' in host else host}:{settings.http.port}", clock)


async def _watch(source: Source, board: Board, options: WatchOptions, clock: Clock) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    console = Console()
    shown = _Shown(source, board, options, clock)
    if options.once:
        showing = shown.once()
    elif options.as_json or not console.is_terminal or console.is_dumb_terminal:
        showing = shown.lines()
    else:
        showing = shown.live(console)
    tasks = [
        asyncio.create_task(showing, name="show"),
        asyncio.create_task(source.run(board), name="source"),
        asyncio.create_task(stopping.wait(), name="stop"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # An error of the source or of the output ends the command; a signal ends it well.
        for task in tasks:
            if task in done and (error := task.exception()) is not None:
                raise error
        result = tasks[0].result() if tasks[0] in done else 0
        return int(result or 0)
    finally:
        await _end_all()


async def _end_all() -> None:
    """Cancel until nothing runs.

    redis-py takes a cancellation for a lost connection at times, and a group of tasks cancels
    its own only once.
    """
    this = asyncio.current_task()
    while others := {task for task in asyncio.all_tasks() if task is not this}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=CANCEL_SECONDS)


class _Shown:
    """The three ways to show a board."""

    def __init__(self, source: Source, board: Board, options: WatchOptions, clock: Clock) -> None:
        self._source = source
        self._board = board
        self._options = options
        self._clock = clock
        self._write: Callable[[Row], None] = _write_json if options.as_json else _write_text

    @property
    def _now_ns(self) -> int:
        return self._clock.wall_ns() + self._board.skew_ns

    async def live(self, console: Console) -> int:
        """The picture, four times a second; it follows the terminal's size."""
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                width, height = console.size
                picture = draw(self._board, self._source.name, self._now_ns, width, height)
                screen.update(picture, refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

    async def lines(self) -> int:
        """A line whenever the record or its status is another; the link's state on stderr."""
        told: dict[str, tuple[int, str]] = {}
        state = LinkState.CONNECTING
        due = 0.0
        loop = asyncio.get_running_loop()
        while True:
            link = self._board.link
            if link.state is not state:
                why = f": {link.error}" if link.error else ""
                _say(f"{link.state.value}{why} ({self._source.name})")
                state = link.state
            if loop.time() >= due:
                for row in self._board.rows(self._now_ns):
                    if told.get(row.asset) != (row.seq, row.status):
                        told[row.asset] = (row.seq, row.status)
                        self._write(row)
                        due = loop.time() + self._options.every_seconds
                sys.stdout.flush()
            await asyncio.sleep(POLL_SECONDS)

    async def once(self) -> int:
        """One line an asset; the result says whether all of them are of now."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.timeout_seconds):
                await self._settled()
        rows = self._board.rows(self._now_ns)
        if not rows and self._board.link.state is not LinkState.UP:
            why = self._board.link.error or f"no answer in {self._options.timeout_seconds:g} s"
            raise PublishError(f"{self._source.name}: {printable(why)}")
        for row in rows:
            self._write(row)
        sys.stdout.flush()
        missing = set(self._options.assets) - {row.asset for row in rows}
        for asset in sorted(missing):
            _say(f"no record of {asset} at {self._options.tenor}")
        if not rows and not missing:
            _say(f"no record at {self._options.tenor}")
        is_sure = bool(rows) and not missing and all(row.is_current for row in rows)
        return 0 if is_sure else EXIT_DOUBT

    async def _settled(self) -> None:
        """Return when the watched assets are there and nothing new came for a while."""
        board, loop = self._board, asyncio.get_running_loop()
        before: object = None
        since = loop.time()
        while True:
            now = (board.series_count, tuple(board.baselines.items()))
            if now != before:
                before, since = now, loop.time()
            has_all = board.headlines and board.assets <= set(board.headlines)
            if has_all and loop.time() - since >= SETTLE_SECONDS:
                return
            await asyncio.sleep(POLL_SECONDS)


def _write_text(row: Row) -> None:
    sys.stdout.write(line(row) + "\n")


def _write_json(row: Row) -> None:
    sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def _say(text: str) -> None:
    sys.stderr.write(f"volgauge: {printable(text)}\n")
    sys.stderr.flush()
