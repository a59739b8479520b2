"""The files that the HTTP side serves as they are: the live page, and the rules of the index."""

from collections.abc import Iterator, Mapping
from gzip import compress
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from msgspec import Struct

from volgauge.publish.document import render

CONTENT_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PAPERS = {"LICENSE": "text/plain", "NOTICE": "text/plain"}
"""Files without a suffix that go with what is vendored."""
METHODOLOGY = "METHODOLOGY.md"
METHODOLOGY_PAGE = "methodology.html"
DOCUMENT_TYPES = {".md": "text/markdown", ".svg": "image/svg+xml"}


class Asset(Struct, frozen=True):
    """One file."""

    body: bytes
    content_type: str
    etag: str
    packed: bytes
    """The body by gzip, made once: compression takes longer than a tick."""


def load_page() -> dict[str, Asset]:
    """The live page, by path below its folder (`vendor/uplot/uPlot.esm.js`)."""
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
    """The files of a folder of the package, and of those below it, that have one of these types."""
    found = {}
    for path, file in _walk(folder, ""):
        content_type = PAPERS.get(file.name) or content_types.get(
            "." + file.name.rpartition(".")[2]
        )
        if content_type is not None:
            found[path] = _asset(file.read_bytes(), content_type)
    return found


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def _asset(body: bytes, content_type: str) -> Asset:
    etag = f'"{sha256(body).hexdigest()[:16]}"'
    return Asset(body, content_type, etag, compress(body, mtime=0))
