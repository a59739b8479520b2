"""Frames and catalog bodies made in advance, for benchmarks that must not pay for the venue."""

from urllib.parse import parse_qsl

from volgauge.simulator.board import milliseconds
from volgauge.simulator.deribit import QuoteRenderer
from volgauge.simulator.market import Market
from volgauge.simulator.public_api import PublicApi
from volgauge.simulator.venue import Venue


def render_frames(market: Market, count: int) -> list[bytes]:
    """The payloads of the next `count` option quotes, in order; the market moves on.

    Raises:
        ValueError: The market's rate is zero.
    """
    if market.options.rate <= 0.0:
        raise ValueError(f"expected a rate above 0, received {market.options.rate}")
    renderers = {id(board): QuoteRenderer(board, "mixed") for board in market.boards}
    frames: list[bytes] = []
    while len(frames) < count:
        step = market.advance()
        stamp = milliseconds(step.now_ns)
        for batch in step.quotes:
            render = renderers[id(batch.board)].render
            rows = zip(
                batch.slots, batch.bids, batch.asks, batch.bid_sizes, batch.ask_sizes, strict=True
            )
            frames += [render(slot, stamp, *quote) for slot, *quote in rows]
    return frames[:count]


def catalog_body(market: Market, path: str) -> bytes:
    """What the server answers to one GET below the REST root, as it stands now.

    Args:
        market: The source.
        path: `public/get_instruments?currency=BTC&kind=option`, with or without a leading slash.

    Raises:
        WireError: The venue would refuse.
    """
    method, _, query = path.lstrip("/").partition("?")
    api = PublicApi(Venue(market), lambda *_: [])
    return api.envelope(None, api.call(method, dict(parse_qsl(query))))
