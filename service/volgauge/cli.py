"""The command line: parse, load the settings, hand over. Data on stdout, logs on stderr.

Exit codes: 0 done, 1 failed, 2 bad usage, configuration or input, 3 no value (`compute`,
`explain`, `scale`), too little data (`compare`) or not the same (`verify`).
Sub-commands import what they need when they run: `--help` loads neither numba nor asyncio.
"""

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter

from volgauge import __version__
from volgauge.errors import ConfigError, InputError, VolgaugeError
from volgauge.settings import Settings, describe, load

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_VALUE = 3
EXIT_NOT_VERIFIED = 3

app = App(
    name="volgauge",
    help="An open, real-time implied-volatility index for crypto options.",
    version=__version__,
    help_format="markdown",
)
bench = App(name="bench", help="Measure the index against what is known.")
app.command(bench)
_COMMON = Group("Common", sort_key=99)


@Parameter(name="*", group=_COMMON)
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    config: Path | None = None
    """TOML file; see config/default.toml for every key."""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """Least severe log line shown."""

    def settings(self, overrides: dict[str, Any] | None = None) -> Settings:
        """The effective settings; flags that were not given do not override."""
        given = {key: value for key, value in (overrides or {}).items() if value is not None}
        if self.log_level is not None:
            given["log.level"] = self.log_level
        return load(self.config, overrides=given)


_NO_FLAGS = Common()


@app.command
def run(
    *, port: int | None = None, redis_url: str | None = None, common: Common = _NO_FLAGS
) -> int:
    """Serve the index from the live exchanges.

    Example: `volgauge run --config config/default.toml`

    Args:
        port: HTTP port of the live page, the API and /metrics; 0 takes a free one.
        redis_url: Where to publish; without it a bundled Valkey is started.
    """
    settings = common.settings({"http.port": port, "redis.url": redis_url})
    from volgauge import process

    return process.serve(settings)


@app.command
def demo(
    *,
    chain: Path | None = None,
    asset: str | None = None,
    rate: float = 500.0,
    seed: int = 7,
    venue: tuple[str, ...] = ("all",),
    port: int | None = None,
    redis_url: str | None = None,
    common: Common = _NO_FLAGS,
) -> int:
    """Serve the index from simulated venues that speak the real wire formats on loopback.

    Example: `volgauge demo --rate 2000`

    Example: `volgauge demo --chain CHAIN.csv --asset BTC`

    Args:
        chain: Serve this real chain (columns as for `compute`), re-dated by whole days, instead
            of the simulated market.
        asset: Underlying of the chain.
        rate: Quote updates a second of the whole market.
        seed: Of the simulated market.
        venue: Venues beside the first, Deribit's wire; `all`, or `none`.
        port: HTTP port; 0 takes a free one.
        redis_url: Where to publish; without it a bundled Valkey is started.
    """
    settings = common.settings({"http.port": port, "redis.url": redis_url})
    if (chain is None) != (asset is None):
        raise ConfigError("--chain and --asset go together")
    from volgauge import demo as demonstration

    return demonstration.demo(
        settings,
        demonstration.DemoOptions(chain=chain, asset=asset, rate=rate, seed=seed, venues=venue),
    )


@app.command
def record(
    folder: Path,
    *,
    seconds: Annotated[float | None, Parameter(help="Stop after this long.")] = None,
    common: Common = _NO_FLAGS,
) -> int:
    """Record every frame of the venues, so that the session can be replayed.

    Example: `volgauge record recordings/today --seconds 3600`

    Args:
        folder: Where to write; one series a connection, minute slices.
        seconds: Stop after this long; otherwise on SIGINT or SIGTERM.
    """
    settings = common.settings(
        {"recorder.path": str(folder), "redis.enabled": False, "http.enabled": False}
    )
    from volgauge import process

    return process.serve(settings, stop_after_seconds=seconds)


@app.command
def replay(
    folder: Path,
    *,
    asset: str | None = None,
    tenor: float | None = None,
    analytics: bool = False,
    common: Common = _NO_FLAGS,
) -> int:
    """Recompute the index from a recording; one JSON record a line on stdout.

    Example: `volgauge replay recordings/today --asset BTC --tenor 30`

    Args:
        folder: A recording of ours, or one in the tardis raw layout.
        asset: Only this underlying.
        tenor: Only this tenor, in days.
        analytics: Print what is read off the index (analytics, coupling) and the alerts, too.
    """
    settings = common.settings()
    from volgauge import playback

    return playback.replay(settings, folder, asset=asset, tenor_days=tenor, analytics=analytics)


@app.command
def compare(
    folder: Path,
    *,
    asset: str | None = None,
    table: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_FLAGS,
) -> int:
    """Compare the headline with the venue's own index over a recording; one JSON object on stdout.

    Example: `volgauge compare recordings/today --asset BTC --table`

    Bias, RMSE, correlations and the lead in seconds of `value`, `strip`, `smoothed` and `full`,
    from one-second samples. Exit code 0 with figures, 3 where there are too few seconds.

    Args:
        folder: A recording of ours, or one in the tardis raw layout.
        asset: Only this underlying.
        table: Print a table for a reader instead of JSON.
    """
    settings = common.settings()
    from volgauge import playback

    has_figures = playback.compare(settings, folder, asset=asset, as_text=table)
    return 0 if has_figures else EXIT_NO_VALUE


@app.command
def verify(
    source: str,
    *,
    restate: Annotated[bool, Parameter(negative="")] = False,
    common: Common = _NO_FLAGS,
) -> int:
    """Recompute what was published and say whether it is the same; one JSON object on stdout.

    Example: `volgauge verify http://127.0.0.1:8080/v1/evidence/BTC/184467`

    Example: `volgauge verify recordings/today --restate`

    To the last bit by the same build on such a processor, else within 1e-9. Exit code 0 verified,
    3 not verified, 2 on unreadable input.

    Args:
        source: An evidence bundle (file, `-` or URL), a running service (its URL: the newest record
            of every index), or a recording of ours (folder: every record kept in it).
        restate: Of a recording, give the records that correct published ones by more than 0.20
            points.
    """
    settings = common.settings()
    from volgauge import audit

    is_verified = audit.verify(settings, source, with_restatements=restate)
    return 0 if is_verified else EXIT_NOT_VERIFIED


@app.command
def evidence(
    folder: Path,
    seq: int,
    *,
    asset: str = "BTC",
    tenor: float = 30.0,
    common: Common = _NO_FLAGS,
) -> int:
    """Take the evidence of one record out of a recording; one JSON object on stdout.

    Example: `volgauge evidence recordings/today 184467 --asset BTC > bundle.json`

    A running service gives its last minutes' at `/v1/evidence/{asset}/{seq}`.

    Args:
        folder: A recording of ours.
        seq: Number of the record.
        asset: Its underlying.
        tenor: Its tenor, in days.
    """
    settings = common.settings()
    from volgauge import audit

    wanted = audit.Wanted(asset=asset, tenor_days=tenor, seq=seq)
    return audit.evidence(settings, folder, wanted)


@app.command
def explain(
    source: str,
    *,
    against: str | None = None,
    service: str | None = None,
    common: Common = _NO_FLAGS,
) -> int:
    """Say why a value is where it is, strike by strike, or why it moved; one JSON object on stdout.

    Example: `volgauge explain http://127.0.0.1:8080/v1/evidence/BTC/184467`

    Example: `volgauge explain now.json --against before.json`

    The parts are volatility points and sum to the value or to the move. Exit code 0 with parts, 3
    when there is no value to take apart, 2 on unreadable input.

    Args:
        source: An evidence bundle (file, `-` or URL), or with `--service` a published record.
        against: The older bundle (or record) of a move.
        service: URL of the running service that has the evidence of a record.
    """
    settings = common.settings()
    from volgauge import audit

    has_parts = audit.explain(settings, source, against=against, service=service)
    return 0 if has_parts else EXIT_NO_VALUE


@app.command
def watch(
    *,
    url: str | None = None,
    redis_url: str | None = None,
    asset: tuple[str, ...] = (),
    tenor: float = 30.0,
    once: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    every: float = 1.0,
    timeout: float = 5.0,
    common: Common = _NO_FLAGS,
) -> int:
    """Show the index of a running service in the terminal: live, as lines in a pipe, or once.

    Example: `volgauge watch`

    Example: `volgauge watch --redis-url redis://127.0.0.1:6379 --asset BTC --once --json`

    It connects again by itself and says so; Ctrl-C ends it. With `--once` the exit code is 0 when
    every value is of now (OK, SINGLE_VENUE, DEGRADED), 3 when one is not, 1 when nobody answers.

    Args:
        url: Root of the service's HTTP side; default is the configuration's.
        redis_url: Read the published channels instead.
        asset: Only this underlying; may be given several times.
        tenor: In days.
        once: Print one line an asset and end.
        json: JSON lines.
        every: Shortest time between two lines of an asset, in seconds.
        timeout: How long `--once` waits, in seconds.
    """
    settings = common.settings()
    from volgauge.terminal import watch as terminal

    options = terminal.WatchOptions(
        url=url,
        redis_url=redis_url,
        tenor=f"{tenor:g}d",
        assets=asset,
        once=once,
        as_json=json,
        every_seconds=every,
        timeout_seconds=timeout,
    )
    return terminal.watch(settings, options)


@app.command
def doctor(
    *, json: Annotated[bool, Parameter(negative="")] = False, common: Common = _NO_FLAGS
) -> int:
    """Check whether the service would run here: ports, Redis, clock, kernels, disk, venues.

    Example: `volgauge doctor --config my.toml`

    Ends within 10 s, whatever does not answer. Exit code 0 when nothing fails, 1 when a check
    does, 2 on a bad configuration.

    Args:
        json: One JSON object instead of a table.
    """
    settings = common.settings()
    from volgauge.terminal import doctor as checks

    return checks.doctor(settings, as_json=json)


@app.command
def simulate(
    *,
    chain: Path | None = None,
    asset: str | None = None,
    recording: Path | None = None,
    speed: float = 1.0,
    rate: float = 500.0,
    burst: int = 1,
    seed: int = 7,
    port: int = 0,
    start: str | None = None,
    smile: Literal["ssvi", "mixture", "mixed"] = "mixed",
    roll_in: float | None = None,
    venue: tuple[str, ...] = (),
    fault: tuple[str, ...] = (),
    scenario: str | None = None,
    exit_with_stdin: bool = False,
    common: Common = _NO_FLAGS,
) -> int:
    """Run the venue simulator alone; prints its addresses as one JSON line.

    Example: `volgauge simulate --port 9100 --rate 5000 --fault drop=0.001 --fault garble=1e-5`

    Args:
        chain: Serve a real chain, re-dated by whole days.
        asset: Underlying of the chain.
        recording: Serve a recording with its timestamps moved to now.
        speed: Of the recording.
        rate: Quote updates a second.
        burst: Updates that come back to back.
        seed: Of the market.
        port: 0 takes a free one.
        start: Instant at which the simulated market begins; default now.
        smile: Family of the market's smiles; `mixed` deals both to the books in turn.
        roll_in: Contracts expire this many seconds after the start instead of at 08:00 UTC, so
            that a daily roll can be watched.
        venue: Another venue on the same market, each with its own wire under its own path; may
            be given several times. `all` for every one that there is.
        fault: `name=value`; see `volgauge.simulator` for the list.
        scenario: What happens in the market: `contagion` (shocks of BTC's volatility that reach
            ETH after 7 s), `switch` (half an hour of stress), `jumps` (of prices).
        exit_with_stdin: Stop when standard input closes, so that no orphan outlives its parent.
    """
    common.settings()
    import asyncio

    from volgauge.simulator.command import SimulateOptions
    from volgauge.simulator.command import run as serve_venue

    return asyncio.run(
        serve_venue(
            SimulateOptions(
                chain=chain,
                asset=asset,
                recording=recording,
                speed=speed,
                rate=rate,
                burst=burst,
                seed=seed,
                port=port,
                start=start,
                smile=smile,
                roll_in=roll_in,
                venues=venue,
                faults=fault,
                scenario=scenario,
                exit_with_stdin=exit_with_stdin,
            )
        )
    )


@app.command
def compute(
    chain: Path,
    *,
    at: str | None = None,
    method: Literal["native", "cboe", "dvol"] = "native",
    tenor: float = 30.0,
    premium: Literal["quote", "coin"] = "quote",
    common: Common = _NO_FLAGS,
) -> int:
    """Compute the index of one option chain; one JSON object on stdout.

    Example: `volgauge compute CHAIN.csv --premium coin --method dvol`

    Exit code 0 with a value, 3 without (the reason is in the object), 2 on unreadable input.

    Args:
        chain: CSV with a header: expiry, strike, kind (C|P), bid, ask; optional bid_size, ask_size,
            mark, open_interest, rate, forward, timestamp. An empty cell is "no quote".
        at: Instant of calculation; default is the newest `timestamp` of the chain.
        method: Rules of calculation.
        tenor: In days.
        premium: Unit of the prices: the quote currency, or the coin itself.
    """
    common.settings()
    from volgauge.domain.units import parse_instant
    from volgauge.offline.chain import read_chain
    from volgauge.offline.compute import compute as compute_index
    from volgauge.offline.compute import to_json

    try:
        at_ns = None if at is None else parse_instant(at)
    except ValueError as error:
        raise InputError(f"--at: {error}") from error
    value = compute_index(
        read_chain(chain), at=at_ns, method=method, tenor_days=tenor, premium=premium
    )
    sys.stdout.buffer.write(to_json(value) + b"\n")
    return 0 if value.value is not None else EXIT_NO_VALUE


@app.command
def scale(
    *,
    book: Path | None = None,
    chain: Path | None = None,
    at: str | None = None,
    premium: Literal["quote", "coin"] = "quote",
    spot: float | None = None,
    vega_limit: float | None = None,
    gamma_limit: float | None = None,
    stress: str = "spot:-20:20:5,vol:-10:30:5",
    history: Path | None = None,
    index: Path | None = None,
    target: float | None = None,
    max_exposure: float | None = None,
    implied_share: float | None = None,
    cost_bps: float = 0.0,
    warm_up_days: float = 60.0,
    common: Common = _NO_FLAGS,
) -> int:
    """Scale by volatility: the risk of a book of options, or a back-test; one JSON object.

    Example: `volgauge scale --book BOOK.csv --chain CHAIN.csv --premium coin --vega-limit 5000`

    Example: `volgauge scale --history PRICES.csv --index INDEX.csv --target 40 --cost-bps 5`

    With `--book`: every position valued off our fit of the chain, Greeks, the delta hedge, use of
    the limits, and a table of profit and loss. With `--history`: realised volatility, drawdown and
    turnover of the scaled position beside constant leverage. Exit code 0 with figures, 3 without
    (the reason is in the object), 2 on unreadable input.

    Args:
        book: CSV with a header: expiry, strike, kind (C, P, future or spot), quantity in coins.
        chain: CSV of the options that the book is valued by, as for `compute`.
        at: Instant of the valuation; default is the newest `timestamp` of the chain.
        premium: Unit of the prices: the quote currency, or the coin itself.
        spot: Price of the hedge; default is the forward of the nearest expiry.
        vega_limit: Largest |vega| of the book, quote currency per point.
        gamma_limit: Largest |gamma| of the book, coins per 1 % move.
        stress: first:last:step of the moves, in percent of the price and in points.
        history: CSV with a header: time (when the price was known), close.
        index: CSV with a header: time, value in points; without it realised volatility alone
            is used.
        target: Volatility in points; default is the configuration's, as the next two.
        max_exposure: In multiples.
        implied_share: Weight of the index against realised volatility, 0 to 1.
        cost_bps: Cost of a trade, basis points of what is traded.
        warm_up_days: Left out of every figure.
    """
    names = ("target_points", "max_exposure", "implied_share")
    flags = zip(names, (target, max_exposure, implied_share), strict=True)
    settings = common.settings({f"analytics.scaling.{name}": flag for name, flag in flags})
    if book is not None and chain is not None and history is None:
        from volgauge.offline.chain import read_chain
        from volgauge.offline.scale import risk
        from volgauge.offline.scale.book import read_book
        from volgauge.offline.scale.stress import parse_grid

        assessed = risk.assess(
            read_book(book),
            read_chain(chain),
            at=at,
            premium=premium,
            spot=spot,
            allowed=risk.Allowed(vega_limit, gamma_limit),
            grid=parse_grid(stress),
        )
        sys.stdout.buffer.write(risk.to_json(assessed) + b"\n")
        return 0 if assessed.reason is None else EXIT_NO_VALUE
    if history is not None and book is None and chain is None:
        from volgauge.offline.scale import backtest
        from volgauge.offline.scale.series import read_series

        report = backtest.backtest(
            read_series(history, "close"),
            () if index is None else read_series(index, "value"),
            settings.analytics.scaling,
            cost_bps=cost_bps,
            warm_up_days=warm_up_days,
        )
        sys.stdout.buffer.write(backtest.to_json(report) + b"\n")
        return 0 if report.reason is None else EXIT_NO_VALUE
    raise InputError("expected --book with --chain, or --history")


@bench.command
def accuracy(
    *,
    quick: bool = False,
    data: Path | None = None,
    json: bool = False,
    picture: Path | None = None,
    common: Common = _NO_FLAGS,
) -> int:
    """Compare the index with known truths, other estimators, attacks and recorded chains.

    Example: `volgauge bench accuracy --data DATA --picture accuracy.svg`

    Exit code 0 when every gate holds, 1 when one fails.

    Args:
        quick: Fewer seeds and chains; half a minute instead of minutes.
        data: Folder of recorded chains; without it only made-up worlds are measured.
        json: One JSON object instead of tables.
        picture: Write the recorded chains as an SVG, ours beside the exchange's index.
    """
    common.settings()
    if picture is not None and data is None:
        raise InputError("--picture draws the recorded chains: name them by --data")
    from volgauge.offline.accuracy.report import as_json, as_text
    from volgauge.offline.accuracy.run import run as measure

    def tell(step: str) -> None:
        sys.stderr.write(f"volgauge: measuring {step}\n")
        sys.stderr.flush()

    report = measure(data, quick=quick, picture=picture, progress=tell)
    sys.stdout.write(as_json(report).decode() + "\n" if json else as_text(report))
    return 0 if report.passed else 1


@app.command
def check_config(*, common: Common = _NO_FLAGS) -> int:
    """Print the effective configuration as JSON, secrets masked; start nothing.

    Example: `volgauge check-config --config config/default.toml`
    """
    import json

    sys.stdout.write(json.dumps(describe(common.settings()), indent=2, default=str) + "\n")
    return 0


@app.command
def warm(*, common: Common = _NO_FLAGS) -> int:
    """Compile every kernel into the cache, e.g. while an image is built.

    Example: `volgauge warm`
    """
    import json

    common.settings()
    from volgauge import kernels

    sys.stdout.write(json.dumps({"signatures": kernels.warm()}, separators=(",", ":")) + "\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return EXIT_USAGE
    except (ConfigError, InputError) as error:
        sys.stderr.write(f"volgauge: {error}\n")
        return EXIT_USAGE
    except VolgaugeError as error:
        sys.stderr.write(f"volgauge: {error}\n")
        return EXIT_FAILED
    except BrokenPipeError:
        # The reader of our output went away (`| head`): not an error of ours.
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def enter() -> NoReturn:
    """The program: run the command of its arguments and end the process."""
    code = main()
    if any(thread.daemon for thread in threading.enumerate()):
        # Nobody waits for them, and a compiler at work does not outlive the interpreter's own end:
        # LLVM's data go first, then the thread with a segmentation fault. What a command holds it
        # has put away by now.
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
