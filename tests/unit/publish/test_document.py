"""METHODOLOGY.md becomes a page: well formed, complete, nothing unescaped."""

import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from volgauge.publish.document import render

VOID = {"meta", "link", "img"}


class Checker(HTMLParser):
    """Collects tags and text, and fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """Remember a tag."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """Close the innermost one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        """Remember the text."""
        self.text += data + " "


def page_of(markdown: str) -> str:
    """The page of a document that is served at /doc."""
    return render(markdown, source="/doc/doc.md", images="/doc/")


def body_of(markdown: str) -> str:
    """What stands in <main>."""
    found = re.search(r"(?s)<main>\n(.*)\n</main>", page_of(markdown))
    assert found is not None
    return found[1]


def read(page: str) -> Checker:
    """Parse a page; every tag must be closed."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# A b-C", '<h1 id="a-b-c">A b-C</h1>'),
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("a < b & `c < d`", "<p>a &lt; b &amp; <code>c &lt; d</code></p>"),
        ("**bold `x`** end", "<p><strong>bold <code>x</code></strong> end</p>"),
        ("[to `x`](/v1) and", '<p><a href="/v1">to <code>x</code></a> and</p>'),
        ('![a "b"](c.svg)', '<p><img src="/doc/c.svg" alt="a &quot;b&quot;"></p>'),
        ("- one\n  more\n- two", "<ul><li>one more</li><li>two</li></ul>"),
        ("```\na < b\n\n# c\n```", "<pre><code>a &lt; b\n\n# c</code></pre>"),
        ("<!-- begin: x -->\n<!-- two\nlines -->\ntext", "<p>text</p>"),
        ("<script>x</script>", "<p>&lt;script&gt;x&lt;/script&gt;</p>"),
        ("smallest\n|c - p| and more", "<p>smallest |c - p| and more</p>"),
        ("text\n- item", "<p>text</p>\n<ul><li>item</li></ul>"),
    ],
    ids=[
        "heading", "paragraphs", "escape", "bold", "link", "image", "list", "code", "comment",
        "script", "absolute value", "list after text",
    ],
)  # fmt: skip
def test_block_becomes_html(markdown: str, html: str) -> None:
    """One construct, its HTML."""
    assert body_of(markdown) == html


def test_table_has_head_and_cells() -> None:
    """Escaped bars belong to the cell; an empty head is left out."""
    found = read(page_of("| a | b |\n|---|---|\n| `x` | \\|d\\| < 1 |"))
    bare = read(page_of("| | |\n|---|---|\n| x | y |"))

    assert [tag for tag, _ in found.tags].count("th") == 2
    assert [tag for tag, _ in found.tags].count("td") == 2
    assert "|d| < 1" in found.text
    assert "th" not in [tag for tag, _ in bare.tags]


def test_contents_lead_to_the_sections() -> None:
    """Every second-level heading has its link, and every link its heading."""
    found = read(page_of("# T\n\n## One: a\n\n### not here\n\n## Two"))
    links = [attrs["href"] for tag, attrs in found.tags if tag == "a" and attrs["href"]]

    assert [link for link in links if link.startswith("#")] == ["#one-a", "#two"]
    assert {attrs.get("id") for tag, attrs in found.tags if tag == "h2"} == {"one-a", "two"}


def test_the_methodology_is_rendered_whole() -> None:
    """Well formed, no Markdown left over, and every word of the document in the page."""
    markdown = files("volgauge.index").joinpath("METHODOLOGY.md").read_text(encoding="utf-8")
    found = read(page_of(markdown))

    assert "**" not in found.text
    assert "`" not in found.text
    assert "<!--" not in found.text
    plain = re.sub(r"(?s)<!--.*?-->|[`*|#]|\]\([^)]*\)", " ", markdown).replace("\\", " ")
    words = set(re.findall(r"[A-Za-z_]{3,}", plain))
    assert words - set(re.findall(r"[A-Za-z_]{3,}", found.text)) == set()


def test_the_page_needs_nothing_that_its_policy_forbids() -> None:
    """No inline style, no script, nothing from elsewhere."""
    page = page_of("# T\n\n![p](p.svg)\n\n[l](#t)")
    found = read(page)

    assert {"script", "style"} & {tag for tag, _ in found.tags} == set()
    assert not any("style" in attrs for _, attrs in found.tags)
    assert "://" not in page
