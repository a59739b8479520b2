"""The records as JSON: what the hub holds, candles and evidence. Nothing is computed here."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from volgauge.clock import Clock
from volgauge.domain.analytics import MARKET
from volgauge.domain.channels import Kind
from volgauge.domain.history import RESOLUTIONS_SECONDS, CandleSeries
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.publish.answers import (
    NAME,
    SEQ,
    SERIES,
    TENOR,
    ApiError,
    check,
    raw_answer,
    read_instant,
    read_whole,
)
from volgauge.publish.hub import Hub

DEFAULT_CANDLES = 1_440
"""How many spans back an answer begins that names no `from`."""


class HistoryQuery(Struct, frozen=True):
    """What `/v1/history` was asked for."""

    asset: str
    series: str
    """Tenor label or `price`."""
    start_s: int
    end_s: int
    resolution_seconds: int
    newest: int | None = None
    """Only the last so many of the range, which may then be of any length."""


HistoryReader: TypeAlias = Callable[[HistoryQuery], Awaitable[object]]
"""Where candles come from, a CandleSeries; raises ApiError. The composition root gives one."""

CandleReader: TypeAlias = Callable[[HistoryQuery], Awaitable[CandleSeries]]
"""The same, for those who read the candles themselves."""


class EvidenceReader(Protocol):
    """Where evidence comes from, as JSON; raises ApiError. The composition root gives one."""

    @property
    def explanation(self) -> Any:  # noqa: ANN401 - a type
        """Type of what `explain` encodes."""
        ...

    async def bundle(self, asset: str, tenor_days: float, seq: int) -> bytes:
        """Everything that one record rests on."""
        ...

    async def explain(self, asset: str, tenor_days: float, seq: int, against: int | None) -> bytes:
        """Why a record says what it says, or how it differs from an older one."""
        ...


class Api:
    """The handlers under `/v1`."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        *,
        history: HistoryReader | None,
        about: Mapping[str, Any],
        evidence: EvidenceReader | None,
        headline_tenor_days: float,
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._history = history
        self._about = dict(about)
        self._evidence = evidence
        self._headline_tenor_days = headline_tenor_days

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [
            web.get("/v1/about", self._show_about),
            web.get("/v1/index", self._indices),
            web.get("/v1/index/{asset}", self._indices),
            web.get("/v1/index/{asset}/{tenor}", self._index),
            web.get("/v1/venues", self._venues),
            web.get("/v1/venues/{asset}", self._venues),
            web.get("/v1/surface/{asset}", self._surface),
            web.get("/v1/analytics/{asset}", self._analytics),
            web.get("/v1/coupling", self._coupling),
            web.get("/v1/alerts", self._alerts),
            web.get("/v1/history/{asset}/{series}", self._candles),
            web.get("/v1/evidence/{asset}/{seq}", self._show_evidence),
            web.get("/v1/explain/{asset}/{seq}", self._explain),
        ]

    async def _show_about(self, request: web.Request) -> web.Response:
        return raw_answer(request, msgspec.json.encode(self._about))

    async def _indices(self, request: web.Request) -> web.Response:
        """The newest record of every series, or of one asset's."""
        return raw_answer(request, b'{"indices":[%b]}' % self._newest(request, Kind.INDEX))

    async def _venues(self, request: web.Request) -> web.Response:
        """What each option book alone says, of every asset or of one."""
        return raw_answer(request, b'{"venues":[%b]}' % self._newest(request, Kind.VENUE))

    def _newest(self, request: web.Request, kind: Kind) -> bytes:
        """The newest record of every series of a kind, by commas; of one asset if it is named."""
        wanted = request.match_info.get("asset")
        if wanted is not None:
            check(NAME, wanted, "asset")
        lines = [
            line
            for key in self._hub.series()
            if key.kind is kind
            and wanted in {None, key.asset}
            and (line := self._hub.latest(kind, key.asset, key.tenor, key.book)) is not None
        ]
        if wanted is not None and not lines:
            raise ApiError(404, "unknown_asset", f"no index of {wanted}")
        return b",".join(lines)

    async def _index(self, request: web.Request) -> web.Response:
        asset = check(NAME, request.match_info["asset"], "asset")
        tenor = check(TENOR, request.match_info["tenor"], "tenor")
        line = self._hub.latest(Kind.INDEX, asset, tenor)
        if line is None:
            raise ApiError(404, "unknown_index", f"no index of {asset} at {tenor}")
        return raw_answer(request, line)

    async def _surface(self, request: web.Request) -> web.Response:
        asset = check(NAME, request.match_info["asset"], "asset")
        line = self._hub.latest(Kind.SURFACE, asset)
        if line is None:
            raise ApiError(404, "unknown_asset", f"no surface of {asset}")
        return raw_answer(request, line)

    async def _analytics(self, request: web.Request) -> web.Response:
        asset = check(NAME, request.match_info["asset"], "asset")
        line = self._hub.latest(Kind.ANALYTICS, asset)
        if line is None:
            raise ApiError(404, "unknown_asset", f"no analytics of {asset}")
        return raw_answer(request, line)

    async def _coupling(self, request: web.Request) -> web.Response:
        line = self._hub.latest(Kind.COUPLING, MARKET)
        if line is None:
            raise ApiError(404, "no_coupling", "no coupling was computed here yet")
        return raw_answer(request, line)

    async def _alerts(self, request: web.Request) -> web.Response:
        """The alerts that are up, and the last events."""
        return raw_answer(request, self._hub.alerts.as_json())

    async def _candles(self, request: web.Request) -> web.Response:
        """Candles that open in [from, to) and the gaps between them; at most MAX_CANDLES."""
        if self._history is None:
            raise ApiError(404, "no_history", "this server keeps no history (history.path)")
        asset = check(NAME, request.match_info["asset"], "asset")
        series = check(SERIES, request.match_info["series"], "series")
        end_ns, start_ns = read_instant(request, "to"), read_instant(request, "from")
        if end_ns is None:
            end_ns = self._clock.wall_ns() + NANOS_PER_SECOND
        end_s = end_ns // NANOS_PER_SECOND
        resolution = read_whole(request, "resolution", 60)
        if resolution not in RESOLUTIONS_SECONDS:
            known = ", ".join(map(str, RESOLUTIONS_SECONDS))
            raise ApiError(400, "bad_resolution", f"resolution: expected one of {known}")
        start_s = (
            end_s - DEFAULT_CANDLES * resolution
            if start_ns is None
            else start_ns // NANOS_PER_SECOND
        )
        if start_s >= end_s:
            raise ApiError(400, "bad_range", "expected `from` before `to`")
        found = await self._history(HistoryQuery(asset, series, start_s, end_s, resolution))
        # Thousands of candles take milliseconds to encode: not on the loop.
        return raw_answer(request, await asyncio.to_thread(msgspec.json.encode, found))

    async def _show_evidence(self, request: web.Request) -> web.Response:
        reader, asset, tenor_days, seq = self._wanted(request)
        return raw_answer(request, await reader.bundle(asset, tenor_days, seq))

    async def _explain(self, request: web.Request) -> web.Response:
        reader, asset, tenor_days, seq = self._wanted(request)
        given = request.query.get("against")
        against = None if given is None else int(check(SEQ, given, "against"))
        return raw_answer(request, await reader.explain(asset, tenor_days, seq, against))

    def _wanted(self, request: web.Request) -> tuple[EvidenceReader, str, float, int]:
        """Which record's evidence is asked for."""
        if self._evidence is None:
            raise ApiError(404, "no_evidence", "this server keeps no evidence (evidence.enabled)")
        asset = check(NAME, request.match_info["asset"], "asset")
        seq = int(check(SEQ, request.match_info["seq"], "seq"))
        tenor = request.query.get("tenor")
        if tenor is None:
            return self._evidence, asset, self._headline_tenor_days, seq
        label = check(TENOR, tenor if tenor.endswith("d") else f"{tenor}d", "tenor")
        return self._evidence, asset, float(label.removesuffix("d")), seq
