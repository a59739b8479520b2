"""The websocket client library, behind the few names that the feed uses.

`picows.websockets` (extra `fast`) repeats the asyncio interface of `websockets` with a compiled
core, at a fifth of the cost a frame in bursts; it is taken where it is installed.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct


class Socket(Protocol):
    """An open websocket."""

    async def recv(self, decode: bool | None = None) -> Any:  # noqa: ANN401 - str or bytes
        """Next whole message; with `decode=False` always bytes."""
        ...

    async def send(self, message: bytes, text: bool | None = None) -> None:
        """Send one message, as a text frame when `text`."""
        ...


class Library(Struct, frozen=True):
    """One implementation."""

    name: str
    connect: Callable[..., AbstractAsyncContextManager[Socket]]
    closed: type[Exception]
    """The connection ended; has `rcvd` and `sent`, close frames or None."""
    bad_status: type[Exception]
    """The handshake was answered with another HTTP status; has `response.status_code`."""
    failure: type[Exception]
    """Root of all of the library's exceptions."""


def load(name: str) -> Library:
    """The library by its module name.

    Raises:
        ImportError: It is not installed.
    """
    module = importlib.import_module(name)
    exceptions = importlib.import_module(f"{name}.exceptions")
    return Library(
        name=name,
        connect=module.connect,
        closed=exceptions.ConnectionClosed,
        bad_status=exceptions.InvalidStatus,
        failure=exceptions.WebSocketException,
    )


def load_fastest() -> Library:
    """What this process uses."""
    try:
        return load("picows.websockets")
    except ImportError:
        return load("websockets")
