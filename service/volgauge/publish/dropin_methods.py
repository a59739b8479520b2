"""The methods of the Deribit-compatible endpoint: a request and its session in, a result out."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from volgauge import __version__
from volgauge.clock import Clock
from volgauge.domain.channels import Kind
from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.publish.answers import ApiError
from volgauge.publish.api import CandleReader, HistoryQuery
from volgauge.publish.dropin_params import (
    MAX_POINTS,
    VolatilityData,
    as_volatility_data,
    asset_of,
    read_channels,
    read_interval,
    read_volatility_query,
)
from volgauge.publish.dropin_rpc import (
    BAD_REQUEST,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    UNAVAILABLE,
    Request,
    RpcError,
)
from volgauge.publish.dropin_session import Session
from volgauge.publish.hub import Hub

CANDLES_METHOD = "public/get_volatility_index_data"
MAX_QUERIES = 8
"""Candle queries at a time; the others wait for their turn."""


class Methods:
    """What can be called."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        *,
        candles: CandleReader | None,
        headline: str,
        configured: Collection[str],
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._candles = candles
        self._headline = headline
        self._configured = frozenset(configured)
        self._turns = asyncio.Semaphore(MAX_QUERIES)

    async def call(self, call: Request, session: Session | None) -> object:
        """The result of a method.

        Raises:
            RpcError: It is unknown, its parameters are refused, or there is nothing to answer.
        """
        match call.method:
            case "public/test" if call.params.get("expected_result") == "exception":
                raise RpcError(BAD_REQUEST, "bad_request", {"reason": "as expected"})
            case "public/test" | "public/hello":
                return {"version": __version__}
            case "public/get_time":
                return self._clock.wall_ns() // NANOS_PER_MILLI
            case _ if call.method == CANDLES_METHOD:
                return await self._volatility_data(call.params)
        if session is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        return self._subscription(call.method, call.params, session)

    def _subscription(self, method: str, params: Mapping[str, Any], session: Session) -> object:
        """The methods that only a websocket has."""
        match method:
            case "public/subscribe":
                assets = self._assets()
                accepted = []
                for channel in read_channels(params):
                    asset = asset_of(channel, assets)
                    if asset is not None:
                        session.subscribe(channel, asset)
                        accepted.append(channel)
                return accepted
            case "public/unsubscribe":
                return [name for name in read_channels(params) if session.unsubscribe(name)]
            case "public/unsubscribe_all":
                for channel in tuple(session.channels):
                    session.unsubscribe(channel)
                return "ok"
            case "public/set_heartbeat":
                session.set_heartbeat(read_interval(params), self._clock.wall_ns())
                return "ok"
            case "public/disable_heartbeat":
                session.set_heartbeat(None, self._clock.wall_ns())
                return "ok"
        raise RpcError(METHOD_NOT_FOUND, "Method not found")

    async def _volatility_data(self, params: Mapping[str, Any]) -> VolatilityData:
        query = read_volatility_query(params, self._assets())
        if self._candles is None:
            reason = "this server keeps no history (history.path)"
            raise RpcError(NOT_FOUND, "not_found", {"reason": reason})
        try:
            async with self._turns:
                found = await self._candles(
                    HistoryQuery(
                        query.asset,
                        self._headline,
                        query.start_s,
                        query.end_s,
                        query.resolution_seconds,
                        newest=MAX_POINTS + 1,
                    )
                )
        except ApiError as error:
            if error.status == 404:
                return VolatilityData([], None)
            data = {"reason": str(error)}
            raise RpcError(UNAVAILABLE, "temporarily_unavailable", data) from error
        return as_volatility_data(found)

    def newest(self, asset: str) -> IndexValue | None:
        """The newest headline record of an asset; None when there is none yet."""
        record = self._hub.newest(Kind.INDEX, asset, self._headline)
        return record if isinstance(record, IndexValue) else None

    def _assets(self) -> frozenset[str]:
        seen = (key.asset for key in self._hub.series() if key.kind is Kind.INDEX)
        return self._configured.union(seen)
