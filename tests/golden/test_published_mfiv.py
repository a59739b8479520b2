"""A published 14-day index of coin options, recomputed by its own rules in the test itself.

The rules (data folder, worked-examples/PROVENANCE.md): an option without a bid is dropped; without
an ask, or with a mid of 1.5 marks or more, its mark is its price; one price of the underlying turns
every premium into dollars; F from the smallest |C - P|; K0 the highest strike at or below F; no
stop after empty bids; one flat rate; total variance linear in time; years of 365 days in ms.
"""

import json
from datetime import datetime
from itertools import pairwise
from math import exp, fsum, log, sqrt
from pathlib import Path
from typing import Any

import pytest
from scipy.special import ndtr

MILLIS_PER_YEAR = 365 * 86_400_000
TENOR_MILLIS = 14 * 86_400_000
FILE = "crypto_mfiv14d_eth_20220127T0100Z"


@pytest.fixture(scope="module")
def published(test_data: Path) -> dict[str, Any]:
    """The evidence as published: options, rate, instants, intermediates, index."""
    path = test_data / "worked-examples" / f"{FILE}.json"
    tree: dict[str, Any] = json.loads(path.read_text())
    return tree


def millis(text: str) -> int:
    """ISO-8601 to ms since 1970."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def premium(option: dict[str, Any]) -> float | None:
    """Coin premium by the published fallbacks; None drops the option."""
    bid, ask, mark = (option[f"{name}Price"] or 0.0 for name in ("bestBid", "bestAsk", "mark"))
    if bid == 0.0:
        return None
    middle = (bid + ask) / 2.0
    if ask == 0.0 or middle >= 1.5 * mark:
        return float(mark)
    return float(middle)


def strip(tree: dict[str, Any], expiry: str) -> tuple[float, float, float, float]:
    """(years, forward, K0, total variance) of one expiry."""
    params, context = tree["params"], tree["context"]
    years = (millis(expiry) - millis(params["at"])) / MILLIS_PER_YEAR
    growth = exp(context["risklessRate"] * years)
    prices: dict[str, dict[float, float]] = {"call": {}, "put": {}}
    for option in params["options"]:
        if option["expirationDate"] != expiry:
            continue
        coin = premium(option)
        if coin is not None:
            strike = float(option["strikePrice"])
            prices[option["optionType"]][strike] = coin * params["underlyingPrice"]
    calls, puts = prices["call"], prices["put"]
    both = sorted(set(calls) & set(puts))
    nearest = min(both, key=lambda k: abs(calls[k] - puts[k]))
    forward = nearest + growth * (calls[nearest] - puts[nearest])
    base = max(k for k in both if k <= forward)
    otm = {k: p for k, p in puts.items() if k < base} | {k: p for k, p in calls.items() if k > base}
    otm[base] = (calls[base] + puts[base]) / 2.0
    strikes = sorted(otm)
    gaps = [b - a for a, b in pairwise(strikes)]
    widths = [gaps[0], *((a + b) / 2.0 for a, b in pairwise(gaps)), gaps[-1]]
    terms = [w / k**2 * growth * otm[k] for k, w in zip(strikes, widths, strict=True)]
    return years, forward, base, 2.0 * fsum(terms) - (forward / base - 1.0) ** 2


def test_the_published_index(published: dict[str, Any]) -> None:
    """98.74835628391783, and every intermediate that was published with it, to 1e-8."""
    params, expected = published["params"], published["result"]["intermediates"]

    near, far = (strip(published, params[name]) for name in ("nearDate", "nextDate"))
    target = TENOR_MILLIS / MILLIS_PER_YEAR
    share = (far[0] - target) / (far[0] - near[0])
    index = 100.0 * sqrt((share * near[3] + (1.0 - share) * far[3]) / target)

    assert near[:3] == pytest.approx((expected["T1"], expected["F1"], 2400.0), rel=1e-12)
    assert far[:3] == pytest.approx((expected["T2"], expected["F2"], 2400.0), rel=1e-12)
    assert near[3] == pytest.approx(expected["nearModSigmaSquared"], rel=1e-8)
    assert far[3] == pytest.approx(expected["nextModSigmaSquared"], rel=1e-8)
    assert index == pytest.approx(published["result"]["dVol"], rel=1e-8)


def test_a_coin_premium_is_the_normalised_forward_price(published: dict[str, Any]) -> None:
    """106 marks equal Black-76 at their mark volatility and forward within 2e-4 coin."""
    options = published["params"]["options"]
    misses = []
    for option in options:
        # The mark is of the option's own instant, the index of a few seconds later.
        left = millis(option["expirationDate"]) - millis(option["timestamp"])
        deviation = option["markIV"] / 100.0 * sqrt(left / MILLIS_PER_YEAR)
        m = option["strikePrice"] / option["underlyingPrice"]
        d1 = -log(m) / deviation + deviation / 2.0
        call = float(ndtr(d1) - m * ndtr(d1 - deviation))
        price = call if option["optionType"] == "call" else call - 1.0 + m
        misses.append(abs(price - option["markPrice"]))

    assert len(options) == 106
    assert max(misses) <= 2e-4
