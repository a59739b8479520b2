"""Names of the Redis places, as DESIGN fixes them."""

from volgauge.domain.channels import ChannelNames, Kind, channel_names, epoch_key


def test_the_three_places_of_an_index() -> None:
    """Channel, latest key and stream of one asset and tenor."""
    assert channel_names("volgauge", Kind.INDEX, "BTC", "30d") == ChannelNames(
        channel="volgauge:index:BTC:30d",
        latest="volgauge:latest:index:BTC:30d",
        stream="volgauge:stream:index:BTC:30d",
    )


def test_surfaces_have_no_tenor() -> None:
    """One surface an asset."""
    assert channel_names("x", Kind.SURFACE, "ETH").channel == "x:surface:ETH"


def test_a_book_is_one_part_of_a_name() -> None:
    """The colon of `okx:USD_UM` would be read as one more part."""
    names = channel_names("x", Kind.VENUE, "BTC", "30d", "okx:USD_UM")

    assert names.channel == "x:venue:BTC:30d:okx-USD_UM"
    assert names.latest == "x:latest:venue:BTC:30d:okx-USD_UM"


def test_a_cluster_tags_the_asset() -> None:
    """All places of an asset hash to one slot."""
    names = channel_names("volgauge", Kind.INDEX, "BTC", "30d", cluster=True)

    assert names.stream == "volgauge:stream:index:{BTC}:30d"


def test_the_epoch_has_one_key() -> None:
    """Under the prefix."""
    assert epoch_key("volgauge") == "volgauge:epoch"


def test_coupling_is_one_for_all_assets() -> None:
    """It names no asset; in a cluster its kind is the hash tag, so its three lie in one slot."""
    assert channel_names("x", Kind.COUPLING, "ALL") == ChannelNames(
        channel="x:coupling", latest="x:latest:coupling", stream="x:stream:coupling"
    )
    assert channel_names("x", Kind.COUPLING, "ALL", cluster=True) == ChannelNames(
        channel="x:{coupling}", latest="x:latest:{coupling}", stream="x:stream:{coupling}"
    )
