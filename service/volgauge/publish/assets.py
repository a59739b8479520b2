"""The files that the HTTP side serves as they are: the live page, and the rules of the index."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct

from volgauge.publish.document import render

CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
METHODOLOGY = "METHODOLOGY.md"
METHODOLOGY_PAGE = "methodology.html"
DOCUMENT_TYPES = {".md": "text/markdown", ".svg": "image/svg+xml"}


class Asset(Struct, frozen=True):
    """One file."""

    body: bytes
    content_type: str
    etag: str


def load_page() -> dict[str, Asset]:
    """The live page, by file name."""
    return _load(files("volgauge.publish").joinpath("page"), CONTENT_TYPES)


def load_methodology() -> dict[str, Asset]:
    """The rules of the index as they are shipped, as a page, and the pictures beside them."""
    found = _load(files("volgauge.index"), DOCUMENT_TYPES)
    page = render(
        found[METHODOLOGY].body.decode(),
        source=f"/methodology/{METHODOLOGY}",
        images="/methodology/",
    )
    found[METHODOLOGY_PAGE] = _asset(page.encode(), "text/html")
    return found


def _load(folder: Traversable, content_types: Mapping[str, str]) -> dict[str, Asset]:
    """The files of a folder of the package that have one of these types."""
    found = {}
    for file in folder.iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if file.is_file() and suffix in content_types:
            found[file.name] = _asset(file.read_bytes(), content_types[suffix])
    return found


def _asset(body: bytes, content_type: str) -> Asset:
    return Asset(body, content_type, f'"{sha256(body).hexdigest()[:16]}"')
