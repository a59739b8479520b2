"""TradingView's Universal Data Feed over the history: `/udf/*`, for any chart that speaks it.

Symbols are our index codes (`VG-BTC-30D`). A span in which nothing was observed has no bar.
Refusals have the feed's own body, `{"s": "error", "errmsg": ...}`. Source of the form:
https://www.tradingview.com/charting-library-docs, "UDF".
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from aiohttp import web
from msgspec import Struct

from volgauge.clock import Clock
from volgauge.domain.channels import Kind
from volgauge.domain.history import MAX_CANDLES, Candle
from volgauge.domain.index import index_code
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.publish.answers import TENOR, ApiError, raw_answer
from volgauge.publish.api import CandleReader, HistoryQuery
from volgauge.publish.hub import Hub

EXCHANGE = "volgauge"
RESOLUTIONS = {
    "1S": 1, "1": 60, "5": 300, "15": 900, "60": 3_600, "240": 14_400, "720": 43_200, "1D": 86_400,
}  # fmt: skip
PRICE_SCALE = 10_000
"""Volatility points are shown with four decimals."""
MAX_FOUND = 100

Catalogue: TypeAlias = Callable[[], Awaitable[Mapping[str, Mapping[str, Sequence[int]]]]]
"""What is stored: resolutions in seconds by series by asset. The composition root gives one."""

_SYMBOL = re.compile(
    r"(?:volgauge:)?VG-([A-Z0-9]{1,16})-([0-9]{1,4}(?:\.[0-9]{1,3})?)D", re.ASCII | re.IGNORECASE
)
_WHOLE = re.compile(r"-?[0-9]{1,12}")


class Symbol(Struct, frozen=True):
    """One index."""

    asset: str
    tenor_days: float
    resolutions: tuple[str, ...]
    """Keys of RESOLUTIONS that are stored or will be; empty without a history."""

    @property
    def name(self) -> str:
        """`VG-BTC-30D`."""
        return index_code(self.asset, self.tenor_days)

    @property
    def description(self) -> str:
        """For people."""
        return f"{self.asset} {self.tenor_days:g}-day implied volatility"


class Bars(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Answer of `/udf/history`; `s` is ok or no_data."""

    s: str
    t: list[int] | None = None
    """Seconds of the opening, ascending."""
    o: list[float] | None = None
    h: list[float] | None = None
    l: list[float] | None = None  # noqa: E741 - the feed's name
    c: list[float] | None = None
    nextTime: int | None = None  # noqa: N815 - the feed's name
    """With no_data: where the newest bar before the range opens."""


class UdfError(Exception):
    """A request that is answered with `{"s": "error"}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Udf:
    """The handlers."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        *,
        candles: CandleReader | None,
        catalogue: Catalogue | None,
        headline: str,
        any_origin: bool = False,
    ) -> None:
        """Prepare.

        Args:
            hub: Says which indices there are now.
            clock: Says what now is.
            candles: None keeps no history.
            catalogue: What the history holds; None keeps none.
            headline: Series of which seconds are kept, `30d`.
            any_origin: Let scripts of foreign web pages read the answers, too.
        """
        self._hub = hub
        self._clock = clock
        self._candles = candles
        self._catalogue = catalogue
        self._headline = headline
        self._headers = {"Access-Control-Allow-Origin": "*"} if any_origin else {}

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [
            web.get("/udf/config", self._typed(self._config)),
            web.get("/udf/time", self._time),
            web.get("/udf/symbols", self._typed(self._symbol_info)),
            web.get("/udf/search", self._typed(self._search)),
            web.get("/udf/history", self._typed(self._history)),
        ]

    def _typed(
        self, work: Callable[[Mapping[str, str]], Awaitable[object]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """A handler that answers with JSON, refusals as the feed wants them."""

        async def handle(request: web.Request) -> web.Response:
            try:
                body = await work(request.query)
            except UdfError as error:
                return web.Response(
                    body=msgspec.json.encode({"s": "error", "errmsg": str(error)}),
                    status=error.status,
                    content_type="application/json",
                    headers={"Cache-Control": "no-store", **self._headers},
                )
            return raw_answer(request, msgspec.json.encode(body), self._headers)

        return handle

    async def _config(self, _query: Mapping[str, str]) -> dict[str, Any]:
        return {
            "supports_search": True,
            "supports_group_request": False,
            "supports_marks": False,
            "supports_timescale_marks": False,
            "supports_time": True,
            "supported_resolutions": list(RESOLUTIONS),
            "exchanges": [
                {"value": "", "name": "All", "desc": ""},
                {"value": EXCHANGE, "name": EXCHANGE, "desc": EXCHANGE},
            ],
            "symbols_types": [
                {"name": "All", "value": ""},
                {"name": "Index", "value": "index"},
            ],
        }

    async def _time(self, _request: web.Request) -> web.Response:
        """Our time, whole seconds as plain text."""
        now_s = self._clock.wall_ns() // NANOS_PER_SECOND
        return web.Response(text=str(now_s), headers={"Cache-Control": "no-store", **self._headers})

    async def _symbol_info(self, query: Mapping[str, str]) -> dict[str, Any]:
        symbol = await self._find(query)
        resolutions = symbol.resolutions
        minutes = [name for name in resolutions if name.isdigit()]
        return {
            "name": symbol.name,
            "full_name": f"{EXCHANGE}:{symbol.name}",
            "ticker": symbol.name,
            "description": symbol.description,
            "type": "index",
            "session": "24x7",
            "timezone": "Etc/UTC",
            "exchange": EXCHANGE,
            "listed_exchange": EXCHANGE,
            "minmov": 1,
            "pricescale": PRICE_SCALE,
            "format": "price",
            "visible_plots_set": "ohlc",
            "has_seconds": "1S" in resolutions,
            "seconds_multipliers": ["1"] if "1S" in resolutions else [],
            "has_intraday": bool(minutes),
            "intraday_multipliers": minutes,
            "has_daily": "1D" in resolutions,
            "daily_multipliers": ["1"] if "1D" in resolutions else [],
            "has_weekly_and_monthly": False,
            "supported_resolutions": list(resolutions),
            "data_status": "streaming",
        }

    async def _search(self, query: Mapping[str, str]) -> list[dict[str, str]]:
        words = query.get("query", "").upper().split()
        limit = _whole(query, "limit", 30)
        is_ours = query.get("exchange", "") in {"", EXCHANGE}
        if not is_ours or query.get("type", "") not in {"", "index"} or limit <= 0:
            return []
        return [
            {
                "symbol": symbol.name,
                "full_name": f"{EXCHANGE}:{symbol.name}",
                "description": symbol.description,
                "exchange": EXCHANGE,
                "ticker": symbol.name,
                "type": "index",
            }
            for symbol in await self._symbols()
            if all(word in f"{symbol.name} {symbol.description.upper()}" for word in words)
        ][: min(limit, MAX_FOUND)]

    async def _history(self, query: Mapping[str, str]) -> Bars:
        symbol = await self._find(query)
        given = query.get("resolution", "")
        name = {"D": "1D", "1440": "1D"}.get(given, given)
        if name not in RESOLUTIONS:
            raise UdfError(400, f"resolution: expected one of {', '.join(RESOLUTIONS)}")
        end_s = _whole(query, "to", None)
        start_s = _whole(query, "from", 0 if "countback" in query else None)
        if "countback" in query:
            # The feed's rule: it beats `from`.
            newest: int | None = _whole(query, "countback", None)
            start_s = 0
            if newest is None or not 1 <= newest <= MAX_CANDLES:
                raise UdfError(400, f"countback: expected 1 to {MAX_CANDLES}")
        else:
            newest = None
        if start_s >= end_s:
            raise UdfError(400, "expected `from` before `to`")
        seconds, series = RESOLUTIONS[name], f"{symbol.tenor_days:g}d"
        asked = HistoryQuery(symbol.asset, series, start_s, end_s, seconds, newest)
        candles = await self._read(asked)
        if not candles:
            before = HistoryQuery(symbol.asset, series, 0, max(start_s, 0), seconds, newest=1)
            older = await self._read(before)
            return Bars(s="no_data", nextTime=older[0].opened_s if older else None)
        return Bars(
            s="ok",
            t=[one.opened_s for one in candles],
            o=[one.open for one in candles],
            h=[one.high for one in candles],
            l=[one.low for one in candles],
            c=[one.close for one in candles],
        )

    async def _find(self, query: Mapping[str, str]) -> Symbol:
        given = query.get("symbol", "")
        found = _SYMBOL.fullmatch(given)
        if found is not None:
            asset, tenor_days = found[1].upper(), float(found[2])
            for symbol in await self._symbols():
                if (symbol.asset, symbol.tenor_days) == (asset, tenor_days):
                    return symbol
        raise UdfError(404, "unknown_symbol")

    async def _symbols(self) -> list[Symbol]:
        """Every index that is computed or stored, by asset and tenor."""
        stored = {} if self._catalogue is None else await self._catalogue()
        known: dict[tuple[str, float], tuple[str, ...]] = {
            (key.asset, float(key.tenor.removesuffix("d"))): self._kept(key.tenor)
            for key in self._hub.series()
            if key.kind is Kind.INDEX
        }
        for asset, series in stored.items():
            for label, seconds in series.items():
                if TENOR.fullmatch(label):
                    names = tuple(name for name, each in RESOLUTIONS.items() if each in seconds)
                    known.setdefault((asset, float(label.removesuffix("d"))), names)
        return [Symbol(*key, names) for key, names in sorted(known.items())]

    def _kept(self, series: str) -> tuple[str, ...]:
        """What a running index has, or will have once its first candles are over."""
        if self._catalogue is None:
            return ()
        return tuple(name for name in RESOLUTIONS if name != "1S" or series == self._headline)

    async def _read(self, query: HistoryQuery) -> Sequence[Candle]:
        """Candles; none where nothing is stored yet."""
        if self._candles is None:
            raise UdfError(404, "this server keeps no history (history.path)")
        try:
            return (await self._candles(query)).candles
        except ApiError as error:
            if error.status == 404:
                return ()
            raise UdfError(error.status, str(error)) from error


def _whole(query: Mapping[str, str], name: str, default: int | None) -> int:
    given = query.get(name)
    if given is None and default is not None:
        return default
    if given is None or not _WHOLE.fullmatch(given):
        raise UdfError(400, f"{name}: expected a whole number")
    return int(given)
