"""Queries made of odds and ends: each gets JSON of the documented form, none an internal error."""

import json
import random
from pathlib import Path
from urllib.parse import quote

from aiohttp import ClientSession
from yarl import URL

from fakes.dropin_lab import HEADLINE, flat, record_now, serve_dropin

REQUESTS = 250
ROUTES = {
    "/api/v2/public/get_volatility_index_data": (
        "currency", "start_timestamp", "end_timestamp", "resolution",
    ),
    "/api/v2/public/test": ("expected_result",),
    "/udf/history": ("symbol", "resolution", "from", "to", "countback"),
    "/udf/search": ("query", "limit", "type", "exchange"),
    "/udf/symbols": ("symbol",),
    f"/v1/history/BTC/{HEADLINE}": ("from", "to", "resolution"),
}  # fmt: skip
VALUES = (
    "BTC", "VG-BTC-30D", "60", "1", "1D", "D", "", "0", "-1", "1.5", "1e9", "1e400", "NaN",
    "9" * 15, "9" * 40, "-" + "9" * 12, "\u0661", "\u017f", "\x00", "\n", "' OR 1=1 --", "<b>",
    "%", "\U0001f4a5", "2024-10-04T00:00:00Z", "1728000000", "1728000600000", "true", "null",
    "[]", "{}", "x" * 3000,
)  # fmt: skip


async def test_no_query_is_an_internal_error(tmp_path: Path) -> None:
    """Any of the values for any of the parameters, some left out, some twice."""
    chance = random.Random(7)  # noqa: S311 - repeatable, not secret
    async with serve_dropin(tmp_path) as lab, ClientSession() as client:
        await lab.keeper.fill({("BTC", HEADLINE, 1): flat(600, seconds=1)})
        lab.hub.offer(record_now(50.0))
        statuses = set()
        for _ in range(REQUESTS):
            path, names = chance.choice(list(ROUTES.items()))
            pairs = [
                f"{name}={quote(chance.choice(VALUES))}"
                for name in (*names, chance.choice(names))
                if chance.random() < 0.85
            ]
            url = URL(f"{lab.url}{path}?{'&'.join(pairs)}", encoded=True)
            async with client.get(url) as response:
                body = json.loads(await response.read())
            statuses.add(response.status)

            assert response.status in {200, 400, 404, 414}, (url, body)
            if response.status != 200:
                assert "error" in body or body["s"] == "error", (url, body)

    assert {200, 400, 404} <= statuses
