"""Our own Markdown documents as HTML pages; nothing of a stranger's is ever rendered.

The subset that METHODOLOGY.md uses: headings, paragraphs, tables, fenced code, flat lists, images,
links, code and bold text. HTML is escaped, comments are left out. No script, no inline style: the
page's content policy allows neither.
"""

import re
from collections.abc import Callable, Iterator
from html import escape

_INLINE = re.compile(
    r"(?P<code>`[^`]+`)|(?P<image>!\[[^\]]*\]\([^)\s]+\))|(?P<link>\[[^\]]+\]\([^)\s]+\))"
    r"|(?P<bold>\*\*.+?\*\*)"
)
_HEADING = re.compile(r"(#{1,6}) +(.+)")
_CELL = re.compile(r"(?<!\\)\|")
_BLOCK_START = re.compile(r"#{1,6} |```|- ")
_RULE = re.compile(r"\|[-| ]+\|")
"""Second line of a table: without it a bar at the start of a line is an absolute value."""


def render(markdown: str, *, source: str, images: str) -> str:
    """A whole HTML page of a document.

    Args:
        markdown: The document; its first heading is the title.
        source: Where the Markdown itself is served.
        images: Folder of relative images, as a path of the server that ends in a slash.
    """
    lines = _without_comments(markdown).splitlines()
    headings = [found for line in lines if (found := _HEADING.fullmatch(line)) is not None]
    title = next((found[2] for found in headings if found[1] == "#"), "")
    contents = "".join(
        f'<li><a href="#{_slug(found[2])}">{escape(found[2])}</a></li>'
        for found in headings
        if found[1] == "##"
    )
    body = "\n".join(_blocks(lines, images))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>{escape(title)}</title>
<link rel="icon" href="/page/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/page/document.css">
</head>
<body>
<nav aria-label="Contents"><p><a href="/">live page</a> <a href="{escape(source)}">Markdown</a></p>
<ul>{contents}</ul></nav>
<main>
{body}
</main>
</body>
</html>
"""


def _without_comments(markdown: str) -> str:
    return re.sub(r"(?s)<!--.*?-->\n?", "", markdown)


def _blocks(lines: list[str], images: str) -> Iterator[str]:
    """One piece of HTML a block."""
    i = 0
    while i < len(lines):
        if not lines[i].strip():
            i += 1
            continue
        end = _end(lines, i)
        yield _block(lines[i:end], images)
        i = end


def _end(lines: list[str], start: int) -> int:
    """First line that does not belong to the block that begins at `start`."""

    def first(i: int, is_over: Callable[[int], object]) -> int:
        while i < len(lines) and not is_over(i):
            i += 1
        return i

    if lines[start].startswith("```"):
        return first(start + 1, lambda i: lines[i].startswith("```")) + 1
    if _HEADING.fullmatch(lines[start]) is not None:
        return start + 1
    if _is_table(lines, start):
        return first(start, lambda i: not lines[i].startswith("|"))
    if lines[start].startswith("- "):
        return first(start, lambda i: not lines[i].startswith(("- ", "  ")))
    return first(start + 1, lambda i: _ends_paragraph(lines, i))


def _block(lines: list[str], images: str) -> str:
    heading = _HEADING.fullmatch(lines[0])
    if heading is not None:
        level, text = len(heading[1]), heading[2]
        return f'<h{level} id="{_slug(text)}">{_inline(text, images)}</h{level}>'
    if lines[0].startswith("```"):
        return f"<pre><code>{escape(chr(10).join(lines[1:-1]))}</code></pre>"
    if _is_table(lines, 0):
        return _table(lines, images)
    if lines[0].startswith("- "):
        return _list(lines, images)
    return f"<p>{_inline(' '.join(lines), images)}</p>"


def _is_table(lines: list[str], i: int) -> bool:
    following = lines[i + 1] if i + 1 < len(lines) else ""
    return lines[i].startswith("|") and _RULE.fullmatch(following) is not None


def _ends_paragraph(lines: list[str], i: int) -> bool:
    line = lines[i]
    return not line.strip() or _BLOCK_START.match(line) is not None or _is_table(lines, i)


def _table(lines: list[str], images: str) -> str:
    rows = [
        [_inline(cell.strip().replace("\\|", "|"), images) for cell in _CELL.split(line)[1:-1]]
        for line in lines
    ]
    head, body = rows[0], rows[2:]
    parts = ['<div class="scroll"><table>']
    if any(head):
        parts.append(f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>")
    parts.append("<tbody>")
    parts += [f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in body]
    parts.append("</tbody></table></div>")
    return "\n".join(parts)


def _list(lines: list[str], images: str) -> str:
    items: list[str] = []
    for line in lines:
        if line.startswith("- "):
            items.append(line[2:])
        else:
            items[-1] += " " + line.strip()
    return f"<ul>{''.join(f'<li>{_inline(item, images)}</li>' for item in items)}</ul>"


def _inline(text: str, images: str) -> str:
    """Escaped text with its code, images, links and bold parts."""
    parts = []
    last = 0
    for found in _INLINE.finditer(text):
        parts.append(escape(text[last : found.start()]))
        last = found.end()
        whole = found[0]
        if found["code"]:
            parts.append(f"<code>{escape(whole[1:-1])}</code>")
        elif found["bold"]:
            parts.append(f"<strong>{_inline(whole[2:-2], images)}</strong>")
        else:
            label, _, target = whole.removeprefix("!")[1:-1].partition("](")
            if found["image"]:
                place = escape(images + target)
                parts.append(f'<img src="{place}" alt="{escape(label)}">')
            else:
                parts.append(f'<a href="{escape(target)}">{_inline(label, images)}</a>')
    parts.append(escape(text[last:]))
    return "".join(parts)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
