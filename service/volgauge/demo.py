"""The demo: simulated venues in a child process, and the whole service on top of them."""

import select
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace as with_changes

from volgauge.beside import run_beside
from volgauge.domain.history import Candle
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import VolgaugeError
from volgauge.history.keeper import HistoryKeeper
from volgauge.process import serve
from volgauge.settings import Settings
from volgauge.simulator.history import Candles, make_history
from volgauge.simulator.market import Market, MarketOptions
from volgauge.telemetry import logs

EVIDENCE_MEGABYTES = 320.0
"""Of the demo: seven venues and four assets write a megabyte a second; it keeps five minutes."""
CHILD_READY_SECONDS = 30.0
"""A simulator that has not said its address by then has failed."""


class DemoOptions(Struct, frozen=True, kw_only=True):
    """What `volgauge demo` simulates."""

    chain: Path | None
    asset: str | None
    rate: float
    seed: int
    venues: tuple[str, ...]
    """Beside the first; `all`, or `none`. A chain is served by the first alone."""


def demo(settings: Settings, options: DemoOptions) -> int:
    """The whole pipeline on one machine: a simulated venue in a child process, and the service."""
    logs.configure(settings.log)
    arguments = ["--rate", str(options.rate), "--seed", str(options.seed), "--exit-with-stdin"]
    if options.chain is not None:
        arguments += ["--chain", str(options.chain), "--asset", str(options.asset)]
    elif options.venues != ("none",):
        arguments += [word for name in options.venues for word in ("--venue", name)]
    with tempfile.TemporaryDirectory(prefix="volgauge-demo-") as folder, _child(arguments) as child:
        address = _address_of(child)
        venue = with_changes(
            settings.venues.deribit,
            enabled=True,
            ws_url=address["ws_url"],
            rest_url=address["rest_url"],
            assets=tuple(address["assets"]),
        )
        others = {
            name: with_changes(getattr(settings.venues, name), enabled=True, **urls)
            for name, urls in address["venues"].items()
        }
        simulated = with_changes(
            settings,
            venues=with_changes(settings.venues, deribit=venue, **others),
            history=with_changes(settings.history, path=str(Path(folder) / "simulated.sqlite")),
            evidence=with_changes(
                settings.evidence,
                max_megabytes=max(settings.evidence.max_megabytes, EVIDENCE_MEGABYTES),
            ),
        )
        fill = (
            None
            if options.chain
            else partial(_fill, seed=options.seed, start_ns=address["start_ns"])
        )
        try:
            return serve(simulated, fill=fill)
        finally:
            # It holds nothing that is worth an orderly end of all its sessions.
            child.kill()
            child.communicate(timeout=CHILD_READY_SECONDS)


def _child(arguments: list[str]) -> subprocess.Popen[bytes]:
    """The simulator on the other core; it ends when our end of its standard input closes."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "volgauge", "simulate", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def _address_of(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The one line that a simulator prints once it listens.

    Raises:
        VolgaugeError: It ended or stayed silent instead.
    """
    if child.stdout is None:
        raise RuntimeError("the simulator was started without a pipe")
    readable, _, _ = select.select([child.stdout], [], [], CHILD_READY_SECONDS)
    line = child.stdout.readline() if readable else b""
    if not line:
        child.kill()
        raise VolgaugeError("the simulated venue did not start; its messages stand above")
    address: dict[str, Any] = msgspec.json.decode(line)
    return address


class _Unwanted(Exception):
    """Nobody waits for this any more."""


async def _fill(history: HistoryKeeper, *, seed: int, start_ns: int) -> None:
    """Give the demo a past: 400 simulated days of index and price, joined to the market's start."""
    is_wanted = True

    def go_on() -> None:
        if not is_wanted:
            raise _Unwanted

    def simulate() -> list[Candles]:
        market = Market(MarketOptions(seed=seed, start_ns=start_ns))
        return make_history(market, go_on=go_on)

    try:
        made = await run_beside(simulate)
    finally:
        # A thread that computes on would take half of the time in which the service ends.
        is_wanted = False
    await history.fill(
        {
            (series.asset, series.series, series.resolution_seconds): [
                Candle(*row)
                for row in zip(
                    (series.open_ns // NANOS_PER_SECOND).tolist(),
                    series.open.tolist(),
                    series.high.tolist(),
                    series.low.tolist(),
                    series.close.tolist(),
                    strict=True,
                )
            ]
            for series in made
        }
    )
