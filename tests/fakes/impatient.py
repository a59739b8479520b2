"""Websocket clients that are gone before their handshake is answered."""

import asyncio
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.uri import parse_uri


async def leave_in_the_handshake(url: str, times: int) -> None:
    """Ask for a websocket and cut the connection at once, again and again."""
    parts = urlsplit(url)
    for _ in range(times):
        client = ClientProtocol(parse_uri(url))
        client.send_request(client.connect())
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(b"".join(client.data_to_send()))
        writer.transport.abort()
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.2)
