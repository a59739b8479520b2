#!/usr/bin/env python3
"""Write CONFIGURATION.md, the reference of every setting, from config/default.toml.

A test holds that file against the settings themselves, key by key, and its comments are the
documentation of the keys; another test holds CONFIGURATION.md against this program.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "config" / "default.toml"
TARGET = Path(__file__).with_name("CONFIGURATION.md")
HEAD = """# Configuration

Written by `make configuration` from [`config/default.toml`](../../config/default.toml); the tests
hold that file against the program. An empty meaning: see the key above it.

Order: defaults < `--config FILE` < environment < flags. The variable of a key is its path in
capitals with double underscores, `VOLGAUGE__HTTP__PORT=9000`; lists are JSON,
`VOLGAUGE__VENUES__DERIBIT__ASSETS='["BTC"]'`. An unknown key or a value out of range is named, the
exit code is 2, and nothing starts. `volgauge check-config` prints what is in force, secrets masked.
"""


def reference(text: str) -> str:
    """The document of a commented TOML file."""
    out: list[str] = [HEAD]
    comment: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif line.startswith("["):
            out.append(f"\n## `{line}`\n\n| key | default | meaning |\n|---|---|---|\n")
            comment.clear()
        elif "=" in line:
            key, _, value = line.partition(" = ")
            meaning = " ".join(comment).replace("|", r"\|")
            out.append(f"| `{key}` | `{value}` | {meaning} |\n")
            comment.clear()
        else:
            comment.clear()
    return "".join(out)


if __name__ == "__main__":
    sys.exit(0 if TARGET.write_text(reference(SOURCE.read_text())) else 1)
