"""`GET /v1/history/{asset}`: what is stored of an asset, so that nobody needs to ask in vain."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
from aiohttp import web

from volgauge.publish.answers import NAME, check, raw_answer

Holdings: TypeAlias = Callable[[str], Awaitable[Mapping[str, Sequence[int]]]]
"""Resolutions in seconds by series (`30d`, `30d.bid`, `price`) of an asset; empty: nothing."""


class HoldingsDesk:
    """Tells what the history holds."""

    def __init__(self, held: Holdings) -> None:
        self._held = held

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [web.get("/v1/history/{asset}", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        asset = check(NAME, request.match_info["asset"], "asset")
        return raw_answer(
            request, msgspec.json.encode({"asset": asset, "series": await self._held(asset)})
        )
