"""`/openapi.json` and `/asyncapi.json`: the contract of everything that this server answers."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import msgspec
from aiohttp import web

from volgauge.publish.answers import raw_answer
from volgauge.publish.asyncapi import asyncapi
from volgauge.publish.openapi import openapi


class Reference:
    """The documents, written once when the first reader asks."""

    def __init__(self, others: Iterable[web.RouteDef], explanation: Any) -> None:  # noqa: ANN401 - a type
        """Prepare.

        Args:
            others: Every other route of the server.
            explanation: Type of what `/v1/explain` answers.
        """
        self._others = tuple(others)
        self._explanation = explanation

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [
            web.get("/openapi.json", self._show_openapi),
            web.get("/asyncapi.json", self._show_asyncapi),
        ]

    @cached_property
    def _openapi(self) -> bytes:
        every = [*self._others, *self.routes()]
        # aiohttp lets a parameter of the path have a pattern; OpenAPI does not.
        paths = [(one.method, re.sub(r"\{(\w+):[^}]*\}", r"{\1}", one.path)) for one in every]
        return msgspec.json.encode(openapi(paths, self._explanation))

    @cached_property
    def _asyncapi(self) -> bytes:
        return msgspec.json.encode(asyncapi())

    async def _show_openapi(self, request: web.Request) -> web.Response:
        return raw_answer(request, self._openapi)

    async def _show_asyncapi(self, request: web.Request) -> web.Response:
        return raw_answer(request, self._asyncapi)
