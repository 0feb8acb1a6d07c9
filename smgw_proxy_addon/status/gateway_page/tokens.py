"""Finds the tags of a page and where each of their parts stands, as browsers do (HTML standard, 13.2.5).

Pure. Written here because the page must keep its own bytes: parsers that build a tree lose them, and the tokenizer of
Python's library, which tells positions, needs time by the square of the length of a broken page (43 s for 50 kB of
``<a <a <a …`` with Python 3.11). This one looks at each byte a fixed number of times.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final

_NAME: Final = re.compile(r"[A-Za-z][^\t\n\f\r />]*+")
_ATTRIBUTE: Final = re.compile(
    r"""[\t\n\f\r /]*+(?=[^>])(=?[^\t\n\f\r />=]*+)"""
    r"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+("[^"]*+"?+|'[^']*+'?+|[^\t\n\f\r >]*+))?+"""
)
"""Name and value; a quote that nobody closes takes the rest of the page."""
_TAG_END: Final = re.compile(r"[\t\n\f\r /]*+>")
_COMMENT_END: Final = re.compile("--!?>")
_RAW: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript"})
"""Elements whose content is text up to their end tag; ``noscript``, because scripts run."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: where its name and its value, if any, stand; ``raw`` is that as written, with its quotes."""

    name: str
    start: int
    raw: str
    value_start: int

    @property
    def value(self) -> str:
        """The value as browsers understand it."""
        return unescape(self.raw[1:-1] if self.raw[:1] in ("'", '"') else self.raw)


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag from ``start`` to ``end``, and the end of its content if that is only text."""

    name: str
    start: int
    end: int
    attributes: tuple[Attribute, ...]
    content_end: int | None = None


def find_tags(text: str) -> Iterator[Tag]:
    """Yield the start tags of a page, in their order."""
    position = 0
    while (start := text.find("<", position)) >= 0:
        name = _NAME.match(text, start + 1)
        if name is None:
            position = _skip(text, start)
        else:
            tag = _read_tag(text, start, name)
            if tag is None:
                return
            yield tag
            position = tag.end if tag.content_end is None else tag.content_end
        if position < 0:
            return


def _skip(text: str, start: int) -> int:
    """Return where what begins with ``<`` and is no start tag ends; -1 for the end of the page."""
    if text.startswith("<!--", start):
        found = _COMMENT_END.search(text, start + 2)  # "<!-->" is a whole one
        return found.end() if found else -1
    if text.startswith("</", start) and (name := _NAME.match(text, start + 2)):
        return _read_attributes(text, name.end())[1]
    if text[start + 1 : start + 2] in ("!", "?", "/"):
        return text.find(">", start) + 1 or -1
    return start + 1


def _read_tag(text: str, start: int, name: re.Match[str]) -> Tag | None:
    """Read a start tag, None if the page ends in the middle of it: browsers drop it then."""
    attributes, end = _read_attributes(text, name.end())
    if end < 0:
        return None
    lowered = name[0].lower()
    content_end = None
    if lowered in _RAW or lowered == "plaintext":
        found = re.compile(rf"</{lowered}(?=[\t\n\f\r />])", re.IGNORECASE).search(text, end)
        content_end = found.start() if found else len(text)
    return Tag(lowered, start, end, attributes, content_end)


def _read_attributes(text: str, position: int) -> tuple[tuple[Attribute, ...], int]:
    """Return the attributes of a tag, and where it ends; -1 if the page ends before."""
    attributes = []
    while found := _ATTRIBUTE.match(text, position):
        attributes.append(Attribute(found[1].lower(), found.start(1), found[2] or "", found.start(2)))
        position = found.end()
    end = _TAG_END.match(text, position)
    return tuple(attributes), end.end() if end else -1
