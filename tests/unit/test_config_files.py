"""The configuration reference is complete and tells the truth."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from volgauge.settings import Settings, load

CONFIG = Path(__file__).parents[2] / "config"


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a tree."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_reference_holds_every_key_with_its_default() -> None:
    """Key by key, the file and the code say the same."""
    code = dict(leaves(msgspec.to_builtins(Settings())))
    written = dict(leaves(tomllib.loads((CONFIG / "default.toml").read_text())))

    assert {key: list(v) if isinstance(v, tuple) else v for key, v in code.items()} == written


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.toml")), ids=lambda path: path.name)
def test_every_file_loads(path: Path) -> None:
    """No file names a key that does not exist or a value out of range."""
    assert isinstance(load(path, environment={}), Settings)


def test_reference_changes_nothing() -> None:
    """Starting with the reference is starting with the defaults."""
    assert Settings() == load(CONFIG / "default.toml", environment={})


def test_every_key_of_the_reference_is_explained() -> None:
    """A comment stands above each key, or above the group of keys it opens."""
    lines = (CONFIG / "default.toml").read_text().splitlines()
    unexplained = []
    explained = False
    for line in lines:
        if line.startswith("#"):
            explained = True
        elif "=" in line and not explained:
            unexplained.append(line)
        elif not line or line.startswith("["):
            explained = False

    assert unexplained == []


def test_no_file_holds_a_secret() -> None:
    """Addresses with passwords come from the environment."""
    for path in CONFIG.glob("*.toml"):
        settings = load(path, environment={})
        assert "@" not in settings.redis.url
