"""Names of the Redis channels, keys and streams: one place for the publisher and the client.

    volgauge:index:BTC:30d               channel
    volgauge:latest:index:BTC:30d        last record
    volgauge:stream:index:BTC:30d        back-fill, id `epoch-seq`

With Redis Cluster the asset is a hash tag (`...:{BTC}:30d`), so that the three live in one slot.
"""

import enum

from msgspec import Struct


class Kind(enum.Enum):
    """What a channel carries."""

    INDEX = "index"
    SURFACE = "surface"
    EVENTS = "events"
    """Changes of status, in order; never conflated."""


class ChannelNames(Struct, frozen=True):
    """The three places of one record."""

    channel: str
    latest: str
    stream: str


STREAM_FIELD = "record"
"""The one field of a stream entry: the record's JSON."""


def channel_names(
    prefix: str, kind: Kind, asset: str, tenor: str = "", *, cluster: bool = False
) -> ChannelNames:
    """Name the channel, the key and the stream of one series of records.

    Args:
        prefix: First part of every name, by default `volgauge`.
        kind: What is carried.
        asset: Upper-case ticker.
        tenor: `30d`; empty for surface and events, which are one per asset.
        cluster: Put the asset into a hash tag.
    """
    tag = f"{{{asset}}}" if cluster else asset
    topic = f"{kind.value}:{tag}:{tenor}" if tenor else f"{kind.value}:{tag}"
    return ChannelNames(
        channel=f"{prefix}:{topic}",
        latest=f"{prefix}:latest:{topic}",
        stream=f"{prefix}:stream:{topic}",
    )


def epoch_key(prefix: str) -> str:
    """Counter of publisher starts; the fence of every stream."""
    return f"{prefix}:epoch"
