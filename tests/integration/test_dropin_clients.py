"""Other people's clients of Deribit's volatility index, unmodified: only the address is ours."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ccxt
import pytest

from fakes.dropin_lab import HEADLINE, START, Lab, flat, record_now, serve_dropin


def exchange(lab: Lab) -> Any:  # noqa: ANN401 - ccxt's implicit methods have no types
    """The deribit of ccxt, at our address."""
    made = ccxt.deribit({"enableRateLimit": False})
    made.urls["api"]["rest"] = lab.url
    return made


async def test_ccxt_reads_our_candles(tmp_path: Path) -> None:
    """Its `public/get_volatility_index_data`, page by page; values as they were stored."""
    candles = flat(1500, seconds=60)
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): candles})
        client = exchange(lab)
        query = {
            "currency": "BTC",
            "start_timestamp": START * 1000,
            "end_timestamp": (START + 90_000) * 1000,
            "resolution": "60",
        }
        newest = await asyncio.to_thread(client.public_get_get_volatility_index_data, query)
        query["end_timestamp"] = newest["result"]["continuation"]
        oldest = await asyncio.to_thread(client.public_get_get_volatility_index_data, query)

    rows = [*oldest["result"]["data"], *newest["result"]["data"]]
    assert [[float(part) for part in row] for row in rows] == [
        [1000 * c.opened_s, c.open, c.high, c.low, c.close] for c in candles
    ]
    assert oldest["result"]["continuation"] is None


async def test_ccxt_reads_our_clock(tmp_path: Path) -> None:
    """A unified method of it: milliseconds."""
    async with serve_dropin(tmp_path) as lab:
        told_ms = await asyncio.to_thread(exchange(lab).fetch_time)

    assert abs(told_ms / 1000 - datetime.now(UTC).timestamp()) < 60


@pytest.mark.parametrize("method", ["get_volatility_index_data", "get_historical_volatility"])
async def test_ccxt_understands_our_refusals(tmp_path: Path, method: str) -> None:
    """Its own exception for -32602, and for realised volatility, which is not served: -32601."""
    async with serve_dropin(tmp_path) as lab:
        call = getattr(exchange(lab), f"public_get_{method}")
        with pytest.raises(ccxt.BadRequest):
            await asyncio.to_thread(call, {"currency": "NONE"})


async def test_a_typed_client_reads_candles_and_the_channel(tmp_path: Path) -> None:
    """typed-deribit validates every answer against its own models; over HTTP and websocket."""
    client = pytest.importorskip("typed_deribit.main", reason="typed-deribit is not installed")
    http = pytest.importorskip("typed_core.http", reason="typed-deribit is not installed")
    rpc = pytest.importorskip("typed_deribit.core.transport.http")
    streams = pytest.importorskip("typed_deribit.core.transport.ws")
    start = datetime.fromtimestamp(START, UTC)
    async with serve_dropin(tmp_path) as lab:
        await lab.keeper.fill({("BTC", HEADLINE, 60): flat(2500, seconds=60)})
        deribit = client.Deribit(
            rpc_client=rpc.OAuthHttpRpcClient(
                http=http.HttpClient(), base_url=f"{lab.url}/api/v2", credentials=None
            ),
            ws_client=streams.SocketRpcStreamClient.new(
                lab.socket_url, credentials=None, validate=True
            ),
        )
        async with deribit:
            counts = [
                len(
                    await deribit.market_data.get_volatility_index_data_paged(
                        "BTC",
                        start_timestamp=start,
                        end_timestamp=start + timedelta(days=2),
                        resolution="60",
                        transport=transport,
                    )
                )
                for transport in ("http", "ws")
            ]
            async with deribit.streams.market_data.volatility_index("btc_usd") as updates:
                lab.hub.offer(record_now(52.5))
                update = await anext(aiter(updates))

    assert counts == [2500, 2500]
    assert update["volatility"] == 52.5
