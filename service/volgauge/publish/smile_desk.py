"""`GET /v1/smile/{asset}[?expiry=]`: the smiles of an asset, read when somebody looks at them.

On the loop of the ticks a request only copies arrays; volatilities and JSON are made in a thread,
one request at a time, and kept for CACHE_SECONDS: many readers cost what one does.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec
from aiohttp import web

from volgauge.clock import Clock
from volgauge.domain.units import NANOS_PER_SECOND, format_instant
from volgauge.publish.answers import NAME, ApiError, check, raw_answer, read_instant
from volgauge.publish.smile import SmileAnswer, excerpt, read_smiles
from volgauge.surface.surface import Surface

CACHE_SECONDS = 0.25
MAX_CACHED = 64

Books: TypeAlias = Callable[[str], Sequence[tuple[str, Surface]]]
"""The option books of an asset with their labels, in the order of the venues; empty: unknown."""


class _Kept(NamedTuple):
    at_ns: int
    body: bytes


class SmileDesk:
    """Reads the books for the HTTP side."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books = books
        self._clock = clock
        self._kept: dict[tuple[str, int | None], _Kept] = {}
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [web.get("/v1/smile/{asset}", self._smile)]

    async def read(self, asset: str, expiry_ns: int | None) -> bytes:
        """The SmileAnswer as JSON.

        Raises:
            ApiError: 404 `unknown_asset` or `unknown_expiry`.
        """
        async with self._turn:
            now_ns = self._clock.wall_ns()
            kept = self._kept.get((asset, expiry_ns))
            if kept is not None and 0 <= now_ns - kept.at_ns < CACHE_SECONDS * NANOS_PER_SECOND:
                return kept.body
            books = self._books(asset)
            if not books:
                raise ApiError(404, "unknown_asset", f"no option book of {asset}")
            instants = sorted({at for _, book in books for at in book.expiries if at > now_ns})
            if expiry_ns is not None and expiry_ns not in instants:
                raise ApiError(
                    404, "unknown_expiry", f"no option of {asset} expires then; there are "
                    f"{', '.join(map(format_instant, instants)) or 'none'}",
                )  # fmt: skip
            copies = [excerpt(label, book, expiry_ns) for label, book in books]

            def work() -> bytes:
                answer = SmileAnswer(
                    asset=asset,
                    at_ns=now_ns,
                    expiries=tuple(map(format_instant, instants)),
                    smiles=read_smiles(copies),
                )
                return msgspec.json.encode(answer)

            body = await asyncio.to_thread(work)
            if len(self._kept) >= MAX_CACHED:
                self._kept.clear()
            self._kept[asset, expiry_ns] = _Kept(now_ns, body)
            return body

    async def _smile(self, request: web.Request) -> web.Response:
        asset = check(NAME, request.match_info["asset"], "asset")
        return raw_answer(request, await self.read(asset, read_instant(request, "expiry")))
