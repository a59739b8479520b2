"""Configuration: precedence, messages, refusals."""

from pathlib import Path
from typing import Any

import pytest

from volgauge import settings
from volgauge.errors import ConfigError


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    """The documented order of precedence."""
    file = tmp_path / "a.toml"
    file.write_text('[http]\nport = 1\nhost = "localhost"\n[redis]\nprefix = "file"\n')
    environment = {"VOLGAUGE__HTTP__PORT": "2", "VOLGAUGE__REDIS__PREFIX": "environment"}

    loaded = settings.load(file, environment, {"http.port": 3})

    assert (3, "localhost", "environment", 1000) == (
        loaded.http.port,
        loaded.http.host,
        loaded.redis.prefix,
        loaded.index.heartbeat_ms,
    )


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"VOLGAUGE__HTTP__PRT": "1"}, "http.prt"),
        ({"VOLGAUGE__NONSENSE": "1"}, "nonsense"),
        ({"VOLGAUGE__HTTP__PORT": "70000"}, "http.port"),
        ({"VOLGAUGE__HTTP__PORT": "many"}, "http.port"),
        ({"VOLGAUGE__VENUES__DERIBIT__HOT_DAYS": "0"}, "venues.deribit.hot_days"),
        ({"VOLGAUGE__VENUES__NOWHERE__ENABLED": "true"}, "venues.nowhere"),
        ({"VOLGAUGE__INDEX__METHOD": "vix"}, "index.method"),
        ({"VOLGAUGE__INDEX__METHOD": "cboe"}, "index.method"),
        ({"VOLGAUGE__INDEX__HEADLINE_TENOR_DAYS": "31"}, "index.headline_tenor_days"),
        ({"VOLGAUGE__INDEX__TENORS_DAYS": "[30, -1]"}, "index.tenors_days[1]"),
        ({"VOLGAUGE__REDIS__URL": "localhost:6379"}, "redis.url"),
        ({"VOLGAUGE__REDIS__TIMEOUT_MS": "251"}, "redis.timeout_ms"),
        ({"VOLGAUGE__HTTP__HOST": "0.0.0.0"}, "http.host"),  # noqa: S104 - the refusal of it
        ({"VOLGAUGE__LOG__LEVEL": "loud"}, "log.level"),
    ],
)
def test_a_bad_key_or_value_is_named(environment: dict[str, str], named: str) -> None:
    """The message begins with the key, so that the reader knows where to look."""
    with pytest.raises(ConfigError) as caught:
        settings.load(None, environment)

    assert str(caught.value).startswith(f"{named}:")


@pytest.mark.parametrize("text", ["[http", "port = ", '[http]\nport = "x"'])
def test_an_unreadable_file_is_refused(tmp_path: Path, text: str) -> None:
    """Broken TOML and wrong types are configuration errors."""
    file = tmp_path / "a.toml"
    file.write_text(text)

    with pytest.raises(ConfigError):
        settings.load(file, {})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The path stands in the message."""
    with pytest.raises(ConfigError, match=r"absent\.toml"):
        settings.load(tmp_path / "absent.toml", {})


def test_lists_come_from_the_environment_as_json() -> None:
    """A variable can hold a list."""
    loaded = settings.load(None, {"VOLGAUGE__VENUES__DERIBIT__ASSETS": '["SOL", "XRP"]'})

    assert loaded.venues.deribit.assets == ("SOL", "XRP")


def test_venue_keeps_its_own_defaults_beside_a_given_key() -> None:
    """A section with one key is no section of defaults that belong to another venue."""
    loaded = settings.load(None, {"VOLGAUGE__VENUES__BYBIT__HOT_DAYS": "7"})
    untouched = settings.VenuesSettings().bybit

    assert loaded.venues.bybit.hot_days == 7.0
    assert loaded.venues.bybit.assets == untouched.assets
    assert loaded.venues.bybit.enabled == untouched.enabled


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://u:secret@h:1/0", "redis://u:***@h:1/0"),
        ("redis://:secret@h:1/0", "redis://:***@h:1/0"),
        ("redis://h:1/0", "redis://h:1/0"),
        ("", ""),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    """`check-config` prints the tree, not the secret."""
    described: dict[str, Any] = settings.describe(
        settings.load(None, {"VOLGAUGE__REDIS__URL": url})
    )

    assert described["redis"]["url"] == shown
