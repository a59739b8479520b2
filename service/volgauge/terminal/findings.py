"""What a check of the doctor found: one sentence of fact, and one of advice where it is needed."""

import asyncio
import enum
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from msgspec import Struct

P = ParamSpec("P")
R = TypeVar("R")


class Level(enum.Enum):
    """How bad it is."""

    OK = "OK"
    WARN = "WARN"
    """It runs, but not as it should, or it could not be found out."""
    FAIL = "FAIL"
    """The service would not start, or would not work."""


class Step(Struct, frozen=True):
    """One timed part of a check."""

    name: str
    milliseconds: float
    error: str = ""


class Finding(Struct, frozen=True, kw_only=True):
    """The result of one check."""

    check: str
    level: Level
    found: str
    """The fact."""
    advice: str = ""
    """What to do; empty when all is well."""
    steps: tuple[Step, ...] = ()
    skew_seconds: float | None = None
    """Another clock less ours, where the check read one."""


def fine(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, found=found)


def warn(check: str, found: str, advice: str) -> Finding:
    """It could be better."""
    return Finding(check=check, level=Level.WARN, found=found, advice=advice)


def fail(check: str, found: str, advice: str) -> Finding:
    """It would not work."""
    return Finding(check=check, level=Level.FAIL, found=found, advice=advice)


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run what blocks; unlike `asyncio.to_thread`, what hangs does not hold up our end.

    A name server that does not answer keeps `getaddrinfo` for half a minute, and the loop would
    wait for its own threads at exit.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[R] = loop.create_future()

    def tell(value: R | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type] # a value where there is no error

    def run() -> None:
        value, failure = None, None
        try:
            value = function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell, value, failure)

    threading.Thread(target=run, daemon=True).start()
    return await result
