"""What every handler of the HTTP side answers with, and how it reads a request.

A route group is a list of `web.RouteDef`; a refused request is an ApiError, which the server turns
into `{"error": {"code": ..., "message": ...}}`.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from volgauge.domain.units import NANOS_PER_SECOND, parse_instant

NAME = re.compile(r"[A-Za-z0-9]{1,16}")
TENOR = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?d")
SEQ = re.compile(r"[0-9]{1,18}")


class ApiError(Exception):
    """A request that is answered with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def json_answer(body: Mapping[str, Any], status: int = 200) -> web.Response:
    """Plain data as JSON, never cached."""
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def raw_answer(request: web.Request, line: bytes) -> web.Response:
    """A record as it was encoded for everybody."""
    etag = f'"{sha256(line).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    response = web.Response(body=line, content_type="application/json", headers=headers)
    response.enable_compression()
    return response


def error_answer(status: int, code: str, message: str) -> web.Response:
    """The typed body of a refusal."""
    return json_answer({"error": {"code": code, "message": message}}, status)


def check(pattern: re.Pattern[str], text: str, what: str) -> str:
    """The text, if it has the form.

    Raises:
        ApiError: 400 `bad_{what}`.
    """
    if not pattern.fullmatch(text):
        raise ApiError(400, f"bad_{what}", f"{what}: expected {pattern.pattern}")
    return text


def read_names(request: web.Request, key: str, pattern: re.Pattern[str]) -> frozenset[str]:
    """Comma-separated names of a query parameter; empty when it is absent."""
    text = request.query.get(key, "")
    names = [name for name in text.split(",") if name]
    return frozenset(check(pattern, name, key.rstrip("s")) for name in names)


def read_instant(request: web.Request, key: str) -> int | None:
    """Seconds of a query parameter: ISO-8601 or an epoch number."""
    text = request.query.get(key)
    if text is None:
        return None
    try:
        return parse_instant(text) // NANOS_PER_SECOND
    except (ValueError, OverflowError) as error:
        raise ApiError(400, "bad_query", f"{key}: {error}") from error


def read_whole(request: web.Request, key: str, default: int) -> int:
    """A whole number of at most nine digits."""
    text = request.query.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError(400, "bad_query", f"{key}: expected a whole number, received {text!r}")
    return int(text)


def only(request: web.Request, known: set[str]) -> None:
    """Refuse query parameters that nobody reads.

    Raises:
        ApiError: 400 `bad_query`.
    """
    unknown = set(request.query) - known
    if unknown:
        raise ApiError(400, "bad_query", f"unknown parameter {min(unknown)!r}")
