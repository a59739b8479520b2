"""The simulator as a process of its own: flags in, one line of addresses out, then serve."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from volgauge.domain.units import parse_instant
from volgauge.errors import ConfigError
from volgauge.simulator.dialects import DIALECTS
from volgauge.simulator.faults import parse_faults
from volgauge.simulator.scenario import SCENARIOS, Scenario
from volgauge.simulator.server import Simulator, SimulatorOptions

SECONDS_PER_DAY = 86_400


class SimulateOptions(Struct, frozen=True, kw_only=True):
    """What `volgauge simulate` serves; the flags of the command."""

    chain: Path | None
    asset: str | None
    recording: Path | None
    speed: float
    rate: float
    burst: int
    seed: int
    port: int
    start: str | None
    smile: Literal["ssvi", "mixture", "mixed"]
    roll_in: float | None
    venues: tuple[str, ...]
    """Names of `dialects.DIALECTS`, or `all`."""
    faults: tuple[str, ...]
    exit_with_stdin: bool
    scenario: str | None = None
    """A name of `scenario.SCENARIOS`."""


async def run(options: SimulateOptions) -> int:
    """Serve until SIGINT, SIGTERM or the end of standard input; prints the addresses as JSON."""
    simulator = Simulator(_simulator_options(options))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with simulator:
        address = {
            "ws_url": simulator.ws_url,
            "rest_url": simulator.rest_url,
            "assets": simulator.assets,
            "start_ns": simulator.start_ns,
            "venues": {
                name: {
                    "ws_url": simulator.ws_url_of(name),
                    "rest_url": simulator.rest_url_of(name),
                }
                for name in simulator.dialects
            },
        }
        # Outside of the group of tasks: that nobody reads any more is no failure of theirs.
        sys.stdout.write(msgspec.json.encode(address).decode() + "\n")
        sys.stdout.flush()
        await _serve(simulator, options, stopping)
    return 0


async def _serve(simulator: Simulator, options: SimulateOptions, stopping: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(simulator.wait(), name="simulator")]
        if options.exit_with_stdin:
            watching.append(tasks.create_task(_end_of_stdin(stopping), name="stdin"))
        await stopping.wait()
        for task in watching:
            task.cancel()


async def _end_of_stdin(stopping: asyncio.Event) -> None:
    """Set the event when nobody can write to our standard input any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stopping.set()


def _simulator_options(options: SimulateOptions) -> SimulatorOptions:
    """The simulator's options from the command's flags.

    Raises:
        ConfigError: A fault is unknown or out of range, or flags contradict each other.
    """
    if options.chain is not None and options.recording is not None:
        raise ConfigError("--chain and --recording exclude each other")
    if options.venues and (options.chain is not None or options.recording is not None):
        raise ConfigError("--venue: only the simulated market has more than one venue")
    if options.scenario is not None and (
        options.chain is not None or options.recording is not None
    ):
        raise ConfigError("--scenario: only the simulated market has one")
    try:
        start_ns = None if options.start is None else parse_instant(options.start)
    except ValueError as error:
        raise ConfigError(f"--start: {error}") from error
    common: dict[str, Any] = {
        "seed": options.seed,
        "port": options.port,
        "rate": options.rate,
        "burst": options.burst,
        "start_ns": start_ns,
        "faults": parse_faults(options.faults),
    }
    if options.chain is not None:
        return SimulatorOptions(
            source="chain", path=str(options.chain), asset=options.asset or "BTC", **common
        )
    if options.recording is not None:
        return SimulatorOptions(
            source="recording", path=str(options.recording), speed=options.speed, **common
        )
    if options.roll_in is not None and not 0.0 < options.roll_in <= SECONDS_PER_DAY:
        raise ConfigError(
            f"--roll-in: expected 0 to {SECONDS_PER_DAY} s, received {options.roll_in}"
        )
    unknown = set(options.venues) - {"all", *DIALECTS}
    if unknown:
        raise ConfigError(
            f"--venue: expected all or some of {', '.join(DIALECTS)}, "
            f"received {', '.join(sorted(unknown))}"
        )
    if options.scenario is not None and options.scenario not in SCENARIOS:
        raise ConfigError(
            f"--scenario: expected one of {', '.join(SCENARIOS)}, received {options.scenario}"
        )
    venues = tuple(DIALECTS) if "all" in options.venues else options.venues
    return SimulatorOptions(
        source="market",
        smile=options.smile,
        roll_in_seconds=options.roll_in,
        venues=venues,
        scenario=Scenario() if options.scenario is None else SCENARIOS[options.scenario],
        **common,
    )
