"""Rewrites the gateway's pages: links get the prefix under which the browser sees the gateway.

Pure. Only what has to change is replaced, all other bytes stay. Nothing here confines a page: the browser does that
(``policy``). So a page that browsers read in another way than this module has broken links and nothing more.
"""

import html
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from smgw_proxy_addon.http.rewrite import GatewayNames
from smgw_proxy_addon.status.gateway_page.tokens import Attribute, Tag, find_tags

BRIDGE: Final = "smgwProxy"
"""The one global name of the script that is added to each page."""

_URL: Final = re.compile(r"(?:https?:)?//(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_CSS_URL: Final = re.compile(r"""(\burl\(\s*|@import\s+(?=["']))("[^"\n]*"|'[^'\n]*'|[^\s"'()]+)""", re.IGNORECASE)
_CANDIDATE: Final = re.compile(r"[^\s,]\S*")
_REFRESH: Final = re.compile(r"(\s*[\d.]+\s*[;,]\s*(?:url\s*=\s*)?['\"]?)([^'\"]*)(.*)", re.IGNORECASE | re.DOTALL)
_OBJECT: Final = r"(?<![\w$.'\"-])(?<!var )(?<!let )(?<!const )(?:(?:window|document|self|top|parent)\.)*location"
_ASSIGNED: Final = re.compile(_OBJECT + r"(?:\.href)?(?=\s*=(?![=>]))")
_CALLED: Final = re.compile(_OBJECT + r"\.(assign|replace|reload)(?=\s*\()")
_RUNS: Final = re.compile(r"\s*javascript:", re.IGNORECASE)
_IGNORED: Final = re.compile(r"[\t\n\r]")
"""Browsers drop these inside of URLs."""
_ESCAPED_DOT: Final = re.compile(r"%(?:25)*2e", re.IGNORECASE)
_ESCAPED_SLASH: Final = re.compile(r"%(?:25)*(?:2f|5c)|\\", re.IGNORECASE)
"""Home Assistant's ingress decodes paths, more than once on their way."""
_OTHER: Final = re.compile("[^\x00-\x7f\udc80-\udcff]")
_NOT_SENT: Final = re.compile(r"[^!-~]+")
"""Browsers write these in percents."""

_LINKS: Final = frozenset({"href", "action", "formaction", "src", "data", "background", "poster", "cite", "longdesc"})
_SOURCES: Final = frozenset({"src", "background", "poster"})


@dataclass(frozen=True)
class Rewriter:
    """Rewrites one page or style sheet.

    ``prefix`` has no slash at its end; ``target`` is the page's own path at the gateway, ``names`` are those of the
    gateway in absolute URLs; ``loaded`` has the ``data:`` URL for each target that the page loads.
    """

    prefix: str
    target: str
    names: GatewayNames
    loaded: Mapping[str, str] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    """How often what was rewritten loads each target at the gateway, in the order of the page."""

    def with_loaded(self, loaded: Mapping[str, str]) -> "Rewriter":
        """Return one for the same page that puts into it what it loads."""
        return Rewriter(self.prefix, self.target, self.names, loaded)

    def link(self, value: str) -> str:
        """Return a URL with the prefix if it is absolute and leads to the gateway, else as it is."""
        url = _IGNORED.sub("", value).strip("\0\x01\x02\x1f ")
        begin = len(url) - len(url.lstrip("/\\"))
        url = url[:begin].replace("\\", "/") + url[begin:]
        if match := _URL.fullmatch(url):
            if not self.names.include(match["authority"]):
                return value
            url = match["rest"] if match["rest"].startswith("/") else f"/{match['rest']}"
        if not url.startswith("/") or f"{url}/".startswith(f"{self.prefix}/"):
            return value
        return self.prefix + normalise(url)

    def source(self, value: str) -> str:
        """Return what the browser is to load in place of a URL."""
        if target := self.locate(value):
            self.found[target] += 1
        return self.loaded.get(target or "") or self.link(value)

    def locate(self, value: str) -> str | None:
        """Return the gateway's target that a URL of this page leads to, None if it leads elsewhere."""
        if not value or value.startswith("#"):
            return None
        try:
            url = urlsplit(urljoin(f"http://gateway{self.target}", self.link(value).removeprefix(self.prefix)))
        except ValueError:
            return None
        if url.scheme != "http" or url.netloc != "gateway":
            return None
        return _NOT_SENT.sub(_to_percents, normalise(url.path or "/") + (f"?{url.query}" if url.query else ""))

    def css(self, text: str) -> str:
        """Rewrite a style sheet."""

        def rewrite(found: re.Match[str]) -> str:
            quote = found[2][0] if found[2][0] in "\"'" else ""
            return found[1] + quote + self.source(found[2].strip("\"'")) + quote

        return _CSS_URL.sub(rewrite, text)

    def script(self, text: str) -> str:
        """Rewrite where a script sends its page: the browser lets nobody else watch that."""
        return _CALLED.sub(rf"{BRIDGE}.\1", _ASSIGNED.sub(f"{BRIDGE}.location", text))

    def page(self, text: str, insert: str = "") -> str:
        """Rewrite a page, and ``insert`` an element as the first one of its head."""
        parser = _Page(text, self)
        if insert:
            at = parser.head if parser.head is not None else len(text)
            parser.edits.append((at, at, insert))
        parts, done = [], 0
        for start, end, new in sorted(parser.edits):
            parts += [text[done:start], new]
            done = end
        return "".join([*parts, text[done:]])


def read_text(data: bytes) -> str:
    """Decode a page so that each byte stays what it is, whatever the page's own coding.

    Bytes above ASCII become surrogates, unlike the letters that character references stand for.
    """
    return data.decode("ascii", "surrogateescape")


def write_text(page: str) -> bytes:
    """Encode a page that ``read_text`` decoded, with references for the letters that they stood for."""
    return _OTHER.sub(lambda found: f"&#{ord(found[0])};", page).encode("ascii", "surrogateescape")


def normalise(path: str) -> str:
    """Take dot segments out of an absolute path, also escaped ones: it must not lead above the prefix."""
    bare = re.split("[?#]", path, maxsplit=1)[0]
    decoded = _ESCAPED_SLASH.sub("/", _ESCAPED_DOT.sub(".", bare))
    if not re.search(r"/\.\.?(/|$)", decoded):
        return path
    slash = "/" if decoded.endswith(("/", "/.", "/..")) else ""
    return (posixpath.normpath("/" + decoded.lstrip("/")).rstrip("/") + slash or "/") + path[len(bare) :]


class _Page:
    """Finds what to replace in a page: ``edits`` are start, end and new text."""

    def __init__(self, text: str, rewriter: Rewriter) -> None:
        self.edits: list[tuple[int, int, str]] = []
        self.head: int | None = None
        """Where the first element of the head may be put."""
        self._rewriter = rewriter
        self._text = text
        for tag in find_tags(text):
            self._read(tag)

    def _read(self, tag: Tag) -> None:
        if tag.name in ("html", "head"):
            self.head = tag.end
        elif self.head is None:
            self.head = tag.start
        given = {each.name: each.value for each in reversed(tag.attributes)}  # the first one of a name counts
        refreshes = tag.name == "meta" and given.get("http-equiv", "").strip().lower() == "refresh"
        loads = tag.name == "link" and "stylesheet" in given.get("rel", "").lower()
        for attribute in tag.attributes:
            self._change(tag, attribute, refreshes=refreshes, loads=loads)
        if tag.content_end is None:
            return
        content = self._text[tag.end : tag.content_end]
        if tag.name == "style":
            self._replace(tag.end, tag.content_end, self._rewriter.css(content))
        elif tag.name == "script" and "src" not in given and _is_script(given.get("type", "")):
            self._replace(tag.end, tag.content_end, self._rewriter.script(content))

    def _change(self, tag: Tag, attribute: Attribute, *, refreshes: bool, loads: bool) -> None:
        if refreshes and attribute.name == "http-equiv":
            # The browser would follow it without the page around the frame: the script of the page does it instead.
            self.edits.append((attribute.start, attribute.start + len(attribute.name), "data-smgw-refresh"))
            return
        value = attribute.value
        new = self._new_value(tag, attribute.name, value, refreshes=refreshes, loads=loads) if value else value
        if new != value:
            end = attribute.value_start + len(attribute.raw)
            self._replace(attribute.value_start, end, f'"{html.escape(new)}"')

    def _new_value(self, tag: Tag, name: str, value: str, *, refreshes: bool, loads: bool) -> str:
        rewriter = self._rewriter
        if name.startswith("on") or (name in _LINKS and _RUNS.match(value)):
            return rewriter.script(value)
        if name == "style":
            return rewriter.css(value)
        if name == "srcset":
            return _CANDIDATE.sub(lambda one: _keep_comma(one[0], rewriter.source), value)
        if refreshes and name == "content" and (parts := _REFRESH.fullmatch(value)):
            return parts[1] + rewriter.link(parts[2]) + parts[3]
        if (loads and name == "href") or (name in _SOURCES and tag.name != "iframe"):
            return rewriter.source(value)
        return rewriter.link(value) if name in _LINKS else value

    def _replace(self, start: int, end: int, new: str) -> None:
        if new != self._text[start:end]:
            self.edits.append((start, end, new))


def _to_percents(found: re.Match[str]) -> str:
    return "".join(f"%{each:02X}" for each in found[0].encode("utf-8", "surrogateescape"))


def _is_script(kind: str) -> bool:
    return not kind or "javascript" in kind.lower() or "ecmascript" in kind.lower() or kind.lower() == "module"


def _keep_comma(candidate: str, source: Callable[[str], str]) -> str:
    bare = candidate.rstrip(",")
    # A number with a unit is a descriptor; no image of a gateway is named so.
    return candidate if re.fullmatch(r"[\d.]+[wxh]", bare) else source(bare) + candidate[len(bare) :]
