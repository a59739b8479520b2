"""The live page, the rules of the index, metrics and health."""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from volgauge.publish.answers import ApiError, has_already, json_answer
from volgauge.publish.assets import METHODOLOGY_PAGE, Asset, load_methodology, load_page


class Site:
    """Everything that is no record."""

    def __init__(
        self, registry: CollectorRegistry, reasons_not_ready: Callable[[], list[str]]
    ) -> None:
        self._registry = registry
        self._reasons_not_ready = reasons_not_ready
        self._page = load_page()
        self._document = load_methodology()
        self._rendering = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [
            web.get("/", self._index_page),
            web.get("/page/{name:.+}", self._page_file),
            web.get("/methodology", self._methodology),
            web.get("/methodology/{name}", self._methodology_file),
            web.get("/metrics", self._metrics),
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
        ]

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (TypeError, ValueError) as error:
            # Its way to say that a version is no number.
            raise ApiError(400, "bad_accept", "Accept: expected a numeric version") from error
        # Rendering hundreds of series takes milliseconds: not on the loop of the ticks, and one
        # at a time, however many ask.
        async with self._rendering:
            body = await asyncio.to_thread(encoder, self._registry)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return json_answer({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._reasons_not_ready()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return json_answer(body, status=503 if reasons else 200)

    async def _index_page(self, request: web.Request) -> web.Response:
        return _serve(self._page, "index.html", request)

    async def _page_file(self, request: web.Request) -> web.Response:
        return _serve(self._page, request.match_info["name"], request)

    async def _methodology(self, request: web.Request) -> web.Response:
        return _serve(self._document, METHODOLOGY_PAGE, request)

    async def _methodology_file(self, request: web.Request) -> web.Response:
        return _serve(self._document, request.match_info["name"], request)


def _serve(assets: Mapping[str, Asset], name: str, request: web.Request) -> web.Response:
    asset = assets.get(name)
    if asset is None:
        raise ApiError(404, "not_found", "no such file")
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if has_already(request, asset.etag):
        return web.Response(status=304, headers=headers)
    body = asset.body
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        body = asset.packed
        headers["Content-Encoding"] = "gzip"
    return web.Response(
        body=body, content_type=asset.content_type, charset="utf-8", headers=headers
    )
