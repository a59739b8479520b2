"""Names of the Redis channels, keys and streams: one place for the publisher and the client.

    volgauge:index:BTC:30d               channel
    volgauge:latest:index:BTC:30d        last record
    volgauge:stream:index:BTC:30d        back-fill, id `epoch-seq`
    volgauge:venue:BTC:30d:okx           channel of one option book's own index
    volgauge:analytics:BTC               what is read off the index and the surface
    volgauge:coupling                    how all assets move together
    volgauge:events:BTC                  changes of status, fixings, alerts; `ALL`: of the market

With Redis Cluster the asset is a hash tag (`...:{BTC}:30d`), so that the three live in one slot;
the coupling has none, so its kind is the tag (`volgauge:{coupling}`).
A colon parts the words of a name, so a book `okx:USD_UM` is written `okx-USD_UM`.
"""

import enum

from msgspec import Struct


class Kind(enum.Enum):
    """What a channel carries."""

    INDEX = "index"
    VENUE = "venue"
    """What one venue's option book alone says of the headline tenor, once a second."""
    SURFACE = "surface"
    ANALYTICS = "analytics"
    """What is read off one asset's index and surface."""
    COUPLING = "coupling"
    """All pairs of assets; one series for the whole process."""
    EVENTS = "events"
    """Changes of status, fixings and alerts, in order; never conflated."""


class ChannelNames(Struct, frozen=True):
    """The three places of one record."""

    channel: str
    latest: str
    stream: str


STREAM_FIELD = "record"
"""The one field of a stream entry: the record's JSON."""


def channel_names(
    prefix: str, kind: Kind, asset: str, tenor: str = "", book: str = "", *, cluster: bool = False
) -> ChannelNames:
    """Name the channel, the key and the stream of one series of records.

    Args:
        prefix: First part of every name, by default `volgauge`.
        kind: What is carried.
        asset: Upper-case ticker; coupling has none.
        tenor: `30d`; empty for what is one per asset.
        book: Key of the index record's `venues`; venue only.
        cluster: Put the asset into a hash tag.
    """
    words = [kind.value, asset, tenor, book_part(book)]
    tagged = 1
    if kind is Kind.COUPLING:
        words, tagged = words[:1], 0
    if cluster:
        words[tagged] = f"{{{words[tagged]}}}"
    topic = ":".join(word for word in words if word)
    return ChannelNames(
        channel=f"{prefix}:{topic}",
        latest=f"{prefix}:latest:{topic}",
        stream=f"{prefix}:stream:{topic}",
    )


def book_part(book: str) -> str:
    """`okx-USD_UM`: a book's key as one part of a channel's name."""
    return book.replace(":", "-")


def epoch_key(prefix: str) -> str:
    """Counter of publisher starts; the fence of every stream."""
    return f"{prefix}:epoch"
