"""What every handler of the HTTP side answers with, and how it reads a request.

A route group is a list of `web.RouteDef`; a refused request is an ApiError, which the server turns
into `{"error": {"code": ..., "message": ...}}`.
"""

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from volgauge.domain.units import parse_instant

NAME = re.compile(r"[A-Za-z0-9]{1,16}")
TENOR = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?d")
SERIES = re.compile(rf"price|{TENOR.pattern}(\.{NAME.pattern}(:{NAME.pattern})?)?")
"""What candles are kept of: a tenor, a part of the headline (`30d.bid`, `30d.okx`), the price."""
SEQ = re.compile(r"[0-9]{1,18}")
INSTANT = re.compile(
    r"[0-9]{1,19}(\.[0-9]{1,9})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
"""An epoch number of s, ms, us or ns, or ISO-8601; UTC when no offset is given."""
COMPRESS_BYTES = 16_384
"""Longer answers are compressed in a thread."""


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


def raw_answer(
    request: web.Request, line: bytes, headers: Mapping[str, str] | None = None
) -> web.Response:
    """JSON that is encoded already; to be asked for again with its tag, then perhaps 304.

    Args:
        request: What is answered.
        line: The body.
        headers: More headers.
    """
    # Weak: one tag for the plain and the compressed form.
    etag = f'W/"{sha256(line).hexdigest()[:16]}"'
    cached = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    known = {**cached, **(headers or {})}
    if has_already(request, etag):
        return web.Response(status=304, headers=known)
    response = web.Response(
        body=line,
        content_type="application/json",
        headers=known,
        zlib_executor_size=COMPRESS_BYTES,
    )
    response.enable_compression()
    return response


def has_already(request: web.Request, etag: str) -> bool:
    """Whether the client holds what has this tag (`If-None-Match`, weak comparison)."""
    value = etag.removeprefix("W/").strip('"')
    return any(tag.value in {"*", value} for tag in request.if_none_match or ())


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
    """Nanoseconds of a query parameter of the form INSTANT; None when it is absent."""
    text = request.query.get(key)
    if text is None:
        return None
    if not INSTANT.fullmatch(text):
        raise ApiError(400, "bad_query", f"{key}: expected an epoch number or ISO-8601")
    try:
        return parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise ApiError(400, "bad_query", f"{key}: {error}") from error


def read_whole(request: web.Request, key: str, default: int) -> int:
    """A whole number of at most nine digits."""
    text = request.query.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError(400, "bad_query", f"{key}: expected a whole number, received {text!r}")
    return int(text)


def only(request: web.Request, known: Collection[str]) -> None:
    """Refuse query parameters that nobody reads.

    Raises:
        ApiError: 400 `bad_query`.
    """
    unknown = set(request.query).difference(known)
    if unknown:
        raise ApiError(400, "bad_query", f"unknown parameter {min(unknown)!r}")
